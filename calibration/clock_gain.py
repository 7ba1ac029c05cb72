"""A meter's own clock against this computer's: the charge it counted over the current it showed."""

from collections.abc import Callable

from energymeter.calibration.charge_reference import ClockGain, fit_clock
from energymeter.calibration.source_buffer import ReadingBuffer
from energymeter.clock import Clock
from energymeter.errors import SourceError, SpecError

_READ_SECONDS = 0.5
_LEAST_AMPS = 1e-3


def clock_gain(meter: ReadingBuffer, clock: Clock, hours: float, report: Callable[[str], None]) -> ClockGain:
    """The rate of the clock of a meter's charge counter.

    The counted charge over the current shown meanwhile is seconds on the meter's clock: the gain of the
    current, common to both, cancels. The load should be steady; its changes count as scatter.

    Args:
        meter: open; it must report current and charge, as an INA228 does.
        clock: the clock of this computer.
        hours: for how long; one hour gives about 10 ppm. Ctrl-C ends it early.
        report: called with the progress.

    Raises:
        SpecError: it does not report both, or no current flows.
        CalibrationError: too short, or the clock is implausible.
    """
    device: list[float] = []
    host: list[float] = []
    before: tuple[float, float] | None = None
    end_s = clock.monotonic_ns() * 1e-9 + hours * 3600
    try:
        while clock.monotonic_ns() * 1e-9 < end_s:
            clock.sleep(_READ_SECONDS)
            try:
                meter.update()
            except SourceError as failure:
                report(f"the meter did not answer: {failure}")
                continue
            if not meter.readings:
                continue
            newest = meter.readings[-1]
            amps, coulombs = newest.reading.amps, newest.reading.coulombs
            if amps is None or coulombs is None or abs(amps) < _LEAST_AMPS:
                raise SpecError(
                    f"the clock of {meter.meter.name} cannot be compared: connect a load, and use a meter "
                    "that reports current and charge"
                )
            if before is not None:
                device.append(
                    (device[-1] if device else 0.0) + 2 * (coulombs - before[1]) / (amps + before[0])
                )
                host.append(newest.at_s)
                report(f"{device[-1]:.1f} s on the meter's clock")
            before = amps, coulombs
    except KeyboardInterrupt:
        report("ended by hand")
    return fit_clock(device, host)
