"""One run's sources, opened, with memory for their curves and a file for their samples."""

import contextlib
import threading
from collections.abc import Callable, Sequence

from energymeter.energy.correction import Correction
from energymeter.energy.integrate import Sample
from energymeter.recordings.writer import Recorder, open_recorder, reason
from energymeter.sampling.config import ChannelInfo, LogConfig, SourceConfig
from energymeter.sampling.loop import Channel, Pace, SourceLoop
from energymeter.sampling.memory import HEAD_BYTES, Count, Head, State, channel_bytes, ring_samples
from energymeter.source import Divided, Source, Tunable
from energymeter.text import printable


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
        try:
            for config in self._configs:
                source, rate_hz = config.build(), config.pace()
                if isinstance(source, Tunable):
                    source.tune(rate_hz)
                source.open()
                self._parts.append(list(source.channels()) if isinstance(source, Divided) else [source])
        except BaseException:
            self.close()
            raise
        self.channels: list[ChannelInfo] = []
        self.size = HEAD_BYTES
        for index, (config, parts) in enumerate(zip(self._configs, self._parts, strict=True)):
            for part in parts:
                self._add_channel(index, part, config.pace())

    def _add_channel(self, source_index: int, part: Source, rate_hz: float) -> None:
        capacity = ring_samples(rate_hz)
        identity = getattr(part, "identity", None) or part.name
        calibrated = identity in self._corrections
        own_name, number_of_name = printable(part.name), 1
        name = own_name
        while name in [info.name for info in self.channels]:  # it distinguishes the rows of a log
            number_of_name += 1
            name = f"{own_name} ({number_of_name})"
        self.channels.append(
            ChannelInfo(source_index, name, part.facts, rate_hz, capacity, self.size, identity, calibrated)
        )
        self.size += channel_bytes(capacity)

    def prepare(
        self, memory: memoryview, pace: Pace, log: LogConfig | None = None, *, resume: bool = False
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
        self._head.counts[Count.STATE] = State.RUNNING
        self._log_writer = None
        if log is not None:
            header = {**log.header, "channels": [info.in_log(log.cards) for info in self.channels]}
            names = [info.name for info in self.channels]
            try:
                recorder = open_recorder(
                    log.path, header, names, log.start_ns, force=log.force, resume=resume
                )
            except BaseException:
                self.close()
                raise
            self._log_writer = _LogWriter(recorder, self._head)
        infos = iter(enumerate(self.channels))
        self._loops = []
        for config, parts in zip(self._configs, self._parts, strict=True):
            rows = [next(infos) for _ in parts]
            channels = [
                self._channel(part, info, memory) for part, (_, info) in zip(parts, rows, strict=True)
            ]
            record = self._log_writer.recording(rows[0][0]) if self._log_writer else None
            flush = self._log_writer.flush if self._log_writer else None
            self._loops.append(SourceLoop(config, channels, pace, record, flush))

    def _channel(self, part: Source, info: ChannelInfo, memory: memoryview) -> Channel:
        correction = self._corrections.get(info.identity)
        return Channel(part, info.memory_in(memory), info.rate_hz, correction)

    def run(self) -> None:
        """Sample until asked to stop, also beyond a recording's end; sources and log are closed then."""
        others = [threading.Thread(target=loop.run, daemon=True) for loop in self._loops[1:]]
        for thread in others:
            thread.start()
        try:
            self._loops[0].run()
            for thread in others:
                thread.join()
        finally:
            self._head.counts[Count.STATE] = State.ENDED  # what may still take long is the log
            if self._log_writer is not None:
                self._log_writer.close()
        while not self._pace.wait_until(self._pace.now_ns() + 60_000_000_000):
            pass

    def close(self) -> None:
        """Close every source."""
        for config in self._configs:
            config.build().close()


class _LogWriter:
    """Records for all loops of a session; a disk that is full ends the record, never the sampling."""

    def __init__(self, recorder: Recorder, head: Head) -> None:
        self._recorder: Recorder | None = recorder
        self._head = head
        self._rows_before = head.counts[Count.RECORDED_ROWS]
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
                self._head.counts[Count.RECORDED_ROWS] = self._rows_before + self._recorder.rows
            except OSError as failure:
                if action != "close":
                    with contextlib.suppress(OSError):
                        self._recorder.close()
                rows = self._rows_before + self._recorder.rows
                self._head.counts[Count.RECORDED_ROWS] = rows
                self._head.error = f"the log stopped after {rows} rows: {reason(failure)}"
                self._recorder = None
