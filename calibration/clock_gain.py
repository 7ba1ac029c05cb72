"""A meter's own clock against this computer's: what it counted, over what it showed."""

from collections.abc import Callable

from energymeter.calibration.charge_reference import ClockGain, fit_clock
from energymeter.calibration.source_buffer import Tape
from energymeter.clock import Clock
from energymeter.errors import SourceError, SpecError

_READ_SECONDS = 0.5
_LEAST_AMPS = 1e-3


def clock_gain(meter: Tape, clock: Clock, hours: float, tell: Callable[[str], None]) -> ClockGain:
    """The rate of the clock that a meter's charge counter runs by.

    The charge that it has counted, over the current that it showed meanwhile, is its own seconds: the
    current's gain, common to both, cancels. The load should be steady; its changes count as scatter.

    Args:
        meter: open; it must tell current and charge, as an INA228 does.
        clock: this computer's.
        hours: how long to look; an hour tells some 10 ppm. Ctrl-C takes what there is.
        tell: called with what is going on.

    Raises:
        SpecError: it does not tell both, or no current flows.
        CalibrationError: too short, or no clock at all.
    """
    device: list[float] = []
    host: list[float] = []
    before: tuple[float, float] | None = None
    end_s = clock.monotonic_ns() * 1e-9 + hours * 3600
    try:
        while clock.monotonic_ns() * 1e-9 < end_s:
            clock.sleep(_READ_SECONDS)
            try:
                meter.look()
            except SourceError as failure:
                tell(f"the meter was silent: {failure}")
                continue
            if not meter.said:
                continue
            said = meter.said[-1]
            amps, coulombs = said.reading.amps, said.reading.coulombs
            if amps is None or coulombs is None or abs(amps) < _LEAST_AMPS:
                raise SpecError(
                    f"the clock of {meter.meter.name} cannot be compared: it must tell its current and its "
                    "charge, with a load on."
                )
            if before is not None:
                device.append(
                    (device[-1] if device else 0.0) + 2 * (coulombs - before[1]) / (amps + before[0])
                )
                host.append(said.at_s)
                tell(f"{device[-1]:.1f} s of the meter's own")
            before = amps, coulombs
    except KeyboardInterrupt:
        tell("ended by hand")
    return fit_clock(device, host)
