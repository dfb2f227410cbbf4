"""Whether the local Azure behaves as recorded and documented."""
