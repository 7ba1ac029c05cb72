"""The life of a source that sends by itself: opened, streaming, started again after a failure, closed."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from energymeter.clock import Clock, SystemClock
from energymeter.errors import SourceError, SourceTimeout, not_open
from energymeter.reading import Reading

T = TypeVar("T")


class StreamingSource:
    """A base for sources that stream. A driver says how it starts, what then comes, and how it stops.

    A stream that failed is started again by the next `stream` or `read`, as often as it takes.
    """

    name: str
    patience_seconds = 2.0
    """How long `read` waits for a sample."""
    silence = "sent nothing valid within {:g} s"
    """What it then says."""

    _clock: Clock = SystemClock()
    _opened = _started = False
    _pulled: Iterator[Reading] | None = None

    def _start(self) -> None:
        """Open the device and make it send; lets go of it again if it cannot.

        Raises:
            SourceError: with the remedy.
        """
        raise NotImplementedError

    def _flow(self) -> Iterator[Reading]:
        """The readings from then on; a ``Reading(fresh=False)`` at least every half second.

        Raises:
            SourceError: the device went away or went silent.
        """
        raise NotImplementedError

    def _stop(self, started: bool) -> None:
        """Let go of the device; ``started``: it still sends, and has to be stopped first."""
        raise NotImplementedError

    def open(self) -> None:
        """Open the device and start it.

        Raises:
            ExtraMissing: a package that it needs is not installed.
            SourceError: it is missing, forbidden, held by another program, or does not answer.
        """
        self._started = False
        self._pulled = None
        self._start()
        self._opened = self._started = True

    def stream(self) -> Iterator[Reading]:
        """Every sample as it comes; ``fresh=False`` while there is none.

        Raises:
            SourceMissing: it was not opened, or it was unplugged.
            SourceTimeout: it went silent.
        """
        return self._running(self._flow)

    def _running(self, flow: Callable[[], Iterator[T]]) -> Iterator[T]:
        """What flows, started again where it had failed."""
        if not self._opened:
            raise not_open(self.name)
        if not self._started:
            self.open()
        try:
            yield from flow()
        except SourceError:
            self._started = False
            raise

    def read(self) -> Reading:
        """The next fresh sample, waiting `patience_seconds` at most.

        Raises:
            SourceTimeout: none came.
            SourceError: whatever the stream raised; the next call starts a new one.
        """
        readings = self._pulled if self._pulled is not None else self.stream()
        deadline_ns = self._clock.monotonic_ns() + round(self.patience_seconds * 1e9)
        self._pulled = None  # a generator that raised is spent
        for reading in readings:
            if reading.fresh or self._clock.monotonic_ns() >= deadline_ns:
                self._pulled = readings
                break
        else:
            raise SourceTimeout(f"{self.name} has ended; open it again")
        if reading.fresh:
            return reading
        quiet = self.silence.format(self.patience_seconds)
        raise SourceTimeout(f"{self.name} {quiet}; check that it is on and still sends")

    def close(self) -> None:
        """Stop the stream and let the device go; twice is fine."""
        started = self._started
        self._opened = self._started = False
        self._pulled = None
        self._stop(started)
