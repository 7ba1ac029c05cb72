"""What is left, counted in hours, units and outcomes."""

import pytest

from energymeter.battery.battery import Battery
from energymeter.battery.converter import Converter
from energymeter.budget.balance import Balance, Unit, percent_text
from energymeter.budget.forecast import Forecast, Level
from energymeter.text import Estimate


def steady(watts: float) -> Level:
    load = Forecast()
    for _ in range(600):
        load.add(1.0, watts)
    level = load.level()
    assert level is not None
    return level


RAIL = Battery(1000, basis="rail")  # 18 kJ at 5 V
FULL = Balance(RAIL, RAIL.joules, 0.0, 0.10)


def test_a_full_battery() -> None:
    assert FULL.mah.value == pytest.approx(1000)
    assert FULL.rail_joules(None).value == pytest.approx(18_000)
    hours = FULL.hours(steady(5.0))
    assert hours is not None
    assert hours.value == pytest.approx(1.0)
    assert FULL.hours(None) is None


def test_doubt_of_the_capacity_stays_while_the_rest_shrinks() -> None:
    half = FULL.after(9000, 1800)
    assert half.share.value == pytest.approx(0.5)
    assert half.share.high - half.share.low == pytest.approx(FULL.share.high - FULL.share.low)


def test_beyond_empty_nothing_is_left() -> None:
    assert FULL.after(20_000, 100).share.value == 0.0


def test_a_curve_costs_more_at_low_power() -> None:
    battery = Battery(1000, volts=3.7, efficiency=Converter(0.2, 1.1, 0.0), usable=1.0)
    full = Balance(battery, battery.joules, 0.0, 0.1)
    fast, slow = full.after(100, 20), full.after(100, 2000)
    assert slow.taken_joules - fast.taken_joules == pytest.approx(0.2 * 1980)
    assert full.rail_joules(steady(0.2)).value < full.rail_joules(steady(2.0)).value


def test_units() -> None:
    assert Unit.of([]) is None
    assert Unit.of([(10, 0.0)]) is None
    assert Unit.of([(10, 5.0)]) == Unit(0.5, 0.05)
    several = Unit.of([(10, 5.0), (10, 5.2), (20, 10.1)])
    assert several is not None
    assert several.joules == pytest.approx(20.3 / 40)
    assert 0 < several.sigma < 0.05


def test_how_many_more() -> None:
    count = FULL.units_left(Unit(0.5, 0.01), None, "infer")
    assert count is not None
    assert count.value == pytest.approx(36_000)
    assert count.low < 36_000 < count.high
    assert FULL.units_left(None, None, "infer") is None


def test_it_finishes_or_it_stops() -> None:
    unit = Unit(18.0, 0.001)
    good, bad = FULL.outcome(unit, None, 690), FULL.outcome(unit, None, 10_000, done=12)
    assert good is not None
    assert bad is not None
    assert good
    assert good.sure
    assert str(good) == "finishes with 31 % left"
    assert not bad
    assert str(bad) == "stops at step 1012"
    close = FULL.outcome(unit, None, 990)
    assert close is not None
    assert not close.sure
    assert str(close).startswith("probably finishes")
    assert FULL.outcome(None, None, 5) is None


def test_shares_in_words() -> None:
    assert percent_text(Estimate(0.312, 0.24, 0.38)) == "31 % (24 % to 38 %)"


def test_a_balance_shows_what_is_left_with_units() -> None:
    half = FULL.after(9000, 1800)
    assert repr(half) == "<Balance: 50 % (32 % to 72 %) left, 500 mAh (322 to 717) at the rail>"
    assert "<td>500 mAh (322 to 717)</td>" in half._repr_html_()
