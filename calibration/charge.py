"""Charge against a counter: a long window in which one meter is integrated and the other counts."""

import math
from collections.abc import Sequence

from energymeter.calibration.charge_reference import fit_charge, ticks
from energymeter.calibration.fitting import fit
from energymeter.calibration.line_fit import Floats
from energymeter.calibration.points import Point
from energymeter.energy.correction import Line
from energymeter.errors import CalibrationError, LogError
from energymeter.reading import Band
from energymeter.recordings.textfile import TitledTable, titled_table
from energymeter.recordings.times import TimeColumn, time_column
from energymeter.recordings.titles import DEVICES, Title, device_key, is_duration, meaning
from energymeter.units import RECTANGLE

_MOST_LISTED = 8
_FIRST_ROWS = 100
_MOST = 1e12


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
    offset = meter.offset * RECTANGLE
    zero = (
        fit(zeros, meter, reference).line if zeros else Line(1.0, 0.0, ((0.0, 0.0), (0.0, offset**2)), 0, 0)
    )
    return fit_charge(times_s, coulombs, ticks(*counted), reference, zero)


def _time(table: TitledTable, meant: Sequence[Title]) -> tuple[int | None, TimeColumn | None]:
    """Where the time stands and how it is written: a count of a unit, else dates."""
    places = [i for i, title in enumerate(meant) if title.quantity == "seconds" and not is_duration(title)]
    for place in sorted(places, key=lambda i: not meant[i].unit):
        cells = [row[place] for _, row in table.rows[:_FIRST_ROWS] if place < len(row)]
        column = time_column(cells, unit=meant[place].unit, decimal=table.decimal, seconds_below=math.inf)
        if meant[place].unit or (column is not None and column.dated):
            return place, column
    return None, None


def read_counter(path: str) -> tuple[list[float], list[float]]:
    """Readings of a counter: a table with a time in a unit, as ``time_s``, and a charge in one, as ``mah``.

    Returns:
        Times in s (Unix times, where they are dates), and C.

    Raises:
        CalibrationError: it cannot be read, with the line.
    """
    try:
        table = titled_table(path)
    except LogError as failure:
        raise CalibrationError(str(failure)) from failure
    meant = [meaning(title) for title in table.titles]
    named = [title.text.strip().lower() for title in meant]
    charges = [i for i, title in enumerate(meant) if title.quantity == "coulombs" and title.unit]
    if len(charges) > 1:
        titles = " and ".join(repr(meant[i].text) for i in charges)
        raise CalibrationError(f"{path} has {len(charges)} columns of charge, {titles}; keep one of them")
    charge = next(iter(charges), None)
    for place, title in enumerate(table.titles):
        devices = {row[place] for _, row in table.rows if place < len(row)}
        if device_key(title) in DEVICES and len(devices) > 1:
            listed = ", ".join(sorted(devices)[:_MOST_LISTED])
            raise CalibrationError(
                f"{path} has rows of several counters by {title!r}, {listed}; keep those of one"
            )
    if charge is None and "coulombs" in named:
        charge = named.index("coulombs")
    time, column = _time(table, meant)
    if charge is None or time is None:
        raise CalibrationError(
            f"{path}: its first line must name time_s, and mah or coulombs; {table.found}; correct its titles"
        )
    times: list[float] = []
    counts: list[float] = []
    for line, row in table.rows:
        try:
            if column is None:
                raise ValueError("there is no time")
            time_s = column.seconds(row[time])
            count = table.number(row[charge]) * (meant[charge].factor or 1.0)
            if not (abs(time_s) < _MOST and abs(count) < _MOST) or (times and not time_s > times[-1]):
                raise ValueError("times must rise, and numbers must be plausible")
        except (IndexError, ValueError) as failure:
            raise CalibrationError(
                f"{path}, line {line}: {failure}; correct it or remove the line"
            ) from failure
        times.append(time_s)
        counts.append(count)
    if not times or column is None:
        raise CalibrationError(f"{path} has no reading of the counter; add rows of time_s and mah")
    zero = column.epoch_of_zero() or 0.0
    return [zero + at for at in times], counts
