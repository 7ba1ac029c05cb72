"""Carbon of a usage: the formula, its ±, the chain to the socket, water, minerals, slips of units."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.carbon.amount import CELL, RAIL, Known, Supply, supply_of
from energymeter.carbon.embodied import Embodied, Range
from energymeter.carbon.emissions import equivalents, footprint
from energymeter.carbon.emissions_over_time import footprint_over_time, span_of
from energymeter.carbon.grid import Grid
from energymeter.carbon.grid_tables import GRAMS_PER_POUND
from energymeter.carbon.intensity import Intensities
from energymeter.errors import GridError, SpecError
from energymeter.reading import Facts, Place
from energymeter.recordings.trace import Trace

ROUND = Grid(grams_per_kwh=400, source="a round figure", relative=0.1, year=2024)
KWH = 3.6e6


def test_one_kilowatt_hour_at_the_wall() -> None:
    carbon = footprint(Known.of(kilowatt_hours=1.0), ROUND)
    assert carbon.grams == carbon.operational_grams == 400
    assert (carbon.socket_kwh, carbon.grams_per_kwh, carbon.year) == (1.0, 400, 2024)
    assert carbon.source == "a round figure"
    assert (carbon.embodied_grams, carbon.litres, carbon.kg_sb_eq, carbon.embodied_share) == (
        None,
        None,
        None,
        None,
    )


def test_the_course_number() -> None:
    # 0.224078 J an inference at 383.55 g/kWh: the handbook's Pi 4 with an int8 MobileNet.
    carbon = footprint(Known.of(joules=0.224), Grid(grams_per_kwh=383.55, source="Ember 2024"))
    assert carbon.grams == pytest.approx(2.4e-5, rel=0.01)


def test_pounds_are_pounds() -> None:
    # A student report wrote 4.08e-5 lb as 0.0276 g; it is 0.0185 g.
    assert pytest.approx(0.0185, abs=5e-5) == 4.08e-5 * GRAMS_PER_POUND


def test_no_place_is_an_error_with_a_hint() -> None:
    with pytest.raises(GridError, match="no zone given, so no grams"):
        footprint(Known.of(joules=1.0), None)


def test_a_bare_number_might_be_watts() -> None:
    with pytest.raises(SpecError, match="has no unit"):
        footprint(5.2, ROUND)  # type: ignore[arg-type]


def test_watts_are_not_energy() -> None:
    with pytest.raises(SpecError, match=r"5\.2 W is power, not energy: give seconds= as well"):
        Known.of(watts=5.2)
    assert Known.of(watts=5.2, seconds=60).joules == pytest.approx(312)


def test_one_amount_in_one_unit() -> None:
    assert Known.of(watt_hours=1).joules == 3600
    assert Known.of(kilowatt_hours=1).joules == KWH
    for wrong in ({}, {"joules": 1.0, "watt_hours": 1.0}, {"joules": 1.0, "watts": 1.0, "seconds": 1.0}):
        with pytest.raises(SpecError, match="give the energy once"):
            Known.of(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("place", "efficiency"),
    [("wall", 1.0), ("rail", RAIL.efficiency), ("cell", CELL.efficiency), ("die", 0.873)],
)
def test_the_chain_to_the_socket(place: Place, efficiency: float) -> None:
    carbon = footprint(Known.of(kilowatt_hours=1.0, place=place), ROUND)
    assert carbon.socket_kwh == pytest.approx(1 / efficiency)
    assert carbon.grams == pytest.approx(400 / efficiency)
    assert carbon.place == place
    assert any("lower bound" in note for note in carbon.notes) is (place == "die")


def test_an_own_supply() -> None:
    rail = Known.of(kilowatt_hours=1.0, place="rail", uncertainty=0.0)
    carbon = footprint(rail, ROUND, supply=Supply(0.8, 0.04, "its label"))
    assert carbon.grams == 500
    assert carbon.uncertainty == pytest.approx(500 * math.hypot(0.05, 0.1))
    assert footprint(rail, ROUND, supply=0.8).grams == 500
    assert footprint(rail, ROUND, supply=0.8).uncertainty is None


@pytest.mark.parametrize("efficiency", [0.0, -0.5, 1.01, 87.0, float("nan")])
def test_an_efficiency_that_cannot_be(efficiency: float) -> None:
    with pytest.raises(SpecError, match="impossible"):
        supply_of("rail", efficiency)


def test_nothing_is_lost_before_the_wall() -> None:
    with pytest.raises(SpecError, match="is at the wall"):
        supply_of("wall", 0.9)


def test_the_spread_is_of_meter_supply_and_intensity() -> None:
    rail = Known.of(kilowatt_hours=1.0, place="rail", uncertainty=0.05 * KWH)
    carbon = footprint(rail, ROUND)
    assert carbon.uncertainty is not None
    assert carbon.uncertainty / carbon.grams == pytest.approx(math.hypot(0.05, 0.06 / 0.873, 0.1))


def test_a_spread_nobody_knows_is_none_and_says_whose() -> None:
    carbon = footprint(Known.of(joules=1.0), Grid(grams_per_kwh=400, source="me"))
    assert carbon.uncertainty is None
    assert "the ± is unknown, because that of the meter and the intensity is" in carbon.notes
    assert "± unknown" in str(carbon)


def test_no_energy_and_energy_below_idle_keep_their_spread() -> None:
    assert footprint(Known(0.0, 1.0, KWH / 100), ROUND).uncertainty == pytest.approx(4)
    below = footprint(Known(-KWH, 1.0, KWH / 100), ROUND)
    assert below.grams == -400
    assert below.uncertainty == pytest.approx(400 * math.hypot(0.01, 0.1))


@pytest.mark.parametrize("joules", [1e308, float("nan"), float("inf")])
def test_what_is_no_energy(joules: float) -> None:
    with pytest.raises(SpecError, match="is not a plausible amount of energy"):
        footprint(Known(joules), ROUND)


def test_a_building_adds_and_never_takes() -> None:
    carbon = footprint(Known.of(kilowatt_hours=1.0, uncertainty=0.0), ROUND, pue=1.58)
    assert carbon.grams == pytest.approx(632)
    assert carbon.uncertainty == pytest.approx(63.2)
    with pytest.raises(SpecError, match="1 or more"):
        footprint(Known.of(joules=1.0), ROUND, pue=0.9)


def test_water_of_generation_and_site() -> None:
    # L = E (WUE + PUE EWIF); Li et al. 2023, arXiv 2304.03271.
    carbon = footprint(
        Known.of(kilowatt_hours=2.0), ROUND, pue=1.5, litres_per_kwh=3.0, site_litres_per_kwh=0.5
    )
    assert carbon.litres == pytest.approx(2 * (0.5 + 1.5 * 3.0))
    with pytest.raises(SpecError, match="litres per kilowatt-hour"):
        footprint(Known.of(joules=1.0), ROUND, litres_per_kwh=-1.0)


def test_making_the_board_is_counted_by_time() -> None:
    device = Embodied(Range(25, 50, 100), "a test", Range(1e-4, 2e-4, 4e-4), lifetime_years=1.0)
    hour = Known(0.001 * KWH, 3600.0, 0.0)
    carbon = footprint(hour, ROUND, embodied=device)
    making = 50_000 / 8760
    assert carbon.embodied_grams is not None
    assert carbon.embodied_grams.typical == pytest.approx(making)
    assert carbon.grams == pytest.approx(0.4 + making)
    assert carbon.embodied_share == pytest.approx(making / (0.4 + making))
    assert carbon.uncertainty == pytest.approx(0.04 + making)
    assert carbon.kg_sb_eq is not None
    assert carbon.kg_sb_eq.high == pytest.approx(4e-4 / 8760)
    assert "from making the device" in str(carbon)
    with pytest.raises(SpecError, match="goes by time"):
        footprint(Known.of(joules=1.0), ROUND, embodied=device)


def test_what_was_not_measured_says_so() -> None:
    carbon = footprint(Known(1.0, 1.0, 0.0, "simulated"), ROUND)
    assert carbon.provenance == "simulated"
    assert "the energy is simulated, not measured" in carbon.notes


def test_what_was_missed_is_reported() -> None:
    carbon = footprint(Known(1.0, 1.0, 0.0, coverage=0.9), ROUND)
    assert "only 90.0 % of the time was measured: the grams are those of that part" in carbon.notes


def test_a_zone_by_name() -> None:
    assert footprint(Known.of(joules=1.0), "DEU").zone == "DEU"
    with pytest.raises(GridError, match="did you mean DEU Germany"):
        footprint(Known.of(joules=1.0), "Germny")


def test_a_marginal_intensity_is_labelled() -> None:
    carbon = footprint(Known.of(joules=KWH), Grid(grams_per_kwh=700, source="MOER", marginal=True))
    assert carbon.marginal
    assert "marginal g/kWh" in str(carbon)
    assert any("not to be added to averages" in note for note in carbon.notes)


def test_one_line_names_everything() -> None:
    grid = Grid("DEU", grams_per_kwh=381, source="OWID", year=2023, relative=0.2)
    text = str(footprint(Known(KWH, 1.0, 0.0, "measured", "rail"), grid))
    for word in (
        "436 g CO2e ± 92",
        "± 92 (k = 2)",
        "381.0 g/kWh",
        "DEU, 2023",
        "OWID",
        "measured at the rail",
        "0.873",
    ):
        assert word in text, word


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(1, 1000))
def test_grams_add_up(first: float, second: float, grams_per_kwh: float) -> None:
    grid = Grid(grams_per_kwh=grams_per_kwh, source="a test", checked=True)
    apart = footprint(Known(first), grid).grams + footprint(Known(second), grid).grams
    assert footprint(Known(first + second), grid).grams == pytest.approx(apart, rel=1e-9)


def test_comparisons_by_energy_and_by_grams() -> None:
    charges, led, car = equivalents(footprint(Known.of(watt_hours=11.6), ROUND))
    assert charges.amount == pytest.approx(1.0)
    assert led.amount == pytest.approx(11.6 / 9)
    assert car.amount == pytest.approx(11.6 * 0.4 / 0.1075)
    assert str(car).startswith("43.2 metres by car (107.5 g/km")


START = 1_790_000_000.0 - 1_790_000_000.0 % 1800


def recording(epoch_s: float | None) -> Trace:
    """2 kW for half an hour, then 6 kW for another: 1 and 3 kWh, at the wall."""
    facts = Facts(semantics="mean", place="wall")
    times = [60.0 * i for i in range(61)]
    return Trace.integrate(times, [2000.0] * 31 + [6000.0] * 30, facts=facts, epoch_s=epoch_s)


def test_a_recording_meets_each_half_hour() -> None:
    grid = Intensities.half_hours(START, [100, 500], zone="GB", source="a test", relative=0.1)
    carbon = footprint_over_time(recording(START), grid)
    assert carbon.grams == pytest.approx(1 * 100 + 3 * 500)
    assert carbon.grams_per_kwh == pytest.approx(400)
    assert (carbon.zone, carbon.year, carbon.place, carbon.provenance) == ("GB", 2026, "wall", "measured")
    assert carbon.uncertainty is not None
    assert carbon.uncertainty >= 160
    assert "each stretch by its own intensity" in carbon.source


def test_a_mean_that_is_as_low_as_no_country_s_is_taken_as_it_is() -> None:
    grid = Intensities.half_hours(START, [0.5, 0.5], zone="GB", source="a test")
    assert footprint_over_time(recording(START), grid).grams == pytest.approx(4 * 0.5)


def test_a_recording_that_begins_within_a_half_hour() -> None:
    # From 15 minutes into the first: 0.5 kWh in it, 0.5 + 1.5 in the second, 1.5 in the third.
    grid = Intensities.half_hours(START, [100, 500, 0], zone="GB", source="a test")
    carbon = footprint_over_time(recording(START + 900), grid)
    assert carbon.grams == pytest.approx(0.5 * 100 + 2.0 * 500)


def test_a_recording_outside_the_intensities_is_an_error() -> None:
    with pytest.raises(GridError, match="get the intensities of the whole run"):
        footprint_over_time(
            recording(START), Intensities.half_hours(START, [100], zone="GB", source="a test")
        )


def test_a_recording_without_a_date_has_no_half_hours() -> None:
    with pytest.raises(GridError, match="has no date"):
        span_of(recording(None))


def test_a_usage_of_the_core_is_what_carbon_takes() -> None:
    usage = recording(None).usage()
    carbon = footprint(usage, ROUND)
    assert carbon.grams == pytest.approx(1600)
    assert carbon.uncertainty is not None


def test_a_notebook_shows_content_with_units() -> None:
    device = Embodied(Range(25, 50, 100), "a test", Range(1e-4, 2e-4, 4e-4))
    carbon = footprint(Known(KWH, 3600.0, 0.0), ROUND, embodied=device, litres_per_kwh=2.0)
    assert repr(carbon) == f"Carbon({carbon})"
    html = carbon._repr_html_()
    for part in (
        "g CO2e ± ",
        "1.000 kWh at the socket",
        "400.0 g/kWh",
        "2.000 L",
        "kg Sb-eq",
        "a test; 4 years",
    ):
        assert part in html
