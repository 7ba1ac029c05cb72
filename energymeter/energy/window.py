"""What one channel drew in one window, and the points of its curve that the window lies between."""

import math
from typing import NamedTuple

# A window often begins where the load steps. A step by h at a share f of an interval dt is drawn wrong there
# by h dt f²/2 where a straight line joins the samples, and by h dt f (1 - f) where a mean, which itself has
# moved by only h f, is level. Root mean squares over f, in units of the difference that the samples show:
STEP_IN_LINE = math.sqrt(1 / 20)
STEP_IN_MEAN = math.sqrt(1 / 10)


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


class Window(NamedTuple):
    """What one channel drew in one window; NaN where the source cannot tell."""

    seconds: float
    joules: float
    coulombs: float
    volt_seconds: float
    covered_seconds: float
    gap_fill_joules: float
    variance_joules2: float
    """Variance of ``joules`` from noise and from what happened between samples."""
    edge_joules: float
    """Of what the window's two edges may misplace, one standard deviation."""
    peak_watts: float


NOTHING = Window(math.nan, math.nan, math.nan, math.nan, 0.0, 0.0, 0.0, 0.0, math.nan)
"""Of a channel that has not said anything yet."""


def finite(number: float) -> float | None:
    """A figure of a draw, or ``None`` where the source cannot tell."""
    return number if math.isfinite(number) else None


def difference(start: Point, end: Point, seconds: float, peak_watts: float) -> Window:
    """What lies between two points of a curve.

    A total that is unknown at the start and known at the end began in between, at 0.
    """
    return Window(
        seconds=seconds,
        joules=end.joules - _or_zero(start.joules),
        coulombs=end.coulombs - _or_zero(start.coulombs),
        volt_seconds=end.volt_seconds - _or_zero(start.volt_seconds),
        covered_seconds=end.covered_seconds - start.covered_seconds,
        gap_fill_joules=end.gap_fill_joules - start.gap_fill_joules,
        variance_joules2=end.variance_joules2 - start.variance_joules2,
        edge_joules=start.edge_joules + end.edge_joules,
        peak_watts=peak_watts,
    )


def _or_zero(total: float) -> float:
    return 0.0 if math.isnan(total) else total
