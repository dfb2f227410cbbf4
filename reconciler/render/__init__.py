"""Findings and plans as text and JSON."""
