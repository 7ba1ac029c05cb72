"""What one unit of a usage costs (an image, a token, a second of audio), and how many a charge gives."""

from __future__ import annotations

import math

from energymeter.battery.battery import Battery
from energymeter.carbon.emissions import footprint
from energymeter.errors import SpecError
from energymeter.lazy import TYPE_CHECKING, NamedTuple, Protocol
from energymeter.text import partly_measured, shown, significant, with_uncertainty

if TYPE_CHECKING:
    from typing import Any

    from energymeter.carbon.emissions import GridNow
    from energymeter.reading import Place
    from energymeter.text import Estimate

LEAST, MOST = 1e-15, 1e15
"""The limits for counts; fewer or more units than that are a mistake, and 0 is none."""


class Used(Protocol):
    """What is needed of a `Usage`."""

    @property
    def seconds(self) -> float: ...
    @property
    def joules(self) -> float: ...
    @property
    def uncertainty(self) -> float: ...
    @property
    def net_joules(self) -> float | None: ...
    @property
    def mah(self) -> float | None: ...
    @property
    def mean_watts(self) -> float | None: ...
    @property
    def measured_seconds(self) -> float: ...
    @property
    def provenance(self) -> str: ...
    @property
    def place(self) -> Place: ...
    @property
    def coverage(self) -> float: ...


class PerUnit(NamedTuple):
    """The share of one unit in a usage: all its energy and time, divided by their number.

    Time that was not measured counts as the mean of the measured time, as in `energymeter compare`.
    """

    unit: str
    """What is counted, in the plural: ``images``."""
    number: float
    """How many there were."""
    joules: float
    """Gross."""
    uncertainty: float | None
    """± of ``joules``, k = 2. ``None``: unknown, because a part was not measured."""
    net_joules: float | None
    """Above the idle baseline; ``None`` without one."""
    seconds: float
    mah: float | None
    """At the rail; ``None`` where no current is known."""
    grams: float | None
    """CO₂e of operation; ``None``: no grid was given."""
    watts: float
    battery: Battery | None
    """As seen from the meter; ``None``: its charge does not feed what is measured (wall, die)."""

    @property
    def per_charge(self) -> Estimate | None:
        """How many units one charge of the battery gives, with its 95 % interval.

        ``None``: nothing was drawn, or the meter is where no battery feeds it.
        """
        if self.battery is None or not self.joules > 0:
            return None
        gain = (self.uncertainty or 0.0) / 2 / self.joules
        if not gain < 1:
            return None
        units = self.battery.rail_joules(self.watts) / self.joules
        return self.battery.estimate(units, self.watts, gain=gain)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types; the number per charge as value, low and high."""
        charge, battery = self.per_charge, self.battery
        return {
            **self._asdict(),
            "battery": None if battery is None else {"mah": battery.mah, "volts": battery.volts},
            "per_charge": None if charge is None else list(charge[:3]),
        }

    def __str__(self) -> str:
        """``32 images: 21.30 mJ ± 0.40 each, 0.00118 mAh, 9000 (7000 to 10000) a charge of 4000 mAh``."""
        each = with_uncertainty(self.joules, self.uncertainty or 0.0, "J")
        texts = [f"{each} each" if self.uncertainty is not None else f"{each} each (± unknown)"]
        if self.mah is not None:
            texts.append(f"{significant(self.mah)} mAh")
        if self.grams is not None:
            texts.append(f"{significant(self.grams)} g CO2e")
        charge = self.per_charge
        if charge is not None and self.battery is not None:
            texts.append(f"{charge} a charge of {self.battery.mah:g} mAh")
        return f"{self.number:.15g} {unit_text(self.unit)}: {', '.join(texts)}"


def unit_text(unit: str) -> str:
    """A unit as people read it.

    >>> unit_text("audio_seconds")
    'audio seconds'
    """
    return unit.replace("_", " ")


def checked_count(unit: str, count: object) -> float:
    """The count of a unit as a number.

    Raises:
        SpecError: it is no number of units.
    """
    try:
        number = float(count)  # type: ignore[arg-type]  # also of an array or a tensor with one element
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (number == 0 or LEAST <= number <= MOST):
        raise SpecError(
            f"{unit}={shown(count)} is no number of units; give 0 or more, in the range {LEAST:g} to {MOST:g}"
        )
    return number


def per_unit(
    usage: Used, unit: str, count: float, grid: GridNow | str | None, battery: Battery | None
) -> PerUnit | None:
    """What one unit costs; ``None``: none was counted, or the usage is of no time.

    Args:
        usage: of all units together.
        unit: what is counted.
        count: how many.
        grid: for grams.
        battery: for the number per charge; ``None``: that of a phone.

    Raises:
        SpecError: the count is no number of units.
        GridError: there is no such zone.
    """
    count, watts = checked_count(unit, count), usage.mean_watts
    if not count or watts is None:
        return None
    share = usage.seconds / usage.measured_seconds / count
    whole = not partly_measured(usage.coverage)
    return PerUnit(
        unit,
        count,
        usage.joules * share,
        usage.uncertainty / count if whole else None,
        None if usage.net_joules is None else usage.net_joules * share,
        usage.seconds / count,
        None if usage.mah is None else usage.mah * share,
        None if grid is None else footprint(usage, grid).grams * share,
        watts,
        (battery or Battery.phone()).seen_from(usage.place),
    )
