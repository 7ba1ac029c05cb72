"""Finds what the columns of a table mean: by titles, by units in the cells, by what agrees with what.

What cannot be concluded is asked.
"""

import itertools
import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from energymeter.errors import LogError, SpecError
from energymeter.reading import Semantics
from energymeter.recordings.cells import CODES, Column, cell_value, python_number
from energymeter.recordings.formats import Format
from energymeter.recordings.layout import ARRIVAL, Layout
from energymeter.recordings.question import question
from energymeter.recordings.record import Hints, constant_volts
from energymeter.recordings.shape import Shape
from energymeter.recordings.times import (
    QUESTION_STEP,
    Dates,
    TimeColumn,
    Unclear,
    clock_of,
    is_missing,
    of_day,
    time_column,
)
from energymeter.recordings.titles import (
    ADDED_DEVICES,
    DEVICES,
    QUANTITIES,
    SYMBOLS,
    TOTALS,
    Title,
    device_key,
    is_duration,
    meaning,
    vocabulary,
)
from energymeter.text import printable
from energymeter.units import UNITS, amount, find_unit, number, scale

_INSIDE_PACKAGE = vocabulary("core cores ia pp0 uncore gt pp1 graphics cor gfx")
_PACKAGE = vocabulary("package pkg packages processor 0 cpu")
_INCOMING, _OUTGOING = vocabulary("input in charging"), vocabulary("output out load discharging")
_NOT_A_SUPPLY = vocabulary("shunt d+ d- dp dm dplus dminus cc cc1 cc2 ref reference sense")
_SUPPLY = ("bus", "load", "battery", "main", "output", "out", "input", "in", "rail", "supply")
PLAUSIBLE = {"watts": 1000.0, "volts": 500.0, "amps": 50.0}
"""Larger numbers without a unit may be milliwatts, millivolts or milliamps: they are asked about."""
_AGREES = 0.05
_MOST_QUESTIONS = 4
_FAR_BEYOND = 10
"""Times the largest number of the first rows."""
_SHORT_CODE = 100_000
_MAINS = 85.0, 265.0
_POWER_FACTOR = re.compile(
    r"\bpf\b|power.?factor|cos.?(phi|φ|fi\b)|leistungsfaktor|facteur de puissance", re.IGNORECASE
)
_COUNTS = vocabulary("sample samples seq sequence packet n no nr num row count counter step frame ms us")
"""Titles of columns that only number the rows of one stamp."""
_MOST_SERIES = 32
_DECIMALS = re.compile(r"[-+]?\d*\.?(\d*)(?:[eE]([-+]?\d{1,3}))?")
_FINE_SHARE = 1e-3
"""The coarsest last decimal of a counter, of what it gained, that goes before the power next to it."""
_HINT_UNITS = {"watts": "unit", "volts": "volts_unit", "amps": "amps_unit", "joules": "joules_unit"}


Clock = tuple[Callable[[Sequence[str]], float], TimeColumn, str, tuple[int, ...]]
"""Seconds of a row, how they are written, the title, and the columns that they are read from."""


class _Asked(LogError):
    """While an answer is tried, something else is unclear; what would make that clear."""

    def __init__(self, answer: Mapping[str, str]) -> None:
        super().__init__("")
        self.answer = answer


class Planner:
    """Finds the layout of one table from its titles and first rows.

    Args:
        path: the file, for errors.
        shape: of the table.
        rows: the cells of its first rows.
        hints: the user's.
        known: the format by name, if it is one.
        seconds_below: see `energymeter.recordings.times.time_column`.
        proving: an answer is tried, so that the questions that follow need none that is proven.
    """

    def __init__(
        self,
        path: str,
        shape: Shape,
        rows: Sequence[Sequence[str]],
        hints: Hints,
        known: Format | None = None,
        seconds_below: float = QUESTION_STEP,
        *,
        proving: bool = False,
    ) -> None:
        self._proving = proving
        self._seconds_below = seconds_below
        self._path, self._shape, self._rows, self._hints, self._known = path, shape, rows, hints, known
        self._titles = list(shape.titles)
        width = max([len(self._titles), *map(len, rows)])
        self._meant = [self._meaning(title) for title in self._titles]
        self._meant += [meaning("") for _ in range(width - len(self._titles))]
        self._titles += [""] * (width - len(self._titles))
        self._filled_by_place: dict[int, list[str]] = {}
        self._notes: list[str] = []
        self._others: tuple[str, ...] = ()

    def layout(self) -> Layout:
        """The layout.

        Raises:
            LogError: something is missing or unclear; the message asks for it.
            SpecError: a hint names a unit of something else.
        """
        if self._known is not None and self._known.reason and not self._hints.named:
            recognised = f"{self._path} is recognised as {self._known.name}: {self._known.reason}"
            raise LogError(recognised)  # the reason ends with the remedy
        if not self._shape.titles and not (self._hints.time and self._hints.named):
            self._ask("it has no titles", self._numbered())
        time, time_column_, time_title, used = self._time()
        self._clock, _, _, _ = self._time()  # one of its own: a column of times remembers what it has read
        devices = self._devices(set(used))
        columns = self._columns({*used, *devices})
        self._check_marks({*used, *(column.place for column in columns)})
        kinds = {column.kind for column in columns if column.quantity in ("watts", "amps")}
        semantics: Semantics = "mean" if kinds == {"mean"} else "instant"
        if self._known is not None and self._known.semantics is not None:
            semantics = self._known.semantics
        return Layout(
            self._shape,
            self._known,
            time,
            time_column_,
            time_title,
            used,
            devices,
            columns,
            constant_volts(self._hints) if self._is_constant() else None,
            self._hints.semantics or semantics,
            self._known.place if self._known is not None else "rail",
            tuple(self._notes),
            self._others,
        )

    def clock(self) -> tuple[Callable[[Sequence[str]], float], TimeColumn, set[int]]:
        """Seconds of a row, how they are written, and the columns that they are read from.

        Raises:
            LogError: there is no time, or it is unclear.
        """
        time, column, _, used = self._time()
        return time, column, set(used)

    def power(self) -> tuple[Column, ...]:
        """The column of the power, or those of voltage and current; none where that is not clear."""
        self._clock, _, used = self.clock()
        try:
            found = {column.quantity: column for column in self._columns(used)}
        except LogError:
            return ()
        if "watts" in found:
            return (found["watts"],)
        return (found["volts"], found["amps"]) if {"volts", "amps"} <= found.keys() else ()

    def devices(self) -> tuple[int, ...]:
        """Columns that say which device a row is of."""
        self._clock, _, used = self.clock()
        return self._devices(used)

    # -- asking ------------------------------------------------------------------------------------

    def _ask(
        self, what: str, answer: Mapping[str, str] | None = None, hints: Hints | None = None
    ) -> NoReturn:
        if self._proving:
            raise _Asked(answer or {})
        hints = hints or self._hints
        titles = self._shape.titles
        if self._known is not None:
            what = f"recognised as {self._known.name}; {what}"
        answer = self._proven(answer or {}, hints)
        raise question(self._path, hints, what, titles=titles, found=self._shape.said, answer=answer)

    def _proven(self, answer: Mapping[str, str], asked: Hints) -> dict[str, str]:
        """The answer with those that would be asked for next, if the table is then read; else none."""
        given = dict(answer)
        for _ in range(_MOST_QUESTIONS if given else 0):
            hints = Hints(**{**asked._asdict(), **given})
            shape = (
                self._shape._replace(decimal=given["decimal"], unclear="")
                if "decimal" in given
                else self._shape
            )
            named = [value for name, value in given.items() if name in ("time", *QUANTITIES)]
            if len(set(named)) < len(named):
                return {}
            trial = Planner(
                self._path, shape, self._rows, hints, self._known, self._seconds_below, proving=True
            )
            try:
                layout = trial.layout()
                return {**given, **self._one_series(layout, asked)} if self._is_read(layout) else {}
            except _Asked as further:
                if not further.answer.keys() - given.keys():
                    return {}
                given.update(further.answer)
            except (LogError, SpecError):
                return {}
        return {}

    def _one_series(self, layout: Layout, asked: Hints) -> dict[str, str]:
        """The first channel, where rows of several that may contain each other would be asked about next."""
        if len(layout.devices) != 1 or asked.channel is not None:
            return {}
        title = self._titles[layout.devices[0]]
        names = list(dict.fromkeys(self._filled(layout.devices[0])))
        if len(names) < 2 or device_key(title) in ADDED_DEVICES:
            return {}
        return {"channel": f"{title} {names[0]}" if names[0].isdigit() else names[0]}

    def _is_read(self, layout: Layout) -> bool:
        """Whether the first rows have times that differ, and values."""
        times, known = set(), False
        for row in self._rows:
            try:
                times.add(layout.time(row))
            except (IndexError, ValueError, OverflowError):
                continue
            values = [layout.value(column, row) for column in layout.columns]
            known = known or any(value == value for value in values)
        return known and (len(times) > 1 or len(self._rows) < 2 or layout.time_title == ARRIVAL)

    def _numbered(self) -> dict[str, str]:
        """An answer by numbers, of a table without titles: a time that rises, and another number."""
        numeric = [
            p
            for p in range(len(self._titles))
            if any(self._number(cell) is not None for cell in self._cells(p))
        ]
        times = [place for place in range(len(self._titles)) if self._rises(place)] or numeric[:1]
        value = next((p for p in numeric if p not in times[:1]), None)
        answer = {"time": str(times[0] + 1)} if times else {}
        return answer if value is None else {**answer, "watts": str(value + 1), "unit": "W"}

    def _meaning(self, title: str) -> Title:
        said = self._known.columns.get(title.strip().lower()) if self._known is not None else None
        if said is None:
            return meaning(title)
        if not said:
            return meaning(title)._replace(quantity=None, unit="", unknown_unit="")
        quantity, unit, *kind = said.split()
        return meaning(title)._replace(
            quantity=quantity,
            unit="" if unit == "?" else unit,
            unknown_unit="",
            kind=" ".join(kind),
        )

    def _check_marks(self, places: set[int]) -> None:
        """Ask where ``10,000`` may be ten or ten thousand."""
        unclear = self._shape.unclear
        if unclear and any(unclear in self._cells(place) for place in places):
            other = "." if "," in unclear else ","
            self._ask(f"{unclear!r} may be thousands, or a number with decimals", {"decimal": other})

    # -- cells -------------------------------------------------------------------------------------

    def _cells(self, place: int) -> list[str]:
        return [row[place].strip() for row in self._rows if place < len(row)]

    def _filled(self, place: int) -> list[str]:
        if place not in self._filled_by_place:
            self._filled_by_place[place] = [cell for cell in self._cells(place) if not is_missing(cell)]
        return self._filled_by_place[place]

    def _number(self, cell: str) -> float | None:
        return number(python_number(cell, self._shape.decimal))

    def _values(self, column: Column) -> list[float]:
        return [
            cell_value(row[column.place] if column.place < len(row) else "", column, self._shape.decimal)
            for row in self._rows
        ]

    def _cell_unit(self, place: int) -> tuple[str, str] | None:
        """The quantity and unit that most of a column's cells are written with."""
        found = [amount(python_number(cell, self._shape.decimal)) for cell in self._filled(place)]
        units = [find_unit(one[1]) for one in found if one is not None and one[1]]
        known = [unit for unit in units if unit is not None]
        if not known or len(known) * 2 < len(found):
            return None
        return known[0] if len({quantity for quantity, _ in known}) == 1 else None

    def _is_numeric(self, place: int) -> bool:
        filled = self._filled(place)
        good = sum(amount(python_number(cell, self._shape.decimal)) is not None for cell in filled)
        return good * 2 >= len(filled)

    # -- time --------------------------------------------------------------------------------------

    def _time(self) -> Clock:
        if self._hints.time == ARRIVAL:
            return (lambda row: 0.0), TimeColumn(), ARRIVAL, ()
        if self._hints.time is not None:
            place = self._place("time", self._hints.time)
            found = self._read_time(place)
            if found is None:
                self._ask(
                    f"the times in {self._hints.time!r} cannot be read, such as {self._sample(place)!r}",
                    self._guess(),
                )
            return self._one(place, found)
        pair = self._date_and_clock()
        if pair is not None:
            return pair
        tried: list[int] = []
        for place in self._time_candidates():
            tried.append(place)
            found = self._read_time(place)
            if found is not None:
                return self._one(place, found)
        if tried:
            self._ask(
                f"it has no row whose time can be read; its first is {self._sample(tried[0])!r}",
                self._guess(),
            )
        return self._ask("which column is the time is not known", self._guess())

    def _sample(self, place: int) -> str:
        row = next((row for row in self._rows if place < len(row) and not is_missing(row[place])), [])
        return self._shape.delimiter.join(row)[:80]

    def _one(self, place: int, column: TimeColumn) -> Clock:
        seconds = column.seconds
        return lambda row: seconds(row[place]), column, self._titles[place], (place,)

    def _read_time(self, place: int) -> TimeColumn | None:
        unit = self._hints.time_unit or self._meant[place].unit
        if self._are_days(place):
            return None
        if not unit and "mm:ss" in self._titles[place].lower().replace("hh:mm:ss", ""):
            unit = "mm:ss"
        try:
            return time_column(
                self._cells(place),
                unit=unit,
                decimal=self._shape.decimal,
                assume=self._hints.time_unit is not None,
                seconds_below=self._seconds_below,
            )
        except Unclear as unclear:
            named = {"time": self._titles[place] or str(place + 1)} if self._hints.time else {}
            guess = "mm:ss" if "mm:ss" in str(unclear) else "ms"
            self._ask(f"{unclear} in {self._titles[place]!r}", {**named, "time_unit": guess})

    def _are_days(self, place: int) -> bool:
        """Whether these are dates without a time, several rows a day: when each was taken is not said."""
        cells = self._filled(place)
        found = [clock_of(cell) for cell in cells]
        return len(set(cells)) < len(cells) and all(
            clock is not None and clock.day is not None and clock.seconds is None for clock in found
        )

    def _time_candidates(self) -> list[int]:
        """Columns that may be the time, the best first: by title, else dates by their cells."""
        ranks: list[tuple[int, int]] = []
        for place, title in enumerate(self._meant):
            if title.quantity == "seconds" and not is_duration(title):
                words = title.text.lower()
                rank = bool(title.subject) * 2 + (
                    not any(w in words for w in ("time", "date", "stamp", "elapsed"))
                )
                ranks.append((rank, place))
        dated = [
            place
            for place in range(len(self._titles))
            if (cells := self._filled(place))
            and all((c := clock_of(cell)) is not None and c.day for cell in cells)
        ]
        if not ranks:
            return dated
        by_title = [place for _, place in sorted(ranks)]
        return [*(p for p in by_title if p in dated), *(p for p in by_title if p not in dated)]

    def _date_and_clock(
        self,
    ) -> Clock | None:
        """A date in one column and the time of day in another."""
        dates, clocks = [], []
        for place in range(len(self._titles)):
            cells = self._filled(place)
            found = [clock_of(cell) for cell in cells]
            if cells and all(
                one is not None and one.day is not None and one.seconds is None for one in found
            ):
                dates.append(place)
            elif cells and all(":" in cell and of_day(cell) is not None for cell in cells):
                clocks.append(place)
        if not dates or not clocks:
            return None
        date_place, clock_place = dates[0], clocks[0]
        known = [one for cell in self._filled(date_place) if (one := clock_of(cell)) is not None]
        orders = {one.order for one in known}
        column = Dates(
            "[local]", next((order for order in ("day", "month", "either") if order in orders), "")
        )

        def seconds(row: Sequence[str]) -> float:
            day, at = clock_of(row[date_place]), of_day(row[clock_place])
            if day is None or day.day is None or at is None:
                raise ValueError(row[date_place])
            return column.of(day._replace(seconds=at))

        title = f"{self._titles[date_place]} and {self._titles[clock_place]}"
        return seconds, column, title, (date_place, clock_place)

    # -- devices -----------------------------------------------------------------------------------

    def _devices(self, used: set[int]) -> tuple[int, ...]:
        """Columns that say which device a row is of; a number that rises with every row does not."""
        found = []
        for place, title in enumerate(self._titles):
            if place in used or device_key(title) not in DEVICES:
                continue
            cells = self._filled(place)
            if len(set(cells)) * 2 <= max(len(cells), 4):
                found.append(place)
        return tuple(found) or self._series(used)

    def _series(self, used: set[int]) -> tuple[int, ...]:
        """A column of any title that distinguishes the rows of one stamp, or names the same few in turn."""
        stamps = []
        for row in self._rows:
            try:
                stamps.append(self._clock(row))
            except (IndexError, ValueError, OverflowError):
                return ()
        together = [
            list(group) for _, group in itertools.groupby(range(len(stamps)), key=lambda i: stamps[i])
        ]
        several = [group for group in together if len(group) > 1]
        for place, title in enumerate(self._meant):
            cells = self._cells(place)
            names = set(cells)
            words = set(device_key(title.text).split("_"))
            if place in used or title.quantity or words & _COUNTS or len(cells) < len(stamps):
                continue
            if not 1 < len(names) <= _MOST_SERIES:
                continue
            by_stamp = (
                len(several) > 1
                and len(several) * 2 >= len(together)
                and all(len({cells[i] for i in group}) == len(group) for group in several)
                and len(names) * 2 <= 3 * max(map(len, several))
            )
            in_turn = (
                len(cells) >= 3 * len(names)
                and all(self._number(name) is None for name in names)
                and all(before == after for before, after in zip(cells, cells[len(names) :], strict=False))
            )
            if by_stamp or in_turn:
                return (place,)
        return ()

    # -- quantities --------------------------------------------------------------------------------

    def _place(self, quantity: str, text: str) -> int:
        """Where the column that a hint names stands: by title, by title in any case, or by number."""
        folded = [title.casefold() for title in self._titles]
        if text in self._titles:
            return self._titles.index(text)
        if text.casefold() in folded:
            return folded.index(text.casefold())
        if text.isascii() and text.isdigit() and 0 < int(text) <= len(self._titles):
            return int(text) - 1
        from difflib import get_close_matches

        close = get_close_matches(text.casefold(), [title for title in folded if title], n=1, cutoff=0.4)
        guess = {quantity: self._titles[folded.index(close[0])]} if close else self._guess()
        return self._ask(
            f"there is no column {text!r}", guess, Hints(**{**self._hints._asdict(), quantity: None})
        )

    def _is_constant(self) -> bool:
        text = self._hints.volts
        return (
            bool(text)
            and text not in self._titles
            and constant_volts(self._hints) is not None
            and bool(self._shape.titles)
        )

    def _columns(self, used: set[int]) -> tuple[Column, ...]:
        hints = self._hints
        if hints.named:
            chosen = {
                quantity: self._column(self._place(quantity, named), quantity)
                for quantity in QUANTITIES
                if (named := getattr(hints, quantity, None))
                and not (quantity == "volts" and self._is_constant())
            }
        else:
            chosen = self._found(used)
        if not set(chosen) - {"volts"}:
            self._ask("which columns are its power, or voltage and current, is not known", self._guess())
        columns = [self._bounded(column) for column in self._with_units(chosen).values()]
        self._check_apparent({column.quantity: column for column in columns})
        return tuple(columns)

    def _bounded(self, column: Column) -> Column:
        """With the largest number beyond which a code such as 65535 stands for no value."""
        if column.quantity not in ("watts", "volts", "amps"):
            return column  # a counter passes through such numbers
        numbers = [value for cell in self._cells(column.place) if (value := self._number(cell)) is not None]
        known = [abs(value) for value in numbers if value not in CODES]
        if not known and all(abs(value) < _SHORT_CODE for value in numbers):
            return column
        return column._replace(highest=_FAR_BEYOND * max(known, default=0.0))

    def _check_apparent(self, known: Mapping[str, Column]) -> None:
        """Volts times amps of alternating current is no power."""
        if {"watts", "joules"} & known.keys() or not {"volts", "amps"} <= known.keys():
            return
        factors = [title for title in self._titles if _POWER_FACTOR.search(title)]
        if factors and not self._hints.named:
            raise LogError(
                f"{self._path}: its volts times amps are apparent power (VA), for {factors[0]!r} is a power "
                "factor; record its watts, or add a column of them"
            )
        sizes = sorted(abs(value) for value in self._values(known["volts"]) if value == value)
        if sizes and _MAINS[0] < sizes[len(sizes) // 2] < _MAINS[1]:
            self._notes.append("volts times amps is apparent power, where these are of alternating current")

    def _found(self, used: set[int]) -> dict[str, Column]:
        candidates: dict[str, list[Column]] = {quantity: [] for quantity in QUANTITIES}
        for place, title in enumerate(self._meant):
            quantity = title.quantity
            if place in used or not self._is_numeric(place):
                continue
            in_cells = self._cell_unit(place)
            if quantity is None and in_cells is not None and not self._meant[place].subject.split()[:0]:
                quantity = in_cells[0] if self._may_be(place) else None
            if quantity in candidates:
                candidates[quantity].append(self._column(place, quantity))
        chosen: dict[str, Column] = {}
        watts = self._one_power(candidates["watts"])
        if watts is not None:
            chosen["watts"] = watts
        subject = self._subject(watts) if watts is not None else None
        amps = self._same(candidates["amps"], subject)
        if amps is None and watts is None and candidates["amps"]:
            amps = self._one_current(candidates["amps"], candidates["volts"])
        if amps is not None:
            chosen["amps"] = amps
            subject = self._subject(amps) if subject is None else subject
        volts = self._supply(candidates["volts"], subject)
        if volts is not None:
            chosen["volts"] = volts
        elif len(candidates["volts"]) > 1 and watts is None and amps is not None and not self._is_constant():
            names = ", ".join(column.title for column in candidates["volts"])
            self._ask(
                f"it has several voltages ({names})",
                {"volts": candidates["volts"][0].title, "amps": amps.title},
            )
        for quantity in ("joules", "coulombs"):
            total = self._same(candidates[quantity], subject)
            if total is not None:
                chosen[quantity] = total
            elif len(candidates[quantity]) > 1 and not chosen:
                names = ", ".join(column.title for column in candidates[quantity])
                self._ask(
                    f"it has several columns of energy ({names})", {"joules": candidates[quantity][0].title}
                )
        return chosen

    def _may_be(self, place: int) -> bool:
        """Whether a column whose cells carry a unit may be what it measures, by its title."""
        title = self._titles[place].lower()
        return not any(word in title for word in ("limit", "max", "min", "temp", "clock", "rated", "std"))

    def _column(self, place: int, quantity: str) -> Column:
        title = self._meant[place]
        hinted = getattr(self._hints, _HINT_UNITS.get(quantity, ""), None)
        if hinted:
            known = find_unit(hinted)
            by_user = scale(quantity, known[1] if known is not None and known[0] == quantity else hinted)
            return Column(place, self._titles[place], quantity, by_user, title.kind, hinted)
        in_cells = self._cell_unit(place)
        if in_cells is not None:
            if in_cells[0] != quantity:
                raise SpecError(
                    f"{in_cells[1]!r} is no unit of {quantity}: name another column than {title.text!r}"
                )
            factor = title.factor if title.quantity == quantity else None
            return Column(place, self._titles[place], quantity, factor, title.kind, in_cells[1])
        if title.quantity not in (None, quantity) and title.unit:
            raise SpecError(
                f"{title.unit!r} is no unit of {quantity}: name another column than {title.text!r}"
            )
        factor = title.factor if title.quantity == quantity else None
        return Column(place, self._titles[place], quantity, factor, title.kind, title.unit)

    def _subject(self, column: Column) -> str:
        return self._meant[column.place].subject

    def _same(self, columns: Sequence[Column], subject: str | None) -> Column | None:
        """The column of the same thing, or the only one."""
        if len(columns) == 1 and (
            subject is None or self._subject(columns[0]) in ("", subject) or not subject
        ):
            return columns[0]
        same = [column for column in columns if self._subject(column) == (subject or "")]
        return same[0] if len(same) == 1 else None

    def _supply(self, columns: Sequence[Column], subject: str | None) -> Column | None:
        usable = [c for c in columns if not set(self._subject(c).split()) & _NOT_A_SUPPLY]
        same = self._same(usable, subject)
        if same is not None or len(usable) == 1:
            return same or usable[0]
        for word in _SUPPLY:
            named = [column for column in usable if word in self._subject(column).split()]
            if len(named) == 1 and not subject:
                return named[0]
        return None

    def _one_power(self, columns: Sequence[Column]) -> Column | None:
        """The column of the whole; columns that it contains are named and not added."""
        columns = self._without_repeats([column for column in columns if column.kind != "per row"])
        if len(columns) < 2:
            return columns[0] if columns else None
        whole = [column for column in columns if _is_whole(self._subject(column))]
        bare = [c for c in columns if not self._subject(c)]
        others = [c for c in columns if c not in whole]
        if len(whole) != 1 and len(bare) == 1:
            whole = []
        if not whole:
            package = [c for c in columns if set(self._subject(c).split()) <= _PACKAGE and self._subject(c)]
            inside = [c for c in columns if set(self._subject(c).split()) & _INSIDE_PACKAGE]
            if len(package) == 1 and len(package) + len(inside) == len(columns):
                whole, others = package, inside
        if len(whole) != 1:
            names = ", ".join(repr(column.title) for column in columns)
            self._ask(
                f"it has {len(columns)} columns of power, and which contain others is not known: {names}",
                {"watts": columns[0].title},
            )
        ends = [column for column in others if set(self._subject(column).split()) & _OUTGOING]
        if ends and set(self._subject(whole[0]).split()) & _INCOMING:
            self._ask(
                f"{whole[0].title!r} comes in, {ends[0].title!r} goes out, and which is meant is not known",
                {"watts": ends[0].title},
            )
        self._others = tuple(column.title for column in others)
        return whole[0]

    def _without_repeats(self, columns: Sequence[Column]) -> list[Column]:
        """One column of several figures of the same thing: the plain one, else the instant."""
        kept: dict[str, Column] = {}
        rank = {"instant": 0, "": 1, "mean": 2}
        for column in columns:
            subject = self._subject(column)
            if subject not in kept or rank.get(column.kind, 3) < rank.get(kept[subject].kind, 3):
                kept[subject] = column
        if len(kept) < len({self._subject(c) for c in columns}):
            return list(columns)
        doubled = [c for c in columns if c not in kept.values() and c.kind == kept[self._subject(c)].kind]
        return [*kept.values(), *doubled]

    def _one_current(self, columns: Sequence[Column], volts: Sequence[Column]) -> Column | None:
        whole = [c for c in columns if _is_whole(self._subject(c)) or not self._subject(c)]
        if len(whole) == 1:
            return whole[0]
        names = ", ".join(repr(column.title) for column in columns)
        its = [column.title for column in volts if self._subject(column) == self._subject(columns[0])]
        near = its or [column.title for column in volts]
        voltage = {"volts": near[0]} if near else {}
        return self._ask(f"it has several currents ({names})", {"amps": columns[0].title, **voltage})

    def _guess(self) -> dict[str, str]:
        """The nearest guess: columns that sound like time and like power, else the first numbers."""
        from difflib import SequenceMatcher

        def near(place: int, words: Sequence[str]) -> float:
            title = self._titles[place].lower()
            return max(SequenceMatcher(None, title, word).ratio() + (word in title) for word in words)

        numeric = [p for p in range(len(self._titles)) if self._is_numeric(p) and self._filled(p)]
        if not self._titles or not numeric:
            return {"time": "TIME", "watts": "POWER", "unit": "mW"} if not self._rows else {}
        if self._hints.time is not None and self._hints.time in self._titles:
            time = self._titles.index(self._hints.time)
        else:
            words = ("time", "date", "timestamp", "when")
            rising = [place for place in range(len(self._titles)) if self._rises(place)]
            time = max(rising or range(len(self._titles)), key=lambda place: near(place, words))
        values = [p for p in numeric if p != time] or numeric
        value = max(values, key=lambda p: near(p, ("power", "watt", "value", "load")))
        return {"time": self._label(time), "watts": self._label(value), "unit": "W"}

    def _rises(self, place: int) -> bool:
        """Whether each cell of a column is a later time than the one before."""
        numbers = [self._number(cell) for cell in self._filled(place)]
        known = [number for number in numbers if number is not None]
        if known and len(known) == len(numbers):
            return len(known) > 1 and all(map(float.__lt__, known[:-1], known[1:]))
        try:
            column = self._read_time(place)
            at = [] if column is None else [column.seconds(cell) for cell in self._filled(place)]
        except (LogError, ValueError, OverflowError):
            return False
        return len(at) > 1 and all(map(float.__lt__, at[:-1], at[1:]))

    def _label(self, place: int) -> str:
        return self._titles[place] or str(place + 1)

    # -- units -------------------------------------------------------------------------------------

    def _with_units(self, chosen: dict[str, Column]) -> dict[str, Column]:
        """Each column with its factor: by its unit, by its agreement with the others, or by its size."""
        known = dict(chosen)
        for quantity in ("volts", "amps", "watts"):
            if quantity in known:
                known[quantity] = self._sized(known[quantity])
        self._by_product(known)
        for total in ("joules", "coulombs"):
            if total in known:
                self._by_integral(known, total)
        for quantity in ("watts", "volts", "amps"):
            if quantity in known and known[quantity].factor is None and not known[quantity].unit:
                self._ask_unit(known[quantity])
        return known

    def _sized(self, column: Column) -> Column:
        """In SI where nothing is said and the numbers are such as boards draw."""
        title = self._meant[column.place]
        if column.factor is not None or column.unit or title.unknown_unit:
            return column
        self._check_cells(column)
        self._check_unit_column(column)
        sizes = sorted(abs(v) for v in self._values(column._replace(factor=1.0)) if v == v and v != 0)
        typical = sizes[len(sizes) // 2] if sizes else 0.0
        if typical < PLAUSIBLE[column.quantity] or (column.quantity == "watts" and self._hints.board):
            return column._replace(factor=1.0, assumed=not self._hints.board)
        return column

    def _check_cells(self, column: Column) -> None:
        """Refuse cells with a unit that is not known."""
        found = [amount(python_number(cell, self._shape.decimal)) for cell in self._filled(column.place)]
        units = [one[1] for one in found if one is not None and one[1]]
        if units and len(units) * 2 > len(found) and all(find_unit(unit) is None for unit in units):
            raise LogError(
                f"{self._path}: cells of {column.title!r} have the unknown unit {printable(units[0])!r}; "
                f"write them in {SYMBOLS[column.quantity]}"
            )

    def _check_unit_column(self, column: Column) -> None:
        """Ask where another column names the unit of each row, which may change."""
        for place, title in enumerate(self._titles):
            units = {found for cell in self._filled(place) if (found := find_unit(cell)) is not None}
            named = {"unit", "units", "uom"} & set(device_key(title).split("_"))
            fitting = sorted(unit for quantity, unit in units if quantity == column.quantity)
            if named and fitting:
                if len(fitting) > 1:
                    raise LogError(
                        f"{self._path}: its rows are in {' and in '.join(fitting)}, by {title!r}; "
                        "write them in one unit"
                    )
                self._ask(
                    f"the unit of {column.title!r} stands in another column, {title!r}",
                    {column.quantity: self._label(column.place), _HINT_UNITS[column.quantity]: fitting[0]},
                )

    def _by_product(self, known: dict[str, Column]) -> None:
        """The power's unit by volts times amps, where these are known; and a contradiction of a thousand."""
        if not {"watts", "volts", "amps"} <= known.keys():
            return
        volts, amps, watts = known["volts"], known["amps"], known["watts"]
        if volts.factor is None or amps.factor is None:
            return
        raw = self._values(watts._replace(factor=1.0)) if watts.unit == "" or watts.factor is not None else []
        factor = 1.0 if watts.factor is None else watts.factor
        products = [v * a for v, a in zip(self._values(volts), self._values(amps), strict=True)]
        ratios = [
            p / (w * factor)
            for p, w in zip(products, raw, strict=False)
            if p == p and w == w and w * factor != 0
        ]
        ratio = abs(statistics.median(ratios)) if ratios else 0.0
        if watts.factor is None or not (watts.unit or self._meant[watts.place].unknown_unit):
            fitting = [
                u for u, f in UNITS["watts"].items() if ratio and abs(ratio / (f / factor) - 1) < _AGREES
            ]
            if fitting:
                known["watts"] = watts._replace(
                    factor=UNITS["watts"][fitting[0]], unit=fitting[0], assumed=False
                )
                return
        for power in (1e3, 1e6, 1e-3, 1e-6):
            if ratio and abs(ratio / power - 1) < _AGREES and not self._hints.unit:
                self._ask(
                    f"{watts.title!r} is {1 / power:g} times {volts.title!r} times {amps.title!r}, so "
                    "a unit is wrong",
                    {"watts": watts.title, "unit": _times(watts.factor or 1.0, power)},
                )

    def _by_integral(self, known: dict[str, Column], total: str) -> None:
        """A column of energy or charge: whether it counts up or is of each row, and in which unit.

        What the power or current adds up to decides. It is left out where it is too coarse or disagrees.
        """
        column = known[total]
        title = self._meant[column.place]
        raw = self._values(column._replace(factor=1.0))
        rows = [i for i, value in enumerate(raw) if value == value]
        steps = [raw[b] - raw[a] for a, b in itertools.pairwise(rows)]
        falls = sum(step < 0 for step in steps)
        rate = self._rates(known, "watts" if total == "joules" else "amps")
        if rate is None:
            if column.factor is None:
                if len(known) == 1 or not {"watts", "amps"} & known.keys():
                    self._ask(
                        f"the unit of {column.title!r} is not known",
                        {total: column.title, f"{total}_unit": "Wh"},
                    )
                del known[total]
                return
            per_row = title.kind == "per row" or falls * 10 > len(steps)
            if per_row and title.kind != "per row" and _starts_again(raw, rows):
                per_row = False
            if self._hints.semantics is not None:
                per_row = self._hints.semantics == "mean"
            elif not per_row and steps and not any(steps):
                self._ask(
                    f"{column.title!r} never changes: whether it counts up or is of each row is not known",
                    {total: self._label(column.place), "semantics": "mean"},
                )
            known[total] = column._replace(kind="per row" if per_row else "")
            return
        expected = self._integral(rate, rows)
        gained = {
            "": math.fsum(step for step in steps if step > 0),
            "per row": math.fsum(raw[i] for i in rows[1:]),
        }
        units = (
            {column.unit: column.factor}
            if column.factor is not None
            else {u: f for u, f in UNITS[total].items() if not title.unknown_unit}
        )
        fitting = [
            (kind, unit, factor)
            for kind in gained
            for unit, factor in units.items()
            if expected and abs(gained[kind] * factor / expected - 1) < _AGREES
        ]
        fine = (
            sum(step != 0 for step in steps) * 2 > len(steps)
            and self._resolution(column) <= _FINE_SHARE * gained[""]
        )
        if len(fitting) == 1 and fine and fitting[0][0] == "":
            known[total] = column._replace(factor=fitting[0][2], unit=fitting[0][1], kind="")
        else:
            del known[total]
            if (
                not fitting
                and column.factor is not None
                and expected
                and sum(step > 0 for step in steps) > 50
            ):
                self._notes.append(f"{column.title!r} does not agree with its power and was not used")

    def _resolution(self, column: Column) -> float:
        """The last decimal that a column is written with, in its own unit."""
        found = [
            _DECIMALS.match(python_number(cell, self._shape.decimal)) for cell in self._filled(column.place)
        ]
        places = [len(one[1] or "") - int(one[2] or 0) for one in found if one is not None]
        return float(10.0 ** -max(places, default=0))

    def _rates(self, known: Mapping[str, Column], quantity: str) -> list[float] | None:
        """Watts or amps of the first rows."""
        if quantity in known and known[quantity].factor is not None:
            return self._values(known[quantity])
        both = [known[q] for q in ("volts", "amps") if q in known and known[q].factor is not None]
        if quantity == "watts" and len(both) == 2:
            return [v * a for v, a in zip(*map(self._values, both), strict=True)]
        return None

    def _integral(self, rates: Sequence[float], rows: Sequence[int]) -> float:
        """What rates add up to over the first rows, by trapezoids."""
        times = []
        for row in self._rows:
            try:
                times.append(self._clock(row))
            except (IndexError, ValueError):
                times.append(math.nan)
        terms = [(rates[a] + rates[b]) / 2 * (times[b] - times[a]) for a, b in itertools.pairwise(rows)]
        return math.fsum(term for term in terms if term == term)

    def _ask_unit(self, column: Column) -> NoReturn:
        title = self._meant[column.place]
        what = f"the unit {title.unknown_unit!r} of" if title.unknown_unit else "the unit of"
        self._ask(f"{what} {column.title!r} is not known", unit_answer(column))


def unit_answer(column: Column) -> dict[str, str]:
    """The nearest guess of the unit of numbers that are too large for SI, as hints."""
    guess = {"watts": "mW", "volts": "mV", "amps": "mA"}[column.quantity]
    return {column.quantity: column.title or str(column.place + 1), _HINT_UNITS[column.quantity]: guess}


def _is_whole(subject: str) -> bool:
    """Whether a column is of all that others are parts of; ``VIN_SYS_5V0`` is one rail of three."""
    words = set(subject.split())
    return (bool(words & TOTALS) or subject.endswith(" in")) and "5v0" not in words


def _starts_again(raw: Sequence[float], rows: Sequence[int]) -> bool:
    """Whether a column that falls is a counter that was reset: it rises for longer, from near 0 again."""
    pairs = [(raw[a], raw[b]) for a, b in itertools.pairwise(rows)]
    largest = max((b - a for a, b in pairs), default=0.0)
    falls = [b for a, b in pairs if b < a]
    return len(falls) * 4 < len(pairs) and all(0 <= value <= largest / 2 for value in falls)


def _times(factor: float, power: float) -> str:
    wanted = factor * power
    return next((u for u, f in UNITS["watts"].items() if math.isclose(f, wanted, rel_tol=1e-6)), "W")
