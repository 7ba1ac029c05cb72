"""What the columns of a table mean: its time, its device and its quantities."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from energymeter.reading import Place, Semantics
from energymeter.recordings.cells import Column, cell_value
from energymeter.recordings.formats import Format
from energymeter.recordings.record import ARRIVAL
from energymeter.recordings.shape import DELIMITERS, Shape
from energymeter.recordings.times import TimeColumn

__all__ = ["ARRIVAL", "Layout", "name_of"]


class Layout(NamedTuple):
    """What the columns of a table mean."""

    shape: Shape
    format: Format | None
    time: Callable[[Sequence[str]], float]
    """Seconds of a row, from an origin that is the same for all. Raises ValueError or IndexError."""
    time_column: TimeColumn
    time_title: str
    time_places: tuple[int, ...]
    """The columns of the time, a date before its time of day; empty: the rows bring none."""
    devices: tuple[int, ...]
    columns: tuple[Column, ...]
    volts: float | None
    """A constant voltage that was given."""
    semantics: Semantics
    place: Place
    notes: tuple[str, ...]
    others: tuple[str, ...]
    """Further columns of power, which may be contained in the one that is read."""

    def value(self, column: Column, cells: Sequence[str]) -> float:
        """The SI number of a cell; NaN where it has none."""
        return cell_value(
            cells[column.place] if column.place < len(cells) else "", column, self.shape.decimal
        )

    def name(self) -> str:
        """The format's name, for people."""
        return name_of(self.format, self.shape)

    def said(self, channels: int = 1) -> str:
        """What was recognised, for people."""
        known = [
            f"{self.time_title or 'time'} {self.time_column.said}",
            *(column.said for column in self.columns),
        ]
        if self.volts is not None:
            known.append(f"at {self.volts:g} V")
        if channels > 1:
            known.append(f"{channels} channels")
        return f"{self.name()}: {', '.join(known)}"

    def explained(self) -> list[str]:
        """Each column and what it is taken for."""
        roles = {column.place: f"{column.quantity} [{column.symbol}]" for column in self.columns}
        times = {self.time_title, *self.time_title.split(" and ")}
        said = []
        for place, title in enumerate(self.shape.titles):
            role = roles.get(place, "not used")
            if title in times and place not in roles:
                role = f"time {self.time_column.said}"
            elif place in self.devices:
                role = "device"
            elif title in self.others:
                role = "not used: it may be contained in the power that is read"
            said.append(f"  {place + 1}. {title or '(empty)'}: {role}")
        return said


def name_of(known: Format | None, shape: Shape) -> str:
    """What a table is called, for people."""
    if known is not None:
        return known.name
    if shape.log:
        return shape.log
    return (
        "CSV"
        if shape.delimiter == ","
        else f"table with {DELIMITERS.get(shape.delimiter, repr(shape.delimiter))}"
    )
