"""The sampling process and thread as their program sees them: how long it is waited for, what it says."""

import os
import threading
from types import SimpleNamespace

import pytest

from energymeter import errors
from energymeter.errors import SamplerError, SourceTimeout
from energymeter.reading import Facts
from energymeter.sampling import process, spawn, thread
from energymeter.sampling.config import SourceConfig
from energymeter.sampling.descriptors import anonymous_file
from energymeter.sampling.memory import HEAD_BYTES, Count, Head, LogState, State, Stop
from energymeter.sampling.messages import packed
from energymeter.sampling.process import ProcessHost
from energymeter.sampling.thread import ThreadHost


class Child:
    """A process that ends after so many waits."""

    pid = 77

    def __init__(self, waits, lines=()):
        self.left, self.said, self.done = waits, list(lines), []
        self.now = 0.0

    def wait(self, seconds):
        self.done.append(seconds)
        self.now += seconds
        self.left -= 1
        return self.left <= 0

    def kill(self):
        self.done.append("kill")

    def wake(self):
        self.done.append("wake")

    def release(self):
        self.done.append("release")

    def lines(self, deadline):
        self.deadline = deadline
        yield from self.said


@pytest.fixture
def counts():
    return Head(memoryview(bytearray(HEAD_BYTES))).counts


@pytest.mark.parametrize(
    ("state", "waits", "patience", "ended", "killed"),
    [
        (State.RUNNING, 1, 10.0, True, False), (State.RUNNING, 400, 10.0, True, False),
        (State.RUNNING, 10_000, 10.0, False, True), (State.RUNNING, 10_000, 1.0, False, True),
        (State.ENDED, 10_000, 1.0, True, False), (State.ENDED, 20_000, 1.0, False, True),
    ],
)  # fmt: skip
def test_how_long_a_process_is_waited_for(monkeypatch, counts, state, waits, patience, ended, killed):
    """The last sample may take ten seconds; once its sources are done, its log five minutes."""
    child = Child(waits)
    monkeypatch.setattr(process, "time", SimpleNamespace(monotonic=lambda: child.now))
    counts[Count.STATE] = state
    assert ProcessHost._ended(child, counts, patience) is ended
    assert ("kill" in child.done) is killed
    looks = [wait for wait in child.done if wait != "kill"]
    assert set(looks[: len(looks) - killed]) == {0.02}
    if killed:
        assert looks[-1] == 10.0
        most = 300.0 if state == State.ENDED else patience
        assert 0.02 * (len(looks) - 1) == pytest.approx(most, abs=0.05)


def test_a_log_that_is_stalled_is_finished_by_the_process_alone(monkeypatch, counts):
    child = Child(10_000)
    monkeypatch.setattr(process, "time", SimpleNamespace(monotonic=lambda: child.now))
    counts[Count.LOG_STATE] = LogState.STALLED
    assert ProcessHost._ended(child, counts, 1.0) is True
    assert child.done == [0.02]


@pytest.mark.parametrize("discard", [True, False])
@pytest.mark.parametrize("logs", [True, False])
@pytest.mark.parametrize("ends", [True, False])
def test_a_process_is_stopped_by_a_word_and_a_byte(monkeypatch, discard, logs, ends):
    host = ProcessHost()
    host._child = child = Child(1 if ends else 10_000)
    host._logs = logs
    host.memory = memoryview(bytearray(HEAD_BYTES))
    monkeypatch.setattr(process, "time", SimpleNamespace(monotonic=lambda: child.now))
    host.stop(discard_log=discard, patience=0.5)
    head = Head(host.memory)
    assert head.counts[Count.STOP] == (Stop.DISCARD_LOG if discard else Stop.KEEP_LOG)
    assert (child.done[0], child.done[-1]) == ("wake", "release")
    assert (head.error != "") is (logs and not discard and not ends)
    if head.error:
        assert head.error == (
            "the log was cut short: its process did not end in time and was killed; measure on a machine "
            "that is less busy, or look for a source that hangs"
        )
    assert host.pid is None
    assert not host.alive()
    assert not host.answers()
    host.wake()
    host.cancel()
    host.stop()


@pytest.mark.parametrize(
    ("lines", "words", "error", "says"),
    [
        (
            [packed({"error": "SourceMissing", "message": "gone"})], b"", errors.SourceMissing, "gone",
        ),
        (
            [], b"Traceback\n  line\nKeyError: 'rail'\n", SamplerError,
            "the sampling process ended immediately; look for the reason in its last words: KeyError: 'rail'",
        ),
        (
            [], b"", SamplerError,
            "the sampling process ended immediately; look for the reason in its last words: it has none",
        ),
    ],
)  # fmt: skip
def test_why_a_process_did_not_start(lines, words, error, says):
    file = anonymous_file("test")
    os.write(file.fd, words)
    with pytest.raises(error) as raised:
        process._answer(Child(1, lines), file)
    assert type(raised.value) is error
    assert str(raised.value) == says
    file.close()


def test_a_process_has_fifteen_seconds_to_open_its_sources(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(process, "time", SimpleNamespace(monotonic=lambda: now[0]))
    file = anonymous_file("test")
    child = Child(1, [packed({"bytes": 5, "channels": []})])
    assert process._answer(child, file) == {"bytes": 5, "channels": []}
    assert child.deadline == 115.0

    class Late(Child):
        def lines(self, deadline):
            now[0] += 15.0
            return iter(())

    with pytest.raises(SourceTimeout) as late:
        process._answer(Late(1), file)
    assert str(late.value) == "the source did not open within 15 s; check that its device answers"
    file.close()


def test_samples_that_another_sampler_has_taken_go_on():
    samples = bytearray(range(200))
    host = ProcessHost.continuing(samples)
    assert bytes(host.memory) == bytes(samples)
    assert os.fstat(host._file.fd).st_size == 200
    host.stop()
    assert bytes(host.memory) == bytes(samples), "the mapping stays"
    with pytest.raises(OSError, match="there is no memory yet"):
        ProcessHost().shared()


# A thread


class Sampling:
    """A thread that ends after so many joins."""

    def __init__(self, looks):
        self.left, self.joined, self.now = looks, [], 0.0

    def is_alive(self):
        return self.left > 0

    def join(self, seconds):
        self.joined.append(seconds)
        self.now += seconds
        self.left -= 1


@pytest.mark.parametrize(
    ("state", "log_state", "looks", "seconds"),
    [
        (State.RUNNING, 0, 3, 0.06), (State.RUNNING, 0, 10**6, 10.0), (State.ENDED, 0, 10**6, 300.0),
        (State.RUNNING, LogState.STALLED, 100, 0.0), (State.ENDED, LogState.FINISHING, 600, 12.0),
    ],
)  # fmt: skip
def test_how_long_a_thread_is_waited_for(monkeypatch, state, log_state, looks, seconds):
    host = ThreadHost()
    host.memory = memoryview(bytearray(HEAD_BYTES))
    counts = Head(host.memory).counts
    counts[Count.STATE], counts[Count.LOG_STATE] = state, log_state
    host._thread = sampling = Sampling(looks)
    reading, writing = os.pipe()
    ends = [spawn.Descriptor(reading), spawn.Descriptor(writing)]
    host._wake = ends
    monkeypatch.setattr(thread, "time", SimpleNamespace(monotonic=lambda: sampling.now))
    kept = os.dup(reading)
    host.stop(discard_log=True)
    assert sampling.now == pytest.approx(seconds, abs=0.041)
    assert set(sampling.joined) <= {0.02}
    assert counts[Count.STOP] == Stop.DISCARD_LOG
    assert os.read(kept, 9) == b"!"
    assert not any(end.ours() for end in ends)
    os.close(kept)
    host.stop()
    assert host.alive()
    assert host.pid is None
    host.cancel()


def test_a_program_that_can_start_no_thread(monkeypatch):
    closed = []
    source = SimpleNamespace(
        name="here", facts=Facts(),
        open=lambda: None, read=lambda: None, close=lambda: closed.append(1),
    )  # fmt: skip

    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(thread, "uninterrupted", lambda work, undo=None: work())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SamplerError) as refused:
        ThreadHost().start([SourceConfig(source, 1.0)], None, {})
    assert str(refused.value) == (
        "no thread could be started for the sampling: can't start new thread; end threads, or raise the "
        "limit (ulimit -u)"
    )
    assert closed == [1]
    assert len(os.listdir("/proc/self/fd")) == before


# A child


@pytest.mark.parametrize(
    ("seconds", "pauses"),
    [
        (0.0, []),
        (0.001, [0.0005, 0.0005]),
        (0.2, [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.05, 0.05, 0.0365]),
    ],
)
def test_a_process_is_looked_at_less_and_less_often(monkeypatch, seconds, pauses):
    now, slept = [0.0], []

    def sleep(pause):
        slept.append(pause)
        now[0] += pause

    monkeypatch.setattr(spawn, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    child = spawn._Process(1)
    child.has_ended = lambda: False
    assert child.wait(seconds) is False
    assert slept == pytest.approx(pauses)
    child.has_ended = lambda: True
    assert child.wait(0.0) is True


@pytest.mark.parametrize(
    ("pieces", "found"),
    [
        ([b"a\nb", b"c\n"], [b"a", b"bc"]), ([b"a\n\n"], [b"a", b""]), ([b"half"], []),
        ([b"x" * (1 << 20), b"y\n"], [b"x" * (1 << 20) + b"y"]), ([b"x" * ((1 << 20) + 1), b"y\n"], []),
    ],
)  # fmt: skip
def test_the_lines_of_a_child(monkeypatch, pieces, found):
    """What has no end is no line, nor is what is longer than a megabyte."""
    left = [*pieces]
    child = object.__new__(spawn.Child)
    child._unread, child._answer = b"", SimpleNamespace(fd=5)
    child._readable = lambda seconds: bool(left)
    monkeypatch.setattr(os, "read", lambda fd, most: left.pop(0))
    assert list(child.lines(0.0)) == found
