"""Holding a load: read a meter, and a reference beside it, until both stand still, then take their means."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from energymeter.calibration.alignment import Alignment, align
from energymeter.calibration.points import UNITS, Mean, Point, average
from energymeter.calibration.source_buffer import Said, Tape
from energymeter.clock import Clock
from energymeter.errors import CalibrationError, SourceError
from energymeter.reading import Band, Reading

_FEWEST = 8
_FAILURES = 20
_LATEST_SECONDS = 10.0
"""A reference further behind than this shows another load."""


class Held(NamedTuple):
    """One quantity of one meter, while the load is held."""

    channel: str
    shown: Mean
    reference: Mean | None
    """Of the reference source, where there is one."""


class Holder:
    """Reads a meter and a reference at once.

    The reference's means are taken over the same time as the meter's. By how much its readings come later
    (a display that filters, a clock of its own) is found from the steps of the load that both saw; until
    there is one, nothing is assumed to be late.

    Args:
        meter: the one to calibrate.
        reference: another in the same wire, or None: its readings are typed in.
        rate_hz: readings a second of each.
        clock: what waiting is done on.
    """

    def __init__(self, meter: Tape, reference: Tape | None, rate_hz: float, clock: Clock) -> None:
        self.meter, self.reference, self._clock = meter, reference, clock
        self.alignment: Alignment | None = None
        self.doubt = ""
        """Why the two could not be aligned, though the load has changed."""
        self._period = 1 / rate_hz
        self._failures = 0

    def open(self) -> None:
        """Open both.

        Raises:
            SourceError: one cannot be.
            SpecError: one has several parts, and none was named.
        """
        self.meter.open()
        if self.reference is not None:
            try:
                self.reference.open()
            except BaseException:
                self.meter.close()
                raise

    def close(self) -> None:
        """Let go of both."""
        self.meter.close()
        if self.reference is not None:
            self.reference.close()

    def look(self) -> None:
        """Wait one period, then read both.

        Raises:
            SourceError: one could not be read, again and again.
        """
        self._clock.sleep(self._period)
        try:
            self.meter.look()
            if self.reference is not None:
                self.reference.look()
            self._failures = 0
        except SourceError:
            self._failures += 1
            if self._failures > _FAILURES:
                raise

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Go on reading beside what the block does, such as asking a person to change the load."""
        done = threading.Event()

        def run() -> None:
            with contextlib.suppress(SourceError):  # which the next `look` will tell
                while not done.is_set():
                    self.look()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

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
        since_s, name = self._now_s(), self.meter.range
        for number in range(1, max(1, round((seconds + patience) / self._period)) + 1):
            self.look()
            if self.meter.range != name:  # its first readings may be from before
                since_s, name = self._now_s(), self.meter.range
            end_s, stretch_s = self._now_s() - max(0.0, self.behind_s), self._stretch(seconds)
            held = self._held(max(since_s, end_s - stretch_s), end_s)
            if held and number % max(1, round(1 / self._period)) == 0:
                tell(held)
            full = end_s - since_s >= stretch_s * (1 - 1e-9)
            if full and held and all(mean.settled for each in held for mean in each[1:] if mean is not None):
                if self._aligned():
                    continue  # the reference's stretch is another now
                return held
        raise CalibrationError(
            f"the load did not stand still for {seconds:g} s within {patience:g} s; hold it steady, or take "
            "shorter means with --seconds."
        )

    @property
    def behind_s(self) -> float:
        """By how much the reference's readings come later than the meter's, s."""
        return self.alignment.offset_s if self.alignment is not None else 0.0

    def _aligned(self) -> bool:
        """Look for steps of the load that both saw; True if that says something new."""
        if self.reference is None:
            return False
        quantity = _amps if self._both_tell_amps() else _watts
        columns = [np.array(each) for tape in (self.meter, self.reference) for each in tape.column(quantity)]
        if not _stepped(columns[1]):
            return False
        before, self.doubt = self.alignment, ""
        try:
            found = align(*columns)
        except CalibrationError as reason:
            self.doubt = str(reason) if before is None else ""
            return False
        if abs(found.offset_s) > _LATEST_SECONDS:
            self.doubt = f"the reference's steps come {found.offset_s:.1f} s later: is it in the same wire?"
            return False
        self.alignment = found
        known = before.offset_s if before is not None else 0.0
        return abs(found.offset_s - known) > max(self._period, 2 * found.offset_uncertainty)

    def _both_tell_amps(self) -> bool:
        tapes = [self.meter, *([self.reference] if self.reference is not None else [])]
        return all(tape.said and tape.said[-1].reading.amps is not None for tape in tapes)

    def _stretch(self, seconds: float) -> float:
        """Long enough for a mean of the slower one, too."""
        tapes = [self.meter, *([self.reference] if self.reference is not None else [])]
        return max(seconds, *((_FEWEST + 1) * tape.interval_s for tape in tapes), _FEWEST * self._period)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() * 1e-9

    def _held(self, start_s: float, end_s: float) -> list[Held]:
        mine = self.meter.between(start_s, end_s)
        its: list[Said] | None = None
        if self.reference is not None:
            its = self.reference.between(start_s + self.behind_s, end_s + self.behind_s)
            if len(its) < _FEWEST:
                return []
        held: list[Held] = []
        for channel in UNITS:
            shown = _mean(mine, channel, self.meter)
            if shown is None or (channel == "watts" and held):
                continue
            beside = None if self.reference is None or its is None else _mean(its, channel, self.reference)
            held.append(Held(channel, shown, beside))
        return held


def _mean(said: Sequence[Said], channel: str, tape: Tape) -> Mean | None:
    known = [value for value in (getattr(each.reading, channel) for each in said) if value is not None]
    band: Band | None = getattr(tape.meter.facts, channel)
    return average(known, band.resolution if band else 0.0) if len(known) >= _FEWEST else None


def _amps(reading: Reading) -> float | None:
    return reading.amps


def _watts(reading: Reading) -> float | None:
    return reading.power


def _stepped(values: "np.typing.NDArray[np.float64]") -> bool:
    """Whether the load has changed by more than its scatter."""
    if len(values) < 2 * _FEWEST:
        return False
    scatter = float(np.median(np.abs(np.diff(values))))
    return float(np.ptp(values)) > max(20 * scatter, 0.02 * float(np.abs(values).max()))


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
