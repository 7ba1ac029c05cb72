"""Pictures of the site: a dark variant of each, none that is stale, and nothing from another host."""

import io
import re
import runpy
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
Image = pytest.importorskip("PIL.Image")

ROOT = Path(__file__).resolve().parents[2]
MADE = runpy.run_path(str(ROOT / "docs" / "make_dark.py"))
PICTURES = sorted(MADE["pictures"]())
REMEDY = "run docs/make_dark.py"


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_pages_show_pictures() -> None:
    assert {"docs/demo.svg", "docs/plot.png", "benchmarks/growth/rate.svg"} <= {
        name(path) for path in PICTURES
    }


def test_light_and_dark_change_places_and_hues_stay() -> None:
    colours = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.45, 0.7], [0.9, 0.4, 0.0]])
    white, black, blue, orange = MADE["dark"](colours)
    assert white == pytest.approx(3 * [0.13])
    assert black == pytest.approx(3 * [0.93])
    assert blue.argmax() == 2 > blue.argmin() == 0
    assert orange.argmax() == 0 < orange.argmin() == 2
    half = MADE["dark"]((colours[0] + colours[2]) / 2)  # a smoothed edge of a blue line
    assert half == pytest.approx((white + blue) / 2, abs=0.02)


def test_what_has_no_colour_in_a_drawing_is_light_in_the_dark() -> None:
    assert MADE["dark_svg"]('<svg viewBox="0 0 1 1"><rect fill="white"/></svg>') == (
        '<svg fill="#ededed" viewBox="0 0 1 1"><rect fill="#212121"/></svg>'
    )


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(MADE["made_here"]()), ids=name)
def test_the_dark_variant_is_that_of_the_picture(path: Path) -> None:
    kept, made = MADE["dark_name"](path).read_bytes(), MADE["variant"](path)
    if path.suffix == ".svg":
        assert kept == made, REMEDY
    else:  # versions of Pillow choose other palettes
        shown = [
            np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), float) for content in (kept, made)
        ]
        assert shown[0].shape == shown[1].shape, REMEDY
        assert abs(shown[0] - shown[1]).mean() < 2, REMEDY


def test_both_captures_of_the_terminal_say_the_same() -> None:
    texts = [
        re.findall(r">([^<]+)</text>", (ROOT / "docs" / file).read_text(encoding="utf-8"))
        for file in ("demo.svg", "demo-dark.svg")
    ]
    assert texts[0]
    assert texts[0] == texts[1], "run docs/capture.py"


@pytest.mark.parametrize("path", [path for path in PICTURES if path.suffix == ".svg"], ids=name)
def test_a_drawing_loads_nothing_from_another_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"""(?:url\(|href=|src=|@import)\s*["']?https?:""", text) == []
