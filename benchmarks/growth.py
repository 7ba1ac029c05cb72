"""Cost against run length, rate, sources, spans and log size; writes ``benchmarks/GROWTH.md`` and a plot.

Every row is one more power of the quantity; the exponent is that of the whole column, fitted in logarithms:
1 is linear, 0 is constant. ``--full`` goes on to a day in simulated time and 86.4 million samples.
"""

import argparse
import importlib.util
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import long_run
from _figures import children_cpu_seconds, python

HERE = Path(__file__).resolve().parent
_DAY_ROWS = 86_400_000


class Series(NamedTuple):
    """One quantity varied: ``points`` are (amount, cost)."""

    title: str
    amount: str
    cost: str
    points: list[tuple[float, float]]
    why: str

    @property
    def exponent(self) -> float:
        """Slope of log cost over log amount."""
        logs = [(math.log(x), math.log(y)) for x, y in self.points if y > 0]
        mean_x, mean_y = (sum(column) / len(logs) for column in zip(*logs, strict=True))
        spread = sum((x - mean_x) ** 2 for x, _ in logs)
        return sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread


def run_length(full: bool) -> list[Series]:
    """A minute to an hour (a day) at 1 kHz in simulated time."""
    lengths = [60, 600, 3_600, *([14_400, 86_400] if full else [])]
    costs, peaks = [], []
    for seconds in lengths:
        start = time.process_time()
        long_run.total(seconds)
        costs.append((seconds, time.process_time() - start))
        peaks.append((seconds, long_run.peak_bytes(min(seconds, 600.0)) / 1e6))
    return [
        Series(
            "run length",
            "s at 1 kHz",
            "CPU s of sampling",
            costs,
            "one reading, one sum, one row of memory each",
        ),
        Series("run length, memory", "s (first 600)", "MB", peaks, "ring and history have a fixed size"),
    ]


def rate(full: bool) -> list[Series]:
    """1 Hz to 1 kHz, for real."""
    from energymeter import EnergyMeter

    points = []
    for rate_hz in (1.0, 10.0, 100.0, 1000.0):
        with EnergyMeter("manual:5V,0.6A", rate_hz=rate_hz):
            time.sleep(0.5)
            before = children_cpu_seconds()
            time.sleep(4.0)
            points.append((rate_hz, 100 * (children_cpu_seconds() - before) / 4.0))
    return [
        Series("rate", "Hz", "% of a core", points, "a floor of housekeeping, then one wake-up a reading")
    ]


def sources(full: bool) -> list[Series]:
    """1 to 32 side by side at 100 Hz."""
    from energymeter import EnergyMeter

    points = []
    for count in (1, 2, 4, 8, 16, 32):
        with EnergyMeter(",".join(f"manual:{n + 1}W" for n in range(count)), rate_hz=100.0):
            time.sleep(0.5)
            before = children_cpu_seconds()
            time.sleep(3.0)
            points.append((count, 100 * (children_cpu_seconds() - before) / 3.0))
    return [Series("sources", "at 100 Hz", "% of a core", points, "one thread of the sampling process each")]


_SPANS = """
import time
from energymeter import EnergyMeter
with EnergyMeter("manual:5V,0.6A", rate_hz=100) as meter:
    span = meter.span
    start = time.process_time()
    for _ in range({count}):
        with span("s"):
            pass
left = time.process_time()
assert meter.spans["s"].joules.n == {count}
held = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(left - start, time.process_time() - left, int(held.split()[1]) / 1e3)
"""


def spans(full: bool) -> list[Series]:
    """10 to 10^6 in one run."""
    counts = [10**power for power in range(1, 7)]
    said = [[float(number) for number in python("-c", _SPANS.format(count=n)).split()] for n in counts]
    pick = lambda k: [(n, row[k]) for n, row in zip(counts, said, strict=True)]  # noqa: E731
    return [
        Series("spans, left", "spans", "CPU s", pick(0), "two clock reads and two numbers each"),
        Series("spans, told", "spans", "CPU s", pick(1), "two look-ups in the curve each, then one sort"),
        Series(
            "spans, memory", "spans", "MB held at most", pick(2), "an interpreter, then 16 + 48 bytes each"
        ),
    ]


_READ = """
import sys, time
import numpy as np
from energymeter.windows import window_joules
edges = np.sort(np.random.default_rng(1).uniform(0, {seconds}, (10_000, 2)))
start = time.perf_counter()
joules = window_joules({path!r}, edges[:, 0], edges[:, 1])
took = time.perf_counter() - start
assert np.allclose(joules, 3 * (edges[:, 1] - edges[:, 0]), rtol=1e-6, atol=1e-6)
held = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(took, int(held.split()[1]) / 1e3)
"""


def log_size(full: bool) -> list[Series]:
    """10^3 to 10^7 (8.64·10^7) samples in Parquet, 10^4 windows of them."""
    if importlib.util.find_spec("pyarrow") is None:
        return []
    took, held = [], []
    for rows in [10**power for power in range(3, 8)] + ([_DAY_ROWS] if full else []):
        with tempfile.TemporaryDirectory(dir=HERE.parent / ".cache") as folder:
            path = f"{folder}/log.parquet"
            write_log(path, rows)
            seconds, megabytes = map(
                float, python("-c", _READ.format(path=path, seconds=rows / 1000)).split()
            )
        took.append((rows, seconds))
        held.append((rows, megabytes))
    return [
        Series(
            "log size, 10⁴ windows", "rows", "s", took, "only row groups with an edge, three columns of them"
        ),
        Series("log size, memory", "rows", "MB held at most", held, "one row group at a time"),
    ]


def write_log(path: str, rows: int) -> None:
    """A day's log as our recorder lays it out, made in bulk: a steady 3 W at 1 kHz."""
    import json

    import numpy as np
    import pyarrow
    import pyarrow.parquet as parquet

    from energymeter.logs.recorder import COLUMNS, FORMAT, PARQUET_OPTIONS
    from energymeter.reading import Facts

    header = {"format": FORMAT, "channels": [{"name": "made", "facts": Facts()._asdict(), "rate_hz": 1000.0}]}
    schema = pyarrow.schema(
        [pyarrow.field(column, pyarrow.float64()) for column in COLUMNS],
        metadata={"energymeter": json.dumps(header)},
    )
    group = 65_536
    with parquet.ParquetWriter(path, schema, **PARQUET_OPTIONS) as writer:
        for start in range(0, rows, group):
            time_s = np.arange(start, min(start + group, rows)) / 1000
            level = np.ones(len(time_s))
            columns = [time_s, 5 * level, 0.6 * level, 3 * level, 3 * time_s, 0.6 * time_s, time_s]
            writer.write_table(pyarrow.Table.from_arrays([pyarrow.array(c) for c in columns], schema=schema))


def table(series: Series) -> list[str]:
    """One series as text."""
    return [
        f"### {series.title}",
        "",
        f"Grows as its power **{series.exponent:.2f}**: {series.why}.",
        "",
        f"| {series.amount} | {series.cost} |",
        "|---|---|",
        *(f"| {amount:g} | {cost:.3g} |" for amount, cost in series.points),
        "",
    ]


def plot(found: Sequence[Series]) -> bool:
    """``GROWTH.svg``, if matplotlib (extra ``bench``) is here."""
    if importlib.util.find_spec("matplotlib") is None:
        return False
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    columns = 3
    figure, axes = pyplot.subplots(-(-len(found) // columns), columns, figsize=(12, 9), layout="constrained")
    for axis, series in zip(axes.flat, found, strict=False):
        axis.loglog(*zip(*series.points, strict=True), marker="o")
        axis.set(
            title=f"{series.title} (power {series.exponent:.2f})", xlabel=series.amount, ylabel=series.cost
        )
    for axis in list(axes.flat)[len(found) :]:
        axis.remove()
    figure.savefig(HERE / "GROWTH.svg")
    return True


_ALL: tuple[Callable[[bool], list[Series]], ...] = (run_length, rate, sources, spans, log_size)


def main() -> None:
    """Measure, write the tables, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="also the longest ones, some ten minutes")
    full: bool = parser.parse_args().full
    found: list[Series] = []
    for measure in _ALL:
        print(measure.__name__, file=sys.stderr, flush=True)
        found += measure(full)
    head = ["# Growth", "", "Written by `make bench-growth`" + (" with `--full`" if full else "") + ".", ""]
    if plot(found):
        head += ["![plots of the tables below](GROWTH.svg)", ""]
    (HERE / "GROWTH.md").write_text("\n".join(head + [line for series in found for line in table(series)]))


if __name__ == "__main__":
    main()
