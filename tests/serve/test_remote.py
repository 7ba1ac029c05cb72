"""The agent of another computer, through a link with delays and cuts of the test's own."""

import hashlib
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from devices.processes import until
from devices.relay import Relay

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
