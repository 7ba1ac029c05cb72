"""Numbers, durations, estimates, tables and foreign text, as they are printed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.text import Estimate, csv_text, duration, html_table, significant, with_uncertainty


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
def test_three_significant_figures_are_close(number: float) -> None:
    assert float(significant(number)) == pytest.approx(number, rel=5.1e-3)
    assert significant(-number) == "-" + significant(number)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (3e-9, "3 ns"), (42e-6, "42 µs"), (0.25, "250 ms"), (59.94, "59.9 s"), (7199.9, "2 h"),
     (86400, "24 h"), (float("inf"), "∞")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_forecast_is_rough() -> None:
    assert duration(3600 * 5.3333, rough=True) == "5 h 20 min"
    assert duration(3600 * 26.67, rough=True) == "27 h"
    assert duration(3600 * 60.0, rough=True) == "2 d 12 h"
    assert duration(3600 * 0.0, rough=True) == "less than a minute"


def spoken_hours(text: str) -> float:
    words = text.split()
    unit = {"d": 24.0, "h": 1.0, "min": 1 / 60}
    return sum(float(n) * unit[u] for n, u in zip(words[0::2], words[1::2], strict=True))


@given(st.floats(0.5, 5000))
def test_rounding_costs_at_most_what_the_table_promises(hours: float) -> None:
    assert spoken_hours(duration(3600 * hours, rough=True)) == pytest.approx(hours, rel=0.0421)


def test_an_estimate_shows_its_interval() -> None:
    assert str(Estimate(5.3333, 4.0, 6.7, "h")) == "5 h 20 min (4 h to 6 h 40 min)"
    assert Estimate(2.0, 1.0, 3.0, "Wh").scaled(3600, "J") == Estimate(7200.0, 3600.0, 10800.0, "J")
    assert float(Estimate(2.0, 1.0, 3.0)) == 2.0


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", " =1", "|x", "%0", "＝1"]
)
def test_a_formula_is_text_to_a_spreadsheet(text: str) -> None:
    assert csv_text(text).startswith("'")


@pytest.mark.parametrize("text", ["", "lab", "a=b", "-1.5", "+3e-7", "µ", "\\t=1"])
def test_text_and_numbers_stay_as_they_are(text: str) -> None:
    assert csv_text(text) == text


def test_cells_of_a_notebook_are_text() -> None:
    table = html_table([["<script>", 3]], head=["a", "b & c"])
    assert table == (
        "<table><tr><th>a</th><th>b &amp; c</th></tr><tr><td>&lt;script&gt;</td><td>3</td></tr></table>"
    )
