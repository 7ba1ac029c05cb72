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
    from energymeter.energy.usage import Usage
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
    per: Sequence[float] = (),
    spans: Sequence[tuple[float, float] | str] = (),
    unit: str = "",
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
        per: units in each recording: one number for all, one for each arm, or one for each recording; none:
            one, or where a span is named how many of the ``unit`` its calls counted, else their number.
        spans: start and end, in s from the start of the recording, or the name of a span of its run: none, or
            as many as ``per`` may be.
        paired: recordings of the same number in each arm were neighbours in time.

    Raises:
        SpecError: the numbers of options and recordings do not match, or a recording has no such span.
        LogError, NotMeasured: as for `Trace.load`.
    """
    files = [(number, place, path) for number, paths in enumerate(arms) for place, path in enumerate(paths)]
    counts = [len(paths) for paths in arms]
    units = _spread("--per", per, counts) if per else [None] * len(files)
    windows = _spread("--span", spans, counts) if spans else [None] * len(files)
    alone = max(counts) == 1
    named = {span for span in spans if isinstance(span, str)}
    unit = unit or (f"call of {named.pop()}" if len(named) == 1 and not per else "recording")
    runs, series = [], {}
    notes: list[str] = []
    for (number, place, path), given, window in zip(files, units, windows, strict=True):
        trace = load(path)
        usage, parts, count = _measured(trace, window)
        if isinstance(window, str) and len(parts) < count:
            if given is not None:
                raise SpecError(
                    f"{path} holds {len(parts)} of {count} spans {window!r}, so --per cannot be known; leave "
                    "it out, or give --span as start and end in seconds"
                )
            notes.append(f"of {count} spans {window!r} the log holds the first {len(parts)}: {path}")
        runs.append(
            Run.of(
                usage,
                arm=names[number],
                program=path,
                workload=workload,
                pair=place,
                units=_counted(trace, window, unit) or float(len(parts)) if given is None else given,
                unit=unit,
                started=trace.epoch_s,
            )
        )
        if not trace.read_as.startswith(FORMAT.split()[0]):
            runs[-1] = runs[-1]._replace(sources=(_UNKNOWN,))
        series[names[number]] = _power(trace, parts)
    paired = paired and not alone
    if not paired:
        notes.append("the runs were not made in turns: what changed in between counts as a difference")
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


def _measured(
    trace: "Trace", window: tuple[float, float] | str | None
) -> "tuple[Usage, Sequence[tuple[float, float]], int]":
    """What was used in a window, or in the calls of a span; when that was; how many calls there were."""
    if isinstance(window, str):
        usage = trace.span_usage(window)
        return usage, trace.spans[window].windows_s, trace.spans[window].n
    start, end = window or trace.window_s or (float(trace.time_s[0]), float(trace.time_s[-1]))
    return trace.usage(start, end), [(start, end)], 1


def _counted(trace: "Trace", window: tuple[float, float] | str | None, unit: str) -> float | None:
    """How many of a unit the calls of a span counted; ``None``: none, or it is no span."""
    return trace.spans[window].counted().get(unit) if isinstance(window, str) else None


def _power(trace: "Trace", windows: Sequence[tuple[float, float]]) -> Floats:
    """Mean power in equal steps of each window; without steps in which nothing was measured."""
    begin = np.searchsorted(trace.time_s, [start for start, _ in windows])
    inside = np.searchsorted(trace.time_s, [end for _, end in windows], side="right") - begin
    most = max(2, _STEPS // len(windows))
    found = []
    for (start, end), samples in zip(windows, inside, strict=True):
        edges = np.linspace(start, end, max(3 if len(windows) == 1 else 2, min(most, int(samples))))
        covered = np.diff(trace.at(edges, "covered_s"))
        joules = np.diff(trace.at(edges))
        known = covered > 0
        found.append(joules[known] / covered[known])
    watts: Floats = np.concatenate(found)
    if len(watts) < 2 or not math.fsum(watts) > 0:
        raise SpecError(
            f"{' + '.join(trace.names)} has no power between {windows[0][0]:g} s and {windows[-1][1]:g} s; "
            "give --span"
        )
    return watts
