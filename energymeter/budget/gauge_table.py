"""Reads what phones, laptops and boards log of their battery gauge: tables, blocks and reports of others.

=====================================  ====================================================================
what                                   how it is known
=====================================  ====================================================================
CSV, ``,`` ``;`` or tab                a header with a time and percent, level, charge_now, left (mAh), …
upower ``history-charge-*.dat``        no header: ``1618000000  83.000  discharging``
``powercfg /batteryreport /XML``       ``<UsageEntry Timestamp=… Ac=… ChargeCapacity=… FullChargeCapacity=…``
blocks, one after the other            a line that begins with the time, and then, on it or below, one of
                                       ``POWER_SUPPLY_CAPACITY=83`` (uevent), ``level: 83`` (``dumpsys
                                       battery``), ``83%; discharging`` (``pmset``), ``83%`` (``acpi``)
=====================================  ====================================================================

Times are dates or counts; a bare count is seconds, or, where those would lie past the year 5138, the
milliseconds, microseconds or nanoseconds of an epoch. Only what came after the last charging is kept, where
a state is logged. The report's attributes were not checked against a real one [M]; nor was any other shape
against a device: they follow published samples.
"""

import csv
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from energymeter.errors import LogError
from energymeter.recordings import reader
from energymeter.recordings.foreign import factor_of, meaning
from energymeter.units import number

_TIME = re.compile(r"time|date|elapsed|seconds|^t$", re.IGNORECASE)
_PERCENT = re.compile(
    r"%|percent|\bsoc\b|state.of.charge|(?<!full.)\blevel\b|(^|_)capacity$|battery.level", re.IGNORECASE
)
_AMOUNT = re.compile(r"(charge|energy)(_|.)(now|counter)|remaining|\(?\b[mµu]?[AW]h\b\)?", re.IGNORECASE)
_STATE = re.compile(r"status|state$|plugged|charging|power.source|^ac$", re.IGNORECASE)
_POWERED = re.compile(
    r"charging|full|fully.charged|charged|not.charging|pending.charge|finishing.charge|ac( .*)?|usb|wireless|"
    r"plugged.*|online|true|yes"
)
_ANDROID_POWERED = (2, 4, 5)
"""BatteryManager.BATTERY_STATUS_CHARGING, _NOT_CHARGING and _FULL (developer.android.com)."""
_LAST_SECOND = 1e11
_DATE = re.compile(
    r"(\d{4})[-/.](\d\d?)[-/.](\d\d?)[T ](\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?\s*(Z|UTC|[+-]\d\d:?\d\d)?"
)
_BEGINS = re.compile(rf"\s*(?P<date>{_DATE.pattern})|\s*(?P<count>\d{{9,19}}(?:\.\d+)?)\b")
_BLOCK_LEVEL = re.compile(
    r"POWER_SUPPLY_CAPACITY=(\d+)|^\s*level: (\d+)|\b(\d{1,3}(?:\.\d+)?) ?%", re.MULTILINE
)
_BLOCK_STATE = re.compile(
    r"POWER_SUPPLY_STATUS=([\w ]+)|^\s*status: (\d)|%; ?([\w ]+);|: ((?:Not c|C|Disc)harging|Full),",
    re.MULTILINE,
)
_ENTRY = re.compile(r"<UsageEntry\b[^>]*>")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


class Gauge(NamedTuple):
    """A gauge's readings since it was last charged."""

    times_s: list[float]
    levels: list[float]
    in_percent: bool
    watts: list[float]
    """What was drawn, by a column of power or those of volts and amps; NaN where none tells it. Gauges do not
    agree on the sign: what most rows have is taken for drawing, the other for charging."""
    at_cell: bool
    """That is before any converter: the gauge's own figures, by their titles."""


class _Row(NamedTuple):
    at: float
    level: float
    powered: bool
    watts: float = math.nan
    at_cell: bool = False


def read(path: str) -> Gauge | None:
    """The gauge in a log; ``None``: it has none that is known here.

    Raises:
        LogError: the file cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig", errors="replace")
        in_percent, rows = _rows(text)
    except (OSError, csv.Error) as error:
        raise LogError(f"{path} cannot be read: {error}.") from error
    if rows is None:
        return None
    kept: list[_Row] = []
    for row in rows:
        if row.powered:
            kept = []
        else:
            kept.append(row)
    known = sorted(row.watts for row in kept if not math.isnan(row.watts))
    sign = -1.0 if known and known[len(known) // 2] < 0 else 1.0
    return Gauge(
        [row.at for row in kept],
        [row.level for row in kept],
        in_percent,
        [sign * row.watts for row in kept],
        any(row.at_cell for row in kept),
    )


def _rows(text: str) -> tuple[bool, Iterable[_Row] | None]:
    entries = _ENTRY.findall(text)
    if entries:
        return True, _report(entries)
    lines = text.splitlines()
    head = next((line for line in lines if line.strip()), "")
    table = csv.reader(lines, delimiter=max(",;\t", key=head.count))
    if _BEGINS.match(head) and "\t" in head and len(head.split("\t")) == 3 and "%" not in head:
        return True, _upower(line.split("\t") for line in lines)
    if not _BEGINS.match(head):
        titles = [title.strip() for title in next((row for row in table if any(row)), [])]
        if (columns := _Columns.of(titles)) is not None:
            return columns.percent is not None, columns.rows(table)
    blocks = list(_blocks(lines))
    return True, blocks or None


class _Columns(NamedTuple):
    """Where in a table things stand."""

    time: int
    factor: float | None
    level: int
    percent: int | None
    states: tuple[int, ...]
    power: tuple[tuple[int, float], ...]
    """Columns, and their factors to SI, whose product is the power."""
    at_cell: bool

    @classmethod
    def of(cls, titles: Sequence[str]) -> "_Columns | None":
        def first(pattern: re.Pattern[str]) -> int | None:
            return next((i for i, title in enumerate(titles) if pattern.search(title)), None)

        time, percent = first(_TIME), first(_PERCENT)
        level = percent if percent is not None else first(_AMOUNT)
        if time is None or level is None:
            return None
        factor = factor_of("seconds", titles[time], reader.Hints())
        states = tuple(i for i, title in enumerate(titles) if i not in (time, level) and _STATE.search(title))
        return cls(time, None if factor == 1.0 else factor, level, percent, states, *_power(titles))

    def rows(self, table: Iterable[list[str]]) -> Iterator[_Row]:
        for row in table:
            at = _moment(row[self.time], self.factor) if self.time < len(row) else None
            if at is None:
                continue  # half a row at the end, a repeated header
            cell = row[self.level].strip().removesuffix("%") if self.level < len(row) else ""
            level = number(cell)
            powered = any(_powered(row[i]) for i in self.states if i < len(row))
            yield _Row(at, math.nan if level is None else level, powered, self._watts(row), self.at_cell)

    def _watts(self, row: Sequence[str]) -> float:
        watts = 1.0 if self.power else math.nan
        for place, factor in self.power:
            value = number(row[place]) if place < len(row) else None
            watts *= math.nan if value is None else value * factor
        return watts


def _power(titles: Sequence[str]) -> tuple[tuple[tuple[int, float], ...], bool]:
    found: dict[str, tuple[int, float]] = {}
    for place, title in enumerate(titles):
        quantity, factor = meaning(title, reader.Hints())
        if quantity is not None:
            found.setdefault(quantity, (place, factor))
    for wanted in (("watts",), ("volts", "amps")):
        if all(quantity in found for quantity in wanted):
            columns = tuple(found[quantity] for quantity in wanted)
            return columns, all(titles[place].lower().endswith("_now") for place, _ in columns)
    return (), False


def _powered(state: str) -> bool:
    """Whether a state's word, or Android's number for it, says that no charge is drawn."""
    word = state.strip().lower()
    code = number(word)
    return int(code) in _ANDROID_POWERED if code is not None else bool(_POWERED.fullmatch(word))


def _upower(table: Iterable[list[str]]) -> Iterator[_Row]:
    for row in table:
        at, level = _moment(row[0], None), number(row[1]) if len(row) == 3 else None
        if at is not None and level:  # upower writes 0 with "unknown" when it starts
            yield _Row(at, level, _powered(row[2]))


def _report(entries: Iterable[str]) -> Iterator[_Row]:
    for entry in entries:
        fields = dict(_ATTRIBUTE.findall(entry))
        at = _moment(fields.get("Timestamp", ""), None)
        charge, full = number(fields.get("ChargeCapacity")), number(fields.get("FullChargeCapacity"))
        if at is not None and charge is not None and full:
            yield _Row(at, charge / full * 100, fields.get("Ac") == "1")


def _blocks(lines: Iterable[str]) -> Iterator[_Row]:
    """A time, and what was printed until the next one."""
    at: float | None = None
    block: list[str] = []
    for line in lines:
        begins = _BEGINS.match(line)
        if begins:
            yield from _block(at, "\n".join(block))
            at, block = _moment(begins["date"] or begins["count"], None), []
        block.append(line[begins.end() :] if begins else line)
    yield from _block(at, "\n".join(block))


def _block(at: float | None, text: str) -> Iterator[_Row]:
    level, state = _BLOCK_LEVEL.search(text), _BLOCK_STATE.search(text)
    if at is not None and level is not None:
        yield _Row(at, float(_found(level)), state is not None and _powered(_found(state)))


def _found(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None)


def _moment(text: str, factor: float | None) -> float | None:
    """Seconds, by ``factor`` (None: as its size tells); ``None``: no time."""
    count = number(text)
    if count is not None:
        if factor is not None:
            return count * factor
        while abs(count) > _LAST_SECOND:
            count /= 1000
        return count
    date = _DATE.match(text.strip())
    if date is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = date.groups()
    zone = "+00:00" if zone in ("Z", "UTC") else f"{zone[:3]}:{zone[-2:]}" if zone else ""
    whole = f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute}:{second or '00'}{zone}"
    try:
        return datetime.fromisoformat(whole).timestamp() + float(f"0.{fraction or 0}")
    except (ValueError, OverflowError, OSError):
        return None
