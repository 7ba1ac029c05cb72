"""What the sag of a battery's voltage shows of its capacity: how much of its charge is gone by now.

Under a steady load the resistance takes the same from the first and from the last reading, so that the sag
between the two is that of the resting cell, `ocv.sagged`. On the plateau between 3.7 and 3.85 V that shows
little; that the knee at the end has not come yet, or that it has, shows much.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from energymeter.battery import ocv

MODEL_VOLTS = 0.03
"""Standard uncertainty of a cell's sag by a table of its own kind [M]."""
MODEL_SHARE = 0.10
"""The same as a share of the sag: resistance grows as a cell empties, and shrinks as it warms [M]."""
_WINDOW = 0.05
"""The share of the rows that is averaged at the start and at the end."""
_ONSET_SECONDS = 60.0
"""Within the first minute of a load the voltage falls by what is no loss of charge."""
_STEADY = 0.25
"""Most by which the power may have changed between the two."""
_FEWEST = 3
_FULL = (3.75, 4.40)
"""Volts of a cell that begins full, under load; lithium iron phosphate has less."""
_MOST_CELLS = 4


class Sag(NamedTuple):
    """How far one cell has sagged from full."""

    volts: float

    def likelihood(self, used: float) -> float:
        """The likelihood of this sag where the share ``used`` is gone, over the chemistries in `ocv`."""
        found = 0.0
        for table in ocv.TABLES:
            expected = ocv.sagged(table, used)
            sigma = math.hypot(MODEL_VOLTS, MODEL_SHARE * expected)
            found += math.exp(-(((self.volts - expected) / sigma) ** 2) / 2) / sigma
        return found

    def of_ratio(self, spent_share: float) -> Callable[[float], float]:
        """The likelihood of each ratio of real to nominal capacity, when so much of the nominal was drawn."""
        return lambda ratio: self.likelihood(spent_share / ratio) if ratio > spent_share else 0.0


def sag_of(times_s: Sequence[float], volts: Sequence[float], watts: Sequence[float]) -> Sag | None:
    """The sag in a log that begins with a full battery; ``None``: it shows none that is known here."""
    rows = [
        row
        for row in zip(times_s, volts, watts, strict=True)
        if math.isfinite(row[1]) and math.isfinite(row[2]) and row[2] > 0
    ]
    mean = math.fsum(row[2] for row in rows) / max(len(rows), 1)
    loaded = [row for row in rows if row[2] > mean / 2]
    loaded = [row for row in loaded if row[0] >= loaded[0][0] + _ONSET_SECONDS]
    size = max(round(_WINDOW * len(loaded)), _FEWEST)
    if len(loaded) < 2 * size:
        return None
    (v0, w0), (v1, w1) = _means(loaded[:size]), _means(loaded[-size:])
    low, high = _FULL
    cells = next((n for n in range(1, _MOST_CELLS + 1) if low <= v0 / n <= high), None)
    if cells is None or abs(w1 / w0 - 1) > _STEADY:
        return None
    return Sag(max(v0 - v1, 0.0) / cells)


def _means(rows: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    return math.fsum(row[1] for row in rows) / len(rows), math.fsum(row[2] for row in rows) / len(rows)
