"""Scenarios: a fleet, what happens to it, and what must be true in the end and at every moment."""
