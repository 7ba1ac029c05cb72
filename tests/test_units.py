"""Units to SI, and texts that are no numbers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.errors import SpecError
from energymeter.units import UNITS, number, quantity_of, scale


@pytest.mark.parametrize("quantity", UNITS)
def test_every_unit_names_its_quantity(quantity: str) -> None:
    for unit, factor in UNITS[quantity].items():
        assert quantity_of(unit) == quantity
        assert scale(quantity, f" {unit} ") == factor > 0


@pytest.mark.parametrize("unit", ["µW", "μW", "uW"])
def test_micro_has_three_spellings(unit: str) -> None:
    assert scale("watts", unit) == 1e-6


@pytest.mark.parametrize("unit", ["MW", "w", "mA", "", "watt"])
def test_a_wrong_unit_is_refused_with_the_right_ones(unit: str) -> None:
    with pytest.raises(SpecError, match="use one of W, mW, uW"):
        scale("watts", unit)


def test_unknown_unit_has_no_quantity() -> None:
    with pytest.raises(SpecError, match="'VA' is no unit"):
        quantity_of("VA")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_one(value: float) -> None:
    assert number(value) == number(repr(value)) == number(f" {value!r}\n") == value


@given(st.none() | st.booleans() | st.text() | st.integers() | st.floats() | st.lists(st.integers()))
def test_anything_else_is_finite_or_nothing(value: object) -> None:
    converted = number(value)
    assert converted is None or math.isfinite(converted)


@pytest.mark.parametrize("text", ["", "nan", "-inf", "1_000", "4,5", "5 W", "0x10", "٣_٤"])
def test_texts_that_are_no_number(text: str) -> None:
    assert number(text) is None


BASES = {
    "W": 1.0,
    "V": 1.0,
    "A": 1.0,
    "J": 1.0,
    "C": 1.0,
    "s": 1.0,
    "Wh": 3600.0,
    "Ah": 3600.0,
    "min": 60.0,
    "h": 3600.0,
}
PREFIXES = {"": 1.0, "k": 1e3, "m": 1e-3, "u": 1e-6, "n": 1e-9}


@pytest.mark.parametrize("unit", [unit for units in UNITS.values() for unit in units])
def test_a_unit_is_its_prefix_times_its_base(unit: str) -> None:
    base = max((base for base in BASES if unit.endswith(base)), key=len)
    (size,) = (units[unit] for units in UNITS.values() if unit in units)
    assert size == pytest.approx(PREFIXES[unit.removesuffix(base)] * BASES[base], rel=1e-12)
