"""Work that no signal handler's exception cuts short, wherever it is raised."""

import itertools
import os
import sys
import threading
import time

import pytest
from devices.processes import PATIENCE_SECONDS

from energymeter.sampling import uninterrupted as module
from energymeter.sampling.uninterrupted import uninterrupted


def test_it_returns_what_the_work_returns_and_raises_what_it_raises():
    assert uninterrupted(lambda: 5) == 5
    with pytest.raises(KeyError, match="mine"):
        uninterrupted(lambda: {}["mine"])


LINES_BEFORE = 6
"""They prepare; who is interrupted there has begun nothing."""


class Interrupted(BaseException):
    """What a signal handler may raise."""


def interrupt_at(line: int):
    """A tracer that raises at the n-th line that this thread executes in the module under test."""
    lines = itertools.count()

    def trace(frame, event, arg):
        if frame.f_code.co_filename != module.__file__ or frame.f_code.co_name == "run":
            return None
        if event == "line" and next(lines) == line:
            sys.settrace(None)
            raise Interrupted
        return trace

    return trace


def interrupted(line: int, *arguments) -> bool:
    sys.settrace(interrupt_at(line))
    try:
        uninterrupted(*arguments)
    except Interrupted:
        return True
    finally:
        sys.settrace(None)
    return False


def threads() -> int:
    """Threads of this process, as the kernel counts them: also one that Python is just starting."""
    return len(os.listdir("/proc/self/task"))


def join_all(before: int) -> None:
    """Wait until all threads that began since then have ended."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while threads() > before:
        assert time.monotonic() < give_up, "a thread is left"
        time.sleep(0)


def test_what_was_made_is_undone_wherever_the_caller_was_interrupted():
    for line in itertools.count():
        made, undone, before = [], [], threads()
        hit = interrupted(line, lambda made=made: made.append(1) or 7, undone.append)
        join_all(before)
        if not hit:
            assert (made, undone) == ([1], [])
            break
        assert len(made) == len(undone), f"line {line}"
    assert line > 8


def test_what_must_be_done_is_done_once_it_was_begun():
    done = []
    for line in itertools.count():
        del done[:]
        before = threads()
        hit = interrupted(line, lambda: done.append(1))
        join_all(before)
        assert len(done) <= 1
        if not hit:
            break
        assert done or line <= LINES_BEFORE, f"line {line}"


def test_without_a_thread_it_works_in_the_caller(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert uninterrupted(lambda: threading.current_thread().name) == "MainThread"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("failure", [RuntimeError, MemoryError])
def test_a_thread_that_cannot_start_keeps_nobody_waiting(monkeypatch, failure, when):
    """Without memory, `Thread.start` fails before the thread exists, or while it runs already."""
    start = threading.Thread.start

    def failing(thread):
        if when == "after":
            start(thread)
        raise failure("too little")

    monkeypatch.setattr(threading.Thread, "start", failing)
    done = []
    assert uninterrupted(lambda: done.append(1) or 5) == 5
    assert done == [1]


def test_a_thread_that_dies_before_its_first_line_keeps_nobody_waiting(monkeypatch):
    """Without memory, a thread is started and cannot even call its function."""
    monkeypatch.setattr(module._thread, "start_new_thread", lambda function, arguments: 1)
    monkeypatch.setattr(module, "_BEGIN_SECONDS", 0.01)
    assert uninterrupted(lambda: threading.current_thread().name) == "MainThread"
    with pytest.raises(KeyError, match="mine"):
        uninterrupted(lambda: {}["mine"])
