"""One line of progress on standard error: redrawn on a terminal or in a notebook, now and then in a pipe."""

import shutil
import sys
from collections.abc import Callable
from typing import TextIO

_PIPE_NS = 30_000_000_000
"""Before the first plain line in a pipe or a log file; each further one waits twice as long."""
_NOTEBOOK_COLUMNS = 160
"""A notebook wraps what is too long, and does not tell its width."""


class StatusLine:
    """Nested loops share one line, outermost first. No thread, and nothing is imported for it."""

    def __init__(self, monotonic_ns: Callable[[], int], stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._monotonic_ns = monotonic_ns
        self._live = self._stream.isatty() or "ipykernel" in sys.modules
        self._wait = _PIPE_NS
        self._due = monotonic_ns() + self._wait
        self._texts: dict[str, str] = {}

    def show(self, name: str, text: str) -> None:
        """The present state of the loop ``name``."""
        self._texts[name] = text
        if self._live:
            width = shutil.get_terminal_size().columns - 1 if self._stream.isatty() else _NOTEBOOK_COLUMNS
            self._stream.write("\r\x1b[K" + " ▸ ".join(self._texts.values())[:width])
            self._stream.flush()
        elif self._monotonic_ns() >= self._due:
            self._wait *= 2
            self._due = self._monotonic_ns() + self._wait
            self._plain()

    def end(self, name: str) -> None:
        """The loop is over; the outermost leaves its last state behind."""
        if len(self._texts) == 1:
            if self._live:
                self._stream.write("\n")
            else:
                self._plain()
            self._stream.flush()
        self._texts.pop(name, None)

    def _plain(self) -> None:
        self._stream.write(" ▸ ".join(self._texts.values()) + "\n")


def bar(done: int, total: int, width: int = 20) -> str:
    """A bar of half-width steps.

    >>> bar(1, 4, width=8)
    '━━      '
    """
    halves = min(round(2 * width * done / total), 2 * width) if total else 0
    return ("━" * (halves // 2) + "╸" * (halves % 2)).ljust(width)
