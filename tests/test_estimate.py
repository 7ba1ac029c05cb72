"""Estimates read as one says them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.text import Estimate, hours_text, number_text


def test_hours_are_said_not_printed() -> None:
    assert hours_text(5.3333) == "5 h 20 min"
    assert hours_text(26.67) == "27 h"
    assert hours_text(60.0) == "2 d 12 h"
    assert hours_text(0.0) == "less than a minute"


def spoken_hours(text: str) -> float:
    words = text.split()
    unit = {"d": 24.0, "h": 1.0, "min": 1 / 60}
    return sum(float(n) * unit[u] for n, u in zip(words[0::2], words[1::2], strict=True))


@given(st.floats(0.5, 5000))
def test_rounding_costs_at_most_what_the_table_promises(hours: float) -> None:
    assert spoken_hours(hours_text(hours)) == pytest.approx(hours, rel=0.0421)


@given(st.floats(1e-6, 1e9))
def test_numbers_keep_three_digits(number: float) -> None:
    assert float(number_text(number)) == pytest.approx(number, rel=0.0051)


def test_an_estimate_tells_its_interval() -> None:
    assert str(Estimate(5.3333, 4.0, 6.7, "h")) == "5 h 20 min (4 h to 6 h 40 min)"
    assert Estimate(2.0, 1.0, 3.0, "Wh").scaled(3600, "J") == Estimate(7200.0, 3600.0, 10800.0, "J")
    assert float(Estimate(2.0, 1.0, 3.0)) == 2.0
