"""Recordings as arms: what was measured elsewhere, or at another time."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from energymeter.comparison.comparison import Comparison
from energymeter.comparison.runs import Run
from energymeter.comparison.statistics import Floats
from energymeter.errors import SpecError
from energymeter.recordings.header import FORMAT

if TYPE_CHECKING:
    from energymeter.battery.battery import Battery
    from energymeter.carbon.grid import Grid
    from energymeter.recordings.trace import Trace

T = TypeVar("T")

_UNKNOWN = "a meter that the file does not name"
_STEPS = 1200
"""Parts of a window, for the scatter of its power; a step is a sample at least."""


def compare_recordings(
    arms: Sequence[Sequence[str]],
    *,
    names: Sequence[str],
    load: "Callable[[str], Trace]",
    per: Sequence[float] = (1.0,),
    spans: Sequence[tuple[float, float]] = (),
    unit: str = "recording",
    workload: str = "",
    paired: bool = False,
    anyway: bool = False,
    battery: "Battery | None" = None,
    grid: "Grid | None" = None,
) -> Comparison:
    """Compare the energy in recordings.

    Args:
        arms: for each arm the paths of its recordings, of one run each.
        names: of the arms.
        load: reads a path.
        per: units in each recording: one number for all, one for each arm, or one for each recording.
        spans: start and end, in s from the start of the recording: none, or as many as ``per``.
        paired: recordings of the same number in each arm were neighbours in time.

    Raises:
        SpecError: the numbers of options and recordings do not match.
        LogError, NotMeasured: as for `Trace.load`.
    """
    files = [(number, place, path) for number, paths in enumerate(arms) for place, path in enumerate(paths)]
    counts = [len(paths) for paths in arms]
    units = _spread("--per", per, counts)
    windows = _spread("--span", spans, counts) if spans else [None] * len(files)
    alone = max(counts) == 1
    runs, series = [], {}
    for (number, place, path), count, window in zip(files, units, windows, strict=True):
        trace = load(path)
        start, end = window or trace.window_s or (float(trace.time_s[0]), float(trace.time_s[-1]))
        runs.append(
            Run.of(
                trace.usage(start, end),
                arm=names[number],
                program=path,
                workload=workload,
                pair=place,
                units=count,
                unit=unit,
                started=trace.epoch_s,
            )
        )
        if not trace.read_as.startswith(FORMAT.split()[0]):
            runs[-1] = runs[-1]._replace(sources=(_UNKNOWN,))
        series[names[number]] = _power(trace, start, end)
    paired = paired and not alone
    notes: list[str] = (
        [] if paired else ["the runs were not made in turns: what changed in between counts as a difference"]
    )
    return Comparison(
        runs,
        names,
        paired=paired,
        anyway=anyway,
        battery=battery,
        grid=grid,
        notes=notes,
        series=series if alone else None,
    )


def _spread(option: str, values: Sequence[T], counts: Sequence[int]) -> list[T]:
    """One value for each recording."""
    if len(values) == 1:
        return [values[0]] * sum(counts)
    if len(values) == len(counts):
        return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]
    if len(values) == sum(counts):
        return list(values)
    raise SpecError(
        f"{option} is given {len(values)} times for {len(counts)} arms with {sum(counts)} recordings: give "
        "it once, once for each arm, or once for each recording"
    )


def _power(trace: "Trace", start: float, end: float) -> Floats:
    """Mean power in equal steps; without steps in which nothing was measured."""
    inside = int(np.count_nonzero((trace.time_s >= start) & (trace.time_s <= end)))
    edges = np.linspace(start, end, max(3, min(_STEPS, inside)))
    covered = np.diff(trace.at(edges, "covered_s"))
    joules = np.diff(trace.at(edges))
    known = covered > 0
    watts: Floats = joules[known] / covered[known]
    if len(watts) < 2 or not math.fsum(watts) > 0:
        raise SpecError(
            f"{' + '.join(trace.names)} has no power between {start:g} s and {end:g} s; give --span"
        )
    return watts
