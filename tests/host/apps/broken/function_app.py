"""Fails while it is imported."""  # noqa: INP001 - a folder of its own, as a function app is.

raise ValueError("the policy folder is empty")
