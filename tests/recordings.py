"""Real recordings for the budget's tests, as plain columns; a test skips where they are absent."""

import csv
import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

DATA = Path(os.environ.get("ENERGYMETER_TEST_DATA") or Path(__file__).parents[1] / "../shared/data")


def rows(name: str) -> list[list[str]]:
    """A recorded CSV without its header."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not in {DATA}: set ENERGYMETER_TEST_DATA")
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return list(csv.reader(file))[1:]


def running_integral(times: Sequence[float], values: Sequence[float]) -> list[float]:
    """Trapezoids from the start to each instant."""
    total, totals = 0.0, [0.0]
    for i in range(1, len(times)):
        total += (values[i] + values[i - 1]) / 2 * (times[i] - times[i - 1])
        totals.append(total)
    return totals
