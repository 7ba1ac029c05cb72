"""Atorch meters against recorded frames, an emulated pushing meter, and any bytes."""

import csv
from itertools import islice, pairwise
from pathlib import Path

import pytest
from devices.atorch import MuteListener, report
from devices.pty_meter import PtyMeter
from devices.real_recordings import recording
from hypothesis import given
from hypothesis import strategies as st

from energymeter.clock import ManualClock
from energymeter.drivers.atorch import LENGTH, Atorch, decode, fault, split
from energymeter.errors import SourceMissing, SourceTimeout
from energymeter.reading import Reading
from energymeter.source import Source
from energymeter.testing import check_source, check_unplugged


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


def test_six_seconds_of_a_dl24_at_twenty_amps() -> None:
    """Frames that syssi/esphome-atorch-dl24 quotes in its decoder: 20 A fill 0.01 Ah in 1.8 s."""
    rows = ["004E20 0013FA 1A 09", "004E1E 0013FA 1B 08", "004E21 0013FB 1C 15"]
    rows += ["004E20 0013FC 1D 16", "004E1B 0013FC 1E 0A", "004E23 0013FD 1F 1C"]
    reports = []
    for row in rows:
        amps, charge, second, check = row.split()
        middle = "00000011 000000 00000000 0025 000221"
        reports.append(
            decode(bytes.fromhex(f"FF550102 000020{amps}{charge}{middle}{second}3C00000000{check}"))
        )
    assert {(report.volts, report.watts, report.celsius) for report in reports} == {(3.2, None, 37)}
    assert [report.amps for report in reports] == [20.0, 19.998, 20.001, 20.0, 19.995, 20.003]
    assert [report.clock_seconds for report in reports] == list(range(9206, 9212))
    counted = (reports[-1].counters.coulombs or 0.0) - (reports[0].counters.coulombs or 0.0)
    flowed = sum(report.amps for report in reports[1:])
    assert counted == pytest.approx(flowed, abs=36.0), "within one step of 0.01 Ah"
    assert reports[0].counters.joules == 170 * 3600.0
    assert reports[0].counters.coulombs == pytest.approx(51.14 * 3600)


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


def test_a_recorded_mains_meter_whose_notification_was_cut() -> None:
    """A public capture of its Bluetooth LE notifications, 20 and 16 bytes; power factor 0x0337 is 0.823."""
    first, second = "ff5501010008f6000edf001c180000003106 1ab1", "01f30337001a000000003c00000000e3"
    frames, rest, _ = split(bytes.fromhex(first))
    assert (frames, len(rest)) == ([], 20)
    (frame,), rest, dropped = split(rest + bytes.fromhex(second))
    assert (rest, dropped) == (b"", 0)
    found = decode(frame)
    assert (found.kind, found.volts, found.amps, found.watts) == (1, 229.4, 3.807, 719.2)
    assert found.volts * found.amps * 0.823 == pytest.approx(719.2, rel=0.001)
    assert (found.celsius, found.counters.joules) == (26, 0.49 * 3.6e6)


def test_streams_what_is_pushed_and_counts_what_is_missing(tmp_path: Path) -> None:
    with PtyMeter(MuteListener(), tmp_path / "rfcomm0") as line:
        source = Atorch(line.address)
        assert isinstance(source, Source)
        source.open()
        broken = bytearray(report(3, 507, 50, 3, 2, seconds=12))
        broken[5] ^= 1
        first, second = report(3, 507, 50, 1, 1, seconds=10), report(3, 507, 51, 2, 1, seconds=11)
        line.say(b"\x55noise" + first + second + bytes(broken) + report(3, 507, 52, 4, 2, seconds=13))
        fresh = [reading for reading in islice(source.stream(), 3) if reading.fresh]
        assert [reading.amps for reading in fresh] == [0.50, 0.51, 0.52]
        assert all(reading.volts == 5.07 and reading.watts is None for reading in fresh)
        stamps = [reading.at_ns or 0 for reading in fresh]
        assert [at - stamps[0] for at in stamps] == [0, 1_000_000_000, 3_000_000_000]
        assert (source.lost, source.dropped) == (1, 1)
        counted = source.counters()
        assert counted is not None
        assert counted.coulombs == pytest.approx(4 * 3.6)
        source.close()


class Heard:
    """Reports that arrive at given times on a clock moved by hand."""

    place = "emulated"
    moved_bytes = 0

    def __init__(self, clock: ManualClock, *arrivals: tuple[float, bytes]) -> None:
        self.clock, self.arrivals = clock, list(arrivals)

    def open(self) -> None: ...

    def close(self) -> None: ...

    def write(self, data: bytes) -> None:
        raise AssertionError("a byte was sent to the meter")

    def read(self, seconds: float) -> bytes:
        now = self.clock.monotonic_ns() / 1e9
        if not self.arrivals or self.arrivals[0][0] > now + seconds:
            self.clock.sleep(seconds)
            return b""
        self.clock.sleep(self.arrivals[0][0] - now)
        return self.arrivals.pop(0)[1]


def heard(*arrivals: tuple[float, bytes]) -> Atorch:
    """A meter that is opened, and falls silent after these."""
    clock = ManualClock()
    source = Atorch(wire=Heard(clock, *arrivals), clock=clock)
    source.open()
    return source


def all_of(source: Atorch) -> list[Reading]:
    found: list[Reading] = []
    with pytest.raises(SourceTimeout):
        found.extend(one for one in source.stream() if one.fresh)
    return found


def stamps_of(*arrivals: tuple[float, bytes]) -> list[float]:
    return [(one.at_ns or 0) / 1e9 for one in all_of(heard(*arrivals))]


def test_reports_are_stamped_by_their_arrival_and_a_heap_is_spread() -> None:
    seconds = [report(3, 500, 100, 0, 0, seconds=n) for n in range(6)]
    jitter = [(1.0, seconds[0]), (2.15, seconds[1]), (4.01, seconds[2] + seconds[3]), (5.0, seconds[4])]
    assert stamps_of(*jitter) == pytest.approx([1.0, 2.15, 3.01, 4.01, 5.0])


def test_what_the_meters_clock_does_changes_no_stamp() -> None:
    same = report(3, 500, 100, 0, 0, seconds=7)
    other = report(3, 501, 100, 0, 0, seconds=7)
    assert stamps_of((1.0, same), (1.1, same)) == [1.0], "sent twice"
    assert stamps_of((1.0, same), (1.6, other)) == [1.0, 1.6]
    assert stamps_of((1.0, same), (1.2, other)) == [1.0, 1.2], "soon, and another one"
    assert stamps_of((1.0, same), (2.0, same), (3.0, same)) == [1.0, 2.0, 3.0], "it stands still"
    assert stamps_of((1.0, same), (2.0, report(3, 500, 100, 0, 0, seconds=0))) == [1.0, 2.0], "it was reset"
    assert stamps_of((1.0, same), (3.0, same + other)) == [1.0, 2.0, 3.0], "a heap, while it stands still"


@pytest.mark.parametrize(
    ("kind", "counters"),
    [
        (1, (0x01020304 * 36000.0, None)),  # 0.01 kWh
        (2, (0x01020304 * 36000.0, 0x0A0B0C * 36.0)),  # and 0.01 Ah
        (3, (0x01020304 * 36.0, 0x0A0B0C * 3.6)),  # 0.01 Wh, and 1 mAh
    ],
)
def test_each_byte_of_the_counters_and_of_the_clock_counts(
    kind: int, counters: tuple[float, float | None]
) -> None:
    found = decode(
        report(kind, 0x010203, 0x040506, 0x0A0B0C, 0x01020304, seconds=300 * 3600 + 125, celsius=0x0102)
    )
    assert (found.counters.joules, found.counters.coulombs) == pytest.approx(counters)
    assert (found.clock_seconds, found.celsius) == (300 * 3600 + 125, 0x0102)
    volts, amps = {1: (10, 1000), 2: (10, 1000), 3: (100, 100)}[kind]
    assert (found.volts, found.amps) == pytest.approx((0x010203 / volts, 0x040506 / amps))
    assert found.watts == (pytest.approx(0x0A0B0C / 10) if kind == 1 else None)


def test_a_clock_of_whole_seconds_makes_no_false_misses() -> None:
    """Reports every 1.0008 s: every 20 minutes the meter's clock seems to skip a second, and none is lost."""
    flow = [(n * 1.0008 + 0.9995, n) for n in range(3000)]
    source = heard(*((at, report(3, 500, 100, 0, 0, seconds=int(at))) for at, _ in flow))
    assert len(all_of(source)) == 3000
    assert source.lost == 0


def test_reports_that_did_not_come_are_lost() -> None:
    flow = [(float(n), report(3, 500, 100, 0, 0, seconds=n)) for n in range(20) if n not in (7, 8, 12)]
    source = heard(*flow)
    assert len(all_of(source)) == 17
    assert source.lost == 3


@pytest.mark.parametrize(
    ("at", "seconds", "lost"),
    [(4.0, 4, 2), (4.0, 3, 1), (4.0, 2, 0), (4.0, 1, 0), (4.0, 0, 0), (2.0, 4, 0), (2.6, 9, 1)],
)
def test_a_second_is_lost_if_both_clocks_have_counted_it(at: float, seconds: int, lost: int) -> None:
    """After a report at 1 s, when the meter's clock showed 1 s."""
    source = heard(
        (1.0, report(3, 500, 100, 0, 0, seconds=1)), (at, report(3, 501, 100, 0, 0, seconds=seconds))
    )
    assert len(all_of(source)) == 2
    assert source.lost == lost


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_keeps_the_drivers_contract(kind: int, tmp_path: Path) -> None:
    clock = ManualClock()
    wire = Heard(clock, *((float(n), report(kind, 500, 100, 0, 0, seconds=n)) for n in range(20)))
    assert len(check_source(lambda: Atorch(wire=wire, clock=clock))) == 6
    check_unplugged(lambda: Atorch(str(tmp_path / "rfcomm0")))


def test_the_integral_of_the_readings_agrees_with_the_meters_counters() -> None:
    flow = []
    for second in range(0, 91):
        counted = (int(second * 1.04 / 3.6), int(second * 1.04 * 11.76 / 36))
        flow.append((second * 1.0006, report(3, 1176, 104, *counted, seconds=second)))
    clock = ManualClock()
    source = Atorch(wire=Heard(clock, *flow), clock=clock)
    source.open()
    readings = [one for one in islice(source.stream(), 455) if one.fresh]
    assert len(readings) == 91
    pace = [((b.at_ns or 0) - (a.at_ns or 0)) / 1e9 for a, b in pairwise(readings)]
    joules = sum((one.volts or 0) * (one.amps or 0) * dt for one, dt in zip(readings, pace, strict=False))
    coulombs = sum((one.amps or 0) * dt for one, dt in zip(readings, pace, strict=False))
    end = source.counters()
    assert end is not None
    assert end.agree(joules, coulombs, gain=0.002) is True
    assert end.agree(joules / 10, coulombs) is False


def test_read_waits_for_the_next_report_and_unplugging_is_reported(tmp_path: Path) -> None:
    with PtyMeter(MuteListener(), tmp_path / "rfcomm0") as line:
        source = Atorch(line.address)
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
