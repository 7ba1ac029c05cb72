"""Reading recordings: our own logs, and those of others whose columns say what they are.

Pure standard library, so that the sampling process can replay a file (Parquet alone needs pyarrow).

=====================  ==============================================================================
what                   how it is known
=====================  ==============================================================================
our CSV, JSON lines    a first line of JSON (after ``#`` in a CSV) with ``"format": "energymeter log 1"``
our Parquet            the schema's ``energymeter`` entry; ``FILE.parquet.parts`` left by a killed run
EnergyRunner ``.bin``  byte 0xF1, float32 rate, float32 µJ per period (MLPerf Tiny, eembc/energyrunner)
PTDaemon ``spl.txt``   ``Time,…,Watts,…,Volts,…,Amps,…`` rows (MLPerf power, mlcommons/power-dev)
other CSV              column names with units, ``Power (mW)`` or ``current_A``, or the columns given
=====================  ==============================================================================

Each may be gzipped. A file that was cut off, or damaged on the way, is read up to its last good row.
"""

import csv
import gzip
import io
import itertools
import json
import math
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from energymeter.errors import LogError, NotMeasured
from energymeter.recordings.foreign import read_energyrunner, read_ptdaemon
from energymeter.recordings.header import empty_records, parse_header
from energymeter.recordings.parquet import read_parquet
from energymeter.recordings.record import DECOMPRESSION, Hints, Lines, Record, options_in
from energymeter.recordings.table import head_of, read_table
from energymeter.recordings.textfile import BUFFER_BYTES, GZIP, text_of
from energymeter.recordings.writer import COLUMNS, PARTS_SUFFIX

__all__ = ["Hints", "Record", "read", "typical_interval"]

_SNIFFED_BYTES = 256


def read(path: str, hints: Hints = Hints()) -> list[Record]:  # noqa: B008 - an immutable tuple
    """Every channel of a recording.

    Raises:
        LogError: the file is missing, foreign beyond recognition, or damaged before its first whole row.
        NotMeasured: it has a header and not one sample.
        SpecError: a hint names an unknown board or a unit of something else.
        ImplausibleReading: no such board draws this power; the unit is wrong.
        ExtraMissing: Parquet without pyarrow.
    """
    path, hints = options_in(path, hints)
    parts = Path(path + PARTS_SUFFIX)
    try:
        if path.endswith(".parquet") and (Path(path).exists() or parts.is_dir()):
            records = read_parquet(path)
        else:
            with open(path, "rb", buffering=BUFFER_BYTES) as file:
                records = _read_stream(path, cast(io.BufferedReader, file), hints)
    except OSError as error:
        raise LogError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not any(record.columns["time_s"] for record in records):
        if records[0].damage:
            raise LogError(f"{path} holds no whole row: {records[0].damage}.")
        raise NotMeasured(f"{path} holds no samples: the sensor that wrote it never gave a reading.")
    return records


def typical_interval(times: "array[float]") -> float:
    """The median time between two rows, s; 1 for fewer than two."""
    steps = sorted(later - earlier for earlier, later in itertools.pairwise(times) if later > earlier)
    return steps[len(steps) // 2] if steps else 1.0


def _read_stream(path: str, file: io.BufferedReader, hints: Hints) -> list[Record]:
    """Any format but Parquet, read once from start to end: a pipe will do."""
    start = file.peek(_SNIFFED_BYTES)[:_SNIFFED_BYTES]
    if start.startswith(GZIP):
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _read_stream(path, cast(io.BufferedReader, unpacked), hints)
        except DECOMPRESSION as damage:
            raise LogError(f"{path} is damaged before its first row: {damage}.") from damage
    if start.startswith(b"\xf1"):
        return [read_energyrunner(path, file)]
    if start.startswith((b"# {", b"{")):
        with io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="") as text:
            lines = Lines(text)
            header = parse_header(path, text.readline(Lines.MOST).removeprefix("# "))
            in_csv = start.startswith(b"#")
            rows = csv.DictReader(lines, restval="") if in_csv else _json_rows(lines)
            return _read_own(path, header, rows, lines)
    with text_of(path, file) as text:
        lines = Lines(text)
        if start.startswith(b"Time,") and b",Watts," in start:
            return [read_ptdaemon(path, lines)]
        rest = lines.whole()
        return read_table(path, head_of(rest), rest, lines, hints)


def _json_rows(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError("a row is no object")
        yield row


def _read_own(
    path: str, header: dict[str, Any], rows: Iterable[dict[str, Any]], lines: Lines
) -> list[Record]:
    records = empty_records(path, header)
    by_name = {record.name: record.columns for record in records}
    only = records[0].columns if len(records) == 1 else None
    damage = ""
    try:
        for row in rows:
            columns = only if only is not None else by_name[row["source"]]
            numbers = [_cell(row[column]) for column in COLUMNS]
            times = columns["time_s"]
            if None in row or not (numbers[0] > times[-1] if times else numbers[0] == numbers[0]):
                raise ValueError("it does not go forward in time")
            for column, value in zip(COLUMNS, numbers, strict=True):
                columns[column].append(value)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError, csv.Error) as unreadable:
        damage = f"its row {sum(len(r.columns['time_s']) for r in records) + 1} is damaged ({unreadable})"
    return [record._replace(damage=damage or lines.damage) for record in records]


def _cell(value: Any) -> float:
    """One number of our own files; NaN where it is empty.

    Raises:
        TypeError, ValueError: it is no number.
    """
    if value == "" or value is None:
        return math.nan
    converted = float(value)
    return converted if math.isfinite(converted) else math.nan
