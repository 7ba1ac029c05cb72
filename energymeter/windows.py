"""Energy of many windows of a recording, without the whole of it in memory.

A Parquet log is read a row group at a time, and of those only the ones in which a window begins or
ends: the running totals stand for everything between.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from energymeter.errors import LogError
from energymeter.logs.parquet import described, parquet_files
from energymeter.logs.record import Record
from energymeter.trace import Floats, Trace


def window_joules(path: str, starts_s: npt.ArrayLike, ends_s: npt.ArrayLike) -> Floats:
    """Joules of many windows; the channels that count are added.

    Args:
        path: any file `Trace.load` reads; Parquet (ours) is not loaded whole.
        starts_s, ends_s: any one shape, s from the recording's start.

    Returns:
        The same shape. Time before the first and after the last sample has no energy.

    Raises:
        LogError, NotMeasured, ExtraMissing: as for `Trace.load`.
    """
    starts, ends = np.broadcast_arrays(np.asarray(starts_s, np.float64), np.asarray(ends_s, np.float64))
    if not path.endswith(".parquet"):
        return Trace.load(path).energy(starts, ends)
    edges, where = np.unique(np.concatenate([starts.ravel(), ends.ravel()]), return_inverse=True)
    totals = _totals(path, edges)[where]
    joules: Floats = (totals[starts.size :] - totals[: starts.size]).reshape(starts.shape)
    return joules


class _Group(NamedTuple):
    """One row group and the time it spans, s."""

    file: Any
    number: int
    first_s: float
    last_s: float


def _totals(path: str, edges: Floats) -> Floats:
    """The running total at each of the sorted ``edges``."""
    groups, records = _survey(path)
    counted = [record for record in records if record.facts.counted]
    alone = len(records) == 1
    firsts = [group.first_s for group in groups]
    owners = np.maximum(np.searchsorted(firsts, edges, side="right") - 1, 0)
    totals = np.zeros(len(edges))
    rows: dict[int, Any] = {}
    for owner in np.unique(owners):
        own = slice(*np.searchsorted(owners, [owner, owner + 1]))
        # with one channel, only the stretch between two groups needs both; several are interleaved
        before = 0 if alone else 1
        after = 0 if alone and edges[own][-1] <= groups[owner].last_s else 1
        wanted = range(max(0, owner - before), min(len(groups), owner + after + 1))
        rows = {n: rows[n] if n in rows else _rows(groups[n], alone) for n in wanted}
        for record in counted:
            totals[own] += _trace(record, list(rows.values())).at(edges[own])
    return totals


def _survey(path: str) -> tuple[list[_Group], list[Record]]:
    """Where the row groups lie in time, by their statistics, and what the channels are."""
    files = parquet_files(path)
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        opened = [parquet.ParquetFile(file, memory_map=True) for file in files]
        metadata = opened[0].schema_arrow.metadata or {}
        return list(_groups(opened)), described(path, metadata.get(b"energymeter", b"").decode())
    except (OSError, ValueError, pyarrow.ArrowException) as damage:
        raise LogError(f"{path} is no whole Parquet file: {damage}") from damage


def _groups(files: list[Any]) -> Iterator[_Group]:
    for file in files:
        column = file.schema_arrow.names.index("time_s")
        for number in range(file.num_row_groups):
            about = file.metadata.row_group(number).column(column).statistics
            yield _Group(file, number, about.min, about.max)


def _rows(group: _Group, alone: bool) -> Any:
    columns = ["time_s", "joules", "watts", *(() if alone else ("source",))]
    return group.file.read_row_group(group.number, columns=columns, use_threads=False)


def _trace(record: Record, groups: list[Any]) -> Trace:
    """One channel's rows of some adjoining groups."""
    columns: dict[str, Floats] = {}
    own = [
        rows.filter(rows["source"].to_numpy() == record.name) if "source" in rows.column_names else rows
        for rows in groups
    ]
    for name in ("time_s", "joules", "watts"):
        chunks = (chunk for rows in own for chunk in rows[name].chunks)
        # the plain buffer: to_numpy() would import pandas, which takes longer than reading
        pieces = [
            np.frombuffer(chunk.buffers()[1], np.float64, len(chunk), 8 * chunk.offset) for chunk in chunks
        ]
        columns[name] = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    columns["covered_s"] = columns["time_s"]
    return Trace(columns, [record.name], record.facts)
