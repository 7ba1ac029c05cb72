"""Our own Parquet logs, and the parts that a killed run leaves of one. Needs pyarrow.

Damage is found by the checksum of each page, by a CRC-32 of each channel's columns over the whole file, and
by a SHA-256 of the header and of the closing record.
"""

import hashlib
import importlib.util
import json
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from energymeter.errors import ExtraMissing, LogError, NotMeasured
from energymeter.recordings.closing import run_end_of, spans_of, window_of
from energymeter.recordings.header import COLUMNS, empty_records, parse_header
from energymeter.recordings.own import NOT_CLOSED
from energymeter.recordings.record import Record
from energymeter.recordings.thinning import ChannelRows
from energymeter.recordings.writer import own_parts

_BATCH_ROWS = 65_536
MOST_GROUP_ROWS = 1 << 24
"""Sixteen times pyarrow's default, and 256 times what our own logs use."""


def parquet_files(path: str) -> list[Path]:
    """The files of a Parquet log: itself, or the parts that a killed run left.

    Raises:
        ExtraMissing: there is no pyarrow to read them with.
        NotMeasured: the run left none.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise ExtraMissing("pyarrow", "parquet", "a Parquet log")
    files = [Path(path)] if Path(path).exists() else own_parts(path)
    if not files:
        raise NotMeasured(
            f"{path} lost its first minute before it was whole, and nothing is left of it; record again"
        )
    return files


def opened(file: Path) -> Any:
    """A ``ParquetFile`` whose pages are checked when they are read."""
    import pyarrow.parquet as parquet

    # not mapped: the pages of a day's file would count as this process's memory
    return parquet.ParquetFile(file, page_checksum_verification=True)


def described(path: str, file: Any) -> tuple[list[Record], dict[str, Any] | None]:
    """The channels that a log's header names, without their samples; and its closing record.

    Raises:
        LogError: it is not the header of a log.
        ValueError: the header was changed.
    """
    metadata = {key.decode(): value for key, value in (file.schema_arrow.metadata or {}).items()}
    header = metadata.get("energymeter", b"").decode()
    records = empty_records(path, parse_header(path, header))
    said = metadata.get("energymeter_closed", b"").decode()
    seal = metadata.get("energymeter_sha256", b"").decode()
    if not seal and not said:
        return records, None
    if seal != hashlib.sha256(f"{header}\n{said}".encode()).hexdigest():
        raise ValueError("its header was changed after it was written")
    closed = json.loads(said) if said else None
    if closed is not None:
        window, (spans, notes) = window_of(closed), spans_of(closed)
        records = [
            record._replace(
                window_s=window, spans=spans, notes=(*notes, *record.notes), end=run_end_of(closed)
            )
            for record in records
        ]
    return records, closed


def read_parquet(path: str) -> list[Record]:
    """Every channel of the file, or of the parts that were whole before its run was killed.

    Raises:
        ExtraMissing: without pyarrow.
        NotMeasured: no part was whole yet.
        LogError: it is damaged before its first whole row.
    """
    files = parquet_files(path)
    import pyarrow

    reading: _Reading | None = None
    damage, closed = "", None
    try:
        for file in files:
            source = opened(file)
            if reading is None:
                records, closed = described(path, source)
                reading = _Reading(records)
            check_columns(source)
            for rows in source.iter_batches(_BATCH_ROWS):
                reading.take(rows)
        if closed is not None and reading is not None:
            reading.check(closed)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pyarrow.ArrowException) as failure:
        if reading is None or not reading.rows:
            raise LogError(f"{path} is no whole Parquet file ({failure}); restore it") from failure
        damage = f"a part of it is damaged ({failure})"
    assert reading is not None
    notes = () if damage or closed is not None else (NOT_CLOSED,)
    return [record._replace(damage=damage, notes=(*notes, *record.notes)) for record in reading.finished()]


class _Reading:
    """Takes the rows of a Parquet log a batch at a time, so that a day need not be in memory twice."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records
        self._rows_of = [ChannelRows(record) for record in records]
        self._newest = [-math.inf] * len(records)
        self._sums = [dict.fromkeys(COLUMNS, 0) for _ in records]
        self.rows = 0

    def take(self, rows: Any) -> None:
        """Add rows, up to the first that does not go forward in time: that is a ValueError."""
        import numpy as np

        from energymeter.recordings.arrow import are, plain

        for number, record in enumerate(self._records):
            own = are(rows["source"], record.name) if "source" in rows.schema.names else slice(None)
            columns = {name: plain(rows[name])[own] for name in COLUMNS}
            times = columns["time_s"]
            forward = (np.diff(times, prepend=self._newest[number]) > 0) & np.isfinite(times)
            whole = len(times) if forward.all() else int(forward.argmin())
            for name, numbers in columns.items():
                self._sums[number][name] = zlib.crc32(
                    np.ascontiguousarray(numbers[:whole]).tobytes(), self._sums[number][name]
                )
                known = np.where(np.isfinite(numbers[:whole]), numbers[:whole], math.nan)
                record.columns[name].frombytes(known.tobytes())
            if whole:
                self._newest[number] = float(times[whole - 1])
                self.rows += whole
            at = len(self._rows_of[number])
            self._rows_of[number].take()
            if whole < len(times):
                raise ValueError(f"its row {at + 1} does not go forward in time")

    def check(self, closed: dict[str, Any]) -> None:
        """Raises ValueError, KeyError or TypeError where columns are not those that were written."""
        for record, sums in zip(self._records, self._sums, strict=True):
            expected = closed["crc32"].get("" if len(self._records) == 1 else record.name)
            if expected is None and not any(sums.values()):
                continue
            changed = [name for name in COLUMNS if sums[name] != expected[name]]
            if changed:
                raise ValueError(f"its column {changed[0]} was changed after it was closed")

    def finished(self) -> list[Record]:
        """The records with their rows."""
        return [rows.finished() for rows in self._rows_of]


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
