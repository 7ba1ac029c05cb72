"""Runs one program in real time, in a process of its own, and judges it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from oracle.afterwards import judge_ledger, judge_logs
from oracle.check import Finding, Judge, Verdict
from oracle.emit import emitted
from oracle.events import Record
from oracle.load import Load, measured
from oracle.steps import Program

ROOT = Path(__file__).resolve().parents[2]
PATH = [os.environ.get("ORACLE_PACKAGE", str(ROOT)), str(ROOT / "tests")]
_LONGER_SECONDS = 25.0
_MOST_LOAD = 5.0
_ORPHAN_SECONDS = 1.0
"""A sampler may outlive its program so long, to finish its log; longer by the load that is measured."""
_UNREAD_SECONDS = 12.0
"""And so long where the log is a pipe that nobody reads any more: it is given up after ten."""


class Played(NamedTuple):
    """A program that was run, and what was found."""

    program: Program
    verdict: Verdict
    seconds: float


def play(program: Program, keep: Path | None = None) -> Played:
    """Run a program and judge it.

    Args:
        keep: a folder for what it leaves; None: it is deleted.
    """
    folder = Path(tempfile.mkdtemp(prefix="oracle-")) if keep is None else keep
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    try:
        limit = program.seconds + _LONGER_SECONDS * min(max(_load(), 1.0), _MOST_LOAD)
        (folder / "program.json").write_text(program.to_json())
        (folder / "program.py").write_text(emitted(program, str(folder), PATH, limit))
        with measured(folder / "load.txt"):
            _run(folder, limit + 10)
            # the sampler of a program that was killed finishes its log
            unread = any(meter.log == "fifo" for meter in program.meters)
            orphans = _orphans(folder, _UNREAD_SECONDS if unread else _ORPHAN_SECONDS)
        record = Record(program, folder)
        judge = Judge(record)
        verdict = judge.judge()
        judge_logs(record, judge)
        judge_ledger(record, judge)
        if orphans:
            verdict.findings.append(Finding("orphan", "after the end", "; ".join(orphans)))
        return Played(program, verdict, time.monotonic() - start)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def _load() -> float:
    """How many programs share a processor of this machine; each then takes so many times longer."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def _run(folder: Path, limit: float) -> None:
    environment = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "ORACLE_RUN": str(folder),
    }
    with open(folder / "stdout.txt", "wb") as out, open(folder / "stderr.txt", "wb") as err:
        process = subprocess.Popen(
            [sys.executable, str(folder / "program.py")],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=environment,
            start_new_session=True,
        )
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            with open(folder / "hung.txt", "a") as hung:
                hung.write("it was ended from outside\n")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _orphans(folder: Path, patience: float) -> list[str]:
    """What the program has left running after so many seconds."""
    mark, start = str(folder), time.monotonic()
    found: dict[int, str] = {}
    while True:
        found = {pid: _command(pid) for pid in _marked(mark)}
        now = time.monotonic()
        if not found or now - start > Load.read(folder / "load.txt").allowed(patience, start, now):
            break
        time.sleep(0.05)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return list(found.values())


def _marked(mark: str) -> list[int]:
    wanted = f"ORACLE_RUN={mark}\0".encode()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):
                if wanted in Path(f"/proc/{name}/environ").read_bytes():
                    found.append(int(name))
    return found


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:150]
    return "gone"
