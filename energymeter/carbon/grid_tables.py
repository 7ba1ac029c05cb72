"""The small built-in table: grams of CO₂e per kWh of countries, the world and four eGRID subregions.

Country figures are those of codecarbon 3.3.2 (``data/private_infra/global_energy_mix.json``, MIT),
which took them from Our World in Data, "Carbon intensity of electricity" (CC BY 4.0), based on
Ember's Yearly Electricity Data (CC BY 4.0) and the Energy Institute. They use life-cycle factors
and the production mix, without imports. A test compares each one with the installed codecarbon.
"""

from collections.abc import Mapping
from typing import NamedTuple

GRAMS_PER_POUND = 453.59237
"""Exact: the international avoirdupois pound."""

MOST_GRAMS_PER_KWH = 10_000.0
"""Ten times a grid of nothing but coal: a larger intensity has another unit."""

OWID = "Our World in Data / Ember (CC BY 4.0)"


class Figure(NamedTuple):
    """One row of a table: a zone, its intensity, and the source."""

    zone: str
    """``DEU``, ``USA/california``, ``gcp/us-central1``, ``WORLD``."""
    name: str
    grams_per_kwh: float
    year: int | None
    """The year that the intensity describes; None where the source does not say."""
    source: str


class Tables(NamedTuple):
    """Everything that can be looked up without a network."""

    countries: Mapping[str, Figure]
    """By ISO 3166-1 alpha-3 code in capitals, and ``WORLD``."""
    regions: Mapping[str, Mapping[str, Figure]]
    """By country code, then by the region's lower-case name."""
    clouds: Mapping[str, Mapping[str, Figure]]
    """By provider, then by its region's name."""
    problem: str = ""
    """Why a better table that is installed could not be used."""


_COUNTRIES = {
    "ARE": ("United Arab Emirates", 2022, 561.135),
    "ARG": ("Argentina", 2023, 354.103),
    "AUS": ("Australia", 2023, 548.692),
    "AUT": ("Austria", 2023, 110.812),
    "BEL": ("Belgium", 2023, 138.107),
    "BGD": ("Bangladesh", 2023, 691.411),
    "BRA": ("Brazil", 2023, 98.348),
    "CAN": ("Canada", 2023, 170.043),
    "CHE": ("Switzerland", 2023, 34.843),
    "CHL": ("Chile", 2023, 291.113),
    "CHN": ("China", 2023, 582.317),
    "COL": ("Colombia", 2023, 259.511),
    "CZE": ("Czechia", 2023, 449.724),
    "DEU": ("Germany", 2023, 380.95),
    "DNK": ("Denmark", 2023, 151.65),
    "EGY": ("Egypt", 2023, 570.306),
    "ESP": ("Spain", 2023, 174.05),
    "FIN": ("Finland", 2023, 79.158),
    "FRA": ("France", 2023, 56.039),
    "GBR": ("United Kingdom", 2023, 237.589),
    "GRC": ("Greece", 2023, 336.574),
    "IDN": ("Indonesia", 2022, 675.931),
    "IND": ("India", 2023, 713.441),
    "IRL": ("Ireland", 2023, 290.805),
    "ISL": ("Iceland", 2022, 27.68),
    "ISR": ("Israel", 2022, 582.927),
    "ITA": ("Italy", 2023, 330.718),
    "JPN": ("Japan", 2023, 485.392),
    "KEN": ("Kenya", 2023, 70.492),
    "KOR": ("South Korea", 2023, 430.567),
    "MEX": ("Mexico", 2023, 507.245),
    "NGA": ("Nigeria", 2023, 523.247),
    "NLD": ("Netherlands", 2023, 267.622),
    "NOR": ("Norway", 2023, 30.08),
    "NZL": ("New Zealand", 2023, 112.758),
    "PAK": ("Pakistan", 2023, 440.608),
    "POL": ("Poland", 2023, 661.926),
    "PRT": ("Portugal", 2023, 165.553),
    "SGP": ("Singapore", 2023, 470.783),
    "SWE": ("Sweden", 2023, 40.695),
    "THA": ("Thailand", 2023, 549.583),
    "TUR": ("Turkey", 2023, 464.586),
    "TWN": ("Taiwan", 2023, 642.378),
    "UKR": ("Ukraine", 2022, 259.693),
    "USA": ("United States", 2023, 369.473),
    "VNM": ("Vietnam", 2023, 475.449),
    "ZAF": ("South Africa", 2023, 707.686),
}

# Pounds of CO2e per MWh. RFCW 2019 is the figure the course worked with (cmu-odml labs, eGRID2019);
# the others are Table 1 (eGRID2022) of the EPA's equivalencies page. US government work, public domain.
_EGRID_POUNDS_PER_MWH = {
    "rfcw": ("RFC West", 2019, 1067.7),
    "akgd": ("ASCC Alaska Grid", 2022, 1052.1),
    "akms": ("ASCC Miscellaneous", 2022, 495.8),
    "aznm": ("WECC Southwest", 2022, 776.0),
}

WORLD = Figure(
    "WORLD",
    "world average",
    475.0,
    2018,
    "IEA, Global Energy & CO2 Status Report 2019 (CO2 only), as in codecarbon",
)


def builtin() -> Tables:
    """The built-in table."""
    countries = {
        code: Figure(code, name, grams, year, f"{OWID}, as in codecarbon 3.3.2")
        for code, (name, year, grams) in _COUNTRIES.items()
    }
    egrid = {
        acronym: Figure(
            f"USA/{acronym}",
            name,
            pounds * GRAMS_PER_POUND / 1000,
            year,
            f"US EPA eGRID{year}, total output emission rate of {acronym.upper()}",
        )
        for acronym, (name, year, pounds) in _EGRID_POUNDS_PER_MWH.items()
    }
    return Tables({**countries, "WORLD": WORLD}, {"USA": egrid}, {})
