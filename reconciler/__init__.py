"""Keep Azure managed identities and their role assignments as policy asks.

The function app enters through `reconciler.app`, the command line through `reconciler.cli`. Modules
stand on floors; `pyproject.toml` lists them and `make check` holds every import to them.
"""
