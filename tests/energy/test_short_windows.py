"""A short run of ``benchmarks/short_windows.py`` at a fixed seed; thousands of windows are drawn by hand."""

import math
import random
from statistics import median

import pytest

from benchmarks.budget_intervals import wilson
from benchmarks.short_windows import LENGTHS, METERS, trial

TRIALS = {"FNIRSI, 100 Hz": 10, "renewed every 0.3 s": 15}
"""Fewer where there are many samples; 40 of the others."""
HIDDEN = {
    ("renewed every 0.3 s", "burst", 0.2): "an instant that nobody read is in no value",
}


@pytest.mark.slow
@pytest.mark.parametrize("load", ["burst", "loop", "random"])
@pytest.mark.parametrize("meter", METERS, ids=lambda meter: meter.name)
def test_the_interval_of_a_short_window_holds(meter, load):
    trials = TRIALS.get(meter.name, 40)
    for seconds in LENGTHS:
        rng = random.Random(f"{meter.name} {load} {seconds}")
        found = [trial(meter, load, seconds, rng) for _ in range(trials)]
        held = sum(abs(one.error) <= one.uncertainty for one in found)
        least = 0.6 if (meter.name, load, seconds) in HIDDEN else 0.93
        assert wilson(held, trials)[1] >= least, f"{held} of {trials} at {seconds} s"
        if load == "burst" and seconds >= 0.4:  # not far wider than it must be
            errors = sorted(abs(one.error) / one.joules for one in found)
            wide = median(one.uncertainty / one.joules for one in found)
            most = 2.0 if meter.name.startswith("NVML") else 3.0
            assert wide <= most * errors[math.ceil(0.95 * trials) - 1], f"{wide:.0%} at {seconds} s"
