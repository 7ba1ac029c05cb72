"""What the driver asks an Otii application for, in which order and for how long, over a wire in memory."""

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from devices.otii import ARC, OtiiApp

from energymeter.drivers.otii import Otii
from energymeter.errors import SourceBusy, SourceError, SourceForbidden, SourceMissing, SourceTimeout
from energymeter.reading import Reading

HELLO = {"type": "information", "info": "connected"}


class Wire:
    """A connection to an emulated application; what it was asked, and how long each answer might take."""

    def __init__(self, app: OtiiApp, hello: object = HELLO, chunk: int = 65536) -> None:
        self.app, self.chunk = app, chunk
        self.waiting = json.dumps(hello).encode() + b"\r\n"
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.seconds: dict[str, float] = {}
        self.answers: dict[str, Any] = {}
        """What to answer to a command, instead of the application."""
        self.limit, self.closed = 0.0, 0

    def settimeout(self, seconds: float) -> None:
        self.limit = seconds

    def sendall(self, data: bytes) -> None:
        request = json.loads(data.removesuffix(b"\r\n"))
        assert data.endswith(b"\r\n")
        command = request["cmd"]
        self.asked.append((command, request["data"]))
        answer = self.app.answer(request)
        if command in self.answers:
            answer = {**answer, "type": "response", **self.answers[command]}
        self.waiting += json.dumps(answer).encode() + b"\r\n"

    def recv(self, size: int) -> bytes:
        assert size >= 4096
        if self.asked:
            self.seconds.setdefault(self.asked[-1][0], self.limit)
        found, self.waiting = self.waiting[: self.chunk], self.waiting[self.chunk :]
        return found

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def wired(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Otii, Wire]]:
    def make(
        app: OtiiApp | None = None, hello: object = HELLO, chunk: int = 65536, **options: Any
    ) -> tuple[Otii, Wire]:
        wire = Wire(app or OtiiApp(), hello, chunk)
        monkeypatch.setattr("energymeter.drivers.protocols.otii.connect", lambda host, port, deadline: wire)
        return Otii(**options), wire

    return make


Wired = Callable[..., tuple[Otii, Wire]]


def test_a_recording_is_started_in_this_order(wired: Wired) -> None:
    source, wire = wired()
    source.open()
    me = {"device_id": "Arc5002"}
    assert wire.asked == [
        ("otii_get_devices", {"timeout": 1}),
        ("otii_get_active_project", {}),
        ("project_get_last_recording", {"project_id": 1}),
        ("arc_add_to_project", me),
        ("arc_enable_channel", {**me, "channel": "mc", "enable": True}),
        ("project_start_recording", {"project_id": 1}),
        ("project_get_last_recording", {"project_id": 1}),
    ]
    wire.asked.clear()
    found = source.read()
    assert (found.joules, found.coulombs) == pytest.approx((0.37 * 0.5, 0.1 * 0.5))
    where = {"recording_id": 9, "device_id": "Arc5002", "channel": "mc"}
    assert wire.asked == [
        ("recording_get_channel_info", where),
        ("recording_get_channel_statistics", {**where, "from": 0.0, "to": 0.5}),
    ]
    wire.asked.clear()
    source.close()
    source.close()
    assert wire.asked == [("project_stop_recording", {"project_id": 1})]
    assert wire.closed == 1


@pytest.mark.parametrize(("running", "started"), [(True, 0), (False, 1)])
def test_the_last_recording_is_joined_only_while_it_runs(wired: Wired, running: bool, started: int) -> None:
    app = OtiiApp(recording=True)
    app.running = running
    source, wire = wired(app)
    source.open()
    asked = [command for command, _ in wire.asked]
    assert ("recording_is_running", {"recording_id": 7}) in wire.asked
    assert asked.count("project_start_recording") == started
    source.close()
    assert [command for command, _ in wire.asked].count("project_stop_recording") == started


@pytest.mark.parametrize("number", [0, 1])
def test_any_number_may_be_that_of_a_project_or_a_recording(wired: Wired, number: int) -> None:
    app = OtiiApp(recording=True)
    app.project = app.recording = number
    source, wire = wired(app)
    source.open()
    assert wire.asked[1:] == [
        ("otii_get_active_project", {}),
        ("project_get_last_recording", {"project_id": number}),
        ("recording_is_running", {"recording_id": number}),
    ]


@pytest.mark.parametrize("nothing", [{}, {"recording_id": -1}])
def test_a_recording_that_did_not_begin(wired: Wired, nothing: dict[str, int]) -> None:
    source, wire = wired()
    wire.answers["project_get_last_recording"] = {"data": nothing}
    with pytest.raises(SourceError, match=r"^otii started no recording; try it in the application$"):
        source.open()
    assert "recording_is_running" not in [command for command, _ in wire.asked]
    assert wire.asked[-1] == ("project_stop_recording", {"project_id": 1}), "what was begun is ended"
    assert wire.closed == 1


@pytest.mark.parametrize("nothing", [{}, {"project_id": -1}])
def test_a_project_is_made_where_none_is_open(wired: Wired, nothing: dict[str, int]) -> None:
    source, wire = wired(OtiiApp(project=False))
    wire.answers["otii_get_active_project"] = {"data": nothing}
    source.open()
    assert wire.asked[1:4] == [
        ("otii_get_active_project", {}),
        ("otii_create_project", {}),
        ("project_get_last_recording", {"project_id": 2}),
    ]


def test_what_takes_the_application_long_may_take_long(wired: Wired) -> None:
    """A log-in asks a server on the internet, and a device must be woken."""
    app = OtiiApp(logged_in=False)
    source, wire = wired(app, user="me", password="s3cret")
    source.open()
    source.read()
    usual = 1.8
    assert wire.seconds == {
        command: pytest.approx(usual + more, abs=0.2)
        for command, more in {
            "otii_login": 8.0,
            "otii_get_licenses": 0.0,
            "otii_reserve_license": 0.0,
            "otii_get_devices": 3.0,
            "otii_get_active_project": 0.0,
            "project_get_last_recording": 0.0,
            "arc_add_to_project": 8.0,
            "arc_enable_channel": 0.0,
            "project_start_recording": 0.0,
            "recording_get_channel_info": 0.0,
            "recording_get_channel_statistics": 0.0,
        }.items()
    }
    assert wire.asked[:3] == [
        ("otii_login", {"username": "me", "password": "s3cret"}),
        ("otii_get_licenses", {}),
        ("otii_reserve_license", {"license_id": 1234}),
    ]


@pytest.mark.parametrize(
    ("licence", "reserves"),
    [
        ({"type": "Automation", "available": False, "reserved_to": "me"}, []),
        ({"type": "Automation", "available": True, "reserved_to": "you"}, [5]),
        ({"type": "Automation", "available": False, "reserved_to": "you"}, None),
        ({"type": "Battery", "available": True, "reserved_to": "me"}, None),
        ({"type": "Automation"}, None),
    ],
)
def test_a_licence_that_is_ours_or_free(
    wired: Wired, licence: dict[str, Any], reserves: list[int] | None
) -> None:
    source, wire = wired(OtiiApp(), user="me", password="s3cret")
    wire.answers["otii_get_licenses"] = {"data": {"licenses": ["odd", {"id": 5, **licence}]}}
    wire.answers["otii_reserve_license"] = {"data": {}}
    wire.app.otii_reserve_license = lambda data: {}  # type: ignore[method-assign]
    if reserves is None:
        with pytest.raises(SourceForbidden, match="no Automation licence is free; free one that another"):
            source.open()
        assert wire.closed == 1
    else:
        source.open()
        reserved = [data["license_id"] for command, data in wire.asked if command == "otii_reserve_license"]
        assert reserved == reserves


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"from": 2.0, "to": 2.0}, "has recorded nothing yet; it is asked again with the next reading"),
        ({"from": 2.0, "to": 1.0}, "has recorded nothing yet"),
        ({"from": 2.0}, "has recorded nothing yet"),
        ({"to": 2.0}, "has recorded nothing yet"),
        ({}, "has recorded nothing yet"),
    ],
)
def test_a_recording_without_a_length_is_no_energy(wired: Wired, info: dict[str, float], said: str) -> None:
    source, wire = wired()
    source.open()
    wire.answers["recording_get_channel_info"] = {"data": info}
    with pytest.raises(SourceError, match=f"^otii {said}"):
        source.read()
    wire.answers["recording_get_channel_info"] = {"data": {"from": 2.0, "to": 3.5}}
    assert source.read().joules == pytest.approx(0.37 * 1.5)
    assert source.read() == Reading(fresh=False), "nothing was added"


def test_statistics_without_energy_or_without_charge(wired: Wired) -> None:
    source, wire = wired()
    source.open()
    wire.answers["recording_get_channel_statistics"] = {"data": {"charge": 1.0}}
    with pytest.raises(SourceError, match=r"gives no energy of the main current; Otii 3 or later is needed"):
        source.read()
    wire.answers["recording_get_channel_statistics"] = {"data": {"energy": 2.0}}
    found = source.read()
    assert (found.joules, found.coulombs, found.fresh) == (2.0, None, True)


@pytest.mark.parametrize("kind", ["Arc", "Ace", "Simulator"])
def test_meters_among_devices(wired: Wired, kind: str) -> None:
    source, _ = wired(OtiiApp((ARC, {"device_id": "x", "name": "Y", "type": kind})))
    if kind == "Simulator":
        source.open()
        assert source.identity == "Arc5002"
    else:
        with pytest.raises(
            SourceMissing,
            match=r"cannot tell which device is meant; connected: My Arc \(Arc5002\), Y \(x\); give device=$",
        ):
            source.open()


@pytest.mark.parametrize(
    ("hello", "kind", "said"),
    [
        ({"type": "information", "info": "other"}, SourceError, "something else than the Otii application"),
        ({"type": "error", "errorcode": "Connection denied"}, SourceForbidden, "switch the TCP server on"),
        ([1], SourceError, "answers no JSON; check that the Otii application listens there"),
    ],
)
def test_what_speaks_first(wired: Wired, hello: object, kind: type[SourceError], said: str) -> None:
    source, wire = wired(hello=hello)
    with pytest.raises(kind, match=said):
        source.open()
    assert wire.closed == 1


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (
            {"errorcode": "Not ready"},
            SourceBusy,
            "otii is not ready; wait until the application has finished",
        ),
        ({"errorcode": "Device not connected"}, SourceMissing, "otii: the device is not connected any more"),
        (
            {"errorcode": "Odd", "data": {"message": "m" * 300}},
            SourceError,
            f"otii: Odd {'m' * 200}; look at the Otii application",
        ),
        ({"errorcode": "Odd", "data": None}, SourceError, "otii: Odd; look at the Otii application"),
        ({"errorcode": "O" * 90}, SourceError, f"otii: {'O' * 80}; look at the Otii application"),
        ({}, SourceError, "otii: an unnamed error; look at"),
        (
            {"errorcode": "License could not be reserved"},
            SourceForbidden,
            "License could not be reserved; free an Automation licence that another computer holds",
        ),
    ],
)
def test_errors_of_the_application(
    wired: Wired, answer: dict[str, Any], kind: type[SourceError], said: str
) -> None:
    source, wire = wired()
    source.open()
    wire.answers["recording_get_channel_info"] = {"type": "error", "data": {}, **answer}
    with pytest.raises(SourceError, match=said) as caught:
        source.read()
    assert type(caught.value) is kind


def test_answers_in_pieces_and_among_news(wired: Wired) -> None:
    source, wire = wired(chunk=7)
    source.open()
    news = [{"type": "progress", "trans_id": "0"}, {"type": "response", "trans_id": "1"}]
    wire.waiting = b"".join(json.dumps(one).encode() + b"\r\n" for one in news)
    assert source.read().joules == pytest.approx(0.185)
    wire.waiting = json.dumps({"type": "error", "errorcode": "Not ready"}).encode() + b"\r\n"
    with pytest.raises(SourceBusy):
        source.read()  # it names no request: it is of this one


def test_an_application_that_hangs_up_or_sends_without_end(wired: Wired) -> None:
    source, wire = wired()
    source.open()
    wire.sendall = lambda data: None  # type: ignore[method-assign]
    with pytest.raises(SourceMissing, match="the Otii application hung up; start it again"):
        source.read()
    endless, wire = wired()
    endless.open()
    wire.sendall = lambda data: None  # type: ignore[method-assign]
    wire.recv = lambda size: b"x" * 65536  # type: ignore[method-assign]
    with pytest.raises(SourceMissing, match="hung up"):
        endless.read()
    silent, wire = wired()
    silent.open()

    def late(size: int) -> bytes:
        raise TimeoutError

    wire.recv = late  # type: ignore[method-assign]
    with pytest.raises(SourceTimeout, match=r"the Otii application does not answer; is it busy\?"):
        silent.read()


def test_a_connection_that_breaks(wired: Wired, monkeypatch: pytest.MonkeyPatch) -> None:
    source, wire = wired()
    source.open()

    def broken(*_: object) -> bytes:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(wire, "recv", broken)
    with pytest.raises(SourceError, match="the connection was lost"):
        source.read()
    monkeypatch.setattr(wire, "sendall", broken)
    with pytest.raises(SourceError, match="the connection was lost"):
        source.read()
    source.close()
    assert wire.closed == 1

    def unknown(*_: object) -> socket.socket:
        raise socket.gaierror(-2, "?")

    monkeypatch.setattr("energymeter.drivers.protocols.otii.connect", unknown)
    with pytest.raises(SourceMissing, match="no host of that name"):
        source.open()


def test_where_it_connects_to(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def connect(host: str, port: int, deadline: float) -> socket.socket:
        asked.append((host, port))
        raise ConnectionRefusedError

    monkeypatch.setattr("energymeter.drivers.protocols.otii.connect", connect)
    for address in ("", "lab", "lab:1906"):
        with pytest.raises(SourceMissing, match="does not listen; start it and switch its TCP server on"):
            Otii(address).open()
    assert asked == [("127.0.0.1", 1905), ("lab", 1905), ("lab", 1906)]


def test_before_it_is_open_it_has_nothing_to_say() -> None:
    source = Otii("lab")
    assert source.identity == ""
    with pytest.raises(SourceMissing, match="otii@lab is not open"):
        source.read()
