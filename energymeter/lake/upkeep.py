"""Compaction and retention: fewer, larger files and an end to the oldest, while readers see each run once.

A compaction writes its rows under new keys, which no run names yet, then the rows of ``runs`` with these keys
and a higher version, which counts from that moment on, and removes what was before last of all.
"""

import datetime
import hashlib
import os
from typing import Any, NamedTuple

import numpy as np

from energymeter.errors import LogError, SpecError
from energymeter.lake.pushing import put_table, read_table
from energymeter.lake.rows import key_of
from energymeter.lake.schema import DATA, arrow, check_marker
from energymeter.lake.store import GRACE_SECONDS, Store


class Kept(NamedTuple):
    """What a compaction or a retention did."""

    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int

    def __str__(self) -> str:
        before, after = f"{self.files_before} files of {self.bytes_before} bytes", f"{self.bytes_after} bytes"
        return f"{before} became {self.files_after} of {after}"


def compact(root: "str | os.PathLike[str] | Store") -> Kept:
    """Join the files of each host and day, and remove rows that no run names any more.

    What a push that may still be under way has written, in the last 24 hours, is left alone.

    Raises:
        LogError: there is no lake, or a file of it is damaged.
    """
    store = root if isinstance(root, Store) else Store(root)
    check_marker(store)
    before = _size(store)
    for host, date in _partitions(store):
        _compact(store, f"{host}/{date}")
    for path in store.unfinished(""):
        os.unlink(path)
    after = _size(store)
    return Kept(before[0], after[0], before[1], after[1])


def retain(
    root: "str | os.PathLike[str] | Store",
    *,
    samples_days: int | None = None,
    seconds_days: int | None = None,
    runs_days: int | None = None,
    today: datetime.date | None = None,
) -> Kept:
    """Remove what is older than so many days of UTC: samples, means of seconds, or whole runs.

    Args:
        samples_days, seconds_days: keep these tables for so long; the runs stay.
        runs_days: keep whole runs for so long.
        today: the last day to keep; None: that of this machine's clock.

    Raises:
        SpecError: nothing is to be removed, or a number of days is negative.
        LogError: there is no lake.
    """
    store = root if isinstance(root, Store) else Store(root)
    check_marker(store)
    limits = {"samples": samples_days, "seconds": seconds_days, "runs": runs_days}
    if all(days is None for days in limits.values()):
        raise SpecError("nothing is to be removed; give the days to keep of samples, seconds or runs")
    if any(days is not None and days < 0 for days in limits.values()):
        raise SpecError("days to keep cannot be negative; give 0 or more")
    now = today or datetime.datetime.now(datetime.timezone.utc).date()
    before = _size(store)
    for table, days in limits.items():
        if days is None:
            continue
        first = (now - datetime.timedelta(days=days)).isoformat()
        for host, date in _partitions(store):
            if date.removeprefix("date=") < first:
                # a run goes before what belongs to it: no reader sees one without its rows
                for name in (table,) if table != "runs" else ("runs", *DATA, "budgets"):
                    store.remove(store.names(f"{name}/{host}/{date}"))
    after = _size(store)
    return Kept(before[0], after[0], before[1], after[1])


def _size(store: Store) -> tuple[int, int]:
    sizes = [size for table in ("runs", *DATA) for size, _ in store.details(table, deep=True).values()]
    return len(sizes), sum(sizes)


def _partitions(store: Store) -> list[tuple[str, str]]:
    """The folders of each host and day, of all tables together."""
    found = {
        (host, date)
        for table in ("runs", *DATA, "budgets")
        for host in store.folders(table)
        for date in store.folders(f"{table}/{host}")
    }
    return sorted(
        (host, date) for host, date in found if host.startswith("host=") and date.startswith("date=")
    )


def _compact(store: Store, folder: str) -> None:
    pa = arrow()
    files = {table: store.details(f"{table}/{folder}") for table in ("runs", *DATA)}
    rows = [row for name in files["runs"] for row in read_table(store, name).to_pylist()]
    newest: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["run_id"] not in newest or row["version"] > newest[row["run_id"]]["version"]:
            newest[row["run_id"]] = row
    if len(rows) == len(newest) and all(len(found) <= 1 for found in files.values()) and rows:
        return
    known = {row["run"] for row in rows}
    moved = {row["run"]: key_of(row["run_id"], _next(row["version"])) for row in newest.values()}
    stem = hashlib.sha256(" ".join(map(str, sorted(moved.values()))).encode()).hexdigest()[:32]
    old: list[str] = []
    for table in DATA:
        kept = []
        for name, (_, age) in files[table].items():
            found = read_table(store, name)
            keys = found["run"].to_numpy()
            if age < GRACE_SECONDS and not set(np.unique(keys).tolist()) <= known:
                continue  # of a push that is under way
            old.append(name)
            found = found.filter(pa.array(np.isin(keys, list(moved))))
            if found.num_rows:
                renamed = np.array([moved[key] for key in found["run"].to_pylist()], dtype=np.int64)
                kept.append(
                    found.set_column(
                        found.schema.get_field_index("run"), found.schema.field("run"), [renamed]
                    )
                )
        joined = f"{table}/{folder}/{stem}.parquet"
        if kept:
            put_table(store, joined, table, pa.concat_tables(kept))
            old = [name for name in old if name != joined]  # of a compaction that was interrupted
    if newest:
        runs = [
            {**row, "run": moved[row["run"]], "version": _next(row["version"])} for row in newest.values()
        ]
        schema = read_table(store, next(iter(files["runs"]))).schema
        put_table(store, f"runs/{folder}/{stem}.parquet", "runs", pa.Table.from_pylist(runs, schema=schema))
    store.remove(name for name in files["runs"] if name != f"runs/{folder}/{stem}.parquet")
    store.remove(old)


def _next(version: str) -> str:
    """The version of the same rows after one more compaction."""
    try:
        revision, end, generation, content = version.split(".")
        return f"{revision}.{end}.{int(generation) + 1:06d}.{content}"
    except ValueError as damage:
        raise LogError(
            "a row of runs has a damaged version; remove its file and push its run again"
        ) from damage
