"""Link helper: sources made of parts (rails, zones, GPUs) that are read one by one but belong together."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from energymeter.errors import SourceError
from energymeter.reading import Reading
from energymeter.source import Source

T = TypeVar("T")


def together(parts: Sequence[Source]) -> Reading:
    """One look at the whole: the counted parts added up. Volts and amps only where a single part is counted.

    For listing a source and for callers without channels; the sampler reads the parts by themselves,
    because only it can undo the wraps of their counters.
    """
    counted = [part for part in parts if part.facts.counted]
    readings = [part.read() for part in counted]
    if len(readings) == 1:
        return readings[0]
    return Reading(
        watts=_total([_watts(reading) for reading in readings]),
        joules=_total([reading.joules for reading in readings]),
    )


def _watts(reading: Reading) -> float | None:
    if reading.watts is not None or reading.volts is None or reading.amps is None:
        return reading.watts
    return reading.volts * reading.amps


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


class Snapshot(Generic[T]):
    """One look that several channels share: the first channel to come back for more takes a new one.

    Reading twelve rails thus costs one command, not twelve. A look that failed is shared too:
    every channel raises its error once, and none of them waits for the time-out again.
    """

    def __init__(self, take: Callable[[], T]) -> None:
        self._take = take
        self._turn = 0
        self._value: T | None = None
        self._error: SourceError | None = None

    def after(self, turn: int) -> tuple[int, T]:
        """The look that follows number ``turn`` (0 is none yet), and its own number.

        Raises:
            SourceError: the look failed; its number is on the error as ``turn``.
        """
        if turn >= self._turn:
            self._turn += 1
            try:
                self._value, self._error = self._take(), None
            except SourceError as error:
                self._value, self._error = None, error
        if self._error is not None:
            raise self._error
        assert self._value is not None
        return self._turn, self._value

    @property
    def turn(self) -> int:
        """How many looks were taken."""
        return self._turn
