"""How busy the processor was since the last question, from ``/proc/stat``."""

import os

from energymeter.errors import SourceError, SourceMissing, not_open


class CpuLoad:
    """The share of all cores' time that was not idle.

    The kernel counts in ticks of 10 ms, so asking more than some twenty times a second says little.
    """

    def __init__(self, root: str = "/") -> None:
        self._path = os.path.join(root, "proc/stat")
        self._fd: int | None = None

    def open(self) -> None:
        """Start counting.

        Raises:
            SourceMissing: there is no ``/proc/stat`` here.
        """
        self.close()
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise SourceMissing(
                f"{self._path} cannot be read ({error.strerror}): CPU load needs Linux with /proc mounted"
            ) from error
        self._before = self._ticks()

    def busy(self) -> float | None:
        """Share of time not idle since the last answer, 0..1; None while not one tick has passed."""
        total, idle = self._ticks()
        passed, idled = total - self._before[0], idle - self._before[1]
        if passed <= 0:
            return None
        self._before = (total, idle)
        return min(1.0, max(0.0, 1.0 - idled / passed))

    def close(self) -> None:
        """Let go; twice is fine."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _ticks(self) -> tuple[int, int]:
        """All ticks and the idle ones (idle and iowait). Guest time is in user time already."""
        if self._fd is None:
            raise not_open(self._path)
        line = os.pread(self._fd, 256, 0).split(b"\n")[0].split()
        try:
            ticks = [int(word) for word in line[1:9]]
            idle = ticks[3] + (ticks[4] if len(ticks) > 4 else 0)
        except (ValueError, IndexError):
            raise SourceError(
                f"{self._path} does not begin with the processor's times: is /proc mounted?"
            ) from None
        return sum(ticks), idle
