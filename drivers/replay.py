"""Plays a recording through the same path as a live meter: ``replay@run.csv``.

At true speed each sample comes when it was taken; with ``speed=max`` as fast as it can be read, and the
window is then the recording's own time, however long the program's block took. Of a file of several
channels those that count are played and added; ``channel=`` plays one alone, ``channel=all`` adds all. Of a
log of this package the window that its run measured is played. Files of others are recognised as
docs/recordings.md says.

Semantics: instants unless the file or ``semantics=`` says otherwise. Accuracy: the recording's own, unknown
here. Source: the file.
Renewal: as recorded.
Counters: as recorded.
Loss: as recorded.
Tested on: real recordings of others' meters; real hardware: does not apply.
"""

import heapq
import math
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any

from energymeter.clock import Clock, SystemClock
from energymeter.drivers.protocols.parts import InParts, Part
from energymeter.errors import SpecError, not_open
from energymeter.reading import Facts, Reading, smallest_rise
from energymeter.recordings.reader import Hints, Record, read, typical_interval

__all__ = ["Replay"]

_SLICE_SECONDS = 0.25
_MAX_HZ = 1e6


class Replay(InParts):
    """A recording as a source.

    Args:
        address: the file.
        speed: ``true``, or ``max``: as fast as it can be read.
        channel: which channel of several; ``all``: the sum of all.
        time, watts, volts, amps, joules, unit, time_unit, volts_unit, amps_unit, joules_unit, delimiter,
            decimal, semantics, board: of a file of others, see `energymeter.recordings.Hints`.
    """

    rewinds = True

    def __init__(
        self,
        address: str = "",
        *,
        speed: str = "true",
        channel: str | None = None,
        time: str | None = None,
        watts: str | None = None,
        volts: str | None = None,
        amps: str | None = None,
        unit: str | None = None,
        semantics: str | None = None,
        board: str | None = None,
        joules: str | None = None,
        time_unit: str | None = None,
        volts_unit: str | None = None,
        amps_unit: str | None = None,
        joules_unit: str | None = None,
        delimiter: str | None = None,
        decimal: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not address:
            raise SpecError("replay needs a file, as in replay@run.csv")
        if semantics not in (None, "instant", "mean"):
            raise SpecError(f"semantics is instant or mean, not {semantics!r}")
        self.name = f"replay@{os.path.basename(address)}"
        self._path = address
        if speed not in ("true", "max"):
            raise SpecError(f"speed is true or max, not {speed!r}")
        self._fast = speed == "max"
        self._channel = channel
        self._hints = Hints(
            time, watts, volts, amps, unit, semantics, board,  # type: ignore[arg-type]
            joules, time_unit, volts_unit, amps_unit, joules_unit, delimiter, decimal, channel,
            "replay",
        )  # fmt: skip
        self._clock = clock or SystemClock()
        self._parts: list[_Part] = []
        self.notes: tuple[str, ...] = ()
        """After ``open``: what the file was recognised as, what was left out of it, and what is damaged."""
        self.facts = Facts(replayed=self._fast, max_hz=_MAX_HZ)

    def open(self) -> None:
        records = read(self._path, self._hints)
        known = {record.name: record for record in records}
        if self._channel is not None and self._channel in known:
            records = [_counted(known[self._channel])]
        elif self._channel == "all":
            records = [_counted(record) for record in records]
        elif self._channel is not None:
            raise SpecError(
                f"{self._path} has no channel {self._channel!r}; choose one of {', '.join(known)}"
            )
        if not any(record.facts.counted for record in records):
            raise SpecError(f"{self._path} has no channel that counts; choose one of {', '.join(known)}")
        self._parts = [
            _Part(f"{self.name}/{record.name}", record, self._fast)
            for record in records
            if record.columns["time_s"]
        ]
        if len(self._parts) == 1:
            self._parts[0].name = self.name
        read_as = [f"read as {r.read_as}" for r in records if r.read_as]
        damage = [f"{r.damage}: only what comes before was read" for r in records if r.damage]
        self.notes = tuple(dict.fromkeys([*read_as, *damage, *(note for r in records for note in r.notes)]))
        fastest = max(part.facts.default_hz for part in self._parts)
        self.facts = self._parts[0].facts._replace(default_hz=fastest)

    def stream_parts(self) -> Iterator[tuple[int, Reading]]:
        """Every sample with the number of its channel, at its time; ends with the file."""
        if not self._parts:
            raise not_open(self.name)
        start_ns = self._clock.monotonic_ns()
        first_s = min(part.first_s for part in self._parts)
        rows = heapq.merge(
            *(part.rows(number) for number, part in enumerate(self._parts)), key=lambda r: r[:2]
        )
        for at_s, number, reading in rows:
            due_ns = start_ns + round((at_s - first_s) * 1e9)
            while not self._fast and (wait := (due_ns - self._clock.monotonic_ns()) * 1e-9) > 0:
                if wait > _SLICE_SECONDS:
                    yield number, Reading(fresh=False)
                self._clock.sleep(min(wait, _SLICE_SECONDS))
            yield number, reading._replace(at_ns=due_ns)

    def close(self) -> None:
        self._parts = []


class _Part(Part):
    """One channel of a recording."""

    def __init__(self, name: str, record: Record, fast: bool) -> None:
        self._columns = record.columns
        self._window_s = record.window_s
        self.corrected = record.calibration is not None
        """A card was applied when it was recorded."""
        self._counter = record.facts.semantics == "counter" and "raw_joules" in record.columns
        # a gauge's step is seen in its own rows, not in those that the window's edges cut
        facts = record.facts.with_rise_seen(smallest_rise(record.columns.get("joules", ())))
        facts = facts._replace(
            # between two rows of our own logs a counter's power is their mean
            semantics=facts.semantics if facts.semantics == "instant" or self._counter else "mean",
            default_hz=1 / typical_interval(record.columns["time_s"]),
            max_hz=_MAX_HZ,
            replayed=fast,
            # its rows were chosen when they were recorded: one that repeats is none to leave out
            renewal_seconds=0.0,
            smoothing_seconds=facts.renewal_seconds + facts.smoothing_seconds,
        )
        if record.facts.semantics == "counter":  # its power is the counter's, and so is its ±
            facts = facts._replace(volts=None, amps=None, watts=None)
        super().__init__(name, facts)

    @property
    def first_s(self) -> float:
        """When it begins."""
        first = self._columns["time_s"][0]
        return first if self._window_s is None else max(first, self._window_s[0])

    def rows(self, number: int) -> Iterator[tuple[float, int, Reading]]:
        """The recorded samples inside the measured window, with one sample on each edge."""
        times = self._columns["time_s"]
        start, end = self._window_s or (times[0], times[-1])
        first, last = bisect_left(times, start), bisect_right(times, end)
        if 0 < first < len(times) and times[first] > start:
            yield start, number, self._between(first, start, begins=True)
        for i in range(first, last):
            if self._unmeasured(i):
                yield (times[i - 1] + times[i]) / 2, number, Reading()
            yield times[i], number, Reading(seconds=self._described(i, start), **self._known(i))
        if 0 < last < len(times) and times[last - 1] < end:
            if self._unmeasured(last):
                yield (times[last - 1] + end) / 2, number, Reading()
            yield end, number, self._between(last, end, begins=False)

    def _known(self, i: int) -> dict[str, Any]:
        columns = self._columns
        known: dict[str, Any] = {
            q: columns[q][i]
            for q in ("volts", "amps", "watts")
            if q in columns and columns[q][i] == columns[q][i]
        }
        for raw, total in (("raw_joules", "joules"), ("raw_coulombs", "coulombs")):
            if raw in columns and columns[raw][i] == columns[raw][i]:
                known[total] = columns[raw][i]
        return known

    def _unmeasured(self, i: int) -> bool:
        """Whether the time before an instant was not measured, although it may be as short as others."""
        covered = self._columns.get("covered_s")
        return (
            covered is not None
            and i > 0
            and self.facts.semantics == "instant"
            and covered[i] <= covered[i - 1]
        )

    def _described(self, i: int, start: float) -> float | None:
        """The seconds before its time that a mean stands for."""
        covered = self._columns.get("covered_s")
        if covered is None or not i or self.facts.semantics != "mean":
            return None
        return min(covered[i] - covered[i - 1], self._columns["time_s"][i] - start)

    def _between(self, after: int, at: float, *, begins: bool) -> Reading:
        """What was drawn at an edge of the window, between two samples."""
        times, known = self._columns["time_s"], self._known(after)
        if self.facts.semantics == "instant":
            share = (at - times[after - 1]) / (times[after] - times[after - 1])
            before = self._known(after - 1)
            both = {q: before[q] + share * (known[q] - before[q]) for q in before if q in known}
            return Reading(**both)
        described = self._described(after, -math.inf)
        if begins or described is None:
            return Reading(**known)
        return Reading(seconds=max(0.0, at - (times[after] - described)), **known)


def _counted(record: Record) -> Record:
    return record._replace(facts=record.facts._replace(counted=True))
