"""Logs of 10³ to 10⁸ samples: 10⁴ windows of them, and the commands that read logs.

They are made in bulk, as our recorder lays them out: a noisy load, seen through a real chip's steps. One of
constant power would be compressed to nothing and read too fast.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
from _figures import ROOT, measured
from growth_page import Series

from energymeter.reading import Facts
from energymeter.recordings.header import COLUMNS, FORMAT
from energymeter.recordings.writer import PARQUET_OPTIONS

_LOG_SIZES = tuple(10**power for power in range(3, 9))
_SHOWN_BYTES_A_ROW = 125
"""What loading a log whole holds at most: its columns, and copies of some."""
_SHARE_OF_MEMORY = 0.6
_GROUP_ROWS = 65_536
_AMP_STEP, _VOLT_STEP = 1e-4, 4e-3
"""An INA219's, at 3.2 A of range (TI SBOS448G 8.5)."""
_JITTER_NS = 60_000


def write_log(path: str, rows: int) -> None:
    """About 3 W at 1 kHz."""
    header = {"format": FORMAT, "channels": [{"name": "made", "facts": Facts()._asdict(), "rate_hz": 1000.0}]}
    schema = pyarrow.schema(
        [pyarrow.field(column, pyarrow.float64()) for column in COLUMNS],
        metadata={"energymeter": json.dumps(header)},
    )
    dice = np.random.default_rng(1)
    joules = coulombs = 0.0
    with parquet.ParquetWriter(path, schema, **PARQUET_OPTIONS) as writer:
        for start in range(0, rows, _GROUP_ROWS):
            count = min(_GROUP_ROWS, rows - start)
            time_s = (np.arange(start, start + count) * 1_000_000 + dice.integers(0, _JITTER_NS, count)) / 1e9
            amps = np.round(dice.normal(0.6, 0.05, count) / _AMP_STEP) * _AMP_STEP
            volts = np.round(dice.normal(5.0, 0.01, count) / _VOLT_STEP) * _VOLT_STEP
            spent = joules + np.cumsum(volts * amps) * 1e-3
            moved = coulombs + np.cumsum(amps) * 1e-3
            joules, coulombs = float(spent[-1]), float(moved[-1])
            columns = [time_s, volts, amps, volts * amps, spent, moved, time_s]
            writer.write_table(pyarrow.Table.from_arrays([pyarrow.array(c) for c in columns], schema=schema))


_WINDOWS = """
import time
import numpy as np
from energymeter.recordings.window_energy import window_joules
edges = np.sort(np.random.default_rng(1).uniform(0, {seconds}, (10_000, 2)))
start = time.perf_counter()
joules = window_joules({path!r}, edges[:, 0], edges[:, 1])
took = time.perf_counter() - start
watts = joules.sum() / (edges[:, 1] - edges[:, 0]).sum()
assert 2.9 < watts < 3.1, watts
print(took, held_mb())
"""
_COMMAND = """
import contextlib, io, time
from energymeter.cli import cli
start = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    cli.main({arguments!r}, standalone_mode=False)
print(time.perf_counter() - start, held_mb())
"""
_COMMANDS: dict[str, Callable[[str], list[str]]] = {
    "show": lambda path: ["show", path],
    "plot": lambda path: ["plot", path, "-o", f"{path}.png", "--force"],
    "compare": lambda path: ["compare", path, path],
}


_WHOLE = "every row is decoded and looked at", "all columns of the log as numbers of eight bytes"
_WHY = {
    "show": _WHOLE,
    "plot": (
        "every row is decoded, and folded into 2000 stretches",
        "all columns of up to 4 million rows; beyond that one row group at a time",
    ),
    "compare": _WHOLE,
}
"""What the time, and then the memory, of each command goes into."""


def log_size() -> Iterator[Series]:
    """10^3 to 10^8 samples in Parquet: 10^4 windows of them, and the commands that read logs."""
    from energymeter.cli import cli

    commands = [name for name in _COMMANDS if name in cli.list_commands(None)]
    windows: list[tuple[float, list[float]]] = []
    shown: dict[str, list[tuple[float, list[float]]]] = {name: [] for name in commands}
    folder = ROOT / ".cache" / "growth"
    folder.mkdir(parents=True, exist_ok=True)
    path = str(folder / "log.parquet")
    try:
        for rows in _LOG_SIZES:
            write_log(path, rows)
            windows.append((rows, measured(_WINDOWS.format(path=path, seconds=rows / 1000))))
            for name in commands if rows * _SHOWN_BYTES_A_ROW < _SHARE_OF_MEMORY * _free_bytes() else ():
                found = measured(_COMMAND.format(arguments=_COMMANDS[name](path)))
                shown[name].append((rows, found))
    finally:
        for made in (path, f"{path}.png"):
            Path(made).unlink(missing_ok=True)
    yield from _pair(
        "log size, 10⁴ windows",
        windows,
        "only row groups with an edge, three columns of them",
        "one row group at a time",
    )
    for name in _COMMANDS:
        if name in commands:
            yield from _pair(f"log size, `{name}`", shown[name], *_WHY[name])
        else:
            yield Series(f"log size, `{name}`", "", "", [], f"there is no command `energymeter {name}`")


def _pair(title: str, found: list[tuple[float, list[float]]], why: str, why_held: str) -> Iterator[Series]:
    yield Series(title, "rows", "s", [(rows, took) for rows, (took, _) in found], why)
    yield Series(
        f"{title}, memory", "rows", "MB held at most", [(rows, held) for rows, (_, held) in found], why_held
    )


def _free_bytes() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
