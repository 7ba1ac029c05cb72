"""The ± of an energy: what each promised limit contributes, and how they add."""

import math

import pytest

from energymeter.curve import Draw
from energymeter.reading import Band, Facts
from energymeter.uncertainty import Contribution, contributions, expanded

DRAW = Draw(10.0, 20.0, 4.0, 50.0, 10.0, 0.0, 2.0)  # 10 s, 20 J, 4 C, 5 V
THIRD = 1 / math.sqrt(3)
TWELFTH = 1 / math.sqrt(12)


def shares(facts: Facts, draw: Draw = DRAW) -> dict[str, float]:
    return {share.cause: share.joules for share in contributions(facts, draw, 0.0)}


def test_volts_and_amps() -> None:
    """GUM 4.3.7: ±a at most is a/√3. An offset of the current weighs as many joules as there are V·s."""
    found = shares(Facts(volts=Band(0.01, 0.02, 0.004), amps=Band(0.02, 0.001)))
    assert found == pytest.approx(
        {
            "voltage gain": 20 * 0.01 * THIRD,
            "voltage offset": 4 * 0.02 * THIRD,
            "voltage resolution": 4 * 0.004 * TWELFTH,
            "current gain": 20 * 0.02 * THIRD,
            "current offset": 50 * 0.001 * THIRD,
        }
    )


def test_power_and_time_base() -> None:
    found = shares(Facts(watts=Band(0.01, 0.1), clock=1e-3))
    assert found == pytest.approx(
        {"time base": 20e-3 * THIRD, "power gain": 0.2 * THIRD, "power offset": 10 * 0.1 * THIRD}
    )


def test_counter_is_a_difference_of_two_steps() -> None:
    found = shares(Facts(semantics="counter", joules=Band(resolution=0.06)))
    assert found == pytest.approx({"counter resolution": 0.06 * TWELFTH * math.sqrt(2)})


def test_unknown_charge_and_voltage_add_nothing() -> None:
    nothing = DRAW._replace(coulombs=math.nan, volt_seconds=math.nan)
    assert shares(Facts(volts=Band(0, 1), amps=Band(0, 1)), nothing) == {}


def test_edges_of_a_window() -> None:
    """2 W, samples 0.1 s apart: up to one interval unseen at both ends; half where lines are straight."""
    full = 0.1 * 2 * THIRD * math.sqrt(2)
    (level,) = contributions(Facts(semantics="mean"), DRAW, 0.1)
    (straight,) = contributions(Facts(), DRAW, 0.1)
    assert level.cause == straight.cause == "window edges"
    assert level.joules == pytest.approx(full)
    assert straight.joules == pytest.approx(full / 2)
    (short,) = contributions(Facts(semantics="mean"), DRAW, 1e9)
    assert short.joules == pytest.approx(20 * THIRD * math.sqrt(2))  # never more than all of it


def test_causes_add_in_squares_to_two_sigma() -> None:
    assert expanded([Contribution("a", 3.0), Contribution("b", 4.0)]) == 10.0
    assert expanded([]) == 0.0


def test_relative_error_does_not_shrink_with_time() -> None:
    facts = Facts(watts=Band(0.01, 0.01, 0.01))
    tenfold = DRAW._replace(seconds=100.0, joules=200.0, covered_seconds=100.0)
    assert expanded(contributions(facts, tenfold, 0.0)) == pytest.approx(
        10 * expanded(contributions(facts, DRAW, 0.0))
    )


def test_of_a_counter_s_tick_the_whole_may_have_flowed_within_a_shorter_window() -> None:
    edge = THIRD * math.sqrt(2)
    for semantics, seconds in (("instant", 5.0), ("mean", 10.0), ("counter", 60.0)):
        facts = Facts(semantics=semantics)  # type: ignore[arg-type]
        (share,) = contributions(facts, DRAW, 60.0)
        assert share == Contribution("window edges", pytest.approx(2.0 * seconds * edge))
