"""Energy of many windows of a recording, without the whole of it in memory.

A Parquet log is read a row group at a time, and of a lone channel's only the ones in which a window
begins or ends: the running totals stand for everything between.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from energymeter.errors import NotMeasured, SpecError
from energymeter.reading import Facts, smallest_rise
from energymeter.recordings.arrays import Floats, begun
from energymeter.recordings.record import Record
from energymeter.recordings.rowgroups import RowGroup, own_rows, rows_of, survey
from energymeter.recordings.trace import Trace, WindowSums, total_joules


def window_joules(path: str, starts_s: npt.ArrayLike, ends_s: npt.ArrayLike) -> Floats:
    """Joules of many windows; the channels that count are added.

    Args:
        path: any file `Trace.load` reads; Parquet (ours) is not loaded whole.
        starts_s, ends_s: any one shape, s from the recording's start.

    Returns:
        The same shape. A window that was measured in part has the energy of that part; NaN where one of the
        channels measured nothing, as before the first and after the last sample.

    Raises:
        LogError, NotMeasured, SpecError, ExtraMissing: as for `Trace.load`; LogError also where a part of
            a Parquet log that is needed is damaged.
    """
    starts, ends = np.broadcast_arrays(np.asarray(starts_s, np.float64), np.asarray(ends_s, np.float64))
    if not path.lower().endswith(".parquet"):
        return Trace.load(path).energy(starts, ends)
    edges, where = np.unique(np.concatenate([starts.ravel(), ends.ravel()]), return_inverse=True)
    sums = []
    for facts, *totals in _totals(path, edges):
        joules, covered_s = (total[where][starts.size :] - total[where][: starts.size] for total in totals)
        sums.append(WindowSums(facts, joules, covered_s))
    return total_joules(sums, (ends - starts).ravel()).reshape(starts.shape)


def _totals(path: str, edges: Floats) -> list[tuple[Facts, Floats, Floats]]:
    """For each channel: its facts, and its joules and covered seconds at each of the sorted ``edges``."""
    groups, records = survey(path)
    several = len(records) > 1
    channels = [_Channel(record, edges) for record in records if record.facts.counted]
    if not channels:
        raise SpecError(f"{path} has no channel that counts; load one of them by its name instead")
    if not groups:
        raise NotMeasured(f"{path} holds no samples; give another recording")
    columns = ["time_s", "joules", "covered_s", *_shape(records), *["source"] * several]
    # one of several channels may have had its last row any number of groups ago; a gauge's step is looked for
    everything = several or any(record.facts.is_gauge for record in records)
    for group in groups if everything else _with_edges(groups, edges):
        rows = rows_of(group, columns)
        for channel in channels:
            channel.take(rows)
    return [(channel.facts(), *channel.totals()) for channel in channels]


def _shape(records: list[Record]) -> list[str]:
    """What says how an interval's energy lies in it: of instants, the power at both ends."""
    return ["watts"] * any(record.facts.semantics == "instant" for record in records)


class _Channel:
    """One channel's running total at sorted edges, worked out while its rows come by."""

    def __init__(self, record: Record, edges: Floats) -> None:
        self._record = record
        self._edges = edges
        self._totals = np.full((2, len(edges)), np.nan)
        self._done = 0
        self._rise: float | None = None
        self._last: dict[str, Floats] = {}
        """The row before those to come, if there was one."""

    def take(self, rows: dict[str, list[Any]]) -> None:
        """The next row group."""
        columns = own_rows(rows, self._record.name)
        time_s = columns["time_s"]
        if not len(time_s):
            return
        if self._record.facts.is_gauge:
            joules = np.append(self._last.get("joules", []), columns["joules"]).tolist()
            rises = [rise for rise in (self._rise, smallest_rise(joules)) if rise is not None]
            self._rise = min(rises, default=None)
        edges = self._edges[self._done : np.searchsorted(self._edges, time_s[-1], side="right")]
        after = np.searchsorted(time_s, edges, side="right")
        near = np.unique(np.clip(np.concatenate([after - 1, after]), 0, len(time_s) - 1))
        both_sides = {
            name: np.append(self._last.get(name, []), column[near]) for name, column in columns.items()
        }
        self._totals[:, self._done : self._done + len(edges)] = self._at(edges, both_sides)
        self._done += len(edges)
        self._last = {name: column[-1:] for name, column in columns.items()}

    def facts(self) -> Facts:
        """What is known of the channel, from what it has shown, too."""
        return self._record.facts.with_rise_seen(self._rise)

    def totals(self) -> tuple[Floats, Floats]:
        """Joules and covered seconds at every edge, once there are no more rows: past the last they stay."""
        if not self._last:
            raise NotMeasured(f"no sample of {self._record.name} was recorded; choose another channel")
        self._totals[:, self._done :] = self._at(self._edges[self._done :], self._last)
        joules, covered_s = self._totals
        return begun(joules), covered_s

    def _at(self, edges: Floats, columns: dict[str, Floats]) -> tuple[Floats, Floats]:
        trace = Trace(columns, [self._record.name], self._record.facts)
        return trace.at(edges), trace.at(edges, "covered_s")


def _with_edges(groups: list[RowGroup], edges: Floats) -> Iterator[RowGroup]:
    """Those of a lone channel in which an edge lies; of one that lies between two, both."""
    bounds = [bound for group in groups for bound in (group.first_s, group.last_s)]
    places = np.searchsorted(bounds, edges, side="right")  # odd: within a group
    wanted = np.unique(np.clip(np.concatenate([(places - 1) // 2, places // 2]), 0, len(groups) - 1))
    return (groups[n] for n in wanted)
