"""The offset between the clocks of two recordings of the same load, from the steps of the load."""

import math
from typing import NamedTuple

import numpy as np

from energymeter.calibration.line_fit import Floats, york
from energymeter.errors import CalibrationError
from energymeter.units import STEP

_MOST_CELLS = 1 << 20
_LIKENESS = 0.5
_STEP_SHARE = 0.3
_NEAR_CELLS = 20


class Alignment(NamedTuple):
    """``time on b = offset_s + (1 + drift) * time on a``; both count from their first sample."""

    offset_s: float
    offset_uncertainty: float
    """One standard deviation, at the middle of the steps."""
    drift: float | None
    """Relative; None if there was only one step."""
    drift_uncertainty: float | None
    steps: int
    likeness: float
    """Correlation of the two loads' changes, 1 at best."""

    def __str__(self) -> str:
        drift = (
            "drift unknown: one step only"
            if self.drift is None or self.drift_uncertainty is None
            else f"drift {self.drift * 1e6:+.0f} ppm ± {2e6 * self.drift_uncertainty:.0f}"
        )
        return (
            f"b is {self.offset_s:+.4f} s ± {2 * self.offset_uncertainty:.4f} against a, {drift} "
            f"({self.steps} load steps, likeness {self.likeness:.2f})"
        )


def align(a_s: Floats, a_watts: Floats, b_s: Floats, b_watts: Floats) -> Alignment:
    """Find the same steps of the load on both clocks.

    Args:
        a_s, a_watts: times in s, increasing, and power in W; shape (n,). Any unit of power is allowed.
        b_s, b_watts: the same of the other recording; shape (m,).

    Raises:
        CalibrationError: the two have no step in common.
    """
    for times in (a_s, b_s):
        if len(times) < 4:
            raise CalibrationError("a recording holds fewer than four samples; record for longer")
    cell = max(float(np.median(np.diff(a_s))), float(np.median(np.diff(b_s)))) / 2
    cell = max(cell, (float(np.ptp(a_s)) + float(np.ptp(b_s))) / _MOST_CELLS)
    a, b = _changes(a_s, a_watts, cell), _changes(b_s, b_watts, cell)
    coarse, likeness = _shift(a, b)
    if not likeness >= _LIKENESS:
        raise CalibrationError(
            f"the changes of the two loads correlate by {max(likeness, 0.0):.2f}, and {_LIKENESS} is needed: "
            "make a few "
            "clear steps of the load, such as a program that works and rests, while both record"
        )
    marks = []
    for at in _steps(a):
        fine = _near(a, b, at, coarse)
        if fine is not None:
            marks.append((a_s[0] + at * cell, b_s[0] + (at + coarse + fine) * cell))
    if not marks:
        raise CalibrationError("no single load step stands out in both recordings; make clearer ones")
    return _through(np.array(marks), cell, likeness)


def _changes(times: Floats, watts: Floats, cell: float) -> Floats:
    """The load's change from one cell of time to the next."""
    grid = np.arange(times[0], times[-1] + cell, cell)
    known = ~np.isnan(watts)
    return np.diff(np.interp(grid, times[known], watts[known]))


def _shift(a: Floats, b: Floats) -> tuple[int, float]:
    """By how many cells ``b`` is behind ``a``, and the correlation for that shift."""
    size = 1 << math.ceil(math.log2(len(a) + len(b)))
    product = np.fft.irfft(np.conj(np.fft.rfft(a, size)) * np.fft.rfft(b, size), size)
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    best = int(np.argmax(product))
    return (best if best < len(b) else best - size), (float(product[best]) / scale if scale > 0 else 0.0)


def _steps(a: Floats) -> list[int]:
    """The cells of the largest changes, each alone in its neighbourhood."""
    size = np.abs(a)
    found: list[int] = []
    for at in np.argsort(-size):
        if size[at] < _STEP_SHARE * size.max() or len(found) == 200:
            break
        if all(abs(int(at) - other) > 2 * _NEAR_CELLS for other in found):
            found.append(int(at))
    return sorted(found)


def _near(a: Floats, b: Floats, at: int, coarse: int) -> float | None:
    """How many cells further than ``coarse`` the step at this cell is, by a parabola through the best."""
    low, high = at - _NEAR_CELLS, at + _NEAR_CELLS
    if low < 0 or high > len(a) or low + coarse - _NEAR_CELLS < 0 or high + coarse + _NEAR_CELLS > len(b):
        return None
    piece = a[low:high]
    around = b[low + coarse - _NEAR_CELLS : high + coarse + _NEAR_CELLS]
    product = np.correlate(around, piece, "valid")
    best = int(np.argmax(product))
    if not 0 < best < len(product) - 1:
        return None
    left, middle, right = product[best - 1 : best + 2]
    bend = left - 2 * middle + right
    return best - _NEAR_CELLS + (0.5 * float(left - right) / float(bend) if bend < 0 else 0.0)


def _through(marks: Floats, cell: float, likeness: float) -> Alignment:
    apart = marks[:, 1] - marks[:, 0]
    count = len(marks)
    if count < 3:
        return Alignment(float(apart.mean()), cell, None, None, count, likeness)
    middle = float(marks[:, 0].mean())
    line = york(marks[:, 0] - middle, apart, np.zeros(count), np.ones(count))
    scatter = max(math.sqrt(line.chi_squared / (count - 2)), cell * STEP)
    slope_u, level_u = (scatter * math.sqrt(float(line.covariance[i, i])) for i in (0, 1))
    return Alignment(line.offset - line.slope * middle, level_u, line.slope, slope_u, count, likeness)
