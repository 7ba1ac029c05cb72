"""Batteries: the charge on the label, what of it reaches the rail, and what the sun adds."""

from energymeter.battery.battery import Battery

__all__ = ["Battery"]
