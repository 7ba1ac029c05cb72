"""What ``energymeter check`` says of known samples."""

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

from energymeter.calibration.quality import Counts, Quality, examine
from energymeter.cli.check import check
from energymeter.errors import NotMeasured
from energymeter.reading import Band, Facts

FINE = Counts(500, 0, 0, 0, 0)
TIME = np.arange(500) * 0.02


def judged(watts, time=TIME, facts=Facts(amps=Band(0.01, 2e-3, 1e-4)), counts=FINE, **options) -> Quality:  # noqa: B008
    return examine(time, watts, np.full(len(watts), 0.005), facts, counts, **options)


def test_noise_is_reported_from_a_slow_load():
    rng = np.random.default_rng(2)
    found = judged(3 + TIME / 10 + rng.normal(0, 0.01, 500))
    assert found.noise_watts == pytest.approx(0.01, rel=0.1)
    assert found.least_joules == pytest.approx(2 * math.sqrt(2) * 0.01 * math.sqrt(0.02), rel=0.1)
    assert found.warnings == ()


def test_a_load_that_swings_with_every_sample_is_aliased():
    found = judged(3 + 0.5 * (-1.0) ** np.arange(500))
    assert found.aliasing > 0.1
    assert any("faster than it is sampled" in text for text in found.warnings)


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"counts": Counts(500, 200, 0, 0, 0)}, "40 % of the reads had nothing new"),
        ({"counts": Counts(500, 0, 3, 2, 1)}, "3 readings came too late, 2 failed, 1 were lost"),
        ({"facts": Facts(max_watts=3.3)}, "of the range"),
        ({"time": TIME + (TIME > 5)}, "longest pause was 1.02 s, 51 intervals"),
        ({"zero": True}, "check that the load is off"),
    ],
)
def test_what_is_wrong_is_said(change, warning):
    rng = np.random.default_rng(2)
    assert any(warning in text for text in judged(3 + rng.normal(0, 1e-3, 500), **change).warnings)


def test_a_load_that_never_changes_shows_no_noise():
    found = judged(np.full(500, 3.0))
    assert (found.noise_watts, found.step_watts) == (0.0, None)
    assert any("every sample was the same" in text for text in found.warnings)


def test_too_few_samples_are_refused():
    with pytest.raises(NotMeasured, match="only 0 samples"):
        judged(np.full(500, math.nan))


@pytest.mark.slow
def test_the_command_shows_in_words_and_in_json():
    words = CliRunner().invoke(check, ["sim:pi4", "--rate", "50", "--seconds", "0.5"]).output
    assert "noise of a sample" in words
    assert "least energy in 1 s" in words
    shown = json.loads(
        CliRunner().invoke(check, ["sim:pi4", "--rate", "50", "--seconds", "0.5", "--json"]).output
    )
    assert shown["sim:pi4"]["counts"]["reads"] > 5
