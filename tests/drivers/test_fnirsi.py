"""FNIRSI meters: an emulated HID device with its own crystal, hidraw nodes in a directory, and any bytes."""

import json
import os
import sys
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import pytest
from devices.fnirsi import FnirsiWire, packet
from devices.hidraw import HidrawNode
from devices.real_recordings import recording
from hypothesis import given
from hypothesis import strategies as st

from energymeter.clock import ManualClock
from energymeter.drivers.fnirsi import Fnirsi, command, crc_fits, decode
from energymeter.drivers.links.hid import HidLine, find
from energymeter.errors import SourceBusy, SourceMissing, SourceTimeout, SpecError
from energymeter.reading import Reading
from energymeter.source import Source
from energymeter.testing import check_source, check_unplugged


def steady(seconds: float) -> tuple[float, float]:
    return 5.0, 1.0


def meter(load: object = steady, model: str = "fnb58") -> tuple[Fnirsi, FnirsiWire]:
    clock = ManualClock()
    wire = FnirsiWire(clock, load, model)  # type: ignore[arg-type]
    return Fnirsi(model=model, wire=wire, clock=clock), wire


def fresh(source: Fnirsi) -> Iterator[Reading]:
    return (reading for reading in source.stream() if reading.fresh)


def steps(readings: list[Reading]) -> list[int]:
    stamps = [reading.at_ns for reading in readings if reading.at_ns is not None]
    assert len(stamps) == len(readings)
    return [later - earlier for earlier, later in pairwise(stamps)]


def test_the_recorded_commands() -> None:
    sent = json.loads(recording("wire/fnirsi_hid_commands.json").read_text())
    assert [command(code).hex() for code in (0x81, 0x82, 0x83)] == [
        sent["init1"],
        sent["init2"],
        sent["poll"],
    ]


def test_the_recorded_glitch_is_refused_and_the_idle_rows_are_not() -> None:
    rows = recording("wire/fnirsi_fnb48_glitch.txt").read_text().splitlines()[1:]
    _, _, volts, amps, *_ = rows[0].split()
    assert decode(packet([(float(volts), float(amps))] * 4)) == []
    rows = recording("wire/fnirsi_fnb48_idle.txt").read_text().splitlines()[1:]
    pairs = [(float(row.split()[2]), float(row.split()[3])) for row in rows]
    assert [(s.volts, s.amps) for s in decode(packet(pairs[:4]))] == pairs[:4]


@pytest.mark.parametrize("model", ["fnb48", "fnb58"])
def test_samples_are_ten_milliseconds_apart_however_they_arrive(model: str) -> None:
    source, wire = meter(lambda t: (5.0, t), model)
    assert isinstance(source, Source)
    source.open()
    stream = fresh(source)
    readings = list(islice(stream, 100))
    wire.clock.sleep(0.09)  # the host is busy: packets queue up and then arrive together
    readings += list(islice(stream, 100))
    assert set(steps(readings)) == {10_000_000}
    assert [reading.amps for reading in readings] == pytest.approx([0.01 * i for i in range(200)])
    assert (source.lost, source.dropped) == (0, 0)
    source.close()


def test_a_spoilt_packet_is_dropped_counted_and_leaves_its_time_out() -> None:
    source, wire = meter()
    wire.spoil = lambda n, report: report[:20] + b"\xff" + report[21:] if n == 10 else report
    source.open()
    readings = list(islice(fresh(source), 80))
    assert (source.lost, source.dropped) == (4, 1)
    assert sorted(set(steps(readings))) == [10_000_000, 50_000_000]


def test_a_garbage_first_packet_with_a_right_crc_is_dropped() -> None:
    source, wire = meter()
    wire.spoil = lambda n, report: packet([(188.7437, 170.39408)] + [(5.0, 1.0)] * 3) if n == 0 else report
    source.open()
    readings = list(islice(fresh(source), 40))
    assert {(reading.volts, reading.amps) for reading in readings} == {(5.0, 1.0)}
    assert source.dropped == 1


def test_firmware_whose_crcs_are_all_wrong_is_judged_by_range_alone() -> None:
    source, wire = meter()
    wire.spoil = lambda _, report: report[:-1] + bytes([report[-1] ^ 1])
    source.open()
    readings = list(islice(fresh(source), 40))
    assert {(reading.volts, reading.amps) for reading in readings} == {(5.0, 1.0)}
    assert source.dropped == 25


def test_a_crc_that_fits_by_chance_does_not_make_the_others_wrong() -> None:
    """Another CRC than ours fits one packet in 256; here the 61st."""
    source, wire = meter()
    wire.spoil = lambda n, report: report if n == 60 else report[:-1] + bytes([report[-1] ^ 1])
    source.open()
    readings = list(islice(fresh(source), 400))
    assert {(reading.volts, reading.amps) for reading in readings} == {(5.0, 1.0)}
    assert source.dropped == 25
    assert steps(readings) == [10_000_000] * 399


def test_packets_that_vanish_unseen_are_found_by_the_host_clock() -> None:
    source, wire = meter(lambda t: (5.0, t / 100))
    wire.spoil = lambda n, report: None if 100 <= n < 125 else report  # one second
    source.open()
    stream = fresh(source)
    readings = list(islice(stream, 1500))
    assert source.lost == 100
    late = readings[-1]
    assert late.at_ns is not None
    assert late.amps is not None
    began_ns = readings[0].at_ns or 0
    assert (late.at_ns - began_ns) / 1e9 == pytest.approx(late.amps * 100, abs=0.045)


@pytest.mark.slow
@pytest.mark.parametrize("ppm", [-80.0, pytest.param(80.0, marks=pytest.mark.slow)])
def test_a_drifting_crystal_is_followed_without_calling_it_loss(ppm: float) -> None:
    source, wire = meter()
    wire.ppm = ppm
    source.open()
    readings = list(islice(fresh(source), 60_000))
    assert source.lost == 0
    lag = wire.clock.monotonic_ns() - (readings[-1].at_ns or 0)
    assert abs(lag) < 2_000_000, "ten minutes at 80 ppm would be 48 ms"
    assert max(abs(step - 10_000_000) for step in steps(readings)) <= 5_000


def test_a_meter_that_stops_is_a_timeout_and_unplugging_is_reported() -> None:
    source, wire = meter()
    source.open()
    stream = source.stream()
    next(stream)
    wire.spoil = lambda _n, _report: None
    with pytest.raises(SourceTimeout, match="stopped sending"):
        list(stream)
    wire.spoil = lambda _, report: report
    assert source.read().volts == 5.0, "the start sequence is sent again"
    wire.plugged = False
    with pytest.raises(SourceMissing):
        list(islice(fresh(source), 20))
    with pytest.raises(SourceMissing):
        [source.read() for _ in range(5)]
    wire.plugged = True
    assert source.read().amps == 1.0
    source.close()
    with pytest.raises(SourceMissing, match="not open"):
        source.read()


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(SpecError, match="model=fnb99 is not known: fnb48, c1"):
        Fnirsi(model="fnb99")


@pytest.mark.parametrize("model", ["fnb48", "fnb58"])
def test_keeps_the_drivers_contract(model: str, tmp_path: Path) -> None:
    clock = ManualClock()
    wire = FnirsiWire(clock, steady, model)
    assert len(check_source(lambda: Fnirsi(model=model, wire=wire, clock=clock))) == 6
    check_unplugged(lambda: Fnirsi(sysfs=str(tmp_path)))


def test_closing_empties_the_queue() -> None:
    source, wire = meter(model="fnb48")
    source.open()
    next(fresh(source))
    wire.clock.sleep(0.2)
    source.close()
    assert not wire.queue
    source.close()


def test_hidraw_is_found_by_id_locked_and_followed_by_serial_number(tmp_path: Path) -> None:
    other = HidrawNode(tmp_path, 0, 0x046D, 0xC52B, "")
    node = HidrawNode(tmp_path, 12, 0x2E3C, 0x5558, "SN58")
    roots = (str(node.sysfs), str(node.dev))
    assert [found.serial for found in find(Fnirsi.usb_ids, *roots)] == ["SN58"]
    source = Fnirsi(wire=HidLine("", Fnirsi.usb_ids, *roots))
    source.open()
    assert source.identity == "fnb58 SN58"
    assert node.heard(195) == b"".join(b"\0" + command(code) for code in (0x81, 0x82, 0x82))
    with pytest.raises(SourceBusy, match=f"process {os.getpid()} "):
        HidLine("SN58", Fnirsi.usb_ids, *roots).open()
    node.say(packet([(5.0, 0.25)] * 4))
    assert source.read().amps == 0.25
    node.unplug()
    with pytest.raises(SourceMissing, match="went away"):
        [source.read() for _ in range(5)]
    with pytest.raises(SourceMissing, match="serial number SN58"):
        source.open()
    stranger = HidrawNode(tmp_path, 13, 0x2E3C, 0x5558, "SN99")
    with pytest.raises(SourceMissing, match="serial number SN58"):
        source.open()
    back = HidrawNode(tmp_path, 14, 0x2E3C, 0x5558, "SN58")
    source.open()
    back.say(packet([(9.0, 0.5)] * 4))
    assert source.read().volts == 9.0
    source.close()
    for one in (other, stranger, back):
        one.unplug()


def test_of_two_meters_the_first_is_meant_and_named(tmp_path: Path) -> None:
    nodes = [HidrawNode(tmp_path, number, 0x2E3C, 0x5558, f"SN{number}") for number in (1, 2)]
    roots = (str(nodes[0].sysfs), str(nodes[0].dev))
    first = HidLine("", Fnirsi.usb_ids, *roots)
    first.open()
    assert first.node is not None
    assert first.node.serial == "SN1"
    with pytest.raises(SourceBusy, match=f"^{nodes[0].dev}/hidraw1 is held by "):
        HidLine("", Fnirsi.usb_ids, *roots).open()
    second = HidLine("SN2", Fnirsi.usb_ids, *roots)
    second.open()
    for line in (first, second):
        line.close()
    for node in nodes:
        node.unplug()


class FakeHidApi:
    """The ``hid`` module as far as the link touches it: one FNB48, which can be taken away."""

    def __init__(self) -> None:
        self.reports: list[bytes] = []
        self.written: list[bytes] = []
        self.plugged = True

    def enumerate(self, vid: int, pid: int) -> list[dict[str, object]]:
        here = self.plugged and (vid, pid) == (0x0483, 0x003A)
        return [{"path": b"1-2:1.0", "serial_number": "SN48"}] if here else []

    def device(self) -> "FakeHidApi":
        return self

    def open_path(self, path: bytes) -> None:
        assert path == b"1-2:1.0"

    def write(self, report: bytes) -> int:
        self.written.append(report)
        return len(report) if self.plugged else -1

    def error(self) -> str:
        return "gone"

    def read(self, size: int, milliseconds: int) -> list[int]:
        assert milliseconds > 0, "0 waits without end"
        if not self.plugged:
            raise OSError("read error")
        return list(self.reports.pop(0)) if self.reports else []

    def close(self) -> None: ...


def test_hidapi_serves_where_the_kernel_shows_no_hidraw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hid = FakeHidApi()
    monkeypatch.setitem(sys.modules, "hid", hid)
    source = Fnirsi(sysfs=str(tmp_path))
    source.open()
    assert source.identity == "fnb48 SN48"
    assert hid.written == [b"\0" + command(code) for code in (0x81, 0x82, 0x83)], "an old model's start"
    hid.reports = [packet([(5.0, 0.5)] * 4)]
    assert source.read().amps == 0.5
    hid.plugged = False
    with pytest.raises(SourceMissing, match="went away"):
        [source.read() for _ in range(5)]
    with pytest.raises(SourceMissing, match="no such HID meter with serial number SN48"):
        source.open()
    source.close()


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 7)), min_size=4, max_size=4))
def test_whatever_flows_is_decoded_within_one_step(pairs: list[tuple[float, float]]) -> None:
    for sample, (volts, amps) in zip(decode(packet(pairs)), pairs, strict=True):
        assert sample.volts == pytest.approx(volts, abs=1e-5)
        assert sample.amps == pytest.approx(amps, abs=1e-5)
        assert (sample.data_plus_volts, sample.data_minus_volts, sample.celsius) == (1.184, 1.031, 30.5)


@given(st.integers(1, 63), st.integers(1, 255))
def test_no_changed_byte_passes_the_crc(offset: int, flip: int) -> None:
    report = bytearray(packet([(5.0, 1.0)] * 4))
    report[offset] ^= flip
    assert not crc_fits(bytes(report))


@given(st.binary(max_size=80))
def test_any_bytes_are_dropped_or_decoded(noise: bytes) -> None:
    assert len(decode(noise)) in (0, 4)
    assert not crc_fits(noise) or len(noise) == 64
