"""The program's side of sampling without a process: what it waits for, says, and leaves ready."""

import json
import os
from types import SimpleNamespace

import pytest

from energymeter.clock import ManualClock
from energymeter.errors import LogError, SamplerError
from energymeter.reading import Facts
from energymeter.recordings.closing import ended_spans, spans_to_json
from energymeter.sampling import ready, sampler
from energymeter.sampling.agent import AgentHost
from energymeter.sampling.config import ChannelInfo, LogConfig, SourceConfig
from energymeter.sampling.curve import Curve
from energymeter.sampling.memory import HEAD_BYTES, LETTER_BYTES, Count, Head, Letter, State, channel_bytes
from energymeter.sampling.process import ProcessHost
from energymeter.sampling.ready import ReusableHost
from energymeter.sampling.sampler import SampledChannel, Sampler
from energymeter.sampling.watchdog import Watchdog
from energymeter.spec import Spec
from tests.sampling.test_curve import Pen

SECOND = 1_000_000_000


class Host:
    """What the sampler knows of a process that runs, or has died."""

    pid = 1

    def __init__(self, memory=b""):
        self.memory, self.lives, self.stopped, self.woken = memory, True, [], 0
        self.starts = []
        self.fails = None

    def alive(self):
        return self.lives

    def answers(self):
        return self.lives

    def wake(self):
        self.woken += 1

    def cancel(self): ...

    def stop(self, **options):
        self.stopped.append(options)

    def start(self, *arguments, **options):
        self.starts.append(options)
        if self.fails is not None:
            raise self.fails


def made(many=1, *, texts=("manual:5W",), seconds=0.0, log=None, **changed):
    """A sampler, its clock, and the pens of its channels."""
    clock = ManualClock(round(seconds * SECOND))
    configs = [SourceConfig(Spec(*text.partition(":")[::2], {}), 10.0) for text in texts]
    one = Sampler(configs, log, clock=clock)
    pens = [Pen() for _ in range(many)]
    for number, pen in enumerate(pens):
        info = ChannelInfo(0, f"c{number}", changed.get("facts", Facts()), 10.0, 1024, 0, "a", False)
        info = info._replace(**{name: field for name, field in changed.items() if name != "facts"})
        pen.memory.counts[Count.STATE] = State.RUNNING
        one.channels.append(SampledChannel(info, pen.curve))
    return one, clock, pens


def draw(pen, *seconds):
    pen.write(*((round(at_s * SECOND), 2.0) for at_s in seconds))


# What is waited for


class Ticking(ManualClock):
    """A clock by which a sampler works while it is waited for."""

    def __init__(self, work=lambda clock: None):
        super().__init__(0)
        self.sleeps, self._work = [], work

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        super().sleep(seconds)
        self._work(self)


def test_a_sample_is_waited_for_ever_less_often():
    one, _, (pen,) = made()
    one._clock = clock = Ticking(lambda clock: draw(pen, 0.9) if clock.monotonic_ns() > 4_000_000 else None)
    one.wait_past(round(0.9 * SECOND), 5.0)
    assert clock.sleeps[:6] == pytest.approx([0.00005, 0.0001, 0.0002, 0.0004, 0.0005, 0.0005])
    assert clock.monotonic_ns() == pytest.approx(4_250_000, abs=300_000)
    clock.sleeps.clear()
    one.wait_past(round(0.9 * SECOND), 5.0)
    assert clock.sleeps == [], "at this moment, or after it"


def test_a_sample_that_does_not_come_is_given_up():
    one, _, (pen, other) = made(2)
    draw(pen, 1.0)
    for seconds in (0.25, 0.0):
        one._clock = clock = Ticking()
        one.wait_past(SECOND, seconds)
        assert clock.monotonic_ns() * 1e-9 == pytest.approx(seconds, abs=0.001)
    other.memory.counts[Count.STATE] = State.ENDED
    one._clock = clock = Ticking()
    one.wait_past(SECOND, 9.0)
    assert clock.sleeps == [], "an ended source is not waited for"


def test_the_last_sample_of_a_block_is_waited_for_as_long_as_a_source_may_take():
    one, _, (pen,) = made()
    one._clock = clock = Ticking()
    one._left = 3
    one.wait_past(SECOND, 0.1)
    assert clock.monotonic_ns() * 1e-9 == pytest.approx(10.0, abs=0.001)
    for answered, waits in ((2, True), (3, False), (4, False)):
        one._clock = clock = Ticking()
        pen.memory.head.answer(answered)
        one.wait_past(SECOND, 0.1)
        assert bool(clock.sleeps) is waits
    one._left, one._clock = 0, Ticking()
    one.wait_past(SECOND, 0.1)
    assert one._clock.sleeps, "an answer to nobody ends no wait"


def test_a_process_that_died_after_the_block_is_not_waited_for():
    one, *_ = made()
    one._clock, one._left = Ticking(), 3
    one._reusable = SimpleNamespace(host=SimpleNamespace(alive=lambda: False))
    one.wait_past(SECOND, 0.1)
    assert (one._clock.sleeps, one._down) == ([], True)


@pytest.mark.parametrize(("rates", "seconds"), [([10.0], 2.2), ([10.0, 0.5], 6.0)])
def test_the_first_samples_are_waited_for_two_seconds_and_two_periods(rates, seconds):
    one, _, pens = made(len(rates))
    one.channels = [
        SampledChannel(channel.info._replace(rate_hz=rate), channel.curve)
        for channel, rate in zip(one.channels, rates, strict=True)
    ]
    one._clock = clock = Ticking()
    one._await_first_samples()
    assert clock.monotonic_ns() * 1e-9 == pytest.approx(seconds, abs=0.001)
    assert set(clock.sleeps) == {0.0005}
    for pen in pens:
        draw(pen, 0.0)
    one._clock = clock = Ticking()
    one._await_first_samples()
    assert clock.sleeps == []


# What it says


def test_a_sampler_that_was_killed_says_how_often():
    one, *_ = made()
    assert one.notes() == []
    one.restarts = 2
    assert one.notes() == ["sampling was killed and restarted 2 times"]
    one._down = True
    assert one.notes() == [
        "sampling was killed and restarted 2 times", "sampling was killed and not restarted before the end",
    ]  # fmt: skip
    one.in_process = True
    assert one.notes()[0] == "sampled by a thread of this program"


@pytest.mark.parametrize(
    ("restarts", "down", "errors", "said"),
    [
        (1, False, ["x"], "it came back"), (0, False, ["x"], "it did not come back"),
        (0, True, ["", ""], "it did not come back"), (0, True, ["b", "a"], "it did not come back; a; b"),
        (0, True, ["b", "b"], "it did not come back; b"), (3, True, ["b", ""], "it came back; b"),
    ],
)  # fmt: skip
def test_an_agent_that_was_away_is_said_once(restarts, down, errors, said):
    one, _, pens = made(len(errors))
    one._agent_lost, one.restarts, one._down = True, restarts, down
    for pen, error in zip(pens, errors, strict=True):
        pen.memory.head.error = error
    assert one.notes() == [f"the agent was away for a part of the block, and {said}"]


def test_what_sources_say_and_what_was_cut_short():
    one, _, pens = made(2, notes=("a note",), rewinds=True)
    pens[1].memory.head.error = "cut short"
    assert one.notes() == ["a note", "a note", "cut short"]


def test_who_was_lost_before_the_end():
    one, clock, pens = made(3)
    for pen, error in zip(pens, ["gone", "gone", "other"], strict=True):
        draw(pen, 0.0, 1.0)
        pen.memory.head.error = error
        pen.memory.counts[Count.FAILED] = 1
    clock.sleep(2.0)
    assert one.notes() == []
    clock.sleep(60.0)
    assert one.notes() == ["lost before the end: gone", "lost before the end: other"]
    pens[2].memory.counts[Count.FAILED] = 0
    assert one.notes() == ["lost before the end: gone"], "one that did not fail is only slow"
    one._down = True
    assert one.notes() == ["sampling was killed and not restarted before the end"]


def test_how_long_the_machine_slept_is_said_once_for_all():
    one, _, pens = made(2)
    pens[0].memory.counts[Count.SUSPENDED_NS] = 2 * SECOND
    pens[1].memory.counts[Count.SUSPENDED_NS] = round(2.25 * SECOND)
    assert one.notes() == ["the machine slept 2.2 s, not measured"]
    pens[0].memory.counts[Count.SUSPENDED_UJ] = 1_500_000
    pens[1].memory.counts[Count.SUSPENDED_UJ] = 2_500_000
    assert one.notes() == [
        "the machine slept 2.2 s, not measured; the battery's gauge counted 4.00 J meanwhile"
    ]


@pytest.mark.parametrize(
    ("missed", "levels", "said"),
    [
        ([0, 0], [1, 1], ""), ([1, 0], [1, 3], "(it has: normal) and missed 1 reading;"),
        ([1, 1], [1, 2], "(it has: nice -10, normal) and missed 2 readings;"), ([5, 0], [3, 3], ""),
        ([5, 0], [0, 0], ""), ([5, 0], [0, 2], "(it has: nice -10) and missed 5 readings;"),
    ],
)  # fmt: skip
def test_readings_that_were_missed_for_want_of_priority(missed, levels, said):
    one, _, pens = made(2)
    for pen, count, level in zip(pens, missed, levels, strict=True):
        pen.memory.counts[Count.MISSED], pen.memory.counts[Count.PRIORITY] = count, level
    expected = (
        [f"the sampler was refused real-time priority {said} allow it with `ulimit -r 1` or CAP_SYS_NICE"]
        if said
        else []
    )
    assert one.notes() == expected


def test_what_became_of_the_log():
    one, *_ = made(log=LogConfig("run.csv"))
    assert (one.log_error(), one.recorded_rows()) == ("", 0)
    one._head = Head(memoryview(bytearray(HEAD_BYTES)))
    assert one.log_error() == ""
    one._head.counts[Count.RECORDED_ROWS] = 7
    one._head.counts[Count.LOST_ROWS] = 3
    assert one.recorded_rows() == 7
    assert one.log_error() == "the log could not keep up: 3 rows were lost"
    one._head.error = "it is full"
    assert one.log_error() == "it is full; the log could not keep up: 3 rows were lost"
    assert one.notes() == [one.log_error()]
    one.log = None
    assert one.notes() == []


def test_a_recording_is_over_when_all_of_it_is():
    one, _, pens = made(2, facts=Facts(replayed=True))
    live = one.channels[1].info._replace(facts=Facts())
    one.channels[1] = one.channels[1]._replace(info=live)
    assert (one.ended(), one.replays_ended()) == (False, False)
    pens[0].memory.counts[Count.STATE] = State.ENDED
    assert (one.ended(), one.replays_ended()) == (False, True)
    pens[1].memory.counts[Count.STATE] = State.ENDED
    assert (one.ended(), one.replays_ended()) == (True, True)


# Its process dies


def resuming(**options):
    one, clock, pens = made(**options)
    one._host = host = Host(pens[0].shared)
    host.lives = False
    return one, clock, pens, host


def test_a_process_that_cannot_be_started_is_tried_less_and_less_often():
    one, clock, (pen,), host = resuming()
    host.fails = SamplerError("no memory")
    waits = []
    for _ in range(7):
        tries = len(host.starts)
        one.restart_if_dead()
        assert len(host.starts) == tries + 1
        began = clock.monotonic_ns()
        while clock.monotonic_ns() < one._next_start_ns:
            one.restart_if_dead()
            assert len(host.starts) == tries + 1, "not before its time"
            clock.sleep((one._next_start_ns - clock.monotonic_ns()) * 1e-9 / 2 + 1e-9)
        waits.append((one._next_start_ns - began) / SECOND)
    assert waits == [0.25, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0]
    assert pen.curve.error == "c0: sampling could not go on: no memory"
    assert (one.restarts, one._down) == (0, True)
    host.fails = None
    one.restart_if_dead()
    assert (one.restarts, one._down, one._attempts) == (1, False, 0)
    assert host.starts[-1] == {"resume": [one.channels[0].info]}


def test_a_process_that_is_killed_twenty_one_times_stays_dead():
    one, _, (pen,), host = resuming()
    for _ in range(30):
        one.restart_if_dead()
    assert one.restarts == len(host.starts) == 20
    assert pen.curve.error == "c0: its sampler was killed 21 times; look for the reason in dmesg"
    assert pen.memory.counts[Count.STATE] == State.RUNNING


def test_a_process_that_lives_or_is_another_programs_is_left_alone(monkeypatch):
    one, _, _, host = resuming()
    host.lives = True
    one.restart_if_dead()
    host.lives = False
    monkeypatch.setattr(os, "getpid", lambda: -1)
    one.restart_if_dead()
    monkeypatch.undo()
    with one._lock:
        one.restart_if_dead()
    assert host.starts == []
    one._host = None
    one.restart_if_dead()
    assert not one._lock.locked()


@pytest.mark.parametrize(
    ("states", "down"),
    [
        ([State.RUNNING], True),
        ([State.ENDED], False),
        ([State.ENDED, State.RUNNING], True),
        ([State.RETRYING], True),
    ],
)
def test_a_process_whose_sources_have_ended_has_not_died(states, down):
    one, _, pens = made(len(states))
    for pen, state in zip(pens, states, strict=True):
        pen.memory.counts[Count.STATE] = state
    host = Host()
    assert one._died(host) is False
    host.lives = False
    assert one._died(host) is down


def test_recordings_alone_are_not_played_again():
    one, _, (pen,), host = resuming(rewinds=True)
    one.restart_if_dead()
    assert host.starts == []
    assert pen.memory.counts[Count.STATE] == State.ENDED
    assert pen.curve.error == "c0: it was cut short when its sampler was killed; play it again"
    pen.memory.head.error = "as it was"
    one.restart_if_dead()
    assert pen.curve.error == "as it was", "what has ended says nothing new"


# It is stopped


@pytest.mark.parametrize(
    ("over", "mine", "stops"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_a_process_that_is_another_blocks_is_not_stopped(over, mine, stops):
    one, *_ = made()
    one._host = host = Host()
    ended = []
    one._reusable = SimpleNamespace(
        over=lambda: over or bool(ended), used_by=lambda user: mine, host=host, ended=lambda: ended.append(1)
    )
    one.stop()
    assert host.stopped == ([{"discard_log": False}] if stops else [])
    assert bool(ended) is stops
    one.stop()
    assert len(host.stopped) == int(stops), "twice is fine"


def test_a_process_that_was_just_taken_is_stopped_too():
    one, *_ = made()
    host = Host()
    one._reusable = SimpleNamespace(
        over=lambda: False, used_by=lambda user: True, host=host, ended=lambda: None
    )
    one.stop(discard_log=True)
    assert host.stopped == [{"discard_log": True}]


@pytest.mark.parametrize(
    ("discard", "log", "left"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_what_the_log_shall_say_is_left_before_it_ends(discard, log, left):
    one, *_ = made(log=LogConfig("run.csv", start_ns=2) if log else None)
    memory = memoryview(bytearray(HEAD_BYTES + LETTER_BYTES))
    one._host, one._head = host, _ = Host(memory), Head(memory)
    one.stop(
        discard_log=discard, window_ns=(5, 9), span_edges_ns={"a": [5, 7]},
        span_counts={"a": {"images": [3.0]}}, throttled_after=6,
    )  # fmt: skip
    assert [one._head.counts[count] for count in (Count.WINDOW_START_NS, Count.WINDOW_END_NS)] == [5, 9]
    letter = Letter(memory).read()
    if left:
        spans = spans_to_json(ended_spans({"a": [5, 7]}, 2, {"a": {"images": [3.0]}}))
        assert json.loads(letter) == {"spans": json.loads(json.dumps(spans)), "throttled": 6}
    else:
        assert letter == ""
    assert host.stopped == [{"discard_log": discard}]


def test_a_block_without_a_window_leaves_nothing_for_the_log():
    one, *_ = made(log=LogConfig("run.csv"))
    memory = memoryview(bytearray(HEAD_BYTES + LETTER_BYTES))
    one._host, one._head = Host(memory), Head(memory)
    one.stop(span_edges_ns={"a": [5, 7]})
    assert Letter(memory).read() == ""


def test_a_forked_worker_stops_nothing(monkeypatch):
    one, *_ = made()
    one._host = host = Host()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    one.stop()
    assert host.stopped == []


# Its process stays ready


def key_of(*texts, **options):
    configs = [SourceConfig(Spec(*text.partition(":")[::2], {}), 10.0) for text in texts]
    return ready.key(configs, options)


def test_only_one_and_the_same_source_is_used_again(monkeypatch, tmp_path):
    same = key_of("manual:5W")
    assert key_of("manual:5W") == same
    assert key_of("manual:6W") != same
    assert key_of("manual:5W", other=1) != same
    monkeypatch.setenv("SOMETHING", "else")
    assert key_of("manual:5W") != same
    monkeypatch.undo()
    assert key_of("manual:5W") == same
    monkeypatch.chdir(tmp_path)
    assert key_of("manual:5W") != same

    def removed():
        raise FileNotFoundError

    monkeypatch.setattr(os, "getcwd", removed)
    assert key_of("manual:5W")[3] == ""


@pytest.mark.parametrize(
    ("linger", "log", "in_process", "sources", "may"),
    [
        (2.0, None, False, 1, True), (None, None, False, 1, True), (0.0, None, False, 1, False),
        (2.0, LogConfig("x"), False, 1, False), (2.0, None, True, 1, False), (2.0, None, False, 2, False),
    ],
)  # fmt: skip
def test_which_process_may_serve_several_blocks(linger, log, in_process, sources, may):
    one = Sampler([SourceConfig(Spec("manual", "5W", {}))] * sources, log, linger=linger)
    one.in_process = in_process
    assert one._may_linger() is may


class Reusable:
    """A process that can be left, and who uses it."""

    def __init__(self, user):
        self.user, self.left = user, []

    def used_by(self, user):
        return user is self.user

    def leave(self, block, seconds):
        self.left.append(seconds)
        return True


@pytest.mark.parametrize(
    ("linger", "shared", "changed", "seconds"),
    [
        (1.5, False, {}, 1.5), (None, True, {}, 2.0), (None, False, {}, None), (0.0, True, {}, None),
        (1.5, True, {"rewinds": True}, None), (1.5, True, {"facts": Facts(replayed=True)}, None),
    ],
)  # fmt: skip
def test_for_how_long_a_process_stays_ready(linger, shared, changed, seconds):
    one, _, (pen,) = made(shared=shared, **changed)
    one._linger = linger
    one._reusable = reusable = Reusable(one)
    assert one.stay_ready(7 * SECOND) is (seconds is not None)
    assert reusable.left == ([] if seconds is None else [seconds])
    assert pen.curve.end_ns == (0 if seconds is None else 7 * SECOND)


def test_a_process_that_had_trouble_does_not_stay_ready():
    for trouble in ("restarts", "down", "locked", "none"):
        one, _, _ = made()
        one._linger, one._reusable = 1.0, Reusable(one)
        one.restarts = int(trouble == "restarts")
        one._down = trouble == "down"
        if trouble == "locked":
            one._lock.acquire()
        assert one.stay_ready(SECOND) is (trouble == "none")


def test_a_block_that_was_left_stays_so(monkeypatch):
    one, *_ = made()
    assert one.stay_ready(SECOND) is False
    one._reusable = Reusable(None)
    assert (one.stay_ready(SECOND), one.left_ready) == (False, False)
    one.was_left(5)
    assert (one.stay_ready(SECOND), one.left_ready, one._host) == (True, True, None)
    one._reusable = Reusable(one)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert one.stay_ready(SECOND) is True


def counts_with(failed):
    counts = [0] * 30
    counts[Count.FAILED] = failed
    return tuple(counts)


def test_a_blocks_counts_are_those_between_its_two_questions():
    one, _, (pen,) = made()
    draw(pen, 0.0, 1.0, 2.0)
    one._begun, one._left = 3, 0
    assert one.complete([(2, counts_with(5))]) is False
    assert one._begun == 3
    assert one.complete([(3, counts_with(7))]) is False
    assert one._begun == 0
    pen.memory.counts[Count.FAILED] = 10
    assert pen.curve.observed(Count.FAILED) == 3
    one._left = 5
    pen.curve.end(SECOND)
    assert one.complete([(4, counts_with(8))]) is False
    assert not pen.curve.counted
    assert one.complete([(5, counts_with(9))]) is True
    pen.memory.counts[Count.FAILED] = 99
    assert pen.curve.observed(Count.FAILED) == 2
    assert one.complete([(6, counts_with(50))]) is True
    assert pen.curve.observed(Count.FAILED) == 2, "the first answer after its end"


def test_a_block_whose_last_sample_is_not_there_is_not_complete():
    one, _, (pen,) = made()
    draw(pen, 0.0, 1.0)
    one._left = 1
    pen.curve.end(2 * SECOND)
    assert one.complete([(1, counts_with(0))]) is False
    draw(pen, 2.0)
    assert one.complete([(1, counts_with(0))]) is True
    nothing, *_ = made(0)
    assert nothing.complete([]) is True


def reusable(rings=(0,), running=True, rate_hz=100.0):
    """A host that stays ready, with rings of 1024 that hold so many samples."""
    pens = [Pen() for _ in rings]
    for pen, count in zip(pens, rings, strict=True):
        pen.memory.counts[Count.RING_COUNT] = count
        pen.memory.counts[Count.STATE] = State.RUNNING if running else State.RETRYING
    infos = [ChannelInfo(0, "a", Facts(), rate_hz, 1024, 0, "a", False)] * len(pens)
    host = Host(memoryview(bytearray(HEAD_BYTES)))
    return ReusableHost("key", ["manual"], host, infos, [pen.memory for pen in pens], Watchdog()), host, pens


@pytest.mark.parametrize(
    ("rings", "room"), [((0,), True), ((831,), True), ((832,), False), ((5, 832), False)]
)
def test_a_ring_that_is_nearly_full_is_not_used_again(rings, room):
    """Seven eighths of 1024, less 64."""
    assert reusable(rings)[0].has_room() is room


def test_a_process_fits_while_it_is_ready_and_all_its_sources_answer(monkeypatch):
    now = [100 * SECOND]
    monkeypatch.setattr(ready, "time", SimpleNamespace(monotonic_ns=lambda: now[0]))
    one, host, pens = reusable((0, 0))
    one._until_ns = 100 * SECOND
    assert not one.fit()
    one._until_ns += 1
    assert one.fit()
    host.lives = False
    assert not one.fit()
    host.lives = True
    pens[1].memory.counts[Count.STATE] = State.RETRYING
    assert not one.fit()
    pens[1].memory.counts[Count.STATE] = State.RUNNING
    pens[1].memory.counts[Count.RING_COUNT] = 1000
    assert not one.fit()


def test_who_takes_a_process_first_has_it():
    one, *_ = reusable()
    first, second = object(), object()
    assert one.take(first)
    assert one.take(first)
    assert not one.take(second)
    assert (one.used_by(first), one.used_by(second), one.over()) == (True, False, False)


class Asking:
    """A block that a process serves."""

    def __init__(self, done=False):
        self.done, self.asked, self.answers, self.detached = done, [], [], 0

    def was_left(self, asked):
        self.asked.append(asked)

    def complete(self, answers):
        self.answers.append([asked for asked, _ in answers])
        return self.done

    def detach(self):
        self.detached += 1


def test_a_block_begins_with_a_question_and_without_the_errors_before(monkeypatch):
    one, host, (pen,) = reusable()
    pen.memory.head.error = "of another block"
    pen.memory.counts[Count.FAILED] = 4
    one._counts[Count.READY_UNTIL_NS] = 5
    block, other = Asking(), Asking(done=True)
    assert one.begin(block) == 1
    assert (pen.memory.head.error, one._counts[Count.READY_UNTIL_NS], host.woken) == ("", 0, 1)
    assert one.begin(other) == 2
    assert (one._counts[Count.ASKED], block.answers, other.answers) == (2, [[0]], [])
    one.collect(detach=True)
    assert (block.detached, other.detached, len(one._blocks)) == (0, 1, 1)
    one.collect()
    assert (len(block.answers), len(other.answers)) == (3, 1)
    block.done = True
    one.collect()
    assert block.detached == 0
    assert len(one._blocks) == 1, "what it holds is still the process's own"
    one.collect(detach=True)
    assert (block.detached, len(one._blocks)) == (1, 0)
    forgotten = Asking()
    one.begin(forgotten)
    del forgotten
    one.collect()
    assert not one._blocks
    assert one._failed == [4]


@pytest.mark.parametrize(
    ("rate_hz", "age_ms", "waits"),
    [(100.0, 10, False), (100.0, 11, True), (10.0, 500, False), (11.0, 500, True)],
)
def test_a_first_sample_is_awaited_where_the_source_was_read_too_seldom(monkeypatch, rate_hz, age_ms, waits):
    """Longer ago than its period; one that is read ten times a second or less is read so all the time."""
    one, _, (pen,) = reusable(rate_hz=rate_hz)
    draw(pen, 1.0)
    begun = SECOND + age_ms * 1_000_000
    clock = [begun]
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        clock[0] += 1_000_000

    monkeypatch.setattr(
        ready,
        "time",
        SimpleNamespace(monotonic_ns=lambda: clock[0], monotonic=lambda: clock[0] / SECOND, sleep=sleep),
    )
    one._failed = [0]
    assert one.await_answer(1) is not waits
    if waits:
        wait_s = min(3 / rate_hz + 0.02, 0.1)
        assert (clock[0] - begun) / SECOND == pytest.approx(wait_s, abs=0.0011)
        assert set(pauses) == {0.00002}
    pen.memory.head.answer(1)
    assert one.await_answer(1) is True
    pen.memory.counts[Count.FAILED] = 1
    assert one.await_answer(1) is False, "it failed"


def test_the_channel_that_is_behind_says_how_long_ago_it_was_read():
    one, _, pens = reusable((0, 0))
    draw(pens[0], 1.0, 5.0)
    draw(pens[1], 1.0, 3.0)
    assert one._newest_ns() == 3 * SECOND


def test_a_process_is_left_ready_for_so_long(monkeypatch):
    monkeypatch.setattr(ready, "_ready", {})
    monkeypatch.setattr(ready, "time", SimpleNamespace(monotonic_ns=lambda: 50 * SECOND))
    one, _, (pen,) = reusable()
    block, user = Asking(), object()
    one.take(user)
    assert one.leave(block, 1.5)
    assert ready._ready == {"key": one}
    assert ready.find("key") is one
    assert ready.find("other") is None
    assert one._counts[Count.READY_UNTIL_NS] == one._until_ns == round(51.5 * SECOND)
    assert block.asked == [1]
    assert not one.used_by(user)
    assert one._look() == pytest.approx(1.5)
    second, *_ = reusable()
    assert not second.leave(Asking(), 1.5), "one of a kind"
    pen.memory.counts[Count.STATE] = State.RETRYING
    assert not one.leave(Asking(), 1.5)
    pen.memory.counts[Count.STATE], pen.memory.counts[Count.RING_COUNT] = State.RUNNING, 900
    assert not one.leave(Asking(), 1.5)


@pytest.mark.parametrize("why", ["time", "death", "nothing"])
def test_a_process_that_is_ready_no_more_is_ended(monkeypatch, why):
    now = [50 * SECOND]
    monkeypatch.setattr(ready, "_ready", {})
    monkeypatch.setattr(ready, "time", SimpleNamespace(monotonic_ns=lambda: now[0]))
    one, host, _ = reusable()
    one.leave(Asking(), 1.0)
    now[0] += SECOND if why == "time" else SECOND - 1
    host.lives = why != "death"
    ends = why != "nothing"
    assert (one._look() is None) is ends
    assert one.over() is ends
    assert host.stopped == ([{"patience": 1.0}] if ends else [])
    assert ready._ready == ({} if ends else {"key": one})


def test_what_another_process_needs_makes_way(monkeypatch):
    one, host, _ = reusable()
    monkeypatch.setattr(ready, "_ready", {"key": one})
    ready.make_way(["um25c"])
    assert not one.over()
    user = object()
    one.take(user)
    ready.make_way(["um25c", "manual"])
    assert not one.over(), "a block uses it"
    one._users.clear()
    ready.make_way(["um25c", "manual"])
    assert one.over()
    assert len(host.stopped) == 1
    one.release()
    assert len(host.stopped) == 1


# Small things


def test_a_sampler_of_a_thread_or_of_nothing_asks_nobody():
    one, *_ = made()
    assert one.ask() == 0
    with pytest.raises(OSError, match="the samples are in this program alone"):
        one.descriptor()
    one._host, one._head = ProcessHost(), None
    assert one.ask() == 0
    one._head = Head(memoryview(bytearray(HEAD_BYTES)))
    one._head.counts[Count.ASKED] = 4
    assert one.ask() == 5
    assert one._head.counts[Count.ASKED] == 5
    assert not one.alive


def test_what_opens_the_devices():
    there = [SourceConfig(Spec("um25c", "AA", {})), SourceConfig(SimpleNamespace(name="ina219@1:0x40"))]
    assert sampler._drivers([*there, SourceConfig(SimpleNamespace(name="sim:pi4"))]) == [
        "um25c",
        "ina219",
        "sim",
    ]


def test_a_log_is_where_it_was_when_it_began(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert sampler._absolute("run.csv") == str(tmp_path / "run.csv")
    assert sampler._absolute("") == ""
    with pytest.raises(LogError) as refused:
        sampler._absolute("a\0b")
    assert str(refused.value) == "a log cannot be named 'a\\x00b'; give a name without the NUL character"

    def removed(path):
        raise FileNotFoundError

    monkeypatch.setattr(os.path, "abspath", removed)
    assert sampler._absolute("run.csv") == "run.csv"


def test_a_letter_holds_the_spans_and_what_the_firmware_says():
    memory = memoryview(bytearray(HEAD_BYTES + LETTER_BYTES))
    sampler._leave_letter(memory, {}, {}, 0, None)
    assert Letter(memory).read() == ""
    sampler._leave_letter(memory, {}, {}, 0, 5)
    assert json.loads(Letter(memory).read()) == {
        "spans": spans_to_json(ended_spans({}, 0, {})),
        "throttled": 5,
    }
    sampler._leave_letter(memory, {"a": [10, 20]}, {}, 10, None)
    assert '"throttled": null' in Letter(memory).read()
    assert '"a"' in Letter(memory).read()


def test_a_block_of_an_agent_ends_when_its_last_sample_is_there():
    one, clock, _ = made()
    one._agent = agent = AgentHost()
    agent.memory = memoryview(bytearray(HEAD_BYTES + LETTER_BYTES + channel_bytes(1024)))
    info = one.channels[0].info._replace(offset=HEAD_BYTES + LETTER_BYTES)
    own = info.memory_in(agent.memory)
    one.channels[0] = SampledChannel(info, Curve(own, trapezoids=True))
    agent.alive = lambda: True
    one._left, one._leave_at_ns = 1, SECOND
    assert one._collect() is None
    assert one._agent is agent
    clock.sleep(1.0)
    one._collect()
    assert one._agent is agent, "up to its time"
    clock.sleep(1e-9)
    one._collect()
    assert one._agent is None
    assert one.channels[0].curve.counts is not own.counts
    one._collect()
    assert one._watchdog._ended.is_set()
