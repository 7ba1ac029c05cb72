"""codecarbon's tables: read without importing it, checked, and the same numbers as its own Emissions."""

import csv
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from energymeter.carbon import codecarbon_data
from energymeter.carbon.amount import Known
from energymeter.carbon.emissions import footprint
from energymeter.carbon.grid import Grid
from energymeter.carbon.grid_lookup import figures, tables
from energymeter.carbon.grid_tables import WORLD, builtin
from energymeter.errors import GridError


def countries() -> dict[str, Any]:
    """As many as the check wants, and the two it looks at."""
    row = {"carbon_intensity": 400.0, "year": 2023, "country_name": "Somewhere"}
    letters = "ABCDEFGHIJKLMNO"
    mix = {f"Q{a}{b}": {**row, "country_name": f"Land {a}{b}"} for a in letters for b in letters}
    mix["POL"] = {"carbon_intensity": 661.9, "year": 2023, "country_name": "Poland"}
    mix["NOR"] = {"carbon_intensity": 30.1, "year": 2023, "country_name": "Norway"}
    mix["CAF"] = {"carbon_intensity": 0.0, "year": 2022, "country_name": "Central African Republic"}
    return mix


def documents() -> dict[str, Any]:
    """The six data sets in codecarbon 3.3.2's shape."""
    states = {f"state {i}": {"emissions": 394.769, "regionCode": "XX"} for i in range(51)}
    header = {"_unit": {"emissions": "lbs/MWh"}, "_source": {"year": 2023}}
    fuels = {"coal": 10.0, "petroleum": 1.0, "naturalGas": 50.0, "total": 99.9}
    beijing = {"emission_factor": 555.4, "unit": "gCO2/kWh", "description": "Beijing", "year": 2023}
    zone = {"emission_factor": 27.0, "unit": "gCO2eq/kWh", "description": "Zone 3", "year": 2025}
    return {
        "private_infra/global_energy_mix.json": countries(),
        "private_infra/2023/usa_emissions.json": {**header, **states},
        "private_infra/2023/canada_energy_mix.json": {"ontario": fuels, "island": {**fuels, **dict.fromkeys(
            ("coal", "petroleum", "naturalGas"), 0.0)}},
        "private_infra/2023/china_provincial_emissions.json": {
            "data": {"CN-BJ": {**beijing, "names": ["beijing", "peking"]}}
        },
        "private_infra/nordic_emissions.json": {"data": {"SE3": zone}},
    }  # fmt: skip


def write(root: Path, contents: dict[str, Any]) -> Path:
    for name, document in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document), encoding="utf-8")
    (root / "cloud").mkdir(exist_ok=True)
    with (root / "cloud" / "impact.csv").open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["provider", "region", "country_name", "city", "impact", "source"])
        rows.writerows(
            ["gcp", f"region-{i}", "USA", "Council Bluffs", 430, "https://example.org"] for i in range(20)
        )
    return root


def test_the_known_shape_is_read(tmp_path: Path) -> None:
    read = codecarbon_data.load(write(tmp_path, documents()), "3.3.2")
    assert read.countries["POL"].grams_per_kwh == 661.9
    assert read.regions["USA"]["state 7"].grams_per_kwh == pytest.approx(179.06, abs=0.01)
    assert (
        read.regions["USA"]["state 7"].source == "codecarbon 3.3.2: US EPA eGRID2023, total output CO2e rate"
    )
    ontario = (10 * 995.725971 + 1 * 816.6885263 + 50 * 743.8415916) / 99.9
    assert read.regions["CAN"]["ontario"].grams_per_kwh == pytest.approx(ontario)
    assert read.regions["CHN"]["peking"].zone == "CHN/beijing"
    zone = read.regions["SWE"]["se3"]
    assert (zone.zone, zone.grams_per_kwh, zone.year) == ("SWE/SE3", 27.0, 2025)
    assert read.clouds["gcp"]["region-3"].year is None


def test_zero_grams_are_unknown_not_clean(tmp_path: Path) -> None:
    read = codecarbon_data.load(write(tmp_path, documents()), "3.3.2")
    assert "CAF" not in read.countries
    assert "island" not in read.regions["CAN"]


def broken(name: str, **change: Any) -> dict[str, Any]:
    contents = documents()
    path = next(path for path in contents if name in path)
    contents[path] = {**contents[path], **change}
    return contents


def land(grams: float, year: int = 2023) -> dict[str, Any]:
    return {"carbon_intensity": grams, "year": year, "country_name": "Somewhere"}


@pytest.mark.parametrize(
    "contents",
    [
        {},
        {path: document for path, document in documents().items() if "nordic" not in path},
        {**documents(), "private_infra/global_energy_mix.json": ["POL"]},
        broken("global", POL=land(0.6619)),
        broken("global", POL=land(66.19)),
        broken("global", NOR=land(66.3)),
        broken("global", poland=land(400)),
        broken("global", QAA=land(400, year=23)),
        broken("global", QAA={"intensity": 400, "year": 2023, "country_name": "Q"}),
        broken("usa", _unit={"emissions": "kg/MWh"}),
        broken("usa", texas={"emissions": 394_769.0}),
        broken("canada", ontario={"coal": 1, "total": 1}),
        broken("china", data={"CN-BJ": {"emission_factor": 0.5554, "unit": "kgCO2/kWh"}}),
        broken(
            "nordic",
            data={"DK1": {"emission_factor": 99, "unit": "gCO2eq/kWh", "description": "", "year": 2025}},
        ),
    ],
)
def test_another_shape_or_unit_is_refused_when_the_api_cannot_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contents: dict[str, Any]
) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon.input", None)
    with pytest.raises(GridError, match=r"codecarbon 9\.9 has its data in an unknown form"):
        codecarbon_data.load(write(tmp_path, contents), "9.9")


def test_the_built_in_table_stands_in_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon.input", None)
    monkeypatch.setattr(codecarbon_data, "_installed", lambda: (tmp_path, "9.9"))
    codecarbon_data.tables.cache_clear()
    grid = Grid("DEU")
    assert grid.grams_per_kwh == 380.95
    assert "codecarbon 9.9 has its data in an unknown form" in grid.source
    codecarbon_data.tables.cache_clear()


# Against the codecarbon that is installed: an upstream change is found here, not by a user.

installed = pytest.mark.skipif(
    codecarbon_data._installed() is None, reason="codecarbon is not installed (extra carbon)"
)

PLACES = [
    ("FRA", None), ("DEU", None), ("GBR", None), ("USA", None), ("IND", None), ("POL", None), ("NOR", None),
    ("CHN", None), ("AUS", None), ("ZAF", None), ("ZMB", None), ("UZB", None),
    ("USA", "california"), ("USA", "kentucky"), ("USA", "vermont"), ("USA", "district of columbia"),
    ("CAN", "ontario"), ("CAN", "alberta"), ("CHN", "beijing"), ("CHN", "inner mongolia"),
    ("SWE", "se3"), ("NOR", "no4"), ("FIN", "fi"),
]  # fmt: skip


def peer() -> tuple[Any, Any, Any]:
    """codecarbon's own ``Emissions``, and its modules of units and zones."""
    emissions = import_module("codecarbon.core.emissions").Emissions(
        import_module("codecarbon.input").DataSource()
    )
    return emissions, import_module("codecarbon.core.units"), import_module("codecarbon.external.geography")


@installed
@pytest.mark.parametrize(("country", "region"), PLACES)
def test_same_grams_as_codecarbon(country: str, region: str | None) -> None:
    emissions, units, geography = peer()
    joules = 7_654_321.0
    kilograms = emissions.get_private_infra_emissions(
        units.Energy.from_ujoules(joules * 1e6),
        geography.GeoMetadata(country_iso_code=country, region=region),
    )
    ours = footprint(Known.of(joules=joules), Grid(country, region=region))
    assert ours.grams == pytest.approx(1000 * kilograms, rel=1e-6)


@installed
def test_same_grams_as_codecarbon_in_a_cloud() -> None:
    emissions, units, geography = peer()
    for region in ("us-central1", "europe-north1", "northamerica-northeast1"):
        kilograms = emissions.get_cloud_emissions(
            units.Energy.from_energy(kWh=2.0),
            geography.CloudMetadata("gcp", region),
            geography.GeoMetadata("USA"),
        )
        ours = footprint(Known.of(kilowatt_hours=2.0), Grid.cloud("gcp", region))
        assert ours.grams == pytest.approx(1000 * kilograms, rel=1e-6)


@installed
def test_files_and_api_of_the_installed_codecarbon_agree() -> None:
    found = codecarbon_data._installed()
    assert found is not None
    by_file = codecarbon_data.read(codecarbon_data._Files(found[0]), found[1])
    by_api = codecarbon_data.read(codecarbon_data._Api(), found[1])
    assert by_file.countries == by_api.countries
    assert by_file.clouds == by_api.clouds
    for country, regions in by_file.regions.items():
        assert {n: f.grams_per_kwh for n, f in regions.items()} == {
            n: f.grams_per_kwh for n, f in by_api.regions[country].items()
        }


@installed
def test_the_built_in_table_is_the_installed_codecarbon() -> None:
    full = codecarbon_data.tables()
    assert full is not None
    for code, figure in builtin().countries.items():
        if code == WORLD.zone:
            continue
        theirs = full.countries[code]
        assert (figure.grams_per_kwh, figure.year, figure.name) == (
            theirs.grams_per_kwh,
            theirs.year,
            theirs.name,
        )
    found = codecarbon_data._installed()
    assert found is not None
    per_source = json.loads((found[0] / "private_infra" / "carbon_intensity_per_source.json").read_text())
    assert per_source["world_average"] == WORLD.grams_per_kwh
    assert per_source["coal"] == 995


@installed
def test_reading_the_files_does_not_import_codecarbon() -> None:
    code = (
        "import sys; from energymeter.carbon.grid import Grid; Grid('ZMB'); Grid('USA', region='california');"
        "print({'codecarbon', 'pandas', 'email', 'urllib.request'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "set()\n"


@installed
def test_with_codecarbon_unknown_places_are_errors_too() -> None:
    assert len(tables().countries) > 200
    assert len(figures()) > 300
    for zone, near in (("Germny", "DEU Germany"), ("UK", "GBR United Kingdom"), ("AFR", "did you mean")):
        with pytest.raises(GridError, match=near):
            Grid(zone)
    with pytest.raises(GridError, match="no regions of DEU are known"):
        Grid("DEU", region="Bavaria")
    with pytest.raises(GridError, match="did you mean california"):
        Grid("USA", region="Californa")
    with pytest.raises(GridError, match='no figures for the cloud "aws", only for gcp'):
        Grid.cloud("aws", "us-east-1")
    with pytest.raises(GridError, match="did you mean us-central1"):
        Grid.cloud("gcp", "us-centrall1")
    assert Grid("CHN", region="Beijing Municipality").zone == "CHN/beijing"
    assert Grid("USA", region="rfcw").year == 2019
