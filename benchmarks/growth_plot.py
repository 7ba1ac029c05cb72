"""A small SVG with logarithmic axes: no library for a few lines."""

import math
from collections.abc import Callable, Iterator, Sequence

_WIDE, _HIGH, _LEFT, _BELOW, _MARGIN = 360, 220, 58, 40, 14
Points = Sequence[tuple[float, float]]
Place = Callable[[float, float], tuple[float, float]]


def plot(points: Points, across: str, up: str) -> str:
    """An SVG of the points, a grid line a decade; dashed: linear growth that ends in the last point.

    Args:
        points: (x, y), all above 0, x ascending.
        across, up: what the axes say.
    """
    (left, right), (bottom, top) = (_decades(column) for column in zip(*points, strict=True))

    def place(x: float, y: float) -> tuple[float, float]:
        share_x = (math.log10(x) - left) / (right - left)
        share_y = (math.log10(y) - bottom) / (top - bottom)
        wide, high = _WIDE - _LEFT - _MARGIN, _HIGH - _BELOW - _MARGIN
        return round(_LEFT + share_x * wide, 1), round(_MARGIN + (1 - share_y) * high, 1)

    middle = f'x="{(_LEFT + _WIDE) / 2:g}" y="{_HIGH - 6}" text-anchor="middle"'
    turned = f'transform="translate(12 {_HIGH / 2 - 10:g}) rotate(-90)" text-anchor="middle"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {_HIGH}" width="{_WIDE}" '
        f'height="{_HIGH}" font-family="sans-serif" font-size="10">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        *_grid(place, range(left, right + 1), range(bottom, top + 1)),
        *_lines(place, points, 10.0**left, 10.0**bottom),
        f"<text {middle}>{across}</text>",
        f"<text {turned}>{up}</text>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _decades(column: Sequence[float]) -> tuple[int, int]:
    """The powers of ten around the numbers, at least one apart."""
    low = math.floor(math.log10(min(column)) + 1e-9)
    return low, max(low + 1, math.ceil(math.log10(max(column)) - 1e-9))


def _grid(place: Place, across: range, up: range) -> Iterator[str]:
    for decade in across:
        (x, y), (_, end) = place(10.0**decade, 10.0 ** up[0]), place(10.0**decade, 10.0 ** up[-1])
        yield f'<path d="M{x} {y}V{end}" stroke="#ddd"/>'
        yield f'<text x="{x}" y="{y + 13:g}" text-anchor="middle">{10.0**decade:g}</text>'
    for decade in up:
        (x, y), (end, _) = place(10.0 ** across[0], 10.0**decade), place(10.0 ** across[-1], 10.0**decade)
        yield f'<path d="M{x} {y}H{end}" stroke="#ddd"/>'
        yield f'<text x="{x - 5:g}" y="{y + 3:g}" text-anchor="end">{10.0**decade:g}</text>'


def _lines(place: Place, points: Points, left: float, bottom: float) -> Iterator[str]:
    last_x, last_y = points[-1]
    start = max(left, last_x * bottom / last_y)
    (x, y), (end_x, end_y) = place(start, last_y * start / last_x), place(last_x, last_y)
    yield f'<path d="M{x} {y}L{end_x} {end_y}" stroke="#999" stroke-dasharray="4 3"/>'
    dots = [place(*point) for point in points]
    line = "L".join(f"{x} {y}" for x, y in dots)
    yield f'<path d="M{line}" fill="none" stroke="#06c" stroke-width="1.5"/>'
    yield from (f'<circle cx="{x}" cy="{y}" r="3" fill="#06c"/>' for x, y in dots)
