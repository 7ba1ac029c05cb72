"""A better place in the processor's queue for a sampling thread, where the system grants one.

Next to ten busy programs a thread of normal priority is often late. Real-time priority (round robin, the
lowest of its levels) makes it punctual; it needs ``CAP_SYS_NICE`` or ``ulimit -r 1``. Where it is refused, a
nice value of -10 is asked for, of the thread and of its session (Linux shares a processor out by session
first, sched(7), "The autogroup feature"). The disk follows: Linux derives the I/O class from these
(ioprio_set(2)).

It must never hurt. A loop that takes more than 2 % of a core at 100 Hz (in proportion above, 20 % at most)
gives its real-time priority back, and ``RLIMIT_RTTIME`` ends it for one that cannot even do that.
"""

from __future__ import annotations

import os
import time

from energymeter.lazy import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # `signal` makes enums of its numbers, which takes half of a bare start

_NICE = -10
_SHARE = 0.02
_SHARE_HZ = 100.0
_LARGEST_SHARE = 0.2
_LEAST_NS = 500_000_000
"""The share of less time than this says little."""
_SOFT_MICROSECONDS, _HARD_MICROSECONDS = 200_000, 1_000_000
"""Processor time without a pause: then SIGXCPU, and SIGKILL for what cannot even handle that."""


class Level:
    """What the scheduler granted. Larger is better; 0: nothing was asked for."""

    NORMAL, NICE, REAL_TIME = 1, 2, 3


NAMES = {Level.NORMAL: "normal", Level.NICE: f"nice {_NICE}", Level.REAL_TIME: "real-time"}


class Priority:
    """The priority of one sampling loop's thread.

    Args:
        rate_hz: readings a second.
        real_time: whether to ask for it; not after a sampler was killed, for this may be why.
    """

    def __init__(self, rate_hz: float, *, real_time: bool = True) -> None:
        self.level = 0
        self._real_time = real_time
        self._share = min(_LARGEST_SHARE, _SHARE * max(1.0, rate_hz / _SHARE_HZ))
        self._checked = (0, 0)

    def ask(self) -> None:
        """Ask for the best; called in the thread itself."""
        self.level = _ask(self._real_time)
        self._checked = time.monotonic_ns(), time.thread_time_ns()

    def check(self) -> None:
        """Give real-time priority back if the thread took too much since the last check."""
        now_ns, cpu_ns = time.monotonic_ns(), time.thread_time_ns()
        since_ns, used_ns = self._checked
        if now_ns - since_ns < _LEAST_NS:
            return
        self._checked = now_ns, cpu_ns
        if self.level == Level.REAL_TIME and cpu_ns - used_ns > self._share * (now_ns - since_ns):
            give_back()
            self.level = _ask(real_time=False)


def guard() -> None:
    """Limit what a real-time thread of this process can take before it pauses; called in the main thread."""
    import resource  # a sampling process needs it, and the program does not

    signal.signal(signal.SIGXCPU, lambda *_: give_back_all())
    try:
        resource.setrlimit(resource.RLIMIT_RTTIME, (_SOFT_MICROSECONDS, _HARD_MICROSECONDS))
    except (OSError, ValueError):
        return  # a lower limit is set already


def granted() -> str:
    """What a sampling thread gets on this machine for this user, tried in a thread that ends immediately."""
    import threading  # the sampler does without

    levels: list[int] = []
    trial = threading.Thread(target=lambda: levels.append(_ask(real_time=True, session=False)))
    trial.start()
    trial.join()
    return NAMES[levels[0]]


def described(granted: str) -> str:
    """What was granted, and how to get more.

    >>> described("normal")
    'normal; real-time was refused, allow it with `ulimit -r 1` or CAP_SYS_NICE'
    """
    if granted == NAMES[Level.REAL_TIME]:
        return granted
    return f"{granted}; real-time was refused, allow it with `ulimit -r 1` or CAP_SYS_NICE"


def give_back(thread: int = 0) -> None:
    """Return a thread (0: this one) to the normal class."""
    try:
        os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
    except OSError:
        return  # the thread has ended


def give_back_all() -> None:
    """Return every thread of this process to the normal class."""
    for thread in os.listdir("/proc/self/task"):
        give_back(int(thread))


def take() -> bool:
    """Ask for real-time priority for this thread; True if it was granted."""
    if not hasattr(os, "sched_setscheduler"):
        return False
    try:
        # a command that a source runs begins at normal priority
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError:
        return False
    return True


def _ask(real_time: bool, *, session: bool = True) -> int:
    if real_time and take():
        return Level.REAL_TIME
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)  # on Linux of this thread alone
    except OSError:
        return Level.NORMAL
    if session:
        _raise_session()
    return Level.NICE


def _raise_session() -> None:
    try:
        with open("/proc/self/autogroup", "w") as group:
            group.write(str(_NICE))
    except OSError:
        return  # this system does not group by session
