"""What streaming meters share: ``read`` made out of ``stream``."""

import time
from collections.abc import Callable, Iterator

from energymeter.errors import SourceTimeout
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
