"""The load's level: steady, changed, rhythmic; and hours left against real discharges."""

import math
import random

import pytest
from devices.real_recordings import rows, running_integral
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.budget_intervals import LOADS, coverage
from energymeter.battery.battery import Battery
from energymeter.budget.balance import Balance
from energymeter.budget.forecast import Block, Forecast, Level, _split, hours_left, left


def level_of(powers: list[float], seconds: float = 1.0) -> Level:
    load = Forecast()
    for watts in powers:
        load.add(seconds, watts * seconds)
    level = load.level()
    assert level is not None
    return level


def test_no_load_is_none_and_never_infinity() -> None:
    load = Forecast()
    assert load.level() is None
    load.add(0.0, 5.0)
    assert load.level() is None
    load.add(60.0, 0.0)
    assert load.level() is None


@given(st.lists(st.tuples(st.floats(0.01, 100), st.floats(0.5, 2)), min_size=1, max_size=600))
def test_the_mean_is_weighted_by_time(stretches: list[tuple[float, float]]) -> None:
    load = Forecast()
    for seconds, watts in stretches:
        load.add(seconds, watts * seconds)
    level = load.level()
    assert level is not None
    if level.changes == 0:
        total = sum(s for s, _ in stretches)
        assert level.seconds == pytest.approx(total)
        assert level.watts == pytest.approx(sum(s * w for s, w in stretches) / total)


def test_memory_is_constant() -> None:
    load = Forecast()
    for _ in range(20_000):
        load.add(0.1, 0.3)
    level = load.level()
    assert level is not None
    assert len(load._blocks) < 128
    assert (level.watts, level.seconds) == pytest.approx((3.0, 2000.0))


def test_only_the_load_since_the_change_counts() -> None:
    rng = random.Random(1)
    level = level_of([rng.gauss(3, 0.06) for _ in range(300)] + [rng.gauss(6, 0.1) for _ in range(100)])
    assert level.watts == pytest.approx(6.0, rel=0.01)
    assert level.changes == 1
    assert level.seconds == pytest.approx(100, abs=8)


@given(st.lists(st.sampled_from([2.0, 3.0, 4.5, 6.5]), min_size=2, max_size=4), st.integers(0, 99))
def test_changes_do_not_hide_each_other(levels: list[float], seed: int) -> None:
    """However many came before: only the load since the last one counts."""
    rng = random.Random(seed)
    rise = [0, *(i for i in range(1, len(levels)) if levels[i] != levels[i - 1])]
    level = level_of([rng.gauss(watts, 0.02 * watts) for watts in levels for _ in range(120)])
    assert level.changes == len(rise) - 1
    assert level.watts == pytest.approx(levels[-1], rel=0.01)
    assert level.seconds == pytest.approx((len(levels) - rise[-1]) * 120, abs=16)
    steps = [levels[i] - levels[i - 1] for i in rise[1:]]
    if steps:
        root_mean_square = math.sqrt(sum(step**2 for step in steps) / len(steps))
        assert level.change_share == pytest.approx(root_mean_square / levels[-1], rel=0.1)


def test_a_calm_stretch_does_not_make_changes_of_the_bursts_after_it() -> None:
    rng = random.Random(4)
    bursts = [watts for _ in range(160) for watts in [rng.choice([3.0, 3.0, 3.0, 6.0])] * 30]
    level = level_of([2.0] * 4800 + bursts)
    assert level.changes == 1
    assert level.watts == pytest.approx(sum(bursts) / len(bursts), rel=0.03)


def test_chance_is_seldom_a_change() -> None:
    """White scatter of 10 %: by chance in fewer than one check of a hundred."""
    rng = random.Random(3)
    looks = [level_of([rng.gauss(5, 0.5) for _ in range(n)]) for n in range(20, 127) for _ in range(3)]
    assert sum(level.changes > 0 for level in looks) <= 3


def test_a_rhythm_is_no_change() -> None:
    level = level_of(([8.0] * 30 + [2.0] * 270) * 12)
    assert level.changes == 0
    assert level.watts == pytest.approx(2.6, rel=0.01)


def test_warming_up_is_no_change() -> None:
    assert level_of([5.0] * 100 + [5.1] * 100).changes == 0


def test_more_scatter_less_trust() -> None:
    rng = random.Random(2)
    calm, wild = ([rng.gauss(5, s) for _ in range(200)] for s in (0.05, 1.0))
    assert level_of(calm).sigma(3600) < level_of(wild).sigma(3600)
    changed = level_of([3.0] * 60 + [6.0] * 60)
    assert changed.sigma(3600) > level_of([6.0] * 60).sigma(3600)
    assert level_of([5.0, 5.0]).noise is None


@given(st.floats(1, 1e6), st.floats(0.01, 0.3), st.floats(0, 2))
def test_what_is_left_is_never_negative(total: float, sigma: float, share: float) -> None:
    estimate = left(total, sigma, share * total)
    assert 0 <= estimate.low <= estimate.value <= estimate.high


@given(st.floats(1, 1e6), st.floats(0.01, 0.3), st.floats(0, 2), st.floats(0.1, 50))
def test_hours_lie_in_their_interval(total: float, sigma: float, share: float, watts: float) -> None:
    hours = hours_left(total, sigma, share * total, watts, level_of([watts] * 60))
    assert 0 <= hours.low <= hours.value <= hours.high < math.inf


@pytest.mark.parametrize("load", LOADS)
def test_intervals_hold_the_truth_as_often_as_they_say(load: str) -> None:
    """A short look, ± 4 standard errors of 150 trials; `make bench` prints the long one."""
    assert coverage(load, 150) >= 0.88


def test_intervals_are_not_merely_wide() -> None:
    assert sum(coverage(load, 100, seed=2) for load in LOADS) / len(LOADS) < 0.995


# -- real discharges ---------------------------------------------------------------------------------


def test_a_pi_4_on_its_ups_down_to_one_percent() -> None:
    """4.12 h: within 2 % given the true total; the true end inside the interval at ±10 %."""
    table = [
        [float(word) for word in row]
        for row in rows("traces/rpi4_ups_discharge/batt_log_2021-04-28_203426.csv")
    ]
    times, watts = [row[0] for row in table], [row[2] / 1000 for row in table]
    drawn = running_integral(times, watts)
    lasted = times[-1] - times[0]
    assert (drawn[-1] / 3600, lasted / 3600) == pytest.approx((33.593, 4.120), rel=1e-4)
    battery = Battery(drawn[-1] / 3.6 / 3.7, volts=3.7, efficiency=1.0, usable=1.0)
    load, wanted = Forecast(), [0.10, 0.25, 0.50]
    for i in range(1, len(times)):
        load.add(times[i] - times[i - 1], drawn[i] - drawn[i - 1])
        if wanted and times[i] - times[0] >= wanted[0] * lasted:
            del wanted[0]
            truth = (times[-1] - times[i]) / 3600
            for error in (-0.10, 0.0, 0.10):
                label = battery.with_(mah=battery.mah * (1 + error))
                so_far = Balance(label, label.joules, 0.0, 0.10).after(drawn[i], times[i] - times[0])
                hours = so_far.hours(load.level())
                assert hours is not None
                assert hours.low <= truth <= hours.high
                if error == 0:
                    assert hours.value == pytest.approx(truth, rel=0.02)
    assert not wanted


def test_a_jetson_over_a_day_at_every_point_after_the_first_minute() -> None:
    """20 Wh out of 24 h at idle: at most 1 % wrong until the last ten seconds."""
    table = [
        (float(t), float(mw) / 1000) for t, mw in rows("traces/e2fl/jetson_power_log_24h_20250131.csv.gz")
    ]
    table = table[: next(i for i, (t, _) in enumerate(table) if t > 4.2 * 3600)]
    times = [t for t, _ in table]
    drawn = running_integral(times, [w for _, w in table])
    total = 20 * 3600.0
    end = next(i for i, joules in enumerate(drawn) if joules >= total)
    load, worst, asked = Forecast(), 0.0, 0
    for i in range(1, end):
        load.add(times[i] - times[i - 1], drawn[i] - drawn[i - 1])
        truth = times[end] - times[i]
        if times[i] >= 60 and truth >= 10 and i % 10 == 0:
            level = load.level()
            assert level is not None
            worst = max(worst, abs((total - drawn[i]) / level.watts / truth - 1))
            asked += 1
    assert asked > 2000
    assert worst < 0.01


def test_the_change_that_most_time_lies_on_either_side_of_is_found_first() -> None:
    """A large step at the end says less than a smaller one in the middle."""
    levels = [1.0] * 50 + [2.0] * 47 + [4.5] * 3
    assert _split([Block(1.0, watts) for watts in levels]) == 50
    assert _split([Block(1.0, 1.0)] * 20) is None
