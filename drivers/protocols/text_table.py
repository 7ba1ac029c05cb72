"""Link helper that makes readings of text rows: the columns of a CSV file, the rails of a tegrastats log."""

import csv
import re
from datetime import datetime
from typing import NamedTuple

from energymeter.drivers.protocols.jetson import printed_rails
from energymeter.drivers.protocols.text_fields import Fields
from energymeter.errors import SourceError
from energymeter.reading import Reading
from energymeter.units import number


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


class Tegrastats:
    """One rail of NVIDIA's tegrastats lines: the first of its numbers, which is the instant."""

    known = True

    def __init__(self, fields: Fields, name: str) -> None:
        self._fields, self._name = fields, name

    def begin(self) -> None:
        """Nothing to forget: every line tells all."""

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
