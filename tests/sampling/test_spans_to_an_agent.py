"""What a program sends an agent of its spans: when, in how many messages, what it says where it cannot."""

import os
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from devices.agent_wire import HttpScript, SocketScript, socket_script

from energymeter.errors import SamplerError, SourceMissing
from energymeter.sampling import agent_remote, agent_spans
from energymeter.sampling.agent import VARIABLE, Address, SpanReceiver
from energymeter.sampling.agent_spans import SpanSender

SECOND = 1_000_000_000
HERE = SpanReceiver(Address("", 0, "pi"))


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[SocketScript]:
    with socket_script() as script:
        monkeypatch.setenv(VARIABLE, script.path)
        yield script


class Now:
    """A clock that stands still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float = 1000.0) -> None:
        self.seconds = seconds
        monkeypatch.setattr(agent_spans, "time", self)

    def monotonic(self) -> float:
        return self.seconds

    def monotonic_ns(self) -> int:
        return round(self.seconds * SECOND)


def calls(many: int, begin: int = 0) -> "array[int]":
    """So many calls of 1 ns, 10 ns apart."""
    return array("q", [edge for n in range(begin, begin + many) for edge in (10 * n, 10 * n + 1)])


def sent(script: SocketScript) -> list[dict[str, Any]]:
    return [request["add_spans"] for request in script.asked]


def test_what_is_new_is_sent_once(agent: SocketScript) -> None:
    edges = {"infer": calls(2), "load": calls(1)}
    sender = SpanSender(HERE, edges, {})
    sender._send()
    assert agent.asked == [
        {
            "add_spans": {
                "spans": {"infer": [0, 1, 10, 11], "load": [0, 1]},
                "open": [],
                "left_out": {},
                "bound_ns": 0,
            },
            "source": "pi",
            "protocol": 1,
        }
    ]
    sender._send()
    assert len(agent.asked) == agent.connections == 1, "nobody is connected to where nothing is new"
    edges["infer"].extend([20, 21, 30])  # one has not ended
    sender._send()
    assert sent(agent)[1:] == [{"spans": {"infer": [20, 21]}, "open": [], "left_out": {}, "bound_ns": 0}]
    assert agent.connections == 2, "a connection for each turn"
    assert sender._agent._connection is None


def test_a_message_holds_300_calls_and_20_names(agent: SocketScript) -> None:
    SpanSender(HERE, {"infer": calls(601)}, {})._send()
    assert [len(message["spans"]["infer"]) // 2 for message in sent(agent)] == [300, 300, 1]
    joined = [edge for message in sent(agent) for edge in message["spans"]["infer"]]
    assert joined == calls(601).tolist()
    agent.asked.clear()
    SpanSender(HERE, {f"{n}": calls(1) for n in range(41)}, {})._send()
    assert [[*message["spans"]] for message in sent(agent)] == [
        [f"{n}" for n in range(20)], [f"{n}" for n in range(20, 40)], ["40"],
    ]  # fmt: skip
    agent.asked.clear()
    SpanSender(HERE, {"a": calls(200), "b": calls(200)}, {})._send()
    first, second = (message["spans"] for message in sent(agent))
    assert {name: len(edges) // 2 for name, edges in first.items()} == {"a": 200, "b": 100}
    assert [*second] == ["b"]


def test_of_too_much_rare_names_keep_all_and_the_rest_is_counted(
    agent: SocketScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1000 calls a second, saved for 5 s: 5000 now. Of 3, 2000 and 9000 calls the last keeps 2997."""
    now = Now(monkeypatch)
    edges = {"often": calls(9000), "rare": calls(3), "some": calls(2000)}
    sender = SpanSender(HERE, edges, {})
    sender._allowance._now = now.monotonic
    sender._allowance._at = now.seconds
    sender._send()
    counted = {
        name: sum(len(message["spans"].get(name, ())) // 2 for message in sent(agent)) for name in edges
    }
    assert counted == {"often": 2997, "rare": 3, "some": 2000}
    assert [message["left_out"] for message in sent(agent)][-1] == {"often": 6003}
    assert all(not message["left_out"] for message in sent(agent)[:-1])
    agent.asked.clear()
    edges["rare"].extend(calls(1))
    now.seconds += 1e-4
    sender._send()
    assert sent(agent)[-1]["left_out"] == {"rare": 1}, "nothing is allowed yet"
    agent.asked.clear()
    edges["often"].extend(calls(600))
    now.seconds += 0.5
    sender._send()
    assert sum(len(message["spans"].get("often", ())) // 2 for message in sent(agent)) == 500
    assert sent(agent)[-1]["left_out"] == {"often": 100}


def test_two_names_share_what_is_allowed_evenly(agent: SocketScript) -> None:
    sender = SpanSender(HERE, {"a": calls(6000), "b": calls(6000)}, {})
    sender._send()
    counted = [sum(len(message["spans"].get(name, ())) // 2 for message in sent(agent)) for name in "ab"]
    assert counted == [2500, 2500]


def test_what_was_left_out_is_said_of_20_names_a_message(agent: SocketScript) -> None:
    sender = SpanSender(HERE, {"infer": calls(1)}, {})
    for number in range(45):
        sender._leave_out(f"n{number}", 1)
        sender._leave_out(f"n{number}", number)
    sender._send()
    assert sent(agent)[0]["spans"] == {"infer": [0, 1]}
    assert [len(message["left_out"]) for message in sent(agent)] == [0, 20, 20, 5]
    said = {name: count for message in sent(agent) for name, count in message["left_out"].items()}
    assert said == {f"n{number}": 1 + number for number in range(45)}
    assert all(message["open"] == [] and message["spans"] == {} for message in sent(agent)[1:])


def test_a_span_that_is_open_for_five_seconds_is_announced_once(
    agent: SocketScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = Now(monkeypatch)
    at = now.monotonic_ns() - 5 * SECOND
    sender = SpanSender(HERE, {}, {"just": at, "long": at - 1, "longer": at - 7, "also": at - 1})
    sender._send()
    assert [message["open"] for message in sent(agent)] == [[at - 7, at - 1]]
    sender._send()
    assert len(agent.asked) == 1
    now.seconds += 1.0
    sender._send()
    assert sent(agent)[1]["open"] == [at]
    many = SpanSender(HERE, {}, {number: number for number in range(120)})
    agent.asked.clear()
    many._send()
    many._send()
    assert [message["open"] for message in sent(agent)] == [[*range(100)], [*range(100, 120)]]


def test_the_last_thousand_announcements_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    sender = SpanSender(HERE, {}, {})
    for number in range(11):
        list(sender._messages({}, [*range(100 * number, 100 * number + 100)]))
    assert [*sender._announced] == [*range(100, 1100)]


def test_a_begin_is_sent_as_it_was_announced() -> None:
    """The clock of the agent drifts: the two ends of a span keep one begin."""
    sender = SpanSender(
        SpanReceiver(Address("laptop", 9736, "pi")), {"epoch": array("q", [100, 900, 950, 990])}, {}
    )
    remote = sender._agent
    remote._offset_ns = 7
    (message,) = sender._messages({}, [100])
    assert message["open"] == [107]
    remote._offset_ns = 9
    (message,) = sender._messages({"epoch": 2}, [])
    assert message["spans"] == {"epoch": [107, 909, 959, 999]}


def test_what_an_agent_did_not_take_is_counted_as_left_out(agent: SocketScript) -> None:
    agent.answers = [b""]
    edges = {"infer": calls(301), "x" * 200: calls(1)}
    sender = SpanSender(HERE, edges, {})
    sender._announced[5] = 5
    sender._left_out["old"] = 2
    with pytest.raises(SourceMissing, match="has closed the connection"):
        sender._send()
    assert sender._left_out == {"old": 2, "infer": 300}
    assert sender._announced == {}
    sender._agent.close()
    edges["infer"].extend(calls(1))
    sender._send()
    assert sent(agent)[1]["spans"] == {"infer": [3000, 3001, 0, 1], "x" * 99 + "…": [0, 1]}
    assert sent(agent)[2]["left_out"] == {"old": 2, "infer": 300}
    agent.answers = [b'{"taken": 0}\n', b""]
    sender._left_out = {"a": 1}
    edges["infer"].extend(calls(1))
    with pytest.raises(SourceMissing):
        sender._send()
    assert sender._left_out == {"a": 1}, "what was to be said of them is said later"


class Turns:
    """Ends after so many turns, and notes how long each would have waited."""

    def __init__(self, many: int) -> None:
        self.left, self.waited = many, list[float]()

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.left -= 1
        return self.left == 0

    def set(self) -> None:
        self.left = 1


def test_it_looks_twice_a_second_and_less_often_while_the_agent_is_away(
    agent: SocketScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = SpanSender(HERE, {}, {})
    fails = iter([True, True, True, True, True, True, False, True, False])
    errors: list[str] = []

    def send() -> None:
        errors.append(sender._error)
        if next(fails):
            raise SourceMissing("gone\x1b")

    monkeypatch.setattr(sender, "_send", send)
    sender._over = turns = Turns(9)
    sender._run()
    assert turns.waited == [0.5, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0, 0.5, 0.5]
    assert errors == ["", *["gone\\x1b"] * 6, "", "gone\\x1b"]
    assert sender.notes() == []


def test_a_fault_of_ours_is_not_hidden() -> None:
    sender = SpanSender(HERE, {}, {})
    sender._over = Turns(1)
    sender._send = lambda: [][0]
    with pytest.raises(IndexError):
        sender._run()


def test_notes_say_what_was_not_taken_and_of_how_many_names() -> None:
    edges = {f"{n}": calls(0) for n in range(1000)}
    sender = SpanSender(HERE, edges, {})
    assert sender.notes() == []
    edges["one more"] = calls(0)
    assert sender.notes() == ["the agent gets the spans of 1000 names, and not of all"]
    sender._error = "it is gone"
    assert sender.notes()[0] == "the agent of this machine did not take the spans: it is gone"
    far = SpanSender(SpanReceiver(Address("laptop", 9736, "pi")), {}, {})
    far._error = "it is gone"
    assert far.notes() == ["the agent of laptop did not take the spans: it is gone"]


def test_of_a_thousand_names_the_first_are_sent(agent: SocketScript) -> None:
    edges = {f"{n}": calls(0) for n in range(1000)}
    edges["1000"] = calls(1)
    SpanSender(HERE, edges, {})._send()
    assert agent.asked == []
    edges["999"].extend(calls(1))
    SpanSender(HERE, edges, {})._send()
    assert sent(agent)[0]["spans"] == {"999": [0, 1]}


def test_a_program_without_threads_to_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(
        SamplerError,
        match=r"^no thread could be started to send the spans \(can't start new thread\); end some others$",
    ):
        SpanSender(HERE, {}, {}).start()


def test_what_was_not_taken_by_the_end_is_said(agent: SocketScript, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_spans, "_senders", set())
    taken = SpanSender(HERE, {"infer": calls(1)}, {})
    assert taken.await_end(0.0) == "", "it was never started"
    taken.start()
    assert agent_spans._senders == {taken}
    taken.end()
    assert taken.await_end(20.0) == ""
    assert sent(agent)[0]["spans"] == {"infer": [0, 1]}
    taken._error = "it is full"
    begun = time.monotonic()
    assert taken.await_end(20.0) == "the agent of this machine did not take all spans: it is full"
    assert time.monotonic() - begun < 10
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert taken.await_end(0.0) == "", "a forked worker has sent nothing"
    waiting = SpanSender(HERE, {}, {})
    monkeypatch.setattr(os, "getpid", lambda: 2)
    waiting.end()
    assert not waiting._over.is_set()


def test_the_end_of_a_program_names_each_reason_once(monkeypatch: pytest.MonkeyPatch) -> None:
    senders = [SpanSender(HERE, {}, {}) for _ in range(4)]
    for sender, error in zip(senders, ["b", "a", "b", ""], strict=True):
        sender._error = error
    monkeypatch.setattr(agent_spans, "_senders", senders)
    with pytest.warns(RuntimeWarning) as said:
        agent_spans._await_senders()
    assert [str(one.message) for one in said] == [
        f"the agent of this machine did not take all spans: {why}" for why in "ab"
    ]
    assert all(sender._over.is_set() for sender in senders)


def test_the_end_of_a_program_waits_a_second_for_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    now, waited = Now(monkeypatch), []

    def await_end(sender: SpanSender, seconds: float) -> str:
        waited.append(seconds)
        now.seconds += 0.75
        return ""

    monkeypatch.setattr(SpanSender, "await_end", await_end)
    monkeypatch.setattr(agent_spans, "_senders", [SpanSender(HERE, {}, {}) for _ in range(3)])
    agent_spans._await_senders()
    assert waited == pytest.approx([1.0, 0.25, 0.0])


def test_sixteen_blocks_may_wait_for_an_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    def alive(self: threading.Thread) -> bool:
        return self.name == "energymeter-spans"

    monkeypatch.setattr(threading.Thread, "is_alive", alive)
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)
    monkeypatch.setattr(agent_spans, "_senders", set())
    senders = [SpanSender(HERE, {}, {}) for _ in range(17)]
    for sender in senders:
        sender.start()
    assert agent_spans._senders == {*senders[:16]}
    assert [sender.notes() for sender in senders[15:]] == [
        [],
        [
            "the agent of this machine did not take the spans: it does not answer, and those of earlier "
            "blocks still wait; check the agent"
        ],
    ]
    assert all(sender._thread.daemon for sender in senders), "they keep no program from its end"


class Moments:
    """An agent of another computer whose clock is ahead by 3 s."""

    def __init__(self) -> None:
        self.exchanges = 0

    def clock(self, _: bytes) -> bytes:
        self.exchanges += 1
        now = time.monotonic_ns() + 3 * SECOND
        return b'{"arrived_ns": %d, "left_ns": %d}' % (now, now)


Far = Callable[[], tuple[Moments, HttpScript, agent_spans._Remote]]


@pytest.fixture
def far(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Far]:
    made: list[Any] = []

    def start() -> tuple[Moments, HttpScript, agent_spans._Remote]:
        moments = Moments()
        script = HttpScript({"/v1/clock": moments.clock, "/v1/spans/pi": lambda body: b"{}"})
        remote = agent_spans._Remote(SpanReceiver(Address("127.0.0.1", script.port, "pi")))
        made.extend([script, remote])
        return moments, script, remote

    monkeypatch.delenv(agent_remote.TOKEN_VARIABLE, raising=False)
    yield start
    for one in made[::-1]:
        one.close()


def test_a_connection_to_another_computer_is_kept_and_its_clock_measured_again(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments, _, remote = far()
    assert (remote.moments([7]), remote.bound_ns) == ([7], 0)
    now = Now(monkeypatch)
    remote.connect()
    assert moments.exchanges == 12
    feed = remote._feed
    assert 0 <= 3 * SECOND - remote.moments([0])[0] + remote.bound_ns <= 2 * remote.bound_ns
    assert remote.moments([5, 6])[1] == remote.moments([6])[0]
    for seconds, exchanges in ((5.0, 12), (5.0, 12), (0.5, 18), (5.0, 18)):
        now.seconds += seconds
        remote.connect()
        assert (remote._feed, moments.exchanges) == (feed, exchanges)
    now.seconds += 5.5
    remote.connect()
    assert remote._feed is not feed
    assert moments.exchanges == 30


def test_spans_are_posted_to_the_source(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(agent_remote.TOKEN_VARIABLE, "secret")
    _, script, remote = far()
    remote.connect()
    remote.send({"spans": {"a": [1, 2]}})
    remote.rest()
    assert script.asked[-1] == ("POST", "/v1/spans/pi", b'{"spans": {"a": [1, 2]}}', "Bearer secret")
    assert script.asked[0][:2] == ("GET", "/v1/clock")
    remote.close()
    assert remote._feed is None
    remote.close()
