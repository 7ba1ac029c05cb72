"""``energymeter calibrate --counter``: the charge of a meter against that of a counter."""

from collections.abc import Callable
from typing import NamedTuple

from energymeter.calibration.charge import charge_line, read_counter
from energymeter.calibration.points import Point
from energymeter.cli.options import loaded
from energymeter.clock import Clock
from energymeter.energy.correction import Line
from energymeter.errors import CalibrationError, SourceError, SpecError
from energymeter.reading import Band, Facts
from energymeter.sampling.config import SourceConfig
from energymeter.sampling.sampler import SampledChannel, Sampler
from energymeter.source import Counting, Source

_READ_SECONDS = 0.5
_DATED = 1e9
"""A later second is a date, since 1970, and not one of the recording."""
_MISSED = 1e-3
"""The largest share of unmeasured time; it would be an error of the gain."""


class Charge(NamedTuple):
    """The charge of a meter and of a counter over the same time."""

    times_s: list[float]
    coulombs: list[float]
    covered_s: float
    """The time that the meter measured."""
    counted: tuple[list[float], list[float]]

    def line(self, facts: Facts, reference: Band, zeros: list[Point]) -> Line:
        """The line of the current.

        Raises:
            CalibrationError: the two make no calibration, with the reason.
        """
        its, seconds = facts.amps or Band(), self.times_s[-1] - self.times_s[0]
        if self.covered_s < (1 - _MISSED) * seconds:
            raise CalibrationError(
                f"the meter missed {seconds - self.covered_s:.1f} of {seconds:.0f} s, the counter did not; "
                "measure again, on a machine that is less busy"
            )
        return charge_line(self.times_s, self.coulombs, self.counted, its, reference, zeros)


def recorded(log: str, counter: str, channel: str) -> Charge:
    """From a recording of the meter, and a CSV of the counter with the same start.

    Raises:
        CalibrationError: they cannot be compared.
        LogError: the recording cannot be read.
    """
    trace = loaded(log, "calibrate --log", channel=channel or None)
    if trace.calibration is not None:
        raise CalibrationError(
            f"{log} was made with a card ({trace.calibration.title}); make one with --no-calibration"
        )
    if len(trace.parts) > 1:
        names = ", ".join(trace.names)
        raise CalibrationError(f"{log} holds several channels; name the meter's with --channel: {names}")
    covered_s = float(trace.covered_s[-1] - trace.covered_s[0])
    times, counts = read_counter(counter)
    if times[0] > _DATED and trace.epoch_s is not None:
        times = [at - trace.epoch_s for at in times]
    return Charge(trace.time_s.tolist(), trace.coulombs.tolist(), covered_s, (times, counts))


def watched(
    config: SourceConfig,
    counter: Source,
    channel: str,
    hours: float,
    clock: Clock,
    report: Callable[[str], None],
) -> Charge:
    """Sample a meter and read a counter for so many hours, or until Ctrl-C.

    Raises:
        SourceError: one of them cannot be read.
        SpecError: the counter counts no charge, or the meter has no such channel.
    """
    counter.open()
    try:
        _count(counter)
        sampler = Sampler([config], clock=clock)
        sampler.start()
        try:
            mine = _channel(sampler, channel)
            counted = _counting(counter, hours, clock, report)
        finally:
            sampler.stop()
    finally:
        counter.close()
    samples = [sample for sample in mine.curve.samples() if sample.coulombs is not None]
    if not samples:
        raise CalibrationError(
            f"{mine.info.name} reports no current, so it has no charge to compare; use another source"
        )
    return Charge(
        [sample.at_ns * 1e-9 for sample in samples],
        [sample.coulombs or 0.0 for sample in samples],
        (samples[-1].covered_ns - samples[0].covered_ns) * 1e-9,
        counted,
    )


def _counting(
    counter: Source, hours: float, clock: Clock, report: Callable[[str], None]
) -> tuple[list[float], list[float]]:
    """Times of the readings, s, and their values, C."""
    times: list[float] = []
    counts: list[float] = []
    end_s = clock.monotonic_ns() * 1e-9 + hours * 3600
    try:
        while (before_s := clock.monotonic_ns() * 1e-9) < end_s:
            try:
                count = _count(counter)
            except SourceError as failure:
                report(f"the counter did not answer: {failure}")
            else:
                times.append((before_s + clock.monotonic_ns() * 1e-9) / 2)
                counts.append(count)
                report(f"{(count - counts[0]) / 3.6:.1f} mAh counted; Ctrl-C ends it and uses them")
            clock.sleep(_READ_SECONDS)
    except KeyboardInterrupt:
        report("ended by hand")
    return times, counts


def _count(counter: Source) -> float:
    """Coulombs so far."""
    reading = counter.read()
    coulombs = reading.coulombs
    if isinstance(counter, Counting):
        totals = counter.counters()
        coulombs = totals.coulombs if totals is not None else None
    if coulombs is None:
        raise SpecError(f"{counter.name} counts no charge; name a meter that does, such as um25c")
    return abs(coulombs)


def _channel(sampler: Sampler, name: str) -> SampledChannel:
    channels = {channel.info.name: channel for channel in sampler.channels}
    if not name and len(channels) == 1:
        return next(iter(channels.values()))
    if name not in channels:
        raise SpecError(f"the meter has several channels; name one with --channel: {', '.join(channels)}")
    return channels[name]
