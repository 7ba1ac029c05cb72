"""Holding a load: read a meter, and a reference beside it, until both stand still, then take their means."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from energymeter.calibration.points import UNITS, Mean, Point, average
from energymeter.clock import Clock
from energymeter.errors import CalibrationError, SourceError, SpecError
from energymeter.reading import Band, Reading
from energymeter.source import Divided, Source, Streaming, Tunable

_FEWEST = 8
_FAILURES = 20


class Held(NamedTuple):
    """One quantity of one meter, while the load is held."""

    channel: str
    shown: Mean
    reference: Mean | None
    """Of the reference source, where there is one."""


class Holder:
    """Reads a source and, at the same moments, a reference.

    Args:
        source: the meter to calibrate; opened by ``open``.
        reference: another meter in the same wire, or None: its readings are typed in.
        rate_hz: readings a second of each.
        clock: what waiting is done on.

    Raises:
        SpecError: a source cannot be read so.
    """

    def __init__(self, source: Source, reference: Source | None, rate_hz: float, clock: Clock) -> None:
        for each in (source, reference):
            if each is None:
                continue
            if isinstance(each, (Divided, Streaming)):
                raise SpecError(
                    f"{each.name} is made of parts or sends by itself, and cannot be asked one by one; "
                    "give points in a CSV instead (--points)."
                )
            if isinstance(each, Tunable):
                each.tune(rate_hz)
        self.source, self.reference, self._clock = source, reference, clock
        self._period = 1 / rate_hz
        self._readings: deque[Reading] = deque()
        self._others: deque[Reading] = deque()

    def open(self) -> None:
        """Open both.

        Raises:
            SourceError: one cannot be.
        """
        self.source.open()
        if self.reference is not None:
            try:
                self.reference.open()
            except SourceError:
                self.source.close()
                raise

    def close(self) -> None:
        """Let go of both."""
        self.source.close()
        if self.reference is not None:
            self.reference.close()

    @property
    def range(self) -> str:
        """Which range the last reading was taken in; empty where there is one."""
        return str(getattr(self.source, "range", ""))

    def settle(self, seconds: float, patience: float, tell: Callable[[list[Held]], None]) -> list[Held]:
        """Read until a stretch of readings stands still, and give its means.

        Args:
            seconds: the length of the stretch.
            patience: how long to wait for it.
            tell: called about once a second with what is read.

        Raises:
            CalibrationError: it never stood still.
            SourceError: nothing can be read.
        """
        count = max(_FEWEST, round(seconds / self._period))
        self._readings, self._others = deque(maxlen=count), deque(maxlen=count)
        before, failures = self.range, 0
        for number in range(1, max(count, round(patience / self._period)) + 1):
            self._clock.sleep(self._period)
            try:
                self._take()
                failures = 0
            except SourceError:
                failures += 1
                if failures > _FAILURES:
                    raise
            if self.range != before:  # its first readings may be from before
                before = self.range
                self._readings.clear()
                self._others.clear()
            full = len(self._readings) == count and (self.reference is None or len(self._others) >= _FEWEST)
            held = self._held() if len(self._readings) >= _FEWEST else []
            if held and number % max(1, round(1 / self._period)) == 0:
                tell(held)
            if full and all(mean.settled for each in held for mean in each[1:] if mean is not None):
                return held
        raise CalibrationError(
            f"the load did not stand still for {seconds:g} s within {patience:g} s; hold it steady, or take "
            "shorter means with --seconds."
        )

    def _take(self) -> None:
        reading = self.source.read()
        if reading.fresh:
            self._readings.append(reading)
        if self.reference is not None:
            other = self.reference.read()
            if other.fresh:
                self._others.append(other)

    def _held(self) -> list[Held]:
        held: list[Held] = []
        for channel in UNITS:
            shown = self._mean(self._readings, channel, self.source)
            if shown is None or (channel == "watts" and held):
                continue
            its = None if self.reference is None else self._mean(self._others, channel, self.reference)
            held.append(Held(channel, shown, its))
        return held

    @staticmethod
    def _mean(readings: deque[Reading], channel: str, source: Source) -> Mean | None:
        known = [value for value in (getattr(reading, channel) for reading in readings) if value is not None]
        band: Band | None = getattr(source.facts, channel)
        return average(known, band.resolution if band else 0.0) if len(known) >= _FEWEST else None


def point_of(held: Held, reference: float, range_name: str, seconds: float, celsius: float | None) -> Point:
    """A point from what was held and what the reference said."""
    return Point(
        held.channel,
        held.shown.value,
        reference,
        held.shown.uncertainty,
        held.reference.uncertainty if held.reference is not None else 0.0,
        range_name if held.channel == "amps" else "",
        celsius,
        seconds,
        seconds,
    )
