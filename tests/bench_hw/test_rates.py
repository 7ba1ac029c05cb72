"""How many readings a second each driver reaches through the kernel; kept for docs/meters.md.

Emulated device, kernel and driver share one emulated processor: a real machine is faster, a real bus slower.
"""

import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from devices.pty_meter import SerialDevice
from devices.pzem import PzemDevice
from devices.tc66c import Tc66cDevice
from devices.um import UmDevice

from energymeter.reading import Reading
from energymeter.source import Divided, Source, Streaming

from .conftest import OUT, opened
from .i2c_bus import CHIPS, Bus, Plug, module, nodes, now, until
from .usb_devices import AcmPort, FnirsiHid, FtdiPort

TRIES, SECONDS = 3, 0.5
Keep = Callable[[str, str, Source], None]


@pytest.fixture
def keep() -> Keep:
    """Read a source as fast as it goes, check what it says, and write down how fast that was."""
    assert OUT is not None
    path = Path(OUT) / "rates.json"

    def keep_rate(driver: str, through: str, source: Source) -> None:
        reads_hz, last = rate(source)
        source.close()
        assert reads_hz > 5
        assert (last.watts or 0) > 0 or (last.joules or 0) > 0 or (last.amps or 0) > 0
        kept = json.loads(path.read_text()) if path.exists() else {"machine": machine(), "rates": []}
        kept["rates"].append([driver, through, float(f"{reads_hz:.2g}")])
        path.write_text(json.dumps(kept))

    return keep_rate


def machine() -> str:
    """Where this was measured, but for what is outside of the virtual machine."""
    python = ".".join(map(str, sys.version_info[:2]))
    return f"Linux {platform.release()}, Python {python}, one processor emulated by QEMU (TCG)"


def rate(source: Source) -> tuple[float, Reading]:
    """Fresh readings a second in the best of some tries (the machine is shared), and the last of them."""
    parts = source.channels() if isinstance(source, Divided) else [source]
    readings = source.stream() if isinstance(source, Streaming) else None
    best, last = 0.0, Reading()
    for _ in range(TRIES):
        count, began_ns = 0, now()
        while now() - began_ns < SECONDS * 1e9:
            for reading in (next(readings),) if readings else [part.read() for part in parts]:
                if reading.fresh:
                    count, last = count + 1, reading
        best = max(best, count / len(parts) / ((now() - began_ns) * 1e-9))
    return best, last


@pytest.mark.parametrize("driver", CHIPS)
def test_a_chip_of_the_family(plug: Plug, keep: Keep, driver: str) -> None:
    bus = Bus(plug, {0x40: CHIPS[driver]()})
    keep(driver, "i2c-dev, a USB adapter", opened(f"{driver}@{bus.number}:0x40", fastest=True))


def test_pi_ina219(plug: Plug, keep: Keep) -> None:
    pytest.importorskip("ina219", reason="pi-ina219 is not installed here")
    bus = Bus(plug, {0x40: CHIPS["ina219"]()})
    source = opened(f"ina219@{bus.number}:0x40?backend=pi-ina219", fastest=True)
    keep("ina219", "i2c-dev, a USB adapter, pi-ina219", source)


def test_the_smbus_path_itself(keep: Keep) -> None:
    """i2c-stub has no wire: what remains is the kernel's SMBus path and our driver."""
    assert os.system("modprobe i2c-stub chip_addr=0x40") == 0
    names = Path("/sys/class/i2c-dev").glob("*/name")
    (number,) = [int(n.parent.name[4:]) for n in names if "stub" in n.read_text().lower()]
    from smbus2 import SMBus

    with SMBus(number) as bus:
        for register, word in ((1, 5000), (2, 1250 << 3 | 2)):
            bus.write_word_data(0x40, register, (word & 0xFF) << 8 | word >> 8)
    keep("ina219", "i2c-dev, no wire", opened(f"ina219@{number}:0x40", fastest=True))
    os.system("modprobe -r i2c-stub")


@pytest.mark.parametrize(
    ("driver", "kernels", "chip"), [("hwmon", "ina2xx", "ina219"), ("iio", "ina2xx-adc", "ina219")]
)
def test_a_chip_through_the_kernels_driver(
    plug: Plug, keep: Keep, driver: str, kernels: str, chip: str
) -> None:
    bus = Bus(plug, {0x40: CHIPS[chip]()})
    with module(kernels):
        bus.bind(chip)
        folder = {"hwmon": "/sys/class/hwmon/hwmon*/power1_input", "iio": "/sys/bus/iio/devices/iio:device*"}
        until(lambda: list(Path("/").glob(folder[driver][1:])), f"{driver} device")
        keep(driver, f"{kernels}, a USB adapter", opened({"hwmon": "hwmon@ina219", "iio": "iio"}[driver]))
        bus.release()


METERS: dict[str, Callable[[], SerialDevice]] = {
    "um24c": lambda: UmDevice("um24c"),
    "um25c": lambda: UmDevice("um25c"),
    "um34c": lambda: UmDevice("um34c"),
    "tc66c": Tc66cDevice,
    "pzem": PzemDevice,
}


@pytest.mark.parametrize("driver", METERS)
@pytest.mark.parametrize(
    ("through", "port", "node"), [("cdc_acm", AcmPort, "ttyACM"), ("ftdi_sio", FtdiPort, "ttyUSB")]
)
def test_a_serial_meter(
    plug: Plug, keep: Keep, driver: str, through: str, port: type[AcmPort | FtdiPort], node: str
) -> None:
    if driver == "tc66c":
        pytest.importorskip("cryptography", reason="cryptography is not installed here")
    plug(port(METERS[driver]()))
    (path,) = until(lambda: nodes(node), f"/dev/{node}*")
    keep(driver, through, opened(f"{driver}@{path}"))


def test_a_hid_meter(plug: Plug, keep: Keep) -> None:
    """It sends a hundred readings a second by itself."""
    plug(FnirsiHid(volts=5.0, amps=0.5))
    until(lambda: nodes("hidraw"), "/dev/hidraw*")
    keep("fnirsi", "hidraw", opened("fnirsi"))


@pytest.mark.parametrize(
    ("driver", "through"), [("rapl@package-0", "intel_rapl"), ("battery@BAT0?by=power", "power_supply")]
)
def test_a_sysfs_source(keep: Keep, driver: str, through: str) -> None:
    keep(driver.partition("@")[0], through, opened(driver))
