"""iio: power monitors that the kernel shows as Industrial I/O devices (``ina2xx-adc``, ``pac1934``, ADCs).

A value is ``(raw + offset) × scale``, or ``…_input`` ready made, in mV, mA, mW and J
(Documentation/ABI/testing/sysfs-bus-iio in torvalds/linux). The shunt trap of ``hwmon`` is here too: the
resistor the kernel believes in is ``in_shunt_resistor``, in ohms; ``?shunt=`` gives the true one.

Accuracy: of the chip behind it; ±1 % volts, ±2 % amps and watts are our own word where the chip is unknown.
Renewal: ``sampling_frequency``, where there is one.
Counters: energy channels (J) are the curve where a device has them.
Loss: none; the kernel keeps only the newest value.
Tested on: emulated kernel files; real hardware: none yet.
"""

import math
import os
import re

from energymeter.drivers.links.sysfs import MOST_WATTS, Files, Numeric, ShuntMonitor, SysFile, only
from energymeter.paths import below, entries, peek, peek_name, peek_number
from energymeter.reading import Band, Facts
from energymeter.recordings.tegrastats import counted_rails
from energymeter.units import number

__all__ = ["Iio"]

_VALUE = re.compile(r"in_(voltage|current|power|energy)(\d*)_(raw|input)")
_WAYS = ({"energy": "joules"}, {"voltage": "volts", "current": "amps"}, {"power": "watts"})
_SI = {"voltage": 1e-3, "current": 1e-3, "power": 1e-3, "energy": 1.0}
_NUMBERED_ALIKE = ("ina", "pac19")
"""Devices (by how their names begin) whose ``in_voltageN`` and ``in_currentN`` are one place."""
_MICRO_UNITS = "pac193"
"""pac1934.c scales power to µW and energy to µJ, by its own arithmetic, where the ABI has mW and J."""
_CLIPS = (("ina219", 32_000), ("ina226", 32_767))
"""Counts at which ``ina2xx-adc`` clips: its currents have the steps of the voltage over the shunt."""
_INA2XX = {"voltage": "1", "power": "2", "current": "3"}  # its channels: shunt, bus, power, current


class Iio(ShuntMonitor):
    """One IIO device, one channel for each place that it measures.

    ``iio@NAME`` or ``iio@iio:device0`` names it; without, there must be only one. Energy accumulators that
    run are preferred, then a voltage and a current that surely belong together, then power.
    """

    kind = "part"
    shared = True
    driver = "iio"

    facts = Facts(max_watts=MOST_WATTS, default_hz=10.0, max_hz=500.0)

    def open(self) -> None:
        """Find the device and its rails.

        Raises:
            SourceMissing: nothing here measures power.
            SpecError: several devices do, or the kernel does not show its shunt.
            SourceForbidden: the files are not for this user.
        """
        self.close()
        devices = below(self._root, "sys/bus/iio/devices")
        folders = [os.path.join(devices, name) for name in entries(devices)]
        able = [folder for folder in folders if _rails(folder, 1.0)]
        folder = only(self._wanted, able, lambda f: (os.path.basename(f), _chip(f)), devices, "iio@")
        rails = _rails(folder, self._scale(os.path.join(folder, "in_shunt_resistor"), 1.0))
        hz = peek_number(os.path.join(folder, "sampling_frequency")) or Iio.facts.max_hz
        prefix = f"iio:{_chip(folder) or os.path.basename(folder)}"
        self._take(
            prefix,
            {label: (files, _facts(files, hz)) for label, files in rails.items()},
            counted_rails(rails),
        )


class _Raw:
    """A raw value and its offset, in steps of its scale."""

    def __init__(self, path: str, offset: float, full_scale: float) -> None:
        self._file = SysFile(path, full_scale=full_scale)
        self._offset = offset

    def number(self) -> float:
        return self._file.number() + self._offset

    def close(self) -> None:
        self._file.close()


def _value(folder: str, name: str, kind: str, scale: float) -> tuple[Numeric, float]:
    """The file of a quantity and what a 1 in it means in SI."""
    path = os.path.join(folder, name)
    unit = _SI[kind] * (1.0 if kind == "voltage" else scale)
    if name.endswith("_input"):
        return SysFile(path, codes=kind in ("power", "energy")), unit
    offset = number(_stated(folder, name, kind, "offset")) or 0.0
    full_scale = math.inf
    if kind == "current" and os.path.exists(os.path.join(folder, "in_shunt_resistor")):
        full_scale = next((count for chip, count in _CLIPS if _chip(folder).startswith(chip)), math.inf)
    return _Raw(path, offset, full_scale), unit * (number(_stated(folder, name, kind, "scale")) or 1.0)


def _stated(folder: str, name: str, kind: str, what: str) -> str | None:
    """The offset or scale of a raw value as the kernel writes it, its own or that of all of its kind."""
    own, shared = (
        os.path.join(folder, f"{stem}_{what}") for stem in (name.removesuffix("_raw"), f"in_{kind}")
    )
    said = peek(own)
    return peek(shared) if said is None else said


def _known(folder: str, name: str, kind: str) -> bool:
    """Whether it is known what a 1 means: an offset or a scale that is there and no number says nothing."""
    offset, scale = (_stated(folder, name, kind, what) for what in ("offset", "scale"))
    return name.endswith("_input") or (
        (offset is None or number(offset) is not None) and (scale is None or number(scale) not in (None, 0.0))
    )


def _chip(folder: str) -> str:
    return peek_name(os.path.join(folder, "name"))


def _rails(folder: str, scale: float) -> dict[str, Files]:
    """The places of a device at which energy is known, by label or number."""
    names: dict[str, dict[str, str]] = {}
    for name in entries(folder):
        if match := _VALUE.fullmatch(name):
            kind, place, _ = match.groups()
            names.setdefault(place, {})[kind] = name
    if "in_shunt_resistor" in entries(folder) and {"1", "3"} <= names.keys():
        names = {"1": {kind: names[n][kind] for kind, n in _INA2XX.items() if kind in names.get(n, {})}}
    chip = _chip(folder)
    rails: dict[str, Files] = {}
    for place, kinds in names.items():
        labels = [peek(os.path.join(folder, f"in_{kind}{place}_label")) for kind in ("voltage", "current")]
        able = {kind for kind, name in kinds.items() if _known(folder, name, kind)}
        if not chip.startswith(_NUMBERED_ALIKE) and (labels[0] is None or labels[0] != labels[1]):
            able.discard("current")  # equal numbers alone do not say that they belong together
        if chip.startswith(_MICRO_UNITS):
            able -= {"power", "energy"}
        if peek(os.path.join(folder, f"in_energy{place}_en")) == "0":
            able.discard("energy")  # this accumulator stands still
        chosen = next((way for way in _WAYS if way.keys() <= able), None)
        if chosen is not None:
            flow = {"power": "flow"} if "energy" in chosen and "power" in able else {}
            rails[labels[1] or labels[0] or place or "0"] = {
                quantity: _value(folder, kinds[kind], kind, scale)
                for kind, quantity in {**chosen, **flow}.items()
            }
    return rails


def _facts(files: Files, hz: float) -> Facts:
    # many chips, one bound: ±2 % is our own word; the true ± is in the datasheet of the chip and its shunt
    return Iio.facts._replace(
        semantics="counter" if "joules" in files else "instant",
        max_hz=min(hz, Iio.facts.max_hz),
        default_hz=min(hz, Iio.facts.default_hz),
        volts=Band(gain=0.01, resolution=1e-3),
        amps=Band(gain=0.02, resolution=1e-3),
        watts=Band(gain=0.02),
        joules=Band(gain=0.02),
    )
