"""The newest readings of one source: a polled one, a stream, or one channel of several."""

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from energymeter.clock import Clock
from energymeter.errors import SourceEnded, SourceError, SpecError
from energymeter.reading import Reading
from energymeter.source import Divided, Source, Streaming, Tunable

_KEPT = 20_000
_RECENT = 5


class TimedReading(NamedTuple):
    """One reading with its time and its range."""

    at_s: float
    reading: Reading
    range: str


class ReadingBuffer:
    """Reads a source and keeps its latest readings.

    Args:
        source: opened by ``open``.
        rate_hz: readings per second, if the source is polled.
        clock: the time of polled readings; a stream has times of its own.
        channel: the channel to read, if there are several.
    """

    def __init__(self, source: Source, rate_hz: float, clock: Clock, channel: str = "") -> None:
        if isinstance(source, Tunable):
            source.tune(min(rate_hz, source.facts.max_hz))
        self.meter = source
        """The source, or after ``open`` the channel that is read."""
        self.readings: deque[TimedReading] = deque(maxlen=_KEPT)
        self._source, self._clock, self._channel = source, clock, channel
        self._sent: Iterator[Reading] | None = None

    @property
    def identity(self) -> str:
        """The identity of the meter, to which its card belongs."""
        return getattr(self.meter, "identity", None) or self.meter.name

    @property
    def range(self) -> str:
        """The range of the last reading; empty if the meter has only one."""
        return str(getattr(self.meter, "range", ""))

    @property
    def streams(self) -> bool:
        """Whether it sends by itself."""
        return self._sent is not None

    @property
    def interval_s(self) -> float:
        """Seconds between its newest readings; 0: too few readings."""
        latest = [timed.at_s for timed in itertools.islice(reversed(self.readings), _RECENT)]
        return (latest[0] - latest[-1]) / (len(latest) - 1) if len(latest) > 1 else 0.0

    def open(self) -> None:
        """Open the source and find its channel.

        Raises:
            SourceError: it cannot be opened.
            SpecError: it has several channels, and none or another one was named.
        """
        self._source.open()
        try:
            self.meter = self._channel_of()
        except (SourceError, SpecError):
            self._source.close()
            raise
        self._sent = self.meter.stream() if isinstance(self.meter, Streaming) else None

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def update(self) -> None:
        """Keep the next reading, or everything that a stream has sent up to now.

        Raises:
            SourceError: it cannot be read.
        """
        now_ns = self._clock.monotonic_ns()
        if self._sent is None:
            self._keep(self.meter.read(), now_ns)
            return
        for reading in self._sent:
            at_ns = reading.at_ns if reading.at_ns is not None else self._clock.monotonic_ns()
            self._keep(reading, at_ns)
            if not reading.fresh or at_ns >= now_ns:
                return
        raise SourceEnded(f"{self.meter.name} has no more samples")

    def between(self, start_s: float, end_s: float) -> list[TimedReading]:
        """The readings after ``start_s``, up to ``end_s``."""
        found = []
        for timed in reversed(self.readings):
            if timed.at_s <= start_s:
                break
            if timed.at_s <= end_s:
                found.append(timed)
        return found[::-1]

    def column(self, quantity: Callable[[Reading], float | None]) -> tuple[list[float], list[float]]:
        """Times and values of the readings that have a value."""
        known = [
            (each.at_s, value) for each in self.readings if (value := quantity(each.reading)) is not None
        ]
        return [at_s for at_s, _ in known], [value for _, value in known]

    def _keep(self, reading: Reading, at_ns: int) -> None:
        at_s = at_ns * 1e-9
        if reading.fresh and (not self.readings or at_s > self.readings[-1].at_s):
            self.readings.append(TimedReading(at_s, reading, self.range))

    def _channel_of(self) -> Source:
        source = self._source
        if not isinstance(source, Divided):
            if self._channel not in ("", source.name):
                raise SpecError(f"{source.name} has one channel, not {self._channel}: leave out --channel")
            return source
        channels = {channel.name: channel for channel in source.channels()}
        if not self._channel and len(channels) == 1:
            return next(iter(channels.values()))
        if self._channel not in channels:
            names = ", ".join(channels) or "there is none"
            raise SpecError(f"{source.name} has several channels; name one with --channel: {names}")
        return channels[self._channel]
