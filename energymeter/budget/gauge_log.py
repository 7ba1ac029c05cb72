"""Hours left by a battery gauge's log (percent, mAh, µWh): from its power column, or else from its slope."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from energymeter.battery.battery import Battery
from energymeter.budget import gauge_table
from energymeter.budget.balance import Balance
from energymeter.budget.forecast import Z95, Forecast
from energymeter.budget.gauge_table import Gauge
from energymeter.errors import LogError
from energymeter.recordings import reader
from energymeter.recordings.record import Hints
from energymeter.text import Estimate

_SLOPE_SIGMA = 0.5
"""Relative standard uncertainty of a gauge's slope [M]. Since-start slopes of recorded discharges were off
by 4.4 % (a laptop, median), 11 to 73 % (Librem 5), 8 to 247 % (Android, 1 % steps). 95 %: a factor of 2.7."""
_SLIP = 0.15
"""Share of what is left by which a gauge slips when its load comes on, standard deviation [M]: a Pi 4's UPS
gauge fell 79 to 65 % in the first 12 of 247 minutes, five times its later slope."""
_OFTEN = 5
_FAR = 3.0
"""So many rises, and so many times their median, tell a gauge's recoveries from a charger."""


class GaugeHours(NamedTuple):
    """What a gauge's log says."""

    hours: Estimate | None
    """``None``: nothing was discharged, so there is no forecast."""
    method: str
    """``energy`` (power and a capacity) or ``slope`` (of the gauge alone)."""
    note: str = ""
    """What of the log was left out."""


def hours_from_gauge(
    times_s: Sequence[float], levels: Sequence[float], *, empty: float = 0.0
) -> Estimate | None:
    """Hours until a gauge reads ``empty``, by the straight line through its fall since it was last charged.

    Args:
        times_s: seconds, going forward; gaps do no harm.
        levels: what the gauge read, in any unit (percent, mAh, µWh); NaN where it did not.
        empty: where the device switches off, in the same unit (a recorded laptop: 7 %).

    Returns:
        ``None`` if it did not fall by more than one of its own steps, or its jitter, since.
    """
    rows: list[tuple[float, float]] = []
    for row in zip(times_s, levels, strict=True):
        if math.isfinite(row[1]) and (not rows or row[0] > rows[-1][0]):
            rows.append(row)
    steps = sorted(abs(after - before) for (_, before), (_, after) in pairwise(rows) if after != before)
    if not steps:
        return None
    step = steps[len(steps) // 2]
    jitter = _jitter([level for _, level in rows], step)
    since = rows[_full(rows, jitter) :]
    line, slope = _line(since)
    (start, full), (end, now) = since[0], since[-1]
    fell = -slope * (end - start)
    if full - now <= jitter or fell <= 0:
        return None
    reach = step / 2 if jitter == step else jitter  # a reading hides as much
    now = min(max(line, now - reach), now + reach)
    value = max(now - empty, 0.0) / -slope / 3600
    # Each end of the fall is rounded to a step: evenly spread errors, together step / √6.
    sigma = math.hypot(_SLOPE_SIGMA, _SLIP * now / fell, step / fell / math.sqrt(6))
    spread = math.exp(Z95 * sigma)
    return Estimate(value, value / spread, value * spread, "h")


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


def hours_from_log(path: str, battery: Battery | None = None) -> GaugeHours:
    """Hours left at the end of a log with a gauge, with power, or with both.

    With power and a ``battery`` the energy counts: what the gauge's first percent leaves of the battery
    (a full one without a gauge), less what was drawn. Otherwise the gauge's slope, a much wider interval.

    Raises:
        LogError: the file cannot be read, or has neither a gauge nor power with a battery.
        NotMeasured: it holds no samples.
    """
    gauge = gauge_table.read(path)
    if battery is not None and (powered := _by_energy(path, battery, gauge)) is not None:
        return GaugeHours(powered, "energy")
    if gauge is None:
        raise LogError(
            f"{path} has no known gauge column: write a CSV of time and percent, or log watts and "
            "name the battery"
        )
    return GaugeHours(hours_from_gauge(gauge.times_s, gauge.levels), "slope", gauge.note)


def _by_energy(path: str, battery: Battery, gauge: Gauge | None) -> Estimate | None:
    """``None``: no power is logged."""
    times, watts = _power(path) if gauge is None else (gauge.times_s, gauge.watts)
    load, joules, seconds = Forecast(), 0.0, 0.0
    for i in range(1, len(times)):
        lasted, mean = times[i] - times[i - 1], (watts[i] + watts[i - 1]) / 2
        if lasted > 0 and math.isfinite(mean):
            load.add(lasted, mean * lasted)
            joules, seconds = joules + mean * lasted, seconds + lasted
    if not seconds:
        return None
    if gauge is not None and gauge.at_cell:
        battery = battery.with_(efficiency=1.0)  # no converter stands between
    percents = gauge.levels if gauge is not None and gauge.in_percent else []
    missing = 1 - next((percent for percent in percents if math.isfinite(percent)), 100.0) / 100
    whole = Balance(battery, battery.joules, battery.joules * missing, battery.capacity_sigma)
    return whole.after(joules, seconds).hours(load.level())


def _power(path: str) -> tuple[Sequence[float], Sequence[float]]:
    try:
        columns = reader.read(path, Hints(caller="budget forecast --log"))[0].columns
    except LogError:
        return (), ()
    return (columns["time_s"], columns["watts"]) if "watts" in columns else ((), ())
