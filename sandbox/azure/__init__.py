"""A local Azure: ARM, Resource Graph, sign-in and an access probe over one in-memory world."""
