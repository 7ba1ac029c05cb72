"""The client of an agent on another computer: whom it trusts, what it asks, how it reads the clock there."""

import binascii
import hashlib
import http.client
import json
import math
import queue
import socket
import ssl
import struct
import time
from types import SimpleNamespace

import pytest
from devices.agent_wire import HttpScript

from energymeter.drivers.protocols.parts import Part
from energymeter.errors import (
    SamplerError,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    SpecError,
)
from energymeter.reading import Facts
from energymeter.sampling import agent_remote
from energymeter.sampling.agent import Address
from energymeter.sampling.agent_feed import Joint, facts_of
from energymeter.sampling.agent_remote import RemoteFeed
from energymeter.sampling.clock_offset import ClockOffset, Exchange, Offset
from energymeter.sampling.config import ChannelInfo
from energymeter.sampling.loop import Channel
from energymeter.sampling.memory import ChannelMemory, Count, channel_bytes

SECOND, MS = 1_000_000_000, 1_000_000
INFO = ChannelInfo(0, "um25c", Facts(), 10.0, 1024, 4096, "um25c", False)
AHEAD = 3 * SECOND


def clock(_):
    now = time.monotonic_ns() + AHEAD
    return json.dumps({"arrived_ns": now, "left_ns": now}).encode()


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setattr(agent_remote, "_EXCHANGES", 2)
    made = []

    def start(answers, source="pi", **options):
        script = HttpScript({"/v1/clock": clock, **answers})
        feed = RemoteFeed(Address("127.0.0.1", script.port, source), **options)
        made.append((feed, script))
        return feed, script

    yield start
    for feed, script in made:
        feed.close()
        script.close()


def feed_of(host="127.0.0.1", source="pi", **options):
    return RemoteFeed(Address(host, 9736, source), **options)


# Whom it trusts

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("pin", "kept"),
    [
        ("", ""), (DIGEST, DIGEST), (DIGEST.upper(), DIGEST), (f"sha256:{DIGEST}", DIGEST),
        (":".join(DIGEST[i : i + 2] for i in range(0, 64, 2)), DIGEST), (f"SHA256:{DIGEST.upper()}", DIGEST),
        (DIGEST[:-1], None), (DIGEST + "0", None), (DIGEST[:-1] + "g", None), ("sha256", ""),
    ],
)  # fmt: skip
def test_a_pin_is_64_hex_digits(pin, kept):
    if kept is None:
        with pytest.raises(SpecError) as refused:
            feed_of(pin=pin)
        assert str(refused.value) == (
            "pin is the SHA-256 of the agent's certificate, 64 hex digits; copy it from the agent"
        )
    else:
        assert feed_of(pin=pin)._pin == kept


@pytest.mark.parametrize(
    ("host", "pin", "encrypted", "vouched"),
    [
        ("127.0.0.1", "", False, False), ("::1", "", False, False), ("localhost", "", False, False),
        ("192.0.2.1", "", True, True), ("laptop", "", True, True), ("127.0.0.2", "", True, True),
    ],
)  # fmt: skip
def test_only_to_this_machine_it_speaks_in_the_clear(monkeypatch, host, pin, encrypted, vouched):
    monkeypatch.setattr(http.client.HTTPConnection, "connect", lambda self: None)
    monkeypatch.setattr(http.client.HTTPSConnection, "connect", lambda self: None)
    link = feed_of(host, pin=pin)._connected()
    assert isinstance(link, http.client.HTTPSConnection) is encrypted
    assert (link.host, link.port, link.timeout) == (host, 9736, 5.0)
    if encrypted:
        assert (link._context.verify_mode == ssl.CERT_REQUIRED) is vouched
        assert link._context.check_hostname is vouched


@pytest.mark.parametrize("host", ["127.0.0.1", "laptop"])
@pytest.mark.parametrize("right", [True, False])
def test_a_pinned_certificate_is_looked_at_and_no_other(monkeypatch, host, right):
    certificate = b"certificate"
    closed = []

    class Secured(ssl.SSLSocket):
        def getpeercert(self, binary_form=False):
            return certificate if binary_form else {}

    def connect(self):
        self.sock = Secured.__new__(Secured)

    monkeypatch.setattr(http.client.HTTPSConnection, "connect", connect)
    monkeypatch.setattr(http.client.HTTPSConnection, "close", lambda self: closed.append(1))
    feed = feed_of(host, pin=hashlib.sha256(certificate if right else b"other").hexdigest())
    if right:
        link = feed._connected()
        assert (link._context.verify_mode, link._context.check_hostname) == (ssl.CERT_NONE, False)
        assert not closed
    else:
        with pytest.raises(SourceForbidden) as refused:
            feed._connected()
        assert str(refused.value) == (
            f"the agent at {host}:9736 has another certificate than is pinned; check who answers"
        )
        assert closed


@pytest.mark.parametrize(
    ("failure", "error", "says"),
    [
        (
            ssl.SSLError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] no"),
            SourceForbidden,
            "the agent at laptop:9736 cannot be trusted (CERTIFICATE_VERIFY_FAILED); give its pin=",
        ),
        (
            OSError(113, "No route to host"),
            SourceMissing,
            "no agent answers at laptop:9736 (No route to host); check that it listens there",
        ),
        (
            TimeoutError("timed out"),
            SourceMissing,
            "no agent answers at laptop:9736 (timed out); check that it listens there",
        ),
    ],
)
def test_why_there_is_no_connection(monkeypatch, failure, error, says):
    def connect(self):
        raise failure

    if isinstance(failure, ssl.SSLError):
        failure.reason = "CERTIFICATE_VERIFY_FAILED"  # as OpenSSL names it
    monkeypatch.setattr(http.client.HTTPSConnection, "connect", connect)
    with pytest.raises(error) as raised:
        feed_of("laptop")._connected()
    assert str(raised.value) == says


# What it asks


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (401, None, SourceForbidden, "refuses the token; set $ENERGYMETER_TOKEN to that of the agent"),
        (403, None, SourceForbidden, "refuses the token; set $ENERGYMETER_TOKEN to that of the agent"),
        (401, b"{}", SourceForbidden, "refuses the token; set $ENERGYMETER_TOKEN to that of the agent"),
        (
            403, b"{}", SourceForbidden, "takes no spans (HTTP status 403); start it with --token-file, and "
            "with --web, --metrics or --record",
        ),
        (
            500, b"", SourceForbidden, "takes no spans (HTTP status 500); start it with --token-file, and "
            "with --web, --metrics or --record",
        ),
        (404, None, SourceMissing, "answers with HTTP status 404; check the name of the source"),
        (402, None, SourceMissing, "answers with HTTP status 402; check the name of the source"),
        (201, None, SourceMissing, "answers with HTTP status 201; check the name of the source"),
        (199, None, SourceMissing, "answers with HTTP status 199; check the name of the source"),
    ],
)  # fmt: skip
def test_what_a_status_means(status, body, error, says):
    closed = []

    class Link:
        def request(self, method, target, sent, headers):
            assert (method, target, sent) == ("GET" if body is None else "POST", "/x", body)
            assert headers == {"Authorization": "Bearer secret"}

        def getresponse(self):
            return SimpleNamespace(status=status, close=lambda: closed.append(1))

    with pytest.raises(error) as raised:
        feed_of(token="secret")._get(Link(), "/x", body)
    assert type(raised.value) is error
    assert str(raised.value) == f"the agent at 127.0.0.1:9736 {says}"
    assert closed == [1]


@pytest.mark.parametrize(
    "failure", [http.client.RemoteDisconnected("x"), TimeoutError("x"), BrokenPipeError()]
)
def test_an_agent_that_does_not_answer(failure):
    class Link:
        def request(self, method, target, sent, headers):
            assert headers == {}
            raise failure

    with pytest.raises(SourceMissing) as raised:
        feed_of()._get(Link(), "/x")
    name = type(failure).__name__
    assert str(raised.value) == (
        f"the agent at 127.0.0.1:9736 does not answer ({name}); check that it listens there"
    )


@pytest.mark.parametrize("failure", [http.client.IncompleteRead(b""), ValueError("x"), OSError("x")])
def test_an_answer_that_ends_early(failure):
    def read(most):
        assert most == 7
        raise failure

    with pytest.raises(SourceMissing) as raised:
        feed_of()._read(SimpleNamespace(read=read), 7)
    assert str(raised.value) == "the agent at 127.0.0.1 ended its answer early; check the network"


def test_the_clock_is_asked_twelve_times_and_later_six_times(serve, monkeypatch):
    monkeypatch.undo()
    feed, script = serve({})
    feed.connect()
    assert [path for _, path, *_ in script.asked] == ["/v1/clock"] * 12
    feed.measure_again()
    assert len(script.asked) == 18
    known = feed.offset()
    assert known.least_ns <= AHEAD <= known.most_ns
    assert feed.notes == [
        f"read from the agent at 127.0.0.1, whose clock is known to ±{feed.lag_seconds * 500:.1f} ms"
    ]
    feed._clock = ClockOffset()
    with pytest.raises(SourceError) as raised:
        feed.offset()
    assert str(raised.value) == "the clock of the agent's computer jumped; its offset is measured again"


@pytest.mark.parametrize(
    "times",
    [
        b"", b"[]", b"{}", b"x", b"[" * 500, b'{"arrived_ns": 1}', b'{"arrived_ns": 1, "left_ns": 1.0}',
        b'{"arrived_ns": true, "left_ns": 1}', b'{"arrived_ns": -1, "left_ns": 1}',
        b'{"arrived_ns": 1, "left_ns": %d}' % (1 << 62),
    ],
)  # fmt: skip
def test_what_says_no_times_is_no_agent(serve, times):
    feed, _ = serve({"/v1/clock": lambda body: times})
    with pytest.raises(SourceMissing) as raised:
        feed.connect()
    assert str(raised.value) == "what answers there is no agent; check the address"
    assert feed._questions is None, "nothing stays open"


@pytest.mark.parametrize(
    "sources", [b"", b"[]", b"{}", b'{"sources": []}', b'{"sources": [{}]}', b'{"sources": 5}', b"[" * 500]
)
def test_what_names_no_sources_is_no_agent(serve, sources):
    feed, _ = serve({"/v1/sources": lambda body: sources}, source="")
    with pytest.raises(SourceMissing, match=r"^what answers there is no agent; check the address$"):
        feed.open()
    assert feed._questions is feed._stream is None


def test_spans_go_to_the_first_source_where_none_is_named(serve):
    feed, script = serve(
        {
            "/v1/sources": lambda body: b'{"sources": [{"name": "a"}, {"name": "b"}]}',
            "/v1/spans/a": lambda body: b"{}",
        },
        source="",
        token="t",
    )
    feed.connect()
    feed.send_spans({"spans": {}})
    assert script.asked[-1] == ("POST", "/v1/spans/a", b'{"spans": {}}', "Bearer t")
    assert script.asked[-2][:2] == ("GET", "/v1/sources")


# The clock there


class Known:
    """What is known of a clock, as a script."""

    def __init__(self, *offsets):
        self.offsets = list(offsets)

    def at(self, here_ns):
        assert abs(here_ns - time.monotonic_ns()) < 60 * SECOND
        return self.offsets.pop(0)


def bend(*offsets):
    feed = feed_of()
    feed._clock = Known(*offsets)
    for _ in offsets:
        feed._bend()
    return feed


@pytest.mark.parametrize(("bound_ms", "lag_ms"), [(1, 12), (5, 20), (6, 24), (20, 80)])
def test_a_value_is_late_by_twice_what_the_clock_may_be_off_later(bound_ms, lag_ms):
    """Later it may be known worse by 5 ms, or as much again."""
    feed = bend(Offset(AHEAD - bound_ms * MS, AHEAD + bound_ms * MS))
    assert feed.lag_seconds == pytest.approx(lag_ms * 1e-3)
    assert feed._offset_ns == AHEAD


def test_the_offset_that_is_used_moves_no_more_than_it_must():
    feed = bend(Offset(0, 10 * MS), Offset(4 * MS, 6 * MS), Offset(-5 * MS, 15 * MS))
    assert feed._offset_ns == 5 * MS
    assert feed.lag_seconds == pytest.approx(0.02), "as it was stated"
    assert bend(Offset(0, 10 * MS), Offset(7 * MS, 9 * MS))._offset_ns == 7 * MS
    assert bend(Offset(0, 10 * MS), Offset(1 * MS, 3 * MS))._offset_ns == 3 * MS


@pytest.mark.parametrize(("bound_ms", "fine"), [(10.0, True), (10.001, False)])
def test_a_clock_that_is_known_worse_than_was_stated_is_refused(bound_ms, fine):
    first, later = Offset(0, 10 * MS), Offset(0, round(2 * bound_ms * MS))
    if fine:
        bend(first, later)
        return
    with pytest.raises(SourceError) as raised:
        bend(first, later)
    assert str(raised.value) == (
        "the clock of the agent's computer is known to 10.0 ms only; use a link with steadier delays"
    )


def test_a_clock_that_began_again_is_measured_from_the_start():
    feed = feed_of()
    feed._clock, feed._offset_ns = Known(None), 7
    with pytest.raises(SourceError) as raised:
        feed._bend()
    assert str(raised.value) == "the clock of the agent's computer jumped; the stream begins again"
    assert isinstance(feed._clock, ClockOffset)
    assert feed._clock.at(0) is None
    assert feed._offset_ns == 0


# The stream


def head(**changed):
    return (
        json.dumps({"channels": [INFO.to_json()], "began": 1, "order": "little", **changed}).encode() + b"\n"
    )


def test_a_stream_begins_and_goes_on_where_it_was_cut(serve):
    answers = [head(), head(), head(began=2), head(began=2, channels=[INFO.to_json()] * 2)]
    feed, script = serve({"/v1/stream/pi": lambda body: answers.pop(0)})
    feed.open()
    asked = [path for _, path, *_ in script.asked if "clock" not in path]
    assert asked == ["/v1/stream/pi"]
    assert feed._joints == [Joint(-1, None)]
    assert feed._stream.sock.gettimeout() == 5.0
    feed._joints, feed._last_ns = [Joint(7, None)], [5]
    feed.open()
    assert script.asked[-1][1] == "/v1/stream/pi?from=7&began=1"
    assert (feed._joints, feed._last_ns) == ([Joint(7, None)], [5]), "the same ring"
    feed.open()
    assert (feed._joints, feed._last_ns, feed._began) == ([Joint(-1, None)], [0], 2)
    feed._joints = [Joint(9, None)]
    feed.open()
    assert script.asked[-1][1] == "/v1/stream/pi?from=9&began=2"
    assert feed._joints == [Joint(-1, None)] * 2, "of more channels, all is new"


@pytest.mark.parametrize(
    ("said", "error", "says"),
    [
        (b'{"error": "gone\\u001b"}\n', SourceMissing,
         "the agent cannot read its source (gone\\x1b); check it there"),
        (b"", SourceMissing, "the agent cannot read its source (it is silent); check it there"),
        (b'{"error": "%b"}\n' % (b"x" * 300), SourceMissing,
         f"the agent cannot read its source ({'x' * 200}); check it there"),
        (b"{}\n", SourceMissing, "the agent cannot read its source (it is silent); check it there"),
        (b'{"now": 5}\n{"now": 6}\n{"error": "late"}\n', SourceMissing,
         "the agent cannot read its source (late); check it there"),
        (b"x\n", SourceMissing, "the agent ended the stream; look for the reason in its log"),
        (b"[1]\n", SourceMissing, "the agent ended the stream; look for the reason in its log"),
        (b"[" * 100_000, SourceMissing, "the agent ended the stream; look for the reason in its log"),
        (head(began=None), SamplerError,
         "the agent does not say when it began, or how it packs samples; install the same version on "
         "both sides"),
        (head(began=1.5), SamplerError,
         "the agent does not say when it began, or how it packs samples; install the same version on "
         "both sides"),
    ],
)  # fmt: skip
def test_a_stream_that_does_not_begin(serve, said, error, says):
    feed, _ = serve({"/v1/stream/pi": lambda body: said})
    with pytest.raises(error) as raised:
        feed.open()
    assert str(raised.value) == says
    assert feed._stream is feed._questions is None


def test_a_source_that_is_opened_for_twenty_seconds_is_given_up(serve, monkeypatch):
    feed, _ = serve({"/v1/stream/pi": lambda body: b'{"now": 5}\n' * 10})
    now = iter([0.0, 20.0, 20.5])
    ticks = SimpleNamespace(monotonic=lambda: next(now), monotonic_ns=time.monotonic_ns)
    monkeypatch.setattr(agent_remote, "time", ticks)
    with pytest.raises(SourceMissing, match=r"\(it is silent\)"):
        feed.open()
    assert list(now) == []


def row(number, at_s, joules=0.0, place=0, covered_s=None):
    """At, joules, coulombs, volt seconds, covered, gap fill, watts, volts, amps, variance, peak."""
    covered = at_s if covered_s is None else covered_s
    unknown = float("nan")
    fields = (
        at_s * SECOND, joules, unknown, unknown, covered * SECOND, 0.0, 3.0, 5.0, 0.6, 0.0, 3.0
    )  # fmt: skip
    packed = struct.pack("<qdddqdddddd", *fields)
    return [place, number, binascii.b2a_base64(packed, newline=False).decode()]


def taken(feed, *rows):
    found = list(feed._taken(json.dumps({"samples": rows}).encode()))
    return [(place, (reading.at_ns - 10 * MS) // SECOND, reading.watts) for place, reading in found]


def streaming(many=1):
    feed = bend(Offset(-5 * MS, 5 * MS))
    feed.infos, feed._joints, feed._last_ns = [INFO] * many, [Joint(-1, None)] * many, [0] * many
    feed._order = "little"
    return feed


def test_rows_become_readings_of_their_channels():
    feed = streaming(2)
    assert taken(feed) == []
    assert taken(feed, row(5, 1), row(9, 1, place=1), row(6, 2)) == [(0, 1, 3.0), (1, 1, 3.0), (0, 2, 3.0)]
    assert [joint.number for joint in feed._joints] == [7, 10]
    assert feed.lost == 0, "where it begins, nothing is lost"
    assert list(feed._taken(b'{"now": 5}')) == []


@pytest.mark.parametrize(("number", "lost"), [(6, 0), (7, 0), (8, 1), (17, 10)])
def test_samples_that_were_forgotten_there_are_counted(number, lost):
    feed = streaming()
    taken(feed, row(6, 2))
    feed.lost = 100
    gap = taken(feed, row(number, 10, covered_s=3))
    assert feed.lost == 100 + lost
    # an empty reading says that the time between was not measured; after a loss nobody can tell
    assert gap == ([(0, 10, 3.0)] if lost else [(0, 6, None), (0, 10, 3.0)])
    feed._joints = [Joint(0, None)]
    taken(feed, row(0, 20))
    assert feed.lost == 100 + lost


def test_what_was_lost_is_counted_from_the_first_sample_on():
    feed = streaming()
    feed._joints = [Joint(0, None)]
    taken(feed, row(3, 2))
    assert feed.lost == 3
    feed.lost = (1 << 62) - 2
    taken(feed, row(9, 3))
    assert feed.lost == (1 << 62) - 1, "a number that somebody made up is no number of ours"


@pytest.mark.parametrize("total", [1e19, -1e19, 1e15, math.inf, -math.inf])
def test_no_total_is_as_large(total):
    """What reads the samples refuses it, as of any meter; the next one is taken."""
    counter = INFO._replace(facts=Facts(semantics="counter"))
    feed = streaming()
    feed.infos = [counter]
    memory = ChannelMemory(memoryview(bytearray(channel_bytes(1024))), 1024)
    channel = Channel(Part("um25c", facts_of(counter)), memory, 10.0)
    for number, joules in enumerate((1.0, total, 2.0), 1):
        for _, reading in feed._taken(json.dumps({"samples": [row(number, number, joules)]}).encode()):
            if joules == total:
                with pytest.raises(SourceError, match="which cannot be"):
                    channel.take(number * SECOND, reading)
            else:
                channel.take(number * SECOND, reading)
    assert memory.counts[Count.RING_COUNT] == 2


@pytest.mark.parametrize("wrong", [{"place": -1}, {"place": True}, {"number": 1.0}, {"number": -1}])
def test_rows_without_numbers(wrong):
    fields = {"place": 0, "number": 1, **wrong}
    with pytest.raises(SamplerError, match=r"\(no number of a sample\); install the same version on both"):
        taken(streaming(), row(fields["number"], 1, place=fields["place"]))


class Lines:
    """What the other end sends, and when it ends."""

    def __init__(self, *lines):
        self._lines = queue.SimpleQueue()
        for line in lines:
            self._lines.put(line)
        self.most = []

    def readline(self, most):
        self.most.append(most)
        return self._lines.get(timeout=30)

    def put(self, line):
        self._lines.put(line)


def test_each_line_is_followed_by_a_reading_that_is_not_fresh():
    """So the loop looks at what is asked after each line, however fast they come."""
    feed = streaming()
    line = json.dumps({"samples": [row(1, 1), row(2, 2)]}).encode()
    feed._lines = Lines(line, b'{"now": 1}', b"")
    found = []
    with pytest.raises(SourceMissing) as ended:
        for _, reading in feed.readings():
            found.append(reading.fresh)
    assert found == [True, True, False, False]
    assert str(ended.value) == "the connection to the agent has ended; check the network"
    assert set(feed._lines.most) == {1 << 22}


@pytest.mark.parametrize(
    "failure", [OSError("x"), ValueError("x"), AttributeError("x"), http.client.HTTPException()]
)
def test_a_stream_that_breaks_has_ended(failure):
    feed = streaming()

    def readline(most):
        raise failure

    feed._lines = SimpleNamespace(readline=readline)
    with pytest.raises(SourceMissing, match="the connection to the agent has ended"):
        next(feed.readings())


def test_silence_is_heard_four_times_a_second_and_given_up_after_five(monkeypatch):
    feed = streaming()
    feed._lines = lines = Lines()
    now = [100.0]
    ticks = SimpleNamespace(monotonic=lambda: now[0], monotonic_ns=lambda: round(now[0] * 1e9))
    begun = time.monotonic()
    monkeypatch.setattr(agent_remote, "time", ticks)
    readings = feed.readings()
    now[0] += 5.0
    assert next(readings)[1].fresh is False
    assert 0.2 <= time.monotonic() - begun < 1.2
    monkeypatch.setattr(agent_remote, "_SILENT_SECONDS", 0.001)
    now[0] += 5.001
    with pytest.raises(SourceTimeout) as silent:
        next(readings)
    assert str(silent.value) == "the agent is silent; check the network"
    lines.put(b"")


def test_the_clock_is_measured_again_every_two_seconds(monkeypatch):
    feed = streaming()
    feed._lines = lines = Lines()
    measured = []
    monkeypatch.setattr(feed, "_measure", measured.append)
    now = [100 * SECOND]
    ticks = SimpleNamespace(monotonic=lambda: now[0] * 1e-9, monotonic_ns=lambda: now[0])
    monkeypatch.setattr(agent_remote, "time", ticks)
    readings = feed.readings()
    for later_ns, many in ((0, 0), (2 * SECOND - 1, 0), (1, 1), (2 * SECOND - 1, 1), (1, 2), (SECOND, 2)):
        now[0] += later_ns
        lines.put(b'{"now": 1}')
        assert next(readings)[1].fresh is False
        lines.put(b'{"now": 1}')
        assert next(readings)[1].fresh is False
        assert measured == [6] * many
    lines.put(b"")


def test_an_exchange_is_of_both_clocks(monkeypatch):
    """Asked at 100 ns, answered at 300 ns; there it was 1000 ns, and 1010 ns."""
    feed = feed_of()
    feed._questions = object()
    found, now = [], iter([100, 300])
    monkeypatch.setattr(agent_remote, "time", SimpleNamespace(monotonic_ns=lambda: next(now)))
    answer = SimpleNamespace(read=lambda most: b'{"arrived_ns": 1000, "left_ns": 1010}')
    monkeypatch.setattr(feed, "_get", lambda link, target: answer)
    monkeypatch.setattr(feed, "_bend", lambda: None)
    monkeypatch.setattr(feed._clock, "add", found.append)
    feed._measure(1)
    assert found == [Exchange(100, 1000, 1010, 300)]


def test_both_ways_of_a_connection_are_shut_down():
    """A thread that waits for the next line learns of it."""
    shut, closed = [], []
    feed = feed_of()
    for fails in (False, True):

        def shutdown(how, fails=fails):
            shut.append(how)
            if fails:
                raise OSError("not connected")

        link = SimpleNamespace(sock=SimpleNamespace(shutdown=shutdown), close=lambda: closed.append(1))
        feed._stream, feed._questions = link, SimpleNamespace(sock=None, close=lambda: closed.append(2))
        feed.close()
    assert shut == [socket.SHUT_RDWR] * 2
    assert closed == [1, 2, 1, 2]


def test_what_is_closed_is_shut_down_for_whoever_reads_it(serve):
    feed, _ = serve({"/v1/stream/pi": lambda body: head()})
    feed.open()
    links = feed._stream, feed._questions
    socks = [link.sock for link in links if link.sock is not None]
    feed.close()
    assert socks
    assert all(sock.fileno() == -1 for sock in socks)
    assert feed._stream is feed._questions is None
    feed.close()
