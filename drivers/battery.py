"""battery: the fuel gauge of a laptop, tablet or UPS, as Linux shows it in ``/sys/class/power_supply``.

Batteries give either ``energy_now`` (µWh) or ``charge_now`` (µAh); with ``by=power`` the instants
``power_now`` (µW) or ``current_now`` × ``voltage_now`` are taken instead, which also suit short windows
if the battery has them. The sign of ``current_now`` differs between makers and ``status`` lags behind, so
direction comes from the chargers (``online`` of the supplies that are no battery) and, where the kernel shows
none, from ``status``. Units: Documentation/ABI/testing/sysfs-class-power and
Documentation/power/power_supply_class.rst in torvalds/linux.

Accuracy: ±5 %, our own word: fuel gauges promise none [from memory]; the gauge's step as its
figures at open have it, or the smallest by which it moves later.
Renewal: every 1 to 60 s, by maker; which, is unknown, so it is read once a second and repeats are no samples.
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
    MAX_WATTS,
    Discharging,
    Gauge,
    gauge_facts,
    must_fit,
    step,
)
from energymeter.errors import ImplausibleReading, SourceError, SourceMissing, SpecError
from energymeter.paths import below, entries, peek, peek_number
from energymeter.reading import Band, Facts, Reading
from energymeter.units import number

__all__ = ["Battery"]

_RESTING = ("Unknown", "Not charging", "Full")
"""What the one says that waits while the other gives: by the kernel's age and the ThinkPad's charge."""
_LEAST = {"voltage_now": 0.5e6, "energy_full": 0.1e6, "charge_full": 0.02e6}
"""Less in µV, µWh or µAh has no battery that a computer runs on: drivers exist that count in mV or mWh."""
_MOST_HOURS = 2000.0
"""No computer that is awake runs longer on a full battery."""


class Battery(Parts["_ByCharge | _ByEnergy | _ByPower"]):
    """Every system battery, or the one named (``battery@BAT0``); one channel each, added.

    ``by="gauge"`` counts what the gauge says was taken out: good over half an hour, meaningless over
    seconds, as the ± of one step (36 J on many laptops) shows. ``by="power"`` takes instants, which the gauge
    renews every 1 to 60 s. A battery on the mains is an error, not 0 W: the load comes from the wall. It may
    rest while another one gives: two batteries of a laptop take turns.
    """

    kind = "gauge"
    shared = True

    facts = gauge_facts(joule_step=36.0)

    def __init__(self, address: str = "", *, by: str = "gauge", root: str = "/") -> None:
        if by not in ("gauge", "power"):
            raise SpecError(f"battery?by={by} is neither gauge nor power")
        self.name = f"battery@{address}" if address else "battery"
        self._wanted = address
        self._by = by
        self._supplies = _Supplies(below(root, "sys/class/power_supply"))
        self.notes: list[str] = []

    def open(self) -> None:
        """Find the batteries, and whether they are used.

        Raises:
            SourceMissing: there is none, or none with what is asked for.
            SourceError: the mains carry the load.
            ImplausibleReading: its figures are in other units than the kernel's.
        """
        names = [name for name in self._supplies.batteries() if self._wanted in ("", name)]
        if not names:
            which = f"battery {self._wanted!r}" if self._wanted else "battery"
            raise SourceMissing(f"no {which} in {self._supplies.folder}; use an external meter")
        self.close()
        parts, self.notes = [], []
        for name in names:
            try:
                parts.append(self._cell(name))
            except (SourceMissing, ImplausibleReading) as error:
                if name == names[-1] and not parts:
                    raise
                self.notes.append(f"battery:{name} is not in the total: {error}")
        for cell in parts:
            cell.check()
        self._parts = parts

    def _cell(self, name: str) -> "_ByCharge | _ByEnergy | _ByPower":
        folder = os.path.join(self._supplies.folder, name)
        has = frozenset(entries(folder))
        able = "power_now" in has or {"current_now", "voltage_now"} <= has
        self._supplies.must_be_micro(name)
        if self._by == "power":
            if able:
                return _ByPower(name, self._supplies, has)
            raise SourceMissing(
                f"{folder} has neither power_now nor current_now; use its gauge: battery?by=gauge"
            )
        if "energy_now" in has:
            return _ByEnergy(name, self._supplies)
        if {"charge_now", "voltage_now"} <= has:
            return _ByCharge(name, self._supplies)
        other = "battery?by=power" if able else "an external meter"
        raise SourceMissing(
            f"{folder} has no energy_now or charge_now, and a percentage is too coarse; use {other}"
        )


class _Supplies:
    """What feeds the machine: batteries and chargers."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def says(self, name: str, key: str) -> str | None:
        return peek(os.path.join(self.folder, name, key))

    def _own(self) -> list[str]:
        """All but those of a mouse or a headset."""
        return [name for name in entries(self.folder) if self.says(name, "scope") != "Device"]

    def batteries(self) -> list[str]:
        """Those of the machine itself that are there."""
        return [
            name
            for name in self._own()
            if self.says(name, "type") == "Battery"
            and self.says(name, "present") != "0"  # an empty bay
            and not self._phantom(name)
        ]

    def _phantom(self, name: str) -> bool:
        """A battery that the firmware lists and nobody built in: it holds nothing, full or empty."""
        capacities = [
            value
            for kind in ("energy", "charge")
            for key in (f"{kind}_full", f"{kind}_full_design", f"{kind}_now")
            if (value := number(self.says(name, key))) is not None
        ]
        return bool(capacities) and not any(capacities)

    def must_be_micro(self, name: str) -> None:
        """Refuse a driver that counts in other units than the kernel's.

        Raises:
            ImplausibleReading: a figure is far below that of any battery.
        """
        for key, least in _LEAST.items():
            value = abs(number(self.says(name, key)) or 0.0)
            if 0 < value < least:
                raise ImplausibleReading(
                    f"battery:{name} says {value:g} in {key}, which is no battery's in µV, µWh or µAh: "
                    "its unit is another, so use an external meter"
                )

    def plugged(self) -> bool | None:
        """Whether a charger is connected; None: the kernel shows none."""
        online = [
            value
            for name in self._own()
            if self.says(name, "type") != "Battery" and (value := self.says(name, "online")) is not None
        ]
        return any(value != "0" for value in online) if online else None

    def another_discharges(self, name: str) -> bool:
        return any(self.says(other, "status") == "Discharging" for other in self.batteries() if other != name)


class _Cell:
    """The files of one battery, opened when first read."""

    def __init__(self, name: str, supplies: _Supplies) -> None:
        self.name = f"battery:{name}"
        self._key = name
        self._supplies = supplies
        self._folder = os.path.join(supplies.folder, name)
        self._files: dict[str, SysFile] = {}
        self._discharging = Discharging(self.name)
        self._gauge = Gauge(self.name)

    def open(self) -> None:
        """Nothing to do: the files are opened by the first read."""

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def read(self) -> Reading:
        if not self.check():
            return self._measured()
        self._gauge = Gauge(self.name)  # what it shows does not continue what it showed before
        return Reading()

    def _measured(self) -> Reading:
        raise NotImplementedError

    def check(self) -> bool:
        """Refuse a battery that is not being used, unless it only waits for its turn.

        Returns:
            Whether it was not used when it was checked before.

        Raises:
            SourceError: it is not.
        """
        plugged = self._supplies.plugged()
        return self._discharging.resumed(
            "discharging" if plugged is None and self._rests() else self._status(), plugged
        )

    def _status(self) -> str:
        return self._file("status").text()

    def _rests(self) -> bool:
        """Whether it waits while another battery gives."""
        return self._status() in _RESTING and self._supplies.another_discharges(self._key)

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

    def _left(self, kind: str) -> float:
        """What the gauge shows, in its own micro-unit.

        Raises:
            SourceError: it shows none, or what no such battery holds.
        """
        left = self._number(f"{kind}_now")
        must_fit(left, max(self._known(kind, "full"), self._known(kind, "full_design")), self.name)
        return left

    def _known(self, kind: str, what: str) -> float:
        return peek_number(os.path.join(self._folder, f"{kind}_{what}")) or 0.0

    def _counted(self, reading: Reading) -> Reading:
        """A gauge that stands still says nothing, unless another battery gives meanwhile: then it rests."""
        return reading if reading.fresh or not self._rests() else reading._replace(fresh=True)

    def _step(self, kind: str) -> float:
        return step(self._known(kind, what) for what in ("now", "full", "full_design"))


class _ByEnergy(_Cell):
    """A gauge in µWh."""

    def __init__(self, name: str, supplies: _Supplies) -> None:
        super().__init__(name, supplies)
        self.facts = gauge_facts(joule_step=self._step("energy") * JOULES_PER_UWH)

    def _measured(self) -> Reading:
        return self._counted(self._gauge.by_energy(self._left("energy") * JOULES_PER_UWH, self._volts()))


class _ByCharge(_Cell):
    """A gauge in µAh."""

    def __init__(self, name: str, supplies: _Supplies) -> None:
        super().__init__(name, supplies)
        coulombs = self._step("charge") * COULOMBS_PER_UAH
        volts = (self._known("voltage", "now") or 3.7e6) * 1e-6
        self.facts = gauge_facts(coulomb_step=coulombs, joule_step=coulombs * volts)

    def _measured(self) -> Reading:
        volts = self._number("voltage_now") * 1e-6
        if volts <= 0:
            raise SourceError(f"{self.name} shows {volts:g} V, which no battery has; wait for its next value")
        return self._counted(self._gauge.by_charge(self._left("charge") * COULOMBS_PER_UAH, volts))


class _ByPower(_Cell):
    """Instants, as old as the gauge's own update."""

    facts = Facts(
        place="cell",
        watts=Band(gain=0.05),
        volts=Band(gain=0.02),
        amps=Band(gain=0.05),
        max_watts=MAX_WATTS,
        renewal_seconds=60.0,
        default_hz=1.0,
        max_hz=1.0,
    )

    def __init__(self, name: str, supplies: _Supplies, has: frozenset[str]) -> None:
        super().__init__(name, supplies)
        self._has_power = "power_now" in has

    def _measured(self) -> Reading:
        unknown = self._status() == "Unknown" and self._supplies.plugged() is None
        if unknown and not self._supplies.another_discharges(self._key):
            raise SourceError(f"{self.name} does not say whether it charges; use its gauge: battery?by=gauge")
        if self._has_power:
            return Reading(volts=self._volts(), watts=self._used("power_now"))
        volts = abs(self._number("voltage_now")) * 1e-6
        return Reading(volts=volts, amps=self._used("current_now"))

    def _used(self, key: str) -> float:
        """What flows out of it.

        Raises:
            SourceError: nothing, though it feeds the machine: its gauge has not measured yet.
        """
        used = abs(self._number(key))
        full = self._known("energy" if key == "power_now" else "charge", "full")
        if used * _MOST_HOURS <= full and not self._supplies.another_discharges(self._key):
            raise SourceError(
                f"{self.name} discharges and shows {used:g} in {key}, too little for a computer; "
                "wait for its gauge's next value"
            )
        return used * 1e-6
