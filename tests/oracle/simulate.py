"""Long runs in simulated time: rings that wrap, thinned histories, samplers that are killed, slow rails.

Only the source and the clock are made; the sampling loop, the curve, the recorder and the readers are the
package's own.
"""

import dataclasses
import glob
import json
import math
import mmap
import os
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from energymeter import Battery, Budget, EnergyMeterError, Trace
from energymeter.budget import Ledger
from energymeter.clock import ManualClock
from energymeter.meter.usage_delta import UsageDelta
from energymeter.sampling.config import LogConfig, SourceConfig
from energymeter.sampling.curve import Curve
from energymeter.sampling.memory import Count, Head
from energymeter.sampling.session import Session
from oracle.afterwards import LogJudge
from oracle.check import FAR, Judge, Verdict
from oracle.events import Record
from oracle.known import KnownRails, rows
from oracle.steps import MeterSpec, Program, SourceSpec
from oracle.truth import Channel, Extent, Moments

_MOST_READINGS = 12_000
_CALM_TURNS = 10
_TURNS_A_BATCH = 500


@dataclasses.dataclass(frozen=True)
class LongRun:
    """One recording in simulated time."""

    seed: int
    rails: tuple[SourceSpec, ...]
    hz: float = 1.0
    seconds: float = 600.0
    log: str = "csv"
    kills: tuple[tuple[float, float], ...] = ()
    """When the sampling process ends, and when it is there again."""

    def to_json(self) -> str:
        return json.dumps({"long run": dataclasses.asdict(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "LongRun":
        fields = json.loads(text)["long run"]
        rails = [
            SourceSpec(
                **{
                    name: tuple(map(tuple, value))
                    if name in ("wave", "troubles")
                    else tuple(value)
                    if isinstance(value, list)
                    else value
                    for name, value in rail.items()
                }
            )
            for rail in fields.pop("rails")
        ]
        kills = tuple((a, b) for a, b in fields.pop("kills"))
        return cls(rails=tuple(rails), kills=kills, **fields)


class Pace:
    """Time that jumps from one deadline to the next, up to an end; ``killed``: of the whole process.

    Who is killed loses the rows of the last second, not those that a busy machine has not written yet: the
    ``log`` does not grow any more then.
    """

    def __init__(
        self,
        clock: ManualClock,
        end: float,
        killed: bool = False,
        log: str = "",
        counts: memoryview | None = None,
    ) -> None:
        self._clock, self._end_ns, self._killed, self._log = clock, round(end * 1e9), killed, log
        self._counts, self._turns = counts, 0

    def now_ns(self) -> int:
        return self._clock.monotonic_ns()

    def wait_until(self, deadline_ns: int) -> bool:
        now_ns = self._clock.monotonic_ns()
        self._turns += 1
        if self._turns % _TURNS_A_BATCH == 0:
            self._wait_for_rows()
        self._clock.sleep((min(deadline_ns, self._end_ns) - now_ns) * 1e-9)
        if self._killed and self._clock.monotonic_ns() >= self._end_ns:
            self._wait_for_log()
            os._exit(0)
        return self._clock.monotonic_ns() >= self._end_ns

    def _wait_for_rows(self) -> None:
        """Real time must pass for the log, which would lose rows to a loop that never waits."""
        before = -1
        while self._counts is not None and (rows := self._counts[Count.RECORDED_ROWS]) != before:
            before = rows
            time.sleep(0.01)

    def _wait_for_log(self) -> None:
        before, calm = -1, 0
        while calm < _CALM_TURNS:
            parts = glob.glob(glob.escape(self._log) + "*/*")
            size = sum(os.path.getsize(path) for path in (self._log, *parts) if os.path.exists(path))
            calm = calm + 1 if size == before else 0
            before = size
            time.sleep(0.02)

    def suspended_ns(self) -> int:
        return 0

    def cpu_ns(self) -> int:
        return 0


def long_run(seed: int) -> LongRun:
    """The recording of a seed, always the same."""
    rnd = random.Random(f"long {seed}")
    hz = rnd.choice([0.02, 0.2, 1.0, 2.0, 10.0, 50.0])
    seconds = rnd.choice([300, 2_000, _MOST_READINGS * 0.9]) / hz
    rails = tuple(_rail(rnd, hz, seconds) for _ in range(rnd.choice([1, 1, 2, 3])))
    kills: tuple[tuple[float, float], ...] = ()
    if rnd.random() < 0.25:
        at = rnd.uniform(0.2, 0.7) * seconds
        kills = ((at, at + rnd.choice([0.4, 5 / hz, 50 / hz])),)
    return LongRun(seed, rails, hz, seconds, rnd.choice(["csv", "csv", "jsonl", "parquet"]), kills)


_TOGETHER = 4


def _in_step(channel: Channel, interval: float, seconds: float) -> float:
    """So many periods of a load meet the readings at the same place: what these miss does not average out.

    Where a few periods together are in step with the readings, these meet it at as many places and miss less.
    """
    period, worst = channel.wave.period, 1.0
    for together in range(1, _TOGETHER + 1):
        repeat = together * period
        drift = abs(repeat / interval - round(repeat / interval)) * interval  # from one time to the next
        same = min(seconds, repeat * interval / together / 2 / max(drift, 1e-9))
        worst = max(worst, same / period / together**2)
    return worst


def _rail(rnd: random.Random, hz: float, seconds: float) -> SourceSpec:
    semantics = rnd.choice(["instant", "instant", "mean", "counter"])
    quantity = "joules" if semantics == "counter" else rnd.choice(["watts", "amps"])
    gain = rnd.choice([0.0, 0.005])
    news = rnd.choice([0.0] * 4 + [4 / hz, 10 / hz]) if semantics != "mean" else 0.0
    pieces = []
    for _ in range(rnd.randint(1, 8)):
        length = (6 / hz + 3 * news) * rnd.choice([1.0, 3.0, 10.0, 60.0]) * rnd.uniform(1.0, 1.5)
        a = rnd.choice([0.0, 2.0, 7.0]) + rnd.uniform(0.1, 1.0)
        pieces.append((length, a, a if rnd.random() < 0.7 else rnd.uniform(0.1, 8.0)))
    troubles: tuple[tuple[str, float, float, str], ...] = ()
    if rnd.random() < 0.4:
        start = rnd.uniform(0.1, 0.9) * seconds
        end = rnd.choice([start + 20 / hz, start + 200 / hz, 10 * seconds])
        troubles = ((rnd.choice(["fail", "stale"]), start, end, ""),)
    return SourceSpec(
        wave=tuple(pieces),
        semantics=semantics,
        quantity=quantity,
        hz=hz,
        band=(gain, 0.0, 0.0 if quantity != "joules" else 1e-6),
        gain=rnd.uniform(-gain, gain),
        describes=semantics == "mean",
        news=news,
        troubles=troubles,
    )


def simulate(run: LongRun, keep: Path | None = None) -> Verdict:
    """Record it, read it in every way, and judge each figure."""
    folder = Path(tempfile.mkdtemp(prefix="oracle-long-")) if keep is None else keep
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _Simulation(run, folder).judged()
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


class _Simulation:
    def __init__(self, run: LongRun, folder: Path) -> None:
        self._run, self._folder = run, folder
        self._rnd = random.Random(f"questions {run.seed}")
        self._log = str(folder / f"log0.{run.log}")
        program = Program(run.seed, (MeterSpec(()),), ())
        # a load of a steady rhythm can be in step with the readings: then its errors do not average out
        self._judge = Judge(Record(program, folder), far=2 * FAR)

    def judged(self) -> Verdict:
        curves = self._recorded()
        channels = [
            Channel(
                f"known0.{number}",
                spec,
                rows(str(self._folder / f"0.{number}.rows")),
                0,
                self._run.hz,
                [moment for kill in self._run.kills for moment in kill],
            )
            for number, spec in enumerate(self._run.rails)
        ]
        if all(channel.times for channel in channels):
            for channel, curve in zip(channels, curves, strict=True):
                self._curve(channel, curve)
            self._file(channels)
        self._ledger()
        return self._judge.verdict

    # -- recording ---------------------------------------------------------------------------------

    def _recorded(self) -> list[Curve]:
        clock = ManualClock()
        self._write_sources()
        session = self._session(clock)
        memory = memoryview(mmap.mmap(-1, session.size))
        resumed = False
        for start, end in self._run.kills:
            pid = os.fork()  # who is killed closes nothing
            if not pid:
                self._record(session, clock, memory, start, resumed, killed=True)
            os.waitpid(pid, 0)
            clock.sleep(end - clock.monotonic_ns() * 1e-9)
            session.close()
            session, resumed = self._session(clock), True
        self._record(session, clock, memory, self._run.seconds, resumed)
        return [
            Curve(info.memory_in(memory), trapezoids=info.facts.semantics == "instant")
            for info in session.channels
        ]

    def _session(self, clock: ManualClock) -> Session:
        source = KnownRails(str(self._folder / "0.json"), clock=clock)
        return Session([SourceConfig(source, self._run.hz)], {})

    def _record(
        self,
        session: Session,
        clock: ManualClock,
        memory: memoryview,
        end: float,
        resumed: bool,
        killed: bool = False,
    ) -> None:
        log = LogConfig(self._log, header={"started": clock.time() - clock.monotonic_ns() * 1e-9})
        session.prepare(memory, Pace(clock, end, killed, self._log, Head(memory).counts), log, resume=resumed)
        session.run()
        if killed:
            os._exit(1)

    def _write_sources(self) -> None:
        rails = [f"0.{number}" for number in range(len(self._run.rails))]
        whole = SourceSpec(hz=self._run.hz, rails=self._run.rails)
        for name, spec in (("0", whole), *zip(rails, self._run.rails, strict=True)):
            about = {
                **dataclasses.asdict(spec),
                "name": f"known{name}",
                "epoch_ns": 0,
                "rails": [f"{rail}.json" for rail in rails] if name == "0" else [],
            }
            (self._folder / f"{name}.json").write_text(json.dumps(about))

    # -- judging -----------------------------------------------------------------------------------

    def _curve(self, channel: Channel, curve: Curve) -> None:
        """Windows anywhere in the run, near its end at full rate and far back in a thinned history."""
        first, last = channel.times[0], curve.last_ns() * 1e-9
        step = max(1.0, len(curve) / 3000) * 1.001 / channel.hz
        recent = curve.oldest_ns() * 1e-9
        for _ in range(40):
            a, b = sorted(self._rnd.uniform(first, last) for _ in range(2))
            if self._rnd.random() < 0.5:
                a = self._rnd.uniform(min(recent, last), last)
                b = min(last, a + self._rnd.choice([0.3, 3, 30]) / channel.hz)
            self._curve_window(channel, curve, a, b, 0.0 if a > recent else 2 * step)

    def _curve_window(self, channel: Channel, curve: Curve, a: float, b: float, coarse: float) -> None:
        verdict = self._judge.verdict
        verdict.figures += 1
        window = curve.window(round(a * 1e9), round(b * 1e9))
        part = channel.measured(a, b)
        figure = f"curve {a:.3f} to {b:.3f} s"
        interval = 1 / channel.hz + channel.spec.news
        around = coarse + 20 / channel.hz
        low_watts, high_watts = channel.wave.extremes(max(0.0, a - around), b + around)
        doubt = FAR * 2 * math.hypot(math.sqrt(max(window.variance_joules2, 0.0)), window.edge_joules)
        renewed = max(1 / channel.hz, channel.spec.news)
        doubt *= math.sqrt(max(_in_step(channel, each, b - a) for each in (interval, renewed)))
        doubt += (channel.spec.band[0] + 1e-6) * (part.joules + part.more_joules) + 2e-6
        doubt += (high_watts - low_watts) * (coarse + (interval if b - a < 2 * interval else 0.0))
        gaps = min(part.seconds, window.covered_seconds) < 0.999 * (b - a)
        tolerance = doubt + (high_watts * (2.2 * interval + coarse + 1e-6) if gaps else 0.0)
        tolerance += high_watts * max(0.0, b - a - window.covered_seconds)  # what it says is missing
        tolerance += high_watts * max(0.0, window.covered_seconds - part.seconds)  # judged below
        # a source that was opened again has a gap, though its counter counted on: how long it may be is below
        missed = (
            high_watts * max(0.0, part.seconds - window.covered_seconds) if channel.spec.troubles else 0.0
        )
        low, high = part.joules - missed, part.joules + part.more_joules + part.slack_joules
        if not low - tolerance <= window.joules <= high + tolerance:
            verdict.found(
                "curve joules",
                figure,
                f"says {window.joules:.6g} J, {window.covered_seconds:.3f} s covered; "
                f"true {low:.6g} to {high:.6g} J, allowed ± {tolerance:.3g} J",
            )
        grace = 2.2 / channel.hz + 1.1 * channel.spec.news + 2 * coarse + 0.3
        if window.covered_seconds > part.seconds + part.possibly + grace:
            verdict.found("curve coverage", figure, f"says {window.covered_seconds} s, true {part.seconds} s")
        # a source that fails is opened again: what lies between two of its news is a gap then, however short
        reopened = 3.5 * channel.spec.news * len(channel.spec.troubles)
        if window.covered_seconds < part.seconds - grace - reopened:
            verdict.found("curve refuses", figure, f"says {window.covered_seconds} s, true {part.seconds} s")
        inner, outer = channel.peaks(a, b)
        if channel.spec.quantity != "joules" and not coarse and window.peak_watts == window.peak_watts:
            if not inner - 1e-6 <= window.peak_watts <= outer + 1e-6:
                verdict.found("curve peak", figure, f"says {window.peak_watts} W, true {inner} to {outer} W")
        elif channel.spec.quantity != "joules" and coarse and window.peak_watts < inner - 1e-6:
            verdict.found("curve peak", figure, f"says {window.peak_watts} W, true at least {inner} W")

    def _file(self, channels: Sequence[Channel]) -> None:
        starts = [channel.times[0] for channel in channels]
        ends = [channel.times[-1] for channel in channels]
        # who is killed takes the rows of the last second along, of Parquet those of the last minute
        again = [end for _, end in self._run.kills]
        begun = max([min(starts), *(channel.first_after(end) for end in again for channel in channels)])
        extent = Extent(
            Moments(min(starts), begun),
            Moments(max(ends), max(max(ends), self._run.seconds + 1e-3)),
        )
        readable = LogJudge(self._judge, self._log, channels, extent, 0.0).judge(
            lost=bool(self._run.kills), unix=None, replayed=self._run.seed % 7 == 0
        )
        if not readable or self._judge.verdict.findings:
            return
        self._saved(channels, extent)
        self._damaged()

    def _saved(self, channels: Sequence[Channel], extent: Extent) -> None:
        """Loaded and saved again in another format, resampled and cut, it holds the same energy."""
        trace = Trace.load(self._log)
        path = str(self._folder / f"again.{self._rnd.choice(['csv', 'jsonl', 'parquet'])}")
        trace.save(path)
        for name, other in (("saved", Trace.load(path)), ("resampled", trace.resample(self._run.hz / 3.7))):
            self._judge.verdict.figures += 1
            wanted, got = trace.usage(), other.usage()
            if not math.isclose(wanted.joules, got.joules, rel_tol=1e-6, abs_tol=1e-6):
                self._judge.verdict.found(
                    f"{name} differs", path, f"{got.joules} J instead of {wanted.joules} J"
                )
            if not math.isclose(wanted.coverage, got.coverage, rel_tol=1e-3, abs_tol=1e-3):
                self._judge.verdict.found(
                    f"{name} coverage", path, f"{got.coverage} instead of {wanted.coverage}"
                )

    def _damaged(self) -> None:
        """A byte that was changed, a file that was cut: no other total without a warning."""
        whole = Path(self._log).read_bytes()
        true = Trace.load(self._log).usage()
        path = self._folder / f"damaged.{self._run.log}"
        hows = ("flip",) * 40 if self._run.log == "parquet" else ("flip", "cut", "flip", "digit") * 3
        for how in hows:
            self._judge.verdict.figures += 1
            data = bytearray(whole)
            at = self._rnd.randrange(len(data))
            if how == "flip":
                data[at] ^= 1 << self._rnd.randrange(8)
            elif how == "digit" and self._run.log != "parquet":
                digits = [
                    place for place in range(at, min(at + 200, len(data))) if chr(data[place]).isdigit()
                ]
                for place in digits[:1]:
                    data[place] = ord(self._rnd.choice("0123456789"))
            else:
                del data[at:]
                if self._run.log != "parquet":  # at the end of a row: nothing is half
                    del data[data.rfind(b"\n") + 1 :]
            path.write_bytes(data)
            self._damage(path, how, true)
        if self._run.log != "parquet":
            self._altered(whole, path, true)

    def _altered(self, whole: bytes, path: Path, true: Any) -> None:
        """Another digit where it counts: most rows of a log are not at an end of what is asked for."""
        rnd = random.Random(f"altered {self._run.seed}")
        lines = whole.splitlines(keepends=True)
        for number in (-2, -1) * 6:  # the last row, and the closing record
            before, line = b"".join(lines[:number]), bytearray(lines[number])
            digits = [place for place, byte in enumerate(line) if chr(byte).isdigit()]
            place = rnd.choice(digits)
            line[place] = ord(rnd.choice("0123456789".replace(chr(line[place]), "")))
            path.write_bytes(before + line + b"".join(lines[len(lines) + number + 1 :]))
            self._judge.verdict.figures += 1
            self._damage(path, f"digit {place} of line {number}", true)

    def _damage(self, path: Path, how: str, true: Any) -> None:
        try:
            trace = Trace.load(path)
            usage = trace.usage()
        except EnergyMeterError:
            return
        except Exception as error:  # noqa: BLE001 - the finding
            self._judge.verdict.found(f"damage {type(error).__name__}", how, str(error))
            return
        changed = not math.isclose(usage.joules, true.joules, rel_tol=1e-6, abs_tol=1e-6)
        if changed and set(usage.notes) <= set(true.notes) and usage.coverage >= true.coverage - 1e-3:
            self._judge.verdict.found(
                "damage unnoticed", how, f"{usage.joules} J instead of {true.joules} J; notes {usage.notes}"
            )

    def _ledger(self) -> None:
        """Debits, amendments, resets in any order: the ledger adds up."""
        rnd, verdict = self._rnd, self._judge.verdict
        clock = ManualClock()
        ledger = Ledger(self._folder / "ledger.sqlite3", clock=clock)
        budget = Budget("b", Battery(10_000, basis="rail"), ledger=ledger, clock=clock)
        runs: dict[str, float] = {}
        debits: dict[int, float] = {}
        spent = 0.0
        for _ in range(30):
            clock.sleep(rnd.uniform(0.0, 3600.0))
            what = rnd.choice(["run", "run", "run", "more", "again", "amend", "undo", "reset"])
            if what in ("run", "more", "again"):
                run = f"r{len(runs)}" if what == "run" or not runs else rnd.choice(list(runs))
                before = runs.get(run, 0.0)
                total = before + (0.0 if what == "again" else round(rnd.uniform(0.0, 100.0), 6))
                usage = UsageDelta(
                    total,
                    None,
                    total / 5 + 1e-3,
                    total / 5 + 1e-3,
                    0.01 * total,
                    "measured",
                    ("s",),
                    (total / 5 + 1e-3,),
                )
                line = budget.spend(usage, run=run)
                if line is not None:
                    debits[line] = total - before
                spent += total - before
                runs[run] = total
            elif what == "reset":
                budget.reset()
                spent, debits = 0.0, {}
            elif debits:
                line = rnd.choice(list(debits))
                if what == "undo":
                    budget.undo(line)
                    spent -= debits.pop(line)
                else:
                    true = round(rnd.uniform(0.0, 50.0), 6)
                    budget.amend(line, true)
                    spent += true - debits[line]
                    debits[line] = true
            verdict.figures += 1
            if abs(budget.spent_joules - spent) > 2e-6 * len(runs) + 1e-6:
                verdict.found("ledger sum", what, f"says {budget.spent_joules} J, true {spent} J")
                return
