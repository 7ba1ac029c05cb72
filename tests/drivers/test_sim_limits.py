"""The simulated board at its limits: which options make sense, and the charge of a current that steps."""

import pytest

from energymeter.boards import find_board
from energymeter.drivers.sim import Sim, _Current
from energymeter.errors import SpecError

S = 1_000_000_000


@pytest.mark.parametrize(("volts", "noise"), [(0.0, 0.0), (0.01, 0.0), (26.0, 0.0), (5.0, 0.001)])
def test_options_that_can_be(volts: float, noise: float) -> None:
    rail = volts or find_board("pi4").rail_volts
    assert Sim("pi4", volts=volts, noise=noise)._current.volts(0) == rail


@pytest.mark.parametrize(("volts", "noise"), [(-0.01, 0.0), (26.01, 0.0), (5.0, -0.001)])
def test_options_that_cannot_be(volts: float, noise: float) -> None:
    with pytest.raises(SpecError) as caught:
        Sim("pi4", volts=volts, noise=noise)
    assert str(caught.value) == (
        f"sim:pi4: volts={volts:g} and noise={noise:g} cannot be: 0 to 26 V, 0 A or more"
    )


def test_the_charge_of_a_current_that_steps() -> None:
    """1 A at rest and 3 A when busy: 1 A for a second, 2 A for a second, then 3 A."""
    current = _Current(1.0, 3.0, 5.0)
    assert current.charge(S) == pytest.approx(1.0)
    current.follow(S, 0.5)
    current.follow(2 * S, 1.0)
    assert [current.charge(at * S // 2) for at in (1, 2, 3, 4, 6)] == pytest.approx([0.5, 1.0, 2.0, 3.0, 6.0])
    assert current.steady(2 * S, 3 * S)
    assert not current.steady(2 * S - 1, 3 * S)


def test_of_a_long_run_the_last_sixteen_steps_are_known() -> None:
    current = _Current(1.0, 3.0, 5.0)
    for second in range(1, 21):
        current.follow(second * S, second % 2)
    # 1 A at rest for the first second, then 3 and 1 A in turns: 2 A in the mean
    assert current.charge(20 * S) == pytest.approx(1.0 + 19 * 2.0 + 1.0)
    assert current.charge(5 * S) == pytest.approx(1.0 + 4 * 2.0)
    assert len(current._steps) == 16


@pytest.mark.parametrize(("volts", "ohms"), [(0.0, 0.1), (2.57, 0.1), (2.56, 0.01)])
def test_from_two_and_a_half_amps_on_the_shunt_is_the_smaller_one(volts: float, ohms: float) -> None:
    """A busy Pi 4 draws 6.4 W; 0.1 Ω show 3.2 A at most, and less is better for the spikes."""
    assert Sim("pi4", volts=volts)._meter.identity == f"ina219@1:0x40 with {ohms:g} ohm"
