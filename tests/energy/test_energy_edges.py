"""Counters, gaps, lines and shares of uncertainty at their limits, by figures worked out by hand."""

import math

import pytest

from energymeter.energy.correction import Line, Model, _covariance
from energymeter.energy.counters import coulombs_between, joules_between
from energymeter.energy.gaps import GapRule, gap_limit_ns, tick_wait_ns
from energymeter.energy.per_unit import LEAST, MOST, checked_count
from energymeter.energy.uncertainty import (
    Component,
    OwnCounter,
    Part,
    _of_sampling,
    _unseen,
    components_of,
    expanded,
    subtracted,
)
from energymeter.energy.window import Edges, Near, Window, _stretched, long_seconds
from energymeter.errors import SpecError
from energymeter.reading import Band, Facts


def window(seconds=10.0, joules=20.0, covered=None, variance=0.0, edge=0.0, **changed):
    covered = seconds if covered is None else covered
    return Window(seconds, joules, 4.0, 50.0, covered, 0.0, variance, edge, 3.0)._replace(**changed)


# Counters


@pytest.mark.parametrize(
    ("before", "now", "wrap", "watts", "seconds", "joules"),
    [
        (1.0, 4.0, None, None, 1.0, 3.0), (None, 4.0, None, None, 1.0, None),
        (1.0, None, None, None, 1.0, None), (5.0, 5.0, None, None, 1.0, 0.0),
        (95.0, 5.0, 100.0, 50.0, 1.0, 10.0), (85.0, 5.0, 100.0, None, 1.0, 20.0),
        (84.9, 5.0, 100.0, None, 1.0, "its counter fell, as after a reset; measure again"),
        (5.0, 4.0, None, 50.0, 1.0, "its counter fell, as after a reset; measure again"),
        (0.0, 99.0, 100.0, 99.0, 1.0, 99.0),
        (0.0, 5.0, 100.0, 100.0, 1.0, "its counter begins again after 100 J, which may have happened more "
         "than once in the 1 s between two readings; read it more often"),
        # 1.05 x 10 W x (1 s + 0.05 s) and a mJ
        (0.0, 11.026, None, 10.0, 1.0, 11.026),
        (0.0, 11.027, None, 10.0, 1.0, "its counter rose by 11.027 J in 1 s, more than can flow here"),
    ],
)  # fmt: skip
def test_what_a_counter_gained(before, now, wrap, watts, seconds, joules):
    if isinstance(joules, str):
        with pytest.raises(ValueError, match=r".") as refused:
            joules_between(before, now, wrap, watts, seconds)
        assert str(refused.value) == joules
    else:
        found = joules_between(before, now, wrap, watts, seconds)
        assert found == (None if joules is None else pytest.approx(joules))


@pytest.mark.parametrize(
    ("before", "now", "wrap", "coulombs"),
    [
        (None, 1.0, 100.0, None), (1.0, None, 100.0, None), (10.0, 60.0, 100.0, 50.0),
        (10.0, 60.1, 100.0, -49.9), (60.0, 10.0, 100.0, -50.0), (60.1, 10.0, 100.0, 49.9),
        (10.0, 90.0, None, 80.0), (5.0, 5.0, 100.0, 0.0),
    ],
)  # fmt: skip
def test_what_a_counter_of_charge_gained(before, now, wrap, coulombs):
    found = coulombs_between(before, now, wrap)
    assert found == (None if coulombs is None else pytest.approx(coulombs))


# Gaps


@pytest.mark.parametrize(
    ("interval_ns", "limit_ns"),
    [
        (10e6, 35_000_000),
        (857_142, 3_000_000),
        (857_143, 3_000_000),
        (860_000, 3_010_000),
        (1.0, 3_000_000),
        (1e18, 10**18),
        (2.8e17, 98 * 10**16),
    ],
)
def test_how_far_apart_two_readings_may_be(interval_ns, limit_ns):
    assert gap_limit_ns(interval_ns) == limit_ns


def test_how_long_a_counter_is_waited_for():
    assert [tick_wait_ns(rate) for rate in (1.0, 10.0, 1000.0)] == [3_250_000_000, 550_000_000, 253_000_000]


@pytest.mark.parametrize(
    ("intervals_ms", "limit_ms", "unsteady"),
    [
        ([], 350, True), ([100], 350, False), ([50], 350, False), ([150], 350, False), ([49], 350, True),
        ([151], 528.5, False), ([100, 151], 350, True), ([100, 200, 200], 350, True),
        ([100, 200, 300, 400], 1050, False), ([100, 200, 200, 100, 200, 200], 350, True),
        ([100, 40, 30, 20], 105, False), ([100, 0.04, 0.04, 0.04], 350, False),
        ([100, 0.05, 0.05, 0.05], 3, False),
    ],
)  # fmt: skip
def test_the_limit_follows_three_in_a_row(intervals_ms, limit_ms, unsteady):
    rule = GapRule(100e6)
    for interval in intervals_ms:
        limit = rule.observe(interval * 1e6)
        assert limit == rule.limit_ns
    assert rule.limit_ns == pytest.approx(limit_ms * 1e6)
    assert rule.unsteady is unsteady


def test_a_fast_source_has_shorter_intervals_still():
    assert (GapRule(100e6).shortest_ns, GapRule(100e3).shortest_ns) == (50_000, 10_000)
    rule = GapRule(101.0)
    assert (rule.from_ns, rule.to_ns) == (51, 151)


# Lines


def test_a_line_between_what_is_shown_and_what_is_true():
    line = Line(1.1, 0.5, ((0.04, -0.02), (-0.02, 0.09)), 1.0, 5.0, 0.001)
    assert line.at(10.0) == pytest.approx(11.5)
    assert line.at(10.0, 20.0) == pytest.approx(11.72)
    assert line.uncertainty(2.0) == pytest.approx(math.sqrt(0.04 * 4 - 0.04 * 2 + 0.09))
    assert line.pivot() == pytest.approx(0.5)
    assert line.slope_uncertainty() == pytest.approx(0.2)
    flat = line._replace(covariance=((0.0, 0.0), (0.0, 0.09)))
    assert (flat.pivot(), flat.uncertainty(7.0)) == (0.0, pytest.approx(0.3))
    below = line._replace(covariance=((0.0, -1.0), (-1.0, 0.0)))
    assert below.uncertainty(5.0) == 0.0


def test_how_a_line_drifts_with_the_air():
    """An unfitted gain: 100e-6 a kelvin, within 10 kelvin where nobody says; rectangular, so over √3."""
    plain = Line(1.0, 0.0, ((0.0, 0.0), (0.0, 0.0)), 0.0, 1.0, 0.0005)
    assert plain.drift(None) == pytest.approx(100e-6 * 10 / math.sqrt(3))
    assert plain.drift(-4.0) == pytest.approx(100e-6 / math.sqrt(3) * 4)
    fitted = plain._replace(covariance=((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 4e-8)))
    assert fitted.drift(None) == pytest.approx(0.0005 * 10 / math.sqrt(3))
    assert fitted.drift(3.0) == pytest.approx(2e-4 * 3)


@pytest.mark.parametrize(
    ("amps", "offset"),
    [(0.5, 1.0), (0.0834, 1.0), (1.19, 2.0), (1.3, 2.0), (5.99, 2.0), (6.1, 2.0), (-0.5, 1.0)],
)
def test_which_range_speaks_for_a_current(amps, offset):
    """One from 0.1 to 1 A, the other, which is less certain, from 1 to 5 A; each reaches a fifth further."""
    fine = Line(1.0, 1.0, ((1e-6, 0.0), (0.0, 1e-6)), 0.1, 1.0)
    coarse = Line(1.0, 2.0, ((1e-4, 0.0), (0.0, 1e-4)), 1.0, 5.0)
    model = Model(amps={"fine": fine, "coarse": coarse})
    assert model.amps_line(amps).offset == offset
    assert Model().amps_line(1.0) is None


@pytest.mark.parametrize(
    ("rows", "fine"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], True), ([[4.0, 2.0], [2.0, 1.0]], True), ([[4.0, 2.1], [2.1, 1.0]], False),
        ([[1.0, 0.5], [0.4, 1.0]], False), ([[-1.0, 0.0], [0.0, 1.0]], False),
        ([[1.0, 0.0], [0.0, -1.0]], False),
        ([[1.0]], False), ([[1.0, 0.0], [0.0]], False), ([[0.0, 0.0], [0.0, 0.0]], True),
        ([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]], True), ([[1.0, 0, 2.0], [0, 1.0, 0], [2.0, 0, 1.0]], False),
        ([[1.1e9, 0.0], [0.0, 1.0]], False), ([[1.0] * 4] * 4, False),
    ],
)  # fmt: skip
def test_what_can_be_a_covariance(rows, fine):
    if fine:
        assert _covariance(rows) == tuple(map(tuple, rows))
    else:
        with pytest.raises(ValueError, match="covariance"):
            _covariance(rows)


# Uncertainty


def test_what_the_sampling_leaves_uncertain():
    part = Part("a", Facts(), window(variance=9.0, edge=4.0), 1.0)
    assert [(share.cause, share.joules) for share in components_of(part)] == [
        ("noise and sampling", 3.0), ("window edges", 4.0),
    ]  # fmt: skip
    assert expanded(components_of(part)) == 10.0
    assert components_of(part._replace(window=window(variance=-1.0))) == []


@pytest.mark.parametrize(
    ("counted", "found"),
    [
        # it says 20 J as well, in steps of 2 J: a step of both ends is 2 J x √2/√12
        (20.0, [("sampling, bounded by its own counter", 2 * math.sqrt(2 / 12))]),
        # 2.4 J apart is 2 J and 2 %
        (22.43, [("sampling, bounded by its own counter", math.hypot(2.43, 2 * math.sqrt(2 / 12)))]),
        (22.46, [("noise and sampling", 3.0), ("window edges", 4.0), ("shorter than a sample", 0.0),
                 ("disagreement with its own counter",
                  math.hypot(2.46, 2 * math.sqrt(2 / 12)) / math.sqrt(3))]),
        (17.65, [("sampling, bounded by its own counter", math.hypot(2.35, 2 * math.sqrt(2 / 12)))]),
    ],
)  # fmt: skip
def test_a_device_that_counts_itself_bounds_what_the_sampling_misplaced(counted, found):
    counter = OwnCounter(10.0, 20.0, counted, 2.0)
    shares = _of_sampling(Part("a", Facts(), window(variance=9.0, edge=4.0), 1.0, own_counter=counter))
    assert [share.cause for share in shares] == [cause for cause, _ in found]
    assert [share.joules for share in shares] == pytest.approx([joules for _, joules in found])


def test_a_counter_says_no_more_than_the_samples_do():
    counter = OwnCounter(10.0, 20.0, 20.0, 2.0)
    small = Part("a", Facts(), window(variance=0.25, edge=0.0), 1.0, own_counter=counter)
    assert next(share.cause for share in _of_sampling(small)) == "noise and sampling"
    assert counter.misplaced_joules(5.0) == pytest.approx(2 * math.sqrt(2 / 12) / 2)
    assert [counter.describes(seconds) for seconds in (8.9, 9.0, 20.0, 20.1)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("semantics", "seconds", "interval", "covered", "joules"),
    [
        ("instant", 1.0, 4.0, 1.0, 20.0 * 0.75 / math.sqrt(3)), ("instant", 4.0, 4.0, 4.0, 0.0),
        ("instant", 1.0, 0.0, 1.0, 0.0), ("mean", 1.0, 4.0, 1.0, 0.0),
        ("counter", 1.0, 4.0, 0.5, 20.0 * 8 * 0.75 / math.sqrt(3)),
        ("counter", 1.0, 4.0, 0.0, 20.0 * 0.75 / math.sqrt(3)), ("instant", 5.0, 4.0, 5.0, 0.0),
    ],
)  # fmt: skip
def test_a_window_shorter_than_a_sample(semantics, seconds, interval, covered, joules):
    part = Part("a", Facts(semantics=semantics), window(seconds, covered=covered), interval)
    assert _unseen(part) == pytest.approx(joules)
    negative = part._replace(window=window(seconds, -20.0, covered))
    assert _unseen(negative) == pytest.approx(joules)


def test_errors_that_last_cancel_and_others_add():
    gain, other = Component("gain", 3.0, "a", True), Component("gain", 1.0, "b", True)
    noise = Component("noise", 4.0, "a")
    found = subtracted([gain, noise], [gain._replace(joules=1.0), other, noise], 2.0)
    assert found == (
        Component("gain", 1.0, "a", True), Component("gain", -2.0, "b", True), noise,
        noise._replace(joules=-8.0),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (Facts(clock=0.03), {"time base": 20 * 0.03 / math.sqrt(3)}),
        (
            Facts(watts=Band(0.03, 0.6, 1.2)),
            {
                "power gain": 0.6 / math.sqrt(3), "power offset": 6 / math.sqrt(3),
                "power resolution": 12 / math.sqrt(12),
            },
        ),
        (
            Facts(volts=Band(0.03, 0.6, 1.2), amps=Band(0.06, 0.3)),
            {
                "voltage gain": 0.6 / math.sqrt(3), "voltage offset": 2.4 / math.sqrt(3),
                "voltage resolution": 4.8 / math.sqrt(12), "current gain": 1.2 / math.sqrt(3),
                "current offset": 15 / math.sqrt(3),
            },
        ),
        (
            Facts(semantics="counter", joules=Band(0.03, 0.0, 1.2)),
            {"counter gain": 0.6 / math.sqrt(3), "counter resolution": 1.2 * math.sqrt(2 / 12)},
        ),
        (Facts(joules=Band(0.03)), {"counter gain": 0.6 / math.sqrt(3)}),
        (Facts(joules=Band(0.03), watts=Band(0.06)), {"power gain": 1.2 / math.sqrt(3)}),
    ],
)  # fmt: skip
def test_the_shares_of_a_data_sheet(facts, found):
    """20 J and 4 C in 10 s at 5 V."""
    shares = components_of(Part("a", facts, window(), 1.0))
    assert {share.cause: share.joules for share in shares} == pytest.approx(found)
    assert all(share.source == "a" for share in shares)
    assert all(share.systematic is ("resolution" not in share.cause) for share in shares)


# Units


@pytest.mark.parametrize(
    ("count", "number"),
    [(0, 0.0), (LEAST, LEAST), (MOST, MOST), (7, 7.0), ("3", 3.0), (True, 1.0)],
)
def test_a_count_of_units(count, number):
    assert checked_count("images", count) == number


@pytest.mark.parametrize(
    "count", [LEAST * 0.9, MOST * 1.1, -1, math.nan, math.inf, None, "x", [1, 2], 10**400]
)
def test_what_is_no_count_of_units(count):
    with pytest.raises(SpecError) as wrong:
        checked_count("images", count)
    assert str(wrong.value).endswith(" is no number of units; give 0 or more, in the range 1e-15 to 1e+15")


# Around a window

RAMP = Near([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 4.0, 9.0], [0.0, 2.0, 4.0, 6.0], True)
STEPS = Near([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 4.0, 9.0], [0.0, 1.0, 3.0, 5.0], False)


@pytest.mark.parametrize(
    ("when", "straight", "level"),
    [
        (-1.0, 0.0, 0.0),
        (0.0, 0.0, 0.0),
        (0.5, 0.25, 0.5),
        (1.0, 1.0, 1.0),
        (2.5, 6.25, 6.5),
        (3.0, 9.0, 9.0),
        (4.0, 15.0, 14.0),
    ],
)
def test_the_joules_around_a_window(when, straight, level):
    """Power 2t, so t²; or level at 1, 3 and 5 W. After the last sample its power is held."""
    assert RAMP.at(when) == pytest.approx(straight)
    assert STEPS.at(when) == pytest.approx(level)


@pytest.mark.parametrize(
    ("start", "end", "levels"),
    [
        (0.0, 0.0, (0.0, 4.0)),
        (1.5, 1.5, (0.0, 6.0)),
        (2.0, 2.0, (0.0, 6.0)),
        (3.5, 3.5, (2.0, 6.0)),
        (-1.0, -1.0, (0.0, 4.0)),
    ],
)
def test_the_levels_around_a_moment(start, end, levels):
    assert RAMP.levels(start, end) == levels


def test_more_samples_have_the_levels_of_two_on_either_side():
    near = Near([float(n) for n in range(10)], [0.0] * 10, [float(n) for n in range(10)], True)
    assert near.levels(4.5, 4.5) == (2.0, 7.0)
    assert near.levels(4.0, 4.0) == (2.0, 6.0)
    assert near.levels(2.5, 6.5) == (0.0, 9.0)


def test_what_may_have_flowed_until_a_moment():
    """Between 1 J at 1 s and 4 J at 2 s; at 1 W at least, and at most 4 W."""
    assert RAMP.bounds(1.25, 0.0, 1.0, math.inf) == pytest.approx((1.25, 3.25))
    assert RAMP.bounds(1.25, 0.0, 1.0, 4.0) == pytest.approx((1.25, 2.0))
    assert RAMP.bounds(1.75, 0.0, 1.0, 4.0) == pytest.approx((3.0, 3.75))
    assert RAMP.bounds(1.5, 0.5, 1.0, math.inf) == pytest.approx((1.5, 3.5))
    assert RAMP.bounds(1.5, 0.6, 0.0, math.inf) == pytest.approx((0.0, 9.0))
    assert RAMP.bounds(-5.0, 0.0, 1.0, math.inf) == pytest.approx((0.0, 0.0))
    assert RAMP.bounds(1.5, 0.0, 5.0, math.inf) == pytest.approx((2.5, 2.5)), "no room: in the middle"


@pytest.mark.parametrize(
    ("level", "most", "hidden", "found"),
    [
        ((2.0, 4.0), math.inf, False, (0.0, 6.0)), ((2.0, 3.0), math.inf, False, (1.0, 4.0)),
        ((5.0, 6.0), math.inf, True, (3.0, 11.0)), ((1.0, 4.0), math.inf, False, (0.0, 7.0)),
        ((1.0, 4.0), 5.0, True, (0.0, 5.0)), ((-2.0, 1.0), math.inf, False, (-2.0, 4.0)),
    ],
)  # fmt: skip
def test_the_levels_that_power_may_have(level, most, hidden, found):
    assert _stretched(level, most, hidden=hidden) == found


def test_a_long_window_has_samples_of_its_own():
    assert long_seconds(2.0, 0.5) == 4.5


def test_energy_hidden_in_a_mean_and_above_its_neighbours():
    """Means of 1, 1, 5, 1 W: a window of 0.5 s within the third may owe it all of what is above."""
    near = Near([0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 2.0, 7.0, 8.0], [1.0, 1.0, 1.0, 5.0, 1.0], False)
    assert near.hidden(2.25, 2.75) == pytest.approx((2.5, 4.0 * 0.5))
    assert near.hidden(2.0, 3.0) == pytest.approx((5.0, 0.0))
    assert near.hidden(0.25, 0.75) == pytest.approx((0.5, 0.0))
    edges = Edges(near, near, 0.0, math.inf)
    # alike means may hide bursts: of a window of half an interval 1.8 x 0.75 of its energy
    assert edges.misplaced_joules(0.5) == pytest.approx(1.8 * 0.75 * near.at(0.5) / 2)
