"""hwmon: whatever the kernel's hardware monitoring shows in watts, joules, or volts and amps.

INA219, INA226, INA3221 and INA238 bound to their kernel drivers, POWER-Z testers (``powerz``), PMBus and
PC power supplies, ACPI power meters, AMD's ``amd_energy`` and GPUs. A device is found by its ``name``,
never by ``hwmonN``, which changes at every boot. Its attributes are in the class folder, of older
drivers in ``device/``. Units: mV, mA, µW, µJ (Documentation/hwmon/sysfs-interface.rst in torvalds/linux).

**The shunt trap.** The kernel turns a voltage over a shunt into a current by the resistor that it assumes.
The device tree rarely names the one on a breakout board: the driver assumes 10 mΩ for an INA219 or INA226,
and a board with 100 mΩ then reads ten times too much. ``hwmon@ina219?shunt=0.1`` gives the true
resistor in ohms; current and power are scaled to it.

Accuracy: of the chip behind it; ±1 % volts, ±2 % amps and watts are our own word where the chip is unknown.
Renewal: as ``update_interval`` and ``power1_average_interval`` say, where there are such; else unknown.
Counters: energy attributes (µJ) are the curve where a device has them.
Loss: none; the kernel keeps only the newest value.
Tested on: emulated kernel files, recorded files of an INA219 UPS HAT; real hardware: none yet.
"""

import math
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from energymeter.drivers.links.sysfs import (
    MOST_WATTS,
    TINY_WATTS,
    Files,
    ShuntMonitor,
    SysFile,
    asleep,
    full_scale_milliamps,
    is_display,
    only,
)
from energymeter.errors import SourceMissing
from energymeter.paths import below, entries, peek, peek_name
from energymeter.reading import Band, Facts
from energymeter.recordings.tegrastats import connected, counted_rails
from energymeter.units import number, scale

__all__ = ["Hwmon"]

_SENSOR = re.compile(r"(power|energy|curr)(\d+)_(input|average)")
_NUMBERED_ALIKE = ("ina", "ltc4151", "sq52206", "sy24655")
"""Chips (by how their names begin) whose ``inN`` and ``currN`` are one rail (ina2xx.rst, ltc4151.rst)."""
_WHOLE = ("system", "card", "pin")
"""Labels of what contains the others: IBM's OCC, Intel's xe, the input of a PMBus converter (pmbus.rst)."""
_CORE = re.compile(r"e?core *\d+", re.IGNORECASE)
_SOCKET = re.compile(r"e?(socket|package|pkg)( *(id)? *\d+)?", re.IGNORECASE)
"""Labels of a processor's cores and of what contains them (amd_energy.rst: ``Ecore000``, ``Esocket0``)."""
_STILL_SECONDS = 2.0
"""The slowest driver renews its counters once a second (amd_energy.c)."""
_SMALL_WATTS = 1.0
"""What never rests draws more: a processor, a graphics card, a whole machine."""
_UNITS = {"volts": 1e-3, "amps": 1e-3, "watts": 1e-6, "joules": 1e-6}


class _Device(NamedTuple):
    """One monitoring chip."""

    name: str
    folder: str
    bus: str  # "1-0040": its address on its bus
    paths: dict[str, str]  # by attribute

    @property
    def handles(self) -> tuple[str, ...]:
        return (self.bus, self.name, os.path.basename(self.folder))

    @property
    def sleeper(self) -> str:
        """The folder of the device behind it, if reading it may wake a graphics card; else empty."""
        behind = os.path.join(self.folder, "device")
        return behind if is_display(behind) else ""

    def text(self, attribute: str) -> str | None:
        return peek(self.paths[attribute]) if attribute in self.paths else None

    def seconds(self, attribute: str) -> float:
        """The time that an attribute states in ms; 0 where it states none."""
        return (number(self.text(attribute)) or 0.0) * 1e-3

    def label(self, sensor: str) -> str | None:
        """What ``power1`` or ``in0`` measures, as the board's maker says."""
        return self.text(f"{sensor}_label") or self.text(f"{sensor}_oem_info") or None


class _Sensor(NamedTuple):
    """One thing that a chip measures."""

    label: str
    files: dict[str, str]  # the attribute of each quantity
    facts: Facts


class Hwmon(ShuntMonitor):
    """One monitoring chip, one channel for each thing that it measures.

    ``hwmon@NAME`` names it by chip (``ina219``), by its address on the bus (``1-0040``) or by ``hwmonN``;
    without, there must be only one. Energy counters are preferred, then volts and amps that surely belong
    together (finer than the chip's own product, and signed), then power. A graphics card that sleeps is
    left asleep, unless ``wake=true``. ``power_unit`` is that of the power attributes: drivers from outside of
    the kernel have been seen to count in watts.
    """

    kind = "part"
    shared = True
    driver = "hwmon"

    facts = Facts(max_watts=MOST_WATTS, default_hz=10.0, max_hz=200.0)

    def __init__(
        self, address: str = "", *, wake: bool = False, power_unit: str = "uW", **options: Any
    ) -> None:
        super().__init__(address, **options)
        self._wakes = wake
        self._power_unit = scale("watts", power_unit)

    @staticmethod
    def addresses(root: str = "/") -> Iterator[str]:
        """Every chip that measures power, by its address on its bus; one empty address where there is none.

        Raises:
            SourceMissing: a graphics card sleeps.
        """
        able = [device for device in _devices(below(root, "sys/class/hwmon")) if _sensors(device)]
        yield from [device.bus for device in able if not asleep(device.sleeper)] or ([] if able else [""])
        for device in able:
            _leave_asleep(device)

    def open(self) -> None:
        """Find the chip and what it measures.

        Raises:
            SourceMissing: nothing here measures power, or what does sleeps.
            SpecError: several chips do, or the kernel does not show its shunt.
            SourceForbidden: the files are not for this user.
        """
        self.close()
        where = below(self._root, "sys/class/hwmon")
        able = [device for device in _devices(where) if _sensors(device)]
        device = only(self._wanted, able, lambda device: device.handles, where, "hwmon@")
        if not self._wakes:
            _leave_asleep(device)
        shunt = device.paths.get("shunt_resistor", f"{device.folder}/shunt_resistor")
        factor = self._scale(shunt, 1e-6)
        sensors = _sensors(device)
        found = {
            sensor.label: (_files(device, sensor, factor, self._power_unit), sensor.facts)
            for sensor in sensors
        }
        sleeper = "" if self._wakes else device.sleeper
        self._take(f"hwmon:{device.name}", found, _counted(list(found)), sleeper)
        self.notes = [*self.notes, *self._tiny(device)]

    def _tiny(self, device: _Device) -> list[str]:
        """A note for power that would be plausible in another unit than the kernel's."""
        if self._power_unit != _UNITS["watts"]:
            return []
        found = []
        for rail in self._parts:
            watts = rail.watts() if rail.facts.counted else None
            label = rail.name.rpartition(":")[2]
            if watts is not None and 0 < watts < (
                _SMALL_WATTS if _never_rests(device, label) else TINY_WATTS
            ):
                unit, name = ("W", "watts") if watts < TINY_WATTS else ("mW", "milliwatts")
                found.append(
                    f"{rail.name} shows {watts * 1e6:g} µW: if its driver counts in {name}, read it as "
                    f"hwmon@{device.bus}?power_unit={unit}"
                )
        return found


def _leave_asleep(device: _Device) -> None:
    """Do not wake a graphics card.

    Raises:
        SourceMissing: it sleeps.
    """
    if asleep(device.sleeper):
        raise SourceMissing(
            f"{device.name} sleeps, and reading it would wake it; if that is wanted: "
            f"hwmon@{device.bus}?wake=true"
        )


def _devices(folder: str) -> list[_Device]:
    """Every chip, without the batteries and USB-C ports that the kernel shows here a second time."""
    supplies = {name.replace("-", "_") for name in entries(os.path.join(folder, "../power_supply"))}
    found = []
    for entry in entries(folder):
        path = os.path.join(folder, entry)
        behind = os.path.join(path, "device")
        name = peek_name(os.path.join(path, "name")) or peek_name(os.path.join(behind, "name"))
        bus = os.path.basename(os.path.realpath(behind)) if os.path.islink(behind) else entry
        if name and name not in supplies:
            paths = {key: os.path.join(place, key) for place in (behind, path) for key in entries(place)}
            found.append(_Device(name, path, bus, paths))
    return found


def _sensors(device: _Device) -> list[_Sensor]:
    """What a chip measures; of one thing the attributes that tell most."""
    numbers = {int(match[2]) for name in device.paths if (match := _SENSOR.fullmatch(name))}
    found: dict[str, _Sensor] = {}
    for n in sorted(numbers):
        files, facts = _best(device, n)
        labels = [device.label(name.rpartition("_")[0]) for name in files.values()]
        label = next(filter(None, labels), str(n))
        if files and connected(label):
            label = f"{label} {n}" if label in found else label
            found[label] = _Sensor(label, files, _placed(device, facts, label))
    return list(found.values())


def _best(device: _Device, n: int) -> tuple[dict[str, str], Facts]:
    """The attributes that show number ``n``, and what is known of them; none if the kernel shows none."""
    others = any(
        f"{kind}{n}_{way}" in device.paths for kind in ("power", "curr") for way in ("input", "average")
    )
    energy, power = _attribute(device, f"energy{n}", "input"), _power(device, n)
    if energy and (device.text(energy) != "0" or not others):
        flow = {"flow": power} if power else {}
        return {"joules": energy, **flow}, _facts(device)._replace(semantics="counter")
    if pair := _pair(device, n, "input"):
        return pair, _facts(device)
    if power:
        facts = _facts(device, _gain(device, n))
        mean = power.endswith("_average")
        return {"watts": power}, _mean(facts, device.seconds(f"{power}_interval")) if mean else facts
    if pair := _pair(device, n, "average"):
        return pair, _mean(_facts(device), 0.0)
    return {}, Hwmon.facts


def _attribute(device: _Device, sensor: str, way: str) -> str:
    """``power1_input``, if the chip has it and it is switched on; else empty."""
    name = f"{sensor}_{way}"
    return name if name in device.paths and device.text(f"{sensor}_enable") != "0" else ""


def _power(device: _Device, n: int) -> str:
    """The power attribute to read: the input, unless it shows nothing and the average does; empty: none."""
    ways = [name for way in ("input", "average") if (name := _attribute(device, f"power{n}", way))]
    return next((name for name in ways if number(device.text(name))), ways[0] if ways else "")


def _pair(device: _Device, n: int, way: str) -> dict[str, str] | None:
    """Volts and amps of one rail, where it is known that they belong together.

    Equal numbers do not say so: the kernel counts each kind by itself, and of a Corsair supply ``curr1`` is
    the sum while ``in1`` is its 12 V rail (corsair-psu.rst). Equal labels do, whatever their numbers.
    """
    label = device.label(f"curr{n}")
    alike = [key for key in device.paths if key.startswith("in") and key.endswith("_label")]
    same = [key.removesuffix("_label") for key in alike if label is not None and device.text(key) == label]
    if device.label("in0") == "VBUS":  # a POWER-Z
        volts = "in0" if n == 1 else ""
    elif device.name.startswith(_NUMBERED_ALIKE):
        volts = f"in{n}" if n <= 3 else ""  # of an INA3221 in4 to in6 are shunts, curr4 and in7 their sums
    else:
        volts = same[0] if len(same) == 1 else ""
    pair = {"volts": _attribute(device, volts, way), "amps": _attribute(device, f"curr{n}", way)}
    return pair if all(pair.values()) else None


def _counted(labels: list[str]) -> frozenset[str]:
    """Which of a chip's readings add up to all of it."""
    wholes = [label for label in labels if "total" in label.lower() or label.lower() in _WHOLE]
    if wholes:
        return frozenset(wholes[:1])
    if {"slowPPT", "fastPPT"} <= set(labels):  # one sensor under the names of its two limits (amdgpu_pm.c)
        return frozenset(labels) - {"fastPPT"}
    if any(_SOCKET.fullmatch(label) for label in labels):
        return frozenset(label for label in labels if not _CORE.fullmatch(label))
    return counted_rails(labels)


def _files(device: _Device, sensor: _Sensor, scale: float, watts: float) -> Files:
    units = {**_UNITS, "watts": watts, "flow": watts}
    return {
        quantity: (
            SysFile(
                device.paths[name],
                full_scale=_full_scale(device, name),
                codes=quantity in ("watts", "joules", "flow"),
                never_rests=quantity == "watts" and _never_rests(device, sensor.label),
                unless=_no_value(device, name.rpartition("_")[0]),
            ),
            units[quantity] * (1.0 if quantity == "volts" else scale),
        )
        for quantity, name in sensor.files.items()
    }


def _no_value(device: _Device, sensor: str) -> dict[str, str]:
    """The files that say of a sensor that it failed or was switched off, and how."""
    said = {f"{sensor}_fault": "1", f"{sensor}_enable": "0"}
    return {device.paths[name]: text for name, text in said.items() if name in device.paths}


def _full_scale(device: _Device, name: str) -> float:
    """The number at which an attribute shows that its chip clips; infinite: unknown."""
    found = _SENSOR.fullmatch(name)
    if found is None or found[1] != "curr":
        return math.inf
    ohms = device.text(f"shunt{found[2]}_resistor") or device.text("shunt_resistor")
    return full_scale_milliamps(device.name, number(ohms))


def _gain(device: _Device, n: int) -> float:
    """What the device says itself of its power (``99.0%``), else our own word."""
    percent = number((device.text(f"power{n}_accuracy") or "").rstrip("%"))
    return 1 - percent / 100 if percent is not None and 0 < percent < 100 else 0.02


def _facts(device: _Device, gain: float = 0.02) -> Facts:
    # many chips, one bound: ±2 % is our own word; the true ± is in the datasheet of the chip and its shunt
    facts = Hwmon.facts._replace(
        volts=Band(gain=0.01, resolution=1e-3),
        amps=Band(gain=0.02, resolution=1e-3),
        watts=Band(gain=gain),
        joules=Band(gain=0.02),
    )
    return _renewed(facts, device.seconds("update_interval"))


def _mean(facts: Facts, seconds: float) -> Facts:
    return _renewed(facts._replace(semantics="mean", duty=1.0, max_hz=1.0, default_hz=1.0), seconds)


def _renewed(facts: Facts, seconds: float) -> Facts:
    """The facts of what the chip renews so often; 0: it does not say."""
    if not seconds > 0:
        return facts
    hz = min(1 / seconds, Hwmon.facts.max_hz)
    return facts._replace(renewal_seconds=seconds, max_hz=hz, default_hz=min(hz, Hwmon.facts.default_hz))


def _placed(device: _Device, facts: Facts, label: str) -> Facts:
    if facts.semantics != "counter":
        return facts
    socket = _SOCKET.fullmatch(label) is not None
    facts = facts._replace(place="die") if socket or _CORE.fullmatch(label) else facts
    return facts._replace(still_seconds=_STILL_SECONDS) if _never_rests(device, label) else facts


def _never_rests(device: _Device, label: str) -> bool:
    """Whether it always draws something: what contains cores, a graphics card that is awake, a whole machine.

    Cores rest, and so may a rail.
    """
    whole = _SOCKET.fullmatch(label) is not None or label.lower() in ("card", "system", "power total")
    return whole or bool(device.sleeper) or device.name == "power_meter"
