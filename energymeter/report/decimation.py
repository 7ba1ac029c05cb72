"""Recordings made small enough to draw: the lowest, the highest and the mean power of stretches of time.

No sample's peak is lost, and the mean power of the stretches adds up to the energy of the recording exactly,
because it comes from the running totals. A long Parquet log is read one row group at a time.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from energymeter.energy.correction import Applied
from energymeter.energy.uncertainty import Part, components_of, expanded
from energymeter.energy.usage import Usage
from energymeter.energy.window import Window
from energymeter.errors import EnergyMeterError, LogError, NotMeasured, SpecError
from energymeter.reading import Facts
from energymeter.recordings.arrays import Floats, begun
from energymeter.recordings.record import Hints, Record, RecordedSpans, options_in
from energymeter.recordings.rowgroups import RowGroup, own_rows, rows_of, survey
from energymeter.recordings.thinning import MOST_ROWS
from energymeter.recordings.trace import Trace, applied

STRETCHES = 2000
"""More than a page of A4 has pixels across at 250 dots per inch."""
_BINS = 60
_LEVELS = 64
_TOTALS = ("joules", "coulombs", "covered_s")
_COLUMNS = ("time_s", "watts", "volts", *_TOTALS)


class Envelope(NamedTuple):
    """What one channel did in stretches of time; NaN where nothing was measured."""

    edges_s: Floats
    """Shape (n + 1,), s: stretch i is from edge i to edge i + 1."""
    lowest_watts: Floats
    """Shape (n,): of the samples in the stretch, and of the power at its edges."""
    highest_watts: Floats
    joules: Floats
    """Shape (n + 1,): running totals at the edges."""
    coulombs: Floats
    covered_s: Floats
    volts: Floats
    """Shape (n + 1,): at the edges."""
    samples: int
    gaps_s: tuple[tuple[float, float], ...]
    """Start and end of what was not measured; gaps that no picture could show apart are joined."""

    @property
    def watts(self) -> Floats:
        """Mean power over the measured time of each stretch; times that time it is the energy, exactly."""
        covered = np.diff(self.covered_s)
        return np.asarray(np.diff(self.joules) / np.where(covered > 0, covered, np.nan))


class Decimator:
    """Makes an `Envelope` of samples that come in blocks, in the order of their times.

    Args:
        edges_s: of the stretches, increasing; the first is no later than the first sample, the last no
            earlier than the last.
        facts: whether samples are instants, joined by straight lines, or means of the time before them.
    """

    def __init__(self, edges_s: Floats, facts: Facts) -> None:
        self._edges = np.asarray(edges_s, np.float64)
        self._facts = facts
        self._straight = facts.semantics == "instant"
        count = len(self._edges) - 1
        self._lowest, self._highest = np.full((2, count), np.nan)
        self._at_edges = {name: np.full(count + 1, np.nan) for name in (*_TOTALS, "volts")}
        self._done = 0
        self._samples = 0
        self._last: dict[str, Floats] | None = None
        self._interval = 0.0
        self._gaps: list[tuple[float, float]] = []
        self._joined_s = float(self._edges[-1] - self._edges[0]) / (2 * (len(self._edges) - 1))

    def take(self, columns: dict[str, Floats]) -> None:
        """The next block: ``time_s watts volts joules coulombs covered_s``, each of shape (n,)."""
        time = columns["time_s"]
        if not len(time):
            return
        self._samples += len(time)
        self._fold_samples(time, columns["watts"])
        self._fold_edges(columns)
        self._find_gaps(time, columns["covered_s"])
        self._last = {name: columns[name][-1:] for name in _COLUMNS}

    def _fold_samples(self, time: Floats, watts: Floats) -> None:
        """Each sample in its stretch: from its left edge on if instants, up to its right edge if means."""
        count = len(self._lowest)
        side: Literal["left", "right"] = "right" if self._straight else "left"
        first, last = np.clip(np.searchsorted(self._edges, time[[0, -1]], side) - 1, 0, count - 1)
        inner = np.searchsorted(
            time, self._edges[first + 1 : last + 1], "left" if self._straight else "right"
        )
        starts = np.concatenate([[0], inner])
        filled = np.diff(np.append(starts, len(time))) > 0
        stretches = np.arange(first, last + 1)[filled]
        self._fold(
            stretches, np.fmin.reduceat(watts, starts[filled]), np.fmax.reduceat(watts, starts[filled])
        )

    def _fold(
        self, stretches: "np.ndarray[tuple[int], np.dtype[np.intp]]", low: Floats, high: Floats
    ) -> None:
        self._lowest[stretches] = np.fmin(self._lowest[stretches], low)
        self._highest[stretches] = np.fmax(self._highest[stretches], high)

    def _fold_edges(self, columns: dict[str, Floats]) -> None:
        """The running totals, and the power, at the edges that this block reaches."""
        time = columns["time_s"]
        edges = self._edges[self._done : np.searchsorted(self._edges, time[-1], side="right")]
        after = np.searchsorted(time, edges, side="right")
        near = np.unique(np.clip(np.concatenate([after - 1, after]), 0, len(time) - 1))
        rows = {name: columns[name][near] for name in _COLUMNS}
        if self._last is not None:
            rows = {name: np.append(self._last[name], column) for name, column in rows.items()}
        self._totals(edges, rows)
        numbers = np.arange(self._done, self._done + len(edges))
        right = np.searchsorted(rows["time_s"], edges, side="left")
        inside = (right > 0) & (right < len(rows["time_s"])) & (numbers > 0)
        numbers, right, edges = numbers[inside], right[inside], edges[inside]
        times, covered, watts = rows["time_s"], rows["covered_s"], rows["watts"]
        measured = edges > times[right] - (covered[right] - covered[right - 1]) - 1e-12
        numbers, right, edges = numbers[measured], right[measured], edges[measured]
        if self._straight:
            share = (edges - times[right - 1]) / (times[right] - times[right - 1])
            before, after_it = watts[right - 1], watts[right]
            level = before + share * (after_it - before)
            level = np.clip(level, np.minimum(before, after_it), np.maximum(before, after_it))  # as rounded
            following = numbers < len(self._lowest)
            self._fold(numbers[following], level[following], level[following])
        else:
            level = watts[right]
        self._fold(numbers - 1, level, level)
        self._done += int(inside.size)

    def _totals(self, edges: Floats, rows: dict[str, Floats]) -> None:
        """The running totals, and the voltage, at the next edges, from the rows around them."""
        trace = Trace(rows, ["stretches"], self._facts)
        place = slice(self._done, self._done + len(edges))
        for name in _TOTALS:
            self._at_edges[name][place] = trace.at(edges, name)
        self._at_edges["volts"][place] = np.interp(edges, rows["time_s"], rows["volts"])

    def _find_gaps(self, time: Floats, covered: Floats) -> None:
        """By the rule of `Trace.gaps`."""
        if not self._interval and len(time) > 1:
            self._interval = float(np.median(np.diff(time)))
        if self._last is not None:
            before_s, before_covered_s = float(self._last["time_s"][0]), float(self._last["covered_s"][0])
        else:
            before_s, before_covered_s = float(time[0]), float(covered[0])
        missing_s = (float(time[-1]) - before_s) - (float(covered[-1]) - before_covered_s)
        if missing_s <= 0.5 * self._interval:  # no interval lacks less than nothing
            return
        starts = np.concatenate([[before_s], time[:-1]])
        missing = (time - starts) - np.diff(covered, prepend=before_covered_s)
        for i in np.flatnonzero(missing > 0.5 * self._interval):
            start, end = float(starts[i]), float(starts[i] + missing[i])
            if self._gaps and start - self._gaps[-1][1] <= self._joined_s:
                start = self._gaps.pop()[0]
            self._gaps.append((start, end))

    def finished(self) -> Envelope:
        """The envelope, once there are no more samples.

        Raises:
            NotMeasured: there were none.
        """
        if self._last is None:
            raise NotMeasured("there are no samples to draw; measure for longer")
        for name, totals in self._at_edges.items():
            totals[self._done :] = self._last[name][0]
        return Envelope(
            self._edges,
            self._lowest,
            self._highest,
            begun(self._at_edges["joules"]),
            begun(self._at_edges["coulombs"]),
            self._at_edges["covered_s"],
            self._at_edges["volts"],
            self._samples,
            tuple(self._gaps),
        )


class Channel(NamedTuple):
    """One channel of a recording, as it is drawn."""

    name: str
    facts: Facts
    calibration: Applied | None
    envelope: Envelope
    samples: tuple[Floats, Floats] | None
    """Times in s and power in W of all samples, NaN in between where nothing was measured; None: too many."""

    def trace(self) -> Trace:
        """The stretches as a trace: its energy at their edges is that of the recording."""
        envelope, facts = self.envelope, self.facts
        if facts.semantics == "instant":
            facts = facts._replace(semantics="mean", duty=0.0, latency=0.0)
        columns = {
            "time_s": envelope.edges_s,
            "watts": np.concatenate([[np.nan], envelope.watts]),
            "volts": envelope.volts,
            **{name: getattr(envelope, name) for name in _TOTALS},
        }
        return Trace(columns, [self.name], facts, calibration=self.calibration)

    def uncertainty_watts(self, watts: Floats) -> Floats:
        """± of the power by what the meter itself may be off by, coverage factor 2; 0 where it is unknown.

        Args:
            watts: any shape, W.
        """
        known = watts[np.isfinite(watts)]
        if not known.size:
            return np.zeros_like(watts)
        volts = float(np.nanmean(self.envelope.volts)) if np.any(np.isfinite(self.envelope.volts)) else np.nan
        levels = np.linspace(known.min(), known.max(), _LEVELS)
        sizes = [self._uncertainty(float(level), volts) for level in levels]
        return np.asarray(np.interp(watts, levels, sizes))

    def _uncertainty(self, watts: float, volts: float) -> float:
        """± of one second at this power."""
        second = Window(
            seconds=1.0,
            joules=watts,
            coulombs=watts / volts if volts else np.nan,
            volt_seconds=volts,
            covered_seconds=1.0,
            gap_fill_joules=0.0,
            variance_joules2=0.0,
            edge_joules=0.0,
            peak_watts=watts,
        )
        model = self.calibration
        part = Part(self.name, self.facts, second)
        if model is not None:
            part = part._replace(model=model.model, kelvin=model.kelvin)
        return expanded(share for share in components_of(part) if share.systematic)


class SpanRow(NamedTuple):
    """The calls of one span."""

    name: str
    calls: int
    windows_s: tuple[tuple[float, float], ...]
    usage: Usage | None
    """What the calls that the log holds used; None: it was not measured."""


class Decimated(NamedTuple):
    """A recording, small enough to draw."""

    name: str
    channels: tuple[Channel, ...]
    """Those that count and add up first."""
    usage: Usage
    total: Trace
    """The channels that count, at the edges of the stretches."""
    spans: tuple[SpanRow, ...]
    window_s: tuple[float, float]
    epoch_s: float | None
    blocks: Callable[[], Iterable[dict[str, Floats]]] | None
    """The samples of a channel that counts alone, again."""

    @property
    def counted(self) -> tuple[Channel, ...]:
        """The channels that add up to the total."""
        return tuple(channel for channel in self.channels if channel.facts.counted)

    @property
    def is_simulated(self) -> bool:
        return self.usage.provenance == "simulated"

    def highest_watts(self) -> Floats:
        """Shape (n,): of each stretch; of several channels the sum, which is an upper bound."""
        return np.asarray(sum(channel.envelope.highest_watts for channel in self.counted))

    def lowest_watts(self) -> Floats:
        """Shape (n,): of each stretch; of several channels the sum, which is a lower bound."""
        return np.asarray(sum(channel.envelope.lowest_watts for channel in self.counted))

    def histogram(self) -> tuple[Floats, Floats]:
        """How long the power was in each of some ranges.

        Returns:
            The edges of the ranges, shape (m + 1,), W; and the measured time in each, shape (m,), s. Of
            several channels it is the mean power of the stretches, else that of the samples.
        """
        low, high = float(np.nanmin(self.lowest_watts())), float(np.nanmax(self.highest_watts()))
        room = max(0.001 * max(abs(low), abs(high)), 1e-12)
        if high - low < room:
            low, high = low - room, high + room
        edges = np.linspace(low, high, _BINS + 1)
        if self.blocks is None:
            levels, seconds = self.total.watts[1:], np.diff(self.total.covered_s)
            return edges, _seconds_at(levels, seconds, edges)
        straight = self.counted[0].facts.semantics == "instant"
        found, last = np.zeros(_BINS), None
        for columns in self.blocks():
            watts, covered = columns["watts"], columns["covered_s"]
            if last is not None:
                watts, covered = np.append(last[0], watts), np.append(last[1], covered)
            levels = (watts[1:] + watts[:-1]) / 2 if straight else watts[1:]
            found += _seconds_at(levels, np.diff(covered), edges)
            last = watts[-1:], covered[-1:]
        return edges, found


def _seconds_at(levels: Floats, seconds: Floats, edges: Floats) -> Floats:
    """How long each range of power lasted."""
    known = np.isfinite(levels) & (seconds > 0)
    shares = (levels[known] - edges[0]) / (edges[-1] - edges[0])
    places = np.clip((shares * (len(edges) - 1)).astype(np.intp), 0, len(edges) - 2)
    return np.bincount(places, weights=seconds[known], minlength=len(edges) - 1).astype(np.float64)


def decimated(
    source: "str | os.PathLike[str] | Trace", channel: str | None = None, stretches: int = STRETCHES
) -> Decimated:
    """A recording, small enough to draw.

    Args:
        source: a trace, or the path of any file that `Trace.load` reads.
        channel: of a file, this one alone.
        stretches: of equal length; the edges of spans cut them into up to twice as many.

    Raises:
        LogError, NotMeasured, SpecError, ImplausibleReading, ExtraMissing: as for `Trace.load`.
    """
    if isinstance(source, Trace):
        return _of_traces(" + ".join(source.names), source.parts, stretches=stretches)
    path, hints = options_in(os.fspath(source), Hints(channel=channel, caller="plot"))
    name = os.path.basename(path)
    long = _long_log(path)
    if long is not None:
        return _of_groups(path, name, *long, hints.channel, stretches)
    if hints.channel is not None:
        return _of_traces(name, Trace.load(path, **hints._asdict()).parts, stretches=stretches)
    traces = Trace.load_channels(path, **hints._asdict())
    counted = [trace for trace in traces if trace.facts.counted]
    if not counted:
        raise SpecError(f"{path} has no channel that counts; name one of: {_names(traces)}")
    return _of_traces(
        name, counted, [trace for trace in traces if not trace.facts.counted], stretches=stretches
    )


def is_long(path: "str | os.PathLike[str]") -> bool:
    """Whether `Trace.load` would join samples of this log into means, and `decimated` need not."""
    return _long_log(options_in(os.fspath(path), Hints())[0]) is not None


def _names(traces: Sequence[Trace]) -> str:
    return ", ".join(" + ".join(trace.names) for trace in traces)


# In memory ------------------------------------------------------------------------------------------------


def _of_traces(
    name: str, counted: Sequence[Trace], excluded: Sequence[Trace] = (), *, stretches: int
) -> Decimated:
    """From the channels that count, and those that do not."""
    silent = [trace for trace in counted if not len(trace)]
    if silent:
        raise NotMeasured(f"{_names(silent)} holds no samples to draw; measure again")
    first, spans = counted[0], counted[0].spans
    whole = [(float(trace.time_s[0]), float(trace.time_s[-1])) for trace in counted]
    window = first.window_s or (min(start for start, _ in whole), max(end for _, end in whole))
    edges = _edges([*whole, window], spans, stretches)
    channels = [
        *(_channel(trace, edges, stretches, counted=True) for trace in counted),
        *(
            _channel(trace, edges, stretches, counted=False)
            for trace in excluded
            if np.any(np.isfinite(trace.watts))
        ),
    ]
    few = len(counted) == 1 or sum(map(len, counted)) <= MOST_ROWS // 4
    parts = counted if few else _as_stretches(channels, first)
    together = _added(parts)
    blocks = None if len(counted) > 1 else lambda: [_columns(first)]
    return _decimated(name, channels, together, window, blocks)


def _columns(trace: Trace) -> dict[str, Floats]:
    return {column: getattr(trace, column) for column in _COLUMNS}


def _channel(trace: Trace, edges: Floats, stretches: int, *, counted: bool) -> Channel:
    decimator = Decimator(edges, trace.facts)
    inside = (trace.time_s >= edges[0]) & (trace.time_s <= edges[-1])
    columns = _columns(trace)
    decimator.take(columns if inside.all() else {name: column[inside] for name, column in columns.items()})
    samples = _all_samples(trace) if len(trace) <= 2 * stretches else None
    facts = trace.facts._replace(counted=counted)
    return Channel(" + ".join(trace.names), facts, trace.calibration, decimator.finished(), samples)


def _all_samples(trace: Trace) -> tuple[Floats, Floats]:
    """The corners of the line through all samples: means are level since the sample before."""
    time, watts = trace.time_s, trace.watts
    begins = time[1:] - np.diff(trace.covered_s)
    unseen = np.diff(trace.covered_s) <= 0
    if trace.facts.semantics == "instant":
        gaps = np.flatnonzero(unseen | (begins > time[:-1] + 0.5 * _typical_interval(time))) + 1
        return np.insert(time, gaps, time[gaps - 1]), np.insert(watts, gaps, np.nan)
    level = np.where(unseen, np.nan, watts[1:])
    broken = np.full_like(level, np.nan)
    return (
        np.column_stack([begins, time[1:], time[1:]]).ravel(),
        np.column_stack([level, level, np.where(_joined(begins, time, level), level, broken)]).ravel(),
    )


def _joined(begins: Floats, time: Floats, level: Floats) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Whether each level is joined to the next: nothing is missing in between."""
    missing = np.append(begins[1:] - time[1:-1], np.inf)
    return np.asarray((missing <= 0.5 * _typical_interval(time)) & np.isfinite(level))


def _typical_interval(time: Floats) -> float:
    return float(np.median(np.diff(time))) if len(time) > 1 else 0.0


# Long logs ------------------------------------------------------------------------------------------------


def _long_log(path: str) -> tuple[list[RowGroup], list[Record]] | None:
    """The row groups and channels of our own Parquet log that `Trace.load` would have to thin; else None."""
    if not path.lower().endswith(".parquet"):
        return None
    try:
        groups, records = survey(path)
    except (LogError, NotMeasured):  # which `Trace.load` reads up to its damage, or refuses
        return None
    rows = sum(group.file.metadata.row_group(group.number).num_rows for group in groups)
    return (groups, records) if rows > MOST_ROWS else None


def _of_groups(
    path: str,
    name: str,
    groups: list[RowGroup],
    records: list[Record],
    channel: str | None,
    stretches: int,
) -> Decimated:
    """From a long log, a row group at a time."""
    wanted = [record for record in records if channel in (None, "all", record.name)]
    if channel is not None:
        wanted = [record._replace(facts=record.facts._replace(counted=True)) for record in wanted]
    if not any(record.facts.counted for record in wanted):
        names = ", ".join(record.name for record in records)
        raise SpecError(f"{path} has no channel {channel or 'that counts'}; name one of: {names}")
    wanted.sort(key=lambda record: not record.facts.counted)
    first = wanted[0]
    whole = min(group.first_s for group in groups), max(group.last_s for group in groups)
    window = first.window_s or whole
    edges = _edges([whole, window], first.spans, stretches)
    decimators = [Decimator(edges, record.facts) for record in wanted]
    several = len(records) > 1
    damage = ""
    try:
        for rows in _rows(groups, several):
            for record, decimator in zip(wanted, decimators, strict=True):
                decimator.take(own_rows(rows, record.name))
    except LogError as failure:
        damage = f"{str(failure).partition(';')[0]}: only what comes before is drawn"
    channels = [
        Channel(
            record.name,
            record.facts,
            None if record.calibration is None else applied(record),
            decimator.finished(),
            None,
        )
        for record, decimator in zip(wanted, decimators, strict=True)
    ]
    frame = Trace(_empty(), [first.name], first.facts)
    frame.window_s, frame.spans = first.window_s, first.spans
    frame.notes = (*first.notes, *[damage] * bool(damage))
    together = _added(_as_stretches(channels, frame))
    lone = len([record for record in wanted if record.facts.counted]) == 1 and not damage
    blocks = (lambda: (own_rows(rows, first.name) for rows in _rows(groups, several))) if lone else None
    return _decimated(name, channels, together, window, blocks)


def _rows(groups: list[RowGroup], several: bool) -> Iterator[dict[str, list[Any]]]:
    columns = [*_COLUMNS, *["source"] * several]
    return (rows_of(group, columns) for group in groups)


def _empty() -> dict[str, Floats]:
    return {"time_s": np.zeros(0), "covered_s": np.zeros(0)}


# Both -----------------------------------------------------------------------------------------------------


def _edges(whole: Sequence[tuple[float, float]], spans: dict[str, RecordedSpans], stretches: int) -> Floats:
    """Equal stretches, cut at the edges of the spans so that their energy is exact, too."""
    start, end = min(start for start, _ in whole), max(end for _, end in whole)
    marks = [edge for said in spans.values() for window in said.windows_s for edge in window]
    inner = [edge for edge in marks[:stretches] if start < edge < end]
    edges = np.linspace(start, end if end > start else start + 1e-3, stretches + 1)
    return np.union1d(edges, [*inner, *(edge for window in whole for edge in window)])


def _as_stretches(channels: Sequence[Channel], frame: Trace) -> list[Trace]:
    """The channels that count, with the window, spans and notes of a trace."""
    traces = [channel.trace() for channel in channels if channel.facts.counted]
    for trace in traces:
        trace.window_s, trace.spans, trace.notes = frame.window_s, frame.spans, frame.notes
    return traces


def _added(traces: Sequence[Trace]) -> Trace:
    return sum(traces[1:], start=traces[0])


def _decimated(
    name: str,
    channels: Sequence[Channel],
    together: Trace,
    window: tuple[float, float],
    blocks: Callable[[], Iterable[dict[str, Floats]]] | None,
) -> Decimated:
    usage = together.usage()
    counted = [channel for channel in channels if channel.facts.counted]
    peak = float(np.nanmax(sum(channel.envelope.highest_watts for channel in counted)))
    total = _added([channel.trace() for channel in counted])
    total.window_s = together.window_s
    spans = tuple(
        SpanRow(span, calls, windows, _span_usage(together, span))
        for span, (calls, windows, _) in together.spans.items()
        if windows
    )
    return Decimated(
        name, tuple(channels), usage._replace(peak_watts=peak), total, spans, window, together.epoch_s, blocks
    )


def _span_usage(trace: Trace, name: str) -> Usage | None:
    try:
        return trace.span_usage(name)
    except EnergyMeterError:  # nothing was measured in its calls
        return None
