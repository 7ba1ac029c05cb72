"""The converter between the cell and the rail, whose loss grows with the power."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from energymeter.errors import SpecError


class Converter(NamedTuple):
    """Watts drawn from the cell: ``quiescent_watts + linear * P + quadratic * P**2`` for P watts at the rail.

    The quadratic term is ohmic loss (1/W; falls with the square of the cell's voltage, taken here at
    its mean), the linear one switching and rectifier loss, the first one the supply of the converter
    itself. This shape fits three measured points well and peaks near 0.3 to 1 A [M: from vendors' curves,
    not measured here].

    >>> round(Converter(quiescent_watts=0.05, linear=1.05, quadratic=0.01).efficiency(3.0), 3)
    0.912
    """

    quiescent_watts: float = 0.0
    linear: float = 1.0
    quadratic: float = 0.0

    def cell_watts(self, rail_watts: float) -> float:
        """The power from the cell while the rail takes ``rail_watts``."""
        return self.quiescent_watts + rail_watts * (self.linear + self.quadratic * rail_watts)

    def rail_watts(self, cell_watts: float) -> float | None:
        """The inverse of `cell_watts`; ``None`` if the converter alone draws that much."""
        rest = cell_watts - self.quiescent_watts
        if rest <= 0:
            return None
        # This form of the root stays exact when the quadratic term is 0.
        return 2 * rest / (self.linear + math.sqrt(self.linear**2 + 4 * self.quadratic * rest))

    def efficiency(self, rail_watts: float) -> float:
        """Share of the cell's energy that reaches the rail at this power (0 at no load)."""
        return rail_watts / self.cell_watts(rail_watts) if rail_watts > 0 else 0.0

    @classmethod
    def constant(cls, efficiency: float) -> "Converter":
        """The same share at every power.

        Raises:
            SpecError: not in (0, 1].
        """
        if not 0 < efficiency <= 1:
            raise SpecError(f"an efficiency is a share in (0, 1], not {efficiency!r}: write 0.9 for 90 %")
        return cls(linear=1 / efficiency)

    @classmethod
    def fit(cls, points: Iterable[tuple[float, float]]) -> "Converter":
        """Fit to measured (rail watts, cell watts) pairs, three or more, by least squares of relative error.

        Raises:
            SpecError: too few points, or points of an impossible converter.
        """
        pairs = list(points)
        if len({rail for rail, _ in pairs}) < 3:
            raise SpecError(f"a converter curve needs three different loads, got {len(pairs)}: measure more")
        if any(not 0 <= rail < cell for rail, cell in pairs):
            raise SpecError("a converter draws more than it delivers: give pairs of (rail watts, cell watts)")
        rows = [(1 / cell, rail / cell, rail * rail / cell) for rail, cell in pairs]
        normal = [
            [sum(r[i] * r[j] for r in rows) for j in range(3)] + [sum(r[i] for r in rows)] for i in range(3)
        ]
        fitted = cls(*_solve(normal))
        if fitted.linear <= 0 or fitted.quadratic < 0 or fitted.quiescent_watts < 0:
            raise SpecError(
                f"these points curve the wrong way ({fitted}): repeat them, spread over the load range"
            )
        return fitted


def _solve(rows: list[list[float]]) -> tuple[float, ...]:
    """Gauss elimination with pivoting of an augmented 3 x 4 matrix; tiny results become exact zeros."""
    for i in range(3):
        pivot = max(range(i, 3), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(3):
            if r != i:
                ratio = rows[r][i] / rows[i][i]
                rows[r] = [a - ratio * b for a, b in zip(rows[r], rows[i], strict=True)]
    solution = (rows[i][3] / rows[i][i] for i in range(3))
    return tuple(0.0 if abs(x) < 1e-9 else x for x in solution)
