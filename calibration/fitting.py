"""Fitting a meter against a reference, with a reason for every error and warning."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from energymeter.calibration.line_fit import Floats, with_tempco, york
from energymeter.calibration.point_checks import (
    FAR,
    NEAR_ZERO,
    check_gain,
    check_reference,
    check_residuals,
    check_spread,
    check_windows,
    too_close,
    unit_of,
    warnings_of,
)
from energymeter.calibration.points import Point, Reference
from energymeter.energy.correction import Line, Model
from energymeter.errors import CalibrationError
from energymeter.reading import Band, Facts
from energymeter.units import RECTANGLE, STEP


class Fit(NamedTuple):
    """A line with its points, residuals and warnings."""

    line: Line
    points: tuple[Point, ...]
    residuals: tuple[float, ...]
    """Reference minus line, for each point."""
    left_out: tuple[float, ...]
    """The same, from the line through all other points: the error of a new point. NaN where too few points
    are left."""
    warnings: tuple[str, ...]

    def errors(self) -> list[tuple[float, float, float]]:
        """(reference, error before, error after) of each point, in the channel's unit."""
        return [
            (point.reference, point.shown - point.reference, -residual)
            for point, residual in zip(self.points, self.residuals, strict=True)
        ]


def fit(points: Sequence[Point], meter: Band, reference: Band) -> Fit:
    """The line of one channel in one range.

    Points at zero load give the offset, and the gain stays that of the data sheet. A voltage that is the same
    at every load gives the gain, and the offset stays. Two points or more give both; four or more at two
    temperatures also give the temperature coefficient of the gain.

    Args:
        points: all of one channel and range.
        meter: the accuracy of the meter by its data sheet; its resolution is an error of each point.
        reference: the accuracy of the reference. Its gain and offset are common to all points and do not
            average down; its resolution is an error of each point.

    Raises:
        CalibrationError: the points make no calibration, with the reason.
    """
    if not points:
        raise CalibrationError("there are no points to fit; take at least one at zero load")
    check_windows(points)
    if all(point.reference == 0 for point in points):
        return _zero(points, meter)
    points = tuple(points)
    shown = np.array([point.shown for point in points])
    true = np.array([point.reference for point in points])
    u_shown = np.hypot([point.shown_u for point in points], _own_step(points, meter))
    u_true = np.hypot([point.reference_u for point in points], reference.resolution * STEP)
    u_true = np.where(u_true > 0, u_true, np.maximum(1e-9, 1e-6 * np.abs(true).max()))
    if points[0].channel == "volts" and too_close(shown, u_shown):
        return _level(points, shown, true, u_shown, u_true, meter, reference)
    check_spread(points, shown, u_shown)
    check_reference(points, true)
    found = york(shown, true, u_shown, u_true)
    u = np.hypot(u_true, found.slope * u_shown)
    rests = true - found.at(shown)
    check_residuals(points, shown, true, rests, u, u_shown, u_true, meter)
    check_gain(found.slope, points[0].channel)
    line = _line(points, shown, true, u, found.slope, found.offset, found.covariance)
    kelvin = _kelvin(points)
    rests = true - np.array([line.at(x, k) for x, k in zip(shown, kelvin, strict=True)])
    freedom = len(points) - len(line.covariance)
    worse = max(1.0, float(((rests / u) ** 2).sum()) / freedom) if freedom > 0 else 1.0
    return Fit(
        line._replace(covariance=_with_reference(line, worse, reference)),
        points,
        tuple(map(float, rests)),
        _left_out(shown, true, u_shown, u_true),
        tuple(warnings_of(points, shown, true, rests, u)),
    )


def fit_all(points: Sequence[Point], meter: Facts, reference: Reference) -> dict[tuple[str, str], Fit]:
    """The line of every channel, and of each range of the current that has enough points.

    The other ranges share a line through all points; its scatter contains the differences between them.

    Args:
        meter: the accuracy of the meter.

    Returns:
        By channel and range; the range "" is the shared line.

    Raises:
        CalibrationError: some of the points make no calibration, with the reason.
    """
    found = {}
    for channel in dict.fromkeys(point.channel for point in points):
        band, its = getattr(meter, channel) or Band(), reference.band(channel)
        mine = [point for point in points if point.channel == channel]
        groups = [[p for p in mine if p.range == name] for name in dict.fromkeys(p.range for p in mine)]
        apart = [group for group in groups if group[0].range and len(groups) > 1 and _spread(group)]
        for group in apart:
            found[channel, group[0].range] = fit(group, band, its)
        if len(apart) < len(groups):
            found[channel, ""] = fit(mine, band, its)
    return found


def model_of(fits: Mapping[tuple[str, str], Fit]) -> Model:
    """The model of a card, from the fits."""
    lines = {key: found.line for key, found in fits.items()}
    return Model(
        volts=lines.get(("volts", "")),
        amps={name: line for (channel, name), line in lines.items() if channel == "amps"},
        watts=lines.get(("watts", "")),
    )


def _spread(points: Sequence[Point]) -> bool:
    """Whether they can separate gain from offset."""
    shown = [point.shown for point in points]
    return max(shown) - min(shown) > NEAR_ZERO * max(map(abs, shown))


def _own_step(points: Sequence[Point], meter: Band) -> float:
    """The standard deviation of one step, if the points have no scatter of their own."""
    return 0.0 if any(point.shown_u for point in points) else meter.resolution * STEP


def _zero(points: Sequence[Point], meter: Band) -> Fit:
    """Offset only, from points at no load."""
    shown = np.array([point.shown for point in points])
    u = np.hypot([point.shown_u for point in points], meter.resolution * STEP)
    offset = -float(shown.mean())
    variance = float((u**2).sum()) / len(points) ** 2
    limit = FAR * math.sqrt(variance) + 3 * (meter.offset + meter.resolution)
    if (meter.offset or meter.resolution) and abs(offset) > limit:
        raise CalibrationError(
            f"at zero load the meter shows {-offset:.4g} {unit_of(points)}, far beyond the "
            f"±{meter.offset:.2g} of its data sheet: disconnect the load and everything else from the meter"
        )
    line = Line(1.0, offset, (((meter.gain * RECTANGLE) ** 2, 0.0), (0.0, variance)), 0.0, 0.0)
    rests = tuple(float(-x - offset) for x in shown)
    warning = "only the zero was taken: the gain is as uncertain as the data sheet says"
    return Fit(line, tuple(points), rests, (math.nan,) * len(points), (warning,))


def _level(
    points: tuple[Point, ...],
    shown: Floats,
    true: Floats,
    u_shown: Floats,
    u_true: Floats,
    meter: Band,
    reference: Band,
) -> Fit:
    """Gain only, from a supply voltage that hardly changes; the offset stays that of the data sheet."""
    weights = 1 / (u_shown**2 + u_true**2)
    level = float(np.average(shown, weights=weights))
    gain = float(np.average(true, weights=weights)) / level
    check_gain(gain, points[0].channel)
    rests = true - gain * shown
    check_residuals(points, shown, true, rests, np.hypot(u_true, u_shown), u_shown, u_true, meter)
    worse = max(1.0, float((rests**2 * weights).sum()) / max(1, len(points) - 1))
    offset = (meter.offset * RECTANGLE) ** 2
    variance = (worse / float(weights.sum()) + offset) / level**2
    covariance = ((variance, -offset / level), (-offset / level, offset))
    line = Line(gain, 0.0, covariance, float(shown.min()), float(shown.max()))
    warning = f"the voltage was {level:.4g} V at every load: elsewhere it is no better than the data sheet"
    return Fit(
        line._replace(covariance=_with_reference(line, 1.0, reference)),
        points,
        tuple(map(float, rests)),
        (math.nan,) * len(points),
        (warning,),
    )


def _line(
    points: Sequence[Point], shown: Floats, true: Floats, u: Floats, gain: float, offset: float, known: Floats
) -> Line:
    low, high = float(shown.min()), float(shown.max())
    kelvin = _kelvin(points)
    if len(points) < 4 or np.ptp(kelvin) < 5:
        return Line(gain, offset, tuple(map(tuple, known.tolist())), low, high)
    (gain, offset, drift), covariance = with_tempco(shown, true, kelvin, u)
    return Line(float(gain), float(offset), tuple(map(tuple, covariance.tolist())), low, high, float(drift))


def _kelvin(points: Sequence[Point]) -> Floats:
    """The temperature of each point minus the mean; zeros if one is unknown."""
    known = [point.celsius for point in points if point.celsius is not None]
    if len(known) < len(points):
        return np.zeros(len(points))
    return np.asarray(known, dtype=np.float64) - float(np.mean(known))


def _with_reference(line: Line, worse: float, reference: Band) -> tuple[tuple[float, ...], ...]:
    """The covariance of the fit, scaled by its chi squared, plus the errors that all points share."""
    covariance = np.array(line.covariance) * worse
    common = np.zeros(len(covariance))
    common[:2] = line.gain, line.offset
    covariance += np.outer(common, common) * (reference.gain * RECTANGLE) ** 2
    covariance[1, 1] += (reference.offset * RECTANGLE) ** 2
    return tuple(map(tuple, covariance.tolist()))


def _left_out(shown: Floats, true: Floats, u_shown: Floats, u_true: Floats) -> tuple[float, ...]:
    rests = []
    for i in range(len(shown)):
        others = np.arange(len(shown)) != i
        if others.sum() < 2 or np.ptp(shown[others]) <= 0:
            rests.append(math.nan)
            continue
        line = york(shown[others], true[others], u_shown[others], u_true[others])
        rests.append(float(true[i] - line.at(shown[i])))
    return tuple(rests)
