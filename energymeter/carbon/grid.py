"""Grid: grams of CO₂e per kilowatt-hour of a zone and a year, with their source.

Offline. An unknown zone is an error with near matches, never a silent average. The zone is never guessed
from an address on the network.
"""

import math

from energymeter.carbon.grid_lookup import look_up, look_up_cloud
from energymeter.carbon.grid_tables import GRAMS_PER_POUND, MOST_GRAMS_PER_KWH, WORLD
from energymeter.errors import SpecError
from energymeter.text import html_table, percent, significant

ANNUAL_RELATIVE = 0.20
"""± (k = 2, relative) of a yearly national average: twice the root mean square difference, 10 %,
between two vintages of seven countries (USA, GBR, FRA, DEU, IND, POL, NOR: Our World in Data 2023 against
Ember 2024). The hour of day is not in it: use a live grid for that."""

ALL_COAL_GRAMS_PER_KWH = 1000.0
"""A grid that burns nothing but coal: 995 g/kWh (codecarbon, carbon_intensity_per_source.json)."""


class Grid:
    """How many grams of CO₂e a kilowatt-hour costs.

    >>> Grid("FRA").grams_per_kwh < Grid("POL").grams_per_kwh
    True
    >>> Grid(pounds_per_mwh=1067.7, source="eGRID2019 RFCW")
    Grid(484.3 g/kWh ± unknown, year unknown, source: eGRID2019 RFCW)

    Args:
        zone: an ISO 3166-1 alpha-3 code or a country's English name in any case; ``"world"`` is the
            world average, by name.
        region: a US state, Canadian or Chinese province, Nordic bidding zone (all with the extra
            ``carbon``) or one of four eGRID subregions.
        grams_per_kwh: your own figure, in grams; needs ``source``.
        pounds_per_mwh: the same in pounds per megawatt-hour, as eGRID and WattTime print it.
        source: where your own figure comes from.
        year: the year your own figure describes.
        relative: ± of the figure, relative, k = 2 (0.1 is ±10 %); None: not known.
        marginal: the figure is of the plants that follow demand, not of the mix.
        checked: True accepts what looks like a wrong unit.

    Raises:
        GridError: no such zone or region; the message lists near matches.
        SpecError: no source, or a figure that looks like another unit.
    """

    __slots__ = ("as_of", "grams_per_kwh", "marginal", "relative", "source", "year", "zone")

    def __init__(
        self,
        zone: str | None = None,
        *,
        region: str | None = None,
        grams_per_kwh: float | None = None,
        pounds_per_mwh: float | None = None,
        source: str | None = None,
        year: int | None = None,
        relative: float | None = None,
        marginal: bool = False,
        checked: bool = False,
    ) -> None:
        if grams_per_kwh is None and pounds_per_mwh is None:
            figure = look_up(zone, region)
            where: str | None = figure.zone
            grams_per_kwh, source, year = figure.grams_per_kwh, figure.source, figure.year
            # The spread of a world average is not that of the grid it stands in for.
            if relative is None and figure.zone != WORLD.zone:
                relative = ANNUAL_RELATIVE
        else:
            if not source:
                raise SpecError('a figure needs its source: add source="the publisher and the year"')
            where = "/".join(part for part in (zone, region) if part) or None
            grams_per_kwh = _grams(grams_per_kwh, pounds_per_mwh, marginal=marginal, checked=checked)
        self.zone = where
        self.grams_per_kwh = grams_per_kwh
        self.year = year
        self.source = source
        self.relative = relative
        self.marginal = marginal
        self.as_of: float | None = None
        """Unix time the figure is of; None for a yearly average."""
        if self.relative is not None and not 0 <= self.relative < math.inf:
            raise SpecError(f"relative={self.relative} is not an uncertainty: 0.1 means ±10 %")

    @classmethod
    def cloud(cls, provider: str, region: str) -> "Grid":
        """The grid of a cloud region, as ``Grid.cloud("gcp", "us-central1")``; needs the extra ``carbon``.

        Raises:
            GridError: no such provider or region; only Google Cloud publishes figures.
        """
        figure = look_up_cloud(provider, region)
        return cls(
            figure.zone,
            grams_per_kwh=figure.grams_per_kwh,
            source=figure.source,
            year=figure.year,
            relative=ANNUAL_RELATIVE,
            checked=True,
        )

    def now(self) -> "Grid":
        """This grid. A live grid answers with the intensity of this moment."""
        return self

    def _figure_text(self) -> str:
        kind = "marginal " if self.marginal else ""
        spread = "unknown" if self.relative is None else f"{percent(self.relative)}"
        return f"{significant(self.grams_per_kwh, 4)} {kind}g/kWh ± {spread}"

    def __repr__(self) -> str:
        where = f"{self.zone}, " if self.zone else ""
        return f"Grid({where}{self._figure_text()}, year {self.year or 'unknown'}, source: {self.source})"

    def _repr_html_(self) -> str:
        rows = [
            ("zone", self.zone or "not named"),
            ("intensity", self._figure_text()),
            ("year", self.year or "unknown"),
            ("source", self.source),
        ]
        return html_table(rows)


def _grams(grams: float | None, pounds: float | None, *, marginal: bool, checked: bool) -> float:
    """The one of the two that was given, in g/kWh, unless it looks like another unit.

    Raises:
        SpecError: both were given, or not a number, or of a size that betrays kg/kWh or lb/MWh.
    """
    if grams is None:
        assert pounds is not None
        grams = pounds * GRAMS_PER_POUND / 1000
    elif pounds is not None:
        raise SpecError("grams_per_kwh and pounds_per_mwh mean the same: give one of them")
    if not 0 <= grams <= (MOST_GRAMS_PER_KWH if checked else math.inf) or math.isinf(grams):
        raise SpecError(f"grams_per_kwh={grams} is not an intensity: give grams of CO2e per kilowatt-hour")
    if checked:
        return grams
    if grams < 1.5:
        raise SpecError(
            f"{grams:g} g/kWh is less than any grid emits: were these kg/kWh? "
            f"then grams_per_kwh={grams * 1000:g} (checked=True if it is right)"
        )
    if grams > ALL_COAL_GRAMS_PER_KWH * (1.5 if marginal else 1.0):
        raise SpecError(
            f"{grams:g} g/kWh is more than a grid of nothing but coal emits: were these lb/MWh? then "
            f"pounds_per_mwh={grams:g}, which is {significant(grams * GRAMS_PER_POUND / 1000, 4)} g/kWh "
            "(checked=True if it is right)"
        )
    return grams
