"""The energy curve's shared memory: how it is laid out, and the sampler's end of it.

Each channel has a *ring* with every recent sample and a *history* of the whole run whose stride
doubles whenever it is full. Both have a fixed size, so memory is constant in run length, and the
total of a run is exact however long it was: every sample carries the running totals.

One writer, any number of readers, no locks. A record is written first and counted after, but another
processor may see the two in any order (as on ARM). Therefore each record ends with its sequence number and a
checksum of it all, and a reader uses no record whose checksum does not fit. While the history is thinned its
generation is odd.
"""

import math
import struct
from zlib import crc32

from energymeter.energy.integrate import Sample
from energymeter.lazy import TYPE_CHECKING, made

if TYPE_CHECKING:
    from collections.abc import Iterator

    from energymeter.energy.integrate import Row

# at_ns joules coulombs volt_seconds covered_ns gap_fill watts volts amps variance peak: a row, see `Row`
_ROW = struct.Struct("@qdddqdddddd")  # native packs in half the time, and there is nothing to align
_SEALED = struct.Struct(f"@{_ROW.size}sqQ")
_RECORD = struct.Struct("@qdddqddddddqQ")
_ROW_BYTES, _RECORD_BYTES = _ROW.size, _RECORD.size
_pack_row, _seal_into = _ROW.pack, _SEALED.pack_into  # once for each sample
ORDERS = {"little": "<", "big": ">"}
"""The byte orders that processors have, as ``sys.byteorder`` and as ``struct`` name them."""
_tail_of = struct.Struct("@qQ").unpack_from
_WORD = struct.Struct("=Q")
_PEAK = struct.Struct("@d")
_PEAK_WORD = 10
"""The highest watts since the record before; -inf where nobody can tell."""
_WORDS = _RECORD_BYTES // 8
_COUNTERS = 30
_COUNTS = 8 * _COUNTERS
_ANSWER = struct.Struct(f"={_COUNTERS + 1}q")
_ANSWER_BYTES = _ANSWER.size + _WORD.size
_ERROR_BYTES = 240
HEAD_BYTES = _COUNTS + _ANSWER_BYTES + _ERROR_BYTES
_NO_ANSWER = bytes(_ANSWER_BYTES)
LETTER_BYTES = _WORD.size + (1 << 15) + 256
HISTORY_SAMPLES = 4096
_NO_WATTS = -math.inf
_PATIENCE = 1000
"""A record is read again while it does not check. Only a writer at work is a reason, and it is soon done."""


class Count:
    """Where each count stands in a head; a few are used in the session's head alone."""

    (
        RING_COUNT, HISTORY_COUNT, STRIDE, GENERATION, FAILED, MISSED, DUPLICATES, LOST,
        MOVED_BYTES, GAPS, GAP_NS, STATE, SUSPENDED_NS, CPU_NS, RECORDED_ROWS,
        STOP, LOST_ROWS, LOG_STATE, PRIORITY, WINDOW_START_NS, WINDOW_END_NS, SUSPENDED_UJ,
        COUNTED_FROM_NS, COUNTED_FROM_UJ, COUNTED_TO_NS, COUNTED_TO_UJ, COUNTED_STEP_UJ, COMING_PEAK,
        ASKED, READY_UNTIL_NS,
    ) = range(_COUNTERS)  # fmt: skip
    READ = (RING_COUNT, DUPLICATES)
    """Every reading is a sample, or said nothing new."""
    RISING = frozenset({
        RING_COUNT, FAILED, MISSED, DUPLICATES, LOST, MOVED_BYTES, GAPS, GAP_NS, SUSPENDED_NS, SUSPENDED_UJ,
        CPU_NS,
    })  # fmt: skip
    """What only grows while a sampling process lives: a block's own part is a difference."""


_RING_COUNT = Count.RING_COUNT  # set at every sample, found once


class State:
    """What a channel's source is doing."""

    RUNNING, RETRYING, ENDED = 1, 2, 3


class Stop:
    """What the program asks of the sampling side."""

    KEEP_LOG, DISCARD_LOG = 1, 2


class LogState:
    """How far the log is once all sources are done."""

    FINISHING, STALLED = 1, 2


def ring_samples(rate_hz: float) -> int:
    """How many samples a ring keeps: a minute's worth, within 1 024 and 65 536."""
    return min(65_536, max(1_024, 1 << math.ceil(math.log2(max(1.0, 60 * rate_hz)))))


def channel_bytes(capacity: int) -> int:
    """Bytes of shared memory one channel needs."""
    return HEAD_BYTES + (capacity + HISTORY_SAMPLES) * _RECORD_BYTES


class Track:
    """Records in a stretch of memory; their times and peaks also as columns, unchecked, to search in."""

    def __init__(self, memory: memoryview, capacity: int) -> None:
        self.capacity = capacity
        self.bytes = memory
        self.times = memory.cast("q")[::_WORDS]
        self.peaks = memory.cast("d")[_PEAK_WORD::_WORDS]

    def put(self, slot: int, sequence: int, row: bytes) -> None:
        """Write a record.

        Args:
            slot: where.
            sequence: its number among all samples of the channel.
            row: what it holds, packed.
        """
        # the checksum covers the number too, as it begins with it
        _seal_into(self.bytes, slot * _RECORD_BYTES, row, sequence, crc32(row, sequence))

    def packed(self, first: int, end: int) -> list[bytes]:
        """The rows of a ring from one number up to another, as they are.

        It ends before one that is not visible yet, or overwritten. Many cost a fraction of what `get` takes
        for each: nobody makes samples of them here.
        """
        rows: list[bytes] = []
        while first < end:
            slot = first % self.capacity
            many = min(end - first, self.capacity - slot)
            raw = self.bytes[slot * _RECORD_BYTES : (slot + many) * _RECORD_BYTES].tobytes()
            for start in range(0, len(raw), _RECORD_BYTES):
                row = raw[start : start + _ROW_BYTES]
                if _tail_of(raw, start + _ROW_BYTES) != (first, crc32(row, first)):
                    return rows
                rows.append(row)
                first += 1
        return rows

    def copy_to(self, other: "Track", first: int, end: int) -> None:
        """Copy the records of a ring from one number up to another, to the same places."""
        while first < end:
            slot = first % self.capacity
            many = min(end - first, self.capacity - slot)
            part = slice(slot * _RECORD_BYTES, (slot + many) * _RECORD_BYTES)
            other.bytes[part] = self.bytes[part]
            first += many

    def get(self, slot: int) -> tuple[int, Sample] | None:
        """A record's sequence number and sample; ``None`` while it is being written."""
        start = slot * _RECORD_BYTES
        raw = self.bytes[start : start + _RECORD_BYTES].tobytes()
        record = _RECORD.unpack(raw)
        sequence, checksum = record[-2:]
        if checksum != crc32(raw[:_ROW_BYTES], sequence):
            return None
        # as `Sample.of`, which has the rows of one's own; without the call, since many are read
        at_ns, joules, coulombs, volt_seconds, covered_ns, gap_fill, watts, volts, amps, variance = record[
            :10
        ]
        fields = (
            at_ns,
            joules if joules == joules else None,  # NaN differs from itself
            coulombs if coulombs == coulombs else None,
            volt_seconds if volt_seconds == volt_seconds else None,
            covered_ns,
            gap_fill,
            watts if watts == watts else None,
            volts if volts == volts else None,
            amps if amps == amps else None,
            variance,
        )
        return sequence, made(Sample, fields)

    def move(self, source: int, target: int, peak_watts: float) -> None:
        """Copy a record into another slot, with another peak."""
        start = source * _RECORD_BYTES
        raw = self.bytes[start : start + _RECORD_BYTES].tobytes()
        sequence = _RECORD.unpack(raw)[-2]
        self.put(target, sequence, with_peak(raw, peak_watts))


def unpacked(rows: bytes, order: str) -> "Iterator[Row]":
    """Rows that were packed by a processor of this byte order, one of ``ORDERS``.

    Raises:
        struct.error: they are no whole number of rows.
    """
    return struct.iter_unpack(ORDERS[order] + _ROW.format[1:], rows)


def with_peak(row: bytes, peak_watts: float) -> bytes:
    """A packed row (what follows it is left out) with another peak."""
    return row[: 8 * _PEAK_WORD] + _PEAK.pack(peak_watts)


class Head:
    """Counts and the last error, in shared memory: of one channel, or of the whole session."""

    def __init__(self, memory: memoryview) -> None:
        self.raw = memory[:HEAD_BYTES]
        self.counts = memory[:_COUNTS].cast("q")
        self.coming_peak = memory[8 * Count.COMING_PEAK : 8 * Count.COMING_PEAK + 8].cast("d")
        """The highest watts since the newest record of the history; kept once its stride is half the ring."""
        self._answer = memory[_COUNTS : _COUNTS + _ANSWER_BYTES]
        self._error = memory[_COUNTS + _ANSWER_BYTES : HEAD_BYTES]

    def answer(self, asked: int) -> None:
        """The sampler's end: a sample was taken as asked; keep the counts as they are now.

        Args:
            asked: how often it was asked, this time included.
        """
        raw = _ANSWER.pack(asked, *self.counts)
        self._answer[:] = raw + _WORD.pack(crc32(raw))

    def answered(self) -> tuple[int, tuple[int, ...]]:
        """How many of the questions were answered, and the counts at the last answer."""
        for _ in range(_PATIENCE):
            raw = self._answer.tobytes()
            if raw == _NO_ANSWER:
                break
            if _WORD.unpack_from(raw, _ANSWER.size)[0] == crc32(raw[: _ANSWER.size]):
                asked, *counts = _ANSWER.unpack_from(raw)
                return asked, tuple(counts)
        return 0, (0,) * _COUNTERS

    @property
    def error(self) -> str:
        """The last thing that went wrong, or an empty text."""
        return bytes(self._error).split(b"\0", 1)[0].decode("utf-8", "ignore")

    @error.setter
    def error(self, text: str) -> None:
        raw = text.encode("utf-8")[: _ERROR_BYTES - 1]
        self._error[: len(raw) + 1] = raw + b"\0"


class Letter:
    """A text that the program leaves for whoever finishes the log, behind the session's head."""

    def __init__(self, memory: memoryview) -> None:
        self._bytes = memory[HEAD_BYTES : HEAD_BYTES + LETTER_BYTES]

    def write(self, text: str) -> None:
        """Leave it, unless it is too long; its length comes last, so that no half of it is read."""
        raw = text.encode()
        if len(raw) <= LETTER_BYTES - _WORD.size:
            self._bytes[_WORD.size : _WORD.size + len(raw)] = raw
            self._bytes[: _WORD.size] = _WORD.pack(len(raw))

    def read(self) -> str:
        """What was left; an empty text where nothing was."""
        (size,) = _WORD.unpack(self._bytes[: _WORD.size])
        return bytes(self._bytes[_WORD.size : _WORD.size + size]).decode()


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
        split = HEAD_BYTES + capacity * _RECORD_BYTES
        self.ring = Track(memory[HEAD_BYTES:split], capacity)
        self.history = Track(memory[split : channel_bytes(capacity)], HISTORY_SAMPLES)

    def copied(self, first: int, end: int) -> "ChannelMemory":
        """Head and samples in memory of their own, without the history.

        Args:
            first: the number of the first sample that is copied.
            end: that of the one after the last. All of them must be in the ring.
        """
        memory = memoryview(bytearray(channel_bytes(self.capacity)))
        copy = ChannelMemory(memory, self.capacity)
        memory[:HEAD_BYTES] = self.head.raw
        copy.counts[Count.HISTORY_COUNT] = 0
        self.ring.copy_to(copy.ring, first, end)
        return copy

    def last(self) -> Sample | None:
        """The newest sample, if there is one."""
        for _ in range(_PATIENCE):
            count = self.counts[Count.RING_COUNT]
            if not count:
                return None
            sample = self.sample(count - 1)
            if sample is not None:
                return sample
        raise AssertionError("the newest record is never finished")

    def newer(self, than_ns: float) -> list[Sample]:
        """The ring's samples after this time, of a writer that is at rest."""
        found: list[Sample] = []
        count = self.counts[Count.RING_COUNT]
        for number in range(count - 1, max(0, count - self.capacity) - 1, -1):
            sample = self.sample(number)
            if sample is None or sample.at_ns <= than_ns:
                break
            found.append(sample)
        return found[::-1]

    def sample(self, index: int) -> Sample | None:
        """A sample of the ring by its number; ``None``: overwritten, or not yet visible to this processor."""
        found = self.ring.get(index % self.capacity)
        return found[1] if found is not None and found[0] == index else None


class CurveWriter:
    """The sampler's end: appends samples and keeps the counts."""

    def __init__(self, memory: ChannelMemory) -> None:
        self._counts, self._history = memory.counts, memory.history
        self._bytes, self._capacity = memory.ring.bytes, memory.capacity
        self._coming_peak = memory.head.coming_peak
        self._long = memory.capacity // 2
        self._count = self._counts[Count.RING_COUNT]
        if self._counts[Count.STRIDE] == 0:
            self._counts[Count.STRIDE] = 1
        if self._counts[Count.GENERATION] % 2:  # the last writer was killed while it thinned the history
            self._counts[Count.HISTORY_COUNT] = 1
            self._counts[Count.GENERATION] += 1
        self._stride = self._counts[Count.STRIDE]
        self._peak = self._unremembered(memory)

    def _unremembered(self, memory: ChannelMemory) -> float:
        """The highest watts that a writer that was killed had not put into the history yet."""
        counts, ring = self._counts, memory.ring
        remembered = counts[Count.HISTORY_COUNT]
        since_ns = self._history.times[remembered - 1] if remembered else -1
        filled = min(counts[Count.RING_COUNT], ring.capacity)
        rows = zip(ring.times[:filled], ring.peaks[:filled], strict=True)
        coming = self._coming_peak[0] if counts[Count.STRIDE] > self._long else _NO_WATTS
        return max([coming, *(peak for at_ns, peak in rows if at_ns > since_ns)])

    def append(self, row: "Row") -> None:
        """Add the next sample."""
        count, watts = self._count, row[_PEAK_WORD]
        packed = _pack_row(*row)
        # as `Track.put` does, without the call
        _seal_into(self._bytes, count % self._capacity * _RECORD_BYTES, packed, count, crc32(packed, count))
        self._count = self._counts[_RING_COUNT] = count + 1
        if watts > self._peak:
            self._peak = watts
            if self._stride > self._long:
                self._coming_peak[0] = watts
        if count % self._stride == 0:
            self._remember(count, watts, packed)

    def _remember(self, sequence: int, watts: float, packed: bytes) -> None:
        counts = self._counts
        if counts[Count.HISTORY_COUNT] == HISTORY_SAMPLES:
            self._thin()
            if sequence % self._stride:
                return
        if self._peak != watts:
            packed = with_peak(packed, self._peak)
        self._history.put(counts[Count.HISTORY_COUNT], sequence, packed)
        counts[Count.HISTORY_COUNT] += 1
        self._peak = self._coming_peak[0] = _NO_WATTS

    def _thin(self) -> None:
        """Drop every second sample of the history; the peak of what goes lives on in its successor."""
        counts, history = self._counts, self._history
        counts[Count.GENERATION] += 1  # odd: readers wait
        for kept in range(1, HISTORY_SAMPLES // 2):
            history.move(2 * kept, kept, max(history.peaks[2 * kept - 1], history.peaks[2 * kept]))
        self._peak = self._coming_peak[0] = max(self._peak, history.peaks[HISTORY_SAMPLES - 1])
        counts[Count.HISTORY_COUNT] = HISTORY_SAMPLES // 2
        self._stride = counts[Count.STRIDE] = 2 * self._stride
        counts[Count.GENERATION] += 1
