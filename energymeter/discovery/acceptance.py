"""Acceptance of a source on real hardware: ten minutes of checks, and a report without personal data.

The source is read in this process, by the same driver as in any run. What needs hands (no load, a known
resistor, the plug) is asked for; without a person those checks are left out, and the report says so.
"""

import math
import platform
from collections import deque
from typing import NamedTuple, Protocol

import numpy as np

from energymeter.boards import detect_board
from energymeter.calibration.quality import Counts, Quality, examine
from energymeter.calibration.source_buffer import ReadingBuffer
from energymeter.clock import Clock
from energymeter.energy.integrate import Integrator, Sample
from energymeter.errors import NotMeasured, SourceError
from energymeter.reading import Band, Facts
from energymeter.source import Counters, Counting, Source
from energymeter.text import duration, printable, significant
from energymeter.units import number
from energymeter.version import __version__

_KEPT = 20_000
"""The newest samples, from which the noise and the means are taken."""
_STEADY, _FAST, _ZERO, _RESISTOR, _PLUG = 0.5, 0.05, 0.1, 0.1, 0.1
"""Shares of the time. The rest is for the person's hands."""
_FASTEST_SECONDS = 30.0
_MOST_READS = 100_000
_RETRY_SECONDS = 0.5
_COUNTER_GAIN = 0.02
_FAILURES = 3
"""In a row, after which the source is opened again."""
_RESISTOR_GAIN = 0.01
"""A resistor of ±1 %, unless the report is read by somebody who knows better."""


class Person(Protocol):
    """The person at the bench, or a script in a test."""

    def ask(self, question: str) -> str:
        """An answer, empty for "leave it out"."""

    def say(self, text: str) -> None:
        """Show a line."""


class Check(NamedTuple):
    """One check with its result."""

    name: str
    passed: bool | None
    """None: not done, or nothing to judge by."""
    text: str

    def row(self) -> tuple[str, str, str]:
        """As cells of a table."""
        return self.name, {True: "passed", False: "failed", None: "-"}[self.passed], self.text


class Report(NamedTuple):
    """All checks of one source."""

    driver: str
    provenance: str
    options: dict[str, str]
    minutes: float
    checks: tuple[Check, ...]

    @property
    def failed(self) -> list[str]:
        """The names of the checks that failed."""
        return [check.name for check in self.checks if check.passed is False]

    def markdown(self) -> str:
        """The report as a page; it names a driver and a board, but no person, host or serial number."""
        board = detect_board()
        options = ", ".join(f"{name}={value}" for name, value in self.options.items()) or "none"
        rows = [("check", "result", "measured"), ("---", "---", "---"), *(each.row() for each in self.checks)]
        lines = [
            f"# {self.driver}, {self.provenance}",
            "",
            f"- energymeter {__version__}, Python {platform.python_version()}, "
            f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
            f"- board: {'not known' if board is None else board.title}",
            f"- options: {options}",
            f"- {self.minutes:g} minutes",
            "",
            *(f"| {' | '.join(printable(cell).replace('|', '/') for cell in row)} |" for row in rows),
            "",
            "Meter (maker, model, firmware), reference and wiring: please add them.",
        ]
        return "\n".join(lines) + "\n"


class Acceptance:
    """Checks of one source.

    Args:
        source: not yet open.
        driver: the name of its driver.
        options: of its spec; only numbers are reported, because a text may be an address or a password.
        clock: the time.
        person: who changes the load; None: nobody is there.
        channel: the channel to check, if there are several.
    """

    def __init__(
        self,
        source: Source,
        driver: str,
        options: dict[str, str],
        clock: Clock,
        person: Person | None = None,
        channel: str = "",
    ) -> None:
        self._driver, self._clock, self._person = driver, clock, person
        self._options = {name: value for name, value in options.items() if number(value) is not None}
        rate_hz = source.facts.default_hz
        self._buffer = ReadingBuffer(source, rate_hz, clock, channel)
        self._period = 1 / rate_hz
        self._samples: deque[Sample] = deque(maxlen=_KEPT)
        self._first: Sample | None = None
        self._integrator: Integrator | None = None
        self._seen_s = -math.inf
        self._reads = self._failures = 0

    def run(self, minutes: float) -> Report:
        """All checks, in about so many minutes.

        Raises:
            SourceError: it cannot be opened.
            SpecError: it has several channels, and none was named.
        """
        seconds = minutes * 60
        self._open()
        try:
            checks = [
                self._identity(),
                *self._steady(_STEADY * seconds),
                self._fastest(min(_FAST * seconds, _FASTEST_SECONDS)),
                self._zero(_ZERO * seconds),
                self._resistor(_RESISTOR * seconds),
                self._unplugged(_PLUG * seconds),
            ]
        finally:
            self._buffer.close()
        return Report(self._driver, self._facts.provenance, self._options, minutes, tuple(checks))

    # The checks -------------------------------------------------------------------------------

    def _identity(self) -> Check:
        facts = self._facts
        has = "with" if getattr(self._buffer.meter, "identity", None) else "without"
        bands = [
            f"{name} ±({significant(100 * band.gain)} % + {significant(band.offset)} {unit})"
            for name, band, unit in (("volts", facts.volts, "V"), ("amps", facts.amps, "A"))
            if band is not None
        ]
        text = f"{facts.semantics} at the {facts.place}, {facts.provenance}, {has} a serial number of its own"
        return Check("identity", None, "; ".join([text, *bands]))

    def _steady(self, seconds: float) -> list[Check]:
        """Noise, timing, and the device's own counters against the integral, under whatever load there is."""
        self._say(f"1 of 5: keep a steady load for {duration(seconds)}")
        before = self._counters()
        self._forget()
        reads, failures = self._reads, self._failures
        self._measure(seconds)
        after = self._counters()
        failed = self._failures - failures
        try:
            quality = self._quality()
        except NotMeasured as reason:
            return [Check("noise", False, str(reason)), self._count_check(before, after, failed)]
        noise = (
            f"{significant(quality.mean_watts, 4)} W, "
            f"noise {significant(quality.noise_watts, 2)} W a sample, "
            f"least energy in 1 s {significant(quality.least_joules, 2)} J"
        )
        asked = 1 / self._period
        got = (self._reads - reads) / seconds
        timing = (
            f"{significant(got)} readings a second of {significant(asked)} asked for, interval "
            f"{duration(quality.interval_s)} ± {duration(quality.jitter_s)}, {failed} failed, "
            f"{getattr(self._buffer.meter, 'lost', 0)} lost"
        )
        warnings = "; ".join(quality.warnings) or "none"
        return [
            Check("noise", None, noise),
            Check("rate", got >= 0.95 * asked and failed == 0, timing),
            Check("warnings", None, warnings),
            self._count_check(before, after, failed),
        ]

    def _fastest(self, seconds: float) -> Check:
        """Readings per second without a pause; a stream sends at its own pace."""
        if self._buffer.streams:
            return Check("fastest", None, "it sends at its own pace")
        end_s, reads, start_s = self._now_s + seconds, 0, self._now_s
        while self._now_s < end_s and reads < _MOST_READS:
            if not self._update():
                break
            reads += 1
        spent = self._now_s - start_s
        most = self._facts.max_hz
        if not reads or not spent > 0:
            return Check("fastest", None, f"{reads} readings in no time")
        text = f"{significant(reads / spent)} readings a second without a pause; the driver allows {most:g}"
        return Check("fastest", reads / spent >= 0.9 * most, text)

    def _zero(self, seconds: float) -> Check:
        if not self._asked("2 of 5: disconnect the load and leave the supply on; Enter, or 'no'"):
            return Check("zero", None, "not done")
        self._forget()
        self._measure(seconds)
        shown = [sample.amps for sample in self._samples if sample.amps is not None]
        if not shown:
            return Check("zero", None, "it reports no current")
        mean, band = sum(shown) / len(shown), self._facts.amps
        text = f"{significant(mean)} A without load"
        if band is None:
            return Check("zero", None, text)
        limit = band.offset + band.resolution
        return Check("zero", abs(mean) <= limit, f"{text}, ±{significant(limit)} A in the data sheet")

    def _resistor(self, seconds: float) -> Check:
        answer = self._answer(
            "3 of 5: connect a known resistor and give its ohms, as in 10; Enter to leave it out"
        )
        ohms = number(answer)
        if ohms is None or ohms <= 0:
            return Check("resistor", None, "not done")
        self._forget()
        self._measure(seconds)
        pairs = [(s.volts, s.amps) for s in self._samples if s.volts is not None and s.amps is not None]
        if not pairs:
            return Check("resistor", None, "it does not report both volts and amps")
        volts, amps = (float(np.mean(column)) for column in zip(*pairs, strict=True))
        true = volts / ohms
        limit = (
            _limit(self._facts.amps, amps) + _limit(self._facts.volts, volts) / ohms + _RESISTOR_GAIN * true
        )
        text = (
            f"{significant(amps, 4)} A at {significant(volts, 4)} V, {significant(true, 4)} A by {ohms:g} "
            "ohm: "
            f"{100 * (amps / true - 1):+.2f} %, ±{significant(100 * limit / true, 2)} % allowed"
        )
        return Check("resistor", abs(amps - true) <= limit, text)

    def _unplugged(self, seconds: float) -> Check:
        """Unplug and replug: failures are noticed, and the readings come back."""
        name = "unplug and replug"
        if not self._asked("4 of 5: unplug the meter now; Enter when done, or 'no'"):
            return Check(name, None, "not done")
        start_s = self._now_s
        while self._now_s - start_s < seconds:
            if not self._update():
                break
            self._clock.sleep(self._period)
        else:
            return Check(name, False, f"it was still read {duration(seconds)} after it was unplugged")
        noticed = self._now_s - start_s
        self._asked("5 of 5: plug it in again; Enter when done")
        back_s = self._now_s
        while self._now_s - back_s < seconds:
            if self._reopened() and self._update():
                again = duration(self._now_s - back_s)
                text = f"noticed after {duration(noticed)}, read again {again} after replugging"
                return Check(name, True, text)
            self._clock.sleep(_RETRY_SECONDS)
        return Check(name, False, f"not read again within {duration(seconds)}")

    def _count_check(self, before: Counters | None, after: Counters | None, failed: int) -> Check:
        name = "counters against the integral"
        first = self._first
        if before is None or after is None or first is None:
            return Check(name, None, "it has no counters of its own")
        last = self._samples[-1]
        counted = after.since(before)
        ours = [
            None if one is None or other is None else other - one
            for one, other in ((first.joules, last.joules), (first.coulombs, last.coulombs))
        ]
        texts = [
            f"{significant(mine, 4)} {unit} integrated, {significant(its, 4)} {unit} counted (steps of "
            f"{step:g})"
            for mine, its, unit, step in (
                (ours[0], counted.joules, "J", counted.joules_step),
                (ours[1], counted.coulombs, "C", counted.coulombs_step),
            )
            if mine is not None and its is not None
        ]
        if failed:
            texts.append(f"not judged, because {failed} readings failed")
        # the counters are read up to one interval before the first and after the last sample
        edges = 2 * self._period / max(1e-9, (last.at_ns - first.at_ns) * 1e-9)
        agrees = None if failed else counted.agree(ours[0], ours[1], _COUNTER_GAIN + edges)
        return Check(name, agrees, "; ".join(texts) or "nothing to compare")

    # Reading ----------------------------------------------------------------------------------

    @property
    def _facts(self) -> Facts:
        return self._buffer.meter.facts

    @property
    def _now_s(self) -> float:
        return self._clock.monotonic_ns() * 1e-9

    def _open(self) -> None:
        self._buffer.open()
        self._integrator = Integrator(self._facts, gap_limit_ns=round(4e9 * self._period) + 10**9)

    def _reopened(self) -> bool:
        self._buffer.close()
        try:
            self._open()
        except SourceError:
            return False
        return True

    def _forget(self) -> None:
        self._samples.clear()
        self._first = None

    def _measure(self, seconds: float) -> None:
        due_s = self._now_s
        end_s, in_a_row = due_s + seconds, 0
        while self._now_s < end_s:
            due_s = max(due_s + self._period, self._now_s - self._period)
            self._clock.sleep(due_s - self._now_s)
            in_a_row = 0 if self._update() else in_a_row + 1
            if in_a_row >= _FAILURES and not self._reopened():
                self._clock.sleep(_RETRY_SECONDS)

    def _update(self) -> bool:
        """One reading, or what a stream has sent; False if it failed."""
        try:
            self._buffer.update()
        except SourceError:
            self._failures += 1
            return False
        for timed in self._buffer.between(self._seen_s, math.inf):
            self._seen_s = timed.at_s
            self._reads += 1
            assert self._integrator is not None
            sample = self._integrator.add(round(timed.at_s * 1e9), timed.reading)
            if sample is not None:
                self._first = self._first or sample
                self._samples.append(sample)
        return True

    def _counters(self) -> Counters | None:
        meter = self._buffer.meter
        try:
            return meter.counters() if isinstance(meter, Counting) else None
        except SourceError:
            return None

    def _quality(self) -> Quality:
        columns = [
            np.array([math.nan if value is None else value for value in column], dtype=np.float64)
            for column in (
                [sample.at_ns * 1e-9 for sample in self._samples],
                [sample.watts for sample in self._samples],
                [sample.amps for sample in self._samples],
            )
        ]
        return examine(
            columns[0], columns[1], columns[2], self._facts, Counts(self._reads, 0, 0, self._failures, 0)
        )

    # The person -------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        if self._person is not None:
            self._person.say(text)

    def _answer(self, question: str) -> str:
        return "" if self._person is None else self._person.ask(question).strip()

    def _asked(self, question: str) -> bool:
        return self._person is not None and self._answer(question).lower() not in ("no", "n")


def _limit(band: Band | None, value: float) -> float:
    return 0.0 if band is None else band.gain * abs(value) + band.offset + band.resolution
