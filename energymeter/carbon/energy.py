"""An amount of energy, as far as carbon needs to know it: a measured usage, or one known from elsewhere."""

from typing import NamedTuple, Protocol

from energymeter.errors import SpecError
from energymeter.reading import Place

JOULES_PER_KWH = 3.6e6
"""Exact."""


class Energy(Protocol):
    """What a :class:`~energymeter.energy.usage.Usage` has that carbon is reckoned from."""

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
    """An amount of energy known from elsewhere: a bill, a report, an estimate.

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
        """One amount in one unit; watts are no energy and need seconds.

        Raises:
            SpecError: none, or more than one amount; or watts without seconds.
        """
        if watts is not None and seconds is None:
            raise SpecError(f"{watts:g} W is power, not energy: say for how many seconds")
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
