"""Text tables that grow: the new lines of a file, and the readings in CSV columns or tegrastats rails."""

import csv
import os
import re
from datetime import datetime
from typing import BinaryIO, NamedTuple

from energymeter.drivers.protocols.jetson import printed_rails
from energymeter.drivers.protocols.text_fields import Fields
from energymeter.errors import SourceError, SourceForbidden, SourceMissing
from energymeter.reading import Reading
from energymeter.units import number

LONGEST_LINE = 1 << 16
_BLOCK = 1 << 20


class Row(NamedTuple):
    """One sample, and the writer's time of it in seconds where it gives one."""

    reading: Reading
    seconds: float | None


class Table:
    """The columns of a CSV file, found from its header or given by number.

    Args:
        fields: the quantities and the columns they stand in.
        time, second: the column of the time, if any, and how many seconds one of it is.
        delimiter: empty: found out.
    """

    def __init__(
        self, fields: Fields, name: str, *, time: str = "", second: float = 1.0, delimiter: str = ""
    ) -> None:
        self._fields, self._name = fields, name
        self._time, self._second = time, second
        self._asked = delimiter
        self.begin()

    def begin(self) -> None:
        """Forget the header: another file begins."""
        self._delimiter = self._asked
        self._columns: dict[str, int] | None = None
        self._above: list[str] = []

    @property
    def known(self) -> bool:
        """Whether the columns have been found."""
        return self._columns is not None

    def row(self, line: str) -> Row | None:
        """The sample in this line; ``None``: a comment, the header, or something above it.

        Raises:
            ValueError: it should be a row and is none.
            SourceError: numbers begin, and no header named these columns.
        """
        if not line.strip() or line.lstrip().startswith("#"):
            return None
        if self._columns is None and not self._find(line):
            return None
        try:
            cells = next(csv.reader([line], delimiter=self._delimiter))
        except (csv.Error, StopIteration) as error:
            raise ValueError(line) from error
        try:
            reading = self._fields.reading(lambda column: self._cell(cells, column), self._name)
        except SourceError as error:
            raise ValueError(line) from error
        return Row(reading, self._seconds(self._cell(cells, self._time)) if self._time else None)

    def _find(self, line: str) -> bool:
        """Look for the columns in this line; whether the line is already a row of numbers."""
        wanted = [f.selector for f in self._fields.all] + ([self._time] if self._time else [])
        split = {d: _split(line, d) for d in ([self._asked] if self._asked else [",", ";", "\t", "|"])}
        for delimiter, cells in split.items():
            columns = {w: place for w in wanted if (place := _place(w, cells)) is not None}
            if len(columns) == len(wanted):
                self._delimiter, self._columns = delimiter, columns
                return all(w.isdigit() for w in wanted) and _numeric(cells, columns[wanted[0]])
        cells = max(split.values(), key=len)
        if sum(number(c) is not None for c in cells) >= max(1, len(cells) // 2):
            header = self._above[-1] if self._above else "(none)"
            raise SourceError(
                f"{self._name} has no columns {', '.join(wanted)}; its header is {header!r:.200}: "
                "name columns of it, or number them from 1"
            )
        self._above = [line]
        return False

    def _cell(self, cells: list[str], column: str) -> str:
        assert self._columns is not None
        place = self._columns[column]
        cell = cells[place].strip() if place < len(cells) else ""
        decimal_comma = self._delimiter != "," and cell.count(",") == 1 and "." not in cell
        return cell.replace(",", ".") if decimal_comma else cell

    def _seconds(self, cell: str) -> float:
        value = number(cell)
        if value is not None:
            return value * self._second
        iso = re.sub(r"[Zz]$", "+00:00", cell)
        iso = re.sub(r"\.(\d+)", lambda m: "." + m[1][:6].ljust(6, "0"), iso)  # all that Python 3.10 reads
        return datetime.fromisoformat(iso).timestamp()


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _place(wanted: str, cells: list[str]) -> int | None:
    if wanted.isascii() and wanted.isdigit():
        return int(wanted) - 1 if 0 < int(wanted) <= len(cells) else None
    if wanted in cells:
        return cells.index(wanted)
    folded = [cell.casefold() for cell in cells]
    return folded.index(wanted.casefold()) if wanted.casefold() in folded else None


def _numeric(cells: list[str], place: int) -> bool:
    return number(cells[place].replace(",", ".")) is not None


class Tail:
    """A file's new lines.

    Args:
        path: the file.
        name: what to call the source in errors.
    """

    def __init__(self, path: str, name: str) -> None:
        self._path, self._name = path, name
        self._file: BinaryIO | None = None
        self._rest = b""
        self.dropped = 0
        """Lines too long to be rows, thrown away."""

    def open(self) -> None:
        """Start at the top.

        Raises:
            SourceMissing, SourceForbidden, SourceError: as the message says.
        """
        self.close()
        try:
            self._file = open(self._path, "rb", buffering=0)  # noqa: SIM115
        except FileNotFoundError as error:
            raise SourceMissing(
                f"{self._name}: there is no such file; start its writer first, or correct the path"
            ) from error
        except PermissionError as error:
            raise SourceForbidden(f"{self._name}: this user may not read the file; chmod a+r it") from error
        except OSError as error:
            raise SourceError(f"{self._name} cannot be read ({error.strerror}); give a plain file") from error

    def close(self) -> None:
        """Let the file go."""
        file, self._file, self._rest = self._file, None, b""
        if file is not None:
            file.close()

    def lines(self) -> list[str]:
        """The whole lines since last time, a megabyte at most; a half-written one waits for its end."""
        if self._file is None:
            return []
        try:
            *lines, self._rest = (self._rest + self._file.read(_BLOCK)).split(b"\n")
        except OSError as error:
            raise SourceError(
                f"{self._name} cannot be read any more ({error.strerror}); give a plain file"
            ) from error
        if len(self._rest) > LONGEST_LINE:
            self.dropped, self._rest = self.dropped + 1, b""
        return [line.decode("utf-8-sig", errors="replace").rstrip("\r") for line in lines]

    def skip(self) -> None:
        """Leave out everything up to the start of the last, perhaps half-written, line."""
        if self._file is None:
            return
        end = self._file.seek(0, os.SEEK_END)
        start = self._file.seek(max(0, end - LONGEST_LINE))
        last = self._file.read(LONGEST_LINE).rfind(b"\n")
        self._file.seek(end if last < 0 and start else start + last + 1)
        self._rest = b""

    def restarted(self) -> bool:
        """Whether the file shrank or another took its name; then it has been begun again from the top.

        A name that is gone for the moment is waited for: a rotation is two steps.
        """
        try:
            now = os.stat(self._path)
        except FileNotFoundError:
            return False
        if self._file is not None:
            held = os.fstat(self._file.fileno())
            same = (held.st_dev, held.st_ino) == (now.st_dev, now.st_ino)
            if same and now.st_size >= self._file.tell():
                return False
        self.open()
        return True


class Tegrastats:
    """One rail of NVIDIA's tegrastats lines: the first of its numbers, which is the instant."""

    known = True

    def __init__(self, fields: Fields, name: str) -> None:
        self._fields, self._name = fields, name

    def begin(self) -> None:
        """Nothing to forget: every line is complete."""

    def row(self, line: str) -> Row | None:
        """The sample in this line; ``None``: no tegrastats line.

        Raises:
            SourceError: there are rails, and not this one.
        """
        rails = printed_rails(line)
        if not rails:
            return None
        wanted = self._fields.all[0].selector
        if wanted not in rails:
            raise SourceError(f"{self._name} has no rail {wanted}, but {', '.join(rails)}; correct watts=")
        return Row(self._fields.reading(rails.__getitem__, self._name), None)
