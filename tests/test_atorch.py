"""Atorch meters against recorded frames, an emulated pushing meter, and any bytes."""

import csv
from itertools import islice
from pathlib import Path

import pytest
from devices.atorch import MuteListener, report
from devices.pty_meter import PtyMeter
from devices.shared_data import recording
from hypothesis import given
from hypothesis import strategies as st

from energymeter.drivers.atorch import LENGTH, Atorch, decode, fault, split
from energymeter.errors import SourceMissing
from energymeter.source import Source


def test_the_recorded_frames() -> None:
    with recording("wire/atorch_frames.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9
    for row in rows:
        found = decode(bytes.fromhex(row["frame_hex"]))
        assert (found.kind, found.celsius) == (int(row["type"]), int(row["temp_C"]))
        assert found.volts == pytest.approx(float(row["volt_V"]))
        assert found.amps == pytest.approx(float(row["amp_A"]))
        assert found.counters.joules is not None
        if found.kind == 3:
            assert found.counters.joules == pytest.approx(float(row["Wh"]) * 3600)
            assert found.counters.coulombs == pytest.approx(int(row["Ah_or_W_raw"]) * 3.6)
        else:  # the column holds the raw number / 100, which is in kWh on these meters
            assert found.counters.joules == pytest.approx(float(row["Wh"]) * 3.6e6)


def test_energy_over_charge_is_a_voltage_the_meter_can_see() -> None:
    with recording("wire/atorch_frames.csv").open() as file:
        for row in csv.DictReader(file):
            found = decode(bytes.fromhex(row["frame_hex"]))
            if found.counters.coulombs and found.counters.joules:
                mean_volts = found.counters.joules / found.counters.coulombs
                assert 4 < mean_volts < 24 if found.kind == 3 else 0.8 < mean_volts / found.volts < 1.2


def test_an_ac_meter_measures_power() -> None:
    found = decode(report(1, 2308, 14, 4, 510, seconds=3661))
    assert (found.volts, found.amps, found.watts) == (230.8, 0.014, 0.4)
    assert (found.counters.joules, found.counters.coulombs) == (5.1 * 3.6e6, None)
    assert found.clock_seconds == 3661


def test_streams_what_is_pushed_and_counts_what_is_missing(tmp_path: Path) -> None:
    with PtyMeter(MuteListener(), tmp_path / "rfcomm0") as line:
        source = Atorch(line.place)
        assert isinstance(source, Source)
        source.open()
        broken = bytearray(report(3, 507, 50, 3, 2, seconds=12))
        broken[5] ^= 1
        line.say(b"\x55noise" + report(3, 507, 50, 1, 1, seconds=10) + report(3, 507, 51, 2, 1, seconds=11))
        line.say(bytes(broken) + report(3, 507, 52, 4, 2, seconds=13))
        fresh = [reading for reading in islice(source.stream(), 3) if reading.fresh]
        assert [reading.amps for reading in fresh] == [0.50, 0.51, 0.52]
        assert all(reading.volts == 5.07 and reading.watts is None for reading in fresh)
        stamps = [reading.at_ns for reading in fresh]
        assert None not in stamps
        assert stamps == sorted(stamps, key=lambda at: at or 0)
        assert (source.lost, source.dropped) == (1, 1)
        counted = source.counters()
        assert counted is not None
        assert counted.coulombs == pytest.approx(4 * 3.6)
        source.close()


def test_read_waits_for_the_next_report_and_unplugging_is_told(tmp_path: Path) -> None:
    with PtyMeter(MuteListener(), tmp_path / "rfcomm0") as line:
        source = Atorch(line.place)
        source.open()
        line.say(report(2, 282, 60, 1236, 32, seconds=5))
        reading = source.read()
        assert (reading.volts, reading.amps) == (28.2, 0.06)
        assert source.facts.amps is not None
        assert source.facts.amps.resolution == 0.001
        line.unplug()
        with pytest.raises(SourceMissing):
            source.read()
        line.plug()
        assert not next(source.stream()).fresh, "nothing said yet, but the port is open again"
        line.say(report(2, 282, 61, 1236, 32, seconds=6))
        assert source.read().amps == 0.061
        source.close()
        source.close()


@given(st.integers(2, LENGTH - 1), st.integers(1, 255))
def test_no_single_changed_byte_passes_the_checksum(offset: int, flip: int) -> None:
    bad = bytearray(report(3, 507, 50, 1592, 785, seconds=67))
    bad[offset] ^= flip
    assert fault(bytes(bad)) is not None
    with pytest.raises(ValueError, match="Not an Atorch report"):
        decode(bytes(bad))


@given(st.lists(st.integers(1, 40), max_size=12), st.binary(max_size=50))
def test_frames_survive_any_chopping_and_noise(sizes: list[int], noise: bytes) -> None:
    good = [report(3, 500 + n, n, n, n, seconds=n) for n in range(3)]
    flow = noise + b"".join(good)
    found, rest, at = [], b"", 0
    for size in [*sizes, len(flow)]:
        frames, rest, _ = split(rest + flow[at : at + size])
        found += frames
        at += size
    assert found[-2:] == good[-2:], "noise can cost the frame it touches, no more"


@given(st.binary(max_size=300))
def test_any_bytes_are_dropped_or_decoded(noise: bytes) -> None:
    frames, rest, _ = split(noise)
    for frame in frames:
        decode(frame)
    assert len(rest) < LENGTH
