"""Figures of a forecast, worked out in another way: by hand, by a fine sum, or for both sides of a limit."""

import math
import statistics

import pytest

from energymeter.battery.capacity import LogNormal
from energymeter.budget.forecast import (
    Block,
    Forecast,
    HoursLeft,
    Level,
    _calm_noise,
    _changes,
    _joined,
    _noise,
    _split,
    hours_left,
    left,
)
from energymeter.text import Estimate

Z95 = statistics.NormalDist().inv_cdf(0.975)
STEADY = Level(watts=4.0, seconds=100.0, noise=0.0, changes=0, change_share=0.0, seen_seconds=100.0)


def blocks(*watts: float, seconds: float = 1.0) -> list[Block]:
    return [Block(seconds, seconds * one) for one in watts]


def about(value: float, low: float, high: float, unit: str = "", *, rel: float = 1e-3) -> tuple[object, ...]:
    return (*(pytest.approx(one, rel=rel) for one in (value, low, high)), unit)


# -- how well a level is known ---------------------------------------------------------------------


def after_the_next_change(changes: int, seen: float, ahead: float) -> float:
    """Mean square share of the time ahead after a change: none comes within t by (T / (T + t)) ** (k + ½)."""
    steps = 20_000
    total = 0.0
    for i in range(steps):
        share = (i + 0.5) / steps  # of the time ahead, at which the change has come
        total += 2 * (1 - share) * (1 - (seen / (seen + ahead * share)) ** (changes + 0.5))
    return total / steps


@pytest.mark.parametrize(
    ("changes", "share", "seen", "ahead"),
    [(0, 0.0, 100.0, 3600.0), (2, 0.4, 700.0, 90.0), (1, 1.5, 50.0, 9e4)],
)
def test_what_a_change_to_come_adds(changes: int, share: float, seen: float, ahead: float) -> None:
    level = STEADY._replace(changes=changes, change_share=share, seen_seconds=seen)
    # half a change more than were seen, of the size that is usual between two programs
    usual = (1 / 6) / 1.5**2
    size = (changes * share**2 + 0.5 * usual) / (changes + 0.5)
    likely = 1.0 if changes else 0.5
    expected = math.sqrt(0.002**2 + size * likely * after_the_next_change(changes, seen, ahead))
    assert level.sigma(ahead) == pytest.approx(min(expected, 1.0), rel=5e-3)


def test_scatter_counts_for_the_level_and_for_the_time_ahead() -> None:
    never = STEADY._replace(seen_seconds=1e12)  # no change to come
    # noise 9 W² s: over 100 s of level and 60 s ahead, 3 √(1/100 + 1/60) W of 4 W
    noisy = never._replace(noise=9.0)
    assert noisy.sigma(60.0) == pytest.approx(math.hypot(0.75 * math.sqrt(1 / 100 + 1 / 60), 0.002), rel=1e-4)
    assert noisy.sigma(1.0) == pytest.approx(
        noisy.sigma(60.0), rel=1e-9
    )  # over less than a minute it no longer grows
    assert noisy.sigma(61.0) < noisy.sigma(60.0)
    assert never.sigma(60.0) == pytest.approx(0.002, rel=1e-4)
    assert never._replace(noise=None).sigma(60.0) == pytest.approx(math.hypot(0.05, 0.002), rel=1e-4)
    assert never._replace(noise=1e9).sigma(60.0) == 1.0  # no less than nothing is known


# -- hours left ------------------------------------------------------------------------------------


def test_what_is_left_of_an_uncertain_total() -> None:
    assert left(100.0, 0.1, 30.0, "J") == about(
        70.0, 100 * math.exp(-0.1 * Z95) - 30, 100 * math.exp(0.1 * Z95) - 30, "J"
    )
    assert left(100.0, 0.1, 100.0).value == 0.0
    assert left(100.0, 0.1, 100.0).high == pytest.approx(100 * math.exp(0.1 * Z95) - 100, rel=1e-4)
    assert left(100.0, 0.1, 95.0).low == 0.0
    assert left(100.0, 0.1, 250.0) == (0.0, 0.0, 0.0, "")  # no battery of this label holds as much


def test_a_device_that_runs_on_has_something_left() -> None:
    normal = statistics.NormalDist()
    alive = 1 - normal.cdf(math.log(1.1) / 0.1)  # of all batteries, those that hold 10 % more than the label
    low, median, high = (
        100 * math.exp(0.1 * normal.inv_cdf(1 - p * alive)) - 110 for p in (0.975, 0.5, 0.025)
    )
    assert left(100.0, LogNormal(0.1), 110.0, running=True) == about(median, low, high)


def test_hours_join_both_doubts_in_squares() -> None:
    level = STEADY._replace(seen_seconds=1e12)  # known to 0.2 %
    assert hours_left(7200.0, 0.0, 0.0, 2.0, level) == about(1.0, 1.0, 1.0, "h", rel=0.005)
    sure = LogNormal(1e-9)
    noisy = level._replace(noise=None)  # 5 %
    factor = math.exp(Z95 * math.hypot(0.05, 0.002))
    assert hours_left(7200.0, sure, 0.0, 2.0, noisy) == about(1.0, 1 / factor, factor, "h")
    spread = left(7200.0, 0.1, 3600.0)
    below, above = spread.value - spread.low, spread.high - spread.value
    assert hours_left(7200.0, 0.1, 3600.0, 2.0, noisy) == about(
        0.5,
        (3600 - math.hypot(below, 3600 * (1 - 1 / factor))) / 7200,
        (3600 + math.hypot(above, 3600 * (factor - 1))) / 7200,
        "h",
    )


def test_hours_of_a_device_that_runs_on_stay_above_nothing() -> None:
    noisy = STEADY._replace(seen_seconds=1e12, noise=None)
    energy = left(100.0, 0.1, 110.0, running=True)
    factor = math.exp(Z95 * math.hypot(0.05, 0.002))
    hours = hours_left(100.0, 0.1, 110.0, 1.0, noisy, running=True)
    below = math.exp(-math.hypot(math.log(energy.value / energy.low), math.log(factor)))
    above = energy.value + math.hypot(energy.high - energy.value, energy.value * (factor - 1))
    assert hours == about(energy.value / 3600, energy.value * below / 3600, above / 3600, "h")


def test_an_interval_that_says_nothing_is_no_answer() -> None:
    kept = Estimate(3.0, 1.0, 30.0, "h")
    assert HoursLeft.of(kept, "wait") == (kept, "")
    assert str(HoursLeft.of(kept, "wait")) == str(kept)
    wide = HoursLeft.of(Estimate(3.0, 1.0, 30.1, "h"), "wait")
    assert wide == (None, "cannot tell yet: anything from 1 h to 30 h; wait")
    assert str(wide) == wide.reason
    assert HoursLeft.of(Estimate(9.0, 1.0, 1000.1, "h"), "wait").reason == (
        "cannot tell yet: anything 1 h or far more; wait"
    )
    assert HoursLeft.of(Estimate(9.0, 1.0, 999.9, "h"), "wait").reason.startswith(
        "cannot tell yet: anything from 1 h"
    )
    assert "from" in HoursLeft.of(Estimate(9.0, 0.0, 9.0, "h"), "wait").reason  # of nothing, all is far more
    assert str(HoursLeft(None, "no battery")) == "unknown: no battery"


# -- levels ----------------------------------------------------------------------------------------


def test_neighbours_are_joined_in_pairs() -> None:
    assert _joined([Block(1.0, 2.0), Block(3.0, 5.0), Block(1.0, 1.0)]) == [Block(4.0, 7.0)]


def test_noise_is_the_scatter_of_means_times_their_length() -> None:
    assert _noise(blocks(1, 3, 1)) is None
    # four batches of 2 s: means 1, 3, 1, 3 about 2, so 4 · 1² · 2 s / 3
    assert _noise(blocks(1, 3, 1, 3, seconds=2.0)) == pytest.approx(8 / 3)
    # eight of 1 s: 8 · 1² / 7; joined in pairs, all alike
    assert _noise(blocks(*[1, 3] * 4)) == pytest.approx(8 / 7)
    # eight of 1 s in steps of two: joined they are 1, 3, 1, 3 of 2 s, which scatter more
    assert _noise(blocks(*[1, 1, 3, 3] * 2)) == pytest.approx(8 / 3)
    # sixteen are joined first: 1, 3 in turn leave nothing
    assert _noise(blocks(*[1, 3] * 8)) == 0.0
    assert _noise(blocks(*[1, 3] * 7, 1)) == pytest.approx(
        sum((w - 29 / 15) ** 2 for w in [*[1, 3] * 7, 1]) / 14
    )


def test_calm_noise_is_by_the_median_step_of_the_batches_that_show_most() -> None:
    assert _calm_noise(blocks(*range(11))) == 0.0  # too few
    # all eleven steps are 1 W: a normal scatter of which the median step is that
    one = (1 / (0.6744898 * math.sqrt(2))) ** 2
    assert _calm_noise(blocks(*range(12), seconds=3.0)) == pytest.approx(3 * one, rel=1e-6)
    # 24: steps of 1 W in 1 s, and of 2 W in the 12 batches of 2 s
    assert _calm_noise(blocks(*range(24))) == pytest.approx(4 * one * 2, rel=1e-6)
    # of an even number of steps, the lower one of the two in the middle
    assert _calm_noise(blocks(*[1, 1] * 3, *[1, 4] * 3, 1)) == 0.0


def test_a_change_needs_size_and_certainty() -> None:
    calm = blocks(*[4.0] * 20)
    assert _changes([*calm, *blocks(*[4.12] * 20)], 0.0) == []  # 3 % is drift
    assert _changes([*calm, *blocks(*[4.13] * 20)], 0.0) == [20]
    assert _changes([*calm, *blocks(*[3.87] * 20)], 0.0) == [20]
    assert _changes(blocks(1, 1, 1, 1, 9, 9, 9, 9), 0.0) == []  # too few to know their scatter
    assert _changes(blocks(1, 1, 1, 1, 9, 9, 9, 9), 1e-6) == [4]
    # a step of 8 W stands 5 standard deviations out of noise: 8² = 25 n (1/4 + 1/4)
    assert _changes(blocks(1, 1, 1, 1, 9, 9, 9, 9), 5.11) == [4]
    assert _changes(blocks(1, 1, 1, 1, 9, 9, 9, 9), 5.13) == []


def test_a_change_needs_four_blocks_on_either_side() -> None:
    assert _split(blocks(1, 1, 1, 9, 9, 9, 9, 9)) == 4
    assert _split(blocks(1, 1, 1, 1, 1, 9, 9, 9)) == 4
    assert _split(blocks(1, 1, 1, 9, 9, 9, 9)) is None
    # by their length, not by their number: 100 s at 1 W, then 1 s at 3 W, then 100 s at 2 W
    uneven = [Block(25.0, 25.0)] * 4 + [Block(0.25, 0.75)] * 4 + [Block(25.0, 50.0)] * 4
    assert _split(uneven) == 4


def test_blocks_are_joined_when_there_are_many_and_grow_with_them() -> None:
    load = Forecast()
    for number in range(127):
        load.add(1.0, float(number))
    assert len(load._blocks) == 127
    load.add(1.0, 127.0)
    assert load._blocks[:2] == [Block(2.0, 1.0), Block(2.0, 5.0)]
    assert len(load._blocks) == 64
    load.add(1.0, 7.0)
    load.add(1.0, 8.0)  # fills the block up to the width of the others
    load.add(1.0, 9.0)
    assert load._blocks[-2:] == [Block(2.0, 15.0), Block(1.0, 9.0)]


def test_a_level_counts_its_changes() -> None:
    load = Forecast()
    for watts in [2.0] * 20 + [4.0] * 20 + [1.0] * 20:
        load.add(1.0, watts)
    level = load.level()
    assert level is not None
    assert (level.watts, level.changes, level.seen_seconds) == (1.0, 2, 60.0)
    assert level.seconds == 20.0
    assert level.change_share == pytest.approx(math.sqrt((2**2 + 3**2) / 2) / 1.0)
    assert level.noise == 0.0
