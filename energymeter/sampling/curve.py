"""The energy curve in shared memory: written by the sampler, read by the program it measures.

Each channel has a *ring* with every recent sample and a *history* of the whole run whose stride
doubles whenever it is full. Both have a fixed size, so memory is constant in run length, and the
total of a run is exact however long it was: every sample carries the running totals.

One writer, any number of readers, no locks: a sample is written first and counted after, and a
reader that was overtaken by the writer notices and falls back to the history.
"""

import math
from bisect import bisect_left, bisect_right
from typing import NamedTuple

from energymeter.integrate import Sample

_FIELDS = 11  # at_ns joules coulombs volt_seconds covered_ns bridged watts volts amps peak scatter
_PEAK = 9  # the highest watts since the sample before; -inf where nobody can tell
_SCATTER = 10
_SAMPLE_BYTES = 8 * _FIELDS
_COUNTERS = 16
_ERROR_BYTES = 240
HEAD_BYTES = 8 * _COUNTERS + _ERROR_BYTES
HISTORY_SAMPLES = 4096
_NAN = math.nan
_PATIENCE = 1000
"""Look-ups repeated because the writer was at work; one that was killed at it never finishes."""

# positions in the head
(
    _RING_COUNT, _HISTORY_COUNT, _STRIDE, _GENERATION, READS, FAILED, MISSED, DUPLICATES, LOST,
    MOVED_BYTES, GAPS, GAP_NS, STATE, SUSPENDED_NS, CPU_NS, RECORDED_ROWS,
) = range(_COUNTERS)  # fmt: skip
RUNNING, RETRYING, ENDED = 1, 2, 3

# A window often begins where the load steps. A step by h at a share f of an interval dt is drawn wrong there
# by h dt f²/2 where a straight line joins the samples, and by h dt f (1 - f) where a mean, which itself has
# moved by only h f, is level. Root mean squares over f, in units of the difference that the samples show:
STEP_IN_LINE = math.sqrt(1 / 20)
STEP_IN_MEAN = math.sqrt(1 / 10)


class Point(NamedTuple):
    """The running totals of one channel at one moment; NaN where the source cannot tell."""

    joules: float
    coulombs: float
    volt_seconds: float
    covered_seconds: float
    bridged_joules: float
    scatter_joules2: float = 0.0
    edge_joules: float = 0.0
    """What a step of the power right here would be misplaced by, one standard deviation."""


class Draw(NamedTuple):
    """What one channel drew in one window; NaN where the source cannot tell."""

    seconds: float
    joules: float
    coulombs: float
    volt_seconds: float
    covered_seconds: float
    bridged_joules: float
    scatter_joules2: float
    """Variance of ``joules`` from noise and from what happened between samples."""
    edge_joules: float
    """Of what the window's two edges may misplace, one standard deviation."""
    peak_watts: float


def ring_samples(rate_hz: float) -> int:
    """How many samples a ring keeps: a minute's worth, within 1 024 and 65 536."""
    return min(65_536, max(1_024, 1 << math.ceil(math.log2(60 * rate_hz))))


def channel_bytes(capacity: int) -> int:
    """Bytes of shared memory one channel needs."""
    return HEAD_BYTES + (capacity + HISTORY_SAMPLES) * _SAMPLE_BYTES


class _Track:
    """Samples in a stretch of memory, seen at once as integers and as floats."""

    def __init__(self, memory: memoryview, capacity: int) -> None:
        self.capacity = capacity
        self.bytes = memory
        self.ints = memory.cast("q")
        self.floats = memory.cast("d")
        self.times = self.ints[::_FIELDS]
        self.peaks = self.floats[_PEAK::_FIELDS]

    def put(self, slot: int, sample: Sample, peak_watts: float) -> None:
        i = slot * _FIELDS
        ints, floats = self.ints, self.floats
        ints[i] = sample.at_ns
        floats[i + 1] = _NAN if sample.joules is None else sample.joules
        floats[i + 2] = _NAN if sample.coulombs is None else sample.coulombs
        floats[i + 3] = _NAN if sample.volt_seconds is None else sample.volt_seconds
        ints[i + 4] = sample.covered_ns
        floats[i + 5] = sample.bridged_joules
        floats[i + 6] = _NAN if sample.watts is None else sample.watts
        floats[i + 7] = _NAN if sample.volts is None else sample.volts
        floats[i + 8] = _NAN if sample.amps is None else sample.amps
        floats[i + _PEAK] = peak_watts
        floats[i + _SCATTER] = sample.scatter_joules2

    def get(self, slot: int) -> Sample:
        i = slot * _FIELDS
        ints, row = self.ints, self.floats[i : i + _FIELDS].tolist()
        joules, coulombs, volt_seconds, watts, volts, amps = [
            None if number != number else number  # NaN differs from itself
            for number in (*row[1:4], *row[6:9])
        ]
        return Sample(
            ints[i], joules, coulombs, volt_seconds, ints[i + 4], row[5], watts, volts, amps, row[_SCATTER]
        )  # fmt: skip

    def copy(self, source: int, target: int) -> None:
        self.bytes[target * _SAMPLE_BYTES : (target + 1) * _SAMPLE_BYTES] = self.bytes[
            source * _SAMPLE_BYTES : (source + 1) * _SAMPLE_BYTES
        ]


class Head:
    """Counts and the last complaint, in shared memory: of one channel, or of the whole session."""

    def __init__(self, memory: memoryview) -> None:
        self.head = memory[: 8 * _COUNTERS].cast("q")
        self._error = memory[8 * _COUNTERS : HEAD_BYTES]

    @property
    def error(self) -> str:
        """The last thing that went wrong, or an empty text."""
        return bytes(self._error).split(b"\0", 1)[0].decode("utf-8", "ignore")

    @error.setter
    def error(self, text: str) -> None:
        raw = text.encode("utf-8")[: _ERROR_BYTES - 1]
        self._error[: len(raw) + 1] = raw + b"\0"


class _Channel(Head):
    """The memory of one channel: head, ring, history."""

    def __init__(self, memory: memoryview, capacity: int) -> None:
        super().__init__(memory)
        self.capacity = capacity
        split = HEAD_BYTES + capacity * _SAMPLE_BYTES
        self.ring = _Track(memory[HEAD_BYTES:split], capacity)
        self.history = _Track(memory[split : channel_bytes(capacity)], HISTORY_SAMPLES)

    def last(self) -> Sample | None:
        """The newest sample, if there is one."""
        count = self.head[_RING_COUNT]
        return self.ring.get((count - 1) % self.capacity) if count else None


class CurveWriter(_Channel):
    """The sampler's end: appends samples and keeps the counts."""

    def __init__(self, memory: memoryview, capacity: int) -> None:
        super().__init__(memory, capacity)
        self._peak = -math.inf
        if self.head[_STRIDE] == 0:
            self.head[_STRIDE] = 1
        if self.head[_GENERATION] % 2:  # the last writer was killed while it thinned the history
            self.head[_HISTORY_COUNT] = 1
            self.head[_GENERATION] += 1

    def append(self, sample: Sample) -> None:
        head = self.head
        count = head[_RING_COUNT]
        watts = -math.inf if sample.watts is None else sample.watts
        self.ring.put(count % self.capacity, sample, watts)
        head[_RING_COUNT] = count + 1
        if watts > self._peak:
            self._peak = watts
        if count % head[_STRIDE] == 0:
            self._remember(sample)

    def _remember(self, sample: Sample) -> None:
        head = self.head
        if head[_HISTORY_COUNT] == HISTORY_SAMPLES:
            self._thin()
            if (head[_RING_COUNT] - 1) % head[_STRIDE]:
                return
        self.history.put(head[_HISTORY_COUNT], sample, self._peak)
        self._peak = -math.inf
        head[_HISTORY_COUNT] += 1

    def _thin(self) -> None:
        """Drop every second sample of the history; the peak of what goes lives on in its successor."""
        head, history = self.head, self.history
        head[_GENERATION] += 1  # odd: readers wait
        for kept in range(1, HISTORY_SAMPLES // 2):
            peak = max(history.peaks[2 * kept - 1], history.peaks[2 * kept])
            history.copy(2 * kept, kept)
            history.peaks[kept] = peak
        self._peak = max(self._peak, history.peaks[HISTORY_SAMPLES - 1])
        head[_HISTORY_COUNT] = HISTORY_SAMPLES // 2
        head[_STRIDE] *= 2
        head[_GENERATION] += 1


class Curve(_Channel):
    """The measured program's end: totals at any moment, drawn in between the samples.

    Args:
        memory: the channel's shared memory.
        capacity: samples in its ring.
        trapezoids: power runs straight between two samples (instants); otherwise it is level
            (means, counters).
    """

    def __init__(self, memory: memoryview, capacity: int, *, trapezoids: bool) -> None:
        super().__init__(memory, capacity)
        self._trapezoids = trapezoids
        self._near: tuple[Sample, Sample] | None = None  # where the last look-up was: spans come in order

    def __len__(self) -> int:
        return self.head[_RING_COUNT]

    def first_ns(self) -> int:
        """When the first sample was taken."""
        return self.history.times[0]

    def last_ns(self) -> int:
        """When the newest sample was taken."""
        return self.ring.times[(len(self) - 1) % self.capacity]

    def oldest_ns(self) -> int:
        """The oldest moment that is still known at full rate."""
        return self.ring.times[self._oldest() % self.capacity]

    def _oldest(self) -> int:
        # an eighth of the ring is left to the writer, so that it does not overtake a reader at work
        return max(0, len(self) - self.capacity + self.capacity // 8)

    def at(self, at_ns: int) -> Point:
        """The totals at a moment: exact on samples, interpolated between, level before and after.

        Args:
            at_ns: a ``time.monotonic_ns()``.
        """
        before, after = self._around(at_ns)
        return self._between(before, after, at_ns)

    def draw(self, start_ns: int, end_ns: int, start: Point | None = None) -> Draw:
        """What was drawn from ``start_ns`` to ``end_ns``; ``start`` is ``at(start_ns)`` if already known."""
        return difference(
            start if start is not None else self.at(start_ns),
            self.at(end_ns),
            (end_ns - start_ns) * 1e-9,
            self.peak(start_ns, end_ns),
        )

    def peak(self, start_ns: int, end_ns: int) -> float:
        """The largest sample of a window in W, its neighbours included if it holds none; NaN if unknown."""
        if not len(self):
            return _NAN
        oldest, peaks, capacity = self._oldest(), self.ring.peaks, self.capacity
        first, last = max(self._index(start_ns, oldest), oldest), self._index(end_ns, oldest)
        peak = -math.inf
        if first <= last:
            left, right = first % capacity, last % capacity + 1
            peak = max(peaks[left:right]) if left < right else max(max(peaks[left:]), max(peaks[:right]))
        if start_ns < self.oldest_ns():
            peak = max(peak, self._peak_in_history(start_ns, end_ns))
        return peak if peak > -math.inf else _NAN

    def _peak_in_history(self, start_ns: int, end_ns: int) -> float:
        history = self.history
        for _ in range(_PATIENCE):
            generation, count = self.head[_GENERATION], self.head[_HISTORY_COUNT]
            first = bisect_left(history.times, start_ns, 0, count)
            last = bisect_left(history.times, end_ns, first, count)  # speaks for the time before it, too
            peak = max(history.peaks[first : min(last + 1, count)], default=-math.inf)
            if generation % 2 == 0 and generation == self.head[_GENERATION]:
                break
        return peak

    def samples(self) -> list[Sample]:
        """The whole run: every sample the ring still holds, the thinned history before them."""
        for _ in range(_PATIENCE):
            generation, count = self.head[_GENERATION], len(self)
            ring = [self.ring.get(i % self.capacity) for i in range(self._oldest(), count)]
            kept = [self.history.get(i) for i in range(self.head[_HISTORY_COUNT])]
            if generation % 2 == 0 and generation == self.head[_GENERATION]:
                break
        start_ns = ring[0].at_ns if ring else 0
        return [sample for sample in kept if sample.at_ns < start_ns] + ring

    def _index(self, at_ns: int, oldest: int) -> int:
        """The newest ring sample not later than ``at_ns``; one less than ``oldest`` if there is none."""
        times, count = self.ring.times, len(self)
        lap = (count - 1) // self.capacity * self.capacity  # the sample in slot 0
        if oldest < lap and at_ns < times[0]:
            lap -= self.capacity
            count = lap + self.capacity
        return lap + bisect_right(times, at_ns, max(oldest - lap, 0), count - lap) - 1

    def _around(self, at_ns: int) -> tuple[Sample, Sample]:
        """The samples before and after a moment: the same one twice outside the curve."""
        near = self._near
        if near is not None and near[0].at_ns <= at_ns < near[1].at_ns:
            return near
        self._near = near = self._found_around(at_ns)
        return near

    def _found_around(self, at_ns: int) -> tuple[Sample, Sample]:
        for _ in range(8):
            count, oldest = len(self), self._oldest()
            index = self._index(at_ns, oldest)
            before = self.ring.get(max(index, oldest) % self.capacity)
            after = self.ring.get((index + 1) % self.capacity) if index + 1 < count else before
            if len(self) - max(index, oldest) >= self.capacity or (index >= oldest and at_ns < before.at_ns):
                continue  # overwritten meanwhile
            if index >= oldest:
                return before, after
            return (before, before) if oldest == 0 else self._around_in_history(at_ns, before)
        raise AssertionError("the writer cannot lap a ring eight times within one look-up")

    def _around_in_history(self, at_ns: int, ring_start: Sample) -> tuple[Sample, Sample]:
        history = self.history
        for _ in range(_PATIENCE):
            generation, count = self.head[_GENERATION], self.head[_HISTORY_COUNT]
            index = bisect_right(history.times, at_ns, 0, count) - 1
            before = history.get(max(index, 0))
            after = history.get(index + 1) if 0 <= index < count - 1 else ring_start
            if index < 0:
                after = before
            if generation % 2 == 0 and generation == self.head[_GENERATION]:
                break
        return before, min(after, ring_start)

    def _between(self, before: Sample, after: Sample, at_ns: int) -> Point:
        dt_ns = after.at_ns - before.at_ns
        covered_ns = after.covered_ns - before.covered_ns
        # what was measured of an interval is its end: a mean describes the time up to its sample
        into_ns = at_ns - before.at_ns - (dt_ns - covered_ns)
        share = min(1.0, into_ns / covered_ns) if covered_ns > 0 and into_ns > 0 else 0.0
        elapsed = min(1.0, (at_ns - before.at_ns) / dt_ns) if dt_ns > 0 and at_ns > before.at_ns else 0.0
        bent = self._trapezoids and covered_ns == dt_ns > 0
        edge = 0.0
        if 0 < share < 1 and before.watts is not None and after.watts is not None:
            edge = abs(after.watts - before.watts) * covered_ns * (STEP_IN_LINE if bent else STEP_IN_MEAN)
        return Point(
            _along(before.joules, after.joules, share, before.watts, after.watts, bent),
            _along(before.coulombs, after.coulombs, share, before.amps, after.amps, bent),
            _along(before.volt_seconds, after.volt_seconds, share, before.volts, after.volts, bent),
            (before.covered_ns + share * covered_ns) * 1e-9,
            before.bridged_joules + elapsed * (after.bridged_joules - before.bridged_joules),
            before.scatter_joules2 + share * (after.scatter_joules2 - before.scatter_joules2),
            edge * 1e-9,
        )


def difference(start: Point, end: Point, seconds: float, peak_watts: float) -> Draw:
    """What lies between two points of a curve.

    A total that is unknown at the start and known at the end began in between, at 0.
    """
    return Draw(
        seconds=seconds,
        joules=end.joules - _or_zero(start.joules),
        coulombs=end.coulombs - _or_zero(start.coulombs),
        volt_seconds=end.volt_seconds - _or_zero(start.volt_seconds),
        covered_seconds=end.covered_seconds - start.covered_seconds,
        bridged_joules=end.bridged_joules - start.bridged_joules,
        scatter_joules2=end.scatter_joules2 - start.scatter_joules2,
        edge_joules=start.edge_joules + end.edge_joules,
        peak_watts=peak_watts,
    )


def _or_zero(total: float) -> float:
    return 0.0 if math.isnan(total) else total


def _along(
    total0: float | None,
    total1: float | None,
    share: float,
    rate0: float | None,
    rate1: float | None,
    bent: bool,
) -> float:
    """A running total part-way between two samples, whose rate runs straight from one to the other."""
    if total1 is None:
        return _NAN
    if total0 is None:
        total0 = 0.0
    if bent and rate0 is not None and rate1 is not None and rate0 + rate1 != 0:
        share *= (2 * rate0 + (rate1 - rate0) * share) / (rate0 + rate1)
    return total0 + share * (total1 - total0)
