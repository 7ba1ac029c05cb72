"""The tables of a lake: their columns, with units and meaning, and the version of the whole.

``docs/lake.md`` shows them. A lake of another version is refused and never guessed at.
"""

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from energymeter.errors import ExtraMissing, LogError
from energymeter.text import printable

if TYPE_CHECKING:
    from energymeter.lake.store import Store

VERSION = 1
MARKER = "energymeter-lake.json"
MOST_MARKER_BYTES = 1 << 16
MOST_REPORT_BYTES = 1 << 26
"""A page that is pushed next to its run."""


class Column(NamedTuple):
    """One column of a table."""

    name: str
    kind: str
    """``text``, ``number`` (float64), ``whole`` (int64) or ``flag``."""
    meaning: str


_KEY = Column("run", "whole", "joins a row to its run: 64 bits of the hash of what was pushed")
_TRUST = (
    Column(
        "provenance", "text", "measured, manual, modelled or simulated; of several sources the least trusted"
    ),
    Column("calibrated", "flag", "whether a calibration card was applied to each counted source"),
    Column("accuracy_known", "flag", "false: the ± holds only what the sampling adds"),
)
_USED = (
    Column("seconds", "number", "length of the window, s"),
    Column("covered_seconds", "number", "of it, measured, s; of several sources the least"),
    Column("joules", "number", "energy of the measured time, J; null: nothing was measured"),
    Column("coulombs", "number", "charge, C; null: unknown, or sources of different voltages"),
    Column("mean_watts", "number", "mean power of the measured time, W"),
    Column("peak_watts", "number", "highest sample, W"),
    Column("uncertainty_joules", "number", "± of joules, k = 2"),
    Column(
        "gain_uncertainty_joules",
        "number",
        "the part of it that scales with energy, the same in every window",
    ),
    Column("offset_uncertainty_joules", "number", "the part that scales with time, the same in every window"),
    Column("random_uncertainty_joules", "number", "the part that is new in each window"),
)
_WHERE = (
    Column("source", "text", "names of the counted sources"),
    Column("place", "text", "wall, rail, cell or die"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "runs": (
        _KEY,
        Column("run_id", "text", "the recorded run, the same for every push of it"),
        Column("version", "text", "of several rows with one run_id the largest version is valid"),
        Column("schema", "whole", "version of these tables"),
        Column("host_name", "text", "the machine that recorded; the folder's name may be shortened"),
        Column("start_unix_us", "whole", "start of the measured window, µs since 1970 UTC"),
        Column(
            "clock_offset_seconds", "number", "by which the host's clock was ahead; times are corrected by it"
        ),
        Column("clock_uncertainty_seconds", "number", "± of the times, k = 2; null: unknown"),
        Column("file", "text", "name of the recording"),
        Column("board", "text", "the board, as stated or as the recording says"),
        Column("model", "text", "stated"),
        Column("variant", "text", "stated, such as int8"),
        Column("commit", "text", "stated: the revision of the program"),
        Column("unit", "text", "what a unit is called"),
        Column("units", "number", "in the window; null: not stated"),
        Column("joules_per_unit", "number", "at the mean power of the measured time, J"),
        Column("uncertainty_joules_per_unit", "number", "±, k = 2; null: unknown, or partly measured"),
        Column("gain_uncertainty_joules_per_unit", "number", "of it, what scales with energy"),
        Column("offset_uncertainty_joules_per_unit", "number", "of it, what scales with time"),
        Column("random_uncertainty_joules_per_unit", "number", "of it, what is new in each run"),
        Column("seconds_per_unit", "number", "s"),
        Column("report", "text", "file of the report below reports/; empty: none"),
        Column("notes", "text", "what else the reader should know"),
        *_WHERE,
        *_TRUST,
        *_USED,
    ),
    "usages": (
        _KEY,
        Column("channel", "text", "one channel of a source"),
        Column("counted", "flag", "false: measured and shown, but contained in another channel"),
        Column("place", "text", "wall, rail, cell or die"),
        *_TRUST,
        *_USED,
    ),
    "spans": (
        _KEY,
        Column("span", "text", "name"),
        Column("call", "whole", "number of the call, from 1"),
        Column("calls", "whole", "in the run; a log holds the first thousand"),
        Column("start_unix_us", "whole", "µs since 1970 UTC"),
        *_TRUST,
        *_USED,
    ),
    "seconds": (
        _KEY,
        Column(
            "unix_s", "whole", "the second in which it lies, s since 1970 UTC; edges are those of the clock"
        ),
        Column("place", "text", "wall, rail, cell or die"),
        *_TRUST,
        *_USED,
    ),
    "samples": (
        _KEY,
        Column("channel", "text", "one channel of a source"),
        Column("counted", "flag", "whether it is in the total"),
        Column("unix_us", "whole", "time of the sample, µs since 1970 UTC"),
        Column("volts", "number", "V"),
        Column("amps", "number", "A"),
        Column("watts", "number", "W"),
        Column("joules", "number", "since the sample before, J; null in the first one"),
        Column("coulombs", "number", "since the sample before, C"),
        Column("covered_seconds", "number", "since the sample before, measured, s"),
        Column("uncertainty_watts", "number", "± of the mean power since the sample before, k = 2"),
        Column("provenance", "text", "measured, manual, modelled or simulated"),
        Column("calibrated", "flag", "whether a calibration card was applied"),
        Column("accuracy_known", "flag", "false: the ± is not known"),
    ),
    "budgets": (
        Column("host_name", "text", "the machine whose ledger it is"),
        Column("budget", "text", "name"),
        Column("unix_us", "whole", "when it was read, µs since 1970 UTC"),
        Column("share_left", "number", "of the battery's energy, 0 to 1"),
        Column("share_left_low", "number", "95 % interval"),
        Column("share_left_high", "number", "95 % interval"),
        Column("mah_left", "number", "at the battery's own volts, mAh"),
        Column("provenance", "text", "the least trusted of the ledger's lines"),
    ),
}
DATA = ("samples", "seconds", "spans", "usages")
"""The tables whose rows count only where a row of ``runs`` names them, in the order of writing."""
_KINDS = {"text": "string", "number": "float64", "whole": "int64", "flag": "bool_"}


def arrow() -> Any:
    """The package pyarrow.

    Raises:
        ExtraMissing: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ExtraMissing("pyarrow", "lake", "a lake") from None
    return pyarrow


def schema(table: str) -> Any:
    """The pyarrow schema of a table, with each column's meaning as its metadata."""
    pa = arrow()
    fields = [
        pa.field(column.name, getattr(pa, _KINDS[column.kind])(), metadata={"meaning": column.meaning})
        for column in TABLES[table]
    ]
    return pa.schema(fields, metadata={"energymeter_lake": str(VERSION)})


def write_table(table: str, rows: Any, path: str) -> None:
    """Write a table as a Parquet file, with the encodings that suit its columns."""
    pa = arrow()
    texts = [column.name for column in TABLES[table] if column.kind in ("text", "number")]
    steps = {column.name: "DELTA_BINARY_PACKED" for column in TABLES[table] if column.kind == "whole"}
    pa.parquet.write_table(
        rows,
        path,
        compression="zstd",
        use_dictionary=texts,
        column_encoding=steps,
        row_group_size=GROUP_ROWS,
        store_schema=True,
    )


GROUP_ROWS = 1 << 19


def check_marker(store: "Store", *, create: bool = False) -> None:
    """Make sure that a lake is of this version.

    Args:
        create: begin a new lake where there is none.

    Raises:
        LogError: there is none, it is damaged, or of another version.
    """
    content = store.read(MARKER, MOST_MARKER_BYTES)
    if content is None:
        if not create:
            raise LogError(
                f"{printable(store.url)} is no lake; begin one with `energymeter push RUN --to PATH`"
            )
        about = {"energymeter_lake": VERSION, "tables": {name: _described(name) for name in TABLES}}
        store.put(MARKER, (json.dumps(about, indent=1, ensure_ascii=False) + "\n").encode())
        return
    try:
        found = json.loads(content)["energymeter_lake"]
    except (ValueError, KeyError, TypeError, RecursionError) as damage:
        raise LogError(f"{printable(store.url_of(MARKER))} is damaged; remove it and push again") from damage
    if found != VERSION:
        raise LogError(
            f"{printable(store.url)} is a lake of version {printable(str(found)[:20])}, and this package "
            f"reads {VERSION}; use the version that wrote it"
        )


def _described(table: str) -> dict[str, str]:
    return {column.name: f"{_KINDS[column.kind].rstrip('_')}: {column.meaning}" for column in TABLES[table]}
