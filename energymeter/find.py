"""Which source `EnergyMeter()` takes when none is named."""

import os


def choose() -> tuple[str, tuple[str, ...]]:
    """The best source here, as a spec, and what the reader of a usage should know of the choice."""
    named = os.environ.get("ENERGYMETER_SOURCE")
    if named:
        return named, ()
    return "model", ("no sensor was found: this is the board's model, not a measurement",)
