"""`push`: a recording becomes rows of a lake; an interrupted or repeated push loses and doubles nothing.

The tables of samples, seconds, spans and usages are written first, each as a file with a name from the hash
of what is in it. The row of ``runs`` is written last and alone makes them count. So whatever interrupts a
push, the run is in the lake with all its rows or with none, and the same push again completes it.
"""

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from energymeter.errors import LogError, SpecError
from energymeter.lake.rows import RunRefused, RunRows, key_of, partition, rows_of, table_of, version_of
from energymeter.lake.schema import DATA, MOST_REPORT_BYTES, arrow, check_marker, write_table
from energymeter.lake.statement import Statement
from energymeter.lake.store import Store
from energymeter.recordings.record import Hints, options_in
from energymeter.recordings.trace import Trace
from energymeter.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from energymeter.reading import Provenance

_MOST_FOLDER_BYTES = 200
_FRESH_SECONDS = 12 * 3600.0
"""A file that an interrupted push left is used if it is younger; `upkeep` removes what is twice as old."""


class Pushed(NamedTuple):
    """What became of one recording."""

    file: str
    run_id: str
    is_new: bool
    """False: the lake had it already."""
    rows: int
    """How many samples it has."""

    def __str__(self) -> str:
        if not self.is_new:
            return f"{self.file}: in the lake already"
        return f"{self.file}: {self.rows} samples"


def push(
    runs: Sequence[str],
    to: "str | Store",
    statement: Statement = Statement(),  # noqa: B008 - an immutable tuple
    *,
    force: bool = False,
    load: "Callable[[str], list[Trace]]" = Trace.load_channels,
) -> list[Pushed]:
    """Add recordings to a lake.

    Args:
        runs: their paths; options may follow a path, as in ``log.csv?watts=P``.
        to: the lake's folder or URL; it is begun where there is none.
        statement: what is stated of all of them.
        force: replace what an earlier push stated of the same runs.
        load: reads a path.

    Raises:
        SpecError: the statement makes no sense, or a recording does not say its host or date.
        LogError, NotMeasured: a recording cannot be read, or the lake not written.
        RunRefused: the lake states something else of a run, or has a longer recording of it.
        ExtraMissing: fsspec or pyarrow is not installed.
    """
    arrow()
    store = to if isinstance(to, Store) else Store(to)
    stated = statement.checked()
    check_marker(store, create=True)
    report = _copied(stated.report, store)
    return [_push(path, store, stated, report, load, force=force) for path in runs]


def _push(
    path: str,
    store: Store,
    stated: Statement,
    report: str,
    load: "Callable[[str], list[Trace]]",
    *,
    force: bool,
) -> Pushed:
    name, _ = options_in(path, Hints())
    file = printable(os.path.basename(name))
    rows = rows_of(load(path), file, stated)
    samples = len(rows.tables["samples"]["unix_us"])
    earlier = _versions(store, rows.run_id, rows.folder)
    if any(version.endswith(rows.content) for version in earlier) and not force:
        return Pushed(file, rows.run_id, False, samples)
    now = _moved_to(store, rows.run_id) or rows.home
    if now not in ("", rows.folder) and not force and _versions(store, rows.run_id, now):
        raise RunRefused(f"{file} is in the lake already, as {printable(now)}; give --force to move it")
    newest = max(earlier, default="")
    if (
        newest
        and not force
        and version_of(0, rows.end_unix_us, 0, "") <= newest[: len(version_of(0, 0, 0, ""))]
    ):
        raise RunRefused(
            f"{file} is in the lake with another statement or with more samples; give --force to replace that"
        )
    if now != rows.folder:  # before its rows, so that whoever finds these can find them by the run, too
        store.put(_moved(rows.run_id), rows.folder.encode())
    write_run(store, rows, report, revision=time.time_ns() // 1000 if force else 0)
    return Pushed(file, rows.run_id, True, samples)


def _versions(store: Store, run_id: str, folder: str) -> list[str]:
    """Those of one run in a partition."""
    return [version for known, version in partition_rows(store, folder) if known == run_id]


def _moved(run_id: str) -> str:
    """The file that names the partition of a run that is elsewhere than its log says."""
    return f"moved/{run_id[:2]}/{run_id}"


def _moved_to(store: Store, run_id: str) -> str:
    """The partition in that file, or an empty text."""
    return (store.read(_moved(run_id), _MOST_FOLDER_BYTES) or b"").decode("ascii", "replace")


def write_run(store: Store, rows: RunRows, report: str = "", *, revision: int = 0) -> None:
    """Write one run: its data first, and then the row that makes them count."""
    version = version_of(revision, rows.end_unix_us, 0, rows.content)
    key = key_of(rows.run_id, version)
    stem = f"{rows.run_id}.{key & (1 << 64) - 1:016x}.parquet"
    for table in DATA:
        columns = rows.tables[table]
        if not len(next(iter(columns.values()))):
            continue
        name = f"{table}/{rows.folder}/{stem}"
        _, age = store.details(f"{table}/{rows.folder}").get(name, (0, _FRESH_SECONDS))
        if age >= _FRESH_SECONDS:
            put_table(store, name, table, table_of(table, columns, key))
    run = {**rows.run, "version": version, "report": report}
    put_table(
        store,
        f"runs/{rows.folder}/{stem}",
        "runs",
        table_of("runs", {name: [value] for name, value in run.items()}, key),
    )


def put_table(store: Store, name: str, table: str, rows: Any) -> None:
    """Write rows as one file of a lake, which is whole or is not there."""
    with store.writing(name) as path:
        write_table(table, rows, path)


def partition_rows(store: Store, folder: str) -> list[tuple[str, str]]:
    """The run and the version in each row of ``runs`` of one host and day, as ``host=pi/date=2026-11-28``."""
    found: list[tuple[str, str]] = []
    for name in store.names(f"runs/{folder}"):
        table = read_table(store, name, ["run_id", "version"])
        found += zip(table["run_id"].to_pylist(), table["version"].to_pylist(), strict=True)
    return found


def read_table(store: Store, name: str, columns: list[str] | None = None) -> Any:
    """A file of a lake as a pyarrow table.

    Raises:
        LogError: it is damaged.
    """
    pa = arrow()
    try:
        with store.files.open(store.path(name), "rb") as file:
            return pa.parquet.ParquetFile(file, page_checksum_verification=True).read(columns=columns)
    except (pa.ArrowException, OSError) as damage:
        raise LogError(
            f"{printable(store.url_of(name))} is damaged; remove it and push its runs again"
        ) from damage


def push_budget(name: str, to: "str | Store", host: str = "") -> None:
    """Add to a lake what is left of a budget now.

    Raises:
        LedgerError: there is no such budget.
    """
    import hashlib
    import json

    from energymeter.budget.account import Account
    from energymeter.energy.usage import least_trusted

    store = to if isinstance(to, Store) else Store(to)
    check_marker(store, create=True)
    account = Account.open(name)
    balance, lines = account.balance(), account.lines()
    debited = [line.provenance for line in lines if line.kind == "debit"]
    now = time.time()
    row: dict[str, Any] = {
        "host_name": host or os.uname().nodename,
        "budget": name,
        "unix_us": round(now * 1e6),
        "share_left": balance.share.value,
        "share_left_low": balance.share.low,
        "share_left_high": balance.share.high,
        "mah_left": balance.mah.value,
        "provenance": least_trusted(cast("list[Provenance]", debited or ["measured"])),
    }
    digest = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:32]
    date = time.strftime("%Y-%m-%d", time.gmtime(now))
    put_table(
        store,
        f"budgets/{partition(row['host_name'], date)}/{digest}.parquet",
        "budgets",
        table_of("budgets", {key: [value] for key, value in row.items()}, 0),
    )


def _copied(report: str, store: Store) -> str:
    """A report's file in the lake, named by its hash; empty: there is none."""
    import hashlib

    if not report:
        return ""
    from energymeter.paths import read_file

    ending = os.path.splitext(report)[1].lower()
    if ending not in (".html", ".pdf", ".md"):
        raise SpecError(f"{printable(report)} is no report; give an .html, .pdf or .md file")
    try:
        content = read_file(report, MOST_REPORT_BYTES)
    except OSError as failure:
        raise LogError(
            f"{printable(report)} cannot be read: {failure.strerror}; correct the path"
        ) from failure
    name = f"{hashlib.sha256(content).hexdigest()[:32]}{ending}"
    store.put(f"reports/{name}", content)
    return name
