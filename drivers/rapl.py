"""RAPL: the energy counters inside Intel and AMD processors, through the kernel's powercap zones.

Zones nest (psys ⊃ package ⊃ core, uncore) and are mirrored (``intel-rapl-mmio`` and
``intel-rapl-tpmi`` show the same package again), so adding all of them counts joules two or three
times. Here the packages and their DRAM are added, each once, recognised by name. ``psys``, the whole
platform as the mainboard's maker wired it, is left out unless asked for (``rapl@psys``) or alone:
many boards do not feed it, and some over-read.

AMD processors (Linux 5.8 and later) appear under the same ``intel-rapl`` names.
Sources: Documentation/power/powercap/powercap.rst, drivers/powercap/intel_rapl_common.c in torvalds/linux.

Accuracy: ±5 % for packages, our own word; ±20 % for DRAM (Desrochers et al., MEMSYS 2016).
Renewal: about every millisecond.
Counters: the processor's joules are the curve; their wrap is undone.
Loss: the counter misses nothing between two reads less than its wrap apart.
Tested on: emulated kernel files, recorded files of a laptop; real hardware: none yet.
"""

from __future__ import annotations

import os

from energymeter.drivers.links.channels import Parts
from energymeter.drivers.links.sysfs import Rail, SysFile
from energymeter.drivers.protocols.rapl import (
    UDEV_RULE,
    Counter,
    ZoneFolder,
    cpus,
    events,
    max_watts,
    open_counter,
    zones,
)
from energymeter.errors import SourceError, SourceMissing, SpecError
from energymeter.lazy import TYPE_CHECKING
from energymeter.paths import below, peek, peek_number
from energymeter.reading import Band, Facts

if TYPE_CHECKING:
    from energymeter.drivers.protocols.rapl import OpenCounter

__all__ = ["Rapl"]

_GAIN = {"pkg": 0.05, "ram": 0.2}
"""Intel promises no accuracy. DRAM was found within 20 % and packages closer, against instrumented machines
(Desrochers et al., MEMSYS 2016); ±5 % for packages is our own word."""

_STILL_SECONDS = 0.09
"""A counter that is fed moves every millisecond (powercap.rst); in a virtual machine none moves at all."""

_SLEEPLESS = frozenset({"package", "dram", "psys", "pkg", "ram"})

_CURE = f"""\
only root may read energy counters since Linux 5.10, because finely timed readings leak secrets of other
programs (PLATYPUS, CVE-2020-8694). To let your own group read them on this machine:
  sudo groupadd -f rapl && sudo usermod -aG rapl "$USER"
  sudo tee /etc/udev/rules.d/70-rapl.rules <<'EOF'
{UDEV_RULE}
EOF
  sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=powercap --action=add
then log out and in again. In a container, mount /sys/class/powercap and run as root"""


class Rapl(Parts[Rail]):
    """Processor packages and their DRAM, one channel each, in joules since the counter last wrapped.

    ``rapl`` counts every package and every DRAM zone; ``rapl@psys`` (or any other zone's name, such
    as ``rapl@package-0/core``) counts that one alone. With ``parts=true`` the zones inside others
    are shown too, without being added.

    ``backend=perf`` reads the same counters through perf events, which some machines allow to users who may
    not read powercap; it was not tried on a machine that has them.

    The counter moves about every millisecond, in steps of 15 or 61 µJ; windows under 100 ms are coarse.
    """

    kind = "package"
    shared = True

    facts = Facts(semantics="counter", place="die", default_hz=10.0, max_hz=1000.0)

    def __init__(
        self,
        address: str = "",
        *,
        parts: bool = False,
        backend: str = "powercap",
        root: str = "/",
        open_counter: OpenCounter = open_counter,
    ) -> None:
        """``open_counter`` stands for the system call ``perf_event_open``."""
        if backend not in ("powercap", "perf"):
            raise SpecError(f"rapl?backend={backend} is neither powercap nor perf")
        self.name = f"rapl@{address}" if address else "rapl"
        self._wanted = address
        self._shows_inner = parts
        self._backend = backend
        self._powercap = below(root, "sys/class/powercap")
        self._pmu = below(root, "sys/bus/event_source/devices/power")
        self._open_counter = open_counter
        self.notes: list[str] = []

    def open(self) -> None:
        self.close()
        self.notes = []
        if self._backend == "perf":
            self._open_perf()
            return
        found = zones(self._powercap)
        if not found:
            raise SourceMissing(
                f"{self._powercap} has no intel-rapl zone: this processor, kernel or virtual machine "
                "shows no energy counters; try `sudo modprobe intel_rapl_msr` on a PC, or use another source"
            )
        counted = self._choose(found)
        shown = found if self._shows_inner else counted
        self._parts = [_zone(zone, counted=zone in counted) for zone in shown]
        for zone in self._parts:
            zone.answers()

    def _open_perf(self) -> None:
        pmu = peek_number(os.path.join(self._pmu, "type"))
        found = events(self._pmu)
        wanted = [self._wanted] if self._wanted else [name for name in ("pkg", "ram") if name in found]
        if pmu is None or not found or not wanted:
            raise SourceMissing(f"{self._pmu} has no energy events; try rapl without backend=perf")
        if self._wanted and self._wanted not in found:
            raise SpecError(f"no event {self._wanted!r} in {self._pmu}; there are: {', '.join(found)}")
        for cpu in cpus(peek(os.path.join(self._pmu, "cpumask")) or "0"):
            for name in wanted:
                number, joules = found[name]
                try:
                    counter = Counter(int(pmu), number, cpu, self._open_counter)
                except SourceError:
                    self.close()
                    raise
                gain = _GAIN["ram" if name == "ram" else "pkg"]
                facts = self.facts._replace(
                    joules=Band(gain=gain, resolution=61e-6), still_seconds=_still_seconds(name)
                )
                zone = Rail(f"rapl:cpu{cpu}/{name}", facts, {"joules": (counter, joules)})
                self._parts = [*self._parts, zone]

    def _choose(self, found: list[ZoneFolder]) -> list[ZoneFolder]:
        if self._wanted:
            chosen = [zone for zone in found if zone.name == self._wanted]
            if not chosen:
                names = ", ".join(zone.name for zone in found)
                raise SpecError(f"no zone {self._wanted!r} in {self._powercap}; there are: {names}")
            return chosen
        dead = [zone for zone in found if zone.kind in ("package", "dram") and zone.energy_uj() == 0]
        counted = [zone for zone in found if zone.kind in ("package", "dram") and zone not in dead]
        whole = [zone for zone in found if zone.kind == "psys"]
        if not counted and not any(zone.energy_uj() for zone in whole):
            # in a virtual machine none counts, and none is left out for that
            dead, counted = [], [zone for zone in dead if zone.kind == "package"]
        self.notes = [f"rapl:{zone.name} has never counted and is not in the total" for zone in dead]
        return counted or whole or found[:1]


def _zone(found: ZoneFolder, *, counted: bool) -> Rail:
    """One zone, with what is known of it."""
    range_uj = peek_number(os.path.join(found.folder, "max_energy_range_uj"))
    facts = Rapl.facts._replace(
        still_seconds=_still_seconds(found.kind),
        joules=Band(gain=_GAIN["ram" if found.kind == "dram" else "pkg"], resolution=61e-6),
        # after the largest value comes 0: one count more than the range
        joules_wrap=(range_uj + 1) * 1e-6 if range_uj and range_uj > 0 else None,
        max_watts=max_watts(found.folder),
        counted=counted,
    )
    energy = SysFile(os.path.join(found.folder, "energy_uj"), _CURE)
    return Rail(f"rapl:{found.name}", facts, {"joules": (energy, 1e-6)})


def _still_seconds(kind: str) -> float | None:
    """Cores and graphics may rest, being switched off altogether when idle (C6, RC6)."""
    return _STILL_SECONDS if kind in _SLEEPLESS else None
