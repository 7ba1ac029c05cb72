"""One chip on an I²C bus, its registers, and what its errors mean.

Everything goes over SMBus words where it fits, because every adapter can do them. The chips of the
INA family send the high byte first and SMBus words come low byte first, so each word is swapped here,
once. Registers wider than 16 bits need a plain I²C transfer.
"""

from __future__ import annotations

import errno
import os

from energymeter.errors import (
    SourceBusy,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    SpecError,
    not_open,
)
from energymeter.lazy import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import socket
    from typing import Any

_NOBODY = (errno.EREMOTEIO, errno.ENXIO, errno.ENODEV, errno.EIO)


class Wire(Protocol):
    """What is needed of ``smbus2.SMBus``; an emulated bus offers the same."""

    def read_word_data(self, i2c_addr: int, register: int) -> int: ...
    def write_word_data(self, i2c_addr: int, register: int, value: int) -> None: ...
    def i2c_rdwr(self, *i2c_msgs: Any) -> None: ...
    def close(self) -> None: ...


def parse_address(address: str) -> tuple[int, int]:
    """Split ``"1:0x40"`` into the numbers of bus and chip; a bare ``"0x41"`` is on bus 1.

    Raises:
        SpecError: it is neither, or the chip is outside 0x08..0x77 (7 bits less the reserved).
    """
    bus_text, colon, chip_text = address.rpartition(":")
    try:
        bus = int(bus_text, 10) if colon else 1
        chip = int(chip_text, 0)
    except ValueError:
        raise SpecError(f"{address!r} is not an I²C address: write bus:address, such as 1:0x40") from None
    if bus < 0 or not 0x08 <= chip <= 0x77:
        raise SpecError(f"{address!r} is outside I²C's range: the bus is 0 or more, the chip 0x08 to 0x77")
    return bus, chip


class Chip:
    """One chip at one address.

    Args:
        address: ``bus:address``.
        wire: an open bus to use instead of ``/dev/i2c-N``; it stays its owner's to close.
        root: where ``/dev`` and ``/sys`` are looked up.
    """

    def __init__(self, address: str, wire: Wire | None = None, root: str = "/") -> None:
        self.bus, self.address = parse_address(address)
        self.moved_bytes = 0
        self._given = wire
        self._wire: Wire | None = None
        self._claim: socket.socket | None = None
        self._root = root
        self._path = os.path.join(root, f"dev/i2c-{self.bus}")

    def __str__(self) -> str:
        return f"{self.bus}:0x{self.address:02x}"

    def open(self) -> None:
        """Open the bus; nothing is sent yet.

        Raises:
            SourceMissing: no such bus.
            SourceForbidden: it is not for this user.
            SourceBusy: another process reads this chip.
        """
        self.close()
        if self._given is not None:
            self._wire = self._given
            return
        self._claim = _claim(self.bus, self.address)
        try:
            self._wire = self.open_bus()
        except OSError:
            self.close()
            raise

    def open_bus(self) -> Wire:
        """The bus by itself, for who closes it himself.

        Raises:
            SourceError: as `open`.
        """
        try:
            from smbus2 import SMBus
        except ImportError as error:
            raise SourceMissing(f"I²C needs Linux and smbus2 ({error}): pip install smbus2") from error
        try:
            return SMBus(self._path)
        except OSError as error:
            raise self.explain(error) from error

    def _no_bus(self) -> str:
        """What to do where there is no such bus."""
        try:
            names = os.listdir(os.path.dirname(self._path))
        except OSError:
            names = []
        buses = sorted(int(n[4:]) for n in names if n.startswith("i2c-") and n[4:].isdigit())
        if buses:
            have = ", ".join(map(str, buses))
            return f"there is no {self._path}: use bus {have}, or enable I2C for bus {self.bus}"
        return (
            f"there is no {self._path} nor any other I²C bus: enable I2C (on a Raspberry Pi: "
            "sudo raspi-config nonint do_i2c 0; elsewhere: sudo modprobe i2c-dev)"
        )

    def close(self) -> None:
        """Let go of the bus; twice is fine."""
        wire, self._wire = self._wire, None
        claim, self._claim = self._claim, None
        if wire is not None and wire is not self._given:
            wire.close()
        if claim is not None:
            claim.close()

    def word(self, register: int) -> int:
        """Read a 16-bit register, unsigned."""
        try:
            low_first = self._bus().read_word_data(self.address, register)
        except OSError as error:
            raise self.explain(error) from error
        self.moved_bytes += 5  # address, pointer, address again, two of data
        return (low_first & 0xFF) << 8 | low_first >> 8

    def write(self, register: int, value: int) -> None:
        """Write a 16-bit register."""
        try:
            self._bus().write_word_data(self.address, register, (value & 0xFF) << 8 | value >> 8)
        except OSError as error:
            raise self.explain(error) from error
        self.moved_bytes += 4

    def wide(self, register: int, size: int) -> int:
        """Read a register of ``size`` bytes, high byte first, unsigned."""
        from smbus2 import i2c_msg

        answer = i2c_msg.read(self.address, size)
        try:
            self._bus().i2c_rdwr(i2c_msg.write(self.address, [register]), answer)
        except OSError as error:
            raise self.explain(error) from error
        self.moved_bytes += 3 + size
        return int.from_bytes(bytes(answer), "big")

    def _bus(self) -> Wire:
        if self._wire is None:
            raise not_open(f"the chip at {self}")
        return self._wire

    def explain(self, error: OSError) -> SourceError:
        """The sentence for what a transfer's errno means on this bus."""
        if isinstance(error, SourceError):
            return error
        number = error.errno
        if number in _NOBODY:
            return SourceMissing(
                f"nobody answers at {self} (errno {number}): check VCC, GND, SDA, SCL and the address "
                f"(i2cdetect -y {self.bus} shows who is there)"
            )
        if number == errno.ENOENT:
            return SourceMissing(self._no_bus())
        if number in (errno.EACCES, errno.EPERM):
            return SourceForbidden(
                f"{self._path} is for root and group i2c only: sudo usermod -aG i2c $USER, then log in again"
            )
        if number == errno.EBUSY:
            return SourceBusy(self._who_is_bound())
        if number in (errno.ETIMEDOUT, errno.EAGAIN):
            return SourceTimeout(
                f"bus {self.bus} stalled while talking to {self} (errno {number}): check pull-ups and cable"
            )
        if number == errno.EOPNOTSUPP:
            return SourceError(
                f"the adapter of bus {self.bus} speaks SMBus words only and this chip has wider registers: "
                "wire it to another bus"
            )
        if number == errno.ENOTTY:
            return SourceMissing(f"{self._path} is not an I²C bus: name another one")
        return SourceError(f"reading {self} failed ({error}): check the wiring and try again")

    def _who_is_bound(self) -> str:
        device = os.path.join(self._root, f"sys/bus/i2c/devices/{self.bus}-{self.address:04x}")
        try:
            driver = os.path.basename(os.readlink(os.path.join(device, "driver")))
        except OSError:
            driver = "unknown"
        return (
            f"{self} belongs to the kernel driver {driver}: read it through hwmon (and check its "
            f"shunt_resistor, 10 mΩ unless set), or free it with: echo {self.bus}-{self.address:04x} | "
            f"sudo tee {device}/driver/unbind"
        )


def _claim(bus: int, address: int) -> socket.socket:
    """Take the chip for this process: two readers would clear each other's flags and change the range.

    The claim is a socket in Linux's abstract name space: no file, and it is gone when its process is.
    """
    import socket
    import struct

    name = f"\0energymeter/i2c-{bus}-0x{address:02x}"
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(name)
        claim.listen(1)
        return claim
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return claim  # no such name space here, so no claims either
        claim.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(0.1)
        try:
            asking.connect(name)
            pid = str(struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])
        except OSError:
            pid = "unknown"
    raise SourceBusy(f"{bus}:0x{address:02x} is being read by process {pid}: stop it first")
