"""Units and numbers from text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.errors import SpecError
from energymeter.units import UNITS, number, quantity_of, scale


@pytest.mark.parametrize(
    ("quantity", "unit", "expected"),
    [
        ("watts", "mW", 1e-3),
        ("watts", "µW", 1e-6),
        ("watts", "μW", 1e-6),
        ("watts", "uW", 1e-6),
        ("watts", "kW", 1e3),
        ("volts", "mV", 1e-3),
        ("amps", " mA ", 1e-3),
        ("joules", "Wh", 3600.0),
        ("joules", "kWh", 3.6e6),
        ("coulombs", "mAh", 3.6),
        ("seconds", "ns", 1e-9),
    ],
)
def test_scales(quantity: str, unit: str, expected: float) -> None:
    assert scale(quantity, unit) == expected


@pytest.mark.parametrize(
    ("quantity", "unit"), [("watts", "MW"), ("watts", "mw"), ("watts", ""), ("watts", "mV"), ("amps", "J")]
)
def test_a_unit_that_does_not_fit_is_refused(quantity: str, unit: str) -> None:
    with pytest.raises(SpecError, match=quantity):
        scale(quantity, unit)


def test_a_unit_belongs_to_one_quantity() -> None:
    for quantity, units in UNITS.items():
        assert {quantity_of(unit) for unit in units} == {quantity}
    with pytest.raises(SpecError):
        quantity_of("hp")


@pytest.mark.parametrize(
    "value", ["", "x", "1_000", "nan", "inf", "-Infinity", "4,5", "1e999", None, True, [], {}, b"1"]
)
def test_no_numbers(value: object) -> None:
    assert number(value) is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_being_written(value: float) -> None:
    assert number(repr(value)) == value == number(value)


@given(st.integers(min_value=10**400, max_value=10**401) | st.text() | st.binary())
def test_anything_else_is_a_finite_number_or_none(value: object) -> None:
    found = number(value)
    assert found is None or found - found == 0
