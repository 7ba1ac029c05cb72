"""battery: the fuel gauge of a laptop, tablet or UPS, as Linux shows it in ``/sys/class/power_supply``.

Batteries give either ``energy_now`` (µWh) or ``charge_now`` (µAh); with ``by=power`` the instants
``power_now`` (µW) or ``current_now`` × ``voltage_now`` are taken instead, which also suit short windows
if the battery has them. The sign of ``current_now`` differs between makers, so direction comes from
``status`` alone. Units: Documentation/ABI/testing/sysfs-class-power and
Documentation/power/power_supply_class.rst in torvalds/linux.

Accuracy: ±5 %, our own word: fuel gauges promise none [from memory]; steps of the gauge as found at open.
Counters: the gauge's energy or charge is the curve.
Loss: unknown; a gauge that has not moved is no sample.
Tested on: emulated kernel files, recorded files of a laptop; real hardware: none yet.
"""

import os

from energymeter.drivers.links.channels import Parts
from energymeter.drivers.links.sysfs import SysFile
from energymeter.drivers.protocols.gauge import (
    COULOMBS_PER_UAH,
    JOULES_PER_UWH,
    Gauge,
    gauge_facts,
    must_discharge,
    step,
)
from energymeter.errors import SourceError, SourceMissing, SpecError
from energymeter.paths import below, entries, peek, peek_number
from energymeter.reading import Band, Facts, Reading

__all__ = ["Battery"]

_RESTING = ("Unknown", "Not charging", "Full")
"""What the one says that waits while the other gives: by the kernel's age and the ThinkPad's charge."""


class Battery(Parts["_ByCharge | _ByEnergy | _ByPower"]):
    """Every system battery, or the one named (``battery@BAT0``); one channel each, added.

    ``by="gauge"`` counts what the gauge says was taken out: good over half an hour, meaningless over
    seconds, as the ± of one step (36 J on many laptops) shows. ``by="power"`` takes instants.
    A battery that charges or rests is an error, not 0 W: its load comes from the wall. It may rest while
    another one discharges: two batteries of a laptop take turns.
    """

    kind = "gauge"

    facts = gauge_facts(joule_step=36.0)

    def __init__(self, place: str = "", *, by: str = "gauge", root: str = "/") -> None:
        if by not in ("gauge", "power"):
            raise SpecError(f"battery?by={by} is neither gauge nor power")
        self.name = f"battery@{place}" if place else "battery"
        self._wanted = place
        self._by = by
        self._supplies = below(root, "sys/class/power_supply")

    def open(self) -> None:
        names = [name for name in _batteries(self._supplies) if self._wanted in ("", name)]
        if not names:
            which = f"battery {self._wanted!r}" if self._wanted else "battery"
            raise SourceMissing(f"no {which} in {self._supplies}; use an external meter")
        self.close()
        self._parts = [self._cell(name) for name in names]
        for cell in self._parts:
            cell.check()

    def _cell(self, name: str) -> "_ByCharge | _ByEnergy | _ByPower":
        folder = os.path.join(self._supplies, name)
        has = frozenset(entries(folder))
        able = "power_now" in has or {"current_now", "voltage_now"} <= has
        if self._by == "power":
            if able:
                return _ByPower(name, folder, has)
            raise SourceMissing(
                f"{folder} has neither power_now nor current_now; use its gauge: battery?by=gauge"
            )
        if "energy_now" in has:
            return _ByEnergy(name, folder)
        if {"charge_now", "voltage_now"} <= has:
            return _ByCharge(name, folder)
        other = "battery?by=power" if able else "an external meter"
        raise SourceMissing(
            f"{folder} has no energy_now or charge_now, and a percentage is too coarse; use {other}"
        )


def _batteries(supplies: str) -> list[str]:
    """Those of the machine itself that are there."""

    def says(name: str, key: str) -> str | None:
        return peek(os.path.join(supplies, name, key))

    return [
        name
        for name in entries(supplies)
        if says(name, "type") == "Battery"
        and says(name, "scope") != "Device"  # of a mouse or a headset
        and says(name, "present") != "0"  # an empty bay
    ]


class _Cell:
    """The files of one battery, opened when first read."""

    def __init__(self, name: str, folder: str) -> None:
        self.name = f"battery:{name}"
        self._folder = folder
        self._files: dict[str, SysFile] = {}

    def open(self) -> None:
        """Nothing to do: the files are opened by the first read."""

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _file(self, key: str) -> SysFile:
        return self._files.setdefault(key, SysFile(os.path.join(self._folder, key)))

    def _number(self, key: str) -> float:
        return self._file(key).number()

    def _volts(self) -> float | None:
        """None where the firmware does not say; nothing is counted by it."""
        try:
            return abs(self._number("voltage_now")) * 1e-6
        except SourceError:
            return None

    def check(self) -> None:
        """Refuse a battery that is not being used, unless it only waits for its turn."""
        status = self._file("status").text()
        if not (status in _RESTING and self._another_discharges()):
            must_discharge(status, self.name)

    def _another_discharges(self) -> bool:
        supplies, own = os.path.split(self._folder)
        return any(
            peek(os.path.join(supplies, name, "status")) == "Discharging"
            for name in _batteries(supplies)
            if name != own
        )

    def _step(self, kind: str) -> float:
        keys = (f"{kind}_now", f"{kind}_full", f"{kind}_full_design")
        values = [peek_number(os.path.join(self._folder, key)) for key in keys]
        return step(value for value in values if value is not None)


class _ByEnergy(_Cell):
    """A gauge in µWh."""

    def __init__(self, name: str, folder: str) -> None:
        super().__init__(name, folder)
        self._gauge = Gauge(self.name)
        self.facts = gauge_facts(joule_step=self._step("energy") * JOULES_PER_UWH)

    def read(self) -> Reading:
        self.check()
        return self._gauge.by_energy(self._number("energy_now") * JOULES_PER_UWH, self._volts())


class _ByCharge(_Cell):
    """A gauge in µAh."""

    def __init__(self, name: str, folder: str) -> None:
        super().__init__(name, folder)
        self._gauge = Gauge(self.name)
        coulombs = self._step("charge") * COULOMBS_PER_UAH
        volts = (peek_number(os.path.join(folder, "voltage_now")) or 3.7e6) * 1e-6
        self.facts = gauge_facts(coulomb_step=coulombs, joule_step=coulombs * volts)

    def read(self) -> Reading:
        self.check()
        volts = self._number("voltage_now") * 1e-6
        return self._gauge.by_charge(self._number("charge_now") * COULOMBS_PER_UAH, volts)


class _ByPower(_Cell):
    """Instants, as old as the gauge's own update: 1 to 60 s."""

    facts = Facts(
        place="cell",
        watts=Band(gain=0.05),
        volts=Band(gain=0.02),
        amps=Band(gain=0.05),
        default_hz=1.0,
        max_hz=2.0,
    )

    def __init__(self, name: str, folder: str, has: frozenset[str]) -> None:
        super().__init__(name, folder)
        self._has_power = "power_now" in has

    def read(self) -> Reading:
        self.check()
        if self._file("status").text() == "Unknown" and not self._another_discharges():
            raise SourceError(f"{self.name} does not say whether it charges; use its gauge: battery?by=gauge")
        if self._has_power:
            return Reading(volts=self._volts(), watts=abs(self._number("power_now")) * 1e-6)
        volts = abs(self._number("voltage_now")) * 1e-6
        return Reading(volts=volts, amps=abs(self._number("current_now")) * 1e-6)
