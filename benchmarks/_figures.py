"""What benchmarks share: figures with their targets, timing in turn, the CPU time of other processes."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Figure(NamedTuple):
    """One result. Small is good unless ``floor`` is given."""

    value: float
    unit: str
    """``×`` is a ratio within one run, and may be compared with another run's."""
    limit: float | None = None
    floor: float | None = None
    remark: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is; None where there is none."""
        if self.floor is not None:
            return self.value >= self.floor
        return None if self.limit is None else self.value <= self.limit


def in_turn(work: dict[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Median seconds of each, run in turn so that a busy moment of the machine hits all alike."""
    took: dict[str, list[float]] = {name: [] for name in work}
    for repetition in range(repetitions + 1):
        for name, run in work.items():
            start = time.perf_counter()
            run()
            if repetition:  # the first warms caches
                took[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in took.items()}


def python(*arguments: str, prefix: tuple[str, ...] = ()) -> str:
    """What a fresh interpreter with this tree says."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*prefix, sys.executable, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout


def children_cpu_seconds() -> float:
    """CPU time of the processes that this one started and that still run, to the nanosecond."""
    total_ns = 0
    for task in os.listdir("/proc/self/task"):
        children = Path(f"/proc/self/task/{task}/children").read_text().split()
        for thread in (path for child in children for path in Path(f"/proc/{child}/task").iterdir()):
            total_ns += int((thread / "schedstat").read_text().split()[0])
    return total_ns * 1e-9
