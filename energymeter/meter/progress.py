"""A progress bar for loops, whose right end tells what the loop costs."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager

from energymeter.meter.statusline import StatusLine, bar

_REDRAW_NS = 200_000_000


@contextmanager
def progress_bar(
    name: str, items: Iterable[object], tell: Callable[[int], str], line: StatusLine | None
) -> Iterator[Callable[[], None]]:
    """Show a bar on standard error; yields what to call after every item.

    Args:
        name: shown before the bar.
        items: what is looped over; its length, if it has one, sets the end.
        tell: the text behind the bar, given the items done and asked five times a second at most.
        line: where it is shown; None: nowhere.
    """
    if line is None:
        yield _nothing
        return
    total = len(items) if isinstance(items, Sized) else None
    done = due_ns = 0

    def show() -> None:
        count = f"{done}" if total is None else f"{bar(done, total)} {done}/{total}"
        line.show(name, f"{name} {count} · {tell(done)}")

    def advance() -> None:
        nonlocal done, due_ns
        done += 1
        now_ns = time.monotonic_ns()
        if now_ns >= due_ns:
            due_ns = now_ns + _REDRAW_NS
            show()

    try:
        yield advance
    finally:
        show()
        line.end(name)


def wanted(progress: bool | None) -> bool:
    """Whether a bar is shown: as asked, or only where somebody watches."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules if progress is None else progress


def _nothing() -> None:
    """No bar is wanted."""
