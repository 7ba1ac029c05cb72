"""The emulated INA219 against the datasheet."""

import errno
import json

import pytest
from devices.real_recordings import recording
from devices.waves import Square, Steps, steady
from smbus2 import i2c_msg

from energymeter.clock import ManualClock
from energymeter.drivers.emulated.ina219 import Ina219Chip


def swap(word: int) -> int:
    return (word & 0xFF) << 8 | word >> 8


def get(chip: Ina219Chip, register: int) -> int:
    return swap(chip.read_word_data(0x40, register))


def put(chip: Ina219Chip, register: int, value: int) -> None:
    chip.write_word_data(0x40, register, swap(value))


def test_reset_values() -> None:
    chip = Ina219Chip(steady(1.0), ManualClock().monotonic_ns)
    assert [get(chip, r) for r in range(6)] == [0x399F, 0, 0, 0, 0, 0]


def test_calibration_bit_0_is_fixed_at_0() -> None:
    chip = Ina219Chip(steady(1.0), ManualClock().monotonic_ns)
    put(chip, 5, 0xFFFF)
    assert get(chip, 5) == 0xFFFE


def test_datasheet_example() -> None:
    """SBOS448G 9.2.2.1: 2 mΩ, 10 A, 11.98 V, current step 1 mA."""
    path = recording("wire/ina219_registers_golden.json")
    golden = json.loads(path.read_text())
    example = {k: int(v, 16) for k, v in golden["datasheet_example"].items() if str(v).startswith("0x")}
    words = {k: int(v, 16) for k, v in golden["smbus_words_little_endian"].items() if str(v).startswith("0x")}
    clock = ManualClock()
    chip = Ina219Chip(steady(10.0, volts=11.98), clock.monotonic_ns, shunt=0.002)
    put(chip, 5, example["calibration"])
    put(chip, 0, example["config"])
    clock.sleep(0.01)
    assert chip.read_word_data(0x40, 1) == words["shunt"]
    assert get(chip, 1) == example["shunt"]
    assert get(chip, 2) & ~2 == example["bus"] & ~2
    assert get(chip, 4) == example["current"]
    assert get(chip, 3) == example["power"]


def test_ready_flag_is_set_by_a_whole_cycle_and_cleared_by_power_or_mode() -> None:
    clock = ManualClock()
    chip = Ina219Chip(steady(1.0), clock.monotonic_ns)
    clock.sleep(0.001063)
    assert not get(chip, 2) & 2
    clock.sleep(0.000002)
    assert get(chip, 2) & 2
    assert get(chip, 2) & 2, "reading the bus voltage does not clear it"
    get(chip, 3)
    assert not get(chip, 2) & 2
    clock.sleep(0.001065)
    assert get(chip, 2) & 2
    put(chip, 0, 0x399F)
    assert not get(chip, 2) & 2


def test_ready_flag_in_the_other_reading_of_the_datasheet() -> None:
    clock = ManualClock()
    chip = Ina219Chip(steady(1.0), clock.monotonic_ns, status_clears=True)
    clock.sleep(0.0011)
    assert get(chip, 2) & 2
    assert not get(chip, 2) & 2


def test_blind_to_current_while_it_converts_the_bus() -> None:
    """12 bit both: 532 µs look at the shunt, then 532 µs do not."""
    clock = ManualClock()
    chip = Ina219Chip(Square(0.001064, high=2.0, low=0.0), clock.monotonic_ns)
    clock.sleep(0.00107)
    assert get(chip, 1) == 20000, "mean is 1 A, but it saw the high half only"


def test_averages_over_all_its_conversions() -> None:
    clock = ManualClock()
    chip = Ina219Chip(Steps([(0.034048, 1.0), (9.0, 2.0)]), clock.monotonic_ns)
    put(chip, 0, 0x3800 | 15 << 3 | 7)
    clock.sleep(0.0682)
    assert get(chip, 1) == 15000


@pytest.mark.parametrize(("gain", "limit"), [(0, 4000), (1, 8000), (2, 16000), (3, 32000)])
@pytest.mark.parametrize("sign", [1, -1])
def test_clips_at_the_full_scale_of_each_gain(gain: int, limit: int, sign: int) -> None:
    clock = ManualClock()
    chip = Ina219Chip(steady(sign * 5.0), clock.monotonic_ns)
    put(chip, 0, 1 << 13 | gain << 11 | 3 << 7 | 3 << 3 | 7)
    clock.sleep(0.01)
    assert get(chip, 1) == (sign * limit) & 0xFFFF


def test_overflow_is_of_the_arithmetic_only() -> None:
    clock = ManualClock()
    chip = Ina219Chip(steady(3.0), clock.monotonic_ns)
    clock.sleep(0.01)
    assert not get(chip, 2) & 1
    put(chip, 5, 0xFFFE)
    assert get(chip, 2) & 1


def test_reset_bit_and_brown_out() -> None:
    chip = Ina219Chip(steady(1.0), ManualClock().monotonic_ns)
    for by_bit in (True, False):
        put(chip, 0, 0x199F)
        put(chip, 5, 4096)
        if by_bit:
            put(chip, 0, 0x8000)
        else:
            chip.brown_out()
        assert (get(chip, 0), get(chip, 5)) == (0x399F, 0)


def test_triggered_mode_converts_once_and_power_down_never() -> None:
    clock = ManualClock()
    chip = Ina219Chip(steady(1.0), clock.monotonic_ns)
    put(chip, 0, 0x3998 | 3)
    clock.sleep(0.01)
    assert get(chip, 2) & 2
    get(chip, 3)
    clock.sleep(0.01)
    assert not get(chip, 2) & 2
    put(chip, 0, 0x3998)
    clock.sleep(0.01)
    assert not get(chip, 2) & 2


def test_plain_transfers_give_the_high_byte_first() -> None:
    clock = ManualClock()
    chip = Ina219Chip(steady(0.2), clock.monotonic_ns)
    clock.sleep(0.01)
    answer = i2c_msg.read(0x40, 2)
    chip.i2c_rdwr(i2c_msg.write(0x40, [1]), answer)
    assert bytes(answer) == bytes([0x07, 0xD0])
    assert chip.read_i2c_block_data(0x40, 1, 2) == [0x07, 0xD0]
    chip.i2c_rdwr(i2c_msg.write(0x40, [5, 0x10, 0x00]))
    assert get(chip, 5) == 4096


def test_nobody_answers_elsewhere_or_when_switched_off() -> None:
    chip = Ina219Chip(steady(1.0), ManualClock().monotonic_ns)
    with pytest.raises(OSError, match="emulated") as caught:
        chip.read_word_data(0x41, 0)
    assert caught.value.errno == errno.EREMOTEIO
    chip.nacks, chip.nack_errno = 1, errno.ENXIO
    with pytest.raises(OSError, match="emulated") as caught:
        chip.read_word_data(0x40, 0)
    assert caught.value.errno == errno.ENXIO
    assert get(chip, 0) == 0x399F


# SBOS448G table 5: 9 to 12 bits, and 2 to 128 averages of 12 bits; bit 2 of a code below 8 means nothing
_SINGLE = (84, 148, 276, 532)
MICROSECONDS = (*_SINGLE, *_SINGLE, 532, *(532 * averages for averages in (2, 4, 8, 16, 32, 64, 128)))
STEPS_OF = (8, 4, 2, 1, 8, 4, 2, 1, *[1] * 8)


@pytest.mark.parametrize("code", range(16))
@pytest.mark.parametrize(("shift", "mode"), [(3, 5), (7, 6)])
def test_each_code_takes_its_time(code: int, shift: int, mode: int) -> None:
    clock = ManualClock()
    chip = Ina219Chip(steady(1.0), clock.monotonic_ns)
    put(chip, 0, 1 << 13 | 3 << 11 | code << shift | mode)
    clock.sleep((MICROSECONDS[code] - 0.001) * 1e-6)
    assert not get(chip, 2) & 2
    clock.sleep(1e-9)
    assert get(chip, 2) & 2


@pytest.mark.parametrize("code", range(16))
def test_fewer_bits_are_coarser_steps(code: int) -> None:
    """1.0007 A over 0.1 Ω are 10 007 counts of 10 µV; 5.013 V are 1253.25 of 4 mV."""
    clock = ManualClock()
    chip = Ina219Chip(steady(1.0007, volts=5.013), clock.monotonic_ns)
    put(chip, 0, 1 << 13 | 3 << 11 | code << 7 | code << 3 | 7)
    clock.sleep(0.2)
    step = STEPS_OF[code]
    assert get(chip, 1) == 10007 // step * step
    assert get(chip, 2) >> 3 == round(1253.25 / step) * step


@pytest.mark.parametrize(
    ("mode", "shunt", "bus", "again"),
    [
        (0, 0, 0, False),  # power down
        (1, 10000, 0, False),  # shunt, once
        (2, 0, 1250, False),  # bus, once
        (3, 10000, 1250, False),
        (4, 0, 0, False),  # converter off
        (5, 10000, 0, True),
        (6, 0, 1250, True),
        (7, 10000, 1250, True),
    ],
)
def test_what_each_mode_converts(mode: int, shunt: int, bus: int, again: bool) -> None:
    clock = ManualClock()
    chip = Ina219Chip(steady(1.0, volts=5.0), clock.monotonic_ns)
    put(chip, 0, 0x3998 | mode)
    clock.sleep(0.01)
    assert (get(chip, 1), get(chip, 2) >> 3) == (shunt, bus)
    assert bool(get(chip, 2) & 2) is (mode not in (0, 4))
    get(chip, 3)
    clock.sleep(0.01)
    assert bool(get(chip, 2) & 2) is again


@pytest.mark.parametrize(
    ("range_bit", "volts", "counts"), [(0, 17.0, 4000), (1, 17.0, 4250), (1, 33.0, 8000)]
)
def test_the_bus_range_is_16_or_32_volts(range_bit: int, volts: float, counts: int) -> None:
    clock = ManualClock()
    chip = Ina219Chip(steady(0.1, volts=volts), clock.monotonic_ns)
    put(chip, 0, range_bit << 13 | 0x199F & ~(1 << 13))
    clock.sleep(0.01)
    assert get(chip, 2) >> 3 == counts


def test_errors_of_a_real_chip() -> None:
    """Each gain has an offset of its own, the bus a gain, and the clock a pace."""
    clock = ManualClock()
    chip = Ina219Chip(
        steady(0.1, volts=5.0),
        clock.monotonic_ns,
        offsets=(1e-5, 2e-5, 3e-5, 4e-5),
        bus_gain=1.004,
        slowness=1.1,
    )
    for gain in range(4):
        put(chip, 0, 1 << 13 | gain << 11 | 3 << 7 | 3 << 3 | 7)
        clock.sleep(1.0639e-3 * 1.1)
        assert not get(chip, 2) & 2
        clock.sleep(2e-6)
        assert (get(chip, 1), get(chip, 2) >> 3) == (1001 + gain, 1255)


@pytest.mark.parametrize(
    ("calibration", "amps", "volts", "current", "power", "overflows"),
    [
        (4096, 1.0, 5.0, 10000, 2500, False),
        (4096, -1.0, 5.0, -10000 & 0xFFFF, 2500, False),  # the power is a magnitude
        (8192, 1.6382, 2.0, 32764, 3276, False),
        (8192, 1.6384, 2.0, 32768, 3276, True),
        (8192, -1.6384, 2.0, 0x8000, 3276, False),
        (8192, 1.6, 26.0, 32000, 41600, False),
        (0xFFFE, 0.2, 26.0, 31999, 41598, False),
        (0, 1.0, 5.0, 0, 0, False),
    ],
)
def test_the_arithmetic_registers(
    calibration: int, amps: float, volts: float, current: int, power: int, overflows: bool
) -> None:
    """SBOS448F: current is shunt times calibration over 4096, power is current times bus over 5000."""
    clock = ManualClock()
    chip = Ina219Chip(steady(amps, volts=volts), clock.monotonic_ns)
    put(chip, 5, calibration)
    clock.sleep(0.01)
    assert get(chip, 4) == current
    assert bool(get(chip, 2) & 1) is overflows
    assert get(chip, 3) == power


def test_block_and_plain_transfers_begin_at_the_register_that_was_named() -> None:
    clock = ManualClock()
    chip = Ina219Chip(steady(0.2), clock.monotonic_ns)
    answer = i2c_msg.read(0x40, 3)
    chip.i2c_rdwr(answer)
    assert bytes(answer) == bytes([0x39, 0x9F, 0x39]), (
        "after power-on that is the configuration, over and over"
    )
    chip.write_i2c_block_data(0x40, 5, [0x10, 0x00, 0xFF])
    chip.i2c_rdwr(answer)
    assert bytes(answer) == bytes([0x10, 0x00, 0x10]), "and then the last one that was written"
    get(chip, 0)
    chip.i2c_rdwr(answer)
    assert bytes(answer) == bytes([0x39, 0x9F, 0x39]), "or read"
    put(chip, 5, 0x2000)
    chip.i2c_rdwr(answer)
    assert bytes(answer) == bytes([0x20, 0x00, 0x20])
    assert chip.writes == [(5, 0x1000), (5, 0x2000)]
    assert get(chip, 9) == 0, "there is no such register"
    chip.nacks = 2
    for _ in range(2):
        with pytest.raises(OSError, match="emulated"):
            chip.read_i2c_block_data(0x41, 0, 2)
    assert chip.nacks == 0
    assert chip.read_i2c_block_data(0x40, 0, 2) == [0x39, 0x9F]


def test_noise_is_added_to_each_conversion_and_clipped_with_it() -> None:
    clock, added = ManualClock(), iter([1e-4, -1e-4, 1.0, 3e-4] * 50)
    chip = Ina219Chip(steady(0.1), clock.monotonic_ns, noise=lambda: next(added))
    put(chip, 0, 1 << 13 | 10 << 3 | 5)  # four averages at 40 mV, of 1000 counts of 10 µV
    clock.sleep(4 * 532e-6)
    assert get(chip, 1) == round((1010 + 990 + 4000 + 1030) / 4)
