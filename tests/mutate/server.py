"""Runs tests in forks of a process that has loaded what tests need, and nothing of this code.

A request is a line of JSON on standard input, `Request`; so is the answer on standard output, `Done`.
"""

import contextlib
import importlib
import json
import os
import select
import signal
import sys
import tempfile
from typing import NamedTuple

import pytest

_HEAVY = (
    "_hypothesis_pytestplugin", "_pytest.doctest", "asyncio", "click.testing", "codecarbon", "hypothesis",
    "hypothesis.strategies", "matplotlib.pyplot", "numpy.testing", "pandas", "pyarrow.parquet", "pyjls",
    "pytest_rerunfailures", "scipy.stats", "serial", "smbus2", "sqlite3", "tqdm", "unittest.mock", "xdist",
)  # fmt: skip


class Request(NamedTuple):
    """Tests to run until one fails."""

    where: list[str]
    """Files, folders or tests."""
    only: list[str]
    """These of them, in this order; none: all."""
    without: list[str]
    """But none of these."""
    seconds: float
    """They are killed after so long."""
    slow: bool = False
    """Those that are marked as slow, instead of the others."""


class Done(NamedTuple):
    """What became of a request."""

    code: int
    """What pytest ended with; negative: they did not end in time."""
    culprit: str
    """The test that failed or did not end; an empty text where there is none, or no test could be read."""

    @property
    def passed(self) -> bool:
        """No test failed; there may be none."""
        return self.code in (0, 5)


class _Chosen:
    """A pytest plugin: the tests of a request, and what has become of them."""

    def __init__(self, request: Request, notes: int) -> None:
        self._order = {test: number for number, test in enumerate(request.only)}
        self._without = set(request.without)
        self._notes = notes

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        left = [item for item in items if item.nodeid not in self._without]
        if self._order:
            left = [item for item in left if item.nodeid in self._order]
            left.sort(key=lambda item: self._order[item.nodeid])
        items[:] = left

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._note(nodeid, "begun")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._note(report.nodeid, "failed")

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._note(nodeid, "ended")

    def _note(self, test: str, what: str) -> None:
        os.write(self._notes, (json.dumps([test, what]) + "\n").encode())


def _culprit(notes: list[tuple[str, str]], in_time: bool) -> str:
    failed = [test for test, what in notes if what == "failed"]
    ended = {test for test, what in notes if what == "ended"}
    hung = [] if in_time else [test for test, what in notes if what == "begun" and test not in ended]
    return next(iter([*failed, *hung[::-1]]), "")


def _child(request: Request, notes: int) -> None:
    code = 1
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        os.close(nowhere)
        marked = "slow and not peers" if request.slow else "not slow"
        options = ["-q", "-x", "-p", "no:cacheprovider", "-m", marked]
        code = int(pytest.main([*options, *request.where], plugins=[_Chosen(request, notes)]))
    finally:
        os._exit(code)


def run(request: Request) -> Done:
    """Run tests in a fork."""
    with tempfile.TemporaryFile() as file:
        child = os.fork()
        if not child:
            _child(request, file.fileno())
        with contextlib.closing(_Descriptor(os.pidfd_open(child))) as ends:
            in_time = bool(select.select([ends.number], [], [], request.seconds)[0])
        with contextlib.suppress(ProcessLookupError):  # what its tests have started, too
            os.killpg(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        file.seek(0)
        notes = [tuple(json.loads(line)) for line in file.read().splitlines()]
    return Done(code if in_time else -1, _culprit(notes, in_time and code >= 0))


class _Descriptor(NamedTuple):
    number: int

    def close(self) -> None:
        os.close(self.number)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in _HEAVY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(run(Request(*json.loads(line)))), file=answers, flush=True)


if __name__ == "__main__":
    main()
