"""The agent of another computer, through a link with delays and cuts of the test's own.

===============================================  ====================================================
its processor has the other byte order           test_samples_of_either_byte_order
it is of another version                         test_an_agent_of_another_version
a message is cut off, or holds no samples        test_what_is_no_stream
lost samples are joined, or not counted          test_what_was_lost_in_between_is_counted_and_not_joined
a value that cannot be is added                  test_what_cannot_flow_is_counted_as_failed_and_never_added
a stop or a sleep is seen late among many        tests/sampling/test_loop.py, test_readings_that_come_together
===============================================  ====================================================
"""

import binascii
import json
import math
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from unittest import mock

import pytest
from devices.processes import until
from devices.relay import Relay
from devices.rows import row_of
from devices.tls import pinned
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("uvicorn", reason="pip install edge-energymeter[serve]")

from energymeter import EnergyMeter
from energymeter.drivers.agent import Agent as Driver
from energymeter.drivers.agent import _Part
from energymeter.energy.integrate import Sample
from energymeter.errors import (
    EnergyMeterError,
    SamplerError,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SpecError,
)
from energymeter.reading import Facts, Reading
from energymeter.sampling import agent_remote
from energymeter.sampling.agent import Address
from energymeter.sampling.agent_feed import Joint, facts_of
from energymeter.sampling.agent_remote import TOKEN_VARIABLE, RemoteFeed
from energymeter.sampling.config import ChannelInfo
from energymeter.sampling.loop import Channel
from energymeter.sampling.memory import ChannelMemory, Count, channel_bytes
from energymeter.serve.agent import Agent
from energymeter.serve.config import Config, SourceEntry
from energymeter.serve.http import HttpServer, Listen
from energymeter.testing import check_source

TOKEN = "0123456789abcdef" * 2
INFO = ChannelInfo(0, "um25c", Facts(), 10.0, 1024, 4096, "um25c", False)
SAMPLE = Sample(1_000_000_000, 3.0, 0.6, 5.0, 1_000_000_000, 0.0, 3.0, 5.0, 0.6)


def packed(*samples: Sample, order: str = "little") -> bytes:
    """Samples as an agent sends them, whose processor has this byte order."""
    layout = struct.Struct(("<" if order == "little" else ">") + "qdddqdddddd")
    return b"".join(layout.pack(*row_of(sample)) for sample in samples)


def text_of(*samples: Sample, order: str = "little") -> bytes:
    return binascii.b2a_base64(packed(*samples, order=order), newline=False)


def receiving(order: str = "little") -> RemoteFeed:
    """A feed whose stream has begun, of one channel, on the same clock."""
    feed = RemoteFeed(Address("laptop", 9736, "um25c"))
    feed.infos, feed._joints, feed._last_ns, feed._order = [INFO], [Joint(-1, None)], [0], order
    return feed


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., HttpServer]]:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    agent = Agent(Config((SourceEntry.of("board", "manual:5V,0.6A", 100.0),)))
    servers: list[HttpServer] = []

    def start(certificate: str | None = None, key: str | None = None) -> HttpServer:
        servers.append(HttpServer(agent, Listen("127.0.0.1", 0, TOKEN, certificate, key)))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
    agent.close()


@pytest.mark.slow
def test_keeps_the_drivers_contract(listening: Callable[..., HttpServer]) -> None:
    port = listening().port
    check_source(lambda: Driver(f"127.0.0.1:{port}"), accuracy_known=False)


@pytest.mark.slow
def test_a_block_is_measured_there(listening: Callable[..., HttpServer]) -> None:
    with EnergyMeter(f"agent@127.0.0.1:{listening().port}/board") as meter:
        time.sleep(0.5)
    usage = meter.usage
    assert usage.mean_watts == pytest.approx(3.0, rel=0.002)
    assert usage.coverage > 0.99
    assert usage.sources == ("manual:5V,0.6A",)


@pytest.mark.slow
def test_an_uneven_link_is_in_the_bound(listening: Callable[..., HttpServer]) -> None:
    relay = Relay(("127.0.0.1", listening().port), lambda: 0.035, lambda: 0.005)
    source = Driver(f"127.0.0.1:{relay.port}/board")
    source.open()
    try:
        known = source._feed._clock.at(time.monotonic_ns())
        assert known.least_ns <= 0 <= known.most_ns  # it is the same clock
        assert known.bound_ns < 100e6
        assert source.channels()[0].facts.smoothing_seconds >= 2e-9 * known.bound_ns
        for _, reading in source.stream_parts():
            if reading.fresh:
                assert reading.at_ns - time.monotonic_ns() + 2e9 * source._feed.lag_seconds + 1e9 >= 0
                break
    finally:
        source.close()
        relay.close()


@pytest.mark.slow
def test_after_a_cut_it_goes_on_from_the_agents_ring(listening: Callable[..., HttpServer]) -> None:
    relay = Relay(("127.0.0.1", listening().port))
    with EnergyMeter(f"agent@127.0.0.1:{relay.port}/board") as meter:
        (channel,) = meter._life.latest.sampler.channels
        until(lambda: len(channel.curve) > 20)
        relay.hang_up()
        time.sleep(1.0)
        count = len(channel.curve)
        relay.cut = False
        until(lambda: len(channel.curve) > count + 80)  # of the second without a link, too
        time.sleep(0.2)
    relay.close()
    usage = meter.usage
    assert usage.joules == pytest.approx(3.0 * usage.measured_seconds, rel=0.01)
    assert usage.coverage > 0.9


@pytest.mark.slow
def test_an_agent_that_serves_another_source_is_not_read_on(listening: Callable[..., HttpServer]) -> None:
    first = listening()
    relay = Relay(("127.0.0.1", first.port))
    other = Agent(Config((SourceEntry.of("board", "manual:5V,1.8A", 100.0),)))  # the same layout
    second = HttpServer(other, Listen("127.0.0.1", 0, TOKEN))
    try:
        with EnergyMeter(f"agent@127.0.0.1:{relay.port}/board") as meter:
            (channel,) = meter._life.latest.sampler.channels
            until(lambda: len(channel.curve) > 20)
            relay.hang_up()
            relay.lead_to(("127.0.0.1", second.port))
            until(lambda: "came back" in channel.curve.error)
            until(lambda: channel.lost(time.monotonic_ns()))
        usage = meter.usage
    finally:
        relay.close()
        second.close()
        other.close()
    assert usage.sources == ("manual:5V,0.6A",)
    assert usage.joules == pytest.approx(3.0 * usage.measured_seconds, rel=0.01)
    assert usage.coverage < 0.95
    notes = " ".join(usage.notes)
    assert "lost before the end: the source came back as manual:5V,1.8A, and was manual:5V,0.6A" in notes


@pytest.mark.parametrize("name", ["nothing", "..%2f..", "board/../board"])
def test_a_source_that_is_not_served(listening: Callable[..., HttpServer], name: str) -> None:
    with pytest.raises(SourceMissing, match="HTTP status 404"):
        Driver(f"127.0.0.1:{listening().port}/{name}").open()


def test_a_wrong_token(listening: Callable[..., HttpServer], monkeypatch: pytest.MonkeyPatch) -> None:
    port = listening().port
    for wrong in ("", "wrong"):
        monkeypatch.setenv(TOKEN_VARIABLE, wrong)
        with pytest.raises(SourceForbidden, match="refuses the token"):
            Driver(f"127.0.0.1:{port}/board").open()


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        b"x", b"[]", b'{"samples": [[9, 1, ""]]}', b'{"samples": 1}', b'{"samples": [[0, 1]]}', b"[" * 9999,
        *(
            b'{"samples": [[%b, %b, %b]]}' % fields
            for fields in (
                (b"-1", b"1", b'""'), (b"0", b"true", b'""'), (b"0", b"9" * 20, b'""'), (b"0", b"1", b"5"),
                (b"0", b"1", b"[]"), (b"0", b"1", b'"A"'), (b"0", b"1", b'"AAAA"'),
                (b"0", b"1", b'"\xc3\xa4"'),
                (b"0", b"1", b'"%b"' % binascii.b2a_base64(packed(SAMPLE)[:-1], newline=False)),
                (b"0", b"1", b'"%b"' % text_of(SAMPLE._replace(at_ns=-1))),
                (b"0", b"1", b'"%b"' % text_of(SAMPLE._replace(covered_ns=-1))),
                (b"0", b"1", b'"%b"' % text_of(SAMPLE._replace(at_ns=(1 << 63) - 1))),
            )
        ),
    ],
)  # fmt: skip
def test_what_is_no_stream(listening: Callable[..., HttpServer], line: bytes) -> None:
    source = Driver(f"127.0.0.1:{listening().port}/board")
    source.open()
    with pytest.raises(SamplerError, match="cannot be understood"):
        list(source._feed._taken(line))
    source.close()


@pytest.mark.parametrize("order", ["little", "big"])
def test_samples_of_either_byte_order(order: str) -> None:
    feed = receiving(order)
    samples = [SAMPLE, SAMPLE._replace(at_ns=2 * SAMPLE.at_ns, covered_ns=2 * SAMPLE.covered_ns, watts=None)]
    line = {"samples": [[0, 7, text_of(*samples, order=order).decode()]]}
    first, second = [reading for _, reading in feed._taken(json.dumps(line).encode())]
    assert first == Reading(5.0, 0.6, 3.0, at_ns=SAMPLE.at_ns)
    assert second == Reading(5.0, 0.6, None, at_ns=2 * SAMPLE.at_ns)
    assert feed._joints == [Joint(9, samples[1])]


def test_what_was_lost_in_between_is_counted_and_not_joined() -> None:
    feed, later = receiving(), SAMPLE._replace(at_ns=20 * SAMPLE.at_ns)
    for number, sample in ((7, SAMPLE), (10, later)):
        line = {"samples": [[0, number, text_of(sample).decode()]]}
        (reading,) = [reading for _, reading in feed._taken(json.dumps(line).encode())]
        assert reading.at_ns == sample.at_ns
    assert feed.lost == 2
    line = {"samples": [[0, 11, text_of(later._replace(at_ns=40 * SAMPLE.at_ns)).decode()]]}
    gap, _ = [reading for _, reading in feed._taken(json.dumps(line).encode())]
    assert gap == Reading(at_ns=30 * SAMPLE.at_ns), "nothing was covered meanwhile"
    assert feed.lost == 2


def test_what_cannot_flow_is_counted_as_failed_and_never_added() -> None:
    feed, memory = receiving(), ChannelMemory(memoryview(bytearray(channel_bytes(1024))), 1024)
    channel = Channel(_Part("um25c", facts_of(INFO), "um25c", ""), memory, 10.0)
    for number, watts in enumerate((3.0, math.inf, 1e300, 3.0)):
        at_ns = (number + 1) * SAMPLE.at_ns
        sample = SAMPLE._replace(at_ns=at_ns, covered_ns=at_ns, watts=watts)
        line = {"samples": [[0, number, text_of(sample).decode()]]}
        for _, reading in feed._taken(json.dumps(line).encode()):
            with suppress(SourceError):
                channel.take(at_ns, reading)
    newest = memory.last()
    assert newest is not None
    assert newest.joules == pytest.approx(3.0 * newest.covered_ns * 1e-9)
    assert memory.counts[Count.RING_COUNT] == 2


@pytest.mark.parametrize("head", [{"order": None}, {"order": "middle"}, {"order": []}, {"began": None}])
def test_an_agent_of_another_version(head: dict[str, object]) -> None:
    content = {"channels": [INFO.to_json()], "began": 1, "order": "little", **head}
    impostor = Impostor(answer(json.dumps(content).encode() + b"\n"))
    feed = RemoteFeed(Address("127.0.0.1", impostor.port, "board"))
    try:
        with pytest.raises(SamplerError, match="install the same version on both sides"):
            feed._begin()
    finally:
        feed.close()
        impostor.close()


def test_nobody_is_there() -> None:
    with pytest.raises(SourceMissing, match="no agent answers"):
        Driver("127.0.0.1:9/board").open()
    with pytest.raises(SpecError, match="64 hex digits"):
        Driver("laptop:9736", pin="x")


@pytest.mark.slow
def test_the_certificate_is_pinned(listening: Callable[..., HttpServer], tmp_path: Path) -> None:
    pin, certificate, key = pinned(tmp_path)
    port = listening(certificate, key).port
    source = Driver(f"127.0.0.1:{port}/board", pin=pin)
    source.open()
    source.close()
    with pytest.raises(SourceForbidden, match="another certificate"):
        Driver(f"127.0.0.1:{port}/board", pin="0" * 64).open()
    with pytest.raises(SourceMissing):  # not without TLS
        Driver(f"127.0.0.1:{port}/board").open()


class Impostor:
    """What answers where an agent should: each request with the next of these answers, then it hangs up."""

    def __init__(self, *answers: bytes, context: ssl.SSLContext | None = None) -> None:
        self.answers, self.received = list(answers), b""
        self._listening, self._context = socket.create_server(("127.0.0.1", 0)), context
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                link, _ = self._listening.accept()
                with suppress(OSError), link:
                    if self._context is not None:
                        link = self._context.wrap_socket(link, server_side=True)
                    self._answer(link)

    def _answer(self, link: socket.socket) -> None:
        request = b""
        while piece := link.recv(4096):
            self.received += piece
            request += piece
            if request.endswith(b"\r\n\r\n"):
                request = b""
                if not self.answers:
                    return
                link.sendall(self.answers.pop(0))

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)  # it waits for nobody any more
        self._thread.join()
        self._listening.close()


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


CLOCK = answer(b'{"arrived_ns": 5000000000, "left_ns": 5000001000}')
SOURCES = answer(b'{"sources": [{"name": "board"}]}')
HEAD = answer(
    json.dumps({"channels": [INFO.to_json()], "began": 1, "order": "little", "now": 5}).encode() + b"\n"
)
PIECES = [
    b"Infinity", b"-1", b"NaN", b"1e999", b"9" * 5000, b"[" * 5000, b"{}", b"[]", b'""', b"null", b"\x1b[2J",
    b"\r\n", b"HTTP/1.1 500 No\r\n", b"Content-Length: 99999999999\r\n", b"Transfer-Encoding: chunked\r\n",
    b"\xff", b"Location: http://127.0.0.1/\r\n", b"ffffffff\r\n", b"true",
]  # fmt: skip


@pytest.mark.slow
@given(data=st.data())
def test_any_answers_of_an_impostor(data: st.DataObject) -> None:
    """Whatever answers, opening it succeeds or is refused with a sentence that has no escapes in it."""
    answers = [CLOCK] * 2 + [HEAD]
    for _ in range(data.draw(st.integers(1, 3))):
        number = data.draw(st.integers(0, 2))
        content = answers[number]
        at = data.draw(st.integers(0, len(content)))
        end = min(len(content), at + data.draw(st.integers(0, 20)))
        piece = data.draw(st.sampled_from(PIECES) | st.binary(max_size=8))
        answers[number] = content[:at] + piece + content[end:]
    impostor = Impostor(*answers)
    feed = RemoteFeed(Address("127.0.0.1", impostor.port, "board"))
    with (
        mock.patch.object(agent_remote, "_EXCHANGES", 2),
        mock.patch.object(agent_remote, "_CONNECT_SECONDS", 0.1),
        mock.patch.object(agent_remote, "_GONE_SECONDS", 0.1),
    ):
        try:
            feed.open()
            texts = [info.name for info in feed.infos]
        except EnergyMeterError as failure:
            texts = [str(failure)]
        finally:
            feed.close()
            impostor.close()
    assert all(text.isprintable() for text in texts), texts


def test_an_impostor_does_not_get_the_token(tmp_path: Path) -> None:
    certificate, key = pinned(tmp_path)[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    impostor = Impostor(context=context)
    feed = RemoteFeed(Address("127.0.0.1", impostor.port, "board"), "0" * 64, TOKEN)
    with pytest.raises(SourceForbidden, match="another certificate"):
        feed.open()
    assert impostor.received == b""
    impostor.close()
