"""The agent on one machine: what its readers get, and what they cannot do.

What could go wrong, and where it is held:

============================================  ==========================================================
a reader gets other joules than another       test_readers_of_one_source_read_the_same_joules
a reader writes, shortens or stops the ring   test_a_reader_can_only_read_the_ring
a kernel without the seal lets its user write test_without_the_seal_only_other_users_are_given_the_ring
energy is invented while the agent is away    test_an_agent_that_goes_away_is_a_gap
a ring whose writer has died is read on       test_a_sampling_process_that_dies_is_a_gap
another source goes on under the old name     test_an_agent_that_serves_another_source_is_not_read_on
the agent opens what its user did not name    test_only_what_the_configuration_names_is_opened
a request that makes no sense ends the agent  test_requests_that_make_no_sense_are_rejected, test_any_bytes
one client keeps the others waiting           test_a_source_that_opens_slowly_..., test_idle_clients
a dead reader keeps the meter busy            test_a_source_is_closed_after_its_last_listener
somebody else's agent is trusted              test_a_link_is_no_socket, test_an_agent_of_another_user...
a card is applied twice                       tests/drivers/test_agent.py
============================================  ==========================================================
"""

import fcntl
import json
import logging
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from devices.processes import until
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from serve.at_socket import AtSocket, socket_folder

from energymeter import EnergyMeter
from energymeter.errors import SamplerError, SourceError, SourceForbidden, SourceMissing, SpecError
from energymeter.sampling import agent as client
from energymeter.sampling import descriptors
from energymeter.sampling.agent import AgentHost, Connection
from energymeter.sampling.config import SourceConfig
from energymeter.sampling.sampler import Sampler
from energymeter.serve import local
from energymeter.serve.agent import Agent, Listener
from energymeter.serve.config import Config, SourceEntry
from energymeter.serve.local import bound, may_map
from energymeter.spec import Spec

ROOT = Path(__file__).parents[2]
Serve = Callable[..., Any]


class Running(AtSocket):
    """An agent of these sources."""

    def __init__(self, path: str, specs: dict[str, tuple[str, float | None]], **options: object) -> None:
        entries = tuple(SourceEntry.of(name, text, rate) for name, (text, rate) in specs.items())
        super().__init__(path, Config(entries)._replace(**options))


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with socket_folder(monkeypatch) as made:
        yield made


@pytest.fixture
def serve(folder: str) -> Iterator[Callable[..., Running]]:
    """Start an agent; it ends with the test."""
    running: list[Running] = []

    def start(specs: dict[str, tuple[str, float | None]] | None = None, **options: object) -> Running:
        made = Running(
            os.path.join(folder, "agent.sock"), specs or {"pi": ("manual:5V,0.6A", 50.0)}, **options
        )
        running.append(made)
        return made

    yield start
    for made in running:
        made.close()


def exchange(path: str, raw: bytes) -> list[dict[str, Any]]:
    """What an agent answers to these bytes, until it closes or says no more."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10)
        link.connect(path)
        link.sendall(raw)
        link.shutdown(socket.SHUT_WR)
        received = b""
        while piece := link.recv(65_536):
            received += piece
    return [json.loads(line) for line in received.splitlines()]


def test_a_block_reads_the_agents_ring(serve: Serve) -> None:
    serve()
    meter = EnergyMeter("agent")
    with meter, meter.span("work"):
        time.sleep(0.1)
    usage = meter.usage
    assert usage.sources == ("manual:5V,0.6A",)
    assert usage.provenance == "manual"
    assert usage.coverage == pytest.approx(1.0)
    assert usage.mean_watts == pytest.approx(3.0, rel=0.01)
    assert meter.spans["work"].joules.total == pytest.approx(
        3.0 * meter.spans["work"].seconds.total, rel=0.02
    )


def test_no_sampling_process_is_started_for_a_reader(serve: Serve) -> None:
    serve()
    with EnergyMeter("agent"):
        pass
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = children.read_text().split()
    with EnergyMeter("agent") as meter:
        assert children.read_text().split() == before
    assert meter.usage.joules > 0


def test_a_source_is_named_after_the_sign(serve: Serve) -> None:
    serve({"pi": ("sim:pi4", 50.0), "label": ("manual:5V,0.6A", 50.0)})
    with EnergyMeter("agent@label") as meter:
        pass
    assert meter.usage.mean_watts == pytest.approx(3.0)
    with pytest.raises(SourceMissing, match="it has: pi, label"), EnergyMeter("agent@nothing"):
        pass


def test_a_rate_above_the_agents_is_an_error(serve: Serve) -> None:
    serve()
    with pytest.raises(SpecError, match="at 50 Hz, not at 200 Hz"), EnergyMeter("agent", rate_hz=200):
        pass


def test_a_block_is_recorded(serve: Serve, tmp_path: Path) -> None:
    serve()
    with EnergyMeter("agent", out=tmp_path / "run.csv") as meter:
        time.sleep(0.2)
    assert meter.usage.mean_watts == pytest.approx(3.0, rel=0.01)
    assert meter.recording.rows > 5
    with EnergyMeter(f"replay@{tmp_path / 'run.csv'}?speed=max") as replayed:
        pass
    assert replayed.usage.joules == pytest.approx(meter.usage.joules, rel=0.02)


def test_what_a_block_used_is_known_long_after_it(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ring goes on for others; a block keeps its own samples."""
    running = serve({"fast": ("manual:5V,0.6A", 1000.0)})
    with EnergyMeter("agent") as meter:
        time.sleep(0.05)
    (channel,) = running.agent.sources()[0].channels
    with running.agent.listen("fast"):
        until(lambda: meter._life.latest.sampler._agent is None)
        count = len(channel.curve)
        until(lambda: len(channel.curve) > count + 50)
    usage = meter.usage
    assert usage.mean_watts == pytest.approx(3.0)
    assert usage.joules == pytest.approx(3.0 * usage.measured_seconds)
    assert usage.coverage > 0.5  # a busy machine misses some of a thousand readings a second


READER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from energymeter.sampling.config import SourceConfig
from energymeter.sampling.sampler import Sampler
from energymeter.spec import Spec
sampler = Sampler([SourceConfig(Spec("agent", None, {}))])
sampler.start()
print("ready", flush=True)
start, end = map(int, sys.stdin.readline().split())
(channel,) = sampler.channels
while channel.curve.last_ns() < end:
    time.sleep(0.01)
window = channel.curve.window(start, end)
print(repr(window.joules), repr(window.covered_seconds), flush=True)
time.sleep(60)
"""


def reader() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", READER, str(ROOT)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("many", [2, pytest.param(8, marks=pytest.mark.slow)])
def test_readers_of_one_source_read_the_same_joules(serve: Serve, many: int) -> None:
    serve({"varying": ("sim:pi4", 100.0)})
    readers = [reader() for _ in range(many)]
    try:
        for one in readers:
            assert one.stdout.readline() == "ready\n"
        start = time.monotonic_ns() + 10_000_000
        for one in readers:
            one.stdin.write(f"{start} {start + 200_000_000}\n")
            one.stdin.flush()
        readers[0].send_signal(signal.SIGSTOP)  # a reader that is stopped keeps nobody
        answers = [one.stdout.readline() for one in readers[1:]]
        readers[0].send_signal(signal.SIGCONT)
        answers.append(readers[0].stdout.readline())
        assert len({*answers}) == 1
        joules, covered = map(float, answers[0].split())
        assert joules > 0
        assert covered == pytest.approx(0.2)
    finally:
        for one in readers:
            one.kill()
            one.wait()
            one.stdin.close()
            one.stdout.close()


def test_a_source_is_closed_after_its_last_listener(serve: Serve) -> None:
    running = serve(linger_seconds=0.1)
    (source,) = running.agent.sources()
    assert source.state == "closed"
    one = reader()
    assert one.stdout.readline() == "ready\n"
    assert source.state == "running"
    one.kill()
    one.wait()
    one.stdin.close()
    one.stdout.close()
    until(lambda: source.state == "closed")


@pytest.mark.slow
def test_every_listener_counts_once_and_is_let_go_once() -> None:
    agent = Agent(Config((SourceEntry.of("pi", "manual:5V,0.6A"), SourceEntry.of("nano", "manual:5V,1A"))))
    sources = agent.sources()
    try:
        first, second = Listener(sources), Listener(sources[:1])
        assert [source._listeners for source in sources] == [2, 1]
        first.close()
        first.close()
        assert [source._listeners for source in sources] == [1, 0]
        with second:
            pass
        assert [source._listeners for source in sources] == [0, 0]
    finally:
        agent.close()


def test_what_an_agent_keeps_is_for_its_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent(Config((SourceEntry.of("pi", "manual:5V,0.6A"),)))
    try:
        for folder in ("", f"{tmp_path / 'state'}:{tmp_path / 'other'}"):
            monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
            monkeypatch.setenv("STATE_DIRECTORY", folder)
            kept = Path(agent.state_folder)
            assert kept == (tmp_path / "state" if folder else tmp_path / "data/energymeter/serve")
            assert kept.stat().st_mode & 0o777 == 0o700
    finally:
        agent.close()


def test_a_listener_in_the_agent_opens_its_source(serve: Serve) -> None:
    running = serve(linger_seconds=0.0)
    (source,) = running.agent.sources()
    with running.agent.listen():
        until(lambda: source.state == "running" and len(source.channels[0].curve) > 3)
        assert [channel.info.name for channel in source.counted()] == ["manual:5V,0.6A"]
    until(lambda: source.state == "closed")
    began = source.started_ns
    with running.agent.listen("pi"):
        until(lambda: source.state == "running")
        assert source.started_ns > began


def test_a_source_that_is_missing_is_tried_again(serve: Serve, tmp_path: Path) -> None:
    running = serve({"file": (f"csv@{tmp_path}/power.csv", None)})
    (source,) = running.agent.sources()
    with pytest.raises(SourceError, match="power"), EnergyMeter("agent"):
        pass
    with running.agent.listen():
        until(lambda: source.state == "failed")
        assert "power.csv" in source.error


# -- what a reader cannot do ----------------------------------------------------------------------------


def test_a_reader_can_only_read_the_ring(serve: Serve) -> None:
    running = serve()
    connection = Connection(running.path)
    _, ring = connection.open("")
    size = os.fstat(ring.fd).st_size
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.write(ring.fd, b"x")
    with pytest.raises(OSError, match="Invalid argument"):
        os.ftruncate(ring.fd, 0)
    with pytest.raises(PermissionError):
        mmap.mmap(ring.fd, size)
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            os.open(f"/proc/self/fd/{ring.fd}", os.O_RDWR)
    else:  # root may open anything, and even so cannot write
        again = os.open(f"/proc/self/fd/{ring.fd}", os.O_RDWR)
        try:
            for attempt in (lambda: os.write(again, b"x"), lambda: os.ftruncate(again, size // 2)):
                with pytest.raises(PermissionError):
                    attempt()
            with pytest.raises(PermissionError):
                mmap.mmap(again, size)
            with pytest.raises(PermissionError):
                fcntl.fcntl(again, fcntl.F_ADD_SEALS, 0)
        finally:
            os.close(again)
    seals = fcntl.fcntl(ring.fd, fcntl.F_GET_SEALS)
    everything = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL | descriptors.F_SEAL_FUTURE_WRITE
    assert seals == everything
    (channel,) = running.agent.sources()[0].channels
    count = len(channel.curve)
    until(lambda: len(channel.curve) > count + 3)  # its owner goes on
    connection.close()
    ring.close()


def test_a_mapping_of_the_ring_is_read_only(serve: Serve) -> None:
    serve()
    host = AgentHost()
    host.start(SourceConfig(Spec("agent", None, {})), "")
    with pytest.raises(TypeError):
        host.memory[0] = 1
    host.stop()


def test_without_the_seal_only_other_users_are_given_the_ring(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors, "F_SEAL_FUTURE_WRITE", 1 << 20)  # as unknown as it was before Linux 5.1
    running = serve()
    monkeypatch.setattr(
        local, "may_map", lambda uid, _, sealed: may_map(uid, uid or 1000, sealed) and uid != 0
    )
    with pytest.raises(Exception, match="run the agent as another user"), EnergyMeter("agent"):
        pass
    monkeypatch.setattr(local, "may_map", may_map)
    assert not may_map(1000, 1000, sealed=False)
    assert may_map(1001, 1000, sealed=False)
    assert may_map(1000, 1000, sealed=True)
    if os.geteuid() == 0:
        connection = Connection(running.path)
        _, ring = connection.open("")
        assert not descriptors.write_sealed(ring)
        assert os.fstat(ring.fd).st_mode & 0o777 == 0o444  # another user cannot open it to write
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(ring.fd, b"x")
        with pytest.raises(PermissionError):
            mmap.mmap(ring.fd, os.fstat(ring.fd).st_size)
        connection.close()
        ring.close()


@pytest.mark.parametrize(
    "name", ["exec:true", "../../etc/passwd", "pi/../pi", "sim:pi4", "\x00", "pi\n", "agent"]
)
def test_only_what_the_configuration_names_is_opened(serve: Serve, name: str) -> None:
    running = serve()
    with pytest.raises(SourceMissing, match="no source of that name; it has: pi"):
        Connection(running.path).open(name)
    assert running.agent.sources()[0].state == "closed"


@pytest.mark.parametrize(
    "raw",
    [
        b"\n", b"{}\n", b"[]\n", b"null\n", b"\xff\xfe\n", b'{"open": 1, "protocol": 1}\n', b'{"open": ""}\n',
        b'{"open": "", "protocol": 2}\n', b'{"open": "", "protocol": 1, "spec": "exec:true"}\n',
        b'{"close": "pi"}\n', b'{"stop": true}\n', b'{"ask": 1}\n{"ask": true}\n', b"[" * 1000 + b"\n",
        b'{"open": "' + b"x" * client.LONGEST_REQUEST + b'"}\n', b"x" * 100_000,
    ],
)  # fmt: skip
def test_requests_that_make_no_sense_are_rejected(
    serve: Serve, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    running = serve()
    with caplog.at_level(logging.WARNING), EnergyMeter("agent") as meter:
        for _ in range(3):
            try:
                answers = exchange(running.path, raw)
            except (ConnectionResetError, BrokenPipeError):
                continue  # it was closed before all of it was sent
            assert [answer.get("error") for answer in answers] == ["SpecError"]
    assert len([record for record in caplog.records if "is refused" in record.message]) == 1
    assert meter.usage.coverage == pytest.approx(1.0)


def test_a_reader_learns_what_it_reads_whether_it_was_read_before_or_not(serve: Serve) -> None:
    running = serve({"a": ("manual:5V,0.6A", 50.0), "b": ("manual:5V,1A", 50.0)})
    for name in ("b", "a", "b"):
        connection = Connection(running.path)
        answer, descriptor = connection.open(name)
        descriptor.close()
        assert answer["source"] == name
        connection.close()


def test_a_reader_of_a_source_that_does_not_open_is_no_listener(serve: Serve, tmp_path: Path) -> None:
    running = serve({"log": (f"csv@{tmp_path}/power.csv?watts=1", None)})
    (source,) = running.agent.sources()
    connection = Connection(running.path)
    for _ in range(2):
        with pytest.raises(SourceMissing, match=r"power\.csv"):
            connection.open("log")
        until(lambda: source._listeners == 0)
    connection.close()


def test_a_second_source_is_not_opened_over_one_connection(serve: Serve) -> None:
    running = serve({"a": ("manual:5V,0.6A", 50.0), "b": ("manual:5V,0.6A", 50.0)})
    connection = Connection(running.path)
    connection.open("a")[1].close()
    with pytest.raises(SpecError, match="opened a source already"):
        connection.open("b")
    until(lambda: not connection.alive())


@given(
    st.lists(
        st.binary(max_size=2000) | st.sampled_from([b'{"list": true}\n', b'{"ask": true}\n']), max_size=4
    )
)
@example([b'{"list": true}\n'])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(serve: Serve, pieces: list[bytes]) -> None:
    path = os.environ[client.VARIABLE]
    if not os.path.exists(path):
        serve()
    try:
        answers = exchange(path, b"".join(pieces))
    except (ConnectionResetError, BrokenPipeError):
        answers = []
    assert all("error" in answer or "sources" in answer or "asked" in answer for answer in answers)
    assert [one["name"] for one in Connection(path).request({"list": True})["sources"]] == ["pi"]


@pytest.mark.slow
def test_idle_clients(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local, "MOST_OF_ONE_USER", 100)
    running = serve()
    links = []
    with caplog.at_level(logging.WARNING):
        with EnergyMeter("agent") as meter:
            for _ in range(200):
                link = socket.socket(socket.AF_UNIX)
                link.connect(running.path)
                links.append(link)
            until(lambda: sum(one.uid == os.geteuid() for one in running.server._clients) == 100)
            with pytest.raises(SourceForbidden, match="100 of its clients are connected"):
                Connection(running.path).request({"list": True})
        assert meter.usage.coverage == pytest.approx(1.0)
        monkeypatch.setattr(local, "IDLE_SECONDS", 0.0)
        until(lambda: not running.server._clients)
    monkeypatch.setattr(local, "IDLE_SECONDS", 10.0)
    assert len([record for record in caplog.records if "asked for nothing" in record.message]) == 1
    assert len([record for record in caplog.records if "clients are connected" in record.message]) == 1
    assert Connection(running.path).request({"list": True})["sources"]
    for link in links:
        link.close()


def test_a_client_that_does_not_read_is_closed(serve: Serve) -> None:
    running = serve()
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(running.path)
        link.settimeout(5)
        with pytest.raises(ConnectionError):
            for _ in range(100_000):
                link.sendall(b'{"list": true}\n')
                time.sleep(0)
    assert Connection(running.path).request({"list": True})["sources"]


def test_a_source_that_opens_slowly_keeps_nobody_waiting(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = serve({"slow": ("manual:5V,0.6A", 50.0), "pi": ("sim:pi4", 50.0)})
    may_open = threading.Event()
    slow = running.agent.source("slow")
    opened = slow.opened
    monkeypatch.setattr(slow, "opened", lambda: may_open.wait(30) and opened())
    waiting = threading.Thread(target=lambda: Connection(running.path).open("slow")[1].close())
    waiting.start()
    with EnergyMeter("agent@pi") as meter:
        pass
    assert meter.usage.joules > 0
    may_open.set()
    waiting.join()


def test_a_link_is_no_socket(serve: Serve, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    running = serve()
    link = os.path.join(folder, "link.sock")
    os.symlink(running.path, link)
    monkeypatch.setenv(client.VARIABLE, link)
    with pytest.raises(SourceMissing, match="no agent runs"), EnergyMeter("agent"):
        pass
    with pytest.raises(SpecError, match="no socket of this user"):
        bound(link, None)
    file = os.path.join(folder, "file.sock")
    Path(file).write_text("mine")
    with pytest.raises(SpecError, match="no socket of this user"):
        bound(file, None)
    assert Path(file).read_text() == "mine"
    with pytest.raises(SpecError, match=r"listens at .* already"):
        bound(running.path, None)


def test_the_socket_is_for_its_user_alone(serve: Serve) -> None:
    running = serve()
    assert os.stat(running.path).st_mode & 0o777 == 0o600


def test_the_socket_is_for_the_group(folder: str) -> None:
    group, before = (os.getgroups() or [os.getegid()])[-1], os.getegid()
    bound(os.path.join(folder, "new", "agent.sock"), group).close()
    made = os.stat(os.path.join(folder, "new", "agent.sock"))
    assert made.st_mode & 0o777 == 0o660
    assert made.st_gid == group
    assert os.getegid() == before


def test_users_outside_the_group_are_rejected(serve: Serve, folder: str) -> None:
    running = serve()
    theirs, ours = socket.socketpair(socket.AF_UNIX)
    peer = local.Peer(ours)
    assert peer.uid == os.getuid()
    assert running.server._refused(peer) == ""
    assert peer.is_member(os.getegid())
    assert not peer.is_member(54_321)
    peer.uid = 54_321
    running.server._group = 54_322
    assert "not of the agent's group" in running.server._refused(peer)
    running.server._group = os.getegid()
    assert running.server._refused(peer) == ""
    theirs.close()
    ours.close()


def test_descriptors_of_an_answer_that_makes_no_sense_are_closed(tmp_path: Path) -> None:
    path = str(tmp_path / "a.sock")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(1)
    connection = Connection(path)
    theirs, _ = listening.accept()
    before = len(os.listdir("/proc/self/fd"))
    with open(os.devnull) as file:
        socket.send_fds(theirs, [b"[1]\n"], [file.fileno(), file.fileno()])
    with pytest.raises(SamplerError):
        connection.open("x")
    assert len(os.listdir("/proc/self/fd")) == before
    connection.close()
    theirs.close()
    listening.close()


def test_what_an_agent_has_left_is_replaced(folder: str) -> None:
    path = os.path.join(folder, "agent.sock")
    bound(path, None).close()
    bound(path, None).close()


def test_an_agent_of_another_user_is_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    running = serve()
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    if os.getuid() == 0:
        return  # root's agent is for everybody
    with pytest.raises(SourceForbidden, match="belongs to another user"):
        Connection(running.path)


# -- what goes away and comes back ----------------------------------------------------------------------


@pytest.mark.slow
def test_an_agent_that_goes_away_is_a_gap(serve: Serve) -> None:
    running = serve()
    with EnergyMeter("agent") as meter:
        time.sleep(0.1)
        running.close()
        gone = time.monotonic()
        time.sleep(0.3)
        serve()
        until(lambda: meter._life.latest.sampler.restarts)
        away = time.monotonic() - gone
        time.sleep(0.3)
        seconds = meter.usage.seconds
    usage = meter.usage
    assert usage.mean_watts == pytest.approx(3.0, rel=0.01)
    assert usage.joules == pytest.approx(3.0 * usage.measured_seconds, rel=0.01)
    assert 0.2 < usage.seconds - usage.measured_seconds < away + 0.2
    assert usage.seconds >= seconds
    assert any("the agent was away" in note for note in usage.notes)


def test_an_agent_that_serves_another_source_is_not_read_on(serve: Serve) -> None:
    running = serve()
    with EnergyMeter("agent") as meter:
        time.sleep(0.2)
        running.close()
        serve({"pi": ("manual:5V,1.8A", 50.0)})  # the same layout
        sampler = meter._life.latest.sampler
        until(lambda: "came back" in sampler.channels[0].curve.error)
        time.sleep(0.2)
    usage = meter.usage
    assert usage.sources == ("manual:5V,0.6A",)
    assert usage.joules == pytest.approx(3.0 * usage.measured_seconds, rel=0.01)
    assert usage.coverage < 0.9
    notes = " ".join(usage.notes)
    assert "came back as manual:5V,1.8A, and was manual:5V,0.6A" in notes, notes


@pytest.mark.slow
def test_an_agent_that_serves_another_source_is_not_read_on_next_to_others(serve: Serve) -> None:
    running = serve()
    with EnergyMeter("agent+manual:5V,1A") as meter:
        time.sleep(0.2)
        running.close()
        serve({"pi": ("manual:5V,1.8A", 50.0)})
        sampler = meter._life.latest.sampler
        until(lambda: "came back" in sampler.channels[0].lost(time.monotonic_ns()))
    agent, manual = meter.usages.values()
    assert agent.sources == ("manual:5V,0.6A",)
    assert agent.joules == pytest.approx(3.0 * agent.measured_seconds, rel=0.01)
    assert agent.coverage < 0.9 < manual.coverage
    assert any("lost before the end: the source came back as manual:5V,1.8A" in note for note in agent.notes)


def test_a_sampling_process_that_dies_is_a_gap(serve: Serve) -> None:
    running = serve()
    with EnergyMeter("agent") as meter:
        time.sleep(0.1)
        (source,) = running.agent.sources()
        os.kill(source._sampler._host.pid, signal.SIGKILL)
        until(lambda: meter._life.latest.sampler.restarts)
        time.sleep(0.2)
    usage = meter.usage
    assert usage.joules == pytest.approx(3.0 * usage.measured_seconds, rel=0.01)
    assert usage.coverage < 1.0
    assert any("the agent was away" in note for note in usage.notes)


def test_an_agent_that_does_not_come_back_leaves_what_was_measured(serve: Serve) -> None:
    running = serve()
    with EnergyMeter("agent") as meter:
        time.sleep(0.2)
        running.close()
        until(lambda: meter._life.latest.sampler._agent_lost)
    usage = meter.usage
    assert usage.joules == pytest.approx(3.0 * usage.measured_seconds, rel=0.01)
    assert any("did not come back" in note for note in usage.notes)


def test_a_sampler_reads_several_blocks(serve: Serve) -> None:
    serve()
    meter = EnergyMeter("agent")
    for _ in range(3):
        with meter:
            time.sleep(0.03)
        assert meter.usage.coverage == pytest.approx(1.0)
    assert Sampler([SourceConfig(Spec("agent", None, {}))]).alive is False
