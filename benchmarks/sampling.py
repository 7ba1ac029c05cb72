"""The sampling process at work: its share of a core, and its pace next to a program that holds the GIL."""

import re
import time

import numpy as np
from _figures import Figure, children_cpu_seconds

from energymeter import EnergyMeter

_SOURCE = "manual:5V,0.6A"  # costs nothing to read


def measure(short: bool) -> dict[str, Figure]:
    """CPU at three rates, and one kilohertz next to a catastrophic regular expression."""
    figures = {}
    for rate_hz, limit in ((10.0, None), (100.0, 0.01), (1000.0, 0.05)):
        share = _share(rate_hz, 2.0 if short else 10.0)
        figures[f"sampler CPU at {rate_hz:g} Hz"] = Figure(
            100 * share, "%", None if limit is None else 100 * limit
        )
    return figures | _next_to_a_regex(5.0 if short else 30.0)


def _share(rate_hz: float, seconds: float) -> float:
    with EnergyMeter(_SOURCE, rate_hz=rate_hz):
        time.sleep(0.5)
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
