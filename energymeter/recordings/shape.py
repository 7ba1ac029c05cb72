"""The shape of a table in a text: its encoding, delimiter, decimal mark, titles, and where its rows begin."""

import codecs
import csv
import itertools
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from energymeter.errors import LogError
from energymeter.recordings.cells import python_number
from energymeter.recordings.times import clock_of, is_missing
from energymeter.recordings.titles import meaning
from energymeter.text import printable
from energymeter.units import amount, find_unit, number

DELIMITERS = {"\t": "tab", ";": "semicolon", "|": "bar", ",": "comma", " ": "spaces"}
"""In the order in which they win: a comma may also be the decimal mark, and a space may stand in a date."""
_COMMA_NUMBER, _POINT_NUMBER = (
    re.compile(
        rf"[-+\u2212]?\d*(?:[{other}'’ \u00a0\u202f]\d{{3}})*{mark}\d+(?:[eE][-+]?\d+)?\s*[^\d\s]{{0,5}}$"
    )
    for mark, other in ((",", "."), (r"\.", ","))
)
_ONE_GROUP = {
    mark: re.compile(rf"[-+\u2212]?[1-9]\d{{0,2}}[{mark}]\d{{3}}(?:\s*[^\d\s]{{1,5}})?$") for mark in ",."
}
"""``10,000`` is ten or ten thousand."""
_RULE = re.compile(r"[\s|+:=-]*[-=]{2}[\s|+:=-]*$")
"""A line that only parts the titles from the rows, as in Markdown."""
COMMENTS = ("#", "//", "%", "!", ";")
"""What lines between the rows begin with that are none."""
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_UNTITLED = 0.8
"""A delimiter that finds no titles is less likely: a decimal comma parts numbers and no titles."""
MOST_COLUMNS, _WIDTH_LINES = 4096, 50
_PREAMBLE_ROWS, _PREAMBLE_LINES = 3, 40
"""Settings above the titles that look like rows: of any kind, and those that begin with a name."""
_MOST_CONTROL = 0.02
"""The largest share of control characters that a text file may contain."""


class Shape(NamedTuple):
    """How the cells of a table are found."""

    delimiter: str
    decimal: str
    titles: tuple[str, ...]
    """Empty where no line names the columns."""
    rows_from: int
    """The line on which the first row stands, from 0."""
    preamble: tuple[str, ...]
    """The lines above the titles."""
    unclear: str = ""
    """A number that may be thousands or have decimals, where no other number of the table says which."""
    log: str = ""
    """What the table was made of, where it was no table."""

    def cells(self, line: str) -> list[str]:
        """The cells of one line, without the spaces around them."""
        return split(line, self.delimiter)

    @property
    def said(self) -> str:
        """How the cells were found, for people."""
        return (
            f"in {self.log}"
            if self.log
            else f"parted by {DELIMITERS.get(self.delimiter, repr(self.delimiter))}"
        )


def encoding_of(start: bytes) -> str | None:
    """The encoding of a text by its first bytes; ``None``: it is no text.

    >>> encoding_of(b"a,b"), encoding_of("µ".encode("latin-1")), encoding_of("a,b".encode("utf-16"))
    ('utf-8-sig', 'cp1252', 'utf-16')
    """
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if len(start) > 3 and any(start[:16]):
        if not any(start[1:16:2]):
            return "utf-16-le"
        if not any(start[0:16:2]):
            return "utf-16-be"
    if b"\0" in start or len(_CONTROL.findall(start)) > max(4, _MOST_CONTROL * len(start)):
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def split(line: str, delimiter: str) -> list[str]:
    """The cells of one line."""
    if delimiter == " ":
        return line.split()
    try:
        cells = next(csv.reader([line.strip("\r\n")], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []
    cells = [cell.strip() for cell in cells]
    if delimiter == "|" and len(cells) > 2 and not cells[0] and not cells[-1]:
        return cells[1:-1]
    return cells


def check_width(path: str, lines: Sequence[str], delimiter: str = "") -> None:
    """Refuse a table of more columns than anybody logs: to find what each means takes time and memory.

    Raises:
        LogError: it has more than `MOST_COLUMNS`.
    """
    for each in [delimiter] if delimiter else DELIMITERS:
        width = max((line.count(each) for line in lines[:_WIDTH_LINES]), default=0) + 1
        if width > MOST_COLUMNS:
            raise LogError(
                f"{path} has {width} columns, parted by {DELIMITERS.get(each, repr(each))}, and at most "
                f"{MOST_COLUMNS} are read; keep those of the time and the power, as in "
                f"cut {shlex.quote(f'-d{each}')} -f1,2 {shlex.quote(path)} > less.csv"
            )


def shape_of(lines: Sequence[str], delimiter: str = "", decimal: str = "") -> Shape | None:
    """The shape of the table whose first lines these are; ``None``: there is no table in them.

    Args:
        lines: the first few hundred, whole, in order.
        delimiter: the user's; empty: found out.
        decimal: the decimal mark, likewise.
    """
    if not delimiter and lines and (asked := re.match(r"\s*sep=(.)\s*$", lines[0].strip("\r\n"))):
        delimiter = asked[1]
    shapes = [
        shape for each in ([delimiter] if delimiter else DELIMITERS) if (shape := _by(lines, each, decimal))
    ]
    if not shapes:
        return None
    most = max(score for score, _ in shapes)
    return next(shape for score, shape in shapes if score >= 0.9 * most)


def _by(lines: Sequence[str], delimiter: str, decimal: str) -> tuple[float, Shape] | None:
    """How much of the lines is a table with this delimiter, and its shape."""
    table = [
        (place, split(line.lstrip("#"), delimiter))
        for place, line in enumerate(lines)
        if line.strip() and not _RULE.match(line)
    ]
    wide = [(place, cells) for place, cells in table if len(cells) > 1]
    table = wide if wide or delimiter != "," else table  # one column alone is a table of nothing else
    rows = [(place, cells) for place, cells in table if not lines[place].startswith("#") and _is_row(cells)]
    if not rows:
        return _titles_alone(lines, table, delimiter)
    widths = Counter(len(cells) for _, cells in rows[len(rows) // 2 :])
    width = max(widths, key=lambda w: (widths[w], w))
    regular = [(place, cells) for place, cells in rows if abs(len(cells) - width) <= 1]
    if not regular:
        return None
    first = regular[0][0]
    at, titles = _titles(table, first, width)
    below = _below_preamble(table, regular, width)
    if below is not None and (
        at is None or len(regular[0][1]) != width or _meanings(below[2]) > _meanings(titles)
    ):
        first, at, titles = below
    units = at is not None and _units_below(lines, at, first, delimiter)
    if units:
        titles = tuple(f"{t} [{u.strip('[]()')}]" if u else t for t, u in zip(titles, units, strict=False))
    preamble = tuple(lines[: first if at is None else at])
    found, unclear = _decimal([cells for _, cells in regular], delimiter)
    unclear = "" if decimal else unclear
    share = len(regular) / max(
        1, sum(1 for place, line in enumerate(lines) if place >= first and line.strip())
    )
    shape = Shape(delimiter, decimal or found, titles, first, preamble, unclear)
    return share * (1.0 if width > 1 else 0.1) * (1.0 if titles else _UNTITLED), shape


def _below_preamble(
    table: Sequence[tuple[int, list[str]]], regular: Sequence[tuple[int, list[str]]], width: int
) -> tuple[int, int, tuple[str, ...]] | None:
    """The first row and the titles, where lines such as ``Serial 0012`` above them look like rows."""
    for above, (place, _) in enumerate(regular[1 : _PREAMBLE_LINES + 1], 1):
        if above > _PREAMBLE_ROWS and any(_is_value(cells[0]) for _, cells in regular[:above]):
            return None  # a setting begins with its name
        at, titles = _titles([line for line in table if line[0] > regular[0][0]], place, width)
        if at is not None and not any(title.lstrip("\"' +-")[:1].isdigit() for title in titles):
            return place, at, titles
    return None


def _meanings(titles: Sequence[str]) -> int:
    """How many of them name a quantity."""
    return sum(meaning(title).quantity is not None for title in titles)


def _is_row(cells: Sequence[str]) -> bool:
    """Whether these are values and not titles: a share of numbers, amounts and times among them."""
    filled = [cell for cell in cells if cell]
    values = sum(_is_value(cell) for cell in filled)
    missing = sum(is_missing(cell) for cell in filled)
    return values > 0 and (values + missing) * 3 >= len(filled)


def _is_value(cell: str) -> bool:
    text = cell.strip()
    if not text or not (text[0].isdigit() or text[0] in "+-.,\u2212"):
        return clock_of(text) is not None
    return (
        amount(text) is not None
        or any(amount(python_number(text, decimal)) is not None for decimal in ",.")
        or clock_of(text) is not None
        or (text[0].isdigit() and (":" in text or text.replace(".", "").replace(",", "").isdigit()))
    )


def _titles(
    table: Sequence[tuple[int, list[str]]], first: int, width: int
) -> tuple[int | None, tuple[str, ...]]:
    """The line above the first row that names the columns; one of units alone, if there is no other."""
    units: tuple[int | None, tuple[str, ...]] = None, ()
    for place, cells in reversed(table):
        if place >= first:
            continue
        named = [cell for cell in cells if cell and not _is_value(cell)]
        if abs(len(cells) - width) <= 2 and len(named) * 2 >= min(width, len(cells)):
            found = place, tuple(printable(cell.strip()) for cell in cells)
            if not _all_units(cells):
                return found
            units = found
    return units


def _units_below(lines: Sequence[str], titles: int, first: int, delimiter: str) -> list[str]:
    """A line of units between the titles and the rows."""
    for line in lines[titles + 1 : first]:
        cells = split(line, delimiter)
        if _all_units(cells):
            return cells
    return []


def _all_units(cells: Sequence[str]) -> bool:
    filled = [cell.strip("[]()") for cell in cells if cell.strip("[]() ")]
    return len(filled) > 1 and sum(find_unit(cell) is not None for cell in filled) * 3 >= 2 * len(filled)


def _titles_alone(
    lines: Sequence[str], table: Sequence[tuple[int, list[str]]], delimiter: str
) -> tuple[float, Shape] | None:
    """A table whose rows are still to come."""
    if not table or len(table[-1][1]) < 2:
        return None
    alike = [*itertools.takewhile(lambda line: len(line[1]) == len(table[-1][1]), reversed(table))]
    place, cells = alike[-1] if len(alike) > _PREAMBLE_ROWS else table[-1]  # rows that cannot be read
    begin = len(lines) if place == table[-1][0] else place + 1
    shape = Shape(delimiter, ".", tuple(map(printable, cells)), begin, tuple(lines[:place]))
    return 0.01 * len(cells), shape


def _decimal(rows: Sequence[Sequence[str]], delimiter: str) -> tuple[str, str]:
    """The decimal mark, by the numbers that have one, and a number that leaves it open.

    Where commas part the cells, most numbers must have one.
    """
    cells = [cell for row in rows for cell in row]
    commas = [cell for cell in cells if _COMMA_NUMBER.match(cell)]
    points = [cell for cell in cells if _POINT_NUMBER.match(cell)]
    numbers = sum(number(cell) is not None for cell in cells) if delimiter == "," else 0
    mark = "," if len(commas) > max(len(points), numbers / 2) else "."
    open_commas = [cell for cell in commas if _ONE_GROUP[","].match(cell)]
    open_points = [cell for cell in points if _ONE_GROUP["."].match(cell)]
    by_comma, by_point = len(commas) > len(open_commas), len(points) > len(open_points)
    if by_comma != by_point:
        return (mark if not (commas and points) else "," if by_comma else "."), ""
    if by_comma or (commas and points):
        return mark, ""
    if commas and delimiter != ";":  # a semicolon parts the cells because the comma does not
        return mark, open_commas[0]
    return mark, open_points[0] if points and delimiter in ";\t" else ""


def rows_of(lines: Iterator[str], shape: Shape) -> Iterator[list[str]]:
    """The cells of every line from here on."""
    if shape.delimiter == " ":
        return (line.split() for line in lines if line.strip())
    if shape.delimiter == "|":
        return (split(line, "|") for line in lines if not _RULE.match(line))
    return csv.reader(lines, delimiter=shape.delimiter, skipinitialspace=True)
