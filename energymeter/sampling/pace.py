"""Time as the sampling loops see it: when to read next, and when to stop.

Stopping is a message, not the end of a pipe: a word in shared memory says what is asked, and a byte in a pipe
wakes whoever waits. So it does not matter who else holds the pipe, such as a forked worker, or who closed it.
Only while a process stays ready for another block does the end of the pipe end it: nobody counts then.
"""

from __future__ import annotations

import os
import select
import time

from energymeter.lazy import TYPE_CHECKING, Protocol
from energymeter.sampling.memory import Count, Head

if TYPE_CHECKING:
    from collections.abc import Callable


_LONGEST_WAIT_SECONDS = 1.0
_BLIND_WAIT_SECONDS = 0.05
"""Without its pipe a loop cannot be woken; it looks at the word this often."""
_STOP, _READY_UNTIL_NS = Count.STOP, Count.READY_UNTIL_NS  # looked at for every sample, found once
_LOOK_NS = 200_000_000
"""The pipe ends with the program, unless a forked worker holds it: then this often is soon enough."""
_CLOCK_TRIES, _TOGETHER_NS = 10, 10_000_000
"""Two clocks that were read further apart say nothing of a sleep."""
_GRACE_NS = 1_000_000_000
"""How much longer a process stays ready than it was asked to: it is the program that ends it."""
_MANY_BYTES = 4096
_FD_SETSIZE = 1024
"""``select`` waits to the microsecond, for descriptors below this; ``poll`` to the millisecond, for any."""


class Pace(Protocol):
    """What a loop needs to know of time."""

    def now_ns(self) -> int:
        """``time.monotonic_ns()`` or a test's own time."""

    def wait_until(self, deadline_ns: int) -> bool:
        """Let time pass until the deadline; True as soon as the loop should stop.

        It may come back early: somebody asks for a sample.
        """

    def suspended_ns(self) -> int:
        """How long this machine has slept since boot; monotonic time does not count it."""

    def cpu_ns(self) -> int:
        """Processor time that sampling has taken so far."""


class SystemPace:
    """Real time. Stops when asked, or when the program that it measures has died.

    Args:
        head: the session's; its ``Count.STOP`` says whether to stop.
        wake_fd: becomes readable together with that.
        parent_pid: of the measured program, if this is a process of its own; 0: it is in another PID
            namespace.
        memory_fd: the shared memory. A program that replaced itself by another (``exec``) has it no more.
    """

    now_ns = staticmethod(time.monotonic_ns)

    def __init__(
        self, head: Head, wake_fd: int, parent_pid: int | None = None, memory_fd: int | None = None
    ) -> None:
        self._counts = head.counts
        self._wake_fd = wake_fd
        self._woken: Callable[[float], bool] | None = _waiter(wake_fd)
        self._parent_pid = parent_pid
        self._inode = os.fstat(memory_fd).st_ino if memory_fd is not None else None
        self._look_ns = self._checked_ns = 0
        self._boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
        self._asleep_ns = 0
        # a process of its own does nothing else, its start included; of the program, only this thread samples
        self.cpu_ns = time.thread_time_ns if parent_pid is None else time.process_time_ns

    def wait_until(self, deadline_ns: int) -> bool:
        counts, woken = self._counts, self._woken
        while True:
            now_ns = time.monotonic_ns()
            seconds = (deadline_ns - now_ns) * 1e-9
            if woken is None:
                time.sleep(min(max(seconds, 0.0), _BLIND_WAIT_SECONDS))
            else:
                wait_seconds = 0.0 if seconds < 0.0 else seconds
                try:
                    readable = woken(
                        wait_seconds if wait_seconds < _LONGEST_WAIT_SECONDS else _LONGEST_WAIT_SECONDS
                    )
                except (OSError, ValueError):
                    readable = True
                if readable and not counts[_STOP]:
                    if self._asked():
                        return False
                    # nobody asked: the other end was closed, by the program's death or by the program
                    woken = self._woken = None
                    continue
            if counts[_STOP]:
                return True
            if now_ns >= self._look_ns or woken is None or seconds >= _LONGEST_WAIT_SECONDS:
                self._look_ns = now_ns + _LOOK_NS
                if self._parent_pid is not None and self._orphaned(self._parent_pid):
                    return True
            if counts[_READY_UNTIL_NS] and self._nobody_comes(counts[_READY_UNTIL_NS]):
                return True
            if seconds <= (_LONGEST_WAIT_SECONDS if woken is not None else _BLIND_WAIT_SECONDS):
                return False

    def _asked(self) -> bool:
        """Whether a byte came, taken out of the pipe; False: the pipe has ended.

        Only in a process of its own: in the program, the number may be that of a file of the program's.
        """
        if self._parent_pid is None:
            return False
        try:
            return bool(os.read(self._wake_fd, _MANY_BYTES))
        except OSError:
            return False

    def _nobody_comes(self, until_ns: int) -> bool:
        """Whether a process that stays ready is to end by itself: its program is another one, or is stuck."""
        return self._woken is None or time.monotonic_ns() > until_ns + _GRACE_NS

    def _orphaned(self, parent_pid: int) -> bool:
        if parent_pid == 0:  # out of sight: its death closes the pipe
            return self._woken is None
        return os.getppid() != parent_pid or (self._woken is None and self._replaced(parent_pid))

    def _replaced(self, parent_pid: int) -> bool:
        """Whether the process is another program now; looked up once a second."""
        now_ns = time.monotonic_ns()
        if self._inode is None or now_ns < self._checked_ns + _LONGEST_WAIT_SECONDS * 1e9:
            return False
        self._checked_ns = now_ns
        try:
            with open(f"/proc/{parent_pid}/maps") as maps:
                return not any(line.split(maxsplit=5)[4] == str(self._inode) for line in maps)
        except OSError:  # there is no /proc, or the program has other rights now
            return False

    def suspended_ns(self) -> int:
        if self._boot_clock is None:
            return 0
        now_ns = time.monotonic_ns()
        asleep_ns = time.clock_gettime_ns(self._boot_clock) - now_ns
        if not -_TOGETHER_NS <= asleep_ns - self._asleep_ns <= _TOGETHER_NS:
            self._asleep_ns = self._slept_so_far(self._boot_clock)
        return self._asleep_ns

    @staticmethod
    def _slept_so_far(boot_clock: int) -> int:
        # a busy machine may stop this program between the two clocks: then they are read again
        asleep_ns, before_ns = 0, time.monotonic_ns()
        for _ in range(_CLOCK_TRIES):
            boot_ns, after_ns = time.clock_gettime_ns(boot_clock), time.monotonic_ns()
            asleep_ns = boot_ns - after_ns
            if after_ns - before_ns < _TOGETHER_NS:
                break
            before_ns = after_ns
        return asleep_ns


def _waiter(fd: int) -> Callable[[float], bool]:
    """Waits at most so many seconds for a descriptor to become readable; True if it is."""
    if fd < _FD_SETSIZE:
        fds = [fd]
        return lambda seconds: bool(select.select(fds, (), (), seconds)[0])
    poll = select.poll()
    poll.register(fd, select.POLLIN)

    def wait(seconds: float) -> bool:
        end = time.monotonic() + seconds
        if poll.poll(int(seconds * 1e3)):
            return True
        time.sleep(max(0.0, end - time.monotonic()))  # less than a millisecond
        return False

    return wait
