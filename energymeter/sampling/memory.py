"""The energy curve's shared memory: how it is laid out, and the sampler's end of it.

Each channel has a *ring* with every recent sample and a *history* of the whole run whose stride
doubles whenever it is full. Both have a fixed size, so memory is constant in run length, and the
total of a run is exact however long it was: every sample carries the running totals.

One writer, any number of readers, no locks: a sample is written first and counted after. While the
history is thinned its generation is odd.
"""

import math

from energymeter.energy.integrate import Sample

_FIELDS = 11  # at_ns joules coulombs volt_seconds covered_ns bridged watts volts amps peak scatter
_PEAK = 9  # the highest watts since the sample before; -inf where nobody can tell
_SCATTER = 10
_SAMPLE_BYTES = 8 * _FIELDS
_COUNTERS = 16
_ERROR_BYTES = 240
HEAD_BYTES = 8 * _COUNTERS + _ERROR_BYTES
HISTORY_SAMPLES = 4096
_NAN = math.nan


class Count:
    """Where each count stands in a channel's head."""

    (
        RING_COUNT, HISTORY_COUNT, STRIDE, GENERATION, READS, FAILED, MISSED, DUPLICATES, LOST,
        MOVED_BYTES, GAPS, GAP_NS, STATE, SUSPENDED_NS, CPU_NS, RECORDED_ROWS,
    ) = range(_COUNTERS)  # fmt: skip


class State:
    """What a channel's source is doing."""

    RUNNING, RETRYING, ENDED = 1, 2, 3


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
        floats[i + 5] = sample.gap_fill_joules
        floats[i + 6] = _NAN if sample.watts is None else sample.watts
        floats[i + 7] = _NAN if sample.volts is None else sample.volts
        floats[i + 8] = _NAN if sample.amps is None else sample.amps
        floats[i + _PEAK] = peak_watts
        floats[i + _SCATTER] = sample.variance_joules2

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
    """Counts and the last error, in shared memory: of one channel, or of the whole session."""

    def __init__(self, memory: memoryview) -> None:
        self.counts = memory[: 8 * _COUNTERS].cast("q")
        self._error = memory[8 * _COUNTERS : HEAD_BYTES]

    @property
    def error(self) -> str:
        """The last thing that went wrong, or an empty text."""
        return bytes(self._error).split(b"\0", 1)[0].decode("utf-8", "ignore")

    @error.setter
    def error(self, text: str) -> None:
        raw = text.encode("utf-8")[: _ERROR_BYTES - 1]
        self._error[: len(raw) + 1] = raw + b"\0"


class ChannelMemory:
    """The memory of one channel: head, ring, history.

    Args:
        memory: ``channel_bytes(capacity)`` of it.
        capacity: samples in the ring.
    """

    def __init__(self, memory: memoryview, capacity: int) -> None:
        self.capacity = capacity
        self.head = Head(memory)
        self.counts = self.head.counts
        split = HEAD_BYTES + capacity * _SAMPLE_BYTES
        self.ring = _Track(memory[HEAD_BYTES:split], capacity)
        self.history = _Track(memory[split : channel_bytes(capacity)], HISTORY_SAMPLES)

    def last(self) -> Sample | None:
        """The newest sample, if there is one."""
        count = self.counts[Count.RING_COUNT]
        return self.ring.get((count - 1) % self.capacity) if count else None


class CurveWriter:
    """The sampler's end: appends samples and keeps the counts."""

    def __init__(self, memory: ChannelMemory) -> None:
        self._counts, self._ring, self._history = memory.counts, memory.ring, memory.history
        self._peak = -math.inf
        if self._counts[Count.STRIDE] == 0:
            self._counts[Count.STRIDE] = 1
        if self._counts[Count.GENERATION] % 2:  # the last writer was killed while it thinned the history
            self._counts[Count.HISTORY_COUNT] = 1
            self._counts[Count.GENERATION] += 1

    def append(self, sample: Sample) -> None:
        counts = self._counts
        count = counts[Count.RING_COUNT]
        watts = -math.inf if sample.watts is None else sample.watts
        self._ring.put(count % self._ring.capacity, sample, watts)
        counts[Count.RING_COUNT] = count + 1
        if watts > self._peak:
            self._peak = watts
        if count % counts[Count.STRIDE] == 0:
            self._remember(sample)

    def _remember(self, sample: Sample) -> None:
        counts = self._counts
        if counts[Count.HISTORY_COUNT] == HISTORY_SAMPLES:
            self._thin()
            if (counts[Count.RING_COUNT] - 1) % counts[Count.STRIDE]:
                return
        self._history.put(counts[Count.HISTORY_COUNT], sample, self._peak)
        self._peak = -math.inf
        counts[Count.HISTORY_COUNT] += 1

    def _thin(self) -> None:
        """Drop every second sample of the history; the peak of what goes lives on in its successor."""
        counts, history = self._counts, self._history
        counts[Count.GENERATION] += 1  # odd: readers wait
        for kept in range(1, HISTORY_SAMPLES // 2):
            peak = max(history.peaks[2 * kept - 1], history.peaks[2 * kept])
            history.copy(2 * kept, kept)
            history.peaks[kept] = peak
        self._peak = max(self._peak, history.peaks[HISTORY_SAMPLES - 1])
        counts[Count.HISTORY_COUNT] = HISTORY_SAMPLES // 2
        counts[Count.STRIDE] *= 2
        counts[Count.GENERATION] += 1
