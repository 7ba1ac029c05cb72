"""Rows put on one line of time: repeated and coarse stamps, rows out of place, clocks set back, several runs.

A row that was written was measured, so none is dropped for its stamp. What was done to stamps is reported.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from energymeter.text import duration

Floats = npt.NDArray[np.float64]

_FAR_ROWS = 16
"""A row that comes this much later than its neighbours in time was not merely written late."""
_REGULAR = 0.6, 1.6
"""In typical intervals: what rows that were only out of order leave, once they are sorted."""
_FEWEST_FALLS = 3
_SET_BACK_S = 26 * 3600.0
"""A clock is set back by its zone, by a few hours at most; more is another run."""


class Oddities(NamedTuple):
    """What was done to the times of rows."""

    set_back: tuple[tuple[int, float], ...] = ()
    """The first row, from 1, after which the clock went back, and by how much; then the further ones."""
    runs_after: int = 0
    late: int = 0
    shared: int = 1
    resolution_s: float = 0.0
    newest_first: bool = False

    def and_then(self, later: "Oddities") -> "Oddities":
        """Those of rows and of the rows after them."""
        return Oddities(
            (*self.set_back, *later.set_back),
            self.runs_after + later.runs_after,
            self.late + later.late,
            max(self.shared, later.shared),
            self.resolution_s or later.resolution_s,
            self.newest_first or later.newest_first,
        )

    def notes(self) -> tuple[str, ...]:
        """For people."""
        said = ["its rows stood newest first and were turned round"] if self.newest_first else []
        if self.set_back:
            row, fell = self.set_back[0]
            more = f", and {len(self.set_back) - 1} times more" if len(self.set_back) > 1 else ""
            said.append(
                f"the clock went back by {duration(fell)} at row {row}{more}; the rows after it follow on"
            )
        if self.runs_after:
            said.append(
                f"{self.runs_after + 1} runs in one file, put one after the other; between them nothing is "
                "known"
            )
        if self.late:
            said.append(f"{self.late} rows were out of order in time and were sorted")
        if self.shared > 1:
            said.append(
                f"up to {self.shared} rows share the same time: they were spread evenly over "
                f"{duration(self.resolution_s)}"
            )
        return tuple(said)


class Timeline(NamedTuple):
    """When each row was taken."""

    times: Floats
    """Strictly increasing, s."""
    order: npt.NDArray[np.intp] | None
    """Which row stands where; ``None``: as they came."""
    breaks: list[int]
    """Positions before which nothing was measured, for another run begins there."""
    oddities: Oddities
    shift_s: float
    """What was added to the last row's time, and must be to those that follow."""

    def positions(self, rows: Sequence[int]) -> list[int]:
        """Before which positions something is missing that stood before these rows."""
        if self.order is None or not rows:
            return [*rows]
        where = np.empty(len(self.order), np.intp)
        where[self.order] = np.arange(len(self.order))
        back = int(self.oddities.newest_first)  # what stood before a row was taken after it
        return [int(where[row - back]) for row in rows if row >= back]


def timeline(
    times: Floats,
    starts: Collection[int] = (),
    *,
    dated: bool = False,
    first: float | None = None,
    after: float | None = None,
) -> Timeline:
    """Give each row a time of its own.

    Args:
        times: as they were written, s; shape (n,).
        starts: rows that came after repeated titles.
        dated: they are dates, which do not begin again with each run.
        first: the time of the first row of the file, if these are later ones.
        after: the time of the row that follows, if there is one.
    """
    steps = np.diff(times)
    if not len(starts) and np.all(steps > 0):
        return Timeline(times, None, [], Oddities(), 0.0)
    if first is None and after is None and not len(starts) and is_newest_first(times):
        turned = timeline(times[::-1].copy(), dated=dated)
        turned = turned._replace(order=np.arange(len(times))[::-1])
        return turned._replace(oddities=turned.oddities._replace(newest_first=True))
    step = _typical(steps)
    moved, breaks, back, shift = _joined(times, step, starts, dated, times[0] if first is None else first)
    order = None
    late = 0
    if np.any(np.diff(moved) < 0):
        order = np.argsort(moved, kind="stable")
        late = int(np.count_nonzero(order != np.arange(len(order))))
        moved = moved[order]
    moved, shared, resolution = _spread(moved, None if after is None else after + shift)
    return Timeline(moved, order, breaks, Oddities(back, len(breaks), late, shared, resolution), shift)


def is_newest_first(times: Floats) -> bool:
    """Whether a table begins with its last row, as exports of databases do; no clock falls with every row."""
    steps = np.diff(times)
    return len(steps) >= _FEWEST_FALLS and bool(np.all(steps <= 0)) and bool(np.any(steps < 0))


def _typical(steps: Floats) -> float:
    """The median step; steps next to a fall are longer or shorter for the row that is out of place."""
    around = np.concatenate([[1.0], steps, [1.0]])
    ahead = steps[(steps > 0) & (around[:-2] >= 0) & (around[2:] >= 0)]
    ahead = ahead if len(ahead) else steps[steps > 0]
    return float(np.partition(ahead, len(ahead) // 2)[len(ahead) // 2]) if len(ahead) else 1.0


def _joined(
    times: Floats, step: float, starts: Collection[int], dated: bool, first: float
) -> tuple[Floats, list[int], tuple[tuple[int, float], ...], float]:
    """The times without falls, but for rows that were only written late."""
    shifts = np.zeros(len(times))
    shift = 0.0
    breaks: list[int] = []
    back: list[tuple[int, float]] = []
    late_until = -1
    falls = {int(row) for row in np.flatnonzero(np.diff(times) < 0) + 1}
    for i in sorted(falls.union(starts)):
        if i in falls and i >= late_until:
            caught_up = _caught_up(times, i, step)
            if caught_up:
                late_until = caught_up
                continue
            fell = float(times[i - 1] - times[i])
            shift += fell + step
            shifts[i:] = shift
            if i in starts or fell > _SET_BACK_S or (not dated and times[i] <= first + step):
                breaks.append(i)
            else:
                back.append((i + 1, fell))
        elif i in starts and i not in falls:
            breaks.append(i)
    return times + shifts, breaks, tuple(back), shift


def _caught_up(times: Floats, fall: int, step: float) -> int:
    """Where rows written late end; 0 where the clock itself went back."""
    top = times[fall - 1]
    ahead = np.flatnonzero(times[fall + 1 : fall + _FAR_ROWS] > top)
    if not len(ahead):
        return 0
    end = fall + 1 + int(ahead[0])
    begin = fall - 1
    lowest = times[fall:end].min()
    while begin > 0 and times[begin] > lowest:
        begin -= 1
    steps = np.diff(np.sort(times[begin : end + 1]))
    return end if np.all((steps >= _REGULAR[0] * step) & (steps <= _REGULAR[1] * step)) else 0


def _spread(times: Floats, after: float | None) -> tuple[Floats, int, float]:
    """Rows that share a stamp, which their clock could not tell apart, spread evenly until the next.

    Returns:
        The times, the most rows that shared one, and what they were spread over.
    """
    begins = np.concatenate([[0], np.flatnonzero(np.diff(times)) + 1])
    if len(begins) == len(times):
        return times, 1, 0.0
    distinct = times[begins]
    resolution = _typical(np.diff(distinct))
    counts = np.diff(np.append(begins, len(times)))
    last = distinct[-1] + resolution if after is None or not after > distinct[-1] else after
    widths = np.minimum(np.append(distinct[1:], last) - distinct, resolution) / counts
    places = np.arange(len(times)) - np.repeat(begins, counts)
    return np.repeat(distinct, counts) + places * np.repeat(widths, counts), int(counts.max()), resolution
