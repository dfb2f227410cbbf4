"""Generators that make runs; nothing of the product imports them."""
