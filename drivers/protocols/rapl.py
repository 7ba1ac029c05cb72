"""The energy counters of processors (RAPL), each once: powercap zones, and perf events.

Zones nest, and several control types mirror them. Source: Documentation/power/powercap/powercap.rst in
torvalds/linux.

Perf events are for machines that allow those and not powercap; not tried on a machine with such counters.
They are in ``/sys/bus/event_source/devices/power`` (arch/x86/events/rapl.c in torvalds/linux): ``type``,
``cpumask`` (one CPU a package), and per event its number and the joules of one count. They count from 0 when
opened, in 64 bits, so they never wrap.
"""

from __future__ import annotations

import os
import struct

from energymeter.drivers.links.sysfs import translated
from energymeter.errors import SourceError, SourceMissing
from energymeter.lazy import TYPE_CHECKING, NamedTuple
from energymeter.paths import entries, peek, peek_name, peek_number

if TYPE_CHECKING:
    from collections.abc import Callable

    OpenCounter = Callable[[int, int, int], int]
    """PMU type, event number, CPU: to a file descriptor."""


_CONTROLS = ("intel-rapl", "intel-rapl-mmio", "intel-rapl-tpmi")
"""Where one zone may be shown; the first that has it wins."""

UDEV_RULE = """\
SUBSYSTEM=="powercap", ACTION=="add", KERNEL=="intel-rapl*:*", \\
RUN+="/bin/sh -c 'chgrp rapl /sys%p/energy_uj; chmod 440 /sys%p/energy_uj'"\
"""
"""Lets group rapl read the counters."""
_DEFAULT_MAX_WATTS = 1000.0
"""No package on the market draws more (the largest servers: 500 W)."""

_HEADROOM = 4.0
"""Short bursts over the limit the chip states: a 15 W laptop part is allowed 60 W."""

_SYSCALL = {"x86_64": 298, "i686": 336}  # perf_event_open; other processors have no RAPL
_CLOEXEC = 8  # PERF_FLAG_FD_CLOEXEC
_ATTR_BYTES = 64  # PERF_ATTR_SIZE_VER0, which every kernel understands

_CURE = (
    "system-wide counters are closed to this user; open them with "
    "`sudo sysctl kernel.perf_event_paranoid=0`, or give Python CAP_PERFMON"
)


class ZoneFolder(NamedTuple):
    """One zone as the kernel shows it."""

    name: str  # "package-0", or "package-0/dram" for a zone inside another
    folder: str

    @property
    def kind(self) -> str:
        """``package`` of ``package-0``, ``dram`` of ``package-0/dram``."""
        return self.name.rsplit("/", 1)[-1].split("-", 1)[0]

    def energy_uj(self) -> float | None:
        """What its counter shows; None: it cannot be read."""
        return peek_number(os.path.join(self.folder, "energy_uj"))


def zones(powercap: str) -> list[ZoneFolder]:
    """Every zone once, whatever control type mirrors it, in the kernel's order."""
    found: dict[str, ZoneFolder] = {}
    folders = _folders(powercap)
    for control in _CONTROLS:
        for key, folder in folders.items():
            if key.split(":", 1)[0] != control or not os.path.exists(os.path.join(folder, "energy_uj")):
                continue
            name = peek_name(os.path.join(folder, "name")) or key
            parent = folders.get(key.rsplit(":", 1)[0]) if key.count(":") > 1 else None
            if parent is not None:
                name = f"{peek_name(os.path.join(parent, 'name'))}/{name}"
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


def open_counter(pmu: int, event: int, cpu: int) -> int:
    """A descriptor from which a count can be read, of a whole CPU.

    Raises:
        OSError: the kernel refused; its errno is on it.
    """
    import ctypes  # here, because every other way of reading RAPL does without

    machine = os.uname().machine
    number = _SYSCALL.get(machine)
    if number is None:
        raise SourceMissing(f"a {machine} has no RAPL counters; use another source")
    attr = ctypes.create_string_buffer(struct.pack("<IIQ", pmu, _ATTR_BYTES, event), _ATTR_BYTES)
    libc = ctypes.CDLL(None, use_errno=True)
    nobody, no_group = ctypes.c_long(-1), ctypes.c_long(-1)
    fd = int(
        libc.syscall(
            ctypes.c_long(number), attr, nobody, ctypes.c_long(cpu), no_group, ctypes.c_ulong(_CLOEXEC)
        )
    )
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return fd


class Counter:
    """One event on one CPU."""

    def __init__(self, pmu: int, event: int, cpu: int, opener: OpenCounter) -> None:
        """Open it.

        Raises:
            SourceError: it cannot be; for want of rights, the message says how to get them.
        """
        try:
            self._fd = opener(pmu, event, cpu)
        except SourceError:
            raise
        except OSError as error:
            raise translated(error, "perf event power", _CURE) from error

    def number(self) -> float:
        """Counts since it was opened.

        Raises:
            SourceError: the kernel gave none.
        """
        try:
            said = os.read(self._fd, 8)
        except OSError as error:
            raise translated(error, "perf event power", _CURE) from error
        if len(said) != 8:
            raise SourceError("perf event power gave no count; check that its CPU is online")
        return float(struct.unpack("<Q", said)[0])

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def events(folder: str) -> dict[str, tuple[int, float]]:
    """Event number and joules a count, by name (``pkg``, ``ram``, ``cores``, ``gpu``, ``psys``)."""
    found = {}
    for name in entries(os.path.join(folder, "events")):
        if not name.startswith("energy-") or "." in name:
            continue
        number = (peek(os.path.join(folder, "events", name)) or "").removeprefix("event=")
        scale = peek(os.path.join(folder, "events", f"{name}.scale"))
        if number and scale:
            found[name.removeprefix("energy-")] = (int(number, 0), float(scale))
    return found


def cpus(mask: str) -> list[int]:
    """The CPUs of a kernel list.

    >>> cpus("0,18-20")
    [0, 18, 19, 20]
    """
    listed: list[int] = []
    for part in filter(None, mask.split(",")):
        first, _, last = part.partition("-")
        listed += range(int(first), int(last or first) + 1)
    return listed
