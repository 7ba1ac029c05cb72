"""Reading long tables and logs, against pyarrow reading the same columns of the same file in the same run."""

import json
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from _figures import Figure, processor_in_turn

from energymeter.reading import Facts
from energymeter.recordings.header import COLUMNS, FORMAT, csv_head, jsonl_head
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


def _own_log(kind: str, rows: int) -> str:
    """A log of ours, of one channel."""
    facts = {name: value for name, value in Facts()._asdict().items() if value is not None}
    channel = {"source": 0, "name": "meter", "rate_hz": 100.0, "calibration": None, "facts": facts}
    header = {"format": FORMAT, "counted_sources": 1, "started": 1_777_888_800.0, "channels": [channel]}
    power = np.random.default_rng(1).uniform(1, 5, rows)
    joules = np.cumsum(power) * 0.01
    numbers = zip(power.tolist(), joules.tolist(), strict=True)
    cells = ([row * 0.01, 5.0, w / 5, w, j, j / 5, row * 0.01] for row, (w, j) in enumerate(numbers))
    if kind == "our CSV":
        return csv_head(header, 1) + "".join(",".join(map(repr, row)) + "\n" for row in cells)
    return jsonl_head(header) + "".join(
        json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in cells
    )


def _pyarrow_reads(kind: str, path: Path) -> Callable[[], object]:
    """The same columns of the same file by pyarrow."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.json

    if kind == "our JSON lines":
        schema = pa.schema([(name, pa.float64()) for name in COLUMNS])
        parsed = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        return lambda: pyarrow.json.read_json(path, parse_options=parsed)
    skipped = pyarrow.csv.ReadOptions(skip_rows=1 if kind == "our CSV" else 0)
    return lambda: pyarrow.csv.read_csv(path, read_options=skipped)


def measure(short: bool) -> dict[str, Figure]:
    """Processor time of `read` for each kind of table, in that of pyarrow's reader."""
    rows = 400_000 if short else 2_000_000
    tables = ("seconds, power, voltage, current", "ns since 1970, power", "date and time, power")
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in (*tables, "our CSV", "our JSON lines"):
            path = Path(folder, "log.jsonl" if kind == "our JSON lines" else "log.csv")
            path.write_text(_table(kind, rows) if kind in tables else _own_log(kind, rows))
            took = processor_in_turn(
                {"ours": lambda path=path: read(str(path)), "theirs": _pyarrow_reads(kind, path)}, 5
            )
            figures[f"{kind}; read / pyarrow"] = Figure(
                took["ours"] / took["theirs"], "×", _LIMIT, remark=f"{rows} rows in {took['ours']:.2f} s"
            )
    return figures
