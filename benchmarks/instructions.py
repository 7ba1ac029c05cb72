"""Machine instructions a sample and a span take, counted by valgrind: what they mean on a slow processor.

Each count is a difference of two runs, so that start and imports drop out. They are this machine's
instructions; an ARM1176 emulated by qemu (`docs/cost.md`) needed within 10 % as many. Cycles are assumed.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

from _figures import ROOT, Figure

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
        **shares,
    }


def _count(code: str, count: int) -> int:
    with tempfile.NamedTemporaryFile() as notes:
        done = subprocess.run(
            [
                "valgrind", "--tool=callgrind", f"--callgrind-out-file={notes.name}",
                sys.executable, "-c", code.format(count=count),
            ],
            stderr=subprocess.PIPE,
            text=True,
            check=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"},
        )  # fmt: skip
    collected = re.search(r"Collected : (\d+)", done.stderr)
    assert collected is not None
    return int(collected[1])
