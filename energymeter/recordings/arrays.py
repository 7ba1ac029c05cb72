"""Arithmetic of whole columns: running totals of recorded rates, and what scatters them. Needs numpy."""

import numpy as np
import numpy.typing as npt

from energymeter.energy.gaps import IN_A_ROW, GapRule
from energymeter.energy.integrate import Weights
from energymeter.reading import Facts

Floats = npt.NDArray[np.float64]
_FEW, _CHUNK = 64, 65_536


def integrated(time: Floats, given: dict[str, Floats], facts: Facts) -> dict[str, Floats]:
    """All columns of a trace from those of its rates, by the rule of their semantics.

    Args:
        time: shape (n,), s; rows that do not go forward are left out.
        given: any of ``watts``, ``volts``, ``amps``, and of the meter's own counters ``raw_joules``,
            ``raw_coulombs``; shape (n,).
        facts: whether rows are instants, means, or a counter.
    """
    ahead = forward(time)
    time = time[ahead]
    columns = {q: np.where(np.isfinite(c), c, np.nan)[ahead] for q, c in given.items()}
    if "watts" not in columns and {"volts", "amps"} <= columns.keys():
        columns["watts"] = columns["volts"] * columns["amps"]
    steps = np.diff(time)
    counters = {total: columns.pop(f"raw_{total}", None) for total in ("joules", "coulombs")}
    rises = {total: _rises(raw) for total, raw in counters.items() if raw is not None}
    leading = rises.get("joules", rises.get("coulombs")) if facts.semantics == "counter" else None
    if leading is not None:
        seen = ~np.isnan(leading)
    else:
        seen = _seen(steps, columns.get("watts", columns.get("amps", time)), facts)
    columns["time_s"] = time
    columns["covered_s"] = running(np.where(seen, steps, 0.0))[: len(time)]
    for rate, total in (("watts", "joules"), ("amps", "coulombs")):
        if total in rises:
            columns[total] = running(np.where(seen & ~np.isnan(rises[total]), rises[total], 0.0))[: len(time)]
        elif rate in columns:
            columns[total] = _total(columns[rate], steps, seen, facts)
    if "watts" not in columns and "joules" in rises and len(time) > 1:
        columns["watts"] = np.concatenate([[np.nan], rises["joules"] / steps])
    return columns


def _rises(raw: Floats) -> Floats:
    """What a counter gained from row to row; NaN where it is unknown or was reset."""
    gained = np.diff(raw)
    return np.where(gained >= 0, gained, np.nan)


def _seen(steps: Floats, known: Floats, facts: Facts) -> npt.NDArray[np.bool_]:
    """Which intervals were measured: none that is a gap, none next to a row that is unknown."""
    seen = ~_gaps(steps) & ~np.isnan(known[1:])
    return np.asarray(seen & ~np.isnan(known[:-1]) if facts.semantics == "instant" else seen)


def _gaps(steps: Floats) -> npt.NDArray[np.bool_]:
    """Which intervals are gaps, by `energymeter.energy.gaps.GapRule`, a block at a time."""
    if not len(steps):
        return np.zeros(0, bool)
    in_ns = np.rint(steps * 1e9)
    rule = GapRule(float(np.median(steps)) * 1e9)
    observed = np.flatnonzero(in_ns >= rule.shortest_ns)
    seen_ns = in_ns[observed]
    limits_ns = np.empty(len(seen_ns))
    start, size = 0, _FEW
    if not observed.size or observed[0]:
        rule.observe(float(in_ns[0]))  # the very first one, which says nothing
    while start < len(seen_ns):
        if not rule.unsteady:
            block = seen_ns[start : start + size]
            odd = (block < rule.from_ns) | (block > rule.to_ns)
            row = np.logical_and.reduce([odd[n : len(odd) - IN_A_ROW + 1 + n] for n in range(IN_A_ROW)])
            limits_ns[start : start + size] = rule.limit_ns
            if len(block) < IN_A_ROW or not row.any():
                # the last of this block may be the first of a row
                start += len(block) if start + size >= len(seen_ns) else len(block) - IN_A_ROW + 1
                size = min(2 * size, _CHUNK)
                continue
            start, size = start + int(row.argmax()), _FEW
        # the very first one, or one of a row: each may change the limit
        limits_ns[start] = rule.limit_ns
        rule.observe(float(seen_ns[start]))
        start += 1
    found = np.zeros(len(steps), bool)
    found[observed] = seen_ns > limits_ns
    return found


def _total(rate: Floats, steps: Floats, seen: npt.NDArray[np.bool_], facts: Facts) -> Floats:
    if np.all(np.isnan(rate)):
        return rate
    level = (rate[1:] + rate[:-1]) / 2 if facts.semantics == "instant" else rate[1:]
    return running(np.where(seen & ~np.isnan(level), level * steps, 0.0))[: len(rate)]


def scatter(jumps: Floats, weights: Weights) -> Floats:
    """What each jump from one sample to the next, in J, adds to the variance of the energy, in J²."""
    turned = np.concatenate([[0.0], np.maximum(0.0, -jumps[1:] * jumps[:-1])])[: len(jumps)]
    return np.asarray(weights.step * jumps**2 + weights.turn * turned)


def running(steps: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(steps)])


def begun(totals: Floats) -> Floats:
    """Running totals, which are 0 until the first term is known; unknown if none ever is."""
    known = ~np.isnan(totals)
    return np.where(known, totals, 0.0) if np.any(known) else totals


def forward(time: Floats) -> npt.NDArray[np.bool_]:
    """Which rows are later than all before them."""
    known = np.where(np.isfinite(time), time, -np.inf)
    before = np.concatenate([[-np.inf], np.maximum.accumulate(known)])[: len(time)]
    return np.asarray(known > before)
