"""When a job is cleanest: never worse than any start a brute search finds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.carbon.intensity import Intensities
from energymeter.carbon.schedule import cleanest
from energymeter.errors import GridError, SpecError

START = 1_790_000_000.0 - 1_790_000_000.0 % 1800
DAY = [300.0, 250.0, 100.0, 80.0, 200.0, 400.0]


def forecast(values: list[float]) -> Intensities:
    return Intensities.half_hours(START, values, zone="GB", source="a test")


def test_the_cleanest_hour() -> None:
    advice = cleanest(forecast(DAY), watt_hours=50, hours=1)
    assert advice.best.start == START + 2 * 1800
    assert advice.best.grams == pytest.approx(0.050 * 90)
    assert advice.immediate.grams == pytest.approx(0.050 * 275)
    assert advice.worst.start == START + 4 * 1800
    assert advice.saved_grams == pytest.approx(0.050 * 185)


def test_the_end_may_meet_an_edge_instead_of_the_start() -> None:
    advice = cleanest(forecast([300, 100, 50, 400]), watt_hours=1, hours=0.75)
    assert advice.best.end == START + 3 * 1800
    assert advice.best.grams_per_kwh == pytest.approx((900 * 100 + 1800 * 50) / 2700)


def test_bounds_are_kept() -> None:
    advice = cleanest(forecast(DAY), watt_hours=50, hours=0.5, after=START + 100, before=START + 3500)
    assert advice.immediate.start == START + 100
    assert advice.best.start >= START + 100
    assert advice.best.end <= START + 3500


def test_of_equal_windows_the_earliest() -> None:
    advice = cleanest(forecast([100] * 6), watt_hours=1, hours=1)
    assert advice.best.start == START
    assert advice.worst.start == START
    late = cleanest(forecast([100, 300, 300, 100, 300, 300]), watt_hours=1, hours=1)
    assert late.worst.start == START + 1800


def test_a_job_that_does_not_fit() -> None:
    with pytest.raises(GridError, match="does not fit"):
        cleanest(forecast(DAY), watt_hours=1, hours=4)


@pytest.mark.parametrize(
    ("watt_hours", "hours"), [(0, 1), (1, 0), (-1, 1), (float("nan"), 1), (1, float("inf"))]
)
def test_a_job_has_energy_and_length(watt_hours: float, hours: float) -> None:
    with pytest.raises(SpecError):
        cleanest(forecast(DAY), watt_hours=watt_hours, hours=hours)


@given(st.lists(st.floats(0, 900), min_size=4, max_size=12), st.floats(0.1, 2.0), st.integers(0, 99))
def test_no_other_start_is_cleaner(values: list[float], hours: float, percent: int) -> None:
    expected = forecast(values)
    advice = cleanest(expected, watt_hours=100, hours=hours)
    start = START + (len(values) * 1800 - hours * 3600) * percent / 100
    other = 0.1 * expected.mean(start, start + hours * 3600)
    assert advice.best.grams <= other + 1e-6
    assert advice.worst.grams >= other - 1e-6
