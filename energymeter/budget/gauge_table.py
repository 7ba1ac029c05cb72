"""Reads what phones, laptops and boards log of their battery gauge: tables, blocks and reports of others.

=====================================  ====================================================================
what                                   how it is known
=====================================  ====================================================================
a table, in any shape                  titles with a time and percent, level, charge_now, left (mAh), …; see
                                       `energymeter.recordings.shape` and `energymeter.recordings.titles`
upower ``history-charge-*.dat``        no titles: ``1618000000  83.000  discharging``
``powercfg /batteryreport /XML``       ``<UsageEntry Timestamp=… Ac=… ChargeCapacity=… FullChargeCapacity=…``;
                                       entries of sleep are left out, with what they discharged
blocks, one after the other            a line that begins with the time, and then, on it or below, one of
                                       ``POWER_SUPPLY_CAPACITY=83`` (uevent), ``level: 83`` (``dumpsys
                                       battery``), ``83%; discharging`` (``pmset``), ``83%`` (``acpi``,
                                       ``upower -i``), ``No AC; …; 83%; Cap=`` (``pmset -g rawlog``), ``Using
                                       Batt (Charge: 83)`` (``pmset -g log``); of several batteries, the one
                                       that is discharged
``dumpsys batterystats``               ``+1h02m03s456ms (2) 083 … status=discharging`` after ``RESET:TIME:``
=====================================  ====================================================================

Times are read by `energymeter.recordings.times`. Only what came after the last charging is kept, where a
state is logged. The report's attributes were not checked against a real one [M]; nor was any other shape
against a device: they follow published samples.
"""

import itertools
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from energymeter.battery.battery import Battery
from energymeter.errors import LogError
from energymeter.recordings.blocks import as_table
from energymeter.recordings.cells import Column, cell_value
from energymeter.recordings.formats import battery_log_of, format_of
from energymeter.recordings.jls import JLS
from energymeter.recordings.layout import name_of
from energymeter.recordings.own import is_own
from energymeter.recordings.planner import Planner
from energymeter.recordings.question import question
from energymeter.recordings.record import Hints, options_in
from energymeter.recordings.shape import COMMENTS, Shape, check_width, shape_of
from energymeter.recordings.textfile import small_text, starts_with
from energymeter.recordings.times import time_column
from energymeter.recordings.titles import Title, is_counted, is_level, is_remaining, is_state, meaning
from energymeter.text import printable
from energymeter.units import number

_POWERED = re.compile(
    r"charging|full|fully.charged|charged|not.charging|pending.charge|finishing.charge|ac( .*)?|usb|wireless|"
    r"plugged.*|online|true|yes"
)
_ANDROID_POWERED = (2, 4, 5)
"""BatteryManager.BATTERY_STATUS_CHARGING, _NOT_CHARGING and _FULL (developer.android.com)."""
_BEGINS = re.compile(
    r"\s*(?P<us>\d\d/\d\d/\d{4} \d\d:\d\d:\d\d)"
    r"|\s*(?P<date>\d{4}[-/.]\d\d?[-/.]\d\d?[T ]\d\d?:\d\d(?::\d\d(?:[.,]\d+)?)?\s*(?:Z|UTC|[+-]\d\d:?\d\d)?"
    r"|(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d (?:[A-Z]{3,4} )?\d{4})"
    r"|\s*(?P<count>\d{9,19}(?:\.\d+)?)\b"
)
_BLOCK_LEVEL = re.compile(
    r"POWER_SUPPLY_CAPACITY=(\d+)|\(Charge: ?(\d+)|^\s*level: (\d+)|\b(\d{1,3}(?:[.,]\d+)?) ?%", re.MULTILINE
)
_BLOCK_STATE = re.compile(
    r"POWER_SUPPLY_STATUS=([\w ]+)|^\s*status: (\d)|%; ?([\w ]+);|: ((?:Not c|C|Disc)harging|Full|Unknown),"
    r"|^\s*state:\s*([\w-]+)|^\s*((?:No )?AC); |\bUsing (Batt|AC)\b",
    re.MULTILINE,
)
_BATTERY = re.compile(
    r"^\s*(?:(Battery \d+):|native-path:\s*(\S+)|-(InternalBattery-\d+)|POWER_SUPPLY_NAME=(\S+))",
    re.MULTILINE,
)
_HISTORY = re.compile(
    r"\s*\+?(?P<at>0|(?=\d)(?:\d+d)?(?:\d+h)?(?:\d+m(?!s))?(?:\d+s)?(?:\d+ms)?) \(\d+\) "
    r"(?:(?P<level>\d{3}) )?(?P<rest>.*)"
)
_HISTORY_BEGINS = re.compile(r"RESET:TIME: (\d{4})-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)")
_ENTRY = re.compile(r"<UsageEntry\b[^>]*>")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_TICKS_A_SECOND = 1e7
"""The report counts durations in 100 ns."""
_HEAD_LINES = 400
_FEWEST_FALLS = 4
_SLOWEST_SECONDS = 7200.0
"""Between two rows of a gauge: a level does not fall within milliseconds, so smaller steps are seconds."""


_SPANS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3}


class Gauge(NamedTuple):
    """A gauge's readings since it was last charged."""

    times_s: list[float]
    levels: list[float]
    in_percent: bool
    watts: list[float]
    """What was drawn, by a column of power or those of volts and amps; NaN where there is none."""
    at_cell: bool
    """That is before any converter: the gauge's own figures, by their titles."""
    note: str = ""
    """What was left out."""
    volts: Sequence[float] = ()
    """Where the power is volts times amps."""
    said: Title | None = None
    """What the title of a level that is no percent says."""
    read_as: str = ""
    """What was recognised."""

    @property
    def unit(self) -> str:
        """The unit of the levels, for people."""
        return " %" if self.in_percent else ""

    def share(self, level: float, battery: Battery) -> float:
        """What part of the battery a level is; NaN: the level's unit is unknown."""
        if self.in_percent:
            return level / 100
        factor = self.said.factor if self.said is not None else None
        if factor is None or self.said is None:
            return math.nan if level else 0.0
        full = battery.mah * 3.6 * (battery.volts if self.said.quantity == "joules" else 1.0)
        return level * factor / full / battery.health


class _Row(NamedTuple):
    at: float
    level: float
    powered: bool
    watts: float = math.nan
    at_cell: bool = False
    volts: float = math.nan


def read(path: str) -> Gauge | None:
    """The gauge in a log; ``None``: it has none that is known here.

    Raises:
        LogError: the file cannot be read, or it must be asked what its times or batteries mean.
    """
    path, hints = options_in(path, Hints(caller="budget forecast --log"))
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise LogError(f"{path} is no plain file, and is read twice; save what it gives, and give that file")
    if path.lower().endswith(".parquet") or starts_with(path, JLS):
        return None  # these hold power
    lines, damage = small_text(path)
    if lines and is_own(lines[0].encode()):
        return None  # so does our own log, whatever its rails are called
    known = battery_log_of(lines[:_HEAD_LINES])
    log = None if known else as_table(path, lines[:_HEAD_LINES], iter(lines[_HEAD_LINES:]))
    if log is not None:
        lines = list(log.lines)
    in_percent, rows, note, said, read_as = _rows(path, lines, hints)
    if damage:
        note = ", ".join(filter(None, (note, f"{printable(damage)}: only what comes before was read")))
    if rows is None:
        return None
    kept: list[_Row] = []
    for row in rows:
        if row.powered:
            kept = []
        else:
            kept.append(row)
    levels = [row.level for row in kept]
    if in_percent and _is_fraction(levels):
        levels = [100 * level for level in levels]
    power = any(math.isfinite(row.volts) for row in kept)
    return Gauge(
        [row.at for row in kept],
        levels,
        in_percent,
        drawn([row.watts for row in kept]),
        any(row.at_cell for row in kept),
        note,
        [row.volts for row in kept] if power else (),
        said,
        known or (f"{log.name}: {read_as.partition(': ')[2]}" if log is not None else read_as),
    )


def _is_fraction(levels: Sequence[float]) -> bool:
    """Whether a state of charge runs from 0 to 1: no gauge of percents shows as many values below one."""
    known = {level for level in levels if math.isfinite(level)}
    return bool(known) and max(known) <= 1 and len({level for level in known if 0 < level < 1}) > 1


def drawn(watts: Sequence[float]) -> list[float]:
    """The power with the sign that drawing is positive.

    Devices do not agree on the sign: what most rows with any power have is taken for drawing, the other for
    charging.
    """
    sign = drawing_sign(watts)
    return [sign * power for power in watts]


def drawing_sign(watts: Sequence[float]) -> float:
    """The sign that drawing has."""
    signs = [math.copysign(1.0, power) for power in watts if power and math.isfinite(power)]
    return -1.0 if math.fsum(signs) < 0 else 1.0


class _Rows(NamedTuple):
    """What a log's lines say."""

    in_percent: bool
    rows: Iterable[_Row] | None
    note: str = ""
    said: Title | None = None
    read_as: str = "log of a battery"


def _rows(path: str, lines: Sequence[str], hints: Hints) -> _Rows:
    entries = _ENTRY.findall("".join(lines)) if any("<UsageEntry" in line for line in lines) else []
    if entries:
        return _Rows(True, *_report(entries))
    head = next((line for line in lines if line.strip()), "")
    if any(_HISTORY_BEGINS.search(line) for line in lines[:_HEAD_LINES]):
        return _Rows(True, list(_history(lines)))
    if not _BEGINS.match(head):
        table = _table(path, lines, hints)
        if table is not None:
            return table
    elif "%" not in head and len(cells := head.split("\t")) == 3 and number(cells[1]) is not None:
        return _Rows(True, _upower(line.rstrip("\r\n").split("\t") for line in lines))
    elif number(head.split()[0].strip(",;")) is not None:
        table = _table(path, lines, hints)
        if table is not None:
            return table
    return _Rows(True, *_of_one_battery(path, list(_blocks(lines))))


def _table(path: str, lines: Sequence[str], hints: Hints) -> _Rows | None:
    """The rows of a table; ``None``: no title of it names a gauge."""
    check_width(path, lines, hints.delimiter or "")
    shape = shape_of(lines[:_HEAD_LINES], hints.delimiter or "", hints.decimal or "")
    if shape is None:
        return None
    levels = [i for i, title in enumerate(shape.titles) if is_level(title)]
    amounts = [i for i, title in enumerate(shape.titles) if is_remaining(title)]
    if not levels and not amounts:
        return None
    level = (levels or amounts)[0]
    rows = [shape.cells(line) for line in lines[shape.rows_from : _HEAD_LINES] if line.strip()]
    if not levels and _counts_up(shape, level, map(shape.cells, lines[shape.rows_from :])):
        return None
    planner = Planner(path, shape, rows, hints, format_of(shape), seconds_below=_SLOWEST_SECONDS)
    power = planner.power()
    time, written, used = planner.clock()
    states = [i for i, title in enumerate(shape.titles) if i not in (*used, level) and is_state(title)]
    devices = [i for i in planner.devices() if i not in (level, *states) and not _says_state(rows, i)]
    at_cell = bool(power) and all(column.title.lower().endswith("_now") for column in power)
    said = meaning(shape.titles[level])
    column = Column(level, shape.titles[level], said.quantity or "coulombs", 1.0)
    found: list[tuple[str, _Row]] = []
    left_out: list[str] = []
    for line in lines[shape.rows_from :]:
        cells = shape.cells(line)
        try:
            at = time(cells)
        except (IndexError, ValueError, OverflowError):
            if line.strip() and not line.startswith(COMMENTS) and tuple(cells) != shape.titles:
                left_out.append(line)
            continue
        names = [cells[place] for place in devices if place < len(cells)]
        numbered = [f"{shape.titles[p]} {name}" for p, name in zip(devices, names, strict=False)]
        if hints.channel is not None and hints.channel not in (*names, *numbered, " ".join(names)):
            continue
        powered = any(_powered(cells[i]) for i in states if i < len(cells))
        at += written.epoch_of_zero() or 0.0
        values = [_value(cells, column, shape) for column in power]
        volts = values[0] if len(values) == 2 else math.nan
        watts = math.prod(values) if values else math.nan
        row = _Row(at, _level(cells, column, shape), powered, watts, at_cell, volts)
        found.append((" ".join(names), row))
    if left_out and not left_out[-1].endswith(("\n", "\r")):
        left_out.pop()  # it was being written
    if len(found) >= _FEWEST_FALLS and all(a[1].at > b[1].at for a, b in itertools.pairwise(found)):
        found.reverse()  # an export that stands newest first
    of_one, note = _of_one_battery(path, found, hints)
    counted = (
        f"{len(left_out)} of {len(found) + len(left_out)} rows left out: no time in "
        f"{printable(left_out[0].strip()[:60])!r}"
        if left_out
        else ""
    )
    title = " and ".join(shape.titles[place] for place in sorted(used))
    shown = f"{shape.titles[level]} [{'%' if levels else said.unit or 'unit unknown'}]"
    columns = [f"{title or 'time'} {written.said}", shown, *(column.said for column in power)]
    return _Rows(
        bool(levels),
        of_one or [],
        ", ".join(filter(None, (note, counted))),
        None if levels else said,
        f"{name_of(format_of(shape), shape)}: {', '.join(columns)}",
    )


def _counts_up(shape: Shape, place: int, rows: Iterable[Sequence[str]]) -> bool:
    """Whether a column of Wh or mAh is what a meter has counted, by its title and because it only rises."""
    if not is_counted(shape.titles[place]):
        return False
    said = meaning(shape.titles[place])
    column = Column(place, shape.titles[place], said.quantity or "coulombs", 1.0)
    levels = [level for cells in rows if (level := _level(cells, column, shape)) == level]
    return len(levels) > 1 and levels[-1] > levels[0] and all(a <= b for a, b in itertools.pairwise(levels))


def _says_state(rows: Sequence[Sequence[str]], place: int) -> bool:
    """Whether a column that looks like one of devices says what powers the device."""
    cells = {row[place] for row in rows if place < len(row)}
    return any(number(cell) is None and _powered(cell) for cell in cells)


def _level(cells: Sequence[str], column: Column, shape: Shape) -> float:
    cell = cells[column.place] if column.place < len(cells) else ""
    return cell_value(cell.strip().removesuffix("%").strip(), column, shape.decimal)


def _value(cells: Sequence[str], column: Column, shape: Shape) -> float:
    return cell_value(cells[column.place] if column.place < len(cells) else "", column, shape.decimal)


def _powered(state: str) -> bool:
    """Whether a state's word, or Android's number for it, says that no charge is drawn."""
    word = state.strip().lower()
    code = number(word)
    return int(code) in _ANDROID_POWERED if code is not None else bool(_POWERED.fullmatch(word))


def _upower(table: Iterable[list[str]]) -> Iterator[_Row]:
    for row in table:
        at, level = _moment(row[0]), number(row[1]) if len(row) == 3 else None
        if at is not None and level:  # upower writes 0 with "unknown" when it starts
            yield _Row(at, level, _powered(row[2]))


class _Entry(NamedTuple):
    """One of the report's entries."""

    at: float
    seconds: float
    percent: float
    fell: float
    """Percent that was discharged in it."""
    powered: bool
    asleep: bool


def _report(found: Iterable[str]) -> tuple[list[_Row], str]:
    """Time awake and what was discharged in it; sleep would be taken for a light load."""
    entries = [entry for text in found if (entry := _entry(dict(_ATTRIBUTE.findall(text)))) is not None]
    if not any(entry.asleep for entry in entries):
        return [_Row(entry.at, entry.percent, entry.powered) for entry in entries], ""
    rows: list[_Row] = []
    awake = slept = 0.0
    level = entries[-1].percent
    for entry in reversed(entries):
        if entry.powered:
            level = entry.percent
        elif entry.asleep:
            slept += entry.seconds
        else:
            awake += entry.seconds
            level += entry.fell
        rows.append(_Row(-awake, level, entry.powered))
    return rows[::-1], f"awake; {slept / 3600:.1f} h of sleep not counted"


def _entry(fields: dict[str, str]) -> _Entry | None:
    at = _moment(fields.get("Timestamp", ""))
    charge, full = number(fields.get("ChargeCapacity")), number(fields.get("FullChargeCapacity"))
    if at is None or charge is None or not full:
        return None
    asleep = fields.get("EntryType", "") in ("Suspend", "Hibernate", "Sleep", "ConnectedStandby", "Shutdown")
    seconds = (number(fields.get("Duration")) or 0.0) / _TICKS_A_SECOND
    fell = (number(fields.get("Discharge")) or 0.0) / full * 100
    return _Entry(at, seconds, charge / full * 100, fell, fields.get("Ac") == "1", asleep)


def _blocks(lines: Iterable[str]) -> Iterator[tuple[str, _Row]]:
    """A time, and what was printed until the next one: a row for each battery by its name."""
    at: float | None = None
    block: list[str] = []
    for line in lines:
        begins = _BEGINS.match(line)
        if begins:
            yield from _block(at, "".join(block))
            at, block = _moment(_of_year_first(begins["us"]) or begins["date"] or begins["count"]), []
        block.append(line[begins.end() :] if begins else line)
    yield from _block(at, "".join(block))


def _of_year_first(us: str | None) -> str:
    """A date of pmset, which is month first everywhere."""
    return f"{us[6:10]}-{us[:2]}-{us[3:5]}{us[10:]}" if us else ""


def _history(lines: Iterable[str]) -> Iterator[_Row]:
    """Android's history of levels, each at a time since its start; what is not repeated goes on."""
    begin = 0.0
    powered = False
    for line in lines:
        found = _HISTORY.match(line)
        if found is None:
            continue
        if reset := _HISTORY_BEGINS.search(found["rest"]):
            begin = _moment("{}-{}-{} {}:{}:{}".format(*reset.groups())) or 0.0
        if state := re.search(r"\bstatus=([\w-]+)", found["rest"]):
            powered = _powered(state[1])
        if found["level"] is not None:
            yield _Row(begin + _span(found["at"]), float(found["level"]), powered)


def _span(text: str) -> float:
    """Seconds of ``1h02m03s456ms``."""
    parts = re.findall(r"(\d+)(ms|d|h|m|s)", text)
    return math.fsum(int(count) * _SPANS[unit] for count, unit in parts)


def _block(at: float | None, text: str) -> Iterator[tuple[str, _Row]]:
    if at is None:
        return
    named = list(_BATTERY.finditer(text))
    edges = [0, *(found.start() for found in named[1:]), len(text)]
    for i, (start, end) in enumerate(itertools.pairwise(edges)):
        part = text[start:end]
        level, state = _BLOCK_LEVEL.search(part), _BLOCK_STATE.search(part)
        if level is not None:
            name = _found(named[i]) if named else ""
            powered = state is not None and _powered(_found(state))
            yield name, _Row(at, float(_found(level).replace(",", ".")), powered)


def _of_one_battery(
    path: str, rows: Sequence[tuple[str, _Row]], hints: Hints | None = None
) -> tuple[list[_Row] | None, str]:
    """The rows of the battery that is discharged; the others rest, or are not there.

    Args:
        hints: of a table, in which one can be chosen.
    """
    by_name: dict[str, list[_Row]] = {}
    for name, row in rows:
        by_name.setdefault(name, []).append(row)
    if len(by_name) < 2:
        return next(iter(by_name.values()), None), ""
    used = [name for name, of_one in by_name.items() if len({row.level for row in of_one}) > 1]
    if not used:
        return next(iter(by_name.values())), ""
    if len(used) > 1 and hints is not None:
        what = f"it shows {' and '.join(map(printable, used))} in turn, and not how much each holds"
        raise question(path, hints, what, answer={"channel": used[0]})
    if len(used) > 1:
        raise LogError(
            f"{path} shows {' and '.join(used)} in turn, and not how much each holds; "
            "keep the rows of one of them"
        )
    return by_name[used[0]], f"by {used[0]}, the one that is discharged"


def _found(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None)


def _moment(text: str) -> float | None:
    """Unix time; ``None``: no time."""
    column = time_column([text], assume=True) if text.strip() else None
    if column is None:
        return None
    try:
        seconds = column.seconds(text)
    except ValueError:
        return None
    return seconds + (column.epoch_of_zero() or 0.0)
