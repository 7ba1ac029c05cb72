"""Writes the dark variants of the pictures that pages show: ``.venv/bin/python docs/make_dark.py``.

NAME-dark.svg stands next to NAME.svg, and the site shows one of the two, as the reader's theme is. Light and
dark change places and every hue stays what it is: a legend is right in both. docs/capture.py makes both of
its own.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
IMAGE = re.compile(r"!\[[^\]]*\]\(([^)\s]+\.(?:svg|png))\)")
_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b|#[0-9a-fA-F]{3}\b|\b(?:white|black)\b(?=[\"';])")
_NAMED = {"white": "#ffffff", "black": "#000000"}
_BLACK, _WHITE = 0.13, 0.93
"""What white and black become: the background of the dark theme, and a text that does not glare."""


def dark_name(path: Path) -> Path:
    """Where the dark variant of a picture is."""
    return path.with_stem(f"{path.stem}-dark")


def pictures() -> Iterator[Path]:
    """Each picture that a page shows, once."""
    seen: set[Path] = set()
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]):
        for target in IMAGE.findall(_BLOCK.sub("", page.read_text(encoding="utf-8"))):
            path = (page.parent / target).resolve()
            if path not in seen:
                seen.add(path)
                yield path


def dark(colours: Any) -> Any:
    """Colours (…, 3) from 0 to 1 with their lightness turned round: linear, so that blends stay blends."""
    turned = colours + 1 - 2 * colours.mean(axis=-1, keepdims=True)
    return np.clip(_BLACK + (_WHITE - _BLACK) * turned, 0, 1)


def dark_svg(text: str) -> str:
    """A drawing with its colours turned round; what has none would be black, so the root states one."""

    def turned(match: re.Match[str]) -> str:
        written = _NAMED.get(match[0], match[0])[1:]
        digits = written if len(written) == 6 else "".join(2 * digit for digit in written)
        colour = np.array([int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)])
        return "#" + "".join(f"{round(255 * part):02x}" for part in dark(colour))

    drawn = _COLOUR.sub(turned, text)
    root = re.search(r"<svg\b[^>]*>", drawn)
    assert root is not None
    return drawn if "fill=" in root[0] else drawn.replace("<svg", '<svg fill="#ededed"', 1)


def dark_png(content: bytes) -> bytes:
    """The same of a picture of pixels."""
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")) / 255
    file = io.BytesIO()
    Image.fromarray(np.rint(255 * dark(pixels)).astype(np.uint8)).quantize(256).save(
        file, "png", optimize=True
    )
    return file.getvalue()


def variant(path: Path) -> bytes:
    """The dark variant of a picture."""
    content = path.read_bytes()
    return dark_png(content) if path.suffix == ".png" else dark_svg(content.decode()).encode()


def made_here() -> Iterator[Path]:
    """The pictures whose dark variant this program makes."""
    return (path for path in pictures() if path != ROOT / "docs" / "demo.svg")


if __name__ == "__main__":
    for picture in made_here():
        dark_name(picture).write_bytes(variant(picture))
