"""What one channel measured between two moments, and the points of its curve that a window lies between."""

import math

from energymeter.lazy import NamedTuple

COVERED = 0.995
"""The share of a window that must have been measured for its energy to stand for the whole window."""

# A window often begins where the load steps. A step by h at a share f of an interval dt is misplaced by
# h dt f²/2 where a straight line joins the samples, and by h dt f (1 - f) where a mean, which itself has
# moved by only h f, is level. Root mean squares over f, in units of the difference that the samples show:
STEP_IN_LINE = math.sqrt(1 / 20)
STEP_IN_MEAN = math.sqrt(1 / 10)
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
    def between(cls, start: Point, end: Point, seconds: float, peak_watts: float) -> "Window":
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
