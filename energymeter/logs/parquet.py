"""Our own Parquet logs, and the parts that a killed run leaves of one. Needs pyarrow."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from energymeter.errors import ExtraMissing, LogError, NotMeasured
from energymeter.logs.header import empty_records, parse_header
from energymeter.logs.record import Record
from energymeter.logs.recorder import COLUMNS, PARTS_SUFFIX


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
            for group in range(source.num_row_groups):
                _append(records, source.read_row_group(group))
    except (OSError, ValueError, KeyError, pyarrow.ArrowException) as damage:
        if not any(record.columns["time_s"] for record in records):
            raise LogError(f"{path} is no whole Parquet file: {damage}") from damage
        return [record._replace(damage=f"a part of it is damaged ({damage})") for record in records]
    return records


def _append(records: Sequence[Record], rows: Any) -> None:
    """Add a row group; one at a time, a day's file need not be in memory twice."""
    for record in records:
        own = rows
        if "source" in rows.column_names:
            own = rows.filter(rows["source"].to_numpy() == record.name)
        for column in COLUMNS:
            record.columns[column].frombytes(memoryview(own[column].to_numpy()).cast("B"))
