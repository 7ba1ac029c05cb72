"""A pytest plugin: which lines of this code does each test execute, and how long does it take?

It is loaded by pytest, and by ``energymeter/__init__.py`` of the copy of the tree in which it runs: so the
lines of samplers and of commands that a test starts count as its own. A line is noted the first time that a
test executes it; in processes that tests start immediately, because these are often killed. The file PID.txt
in the folder MUTATE_NOTES gets lines of ``test<tab>file<tab>line numbers``, or of
``test<tab>what<tab>seconds``.
"""

import os
import sys
from types import CodeType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_NOTES = os.environ["MUTATE_NOTES"]
_TREE = os.path.join(os.environ["MUTATE_TREE"], "")
_CODE = ("energymeter/", "drivers/", "calibration/")


class _Lines:
    """What was executed and is not yet written.

    Args:
        at_once: write each line when it is executed.
    """

    def __init__(self, at_once: bool) -> None:
        self.test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        self.at_once = at_once
        self._lines: dict[str, set[int]] = {}

    def executed(self, code: CodeType, line: int) -> object:
        if code.co_filename.startswith(_TREE):
            name = code.co_filename[len(_TREE) :]
            if name.startswith(_CODE):
                self._lines.setdefault(name, set()).add(line)
                if self.at_once:
                    self.write()
        return sys.monitoring.DISABLE

    def write(self) -> None:
        lines, self._lines = self._lines, {}
        _note("".join(f"{self.test}\t{name}\t{' '.join(map(str, at))}\n" for name, at in lines.items()))

    def forked(self) -> None:
        self._lines, self.at_once = {}, True


def _note(text: str) -> None:
    file = os.open(os.path.join(_NOTES, f"{os.getpid()}.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, text.encode())
    os.close(file)  # tests count what is open


_lines = _Lines(at_once=__name__ != "mutate.tracer")
_EVENT = sys.monitoring.events.LINE
if sys.monitoring.get_tool(sys.monitoring.COVERAGE_ID) is None:
    sys.monitoring.use_tool_id(sys.monitoring.COVERAGE_ID, "mutate")
    sys.monitoring.register_callback(sys.monitoring.COVERAGE_ID, _EVENT, _lines.executed)
    sys.monitoring.set_events(sys.monitoring.COVERAGE_ID, _EVENT)
    os.register_at_fork(after_in_child=_lines.forked)


def pytest_runtest_logstart(nodeid: str) -> None:
    _lines.write()
    _lines.test = nodeid
    sys.monitoring.restart_events()


def pytest_runtest_logfinish() -> None:
    _lines.write()
    _lines.test = ""


def pytest_runtest_logreport(report: "pytest.TestReport") -> None:
    if not report.skipped and "PYTEST_XDIST_WORKER" in os.environ:  # not a second time where workers report
        _note(f"{report.nodeid}\t{report.outcome}\t{report.duration:.4f}\n")
