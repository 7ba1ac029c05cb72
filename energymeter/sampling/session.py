"""One run's sources, opened, with memory for their curves and a file for their samples."""

import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from energymeter.energy.correction import Correction
from energymeter.energy.integrate import Sample
from energymeter.errors import SpecError
from energymeter.recordings.writer import Recorder, open_recorder, reason
from energymeter.sampling.loop import Channel, Pace, SourceLoop
from energymeter.sampling.memory import (
    HEAD_BYTES,
    Count,
    CurveWriter,
    Head,
    State,
    channel_bytes,
    ring_samples,
)
from energymeter.source import Divided, Source, Streaming, Tunable
from energymeter.text import printable

_SLOW_MACHINES = ("armv6l",)
"""One core of an ARM1176: Raspberry Pi Zero, Zero W and 1 (raspberrypi.com, processors)."""
_SLOW_HZ = 10.0


class SourceConfig(NamedTuple):
    """A source and how often to read it; ``None`` is the source's own default."""

    source: Source
    rate_hz: float | None = None

    def pace(self) -> float:
        """Readings a second.

        Raises:
            SpecError: not positive, or more than the source can do.
        """
        facts = self.source.facts
        rate_hz = self._usual() if self.rate_hz is None else self.rate_hz
        if not 0 < rate_hz <= facts.max_hz:
            raise SpecError(
                f"{self.source.name} cannot be read at {rate_hz:g} Hz; ask for more than 0 "
                f"and at most {facts.max_hz:g} Hz."
            )
        return rate_hz

    def _usual(self) -> float:
        """The source's own default, but on a slow processor no more than it can do in passing: what averages
        or counts by itself loses next to nothing by that. A stream's rate is the device's own."""
        usual = self.source.facts.default_hz
        slow = os.uname().machine in _SLOW_MACHINES and not isinstance(self.source, Streaming)
        return min(usual, _SLOW_HZ) if slow else usual


class ChannelInfo(NamedTuple):
    """What the reader of the memory must know of a channel."""

    wanted: int
    name: str
    facts: dict[str, Any]
    rate_hz: float
    capacity: int
    offset: int
    identity: str | None
    calibrated: bool

    def in_log(self, cards: Mapping[str, Any]) -> dict[str, Any]:
        """What a log file's header says of the channel.

        Args:
            cards: what it may say of the calibrations, by the identity of the meter.
        """
        told = {name: getattr(self, name) for name in ("name", "facts", "rate_hz", "identity")}
        card = cards.get(self.identity or self.name) if self.calibrated else None
        return {"source": self.wanted, **told, "calibration": card}


class Log(NamedTuple):
    """The file that every sample goes to."""

    path: str
    header: dict[str, Any]
    start_ns: int
    """The monotonic time that is second 0 of the file."""
    force: bool = False
    cards: dict[str, Any] = {}  # noqa: RUF012 - never written to
    """What its header may say of the calibrations, by the identity of the meter."""


class Session:
    """Opens sources, then runs one loop for each.

    Args:
        wanted: the sources; all are opened here, or none stays open.
        corrections: calibrations by the identity (or name) of the meter they belong to.

    Raises:
        SourceError: one cannot be opened.
        SpecError: a rate it cannot do.
    """

    def __init__(self, wanted: Sequence[SourceConfig], corrections: dict[str, Correction]) -> None:
        self._wanted = list(wanted)
        self._corrections = corrections
        self._parts: list[list[Source]] = []
        try:
            for want in self._wanted:
                if isinstance(want.source, Tunable):
                    want.source.tune(want.pace())
                else:
                    want.pace()
                want.source.open()
                source = want.source
                self._parts.append(list(source.channels()) if isinstance(source, Divided) else [source])
        except BaseException:
            self.close()
            raise
        self.described: list[ChannelInfo] = []
        self.size = HEAD_BYTES
        for number, (want, parts) in enumerate(zip(self._wanted, self._parts, strict=True)):
            for part in parts:
                self._describe(number, part, want.pace())

    def _describe(self, number: int, part: Source, rate_hz: float) -> None:
        capacity = ring_samples(rate_hz)
        identity = getattr(part, "identity", None)
        calibrated = (identity or part.name) in self._corrections
        facts = part.facts._asdict()
        own_name, number_of_name = printable(part.name), 1
        name = own_name
        while name in [about.name for about in self.described]:  # rows of a log are told apart by it
            number_of_name += 1
            name = f"{own_name} ({number_of_name})"
        self.described.append(
            ChannelInfo(number, name, facts, rate_hz, capacity, self.size, identity, calibrated)
        )
        self.size += channel_bytes(capacity)

    def prepare(
        self, memory: memoryview, pace: Pace, log: Log | None = None, *, resume: bool = False
    ) -> None:
        """Lay out the memory and create the log; sampling can begin.

        Args:
            memory: ``size`` bytes, zeroed unless ``resume``.
            pace: time, and the wish to stop.
            log: where every sample is written.
            resume: continue curves and log of a session that was killed.

        Raises:
            LogError, ExtraMissing: the log cannot be created; the sources are closed.
        """
        self._pace = pace
        self._head = Head(memory)
        self._head.head[Count.STATE] = State.RUNNING
        self._keeper = None
        if log is not None:
            header = {**log.header, "channels": [about.in_log(log.cards) for about in self.described]}
            names = [about.name for about in self.described]
            try:
                recorder = open_recorder(
                    log.path, header, names, log.start_ns, force=log.force, resume=resume
                )
            except BaseException:
                self.close()
                raise
            self._keeper = _Keeper(recorder, self._head)
        described = iter(enumerate(self.described))
        self._loops = []
        for want, parts in zip(self._wanted, self._parts, strict=True):
            rows = [next(described) for _ in parts]
            channels = [
                self._channel(part, about, memory) for part, (_, about) in zip(parts, rows, strict=True)
            ]
            record = self._keeper.recording(rows[0][0]) if self._keeper else None
            flush = self._keeper.flush if self._keeper else None
            self._loops.append(SourceLoop(want.source, channels, want.pace(), pace, record, flush))

    def _channel(self, part: Source, about: ChannelInfo, memory: memoryview) -> Channel:
        own = memory[about.offset : about.offset + channel_bytes(about.capacity)]
        correction = self._corrections.get(about.identity or about.name)
        return Channel(part, CurveWriter(own, about.capacity), about.rate_hz, correction)

    def run(self) -> None:
        """Sample until told to stop, also beyond a recording's end; sources and log are closed then."""
        others = [threading.Thread(target=loop.run, daemon=True) for loop in self._loops[1:]]
        for thread in others:
            thread.start()
        try:
            self._loops[0].run()
            for thread in others:
                thread.join()
        finally:
            self._head.head[Count.STATE] = State.ENDED  # what may still take long is the log
            if self._keeper is not None:
                self._keeper.close()
        while not self._pace.wait_until(self._pace.now_ns() + 60_000_000_000):
            pass

    def close(self) -> None:
        """Close every source."""
        for want in self._wanted:
            want.source.close()


class _Keeper:
    """Records for all loops of a session; a disk that is full ends the record, never the sampling."""

    def __init__(self, recorder: Recorder, head: Head) -> None:
        self._recorder: Recorder | None = recorder
        self._head = head
        self._rows_before = head.head[Count.RECORDED_ROWS]
        self._lock = threading.Lock()

    def recording(self, first_channel: int) -> Callable[[int, Sample], None]:
        """What one loop calls with its own channel numbers."""

        def record(channel: int, sample: Sample) -> None:
            with self._lock:
                if self._recorder is not None:
                    self._recorder.row(first_channel + channel, sample)

        return record

    def flush(self) -> None:
        self._attempt("flush")

    def close(self) -> None:
        self._attempt("close")
        self._recorder = None

    def _attempt(self, action: str) -> None:
        with self._lock:
            if self._recorder is None:
                return
            try:
                getattr(self._recorder, action)()
                self._head.head[Count.RECORDED_ROWS] = self._rows_before + self._recorder.rows
            except OSError as failure:
                if action != "close":
                    with contextlib.suppress(OSError):
                        self._recorder.close()
                rows = self._rows_before + self._recorder.rows
                self._head.head[Count.RECORDED_ROWS] = rows
                self._head.error = f"the log stopped after {rows} rows: {reason(failure)}"
                self._recorder = None
