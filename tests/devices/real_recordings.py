"""Recordings of real devices that are not part of the project, or a skip that says so."""

import csv
import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(os.environ.get("ENERGYMETER_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")


def recording(name: str) -> Path:
    """The path of one recording, e.g. ``wire/tc66c_plain.hex``."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"recording {name} is not in {ROOT}: set ENERGYMETER_TEST_DATA")
    return path


def recorded(name: str) -> Any:
    """What a recorded JSON file holds."""
    return json.loads(recording(name).read_text())


def rows(name: str) -> list[list[str]]:
    """A recorded CSV without its header."""
    path = recording(name)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return list(csv.reader(file))[1:]


def running_integral(times: Sequence[float], values: Sequence[float]) -> list[float]:
    """Trapezoids from the start to each instant."""
    total, totals = 0.0, [0.0]
    for i in range(1, len(times)):
        total += (values[i] + values[i - 1]) / 2 * (times[i] - times[i - 1])
        totals.append(total)
    return totals
