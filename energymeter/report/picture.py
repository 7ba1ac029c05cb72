"""A finished picture as a file, with a title and a text for those who cannot see it."""

import html
import importlib
import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from energymeter.errors import ExtraMissing, LogError, SpecError
from energymeter.paths import replace_file
from energymeter.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW, BLACK = "#56B4E9", "#CC79A7", "#F0E442", "#000000"
COLOURS = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY, BLACK)
"""Okabe and Ito, "Color Universal Design" (2008): seen apart with every kind of colour blindness."""
DASHES = (
    "solid",
    (0, (5, 2)),
    (0, (1, 1.2)),
    (0, (6, 2, 1, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (8, 3)),
    (0, (2, 2)),
)
"""As many ways to draw a line, for black and white."""
GREY = "#6B6B6B"
WIDTH_INCHES = 7.48
"""190 mm: the width of a page of A4 within its margins."""
_DPI = 200
FORMATS = (".png", ".svg", ".pdf")
_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that a picture is the same everywhere
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "lines.solid_joinstyle": "round",
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "energymeter",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "path.simplify": False,  # it was thinned before, without losing a peak
    "axes.formatter.use_mathtext": False,
    "text.parse_math": False,  # a $ in the name of a file is no formula
}


def styled() -> Any:
    """A context in which everything is drawn alike.

    Raises:
        ExtraMissing: without matplotlib.
    """
    try:
        library: Any = importlib.import_module("matplotlib")
    except ImportError:
        raise ExtraMissing("matplotlib", "plot", "a picture") from None
    defaults = {**library.rcParamsDefault, "backend": library.rcParams["backend"]}
    return library.rc_context({**defaults, **_STYLE})


def new_figure(height_inches: float, width_inches: float = WIDTH_INCHES) -> "Figure":
    """An empty figure, as wide as a page; nothing of the program's own figures is changed."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_inches, height_inches), dpi=_DPI, facecolor="white")


class Picture(NamedTuple):
    """A matplotlib figure, and what it shows in words."""

    figure: "Figure"
    title: str
    alt: str
    """The text in place of the picture."""

    def to_bytes(self, kind: str) -> bytes:
        """The picture as a file: ``.png``, ``.svg`` or ``.pdf``, the same for the same content."""
        out = io.BytesIO()
        metadata: dict[str, Any] = {"Title": self.title}
        if kind == ".svg":
            metadata["Date"] = None
        elif kind == ".png":
            metadata.update(Description=self.alt, Software="energymeter")
        else:
            metadata.update(Subject=self.alt, CreationDate=None, Creator="energymeter", Producer=None)
        with styled():
            self.figure.savefig(out, format=kind[1:], metadata=metadata, dpi=_DPI)
        return self._described(out.getvalue()) if kind == ".svg" else out.getvalue()

    def _described(self, svg: bytes) -> bytes:
        """The SVG with its description where screen readers look for it."""
        text = svg.decode()
        title = f"<title>{html.escape(self.title, quote=False)}</title>"
        before, mark, after = text.partition("<svg ")
        start = after.index(">") + 1
        head, body = after[:start], after[start:]
        rest = body.partition("</title>")[2] if "<title>" in body[:400] else body
        described = f"\n {title}\n <desc>{html.escape(self.alt, quote=False)}</desc>"
        return f'{before}{mark}role="img" {head}{described}{rest}'.encode()

    def save(self, path: "str | os.PathLike[str]", *, force: bool = False) -> None:
        """Write the picture; a file is whole or not there.

        Raises:
            SpecError: the name does not end with .png, .svg or .pdf.
            LogError: it exists, or cannot be written.
        """
        path = os.fspath(path)
        kind = os.path.splitext(path)[1].lower()
        if kind not in FORMATS:
            raise SpecError(f"{path} is no picture; give a name that ends with .png, .svg or .pdf")
        write(path, self.to_bytes(kind), force=force)

    def _repr_png_(self) -> bytes:
        return self.to_bytes(".png")


def write(path: str, content: "str | bytes", *, force: bool) -> None:
    """Write a file that is whole or not there; a link in its place is replaced, and only with ``force``.

    Raises:
        LogError: it exists, or cannot be written.
    """
    check_free(path, force=force)
    try:
        replace_file(path, content)
    except OSError as failure:
        raise LogError(f"{path} cannot be written ({failure.strerror}); name another file") from failure


def check_free(path: str, *, force: bool) -> None:
    """Raises `LogError` where something is in the place of a file already."""
    if os.path.lexists(path) and not force:
        raise LogError(f"{path} exists; name another file, or use --force")


def shown(text: str, most: int = 80) -> str:
    """Foreign text for a picture: printable, and no longer than its place."""
    text = printable(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def captioned(
    figure: Any, title: str, lines: Sequence[str], foot: Sequence[str], left_inches: float = 0.25
) -> None:
    """Write a title, lines below it, and notes at the foot, into a figure that has its final size."""
    height, left = figure.get_figheight(), left_inches / figure.get_figwidth()
    figure.text(left, 1 - 0.19 / height, title, fontsize=10.5, weight="bold", va="center")
    for number, line in enumerate(lines):
        y = 1 - (0.39 + 0.155 * number) / height
        figure.text(left, y, line, fontsize=7.5, color="#333333", va="center")
    for number, line in enumerate(reversed(foot)):
        figure.text(left, (0.05 + 0.13 * number) / height, line, fontsize=6.5, color=GREY, va="bottom")


def si_scale(most: float) -> tuple[float, str]:
    """The factor to multiply by, and the SI prefix, for values up to this.

    >>> si_scale(4.2), si_scale(0.0031), si_scale(5200.0), si_scale(0.0)
    ((1.0, ''), (1000.0, 'm'), (0.001, 'k'), (1.0, ''))
    """
    if not most > 0:
        return 1.0, ""
    for size, prefix in ((1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ")):
        if most >= size:
            return 1 / size, prefix
    return 1e9, "n"


def time_scale(seconds: float) -> tuple[float, str]:
    """The factor and the unit for the time axis.

    >>> time_scale(0.05), time_scale(90), time_scale(1800), time_scale(86400)
    ((1000.0, 'ms'), (1.0, 's'), (0.016666666666666666, 'min'), (0.0002777777777777778, 'h'))
    """
    if seconds < 0.5:
        return 1e3, "ms"
    if seconds <= 300:
        return 1.0, "s"
    return (1 / 60, "min") if seconds <= 3 * 3600 else (1 / 3600, "h")


def watermark(axes: Any) -> None:
    """What nobody may overlook, across the data and as large as it fits."""
    figure = axes.get_figure()
    place = axes.get_position()
    width, height = place.width * figure.get_figwidth(), place.height * figure.get_figheight()
    axes.text(
        0.5,
        0.5,
        "SIMULATED",
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=min(44.0, 10.0 * width, 30.0 * height),
        weight="bold",
        color=GREY,
        alpha=0.22,
        rotation=14 if height > 1.5 else 0,
        zorder=50,
        clip_on=True,
    )
