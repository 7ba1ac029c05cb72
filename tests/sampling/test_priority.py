"""Real-time priority: asked for, reported, and given back by whoever takes too much."""

import os
import resource
import signal
import threading
import time

import pytest

from energymeter.sampling import priority
from energymeter.sampling.priority import NAMES, Level, Priority


class Scheduler:
    """What the system grants, and what was asked of it."""

    def __init__(self, monkeypatch, real_time, nice):
        self.asked = []
        self.real_time, self.nice = real_time, nice
        self.now_ns = self.cpu_ns = 0
        monkeypatch.setattr(os, "sched_setscheduler", self.set_class)
        monkeypatch.setattr(os, "setpriority", self.set_nice)
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.now_ns)
        monkeypatch.setattr(time, "thread_time_ns", lambda: self.cpu_ns)

    def set_class(self, thread, policy, parameter):
        if policy != os.SCHED_OTHER and not self.real_time:
            raise PermissionError(1, "Operation not permitted")
        self.asked.append("normal" if policy == os.SCHED_OTHER else "real-time")

    def set_nice(self, which, thread, nice):
        if not self.nice:
            raise PermissionError(13, "Permission denied")
        self.asked.append(f"nice {nice}")

    def works(self, seconds, share):
        self.now_ns += round(seconds * 1e9)
        self.cpu_ns += round(seconds * share * 1e9)


@pytest.fixture
def scheduler(monkeypatch, tmp_path):
    return lambda **granted: Scheduler(monkeypatch, **granted)


@pytest.mark.parametrize(
    ("real_time", "nice", "level"),
    [(True, True, Level.REAL_TIME), (False, True, Level.NICE), (False, False, Level.NORMAL)],
)
def test_the_best_that_is_granted_is_taken_and_known(scheduler, real_time, nice, level):
    scheduler(real_time=real_time, nice=nice)
    loop = Priority(100.0)
    loop.ask()
    assert loop.level == level


def test_without_real_time_ten_levels_of_niceness_are_asked_for(scheduler):
    granted = scheduler(real_time=False, nice=True)
    Priority(100.0).ask()
    assert granted.asked == ["nice -10"]
    assert NAMES[Level.NICE] == "nice -10"


@pytest.mark.parametrize("failure", [OSError, ValueError])
def test_a_limit_that_is_set_already_stays(monkeypatch, failure):
    def refused(*_):
        raise failure("lower already")

    before = signal.getsignal(signal.SIGXCPU)
    monkeypatch.setattr(resource, "setrlimit", refused)
    try:
        priority.guard()
        assert signal.getsignal(signal.SIGXCPU) is not before
    finally:
        signal.signal(signal.SIGXCPU, before)


def test_a_sampler_that_was_killed_does_not_ask_for_real_time_again(scheduler):
    scheduler(real_time=True, nice=True)
    loop = Priority(100.0, real_time=False)
    loop.ask()
    assert loop.level == Level.NICE


@pytest.mark.parametrize(
    ("rate_hz", "share", "kept"),
    [(10, 0.019, True), (100, 0.019, True), (100, 0.03, False), (1000, 0.19, True), (10_000, 0.21, False)],
)
def test_a_loop_that_takes_too_much_gives_it_back(scheduler, rate_hz, share, kept):
    granted = scheduler(real_time=True, nice=False)
    loop = Priority(rate_hz)
    loop.ask()
    granted.works(1.0, share)
    loop.check()
    assert (loop.level == Level.REAL_TIME) == kept
    assert (granted.asked[-1] == "normal") != kept


def test_a_moment_says_nothing_of_the_share(scheduler):
    granted = scheduler(real_time=True, nice=True)
    loop = Priority(100.0)
    loop.ask()
    granted.works(0.01, 0.9)
    loop.check()
    assert loop.level == Level.REAL_TIME
    granted.works(1.0, 0.9)
    loop.check()
    assert loop.level == Level.NICE


def test_a_trial_leaves_this_thread_as_it_is():
    before = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)
    assert priority.granted() in NAMES.values()
    assert (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)) == before
    assert threading.active_count() >= 1
