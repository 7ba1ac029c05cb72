"""The sampling process at work: its share of a core, and its pace next to a program that holds the GIL.

Waking up is most of what a fast rate costs, and differs by machine. So each share is also given as
a ratio to a process that waits in the same way, as often, and does nothing.
"""

import re
import subprocess
import sys
import time

import numpy as np
from _figures import Figure, children_cpu_seconds

from energymeter import EnergyMeter

_SOURCE = "manual:5V,0.6A"  # costs nothing to read


_WAITS = """
import select, sys, time
period_ns = int(sys.argv[1])
due_ns = time.monotonic_ns()
while True:
    due_ns += period_ns
    select.select([0], (), (), max(0.0, (due_ns - time.monotonic_ns()) * 1e-9))
"""


def measure(short: bool) -> dict[str, Figure]:
    """CPU at three rates, and one kilohertz next to a catastrophic regular expression."""
    figures = {}
    for rate_hz, limit in ((10.0, None), (100.0, 0.006), (1000.0, 0.025)):
        waiting, share = _shares(rate_hz, 2.0 if short else 10.0)
        figures[f"sampler CPU at {rate_hz:g} Hz"] = Figure(
            100 * share, "%", None if limit is None else 100 * limit
        )
        figures[f"sampler CPU at {rate_hz:g} Hz / a loop that waits"] = Figure(
            share / waiting, "×", remark=f"{100 * waiting:.2f} %"
        )
    return figures | _next_to_a_regex(5.0 if short else 30.0)


def _shares(rate_hz: float, seconds: float) -> tuple[float, float]:
    """What a process that only waits takes of a core, and what the sampler does."""
    while children_cpu_seconds():  # a sampler that stayed ready, which ends by itself
        time.sleep(0.1)
    command = [sys.executable, "-I", "-S", "-c", _WAITS, str(round(1e9 / rate_hz))]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        waiting = _child_share(seconds)
        process.kill()
    return waiting, _share(rate_hz, seconds)


def _share(rate_hz: float, seconds: float) -> float:
    with EnergyMeter(_SOURCE, rate_hz=rate_hz, linger=0):
        return _child_share(seconds)


def _child_share(seconds: float) -> float:
    """What the only child of this process takes of a core, once it has started."""
    time.sleep(0.3)
    before, start = children_cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return (children_cpu_seconds() - before) / (time.monotonic() - start)


def _next_to_a_regex(seconds: float) -> dict[str, Figure]:
    with EnergyMeter(_SOURCE, rate_hz=1000.0) as meter:
        longest = hold_the_gil(seconds)
    times = meter.trace.time_s
    recent = times[times > times[-1] - 50.0]  # older ones are thinned
    usage = meter.usage
    assert usage.overhead is not None
    return {
        "samples taken at 1 kHz next to a regex": Figure(
            100 * usage.overhead.reads / (usage.seconds * 1000),
            "%",
            floor=99.5,
            remark=f"{usage.seconds:.0f} s, GIL held {longest:.2f} s at most",
        ),
        "median gap from 1 ms": Figure(100 * abs(float(np.median(np.diff(recent)) / 1e-3) - 1), "%", 5.0),
    }


def hold_the_gil(seconds: float) -> float:
    """Match ``(a+)+$`` against ever longer texts; the longest single match in s."""
    end, length, longest = time.monotonic() + seconds, 18, 0.0
    while (now := time.monotonic()) < end:
        re.match(r"(a+)+$", "a" * length + "b")
        longest = max(longest, time.monotonic() - now)
        length += longest < 0.5
    return longest
