"""Resources of every type without a service of its own: one table of types, one handler."""
