"""Rows put on one line of time: repeated and coarse stamps, rows out of place, clocks set back, several runs.

A row that was written was measured, so none is dropped for its stamp. What was done to stamps is reported.
Pure standard library, as the sampling process replays recordings.
"""

import itertools
from array import array
from collections.abc import Collection, Sequence
from typing import NamedTuple

from energymeter.text import duration

_FAR_ROWS = 16
"""A row that comes this much later than its neighbours in time was not merely written late."""
_REGULAR = 0.6, 1.6
"""In typical intervals: what rows that were only out of order leave, once they are sorted."""
_SET_BACK_S = 26 * 3600.0
"""A clock is set back by its zone, by a few hours at most; more is another run."""


class Timeline(NamedTuple):
    """When each row was taken."""

    times: "array[float]"
    """Strictly increasing, s."""
    order: Sequence[int] | None
    """Which row stands where; ``None``: as they came."""
    breaks: Sequence[int]
    """Positions before which nothing was measured, for another run begins there."""
    notes: tuple[str, ...]


def timeline(times: "array[float]", starts: Collection[int] = (), *, dated: bool = False) -> Timeline:
    """Give each row a time of its own.

    Args:
        times: as they were written, s.
        starts: rows that came after repeated titles.
        dated: they are dates, which do not begin again with each run.
    """
    if not starts and all(map(float.__lt__, times[:-1], times[1:])):
        return Timeline(times, None, (), ())
    step = _typical(times)
    moved, breaks, notes = _joined(times, step, starts, dated)
    order: list[int] | None = None
    if any(map(float.__gt__, moved[:-1], moved[1:])):
        order = sorted(range(len(moved)), key=moved.__getitem__)
        late = sum(place != row for place, row in enumerate(order))
        moved = array("d", (moved[row] for row in order))
        notes.append(f"{late} rows were out of order in time and were sorted")
    moved, note = _spread(moved)
    return Timeline(moved, order, breaks, (*notes, *note))


def _typical(times: Sequence[float]) -> float:
    """The median step; steps next to a fall are longer or shorter for the row that is out of place."""
    steps = [b - a for a, b in itertools.pairwise(times)]
    around = zip([1.0, *steps], steps, [*steps[1:], 1.0], strict=False)
    ahead = sorted(step for before, step, after in around if step > 0 and before >= 0 and after >= 0)
    ahead = ahead or sorted(step for step in steps if step > 0)
    return ahead[len(ahead) // 2] if ahead else 1.0


def _joined(
    times: "array[float]", step: float, starts: Collection[int], dated: bool
) -> "tuple[array[float], list[int], list[str]]":
    """The times without falls, but for rows that were only written late."""
    moved, shift, newest = array("d"), 0.0, float("-inf")
    breaks: list[int] = []
    back: list[tuple[int, float]] = []
    late_until = -1
    for i, at in enumerate(times):
        if i and at < times[i - 1] and i >= late_until:
            caught_up = _caught_up(times, i, step)
            if caught_up:
                late_until = caught_up
            else:
                fell = times[i - 1] - at
                shift += fell + step
                if i in starts or fell > _SET_BACK_S or (not dated and at <= times[0] + step):
                    breaks.append(i)
                else:
                    back.append((i + 1, fell))
        elif i in starts:
            breaks.append(i)
        newest = max(newest, at + shift)
        moved.append(at + shift)
    notes = []
    if back:
        row, fell = back[0]
        more = f", and {len(back) - 1} times more" if len(back) > 1 else ""
        notes.append(
            f"the clock went back by {duration(fell)} at row {row}{more}; the rows after it follow on"
        )
    if breaks:
        notes.append(
            f"{len(breaks) + 1} runs in one file, put one after the other; between them nothing is known"
        )
    return moved, breaks, notes


def _caught_up(times: Sequence[float], fall: int, step: float) -> int:
    """Where rows written late end; 0 where the clock itself went back."""
    top = times[fall - 1]
    end = next((j for j in range(fall + 1, min(fall + _FAR_ROWS, len(times))) if times[j] > top), 0)
    if not end:
        return 0
    first = fall - 1
    lowest = min(times[fall:end])
    while first > 0 and times[first] > lowest:
        first -= 1
    window = sorted(times[first : end + 1])
    steps = [b - a for a, b in itertools.pairwise(window)]
    return end if all(_REGULAR[0] * step <= s <= _REGULAR[1] * step for s in steps) else 0


def _spread(times: "array[float]") -> "tuple[array[float], list[str]]":
    """Rows that share a stamp, which their clock could not tell apart, spread evenly until the next."""
    distinct = array("d", (at for at, _ in itertools.groupby(times)))
    if len(distinct) == len(times):
        return times, []
    resolution = _typical(distinct)
    spread, most = array("d"), 0
    following = itertools.chain(distinct[1:], [distinct[-1] + resolution])
    for (at, rows), after in zip(itertools.groupby(times), following, strict=True):
        count = sum(1 for _ in rows)
        width = min(after - at, resolution) / count
        spread.extend(at + place * width for place in range(count))
        most = max(most, count)
    shared = f"up to {most} rows share the same time" if most > 1 else ""
    return spread, [f"{shared}: they were spread evenly over {duration(resolution)}"]
