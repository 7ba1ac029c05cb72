"""Progress bars and live lines: tqdm's on a terminal and in a notebook, a plain line now and then elsewhere.

tqdm is loaded when the first bar is shown.
"""

import functools
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

_REDRAW_NS = 200_000_000
_PLAIN_NS = 30_000_000_000
"""Before the first line in a pipe or a log file; each further one waits twice as long."""


def total_of(items: object) -> int | None:
    """The length of what is looped over, if it has one that it can report.

    >>> total_of([1, 2]), total_of(iter([1, 2]))
    (2, None)
    """
    try:
        return len(items)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001  # not only TypeError: a data set's own __len__ may raise anything
        return None


def watched() -> bool:
    """Somebody is there to see a bar: standard error is a terminal, or this is a notebook."""
    return _in_notebook() or _is_terminal(sys.stderr)


class Progress:
    """The bar of one loop. Nested loops have theirs below; the outermost one stays on the screen.

    Standard error may be missing, closed or a broken pipe: then nothing is shown.
    """

    def __init__(
        self, name: str, total: int | None, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._bar: Any = None
        live = watched()
        self._wait_ns = 0 if live else _PLAIN_NS
        self._due_ns = monotonic_ns() + self._wait_ns
        if sys.stderr is not None:
            stream = _Stream(sys.stderr, plain=not live)
            # In a pipe nothing is shown at the beginning.
            self._bar = _bar(stream, live, desc=name, total=total, delay=0.0 if live else 1e-9)
            self._live, outermost = live, self._bar.pos == 0
            self._bar.leave = outermost
            stream.muted = not (live or outermost)

    def due(self) -> bool:
        """It is time to show the loop's state again."""
        return self._monotonic_ns() >= self._due_ns

    def show(self, done: int, text: str) -> None:
        """The state of the loop: how many items are done, and what stands behind the bar."""
        if self._bar is None:
            return
        self._wait_ns = _REDRAW_NS if self._live else 2 * self._wait_ns
        self._due_ns = self._monotonic_ns() + self._wait_ns
        self._note(done, text)
        self._bar.refresh()

    def close(self, done: int, text: str) -> None:
        """The loop is over."""
        if self._bar is not None:
            self._note(done, text)
            self._bar.close()

    def _note(self, done: int, text: str) -> None:
        self._bar.n = done
        self._bar.set_postfix_str(text, refresh=False)


class LiveLine:
    """A line that the next one replaces, on a terminal only."""

    def __init__(self, stream: TextIO) -> None:
        self._bar: Any = None
        if _is_terminal(stream):
            self._bar = _bar(_Stream(stream, plain=False), True, total=0, bar_format="{desc}", leave=False)

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._bar is not None:
            self._bar.set_description_str(text)

    def close(self) -> None:
        """Take the line away."""
        if self._bar is not None:
            self._bar.close()


class _Stream:
    """Standard error, which never raises; in a pipe each state is a line of its own."""

    def __init__(self, stream: TextIO, *, plain: bool) -> None:
        self._stream, self._plain, self.muted = stream, plain, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> None:
        if self._plain:
            text = text.strip()
            text = f"{text}\n" if text else ""
        self._try(lambda: self._stream.write(text))

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            if not self.muted:
                action()
        except (OSError, ValueError):  # closed, or nobody reads the pipe any more
            self.muted = True


def _bar(stream: _Stream, live: bool, **options: Any) -> Any:
    if not live:
        return _bar_type()(file=stream, **options)
    if _in_notebook():
        return _bar_type()(file=stream, dynamic_ncols=True, **options)
    columns, lines = _size()
    bar = _bar_type()(file=stream, ncols=columns, nrows=lines, **options)
    bar.dynamic_ncols = lambda _: _size()
    return bar


def _size() -> tuple[int, int]:
    """Of the terminal; a serial console reports 0 by 0, for which 80 by 24 is taken."""
    size = shutil.get_terminal_size()
    return size.columns - 1, size.lines


@functools.cache
def _bar_type() -> Any:
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[misc]
        """A bar without a thread of its own, and without a lock that other processes share."""

        monitor_interval = 0

    def renew_lock() -> None:
        Bar.set_lock(threading.RLock())

    renew_lock()
    os.register_at_fork(after_in_child=renew_lock)  # another thread may hold it
    return Bar


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _in_notebook() -> bool:
    return "ipykernel" in sys.modules
