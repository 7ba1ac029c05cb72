"""What a program leaves on disk, judged after its end: its logs and the lines of its ledger."""

import json
import math
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click.testing

from energymeter import Budget, EnergyMeter, EnergyMeterError, Trace
from energymeter.budget import Ledger
from energymeter.cli import cli
from energymeter.recordings import window_joules
from oracle import steps as s
from oracle.check import COVERED, FAR, Judge
from oracle.events import Record
from oracle.stage import BUDGET
from oracle.truth import Channel, Extent, Moments, Run

_ALIGN_SECONDS = 0.5
"""The Unix time in a log is so well known."""
_LEAVING_SECONDS = 0.3
"""From the last step to the end of the window, on a very busy machine; else it takes milliseconds."""
_NEVER = 1e9
_LAST_SECONDS = 0.5
_EXIT_SECONDS = 3.0
_one_at_a_time = threading.Lock()
"""A click runner takes standard output away from the whole process."""
_SHARES = ((0.0, 1.0), (0.1037, 0.3091), (0.3533, 0.9017), (0.5, 0.5001))
"""Windows of a log that are looked at."""


def judge_logs(record: Record, judge: Judge) -> None:
    """Every log against the run that it was written by."""
    for number, meter in enumerate(record.program.meters):
        runs = [run for run in record.runs_for("0", number, _NEVER) if run.logged]
        if runs and meter.log in ("csv", "jsonl", "parquet", "bytes"):
            _judge_log(record, judge, number, runs[-1])


def _judge_log(record: Record, judge: Judge, number: int, run: Run) -> None:
    paths = _logs(record.folder, number)
    if len([one for one in record.runs_for("0", number, _NEVER) if one.logged]) > 1:  # each where it began
        paths = sorted(paths, key=_written)[-1:]
    reported = [event for event in record.of("log") if event["meter"] == number and event["error"]]
    excused = bool(reported) or not record.of("finished")  # the meter said so, or the program was ended
    if len(paths) != 1:
        if paths or not excused:
            judge.verdict.found("log places", "log", f"the log is in {len(paths)} places: {paths}")
        return
    channels = record.channels[number]
    # one last sample is taken when the run is left, however long that takes
    soon = (
        run.extent.end.earliest
        + max(judge.grace(channel) for channel in channels)
        + _LAST_SECONDS
        + judge.stalls(number)
    )
    left = Moments(run.extent.end.earliest, min(run.extent.end.latest, soon))
    first, last = judge.sampled(channels, Extent(run.extent.start, left), run.begun)
    end = Moments(first.earliest, last.latest) if excused else last
    breaks = [at for at in record.breaks if at >= run.extent.start.earliest]
    if breaks:  # the rows of the last second are lost then
        first = Moments(first.earliest, min(end.latest, max(first.latest, *breaks) + _LAST_SECONDS))
    window = run.extent
    if run.open or not record.of("finished"):  # it was left when the program ended
        window = Extent(run.extent.start, Moments(end.earliest, end.latest + _EXIT_SECONDS))
    LogJudge(judge, paths[0], channels, Extent(first, end), window=window).judge(
        lost=excused or not judge.healthy_run(run),
        unix=record.unix_offset + record.epoch_ns * 1e-9,
        replayed=record.program.seed % 3 == 0,
    )


def _written(path: str) -> float:
    """When a log was written last; of one that is in parts still, when its folder was."""
    return os.path.getmtime(path if os.path.exists(path) else path + ".parts")


def _logs(folder: Path, number: int) -> list[str]:
    found = set()
    for place in (folder, folder / "elsewhere"):
        for name in os.listdir(place) if place.is_dir() else []:
            if name.startswith(f"log{number}"):
                found.add(str(place / name.removesuffix(".parts")))
    return sorted(found)


class LogJudge:
    """Reads a log in every way there is, and holds each figure against the truth.

    Args:
        judge: takes the findings.
        channels: what was recorded.
        extent: from the first sample to the last one.
        origin: what the truth calls the log's second 0; None: known by its first sample only.
        window: of the run, which a log that was closed carries.
    """

    def __init__(
        self,
        judge: Judge,
        path: str,
        channels: Sequence[Channel],
        extent: Extent,
        origin: float | None = None,
        window: Extent | None = None,
    ) -> None:
        self._judge, self._verdict, self._origin = judge, judge.verdict, origin
        self._window_of_run = window
        self._path, self._channels, self._extent = path, channels, extent

    def judge(self, *, lost: bool, unix: float | None, replayed: bool) -> bool:
        """Everything; False if it cannot be read.

        Args:
            lost: the log may hold no sample.
            unix: of the moment that the truth calls second 0; None: what the log calls so, too.
            replayed: play it as well.
        """
        try:
            trace = Trace.load(self._path)
            usage = trace.usage().to_dict()
            json.dumps(usage, allow_nan=False)
        except EnergyMeterError as error:
            if not lost:
                self._verdict.found("log lost", "log", f"{type(error).__name__}: {error}")
            return False
        except (ValueError, AttributeError) as error:
            self._verdict.found(f"crash {type(error).__name__}", "log", str(error))
            return False
        closed = trace.window_s is not None and self._window_of_run is not None
        extent = self._window_of_run if closed else self._extent
        self._judge.usage("log", "log", usage, extent, self._channels)
        self._shown(usage)
        self._windows(trace, unix)
        if replayed:
            self._replayed(usage)
        return True

    def _shown(self, usage: dict[str, Any]) -> None:
        """``energymeter show`` says the same."""
        with _one_at_a_time:
            shown = click.testing.CliRunner().invoke(cli, ["show", "--json", self._path])
            plain = click.testing.CliRunner().invoke(cli, ["show", self._path])
        for result in (shown, plain):
            if result.exit_code:
                self._verdict.found("show fails", "show", f"{result.output[-500:]} {result.exception!r}")
                return
        fields = json.loads(shown.output)
        for name in ("joules", "seconds", "coverage", "uncertainty"):
            if not math.isclose(fields[name], usage[name], rel_tol=1e-6, abs_tol=1e-9):
                self._verdict.found("show differs", "show", f"{name} {fields[name]} instead of {usage[name]}")

    def _windows(self, trace: Trace, unix: float | None) -> None:
        """Windows of the log: two ways to read them, and the truth."""
        if unix is not None and trace.epoch_s is not None:
            begun = trace.epoch_s + float(trace.time_s[0]) - unix
            first = self._extent.start
            if not first.earliest - _ALIGN_SECONDS <= begun <= first.latest + _ALIGN_SECONDS:
                self._verdict.found("log start", "log", f"says {begun:.3f} s, true {first.earliest:.3f} s")
        start, seconds = float(trace.time_s[0]), trace.seconds
        starts = [start + a * seconds for a, _ in _SHARES]
        ends = [start + b * seconds for _, b in _SHARES]
        by_trace = trace.energy(starts, ends)
        try:
            by_file = window_joules(self._path, starts, ends)
        except EnergyMeterError as error:
            self._verdict.found("window_joules refused", "log", str(error))
            return
        for a, b, one, other in zip(starts, ends, by_trace, by_file, strict=True):
            if not _same(one, other):
                self._verdict.found(
                    "window_joules differs", "log", f"{a:.4f} to {b:.4f} s: {other} J, Trace.energy() {one} J"
                )
                continue
            self._window(trace, a, b, float(one))

    def _window(self, trace: Trace, a: float, b: float, joules: float) -> None:
        if b - a < 1e-3:
            return
        first = self._extent.start
        align = (first.latest - first.earliest) / 2
        epoch = first.earliest + align - float(trace.time_s[0])
        if self._origin is not None:
            align, epoch = 0.0, self._origin
        try:
            usage = trace.usage(a, b).to_dict()
        except EnergyMeterError as error:
            if not math.isnan(joules):
                self._verdict.found(
                    "energy differs", f"log {a:.3f} to {b:.3f} s", f"{joules} J, usage() {error}"
                )
            return
        start, end = epoch + a, epoch + b
        extent = Extent(Moments(start - align, start + align), Moments(end - align, end + align))
        figure = f"log {a:.3f} to {b:.3f} s"
        self._judge.usage(figure, "log window", usage, extent, self._channels)
        if not _same(usage["joules"], joules):
            self._verdict.found("energy differs", figure, f"{joules} J, usage() {usage['joules']} J")

    def _replayed(self, usage: dict[str, Any]) -> None:
        """A replay gives the log's own energy, or says what it leaves out."""
        meter = EnergyMeter(f'replay@"{self._path}"?speed=max')
        try:
            with meter:
                pass
            replayed = meter.usage.to_dict()
        except EnergyMeterError as error:
            if len(self._channels) == 1 and usage["coverage"] >= COVERED and usage["seconds"] > 0:
                self._verdict.found("replay refused", "replay", str(error))
            return
        tolerance = 1e-3 * abs(usage["joules"]) + FAR * replayed["uncertainty"] + 1e-6
        if abs(replayed["joules"] - usage["joules"]) > tolerance and replayed["coverage"] >= COVERED:
            self._verdict.found(
                "replay differs", "replay", f"{replayed['joules']:.6g} J, the log {usage['joules']:.6g} J"
            )


def judge_ledger(record: Record, judge: Judge) -> None:
    """What the budget has paid is what was drawn since the battery was changed, and once."""
    paths = list((record.folder / "data").rglob("*.sqlite3"))
    if not paths:
        return
    _Ledger(record, judge, paths[0]).judge()


_PAID = (s.Drawing, s.Guarded)
"""Steps that are paid for, whichever meter sees them."""


class _Ledger:
    def __init__(self, record: Record, judge: Judge, path: Path) -> None:
        self._record, self._judge, self._verdict = record, judge, judge.verdict
        self._budget = Budget(BUDGET, ledger=Ledger(path))
        resets = [record.moments(event) for event in record.of("reset")]
        self._since = resets[-1] if resets else Moments(-_NEVER, -_NEVER)
        self._resets = resets

    def judge(self) -> None:
        meters = self._paying()
        if not meters:
            return
        channels = self._record.channels[min(meters)]
        if any(
            source.rails or source.renews
            for meter in meters
            for source in self._record.program.meters[meter].sources
        ):
            return
        self._verdict.figures += 1
        lines = self._budget.lines()
        last_reset = max((number for number, line in enumerate(lines) if line.kind == "reset"), default=-1)
        since = lines[last_reset + 1 :]
        doubt = sum(line.uncertainty or 0.0 for line in since)
        # loops within blocks of several meters are paid for by what each of these sees
        bounds = [self._true({meter}, self._record.channels[meter]) for meter in sorted(meters)]
        low, high = min(low for low, _ in bounds), sum(high for _, high in bounds)
        warned = [event["message"] for event in self._record.of("warning")] + self._notes()
        lossy = warned or (not self._record.of("finished") and self._killed()) or self._blocked(meters)
        tolerance = FAR * doubt + 2e-6 * len(lines) + 1e-6 * high
        spent = self._budget.spent_joules
        if spent > high + tolerance and not any("budget" in text or "debit" in text for text in warned):
            self._verdict.found("ledger too much", "ledger", self._text(spent, low, high, lines))
        if spent < low - tolerance and not lossy:
            self._verdict.found("ledger too little", "ledger", self._text(spent, low, high, lines))
        self._units(channels, meters)

    def _paying(self) -> set[int]:
        """The meters that pay in one of the two ways."""
        of_program = {number for number, meter in enumerate(self._record.program.meters) if meter.budget}
        return of_program | {run.meter for step in _PAID for run in self._record.within(step)}

    def _killed(self) -> bool:
        """What was drawn in the last half minute may be lost then."""
        return any(event["way"] == "kill" for event in self._record.of("leave"))

    def _blocked(self, meters: set[int]) -> bool:
        """Something failed with an error, which is as good as a warning."""
        return any(event["ours"] for event in self._record.of("error")) or not meters

    def _notes(self) -> list[str]:
        return [
            note
            for answer in self._record.answers
            if answer.what == "usage" and answer.error is None
            for note in answer.value["notes"]
        ]

    def _text(self, spent: float, low: float, high: float, lines: Sequence[Any]) -> str:
        entries = ", ".join(f"{line.kind} {line.joules:.4g} J" for line in lines)
        return f"says {spent:.6g} J, true {low:.6g} to {high:.6g} J; lines: {entries}"

    def _true(self, meters: set[int], channels: Sequence[Channel]) -> tuple[float, float]:
        """The least and the most that the board can have drawn while somebody paid, J."""
        low = high = 0.0
        guarded = [step for step in s.walk(self._record.program.steps) if isinstance(step, s.Guarded)]
        loops_seconds = sum(step.count * step.seconds for step in guarded)
        # each program reads for itself
        seen_by = [self._record.channels_of(run) for run in self._runs(meters) if run.meter == min(meters)]
        others = [list(own) for own in dict.fromkeys(map(tuple, seen_by)) if own != tuple(channels)]
        for start, end in self._union(meters):
            for place, channel in enumerate(channels):
                parts = [own[place].measured(start, end) for own in (channels, *others)]
                part = max(parts, key=lambda one: one.seconds + one.possibly)
                most = channel.wave.peak
                late = min(part.longest, 1.0)  # the newest sample is as old as that
                edge = most * (2.2 / channel.hz + 0.05 + channel.spec.slow + channel.spec.batch + 2 * late)
                # what is before a loop's first step, or between two calls of a function, is not theirs,
                # and a sampler that was killed may have missed most of a short one
                gap = part.longest > 5 / channel.hz + channel.spec.slow + channel.spec.batch
                short = channel.wave.floor * min(0.3 * (end - start), 0.9 * loops_seconds)
                low += short if guarded and not gap else max(0.0, part.joules - edge)
                paid = sum(one.joules + one.more_joules + one.slack_joules for one in parts)
                whole = channel.wave.joules(start, end) + part.slack_joules if others else paid
                high += min(paid, whole) + edge
        peak = sum(channel.wave.peak for channel in channels)
        uncertain = sum(self._bracket(run) for run in self._runs(meters))
        uncertain += 0.1 if self._resets else 0.0
        return low - peak * uncertain, high + peak * uncertain

    @staticmethod
    def _bracket(run: Run) -> float:
        start, end = run.extent
        if run.loose:  # only its bounds are known
            return start.latest - start.earliest + end.latest - end.earliest
        late = 0.0 if run.open else end.latest - end.earliest
        early = start.latest - start.earliest  # a baseline reads for longer than it counts
        return early * (0.3 if run.logged else 1.0) + min(late, _LEAVING_SECONDS)

    def _runs(self, meters: set[int]) -> list[Run]:
        paying = {number for number, meter in enumerate(self._record.program.meters) if meter.budget}
        whole = [run for run in self._record.runs if run.meter in paying]
        parts = [run for step in _PAID for run in self._record.within(step)]
        return [run for run in (*whole, *parts) if run.meter in meters]

    def _union(self, meters: set[int]) -> list[tuple[float, float]]:
        """When somebody paid, since the last reset."""
        last = max(
            (
                channel.times[-1]
                for run in self._runs(meters)
                for channel in (*self._record.channels[run.meter], *self._record.channels_of(run))
                if channel.times
            ),
            default=0.0,
        )
        spans = sorted(
            (run.extent.start.latest, min(run.extent.end.earliest, last)) for run in self._runs(meters)
        )
        together: list[tuple[float, float]] = []
        for start, end in spans:
            start = max(start, self._since.latest)
            if end <= start:
                continue
            if together and start <= together[-1][1]:
                together[-1] = together[-1][0], max(together[-1][1], end)
            else:
                together.append((start, end))
        return together

    def _units(self, channels: Sequence[Channel], meters: set[int]) -> None:
        """What one span costs, by the ledger, is what one cost that was measured."""
        if self._resets:
            return
        labels = {span.label for span in self._record.spans if span.meter in meters and span.process == "0"}
        for label in sorted(labels):
            try:
                left = self._budget.runs_left(label)
            except EnergyMeterError:
                continue
            if left is None or not left.value > 0:
                continue
            cost = self._budget.remaining_joules.value / left.value
            self._verdict.figures += 1
            least, most, slack = math.inf, 0.0, 0.0
            for span in self._record.spans:
                if span.label == label and span.meter in meters:
                    (a, started), (ended, b) = span.extent
                    least = min(least, sum(c.wave.joules(started, max(started, ended)) for c in channels))
                    most = max(most, sum(channel.wave.joules(a, b) for channel in channels))
                    slack = max(slack, sum(self._judge.tolerance(channel, a, b) for channel in channels))
            slack += 0.05 * most + sum(
                (c.wave.peak - c.wave.floor) / c.hz + c.spec.band[2] + c.spec.band[1] * 0.5 for c in channels
            )
            if not least - slack <= cost <= most + slack:
                self._verdict.found(
                    "unit cost",
                    "ledger",
                    f"{label} costs {cost:.6g} J, true {least:.6g} to {most:.6g} J",
                )


def _same(one: float, other: float) -> bool:
    """Whether two ways to the same joules agree; NaN: unknown."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-7)
