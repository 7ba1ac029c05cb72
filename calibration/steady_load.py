"""A steady load: read a meter and a reference until both are steady, then take their means."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from energymeter.calibration.alignment import Alignment, align
from energymeter.calibration.points import UNITS, Mean, Point, average
from energymeter.calibration.source_buffer import ReadingBuffer, TimedReading
from energymeter.clock import Clock
from energymeter.errors import CalibrationError, SourceError
from energymeter.reading import Band, Reading

_FEWEST = 8
_FAILURES = 20
_LATEST_SECONDS = 10.0
"""A reference that is later than this shows another load."""


class SteadyReading(NamedTuple):
    """The mean of one quantity while the load is steady."""

    channel: str
    shown: Mean
    reference: Mean | None
    """The mean of the reference; None if there is no reference."""


class SteadyLoad:
    """Reads a meter and a reference at the same time.

    Both means are taken over the same time. The delay of the reference (a display that filters, a clock of
    its own) is found from steps of the load that both show; before the first step it is taken as 0.

    Args:
        meter: the meter to calibrate.
        reference: another meter in the same wire; None: its readings are typed in.
        rate_hz: readings per second of each.
        clock: the time.
    """

    def __init__(
        self, meter: ReadingBuffer, reference: ReadingBuffer | None, rate_hz: float, clock: Clock
    ) -> None:
        self.meter, self.reference, self._clock = meter, reference, clock
        self.alignment: Alignment | None = None
        self.warning = ""
        """Why the two could not be aligned, although the load has changed."""
        self._period = 1 / rate_hz
        self._failures = 0

    def open(self) -> None:
        """Open both.

        Raises:
            SourceError: one of them cannot be opened.
            SpecError: one of them has several channels, and none was named.
        """
        self.meter.open()
        if self.reference is not None:
            try:
                self.reference.open()
            except BaseException:
                self.meter.close()
                raise

    def close(self) -> None:
        """Close both."""
        self.meter.close()
        if self.reference is not None:
            self.reference.close()

    def update(self) -> None:
        """Wait one period, then read both.

        Raises:
            SourceError: one of them failed many times in a row.
        """
        self._clock.sleep(self._period)
        try:
            self.meter.update()
            if self.reference is not None:
                self.reference.update()
            self._failures = 0
        except SourceError:
            self._failures += 1
            if self._failures > _FAILURES:
                raise

    @contextlib.contextmanager
    def in_background(self) -> Iterator[None]:
        """Continue reading in a thread while the block runs, such as while a person changes the load."""
        done = threading.Event()

        def run() -> None:
            with contextlib.suppress(SourceError):  # which the next `update` raises again
                while not done.is_set():
                    self.update()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def means(
        self, seconds: float, patience: float, report: Callable[[list[SteadyReading]], None]
    ) -> list[SteadyReading]:
        """Read until the load has been steady for a while, and return the means.

        Args:
            seconds: how long the load must be steady.
            patience: how long to wait for that, s.
            report: called about once a second with the means so far.

        Raises:
            CalibrationError: it was never steady.
            SourceError: nothing can be read.
        """
        since_s, name = self._now_s(), self.meter.range
        for number in range(1, max(1, round((seconds + patience) / self._period)) + 1):
            self.update()
            if self.meter.range != name:  # its first readings may be from before
                since_s, name = self._now_s(), self.meter.range
            end_s, stretch_s = self._now_s() - max(0.0, self.behind_s), self._stretch(seconds)
            steady = self._steady(max(since_s, end_s - stretch_s), end_s)
            if steady and number % max(1, round(1 / self._period)) == 0:
                report(steady)
            full = end_s - since_s >= stretch_s * (1 - 1e-9)
            if (
                full
                and steady
                and all(mean.steady for each in steady for mean in each[1:] if mean is not None)
            ):
                if self._aligned():
                    continue  # the reference's stretch is another now
                return steady
        raise CalibrationError(
            f"the load was not steady for {seconds:g} s within {patience:g} s; keep it steady, or take "
            "shorter means with --seconds"
        )

    @property
    def behind_s(self) -> float:
        """How much later the reference's readings come than the meter's, s."""
        return self.alignment.offset_s if self.alignment is not None else 0.0

    def _aligned(self) -> bool:
        """Find steps of the load that both show; True if the delay is new."""
        if self.reference is None:
            return False
        both = (self.meter, self.reference)
        quantity = _amps if all(_has_amps(buffer) for buffer in both) else _watts
        columns = [np.array(each) for buffer in both for each in buffer.column(quantity)]
        if not _stepped(columns[1]):
            return False
        before, self.warning = self.alignment, ""
        try:
            found = align(*columns)
        except CalibrationError as reason:
            self.warning = str(reason) if before is None else ""
            return False
        if abs(found.offset_s) > _LATEST_SECONDS:
            self.warning = (
                f"the reference's steps come {found.offset_s:.1f} s later; check that it is in the same wire"
            )
            return False
        self.alignment = found
        known = before.offset_s if before is not None else 0.0
        return abs(found.offset_s - known) > max(self._period, 2 * found.offset_uncertainty)

    def _stretch(self, seconds: float) -> float:
        """Long enough also for a mean of the slower one."""
        buffers = [self.meter, *([self.reference] if self.reference is not None else [])]
        return max(
            seconds, *((_FEWEST + 1) * buffer.interval_s for buffer in buffers), _FEWEST * self._period
        )

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() * 1e-9

    def _steady(self, start_s: float, end_s: float) -> list[SteadyReading]:
        mine = self.meter.between(start_s, end_s)
        its: list[TimedReading] | None = None
        if self.reference is not None:
            its = self.reference.between(start_s + self.behind_s, end_s + self.behind_s)
            if len(its) < _FEWEST:
                return []
        steady: list[SteadyReading] = []
        for channel in UNITS:
            shown = _mean(mine, channel, self.meter)
            if shown is None or (channel == "watts" and steady):
                continue
            reference = None if self.reference is None or its is None else _mean(its, channel, self.reference)
            steady.append(SteadyReading(channel, shown, reference))
        return steady


def _mean(readings: Sequence[TimedReading], channel: str, source: ReadingBuffer) -> Mean | None:
    known = [value for value in (getattr(each.reading, channel) for each in readings) if value is not None]
    band: Band | None = getattr(source.meter.facts, channel)
    return average(known, band.resolution if band else 0.0) if len(known) >= _FEWEST else None


def _has_amps(buffer: ReadingBuffer) -> bool:
    return bool(buffer.readings) and buffer.readings[-1].reading.amps is not None


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


def point_of(
    steady: SteadyReading, reference: float, range_name: str, seconds: float, celsius: float | None
) -> Point:
    """A point from steady readings of the meter and the value of the reference."""
    return Point(
        steady.channel,
        steady.shown.value,
        reference,
        steady.shown.uncertainty,
        steady.reference.uncertainty if steady.reference is not None else 0.0,
        range_name if steady.channel == "amps" else "",
        celsius,
        seconds,
        seconds,
    )
