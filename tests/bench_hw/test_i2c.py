"""Our INA drivers over a true /dev/i2c-N, and the kernel's own drivers on the same chip."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from devices.ina import Device as InaDevice
from devices.ina import Ina226, Ina228, Ina3221
from devices.waves import Square, steady

from energymeter import EnergyMeter
from energymeter.drivers._chip import Ina219Chip
from energymeter.errors import SourceBusy, SourceMissing

from .conftest import nodes, opened, until
from .usb_devices import Chip, I2cAdapter
from .usbip import Device, Plugged

Plug = Callable[[Device], Plugged]
now = time.monotonic_ns


class Bus:
    """An adapter with chips, and the number the kernel gave it."""

    def __init__(self, plug: Plug, chips: dict[int, Chip]) -> None:
        self.adapter = I2cAdapter(chips)
        self.plugged = plug(self.adapter)
        (name,) = until(lambda: nodes("i2c"), "I²C bus")
        self.number = int(name.removeprefix("/dev/i2c-"))
        until(lambda: os.path.exists(f"/dev/i2c-{self.number}"), "device node")

    def bind(self, chip: str, address: int) -> Path:
        """Let a kernel driver have the chip."""
        self._devices("new_device", f"{chip} 0x{address:02x}")
        return Path(f"/sys/bus/i2c/devices/{self.number}-{address:04x}")

    def release(self, address: int) -> None:
        self._devices("delete_device", f"0x{address:02x}")

    def _devices(self, file: str, text: str) -> None:
        Path(f"/sys/bus/i2c/devices/i2c-{self.number}/{file}").write_text(text)


@pytest.fixture
def ina219(plug: Plug) -> tuple[Bus, Ina219Chip]:
    chip = Ina219Chip(steady(0.5, volts=5.0), now)
    return Bus(plug, {0x40: chip}), chip


def measured(spec: str, seconds: float = 4.0, rate_hz: float = 20.0) -> float:
    """Watts of all rails together, each over the time it was seen: on a slow bus they begin apart."""
    with EnergyMeter(spec, rate_hz=rate_hz) as meter:
        time.sleep(seconds)
    assert meter.usage.coverage > 0.2
    return sum(usage.mean_watts or 0.0 for usage in meter.usages.values())


CHIPS = {
    "ina219": lambda: Ina219Chip(steady(0.5, volts=5.0), now),
    "ina226": lambda: Ina226([steady(0.5, volts=5.0)], now, [0.1]),
    "ina228": lambda: Ina228([steady(0.5, volts=5.0)], now, [0.1]),
    "ina3221": lambda: Ina3221([steady(0.5, volts=5.0)] * 3, now, [0.1] * 3),
}


@pytest.mark.parametrize("driver", CHIPS)
def test_the_family_over_i2c_dev(plug: Plug, driver: str) -> None:
    bus = Bus(plug, {0x40: CHIPS[driver]()})
    watts = measured(f"{driver}@{bus.number}:0x40?shunt=0.1")
    rails = 3 if driver == "ina3221" else 1
    assert watts == pytest.approx(2.5 * rails, rel=0.05), "read slowly, the edges are coarse"


@pytest.mark.parametrize("driver", ["ina219", "ina228"])
def test_rate(plug: Plug, rate: Callable[[str, float], None], driver: str) -> None:
    bus = Bus(plug, {0x40: CHIPS[driver]()})
    source = opened(f"{driver}@{bus.number}:0x40?shunt=0.1")
    reads, began = 0, time.monotonic()
    while time.monotonic() - began < 2:
        source.read()
        reads += 1
    source.close()
    rate(f"{driver} (USB adapter)", reads / 2)
    assert reads > 10


def test_rate_of_the_smbus_path_itself(rate: Callable[[str, float], None]) -> None:
    """i2c-stub has no wire: what remains is the kernel's SMBus path and our driver."""
    os.system("modprobe i2c-stub chip_addr=0x40")
    names = Path("/sys/class/i2c-dev").glob("*/name")
    (number,) = [int(n.parent.name[4:]) for n in names if "stub" in n.read_text().lower()]
    from smbus2 import SMBus

    with SMBus(number) as bus:
        for register, word in ((1, 5000), (2, 1250 << 3 | 2)):
            bus.write_word_data(0x40, register, (word & 0xFF) << 8 | word >> 8)
    source = opened(f"ina219@{number}:0x40?shunt=0.1")
    reads, began = 0, time.monotonic()
    while time.monotonic() - began < 2:
        reading = source.read()
        reads += 1
    source.close()
    assert (reading.volts, reading.amps) == (pytest.approx(5.0), pytest.approx(0.5))
    rate("ina219 (no wire)", reads / 2)
    os.system("modprobe -r i2c-stub")


def test_the_kernels_hwmon_and_iio_drivers_and_pi_ina219_agree(ina219: tuple[Bus, Ina219Chip]) -> None:
    """Shunt 10 mΩ is what ina2xx assumes: the true resistor is told with ?shunt=, to all of them."""
    bus, _ = ina219
    place = f"{bus.number}:0x40"
    watts = {"ours": measured(f"ina219@{place}?shunt=0.1")}
    os.system("modprobe ina2xx")
    device = bus.bind("ina219", 0x40)
    until(lambda: list(device.glob("hwmon/hwmon*")), "hwmon device")
    watts["hwmon"] = measured("hwmon@ina219?shunt=0.1", rate_hz=20)
    bus.release(0x40)
    os.system("modprobe -r ina2xx; modprobe ina2xx-adc")
    bus.bind("ina219", 0x40)
    until(lambda: list(Path("/sys/bus/iio/devices").glob("iio:device*")), "IIO device")
    watts["iio"] = measured("iio?shunt=0.1", rate_hz=20)
    bus.release(0x40)
    os.system("modprobe -r ina2xx-adc")
    try:
        import ina219 as _  # noqa: F401

        watts["pi-ina219"] = measured(f"ina219@{place}?shunt=0.1&backend=pi-ina219", rate_hz=20)
    except ImportError:
        print("pi-ina219 is not installed here: not compared")
    assert watts == {name: pytest.approx(2.5, rel=0.01) for name in watts}


def test_the_kernels_ina3221_agrees(plug: Plug) -> None:
    class Whole(Ina3221):
        """With the limit registers, which the kernel's driver sets, and a reset bit."""

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

    chip = Whole([steady(0.5, 5.0), steady(0.2, 12.0), steady(0.0, 3.3)], now, [0.01] * 3)
    bus = Bus(plug, {0x40: chip})
    ours = measured(f"ina3221@{bus.number}:0x40?shunt=0.01")
    os.system("modprobe ina3221")
    device = bus.bind("ina3221", 0x40)
    until(lambda: list(device.glob("hwmon/hwmon*")), "hwmon device")
    kernels = measured("hwmon@ina3221", rate_hz=10)
    bus.release(0x40)
    os.system("modprobe -r ina3221")
    assert ours == pytest.approx(2.5 + 2.4, rel=0.02)
    assert kernels == pytest.approx(ours, rel=0.02)


def test_a_chip_the_kernel_holds_is_busy_and_by_whom_is_told(ina219: tuple[Bus, Ina219Chip]) -> None:
    bus, _ = ina219
    os.system("modprobe ina2xx")
    bus.bind("ina219", 0x40)
    with pytest.raises(SourceBusy, match=r"kernel driver ina2xx.*hwmon.*unbind"):
        EnergyMeter(f"ina219@{bus.number}:0x40").__enter__()
    bus.release(0x40)
    os.system("modprobe -r ina2xx")


def test_nobody_at_an_address(ina219: tuple[Bus, Ina219Chip]) -> None:
    bus, _ = ina219
    with pytest.raises(SourceMissing, match="nobody answers"):
        EnergyMeter(f"ina219@{bus.number}:0x45").__enter__()


def test_a_nack_storm_is_a_gap(ina219: tuple[Bus, Ina219Chip]) -> None:
    bus, chip = ina219
    with EnergyMeter(f"ina219@{bus.number}:0x40?shunt=0.1", rate_hz=20) as meter:
        time.sleep(1.0)
        chip.nacks = 10**9
        time.sleep(1.0)
        chip.nacks = 0
        time.sleep(2.0)
    usage = meter.usage
    assert 0.05 < usage.coverage < 0.95
    assert usage.joules == pytest.approx(2.5 * usage.seconds * usage.coverage, rel=0.02)


def test_a_hung_bus_is_a_gap_and_comes_back(ina219: tuple[Bus, Ina219Chip]) -> None:
    bus, _ = ina219
    with EnergyMeter(f"ina219@{bus.number}:0x40?shunt=0.1", rate_hz=20) as meter:
        time.sleep(1.0)
        bus.adapter.hung.set()
        time.sleep(1.0)
        bus.adapter.hung.clear()
        time.sleep(2.0)
    usage = meter.usage
    assert 0.05 < usage.coverage < 0.95
    assert usage.joules == pytest.approx(2.5 * usage.seconds * usage.coverage, rel=0.02)


def test_an_unplugged_adapter_is_a_gap(ina219: tuple[Bus, Ina219Chip]) -> None:
    bus, _ = ina219
    with EnergyMeter(f"ina219@{bus.number}:0x40?shunt=0.1", rate_hz=20) as meter:
        time.sleep(1.0)
        bus.plugged.unplug()
        time.sleep(1.0)
    usage = meter.usage
    assert usage.coverage < 0.8
    assert usage.joules == pytest.approx(2.5 * usage.seconds * usage.coverage, rel=0.02)


def test_two_processes_on_one_chip(ina219: tuple[Bus, Ina219Chip]) -> None:
    bus, _ = ina219
    with (
        EnergyMeter(f"ina219@{bus.number}:0x40?shunt=0.1"),
        pytest.raises(SourceBusy, match="being read by process"),
    ):
        EnergyMeter(f"ina219@{bus.number}:0x40?shunt=0.1").__enter__()


def test_two_chips_of_one_bus_at_once(plug: Plug) -> None:
    chips: dict[int, InaDevice | Ina219Chip] = {
        0x40: Ina219Chip(steady(0.5, 5.0), now, address=0x40),
        0x41: Ina226([steady(0.2, 5.0)], now, [0.1], 0x41),
    }
    bus = Bus(plug, dict(chips))
    watts = measured(f"ina219@{bus.number}:0x40?shunt=0.1+ina226@{bus.number}:0x41?shunt=0.1")
    assert watts == pytest.approx(3.5, rel=0.01)


def test_a_waveform_played_through_the_chip(plug: Plug) -> None:
    """Bursts known exactly. The emulated bus gives a few samples a second: each edge is a little unsure."""
    wave = Square(period=2.0, high=1.2, low=0.3, volts=5.0)
    bus = Bus(plug, {0x40: Ina219Chip(wave, now)})
    with EnergyMeter(f"ina219@{bus.number}:0x40?shunt=0.1", rate_hz=20) as meter:
        time.sleep(10.0)
    usage = meter.usage
    measurement = meter._measurement
    assert measurement is not None
    span = measurement._whole
    true_joules = 5.0 * (wave.charge(span.end_ns) - wave.charge(span.start_ns))
    assert usage.joules / usage.coverage == pytest.approx(true_joules, rel=0.05)
