"""Keeps the memory of a recording bounded: what is longer than four million samples is joined into means.

Totals stay exact at each kept row; what is lost is the resolution between two of them, evenly over the run.
"""

from array import array
from typing import TYPE_CHECKING

from energymeter.errors import LogError
from energymeter.recordings.record import Record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Columns = dict[str, npt.NDArray[np.float64]]

BLOCK_ROWS = 1 << 16
MOST_ROWS = 1 << 22
_TOTALS = ("time_s", "joules", "coulombs", "covered_s")
_RATES = (("watts", "joules"), ("amps", "coulombs"))


class ChannelRows:
    """The rows of one channel of our own logs, taken a block at a time.

    Args:
        record: the channel; its columns hold the rows that were not taken yet.
        most_rows: so many are kept at most.
    """

    def __init__(self, record: Record, most_rows: int = MOST_ROWS) -> None:
        self._record, self._most_rows = record, most_rows
        self._kept = {name: array("d") for name in record.columns}
        self._instants = record.facts.semantics == "instant"
        self._stride = 1

    def __len__(self) -> int:
        return len(self._kept["time_s"]) + len(self._record.columns["time_s"])

    def take(self, *, last: bool = False) -> None:
        """Take the block of rows that came, if it is whole or the last one.

        Raises:
            LogError: there are more than fit into memory, and no numpy to join them with.
        """
        columns = self._record.columns
        if len(columns["time_s"]) < (1 if last else BLOCK_ROWS):
            return
        if not self._kept["time_s"] and self._stride == 1:
            for name, column in columns.items():  # the row that all others count from
                self._kept[name].append(column[0])
                del column[0]
        self._extend(columns)
        for column in columns.values():
            del column[:]
        while len(self._kept["time_s"]) > self._most_rows:
            kept = self._kept
            self._kept = {name: column[:1] for name, column in kept.items()}
            self._stride *= 2
            for start in range(1, len(kept["time_s"]), BLOCK_ROWS):
                piece = {name: column[start : start + BLOCK_ROWS] for name, column in kept.items()}
                self._extend(piece, stride=2)

    def finished(self) -> Record:
        """The record with all rows that were kept."""
        self.take(last=True)
        record = self._record._replace(columns=self._kept)
        if self._stride == 1:
            return record
        facts = record.facts
        if self._instants:
            facts = facts._replace(semantics="mean", duty=0.0, latency=0.0)
        note = f"it is long: {self._stride} samples each were joined into one mean"
        return record._replace(facts=facts, notes=(*record.notes, note))

    def _extend(self, columns: "dict[str, array[float]]", stride: int = 0) -> None:
        stride = stride or self._stride
        if not columns["time_s"]:
            return
        if stride > 1:
            columns = _joined({name: column[-1] for name, column in self._kept.items()}, columns, stride,
                              instants=self._instants and stride == self._stride)  # fmt: skip
        for name, column in columns.items():
            self._kept[name].extend(column)


def _joined(
    before: dict[str, float], columns: "dict[str, array[float]]", stride: int, *, instants: bool
) -> "dict[str, array[float]]":
    """Groups of rows as one row each, which stands for the time since the group before."""
    try:
        import numpy as np
    except ImportError:
        raise LogError(
            f"it has more rows than fit into memory without numpy ({MOST_ROWS}); install it, or cut the file"
        ) from None
    rows = len(columns["time_s"])
    ends = np.arange(stride - 1, rows, stride)
    if not len(ends) or ends[-1] != rows - 1:
        ends = np.append(ends, rows - 1)
    values = {name: np.frombuffer(column) for name, column in columns.items()}
    made = {name: values[name][ends] for name in _TOTALS}
    gained = {name: np.diff(made[name], prepend=before[name]) for name in _TOTALS}
    known = np.where(gained["covered_s"] > 0, gained["covered_s"], np.nan)
    for rate, total in _RATES:
        made[rate] = gained[total] / known
    volts = values["volts"]
    level = (volts + np.concatenate([[before["volts"]], volts[:-1]])) / 2 if instants else volts
    weights = np.diff(values["covered_s"], prepend=before["covered_s"])
    starts = np.concatenate([[0], ends[:-1] + 1])
    made["volts"] = np.add.reduceat(np.where(np.isnan(level), 0.0, level * weights), starts) / known
    if np.all(np.isnan(volts)):
        made["volts"] = np.full(len(ends), np.nan)
    return {name: array("d", column.tobytes()) for name, column in made.items()}
