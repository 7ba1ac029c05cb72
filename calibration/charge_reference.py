"""Gain from a counter: charge over a long window, and the meter's own clock."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from energymeter.calibration.line_fit import Floats, york
from energymeter.calibration.point_checks import GAINS
from energymeter.energy.correction import Line
from energymeter.errors import CalibrationError
from energymeter.reading import Band
from energymeter.text import percent
from energymeter.units import RECTANGLE, STEP

_WANTED = 0.01


class Ticks(NamedTuple):
    """The first and the last moment at which a counter changed."""

    first_s: float
    last_s: float
    counted: float
    """The count between them: whole steps, exactly."""
    late_s: float
    """Standard deviation of each of the two moments."""


def ticks(times_s: Sequence[float], counts: Sequence[float]) -> Ticks:
    """Where a counter changes: half-way between two readings, so that its steps cause no error.

    Args:
        times_s: times of the readings, increasing.
        counts: the readings, never falling.

    Raises:
        CalibrationError: it changed less than twice.
    """
    moved = [i for i in range(1, len(counts)) if counts[i] > counts[i - 1]]
    if len(moved) < 2:
        raise CalibrationError(
            f"the counter changed {len(moved)} times in {times_s[-1] - times_s[0]:.0f} s; wait for at "
            "least two changes, and for a hundred to get a good gain"
        )
    first, last = moved[0], moved[-1]
    late = max(times_s[first] - times_s[first - 1], times_s[last] - times_s[last - 1]) * STEP
    return Ticks(
        (times_s[first] + times_s[first - 1]) / 2,
        (times_s[last] + times_s[last - 1]) / 2,
        counts[last] - counts[first],
        late,
    )


def fit_charge(
    times_s: Sequence[float] | Floats,
    coulombs: Sequence[float] | Floats,
    counter: Ticks,
    reference: Band,
    zero: Line | None = None,
) -> Line:
    """The gain of the current from the charge that a counter measured meanwhile.

    Args:
        times_s, coulombs: the meter's running charge, on the same clock as the counter's ticks.
        counter: of the reference, in C.
        reference: the accuracy of its charge; only the gain counts, its steps are in ``counter``.
        zero: the meter's offset, from points at no load; None: an offset of exactly 0.

    Raises:
        CalibrationError: too short, or an impossible gain.
    """
    begun, ended = np.interp([counter.first_s, counter.last_s], times_s, coulombs)
    shown, seconds = float(ended - begun), counter.last_s - counter.first_s
    offset = zero.offset if zero else 0.0
    offset_variance = zero.covariance[1][1] if zero else 0.0
    if not shown > 0:
        raise CalibrationError(
            "the meter measured no charge while the counter did; connect both to the same load"
        )
    gain = (counter.counted - offset * seconds) / shown
    if not GAINS[0] <= gain <= GAINS[1]:
        raise CalibrationError(
            f"the counter measured {gain:.3g} times the meter's charge, outside {GAINS[0]} to {GAINS[1]}: "
            "check the shunt value, and that the counter is in the same wire"
        )
    amps = shown / seconds
    edges = math.sqrt(2) * counter.late_s / seconds
    if edges > _WANTED:
        raise CalibrationError(
            f"{seconds:.0f} s are too short: the counter's steps alone cause ±{percent(edges, 1)}; "
            "measure longer, or read the counter more often"
        )
    variance = gain**2 * (edges**2 + (reference.gain * RECTANGLE) ** 2) + offset_variance / amps**2
    mixed = -offset_variance / amps
    return Line(gain, offset, ((variance, mixed), (mixed, offset_variance)), 0.0, amps)


class ClockGain(NamedTuple):
    """True seconds per second of a meter's clock."""

    gain: float
    uncertainty: float
    """One standard deviation."""


def fit_clock(device_s: Sequence[float], host_s: Sequence[float]) -> ClockGain:
    """The rate of a meter's clock, from the same moments on two clocks.

    Args:
        device_s: seconds on the meter's clock, such as its energy counter over its own power.
        host_s: the same moments on this computer; their scatter gives the uncertainty.

    Raises:
        CalibrationError: fewer than three moments, or an implausible clock.
    """
    if len(device_s) < 3 or not np.ptp(device_s) > 0:
        raise CalibrationError("a clock needs three moments or more, well apart; record for longer")
    found = york(device_s, host_s, np.zeros(len(device_s)), np.ones(len(device_s)))
    if abs(found.slope - 1) > 0.05:
        raise CalibrationError(
            f"the meter's second is {found.slope:.3g} s here, too far off for an oscillator; check the unit "
            "of its time stamps"
        )
    scatter = math.sqrt(found.chi_squared / (len(device_s) - 2))
    return ClockGain(found.slope, scatter * math.sqrt(float(found.covariance[0, 0])))
