"""Straight lines through points with errors in both axes, with the covariance of slope and offset.

York's unified equations (York, Evensen, López, Delgado, Am. J. Phys. 72 (2004) 367) without correlations
within a point: with exact shown values they are weighted least squares, with equal errors in
both axes they are Deming's line. The packages that do the same (scipy.odr, now deprecated, and odrpack) have
no wheels, or heavy ones, for a Raspberry Pi.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_ROUNDS = 100
_CLOSE = 1e-14


class Fitted(NamedTuple):
    """A line with its covariance."""

    slope: float
    offset: float
    covariance: Floats
    """That of slope and offset, shape (2, 2), from the given errors; not scaled by chi squared."""
    chi_squared: float
    """Sum of squared residuals in units of their errors; about n - 2 if these are right."""

    def at(self, x: npt.ArrayLike) -> Floats:
        """The line's values, same shape as ``x``."""
        return self.slope * np.asarray(x, dtype=np.float64) + self.offset


def york(x: npt.ArrayLike, y: npt.ArrayLike, u_x: npt.ArrayLike, u_y: npt.ArrayLike) -> Fitted:
    """The most likely line.

    Args:
        x, y: shape (n,), n ≥ 2.
        u_x: standard deviations of ``x``; zeros make it ordinary weighted least squares.
        u_y: standard deviations of ``y``, positive.
    """
    x, y, u_x, u_y = (np.asarray(column, dtype=np.float64) for column in (x, y, u_x, u_y))
    slope = float(np.polyfit(x, y, 1, w=1 / u_y)[0]) if len(x) > 2 else float((y[-1] - y[0]) / (x[-1] - x[0]))
    for _ in range(_ROUNDS):
        before = slope
        weights = 1 / (u_y**2 + (slope * u_x) ** 2)
        x_mean, y_mean = np.average(x, weights=weights), np.average(y, weights=weights)
        dx, dy = x - x_mean, y - y_mean
        likely = weights * (dx * u_y**2 + slope * dy * u_x**2)  # of each point's x, from the mean
        slope = float((weights * likely * dy).sum() / (weights * likely * dx).sum())
        if abs(slope - before) <= _CLOSE * abs(slope):
            break
    offset = float(y_mean - slope * x_mean)
    centre = x_mean + np.average(likely, weights=weights)
    variance = 1 / float((weights * (x_mean + likely - centre) ** 2).sum())
    covariance = np.array(
        [[variance, -centre * variance], [-centre * variance, 1 / weights.sum() + centre**2 * variance]]
    )
    return Fitted(slope, offset, covariance, float((weights * (y - slope * x - offset) ** 2).sum()))


def with_tempco(x: Any, y: Any, kelvin: Any, u: Any) -> tuple[Floats, Floats]:
    """``y = gain * (1 + alpha * kelvin) * x + offset`` by weighted least squares.

    Args:
        x, y, kelvin: shape (n,), n ≥ 3, at two temperatures or more.
        u: standard deviations of ``y``, those of ``x`` included.

    Returns:
        (gain, offset, alpha) and their covariance, shape (3, 3).
    """
    x, y, kelvin, u = (np.asarray(column, dtype=np.float64) for column in (x, y, kelvin, u))
    design = np.column_stack([x, np.ones_like(x), x * kelvin]) / u[:, None]
    found, *_ = np.linalg.lstsq(design, y / u, rcond=None)
    gain, offset, product = found
    covariance = np.linalg.inv(design.T @ design)
    # from gain*alpha to alpha
    turn = np.array([[1.0, 0, 0], [0, 1.0, 0], [-product / gain**2, 0, 1 / gain]])
    return np.array([gain, offset, product / gain]), turn @ covariance @ turn.T
