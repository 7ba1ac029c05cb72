"""The I²C link: places, byte order, and every errno as a sentence."""

import errno
from pathlib import Path

import pytest
import smbus2
from devices.waves import steady

from energymeter.clock import ManualClock
from energymeter.drivers.emulated.ina219 import Ina219Chip
from energymeter.drivers.links import i2c
from energymeter.errors import (
    SourceBusy,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    SpecError,
)


def emulated() -> Ina219Chip:
    return Ina219Chip(steady(1.0), ManualClock().monotonic_ns)


@pytest.mark.parametrize(
    ("place", "expected"),
    [("1:0x41", (1, 0x41)), ("0x45", (1, 0x45)), ("7:64", (7, 64)), ("20:0X4f", (20, 0x4F))],
)
def test_place(place: str, expected: tuple[int, int]) -> None:
    assert i2c.parse_address(place) == expected


@pytest.mark.parametrize(
    "place", ["", "1:", ":0x40", "one:0x40", "1:0x78", "1:0x07", "-1:0x40", "1:2:0x40", "1:0xZZ"]
)
def test_bad_place(place: str) -> None:
    with pytest.raises(SpecError, match=r"1:0x40|0x08 to 0x77"):
        i2c.parse_address(place)


def test_words_arrive_swapped_and_are_counted() -> None:
    chip = i2c.Chip("1:0x40", emulated())
    chip.open()
    assert chip.word(0) == 0x399F
    chip.write(5, 0x1234)
    assert chip.word(5) == 0x1234
    assert chip.moved_bytes == 5 + 4 + 5


def test_wide_register() -> None:
    chip = i2c.Chip("1:0x40", emulated())
    chip.open()
    assert chip.wide(0, 2) == 0x399F
    assert chip.moved_bytes == 5


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (
            errno.EREMOTEIO,
            SourceMissing,
            r"nobody answers at 1:0x40 \(errno 121\): check VCC.*i2cdetect -y 1",
        ),
        (errno.ENXIO, SourceMissing, r"nobody answers at 1:0x40 \(errno 6\)"),
        (errno.ENODEV, SourceMissing, r"nobody answers at 1:0x40 \(errno 19\)"),
        (errno.EIO, SourceMissing, r"nobody answers at 1:0x40 \(errno 5\)"),
        (errno.EBUSY, SourceBusy, r"kernel driver unknown: .*hwmon.*/1-0040/driver/unbind"),
        (errno.ETIMEDOUT, SourceTimeout, "bus 1 stalled.*pull-ups"),
        (errno.EAGAIN, SourceTimeout, "bus 1 stalled"),
        (errno.EOPNOTSUPP, SourceError, "SMBus words only"),
        (errno.EMFILE, SourceError, "check the wiring"),
    ],
)
def test_what_an_errno_means(number: int, kind: type[SourceError], words: str) -> None:
    wire = emulated()
    wire.nacks, wire.nack_errno = 3, number
    chip = i2c.Chip("1:0x40", wire, root="/nonexistent")
    chip.open()
    for transfer in (lambda: chip.word(1), lambda: chip.write(0, 1), lambda: chip.wide(1, 3)):
        with pytest.raises(kind, match=words):
            transfer()
    assert chip.moved_bytes == 0


def test_kernel_driver_is_named(tmp_path: Path) -> None:
    device = tmp_path / "sys/bus/i2c/devices/1-0040"
    device.mkdir(parents=True)
    (device / "driver").symlink_to("../../../bus/i2c/drivers/ina2xx")
    wire = emulated()
    wire.nacks, wire.nack_errno = 1, errno.EBUSY
    chip = i2c.Chip("1:0x40", wire, root=str(tmp_path))
    chip.open()
    with pytest.raises(SourceBusy, match=r"kernel driver ina2xx.*shunt_resistor, 10 mΩ"):
        chip.word(0)


def test_no_bus_at_all(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match=r"nor any other I²C bus: enable I2C .*raspi-config"):
        i2c.Chip("1:0x40", root=str(tmp_path)).open()


def test_other_buses_are_named(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    for name in ("i2c-7", "i2c-0", "i2c-20", "i2c-x"):
        (tmp_path / "dev" / name).touch()
    with pytest.raises(SourceMissing, match="use bus 0, 7, 20, or enable I2C for bus 1"):
        i2c.Chip("1:0x40", root=str(tmp_path)).open()


@pytest.mark.not_emulated("it does not know the ioctl that is refused")
def test_a_file_is_not_a_bus(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/i2c-3").touch()
    with pytest.raises(SourceMissing, match=r"i2c-3 is not an I²C bus"):
        i2c.Chip("3:0x40", root=str(tmp_path)).open()


def test_no_permission_names_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(smbus2, "SMBus", refuse)
    with pytest.raises(SourceForbidden, match=r"/dev/i2c-1 .*group i2c only: sudo usermod -aG i2c \$USER"):
        i2c.Chip("1:0x40").open()


def test_second_reader_learns_who_is_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smbus2, "SMBus", lambda path: emulated())
    first, second, other = i2c.Chip("99:0x40"), i2c.Chip("99:0x40"), i2c.Chip("99:0x41")
    first.open()
    other.open()
    with pytest.raises(SourceBusy, match=r"99:0x40 is being read by process \d+: stop it"):
        second.open()
    first.close()
    second.open()
    for chip in (second, other):
        chip.close()


def test_close_forgives_and_leaves_a_given_wire_open() -> None:
    class Wire(Ina219Chip):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    wire = Wire(steady(1.0), ManualClock().monotonic_ns)
    chip = i2c.Chip("1:0x40", wire)
    chip.close()
    chip.open()
    chip.close()
    chip.close()
    assert wire.closed == 0
    with pytest.raises(SourceMissing, match="not open"):
        chip.word(0)
