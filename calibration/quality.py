"""How good a source is, from a stretch of its samples: noise, timing, steps, aliasing, the least energy."""

import math
from typing import NamedTuple

import numpy as np

from energymeter.calibration.line_fit import Floats
from energymeter.errors import NotMeasured
from energymeter.reading import Band, Facts

_FEWEST = 10
_RISK = 0.01


class Counts(NamedTuple):
    """What the sampler counted."""

    reads: int
    duplicates: int
    missed: int
    failed: int
    lost: int


class Quality(NamedTuple):
    """Figures of one channel; ``None`` where they cannot be told."""

    mean_watts: float
    noise_watts: float
    """Standard deviation of one sample, from the differences between neighbours: a slow load is not noise."""
    step_watts: float | None
    """The smallest change that was seen."""
    zero_amps: float | None
    """What is shown with no load, where that was asked for."""
    interval_s: float
    jitter_s: float
    """Standard deviation of the intervals."""
    longest_s: float
    headroom: float | None
    """The highest sample as a share of the most that can be measured."""
    aliasing: float
    """How much the energy changes when only every other sample is looked at, relative; less for a mean, of
    which most was seen."""
    least_joules: float
    """The smallest energy within one second that stands out of the noise (k = 2)."""
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
        zero: there is no load.

    Raises:
        NotMeasured: too few samples with a power.
    """
    known = ~np.isnan(watts)
    time_s, watts = time_s[known], watts[known]
    if len(watts) < _FEWEST:
        raise NotMeasured(f"only {len(watts)} samples tell a power; look for longer, or ask more often.")
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
    return found._replace(warnings=tuple(_doubts(found, facts)))


def _aliasing(watts: Floats) -> float:
    """Means of the even and of the odd samples, apart; a load that they follow gives both the same."""
    even, odd = (float(watts[first : len(watts) // 2 * 2 : 2].mean()) for first in (0, 1))
    scatter = float(np.abs(watts[2::2] - 2 * watts[1:-1:2][: len(watts[2::2])] + watts[:-2:2]).mean())
    mean = abs(float(watts.mean()))
    # alternation that evens out over the stretch is still a load too fast to be followed
    return max(abs(even - odd), scatter / math.sqrt(6 * len(watts))) / mean if mean > 0 else 0.0


def _doubts(found: Quality, facts: Facts) -> list[str]:
    counts, said = found.counts, []
    if found.longest_s > 3 * found.interval_s:
        said.append(
            f"the longest pause was {found.longest_s:.3g} s, {found.longest_s / found.interval_s:.0f} "
            "intervals"
        )
    if counts.duplicates > 0.1 * counts.reads:
        said.append(f"{counts.duplicates / counts.reads:.0%} of the reads found nothing new: ask less often")
    if counts.missed + counts.failed + counts.lost:
        said.append(
            f"{counts.missed} readings came too late, {counts.failed} failed, {counts.lost} were lost"
        )
    if found.headroom is not None and found.headroom > 0.8:
        said.append(f"the load reaches {found.headroom:.0%} of the range: short peaks may clip unseen")
    if found.aliasing > _RISK:
        said.append(
            "the load changes faster than it is sampled: ask more often, or use a meter that averages"
        )
    band = facts.amps or Band()
    if found.zero_amps is not None and abs(found.zero_amps) > band.offset + band.resolution > 0:
        said.append(
            f"with no load it shows {found.zero_amps:.2g} A, more than its data sheet's {band.offset:.2g} "
            "A: is the "
            "load really off?"
        )
    if found.step_watts is None:
        said.append("every sample was the same: nothing can be said of its noise below one step")
    return said
