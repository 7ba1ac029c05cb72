"""One cell of a table, and the column it stands in: from text to an SI number."""

import math
import re
from typing import NamedTuple

from energymeter.recordings.titles import SYMBOLS
from energymeter.units import UNITS, amount, find_unit

MOST_SI = 1e15
"""In SI; a larger number is damage, or a code for no value."""
CODES = frozenset(
    sign * code
    for sign in (1.0, -1.0)
    for code in (
        999, 9999, 99999, 999999, 9999999, 999.9, 9999.9, 32767, 32768, 65535, 8388607, 16777215, 2147483647,
        2147483648, 4294967295, 2147483.647, 4294967.295, 9223372036854775807, 18446744073709551615,
    )
)  # fmt: skip
"""Numbers that devices write where they have no value."""
_GROUPED = {
    decimal: re.compile(
        rf"[-+]?\d{{1,3}}(?P<mark>[{other}'’ \u00a0\u202f\u2009])\d{{3}}(?:(?P=mark)\d{{3}})*(?![\d{other}])"
    )
    for decimal, other in ((".", ","), (",", "."))
}
"""Thousands that are set apart, by decimal mark."""


class Column(NamedTuple):
    """A column that is read."""

    place: int
    title: str
    quantity: str
    factor: float | None
    """To SI; ``None``: the unit stands in each cell."""
    kind: str = ""
    unit: str = ""
    highest: float = math.inf
    """As it is written; a larger number that is one of `CODES` is no value."""
    assumed: bool = False
    """Nothing says the unit: SI, because the first numbers are such as boards draw."""

    @property
    def symbol(self) -> str:
        """The unit, for people."""
        return self.unit or ("in the cells" if self.factor is None else SYMBOLS[self.quantity])

    @property
    def said(self) -> str:
        """For people."""
        unit = self.symbol
        return (
            self.title
            if f"[{unit}]" in self.title
            else f"{self.title or f'column {self.place + 1}'} [{unit}]"
        )


def cell_value(cell: str, column: Column, decimal: str = ".") -> float:
    """The SI number of a cell; NaN where it has none.

    >>> draw = Column(0, "draw", "watts", None)
    >>> cell_value("45.00 W", draw), cell_value("[N/A]", draw)
    (45.0, nan)
    """
    try:
        value = float(cell if decimal == "." else python_number(cell, decimal))
    except ValueError:
        found = amount(python_number(cell, decimal))
        if found is None:
            return math.nan
        value, unit = found
        if unit:
            known = find_unit(unit)
            if known is None or known[0] != column.quantity:
                return math.nan
            return _plausible(value * UNITS[known[0]][known[1]])
    if "_" in cell or column.factor is None or (abs(value) > column.highest and value in CODES):
        return math.nan
    return _plausible(value * column.factor)


def python_number(cell: str, decimal: str) -> str:
    """A cell with its number as Python writes it: a point, no thousands set apart, the minus of ASCII.

    >>> python_number("\u22121.234,5 W", ","), python_number("10 000.5", "."), python_number("1,5", ",")
    ('-1234.5 W', '10000.5', '1.5')
    """
    cell = cell.strip().replace("\u2212", "-")
    grouped = _GROUPED[decimal].match(cell)
    if grouped is not None:
        mark = grouped["mark"]
        cell = cell[: grouped.end()].replace(mark, "") + cell[grouped.end() :]
    return cell.replace(",", ".", 1) if decimal == "," else cell


def _plausible(value: float) -> float:
    return value if abs(value) < MOST_SI else math.nan
