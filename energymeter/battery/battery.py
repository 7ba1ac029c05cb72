"""A battery: the charge on its label, how much of it reaches the rail, and how long it lasts.

Two conventions are in use for "mAh", and `Battery.basis` names the one that is used:

``cell``  The label of a phone, an 18650 or a power bank: charge at the cell's own voltage. A converter
          makes the rail's voltage from it, so watt-hours are what matters.
``rail``  The course's arithmetic: all milliamp-hours are counted as if delivered at the rail (5 V);
          hours are mAh divided by the mA of the rail.

    >>> battery = Battery(4000, basis="rail")
    >>> [round(battery.hours(amps=a), 2) for a in (2.0, 0.6, 0.15)]
    [2.0, 6.67, 26.67]
    >>> cell = Battery(4000, volts=3.7, efficiency=0.9, usable=1.0)
    >>> [round(cell.hours(amps=a), 2) for a in (2.0, 0.6, 0.15)]
    [1.33, 4.44, 17.76]
"""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from energymeter.battery.capacity import LogNormal, Spread, Unknown, unknown
from energymeter.battery.converter import Converter
from energymeter.battery.gauge import full_charge
from energymeter.errors import SpecError
from energymeter.reading import Place
from energymeter.text import Estimate, html_table, percent, significant

Basis = Literal["cell", "rail"]

_MONTH = 30 * 86400.0
_MOST = 1e12
"""The limit for mAh, volts and hours. No battery exceeds it, and products of such numbers stay finite."""
_COLD = ((-20.0, 0.60), (0.0, 0.85), (20.0, 1.0))
"""Share of capacity left at °C: middle of -30..50 % and -10..20 % [M]. Recorded: an 18650 at 4 °C gave
1.21 to 1.80 of 2 Ah (NASA PCoE); a CR123A 92 h at 20 °C, 56 h at -10 °C, 46 h at -20 °C."""


_USABLE = 0.9
_MOST_HEALTH = 1.2
_GAUGED = 0.10
"""Relative standard uncertainty of what a battery's own gauge says of its full charge [M]."""
_DECLARED = 0.10
"""The same of milliamp-hours at the rail: no label says them, the user does, with all losses counted."""


class Input(Protocol):
    """What charges the battery while it is in use: see `energymeter.battery.solar`."""

    def watts_at(self, hour: float) -> float:
        """Watts into the cell at ``hour`` hours since a midnight (may exceed 24)."""


class _Fields(NamedTuple):
    mah: float
    volts: float
    efficiency: float | Converter
    usable: float
    health: float
    basis: Basis
    peukert: float
    rated_hours: float
    celsius: float | None
    self_discharge: float
    capacity_sigma: float | None
    input: Input | None


class Battery(_Fields):
    """One battery, immutable.

    Args:
        mah: rated charge, milliamp-hours, counted where ``basis`` says.
        volts: mean volts over a discharge, on that same side. None: 3.85 V for a cell (the mean of a
            published 4.20 V table, `ocv.mean_volts`), 5 V for a rail.
        efficiency: share of the cell's energy that reaches the rail, or a `Converter` curve. None: 0.90
            (published converters: 0.80 to 0.93). A rail basis has none: those mAh are already behind it.
        usable: share that is used before cut-off. None: 0.9 for a cell (0.80 to 0.95 between a
            protection board's 2.8 V and a boost chip's 3.3 V), 1 for a rail.
        health: share of the rated charge left by age; `aged` and `measured` set it.
        peukert: exponent k of t = H (C / (I H))^k; 1 is "none". Lithium 1.02 to 1.10, lead 1.1 to 1.3
            (vbatpower.com/formulas/peukert).
        rated_hours: H above, the discharge time for which ``mah`` was rated (5 h for lithium).
        celsius: temperature of the cell; None: no correction.
        self_discharge: share of the full battery lost in 30 days; 0 is "none", lithium about 0.02 [M].
        capacity_sigma: relative standard uncertainty of all of the above together, for a known cell: 0.03
            after a full discharge at this load, 0.10 by a gauge or a data sheet's curve. None: the cell is
            *unknown*, and its interval is the prior of `energymeter.battery.capacity`. At the rail: 0.10.
        input: what charges it in use; see `energymeter.battery.solar`.

    Raises:
        SpecError: a value that no battery can have.
    """

    __slots__ = ()

    def __new__(
        cls,
        mah: float = 4000.0,
        volts: float | None = None,
        efficiency: float | Converter | None = None,
        usable: float | None = None,
        health: float = 1.0,
        basis: Basis = "cell",
        peukert: float = 1.0,
        rated_hours: float = 5.0,
        celsius: float | None = None,
        self_discharge: float = 0.0,
        capacity_sigma: float | None = None,
        input: Input | None = None,
    ) -> "Battery":
        if basis not in ("cell", "rail"):
            raise SpecError(f"a battery's mAh are counted at the 'cell' or at the 'rail', not {basis!r}")
        if basis == "rail" and efficiency not in (None, 1.0):
            raise SpecError(
                "mAh counted at the rail are behind the converter: leave out efficiency, or use basis='cell'"
            )
        rail = basis == "rail"
        self = super().__new__(
            cls,
            mah,
            volts if volts is not None else 5.0 if rail else 3.85,
            efficiency if efficiency is not None else 1.0 if rail else 0.90,
            usable if usable is not None else 1.0 if rail else _USABLE,
            health,
            basis,
            peukert,
            rated_hours,
            celsius,
            self_discharge,
            _DECLARED if capacity_sigma is None and rail else capacity_sigma,
            input,
        )
        self._check()
        return self

    def _check(self) -> None:
        for name, least, most in (("mah", 1e-3, 1e9), ("volts", 0.01, 1e4), ("rated_hours", 1e-3, 1e5)):
            if not least <= getattr(self, name) <= most:
                raise SpecError(
                    f"a battery's {name} must be from {least:g} to {most:g}, not {getattr(self, name)!r}"
                )
        for name, top in (("usable", 1.0), ("health", _MOST_HEALTH)):
            if not 1e-6 <= getattr(self, name) <= top:
                raise SpecError(f"a battery's {name} is a share in (0, {top:g}], not {getattr(self, name)!r}")
        if not 1.0 <= self.peukert <= 2.0:
            raise SpecError(f"a Peukert exponent lies between 1 (none) and 2, not {self.peukert!r}")
        for name in ("self_discharge", "capacity_sigma"):
            if not 0 <= (getattr(self, name) or 0.0) < 1:
                raise SpecError(f"a battery's {name} is a share in [0, 1), not {getattr(self, name)!r}")
        if self.celsius is not None and not -40 <= self.celsius <= 80:
            raise SpecError(f"no lithium cell works at {self.celsius!r} °C: give -40 to 80")
        if not isinstance(self.efficiency, Converter):
            Converter.constant(self.efficiency)

    # Presets ----------------------------------------------------------------------------------

    @classmethod
    def phone(cls, basis: Basis = "cell") -> "Battery":
        """One charge of a smartphone battery, about 4 Ah: the course's budget."""
        return cls(4000.0, basis=basis)

    @classmethod
    def li_18650(cls, mah: float = 2500.0) -> "Battery":
        """One 18650 cell; 2500 mAh as in the device tree of the published voltage table."""
        return cls(mah, volts=3.7)

    @classmethod
    def power_bank(cls, mah: float = 10_000.0) -> "Battery":
        """A power bank by its printed label: 3.7 V cells behind a 5 V converter.

        10 000 mAh are 7 400 mAh at 5 V before loss; 0.85 is a good converter
        (powerprofiler.net/blog/power-banks-101).
        """
        return cls(mah, volts=3.7, efficiency=0.85, usable=1.0)

    @classmethod
    def laptop(cls, root: str | Path = "/sys/class/power_supply") -> "Battery":
        """The battery of this machine, by its gauge; measured at the battery, so there is no converter.

        Usable 0.93: a recorded laptop shut down at 7 %. The gauge knows the charge of today within 10 %.

        Raises:
            SourceMissing: the kernel shows no system battery here.
        """
        mah, volts, health = full_charge(str(root))
        return cls(mah, volts=volts, efficiency=1.0, usable=0.93, health=health, capacity_sigma=_GAUGED)

    @classmethod
    def parse(cls, text: str, basis: Basis = "cell") -> "Battery":
        """From a few words: ``phone``, ``18650:3000``, ``powerbank:20000``, ``laptop``, ``4000mAh``.

        Raises:
            SpecError: neither a preset nor milliamp-hours, or a preset that cannot be counted at the rail.
        """
        kind, _, size = text.strip().lower().removesuffix("mah").partition(":")
        try:
            mah = float(size) if size else None
            if kind.replace(".", "", 1).isdigit() and kind != "18650":
                return cls(float(kind), basis=basis)
        except ValueError:
            raise SpecError(
                f"{size!r} is not the size of a battery: write milliamp-hours, as in {kind}:3000"
            ) from None
        if kind == "phone":
            return cls(mah or 4000.0, basis=basis)
        if basis == "rail":
            raise SpecError(
                f"{text!r} is labelled at the cell: leave out --basis rail, or give 4000mAh at the rail"
            )
        if kind == "laptop":
            return cls.laptop()
        presets = {"18650": cls.li_18650, "powerbank": cls.power_bank}
        if kind not in presets:
            raise SpecError(
                f"there is no battery {text!r}: choose phone, 18650, powerbank:10000, laptop or 4000mAh"
            )
        return presets[kind](mah) if mah else presets[kind]()

    def with_(self, **changes: Any) -> "Battery":
        """A copy with some values changed; it is checked like a new battery.

        At another temperature, what was known of its capacity is known no more, unless ``capacity_sigma`` is
        given, too.
        """
        if changes.get("celsius", self.celsius) != self.celsius:
            changes.setdefault("capacity_sigma", None)
        return Battery(**{**self._asdict(), **changes})

    def aged(self, cycles: float) -> "Battery":
        """After so many full cycles: about a fifth is lost at 500 [M], linearly, never below 0.3.

        Cycles tell little of one cell, so it is an unknown one.
        """
        return self.with_(health=max(1 - 0.2 * cycles / 500, 0.3), capacity_sigma=None)

    def measured(self, mah: float, *, capacity_sigma: float = 0.03) -> "Battery":
        """A copy with the health that one full discharge of ``mah``, on the side of the basis, shows.

        ``capacity_sigma``: the remaining uncertainty; discharges of one cell repeat within a few percent [M].

        Raises:
            SpecError: more than such a battery gives.
        """
        health = self.health * mah * 3.6 * self.volts / self.joules
        if health > _MOST_HEALTH:
            raise SpecError(
                f"a discharge of {mah:g} mAh is more than a battery of {self.mah:g} mAh gives: correct either"
            )
        return self.with_(health=health, capacity_sigma=capacity_sigma)

    def __repr__(self) -> str:
        return f"Battery({'; '.join(f'{name} {text}' for name, text in self._rows())})"

    def _repr_html_(self) -> str:
        return html_table(self._rows())

    def _rows(self) -> list[tuple[str, str]]:
        rows = [
            ("label", f"{self.mah:g} mAh at {self.volts:g} V, counted at the {self.basis}"),
            ("usable", f"{significant(self.joules / 3600)} Wh ({percent(self.usable)})"),
            (
                "at the rail",
                f"{significant(self.rail_joules() / 3600)} Wh, {significant(self.rail_mah())} mAh at 5 V",
            ),
        ]
        if self.health != 1.0:
            rows.append(("health", f"{percent(self.health)}"))
        if self.celsius is not None:
            rows.append(("temperature", f"{self.celsius:g} °C"))
        if self.input is not None:
            rows.append(("input", type(self.input).__name__))
        return rows

    def to_json(self) -> str:
        """Everything but the input, for the ledger."""
        return json.dumps({**self._asdict(), "input": None}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Battery":
        """The inverse of `to_json`."""
        fields = json.loads(text)
        if isinstance(fields["efficiency"], list):
            fields["efficiency"] = Converter(*fields["efficiency"])
        return cls(**fields)

    # Energy and hours -------------------------------------------------------------------------

    @property
    def wh(self) -> float:
        """Watt-hours of the label, on the side of the basis."""
        return self.mah * self.volts / 1000

    @property
    def joules(self) -> float:
        """Joules from full to cut-off at the rated rate, on the side of the basis."""
        return self.wh * 3600 * self.usable * self.health * cold_share(self.celsius)

    @property
    def known(self) -> bool:
        """Whether more is known of its capacity than the label; an old or a cold cell is unknown again."""
        return self.capacity_sigma is not None

    @property
    def knowledge(self) -> str:
        """What is known of the capacity, in a sentence."""
        if self.capacity_sigma is not None:
            return f"capacity known within {percent(self.capacity_sigma)} (standard uncertainty)"
        also = [f"{percent(self.health)} health"] if self.health != 1 else []
        also += [f"{self.celsius:g} °C"] if self.celsius is not None else []
        at = f" ({', '.join(also)})" if also else ""
        return f"capacity unknown: only the label is known{at}; a measured full discharge would narrow it"

    def spread(self, watts: float | None = None, gain: float = 0.0) -> Spread:
        """How the real energy spreads about `joules` at ``watts`` at the rail; None: at the rated discharge.

        ``gain``: relative standard uncertainty of the meter that counts what is drawn.
        """
        if self.capacity_sigma is not None:
            return LogNormal(math.hypot(self.capacity_sigma, gain))
        rate = 1 / self.rated_hours if watts is None else self.converter.cell_watts(watts) / self.wh
        return unknown(
            Unknown(
                health_given=self.health != 1.0,
                celsius=self.celsius,
                peukert_given=self.peukert != 1.0,
                usable_given=self.usable != _USABLE,
                converter=self.efficiency != 1.0 and not isinstance(self.efficiency, Converter),
            ),
            rate,
            gain,
        )

    @property
    def converter(self) -> Converter:
        return (
            self.efficiency if isinstance(self.efficiency, Converter) else Converter.constant(self.efficiency)
        )

    def rate_share(self, watts: float) -> float:
        """Peukert's share of the rated capacity at ``watts`` at the rail: (I H / C)^(1 - k)."""
        if self.peukert == 1.0 or watts <= 0:
            return 1.0
        amps = self.converter.cell_watts(watts) / self.volts
        return float((amps * self.rated_hours / (self.mah / 1000)) ** (1 - self.peukert))

    def taken_watts(self, watts: float) -> float:
        """The power that ``watts`` at the rail take from `joules`, on the side of the basis."""
        return self.converter.cell_watts(watts) / self.rate_share(watts)

    def drawn_watts(self, watts: float) -> float:
        """The same plus self-discharge, which does not depend on the load."""
        return self.taken_watts(watts) + self.self_discharge * self.joules / _MONTH

    def taken_joules(self, joules: float, seconds: float) -> float:
        """What a load took from `joules`; without a duration, only the linear term is known."""
        return self.taken_watts(joules / seconds) * seconds if seconds > 0 else self.converter.linear * joules

    @property
    def spends_evenly(self) -> bool:
        """Whether a joule at the rail takes the same from the battery at every power."""
        return self.peukert == 1.0 and self.converter.quiescent_watts == self.converter.quadratic == 0.0

    def rail_share(self, watts: float | None = None) -> float:
        """Share of `joules` that arrives at the rail at a steady ``watts``; None: at the rated discharge."""
        if watts is None:
            watts = self.converter.rail_watts(self.joules / self.rated_hours / 3600)
        return watts / self.drawn_watts(watts) if watts else 0.0

    def rail_joules(self, watts: float | None = None) -> float:
        """Joules at the rail from full to cut-off at a steady ``watts``; None: at the rated discharge."""
        return self.joules * self.rail_share(watts)

    def rail_mah(self, watts: float | None = None, rail_volts: float = 5.0) -> float:
        """Milliamp-hours that reach a rail of ``rail_volts``: what a USB meter there would count."""
        return self.rail_joules(watts) / rail_volts / 3.6

    def hours(
        self, watts: float | None = None, *, amps: float | None = None, rail_volts: float = 5.0
    ) -> float | None:
        """Hours from full to cut-off at a steady draw at the rail; ``None`` where nothing is drawn.

        Raises:
            SpecError: neither or both of ``watts`` and ``amps``, or a negative draw.
        """
        if (watts is None) == (amps is None):
            raise SpecError("give the load either in watts or in amps")
        rail_watts = watts if watts is not None else (amps or 0.0) * rail_volts
        if rail_watts < 0:
            raise SpecError(f"a load draws 0 W or more, not {rail_watts!r} W")
        drawn = self.drawn_watts(rail_watts)
        return self.joules / drawn / 3600 if drawn > 0 else None

    def estimate(self, value: float, watts: float, unit: str = "", gain: float = 0.0) -> Estimate:
        """A figure of one charge at ``watts``, with how far the real capacity may be off.

        As in a budget, the value of an unknown cell is the median, which is less than its label promises.

        Args:
            value: by the nominal capacity, to which it is proportional.
            watts: at the rail.
            unit: of the value.
            gain: relative standard uncertainty of the meter.
        """
        capacity = self.spread(watts, gain)
        middle = 1.0 if self.known else capacity.at_survival(0.5)
        low, high = (value * capacity.at_survival(share) for share in (0.975, 0.025))
        return Estimate(value * middle, low, high, unit)

    def seen_from(self, place: Place) -> "Battery | None":
        """This battery as it feeds what a meter at ``place`` measures.

        A meter at the cell has no converter before it. ``None``: no battery feeds the wall, and what the rest
        of the board draws is not in a measurement on the die.
        """
        if place in ("wall", "die"):
            return None
        return self.with_(efficiency=1.0) if place == "cell" and self.basis == "cell" else self

    def watts_for(self, hours: float) -> float | None:
        """The mean watts at the rail with which it lasts ``hours``; ``None``: it does not, even without load.

        Raises:
            SpecError: ``hours`` is not above 0.
        """
        if not 0 < hours < float("inf"):
            raise SpecError(f"a battery lasts more than 0 hours, not {hours!r}")
        low, high = 0.0, 1.0
        if (self.hours(low) or float("inf")) < hours:
            return None
        while (self.hours(high) or 0.0) > hours:  # below the rated rate Peukert gives more than the label
            high *= 2
        for _ in range(200):  # hours() falls strictly with power; 200 halvings reach the last bit
            middle = (low + high) / 2
            low, high = (middle, high) if (self.hours(middle) or float("inf")) >= hours else (low, middle)
        return low

    def why(self, rail_volts: float = 5.0) -> str:
        """One sentence on why the two conventions differ for this battery."""
        if self.basis == "rail":
            return (
                f"{self.mah / 1000:g} Ah are counted as delivered at the {self.volts:g} V rail, as in "
                "the course's table; a cell's label is charge at 3.7 V before a converter: a third less."
            )
        share = self.rail_mah(rail_volts=rail_volts) / self.mah
        return (
            f"The label's {self.mah / 1000:g} Ah are charge at the cell's {self.volts:g} V, and a converter "
            f"makes {rail_volts:g} V of it with some loss, so only {percent(share)} of these Ah arrive there."
        )


def cold_share(celsius: float | None) -> float:
    """Share of the rated capacity left at a temperature; 1 from 20 °C up and for ``None``."""
    if celsius is None or celsius >= _COLD[-1][0]:
        return 1.0
    for (c0, s0), (c1, s1) in pairwise(_COLD):
        if celsius < c1:
            return max(s0 + (s1 - s0) * (celsius - c0) / (c1 - c0), 0.1)
    return 1.0
