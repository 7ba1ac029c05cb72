"""Checks of points and of the line through them: errors and warnings, each with its reason."""

import math
from collections.abc import Sequence

import numpy as np

from energymeter.calibration.line_fit import Floats, york
from energymeter.calibration.points import UNITS, Point, Reference
from energymeter.errors import CalibrationError
from energymeter.reading import Band

GAINS = (0.9, 1.1)
"""Outside of these, a meter is wired or set up wrongly."""
FAR = 5.0
"""A residual of more standard deviations is not scatter."""
_SHUNTS = (1000.0, 100.0, 10.0, 5.0, 2.0, 0.5, 0.2, 0.1, 0.01, 0.001)
_SURE = 3.0
_SAME_LOAD = 0.01
NEAR_ZERO = 0.2
_HELD_OFF = 5e-3


def usable_points(points: Sequence[Point], reference: Reference) -> tuple[list[Point], list[str]]:
    """The points of the quantities whose reference has a known accuracy, and warnings about the others.

    No load is exactly 0 and needs no reference.

    Raises:
        CalibrationError: there are none.
    """
    kept: list[Point] = []
    warnings: list[str] = []
    for channel in dict.fromkeys(point.channel for point in points):
        its = [point for point in points if point.channel == channel]
        if any(reference.band(channel)) or all(point.reference == 0 for point in its):
            kept += its
        else:
            warnings.append(f"{channel} are left as they are: give the reference's --{channel}-accuracy")
    if points and not kept:
        raise CalibrationError(
            "the accuracy of the reference is unknown; give it as its data sheet does, with "
            "--amps-accuracy 1.5%+3*0.001 and --volts-accuracy, or take a point without load only"
        )
    return kept, warnings


def check_windows(points: Sequence[Point]) -> None:
    """Refuse means over different times."""
    for point in points:
        mine, its = point.seconds, point.reference_seconds
        if mine is not None and its is not None and abs(mine - its) > 0.1 * max(mine, its):
            raise CalibrationError(
                f"not simultaneous: at {point.shown:.4g} {unit_of(points)} the meter's mean is over "
                f"{mine:.4g} s and the reference's over {its:.4g} s; read both over the same time"
            )


def too_close(shown: Floats, u_shown: Floats) -> bool:
    """Whether points differ by too little to separate gain from offset."""
    least = max(10 * float(u_shown.max()), 1e-3 * float(np.abs(shown).max()))
    return len(shown) < 2 or float(np.ptp(shown)) <= least


def check_spread(points: Sequence[Point], shown: Floats, u_shown: Floats) -> None:
    """Refuse points that are too close together to separate gain from offset."""
    if too_close(shown, u_shown):
        raise CalibrationError(
            f"the points span {float(np.ptp(shown)):.3g} {unit_of(points)}, too little to separate gain "
            "from offset; take one near zero and one at 60 to 90 % of the largest load"
        )


def check_reference(points: Sequence[Point], true: Floats) -> None:
    """Refuse a reference that never changes."""
    if np.ptp(true) == 0:
        raise CalibrationError(
            f"the reference shows {true[0]:.4g} {unit_of(points)} at every load: connect it to the same "
            "load, and read it for each one"
        )


def check_gain(gain: float, channel: str) -> None:
    """Refuse a slope that no meter can have."""
    if GAINS[0] <= gain <= GAINS[1]:
        return
    guess = next((ratio for ratio in _SHUNTS if abs(gain / ratio - 1) < 0.1), None)
    shunt = (
        f"; it is near {guess:g}, so the shunt value is probably wrong by that factor: correct it"
        if channel == "amps" and guess is not None
        else "; check the shunt value and the unit, and read both at the same time"
    )
    raise CalibrationError(
        f"the reference is {gain:.3g} times what the meter shows, outside {GAINS[0]} to {GAINS[1]}{shunt}"
    )


def check_residuals(
    points: Sequence[Point],
    shown: Floats,
    true: Floats,
    rests: Floats,
    u: Floats,
    u_shown: Floats,
    u_true: Floats,
    meter: Band,
) -> None:
    """Refuse a point far off the line: it was taken at another time, or at another load."""
    limit = np.maximum(FAR * u, np.maximum(10 * meter.resolution, _HELD_OFF * float(np.abs(true).max())))
    worst = int(np.argmax(np.abs(rests) / limit))
    if len(points) < 3 or abs(rests[worst]) <= limit[worst]:
        return
    raise CalibrationError(
        f"not simultaneous: at {shown[worst]:.4g} {unit_of(points)} the reference is {rests[worst]:+.3g} "
        "off the line "
        f"through all points, {100 * abs(rests[worst]) / np.abs(true).max():.2g} % of the largest"
        f"{_other_row(shown, true, rests, u_shown, u_true)}; keep each load until both readings are "
        "steady, and take both over the same time"
    )


def _other_row(shown: Floats, true: Floats, rests: Floats, u_shown: Floats, u_true: Floats) -> str:
    """Whether the reference's column fits much better one row earlier or later."""
    scatter = float(np.sqrt(np.mean(rests**2)))
    for name, mine, its in (("before", shown[1:], true[:-1]), ("after", shown[:-1], true[1:])):
        if len(mine) < 4 or np.ptp(mine) <= 0:
            continue
        line = york(mine, its, u_shown[: len(mine)], u_true[: len(mine)])
        shifted = float(np.sqrt(np.mean((its - line.at(mine)) ** 2)))
        if shifted < scatter / 3:
            times = scatter / max(shifted, scatter / 1000)  # a perfect fit is infinitely better
            return f", and its readings fit those of the point {name} {times:.0f} times better"
    return ""


def warnings_of(points: Sequence[Point], shown: Floats, true: Floats, rests: Floats, u: Floats) -> list[str]:
    """Warnings about the line."""
    unit = unit_of(points)
    found = []
    if len(points) < 5:
        found.append(f"{len(points)} points cannot show curvature; five over a decade of loads would")
    elif (bend := _curvature(shown, true, u)) is not None:
        found.append(f"the points curve away from a straight line by up to {bend:.2g} {unit}")
    if float(np.abs(shown).min()) > NEAR_ZERO * float(np.abs(shown).max()):
        found.append("no point is near zero load: small loads are extrapolated")
    if (gap := _hysteresis(shown, rests, u)) is not None:
        found.append(
            f"the same load differs by {gap:.2g} {unit} on the way up and down: the shunt warms up, so wait "
            "longer"
        )
    return found


def _curvature(shown: Floats, true: Floats, u: Floats) -> float | None:
    """The sagitta of a parabola through the points, if it is significantly not zero."""
    scale = float(np.ptp(shown))
    (bend, *_), covariance = np.polyfit((shown - shown.mean()) / scale, true, 2, w=1 / u, cov="unscaled")
    sure = abs(bend) > _SURE * math.sqrt(covariance[0, 0])
    return abs(float(bend)) / 4 if sure else None


def _hysteresis(shown: Floats, rests: Floats, u: Floats) -> float | None:
    """The largest difference of a load that was taken twice, on the way up and down."""
    widest = None
    for i in range(len(shown)):
        for j in range(i + 2, len(shown)):
            close = abs(shown[i] - shown[j]) <= _SAME_LOAD * float(np.abs(shown).max())
            apart = abs(float(rests[i] - rests[j]))
            if close and apart > _SURE * math.hypot(u[i], u[j]) and apart > (widest or 0.0):
                widest = apart
    return widest


def unit_of(points: Sequence[Point]) -> str:
    """The unit of their channel."""
    return UNITS[points[0].channel]
