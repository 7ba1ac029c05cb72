"""The converter's curve: fitted through three points, inverted, and refused where it cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.battery.converter import Converter
from energymeter.errors import SpecError

CURVES = st.builds(Converter, st.floats(0, 0.5), st.floats(1.0, 1.4), st.floats(0, 0.05))


@given(CURVES, st.floats(0.01, 50))
def test_the_inverse_is_the_inverse(curve: Converter, watts: float) -> None:
    assert curve.rail_watts(curve.cell_watts(watts)) == pytest.approx(watts, rel=1e-6)


@given(CURVES, st.floats(0.01, 50))
def test_nothing_comes_from_nothing(curve: Converter, watts: float) -> None:
    assert 0 < curve.efficiency(watts) <= 1


@given(st.floats(0.01, 0.5), st.floats(1.01, 1.4), st.floats(0.001, 0.05))
def test_three_points_are_met_exactly(quiescent: float, linear: float, quadratic: float) -> None:
    truth = Converter(quiescent, linear, quadratic)
    fitted = Converter.fit([(p, truth.cell_watts(p)) for p in (0.5, 3.0, 10.0)])
    assert fitted == pytest.approx(truth, rel=1e-6)


def test_more_points_are_averaged() -> None:
    truth = Converter(0.05, 1.08, 0.01)
    noisy = [
        (p, truth.cell_watts(p) * (1 + e))
        for p, e in zip((0.5, 1, 2, 4, 6, 8), (1e-3, -1e-3) * 3, strict=True)
    ]
    assert Converter.fit(noisy).efficiency(3.0) == pytest.approx(truth.efficiency(3.0), rel=2e-3)


@pytest.mark.parametrize(
    "points",
    [
        [(1.0, 1.1), (2.0, 2.2)],
        [(1.0, 1.1), (1.0, 1.2), (1.0, 1.3)],
        [(1.0, 0.9), (2.0, 2.2), (3.0, 3.4)],
        [(1.0, 2.0), (2.0, 2.9), (3.0, 3.1)],
    ],
    ids=["too few", "one load", "gives more than it takes", "bends the wrong way"],
)
def test_impossible_points_are_refused(points: list[tuple[float, float]]) -> None:
    with pytest.raises(SpecError):
        Converter.fit(points)


@pytest.mark.parametrize("efficiency", [0.0, 1.01, 90.0, float("nan")])
def test_an_efficiency_is_a_share(efficiency: float) -> None:
    with pytest.raises(SpecError, match=r"0\.9 for 90 %"):
        Converter.constant(efficiency)


def test_an_idle_converter_drinks() -> None:
    assert Converter(0.1, 1.1, 0.0).rail_watts(0.05) is None
    assert Converter(0.1, 1.1, 0.0).efficiency(0.0) == 0.0
