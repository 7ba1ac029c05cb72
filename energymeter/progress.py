"""A progress bar for loops, whose right end tells what the loop costs."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

_REDRAW_NS = 200_000_000


@contextmanager
def progress_bar(
    name: str, items: Iterable[object], tell: Callable[[], str], wanted: bool | None = None
) -> Iterator[Callable[[], None]]:
    """Show a bar on standard error; yields what to call after every item.

    Args:
        name: shown before the bar.
        items: what is looped over; its length, if it has one, sets the end.
        tell: the text behind the bar, asked five times a second at most.
        wanted: None: only on a terminal.
    """
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield _nothing
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as bar:
        task = bar.add_task(name, total=_length(items), told="")
        done = due_ns = 0

        def advance() -> None:
            nonlocal done, due_ns
            done += 1
            now_ns = time.monotonic_ns()
            if now_ns >= due_ns:
                due_ns = now_ns + _REDRAW_NS
                bar.update(task, completed=done, told=tell(), refresh=True)

        try:
            yield advance
        finally:
            bar.update(task, completed=done, told=tell(), refresh=True)


def _nothing() -> None:
    """No bar is wanted."""


def _length(items: Iterable[object]) -> int | None:
    try:
        return len(items)  # type: ignore[arg-type]
    except TypeError:
        return None
