"""Does a log prove its claim? The rules of MLPerf's power measurements, as a checklist for one's own numbers.

Sources of the limits: MLPerf Inference (mlcommons/inference_policies, power_measurement.adoc; the checker
in mlcommons/power-dev, compliance/check.py): a meter within 1 %, clocks within 800 ms, no battery in the
path, the run inside the samples. MLPerf Tiny (eembc/ulpmark-ml): 10 s or 10 iterations, one supply, few
samples lost.
"""

import math
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from energymeter.energy.usage import Usage
from energymeter.energy.window import COVERED
from energymeter.errors import LogError, NotMeasured
from energymeter.meter import throttling
from energymeter.meter.conditions import Conditions
from energymeter.reading import Facts
from energymeter.recordings import reader
from energymeter.recordings.header import FORMAT
from energymeter.recordings.record import Record
from energymeter.recordings.trace import Trace
from energymeter.text import duration, percent, printable, significant

RULES = (
    "closing record",
    "provenance",
    "one supply",
    "no battery",
    "calibrated",
    "meter uncertainty",
    "duration",
    "coverage",
    "samples inside the run",
    "samples per span",
    "no gap at an edge",
    "clock agreement",
    "unthrottled",
)
"""The names of all rules, in their order."""
_FIRST_YEAR_S = 1_577_836_800.0
"""The first second of 2020: a clock that shows less was never set."""
_DAY_S = 86_400.0
_INTERVALS = 3
"""So many typical intervals may lie between the ends of two channels."""


class Limits(NamedTuple):
    """What the rules allow."""

    coverage: float = COVERED
    """The share of the window and of the spans of each name that was measured."""
    samples: int = 10
    """At least so many in the calls of each span together."""
    uncertainty: float = 0.01
    """The ± (k = 2) of the energy, as a share of it."""
    seconds: float = 10.0
    """The window lasts so long,"""
    calls: int = 10
    """or a span has so many calls."""
    skew_seconds: float = 0.8
    """How far two clocks may be apart."""


class Rule(NamedTuple):
    """One rule, applied to a log."""

    name: str
    passed: bool | None
    """None: the log does not hold what this rule needs."""
    text: str
    """The figure that decides."""
    remedy: str = ""
    """What to do where it is not passed."""

    @property
    def result(self) -> str:
        """``passed``, ``failed`` or ``cannot tell``."""
        return {True: "passed", False: "failed", None: "cannot tell"}[self.passed]


class Verification(NamedTuple):
    """All rules, applied to one log."""

    path: str
    claim: str
    """What the log says was used."""
    rules: tuple[Rule, ...]

    @property
    def failed(self) -> list[str]:
        """The names of the rules that failed."""
        return [rule.name for rule in self.rules if rule.passed is False]

    @property
    def unknown(self) -> list[str]:
        """The names of the rules that the log cannot answer."""
        return [rule.name for rule in self.rules if rule.passed is None]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON types."""
        rules = [{**rule._asdict(), "result": rule.result} for rule in self.rules]
        return {"path": self.path, "claim": self.claim, "rules": rules, "failed": self.failed}

    def __str__(self) -> str:
        lines = [f"{printable(self.path)}: {self.claim}"]
        for rule in self.rules:
            remedy = f"; {rule.remedy}" if rule.remedy and not rule.passed else ""
            lines.append(f"  {rule.result:12}{rule.name:24}{printable(rule.text + remedy)}")
        counts = [(len(self.rules) - len(self.failed) - len(self.unknown), "passed")]
        counts += [(len(self.failed), "failed"), (len(self.unknown), "cannot be answered")]
        lines.append("  " + ", ".join(f"{count} {what}" for count, what in counts))
        return "\n".join(lines)


def verify(path: str, limits: Limits = Limits(), *, now_s: float | None = None) -> Verification:  # noqa: B008
    """Apply every rule to a log.

    Args:
        path: a log of this package; a recording of others lacks what most rules need.
        now_s: Unix time; None: that of this machine.

    Raises:
        LogError: there is no such file, or it is no recording.
        ExtraMissing: Parquet without pyarrow.
    """
    try:
        records = reader.read(path, reader.Hints(caller="verify"))
    except LogError as damage:
        if not _begins_as_own(path):
            raise
        unread = "the log cannot be read"
        return Verification(
            path,
            "cannot be read",
            (
                Rule("closing record", False, str(damage), "use the file as it was written"),
                *(Rule(name, None, unread) for name in RULES[1:]),
            ),
        )
    log = _Log(records, limits, time.time() if now_s is None else now_s)
    return Verification(path, log.claim, tuple(log.rules()))


def _begins_as_own(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError:
        return False
    return b"energymeter" in start or start.startswith(b"PAR1") or os.path.isdir(f"{path}.parts")


class _Log:
    """One log, and what every rule asks of it."""

    def __init__(self, records: Sequence[Record], limits: Limits, now_s: float) -> None:
        self._limits, self._now_s = limits, now_s
        self._own = records[0].read_as.startswith(FORMAT.split()[0])
        self._header = records[0].header
        self._counted = [record for record in records if record.facts.counted]
        self._traces = [Trace.of_record(record) for record in self._counted if len(record.columns["time_s"])]
        self._silent = [record.name for record in self._counted if not len(record.columns["time_s"])]
        self._record = records[0]
        self._spans = records[0].spans
        self._usage, self._unmeasured = self._whole()
        usage = self._usage
        self.claim = f"nothing: {self._unmeasured}" if usage is None else str(usage).partition(" · ")[0]

    def _whole(self) -> tuple[Usage | None, str]:
        if not self._traces or self._silent:
            return None, f"no sample of {', '.join(self._silent) or 'any channel that counts'}"
        try:
            return sum(self._traces[1:], start=self._traces[0]).usage(), ""
        except NotMeasured as reason:
            return None, str(reason)

    @property
    def _window(self) -> tuple[float, float] | None:
        return self._record.window_s

    def rules(self) -> Iterator[Rule]:
        """All rules, in the order of `RULES`."""
        for name in RULES:
            passed, text, remedy = getattr(self, f"_{name.replace(' ', '_')}")()
            yield Rule(name, passed, text, remedy)

    def _closing_record(self) -> tuple[bool | None, str, str]:
        remedy = "use the file as the run wrote it, or measure again"
        record = self._record
        if record.damage:
            return False, record.damage, remedy
        if not self._own:
            return None, f"read as {record.read_as}, which has none", "record with energymeter"
        wrong = [note for note in record.notes if note.startswith(("its end is missing", "it was changed"))]
        if wrong:
            return False, wrong[0], remedy
        return True, "its checksum is that of the file", ""

    def _provenance(self) -> tuple[bool | None, str, str]:
        if not self._own:
            return None, "the file does not say", "record with energymeter"
        lesser = sorted({r.facts.provenance for r in self._counted} - {"measured"})
        replayed = any(record.facts.replayed for record in self._counted)
        if lesser or replayed or not self._counted:
            said = ", ".join(lesser) or ("replayed" if replayed else "no channel counts")
            return False, said, "measure with a sensor or a meter"
        return True, "measured", ""

    def _one_supply(self) -> tuple[bool | None, str, str]:
        if not self._own:
            return None, "the file does not say where its channels are", "record with energymeter"
        places = sorted({record.facts.place for record in self._counted})
        names = " + ".join(record.name for record in self._counted)
        if len(places) != 1:
            where = " and ".join(places)
            return False, f"{names} at {where} are added", "count one place, and name the other after a comma"
        return True, f"{names} at the {places[0]}", ""

    def _no_battery(self) -> tuple[bool | None, str, str]:
        if any(record.facts.place == "cell" for record in self._counted):
            return False, "the energy is that of a battery", "measure at the supply, without the battery"
        conditions = self._conditions()
        if conditions is None or conditions.battery is None:
            return (
                None,
                "the log does not name the machine's supplies",
                "say in the report that there is none",
            )
        if conditions.battery:
            state = {True: "on mains", False: "not on mains", None: "mains unknown"}[conditions.mains]
            return False, f"the machine has a battery, {state}", "take the battery out of the path"
        return True, "the kernel knows no battery", ""

    def _conditions(self) -> Conditions | None:
        return Conditions.in_header(self._header) if self._own else None

    def _calibrated(self) -> tuple[bool | None, str, str]:
        if not self._own:
            return None, "the file does not say", "record with energymeter and a calibration card"
        without = [record.name for record in self._counted if record.calibration is None]
        if without:
            return False, f"{', '.join(without)} has no card", "energymeter calibrate"
        return True, ", ".join(trace.calibration.title for trace in self._traces if trace.calibration), ""

    def _meter_uncertainty(self) -> tuple[bool | None, str, str]:
        if self._usage is None:
            return None, self._unmeasured, "measure again"
        bare = [
            record.name
            for record in self._counted
            if record.calibration is None and not _has_accuracy(record.facts)
        ]
        if bare:
            return None, f"the accuracy of {', '.join(bare)} is unknown", "calibrate it"
        if not self._usage.joules > 0:
            return None, f"{significant(self._usage.joules)} J have no relative ±", "measure a load"
        share = self._usage.uncertainty / self._usage.joules
        text = f"± {percent(share, 2)} of the energy, {percent(self._limits.uncertainty, 2)} allowed"
        return share <= self._limits.uncertainty, text, "calibrate the meter, or use a better one"

    def _duration(self) -> tuple[bool | None, str, str]:
        if self._window is None:
            return None, "the log holds no window of a run", "record a run with energymeter"
        seconds = self._window[1] - self._window[0]
        calls = max((spans.n for spans in self._spans.values()), default=0)
        limits = self._limits
        text = f"{duration(seconds)} and {calls} calls, {duration(limits.seconds)} or {limits.calls} needed"
        return seconds >= limits.seconds or calls >= limits.calls, text, "repeat the work in a span"

    def _coverage(self) -> tuple[bool | None, str, str]:
        if self._usage is None:
            return False, self._unmeasured, "measure again"
        shares = {"the window": self._usage.coverage}
        for name in self._held():
            windows = np.array(self._spans[name].windows_s)
            seconds = float(np.sum(windows[:, 1] - windows[:, 0]))
            covered = min(
                float(np.sum(np.diff(trace.at(windows, "covered_s"), axis=1))) for trace in self._traces
            )
            if seconds > 0:
                shares[name] = covered / seconds
        worst = min(shares, key=lambda name: shares[name])
        # never rounded up to the limit
        share = math.floor(1e4 * shares[worst]) / 1e4
        text = f"{percent(share, 2)} of {worst} measured, {percent(self._limits.coverage, 1)} needed"
        return shares[worst] >= self._limits.coverage, text, "sample slower, or look for what stops the meter"

    def _samples_inside_the_run(self) -> tuple[bool | None, str, str]:
        if self._window is None:
            return None, "the log holds no window of a run", "record a run with energymeter"
        start, end = self._window
        outside = [
            f"{name} from {duration(first - start)} to {duration(last - start)}"
            for name in self._held()
            for first, last in self._spans[name].windows_s
            if first < start - _ROUNDING_S or last > end + _ROUNDING_S
        ]
        if outside:
            return False, f"outside the window: {outside[0]}", "use the log as it was written"
        if not self._traces:
            return False, self._unmeasured, "measure again"
        late = max(float(trace.time_s[0]) for trace in self._traces)
        early = min(float(trace.time_s[-1]) for trace in self._traces)
        if late > start or early < end:
            text = f"samples from {late:.3f} s to {early:.3f} s, the window from {start:.3f} s to {end:.3f} s"
            return False, text, "let the meter run before and after the work"
        return True, f"samples on both sides of the window, {len(self._held())} spans inside it", ""

    def _samples_per_span(self) -> tuple[bool | None, str, str]:
        counts = {name: self._samples_in(self._spans[name].windows_s) for name in self._held()}
        what = "the calls of"
        if not counts:
            if self._window is None or not self._traces:
                return None, "the log holds neither spans nor a window", "record a run with energymeter"
            counts, what = {"the window": self._samples_in([self._window])}, ""
        least = min(counts, key=lambda name: counts[name])
        text = f"{counts[least]} in {what} {least}".replace("  ", " ") + f", {self._limits.samples} needed"
        return counts[least] >= self._limits.samples, text, "repeat the work, or sample faster"

    def _samples_in(self, windows: Sequence[tuple[float, float]]) -> int:
        """Samples of the channel that has fewest."""
        edges = np.array(windows)
        return min(
            int(
                np.sum(
                    np.searchsorted(trace.time_s, edges[:, 1], side="right")
                    - np.searchsorted(trace.time_s, edges[:, 0])
                )
            )
            for trace in self._traces
        )

    def _no_gap_at_an_edge(self) -> tuple[bool | None, str, str]:
        edges = {"the window": [self._window] if self._window else []}
        edges |= {name: list(self._spans[name].windows_s) for name in self._held()}
        known = {name: np.array(windows).ravel() for name, windows in edges.items() if windows}
        if not known or not self._traces:
            return None, "the log holds neither spans nor a window", "record a run with energymeter"
        gaps = [gap for trace in self._traces for gap in trace.gaps()]
        for start, end in gaps:
            for name, moments in known.items():
                inside = moments[(moments >= start) & (moments <= end)]
                if len(inside):
                    text = f"a gap of {duration(end - start)} at the edge of {name}, {inside[0]:.3f} s"
                    return False, text, "look for what stops the meter"
        return True, f"{len(gaps)} gaps, none at an edge", ""

    def _clock_agreement(self) -> tuple[bool | None, str, str]:
        started, end, most = self._record.epoch_s, self._record.end, self._limits.skew_seconds
        remedy = "set the clock before the run, and let nothing suspend the machine"
        if len(self._traces) > 1:
            firsts, lasts = ([float(trace.time_s[at]) for trace in self._traces] for at in (0, -1))
            step = max(float(np.median(np.diff(t.time_s))) if len(t) > 1 else 0.0 for t in self._traces)
            apart = max(max(firsts) - min(firsts), max(lasts) - min(lasts))
            if apart > max(most, _INTERVALS * step):
                return False, f"channels begin or end {duration(apart)} apart", "use meters on one clock"
        if not self._own or started is None:
            return None, "the log does not say when it began", "record with energymeter"
        if not _FIRST_YEAR_S < started < self._now_s + _DAY_S:
            return False, f"the log began at {started:.0f} s of Unix time", "set the clock of the machine"
        if end is None:
            return None, "the log does not hold the time of its end", remedy
        skew = (end.unix_s - started) - end.time_s
        text = f"{skew:+.3f} s between the two clocks of the run, {most:g} s allowed"
        return abs(skew) <= most, text, remedy

    def _unthrottled(self) -> tuple[bool | None, str, str]:
        conditions, end = self._conditions(), self._record.end
        before = None if conditions is None else conditions.throttled
        after = None if end is None else end.throttled
        if before is None or after is None:
            return None, "the log does not say", "a Raspberry Pi says it; elsewhere watch the clock rates"
        reported = throttling.sentences(before, after)
        during = [text for text in reported if text.startswith("During")]
        if during:
            return False, during[0], ""
        if reported:
            return None, reported[0], ""
        return True, "by the firmware before and after the run", ""

    def _held(self) -> list[str]:
        """The names of the spans of which the log holds calls, where there are samples."""
        return [name for name, spans in self._spans.items() if spans.windows_s and self._traces]


_ROUNDING_S = 1e-9


def _has_accuracy(facts: Facts) -> bool:
    """Whether a data sheet bounds the power of a channel."""
    both = facts.volts is not None and facts.amps is not None
    return facts.watts is not None or facts.joules is not None or both
