"""Text tables that grow: the new lines of a file, and the readings in table columns or tegrastats rails."""

import codecs
import os
from collections.abc import Sequence
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote

from energymeter.drivers.protocols.text_fields import Fields
from energymeter.errors import LogError, NotMeasured, SourceError, SourceForbidden, SourceMissing
from energymeter.reading import Reading
from energymeter.recordings.blocks import as_table
from energymeter.recordings.layout import ARRIVAL, Layout
from energymeter.recordings.record import Hints
from energymeter.recordings.shape import COMMENTS, check_width, encoding_of, shape_of
from energymeter.recordings.table import HEAD_LINES, Key, channel_names, channels_counted, plan
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
    channel: int = 0
    """The number of its device, of those that `Table.channels` names."""


class Table:
    """The columns of a table that grows, found as those of a whole file are.

    Args:
        path: the file, for errors.
        name: the source, for errors.
        hints: columns, units and channel, by the user.
    """

    def __init__(self, path: str, name: str, hints: Hints) -> None:
        self._path, self._name, self._hints = path, name, hints
        self._device: Key | None = None
        self._keys: dict[Key, int] = {}
        self.channels: Sequence[tuple[str, bool]] = ()
        """The devices that are followed, each with whether it counts; empty: one alone."""
        self.begin()

    def begin(self) -> None:
        """Forget the titles: another file begins."""
        self._head: list[str] = []
        self.layout: Layout | None = None

    def find_channels(self) -> None:
        """Fix the channels: the devices of the rows that stand in the file already, else one.

        Raises:
            SourceError: which of them contain others is not known, or none is the one that was asked for.
        """
        layout = self.layout
        if layout is None or not layout.devices:
            return
        rows = [layout.shape.cells(line) for line in self._head[layout.shape.rows_from :]]
        keys = list(dict.fromkeys(key for row in rows if (key := self._key(row, layout)) is not None))
        if not keys:
            return
        names = channel_names(layout, keys, self._name)
        try:
            counted = channels_counted(self._path, layout, self._hints, names)
        except LogError as unclear:
            raise self._relayed(unclear) from unclear
        wanted = self._hints.channel
        if wanted and wanted != "all":
            chosen = [key for key in keys if wanted in (names[key], *self._names(key, layout))]
            if not chosen:
                raise SourceError(
                    f"{self._name} has no channel {printable(wanted)!r}; choose one of "
                    f"{', '.join(names.values())}"
                )
            return
        self._keys = {key: number for number, key in enumerate(keys)}
        self.channels = [(names[key], counted[key]) for key in keys]

    @property
    def said(self) -> str:
        """What was recognised, for people; empty before it was."""
        return "" if self.layout is None else self.layout.said(len(self.channels))

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
        try:
            check_width(self._path, self._head, self._hints.delimiter or "")
        except LogError as wide:
            raise self._relayed(wide) from wide
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
            raise self._relayed(unclear) from unclear

    def _relayed(self, unclear: LogError) -> SourceError:
        sentence = str(unclear).removeprefix(f"{self._path}: ")  # it ends with the remedy
        relayed = f"{self._name}: {sentence}"
        return SourceError(relayed)

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
        channel = self._channel(self._key(cells, layout), layout)
        if channel is None:
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
        return Row(Reading(**found), seconds, channel)

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

    @staticmethod
    def _key(cells: Sequence[str], layout: Layout) -> Key | None:
        """Which device a row is of; ``None``: it is too short to say."""
        if any(place >= len(cells) for place in layout.devices):
            return None
        return tuple(cells[place] for place in layout.devices)

    @staticmethod
    def _names(key: Key, layout: Layout) -> list[str]:
        """What a device may be called: as in a recording, or by its cell."""
        titles = [layout.shape.titles[place] for place in layout.devices]
        numbered = [f"{title} {name}" for title, name in zip(titles, key, strict=True)]
        return [" ".join(key), *key, *numbered]

    def _channel(self, key: Key | None, layout: Layout) -> int | None:
        """The number of the channel that a row is of; ``None``: it is of one that is not followed.

        Raises:
            SourceError: it is of a device that was not there when the file was opened.
        """
        if key is None:
            return None
        if self._keys and key in self._keys:
            return self._keys[key]
        if self._hints.channel and self._hints.channel != "all":
            return 0 if self._hints.channel in self._names(key, layout) else None
        if self._device is None and not self._keys:
            self._device = key
        if key == self._device:
            return 0
        there = next(iter(self._keys)) if self._keys else self._device or ()
        one, other = printable(" ".join(there)), printable(" ".join(key))
        raise SourceError(
            f"{self._name} has rows of several devices, {one} and {other}, and {other} was not there at the "
            f"start; begin again, or choose one, as in csv@{self._path}?channel={quote(one)}"
        )


class Tail:
    """A file's new lines.

    Args:
        path: the file.
        name: what to call the source in errors.
    """

    def __init__(self, path: str, name: str) -> None:
        self._path, self._name = path, name
        self._file: BinaryIO | None = None
        self._rest = ""
        self._decoder: codecs.IncrementalDecoder | None = None
        """By the first bytes of the file."""
        self._line_end = b"\n"
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
        file, self._file, self._rest, self._decoder = self._file, None, "", None
        if file is not None:
            file.close()

    def lines(self) -> list[str]:
        """The whole lines since last time, a megabyte at most; a half-written one waits for its end."""
        if self._file is None:
            return []
        try:
            data = self._file.read(_BLOCK)
        except OSError as error:
            raise SourceError(
                f"{self._name} cannot be read any more ({error.strerror}); give a plain file"
            ) from error
        if self._decoder is None and data:
            encoding = (encoding_of(data) or "utf-8").removesuffix("-sig")
            if encoding == "utf-16":
                encoding = "utf-16-le" if data.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
            self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
            self._line_end = "\n".encode(encoding)
        text = self._decoder.decode(data) if self._decoder is not None else ""
        *lines, self._rest = (self._rest + text).split("\n")
        if len(self._rest) > LONGEST_LINE:
            self.dropped, self._rest = self.dropped + 1, ""
        return [line.removeprefix("\ufeff").rstrip("\r") for line in lines]

    def skip(self) -> None:
        """Leave out everything up to the start of the last, perhaps half-written, line."""
        if self._file is None:
            return
        step = len(self._line_end)
        end = self._file.seek(0, os.SEEK_END)
        start = max(0, end - LONGEST_LINE) // step * step
        self._file.seek(start)
        tail = self._file.read(LONGEST_LINE)
        last = tail.rfind(self._line_end)
        while last > 0 and last % step:
            last = tail.rfind(self._line_end, 0, last + step - 1)
        self._file.seek(end if last < 0 and start else start + last + step if last >= 0 else start)
        self._rest = ""
        if self._decoder is not None:
            self._decoder.reset()

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
