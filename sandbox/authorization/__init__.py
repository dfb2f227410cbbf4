"""Who may do what: role assignments and definitions, their conditions, management groups."""
