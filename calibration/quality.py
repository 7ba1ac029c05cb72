"""How good a source is, from a stretch of its samples: noise, timing, steps, aliasing, the least energy."""

import math
from typing import NamedTuple

import numpy as np

from energymeter.calibration.line_fit import Floats
from energymeter.errors import NotMeasured
from energymeter.reading import Band, Facts
from energymeter.text import percent

_FEWEST = 10
_RISK = 0.01


class Counts(NamedTuple):
    """The counts of the sampler."""

    reads: int
    duplicates: int
    missed: int
    failed: int
    lost: int


class Quality(NamedTuple):
    """The quality of one channel; ``None`` for what is unknown."""

    mean_watts: float
    noise_watts: float
    """Standard deviation of one sample, from the differences between neighbours: a slow load is not noise."""
    step_watts: float | None
    """The smallest change between samples."""
    zero_amps: float | None
    """The current shown without load, if that was asked for."""
    interval_s: float
    jitter_s: float
    """Standard deviation of the intervals."""
    longest_s: float
    headroom: float | None
    """The highest sample as a share of the most that can be measured."""
    aliasing: float
    """Relative change of the energy if every other sample is left out; less for a mean with a high duty."""
    least_joules: float
    """The smallest energy within one second that is above the noise (k = 2)."""
    counts: Counts
    warnings: tuple[str, ...]


def examine(
    time_s: Floats, watts: Floats, amps: Floats, facts: Facts, counts: Counts, *, zero: bool = False
) -> Quality:
    """Judge a stretch of samples.

    Args:
        time_s, watts, amps: shape (n,), NaN where unknown.
        facts: of the source.
        counts: of the same stretch.
        zero: True if there is no load.

    Raises:
        NotMeasured: too few samples with a power.
    """
    known = ~np.isnan(watts)
    time_s, watts = time_s[known], watts[known]
    if len(watts) < _FEWEST:
        raise NotMeasured(f"only {len(watts)} samples have a power; measure for longer, or at a higher rate")
    intervals, jumps = np.diff(time_s), np.diff(watts)
    noise = float(np.sqrt(np.mean(jumps**2) / 2))
    interval = float(np.median(intervals))
    steps = np.abs(jumps[jumps != 0])
    found = Quality(
        mean_watts=float(watts.mean()),
        noise_watts=noise,
        step_watts=float(steps.min()) if len(steps) else None,
        zero_amps=float(np.nanmean(amps)) if zero and np.any(~np.isnan(amps)) else None,
        interval_s=interval,
        jitter_s=float(intervals.std()),
        longest_s=float(intervals.max()),
        headroom=None if facts.max_watts is None else float(watts.max()) / facts.max_watts,
        aliasing=_aliasing(watts) * math.sqrt(1 - facts.duty),
        least_joules=2 * math.sqrt(2) * noise * math.sqrt(interval),
        counts=counts,
        warnings=(),
    )
    return found._replace(warnings=tuple(_warnings(found, facts)))


def _aliasing(watts: Floats) -> float:
    """The difference between the means of even and odd samples; small if the samples follow the load."""
    even, odd = (float(watts[first : len(watts) // 2 * 2 : 2].mean()) for first in (0, 1))
    scatter = float(np.abs(watts[2::2] - 2 * watts[1:-1:2][: len(watts[2::2])] + watts[:-2:2]).mean())
    mean = abs(float(watts.mean()))
    # alternation that averages out over the stretch is still a load that is too fast
    return max(abs(even - odd), scatter / math.sqrt(6 * len(watts))) / mean if mean > 0 else 0.0


def _warnings(found: Quality, facts: Facts) -> list[str]:
    counts, warnings = found.counts, []
    if found.longest_s > 3 * found.interval_s:
        warnings.append(
            f"the longest pause was {found.longest_s:.3g} s, {found.longest_s / found.interval_s:.0f} "
            "intervals"
        )
    if counts.duplicates > 0.1 * counts.reads:
        warnings.append(
            f"{percent(counts.duplicates / counts.reads)} of the reads had nothing new: use a lower rate"
        )
    if counts.missed + counts.failed + counts.lost:
        warnings.append(
            f"{counts.missed} readings came too late, {counts.failed} failed, {counts.lost} were lost"
        )
    if found.headroom is not None and found.headroom > 0.8:
        warnings.append(
            f"the load reaches {percent(found.headroom)} of the range: short peaks may be clipped"
        )
    if found.aliasing > _RISK:
        warnings.append(
            "the load changes faster than it is sampled: use a higher rate, or a meter that averages"
        )
    band = facts.amps or Band()
    if found.zero_amps is not None and abs(found.zero_amps) > band.offset + band.resolution > 0:
        warnings.append(
            f"with no load it shows {found.zero_amps:.2g} A, more than the {band.offset:.2g} A of its data "
            "sheet: "
            "check that the load is off"
        )
    if found.step_watts is None:
        warnings.append("every sample was the same: its noise is below one step")
    return warnings
