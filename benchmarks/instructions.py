"""Machine instructions a sample and a span take, counted by valgrind: what they mean on a slow processor.

Counts are of this machine's instruction set; an ARMv6 needs a similar number, which was not measured.
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
from energymeter.spans import Span, SpanLog
log = SpanLog("s")
log.due_ns = 1 << 62
for _ in range({count}):
    with Span(log):
        pass
"""
_PI_ZERO_HZ = 1e9
"""ARM1176JZF-S of the Raspberry Pi Zero (raspberrypi.com, product brief)."""
_CYCLES_AN_INSTRUCTION = 2.0
"""An assumption: interpreters miss a 16 KiB cache and a short branch history often."""


def measure(short: bool) -> dict[str, Figure]:
    """Thousands of instructions, and what they would take of a Pi Zero."""
    if shutil.which("valgrind") is None:
        return {}
    few, many = 2_000, 6_000
    sample = (_count(_SAMPLES, many) - _count(_SAMPLES, few)) / (many - few)
    span = (_count(_SPANS, many) - _count(_SPANS, few)) / (many - few)
    seconds = sample * _CYCLES_AN_INSTRUCTION / _PI_ZERO_HZ
    return {
        "a sample": Figure(sample / 1e3, "k instructions"),
        "a span": Figure(span / 1e3, "k instructions"),
        "of a Pi Zero at 100 Hz, bus and kernel apart": Figure(
            100 * 100 * seconds, "%", remark=f"assuming {_CYCLES_AN_INSTRUCTION:g} cycles an instruction"
        ),
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
