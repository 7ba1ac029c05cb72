"""The log's thread: nothing that happens to a log holds up the sampling or is kept quiet."""

import contextlib
import os
import threading

import pytest
from devices.rows import row_of

from energymeter import Trace
from energymeter.energy.integrate import Integrator, Sample
from energymeter.errors import LogError
from energymeter.reading import Facts, Reading
from energymeter.recordings import writer
from energymeter.recordings.writer import open_recorder
from energymeter.sampling import log_writer
from energymeter.sampling.log_writer import LogWriter
from energymeter.sampling.memory import (
    HEAD_BYTES,
    ChannelMemory,
    Count,
    CurveWriter,
    Head,
    LogState,
    channel_bytes,
)

SAMPLE = Sample(0, 1.0, None, None, 0, 0.0, 3.0, None, None)


class Disk:
    """A recorder whose disk can be held up, or fails."""

    def __init__(self):
        self.rows = self.closed = 0
        self.ready = threading.Event()
        self.ready.set()
        self.busy = threading.Event()
        self.error = None
        self.waits = self.abandoned = self.ended_early = False
        self._buffered = 0

    def row(self, channel, sample):
        self._buffered += 1

    def flush(self):
        self.busy.set()
        self.ready.wait(20)
        if self.error is not None:
            raise self.error
        self.rows += self._buffered
        self._buffered = 0

    def abandon(self):
        self.abandoned = True

    def close(self, window_ns=None, spans=None, end=None):
        self.closed += 1
        self.flush()

    def end_early(self):
        self.ended_early = True


@pytest.fixture
def disk():
    made = Disk()
    yield made
    made.ready.set()


@pytest.fixture
def head():
    return Head(memoryview(bytearray(HEAD_BYTES)))


@pytest.fixture
def log(disk, head, tmp_path):
    made = LogWriter(str(tmp_path / "run.csv"), disk, head)
    made.start()
    return made


def test_every_row_is_written_and_counted(log, disk, head):
    record = log.recording(0)
    for _ in range(1000):
        record(0, SAMPLE)
    log.close()
    assert disk.rows == head.counts[Count.RECORDED_ROWS] == 1000
    assert disk.closed == 1
    assert head.error == ""


def test_a_disk_that_stands_still_costs_rows_and_they_are_counted(log, disk, head, monkeypatch):
    monkeypatch.setattr(log_writer, "QUEUE_ROWS", 50)
    disk.ready.clear()
    record = log.recording(0)
    record(0, SAMPLE)
    log.flush()
    disk.busy.wait(20)
    for _ in range(80):
        record(0, SAMPLE)  # returns, however long the disk takes
    assert head.counts[Count.LOST_ROWS] == 30
    disk.ready.set()
    log.close()
    assert head.counts[Count.RECORDED_ROWS] == 51


def test_a_recording_that_is_played_waits_for_the_log(log, disk, head, monkeypatch):
    monkeypatch.setattr(log_writer, "QUEUE_ROWS", 10)
    record = log.recording(0, patient=True)
    for _ in range(500):
        record(0, SAMPLE)
    log.close()
    assert head.counts[Count.RECORDED_ROWS] == 500
    assert head.counts[Count.LOST_ROWS] == 0


def test_a_log_that_is_stalled_at_the_end_is_reported_and_given_up(log, disk, head, monkeypatch):
    monkeypatch.setattr(log_writer, "GIVE_UP_SECONDS", 0.2)
    disk.ready.clear()
    log.recording(0)(0, SAMPLE)
    log.close()
    assert head.counts[Count.LOG_STATE] == LogState.STALLED
    assert "0 rows are written" in head.error
    assert disk.abandoned


@pytest.fixture
def pipe(tmp_path):
    """A named pipe that is full and that nobody reads."""
    path = tmp_path / "log.csv"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    yield str(path)
    os.close(reader)
    os.close(writing)


def test_a_pipe_that_nobody_reads_is_refused(pipe, monkeypatch):
    monkeypatch.setattr(writer, "_HEADER_SECONDS", 0.05)
    with pytest.raises(LogError, match="nobody reads it"):
        open_recorder(pipe, {}, ["a"], 0, force=True, resume=False)


def test_a_thread_does_not_wait_for_a_pipe_that_was_given_up(pipe, head, monkeypatch):
    monkeypatch.setattr(writer, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(log_writer, "GIVE_UP_SECONDS", 0.2)
    recorder = open_recorder(_emptied(pipe), {}, ["a"], 0, force=True, resume=False)
    log = LogWriter(pipe, recorder, head)
    log.start()
    record = log.recording(0)
    for _ in range(5000):
        record(0, SAMPLE)
    log.close()
    log._thread.join(20)
    assert not log._thread.is_alive()
    assert "nobody reads it" in head.error


def _emptied(path):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.read(fd, 65_536)
    os.close(fd)
    return path


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(28, "No space left on device"), "after 0 rows: No space left on device"),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "no"), "after 0 rows: UnicodeEncodeError: "),
        (MemoryError(), "after 0 rows: MemoryError"),
    ],
)
def test_whatever_goes_wrong_ends_the_log_with_its_reason(log, disk, head, error, says):
    disk.error = error
    record = log.recording(0)
    record(0, SAMPLE)
    log.flush()
    log._thread.join(20)
    record(0, SAMPLE)
    log.close()
    assert says in head.error
    assert disk.ended_early
    assert disk.closed == 0, "what is not whole must not say that it is"
    assert head.counts[Count.LOST_ROWS] == 0, "it has ended; it does not lose"


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_log_that_ended_early_says_so_also_where_there_is_room_again(head, tmp_path, ending, monkeypatch):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    path = str(tmp_path / f"run.{ending}")
    header = {"channels": [{"name": "a", "facts": Facts()._asdict(), "source": 0}]}
    recorder = open_recorder(path, header, ["a"], 0, force=False, resume=False)
    for second in range(3):
        recorder.row(0, SAMPLE._replace(at_ns=second * 10**9, covered_ns=second * 10**9))
    recorder.flush()
    flush = recorder.flush

    def fails():
        monkeypatch.setattr(recorder, "flush", flush)  # there is room again
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder, "flush", fails)
    log = LogWriter(path, recorder, head)
    log.start()
    log.recording(0)(0, SAMPLE._replace(at_ns=10**10, covered_ns=10**10))
    log.flush()
    log._thread.join(20)
    log.close()
    assert "No space left on device" in head.error
    assert "its end is missing" in " ".join(Trace.load(path).notes)


def test_without_a_thread_the_log_ends_with_its_reason(disk, head, tmp_path, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    log = LogWriter(str(tmp_path / "run.csv"), disk, head)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    log.start()
    log.recording(0)(0, SAMPLE)
    assert "can't start new thread" in head.error


@pytest.mark.parametrize("started", [True, False])
def test_a_log_that_nobody_wants_is_removed(disk, head, tmp_path, started):
    path = tmp_path / "run.parquet"
    path.touch()
    parts = tmp_path / "run.parquet.parts"
    parts.mkdir()
    log = LogWriter(str(path), disk, head)
    if started:
        log.start()
    log.close(discard=True)
    assert not path.exists()
    assert not parts.exists()
    assert disk.closed == 1


def test_a_pipe_and_a_linked_folder_are_not_removed(disk, head, tmp_path):
    import os

    path, mine = tmp_path / "run.csv", tmp_path / "mine"
    os.mkfifo(path)
    mine.mkdir()
    (mine / "thesis.tex").touch()
    (tmp_path / "run.csv.parts").symlink_to(mine)
    log = LogWriter(str(path), disk, head)
    log.close(discard=True)
    assert path.exists()
    assert (mine / "thesis.tex").exists()


@pytest.mark.parametrize("names", [["a"], ["a", 'b "2", #c']])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("written", [0, 1, 50])
def test_what_a_killed_sampler_had_taken_is_in_its_log(head, tmp_path, ending, names, written):
    """The power changed in what was not written yet: a second of 5 W, a gap of 3 s, a second of 1 W."""
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    path = str(tmp_path / f"run.{ending}")
    header = {"channels": [{"name": name, "facts": Facts()._asdict(), "source": 0} for name in names]}
    recorder = open_recorder(path, header, names, 7, force=False, resume=False)
    memories = [ChannelMemory(memoryview(bytearray(channel_bytes(1024))), 1024) for _ in names]
    integrators = [Integrator(Facts(), 30_000_000) for _ in names]

    def take(times_ms, watts):
        for at_ms in times_ms:
            for number, memory in enumerate(memories):
                sample = integrators[number].add(7 + at_ms * 10**6, Reading(watts=watts))
                assert sample is not None
                CurveWriter(memory).append(row_of(sample))
                yield number, sample

    for row, (number, sample) in enumerate(take(range(0, 1001, 10), 5.0)):
        if row < written:
            recorder.row(number, sample)
            if ending != "parquet":
                recorder.flush()
    if ending == "parquet" and written:
        recorder._write_group()
    resumed = open_recorder(path, header, names, 7, force=False, resume=True)
    log = LogWriter(path, resumed, head)
    log.catch_up(memories)
    log.start()
    integrators = [Integrator(Facts(), 30_000_000, memory.last()) for memory in memories]
    for number, sample in take(range(4000, 5001, 10), 1.0):
        log.recording(0)(number, sample)
    log.close()
    assert head.error == ""
    for part in Trace.load(path).parts:
        assert part.notes == ()
        assert len(part) == 202
        assert part.gaps() == [(1.0, 4.0)]
        assert part.usage(0.5, 1.0).joules == pytest.approx(2.5)
        assert part.usage(0.5, 3.0).coverage == pytest.approx(0.2)
