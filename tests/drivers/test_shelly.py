"""Shelly plugs, against an emulated RPC and recorded replies."""

import socket
from typing import Any

import pytest
from devices.opened import open_for_test
from devices.plugs import ShellyRpc
from devices.real_recordings import recorded
from devices.web import DigestLogin, Said, Web

from energymeter.drivers.shelly import Shelly
from energymeter.errors import SourceError, SourceForbidden, SourceMissing, SpecError
from energymeter.testing import check_source, check_unplugged

PLUG = {
    "id": 0,
    "source": "init",
    "output": True,
    "apower": 8.9,
    "voltage": 237.5,
    "current": 0.067,
    "aenergy": {"total": 6.532, "by_minute": [45.199, 47.141, 88.397], "minute_ts": 1626935779},
}
"""One second; ``apower`` over the product of the others is a power factor of 0.56."""


def test_conforms_and_reads_the_plugs_own_watts() -> None:
    with Web(ShellyRpc({"Switch:0": PLUG})) as web:
        readings = check_source(lambda: Shelly(web.address))
        assert readings[0][:5] == (237.5, 0.067, 8.9, None, None)
        assert Shelly.facts.place == "wall"
        assert Shelly.facts.max_hz == 1.0


def test_the_counter_and_the_identity() -> None:
    with Web(ShellyRpc({"Switch:0": PLUG})) as web:
        source = Shelly(web.address)
        open_for_test(source)
        assert source.counters().joules == pytest.approx(6.532 * 3600)
        assert source.identity == "shellyplusplugs-d4d4da000001"
        source.close()


def test_a_counter_with_an_answer_of_its_own_is_asked_for_once_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = ShellyRpc({"EM:0": {"id": 0, "total_act_power": 5.0}, "EMData:0": {"id": 0, "total_act": 1.0}})
    now = [1000.0]
    monkeypatch.setattr("energymeter.drivers.shelly.time.monotonic", lambda: now[0])
    with Web(device) as web:
        source = Shelly(web.address)
        open_for_test(source)
        assert source.counters().joules == pytest.approx(3600)
        device.status["EMData:0"] = {"id": 0, "total_act": 2.0}
        now[0] += 59
        assert source.counters().joules == pytest.approx(3600)
        now[0] += 1
        assert source.counters().joules == pytest.approx(7200)
        source.close()


@pytest.mark.parametrize("entry", range(3))
def test_recorded_replies(entry: int) -> None:
    said = recorded("wire/shelly_gen2_gen3_status.json")[entry]["reply"]
    with Web(ShellyRpc({"Switch:0": said})) as web:
        source = Shelly(web.address)
        open_for_test(source)
        reading, counters = source.read(), source.counters()
        source.close()
    assert (reading.watts, reading.volts, reading.amps) == (said["apower"], said["voltage"], said["current"])
    assert counters.joules == pytest.approx(said["aenergy"]["total"] * 3600)


def test_other_meters_of_the_family_are_found() -> None:
    """Values of the Pro 3EM fixture in home-assistant/core, tests/components/shelly/fixtures/pro_3em.json."""
    three_phases = {
        "id": 0,
        "a_act_power": 2166.2,
        "a_voltage": 227.0,
        "total_act_power": 2413.825,
        "total_aprt_power": 2525.779,
        "total_current": 11.116,
    }
    with Web(ShellyRpc({"EM:0": three_phases, "EMData:0": {"id": 0, "total_act": 5415414.19}})) as web:
        source = Shelly(web.address)
        open_for_test(source)
        assert source.read()[:3] == (None, 11.116, 2413.825)
        assert source.counters().joules == pytest.approx(5415414.19 * 3600)
    one_phase = {
        "id": 1,
        "current": 2.598,
        "voltage": 234.9,
        "act_power": 501.8,
        "aprt_power": 612.4,
        "pf": 0.84,
    }
    with Web(ShellyRpc({"EM1:1": one_phase})) as web:
        source = Shelly(web.address, id=1, component="EM1")
        open_for_test(source)
        assert source.read()[:3] == (234.9, 2.598, 501.8)


def test_a_switch_that_meters_nothing_next_to_a_meter() -> None:
    relay = {"id": 0, "output": False, "temperature": {"tC": 40.0}}
    clamp = {"id": 0, "current": 0.08, "voltage": 234.9, "act_power": 0, "aprt_power": 18.7}
    with Web(ShellyRpc({"Switch:0": relay, "EM1:0": clamp})) as web:
        source = Shelly(web.address)
        open_for_test(source)
        assert source.read().watts == 0.0
    with Web(ShellyRpc({"Switch:0": relay})) as web:
        with pytest.raises(SourceMissing, match="No handler for"):
            Shelly(web.address).open()
        with pytest.raises(SourceError, match="no power meter"):
            Shelly(web.address, component="switch").open()


def test_login_with_the_right_and_the_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUG_PASSWORD", "s3cret")
    guard = DigestLogin(ShellyRpc({"Switch:0": PLUG}), "s3cret", uses=3)
    with Web(guard) as web:
        check_source(lambda: Shelly(web.address, password_env="PLUG_PASSWORD"))
        assert set(guard.refused) == {"no answer", "stale"}
        source = Shelly(web.address, password="gue55")
        with pytest.raises(SourceForbidden, match="refuses the user name or password") as caught:
            open_for_test(source)
        with pytest.raises(SourceForbidden, match="asks for a password"):
            Shelly(web.address).open()
    assert "gue55" not in f"{caught.value!r}{source!r}{source.name}"


@pytest.mark.parametrize("error", ["power_meter_failure", "out_of_range:active_power"])
def test_a_total_that_lacks_a_phase_is_no_total(error: str) -> None:
    fine = {"id": 0, "a_act_power": 200.0, "b_act_power": 50.0, "total_act_power": 250.0}
    rpc = ShellyRpc({"EM:0": fine})
    with Web(rpc) as web:
        source = Shelly(web.address)
        open_for_test(source)
        assert source.read().watts == 250.0
        rpc.status["EM:0"] = {**fine, "a_act_power": None, "a_errors": [error], "total_act_power": 50.0}
        with pytest.raises(SourceError, match=error):
            source.read()
        rpc.status["EM:0"] = {**fine, "b_errors": ["out_of_range:voltage"]}
        assert source.read().watts == 250.0


@pytest.mark.parametrize(
    ("said", "kind", "match"),
    [
        ({**PLUG, "apower": None, "errors": ["power_meter_failure"]}, SourceError, "power_meter_failure"),
        ({**PLUG, "apower": "lots"}, SourceError, "no power meter"),
        ({"code": -103, "message": "Invalid argument 'id'!"}, SourceError, "Invalid argument"),
    ],
)
def test_replies_without_a_power(said: dict[str, Any], kind: type[SourceError], match: str) -> None:
    rpc = ShellyRpc({"Switch:0": PLUG})
    with Web(rpc) as web:
        source = Shelly(web.address)
        open_for_test(source)
        rpc.status["Switch:0"] = said
        with pytest.raises(kind, match=match):
            source.read()
        rpc.status["Switch:0"] = PLUG
        assert source.read().watts == 8.9


@pytest.mark.parametrize(
    ("said", "match"),
    [
        (Said(404, "Not Found"), "no Shelly of generation 2"),
        (Said(200, "[1, 2]"), "no JSON object"),
        (Said(200, "<html>"), "something else than JSON"),
        (Said(503, '{"code": -114, "message": "busy"}'), "busy"),
    ],
)
def test_other_devices(said: Said, match: str) -> None:
    with Web(lambda target, headers: said) as web, pytest.raises(SourceError, match=match):
        Shelly(web.address).open()


def test_no_such_channel() -> None:
    with Web(ShellyRpc({"Switch:0": PLUG})) as web, pytest.raises(SourceMissing, match="value 3 not found"):
        Shelly(web.address, id=3).open()


def test_unplugged_and_back_mid_run() -> None:
    with Web(ShellyRpc({"Switch:0": PLUG})) as web:
        source = Shelly(web.address)
        open_for_test(source)
        web.vanish()
        for _ in range(2):
            with pytest.raises(SourceMissing):
                source.read()
        web.start()
        assert source.read().watts == 8.9
        source.close()


def test_an_address_is_needed() -> None:
    with pytest.raises(SpecError, match="no network address"):
        Shelly()


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    check_unplugged(lambda: Shelly(f"127.0.0.1:{port}"))


@pytest.mark.parametrize("options", [{"id": -1}, {"component": "toaster"}, {"timeout": 0.0}])
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        Shelly("10.0.0.5", **options)


def test_what_a_device_says_cannot_move_the_cursor() -> None:
    """An id or an error text with an escape sequence is shown, and not obeyed, by the terminal."""
    rpc = ShellyRpc({"Switch:0": {"id": 0, "apower": 5.0}}, device="plug\x1b[2J")
    with Web(rpc) as web:
        source = Shelly(web.address)
        open_for_test(source)
        assert source.identity == "plug\\x1b[2J"
