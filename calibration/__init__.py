"""Calibration: fitting a meter against a reference, and the cards that remember it."""
