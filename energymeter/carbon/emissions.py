"""Grams of CO₂e of a usage, with ±, place, year and witness; litres and minerals beside them.

``grams = joules / 3.6e6 / supply efficiency × PUE × g/kWh + the share of making the board``.
"""

import math
from typing import Any, NamedTuple, Protocol

from energymeter.carbon.embodied import Embodied, Range
from energymeter.carbon.energy import JOULES_PER_KWH, Energy
from energymeter.carbon.grid import Grid
from energymeter.carbon.grid_lookup import NO_PLACE
from energymeter.carbon.supply import Supply, supply_of
from energymeter.errors import GridError, SpecError
from energymeter.reading import Place


class GridNow(Protocol):
    """A :class:`Grid`, or a live one that is asked for it."""

    def now(self) -> Grid: ...


class Carbon(NamedTuple):
    """What a usage emitted."""

    grams: float
    """CO₂e, operation and the share of making together."""
    uncertainty: float | None
    """± grams, k = 2: meter, supply and intensity in quadrature, plus how far the making may be above its
    typical figure; None: one of them is not known, see ``notes``."""
    operational_grams: float
    embodied_grams: Range | None
    """None: not asked for."""
    socket_kwh: float
    """Energy at the socket, PUE included."""
    grams_per_kwh: float
    grid: str | None
    """The place whose grid it is."""
    year: int | None
    said_by: str
    marginal: bool
    place: Place
    """Where the meter sat."""
    supply: Supply
    provenance: str
    """Of the energy: measured, modelled, manual, simulated."""
    litres: float | None
    """Water of generation and site; None: no figure was given."""
    kg_sb_eq: Range | None
    """Minerals of making the board (its share); electricity's own are not in it. None: not known."""
    notes: tuple[str, ...]
    """What the reader must be told."""

    @property
    def embodied_share(self) -> float | None:
        """Making's part of the grams, 0…1; None where it was not asked for."""
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

    def __str__(self) -> str:
        spread = "± unknown" if self.uncertainty is None else f"± {self.uncertainty:.2g} (k = 2)"
        kind = "marginal " if self.marginal else ""
        where = ", ".join(str(part) for part in (self.grid, self.year) if part)
        text = (
            f"{self.grams:.4g} g CO2e {spread}: {self.socket_kwh:.4g} kWh at the socket × "
            f"{self.grams_per_kwh:.4g} {kind}g/kWh ({where or 'place not named'}; {self.said_by}); "
            f"{self.provenance} at the {self.place}, supply efficiency {self.supply.efficiency:.3g}"
        )
        if self.embodied_grams is not None:
            low, typical, high = self.embodied_grams
            text += f"; {typical:.2g} g of it from making the device ({low:.2g} to {high:.2g})"
        return text


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
        usage: the energy; a bare number is refused, since watts look the same.
        grid: whose electricity; a live grid is asked for its figure of now, and text is the name of a place.
        supply: how much of the socket's energy reaches the meter; what is typical of ``usage.place`` if None.
        pue: power usage effectiveness of the building; 1 on a device, 1.55 to 1.59 in a data centre
            (Uptime Institute 2020-23, via carbontracker).
        embodied: the device, to count its share of being made.
        litres_per_kwh: water of generation (EWIF); None: litres stay unknown, for no default can be defended.
        site_litres_per_kwh: water of the building (WUE); 0 on a device.

    Raises:
        GridError: no place was given, or an unknown one, or a live grid cannot be asked.
        SpecError: a bare number, or a PUE or water figure that cannot be.
    """
    if grid is None:
        raise GridError(NO_PLACE)
    if isinstance(usage, (int, float)):
        raise SpecError(
            f"{usage!r} has no unit: pass a Usage, or Known.of(joules=…) or Known.of(watts=…, seconds=…)"
        )
    if not 1 <= pue < math.inf:
        raise SpecError(f"pue={pue} cannot be: a building adds to the energy, so 1 or more")
    if not all(0 <= each < math.inf for each in (litres_per_kwh or 0.0, site_litres_per_kwh)):
        raise SpecError("water per kWh cannot be negative: give litres per kilowatt-hour")
    chain = supply_of(usage.place, supply)
    now = Grid(grid) if isinstance(grid, str) else grid.now()
    site_kwh = usage.joules / JOULES_PER_KWH / chain.efficiency
    if not math.isfinite(site_kwh):
        raise SpecError(f"{usage.joules} J is no energy")
    operational = site_kwh * pue * now.grams_per_kwh
    making, minerals = _making(usage, embodied)
    return Carbon(
        grams=operational + (making.typical if making else 0.0),
        uncertainty=_uncertainty(usage, chain, now, pue, making),
        operational_grams=operational,
        embodied_grams=making,
        socket_kwh=site_kwh * pue,
        grams_per_kwh=now.grams_per_kwh,
        grid=now.place,
        year=now.year,
        said_by=now.said_by,
        marginal=now.marginal,
        place=usage.place,
        supply=chain,
        provenance=usage.provenance,
        litres=None if litres_per_kwh is None else site_kwh * (site_litres_per_kwh + pue * litres_per_kwh),
        kg_sb_eq=minerals,
        notes=_notes(usage, chain, now, embodied),
    )


def _making(usage: Energy, embodied: Embodied | None) -> tuple[Range | None, Range | None]:
    """Grams and kg Sb-eq of making the device that fall on the usage."""
    if embodied is None:
        return None, None
    if usage.seconds is None:
        raise SpecError("the share of making a device goes by time: say how many seconds the energy took")
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
    if usage.coverage < 0.9995:
        notes.append(
            f"only {100 * usage.coverage:.1f} % of the time was measured: the grams are of that part"
        )
    if usage.place == "die":
        notes.append("measured on the die: the rest of the board is not in it, so this is a lower bound")
    if usage.place != "wall":
        notes.append(f"supply efficiency {chain.efficiency:.3g}: {chain.said_by}")
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
        notes.append(f"± unknown, because that of {' and '.join(unknown)} is")
    if embodied is not None:
        notes.append(
            f"making: {embodied.said_by}; {embodied.lifetime_years:g} years, share {embodied.share:g}"
        )
    return tuple(notes)
