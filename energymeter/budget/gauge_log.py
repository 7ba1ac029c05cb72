"""Hours left by the log of a battery: by the power that was drawn, else by the slope of its gauge."""

import math
import shlex
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from energymeter.battery.battery import Battery
from energymeter.budget import gauge_table
from energymeter.budget.balance import Balance
from energymeter.budget.forecast import WIDEST, Z95, Forecast, HoursLeft
from energymeter.budget.gauge_table import Gauge
from energymeter.budget.voltage import sag_of
from energymeter.errors import LogError, NotMeasured, SpecError
from energymeter.recordings.record import Hints, options_in
from energymeter.text import Estimate, duration, printable, significant
from energymeter.units import STEP

if TYPE_CHECKING:
    from energymeter.recordings.trace import Trace

_SLOPE_SIGMA = 0.5
"""Relative standard uncertainty of a gauge's slope [M]. Since-start slopes of recorded discharges were off
by 4.4 % (a laptop, median), 11 to 73 % (Librem 5), 8 to 247 % (Android, 1 % steps). 95 %: a factor of 2.7."""
_SLIP = 0.12
"""Share of what is left above empty by which a gauge slips when its load comes on, standard deviation [M]: a
Pi 4's UPS gauge fell 79 to 65 % in the first 12 of 247 minutes, five times its later slope. It only moves the
upper bound: what fell too fast at first goes on more slowly."""
_NOTHING = "nothing was discharged; log on while it runs from its battery"
_NEAR = 0.15
"""Volts this close to the cell's own were measured at the cell; a 5 V rail is 30 % above it."""
_GAP_STEPS = 10
_GAP_SECONDS = 300.0
"""Between two readings, more than both is a gap: the device slept, or only its logger did."""
_LARGEST = 50.0
"""Exponent of a factor, so that it stays a number."""
_MOST_PERCENT = 110.0
_FULL_SHARE = 0.97
"""From here on the voltage sags as that of a full battery."""
_LARGE_GAP = 0.10
"""Relative uncertainty of the capacity above which gaps are what makes an interval too wide."""
_OFTEN = 5
_FAR = 3.0
"""So many rises, and so many times their median, tell a gauge's recoveries from a charger."""


class GaugeHours(NamedTuple):
    """What a gauge's log says."""

    hours: Estimate | None
    """``None``: for the ``reason``."""
    method: str
    """``energy`` (power and a capacity) or ``slope`` (of the gauge alone)."""
    note: str = ""
    """What of the log was left out, or taken for granted."""
    reason: str = ""
    """Why there are no hours, and what would help."""
    read_as: str = ""
    """What was recognised in the log."""


def hours_from_gauge(
    times_s: Sequence[float], levels: Sequence[float], *, empty: float = 0.0
) -> Estimate | None:
    """Hours until a gauge reads ``empty``, by the straight line through its fall since it was last charged.

    Args:
        times_s: seconds, going forward; gaps do no harm.
        levels: what the gauge read, in any unit (percent, mAh, µWh); NaN where it did not.
        empty: where the device switches off, in the same unit (a recorded laptop: 7 %).

    Returns:
        ``None`` where `left_by_gauge` says why not.
    """
    return left_by_gauge(times_s, levels, empty=empty).hours


def left_by_gauge(
    times_s: Sequence[float], levels: Sequence[float], *, empty: float = 0.0, unit: str = ""
) -> HoursLeft:
    """The same as `hours_from_gauge`, with the reason where there are no hours.

    These are that it did not fall by more than one of its own steps, or its jitter, since it was charged;
    that it is at or below ``empty``, and runs; and that the interval is too wide yet.
    """
    rows: list[tuple[float, float]] = []
    for row in zip(times_s, levels, strict=True):
        if math.isfinite(row[1]) and (not rows or row[0] > rows[-1][0]):
            rows.append(row)
    if rows and rows[-1][1] <= empty:
        return HoursLeft(None, _at_empty(rows[-1][1], empty, unit))
    step = _step(rows)
    if not step:
        return HoursLeft(None, _NOTHING)
    jitter = _jitter([level for _, level in rows], step)
    since = rows[_full(rows, jitter) :]
    line, slope = _line(since)
    (start, full), (end, now) = since[0], since[-1]
    fell = -slope * (end - start)
    if full - now <= jitter or fell <= 0:
        return HoursLeft(None, _NOTHING)
    reach = step / 2 if jitter == step else jitter  # a reading hides as much
    above = max(min(max(line, now - reach), now + reach) - empty, 0.0)
    value = above / -slope / 3600
    low, high = _spreads(above, fell, step)
    hours = Estimate(value, value / low, value * high, "h")
    further = _further(above, fell, step) / -slope
    return HoursLeft.of(
        hours,
        f"the gauge fell by {significant(full - now, 2)}{unit} only: log "
        f"{duration(further, rough=True)} more, or log watts and name the battery (--battery)",
    )


def _spreads(above: float, fell: float, step: float) -> tuple[float, float]:
    """Factors down and up to the bounds of what is left by the slope, of ``above`` the empty gauge.

    Each end of the fall is rounded to a step: evenly spread errors, together step / √6.
    """
    slope = math.hypot(_SLOPE_SIGMA, step / fell / math.sqrt(6))
    slip = _SLIP * above / fell
    return math.exp(Z95 * slope), math.exp(min(Z95 * math.hypot(slope, slip), _LARGEST))


def _further(above: float, fell: float, step: float) -> float:
    """How far it must still fall until the interval is narrow enough, at most down to empty."""
    least, most = 0.0, above
    for _ in range(50):
        middle = (least + most) / 2
        narrow = math.prod(_spreads(above - middle, fell + middle, step)) <= WIDEST
        least, most = (least, middle) if narrow else (middle, most)
    return most


def _step(rows: Sequence[tuple[float, float]]) -> float:
    """By how much the gauge usually moves when it does; 0 if it never does."""
    moves = sorted(abs(after - before) for (_, before), (_, after) in pairwise(rows) if after != before)
    return moves[len(moves) // 2] if moves else 0.0


def _jitter(levels: Sequence[float], step: float) -> float:
    """How far it may rise without being charged: one step, or far beyond the rises it makes all the time.

    A gauge that goes by voltage recovers whenever its load is lighter; a charger comes now and then.
    """
    rises, rise = [], 0.0
    for before, after in pairwise(levels):
        if after > before:
            rise += after - before
        elif after < before and rise:
            rises.append(rise)
            rise = 0.0
    return max(step, _FAR * sorted(rises)[len(rises) // 2]) if len(rises) >= _OFTEN else step


def _full(rows: Sequence[tuple[float, float]], jitter: float) -> int:
    """Where it last stood highest before it fell; a rise within its jitter is no charging."""
    top = len(rows) - 1
    for i in range(len(rows) - 1, -1, -1):
        if rows[i][1] < rows[top][1] - jitter:
            break
        if rows[i][1] > rows[top][1]:
            top = i
    return top


def _line(rows: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Level at the end and slope of the least squares line, each row weighted by the time it stands for.

    The stairs of a gauge's steps average out, which the difference of two readings does not.
    """
    times = [at for at, _ in rows]
    lasted = [later - earlier for earlier, later in pairwise(times)]
    weights = [(a + b) / 2 for a, b in zip([0.0, *lasted], [*lasted, 0.0], strict=True)]
    total = math.fsum(weights)
    if not total:
        return rows[-1][1], 0.0
    mid = math.fsum(w * t for w, t in zip(weights, times, strict=True)) / total
    mean = math.fsum(w * level for w, (_, level) in zip(weights, rows, strict=True)) / total
    spread = math.fsum(w * (t - mid) ** 2 for w, t in zip(weights, times, strict=True))
    slope = math.fsum(w * (t - mid) * (v - mean) for w, (t, v) in zip(weights, rows, strict=True)) / spread
    return mean + slope * (times[-1] - mid), slope


def hours_from_log(path: str, battery: Battery | None = None, *, empty: float = 0.0) -> GaugeHours:
    """Hours left at the end of a log with a gauge, with power, or with both.

    With power (or volts and amps) and a ``battery`` the energy counts: what the gauge's first percent leaves
    of the battery (a full one without a gauge), less what was drawn. Otherwise the gauge's slope, a much
    wider interval. ``empty``: what the gauge reads when the device switches off.

    Raises:
        LogError: the file cannot be read, or has neither a gauge nor power with a battery.
        NotMeasured: it holds no samples.
    """
    gauge = gauge_table.read(path)
    if battery is not None and (drawn := _drawn(path, gauge)) is not None:
        return _by_energy(drawn, battery, gauge, empty)._replace(read_as=drawn.read_as)
    if gauge is None:
        raise _no_gauge(path)
    found = left_by_gauge(gauge.times_s, gauge.levels, empty=empty, unit=gauge.unit)
    return GaugeHours(found.hours, "slope", gauge.note, found.reason, gauge.read_as)


def _no_gauge(path: str) -> LogError:
    """What to do about a log without a gauge, where no battery was named either."""
    from energymeter.recordings.trace import Trace

    try:
        read_as = Trace.load(path, caller="budget forecast --log").read_as
    except (LogError, NotMeasured, SpecError) as unclear:
        name = options_in(path, Hints())[0]
        sentence = str(unclear).removeprefix(f"{name}: ")
        return LogError(
            f"{path} has no known gauge column: write a CSV of time and percent, or log watts and name the "
            f"battery; {sentence}"
        )
    again = shlex.join(["energymeter", "budget", "forecast", "--log", path, "--battery", "4000mAh"])
    return LogError(
        f"{path} has no known gauge column, and power, as {printable(read_as)}; name the battery, as in "
        f"{again}"
    )


class _Drawn(NamedTuple):
    """A log's power: positive is drawn from the battery."""

    times_s: Sequence[float]
    watts: Sequence[float]
    levels: Sequence[float]
    """What the gauge read, if there is one."""
    volts: Sequence[float]
    """Empty where they were not logged."""
    at_cell: bool
    stretches: Sequence[tuple[float, float]]
    """Seconds from one reading to the next and their mean watts; NaN watts where nothing was read."""
    notes: Sequence[str]
    """What was left out, or done to its times."""
    read_as: str

    @property
    def typical_volts(self) -> float | None:
        known = sorted(filter(math.isfinite, self.volts))
        return known[len(known) // 2] if known else None


def _drawn(path: str, gauge: Gauge | None) -> _Drawn | None:
    """``None``: no power is logged.

    Raises:
        LogError: there is no gauge either, and the file's power cannot be read.
    """
    if gauge is not None:
        if not any(map(math.isfinite, gauge.watts)):
            return None
        # Only what followed the last charging shows which sign means drawing.
        rows = [row for row in enumerate(gauge.levels) if math.isfinite(row[1])]
        first = 0
        if rows:
            step = _step(rows)
            top = _full(rows, _jitter([level for _, level in rows], step)) if step else 0
            while top and rows[top - 1][1] == rows[top][1]:  # it was drawn from before the gauge moved, too
                top -= 1
            first = rows[top][0]
        watts = gauge_table.drawn(gauge.watts[first:])
        times = gauge.times_s[first:]
        return _Drawn(
            times,
            watts,
            gauge.levels[first:],
            gauge.volts[first:],
            gauge.at_cell,
            [*_stretches(times, watts)],
            [gauge.note] if gauge.note else [],
            gauge.read_as,
        )
    # the channels that count are added, as everywhere; imported here, because a gauge alone needs no numpy
    from energymeter.recordings.trace import Trace

    trace = Trace.load(path, caller="budget forecast --log")
    trace.usage()  # refused where nothing was measured, as by every command
    watts = trace.watts.tolist()
    volts = trace.volts.tolist() if len(trace.parts) == 1 else ()
    stretches = [*_measured(trace, gauge_table.drawing_sign(watts))]
    drawn = gauge_table.drawn(watts)
    return _Drawn(trace.time_s.tolist(), drawn, (), volts, False, stretches, trace.notes, trace.read_as)


def _measured(trace: "Trace", sign: float) -> Iterator[tuple[float, float]]:
    """The stretches of a recording, by its own coverage."""
    rows = zip(trace.time_s.tolist(), trace.covered_s.tolist(), trace.joules.tolist(), strict=True)
    for (start, covered_before, before), (end, covered, after) in pairwise(rows):
        measured = min(covered - covered_before, end - start)
        if measured > 0:
            yield measured, sign * (after - before) / measured
        if end - start > measured:
            yield end - start - measured, math.nan


def _by_energy(drawn: _Drawn, battery: Battery, gauge: Gauge | None, empty: float) -> GaugeHours:
    notes = [*drawn.notes]
    volts = drawn.typical_volts
    near = volts is not None and abs(volts / battery.volts - 1) < _NEAR
    if battery.basis == "cell" and (drawn.at_cell or near):
        battery = battery.with_(efficiency=1.0)  # no converter stands between
        notes.append("counted at the cell")
    share = 1.0
    if gauge is None:
        if empty:
            raise LogError("--empty is a level of the gauge, and the log has none: leave it out")
        notes.append("from a full battery")
    else:
        known = [level for level in drawn.levels if math.isfinite(level)]
        if known and known[-1] <= empty:
            return GaugeHours(None, "energy", _joined(notes), _at_empty(known[-1], empty, gauge.unit))
        if known and gauge.in_percent and max(known) > _MOST_PERCENT:
            raise LogError(f"the gauge reads {max(known):g} %, so it is no percent: rename its column")
        share = gauge.share(known[0] if known else math.nan, battery) - gauge.share(empty, battery)
        if not share > 0:
            raise LogError(
                "the log does not say how full the battery was: log its percent, or leave out the battery"
            )
    load, joules, seconds, missed = Forecast(), 0.0, 0.0, 0.0
    for lasted, mean in drawn.stretches:
        if math.isnan(mean):
            missed += lasted
        else:
            load.add(lasted, mean * lasted)
            joules, seconds = max(joules + mean * lasted, 0.0), seconds + lasted  # full is full
    level = load.level()
    if level is None or joules <= 0:
        return GaugeHours(None, "energy", _joined(notes), _NOTHING)
    # Asleep or only not logged: what was drawn meanwhile is anything from nothing to the mean load.
    unseen = missed * joules / seconds
    if missed:
        notes.append(f"{duration(missed, rough=True)} without readings, counted as half the mean load")
    whole = Balance(battery, battery.joules * share, 0.0, None, running=True)
    whole = whole.after(joules, seconds).after(unseen / 2, missed)
    gain = battery.taken_joules(unseen, missed) * STEP / whole.capacity_joules if missed else 0.0
    at_cell = volts is not None and (drawn.at_cell or near) and share > _FULL_SHARE
    sag = sag_of(drawn.times_s, drawn.volts, drawn.watts) if at_cell else None
    found = whole._replace(gain=gain, sag=sag).forecast(
        level, "log without gaps" if gain > _LARGE_GAP else ""
    )
    return GaugeHours(found.hours, "energy", _joined(notes), found.reason)


def _stretches(times_s: Sequence[float], watts: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Seconds and mean watts between two readings; NaN watts where too long nothing was read."""
    rows = [row for row in zip(times_s, watts, strict=True) if math.isfinite(row[1])]
    lasted = [later - earlier for (earlier, _), (later, _) in pairwise(rows)]
    steps = sorted(step for step in lasted if step > 0)
    longest = max(_GAP_STEPS * steps[len(steps) // 2], _GAP_SECONDS) if steps else 0.0
    for step, ((_, before), (_, after)) in zip(lasted, pairwise(rows), strict=True):
        if step > 0:  # a clock that goes back is no time
            yield step, (before + after) / 2 if step <= longest else math.nan


def _at_empty(now: float, empty: float, unit: str) -> str:
    return (
        f"cannot tell: the gauge reads {now:g}{unit}, where it should be empty ({empty:g}{unit}), and the "
        "device still runs; give the level at which it dies with --empty"
    )


def _joined(notes: Sequence[str]) -> str:
    return ", ".join(notes)
