"""What is true of a program that has run: its windows, and the exact energy of every one."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from oracle.known import Row
from oracle.steps import SourceSpec
from oracle.wave import Wave

_LEARN = 6
_RECENT = 60
"""Readings."""
_TOGETHER_SECONDS = 5e-5
_MOST_PLACES = 200


class Moments(NamedTuple):
    """A moment that is known to lie between two, s from the program's start."""

    earliest: float
    latest: float


class Extent(NamedTuple):
    """A window whose start and end are known to lie within brackets."""

    start: Moments
    end: Moments

    @property
    def seconds(self) -> tuple[float, float]:
        """The least and the most that it can last."""
        return max(0.0, self.end.earliest - self.start.latest), self.end.latest - self.start.earliest

    def placed(self, seconds: float, waves: Sequence[Wave] = ()) -> list[tuple[float, float]]:
        """Where a window of this length may lie, from the earliest to the latest.

        They are an eighth of it apart, and wherever one of its ends meets a step of a wave: there it has the
        most or the least energy.
        """
        first = max(self.start.earliest, self.end.earliest - seconds)
        last = max(first, min(self.start.latest, self.end.latest - seconds))
        eighths = min(8 * (last - first) / seconds, _MOST_PLACES) if seconds > 0 else 8
        count = 1 if last - first < 1e-7 else 1 + max(8, math.ceil(eighths))
        places = [first + (last - first) * n / max(1, count - 1) for n in range(count)]
        if count > 1:
            for wave in waves:
                places += wave.joints(first, last)
                places += [end - seconds for end in wave.joints(first + seconds, last + seconds)]
        return [(start, start + seconds) for start in sorted(places)]


class Measured(NamedTuple):
    """What a channel can have measured of a window."""

    seconds: float
    """Certainly."""
    possibly: float
    """So many seconds more, which a fair meter may count or may not."""
    joules: float
    """The true energy of the certain part."""
    more_joules: float
    slack_joules: float
    """By what a straight line across the uncertain stretches may miss the truth."""
    longest: float
    """The longest time between two readings, s."""
    gaps: int = 0
    """Stretches that are not certain."""


class Channel:
    """One source, or one rail of a source.

    Args:
        spec: what it was.
        rows: the readings that it gave.
        epoch_ns: the program's start.
        hz: how often it was read.
        breaks: moments at which the sampling process was ended or halted, s.
        ready_seconds: how long it may go on being read after a block, for the next one.
    """

    def __init__(
        self,
        name: str,
        spec: SourceSpec,
        rows: Sequence[Row],
        epoch_ns: int,
        hz: float,
        breaks: Sequence[float],
        ready_seconds: float = 0.0,
    ) -> None:
        self.name, self.spec, self.hz = name, spec, hz
        self.ready_seconds = ready_seconds
        self.wave = Wave(spec.wave)
        self.times = [(row.at_ns - epoch_ns) * 1e-9 for row in rows]
        self.watts = [row.watts for row in rows]
        self._given = sorted((row.given_ns - epoch_ns) * 1e-9 for row in rows)
        self._breaks = sorted(breaks)
        # a counter, or a mean since the last reading, knows of the time in which nobody read it
        self._counts_on = spec.semantics != "instant"
        self._away = [trouble[1:3] for trouble in spec.troubles] if spec.restarts else []
        # what is taken for the usual interval may be a first one that was shorter, by up to a third
        self._sure = max(2.5 * max(1 / hz, spec.news / 1.5), 2.5e-3)
        self._begins = self._breaks
        self._learns = bool(spec.news or spec.nominal_hz)

    def begun(self, moments: Sequence[float]) -> None:
        """When somebody began to read it: where its pace is not as promised, that must be learnt first."""
        self._begins = sorted([*self._breaks, *moments])

    def first_after(self, moment: float) -> float:
        """When the sampler got its first reading after a moment, s; the moment itself if there was none."""
        place = bisect_left(self._given, moment)
        return self._given[place] if place < len(self._given) else moment

    def last_before(self, moment: float) -> float:
        """The time of the last reading before a moment, s; minus infinity if there was none."""
        place = bisect_right(self.times, moment)
        return self.times[place - 1] if place else -math.inf

    def _learning(self, at: float) -> bool:
        """A reading is one of the first."""
        if not self._learns:
            return False
        last = bisect_right(self._begins, at)
        begin = self._begins[last - 1] if last else -math.inf
        return bisect_right(self.times, at) - bisect_left(self.times, begin) <= _LEARN

    def measured(self, start: float, end: float) -> Measured:
        """What can have been measured of a window."""
        sure = possible = joules = more = slack = 0.0
        longest = end - start if not self.times else 0.0
        gaps = 0
        for number, left, right in self._intervals(start, end):
            a, b = max(left, start), min(right, end)
            longest = max(longest, right - left)
            width = right - left
            broken = bisect_left(self._breaks, left) != bisect_left(self._breaks, right)
            if width <= self._sure and not broken and not self._learning(left):
                sure += b - a
                joules += self.wave.joules(a, b)
                continue
            gaps += 1
            counts_on = self._counts_on and not any(start < right and left < end for start, end in self._away)
            if width <= self._gap(number) or broken or counts_on or self._learning(left):
                low, high = self.wave.extremes(left, right)
                possible += b - a
                more += self.wave.joules(a, b)
                slack += (high - low) * (b - a)
        return Measured(sure, possible, joules, more, slack, longest, gaps)

    def peaks(self, start: float, end: float) -> tuple[float, float]:
        """The highest reading within a window, and of the window with a neighbour on either side, W."""
        first, last = bisect_left(self.times, start), bisect_right(self.times, end)
        inner = self.watts[first + 1 : max(last - 1, 0)]
        outer = self.watts[max(0, first - 2) : last + 2]
        return max(inner, default=0.0), max(outer, default=0.0)

    def _gap(self, number: int) -> float:
        """Less than this after a reading is no gap: the limit follows the pace of the readings before."""
        recent = self.times[max(0, number - _RECENT) : number + 1]
        # lines that were held back and come together say nothing of the pace
        steps = [b - a for a, b in pairwise(recent) if b - a >= _TOGETHER_SECONDS]
        triples = [sorted(steps[at : at + 3])[1] for at in range(len(steps) - 2)]
        return 4.5 * max(1 / self.hz, *triples, 0.0) + 4e-3

    def _intervals(self, start: float, end: float) -> Iterator[tuple[int, float, float]]:
        """The stretches between two readings that a window touches, each after its number."""
        times = self.times
        first = max(0, bisect_right(times, start) - 1)
        for number in range(first, len(times) - 1):
            if times[number] >= end:
                return
            if times[number + 1] > start and times[number + 1] > times[number]:
                yield number, times[number], times[number + 1]


class Run(NamedTuple):
    """From entering a meter to leaving it, as one process saw it."""

    meter: int
    process: str
    extent: Extent
    loose: bool = False
    """Several threads entered and left: only its bounds are known."""
    open: bool = False
    """Whether it was never left."""
    logged: bool = True
    """Whether its samples go to the meter's log."""
    begun: float = -math.inf
    """The first sample was taken after this moment, s."""
    other: bool = False
    """By another meter of the same source, which is not asked."""
    sampled_until: float = math.inf
    """A worker sees no sample after this moment: its parent has left the run."""


class Stretch(NamedTuple):
    """One span."""

    label: str
    meter: int
    process: str
    extent: Extent
    way: str = "with"
