"""Balances and forecasts by exact numbers: both bounds of each interval, worked out by hand."""

import math

import pytest

from energymeter.battery import Battery
from energymeter.budget.balance import Balance, Unit
from energymeter.budget.forecast import SHORT_WINDOW, Z95, Forecast, Level, hours_left, left

RAIL = Battery(1000.0, volts=5.0, basis="rail")
JOULES = 18_000.0
"""1 Ah at 5 V."""


def balance(taken: float = 3_000.0, sigma: float = 0.1) -> Balance:
    return Balance(RAIL, JOULES, taken, sigma)


def level(watts: float = 2.0, noise: float | None = 0.0, seconds: float = 1e9) -> Level:
    """A load that has been seen for so long that little is unknown of it."""
    return Level(watts, seconds, noise, 0, 0.0, seconds)


def test_what_is_left_has_two_bounds_of_a_log_normal_distribution() -> None:
    spread = math.exp(Z95 * 0.1)
    found = left(JOULES, 0.1, 3_000.0, "J")
    assert found == pytest.approx((JOULES - 3_000, JOULES / spread - 3_000, JOULES * spread - 3_000, "J"))
    assert left(JOULES, 0.1, 16_000.0).low == 0.0, "less than nothing is left nowhere"


def test_units_left_join_both_doubts_on_both_sides() -> None:
    unit = Unit(10.0, 0.05)
    rail = left(JOULES, 0.1, 3_000.0)
    spread = rail.value * 0.05 * Z95
    found = balance().units_left(unit, None, "steps")
    assert found is not None
    assert found.value == pytest.approx(1_500.0)
    assert found.low == pytest.approx((rail.value - math.hypot(rail.value - rail.low, spread)) / 10)
    assert found.high == pytest.approx((rail.value + math.hypot(rail.high - rail.value, spread)) / 10)


def test_an_outcome_has_its_share_and_its_last_step_on_both_sides() -> None:
    unit, steps, done = Unit(10.0, 0.05), 1_000, 200
    rail, need = left(JOULES, 0.1, 3_000.0), 10_000.0
    spread = need * 0.05 * Z95
    found = balance().outcome(unit, None, steps, done)
    assert found is not None
    assert found.finishes
    assert found.share_left.value == pytest.approx((rail.value - need) / JOULES)
    assert found.share_left.low == pytest.approx(
        (rail.value - need - math.hypot(rail.value - rail.low, spread)) / JOULES
    )
    assert found.share_left.high == pytest.approx(
        (rail.value - need + math.hypot(rail.high - rail.value, spread)) / JOULES
    )
    last = rail.value * 0.05 * Z95
    low = rail.value - math.hypot(rail.value - rail.low, last)
    high = rail.value + math.hypot(rail.high - rail.value, last)
    assert found.stops_at[:3] == (done + 1_500, math.floor(done + low / 10), math.floor(done + high / 10))


def test_a_lower_bound_is_never_below_nothing() -> None:
    found = balance(taken=17_500.0, sigma=0.3).units_left(Unit(1.0, 0.5), None, "steps")
    assert found is not None
    assert found.low == 0.0
    assert found.value == pytest.approx(500.0)


def test_one_stretch_of_units_is_as_uncertain_as_a_short_window() -> None:
    assert Unit.of([(4, 20.0)]) == (5.0, SHORT_WINDOW)
    many = Unit.of([(1, 4.0), (1, 6.0), (2, 10.0)])
    assert many is not None
    assert many.joules == 5.0
    scatter = (1 * 1.0 + 1 * 1.0 + 2 * 0.0) / 2
    assert many.sigma == pytest.approx(math.sqrt(scatter / 4) / 5.0)


def test_hours_left_join_the_capacity_and_the_load_on_both_sides() -> None:
    load = level(2.0, seconds=3600.0)
    energy = left(JOULES, 0.1, 3_000.0)
    seconds = energy.value / 2.0
    spread = math.exp(Z95 * load.sigma(max(seconds, energy.high / 2.0 / 2)))
    found = hours_left(JOULES, 0.1, 3_000.0, 2.0, load)
    assert found.value == pytest.approx(energy.value / 2.0 / 3600)
    low = energy.value - math.hypot(energy.value - energy.low, energy.value * (1 - 1 / spread))
    high = energy.value + math.hypot(energy.high - energy.value, energy.value * (spread - 1))
    assert (found.low, found.high) == pytest.approx((low / 7200, high / 7200))
    assert spread > 1.05, "a load may change: the interval is wider than the capacity alone"
    assert found.low < energy.low / 7200
    assert found.high > energy.high / 7200


def test_the_uncertainty_of_a_load_ahead_is_the_sum_of_its_three_parts() -> None:
    # noise 0.04 W² s over 100 s seen and 400 s ahead; no change seen in 100 s
    load = Level(2.0, 100.0, 0.04, 0, 0.0, 100.0)
    noise = math.sqrt(0.04 * (1 / 100 + 1 / 400)) / 2.0
    ratio, power = 4.0, 0.5
    places = [(i + 0.5) / 16 for i in range(16)]
    after = sum(2 * (1 - s) * (1 - (1 + ratio * s) ** -power) for s in places) / 16
    change = (1 / math.sqrt(6) / 1.5) ** 2 * 0.5 * after
    assert load.sigma(400.0) == pytest.approx(math.sqrt(noise**2 + 0.002**2 + change))


def test_a_load_that_steps_is_forecast_from_its_last_level() -> None:
    load = Forecast()
    for _ in range(40):
        load.add(1.0, 2.0)
    for _ in range(40):
        load.add(1.0, 5.0)
    found = load.level()
    assert found is not None
    assert found.watts == pytest.approx(5.0)
    assert found.changes == 1
    assert found.change_share == pytest.approx(0.6)
    assert found.seen_seconds == pytest.approx(80.0)
    assert found.seconds == pytest.approx(40.0, abs=1.0)
