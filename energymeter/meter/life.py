"""The life of a meter: new, open, running, closed. One lock guards it; none is held while it closes."""

from __future__ import annotations

import os
import threading

from energymeter.errors import SpecError
from energymeter.lazy import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from energymeter.meter.run import Run


class Life:
    """How often a meter was entered, and its run: open from the first entry to the last exit.

    Any thread may enter and leave. Whoever enters while the meter opens or closes waits for that. A forked
    worker goes on reading its parent's run, and never closes it.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self.now_ns = now_ns
        self.running: Run | None = None
        """The run that spans belong to; None outside of a block."""
        self.latest: Run | None = None
        """The run that results are of: the running one, else the last one."""
        self._entered = 0
        self._opening: Run | None = None
        self._closing: Run | None = None
        self._closer = 0
        """The thread that closes."""
        self._changed = threading.Condition()
        self._inside = False
        """A meter is being opened under the lock."""
        self._pid = os.getpid()

    def opening(self, run: Run) -> None:
        """This run is about to start: an interruption releases it."""
        self._opening = run

    def enter(self, started: Callable[[], Run], entered: list[bool]) -> None:
        """One more block; the first one starts a run. If that fails, nothing has changed.

        Args:
            started: makes the run, gives it to `opening`, and starts it.
            entered: is given whether this is the first block, once it is entered.

        Raises:
            SpecError: a signal handler enters a meter that its own thread is opening.
        """
        self.complete()
        with self._lock():
            self._await_closed()
            before, latest = self._entered, self.latest
            try:
                self._inside = True
                if not before:
                    self._opening = None
                    self.latest = started()
                    self.running = self.latest
                self._entered = before + 1
                entered.append(not before)
            except BaseException:
                if not before:
                    self.running, self.latest = None, latest
                    if self._opening is not None:
                        self._opening.release(discard_log=True)
                self._entered = before
                entered.clear()
                raise
            finally:
                self._inside = False

    def leave(self, finish: Callable[[Run], None], left: list[bool]) -> None:
        """One block less; the last one finishes the run.

        Args:
            finish: called without the lock; the run is released after it in any case.
            left: is given whether this was the last block, once it is left.

        Raises:
            SpecError: the meter was not entered as often.
        """
        try:
            self.complete()
            with self._lock():
                self._await_closed()
                if not self._entered:
                    raise SpecError("this meter was left more often than entered; leave each block once")
                last = self._entered == 1
                if last:
                    self._closing, self._closer = self.latest, threading.get_ident()
                left.append(last)
                self._entered -= 1
            if last and self.latest is not None:
                self.running = None
                finish(self.latest)
        finally:
            if self.complete() and not left:
                left.append(True)

    def complete(self) -> bool:
        """Release the run that this thread closes, if there is one, also after an interruption."""
        run = self._closing
        if run is None or self._closer != threading.get_ident():
            return False
        self.running, self._entered = None, 0
        run.release()
        self._closing = None
        with self._changed:
            self._changed.notify_all()
        return True

    def end(self) -> None:
        """Nobody holds the meter any more: release what it had opened."""
        run, self.running, self._entered = self.running, None, 0
        if run is not None:
            run.release()

    def _await_closed(self) -> None:
        while self._closing is not None:
            self._changed.wait()

    def _lock(self) -> threading.Condition:
        """The lock; another one in a forked worker, where the thread that held it does not exist."""
        if os.getpid() != self._pid:
            self._pid, self._changed, self._closing = os.getpid(), threading.Condition(), None
        try:
            self._changed.notify_all()
        except RuntimeError:  # as it should be: this thread does not hold it yet
            return self._changed
        if self._inside:
            raise SpecError("this meter is being opened; enter or leave it when that is done")
        self._changed.release()  # an interruption came just before that
        return self._changed
