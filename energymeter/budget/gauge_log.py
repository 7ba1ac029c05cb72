"""Hours left by a battery gauge's log (percent, mAh, µWh): by the power beside it, else by its slope."""

import csv
import math
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from energymeter.battery.battery import Battery
from energymeter.budget.balance import Balance
from energymeter.budget.forecast import Z95, Forecast
from energymeter.errors import LogError
from energymeter.estimate import Estimate
from energymeter.logs import logfile
from energymeter.logs.foreign import factor_of, moment
from energymeter.units import number

_SLOPE_SIGMA = 0.5
"""Relative standard uncertainty of a gauge's slope [M]. Since-start slopes of recorded discharges were off
by 4.4 % (a laptop, median), 11 to 73 % (Librem 5), 8 to 247 % (Android, 1 % steps). 95 %: a factor of 2.7."""
_SLIP = 0.15
"""Share of what is left by which a gauge slips when its load comes on, standard deviation [M]: a Pi 4's UPS
gauge fell 79 to 65 % in the first 12 of 247 minutes, five times its later slope."""
_TIME = re.compile(r"time|date|elapsed|seconds", re.IGNORECASE)
_PERCENT = re.compile(r"%|percent|\bsoc\b|state.of.charge|\blevel\b|^capacity$|battery.level", re.IGNORECASE)
_AMOUNT = re.compile(r"(charge|energy)_now|remaining|\(?\b[mµu]?[AW]h\b\)?")


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
    gauge = _gauge(path)
    if battery is not None and (powered := _by_energy(path, battery, gauge)) is not None:
        return GaugeHours(powered, "energy")
    if gauge is None:
        raise LogError(
            f"{path} has no gauge's column: head one with percent, or log watts and name the battery."
        )
    return GaugeHours(hours_from_gauge(gauge.times_s, gauge.levels), "slope")


class _Gauge(NamedTuple):
    times_s: list[float]
    levels: list[float]
    in_percent: bool


def _by_energy(path: str, battery: Battery, gauge: _Gauge | None) -> Estimate | None:
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


def _gauge(path: str) -> _Gauge | None:
    """The gauge's column of a CSV; ``None``: it has none."""
    try:
        with Path(path).open(encoding="utf-8-sig", errors="replace", newline="") as file:
            return _columns(csv.reader(file))
    except (OSError, csv.Error) as refusal:
        raise LogError(f"{path} cannot be read: {refusal}.") from refusal


def _columns(rows: Iterable[list[str]]) -> _Gauge | None:
    table = iter(rows)
    titles = [title.strip() for title in next(table, [])]
    time = next((i for i, title in enumerate(titles) if _TIME.search(title)), None)
    percent = next((i for i, title in enumerate(titles) if _PERCENT.search(title)), None)
    place = percent
    if place is None:
        place = next((i for i, title in enumerate(titles) if _AMOUNT.search(title)), None)
    if time is None or place is None:
        return None
    gauge, factor = _Gauge([], [], percent is not None), factor_of("seconds", titles[time], logfile.Hints())
    for row in table:
        try:
            at, is_date = moment(row[time])
        except (IndexError, ValueError, OverflowError):
            continue  # half a row at the end, a repeated header
        level = number(row[place]) if place < len(row) else None
        gauge.times_s.append(at if is_date else at * factor)
        gauge.levels.append(math.nan if level is None else level)
    return gauge
