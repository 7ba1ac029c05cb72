"""Real time: it waits, it is woken by a message, and the end of a pipe is no message."""

import os
import resource
import subprocess
import sys
import threading
import time

import pytest

from energymeter.sampling.descriptors import close, pipe
from energymeter.sampling.memory import HEAD_BYTES, Count, Head, Stop
from energymeter.sampling.pace import SystemPace

SECOND = 1_000_000_000


@pytest.fixture
def head():
    return Head(memoryview(bytearray(HEAD_BYTES)))


@pytest.fixture
def ends():
    made = pipe()
    yield made
    close(made)


@pytest.fixture
def high_pipe():
    """A pipe whose descriptors ``select`` cannot watch."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    low = os.pipe()
    high = [os.dup2(fd, 1100 + i) for i, fd in enumerate(low)]
    yield high
    for fd in (*low, *high):
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def took(pace, seconds):
    begun = time.monotonic()
    stopped = pace.wait_until(time.monotonic_ns() + round(seconds * 1e9))
    return stopped, time.monotonic() - begun


def test_it_waits_until_the_deadline(head, ends):
    stopped, seconds = took(SystemPace(head, ends[0].fd), 0.02)
    assert not stopped
    assert 0.02 <= seconds < 1.0


@pytest.mark.parametrize("high", [False, True], ids=["low", "high"])
def test_a_message_ends_a_wait(head, ends, high_pipe, high):
    reading, writing = high_pipe if high else (ends[0].fd, ends[1].fd)
    pace = SystemPace(head, reading)
    assert took(pace, 0.003)[0] is False

    def stop():
        head.counts[Count.STOP] = Stop.KEEP_LOG
        os.write(writing, b"!")

    threading.Timer(0.02, stop).start()
    stopped, seconds = took(pace, 30.0)
    assert stopped
    assert seconds < 5.0
    assert pace.wait_until(0), "and every later one: the byte is left for the other loops"


def test_the_end_of_the_pipe_is_no_message(head, ends):
    """A program that becomes a daemon closes whatever it finds open."""
    pace = SystemPace(head, ends[0].fd)
    ends[1].close()
    stopped, seconds = took(pace, 0.08)
    assert not stopped
    assert seconds >= 0.08, "the loop does not spin"
    head.counts[Count.STOP] = Stop.KEEP_LOG
    stopped, seconds = took(pace, 30.0)
    assert stopped
    assert seconds < 1.0, "the word alone is enough"


def test_a_descriptor_that_was_closed_under_it_is_not_waited_for(head, ends):
    pace = SystemPace(head, ends[0].fd)
    close(ends)
    assert took(pace, 0.01)[0] is False


def test_a_question_comes_before_the_deadline_and_is_taken_out_of_the_pipe(head, ends):
    pace = SystemPace(head, ends[0].fd, os.getppid())
    os.write(ends[1].fd, b"!!")
    stopped, seconds = took(pace, 30.0)
    assert not stopped
    assert seconds < 5.0
    assert took(pace, 0.05)[1] >= 0.05, "once"


def test_while_nobody_counts_the_end_of_the_pipe_ends_it(head, ends):
    pace = SystemPace(head, ends[0].fd, os.getppid())
    head.counts[Count.READY_UNTIL_NS] = time.monotonic_ns() + 60_000_000_000
    assert took(pace, 0.001)[0] is False
    ends[1].close()
    stopped, seconds = took(pace, 30.0)
    assert stopped
    assert seconds < 5.0


def test_while_nobody_counts_it_ends_by_itself_after_its_time(head, ends):
    pace = SystemPace(head, ends[0].fd, os.getppid())
    head.counts[Count.READY_UNTIL_NS] = time.monotonic_ns() - 2_000_000_000
    assert took(pace, 0.001)[0] is True


ORPHAN = """
import os, sys, time
from energymeter.sampling.memory import HEAD_BYTES, Head
from energymeter.sampling.pace import SystemPace
pace = SystemPace(Head(memoryview(bytearray(HEAD_BYTES))), 0, int(sys.argv[1]))
print(pace.wait_until(time.monotonic_ns() + 60_000_000_000), flush=True)
"""


@pytest.mark.parametrize("parent_pid", ["os.getpid()", "0"], ids=["near", "out_of_sight"])
def test_the_death_of_the_program_ends_it(parent_pid):
    """``out_of_sight``: in another PID namespace, where getppid() is 0 and only the pipe reports it."""
    middle = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {ORPHAN!r}, str({parent_pid})], stdin=subprocess.PIPE)
"""
    done = subprocess.run(
        [sys.executable, "-c", middle], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.strip() == "True"


def test_a_program_that_is_stopped_between_two_clocks_has_not_slept(head, ends, monkeypatch):
    """The time since boot and the time awake are read one after the other."""
    moments = iter([0, 300_000_000, 300_000_100])  # the second is read long after the first
    pace = SystemPace(head, ends[0].fd)
    pace._boot_clock = 7
    monkeypatch.setattr(time, "monotonic_ns", lambda: next(moments))
    boots = iter([5_000_000_100, 5_300_000_050])
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: next(boots))
    assert pace.suspended_ns() == 5_300_000_050 - 300_000_100
