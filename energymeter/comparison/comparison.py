"""`Comparison`: arms side by side, and a verdict in words that claims no more than the runs can show."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from energymeter.battery.battery import Battery
from energymeter.comparison import statistics
from energymeter.comparison.comparable import reasons_against
from energymeter.comparison.runs import Run
from energymeter.comparison.statistics import LEVEL, Floats, Shift
from energymeter.errors import SpecError
from energymeter.text import (
    Estimate,
    aligned,
    duration,
    html_table,
    partly_measured,
    percent,
    printable,
    significant,
    time_text,
)

if TYPE_CHECKING:
    from energymeter.carbon.grid import Grid

_STEADY = 0.01
"""A first block whose energy is off by more than this, and by more than the others differ, is left out."""
_BETWEEN_RUNS = 0.05
"""By how much two runs of one program may differ: recorded repeats of 10 s have a standard deviation of up to
2.6 %, of 30 s of 0.7 % (Joulescope on a Raspberry Pi 3B+)."""
_SHOWN = 0.05
"""The effect for which the number of runs is given where there are not enough."""


class Verdict(NamedTuple):
    """One arm against the first one."""

    a: str
    b: str
    unit: str
    ratio: Estimate | None
    """Energy per unit, B over A; ``None``: fewer than two runs of an arm."""
    chance: float | None
    """Two-sided p of the exact test, after Holm's correction."""
    test: str | None
    """Wilcoxon for six pairs or more; Mann–Whitney else, and where a wild run would decide the former."""
    delta: float
    """Cliff's δ of B over A."""
    detectable: float | None
    """The smallest change, as a share, that is found in 80 % of such comparisons."""
    runs: int
    least_runs: int
    paired: bool
    within: bool
    """One recording per arm: the interval is that of its samples, and says nothing of how runs differ."""
    runs_for_five_percent: int | None
    watts_ratio: float
    seconds_ratio: float
    refused: tuple[str, ...] = ()
    """Why there is no verdict."""
    despite: tuple[str, ...] = ()
    """Reasons against it that were overruled."""

    @property
    def enough(self) -> bool:
        """Whether there are enough runs for a verdict; of one recording each, whether the difference is far
        larger than that between two runs of one program."""
        if self.within and self.ratio is not None:
            edges = [math.log(edge) for edge in self.ratio[1:3]]
            return min(map(abs, edges)) > _BETWEEN_RUNS and edges[0] * edges[1] > 0
        return self.runs >= self.least_runs

    @property
    def change(self) -> float | None:
        """How much more energy B uses, as a share, where that is shown; else ``None``."""
        if self.refused or not self.enough or self.ratio is None or self.chance is None:
            return None
        apart = not self.ratio.low <= 1 <= self.ratio.high
        return self.ratio.value - 1 if apart and self.chance <= LEVEL else None

    def __str__(self) -> str:
        if self.refused:
            return f"refused: {'; '.join(self.refused)}"
        despite = f" (although {'; '.join(self.despite)})" if self.despite else ""
        return f"{self._words()}{despite}"

    def _words(self) -> str:
        if not self.enough or self.ratio is None or self.detectable is None:
            would = self.runs_for_five_percent
            more = "" if would is None else f"; {max(would, self.least_runs)} would show 5 %"
            if self.within and self.ratio is not None:
                more = f"; these two recordings differ by {percents(self.ratio)}"
            pairs = f" ({statistics.LEAST_PAIRS} pairs)" if self.paired and self.least_runs < 6 else ""
            return f"not enough runs: {self.runs} of at least {self.least_runs} per arm{pairs}{more}"
        if self.change is None:
            most = 100 * max(self.detectable, *(abs(edge - 1) for edge in self.ratio[1:3]))
            return f"no difference larger than {significant(most, 2)} % in energy per {self.unit}"
        less = "less" if self.change < 0 else "more"
        change = percents(self.ratio).lstrip("+−")
        number, interval = change.split(" % ")
        text = f"{self.b} uses {number} % {less} energy per {self.unit} than {self.a} {interval}"
        alone = " in these two recordings; how much runs differ is unknown" if self.within else ""
        return f"{text}{self._why()}{alone}"

    def _why(self) -> str:
        """Watts and seconds may go opposite ways, and then either alone would mislead."""
        watts, seconds = self.watts_ratio - 1, self.seconds_ratio - 1
        assert self.change is not None
        if watts * self.change < 0 and abs(watts) > _STEADY:
            power, time = ("more", "less") if watts > 0 else ("less", "more")
            return (
                f", although it draws {abs(100 * watts):.0f} % {power} power: it takes "
                f"{abs(100 * seconds):.0f} % {time} time"
            )
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types."""
        return {
            **self._asdict(),
            "ratio": None if self.ratio is None else {"value": self.ratio[0], "interval": [*self.ratio[1:3]]},
            "change": self.change,
            "verdict": str(self),
        }


def percents(ratio: Estimate) -> str:
    """A change with its interval, to the digits that the interval allows.

    >>> percents(Estimate(0.69, 0.67, 0.71)), percents(Estimate(1.1234, 1.1223, 1.1239))
    ('−31 % [−33, −29]', '+12.34 % [+12.23, +12.39]')
    """
    value, low, high = (100 * (number - 1) for number in ratio[:3])
    digits = 0 if high - low >= 2 else 1 if high - low >= 0.2 else 2
    value_text, low_text, high_text = (f"{x:+.{digits}f}".replace("-", "−") for x in (value, low, high))
    return f"{value_text} % [{low_text}, {high_text}]"


class Row(NamedTuple):
    """One arm in the table: means over its runs."""

    arm: str
    program: str
    runs: int
    units: float
    joules_per_unit: float
    spread: float
    """Standard deviation of the runs' joules per unit, as a share."""
    net_joules_per_unit: float | None
    """Above the idle power; ``None``: no idle power was measured."""
    watts: float
    seconds_per_unit: float
    mah_per_unit: float | None
    hours: float | None
    """That one charge lasts at this power."""
    units_per_charge: float
    grams_per_1000: float | None
    celsius: float | None
    metric: float | None


class Comparison:
    """The runs of two or more arms, and what follows from them.

    Args:
        runs: of all arms, in the order of their times.
        arms: their names; the first is the reference. Those without a run are left out.
        idle: watts of the idle board, in the order of their times.
        paired: whether runs with the same ``pair`` were neighbours in time.
        anyway: give a verdict in spite of reasons against it, and mark it.
        battery: for hours and units per charge.
        grid: for grams; ``None``: no grams.
        notes: what else the reader should know.
        series: of each arm the power of its only recording, at equal steps of time; else empty.

    Raises:
        SpecError: fewer than two arms.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        arms: Sequence[str],
        *,
        idle: Sequence[float] = (),
        paired: bool = True,
        anyway: bool = False,
        battery: Battery | None = None,
        grid: "Grid | None" = None,
        notes: Sequence[str] = (),
        series: "Mapping[str, Floats] | None" = None,
    ) -> None:
        self._series = series or {}
        self.idle = tuple(idle)
        self.paired = paired
        self.battery = battery or Battery.phone()
        self._grid = grid
        self._anyway = anyway
        names = [name for name in arms if any(run.arm == name for run in runs)]
        if len(names) < 2:
            raise SpecError("a comparison needs two arms at least; give a second one")
        self.dropped = _unsteady(runs, names) if paired else 0
        kept = [run for run in runs if run.pair >= self.dropped]
        self.arms = {name: [run for run in kept if run.arm == name] for name in names}
        self.runs = tuple(runs)
        self.notes = (*notes, *self._notes())

    @cached_property
    def refused(self) -> tuple[str, ...]:
        """Reasons against any verdict."""
        return tuple(reasons_against(list(self.arms.values())))

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Each arm but the first, against the first."""
        first, *others = self.arms
        shown = [self._evidence(self.arms[first], self.arms[name]) for name in others]
        known = [part.chance for part in shown if part is not None]
        adjusted = iter(statistics.holm(known))
        return tuple(
            self._verdict(first, name, part, None if part is None else next(adjusted), len(others))
            for name, part in zip(others, shown, strict=True)
        )

    @property
    def verdict(self) -> Verdict:
        """The second arm against the first."""
        return self.verdicts[0]

    @property
    def decided(self) -> bool:
        """Whether every arm has a verdict, be it that there is no difference."""
        return all(verdict.enough and not verdict.refused for verdict in self.verdicts)

    def _evidence(self, a: list[Run], b: list[Run]) -> "_Evidence | None":
        first, second = (_logs(runs) for runs in (a, b))
        test = "Mann–Whitney"
        if self._series:
            # in joules per unit: what takes half the time at the same power takes half the energy
            series = [
                self._series[runs[0].arm] / np.mean(self._series[runs[0].arm]) * runs[0].joules_per_unit
                for runs in (a, b)
            ]
            shift = statistics.series_shift(*series)._replace(value=float(second[0] - first[0]))
            chance = statistics.mann_whitney(*map(statistics.blocks, series))
            return _Evidence(shift, chance, test, 1, _remaining(a, b))
        if self.paired:
            partner = {run.pair: value for run, value in zip(a, first, strict=True)}
            pairs = [
                (partner[run.pair], value)
                for run, value in zip(b, second, strict=True)
                if run.pair in partner
            ]
            if len(pairs) < 2:
                return None
            both = np.array(pairs)
            first, second = both[:, 0], both[:, 1]
            shift = statistics.paired_shift(second - first)
            ranked = len(pairs) >= statistics.LEAST_PAIRS and not _wild([*a, *b])
            test = "Wilcoxon" if ranked else test
            chance = statistics.wilcoxon(second - first) if ranked else statistics.mann_whitney(first, second)
        else:
            if min(len(first), len(second)) < 2:
                return None
            shift = statistics.unpaired_shift(first, second)
            chance = statistics.mann_whitney(first, second)
        return _Evidence(shift, chance, test, min(len(first), len(second)), _remaining(a, b))

    def _verdict(
        self, first: str, name: str, part: "_Evidence | None", chance: float | None, comparisons: int
    ) -> Verdict:
        a, b = self.arms[first], self.arms[name]
        seconds, watts = (_mean(b, what) / _mean(a, what) for what in (_seconds, _watts))
        runs = min(len(a), len(b)) if part is None else part.runs
        ratio = detectable = None
        would = None
        if part is not None:
            shift, freedom = part.shift, part.shift.freedom
            low, high = part.shift.low, part.shift.high
            low = shift.value - math.hypot(shift.value - low, 2 * part.meter)
            high = shift.value + math.hypot(high - shift.value, 2 * part.meter)
            ratio = Estimate(math.exp(shift.value), _exp(low), _exp(high))
            least = math.hypot(statistics.detectable(shift.error, freedom), 2 * part.meter)
            detectable = _exp(least) - 1
            would = (
                None
                if self._series
                else statistics.runs_to_detect(math.log1p(_SHOWN), shift.error, part.runs)
            )
        anyway = self._anyway
        return Verdict(
            first,
            name,
            a[0].unit,
            ratio,
            chance,
            None if part is None else part.test,
            statistics.cliffs_delta(_logs(a), _logs(b)),
            detectable,
            runs,
            statistics.least_runs(comparisons, paired=self.paired),
            self.paired,
            bool(self._series),
            would,
            watts,
            seconds,
            refused=() if anyway else self.refused,
            despite=self.refused if anyway else (),
        )

    # What is shown ------------------------------------------------------------------------------------

    @property
    def rows(self) -> list[Row]:
        """The arms side by side."""
        return [self._row(name, runs) for name, runs in self.arms.items()]

    def _row(self, name: str, runs: list[Run]) -> Row:
        joules, watts, seconds = (_mean(runs, what) for what in (_joules, _watts, _seconds))
        each = np.array([run.joules_per_unit for run in runs])
        charges = [
            run.coulombs / 3.6 * run.seconds / run.measured_seconds / run.units
            for run in runs
            if run.coulombs is not None
        ]
        idle = float(np.mean(self.idle)) if self.idle else None
        temperatures = [run.after.celsius for run in runs if run.after.celsius is not None]
        metrics = [run.metric for run in runs if run.metric is not None]
        return Row(
            name,
            runs[0].program,
            len(runs),
            math.fsum(run.units for run in runs),
            joules,
            float(np.std(each, ddof=1) / joules) if len(runs) > 1 else math.nan,
            None if idle is None else joules - idle * seconds,
            watts,
            seconds,
            float(np.mean(charges)) if len(charges) == len(runs) else None,
            self.battery.hours(watts),
            self.battery.rail_joules(watts) / joules,
            self._grams(joules, runs[0]),
            max(temperatures, default=None),
            float(np.mean(metrics)) if metrics else None,
        )

    def _grams(self, joules: float, run: Run) -> float | None:
        if self._grid is None:
            return None
        from energymeter.carbon.amount import Known
        from energymeter.carbon.emissions import footprint

        known = Known.of(joules=1000 * joules, place=run.place)
        return footprint(known._replace(provenance=run.provenance), self._grid).grams

    def _notes(self) -> list[str]:
        runs = self.runs
        found = []
        if self.dropped:
            found.append(
                f"the first {self.dropped} runs of each arm are left out: the board was not steady yet"
            )
        wild = [run for arm in self.arms.values() for run in _wild(arm)]
        if wild:
            found.append(
                f"far from the others: {', '.join(f'run {w.pair + 1} of {w.arm}' for w in wild[:5])}"
            )
        provenances = sorted({run.provenance for run in runs} - {"measured"})
        if provenances:
            found.append(f"energy is {' and '.join(provenances)}, not measured")
        short = min(run.seconds for run in runs)
        if short < _LONG_ENOUGH:
            found.append(
                f"runs of {duration(short)} are short: from {_LONG_ENOUGH:.0f} s on they differ less"
            )
        warmest = [run.after.celsius for run in runs if run.after.celsius is not None]
        if warmest and max(warmest) - min(warmest) > 10:
            found.append(f"the board was at {min(warmest):.0f} to {max(warmest):.0f} °C")
        if any((run.after.throttled or 0) & 0xF for run in runs):
            found.append("the processor was throttled during a run: cool it, or improve its supply")
        if len(self.idle) > 1 and max(self.idle) > 1.05 * min(self.idle):
            found.append(
                f"the idle power was {significant(min(self.idle))} to {significant(max(self.idle))} W"
            )
        least = min(run.coverage for run in runs)
        if partly_measured(least):
            found.append(f"{percent(least, 1)} of the least covered run was measured")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types."""
        return {
            "arms": [
                {**row._asdict(), "spread": None if math.isnan(row.spread) else row.spread}
                for row in self.rows
            ],
            "verdicts": [verdict.to_dict() for verdict in self.verdicts],
            "decided": self.decided,
            "refused": list(self.refused),
            "dropped": self.dropped,
            "idle_watts": list(self.idle),
            "unit": self.verdict.unit,
            "source": " + ".join(self.runs[0].sources),
            "place": self.runs[0].place,
            "calibration": list(self.runs[0].calibration),
            "battery": repr(self.battery),
            "notes": list(self.notes),
            "runs": [run.to_dict() for run in self.runs],
        }

    def _lines(self) -> list[list[str]]:
        """The table: a row for each figure, a column for each arm."""
        rows = self.rows
        unit = printable(self.runs[0].unit)
        spread = [("" if math.isnan(row.spread) else f" ± {percent(row.spread, 1)}") for row in rows]
        figures: list[tuple[str, list[str | None]]] = [
            (
                f"J/{unit} (± sd of a run)",
                [significant(r.joules_per_unit, 4) + s for r, s in zip(rows, spread, strict=True)],
            ),
            ("  net of idle", [_net(r) for r in rows]),
            ("W", [significant(r.watts) for r in rows]),
            (f"time/{unit}", [time_text(r.seconds_per_unit) for r in rows]),
            (f"mAh/{unit}", [_known(r.mah_per_unit) for r in rows]),
            (
                "battery lasts",
                [None if r.hours is None else duration(3600 * r.hours, rough=True) for r in rows],
            ),
            (f"{unit} a charge", [significant(r.units_per_charge) for r in rows]),
            (f"g CO2e/1000 {unit}", [_known(r.grams_per_1000) for r in rows]),
            ("metric", [_known(r.metric) for r in rows]),
            ("°C at most", [_known(r.celsius, 2) for r in rows]),
            ("runs", [str(r.runs) for r in rows]),
        ]
        shown = [(title, cells) for title, cells in figures if any(cell is not None for cell in cells)]
        return [[title, *(cell or "–" for cell in cells)] for title, cells in shown]

    def __str__(self) -> str:
        names = [printable(name) for name in self.arms]
        programs = [f"{printable(row.arm)}: {printable(row.program)}" for row in self.rows]
        first = self.runs[0]
        table = [["", *names], *self._lines()]
        about = [f"workload: {printable(first.workload)}"] if first.workload else []
        source = f"{' + '.join(first.sources)}, {first.provenance} at the {first.place}"
        if not first.calibration:
            source += ", not calibrated"
        verdicts = [str(verdict) for verdict in self.verdicts]
        details = [text for verdict in self.verdicts if (text := self._detail(verdict))]
        return "\n".join(
            [
                *programs,
                *about,
                f"source: {source}",
                "",
                *aligned(table, left=1),
                "",
                *verdicts,
                *details,
                *(f"note: {note}" for note in self.notes),
            ]
        )

    def _detail(self, verdict: Verdict) -> str:
        if verdict.ratio is None or verdict.chance is None or verdict.detectable is None:
            return ""
        of = (
            "one recording each"
            if verdict.within
            else f"{verdict.runs} {'pairs' if verdict.paired else 'runs per arm'}"
        )
        low, high = (significant(edge, 4) for edge in verdict.ratio[1:3])
        return (
            f"  {verdict.b}/{verdict.a} = {significant(verdict.ratio.value, 4)} (95 %: {low} to {high}), "
            f"{verdict.test} p = {significant(verdict.chance, 2)}, Cliff's δ = {verdict.delta:+.2f}, {of}, "
            f"detectable {significant(100 * verdict.detectable, 2)} %"
        )

    def __repr__(self) -> str:
        return f"Comparison({'; '.join(map(str, self.verdicts))})"

    def _repr_html_(self) -> str:
        import html

        verdicts = "".join(f"<p>{html.escape(str(verdict))}</p>" for verdict in self.verdicts)
        return html_table(self._lines(), ["", *self.arms]) + verdicts


_LONG_ENOUGH = 10.0
_SIGMAS_PER_MAD = 1.4826
"""Standard deviations of normal noise in one median absolute deviation."""
_WILD_SIGMAS = 14.8
_UNSTEADY_SIGMAS = 4.0


class _Evidence(NamedTuple):
    """What the runs of two arms show."""

    shift: Shift
    chance: float
    test: str
    runs: int
    meter: float
    """What the meter itself may add to the logarithm of the ratio, one standard deviation."""


def _remaining(a: list[Run], b: list[Run]) -> float:
    """What of the meter's errors does not cancel in the ratio.

    A systematic error that is the same share of both, such as a gain, cancels. An offset is a larger share of
    the smaller power. A resolution step may be the same in every run, so that more runs do not help.
    """
    systematic = [_mean_shares(runs, systematic=True) for runs in (a, b)]
    steps = [_mean_shares(runs, systematic=False) for runs in (a, b)]
    squares = [
        (systematic[1].get(k, 0.0) - systematic[0].get(k, 0.0)) ** 2
        for k in {**systematic[0], **systematic[1]}
    ]
    if a[0].provenance == "manual":  # one typed figure has one error
        return math.sqrt(math.fsum(squares))
    squares += [share**2 for shares in steps for (_, cause), share in shares.items() if "resolution" in cause]
    return math.sqrt(math.fsum(squares))


def _mean_shares(runs: list[Run], *, systematic: bool) -> dict[tuple[str, str], float]:
    total: dict[tuple[str, str], float] = {}
    for run in runs:
        for key, share in run.relative(systematic=systematic).items():
            total[key] = total.get(key, 0.0) + share / len(runs)
    return total


def _unsteady(runs: Sequence[Run], names: list[str]) -> int:
    """How many pairs at the beginning belong to a board that was not steady yet: whole blocks, and at most a
    third.

    The level of a block is that of all its arms together, so that what is left out favours none.
    """
    middle = {
        name: float(np.median([math.log(run.joules_per_unit) for run in runs if run.arm == name]))
        for name in names
    }
    by_block: dict[int, list[float]] = {}
    for run in runs:
        by_block.setdefault(run.pair // 2, []).append(math.log(run.joules_per_unit) - middle[run.arm])
    blocks = [logs for _, logs in sorted(by_block.items()) if len(logs) == 2 * len(names)]
    most = len(blocks) // 3
    if not most or len(blocks) < 4:
        return 0
    rest = np.concatenate(blocks[most:])
    level = float(np.median(rest))
    spread = _SIGMAS_PER_MAD * float(np.median(np.abs(rest - level)))
    limit = max(math.log1p(_STEADY), _UNSTEADY_SIGMAS * spread / math.sqrt(len(blocks[0])))
    dropped = 0
    while dropped < most and abs(float(np.mean(blocks[dropped])) - level) > limit:
        dropped += 1
    return 2 * dropped


def _wild(arm: Sequence[Run]) -> list[Run]:
    """Runs far from the others of their arm: a modified z score above 14.8, as in hyperfine."""
    logs = _logs(arm)
    away = np.abs(logs - np.median(logs))
    limit = _WILD_SIGMAS * _SIGMAS_PER_MAD * float(np.median(away))
    return [run for run, far in zip(arm, away, strict=True) if far > max(limit, _STEADY)]


def _logs(runs: Sequence[Run]) -> Floats:
    return np.log([run.joules_per_unit for run in runs])


def _joules(run: Run) -> float:
    return run.joules_per_unit


def _watts(run: Run) -> float:
    return run.watts


def _seconds(run: Run) -> float:
    return run.seconds_per_unit


def _mean(runs: Sequence[Run], what: Callable[[Run], float]) -> float:
    return math.fsum(map(what, runs)) / len(runs)


def _known(value: float | None, figures: int = 3) -> str | None:
    return None if value is None else significant(value, figures)


def _net(row: Row) -> str | None:
    """What is left of a difference of equals is no energy."""
    net = row.net_joules_per_unit
    return None if net is None else significant(net if abs(net) > 1e-6 * row.joules_per_unit else 0.0)


def _exp(shift: float) -> float:
    return math.exp(min(shift, 700.0))
