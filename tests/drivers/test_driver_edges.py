"""Drivers one branch at a time: names, both ends of every option, and each check of a frame by itself."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from devices import nvml as emulated
from devices.atorch import report
from devices.fnirsi_ble import frame as ble
from devices.modbus import modbus_crc
from devices.plugs import ShellyRpc
from devices.web import Said, Web

from energymeter.clock import ManualClock
from energymeter.drivers import atorch, fnirsi_ble, pzem
from energymeter.drivers.adb import Adb
from energymeter.drivers.atorch import Atorch
from energymeter.drivers.battery import Battery
from energymeter.drivers.csv import Csv
from energymeter.drivers.exec import Exec
from energymeter.drivers.fnirsi import Fnirsi
from energymeter.drivers.fnirsi_ble import FnirsiBle
from energymeter.drivers.http import Http
from energymeter.drivers.hwmon import Hwmon
from energymeter.drivers.iio import Iio
from energymeter.drivers.jetson import Jetson
from energymeter.drivers.joulescope import Joulescope
from energymeter.drivers.jtop import Jtop
from energymeter.drivers.kasa import Kasa
from energymeter.drivers.km003c import Km003c
from energymeter.drivers.km003c_stream import Km003cStream
from energymeter.drivers.manual import Manual
from energymeter.drivers.model import Model
from energymeter.drivers.nvml import Nvml
from energymeter.drivers.otii import Otii
from energymeter.drivers.pmic import Pmic
from energymeter.drivers.ppk2 import Ppk2
from energymeter.drivers.protocols.gauge import gauge_facts
from energymeter.drivers.protocols.text_fields import Fields
from energymeter.drivers.pzem import Pzem
from energymeter.drivers.rapl import Rapl
from energymeter.drivers.replay import Replay
from energymeter.drivers.shelly import Shelly
from energymeter.drivers.sim import Sim
from energymeter.drivers.tasmota import Tasmota
from energymeter.drivers.tc66c import Tc66c
from energymeter.drivers.tegrastats import Tegrastats
from energymeter.drivers.termux import Termux
from energymeter.errors import (
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    SpecError,
)
from energymeter.reading import Band, Facts, Reading

# Names


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (lambda: Adb(), "adb"),
        (lambda: Adb("R5"), "adb@R5"),
        (lambda: Atorch("/dev/rfcomm1"), "atorch@/dev/rfcomm1"),
        (lambda: Battery(), "battery"),
        (lambda: Battery("BAT1"), "battery@BAT1"),
        (lambda: Csv("a/b.csv"), "csv@a/b.csv"),
        (lambda: Fnirsi(), "fnirsi"),
        (lambda: Fnirsi("SN58"), "fnirsi@SN58"),
        (lambda: FnirsiBle("AA:BB"), "fnirsi_ble@AA:BB"),
        (lambda: Http("http://me:pw@plug:81/x", unit="W"), "http@http://plug:81/x"),
        (lambda: Hwmon("ina219"), "hwmon@ina219"),
        (lambda: Iio(), "iio"),
        (lambda: Jetson(), "jetson"),
        (lambda: Jetson("VDD_IN"), "jetson@VDD_IN"),
        (lambda: Joulescope(), "joulescope"),
        (lambda: Joulescope("001234"), "joulescope@001234"),
        (lambda: Jtop(), "jtop"),
        (lambda: Kasa("plug"), "kasa@plug"),
        (lambda: Kasa("plug", outlet=0), "kasa@plug?outlet=0"),
        (lambda: Km003c(), "km003c"),
        (lambda: Km003c("usb"), "km003c@usb"),
        (lambda: Km003c("SN7"), "km003c@SN7"),
        (lambda: Km003cStream(), "km003c_stream"),
        (lambda: Km003cStream("SN7"), "km003c_stream@SN7"),
        (lambda: Model(), "model"),
        (lambda: Model("Pi 4"), "model@pi4"),
        (lambda: Nvml(), "nvml"),
        (lambda: Nvml("0"), "nvml@0"),
        (lambda: Otii(), "otii"),
        (lambda: Otii("lab:1905"), "otii@lab:1905"),
        (lambda: Pmic(), "pmic"),
        (lambda: Pmic(fit=True), "pmic+fit"),
        (lambda: Pmic("VDD_CORE"), "pmic@VDD_CORE"),
        (lambda: Ppk2("/dev/ttyACM1"), "ppk2@/dev/ttyACM1"),
        (lambda: Pzem("/dev/ttyUSB1"), "pzem@/dev/ttyUSB1"),
        (lambda: Rapl(), "rapl"),
        (lambda: Rapl("psys"), "rapl@psys"),
        (lambda: Replay("runs/a.csv"), "replay@a.csv"),
        (lambda: Shelly("plug"), "shelly@plug"),
        (lambda: Shelly("plug", id=1), "shelly@plug?id=1"),
        (lambda: Tasmota("plug"), "tasmota@plug"),
        (lambda: Tasmota("plug", channel=2), "tasmota@plug?channel=2"),
        (lambda: Tc66c("/dev/ttyACM2"), "tc66c@/dev/ttyACM2"),
        (lambda: Tegrastats(), "tegrastats"),
        (lambda: Tegrastats("t.log"), "tegrastats@t.log"),
        (lambda: Termux(), "termux"),
        (lambda: Termux("x"), "termux@x"),
    ],
)
def test_a_source_is_named_by_its_driver_and_address(source: Callable[[], Any], name: str) -> None:
    assert source().name == name


# Options


@pytest.mark.parametrize(
    ("source", "fine", "wrong", "remedy"),
    [
        (lambda x: Kasa("plug", outlet=x), (-1, 0), (-2,), "outlet counts from 0"),
        (lambda x: Kasa("plug", timeout=x), (0.1,), (0.0,), "timeout is above 0"),
        (lambda x: Kasa("plug", backend=x), ("tcp", "python-kasa"), ("udp",), "backend is tcp or"),
        (lambda x: Ppk2(source=True, volts=x), (0.8, 5.0), (0.79, 5.01), "gives 0.8 to 5.0 V"),
        (lambda x: Ppk2(volts=x), (0.0, 0.1, 5.5), (-0.1, 5.51), "up to 5.5 V"),
        (lambda x: Ppk2().tune(x), (0.1, 10_000.0), (0.0, 10_001.0), "at most 10000 readings a second"),
        (lambda x: Pzem(address=x), (1, 248), (0, 249), "must lie between 1 and 248"),
        (lambda x: Pzem(model=x), ("016", "PZEM-017"), ("15",), r"use 004t, .* \(mains\) or .* \(DC\)"),
        (lambda x: Shelly("plug", id=x), (0, 3), (-1,), "give id from 0"),
        (lambda x: Shelly("plug", component=x), ("", "EM", "em1"), ("em2",), "component switch, pm1"),
        (lambda x: Tasmota("plug", channel=x), (0, 1), (-1,), "give channel from 1, or 0 for all"),
        (lambda x: Tegrastats(interval=x), (0.0, 0.1, 60.0), (0.09, 60.1, -1.0), "every 0.1 to 60 s"),
        (lambda x: Km003cStream().tune(x), (0.1, 1000.0), (0.0, 1000.5), "up to 1000 samples a second"),
        (lambda x: Jtop(interval=x), (0.0, 0.2), (0.19, -1.0), "give a longer one"),
        (lambda x: Jtop(x), ("",), ("1",), "so leave it out"),
        (lambda x: Sim(volts=x), (0.0, 26.0), (-0.1, 26.1), "0 to 26 V"),
        (lambda x: Sim(noise=x), (0.0, 0.1), (-0.1,), "0 A or more"),
        (lambda x: Otii(timeout=x), (0.1,), (0.0,), "timeout is above 0"),
        (lambda x: Http("http://plug/", unit="W", timeout=x), (0.1,), (0.0,), "a timeout above 0"),
        (lambda x: Nvml(by=x), ("", "usage", "average"), ("power",), "none of energy, instant, average"),
        (lambda x: Rapl(backend=x), ("powercap", "perf"), ("msr",), "neither powercap nor perf"),
        (lambda x: Pmic(x, fit=True), ("",), ("VDD_CORE",), "leave the rail out"),
        (lambda x: Battery(by=x), ("gauge", "power"), ("",), "neither gauge nor power"),
        (lambda x: Csv("p.csv", delimiter=x), ("", ";"), (";;",), "a delimiter of one character"),
        (lambda x: Csv(x), ("p.csv",), ("",), "give a file"),
        (lambda x: Csv("t.log", format=x, watts="a"), ("csv", "tegrastats"), ("xls",), "csv or tegrastats"),
        (
            lambda x: Csv("t.log", format="tegrastats", **x),
            ({"watts": "A"}, {"watts": "A", "unit": "mW"}),
            ({}, {"watts": "A", "time": "t"}, {"watts": "A", "amps": "B"}, {"watts": "A", "unit": "W"}),
            "give the rail alone, as in watts=VDD_IN",
        ),
        (lambda x: Csv("p.csv", time_unit=x), ("", "ms"), ("watt",), "no unit of seconds"),
        (lambda x: Replay("a.csv", speed=x), ("true", "max"), ("2",), "speed is true or max"),
        (lambda x: Replay("a.csv", semantics=x), (None, "mean", "instant"), ("counter",), "instant or mean"),
        (lambda x: Replay(x), ("a",), ("",), "replay needs a file"),
        (lambda x: FnirsiBle(x), ("AA",), ("",), "needs the meter's address"),
        (lambda x: Fnirsi(model=x), ("", "c1"), ("c2",), "fnb48, c1, fnb48s, fnb58, or leave it out"),
        (lambda x: Joulescope(x), ("u/js220/1", "JS110/2-a", "7"), ("js22/1", "a/b/c"), "give model and"),
        (
            lambda x: Fields({"watts": "p"}, {"watts": "W"}).facts(
                accuracy=x, place="rail", hz=1.0, max_hz=1.0
            ),
            (0.0, 0.99, float("nan")),
            (-0.01, 1.0, float("inf")),
            "give it relative, as 0.02 for ±2 %",
        ),
    ],
)
def test_both_ends_of_an_option(
    source: Callable[[Any], object], fine: tuple[Any, ...], wrong: tuple[Any, ...], remedy: str
) -> None:
    for value in fine:
        source(value)
    for value in wrong:
        with pytest.raises(SpecError, match=remedy):
            source(value)


@pytest.mark.parametrize(("rate_hz", "index"), [(0.5, 0), (2.0, 0), (2.1, 1), (10.0, 1), (50.0, 2), (51, 3)])
def test_a_stream_is_at_least_as_fast_as_it_is_asked(rate_hz: float, index: int) -> None:
    source = Km003cStream()
    source.tune(rate_hz)
    assert source._rate == index


@pytest.mark.parametrize(
    ("driver", "rate_hz", "interval"),
    [
        (Tegrastats, 4.0, 0.25),
        (Tegrastats, 100.0, 0.1),
        (Tegrastats, 0.001, 60.0),
        (Jtop, 4.0, 0.25),
        (Jtop, 100.0, 0.2),
    ],
)
def test_an_interval_follows_the_rate_unless_it_is_given(
    driver: Any, rate_hz: float, interval: float
) -> None:
    source, given = driver(), driver(interval=0.7)
    assert source._interval == 0.5
    for one in (source, given):
        one.tune(rate_hz)
    assert (source._interval, given._interval) == (interval, 0.7)


@pytest.mark.parametrize(("rate_hz", "hz"), [(1.0, 2.0), (2.5, 2.5), (100.0, 100.0), (101.0, 100.0)])
def test_a_joulescope_sends_2_to_100_times_a_second(rate_hz: float, hz: float) -> None:
    source = Joulescope()
    source.tune(rate_hz)
    assert source._hz == hz


@pytest.mark.parametrize(("rate_hz", "samples"), [(10_000.0, 10), (1000.0, 100), (0.5, 200_000)])
def test_a_ppk2_averages_over_the_period(rate_hz: float, samples: int) -> None:
    source = Ppk2()
    assert source._per_bin == 1000
    source.tune(rate_hz)
    assert source._per_bin == samples


def test_a_manual_figure_is_as_fine_as_it_was_written() -> None:
    for address, watts, step in (("-1.25kW", -1250.0, 10.0), ("3mW", 0.003, 0.001), ("5. W", 5.0, 1.0)):
        source = Manual(address)
        source.open()
        assert source.read() == Reading(watts=pytest.approx(watts))
        assert source.facts.watts == Band(resolution=pytest.approx(step))
    with pytest.raises(SourceMissing, match="not open"):
        Manual("5W").read()


# Addresses of the network


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("http://plug", "plug", 80, "/"),
        ("https://plug/a?b=1", "plug", 443, "/a?b=1"),
        ("http://plug:8080/a", "plug", 8080, "/a"),
        ("https://plug:80/?", "plug", 80, "/"),
    ],
)
def test_where_a_url_leads(url: str, host: str, port: int, target: str) -> None:
    source = Http(url, unit="W")
    client = source._client
    assert (client._host, client._port, source._target) == (host, port, target)
    assert client._tls is url.startswith("https")


def test_options_of_a_login_win_over_the_url() -> None:
    source = Http("http://a%20b:c%2Fd@plug/", unit="W")
    assert (source._client._user, source._client._given) == ("a b", ("c/d", ""))
    source = Http("http://a:b@plug/", unit="W", user="x", password="y", password_env="Z")
    assert (source._client._user, source._client._given) == ("x", ("y", "Z"))


def test_a_status_that_is_no_success_closes_what_was_opened() -> None:
    with Web(lambda *_: Said(202, "5")) as web:
        source = Http(f"http://{web.address}/", unit="W")
        with pytest.raises(SourceError, match="answers with HTTP status 202; check the URL"):
            source.open()
        with pytest.raises(SourceMissing, match="not open"):
            source.read()


# Shelly


@pytest.mark.parametrize(
    ("said", "kind", "remedy"),
    [
        (Said(404, "Not Found"), SourceMissing, "no RPC, so it is no Shelly of generation 2 or later; read"),
        (Said(404, ' {"code": 404, "message": "No handler"}'), SourceMissing, r"\(404: No handler\); check"),
        (Said(500, '{"code": -105, "message": "no such id"}'), SourceMissing, r"\(-105: no such id\)"),
        (Said(500, '{"code": -103, "message": "busy"}'), SourceError, r"refuses .*GetStatus \(-103: busy\)"),
        (Said(200, '{"code": -103}'), SourceError, r"\(-103: no message\); it is asked again"),
        (Said(500, "{}"), SourceError, r"\(500: no message\)"),
        (Said(200, "[]"), SourceError, "answers .*GetStatus with no JSON object; is it a Shelly"),
    ],
)
def test_what_a_shelly_refuses(said: Said, kind: type[SourceError], remedy: str) -> None:
    with Web(lambda *_: said) as web, pytest.raises(SourceError, match=remedy) as caught:
        Shelly(web.address, component="switch").open()
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ({"errors": ["power_meter_failure"], "total_act_power": 5.0}, "reports power_meter_failure; look at"),
        ({"c_errors": ["out_of_range:active_power"], "total_act_power": 5.0}, "reports out_of_range"),
        ({"a_errors": ["out_of_range:voltage"], "total_act_power": 5.0}, ""),
        ({"errors": "power_meter_failure", "total_act_power": 5.0}, ""),
        ({"total_act_power": None}, "gives no total_act_power, so this channel has no power meter"),
    ],
)
def test_a_total_that_lacks_a_phase_is_no_total(status: dict[str, object], remedy: str) -> None:
    with Web(ShellyRpc({"EM:0": {"id": 0, **status}})) as web:
        source = Shelly(web.address, component="em")
        if remedy:
            with pytest.raises(SourceError, match=remedy):
                source.open()
        else:
            source.open()
            assert source.read().watts == 5.0
        source.close()


# PZEM


def mains(*words: int) -> bytes:
    return closed(bytes([1, 4, 2 * len(words)]) + struct.pack(f">{len(words)}H", *words))


def closed(body: bytes) -> bytes:
    return body + modbus_crc(body).to_bytes(2, "little")


def test_the_words_of_a_mains_meter() -> None:
    frame = pzem.decode(mains(2301, 0x1170, 1, 0x0002, 3, 5, 4, 499, 98, 0))
    assert frame == pzem.Frame(
        volts=230.1,
        amps=pytest.approx(70.0),
        watts=pytest.approx((3 * 65536 + 2) / 10),
        joules=(4 * 65536 + 5) * 3600.0,
        hertz=49.9,
        power_factor=0.98,
    )


def test_the_words_of_a_dc_meter() -> None:
    frame = pzem.decode(mains(1234, 567, 2, 3, 5, 4, 0, 0), "017")
    assert frame == pzem.Frame(
        volts=12.34,
        amps=5.67,
        watts=pytest.approx((3 * 65536 + 2) / 10),
        joules=(4 * 65536 + 5) * 3600.0,
    )


@pytest.mark.parametrize(("code", "why"), [(1, "illegal function"), (4, "its own failure"), (9, "code 9")])
def test_an_exception_of_a_pzem_says_why(code: int, why: str) -> None:
    with pytest.raises(SourceError, match=rf"refused to be read \({why}\): check model="):
        pzem.decode(closed(bytes([1, 0x84, code])))


def test_an_answer_of_a_pzem_is_found_in_noise_and_only_whole() -> None:
    answer = mains(*range(10))
    assert pzem.pick(b"\x01\x04\x01\x84" + answer + b"\x00", 1, 10) == answer
    assert pzem.pick(answer[:-1], 1, 10) is None
    refused = closed(bytes([1, 0x84, 2]))
    assert pzem.pick(refused, 1, 10) == refused
    with pytest.raises(ValueError, match="Not a PZEM-004t answer"):
        pzem.decode(answer + b"\x00")


# Atorch


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({0: 0xFE}, "does not begin ff55"),
        ({1: 0x54}, "does not begin ff55"),
        ({2: 2}, "it is message 2 of device type 3"),
        ({3: 4}, "it is message 1 of device type 4"),
        ({35: 0}, "its checksum is wrong"),
    ],
)
def test_each_check_of_an_atorch_report(change: dict[int, int], fault: str) -> None:
    frame = bytearray(report(3, 507, 50, 1, 1, seconds=10))
    for at, byte in change.items():
        frame[at] = byte
    assert fault in (atorch.fault(bytes(frame)) or "")
    assert "36 bytes" in (atorch.fault(bytes(frame[:-1])) or "")


def test_only_reports_count_as_dropped() -> None:
    good = report(3, 507, 50, 1, 1, seconds=10)
    message = bytes([0xFF, 0x55, 2, *good[3:]])
    broken = bytearray(good)
    broken[5] ^= 1
    assert atorch.split(message + bytes(broken) + good) == ([good], b"", 1)


@pytest.mark.parametrize(
    ("received", "rest"),
    [(b"abc", b""), (b"abc\xff", b"\xff"), (b"\x55\xff\x55abc", b"\xff\x55abc"), (b"", b""), (b"\x55", b"")],
)
def test_what_may_still_become_a_report_is_kept(received: bytes, rest: bytes) -> None:
    assert atorch.split(received) == ([], rest, 0)


@pytest.mark.parametrize(
    ("kind", "counters"),
    [
        (1, (7 * 36000.0, None, 36000.0, None)),
        (2, (7 * 36000.0, 5 * 36.0, 36000.0, 36.0)),
        (3, (7 * 36.0, 5 * 3.6, 36.0, 3.6)),
    ],
)
def test_the_counters_of_each_kind(kind: int, counters: tuple[float | None, ...]) -> None:
    found = atorch.decode(report(kind, 1, 2, 5, 7, seconds=7325, celsius=300))
    joules, coulombs, joules_step, coulombs_step = counters
    assert (found.counters.joules, found.counters.coulombs) == (joules, coulombs and pytest.approx(coulombs))
    assert found.counters.joules_step == joules_step
    assert coulombs_step is None or found.counters.coulombs_step == coulombs_step
    assert (found.celsius, found.clock_seconds) == (300, 7325)
    assert found.watts == (0.5 if kind == 1 else None)


# FNIRSI over Bluetooth


@pytest.mark.parametrize(
    ("volts", "amps", "believed"),
    [(60.0, 1.0, True), (60.0001, 1.0, False), (5.0, 10.0, True), (5.0, 10.0001, False)],
)
def test_what_an_fnb58_cannot_see_is_refused(volts: float, amps: float, believed: bool) -> None:
    fine = struct.pack("<3I", round(volts * 1e4), round(amps * 1e4), 5)
    assert bool(fnirsi_ble.decode_power(fine)) is believed
    if believed:
        coarse = fnirsi_ble.decode_power(struct.pack("<2H", round(volts * 1e3), round(amps * 1e3)))
        assert coarse == Reading(volts=volts, amps=amps)


def test_frames_in_parts_and_among_others() -> None:
    good = ble(6, bytes(6))
    unknown = bytes([0xAA, 9, 1])  # no such kind
    longer = bytes([0xAA, 6, 7])  # a known kind of another length
    spoiled = good[:-1] + bytes([good[-1] ^ 1])
    frame = fnirsi_ble.Frame(6, bytes(6))
    assert fnirsi_ble.split(b"noise" + unknown + longer + good) == ([frame], b"", 0)
    assert fnirsi_ble.split(spoiled + good + good) == ([frame, frame], b"", 1)
    for cut in range(1, len(good)):
        assert fnirsi_ble.split(good + good[:cut]) == ([frame], good[:cut], 0)
    assert fnirsi_ble.split(b"noise") == ([], b"", 0)


# NVIDIA


@pytest.mark.parametrize(
    ("code", "kind", "remedy"),
    [
        (emulated.NVML_ERROR_LIBRARY_NOT_FOUND, SourceMissing, "no NVIDIA driver is loaded"),
        (emulated.NVML_ERROR_DRIVER_NOT_LOADED, SourceMissing, "no NVIDIA driver is loaded"),
        (emulated.NVML_ERROR_NO_PERMISSION, SourceForbidden, "add it to the container or run as root"),
        (emulated.NVML_ERROR_TIMEOUT, SourceTimeout, "did not answer"),
        (emulated.NVML_ERROR_INSUFFICIENT_POWER, SourceError, "failed .*look into `nvidia-smi` and `dmesg`"),
        (emulated.NVML_ERROR_GPU_IS_LOST, SourceError, "failed .*look into `nvidia-smi` and `dmesg`"),
        (emulated.NVML_ERROR_NOT_FOUND, SourceMissing, "is not here .*`nvidia-smi -L` lists the GPUs"),
        (emulated.NVML_ERROR_INVALID_ARGUMENT, SourceMissing, "is not here"),
        (emulated.NVML_ERROR_NOT_SUPPORTED, SourceMissing, "has no such sensor .*use another source"),
        (emulated.NVML_ERROR_FUNCTION_NOT_FOUND, SourceMissing, "has no such sensor"),
    ],
)
def test_what_nvml_refuses(code: int, kind: type[SourceError], remedy: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=remedy) as caught:
        Nvml(library=emulated.Driver(rejection=code), root=str(tmp_path)).open()
    assert type(caught.value) is kind


def gpu(tmp_path: Path, one: emulated.Gpu, **options: Any) -> Nvml:
    source = Nvml(library=emulated.Driver(one), root=str(tmp_path), **options)
    source.open()
    return source


@pytest.mark.parametrize(
    ("name", "architecture", "averaged"),
    [
        ("NVIDIA H100", 9, True),
        ("NVIDIA RTX 3090", 7, True),
        ("Tesla T4", 6, False),
        ("NVIDIA A100-SXM4", 7, False),
        ("NVIDIA A30", 7, False),
        ("NVIDIA A800", 7, False),
    ],
)
def test_what_a_gpu_calls_power(name: str, architecture: int, averaged: bool, tmp_path: Path) -> None:
    (one,) = gpu(
        tmp_path, emulated.Gpu(usage=5000, name=name, architecture=architecture), by="usage"
    ).channels()
    assert one.facts.semantics == ("mean" if averaged else "instant")
    assert one.read() == Reading(watts=5.0, seconds=1.0 if averaged else None)
    assert one.facts.max_watts == 1400.0


@pytest.mark.parametrize(("milliwatts", "noted"), [(1, True), (999, True), (1000, False)])
def test_a_gpu_that_draws_too_little_is_noted(milliwatts: int, noted: bool, tmp_path: Path) -> None:
    source = gpu(tmp_path, emulated.Gpu(usage=milliwatts, limit=None), by="usage")
    assert bool(source.notes) is noted
    assert source.channels()[0].facts.max_watts is None
    if noted:
        assert source.notes[0].startswith(f"nvml:0 shows {milliwatts} mW, which no GPU draws")


def test_instants_and_averages_are_asked_for_by_number(tmp_path: Path) -> None:
    one = emulated.Gpu(fields={186: 7000, 185: 9000})
    assert gpu(tmp_path, one, by="instant").read() == Reading(watts=7.0)
    assert gpu(tmp_path, one, by="average").read() == Reading(watts=9.0, seconds=1.0)


# The firmware of a Pi


class Says:
    def __init__(self, *answers: str) -> None:
        self.answers, self.closed = list(answers), 0

    def ask(self, question: str) -> str:
        assert question == "pmic_read_adc"
        return self.answers.pop(0)

    def close(self) -> None:
        self.closed += 1


TWO = " A_A current(0)=2.0A\n B_A current(1)=0.5A\n A_V volt(2)=5.0V\n B_V volt(3)=3.0V\n C_V volt(4)=1.0V\n"


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ("error=1 error_msg=x", SourceMissing, "the firmware says 'error=1 error_msg=x'"),
        ("Command not registered", SourceMissing, "the firmware says 'Command not registered'"),
        ("", SourceError, "holds no rail; it was cut off"),
        (" C_V volt(4)=1.0V", SourceError, "holds no rail"),
        (" A_A current(0)=2.0A", SourceError, "holds no voltage for A"),
    ],
)
def test_answers_of_the_firmware_without_a_rail(answer: str, kind: type[SourceError], said: str) -> None:
    firmware = Says(answer)
    with pytest.raises(SourceError, match=said) as caught:
        Pmic(firmware=firmware).open()
    assert (type(caught.value), firmware.closed) == (kind, 1)


def test_of_a_long_answer_eighty_signs_are_shown() -> None:
    with pytest.raises(SourceMissing) as caught:
        Pmic(firmware=Says(f" error={'x' * 90}\n")).open()
    assert str(caught.value).startswith(f"the firmware says 'error={'x' * 74}'; ")


def test_the_accuracy_of_rails_and_of_a_fit_is_our_own_word() -> None:
    for fit, provenance, watts in ((False, "measured", Band(0.05)), (True, "modelled", Band(0.1, 0.3))):
        facts = Pmic(fit=fit).facts
        assert (facts.provenance, facts.watts, facts.max_watts) == (provenance, watts, 100.0)
        assert (facts.volts, facts.amps) == (Band(0.02), Band(0.05))
        assert (facts.renewal_seconds, facts.default_hz, facts.max_hz) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(("address", "serial"), [("", ""), ("usb", ""), ("hwmon", ""), ("007965", "007965")])
def test_what_is_no_way_to_a_km003c_is_its_serial_number(address: str, serial: str) -> None:
    assert Km003c(address)._wire.serial == serial  # type: ignore[attr-defined]


@pytest.mark.parametrize("plugged_in", [[], ["1-1"]])
def test_an_fnirsi_that_is_plugged_in_is_left_for_a_person_to_name(
    plugged_in: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def plugged(ids: object) -> list[str]:
        asked.append(ids)
        return plugged_in

    monkeypatch.setattr("energymeter.drivers.fnirsi.plugged", plugged)
    if plugged_in:
        with pytest.raises(SourceMissing, match="an FNIRSI meter is plugged in; name it to start its stream"):
            Fnirsi.addresses()
    else:
        assert Fnirsi.addresses() == []
    assert asked == [((0x0483, 0x003A), (0x0483, 0x003B), (0x2E3C, 0x0049), (0x2E3C, 0x5558))]


def test_watts_of_all_rails_or_of_one() -> None:
    whole, one = Pmic(firmware=Says(TWO, TWO)), Pmic("B", firmware=Says(TWO, TWO))
    fit = Pmic(fit=True, firmware=Says(TWO, TWO))
    for source in (whole, one, fit):
        source.open()
    assert whole.read() == Reading(watts=11.5)
    assert one.read() == Reading(volts=3.0, amps=0.5)
    assert fit.read() == Reading(watts=pytest.approx(1.1451 * 11.5 + 0.5879))
    with pytest.raises(SpecError, match="no rail 'C'; it has A, B"):
        Pmic("C", firmware=Says(TWO)).open()


def test_a_rail_that_the_firmware_leaves_out_once_is_a_gap() -> None:
    source = Pmic(firmware=Says(TWO, " A_A current(0)=2.0A\n A_V volt(2)=5.0V\n", TWO))
    source.open()
    with pytest.raises(SourceError, match="lacks B; it is read again"):
        source.read()
    assert source.read().watts == 11.5
    source.close()
    source.close()
    assert isinstance(source._given, Says)
    assert source._given.closed == 1
    with pytest.raises(SourceMissing, match="pmic is not open"):
        source.read()


# Silence


class Mute:
    """A wire on which nothing ever comes."""

    address = "mute"
    moved_bytes = 0

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock

    def open(self) -> None: ...

    def close(self) -> None: ...

    def write(self, data: bytes) -> None: ...

    def read(self, seconds: float) -> bytes:
        self.clock.sleep(seconds)
        return b""


@pytest.mark.parametrize(
    ("make", "seconds", "said"),
    [
        (Atorch, 3.25, "has sent no valid report for 3 s"),
        (FnirsiBle, 3.25, "sends nothing valid"),
        (Fnirsi, 2.25, "stopped sending samples"),
    ],
)
def test_silence_is_borne_for_so_long(make: Callable[..., Any], seconds: float, said: str) -> None:
    clock = ManualClock()
    source = make(wire=Mute(clock), clock=clock)
    source.open()
    began = clock.monotonic_ns()
    beats = 0
    with pytest.raises(SourceTimeout, match=said):
        for reading in source.stream():
            assert reading == Reading(fresh=False)
            beats += 1
    assert (clock.monotonic_ns() - began) * 1e-9 == pytest.approx(seconds)
    assert beats == round(seconds / 0.25) - 1


# What a driver says of itself


@pytest.mark.parametrize("line", ["my-meter a", "my-meter b", "my-meter --once -q"])
def test_a_command_with_arguments_has_a_mark_instead_of_them(line: str) -> None:
    assert Exec(line, unit="W").name == f"exec@my-meter#{zlib.crc32(line.encode()) % 65536:04x}"


def test_a_command_without_arguments_has_no_mark() -> None:
    assert Exec("my-meter", unit="W").name == "exec@my-meter"


def test_the_serial_number_of_an_fnb58_has_four_bytes() -> None:
    source = fnirsi_ble.FnirsiBle("AA:BB")
    payload = bytes(4) + (0x89ABCDEF).to_bytes(4, "little") + bytes(6)
    assert source._learn(fnirsi_ble.Frame(3, payload)) is None
    assert source.identity == f"fnb58 {0x89ABCDEF}"


def test_the_facts_of_a_gauge() -> None:
    assert gauge_facts(coulomb_step=3.6, joule_step=36.0) == Facts(
        semantics="counter",
        place="cell",
        coulombs=Band(0.05, 0.0, 3.6),
        joules=Band(0.05, 0.0, 36.0),
        volts=Band(0.02),
        max_watts=300.0,
        default_hz=1.0,
        max_hz=1.0,
    )
    assert gauge_facts(joule_step=36.0).coulombs is None


@pytest.mark.parametrize("plugged_in", [[], ["1-1"]])
def test_a_joulescope_that_is_plugged_in_is_found(
    plugged_in: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("energymeter.drivers.joulescope.plugged", lambda ids: plugged_in)
    assert list(Joulescope.addresses()) == [""] * len(plugged_in)
