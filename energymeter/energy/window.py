"""What one channel measured between two moments, and the points of its curve that a window lies between."""

from __future__ import annotations

import math
from itertools import pairwise

from energymeter.lazy import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

COVERED = 0.995
"""The share of a window that must have been measured for its energy to stand for the whole window."""

# A window often begins where the load steps. A step by h at a share f of an interval dt is misplaced by
# h dt f²/2 where a straight line joins the samples, and by h dt f (1 - f) where a mean, which itself has
# moved by only h f, is level. Root mean squares over f, in units of the difference that the samples show:
STEP_IN_LINE = math.sqrt(1 / 20)
STEP_IN_MEAN = math.sqrt(1 / 10)
NEWEST = 32
"""So many samples say how much power changes from one to the next."""
_ENOUGH_STEPS = 8
_STEP_AROUND = math.sqrt(1 / 6)
"""The same of a window much shorter than the interval, in which a straight line gives power h f."""


class Point(NamedTuple):
    """The running totals of one channel at one moment; NaN where the source cannot tell."""

    joules: float
    coulombs: float
    volt_seconds: float
    covered_seconds: float
    gap_fill_joules: float
    variance_joules2: float = 0.0
    edge_joules: float = 0.0
    """What a step of the power right here would be misplaced by, one standard deviation."""
    step_watts: float = 0.0
    """The difference of power between the samples before and after; 0 on a sample."""


class Window(NamedTuple):
    """What one channel measured between two moments; NaN where the source cannot tell."""

    seconds: float
    joules: float
    coulombs: float
    volt_seconds: float
    covered_seconds: float
    gap_fill_joules: float
    variance_joules2: float
    """Variance of ``joules`` from noise and from what happened between samples."""
    edge_joules: float
    """What the window's two edges may misplace, one standard deviation."""
    peak_watts: float

    @classmethod
    def between(cls, start: Point, end: Point, seconds: float, peak_watts: float) -> Window:
        """The difference of two points of a curve.

        A total that is unknown at the start and known at the end began in between, at 0.
        """
        return cls(
            seconds,
            end.joules - (0.0 if start.joules != start.joules else start.joules),  # NaN differs from itself
            end.coulombs - (0.0 if start.coulombs != start.coulombs else start.coulombs),
            end.volt_seconds - (0.0 if start.volt_seconds != start.volt_seconds else start.volt_seconds),
            end.covered_seconds - start.covered_seconds,
            end.gap_fill_joules - start.gap_fill_joules,
            end.variance_joules2 - start.variance_joules2,
            min(
                start.edge_joules + end.edge_joules,
                max(start.step_watts, end.step_watts) * seconds * _STEP_AROUND,
            ),
            peak_watts,
        )


NOTHING = Window(math.nan, math.nan, math.nan, math.nan, 0.0, 0.0, 0.0, 0.0, math.nan)
"""The window of a channel that has no sample yet."""


def late_joules(half: float, whole: float) -> float:
    """What a window misplaces whose curve is late by anything up to some time, one standard deviation.

    The mean square by Simpson's rule.

    Args:
        half, whole: how the energy of the window changes if the curve moves by half of it, and by all of it.
    """
    square = (4 * half * half + whole * whole) / 6
    return math.sqrt(square) if math.isfinite(square) else 0.0


def unseen_joules(watts: Sequence[float], seconds: float) -> float:
    """What a window misplaces by a step that the device has not shown yet, one standard deviation.

    The newest value may be old: of the time since then nobody knows anything newer. A step of height h that
    came anywhere within it, t long, misplaces h t/√3. How high steps are, the samples say. A few of them say
    little: with none, a step may be as high as the power; each one takes an eighth of the weight from that.

    >>> [round(unseen_joules([2.0] * count, 0.3), 3) for count in (1, 3, 10)]
    [0.346, 0.237, 0.0]

    Args:
        watts: the power of the newest samples, oldest first.
        seconds: how much of the window lies in that time.
    """
    steps = [after - before for before, after in pairwise(watts)]
    if steps and steps[-1] == 0:
        steps.pop()  # it may be the same value still
    prior = max(0.0, 1.0 - len(steps) / _ENOUGH_STEPS)
    square = (prior * watts[-1] ** 2 + sum(step * step for step in steps)) / (prior + len(steps))
    return math.sqrt(square / 3) * seconds
