"""What is read from a gauge's stairs, number by number and on both sides of each limit."""

import math

import pytest

from energymeter.budget.forecast import Z95
from energymeter.budget.gauge_log import (
    _SLIP,
    _SLOPE_SIGMA,
    _full,
    _further,
    _jitter,
    _line,
    _spreads,
    _step,
    _stretches,
    hours_from_gauge,
    left_by_gauge,
)


def rows(*levels: float) -> list[tuple[float, float]]:
    return [(60.0 * number, level) for number, level in enumerate(levels)]


def test_a_step_is_the_median_of_the_moves() -> None:
    assert _step(rows(9, 9, 9)) == 0.0
    assert _step(rows(9, 8, 8, 7, 4)) == 1.0
    assert _step(rows(9, 8, 10)) == 2.0  # of two the larger one
    assert _step(rows(1)) == _step([]) == 0.0


def test_jitter_is_one_step_or_three_times_the_usual_rise() -> None:
    rising = [10, 12, 9, 11, 8, 10, 7, 9, 6]
    assert _jitter([*rising, 5], 1.0) == 1.0  # four rises
    assert _jitter([*rising, 8, 5], 1.0) == 3 * 2.0  # five, all of 2
    assert _jitter([*rising, 8, 5], 7.0) == 7.0
    # a rise may take several readings, and a level one in between does not end it
    assert _jitter([0, 1, 1, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0], 1.0) == 3 * 4.0
    # one that has not ended yet is none
    assert _jitter([10, 12, 9, 11, 8, 10, 7, 9, 6, 8], 1.0) == 1.0
    assert _jitter([0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0], 1.0) == 3 * 4.0  # of six the upper middle one


def test_it_was_full_where_it_last_stood_highest() -> None:
    assert _full(rows(5, 9, 9, 8, 7), 1.0) == 2
    assert _full(rows(9, 8, 9, 7), 1.0) == 2  # within its jitter it was not charged
    assert _full(rows(9, 8, 7, 8, 7), 1.0) == 0
    assert _full(rows(9, 5, 8, 7), 1.0) == 2
    assert _full(rows(9, 7, 8, 7), 1.0) == 0  # 7 lies no more than 1 below 8
    assert _full(rows(9), 1.0) == 0


def test_the_line_weighs_each_reading_by_its_time() -> None:
    assert _line(rows(10, 8, 6)) == pytest.approx((6.0, -2 / 60))
    assert _line([(0.0, 5.0)]) == (5.0, 0.0)
    # weights 5, 55 and 50 s at 0, 10 and 110 s
    uneven = [(0.0, 10.0), (10.0, 8.0), (110.0, 2.0)]
    mid, mean = (0 * 5 + 10 * 55 + 110 * 50) / 110, (10 * 5 + 8 * 55 + 2 * 50) / 110
    over = sum(w * (t - mid) * (v - mean) for w, (t, v) in zip((5, 55, 50), uneven, strict=True))
    slope = over / sum(w * (t - mid) ** 2 for w, (t, _) in zip((5, 55, 50), uneven, strict=True))
    assert _line(uneven) == pytest.approx((mean + slope * (110 - mid), slope))


def test_the_bounds_of_a_slope() -> None:
    low, high = _spreads(above=30.0, fell=20.0, step=1.0)
    slope = math.hypot(_SLOPE_SIGMA, 1 / 20 / math.sqrt(6))  # each end is rounded to a step
    assert low == pytest.approx(math.exp(Z95 * slope))
    assert high == pytest.approx(math.exp(Z95 * math.hypot(slope, _SLIP * 30 / 20)))
    assert _spreads(1e9, 1.0, 1.0)[1] == math.exp(50.0)


def test_how_far_it_must_fall_yet_makes_the_interval_narrow() -> None:
    further = _further(above=90.0, fell=2.0, step=1.0)
    assert 0 < further < 90
    assert math.prod(_spreads(90 - further, 2 + further, 1.0)) == pytest.approx(30.0, rel=1e-6)
    assert _further(above=1.0, fell=80.0, step=1.0) == pytest.approx(0.0, abs=1e-9)


def test_hours_of_a_gauge() -> None:
    times, levels = [600.0 * n for n in range(31)], [100.0 - n for n in range(31)]  # 1 % in ten minutes
    hours = hours_from_gauge(times, levels)
    assert hours is not None
    low, high = _spreads(70.0, 30.0, 1.0)
    assert (hours.value, hours.low, hours.high, hours.unit) == (
        pytest.approx(70 / 6),
        pytest.approx(70 / 6 / low),
        pytest.approx(70 / 6 * high),
        "h",
    )
    dies = hours_from_gauge(times, levels, empty=10.0)
    assert dies is not None
    assert dies.value == pytest.approx(60 / 6)


def test_a_reading_hides_half_a_step() -> None:
    """Long stairs: the line lies above the last reading by more than the half of a step that it can hide."""
    times = [600.0 * n for n in range(21)] + [12_660.0]
    levels = [100.0 - n for n in range(21)] + [75.0]
    hours = hours_from_gauge(times, levels)
    assert hours is not None
    line, slope = _line(list(zip(times, levels, strict=True)))
    assert line > 75.5
    assert hours.value == pytest.approx(75.5 / -slope / 3600)


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        ([50, 50, 50], "nothing was discharged; log on while it runs"),
        ([50, 49, 49], "nothing was discharged; log on while it runs"),  # by no more than a step
        (
            [7, 6, 5],
            "cannot tell: the gauge reads 5 %, where it should be empty (5 %), and the device still runs",
        ),
    ],
)
def test_no_hours_for_a_reason(levels: list[float], reason: str) -> None:
    times = [600.0 * n for n in range(len(levels))]
    found = left_by_gauge(times, levels, empty=5.0, unit=" %")
    assert found.hours is None
    assert found.reason.startswith(reason)


def test_rows_without_a_level_or_back_in_time_are_left_out() -> None:
    plain = hours_from_gauge([0.0, 60.0, 120.0, 180.0], [90.0, 80.0, 70.0, 60.0])
    odd = hours_from_gauge(
        [0.0, 60.0, 60.0, 90.0, 50.0, 120.0, 180.0], [90.0, 80.0, 10.0, math.nan, 10.0, 70.0, 60.0]
    )
    assert plain is not None
    assert plain == odd


def test_stretches_are_from_one_reading_to_the_next() -> None:
    assert list(_stretches([0.0, 1.0, 2.0, 2.0, 3.0], [2.0, 4.0, math.nan, 6.0, 8.0])) == [
        (1.0, 3.0),
        (1.0, 5.0),
        (1.0, 7.0),
    ]
    assert list(_stretches([0.0, 5.0, 4.0], [1.0, 1.0, 1.0])) == [(5.0, 1.0)]  # back is no time
    assert list(_stretches([], [])) == []
