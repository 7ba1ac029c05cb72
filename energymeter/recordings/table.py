"""Reads the rows of somebody else's table into one record for each of its channels.

Rows that cannot be read are counted, by reason, and leave a gap. Blocks of plain rows are read as whole
columns where pyarrow is installed, see `bulk`; what is short is read with the standard library alone.
"""

import csv
import io
import itertools
import math
import re
import shlex
from array import array
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from energymeter.boards import BOARDS, Board, find_board
from energymeter.errors import ImplausibleReading, LogError, NotMeasured, SpecError
from energymeter.reading import Facts
from energymeter.recordings.cells import cell_value
from energymeter.recordings.channel import FEW_ROWS, Channel, Kind
from energymeter.recordings.formats import battery_log_of, format_of
from energymeter.recordings.layout import Layout
from energymeter.recordings.planner import PLAUSIBLE, Planner, unit_answer
from energymeter.recordings.question import question
from energymeter.recordings.record import Hints, Lines, Record
from energymeter.recordings.shape import COMMENTS, Shape, check_width, rows_of, shape_of
from energymeter.recordings.thinning import MOST_ROWS
from energymeter.recordings.titles import ADDED_DEVICES, NESTED, SEPARATE, TOTALS, device_key, meaning
from energymeter.text import printable
from energymeter.units import UNITS

if TYPE_CHECKING:
    from energymeter.recordings.bulk import Block

HEAD_LINES, _HEAD_CHARACTERS = 400, 1 << 18
"""By these the layout is found."""
BLOCK_CHARACTERS = 1 << 22
_LEAST_BLOCK = 1 << 16
"""Characters; shorter blocks are read row by row."""
_MOST_FAILURES = 16
LEAST_ROWS = 1 << 12
"""The rows of each channel, however many there are."""
_FOLDED_ROWS = 1 << 19
"""So many rows are read before they are joined to the others, where there are very many."""
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


def plan(path: str, head: Sequence[str], hints: Hints, log: str = "") -> tuple[Layout, Shape]:
    """The layout of the table that begins with these lines.

    Args:
        path: the file, for errors.
        head: the lines.
        hints: the user's.
        log: what the table was made of, see `blocks`.

    Raises:
        LogError: it is empty, is no table, or something must be asked.
        NotMeasured: it has titles and no rows.
        SpecError: a hint names a unit of something else.
    """
    if not any(line.strip() for line in head):
        raise LogError(f"{path} is empty; record again, or give another file")
    battery = battery_log_of(head)
    if battery is not None:
        recognised = (
            f"{path} is recognised as {battery}: it holds a gauge and no power; for the hours left run "
            f"energymeter budget forecast --log {shlex.quote(path)}"
        )
        raise LogError(recognised)
    first = next(line.strip() for line in head if line.strip())
    if not log and first.startswith(("{", "[", "<?xml", "<!", "<html")):
        described = f"{path} {_documented(path, head)}"
        raise LogError(described)  # it ends with the remedy
    if hints.decimal not in (None, ".", ","):
        raise SpecError(f"decimal must be . or , and not {hints.decimal!r}")
    check_width(path, head, "," if log else hints.delimiter or "")
    shape = shape_of(head, "," if log else hints.delimiter or "", hints.decimal or "")
    if shape is None:
        raise question(path, hints, f"there is no table in it; its first line is {printable(first[:80])!r}")
    shape = shape._replace(log=log)
    rows = [
        shape.cells(line)
        for line in itertools.islice(head, shape.rows_from, None)
        if line.strip() and not line.startswith("#")
    ]
    rows = [cells for cells in rows if tuple(cells) != shape.titles]
    if rows and not head[-1].endswith("\n") and len(head) > 1:
        rows = rows[:-1] or rows
    wider = [len(cells) for cells in rows if any(map(has_digit_first, cells[len(shape.titles) :]))]
    if shape.titles and len(wider) * 2 > len(rows):
        raise LogError(
            f"{path}: its rows have {max(wider)} cells and {len(shape.titles)} titles, so which belong "
            "together is not known; correct the titles, or quote numbers with a decimal comma"
        )
    if not rows and sum(meaning(title).quantity is not None for title in shape.titles) > 1:
        raise NotMeasured(_NOTHING.format(path))
    return Planner(path, shape, rows, hints, format_of(shape)).layout(), shape


def _documented(path: str, head: Sequence[str]) -> str:
    """What a document that is no table is, and how it becomes one."""
    text = "".join(head).lstrip()
    if text.startswith("<"):
        return (
            "is a document in XML or HTML; write its values as a table with titles such as time_s and power_W"
        )
    described = "is a JSON document, and not one object on each line"
    if text.startswith("["):
        return f"{described}; write it so, as in jq -c '.[]' {shlex.quote(path)} > rows.jsonl"
    if re.search(r"\[\s*\{", text):
        lines = "jq -c '.. | arrays | .[] | objects'"
        return f"{described}; write it so, as in {lines} {shlex.quote(path)} > rows.jsonl"
    return f"{described}; write it so, as in jq -c . {shlex.quote(path)} > rows.jsonl"


def read_table(
    path: str, head: list[str], blocks: Iterator[str], source: Lines, hints: Hints, log: str = ""
) -> list[Record]:
    """Every channel of a table.

    Args:
        head: its first lines.
        blocks: those that follow, whole ones.
        source: where damage to the file is noted.
        hints: the user's.
        log: what the table was made of, see `blocks`.

    Raises:
        LogError, NotMeasured, SpecError: see `plan`.
        ImplausibleReading: no such board draws this power; the unit is wrong.
    """
    layout, shape = plan(path, head, hints, log)
    reading = _Reading(path, layout, hints)
    reading.take("".join(head[shape.rows_from :]), blocks)
    records = reading.records(source.damage)
    board = find_board(hints.board) if hints.board else board_in_name(path)
    power = next((column for column in layout.columns if column.quantity == "watts"), None)
    for record in records:
        if board is not None and power is not None:
            _check_plausible(path, record.columns["watts"], board, power.factor or 1.0)
    return records


class _Reading:
    """Reads rows by a layout, and counts what it leaves out."""

    def __init__(self, path: str, layout: Layout, hints: Hints) -> None:
        self._path, self._layout, self._hints = path, layout, hints
        self._channels: dict[tuple[str, ...], Channel] = {}
        self._kind = _kind(layout)
        self._titles = [title.strip() for title in layout.shape.titles]
        self._rows, self._unfolded = 0, 0
        self._zero: float | None = None
        self._restarted, self._new_titles = False, ""
        self._no_time, self._first_no_time = 0, ""
        self._no_value, self._first_no_value = 0, ""
        self._failures = 0
        self._quotes = 0
        """Those in rows where a cell may go on in the next line."""

    def take(self, head: str, blocks: Iterator[str]) -> None:
        """Read them all: the first rows, and blocks of those that follow."""
        if head.count('"') % 2:  # a cell goes on beyond the first rows
            self._take_rows(self._all_lines(head, blocks))
            return
        self._take_rows(_lines(head))
        for number, block in enumerate(blocks):
            if (not number and not self._is_bulky(block)) or not self._is_whole(block):
                self._take_rows(self._all_lines(block, blocks))
                return
            self._take_block(block)

    def _all_lines(self, first: str, blocks: Iterator[str]) -> Iterator[str]:
        for text in itertools.chain([first], blocks):
            self._quotes += text.count('"')
            yield from _lines(text)

    def _is_whole(self, block: str) -> bool:
        """Whether no cell goes on from one line to the next."""
        from energymeter.recordings.bulk import is_balanced

        return is_balanced(block)

    def _is_bulky(self, block: str) -> bool:
        """Whether the rows are many enough for whole columns, and of a kind that may be plain."""
        if len(block) < _LEAST_BLOCK or not self._rows:
            return False
        try:
            from energymeter.recordings import bulk
        except ImportError:  # without numpy, all rows are read one by one
            return False
        return bulk.is_worth_it(block) and bulk.is_possible(self._layout)

    def _take_block(self, text: str) -> None:
        """Whole columns where all rows are plain; else halves of it, down to the rows that are not."""
        from energymeter.recordings.bulk import read_block

        block = None if self._failures > _MOST_FAILURES else read_block(text, self._layout)
        if block is not None:
            self._take_columns(block, text)
            self._failures = max(0, self._failures - 1)
            return
        half = text.find("\n", len(text) // 2) + 1
        if self._failures > _MOST_FAILURES or len(text) < 2 * _LEAST_BLOCK or not 0 < half < len(text):
            self._failures += 1
            self._take_rows(_lines(text))
            return
        self._take_block(text[:half])
        self._take_block(text[half:])

    def _take_columns(self, block: "Block", text: str) -> None:
        from energymeter.recordings.bulk import rows_without_values

        for key, rows in block.devices:
            channel = self._channel(key)
            if rows is None:
                channel.extend(block.times, block.values)
            else:
                channel.extend(block.times[rows], [values[rows] for values in block.values])
        self._rows += len(block.times)
        unknown = rows_without_values(block)
        self._no_value += len(unknown)
        if len(unknown) and not self._first_no_value:
            rest = [line for line in _lines(text) if line.strip()]
            for row in rows_of(iter([rest[place] for place in unknown]), self._layout.shape):
                self._first_no_value = self._first_no_value or self._shown(row)
        self._fold(len(block.times))

    def _shown(self, row: Sequence[str]) -> str:
        """What stands in a row in place of a value."""
        return next((row[c.place].strip() for c in self._layout.columns if c.place < len(row)), "")

    def _fold(self, rows: int) -> None:
        """Keep what is held within bounds: of very many rows, those of each channel are joined."""
        self._unfolded += rows
        if self._unfolded <= (MOST_ROWS if self._zero is None else _FOLDED_ROWS):
            return
        self._unfolded = 0
        if self._zero is None:
            self._zero = min(channel.first for channel in self._channels.values())
        for channel in self._channels.values():
            channel.fold(self._zero, max(MOST_ROWS // len(self._channels), LEAST_ROWS))

    def _take_rows(self, lines: Iterator[str]) -> None:
        layout = self._layout
        time, devices, columns = layout.time, layout.devices, layout.columns
        decimal = layout.shape.decimal
        row: list[str] = []
        for row in self._split(lines):
            if not row or not any(row) or row[0].startswith("#"):
                continue
            if row[0].startswith("\ufeff"):  # another file was added to this one
                row[0] = row[0][1:]
                if not any(row):
                    continue
            try:
                at = time(row)
            except (IndexError, ValueError, OverflowError):
                self._no_row(row)
                continue
            key = tuple(row[place].strip() if place < len(row) else "" for place in devices)
            channel = self._channels.get(key)
            if channel is None or self._restarted:
                channel = self._channel(key)
            self._rows += 1
            if self._rows % _FOLDED_ROWS == 0:
                self._fold(_FOLDED_ROWS)
            channel.times.append(at)
            known = False
            for column, values in zip(columns, channel.values, strict=True):
                cell = row[column.place] if column.place < len(row) else ""
                value = cell_value(cell, column, decimal)
                known = known or value == value
                values.append(value)
            if not known:
                self._no_value += 1
                self._first_no_value = self._first_no_value or self._shown(row)

        if self._quotes % 2 and row and "\n" in row[-1]:
            raise LogError(
                f"{self._path}: a quote after row {self._rows - 1} is never closed; close it, or remove it"
            )

    def _split(self, lines: Iterator[str]) -> Iterator[list[str]]:
        """The cells of each row."""
        try:
            yield from rows_of(lines, self._layout.shape)
        except csv.Error as endless:
            raise LogError(
                f"{self._path}: a quote after row {self._rows - 1} is never closed ({endless}); close it, or "
                "remove it"
            ) from endless

    def _channel(self, key: tuple[str, ...]) -> Channel:
        """The channel that the next row is of."""
        channel = self._channels.get(key)
        if channel is None:
            if len(self._channels) >= _MOST_CHANNELS:
                raise LogError(f"{self._path} names more than {_MOST_CHANNELS} devices; split it by device")
            channel = self._channels[key] = Channel(self._kind)
        if self._restarted and self._new_titles:
            raise LogError(
                f"{self._path}: its titles change after {self._rows} rows, to "
                f"{printable(self._new_titles)!r}; split it there, and read each part"
            )
        if self._restarted:
            for each in self._channels.values():
                each.starts.append(len(each))
            self._restarted = False
        return channel

    def _no_row(self, row: Sequence[str]) -> None:
        """What has no time: a comment, titles, which may be those of another table, or a row that is lost."""
        cells = [cell.strip() for cell in row]
        if cells[0].startswith(COMMENTS):
            return
        others = [meaning(cell).quantity for cell in cells if not has_digit_first(cell)]
        named = len(others) - others.count(None)
        # one other quantity next to a time, as where temperatures follow
        apart = "seconds" in others and 1 < len(cells) == len(others) == len(self._titles) and all(cells)
        if cells == self._titles or sorted(cells) == sorted(self._titles) or named > 1 or apart:
            self._restarted = True
            self._new_titles = "" if cells == self._titles else self._layout.shape.delimiter.join(row)[:60]
        else:
            self._left_out(row)

    def _left_out(self, row: Sequence[str]) -> None:
        self._no_time += 1
        self._first_no_time = self._first_no_time or self._layout.shape.delimiter.join(row)[:60]
        for channel in self._channels.values():
            channel.left_out.append(len(channel))

    def records(self, damage: str) -> list[Record]:
        """What was read, each channel on one line of time."""
        if not self._rows:
            if self._no_time:
                raise LogError(
                    f"{self._path} has no row whose time can be read; its first is "
                    f"{printable(self._first_no_time)!r}; name the column of the time"
                )
            raise NotMeasured(_NOTHING.format(self._path))
        if self._zero is None and self._rows > 1 and all(map(Channel.stands, self._channels.values())):
            raise LogError(
                f"{self._path}: all its rows have the same time, so how long they took is unknown; "
                "record again with finer times"
            )
        notes = [*self._layout.notes, *self._counted_out()]
        if self._kind.per_row:
            notes.append("the energy of its first row is left out, because its start is unknown")
        self._check_sizes()
        names = channel_names(self._layout, list(self._channels), Path(self._path).name)
        counted = channels_counted(self._path, self._layout, self._hints, names)
        first = self._zero
        if first is None:
            first = min(channel.first for channel in self._channels.values())
        zero = self._layout.time_column.epoch_of_zero()
        epoch = None if zero is None else zero + first
        read_as = self._layout.said(len(names))
        records = []
        for key, channel in self._channels.items():
            columns, own_notes = channel.columns(first)
            label = "" if len(names) == 1 else f"{names[key]}: "
            said = tuple(dict.fromkeys((*notes, *(label + note for note in own_notes))))
            records.append(
                Record(
                    names[key],
                    channel.facts._replace(counted=counted[key]),
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

    def _check_sizes(self) -> None:
        """Ask where later rows show numbers without a unit that are too large for the one assumed."""
        for place, column in enumerate(self._layout.columns):
            if not column.assumed:
                continue
            sizes = [channel.typical_size(place) for channel in self._channels.values()]
            if max(sizes) >= PLAUSIBLE[column.quantity]:
                raise question(
                    self._path,
                    self._hints,
                    f"the unit of {column.title!r} is not known",
                    titles=self._layout.shape.titles,
                    found=self._layout.shape.said,
                    answer=unit_answer(column),
                )

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


Key = tuple[str, ...]
"""The cells of a row that say which device it is of."""


def channel_names(layout: Layout, keys: Sequence[Key], alone: str) -> dict[Key, str]:
    """A channel's name: what sets it apart from the others.

    Args:
        alone: the name of an only one.
    """
    if len(keys) == 1:
        return {keys[0]: printable(alone)}
    places = [i for i in range(len(keys[0])) if len({key[i] for key in keys}) > 1]
    titles = [layout.shape.titles[place] for place in layout.devices]
    short = places[:1] if len({tuple(key[i] for i in places[:1]) for key in keys}) == len(keys) else places
    return {
        key: printable(
            " ".join(f"{titles[i]} {key[i]}" if key[i].isdigit() else key[i] for i in short if i < len(key))
            or "?"
        )
        for key in keys
    }


def _are_separate(layout: Layout, place: int, cells: Collection[str]) -> bool:
    """Whether the cells of a column of devices name such as do not contain each other."""
    title = device_key(layout.shape.titles[layout.devices[place]])
    if title in SEPARATE:
        return True
    words = {
        word for cell in cells for word in (*re.split(r"[^a-z]+", cell.lower()), *_words_of((cell,), [0]))
    }
    return title in ADDED_DEVICES and not words & (NESTED | TOTALS)


def _words_of(key: Key, places: Sequence[int]) -> list[str]:
    return " ".join(key[i] for i in places).lower().replace("-", "_").split()


def channels_counted(path: str, layout: Layout, hints: Hints, names: dict[Key, str]) -> dict[Key, bool]:
    """Which channels add up: devices do; of rails only the total, where one is named so.

    Args:
        path: the file, for errors.
        names: see `channel_names`.

    Raises:
        LogError: which of them contain others is not known; the message asks.
    """
    keys = list(names)
    varying = [i for i in range(len(keys[0])) if len({key[i] for key in keys}) > 1]
    separate = [i for i in varying if _are_separate(layout, i, {key[i] for key in keys})]
    rails = [i for i in varying if i not in separate]
    of_device: dict[Key, list[Key]] = {}
    for key in keys:
        of_device.setdefault(tuple(key[i] for i in separate), []).append(key)
    counted = dict.fromkeys(keys, True)
    for group in of_device.values():
        if len(group) == 1:
            continue
        whole = [key for key in group if set(_words_of(key, rails)) & TOTALS]
        if len(whole) == 1:
            counted.update((key, key in whole) for key in group)
        elif hints.channel is None:
            break
    else:
        return counted
    listed = ", ".join(names.values())
    raise question(
        path,
        hints,
        f"it has {len(names)} channels, and which of them contain others is not known: {listed}",
        answer={"channel": next(iter(names.values()))},
    )


def has_digit_first(cell: str) -> bool:
    """Whether a cell may begin with a number."""
    return cell[:1].isdigit() or cell[:1] in "+-."


def _kind(layout: Layout) -> Kind:
    """What all channels of a table have in common."""
    energy = next((column.kind for column in layout.columns if column.quantity == "joules"), None)
    semantics = layout.semantics if energy is None else "mean" if energy == "per row" else "counter"
    return Kind(
        tuple(column.quantity for column in layout.columns),
        layout.volts,
        energy == "per row",
        layout.time_column.dated,
        Facts(semantics=semantics, place=layout.place),
    )


def _lines(text: str) -> Iterator[str]:
    return iter(io.StringIO(text, newline=""))


def board_in_name(path: str) -> Board | None:
    """The board whose name stands in the file's name, the longest match first."""
    name = _letters(Path(path).name).replace("raspberrypi", "pi").replace("rpi", "pi")
    names = [(_letters(n), board) for board in BOARDS for n in (board.name, *board.aliases)]
    return next((board for alias, board in sorted(names, key=lambda n: -len(n[0])) if alias in name), None)


def _letters(text: str) -> str:
    return "".join(sign for sign in text.lower() if sign.isascii() and sign.isalnum())


def _check_plausible(path: str, watts: "array[float]", board: Board, factor: float) -> None:
    low, high = board.watts_range
    mean = _mean(watts)
    if low <= mean <= high or mean != mean:
        return
    better = [unit for unit, other in UNITS["watts"].items() if low <= mean / factor * other <= high]
    remedy = f"; its numbers look like {better[0]}: say unit={better[0]}" if better else ""
    raise ImplausibleReading(
        f"{path} would mean {mean:.3g} W, and a {board.title} draws {low:.2g} to {high:.3g} W{remedy}"
    )


def _mean(values: "array[float]") -> float:
    """The mean of those that are known; NaN where none is."""
    if len(values) > FEW_ROWS:
        import numpy as np

        known = np.frombuffer(values)[~np.isnan(np.frombuffer(values))]
        return float(known.mean()) if len(known) else math.nan
    few = [value for value in values if value == value]
    return math.fsum(few) / len(few) if few else math.nan
