"""Samples over time as numpy columns: slices, integrates, resamples, loads, saves."""

import heapq
import math
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from energymeter.energy.correction import Applied
from energymeter.energy.integrate import Sample, Weights
from energymeter.energy.uncertainty import Part
from energymeter.energy.usage import Usage, combine, gauge_step, is_silent, is_within_steps, least_trusted
from energymeter.energy.window import (
    JOINED,
    LONG,
    MANY,
    NEWEST,
    STEP_IN_LINE,
    STEP_IN_MEAN,
    Edges,
    Near,
    Window,
    long_seconds,
    together,
    unseen_joules,
)
from energymeter.errors import EnergyMeterError, ExtraMissing, LogError, NotMeasured, SpecError
from energymeter.reading import Facts, smallest_rise
from energymeter.recordings import reader
from energymeter.recordings.arrays import Floats, begun, integrated, running, scatter
from energymeter.recordings.closing import spans_to_json
from energymeter.recordings.header import COLUMNS, FORMAT
from energymeter.recordings.record import Hints, RecordedSpans, options_in
from energymeter.recordings.writer import open_recorder, reason
from energymeter.text import duration, html_table, printable

if TYPE_CHECKING:
    import pandas

    from energymeter.report import Picture

_ROWS_A_FLUSH = 4096


class WindowSums(NamedTuple):
    """What one channel measured in many windows."""

    facts: Facts
    joules: Floats
    covered_s: Floats


def total_joules(channels: Sequence[WindowSums], seconds: Floats) -> Floats:
    """The energy of many windows of channels that add up; NaN where `energymeter.energy.usage` refuses one.

    Args:
        channels: what each measured.
        seconds: how long the windows are, s.
    """
    total = np.asarray(sum(channel.joules for channel in channels))
    refused = np.zeros(total.shape, dtype=bool)
    for channel in channels:
        refused |= is_silent(channel.joules, channel.covered_s, seconds)
    gauges = [channel for channel in channels if channel.facts.is_gauge]
    if gauges:
        moved = np.asarray(sum(channel.joules for channel in gauges))
        refused |= is_within_steps(moved, gauge_step(channel.facts for channel in gauges))
    return np.where(refused, np.nan, total)


class Trace:
    """One energy curve with its samples; every column has shape (n,) and is float64, NaN where unknown.

    Attributes:
        time_s: seconds from the first sample's recording start, strictly increasing.
        watts, volts, amps: what was drawn at (or, for means, up to) each time.
        joules, coulombs: running totals; level across gaps.
        covered_s: running measured time.
        epoch_s: Unix time of ``time_s`` 0, or None.
        spans: the spans of its run by name, where its log holds them.
        window_s: what its run measured; ``usage()`` without times is that of this window. None: all samples.
        names: the channels in it.
        facts: of the channel; of a sum, the least that is true of all.
        notes: what else the reader should know, such as damage to the file.
        calibration: the meter's, applied to the samples already; None: none, or of the parts.
        period_s: how often it was to be read; 0: unknown.
        read_as: what was recognised in the file it was loaded from.
        header: what a log of ours says of its run: its system, versions and rates; else empty.
    """

    def __init__(
        self,
        columns: dict[str, Floats],
        names: Sequence[str],
        facts: Facts,
        epoch_s: float | None = None,
        *,
        parts: Sequence["Trace"] = (),
        notes: Sequence[str] = (),
        calibration: Applied | None = None,
        period_s: float = 0.0,
    ) -> None:
        self.time_s = columns["time_s"]
        unknown = np.full(len(self.time_s), np.nan)
        self.watts = columns.get("watts", unknown)
        self.volts = columns.get("volts", unknown)
        self.amps = columns.get("amps", unknown)
        self.joules = begun(columns.get("joules", unknown))
        self.coulombs = begun(columns.get("coulombs", unknown))
        self.covered_s = columns["covered_s"]
        self.epoch_s = epoch_s
        self.names = tuple(names)
        self.facts = facts
        self._summands = tuple(parts)
        self.notes = tuple(notes)
        self.calibration = calibration
        self.period_s = period_s
        self.read_as = ""
        self.header: dict[str, Any] = {}
        self.window_s: tuple[float, float] | None = None
        self.spans: dict[str, RecordedSpans] = {}

    # -- where traces come from --------------------------------------------------------------------

    @classmethod
    def integrate(
        cls,
        time_s: npt.ArrayLike,
        watts: npt.ArrayLike | None = None,
        *,
        volts: npt.ArrayLike | None = None,
        amps: npt.ArrayLike | None = None,
        facts: Facts = Facts(),  # noqa: B008 - an immutable tuple
        name: str = "trace",
        epoch_s: float | None = None,
    ) -> "Trace":
        """From rows of power, or of volts and amps, by the rule of their semantics.

        Args:
            time_s: shape (n,), s; rows that do not go forward in time are left out.
            watts, volts, amps: shape (n,); NaN (or anything else that is not finite) where unknown.
            facts: ``instant`` rows are joined by trapezoids, ``mean`` rows describe the time since the
                row before. What is longer than `energymeter.energy.gaps.gap_limit_ns` of the interval that
                is observed, 3.5 of it, is a gap.

        Raises:
            SpecError: the columns are not equally long.

        >>> trace = Trace.integrate([0, 1, 2], [3.0, 3.0, 3.0])
        >>> trace.joules.tolist()
        [0.0, 3.0, 6.0]
        """
        time = np.asarray(time_s, dtype=np.float64)
        given = {
            q: np.asarray(column, dtype=np.float64)
            for q, column in {"watts": watts, "volts": volts, "amps": amps}.items()
            if column is not None
        }
        if time.ndim != 1 or any(column.shape != time.shape for column in given.values()):
            raise SpecError("the columns of a trace must be equally long, one number a row")
        return cls(integrated(time, given, facts), [name], facts, epoch_s)

    @classmethod
    def from_samples(
        cls,
        samples: Sequence[Sample],
        name: str,
        facts: Facts,
        calibration: Applied | None = None,
        start_ns: int | None = None,
        period_s: float = 0.0,
    ) -> "Trace":
        """From a channel's samples.

        Args:
            start_ns: the monotonic time of second 0, one for traces that are added; None: the first sample's.
            period_s: how often the channel was to be read; 0: unknown.

        Raises:
            NotMeasured: there are none.
        """
        if not samples:
            raise NotMeasured(f"{name} has no samples; measure for longer")
        if start_ns is None:
            start_ns = samples[0].at_ns
        columns = {
            "time_s": np.array([(s.at_ns - start_ns) * 1e-9 for s in samples]),
            "covered_s": np.array([s.covered_ns * 1e-9 for s in samples]),
        }
        for q in ("watts", "volts", "amps", "joules", "coulombs"):
            columns[q] = np.array([getattr(s, q) for s in samples], dtype=np.float64)
        return cls(columns, [name], facts, calibration=calibration, period_s=period_s)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, channel: str | None = None, **hints: Any) -> "Trace":
        """Read a recording; the channels that count are added.

        Args:
            path: any file `energymeter.recordings.reader` reads.
            channel: this one alone, whether it counts or not; ``all``: the sum of all.
            hints: fields of `energymeter.recordings.Hints`, for a file of others; they may also follow the
                path, as in ``log.csv?watts=P&unit=mW``.

        Raises:
            LogError, NotMeasured, ImplausibleReading: see `energymeter.recordings.reader.read`.
            SpecError: there is no such channel, or none that counts.
        """
        path, known = options_in(os.fspath(path), Hints(channel=channel, **hints))
        channel = known.channel
        records = reader.read(path, known)
        if channel == "all" and channel not in [record.name for record in records]:
            records = [record._replace(facts=record.facts._replace(counted=True)) for record in records]
            channel = None
        wanted = [r for r in records if (r.facts.counted if channel is None else r.name == channel)]
        if not wanted:
            names = ", ".join(record.name for record in records)
            raise SpecError(f"{path} has no channel {channel or 'that counts'}; name one of: {names}")
        silent = [record.name for record in wanted if not record.columns["time_s"]]
        if silent:
            raise NotMeasured(f"{path} holds no sample of {', '.join(silent)}; choose another channel")
        traces = [cls.of_record(record) for record in wanted]
        return sum(traces[1:], start=traces[0])

    @classmethod
    def load_channels(cls, path: str | os.PathLike[str], **hints: Any) -> "list[Trace]":
        """Read a recording, each channel by itself, also those that do not count; see `load`.

        Raises:
            LogError, NotMeasured, ImplausibleReading: see `energymeter.recordings.reader.read`; NotMeasured
                also where a channel that counts has no sample.
        """
        path, known = options_in(os.fspath(path), Hints(**hints))
        records = reader.read(path, known)
        silent = [r.name for r in records if r.facts.counted and not r.columns["time_s"]]
        if silent:
            raise NotMeasured(f"{path} holds no sample of {', '.join(silent)}; choose another channel")
        return [cls.of_record(record) for record in records if record.columns["time_s"]]

    @classmethod
    def of_record(cls, record: reader.Record) -> "Trace":
        """From one channel of a recording, as `energymeter.recordings.reader` gives it; it has samples.

        Raises:
            LogError: its calibration is damaged.
        """
        columns = {name: np.frombuffer(column) for name, column in record.columns.items()}
        if "covered_s" in columns:
            calibration = applied(record)
            trace = cls(
                columns,
                [record.name],
                record.facts,
                record.epoch_s,
                calibration=calibration,
                period_s=record.period_s,
            )
            trace.window_s, trace.spans = record.window_s, record.spans
        else:
            rates = integrated(columns.pop("time_s"), columns, record.facts)
            trace = cls(rates, [record.name], record.facts, record.epoch_s)
        damage = (f"{printable(record.damage)}: only what comes before was read",) if record.damage else ()
        trace.notes, trace.read_as = (*damage, *record.notes), record.read_as
        trace.header = record.header if trace.is_own else {}
        return trace

    # -- what they tell ----------------------------------------------------------------------------

    @property
    def parts(self) -> "tuple[Trace, ...]":
        """The channels that a sum was made of, whose voltages and accuracies differ; else itself."""
        return self._summands or (self,)

    @property
    def is_charge_alone(self) -> bool:
        """Whether a current is known and no voltage, so that there is no energy."""
        return bool(np.all(np.isnan(self.joules)) and not np.all(np.isnan(self.coulombs)))

    @property
    def is_own(self) -> bool:
        """Whether it comes from a log of this package, or from no file: nothing had to be recognised."""
        return not self.read_as or self.read_as.startswith(FORMAT.split()[0])

    def __len__(self) -> int:
        return len(self.time_s)

    def __repr__(self) -> str:
        """``Trace(sim:pi4: 52 samples in 1.02 s · 6.391 J ± 0.078 · …)``."""
        return f"Trace({printable(' + '.join(self.names))}: {' · '.join(self._texts())})"

    def _repr_html_(self) -> str:
        return html_table([[printable(" + ".join(self.names)), *self._texts()]])

    def _texts(self) -> list[str]:
        count = "1 sample" if len(self) == 1 else f"{len(self)} samples"
        try:
            return [f"{count} in {duration(self.seconds)}", str(self.usage())]
        except EnergyMeterError as error:  # a view never fails
            return [f"{count} in {duration(self.seconds)}", printable(str(error))]

    @property
    def seconds(self) -> float:
        """From the first sample to the last."""
        return float(self.time_s[-1] - self.time_s[0]) if len(self) else 0.0

    def at(self, time_s: npt.ArrayLike, total: str = "joules") -> Floats:
        """A running total at any times: exact on samples, drawn in between.

        Args:
            time_s: any shape, s; times beyond the ends give the ends' totals.
            total: ``joules``, ``coulombs``, ``volt_seconds`` or ``covered_s``.

        Returns:
            The same shape.
        """
        if self._summands and total != "covered_s":
            return np.asarray(sum(part.at(time_s, total) for part in self._summands))
        moments = np.asarray(time_s, dtype=np.float64)
        rates = {"joules": self.watts, "coulombs": self.amps, "volt_seconds": self.volts}
        rate: Floats | None = rates.get(total)
        totals: Floats = self._volt_seconds if total == "volt_seconds" else getattr(self, total)
        if not len(self):
            return np.full(moments.shape, np.nan)
        i = np.clip(np.searchsorted(self.time_s, moments, side="right") - 1, 0, len(self) - 1)
        j = np.minimum(i + 1, len(self) - 1)
        width = self.time_s[j] - self.time_s[i]
        covered = self.covered_s[j] - self.covered_s[i]
        # what was measured of an interval is its end: a mean describes the time up to its sample
        into = moments - self.time_s[i] - (width - covered)
        share = np.clip(into / np.where(covered > 0, covered, 1.0), 0.0, 1.0)
        if self.facts.semantics == "instant" and rate is not None:
            both = rate[i] + rate[j]
            bent = share * (2 * rate[i] + (rate[j] - rate[i]) * share) / np.where(both == 0, 1.0, both)
            share = np.where((both == 0) | np.isnan(both), share, bent)
        return np.asarray(totals[i] + share * (totals[j] - totals[i]))

    def energy(self, starts_s: npt.ArrayLike, ends_s: npt.ArrayLike) -> Floats:
        """Joules of many windows in one call; NaN where `usage` would refuse: where a part measured nothing.

        A window that was measured in part has the energy of that part: ``at(time_s, "covered_s")`` says how
        much it is.

        Args:
            starts_s, ends_s: any one shape, s.

        Returns:
            The same shape.
        """
        starts, ends = np.asarray(starts_s, dtype=np.float64), np.asarray(ends_s, dtype=np.float64)
        parts = [
            WindowSums(
                part._facts_seen,
                part.at(ends) - part.at(starts),
                part.at(ends, "covered_s") - part.at(starts, "covered_s"),
            )
            for part in self.parts
        ]
        return total_joules(parts, ends - starts)

    def usage(self, start_s: float | None = None, end_s: float | None = None) -> Usage:
        """What was used from ``start_s`` to ``end_s``; None: from the start, to the end of its window.

        Raises:
            NotMeasured: nothing was measured there.
        """
        if not len(self):
            raise NotMeasured("this trace holds no samples; measure again")
        first, last = self.window_s or (float(self.time_s[0]), float(self.time_s[-1]))
        start = first if start_s is None else start_s
        end = last if end_s is None else end_s
        return self._combined([(start, end)])

    def span_usage(self, name: str, skip: int = 0) -> Usage:
        """What all calls of a span used together, as far as the log holds them: see `spans`.

        Args:
            skip: leave out so many of its first calls, as a warm-up.

        Raises:
            SpecError: the log holds no such span, or no more calls than are left out.
            NotMeasured: nothing was measured there.
        """
        if not self.spans.get(name, RecordedSpans(0, ())).windows_s:
            known = ", ".join(map(printable, self.spans)) or "none; a log holds those of a meter with out="
            raise SpecError(f"this recording has no span {printable(name)!r}; it has {known}")
        windows = self.spans[name].windows_s
        if not 0 <= skip < len(windows):
            raise SpecError(
                f"this recording holds {len(windows)} calls of {printable(name)!r}, so {skip} cannot be left "
                "out; leave out fewer"
            )
        return self._combined(windows[skip:]).with_units(
            grid=None, battery=None, **self.spans[name].counted(skip)
        )

    def _combined(self, windows: Sequence[tuple[float, float]]) -> Usage:
        """What was used in some windows together."""
        several = len(self.parts) > 1
        titles = tuple(
            f"{' + '.join(part.names)} {part.calibration.title}" if several else part.calibration.title
            for part in self.parts
            if part.calibration is not None
        )
        for part in self.parts:
            if part.is_charge_alone:
                raise NotMeasured(
                    f"{' + '.join(part.names)} holds a current and no voltage: its charge is known, its "
                    "energy is not; give the voltage, as in volts=3.7V"
                )
        drawn = [part._together(windows, len(self.parts)) for part in self.parts]
        return combine(drawn, notes=self.notes, calibration=titles)

    def _together(self, windows: Sequence[tuple[float, float]], channels: int) -> Part:
        """What one channel, of so many, measured in several windows, as one."""
        parts = [self._part(*window) for window in windows]
        if len(parts) == 1:
            return parts[0]
        least = long_seconds(self._interval_seconds, self.facts.age_seconds(self._typical_interval))
        whole = together([part.window for part in parts], windows, least, channels)
        return parts[0]._replace(window=whole)

    def _part(self, start: float, end: float) -> Part:
        first, last = self._out_of_gaps(start, end)
        begin, end_row = np.searchsorted(self.time_s, first), np.searchsorted(self.time_s, last, side="right")
        if self.facts.semantics != "instant" and 0 < end_row < len(self) and self.time_s[end_row - 1] < last:
            end_row += 1  # the level in which the window ends
        inside = self.watts[begin:end_row]
        edge_joules, *alone = self._edges(start, end)
        unseen = self._unseen_joules(start, end)
        draw = Window(
            seconds=end - start,
            joules=self._spent("joules", start, end),
            coulombs=self._spent("coulombs", start, end),
            volt_seconds=self._spent("volt_seconds", start, end),
            covered_seconds=self._spent("covered_s", start, end),
            gap_fill_joules=self._gap_fill(start, end),
            variance_joules2=self._scatter(start, end),
            edge_joules=math.hypot(edge_joules, unseen),
            peak_watts=float(np.nanmax(inside)) if np.any(~np.isnan(inside)) else math.nan,
            start_joules=alone[0],
            end_joules=alone[1] + self._unseen_joules(float(self.time_s[0]), end),
            start_shift=alone[2],
            end_shift=alone[3],
        )
        facts = self._facts_seen._replace(counted=True)
        part = Part(" + ".join(self.names), facts, draw, self._interval_seconds)
        known = self.calibration
        return part if known is None else part._replace(model=known.model, kelvin=known.kelvin)

    def _out_of_gaps(self, start: float, end: float) -> tuple[float, float]:
        """The window, with the sample on the other side of a gap that it begins or ends in.

        What flowed in the gap is taken to be at most the peak, which may have been reached on that side.
        """
        first, last = start, end
        after = int(np.searchsorted(self.time_s, start, side="right"))
        if 0 < after < len(self) and start < self.time_s[after] - self._covered_before(after):
            first = float(self.time_s[after - 1])
        after = int(np.searchsorted(self.time_s, end, side="right"))
        if 0 < after < len(self) and self.time_s[after - 1] < end < self.time_s[after] - self._covered_before(
            after
        ):
            last = float(self.time_s[after])
        return first, last

    def _covered_before(self, number: int) -> float:
        """The measured part of the interval that ends with a sample, s."""
        return float(self.covered_s[number] - self.covered_s[number - 1])

    def _scatter(self, start: float, end: float) -> float:
        """Variance of the energy between, by the rule of `energymeter.energy.integrate`."""
        if self.facts.semantics == "counter":
            return 0.0
        first, last = np.searchsorted(self.time_s, [start, end])
        near = slice(max(int(first) - 1, 0), int(last) + 1)
        jumps = np.nan_to_num(np.diff(self.watts[near]) * np.diff(self.covered_s[near]))
        return float(scatter(jumps, Weights.of(self.facts)).sum())

    def _edges(self, start: float, end: float) -> tuple[float, float, float, float, float]:
        """What both edges may misplace, by the rule of `energymeter.energy.window`, and each alone."""
        at_start, at_end = self._edge(start), self._edge(end)
        interval = self._interval_seconds
        late = self.facts.age_seconds(self._typical_interval)  # as they came, not as they were to
        if late or (self.facts.semantics != "instant" and end - start < LONG * interval):
            joined = end - start <= late + 2 * LONG * interval
            first = self._samples_near(start, (end if joined else start) + late, start)
            last = first if joined else self._samples_near(end, end + late, start)
            if first is not None and last is not None:
                most_watts = math.inf if self.facts.max_watts is None else self.facts.max_watts
                edges = Edges(first, last, late, most_watts)
                alone = edges.alone(end - start) if late else (at_start, at_end, 0.0, 0.0)
                return edges.misplaced_joules(end - start), *alone
        return at_start + at_end, at_start, at_end, 0.0, 0.0

    def _samples_near(self, first: float, last: float, zero: float) -> Near | None:
        """The samples from the third before ``first`` to the third after ``last``, between gaps."""
        index, end = np.searchsorted(self.time_s, [first, last], side="right")
        rows = list(range(max(int(index) - 3, 0), min(int(end) + 3, len(self))))
        times, covered = self.time_s, self.covered_s
        for row in rows[1:]:
            if covered[row] - covered[row - 1] < JOINED * (times[row] - times[row - 1]):
                if times[row] > first:
                    rows = [one for one in rows if one < row]
                    break
                rows = [one for one in rows if one >= row]
        if len(rows) < 2:
            return None
        straight = self.facts.semantics == "instant"
        joules, watts = self.joules[rows], self.watts[rows]
        if not straight and np.isnan(watts[0]):  # the mean up to the first sample is of no interval
            watts[0] = watts[1]
        if np.isnan(joules).any() or np.isnan(watts).any():
            return None
        return Near((times[rows] - zero).tolist(), joules.tolist(), watts.tolist(), straight)

    def _edge(self, at: float) -> float:
        """What a step of the power at this moment would be misplaced by."""
        after = int(np.searchsorted(self.time_s, at))
        if not 0 < after < len(self) or self.time_s[after] == at:
            return 0.0
        level = self.facts.semantics != "instant"
        # a step late in a level stretch shows in the one after it
        step = np.nanmax(np.abs(np.diff(self.watts[after - 1 : after + (2 if level else 1)])), initial=0.0)
        seconds = self.covered_s[after] - self.covered_s[after - 1]
        share = STEP_IN_MEAN if level else STEP_IN_LINE
        return float(np.nan_to_num(step * seconds * share))

    def _unseen_joules(self, start: float, end: float) -> float:
        """What the newest value, which may be old, does not show of a window."""
        seconds, last = self.facts.age_seconds(self._typical_interval), float(self.time_s[-1])
        newest = self.watts[-NEWEST:]
        known = [float(watts) for watts in newest[~np.isnan(newest)]]
        unseen = max(0.0, min(end, last) - max(start, last - seconds))
        return unseen_joules(known, unseen) if known and seconds else 0.0

    def gaps(self) -> list[tuple[float, float]]:
        """Stretches nobody measured, as (start, end) in s; less than half an interval is none."""
        return [*self._gaps]

    @cached_property
    def _gaps(self) -> list[tuple[float, float]]:
        steps = np.diff(self.time_s)
        missing = steps - np.diff(self.covered_s)
        found: list[tuple[float, float]] = []
        for i in np.flatnonzero(missing > 0.5 * self._typical_interval):
            start, end = float(self.time_s[i]), float(self.time_s[i] + missing[i])
            if found and start - found[-1][1] <= 1e-9:
                start = found.pop()[0]
            found.append((start, end))
        return found

    @cached_property
    def _typical_interval(self) -> float:
        return float(np.median(np.diff(self.time_s))) if len(self) > 1 else 0.0

    @property
    def _interval_seconds(self) -> float:
        """From one sample to the next; of few, at least as they were to be."""
        typical = self._typical_interval
        return typical if len(self) > MANY else max(typical, self.period_s)

    @cached_property
    def _facts_seen(self) -> Facts:
        """The facts, from what the samples show, too: how coarse a battery's gauge is."""
        facts = self.facts
        return facts.with_rise_seen(smallest_rise(self.joules.tolist())) if facts.is_gauge else facts

    @cached_property
    def _volt_seconds(self) -> Floats:
        if np.all(np.isnan(self.volts)):
            return np.full(len(self), np.nan)
        instants = self.facts.semantics == "instant"
        level = (self.volts[1:] + self.volts[:-1]) / 2 if instants else self.volts[1:]
        return running(np.where(np.isnan(level), 0.0, level) * np.diff(self.covered_s))

    def _spent(self, total: str, start: float, end: float) -> float:
        before, after = self.at([start, end], total)
        return float(after - before)

    def _gap_fill(self, start: float, end: float) -> float:
        bridged = 0.0
        if not self._gaps:
            return bridged
        known = ~np.isnan(self.watts)
        for gap_start, gap_end in self._gaps if np.any(known) else ():
            left, right = max(start, gap_start), min(end, gap_end)
            if left < right:
                ends = np.interp([left, right], self.time_s[known], self.watts[known])
                bridged += float(ends.mean()) * (right - left)
        return bridged

    # -- what can be made of them ------------------------------------------------------------------

    def slice(self, start_s: float, end_s: float) -> "Trace":
        """The samples within a window; totals go on from where they were. Spans that it cuts are left out."""
        inside = (self.time_s >= start_s) & (self.time_s <= end_s)
        columns = {name: getattr(self, name)[inside] for name in COLUMNS}
        cut = self._with(columns, self.facts, [part.slice(start_s, end_s) for part in self._summands])
        if self.window_s is not None:
            first, last = max(start_s, self.window_s[0]), min(end_s, self.window_s[1])
            cut.window_s = (first, last) if first < last else None
        return cut

    def resample(self, rate_hz: float) -> "Trace":
        """Means over equal intervals, energy unchanged; the last interval ends with the trace.

        Args:
            rate_hz: intervals a second.

        Raises:
            SpecError: it is not positive.
            NotMeasured: there are no samples.
        """
        if not 0 < rate_hz < math.inf:
            raise SpecError(f"a rate of {rate_hz:g} Hz has no intervals; give a positive number")
        if not len(self):
            raise NotMeasured("this trace holds no samples; measure again")
        whole = math.ceil(self.seconds * rate_hz * (1 - 1e-12))
        times = np.append(self.time_s[0] + np.arange(whole) / rate_hz, self.time_s[-1])
        if not whole:
            times = times[:1]
        columns = {"time_s": times, "covered_s": self.at(times, "covered_s")}
        covered = np.diff(columns["covered_s"])
        for total, rate in (("joules", "watts"), ("coulombs", "amps"), ("volt_seconds", "volts")):
            columns[total] = self.at(times, total)
            level = np.diff(columns[total]) / np.where(covered > 0, covered, np.nan)
            columns[rate] = np.concatenate([[np.nan], level])
        facts = self._facts_seen._replace(semantics="mean", duty=0.0, latency=0.0)
        even = self._with(columns, facts, [part.resample(rate_hz) for part in self._summands])
        even.window_s, even.spans = self.window_s, self.spans
        return even

    def __add__(self, other: "Trace") -> "Trace":
        """Power and energy of both, over the union of their times; covered is what both measured."""
        times = np.union1d(self.time_s, other.time_s)
        covered = [np.diff(one.at(times, "covered_s")) for one in (self, other)]
        columns = {
            "time_s": times,
            "joules": self.at(times) + other.at(times),
            "watts": self._power(times) + other._power(times),
            "covered_s": running(np.minimum(*covered))[: len(times)],
        }
        straight = self.facts.semantics == other.facts.semantics == "instant"
        facts = Facts(
            semantics="instant" if straight else "mean",
            provenance=least_trusted((self.facts.provenance, other.facts.provenance)),
            place=self.facts.place,
        )
        summed = Trace(
            columns,
            (*self.names, *other.names),
            facts,
            self.epoch_s,
            parts=(*self.parts, *other.parts),
            notes=tuple(dict.fromkeys((*self.notes, *other.notes))),
        )
        summed.window_s = self.window_s if self.window_s == other.window_s else None
        summed.spans = self.spans if self.spans == other.spans else {}
        summed.read_as, summed.header = self.read_as, self.header
        return summed

    def _power(self, times: Floats) -> Floats:
        """W at any times; NaN before the first and after the last sample."""
        if not len(self):
            return np.full(len(times), np.nan)
        if self.facts.semantics == "instant":
            return np.asarray(np.interp(times, self.time_s, self.watts, left=np.nan, right=np.nan))
        following = np.searchsorted(self.time_s, times, side="left")
        watts = self.watts[np.minimum(following, len(self) - 1)]
        return np.where((times < self.time_s[0]) | (times > self.time_s[-1]), np.nan, watts)

    def _with(self, columns: dict[str, Floats], facts: Facts, parts: "Sequence[Trace]") -> "Trace":
        changed = Trace(
            columns,
            self.names,
            facts,
            self.epoch_s,
            parts=parts,
            notes=self.notes,
            calibration=self.calibration,
            period_s=self.period_s,
        )
        changed.read_as, changed.header = self.read_as, self.header
        return changed

    def to_pandas(self) -> "pandas.DataFrame":
        """A DataFrame of the columns, with ``time_s`` as the index."""
        try:
            import pandas
        except ImportError:
            raise ExtraMissing("pandas", "pandas", "a DataFrame") from None
        return pandas.DataFrame({name: getattr(self, name) for name in COLUMNS}).set_index("time_s")

    def plot(self, *, title: str = "", budget_mah: float | None = None, histogram: bool = False) -> "Picture":
        """Power over time with spans and gaps, and what was used until then; a notebook shows it.

        The picture is that of `energymeter.report.plot_traces`. Write it by ``picture.save("power.png")``.

        Args:
            title: of the picture; empty: the names of the channels.
            budget_mah: a line across the charge, mAh.
            histogram: also how long each power lasted.

        Raises:
            ExtraMissing: without matplotlib.
            NotMeasured: there is nothing to draw.
            SpecError: a budget that is none, or one where no current was measured.
        """
        from energymeter.report import plot_traces  # upwards: docs/decisions/0014

        return plot_traces(self, title=title, budget_mah=budget_mah, histogram=histogram)

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write it as a log, ``.csv``, ``.jsonl`` or ``.parquet``; each channel of a sum by itself.

        Raises:
            LogError: it exists, or cannot be written.
            ExtraMissing: Parquet without pyarrow.
        """
        path = os.fspath(path)
        names = [" + ".join(part.names) for part in self.parts]
        channels = [
            {
                "name": name,
                "facts": part.facts._asdict(),
                "calibration": part.calibration.to_json() if part.calibration is not None else None,
                "rate_hz": 1 / part.period_s if part.period_s else None,
            }
            for name, part in zip(names, self.parts, strict=True)
        ]
        header: dict[str, Any] = {"channels": channels, "started": self.epoch_s}
        if self.notes:
            header["notes"] = list(map(printable, self.notes))
        recorder = open_recorder(path, header, names, 0, force=force, resume=False)
        try:
            try:
                rows = heapq.merge(*(part._rows(number) for number, part in enumerate(self.parts)))
                for count, (_, number, sample) in enumerate(rows):
                    recorder.row(number, sample)
                    if count % _ROWS_A_FLUSH == 0:
                        recorder.flush()
            except BaseException:
                recorder.end_early()
                raise
            window_ns = None if self.window_s is None else _in_ns(self.window_s)
            recorder.close(window_ns, spans_to_json(self.spans))
        except OSError as failure:
            raise LogError(
                f"{path} cannot be written to its end ({reason(failure)}); free some space"
            ) from failure

    def _rows(self, number: int) -> Iterator[tuple[int, int, Sample]]:
        """The samples, each after its time and the number of its channel."""
        for row in zip(*(getattr(self, column) for column in COLUMNS), strict=True):
            time, covered = float(row[0]), float(row[-1])
            volts, amps, watts, joules, coulombs = (None if np.isnan(x) else float(x) for x in row[1:-1])
            at_ns, covered_ns = round(time * 1e9), round(covered * 1e9)
            yield (
                at_ns,
                number,
                Sample(at_ns, joules, coulombs, None, covered_ns, 0.0, watts, volts, amps),
            )


def _in_ns(window_s: tuple[float, float]) -> tuple[int, int]:
    return round(window_s[0] * 1e9), round(window_s[1] * 1e9)


def applied(record: reader.Record) -> Applied | None:
    """The calibration in a record; raises `LogError` where it is damaged."""
    if record.calibration is None:
        return None
    try:
        return Applied.from_json(record.calibration)
    except (AttributeError, KeyError, TypeError, ValueError) as damage:
        raise LogError(
            f"the log of {record.name} has a damaged calibration ({damage}); restore its first line"
        ) from damage
