"""The FNB58 over Bluetooth LE: built frames through the real driver, and any bytes; no radio."""

import struct
import sys
import types
from collections import deque
from collections.abc import Callable
from itertools import islice

import pytest
from devices.fnirsi_ble import frame, xmodem
from hypothesis import given
from hypothesis import strategies as st

from energymeter.clock import ManualClock
from energymeter.drivers.fnirsi_ble import FnirsiBle, decode_counters, decode_power, split
from energymeter.errors import ExtraMissing, SourceMissing, SourceTimeout, SpecError
from energymeter.source import Source
from energymeter.testing import check_source, check_unplugged


def power(volts: float, amps: float) -> bytes:
    return frame(4, struct.pack("<3I", round(volts * 1e4), round(amps * 1e4), round(volts * amps * 1e4)))


COUNTERS = frame(8, struct.pack("<B4I", 1, 123_456, 24_691, 60, 600))
INFO = frame(3, struct.pack("<HHI", 58, 68, 4711) + bytes(6))


class Notifications:
    """The host's end of the characteristic: hands out what is queued, checks what is written."""

    place = "ble:emulated"

    def __init__(self, clock: ManualClock, *queued: bytes) -> None:
        self.moved_bytes = 0
        self.clock, self.queue = clock, deque(queued)
        self.written: list[str] = []

    def open(self) -> None: ...

    def close(self) -> None: ...

    def write(self, data: bytes) -> None:
        self.written.append(data.hex())

    def read(self, seconds: float) -> bytes:
        self.clock.sleep(0.1 if self.queue else seconds)
        return self.queue.popleft() if self.queue else b""


def test_a_recorded_notification() -> None:
    """A 20 V, 2 A load, quoted in osnwt/ha-fnirsi-fnb58 tests/test_parser.py."""
    frames, rest, dropped = split(
        bytes.fromhex(
            "aa0606e30ce30c050069aa07042d4fd9070aaa040ccb170300824e00006937060024aa0507f389010001780144"
        )
    )
    assert ([found.kind for found in frames], rest, dropped) == ([6, 7, 4, 5], b"", 0)
    fine, coarse = decode_power(frames[2].payload), decode_power(frames[1].payload)
    assert fine == (20.2699, 2.0098, 40.7401, None, None, None, None, True)
    assert coarse is not None
    assert (coarse.volts, coarse.amps, coarse.watts) == (20.269, 2.009, None)


def test_a_meter_without_the_fine_frames_is_read_by_the_coarse_ones() -> None:
    coarse = frame(7, struct.pack("<2H", 5000, 1234))
    clock = ManualClock()
    wire = Notifications(clock, coarse, coarse + power(5.1, 0.5), coarse, power(5.2, 0.6))
    source = FnirsiBle(wire=wire, clock=clock)
    source.open()
    found = [(r.volts, r.amps) for r in islice(source.stream(), 4) if r.fresh]
    assert found == [(5.0, 1.234), (5.1, 0.5), (5.2, 0.6)]


def test_readings_counters_and_serial_number_from_cut_and_joined_notifications() -> None:
    clock = ManualClock()
    one = power(5.1, 0.5)
    bad = bytearray(power(9.9, 0.1))
    bad[5] ^= 1
    wire = Notifications(
        clock, INFO + one[:7], one[7:] + COUNTERS, bytes(bad), power(188.7, 170.4), power(5.2, 0.6)
    )
    source = FnirsiBle(wire=wire, clock=clock)
    assert isinstance(source, Source)
    source.open()
    fresh = [reading for reading in islice(source.stream(), 5) if reading.fresh]
    assert [(reading.volts, reading.amps) for reading in fresh] == [(5.1, 0.5), (5.2, 0.6)]
    assert fresh[0].watts == pytest.approx(2.55)
    assert (fresh[1].at_ns or 0) - (fresh[0].at_ns or 0) == 300_000_000
    counted = source.counters()
    assert counted is not None
    assert (counted.joules, counted.coulombs) == pytest.approx((1.23456 * 3600, 0.24691 * 3600))
    assert (source.identity, source.dropped) == ("fnb58 4711", 2)
    assert wire.written == ["aa8100f4", "aa8200a7"], "the recorded start commands, nothing else"
    source.close()
    with pytest.raises(SourceMissing, match="not open"):
        source.read()


def test_the_start_commands_carry_the_right_check_byte() -> None:
    assert xmodem(bytes.fromhex("aa8100")) & 0xFF == 0xF4
    assert xmodem(bytes.fromhex("aa8200")) & 0xFF == 0xA7


def test_keeps_the_drivers_contract() -> None:
    clock = ManualClock()
    wire = Notifications(clock, *[power(5.0, 1.0)] * 20)
    assert len(check_source(lambda: FnirsiBle(wire=wire, clock=clock))) == 6


def test_silence_is_reported() -> None:
    clock = ManualClock()
    source = FnirsiBle(wire=Notifications(clock), clock=clock)
    source.open()
    with pytest.raises(SourceTimeout, match="nothing valid"):
        list(source.stream())


def test_an_address_and_bleak_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match="address"):
        FnirsiBle()
    monkeypatch.setitem(sys.modules, "bleak", None)
    with pytest.raises(ExtraMissing, match=r"edge-energymeter\[ble\]"):
        FnirsiBle("AA:BB:CC:DD:EE:FF").open()


class FakeBleakClient:
    """``bleak.BleakClient`` as far as the link touches it: it answers the first start command."""

    last: "FakeBleakClient"

    def __init__(self, address: str, disconnected_callback: Callable[[object], None]) -> None:
        assert address == "AA:BB:CC:DD:EE:FF"
        self.lost = disconnected_callback
        FakeBleakClient.last = self

    async def connect(self) -> None: ...

    async def start_notify(self, uuid: str, notified: Callable[[object, bytearray], None]) -> None:
        assert uuid == "0000ffe4-0000-1000-8000-00805f9b34fb"
        self.notified = notified

    async def write_gatt_char(self, uuid: str, data: bytes, response: bool) -> None:
        assert uuid == "0000ffe9-0000-1000-8000-00805f9b34fb"
        assert not response
        if data == bytes.fromhex("aa8100f4"):
            self.notified(None, bytearray(power(5.0, 1.0)))

    async def disconnect(self) -> None: ...


def test_the_link_through_bleak_and_a_meter_out_of_range(monkeypatch: pytest.MonkeyPatch) -> None:
    class BleakError(Exception):
        pass

    monkeypatch.setitem(sys.modules, "bleak", types.SimpleNamespace(BleakClient=FakeBleakClient))
    monkeypatch.setitem(sys.modules, "bleak.exc", types.SimpleNamespace(BleakError=BleakError))
    source = FnirsiBle("AA:BB:CC:DD:EE:FF")
    source.open()
    assert source.read().amps == 1.0
    assert source.moved_bytes == 8 + 16
    FakeBleakClient.last.lost(None)
    with pytest.raises(SourceMissing, match="back in range"):
        source.read()
    source.close()
    source.close()


def test_a_meter_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class BleakError(Exception):
        pass

    class OutOfRange(FakeBleakClient):
        async def connect(self) -> None:
            raise BleakError("device not found")

    monkeypatch.setitem(sys.modules, "bleak", types.SimpleNamespace(BleakClient=OutOfRange))
    monkeypatch.setitem(sys.modules, "bleak.exc", types.SimpleNamespace(BleakError=BleakError))
    check_unplugged(lambda: FnirsiBle("AA:BB:CC:DD:EE:FF"))


@given(st.binary(max_size=60), st.lists(st.integers(1, 9), max_size=30))
def test_any_bytes_and_any_chopping(noise: bytes, sizes: list[int]) -> None:
    flow, rest, at, found = noise + power(5.0, 1.0) * 3 + COUNTERS, b"", 0, []
    for size in [*sizes, len(flow)]:
        frames, rest, _ = split(rest + flow[at : at + size])
        found += frames
        at += size
    for one in found:
        if one.kind == 4:
            decode_power(one.payload)
        if one.kind == 8:
            decode_counters(one.payload)
    assert sum(one.kind == 4 for one in found) >= 2
    assert len(rest) < 21
