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
