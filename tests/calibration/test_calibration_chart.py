"""Charts, sign by sign: where the axes, the marks and the names are drawn."""

from pathlib import Path

import pytest

from energymeter.calibration.fitting import Fit
from energymeter.calibration.plot import Series, _span, _ticks, chart, draw
from energymeter.calibration.points import Point
from energymeter.energy.correction import Line

FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 360" font-family="sans-serif" font-size="12">
<rect width="640" height="360" fill="white"/>
<text x="320.0" y="20.0" text-anchor="middle" fill="#222">{title}</text>
<text x="320.0" y="350.0" text-anchor="middle" fill="#222">{x}</text>
<g transform="rotate(-90)"><text x="-180.0" y="16.0" text-anchor="middle" fill="#222">{y}</text></g>
"""
MARK = '<circle cx="{}" cy="{}" r="3.5" fill="{}"/>\n'
FIRST, SECOND = "#1b6ca8", "#c8553d"


def row(at: str, below: str, text: str, shade: str = "#ddd") -> str:
    """A line across the picture, and its number at the left."""
    return (
        f'<line x1="80.0" x2="620.0" y1="{at}" y2="{at}" stroke="{shade}"/>\n'
        f'<text x="74.0" y="{below}" text-anchor="end" fill="#222">{text}</text>\n'
    )


def below(at: str, text: str) -> str:
    """A number below the picture."""
    return f'<text x="{at}" y="328.0" text-anchor="middle" fill="#222">{text}</text>\n'


def name(at: str, text: str, colour: str) -> str:
    return f'<text x="616.0" y="{at}" text-anchor="end" fill="{colour}">{text}</text>\n'


def test_a_whole_chart() -> None:
    """x: 0 to 1 over 540 units from 80 on, y: -1 to 1 over 270 units up from 310; 5 % of room at each end."""
    drawn = chart(
        "A & B", "x", "y", [Series("s", [0.0, 1.0], [-1.0, 1.0], joined=True), Series("<t>", [0.5], [0.5])]
    )
    across = [f"{80 + 540 * (x + 0.05) / 1.1:.1f}" for x in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)]
    assert across == ["104.5", "202.7", "300.9", "399.1", "497.3", "595.5"]
    assert [f"{310 - 270 * (y + 1.1) / 2.2:.1f}" for y in (-1.0, -0.5, 0.0, 0.5, 1.0)] == [
        "297.7", "236.4", "175.0", "113.6", "52.3",
    ]  # fmt: skip
    assert drawn == (
        FRAME.format(title="A &amp; B", x="x", y="y")
        + row("297.7", "301.7", "-1")
        + row("236.4", "240.4", "-0.5")
        + row("175.0", "179.0", "0", "#444")
        + row("113.6", "117.6", "0.5")
        + row("52.3", "56.3", "1")
        + "".join(map(below, across, ("0", "0.2", "0.4", "0.6", "0.8", "1")))
        + f'<polyline points="104.5,297.7 595.5,52.3" fill="none" stroke="{FIRST}"/>\n'
        + MARK.format("104.5", "297.7", FIRST)
        + MARK.format("595.5", "52.3", FIRST)
        + name("40.0", "s", FIRST)
        + MARK.format("350.0", "113.6", SECOND)
        + name("54.0", "&lt;t&gt;", SECOND)
        + "</svg>\n"
    )


def test_a_whole_chart_over_decades() -> None:
    drawn = chart("L", "x", "y", [Series("s", [1.0, 100.0], [2.0, 4.0])], log_x=True)
    assert drawn == (
        FRAME.format(title="L", x="x", y="y")
        + row("297.7", "301.7", "0", "#444")
        + row("236.4", "240.4", "1")
        + row("175.0", "179.0", "2")
        + row("113.6", "117.6", "3")
        + row("52.3", "56.3", "4")
        + below("104.5", "1")
        + below("350.0", "10")
        + below("595.5", "100")
        + MARK.format("104.5", "175.0", FIRST)
        + MARK.format("595.5", "52.3", FIRST)
        + name("40.0", "s", FIRST)
        + "</svg>\n"
    )


def test_more_series_than_colours_begin_again() -> None:
    drawn = chart("T", "x", "y", [Series(f"n{n}", [0.0, 1.0], [float(n), 0.0]) for n in range(6)])
    for number, colour in enumerate(("#1b6ca8", "#c8553d", "#3a7d44", "#7b5ea7", "#806a00", "#1b6ca8")):
        assert name(f"{40 + 14 * number}.0", f"n{number}", colour) in drawn


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 2.5, [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]),
        (0, 4, [0.0, 1.0, 2.0, 3.0, 4.0]),
        (0, 6.25, [0, 1, 2, 3, 4, 5, 6]),
        (0, 6.3, [0, 2, 4, 6]),
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 12.5, [0, 2, 4, 6, 8, 10, 12]),
        (0, 12.6, [0, 5, 10]),
        (0, 31.25, [0, 5, 10, 15, 20, 25, 30]),
        (0, 31.3, [0, 10, 20, 30]),
        (-3, 3, [-3, -2, -1, 0, 1, 2, 3]),
        (0.1, 0.2, [0.1, 0.12, 0.14, 0.16, 0.18, 0.2]),
        (-0.99, 0.99, [-0.5, 0.0, 0.5]),
    ],
)
def test_round_numbers_between_two(low: float, high: float, ticks: list[float]) -> None:
    assert _ticks(low, high) == ticks


def test_a_single_value_has_room_too() -> None:
    assert _span([2.0]) == (1.5, 2.5)
    assert _span([3.0, 1.0]) == pytest.approx((0.9, 3.1))


def test_residuals_are_drawn_with_their_units(tmp_path: Path) -> None:
    line = Line(1.0, 0.0, ((0.0, 0.0), (0.0, 0.0)), 0.0, 1.0)
    fits = {
        ("amps", ""): Fit(line, (Point("amps", 0.0, 0.0), Point("amps", 2.0, 2.0)), (0.01, -0.02), (), ())
    }
    draw(fits, str(tmp_path / "r.svg"))
    assert (tmp_path / "r.svg").read_text() == chart(
        "Reference minus calibrated reading",
        "reference, as a share of its largest",
        "residual, % of the largest",
        [Series("amps", [0.0, 1.0], [0.5, -1.0])],
    )
