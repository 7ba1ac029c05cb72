"""``make oracle-faults``: puts each known fault back, alone, and times the oracle until it finds it.

    python -m oracle.faults [ROW...] [--seconds 120] [--first SEED] [--kept]

Each fault is an edit of a copy of the package. The rows are those of the table in ``README.md`` here, which
this command prints again with the seeds and seconds of its own run.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
_SEEDS = Path(__file__).resolve().parent / "seeds"
_PACKAGES = ("energymeter", "drivers", "calibration")


class Edit(NamedTuple):
    """One place in the package, as it is and as it is with the fault."""

    path: str
    now: str
    then: str


class Fault(NamedTuple):
    """One known fault."""

    row: str
    what: str
    edits: tuple[Edit, ...]
    signs: str
    """Codes of findings that are its doing, as patterns between bars."""

    def shows(self, code: str) -> bool:
        """A finding of this code may be this fault."""
        return any(fnmatch(code, sign) for sign in self.signs.split("|"))

    def broken(self) -> list[Edit]:
        """Edits that no longer fit the code: their text must be there exactly once."""
        return [edit for edit in self.edits if (ROOT / edit.path).read_text().count(edit.now) != 1]

    def put_back(self, tree: Path) -> None:
        """Edit a copy of the package."""
        for edit in self.edits:
            path = tree / edit.path
            path.write_text(path.read_text().replace(edit.now, edit.then))


def _one(row: str, what: str, path: str, now: str, then: str, signs: str) -> Fault:
    return Fault(row, what, (Edit(f"energymeter/{path}", now, then),), signs)


FAULTS = (
    _one(
        "W1",
        "what was not measured of a span counts as 0 J",
        "meter/spans.py",
        "measured >= COVERED * seconds and",
        "measured >= 0.0 and",
        "statistics count|statistics total|unit cost",
    ),
    _one(
        "W2",
        "spans after the block are kept",
        "meter/span.py",
        "self._run = run = self._life.running\n",
        "self._run = run = self._life.latest\n",
        "span count",
    ),
    Fault(
        "W3",
        "an exception leaves resolved spans half written",
        (
            Edit(
                "energymeter/meter/span_resolver.py",
                '        exact, rounded = array("d"), array("f")\n',
                '        blocks = self.blocks or (_Block(array("d"), array("f")),)\n'
                "        exact, rounded = blocks[-1]\n",
            ),
            Edit(
                "energymeter/meter/span_resolver.py",
                "        blocks = self.blocks\n"
                "        if blocks and len(blocks[-1].exact) < _EXACT * _BLOCK:\n"
                "            exact, rounded = blocks[-1].exact + exact, blocks[-1].rounded + rounded\n"
                "            blocks = blocks[:-1]\n"
                "        return Resolved(done, (*blocks, _Block(exact, rounded)))\n",
                "        return Resolved(done, blocks)\n",
            ),
        ),
        "span*|statistics*",
    ),
    _one(
        "W4",
        "a meter that was left too often never measures again",
        "meter/life.py",
        "                if not self._entered:\n"
        '                    raise SpecError("this meter was left more often than entered; '
        'leave each block once")\n',
        "",
        "*seconds|*nothing|span count",
    ),
    _one(
        "W5",
        "a baseline within a block is the mean of the whole block",
        "meter/meter.py",
        "self._latest_run().baseline(start_ns, end_ns)",
        "self._latest_run().baseline(self._latest_run().start_ns, end_ns)",
        "idle watts",
    ),
    Fault(
        "W6",
        "what `spans` gave changes later",
        (
            Edit(
                "energymeter/meter/spans.py",
                "        self._snapshot = run.spans.snapshot(name)\n",
                "        newest = type(run.spans)\n"
                "        type(self)._snapshot = property(lambda s: newest.newest.snapshot(s.name))\n",
            ),
            Edit(
                "energymeter/meter/span_resolver.py",
                "        self._curves = tuple(curves)\n",
                "        self._curves = tuple(curves)\n        type(self).newest = self\n",
            ),
        ),
        "changed later|crash*",
    ),
    _one(
        "W8",
        "a trace of several sources begins each at its own second 0",
        "meter/meter.py",
        "start_ns = min(begun, default=None)",
        "start_ns = None",
        "trace window*|trace joules|trace seconds",
    ),
    _one(
        "W10 H1",
        "leaving waits for the end of a pipe that a worker holds",
        "sampling/process.py",
        "            counts[Count.STOP] = Stop.DISCARD_LOG if discard_log else Stop.KEEP_LOG\n"
        "            child.wake()\n",
        "            child.release()\n",
        "slow leave",
    ),
    _one(
        "W11",
        "an early question settles spans whose samples are still to come",
        "meter/run.py",
        "self.spans.resolve(final=self._stopped)",
        "self.spans.resolve(final=True)",
        "statistics*|span*|changed later",
    ),
    _one(
        "W12",
        "only the creation of an async generator is measured",
        "meter/wrapped.py",
        "    elif inspect.isasyncgenfunction(body):",
        "    elif False:",
        "span*|usage seconds|usages seconds|trace seconds|ledger too little|log seconds",
    ),
    _one(
        "W12 (generators)",
        "only the creation of a generator is measured",
        "meter/wrapped.py",
        "    elif inspect.isgeneratorfunction(body):",
        "    elif False:",
        "span*|usage seconds|usages seconds|trace seconds|ledger too little|log seconds",
    ),
    _one(
        "W15",
        "a counter that was opened again goes on from its old value",
        "sampling/loop.py",
        "            channel.integrator.interrupt()\n",
        "",
        "*coverage|*joules",
    ),
    _one(
        "W16",
        "a block that nobody leaves is not paid for",
        "meter/billing.py",
        "        atexit.register(self._at_exit)",
        "        pass",
        "ledger too little",
    ),
    Fault(
        "W17",
        "a new charge pays for what was drawn before it",
        (
            Edit(
                "energymeter/meter/billing.py",
                "if claim.charge.number != self._charge.number:",
                "if False:",
            ),
            Edit(
                "energymeter/meter/budget.py",
                "        if billing is not None:\n"
                "            billing.pay_now()\n"
                "        return super().reset",
                "        return super().reset",
            ),
        ),
        "ledger too much",
    ),
    Fault(
        "W18",
        "`drawing` around a meter that is entered later counts its last run",
        (
            Edit(
                "energymeter/meter/budget.py",
                "        if meter is not None and not active.has(meter):\n",
                "        if False:\n",
            ),
            Edit(
                "energymeter/meter/billing.py",
                "        self._charge = self._claim(meter.sources).charge\n",
                '        self._charge = self._claim(("known0.0",)).charge\n',
            ),
            Edit(
                "energymeter/meter/billing.py",
                "            if self._meter is meter:\n",
                "            if False:\n",
            ),
        ),
        "ledger*|crash*",
    ),
    _one(
        "W19",
        "every process pays for the whole board",
        "meter/billing.py",
        "            if claim.ours:\n                if claim.charge",
        "            if True:\n                if claim.charge",
        "ledger too much",
    ),
    Fault(
        "W20",
        "a replay begins again when its sampler was killed",
        (
            Edit(
                "energymeter/sampling/sampler.py",
                "if all(channel.info.rewinds for channel in self.channels):",
                "if False:",
            ),
            Edit(
                "energymeter/sampling/session.py",
                'if resume and getattr(config.source, "rewinds", False):',
                "if False:",
            ),
        ),
        "replay joules",
    ),
    _one(
        "W21",
        "the limit for gaps is that of the promised rate",
        "energy/gaps.py",
        "        first, self._first = self._first, False\n",
        "        return self.limit_ns\n        first, self._first = self._first, False\n",
        "*coverage|statistics count|*interpolated|*joules",
    ),
    _one(
        "W1 (rails)",
        "the coverage of several rails is weighed by their energy",
        "energy/usage.py",
        "min(1.0, min(self.covered_seconds) / self.seconds)",
        "min(1.0, self.measured_seconds / self.seconds)",
        "*coverage",
    ),
    _one(
        "W23",
        "a relative log goes on in another folder",
        "sampling/sampler.py",
        "return os.path.abspath(path) if path else path",
        "return path",
        "log places",
    ),
    _one(
        "H2",
        "a frozen program starts itself",
        "sampling/spawn.py",
        'if getattr(sys, "frozen", False) or not',
        'if getattr(sys, "frozen", False):\n        return sys.executable\n    if not',
        "endless chain|hang",
    ),
    _one(
        "H3",
        "a replay whose sampler cannot come back is waited for",
        "sampling/sampler.py",
        "if ended or channel.info.rewinds:",
        "if False:",
        "hang",
    ),
    Fault(
        "H4",
        "a signal handler that asks for spans waits for itself",
        (
            Edit(
                "energymeter/meter/span_resolver.py",
                "        due_ns = self.due_ns\n",
                '        self._lock = getattr(self, "_lock", None) or __import__("threading").Lock()\n'
                "        self._lock.acquire()\n"
                "        due_ns = self.due_ns\n",
            ),
            Edit(
                "energymeter/meter/span_resolver.py",
                "            self.due_ns = due_ns\n            raise\n",
                "            self.due_ns = due_ns\n            raise\n        self._lock.release()\n",
            ),
        ),
        "hang|slow*",
    ),
    _one(
        "H5",
        "threads that enter together start a sampler each",
        "meter/life.py",
        "        with self._lock():\n            self._await_closed()\n            before, latest",
        '        with __import__("contextlib").nullcontext():\n'
        "            self._await_closed()\n            before, latest",
        "leaked*|orphan|usage*|crash*",
    ),
    _one(
        "H6",
        "more than 1 023 open files",
        "sampling/spawn.py",
        "        poll = select.poll()\n"
        "        poll.register(self._answer.fd, select.POLLIN)\n"
        "        return bool(poll.poll(max(0.0, seconds) * 1e3))\n",
        "        return bool(select.select([self._answer.fd], [], [], max(0.0, seconds))[0])\n",
        "crash ValueError",
    ),
    _one(
        "H7",
        "rates below one reading in two minutes",
        "sampling/memory.py",
        "math.log2(max(1.0, 60 * rate_hz))",
        "math.log2(60 * rate_hz)",
        "crash ValueError|refused*",
    ),
    _one(
        "H8",
        "an early question waits for a slow source",
        "meter/run.py",
        "_PATIENCE_SECONDS = (0.1, 2.0)",
        "_PATIENCE_SECONDS = (0.1, 2000.0)",
        "slow answer|hang",
    ),
    _one(
        "H9",
        "a length that raises",
        "meter/progress.py",
        "    except Exception:  # noqa: BLE001  # not only",
        "    except AttributeError:  # noqa: BLE001  # not only",
        "crash TypeError",
    ),
    _one(
        "H10",
        "no standard error",
        "meter/progress.py",
        "        if sys.stderr is not None:\n",
        "        if True:\n",
        "crash*",
    ),
    _one(
        "H10 (pipe)",
        "a standard error that nobody reads",
        "meter/progress.py",
        "        except (OSError, ValueError):  # closed, or nobody",
        "        except ZeroDivisionError:  # closed, or nobody",
        "crash*",
    ),
    _one(
        "H11",
        "a start that failed leaves its memory",
        "sampling/process.py",
        "        if not resume and self._file is not None:\n            self._file.close()\n",
        "",
        "leaked files",
    ),
    _one(
        "H12",
        "a reading that is no number",
        "sampling/loop.py",
        "            not squares < _ABSURD_SQUARE\n",
        "            squares < 0\n",
        "crash*|*joules|statistics*|idle*|*uncertainty|*mean_watts",
    ),
    _one(
        "H13",
        "a sampler that cannot be started again ends the watchdog",
        "sampling/sampler.py",
        "        except Exception as failure:  # noqa: BLE001 - reported; the next try may succeed\n",
        "        except ZeroDivisionError as failure:\n",
        "crash*",
    ),
    _one(
        "H14",
        "a fork during a transaction of the ledger",
        "budget/ledger_file.py",
        "        self._changed.wait_for(lambda: not self._inside, self._PATIENCE_SECONDS)\n",
        "",
        "hang|crash hang",
    ),
    _one(
        "H15",
        "leaving closes files of the program",
        "sampling/descriptors.py",
        "        fd = self.fd if self.ours() else -1\n",
        "        fd = self.fd\n",
        "crash closed|crash OSError",
    ),
    _one(
        "H17 (memory)",
        "a kernel without files in memory",
        "sampling/descriptors.py",
        "    with suppress(AttributeError, OSError):  # an old kernel",
        "    with suppress(ZeroDivisionError):  # an old kernel",
        "crash OSError|refused*",
    ),
    _one(
        "H17 (streams)",
        "closed standard streams",
        "sampling/descriptors.py",
        "        if fd < _LOWEST:\n",
        "        if False:\n",
        "refused*|hang|crash*|slow*",
    ),
    _one(
        "H17 (interpreter)",
        "no path of the interpreter",
        "sampling/spawn.py",
        "        if path and is_python(",
        "        if is_python(",
        "crash TypeError",
    ),
    _one(
        "H18",
        "a log whose name is not UTF-8 is lost silently",
        "sampling/log_writer.py",
        '        self._head.error = f"the log stopped after {self._rows()} rows: {why}"\n',
        "        del why\n",
        "log lost",
    ),
    _one(
        "H21",
        "a refused meter leaves its log",
        "meter/run.py",
        "                discard_log=discard_log,\n",
        "",
        "crash stub",
    ),
    _one(
        "H22",
        "a meter that was forgotten is never released",
        "meter/meter.py",
        "self._forgotten = weakref.finalize(self, self._life.end)",
        "self._forgotten = self._life, weakref",
        "leaked*",
    ),
    _one(
        "W7",
        "logs of several channels are read at the times of the first",
        "recordings/trace.py",
        "times = np.union1d(self.time_s, other.time_s)",
        "times = self.time_s",
        "log*|trace*|*differs",
    ),
    Fault(
        "W9",
        "a replay plays the first channel only",
        (
            Edit(
                "drivers/replay.py",
                '            for record in records\n            if record.columns["time_s"]\n',
                '            for record in records[:1]\n            if record.columns["time_s"]\n',
            ),
        ),
        "replay*",
    ),
    Fault(
        "W13",
        "a value that is renewed seldom counts as new each time that it is read",
        (
            Edit(
                "energymeter/energy/integrate.py",
                "self._renewal_ns = round(facts.renewal_seconds * 1e9)",
                "self._renewal_ns = 0",
            ),
            Edit(
                "energymeter/sampling/curve.py",
                "            age_seconds=facts.age_seconds if late else None,\n",
                "            age_seconds=None,\n",
            ),
        ),
        "*joules|*too narrow",
    ),
    _one(
        "W14",
        "a channel is read faster than it has news",
        "sampling/session.py",
        "min(config.pace(), part.facts.max_hz)",
        "config.pace()",
        "*joules|*too narrow|*coverage",
    ),
    _one(
        "W22",
        "the checksum of a log is not compared",
        "recordings/own.py",
        'fits = closed["sha256"] == sha256 and text == json.dumps({"closed": closed}) + "\\n"',
        "fits = True",
        "damage unnoticed",
    ),
    _one(
        "H19",
        "a log that nobody reads holds up whoever writes it",
        "recordings/writer.py",
        "            os.set_blocking(self._fd, False)\n",
        "            pass\n",
        "hang|slow leave|leaked*",
    ),
)

NOT_EXPRESSED = {
    "W24": "an argument of the command line, no program",
    "H16": "only root can give up its rights",
    "H20": "a flood of output has no known power",
}
"""Rows without an edit, and why."""


class Search(NamedTuple):
    """How one fault was found."""

    fault: Fault
    seed: int | None
    seconds: float
    code: str


def search(fault: Fault, seconds: float, first: int) -> Search:
    """Put a fault back into a copy of the package, and run random programs until one fails."""
    tree = Path(tempfile.mkdtemp(prefix="oracle-fault-"))
    try:
        for package in _PACKAGES:
            shutil.copytree(ROOT / package, tree / package, symlinks=True)
        fault.put_back(tree)
        return _searched(fault, tree, seconds, first)
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def _searched(fault: Fault, tree: Path, seconds: float, first: int) -> Search:
    start = time.monotonic()
    code = f"from oracle.faults import hunt; hunt({fault.row!r}, {seconds!r}, {first})"
    done = _python(code, tree)
    if done.returncode:
        return Search(fault, None, time.monotonic() - start, done.stderr.strip().splitlines()[-1])
    seed, took, finding = json.loads(done.stdout.strip().splitlines()[-1])
    return Search(fault, seed, took, finding)


def replayed(fault: Fault) -> Search | None:
    """Put a fault back, and run the kept programs of its row instead of random ones; None: there are none."""
    numbers = {f"{row[0]}{int(row[1:]):02}" for row in fault.row.split(" (")[0].split()}
    names = sorted(path for path in _SEEDS.glob("*.json") if path.name[:3] in numbers)
    tree, start = Path(tempfile.mkdtemp(prefix="oracle-fault-")), time.monotonic()
    try:
        for package in _PACKAGES:
            shutil.copytree(ROOT / package, tree / package, symlinks=True)
        fault.put_back(tree)
        for path in names:
            done = _python(f"from oracle.faults import codes_of; codes_of({str(path)!r})", tree)
            seen = json.loads(done.stdout) if not done.returncode else []
            code = next((code for code in seen if fault.shows(code)), None)
            if code is not None:
                return Search(fault, 0, time.monotonic() - start, f"{code} by {path.stem}")
        return Search(fault, None, time.monotonic() - start, "") if names else None
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def codes_of(path: str) -> None:
    """In a process of its own: the codes that a kept program finds."""
    from oracle.run import kept, verdict_on

    print(json.dumps(sorted({finding.code for finding in verdict_on(kept(Path(path))).findings})))


def _python(code: str, tree: Path) -> "subprocess.CompletedProcess[str]":
    path = [str(tree), str(ROOT / "tests")]
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"],
        env={**os.environ, "ORACLE_PACKAGE": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )


def hunt(row: str, seconds: float, first: int) -> None:
    """In a process that has the fault: seed, seconds and code of the first finding that is the fault's."""
    from oracle.run import Tally, search

    fault = next(fault for fault in FAULTS if fault.row == row)

    found: list[tuple[int, float, str]] = []
    judged: set[tuple[str, int]] = set()

    def enough(tally: Tally) -> bool:
        for code, findings in tally.found.items():
            for tried, _, after in findings:
                key = tried.kind, tried.seed
                if key in judged or found:
                    continue
                if not fault.shows(code):
                    continue
                judged.add(key)
                if code not in _without(*key):
                    found.append((tried.seed, after, code))
        return bool(found)

    search(seconds, first, enough=enough)
    print(json.dumps(found[0] if found else (None, seconds, "")))


def _without(kind: str, seed: int) -> set[str]:
    """What the same seed finds in the package as it is."""
    done = _python(f"from oracle.faults import codes; codes({kind!r}, {seed})", ROOT)
    return set(json.loads(done.stdout)) if not done.returncode else set()


def codes(kind: str, seed: int) -> None:
    """In a process of its own: the codes that a seed finds."""
    from oracle.generate import program
    from oracle.run import verdict_on
    from oracle.simulate import long_run

    verdict = verdict_on(long_run(seed) if kind == "long" else program(seed))
    print(json.dumps(sorted({finding.code for finding in verdict.findings})))


def main() -> int:
    parser = argparse.ArgumentParser(prog="oracle.faults", description=__doc__)
    parser.add_argument("rows", nargs="*", help="these alone; none: all")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--kept", action="store_true", help="run the kept programs of each row alone")
    options = parser.parse_args()
    wanted = [fault for fault in FAULTS if not options.rows or fault.row.split()[0] in options.rows]
    missed = 0
    print("| row | fault, put back | found by seed | after | as |\n|---|---|---|---|---|")
    for fault in wanted:
        found = replayed(fault) if options.kept else search(fault, options.seconds, options.first)
        if found is None:
            continue
        missed += found.seed is None
        seed = "not found" if found.seed is None else str(found.seed) if found.seed else "kept"
        print(f"| {fault.row} | {fault.what} | {seed} | {found.seconds:.0f} s | {found.code} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
