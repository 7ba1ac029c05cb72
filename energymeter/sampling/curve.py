"""The energy curve as the measured program reads it: totals at any moment, interpolated between the samples.

A reader checks every record that it takes a total from. If the writer has overtaken it, it looks again,
in the end in the history.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

from energymeter.energy.integrate import Sample
from energymeter.energy.window import (
    JOINED,
    LONG,
    MANY,
    NEWEST,
    NOTHING,
    STEP_AROUND,
    STEP_IN_LINE,
    STEP_IN_MEAN,
    Edges,
    Near,
    Point,
    Window,
    unseen_joules,
)
from energymeter.errors import NotMeasured
from energymeter.lazy import TYPE_CHECKING, NamedTuple, made
from energymeter.reading import ASKED_SECONDS, Facts, smallest_rise
from energymeter.sampling.memory import ChannelMemory, Count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_NAN, _INF = math.nan, math.inf
_PATIENCE = 1000
"""Searches repeated because the writer went round the ring meanwhile, or a record is not yet visible."""
_TRIES = 8
"""Searches repeated because the history is being thinned; one whose writer was killed stays as it is."""


class _Course(NamedTuple):
    """One running total from a sample to the next. Its rate is level, or runs straight."""

    total: float
    rise: float
    twice_rate: float
    change: float
    rates: float
    """The sum of both rates; 0: the total rises evenly."""

    @classmethod
    def of(
        cls,
        total0: float | None,
        total1: float | None,
        rate0: float | None,
        rate1: float | None,
        *,
        bent: bool,
    ) -> _Course | None:
        """By value and rate at both samples; ``bent``: the rate runs straight. ``None``: unknown."""
        if total1 is None:
            return None
        if total0 is None:
            total0 = 0.0
        if bent and rate0 is not None and rate1 is not None:
            return made(cls, (total0, total1 - total0, 2 * rate0, rate1 - rate0, rate0 + rate1))
        return made(cls, (total0, total1 - total0, 0.0, 0.0, 0.0))


class Stretch:
    """A curve from one sample to the next: its totals at any moment.

    Args:
        before: the sample that is not later than the moments.
        after: the next one, later than them; the same one outside of the curve, which is level there.
        trapezoids: power runs straight from one to the other (instants); otherwise it is level (means,
            counters).
        later: the sample after these, where it is known. A step late in a level stretch shows there.
    """

    __slots__ = (
        "_coulombs", "_covered_ns", "_edge_joules", "_gap_fill", "_gap_fill_rise", "_joules",
        "_measured_from_ns", "_step_watts", "_variance", "_variance_rise", "_volt_seconds", "begin_ns",
        "end_ns", "measured_ns", "peak_watts",
    )  # fmt: skip

    def __init__(
        self, before: Sample, after: Sample, *, trapezoids: bool, later: Sample | None = None
    ) -> None:
        at0_ns, joules0, coulombs0, volt_s0, covered0_ns, fill0, watts0, volts0, amps0, variance0 = before
        at1_ns, joules1, coulombs1, volt_s1, covered1_ns, fill1, watts1, volts1, amps1, variance1 = after
        self.begin_ns, self.end_ns = at0_ns, at1_ns
        self.measured_ns = measured_ns = covered1_ns - covered0_ns
        # what was measured of an interval is its end: a mean describes the time up to its sample
        self._measured_from_ns = at1_ns - measured_ns
        bent = trapezoids and measured_ns == at1_ns - at0_ns > 0
        self._joules = _Course.of(joules0, joules1, watts0, watts1, bent=bent)
        self._coulombs = _Course.of(coulombs0, coulombs1, amps0, amps1, bent=bent)
        self._volt_seconds = _Course.of(volt_s0, volt_s1, volts0, volts1, bent=bent)
        self._covered_ns = covered0_ns
        self._gap_fill, self._gap_fill_rise = fill0, fill1 - fill0
        self._variance, self._variance_rise = variance0, variance1 - variance0
        self._step_watts = abs(watts1 - watts0) if watts0 is not None and watts1 is not None else 0.0
        if later is not None and later.watts is not None and watts1 is not None:
            self._step_watts = max(self._step_watts, abs(later.watts - watts1))
        self._edge_joules = self._step_watts * measured_ns * 1e-9 * (STEP_IN_LINE if bent else STEP_IN_MEAN)
        self.peak_watts = max((watts for watts in (watts0, watts1) if watts is not None), default=_NAN)
        """The higher power of both samples."""

    def at(self, at_ns: int) -> Point:
        """The totals at a moment; before both samples those of the first, after both those of the last."""
        into_ns, measured_ns = at_ns - self._measured_from_ns, self.measured_ns
        share = edge_joules = step_watts = 0.0
        if measured_ns > 0 and into_ns > 0:
            share = into_ns / measured_ns
            if share < 1.0:
                edge_joules, step_watts = self._edge_joules, self._step_watts
            else:
                share = 1.0
        gap_fill = self._gap_fill
        if self._gap_fill_rise and at_ns > self.begin_ns:
            elapsed = (at_ns - self.begin_ns) / (self.end_ns - self.begin_ns)
            gap_fill += min(1.0, elapsed) * self._gap_fill_rise
        return made(
            Point,
            (
                _along(self._joules, share),
                _along(self._coulombs, share),
                _along(self._volt_seconds, share),
                (self._covered_ns + share * measured_ns) * 1e-9,
                gap_fill,
                self._variance + share * self._variance_rise,
                edge_joules,
                step_watts,
            ),
        )

    def window(self, start_ns: int, end_ns: int) -> Window:
        """What was measured between two moments within, where all of it was: `Window.between` in one step.

        Args:
            start_ns: later than the first sample.
            end_ns: not sooner than that, and sooner than the second sample.
        """
        from_ns, measured_ns = self._measured_from_ns, self.measured_ns
        start, end = (start_ns - from_ns) / measured_ns, (end_ns - from_ns) / measured_ns
        seconds = (end_ns - start_ns) * 1e-9
        # no longer than from one sample to the next: this is less than what both edges misplace
        around_joules = self._step_watts * seconds * STEP_AROUND
        return made(
            Window,
            (
                seconds,
                _gained(self._joules, start, end),
                _gained(self._coulombs, start, end),
                _gained(self._volt_seconds, start, end),
                (self._covered_ns + end * measured_ns) * 1e-9
                - (self._covered_ns + start * measured_ns) * 1e-9,
                0.0,
                (self._variance + end * self._variance_rise) - (self._variance + start * self._variance_rise),
                around_joules,
                self.peak_watts,
                self._edge_joules,
                self._edge_joules,
                0.0,
                0.0,
            ),
        )


def _gained(course: _Course | None, start: float, end: float) -> float:
    """The difference of a running total between two shares of the time that was measured."""
    if course is None:
        return _NAN
    total, rise, twice_rate, change, rates = course
    if rates:
        start *= (twice_rate + change * start) / rates
        end *= (twice_rate + change * end) / rates
    return (total + end * rise) - (total + start * rise)


def _along(course: _Course | None, share: float) -> float:
    """A running total at this share of the time that was measured."""
    if course is None:
        return _NAN
    total, rise, twice_rate, change, rates = course
    if rates:
        share *= (twice_rate + change * share) / rates
    return total + share * rise


class Curve:
    """The measured program's end: totals at any moment, interpolated between the samples.

    The memory may go on to another block's curve: this one is from sample `begin` to the one after `end`.

    Args:
        memory: the channel's shared memory.
        trapezoids: power runs straight between two samples (instants); otherwise it is level
            (means, counters).
        age_seconds: how old a value may be when it is read, from the time between two samples.
        most_watts: what can flow at most.
    """

    def __init__(
        self,
        memory: ChannelMemory,
        *,
        trapezoids: bool,
        age_seconds: Callable[[float], float] | None = None,
        most_watts: float | None = None,
    ) -> None:
        self.counts, self.capacity = memory.counts, memory.capacity
        self._memory = memory
        self._first = 0
        self._first_ns = 0
        self._base: Sequence[int] | None = None
        self._end_ns = 0
        self._end: int | None = None
        """The number after that of the last sample, once it is known."""
        self._newest: Sample | None = None
        self._final: Sequence[int] | None = None
        self._error = ""
        self._ring, self._history = memory.ring, memory.history
        self._trapezoids = trapezoids
        self._age_seconds = age_seconds
        self._most_watts = _INF if most_watts is None else most_watts
        self._stretch: Stretch | None = None
        """Where the last search ended: spans come in order."""
        self._rise: tuple[int, float | None] = 0, None
        """How many samples were searched for the smallest rise of joules, and what it is."""
        self._straight: Stretch | None = None
        """The same, where it is enough for every window within: nothing is missing, late or level there."""

    @classmethod
    def of(cls, facts: Facts, memory: ChannelMemory) -> Curve:
        """The curve of a source with these facts."""
        # a sample that is asked for may come sooner than a mean of this source is long
        early = facts.semantics == "mean" and facts.max_hz * ASKED_SECONDS < 1
        late = early or facts.renewal_seconds or facts.smoothing_seconds
        return cls(
            memory,
            trapezoids=facts.semantics == "instant",
            age_seconds=facts.age_seconds if late else None,
            most_watts=facts.max_watts,
        )

    def __len__(self) -> int:
        end = self._end if self.complete() else None
        return self.counts[Count.RING_COUNT] if end is None else end

    def begin(self, first: int, base: Sequence[int]) -> None:
        """Another block has used the memory before.

        Args:
            first: the number of the first sample that is looked at: the newest one before the block.
            base: the counts so far.
        """
        self._first, self._first_ns, self._base = first, self._ring.times[first % self.capacity], base

    def count_from(self, base: Sequence[int]) -> None:
        """The counts at the block's first sample, once they are known."""
        self._base = base

    def end(self, end_ns: int) -> None:
        """The block has ended at this moment: the sample that follows is its last one."""
        self._end_ns = end_ns

    @property
    def end_ns(self) -> int:
        """When the block ended; 0: not yet."""
        return self._end_ns

    def keep_counts(self, counts: Sequence[int]) -> None:
        """What is counted from now on is another block's."""
        self._error, self._final = self.error, counts

    @property
    def counted(self) -> bool:
        """Whether the counts are the block's own for good."""
        return self._final is not None

    def complete(self) -> bool:
        """Whether the sample that follows the block's end was taken."""
        if self._end_ns and self._end is None:
            self._find_end()
        return self._end is not None

    def detach(self) -> None:
        """Keep the samples of a `complete` curve, of which the ring holds all, in memory of its own."""
        if not self._first_ns:
            self._first_ns = self.first_ns()  # the history stays behind
        self.move(self._memory.copied(self._first, len(self)))

    def move(self, memory: ChannelMemory) -> None:
        """Read the same samples elsewhere from now on."""
        self._memory, self._ring, self._history = memory, memory.ring, memory.history
        self.counts = memory.counts

    def answered(self) -> int:
        """How many of the samples that were asked for were taken, or failed."""
        return self._memory.head.answered()[0]

    def _find_end(self) -> None:
        counts, times, capacity = self.counts, self._ring.times, self.capacity
        number = counts[Count.RING_COUNT] - 1
        if number < self._first or times[number % capacity] < self._end_ns:
            return
        oldest = max(self._first, number + 1 - capacity + capacity // 8)
        while number > oldest and times[(number - 1) % capacity] >= self._end_ns:
            number -= 1
        newest = self._memory.sample(number)
        if newest is not None:  # else not yet visible
            self._newest, self._end = newest, number + 1

    def observed(self, count: int) -> int:
        """One of the counts kept by the sampler, such as ``Count.MISSED``: the block's own part of it."""
        now = (self.counts if self._final is None else self._final)[count]
        return max(0, now - self._base[count]) if self._base is not None and count in Count.RISING else now

    @property
    def error(self) -> str:
        """The last thing that went wrong while sampling, or an empty text."""
        return self._memory.head.error if self._final is None else self._error

    def last(self) -> Sample | None:
        """The newest sample, if there is one."""
        return self._newest if self.complete() else self._memory.last()

    def first_ns(self) -> int:
        """When the first sample was taken."""
        if self._first_ns:
            return self._first_ns
        for _ in range(_PATIENCE):
            first = self._history.get(0)
            if first is not None:
                return first[1].at_ns
        raise AssertionError("the first record is never finished")

    def last_ns(self) -> int:
        """When the newest sample was taken."""
        newest = self.last()
        return newest.at_ns if newest is not None else 0

    def oldest_ns(self) -> int:
        """The oldest moment that is still known at full rate."""
        return self._ring.times[self._bounds()[0] % self.capacity]

    def interval_seconds(self, period: float) -> float:
        """The observed time between two samples, gaps left out; while there are few, at least ``period``.

        The last sample of a run comes early, so an interval or two say little.
        """
        intervals = len(self) - self._first - 1 - self.observed(Count.GAPS)
        if intervals < 1:
            return period
        observed_ns = self.last_ns() - self.first_ns() - self.observed(Count.GAP_NS)
        seconds = max(observed_ns, 1) * 1e-9 / intervals
        return seconds if intervals >= MANY else max(seconds, period)

    def reach_ns(self) -> int:
        """How much time a full ring holds at the rate of its samples; 0: too few to say."""
        oldest, count = self._bounds()
        if count - oldest < 2:
            return 0
        kept_ns = self.last_ns() - self._ring.times[oldest % self.capacity]
        return kept_ns * self.capacity // (count - 1 - oldest)

    def _bounds(self) -> tuple[int, int]:
        """The number of the oldest sample that is safe to read in the ring, and that after the newest."""
        count = len(self)
        # an eighth of the ring is left to the writer, so that it does not overtake a reader at work
        oldest = count - self.capacity + self.capacity // 8
        return oldest if oldest > self._first else self._first, count

    def at(self, at_ns: int) -> Point:
        """The totals at a moment: exact on samples, interpolated between, level before and after.

        Args:
            at_ns: a ``time.monotonic_ns()``.
        """
        return self._around(at_ns).at(at_ns)

    def window(self, start_ns: int, end_ns: int, start: Point | None = None) -> Window:
        """What was measured from ``start_ns`` to ``end_ns``; ``start`` is ``at(start_ns)`` if already known.

        Before the first sample it is `NOTHING`.
        """
        straight = self._straight
        if straight is not None and straight.begin_ns < start_ns <= end_ns < straight.end_ns:
            return straight.window(start_ns, end_ns)
        if not len(self):
            return NOTHING
        start, end = start if start is not None else self.at(start_ns), self.at(end_ns)
        late_ns = self.late_ns()
        edges = self._edges(start_ns, end_ns, late_ns)
        seconds = (end_ns - start_ns) * 1e-9
        peak = self.peak(start_ns, self._out_of_gap(end_ns))
        window = Window.between(start, end, seconds, peak, edges)
        if late_ns:
            unseen = self._unseen_joules(start_ns, end_ns, late_ns)
            alone = (_INF, _INF, 0.0, 0.0) if edges is None else edges.alone(seconds)
            window = window._replace(
                edge_joules=math.hypot(window.edge_joules, unseen),
                start_joules=alone[0],
                end_joules=alone[1] + self._unseen_joules(0, end_ns, late_ns),
                start_shift=alone[2],
                end_shift=alone[3],
            )
        return window

    def _out_of_gap(self, end_ns: int) -> int:
        """The next sample, where a window ends in a gap.

        What flowed in the gap is taken to be at most the peak, and that may be on its other side.
        """
        stretch = self._around(end_ns)
        begins_ns = stretch.end_ns - stretch.measured_ns
        return stretch.end_ns if stretch.begin_ns < end_ns < begins_ns else end_ns

    def _unseen_joules(self, start_ns: int, end_ns: int, late_ns: int) -> float:
        """What the newest value, which may be so old, does not show of a window."""
        newest = self.last()
        if newest is None or newest.watts is None:
            return 0.0
        unseen_ns = min(end_ns, newest.at_ns) - max(start_ns, newest.at_ns - late_ns)
        if unseen_ns <= 0:
            return 0.0
        oldest, count = self._bounds()
        numbers = range(max(oldest, count - NEWEST), count)
        samples = [sample for number in numbers if (sample := self._memory.sample(number)) is not None]
        watts = [sample.watts for sample in samples if sample.watts is not None]
        return unseen_joules(watts, unseen_ns * 1e-9) if watts else 0.0

    def late_ns(self) -> int:
        """How much later than it flowed energy may show in the curve, at most."""
        return round(self._age_seconds(self.interval_seconds(0.0)) * 1e9) if self._age_seconds else 0

    def _near_ns(self) -> int:
        """From one sample to the next where the last search ended."""
        return self._stretch.end_ns - self._stretch.begin_ns if self._stretch is not None else 0

    def _edges(self, start_ns: int, end_ns: int, late_ns: int) -> Edges | None:
        """What is around the window; ``None``: too little to say, or nothing but the steps there matters.

        That is so for instants that are new when they are read: a straight line joins two of them.
        """
        near_ns = self._near_ns()
        if not late_ns and (self._trapezoids or end_ns - start_ns >= LONG * near_ns):
            return None
        joined = end_ns - start_ns <= late_ns + 2 * LONG * near_ns
        start = self._samples_near(start_ns, (end_ns if joined else start_ns) + late_ns, start_ns)
        end = start if joined else self._samples_near(end_ns, end_ns + late_ns, start_ns)
        if start is None or end is None:
            return None
        return Edges(start, end, late_ns * 1e-9, self._most_watts)

    def _samples_near(self, first_ns: int, last_ns: int, zero_ns: int) -> Near | None:
        """The samples from the third before ``first_ns`` to the third after ``last_ns``, between gaps."""
        oldest, count = self._bounds()
        index, end = self._index(first_ns, oldest, count), self._index(last_ns, oldest, count)
        if index < oldest and oldest:
            return None  # only the history knows, and it is coarse
        if self.counts[Count.RING_COUNT] - oldest >= self.capacity:
            return None  # overwritten during the search
        samples: list[Sample] = []
        for number in range(max(index - 2, oldest), min(end + 4, count)):
            sample = self._memory.sample(number)
            if sample is None or sample.joules is None or sample.watts is None:
                return None
            before = samples[-1] if samples else sample
            if sample.covered_ns - before.covered_ns < JOINED * (sample.at_ns - before.at_ns):
                if sample.at_ns > first_ns:
                    break
                samples.clear()
            samples.append(sample)
        if len(samples) < 2:
            return None
        return Near(
            [(sample.at_ns - zero_ns) * 1e-9 for sample in samples],
            [sample.joules for sample in samples if sample.joules is not None],
            [sample.watts for sample in samples if sample.watts is not None],
            self._trapezoids,
        )

    def peak(self, start_ns: int, end_ns: int) -> float:
        """The largest sample of a window in W, its neighbours included if it holds none; NaN if unknown."""
        if not len(self):
            return _NAN
        peaks, capacity = self._ring.peaks, self.capacity
        for _ in range(_PATIENCE):
            oldest, count = self._bounds()
            first = max(self._index(start_ns, oldest, count), oldest)
            last = self._index(end_ns, oldest, count)
            if last < count - 1:
                ended_ns = self._ring.times[last % capacity]
                if (first == last and ended_ns < start_ns) or (not self._trapezoids and ended_ns < end_ns):
                    last += 1  # it lies between two, or in the level that ends with the next
            peak = -math.inf
            if first <= last:
                left, right = first % capacity, last % capacity + 1
                peak = max(peaks[left:right]) if left < right else max(max(peaks[left:]), max(peaks[:right]))
            # a search among records that are overwritten meanwhile finds anything
            overwritten = self.counts[Count.RING_COUNT] - oldest >= capacity
            # what was counted a moment ago may still be on its way to this processor
            if not overwritten and (last < count - 2 or self._memory.sample(last) is not None):
                break
        if start_ns < self.oldest_ns():
            peak = max(peak, self._peak_in_history(start_ns, end_ns))
        return peak if peak > -math.inf else _NAN

    def _peak_in_history(self, start_ns: int, end_ns: int) -> float:
        history = self._history
        for _ in range(_TRIES):
            generation, count = self.counts[Count.GENERATION], self.counts[Count.HISTORY_COUNT]
            first = bisect_left(history.times, start_ns, 0, count)
            last = bisect_left(history.times, end_ns, first, count)  # it covers the time before it, too
            peak = max(history.peaks[first : min(last + 1, count)], default=-math.inf)
            if last == count and count and history.times[count - 1] < self.oldest_ns():
                peak = max(peak, self._memory.head.coming_peak[0])  # the ring has forgotten some since
                if self.counts[Count.HISTORY_COUNT] != count:
                    continue  # that peak went into the history meanwhile
            if generation % 2 == 0 and generation == self.counts[Count.GENERATION]:
                return peak
        rows = list(zip(history.times[:count], history.peaks[:count], strict=True))
        last_ns = min((at_ns for at_ns, _ in rows if at_ns >= end_ns), default=end_ns)
        return max((peak for at_ns, peak in rows if start_ns <= at_ns <= last_ns), default=-math.inf)

    def samples(self) -> list[Sample]:
        """The whole run: every sample the ring still holds, the thinned history before them."""
        for _ in range(_TRIES):
            generation = self.counts[Count.GENERATION]
            kept = [self._history.get(i) for i in range(self.counts[Count.HISTORY_COUNT])]
            if generation % 2 == 0 and generation == self.counts[Count.GENERATION]:
                break
        older = {f[0]: f[1] for f in kept if f is not None and f[0] >= self._first}  # some are there twice
        ring = self._samples_from(*self._bounds())
        start_ns = ring[0].at_ns if ring else 0
        return [older[number] for number in sorted(older) if older[number].at_ns < start_ns] + ring

    def since(self, number: int, most: int) -> tuple[int, list[Sample]]:
        """The samples from this number on that the ring still holds, at most so many.

        Returns:
            the number of the first of them, which is larger than asked for if some are lost; and the samples.
        """
        oldest, count = self._bounds()
        first = min(max(number, oldest), count)
        found: list[Sample] = []
        for index in range(first, min(count, first + most)):
            sample = self._memory.sample(index)
            if sample is None:
                break  # not yet visible
            found.append(sample)
        return first, found

    def packed_since(self, number: int, most: int) -> tuple[int, list[bytes]]:
        """As `since`, but the rows as they are in the ring; see `energymeter.sampling.memory.unpacked`."""
        oldest, count = self._bounds()
        first = min(max(number, oldest), count)
        return first, self._memory.ring.packed(first, min(count, first + most))

    def smallest_rise(self) -> float | None:
        """By how many joules the curve rose at least when it did; ``None``: it never did."""
        seen, smallest = self._rise
        oldest, count = self._bounds()
        if count > seen:
            known = seen - 1 >= oldest
            samples = self._samples_from(seen - 1, count) if known else self.samples()
            rise = smallest_rise(s.joules for s in samples if s.joules is not None)
            if rise is not None and (smallest is None or rise < smallest):
                smallest = rise
            self._rise = count, smallest
        return smallest

    def _samples_from(self, first: int, end: int) -> list[Sample]:
        """Some of the ring's samples; none that is overwritten meanwhile."""
        found = [self._memory.sample(number) for number in range(first, end)]
        return [sample for sample in found if sample is not None]

    def _index(self, at_ns: int, oldest: int, count: int) -> int:
        """The newest ring sample not later than ``at_ns``; one less than ``oldest`` if there is none."""
        times = self._ring.times
        lap = (count - 1) // self.capacity * self.capacity  # the sample in slot 0
        if oldest < lap and at_ns < times[0]:
            lap -= self.capacity
            count = lap + self.capacity
        return lap + bisect_right(times, at_ns, max(oldest - lap, 0), count - lap) - 1

    def _around(self, at_ns: int) -> Stretch:
        """The stretch that a moment is in."""
        stretch = self._stretch
        if stretch is None or not stretch.begin_ns <= at_ns < stretch.end_ns:
            before, after, later = self._found_around(at_ns)
            self._stretch = stretch = Stretch(before, after, trapezoids=self._trapezoids, later=later)
            whole = stretch.measured_ns == stretch.end_ns - stretch.begin_ns
            simple = whole and self._trapezoids and self._age_seconds is None
            self._straight = stretch if simple and stretch.begin_ns >= self.oldest_ns() else None
        return stretch

    def _found_around(self, at_ns: int) -> tuple[Sample, Sample, Sample | None]:
        """The samples before and after a moment: the same one twice outside the curve; and a later one."""
        for _ in range(_PATIENCE):
            oldest, count = self._bounds()
            index = self._index(at_ns, oldest, count)
            before = self._memory.sample(max(index, oldest))
            after = self._memory.sample(index + 1) if index + 1 < count else before
            if before is None or after is None:
                continue  # overwritten meanwhile, or not yet visible
            if index < oldest:
                pair = (before, before) if oldest == self._first else self._around_in_history(at_ns, before)
                return *pair, None
            if before.at_ns <= at_ns and (after is before or at_ns < after.at_ns):
                wanted = not self._trapezoids and index + 2 < count
                return before, after, self._memory.sample(index + 2) if wanted else None
        if self._end_ns:
            raise NotMeasured("a later block has overwritten these samples; ask for results before that")
        raise AssertionError("the writer cannot lap a ring so often within one search")

    def _around_in_history(self, at_ns: int, ring_start: Sample) -> tuple[Sample, Sample]:
        for _ in range(_TRIES):
            generation, count = self.counts[Count.GENERATION], self.counts[Count.HISTORY_COUNT]
            index = bisect_right(self._history.times, at_ns, 0, count) - 1
            before = self._remembered(max(index, 0))
            after = self._remembered(index + 1) if 0 <= index < count - 1 else ring_start
            if generation % 2 or generation != self.counts[Count.GENERATION]:
                continue
            if index < 0 and before is not None:
                return before, before
            if before is not None and after is not None and before.at_ns <= at_ns < after.at_ns:
                return before, min(after, ring_start)
        # being thinned, perhaps by a writer that was killed: it is in no order, but what checks is true
        known = [found[1] for slot in range(count) if (found := self._history.get(slot)) is not None]
        after = min((sample for sample in known if sample.at_ns > at_ns), default=ring_start)
        before = max((sample for sample in known if sample.at_ns <= at_ns), default=after)
        return before, min(after, ring_start) if before is not after else after

    def _remembered(self, slot: int) -> Sample | None:
        """A sample of the history; ``None``: older than its slot, so not yet overwritten here."""
        found = self._history.get(slot)
        return found[1] if found is not None and found[0] >= slot * self.counts[Count.STRIDE] else None
