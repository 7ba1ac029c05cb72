"""What `budget.track` costs an iteration, next to tqdm on the same loop (ratio wanted: at most 3).

`python benchmarks/budget_track.py`. The meter answers
immediately, so that the loop's own cost is seen; both write to a file, as in a pipe.
"""

import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import click
from tqdm import tqdm

from energymeter.battery.battery import Battery
from energymeter.budget.ledger import Ledger
from energymeter.meter import active
from energymeter.meter.budget import Budget

STEPS = 1_000_000


class Figures(NamedTuple):
    """A usage immediately."""

    joules: float
    seconds: float
    coulombs: float | None = None
    coverage: float = 1.0
    uncertainty: float | None = None
    provenance: str = "simulated"
    sources: tuple[str, ...] = ("sim:bench",)


class Meter:
    """Three watts since it was made, always running."""

    sources = ("sim:bench",)

    def __init__(self) -> None:
        self._start = time.monotonic()
        active.begin(self)

    @property
    def usage(self) -> Figures:
        seconds = time.monotonic() - self._start
        return Figures(3 * seconds, seconds)


def nanoseconds(wrap: Callable[[Iterable[int]], Iterable[int]]) -> float:
    """An iteration's cost, the best of five."""
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter_ns()
        for _ in wrap(range(STEPS)):
            pass
        best = min(best, (time.perf_counter_ns() - start) / STEPS)
    return best


def main() -> None:
    """Print both and the ratio."""
    out, sys.stderr = sys.stderr, io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        budget = Budget("bench", Battery.phone(), ledger=Ledger(Path(folder) / "ledger.sqlite3"))
        bare = nanoseconds(lambda items: items)
        meter = Meter()  # held here: the list of running meters holds none
        ours = nanoseconds(lambda items: budget.track(items, meter))
    theirs = nanoseconds(lambda items: tqdm(items, file=io.StringIO()))
    sys.stderr = out
    click.echo(f"bare loop     {bare:6.0f} ns an iteration")
    click.echo(f"budget.track  {ours:6.0f} ns")
    click.echo(f"tqdm          {theirs:6.0f} ns")
    click.echo(f"ratio         {ours / theirs:6.2f}")


if __name__ == "__main__":
    main()
