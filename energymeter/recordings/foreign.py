"""Recordings of others: EnergyRunner, PTDaemon, and any CSV whose columns say what they are."""

import csv
import itertools
import math
import re
import struct
import sys
from array import array
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

from energymeter.boards import BOARDS, Board, find_board
from energymeter.errors import ImplausibleReading, LogError, NotMeasured
from energymeter.reading import Facts
from energymeter.recordings.record import Hints, Lines, Record
from energymeter.text import printable
from energymeter.units import UNITS, number, scale

_UNIT = re.compile(r"^(?P<name>.*?)\s*(?:\((?P<in>[^()]+)\)|\[(?P<square>[^\[\]]+)\]|_(?P<tail>[A-Za-zµ]+))$")
_TIME = re.compile(r"(time|timestamp|date|datetime|elapsed|seconds|t)(?![a-z])", re.IGNORECASE)
_KERNEL = re.compile(r"(?:power_supply_)?(power|voltage|current)_now$", re.IGNORECASE)
"""Titles taken over from the kernel's power supplies: µW, µV, µA
(Documentation/ABI/testing/sysfs-class-power in torvalds/linux)."""
_QUANTITIES = ("watts", "volts", "amps")


def read_energyrunner(path: str, file: IO[bytes]) -> Record:
    """Byte 0xF1, float32 rate (Hz), float32 µJ of each period (eembc/energyrunner).

    Raises:
        NotMeasured: there are no samples.
        LogError: its rate makes no sense.
    """
    raw = file.read()
    if len(raw) < 9:
        raise NotMeasured(f"{path} holds no samples.")
    (rate_hz,) = struct.unpack_from("<f", raw, 1)
    microjoules = array("f")
    microjoules.frombytes(raw[5 : 5 + (len(raw) - 5) // 4 * 4])
    if sys.byteorder == "big":
        microjoules.byteswap()
    if not 1e-3 < rate_hz < 1e7:
        raise LogError(f"{path} is no EnergyRunner trace: a rate of {rate_hz:g} Hz makes no sense.")
    watts = array("d", (energy * 1e-6 * rate_hz for energy in microjoules))
    times = array("d", ((i + 1) / rate_hz for i in range(len(watts))))
    return Record(_name(path), Facts(semantics="mean"), {"time_s": times, "watts": watts}, None, {})


def read_ptdaemon(path: str, lines: Lines) -> Record:
    """Rows of name,value pairs, one a second, each the mean of its second (mlcommons/power-dev)."""
    columns = {column: array("d") for column in ("time_s", *_QUANTITIES)}
    first: float | None = None
    damage = ""
    for line in lines:
        cells = line.rstrip("\r\n").split(",")
        pairs = dict(zip(cells[::2], cells[1::2], strict=False))
        try:
            at = datetime.strptime(pairs["Time"], "%m-%d-%Y %H:%M:%S.%f").timestamp()
            values = [float(pairs[name]) for name in ("Watts", "Volts", "Amps")]
        except (KeyError, ValueError, OverflowError) as unreadable:
            damage = f"its row {len(columns['time_s']) + 1} is damaged ({unreadable})"
            break
        first = at if first is None else first
        for column, value in zip(columns.values(), (at - first, *values), strict=True):
            column.append(value)
    return Record(
        _name(path), Facts(semantics="mean", place="wall"), columns, first, {}, damage or lines.damage
    )


def read_other_csv(path: str, lines: Lines, hints: Hints) -> Record:
    """Columns by their names and units, or as hinted; rows whose time cannot be read are left out.

    Raises:
        LogError: the columns or the times cannot be told.
        SpecError: a hint names an unknown board or a unit of something else.
        ImplausibleReading: no such board draws this power; the unit is wrong.
    """
    rows = _cells(lines)
    titles = [printable(title.strip()) for title in next(rows, [])]
    places = _places(path, titles, hints)
    columns = {column: array("d") for column in places}
    first: float | None = None
    epoch: float | None = None
    unread = ""
    for row in rows:
        try:
            at, is_date = moment(row[places["time_s"][0]])
        except (IndexError, ValueError, OverflowError):
            unread = unread or ",".join(row)
            continue  # half a row at the end, a repeated header
        if first is None:
            first, epoch = at, at if is_date else None
        columns["time_s"].append((at - first) * (1.0 if is_date else places["time_s"][1]))
        for column, (place, factor) in places.items():
            if column != "time_s":
                value = number(row[place]) if place < len(row) else None
                columns[column].append(math.nan if value is None else value * factor)
    if unread and first is None:
        raise LogError(f"{path} has no row whose time can be read; its first is {unread[:80]!r}.")
    record = Record(_name(path), Facts(semantics=hints.semantics), columns, epoch, {}, lines.damage)
    board = find_board(hints.board) if hints.board else _board_in_name(path)
    if board is not None and "watts" in columns and columns["watts"]:
        _check_plausible(path, columns["watts"], board, places["watts"][1])
    return record


def _name(path: str) -> str:
    return printable(Path(path).name)


def _cells(lines: Lines) -> Iterator[list[str]]:
    """The rows of somebody else's CSV, whose last line need not have an end."""
    whole = (line for line in itertools.chain(lines, _rest(lines)))
    rows = csv.reader(line for line in whole if line.strip() and not line.startswith("#"))
    try:
        yield from rows
    except csv.Error as damage:
        lines.damage = f"it is no CSV from row {rows.line_num} on ({damage})"


def _rest(lines: Lines) -> Iterator[str]:
    if lines.half:
        lines.damage = ""
        yield lines.half


def _places(path: str, titles: list[str], hints: Hints) -> dict[str, tuple[int, float]]:
    """Column by column: where it stands and its factor to SI."""
    found: dict[str, tuple[int, float]] = {}
    for quantity, title in zip(("time_s", *_QUANTITIES), hints[:4], strict=True):
        if title is not None:
            if title not in titles:
                raise LogError(f"{path} has no column {title!r}; it has: {', '.join(titles)}.")
            kind = "seconds" if quantity == "time_s" else quantity
            found[quantity] = titles.index(title), factor_of(kind, title, hints)
    for place, title in enumerate(titles):
        matched, factor = meaning(title, hints)
        if "time_s" not in found and _TIME.match(title) and matched in (None, "seconds"):
            found["time_s"] = place, factor
        elif (
            matched in _QUANTITIES
            and matched not in found
            and not any(getattr(hints, q) for q in _QUANTITIES)
        ):
            found[matched] = place, factor
    if "time_s" not in found or len(found) == 1:
        raise LogError(
            f"{path} does not tell its time and power; name the columns, as in "
            f"?time=TIME&watts=POWER&unit=mW. It has: {', '.join(titles) or 'none'}."
        )
    return found


def meaning(title: str, hints: Hints) -> tuple[str | None, float]:
    """The quantity that a column's title tells by its unit, and the factor to SI.

    >>> meaning("Power (mW)", Hints()), meaning("current_now", Hints()), meaning("colour", Hints())
    (('watts', 0.001), ('amps', 1e-06), (None, 1.0))
    """
    kernel = _KERNEL.match(title)
    if kernel:
        return dict(zip(("power", "voltage", "current"), _QUANTITIES, strict=True))[kernel[1].lower()], 1e-6
    unit = _unit_of(title)
    matched = next((kind for kind, units in UNITS.items() if unit in units), None)
    return matched, factor_of(matched or "seconds", title, hints)


def _unit_of(title: str) -> str | None:
    match = _UNIT.match(title)
    unit = None if match is None else match["in"] or match["square"] or match["tail"]
    return None if unit is None else unit.strip().replace("µ", "u").replace("μ", "u")


def factor_of(quantity: str, title: str, hints: Hints) -> float:
    """To SI, by the unit that was given or that the title names; a title without one is taken as SI.

    Raises:
        SpecError: the unit is one of something else.
    """
    if quantity == "watts" and hints.unit:
        return scale(quantity, hints.unit)
    unit = _unit_of(title)
    return scale(quantity, unit) if unit is not None and any(unit in u for u in UNITS.values()) else 1.0


def moment(text: str) -> tuple[float, bool]:
    """A time in its own unit, and whether it was a date (then in Unix seconds)."""
    value = number(text)
    if value is not None:
        return value, False
    return datetime.fromisoformat(text.strip().replace("Z", "+00:00")).timestamp(), True


def _board_in_name(path: str) -> Board | None:
    """The board whose name stands in the file's name, the longest match first."""
    name = re.sub(r"[^a-z0-9]", "", Path(path).name.lower()).replace("raspberrypi", "pi").replace("rpi", "pi")
    names = [(re.sub(r"[^a-z0-9]", "", n), board) for board in BOARDS for n in (board.name, *board.aliases)]
    return next((board for alias, board in sorted(names, key=lambda n: -len(n[0])) if alias in name), None)


def _check_plausible(path: str, watts: "array[float]", board: Board, factor: float) -> None:
    known = [value for value in watts if value == value]
    low, high = board.watts_range
    mean = sum(known) / len(known) if known else 0.0
    if not known or low <= mean <= high:
        return
    better = [unit for unit, other in UNITS["watts"].items() if low <= mean / factor * other <= high]
    remedy = f"; its numbers look like {better[0]}: say unit={better[0]}" if better else ""
    raise ImplausibleReading(
        f"{path} would mean {mean:.3g} W, and a {board.title} draws {low:.2g} to {high:.3g} W{remedy}."
    )
