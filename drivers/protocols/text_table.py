"""Text tables that grow: the new lines of a file, and the readings in table columns or tegrastats rails."""

import os
from collections.abc import Sequence
from typing import Any, BinaryIO, NamedTuple

from energymeter.drivers.protocols.text_fields import Fields
from energymeter.errors import LogError, NotMeasured, SourceError, SourceForbidden, SourceMissing
from energymeter.reading import Reading
from energymeter.recordings.blocks import as_table
from energymeter.recordings.layout import ARRIVAL, Layout
from energymeter.recordings.record import Hints
from energymeter.recordings.shape import COMMENTS, shape_of
from energymeter.recordings.table import HEAD_LINES, plan
from energymeter.recordings.tegrastats import printed_rails
from energymeter.text import printable

LONGEST_LINE = 1 << 16
_BLOCK = 1 << 20
_LEARNED_ROWS, _LEARN_AGAIN = 48, 8
"""By so many lines a column of devices is found, tried every few lines."""


class Row(NamedTuple):
    """One sample, and the writer's time of it in seconds where it gives one."""

    reading: Reading
    seconds: float | None


class Table:
    """The columns of a table that grows, found as those of a whole file are.

    Args:
        path: the file, for errors.
        name: the source, for errors.
        hints: columns, units and channel, by the user.
    """

    def __init__(self, path: str, name: str, hints: Hints) -> None:
        self._path, self._name, self._hints = path, name, hints
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

    @property
    def counts_up(self) -> bool:
        """Whether a column of energy is the curve."""
        columns = self.layout.columns if self.layout is not None else ()
        return any(column.quantity == "joules" and not column.kind for column in columns)

    def learn(self, lines: Sequence[str]) -> None:
        """Find the columns by the lines that stand in the file already.

        Raises:
            SourceError: they are not known; the message asks.
        """
        self._head += [f"{line}\n" for line in lines[: HEAD_LINES - len(self._head)]]
        log = as_table(self._path, self._head, iter(()))
        if log is not None:
            raise SourceError(
                f"{self._name} holds {log.name}, and tables alone can be followed; use "
                f"replay@{self._path} for what is there"
            )
        shape = shape_of(self._head, self._hints.delimiter or "", self._hints.decimal or "")
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
            sentence = str(unclear).removeprefix(f"{self._path}: ")  # it ends with the remedy
            relayed = f"{self._name}: {sentence}"
            raise SourceError(relayed) from unclear

    def row(self, line: str) -> Row | None:
        """The sample in this line; ``None``: a comment, the titles, or something above them.

        Raises:
            ValueError: it should be a row and is none.
            SourceError: rows begin, and their columns are not known.
        """
        if not line.strip() or line.lstrip().startswith(COMMENTS):
            return None
        layout = self.layout
        if layout is None:
            self.learn([line])
            layout = self.layout
            if layout is None:
                return None
        elif len(self._head) < _LEARNED_ROWS:
            layout = self._learn_devices(line)
        cells = layout.shape.cells(line)
        if tuple(cells) == layout.shape.titles:
            return None
        names = [cells[place] for place in layout.devices if place < len(cells)]
        if not self._is_ours(names):
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

    def _learn_devices(self, line: str) -> Layout:
        """The layout with the device's column, where the first rows show it and their titles do not."""
        assert self.layout is not None
        self._head.append(f"{line}\n")
        if not self.layout.devices and len(self._head) % _LEARN_AGAIN == 0:
            hints = self._hints
            if hints.time is None and hints.named:
                hints = hints._replace(time=ARRIVAL)
            try:
                found, _ = plan(self._path, self._head, hints)
            except (LogError, NotMeasured):
                return self.layout
            if found.devices:
                self.layout, self._device = self.layout._replace(devices=found.devices), None
        return self.layout

    def _is_ours(self, names: Sequence[str]) -> bool:
        """Whether a row is of the channel that is followed; it is named as in a recording, or by its cell."""
        device = " ".join(names)
        if self._hints.channel and self.layout is not None:
            titles = [self.layout.shape.titles[place] for place in self.layout.devices]
            numbered = [f"{title} {name}" for title, name in zip(titles, names, strict=False)]
            return self._hints.channel in (device, *names, *numbered)
        if self._device is None:
            self._device = device
        if device != self._device:
            raise SourceError(
                f"{self._name} has rows of several devices, {printable(self._device)} and "
                f"{printable(device)}; choose one, as in csv@{self._path}?channel={printable(self._device)}"
            )
        return True


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
