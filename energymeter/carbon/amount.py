"""An amount of energy as carbon needs it, and what of the socket's energy reaches the meter."""

from typing import NamedTuple, Protocol

from energymeter.errors import SpecError
from energymeter.reading import Place

JOULES_PER_KWH = 3.6e6
"""Exact."""


class Energy(Protocol):
    """What carbon needs of a :class:`~energymeter.energy.usage.Usage`."""

    @property
    def joules(self) -> float: ...
    @property
    def seconds(self) -> float | None: ...
    @property
    def uncertainty(self) -> float | None:
        """± joules, k = 2; None: not known."""

    @property
    def provenance(self) -> str: ...
    @property
    def place(self) -> Place: ...
    @property
    def coverage(self) -> float:
        """The share of the time that was really measured, 0…1."""


class Known(NamedTuple):
    """An amount of energy that is known from elsewhere: a bill, a report, an estimate.

    >>> Known.of(watts=5, seconds=3600).joules
    18000
    """

    joules: float
    seconds: float | None = None
    uncertainty: float | None = None
    provenance: str = "manual"
    place: Place = "wall"
    coverage: float = 1.0

    @classmethod
    def of(
        cls,
        *,
        joules: float | None = None,
        watt_hours: float | None = None,
        kilowatt_hours: float | None = None,
        watts: float | None = None,
        seconds: float | None = None,
        uncertainty: float | None = None,
        place: Place = "wall",
    ) -> "Known":
        """One amount in one unit; watts are not energy and need seconds.

        Raises:
            SpecError: no amount, or more than one; or watts without seconds.
        """
        if watts is not None and seconds is None:
            raise SpecError(f"{watts:g} W is power, not energy: give seconds= as well")
        given = [
            amount
            for amount in (
                joules,
                None if watt_hours is None else watt_hours * 3600,
                None if kilowatt_hours is None else kilowatt_hours * JOULES_PER_KWH,
                None if watts is None or seconds is None else watts * seconds,
            )
            if amount is not None
        ]
        if len(given) != 1:
            raise SpecError(
                "give the energy once: as joules, watt_hours, kilowatt_hours, or watts and seconds"
            )
        return cls(given[0], seconds, uncertainty, place=place)


class Supply(NamedTuple):
    """The share of the socket's energy that reaches the meter.

    >>> Supply(0.85, 0.02, "label of my power supply")
    Supply(efficiency=0.85, uncertainty=0.02, source='label of my power supply')
    """

    efficiency: float
    """0…1; 1 at the wall."""
    uncertainty: float | None
    """± of the efficiency, absolute, k = 2; None: not known."""
    source: str


WALL = Supply(1.0, 0.0, "measured at the socket")

RAIL = Supply(
    0.873,
    0.06,
    "four points of one student team, rail/wall of a 5 V supply; the ± reaches down to the Level VI limit",
)
"""0.856…0.887 measured by Sunny-Qin-0314/11-767-group-YU (lab 9) on one supply; the ± is widened to other
supplies: 0.814 is what efficiency level VI asks of a 15 W supply below 6 V
(0.0834 ln P - 0.0014 P + 0.609)."""

CELL = Supply(
    0.755, 0.09, "5 V supply 0.873 times charger 0.865 (0.80 to 0.93); loss inside the cell not counted"
)
"""The charger's range is that of power-bank converters (powerprofiler.net, sunnystores.me); the two ± in
quadrature."""

_BY_PLACE: dict[Place, Supply] = {"wall": WALL, "rail": RAIL, "cell": CELL, "die": RAIL}


def supply_of(place: Place, given: Supply | float | None) -> Supply:
    """The efficiency that was given, or what is typical of the meter's place.

    Raises:
        SpecError: an efficiency outside 0…1, or a loss before the wall.
    """
    if given is None:
        return _BY_PLACE[place]
    supply = given if isinstance(given, Supply) else Supply(float(given), None, "given")
    if not 0 < supply.efficiency <= 1:
        raise SpecError(f"an efficiency of {supply.efficiency} is impossible: give a share, as 0.87 for 87 %")
    if place == "wall" and supply.efficiency != 1:
        raise SpecError("the meter is at the wall, where nothing is lost before it: leave the supply out")
    return supply
