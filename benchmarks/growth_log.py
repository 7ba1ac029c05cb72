"""A long log made in bulk, as our recorder lays it out: a noisy load, seen through a real chip's steps.

One of constant power would be compressed to nothing and read too fast.
"""

import json

import numpy as np
import pyarrow
import pyarrow.parquet as parquet

from energymeter.logs.recorder import COLUMNS, FORMAT, PARQUET_OPTIONS
from energymeter.reading import Facts

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
