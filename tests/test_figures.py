"""Numbers as one reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.text import duration, significant, with_uncertainty


@pytest.mark.parametrize(
    ("number", "uncertainty", "text"),
    [
        (0.0, 0.0, "0.000 J"),
        (0.0, 0.002, "0.0 mJ ± 2.0"),
        (0.5, 33.0, "0 J ± 33"),
        (0.0, 0.0004, "0 µJ ± 400"),
        (1e-9, 1e-10, "1.00 nJ ± 0.10"),
        (-0.00021, 4.1e-6, "-210.0 µJ ± 4.1"),
        (123456789.0, 4e6, "123456789 J ± 4000000"),
        (12.3, 0.0996, "12.300 J ± 0.100"),
    ],
)
def test_number_to_the_place_of_its_error(number: float, uncertainty: float, text: str) -> None:
    assert with_uncertainty(number, uncertainty, "J") == text


@given(st.floats(1e-6, 1e15))
def test_three_figures_are_close(number: float) -> None:
    assert float(significant(number)) == pytest.approx(number, rel=5.1e-3)
    assert significant(-number) == "-" + significant(number)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (3e-9, "3 ns"), (42e-6, "42 µs"), (0.25, "250 ms"), (59.94, "59.9 s"), (7199.9, "2 h 0 min"),
     (86400, "24 h 0 min")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
