"""What streaming meters share: ``read`` made out of ``stream``, and a flow that is started again."""

import time
from collections.abc import Callable, Iterator

from energymeter.errors import SourceError, SourceMissing, SourceTimeout
from energymeter.reading import Reading

_PATIENCE_S = 2.0


class Pull:
    """The ``read`` of a source that streams: its next fresh reading."""

    def __init__(self, name: str, stream: Callable[[], Iterator[Reading]]) -> None:
        self._name = name
        self._stream = stream
        self._readings: Iterator[Reading] | None = None

    def read(self) -> Reading:
        """The next fresh reading, waiting up to two seconds.

        Raises:
            SourceTimeout: none came.
            SourceError: whatever the stream raised; the next call starts a new stream.
        """
        if self._readings is None:
            self._readings = self._stream()
        deadline = time.monotonic() + _PATIENCE_S
        try:
            for reading in self._readings:
                if reading.fresh:
                    return reading
                if time.monotonic() > deadline:
                    break
        except BaseException:
            self._readings = None  # a generator that raised is spent
            raise
        raise SourceTimeout(
            f"{self._name} sent nothing valid within {_PATIENCE_S:g} s: check that the meter is on."
        )

    def reset(self) -> None:
        """Forget the running stream."""
        self._readings = None


class Flow:
    """The life of a meter that streams once it was told to: opened, flowing, told again after a failure.

    Args:
        name: what to call the source in errors.
        start: opens the meter and makes it flow.
        flow: its readings from then on.
    """

    def __init__(self, name: str, start: Callable[[], None], flow: Callable[[], Iterator[Reading]]) -> None:
        self._name = name
        self._start = start
        self._flow = flow
        self._wanted = self._started = False
        self._pull = Pull(name, self.stream)

    def open(self) -> None:
        """Start it.

        Raises:
            SourceError: whatever the start raised.
        """
        self._started = False
        self._start()
        self._wanted = self._started = True

    def stream(self) -> Iterator[Reading]:
        """Its readings; a flow that failed before is started again first.

        Raises:
            SourceMissing: it was not opened.
            SourceError: whatever the flow raised.
        """
        if not self._wanted:
            raise SourceMissing(f"{self._name} is not open: call open() first.")
        if not self._started:
            self.open()
        try:
            yield from self._flow()
        except SourceError:
            self._started = False
            raise

    def read(self) -> Reading:
        """As `Pull.read`."""
        return self._pull.read()

    def end(self) -> bool:
        """No more of it; whether it flows, and should be told to stop."""
        started = self._started
        self._wanted = self._started = False
        self._pull.reset()
        return started
