"""`compare`: measure functions in turns and decide."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from energymeter.comparison.comparison import Comparison
from energymeter.comparison.interleaved import Arm, Protocol, Work, finished, measure_arms, title_of
from energymeter.comparison.runs import Folder
from energymeter.errors import SpecError
from energymeter.meter.meter import EnergyMeter

if TYPE_CHECKING:
    from energymeter.battery.battery import Battery
    from energymeter.carbon.grid import Grid
    from energymeter.source import Source


def compare(
    *functions: Callable[[], object],
    source: "str | Source | EnergyMeter | None" = None,
    names: Sequence[str] | None = None,
    per: "float | Callable[[Any], float]" = 1.0,
    out: str | os.PathLike[str] | None = None,
    anyway: bool = False,
    battery: "Battery | None" = None,
    grid: "Grid | str | None" = None,
    **protocol: Any,
) -> Comparison:
    """Which of these functions uses less energy? Measured in turns, with an interval and a verdict in words.

    >>> from energymeter import compare
    >>> result = compare(lambda: sum(range(1000)), lambda: sum(range(2000)), source="manual:5V,0.6A",
    ...                  names=("A", "B"), runs=6, min_seconds=0.01)
    >>> {row.runs for row in result.rows}
    {6}

    Args:
        functions: two or more, without arguments.
        source: as for `EnergyMeter`, or a meter.
        names: of the arms; ``None``: those of the functions.
        per: units of one call, such as the inferences of a batch; or what makes them of the result of a call.
        out: a folder that keeps every run; an interrupted comparison continues there.
        anyway: give a verdict in spite of reasons against it.
        battery: for hours and units per charge; ``None``: a phone's.
        grid: a zone, such as ``"DEU"``, or a `Grid`, for grams; ``None``: no grams.
        protocol: fields of `energymeter.comparison.Protocol`: ``runs``, ``min_seconds``, ``warmup``,
            ``prepare``, ``cooldown``, ``celsius``, ``idle``, ``seed``, ``unit``, ``workload``.

    Raises:
        SpecError: an option makes no sense.
        SourceError, NotMeasured: as for `EnergyMeter`.
        LogError: the folder holds another comparison.
        Interrupted: on Ctrl-C; it has the runs that were made.
    """
    if len(functions) < 2:
        raise SpecError("a comparison needs two functions at least; give a second one")
    asked = Protocol.asked("compare", protocol)
    asked.check()
    titles = list(names) if names is not None else _titles(functions)
    if len(titles) != len(functions):
        raise SpecError(f"{len(titles)} names are given for {len(functions)} functions: give one for each")
    arms = [
        Arm(title, title_of(function), _counted(function, per), 1.0 if callable(per) else per)
        for title, function in zip(titles, functions, strict=True)
    ]
    meter = source if isinstance(source, EnergyMeter) else EnergyMeter(source)
    folder = None if out is None else Folder(out, asked.plan(arms))
    runs, idle = measure_arms(arms, asked, meter, folder)
    return Comparison(runs, titles, idle=idle, anyway=anyway, battery=battery, grid=grid_of(grid))


def grid_of(grid: "Grid | str | None") -> "Grid | None":
    """The grid that a zone names.

    Raises:
        GridError: no such zone.
    """
    if not isinstance(grid, str):
        return grid
    from energymeter.carbon.grid import Grid

    return Grid(grid)


def _counted(function: Callable[[], object], per: "float | Callable[[Any], float]") -> Callable[[], Work]:
    if callable(per):
        return lambda: Work(float(per(function())))

    title = title_of(function)

    def call() -> Work:
        finished(function(), title)
        return Work()

    return call


def _titles(functions: Sequence[Callable[[], object]]) -> list[str]:
    """The functions' names; letters where they have the same, as lambdas have."""
    names = [str(getattr(function, "__name__", "")) for function in functions]
    distinct = len(set(names)) == len(names) and all(name.isidentifier() for name in names)
    return names if distinct else [letter(number) for number in range(len(functions))]


def letter(number: int) -> str:
    """A, B, … Z, A1, B1 and so on."""
    turn, place = divmod(number, 26)
    return f"{chr(65 + place)}{turn or ''}"
