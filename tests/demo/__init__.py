"""The demo, as `make demo` runs it."""
