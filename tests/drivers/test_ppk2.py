"""The PPK2's decoder and driver against an emulated instrument, and any bytes."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from devices.ppk2 import Ppk2Wire, metadata, words
from devices.pty_meter import PtyMeter
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from energymeter.clock import ManualClock
from energymeter.drivers.ppk2 import Ppk2
from energymeter.drivers.protocols.ppk2 import Bin, Decoder, parse_calibration
from energymeter.errors import SourceMissing, SourceTimeout, SpecError
from energymeter.reading import Reading
from energymeter.source import Source
from energymeter.testing import check_source, check_unplugged

CALIBRATION = parse_calibration(metadata())


def steady(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.full(len(seconds), 0.02)


def sweep(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Through all five ranges: 1 µA to 0.5 A and back, every 50 ms."""
    return 1e-6 * 10.0 ** (5.7 * np.abs(np.sin(np.pi * seconds / 0.05)))


def emulated(load: object = steady, **options: float) -> tuple[Ppk2, Ppk2Wire]:
    clock = ManualClock()
    wire = Ppk2Wire(clock, load)  # type: ignore[arg-type]
    return Ppk2(wire=wire, clock=clock, **options), wire  # type: ignore[arg-type]


def fresh(source: Ppk2) -> Iterator[Reading]:
    return (reading for reading in source.stream() if reading.fresh)


def decode(data: bytes, per_bin: int = 1) -> tuple[list[Bin], Decoder]:
    decoder = Decoder(CALIBRATION, 3.7, per_bin)
    return decoder.feed(data), decoder


def test_the_calibration_text_keeps_zeros_and_reports_what_is_missing() -> None:
    assert CALIBRATION.calibrated is True
    assert CALIBRATION.constants["R"][4] == 0.0564
    assert CALIBRATION.constants["GS"] == (0.0,) * 5, "0 is a value, not an absence"
    assert (CALIBRATION.supply_volts, CALIBRATION.mode, CALIBRATION.missing) == (3.7, 2, ())
    bare = parse_calibration("Calibrated: 0\nR0: nan\ngarbage\nO1: x\nHW: 9173\nEND")
    assert bare.calibrated is False
    assert bare.constants["R"][0] == 1031.64
    assert len(bare.missing) == 35
    assert (bare.supply_volts, bare.mode) == (None, None)


def test_one_word_by_hand() -> None:
    flow = b"".join((1000 | 2 << 14 | n << 18).to_bytes(4, "little") for n in range(8))
    ratio = (4 * 1000 - 70.5) * (1.8 / 163840) / 10.3027
    assert [one.amps for one in decode(flow)[0]] == pytest.approx([1.002 * ratio] * 8)


def test_every_constant_has_its_place_in_the_formula() -> None:
    """r = (4 ADC - O) * 1.8 / 163840 / R; I = UG * (r * (GS * r + GI) + S * V + I0) (pc-nrfconnect-ppk)."""
    ranges = {
        "R": (1000.0, 100.0, 10.0, 1.0, 0.05),
        "GS": (0.1, 0.2, 0.3, 0.4, 0.5),
        "GI": (1.01, 1.02, 1.03, 1.04, 1.05),
        "O": (10.0, 20.0, 30.0, 40.0, 50.0),
        "S": (1e-8, 2e-8, 3e-8, 4e-8, 5e-8),
        "I": (1e-7, 2e-7, 3e-7, 4e-7, 5e-7),
        "UG": (0.9, 0.95, 1.0, 1.05, 1.1),
    }
    calibration = CALIBRATION._replace(constants=ranges)
    for place in range(5):
        r, gs, gi, o, s, i0, ug = (values[place] for values in ranges.values())
        for adc in (0, 1, 5000, 0x3FFE):
            flow = b"".join((adc | place << 14 | n << 18).to_bytes(4, "little") for n in range(8))
            ratio = (4 * adc - o) * 1.8 / 163840 / r
            amps = ug * (ratio * (gs * ratio + gi) + s * 3.3 + i0)
            found = Decoder(calibration, 3.3, 8).feed(flow)
            assert [(one.samples, one.amps, one.least, one.greatest) for one in found] == [
                (8, pytest.approx(amps), pytest.approx(amps), pytest.approx(amps))
            ]


def test_a_line_without_a_number_hides_no_constant_after_it() -> None:
    found = parse_calibration("garbage\nR0: 5\nO1: x\nR1: 6\nI0: 1e12\nI1: -9e11\nVDD: 0\n")
    assert (found.constants["R"][0], found.constants["R"][1]) == (5.0, 6.0)
    assert "I0" in found.missing, "no such number"
    assert found.constants["I"][1] == -9e11
    assert (found.supply_volts, found.calibrated) == (0.0, None)


def test_words_that_may_still_be_in_step_wait_and_no_others() -> None:
    def flow(*counters: int) -> bytes:
        return b"".join((1000 | 2 << 14 | n << 18).to_bytes(4, "little") for n in counters)

    found, decoder = decode(flow(*range(10), 13))
    assert len(found) == 10, "what comes next shows whether 13 is a loss"
    assert len(decoder.feed(flow(14, 15))) == 3
    assert (decoder.lost, decoder.tick) == (3, 16)
    found, decoder = decode(flow(*range(10), 13, 20))
    assert len(found) == 10
    assert len(decoder.feed(flow(21))) == 3
    assert (decoder.lost, decoder.tick) == (9, 22)


@pytest.mark.parametrize("rate", [10, 100, 1000, 5000])
def test_a_sweep_through_all_ranges_keeps_its_charge(rate: float) -> None:
    source, _ = emulated(sweep, volts=3.3)
    assert isinstance(source, Source)
    source.tune(rate)
    source.open()
    readings = list(islice(fresh(source), int(rate)))
    seconds = sum(reading.seconds or 0 for reading in readings)
    coulombs = sum((reading.amps or 0) * (reading.seconds or 0) for reading in readings)
    joules = sum((reading.watts or 0) * (reading.seconds or 0) for reading in readings)
    true = float(np.mean(sweep(np.arange(int(seconds * 1e5 + 0.5)) / 1e5)) * seconds)
    assert seconds == pytest.approx(1, abs=0.01)
    assert coulombs == pytest.approx(true, rel=2e-4)
    assert joules == pytest.approx(3.3 * true, rel=2e-4)
    assert (source.lost, source.saturated) == (0, 0)
    least, greatest = source.extremes or (0, 0)
    assert least <= (readings[-1].amps or 0) <= greatest


def test_stamps_are_the_ends_of_the_intervals() -> None:
    source, wire = emulated()
    wire.chunk = 333
    source.open()
    readings = list(islice(fresh(source), 50))
    stamps = [reading.at_ns or 0 for reading in readings]
    assert stamps == [stamps[0] + n * 10_000_000 for n in range(50)]
    assert {round((reading.seconds or 0) * 1e5) for reading in readings} == {1000}
    assert {reading.volts for reading in readings} == {None}, "nobody said the voltage"
    assert {reading.watts for reading in readings} == {None}


def test_losses_below_sixty_four_are_exact_and_leave_their_time_out() -> None:
    source, wire = emulated()
    wire.lose = [(1500, 1), (2500, 63), (4990, 20)]
    source.open()
    readings = list(islice(fresh(source), 10))
    assert source.lost == 84
    assert [round((reading.seconds or 0) * 1e5) for reading in readings] == [
        1000, 999, 937, 1000, 990, 990, 1000, 1000, 1000, 1000,
    ]  # fmt: skip
    stamps = [reading.at_ns or 0 for reading in readings]
    assert stamps[9] - stamps[0] == 90_000_000


def test_a_loss_of_whole_wraps_is_found_by_the_host_clock() -> None:
    source, wire = emulated()
    wire.lose = [(100_000, 6400)]
    source.tune(10)
    source.open()
    list(islice(fresh(source), 80))
    assert source.lost == 6400


def test_long_intervals_still_let_the_sampler_stop() -> None:
    source, _ = emulated()
    source.tune(0.5)
    source.open()
    first = list(islice(source.stream(), 5))
    assert not any(reading.fresh for reading in first)


@pytest.mark.parametrize("volts", [0.0, 3.3])
def test_keeps_the_drivers_contract(volts: float, tmp_path: Path) -> None:
    clock = ManualClock()
    wire = Ppk2Wire(clock, steady)
    assert len(check_source(lambda: Ppk2(volts=volts, wire=wire, clock=clock))) == 6
    check_unplugged(lambda: Ppk2(str(tmp_path / "ttyACM0")))


def test_what_is_sent_in_each_mode() -> None:
    source, wire = emulated(volts=3.3, source=True)
    source.open()
    assert wire.commands == [b"\x07", b"\x19", b"\x0d\x0c\xe4", b"\x0c\x01", b"\x06"]
    source.close()
    assert wire.commands[5:] == [b"\x07"], "the device under test stays on"
    source, wire = emulated(volts=5.0, leave_on=False)
    source.open()
    assert wire.commands == [b"\x07", b"\x19", b"\x11\x01", b"\x0c\x01", b"\x06"]
    source.close()
    source.close()
    assert wire.commands[5:] == [b"\x07", b"\x0c\x00"]


def test_a_flow_left_running_by_a_killed_program_is_silenced_first() -> None:
    source, wire = emulated()
    wire.open()
    wire.write(b"\x06")
    source.open()
    assert source.calibration == CALIBRATION
    assert source.read().amps == pytest.approx(0.02, abs=25e-6)


def test_silence_unplugging_and_coming_back() -> None:
    source, wire = emulated()
    source.open()
    wire.mute = True
    with pytest.raises(SourceTimeout, match="stopped sending"):
        list(source.stream())
    wire.mute = False
    assert source.read().amps == pytest.approx(0.02, abs=25e-6)
    wire.plugged = False
    with pytest.raises(SourceMissing):
        [source.read() for _ in range(3)]
    wire.plugged = True
    assert source.read().amps == pytest.approx(0.02, abs=25e-6)
    source.close()
    with pytest.raises(SourceMissing, match="not open"):
        source.read()


def test_the_wrong_port_is_reported(tmp_path: Path) -> None:
    class Mute:
        def receive(self, data: bytes) -> bytes:
            return b"x" * 70_000 if 0x19 in data else b""

    with PtyMeter(Mute(), tmp_path / "ttyACM1") as line, pytest.raises(SourceTimeout, match="other one"):
        Ppk2(line.address).open()


@pytest.mark.parametrize(
    "bad", [{"source": True}, {"source": True, "volts": 5.5}, {"volts": -1.0}, {"volts": 9.0}]
)
def test_voltages_out_of_range_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(SpecError):
        Ppk2(**bad)  # type: ignore[arg-type]
    with pytest.raises(SpecError):
        Ppk2().tune(0)


def test_codes_at_the_stop_are_counted_and_ranges_that_do_not_exist_are_dropped() -> None:
    flow = words(np.full(100, 0.01))
    flow[10] |= 0x3FFF
    flow[20] = flow[20] & ~np.uint32(7 << 14) | np.uint32(6 << 14)
    bins, decoder = decode(flow.astype("<u4").tobytes())
    assert (decoder.saturated, decoder.lost, len(bins)) == (1, 1, 99)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 700), max_size=20), st.integers(1, 90))
def test_any_chopping_gives_the_same_bins(sizes: list[int], per_bin: int) -> None:
    flow = words(sweep(np.arange(1500) / 1e5)).astype("<u4").tobytes()
    whole, _ = decode(flow, per_bin)
    decoder, parts, at = Decoder(CALIBRATION, 3.7, per_bin), [], 0
    for size in [*sizes, len(flow)]:
        parts += decoder.feed(flow[at : at + size])
        at += size
    assert [(one.end_tick, one.samples) for one in parts] == [(one.end_tick, one.samples) for one in whole]
    assert [one.amps for one in parts] == pytest.approx([one.amps for one in whole])


@settings(max_examples=60)
@given(st.binary(max_size=40), st.integers(20, 3900), st.integers(0, 7))
def test_noise_and_missing_bytes_cost_only_what_they_touch(noise: bytes, at: int, gone: int) -> None:
    flow = words(np.full(1000, 0.01)).astype("<u4").tobytes()
    broken = noise + flow[:at] + flow[at + gone :]
    bins, _ = decode(broken)
    right = [one for one in bins if abs(one.amps - 0.01) < 25e-6]  # half a code in this range
    assert len(right) >= 985
    assert len(bins) - len(right) <= 2 + len(noise) // 8


@settings(max_examples=60)
@given(st.binary(max_size=600))
def test_any_bytes_are_dropped_or_decoded(noise: bytes) -> None:
    bins, decoder = decode(noise)
    assert len(bins) <= len(noise) // 4
    assert decoder.lost >= 0


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e12", "-1e12"])
def test_a_constant_that_cannot_be_is_missing(value: str) -> None:
    read = parse_calibration(f"R0: {value}\nR1: 999999999999.0\n")
    assert "R0" in read.missing
    assert "R1" not in read.missing
    assert read.constants["R"][1] == 999999999999.0
