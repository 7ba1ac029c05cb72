"""From where the meter sits to the socket: how much more the grid had to deliver."""

from typing import NamedTuple

from energymeter.errors import SpecError
from energymeter.reading import Place


class Supply(NamedTuple):
    """What share of the socket's energy reaches the meter.

    >>> Supply(0.85, 0.02, "label of my power supply")
    Supply(efficiency=0.85, uncertainty=0.02, said_by='label of my power supply')
    """

    efficiency: float
    """0…1; 1 at the wall."""
    uncertainty: float | None
    """± of the efficiency, absolute, k = 2; None: not known."""
    said_by: str


WALL = Supply(1.0, 0.0, "measured at the socket")

RAIL = Supply(
    0.873,
    0.06,
    "four points of one student team, rail/wall of a 5 V supply; ± reaches down to the Level VI limit",
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
    """What was given, or what is typical of where the meter sits.

    Raises:
        SpecError: an efficiency outside 0…1, or a loss claimed at the wall.
    """
    if given is None:
        return _BY_PLACE[place]
    supply = given if isinstance(given, Supply) else Supply(float(given), None, "given")
    if not 0 < supply.efficiency <= 1:
        raise SpecError(f"an efficiency of {supply.efficiency} is impossible: give a share, as 0.87 for 87 %")
    if place == "wall" and supply.efficiency != 1:
        raise SpecError("the meter sits at the wall, where nothing is lost before it: leave the supply out")
    return supply
