"""The questions that a lake answers: each is written once in Ibis, and every engine gives the same rows.

An engine adds up; what follows from a few sums, such as an interval, is arithmetic here. Rows of different
provenance are never mixed: by default only measured and calibrated runs count, and the answer says how many
others it left out.
"""

import bisect
import itertools
import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from energymeter.comparison.statistics import LEVEL, t_quantile
from energymeter.errors import SpecError
from energymeter.text import aligned, plus_minus, printable, significant

if TYPE_CHECKING:
    from energymeter.battery.battery import Battery
    from energymeter.carbon.grid import Grid
    from energymeter.carbon.intensity import Intensities
    from energymeter.lake.engines import Tables

TRUSTS = ("measured", "uncalibrated", "manual", "modelled", "simulated")
"""``measured`` is measured with a calibration card; ``uncalibrated`` is measured without one."""
LEAST_COVERAGE = 0.9995
_TOUCH_US = 10_000
"""Runs that overlap by less follow one another, as the files of an agent's record do: times are rounded."""
_EXACT_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}
"""Student's t for 95 %, where the expansion is not close."""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAY_US = 86_400_000_000
_EARLIEST_US, _LATEST_US = -(1 << 62), 1 << 62
_WORK = ("model", "variant", "unit", "place")
"""What must be equal for boards to be compared."""


class Answer(NamedTuple):
    """What a question has found."""

    question: str
    rows: list[dict[str, Any]]
    left_out: dict[str, int]
    """How many runs do not count, by the reason."""
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types."""
        return {**self._asdict(), "notes": list(self.notes)}

    def __str__(self) -> str:
        lines = ["no run that counts"]
        if self.rows:
            names = [name for name in self.rows[0] if not name.endswith(_HIDDEN)]
            cells = [[_cell(row, name) for name in names] for row in self.rows]
            lines = aligned([[name.replace("_", " ") for name in names], *cells])
        left_out = [
            f"left out: {count} {'run' if count == 1 else 'runs'}, {why}"
            for why, count in self.left_out.items()
        ]
        return "\n".join([*lines, *left_out, *self.notes])


_HIDDEN = ("_low", "_high", "uncertainty", "_uncertainty_joules")


def _cell(row: dict[str, Any], name: str) -> str:
    value = row[name]
    if value is None:
        return "unknown"
    if isinstance(value, float):
        spread = row.get(f"{name}_uncertainty")
        return plus_minus(value, spread) if f"{name}_uncertainty" in row else significant(value, 4)
    return printable(str(value))


class Choice(NamedTuple):
    """Which runs count."""

    include: Sequence[str] = ()
    """Besides measured and calibrated ones: some of `TRUSTS`."""
    least_coverage: float = LEAST_COVERAGE
    """Runs of which less was measured are left out."""
    model: str | None = None
    variant: str | None = None
    since: str | None = None
    """First day of UTC for the start of a run, as 2026-11-28; or moment, as 2026-11-28T14:00+01:00."""
    until: str | None = None
    """Last day or moment."""

    def checked(self) -> "Choice":
        """Itself.

        Raises:
            SpecError: it makes no sense.
        """
        wrong = [one for one in self.include if one not in TRUSTS]
        if wrong:
            raise SpecError(f"{printable(wrong[0])!r} is no provenance; choose from {', '.join(TRUSTS)}")
        if not 0 <= self.least_coverage <= 1:
            raise SpecError(f"a coverage of {self.least_coverage:g} makes no sense; give a share from 0 to 1")
        since, until = self.started_us
        if since > until:
            raise SpecError(
                f"no run starts from {printable(self.since or '')} until {printable(self.until or '')}; "
                "give the earlier one as the first"
            )
        return self

    @property
    def started_us(self) -> tuple[int, int]:
        """The first and the last moment at which a run that counts may have started, µs since 1970.

        Raises:
            SpecError: no day or moment.
        """
        return (
            _EARLIEST_US if self.since is None else _micros(self.since, 0),
            _LATEST_US if self.until is None else _micros(self.until, _DAY_US - 1),
        )

    @property
    def trusts(self) -> list[str]:
        """What counts."""
        return list(dict.fromkeys(["measured", *self.include]))


def _micros(text: str, after_midnight: int) -> int:
    """A moment, or so many µs after a day of UTC began, as µs since 1970."""
    import datetime

    from energymeter.carbon.intensity import parse_time

    try:
        if _DATE.fullmatch(text):
            day = datetime.date.fromisoformat(text).toordinal() - datetime.date(1970, 1, 1).toordinal()
            return day * _DAY_US + after_midnight
        return round(parse_time(text) * 1e6)
    except (ValueError, OverflowError):
        raise SpecError(
            f"{printable(text)!r} is no day or moment; give it as 2026-11-28, or with a time zone as "
            "2026-11-28T14:00Z or 2026-11-28T14:00+01:00"
        ) from None


# Which runs count -----------------------------------------------------------------------------------------


def _trust(tables: "Tables", table: Any) -> Any:
    uncalibrated = (table.provenance == "measured") & ~table.calibrated
    return tables.ibis.ifelse(uncalibrated, "uncalibrated", table.provenance)


def _coverage(tables: "Tables", table: Any) -> Any:
    return tables.ibis.ifelse(table.seconds > 0, table.covered_seconds / table.seconds, 1.0)


def _within(runs: Any, choice: Choice) -> Any:
    """The runs that started in the time that is asked for."""
    since, until = choice.started_us
    if choice.since is not None:
        runs = runs.filter(runs.start_unix_us >= since)
    if choice.until is not None:
        runs = runs.filter(runs.start_unix_us <= until)
    return runs


def chosen_runs(tables: "Tables", choice: Choice, *, with_units: bool) -> tuple[Any, dict[str, int]]:
    """The runs that count, and how many do not."""
    choice = choice.checked()
    runs = tables.runs
    for column in ("model", "variant"):
        wanted = getattr(choice, column)
        if wanted is not None:
            runs = runs.filter(runs[column] == wanted)
    runs = _within(runs, choice)
    runs = runs.mutate(
        trust=_trust(tables, runs),
        covered=_coverage(tables, runs) >= choice.least_coverage,
        counts=runs.joules_per_unit.notnull() if with_units else runs.joules.notnull(),
    )
    counts = runs.group_by(["trust", "covered", "counts"]).agg(n=runs.count())
    left_out: dict[str, int] = {}
    for row in tables.rows(counts):
        why = (
            row["trust"]
            if row["trust"] not in choice.trusts
            else f"measured for less than {choice.least_coverage:.4g} of their time"
            if not row["covered"]
            else "without units (push with --units)"
            if not row["counts"]
            else ""
        )
        if why:
            left_out[why] = left_out.get(why, 0) + row["n"]
    kept = runs.filter(runs.trust.isin(choice.trusts), runs.covered, runs.counts)
    return kept, dict(sorted(left_out.items()))


# Joules per unit ------------------------------------------------------------------------------------------


class Group(NamedTuple):
    """Runs of one kind together."""

    key: dict[str, Any]
    runs: int
    hosts: int
    units: float
    joules_per_unit: float
    seconds_per_unit: float
    scatter: float | None
    """Half the 95 % interval by the scatter of the runs, or by what is random in each; ``None``: unknown."""
    gain: float | None
    """± of what scales with energy, J per unit, k = 2."""
    offset: float | None
    meter: str | None
    """The one source on one host that measured all; ``None``: there are several."""
    first_unix_us: int

    @property
    def uncertainty(self) -> float | None:
        """± of ``joules_per_unit``, about 95 %."""
        parts = (self.scatter, self.gain, self.offset)
        return None if None in parts else math.hypot(*(part for part in parts if part is not None))


def t95(freedom: int) -> float:
    """Student's t for a 95 % interval.

    >>> t95(1), round(t95(9), 2)
    (12.706, 2.26)
    """
    return _EXACT_T.get(freedom) or t_quantile(1 - LEVEL / 2, freedom)


def groups_of(tables: "Tables", runs: Any, keys: Sequence[str]) -> list[Group]:
    """Runs with equal ``keys`` together, ordered by their keys."""
    runs = runs.mutate(weighted=runs.joules_per_unit * runs.units)
    means = runs.group_by(list(keys)).agg(
        all_units=runs.units.sum(), group_mean=runs.weighted.sum() / runs.units.sum()
    )
    joined = runs.join(means, list(keys))
    share = joined.units / joined.all_units
    joined = joined.mutate(
        off2=(share * (joined.joules_per_unit - joined.group_mean)) ** 2,
        gain_share=share * joined.gain_uncertainty_joules_per_unit,
        offset_share=share * joined.offset_uncertainty_joules_per_unit,
        random2=(share * joined.random_uncertainty_joules_per_unit) ** 2,
        seconds_share=share * joined.seconds_per_unit,
    )
    sums = joined.group_by(list(keys)).agg(
        n=joined.count(),
        hosts=joined.host_name.nunique(),
        sources=joined.source.nunique(),
        known=joined.uncertainty_joules_per_unit.count(),
        units=joined.units.sum(),
        value=joined.group_mean.max(),
        seconds=joined.seconds_share.sum(),
        off2=joined.off2.sum(),
        gain=joined.gain_share.sum(),
        offset=joined.offset_share.sum(),
        random2=joined.random2.sum(),
        host=joined.host_name.min(),
        source=joined.source.min(),
        first=joined.start_unix_us.min(),
    )
    found = [_group(row, keys) for row in tables.rows(sums)]
    return sorted(found, key=lambda group: [str(group.key[name]) for name in keys])


def _group(row: dict[str, Any], keys: Sequence[str]) -> Group:
    n, known = row["n"], row["known"] == row["n"]
    scatter = math.sqrt(row["random2"]) if known else None
    if n > 1:
        between = t95(n - 1) * math.sqrt(max(row["off2"], 0.0) * n / (n - 1))
        scatter = None if scatter is None else max(scatter, between)
    one_meter = row["hosts"] == row["sources"] == 1
    return Group(
        key={name: row[name] for name in keys},
        runs=n,
        hosts=row["hosts"],
        units=row["units"],
        joules_per_unit=row["value"],
        seconds_per_unit=row["seconds"],
        scatter=scatter,
        gain=row["gain"] if known else None,
        offset=row["offset"] if known else None,
        meter=f"{row['host']} {row['source']}" if one_meter else None,
        first_unix_us=row["first"],
    )


def per_unit(tables: "Tables", choice: Choice = Choice()) -> Answer:  # noqa: B008 - an immutable tuple
    """Joules per unit by board, model and variant, with 95 % intervals.

    The interval holds the scatter of the runs (Student's t) and what is systematic in the meter, which does
    not average out. Of a single run it is the meter's alone.
    """
    runs, left_out = chosen_runs(tables, choice, with_units=True)
    found = groups_of(tables, runs, ["board", *_WORK, "trust"])
    return Answer("per-unit", [_shown(group) for group in found], left_out)


def _shown(group: Group) -> dict[str, Any]:
    spread = group.uncertainty
    return {
        **group.key,
        "runs": group.runs,
        "hosts": group.hosts,
        "joules_per_unit": group.joules_per_unit,
        "joules_per_unit_uncertainty": spread,
        "joules_per_unit_low": None if spread is None else group.joules_per_unit - spread,
        "joules_per_unit_high": None if spread is None else group.joules_per_unit + spread,
        "seconds_per_unit": group.seconds_per_unit,
    }


def ranking(tables: "Tables", choice: Choice = Choice()) -> Answer:  # noqa: B008 - an immutable tuple
    """Boards by joules per unit, for each model and variant.

    A board's rank is 1 plus the number of boards that use less beyond doubt: the 95 % interval of the
    difference does not hold 0. Boards that do not differ share a rank; one without an interval has none.
    """
    runs, left_out = chosen_runs(tables, choice, with_units=True)
    found = groups_of(tables, runs, ["board", *_WORK, "trust"])
    rows: list[dict[str, Any]] = []
    for work in sorted({tuple(str(group.key[name]) for name in _WORK) for group in found}):
        rivals = [group for group in found if tuple(str(group.key[name]) for name in _WORK) == work]
        for group in sorted(rivals, key=lambda one: (one.uncertainty is None, one.joules_per_unit)):
            better = [
                other
                for other in rivals
                if _differs(other, group) and other.joules_per_unit < group.joules_per_unit
            ]
            rank = None if group.uncertainty is None else 1 + len(better)
            rows.append({"rank": rank, **_shown(group)})
    return Answer("ranking", rows, left_out)


def _differs(a: Group, b: Group) -> bool:
    """Whether the interval of the difference does not hold 0."""
    if a.uncertainty is None or b.uncertainty is None:
        return False
    return abs(a.joules_per_unit - b.joules_per_unit) > difference_uncertainty(a, b)


def difference_uncertainty(a: Group, b: Group) -> float:
    """± of the difference of two groups; both have one.

    Where one meter measured both, its gain is the same error in both and scales the difference, and its
    offset goes by time. Meters that differ, or that are not known to be one, err independently.
    """
    scatter = math.hypot(a.scatter or 0.0, b.scatter or 0.0)
    if a.meter is None or a.meter != b.meter:
        return math.hypot(scatter, a.gain or 0.0, a.offset or 0.0, b.gain or 0.0, b.offset or 0.0)
    return math.hypot(scatter, (b.gain or 0.0) - (a.gain or 0.0), (b.offset or 0.0) - (a.offset or 0.0))


def regressions(tables: "Tables", choice: Choice = Choice()) -> Answer:  # noqa: B008 - an immutable tuple
    """Each commit against the one before, by board, model and variant, in the order of their first runs.

    ``verdict`` is *more* or *less* where the 95 % interval of the difference does not hold 0, else *no
    difference shown*; fewer than two runs of either have no scatter, and no verdict.
    """
    runs, left_out = chosen_runs(tables, choice, with_units=True)
    without = runs.filter(runs.commit == "")
    missing = tables.rows(without.agg(n=without.count()))[0]["n"]
    if missing:
        left_out["without a commit (push with --commit)"] = missing
    keys = ["board", *_WORK, "trust"]
    found = groups_of(tables, runs.filter(runs.commit != ""), [*keys, "commit"])
    rows: list[dict[str, Any]] = []
    for series in sorted({tuple(str(group.key[name]) for name in keys) for group in found}):
        commits = [group for group in found if tuple(str(group.key[name]) for name in keys) == series]
        commits.sort(key=lambda group: (group.first_unix_us, str(group.key["commit"])))
        for before, after in itertools.pairwise(commits):
            rows.append(_regression(before, after))
    return Answer("regressions", rows, left_out)


def _regression(before: Group, after: Group) -> dict[str, Any]:
    change = after.joules_per_unit - before.joules_per_unit
    enough = before.runs > 1 and after.runs > 1
    known = before.uncertainty is not None and after.uncertainty is not None
    spread = difference_uncertainty(before, after) if known and enough else None
    verdict = (
        "too few runs"
        if not enough
        else "unknown"
        if spread is None
        else "no difference shown"
        if abs(change) <= spread
        else "more"
        if change > 0
        else "less"
    )
    return {
        **after.key,
        "before": before.key["commit"],
        "runs": after.runs,
        "runs_before": before.runs,
        "joules_per_unit": after.joules_per_unit,
        "joules_per_unit_before": before.joules_per_unit,
        "change": change,
        "change_uncertainty": spread,
        "percent": 100 * change / before.joules_per_unit if before.joules_per_unit else None,
        "percent_uncertainty": None
        if spread is None or not before.joules_per_unit
        else 100 * spread / abs(before.joules_per_unit),
        "one_meter": before.meter is not None and before.meter == after.meter,
        "verdict": verdict,
    }


# Coverage, power, fleet, battery --------------------------------------------------------------------------


def coverage(tables: "Tables", choice: Choice = Choice()) -> Answer:  # noqa: B008 - an immutable tuple
    """The hosts of whose runs the least was measured, the worst first; runs of every provenance count."""
    runs = _within(tables.runs, choice.checked())
    runs = runs.mutate(trust=_trust(tables, runs))
    sums = runs.group_by(["host_name", "board", "place", "trust"]).agg(
        runs=runs.count(), seconds=runs.seconds.sum(), covered_seconds=runs.covered_seconds.sum()
    )
    rows = tables.rows(sums)
    for row in rows:
        covered = row.pop("covered_seconds")
        row["gap_seconds"] = max(0.0, row["seconds"] - covered)
        row["coverage"] = min(1.0, covered / row["seconds"]) if row["seconds"] > 0 else 1.0
    rows.sort(key=lambda row: (row["coverage"], row["host_name"], row["place"]))
    return Answer("coverage", rows, {})


def power(tables: "Tables", choice: Choice = Choice()) -> Answer:  # noqa: B008 - an immutable tuple
    """Energy, mean and highest power of each host by its samples at full rate.

    A host that several runs measured at the same time counts by the longest of them.
    """
    runs, left_out = _each_once(tables, choice)
    samples = tables.every["samples"]
    samples = samples.filter(samples.counted)
    sums = samples.group_by(["run", "channel"]).agg(
        samples=samples.count(),
        joules=samples.joules.sum(),
        covered_seconds=samples.covered_seconds.sum(),
        peak_watts=samples.watts.max(),
    )
    owners = runs.select("run", "host_name", "board", "place", "trust")
    joined = sums.join(owners, "run")
    by_host = joined.group_by(["host_name", "board", "place", "trust", "channel"]).agg(
        samples=joined.samples.sum(),
        joules=joined.joules.sum(),
        covered_seconds=joined.covered_seconds.sum(),
        peak_watts=joined.peak_watts.max(),
    )
    rows = tables.rows(by_host)
    for row in rows:
        covered = row["covered_seconds"]
        row["mean_watts"] = row["joules"] / covered if covered and row["joules"] is not None else None
    rows.sort(key=lambda row: (row["host_name"], row["place"], row["channel"]))
    return Answer("power", rows, left_out)


def fleet(
    tables: "Tables",
    choice: Choice = Choice(),  # noqa: B008 - an immutable tuple
    grid: "Grid | None" = None,
    intensities: "Intensities | None" = None,
) -> Answer:
    """Energy, charge and grams of CO₂e of all hosts together, for each hour of UTC and each place.

    A host that several runs measured at the same time counts by the longest of them. Errors of different
    hosts are independent; within a host what is systematic adds up. A clock that is off by its ± moves
    energy across the edges of the hour: at most the ± times the range of the power in it.

    Args:
        grid: a yearly grid; None: no grams, unless ``intensities`` are given.
        intensities: those of the grid over time.
    """
    runs, left_out = _each_once(tables, choice)
    seconds = tables.every["seconds"]
    alone = seconds.random_uncertainty_joules
    hours = seconds.mutate(hour=seconds.unix_s // 3600, rand2=alone * alone)  # a power takes far longer
    by_run = hours.group_by(["run", "hour"]).agg(
        joules=hours.joules.sum(),
        coulombs=hours.coulombs.sum(),
        dark=(hours.joules.notnull() & hours.coulombs.isnull()).sum(),
        seconds=hours.seconds.sum(),
        covered=hours.covered_seconds.sum(),
        gain=hours.gain_uncertainty_joules.sum(),
        offset=hours.offset_uncertainty_joules.sum(),
        rand2=hours.rand2.sum(),
        most=hours.mean_watts.max(),
        least=hours.mean_watts.min(),
    )
    owners = runs.select("run", "host_name", "place", "trust", "clock_uncertainty_seconds", "accuracy_known")
    joined = by_run.join(owners, "run")
    joined = joined.mutate(
        no_clock=joined.clock_uncertainty_seconds.isnull().cast("int64"),
        no_accuracy=(~joined.accuracy_known).cast("int64"),
        clock=joined.clock_uncertainty_seconds.fill_null(0.0),
    )
    by_host = joined.group_by(["hour", "host_name", "place", "trust"]).agg(
        joules=joined.joules.sum(),
        coulombs=joined.coulombs.sum(),
        dark=joined.dark.sum(),
        seconds=joined.seconds.sum(),
        covered=joined.covered.sum(),
        gain=joined.gain.sum(),
        offset=joined.offset.sum(),
        rand2=joined.rand2.sum(),
        most=joined.most.max(),
        least=joined.least.min(),
        clock=joined.clock.max(),
        no_clock=joined.no_clock.max(),
        no_accuracy=joined.no_accuracy.max(),
    )
    # a run that begins or ends within the hour moves all of its power across its own edge
    whole = by_host.seconds >= 3600 * (1 - 1e-9)
    swing = by_host.most - tables.ibis.ifelse(whole, by_host.least, tables.ibis.least(by_host.least, 0.0))
    by_host = by_host.mutate(
        spread2=by_host.gain**2 + by_host.offset**2 + by_host.rand2 + (by_host.clock * swing) ** 2,
        volts=tables.ibis.ifelse(by_host.coulombs > 0, by_host.joules / by_host.coulombs, None),
    )
    totals = by_host.group_by(["hour", "place", "trust"]).agg(
        hosts=by_host.count(),
        joules=by_host.joules.sum(),
        coulombs=by_host.coulombs.sum(),
        dark=by_host.dark.sum(),
        seconds=by_host.seconds.sum(),
        covered_seconds=by_host.covered.sum(),
        spread2=by_host.spread2.sum(),
        least_volts=by_host.volts.min(),
        most_volts=by_host.volts.max(),
        no_clock=by_host.no_clock.sum(),
        no_accuracy=by_host.no_accuracy.sum(),
    )
    found = sorted(tables.rows(totals), key=lambda row: (row["hour"], row["place"], row["trust"]))
    rows = [_hour(row, grid, intensities) for row in found if row["joules"] is not None]
    notes = []
    if any(row["no_clock"] for row in found):
        notes.append("± without clocks of which no ± is known (push with --clock-uncertainty)")
    return Answer("fleet", rows, left_out, tuple(notes))


def _hour(row: dict[str, Any], grid: "Grid | None", intensities: "Intensities | None") -> dict[str, Any]:
    import time

    from energymeter.carbon.amount import Known
    from energymeter.carbon.emissions import footprint
    from energymeter.carbon.grid import Grid

    start = row["hour"] * 3600
    spread = None if row["no_accuracy"] else math.sqrt(row["spread2"])
    same_volts = row["least_volts"] is not None and row["most_volts"] <= 1.1 * row["least_volts"]
    charge = (
        row["coulombs"] / 3600 if same_volts and not row["dark"] and row["coulombs"] is not None else None
    )
    found: dict[str, Any] = {
        "hour": time.strftime("%Y-%m-%dT%H:00Z", time.gmtime(start)),
        "place": row["place"],
        "trust": row["trust"],
        "hosts": row["hosts"],
        "coverage": min(1.0, row["covered_seconds"] / row["seconds"]) if row["seconds"] > 0 else 1.0,
        "joules": row["joules"],
        "joules_uncertainty": spread,
        "amp_hours": charge,
    }
    if intensities is not None:
        figure = intensities.mean(start, start + 3600)
        grid = Grid(grams_per_kwh=figure, source="intensities by the hour", checked=True)
    if grid is not None:
        provenance = "measured" if row["trust"] == "uncalibrated" else row["trust"]
        known = Known(row["joules"], None, spread, provenance, row["place"])
        carbon = footprint(known, grid)
        found |= {"grams": carbon.grams, "grams_uncertainty": carbon.uncertainty}
    return found


def _each_once(tables: "Tables", choice: Choice) -> tuple[Any, dict[str, int]]:
    """The runs that count, without those that were measured during a longer one of their host."""
    runs, left_out = chosen_runs(tables, choice._replace(least_coverage=0.0), with_units=False)
    doubled = _overlapping(tables, runs)
    if doubled:
        left_out["measured at the same time as a longer run of their host"] = len(doubled)
        runs = runs.filter(runs.run.notin(doubled))
    return runs, left_out


def _overlapping(tables: "Tables", runs: Any) -> list[int]:
    """The keys of runs during which a longer one of the same host, place and trust was measured."""
    columns = ("run", "host_name", "place", "trust", "start_unix_us", "seconds", "version")
    times = tables.rows(runs.select(*columns))
    times.sort(key=lambda row: (-row["seconds"], row["start_unix_us"], row["version"]))
    kept: dict[tuple[str, str, str], tuple[list[int], list[int]]] = {}
    doubled = []
    for row in times:
        start = row["start_unix_us"]
        end = start + round(row["seconds"] * 1e6)
        starts, ends = kept.setdefault((row["host_name"], row["place"], row["trust"]), ([], []))
        place = bisect.bisect_right(starts, start)
        if (place and ends[place - 1] > start + _TOUCH_US) or (
            place < len(starts) and starts[place] + _TOUCH_US < end
        ):
            doubled.append(row["run"])
        else:
            starts.insert(place, start)
            ends.insert(place, end)
    return doubled


def battery(
    tables: "Tables",
    choice: Choice = Choice(),  # noqa: B008 - an immutable tuple
    cell: "Battery | None" = None,
) -> Answer:
    """Hours that a battery lasts at each board's mean power, by model and variant, with 95 % intervals.

    A host that several runs measured at the same time counts by the longest of them.

    Runs measured at the wall or on the die have no hours: no battery feeds the one, and the other leaves
    out the rest of the board.
    """
    from energymeter.battery.battery import Battery

    chosen = Battery.phone() if cell is None else cell
    runs, left_out = _each_once(tables, choice)
    sums = runs.group_by(["board", "model", "variant", "place", "trust"]).agg(
        runs=runs.count(), joules=runs.joules.sum(), covered=runs.covered_seconds.sum()
    )
    rows = []
    for row in tables.rows(sums):
        joules, covered = row.pop("joules"), row.pop("covered")
        if row["place"] not in ("rail", "cell"):
            why = f"measured at the {row['place']}, which no battery feeds"
            left_out[why] = left_out.get(why, 0) + row["runs"]
            continue
        watts = joules / covered if covered > 0 else 0.0
        behind = row["place"] == "cell" and chosen.basis == "cell"
        seen = chosen.with_(efficiency=1.0) if behind else chosen
        hours = seen.hours(watts) if watts > 0 else None
        row["mean_watts"] = watts
        if hours is None:
            row |= {"hours": None, "hours_low": None, "hours_high": None}
        else:
            spread = seen.spread(watts)
            middle = 1.0 if seen.known else spread.at_survival(0.5)
            row |= {
                "hours": hours * middle,
                "hours_low": hours * spread.at_survival(0.975),
                "hours_high": hours * spread.at_survival(0.025),
            }
        rows.append(row)
    rows.sort(
        key=lambda row: tuple(str(row[name]) for name in ("board", "model", "variant", "place", "trust"))
    )
    return Answer("battery", rows, left_out)


QUESTIONS: dict[str, Callable[..., Answer]] = {
    "per-unit": per_unit,
    "ranking": ranking,
    "regressions": regressions,
    "coverage": coverage,
    "power": power,
    "fleet": fleet,
    "battery": battery,
}
