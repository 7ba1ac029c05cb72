"""Intensity over time: every joule meets the intensity of its own half-hour."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.carbon.intensity import Intensities, Slot, parse_time
from energymeter.errors import GridError, SpecError

START = 1_790_000_000.0 - 1_790_000_000.0 % 1800


def made(values: list[float]) -> Intensities:
    return Intensities.half_hours(START, values, zone="GB", source="a test")


def test_a_steady_draw_meets_the_mean() -> None:
    assert made([100, 300]).mean(START + 900, START + 3600) == pytest.approx((900 * 100 + 1800 * 300) / 2700)


def test_each_half_hour_by_its_own_intensity() -> None:
    # 10 J in the first half-hour, 30 J in the second.
    drawn = {START: 10.0, START + 1800: 30.0}
    mean = made([100, 500]).weighted_mean(START, START + 3600, lambda start, end: drawn[start])
    assert mean == pytest.approx((10 * 100 + 30 * 500) / 40)


def test_no_energy_meets_the_mean_of_its_time() -> None:
    assert made([100, 500]).weighted_mean(START + 900, START + 2700, lambda start, end: 0.0) == 300


def test_what_is_not_covered_is_an_error() -> None:
    holed = Intensities(
        [Slot(START, START + 1800, 100), Slot(START + 3600, START + 5400, 200)], zone="GB", source="a test"
    )
    for start, end in ((-10.0, 10.0), (1000.0, 2000.0), (2000.0, 2100.0), (5000.0, 6000.0), (9000.0, 9001.0)):
        with pytest.raises(GridError, match=r"a test covers .* get the intensities of the whole run"):
            holed.mean(START + start, START + end)
    assert holed.mean(START + 3600, START + 5400) == 200


@pytest.mark.parametrize(
    ("slots", "says"),
    [
        ([], "no intensities"),
        ([Slot(0, 10, 1), Slot(5, 15, 1)], "two intensities"),
        ([Slot(0, 10, float("nan"))], "nan g/kWh"),
        ([Slot(0, 10, -1)], "-1 g/kWh"),
        ([Slot(10, 10, 1)], "correct or remove it"),
    ],
)
def test_what_cannot_be_intensities(slots: list[Slot], says: str) -> None:
    with pytest.raises(GridError, match=says):
        Intensities(slots, zone=None, source="a test")


def test_a_stretch_runs_forward() -> None:
    with pytest.raises(SpecError):
        made([1]).mean(START, START)
    with pytest.raises(SpecError):
        list(made([1]).split(START + 10, START))


@pytest.mark.parametrize("text", ["2026-11-22T14:30Z", "2026-11-22T14:30:00.000Z", "2026-11-22T15:30+01:00"])
def test_times_name_their_zone(text: str) -> None:
    assert parse_time(text) == 1795357800.0
    with pytest.raises(ValueError, match="names no time zone"):
        parse_time("2026-11-22T14:30")


values = st.lists(st.floats(0, 1000), min_size=4, max_size=12)


@given(values, st.floats(0, 3600), st.floats(1, 3600), st.floats(0.5, 20))
def test_a_constant_draw_weighs_by_time(
    grams: list[float], after: float, seconds: float, watts: float
) -> None:
    intensities = made(grams)
    start, end = START + after, START + after + seconds
    weighted = intensities.weighted_mean(start, end, lambda a, b: watts * (b - a))
    assert weighted == pytest.approx(intensities.mean(start, end), rel=1e-6, abs=1e-6)
    assert min(grams) - 1e-6 <= weighted <= max(grams) + 1e-6


@given(values, st.floats(600, 6000))
def test_cutting_a_run_in_two_changes_nothing(grams: list[float], cut: float) -> None:
    def ramp(start: float, end: float) -> float:
        return (end - START) ** 2 - (start - START) ** 2

    intensities, middle, end = made(grams), START + cut, START + 7000
    whole = intensities.weighted_mean(START, end, ramp) * ramp(START, end)
    first = intensities.weighted_mean(START, middle, ramp) * ramp(START, middle)
    second = intensities.weighted_mean(middle, end, ramp) * ramp(middle, end)
    assert first + second == pytest.approx(whole, rel=1e-6, abs=1e-3)
