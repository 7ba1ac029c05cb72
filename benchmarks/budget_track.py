"""What `budget.track` costs an iteration, next to tqdm on the same loop (ratio wanted: at most 3).

`python -m benchmarks.budget_track`; without tqdm only our own figure is reported. The meter answers
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

from energymeter.battery.battery import Battery
from energymeter.budget.ledger import Ledger
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
    """Three watts since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

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
        ours = nanoseconds(lambda items: budget.track(items, Meter()))
    click.echo(f"bare loop     {bare:6.0f} ns an iteration")
    click.echo(f"budget.track  {ours:6.0f} ns")
    try:
        from tqdm import tqdm
    except ImportError:
        sys.stderr = out
        click.echo("tqdm is not installed: pip install tqdm")
        return
    theirs = nanoseconds(lambda items: tqdm(items, file=io.StringIO()))
    sys.stderr = out
    click.echo(f"tqdm          {theirs:6.0f} ns")
    click.echo(f"ratio         {ours / theirs:6.2f}")


if __name__ == "__main__":
    main()
