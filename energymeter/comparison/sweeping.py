"""`sweep`: energy over a grid of settings, and the settings worth having."""

import csv
import io
import itertools
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from energymeter.comparison.board_axes import BoardAxis, restored, set_axis
from energymeter.comparison.comparison import Comparison, percents
from energymeter.comparison.interleaved import Arm, Protocol, Work, measure_arms, title_of
from energymeter.comparison.roofline import Roofline
from energymeter.comparison.runs import Folder, Run, load_folder
from energymeter.errors import ExtraMissing, LogError, NotMeasured, SpecError
from energymeter.meter.meter import EnergyMeter
from energymeter.paths import replace_file
from energymeter.text import Estimate, aligned, csv_text, percent, printable, significant, time_text

_MOST_SETTINGS = 10_000
_RATIO = ("ratio", "ratio_low", "ratio_high")


class Setting(NamedTuple):
    """One setting of a sweep and what it cost: means over its runs."""

    values: dict[str, str]
    runs: int
    joules_per_unit: float
    spread: float | None
    """Standard deviation of the runs' joules per unit, as a share; ``None``: a single run."""
    seconds_per_unit: float
    watts: float
    metric: float | None
    flop_per_joule: float | None
    flop_per_second: float | None
    roof_share: float | None
    """How much of the board's roof is reached, see `energymeter.comparison.roofline`."""
    worth: bool
    """On the Pareto front: no other setting is better in both respects."""
    ratio: Estimate | None
    """Joules per unit over those of the setting that uses least, with its 95 % interval as of `compare`;
    ``None``: it is that one, or it lacks runs."""


class Sweep:
    """The settings that were measured.

    Args:
        runs: of all settings; the arm of each is the label of its setting.
        settings: label: values of the axes, in their order.
        roofline: the operations of one unit, for operations per joule, and the limits of the board.
        complete: whether every setting has all of its runs.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        settings: Mapping[str, dict[str, str]],
        *,
        roofline: Roofline | None = None,
        complete: bool = True,
    ) -> None:
        if not runs:
            raise NotMeasured("nothing of the sweep was measured; give it more time or joules")
        self.runs, self.complete, self.unit = tuple(runs), complete, runs[0].unit
        self.total, self.roofline = len(settings), roofline
        measured = {label: [run for run in runs if run.arm == label] for label in settings}
        found = {label: _setting(settings[label], part, roofline) for label, part in measured.items() if part}
        ratios = _over_the_least(measured, found)
        self.settings = [
            one._replace(worth=not any(_better(b, one) for b in found.values()), ratio=ratios.get(label))
            for label, one in found.items()
        ]

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, roofline: Roofline | None = None) -> "Sweep":
        """The sweep whose runs are in a folder, as far as it went.

        Raises:
            LogError: it holds no sweep, or is damaged.
        """
        kept = load_folder(path)
        settings = {label: _values(label) for label in kept.arms}
        axes = {tuple(values) for values in settings.values()}
        if len(axes) != 1 or () in axes:
            raise LogError(f"{os.fspath(path)} holds no sweep; name the folder of its --out")
        measured = {run.arm for run in kept.runs}
        return cls(kept.runs, settings, roofline=roofline, complete=measured == set(settings))

    @property
    def front(self) -> list[Setting]:
        """The settings worth having, by their energy: more metric, or less time, costs more energy."""
        return sorted((s for s in self.settings if s.worth), key=lambda s: s.joules_per_unit)

    def best_of(self, tries: int) -> float:
        """The expected best metric of so many settings that are tried at random, in its unbiased form.

        Σ x₍ᵢ₎ C(i-1, k-1) / C(n, k) over the sorted metrics (Tang et al., "Showing Your Work Doesn't Always
        Work", ACL 2020).

        Raises:
            SpecError: there are fewer settings, or they have no metric.
        """
        values = sorted(s.metric for s in self.settings if s.metric is not None)
        if not 1 <= tries <= len(values):
            raise SpecError(f"{len(values)} settings have a metric; give a number of tries from 1 to that")
        whole = math.comb(len(values), tries)
        return math.fsum(x * math.comb(i, tries - 1) / whole for i, x in enumerate(values))

    def to_rows(self) -> list[dict[str, Any]]:
        """A row for each setting, as plain types."""
        return [
            {
                **s.values,
                **{key: value for key, value in s._asdict().items() if key not in ("values", "ratio")},
                **dict(zip(_RATIO, s.ratio or (None, None, None), strict=False)),
            }
            for s in self.settings
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types."""
        first = self.runs[0]
        metrics = sum(s.metric is not None for s in self.settings)
        return {
            "unit": self.unit,
            "workload": first.workload,
            "source": " + ".join(first.sources),
            "provenance": first.provenance,
            "complete": self.complete,
            "settings": [
                {**s._asdict(), "ratio": s.ratio and {"value": s.ratio[0], "interval": [*s.ratio[1:3]]}}
                for s in self.settings
            ],
            "best_of": {str(k): self.best_of(k) for k in range(1, metrics + 1)},
            "runs": [run.to_dict() for run in self.runs],
        }

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write the rows as ``.csv`` or ``.parquet``.

        Raises:
            LogError: the file exists, or cannot be written.
            SpecError: another ending.
            ExtraMissing: Parquet without pyarrow.
        """
        path = os.fspath(path)
        rows = self.to_rows()
        if os.path.lexists(path) and not force:
            raise LogError(f"{path} exists; name another file, or use --force")
        try:
            if path.endswith(".csv"):
                text = io.StringIO()
                writer = csv.writer(text)
                writer.writerow(map(csv_text, rows[0]))
                writer.writerows(
                    ["" if v is None else csv_text(str(v)) for v in row.values()] for row in rows
                )
                replace_file(path, text.getvalue())
            elif path.endswith(".parquet"):
                _write_parquet(path, rows)
            else:
                raise SpecError(f"{path} is neither .csv nor .parquet; give one of these endings")
        except OSError as failure:
            raise LogError(f"{path} cannot be written ({failure.strerror}); name another file") from failure

    def __str__(self) -> str:
        first = self.runs[0]
        axes = list(self.settings[0].values)
        titles = [
            *axes,
            f"J/{self.unit}",
            "± sd",
            "over the least",
            "W",
            f"time/{self.unit}",
            "metric",
            "GFLOP/J",
            "GFLOP/s",
            "of roof",
            "",
        ]
        lines = [titles]
        for s in sorted(self.settings, key=lambda s: s.joules_per_unit):
            lines.append(
                [
                    *(s.values[axis] for axis in axes),
                    significant(s.joules_per_unit, 4),
                    "" if s.spread is None else f"{percent(s.spread, 1)}",
                    "" if s.ratio is None else percents(s.ratio),
                    significant(s.watts),
                    time_text(s.seconds_per_unit),
                    "" if s.metric is None else significant(s.metric, 4),
                    "" if s.flop_per_joule is None else significant(s.flop_per_joule / 1e9),
                    "" if s.flop_per_second is None else significant(s.flop_per_second / 1e9),
                    "" if s.roof_share is None else f"{percent(s.roof_share)}",
                    "worth having" if s.worth else "",
                ]
            )
        kept = [c for c in range(len(titles)) if c < len(axes) or any(line[c] for line in lines[1:])]
        table = aligned([[printable(line[c]) for c in kept] for line in lines], left=0)
        source = f"source: {' + '.join(first.sources)}, {first.provenance} at the {first.place}"
        about = [f"workload: {printable(first.workload)}"] if first.workload else []
        ended = (
            [] if self.complete else [f"ended early: {len(self.settings)} of {self.total} settings measured"]
        )
        about += [str(self.roofline)] if self.roofline else []
        return "\n".join([source, *about, "", *table, *ended])

    def __repr__(self) -> str:
        return f"Sweep({len(self.settings)} settings, {len(self.front)} worth having)"


def sweep(
    function: Callable[..., object],
    grid: Mapping[str, Sequence[object]],
    *,
    source: "str | EnergyMeter | None" = None,
    board: Sequence[BoardAxis] = (),
    per: float = 1.0,
    roofline: Roofline | None = None,
    out: str | os.PathLike[str] | None = None,
    budget_joules: float | None = None,
    minutes: float | None = None,
    **protocol: Any,
) -> Sweep:
    """Measure a function at every setting of a grid.

    Args:
        function: takes the axes of the program by name; what it returns, if a number, is the metric.
        grid: name of each axis: its values.
        source: as for `EnergyMeter`, or a meter.
        board: hooks of the axes that are settings of the board; the function does not get these.
        per: units of one call.
        roofline: the operations of one unit, and the limits of the board.
        out: a folder that keeps every run; an interrupted sweep continues there.
        budget_joules, minutes: end with what is known.
        protocol: fields of `energymeter.comparison.Protocol`; 3 runs, unless given.

    Raises:
        SpecError: an option makes no sense.
        SourceForbidden: this user may not change a setting of the board.
        Interrupted: on Ctrl-C; it has the runs that were made.
    """
    asked = Protocol.asked("sweep", {"runs": 3, "warmup": 0, **protocol})
    hooks = {axis.name for axis in board}

    def call(setting: dict[str, object]) -> Work:
        result = function(**{name: value for name, value in setting.items() if name not in hooks})
        number = isinstance(result, (int, float)) and not isinstance(result, bool)
        return Work(metric=float(result) if number else None)  # type: ignore[arg-type]

    return run_sweep(
        grid,
        lambda setting: (title_of(function), lambda: call(setting)),
        asked,
        source if isinstance(source, EnergyMeter) else EnergyMeter(source),
        board=board,
        per=per,
        roofline=roofline,
        out=out,
        budget_joules=budget_joules,
        minutes=minutes,
    )


def run_sweep(
    grid: Mapping[str, Sequence[object]],
    program: Callable[[dict[str, object]], tuple[str, Callable[[], Work]]],
    protocol: Protocol,
    meter: EnergyMeter,
    *,
    board: Sequence[BoardAxis] = (),
    per: float = 1.0,
    roofline: Roofline | None = None,
    out: str | os.PathLike[str] | None = None,
    budget_joules: float | None = None,
    minutes: float | None = None,
    progress: Callable[[int, int, str], object] = lambda done, total, name: None,
) -> Sweep:
    """The same for anything that makes the program of a setting: its title, and its call."""
    settings = _settings(grid)
    missing = {axis.name for axis in board} - set(grid)
    if missing:
        raise SpecError(
            f"the setting {min(missing)!r} of the board has no values; give --over {min(missing)}=…"
        )

    def before(setting: dict[str, object]) -> Callable[[], object] | None:
        def apply() -> None:
            for axis in board:
                set_axis(axis, str(setting[axis.name]))

        return apply if board else None

    arms = []
    for label, setting in settings.items():
        title, call = program(setting)
        arms.append(Arm(label, title, call, per, before(setting)))
    folder = None if out is None else Folder(out, protocol.plan(arms))
    end = math.inf if minutes is None else time.monotonic() + 60 * minutes

    def over(runs: Sequence[Run]) -> bool:
        spent = math.fsum(run.joules for run in runs)
        return time.monotonic() >= end or (budget_joules is not None and spent >= budget_joules)

    with restored(board):
        runs, _ = measure_arms(arms, protocol, meter, folder, progress=progress, over=over)
    return Sweep(
        runs,
        {label: {k: str(v) for k, v in setting.items()} for label, setting in settings.items()},
        roofline=roofline,
        complete=len(runs) == len(arms) * protocol.runs,
    )


def _settings(grid: Mapping[str, Sequence[object]]) -> dict[str, dict[str, object]]:
    """Every setting by its label.

    >>> list(_settings({"bits": [4, 8], "threads": [1]}))
    ['bits=4 threads=1', 'bits=8 threads=1']

    Raises:
        SpecError: an axis without values, or too many settings.
    """
    count = math.prod(len(values) for values in grid.values())
    if not grid or not count:
        raise SpecError("a sweep needs axes with values; give --over bits=4,8,16")
    if count > _MOST_SETTINGS:
        raise SpecError(f"{count} settings are too many; give at most {_MOST_SETTINGS}")
    found = {}
    for values in itertools.product(*grid.values()):
        setting = dict(zip(grid, values, strict=True))
        found[" ".join(f"{name}={value}" for name, value in setting.items())] = setting
    return found


def _values(label: str) -> dict[str, str]:
    """The setting that a label names; nothing where it is none.

    >>> _values("bits=4 threads=1"), _values("A")
    ({'bits': '4', 'threads': '1'}, {})
    """
    pairs = [pair.partition("=") for pair in label.split(" ")]
    named = all(name.isidentifier() and value for name, _, value in pairs)
    return {name: value for name, _, value in pairs} if named else {}


def _setting(values: dict[str, str], runs: Sequence[Run], roofline: Roofline | None) -> Setting:
    each = [run.joules_per_unit for run in runs]
    joules = math.fsum(each) / len(each)
    squares = math.fsum((x - joules) ** 2 for x in each)
    seconds = math.fsum(run.seconds_per_unit for run in runs) / len(runs)
    metrics = [run.metric for run in runs if run.metric is not None]
    return Setting(
        values,
        len(runs),
        joules,
        math.sqrt(squares / (len(each) - 1)) / joules if len(each) > 1 else None,
        seconds,
        math.fsum(run.watts for run in runs) / len(runs),
        math.fsum(metrics) / len(metrics) if metrics else None,
        None if roofline is None else roofline.flops / joules,
        None if roofline is None else roofline.flops / seconds,
        None if roofline is None else roofline.share(seconds),
        False,
        None,
    )


def _over_the_least(
    measured: Mapping[str, list[Run]], found: Mapping[str, Setting]
) -> dict[str, Estimate | None]:
    """How much more each setting uses than the one that uses least, of those that have all of their runs."""
    most = max(setting.runs for setting in found.values())
    whole = [label for label, setting in found.items() if setting.runs == most]
    whole.sort(key=lambda label: found[label].joules_per_unit)
    if len(whole) < 2:
        return {}
    runs = [run for label in whole for run in measured[label]]
    return {verdict.b: verdict.ratio for verdict in Comparison(runs, whole).verdicts}


def _better(a: Setting, b: Setting) -> bool:
    """Whether ``a`` is at least as good in both respects, and better in one.

    Accuracy or another metric counts up; without one, the time of a unit counts down.
    """
    metrics = a.metric is not None and b.metric is not None
    first = (a.metric if metrics else -a.seconds_per_unit) or 0.0
    second = (b.metric if metrics else -b.seconds_per_unit) or 0.0
    no_worse = first >= second and a.joules_per_unit <= b.joules_per_unit
    return no_worse and (first > second or a.joules_per_unit < b.joules_per_unit)


def _write_parquet(path: str, rows: Sequence[dict[str, Any]]) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ExtraMissing("pyarrow", "parquet", "a Parquet file") from None
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
