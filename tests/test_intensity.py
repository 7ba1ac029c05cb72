"""Intensity over time: every joule meets the intensity of its own half-hour."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.errors import GridError, SpecError
from energymeter.intensity import Intensities, Slot, parse_time

START = 1_790_000_000.0 - 1_790_000_000.0 % 1800


def made(values: list[float]) -> Intensities:
    return Intensities.half_hours(START, values, place="GB", said_by="a test")


def test_a_steady_draw_meets_the_mean() -> None:
    assert made([100, 300]).mean(START + 900, START + 3600) == pytest.approx((900 * 100 + 1800 * 300) / 2700)


def test_each_half_hour_by_its_own_intensity() -> None:
    # 10 J in the first half-hour, 30 J in the second.
    grams = made([100, 500]).weighted_mean(START, [0.0, 1800.0, 3600.0], [0.0, 10.0, 40.0])
    assert grams == pytest.approx((10 * 100 + 30 * 500) / 40)


def test_a_sample_that_straddles_the_edge_is_shared() -> None:
    # 100 J evenly from 600 s before the edge to 1800 s after it.
    grams = made([100, 500]).weighted_mean(START, [1200.0, 3600.0], [5.0, 105.0])
    assert grams == pytest.approx(0.25 * 100 + 0.75 * 500)


def test_numpy_columns_are_columns() -> None:
    times, joules = np.array([0.0, 1800.0, 3600.0]), np.array([0.0, 10.0, 40.0])
    assert made([100, 500]).weighted_mean(START, times, joules) == pytest.approx(400)


def test_no_energy_meets_the_intensity_of_its_moment() -> None:
    assert made([100, 500]).weighted_mean(START, [2000.0, 2001.0], [7.0, 7.0]) == 500
    assert made([100, 500]).weighted_mean(START, [2000.0], [7.0]) == 500


def test_what_is_not_covered_is_an_error() -> None:
    holed = Intensities(
        [Slot(START, START + 1800, 100), Slot(START + 3600, START + 5400, 200)], place="GB", said_by="a test"
    )
    for start, end in ((-10.0, 10.0), (1000.0, 2000.0), (2000.0, 2100.0), (5000.0, 6000.0), (9000.0, 9001.0)):
        with pytest.raises(GridError, match=r"a test covers .* fetch the intensities of the whole run"):
            holed.mean(START + start, START + end)
    assert holed.mean(START + 3600, START + 5400) == 200


@pytest.mark.parametrize(
    ("slots", "says"),
    [
        ([], "no intensities"),
        ([Slot(0, 10, 1), Slot(5, 15, 1)], "two intensities"),
        ([Slot(0, 10, float("nan"))], "nan g/kWh"),
        ([Slot(0, 10, -1)], "-1 g/kWh"),
        ([Slot(10, 10, 1)], "not used"),
    ],
)
def test_what_cannot_be_intensities(slots: list[Slot], says: str) -> None:
    with pytest.raises(GridError, match=says):
        Intensities(slots, place=None, said_by="a test")


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
    mean = intensities.mean(START + after, START + after + seconds)
    weighted = intensities.weighted_mean(START, [after, after + seconds], [0.0, watts * seconds])
    assert weighted == pytest.approx(mean, rel=1e-6, abs=1e-6)
    assert min(grams) - 1e-6 <= weighted <= max(grams) + 1e-6


@given(values, st.lists(st.floats(0.01, 100), min_size=2, max_size=8))
def test_cutting_a_run_in_two_changes_nothing(grams: list[float], steps: list[float]) -> None:
    times = [6000.0 * i / len(steps) for i in range(len(steps) + 1)]
    joules = [0.0]
    for step in steps:
        joules.append(joules[-1] + step)
    cut = len(steps) // 2
    intensities = made(grams)
    whole = intensities.weighted_mean(START, times, joules) * joules[-1]
    first = intensities.weighted_mean(START, times[: cut + 1], joules[: cut + 1]) * joules[cut]
    second = intensities.weighted_mean(START, times[cut:], joules[cut:]) * (joules[-1] - joules[cut])
    assert first + second == pytest.approx(whole, rel=1e-6, abs=1e-6)
