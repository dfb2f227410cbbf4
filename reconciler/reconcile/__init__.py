"""One request: the loop, its delays, contention and what a process remembers."""
