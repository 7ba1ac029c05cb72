"""Figures of a balance and of a sagging voltage, by hand and on both sides of each limit."""

import math

import pytest

from energymeter.battery import ocv
from energymeter.battery.battery import Battery
from energymeter.budget.balance import Balance, Outcome, Unit, percent_text
from energymeter.budget.forecast import SHORT_WINDOW, Z95, Level
from energymeter.budget.voltage import Sag, sag_of
from energymeter.text import Estimate

PLAIN = Battery(1000, volts=2.0, efficiency=1.0, usable=1.0)  # 7200 J
LEVEL = Level(2.0, 100.0, 0.0, 0, 0.0, 1e12)


def balance(taken: float, sigma: float = 1e-9) -> Balance:
    return Balance(PLAIN, 7200.0, taken, sigma)


def test_a_unit_is_a_mean_with_its_scatter() -> None:
    assert Unit.of([]) is None
    assert Unit.of([(0, 5.0)]) is None
    assert Unit.of([(3, 0.0)]) is None
    assert Unit.of([(4, 8.0)]) == (2.0, SHORT_WINDOW)
    # 2 J each of ten, one stretch of 4 at 1.5 J, one of 6 at 7/3 J
    scatter = 4 * 0.5**2 + 6 * (7 / 3 - 2) ** 2
    assert Unit.of([(4, 6.0), (6, 14.0)]) == pytest.approx((2.0, math.sqrt(scatter / 10) / 2))
    assert Unit.of([(1, 1.0), (1, 3.0), (1, 2.0)]) == pytest.approx((2.0, math.sqrt((1 + 1) / 2 / 3) / 2))


def test_what_is_left_in_each_unit() -> None:
    left = balance(1800.0)
    assert left.share[:3] == pytest.approx((0.75, 0.75, 0.75), rel=1e-6)
    assert left.mah[:3] == pytest.approx((750.0, 750.0, 750.0), rel=1e-6)
    assert left.rail_joules(LEVEL)[:3] == pytest.approx((5400.0, 5400.0, 5400.0), rel=1e-6)
    assert left.after(600.0, 1.0).taken_joules == 2400.0
    assert str(left) == f"{percent_text(left.share)} left, {left.mah}"
    assert percent_text(Estimate(0.314, 0.24, 0.38)) == "31 % (24 % to 38 %)"


def test_units_left_join_both_doubts_in_squares() -> None:
    unit, left = Unit(10.0, 0.03), balance(0.0, 0.1)
    rail = left.rail_joules(LEVEL)
    spread = 7200 * 0.03 * Z95
    found = left.units_left(unit, LEVEL, "runs")
    assert found == (
        pytest.approx(720.0),
        pytest.approx((7200 - math.hypot(7200 - rail.low, spread)) / 10),
        pytest.approx((7200 + math.hypot(rail.high - 7200, spread)) / 10),
        "runs",
    )
    assert left.units_left(None, LEVEL, "runs") is None
    assert balance(0.0).units_left(Unit(10.0, 5.0), LEVEL, "runs").low == 0.0  # type: ignore[union-attr]


def test_whether_a_loop_gets_through() -> None:
    left = balance(1200.0, 0.05)  # 6000 J
    rail = left.rail_joules(LEVEL)
    assert left.outcome(None, LEVEL, 5) is None
    outcome = left.outcome(Unit(10.0, 0.02), LEVEL, steps=450, done=50)
    assert outcome is not None
    spread = 4500 * 0.02 * Z95
    assert outcome.finishes
    assert outcome.share_left[:3] == pytest.approx(
        (
            1500 / 7200,
            (1500 - math.hypot(6000 - rail.low, spread)) / 7200,
            (1500 + math.hypot(rail.high - 6000, spread)) / 7200,
        )
    )
    spread = 6000 * 0.02 * Z95
    assert outcome.stops_at[:3] == (
        650.0,
        math.floor(50 + (6000 - math.hypot(6000 - rail.low, spread)) / 10),
        math.floor(50 + (6000 + math.hypot(rail.high - 6000, spread)) / 10),
    )
    exact = balance(1200.0).outcome(Unit(10.0, 0.0), LEVEL, steps=600)
    assert exact is not None
    assert exact.finishes
    assert not balance(1200.0).outcome(Unit(10.0, 0.0), LEVEL, steps=601)


@pytest.mark.parametrize(
    ("low", "high", "finishes", "text"),
    [
        (0.0, 0.2, True, "finishes with 10 % left"),
        (-0.01, 0.2, True, "probably finishes with 10 % left"),
        (-0.2, -0.01, False, "stops at step 7"),
        (-0.2, 0.0, False, "probably stops at step 7"),
    ],
)
def test_an_outcome_says_how_sure_it_is(low: float, high: float, finishes: bool, text: str) -> None:
    assert str(Outcome(finishes, Estimate(0.1, low, high), Estimate(7.0, 6.0, 8.0))) == text


def test_no_hours_for_a_reason() -> None:
    assert balance(0.0).forecast(None).reason == "no load was seen yet"
    used_up = balance(7200.0).forecast(LEVEL)
    assert used_up == (None, "it is used up by its label; charge it and reset the budget")
    assert balance(7199.0, 0.1).forecast(LEVEL).reason.endswith("charge the battery")
    assert balance(0.0).hours(LEVEL)[:2] == pytest.approx((1.0, 1.0), rel=0.01)  # type: ignore[index]
    far = balance(7200.0 * 3, 0.1)._replace(running=True)
    assert (
        far.forecast(LEVEL).reason
        == "cannot tell: 1000 mAh cannot give so much; check its size and the units"
    )
    assert balance(7199.0, 0.1).forecast(LEVEL, "ask").reason.endswith("; ask")


# -- the sag of a voltage ----------------------------------------------------------------------------


def log(volts: list[float], watts: float | list[float] = 5.0, step: float = 60.0) -> Sag | None:
    drawn = watts if isinstance(watts, list) else [watts] * len(volts)
    return sag_of([step * n for n in range(len(volts))], volts, drawn)


def test_a_sag_is_that_of_one_cell() -> None:
    assert log([4.1] * 4 + [3.9] * 3) == pytest.approx((0.2,))
    assert log([8.2] * 4 + [7.8] * 3) == pytest.approx((0.2,))
    assert log([16.4] * 4 + [15.6] * 3) == pytest.approx((0.2,))
    assert log([20.5] * 4 + [19.5] * 3) is None  # five cells: a rail, rather
    assert log([3.9] * 4 + [4.1] * 3) == (0.0,)


@pytest.mark.parametrize(("full", "known"), [(3.74, False), (3.75, True), (4.40, True), (4.41, False)])
def test_a_cell_that_begins_full_has_its_volts(full: float, known: bool) -> None:
    assert (log([full] * 4 + [3.5] * 3) is not None) is known


def test_the_load_must_be_as_it_was() -> None:
    volts = [4.1] * 4 + [3.9] * 3
    assert log(volts, [4.0] * 4 + [5.0] * 3) is not None  # a quarter more
    assert log(volts, [4.0] * 4 + [5.01] * 3) is None
    assert log(volts, [4.0] * 4 + [3.0] * 3) is not None
    assert log(volts, [4.0] * 4 + [2.99] * 3) is None


def test_rows_without_load_and_the_first_minute_are_left_out() -> None:
    # the first row of the load sags immediately; rows below half the mean load rest
    volts = [4.3, 4.2, 4.1, 4.1, 4.1, 3.9, 3.9, 3.9, 4.0]
    watts = [0.1, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 0.1]
    assert log(volts, watts) == pytest.approx((0.2,))
    assert log([4.1] * 3 + [3.9] * 3) is None  # of five after the first minute, not three at either end
    assert sag_of([], [], []) is None
    odd = [math.nan, 4.2, 4.1, 4.1, 4.1, 3.9, 3.9, 3.9]
    assert log(odd) == pytest.approx((0.2,))


def test_the_ends_of_a_long_log_are_averaged() -> None:
    # 5 % of 120 rows: 6 at either end
    assert log([4.2] + [4.1, 4.0] * 3 + [3.95] * 108 + [3.9, 3.8] * 3) == pytest.approx((0.2,))


def test_how_likely_a_sag_is() -> None:
    sag, used = Sag(0.2), 0.4
    expected = 0.0
    for table in ocv.TABLES:
        volts = ocv.sagged(table, used)
        sigma = math.hypot(0.03, 0.10 * volts)
        expected += math.exp(-(((0.2 - volts) / sigma) ** 2) / 2) / sigma
    assert sag.likelihood(used) == pytest.approx(expected)
    assert sag.of_ratio(0.4)(1.0) == pytest.approx(expected)
    assert sag.of_ratio(0.4)(0.8) == pytest.approx(sag.likelihood(0.5))
    assert sag.of_ratio(0.4)(0.4) == sag.of_ratio(0.4)(0.3) == 0.0
