"""The fault matrix: one row a test, reported as a table at the end; collected only when asked for by folder.

Every row ends "right" (the number is true within its ±) or "says it cannot know" (coverage below one, a
note, an error that names the source). A failed test is a wrong number, a hung process or a hurt program.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from devices.processes import every_signal_counts

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PATIENCE_SECONDS = 60.0
"""A program that takes longer hangs."""

TRIES = 4
"""How often a row is tried whose stretch of real time was spoilt by a machine that stood still."""

Verdict = Callable[[str], None]
_rows: dict[str, tuple[str, str]] = {}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make test` stays fast: chaos takes a minute and is run by `make chaos`."""
    asked = [Path(argument.split("::")[0]).resolve() for argument in config.args]
    return None if any(path == HERE or HERE in path.parents for path in asked) else True


class Stalled(AssertionError):
    """Too little was measured, or too late: on a busy machine that is no defect. Wrong numbers are."""


def timely(held: bool, what: str = "the machine stalled") -> None:
    """Judge how much was measured and when; where it does not hold, the row is tried again."""
    if not held:
        raise Stalled(what)


def pytest_runtest_protocol(item: Any, nextitem: pytest.Item | None) -> bool:
    """Run a row, and again while it was only `Stalled`."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for tries in range(1, TRIES + 1):
        item.stalled = False
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if not item.stalled or tries == TRIES:
            break
        item._initrequest()  # fresh fixtures
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    if tries > 1 and item.nodeid in _rows:
        end, how = _rows[item.nodeid]
        _rows[item.nodeid] = end, f"{how} (try {tries}: the machine stalled)"
    return True


def pytest_terminal_summary(terminalreporter: Any) -> None:
    outcomes = {
        report.nodeid: (outcome, report)
        for outcome in ("passed", "failed", "skipped", "error")
        for report in terminalreporter.stats.get(outcome, ())
        if HERE.name in report.nodeid
    }
    terminalreporter.section("the fault matrix")
    for nodeid, (outcome, report) in outcomes.items():
        fault = nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        end, how = _rows.get(nodeid, ("", ""))
        if outcome == "skipped":
            end, how = "skipped", str(report.longrepr[-1] if report.longrepr else "")
        elif outcome != "passed":
            end, how = "WRONG", how
        terminalreporter.write_line(f"{fault:<58} {end:<20} {how}")


@pytest.fixture
def right(request: pytest.FixtureRequest) -> Verdict:
    """Call it with how: the number was true."""
    return _sayer(request, "right")


@pytest.fixture
def cannot_know(request: pytest.FixtureRequest) -> Verdict:
    """Call it with how: the part that nobody saw is reported."""
    return _sayer(request, "says it cannot know")


@pytest.fixture(autouse=True)
def _verdict_given(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    outcome = getattr(request.node, "outcome_of_call", None)
    assert outcome != "passed" or request.node.nodeid in _rows, "this row never said how it ended"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = (yield).get_result()  # type: ignore[misc]
    item.stalled |= call.excinfo is not None and call.excinfo.errisinstance(Stalled)
    if report.when == "call":
        item.outcome_of_call = report.outcome


def _sayer(request: pytest.FixtureRequest, end: str) -> Verdict:
    def say(how: str) -> None:
        _rows[request.node.nodeid] = end, how

    return say


class Program:
    """A user's program, run in a process of its own, that prints JSON for the test to judge."""

    HEAD = """\
import contextlib, json, os, signal, subprocess, sys, threading, time
import energymeter.meter.run  # a program that drops its rights may not be able to import any more
from energymeter import EnergyMeter
from energymeter.errors import EnergyMeterError

def say(**facts):
    print(json.dumps(facts), flush=True)

def sampler_of(meter):
    return meter._life.latest.sampler._host.pid

def kill_sampler(meter):
    # there is none while it is being started again after the last time
    pid = meter._life.latest.sampler._host.pid
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

def report(meter, **more):
    say(**meter.usage.to_dict(), **more)
"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.returncode: int | None = None
        self.stderr = ""

    def __call__(self, body: str, *arguments: str, **options: Any) -> list[dict[str, Any]]:
        """What it printed, line by line.

        Raises:
            subprocess.TimeoutExpired: it hung.
        """
        script = self.folder / "program.py"
        script.write_text(self.HEAD + body)
        done = subprocess.run(
            [*options.pop("before", ()), options.pop("python", sys.executable), str(script), *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
            preexec_fn=every_signal_counts,
            **options,
        )
        self.returncode, self.stderr = done.returncode, done.stderr
        assert done.stdout, f"it reported nothing and ended with {done.returncode}: {done.stderr}"
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def leftovers(pid: int) -> bool:
    """Whether a process is still there (a zombie is not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
