"""``make bench-growth``: cost and memory against run length, rate, sources, spans and log size.

Writes ``benchmarks/GROWTH.md`` and one plot a table into ``benchmarks/growth/``. About four minutes on a
quiet PC, 3 GB of disk under ``.cache/`` and, for the largest log, 12 GB of memory; where there is less, the
column ends earlier and says so.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from _figures import ROOT, measured
from growth_log import log_size
from growth_page import Series, keep, write

_RUN = """
import sys, time
sys.path.insert(0, "{benchmarks}")
import long_run
start = time.process_time()
long_run.total({seconds}, 100.0)
print(time.process_time() - start, held_mb())
"""


def run_length() -> Iterator[Series]:
    """A minute to a day at 100 Hz in simulated time."""
    lengths = (60, 600, 3_600, 21_600, 86_400)
    found = [measured(_RUN.format(benchmarks=ROOT / "benchmarks", seconds=s)) for s in lengths]
    cost, memory = (list(zip(lengths, column, strict=True)) for column in zip(*found, strict=True))
    yield Series(
        "run length", "s at 100 Hz, simulated", "CPU s of sampling", cost, "one sum and one row a reading"
    )
    yield Series(
        "run length, memory",
        "s at 100 Hz, simulated",
        "MB held at most",
        memory,
        "a ring of a minute, and a history whose stride doubles when it is full; the rest is Python",
    )


_SECONDS = 4.0
_SAMPLING = """
import os, sys, time
sys.path.insert(0, "{benchmarks}")
from _figures import children_cpu_seconds
from energymeter import EnergyMeter
with EnergyMeter("{spec}", rate_hz={rate_hz}) as meter:
    time.sleep(0.5)
    before, start = children_cpu_seconds(), time.monotonic()
    time.sleep({seconds})
    share = (children_cpu_seconds() - before) / (time.monotonic() - start)
    (child,) = open(f"/proc/self/task/{{os.getpid()}}/children").read().split()
    held = held_mb(child)
usage = meter.usage
print(100 * share, held, 100 * usage.overhead.reads / ({channels} * {rate_hz} * usage.seconds))
"""


def _sampled(spec: str, rate_hz: float, channels: int = 1) -> list[float]:
    code = _SAMPLING.format(
        benchmarks=ROOT / "benchmarks", spec=spec, rate_hz=rate_hz, channels=channels, seconds=_SECONDS
    )
    return measured(code)


def _played(rate_hz: float) -> list[float]:
    """A recording at its true speed: no driver that polls goes beyond 2 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.csv"
        rows = (f"{n / rate_hz!r},3.0\n" for n in range(round(rate_hz * (_SECONDS + 4.0)) + 1))
        path.write_text("time_s,watts\n" + "".join(rows))
        return _sampled(f"replay@{path}?time=time_s&watts=watts", rate_hz)


def rate() -> Iterator[Series]:
    """1 Hz to 5 kHz, in real time."""
    from energymeter.sampling.memory import channel_bytes, ring_samples

    rates = (1.0, 10.0, 100.0, 1000.0, 5000.0)
    found = [_played(rate_hz) for rate_hz in rates]
    yield Series(
        "rate",
        "Hz",
        "% of a core",
        [(rate_hz, share) for rate_hz, (share, _, _) in zip(rates, found, strict=True)],
        f"a floor of housekeeping once a second, then a wake-up a reading; at {rates[-1]:g} Hz "
        f"{min(100.0, found[-1][2]):.0f} % of the readings asked for were taken",
    )
    yield Series(
        "rate, memory",
        "Hz",
        "MB of a channel's curve",
        [(rate_hz, channel_bytes(ring_samples(rate_hz)) / 1e6) for rate_hz in rates],
        "the ring holds a minute, within bounds at both ends; the history is as large at any rate",
    )


def sources() -> Iterator[Series]:
    """1 to 32 side by side at 100 Hz."""
    counts = (1, 2, 4, 8, 16, 32)
    specs = [",".join(f"manual:{n + 1}W" for n in range(count)) for count in counts]
    found = [_sampled(spec, 100.0, count) for spec, count in zip(specs, counts, strict=True)]
    yield Series(
        "sources",
        "sources at 100 Hz",
        "% of a core",
        [(count, share) for count, (share, _, _) in zip(counts, found, strict=True)],
        "a thread of the sampling process each",
    )
    yield Series(
        "sources, memory",
        "sources at 100 Hz",
        "MB held by the sampling process",
        [(count, held) for count, (_, held, _) in zip(counts, found, strict=True)],
        "an interpreter, then a curve each, of which a fresh run has touched little",
    )


_SPANS = """
import time
from energymeter import EnergyMeter
with EnergyMeter("manual:5V,0.6A", rate_hz=100) as meter:
    span = meter.span
    start, main = time.process_time(), time.thread_time()
    for _ in range({count}):
        with span("s"):
            pass
    left = time.thread_time() - main
assert meter.spans["s"].joules.n == {count}
print(left, time.process_time() - start - left, held_mb())
"""


def spans() -> Iterator[Series]:
    """10 to 10^6 in one run."""
    counts = [10**power for power in range(1, 7)]
    columns = zip(*(measured(_SPANS.format(count=count)) for count in counts), strict=True)
    left, reported, held = (list(zip(counts, column, strict=True)) for column in columns)
    yield Series("spans, left", "spans", "CPU s of the program", left, "two clock reads and two numbers each")
    yield Series(
        "spans, reported",
        "spans",
        "CPU s",
        reported,
        "two samples-ups in the curve each, in a thread of its own or when asked, then one sort",
    )
    yield Series(
        "spans, memory",
        "spans",
        "MB held at most",
        held,
        "an interpreter, then 56 bytes each (16 for its edges, 40 for its figures) and what statistics sort",
    )


def main() -> None:
    """Measure, keep the numbers, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="store_true", help="write the page again, measure nothing")
    if not parser.parse_args().page:
        found: list[Series] = []
        start = time.monotonic()
        for measure in (run_length, rate, sources, spans, log_size):
            print(f"{time.monotonic() - start:5.0f} s {measure.__name__}", file=sys.stderr, flush=True)
            found += measure()
        keep(found, (time.monotonic() - start) / 60)
    write()


if __name__ == "__main__":
    main()
