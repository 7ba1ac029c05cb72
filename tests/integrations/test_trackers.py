"""The names and units that trackers get; the trackers themselves where they are installed."""

import math
from types import ModuleType

import pytest

from energymeter import EnergyMeter, SpecError
from energymeter.integrations import figures, log_usage


@pytest.fixture
def usage():
    with EnergyMeter("manual:5V,0.6A", linger=0) as meter:
        sum(range(100_000))
    return meter.usage.with_units(grid="DEU", images=8)


def test_the_names_are_fixed_and_carry_their_units(usage):
    numbers = figures(usage, "DEU")
    assert sorted(numbers) == [
        "energy/coverage_ratio",
        "energy/grams_co2e",
        "energy/grams_per/images",
        "energy/joules",
        "energy/joules_per/images",
        "energy/mah",
        "energy/mah_per/images",
        "energy/mean_watts",
        "energy/peak_watts",
        "energy/per_charge/images",
        "energy/seconds",
        "energy/uncertainty_joules",
    ]
    assert all(isinstance(value, float) and math.isfinite(value) for value in numbers.values())
    assert numbers["energy/joules"] == usage.joules
    assert numbers["energy/joules_per/images"] == pytest.approx(usage.joules / 8)


def test_what_is_unknown_is_left_out(usage):
    numbers = figures(usage._replace(coulombs=None, peak_watts=None, units=()))
    assert "energy/mah" not in numbers
    assert "energy/grams_co2e" not in numbers
    assert not [name for name in numbers if "per/" in name]


def test_what_is_no_tracker_is_refused(usage):
    for tracker in (object(), ModuleType("logging"), {}):
        with pytest.raises(SpecError, match="nothing is known of a tracker"):
            log_usage(tracker, usage)
