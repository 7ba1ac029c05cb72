"""Our own Parquet logs, and the parts that a killed run leaves of one. Needs pyarrow."""

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from energymeter.errors import ExtraMissing, LogError, NotMeasured
from energymeter.recordings.header import empty_records, parse_header
from energymeter.recordings.record import Record
from energymeter.recordings.writer import COLUMNS, PARTS_SUFFIX

_BATCH_ROWS = 65_536
MOST_GROUP_ROWS = 1 << 24
"""Sixteen times what pyarrow writes unless told otherwise, and 256 times what we do."""


def parquet_files(path: str) -> list[Path]:
    """The files of a Parquet log: itself, or the parts that a killed run left.

    Raises:
        ExtraMissing: there is no pyarrow to read them with.
        NotMeasured: the run left none.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise ExtraMissing("pyarrow", "parquet", "A Parquet log")
    files = [Path(path)] if Path(path).exists() else sorted(Path(path + PARTS_SUFFIX).glob("*.parquet"))
    if not files:
        raise NotMeasured(f"{path} lost its first minute before it was whole; nothing is left.")
    return files


def described(path: str, header: str) -> list[Record]:
    """The channels that a log's header names, without their samples.

    Raises:
        LogError: it is not the header of a log.
    """
    return empty_records(path, parse_header(path, header))


def read_parquet(path: str) -> list[Record]:
    """Every channel of the file, or of the parts that were whole before its run was killed.

    Raises:
        ExtraMissing: without pyarrow.
        NotMeasured: no part was whole yet.
        LogError: it is damaged before its first whole row.
    """
    files = parquet_files(path)
    import pyarrow
    import pyarrow.parquet as parquet

    records: list[Record] = []
    try:
        for file in files:
            source = parquet.ParquetFile(file)
            if not records:
                metadata = source.schema_arrow.metadata or {}
                records = described(path, metadata.get(b"energymeter", b"").decode())
            check_columns(source)
            for rows in source.iter_batches(_BATCH_ROWS):
                _append(records, rows)
    except (OSError, ValueError, KeyError, pyarrow.ArrowException) as damage:
        if not any(record.columns["time_s"] for record in records):
            raise LogError(f"{path} is no whole Parquet file: {damage}") from damage
        return [record._replace(damage=f"a part of it is damaged ({damage})") for record in records]
    return records


def check_columns(file: Any) -> None:
    """Raises ValueError where a ``ParquetFile`` is not made as ours are: a few bytes of it can stand for
    more rows than there is memory, and numbers of another kind would be read as wrong ones."""
    for column in COLUMNS:
        at = file.schema_arrow.get_field_index(column)
        if at < 0 or str(file.schema_arrow.field(at).type) != "double":
            raise ValueError(f"it has no one column {column} of doubles")
    groups = (file.metadata.row_group(number).num_rows for number in range(file.num_row_groups))
    if max(groups, default=0) > MOST_GROUP_ROWS:
        raise ValueError(f"it has a row group of more than {MOST_GROUP_ROWS} rows")


def _append(records: Sequence[Record], rows: Any) -> None:
    """Add some rows, up to the first that does not go forward in time: that is a ValueError.

    A batch at a time, a day's file need not be in memory twice.
    """
    import numpy as np

    for record in records:
        own = rows
        if "source" in rows.schema.names:
            own = rows.filter(rows["source"].to_numpy(zero_copy_only=False) == record.name)
        columns = {name: own[name].to_numpy(zero_copy_only=False) for name in COLUMNS}
        times, before = columns["time_s"], record.columns["time_s"][-1:] or [-math.inf]
        forward = (np.diff(times, prepend=before[0]) > 0) & np.isfinite(times)
        whole = len(times) if forward.all() else int(forward.argmin())
        for name, numbers in columns.items():
            known = np.where(np.isfinite(numbers[:whole]), numbers[:whole], math.nan)
            record.columns[name].frombytes(known.tobytes())
        if whole < len(times):
            raise ValueError(f"its row {len(record.columns['time_s']) + 1} does not go forward in time")
