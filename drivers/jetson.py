"""Jetson boards: their INA3221 and INA238 power monitors, straight from the kernel's files.

50 times cheaper a sample than asking the jetson-stats service, and with no service to fail: prefer
it to ``jtop`` wherever the files may be read (JetPack 5 and later; on JetPack 4 only root may).

Layouts: JetPack 4 shows ``iio:deviceN/{rail_name_K,in_voltageK_input,in_currentK_input}``,
JetPack 5 to 7 ``hwmon/hwmonN/{inK_label,inK_input,currK_input}``, all in mV and mA; Thor's INA238
is the rail VIN, with ``power1_input`` in µW.

Semantics: instants. Sources: the boards' device trees, drivers/hwmon/ina3221.c and ina238.c in
    torvalds/linux.
Accuracy: ±1.25 % amps (chip 0.25 %, TI SBOS576; shunt 1 % [from memory]) and 80 µV of shunt, ±0.25 % and 8
    mV.
Renewal: each channel about 77 times a second.
Counters: none.
Loss: none; the kernel keeps only the newest value.
Tested on: emulated kernel files, laid out like recorded ones; real hardware: none yet.
"""

import math
import os

from energymeter.drivers.links.sysfs import Files, Rails, SysFile, full_scale_milliamps
from energymeter.drivers.protocols.jetson import MOST_WATTS, pinned_rails
from energymeter.errors import SourceMissing, SpecError
from energymeter.paths import below, entries, peek_name, peek_number
from energymeter.reading import Band, Facts
from energymeter.recordings.tegrastats import connected

__all__ = ["Jetson"]

_CURE = (
    "on JetPack 4 only root may read these files: run as root, or let the jetson-stats service read them "
    '(source `jtop`; pip install "edge-energymeter[jetson]")'
)
_SHUNT_OHMS = 0.005  # on every Jetson module so far; the kernel says otherwise in shuntK_resistor


class Jetson(Rails):
    """The board's rails, one channel each; only those that make the whole board are added.

    ``jetson@VDD_SOC`` reads that rail alone. A rail that fails is a gap; the others are never
    summed in its place. Where several rails make the board there is power only: their currents flow at
    different voltages, and their sum means nothing. What is measured is the module's input: the
    carrier board's own losses, its fan and its USB ports come on top.
    """

    kind = "board"
    shared = True

    # a channel is converted about 77 times a second
    facts = Facts(max_watts=MOST_WATTS, default_hz=10.0, max_hz=75.0)

    def __init__(self, address: str = "", *, root: str = "/") -> None:
        self.name = f"jetson@{address}" if address else "jetson"
        self._wanted = address
        self._root = root
        self._counted: frozenset[str] = frozenset()

    def open(self) -> None:
        """Find the rails, and which of them make the board.

        Raises:
            SourceMissing: this board has no power monitor.
            SpecError: it has no such rail.
            SourceForbidden: the files are not for this user.
            SourceError: a rail that was counted before is gone.
        """
        self.close()
        found = _find(self._root)
        if not found:
            raise SourceMissing(
                f"no INA3221 or INA238 power monitor under {below(self._root, 'sys/bus/i2c')}: this board "
                "has none (Nano 2GB) or its driver is not loaded; use an external meter, such as an INA219"
            )
        if self._wanted:
            if self._wanted not in found:
                raise SpecError(f"this board has no rail {self._wanted!r}; it has {', '.join(found)}")
            found = {self._wanted: found[self._wanted]}
        self._counted = pinned_rails(self._counted or frozenset(found if self._wanted else ()), found)
        rails = {name: (files, _facts(ohms)) for name, (files, ohms) in found.items()}
        self._take("jetson", rails, self._counted)


def _facts(shunt_ohms: float) -> Facts:
    # INA3221 (TI SBOS576): 8 mV and 40 µV steps, gain ±0.25 %, shunt offset ±80 µV, bus offset ±8 mV;
    # watts as of a 5 V rail; the shunt's ±1 % is the usual part, not a figure of NVIDIA's [from memory]
    return Jetson.facts._replace(
        volts=Band(gain=0.0025, offset=0.008, resolution=0.008),
        amps=Band(gain=0.0125, offset=80e-6 / shunt_ohms, resolution=40e-6 / shunt_ohms),
        watts=Band(gain=0.015, offset=5.0 * 80e-6 / shunt_ohms, resolution=5.0 * 40e-6 / shunt_ohms),
    )


def _find(root: str) -> dict[str, tuple[Files, float]]:
    """Every connected rail by name: its files, and its shunt in ohms."""
    rails: dict[str, tuple[Files, float]] = {}
    for device in _monitors(root):
        chip = peek_name(os.path.join(device, "name")).lower()
        for folder in _folders(device):
            if "ina238" in chip:
                rails.setdefault(
                    "VIN", (_files(folder, "in1_input", "curr1_input", "power1_input"), _SHUNT_OHMS)
                )
                continue
            for name, files, ohms in _ina3221(folder):
                rails.setdefault(name, (files, ohms))
    return {
        name: (files, ohms) for name, (files, ohms) in rails.items() if "watts" in files or len(files) == 2
    }


def _monitors(root: str) -> list[str]:
    """The I2C devices that measure power, each once, as listed by bus or by driver."""
    found: dict[str, str] = {}
    i2c = below(root, "sys/bus/i2c")
    drivers = [
        f"drivers/{driver}" for driver in entries(os.path.join(i2c, "drivers")) if driver.startswith("ina")
    ]
    for listing in ("devices", *drivers):
        for address in entries(os.path.join(i2c, listing)):
            device = os.path.join(i2c, listing, address)
            chip = peek_name(os.path.join(device, "name")).lower()
            if "ina3221" in chip or "ina238" in chip:
                found.setdefault(address, device)
    return list(found.values())


def _folders(device: str) -> list[str]:
    hwmon = os.path.join(device, "hwmon")
    iio = [os.path.join(device, name) for name in entries(device) if name.startswith("iio:device")]
    return [os.path.join(hwmon, name) for name in entries(hwmon)] + iio


def _ina3221(folder: str) -> list[tuple[str, Files, float]]:
    """The chip's labelled inputs: name, files, shunt in ohms."""
    rails = []
    for key in entries(folder):
        label = peek_name(os.path.join(folder, key))
        if key.startswith("rail_name_"):
            number = key.removeprefix("rail_name_")
            most = full_scale_milliamps("ina3221", _SHUNT_OHMS * 1e6)
            files = _files(folder, f"in_voltage{number}_input", f"in_current{number}_input", full_scale=most)
            micro_ohms = None
        elif key.startswith("in") and key.endswith("_label"):
            number = key.removeprefix("in").removesuffix("_label")
            micro_ohms = peek_number(os.path.join(folder, f"shunt{number}_resistor"))
            most = full_scale_milliamps("ina3221", micro_ohms)
            files = _files(folder, f"in{number}_input", f"curr{number}_input", full_scale=most)
        else:
            continue
        if connected(label):
            rails.append((label, files, micro_ohms * 1e-6 if micro_ohms else _SHUNT_OHMS))
    return rails


def _files(
    folder: str, millivolts: str, milliamps: str, microwatts: str = "", full_scale: float = math.inf
) -> Files:
    named = {"volts": (millivolts, 1e-3), "amps": (milliamps, 1e-3), "watts": (microwatts, 1e-6)}
    return {
        quantity: (
            SysFile(
                os.path.join(folder, name), _CURE, full_scale=full_scale if quantity == "amps" else math.inf
            ),
            unit,
        )
        for quantity, (name, unit) in named.items()
        if name and os.path.exists(os.path.join(folder, name))
    }
