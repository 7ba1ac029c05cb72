"""A pytest plugin: how long each test took, as JSON lines in the file that MUTATE_TIMES names."""

import json
import os

import pytest


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed:
        with open(os.environ["MUTATE_TIMES"], "a", encoding="utf-8") as file:
            file.write(json.dumps([report.nodeid, report.duration]) + "\n")
