"""hwmon: whatever the kernel's hardware monitoring shows in watts, joules, or volts and amps.

INA219, INA226, INA3221 and INA238 bound to their kernel drivers, POWER-Z testers (``powerz``), PMBus and
PC power supplies, ACPI power meters, AMD's ``amd_energy`` and GPUs. A device is found by its ``name``,
never by ``hwmonN``, which changes at every boot. Units: mV, mA, µW, µJ
(Documentation/hwmon/sysfs-interface.rst in torvalds/linux).

**The shunt trap.** The kernel turns a voltage over a shunt into a current by the resistor that it assumes.
The device tree rarely names the one on a breakout board: the driver assumes 10 mΩ for an INA219 or INA226,
and a board with 100 mΩ then reads ten times too much. ``hwmon@ina219?shunt=0.1`` gives the true
resistor in ohms; current and power are scaled to it.

Accuracy: of the chip behind it; ±1 % volts, ±2 % amps and watts are our own word where the chip is unknown.
Counters: energy attributes (µJ) are the curve where a device has them.
Loss: none; the kernel keeps only the newest value.
Tested on: emulated kernel files, recorded files of an INA219 UPS HAT; real hardware: none yet.
"""

import os
import re
from typing import NamedTuple

from energymeter.drivers.links.sysfs import Files, ShuntMonitor, SysFile, only
from energymeter.drivers.protocols.jetson import connected, counted_rails
from energymeter.paths import below, entries, peek, peek_name, peek_number
from energymeter.reading import Band, Facts

__all__ = ["Hwmon"]

_SENSOR = re.compile(r"(power|energy|curr)(\d+)_(input|average)")
_NUMBERED_ALIKE = ("ina", "ltc4151", "sq52206", "sy24655")
"""Chips (by how their names begin) whose ``inN`` and ``currN`` are one rail (ina2xx.rst, ltc4151.rst)."""
_WHOLE = ("system", "card", "pin")
"""Labels of what contains the others: IBM's OCC, Intel's xe, the input of a PMBus converter (pmbus.rst)."""


class _Device(NamedTuple):
    """One monitoring chip."""

    name: str
    folder: str
    bus: str  # "1-0040": its place on its bus

    @property
    def handles(self) -> tuple[str, ...]:
        return (self.bus, self.name, os.path.basename(self.folder))


class Hwmon(ShuntMonitor):
    """One monitoring chip, one channel for each thing that it measures.

    ``hwmon@NAME`` names it by chip (``ina219``), by its place on the bus (``1-0040``) or by ``hwmonN``;
    without, there must be only one. Energy counters are preferred, then volts and amps that surely belong
    together (finer than the chip's own product, and signed), then power.
    """

    kind = "part"
    driver = "hwmon"

    facts = Facts(default_hz=10.0, max_hz=200.0)

    @staticmethod
    def places() -> list[str]:
        """Every chip that measures power, by its place on its bus; one empty place where there is none."""
        return [device.bus for device in _devices("/sys/class/hwmon") if _sensors(device)] or [""]

    def open(self) -> None:
        """Find the chip and what it measures.

        Raises:
            SourceMissing: nothing here measures power.
            SpecError: several chips do, or the kernel does not show its shunt.
            SourceForbidden: the files are not for this user.
        """
        self.close()
        where = below(self._root, "sys/class/hwmon")
        able = [device for device in _devices(where) if _sensors(device)]
        device = only(self._wanted, able, lambda device: device.handles, where, "hwmon@")
        scale = self._scale(os.path.join(device.folder, "shunt_resistor"), 1e-6)
        found = {
            label: (_files(device.folder, quantities, scale), _facts(device, kind))
            for label, quantities, kind in _sensors(device)
        }
        self._take(f"hwmon:{device.name}", found, _counted(device, list(found)))


def _devices(folder: str) -> list[_Device]:
    """Every chip, without the batteries and USB-C ports that the kernel shows here a second time."""
    supplies = {name.replace("-", "_") for name in entries(os.path.join(folder, "../power_supply"))}
    found = []
    for entry in entries(folder):
        path = os.path.join(folder, entry)
        name = peek_name(os.path.join(path, "name"))
        device = os.path.join(path, "device")
        bus = os.path.basename(os.path.realpath(device)) if os.path.exists(device) else entry
        if name and name not in supplies:
            found.append(_Device(name, path, bus))
    return found


_Quantities = dict[str, str]


def _sensors(device: _Device) -> list[tuple[str, _Quantities, str]]:
    """What a chip measures: label, quantity to file name, and ``counter``, ``mean`` or ``instant``."""
    has = frozenset(entries(device.folder))
    numbers = {int(match[2]) for name in has if (match := _SENSOR.fullmatch(name))}
    found = []
    for number in sorted(numbers):
        pair = _pair(device, number, has)
        energy, power, average = f"energy{number}_input", f"power{number}_input", f"power{number}_average"
        if energy in has:
            quantities, kind = {"joules": energy}, "counter"
        elif pair:
            quantities, kind = pair, "instant"
        elif power in has:
            quantities, kind = {"watts": power}, "instant"
        elif average in has:
            quantities, kind = {"watts": average}, "mean"
        else:
            continue
        labels = [_label(device, name) for name in quantities.values()]
        label = next(filter(None, labels), str(number))
        if connected(label):
            found.append((label, quantities, kind))
    return found


def _pair(device: _Device, number: int, has: frozenset[str]) -> _Quantities | None:
    """Volts and amps of one rail, where it is known that they belong together.

    Equal numbers do not say so: the kernel counts each kind by itself, and of a Corsair supply ``curr1`` is
    the sum while ``in1`` is its 12 V rail (corsair-psu.rst). Equal labels do.
    """
    volts, amps = f"in{number}_input", f"curr{number}_input"
    if _label(device, "in0_input") == "VBUS":  # a POWER-Z
        volts, related = "in0_input", number == 1
    elif device.name.startswith(_NUMBERED_ALIKE):
        related = number <= 3  # of an INA3221 in4 to in6 are shunts, curr4 and in7 their sums
    else:
        label = _label(device, volts)
        related = label is not None and label == _label(device, amps)
    return {"volts": volts, "amps": amps} if related and {volts, amps} <= has else None


def _label(device: _Device, name: str) -> str | None:
    return peek(os.path.join(device.folder, name.rsplit("_", 1)[0] + "_label")) or None


def _counted(device: _Device, labels: list[str]) -> frozenset[str]:
    """Which of a chip's readings add up to all of it."""
    wholes = [label for label in labels if "total" in label.lower() or label.lower() in _WHOLE]
    if wholes:
        return frozenset(wholes[:1])
    if {"slowPPT", "fastPPT"} <= set(labels):  # one sensor under the names of its two limits (amdgpu_pm.c)
        return frozenset(labels) - {"fastPPT"}
    if device.name == "amd_energy":  # Ecore000 … are inside Esocket0 …
        return frozenset(label for label in labels if label.startswith("Esocket")) or frozenset(labels)
    return counted_rails(labels)


def _files(folder: str, quantities: _Quantities, scale: float) -> Files:
    units = {"volts": 1e-3, "amps": 1e-3 * scale, "watts": 1e-6 * scale, "joules": 1e-6 * scale}
    return {
        quantity: (SysFile(os.path.join(folder, name)), units[quantity])
        for quantity, name in quantities.items()
    }


def _facts(device: _Device, kind: str) -> Facts:
    # many chips, one bound: ±2 % is our own word; the true ± is in the datasheet of the chip and its shunt
    facts = Hwmon.facts._replace(
        volts=Band(gain=0.01, resolution=1e-3),
        amps=Band(gain=0.02, resolution=1e-3),
        watts=Band(gain=0.02),
        joules=Band(gain=0.02),
    )
    if kind == "counter":
        place_is_die = device.name == "amd_energy"
        return facts._replace(semantics="counter", place="die" if place_is_die else "rail")
    if kind == "mean":
        interval_ms = peek_number(os.path.join(device.folder, "power1_average_interval"))
        hz = 1e3 / interval_ms if interval_ms else 1.0
        return facts._replace(semantics="mean", default_hz=min(hz, 10.0), max_hz=hz)
    return facts
