"""The client of an agent on this machine: where it looks, what it takes for an answer, and what it says."""

import errno
import json
import os
import socket
import tempfile
import time
from types import SimpleNamespace

import pytest
from devices.agent_wire import socket_script

from energymeter.errors import (
    SamplerError,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    SpecError,
)
from energymeter.reading import Facts
from energymeter.sampling import agent as client
from energymeter.sampling import agent_feed
from energymeter.sampling.agent import (
    PROTOCOL,
    VARIABLE,
    Address,
    AgentHost,
    Connection,
    SpanReceiver,
    channels_of,
    local_source,
    mapped,
    socket_paths,
    span_receivers,
)
from energymeter.sampling.config import ChannelInfo, SourceConfig
from energymeter.sampling.descriptors import anonymous_file
from energymeter.sampling.memory import (
    HEAD_BYTES,
    LETTER_BYTES,
    Count,
    CurveWriter,
    Head,
    State,
    channel_bytes,
)
from energymeter.spec import Spec

SECOND = 1_000_000_000


def agent_spec(address=None, **options):
    driver = "".join(["ag", "ent"])  # equal to the name, and not the same object
    return SourceConfig(Spec(driver, address, options))


# Where an agent is


@pytest.mark.parametrize(
    ("own", "paths"),
    [
        ("", ["/run/energymeter/agent.sock"]),
        ("/run/user/7", ["/run/user/7/energymeter/agent.sock", "/run/energymeter/agent.sock"]),
        ("relative", ["/run/energymeter/agent.sock"]),
    ],
)
def test_where_an_agent_of_this_machine_may_listen(monkeypatch, own, paths):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", own)
    assert socket_paths() == paths
    monkeypatch.setenv(VARIABLE, "/tmp/named.sock")
    assert socket_paths() == ["/tmp/named.sock"]


def test_without_an_agent_the_places_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(client, "_SYSTEM", str(tmp_path / "system.sock"))
    assert client.found() is None
    with pytest.raises(SourceMissing) as missing:
        Connection()
    assert str(missing.value) == (
        f"no agent runs on this machine (looked for {tmp_path}/energymeter/agent.sock and "
        f"{tmp_path}/system.sock); start it with `energymeter serve`"
    )
    (tmp_path / "file").touch()
    with pytest.raises(SourceMissing, match="no agent runs"):
        Connection(str(tmp_path / "file"))


@pytest.mark.parametrize(
    ("configs", "source"),
    [
        ([agent_spec()], ""),
        ([agent_spec("um25c")], "um25c"),
        ([agent_spec("um25c", spans="yes")], "um25c"),
        ([agent_spec("um25c", spans="no")], "um25c"),
        ([agent_spec("laptop:9736/um25c")], None),
        ([agent_spec("um25c", pin="1")], None),
        ([agent_spec("um25c", pin="1", spans="yes")], None),
        ([agent_spec(), agent_spec()], None),
        ([], None),
        ([SourceConfig(Spec("manual", "1W", {}))], None),
        ([SourceConfig(object())], None),
    ],
)
def test_a_source_of_an_agent_on_this_machine(configs, source):
    assert local_source(configs) == source


def test_who_gets_the_spans():
    here, there = SpanReceiver(Address("", 0, "a")), SpanReceiver(Address("pi", 1, "b"), "abc")
    configs = [
        agent_spec("a", spans="yes"), agent_spec("a", spans="no"), agent_spec("a"),
        SourceConfig(Spec("manual", "1W", {"spans": "yes"})), agent_spec("pi:1/b", spans="yes", pin="abc"),
        SourceConfig(Spec("a", "1W", {"spans": "yes"})),
        SourceConfig(SimpleNamespace(span_receiver=there)), SourceConfig(SimpleNamespace(span_receiver=None)),
        SourceConfig(SimpleNamespace()), agent_spec(spans="yes"),
    ]  # fmt: skip
    assert span_receivers(configs) == [here, there, there, SpanReceiver(Address("", 0, ""), "")]
    for ask in (span_receivers, local_source):
        with pytest.raises(SpecError, match="spans is 'perhaps', but it must be yes or no"):
            ask([agent_spec("a", spans="perhaps")])


# Requests


def test_a_request_and_its_answer():
    with socket_script(b'{"sources": [1]}\n', b'{"asked": 3}\n') as agent:
        connection = Connection(agent.path)
        assert connection.request({"list": True}) == {"sources": [1]}
        assert connection.request({"ask": True}) == {"asked": 3}
        assert agent.asked == [{"list": True}, {"ask": True}]
        assert connection.alive()
        connection.close()
        connection.close()
        assert not connection.alive()
        with pytest.raises(SourceMissing) as closed:
            connection.request({"ask": True})
        assert str(closed.value) == "the connection to the agent is closed; enter the meter again"


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (
            b"[]\n",
            SamplerError,
            "the agent cannot be understood (no object); install the same version on both sides",
        ),
        (
            b'{"error": "SourceMissing", "message": "gone\\u001b"}\n',
            SourceMissing,
            "gone\\x1b",
        ),
        (b'{"error": "SourceForbidden"}\n', SourceForbidden, ""),
        (b'{"error": "KeyError", "message": "x"}\n', SourceError, "x"),
        (b'{"error": "PLACES", "message": "x"}\n', SourceError, "x"),
        (b'{"error": 5, "message": 6}\n', SourceError, "6"),
        (
            b"",
            SourceMissing,
            "the agent has closed the connection; look for the reason in its log",
        ),
    ],
)
def test_answers_that_are_errors(answer, error, says):
    with socket_script(answer) as agent:
        connection = Connection(agent.path)
        with pytest.raises(error) as raised:
            connection.request({"list": True})
        connection.close()
    assert type(raised.value) is error
    assert str(raised.value) == says


def test_an_agent_that_is_silent_is_given_up_in_time():
    with socket_script(b'{"half": ') as agent:
        connection = Connection(agent.path)
        begun = time.monotonic()
        with pytest.raises(SourceTimeout) as silent:
            connection.request({"list": True}, 0.05)
        assert 0.05 <= time.monotonic() - begun < 1.5
        connection.close()
    assert str(silent.value) == ("the agent has not answered within 0.05 s; check what it is busy with")


def test_how_long_an_agent_is_waited_for(monkeypatch):
    """2 s for an answer; 20 s for a source to open, which the agent gives up after 15 s."""
    waited = []

    def exchange(self, message, seconds):
        waited.append(seconds)
        return {}, [anonymous_file("test")]

    monkeypatch.setattr(Connection, "_exchange", exchange)
    with socket_script() as agent:
        connection = Connection(agent.path)
        connection.request({})
        connection.open("a")[1].close()
        connection.close()
    assert waited == [2.0, 20.0]


@pytest.mark.parametrize("size", [client.LONGEST_ANSWER, client.LONGEST_ANSWER + 1])
def test_an_answer_is_no_longer_than_a_megabyte(size):
    with socket_script(b'{"a": "' + b"x" * (size - 10) + b'"}\n') as agent:
        connection = Connection(agent.path)
        if size > 1 << 20:
            with pytest.raises(SourceMissing, match="has closed the connection"):
                connection.request({"list": True})
        else:
            assert len(connection.request({"list": True})["a"]) == size - 10
        connection.close()


def test_an_agent_that_sends_no_memory():
    with socket_script(b'{"protocol": 1}\n') as agent:
        connection = Connection(agent.path)
        with pytest.raises(SamplerError) as none:
            connection.open("um25c")
        assert agent.asked == [{"open": "um25c", "protocol": PROTOCOL}]
        connection.close()
    assert str(none.value) == ("the agent sent no memory of samples; install the same version on both sides")


@pytest.mark.parametrize(
    ("failure", "error", "says"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied"),
            SourceForbidden,
            "this user may not use the agent at {path}; join the group of that socket",
        ),
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
            SourceMissing,
            "the agent at {path} does not answer (Connection refused); start it with `energymeter serve`",
        ),
    ],
)
def test_a_socket_that_does_not_let_one_in(monkeypatch, failure, error, says):
    def connect(self, path):
        assert self.gettimeout() == 2.0
        raise failure

    with socket_script() as agent:
        monkeypatch.setattr(socket.socket, "connect", connect)
        with pytest.raises(error) as raised:
            Connection(agent.path)
        monkeypatch.undo()
        assert str(raised.value) == says.format(path=agent.path)


class Peer:
    """A connection whose other end belongs to a user."""

    def __init__(self, uid):
        self.uid = uid

    def getsockopt(self, level, option, size):
        import struct

        assert (level, option, size) == (socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return struct.pack("3i", 77, self.uid, 88)


@pytest.mark.parametrize(
    ("owner", "system", "folder_owner", "mode", "trusted"),
    [
        (0, False, 5, 0o777, True), (1000, False, 5, 0o777, True), (5, False, 5, 0o755, False),
        (5, True, 5, 0o755, True), (5, True, 0, 0o755, True), (5, True, 6, 0o755, False),
        (5, True, 5, 0o775, False), (5, True, 5, 0o757, False), (5, True, 5, 0o1777, True),
        (5, True, 0, 0o720, False), (5, False, 0, 0o755, False), (88, False, 0, 0o755, False),
    ],
)  # fmt: skip
def test_whose_agent_is_trusted(monkeypatch, owner, system, folder_owner, mode, trusted):
    """Mine and root's; another user's only where root, or that user alone, keeps the system's folder."""
    path = client._SYSTEM if system else "/tmp/x/agent.sock"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "stat", lambda folder: SimpleNamespace(st_mode=mode, st_uid=folder_owner))
    if trusted:
        client._check_owner(path, Peer(owner))
        return
    with pytest.raises(SourceForbidden) as raised:
        client._check_owner(path, Peer(owner))
    assert str(raised.value) == (
        f"the agent at {path} belongs to another user; unset $ENERGYMETER_AGENT, or use the system's agent"
    )


@pytest.mark.parametrize(
    ("answer", "many"), [(b"[1]\n", 2), (b'{"error": "SourceMissing", "message": "x"}\n', 1), (b"{}\n", 2)]
)
def test_descriptors_of_an_answer_that_is_none_are_closed(tmp_path, answer, many):
    with tempfile.TemporaryDirectory(prefix="em-") as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path := os.path.join(folder, "a.sock"))
        listening.listen(1)
        connection = Connection(path)
        theirs, _ = listening.accept()
        with theirs, open(os.devnull) as file:
            before = len(os.listdir("/proc/self/fd"))
            socket.send_fds(theirs, [answer], [file.fileno()] * many)
            with pytest.raises((SamplerError, SourceMissing)):
                connection.open("x")
            assert len(os.listdir("/proc/self/fd")) == before
        connection.close()


# What it says of its channels

INFO = ChannelInfo(0, "a", Facts(), 10.0, 64, HEAD_BYTES + LETTER_BYTES, "id", False)


def said(*infos):
    return {"protocol": PROTOCOL, "channels": [json.loads(json.dumps(info.to_json())) for info in infos]}


@pytest.mark.parametrize(
    ("changed", "fine"),
    [
        ({"capacity": (1 << 40) - 1}, True), ({"capacity": 0}, True), ({"offset": 0}, True),
        ({"offset": 1 << 40}, False), ({"name": "x" * 1024}, True), ({"name": "x" * 1025}, False),
        ({"facts": Facts(max_watts=1e12)}, True), ({"facts": Facts(max_watts=1.01e12)}, False),
        ({"facts": Facts(max_watts=0)}, True), ({"rate_hz": 1e12}, True), ({"rate_hz": 1.01e12}, False),
        ({"facts": Facts(joules_wrap=None)}, True), ({"facts": Facts(place="x" * 2000)}, False),
        ({"notes": ("n" * 1024,)}, True), ({"notes": ("n" * 1025,)}, False), ({"source_index": True}, False),
        ({"rate_hz": True}, False),
    ],
    ids=str,
)  # fmt: skip
def test_how_much_may_be_said_of_a_channel(changed, fine):
    answer = said(INFO._replace(**changed))
    if fine:
        assert len(channels_of(answer)) == 1
    else:
        with pytest.raises(SamplerError, match="a channel is described by what makes no sense"):
            channels_of(answer)


def test_a_thousand_channels_and_no_more():
    answer = said(INFO)
    for many, fine in ((1024, True), (1025, False), (0, False)):
        channels = {**answer, "channels": answer["channels"] * many}
        if fine:
            assert len(channels_of(channels)) == many
        else:
            with pytest.raises(SamplerError, match=r"\(it has no channels, or too many\)"):
                channels_of(channels)
    with pytest.raises(SamplerError, match=r"\(it has another protocol\)"):
        channels_of({**answer, "protocol": 2})


def test_two_channels_fill_the_memory():
    second = INFO._replace(offset=INFO.offset + channel_bytes(64))
    needed = HEAD_BYTES + LETTER_BYTES + 2 * channel_bytes(64)
    file = anonymous_file("test")
    os.ftruncate(file.fd, needed)
    assert len(mapped(file, [INFO, second])) == needed
    for wrong in (
        [INFO, second._replace(offset=second.offset + 1)],
        [INFO._replace(offset=HEAD_BYTES - 1), second],
        [INFO, INFO._replace(capacity=0)],
    ):
        with pytest.raises(SamplerError, match="the agent's memory has another layout"):
            mapped(file, wrong)
    assert len(mapped(file, [INFO._replace(offset=HEAD_BYTES), second])) == needed
    file.close()


# The ring


def ring(capacity=64, state=State.RUNNING, samples=0):
    """Memory as the agent has it, its writer, and what it says of it."""
    info = INFO._replace(capacity=capacity)
    memory = memoryview(bytearray(HEAD_BYTES + LETTER_BYTES + channel_bytes(capacity)))
    own = info.memory_in(memory)
    own.counts[Count.STATE] = state
    writer = CurveWriter(own)
    write(writer, 1, samples + 1)
    return info, memory, writer


def write(writer, first, end):
    nan = float("nan")
    for number in range(first, end):
        at_ns = number * SECOND
        writer.append((at_ns, float(number), nan, nan, at_ns, 0.0, 1.0, nan, 0.2, 0.0, 1.0))


@pytest.mark.parametrize(
    ("stop", "state", "after"),
    [
        (0, State.RUNNING, State.RUNNING), (1, State.RUNNING, State.RUNNING),
        (1, State.ENDED, State.RETRYING), (0, State.ENDED, State.ENDED), (2, State.ENDED, State.RETRYING),
    ],
)  # fmt: skip
def test_what_goes_on_after_an_agent_has_gone(stop, state, after):
    """A source that the agent has ended is tried again; one that has ended by itself is not."""
    info, memory, _ = ring(state=state, samples=3)
    head = Head(memory)
    head.counts[Count.STOP], head.counts[Count.READY_UNTIL_NS] = stop, 5
    host = AgentHost()
    host.memory = memory
    copy = memoryview(host.copied([info]))
    assert [Head(copy).counts[count] for count in (Count.STOP, Count.READY_UNTIL_NS)] == [0, 0]
    assert info.memory_in(copy).counts[Count.STATE] == after
    assert info.memory_in(copy).last() == info.memory_in(memory).last()
    assert head.counts[Count.STOP] == stop, "the agent's own stays as it is"


def test_a_copy_is_made_again_while_the_history_is_thinned(monkeypatch):
    info, memory, _ = ring(samples=3)
    counts = info.memory_in(memory).counts
    counts[Count.GENERATION] = 1
    copies = []

    def copied(shared):
        copies.append(counts[Count.GENERATION])
        if len(copies) >= 4:
            counts[Count.GENERATION] += 1 if len(copies) == 4 else 0
        return bytearray(shared)

    monkeypatch.setattr(client, "bytearray", copied, raising=False)
    host = AgentHost()
    host.memory = memory
    host.copied([info])
    assert copies == [1, 1, 1, 1, 2]
    counts[Count.GENERATION] = 1
    monkeypatch.setattr(client, "bytearray", lambda shared: copies.append(0) or bytearray(shared))
    copies.clear()
    host.copied([info])
    assert len(copies) == 20, "a writer that was killed leaves it as it is"


def test_a_host_that_is_not_connected_asks_nobody():
    host = AgentHost()
    assert host.pid is None
    assert host.ask() == 0
    assert not host.alive()
    host.cancel()
    host.stop()


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (b'{"asked": 7}\n', 7),
        (b'{"asked": "7"}\n', 0),
        (b"{}\n", 0),
        (b"", 0),
        (b'{"error": "SourceMissing"}\n', 0),
    ],
)
def test_the_number_of_a_question(answer, asked):
    with socket_script(answer) as agent:
        host = AgentHost()
        host._connection = Connection(agent.path)
        assert host.ask() == asked
        assert agent.asked == [{"ask": True}]
        host.stop()


@pytest.mark.parametrize(
    ("rate_hz", "fine"),
    [(None, True), (5.0, True), (10.0, True), (10.0 * (1 + 1e-10), True), (10.001, False)],
)
def test_the_rate_is_the_agents(monkeypatch, rate_hz, fine):
    info, memory, _ = ring(samples=2)
    file = anonymous_file("test")
    os.ftruncate(file.fd, len(memory))
    answer = said(info)

    def opened(self, name):
        assert name == "um25c"
        return answer, file

    monkeypatch.setattr(Connection, "open", opened)
    with socket_script() as agent:
        monkeypatch.setenv(VARIABLE, agent.path)
        host = AgentHost()
        config = SourceConfig(Spec("agent", "um25c", {}), rate_hz)
        if fine:
            assert host.start(config, "um25c") == [info]
            assert len(host.memory) == len(memory)
            assert host.alive()
            host.stop()
        else:
            with pytest.raises(SpecError) as raised:
                host.start(config, "um25c")
            assert str(raised.value) == (
                "the agent reads a at 10 Hz, not at 10.001 Hz; set the rate where the agent runs"
            )
        assert not host.alive()
        assert not file.ours()


# Its samples, one by one


def feed_of(info, memory, joint=None):
    feed = agent_feed.LocalFeed("")
    feed.infos, feed._memories, feed._joints = (
        [info],
        [info.memory_in(memory)],
        [joint or agent_feed.Joint(0, None)],
    )
    return feed


def test_samples_are_read_once_and_in_order():
    info, memory, writer = ring(samples=3)
    feed = feed_of(info, memory)
    assert [reading.at_ns // SECOND for _, reading in feed._new()] == [1, 2, 3]
    assert list(feed._new()) == []
    write(writer, 4, 6)
    found = list(feed._new())
    assert [(channel, reading.at_ns // SECOND, reading.watts) for channel, reading in found] == [
        (0, 4, 1.0), (0, 5, 1.0),
    ]  # fmt: skip
    assert (feed._joints[0].number, feed.lost) == (5, 0)


@pytest.mark.parametrize(("behind", "lost"), [(55, 0), (56, 0), (57, 1), (64, 8), (1000, 944)])
def test_samples_that_the_ring_has_forgotten_are_counted(behind, lost):
    """An eighth of 64 samples is left to the writer: 56 are read."""
    info, memory, _ = ring(samples=2000)
    before = info.memory_in(memory).sample(1999)
    feed = feed_of(info, memory, agent_feed.Joint(2000 - behind, before))
    found = [reading for _, reading in feed._new() if reading.watts is not None]
    assert (len(found), feed.lost) == (behind - lost, lost)
    assert found[-1].at_ns == 2000 * SECOND


def test_a_sample_that_is_being_written_is_read_later():
    info, memory, _ = ring(samples=3)
    feed = feed_of(info, memory)
    own = info.memory_in(memory)
    own.ring.bytes[2 * 104 + 3] ^= 1
    assert [reading.at_ns // SECOND for _, reading in feed._new()] == [1, 2]
    own.ring.bytes[2 * 104 + 3] ^= 1
    assert [reading.at_ns // SECOND for _, reading in feed._new()] == [3]


def test_a_feed_begins_with_the_newest_sample_and_goes_on_where_it_was(monkeypatch):
    info, memory, writer = ring(samples=5)
    answer = {"began": 1, **said(info)}

    class Listening:
        def open(self, name):
            assert name == "pi"
            return answer, anonymous_file("test")

        def close(self):
            closed.append(1)

        def alive(self):
            return True

    closed = []
    monkeypatch.setattr(agent_feed, "Connection", Listening)
    monkeypatch.setattr(agent_feed, "mapped", lambda descriptor, infos: memory)
    feed = agent_feed.LocalFeed("pi")
    feed.open()
    assert [reading.at_ns // SECOND for _, reading in feed._new()] == [5]
    write(writer, 6, 8)
    feed.open()
    assert len(closed) == 1, "the connection before"
    assert [reading.at_ns // SECOND for _, reading in feed._new()] == [6, 7], "the same ring"
    answer["began"] = 2
    feed.open()
    assert [reading.at_ns // SECOND for _, reading in feed._new()] == [*range(1, 8)], "of another, all is new"
    feed.close()
    feed.close()
    assert len(closed) == 3
    fresh = agent_feed.LocalFeed("pi")
    memory = ring()[1]
    fresh.open()
    assert fresh._joints == [agent_feed.Joint(0, None)]
    answer["protocol"] = 9
    with pytest.raises(SamplerError):
        fresh.open()
    assert len(closed) == 5


def test_while_there_is_nothing_new_the_loop_hears_so(monkeypatch):
    """Every quarter of a second, and it looks again a quarter of a period later, at most 20 ms."""
    info, memory, writer = ring(samples=1)
    feed = feed_of(info._replace(rate_hz=100.0), memory)
    alive = [True]
    feed._connection = SimpleNamespace(alive=lambda: alive[0], close=lambda: None)
    now, pauses = [50.0], []

    def sleep(seconds):
        pauses.append(seconds)
        now[0] += 0.125
        if len(pauses) == 5:
            write(writer, 2, 3)
        if len(pauses) == 8:
            alive[0] = False

    monkeypatch.setattr(agent_feed, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    found = []
    with pytest.raises(SourceMissing) as gone:
        for channel, reading in feed.readings():
            found.append((channel, reading.fresh, len(pauses)))
    assert str(gone.value) == "the agent has gone; start it again with `energymeter serve`"
    assert found == [(0, True, 0), (0, False, 3), (0, True, 5)]
    assert set(pauses) == {0.0025}
    slow = feed_of(info._replace(rate_hz=1.0), memory)
    slow._connection, alive[0] = feed._connection, True
    pauses.clear()
    with pytest.raises(SourceMissing):
        list(slow.readings())
    assert set(pauses) == {0.02}
    slow.close()
    with pytest.raises(SourceMissing, match="the agent has gone"):
        next(slow.readings())
