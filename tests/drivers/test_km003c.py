"""KM003C, polled and streamed: recorded sessions, an emulated meter, fake pyusb devices, any bytes."""

import csv
import errno
import json
import sys
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cryptography", reason="the KM003C's queue needs it (extra km003c)")

from devices.km003c_meter import Km003cWire, adc_block, queue_block
from devices.real_recordings import recording
from hypothesis import given
from hypothesis import strategies as st

from energymeter.clock import ManualClock
from energymeter.drivers.km003c import Km003c
from energymeter.drivers.km003c_stream import Km003cStream
from energymeter.drivers.links.usb import UsbBulk
from energymeter.drivers.protocols.km003c import Sample, Sequence, blocks, samples, snapshots
from energymeter.errors import (
    ExtraMissing,
    SourceBusy,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    SpecError,
)
from energymeter.reading import Reading
from energymeter.source import Source
from energymeter.testing import check_source, check_unplugged


def packets(name: str) -> Iterator[bytes]:
    """What the meter answered to GetData in a recorded session."""
    for line in recording(f"wire/{name}.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["dir"] == "in" and row["hex"].startswith("41"):
            yield bytes.fromhex(row["hex"])


def unwrapped(found: list[Sample], step: int) -> tuple[list[int], int]:
    sequence = Sequence(step)
    ticks = [sequence.tick(sample.sequence, 0) for sample in found]
    return [tick for tick in ticks if tick is not None], sequence.lost


def trapezoid(ticks: list[int], values: list[float]) -> float:
    return sum(
        (a + b) / 2 * (t1 - t0) / 1000
        for (t0, t1), (a, b) in zip(pairwise(ticks), pairwise(values), strict=True)
    )


def test_the_recorded_poll_session() -> None:
    found = [one for packet in packets("km003c_adc_poll") for one in snapshots(packet)]
    with recording("wire/km003c_adc_poll_decoded.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert len(found) == len(rows) == 77
    for one, row in zip(found, rows, strict=True):
        assert (one.volts, one.amps) == (float(row["vbus_V"]), float(row["ibus_A"]))
        assert one.celsius == pytest.approx(float(row["temp_C"]), abs=1e-4)


def test_the_recorded_queue_session() -> None:
    found = [one for packet in packets("km003c_adcqueue_50sps") for one in samples(packet)]
    with recording("wire/km003c_adcqueue_50sps_decoded.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert len(found) == len(rows) == 340
    for one, row in zip(found, rows, strict=True):
        assert one == Sample(int(row["seq"]), float(row["vbus_V"]), float(row["ibus_A"]))
    ticks, lost = unwrapped(found, 20)
    assert (ticks[-1], lost) == (6780, 0)
    assert trapezoid(ticks, [s.volts * s.amps for s in found]) == pytest.approx(-0.000116, abs=1e-6)


def test_the_recorded_load_with_chained_blocks() -> None:
    found = [one for packet in packets("km003c_loaded_10sps_seg1") for one in samples(packet)]
    ticks, lost = unwrapped(found, 100)
    assert (len(found), ticks[-1], lost) == (44, 4300, 0)
    assert trapezoid(ticks, [s.volts * s.amps for s in found]) == pytest.approx(-54.694372, abs=1e-6)
    assert trapezoid(ticks, [s.amps for s in found]) / 3.6 == pytest.approx(-1.652117, abs=1e-6)


def test_the_recorded_packets() -> None:
    for case in json.loads(recording("wire/km003c_packets.json").read_text()):
        packet = bytes.fromhex(case["hex"])
        decoded: list[Any] = case["decoded_here"]
        snapshot = [d for d in decoded if isinstance(d, dict) and "vbus_V" in d]
        assert [(s.volts, s.amps, s.celsius) for s in snapshots(packet)] == [
            (d["vbus_V"], d["ibus_A"], d["temp_C"]) for d in snapshot
        ]
        queue = [one for d in decoded if isinstance(d, list) for one in d]
        assert [(s.sequence, round(s.volts * 1e6), round(s.amps * 1e6)) for s in samples(packet)][
            : len(queue)
        ] == [(d["seq"], d["vbus_uV"], d["ibus_uA"]) for d in queue]


@pytest.mark.peers
def test_our_decoder_agrees_with_the_km003c_package() -> None:
    peer = pytest.importorskip("km003c", reason="the peer to compare with is not installed")
    for packet in packets("km003c_adc_poll"):
        ours = snapshots(packet)
        if ours:
            payloads = peer.parse_packet(packet)["DataResponse"]["payloads"]
            theirs = next(payload for payload in payloads if isinstance(payload, peer.AdcData))
            assert (ours[0].volts, ours[0].amps) == pytest.approx((theirs.vbus_v, theirs.ibus_a), abs=1e-6)


def emulated(load: Any = lambda t: (9.0, -1.5)) -> tuple[Km003cStream, Km003cWire]:
    clock = ManualClock()
    wire = Km003cWire(clock, load)
    return Km003cStream(wire=wire, clock=clock), wire


def fresh(source: Km003cStream) -> Iterator[Reading]:
    return (reading for reading in source.stream() if reading.fresh)


@pytest.mark.parametrize(("rate", "step_ms"), [(1000, 1), (51, 1), (50, 20), (3, 100), (0.5, 500)])
def test_streams_on_the_meters_own_clock_across_the_wrap(rate: float, step_ms: int) -> None:
    source, wire = emulated(lambda t: (9.0, t / 1e3))
    assert isinstance(source, Source)
    source.tune(rate)
    source.open()
    assert source.identity == "KM003C 007965"
    readings = list(islice(fresh(source), 1200))
    stamps = [reading.at_ns or 0 for reading in readings]
    assert (stamps[-1] - stamps[0]) / 1e9 == pytest.approx(1199 * step_ms / 1e3, rel=600e-6)
    assert max(abs(b - a - step_ms * 1e6) for a, b in pairwise(stamps)) <= 500e-6 * step_ms * 1e6 + 1
    assert [reading.amps for reading in readings] == pytest.approx(
        [n * step_ms / 1e6 for n in range(1200)], abs=1e-6
    )
    assert source.lost == 0
    source.close()
    assert not wire.streaming
    source.close()


def test_losses_are_counted_exactly_and_leave_their_time_out() -> None:
    source, wire = emulated()
    wire.skip = {100, 200, 201, *range(500, 511)}
    source.tune(1000)
    source.open()
    stamps = [reading.at_ns or 0 for reading in islice(fresh(source), 1000)]
    assert source.lost == 14
    assert sorted({b - a for a, b in pairwise(stamps)}) == [1_000_000, 2_000_000, 3_000_000, 12_000_000]


def test_the_sign_can_be_turned_round() -> None:
    clock = ManualClock()
    source = Km003cStream(reverse=True, wire=Km003cWire(clock, lambda t: (9.0, -1.5)), clock=clock)
    source.open()
    assert source.read().amps == 1.5
    polled = Km003c(reverse=True, wire=Km003cWire(clock, lambda t: (9.0, -1.5)))
    polled.open()
    assert polled.read().amps == 1.5


def test_a_meter_that_lets_nobody_stream_says_what_to_use() -> None:
    source, wire = emulated()
    wire.locked = True
    with pytest.raises(SourceError, match="use the driver km003c, which polls"):
        source.open()


def test_unplugged_and_back_streams_again() -> None:
    source, wire = emulated()
    source.open()
    stream = source.stream()
    next(stream)
    wire.plugged = False
    with pytest.raises(SourceMissing):
        list(stream)
    with pytest.raises(SourceMissing):
        source.read()
    wire.plugged = True
    assert source.read().volts == 9.0
    source.close()
    with pytest.raises(SourceMissing, match="not open"):
        next(source.stream())


def test_keeps_the_drivers_contract(tmp_path: Path) -> None:
    clock = ManualClock()
    wire = Km003cWire(clock, lambda t: (9.0, t))
    assert len(check_source(lambda: Km003cStream(wire=wire, clock=clock))) == 6
    assert check_source(lambda: Km003c(wire=wire))
    check_unplugged(lambda: Km003c("hwmon", sysfs=str(tmp_path)))
    wire.plugged = False
    check_unplugged(lambda: Km003cStream(wire=wire, clock=clock))
    check_unplugged(lambda: Km003c(wire=wire))


def test_rates_beyond_the_meter_are_refused() -> None:
    source, _ = emulated()
    for rate in (0, -1, 1001):
        with pytest.raises(SpecError):
            source.tune(rate)


def test_polling_needs_no_authentication_and_marks_repeats() -> None:
    wire = Km003cWire(ManualClock(), lambda t: (5.0, 0.1 + (t > 1)))
    source = Km003c(wire=wire)
    assert isinstance(source, Source)
    source.open()
    assert source.identity == "KM003C 007965"
    assert source.read() == Reading(volts=5.0, amps=0.1)
    assert source.read() == Reading(volts=5.0, amps=0.1, fresh=False)
    wire.clock.sleep(2)
    assert source.read() == Reading(volts=5.0, amps=1.1)
    wire.plugged = False
    with pytest.raises(SourceMissing):
        source.read()
    wire.plugged = True
    assert source.read().volts == 5.0
    source.close()
    with pytest.raises(SourceMissing, match="not open"):
        source.read()


def test_the_kernels_sensor_is_used_where_there_is_one(tmp_path: Path) -> None:
    hwmon = tmp_path / "class" / "hwmon" / "hwmon7"
    hwmon.mkdir(parents=True)
    (hwmon / "name").write_text("powerz\n")
    (hwmon / "in0_input").write_text("9041\n")
    (hwmon / "curr1_input").write_text("-1308\n")
    source = Km003c(sysfs=str(tmp_path))
    source.open()
    assert source.read() == Reading(volts=9.041, amps=-1.308)
    assert source.facts.amps is not None
    assert source.facts.amps.resolution == 0.001
    moved = hwmon.rename(tmp_path / "class" / "hwmon" / "hwmon8")
    with pytest.raises(SourceMissing, match="went away"):
        source.read()
    assert source.read().volts == 9.041
    source.close()
    (moved / "name").write_text("other\n")
    with pytest.raises(SourceMissing, match="no powerz sensor"):
        Km003c("hwmon", sysfs=str(tmp_path)).open()


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\x41\x07\x00\x00", b"\x41\x00\x00\x00\x02\x00\x02\x05"])
)
def test_any_bytes_are_dropped_or_decoded(noise: bytes, lead: bytes) -> None:
    packet = lead + noise
    for block in blocks(packet):
        assert len(block.payload) <= len(packet) - 8
    assert all(abs(one.volts) <= 60 for one in snapshots(packet))
    assert all(abs(one.volts) <= 60 for one in samples(packet))


@given(st.integers(0, 150))
def test_a_cut_packet_gives_only_its_whole_blocks(length: int) -> None:
    whole = b"\x41\x01\x00\x00" + adc_block(5, 1, more=True) + queue_block([(n, 9.0, 1.0) for n in range(4)])
    cut = whole[:length]
    assert len(snapshots(cut)) == (length >= 4 + 48)
    assert len(samples(cut)) == (4 if length >= len(whole) else 0)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=60), st.integers(0, 65_535))
def test_sequence_undoes_wraps_and_counts_what_is_missing(gaps: list[int], start: int) -> None:
    sequence = Sequence(step=1)
    now_ns = at = 0
    assert sequence.tick(start, 0) == 0
    for gap in gaps:
        at += gap
        now_ns += gap * 1_000_000
        assert sequence.tick((start + at) & 0xFFFF, now_ns) == at
        assert sequence.tick((start + at) & 0xFFFF, now_ns) is None
    assert sequence.lost == sum(gap - 1 for gap in gaps)


def test_a_pause_longer_than_the_wrap_is_bridged_by_the_host_clock_and_a_restart_is_not_a_wrap() -> None:
    sequence = Sequence(step=100)
    sequence.tick(1000, 0)
    assert sequence.tick(2000 & 0xFFFF, 66_536 * 1_000_000) == 66_536
    assert sequence.lost == 664
    assert sequence.tick(0, 66_600 * 1_000_000) == 66_636


class FakeUsbDevice:
    """A ``usb.core.Device`` as far as the link touches it; strict about claiming before moving bytes."""

    def __init__(self, serial: str = "007965") -> None:
        self.serial_number = serial
        self.bus, self.address = 999, 999  # no such node here: its holder cannot be found
        self.kernel_driver, self.claimed = True, False
        self.error: OSError | None = None
        self._ctx = self

    def is_kernel_driver_active(self, interface: int) -> bool:
        return self.kernel_driver

    def detach_kernel_driver(self, interface: int) -> None:
        self.kernel_driver = False

    def attach_kernel_driver(self, interface: int) -> None:
        self.kernel_driver = True

    def managed_claim_interface(self, device: object, interface: int) -> None:
        if self.error:
            raise self.error
        assert not self.kernel_driver
        self.claimed = True

    def dispose(self, device: object) -> None:
        self.claimed = False

    def write(self, endpoint: int, data: bytes, milliseconds: int) -> int:
        assert self.claimed
        assert endpoint == 0x01
        if self.error:
            raise self.error
        return len(data)

    def read(self, endpoint: int, size: int, milliseconds: int) -> bytearray:
        assert self.claimed
        assert endpoint == 0x81
        assert milliseconds > 0, "0 waits without end"
        if self.error:
            raise self.error
        return bytearray(b"\x05\x01\x00\x00")


def bulk(*devices: FakeUsbDevice, serial: str = "") -> UsbBulk:
    return UsbBulk(
        ((0x5FC9, 0x0063),),
        serial,
        endpoint_out=0x01,
        endpoint_in=0x81,
        extra="km003c",
        find=lambda vid, pid: devices,
    )


@pytest.fixture
def _pyusb() -> None:
    pytest.importorskip("usb.util", reason="the bulk link needs pyusb (extra km003c)")


@pytest.mark.usefixtures("_pyusb")
def test_the_bulk_link_claims_moves_and_gives_back() -> None:
    other, device = FakeUsbDevice("000001"), FakeUsbDevice()
    link = bulk(other, device, serial="007965")
    link.open()
    link.write(b"\x02\x01\x00\x00")
    assert link.read(0.0) == b"\x05\x01\x00\x00"
    assert link.moved_bytes == 8
    device.error = OSError(errno.ETIMEDOUT, "timed out")
    assert link.read(0.1) == b""
    with pytest.raises(SourceTimeout):
        link.write(b"x")
    device.error = None
    link.close()
    assert device.kernel_driver
    assert not other.claimed
    with pytest.raises(SourceMissing, match="not open"):
        link.read(0)


@pytest.mark.usefixtures("_pyusb")
@pytest.mark.parametrize(
    ("code", "kind", "remedy"),
    [
        (errno.EACCES, SourceForbidden, "udev"),
        (errno.EBUSY, SourceBusy, "held by another program: close that program"),
        (errno.EIO, SourceMissing, "plug it in again"),
    ],
)
def test_every_error_of_the_bulk_link_names_its_remedy(code: int, kind: type[OSError], remedy: str) -> None:
    device = FakeUsbDevice()
    device.error = OSError(code, "no")
    with pytest.raises(kind, match=remedy):
        bulk(device).open()


@pytest.mark.usefixtures("_pyusb")
def test_an_unplugged_bulk_device_is_missed_and_only_the_same_one_comes_back() -> None:
    device = FakeUsbDevice()
    link = bulk(device)
    link.open()
    device.error = OSError(errno.ENODEV, "gone")
    with pytest.raises(SourceMissing, match="went away"):
        link.read(0.1)
    device.error, device.serial_number = None, "000002"
    with pytest.raises(SourceMissing, match="serial number 007965"):
        link.open()
    device.serial_number = "007965"
    link.open()
    link.close()
    with pytest.raises(SourceMissing, match="5fc9:0063: plug it in"):
        bulk().open()


def test_without_the_packages_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "usb.core", None)
    with pytest.raises(ExtraMissing, match=r"pyusb: .*edge-energymeter\[km003c\]"):
        Km003c("usb", sysfs=str(tmp_path)).open()
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    source, _ = emulated()
    with pytest.raises(ExtraMissing, match="cryptography"):
        source.open()
