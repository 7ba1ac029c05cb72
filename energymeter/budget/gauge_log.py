"""Hours left by a battery gauge's log (percent, mAh, µWh): by the power beside it, else by its slope."""

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
from energymeter.estimate import Estimate
from energymeter.logs import logfile

_SLOPE_SIGMA = 0.5
"""Relative standard uncertainty of a gauge's slope [M]. Since-start slopes of recorded discharges were off
by 4.4 % (a laptop, median), 11 to 73 % (Librem 5), 8 to 247 % (Android, 1 % steps). 95 %: a factor of 2.7."""
_SLIP = 0.15
"""Share of what is left by which a gauge slips when its load comes on, standard deviation [M]: a Pi 4's UPS
gauge fell 79 to 65 % in the first 12 of 247 minutes, five times its later slope."""


class GaugeHours(NamedTuple):
    """What a gauge's log says."""

    hours: Estimate | None
    """``None``: nothing was discharged, so it cannot be told."""
    method: str
    """``energy`` (power and a capacity) or ``slope`` (of the gauge alone)."""


def hours_from_gauge(
    times_s: Sequence[float], levels: Sequence[float], *, empty: float = 0.0
) -> Estimate | None:
    """Hours until a gauge reads ``empty``, by its fall since it was last charged.

    Args:
        times_s: seconds, going forward; gaps do no harm.
        levels: what the gauge read, in any unit (percent, mAh, µWh); NaN where it did not.
        empty: where the device switches off, in the same unit (a recorded laptop: 7 %).

    Returns:
        ``None`` if it did not fall by more than one of its own steps since.
    """
    rows: list[tuple[float, float]] = []
    for row in zip(times_s, levels, strict=True):
        if math.isfinite(row[1]) and (not rows or row[0] > rows[-1][0]):
            rows.append(row)
    steps = sorted(abs(after - before) for (_, before), (_, after) in pairwise(rows) if after != before)
    if not steps:
        return None
    step = steps[len(steps) // 2]
    end, now = rows[-1]
    start, full = _full(rows, step)
    fell = full - now
    if fell <= step:
        return None
    value = max(now - empty, 0.0) / fell * (end - start) / 3600
    # Each end of the fall is rounded to a step: evenly spread errors, together step / √6.
    sigma = math.hypot(_SLOPE_SIGMA, _SLIP * now / fell, step / fell / math.sqrt(6))
    spread = math.exp(Z95 * sigma)
    return Estimate(value, value / spread, value * spread, "h")


def _full(rows: Sequence[tuple[float, float]], step: float) -> tuple[float, float]:
    """When and how high it last stood before it fell; a single step up is a gauge's jitter, no charging."""
    top = rows[-1]
    for row in reversed(rows):
        if row[1] < top[1] - step:
            break
        if row[1] > top[1]:
            top = row
    return top


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
            f"{path} has no gauge's column that is known: write a CSV of time and percent, or log watts and "
            "name the battery."
        )
    return GaugeHours(hours_from_gauge(gauge.times_s, gauge.levels), "slope")


def _by_energy(path: str, battery: Battery, gauge: Gauge | None) -> Estimate | None:
    """``None``: no power is logged."""
    try:
        columns = logfile.read(path)[0].columns
    except LogError:
        return None
    if "watts" not in columns:
        return None
    times, watts = columns["time_s"], columns["watts"]
    load, joules, seconds = Forecast(), 0.0, 0.0
    for i in range(1, len(times)):
        lasted, mean = times[i] - times[i - 1], (watts[i] + watts[i - 1]) / 2
        if lasted > 0 and math.isfinite(mean):
            load.add(lasted, mean * lasted)
            joules, seconds = joules + mean * lasted, seconds + lasted
    percents = gauge.levels if gauge is not None and gauge.in_percent else []
    missing = 1 - next((percent for percent in percents if math.isfinite(percent)), 100.0) / 100
    whole = Balance(battery, battery.joules, battery.joules * missing, battery.capacity_sigma)
    return whole.after(joules, seconds).hours(load.level())
