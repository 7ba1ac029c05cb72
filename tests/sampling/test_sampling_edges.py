"""Sampling by exact values: clocks, rates, messages, descriptors, priorities, names of channels."""

import errno
import json
import math
import os
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from energymeter.energy.integrate import Sample
from energymeter.errors import SamplerError, SpecError
from energymeter.reading import Band, Facts, Reading
from energymeter.sampling import priority, spawn
from energymeter.sampling.agent import PROTOCOL, Address, channels_of, mapped
from energymeter.sampling.agent_feed import facts_of, readings_of
from energymeter.sampling.clock_offset import ClockOffset, Exchange, Offset
from energymeter.sampling.config import ChannelInfo, LogConfig, SourceConfig, follow
from energymeter.sampling.descriptors import (
    Descriptor,
    anonymous_file,
    close,
    pipe,
    remedy,
    sealed,
    write_sealed,
)
from energymeter.sampling.memory import (
    HEAD_BYTES,
    LETTER_BYTES,
    ChannelMemory,
    Count,
    CurveWriter,
    Head,
    Letter,
    channel_bytes,
    ring_samples,
)
from energymeter.sampling.messages import packed, unpacked
from energymeter.sampling.priority import NAMES, Level, described
from energymeter.sampling.session import Session
from energymeter.sampling.watchdog import Watchdog
from energymeter.spec import Spec

SECOND = 1_000_000_000

# Clocks


def test_the_figures_of_an_exchange_and_an_offset() -> None:
    assert Exchange(100, 1000, 1010, 200).at_ns == 150
    assert Offset(10, 20) == (10, 20)
    assert (Offset(10, 20).ns, Offset(10, 20).bound_ns) == (15, 5)
    assert Offset(10, 21).bound_ns == 6, "rounded up"
    assert Offset(-20, -10).ns == -15


def test_one_exchange_bounds_an_offset_by_what_its_ways_may_have_taken() -> None:
    clock = ClockOffset(drift=0.0, wander=0.0)
    assert clock.at(0) is None
    assert clock.add(Exchange(0, 1_100, 1_150, 200))
    assert clock.at(50) == Offset(1_150 - 200, 1_100)
    assert clock.add(Exchange(1_000, 2_050, 2_050, 1_080))
    assert clock.at(9_000) == Offset(970, 1_050), "the narrower on each side"
    clock.add(Exchange(2_000, 5_000, 5_000, 2_010))
    assert clock.at(0) is None, "a clock was set"


@pytest.mark.parametrize(
    ("exchange", "fine"),
    [
        (Exchange(0, 5, 5, 0), True),
        (Exchange(1, 5, 5, 0), False),
        (Exchange(0, 6, 5, 1), False),
        (Exchange(0, 0, 11_000, 10_000), True),
        (Exchange(0, 0, 11_001, 10_000), False),
    ],
)
def test_times_that_cannot_be_are_left_out(exchange: Exchange, fine: bool) -> None:
    clock = ClockOffset(drift=0.0)
    assert clock.add(exchange) is fine
    assert bool(clock._exchanges) is fine


def test_a_bound_widens_by_the_drift_on_both_sides() -> None:
    clock = ClockOffset(drift=1e-3, wander=0.0)
    clock.add(Exchange(0, 1_000, 1_000, 0))
    for moment in (-1_000_000, 1_000_000):
        assert clock.at(moment) == Offset(0, 2_000)
    assert clock.rates() == (-1e-3, 1e-3)


def test_two_exchanges_ten_seconds_apart_bound_the_drift() -> None:
    for apart, known in ((10 * SECOND, True), (10 * SECOND - 1, False)):
        clock = ClockOffset(drift=1e-3, wander=1e-6)
        clock.add(Exchange(0, 0, 0, 0))
        clock.add(Exchange(apart, apart + 1_000_000, apart + 1_000_000, apart))
        least, most = clock.rates()
        if known:  # 1 ms in 10 s, give or take the wander, once in the fit and once from it
            assert (least, most) == pytest.approx((1e-4 - 2e-6, 1e-4 + 2e-6))
        else:
            assert (least, most) == (-1e-3, 1e-3)


def test_of_many_exchanges_the_longest_is_forgotten() -> None:
    from energymeter.sampling.clock_offset import MOST_KEPT

    clock = ClockOffset()
    trips = [50, *range(1_000, 1_000 + MOST_KEPT - 1), 5_000]
    for number, trip in enumerate(trips):
        clock.add(Exchange(number * 10_000, 0, 0, number * 10_000 + trip))
    kept = [one.arrived_here - one.left_here for one in clock._exchanges]
    assert len(kept) == MOST_KEPT
    assert kept[-1] == 5_000, "the newest stays"
    assert max(kept[:-1]) == trips[-3], "the longest of the others went"


# What is sampled


class Meter:
    name = "meter"
    facts = Facts(default_hz=50.0, max_hz=100.0)

    def open(self) -> None: ...
    def close(self) -> None: ...

    def read(self) -> Reading:
        return Reading(watts=1.0)


class Stream(Meter):
    def stream(self) -> Any:
        return iter(())


@pytest.mark.parametrize(
    ("rate_hz", "pace"),
    [(None, 50.0), (100.0, 100.0), (1e-6, 1e-6), (100.1, None), (0.9e-6, None), (0.0, None)],
)
def test_a_rate_between_once_in_eleven_days_and_the_most(rate_hz: float | None, pace: float | None) -> None:
    config = SourceConfig(Meter(), rate_hz)
    if pace is None:
        with pytest.raises(
            SpecError, match=f"^meter cannot be read at {rate_hz:g} Hz; ask for at least 1e-06 and"
        ):
            config.pace()
    else:
        assert config.pace() == pace


@pytest.mark.parametrize(
    ("machine", "source", "pace"),
    [("armv6l", Meter(), 10.0), ("armv7l", Meter(), 50.0), ("armv6l", Stream(), 50.0)],
)
def test_a_pi_zero_reads_ten_times_a_second(
    monkeypatch: pytest.MonkeyPatch, machine: str, source: Meter, pace: float
) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=machine))
    assert SourceConfig(source).pace() == pace
    assert SourceConfig(source, 40.0).pace() == 40.0, "what is asked for stays"


def test_a_config_survives_its_message() -> None:
    config = SourceConfig(Spec("sim", "pi4", {"noise": "0.1"}), 5.0)
    assert SourceConfig.from_json(unpacked(packed({"row": config}))["row"]) == config
    assert SourceConfig(Spec("manual", "5W", {})).build().name == "manual:5W"


INFO = ChannelInfo(2, "a", Facts(max_watts=5.0), 10.0, 64, 128, "id", True, notes=("n",))


def test_what_is_known_of_a_channel_travels_and_is_logged() -> None:
    assert ChannelInfo.from_json(unpacked(packed(INFO.to_json()))) == INFO
    plain = {name: field for name, field in INFO.to_json().items() if name != "notes"}
    assert ChannelInfo.from_json(plain).notes == ()
    logged = INFO.in_log({"id": {"title": "t"}})
    assert set(logged) == {"source", "name", "facts", "rate_hz", "identity", "calibration"}
    assert (logged["source"], logged["calibration"]) == (2, {"title": "t"})
    assert INFO._replace(calibrated=False).in_log({"id": {}})["calibration"] is None
    assert INFO.in_log({})["calibration"] is None
    memory = memoryview(bytearray(128 + channel_bytes(64) + 8))
    INFO.memory_in(memory)
    assert LogConfig("p") == ("p", False, {}, 0, {})


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (
            [INFO._replace(name="b")],
            "^the source came back as b, and was a; connect that one again, or start",
        ),
        ([INFO._replace(identity="x")], "^the source came back as another a than it was; connect"),
        ([INFO, INFO._replace(name="b")], r"^the source came back as a \+ b, and was a;"),
    ],
)
def test_who_came_back_is_said(after: list[ChannelInfo], said: str) -> None:
    with pytest.raises(SamplerError, match=said):
        follow(after, [INFO])


# Messages


def test_messages_are_plain() -> None:
    class Own(float): ...

    class Whole(int): ...

    said = {"a": (1, Own(2.5)), 3: [True, None, "x"], "b": {"c": Whole(7)}}
    found = unpacked(packed(said))
    assert found == {"a": [1, 2.5], "3": [True, None, "x"], "b": {"c": 7}}
    assert (type(found["a"][1]), type(found["b"]["c"]), found["3"][0]) == (float, int, True)
    assert b"\n" not in packed(said)
    with pytest.raises(TypeError, match="cannot be sent to another process"):
        packed({"a": object()})
    with pytest.raises(TypeError, match="the line holds no message"):
        unpacked(packed({"a": [1]})[:0] + __import__("marshal").dumps([1]).hex().encode())
    with pytest.raises(ValueError, match="non-hexadecimal"):
        unpacked(b"xyz")


# Descriptors


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EFBIG, "ulimit -f"),
        (errno.ENOSPC, "free some space for temporary files"),
        (errno.ENOMEM, "free some memory"),
        (errno.EMFILE, "ulimit -n, ulimit -u"),
    ],
)
def test_what_there_is_too_little_of(number: int, said: str) -> None:
    assert said in remedy(OSError(number, "x"))


def test_a_descriptor_knows_what_it_stands_for() -> None:
    first, second = anonymous_file("a"), anonymous_file("b")
    copy = os.dup(first.fd)
    assert first.ours()
    assert first.is_also(copy)
    assert not first.is_also(second.fd)
    assert not first.is_also(-1)
    os.close(copy)
    number = first.fd
    close((first, second))
    assert (first.fd, first.ours()) == (-1, False)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)


def test_the_lowest_number_of_ours_is_three() -> None:
    three = os.dup(2)
    moved = Descriptor(three)
    assert moved.fd == three, "it is out of the way already"
    moved.close()


def test_sealed_memory_can_be_read_and_neither_written_nor_resized() -> None:
    file = anonymous_file("test", sealable=True)
    os.ftruncate(file.fd, 4096)
    assert not write_sealed(file)
    reading = sealed(file)
    assert write_sealed(reading) == write_sealed(file)
    assert os.fstat(file.fd).st_mode & 0o777 == 0o444
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.write(reading.fd, b"x")
    for size in (0, 8192):
        with pytest.raises(PermissionError):
            os.ftruncate(file.fd, size)
    with pytest.raises(OSError, match="Operation not permitted"):
        sealed(file)
    close((file, reading))
    plain = anonymous_file("test")
    with pytest.raises(OSError, match="Operation not permitted"):
        sealed(plain)
    plain.close()


def test_a_pipe_reads_at_its_first_end() -> None:
    reading, writing = pipe()
    os.write(writing.fd, b"x")
    assert os.read(reading.fd, 2) == b"x"
    close((reading, writing))


# Child processes


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("python", True),
        ("python3.13td", False),
        ("python3.13td-dbg", False),
        ("python3.13-dbg", True),
        ("python3d", True),
        ("pypy3.10", True),
        ("ipython3", False),
        ("python3x", False),
    ],
)
def test_the_names_of_interpreters(name: str, runs: bool) -> None:
    assert spawn.is_python(name) is (runs or name in ("python3.13td", "python3.13td-dbg"))


def test_a_frozen_program_has_no_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spawn.interpreter() == sys.executable
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert spawn.interpreter() is None
    with pytest.raises(SamplerError, match="no Python interpreter that could be started next to it"):
        spawn.spawn({})


def test_an_interpreter_of_another_name_is_looked_for_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    real = sys.executable
    monkeypatch.setattr(sys, "executable", "/usr/bin/uwsgi")
    monkeypatch.setattr(sys, "_base_executable", real, raising=False)
    assert spawn.interpreter() == real
    monkeypatch.setattr(sys, "_base_executable", "/no/such/python", raising=False)
    monkeypatch.setattr(sys, "base_exec_prefix", "/nowhere")
    assert spawn.interpreter() is None


def test_modules_are_found_as_in_the_program_and_the_scripts_folder_comes_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", ["/script", "/a", b"/b", 5])
    found = spawn._import_path()
    assert found[1:] == ["/a", "/b", "/script"]
    assert os.path.isdir(os.path.join(found[0], "energymeter"))


def test_the_end_of_a_process_is_waited_for_as_long_as_was_said() -> None:
    pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], os.environ)
    process = spawn._Process(pid)
    begun = time.monotonic()
    assert not process.wait(0.02)
    assert 0.02 <= time.monotonic() - begun < 5
    process.send(9)
    assert process.wait(10.0)
    assert process.ended
    process.send(9)  # nobody any more
    gone = spawn._Process(pid)
    assert gone.has_ended(), "it was waited for already"


def test_what_a_child_says_ends_with_it_or_with_the_deadline() -> None:
    child = spawn.spawn({"job": "energymeter.clock"})  # which does no work
    assert child.alive()
    assert child.answers()
    assert list(child.lines(time.monotonic())) == []
    assert list(child.lines(time.monotonic() + 60)) == []
    assert child.wait(60.0)
    assert not child.alive()
    assert not child.answers()
    child.wake()
    child.release()


# Priorities and the watchdog


def test_what_was_granted_in_words() -> None:
    assert NAMES == {1: "normal", 2: "nice -10", 3: "real-time"}
    assert described("real-time") == "real-time"
    assert described("nice -10") == (
        "nice -10; real-time was refused, allow it with `ulimit -r 1` or CAP_SYS_NICE"
    )
    assert (Level.NORMAL, Level.NICE, Level.REAL_TIME) == (1, 2, 3)


@pytest.mark.parametrize(("rate_hz", "share"), [(10.0, 0.02), (100.0, 0.02), (500.0, 0.1), (5000.0, 0.2)])
def test_the_share_of_a_core_that_a_loop_may_take(rate_hz: float, share: float) -> None:
    assert priority.Priority(rate_hz)._share == pytest.approx(share)


def test_a_system_without_schedulers_grants_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setscheduler")
    assert priority.take() is False


def test_the_watchdog_looks_as_often_as_it_is_asked_and_no_less() -> None:
    looked, waits = threading.Event(), []
    dog = Watchdog()

    class Ended:
        def __init__(self) -> None:
            self.answers = iter([False, False, False, True])

        def wait(self, seconds: float) -> bool:
            waits.append(seconds)
            return next(self.answers)

        def set(self) -> None: ...

    dog._ended = Ended()  # type: ignore[assignment]
    said = iter([0.01, 5.0])

    def look() -> float | None:
        looked.set()
        return next(said, None)

    dog.look = look
    dog._run()
    assert looked.is_set()
    assert waits == [0.25, 0.01, 0.25, 0.25]
    idle = Watchdog()
    idle.join()
    idle.start()
    thread = idle._thread
    idle.start()
    assert idle._thread is thread
    idle.end()
    idle.join()
    assert idle.look is None


# Channels of a session


class Parts(Meter):
    """Rails, one of the name of another, with rates of their own."""

    notes = ("one rail is missing",)
    shared = True

    def __init__(self, *parts: Meter) -> None:
        self.parts = parts

    def channels(self) -> tuple[Meter, ...]:
        return self.parts


def part(name: str, max_hz: float = 100.0, **fields: Any) -> Meter:
    made = Meter()
    made.name = name
    made.facts = Facts(max_hz=max_hz, default_hz=5.0)
    for key, field in fields.items():
        setattr(made, key, field)
    return made


def test_channels_have_names_of_their_own_and_notes_once() -> None:
    source = Parts(part("a"), part("a", max_hz=20.0), part("a\x1b", identity="card"))
    session = Session([SourceConfig(source), SourceConfig(part("a"), 2.0)], {})
    names = [info.name for info in session.channels]
    assert names == ["a", "a (2)", "a\\x1b", "a (3)"]
    assert [info.notes for info in session.channels] == [("one rail is missing",), (), (), ()]
    assert [info.rate_hz for info in session.channels] == [50.0, 20.0, 50.0, 2.0]
    assert [info.source_index for info in session.channels] == [0, 0, 0, 1]
    assert [info.identity for info in session.channels] == ["a", "a", "card", "a"]
    assert [info.shared for info in session.channels] == [True, True, True, False]
    assert [info.capacity for info in session.channels] == [ring_samples(r) for r in (50.0, 20.0, 50.0, 2.0)]
    offsets = [info.offset for info in session.channels]
    sizes = [channel_bytes(info.capacity) for info in session.channels]
    assert [b - a for a, b in zip(offsets, [*offsets[1:], session.size], strict=True)] == sizes
    session.close()


def test_a_card_is_applied_once() -> None:
    from energymeter.energy.correction import Correction

    half = Correction(watts_gain=0.5)
    session = Session(
        [SourceConfig(Parts(part("a"), part("b", corrected=True), part("c")))], {"a": half, "b": half}
    )
    assert [info.calibrated for info in session.channels] == [True, False, False]
    assert [bool(info.correction) for info in session.channels] == [True, False, False]
    assert session.channels[1].notes == ("the card of b is not applied: the recording was calibrated",)
    session.close()


def test_a_source_that_cannot_be_opened_closes_those_before() -> None:
    closed: list[str] = []

    class Bad(Meter):
        def open(self) -> None:
            raise SpecError("no")

        def close(self) -> None:
            closed.append("bad")

    good = part("good", close=lambda: closed.append("good"))
    with pytest.raises(SpecError, match=r"^no$"):
        Session([SourceConfig(good), SourceConfig(Bad())], {})
    assert closed == ["bad", "good"]


# Shared memory


@pytest.mark.parametrize(
    ("rate_hz", "samples"),
    [(0.1, 1024), (17.0, 1024), (17.1, 2048), (100.0, 8192), (1000.0, 65_536), (1e6, 65_536)],
)
def test_a_ring_keeps_a_minute(rate_hz: float, samples: int) -> None:
    assert ring_samples(rate_hz) == samples


def sample(number: int) -> Sample:
    return Sample(number * SECOND, float(number), None, None, number * SECOND, 0.0, 1.0, None, 0.2, 0.0)


def filled(count: int, capacity: int = 4) -> ChannelMemory:
    memory = ChannelMemory(memoryview(bytearray(channel_bytes(capacity))), capacity)
    writer = CurveWriter(memory)
    for number in range(1, count + 1):
        at_ns, nothing = number * SECOND, math.nan
        writer.append((at_ns, float(number), nothing, nothing, at_ns, 0.0, 1.0, nothing, 0.2, 0.0, 1.0))
    return memory


def test_the_newest_samples_are_known_by_their_numbers() -> None:
    assert filled(0).last() is None
    memory = filled(6)
    assert memory.last() == sample(6)
    assert [memory.sample(number) for number in (1, 2, 5, 6)] == [None, sample(3), sample(6), None]
    assert memory.newer(4.0 * SECOND) == [sample(5), sample(6)]
    assert memory.newer(6.0 * SECOND) == []
    assert memory.newer(0.0) == [sample(number) for number in (3, 4, 5, 6)], "what the ring holds"
    assert filled(2).newer(-1.0) == [sample(1), sample(2)]


@pytest.mark.parametrize(("first", "end"), [(2, 6), (3, 6), (4, 5), (5, 5)])
def test_samples_are_copied_around_the_end_of_the_ring(first: int, end: int) -> None:
    copy = filled(6).copied(first, end)
    kept = [copy.sample(number) for number in range(2, 6)]
    assert kept == [sample(n + 1) if first <= n < end else None for n in range(2, 6)]
    assert copy.counts[Count.HISTORY_COUNT] == 0
    assert copy.counts[Count.RING_COUNT] == 6


def test_a_record_that_is_being_written_is_none() -> None:
    memory = filled(1)
    memory.ring.bytes[3] ^= 1
    assert memory.sample(0) is None
    with pytest.raises(AssertionError, match="never finished"):
        memory.last()


def test_the_last_error_is_cut_to_its_place_and_whole() -> None:
    head = Head(memoryview(bytearray(HEAD_BYTES)))
    assert head.error == ""
    head.error = "µ" * 10_000
    assert set(head.error) == {"µ"}
    long = len(head.error)
    head.error = "short"
    assert (head.error, long > 100) == ("short", True)


def test_an_answer_is_read_with_its_counts() -> None:
    head = Head(memoryview(bytearray(HEAD_BYTES)))
    assert head.answered()[0] == 0
    head.counts[Count.RING_COUNT] = 7
    head.answer(3)
    head.counts[Count.RING_COUNT] = 9
    asked, counts = head.answered()
    assert (asked, counts[Count.RING_COUNT]) == (3, 7)


def test_a_letter_that_is_too_long_is_not_left() -> None:
    memory = memoryview(bytearray(HEAD_BYTES + LETTER_BYTES))
    letter = Letter(memory)
    assert letter.read() == ""
    letter.write("x" * (LETTER_BYTES - 8))
    assert letter.read() == "x" * (LETTER_BYTES - 8)
    letter.write("y" * (LETTER_BYTES - 7))
    assert letter.read()[0] == "x"


# What an agent's reader makes of samples


def test_the_facts_of_samples_that_are_read_one_by_one() -> None:
    facts = Facts(
        renewal_seconds=1.0, smoothing_seconds=0.5, joules_wrap=5.0, coulombs_wrap=6.0, still_seconds=2.0
    )
    found = facts_of(INFO._replace(facts=facts, rate_hz=10.0, capacity=1024), 0.25)
    assert (found.default_hz, found.smoothing_seconds, found.renewal_seconds) == (10.0, 1.75, 0.0)
    assert (found.joules_wrap, found.coulombs_wrap, found.still_seconds) == (None, None, None)
    assert ring_samples(found.max_hz) == 1024, "it lays out the same ring"
    assert facts_of(INFO._replace(rate_hz=5000.0)).max_hz == 5000.0


@pytest.mark.parametrize(
    ("semantics", "covered_s", "readings"),
    [
        ("instant", 1.0, [Reading(amps=0.2, watts=1.0, at_ns=2 * SECOND)]),
        (
            "instant",
            0.0,
            [Reading(at_ns=SECOND + SECOND // 2), Reading(amps=0.2, watts=1.0, at_ns=2 * SECOND)],
        ),
        ("mean", 0.25, [Reading(amps=0.2, watts=1.0, seconds=0.25, at_ns=2 * SECOND)]),
        ("mean", 2.0, [Reading(amps=0.2, watts=1.0, seconds=1.0, at_ns=2 * SECOND)]),
        ("mean", -1.0, [Reading(amps=0.2, watts=1.0, seconds=0.0, at_ns=2 * SECOND)]),
        ("counter", 1.0, [Reading(joules=2.0, at_ns=2 * SECOND)]),
        ("counter", 0.0, [Reading(at_ns=SECOND + SECOND // 2), Reading(joules=2.0, at_ns=2 * SECOND)]),
    ],
)
def test_one_sample_as_readings(semantics: str, covered_s: float, readings: list[Reading]) -> None:
    before = sample(1)
    newest = sample(2)._replace(covered_ns=before.covered_ns + round(covered_s * 1e9))
    assert list(readings_of(semantics, before, newest)) == readings
    assert len(list(readings_of(semantics, None, newest))) == 1


# What an agent says of itself


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", Address("", 0, "")),
        ("um25c", Address("", 0, "um25c")),
        ("laptop:1", Address("laptop", 1, "")),
        ("laptop:65535/a/b", Address("laptop", 65_535, "a/b")),
        ("[::1]:80/a", Address("::1", 80, "a")),
        ("laptop/a", "the agent at 'laptop' has no port; write agent@laptop:9736/a"),
        ("laptop:0", "'laptop:0' is no address of an agent"),
        ("laptop:65536", "is no address of an agent"),
        ("laptop:x", "is no address of an agent"),
        ("laptop:²", "is no address of an agent"),
        (":80", "is no address of an agent"),
    ],
)
def test_where_an_agent_is(text: str, found: Address | str) -> None:
    if isinstance(found, Address):
        assert Address.of(text) == found
    else:
        with pytest.raises(SpecError, match=found):
            Address.of(text)


def said(**changed: Any) -> dict[str, Any]:
    channel = ChannelInfo(0, "a\x1b", Facts(), 10.0, 64, HEAD_BYTES + LETTER_BYTES, "id\x1b", True).to_json()
    facts = changed.pop("facts", {})
    channel |= {"facts": {**channel["facts"], **facts}, "notes": ["n\x1b"], **changed}
    return {"protocol": PROTOCOL, "channels": [json.loads(json.dumps(channel))]}


def test_a_channel_of_an_agent_is_corrected_already_and_cannot_move_the_cursor() -> None:
    (info,) = channels_of(said())
    assert (info.name, info.identity, info.calibrated) == ("a\\x1b", "id\\x1b", False)
    assert info.notes == ("n\\x1b", "the agent applied its calibration card of id\\x1b")
    (plain,) = channels_of(said(calibrated=False, facts={"volts": [0.1, 0.0, 0.0], "max_watts": 5}))
    assert plain.notes == ("n\\x1b",)
    assert plain.facts.volts == Band(0.1)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": 5},
        {"identity": None},
        {"correction": 1},
        {"notes": [5]},
        {"calibrated": 1},
        {"rewinds": "x"},
        {"shared": 0},
        {"capacity": -1},
        {"capacity": 1 << 40},
        {"capacity": True},
        {"offset": 1.0},
        {"source_index": "0"},
        {"rate_hz": 0.0},
        {"rate_hz": "fast"},
        {"rate_hz": None},
        {"facts": {"semantics": "odd"}},
        {"facts": {"place": "moon"}},
        {"facts": {"counted": 1}},
        {"facts": {"max_watts": -1.0}},
        {"facts": {"max_watts": "x"}},
        {"facts": {"clock": True}},
        {"facts": {"volts": [0.1, -1.0, 0.0]}},
        {"facts": {"unknown": 1}},
        {"name": "x" * 100_000},
    ],
    ids=str,
)
def test_a_channel_that_makes_no_sense_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(
        SamplerError, match=r"the agent cannot be understood .*; install the same version on both"
    ):
        channels_of(said(**changed))


def test_an_agent_of_another_protocol_or_without_channels_is_refused() -> None:
    one = said()
    for answer in (
        {**one, "protocol": PROTOCOL + 1},
        {**one, "channels": []},
        {"channels": []},
        {**one, "channels": 5},
    ):
        with pytest.raises(SamplerError, match="the agent cannot be understood"):
            channels_of(answer)


def test_memory_of_another_layout_is_not_mapped() -> None:
    (info,) = channels_of(said())
    needed = HEAD_BYTES + LETTER_BYTES + channel_bytes(64)
    file = anonymous_file("test")
    os.ftruncate(file.fd, needed)
    assert len(mapped(file, [info])) == needed
    for wrong in (
        info._replace(offset=HEAD_BYTES - 1),
        info._replace(offset=info.offset + 1),
        info._replace(capacity=65),
    ):
        with pytest.raises(SamplerError, match="another layout; install the same version"):
            mapped(file, [wrong])
    os.ftruncate(file.fd, needed + 1)
    with pytest.raises(SamplerError, match="another layout"):
        mapped(file, [info])
    file.close()
