"""Time as an argument: the system's clock, and one that a test moves by hand."""

import time


class Clock:
    """What the package needs of a clock."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that never step; every sample and span edge is on this clock."""
        raise NotImplementedError

    def time(self) -> float:
        """Seconds since 1970 UTC; for dates in files, never for durations."""
        raise NotImplementedError

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass; zero or less returns immediately."""
        raise NotImplementedError


class SystemClock(Clock):
    """The clock of this machine.

    >>> SystemClock().sleep(-1.0)
    """

    monotonic_ns = staticmethod(time.monotonic_ns)
    time = staticmethod(time.time)

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


class ManualClock(Clock):
    """A clock that moves only by hand; sleeping on it takes no time.

    >>> clock = ManualClock()
    >>> clock.sleep(1.5)
    >>> clock.monotonic_ns()
    1500000000
    """

    def __init__(self, start_ns: int = 0, epoch: float = 1_700_000_000.0) -> None:
        self._now_ns = start_ns
        self._epoch = epoch - start_ns / 1e9

    def monotonic_ns(self) -> int:
        return self._now_ns

    def time(self) -> float:
        return self._epoch + self._now_ns / 1e9

    def sleep(self, seconds: float) -> None:
        self._now_ns += max(0, round(seconds * 1e9))
