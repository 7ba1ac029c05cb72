"""The agent of another computer, through a link with delays and cuts of the test's own."""

import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from devices.processes import until

pytest.importorskip("uvicorn", reason="pip install edge-energymeter[serve]")

from energymeter import EnergyMeter
from energymeter.drivers.agent import Agent as Driver
from energymeter.errors import SamplerError, SourceForbidden, SourceMissing, SpecError
from energymeter.sampling.agent_remote import TOKEN_VARIABLE
from energymeter.serve.agent import Agent
from energymeter.serve.config import Config, SourceEntry
from energymeter.serve.http import HttpServer, Listen
from energymeter.testing import check_source

TOKEN = "0123456789abcdef" * 2


class Relay:
    """A link to a port, with a delay each way, that can be cut."""

    def __init__(self, port: int, there_s: float = 0.0, back_s: float = 0.0) -> None:
        self._port, self._delays = port, (there_s, back_s)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._links: list[socket.socket] = []
        self.cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listening.accept()
            except OSError:
                return
            if self.cut:
                here.close()
                continue
            there = socket.create_connection(("127.0.0.1", self._port))
            self._links += [here, there]
            for source, target, delay in ((here, there, self._delays[0]), (there, here, self._delays[1])):
                threading.Thread(target=self._pass, args=(source, target, delay), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket, delay: float) -> None:
        try:
            while piece := source.recv(65_536):
                time.sleep(delay)
                target.sendall(piece)
        except OSError:
            return

    def hang_up(self) -> None:
        """Cut the link; nobody comes through until `cut` is False again."""
        self.cut = True
        while self._links:
            link = self._links.pop()
            try:
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            finally:
                link.close()

    def close(self) -> None:
        self.hang_up()
        self._listening.close()


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


def test_keeps_the_drivers_contract(listening: Callable[..., HttpServer]) -> None:
    port = listening().port
    check_source(lambda: Driver(f"127.0.0.1:{port}"), accuracy_known=False)


def test_a_block_is_measured_there(listening: Callable[..., HttpServer]) -> None:
    with EnergyMeter(f"agent@127.0.0.1:{listening().port}/board") as meter:
        time.sleep(0.5)
    usage = meter.usage
    assert usage.mean_watts == pytest.approx(3.0, rel=0.002)
    assert usage.coverage > 0.99
    assert usage.sources == ("manual:5V,0.6A",)


def test_an_uneven_link_is_in_the_bound(listening: Callable[..., HttpServer]) -> None:
    relay = Relay(listening().port, 0.035, 0.005)
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


def test_after_a_cut_it_goes_on_from_the_agents_ring(listening: Callable[..., HttpServer]) -> None:
    relay = Relay(listening().port)
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


@pytest.mark.parametrize(
    "line", [b"x", b"[]", b'{"rows": [[9, 1, 2]]}', b'{"rows": 1}', b'{"rows": [[0, 1]]}', b"[" * 9999]
)
def test_what_is_no_stream(listening: Callable[..., HttpServer], line: bytes) -> None:
    source = Driver(f"127.0.0.1:{listening().port}/board")
    source.open()
    with pytest.raises(SamplerError, match="cannot be understood"):
        list(source._feed._taken(line))
    source.close()


def test_nobody_is_there() -> None:
    with pytest.raises(SourceMissing, match="no agent answers"):
        Driver("127.0.0.1:9/board").open()
    with pytest.raises(SpecError, match="64 hex digits"):
        Driver("laptop:9736", pin="x")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_certificate_is_pinned(listening: Callable[..., HttpServer], tmp_path: Path) -> None:
    certificate, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "1", "-subj", "/CN=agent", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(Path(certificate).read_text())).hexdigest()
    port = listening(certificate, key).port
    source = Driver(f"127.0.0.1:{port}/board", pin=pin)
    source.open()
    source.close()
    with pytest.raises(SourceForbidden, match="another certificate"):
        Driver(f"127.0.0.1:{port}/board", pin="0" * 64).open()
    with pytest.raises(SourceMissing):  # not without TLS
        Driver(f"127.0.0.1:{port}/board").open()
    assert os.path.exists(key)
