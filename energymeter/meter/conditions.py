"""The state of the machine around a run: what makes two runs of one program draw differently."""

import glob
import os
from typing import Any, NamedTuple

from energymeter.boards import detect_board
from energymeter.meter.throttling import read as read_throttling
from energymeter.paths import below, entries, peek, peek_name, peek_number

_NVPMODEL = "var/lib/nvpmodel/status"
_HOTTEST = (-50.0, 200.0)
"""°C; what is outside is a code for "no value"."""


class Conditions(NamedTuple):
    """What is known of the machine now. ``None``: it does not say."""

    celsius: float | None = None
    """The hottest thermal zone."""
    throttled: int | None = None
    """The bits of a Raspberry Pi's firmware; see `energymeter.meter.throttling`."""
    governor: str | None = None
    """The governors of cpufreq, of all policies."""
    power_mode: str | None = None
    """The mode of a Jetson (nvpmodel), else the platform profile of a laptop."""
    mains: bool | None = None
    """Whether a mains or USB supply is connected."""
    load: float | None = None
    """Processes that wanted a processor, averaged over a minute: other programs, and the runs before."""
    board: str | None = None
    host: str = ""
    battery: bool | None = None
    """Whether the kernel knows a battery that can feed the machine. None: it knows no supply at all."""

    @classmethod
    def now(cls, root: str = "/") -> "Conditions":
        """Read from the kernel's files below ``root``; a few milliseconds on a small board."""
        load = (peek(below(root, "proc/loadavg")) or "").split(" ")[0]
        board = detect_board(root)
        return cls(
            celsius(root),
            read_throttling() if root == "/" else None,
            " ".join(sorted({peek_name(path) for path in _governors(root)} - {""})) or None,
            peek_name(below(root, _NVPMODEL)) or peek_name(below(root, _PROFILE)) or None,
            _mains(root),
            float(load) if load.replace(".", "", 1).isdigit() else None,
            None if board is None else board.name,
            os.uname().nodename,
            _battery(root),
        )

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Conditions":
        """The inverse of ``_asdict``.

        Raises:
            TypeError, ValueError: it is none.
        """
        known = cls(**fields)
        for value, kind in zip(known, (float, int, str, str, bool, float, str, str, bool), strict=True):
            if value is not None and not isinstance(value, (int, float) if kind is float else kind):
                raise TypeError(f"{value!r} is no {kind.__name__}")
        return known

    @classmethod
    def in_header(cls, header: dict[str, Any]) -> "Conditions | None":
        """What the header of a log says of its machine; ``None``: nothing that makes sense."""
        said = header.get("conditions")
        try:
            return cls.from_dict(said) if isinstance(said, dict) else None
        except (TypeError, ValueError):
            return None

    def __str__(self) -> str:
        parts = [
            "" if self.board is None else self.board,
            "" if self.celsius is None else f"{self.celsius:.0f} °C",
            "" if self.governor is None else f"governor {self.governor}",
            "" if self.power_mode is None else f"power mode {self.power_mode}",
            "" if self.mains is None else "on mains" if self.mains else "on battery",
            "" if self.load is None else f"load {self.load:g}",
        ]
        return ", ".join(part for part in parts if part) or "unknown conditions"


_PROFILE = "sys/firmware/acpi/platform_profile"


def celsius(root: str = "/") -> float | None:
    """The hottest thermal zone, °C."""
    folder = below(root, "sys/class/thermal")
    found = [
        peek_number(below(folder, name, "temp"))
        for name in entries(folder)
        if name.startswith("thermal_zone")
    ]
    known = [value / 1000 for value in found if value is not None]
    return max((value for value in known if _HOTTEST[0] < value < _HOTTEST[1]), default=None)


def _governors(root: str) -> list[str]:
    return glob.glob(below(glob.escape(root), "sys/devices/system/cpu/cpufreq/policy*/scaling_governor"))


def _mains(root: str) -> bool | None:
    folder = below(root, "sys/class/power_supply")
    online = [
        peek_number(below(folder, name, "online"))
        for name in entries(folder)
        if peek_name(below(folder, name, "type")) in ("Mains", "USB")
    ]
    return None if not online else any(online)


def _battery(root: str) -> bool | None:
    folder = below(root, "sys/class/power_supply")
    kinds = {name: peek_name(below(folder, name, "type")) for name in entries(folder)}
    own = [
        name
        for name, kind in kinds.items()
        if kind in ("Battery", "UPS") and peek_name(below(folder, name, "scope")) != "Device"
    ]
    return bool(own) if kinds else None
