"""A true I²C bus with emulated chips on it, for ours and for the kernel's own drivers."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from devices.ina import Ina226, Ina228, Ina238, Ina260, Ina3221, saturate
from devices.waves import steady

from energymeter import EnergyMeter
from energymeter.drivers.emulated.ina219 import Ina219Chip

from .usb_devices import Chip, I2cAdapter
from .usbip import Device, Plugged

Plug = Callable[[Device], Plugged]
now = time.monotonic_ns


class WholeIna3221(Ina3221):
    """With the limit registers that the kernel's driver sets, and a reset bit."""

    limits: dict[int, int]

    def brown_out(self) -> None:
        self.limits = {}
        super().brown_out()

    def read(self, register: int) -> tuple[int, int]:
        try:
            return super().read(register)
        except OSError:
            return self.limits.get(register, 0), 2

    def write(self, register: int, value: int) -> None:
        if register == 0 and value & 0x8000:
            self.brown_out()
        elif register == 0:
            super().write(register, value)
        else:
            self.limits[register] = value


class WholeIna238(Ina238):
    """With current and power by the calibration that the kernel's driver sets, and limits (TI SBOSA20)."""

    calibration = 0x1000

    def read(self, register: int) -> tuple[int, int]:
        amps = saturate(self.shunt_volts() / self.step(), 16) * self.calibration // 65536
        if register == 7:
            return amps, 2
        if register == 8:
            return round(amps * self.bus_volts() / 0.2), 3
        return super().read(register)

    def write(self, register: int, value: int) -> None:
        if register == 2:
            self.calibration = value
        elif not 0x0C <= register <= 0x11:
            super().write(register, value)


CHIPS: dict[str, Callable[[], Chip]] = {
    "ina219": lambda: Ina219Chip(steady(0.5, volts=5.0), now),
    "ina226": lambda: Ina226([steady(0.5, volts=5.0)], now, [0.1]),
    "ina228": lambda: Ina228([steady(0.5, volts=5.0)], now, [0.1]),
    "ina238": lambda: WholeIna238([steady(0.5, volts=5.0)], now, [0.1]),
    "ina260": lambda: Ina260([steady(0.5, volts=5.0)], now, [0.002]),
    "ina3221": lambda: WholeIna3221([steady(0.5, volts=5.0)] * 3, now, [0.1] * 3),
}
"""Every chip of the family at 5 V and 0.5 A, on each of its rails."""


class Bus:
    """An adapter with chips, and the number the kernel gave it."""

    def __init__(self, plug: Plug, chips: dict[int, Chip]) -> None:
        self.adapter = I2cAdapter(chips)
        self.plugged = plug(self.adapter)
        (name,) = until(lambda: nodes("i2c"), "I²C bus")
        self.node = name
        self.number = int(name.removeprefix("/dev/i2c-"))
        until(lambda: os.path.exists(name), "device node")

    def bind(self, chip: str, address: int = 0x40) -> Path:
        """Let a kernel driver have the chip."""
        self._devices("new_device", f"{chip} 0x{address:02x}")
        return Path(f"/sys/bus/i2c/devices/{self.number}-{address:04x}")

    def release(self, address: int = 0x40) -> None:
        self._devices("delete_device", f"0x{address:02x}")

    def _devices(self, file: str, text: str) -> None:
        Path(f"/sys/bus/i2c/devices/i2c-{self.number}/{file}").write_text(text)


@contextlib.contextmanager
def module(name: str) -> Any:
    """A kernel module, loaded for a while: several claim the same chips."""
    assert os.system(f"modprobe {name}") == 0
    try:
        yield
    finally:
        os.system(f"modprobe -r {name}")


def until(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """What ``condition`` returns, once it is true; the kernel takes its time to bind a driver."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    pytest.fail(f"no {what} within {seconds:g} s")


def nodes(kind: str) -> list[str]:
    """Device nodes of plugged-in devices: ``i2c``, ``ttyACM``, ``ttyUSB`` or ``hidraw``."""
    if kind != "i2c":
        return [str(path) for path in sorted(Path("/dev").glob(f"{kind}*"))]
    found = []
    for name in Path("/sys/class/i2c-dev").glob("i2c-*/name"):
        with contextlib.suppress(OSError):  # unplugged while we looked
            if "tiny" in name.read_text():
                found.append(f"/dev/{name.parent.name}")
    return found


def measured(spec: str, seconds: float = 3.0, rate_hz: float = 20.0) -> float:
    """Watts of all rails together, each over the time it was seen: on a slow bus they begin apart."""
    with EnergyMeter(spec, rate_hz=rate_hz) as meter:
        time.sleep(seconds)
    assert meter.usage.coverage > 0.2
    return sum(usage.mean_watts or 0.0 for usage in meter.usages.values())
