"""The log's thread at its limits: how much waits, how long it is waited for, and what is said of it."""

import json
import os
import threading
from types import SimpleNamespace

import pytest

from energymeter.energy.integrate import Sample
from energymeter.sampling import log_writer
from energymeter.sampling.log_writer import LogWriter
from energymeter.sampling.memory import HEAD_BYTES, LETTER_BYTES, Count, Head, Letter, LogState

SAMPLE = Sample(0, 1.0, None, None, 0, 0.0, 3.0, None, None)
SECOND = 1_000_000_000


class Recorder:
    """Keeps what it is given."""

    def __init__(self):
        self.kept, self.flushed, self.closed, self.abandoned, self.ended_early = [], 0, [], 0, 0
        self.waits = False
        self.newest_ns = [0.0]
        self.error = None

    @property
    def rows(self):
        return len(self.kept)

    def row(self, channel, sample):
        if self.error is not None:
            raise self.error
        self.kept.append((channel, sample))

    def flush(self):
        self.flushed += 1

    def close(self, *said):
        self.closed.append(said)

    def abandon(self):
        self.abandoned += 1

    def end_early(self):
        self.ended_early += 1


@pytest.fixture
def memory():
    return memoryview(bytearray(HEAD_BYTES + LETTER_BYTES))


def writer(memory, path="/nonexistent/run.csv", before=0, letter=True):
    head, recorder = Head(memory), Recorder()
    head.counts[Count.RECORDED_ROWS] = before
    return LogWriter(path, recorder, head, Letter(memory) if letter else None), recorder, head


def test_rows_wait_in_a_queue_of_16384_and_the_rest_is_lost(memory):
    log, recorder, head = writer(memory)
    record = log.recording(3)
    for _ in range(16_384):
        record(2, SAMPLE)
    assert head.counts[Count.LOST_ROWS] == 0
    record(2, SAMPLE)
    record(2, SAMPLE)
    assert head.counts[Count.LOST_ROWS] == 2
    log._write_queue()
    assert (recorder.rows, recorder.kept[0]) == (16_384, (5, SAMPLE))
    record(2, SAMPLE)
    assert head.counts[Count.LOST_ROWS] == 2


def test_the_thread_is_woken_by_the_257th_row(memory):
    log, *_ = writer(memory)
    record = log.recording(0)
    for _ in range(256):
        record(0, SAMPLE)
    assert not log._wake.is_set()
    record(0, SAMPLE)
    assert log._wake.is_set()
    log._wake.clear()
    record(0, SAMPLE)
    assert not log._wake.is_set(), "once"
    log.flush()
    assert log._wake.is_set()


@pytest.mark.parametrize(
    ("left", "stop", "fails", "waits"),
    [(11, 0, False, True), (10, 0, False, False), (11, 1, False, False), (11, 0, True, False)],
)
def test_a_recording_waits_until_half_of_the_queue_is_free(memory, monkeypatch, left, stop, fails, waits):
    monkeypatch.setattr(log_writer, "QUEUE_ROWS", 20)
    log, _, head = writer(memory)
    log._queue.extend([(0, SAMPLE)] * left)
    head.counts[Count.STOP] = stop
    log._failed = fails
    now, sleeps = [0.0], []

    def sleep(seconds):
        sleeps.append(seconds)
        now[0] += 1.0

    monkeypatch.setattr(log_writer, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    log._wait_for_room()
    assert sleeps == ([0.001] * 10 if waits else []), "ten seconds at most"
    assert log._wake.is_set()


@pytest.mark.parametrize(
    ("window", "said"),
    [((5, 9), (5, 9)), ((0, 9), None), ((9, 9), None), ((9, 5), None), ((0, 0), None)],
)
def test_a_log_is_closed_with_what_the_program_said(memory, window, said):
    log, recorder, head = writer(memory)
    head.counts[Count.WINDOW_START_NS], head.counts[Count.WINDOW_END_NS] = window
    Letter(memory).write(json.dumps({"spans": {"a": 1}, "throttled": 5}))
    log.close()
    ((found, spans, end),) = recorder.closed
    assert (found, spans) == (said, {"a": 1})
    if said is None:
        assert end is None
    else:
        assert end["throttled"] == 5
        assert end["unix_s"] > 1e9
        assert end["monotonic_ns"] > 0
    assert head.counts[Count.LOG_STATE] == LogState.FINISHING


def test_a_log_without_a_letter_says_nothing_of_spans(memory):
    log, recorder, _ = writer(memory, letter=False)
    log.close()
    assert recorder.closed == [(None, None, None)]
    log, recorder, _ = writer(memory)
    log.close()
    assert recorder.closed == [(None, None, None)]


def test_rows_are_counted_on_top_of_those_before(memory):
    log, _, head = writer(memory, before=100)
    record = log.recording(0)
    for _ in range(3):
        record(0, SAMPLE)
    log.close()
    assert head.counts[Count.RECORDED_ROWS] == 103
    log, recorder, head = writer(memory, before=100)
    log.recording(0)(0, SAMPLE)
    recorder.error = OSError(28, "No space left on device")
    log.close()
    assert head.error == "the log stopped after 100 rows: No space left on device"
    assert (recorder.ended_early, recorder.closed) == (1, [])


class Thread:
    """A thread that ends after so many looks, and makes progress at some of them."""

    def __init__(self, log, looks, steps=(), computes=()):
        self.ident, self.native_id = 1, 1
        self._log, self._left, self._steps = log, looks, set(steps)
        self.joined, self.now = [], 0.0
        log._computes = lambda: len(self.joined) in computes

    def is_alive(self):
        return self._left > 0

    def join(self, seconds):
        self.joined.append(seconds)
        self.now += seconds
        self._left -= 1
        if len(self.joined) in self._steps:
            self._log._steps += 1


def closed(memory, monkeypatch, looks, waits=True, **options):
    log, recorder, head = writer(memory, before=7)
    log._thread = thread = Thread(log, looks, **options)
    recorder.waits = waits
    monkeypatch.setattr(log_writer, "time", SimpleNamespace(monotonic=lambda: thread.now))
    log.close()
    return thread, recorder, head


def test_a_log_that_stands_still_for_a_tenth_of_a_second_is_said_to_be_stalled(memory, monkeypatch):
    thread, recorder, head = closed(memory, monkeypatch, 5)
    assert (head.counts[Count.LOG_STATE], head.error) == (LogState.FINISHING, "")
    thread, recorder, head = closed(memory, monkeypatch, 7)
    assert set(thread.joined) == {0.02}
    assert head.counts[Count.LOG_STATE] == LogState.STALLED
    assert head.error == (
        "the log was not finished when the block was left (7 rows are written): its disk is slow or its "
        "reader has stopped"
    )
    assert recorder.abandoned == 0


def test_a_log_that_goes_on_is_waited_for(memory, monkeypatch):
    *_, head = closed(memory, monkeypatch, 100, steps=range(0, 100, 4))
    assert head.counts[Count.LOG_STATE] == LogState.FINISHING
    *_, head = closed(memory, monkeypatch, 100, waits=False, computes=range(101))
    assert head.counts[Count.LOG_STATE] == LogState.FINISHING
    *_, head = closed(memory, monkeypatch, 100, waits=True, computes=range(101))
    assert head.counts[Count.LOG_STATE] == LogState.STALLED, "it waits for its reader"


def test_a_log_that_is_stalled_is_abandoned_after_ten_seconds(memory, monkeypatch):
    thread, recorder, _ = closed(memory, monkeypatch, 10_000)
    assert recorder.abandoned == 1
    assert 10.0 < thread.now < 10.05


@pytest.mark.parametrize(
    ("text", "runs"), [("7 (a) R 1", True), ("7 (a R) S 1", False), ("7 (a) D 1", False)]
)
def test_whether_a_thread_runs(monkeypatch, tmp_path, text, runs):
    import builtins

    path = tmp_path / "stat"
    path.write_text(text)
    real = builtins.open
    monkeypatch.setattr(
        builtins, "open", lambda name, *rest: real(path if "/task/5/" in str(name) else name, *rest)
    )
    assert log_writer._runs("5") is runs
    monkeypatch.undo()
    assert log_writer._runs("99999999") is True, "it has just ended"


@pytest.mark.parametrize("own_process", [True, False])
def test_which_threads_may_compute_for_the_log(memory, monkeypatch, own_process):
    """In a process of its own all but the one that asks; in a program the log's alone."""
    log, *_ = writer(memory)
    log._own_process = own_process
    log._thread = SimpleNamespace(native_id=12)
    mine = str(threading.get_native_id())
    monkeypatch.setattr(os, "listdir", lambda path: [mine, "12", "13"])
    asked = []
    monkeypatch.setattr(log_writer, "_runs", lambda thread: bool(asked.append(thread)))
    assert log._computes() is False
    assert asked == (["12", "13"] if own_process else ["12"])
    monkeypatch.setattr(log_writer, "_runs", lambda thread: thread == "12")
    assert log._computes() is True


def test_a_log_in_a_process_of_its_own_takes_its_turn_and_gives_it_back(memory, monkeypatch):
    log, *_ = writer(memory)
    done = []
    granted = [True]
    monkeypatch.setattr(log_writer.priority, "take", lambda: done.append("take") or granted[0])
    monkeypatch.setattr(log_writer.priority, "give_back", lambda: done.append("give back"))
    log._write_queue()
    assert done == []
    log._own_process = True
    log._write_queue()
    assert done == ["take", "give back"]
    granted[0] = False
    done.clear()
    log._write_queue()
    assert done == ["take"]
    assert log._steps == 3
