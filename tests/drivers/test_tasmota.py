"""Tasmota plugs, against an emulated console and recorded replies."""

import socket
from typing import Any

import pytest
from devices.opened import open_for_test
from devices.plugs import TasmotaConsole
from devices.real_recordings import recorded
from devices.web import Said, Web

from energymeter.drivers.tasmota import Tasmota
from energymeter.errors import SourceError, SourceForbidden, SourceMissing, SpecError
from energymeter.testing import check_source, check_unplugged

FINE = {
    "Total": 49.766,
    "Power": 4.731,
    "ApparentPower": 20.1,
    "Factor": 0.24,
    "Voltage": 230.4,
    "Current": 0.087,
}
COARSE = {"Total": 49.766, "Power": 5, "Voltage": 230, "Current": 0.087}
TWO = {"Total": [1.5, 2.25], "Power": [10, 32], "Voltage": 229, "Current": [0.1, 0.2]}


def opened(web: Web, **options: Any) -> Tasmota:
    source = Tasmota(web.address, **options)
    open_for_test(source)
    return source


def test_conforms() -> None:
    with Web(TasmotaConsole(FINE)) as web:
        readings = check_source(lambda: Tasmota(web.address))
    assert readings[0][:5] == (230.4, 0.087, 4.731, None, None)


@pytest.mark.parametrize("entry", range(4))
def test_recorded_replies(entry: int) -> None:
    said = recorded("wire/tasmota_status8.json")[entry]["reply"]
    energy = said.get("StatusSNS", said)["ENERGY"]
    with Web(TasmotaConsole(energy)) as web:
        source = opened(web)
        reading = source.read()
        assert (reading.watts, reading.volts, reading.amps) == (
            energy["Power"],
            energy["Voltage"],
            energy["Current"],
        )
        assert source.counters().joules == pytest.approx(energy["Total"] * 3.6e6)
        assert "reports whole watts" in source.notes[0]


def test_the_resolution_in_use_is_in_the_facts() -> None:
    with Web(TasmotaConsole(FINE)) as web:
        fine = opened(web)
    with Web(TasmotaConsole(COARSE)) as web:
        coarse = opened(web)
    assert fine.facts.watts is not None
    assert coarse.facts.watts is not None
    assert (fine.facts.watts.resolution, fine.notes) == (0.001, [])
    assert coarse.facts.watts.resolution == 1.0
    assert "PowerRes 3" in coarse.notes[0]
    assert coarse.identity == "5C:CF:7F:00:00:01"


@pytest.mark.parametrize(
    ("channel", "watts", "amps", "kwh"), [(0, 42.0, 0.3, 3.75), (1, 10.0, 0.1, 1.5), (2, 32.0, 0.2, 2.25)]
)
def test_channels(channel: int, watts: float, amps: float, kwh: float) -> None:
    with Web(TasmotaConsole(TWO)) as web:
        source = opened(web, channel=channel)
        reading = source.read()
        assert (reading.watts, reading.volts) == (watts, 229)
        assert reading.amps == pytest.approx(amps)
        assert source.counters().joules == pytest.approx(kwh * 3.6e6)


def test_what_a_device_reports_only_as_a_sum_is_not_a_channels() -> None:
    # tele/SENSOR of a Shelly 2.5, arendst/Tasmota issue 6160
    shelly25 = {"Total": 3.262, "Power": [23.63, 67.17], "Voltage": 229.3, "Current": [0.103, 0.293]}
    with Web(TasmotaConsole(shelly25)) as web:
        whole, second = opened(web), opened(web, channel=2)
        assert whole.read().watts == pytest.approx(90.8)
        assert second.read()[:3] == (229.3, 0.293, 67.17)
        assert whole.counters().joules == pytest.approx(3.262 * 3.6e6)
        assert second.counters().joules is None


@pytest.mark.parametrize(
    ("total", "power", "kwh"),
    [
        ([0.74, 0.74, 0.0], 61, 0.74),  # all, first and second tariff: arendst/Tasmota issue 8972
        ([0.0, 0.0, 0.0], 61, 0.0),
        ([0.9, 0.5, 0.4], 61, 0.9),
        ([0.5, 0.4], 61, 0.9),  # two tariffs and no total
        ([1.5, 2.25, 0.5], [10, 32, 5], 4.25),  # three phases
        ([1.5, 1.0, 0.5], [10, 32, 5], None),  # three phases, or a total and its tariffs
        ([1.5, 1.0, 0.5], [10, 32], 1.5),
        ([1.0, 0.4], [10, 32, 5], None),  # two values of three phases
        (0.74, 61, 0.74),
    ],
)
def test_a_list_is_not_always_one_value_a_channel(total: object, power: object, kwh: float | None) -> None:
    with Web(TasmotaConsole({"Total": total, "Power": power, "Voltage": 229, "Current": 0.3})) as web:
        joules = opened(web).counters().joules
    assert joules == (None if kwh is None else pytest.approx(kwh * 3.6e6))


def test_the_counter_is_that_of_the_last_answer() -> None:
    with Web(TasmotaConsole(FINE)) as web:
        source = opened(web)
    assert source.counters().joules == pytest.approx(49.766 * 3.6e6), "of a plug that is gone meanwhile"


def test_a_plug_of_one_channel_has_no_second() -> None:
    with Web(TasmotaConsole(FINE)) as web:
        assert opened(web, channel=1).read().watts == 4.731
        assert opened(web, channel=1).counters().joules == pytest.approx(49.766 * 3.6e6)
        with pytest.raises(SourceMissing, match="channel=1 to 1"):
            opened(web, channel=2)


def test_phases_with_a_voltage_each() -> None:
    with Web(
        TasmotaConsole({"Power": [1, 2, 3], "Voltage": [230, 231, 235], "Current": [0.1, None, 0.1]})
    ) as web:
        reading = opened(web).read()
    assert reading[:3] == (232.0, None, 6.0)


def test_no_such_channel() -> None:
    with Web(TasmotaConsole(TWO)) as web, pytest.raises(SourceMissing, match="has 2 channels"):
        opened(web, channel=3)


@pytest.mark.parametrize("knows", ["8", "10"])
def test_either_status_command_will_do(knows: str) -> None:
    with Web(TasmotaConsole(FINE, knows=(knows,))) as web:
        source = opened(web)
        before = len(web.requests)
        source.read()
        assert len(web.requests) == before + 1, "once learnt, one request a reading"


@pytest.mark.parametrize("old", [True, False])
def test_password(old: bool) -> None:
    with Web(TasmotaConsole(FINE, password="a&b=c ü", old=old)) as web:
        assert opened(web, password="a&b=c ü").read().watts == 4.731
        for options in ({}, {"password": "gue55"}):
            with pytest.raises(SourceForbidden) as caught:
                opened(web, **options)
            assert "gue55" not in repr(caught.value)


def test_no_energy_sensor() -> None:
    with Web(TasmotaConsole(None)) as web, pytest.raises(SourceMissing, match="no energy sensor"):
        opened(web)


@pytest.mark.parametrize(
    "energy", [{"Total": 1.0}, {"Power": None}, {"Power": [1, None]}, {"Power": "x"}, {"Power": []}]
)
def test_energy_without_power(energy: dict[str, Any]) -> None:
    with Web(TasmotaConsole(energy)) as web, pytest.raises(SourceError, match="gives no Power"):
        opened(web)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (Said(404, "nope"), SourceMissing),
        (Said(200, "[]"), SourceError),
        (Said(500, "{}"), SourceError),
        (Said(200, '{"Command": "Error"}'), SourceMissing),
    ],
)
def test_other_devices(said: Said, kind: type[SourceError]) -> None:
    with Web(lambda target, headers: said) as web, pytest.raises(kind):
        opened(web)


def test_unplugged_and_back_mid_run() -> None:
    with Web(TasmotaConsole(FINE)) as web:
        source = opened(web)
        web.vanish()
        with pytest.raises(SourceMissing):
            source.read()
        web.start()
        assert source.read().watts == 4.731


def test_an_address_is_needed() -> None:
    with pytest.raises(SpecError, match="no network address"):
        Tasmota()


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    check_unplugged(lambda: Tasmota(f"127.0.0.1:{port}"))


def test_options_that_make_no_sense() -> None:
    with pytest.raises(SpecError):
        Tasmota("10.0.0.5", channel=-1)
