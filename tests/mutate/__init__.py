"""Mutation testing: see `mutate.py`."""
