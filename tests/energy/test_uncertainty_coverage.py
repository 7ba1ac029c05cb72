"""A short run of ``benchmarks/uncertainty.py`` at a fixed seed; thousands of chips are run by hand."""

import math
import random

import pytest

from benchmarks.uncertainty import coverage, trial, typical


@pytest.mark.slow
@pytest.mark.parametrize(
    ("load", "rate_hz", "chips", "with_card"),
    [
        ("steady", 10.0, 12, 0.003),
        ("steady", 100.0, 12, 0.003),
        ("steady", 900.0, 5, 0.003),
        ("duty-cycled", 100.0, 12, 0.01),
        ("bursty", 900.0, 4, 0.005),
    ],
)
def test_the_true_energy_lies_within_what_is_printed(load, rate_hz, chips, with_card):
    rng = random.Random(f"{load} {rate_hz} test")
    trials = [trial(load, rate_hz, rng) for _ in range(chips)]
    assert min(coverage(trials)) >= 0.95 - 2.5 * math.sqrt(0.95 * 0.05 / chips)
    assert typical([t.card for t in trials]) <= with_card < typical([t.plain for t in trials]) <= 0.025


def test_the_card_makes_the_interval_narrower_and_not_only_the_error_smaller():
    one = trial("steady", 10.0, random.Random("one"))
    assert one.card_u < 0.3 * one.plain_u
