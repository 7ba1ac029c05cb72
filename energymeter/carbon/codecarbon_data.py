"""codecarbon's tables, read from its data files without importing it, and checked.

Importing codecarbon and converting once costs about 0.4 s and pandas; its JSON files take 10 ms.
They are not a public interface, so their shape and units are checked. Where they differ from what is
known, codecarbon's own ``DataSource`` is asked for the same data, with the same checks.
Data: codecarbon (MIT); countries from Our World in Data / Ember (CC BY 4.0), US states from EPA
eGRID, Chinese provinces from MEE/NBS, Nordic zones from ENTSO-E, clouds from Google Cloud.
"""

import csv
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from energymeter.carbon.grid_tables import GRAMS_PER_POUND, OWID, Figure, Tables
from energymeter.errors import GridError

# g/kWh by which codecarbon weighs a Canadian province's percentages; combustion only
# (codecarbon/core/emissions.py, _region_energy_mix_to_emissions_rate).
_CANADA_GRAMS_PER_KWH = {"coal": 995.725971, "petroleum": 816.6885263, "naturalGas": 743.8415916}
_NORDIC_COUNTRY = {"SE": "SWE", "NO": "NOR", "FI": "FIN"}


class _DataSets(Protocol):
    """The six data sets."""

    def countries(self) -> Any: ...
    def usa(self) -> Any: ...
    def canada(self) -> tuple[Any, int | None]: ...
    def china(self) -> Any: ...
    def nordic(self) -> Any: ...
    def clouds(self) -> Any: ...


class _Files:
    """The data files under ``codecarbon/data``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _json(self, pattern: str) -> tuple[Any, Path]:
        found = sorted((self._root / "private_infra").glob(pattern))
        if not found:
            raise FileNotFoundError(f"no {pattern} under {self._root.name}/private_infra")
        return json.loads(found[-1].read_text(encoding="utf-8")), found[-1]

    def countries(self) -> Any:
        return self._json("global_energy_mix.json")[0]

    def usa(self) -> Any:
        return self._json("*/usa_emissions.json")[0]

    def canada(self) -> tuple[Any, int | None]:
        mix, path = self._json("*/canada_energy_mix.json")
        return mix, int(path.parent.name)

    def china(self) -> Any:
        return self._json("*/china_provincial_emissions.json")[0]

    def nordic(self) -> Any:
        return self._json("nordic_emissions.json")[0]

    def clouds(self) -> Any:
        with (self._root / "cloud" / "impact.csv").open(encoding="utf-8-sig", newline="") as rows:
            return list(csv.DictReader(rows))


class _Api:
    """codecarbon's own reader: slow, but it finds its data in every version."""

    def __init__(self) -> None:
        self._source = import_module("codecarbon.input").DataSource()

    def countries(self) -> Any:
        return self._source.get_global_energy_mix_data()

    def usa(self) -> Any:
        return self._source.get_country_emissions_data("usa")

    def canada(self) -> tuple[Any, int | None]:
        return self._source.get_country_energy_mix_data("can"), None

    def china(self) -> Any:
        return self._source.get_china_provincial_emissions_data()

    def nordic(self) -> Any:
        return self._source.get_nordic_country_energy_mix_data()

    def clouds(self) -> Any:
        return self._source.get_cloud_emissions_data().to_dict("records")


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)


def _usable(grams: float) -> bool:
    """Whether the value is possible; codecarbon 3.3.2 has 0 g/kWh for one country."""
    return 1.0 <= grams <= 1500.0


def _countries(mix: Any, version: str) -> dict[str, Figure]:
    _require(len(mix) >= 150, "fewer than 150 countries")
    source = f"codecarbon {version}: {OWID}"
    table = {}
    for code, row in mix.items():
        _require(len(code) == 3 and code.isupper(), f"country code {code!r}")
        year, grams = int(row["year"]), float(row["carbon_intensity"])
        _require(1990 <= year <= 2100, f"year {year} of {code}")
        if _usable(grams):
            table[code] = Figure(code, str(row["country_name"]), grams, year, source)
    # One coal country and one hydro country distinguish g/kWh from kg/kWh, kg/MWh and lb/MWh.
    _require(450 < table["POL"].grams_per_kwh < 850, "Poland is not in g/kWh")
    _require(15 < table["NOR"].grams_per_kwh < 60, "Norway is not in g/kWh")
    return table


def _usa(states: Any, version: str) -> dict[str, Figure]:
    _require(states["_unit"]["emissions"] == "lbs/MWh", "US states are not in lbs/MWh")
    year = int(states["_source"]["year"])
    source = f"codecarbon {version}: US EPA eGRID{year}, total output CO2e rate"
    rows = {name: row for name, row in states.items() if not name.startswith("_")}
    _require(len(rows) >= 50, "fewer than 50 US states")
    table = {}
    for name, row in rows.items():
        grams = float(row["emissions"]) * GRAMS_PER_POUND / 1000
        _require(_usable(grams), f"{grams} g/kWh in {name}")
        table[name] = Figure(f"USA/{name}", name.title(), grams, year, source)
    return table


def _canada(mix: Any, year: int | None, version: str) -> dict[str, Figure]:
    source = f"codecarbon {version}: generation mix with its combustion factors (no life cycle)"
    table = {}
    for name, shares in mix.items():
        total = float(shares["total"])
        _require(95 < total < 105, f"the mix of {name} sums to {total} %")
        grams = sum(float(shares[fuel]) / total * each for fuel, each in _CANADA_GRAMS_PER_KWH.items())
        table[name] = Figure(f"CAN/{name}", name.title(), grams, year, source)
    return {name: figure for name, figure in table.items() if figure.grams_per_kwh > 0}


def _zones(data: Any, unit: str, source: str) -> dict[str, tuple[Figure, list[str]]]:
    table = {}
    for code, row in data["data"].items():
        grams = float(row["emission_factor"])
        _require(row["unit"] == unit and _usable(grams), f"{grams} {row['unit']} in {code}")
        figure = Figure(code, str(row["description"]), grams, int(row["year"]), source)
        table[code] = (figure, [str(name) for name in row.get("names", ())])
    return table


def _china(data: Any, version: str) -> dict[str, Figure]:
    source = f"codecarbon {version}: MEE/NBS of China, provincial factors (CO2 only)"
    return {
        name: figure._replace(zone=f"CHN/{names[0]}")
        for figure, names in _zones(data, "gCO2/kWh", source).values()
        for name in names
    }


def _nordic(data: Any, version: str) -> dict[str, dict[str, Figure]]:
    source = f"codecarbon {version}: ENTSO-E generation by bidding zone"
    table: dict[str, dict[str, Figure]] = {}
    for code, (figure, _) in _zones(data, "gCO2eq/kWh", source).items():
        country = _NORDIC_COUNTRY[code[:2]]
        table.setdefault(country, {})[code.lower()] = figure._replace(zone=f"{country}/{code}")
    return table


def _clouds(rows: Any, version: str) -> dict[str, dict[str, Figure]]:
    _require(len(rows) >= 20, "fewer than 20 cloud regions")
    table: dict[str, dict[str, Figure]] = {}
    for row in rows:
        provider, region, grams = str(row["provider"]), str(row["region"]), float(row["impact"])
        _require(_usable(grams), f"{grams} g/kWh in {provider}/{region}")
        table.setdefault(provider, {})[region] = Figure(
            f"{provider}/{region}",
            f"{row['city']}, {row['country_name']}",
            grams,
            None,
            f"codecarbon {version}: {row['source']}",
        )
    return table


def read(sets: _DataSets, version: str) -> Tables:
    """All six data sets, checked.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, OSError: they have another form than the known one.
    """
    nordic = _nordic(sets.nordic(), version)
    regions: Mapping[str, Mapping[str, Figure]] = {
        "USA": _usa(sets.usa(), version),
        "CAN": _canada(*sets.canada(), version),
        "CHN": _china(sets.china(), version),
        **nordic,
    }
    return Tables(_countries(sets.countries(), version), regions, _clouds(sets.clouds(), version))


def _installed() -> tuple[Path, str] | None:
    spec = find_spec("codecarbon")
    if spec is None or not spec.submodule_search_locations:
        return None
    # Not importlib.metadata: it loads the e-mail package.
    location = Path(next(iter(spec.submodule_search_locations)))
    named = sorted(location.parent.glob("codecarbon-*.dist-info"))
    version = named[-1].name.removeprefix("codecarbon-").removesuffix(".dist-info") if named else "(unknown)"
    return location / "data", version


_FOREIGN = (ValueError, KeyError, TypeError, AttributeError, OSError, ImportError)


def load(root: Path, version: str) -> Tables:
    """The tables under ``root``, or from codecarbon's API where the files have another form.

    Raises:
        GridError: neither can be read.
    """
    try:
        return read(_Files(root), version)
    except _FOREIGN as files:
        try:
            return read(_Api(), version)
        except _FOREIGN as api:
            raise GridError(
                f"codecarbon {version} has its data in an unknown form "
                f"(files: {files}; API: {api}); give grams_per_kwh= yourself or upgrade edge-energymeter"
            ) from api


@lru_cache(maxsize=1)
def tables() -> Tables | None:
    """The installed codecarbon's tables; None where it is not installed.

    Raises:
        GridError: it is installed and cannot be read.
    """
    found = _installed()
    return None if found is None else load(*found)
