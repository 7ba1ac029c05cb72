"""Grams of CO₂e: grids and their witnesses, the footprint of a usage, what making a board emitted."""
