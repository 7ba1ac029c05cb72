"""Grams of CO₂e of a usage, with ±, zone, year and source, and its litres of water and minerals.

``grams = joules / 3.6e6 / supply efficiency × PUE × g/kWh + the share of making the board``.
"""

import math
from typing import Any, NamedTuple, Protocol

from energymeter.carbon.amount import JOULES_PER_KWH, Energy, Supply, supply_of
from energymeter.carbon.embodied import Embodied, Range
from energymeter.carbon.grid import Grid
from energymeter.carbon.grid_lookup import NO_ZONE
from energymeter.errors import GridError, SpecError
from energymeter.reading import Place
from energymeter.text import html_table, partly_measured, percent, significant, with_uncertainty

_MOST_KWH = 1e15
"""A hundred times what the world uses in a year; more is a mistake, and would overflow."""


class GridNow(Protocol):
    """A :class:`Grid`, or a live grid, which asks a service for it."""

    def now(self) -> Grid: ...


class Carbon(NamedTuple):
    """What a usage emitted."""

    grams: float
    """CO₂e, operation and the share of making together."""
    uncertainty: float | None
    """± grams, k = 2: meter, supply and intensity in quadrature, plus how far the making may be above its
    typical value. None: one of them is not known; ``notes`` says which."""
    operational_grams: float
    embodied_grams: Range | None
    """None: not asked for."""
    socket_kwh: float
    """Energy at the socket, PUE included."""
    grams_per_kwh: float
    zone: str | None
    """The country or region whose grid it is."""
    year: int | None
    source: str
    marginal: bool
    place: Place
    """Where in the power path the meter was."""
    supply: Supply
    provenance: str
    """How the energy was obtained: measured, modelled, manual or simulated."""
    litres: float | None
    """Water of generation and site; None: no water per kWh was given."""
    kg_sb_eq: Range | None
    """Minerals of making the board (its share), without those of the electricity. None: not known."""
    notes: tuple[str, ...]
    """What a reader must know to use the numbers."""

    @property
    def embodied_share(self) -> float | None:
        """The part of the grams that comes from making the device, 0…1; None where it was not asked for."""
        if self.embodied_grams is None or self.grams == 0:
            return None
        return self.embodied_grams.typical / self.grams

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types; ranges as low, typical and high."""
        return {
            **self._asdict(),
            "embodied_grams": None if self.embodied_grams is None else self.embodied_grams._asdict(),
            "embodied_share": self.embodied_share,
            "kg_sb_eq": None if self.kg_sb_eq is None else self.kg_sb_eq._asdict(),
            "supply": self.supply._asdict(),
            "notes": list(self.notes),
        }

    def _grams_text(self) -> str:
        if self.uncertainty is None:
            return f"{significant(self.grams, 4)} g CO2e ± unknown"
        return f"{with_uncertainty(self.grams, self.uncertainty, 'g CO2e')} (k = 2)"

    def _intensity_text(self) -> str:
        kind = "marginal " if self.marginal else ""
        where = ", ".join(str(part) for part in (self.zone, self.year) if part)
        return (
            f"{significant(self.grams_per_kwh, 4)} {kind}g/kWh ({where or 'zone not named'}; {self.source})"
        )

    def __str__(self) -> str:
        text = (
            f"{self._grams_text()}: {significant(self.socket_kwh, 4)} kWh at the socket × "
            f"{self._intensity_text()}; {self.provenance} at the {self.place}, "
            f"supply efficiency {significant(self.supply.efficiency)}"
        )
        if self.embodied_grams is not None:
            text += f"; {self.embodied_grams.text(2)} g of it from making the device"
        return text

    def __repr__(self) -> str:
        return f"Carbon({self})"

    def _repr_html_(self) -> str:
        rows = [
            ("emissions", self._grams_text()),
            ("energy", f"{significant(self.socket_kwh, 4)} kWh at the socket, {self.provenance}"),
            ("intensity", self._intensity_text()),
        ]
        if self.embodied_grams is not None:
            rows.append(("making the device", f"{self.embodied_grams.text(2)} g"))
        if self.litres is not None:
            rows.append(("water", f"{significant(self.litres, 4)} L"))
        if self.kg_sb_eq is not None:
            rows.append(("minerals", f"{self.kg_sb_eq.text(2)} kg Sb-eq"))
        return html_table([*rows, *(("note", note) for note in self.notes)])


def footprint(
    usage: Energy,
    grid: GridNow | str | None,
    *,
    supply: Supply | float | None = None,
    pue: float = 1.0,
    embodied: Embodied | None = None,
    litres_per_kwh: float | None = None,
    site_litres_per_kwh: float = 0.0,
) -> Carbon:
    """What a usage emitted.

    Args:
        usage: the energy; a bare number is refused, because watts would look the same.
        grid: the supply; a live grid is asked for the intensity of now, and text is the name of a zone.
        supply: the share of the socket's energy that reaches the meter; None: typical of ``usage.place``.
        pue: power usage effectiveness of the building; 1 on a device, 1.55 to 1.59 in a data centre
            (Uptime Institute 2020-23, via carbontracker).
        embodied: the device; its share of being made is added.
        litres_per_kwh: water of generation (EWIF); None: litres stay unknown, because no default is right.
        site_litres_per_kwh: water of the building (WUE); 0 on a device.

    Raises:
        GridError: no zone was given, or it is unknown, or the live intensity is unavailable.
        SpecError: a bare number, or an impossible PUE or amount of water.
    """
    if grid is None:
        raise GridError(NO_ZONE)
    if isinstance(usage, (int, float)):
        raise SpecError(
            f"{usage!r} has no unit: pass a Usage, or Known.of(joules=…) or Known.of(watts=…, seconds=…)"
        )
    if not 1 <= pue < math.inf:
        raise SpecError(f"pue={pue} is impossible: a building adds to the energy, so give 1 or more")
    if not all(0 <= each < math.inf for each in (litres_per_kwh or 0.0, site_litres_per_kwh)):
        raise SpecError("water per kWh cannot be negative: give litres per kilowatt-hour")
    chain = supply_of(usage.place, supply)
    now = Grid(grid) if isinstance(grid, str) else grid.now()
    site_kwh = usage.joules / JOULES_PER_KWH / chain.efficiency
    if not abs(site_kwh) <= _MOST_KWH:
        raise SpecError(f"{usage.joules} J is not a plausible amount of energy: give at most 3.6e21 J")
    operational = site_kwh * pue * now.grams_per_kwh
    making, minerals = _making(usage, embodied)
    return Carbon(
        grams=operational + (making.typical if making else 0.0),
        uncertainty=_uncertainty(usage, chain, now, pue, making),
        operational_grams=operational,
        embodied_grams=making,
        socket_kwh=site_kwh * pue,
        grams_per_kwh=now.grams_per_kwh,
        zone=now.zone,
        year=now.year,
        source=now.source,
        marginal=now.marginal,
        place=usage.place,
        supply=chain,
        provenance=usage.provenance,
        litres=None if litres_per_kwh is None else site_kwh * (site_litres_per_kwh + pue * litres_per_kwh),
        kg_sb_eq=minerals,
        notes=_notes(usage, chain, now, embodied),
    )


def _making(usage: Energy, embodied: Embodied | None) -> tuple[Range | None, Range | None]:
    """Grams and kg Sb-eq of making the device, the share of this usage."""
    if embodied is None:
        return None, None
    if usage.seconds is None:
        raise SpecError("the share of making a device goes by time: give seconds= of the energy")
    return embodied.grams(usage.seconds), embodied.minerals(usage.seconds)


def _uncertainty(usage: Energy, chain: Supply, grid: Grid, pue: float, making: Range | None) -> float | None:
    if usage.uncertainty is None or chain.uncertainty is None or grid.relative is None:
        return None
    grams_per_joule = pue * grid.grams_per_kwh / JOULES_PER_KWH / chain.efficiency
    grams = usage.joules * grams_per_joule
    operation = math.hypot(
        usage.uncertainty * grams_per_joule,
        grams * chain.uncertainty / chain.efficiency,
        grams * grid.relative,
    )
    return operation + (making.high - making.typical if making else 0.0)


def _notes(usage: Energy, chain: Supply, grid: Grid, embodied: Embodied | None) -> tuple[str, ...]:
    notes = []
    if usage.provenance != "measured":
        notes.append(f"the energy is {usage.provenance}, not measured")
    if partly_measured(usage.coverage):
        notes.append(
            f"only {percent(usage.coverage, 1)} of the time was measured: the grams are those of that part"
        )
    if usage.place == "die":
        notes.append("measured on the die: the rest of the board is not included, so this is a lower bound")
    if usage.place != "wall":
        notes.append(f"supply efficiency {significant(chain.efficiency)}: {chain.source}")
    if grid.marginal:
        notes.append("marginal intensity: what one kWh more or less changes, not to be added to averages")
    unknown = [
        name
        for name, spread in (
            ("the meter", usage.uncertainty),
            ("the supply", chain.uncertainty),
            ("the intensity", grid.relative),
        )
        if spread is None
    ]
    if unknown:
        notes.append(f"the ± is unknown, because that of {' and '.join(unknown)} is")
    if embodied is not None:
        notes.append(
            f"making: {embodied.source}; {embodied.lifetime_years:g} years, share {embodied.share:g}"
        )
    return tuple(notes)


class Equivalent(NamedTuple):
    """An amount of something familiar."""

    amount: float
    what: str
    source: str

    def __str__(self) -> str:
        return f"{significant(self.amount)} {self.what} ({self.source})"


PHONE_CHARGE_WATT_HOURS = 14.46 - 22 * 0.13
"""11.6 Wh at the socket: the EPA's 24-hour energy of a charger less 22 h of keeping the battery full
(Greenhouse Gas Equivalencies Calculator, calculations and references, edition of 8.22 g a charge)."""

LED_WATTS = 9.0
"""An 800 lm LED bulb, as bright as a 60 W incandescent (central.coop/lighting-efficiency; the NRDC's guide
says 10 W)."""

CAR_GRAMS_PER_METRE = 0.1075
"""107.5 g/km: new cars in the EU in 2020, type approval, fuel only (EEA, eea.europa.eu/ims/
co2-performance-of-new-passenger, via carbontracker's co2eq.csv). Real driving emits more."""


def equivalents(carbon: Carbon) -> tuple[Equivalent, ...]:
    """The usage in phone charges and LED hours (by its energy) and in metres by car (by its grams)."""
    watt_hours = carbon.socket_kwh * 1000
    return (
        Equivalent(watt_hours / PHONE_CHARGE_WATT_HOURS, "phone charges", "11.6 Wh each, US EPA"),
        Equivalent(watt_hours / LED_WATTS, "hours of an LED bulb", "9 W, 800 lm"),
        Equivalent(carbon.grams / CAR_GRAMS_PER_METRE, "metres by car", "107.5 g/km, new EU car 2020, EEA"),
    )
