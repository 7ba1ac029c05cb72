"""What a session makes of its sources before and while it runs: rates, cards, priorities, and their end."""

import errno
import os

import pytest

from energymeter.energy.correction import Correction
from energymeter.errors import LogError, SamplerError, SpecError
from energymeter.reading import Facts, Reading
from energymeter.sampling import child, priority
from energymeter.sampling.config import LogConfig, SourceConfig
from energymeter.sampling.memory import HEAD_BYTES, LETTER_BYTES, Count, Head, State, Stop, ring_samples
from energymeter.sampling.session import Session


class Meter:
    name = "meter"
    facts = Facts(default_hz=50.0, max_hz=100.0)

    def __init__(self, **fields):
        self.done = []
        for name, value in fields.items():
            setattr(self, name, value)

    def open(self):
        self.done.append("open")

    def close(self):
        self.done.append("close")

    def read(self):
        return Reading(watts=1.0)


class Tuned(Meter):
    def tune(self, rate_hz):
        self.done.append(f"tune {rate_hz:g}")


class Stream(Meter):
    def stream(self):
        return iter([Reading(watts=2.0)])


class InParts(Stream):
    def channels(self):
        return self.parts

    def stream_parts(self):
        return iter([(0, Reading(watts=2.0)), (1, Reading(watts=3.0))])


class Pace:
    """Stops after so many waits."""

    def __init__(self, waits=2):
        self.left, self.deadlines = waits, []

    def now_ns(self):
        return 0

    def wait_until(self, deadline_ns):
        self.deadlines.append(deadline_ns)
        self.left -= 1
        return self.left <= 0

    def suspended_ns(self):
        return 0

    def cpu_ns(self):
        return 0


def prepared(session, **options):
    memory = memoryview(bytearray(session.size))
    session.prepare(memory, options.pop("pace", Pace()), **options)
    return memory


def test_a_source_is_tuned_before_it_is_opened():
    source = Tuned()
    Session([SourceConfig(source, 20.0)], {}).close()
    assert source.done == ["tune 20", "open", "close"]


def test_the_memory_begins_with_a_head_and_a_letter():
    assert Session([], {}).size == HEAD_BYTES + LETTER_BYTES
    session = Session([SourceConfig(Meter())], {})
    assert session.channels[0].offset == HEAD_BYTES + LETTER_BYTES
    session.close()


@pytest.mark.parametrize(
    ("parts", "rewinds", "rates"),
    [
        ([5.0, 7.0], False, [5.0, 7.0]), ([5.0], False, [50.0]), ([5.0], True, [5.0]),
    ],
)  # fmt: skip
def test_parts_that_stream_have_rates_of_their_own(parts, rewinds, rates):
    made = [
        Stream(name=f"p{number}", facts=Facts(default_hz=hz, max_hz=400.0)) for number, hz in enumerate(parts)
    ]
    session = Session([SourceConfig(InParts(parts=made, rewinds=rewinds))], {})
    assert [info.rate_hz for info in session.channels] == rates
    assert [info.rewinds for info in session.channels] == [rewinds] * len(parts)
    assert {info.capacity for info in session.channels} == {ring_samples(400.0)}, "it may send faster"
    session.close()


def test_a_meter_is_known_by_its_name_where_it_has_no_identity():
    session = Session(
        [SourceConfig(Meter()), SourceConfig(Meter(identity="")), SourceConfig(Meter(identity="x"))], {}
    )
    assert [info.identity for info in session.channels] == ["meter", "meter", "x"]
    assert [info.name for info in session.channels] == ["meter", "meter (2)", "meter (3)"]
    session.close()


def test_what_an_agent_corrected_keeps_its_checksum():
    half = Correction(watts_gain=0.5)
    session = Session(
        [
            SourceConfig(Meter(identity="a")),
            SourceConfig(Meter(correction="0badcafe")),
            SourceConfig(Meter(identity="a", corrected=True, correction="1")),
        ],
        {"a": half},
    )
    first, second, third = session.channels
    assert (first.calibrated, second.calibrated, third.calibrated) == (True, False, False)
    assert (len(first.correction), second.correction, third.correction) == (8, "0badcafe", "1")
    assert int(first.correction, 16) >= 0
    assert third.notes == ("the card of a is not applied: the recording was calibrated",)
    assert session._channel(Meter(), first, memoryview(bytearray(session.size)))._correct is not None
    assert session._channel(Meter(), second, memoryview(bytearray(session.size)))._correct is None
    session.close()


@pytest.mark.parametrize(
    ("own_process", "replayed", "resume", "asked"),
    [
        (True, False, False, True), (True, False, True, False), (True, True, False, None),
        (False, False, False, None),
    ],
)  # fmt: skip
def test_which_loop_asks_for_a_better_priority(own_process, replayed, resume, asked):
    """Not one that plays a recording, nor a thread of the program; after a kill not for real time."""
    source = Meter(facts=Facts(default_hz=300.0, max_hz=1000.0, replayed=replayed))
    session = Session([SourceConfig(source)], {})
    prepared(session, own_process=own_process, resume=resume)
    (loop,) = session._loops
    if asked is None:
        assert loop._priority is None
    else:
        assert loop._priority._real_time is asked
        assert loop._priority._share == pytest.approx(0.06), "that of 300 Hz"
    assert isinstance(loop._asks, memoryview) is own_process
    session.close()


def test_a_recording_that_is_resumed_ends():
    source = Meter(rewinds=True)
    live = Meter(name="live")
    session = Session([SourceConfig(source), SourceConfig(live)], {})
    memory = memoryview(bytearray(session.size))
    played, other = session.channels
    session.prepare(memory, Pace(), resume=True)
    assert len(session._loops) == 1
    assert source.done == ["open", "close"]
    own = played.memory_in(memory)
    assert own.counts[Count.STATE] == State.ENDED
    assert own.head.error == "meter: it was cut short when its sampler was killed; play it again"
    assert other.memory_in(memory).head.error == ""
    assert Head(memory).counts[Count.STATE] == State.RUNNING
    own.head.error = ""
    Session._end(source, [played], memory)
    assert own.head.error == "", "it had ended by itself"
    session.close()


def test_a_session_runs_until_it_is_stopped_also_beyond_its_sources():
    source = Stream()
    session = Session([SourceConfig(source), SourceConfig(Stream(name="b"))], {})
    pace = Pace(4)
    memory = prepared(session, pace=pace)
    session.run()
    assert pace.deadlines == [0, 0, 60_000_000_000, 60_000_000_000]
    assert Head(memory).counts[Count.STATE] == State.ENDED
    assert [info.memory_in(memory).counts[Count.RING_COUNT] for info in session.channels] == [1, 1]
    assert source.done == ["open", "close"]


@pytest.mark.parametrize("stop", [0, Stop.KEEP_LOG])
def test_while_the_log_is_open_the_end_of_the_sources_is_known(stop):
    session = Session([], {})
    pace = Pace(1)
    memory = prepared(session, pace=pace)
    counts = Head(memory).counts
    counts[Count.STOP] = stop
    session._await_stop()
    assert counts[Count.STATE] == (State.RUNNING if stop else State.ENDED)
    assert len(pace.deadlines) == (0 if stop else 1)


def test_a_log_that_cannot_be_made_closes_the_sources(tmp_path):
    path = tmp_path / "there.csv"
    path.write_text("precious")
    source = Meter()
    session = Session([SourceConfig(source)], {})
    with pytest.raises(LogError):
        prepared(session, log=LogConfig(str(path)))
    assert source.done == ["open", "close"]


@pytest.mark.parametrize(("stop", "kept"), [(Stop.KEEP_LOG, True), (Stop.DISCARD_LOG, False), (0, True)])
def test_a_log_is_kept_unless_nobody_wants_it(tmp_path, stop, kept):
    path = tmp_path / "run.csv"
    session = Session([SourceConfig(Stream())], {})
    memory = prepared(session, log=LogConfig(str(path), header={"host": "x"}), pace=Pace(1))
    Head(memory).counts[Count.STOP] = stop
    session.run()
    assert path.exists() is kept
    if kept:
        assert '"host": "x"' in path.read_text().splitlines()[0]
        assert Head(memory).counts[Count.RECORDED_ROWS] == 1


def test_a_source_that_cannot_be_read_so_fast_is_not_opened():
    source = Meter()
    with pytest.raises(SpecError, match="cannot be read at 500 Hz"):
        Session([SourceConfig(source, 500.0)], {})
    assert source.done == []


# The child process


@pytest.fixture
def ours(monkeypatch):
    """This is its program; nothing is guarded."""
    monkeypatch.setattr(os, "getppid", lambda: 77)
    monkeypatch.setattr(priority, "guard", lambda: None)


def config(fd, **changed):
    return {
        "parent_pid": 77, "sources": [[["manual", "5W", {}], 10.0]], "corrections": {}, "resume": [],
        "memory_fd": fd, "log": None, **changed,
    }  # fmt: skip


@pytest.mark.parametrize(("parent_pid", "lives"), [(77, True), (78, False)])
def test_a_child_whose_program_has_died_ends(ours, tmp_path, parent_pid, lives):
    with open(tmp_path / "memory", "w+b") as file:
        if lives:
            session = child._prepared(config(file.fileno(), parent_pid=parent_pid))
            assert file.seek(0, 2) == session.size
            session.close()
        else:
            with pytest.raises(SystemExit) as ended:
                child._prepared(config(file.fileno(), parent_pid=parent_pid))
            assert ended.value.code == 0


def test_a_program_in_another_namespace_is_not_seen(ours, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "getppid", lambda: 0)
    with open(tmp_path / "memory", "w+b") as file:
        child._prepared(config(file.fileno())).close()


def test_a_child_goes_on_only_in_memory_of_the_same_size(ours, tmp_path):
    with open(tmp_path / "memory", "w+b") as file:
        session = child._prepared(config(file.fileno()))
        resume = [info.to_json() for info in session.channels]
        session.close()
        child._prepared(config(file.fileno(), resume=resume)).close()
        with pytest.raises(SamplerError) as other:
            child._prepared(config(file.fileno(), resume=resume, sources=[[["manual", "5W", {}], 100.0]]))
        assert str(other.value) == "the source came back with another rate; start a new measurement"
        with pytest.raises(SamplerError, match="came back as manual:6W, and was manual:5W"):
            child._prepared(config(file.fileno(), resume=resume, sources=[[["manual", "6W", {}], 10.0]]))


def test_where_there_is_no_room_for_the_samples(ours, monkeypatch, tmp_path):

    def full(fd, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "ftruncate", full)
    with open(tmp_path / "memory", "w+b") as file, pytest.raises(SamplerError) as refused:
        child._prepared(config(file.fileno()))
    assert str(refused.value) == (
        "there is no shared memory for the samples: No space left on device; free some space for temporary "
        "files"
    )


def test_cards_arrive_as_they_were_sent():
    assert child._corrections({}) == {}
    assert child._corrections({"a": [*Correction(amps_gain=1.5)]}) == {"a": Correction(amps_gain=1.5)}


def test_a_job_is_read_from_its_beginning(tmp_path):
    path = tmp_path / "job"
    path.write_bytes(b"whole")
    fd = os.open(path, os.O_RDONLY)
    os.lseek(fd, 3, os.SEEK_SET)
    assert child._job(fd) == b"whole"
