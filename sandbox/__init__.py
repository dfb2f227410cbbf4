"""A local Azure for development, tests and the demo.

It is never shipped, and neither side knows the other: it imports nothing of `reconciler`.
"""
