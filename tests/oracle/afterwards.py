"""What a program leaves on disk, judged after its end: its logs and the lines of its ledger."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click.testing

from energymeter import Budget, EnergyMeter, EnergyMeterError, Trace
from energymeter.budget import Ledger
from energymeter.cli import main as command_line
from energymeter.recordings import window_joules

from oracle import steps as s
from oracle.check import COVERED, FAR, Judge
from oracle.events import Record
from oracle.stage import BUDGET
from oracle.truth import Channel, Extent, Moments, Run

_ALIGN_SECONDS = 0.01
"""The Unix time in a log is so well known."""
_NEVER = 1e9


def judge_logs(record: Record, judge: Judge) -> None:
    """Every log against the run that it was written by."""
    for number, meter in enumerate(record.program.meters):
        if meter.log in ("csv", "jsonl", "parquet", "bytes"):
            _Log(record, judge, number).judge()


class _Log:
    def __init__(self, record: Record, judge: Judge, number: int) -> None:
        self._record, self._judge, self._verdict = record, judge, judge.verdict
        self._number = number
        self._channels = record.channels[number]

    def judge(self) -> None:
        runs = [run for run in self._record.runs_for("0", self._number, _NEVER) if run.logged]
        paths = self._paths()
        if not runs or not self._channels:
            return
        run = runs[-1]
        if len(paths) != 1:
            if paths or not self._excused():
                self._verdict.found("log places", "log", f"the log is in {len(paths)} places: {paths}")
            return
        path = paths[0]
        try:
            trace = Trace.load(path)
            usage = trace.usage().to_dict()
            json.dumps(usage, allow_nan=False)
        except EnergyMeterError as error:
            if not self._excused() and self._judge.healthy_run(run):
                self._verdict.found("log lost", "log", f"{type(error).__name__}: {error}")
            return
        self._figures(run, usage)
        self._same(path, trace, usage)

    def _paths(self) -> list[str]:
        found: list[str] = []
        for folder in (self._record.folder, self._record.folder / "elsewhere"):
            for name in os.listdir(folder) if folder.is_dir() else []:
                if name.startswith(f"log{self._number}"):
                    found.append(str(folder / name.removesuffix(".parts")))
        return sorted(set(found))

    def _excused(self) -> bool:
        """The program was killed, or the meter said that the log is not whole."""
        told = [
            event for event in self._record.of("log") if event["meter"] == self._number and event["error"]
        ]
        return bool(told) or not self._record.of("finished")

    def _figures(self, run: Run, usage: dict[str, Any]) -> None:
        """From about the start of the run to about its end."""
        first, last = self._judge.sampled(self._channels, run.extent)
        end = last if not self._excused() else Moments(first.earliest, last.latest)
        self._judge.usage("log", "log", usage, Extent(first, end), self._channels)

    def _same(self, path: str, trace: Trace, usage: dict[str, Any]) -> None:
        """Every other way to read the log gives the same."""
        shown = click.testing.CliRunner().invoke(command_line, ["show", "--json", path])
        if shown.exit_code or shown.exception:
            self._verdict.found("show fails", "show", f"{shown.output[-500:]} {shown.exception!r}")
        else:
            self._equal("show --json", json.loads(shown.output), usage)
        plain = click.testing.CliRunner().invoke(command_line, ["show", path])
        if plain.exit_code:
            self._verdict.found("show fails", "show", plain.output[-500:])
        self._windows(path, trace)
        if self._record.program.seed % 3 == 0:
            self._replayed(path, usage)

    def _equal(self, figure: str, told: dict[str, Any], usage: dict[str, Any]) -> None:
        for name in ("joules", "seconds", "coverage", "uncertainty"):
            if not math.isclose(told[name], usage[name], rel_tol=1e-6, abs_tol=1e-9):
                self._verdict.found(
                    f"{figure} differs", figure, f"{name} {told[name]} instead of {usage[name]}"
                )

    def _windows(self, path: str, trace: Trace) -> None:
        """Windows of the log: two ways to read them, and the truth."""
        start, seconds = float(trace.time_s[0]), trace.seconds
        shares = [(0.0, 1.0), (0.1, 0.3), (0.35, 0.9), (0.5, 0.5001)]
        starts = [start + a * seconds for a, _ in shares]
        ends = [start + b * seconds for _, b in shares]
        by_trace = trace.energy(starts, ends)
        by_file = window_joules(path, starts, ends)
        for a, b, one, other in zip(starts, ends, by_trace, by_file, strict=True):
            if not math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-7):
                self._verdict.found(
                    "window_joules differs", "log", f"{a:.4f} to {b:.4f} s: {other} J, Trace.energy() {one} J"
                )
                continue
            self._window(trace, a, b)

    def _window(self, trace: Trace, a: float, b: float) -> None:
        if trace.epoch_s is None or b - a < 1e-3:
            return
        epoch = trace.epoch_s - self._record.unix_offset - self._record.epoch_ns * 1e-9
        try:
            usage = trace.usage(a, b).to_dict()
        except EnergyMeterError:
            return
        start, end = epoch + a, epoch + b
        extent = Extent(
            Moments(start - _ALIGN_SECONDS, start + _ALIGN_SECONDS),
            Moments(end - _ALIGN_SECONDS, end + _ALIGN_SECONDS),
        )
        self._judge.usage(f"log {a:.3f} to {b:.3f} s", "log window", usage, extent, self._channels)

    def _replayed(self, path: str, usage: dict[str, Any]) -> None:
        """A replay gives the log's own energy, or says what it leaves out."""
        meter = EnergyMeter(f'replay@"{path}"?speed=max')
        try:
            with meter:
                pass
            told = meter.usage.to_dict()
        except EnergyMeterError as error:
            if len(self._channels) == 1 and usage["coverage"] >= COVERED:
                self._verdict.found("replay refused", "replay", str(error))
            return
        tolerance = 1e-3 * abs(usage["joules"]) + FAR * told["uncertainty"] + 1e-6
        if abs(told["joules"] - usage["joules"]) > tolerance and told["coverage"] >= COVERED:
            self._verdict.found(
                "replay differs", "replay", f"{told['joules']:.6g} J, the log {usage['joules']:.6g} J"
            )


def judge_ledger(record: Record, judge: Judge) -> None:
    """What the budget has paid is what was drawn since the battery was changed, and once."""
    paths = list((record.folder / "data").rglob("*.sqlite3"))
    if not paths:
        return
    _Ledger(record, judge, paths[0]).judge()


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
        low, high = self._true(meters, channels)
        warned = [event["message"] for event in self._record.of("warning")] + self._notes()
        lossy = warned or not self._record.of("finished") and self._killed() or self._blocked(meters)
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
        return of_program | {
            step.meter for step in s.walk(self._record.program.steps) if isinstance(step, s.Drawing)
        }

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
        told = ", ".join(f"{line.kind} {line.joules:.4g} J" for line in lines)
        return f"says {spent:.6g} J, true {low:.6g} to {high:.6g} J; lines: {told}"

    def _true(self, meters: set[int], channels: Sequence[Channel]) -> tuple[float, float]:
        """The least and the most that the board can have drawn while somebody paid, J."""
        low = high = 0.0
        for start, end in self._union(meters):
            for channel in channels:
                part = channel.measured(start, end)
                most = channel.wave.peak
                edge = most * (2.2 / channel.hz + 0.05 + channel.spec.slow + channel.spec.batch)
                low += max(0.0, part.joules - edge)
                high += part.joules + part.more_joules + part.slack_joules + edge
        peak = sum(channel.wave.peak for channel in channels)
        uncertain = sum(self._bracket(run) for run in self._runs(meters))
        uncertain += 0.1 if self._resets else 0.0
        return low - peak * uncertain, high + peak * uncertain

    @staticmethod
    def _bracket(run: Run) -> float:
        start, end = run.extent
        late = 0.0 if run.open else end.latest - end.earliest
        return 0.3 * (start.latest - start.earliest) + min(late, 0.05)

    def _runs(self, meters: set[int]) -> list[Run]:
        return [run for run in self._record.runs if run.meter in meters]

    def _union(self, meters: set[int]) -> list[tuple[float, float]]:
        """When somebody paid, since the last reset."""
        last = max(
            (
                channel.times[-1]
                for number in meters
                for channel in self._record.channels[number]
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
            energies, slack = [], 0.0
            for span in self._record.spans:
                if span.label == label and span.meter in meters:
                    a, b = span.extent.start.earliest, span.extent.end.latest
                    energies.append(sum(channel.wave.joules(a, b) for channel in channels))
                    slack = max(slack, sum(self._judge.tolerance(channel, a, b) for channel in channels))
            slack += 0.05 * max(energies) + sum(
                (c.wave.peak - c.wave.floor) / c.hz + c.spec.band[2] + c.spec.band[1] * 0.5 for c in channels
            )
            if not min(energies) - slack <= cost <= max(energies) + slack:
                self._verdict.found(
                    "unit cost",
                    "ledger",
                    f"{label} costs {cost:.6g} J, true {min(energies):.6g} to {max(energies):.6g} J",
                )
