"""Reading long tables, against pyarrow reading the same columns of the same file in the same run."""

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from _figures import Figure, processor_in_turn

from energymeter.recordings.reader import read

_START = datetime(2026, 5, 4, 21, 58, 30)
_LIMIT = 2.0


def _table(kind: str, rows: int) -> str:
    power = np.random.default_rng(1).uniform(1, 5, rows).round(4).tolist()
    if kind == "seconds, power, voltage, current":
        cells = (f"{row * 0.01:.3f},{watts},5.0,{watts / 5:.5f}" for row, watts in enumerate(power))
        return "\n".join(["time_s,power_W,voltage_V,current_A", *cells, ""])
    if kind == "ns since 1970, power":
        cells = (f"{1777888800 * 10**9 + row * 10**7},{watts}" for row, watts in enumerate(power))
        return "\n".join(["timestamp_ns,power_W", *cells, ""])
    stamps = (_START + timedelta(milliseconds=10 * row) for row in range(rows))
    cells = (f"{at.isoformat(' ', 'milliseconds')},{watts}" for at, watts in zip(stamps, power, strict=True))
    return "\n".join(["timestamp,power_W", *cells, ""])


def measure(short: bool) -> dict[str, Figure]:
    """Processor time of `read` for each kind of table, in that of ``pyarrow.csv.read_csv``."""
    import pyarrow.csv

    rows = 400_000 if short else 2_000_000
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log.csv")
        for kind in ("seconds, power, voltage, current", "ns since 1970, power", "date and time, power"):
            path.write_text(_table(kind, rows))
            took = processor_in_turn(
                {"ours": lambda: read(str(path)), "theirs": lambda: pyarrow.csv.read_csv(path)}, 5
            )
            figures[f"{kind}; read / pyarrow"] = Figure(
                took["ours"] / took["theirs"], "×", _LIMIT, remark=f"{rows} rows in {took['ours']:.2f} s"
            )
    return figures
