"""Makes readings of text rows: the columns of a growing table, the rails of a tegrastats log."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from energymeter.drivers.protocols.jetson import printed_rails
from energymeter.drivers.protocols.text_fields import Fields
from energymeter.errors import LogError, NotMeasured, SourceError
from energymeter.reading import Reading
from energymeter.recordings.layout import ARRIVAL, Layout
from energymeter.recordings.record import Hints
from energymeter.recordings.shape import shape_of
from energymeter.recordings.table import HEAD_LINES, plan


class Row(NamedTuple):
    """One sample, and the writer's time of it in seconds where it gives one."""

    reading: Reading
    seconds: float | None


class Table:
    """The columns of a table that grows, found as those of a whole file are.

    Args:
        path: the file, for errors.
        hints: columns and units, by the user.
        channel: of a table of several devices, the one that is read.
    """

    def __init__(self, path: str, name: str, hints: Hints, channel: str = "") -> None:
        self._path, self._name, self._hints = path, name, hints
        self._channel = channel
        self.begin()

    def begin(self) -> None:
        """Forget the titles: another file begins."""
        self._head: list[str] = []
        self._device: str | None = None
        self.layout: Layout | None = None

    @property
    def known(self) -> bool:
        """Whether the columns have been found."""
        return self.layout is not None

    def learn(self, lines: Sequence[str]) -> None:
        """Find the columns by the lines that stand in the file already.

        Raises:
            SourceError: they are not known; the message asks.
        """
        self._head += [f"{line}\n" for line in lines[: HEAD_LINES - len(self._head)]]
        shape = shape_of(self._head, self._hints.delimiter or "")
        if shape is None or shape.rows_from >= len(self._head):
            return  # no row yet
        hints = self._hints
        if hints.time is None and hints.named:
            hints = hints._replace(time=ARRIVAL)
        try:
            self.layout, _ = plan(self._path, self._head, hints)
        except NotMeasured:
            return
        except LogError as unclear:
            raise SourceError(f"{self._name}: {str(unclear).removeprefix(f'{self._path}: ')}") from unclear

    def row(self, line: str) -> Row | None:
        """The sample in this line; ``None``: a comment, the titles, or something above them.

        Raises:
            ValueError: it should be a row and is none.
            SourceError: rows begin, and their columns are not known.
        """
        if not line.strip() or line.lstrip().startswith("#"):
            return None
        layout = self.layout
        if layout is None:
            self.learn([line])
            layout = self.layout
            if layout is None:
                return None
        cells = layout.shape.cells(line)
        if tuple(cells) == layout.shape.titles:
            return None
        device = " ".join(cells[place] for place in layout.devices if place < len(cells))
        if not self._is_ours(device):
            return None
        found: dict[str, Any] = {
            column.quantity: value
            for column in layout.columns
            if (value := layout.value(column, cells)) == value and column.kind != "per row"
        }
        if not found.keys() - {"volts"}:
            raise ValueError(line)
        if layout.volts is not None:
            found["volts"] = layout.volts
        try:
            seconds = layout.time(cells) if layout.time_title != ARRIVAL else None
        except IndexError as missing:
            raise ValueError(line) from missing
        return Row(Reading(**found), seconds)

    def _is_ours(self, device: str) -> bool:
        if self._channel:
            return self._channel == device or self._channel in device.split()
        if self._device is None:
            self._device = device
        if device != self._device:
            raise SourceError(
                f"{self._name} has rows of several devices, {self._device} and {device}; choose one, as in "
                f"csv@{self._path}?channel={self._device}"
            )
        return True


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
