"""Opens a text of others: plain or gzipped, in any encoding, a bounded line at a time."""

import contextlib
import gzip
import io
import os
from collections.abc import Iterator
from typing import NamedTuple, cast

from energymeter.errors import LogError
from energymeter.recordings.cells import python_number
from energymeter.recordings.record import DECOMPRESSION, Lines
from energymeter.recordings.shape import check_width, encoding_of, shape_of
from energymeter.text import printable
from energymeter.units import number

GZIP = b"\x1f\x8b"
BUFFER_BYTES = 1 << 16
"""Read before the encoding is decided."""
MOST_CHARACTERS = 64_000_000
"""The longest table that is held in memory as a whole."""
_OTHERS = {
    b"PK\x03\x04": "a spreadsheet or another zip archive; save its table as CSV, or unpack it",
    b"\xd0\xcf\x11\xe0": "a spreadsheet of an old kind; save its table as CSV",
    b"SQLite format 3": "an SQLite database; export its table, as in sqlite3 -header -csv",
    b"\x89HDF": "an HDF5 file; export its columns as CSV",
    b"%PDF": "a PDF; give the table that it was made of",
    b"PAR1": "a Parquet file; rename it so that it ends in .parquet",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; unpack it, as with unzstd",
    b"\xfd7zXZ": "compressed by xz; unpack it, as with unxz",
    b"version https://git-lfs": "a pointer of Git LFS and not the file itself; run git lfs pull",
    b"BZh": "compressed by bzip2; unpack it, as with bunzip2",
}
"""How files of other kinds begin, what they are, and what to do."""
_MOST_EXPANSION, _MOST_EXPANDED_BYTES = 200, 1 << 28
"""A log of a load that never changes is compressed to a fiftieth."""
_HEAD_LINES = 400


def text_of(path: str, file: io.BufferedReader) -> io.TextIOWrapper:
    """The text in an open file.

    Raises:
        LogError: it is no text.
    """
    start = file.peek(BUFFER_BYTES)[:BUFFER_BYTES]
    other = next((said for sign, said in _OTHERS.items() if start.startswith(sign)), None)
    if other is not None:
        recognised = f"{path} is {other}"
        raise LogError(recognised)  # it ends with the remedy
    encoding = encoding_of(start)
    if encoding is None:
        raise LogError(f"{path} is no log: it is not text; give a CSV or a log of energymeter")
    return io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="")


def starts_with(path: str, sign: bytes) -> bool:
    """Whether a file begins with these bytes.

    Raises:
        LogError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(len(sign)) == sign
    except OSError as error:
        raise LogError(f"{path} cannot be read ({error.strerror or error}); correct the path") from error


def most_expanded(file: io.BufferedReader) -> int:
    """How many bytes a compressed file may hold."""
    return max(_MOST_EXPANDED_BYTES, _MOST_EXPANSION * os.fstat(file.fileno()).st_size)


@contextlib.contextmanager
def open_lines(path: str) -> Iterator[Lines]:
    """The lines of a text file.

    Raises:
        LogError: it cannot be read, or is no text.
    """
    try:
        with contextlib.ExitStack() as stack:
            file = cast(io.BufferedReader, stack.enter_context(open(path, "rb", buffering=BUFFER_BYTES)))
            most = None
            if file.peek(2).startswith(GZIP):
                most = most_expanded(file)
                file = cast(io.BufferedReader, stack.enter_context(gzip.GzipFile(fileobj=file)))
            yield Lines(stack.enter_context(text_of(path, file)), most)
    except DECOMPRESSION as damage:
        raise LogError(f"{path} cannot be decompressed ({damage}); restore it") from damage
    except OSError as error:
        raise LogError(f"{path} cannot be read ({error.strerror or error}); correct the path") from error


class SmallText(NamedTuple):
    """All lines of a small file."""

    lines: list[str]
    damage: str
    """Why there are no more of them, if the file is not whole."""


def small_text(path: str) -> SmallText:
    """All lines of a file that must be small enough to hold: `MOST_CHARACTERS`.

    Raises:
        LogError: it is larger, cannot be read, is no text, or is damaged before the end of its first line.
    """
    kept: list[str] = []
    room = MOST_CHARACTERS
    with open_lines(path) as lines:
        for line in lines.whole():
            room -= len(line)
            if room < 0:
                raise LogError(f"{path} is larger than {MOST_CHARACTERS / 1e6:g} MB of text; split it")
            kept.append(line)
    if lines.damage and not kept:
        raise LogError(f"{path} holds no whole row: {lines.damage}; restore it")
    return SmallText(kept, lines.damage)


class TitledTable(NamedTuple):
    """A small table whose titles are known to its reader."""

    titles: tuple[str, ...]
    rows: list[tuple[int, list[str]]]
    """Each with the number of its line, from 1."""
    decimal: str
    parted: str = "parted by comma"
    """By what, for people."""

    @property
    def found(self) -> str:
        """What it has, for people."""
        if not any(self.titles):
            return "it has no titles" if self.rows else "it is empty"
        return f"it has, {self.parted}: {', '.join(map(printable, self.titles))}"

    def number(self, cell: str) -> float:
        """The number in a cell.

        Raises:
            ValueError: there is none.
        """
        value = number(python_number(cell, self.decimal))
        if value is None:
            raise ValueError(f"{printable(cell)!r:.40} is no number")
        return value


def titled_table(path: str) -> TitledTable:
    """A table of any delimiter, decimal mark and encoding, as text; no titles where it is empty.

    Raises:
        LogError: it cannot be read, is no text, or is damaged.
    """
    lines, damage = small_text(path)
    if damage:
        raise LogError(f"{path} is damaged: {damage}; restore it")
    check_width(path, lines)
    shape = shape_of(lines[:_HEAD_LINES])
    if shape is None:
        return TitledTable((), [], ".")
    first = min(shape.rows_from, len(shape.preamble) + 1)
    rows = [
        (place + 1, shape.cells(line))
        for place, line in enumerate(lines)
        if place >= first and line.strip() and not line.startswith("#")
    ]
    return TitledTable(shape.titles, rows, shape.decimal, shape.said)
