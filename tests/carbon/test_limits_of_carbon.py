"""Both sides of every limit of the carbon of a usage, and what is said there, as a whole."""

import math
import time
from collections.abc import Callable
from typing import Any

import pytest

from energymeter.carbon import grid_lookup, web_json
from energymeter.carbon.amount import CELL, RAIL, WALL, Known, Supply, supply_of
from energymeter.carbon.codecarbon_data import _canada, _usa, _usable
from energymeter.carbon.embodied import BOARDS, Embodied, Range, break_even, sci
from energymeter.carbon.emissions import Equivalent, equivalents, footprint
from energymeter.carbon.emissions_over_time import mean_grid, span_of
from energymeter.carbon.grid import Grid
from energymeter.carbon.grid_tables import Figure, Tables
from energymeter.carbon.intensity import Intensities, Slot, parse_time
from energymeter.carbon.jobs import Job, estimate
from energymeter.carbon.live_grid import LiveGrid, _require_sound
from energymeter.carbon.live_providers import CarbonIntensityGB, ElectricityMaps, Secret, WattTime, _chain
from energymeter.carbon.live_providers import provider as find_provider
from energymeter.carbon.schedule import cleanest
from energymeter.clock import ManualClock
from energymeter.errors import GridError, SpecError

GRID = Grid(grams_per_kwh=500.0, source="a bill", relative=0.1)
NOON = 1_767_225_600.0
"""2026-01-01 00:00Z."""
HOUR = 3600.0


def refused(call: Callable[[], object]) -> str:
    """What is said where it is refused."""
    with pytest.raises((SpecError, GridError)) as failure:
        call()
    return str(failure.value)


# Amounts and supplies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "joules"),
    [
        ({"joules": 5.0}, 5.0),
        ({"watt_hours": 2.0}, 7200.0),
        ({"kilowatt_hours": 2.0}, 7.2e6),
        ({"watts": 2.0, "seconds": 3.0}, 6.0),
        ({"joules": 0.0, "seconds": 3.0}, 0.0),
    ],
)
def test_an_amount_in_each_unit(given: dict[str, float], joules: float) -> None:
    known = Known.of(**given, uncertainty=1.0, place="rail")
    assert known == (joules, given.get("seconds"), 1.0, "manual", "rail", 1.0)


@pytest.mark.parametrize("given", [{}, {"seconds": 1.0}, {"joules": 1.0, "watt_hours": 1.0}])
def test_an_amount_is_given_once(given: dict[str, float]) -> None:
    text = "give the energy once: as joules, watt_hours, kilowatt_hours, or watts and seconds"
    assert refused(lambda: Known.of(**given)) == text


def test_the_usual_supply_of_each_place() -> None:
    assert [supply_of(place, None) for place in ("wall", "rail", "cell", "die")] == [WALL, RAIL, CELL, RAIL]
    assert (WALL.efficiency, WALL.uncertainty) == (1.0, 0.0)
    assert supply_of("rail", 1.0) == Supply(1.0, None, "given")
    assert supply_of("rail", 1e-9).efficiency == 1e-9
    assert supply_of("wall", 1).efficiency == 1
    own = Supply(0.85, 0.02, "label")
    assert supply_of("cell", own) is own


@pytest.mark.parametrize("efficiency", [0.0, -0.5, 1.0001, math.nan])
def test_a_supply_that_cannot_be(efficiency: float) -> None:
    assert refused(lambda: supply_of("rail", efficiency)) == (
        f"an efficiency of {efficiency} is impossible: give a share, as 0.87 for 87 %"
    )
    assert refused(lambda: supply_of("wall", 0.9)) == (
        "the meter is at the wall, where nothing is lost before it: leave the supply out"
    )


# Emissions ------------------------------------------------------------------------------------------------


def test_all_of_a_footprint_by_hand() -> None:
    """1 kWh at a rail behind 80 %, a building of 1.5, 500 g/kWh: 1.25 kWh, then 1.875, then 937.5 g."""
    usage = Known(3.6e6, 3600.0, 3.6e4, "measured", "rail")
    found = footprint(
        usage, GRID, supply=Supply(0.8, 0.04, "label"), pue=1.5, litres_per_kwh=2.0, site_litres_per_kwh=0.5,
        embodied=Embodied(Range(10.0, 20.0, 40.0), "a maker", Range(1e-5, 2e-5, 4e-5), 2.0, 0.5),
    )  # fmt: skip
    assert found.socket_kwh == pytest.approx(1.875)
    assert found.operational_grams == pytest.approx(937.5)
    assert found.litres == pytest.approx(1.25 * (0.5 + 1.5 * 2.0))
    share = 3600 / (2 * 365 * 86400) * 0.5
    assert found.embodied_grams == pytest.approx([1e4 * share, 2e4 * share, 4e4 * share])
    assert found.kg_sb_eq == pytest.approx([1e-5 * share, 2e-5 * share, 4e-5 * share])
    assert found.grams == pytest.approx(937.5 + 2e4 * share)
    assert found.embodied_share == pytest.approx(2e4 * share / found.grams)
    # 1 % of the meter, 5 % of the supply, 10 % of the grid in quadrature; and the making up to its high end
    quadrature = 937.5 * math.sqrt(0.01**2 + 0.05**2 + 0.1**2)
    assert found.uncertainty == pytest.approx(quadrature + 2e4 * share)
    assert found.notes == (
        "supply efficiency 0.800: label",
        "making: a maker; 2 years, share 0.5",
    )


@pytest.mark.parametrize("pue", [0.999, 0.0, math.inf, math.nan])
def test_a_building_that_cannot_be(pue: float) -> None:
    usage = Known.of(joules=3.6e6)
    assert (
        footprint(usage, GRID, pue=1).grams == footprint(usage, GRID, pue=1.0).grams == pytest.approx(500.0)
    )
    assert refused(lambda: footprint(usage, GRID, pue=pue)) == (
        f"pue={pue} is impossible: a building adds to the energy, so give 1 or more"
    )


@pytest.mark.parametrize("litres", [-1e-9, math.inf, math.nan])
@pytest.mark.parametrize("name", ["litres_per_kwh", "site_litres_per_kwh"])
def test_water_that_cannot_be(litres: float, name: str) -> None:
    usage = Known.of(joules=3.6e6)
    assert footprint(usage, GRID, litres_per_kwh=0.0).litres == 0.0
    assert footprint(usage, GRID, site_litres_per_kwh=2.0).litres is None
    assert refused(lambda: footprint(usage, GRID, **{name: litres})) == (
        "water per kWh cannot be negative: give litres per kilowatt-hour"
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_the_most_energy_that_is_plausible(sign: int) -> None:
    assert footprint(Known.of(joules=sign * 3.6e21), GRID).socket_kwh == sign * 1e15
    assert refused(lambda: footprint(Known.of(joules=sign * 3.7e21), GRID)) == (
        f"{sign * 3.7e21} J is not a plausible amount of energy: give at most 3.6e21 J"
    )


@pytest.mark.parametrize(
    ("known", "grid", "notes"),
    [
        ({"provenance": "measured"}, GRID, ()),
        ({"provenance": "modelled"}, GRID, ("the energy is modelled, not measured",)),
        ({"coverage": 0.9995}, GRID, ()),
        (
            {"coverage": 0.98},
            GRID,
            ("only 98.0 % of the time was measured: the grams are those of that part",),
        ),
        (
            {"place": "die"},
            GRID,
            (
                "measured on the die: the rest of the board is not included, so this is a lower bound",
                f"supply efficiency 0.873: {RAIL.source}",
            ),
        ),
        ({"place": "cell"}, GRID, (f"supply efficiency 0.755: {CELL.source}",)),
        (
            {},
            Grid(grams_per_kwh=500.0, source="x", relative=0.1, marginal=True),
            ("marginal intensity: what one kWh more or less changes, not to be added to averages",),
        ),
        ({"uncertainty": None}, GRID, ("the ± is unknown, because that of the meter is",)),
        (
            {"uncertainty": None},
            Grid(grams_per_kwh=500.0, source="x"),
            ("the ± is unknown, because that of the meter and the intensity is",),
        ),
    ],
)
def test_what_a_reader_of_grams_must_know(known: dict[str, Any], grid: Grid, notes: tuple[str, ...]) -> None:
    usage = Known(3.6e6, 3600.0, 3.6e4, "measured", "wall")._replace(**known)
    found = footprint(usage, grid)
    assert found.notes == notes
    assert (found.uncertainty is None) is any("unknown" in note for note in notes)


def test_a_footprint_of_nothing_has_no_share_of_making() -> None:
    board = Embodied(Range(0.0, 0.0, 0.0), "x")
    assert footprint(Known.of(joules=0.0, seconds=1.0), GRID, embodied=board).embodied_share is None
    assert footprint(Known.of(joules=1.0), GRID).embodied_share is None
    assert refused(lambda: footprint(Known.of(joules=1.0), GRID, embodied=board)) == (
        "the share of making a device goes by time: give seconds= of the energy"
    )


def test_grams_as_they_are_printed() -> None:
    usage = Known(3.6e6, 3600.0, None, "measured", "rail")
    plain = footprint(usage, Grid("DEU", grams_per_kwh=380.0, source="x", year=2023), supply=0.8)
    assert str(plain) == (
        "475.0 g CO2e ± unknown: 1.250 kWh at the socket × 380.0 g/kWh (DEU, 2023; x); measured at the rail, "
        "supply efficiency 0.800"
    )
    board = Embodied(Range(10.0, 20.0, 40.0), "a maker", lifetime_years=1.0)
    made = footprint(
        usage._replace(uncertainty=3.6e4, place="wall"),
        Grid(grams_per_kwh=500.0, source="x", relative=0.0, marginal=True),
        embodied=board, litres_per_kwh=1.5,
    )  # fmt: skip
    assert str(made) == (
        "502.3 g CO2e ± 7.3 (k = 2): 1.000 kWh at the socket × 500.0 marginal g/kWh (zone not named; x); "
        "measured "
        "at the wall, supply efficiency 1.00; 2.3 (1.1 to 4.6) g of it from making the device"
    )
    table = made._repr_html_()
    assert "<td>water</td><td>1.500 L</td>" in table
    assert "minerals" not in table


def test_what_a_gram_and_a_kilowatt_hour_are_like() -> None:
    usage = Known.of(joules=3.6e6)
    assert equivalents(footprint(usage, GRID)) == (
        Equivalent(pytest.approx(1000 / (14.46 - 2.86)), "phone charges", "11.6 Wh each, US EPA"),
        Equivalent(pytest.approx(1000 / 9), "hours of an LED bulb", "9 W, 800 lm"),
        Equivalent(pytest.approx(500 / 0.1075), "metres by car", "107.5 g/km, new EU car 2020, EEA"),
    )


# Making ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("years", "share", "seconds"),
    [(1 / 365, 1.0, 1.0), (4.0, 0.0, 1.0), (4.0, 1.0, 0.0), (1e6, 1.0, 1e9)],
)
def test_a_life_and_a_share_just_within_their_limits(years: float, share: float, seconds: float) -> None:
    board = Embodied(Range(1.0, 2.0, 4.0), "x", lifetime_years=years, share=share)
    assert board.grams(seconds).typical == pytest.approx(2000 * seconds / (years * 365 * 86400) * share)
    assert board.minerals(seconds) is None


@pytest.mark.parametrize(
    ("years", "share", "seconds"),
    [
        (1 / 366, 1.0, 1.0),
        (math.inf, 1.0, 1.0),
        (4.0, -0.001, 1.0),
        (4.0, 1.001, 1.0),
        (4.0, 1.0, -0.001),
        (4.0, 1.0, math.inf),
    ],
)
def test_a_life_and_a_share_just_outside_of_their_limits(years: float, share: float, seconds: float) -> None:
    board = Embodied(Range(1.0, 2.0, 4.0), "x", lifetime_years=years, share=share)
    assert refused(lambda: board.grams(seconds)) == (
        "give a lifetime of a day or more, a share from 0 to 1, and seconds of 0 or more"
    )


@pytest.mark.parametrize(
    ("name", "kilograms", "kg_sb_eq"),
    [
        ("pi-zero-w", (3.53, 0.28, 0.33, 0.90, 1.21), (9.8e-8, 7.7e-9, 1.76e-5, 1.71e-5, 9.02e-5)),
        ("pi-4", (6.33, 3.22, 0.61, 0.90, 2.00), (1.8e-7, 8.9e-8, 3.61e-5, 1.71e-5, 1.55e-4)),
        (
            "jetson-nano",
            (6.33, 6.77, 1.46, 1.46, 0.90, 2.00, 1.21),
            (1.8e-7, 1.9e-7, 8.24e-5, 8.24e-5, 1.71e-5, 1.55e-4, 9.02e-5),
        ),
    ],
)
def test_a_board_is_the_sum_of_its_blocks(
    name: str, kilograms: tuple[float, ...], kg_sb_eq: tuple[float, ...]
) -> None:
    board = Embodied.board(name.upper().replace("-", "_"))
    assert board.kilograms.typical == pytest.approx(sum(kilograms), abs=0.005)
    assert board.kg_sb_eq is not None
    assert board.kg_sb_eq.typical == pytest.approx(sum(kg_sb_eq), rel=0.005)
    for low, typical, high in (board.kilograms, board.kg_sb_eq):
        assert (low, high) == pytest.approx((typical / 2, typical * 2))
    assert (board.lifetime_years, board.share) == (4.0, 1.0)


def test_a_phone_is_the_middle_of_what_is_reported() -> None:
    made = sorted([39.5 * 0.815, 49.9 * 0.737, 45 * 0.74, 45 * 0.73, 85 * 0.81, 61 * 0.79, 46 * 0.82])
    assert BOARDS["phone"].kilograms == pytest.approx((made[0], made[3], made[6]), abs=0.06)
    low, typical, high = BOARDS["microcontroller"].kilograms
    assert (low, high) == (0.9, 7.1)
    assert typical == pytest.approx(math.sqrt(low * high), abs=0.05)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_a_unit_of_work_that_cannot_be(value: float) -> None:
    assert sci(3.0, 5.0, 2.0) == 4.0
    assert sci(3.0, 5.0, 1e-9) == pytest.approx(8e9)
    board = Embodied(Range(1.0, 2.0, 4.0), "x")
    assert break_even(board, 0.5) == (2000.0, 4000.0, 8000.0)
    assert refused(lambda: sci(1.0, 1.0, value)) == (
        f"{value} units are impossible: SCI is grams per unit, so give a number above 0"
    )
    assert refused(lambda: break_even(board, value)) == (
        f"{value} g per unit never adds up to the making: measure one unit first"
    )


# Jobs -----------------------------------------------------------------------------------------------------

ONE = Known(3.6e6, 10.0, 3.6e4, "measured", "wall", 0.9)


@pytest.mark.parametrize(
    ("times", "provenance"), [(1, "measured"), (1.0, "measured"), (0, "modelled"), (2.5, "modelled")]
)
def test_a_job_that_is_done_again(times: float, provenance: str) -> None:
    assert Job("a", ONE, times).total() == (
        3.6e6 * times,
        10.0 * times,
        3.6e4 * times,
        provenance,
        "wall",
        0.9,
    )
    typed = ONE._replace(provenance="manual", seconds=None, uncertainty=None)
    assert Job("a", typed, times).total() == (3.6e6 * times, None, None, "manual", "wall", 0.9)


@pytest.mark.parametrize("times", [-0.1, math.inf, math.nan])
def test_a_job_that_cannot_be_done(times: float) -> None:
    assert refused(lambda: Job("a", ONE, times).total()) == (
        f'"a" cannot be done {times} times: give a number of 0 or more'
    )


def test_jobs_as_they_are_printed() -> None:
    exact = Grid(grams_per_kwh=500.0, source="x", relative=0.0)
    both = estimate([Job("a", ONE), Job("b", ONE, 2)], exact)
    assert str(both) == (
        "a: 500.0 g CO2e ± 5.0, 1.000 kWh\nb: 1000 g CO2e ± 10, 2.000 kWh\nin all: 1500 g CO2e ± 15, 3.000 "
        "kWh"
    )
    assert both.uncertainty == pytest.approx(15.0), "one meter has one error in every job"
    part = estimate([Job("a", ONE), Job("b", ONE._replace(uncertainty=None))], exact)
    assert part.uncertainty is None
    assert str(part).endswith("\nin all: 1000 g CO2e ± unknown, 2.000 kWh")
    assert part._repr_html_().count("<tr>") == 4
    assert refused(lambda: estimate([], exact)) == "an estimate needs at least one job"


# When to run ----------------------------------------------------------------------------------------------

DAY = Intensities.half_hours(NOON, [300, 100, 300, 100, 400, 400], zone="GB", source="x")


def test_the_earliest_of_equally_clean_and_of_equally_dirty_times() -> None:
    advice = cleanest(DAY, watt_hours=2000.0, hours=0.5)
    assert advice.best == (NOON + 1800, NOON + 3600, 200.0, 100.0)
    assert advice.worst == (NOON + 7200, NOON + 9000, 800.0, 400.0)
    assert advice.immediate == (NOON, NOON + 1800, 600.0, 300.0)
    assert advice.saved_grams == 400.0


def test_a_job_may_last_as_long_as_the_forecast_and_no_longer() -> None:
    advice = cleanest(DAY, watt_hours=1.0, hours=3.0)
    assert advice.best == advice.worst == advice.immediate
    assert advice.best.start == NOON
    text = (
        "a job of 3.01 h does not fit between the earliest start and the end of the forecast: allow more "
        "time or "
        "ask for a longer forecast"
    )
    assert refused(lambda: cleanest(DAY, watt_hours=1.0, hours=3.01)) == text
    within = cleanest(DAY, watt_hours=1.0, hours=1.0, after=NOON + 1800, before=NOON + 5400)
    assert within.best.start == within.worst.start == NOON + 1800
    wider = cleanest(DAY, watt_hours=1.0, hours=3.0, after=NOON - 9, before=NOON + 1e9)
    assert wider.best.start == NOON


@pytest.mark.parametrize("number", [0.0, -1.0, math.inf, math.nan])
def test_a_job_that_has_no_energy_or_no_length(number: float) -> None:
    for watt_hours, hours in ((number, 1.0), (1.0, number)):
        assert refused(lambda w=watt_hours, h=hours: cleanest(DAY, watt_hours=w, hours=h)) == (
            f"a job needs watt-hours and hours above zero, not {watt_hours} Wh in {hours} h"
        )


# Intensities ----------------------------------------------------------------------------------------------


def test_slots_may_touch_and_be_in_any_order() -> None:
    both = Intensities([Slot(10, 20, 10_000.0), Slot(0, 10, 0.0)], zone=None, source="x")
    assert (both.start, both.end) == (0, 20)
    assert [*both.split(0, 20)] == both.slots
    assert [*both.split(9, 11)] == [Slot(9, 10, 0.0), Slot(10, 11, 10_000.0)]
    assert [*both.split(10, 20)] == [Slot(10, 20, 10_000.0)]
    assert [*both.split(0, 10)] == [Slot(0, 10, 0.0)]
    assert [*both.split(5, 5)] == []
    assert both.mean(5, 20) == pytest.approx(10_000 * 10 / 15)
    assert both.weighted_mean(0, 20, lambda a, b: 1.0 if a == 0 else 3.0) == 7500.0
    assert both.weighted_mean(0, 20, lambda a, b: 0.0) == 5000.0
    assert both.weighted_mean(0, 20, lambda a, b: -1.0 if a == 0 else 3.0) == 15_000.0


@pytest.mark.parametrize(
    ("slots", "text"),
    [
        ([], "x gave no intensities: ask for another stretch of time"),
        ([Slot(0, 0, 1.0)], "x gave 1.0 g/kWh at 1970-01-01 00:00Z: correct or remove it"),
        ([Slot(0, 10, -0.1)], "x gave -0.1 g/kWh at 1970-01-01 00:00Z: correct or remove it"),
        ([Slot(0, 10, 10_000.1)], "x gave 10000.1 g/kWh at 1970-01-01 00:00Z: correct or remove it"),
        ([Slot(0, 61, 1.0), Slot(60, 99, 1.0)], "x gave two intensities for 1970-01-01 00:01Z: remove one"),
    ],
)
def test_slots_that_cannot_be(slots: list[Slot], text: str) -> None:
    assert refused(lambda: Intensities(slots, zone=None, source="x")) == text


@pytest.mark.parametrize(
    ("start", "end", "missing"),
    [
        (-60, 60, "1969-12-31 23:59"),
        (60, 121, "1970-01-01 00:02"),
        (240, 300, "1970-01-01 00:04"),
        (150, 200, "1970-01-01 00:02"),
    ],
)
def test_a_stretch_that_is_not_covered(start: float, end: float, missing: str) -> None:
    gap = Intensities([Slot(0, 120, 1.0), Slot(180, 240, 1.0)], zone=None, source="x")
    assert refused(lambda: [*gap.split(start, end)]) == (
        f"x covers 1970-01-01 00:00Z to 1970-01-01 00:04Z and has no value for {missing}Z: get the "
        "intensities of "
        "the whole run"
    )


def test_a_stretch_that_ends_before_it_starts_or_as_it_starts() -> None:
    text = "the stretch from 5 to 4 ends before it starts: give a later end"
    assert refused(lambda: [*DAY.split(5, 4)]) == text
    text = "a stretch without length has no mean intensity: give an end after the start"
    assert refused(lambda: DAY.mean(NOON, NOON)) == text


def test_half_hours_are_half_hours() -> None:
    assert DAY.slots[1] == Slot(NOON + 1800, NOON + 3600, 100)
    assert (len(DAY.slots), DAY.end) == (6, NOON + 3 * HOUR)
    assert not DAY.slots[0].estimated


class Recorded:
    """A recording of steady power: 2 J/s from its date on."""

    def __init__(self, seconds: float, epoch_s: float | None) -> None:
        self.time_s, self.epoch_s = [1.0, 1.0 + seconds], epoch_s

    def at(self, time_s: float) -> float:
        return 2.0 * time_s

    def usage(self) -> Known:
        return Known(2.0 * (self.time_s[1] - self.time_s[0]))


def test_the_grid_of_a_recording() -> None:
    recorded = Recorded(3600.0, NOON - 1.0)
    assert span_of(recorded) == (NOON, NOON + 3600)
    grid = mean_grid(recorded, Intensities.half_hours(NOON, [1.0, 0.4], zone="GB", source="x", relative=0.3))
    assert (grid.grams_per_kwh, grid.zone, grid.year, grid.relative) == (pytest.approx(0.7), "GB", 2026, 0.3)
    assert grid.source == "x, each stretch by its own intensity"
    assert not grid.marginal
    assert refused(lambda: span_of(Recorded(0.0, NOON))) == (
        "the recording is a single moment: use a yearly grid"
    )
    assert refused(lambda: span_of(Recorded(1.0, None))) == (
        "the recording has no date, so its half-hours are unknown: use a yearly grid"
    )
    assert mean_grid(Recorded(60.0, 0.0), Intensities([Slot(0, 99, 5.0)], zone=None, source="x")).year == 1970


# A figure of one's own ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grams", "options"),
    [
        (1.5, {}),
        (1000.0, {}),
        (1500.0, {"marginal": True}),
        (0.0, {"checked": True}),
        (1.4, {"checked": True}),
        (10_000.0, {"checked": True}),
    ],
)
def test_an_intensity_just_within_its_limits(grams: float, options: dict[str, bool]) -> None:
    assert Grid(grams_per_kwh=grams, source="x", **options).grams_per_kwh == grams


@pytest.mark.parametrize(
    ("grams", "options", "text"),
    [
        (
            1.25,
            {},
            "1.25 g/kWh is less than any grid emits: were these kg/kWh? then grams_per_kwh=1250 "
            "(checked=True if it "
            "is right)",
        ),
        (
            1000.1,
            {},
            "1000.1 g/kWh is more than a grid of nothing but coal emits: were these lb/MWh? then "
            "pounds_per_mwh=1000.1, which is 453.6 g/kWh (checked=True if it is right)",
        ),
        (
            1600.0,
            {"marginal": True},
            "1600 g/kWh is more than a grid of nothing but coal emits: were these lb/MWh? then "
            "pounds_per_mwh=1600, "
            "which is 725.7 g/kWh (checked=True if it is right)",
        ),
        *(
            (
                grams,
                options,
                f"grams_per_kwh={grams} is not an intensity: give grams of CO2e per kilowatt-hour",
            )
            for grams, options in (
                (-0.1, {}), (math.inf, {}), (math.nan, {}),
                (-0.1, {"checked": True}), (10_000.1, {"checked": True}),
            )
        ),
    ],
)  # fmt: skip
def test_an_intensity_just_outside_of_its_limits(grams: float, options: dict[str, bool], text: str) -> None:
    assert refused(lambda: Grid(grams_per_kwh=grams, source="x", **options)) == text


@pytest.mark.parametrize("relative", [-0.001, math.inf, math.nan])
def test_an_uncertainty_that_cannot_be(relative: float) -> None:
    assert Grid(grams_per_kwh=5.0, source="x", relative=0.0).relative == 0.0
    assert refused(lambda: Grid(grams_per_kwh=5.0, source="x", relative=relative)) == (
        f"relative={relative} is not an uncertainty: 0.1 means ±10 %"
    )


def test_a_figure_as_it_is_printed() -> None:
    own = Grid(
        "DEU", region="north", pounds_per_mwh=1000.0, source="x", year=2024, relative=0.125, marginal=True
    )
    assert repr(own) == "Grid(DEU/north, 453.6 marginal g/kWh ± 12 %, year 2024, source: x)"
    assert repr(Grid(grams_per_kwh=5.0, source="x")) == "Grid(5.000 g/kWh ± unknown, year unknown, source: x)"
    assert own.as_of is None
    assert own.now() is own
    assert "<td>not named</td>" in Grid(grams_per_kwh=5.0, source="x")._repr_html_()
    assert refused(lambda: Grid(grams_per_kwh=5.0, pounds_per_mwh=5.0, source="x")) == (
        "grams_per_kwh and pounds_per_mwh mean the same: give one of them"
    )
    assert refused(lambda: Grid(grams_per_kwh=5.0)) == (
        'a figure needs its source: add source="the publisher and the year"'
    )


# Zones ----------------------------------------------------------------------------------------------------


NAMES = {
    "GBR": "United Kingdom",
    "CHN": "China",
    "USA": "United States",
    "UMI": "United Islands",
    "ARE": "United Emirates",
    "TZA": "United Tanzania",
    "MEX": "United Mexico",
    "DEU": "Germany",
    "WORLD": "world average",
}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of a few zones, wherever codecarbon is installed."""
    known = Tables(
        {
            code: Figure(code, name, 100.0 + number, 2020, "x")
            for number, (code, name) in enumerate(NAMES.items())
        },
        {
            "USA": {name: Figure(f"USA/{name}", name.title(), 7.0, 2020, "x") for name in
                    ("iowa", "ohio", "utah", "maine", "texas", "idaho")},
            "CHN": {"tibet": Figure("CHN/XZ", "Tibet", 8.0, 2020, "x")},
        },
        {"gcp": {"us-central1": Figure("gcp/us-central1", "Iowa", 9.0, None, "x")}},
    )  # fmt: skip
    monkeypatch.setattr(grid_lookup, "tables", lambda: known)


REMEDY = 'see "energymeter carbon grids", give grams_per_kwh= and source=, or use the average "world"'


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("UK", "did you mean GBR United Kingdom?"),
        ("Germny", "did you mean DEU Germany?"),
        ("DEUU", "did you mean DEU Germany?"),
        ("any", "did you mean DEU Germany?"),
        ("er", "no known zone looks like it;"),
        (
            "united",
            "did you mean GBR United Kingdom, USA United States, UMI United Islands, ARE United Emirates, "
            "TZA United Tanzania?",
        ),
        ("qqqq", "no known zone looks like it;"),
    ],
)
def test_a_zone_that_is_not_known(zone: str, hint: str) -> None:
    assert refused(lambda: grid_lookup.look_up(zone)) == f'no figure for "{zone}": {hint} {REMEDY}'


@pytest.mark.usefixtures("few")
def test_a_zone_by_what_people_type() -> None:
    assert grid_lookup.look_up("deu").zone == grid_lookup.look_up("GERMANY").zone == "DEU"
    assert grid_lookup.look_up("World").zone == "WORLD"
    assert grid_lookup.look_up("usa", " Iowa ").zone == "USA/iowa"
    assert grid_lookup.look_up("CHN", "Tibet  Autonomous Region").zone == "CHN/XZ"
    assert grid_lookup.look_up_cloud("GCP", "US-Central1").name == "Iowa"
    assert [each.zone for each in grid_lookup.figures("iowa")] == ["USA/iowa", "gcp/us-central1"]
    assert len(grid_lookup.figures()) == 9 + 7 + 1


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: grid_lookup.look_up("USA", "iwoa"),
            f'no region "iwoa" in USA: did you mean iowa? {REMEDY}',
        ),
        (
            lambda: grid_lookup.look_up("USA", "zzzz"),
            f'no region "zzzz" in USA: did you mean idaho, iowa, maine, ohio, texas? {REMEDY}',
        ),
        (
            lambda: grid_lookup.look_up("USA", "iowa province"),
            f'no region "iowa province" in USA: did you mean idaho, iowa, maine, ohio, texas? {REMEDY}',
        ),
        (
            lambda: grid_lookup.look_up("DEU", "north"),
            "no regions of DEU are known (only of CHN, USA): leave region out for the country's average, "
            "or give "
            f"grams_per_kwh=; {REMEDY}",
        ),
        (
            lambda: grid_lookup.look_up_cloud("aws", "us-east-1"),
            'no figures for the cloud "aws", only for gcp: '
            "others publish none, so give the country where it is",
        ),
        (
            lambda: grid_lookup.look_up_cloud("gcp", "us-centrl1"),
            'no region "us-centrl1" of gcp: did you mean us-central1?',
        ),
        (lambda: grid_lookup.look_up(""), grid_lookup.NO_ZONE),
    ],
)
def test_a_region_that_is_not_known(call: Callable[[], object], text: str) -> None:
    assert refused(call) == text


@pytest.mark.parametrize(("grams", "usable"), [(0.99, False), (1.0, True), (1500.0, True), (1500.1, False)])
def test_a_figure_of_codecarbon_that_is_possible(grams: float, usable: bool) -> None:
    assert _usable(grams) is usable


def test_the_mix_of_a_province_by_hand() -> None:
    """Half coal and a quarter gas, of a mix that sums to 98 %."""
    mix = {"a": {"total": 98.0, "coal": 49.0, "petroleum": 0.0, "naturalGas": 24.5},
           "b": {"total": 100.0, "coal": 0.0, "petroleum": 0.0, "naturalGas": 0.0}}  # fmt: skip
    found = _canada(mix, 2021, "9")
    assert [*found] == ["a"], "nothing is known of what burns nothing"
    assert found["a"].grams_per_kwh == pytest.approx(0.5 * 995.725971 + 0.25 * 743.8415916)
    for total in (95.0, 105.0):
        with pytest.raises(ValueError, match=f"the mix of a sums to {total} %"):
            _canada({"a": {**mix["a"], "total": total}}, 2021, "9")
    for total in (95.1, 104.9):
        _canada({"a": {**mix["a"], "total": total}}, 2021, "9")


@pytest.mark.parametrize(("states", "right"), [(49, False), (50, True)])
def test_the_states_of_america(states: int, right: bool) -> None:
    data = {"_unit": {"emissions": "lbs/MWh"}, "_source": {"year": "2022"}}
    data |= {f"s{number}": {"emissions": 1000.0} for number in range(states)}
    if not right:
        with pytest.raises(ValueError, match="fewer than 50 US states"):
            _usa(data, "9")
        return
    figure = _usa(data, "9")["s0"]
    assert figure == (
        "USA/s0",
        "S0",
        pytest.approx(453.59237),
        2022,
        "codecarbon 9: US EPA eGRID2022, total output CO2e rate",
    )


# Services on the network ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["https://a.example", "http://localhost:80", "http://127.0.0.1:8/x", "http://[::1]:8", "https://a/b//"],
)
def test_an_address_that_nobody_else_reads(url: str) -> None:
    assert web_json.check_url(url) == url.rstrip("/")


@pytest.mark.parametrize("url", ["http://a.example", "ftp://localhost", "localhost", "http://127.0.0.2", ""])
def test_an_address_that_others_read(url: str) -> None:
    assert refused(lambda: web_json.check_url(url)) == (
        f"url={url} is neither https:// nor on this machine, so others could read a token: give https"
    )


@pytest.mark.parametrize(
    ("status", "wait", "text"),
    [
        *(
            (code, None, f"x refused the credentials (HTTP {code}): check the token and its plan")
            for code in (401, 403)
        ),
        (400, None, "x did not accept the request (HTTP 400): check the zone or ask for fewer days"),
        (404, None, "x has no such zone or time (HTTP 404): check the zone"),
        (429, None, "x reports that the quota is used up (HTTP 429): wait an hour, or send fewer requests"),
        (429, 7.0, "x reports that the quota is used up (HTTP 429): wait 7 s, or send fewer requests"),
        *(
            (
                code,
                None,
                f"x redirects to another address (HTTP {code}), which gets no token: give it as url=",
            )
            for code in (300, 302, 399)
        ),
        *(
            (code, 7.0, f"x reports an error of its own (HTTP {code}): try again later or give a fallback")
            for code in (299, 402, 405, 428, 430, 500)
        ),
    ],
)
def test_what_a_status_means(status: int, wait: float | None, text: str) -> None:
    assert web_json._status_text("x", status, wait) == text


class Body:
    """The body of an answer, in parts."""

    def __init__(self, *parts: int, length: int | None = 0) -> None:
        self._parts, self.length = [*parts], length

    def read1(self, most: int) -> bytes:
        assert most == 65536
        return b"x" * self._parts.pop(0) if self._parts else b""


def test_a_body_has_a_size_and_a_deadline() -> None:
    soon, now = time.monotonic() + 600, time.monotonic()
    most = 8 * 1024 * 1024
    assert web_json._read(Body(3, 4), soon) == b"x" * 7
    assert web_json._read(Body(3, length=None), soon) == b"xxx"
    assert len(web_json._read(Body(1, most - 1), soon)) == most
    with pytest.raises(ValueError, match="endless answer"):
        web_json._read(Body(1, most), soon)
    with pytest.raises(TimeoutError):
        web_json._read(Body(3), now - 1)
    with pytest.raises(web_json.http.client.IncompleteRead):
        web_json._read(Body(3, length=1), soon)


def test_a_job_within_its_time() -> None:
    assert web_json._within(600, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        web_json._within(600, lambda: 1 // 0)


@pytest.mark.parametrize(
    ("slot", "sound"),
    [
        (Slot(946_684_801.0, 946_684_802.0, 0.0), True),
        (Slot(4_102_444_798.0, 4_102_444_799.0, 3000.0), True),
        (Slot(946_684_800.0, 946_684_802.0, 1.0), False),
        (Slot(4_102_444_798.0, 4_102_444_800.0, 1.0), False),
        (Slot(NOON, NOON, 1.0), False),
        (Slot(NOON, NOON + 1, -0.1), False),
        (Slot(NOON, NOON + 1, 3000.1), False),
        (Slot(NOON, NOON + 1, math.nan), False),
    ],
)
def test_an_answer_that_is_possible(slot: Slot, sound: bool) -> None:
    for answer in (slot, [Slot(NOON, NOON + 1, 1.0), slot]):
        if sound:
            _require_sound(answer)
        else:
            with pytest.raises(ValueError, match="impossible"):
                _require_sound(answer)


class Service:
    """A service that answers, or fails."""

    label, zone, marginal, url = "it", "XX", False, "https://a.example"

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.problem: Exception | None = None
        self.grams = 100.0

    def _slot(self, start: float) -> Slot:
        if self.problem is not None:
            raise self.problem
        return Slot(start, start + HOUR, self.grams)

    def latest(self, get: Any, now: float) -> Slot:
        self.asked.append(("now", now))
        return self._slot(now)

    def between(self, get: Any, start: float, end: float, now: float) -> list[Slot]:
        self.asked.append((start, end))
        return [self._slot(start)]

    def forecast(self, get: Any, now: float, hours: float) -> list[Slot]:
        self.asked.append(("forecast", hours))
        return [self._slot(now)]


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(epoch=NOON)


@pytest.fixture
def live(service: Service, clock: ManualClock) -> LiveGrid:
    grid = LiveGrid("carbonintensity-gb", clock=clock)
    grid._provider = service
    return grid


def test_an_answer_is_current_for_five_minutes(live: LiveGrid, service: Service, clock: ManualClock) -> None:
    asked = []
    for step_s in (0.0, 299.0, 1.0, 1.0, 300.0, 1.0):
        clock.sleep(step_s)
        live.now()
        asked.append(len(service.asked))
    assert asked == [1, 1, 1, 2, 2, 3]


def test_an_answer_stands_in_for_an_hour(live: LiveGrid, service: Service, clock: ManualClock) -> None:
    live.now()
    service.problem = GridError("it is away")
    clock.sleep(3600.0)
    stale = live.now()
    assert stale.source == "it, 2026-01-01 00:00Z, fetched 3600 s ago; stale: it is away"
    assert (stale.as_of, stale.year, stale.zone) == (NOON, 2026, "XX")
    clock.sleep(1.0)
    assert refused(live.now).startswith("it is away")


def test_it_waits_twice_as_long_after_each_error_up_to_an_hour(
    live: LiveGrid, service: Service, clock: ManualClock
) -> None:
    service.problem = GridError("it is away")
    waits = []
    for _ in range(9):
        assert refused(live.now) == "it is away"
        waits.append(live._not_before - clock.monotonic_ns() / 1e9)
        clock.sleep(waits[-1] - 1)
        assert refused(live.now) == "it is away (next request in 1 s; wait or give a fallback)"
        clock.sleep(1.0)
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    live._keep_retry_after(5000.0)
    refused(live.now)
    assert live._not_before - clock.monotonic_ns() / 1e9 == 3600.0


def test_the_time_until_the_next_request_is_said(
    live: LiveGrid, service: Service, clock: ManualClock
) -> None:
    service.problem = GridError("it is away")
    refused(live.now)
    clock.sleep(10.0)
    assert refused(live.now) == "it is away (next request in 20 s; wait or give a fallback)"
    service.problem = KeyError("datetime")
    clock.sleep(20.0)
    assert refused(live.now) == (
        "it answered in another form than the documented one (KeyError): try again later or give a fallback"
    )
    clock.sleep(59.0)
    assert "next request in 1 s" in refused(live.now)
    clock.sleep(1.0)
    service.problem = None
    assert live.now().grams_per_kwh == 100.0
    service.problem = GridError("it is away")
    clock.sleep(301.0)
    live.now()
    assert live._not_before - clock.monotonic_ns() / 1e9 == 30.0, "an answer ends the growing"


@pytest.mark.parametrize(("age_s", "again"), [(7200.0, True), (7201.0, False)])
def test_what_is_over_for_two_hours_is_asked_once(
    live: LiveGrid, service: Service, clock: ManualClock, age_s: float, again: bool
) -> None:
    end = NOON - age_s
    live.between(end - HOUR, end)
    clock.sleep(301.0 if not again else 0.0)
    live.between(end - HOUR, end)
    assert len(service.asked) == 1
    if again:
        live._kept.clear()
        live.between(end - HOUR, end)
        assert len(service.asked) == 2
    assert refused(lambda: live.between(NOON, NOON)) == "the stretch must end after it starts"


def test_sixteen_answers_are_kept(live: LiveGrid, service: Service) -> None:
    for number in range(17):
        live.forecast(float(number + 1))
    assert len(service.asked) == 17
    live.forecast(2.0)
    assert len(service.asked) == 17
    live.forecast(1.0)
    assert len(service.asked) == 18, "the oldest one was left out"
    live.forecast()
    assert service.asked[-1] == ("forecast", 24.0)


def test_a_fallback_says_why(service: Service, clock: ManualClock) -> None:
    fallback = Grid("DEU", grams_per_kwh=380.0, source="a bill", year=2023, relative=0.2)
    grid = LiveGrid("carbonintensity-gb", clock=clock, fallback=fallback)
    grid._provider = service
    service.problem = GridError("it is away")
    now = grid.now()
    assert (now.source, now.year, now.relative) == ("a bill (fallback: it is away)", 2023, 0.2)
    past = grid.between(NOON, NOON + 60)
    assert past.slots == [Slot(NOON, NOON + 60, 380.0, True)]
    assert past.source.startswith("a bill (fallback: it is away (next request in 30 s")


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
def test_a_deadline_that_cannot_be(seconds: float) -> None:
    LiveGrid("carbonintensity-gb", timeout_seconds=1e-9)
    assert refused(lambda: LiveGrid("carbonintensity-gb", timeout_seconds=seconds)) == (
        f"timeout_seconds={seconds} is impossible: give seconds above zero"
    )


def test_the_requests_of_an_hour_are_counted(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    from energymeter.carbon import live_grid

    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(live_grid, "get_json", lambda *given: sent.append(given))
    grid = LiveGrid("carbonintensity-gb", clock=clock, requests_per_hour=2)
    grid._get("/a", {}, {})
    clock.sleep(10.0)
    grid._get("/b", {}, {})
    text = (
        "2 requests went to carbonintensity.org.uk within the hour: ask less often or raise requests_per_hour"
    )
    assert refused(lambda: grid._get("/c", {}, {})) == text
    clock.sleep(3590.0)
    assert refused(lambda: grid._get("/c", {}, {})) == text, "the first one was an hour ago"
    clock.sleep(1.0)
    grid._get("/c", {}, {})
    assert refused(lambda: grid._get("/d", {}, {})) == text
    assert (grid.requests, len(sent)) == (3, 3)
    assert sent[0][:3] == ("carbonintensity.org.uk", "https://api.carbonintensity.org.uk", "/a")
    assert sent[0][5] == 10.0


# The services' own forms ----------------------------------------------------------------------------------


def test_points_become_slots_that_end_with_the_next() -> None:
    assert _chain([(100.0, 7.0, True), (0.0, 5.0, False), (30.0, 6.0, False)], 50.0) == [
        Slot(0.0, 30.0, 5.0, False),
        Slot(30.0, 80.0, 6.0, False),
        Slot(100.0, 150.0, 7.0, True),
    ]
    assert _chain([], 50.0) == []


class Asked:
    """What a provider asks, and what it gets."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls: list[tuple[str, dict[str, str], dict[str, str]]] = []

    def __call__(self, path: str, query: Any, headers: Any) -> Any:
        self.calls.append((path, {**query}, {**headers}))
        return {"token": "t0ken"} if path == "/login" else self.answer


def test_electricity_maps_asks_for_the_last_day_or_for_a_range() -> None:
    rows = [{"datetime": "2026-01-01T00:00:00.000Z", "carbonIntensity": 100, "isEstimated": True}]
    maps = ElectricityMaps("DE", Secret("s3cret"))
    get = Asked({"history": rows, "data": rows, "forecast": [{**rows[0], "isEstimated": False}], **rows[0]})
    assert maps.latest(get, NOON) == Slot(NOON, NOON + 3600, 100.0, True)
    for back_h in (23, 24):
        start = NOON - back_h * HOUR + (0 if back_h == 23 else 60)
        assert maps.between(get, start, start + 60, NOON) == [Slot(NOON, NOON + 3600, 100.0, True)]
    assert maps.forecast(get, NOON, 24.0) == [Slot(NOON, NOON + 3600, 100.0, True)]
    assert get.calls == [
        (f"/carbon-intensity/{kind}", {"zone": "DE", **query}, {"auth-token": "s3cret"})
        for kind, query in (
            ("latest", {}),
            ("history", {}),
            ("past-range", {"start": "2025-12-31T00:00Z", "end": "2025-12-31T01:02Z"}),
            ("forecast", {}),
        )
    ]


def test_britain_asks_by_the_half_hour() -> None:
    row = {"from": "2026-01-01T00:00Z", "to": "2026-01-01T00:30Z", "intensity": {"forecast": 90, "actual": 0}}
    slot = Slot(NOON, NOON + 1800, 0.0, False)
    britain = CarbonIntensityGB(None, None)
    get = Asked({"data": [row]})
    assert britain.latest(get, NOON) == slot
    assert britain.between(get, NOON, NOON + 3600, NOON) == [slot]
    for hours in (1.0, 24.0, 24.1, 48.0):
        assert britain.forecast(get, NOON, hours) == [slot]
    begin = "/intensity/2026-01-01T00:00Z"
    assert [path for path, _, _ in get.calls] == [
        "/intensity",
        f"{begin}/2026-01-01T01:30Z",
        f"{begin}/fw24h",
        f"{begin}/fw24h",
        f"{begin}/fw48h",
        f"{begin}/fw48h",
    ]
    expected = {**row, "intensity": {"forecast": 90, "actual": None}}
    region = CarbonIntensityGB(" rg10 1aa", None)
    assert region.zone == "RG10"
    of_now, of_range = Asked({"data": [{"data": [expected]}]}), Asked({"data": {"data": [expected]}})
    assert region.latest(of_now, NOON) == Slot(NOON, NOON + 1800, 90.0, True)
    assert region.between(of_range, NOON, NOON, NOON) == [Slot(NOON, NOON + 1800, 90.0, True)]
    assert of_now.calls[0][0] == "/regional/postcode/RG10"
    assert of_range.calls[0][0] == "/regional/intensity/2026-01-01T00:00Z/2026-01-01T00:30Z/postcode/RG10"


@pytest.mark.parametrize("zone", ["", " ", "W1", "EC1A", "M60", None])
def test_a_postcode_or_none(zone: str | None) -> None:
    assert CarbonIntensityGB(zone, None).zone == (zone.strip() or None if zone else None)


@pytest.mark.parametrize("zone", ["ABC1", "1A", "W", "EC1AB", "W12Q9"])
def test_a_postcode_that_is_none(zone: str) -> None:
    assert "is not an outward postcode" in refused(lambda: CarbonIntensityGB(zone, None))


def rates(**meta: Any) -> Asked:
    point = {"point_time": "2026-01-01T00:00:00+00:00", "value": 1000.0}
    return Asked({"meta": {"units": "lbs_co2_per_mwh", **meta}, "data": [point]})


def test_watttime_logs_in_for_25_minutes_and_converts_pounds() -> None:
    watttime = WattTime("CAISO_NORTH", Secret("me"), Secret("word"))
    get = rates()
    assert watttime.latest(get, NOON) == Slot(NOON, NOON + 300, pytest.approx(453.59237), True)
    assert get.calls[0] == ("/login", {}, {"Authorization": "Basic bWU6d29yZA=="})
    assert get.calls[1] == (
        "/v3/forecast",
        {"region": "CAISO_NORTH", "signal_type": "co2_moer", "horizon_hours": "1"},
        {"Authorization": "Bearer t0ken"},
    )
    watttime.latest(get, NOON + 1500)
    assert len(get.calls) == 3
    (slot,) = watttime.between(rates(data_point_period_seconds=60), NOON, NOON, NOON + 1500)
    assert (slot.end, slot.estimated) == (NOON + 60, False)
    watttime.latest(get, NOON + 1501)
    assert [path for path, _, _ in get.calls].count("/login") == 2
    ranged = rates()
    watttime.between(ranged, NOON, NOON + 600, NOON + 1501)
    assert ranged.calls[0][1]["start"] == "2025-12-31T23:55Z"
    assert ranged.calls[0][1]["end"] == "2026-01-01T00:15Z"


@pytest.mark.parametrize(
    ("hours", "asked"),
    [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.1, "2"), (24.0, "24"), (72.0, "72"), (72.1, "72")],
)
def test_watttime_forecasts_whole_hours_up_to_three_days(hours: float, asked: str) -> None:
    get = rates()
    WattTime("A", Secret("me"), Secret("word")).forecast(get, NOON, hours)
    assert get.calls[-1][1]["horizon_hours"] == asked


@pytest.mark.parametrize("text", ["", "a b", "a\n", "é", "\x7f"])
def test_a_token_that_cannot_be_sent(text: str) -> None:
    assert Secret("a~!").reveal() == "a~!"
    assert refused(lambda: Secret(text)) == (
        "the token or password is empty or holds a space or a line end: copy it again"
    )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            ("watttime", "A", "t", None, None),
            "WattTime issues its own tokens: give user= and password= instead",
        ),
        (
            ("watttime", "A", None, "me", None),
            'WattTime needs zone="CAISO_NORTH" (or alike), user= and password= of your registration',
        ),
        (
            ("watttime", None, None, "me", "word"),
            'WattTime needs zone="CAISO_NORTH" (or alike), user= and password= of your registration',
        ),
        (
            ("watttime", "A", None, None, "word"),
            'WattTime needs zone="CAISO_NORTH" (or alike), user= and password= of your registration',
        ),
        (
            ("electricitymaps", "A", "t", "me", None),
            "electricitymaps takes no user and password: leave them out",
        ),
        (
            ("electricitymaps", "A", "t", None, "word"),
            "electricitymaps takes no user and password: leave them out",
        ),
        (
            ("electricitymaps", None, "t", None, None),
            'Electricity Maps needs zone="DE" (or alike) and token=, free at electricitymaps.com',
        ),
        (
            ("electricitymaps", "DE", None, None, None),
            'Electricity Maps needs zone="DE" (or alike) and token=, free at electricitymaps.com',
        ),
        (
            ("carbonintensity-gb", None, "t", None, None),
            "carbonintensity.org.uk takes no token: leave it out",
        ),
        (
            ("other", None, None, None, None),
            'there is no live service "other": choose electricitymaps, carbonintensity-gb, watttime',
        ),
    ],
)
def test_a_service_needs_what_it_needs(given: tuple[Any, ...], text: str) -> None:
    assert refused(lambda: find_provider(*given)) == text


def test_a_time_names_its_zone() -> None:
    assert parse_time(" 2026-01-01T01:00:00+01:00") == parse_time("2026-01-01T00:00Z") == NOON
