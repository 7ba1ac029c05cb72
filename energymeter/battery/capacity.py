"""How far the real capacity of a battery may be from the nominal one: known, or the prior of a label.

A cell that is known only by its label is *unknown*. What it gives is the nominal energy times independent
factors. Their ranges come from published facts, not from the discharges that forecasts are checked with:

==============  =====================================================================================
factor          source
==============  =====================================================================================
label           normal, 4 %: IEC 61960 asks for the rated charge at 0.2 C; makers name a minimum or a mean
ageing          new to 50 %, half of the cells above 94 %: a fifth is lost in about 500 cycles, 80 % is the
                usual end of life, and cells stay in use beyond it [M]. A health given: 70 to 110 % of it
temperature     not given: half of the cells lose less than 2.5 % (a room at 17 °C), at worst 20 % as at
                0 °C. Given: the spread of the published -10..20 % at 0 °C and -30..50 % at -20 °C about
                `battery._COLD`
rate            Peukert's exponent 1.02 to 1.10 (vbatpower.com/formulas/peukert), down to 1.00 as in the data
                sheets of high-drain cells, most often 1.02; unless one is given
resistance      share of the voltage lost at 1 C: 2 to 23 %, half of the cells below 4.6 %; the device trees
                and battery books of `ocv` name 0.10 ohm for 2.5 Ah (6.5 %) and 0.32 ohm for 2.78 Ah (23 %);
                it doubles with every 20 °C below 20 °C [M]
cut-off         0.80 to 1.00 of the charge is used, 0.90 is the default: from a boost chip's 3.3 V to 2.5 V;
                unless a usable share is given
converter       0.80 to 0.93 published; 0.90 is the default (powerprofiler.net/blog/power-banks-101)
==============  =====================================================================================
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist
from typing import NamedTuple, Protocol

_STEP = 0.01
"""The width of a grid step, in the logarithm of the ratio."""
_RATE_STEP = math.log(1.05)
_GAIN_STEP = 0.005
_PIECES = 400
"""A factor is divided into so many pieces of equal probability."""
_LEAST_LEFT = 0.05
"""The share of the voltage without which no device runs."""
LABEL_SIGMA = 0.04
_TAILS = 4.5
"""Standard deviations of a normal factor that are kept."""
_TINY = 1e-6
_NORMAL = NormalDist()


class Spread(Protocol):
    """The distribution of the real capacity, as a ratio to the nominal one."""

    def survival(self, ratio: float) -> float:
        """Probability that the real capacity is larger than ``ratio`` times the nominal one."""

    def at_survival(self, probability: float) -> float:
        """The inverse of `survival`, for a probability in (0, 1)."""


class LogNormal(NamedTuple):
    """The spread of a known cell: as far up as down, with median 1."""

    sigma: float

    def survival(self, ratio: float) -> float:
        if ratio <= 0:
            return 1.0
        if not self.sigma:
            return 1.0 if ratio < 1 else 0.0
        return math.erfc(math.log(ratio) / self.sigma / math.sqrt(2)) / 2

    def at_survival(self, probability: float) -> float:
        return math.exp(-self.sigma * _NORMAL.inv_cdf(probability))


class Tabled(NamedTuple):
    """On a grid of the logarithm of the ratio."""

    start: float
    """Logarithm of the ratio where the first survival holds."""
    survivals: tuple[float, ...]
    """Falling from 1 to 0, one each `_STEP`."""

    @classmethod
    def of(cls, start: float, weights: Sequence[float]) -> "Tabled":
        """From the weight of each step of the grid."""
        total, left = math.fsum(weights), 1.0
        survivals = [1.0]
        for weight in weights:
            left = max(left - weight / total, 0.0)
            survivals.append(left)
        survivals[-1] = 0.0
        return cls(start, tuple(survivals))

    def survival(self, ratio: float) -> float:
        if ratio <= 0:
            return 1.0
        place = (math.log(ratio) - self.start) / _STEP
        if place <= 0:
            return 1.0
        i = math.floor(place)
        if i + 1 >= len(self.survivals):
            return 0.0
        before, after = self.survivals[i : i + 2]
        return before + (after - before) * (place - i)

    def at_survival(self, probability: float) -> float:
        low, high = 0, len(self.survivals) - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.survivals[middle] > probability else (low, middle)
        before, after = self.survivals[low], self.survivals[high]
        part = (before - probability) / (before - after) if before > after else 0.0
        return math.exp(self.start + (low + part) * _STEP)


def updated(prior: Spread, likelihood: Callable[[float], float]) -> Tabled:
    """The posterior: the prior weighed with the ``likelihood`` of what was seen, for each ratio."""
    low, high = math.log(prior.at_survival(1 - _TINY)), math.log(prior.at_survival(_TINY))
    edges = [low + i * _STEP for i in range(math.ceil((high - low) / _STEP) + 1)]
    survived = [prior.survival(math.exp(edge)) for edge in edges]
    weights = [
        (before - after) * likelihood(math.exp(edge + _STEP / 2))
        for edge, (before, after) in zip(edges[:-1], pairwise(survived), strict=True)
    ]
    if not math.fsum(weights) > 0:  # what was seen fits no battery of this label: it says nothing
        return Tabled(low, tuple(survived))
    return Tabled.of(low, weights)


class Factor(NamedTuple):
    """The distribution of one cause, by its quantile function."""

    quantile: Callable[[float], float]
    """The value at a probability in (0, 1); it may rise or fall with it."""

    def weights(self) -> tuple[int, list[float]]:
        """Where on the grid the factor's logarithm begins, and its weight in each step from there on."""
        places = [
            math.floor(math.log(self.quantile((i + 0.5) / _PIECES)) / _STEP + 0.5) for i in range(_PIECES)
        ]
        first = min(places)
        found = [0.0] * (max(places) - first + 1)
        for place in places:
            found[place - first] += 1 / _PIECES
        return first, found


def triangular(low: float, mode: float, high: float) -> Callable[[float], float]:
    """The quantile function of a triangular distribution."""
    width = high - low

    def quantile(p: float) -> float:
        if p * width < mode - low:
            return low + math.sqrt(p * width * (mode - low))
        return high - math.sqrt((1 - p) * width * (high - mode))

    return quantile


def loss(most: float, power: int) -> Callable[[float], float]:
    """What is left of 1 where up to ``most`` is lost, and seldom much of it: half lose under 1 / 2**power."""
    return lambda p: 1 - most * math.pow(p, power)


class Unknown(NamedTuple):
    """What decides the prior of a cell that is known only by its label."""

    health_given: bool
    celsius: float | None
    peukert_given: bool
    usable_given: bool
    converter: bool
    """A converter of assumed efficiency stands between cell and rail."""

    def factors(self, rate: float) -> dict[str, Factor]:
        """Each cause by name, as a factor of the capacity at ``rate``: power over the label's energy, 1/h."""
        above_rated = max(5 * rate, 1.0)  # below the rated rate nothing is gained
        grown = self._resistance()
        exponent = triangular(1.0, 1.02, 1.10)
        found = {
            "ageing": Factor(triangular(0.7, 1.0, 1.1) if self.health_given else loss(0.5, 3)),
            "temperature": self._temperature(),
            "resistance": Factor(lambda p: max(1 - (0.02 + 0.21 * p**3) * rate * grown, _LEAST_LEFT)),
        }
        if not self.peukert_given:
            found["rate"] = Factor(lambda p: math.pow(above_rated, 1 - exponent(p)))
        if not self.usable_given:
            found["cut-off"] = Factor(lambda p: (0.8 + 0.2 * p) / 0.9)
        if self.converter:
            found["converter"] = Factor(triangular(0.80 / 0.90, 1.0, 0.93 / 0.90))
        return found

    def _temperature(self) -> Factor:
        if self.celsius is None:
            return Factor(loss(0.2, 3))
        cold = max(20.0 - self.celsius, 0.0) / 20
        either = min(0.06 * cold if cold < 1 else 0.06 + 0.11 * (cold - 1), 0.3)
        return Factor(triangular(1 - either, 1.0, 1 + either))

    def _resistance(self) -> float:
        return 1.0 if self.celsius is None else 2.0 ** max((20.0 - self.celsius) / 20, 0.0)


def unknown(what: Unknown, rate: float, gain: float = 0.0) -> Tabled:
    """The prior of a cell known only by its label, at a load of ``rate``: power over its energy, 1/h.

    ``gain``: relative standard uncertainty of the meter that counts what is drawn.
    """
    rate = math.exp(round(math.log(min(max(rate, 0.01), 50.0)) / _RATE_STEP) * _RATE_STEP)
    return _unknown(what, rate, math.ceil(gain / _GAIN_STEP) * _GAIN_STEP)


@lru_cache(maxsize=64)
def _unknown(what: Unknown, rate: float, gain: float) -> Tabled:
    start, weights = _normal(math.hypot(LABEL_SIGMA, gain))
    for factor in what.factors(rate).values():
        first, its = factor.weights()
        start, weights = start + first, _convolved(weights, its)
    return Tabled.of((start - 0.5) * _STEP, weights)


def _normal(sigma: float) -> tuple[int, list[float]]:
    reach = math.ceil(_TAILS * sigma / _STEP)
    edges = [_NORMAL.cdf((i - 0.5) * _STEP / sigma) for i in range(-reach, reach + 2)]
    return -reach, [after - before for before, after in pairwise(edges)]


def _convolved(one: Sequence[float], other: Sequence[float]) -> list[float]:
    both = [0.0] * (len(one) + len(other) - 1)
    for i, weight in enumerate(other):
        if weight:
            for k, value in enumerate(one):
                both[i + k] += weight * value
    return both
