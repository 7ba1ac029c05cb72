"""Kasa plugs, against an emulated TCP server of the old protocol and recorded replies."""

import socket
import struct
import sys
from typing import Any

import pytest
from devices.opened import open_for_test
from devices.plugs import KasaPlug
from devices.python_kasa import FakePackage, installed, newer
from devices.real_recordings import recorded
from hypothesis import given
from hypothesis import strategies as st

from energymeter.drivers.kasa import Kasa
from energymeter.drivers.protocols.kasa_tcp import decipher, encipher
from energymeter.errors import (
    ExtraMissing,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    SpecError,
)
from energymeter.testing import check_source, check_unplugged

FIRST = {
    "get_realtime": {
        "current": 0.014937,
        "voltage": 231.067823,
        "power": 0.928511,
        "total": 55.139,
        "err_code": 0,
    }
}
SECOND = {
    "get_realtime": {
        "current_ma": 451,
        "voltage_mv": 230837,
        "power_mw": 61753,
        "total_wh": 16323,
        "err_code": 0,
    }
}


@pytest.mark.parametrize(
    ("said", "expected", "joules"),
    [
        (FIRST, (231.067823, 0.014937, 0.928511), 55.139 * 3.6e6),
        (SECOND, (230.837, 0.451, 61.753), 16323 * 3600),
    ],
)
def test_both_generations_conform(said: dict[str, Any], expected: tuple[float, ...], joules: float) -> None:
    with KasaPlug(said) as plug:
        readings = check_source(lambda: Kasa(plug.address))
        assert readings[0][:3] == pytest.approx(expected)
        source = Kasa(plug.address)
        open_for_test(source)
        assert source.counters().joules == pytest.approx(joules)
        assert source.identity == "8006AA"


def test_recorded_replies() -> None:
    replies = [x for x in recorded("wire/kasa_emeter_replies.json") if "emeter" in x["reply"]]
    assert len(replies) >= 12
    for entry in replies:
        now = entry["reply"]["emeter"]["get_realtime"]
        milli = "power_mw" in now
        expected = (
            now["voltage_mv"] / 1e3 if milli else now["voltage"],
            now["current_ma"] / 1e3 if milli else now["current"],
            now["power_mw"] / 1e3 if milli else now["power"],
        )
        with KasaPlug(entry["reply"]["emeter"]) as plug:
            source = Kasa(plug.address)
            open_for_test(source)
            assert source.read()[:3] == pytest.approx(expected), entry["device"]
            wh = now["total_wh"] if milli else now["total"] * 1e3
            assert source.counters().joules == pytest.approx(wh * 3600), entry["device"]
            source.close()


def test_an_outlet_of_a_strip() -> None:
    strip = {"8006AA00": FIRST, "8006AA01": SECOND}
    with KasaPlug(strip, children=("00", "01")) as plug:
        source = Kasa(plug.address, outlet=1)
        open_for_test(source)
        assert source.read().watts == pytest.approx(61.753)
        assert source.identity == "8006AA01"
        with pytest.raises(SourceMissing, match="has 2 outlets"):
            Kasa(plug.address, outlet=2).open()


def test_a_plug_that_hangs_up_after_each_answer() -> None:
    with KasaPlug(SECOND, idle_close=True) as plug:
        check_source(lambda: Kasa(plug.address))


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"err_code": -1, "err_msg": "module not support"}, "no energy meter .module not support"),
        ({"get_realtime": {"err_code": -3, "err_msg": "invalid argument"}}, "invalid argument"),
        ({"get_realtime": {"err_code": 0, "voltage_mv": 1}}, "gives no power"),
        ({"get_realtime": {"err_code": 0, "power_mw": "much"}}, "gives no power"),
    ],
)
def test_error_objects(said: dict[str, Any], match: str) -> None:
    with KasaPlug(said) as plug, pytest.raises(SourceError, match=match):
        Kasa(plug.address).open()


def test_without_sysinfo_there_is_no_identity_but_a_reading() -> None:
    with KasaPlug(SECOND, sysinfo=False) as plug:
        source = Kasa(plug.address)
        open_for_test(source)
        assert source.identity == ""


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "old Kasa protocol"),
        (struct.pack(">I", 4) + b"\x00\x01\x02\x03", "no JSON"),
        (struct.pack(">I", 2) + bytes([171 ^ ord("["), ord("[") ^ 171 ^ ord("]")]), "no JSON object"),
        (b"\x00\x00", "connection was lost"),
    ],
)
def test_something_else_answers(raw: bytes, match: str) -> None:
    with KasaPlug(SECOND, raw=raw) as plug, pytest.raises(SourceError, match=match):
        Kasa(plug.address).open()


def test_unplugged_and_back_mid_run() -> None:
    with KasaPlug(SECOND) as plug:
        source = Kasa(plug.address)
        open_for_test(source)
    with pytest.raises(SourceError):
        source.read()
    with plug:
        assert source.read().watts == pytest.approx(61.753)


def test_an_address_is_needed() -> None:
    with pytest.raises(SpecError, match="no network address"):
        Kasa()


def test_silence_and_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with pytest.raises(SourceTimeout):
            Kasa(f"127.0.0.1:{port}", timeout=0.05).open()
    check_unplugged(lambda: Kasa(f"127.0.0.1:{port}"))


@given(st.binary(max_size=200))
def test_the_cipher_is_its_own_inverse(plain: bytes) -> None:
    assert decipher(encipher(plain)) == plain


@pytest.mark.parametrize("options", [{"outlet": -2}, {"backend": "cloud"}, {"timeout": 0.0}])
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        Kasa("10.0.0.5", **options)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> FakePackage:
    return installed(monkeypatch)


def test_newer_plugs_through_python_kasa(package: FakePackage) -> None:
    readings = check_source(newer)
    assert readings[0][:3] == (121.215, 0.033, 1.003)
    source = newer()
    open_for_test(source)
    assert source.counters().joules == pytest.approx(0.971 * 3.6e6)
    assert source.identity == "8022F0"
    source.close()
    assert package.connected == 0


def test_a_newer_plug_without_voltage_and_total(package: FakePackage) -> None:
    package.energy.voltage = package.energy.current = package.energy.consumption_total = None
    source = newer()
    open_for_test(source)
    assert source.read()[:3] == (None, None, 1.003)
    assert source.counters().joules is None


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"password": "other"}, SourceForbidden),
        ({"there": False}, SourceMissing),
        ({"meters": False}, SourceMissing),
        ({"fails": "TimeoutError"}, SourceTimeout),
        ({"fails": "KasaException"}, SourceError),
    ],
)
def test_rejections_of_newer_plugs(
    package: FakePackage, change: dict[str, Any], kind: type[SourceError]
) -> None:
    for name, value in change.items():
        setattr(package, name, value)
    with pytest.raises(SourceError) as caught:
        newer().open()
    assert type(caught.value) is kind
    assert "s3cret" not in repr(caught.value)
    assert package.connected == 0


def test_outlets_of_a_newer_strip(package: FakePackage) -> None:
    with pytest.raises(SourceMissing, match="has 1 outlets"):
        newer(outlet=1).open()
    source = newer(outlet=0)
    open_for_test(source)
    assert source.identity == "8022F0-child"


def test_python_kasa_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kasa", None)
    with pytest.raises(ExtraMissing, match=r"edge-energymeter\[kasa\]"):
        newer().open()
