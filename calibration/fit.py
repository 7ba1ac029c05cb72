"""Fitting a meter against a reference, with a reason for everything that is refused or doubted."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from energymeter.calibration.line import Floats, with_tempco, york
from energymeter.calibration.model import Line, Model
from energymeter.calibration.points import UNITS, Point, Reference
from energymeter.errors import CalibrationError
from energymeter.reading import Band, Facts

GAINS = (0.9, 1.1)
"""A meter further off is not out of calibration but wired or set up wrongly."""
_FAR = 5.0
"""Residuals of so many standard deviations are not scatter."""
_SHUNTS = (1000.0, 100.0, 10.0, 5.0, 2.0, 0.5, 0.2, 0.1, 0.01, 0.001)
_SURE = 3.0
_SAME_LOAD = 0.01
_NEAR_ZERO = 0.2
_HELD_OFF = 5e-3
_RECTANGLE = 1 / math.sqrt(3)
_STEP = 1 / math.sqrt(12)


class Fit(NamedTuple):
    """A line and what speaks against it."""

    line: Line
    points: tuple[Point, ...]
    residuals: tuple[float, ...]
    """Reference minus line, for each point."""
    left_out: tuple[float, ...]
    """The same, from the line through all other points: what a new point would be off by. NaN where
    too few are left."""
    warnings: tuple[str, ...]

    def errors(self) -> list[tuple[float, float, float]]:
        """(reference, error before, error after) of each point, in the channel's unit."""
        return [
            (point.reference, point.shown - point.reference, -residual)
            for point, residual in zip(self.points, self.residuals, strict=True)
        ]


def fit(points: Sequence[Point], meter: Band, reference: Band) -> Fit:
    """The line of one channel in one range.

    One point at zero load gives the offset and leaves the gain as the data sheet promises it; two or more
    give both; three or more at two temperatures also the gain's drift.

    Args:
        points: all of one channel and range.
        meter: how wrong the meter may be by its data sheet; its resolution is each point's own error.
        reference: how wrong the reference may be. Its gain and offset are common to all points and do not
            average down; its resolution is each point's own.

    Raises:
        CalibrationError: the points cannot be a calibration, with the reason.
    """
    if not points:
        raise CalibrationError("there are no points to fit; take at least one at zero load.")
    _check_windows(points)
    if all(point.reference == 0 for point in points):
        return _zero(points, meter)
    points = tuple(points)
    shown = np.array([point.shown for point in points])
    true = np.array([point.reference for point in points])
    u_shown = np.hypot([point.shown_u for point in points], _own_step(points, meter))
    u_true = np.hypot([point.reference_u for point in points], reference.resolution * _STEP)
    u_true = np.where(u_true > 0, u_true, np.maximum(1e-9, 1e-6 * np.abs(true).max()))
    _check_spread(points, shown, u_shown)
    _check_reference(points, shown, true)
    found = york(shown, true, u_shown, u_true)
    u = np.hypot(u_true, found.slope * u_shown)
    rests = true - found.at(shown)
    _check_residuals(points, shown, true, rests, u, u_shown, u_true, meter)
    _check_gain(found.slope, points[0].channel)
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
        tuple(_doubts(points, shown, true, rests, u)),
    )


def fit_all(points: Sequence[Point], meter: Facts, reference: Reference) -> dict[tuple[str, str], Fit]:
    """Every channel's line, and one for each range of the current that has points enough of its own.

    Ranges with fewer share a line through all points, whose scatter then holds what the ranges differ by.

    Args:
        meter: how wrong the meter may be.

    Returns:
        By channel and range; the range "" is the shared line.

    Raises:
        CalibrationError: some of the points cannot be a calibration, with the reason.
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
    """What a card keeps of the fits."""
    lines = {key: found.line for key, found in fits.items()}
    return Model(
        volts=lines.get(("volts", "")),
        amps={name: line for (channel, name), line in lines.items() if channel == "amps"},
        watts=lines.get(("watts", "")),
    )


def _spread(points: Sequence[Point]) -> bool:
    """Whether they can tell gain from offset."""
    shown = [point.shown for point in points]
    return max(shown) - min(shown) > _NEAR_ZERO * max(map(abs, shown))


def _own_step(points: Sequence[Point], meter: Band) -> float:
    """Of the resolution, where a point does not say its own scatter."""
    return 0.0 if any(point.shown_u for point in points) else meter.resolution * _STEP


def _zero(points: Sequence[Point], meter: Band) -> Fit:
    """Offset only, from points at no load."""
    shown = np.array([point.shown for point in points])
    u = np.hypot([point.shown_u for point in points], meter.resolution * _STEP)
    offset = -float(shown.mean())
    variance = float((u**2).sum()) / len(points) ** 2
    limit = _FAR * math.sqrt(variance) + 3 * (meter.offset + meter.resolution)
    if (meter.offset or meter.resolution) and abs(offset) > limit:
        raise CalibrationError(
            f"at zero load the meter shows {-offset:.4g} {_unit(points)}, far beyond the "
            f"±{meter.offset:.2g} its "
            "data sheet allows: the load is not off, or something else hangs on the meter; disconnect it."
        )
    line = Line(1.0, offset, (((meter.gain * _RECTANGLE) ** 2, 0.0), (0.0, variance)), 0.0, 0.0)
    rests = tuple(float(-x - offset) for x in shown)
    doubt = "the zero was taken, the gain was not: it is as uncertain as the data sheet says"
    return Fit(line, tuple(points), rests, (math.nan,) * len(points), (doubt,))


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
    """Of each point above the mean; zeros where one does not say."""
    known = [point.celsius for point in points if point.celsius is not None]
    if len(known) < len(points):
        return np.zeros(len(points))
    return np.asarray(known, dtype=np.float64) - float(np.mean(known))


def _with_reference(line: Line, worse: float, reference: Band) -> tuple[tuple[float, ...], ...]:
    """The fit's covariance, scaled by how badly it fits, plus what all points have in common."""
    covariance = np.array(line.covariance) * worse
    common = np.zeros(len(covariance))
    common[:2] = line.gain, line.offset
    covariance += np.outer(common, common) * (reference.gain * _RECTANGLE) ** 2
    covariance[1, 1] += (reference.offset * _RECTANGLE) ** 2
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


# -- what is refused -------------------------------------------------------------------------------


def _check_windows(points: Sequence[Point]) -> None:
    for point in points:
        mine, its = point.seconds, point.reference_seconds
        if mine is not None and its is not None and abs(mine - its) > 0.1 * max(mine, its):
            raise CalibrationError(
                f"not simultaneous: at {point.shown:.4g} {_unit(points)} the meter's mean is over "
                f"{mine:.4g} s and "
                f"the reference's over {its:.4g} s; read both at once, over the same time."
            )


def _check_spread(points: Sequence[Point], shown: Floats, u_shown: Floats) -> None:
    spread = float(np.ptp(shown))
    if len(points) < 2 or spread <= max(10 * float(u_shown.max()), 1e-3 * float(np.abs(shown).max())):
        raise CalibrationError(
            f"the points span {spread:.3g} {_unit(points)}, too little to tell gain from offset; take one "
            "near "
            "zero and one at 60 to 90 % of the largest load."
        )


def _check_reference(points: Sequence[Point], shown: Floats, true: Floats) -> None:
    if np.ptp(true) == 0:
        raise CalibrationError(
            f"the reference says {true[0]:.4g} {_unit(points)} at every load: it is not connected to the "
            "same load, "
            "or was not read at the time."
        )


def _check_gain(gain: float, channel: str) -> None:
    if GAINS[0] <= gain <= GAINS[1]:
        return
    guess = next((ratio for ratio in _SHUNTS if abs(gain / ratio - 1) < 0.1), None)
    shunt = (
        f"; it is near {guess:g}, so the shunt's value is probably given wrong by that factor"
        if channel == "amps" and guess is not None
        else "; look for a wrong shunt value, a wrong unit, or readings that are not simultaneous"
    )
    raise CalibrationError(
        f"the reference is {gain:.3g} times what the meter shows, outside {GAINS[0]} to {GAINS[1]}{shunt}."
    )


def _check_residuals(
    points: Sequence[Point],
    shown: Floats,
    true: Floats,
    rests: Floats,
    u: Floats,
    u_shown: Floats,
    u_true: Floats,
    meter: Band,
) -> None:
    """Far off the line is either another time or another load."""
    limit = np.maximum(_FAR * u, np.maximum(10 * meter.resolution, _HELD_OFF * float(np.abs(true).max())))
    worst = int(np.argmax(np.abs(rests) / limit))
    if len(points) < 3 or abs(rests[worst]) <= limit[worst]:
        return
    raise CalibrationError(
        f"not simultaneous: at {shown[worst]:.4g} {_unit(points)} the reference is {rests[worst]:+.3g} "
        "off the line "
        f"through all points, {100 * abs(rests[worst]) / np.abs(true).max():.2g} % of the largest"
        f"{_other_row(shown, true, rests, u_shown, u_true)}; hold each load until both readings stand "
        "still, and "
        "take both over the same time."
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
            return f", and its readings fit those of the point {name} {scatter / shifted:.0f} times better"
    return ""


# -- what is doubted -------------------------------------------------------------------------------


def _doubts(points: Sequence[Point], shown: Floats, true: Floats, rests: Floats, u: Floats) -> list[str]:
    unit = _unit(points)
    found = []
    if len(points) < 5:
        found.append(f"{len(points)} points cannot show curvature; five over a decade of loads would")
    elif (bend := _curvature(shown, true, u)) is not None:
        found.append(f"the points curve away from a straight line by up to {bend:.2g} {unit}")
    if float(np.abs(shown).min()) > _NEAR_ZERO * float(np.abs(shown).max()):
        found.append("no point is near zero load: small loads rest on the line's extension")
    if (gap := _hysteresis(shown, rests, u)) is not None:
        found.append(
            f"the same load read {gap:.2g} {unit} apart on the way up and down: the shunt warms up; wait "
            "longer"
        )
    return found


def _curvature(shown: Floats, true: Floats, u: Floats) -> float | None:
    """The sagitta of a parabola through the points, where it is surely not zero."""
    scale = float(np.ptp(shown))
    (bend, *_), covariance = np.polyfit((shown - shown.mean()) / scale, true, 2, w=1 / u, cov="unscaled")
    sure = abs(bend) > _SURE * math.sqrt(covariance[0, 0])
    return abs(float(bend)) / 4 if sure else None


def _hysteresis(shown: Floats, rests: Floats, u: Floats) -> float | None:
    """How far apart a load is that was taken twice, going up and going down."""
    widest = None
    for i in range(len(shown)):
        for j in range(i + 2, len(shown)):
            close = abs(shown[i] - shown[j]) <= _SAME_LOAD * float(np.abs(shown).max())
            apart = abs(float(rests[i] - rests[j]))
            if close and apart > _SURE * math.hypot(u[i], u[j]) and apart > (widest or 0.0):
                widest = apart
    return widest


def _unit(points: Sequence[Point]) -> str:
    return UNITS[points[0].channel]
