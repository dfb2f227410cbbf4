"""Published Azure clients, unmodified, against the local Azure over HTTPS."""
