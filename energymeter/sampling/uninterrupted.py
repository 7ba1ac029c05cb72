"""Runs a piece of work to its end, whatever a signal handler raises meanwhile."""

from __future__ import annotations

import _thread
import threading

from energymeter.lazy import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


_BEGIN_SECONDS = 1.0
"""Without memory a thread may die before its first line: who has not begun by then never will."""


def uninterrupted(work: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
    """Do the work in a thread, where no exception of a signal handler can cut it short, and wait for it.

    Python runs signal handlers, and raises Ctrl-C, in the main thread only, between any two instructions. A
    caller that is interrupted while it waits leaves immediately; the work goes on.

    Args:
        work: what is done.
        undo: takes back what the work made, if the caller has left; ``None``: it must be done all the same.

    Raises:
        BaseException: what the work raised.
    """
    made: list[T] = []
    failures: list[BaseException] = []
    begun, deciding = threading.Lock(), threading.Lock()
    abandoned = False

    def run() -> None:
        if not begun.acquire(blocking=False):
            return
        try:
            outcome = work()
        except BaseException as failure:  # noqa: BLE001 - raised in the caller
            failures.append(failure)
            return
        with deciding:
            made.append(outcome)
            late = abandoned
        if late and undo is not None:
            undo(outcome)

    try:
        _in_thread(run)
        if not failures:
            return made[0]
    except BaseException:
        with deciding:
            abandoned, done = True, list(made)
        if undo is None:
            _in_thread(run)  # does nothing if it was begun
        elif begun.acquire(blocking=False):
            pass  # it was not begun, and will not be
        else:
            for outcome in done:
                undo(outcome)
        raise
    raise failures[0]


def _in_thread(run: Callable[[], None]) -> None:
    """Run it in a thread, and wait for that.

    An interrupted `threading.Thread.start` may leave a thread that waits forever, and an interrupted ``join``
    raises RuntimeError. So another thread starts it, which is not interrupted, and a lock is waited for.
    """
    refused = False
    begun, ended = _thread.allocate_lock(), _thread.allocate_lock()
    ended.acquire()

    def run_to_the_end() -> None:
        if not begun.acquire(blocking=False):
            return
        try:
            run()
        finally:
            ended.release()

    def start() -> None:
        nonlocal refused
        try:
            threading.Thread(target=run_to_the_end, name="energymeter-work", daemon=True).start()
        except (RuntimeError, MemoryError):
            if begun.acquire(blocking=False):  # it has not begun, and will not
                refused = True
                ended.release()

    try:
        _thread.start_new_thread(start, ())
        while not ended.acquire(timeout=_BEGIN_SECONDS):
            if begun.acquire(blocking=False):
                refused = True
                break
    except (RuntimeError, MemoryError):
        refused = True
    if refused:  # no thread or memory is left, or the interpreter is about to end
        run()
