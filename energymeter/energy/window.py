"""What one channel measured between two moments, and the points of its curve that a window lies between."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from itertools import pairwise

from energymeter.lazy import TYPE_CHECKING, NamedTuple, made
from energymeter.units import RECTANGLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

COVERED = 0.995
"""The share of a window that must have been measured for its energy to stand for the whole window."""
LONG = 2
"""A window of so many samples has one of its own, whatever its phase."""
JOINED = 0.9
"""Where there is no gap, at least so much of the time between two samples was measured: a mean of a second
that is read every second leaves a little out."""

# A window often begins where the load steps. A step by h at a share f of an interval dt is misplaced by
# h dt f²/2 where a straight line joins the samples, and by h dt f (1 - f) where a mean, which itself has
# moved by only h f, is level. Root mean squares over f, in units of the difference that the samples show:
STEP_IN_LINE = math.sqrt(1 / 20)
STEP_IN_MEAN = math.sqrt(1 / 10)
MANY = 5
"""Fewer intervals say little of how far apart samples are: the last one of a run comes early."""
NEWEST = 32
"""So many samples say how much power changes from one to the next."""
_ENOUGH_STEPS = 3
STEP_AROUND = math.sqrt(1 / 6)
"""The same of a window much shorter than the interval, in which a straight line gives power h f."""

_BURST, _PAUSE = 5.0, 2.0
"""How far above and below the levels near a window power may go within it, in shares of their range, where no
sample lies within: a burst of a fifth of a mean is five times as high as the mean shows. Elsewhere it may go
as far beyond the levels as they are apart: means hide what is shorter than they are."""
_ALIKE = 1.8
"""Work that repeats within a mean leaves means that are all alike. Its bursts may hold so many times as much
more than the mean's share of them, less in proportion to the length of the window: of two means, nothing."""
_OVER = 1.1
"""What a mean has above the samples around it may have flowed within a part of it; with a tenth for noise."""
_DELAYED = 0.95
"""95 of 100 delays, which may be anything up to the greatest, are less than this share of it."""


class Point(NamedTuple):
    """The running totals of one channel at one moment; NaN where the source cannot tell."""

    joules: float
    coulombs: float
    volt_seconds: float
    covered_seconds: float
    gap_fill_joules: float
    variance_joules2: float = 0.0
    edge_joules: float = 0.0
    """What a step of the power right here would be misplaced by, one standard deviation."""
    step_watts: float = 0.0
    """The difference of power between the samples before and after, or in a level stretch to the one after,
    whichever is larger; 0 on a sample."""


class Near(NamedTuple):
    """The samples around an edge of a window, in order and with no gap between them."""

    times: list[float]
    """s from the window's start."""
    joules: list[float]
    watts: list[float]
    straight: bool
    """Power runs straight between samples (instants); otherwise it is level (means, counters)."""

    def at(self, when: float) -> float:
        """Joules at a moment; before the first sample level, after the last one its power is held."""
        times, joules, watts = self.times, self.joules, self.watts
        if when <= times[0]:
            return joules[0]
        if when >= times[-1]:
            return joules[-1] + watts[-1] * (when - times[-1])
        right = bisect_right(times, when)
        left = right - 1
        dt, into = times[right] - times[left], when - times[left]
        if not self.straight:
            return joules[left] + (joules[right] - joules[left]) * into / dt
        return joules[left] + watts[left] * into + (watts[right] - watts[left]) * into * into / (2 * dt)

    def levels(self, start: float, end: float) -> tuple[float, float]:
        """The least and the greatest power around a stretch, two more samples on either side included."""
        first = max(bisect_right(self.times, start) - 3, 0)
        levels = self.watts[first : bisect_left(self.times, end) + 3]
        return min(levels), max(levels)

    def hidden(self, start: float, end: float) -> tuple[float, float]:
        """Joules between two moments that lie within two samples, and how many more may have flowed there.

        A mean that is above those before and after it may owe all of that to the window.
        """
        times, watts = self.times, self.watts
        last = min(bisect_left(times, end), len(times) - 1)
        first = min(max(bisect_right(times, start), 1), last)
        rest = max(watts[max(first - 1, 0)], watts[min(last + 1, len(watts) - 1)])
        over = sum(
            max(watts[number] - rest, 0.0)
            * (
                times[number]
                - times[number - 1]
                - max(min(times[number], end) - max(times[number - 1], start), 0)
            )
            for number in range(first, last + 1)
        )
        return self.at(end) - self.at(start), over

    def bounds(self, when: float, smear: float, least: float, most: float) -> tuple[float, float]:
        """What may have flowed until a moment, in J, with power between ``least`` and ``most`` near it.

        Known are the joules of the samples around, ``smear`` seconds further out on either side.
        """
        times = self.times
        when = max(when, times[0])
        left, right = bisect_right(times, when - smear) - 1, bisect_left(times, when + smear)
        before = times[left] if left >= 0 else when
        after = times[right] if right < len(times) else when
        low, high = self.at(before) + least * (when - before), self.at(after) - least * (after - when)
        if most < math.inf:
            low = max(low, self.at(after) - most * (after - when))
            high = min(high, self.at(before) + most * (when - before))
        return (low, high) if low <= high else ((low + high) / 2,) * 2


class Edges(NamedTuple):
    """What is around both edges of a window."""

    start: Near
    end: Near
    """The same object as ``start`` where the samples run through."""
    late: float
    """How late the device may show its values, s."""
    most_watts: float
    """What can flow at most."""

    def misplaced_joules(self, seconds: float) -> float:
        """What the edges of a window of so many ``seconds`` may misplace, one standard deviation.

        A mean of T seconds gives the energy of these T, and not where in them it flowed. So what flowed until
        an edge lies between what had flowed by the sample before it and by the one after it, less what flows
        at the least level near the edge. No more can have flowed than at the greatest level there, if the
        window contains a sample of its own; otherwise a short burst may be hidden in it. For a device that
        shows its values late the bounds are taken at three moments.
        """
        start, end, late, _ = self
        if start is end and not start.straight:
            inside = bisect_right(start.times, seconds) - bisect_left(start.times, 0.0)
            if inside < LONG:
                return self._hidden_joules(seconds)
        shown = end.at(seconds) - start.at(0.0)
        ranges = [near.levels(edge, edge + late) for near, edge in ((start, 0.0), (end, seconds))]
        slack = max(most - least for least, most in ranges) * late / 4  # of a step between two of the moments
        moments = ((0.0, 0.0), (late / 2, late / 2), (late, 0.0)) if late else ((0.0, 0.0),)
        square = moved_joules = 0.0
        for moved, smear in moments:
            low, high = self._between(moved, moved + seconds, smear)
            square += (max(shown - low, high - shown, 0.0) + slack) ** 2
            moved_joules = max(moved_joules, abs(end.at(moved + seconds) - start.at(moved) - shown))
        bound = max(math.sqrt(square / len(moments)), _DELAYED * moved_joules)
        return bound / 2  # the bound is two standard deviations

    def alone(self, seconds: float) -> tuple[float, float, float, float]:
        """What start and end of a long window misplace by themselves, and by one delay, as in `Window`."""
        start_joules, start_shift = self._alone(self.start, 0.0)
        end_joules, end_shift = self._alone(self.end, seconds)
        return start_joules, end_joules, start_shift, end_shift

    def _alone(self, near: Near, edge: float) -> tuple[float, float]:
        """What is misplaced at an edge, and what the greatest delay moves past it."""
        late = self.late
        least, most = near.levels(edge, edge + late)
        slack = (most - least) * late / 4
        least, most = _stretched((least, most), self.most_watts, hidden=False)
        worst = 0.0
        for moved, smear in ((0.0, 0.0), (late / 2, late / 2), (late, 0.0)):
            low, high = near.bounds(edge + moved, smear, least, most)
            shown = near.at(edge + moved)
            worst = max(worst, high - shown, shown - low)
        return (worst + slack) / 2, _DELAYED * (near.at(edge + late) - near.at(edge)) / 2

    def _hidden_joules(self, seconds: float) -> float:
        """The same of a window within a mean or two, of which only their sums are known.

        A burst shows as a mean above its neighbours. Bursts that repeat faster show nowhere: any mean may be
        one of theirs, so the least ± is a share of the energy itself.
        """
        near, late = self.start, self.late
        interval = (near.times[-1] - near.times[0]) / (len(near.times) - 1)
        alike = _ALIKE * max(0.0, 1 - seconds / (LONG * interval))
        shown = near.at(seconds) - near.at(0.0)
        moments = (0.0, late / 2, late) if late else (0.0,)
        square = moved_joules = 0.0
        for moved in moments:
            joules, over = near.hidden(moved, moved + seconds)
            most = joules + max(_OVER * over, alike * abs(joules))
            least = joules - min(alike, 1.0) * abs(joules)
            square += max(most - shown, shown - least, 0.0) ** 2
            moved_joules = max(moved_joules, abs(joules - shown))
        return max(math.sqrt(square / len(moments)), _DELAYED * moved_joules) / 2

    def _between(self, begun: float, ended: float, smear: float) -> tuple[float, float]:
        """What may have flowed from ``begun`` to ``ended``, at least and at most."""
        start, end, _, most_watts = self
        first, last = start.levels(begun - smear, begun + smear), end.levels(ended - smear, ended + smear)
        inside = bisect_right(start.times, ended - smear) - bisect_left(start.times, begun + smear)
        hidden = start is end and inside < (1 if start.straight else 2)
        if hidden:
            first = last = min(first[0], last[0]), max(first[1], last[1])
        least, most = _stretched(first, most_watts, hidden=hidden)
        least_last, most_last = _stretched(last, most_watts, hidden=hidden)
        begun_low, begun_high = start.bounds(begun, smear, least, most)
        ended_low, ended_high = end.bounds(ended, smear, least_last, most_last)
        floor = least * (ended - begun) if hidden else -math.inf
        return max(ended_low - begun_high, floor), max(ended_high - begun_low, floor)


def _stretched(level: tuple[float, float], most_watts: float, *, hidden: bool) -> tuple[float, float]:
    """The levels that power may have near an edge, by those that are seen there."""
    least, most = level
    below, above = (_PAUSE, _BURST) if hidden else (1.0, 1.0)
    apart = most - least
    return max(least - below * apart, min(least, 0.0)), min(most + above * apart, most_watts)


class Window(NamedTuple):
    """What one channel measured between two moments; NaN where the source cannot tell."""

    seconds: float
    joules: float
    coulombs: float
    volt_seconds: float
    covered_seconds: float
    gap_fill_joules: float
    variance_joules2: float
    """Variance of ``joules`` from noise and from what happened between samples."""
    edge_joules: float
    """What the window's two edges may misplace, one standard deviation."""
    peak_watts: float
    start_joules: float = math.inf
    """What its start alone may misplace, one standard deviation, if it is long; infinite: only both edges
    together are known."""
    end_joules: float = math.inf
    """The same of its end."""
    start_shift: float = 0.0
    """What a device that shows its values late moves past the start, one standard deviation; the delay is the
    same at the end, so that only the difference of both counts."""
    end_shift: float = 0.0

    @classmethod
    def between(
        cls, start: Point, end: Point, seconds: float, peak_watts: float, edges: Edges | None = None
    ) -> Window:
        """The difference of two points of a curve.

        A total that is unknown at the start and known at the end began in between, at 0. Without ``edges``,
        only the steps of power at both points say what they misplace.
        """
        joules0, coulombs0, volt_seconds0, covered0, fill0, variance0, edge_joules, step_watts = start
        joules1, coulombs1, volt_seconds1, covered1, fill1, variance1, edge1_joules, step1_watts = end
        edge0_joules = edge_joules
        if edges is not None:
            edge_joules = edges.misplaced_joules(seconds)
        else:
            edge_joules += edge1_joules
            around_joules = (step1_watts if step1_watts > step_watts else step_watts) * seconds * STEP_AROUND
            if around_joules < edge_joules:
                edge_joules = around_joules
        return made(
            cls,
            (
                seconds,
                joules1 - (joules0 if joules0 == joules0 else 0.0),  # NaN differs from itself
                coulombs1 - (coulombs0 if coulombs0 == coulombs0 else 0.0),
                volt_seconds1 - (volt_seconds0 if volt_seconds0 == volt_seconds0 else 0.0),
                covered1 - covered0,
                fill1 - fill0,
                variance1 - variance0,
                edge_joules,
                peak_watts,
                edge0_joules,
                edge1_joules,
                0.0,
                0.0,
            ),
        )


NOTHING = Window(math.nan, math.nan, math.nan, math.nan, 0.0, 0.0, 0.0, 0.0, math.nan)
"""The window of a channel that has no sample yet."""


def unseen_joules(watts: Sequence[float], seconds: float) -> float:
    """What a window misplaces by a step that the device has not shown yet, one standard deviation.

    The newest value may be old: of the time since then nobody knows anything newer. A step of height h that
    came anywhere within it, t long, misplaces h t/√3. How high steps are, the samples say. A few of them say
    little: with none, a step may be as high as the power; each one takes a third of the weight from that.

    >>> [round(unseen_joules([2.0] * count, 0.3), 3) for count in (1, 3, 10)]
    [0.346, 0.219, 0.0]

    Args:
        watts: the power of the newest samples, oldest first.
        seconds: how much of the window lies in that time.
    """
    steps = [after - before for before, after in pairwise(watts)]
    if steps and steps[-1] == 0:
        steps.pop()  # it may be the same value still
    prior = max(0.0, 1.0 - len(steps) / _ENOUGH_STEPS)
    square = (prior * watts[-1] ** 2 + sum(step * step for step in steps)) / (prior + len(steps))
    return math.sqrt(square / 3) * seconds


def together(
    windows: Sequence[Window],
    edges: Sequence[tuple[float, float]],
    least_seconds: float,
    channels: int = 1,
) -> Window:
    """Several windows of one channel as one.

    Args:
        windows: at least one.
        edges: start and end of each, s.
        least_seconds: the least length of a window whose edges are known by themselves, see `long_seconds`.
        channels: how many channels add up with this one.
    """
    summed = {
        field: math.fsum(getattr(window, field) for window in windows)
        for field in Window._fields[: Window._fields.index("variance_joules2")]
    }
    peaks = [window.peak_watts for window in windows if window.peak_watts == window.peak_watts]
    ends = (
        Ends(
            start,
            end,
            window.variance_joules2,
            window.edge_joules,
            window.start_joules,
            window.end_joules,
            window.start_shift,
            window.end_shift,
            window.peak_watts,
        )
        for (start, end), window in zip(edges, windows, strict=True)
        if window.covered_seconds > 0
    )
    variance, edge_joules = ends_together(ends, least_seconds, channels)
    return Window(
        **summed,
        variance_joules2=variance,
        edge_joules=edge_joules,
        peak_watts=max(peaks, default=math.nan),
    )


class Ends(NamedTuple):
    """A window's edges, s, and what is uncertain of it: see `Window`."""

    start: float
    end: float
    variance_joules2: float
    edge_joules: float
    start_joules: float
    end_joules: float
    start_shift: float
    end_shift: float
    peak_watts: float


class _Row(NamedTuple):
    """Windows of which none overlaps another, up to the last one so far."""

    end: float
    peak_watts: float
    joules: float
    """What they misplace at the most, by the best way to join them."""
    begun: float
    """Where those begin that may be joined with the next one, s."""
    begun_shift: float
    begun_joules: float
    """The same up to there, with that start and the gaps since then, but no end yet."""
    variance: float


def ends_together(ends: Iterable[Ends], least_seconds: float, channels: int = 1) -> tuple[float, float]:
    """The variance of the sum of several windows of one channel, and what their edges may misplace in it.

    What one window gains at its end, the next one loses if it begins there: both errors are the same, with
    opposite signs. So windows that touch have the two edges of the stretch that they cover. With a gap
    between them, that stretch is too long by what flowed in the gap: by anything from nothing to the peak,
    instead of what the curve shows there. Windows are joined where that leaves less than their own edges.

    Work that repeats makes the same error in every gap, or at every edge, and on every channel. So these
    add, and weigh more with several channels, which add in squares. Overlapping windows are taken apart
    first into rows in which none overlaps another; what is wrong in one of them is as wrong in the others,
    at the same time.

    Args:
        ends: in any order.
        least_seconds: the least length of a window whose edges are known by themselves, see `long_seconds`.
        channels: how many channels add up with this one.
    """
    ordered = sorted(ends)
    weight = math.sqrt(channels) if len(ordered) > 1 else 1.0
    rows: list[_Row] = []  # by their ends
    for start, end, variance, both, at_start, at_end, start_shift, end_shift, peak in ordered:
        peak = abs(peak) if peak == peak else math.inf
        place = bisect_right(rows, start, key=_end_of) - 1
        before = rows.pop(place) if place >= 0 else _Row(-math.inf, math.inf, 0.0, start, 0.0, math.inf, 0.0)
        gap = start - before.end
        gap_joules = max(peak, before.peak_watts) * gap * RECTANGLE * weight if gap > 0 else 0.0
        begun, shift, begun_joules = before.begun, before.begun_shift, before.begun_joules + gap_joules
        if not begun_joules <= before.joules + at_start:
            begun, shift, begun_joules = start, start_shift, before.joules + at_start
        long = end - begun >= least_seconds
        joined = begun_joules + at_end + abs(end_shift - shift) if long else math.inf
        least_joules = min(before.joules + both * weight, joined)
        row = _Row(end, peak, least_joules, begun, shift, begun_joules, before.variance + variance)
        insort(rows, row, key=_end_of)
    scatter = math.fsum(math.sqrt(max(row.variance, 0.0)) for row in rows)
    return scatter**2, math.fsum(row.joules for row in rows)


def long_seconds(interval_seconds: float, late_seconds: float) -> float:
    """The least length of a window that has samples of its own, however late the device may show them."""
    return LONG * interval_seconds + late_seconds


def _end_of(row: _Row) -> float:
    return row.end
