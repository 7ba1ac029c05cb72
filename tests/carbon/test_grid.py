"""Grid: zones, regions, own figures; near matches instead of averages; slips of units."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from energymeter.carbon import codecarbon_data
from energymeter.carbon.grid import ANNUAL_RELATIVE, Grid
from energymeter.carbon.grid_lookup import figures, look_up
from energymeter.carbon.grid_tables import builtin
from energymeter.errors import GridError, SpecError


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if codecarbon were not installed."""
    monkeypatch.setattr(codecarbon_data, "_installed", lambda: None)
    codecarbon_data.tables.cache_clear()
    yield
    codecarbon_data.tables.cache_clear()


@pytest.mark.usefixtures("small")
def test_a_country_with_its_year_and_source() -> None:
    grid = Grid("DEU")
    assert (grid.zone, grid.grams_per_kwh, grid.year) == ("DEU", 380.95, 2023)
    assert grid.source == "Our World in Data / Ember (CC BY 4.0), as in codecarbon 3.3.2"
    assert grid.relative == ANNUAL_RELATIVE
    assert not grid.marginal
    assert grid.now() is grid


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["deu", "Germany", "GERMANY"])
def test_a_country_by_any_spelling(name: str) -> None:
    assert Grid(name).zone == "DEU"


@pytest.mark.usefixtures("small")
def test_the_world_is_an_average_by_name_whose_spread_is_unknown() -> None:
    grid = Grid("world")
    assert (grid.zone, grid.grams_per_kwh, grid.year, grid.relative) == ("WORLD", 475.0, 2018, None)
    assert "IEA" in grid.source


@pytest.mark.usefixtures("small")
def test_the_course_number_is_a_region() -> None:
    grid = Grid("USA", region="RFCW")
    assert grid.grams_per_kwh == pytest.approx(484.3, abs=0.05)
    assert grid.year == 2019


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("zone", "near"),
    [
        ("Germny", "DEU Germany"),
        ("DE", "DEU Germany"),
        ("UK", "GBR United Kingdom, UKR Ukraine"),
        ("korea", "KOR South Korea"),
        ("united", "United"),
        ("FRAU", "FRA France"),
    ],
)
def test_an_unknown_country_lists_near_matches(zone: str, near: str) -> None:
    with pytest.raises(GridError) as caught:
        Grid(zone)
    assert near in str(caught.value)
    assert f'no figure for "{zone}"' in str(caught.value)
    assert 'pip install "edge-energymeter[carbon]"' in str(caught.value)


@pytest.mark.usefixtures("small")
def test_a_place_like_nothing_known_says_so() -> None:
    with pytest.raises(GridError, match="no known zone looks like it"):
        Grid("Zzyzx")


@pytest.mark.parametrize("zone", [None, ""])
def test_no_place_no_grams_and_a_hint(zone: str | None) -> None:
    with pytest.raises(GridError, match=r'no zone given, so no grams: name one, as in Grid\("DEU"\)'):
        Grid(zone)


@pytest.mark.usefixtures("small")
def test_an_unknown_region_is_no_silent_country() -> None:
    with pytest.raises(GridError, match="no regions of DEU are known"):
        Grid("DEU", region="Bavaria")
    with pytest.raises(GridError, match='no region "rfcx" in USA: did you mean rfcw'):
        Grid("USA", region="rfcx")
    with pytest.raises(GridError, match=r"cloud regions need codecarbon's table"):
        Grid.cloud("gcp", "us-central1")


def test_an_own_figure_needs_its_source() -> None:
    with pytest.raises(SpecError, match="a figure needs its source"):
        Grid(grams_per_kwh=475)
    grid = Grid(grams_per_kwh=475, source="IEA 2019 world")
    assert (grid.zone, grid.grams_per_kwh, grid.source, grid.relative) == (
        None,
        475,
        "IEA 2019 world",
        None,
    )
    assert Grid("DEU", grams_per_kwh=400, source="me").zone == "DEU"


def test_pounds_per_megawatt_hour_are_caught_and_converted() -> None:
    with pytest.raises(SpecError, match=r"lb/MWh\? then pounds_per_mwh=1067\.7, which is 484\.3 g/kWh"):
        Grid(grams_per_kwh=1067.7, source="eGRID2019 RFCW")
    grid = Grid(pounds_per_mwh=1067.7, source="eGRID2019 RFCW")
    assert grid.grams_per_kwh == pytest.approx(1067.7 * 453.59237 / 1000, rel=1e-12)
    with pytest.raises(SpecError, match="mean the same"):
        Grid(pounds_per_mwh=1.0, grams_per_kwh=1.0, source="me")


def test_kilograms_per_kilowatt_hour_are_caught() -> None:
    with pytest.raises(SpecError, match=r"were these kg/kWh\? then grams_per_kwh=475"):
        Grid(grams_per_kwh=0.475, source="codecarbon's unit")
    assert Grid(grams_per_kwh=0.475, source="a dam", checked=True).grams_per_kwh == 0.475


def test_kilograms_per_megawatt_hour_is_grams_per_kilowatt_hour() -> None:
    # codecarbon's documentation prints 731.59 "kgCO2/kWh"; its unit is kg/MWh, which is g/kWh.
    with pytest.raises(SpecError, match="more than a grid of nothing but coal"):
        Grid(grams_per_kwh=731.59 * 1000, source="taken at its word")
    assert Grid(grams_per_kwh=731.59, source="as meant").grams_per_kwh == 731.59


def test_a_marginal_plant_may_be_dirtier_than_a_grid() -> None:
    assert Grid(grams_per_kwh=1100, source="old lignite", marginal=True).marginal


@pytest.mark.parametrize("grams", [float("nan"), float("inf"), -1.0])
def test_what_is_no_intensity(grams: float) -> None:
    with pytest.raises(SpecError, match="is not an intensity"):
        Grid(grams_per_kwh=grams, source="me", checked=True)


@pytest.mark.parametrize("relative", [float("nan"), float("inf"), -0.1])
def test_what_is_no_uncertainty(relative: float) -> None:
    with pytest.raises(SpecError, match="is not an uncertainty"):
        Grid(grams_per_kwh=100, source="me", relative=relative)


@pytest.mark.usefixtures("small")
def test_the_built_in_table_has_its_sources() -> None:
    table = builtin()
    assert len(table.countries) >= 41
    for figure in figures():
        assert figure.source
        assert figure.year is not None
        assert 15 < figure.grams_per_kwh < 800, figure
    assert [each.zone for each in figures("germ")] == ["DEU"]
    assert figures("no such zone") == []


@pytest.mark.usefixtures("small")
def test_every_row_can_be_looked_up_by_what_it_is_listed_as() -> None:
    for figure in figures():
        country, _, region = figure.zone.partition("/")
        assert look_up(country, region or None) == figure


def test_reading_a_grid_loads_no_heavy_library() -> None:
    heavy = {
        "numpy",
        "pandas",
        "codecarbon",
        "requests",
        "urllib.request",
        "http",
        "click",
        "inspect",
        "email",
    }
    code = (
        "import sys; from energymeter.carbon.grid import Grid; Grid('DEU'); from energymeter import carbon;"
        f"print({heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "set()\n"


def test_a_notebook_shows_the_intensity_and_its_source() -> None:
    html = Grid(grams_per_kwh=400, source="<me>", relative=0.1)._repr_html_()
    assert "400.0 g/kWh ± 10 %" in html
    assert "&lt;me&gt;" in html
