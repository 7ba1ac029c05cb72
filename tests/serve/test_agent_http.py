"""The agent over HTTP: who gets an answer, and what a stream holds.

===============================================  ====================================================
anybody on the network reads                     test_beyond_this_computer_it_needs_a_token_and_tls
a wrong token is accepted                        test_without_the_token_nothing_is_answered
a page of another site reads (DNS rebinding)     test_a_page_of_another_site_is_refused
samples are lost or repeated at a reconnection   test_a_stream_goes_on_where_it_stopped
a line is longer than a reader takes             test_a_line_of_many_channels_is_one_that_a_reader_takes
a row is sent while it is written                test_a_row_that_is_not_visible_yet_is_sent_later
many idle connections keep others out            test_idle_connections, ..._that_begin_no_tls
a stream that nobody reads keeps its place       test_a_stream_that_nobody_reads_is_closed
what was recorded on the way is sent again       test_what_was_recorded_of_a_connection_opens_no_other
what makes no sense ends the server              test_requests_that_make_no_sense, test_any_request
what runs and who runs it leaves the host        test_no_program_user_or_argument_is_in_an_answer
===============================================  ====================================================
"""

import binascii
import getpass
import http.client
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from devices.by_hand import Pen
from devices.processes import until
from devices.relay import Relay
from devices.tls import pinned
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("uvicorn", reason="pip install edge-energymeter[serve]")

from energymeter.energy.integrate import Sample
from energymeter.errors import SpecError
from energymeter.sampling.agent import Address
from energymeter.sampling.agent_remote import LONGEST_LINE, RemoteFeed
from energymeter.sampling.memory import unpacked
from energymeter.serve import http as serving
from energymeter.serve.agent import Agent
from energymeter.serve.config import Config, SourceEntry
from energymeter.serve.http import HttpServer, Listen, Response, read_token

TOKEN = "0123456789abcdef" * 2
Started = Callable[..., HttpServer]


@pytest.fixture
def started() -> Iterator[Started]:
    agent = Agent(Config((SourceEntry.of("board", "manual:5V,0.6A", 100.0),)))
    servers: list[HttpServer] = []

    def start(
        token: str | None = TOKEN, site: Any = None, certificate: str | None = None, key: str | None = None
    ) -> HttpServer:
        servers.append(HttpServer(agent, Listen("127.0.0.1", 0, token, certificate, key), site))
        return servers[-1]

    start.last = lambda: servers[-1] if servers else None  # type: ignore[attr-defined]
    yield start
    for server in servers:
        server.close()
    agent.close()


def get(server: HttpServer, target: str, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        link.request(
            "GET", target, headers={"Authorization": f"Bearer {TOKEN}"} if headers is None else headers
        )
        answer = link.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        link.close()


def rows_of(line: Mapping[str, Any]) -> list[list[Any]]:
    """The samples of a line, each after its channel and its number."""
    return [
        [place, number, *row]
        for place, first, text in line["samples"]
        for number, row in enumerate(unpacked(binascii.a2b_base64(text), sys.byteorder), first)
    ]


class Stream:
    """One stream, line by line."""

    def __init__(self, server: HttpServer, target: str) -> None:
        self.link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        self.link.request("GET", target, headers={"Authorization": f"Bearer {TOKEN}"})
        self.answer = self.link.getresponse()
        self.head: dict[str, Any] = {}
        while "channels" not in self.head:
            self.head = json.loads(self.answer.readline())

    def rows(self, many: int) -> list[list[Any]]:
        found: list[list[Any]] = []
        while len(found) < many:
            found += rows_of(json.loads(self.answer.readline()))
        return found

    def close(self) -> None:
        self.answer.close()
        self.link.close()


def test_a_stream_holds_every_sample_with_its_own_stamp(started: Started) -> None:
    stream = Stream(started(), "/v1/stream/board")
    assert stream.head["channels"][0]["name"] == "manual:5V,0.6A"
    rows = stream.rows(20)
    stream.close()
    numbers = [row[1] for row in rows]
    assert numbers == list(range(numbers[0], numbers[0] + len(rows)))
    joules, covered = rows[-1][3] - rows[0][3], rows[-1][6] - rows[0][6]
    assert joules == pytest.approx(3.0 * covered * 1e-9)


def test_a_line_of_many_channels_is_one_that_a_reader_takes() -> None:
    """After a cut, thirty channels have much to send: a line is short all the same, and holds all in turn."""
    pen = Pen(capacity=4096)
    for number in range(3500):
        pen.write((number + 1) * 1_000_000, 5.0)
    channels, numbers = [pen.channel] * 30, [0] * 30
    most = serving._MOST_ROWS // len(channels)
    seen, more = 0, True
    while more:
        samples, more = serving._Streams._new(channels, numbers, most)
        assert len(serving._line({"samples": samples, "now": 1 << 62})) < LONGEST_LINE / 8
        rows = [row for row in rows_of({"samples": samples}) if row[0] == 29]
        assert [row[1] for row in rows] == [*range(seen, seen + len(rows))]
        seen += len(rows)
    assert (seen, numbers) == (3500, [3500] * 30)


def test_a_row_that_is_not_visible_yet_is_sent_later() -> None:
    pen = Pen()
    for number in range(5):
        pen.write((number + 1) * 1_000_000, 5.0)
    ring = pen.curve._memory.ring
    whole = bytes(ring.bytes)
    ring.bytes[3 * 104 + 8] ^= 1  # as a processor may see it whose neighbour is at work on it
    assert len(pen.curve.packed_since(0, 9)[1]) == 3
    ring.bytes[:] = whole
    first, rows = pen.curve.packed_since(3, 9)
    assert (first, [Sample.of(row) for row in unpacked(b"".join(rows), sys.byteorder)]) == (
        3,
        pen.curve.since(3, 9)[1],
    )


@pytest.mark.slow
def test_a_stream_without_news_says_that_it_is_alive() -> None:
    """A source of one sample in ten seconds: the lines in between hold none, four of them a second."""
    agent = Agent(Config((SourceEntry.of("board", "manual:5V,0.6A", 0.1),)))
    server = HttpServer(agent, Listen("127.0.0.1", 0, TOKEN))
    try:
        stream = Stream(server, "/v1/stream/board")
        begun = time.monotonic()
        lines = [json.loads(stream.answer.readline()) for _ in range(5)]
        assert time.monotonic() - begun < 5.0
        assert sum(len(rows_of(line)) for line in lines) <= 2
        stream.close()
    finally:
        server.close()
        agent.close()


def test_a_stream_goes_on_where_it_stopped(started: Started) -> None:
    server = started()
    stream = Stream(server, "/v1/stream/board")
    last, began = stream.rows(10)[-1][1], stream.head["began"]
    stream.close()
    again = Stream(server, f"/v1/stream/board?from={last + 1}&began={began}")
    assert again.rows(1)[0][1] == last + 1
    again.close()
    other = Stream(server, "/v1/stream/board?from=0&began=1")  # another curve has other numbers
    assert other.rows(1)[0][1] > last
    other.close()


def test_the_source_is_closed_when_nobody_reads(started: Started) -> None:
    server = started()
    stream = Stream(server, "/v1/stream/board")
    stream.rows(1)
    stream.close()
    assert get(server, "/v1/sources")[1]["sources"] == [
        {"name": "board", "title": "manual:5V,0.6A", "state": "running"}
    ]


@pytest.mark.parametrize("path", ["/v1/sources", "/v1/clock", "/v1/stream/board"])
@pytest.mark.parametrize(
    "given", ["", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer \xff"]
)
def test_without_the_token_nothing_is_answered(
    started: Started, path: str, given: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = started()
    for _ in range(2):
        status, answer = get(server, path, {"Authorization": given})
        assert (status, answer["error"]) == (401, "SourceForbidden")
    assert len([record for record in caplog.records if "token" in record.message]) == 1
    assert TOKEN not in caplog.text


def test_the_clock_is_asked(started: Started) -> None:
    status, answer = get(started(), "/v1/clock")
    assert status == 200
    assert answer["arrived_ns"] <= answer["left_ns"]


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Host": "127.0.0.1.evil.example:80"}, {"Origin": "http://evil.example"}],
)
def test_a_page_of_another_site_is_refused(started: Started, headers: dict[str, str]) -> None:
    server = started(None)
    assert get(server, "/v1/sources", {})[0] == 200
    assert get(server, "/v1/sources", headers)[0] == 403


@pytest.mark.parametrize(
    "target", ["/v1/stream/nothing", "/v1/stream/..%2f..%2fetc%2fpasswd", "/../../etc/passwd", "/v1/x", "/"]
)
def test_other_paths_are_nothing(started: Started, target: str) -> None:
    assert get(started(), target)[0] == 404


@pytest.mark.parametrize("target", ["?a=b", "/v1/sources/", "//evil.example/v1/sources/"])
def test_nobody_is_sent_elsewhere(started: Started, target: str) -> None:
    """A redirection would name the host of the request, whatever it is."""
    with socket.create_connection(("127.0.0.1", started().port), timeout=20) as link:
        link.sendall(f"GET {target} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode())
        received = link.makefile("rb").read()
    assert received.startswith(b"HTTP/1.1 4")
    assert b"evil" not in received


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00" * 100, b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n",
        b"GET /v1/stream/board?from=x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"x" * 100_000,
        b"POST /v1/clock HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)  # fmt: skip
def test_requests_that_make_no_sense(started: Started, raw: bytes) -> None:
    server = started()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as link:
        try:
            link.sendall(raw)
            answer = link.recv(100)
        except ConnectionError:
            answer = b""
    assert answer[9:12] in (b"", b"400", b"401", b"404", b"405", b"431")
    assert get(server, "/v1/sources")[0] == 200


@pytest.mark.slow
def test_idle_connections(
    started: Started, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serving, "REQUEST_SECONDS", 1.0)
    server = started()
    links = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(200)]
    assert get(server, "/v1/sources")[0] == 200
    assert [link.recv(1) for link in links] == [b""] * 200
    for link in links:
        link.close()
    assert len([record for record in caplog.records if "asked for nothing" in record.message]) == 1


@pytest.mark.slow
def test_connections_that_begin_no_tls(started: Started, tmp_path: Path) -> None:
    pin, certificate, key = pinned(tmp_path)
    server = started(certificate=certificate, key=key)
    links = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(200)]
    feed = RemoteFeed(Address("127.0.0.1", server.port, "board"), pin, TOKEN)
    feed.open()
    assert [info.name for info in feed.infos] == ["manual:5V,0.6A"]
    feed.close()
    for link in links:
        link.close()


@pytest.mark.slow
def test_a_stream_that_nobody_reads_is_closed(
    started: Started, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Samples pile up in the kernel and then in the server, which asks for no more and waits."""
    monkeypatch.setattr(serving, "STUCK_SECONDS", 0.2)
    server = started()
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    link.connect(("127.0.0.1", server.port))
    request = f"GET /v1/stream/board HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    monkeypatch.setattr(
        serving, "_line", lambda message: json.dumps(message).encode() + b" " * 100_000 + b"\n"
    )
    link.sendall(request.encode())
    other = Stream(server, "/v1/stream/board")
    until(lambda: any("does not read its answers" in record.message for record in caplog.records))
    assert other.rows(3)  # nobody else is disturbed
    other.close()
    link.settimeout(10)
    with suppress(ConnectionError):
        while link.recv(65_536):  # what was under way, and then the end
            pass
    link.close()
    assert len([record for record in caplog.records if "does not read" in record.message]) == 1


@pytest.mark.slow
def test_what_was_recorded_of_a_connection_opens_no_other(started: Started, tmp_path: Path) -> None:
    """Somebody between the two hosts replays what the reader sent, its token included."""
    pin, certificate, key = pinned(tmp_path)
    server = started(certificate=certificate, key=key)
    relay = Relay(("127.0.0.1", server.port))
    feed = RemoteFeed(Address("127.0.0.1", relay.port, "board"), pin, TOKEN)
    feed.open()
    feed.close()
    relay.close()
    for sent in relay.sent:
        assert len(sent) > 500
        assert TOKEN.encode() not in sent
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as link:
            link.sendall(sent)
            link.shutdown(socket.SHUT_WR)
            received = b""
            with suppress(ConnectionError):
                while piece := link.recv(65_536):
                    received += piece
        # a handshake of new keys, and the alert that the rest makes no sense with them: no HTTP
        assert len(received) < 2000


HEADERS = f"Host: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
SEEDS = [
    f"GET {path} HTTP/1.1\r\n{HEADERS}".encode()
    for path in ("/v1/sources", "/v1/clock", "/v1/stream/nothing?from=1,2&began=3")
]
PIECES = [
    b"\r\n", b"\r\n\r\n", b"\0", b"%00", b"../", b"%2e%2e%2f", b"9" * 400, b"-1", b"nan", b"?from=",
    b"&began=1", b"Content-Length: 5\r\n", b"Content-Length: -5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Bearer ",
    b"Host: evil\r\n", b"POST ", b"Upgrade: websocket\r\n", b"Expect: 100-continue\r\n", b"HTTP/0.9", b"\xff",
    b"x" * 20_000,
]  # fmt: skip


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_request(started: Started, data: st.DataObject) -> None:
    server = started.last() or started()  # type: ignore[attr-defined]
    content = data.draw(st.sampled_from(SEEDS))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        end = min(len(content), at + data.draw(st.integers(0, 16)))
        piece = data.draw(st.sampled_from(PIECES) | st.binary(max_size=8))
        content = content[:at] + piece + content[end:]
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
        received = b""
        with suppress(ConnectionError):
            link.sendall(content)
            link.shutdown(socket.SHUT_WR)
            while piece := link.recv(65_536):
                received += piece
    assert received[:9] in (b"", b"HTTP/1.1 ")
    assert received[9:10] in (b"", b"1", b"2", b"4"), received  # 500 is a defect of ours
    if received[9:12] == b"200":
        assert f"Bearer {TOKEN}".encode() in content
    assert get(server, "/v1/sources")[0] == 200


def test_beyond_this_computer_it_needs_a_token_and_tls(tmp_path: Path) -> None:
    for text in ("0.0.0.0:1", "[::]:1", "laptop:1", "localhost:1"):
        for options in ({}, {"token": TOKEN}, {"certificate": "c", "key": "k"}):
            with pytest.raises(SpecError, match="can be reached from other computers"):
                Listen.of(text, **options)
    assert Listen.of("0.0.0.0:1", TOKEN, "c", "k").token == TOKEN
    assert Listen.of("[::1]:1").is_local
    for text in ("", "1", "host:", ":1", "host:x", "host:99999"):
        with pytest.raises(SpecError, match="no address"):
            Listen.of(text)
    with pytest.raises(SpecError, match="needs a certificate and its key"):
        Listen.of("127.0.0.1:1", certificate="c")


def test_a_token_is_secret_and_long(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    os.chmod(file, 0o600)
    assert read_token(str(file)) == TOKEN
    os.chmod(file, 0o644)
    with pytest.raises(SpecError, match="others can read"):
        read_token(str(file))
    os.chmod(file, 0o600)
    file.write_text("short")
    with pytest.raises(SpecError, match="fewer than 16"):
        read_token(str(file))
    with pytest.raises(SpecError, match="cannot be read"):
        read_token(str(tmp_path / "nothing"))


class Page:
    """A site of another part."""

    def respond(self, method: str, target: str, headers: Mapping[str, str]) -> Response:
        return Response(
            200,
            (("Content-Type", "application/json"), ("X-A", "1")),
            json.dumps([method, target, headers["host"]]).encode(),
        )


def test_a_site_answers_the_other_paths(started: Started) -> None:
    server = started(site=Page())
    status, answer = get(server, "/a%20b?c=d", {})
    assert (status, answer[:2]) == (200, ["GET", "/a%20b?c=d"])
    assert get(server, "/v1/sources", {})[0] == 401


def test_no_program_user_or_argument_is_in_an_answer(started: Started) -> None:
    server = started()
    stream = Stream(server, "/v1/stream/board")
    text = json.dumps([stream.head, stream.rows(1), get(server, "/v1/sources")])
    stream.close()
    for secret in (getpass.getuser(), socket.gethostname(), "pytest", "python"):
        assert secret not in text
