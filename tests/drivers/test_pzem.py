"""PZEM energy meters against recorded answers, an emulated Modbus slave, and any bytes."""

from pathlib import Path

import pytest
from devices.measured import measured
from devices.pty_meter import PtyMeter
from devices.pzem import PzemDevice
from devices.real_recordings import recording
from hypothesis import given
from hypothesis import strategies as st

from energymeter.drivers.pzem import Frame, Pzem, decode, pick, request
from energymeter.errors import SourceError, SourceMissing, SourceTimeout, SpecError
from energymeter.source import Source
from energymeter.testing import check_source, check_unplugged, expected_bytes


def test_the_recorded_question_and_answer() -> None:
    question = bytes.fromhex("f8 04 00 00 00 0a 64 64")
    answer = bytes.fromhex(recording("wire/pzem004t_v3_single.hex").read_text())
    with expected_bytes((question, answer), (question, b"\x00\xff\x01" + answer)) as wire:
        source = Pzem(wire=wire)
        source.open()
        reading = source.read()
        counted = source.counters()
        source.close()
    assert (reading.volts, reading.amps, reading.watts) == (225.9, 0.035, 0.5)
    assert counted is not None
    assert counted.joules == 2 * 3600
    assert request(0xF8, 10) == question
    frame = decode(answer)
    assert (frame.volts, frame.amps, frame.watts) == (225.9, 0.035, 0.5)
    assert frame.joules == 2 * 3600
    assert (frame.hertz, frame.power_factor) == (50.1, 0.06)


@pytest.mark.parametrize("model", ["003", "017"])
def test_the_recorded_answer_of_a_dc_meter(model: str) -> None:
    # arendst/Tasmota xnrg_06_pzem_dc.ino, esphome pzemdc.cpp: volts, amps, watts and Wh of one frame
    frame = decode(bytes.fromhex("0104100540000A000D0000000200000000 0000D629"), model)
    assert frame == Frame(13.44, 0.1, 1.3, 2 * 3600.0)
    assert abs(frame.volts * frame.amps - frame.watts) < 0.05


@pytest.mark.parametrize("model", ["004t", "014", "016", "003", "017"])
def test_values_above_sixteen_bits_come_low_word_first(model: str, tmp_path: Path) -> None:
    with PtyMeter(PzemDevice(model), tmp_path / "ttyUSB0") as line:
        source = Pzem(line.address, model=model, address=1)
        assert isinstance(source, Source)
        source.open()
        reading = source.read()
        counted = source.counters()
        source.close()
    assert (reading.volts, reading.amps, reading.watts) == (230.0, 70.0, 15000.0)
    assert counted is not None
    assert counted.joules == 70000 * 3600
    assert source.facts.place == ("rail" if model in ("003", "017") else "wall")


@pytest.mark.parametrize(
    ("model", "watts", "share"),
    [
        # Peacefair: ±0.5 %, blind under 0.4 W; ±1 % of the DC meters; steps of 0.1 W
        ("004t", 3000.0, 0.00577),
        ("004t", 5.0, 0.0926),
        ("017", 3000.0, 0.01155),
        ("003", 5.0, 0.0164),
    ],
)
def test_the_uncertainty_of_steady_power_is_that_of_the_manual(
    model: str, watts: float, share: float, tmp_path: Path
) -> None:
    device = PzemDevice(model)
    device.volts, device.amps, device.watts, device.wh = 230.0, watts / 230, watts, 0
    with PtyMeter(device, tmp_path / "ttyUSB0") as line:
        usage = measured(Pzem(line.address, model=model), seconds=60)
    assert usage.joules == pytest.approx(60 * watts, rel=0.02)
    assert usage.uncertainty / usage.joules == pytest.approx(share, rel=0.05)


@pytest.mark.parametrize("model", ["004t", "017"])
def test_keeps_the_drivers_contract(model: str, tmp_path: Path) -> None:
    with PtyMeter(PzemDevice(model), tmp_path / "ttyUSB0") as line:
        assert len(check_source(lambda: Pzem(line.address, model=model))) == 6
    check_unplugged(lambda: Pzem(line.address))


def test_a_rejection_is_an_error_with_its_reason() -> None:
    rejection = bytes.fromhex("01 84 02 c2 c1")  # function 4 | 0x80, code 2 (Modbus, section 7)
    with expected_bytes((request(1, 10), rejection)) as wire:
        with pytest.raises(SourceError, match=r"refused to be read \(illegal address\): check model="):
            Pzem(wire=wire, address=1).open()
        assert not wire.is_open


def test_another_address_stays_silent_and_unplugging_is_reported(tmp_path: Path) -> None:
    with PtyMeter(PzemDevice(address=7), tmp_path / "ttyUSB0") as line:
        with pytest.raises(SourceTimeout, match="did not answer"):
            Pzem(line.address, address=8, timeout=0.02).open()
        source = Pzem(line.address, address=7)
        source.open()
        line.unplug()
        with pytest.raises(SourceMissing):
            source.read()
        line.plug()
        assert source.read().volts == 230.0
        source.close()


@pytest.mark.parametrize("bad", [{"model": "015"}, {"address": 0}, {"address": 249}, {"timeout": 0.0}])
def test_options_out_of_range_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        Pzem(**bad)  # type: ignore[arg-type]


@given(st.integers(0, 24), st.integers(1, 255))
def test_no_changed_byte_passes_the_crc(offset: int, flip: int) -> None:
    good = PzemDevice().receive(request(1, 10))
    bad = bytearray(good)
    bad[offset] ^= flip
    assert pick(bytes(bad), 1, 10) is None
    with pytest.raises(ValueError, match="Not a PZEM"):
        decode(bytes(bad))


@given(st.binary(max_size=60), st.sampled_from([(1, 10), (0xF8, 10), (0xF8, 8)]))
def test_any_bytes_are_dropped_or_decoded(noise: bytes, asked: tuple[int, int]) -> None:
    address, count = asked
    good = PzemDevice("017" if count == 8 else "004t").receive(request(address, count))
    for received in (noise, noise + good):
        frame = pick(received, address, count)
        if frame is not None and not frame[1] & 0x80:
            decode(frame, "017" if count == 8 else "004t")
    assert pick(b"\x00" + good, address, count) == good
