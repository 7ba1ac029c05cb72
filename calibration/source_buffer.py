"""What one source has said of late, whether it is asked, sends by itself, or is made of parts."""

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


class Said(NamedTuple):
    """One reading, its time and the range that it was taken in."""

    at_s: float
    reading: Reading
    range: str


class Tape:
    """Reads a source and keeps its latest readings.

    Args:
        source: opened by ``open``.
        rate_hz: readings a second, where it can be asked for them.
        clock: the time of what is asked; what a device sends has its own.
        channel: which of its parts, if it has several.
    """

    def __init__(self, source: Source, rate_hz: float, clock: Clock, channel: str = "") -> None:
        if isinstance(source, Tunable):
            source.tune(min(rate_hz, source.facts.max_hz))
        self.meter = source
        """The source, or after ``open`` the part of it that is read."""
        self.said: deque[Said] = deque(maxlen=_KEPT)
        self._source, self._clock, self._channel = source, clock, channel
        self._sent: Iterator[Reading] | None = None

    @property
    def identity(self) -> str:
        """Whose card it is."""
        return getattr(self.meter, "identity", None) or self.meter.name

    @property
    def range(self) -> str:
        """Which range the last reading was taken in; empty where there is one."""
        return str(getattr(self.meter, "range", ""))

    @property
    def interval_s(self) -> float:
        """Between its latest readings, s; 0: it has said too little."""
        latest = [said.at_s for said in itertools.islice(reversed(self.said), _RECENT)]
        return (latest[0] - latest[-1]) / (len(latest) - 1) if len(latest) > 1 else 0.0

    def open(self) -> None:
        """Open the source and find the part of it that is meant.

        Raises:
            SourceError: it cannot be opened.
            SpecError: it has several parts, and none or another one was named.
        """
        self._source.open()
        try:
            self.meter = self._part()
        except (SourceError, SpecError):
            self._source.close()
            raise
        self._sent = self.meter.stream() if isinstance(self.meter, Streaming) else None

    def close(self) -> None:
        """Let go of it."""
        self._source.close()

    def look(self) -> None:
        """Keep what it says now: one answer, or all that it has sent up to now.

        Raises:
            SourceError: it could not.
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

    def between(self, start_s: float, end_s: float) -> list[Said]:
        """What was said after ``start_s``, up to ``end_s``."""
        found = []
        for said in reversed(self.said):
            if said.at_s <= start_s:
                break
            if said.at_s <= end_s:
                found.append(said)
        return found[::-1]

    def column(self, quantity: Callable[[Reading], float | None]) -> tuple[list[float], list[float]]:
        """Times and values, where there is a value."""
        known = [(said.at_s, value) for said in self.said if (value := quantity(said.reading)) is not None]
        return [at_s for at_s, _ in known], [value for _, value in known]

    def _keep(self, reading: Reading, at_ns: int) -> None:
        at_s = at_ns * 1e-9
        if reading.fresh and (not self.said or at_s > self.said[-1].at_s):
            self.said.append(Said(at_s, reading, self.range))

    def _part(self) -> Source:
        source = self._source
        if not isinstance(source, Divided):
            if self._channel not in ("", source.name):
                raise SpecError(f"{source.name} has no parts, and none called {self._channel}.")
            return source
        parts = {part.name: part for part in source.channels()}
        if not self._channel and len(parts) == 1:
            return next(iter(parts.values()))
        if self._channel not in parts:
            names = ", ".join(parts) or "none is there"
            raise SpecError(f"{source.name} is made of parts; name one with --channel: {names}.")
        return parts[self._channel]
