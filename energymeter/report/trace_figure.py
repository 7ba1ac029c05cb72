"""The trace of a run as a small SVG picture: the least and most power in each column, and its spans.

Black and white will do: a span is a bar in a row of its own, with its name in front; a gap is hatched.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from energymeter.recordings.arrays import Floats
from energymeter.text import duration, printable, significant

if TYPE_CHECKING:
    from energymeter.recordings.trace import Trace
    from energymeter.report.report import ReportedRun

_LEFT, _RIGHT, _TOP = 74.0, 8.0, 8.0
_LANE = 13.0
MOST_LANES = 5
_MOST_BARS = 400
_NAME_CHARACTERS = 12
_MOST_GAPS = 200


class Bar(NamedTuple):
    """A rectangle, in the units of the picture."""

    x: float
    width: float


class Lane(NamedTuple):
    """The calls of one span."""

    name: str
    full_name: str
    y: float
    bars: tuple[Bar, ...]


class Tick(NamedTuple):
    """A mark of an axis."""

    at: float
    text: str


class TraceFigure(NamedTuple):
    """What the template draws; all lengths are in the units of the picture."""

    title: str
    description: str
    height: float
    plot_height: float
    outline: str
    """A closed path around the least and most power of each column."""
    watts: tuple[Tick, ...]
    seconds: tuple[Tick, ...]
    time_unit: str
    gaps: tuple[Bar, ...]
    windows: tuple[Bar, ...]
    """The time that the energy is of."""
    idle_y: float | None
    lanes: tuple[Lane, ...]
    width: float
    right: float
    left: float = _LEFT
    top: float = _TOP

    @classmethod
    def of(cls, run: "ReportedRun", width: float = 720.0, plot_height: float = 110.0) -> "TraceFigure":
        """The figure of a run, so large that letters of 10 units can be read."""
        trace = run.trace
        first, last = float(trace.time_s[0]), float(trace.time_s[-1])
        extent = max(last - first, 1e-9)
        columns = round(width - _LEFT - _RIGHT)
        buckets = _buckets(trace, first, extent, columns)
        idle = run.usage.idle
        known = [
            float(edge)
            for low, high in buckets
            if low is not None and high is not None
            for edge in (low, high)
        ]
        ends = [*known, 0.0, *([] if idle is None else [idle.watts])]
        step = _nice((max(ends) - min(ends)) / 4 or 1.0)
        low, high = step * math.floor(min(ends) / step), step * (math.floor(max(ends) / step) + 1)

        def x(seconds: float) -> float:
            return _LEFT + (min(max(seconds, first), last) - first) / extent * (width - _LEFT - _RIGHT)

        def y(watts: float) -> float:
            return _TOP + (high - watts) / (high - low) * plot_height

        def bars(windows: Sequence[tuple[float, float]]) -> tuple[Bar, ...]:
            return _bars([(x(start), x(end)) for start, end in windows])

        steps = range(round(low / step), round(high / step) + 1)
        lanes = tuple(
            Lane(
                _short(name), printable(name), _TOP + plot_height + 6 + _LANE * number, bars(spans.windows_s)
            )
            for number, (name, spans) in enumerate([*trace.spans.items()][:MOST_LANES])
        )
        scale, unit = (3600.0, "h") if extent >= 7200 else (60.0, "min") if extent >= 120 else (1.0, "s")
        time_step = _nice(extent / scale / (width / 110))
        seconds = tuple(
            Tick(x(first + number * time_step * scale), f"{number * time_step:g}")
            for number in range(int(extent / scale / time_step) + 1)
        )
        gaps = bars(trace.gaps()[:_MOST_GAPS])
        mean = run.usage.mean_watts
        gaps_s = trace.gaps()
        described = [
            f"power of {run.label} over {duration(trace.seconds)}",
            "" if mean is None else f"{significant(mean)} W mean",
            f"{len(gaps_s)} {'gap' if len(gaps_s) == 1 else 'gaps'}",
            f"spans {', '.join(map(printable, trace.spans))}" if trace.spans else "no spans",
        ]
        return cls(
            title=f"Power over time, {run.label}",
            description=", ".join(filter(None, described)),
            height=_TOP + plot_height + 6 + _LANE * len(lanes) + 26,
            plot_height=plot_height,
            outline=_outline(buckets, (width - _LEFT - _RIGHT) / columns, y),
            watts=tuple(Tick(y(number * step), f"{number * step:g}") for number in steps),
            seconds=seconds,
            time_unit=unit,
            gaps=gaps,
            windows=bars(run.windows_s),
            idle_y=None if idle is None else y(idle.watts),
            lanes=lanes,
            width=width,
            right=width - _RIGHT,
        )


def _buckets(
    trace: "Trace", first: float, extent: float, columns: int
) -> list[tuple[float | None, float | None]]:
    """Least and most W in each column of the picture; ``None``: nothing was measured there."""
    edges = first + extent * np.arange(columns + 1) / columns
    least: Floats = np.full(columns, np.inf)
    most: Floats = np.full(columns, -np.inf)
    known = np.isfinite(trace.watts)
    place = np.clip(((trace.time_s - first) / extent * columns).astype(int), 0, columns - 1)
    np.minimum.at(least, place[known], trace.watts[known])
    np.maximum.at(most, place[known], trace.watts[known])
    # between samples that are further apart than a column: the mean power there
    covered = np.diff(trace.at(edges, "covered_s"))
    joules = np.diff(trace.at(edges))
    empty = ~np.isfinite(least)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(covered > 0.01 * extent / columns, joules / covered, np.nan)
    least, most = np.where(empty, mean, least), np.where(empty, mean, most)
    return [
        (float(low), float(high)) if math.isfinite(low) and math.isfinite(high) else (None, None)
        for low, high in zip(least, most, strict=True)
    ]


def _outline(
    buckets: Sequence[tuple[float | None, float | None]], step: float, y: Callable[[float], float]
) -> str:
    """Closed paths, one between each two gaps, at least a line wide.

    Args:
        step: from one bucket to the next, in units of the picture.
        y: where so many W are.
    """
    paths: list[str] = []
    above: list[str] = []
    below: list[str] = []
    for number, (low, high) in enumerate([*buckets, (None, None)]):
        if low is not None and high is not None:
            left, right = _LEFT + number * step, _LEFT + (number + 1) * step
            above += [f"{left:.1f},{y(high) - 0.5:.1f}", f"{right:.1f},{y(high) - 0.5:.1f}"]
            below += [f"{left:.1f},{y(low) + 0.5:.1f}", f"{right:.1f},{y(low) + 0.5:.1f}"]
        elif above:
            paths.append(f"M{' L'.join([*above, *reversed(below)])}Z")
            above, below = [], []
    return " ".join(paths)


def _bars(edges: Sequence[tuple[float, float]]) -> tuple[Bar, ...]:
    """Bars at least half a unit wide; those that touch become one."""
    found: list[Bar] = []
    for left, right in sorted(edges):
        width = max(right - left, 0.5)
        if found and left <= found[-1].x + found[-1].width + 0.2:
            last = found.pop()
            left, width = last.x, max(last.x + last.width, left + width) - last.x
        found.append(Bar(left, width))
    return tuple(found[:_MOST_BARS])


def _short(name: str) -> str:
    text = printable(name)
    return text if len(text) <= _NAME_CHARACTERS else f"{text[: _NAME_CHARACTERS - 1]}…"


def _nice(step: float) -> float:
    """1, 2 or 5 times a power of ten, not below ``step``.

    >>> [_nice(step) for step in (0.3, 1.0, 7.0)]
    [0.5, 1.0, 10.0]
    """
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= step * (1 - 1e-9))
