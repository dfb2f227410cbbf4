"""One file per module; no sockets, no sandbox."""
