"""What spans of one name used: each of them, all together, and their statistics."""

from __future__ import annotations

import math
from array import array
from functools import cached_property
from itertools import compress

from energymeter.energy.window import COVERED, Ends, Window, ends_together
from energymeter.errors import NotMeasured
from energymeter.lazy import NamedTuple
from energymeter.meter.span_resolver import counts_of
from energymeter.text import html_table, printable, significant

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from collections.abc import Sequence

    from energymeter.energy.usage import Usage
    from energymeter.meter.run import Progress, Run


class Statistics(NamedTuple):
    """One figure over the calls of a span that were measured from start to end."""

    n: int
    total: float
    mean: float
    sd: float
    """The standard deviation of one call, not of the mean; NaN for a single call."""
    median: float
    left_out: int = 0
    """Calls that are not included, because less than 99.5 % of their time was measured."""
    unit: str = ""

    @classmethod
    def of(cls, numbers: Sequence[float], unit: str = "", left_out: int = 0) -> Statistics:
        """The statistics of at least one number.

        >>> Statistics.of([1.0, 2.0, 3.0, 10.0], "J", left_out=1)
        Statistics(4.00 J ± 4.08 J (sd), median 2.50 J, n = 4, 1 left out)
        """
        n, total = len(numbers), math.fsum(numbers)
        mean = total / n
        sd = math.dist(numbers, (mean,) * n) / math.sqrt(n - 1) if n > 1 else math.nan
        ordered = sorted(numbers)
        return cls(
            n,
            total,
            mean,
            sd,
            (ordered[(n - 1) // 2] + ordered[n // 2]) / 2,
            left_out,
            unit,
        )

    def to_dict(self) -> dict[str, float | str | None]:
        """Everything as plain JSON types; None where a single call has no spread."""
        return {**self._asdict(), "sd": None if math.isnan(self.sd) else self.sd}

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        spread = "" if math.isnan(self.sd) else f" ± {significant(self.sd)}{unit} (sd)"
        text = (
            f"{significant(self.mean)}{unit}{spread}, median {significant(self.median)}{unit}, n = {self.n}"
        )
        return f"{text}, {self.left_out} left out" if self.left_out else text

    def __repr__(self) -> str:
        return f"Statistics({self})"


class Spans:
    """What ``meter.spans[name]`` answers: the calls that had ended when it was asked, and their statistics.

    It never changes. ``len(spans)`` is the number of calls; the statistics include those that were measured
    for at least 99.5 % of their time.
    """

    def __init__(self, run: Run, name: str, progress: Progress) -> None:
        self.name = name
        self._run = run
        self._progress = progress
        self._snapshot = run.spans.snapshot(name)
        self._units = run.spans.units(name)

    def __len__(self) -> int:
        return self._snapshot.n

    @property
    def counts_units(self) -> bool:
        """Whether a call counted units."""
        return bool(self._units)

    @property
    def usages(self) -> list[Usage]:
        """The usage of each call in the order of their ends; without those of which nothing was measured."""
        return [usage for number in range(len(self)) if (usage := self._usage(number)) is not None]

    @property
    def usage(self) -> Usage:
        """All calls together, with their coverage and the units that they counted.

        Overlapping calls count their common time twice. The energy of calls that counted no units is shared
        by those of the others.

        Raises:
            NotMeasured: there was none, or nothing of them was measured.
        """
        self._refuse_none()
        windows = [self._sum(number) for number in range(len(self._snapshot.channels))]
        return self._run.with_units(self._run.usage_of(windows, self._progress), self._counts())

    def _counts(self) -> dict[str, float]:
        """How many of each unit all calls counted."""
        return {unit: math.fsum(counts) for unit, counts in self._counted.items()}

    @cached_property
    def _counted(self) -> dict[str, list[float]]:
        """How many of each unit each call counted."""
        return counts_of(self._snapshot.edges, len(self), self._units)

    @property
    def joules(self) -> Statistics:
        """Energy of one call, J.

        Raises:
            NotMeasured: no call was measured from start to end, or a battery's gauge moved in all of them by
                too few steps to mean anything.
        """
        if any(facts.is_gauge for facts in self._progress.facts):
            _ = self.usage  # which refuses too few steps
        columns = [channel.column("joules") for channel in self._snapshot.channels]
        joules = columns[0] if len(columns) == 1 else list(map(math.fsum, zip(*columns, strict=True)))
        return self._statistics(joules, "J")

    @property
    def seconds(self) -> Statistics:
        """Duration of one call, s; of the same calls as `joules`.

        Raises:
            NotMeasured: no call was measured from start to end.
        """
        return self._statistics(self._seconds, "s")

    @property
    def mah(self) -> Statistics | None:
        """Charge of one call at the rail, mAh; ``None`` where no current is known."""
        usages = [self._usage(number) if whole else None for number, whole in enumerate(self._covered)]
        charges = [None if usage is None else usage.mah for usage in usages]
        known = [charge for charge in charges if charge is not None]
        if not known or len(known) < sum(self._covered):
            return None
        return Statistics.of(known, "mAh", len(self) - len(known))

    @cached_property
    def _seconds(self) -> array[float]:
        return self._snapshot.seconds()

    @cached_property
    def _covered(self) -> list[bool]:
        """For each call, whether every channel measured at least 99.5 % of it."""
        covered = [True] * len(self)
        for channel in self._snapshot.channels:
            rows = zip(
                covered,
                channel.column("covered_seconds"),
                self._seconds,
                channel.column("joules"),
                strict=True,
            )
            covered = [
                before and measured >= COVERED * seconds and joules == joules  # NaN differs from itself
                for before, measured, seconds, joules in rows
            ]
        return covered

    def _statistics(self, values: Sequence[float], unit: str) -> Statistics:
        self._refuse_none()
        whole = list(compress(values, self._covered))
        if not whole:
            cure = "see `usage.coverage`, or raise the rate"
            if self._snapshot.last_end_ns() > self._progress.known_ns:
                cure = "the sample after the last one has not been taken yet, so ask again"
            raise NotMeasured(
                f"none of {len(self)} spans {self.name!r} was measured from start to end; {cure}"
            )
        return Statistics.of(whole, unit, len(self) - len(whole))

    def _refuse_none(self) -> None:
        if not len(self):
            raise NotMeasured(f"no span {self.name!r} has finished yet; ask again after its first call")

    def _usage(self, number: int) -> Usage | None:
        try:
            usage = self._run.usage_of(self._snapshot.windows(number), self._progress)
        except NotMeasured:
            return None
        if not self._counted:
            return usage
        return self._run.with_units(usage, {unit: counts[number] for unit, counts in self._counted.items()})

    def _sum(self, number: int) -> Window:
        """What one channel measured in all calls together."""
        channel = self._snapshot.channels[number]
        columns = {field: channel.column(field) for field in Window._fields[1:]}
        measured = [share > 0 for share in columns["covered_seconds"]]
        at_edges = [columns.pop(field) for field in Ends._fields[2:-1]]
        ends = (
            Ends(*edges, *joules)
            for edges, *joules in zip(
                self._snapshot.edges_seconds(), *at_edges, columns["peak_watts"], strict=True
            )
        )
        totals = {
            field: math.fsum(value for value, known in zip(column, measured, strict=True) if known)
            if any(measured)
            else math.nan
            for field, column in columns.items()
            if field in ("joules", "coulombs", "volt_seconds")  # unknown where nothing was measured
        }
        totals |= {field: math.fsum(column) for field, column in columns.items() if field not in totals}
        peaks = [peak for peak in columns["peak_watts"] if peak == peak]
        variance, edge_joules = ends_together(
            compress(ends, measured),
            self._progress.long_seconds[number],
            len(self._snapshot.channels),
        )
        return Window(
            **{**totals, "seconds": math.fsum(self._seconds), "peak_watts": max(peaks, default=math.nan)},
            variance_joules2=variance,
            edge_joules=edge_joules,
        )

    def __str__(self) -> str:
        try:
            units = map(str, self.usage.units) if self._units else ()
            return " · ".join([f"{printable(self.name)}: {self.joules}", *units])
        except NotMeasured:
            return f"{printable(self.name)}: not measured, n = 0, {len(self)} left out"

    def __repr__(self) -> str:
        return f"Spans({self})"

    def _repr_html_(self) -> str:
        return SpansByName({self.name: self})._repr_html_()


class SpansByName(dict[str, Spans]):
    """The spans of one block by name; a notebook shows them as a table."""

    def _repr_html_(self) -> str:
        counted = any(spans.counts_units for spans in self.values())
        rows = [_cells(spans)[: None if counted else len(_TITLES)] for spans in self.values()]
        return html_table(rows, (*_TITLES, "of one unit") if counted else _TITLES)


_TITLES = ("span", "calls", "left out", "J a call", "median J", "total J", "s a call")


def _cells(spans: Spans) -> list[str]:
    try:
        joules, seconds, usage = spans.joules, spans.seconds, spans.usage
    except NotMeasured:
        return [spans.name, str(len(spans)), str(len(spans)), *["not measured"] * 4, ""]
    figures = (joules.mean, joules.median, joules.total, seconds.mean)
    units = " · ".join(map(str, usage.units))
    return [spans.name, str(len(spans)), str(joules.left_out), *map(significant, figures), units]
