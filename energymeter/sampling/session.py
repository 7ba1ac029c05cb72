"""One run's sources, opened, with memory for their curves and a file for their samples."""

from __future__ import annotations

from energymeter.lazy import TYPE_CHECKING
from energymeter.sampling.config import ChannelInfo, LogConfig, SourceConfig
from energymeter.sampling.loop import Channel, SourceLoop
from energymeter.sampling.memory import (
    HEAD_BYTES,
    LETTER_BYTES,
    Count,
    Head,
    Letter,
    State,
    Stop,
    channel_bytes,
    ring_samples,
)
from energymeter.sampling.pace import Pace
from energymeter.sampling.priority import Priority
from energymeter.source import Divided, Source, Streaming, StreamingParts, Tunable
from energymeter.text import printable

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from typing import Any

    from energymeter.energy.correction import Correction
    from energymeter.sampling.log_writer import LogWriter


class Session:
    """Opens sources, then runs one loop for each.

    Args:
        configs: the sources; all are opened here, or none stays open.
        corrections: calibrations by the identity (or name) of the meter they belong to.

    Raises:
        SourceError: one cannot be opened.
        SpecError: a rate it cannot do.
    """

    def __init__(self, configs: Sequence[SourceConfig], corrections: dict[str, Correction]) -> None:
        self._configs = [config._replace(source=config.build()) for config in configs]
        self._corrections = corrections
        self._parts: list[list[Source]] = []
        self._opened: list[Source] = []
        self._loops: list[SourceLoop] = []
        self._log_writer: LogWriter | None = None
        try:
            for config in self._configs:
                source, rate_hz = config.build(), config.pace()
                if isinstance(source, Tunable):
                    source.tune(rate_hz)
                self._opened.append(source)
                source.open()
                self._parts.append(list(source.channels()) if isinstance(source, Divided) else [source])
        except BaseException:
            self.close()
            raise
        self.channels: list[ChannelInfo] = []
        self.size = HEAD_BYTES + LETTER_BYTES
        for index, (config, parts) in enumerate(zip(self._configs, self._parts, strict=True)):
            for part in parts:
                self._add_channel(index, config, part)

    def _add_channel(self, source_index: int, config: SourceConfig, part: Source) -> None:
        source = config.build()
        several = len(self._parts[source_index]) > 1
        divided = isinstance(source, StreamingParts) and (several or getattr(source, "rewinds", False))
        # a recording's channels have rates of their own, and a part may have news less often than the whole
        rate_hz = part.facts.default_hz if divided else min(config.pace(), part.facts.max_hz)
        # a stream may well be faster than its nominal rate, and unused memory costs nothing
        capacity = ring_samples(max(rate_hz, part.facts.max_hz) if isinstance(part, Streaming) else rate_hz)
        identity = getattr(part, "identity", None) or part.name
        rewinds = bool(getattr(config.source, "rewinds", False))
        has_card, corrected = identity in self._corrections, bool(getattr(part, "corrected", False))
        own_name, number_of_name = printable(part.name), 1
        name = own_name
        while name in [info.name for info in self.channels]:  # it distinguishes the rows of a log
            number_of_name += 1
            name = f"{own_name} ({number_of_name})"
        said = any(info.source_index == source_index for info in self.channels)
        notes = () if said else tuple(printable(note) for note in getattr(config.source, "notes", ()))
        if has_card and corrected:
            notes += (f"the card of {printable(identity)} is not applied: the recording was calibrated",)
        self.channels.append(
            ChannelInfo(
                source_index,
                name,
                part.facts,
                rate_hz,
                capacity,
                self.size,
                identity,
                has_card and not corrected,
                rewinds,
                notes,
                bool(getattr(config.source, "shared", False)),
                _checksum(self._corrections[identity])
                if has_card and not corrected
                else getattr(part, "correction", ""),
            )
        )
        self.size += channel_bytes(capacity)

    def prepare(
        self,
        memory: memoryview,
        pace: Pace,
        log: LogConfig | None = None,
        *,
        resume: bool = False,
        own_process: bool = False,
    ) -> None:
        """Lay out the memory and create the log; sampling can begin.

        Args:
            memory: ``size`` bytes, zeroed unless ``resume``.
            pace: time, and when to stop.
            log: where every sample is written.
            resume: continue curves and log of a session that was killed.
            own_process: its threads may ask for a better priority.

        Raises:
            LogError, ExtraMissing: the log cannot be created; the sources are closed.
        """
        self._pace = pace
        self._head = Head(memory)
        self._head.counts[Count.STATE] = State.RUNNING
        if log is not None:
            header = {**log.header, "channels": [info.in_log(log.cards) for info in self.channels]}
            names = [info.name for info in self.channels]
            try:
                self._log_writer = _opened(log, header, names, memory, resume, own_process)
            except BaseException:
                self.close()
                raise
            if resume:
                self._log_writer.catch_up([info.memory_in(memory) for info in self.channels])
        infos = iter(enumerate(self.channels))
        for config, parts in zip(self._configs, self._parts, strict=True):
            rows = [next(infos) for _ in parts]
            if resume and getattr(config.source, "rewinds", False):
                self._end(config.build(), [info for _, info in rows], memory)
                continue
            channels = [
                self._channel(part, info, memory) for part, (_, info) in zip(parts, rows, strict=True)
            ]
            record = flush = None
            if self._log_writer is not None:
                patient = any(part.facts.replayed for part in parts)
                record = self._log_writer.recording(rows[0][0], patient=patient)
                flush = self._log_writer.flush
            priority = None
            if own_process and not any(part.facts.replayed for part in parts):
                priority = Priority(config.pace(), real_time=not resume)
            asks = self._head.counts if own_process else None
            self._loops.append(SourceLoop(config, channels, pace, record, flush, priority, asks))

    @staticmethod
    def _end(source: Source, infos: Sequence[ChannelInfo], memory: memoryview) -> None:
        """End a recording whose sampler was killed: played again, it would begin at its start."""
        source.close()
        for info in infos:
            own = info.memory_in(memory)
            if own.counts[Count.STATE] != State.ENDED:
                own.counts[Count.STATE] = State.ENDED
                own.head.error = f"{info.name}: it was cut short when its sampler was killed; play it again"

    def _channel(self, part: Source, info: ChannelInfo, memory: memoryview) -> Channel:
        correction = self._corrections[info.identity] if info.calibrated else None
        return Channel(part, info.memory_in(memory), info.rate_hz, correction)

    def run(self) -> None:
        """Sample until asked to stop, also beyond a recording's end; sources and log are closed then."""
        if self._log_writer is not None:
            self._log_writer.start()
        others = [_thread(loop) for loop in self._loops[1:]]
        try:
            for thread in others:
                thread.start()
            for loop in self._loops[:1]:
                loop.run()
            for thread in others:
                thread.join()
            self._await_stop()
        finally:
            self._head.counts[Count.STATE] = State.ENDED  # what may still take long is the log
            self._close_log()

    def _await_stop(self) -> None:
        """Keep the log open beyond a recording's end: the window in its closing record is known later."""
        counts = self._head.counts
        if not counts[Count.STOP]:
            counts[Count.STATE] = State.ENDED
            if self._log_writer is not None:
                self._log_writer.flush()
        while not counts[Count.STOP] and not self._pace.wait_until(self._pace.now_ns() + 60_000_000_000):
            pass

    def close(self) -> None:
        """Close every source that was opened, and remove the log: nothing was measured. Twice is fine."""
        while self._opened:
            self._opened.pop().close()
        log_writer, self._log_writer = self._log_writer, None
        if log_writer is not None:
            log_writer.close(discard=True)

    def _close_log(self) -> None:
        if self._log_writer is not None:
            discard = self._head.counts[Count.STOP] == Stop.DISCARD_LOG
            self._log_writer.close(discard=discard)


def _opened(
    log: LogConfig,
    header: dict[str, Any],
    names: Sequence[str],
    memory: memoryview,
    resume: bool,
    own_process: bool,
) -> LogWriter:
    """The log; what it takes is imported only where there is one."""
    from energymeter.recordings.writer import open_recorder
    from energymeter.sampling.log_writer import LogWriter

    recorder = open_recorder(log.path, header, names, log.start_ns, force=log.force, resume=resume)
    return LogWriter(log.path, recorder, Head(memory), Letter(memory), own_process=own_process)


def _checksum(correction: Correction) -> str:
    from zlib import crc32

    return f"{crc32(repr(correction).encode()):08x}"


def _thread(loop: SourceLoop) -> threading.Thread:
    import threading  # for several sources only

    return threading.Thread(target=loop.run, daemon=True)
