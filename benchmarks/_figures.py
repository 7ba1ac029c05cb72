"""What benchmarks share: figures with their targets, timing in turn, the CPU time of other processes."""

import compileall
import contextlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
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


def in_turn(
    work: dict[str, Callable[[], object]],
    repetitions: int,
    clock: Callable[[], float] = time.perf_counter,
    pick: Callable[[list[float]], float] = statistics.median,
) -> dict[str, float]:
    """Median seconds of each, run in turn so that a busy moment of the machine hits all alike."""
    took: dict[str, list[float]] = {name: [] for name in work}
    for repetition in range(repetitions + 1):
        for name, run in work.items():
            start = clock()
            run()
            if repetition:  # the first warms caches
                took[name].append(clock() - start)
    return {name: pick(seconds) for name, seconds in took.items()}


def processor_in_turn(work: dict[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """CPU seconds of each at its best, its ended children's included: what a busy machine changes least."""
    return in_turn(work, repetitions, _processor_seconds, min)


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


@contextlib.contextmanager
def installed() -> Iterator[str]:
    """The Python of an environment that holds this package alone, as its wheel puts it there.

    The hook of an editable install makes every start slower, a bare one too, and ratios to it smaller.
    """
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, symlinks=True)
        (packages,) = Path(folder).glob("lib/python3*/site-packages")
        shutil.copytree(
            ROOT / "energymeter", packages / "energymeter", ignore=shutil.ignore_patterns("__pycache__")
        )
        compileall.compile_dir(packages, quiet=1)
        yield f"{folder}/bin/python"


def python(*arguments: str, prefix: tuple[str, ...] = ()) -> str:
    """What a fresh interpreter with this tree says."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*prefix, sys.executable, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout


def children_cpu_seconds() -> float:
    """CPU time of the processes that this one started and that still run, to the nanosecond."""
    return sum(processor_ns(child) for child in children(os.getpid())) * 1e-9


def processor_ns(pid: int) -> int:
    """Processor time of a process that runs, without its children's."""
    return sum(int(text.split()[0]) for text in _of_tasks(pid, "schedstat"))


def children(pid: int) -> list[int]:
    """The processes that a process started and that still run."""
    return [int(child) for text in _of_tasks(pid, "children") for child in text.split()]


def _of_tasks(pid: int, name: str) -> Iterator[str]:
    """What a file of each thread says; one that ends meanwhile says nothing."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                yield (task / name).read_text()


_HELD = """
def held_mb(pid="self"):
    with open(f"/proc/{pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6
"""


def measured(code: str) -> list[float]:
    """The numbers that a fresh process prints last; `held_mb` reports it what it held at most."""
    return [float(number) for number in python("-c", _HELD + code).split()[-3:]]
