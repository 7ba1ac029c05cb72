"""Calibration at its limits: points off the line, a row apart, steps of a load, two meters with gaps."""

import hashlib
import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest

from energymeter.calibration import card as cards
from energymeter.calibration.alignment import _near, _shift, _steps, _through
from energymeter.calibration.charge_reference import fit_clock
from energymeter.calibration.fitting import fit
from energymeter.calibration.point_checks import _other_row, check_residuals, check_spread, warnings_of
from energymeter.calibration.points import Point
from energymeter.calibration.quality import Counts, examine
from energymeter.calibration.second_meter import agreement, in_common
from energymeter.calibration.source_buffer import ReadingBuffer, TimedReading
from energymeter.calibration.steady_load import SteadyLoad, SteadyReading, _has_amps, _stepped
from energymeter.clock import ManualClock
from energymeter.errors import CalibrationError, NotMeasured, SourceMissing
from energymeter.reading import Band, Facts, Reading
from energymeter.recordings.trace import Trace

# Points off the line


@pytest.mark.parametrize(
    ("rest", "u", "resolution", "largest", "fits"),
    [
        (0.5, 0.1, 0.0, 2.0, True),  # five standard deviations
        (-0.501, 0.1, 0.0, 2.0, False),
        (0.6, 0.1, 0.06, 2.0, True),  # ten steps
        (0.601, 0.1, 0.06, 2.0, False),
        (1.0, 0.1, 0.06, 200.0, True),  # 0.5 % of the largest
        (1.001, 0.1, 0.06, -200.0, False),
    ],
)
def test_how_far_off_the_line_a_point_may_be(
    rest: float, u: float, resolution: float, largest: float, fits: bool
) -> None:
    shown, true = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, largest])
    rests, zero = np.array([0.0, rest, 0.0]), np.zeros(3)
    points = [Point("amps", x, y) for x, y in zip(shown, true, strict=True)]

    def check(count: int) -> None:
        check_residuals(
            points[:count],
            shown,
            true,
            rests,
            np.full(3, u),
            zero,
            np.full(3, u),
            Band(resolution=resolution),
        )

    check(2)  # two points are always on their line
    if fits:
        check(3)
        return
    share = 100 * abs(rest) / abs(largest)
    said = (
        f"not simultaneous: at 1 A the reference is {rest:+.3g} off the line through all points, "
        f"{share:.2g} % of the largest; keep each load until both readings are steady, and take both over "
        "the same time"
    )
    with pytest.raises(CalibrationError, match=f"^{re.escape(said)}$"):
        check(3)


def test_points_too_close_to_each_other() -> None:
    points = [Point("volts", 5.0, 5.0)]
    with pytest.raises(
        CalibrationError,
        match=r"^the points span 0.004 V, too little to separate gain from offset; take one near zero",
    ):
        check_spread(points, np.array([5.0, 5.004]), np.zeros(2))
    check_spread(points, np.array([5.0, 5.01]), np.zeros(2))


# Orthogonal to every line through their points: what is left of the fit is exactly this
FIVE, FOUR = np.array([1.0, -2.0, 0.0, 2.0, -1.0]), np.array([1.0, -1.0, -1.0, 1.0])


@pytest.mark.parametrize(
    ("left", "scatter", "times"),
    [
        (FIVE, 1.0, 7),  # 1 over 0.1 * sqrt(10 / 5)
        (FIVE, 0.43, 3),
        (FIVE, 0.42, None),
        (FOUR, 1.0, 10),  # 1 over 0.1 * sqrt(4 / 4)
        (FOUR * 0, 1.0, 1000),  # perfect
        (np.array([0.1, -0.2, 0.1]), 10.0, None),  # too few to tell
    ],
)
def test_readings_of_the_row_before_or_after(left: np.ndarray, scatter: float, times: int | None) -> None:
    count = len(left)
    mine = np.arange(float(count))
    its = 2 * mine + 0.1 * left
    u = np.ones(count + 1)
    rests = np.where(np.arange(count + 1) % 2, scatter, -scatter)
    before = _other_row(np.append(100.0, mine), np.append(its, -50.0), rests, 0 * u, u)
    after = _other_row(np.append(mine, 100.0), np.append(-50.0, its), rests, 0 * u, u)
    for name, found in (("before", before), ("after", after)):
        assert found == (
            "" if times is None else f", and its readings fit those of the point {name} {times} times better"
        )


def test_one_load_only_has_no_row_before() -> None:
    shown = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    assert _other_row(shown, np.arange(6.0), np.ones(6), np.zeros(6), np.ones(6)) == ""


def test_where_the_row_before_is_one_load_the_row_after_still_counts() -> None:
    shown, true = np.array([1.0, 5.0, 5.0, 5.0, 5.0, 5.0]), np.array([0.0, 2.0, 10.0, 10.0, 10.0, 10.0])
    found = _other_row(shown, true, np.ones(6), np.zeros(6), np.ones(6))
    assert found == ", and its readings fit those of the point after 1000 times better"


def test_a_bend_is_more_than_scatter() -> None:
    """Three standard deviations of the bend of a parabola through five points with errors of 10 mA."""
    shown = np.array([0.0, 0.5, 1.0, 1.5, 2.0])
    points = [Point("amps", x, x) for x in shown]
    places = (shown - 1.0) / 2.0
    squares = places**2 - (places**2).mean()
    sigma = 0.01 / math.sqrt(float((squares**2).sum()))
    for bend, said in ((3.05 * sigma, True), (-3.05 * sigma, True), (2.95 * sigma, False)):
        found = warnings_of(points, shown, shown + bend * places**2, np.zeros(5), np.full(5, 0.01))
        assert found == (
            [f"the points curve away from a straight line by up to {abs(bend) / 4:.2g} A"] if said else []
        )


# Steps of a load


@pytest.mark.parametrize(
    ("values", "stepped"),
    [
        ([1.0] * 8 + [2.0] * 8, True),
        ([1.0] * 8 + [2.0] * 7, False),  # sixteen readings at least
        ([1.0] * 8 + [1.0205] * 8, True),  # more than 2 % of the largest
        ([1.0] * 8 + [1.0203] * 8, False),
        ([-1.0] * 8 + [-2.0] * 8, True),
        ([0.0, 0.1] * 8 + [2.0] * 8, False),  # twenty times the scatter of 0.1
        ([0.0, 0.1] * 8 + [2.2, 2.1] * 8, True),
    ],
)
def test_a_load_has_changed_if_it_leaves_its_scatter(values: list[float], stepped: bool) -> None:
    assert _stepped(np.array(values)) is stepped


def stepping(late_s: float = 0.0, seed: int = 4, amps: bool = True, flat: bool = False) -> ReadingBuffer:
    """Two minutes of a load that steps at irregular moments, shown late by one meter."""
    rng = np.random.default_rng(seed)
    edges, levels = np.cumsum(rng.uniform(4, 9, 40)), rng.uniform(1, 6, 41)
    buffer = ReadingBuffer(Meter("m"), 10.0, ManualClock())
    for at_s in np.arange(0, 120, 0.1):
        level = 1.0 if flat else float(levels[np.searchsorted(edges, at_s - late_s)])
        reading = Reading(volts=5.0, amps=level) if amps else Reading(watts=level)
        buffer.readings.append(TimedReading(float(at_s), reading, ""))
    return buffer


def load_of(reference: ReadingBuffer | None, **meter: bool) -> SteadyLoad:
    return SteadyLoad(stepping(**meter), reference, 10.0, ManualClock())  # type: ignore[arg-type]


@pytest.mark.parametrize("late_s", [0.5, -0.7, 9.5])
@pytest.mark.parametrize(("mine", "its"), [(True, True), (True, False), (False, True)])
def test_the_delay_of_a_reference_is_found_once(late_s: float, mine: bool, its: bool) -> None:
    load = load_of(stepping(late_s, amps=its), amps=mine)
    assert load.behind_s == 0.0
    assert load._aligned(), "it is new"
    assert load.behind_s == pytest.approx(late_s, abs=0.05)
    assert not load._aligned(), "it is known"
    assert load.warning == ""


def test_a_delay_within_one_reading_is_none() -> None:
    load = load_of(stepping(0.08))
    assert not load._aligned()
    assert load.alignment is not None, "but it is used"


@pytest.mark.parametrize("late_s", [10.5, -10.5])
def test_a_reference_that_is_ten_seconds_late_shows_another_load(late_s: float) -> None:
    load = load_of(stepping(late_s))
    assert not load._aligned()
    assert load.alignment is None
    said = re.fullmatch(
        r"the reference's steps come (-?[\d.]+) s later; check that it is in the same wire", load.warning
    )
    assert said is not None
    assert float(said[1]) == pytest.approx(late_s, abs=0.1)


def test_loads_without_steps_in_common_have_no_delay() -> None:
    assert not load_of(None)._aligned()
    still = load_of(stepping(), flat=True)
    assert not still._aligned()
    assert (still.warning, still.alignment) == ("", None)
    other = load_of(stepping(seed=9))
    assert not other._aligned()
    assert other.warning.startswith("the changes of the two loads correlate by")
    known = load_of(stepping(0.5))
    assert known._aligned()
    known.reference = stepping(seed=9)
    assert not known._aligned()
    assert known.warning == "", "what was found before still holds"
    assert known.behind_s == pytest.approx(0.5, abs=0.05)


class Shows:
    """Gives these readings in turn, over and over."""

    name = "shows"

    def __init__(self, *readings: Reading, facts: Facts = Facts()) -> None:  # noqa: B008
        self.readings, self.facts = itertools.cycle(readings), facts

    def open(self) -> None: ...
    def close(self) -> None: ...

    def read(self) -> Reading:
        return next(self.readings)


def steady_means(meter: Shows, reference: Shows | None = None) -> list[SteadyReading]:
    clock = ManualClock()
    its = None if reference is None else ReadingBuffer(reference, 10.0, clock)
    load = SteadyLoad(ReadingBuffer(meter, 10.0, clock), its, 10.0, clock)
    load.open()
    return load.means(1.0, 20.0, lambda shown: None)


def test_what_a_meter_does_not_show_is_no_mean() -> None:
    (amps,) = steady_means(Shows(Reading(amps=0.5, watts=2.5)))
    assert (amps.channel, amps.shown.value, amps.shown.uncertainty) == ("amps", 0.5, 0.0)
    (watts,) = steady_means(Shows(Reading(watts=2.5), facts=Facts(watts=Band(resolution=0.1))))
    assert (watts.channel, watts.shown.value) == ("watts", 2.5)
    assert watts.shown.uncertainty == pytest.approx(0.1 / math.sqrt(12)), "it never left one step"
    both = steady_means(Shows(Reading(volts=5.0, amps=0.5)), Shows(Reading(amps=0.51)))
    assert [(one.channel, one.reference and one.reference.value) for one in both] == [
        ("volts", None),
        ("amps", 0.51),
    ]


def test_a_reference_of_few_readings_is_waited_for() -> None:
    """It shows something new with every fifth reading only: eight of these take four seconds."""
    new, nothing = Reading(amps=0.51), Reading(fresh=False)
    clock = ManualClock()
    load = SteadyLoad(
        ReadingBuffer(Shows(Reading(amps=0.5)), 10.0, clock),
        ReadingBuffer(Shows(*[nothing] * 4, new), 10.0, clock),
        10.0,
        clock,
    )
    load.open()
    (amps,) = load.means(1.0, 20.0, lambda shown: None)
    assert amps.reference is not None
    assert 4.0 <= clock.monotonic_ns() * 1e-9 <= 5.1
    assert load.reference is not None
    assert len(load.reference.between(-1.0, 99.0)) >= 8


@pytest.mark.parametrize(("last", "has"), [(Reading(amps=1.0), True), (Reading(watts=1.0), False)])
def test_a_buffer_has_amps_if_its_newest_reading_has(last: Reading, has: bool) -> None:
    buffer = ReadingBuffer(Meter("m"), 10.0, ManualClock())
    assert not _has_amps(buffer)
    other = Reading(watts=1.0) if has else Reading(amps=1.0)
    buffer.readings.extend(TimedReading(at, each, "") for at, each in enumerate((other, other, last)))
    assert _has_amps(buffer) is has


class Meter:
    """Opens, or does not."""

    facts = Facts()

    def __init__(self, name: str, absent: bool = False) -> None:
        self.name, self.absent, self.closed = name, absent, 0

    def open(self) -> None:
        if self.absent:
            raise SourceMissing("plug it in")

    def read(self) -> Reading:
        return Reading(watts=1.0)

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("absent", [False, True])
def test_a_meter_is_let_go_if_its_reference_is_absent(absent: bool) -> None:
    clock = ManualClock()
    meter, reference = Meter("a"), Meter("b", absent)
    load = SteadyLoad(ReadingBuffer(meter, 10.0, clock), ReadingBuffer(reference, 10.0, clock), 10.0, clock)
    if absent:
        with pytest.raises(SourceMissing):
            load.open()
        assert (meter.closed, reference.closed) == (1, 0)
        return
    load.open()
    assert (meter.closed, reference.closed) == (0, 0)
    load.close()
    assert (meter.closed, reference.closed) == (1, 1)


# Two meters


def held(watts: float, start: float, end: float, name: str, gap: tuple[float, float] = (0.0, 0.0)) -> Trace:
    """A steady draw, sampled every 50 ms but for a gap."""
    times = np.arange(start, end + 0.001, 0.05)
    times = times[(times <= gap[0]) | (times >= gap[1])]
    rng = np.random.default_rng(len(times) + ord(name[0]))
    noise = rng.normal(0, 1e-6, len(times))
    return Trace.integrate(times, watts + noise, facts=Facts(watts=Band(0.01)), name=name)


def test_what_two_meters_agree_on_over_their_common_time() -> None:
    found = agreement(held(3.1, 0.0, 20.0, "a"), held(3.0, 5.0, 30.0, "b"))
    assert found.seconds == pytest.approx(15.0)
    assert (found.a_watts, found.b_watts, found.bias_watts) == pytest.approx((3.1, 3.0, 0.1), abs=1e-5)
    # ±1 % each as a rectangle, k = 2
    assert found.allowed_watts == pytest.approx(2 * 0.01 / math.sqrt(3) * math.hypot(3.1, 3.0), rel=1e-3)
    assert (found.a, found.b, found.alignment) == ("a", "b", None)
    assert found.warning.startswith("the changes of the two loads correlate by")


def test_parts_that_were_not_measured_by_half_say_nothing() -> None:
    """Twenty parts of 0.75 s each: a gap of 3 s takes out four."""
    whole = held(3.1, 0.0, 20.0, "a")
    found = agreement(whole, held(3.0, 5.0, 30.0, "b", gap=(8.0, 11.0)))
    assert found.seconds == pytest.approx(15.0 * 16 / 20)
    assert found.bias_watts == pytest.approx(0.1, abs=1e-5)
    for gap, known in ((1.9, True), (2.1, False)):  # of a part of 4 s
        _, a, b = in_common(whole, held(3.0, 0.0, 20.0, "b", gap=(4.5, 4.5 + gap)), 0.0, 5)
        assert list(np.isnan(a)) == [False] * 5
        assert list(np.isnan(b)) == [False, not known, False, False, False]
        assert b[0] == pytest.approx(3.0, abs=1e-5)
    with pytest.raises(NotMeasured, match="the two sources measured at no time together; check for longer"):
        agreement(whole, held(3.0, 0.0, 30.0, "b", gap=(0.9, 29.0)))


@pytest.mark.parametrize(("samples", "enough"), [(19, False), (20, True)])
def test_twenty_samples_are_enough_to_compare(samples: int, enough: bool) -> None:
    few = held(3.0, 0.0, 0.05 * (samples - 1), "few")
    assert len(few.time_s) == samples
    other = held(3.0, 0.0, 2.0, "b")
    if enough:
        assert agreement(few, other).b == "b"
        return
    for pair in ((few, other), (other, few)):
        with pytest.raises(
            NotMeasured, match=r"^few gave fewer than 20 samples; check for longer, or at a higher rate$"
        ):
            agreement(*pair)


@pytest.mark.parametrize(("drift", "said"), [(0.008, ""), (0.013, "1.3 %"), (-0.013, "-1.3 %")])
def test_a_drift_that_no_clocks_have_is_no_alignment(drift: float, said: str) -> None:
    """A load that climbs or falls for four seconds at a time, at irregular moments."""
    edges = np.array([15.0, 32.0, 51.0, 68.0, 90.0, 107.0])
    levels = np.array([1.0, 4.0, 2.0, 5.0, 1.5, 3.5, 1.0])

    def load(times: np.ndarray) -> np.ndarray:
        corners = np.column_stack([edges, edges + 4.0]).ravel()
        return np.asarray(np.interp(times, corners, np.repeat(levels, 2)[1:-1]))

    times = np.arange(0, 130, 0.5)
    facts = Facts(watts=Band(0.01))
    a = Trace.integrate(times, load(times), facts=facts, name="a")
    b = Trace.integrate(times, load(times / (1 + drift)), facts=facts, name="b")
    found = agreement(a, b)
    if said:
        assert found.alignment is None
        assert found.warning == (f"the steps found give a drift of {said}; make a few clear, irregular steps")
    else:
        assert found.alignment is not None
        assert found.alignment.drift == pytest.approx(drift, abs=2e-3)


# Alignment


@pytest.mark.parametrize(
    ("at", "coarse", "moved", "found"),
    [
        (60, 0, 0, 0.0),
        (60, 0, 19, 19.0),
        (60, 0, -19, -19.0),
        (60, 0, 20, None),  # at the edge of what is searched it may be further
        (60, 0, -20, None),
        (60, 7, 10, 3.0),
        (20, 20, 20, 0.0),  # 20 cells before it in a, and 40 in b
        (19, 21, 21, None),
        (20, 19, 19, None),
        (180, -20, -20, 0.0),
        (181, -21, -21, None),
        (180, -19, -19, None),
    ],
)
def test_a_step_is_looked_for_twenty_cells_around(
    at: int, coarse: int, moved: int, found: float | None
) -> None:
    a, b = np.zeros(200), np.zeros(200)
    a[at] = b[at + moved] = 1.0
    assert _near(a, b, at, coarse) == found


def test_between_cells_a_parabola_shows_where_it_is() -> None:
    a, b = np.zeros(200), np.zeros(200)
    a[60], b[62], b[63] = 1.0, 1.0, 0.5
    # through 0, 1 and 0.5: its top is 0.5 * (0 - 0.5) / (0 - 2 + 0.5) = 1/6 to the right
    assert _near(a, b, 60, 0) == pytest.approx(2 + 1 / 6)


def test_steps_are_the_largest_changes_each_alone() -> None:
    changes = np.zeros(400)
    changes[[50, 91, 132, 300]] = [1.0, -0.31, 0.9, 0.29]
    assert _steps(changes) == [50, 91, 132], "0.3 of the largest at least, whatever its sign"
    changes[[90, 91]] = 0.95, 0.0
    assert _steps(changes) == [50, 132], "more than 40 cells apart"


def test_the_offset_is_best_known_in_the_middle_of_the_steps_of_a() -> None:
    at = np.array([10.0, 20.0, 30.0])
    found = _through(np.column_stack([at, at + 100.0]), 0.5, 0.9)
    step = 0.5 / math.sqrt(12)
    assert (found.offset_s, found.drift, found.steps, found.likeness) == pytest.approx((100.0, 0.0, 3, 0.9))
    assert found.offset_uncertainty == pytest.approx(step / math.sqrt(3))
    assert found.drift_uncertainty == pytest.approx(step / math.sqrt(200.0))
    # residuals of 1, -2 and 1 from their line: chi² = 6 over one degree of freedom
    bent = _through(np.column_stack([at, at + np.array([101.0, 98.0, 101.0])]), 0.5, 0.9)
    assert bent.offset_uncertainty == pytest.approx(math.sqrt(6.0) / math.sqrt(3))


@pytest.mark.parametrize(
    ("mine", "its", "length"), [(12, 12, 300), (12, 49, 300), (52, 11, 300), (3, 93, 40)]
)
def test_by_how_many_cells_one_load_is_behind_the_other(mine: int, its: int, length: int) -> None:
    a, b = np.zeros(length), np.zeros(300)
    a[mine : mine + 18] = b[its : its + 18] = np.random.default_rng(1).normal(0, 1, 18)
    assert _shift(a, 2 * b) == (its - mine, pytest.approx(1.0))
    assert _shift(b, a) == (mine - its, pytest.approx(1.0))
    assert _shift(np.zeros(10), b) == (0, 0.0)


# Fits whose points have no scatter


@pytest.mark.parametrize(
    ("largest", "resolution", "u"),
    [(2.0, 0.0, 2e-6), (1e-4, 0.0, 1e-9), (2.0, 0.01, 0.01 / math.sqrt(12))],
)
def test_exact_readings_are_known_to_a_millionth_or_to_a_step_of_the_reference(
    largest: float, resolution: float, u: float
) -> None:
    points = [Point("watts", x * largest, x * largest) for x in (0.0, 0.5, 1.0)]
    line = fit(points, Band(), Band(resolution=resolution)).line
    assert line.covariance[0][0] == pytest.approx(u**2 / (0.5 * largest**2))


def test_only_a_voltage_may_be_the_same_at_every_load() -> None:
    for channel in ("amps", "watts"):
        with pytest.raises(CalibrationError, match="too little to separate gain from offset"):
            fit([Point(channel, 5.0, 5.1), Point(channel, 5.001, 5.2)], Band(), Band())


def test_of_three_points_each_is_held_against_the_other_two() -> None:
    points = [Point("amps", 0.0, 0.0), Point("amps", 1.0, 1.001), Point("amps", 2.0, 2.0)]
    assert fit(points, Band(resolution=0.01), Band()).left_out == pytest.approx((-0.002, 0.001, -0.002))
    assert all(map(math.isnan, fit(points[:2], Band(), Band()).left_out))


def test_the_scatter_of_a_clock_over_its_degrees_of_freedom() -> None:
    """Five moments and a line: residuals of 1, -2, 0, 2 and -1 have chi² = 10 over three degrees."""
    device = [0.0, 1000.0, 2000.0, 3000.0, 4000.0]
    found = fit_clock(device, [t + rest for t, rest in zip(device, FIVE, strict=True)])
    assert found.gain == pytest.approx(1.0)
    assert found.uncertainty == pytest.approx(math.sqrt(10 / 3) / math.sqrt(10e6))


# Quality


@pytest.mark.parametrize(
    ("pattern", "level", "duty", "aliasing"),
    [
        ([0.0, 1.0], 2.5, 0.0, 1 / 3),  # the even samples and the odd ones differ by 1 of 3 W
        ([1.0, 0.0], 2.5, 0.0, 1 / 3),
        ([0.0, 1.0], 2.5, 0.75, 1 / 6),  # half of it where three quarters of the time were seen
        ([0.0, -1.0], -2.5, 0.0, 1 / 3),
        ([0.0, 1.0, 1.0, 0.0], 1.5, 0.0, 1 / math.sqrt(6 * 100) / 2),  # both means are 2 W
        ([0.0, 0.0], 2.0, 0.0, 0.0),
        ([1.0, -1.0], 0.0, 0.0, 0.0),  # of nothing there is no share
    ],
)
def test_what_every_other_sample_would_say(
    pattern: list[float], level: float, duty: float, aliasing: float
) -> None:
    watts = np.array(pattern * (100 // len(pattern))) + level
    times, amps = np.arange(100.0) * 0.02, np.full(100, math.nan)
    found = examine(times, watts, amps, Facts(duty=duty), Counts(100, 0, 0, 0, 0))
    assert found.aliasing == pytest.approx(aliasing)


def test_a_zero_alone_is_calibrated_at_no_load() -> None:
    points = [Point("amps", 0.001, 0.0), Point("amps", 0.003, 0.0)]
    assert fit(points, Band(0.01, 0.01), Band()).line[3:5] == (0.0, 0.0)
    level = fit([Point("volts", 5.0, 5.1), Point("volts", 5.001, 5.1)], Band(0.01, 0.01, 0.01), Band()).line
    assert (level.low, level.high) == (5.0, 5.001)


# Cards


def test_the_seal_is_that_of_the_text_in_utf_8_with_its_keys_in_order() -> None:
    sealed = cards._seal({"b": [1, 2.5], "a": "Ω"})
    assert sealed == hashlib.sha256('{"a":"Ω","b":[1,2.5]}'.encode()).hexdigest()


@pytest.mark.parametrize("path", ["proc/device-tree/serial-number", "etc/machine-id"])
def test_a_board_is_known_by_a_hash_and_not_by_its_number(tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text("10000000abcdef\n")
    whole = hashlib.sha256(b"energymeter 10000000abcdef").hexdigest()
    assert cards.board_serial(str(tmp_path)) == whole[:16]
    assert cards.board_serial(str(tmp_path / "none")) == "unknown"
