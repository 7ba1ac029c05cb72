"""USB devices for the bench: an I²C adapter with emulated chips, two kinds of serial port, a HID meter."""

import struct
import threading
from collections import deque
from typing import Any, Protocol

from devices.fnirsi import FnirsiWire
from devices.pty_meter import SerialDevice

from energymeter.clock import SystemClock

from .usbip import Device, Setup, Stall, endpoint, interface

_BULK, _INTERRUPT = 2, 3


class Chip(Protocol):
    """An emulated chip, as the emulated buses of the unit tests have it."""

    def read_word_data(self, i2c_addr: int, register: int) -> int: ...
    def write_word_data(self, i2c_addr: int, register: int, value: int) -> None: ...
    def i2c_rdwr(self, *i2c_msgs: Any) -> None: ...


class I2cAdapter(Device):
    """i2c-tiny-usb: a true I²C adapter to the kernel, whose own driver it is plugged into.

    Its protocol is that of drivers/i2c/busses/i2c-tiny-usb.c: one control transfer a message, then the
    status (1: acknowledged, 2: nobody).
    """

    vid, pid, device_class = 0x0403, 0xC631, 0xFF
    texts = ("emulated", "i2c-tiny-usb", "I2C1")
    _I2C_AND_SMBUS = 0x0EFF0001
    _READ = 1

    def __init__(self, chips: dict[int, Chip]) -> None:
        self.chips = chips
        self.hung = threading.Event()
        """Set: the bus is held low, and no transfer ends."""
        self.transfers = 0
        self._pointers: dict[int, int] = {}
        self._status = 0

    def descriptors(self) -> bytes:
        return interface(0, 0, 0xFF)

    def vendor(self, setup: Setup, data: bytes) -> bytes:
        if setup.request == 1:
            return struct.pack("<I", self._I2C_AND_SMBUS)
        if setup.request == 3:
            return bytes([self._status])
        if not setup.request & 4:
            return b""
        if self.hung.is_set():
            raise Stall
        self.transfers += 1
        try:
            answer = self._message(setup, data)
            self._status = 1
        except OSError:
            answer, self._status = bytes(setup.length), 2
        return answer

    def _message(self, setup: Setup, data: bytes) -> bytes:
        address = setup.index
        if address not in self.chips:
            raise OSError("nobody acknowledges")
        chip = self.chips[address]
        if setup.value & self._READ:
            return self._read(chip, address, setup.length)
        if data:
            self._pointers[address] = data[0]
        if len(data) == 3:
            chip.write_word_data(address, data[0], int.from_bytes(data[1:], "little"))
        return b""

    def _read(self, chip: Chip, address: int, length: int) -> bytes:
        register = self._pointers.get(address, 0)
        if length == 2:
            return chip.read_word_data(address, register).to_bytes(2, "little")
        from smbus2 import i2c_msg

        answer = i2c_msg.read(address, length)
        chip.i2c_rdwr(i2c_msg.write(address, [register]), answer)
        return bytes(answer)


class _Serial(Device):
    """What both serial ports share: bytes to an emulated meter, and its answers back."""

    def __init__(self, meter: SerialDevice) -> None:
        self.meter = meter
        self.failures: list[BaseException] = []
        self._out = b""
        self._lock = threading.Lock()

    def take(self, endpoint: int, data: bytes) -> None:
        try:
            answer = self.meter.receive(data)
        except BaseException as error:  # noqa: BLE001 - a strict meter's complaint, reported by the test
            self.failures.append(error)
            return
        with self._lock:
            self._out += answer

    def _next(self, length: int) -> bytes:
        with self._lock:
            data, self._out = self._out[:length], self._out[length:]
        return data


class AcmPort(_Serial):
    """A meter with a serial port of the communications class: ``/dev/ttyACM0``, by cdc_acm."""

    vid, pid, device_class, interfaces = 0x1209, 0x0001, 2, 2
    texts = ("emulated", "ACM meter", "ACM1")

    def descriptors(self) -> bytes:
        functional = bytes.fromhex("0524001001 0524010001 04240202 0524060001".replace(" ", ""))
        control = interface(0, 1, 2, 2, 1) + functional + endpoint(0x83, _INTERRUPT, 8, 16)
        return control + interface(1, 2, 10) + endpoint(0x81, _BULK, 64, 0) + endpoint(0x02, _BULK, 64, 0)

    def of_class(self, setup: Setup, data: bytes) -> bytes:
        return bytes(7) if setup.request == 0x21 else b""

    def give(self, endpoint: int, length: int) -> bytes | None:
        return self._next(min(length, 64)) or None if endpoint == 1 else None


class FtdiPort(_Serial):
    """A meter behind an FT232R: ``/dev/ttyUSB0``, by ftdi_sio. Every packet begins with two status bytes."""

    vid, pid, version = 0x0403, 0x6001, 0x0600  # older chips want a length before what is sent
    texts = ("emulated", "FTDI meter", "FTDI1")
    _IDLE = b"\x01\x60"

    def descriptors(self) -> bytes:
        return interface(0, 2, 0xFF, 0xFF, 0xFF) + endpoint(0x81, _BULK, 64, 0) + endpoint(0x02, _BULK, 64, 0)

    def vendor(self, setup: Setup, data: bytes) -> bytes:
        return {5: self._IDLE, 10: b"\x10", 0x90: b"\xff\xff"}.get(setup.request, b"")

    def give(self, endpoint: int, length: int) -> bytes | None:
        data = self._next(62)
        return self._IDLE + data if data else None


_REPORT = bytes.fromhex(
    "0600ff0901a10109011500 26ff0075089540810209021500 26ff00750895409102c0".replace(" ", "")
)


class FnirsiHid(Device):
    """An FNB58 as a HID device: ``/dev/hidraw0``. The meter itself is the one of the unit tests."""

    vid, pid = 0x2E3C, 0x5558
    texts = ("FNIRSI", "FNB58", "SN58")

    def __init__(self, volts: float, amps: float) -> None:
        self.wire = FnirsiWire(SystemClock(), lambda seconds: (volts, amps))  # type: ignore[arg-type]
        self.wire.open()
        self.failures: list[BaseException] = []
        self._reports: deque[bytes] = deque()

    def descriptors(self) -> bytes:
        hid = struct.pack("<BBHBBBH", 9, 0x21, 0x0111, 0, 1, 0x22, len(_REPORT))
        ends = endpoint(0x81, _INTERRUPT, 64, 1) + endpoint(0x02, _INTERRUPT, 64, 1)
        return interface(0, 2, 3) + hid + ends

    def of_interface(self, setup: Setup) -> bytes:
        if setup.value >> 8 == 0x22:
            return _REPORT
        raise Stall

    def of_class(self, setup: Setup, data: bytes) -> bytes:
        return bytes(setup.length)

    def take(self, endpoint: int, data: bytes) -> None:
        try:
            if data[1] == 0x81:  # a program begins again
                self.wire.open()
            self.wire.write(data)
        except BaseException as error:  # noqa: BLE001 - a strict meter's complaint, reported by the test
            self.failures.append(error)

    def give(self, endpoint: int, length: int) -> bytes | None:
        return self.wire.read(0.0) or None
