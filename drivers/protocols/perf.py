"""Link helper: RAPL counters through perf events, for machines that allow those and not powercap.

Not tried on a machine with such counters. The events are in
``/sys/bus/event_source/devices/power`` (arch/x86/events/rapl.c in torvalds/linux): ``type``, ``cpumask`` (one
CPU a package), and per event its number and the joules of one count. They count from 0 when
opened, in 64 bits, so they never wrap.
"""

import os
import struct
from collections.abc import Callable

from energymeter.drivers.links.sysfs import entries, peek, translated
from energymeter.errors import SourceError, SourceMissing

_SYSCALL = {"x86_64": 298, "i686": 336}  # perf_event_open; other processors have no RAPL
_CLOEXEC = 8  # PERF_FLAG_FD_CLOEXEC
_ATTR_BYTES = 64  # PERF_ATTR_SIZE_VER0, which every kernel understands

_CURE = (
    "system-wide counters are closed to this user; open them with "
    "`sudo sysctl kernel.perf_event_paranoid=0`, or give Python CAP_PERFMON"
)

OpenCounter = Callable[[int, int, int], int]
"""PMU type, event number, CPU: to a file descriptor."""


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
            raise SourceError("perf event power gave no count; its CPU may have been taken offline")
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
