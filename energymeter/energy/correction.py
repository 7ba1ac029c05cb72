"""What a calibration says: straight lines from what a meter shows to what is true, with their covariance."""

from __future__ import annotations

import math

from energymeter.lazy import TYPE_CHECKING, NamedTuple
from energymeter.reading import Facts, Reading
from energymeter.units import RECTANGLE, number_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


EXTRAPOLATION = 1.2
"""A line is not trusted further than this times its largest point."""
DRIFT_PER_KELVIN = 100e-6
"""Gain drift of a meter whose own is not known: a shunt has 50 to 200 ppm/K [M], a chip 10 (INA219, TI
SBOS448G 7.5)."""
UNKNOWN_KELVIN = 10.0
"""How far the air may be from the card's where nobody says: beyond it a meter should be zeroed again."""

# What a card or a header may hold. A meter whose gain is further off is refused when it is calibrated; the
# others are far beyond any meter, and keep all arithmetic finite.
_GAINS = (0.5, 2.0)
_PER_KELVIN = 2e-3
_KELVIN = 200.0
_MOST = 1e9
_MOST_CHARACTERS = 500


class Correction(NamedTuple):
    """A calibration as the curve needs it: ``true = gain * shown + offset``, each channel apart."""

    volts_gain: float = 1.0
    volts_offset: float = 0.0
    amps_gain: float = 1.0
    amps_offset: float = 0.0
    alternating: bool = False
    """The meter sits on the mains, where volts times amps is more than the power."""
    watts_gain: float | None = None
    """None: that of volts times that of amps."""
    watts_offset: float = 0.0
    clock_gain: float = 1.0
    """True seconds in a second of the meter's own; only what it integrates by itself needs it."""
    amps_by_range: dict[str, tuple[float, float]] = {}  # noqa: RUF012 - never written to
    """Gain and offset of the ranges that have their own."""

    def of(self, reading: Reading, range_name: str = "") -> Reading:
        """The corrected reading. Power follows volts and amps where both are known, but not on mains; where
        only power or a counter is, the gains apply and the offsets, which need the other channel, do not.

        Args:
            range_name: the range it was measured in.
        """
        amps_gain, amps_offset = self.amps_by_range.get(range_name) or (self.amps_gain, self.amps_offset)
        volts = None if reading.volts is None else self.volts_gain * reading.volts + self.volts_offset
        amps = None if reading.amps is None else amps_gain * reading.amps + amps_offset
        gain = self.volts_gain * amps_gain if self.watts_gain is None else self.watts_gain
        watts = None if reading.watts is None else gain * reading.watts + self.watts_offset
        counted = gain * self.clock_gain
        known = volts is not None and amps is not None
        follows = known and self.watts_gain is None and not self.alternating
        return reading._replace(
            volts=volts,
            amps=amps,
            watts=None if follows else watts,
            joules=None if reading.joules is None else counted * reading.joules,
            coulombs=None if reading.coulombs is None else amps_gain * self.clock_gain * reading.coulombs,
        )

    def wraps(self, facts: Facts) -> Facts:
        """Where the corrected counters wrap."""
        gain = self.volts_gain * self.amps_gain if self.watts_gain is None else self.watts_gain
        joules, coulombs = facts.joules_wrap, facts.coulombs_wrap
        return facts._replace(
            joules_wrap=None if joules is None else joules * gain * self.clock_gain,
            coulombs_wrap=None if coulombs is None else coulombs * self.amps_gain * self.clock_gain,
        )


class Line(NamedTuple):
    """``true = gain * (1 + gain_per_kelvin * kelvin) * shown + offset``, for one channel of one range."""

    gain: float
    offset: float
    covariance: tuple[tuple[float, ...], ...]
    """The covariance of gain, offset and, where it was fitted, gain_per_kelvin."""
    low: float
    high: float
    """The shown values that it was fitted on."""
    gain_per_kelvin: float = 0.0

    def at(self, shown: float, kelvin: float = 0.0) -> float:
        """What is true where the meter shows this, so many kelvin above the card's air."""
        return self.gain * (1 + self.gain_per_kelvin * kelvin) * shown + self.offset

    def uncertainty(self, shown: float) -> float:
        """The uncertainty of `at` in the card's air, one standard deviation."""
        (gain, mixed), (_, offset) = self.covariance[0][:2], self.covariance[1][:2]
        return math.sqrt(max(0.0, gain * shown**2 + 2 * mixed * shown + offset))

    def pivot(self) -> float:
        """The shown value about which level and slope are independent of each other."""
        return -self.covariance[0][1] / self.covariance[0][0] if self.covariance[0][0] > 0 else 0.0

    def slope_uncertainty(self) -> float:
        """The uncertainty of the gain, one standard deviation."""
        return math.sqrt(self.covariance[0][0])

    def drift(self, kelvin: float | None) -> float:
        """Relative gain error from the air's temperature, one standard deviation.

        Args:
            kelvin: above the card's air; None: unknown, so within ± `UNKNOWN_KELVIN`.
        """
        fitted = len(self.covariance) > 2
        if kelvin is None:
            most = abs(self.gain_per_kelvin) if fitted else DRIFT_PER_KELVIN
            return most * UNKNOWN_KELVIN * RECTANGLE
        most = math.sqrt(self.covariance[2][2]) if fitted else DRIFT_PER_KELVIN * RECTANGLE
        return most * abs(kelvin)


class Model(NamedTuple):
    """A meter's lines: voltage, and current in each range the chip has."""

    volts: Line | None = None
    amps: Mapping[str, Line] = {}
    """By range; the key "" is a meter with one range. A range not named here is corrected by the first."""
    watts: Line | None = None
    """The line of a meter that reports power and no current."""
    clock_gain: float = 1.0
    """True seconds in a second of the meter's own, where it integrates by itself."""
    clock_uncertainty: float = 0.0
    """One standard deviation of it."""

    def amps_line(self, amps: float) -> Line | None:
        """The line that speaks for a mean current: of those that reach it, the least certain."""
        reaching = [
            line
            for line in self.amps.values()
            if line.low / EXTRAPOLATION <= abs(amps) <= line.high * EXTRAPOLATION
        ]
        lines = reaching or list(self.amps.values())
        return max(lines, key=lambda line: line.uncertainty(amps)) if lines else None

    def correction(self, kelvin: float = 0.0) -> Correction:
        """What the sampler needs of it, so many kelvin above the card's air."""
        volts, watts = self.volts, self.watts
        amps = {name: (line.at(1.0, kelvin) - line.offset, line.offset) for name, line in self.amps.items()}
        default = amps.get("") or next(iter(amps.values()), (1.0, 0.0))
        return Correction(
            volts_gain=volts.at(1.0, kelvin) - volts.offset if volts else 1.0,
            volts_offset=volts.offset if volts else 0.0,
            amps_gain=default[0],
            amps_offset=default[1],
            watts_gain=watts.at(1.0, kelvin) - watts.offset if watts else None,
            watts_offset=watts.offset if watts else 0.0,
            clock_gain=self.clock_gain,
            amps_by_range={name: pair for name, pair in amps.items() if name},
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "volts": None if self.volts is None else self.volts._asdict(),
            "amps": {name: line._asdict() for name, line in self.amps.items()},
            "watts": None if self.watts is None else self.watts._asdict(),
            "clock_gain": self.clock_gain,
            "clock_uncertainty": self.clock_uncertainty,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Model:
        """The model again.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: it is not a model.
        """
        return cls(
            volts=None if fields["volts"] is None else _line(fields["volts"]),
            amps={str(name): _line(line) for name, line in fields["amps"].items()},
            watts=None if fields["watts"] is None else _line(fields["watts"]),
            clock_gain=number_in(fields["clock_gain"], *_GAINS, "clock_gain"),
            clock_uncertainty=number_in(fields["clock_uncertainty"], 0.0, 1.0, "clock_uncertainty"),
        )


class Applied(NamedTuple):
    """A card's model, as it was applied to a run; what a log keeps of the card."""

    title: str
    """As results show it: ``calibrated 2026-11-21 against Fluke 17B+``."""
    model: Model
    kelvin: float | None = None
    """How much warmer the air was than at the calibration; None: unknown."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"title": self.title, "model": self.model.to_json(), "kelvin": self.kelvin}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Applied:
        """The same again.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: it is not one.
        """
        title, kelvin = fields["title"], fields["kelvin"]
        if not isinstance(title, str) or not title.isprintable() or len(title) > _MOST_CHARACTERS:
            raise ValueError("a calibration's title is not a short line of text")
        return cls(
            title,
            Model.from_json(fields["model"]),
            None if kelvin is None else number_in(kelvin, -_KELVIN, _KELVIN, "kelvin"),
        )


def _line(fields: Mapping[str, Any]) -> Line:
    low, high = (number_in(fields[name], -_MOST, _MOST, name) for name in ("low", "high"))
    if low > high:
        raise ValueError("low is above high")
    return Line(
        gain=number_in(fields["gain"], *_GAINS, "gain"),
        offset=number_in(fields["offset"], -_MOST, _MOST, "offset"),
        covariance=_covariance(fields["covariance"]),
        low=low,
        high=high,
        gain_per_kelvin=number_in(fields["gain_per_kelvin"], -_PER_KELVIN, _PER_KELVIN, "gain_per_kelvin"),
    )


def _covariance(rows: Any) -> tuple[tuple[float, ...], ...]:
    """A square matrix of which every 2 by 2 part can be a covariance.

    Raises:
        TypeError, ValueError: it cannot.
    """
    size = len(rows)
    if size not in (2, 3) or any(len(row) != size for row in rows):
        raise ValueError("a covariance is 2 by 2, or 3 by 3 with a temperature coefficient")
    cells = tuple(tuple(number_in(cell, -_MOST, _MOST, "covariance") for cell in row) for row in rows)
    for i in range(size):
        for j in range(i + 1):
            most = math.sqrt(max(0.0, cells[i][i] * cells[j][j])) * (1 + 1e-6)
            if cells[i][i] < 0 or abs(cells[i][j]) > most or not math.isclose(cells[i][j], cells[j][i]):
                raise ValueError("a covariance is symmetric and positive")
    return cells
