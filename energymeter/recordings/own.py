"""Reads our own text logs: header, rows, and the closing record with its checksum."""

import csv
import hashlib
import importlib.util
import itertools
import json
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from energymeter.recordings.closing import CLOSED, closing_checksum, run_end_of, spans_of, window_of
from energymeter.recordings.header import COLUMNS, empty_records, parse_header
from energymeter.recordings.record import DECOMPRESSION, EXPANDED, Lines, Record, RecordedSpans, RunEnd
from energymeter.recordings.thinning import BLOCK_ROWS, ChannelRows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_LONG_BYTES = 1 << 21
"""Importing pyarrow takes as long as reading so many bytes row by row."""
_BLOCK_BYTES = 1 << 22
_JSON_ROW = f'{{"{COLUMNS[0]}": '.encode()
"""How a row in JSON begins."""
_CLOSINGS = (f"\n# {CLOSED}".encode(), f"\n{CLOSED}".encode())
NOT_CLOSED = (
    "its end is missing: its run was killed or still goes on, its disk was full, or the file was cut short"
)
_CHANGED = "it was changed after it was closed, so its figures may be wrong"


_OWN = re.compile(rb"(?:# )?\{.{0,40}energymeter log")


def is_own(start: bytes) -> bool:
    """Whether a text that begins so is a log of ours, of whatever version."""
    return _OWN.match(start) is not None


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
    header = parse_header(path, first.removeprefix("# "))
    rows = _Rows(empty_records(path, header))
    long = most is None and _is_long(file)
    if not first.startswith("#"):
        if long:
            _take_json_blocks(rows, lines)
        else:
            rows.take(_json_rows(lines))
    elif long:
        _take_blocks(rows, lines)
    else:
        rows.take(csv.DictReader(lines, restval=""))
    records, damage = rows.finished(), rows.damage
    damage = damage or lines.damage
    end = _Closing(notes=(NOT_CLOSED,))
    if lines.closing is not None:
        end = _closing(lines.closing, lines.sha256)
        if lines.after_closing and not damage:
            damage = "rows follow its closing record"
    return [
        record._replace(
            damage=damage,
            window_s=end.window_s,
            spans=end.spans,
            notes=(*end.notes, *record.notes),
            end=end.run_end,
        )
        for record in records
    ]


class _Closing(NamedTuple):
    """What the end of a log says; ``notes``: what is wrong with it, or missing."""

    window_s: tuple[float, float] | None = None
    spans: dict[str, RecordedSpans] = {}  # noqa: RUF012 - never written to
    notes: tuple[str, ...] = ()
    run_end: RunEnd | None = None


def _closing(text: str, before: "hashlib._Hash") -> _Closing:
    try:
        closed = json.loads(text)["closed"]
        window, (spans, notes), run_end = window_of(closed), spans_of(closed), run_end_of(closed)
        sha256 = closing_checksum(before, closed["window_s"], closed.get("spans"), closed.get("end"))
        # also what JSON does not mind, such as another space, is a change
        fits = closed["sha256"] == sha256 and text == json.dumps({"closed": closed}) + "\n"
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        fits = False
    return _Closing(window, spans, notes, run_end) if fits else _Closing(notes=(_CHANGED,))


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

    def blocks(self, size: int) -> Iterator[bytes]:
        """The lines that follow, in blocks of about so many bytes, of a file that is not compressed."""
        while block := self._file.read(size):
            rest = b""
            if not block.endswith(b"\n"):
                block += self._file.readline(Lines.MOST)
                if not block.endswith(b"\n"):  # the file ends here, or the line never does
                    end = block.rfind(b"\n") + 1
                    block, rest = block[:end], block[end:]
            closing = _closing_in(block)
            if closing >= 0:
                line, _, after = block[closing:].partition(b"\n")
                self.closing = line.decode("utf-8", errors="replace").removeprefix("# ") + "\n"
                self.after_closing = bool(after or rest or self._file.read(1))
                block = block[:closing]
            whole, damaged = _up_to_long_line(block)
            if whole:
                self.sha256.update(whole)
                yield whole
            if damaged or len(rest) >= Lines.MOST:
                self.damage, self.closing, self.after_closing = "a row of it has no end", None, False
            elif rest and closing < 0:
                self.damage = "its last row is cut off"
            if closing >= 0 or self.damage:
                return

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


def _closing_in(block: bytes) -> int:
    """Where the line of a closing record begins; -1: there is none."""
    if block.find(b"{") < 0:  # as in every block of a CSV but the last: much faster than the following
        return -1
    for sign in _CLOSINGS:
        if block.startswith(sign[1:]):
            return 0
        if (at := block.find(sign)) >= 0:
            return at + 1
    return -1


def _up_to_long_line(block: bytes) -> tuple[bytes, bool]:
    """The lines before the first that is too long, and whether there is one."""
    begin = 0
    while len(block) - begin >= Lines.MOST:
        end = block.rfind(b"\n", begin, begin + Lines.MOST - 1) + 1
        if end <= begin:
            return block[:begin], True
        begin = end
    return block, False


def _json_rows(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError("a row is no object")
        yield row


class _Rows:
    """The rows of each channel, up to the first that is damaged."""

    def __init__(self, records: list[Record]) -> None:
        self._names = [record.name for record in records]
        self._rows_of = {record.name: ChannelRows(record) for record in records}
        self._columns = {record.name: record.columns for record in records}
        self._newest = dict.fromkeys(self._rows_of, -math.inf)
        self._only = records[0].name if len(records) == 1 else None
        self.damage = ""

    def finished(self) -> list[Record]:
        """The records with their rows."""
        return [self._rows_of[name].finished() for name in self._names]

    def take(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add rows one by one."""
        newest, only = self._newest, self._only
        try:
            for row in rows:
                name = only if only is not None else row["source"]
                columns = self._columns[name]
                numbers = [_cell(row[column]) for column in COLUMNS]
                if None in row or not numbers[0] > newest[name]:
                    raise ValueError("it does not go forward in time")
                newest[name] = numbers[0]
                for column, value in zip(COLUMNS, numbers, strict=True):
                    columns[column].append(value)
                if len(columns["time_s"]) >= BLOCK_ROWS:
                    self._rows_of[name].take()
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError, csv.Error) as unreadable:
            count = sum(map(len, self._rows_of.values()))
            self.damage = f"its row {count + 1} is damaged ({unreadable})"

    def take_columns(self, name: str, block: "dict[str, npt.NDArray[np.float64]]") -> bool:
        """Add plain rows of one channel; whether they go forward in time, else none is added."""
        times = block["time_s"]
        if not self.goes_on(name, times):
            return False
        columns = self._columns[name]
        self._newest[name] = float(times[-1])
        begin = 0
        while begin < len(times):
            end = begin + BLOCK_ROWS - len(columns["time_s"])
            for column in COLUMNS:
                columns[column].frombytes(block[column][begin:end].view("u1").data)
            if len(columns["time_s"]) >= BLOCK_ROWS:
                self._rows_of[name].take()
            begin = end
        return True

    def goes_on(self, name: str, times: "npt.NDArray[np.float64]") -> bool:
        """Whether these times are each later than the one before, and than the channel's newest."""
        import numpy as np

        return bool(np.all(np.diff(times, prepend=self._newest[name]) > 0) and np.all(np.isfinite(times)))

    @property
    def names(self) -> list[str]:
        """The names of the channels."""
        return self._names


def _is_long(file: IO[bytes]) -> bool:
    """Whether whole columns are worth their imports, and possible."""
    try:
        size = os.fstat(file.fileno()).st_size
    except OSError:
        return False
    long = size >= (_LONG_BYTES // 8 if "pyarrow" in sys.modules else _LONG_BYTES)
    return long and importlib.util.find_spec("pyarrow") is not None


def _take_blocks(rows: _Rows, lines: "_HashedLines") -> None:
    """Whole columns of each block of rows that are plain, and the others one by one: the same rows."""
    titles = next(iter(lines), "")
    names = next(csv.reader([titles]), [])
    if '"' in titles or "\r" in titles or not names:
        rows.take(csv.DictReader(itertools.chain([titles], lines), restval=""))
        return
    for block in (blocks := lines.blocks(_BLOCK_BYTES)):
        if b'"' in block:  # a cell may go on in the next block
            following = itertools.chain.from_iterable(map(_lines_of, itertools.chain([block], blocks)))
            rows.take(csv.DictReader(following, names, restval=""))
        elif not _take_block(rows, block, names):
            rows.take(csv.DictReader(_lines_of(block), names, restval=""))
        if rows.damage:
            lines.closing, lines.after_closing = None, False
            return


def _take_json_blocks(rows: _Rows, lines: "_HashedLines") -> None:
    """Whole columns of each block of JSON lines that are plain, and the others one by one: the same rows."""
    for block in lines.blocks(_BLOCK_BYTES):
        if not _take_json_block(rows, block):
            rows.take(_json_rows(_lines_of(block)))
        if rows.damage:
            lines.closing, lines.after_closing = None, False
            return


def _lines_of(block: bytes) -> list[str]:
    return [line + "\n" for line in block.decode("utf-8", errors="replace").split("\n")[:-1]]


def _take_block(rows: _Rows, block: bytes, names: list[str]) -> bool:
    """Whether all rows of a block were plain and were added."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    several = len(rows.names) > 1
    wanted = [*COLUMNS, "source"] if several else [*COLUMNS]
    if b"\r" in block or len(set(names)) < len(names) or not set(wanted) <= set(names):
        return False
    kinds: dict[str, Any] = dict.fromkeys(COLUMNS, pa.float64())
    try:
        table = pa_csv.read_csv(
            pa.py_buffer(block),
            read_options=pa_csv.ReadOptions(column_names=names, block_size=len(block) + 1, use_threads=False),
            parse_options=pa_csv.ParseOptions(ignore_empty_lines=False),
            convert_options=pa_csv.ConvertOptions(
                include_columns=wanted,
                column_types={**kinds, "source": pa.dictionary(pa.int32(), pa.string())},
                null_values=[""],
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowException:
        return False
    return bool(table.num_rows) and _take_table(rows, table)


def _take_json_block(rows: _Rows, block: bytes) -> bool:
    """Whether all rows of a block were plain and were added: each an object with all columns on its line."""
    import pyarrow as pa
    import pyarrow.json as pa_json

    count = block.count(b"\n")
    wanted = [*COLUMNS, "source"] if len(rows.names) > 1 else [*COLUMNS]
    if not block.isascii() or not block.startswith(_JSON_ROW) or block.count(b"\n" + _JSON_ROW) != count - 1:
        return False
    kinds = [(name, pa.string() if name == "source" else pa.float64()) for name in wanted]
    try:
        table = pa_json.read_json(
            pa.BufferReader(block),
            read_options=pa_json.ReadOptions(use_threads=False, block_size=len(block) + 1),
            parse_options=pa_json.ParseOptions(
                explicit_schema=pa.schema(kinds), unexpected_field_behavior="ignore"
            ),
        )
    except pa.ArrowException:
        return False
    if table.num_rows != count or ("source" in wanted and table.column("source").null_count):
        return False
    unknown = [name for name in COLUMNS if table.column(name).null_count]
    if unknown and block.count(b"{") != count:
        return False
    if any(block.count(f'"{name}": '.encode()) != count for name in unknown):  # it may not be there
        return False
    if "source" in wanted:
        sources = table.column("source").combine_chunks().dictionary_encode()
        table = table.set_column(table.schema.get_field_index("source"), "source", sources)
    return _take_table(rows, table)


def _take_table(rows: _Rows, table: Any) -> bool:
    """Whether the rows of a table of pyarrow are of known channels, go forward in time, and were added."""
    import numpy as np
    import pyarrow as pa

    from energymeter.recordings.arrow import plain

    columns = {name: _finite(table.column(name).combine_chunks()) for name in COLUMNS}
    if len(rows.names) == 1:
        return rows.take_columns(rows.names[0], columns)
    sources = table.column("source").combine_chunks()
    if isinstance(sources, pa.ChunkedArray):
        sources = sources.chunk(0)
    found = sources.dictionary.to_pylist()
    if set(found) - set(rows.names):
        return False
    owners = plain(sources.indices, np.int32)
    parts = {
        name: {column: values[owners == place] for column, values in columns.items()}
        for place, name in enumerate(found)
    }
    if not all(rows.goes_on(name, part["time_s"]) for name, part in parts.items()):
        return False
    for name, part in parts.items():
        rows.take_columns(name, part)
    return True


def _finite(column: Any) -> Any:
    """A column's finite numbers, NaN where there is none."""
    import numpy as np

    from energymeter.recordings.arrow import plain

    values = plain(column.chunk(0) if hasattr(column, "chunk") else column)
    known = np.isfinite(values)
    return values if known.all() else np.where(known, values, np.nan)


def _cell(value: Any) -> float:
    """One number of our own files; NaN where it is empty.

    Raises:
        TypeError, ValueError: it is no number.
    """
    if value == "" or value is None:
        return math.nan
    converted = float(value)
    return converted if math.isfinite(converted) else math.nan
