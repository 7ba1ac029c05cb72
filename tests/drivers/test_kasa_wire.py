"""What a Kasa plug is asked over a connection in memory, and what each odd answer leads to."""

import asyncio
import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from devices.python_kasa import FakePackage, installed, newer

from energymeter.drivers.kasa import Kasa
from energymeter.drivers.protocols import kasa_lib
from energymeter.drivers.protocols.kasa_tcp import OldKasa
from energymeter.errors import SourceError, SourceForbidden, SourceMissing, SourceTimeout

SYSINFO = {"system": {"get_sysinfo": {}}}
REALTIME = {"emeter": {"get_realtime": {}}}


def scrambled(plain: bytes) -> bytes:
    """Each byte is XORed with the one before it as it was sent, the first with 171 (autokey)."""
    sent, before = bytearray(), 171
    for byte in plain:
        before ^= byte
        sent.append(before)
    return bytes(sent)


def reply(answer: object) -> bytes:
    body = scrambled(json.dumps(answer).encode())
    return struct.pack(">I", len(body)) + body


class Plug:
    """A connection to a plug that answers in turn; an empty answer hangs up."""

    def __init__(self, *answers: bytes, chunk: int = 7) -> None:
        self.answers, self.chunk, self.waiting = list(answers), chunk, b""
        self.asked: list[Any] = []
        self.connections: list[tuple[str, int, bool]] = []
        self.closed = 0
        self.limits: list[float] = []

    def connect(self, host: str, port: int, deadline: float) -> "Plug":
        self.connections.append((host, port, deadline > 0))
        self.waiting = b""
        return self

    def settimeout(self, seconds: float) -> None:
        self.limits.append(seconds)

    def sendall(self, data: bytes) -> None:
        (size,) = struct.unpack(">I", data[:4])
        assert len(data) == 4 + size
        plain, before = bytearray(), 171
        for byte in data[4:]:
            plain.append(byte ^ before)
            before = byte
        self.asked.append(json.loads(plain))
        self.waiting = self.answers.pop(0)

    def recv(self, size: int) -> bytes:
        take = min(size, self.chunk)
        found, self.waiting = self.waiting[:take], self.waiting[take:]
        return found

    def close(self) -> None:
        self.closed += 1


Wired = Callable[..., OldKasa]


@pytest.fixture
def wired(monkeypatch: pytest.MonkeyPatch) -> Wired:
    def make(plug: Plug, outlet: int = -1, timeout: float = 1.5) -> OldKasa:
        monkeypatch.setattr("energymeter.drivers.protocols.kasa_tcp.connect", plug.connect)
        return OldKasa("plug.lan", 9999, name="kasa@plug.lan", outlet=outlet, timeout=timeout)

    return make


def sysinfo(**said: object) -> bytes:
    return reply({"system": {"get_sysinfo": said}})


@pytest.mark.parametrize(
    ("said", "identity"),
    [
        ({"deviceId": "8006", "mac": "AA", "mic_mac": "BB"}, "8006"),
        ({"deviceId": "", "mac": "AA", "mic_mac": "BB"}, "AA"),
        ({"mic_mac": "BB"}, "BB"),
        ({"deviceId": "a\x1b"}, "a\\x1b"),
        ({}, ""),
    ],
)
def test_who_a_plug_is(wired: Wired, said: dict[str, object], identity: str) -> None:
    plug = Plug(sysinfo(**said), reply({"emeter": {"get_realtime": {"power_mw": 5, "err_code": 0}}}))
    kasa = wired(plug)
    kasa.open()
    assert kasa.identity == identity
    assert kasa.now() == {"power_mw": 5, "err_code": 0}
    assert plug.asked == [SYSINFO, REALTIME]
    assert plug.connections == [("plug.lan", 9999, True)], "one connection for both"
    kasa.close()
    kasa.close()
    assert plug.closed == 1


@pytest.mark.parametrize("odd", [{}, {"system": 5}, {"system": {"get_sysinfo": [1]}}, {"system": {}}])
def test_a_plug_that_does_not_say_who_it_is(wired: Wired, odd: dict[str, object]) -> None:
    kasa = wired(Plug(reply(odd)))
    kasa.open()
    assert kasa.identity == ""


@pytest.mark.parametrize(("outlet", "child"), [(0, "800600"), (1, "800601"), (2, "80060002"), (3, "8006")])
def test_an_outlet_is_named_in_each_question(wired: Wired, outlet: int, child: str) -> None:
    """Some firmwares number the outlets, and the device's own number comes before that."""
    children = [{"id": "00"}, {"id": "01"}, {"id": "80060002"}, {}, "odd"]
    plug = Plug(
        sysinfo(deviceId="8006", children=children), reply({"emeter": {"get_realtime": {"power": 1}}})
    )
    kasa = wired(plug, outlet)
    kasa.open()
    assert kasa.identity == child
    kasa.now()
    assert plug.asked[1] == {"context": {"child_ids": [child]}, **REALTIME}


@pytest.mark.parametrize(
    ("children", "count"), [([{"id": "00"}, {"id": "01"}], 2), ([], 0), ("odd", 0), (None, 0)]
)
def test_an_outlet_that_is_not_there(wired: Wired, children: object, count: int) -> None:
    with pytest.raises(
        SourceMissing,
        match=rf"^kasa@plug.lan has {count} outlets, counted from 0; correct outlet= or leave it out$",
    ):
        wired(Plug(sysinfo(children=children)), count).open()


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (
            {"emeter": {"err_msg": "module not support"}},
            SourceMissing,
            "has no energy meter (module not support)",
        ),
        ({"emeter": {"err_msg": "x" * 90}}, SourceMissing, f"has no energy meter ({'x' * 80}); use a model"),
        (
            {"emeter": {}},
            SourceMissing,
            "has no energy meter ({}); use a model that has one (an HS100 or a bulb",
        ),
        ({"emeter": 5}, SourceMissing, "has no energy meter (nothing); use"),
        ({}, SourceMissing, "has no energy meter (nothing); use"),
        (
            {"emeter": {"get_realtime": {"err_code": -3, "err_msg": "y" * 90}}},
            SourceError,
            f"refuses (-3: {'y' * 80}); a strip wants outlet=",
        ),
        (
            {"emeter": {"get_realtime": {"err_code": 1}}},
            SourceError,
            "refuses (1: no message); a strip wants",
        ),
    ],
)
def test_a_plug_that_measures_nothing(
    wired: Wired, answer: dict[str, object], kind: type[SourceError], said: str
) -> None:
    with pytest.raises(SourceError) as caught:
        wired(Plug(reply(answer))).now()
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"kasa@plug.lan {said}")


def test_a_kept_connection_that_was_closed_is_made_again_once(wired: Wired) -> None:
    good = reply({"emeter": {"get_realtime": {"power": 1}}})
    plug = Plug(good, b"", good, b"", b"")
    kasa = wired(plug)
    kasa.now()
    assert kasa.now() == {"power": 1}
    assert (len(plug.connections), plug.closed) == (2, 1)
    with pytest.raises(SourceError, match="the connection was lost"):
        kasa.now()
    assert (len(plug.connections), plug.closed) == (3, 3)
    fresh = Plug(b"", good)
    with pytest.raises(SourceError, match=r"the connection was lost \(closed by the plug\)"):
        wired(fresh).now()
    assert len(fresh.connections) == 1, "a new one was not closed behind our back"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (
            struct.pack(">I", (1 << 20) + 1),
            "does not speak the old Kasa protocol; newer plugs need exec, see its",
        ),
        (
            struct.pack(">I", 1) + scrambled(b"{"),
            "answers no JSON; newer plugs speak another protocol, see exec",
        ),
        (struct.pack(">I", 2) + scrambled(b"[]"), "answers no JSON object; is it a Kasa plug?"),
    ],
)
def test_something_else_than_a_plug(wired: Wired, raw: bytes, said: str) -> None:
    with pytest.raises(SourceError) as caught:
        wired(Plug(raw)).now()
    assert str(caught.value).startswith(f"kasa@plug.lan {said}")


def test_a_plug_that_drips_is_too_slow(wired: Wired, monkeypatch: pytest.MonkeyPatch) -> None:
    now: Iterator[float] = iter(n * 0.5 for n in range(100))
    plug = Plug(reply({"emeter": {"get_realtime": {"power": 1}}}), chunk=1)
    kasa = wired(plug, timeout=1.5)
    monkeypatch.setattr("energymeter.drivers.protocols.kasa_tcp.time.monotonic", lambda: next(now))
    with pytest.raises(
        SourceTimeout, match=r"^kasa@plug.lan is too slow: no answer within 1.5 s; increase timeout=$"
    ):
        kasa.now()
    assert plug.limits == [1.5, 1.0, 0.5]
    assert plug.closed == 1


# Newer plugs


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> FakePackage:
    return installed(monkeypatch)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "other"}, "refuses the log-in; give the account of its app"),
        ({"there": False}, "no Kasa or Tapo plug answers there; check the address"),
        ({"meters": False}, "has no energy meter; use a model that has one"),
        ({"fails": "TimeoutError"}, "does not answer; check that it has power and is on this network"),
        ({"fails": "KasaException"}, "cannot be read (KasaException); check address and log-in"),
    ],
)
def test_what_a_newer_plug_refuses_is_said(package: FakePackage, change: dict[str, Any], said: str) -> None:
    for name, value in change.items():
        setattr(package, name, value)
    with pytest.raises(SourceError) as caught:
        newer().open()
    assert str(caught.value).removeprefix("kasa@10.0.0.5").lstrip(": ") == said


@pytest.mark.parametrize("outlet", [1, 2])
def test_outlets_of_a_newer_strip_count_from_0(package: FakePackage, outlet: int) -> None:
    with pytest.raises(
        SourceMissing,
        match=rf"^kasa@10.0.0.5\?outlet={outlet} has 1 outlets, counted from 0; correct outlet=$",
    ):
        newer(outlet=outlet).open()


def test_finding_a_newer_plug_may_take_ten_seconds(
    package: FakePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    wait_for = asyncio.wait_for

    def waited(work: Any, seconds: float) -> Any:
        waits.append(seconds)
        return wait_for(work, seconds)

    monkeypatch.setattr(kasa_lib.asyncio, "wait_for", waited)
    source = newer(timeout=0.75)
    source.open()
    source.close()
    assert waits == [10.0, 10.0, 0.75, 0.75], "find, learn, read, hang up"


def test_a_newer_plug_that_is_gone_is_let_go(package: FakePackage, monkeypatch: pytest.MonkeyPatch) -> None:
    loops: list[asyncio.AbstractEventLoop] = []
    made = asyncio.new_event_loop

    def make() -> asyncio.AbstractEventLoop:
        loops.append(made())
        return loops[-1]

    monkeypatch.setattr(kasa_lib.asyncio, "new_event_loop", make)
    source = newer()
    source.open()

    async def unplugged(device: Any) -> None:
        raise package.TimeoutError("gone")

    monkeypatch.setattr("devices.python_kasa.FakeDevice.disconnect", unplugged)
    source.close()
    source.close()
    assert [loop.is_closed() for loop in loops] == [True]
    with pytest.raises(SourceError, match="is not open"):
        source.read()


def test_without_a_user_nobody_logs_in(package: FakePackage) -> None:
    asked: list[dict[str, str]] = []

    async def discover(host: str, **login: str) -> None:
        asked.append(login)

    package.Discover.discover_single = discover
    with pytest.raises(SourceMissing):
        Kasa("10.0.0.5", backend="python-kasa", password="s3cret").open()
    with pytest.raises(SourceMissing):
        newer().open()
    assert asked == [{}, {"username": "me", "password": "s3cret"}]


def test_a_wrong_password_is_forbidden_and_not_repeated(package: FakePackage) -> None:
    package.password = "other"
    with pytest.raises(SourceForbidden) as caught:
        newer().open()
    assert "s3cret" not in str(caught.value)
