"""Charts as SVG, drawn here, because a plotting package is much to install on a board for two pictures.

matplotlib draws PNG.
"""

import html
import importlib
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from energymeter.calibration.fitting import Fit
from energymeter.errors import CalibrationError, ExtraMissing
from energymeter.paths import replace_file

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 640, 360, 80, 50, 40
_LABELS = (
    "Reference minus calibrated reading",
    "reference, as a share of its largest",
    "residual, % of the largest",
)
_COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#7b5ea7", "#806a00")


class Series(NamedTuple):
    """One named series of marks, optionally joined by a line."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    joined: bool = False


def chart(title: str, x_label: str, y_label: str, series: Sequence[Series], *, log_x: bool = False) -> str:
    """An SVG picture of points, both axes labelled, the line y = 0 drawn."""
    across = [math.log10(x) if log_x else x for each in series for x in each.x]
    x0, x1 = _span(across)
    y0, y1 = _span([0.0, *(y for each in series for y in each.y)])

    def at(x: float, y: float) -> tuple[float, float]:
        x = math.log10(x) if log_x else x
        return (
            _LEFT + (x - x0) / (x1 - x0) * (_WIDTH - _LEFT - 20),
            _HEIGHT - _BOTTOM - (y - y0) / (y1 - y0) * (_HEIGHT - _BOTTOM - _TOP),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_WIDTH / 2, 20, title, "middle"),
        _text(_WIDTH / 2, _HEIGHT - 10, x_label, "middle"),
        f'<g transform="rotate(-90)">{_text(-_HEIGHT / 2, 16, y_label, "middle")}</g>',
    ]
    left, right = 10**x0 if log_x else x0, 10**x1 if log_x else x1
    for y in _ticks(y0, y1):
        (ax, ay), (bx, _) = at(left, y), at(right, y)
        shade = "#444" if y == 0 else "#ddd"
        parts.append(f'<line x1="{ax:.1f}" x2="{bx:.1f}" y1="{ay:.1f}" y2="{ay:.1f}" stroke="{shade}"/>')
        parts.append(_text(ax - 6, ay + 4, f"{y:.3g}", "end"))
    for x in _ticks(x0, x1) if not log_x else range(math.ceil(x0), math.floor(x1) + 1):
        shown = 10.0**x if log_x else x
        parts.append(_text(at(shown, y0)[0], _HEIGHT - _BOTTOM + 18, f"{shown:.3g}", "middle"))
    for number, each in enumerate(series):
        colour = _COLOURS[number % len(_COLOURS)]
        marks = [at(x, y) for x, y in zip(each.x, each.y, strict=True)]
        if each.joined:
            joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in marks)
            parts.append(f'<polyline points="{joined}" fill="none" stroke="{colour}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in marks]
        parts.append(_text(_WIDTH - 24, _TOP + 14 * number, each.name, "end", colour))
    return "\n".join([*parts, "</svg>\n"])


def draw(fits: Mapping[tuple[str, str], Fit], path: str) -> None:
    """The residuals as a picture: PNG if the file name ends with .png, else SVG.

    Raises:
        ExtraMissing: PNG without matplotlib.
        CalibrationError: it cannot be written.
    """
    try:
        if path.lower().endswith(".png"):
            _png(path, residuals(fits))
        else:
            replace_file(path, chart(*_LABELS, residuals(fits)))
    except OSError as failure:
        raise CalibrationError(
            f"{path} cannot be written: {failure.strerror}; name another file"
        ) from failure


def residuals(fits: Mapping[tuple[str, str], Fit]) -> list[Series]:
    """The residuals of the lines, in per cent of each channel's largest reference."""
    series = []
    for (channel, name), found in fits.items():
        most = max(abs(point.reference) for point in found.points) or 1.0
        series.append(
            Series(
                f"{channel} {name}".strip(),
                [point.reference / most for point in found.points],
                [100 * rest / most for rest in found.residuals],
            )
        )
    return series


def _png(path: str, series: Sequence[Series]) -> None:
    try:
        figure = importlib.import_module("matplotlib.figure").Figure(figsize=(6.4, 3.6), dpi=150)
    except ImportError:
        raise ExtraMissing("matplotlib", "plot", "PNG (SVG needs no package)") from None
    axes = figure.add_subplot()
    title, x_label, y_label = _LABELS
    axes.set(title=title, xlabel=x_label, ylabel=y_label)
    axes.axhline(0.0, color="#444", linewidth=0.8)
    for number, each in enumerate(series):
        axes.plot(each.x, each.y, "o", color=_COLOURS[number % len(_COLOURS)], label=each.name)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, format="png")


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers in between.

    >>> _ticks(-0.1, 1.1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    rough = (high - low) / 5
    size = 10 ** math.floor(math.log10(rough))
    step = next((size * unit for unit in (1, 2, 5) if size * unit >= 0.8 * rough), size * 10)
    first = math.ceil(low / step)
    return [round(i * step, 12) for i in range(first, math.floor(high / step) + 1)]


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#222") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{html.escape(text)}</text>'
