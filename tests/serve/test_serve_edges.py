"""What an agent does at its edges: sockets that fail, what is due exactly now, and what is said of it."""

import asyncio
import errno
import http.client
import json
import os
import socket
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from at_socket import AtSocket, socket_folder
from devices.processes import until
from drawn_source import SECOND, DrawnSource
from made_figures import BOARD, CPU, UNKNOWN, GivenFeed, figures

from energymeter.clock import ManualClock
from energymeter.errors import ExtraMissing, SourceForbidden, SourceMissing, SpecError
from energymeter.reading import Facts
from energymeter.report.live import COLUMN_SECONDS, KEPT
from energymeter.sampling.agent import PROTOCOL, Connection
from energymeter.serve import http as serving
from energymeter.serve import local
from energymeter.serve.agent import Agent, ServedSource
from energymeter.serve.config import Config, SourceEntry
from energymeter.serve.feed import Columns, Feed
from energymeter.serve.record import RecordSettings, _file_bytes, _Spans, record_folder
from energymeter.serve.record_folder import RecordFolder
from energymeter.serve.shared_folder import Busy, SharedFolder
from energymeter.serve.site import Site, _facts, _power_text, _spans, _whole
from energymeter.serve.spans import AHEAD_NS, ClientSpans, EndedSpan
from energymeter.serve.totals import Totals

# The socket on this machine ---------------------------------------------------------------------------------


class Link(socket.socket):
    """A socket whose kernel fails where a test says so."""

    failing: dict[str, int] = {}  # noqa: RUF012 - each test gives its own

    def recv(self, *given: Any) -> bytes:
        self._fail("recv")
        return super().recv(*given)

    def send(self, *given: Any) -> int:
        self._fail("send")
        return super().send(*given)

    def accept(self) -> Any:
        self._fail("accept")
        return super().accept()

    def getsockopt(self, *given: Any) -> Any:
        self._fail("getsockopt")
        return super().getsockopt(*given)

    def _fail(self, call: str) -> None:
        if call in self.failing:
            number = self.failing[call]
            raise BlockingIOError if number == errno.EAGAIN else OSError(number, os.strerror(number))


def failing(link: socket.socket, **calls: int) -> Link:
    made = Link(link.family, link.type, fileno=link.detach())
    made.failing = calls
    return made


@pytest.fixture
def agent() -> Iterator[Agent]:
    made = Agent(Config((SourceEntry.of("pi", "manual:5V,0.6A", 50.0),)))
    yield made
    made.close()


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with socket_folder(monkeypatch) as made:
        yield made


@pytest.fixture
def serve(agent: Agent, folder: str) -> Iterator[Callable[..., local.LocalServer]]:
    """Serve the agent at a socket some of whose calls fail."""
    servers = []

    def start(**calls: int) -> local.LocalServer:
        path = os.path.join(folder, "agent.sock")
        servers.append(local.LocalServer(agent, failing(local.bound(path, None), **calls), path=path))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_a_client_that_cannot_be_accepted_is_said_once_and_the_others_go_on(serve: Any, folder: str) -> None:
    server = serve(accept=errno.EMFILE)
    waiting = socket.socket(socket.AF_UNIX)
    waiting.connect(os.path.join(folder, "agent.sock"))
    until(lambda: server._rejections.counts.get("accept", 0) > 1)
    server._listening.failing = {}
    assert Connection(os.path.join(folder, "agent.sock")).request({"list": True})["sources"]
    waiting.close()


def test_a_client_that_is_gone_before_it_was_asked_who_it_is_is_closed(serve: Any) -> None:
    server = serve()
    ours, theirs = socket.socketpair()
    gone = failing(ours, getsockopt=errno.ENOTCONN)

    class Listening:
        def accept(self) -> tuple[Link, str]:
            return gone, ""

    kept, server._listening = server._listening, Listening()
    server._accept()
    server._listening = kept
    assert gone.fileno() == -1
    assert theirs.recv(1) == b""
    theirs.close()


@pytest.mark.parametrize(
    ("number", "stays"), [(errno.EAGAIN, True), (errno.ECONNRESET, False), (errno.EBADF, False)]
)
def test_a_client_whose_link_fails_is_dropped_and_one_without_news_is_not(
    serve: Any, number: int, stays: bool
) -> None:
    server = serve()
    ours, theirs = socket.socketpair()
    client = local._Client(failing(ours, recv=number), 7)
    server._clients.add(client)
    server._selector.register(client.link, 0x1)
    server._read(client)
    assert (client in server._clients) is stays
    server._drop(client)
    theirs.close()


def test_a_client_that_takes_no_answer_is_dropped_and_named(serve: Any) -> None:
    server = serve()
    ours, theirs = socket.socketpair()
    client = local._Client(failing(ours, send=errno.EPIPE), 7)
    server._clients.add(client)
    server._selector.register(client.link, 0x1)
    server._say(client, {})
    assert client not in server._clients
    assert server._rejections.counts == {"slow 7": 1}
    server._say(client, {})  # nobody's: nothing is noted of it
    assert server._rejections.counts == {"slow 7": 1}
    theirs.close()


class Kernel:
    """What the kernel says of who connects."""

    def __init__(self, *groups: int, knows_groups: bool = True) -> None:
        self._said = {
            socket.SO_PEERCRED: struct.pack("3i", 1, 4_000_000, 1000),
            59: struct.pack(f"{len(groups)}I", *groups) if knows_groups else None,
        }

    def getsockopt(self, level: int, option: int, length: int) -> bytes:
        said = self._said[option]
        if said is None:
            raise OSError(errno.ENOPROTOOPT, "old kernel")
        assert (level, length >= len(said)) == (socket.SOL_SOCKET, True)
        return said


@pytest.mark.parametrize(
    ("groups", "member"), [((), False), ((24,), True), ((4, 24), True), ((24, 4), True), ((4, 25), False)]
)
def test_the_groups_of_a_client_are_those_of_the_kernel(groups: tuple[int, ...], member: bool) -> None:
    peer = local.Peer(Kernel(*groups))  # type: ignore[arg-type]
    assert (peer.uid, peer.gid) == (4_000_000, 1000)
    assert peer.is_member(1000), "its own"
    assert peer.is_member(24) is member


def test_a_kernel_that_knows_no_groups_of_a_client_leaves_it_to_the_list_of_users() -> None:
    peer = local.Peer(Kernel(knows_groups=False))  # type: ignore[arg-type]
    assert peer.is_member(1000)
    assert not peer.is_member(24), "nobody has that number"


@pytest.mark.parametrize(
    ("uid", "own", "sealed", "may"),
    [
        (5, 5, False, False),
        (5, 5, True, True),
        (5, 6, False, True),
        (0, 0, False, True),
        (0, 5, False, True),
        (5, 0, False, True),
    ],
)
def test_who_may_map_a_ring_that_is_not_sealed(uid: int, own: int, sealed: bool, may: bool) -> None:
    assert local.may_map(uid, own, sealed) is may


@pytest.mark.parametrize(
    ("all_clients", "of_user", "why"),
    [
        (255, 0, ""),
        (256, 0, "256 clients are connected; close some"),
        (200, 199, ""),
        (200, 200, "200 of its clients are connected; close some"),
    ],
)
def test_how_many_clients_are_served(serve: Any, all_clients: int, of_user: int, why: str) -> None:
    server = serve()
    peer = local.Peer(Kernel())  # type: ignore[arg-type]
    peer.uid = os.geteuid()
    made = [
        local._Client(socket.socket(), peer.uid if number < of_user else 77) for number in range(all_clients)
    ]
    real, server._clients = server._clients, set(made)
    try:
        assert server._refused(peer) == why
    finally:
        server._clients = real
        for client in made:
            client.link.close()


def test_a_group_by_its_name() -> None:
    assert local.group_number(None) is None
    assert local.group_number("root") == 0
    with pytest.raises(
        SpecError,
        match=r"^there is no group 'nobody knows it'; make it with `groupadd --system nobody knows it`$",
    ):
        local.group_number("nobody knows it")


def test_a_socket_that_cannot_be_made_is_one_sentence(folder: str) -> None:
    path = os.path.join(folder, "file")
    Path(path).touch()
    with pytest.raises(SourceForbidden, match=r"no socket can be made at .* name another with --socket"):
        local.bound(os.path.join(path, "agent.sock"), None)
    other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    other.bind(os.path.join(folder, "datagrams"))
    with pytest.raises(SpecError, match=r"an agent listens at .* already"):
        local.bound(os.path.join(folder, "datagrams"), None)
    other.close()


@pytest.mark.parametrize(("group", "mode"), [(None, 0o700), (os.getegid(), 0o755)])
def test_the_folder_of_a_socket_is_open_to_whom_the_socket_is(
    group: int | None, mode: int, folder: str
) -> None:
    mask = os.umask(0)
    os.umask(mask)
    path = os.path.join(folder, "new", "agent.sock")
    local.bound(path, group).close()
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == mode & ~mask
    assert stat.S_IMODE(os.stat(path).st_mode) == (0o600 if group is None else 0o660)
    again = os.umask(mask)
    assert again == mask


def inherited_by_a_child(environment: dict[str, str], name: str | None, sockets: int) -> str:
    """What a service of systemd takes over: how many, their families, whether children get them."""
    receive, send = os.pipe()
    pairs = [socket.socketpair() for _ in range(sockets)]
    child = os.fork()
    if child == 0:
        try:
            report = os.dup(send)
            os.dup2(report, 60)
            kept = [os.dup2(pair[0].fileno(), 40 + number) for number, pair in enumerate(pairs)]
            for number, one in enumerate(kept):
                os.dup2(one, 3 + number)
            os.environ.update({"LISTEN_PID": str(os.getpid()), **environment})
            found = local.inherited(name)
            said = [(link.fileno(), os.get_inheritable(link.fileno())) for link in found]
            os.write(60, json.dumps(said).encode())
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    for pair in pairs:
        pair[0].close()
        pair[1].close()
    return said


@pytest.mark.parametrize(
    ("environment", "name", "descriptors"),
    [
        ({"LISTEN_FDS": "2"}, None, [3, 4]),
        ({"LISTEN_FDS": "1"}, None, [3]),
        ({"LISTEN_FDS": "0"}, None, []),
        ({"LISTEN_FDS": "x"}, None, []),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "1"}, None, []),
        ({"LISTEN_FDS": "10"}, None, [3, 4, 5, 6, 7, 8, 9, 10]),
        ({"LISTEN_FDS": "3", "LISTEN_FDNAMES": "a:b:a"}, "a", [3, 5]),
        ({"LISTEN_FDS": "3", "LISTEN_FDNAMES": "a:b"}, "b", [4]),
        ({"LISTEN_FDS": "2"}, "a", []),
    ],
)
def test_sockets_that_systemd_has_opened(
    environment: dict[str, str], name: str | None, descriptors: list[int]
) -> None:
    said = json.loads(inherited_by_a_child(environment, name, 9))
    assert said == [[number, False] for number in descriptors]


def test_requests_over_the_socket(agent: Agent, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    running = AtSocket(os.path.join(folder, "agent.sock"), agent.config)
    try:
        connection = Connection(running.path)
        said = connection.request({"list": True})
        assert said == {
            "sources": [{"name": "pi", "title": "manual:5V,0.6A", "state": "closed"}],
            "protocol": PROTOCOL,
        }
        assert connection.request({"ask": True}) == {"asked": 0}, "it has opened nothing"
        message = {"add_spans": {"spans": {}}, "source": "pi", "protocol": PROTOCOL}
        with pytest.raises(SpecError, match="the agent shows no spans; start it with --web, --metrics or"):
            connection.request(message)
        running.agent.on_span(lambda name, span: None)
        assert connection.request(message) == {"taken": 0}
        connection.close()
    finally:
        running.close()


@pytest.mark.parametrize(("later", "asks"), [(0.0, 1), (0.019, 1), (0.0201, 2)])
def test_a_client_asks_for_fifty_samples_a_second_at_most(
    serve: Any, monkeypatch: pytest.MonkeyPatch, later: float, asks: int
) -> None:
    class Source:
        asked = 0

        def ask(self) -> int:
            self.asked += 1
            return 40 + self.asked

    server, now = serve(), [1000.0]
    ours, theirs = socket.socketpair()
    client = local._Client(ours, 0)
    client.source = source = Source()  # type: ignore[assignment]

    class Time:
        monotonic = staticmethod(lambda: now[0])

    with monkeypatch.context() as patch:
        patch.setattr(local, "time", Time)
        assert server._asked(client) == 41
        now[0] += later
        assert server._asked(client) == 40 + asks
    assert source.asked == asks
    ours.close()
    theirs.close()


# HTTP -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("error", "said"), [("", "the source did not open in time"), ("gone", "gone")])
def test_a_stream_gives_up_a_source_that_does_not_open(
    error: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ServedSource(SourceEntry.of("pi", "manual:5V,0.6A"), 0.0, False)
    source.error = error

    async def lines() -> list[dict[str, Any]]:
        return [json.loads(line) async for line in serving._Streams(source).lines(None, 0)]

    monkeypatch.setattr(serving, "_OPEN_SECONDS", 0.02)
    *waiting, last = asyncio.run(lines())
    assert last == {"error": said}
    assert [[*line] for line in waiting] == [["now"]]
    assert source._listeners == 0


@pytest.fixture
def ask(agent: Agent) -> Iterator[Callable[..., Any]]:
    pytest.importorskip("uvicorn", reason="pip install edge-energymeter[serve]")
    server = serving.HttpServer(agent, serving.Listen("127.0.0.1", 0, "t" * 16))

    def asked(target: str, method: str = "GET", **headers: str) -> tuple[int, Any]:
        link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        try:
            link.request(method, target, headers={"Authorization": f"Bearer {'t' * 16}", **headers})
            answer = link.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            link.close()

    asked.server = server  # type: ignore[attr-defined]
    yield asked
    server.close()


@pytest.mark.parametrize("query", ["from=x", "from=1,y", "began=x", "from=1&began="])
def test_a_stream_begins_at_numbers(query: str, ask: Any) -> None:
    assert ask(f"/v1/stream/pi?{query}") == (
        400,
        {"error": "SpecError", "message": "from and began are numbers"},
    )


def test_no_more_streams_than_may_be_open(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert serving.MOST_STREAMS == 64
    monkeypatch.setattr(serving, "MOST_STREAMS", 0)
    assert ask("/v1/stream/pi") == (503, {"error": "SourceBusy", "message": "too many streams are open"})


def test_spans_that_do_not_arrive_are_waited_for_no_longer(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "REQUEST_SECONDS", 0.05)
    late = {"error": "SpecError", "message": "the request was not complete in time"}
    assert ask("/v1/spans/pi", "POST", **{"Content-Length": "10"}) == (408, late)


def test_a_port_that_is_taken_is_one_sentence_and_free_once_it_is_closed(agent: Agent, ask: Any) -> None:
    port = ask.server.port
    assert ask("/v1/clock")[0] == 200
    with pytest.raises(
        SourceForbidden,
        match=rf"cannot listen at 127\.0\.0\.1:{port} \(Address already in use\); choose another",
    ):
        serving.HttpServer(agent, serving.Listen("127.0.0.1", port))
    ask.server.close()
    serving.HttpServer(agent, serving.Listen("127.0.0.1", port)).close()


# The feed ---------------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000 * SECOND, epoch=1_795_860_000.0)


@pytest.mark.parametrize(("seconds", "is_new"), [(0.499_999_999, False), (0.5, True)])
def test_figures_are_half_a_second_old_at_most(clock: ManualClock, seconds: float, is_new: bool) -> None:
    source = DrawnSource("board", clock)
    feed = Feed(lambda: [source], clock=clock)
    source.run(10, 3.0)
    before = feed.read()
    clock.sleep(seconds)
    assert (feed.read() is not before) is is_new


ONE_SECOND = COLUMN_SECONDS.index(1.0)


def test_columns_are_those_of_the_source_that_is_asked_for(clock: ManualClock) -> None:
    sources = [DrawnSource(name, clock) for name in ("a", "b", "c")]
    feed = Feed(lambda: sources, clock=clock)
    clock.sleep(10)
    for number, source in enumerate(sources):
        source.run(5, 1.0 + number)
    for number, source in enumerate(sources):
        columns = feed.columns(source.name, "", ONE_SECOND, 0)
        assert columns.bars[12 + 5 * number].watts == pytest.approx(1.0 + number)
        assert (columns.first, columns.seconds) == (0, 1.0)
        assert columns.start_unix == pytest.approx(1_795_860_000.0)


def test_the_newest_column_ends_where_all_channels_are_known(clock: ManualClock) -> None:
    source = DrawnSource("board", clock, Facts(), Facts())
    feed = Feed(lambda: [source], clock=clock)
    source.run(10.0, 1.0, 2.0)
    source.run(0.3, 1.0, None)
    for order in (1, -1):
        source.channels = source.channels[::order]
        assert len(feed.columns("board", "", COLUMN_SECONDS.index(0.1), 0).bars) == 101
    source.run(30.0, 1.0, None)  # silent by now: what is known of it is that it says nothing
    assert len(feed.columns("board", "", ONE_SECOND, 0).bars) == 41


def test_the_newest_columns_are_known(clock: ManualClock) -> None:
    feed = Feed(list, clock=clock)
    clock.sleep(KEPT + 10.5)
    columns = feed.columns("board", "", ONE_SECOND, 0)
    assert (columns.first, len(columns.bars)) == (11, KEPT)
    assert (feed.columns("board", "", ONE_SECOND, KEPT + 10).first) == KEPT + 10
    assert len(feed.columns("board", "", ONE_SECOND, KEPT + 10).bars) == 1
    assert feed.columns("board", "", ONE_SECOND, KEPT + 11).bars == []


def test_a_source_is_up_while_all_of_its_counted_channels_answer(clock: ManualClock) -> None:
    source = DrawnSource("board", clock, Facts(), Facts(counted=False))
    feed = Feed(lambda: [source], clock=clock)
    assert not feed.read().snapshot.sources[0].up, "nothing is known of it"
    source.run(5, 1.0, 2.0)
    assert feed.read().snapshot.sources[0].up
    source.run(30, 1.0, None)
    assert feed.read().snapshot.sources[0].up
    source.run(30, None, 1.0)
    assert not feed.read().snapshot.sources[0].up


def test_the_power_that_is_shown_is_the_mean_of_the_last_five_seconds(clock: ManualClock) -> None:
    source = DrawnSource("board", clock)
    feed = Feed(lambda: [source], clock=clock)
    source.run(20, 2.0)
    source.run(2, 7.0)
    (state,) = feed.read().snapshot.channels
    assert state.watts == pytest.approx((3 * 2.0 + 2 * 7.0 - 0.25) / 5), "and half an interval from 2 to 7 W"
    assert state.seconds == pytest.approx(21.9)
    assert state.volts == 5.0
    assert state.run == str(1000 * SECOND + SECOND // 10)


def test_one_sample_has_a_power_and_no_energy(clock: ManualClock) -> None:
    source = DrawnSource("board", clock)
    feed = Feed(lambda: [source], clock=clock)
    source.run(0.1, 3.0)
    (state,) = feed.read().snapshot.channels
    assert (state.watts, state.watts_uncertainty, state.joules) == (3.0, None, 0.0)


# Spans ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end_ns", "bound_ns", "taken"),
    [
        (AHEAD_NS, 0, 1),
        (AHEAD_NS + 1, 0, 0),
        (AHEAD_NS + 50, 50, 1),
        (AHEAD_NS + 51, 50, 0),
        (-1, 0, 1),
    ],
)
def test_a_call_ends_a_second_after_now_at_most(
    clock: ManualClock, end_ns: int, bound_ns: int, taken: int
) -> None:
    now = clock.monotonic_ns()
    spans = ClientSpans(list, lambda span: None, clock.monotonic_ns)
    edges = [now - SECOND, now + end_ns]
    assert spans.take({"spans": {"a": edges}, "bound_ns": bound_ns}) == taken


def test_what_is_left_out_is_counted_by_name_and_in_numbers(clock: ManualClock) -> None:
    found: list[EndedSpan] = []
    spans = ClientSpans(list, found.append, clock.monotonic_ns)
    now = clock.monotonic_ns()
    spans.take({"spans": {"a": [now, now - 1, now, now - 2], "b": []}, "left_out": {"c": 7, "d": 0}})
    spans.resolve()
    assert [(span.name, span.calls, span.joules) for span in found] == [("a", 2, None), ("c", 7, None)]
    assert EndedSpan("a", 5, 5 + SECOND).seconds == pytest.approx(1.0)


# The record -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("megabytes", "minutes", "most_bytes", "seconds"),
    [
        (None, None, 1_000_000_000, 3600.0),
        ("1", "1", 1_000_000, 60.0),
        ("1e9", "1440", 10**15, 86_400.0),
        ("2.5", "0.5", None, None),
        ("0.999", "1", None, None),
        ("1.1e9", "1", None, None),
        ("1", "1440.1", None, None),
        ("1", "0.999", None, None),
    ],
)
def test_the_size_of_a_record_and_of_its_files(
    megabytes: str | None, minutes: str | None, most_bytes: int | None, seconds: float | None
) -> None:
    if most_bytes is None:
        with pytest.raises(SpecError, match=r"from 1 to 1e9; correct it|spans 1 to 1440 minutes; correct it"):
            RecordSettings.of("/x", megabytes, minutes)
    else:
        assert RecordSettings.of("/x", megabytes, minutes) == ("/x", most_bytes, seconds)
        assert RecordSettings("/x") == RecordSettings.of("/x")


@pytest.mark.parametrize(
    ("most", "sources", "each"),
    [(1_000_000_000, 1, 32_000_000), (128_000_000, 1, 32_000_000), (40_000_000, 1, 10_000_000),
     (40_000_000, 4, 2_500_000), (10, 3, 0)],
)  # fmt: skip
def test_all_open_files_together_are_a_quarter_of_the_record(most: int, sources: int, each: int) -> None:
    settings = RecordSettings("/x", most)
    assert _file_bytes(settings, sources) == each
    assert record_folder(settings, sources)._reserve_bytes == sources * each


def test_calls_of_a_closed_log_are_in_no_other(clock: ManualClock) -> None:
    spans = _Spans()
    assert spans.take(0) is None
    for start, end in ((5, 10), (10, 12), (12, 20)):
        spans.add(EndedSpan("a", start * SECOND, end * SECOND))
    spans.add(EndedSpan("a", calls=4))
    spans.add(EndedSpan("b", calls=2))
    said = spans.take(10 * SECOND)
    assert said == {
        "named": {"a": {"n": 7, "windows_s": ((0.0, 2.0), (2.0, 10.0))}, "b": {"n": 2, "windows_s": ()}},
        "left_out": 0,
    }
    assert spans.take(0) is None


def test_the_oldest_files_go_until_the_rest_fits(tmp_path: Path) -> None:
    names = [f"a_{number:08d}_20261128T100000Z.csv" for number in (3, 4, 5)]
    for name in names:
        (tmp_path / name).write_bytes(b"x" * 100)
    folder = RecordFolder(str(tmp_path), 250, 50)  # room for 200 bytes of finished files
    removed: list[str] = []
    folder.on_removed = removed.append
    path = folder.begin("b", 1_795_860_000.4)
    assert os.path.basename(path) == "b_00000006_20261128T100000Z.csv"
    assert removed == names[:1]
    assert [file.name for file in folder.files()] == names[1:]
    Path(path).write_bytes(b"x" * 40)
    assert [file.bytes for file in folder.files()] == [100, 100, 40]
    assert len(folder.finished()) == 2
    assert not folder.changed.is_set()
    folder.finish(path)
    assert folder.changed.is_set()
    assert len(folder.finished()) == 3
    gone = folder.begin("b", 0.0)
    Path(gone).touch()
    folder.finish(gone, keep=False)
    assert not os.path.exists(gone)


# The page ---------------------------------------------------------------------------------------------------


class PageFeed(GivenFeed):
    """Figures that a test gives, and what was asked of their history."""

    asked: tuple[Any, ...] = ()

    def columns(self, *asked: Any) -> Columns:
        self.asked = asked
        return Columns(0, [], 0.5, 1e9)


def live(feed: PageFeed, query: str = "") -> dict[str, Any]:
    answer = Site(feed).respond("GET", f"/api/live?{query}", {"host": "localhost"})  # type: ignore[arg-type]
    said: dict[str, Any] = json.loads(answer.body)
    return said


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", ("board", "", 1, 0)),
        ("source=cpu&zoom=0&since=7", ("cpu", "", 0, 7)),
        ("source=cpu&channel=rapl:package-0", ("cpu", "rapl:package-0", 1, 0)),
        ("source=board&channel=rapl:package-0", ("board", "", 1, 0)),
        ("source=nothing", ("board", "", 1, 0)),
        (f"zoom={len(COLUMN_SECONDS)}", ("board", "", len(COLUMN_SECONDS) - 1, 0)),
        ("zoom=x&since=-1", ("board", "", 1, 0)),
    ],
)
def test_what_the_page_asks_for(query: str, asked: tuple[Any, ...]) -> None:
    feed = PageFeed(figures())
    said = live(feed, query)
    assert feed.asked == asked
    assert (said["source"], said["channel"], said["zoom"]) == asked[:3]


def test_the_page_of_an_agent_without_sources() -> None:
    shown = figures(batteries=())
    said = live(PageFeed(shown._replace(snapshot=shown.snapshot._replace(sources=(), channels=()))))
    assert (said["source"], said["power"], said["watts"], said["facts"]) == ("", "unknown", None, [])


def test_texts_of_one_channel_and_of_several() -> None:
    assert _facts([BOARD]) == [
        ("Energy", "7200 J ± 36 (2.00 Wh)"),
        ("Charge", "400 mAh"),
        ("Voltage", "5.02 V"),
        ("Measured", "95.0 % of 33 min"),
        ("Missed", "7 readings"),
        ("Where", "at the rail"),
    ]
    other = BOARD._replace(
        channel="b", place="wall", joules=800.0, uncertainty_joules=27.0, measured_seconds=1000.0, missed=3,
        watts=6.4, watts_uncertainty=0.015,
    )  # fmt: skip
    assert _facts([BOARD, other]) == [
        ("Energy", "8000 J ± 45 (2.22 Wh)"),
        ("Measured", "50.0 % of 33 min"),
        ("Missed", "10 readings"),
        ("Where", "at the rail and the wall"),
    ]
    assert _power_text([BOARD, other]) == "10.000 W ± 0.025"
    unknown = other._replace(joules=None, watts=None)
    assert _facts([BOARD, unknown])[0] == ("Energy", "unknown")
    assert _power_text([BOARD, unknown]) == "unknown"
    assert _power_text([BOARD._replace(watts_uncertainty=None)]) == "3.60 W"


def test_rails_spans_and_batteries_on_the_page() -> None:
    said = live(PageFeed(figures()))
    assert said["rails"][0] == {
        "source": "board",
        "channel": "ina219@1:0x40",
        "counted": True,
        "watts": "3.600 W ± 0.020",
        "joules": "7200 J ± 36",
        "volts": "5.02 V",
        "measured": "95.0 %",
        "missed": 7,
        "place": "measured, rail",
    }
    assert said["rails"][1]["volts"] == ""
    assert said["spans"] == [["board: infer", 2, 0, "1.000 J ± 0.050", "200 ms"]]
    assert said["provenance"] == ["measured"]
    assert said["batteries"] == [
        {
            "name": "field",
            "kind": "budget",
            "share": 0.62,
            "left": "62 % left (55 % to 69 %)",
            "hours": "1 h 42 min (1 h 24 min to 2 h) at this load",
        },
        {
            "name": "old",
            "kind": "battery",
            "share": 0.1,
            "left": "10 % left (0 % to 20 %)",
            "hours": "no load was seen yet",
        },
    ]
    for share, shown in ((-0.1, 0.0), (1.1, 1.0)):
        odd = UNKNOWN._replace(share=UNKNOWN.share._replace(value=share), reason="")
        (battery,) = live(PageFeed(figures(batteries=(odd,))))["batteries"]
        assert (battery["share"], battery["hours"]) == (shown, "unknown")


def test_spans_of_one_source_need_no_name_of_it() -> None:
    totals = Totals()
    totals.leave_out("board", "epoch", 3)
    shown = figures(BOARD, totals=totals)
    assert _spans(shown) == [
        ("epoch", 0, 3, "not measured", ""),
        ("infer", 2, 0, "1.000 J ± 0.050", "200 ms"),
    ]
    assert _spans(figures(BOARD, CPU))[0][0] == "board: infer"


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("17", 17), ("9" * 15, 10**15 - 1), ("9" * 16, 4), ("-1", 4), ("", 4), ("1.5", 4), ("٣", 4)],
)
def test_a_whole_number_of_a_query(text: str, number: int) -> None:
    assert _whole({"n": [text]}, "n", 4) == number
    assert _whole({}, "n", 4) == 4


def test_a_target_may_have_4096_signs() -> None:
    site = Site(PageFeed(figures()))  # type: ignore[arg-type]
    for length, status in ((4096, 404), (4097, 414)):
        assert site.respond("GET", "/" + "a" * (length - 1), {"host": "localhost"}).status == status


class Folder(SharedFolder):
    """A folder whose reader fails as a test says."""

    def __init__(self, failure: Exception) -> None:
        super().__init__("/nonexistent")
        self._failure = failure

    def plot(self, name: str) -> dict[str, Any]:
        raise self._failure


@pytest.mark.parametrize(
    ("failure", "status", "said"),
    [
        (
            Busy("another recording is being read; ask again"),
            503,
            b"another recording is being read; ask again\n",
        ),
        (ExtraMissing("jinja2", "report", "A report"), 501, b"A report needs jinja2: pip install"),
        (SourceMissing("no\x1bne"), 400, b"no\\x1bne\n"),
        (SpecError("wrong"), 400, b"wrong\n"),
    ],
)
def test_a_failure_has_its_own_status(failure: Exception, status: int, said: bytes) -> None:
    site = Site(PageFeed(figures()), folder=Folder(failure))  # type: ignore[arg-type]
    answer = site.respond("GET", "/api/recordings/x.csv", {"host": "localhost"})
    assert answer.status == status
    assert answer.body.startswith(said)


def test_without_a_folder_nothing_is_shared() -> None:
    site = Site(PageFeed(figures()))  # type: ignore[arg-type]
    answer = site.respond("GET", "/api/recordings", {"host": "localhost"})
    assert json.loads(answer.body) == {"recordings": [], "comparisons": [], "shared": False}
    assert site.respond("GET", "/recordings/x.csv", {"host": "localhost"}).status == 404


def test_two_recordings_are_not_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("energymeter.serve.shared_folder._PATIENCE_SECONDS", 0.01)
    folder = SharedFolder(str(tmp_path))
    with (
        folder._alone(),
        pytest.raises(Busy, match="another recording is being read; ask again"),
        folder._alone(),
    ):
        pass
    with folder._alone():
        pass


@pytest.mark.parametrize(("count", "fine"), [(0, False), (1, True), (10, True), (11, False)])
def test_a_report_is_of_one_to_ten_recordings(count: int, fine: bool, tmp_path: Path) -> None:
    with pytest.raises(
        Exception, match="there is no recording" if fine else "one to ten recordings; choose fewer"
    ):
        SharedFolder(str(tmp_path)).report(["x.csv"] * count)


def test_recordings_are_listed_newest_first(tmp_path: Path) -> None:
    for number, name in enumerate(("b.csv", "c.jsonl", "a.parquet", "d.txt", "e?.csv")):
        (tmp_path / name).write_bytes(b"x" * number)
        os.utime(tmp_path / name, (1000 + number, 1000 + number))
    listed = SharedFolder(str(tmp_path)).recordings()
    assert [tuple(file) for file in listed] == [
        ("a.parquet", 2, 1002.0), ("c.jsonl", 1, 1001.0), ("b.csv", 0, 1000.0),
    ]  # fmt: skip
    assert SharedFolder(str(tmp_path / "nothing")).recordings() == []


# Pushing ----------------------------------------------------------------------------------------------------


def test_a_note_of_what_was_pushed_that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("fsspec", reason="fsspec is not installed here: make test-lake")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed here")
    from energymeter.serve.push import STATE, LakePusher

    (tmp_path / STATE).mkdir()
    pusher = LakePusher(RecordFolder(str(tmp_path), 10_000_000, 0), str(tmp_path / "lake"))
    pusher._write_state()
    pusher._write_state()
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == f"{tmp_path / STATE} cannot be written (what is there is no regular file); free some space"


def test_a_recording_that_goes_while_it_is_pushed_may_yet_get_there(tmp_path: Path) -> None:
    pytest.importorskip("fsspec", reason="fsspec is not installed here: make test-lake")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed here")
    from energymeter.serve.push import LakePusher

    pusher = LakePusher(RecordFolder(str(tmp_path), 10_000_000, 0), str(tmp_path / "lake"))
    names = [f"{sign}_00000001_20261128T100000Z.csv" for sign in "abc"]
    pusher._done, pusher._at_hand = {names[0]}, names[1]
    for name, lost in zip(names, (0, 0, 1), strict=True):
        pusher._removed("".join([*name]))  # equal, and another text
        assert pusher.state().lost == lost
    assert pusher._done == set()
    pusher._let_go()
    assert pusher.state().lost == 2, "it was neither pushed nor is it there"
