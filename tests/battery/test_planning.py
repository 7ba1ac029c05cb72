"""Plans on paper: boards, duty cycles, periodic jobs, early exits."""

import pytest

from energymeter.battery.battery import Battery
from energymeter.battery.planning import (
    board_watts,
    duty_watts,
    inferences_a_charge,
    periodic_watts,
    planned,
)
from energymeter.boards import find_board
from energymeter.errors import SpecError


def test_a_boards_draw() -> None:
    assert board_watts(find_board("jetson-nano")) == 10.0
    assert board_watts(find_board("pi5")) == find_board("pi5").busy_watts
    with pytest.raises(SpecError, match="measure it"):
        board_watts(find_board("coral-mini"))


def test_mean_powers() -> None:
    assert duty_watts(6.0, 2.0, 0.25) == 3.0
    assert periodic_watts(2.1, 300, 0.5) == pytest.approx(0.507)
    for duty in (-0.1, 10):
        with pytest.raises(SpecError):
            duty_watts(6, 2, duty)
    for joules, seconds in ((2.1, 0), (-1, 60)):
        with pytest.raises(SpecError):
            periodic_watts(joules, seconds, 0.5)


def test_a_planned_load_needs_its_parts() -> None:
    pi4 = find_board("pi4")
    assert planned() is None
    assert planned(watts=3.0) == (3.0, "3 W")
    assert planned(pi4, watts=5.0, duty=0.5).watts == pytest.approx(5 / 2 + 3.06 / 2)  # type: ignore[union-attr]
    assert planned(pi4, every_seconds=60, joules=6.0, idle_watts=0.1).watts == 0.2  # type: ignore[union-attr]
    for parts in (
        {"duty": 0.5},
        {"watts": 3.0, "duty": 0.5},
        {"every_seconds": 60.0},
        {"every_seconds": 60.0, "joules": 1.0},
    ):
        with pytest.raises(SpecError):
            planned(**parts)


def test_a_students_phone_battery() -> None:
    """thomaswxu's team: 1400 mAh at 3.7 V is 5.18 Wh, 136 inferences of 137.6 J and 268 of 69.7 J."""
    battery = Battery(1400, volts=3.7, efficiency=1.0, usable=1.0)
    assert int(inferences_a_charge(battery, 137.6)) == 135  # 135.5; the report rounds up
    assert round(inferences_a_charge(battery, 69.7)) == 268


def test_an_inference_costs_something() -> None:
    with pytest.raises(SpecError):
        inferences_a_charge(Battery.phone(), 0.0)
