"""A local Azure for development, tests and the demo; never shipped, and knows nothing of `reconciler`."""
