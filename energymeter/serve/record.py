"""The rolling record of an agent: every sample of its sources, in logs of a bounded size together.

Each source has a log for each period. A log begins with the last sample of the one before, so that what is
between the two is in the later one, and their energies add up. A log ends early where the sampler was
started again, as its totals begin at 0 then, and where the clock was set or the machine slept, so that the
stamps of the rest are right.

The samples come from the ring, which holds a minute: a disk that is slow, full or away keeps no sampler
waiting, and what was not written meanwhile is written later. What the ring has forgotten by then is lost and
counted; the energy is not, since every row holds running totals.
"""

from __future__ import annotations

import contextlib
import os
import threading
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from energymeter.calibration.cards import Cards
from energymeter.clock import Clock, SystemClock
from energymeter.errors import EnergyMeterError, SpecError
from energymeter.meter.conditions import Conditions
from energymeter.meter.log_header import log_header
from energymeter.recordings.closing import MOST_SPANS as MOST_CALLS
from energymeter.recordings.closing import ended_spans, spans_to_json
from energymeter.recordings.record import RecordedSpans
from energymeter.recordings.writer import Recorder, open_recorder, reason
from energymeter.serve.agent import log
from energymeter.serve.names import MOST_SPANS, OTHER_SPANS
from energymeter.serve.record_folder import RecordFolder
from energymeter.text import printable
from energymeter.units import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from energymeter.energy.integrate import Sample
    from energymeter.sampling.sampler import SampledChannel
    from energymeter.serve.config import SourceEntry
    from energymeter.serve.spans import EndedSpan

LEAST_BYTES = 1_000_000
"""For each source; less would be nothing but heads of files."""
MOST_FILE_BYTES = 32_000_000
"""A longer period is split: the page draws files up to twice as large."""
STEP_SECONDS = 1.0
_FLUSH_ROWS = 512
_LONGEST_FLUSH = 131_072
"""Bytes that this may write, about twice what it does."""
_RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
_LATE_NS = 5_000_000_000
"""A log whose period is over is finished so much later, if no sample comes that would do it."""
_CLOCK_SECONDS = 1.0
"""By how much the clock of the day may move against the clock of the samples within one log."""
_CLOSE_SECONDS = 10.0
_MOST_KEPT = 10 * MOST_CALLS
"""Calls of all spans of a source, of which its log keeps some."""


class RecordSettings(NamedTuple):
    """What is kept."""

    folder: str
    most_bytes: int = 1_000_000_000
    period_seconds: float = 3600.0

    @classmethod
    def of(cls, folder: str, megabytes: str | None = None, minutes: str | None = None) -> RecordSettings:
        """As texts give it.

        Raises:
            SpecError: they make no sense.
        """
        size = 1000.0 if megabytes is None else number(megabytes)
        period = 60.0 if minutes is None else number(minutes)
        if size is None or not 1 <= size <= 1e9:
            raise SpecError("the size of a record is a number of megabytes from 1 to 1e9; correct it")
        if period is None or not 1 <= period <= 1440:
            raise SpecError("a file of a record spans 1 to 1440 minutes; correct it")
        return cls(os.path.abspath(os.path.expanduser(folder)), round(size * 1e6), period * 60)

    def checked(self, sources: int) -> RecordSettings:
        """The settings, if so many sources fit.

        Raises:
            SpecError: they do not.
        """
        if self.most_bytes < sources * LEAST_BYTES:
            raise SpecError(f"a record of {sources} sources takes at least {sources} MB; allow more")
        return self


class Recorded(Protocol):
    """What is read of a source of an agent."""

    @property
    def name(self) -> str: ...
    @property
    def entry(self) -> SourceEntry: ...
    @property
    def channels(self) -> Sequence[SampledChannel]:
        """Another sequence whenever its curves began again at 0."""


class _Row(NamedTuple):
    """A sample that is to be written."""

    at_ns: int
    place: int
    number: int
    """The number of the sample in its curve; -1: an earlier log has it, too."""
    sample: Sample


class _OpenLog(NamedTuple):
    path: str
    recorder: Recorder
    start_ns: int
    """The second 0 of the log."""
    end_ns: int
    """When its period is over."""
    carried: int
    """How many of the first rows an earlier log has, too."""


class RollingRecord:
    """Records the sources of an agent until it is closed.

    Args:
        sources: what is recorded; somebody else keeps them open.
        settings: where, and how much.
        folder: of the files, with the same bound.
        clock: of the samples.
    """

    def __init__(
        self,
        sources: Sequence[Recorded],
        settings: RecordSettings,
        folder: RecordFolder | None = None,
        clock: Clock | None = None,
    ) -> None:
        share = _file_bytes(settings, len(sources))
        self.folder = folder or record_folder(settings, len(sources))
        self._clock = clock or SystemClock()
        self._sources = [
            _SourceRecord(source, self.folder, settings.period_seconds, share, self._clock)
            for source in sources
        ]
        self._failing: dict[str, str] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="energymeter-record", daemon=True)

    @property
    def lost(self) -> int:
        """Samples that were not written because the ring had forgotten them by then."""
        return sum(source.lost for source in self._sources)

    def add_span(self, name: str, span: EndedSpan) -> None:
        """Keep a call of a span that a client of a source has sent.

        Args:
            name: of the source.
            span: the call.
        """
        for source in self._sources:
            if source.name == name:
                source.spans.add(span)

    def start(self) -> None:
        """Begin to record, in a thread."""
        self._thread.start()

    def close(self) -> None:
        """Write what is known and finish the files; a disk that hangs is waited for 10 s. Twice is fine."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_SECONDS)
            if self._thread.is_alive():
                log.warning("the record in %s was not finished: its disk hangs", self.folder.path)
                return
        self.step(final=True)
        self.folder.close()

    def _run(self) -> None:
        while not self._ended.wait(STEP_SECONDS):
            self.step()

    def step(self, *, final: bool = False) -> None:
        """Write what is new.

        Args:
            final: also finish the files.
        """
        for source in self._sources:
            try:
                source.step(final=final)
            except (OSError, EnergyMeterError) as failure:
                self._say(source.name, failure)
            else:
                if source.wrote and self._failing.pop(source.name, "") and not self._failing:
                    log.info("the record in %s goes on; %d samples were lost", self.folder.path, self.lost)

    def _say(self, source: str, failure: Exception) -> None:
        """Each reason once, however many sources and tries it stops."""
        cause = failure.__cause__ if isinstance(failure.__cause__, OSError) else failure
        why = reason(cause) if isinstance(cause, OSError) else str(cause)
        if why not in self._failing.values():
            log.warning(
                "the record in %s is interrupted (%s); free some space, or give a folder that this user may "
                "write",
                self.folder.path,
                printable(why),
            )
        self._failing[source] = why


def record_folder(settings: RecordSettings, sources: int) -> RecordFolder:
    """The folder of a record, with room for what its sources write."""
    return RecordFolder(settings.folder, settings.most_bytes, sources * _file_bytes(settings, sources))


def _file_bytes(settings: RecordSettings, sources: int) -> int:
    """What one file may take: with all sources at most a quarter of the record."""
    return min(MOST_FILE_BYTES, settings.most_bytes // (4 * sources))


class _Spans:
    """The calls of a source's spans that are in no log yet: the times of some, the number of all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._edges: dict[str, array[int]] = {}
        self._calls: dict[str, int] = {}
        self._kept = 0

    def add(self, span: EndedSpan) -> None:
        """One call, or several of which nothing but the number is known."""
        with self._lock:
            known = span.name in self._calls or len(self._calls) < MOST_SPANS
            name = span.name if known else OTHER_SPANS
            self._calls[name] = self._calls.get(name, 0) + span.calls
            edges = self._edges.setdefault(name, array("q"))
            if span.end_ns and len(edges) < 2 * MOST_CALLS and self._kept < _MOST_KEPT:
                self._kept += 1
                edges.extend((span.start_ns, span.end_ns))

    def take(self, start_ns: int) -> dict[str, Any] | None:
        """What the log that begins at this moment says of them; the next one says nothing of those.

        A call that ended before the log began is in its number alone.
        """
        with self._lock:
            edges, self._edges = self._edges, {}
            calls, self._calls, self._kept = self._calls, {}, 0
        within = {
            name: [edge for pair in _pairs(times) if pair[1] > start_ns for edge in pair]
            for name, times in edges.items()
        }
        ended = ended_spans(within, start_ns)
        return spans_to_json(
            {name: ended.get(name, RecordedSpans(0, ()))._replace(n=count) for name, count in calls.items()}
        )


def _pairs(edges: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip(edges[::2], edges[1::2], strict=True)


class _SourceRecord:
    """The logs of one source."""

    def __init__(
        self, source: Recorded, folder: RecordFolder, period_seconds: float, most_bytes: int, clock: Clock
    ) -> None:
        self.name = source.name
        self.lost = 0
        self.wrote = False
        """The last step has written something."""
        self.spans = _Spans()
        self._source, self._folder, self._clock = source, folder, clock
        self._period_ns = round(period_seconds * 1e9)
        self._most_bytes = most_bytes - _LONGEST_FLUSH
        self._channels: Sequence[SampledChannel] = ()
        self._next: list[int] = []
        """The numbers of the samples that are written next."""
        self._last: list[Sample | None] = []
        """The newest sample of each channel that is in a log."""
        self._log: _OpenLog | None = None
        self._pending: list[_Row] = []
        self._clock_offset_s: float | None = None
        """Unix time less monotonic time; kept until the clock is set, so that the times of logs touch."""
        self._failures = 0
        self._retry_ns = 0

    def step(self, *, final: bool = False) -> None:
        """Write what is new.

        Raises:
            OSError, EnergyMeterError: it cannot be written; the next tries may succeed.
        """
        self.wrote = False
        if not final and self._clock.monotonic_ns() < self._retry_ns:
            return
        try:
            self._write_new()
            if self._source.channels is not self._channels:
                self._close()
                self._follow(self._source.channels)
                self._write_new()
            if final or (self._log is not None and self._is_over(self._log)):
                self._close()
        except (OSError, EnergyMeterError):
            self._abandon()
            wait = _RETRY_SECONDS[min(self._failures, len(_RETRY_SECONDS) - 1)]
            self._failures, self._retry_ns = (
                self._failures + 1,
                self._clock.monotonic_ns() + round(wait * 1e9),
            )
            raise
        if self.wrote:
            self._failures = 0

    def _follow(self, channels: Sequence[SampledChannel]) -> None:
        self._channels = channels
        self._next = [0] * len(channels)
        self._last = [None] * len(channels)
        self._cards = Cards.here(None).in_log()

    def _is_over(self, open_log: _OpenLog) -> bool:
        return self._clock.monotonic_ns() > open_log.end_ns + _LATE_NS or self._is_clock_set()

    def _is_clock_set(self) -> bool:
        return abs(self._offset_now_s() - (self._clock_offset_s or 0.0)) > _CLOCK_SECONDS

    def _offset_now_s(self) -> float:
        return self._clock.time() - self._clock.monotonic_ns() * 1e-9

    # -- rows ------------------------------------------------------------------------------------------

    def _write_new(self) -> None:
        while rows := self._new_rows():
            for row in rows:
                if self._log is not None and row.at_ns >= self._log.end_ns:
                    self._close()
                if self._log is None:
                    self._log = self._opened(row.at_ns)
                self._put(self._log, row)
                if len(self._pending) >= _FLUSH_ROWS:
                    self._flush(self._log)
                    if os.path.getsize(self._log.path) >= self._most_bytes:
                        self._close()
            if self._log is not None:
                self._flush(self._log)

    def _new_rows(self) -> list[_Row]:
        """What the ring holds that is in no log yet: some of it, in the order of time."""
        rows: list[_Row] = []
        until_ns = None
        for place, channel in enumerate(self._channels):
            wanted = self._next[place]
            first, samples = channel.curve.since(wanted, _FLUSH_ROWS)
            if self._last[place] is not None:  # what was before the record began is nobody's loss
                self.lost += max(0, first - wanted)
            self._next[place] = max(first, wanted)
            rows += [_Row(sample.at_ns, place, first + index, sample) for index, sample in enumerate(samples)]
            if len(samples) == _FLUSH_ROWS:
                until_ns = min(until_ns or samples[-1].at_ns, samples[-1].at_ns)
        return sorted(row for row in rows if until_ns is None or row.at_ns <= until_ns)

    def _put(self, open_log: _OpenLog, row: _Row) -> None:
        open_log.recorder.row(row.place, row.sample)
        self._pending.append(row)

    def _flush(self, open_log: _OpenLog) -> None:
        """Bring the pending rows to the disk; of those that do not get there, none counts as written."""
        recorder = open_log.recorder
        pending, self._pending = self._pending, []
        before = recorder.rows
        try:
            recorder.flush()
        finally:
            for row in pending[: recorder.rows - before]:
                self._last[row.place] = row.sample
                self._next[row.place] = max(self._next[row.place], row.number + 1)
                self.wrote = True

    # -- logs ------------------------------------------------------------------------------------------

    def _opened(self, first_ns: int) -> _OpenLog:
        """A log whose first new row is of this moment."""
        carried = sorted(
            _Row(sample.at_ns, place, -1, sample)
            for place, sample in enumerate(self._last)
            if sample is not None and first_ns - sample.at_ns < self._period_ns
        )
        start_ns = min([first_ns, *(row.at_ns for row in carried)])
        if self._clock_offset_s is None or self._is_clock_set():
            self._clock_offset_s = self._offset_now_s()
        clock_offset_s = self._clock_offset_s
        started = clock_offset_s + start_ns * 1e-9
        begun = clock_offset_s + first_ns * 1e-9
        period_s = self._period_ns * 1e-9
        end_ns = first_ns + round((period_s - begun % period_s) * 1e9)
        entry = self._source.entry
        header = {
            **log_header(entry.configs, entry.counted, started, Conditions.now()),
            "channels": [channel.info.in_log(self._cards) for channel in self._channels],
        }
        names = [channel.info.name for channel in self._channels]
        self._folder.take()
        path = self._folder.begin(self.name, begun)
        try:
            recorder = open_recorder(path, header, names, start_ns, force=False, resume=False)
        except BaseException:
            self._folder.finish(path, keep=False)
            raise
        begun_log = _OpenLog(path, recorder, start_ns, end_ns, len(carried))
        for row in carried:
            self._put(begun_log, row)
        return begun_log

    def _close(self) -> None:
        """Finish the log, if there is one."""
        if self._log is None:
            return
        self._flush(self._log)
        end = {"unix_s": self._clock.time(), "monotonic_ns": self._clock.monotonic_ns()}
        self._log.recorder.close(spans=self.spans.take(self._log.start_ns), end=end)
        finished, self._log = self._log, None
        self._folder.finish(finished.path)

    def _abandon(self) -> None:
        """What is in the log stays, without the record that says it is whole."""
        self._pending = []
        abandoned, self._log = self._log, None
        if abandoned is not None:
            with contextlib.suppress(OSError):
                abandoned.recorder.end_early()
            self._folder.finish(abandoned.path, keep=abandoned.recorder.rows > abandoned.carried)
