"""Charge against a counter: a long window in which one meter is integrated and the other counts."""

import csv
import io
import math
from collections.abc import Sequence

from energymeter.calibration.charge_reference import fit_charge, ticks
from energymeter.calibration.fitting import fit
from energymeter.calibration.line_fit import Floats
from energymeter.calibration.points import Point
from energymeter.energy.correction import Line
from energymeter.errors import CalibrationError
from energymeter.paths import read_file
from energymeter.reading import Band

MOST_BYTES = 64_000_000
_MOST = 1e12
_PER_UNIT = {"coulombs": 1.0, "mah": 3.6}


def charge_line(
    times_s: Sequence[float] | Floats,
    coulombs: Sequence[float] | Floats,
    counted: tuple[Sequence[float], Sequence[float]],
    meter: Band,
    reference: Band,
    points: Sequence[Point] = (),
) -> Line:
    """The line of the current, from a meter's running charge and a counter.

    Args:
        times_s, coulombs: the meter's charge, shape (n,), on the counter's clock.
        counted: times of the counter's readings, s, and their values, C.
        meter: the accuracy of the meter's current; its offset stays as uncertain as this without a zero.
        reference: the accuracy of the counter.
        points: of the meter; those of the current with no load are its zero, the others are not used.

    Raises:
        CalibrationError: the two make no calibration, with the reason.
    """
    zeros = [point for point in points if point.channel == "amps" and point.reference == 0]
    offset = meter.offset / math.sqrt(3)
    zero = (
        fit(zeros, meter, reference).line if zeros else Line(1.0, 0.0, ((0.0, 0.0), (0.0, offset**2)), 0, 0)
    )
    return fit_charge(times_s, coulombs, ticks(*counted), reference, zero)


def read_counter(path: str) -> tuple[list[float], list[float]]:
    """Readings of a counter: a CSV whose columns are ``time_s`` and ``mah`` (or ``coulombs``).

    Returns:
        Times in s, and C.

    Raises:
        CalibrationError: it cannot be read, with the line.
    """
    times: list[float] = []
    counts: list[float] = []
    try:
        rows = csv.DictReader(io.StringIO(read_file(path, MOST_BYTES).decode("utf-8-sig"), newline=""))
        unit = next((name for name in _PER_UNIT if name in (rows.fieldnames or ())), None)
        if unit is None or "time_s" not in (rows.fieldnames or ()):
            raise CalibrationError(f"{path}: its first line must name time_s, and mah or coulombs")
        for row in rows:
            time_s, count = float(row["time_s"]), float(row[unit]) * _PER_UNIT[unit]
            if not (abs(time_s) < _MOST and abs(count) < _MOST) or (times and not time_s > times[-1]):
                raise ValueError("times must rise, and numbers must be plausible")
            times.append(time_s)
            counts.append(count)
    except (TypeError, ValueError) as failure:
        if isinstance(failure, CalibrationError):
            raise
        raise CalibrationError(
            f"{path}, line {len(times) + 2}: {failure}; correct it or remove the line"
        ) from failure
    except (OSError, csv.Error) as failure:
        raise CalibrationError(
            f"{path} cannot be read: {failure}; give a CSV with time_s and mah"
        ) from failure
    if not times:
        raise CalibrationError(f"{path} has no reading of the counter; add rows of time_s and mah")
    return times, counts
