"""A real recorded current through the emulated INA219, at every rate; skipped where it is absent."""

import pytest
from devices.real_recordings import recording

from benchmarks.waveform import RATES, Recorded, averaged, instantaneous


@pytest.fixture(scope="module")
def load():
    return Recorded(recording("traces/mlperf_tiny/NUCLEO_L4R5ZI_ad/trace1-energy.bin"))


@pytest.mark.parametrize("rate_hz", RATES)
def test_averaged_energy_is_within_a_thousandth(load, rate_hz):
    assert abs(averaged(load, rate_hz)) < 1e-3


def test_single_looks_at_a_low_rate_are_worse(load):
    assert instantaneous(load, 10.0) > 5 * abs(averaged(load, 10.0))
