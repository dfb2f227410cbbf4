"""Measurements against the budgets; none of it ships."""
