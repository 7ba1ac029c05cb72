"""Points of a calibration: means of the meter and of the reference over the same time."""

import csv
import io
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from energymeter.errors import CalibrationError, LogError
from energymeter.paths import replace_file
from energymeter.reading import Band
from energymeter.recordings.textfile import TitledTable, titled_table
from energymeter.text import csv_text
from energymeter.units import STEP

UNITS = {"volts": "V", "amps": "A", "watts": "W"}
"""What can be calibrated: voltage and current separately, or power if a meter reports nothing else."""
_TEXT = ("channel", "range")
_MOST = 1e9


class Point(NamedTuple):
    """One steady load."""

    channel: str
    """``volts``, ``amps``, or ``watts`` of a meter that reports no current."""
    shown: float
    reference: float
    shown_u: float = 0.0
    """Scatter of the meter's mean, one standard deviation."""
    reference_u: float = 0.0
    """Scatter of the reference's mean. The accuracy of its data sheet is given once for all points."""
    range: str = ""
    """The meter's range."""
    celsius: float | None = None
    """The temperature of the air."""
    seconds: float | None = None
    """The duration of the meter's mean."""
    reference_seconds: float | None = None
    """The duration of the reference's mean."""


class Mean(NamedTuple):
    """A mean of correlated readings."""

    value: float
    uncertainty: float
    """One standard deviation of the mean."""
    effective: float
    """The number of independent readings with the same information."""
    drift: float
    """Mean of the second half minus mean of the first."""
    jitter: float
    """The drift that the differences between neighbours explain, one standard deviation. Unlike the scatter,
    it does not grow with the drift itself."""

    @property
    def steady(self) -> bool:
        """Whether the drift is negligible or explained by the jitter."""
        return abs(self.drift) <= max(6 * self.jitter, 2e-4 * abs(self.value))


def average(readings: Sequence[float], resolution: float = 0.0) -> Mean:
    """The mean of a steady load's readings, with ``n (1 - r) / (1 + r)`` effective samples.

    Args:
        readings: in the order taken, at least two.
        resolution: one step; a mean that never left one step is not known better than step/√12.

    >>> average([1.0, 2.0, 1.0, 2.0]).value
    1.5
    """
    n = len(readings)
    mean = math.fsum(readings) / n
    rests = [reading - mean for reading in readings]
    squares = math.fsum(rest * rest for rest in rests)
    lagged = math.fsum(a * b for a, b in itertools.pairwise(rests))
    r = min(max(lagged / squares, 0.0), 0.99) if squares > 0 else 0.0
    effective = max(1.0, n * (1 - r) / (1 + r))
    scatter = squares / (n - 1) / effective
    # scatter over a step or more averages the steps out; less does not
    step = resolution * STEP if squares < n * (resolution / 2) ** 2 else 0.0
    half = n // 2
    drift = math.fsum(readings[-half:]) / half - math.fsum(readings[:half]) / half
    steps = math.fsum((b - a) ** 2 for a, b in itertools.pairwise(readings)) / 2 / (n - 1)
    return Mean(mean, math.hypot(math.sqrt(scatter), step), effective, drift, 2 * math.sqrt(steps / n))


class Reference(NamedTuple):
    """The instrument that the meter is compared with."""

    name: str
    volts: Band = Band()
    """The accuracy in its data sheet."""
    amps: Band = Band()
    watts: Band = Band()

    def band(self, channel: str) -> Band:
        """The accuracy of one channel."""
        return {"volts": self.volts, "amps": self.amps, "watts": self.watts}[channel]


def band(text: str) -> Band:
    """An accuracy as data sheets write it: per cent of the reading, plus steps of the last digit.

    Args:
        text: such as ``1.5%+3*0.001`` or ``0.05%``.

    Raises:
        CalibrationError: it is something else.

    >>> band("1.5%+3*0.001")
    Band(gain=0.015, offset=0.003, resolution=0.001)
    """
    gain, _, digits = text.replace(" ", "").partition("+")
    count, _, step = digits.partition("*")
    try:
        share = float(gain.removesuffix("%")) / 100
        steps, resolution = float(count or 0), float(step or 0)
    except ValueError:
        share = math.nan
    if not gain.endswith("%") or not share >= 0 or steps < 0 or resolution < 0:
        raise CalibrationError(
            f"the accuracy {text!r} is not understood: write per cent of the reading plus digits times their "
            "step in V or A, such as 1.5%+3*0.001"
        )
    return Band(share, steps * resolution, resolution)


def read_csv(path: str) -> list[Point]:
    """Points from a table whose titles are the fields of `Point`; ``channel, shown, reference`` are needed.

    Raises:
        CalibrationError: it cannot be read, with the line.
    """
    try:
        table = titled_table(path)
    except LogError as failure:
        raise CalibrationError(str(failure)) from failure
    titles = [title.strip().lower() for title in table.titles]
    if set(titles) - set(Point._fields) or not {"channel", "shown", "reference"} <= set(titles):
        raise CalibrationError(
            f"{path}: its first line must name channel, shown and reference, and may name "
            f"{', '.join(Point._fields[3:])}; {table.found}; correct its titles"
        )
    return [
        _point(dict(zip(titles, cells, strict=False)), table, f"{path}, line {line}")
        for line, cells in table.rows
    ]


def _point(row: dict[str, str], table: TitledTable, where: str) -> Point:
    given = {name: text.strip() for name, text in row.items() if text.strip()}
    if given.get("channel") not in UNITS:
        raise CalibrationError(f"{where}: the channel must be volts, amps or watts")
    numbers: dict[str, float] = {}
    for name, text in given.items():
        if name not in _TEXT:
            try:
                numbers[name] = table.number(text)
            except ValueError:
                numbers[name] = math.nan
            if not abs(numbers[name]) <= _MOST:
                raise CalibrationError(f"{where}: {name} must be a number between ±{_MOST:g}")
    if not {"shown", "reference"} <= numbers.keys():
        raise CalibrationError(f"{where}: shown and reference must be given")
    return Point(**{name: given[name] for name in _TEXT if name in given}, **numbers)  # type: ignore[arg-type]


def write_csv(path: str, points: Iterable[Point]) -> None:
    """Points to a CSV that `read_csv` reads; replaced whole, so that Ctrl-C leaves the old or the new."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(Point._fields)
    writer.writerows([_cell(cell) for cell in point] for point in points)
    replace_file(path, text.getvalue())


def _cell(value: object) -> object:
    return "" if value is None else csv_text(value) if isinstance(value, str) else value
