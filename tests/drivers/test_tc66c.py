"""The TC66C against its one public recording, an emulated meter, and any bytes."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="the TC66C's answer is encrypted (extra tc66c)")

from devices.measured import measured
from devices.pty_meter import PtyMeter
from devices.real_recordings import recording
from devices.tc66c import Tc66cDevice, encrypt
from hypothesis import given
from hypothesis import strategies as st

from energymeter.drivers.tc66c import LENGTH, Tc66c, cipher, decode, fault, pick
from energymeter.errors import ExtraMissing, SourceMissing, SourceTimeout, SpecError
from energymeter.source import Source
from energymeter.testing import check_source, check_unplugged, expected_bytes


def test_the_recorded_answer() -> None:
    encrypted = bytes.fromhex(recording("wire/tc66c_encrypted.hex").read_text())
    plain = bytes.fromhex(recording("wire/tc66c_plain.hex").read_text())
    assert pick(b"firm" + encrypted, cipher()) == plain
    with expected_bytes((b"getva", encrypted), (b"getva", b"firm\x00noise" + encrypted)) as wire:
        source = Tc66c(wire=wire)
        source.open()
        reading = source.read()
        source.close()
    assert (reading.volts, reading.amps, reading.watts) == (5.1609, 0.0199, 0.1026)
    assert (source.identity, source.moved_bytes) == ("TC66 48724", 2 * (5 + LENGTH) + 10)
    frame = decode(plain)
    assert (frame.model, frame.firmware, frame.serial, frame.runs) == ("TC66", "1.18", 48724, 40)
    assert (frame.volts, frame.amps, frame.watts, frame.ohms) == (5.1609, 0.0199, 0.1026, 259.3)
    assert [counted.coulombs for counted in frame.groups] == [0, 0]
    assert [counted.joules for counted in frame.groups] == [pytest.approx(18.0), 0]
    assert (frame.celsius, frame.data_plus_volts, frame.data_minus_volts) == (27, 2.81, 2.80)


def test_reads_and_counts(tmp_path: Path) -> None:
    device = Tc66cDevice(volts=20.1234, amps=1.23456, celsius=-5)
    device.mah, device.mwh = 1000, 5000
    with PtyMeter(device, tmp_path / "ttyACM0") as line:
        source = Tc66c(line.address)
        assert isinstance(source, Source)
        source.open()
        reading = source.read()
        source.close()
    assert (reading.volts, reading.amps) == pytest.approx((20.1234, 1.23456))
    assert reading.watts == pytest.approx(20.1234 * 1.23456, abs=1e-4)
    assert source.identity == "TC66 48724"
    counted = source.counters()
    assert counted is not None
    assert (counted.joules, counted.coulombs) == pytest.approx((18000, 3600))
    assert source.moved_bytes == 2 * (5 + LENGTH)
    assert decode(device.plain()).celsius == -5


def test_what_it_shows_late_is_within_the_uncertainty(tmp_path: Path) -> None:
    """5 W step to 10 W in the last second, and the meter shows it up to half a second later."""
    device = Tc66cDevice(volts=5.0, amps=1.0)

    def late(n: int) -> None:
        device.amps = 2.0 if n >= 18 else 1.0  # from 3.6 s on, though it flowed since 3.1 s

    with PtyMeter(device, tmp_path / "ttyACM0") as line:
        usage = measured(Tc66c(line.address), late, seconds=4.0)
    assert abs(usage.joules - (5.0 * 3.1 + 10.0 * 0.9)) <= usage.uncertainty < 4.0
    assert "window edges" in usage.explain()


def test_keeps_the_drivers_contract(tmp_path: Path) -> None:
    with PtyMeter(Tc66cDevice(), tmp_path / "ttyACM0") as line:
        assert len(check_source(lambda: Tc66c(line.address))) == 6
    check_unplugged(lambda: Tc66c(line.address))


def test_unplugged_and_back(tmp_path: Path) -> None:
    with PtyMeter(Tc66cDevice(), tmp_path / "ttyACM0") as line:
        source = Tc66c(line.address)
        source.open()
        line.unplug()
        with pytest.raises(SourceMissing):
            source.read()
        line.plug()
        assert source.read().volts == pytest.approx(5.0)
        source.close()


def test_another_meter_on_the_same_port_is_not_taken_for_the_first(tmp_path: Path) -> None:
    device = Tc66cDevice()
    with PtyMeter(device, tmp_path / "ttyACM0") as line:
        source = Tc66c(line.address)
        source.open()
        device.serial = 999
        with pytest.raises(SourceMissing, match="is now TC66 999, not TC66 48724"):
            source.read()
        device.serial = 48724
        assert source.read().volts == pytest.approx(5.0)
        source.close()


def test_silence_and_bad_options() -> None:
    with expected_bytes((b"getva", b"")) as wire, pytest.raises(SourceTimeout, match="did not answer"):
        Tc66c(wire=wire, timeout=0.01).open()
    with pytest.raises(SpecError):
        Tc66c(timeout=-1)


def test_without_cryptography_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    with pytest.raises(ExtraMissing, match=r"edge-energymeter\[tc66c\]"):
        Tc66c("/dev/null").open()


@given(st.integers(0, LENGTH - 1), st.integers(1, 255))
def test_no_changed_byte_passes_the_three_crcs(offset: int, flip: int) -> None:
    plain = bytearray(Tc66cDevice().plain())
    plain[offset] ^= flip
    assert fault(bytes(plain)) is not None
    with pytest.raises(ValueError, match="Not a TC66C answer"):
        decode(bytes(plain))


@given(st.binary(max_size=250))
def test_any_bytes_are_dropped_or_stepped_over(noise: bytes) -> None:
    decrypt = cipher()
    assert pick(noise, decrypt) is None
    plain = Tc66cDevice().plain()
    assert pick(noise + encrypt(plain), decrypt) == plain
    assert pick(encrypt(plain)[:-1], decrypt) is None
