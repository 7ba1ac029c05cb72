"""Cells known only by their label: the prior, what a run shows of it, and how often the intervals hold."""

import itertools
import math
import random
from pathlib import Path

import pytest
from devices.real_recordings import recording
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.budget_intervals import MOMENTS, label_only, recorded, widths, wilson
from energymeter.battery import ocv
from energymeter.battery.battery import Battery
from energymeter.battery.capacity import LogNormal, Unknown, unknown, updated
from energymeter.budget.balance import Balance
from energymeter.budget.forecast import WIDEST, Forecast, HoursLeft, Level
from energymeter.budget.voltage import Sag, sag_of
from energymeter.text import Estimate

LABEL = Unknown(health_given=False, celsius=None, peukert_given=False, usable_given=False, converter=False)
SPREADS = st.one_of(
    st.builds(LogNormal, st.floats(0.01, 0.4)),
    st.builds(unknown, st.just(LABEL), st.floats(0.02, 3), st.floats(0, 0.2)),
)


def steady(watts: float) -> Level:
    load = Forecast()
    for _ in range(600):
        load.add(60.0, watts * 60)
    level = load.level()
    assert level is not None
    return level


@given(SPREADS, st.floats(0.01, 0.99))
def test_a_survival_and_its_inverse_agree(spread: LogNormal, probability: float) -> None:
    assert spread.survival(spread.at_survival(probability)) == pytest.approx(probability, abs=0.02)
    assert spread.survival(0.0) == 1.0
    assert spread.survival(1e6) == pytest.approx(0.0, abs=1e-9)


def test_the_prior_is_its_causes_multiplied() -> None:
    """By drawing 20 000 cells cause by cause, which the grid does not do."""
    rng, rate = random.Random(5), 0.5
    causes = LABEL.factors(rate).values()
    cells = sorted(
        math.exp(rng.gauss(0, 0.04)) * math.prod(f.quantile(rng.random()) for f in causes)
        for _ in range(20_000)
    )
    prior = unknown(LABEL, rate)
    for share in (0.025, 0.25, 0.5, 0.75, 0.975):
        assert prior.at_survival(1 - share) == pytest.approx(cells[round(share * 20_000)], rel=0.02)


def test_what_is_known_narrows_the_prior_and_cold_and_load_lower_it() -> None:
    def middle(what: Unknown, rate: float = 0.5) -> tuple[float, float]:
        found = unknown(what, rate)
        return found.at_survival(0.5), found.at_survival(0.025) / found.at_survival(0.975)

    median, width = middle(LABEL)
    assert middle(LABEL, 1.5)[0] < median
    assert middle(LABEL._replace(celsius=20.0))[1] < width
    assert middle(LABEL._replace(usable_given=True))[1] < width
    assert middle(LABEL._replace(celsius=-15.0), 1.0)[0] < middle(LABEL._replace(celsius=20.0), 1.0)[0]
    assert middle(LABEL._replace(converter=True))[1] > width
    assert unknown(LABEL, 0.5, 0.1).at_survival(0.025) > unknown(LABEL, 0.5).at_survival(0.025)


@pytest.mark.parametrize(("moment", "voltage"), [*itertools.product(MOMENTS, (False, True))])
def test_their_intervals_hold_and_are_not_merely_wide(moment: float, voltage: bool) -> None:
    """300 simulated cells: at least 93 of 100, and at most twice as wide as their errors need."""
    asked = label_only(moment, 300, voltage=voltage)
    given_ = [one for one in asked if one.hours is not None]
    assert len(given_) > 200
    assert sum(one.held for one in given_) >= 0.93 * len(given_)
    width, needed = widths(asked)
    assert 0.8 * needed < width < 2 * needed


def test_the_same_cells_taken_for_known_ones_would_fail() -> None:
    """So that the test above can fail: ± 10 % about the label holds too few of them."""
    asked = [one for one in label_only(0.25, 300, voltage=False, sigma=0.10) if one.hours is not None]
    assert sum(one.held for one in asked) < 0.8 * len(asked)


def test_a_wilson_interval() -> None:
    assert wilson(95, 100) == pytest.approx((0.8882, 0.9785), abs=1e-3)


# -- what a run shows --------------------------------------------------------------------------------


def test_a_run_beyond_the_label_shows_a_larger_battery() -> None:
    battery = Battery(1000, efficiency=1.0)
    full = Balance(battery, battery.joules, 0.0, None, running=True)
    hours = [
        full._replace(taken_joules=share * battery.joules).hours(steady(1.0)) for share in (0.1, 0.3, 0.5)
    ]
    assert all(hours)
    values = [one.value for one in hours if one]
    assert values == sorted(values, reverse=True)
    beyond = full._replace(taken_joules=1.02 * battery.joules).forecast(steady(1.0))
    assert beyond.hours is None
    assert beyond.reason.startswith("cannot tell yet: anything from")
    assert "--measured" in beyond.reason
    never = full._replace(taken_joules=3 * battery.joules).forecast(steady(1.0))
    assert never.reason.startswith("cannot tell: 1000 mAh cannot give so much")


def test_a_used_up_budget_has_no_hours_and_says_so() -> None:
    battery = Battery(1000, basis="rail")
    empty = Balance(battery, battery.joules, battery.joules, None).forecast(steady(1.0))
    assert empty == HoursLeft(None, "it is used up by its label; charge it and reset the budget")
    assert str(empty).startswith("unknown: it is used up")


@given(st.floats(0, 1.2), st.floats(0.05, 20), st.booleans(), st.sampled_from([None, 0.03, 0.1, 0.3]))
def test_hours_are_never_wider_than_a_factor_of_thirty(
    share: float, watts: float, running: bool, sigma: float | None
) -> None:
    battery = Battery(2000, capacity_sigma=sigma)
    found = Balance(battery, battery.joules, share * battery.joules, None, running=running).forecast(
        steady(watts)
    )
    if found.hours is None:
        assert found.reason
    else:
        assert not found.reason
        assert 0 < found.hours.low <= found.hours.value <= found.hours.high <= WIDEST * found.hours.low


def test_an_interval_of_a_factor_of_thirty_is_the_last_that_is_given() -> None:
    assert HoursLeft.of(Estimate(5, 1, 30, "h"), "wait").hours is not None
    assert HoursLeft.of(Estimate(5, 1, 30.1, "h"), "wait") == HoursLeft(
        None, "cannot tell yet: anything from 1 h to 30 h; wait"
    )


@given(st.floats(0.2, 0.9))
def test_a_posterior_keeps_its_prior_where_nothing_was_seen(probability: float) -> None:
    prior = unknown(LABEL, 0.5)
    same = updated(prior, lambda ratio: 1.0)
    assert same.at_survival(probability) == pytest.approx(prior.at_survival(probability), rel=0.01)
    unfit = updated(prior, lambda ratio: 0.0)
    assert unfit.at_survival(0.5) == pytest.approx(prior.at_survival(0.5), rel=0.01)


def test_a_sag_to_the_knee_shows_that_little_is_left() -> None:
    battery = Battery(2000, efficiency=1.0)
    half = Balance(battery, battery.joules, 0.45 * battery.joules, None, running=True)
    level = steady(3.0)
    plain, flat, knee = (half._replace(sag=sag).hours(level) for sag in (None, Sag(0.25), Sag(0.62)))
    assert plain
    assert flat
    assert knee
    assert knee.value < plain.value < flat.value
    assert knee.high < plain.high
    assert flat.low > plain.low
    known = half._replace(battery=battery.measured(1900))
    assert known._replace(sag=Sag(0.62)).hours(level) == known.hours(level), "a known cell needs no voltage"


def sagging(used: float, *, cells: int = 1, watts: float = 3.0, after: float = 3.0) -> Sag | None:
    times = [10.0 * i for i in range(300)]
    volts = [cells * (4.05 - ocv.sagged("lco-4.20", used * i / 299)) for i in range(300)]
    return sag_of(times, volts, [watts] * 150 + [after] * 150)


@pytest.mark.parametrize("cells", [1, 2, 3])
def test_the_sag_of_each_cell(cells: int) -> None:
    found = sagging(0.5, cells=cells)
    assert found is not None
    assert found.volts == pytest.approx(0.36, abs=0.03)


def test_no_sag_where_it_would_mislead() -> None:
    assert sagging(0.5, after=4.5) is None, "another load, another loss in the resistance"
    assert sag_of([0, 60, 120], [4.0, 3.9, 3.8], [3.0, 3.0, 3.0]) is None
    assert sag_of([], [], []) is None
    phosphate = [3.3 - i / 3000 for i in range(300)]
    assert sag_of([10.0 * i for i in range(300)], phosphate, [3.0] * 300) is None
    nothing = [math.nan] * 300
    assert sag_of([10.0 * i for i in range(300)], nothing, [3.0] * 300) is None


@pytest.mark.parametrize("cycle", ["003", "319"])
def test_a_young_and_an_aged_cell_by_their_label(cycle: str, tmp_path: Path) -> None:
    """NASA's B0018 at 2 A: at each moment the true end is inside."""
    path = recording(f"traces/nasa_pcoe/B0018_cycle_{cycle}.csv")
    asked = recorded(path, Battery.parse("2000mAh"), tmp_path)
    assert len(asked) == 4
    assert all(one.held for one in asked.values())


def test_a_battery_of_more_cells_than_four_is_not_known_here() -> None:
    assert sagging(0.5, cells=4) is not None
    assert sagging(0.5, cells=5) is None
