"""The rows of one channel of somebody else's table: put on one line of time, and kept within bounds."""

import math
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from energymeter.reading import Facts
from energymeter.recordings.record import Record
from energymeter.recordings.thinning import ChannelRows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from energymeter.recordings.timeline import Oddities, Timeline

    Floats = npt.NDArray[np.float64]

OWN_COLUMNS = "time_s", "watts", "volts", "amps", "joules", "coulombs", "covered_s"
FEW_ROWS = 4096
"""So many plain rows need no numpy, which takes longer to import than they take to be read."""
_LOOK_BACK = 1 << 16
_STRETCH_ROWS = 1 << 19
"""Rows that are integrated in one go; what that needs is some ten times their size."""
_FEWEST_LEVELS = 4
_FAR_FALL = 3.0
"""Times its usual step."""
_RAW = {"joules": "raw_joules", "coulombs": "raw_coulombs"}


class Kind(NamedTuple):
    """What all channels of a table have in common."""

    quantities: tuple[str, ...]
    volts: float | None
    """A constant voltage that was given."""
    per_row: bool
    """The joules are those of each row, not a counter."""
    dated: bool
    """The times are dates."""
    facts: Facts


class Channel:
    """The rows of one device.

    Args:
        kind: of its columns.
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self.times = array("d")
        """Those of the newest rows, to which more may be appended; so are the values."""
        self.values = [array("d") for _ in kind.quantities]
        self._pieces: list[list[Floats]] = []
        """The times and values of the rows before those."""
        self._piece_rows = 0
        self.left_out: list[int] = []
        """Rows before which others could not be read."""
        self.starts: list[int] = []
        """Rows before which the titles stood again."""
        self._first: float | None = None
        self._shift = 0.0
        self._done = 0
        self._oddities: Oddities | None = None
        self._kept: ChannelRows | None = None
        self._record: Record | None = None
        self._last: dict[str, float] = {}

    def __len__(self) -> int:
        return self._piece_rows + len(self.times)

    def extend(self, times: "Floats", values: Sequence["Floats"]) -> None:
        """Take rows as whole columns."""
        if len(times):
            self._seal()
            self._pieces.append([times, *values])
            self._piece_rows += len(times)

    @property
    def first(self) -> float:
        """The earliest row's time, as it was written: the first one's, unless they stand newest first."""
        if self._first is not None:
            return self._first
        first = float(self._pieces[0][0][0]) if self._pieces else self.times[0]
        last = self.times[-1] if self.times else float(self._pieces[-1][0][-1])
        if last < first and not self.starts:
            from energymeter.recordings.timeline import is_newest_first

            return last if is_newest_first(self._joined()[0]) else first
        return first

    def stands(self) -> bool:
        """Whether no row is later than another."""
        pieces = [piece[0] for piece in self._pieces]
        lowest = min([*self.times, *(float(piece.min()) for piece in pieces)])
        return lowest == max([*self.times, *(float(piece.max()) for piece in pieces)])

    def typical_size(self, place: int) -> float:
        """The median size of a column's numbers that are not 0; of very many, of the newest."""
        if self._pieces:
            import numpy as np

            sizes = np.abs(self._pieces[-1][place + 1])
            sizes = sizes[sizes > 0]
            return float(np.median(sizes)) if len(sizes) else 0.0
        known = sorted(abs(value) for value in self.values[place] if value and value == value)
        return known[len(known) // 2] if known else 0.0

    def columns(self, zero: float) -> tuple[dict[str, "array[float]"], tuple[str, ...]]:
        """All its rows as columns of a `Record`, and what was done to them.

        Args:
            zero: the time, as it was written, that is second 0.
        """
        if self._kept is not None:
            self._pour(len(self), zero)
            record = self._kept.finished()
            assert self._oddities is not None
            return record.columns, (*self._oddities.notes(), *record.notes)
        if self._is_plain():
            columns = {"time_s": array("d", (at - zero for at in self.times))}
            columns.update(zip(self._kind.quantities, self.values, strict=True))
            if self._kind.volts is not None:
                columns["volts"] = array("d", [self._kind.volts]) * len(self.times)
            return {_RAW.get(name, name): column for name, column in columns.items()}, ()
        made, line = self._on_line(self._joined(), len(self), zero)
        return {name: _array(column) for name, column in made.items()}, line.oddities.notes()

    @property
    def facts(self) -> Facts:
        """Those of its rows, which are means once they were joined."""
        return self._kind.facts if self._kept is None else self._kept.finished().facts

    def fold(self, zero: float, most_rows: int) -> None:
        """Integrate the rows so far, and keep no more than so many of them.

        Args:
            zero: see `columns`; the same every time.
        """
        if not len(self):
            return
        if self._kept is None:
            self._first = self.first
            empty = {name: array("d") for name in OWN_COLUMNS}
            self._record = Record("", self._kind.facts, empty, None, {})
            self._kept = ChannelRows(self._record, most_rows)
        while len(self) >= _STRETCH_ROWS:
            self._pour(self._cut(self._joined()[0][:_STRETCH_ROWS]), zero)

    # -- inside ------------------------------------------------------------------------------------

    def _is_plain(self) -> bool:
        """Whether few rows need nothing but a new origin of time."""
        times = self.times
        return (
            len(times) <= FEW_ROWS
            and not self._pieces
            and not self._kind.per_row
            and not any(0 < row < len(times) for row in self.left_out)
            and not self.starts
            and all(map(self._rises, range(len(self.values))))
            and all(map(float.__lt__, times[:-1], times[1:]))
        )

    def _rises(self, place: int) -> bool:
        """Whether a column never falls, where it is a counter."""
        values = self.values[place]
        return self._kind.quantities[place] not in _RAW or all(map(float.__le__, values[:-1], values[1:]))

    def _seal(self) -> None:
        """Make a piece of the newest rows."""
        import numpy as np

        if self.times:
            self._pieces.append([np.array(self.times), *map(np.array, self.values)])
            self._piece_rows += len(self.times)
            self.times = array("d")
            self.values = [array("d") for _ in self.values]

    def _joined(self) -> list["Floats"]:
        """The times and values of all rows."""
        import numpy as np

        self._seal()
        if len(self._pieces) > 1:
            self._pieces = [[np.concatenate(each) for each in zip(*self._pieces, strict=True)]]
        return self._pieces[0]

    def _on_line(
        self, rows: Sequence["Floats"], count: int, zero: float
    ) -> tuple[dict[str, "Floats"], "Timeline"]:
        """The first rows' columns, on one line of time, with an unknown row where some were left out."""
        import numpy as np

        from energymeter.recordings.timeline import timeline

        kind = self._kind
        offset = self._shift - zero
        line = timeline(
            rows[0][:count] + offset,
            [row for row in self.starts if row < count],
            dated=kind.dated,
            first=None if self._first is None else self._first + offset,
            after=float(rows[0][count]) + offset if count < len(rows[0]) else None,
        )
        columns = {"time_s": line.times}
        for quantity, values in zip(kind.quantities, rows[1:], strict=True):
            column = values[:count] if line.order is None else values[:count][line.order]
            if quantity in _RAW and not kind.per_row:
                column = _without_dips(column)
            columns[_RAW.get(quantity, quantity)] = column
        if kind.volts is not None:
            columns["volts"] = np.full(count, kind.volts)
        holes = [*line.breaks, *line.positions([row for row in self.left_out if row < count])]
        if kind.per_row:
            before = self._last.get("time_s", math.nan)
            columns["watts"] = columns.pop("raw_joules") / np.diff(line.times, prepend=before)
        elif "raw_joules" in columns:
            holes = line.breaks  # what a counter gained while rows were left out is known
        begin = 0 if self._last else 1
        return _with_holes(columns, sorted({row for row in holes if begin <= row < count}), self._last), line

    def _cut(self, times: "Floats") -> int:
        """How many of the rows are earlier than all others, so that these can follow later."""
        import numpy as np

        low = max(1, len(times) - _LOOK_BACK)
        top = times[:low].max()
        highest = np.maximum(np.maximum.accumulate(times[low - 1 :]), top)[:-1]
        lowest = np.minimum.accumulate(times[: low - 1 : -1])[::-1]
        clean = np.flatnonzero(highest < lowest)
        return low + int(clean[-1]) if len(clean) else len(times)

    def _pour(self, count: int, zero: float) -> None:
        """Take the first rows into what is kept."""
        import numpy as np

        from energymeter.recordings.arrays import integrated
        from energymeter.recordings.timeline import Oddities

        if not count:
            return
        rows = self._joined()
        columns, line = self._on_line(rows, count, zero)
        set_back = [(row + self._done, fell) for row, fell in line.oddities.set_back]
        self._shift += line.shift_s
        before = dict(self._last)
        if before:
            if columns["time_s"][0] <= before["time_s"]:  # the clock went back just here
                fell = before["time_s"] - float(columns["time_s"][0])
                lift = fell + float(np.median(np.diff(columns["time_s"])))
                columns["time_s"] = columns["time_s"] + lift
                self._shift += lift
                set_back.insert(0, (self._done + 1, fell))
            columns = {name: np.append(before[name], column) for name, column in columns.items()}
        oddities = line.oddities._replace(set_back=tuple(set_back))
        self._oddities = (self._oddities or Oddities()).and_then(oddities)
        rates = {name: column for name, column in columns.items() if name != "time_s"}
        made = integrated(columns["time_s"], rates, self._kind.facts)
        assert self._record is not None
        assert self._kept is not None
        for name in OWN_COLUMNS:
            column = made.get(name, np.full(len(made["time_s"]), np.nan))
            if name in ("joules", "coulombs", "covered_s") and before.get(name, math.nan) == before.get(name):
                column = np.where(np.isnan(column), 0.0, column) + before[name]
            self._record.columns[name].extend(_array(column[1 if before else 0 :]))
            self._last[name] = float(column[-1])
        self._last.update({name: float(column[-1]) for name, column in rates.items()})
        self._last["time_s"] = float(columns["time_s"][-1])
        self._kept.take()
        self._pieces = [[column[count:].copy() for column in rows]] if count < len(rows[0]) else []
        self._piece_rows -= count
        self.left_out = [row - count for row in self.left_out if row >= count]
        self.starts = [row - count for row in self.starts if row >= count]
        self._done += count


def _array(column: "Floats") -> "array[float]":
    made = array("d")
    made.frombytes(column.data.cast("B"))
    return made


def _without_dips(counter: "Floats") -> "Floats":
    """A counter without falls that are gone in the next step: a read that failed, and not a reset."""
    import numpy as np

    known = np.flatnonzero(~np.isnan(counter))
    if len(known) < _FEWEST_LEVELS or np.all(np.diff(counter[known]) >= 0):
        return counter
    steps = np.diff(counter[known]) != 0
    levels = counter[known][np.concatenate([[True], steps])]
    moves = np.diff(levels)
    if not np.any(moves > 0):
        return counter
    usual = np.median(moves[moves > 0])
    dips = np.flatnonzero((moves[:-1] < -_FAR_FALL * usual) & (levels[2:] >= levels[:-2])) + 1
    levels[dips] = levels[dips - 1]
    mended = counter.copy()
    mended[known] = levels[np.concatenate([[0], np.cumsum(steps)])]
    return mended


def _with_holes(
    columns: dict[str, "Floats"], holes: Sequence[int], before: dict[str, float]
) -> dict[str, "Floats"]:
    """The columns with an unknown row before each of these: what was there could not be read."""
    if not holes:
        return columns
    import numpy as np

    times = columns["time_s"]
    earlier = np.append(before.get("time_s", math.nan), times)[holes]
    middle = (earlier + times[holes]) / 2
    return {
        name: np.insert(column, holes, middle if name == "time_s" else math.nan)
        for name, column in columns.items()
    }
