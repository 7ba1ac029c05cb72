"""Samples over time as numpy columns: slices, integrates, resamples, loads, saves."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from energymeter import logfile
from energymeter.curve import Draw
from energymeter.errors import ExtraMissing, NotMeasured
from energymeter.integrate import Sample
from energymeter.loop import gap_after_ns
from energymeter.reading import Facts
from energymeter.recorder import COLUMNS, open_recorder
from energymeter.usage import Part, Usage, combine

if TYPE_CHECKING:
    import pandas

Floats = npt.NDArray[np.float64]


class Trace:
    """One energy curve with its samples; every column has shape (n,) and is float64, NaN where unknown.

    Attributes:
        time_s: seconds from the first sample's recording start, strictly increasing.
        watts, volts, amps: what was drawn at (or, for means, up to) each time.
        joules, coulombs: running totals; level across gaps.
        covered_s: running measured time.
        epoch_s: Unix time of ``time_s`` 0, or None.
        names: the channels in it.
        facts: of the (first) channel.
    """

    def __init__(
        self,
        columns: dict[str, Floats],
        names: Sequence[str],
        facts: Facts,
        epoch_s: float | None = None,
    ) -> None:
        self.time_s = columns["time_s"]
        unknown = np.full(len(self.time_s), np.nan)
        self.watts = columns.get("watts", unknown)
        self.volts = columns.get("volts", unknown)
        self.amps = columns.get("amps", unknown)
        self.joules = columns.get("joules", unknown)
        self.coulombs = columns.get("coulombs", unknown)
        self.covered_s = columns["covered_s"]
        self.epoch_s = epoch_s
        self.names = tuple(names)
        self.facts = facts

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
            watts, volts, amps: shape (n,); NaN where unknown.
            facts: ``instant`` rows are joined by trapezoids, ``mean`` rows describe the time since the
                row before. Rows further apart than three typical intervals leave a gap.

        >>> trace = Trace.integrate([0, 1, 2], [3.0, 3.0, 3.0])
        >>> trace.joules.tolist()
        [0.0, 3.0, 6.0]
        """
        time = np.asarray(time_s, dtype=np.float64)
        forward = np.concatenate([[True], time[1:] > np.maximum.accumulate(time)[:-1]])[: len(time)]
        given = {"watts": watts, "volts": volts, "amps": amps}
        columns = {q: np.asarray(v, dtype=np.float64)[forward] for q, v in given.items() if v is not None}
        time = time[forward]
        if "watts" not in columns and {"volts", "amps"} <= columns.keys():
            columns["watts"] = columns["volts"] * columns["amps"]
        steps = np.diff(time)
        typical_hz = 1 / float(np.median(steps)) if len(steps) else 1.0
        known = columns.get("watts", columns.get("amps", time))
        seen = (steps <= gap_after_ns(typical_hz) * 1e-9) & ~np.isnan(known[1:])
        if facts.semantics == "instant":
            seen &= ~np.isnan(known[:-1])
        columns["time_s"] = time
        columns["covered_s"] = _running(np.where(seen, steps, 0.0))
        for rate, total in (("watts", "joules"), ("amps", "coulombs")):
            if rate in columns:
                column = columns[rate]
                level = column[1:] if facts.semantics != "instant" else (column[1:] + column[:-1]) / 2
                columns[total] = _running(np.where(seen, np.nan_to_num(level) * steps, 0.0))
        return cls(columns, [name], facts, epoch_s)

    @classmethod
    def from_samples(cls, samples: Sequence[Sample], name: str, facts: Facts) -> "Trace":
        """From a channel's samples.

        Raises:
            NotMeasured: there are none.
        """
        if not samples:
            raise NotMeasured(f"{name} has no samples.")
        start_ns = samples[0].at_ns
        columns = {
            "time_s": np.array([(s.at_ns - start_ns) * 1e-9 for s in samples]),
            "covered_s": np.array([s.covered_ns * 1e-9 for s in samples]),
        }
        for q in ("watts", "volts", "amps", "joules", "coulombs"):
            columns[q] = np.array([getattr(s, q) for s in samples], dtype=np.float64)
        return cls(columns, [name], facts)

    @classmethod
    def load(cls, path: str, **hints: Any) -> "Trace":
        """Read a recording; the channels that count are added.

        Args:
            path: any file `energymeter.logfile` reads.
            hints: ``time, watts, volts, amps, unit, semantics, board`` of a foreign CSV.

        Raises:
            LogError, NotMeasured, ImplausibleReading: see `energymeter.logfile.read`.
        """
        records = [r for r in logfile.read(str(path), logfile.Hints(**hints)) if r.facts.counted]
        traces = [cls._of_record(record) for record in records]
        return sum(traces[1:], start=traces[0])

    @classmethod
    def _of_record(cls, record: logfile.Record) -> "Trace":
        columns = {name: np.frombuffer(column) for name, column in record.columns.items()}
        if "joules" in columns:
            return cls(columns, [record.name], record.facts, record.epoch_s)
        return cls.integrate(**columns, facts=record.facts, name=record.name, epoch_s=record.epoch_s)

    # -- what they tell ----------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def seconds(self) -> float:
        """From the first sample to the last."""
        return float(self.time_s[-1] - self.time_s[0]) if len(self) else 0.0

    def at(self, time_s: npt.ArrayLike, total: str = "joules") -> Floats:
        """A running total at any times: exact on samples, drawn in between.

        Args:
            time_s: any shape, s; times beyond the ends give the ends' totals.
            total: ``joules``, ``coulombs`` or ``covered_s``.

        Returns:
            The same shape.
        """
        moments = np.asarray(time_s, dtype=np.float64)
        totals = getattr(self, total)
        rate = {"joules": self.watts, "coulombs": self.amps}.get(total)
        if self.facts.semantics != "instant" or rate is None:
            return np.asarray(np.interp(moments, self.time_s, totals))
        i = np.clip(np.searchsorted(self.time_s, moments, side="right") - 1, 0, max(len(self) - 2, 0))
        j = np.minimum(i + 1, len(self) - 1)
        width = self.time_s[j] - self.time_s[i]
        share = np.clip((moments - self.time_s[i]) / np.where(width > 0, width, 1.0), 0.0, 1.0)
        both = rate[i] + rate[j]
        bent = share * (2 * rate[i] + (rate[j] - rate[i]) * share) / np.where(both == 0, 1.0, both)
        share = np.where((both == 0) | np.isnan(both), share, bent)
        return np.asarray(totals[i] + share * (totals[j] - totals[i]))

    def energy(self, starts_s: npt.ArrayLike, ends_s: npt.ArrayLike) -> Floats:
        """Joules of many windows at once; same shape as the arguments."""
        return self.at(ends_s) - self.at(starts_s)

    def usage(self, start_s: float | None = None, end_s: float | None = None) -> Usage:
        """What was used from ``start_s`` to ``end_s``; None: from the first, to the last sample.

        Raises:
            NotMeasured: nothing was measured there.
        """
        if not len(self):
            raise NotMeasured("this trace holds no samples.")
        start = float(self.time_s[0]) if start_s is None else start_s
        end = float(self.time_s[-1]) if end_s is None else end_s
        inside = (self.time_s >= start) & (self.time_s <= end)
        watts = self.watts[inside]
        covered = self._spent("covered_s", start, end)
        volts = np.nanmean(self.volts[inside]) if np.any(~np.isnan(self.volts[inside])) else math.nan
        draw = Draw(
            seconds=end - start,
            joules=self._spent("joules", start, end),
            coulombs=self._spent("coulombs", start, end),
            volt_seconds=float(volts) * covered,
            covered_seconds=covered,
            bridged_joules=self._bridged(start, end),
            peak_watts=float(np.nanmax(watts)) if np.any(~np.isnan(watts)) else math.nan,
        )
        interval = float(np.median(np.diff(self.time_s))) if len(self) > 1 else 1.0
        facts = self.facts._replace(counted=True)
        return combine([Part(" + ".join(self.names), facts, draw, interval)])

    def gaps(self) -> list[tuple[float, float]]:
        """Stretches nobody measured, as (start, end) in s."""
        steps = np.diff(self.time_s)
        missing = steps - np.diff(self.covered_s) > 1e-6 + 1e-9 * steps
        return [(float(self.time_s[i]), float(self.time_s[i + 1])) for i in np.flatnonzero(missing)]

    def _spent(self, total: str, start: float, end: float) -> float:
        before, after = self.at([start, end], total)
        return float(after - before)

    def _bridged(self, start: float, end: float) -> float:
        bridged = 0.0
        for gap_start, gap_end in self.gaps():
            left, right = max(start, gap_start), min(end, gap_end)
            if left < right:
                ends = np.interp([left, right], self.time_s, self.watts)
                bridged += float(ends.mean()) * (right - left)
        return bridged

    # -- what can be made of them ------------------------------------------------------------------

    def slice(self, start_s: float, end_s: float) -> "Trace":
        """The samples within a window; totals go on from where they were."""
        inside = (self.time_s >= start_s) & (self.time_s <= end_s)
        columns = {name: getattr(self, name)[inside] for name in COLUMNS}
        return Trace(columns, self.names, self.facts, self.epoch_s)

    def resample(self, rate_hz: float) -> "Trace":
        """Means over equal intervals, energy unchanged.

        Args:
            rate_hz: intervals a second.
        """
        times = np.arange(self.time_s[0], self.time_s[-1] + 0.5 / rate_hz, 1 / rate_hz)
        columns = {"time_s": times, "volts": np.interp(times, self.time_s, self.volts)}
        for total, rate in (("joules", "watts"), ("coulombs", "amps")):
            columns[total] = self.at(times, total)
            columns[rate] = np.concatenate([[np.nan], np.diff(columns[total]) * rate_hz])
        columns["covered_s"] = self.at(times, "covered_s")
        return Trace(columns, self.names, self.facts._replace(semantics="mean"), self.epoch_s)

    def __add__(self, other: "Trace") -> "Trace":
        """Power and energy of both, at this one's times."""
        columns = {
            "time_s": self.time_s,
            "joules": self.joules + other.at(self.time_s),
            "watts": self.watts + np.interp(self.time_s, other.time_s, other.watts),
            "covered_s": np.minimum(self.covered_s, other.at(self.time_s, "covered_s")),
        }
        return Trace(columns, (*self.names, *other.names), self.facts, self.epoch_s)

    def to_pandas(self) -> "pandas.DataFrame":
        """A DataFrame of the columns, with ``time_s`` as the index."""
        try:
            import pandas
        except ImportError:
            raise ExtraMissing("pandas", "pandas", "A DataFrame") from None
        return pandas.DataFrame({name: getattr(self, name) for name in COLUMNS}).set_index("time_s")

    def save(self, path: str, *, force: bool = False) -> None:
        """Write it as a log, ``.csv``, ``.jsonl`` or ``.parquet``.

        Raises:
            LogError: it exists, or cannot be written.
        """
        name = " + ".join(self.names)
        header = {"channels": [{"name": name, "facts": self.facts._asdict()}], "started": self.epoch_s}
        recorder = open_recorder(path, header, [name], 0, force=force, resume=False)
        try:
            for row in zip(*(getattr(self, column) for column in COLUMNS), strict=True):
                time, covered = float(row[0]), float(row[-1])
                volts, amps, watts, joules, coulombs = (None if np.isnan(x) else float(x) for x in row[1:-1])
                sample = Sample(
                    round(time * 1e9), joules, coulombs, None, round(covered * 1e9), 0.0, watts, volts, amps
                )
                recorder.row(0, sample)
        finally:
            recorder.close()


def _running(steps: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(steps)])
