"""Reads the rows of somebody else's table into one record for each of its channels.

Rows that cannot be read are counted, by reason, and leave a gap. Pure standard library.
"""

import itertools
import math
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

from energymeter.boards import BOARDS, Board, find_board
from energymeter.errors import ImplausibleReading, LogError, NotMeasured
from energymeter.reading import Facts
from energymeter.recordings.cells import Column, cell_value
from energymeter.recordings.formats import format_of
from energymeter.recordings.layout import Layout
from energymeter.recordings.planner import Planner
from energymeter.recordings.question import question
from energymeter.recordings.record import Hints, Lines, Record
from energymeter.recordings.shape import Shape, rows_of, shape_of
from energymeter.recordings.thinning import MOST_ROWS_UNTHINNED
from energymeter.recordings.timeline import timeline
from energymeter.recordings.titles import ADDED_DEVICES, TOTALS, device_key, meaning
from energymeter.text import printable
from energymeter.units import UNITS

HEAD_LINES, _HEAD_CHARACTERS = 400, 1 << 18
"""By these the layout is found."""
_MOST_CHANNELS = 1024
_NOTHING = "{} holds no samples: the sensor that wrote it never gave a reading; check it, then record again"


def head_of(lines: Iterator[str]) -> list[str]:
    """The first lines of a file."""
    head: list[str] = []
    characters = 0
    for line in itertools.islice(lines, HEAD_LINES):
        head.append(line)
        characters += len(line)
        if characters > _HEAD_CHARACTERS:
            break
    return head


def plan(path: str, head: Sequence[str], hints: Hints) -> tuple[Layout, Shape]:
    """The layout of the table that begins with these lines.

    Raises:
        LogError: it is empty, is no table, or something must be asked.
        NotMeasured: it has titles and no rows.
        SpecError: a hint names a unit of something else.
    """
    if not any(line.strip() for line in head):
        raise LogError(f"{path} is empty; record again, or give another file")
    shape = shape_of(head, hints.delimiter or "")
    if shape is None:
        first = next(line for line in head if line.strip())
        raise question(
            path, hints, f"there is no table in it; its first line is {printable(first.strip()[:80])!r}"
        )
    rows = [
        shape.cells(line)
        for line in itertools.islice(head, shape.rows_from, None)
        if line.strip() and not line.startswith("#")
    ]
    rows = [cells for cells in rows if tuple(cells) != shape.titles]
    if rows and not head[-1].endswith("\n") and len(head) > 1:
        rows = rows[:-1] or rows
    if not rows and sum(meaning(title).quantity is not None for title in shape.titles) > 1:
        raise NotMeasured(_NOTHING.format(path))
    return Planner(path, shape, rows, hints, format_of(shape)).layout(), shape


def read_table(path: str, head: list[str], lines: Iterator[str], source: Lines, hints: Hints) -> list[Record]:
    """Every channel of a table.

    Args:
        head: its first lines.
        lines: those that follow.
        source: where damage to the file is noted.
        hints: the user's.

    Raises:
        LogError, NotMeasured, SpecError: see `plan`.
        ImplausibleReading: no such board draws this power; the unit is wrong.
    """
    layout, shape = plan(path, head, hints)
    rows = rows_of(itertools.chain(head[shape.rows_from :], lines), shape)
    reading = _Reading(path, layout, hints)
    reading.take(rows)
    records = reading.records(source.damage)
    board = find_board(hints.board) if hints.board else board_in_name(path)
    power = next((column for column in layout.columns if column.quantity == "watts"), None)
    for record in records:
        if board is not None and power is not None:
            _check_plausible(path, record.columns["watts"], board, power.factor or 1.0)
    return records


class _Channel:
    """The rows of one device."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.times = array("d")
        self.values = [array("d") for _ in columns]
        self.left_out: list[int] = []
        """Rows before which others could not be read."""
        self.starts: list[int] = []
        """Rows before which the titles stood again."""


class _Reading:
    """Reads rows by a layout, and counts what it leaves out."""

    def __init__(self, path: str, layout: Layout, hints: Hints) -> None:
        self._path, self._layout, self._hints = path, layout, hints
        self._channels: dict[tuple[str, ...], _Channel] = {}
        self._titles = [title.strip() for title in layout.shape.titles]
        self._rows = 0
        self._no_time, self._first_no_time = 0, ""
        self._no_value, self._first_no_value = 0, ""

    def take(self, rows: Iterator[list[str]]) -> None:
        """Read them all."""
        layout = self._layout
        time, devices, columns = layout.time, layout.devices, layout.columns
        decimal = layout.shape.decimal
        restarted = False
        for row in rows:
            if not row or not any(row) or row[0].startswith("#"):
                continue
            try:
                at = time(row)
            except (IndexError, ValueError, OverflowError):
                if [cell.strip() for cell in row] == self._titles:
                    restarted = True
                else:
                    self._left_out(row)
                continue
            self._rows += 1
            if self._rows > MOST_ROWS_UNTHINNED:
                raise LogError(
                    f"{self._path} has more than {MOST_ROWS_UNTHINNED} rows; split it, and show each part"
                )
            key = tuple(row[place].strip() if place < len(row) else "" for place in devices)
            channel = self._channels.get(key)
            if channel is None:
                channel = self._new(key)
            if restarted:
                for each in self._channels.values():
                    each.starts.append(len(each.times))
                restarted = False
            channel.times.append(at)
            known = False
            for column, values in zip(columns, channel.values, strict=True):
                cell = row[column.place] if column.place < len(row) else ""
                value = cell_value(cell, column, decimal)
                known = known or value == value
                values.append(value)
            if not known:
                self._no_value += 1
                self._first_no_value = self._first_no_value or next(
                    (row[c.place].strip() for c in columns if c.place < len(row)), ""
                )

    def _new(self, key: tuple[str, ...]) -> _Channel:
        if len(self._channels) >= _MOST_CHANNELS:
            raise LogError(f"{self._path} names more than {_MOST_CHANNELS} devices; split it by device")
        self._channels[key] = _Channel(self._layout.columns)
        return self._channels[key]

    def _left_out(self, row: Sequence[str]) -> None:
        self._no_time += 1
        self._first_no_time = self._first_no_time or self._layout.shape.delimiter.join(row)[:60]
        for channel in self._channels.values():
            channel.left_out.append(len(channel.times))

    def records(self, damage: str) -> list[Record]:
        """What was read, each channel on one line of time."""
        if not self._rows:
            if self._no_time:
                raise LogError(
                    f"{self._path} has no row whose time can be read; its first is "
                    f"{printable(self._first_no_time)!r}; name the column of the time"
                )
            raise NotMeasured(_NOTHING.format(self._path))
        notes = [*self._layout.notes, *self._counted_out()]
        names = self._names()
        counted = self._counted(names)
        first = min(channel.times[0] for channel in self._channels.values())
        zero = self._layout.time_column.epoch_of_zero()
        epoch = None if zero is None else zero + first
        read_as = self._layout.said(len(names))
        records = []
        for key, channel in self._channels.items():
            times = array("d", (at - first for at in channel.times))
            columns, own_notes = self._columns(times, channel)
            label = "" if len(names) == 1 else f"{names[key]}: "
            facts = Facts(
                semantics=self._layout.semantics, place=self._layout.place, counted=counted[names[key]]
            )
            if "raw_joules" in columns:
                facts = facts._replace(semantics="counter")
            elif self._layout_kind("joules") == "per row":
                facts = facts._replace(semantics="mean")
            said = tuple(dict.fromkeys((*notes, *(label + note for note in own_notes))))
            records.append(
                Record(
                    names[key],
                    facts,
                    columns,
                    epoch,
                    {},
                    damage,
                    start_s=first if epoch is None else 0.0,
                    read_as=read_as,
                    notes=said,
                )
            )
        return records

    def _counted_out(self) -> list[str]:
        notes = []
        if self._no_time:
            of = self._rows + self._no_time
            notes.append(
                f"{self._no_time} of {of} rows left out: no time in {printable(self._first_no_time)!r}"
            )
        if self._no_value:
            notes.append(
                f"{self._no_value} of {self._rows} rows without a value, such as "
                f"{printable(self._first_no_value)!r}"
            )
        return notes

    def _columns(
        self, times: "array[float]", channel: _Channel
    ) -> tuple[dict[str, "array[float]"], tuple[str, ...]]:
        dated = self._layout.time_column.epoch_of_zero() is not None
        line = timeline(times, channel.starts, dated=dated)
        values = dict(zip((column.quantity for column in self._layout.columns), channel.values, strict=True))
        if line.order is not None:
            values = {q: array("d", (column[row] for row in line.order)) for q, column in values.items()}
        times = line.times
        if self._layout.volts is not None:
            values["volts"] = array("d", [self._layout.volts]) * len(times)
        holes = sorted({*line.breaks, *(channel.left_out if line.order is None else ())})
        columns = {"time_s": times, **values}
        if "joules" in columns:
            columns["raw_joules"] = columns.pop("joules")
        if "coulombs" in columns:
            columns["raw_coulombs"] = columns.pop("coulombs")
        if "raw_joules" in columns and self._layout_kind("joules") == "per row":
            columns["watts"] = _per_second(columns.pop("raw_joules"), times)
        holes = [hole for hole in holes if 0 < hole < len(times)]
        if holes and ("raw_joules" not in columns or line.breaks):
            columns = _with_holes(columns, holes if "raw_joules" not in columns else line.breaks)
        return columns, line.notes

    def _layout_kind(self, quantity: str) -> str:
        return next((c.kind for c in self._layout.columns if c.quantity == quantity), "")

    def _names(self) -> dict[tuple[str, ...], str]:
        """A channel's name: what sets it apart from the others."""
        keys = list(self._channels)
        if len(keys) == 1:
            return {keys[0]: printable(Path(self._path).name)}
        places = [i for i in range(len(keys[0])) if len({key[i] for key in keys}) > 1]
        titles = [self._layout.shape.titles[place] for place in self._layout.devices]
        short = (
            places[:1] if len({tuple(key[i] for i in places[:1]) for key in keys}) == len(keys) else places
        )
        return {
            key: printable(
                " ".join(
                    f"{titles[i]} {key[i]}" if key[i].isdigit() else key[i] for i in short if i < len(key)
                )
                or "?"
            )
            for key in keys
        }

    def _counted(self, names: dict[tuple[str, ...], str]) -> dict[str, bool]:
        """Which channels add up: devices do; of rails only the total, where one is named so."""
        if len(names) == 1:
            return dict.fromkeys(names.values(), True)
        keys = list(names)
        varying = [place for i, place in enumerate(self._layout.devices) if len({key[i] for key in keys}) > 1]
        titles = [device_key(self._layout.shape.titles[place]) for place in varying]
        if any(title in ADDED_DEVICES for title in titles):
            return dict.fromkeys(names.values(), True)
        whole = [name for name in names.values() if set(name.lower().replace("-", "_").split()) & TOTALS]
        if len(whole) == 1:
            return {name: name in whole for name in names.values()}
        if self._hints.channel is not None:
            return dict.fromkeys(names.values(), True)
        listed = ", ".join(names.values())
        raise question(
            self._path,
            self._hints,
            f"it has {len(names)} channels, and which of them contain others is not known: {listed}",
            answer={"channel": next(iter(names.values()))},
        )


def _per_second(energy: "array[float]", times: "array[float]") -> "array[float]":
    """Mean power of each row's interval from the energy in it."""
    watts = array("d", [math.nan])
    for i in range(1, len(energy)):
        watts.append(energy[i] / (times[i] - times[i - 1]))
    return watts


def _with_holes(columns: "dict[str, array[float]]", holes: Sequence[int]) -> "dict[str, array[float]]":
    """The columns with an unknown row before each of these: what was there could not be read."""
    times = columns["time_s"]
    wanted = set(holes)
    made: dict[str, array[float]] = {name: array("d") for name in columns}
    for i in range(len(times)):
        if i in wanted:
            made["time_s"].append((times[i - 1] + times[i]) / 2)
            for name in columns:
                if name != "time_s":
                    made[name].append(math.nan)
        for name, column in columns.items():
            made[name].append(column[i])
    return made


def board_in_name(path: str) -> Board | None:
    """The board whose name stands in the file's name, the longest match first."""
    name = _letters(Path(path).name).replace("raspberrypi", "pi").replace("rpi", "pi")
    names = [(_letters(n), board) for board in BOARDS for n in (board.name, *board.aliases)]
    return next((board for alias, board in sorted(names, key=lambda n: -len(n[0])) if alias in name), None)


def _letters(text: str) -> str:
    return "".join(sign for sign in text.lower() if sign.isascii() and sign.isalnum())


def _check_plausible(path: str, watts: "array[float]", board: Board, factor: float) -> None:
    known = [value for value in watts if value == value]
    low, high = board.watts_range
    mean = sum(known) / len(known) if known else 0.0
    if not known or low <= mean <= high:
        return
    better = [unit for unit, other in UNITS["watts"].items() if low <= mean / factor * other <= high]
    remedy = f"; its numbers look like {better[0]}: say unit={better[0]}" if better else ""
    raise ImplausibleReading(
        f"{path} would mean {mean:.3g} W, and a {board.title} draws {low:.2g} to {high:.3g} W{remedy}"
    )
