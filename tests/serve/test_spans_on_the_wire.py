"""Spans of programs that an agent shows, over real sockets.

=================================================  =====================================================
names leave a program that did not ask for it      test_without_the_option_nothing_is_sent
an agent that hangs keeps the program waiting      ..._does_not_answer_costs_nothing, ..._waits_for_no_answer
blocks pile up while an agent hangs                test_blocks_do_not_pile_up
the end of the program loses what was not sent     test_a_short_program_sends_its_spans
spans are lost silently                            test_an_agent_that_shows_nothing_says_so, ..._with_a_token
a program that dies leaves half a call             test_a_program_that_dies_in_the_middle
a program with a thousand names or calls           test_a_program_of_too_many_calls
who may only read writes                           test_over_the_network_only_with_a_token
the clock of another computer is taken for ours    test_another_computer_with_another_clock
a body that never ends, or is too long             test_bodies_that_make_no_sense
what makes no sense ends the agent                 test_requests_that_make_no_sense, tests of any bytes
a board with Python 3.6 cannot take part           test_the_client_of_the_page_for_old_boards
the agent ends and comes back                      test_an_agent_that_comes_back_goes_on
=================================================  =====================================================
"""

import ast
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from devices.pages import block
from devices.processes import until
from devices.relay import Relay
from devices.tls import pinned
from serve.at_socket import AtSocket, socket_folder
from serve.test_old_board import OLDEST, old_python

from energymeter import EnergyMeter
from energymeter.drivers.agent import Agent as Driver
from energymeter.errors import SourceError, SourceMissing, SpecError
from energymeter.sampling import agent as client
from energymeter.sampling import agent_spans
from energymeter.sampling.agent import Connection
from energymeter.sampling.span_message import SPANS_BYTES
from energymeter.serve.config import Config, SourceEntry
from energymeter.serve.feed import Feed
from energymeter.serve.spans import EndedSpan
from energymeter.serve.totals import SpanTotal, Totals

TOKEN = "0123456789abcdef" * 2


class Running(AtSocket):
    """An agent of two sources whose spans somebody wants."""

    def __init__(self, path: str, totals: Totals) -> None:
        entries = (
            SourceEntry.of("pi", "manual:5V,0.6A", 100.0),
            SourceEntry.of("wall", "manual:5V,1A", 100.0),
        )
        super().__init__(path, Config(entries))
        self.feed = Feed(self.agent.sources, totals)
        self.agent.on_span(self.feed.add_span)
        self.ended: list[tuple[str, EndedSpan]] = []
        self.agent.on_span(lambda name, span: self.ended.append((name, span)))

    def span(self, name: str, source: str = "pi") -> SpanTotal:
        return self.feed._totals.spans.get((source, name), SpanTotal())


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with socket_folder(monkeypatch) as made:
        yield made


@pytest.fixture
def serve(folder: str) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def start(totals: Totals | None = None) -> Running:
        running.append(Running(os.path.join(folder, "agent.sock"), totals or Totals()))
        return running[-1]

    yield start
    for made in running:
        made.close()


@pytest.mark.slow
def test_the_spans_of_a_block_are_shown(serve: Callable[..., Running]) -> None:
    running = serve()
    meter = EnergyMeter("agent@pi?spans=yes")
    with meter:
        for _ in range(3):
            with meter.span("infer"):
                time.sleep(0.1)
        with meter.span("save"):
            time.sleep(0.1)
    until(lambda: running.span("infer").calls + running.span("save").calls == 4)
    infer = running.span("infer")
    assert infer.seconds.sum == pytest.approx(meter.spans["infer"].seconds.total, rel=1e-6)
    assert infer.joules.sum == pytest.approx(meter.spans["infer"].joules.total, rel=1e-6)
    assert infer.left_out == 0
    assert not [note for note in meter.usage.notes if "spans" in note]


@pytest.mark.slow
def test_spans_are_of_the_source_that_was_read(serve: Callable[..., Running]) -> None:
    running = serve()
    for spec in ("agent@wall?spans=yes", "agent@wall?spans=yes+manual:5V,1A"):
        with EnergyMeter(spec) as meter, meter.span("infer"):
            time.sleep(0.2)
    until(lambda: running.span("infer", "wall").calls == 2)
    assert running.span("infer", "wall").joules.sum == pytest.approx(
        5.0 * running.span("infer", "wall").seconds.sum, rel=0.01
    )
    assert [*running.feed._totals.spans] == [("wall", "infer")]


@pytest.mark.slow
def test_a_source_object_sends_them_too(serve: Callable[..., Running]) -> None:
    running = serve()
    with EnergyMeter(Driver("pi", spans=True)) as meter, meter.span("infer"):
        time.sleep(0.2)
    until(lambda: running.span("infer").calls == 1)


def test_without_the_option_nothing_is_sent(serve: Callable[..., Running]) -> None:
    running = serve()
    for spec in ("agent", "agent@pi", "agent?spans=no"):
        before = {thread.name for thread in threading.enumerate()}
        with EnergyMeter(spec) as meter, meter.span("secret"):
            assert "energymeter-spans" not in {thread.name for thread in threading.enumerate()} - before
    assert not running.ended
    assert not running.agent.source("pi").spans._pending


def test_the_option_is_yes_or_no(serve: Callable[..., Running]) -> None:
    serve()
    with pytest.raises(SpecError, match="spans is 'perhaps', but it must be yes or no"):
        EnergyMeter("agent?spans=perhaps").__enter__()
    with pytest.raises(SpecError, match="no option 'span'"):
        EnergyMeter("agent?span=yes").__enter__()


@pytest.mark.slow
def test_no_connection_stays_open_between_two_turns(serve: Callable[..., Running]) -> None:
    running = serve()
    meter = EnergyMeter("agent?spans=yes")
    with meter:
        until(lambda: len(running.server._clients) == 1)
        with meter.span("infer"):
            time.sleep(0.1)
        until(lambda: running.span("infer").calls == 1)
        until(lambda: len(running.server._clients) == 1)


@pytest.mark.slow
def test_an_agent_that_shows_nothing_says_so(serve: Callable[..., Running]) -> None:
    running = serve()
    for source in running.agent.sources():
        source.on_span.clear()
    meter = EnergyMeter("agent?spans=yes")
    with meter:
        with meter.span("infer"):
            pass
        until(lambda: any("--web, --metrics or --record" in note for note in meter.usage.notes))
    assert meter.usage.joules > 0


class Hanging:
    """A socket that accepts clients, hands out nothing and never answers."""

    def __init__(self, path: str) -> None:
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(path)
        self._listening.listen(128)

    def close(self) -> None:
        self._listening.close()


@pytest.mark.slow
def test_an_agent_that_does_not_answer_costs_nothing(serve: Callable[..., Running], folder: str) -> None:
    serve()
    meter = EnergyMeter("agent?spans=yes")
    with meter:
        os.rename(
            f"{folder}/agent.sock", f"{folder}/agent.old"
        )  # the ring goes on; whoever connects now waits
        hanging = Hanging(f"{folder}/agent.sock")
        before = time.perf_counter()
        for _ in range(1000):
            with meter.span("infer"):
                pass
        spans_s = time.perf_counter() - before
        before = time.perf_counter()
    leaving_s = time.perf_counter() - before
    hanging.close()
    os.unlink(f"{folder}/agent.sock")
    os.rename(f"{folder}/agent.old", f"{folder}/agent.sock")
    assert spans_s < 0.5
    assert leaving_s < 0.5
    assert meter.usage.coverage == pytest.approx(1.0)


def test_the_end_of_a_program_waits_for_no_answer(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ANSWER_SECONDS", 60.0)
    monkeypatch.setattr(agent_spans, "_EXIT_SECONDS", 0.05)
    hanging = Hanging(f"{folder}/agent.sock")
    receiver = client.SpanReceiver(client.Address("", 0, ""))
    sender = agent_spans.SpanSender(receiver, {"infer": array("q", [1, 2])}, {})
    sender.start()
    with pytest.warns(RuntimeWarning, match="this machine did not take all spans: it has not answered"):
        agent_spans._await_senders()
    assert sender._thread.is_alive(), "it has the answer of nobody"
    hanging.close()
    until(lambda: not sender._thread.is_alive())
    assert "the agent has closed the connection" in sender.notes()[0]


def test_blocks_do_not_pile_up(serve: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> None:
    serve()
    monkeypatch.setattr(agent_spans, "_MOST_SENDERS", 2)
    meters = [EnergyMeter("agent?spans=yes") for _ in range(4)]
    with contextlib.ExitStack() as stack:
        for meter in meters:
            stack.enter_context(meter)
        mine = [thread for thread in threading.enumerate() if thread.name == "energymeter-spans"]
        assert len(mine) <= 2
        assert any("earlier blocks" in note for note in meters[-1].usage.notes)


SHORT = """
from energymeter import EnergyMeter
meter = EnergyMeter("agent?spans=yes")
with meter, meter.span("short"):
    sum(range(100_000))
"""


@pytest.mark.slow
def test_a_short_program_sends_its_spans(serve: Callable[..., Running]) -> None:
    running = serve()
    subprocess.run([sys.executable, "-c", SHORT], check=True)
    until(lambda: running.span("short").calls == 1)


DYING = """
import os, signal, time
from energymeter import EnergyMeter
meter = EnergyMeter("agent?spans=yes")
with meter:
    with meter.span("whole"):
        time.sleep(0.1)
    with meter.span("half"):
        time.sleep(1.5)
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_program_that_dies_in_the_middle(serve: Callable[..., Running]) -> None:
    running = serve()
    done = subprocess.run([sys.executable, "-c", DYING], check=False)
    assert done.returncode == -signal.SIGKILL
    until(lambda: running.span("whole").calls == 1)
    assert [*running.feed._totals.spans] == [("pi", "whole")]


@pytest.mark.slow
def test_a_program_of_too_many_calls(serve: Callable[..., Running]) -> None:
    running = serve()
    meter = EnergyMeter("agent?spans=yes")
    with meter:
        for _ in range(20_000):
            with meter.span("often"):
                pass
        for number in range(150):
            with meter.span(f"rare {number}" + "x" * 120):
                pass
        with meter.span("rare"):
            time.sleep(0.01)
    until(lambda: sum(one.calls + one.left_out for one in running.feed._totals.spans.values()) == 20_151)
    often = running.span("often")
    assert 0 < often.calls <= 6000
    assert often.left_out == 20_000 - often.calls
    assert len(running.feed._totals.spans) <= 101


@pytest.mark.slow
def test_an_agent_that_comes_back_goes_on(serve: Callable[..., Running], tmp_path: Path, folder: str) -> None:
    path = str(tmp_path / "totals.json")
    first = serve(Totals(path))
    meter = EnergyMeter("agent?spans=yes")
    with meter:
        with meter.span("infer"):
            time.sleep(0.1)
        until(lambda: first.span("infer").calls == 1)
        first.feed.take()
        first.close()
        with meter.span("infer"):  # nobody measures
            time.sleep(0.1)
        second = serve(Totals(path))
        until(lambda: second.agent.source("pi").state == "running")
        until(lambda: second.span("infer").left_out == 1)
        with meter.span("infer"):
            time.sleep(0.1)
        until(lambda: second.span("infer").calls == 2)
    assert second.span("infer").left_out == 1


def test_a_connection_that_sends_spans_opens_nothing(serve: Callable[..., Running]) -> None:
    running = serve()
    connection = Connection(running.path)
    message = {"spans": {"a": [1, 2]}}
    for _ in range(3):
        answer = connection.request({"add_spans": message, "source": "wall", "protocol": 1})
        assert answer == {"taken": 1}
    with pytest.raises(SourceMissing, match="it has: pi, wall"):
        connection.request({"add_spans": message, "source": "other", "protocol": 1})
    assert [source.state for source in running.agent.sources()] == ["closed", "closed"]
    connection.close()


@pytest.mark.parametrize(
    "raw",
    [
        b'{"add_spans": {}, "source": "pi", "protocol": 1}\n',
        b'{"add_spans": [], "source": "pi", "protocol": 1}\n',
        b'{"add_spans": {"spans": {}}, "source": "pi", "protocol": 2}\n',
        b'{"add_spans": {"spans": {}}, "source": "pi"}\n',
        b'{"add_spans": {"spans": {}}, "source": "pi", "protocol": 1, "spec": "x"}\n',
        b'{"add_spans": {"spans": {"a": [' + b"1," * SPANS_BYTES,
        b'{"add_spans": ' + b"[" * 30_000 + b"\n",
        b'{"add_spans": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"\n",
    ],
)
def test_requests_that_make_no_sense(serve: Callable[..., Running], raw: bytes) -> None:
    running = serve()
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10)
        link.connect(running.path)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            link.sendall(raw)
            link.shutdown(socket.SHUT_WR)
            assert json.loads(link.makefile("rb").readline() or b'{"error": ""}')["error"] in (
                "SpecError",
                "",
            )
    assert Connection(running.path).request({"list": True})["protocol"] == 1


# From another computer --------------------------------------------------------------------------------------


@pytest.fixture
def listening(serve: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    pytest.importorskip("uvicorn", reason="pip install edge-energymeter[serve]")
    from energymeter.sampling.agent_remote import TOKEN_VARIABLE
    from energymeter.serve.http import HttpServer, Listen

    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    running, servers = serve(), []

    def start(token: str | None = TOKEN, *files: str) -> Any:
        servers.append(HttpServer(running.agent, Listen("127.0.0.1", 0, token, *files)))
        return running, servers[-1].port

    yield start
    for server in servers:
        server.close()


@pytest.mark.slow
def test_the_spans_of_another_computer(listening: Any) -> None:
    running, port = listening()
    meter = EnergyMeter(f"agent@127.0.0.1:{port}/pi?spans=yes")
    with meter:
        for _ in range(2):
            with meter.span("infer"):
                time.sleep(0.4)
    until(lambda: running.span("infer").calls == 2)
    assert running.span("infer").joules.sum == pytest.approx(
        3.0 * running.span("infer").seconds.sum, rel=0.01
    )


@pytest.mark.slow
def test_another_computer_with_another_clock(listening: Any) -> None:
    """The link is late by 20 ms and 0: a call of 50 ms is too short for what is known of the clock."""
    running, port = listening()
    relay = Relay(("127.0.0.1", port), lambda: 0.02, lambda: 0.0)
    meter = EnergyMeter(f"agent@127.0.0.1:{relay.port}/pi?spans=yes")
    with meter:
        with meter.span("short"):
            time.sleep(0.05)
        with meter.span("long"):
            time.sleep(0.6)
    until(lambda: running.span("long").calls == 1)
    assert (running.span("short").calls, running.span("short").left_out) == (0, 1)
    (long,) = [span for _, span in running.ended if span.name == "long"]
    start_ns, end_ns = meter._life.latest.spans.edges["long"]
    assert abs(long.start_ns - start_ns) < 25_000_000, "the two clocks are one, and the bound holds"
    assert long.end_ns - long.start_ns == end_ns - start_ns
    relay.close()


@pytest.mark.slow
def test_over_the_network_only_with_a_token(listening: Any) -> None:
    running, port = listening(None)
    meter = EnergyMeter(f"agent@127.0.0.1:{port}/pi?spans=yes")
    with meter:
        with meter.span("infer"):
            time.sleep(0.1)
        until(lambda: any("--token-file" in note for note in meter.usage.notes))
    assert not running.ended
    assert meter.usage.coverage > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("secure", [False, True])
def test_the_client_of_the_page_for_old_boards(listening: Any, tmp_path: Path, secure: bool) -> None:
    files = pinned(tmp_path)[1:] if secure else ()
    running, port = listening(TOKEN, *files)
    code = block("serve.md", "python", "class Spans")
    tree = ast.parse(code, feature_version=OLDEST)
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert imported == {"contextlib", "http.client", "json", "os", "ssl", "time"}
    with running.agent.listen("pi"):
        until(lambda: running.agent.source("pi").state == "running")
        code += f"""
spans = Spans("127.0.0.1", {port}, "pi", {TOKEN!r})
for _ in range(2):
    with spans.span("infer <b>"):
        time.sleep(0.3)
print(spans.bound)
"""
        done = subprocess.run(
            [old_python(), "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        until(lambda: running.span("infer <b>").calls == 2)
    assert running.span("infer <b>").joules.sum == pytest.approx(
        3.0 * running.span("infer <b>").seconds.sum, rel=0.01
    )
    assert 0 < int(done.stdout) < 30_000_000


def post(port: int, target: str, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            link.request("POST", target, body, {"Authorization": f"Bearer {TOKEN}", **headers})
        answer = link.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        link.close()


@pytest.mark.parametrize(
    ("target", "body", "status"),
    [
        ("/v1/spans/pi", b'{"spans": {"a": [1, 2]}}', 200),
        ("/v1/spans/pi", b'{"spans": {"a": [1]}}', 400),
        ("/v1/spans/pi", b"[]", 400),
        ("/v1/spans/pi", b"", 400),
        ("/v1/spans/pi", b"[" * 60_000, 400),
        ("/v1/spans/pi", b" " * (SPANS_BYTES + 1), 400),
        ("/v1/spans/other", b'{"spans": {}}', 404),
        ("/v1/spans/..", b'{"spans": {}}', 404),
    ],
)
def test_bodies_that_make_no_sense(listening: Any, target: str, body: bytes, status: int) -> None:
    _, port = listening()
    assert post(port, target, body)[0] == status


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "Bearer wrong"}, {"Authorization": ""}, {"Authorization": f"Basic {TOKEN}"}],
)
def test_without_the_token_nothing_is_taken(listening: Any, headers: dict[str, str]) -> None:
    running, port = listening()
    assert post(port, "/v1/spans/pi", b'{"spans": {"a": [1, 2]}}', **headers)[0] == 401
    assert not running.agent.source("pi").spans._pending


def test_a_page_of_another_site_writes_nothing(listening: Any) -> None:
    running, port = listening(None)
    body = b'{"spans": {"a": [1, 2]}}'
    assert post(port, "/v1/spans/pi", body, Origin="http://evil.example")[0] == 403
    assert post(port, "/v1/spans/pi", body, Host="evil.example")[0] == 403
    assert post(port, "/v1/spans/pi", body)[0] == 403
    assert not running.agent.source("pi").spans._pending


@pytest.mark.slow
def test_a_body_that_never_ends_is_given_up(listening: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from energymeter.serve import http as serving

    monkeypatch.setattr(serving, "REQUEST_SECONDS", 0.3)
    _, port = listening()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        fields = f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 99"
        link.sendall(f"POST /v1/spans/pi HTTP/1.1\r\n{fields}\r\n\r\n{{".encode())
        assert link.recv(100).startswith(b"HTTP/1.1 408 ")


def test_an_agent_that_is_no_agent_is_an_error_and_no_traceback() -> None:
    receiver = client.SpanReceiver(client.Address("127.0.0.1", 9, "pi"))
    sender = agent_spans.SpanSender(receiver, {"a": array("q", [1, 2])}, {})
    with pytest.raises(SourceError):
        sender._send()
