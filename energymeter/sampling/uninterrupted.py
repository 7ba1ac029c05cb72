"""Runs a piece of work to its end, whatever a signal handler raises meanwhile."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def uninterrupted(work: Callable[[], T], undo: Callable[[T], object]) -> T:
    """Do the work in a thread, where no exception of a signal handler can cut it short, and wait for it.

    Python runs signal handlers, and raises Ctrl-C, in the main thread only, between any two instructions. A
    caller that is interrupted while it waits leaves; what the work made is then undone.

    Raises:
        BaseException: what the work raised.
    """
    made: list[T] = []
    failures: list[BaseException] = []
    deciding = threading.Lock()
    abandoned = False

    def run() -> None:
        try:
            outcome = work()
        except BaseException as failure:  # noqa: BLE001 - raised in the caller
            failures.append(failure)
            return
        with deciding:
            made.append(outcome)
            late = abandoned
        if late:
            undo(outcome)

    thread = threading.Thread(target=run, name="energymeter-work", daemon=True)
    try:
        try:
            thread.start()
        except RuntimeError:  # no thread is left, or the interpreter is about to end
            run()
        else:
            thread.join()
    except BaseException:
        with deciding:
            abandoned, done = True, list(made)
        for outcome in done:
            undo(outcome)
        raise
    if failures:
        raise failures[0]
    return made[0]
