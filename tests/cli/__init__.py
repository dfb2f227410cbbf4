"""The command line as its users run it: a process of its own, the sandbox over HTTPS."""
