"""The one reader of dates and times: what a column of them is written in, and seconds from its first row on.

======================  ==============================================================================
written as              read as
======================  ==============================================================================
``2026-05-04T10:00:00`` a date of this machine's zone; with ``Z``, ``UTC`` or ``+01:00``, of that zone
``4.5.2026 10:00``      day first; ``5/4/2026`` and ``5-4-2026`` by the numbers above 12, else by which
                        reading goes on when the date changes, else the date is unknown, not the seconds
``10:00:00.250``        a time of day, or an elapsed time: ``0:00:01.000250``, ``1 day, 0:00:01``
``1777888800000``       a count: of the unit in the title, else of the seconds, milliseconds, microseconds or
                        nanoseconds since 1970 that make a date between 2000 and 2060
``0.125``               a count of seconds, where nothing says otherwise
======================  ==============================================================================
"""

import itertools
import math
import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from energymeter.recordings.cells import python_number
from energymeter.units import UNITS, find_unit, number

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_SINCE_1970 = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_NAMES = {"s": "s", "ms": "ms", "us": "µs", "ns": "ns", "min": "min", "h": "h"}
_EARLIEST_S, _LATEST_S = 946_684_800, 2_840_140_800
"""2000 and 2060: a count that would be another date counts from something else."""
_LONGEST_STEP_S, _SHORTEST_STEP_S = 40 * 86_400.0, 1e-7
_SERIAL = 36_526, 58_000
"""2000 to 2058 in a spreadsheet's days."""
QUESTION_STEP = 10
"""Whole numbers this far apart, without a unit, may be seconds or milliseconds."""
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_ZONES = {
    "Z": 0, "UTC": 0, "GMT": 0, "CET": 3600, "CEST": 7200, "BST": 3600, "EST": -18000, "EDT": -14400,
    "CST": -21600, "CDT": -18000, "MST": -25200, "MDT": -21600, "PST": -28800, "PDT": -25200,
}  # fmt: skip

_CLOCK = r"(?P<h>\d{1,2}):(?P<m>\d\d)(?::(?P<s>\d\d)(?:[.,:](?P<f>\d{1,9}))?)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?"
_ZONE = r"\s*(?P<zone>[Zz]|[A-Z]{3,4}|[+-]\d\d:?(?:\d\d)?)?(?:\[[\w/+-]+\])?"
_DAY = (
    r"(?:(?P<y>\d{4})(?P<sep>[-/._])(?P<mo>\d\d?)(?P=sep)(?P<d>\d\d?)"
    r"|(?P<compact>(?:19|20)\d{6})"
    r"|(?P<a>\d\d?)(?P<sign>[-/.])(?P<b>\d\d?)(?P=sign)(?P<year>\d{4}|\d\d)"
    r"|(?:[A-Za-z]{3},?\s+)?(?P<day>\d\d?)[- ](?P<month>[A-Za-z]{3,9})\.?[-, ]+(?P<yy>\d{4}))"
)
_DATE = re.compile(_DAY + r"$")
_DATED = re.compile(_DAY + r"(?:[T\s,_-]+|(?<=\d{8}))" + _CLOCK + _ZONE + "$")
_C_TIME = re.compile(
    r"(?:[A-Za-z]{3},?\s+)?(?P<month>[A-Za-z]{3,9})\s+(?P<day>\d\d?),?\s+(?:(?P<yy>\d{4}),?\s+)?"
    + _CLOCK
    + _ZONE
    + r"(?:\s+(?P<late>\d{4}))?$"
)
_COMPACT = re.compile(
    r"(?P<compact>(?:19|20)\d{6})[T_ -]?(?P<h>\d\d)(?P<m>\d\d)(?P<s>\d\d)(?:[.,](?P<f>\d{1,9}))?"
    + _ZONE
    + "$"
)
_OF_DAY = re.compile(_CLOCK + "$")
_ELAPSED = re.compile(
    r"(?:(?P<days>\d+)\s*(?:days?,?|d|\.)\s*)?(?P<h>\d+):(?P<m>\d\d):(?P<s>\d\d)(?:[.,:](?P<f>\d{1,9}))?$"
)
_TWO = re.compile(r"(?P<one>\d{1,4}):(?P<two>\d\d)(?:[.,](?P<f>\d{1,9}))?$")


class Unclear(ValueError):
    """These times can be read in more than one way."""


class Clock(NamedTuple):
    """A date and a time as they are written; ``None`` where a part is not there."""

    day: tuple[int, int, int] | None
    """Year, month and day."""
    seconds: float | None
    """Since midnight."""
    offset_s: int | None
    """The zone's, east of Greenwich."""
    order: str = ""
    """What comes first of a date that leaves it open: ``day``, ``month`` or ``either`` (read as day)."""


@lru_cache(maxsize=4096)
def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    return cell.strip("[]<>() ").lower() in _MISSING


_MISSING = {
    "", "n/a", "na", "nan", "-nan", "inf", "+inf", "-inf", "none", "null", "-", "--", "---", "?", "...",
    "nil", "not supported", "unknown error", "unknown", "unavailable", "not available", "err",
    "error", "#n/a",
}  # fmt: skip


@lru_cache(maxsize=2048)
def clock_of(text: str) -> Clock | None:
    """A date, a time of day or both; ``None`` where the text is neither.

    >>> clock_of("2026-05-04T10:00:00.5Z")
    Clock(day=(2026, 5, 4), seconds=36000.5, offset_s=0, order='')
    >>> clock_of("4.5.2026").day, clock_of("10:00 PM").seconds, clock_of("5/4/2026").order
    ((2026, 5, 4), 79200.0, 'either')
    """
    text = text.strip().replace("\u2212", "-")
    found = _dated(text)
    if found is None:
        found = _OF_DAY.match(text)
        return (
            None if found is None or (found["s"] is None and found["half"] is None) else _clock(None, found)
        )
    return _clock(found, found)


def _dated(text: str) -> re.Match[str] | None:
    return _DATED.match(text) or _COMPACT.match(text) or _DATE.match(text) or _C_TIME.match(text)


def _clock(dated: re.Match[str] | None, timed: re.Match[str]) -> Clock | None:
    day, order = (None, "") if dated is None else _day(dated.groupdict())
    if dated is not None and day is None:
        return None
    parts = timed.groupdict()
    seconds = _seconds(parts) if parts.get("h") else None
    if parts.get("h") and seconds is None:
        return None
    zone = parts.get("zone")
    offset = None if not zone else _offset(zone)
    return Clock(day, seconds, offset, order)


def _seconds(parts: dict[str, str | None]) -> float | None:
    hour, minute, second = int(parts["h"] or 0), int(parts["m"] or 0), int(parts["s"] or 0)
    half = (parts.get("half") or "").replace(".", "").lower()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half == "pm")
    if hour > 24 or minute > 59 or second > 60:
        return None
    return hour * 3600 + minute * 60 + second + _fraction(parts.get("f"))


def _fraction(digits: str | None) -> float:
    return int(digits) / 10 ** len(digits) if digits else 0.0


def _day(parts: dict[str, str | None]) -> tuple[tuple[int, int, int] | None, str]:
    """The date, and which of day and month came first where that had to be concluded."""
    if parts.get("y"):
        return _checked(parts["y"], parts["mo"], parts["d"]), ""
    if parts.get("compact"):
        digits = parts["compact"] or ""
        return _checked(digits[:4], digits[4:6], digits[6:]), ""
    if parts.get("month"):
        name = (parts["month"] or "").lower()[:3]
        year = parts.get("yy") or parts.get("late") or "1970"
        return (None if name not in _MONTHS else _checked(year, _MONTHS.index(name) + 1, parts["day"])), ""
    a, b, last = int(parts["a"] or 0), int(parts["b"] or 0), int(parts["year"] or 0)
    if last < 100:
        if 10 < a < 60 and b <= 12 and last <= 31 and not 10 < last < 60:
            return _checked(2000 + a, b, last), ""
        last += 2000
    if parts["sign"] == ".":
        return _checked(last, b, a), ""
    if b > 12:
        return _checked(last, a, b), "month"
    return _checked(last, b, a), "day" if a > 12 else "" if a == b else "either"


def _checked(year: object, month: object, day: object) -> tuple[int, int, int] | None:
    try:
        made = date(int(str(year)), int(str(month)), int(str(day)))
    except ValueError:
        return None
    return made.year, made.month, made.day


def of_day(cell: str) -> float | None:
    """Seconds since midnight of a cell that holds a time of day alone.

    >>> of_day("10:00"), of_day("0:00:01.5"), of_day("4.5.2026")
    (36000.0, 1.5, None)
    """
    found = _OF_DAY.match(cell.strip())
    return None if found is None else _seconds(found.groupdict())


def _offset(zone: str) -> int | None:
    if zone.upper() in _ZONES:
        return _ZONES[zone.upper()]
    if zone[0] not in "+-":
        return None
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return (-1 if zone[0] == "-" else 1) * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)


class TimeColumn:
    """One way of writing times; ``seconds`` gives each cell's, from an origin that is the same for all."""

    said: str = ""
    """What the times are, for people."""
    dated = False
    """Whether they are dates, which do not begin again with each run."""

    def seconds(self, cell: str) -> float:
        """Raises ValueError where the cell is no such time."""
        raise NotImplementedError

    def epoch_of_zero(self) -> float | None:
        """Unix time of second 0, where the times are dates."""
        return None


class Counts(TimeColumn):
    """Numbers that count one unit of time."""

    def __init__(self, factor: float, said: str, *, since_1970: bool, decimal: str) -> None:
        self.factor, self._since_1970, self._decimal = factor, since_1970, decimal
        self.dated = since_1970
        self._origin: int | None = None
        self.said = said

    def seconds(self, cell: str) -> float:
        if not self._since_1970 and self._decimal == ".":  # most logs: no digits beyond those of a float
            try:
                value = float(cell) * self.factor
            except ValueError:
                value = _number(cell, ".") * self.factor
            if not math.isfinite(value) or "_" in cell:
                raise ValueError(cell)
            return value
        text = cell.strip()
        # counts of nanoseconds have more digits than a float holds: differences are of whole numbers
        if text.isdigit() and len(text) < 25:
            return (int(text) - self.begin(int(text))) * self.factor
        value = _number(text, self._decimal)
        return (value - self.begin(int(value))) * self.factor

    def begin(self, first: int) -> int:
        """The count of second 0, which the first one decides."""
        if self._origin is None:
            self._origin = first if self._since_1970 else 0
        return self._origin

    def epoch_of_zero(self) -> float | None:
        return None if not self._since_1970 or self._origin is None else self._origin * self.factor


class Dates(TimeColumn):
    """Dates with times."""

    dated = True

    def __init__(self, said: str, order: str = "") -> None:
        self.said = said
        self._order = order
        """``day`` or ``month`` first; ``either``: not known before the date changes."""
        self._first: Clock | None = None
        self._origin: float | None = None
        self._hour: tuple[object, float] = None, 0.0
        self._before: tuple[object, float] = None, 0.0
        self._fold = 0
        """1 in the second of two hours that a zone without a name on the stamps shows alike."""

    def seconds(self, cell: str) -> float:
        clock = clock_of(cell)
        if clock is None or clock.day is None:
            raise ValueError(cell)
        return self.of(clock)

    def of(self, clock: Clock) -> float:
        """Seconds of a date and a time of day from the first one's midnight on."""
        seconds = clock.seconds or 0.0
        if self._first is None:
            self._first = clock
            self._order = self._order or clock.order
        if self._order == "either":
            if clock.day == self._first.day:
                return seconds
            self._order = self._decided(self._first, clock)
        if self._origin is None:
            self._origin = self._epoch(self._first, 0)
        hour = int(seconds // 3600) if clock.offset_s is None else 0
        if clock.offset_s is None:
            fell = self._before[1] - seconds
            if fell > 0 and clock.day == self._before[0] and fell > self._repeats(clock, hour) / 2 > 0:
                self._fold = 1
            self._before = clock.day, seconds
            if self._fold and self._hour[0] != (clock.day, clock.order, None, hour, 1):
                self._fold = int(self._repeats(clock, hour) > 0)
        key = clock.day, clock.order, clock.offset_s, hour, self._fold
        if self._hour[0] != key:
            self._hour = key, self._epoch(clock, hour) - self._origin - hour * 3600
        return self._hour[1] + seconds

    def is_repeated(self, cell: str) -> bool:
        """Whether the hour of a cell comes twice, because clocks go back."""
        clock = clock_of(cell)
        if clock is None or clock.day is None or clock.offset_s is not None:
            return False
        return self._repeats(clock, int((clock.seconds or 0.0) // 3600)) > 0

    def _repeats(self, clock: Clock, hour: int) -> float:
        """By how much clocks go back in an hour, s."""
        day = _date(clock, self._order)
        whole = datetime(day.year, day.month, day.day) + timedelta(hours=hour)
        return whole.replace(fold=1).timestamp() - whole.timestamp()

    def _decided(self, first: Clock, clock: Clock) -> str:
        """Whether the day or the month comes first, by which of the two goes on by less to the next date."""
        if clock.order in ("day", "month"):
            return clock.order
        steps = {}
        for order in ("day", "month"):
            step = (_date(clock, order) - _date(first, order)).days
            steps[order] = step if step >= 0 else 100_000 - step
        return min(steps, key=lambda order: steps[order])

    def _epoch(self, clock: Clock, hour: int) -> float:
        day = _date(clock, self._order)
        whole = datetime(day.year, day.month, day.day) + timedelta(hours=hour)
        if clock.offset_s is not None:
            return whole.replace(tzinfo=timezone.utc).timestamp() - clock.offset_s
        return whole.replace(fold=self._fold).timestamp()

    def epoch_of_zero(self) -> float | None:
        return self._origin


def _date(clock: Clock, order: str) -> date:
    assert clock.day is not None
    year, month, day = clock.day
    return date(year, day, month) if clock.order == "either" and order == "month" else date(year, month, day)


class Elapsed(TimeColumn):
    """Times of the day, which begin again at midnight, or times since a start."""

    def __init__(self, said: str, pattern: re.Pattern[str] = _ELAPSED, unit: str = "") -> None:
        self.said = said
        self._pattern, self._unit = pattern, unit
        self._before, self._days = -1.0, 0

    def seconds(self, cell: str) -> float:
        at = self.of(cell)
        if self._unit:
            return at
        if at < self._before - 82_800 and at < 3600:  # midnight lies between
            self._days += 1
        self._before = at
        return at + self._days * 86_400

    def of(self, cell: str) -> float:
        """Seconds of a cell alone. Raises ValueError where it is no such time."""
        text = cell.strip()
        if self._unit:
            found = _TWO.match(text)
            if found is None:
                raise ValueError(cell)
            one, two = int(found["one"]), int(found["two"])
            at = one * 60.0 + two + _fraction(found["f"])
            return at * 60 if self._unit == "hh:mm" else at
        clock = _OF_DAY.match(text) if "M" in text.upper() else None
        if clock is not None:
            return _seconds(clock.groupdict()) or 0.0
        found = self.match(text)
        if found is None:
            raise ValueError(cell)
        at = int(found["days"] or 0) * 86_400 + int(found["h"]) * 3600 + int(found["m"]) * 60
        return at + (int(found["s"]) + _fraction(found["f"]))

    def match(self, text: str) -> re.Match[str] | None:
        """The parts of a cell that has no AM or PM."""
        return None if self._unit else self._pattern.match(text)

    def unwrapped(self, at: "npt.NDArray[np.float64]") -> "npt.NDArray[np.float64]":
        """What `seconds` gives for many cells after one another, from what `of` gives."""
        wraps = at < 3600
        wraps[1:] &= at[1:] < at[:-1] - 82_800
        wraps[0] &= at[0] < self._before - 82_800
        days = self._days + wraps.cumsum()
        self._before, self._days = float(at[-1]), int(days[-1])
        return at + days * 86_400.0


def digits_of(cell: str, column: TimeColumn, *, date_apart: bool) -> dict[str, tuple[int, int]] | None:
    """Where minutes ``m``, seconds ``s`` and their fraction ``f`` stand in a cell of times.

    Args:
        date_apart: the date stands in another column.
    """
    if isinstance(column, Elapsed):
        found = column.match(cell)
    else:
        found = _OF_DAY.match(cell) if date_apart else _dated(cell)
    if found is None or not found.groupdict().get("s"):
        return None
    return {part: found.span(part) if found[part] else (0, 0) for part in ("m", "s", "f")}


def _number(text: str, decimal: str) -> float:
    value = number(python_number(text, decimal))
    if value is None:
        raise ValueError(text)
    return value


def time_column(
    cells: Sequence[str],
    *,
    unit: str = "",
    decimal: str = ".",
    assume: bool = False,
    seconds_below: float = QUESTION_STEP,
) -> TimeColumn | None:
    """How the times in a column's first cells are written; ``None`` where they are no times.

    Args:
        cells: some of them.
        unit: of a count, by the title or the user; ``hh:mm`` or ``mm:ss`` of times in two parts.
        decimal: the decimal mark.
        assume: a whole number without a unit is seconds, whatever its steps.
        seconds_below: whole numbers without a unit are seconds where their steps are smaller.

    Raises:
        Unclear: there is more than one way to read them; the message says which.
    """
    known = [cell.strip() for cell in cells if not is_missing(cell)]
    counts = [_count(cell, decimal) for cell in known]
    numeric = [count for count in counts if count is not None]
    if len(numeric) > len(known) / 2:
        if _all_compact(known):
            return Dates("[local]")
        return _counts(numeric, unit, decimal, math.inf if assume else seconds_below)
    dated = [clock for cell in known if (clock := clock_of(cell)) is not None and clock.day is not None]
    if len(dated) > len(known) / 2:
        return _dates(dated)
    if known and sum(_ELAPSED.match(cell) is not None or _am_pm(cell) for cell in known) > len(known) / 2:
        return Elapsed("[h:mm:ss]")
    pairs = [found for cell in known if (found := _TWO.match(cell))]
    if known and len(pairs) > len(known) / 2:
        return _pairs(pairs, unit)
    return None


def _am_pm(cell: str) -> bool:
    found = _OF_DAY.match(cell)
    return found is not None and found["half"] is not None


def _count(cell: str, decimal: str) -> float | None:
    return number(python_number(cell, decimal))


def _all_compact(cells: Sequence[str]) -> bool:
    return all(len(cell) >= 14 and _COMPACT.match(cell) and clock_of(cell) is not None for cell in cells)


def _dates(dated: Sequence[Clock]) -> Dates:
    orders = {clock.order for clock in dated}
    zones = {clock.offset_s for clock in dated}
    zone = "local" if zones == {None} else "UTC" if zones == {0} else "with zone"
    return Dates(f"[{zone}]", next((order for order in ("day", "month", "either") if order in orders), ""))


def _counts(values: Sequence[float], unit: str, decimal: str, seconds_below: float) -> Counts:
    found = find_unit(unit) if unit else None
    if unit.strip().lower() in ("d", "day", "days"):
        return Counts(86_400.0, "[days]", since_1970=False, decimal=decimal)
    sizes = [name for name, factor in _SINCE_1970.items() if _EARLIEST_S <= values[0] * factor <= _LATEST_S]
    steps = sorted(b - a for a, b in itertools.pairwise(values) if b > a)
    step = steps[len(steps) // 2] if steps else None
    since = [
        name
        for name in sizes
        if step is None or _SHORTEST_STEP_S <= step * _SINCE_1970[name] <= _LONGEST_STEP_S
    ]
    if found is not None and found[0] == "seconds":
        factor, name = UNITS["seconds"][found[1]], found[1]
        if since and name == "s" and since[0] != "s":  # the year 58 000 is not meant: the title is wrong
            factor, name = _SINCE_1970[since[0]], since[0]
        dated = _EARLIEST_S <= values[0] * factor <= _LATEST_S
        return Counts(factor, f"[{_NAMES[name]}{' since 1970' * dated}]", since_1970=dated, decimal=decimal)
    if since:
        return Counts(
            _SINCE_1970[since[0]], f"[{_NAMES[since[0]]} since 1970]", since_1970=True, decimal=decimal
        )
    if (
        seconds_below < math.inf
        and step is not None
        and _SERIAL[0] < values[0] < _SERIAL[1]
        and step < 1 / 24
    ):
        raise Unclear("its times may be a spreadsheet's days or seconds")
    whole = all(value == int(value) for value in values)
    if whole and step is not None and step >= seconds_below:
        raise Unclear(f"its times go on by {step:g} and have no unit")
    return Counts(1.0, "[s]", since_1970=False, decimal=decimal)


def _pairs(found: Sequence[re.Match[str]], unit: str) -> Elapsed:
    unit = unit.strip().lower()
    if unit in ("hh:mm", "h:mm"):
        return Elapsed("[hh:mm]", unit="hh:mm")
    if unit in ("mm:ss", "m:ss") or any(pair["f"] or int(pair["one"]) > 23 for pair in found):
        return Elapsed("[mm:ss]", unit="mm:ss")
    raise Unclear("its times may be hh:mm or mm:ss")
