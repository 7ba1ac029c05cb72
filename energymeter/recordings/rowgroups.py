"""The row groups of our own Parquet logs, read one at a time: for what does not need the whole in memory."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from energymeter.errors import LogError
from energymeter.recordings.arrays import Floats
from energymeter.recordings.arrow import are, plain
from energymeter.recordings.parquet import check_columns, described, opened, parquet_files
from energymeter.recordings.record import Record


class RowGroup(NamedTuple):
    """One row group and the time it spans, s."""

    file: Any
    number: int
    first_s: float
    last_s: float


def survey(path: str) -> tuple[list[RowGroup], list[Record]]:
    """Where the row groups lie in time, by their statistics, and what the channels are."""
    files = parquet_files(path)
    import pyarrow

    try:
        sources = [opened(file) for file in files]
        records, _ = described(path, sources[0])
        for source in sources:
            check_columns(source)
        groups = list(_groups(sources))
        # several channels come in the order in which they answered, each with times of its own
        backwards = any(later.first_s < earlier.last_s for earlier, later in itertools.pairwise(groups))
        if backwards and len(records) == 1:
            raise ValueError("its row groups do not go forward in time")
        return groups, records
    except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException) as damage:
        raise LogError(f"{path} is no whole Parquet file ({damage}); restore it") from damage


def _groups(files: list[Any]) -> Iterator[RowGroup]:
    for file in files:
        column = file.schema_arrow.names.index("time_s")
        for number in range(file.num_row_groups):
            about = file.metadata.row_group(number)
            if about.num_rows:
                times = about.column(column).statistics
                if times is None or not times.has_min_max:
                    raise ValueError("its time has no statistics")
                yield RowGroup(file, number, times.min, times.max)


def rows_of(group: RowGroup, columns: list[str]) -> dict[str, list[Any]]:
    """The row group's columns, each in one or more pieces."""
    import pyarrow

    try:
        table = group.file.read_row_group(group.number, columns=columns, use_threads=False)
        rows = {name: table[name].chunks for name in columns}
    except (OSError, pyarrow.ArrowException) as damage:
        raise LogError(
            f"rows from {group.first_s:g} s on are damaged ({damage}); take windows before that"
        ) from damage
    if any(column.null_count for column in table.columns):  # ours say NaN; buffers hold anything there
        raise LogError(
            f"rows from {group.first_s:g} s on have empty cells; write the log again by Trace.save"
        )
    times = _joined([plain(piece) for piece in rows["time_s"]])
    if not (times.min() == group.first_s and times.max() == group.last_s):
        raise LogError(f"rows from {group.first_s:g} s on are not those that were written; restore the log")
    return rows


def own_rows(rows: dict[str, list[Any]], name: str) -> dict[str, Floats]:
    """A channel's rows of a row group."""
    columns = {
        column: _joined([plain(piece) for piece in pieces])
        for column, pieces in rows.items()
        if column != "source"
    }
    if "source" not in rows:
        return columns
    theirs = _joined([are(piece, name) for piece in rows["source"]])
    return {column: values[theirs] for column, values in columns.items()}


def _joined(pieces: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
