"""How wrong a number may be: causes and sizes, after the GUM (JCGM 100:2008).

Limits promised as "±a at most" count as rectangular distributions, a/√3 (GUM 4.3.7); a converter's
step as step/√12. Gain, offset, clock and resolution do not average down along a run: they are the same
error in every sample. Everything printed uses the coverage factor `K`, about 95 %.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from energymeter.curve import Draw
from energymeter.reading import Band, Facts

K = 2.0
_RECTANGLE = 1 / math.sqrt(3)
_STEP = 1 / math.sqrt(12)


class Contribution(NamedTuple):
    """One cause's share of the uncertainty: one standard deviation, in J."""

    cause: str
    joules: float


def contributions(facts: Facts, draw: Draw, interval_seconds: float) -> list[Contribution]:
    """Why the energy of one channel in one window may be wrong, cause by cause.

    Args:
        facts: the channel's accuracy.
        draw: what its curve says of the window; its energy must be known.
        interval_seconds: the time between two samples, which of a counter is that between its ticks if
            they come slower than it is looked at.
    """
    found = [Contribution("time base", abs(draw.joules) * facts.clock * _RECTANGLE)]
    if facts.joules is not None:
        found += _of_counter(facts.joules, draw)
    elif facts.watts is not None:
        found += _of_rate("power", facts.watts, draw.joules, draw.covered_seconds)
    else:
        if facts.volts is not None:
            charge = 0.0 if math.isnan(draw.coulombs) else draw.coulombs
            found += _of_rate("voltage", facts.volts, draw.joules, charge)
        if facts.amps is not None:
            volt_seconds = 0.0 if math.isnan(draw.volt_seconds) else draw.volt_seconds
            found += _of_rate("current", facts.amps, draw.joules, volt_seconds)
    found.append(Contribution("window edges", _edges(facts, draw, interval_seconds)))
    return [share for share in found if share.joules > 0]


def expanded(shares: Iterable[Contribution]) -> float:
    """± of the whole, in J: independent causes add in squares, times `K`."""
    return K * math.sqrt(sum(share.joules**2 for share in shares))


def _of_counter(band: Band, draw: Draw) -> list[Contribution]:
    return [
        Contribution("counter gain", abs(draw.joules) * band.gain * _RECTANGLE),
        # a difference of two readings, each good to one step
        Contribution("counter resolution", band.resolution * _STEP * math.sqrt(2)),
    ]


def _of_rate(quantity: str, band: Band, joules: float, weight: float) -> list[Contribution]:
    """Of a quantity that is integrated: ``weight`` is ∂E/∂offset, such as V·s for a current."""
    return [
        Contribution(f"{quantity} gain", abs(joules) * band.gain * _RECTANGLE),
        Contribution(f"{quantity} offset", abs(weight) * band.offset * _RECTANGLE),
        Contribution(f"{quantity} resolution", abs(weight) * band.resolution * _STEP),
    ]


def _edges(facts: Facts, draw: Draw, interval_seconds: float) -> float:
    """What lies between an edge and its samples is drawn in, not seen: at both ends, up to one interval
    of mean power; half of that where straight lines follow the power. Of a counter's tick the whole may
    have flowed within a window that is shorter: nothing limits the interval to the window there."""
    if draw.covered_seconds <= 0:
        return 0.0
    watts = abs(draw.joules) / draw.covered_seconds
    counts = facts.semantics == "counter"
    unseen_seconds = interval_seconds if counts else min(interval_seconds, draw.covered_seconds)
    share = 0.5 if facts.semantics == "instant" else 1.0
    return share * watts * unseen_seconds * _RECTANGLE * math.sqrt(2)
