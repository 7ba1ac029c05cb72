"""UM24C, UM25C, UM34C against emulated meters on a pseudo-terminal, and their decoder against any bytes."""

from pathlib import Path

import pytest
from devices.pty_meter import PtyMeter
from devices.um import UmDevice
from hypothesis import given
from hypothesis import strategies as st

from energymeter.drivers.protocols.um import LENGTH, UmMeter, decode, fault, pick
from energymeter.drivers.um24c import Um24c
from energymeter.drivers.um25c import Um25c
from energymeter.drivers.um34c import Um34c
from energymeter.errors import SourceMissing, SourceTimeout, SpecError
from energymeter.source import Source
from energymeter.testing import check_source, check_unplugged, expected_bytes

METERS: list[type[UmMeter]] = [Um24c, Um25c, Um34c]
NAMES = [meter.model.name for meter in METERS]
each = pytest.mark.parametrize("meter", METERS, ids=NAMES)


@each
def test_reads_volts_amps_watts_and_counters(meter: type[UmMeter], tmp_path: Path) -> None:
    device = UmDevice(meter.model.name, volts=5.12, amps=0.413)
    device.group, device.mah[3], device.mwh[3] = 3, 1592, 7850
    with PtyMeter(device, tmp_path / "rfcomm0") as line:
        source = meter(line.address)
        assert isinstance(source, Source)
        assert source.counters() is None
        device.group = 3
        source.open()
        reading = source.read()
        counted = source.counters()
        source.close()
    assert (reading.volts, reading.amps) == pytest.approx((5.12, 0.413))
    assert reading.watts == pytest.approx(2.115, abs=0.0005)
    assert counted is not None
    assert counted.coulombs == pytest.approx(1.592 * 3600)
    assert counted.joules == pytest.approx(7.85 * 3600)
    assert source.moved_bytes == 2 * (1 + LENGTH)
    assert source.name == f"{meter.model.name}@{line.address}"


@each
def test_keeps_the_drivers_contract(meter: type[UmMeter], tmp_path: Path) -> None:
    with PtyMeter(UmDevice(meter.model.name), tmp_path / "rfcomm0") as line:
        assert len(check_source(lambda: meter(line.address))) == 6
    check_unplugged(lambda: meter(line.address))


# Every question is the one byte 0xF0 (libsigrok, rdtech-um/protocol.c); the answers are 130-byte frames.


@each
def test_noise_before_the_frame_is_stepped_over(meter: type[UmMeter]) -> None:
    mark, frame = meter.model.id.to_bytes(2, "big"), UmDevice(meter.model.name, volts=5.1).frame()
    with expected_bytes((b"\xf0", mark + b"\x00noise\xf0" + mark + frame)) as wire:
        source = meter(wire=wire)
        source.open()
        source.close()
        assert source.counters() is not None
        assert not wire.is_open


def test_a_cut_frame_is_a_timeout_and_the_next_reading_is_right() -> None:
    first, second = UmDevice().frame(), UmDevice(volts=9.05).frame()
    with expected_bytes((b"\xf0", first), (b"\xf0", first[:60]), (b"\xf0", second)) as wire:
        source = Um25c(wire=wire, timeout=0.01)
        source.open()
        with pytest.raises(SourceTimeout, match="60 bytes without one valid frame"):
            source.read()
        assert source.read().volts == pytest.approx(9.05)


def test_silence_is_a_timeout_that_says_what_to_check() -> None:
    with expected_bytes((b"\xf0", b"")) as wire:
        with pytest.raises(SourceTimeout, match=r"did not answer within 0.01 s: check .* pairing"):
            Um25c(wire=wire, timeout=0.01).open()
        assert not wire.is_open
    with pytest.raises(SourceMissing, match="not open"):
        Um25c("/dev/rfcomm0").read()


def test_the_wrong_model_is_named() -> None:
    with (
        expected_bytes((b"\xf0", UmDevice("um25c").frame())) as wire,
        pytest.raises(SourceTimeout, match="is a um25c: use um25c@"),
    ):
        Um24c(wire=wire, timeout=0.01).open()


def test_unplugged_and_back(tmp_path: Path) -> None:
    with PtyMeter(UmDevice(), tmp_path / "rfcomm0") as line:
        source = Um25c(line.address)
        source.open()
        line.unplug()
        with pytest.raises(SourceMissing):
            source.read()
        with pytest.raises(SourceMissing, match="rfcomm bind"):
            source.read()
        line.plug()
        assert source.read().amps == pytest.approx(0.5)
        source.close()


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(SpecError, match="timeout=0"):
        Um25c(timeout=0)
    with pytest.raises(SpecError, match="timeout=9"):
        Um25c(timeout=9)


@each
def test_a_single_wrong_byte_in_what_is_checked_is_noticed(meter: type[UmMeter]) -> None:
    good = UmDevice(meter.model.name, volts=5.0, amps=1.0).frame()
    assert fault(good, meter.model) is None
    for offset in (0, 1, 2, 4, 6, 7, 8, 129):
        bad = bytearray(good)
        bad[offset] ^= 0x55
        assert fault(bytes(bad), meter.model) is not None, f"byte {offset}"
        with pytest.raises(ValueError, match="Not a um"):
            decode(bytes(bad), meter.model)


def test_an_open_circuit_has_no_resistance() -> None:
    frame = decode(UmDevice("um24c", volts=5.0, amps=0.0).frame(), Um24c.model)
    assert frame.load_ohms is None
    frame = decode(UmDevice("um24c", volts=5.0, amps=0.5).frame(), Um24c.model)
    assert frame.load_ohms == pytest.approx(10.0)
    assert (frame.celsius, frame.record_seconds) == (27, 3723)
    assert (frame.data_plus_volts, frame.data_minus_volts) == (2.81, 2.80)
    assert frame.record.coulombs == pytest.approx(43.2)


@given(st.floats(4, 24), st.floats(0, 4), st.sampled_from(METERS))
def test_whatever_flows_is_decoded_within_one_step(volts: float, amps: float, meter: type[UmMeter]) -> None:
    frame = decode(UmDevice(meter.model.name, volts, amps).frame(), meter.model)
    assert frame.volts == pytest.approx(volts, abs=meter.model.volts_step)
    assert frame.amps == pytest.approx(amps, abs=meter.model.amps_step)
    assert frame.watts == pytest.approx(volts * amps, abs=0.001)


@given(st.binary(max_size=400), st.sampled_from(METERS))
def test_any_bytes_are_dropped_or_decoded(noise: bytes, meter: type[UmMeter]) -> None:
    assert pick(noise, meter.model) is None
    good = UmDevice(meter.model.name).frame()
    found = pick(noise + good, meter.model)
    assert found is not None
    assert decode(found, meter.model) == decode(good, meter.model)


def test_the_counters_of_the_meter_agree_with_the_integral_of_its_readings(tmp_path: Path) -> None:
    device = UmDevice("um25c", volts=5.0, amps=1.0)
    with PtyMeter(device, tmp_path / "rfcomm0") as line:
        source = Um25c(line.address)
        source.open()
        start, joules, coulombs = source.counters(), 0.0, 0.0
        for second in range(1, 61):
            device.mah[0], device.mwh[0] = int(second / 3.6), int(second * 5 / 3.6)
            reading = source.read()
            assert reading.watts is not None
            assert reading.amps is not None
            joules += reading.watts
            coulombs += reading.amps
        end = source.counters()
        source.close()
    assert start is not None
    assert end is not None
    assert end.since(start).agree(joules, coulombs) is True
    assert end.since(start).agree(joules * 10, coulombs) is False
