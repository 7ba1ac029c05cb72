"""A pytest plugin: what became of each test, as JSON lines in the file that MUTATE_TIMES names.

A line is ``[test, what, seconds]``; what is ``begun``, ``passed`` or ``failed``.
"""

import json
import os

import pytest


def _note(test: str, what: str, seconds: float) -> None:
    with open(os.environ["MUTATE_TIMES"], "a", encoding="utf-8") as file:
        file.write(json.dumps([test, what, seconds]) + "\n")


def pytest_runtest_logstart(nodeid: str) -> None:
    _note(nodeid, "begun", 0.0)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _note(report.nodeid, "failed", report.duration)
    elif report.when == "call" and report.passed:
        _note(report.nodeid, "passed", report.duration)
