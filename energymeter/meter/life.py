"""The life of a meter: new, open, running, closed. One lock guards it; none is held while it closes."""

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from energymeter.errors import SpecError

if TYPE_CHECKING:
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
        self._busy = 0
        """The thread that opens or closes; 0: none."""
        self._unfinished: Run | None = None
        """A run that an interruption of its start would leave behind."""
        self._changed = threading.Condition()
        self._pid = os.getpid()

    def hold(self, run: "Run") -> None:
        """This run is about to start: an interruption releases it."""
        self._unfinished = run

    def enter(self, started: "Callable[[], Run]", entered: list[bool]) -> None:
        """One more block; the first one starts a run. If that fails, nothing has changed.

        Args:
            started: makes the run, gives it to `hold`, and starts it.
            entered: is given whether this is the first block, once it is entered.

        Raises:
            SpecError: a signal handler enters a meter that its own thread is opening or closing.
        """
        with self._own_lock():
            self._await_idle()
            before, latest = self._entered, self.latest
            try:
                if not before:
                    self._busy = threading.get_ident()
                    self.latest = started()
                    self.running = self.latest
                self._entered = before + 1
                entered.append(not before)
            except BaseException:
                if not before:
                    self.running, self.latest = None, latest
                    if self._unfinished is not None:
                        self._unfinished.release()
                self._entered = before
                entered.clear()
                raise
            finally:
                self._busy, self._unfinished = 0, None

    def leave(self, finish: "Callable[[Run], None]", left: list[bool]) -> None:
        """One block less; the last one finishes the run.

        Args:
            finish: called without the lock; the run is released after it in any case.
            left: is given whether this was the last block, once it is left.

        Raises:
            SpecError: the meter was not entered as often.
        """
        last: Run | None = None
        try:
            with self._own_lock():
                self._await_idle()
                if not self._entered:
                    raise SpecError("this meter was left more often than entered; leave each block once")
                last = self.latest if self._entered == 1 else None
                left.append(last is not None)
                self._entered -= 1
                if last is None:
                    return
                self._busy = threading.get_ident()
                self.running = None
            finish(last)
        finally:
            if last is not None:  # also if it was interrupted on the way
                self.running, self._entered = None, 0
                last.release()
                with self._own_lock():
                    self._busy = 0
                    self._changed.notify_all()

    def end(self) -> None:
        """Nobody holds the meter any more: release what it had opened."""
        if self.running is not None:
            self.running.release()

    def _await_idle(self) -> None:
        while self._busy:
            if self._busy == threading.get_ident():
                raise SpecError("this meter is being opened or closed; enter or leave it when that is done")
            self._changed.wait()

    def _own_lock(self) -> threading.Condition:
        """The lock; another one in a forked worker, where the thread that held it does not exist."""
        if os.getpid() != self._pid:
            self._pid, self._changed, self._busy = os.getpid(), threading.Condition(), 0
        return self._changed
