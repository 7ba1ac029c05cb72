"""Reads our own text logs: header, rows, and the closing record with its checksum."""

import csv
import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from typing import IO, Any

from energymeter.recordings.closing import CLOSED, closing_checksum, window_of
from energymeter.recordings.header import COLUMNS, empty_records, parse_header
from energymeter.recordings.record import DECOMPRESSION, EXPANDED, Lines, Record
from energymeter.recordings.thinning import BLOCK_ROWS, ChannelRows

NOT_CLOSED = "its end is missing: its run was killed or still goes on, or the file was cut short"
_CHANGED = "it was changed after it was closed, so its figures may be wrong"


def read_own(path: str, file: IO[bytes], most: int | None = None) -> list[Record]:
    """Every channel of a log in CSV or JSON lines.

    Args:
        path: the file, for errors.
        file: it, open.
        most: bytes that are read at most.

    Raises:
        LogError: its header is damaged, or of another version.
    """
    lines = _HashedLines(file, most)
    first = next(iter(lines), "")
    in_csv = first.startswith("#")
    header = parse_header(path, first.removeprefix("# "))
    records = empty_records(path, header)
    rows: Iterable[dict[str, Any]] = csv.DictReader(lines, restval="") if in_csv else _json_rows(lines)
    records, damage = _filled(records, rows)
    damage = damage or lines.damage
    window, note = None, NOT_CLOSED
    if lines.closing is not None:
        window, note = _closing(lines.closing, lines.sha256)
        if lines.after_closing and not damage:
            damage = "rows follow its closing record"
    notes = (note,) if note else ()
    return [
        record._replace(damage=damage, window_s=window, notes=(*notes, *record.notes)) for record in records
    ]


def _closing(text: str, before: "hashlib._Hash") -> tuple[tuple[float, float] | None, str]:
    """The window of a closing record, and what is wrong with the file."""
    try:
        closed = json.loads(text)["closed"]
        window = window_of(closed)
        fits = closed["sha256"] == closing_checksum(before, closed["window_s"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return None, _CHANGED
    return (window, "") if fits else (None, _CHANGED)


class _HashedLines:
    """The lines of a log up to its closing record, hashed while they are read."""

    def __init__(self, file: IO[bytes], most: int | None) -> None:
        self._file = file
        self._room = math.inf if most is None else most
        self.sha256 = hashlib.sha256()
        """The digest of the lines before the closing record."""
        self.damage = ""
        self.closing: str | None = None
        self.after_closing = False
        self._lines = self._read()

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def _read(self) -> Iterator[str]:
        try:
            while raw := self._file.readline(Lines.MOST):
                self._room -= len(raw)
                if len(raw) == Lines.MOST or self._room < 0:
                    self.damage = "a row of it has no end" if self._room >= 0 else EXPANDED
                    return
                if not raw.endswith(b"\n"):
                    self.damage = "its last row is cut off"
                    return
                line = raw.decode("utf-8", errors="replace")
                if line.removeprefix("# ").startswith(CLOSED):
                    self.closing = line.removeprefix("# ")
                    self.after_closing = bool(self._file.read(1))
                    return
                self.sha256.update(raw)
                yield line
        except DECOMPRESSION as damage:
            self.damage = f"it cannot be decompressed to its end ({damage})"


def _json_rows(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError("a row is no object")
        yield row


def _filled(records: list[Record], rows: Iterable[dict[str, Any]]) -> tuple[list[Record], str]:
    """The records with the rows of their channels up to the first that is damaged, and that damage."""
    rows_of = {record.name: ChannelRows(record) for record in records}
    newest = dict.fromkeys(rows_of, -math.inf)
    by_name = {record.name: record.columns for record in records}
    only = records[0].name if len(records) == 1 else None
    damage = ""
    try:
        for row in rows:
            name = only if only is not None else row["source"]
            columns = by_name[name]
            numbers = [_cell(row[column]) for column in COLUMNS]
            if None in row or not numbers[0] > newest[name]:
                raise ValueError("it does not go forward in time")
            newest[name] = numbers[0]
            for column, value in zip(COLUMNS, numbers, strict=True):
                columns[column].append(value)
            if len(columns["time_s"]) >= BLOCK_ROWS:
                rows_of[name].take()
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError, csv.Error) as unreadable:
        damage = f"its row {sum(map(len, rows_of.values())) + 1} is damaged ({unreadable})"
    return [rows_of[record.name].finished() for record in records], damage


def _cell(value: Any) -> float:
    """One number of our own files; NaN where it is empty.

    Raises:
        TypeError, ValueError: it is no number.
    """
    if value == "" or value is None:
        return math.nan
    converted = float(value)
    return converted if math.isfinite(converted) else math.nan
