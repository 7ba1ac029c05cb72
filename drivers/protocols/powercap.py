"""Link helper: the energy counters of processors as the kernel's powercap shows them, each once.

Zones nest, and several control types mirror them. Source: Documentation/power/powercap/powercap.rst in
torvalds/linux.
"""

import os
import re
from typing import NamedTuple

from energymeter.drivers.links.sysfs import entries, peek, peek_number

_CONTROLS = ("intel-rapl", "intel-rapl-mmio", "intel-rapl-tpmi")
"""Where one zone may be shown; the first that has it wins."""

_DEFAULT_MAX_WATTS = 1000.0
"""No package on the market draws more (the largest servers: 500 W)."""

_HEADROOM = 4.0
"""Short bursts over the limit the chip states: a 15 W laptop part is allowed 60 W."""


class ZoneFolder(NamedTuple):
    """One zone as the kernel shows it."""

    name: str  # "package-0", or "package-0/dram" for a zone inside another
    folder: str

    @property
    def kind(self) -> str:
        return kind_of(self.name)


def kind_of(name: str) -> str:
    """``package`` of ``rapl:package-0``, ``dram`` of ``package-0/dram``."""
    return re.split("[:/]", name)[-1].split("-", 1)[0]


def zones(powercap: str) -> list[ZoneFolder]:
    """Every zone once, whatever control type mirrors it, in the kernel's order."""
    found: dict[str, ZoneFolder] = {}
    folders = _folders(powercap)
    for control in _CONTROLS:
        for key, folder in folders.items():
            if key.split(":", 1)[0] != control or not os.path.exists(os.path.join(folder, "energy_uj")):
                continue
            name = peek(os.path.join(folder, "name")) or key
            parent = folders.get(key.rsplit(":", 1)[0]) if key.count(":") > 1 else None
            if parent is not None:
                name = f"{peek(os.path.join(parent, 'name'))}/{name}"
            found.setdefault(name, ZoneFolder(name, folder))
    return list(found.values())


def _folders(powercap: str) -> dict[str, str]:
    """Zone folders by kernel name (``intel-rapl:0:2``), listed flat or inside one another."""
    folders: dict[str, str] = {}
    pending = [powercap]
    while pending:
        folder = pending.pop(0)
        for key in entries(folder):
            path = os.path.join(folder, key)
            if key.startswith("intel-rapl") and key not in folders and os.path.isdir(path):
                folders[key] = path
                pending.append(path)
    return folders


def max_watts(folder: str) -> float:
    """What cannot flow here: the largest believable limit the zone states, with room for bursts."""
    limits = [
        peek_number(os.path.join(folder, key))
        for key in entries(folder)
        if key.startswith("constraint_") and key.endswith(("_max_power_uw", "_power_limit_uw"))
    ]
    # 0, nothing at all and 4090 W stand for "no limit"
    sane = [limit * 1e-6 for limit in limits if limit is not None and 1e6 < limit < _DEFAULT_MAX_WATTS * 1e6]
    return min(_HEADROOM * max(sane), _DEFAULT_MAX_WATTS) if sane else _DEFAULT_MAX_WATTS
