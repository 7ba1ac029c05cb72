"""One cell of a table, and the column it stands in: from text to an SI number."""

import math
from typing import NamedTuple

from energymeter.recordings.titles import SYMBOLS
from energymeter.units import UNITS, amount, find_unit

MOST_SI = 1e15
"""In SI; a larger number is damage, or a code for no value."""


class Column(NamedTuple):
    """A column that is read."""

    place: int
    title: str
    quantity: str
    factor: float | None
    """To SI; ``None``: the unit stands in each cell."""
    kind: str = ""
    unit: str = ""

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
    if decimal == ",":
        cell = cell.replace(".", "").replace(",", ".") if "," in cell else cell
    try:
        value = float(cell)
    except ValueError:
        found = amount(cell)
        if found is None:
            return math.nan
        value, unit = found
        if unit:
            known = find_unit(unit)
            if known is None or known[0] != column.quantity:
                return math.nan
            return _plausible(value * UNITS[known[0]][known[1]])
    if "_" in cell or column.factor is None:
        return math.nan
    return _plausible(value * column.factor)


def _plausible(value: float) -> float:
    return value if abs(value) < MOST_SI else math.nan
