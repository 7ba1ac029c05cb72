"""Sources made of parts (rails, zones, GPUs) that are read one by one but belong together."""

import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from energymeter.errors import SourceError, not_open
from energymeter.reading import Facts, Reading
from energymeter.source import Source

T = TypeVar("T")
P = TypeVar("P", bound=Source)


class Parts(Generic[P]):
    """A base for sources made of parts; a driver's ``open`` fills them in."""

    _parts: Sequence[P] = ()

    def channels(self) -> Sequence[P]:
        """The parts, of which the sampler reads each by itself."""
        return self._parts

    def read(self) -> Reading:
        """The counted parts added up; volts and amps only where a single part is counted.

        Raises:
            SourceError: the source is not open, or a part cannot be read.
        """
        return together(self._parts)

    def close(self) -> None:
        """Let every part go; twice is fine."""
        parts, self._parts = self._parts, ()
        for part in parts:
            part.close()


def together(parts: Sequence[Source]) -> Reading:
    """One reading of the whole: the counted parts added up. Volts and amps only where one part is counted.

    For listing a source and for callers without channels; the sampler reads the parts by themselves,
    because only it can undo the wraps of their counters.

    Raises:
        SourceError: there is no part, because the source is not open; or a part cannot be read.
    """
    if not parts:
        raise not_open("this source")
    counted = [part for part in parts if part.facts.counted]
    readings = [part.read() for part in counted]
    if len(readings) == 1:
        return readings[0]
    return Reading(
        watts=_total([reading.power for reading in readings]),
        joules=_total([reading.joules for reading in readings]),
    )


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


class Snapshot(Generic[T]):
    """One sample that several channels share: the first channel to come back for more takes a new one.

    Reading twelve rails thus costs one command, not twelve. A sample that failed is shared too: every
    channel raises its error once, and none of them waits for the same time-out again.
    """

    def __init__(self, take: Callable[[], T]) -> None:
        self._take = take
        self._value: T | None = None
        self._error: SourceError | None = None
        self.turn = 0
        """How many samples were taken."""
        self.at_ns: int
        """The middle of the newest sample, on the monotonic clock."""

    def advance(self) -> None:
        """Take a new sample; its failure is kept for `value` to raise."""
        self.turn += 1
        began = time.monotonic_ns()
        try:
            self._value, self._error = self._take(), None
        except SourceError as error:
            self._error = error
        self.at_ns = (began + time.monotonic_ns()) // 2

    def value(self) -> T:
        """The newest sample.

        Raises:
            SourceError: it failed.
        """
        if self._error is not None:
            raise self._error
        assert self._value is not None, "advance first"
        return self._value


class Shared(Generic[T]):
    """A channel that picks its part out of a shared sample.

    A part whose time (``at_ns``, where the device gives one) is that of its last reading is not fresh.
    """

    def __init__(self, name: str, facts: Facts, snapshot: Snapshot[T], pick: Callable[[T], Reading]) -> None:
        self.name = name
        self.facts = facts
        self._snapshot = snapshot
        self._pick = pick
        self._turn = 0
        self._last_ns: int | None = None

    def open(self) -> None:
        """Nothing to do: the source it belongs to is open."""

    def read(self) -> Reading:
        if self._turn == self._snapshot.turn:
            self._snapshot.advance()
        self._turn = self._snapshot.turn
        reading = self._pick(self._snapshot.value())
        at_ns = reading.at_ns if reading.at_ns is not None else self._snapshot.at_ns
        if at_ns == self._last_ns:
            return Reading(fresh=False)
        self._last_ns = at_ns
        return reading._replace(at_ns=at_ns)

    def close(self) -> None:
        """Nothing to do: the source it belongs to closes."""
