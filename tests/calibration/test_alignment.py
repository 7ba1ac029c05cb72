"""Aligning two recordings: any offset and drift are found again, and unlike loads are refused."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from energymeter.calibration.alignment import align
from energymeter.cli.align import align as command
from energymeter.errors import CalibrationError
from energymeter.recordings.trace import Trace


def load(times, seed=4):
    """Steps at irregular moments, known exactly."""
    rng = np.random.default_rng(seed)
    edges = np.cumsum(rng.uniform(3, 9, 60))
    levels = rng.uniform(1, 6, 61)
    return levels[np.searchsorted(edges, times)]


@pytest.mark.parametrize(("offset", "drift"), [(0.0, 0.0), (1.37, 0.0), (-4.2, 2e-4), (12.5, -1e-4)])
def test_offset_and_drift_are_found_again(offset, drift):
    rng = np.random.default_rng(1)
    a_s = np.arange(0, 250, 0.05)
    b_s = np.arange(max(0.0, offset), 240, 0.1)
    found = align(
        a_s, load(a_s) + rng.normal(0, 0.02, len(a_s)),
        b_s, 1.03 * load((b_s - offset) / (1 + drift)) + rng.normal(0, 0.02, len(b_s)),
    )  # fmt: skip
    assert found.offset_s == pytest.approx(offset, abs=0.06)  # of 0.1 s between samples
    assert found.drift == pytest.approx(drift, abs=max(4 * found.drift_uncertainty, 1e-5))
    assert found.drift_uncertainty < 3e-4
    assert found.steps > 10


def test_one_step_gives_the_offset_alone():
    times = np.arange(0, 60, 0.1)
    found = align(times, np.where(times > 30, 5.0, 1.0), times, np.where(times > 31.5, 5.0, 1.0))
    assert found.offset_s == pytest.approx(1.5, abs=0.06)
    assert found.drift is None
    assert "one step only" in str(found)


def test_loads_that_are_not_the_same_are_refused():
    times = np.arange(0, 200, 0.1)
    with pytest.raises(CalibrationError, match="correlate by"):
        align(times, load(times), times, load(times, seed=9))
    with pytest.raises(CalibrationError, match="correlate by"):
        align(times, np.ones_like(times), times, load(times))
    with pytest.raises(CalibrationError, match="fewer than four"):
        align(times[:3], times[:3], times, load(times))


def test_the_command_shows_both(tmp_path):
    times = np.arange(0, 200, 0.1)
    for name, late in (("a.csv", 0.0), ("b.csv", 2.0)):
        Trace.integrate(times, load(times - late)).save(str(tmp_path / name))
    files = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    assert "b is +2.0" in CliRunner().invoke(command, files).output
    shown = json.loads(CliRunner().invoke(command, [*files, "--json"]).output)
    assert shown["offset_s"] == pytest.approx(2.0, abs=0.06)
