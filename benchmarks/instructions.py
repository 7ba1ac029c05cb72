"""Machine instructions of a start, a sample and a span, by valgrind: what they mean on a slow processor.

Each count is a difference of two runs, so that start and imports drop out. They are this machine's
instructions; an ARM1176 emulated by qemu (`docs/cost.md`) needed within 10 % as many. Cycles are assumed.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from _figures import ROOT, Figure, installed

_SAMPLES = """
import sys; sys.path.insert(0, "benchmarks")
import long_run
long_run.total({count} / 1000)
"""
_SPANS = """
import sys; sys.path.insert(0, "tests")
from devices.by_hand import Bench
bench = Bench()
bench.pass_ms(10)
bench.enter().spans.due_ns = 1 << 62
for _ in range({count}):
    with bench.span():
        pass
"""
_STARTS = {
    "from energymeter import EnergyMeter": "from energymeter import EnergyMeter",
    "a first block": "from energymeter import EnergyMeter\nwith EnergyMeter('manual:5V,0.6A'): pass",
}
"""Both processes of the block are counted."""
_EARLY, _LATER = 20_000, 40_000
"""Samples: the first ones cost a quarter more, as each is kept in the history, which is not thinned yet."""
_PI_ZERO_HZ = 1e9
"""ARM1176JZF-S of the Raspberry Pi Zero (raspberrypi.com, product brief)."""
_CYCLES_AN_INSTRUCTION = (2.0, 4.0)
"""An assumption: one pipeline that issues in order, and caches of 16 KiB."""


def measure(short: bool) -> dict[str, Figure]:
    """Thousands of instructions, and what they would take of a Pi Zero; nothing in the short form."""
    if short or shutil.which("valgrind") is None:
        return {}
    sample = (_count(_SAMPLES, _LATER) - _count(_SAMPLES, _EARLY)) / (_LATER - _EARLY)
    span = (_count(_SPANS, 6_000) - _count(_SPANS, 2_000)) / 4_000
    with installed() as python:
        bare = _count("pass", 0, python)
        starts = {
            f"{name} / bare interpreter": Figure(_count(code, 0, python) / bare, "×")
            for name, code in _STARTS.items()
        }
    shares = {
        f"of a Pi Zero at {rate_hz:g} Hz, {cycles:g} cycles an instruction": Figure(
            100 * rate_hz * sample * cycles / _PI_ZERO_HZ, "%", remark="assumed; bus, driver and kernel apart"
        )
        for rate_hz in (10, 100)
        for cycles in _CYCLES_AN_INSTRUCTION
    }
    return {
        "a sample": Figure(sample / 1e3, "k instructions"),
        "a span": Figure(span / 1e3, "k instructions"),
        **starts,
        **shares,
    }


def _count(code: str, count: int, python: str = sys.executable) -> int:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                "valgrind", "--tool=callgrind", "--trace-children=yes", "--callgrind-out-file=/dev/null",
                f"--log-file={folder}/%p", python, "-c", code.replace("{count}", str(count)),
            ],
            check=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )  # fmt: skip
        counts = [re.findall(r"Collected : (\d+)", file.read_text()) for file in Path(folder).iterdir()]
    assert counts
    assert all(counts)
    return sum(int(count[-1]) for count in counts)
