"""How busy the machine was while a program ran: the judge's limits are promises for a quiet one.

A process of its own sleeps for a moment again and again, and computes for a moment every tenth time. It
writes down how late it woke, how long the work took, and how many threads wanted to run. A limit grows by
what was measured within its own window, and by nothing else.
"""

import contextlib
import os
import subprocess
import sys
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TURN_SECONDS = 0.01
_WORK_NS, _EVERY = 2_000_000, 10
"""The work takes about 2 % of a processor."""


class Turn(NamedTuple):
    """One sleep."""

    start: float
    """By the monotonic clock, s."""
    late: float
    running: int
    """Threads of the whole machine that ran or waited for a processor, without this one."""
    slower: float = 1.0
    """The work of the last second took so many times as long as it would alone."""


class Load:
    """What was measured.

    Args:
        turns: in order.
        processors: of the machine.
    """

    def __init__(self, turns: list[Turn], processors: int | None = None) -> None:
        self._turns = turns
        self._starts = [turn.start for turn in turns]
        self._processors = processors or os.cpu_count() or 1

    @classmethod
    def read(cls, path: Path) -> "Load":
        """The load of a program that has ended; nothing was measured where there is no file."""
        lines = path.read_text().splitlines() if path.exists() else []
        fields = [line.split() for line in lines]
        return cls([Turn(float(f[0]), float(f[1]), int(f[2]), float(f[3])) for f in fields if len(f) == 4])

    def late(self, start: float, end: float) -> float:
        """Seconds between two moments in which a process that wanted to run did not."""
        return sum(turn.late for turn in self._within(start, end))

    def allowed(self, seconds: float, start: float, end: float) -> float:
        """How long something may take from ``start`` to ``end`` that is promised in ``seconds``.

        Its work shares the processors with whatever else wants them, and it is woken as late as others.
        """
        turns = self._within(start, end)
        crowds = [max(1.0, turn.slower, turn.running / self._processors) for turn in turns]
        return seconds * sum(crowds) / len(crowds) + self.late(start, end) if turns else seconds

    def _within(self, start: float, end: float) -> list[Turn]:
        """The turns that a window touches."""
        first = max(0, bisect_left(self._starts, start) - 1)
        last = bisect_left(self._starts, end)
        return [turn for turn in self._turns[first:last] if turn.start + TURN_SECONDS + turn.late >= start]


@contextlib.contextmanager
def measured(path: Path) -> Iterator[None]:
    """Write the load of the machine to a file meanwhile."""
    # without site: it starts within a few milliseconds
    process = subprocess.Popen([sys.executable, "-I", "-S", __file__, str(path)], stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _watch(path: str) -> None:
    parent, turn, slower = os.getppid(), 0, 1.0
    works: deque[float] = deque(maxlen=10)
    with open(path, "w", buffering=1) as file, open("/proc/loadavg", "rb", buffering=0) as loads:
        while os.getppid() == parent:
            start = time.monotonic()
            time.sleep(TURN_SECONDS)
            late = time.monotonic() - start - TURN_SECONDS
            running = int(os.pread(loads.fileno(), 100, 0).split()[3].partition(b"/")[0]) - 1
            turn += 1
            if turn % _EVERY == 0:
                works.append(_work())
                slower = sum(works) / len(works)
            file.write(f"{start:.6f} {late:.6f} {running} {slower:.3f}\n")


def _work() -> float:
    """Compute for a moment; how many times as long it took."""
    wall, until = time.monotonic_ns(), time.thread_time_ns() + _WORK_NS
    while time.thread_time_ns() < until:
        pass
    return (time.monotonic_ns() - wall) / _WORK_NS


if __name__ == "__main__":
    _watch(sys.argv[1])
