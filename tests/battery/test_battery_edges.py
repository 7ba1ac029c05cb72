"""Panels, converters, plans and voltage tables at their edges, by figures worked out by hand."""

import math

import pytest

from energymeter.battery import ocv
from energymeter.battery.battery import Battery
from energymeter.battery.converter import Converter, _solve
from energymeter.battery.planning import (
    board_watts,
    duty_watts,
    inferences_a_charge,
    periodic_watts,
    planned,
)
from energymeter.battery.solar import Outlook, Panel, Profile, Steady, battery_wh, outlook, panel_watts
from energymeter.boards import find_board
from energymeter.errors import SpecError

CELL = Battery(10_000, volts=3.6, efficiency=0.9, usable=1.0)
"""36 Wh; 1.8 W at the rail are 2 W of the cell."""


def test_a_panel_is_half_a_sine() -> None:
    """40 W x 4 h x 0.8 in a day of 12 h: the top is 128 Wh x pi / 24 h."""
    panel = Panel(40.0, 4.0)
    assert panel.watts_at(12.0) == pytest.approx(128 * math.pi / 24)
    assert panel.watts_at(8.0) == panel.watts_at(32.0) == pytest.approx(128 * math.pi / 48)
    assert [panel.watts_at(hour) for hour in (0.0, 6.0, 18.0, 23.0)] == [0.0] * 4
    assert panel.watts_at(17.999) > 0 < panel.watts_at(6.001)
    early = Panel(10.0, 3.0, 1.0, sunrise=5.0, sunset=11.0)
    assert early.watts_at(8.0) == pytest.approx(30 * math.pi / 12)
    assert early.watts_at(11.5) == 0.0


@pytest.mark.parametrize(
    ("text", "panel"),
    [
        ("10W,4h", Panel(10.0, 4.0)), (" 10 w , 0 H ", Panel(10.0, 0.0)), ("0.5,24", Panel(0.5, 24.0)),
        ("0W,4h", "a panel has watts above 0 and 0 to 24 peak sun hours, not '0W,4h'"),
        ("1W,24.1h", "a panel has watts above 0 and 0 to 24 peak sun hours, not '1W,24.1h'"),
        ("1W,-0.1h", "a panel has watts above 0 and 0 to 24 peak sun hours, not '1W,-0.1h'"),
        ("10W", "a panel is its watts and the day's peak sun hours, as in 10W,4h, not '10W'"),
        ("1,2,3", "a panel is its watts and the day's peak sun hours, as in 10W,4h, not '1,2,3'"),
    ],
)  # fmt: skip
def test_a_panel_in_words(text: str, panel: object) -> None:
    if isinstance(panel, Panel):
        assert Panel.parse(text) == panel
    else:
        with pytest.raises(SpecError) as wrong:
            Panel.parse(text)
        assert str(wrong.value) == panel


def test_a_profile_is_in_equal_steps() -> None:
    assert [Profile((1.0, 2.0)).watts_at(hour) for hour in (0, 11.99, 12, 23.99, 24, 36)] == [
        1,
        1,
        2,
        2,
        1,
        2,
    ]


def known(battery: Battery, watts: float, **options: float) -> Outlook:
    found = outlook(battery, watts, **options)
    assert found is not None
    return found


def test_how_long_a_battery_lasts_with_its_charger() -> None:
    """From 36 Wh, 2 W leave and 1.5 W come: 72 h, at any hour and by the share that is there."""
    for hour, share in ((0.0, 1.0), (12.0, 0.5), (23.9, 0.1)):
        found = known(CELL.with_(input=Steady(1.5)), 1.8, hour=hour, share=share)
        assert found.hours == pytest.approx(72 * share)
        assert (found.margin, found.lowest_share) == (pytest.approx(-0.25), 0.0)
        assert not found.sustained
    exact = known(CELL.with_(input=Steady(2.0)), 1.8, share=0.25)
    assert (exact.hours, exact.margin, exact.lowest_share) == (None, pytest.approx(0.0), pytest.approx(0.25))


@pytest.mark.parametrize("hour", [0.0, 6.0, 12.0, 20.0])
def test_the_days_that_repeat_say_how_low_it_gets(hour: float) -> None:
    """Once the nights are alike, it does not matter when or with how much it began."""
    sunny = CELL.with_(input=Panel(40.0, 4.0))
    usual = known(sunny, 1.8).lowest_share
    assert usual == pytest.approx(0.3, abs=0.01)
    for share in (0.7, 0.85, 1.0):
        assert known(sunny, 1.8, share=share, hour=hour).lowest_share == pytest.approx(usual, abs=0.01)
    assert known(sunny, 1.8, share=0.0).lowest_share == pytest.approx(usual)


def test_a_second_night_that_is_longer_than_the_first_empties_it() -> None:
    """18 Wh and 2 W last from midnight to sunrise, and not from sunset to sunrise."""
    small = Battery(5000, volts=3.6, efficiency=0.9, usable=1.0, input=Panel(40.0, 4.0))
    found = known(small, 1.8, hour=0.0)
    assert found.margin > 0
    assert found.hours == pytest.approx(24 + 17.7 - 24 + 18 / 2, abs=0.3), "nine hours after the sun has gone"


def test_a_panel_that_just_fills_the_battery_takes_many_days() -> None:
    slow = known(CELL.with_(input=Steady(2.1)), 1.8, share=0.1)
    assert slow.sustained
    assert slow.lowest_share == pytest.approx(1.0, abs=0.02), "in the end it is full"


def test_a_night_that_empties_it_is_the_end() -> None:
    """7.2 Wh and 2 W: 3.6 h after the sun has gone below the load."""
    panel = Panel(40.0, 4.0)
    top = 128 * math.pi / 24
    dusk = 6 + 12 * (1 - math.asin(2 / top) / math.pi)
    small = Battery(2000, volts=3.6, efficiency=0.9, usable=1.0, input=panel)
    night = known(small, 1.8, hour=12.0)
    after_sunset = (18 - dusk) * 2 - 40 * 4 * 0.8 / 2 * (1 - math.cos(math.pi * (18 - dusk) / 12))
    assert night.hours == pytest.approx(6 + (7.2 - after_sunset) / 2, abs=0.05)


def test_an_outlook_in_words() -> None:
    assert str(Outlook(None, 0.25, 0.304)) == "sustained, margin +25 %, down to 30 % before sunrise"
    assert "margin +80 %," in str(Outlook(None, 0.8, 0.5))
    assert str(Outlook(5.0, -0.5, 0.0)) == "5 h left (the day's balance is -50 %)"
    assert (Outlook(None, 0.0, 1.0).sustained, Outlook(0.0, 0.0, 0.0).sustained) == (True, False)


def test_a_battery_without_an_input_has_no_outlook() -> None:
    with pytest.raises(SpecError) as wrong:
        outlook(CELL, 1.0)
    assert str(wrong.value) == (
        "this battery has no input: Battery(..., input=Panel(10, sun_hours=4)), or use hours() without one"
    )
    assert outlook(CELL.with_(input=Steady(1.0)), 0.0) is None


def test_sizes() -> None:
    assert panel_watts(2.0, 4.0) == pytest.approx(15.0)
    assert panel_watts(2.0, 4.0, 1.0) == 12.0
    assert battery_wh(2.0, 3.0) == 180.0
    assert battery_wh(2.0, 3.0, 1.0) == 144.0


# A converter


def test_what_a_converter_takes_and_gives() -> None:
    """0.5 W for itself, a tenth for switching, 0.05/W in its wires: 10 W at the rail are 16.5 W."""
    curve = Converter(0.5, 1.1, 0.05)
    assert curve.cell_watts(10.0) == pytest.approx(16.5)
    assert curve.rail_watts(16.5) == pytest.approx(10.0)
    assert curve.efficiency(10.0) == pytest.approx(10 / 16.5)
    assert (curve.cell_watts(0.0), curve.efficiency(0.0), curve.efficiency(-1.0)) == (0.5, 0.0, 0.0)
    assert (curve.rail_watts(0.5), curve.rail_watts(0.4)) == (None, None)
    assert curve.rail_watts(0.51) == pytest.approx(0.00909, abs=1e-4)
    assert Converter().cell_watts(3.0) == Converter().rail_watts(3.0) == 3.0
    assert Converter.constant(0.8).cell_watts(4.0) == pytest.approx(5.0)
    assert Converter.constant(1.0) == Converter(0.0, 1.0, 0.0)


@pytest.mark.parametrize("efficiency", [0.0, -0.1, 1.0001])
def test_no_converter_is_as_good_or_as_bad(efficiency: float) -> None:
    with pytest.raises(SpecError) as wrong:
        Converter.constant(efficiency)
    assert str(wrong.value) == f"an efficiency is a share in (0, 1], not {efficiency!r}: write 0.9 for 90 %"


def test_three_loads_make_a_curve_and_two_do_not() -> None:
    curve = Converter(0.5, 1.1, 0.05)
    points = [(watts, curve.cell_watts(watts)) for watts in (0.0, 2.0, 10.0)]
    assert Converter.fit(points) == pytest.approx(curve)
    with pytest.raises(SpecError, match=r"needs three different loads, got 3: measure more"):
        Converter.fit([points[0], points[1], points[1]])
    for wrong in ((2.0, 2.0), (-1.0, 1.0), (3.0, 2.0)):
        with pytest.raises(SpecError, match="a converter draws more than it delivers"):
            Converter.fit([*points, wrong])
    with pytest.raises(SpecError, match="these points curve the wrong way"):
        Converter.fit([(1.0, 2.0), (2.0, 4.0), (3.0, 4.5)])
    assert Converter.fit([(watts, watts * 1.25 + 1e-12) for watts in (1.0, 2.0, 3.0)])[2] == 0.0


def test_three_equations_also_where_the_first_begins_with_nothing() -> None:
    assert _solve([[0.0, 2.0, 0.0, 4.0], [3.0, 0.0, 0.0, 9.0], [0.0, 0.0, 5.0, 5.0]]) == (3.0, 2.0, 1.0)
    assert _solve([[1.0, 0.0, 0.0, 1e-10], [0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 2.0]]) == (0.0, 1.0, 2.0)


# Plans


def test_shares_and_periods_at_their_ends() -> None:
    assert (duty_watts(6.0, 2.0, 0.0), duty_watts(6.0, 2.0, 1.0)) == (2.0, 6.0)
    for duty in (-1e-9, 1 + 1e-9):
        with pytest.raises(SpecError) as wrong:
            duty_watts(6.0, 2.0, duty)
        assert str(wrong.value) == f"a duty is a share in [0, 1], not {duty!r}: write 10% or 0.1"
    assert periodic_watts(0.0, 60.0, 0.5) == 0.5
    assert periodic_watts(30.0, 60.0, 0.5) == 1.0
    for joules, seconds in ((-1e-9, 60.0), (1.0, 0.0)):
        with pytest.raises(SpecError) as wrong:
            periodic_watts(joules, seconds, 0.5)
        assert str(wrong.value) == (
            f"a job takes 0 J or more every so many seconds, not {joules!r} J every {seconds!r} s"
        )


def test_a_plan_says_what_it_is_of() -> None:
    pi4, nano = find_board("pi4"), find_board("jetson-nano")
    assert planned(watts=3.0, idle_watts=1.0, duty=0.25) == (1.5, "3 W for 25 % of the time, else 1 W")
    assert planned(every_seconds=60.0, joules=6.0, idle_watts=0.5) == (0.6, "6 J every 60 s over 0.5 W idle")
    assert planned(nano) == (10.0, f"{nano.title}, 10 W")
    assert planned(nano, watts=2.0) == (2.0, "2 W")
    busy, idle = pi4.busy_watts, pi4.idle_watts
    assert busy is not None
    assert idle is not None
    half = planned(pi4, duty=0.5)
    assert half is not None
    assert half.watts == pytest.approx((busy + idle) / 2), "not the course's round current"
    with pytest.raises(SpecError) as wrong:
        planned(watts=3.0, duty=0.5)
    assert str(wrong.value) == "a duty cycle needs busy and idle watts, or a board with known ones"
    with pytest.raises(SpecError) as wrong:
        planned(every_seconds=60.0, idle_watts=0.5)
    assert str(wrong.value) == (
        "a periodic job needs its joules and the idle watts (as in --joules 2.1 --idle 0.5), or a board "
        "whose idle power is known"
    )
    coral = find_board("coral-mini")
    with pytest.raises(SpecError) as wrong:
        board_watts(coral)
    assert (
        str(wrong.value) == f"the power of the {coral.title} is not published: measure it and give its watts"
    )


@pytest.mark.parametrize("joules", [0.0, -1.0, math.nan])
def test_an_inference_costs_more_than_nothing(joules: float) -> None:
    with pytest.raises(SpecError) as wrong:
        inferences_a_charge(CELL, joules)
    assert str(wrong.value) == f"an inference costs more than 0 J, not {joules!r}"
    assert inferences_a_charge(CELL, 129_600.0 * 0.9) == pytest.approx(1.0)


# Voltages of a cell at rest


@pytest.mark.parametrize(
    ("volts", "share"),
    [
        (4.3, (1.0, 1.0, 1.0)), (4.2, (0.99, 1.0, 1.0)), (4.175, (0.965, 0.975, 0.985)),
        (3.61, (0.0492, 0.05, 0.05625)), (3.3, (0.0238, 0.0246, 0.0254)), (3.0, (0.0, 0.0, 0.00082)),
        (2.5, (0.0, 0.0, 0.0)),
    ],
)  # fmt: skip
def test_the_charge_of_a_cell_by_its_voltage(volts: float, share: tuple[float, float, float]) -> None:
    """The table has 4.20 V at 100 %, 4.15 V at 95 %, 3.61 V at 5 % and 3.00 V at 0."""
    found = ocv.state_of_charge(volts)
    assert found is not None
    assert (found.low, found.value, found.high) == pytest.approx(share, abs=1e-4)


@pytest.mark.parametrize("volts", [4.3001, 2.4999])
def test_no_such_cell_rests_there(volts: float) -> None:
    assert ocv.state_of_charge(volts) is None


@pytest.mark.parametrize(
    ("used", "sag"),
    [(0.0, 0.0), (0.05, 0.05), (0.025, 0.025), (0.95, 0.59), (1.0, 1.2), (1.5, 1.2), (-0.5, 0.0)],
)
def test_how_far_a_cell_has_sagged(used: float, sag: float) -> None:
    assert ocv.sagged("lco-4.20", used) == pytest.approx(sag)


def test_a_table_that_is_not_there() -> None:
    says = r"^no voltage table 'x': choose one of lco-4\.20, phone-4\.35, lihv-4\.35, lihv-4\.40$"
    with pytest.raises(SpecError, match=says):
        ocv.state_of_charge(3.7, "x")
    with pytest.raises(SpecError, match=says):
        ocv.sagged("x", 0.5)


def test_the_mean_voltage_of_a_cell() -> None:
    """Each 5 % from one row to the next: all rows but half of the first and the last."""
    millivolts = [round(volts * 1000) for volts, _ in ocv.TABLES["lco-4.20"]]
    mean = (sum(millivolts) - (millivolts[0] + millivolts[-1]) / 2) / 20 / 1000
    assert ocv.mean_volts() == pytest.approx(mean)
    assert mean == pytest.approx(3.8515)
