"""What a load draws from here on: the mean power since it last changed, and how sure that is.

Loops of inference are steady, so the time-weighted mean since the last change point beats slopes and
gauges (handled traces: 0.1 % median on a 24 h Jetson log; a gauge's percent are off by half early on).
A change must stand out from the load's own rhythm: the noise is the long-run variance, so neither the
bursts of a duty-cycled load nor slow wander count as changes.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from energymeter.estimate import Estimate

Z95 = 1.959964
"""Standard deviations on either side of the middle 95 % of a normal distribution."""
_BLOCKS = 128
_LEAST = 4
"""Blocks on either side of a change point."""
_CHANGE_SIGMAS = 5.0
"""A false alarm in about 1 of 10 000 looks at 128 places."""
_CHANGE_SHARE = 0.03
"""Smaller steps are drift (a Pi 4 warming up moves by up to 2.1 %) and stay in the mean."""
_FLOOR = 0.002
"""Relative standard uncertainty no averaging gets below: blocks of 30 s on a Pi 4 bottom out at 0.2 %."""

_HALF = 0.5
_FIRST_CHANGE = 0.17
"""Relative step (standard deviation) expected of a load that has not changed yet: an assumption, small beside
what loads that do change show (a Pi 4 between idle and busy doubles)."""
_LEAST_AHEAD = 60.0
"""Seconds; over less than this the variance of a mean no longer grows as noise / T says."""
SHORT_WINDOW = 0.05
"""The same when too little was seen to know the scatter: ten repeats of one job scattered by 4.0 to 8.8 %
in windows of a few seconds (Joulescope on a Pi 3B+)."""


class Block(NamedTuple):
    """A stretch of load."""

    seconds: float
    joules: float


class Level(NamedTuple):
    """The load since it last changed."""

    watts: float
    seconds: float
    """How long it has been seen at this level."""
    noise: float | None
    """Long-run variance, W² s: means over T s have variance noise / T. None: too little seen."""
    changes: int
    """Change points seen."""
    change_share: float
    """Relative standard deviation of the step to another level, by the levels seen (0 with one)."""
    seen_seconds: float
    """All that was seen, every level."""

    def sigma(self, ahead_seconds: float) -> float:
        """Relative standard uncertainty of the mean power over the next ``ahead_seconds``.

        Three parts: how well the level is known, how much the stretch to come scatters about it, and
        that it may change (again).
        """
        spans = 1 / self.seconds + 1 / max(ahead_seconds, _LEAST_AHEAD)
        scatter = SHORT_WINDOW if self.noise is None else math.sqrt(self.noise * spans) / self.watts
        step = math.sqrt(
            (self.changes * self.change_share**2 + _HALF * _FIRST_CHANGE**2) / (self.changes + _HALF)
        )
        return min(math.sqrt(scatter**2 + _FLOOR**2 + step**2 * self._changed(ahead_seconds)), 1.0)

    def _changed(self, ahead_seconds: float) -> float:
        """Mean square share of the time ahead that comes after the next change, by the pace of those seen.

        Changes at an unknown steady pace: with k seen in T seconds, none comes within t with
        probability (T / (T + t)) ** (k + 1/2), Jeffreys' prior.
        """
        ratio, power = ahead_seconds / self.seen_seconds, self.changes + _HALF
        places = [(i + 0.5) / 16 for i in range(16)]
        return math.fsum(2 * (1 - s) * (1 - math.pow(1 + ratio * s, -power)) for s in places) / 16


class Forecast:
    """Takes in a load stretch by stretch, in constant memory, and tells its present level.

    >>> load = Forecast()
    >>> for _ in range(60):
    ...     load.add(seconds=1.0, joules=3.0)
    >>> load.level().watts
    3.0
    """

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._width = 0.0
        self._level: Level | None = None

    def add(self, seconds: float, joules: float) -> None:
        """A further stretch: ``joules`` drawn over ``seconds`` (> 0; others are ignored)."""
        if not seconds > 0:
            return
        self._level = None
        last = self._blocks[-1] if self._blocks else None
        if last and last.seconds < self._width:
            self._blocks[-1] = Block(last.seconds + seconds, last.joules + joules)
        else:
            self._blocks.append(Block(seconds, joules))
        if len(self._blocks) >= _BLOCKS:
            self._halve()

    def level(self) -> Level | None:
        """The load now; ``None`` when nothing was seen or nothing was drawn."""
        if self._level is None and self._blocks:
            self._level = _level(self._blocks)
        return self._level

    def _halve(self) -> None:
        """Join neighbours, so that half as many blocks of twice the width tell the same story."""
        pairs = zip(self._blocks[0::2], self._blocks[1::2], strict=True)
        self._blocks = [Block(a.seconds + b.seconds, a.joules + b.joules) for a, b in pairs]
        self._width = sorted(block.seconds for block in self._blocks)[len(self._blocks) // 2]


def left(total: float, sigma: float, spent: float, unit: str = "") -> Estimate:
    """What is left of ``total`` (median; log-normal, relative ``sigma``) without ``spent``; 0 or more."""
    spread = math.exp(Z95 * sigma)
    low, value, high = (max(total * factor - spent, 0.0) for factor in (1 / spread, 1.0, spread))
    return Estimate(value, low, high, unit)


def hours_left(total: float, sigma: float, spent: float, drawn_watts: float, level: Level) -> Estimate:
    """Hours until ``total`` joules (relative ``sigma``) are gone at ``drawn_watts``, taken at ``level``.

    Each bound joins two independent distances from the value in quadrature: what an uncertain capacity
    moves it by (absolute: it stays as wide while the rest shrinks), and what an uncertain load does.
    """
    energy = left(total, sigma, spent)
    seconds = energy.value / drawn_watts
    spread = math.exp(Z95 * level.sigma(max(seconds, energy.high / drawn_watts / 2)))
    low = math.hypot(energy.value - energy.low, energy.value * (1 - 1 / spread))
    high = math.hypot(energy.high - energy.value, energy.value * (spread - 1))
    scale = 1 / drawn_watts / 3600
    return Estimate(energy.value, max(energy.value - low, 0.0), energy.value + high).scaled(scale, "h")


def _level(blocks: Sequence[Block]) -> Level | None:
    starts = [0]
    while (split := _change(blocks[starts[-1] :])) is not None:
        starts.append(starts[-1] + split)
    now = blocks[starts[-1] :]
    seconds, watts = _mean(now)
    if watts <= 0:
        return None
    levels = [_mean(blocks[a:b]) for a, b in zip(starts, [*starts[1:], len(blocks)], strict=True)]
    seen, mean = _mean(blocks)
    changes = len(levels) - 1
    # A new level differs from the present one by √2 of their spread about the mean; few tell little.
    scale = math.sqrt(2 * (changes + 1) / changes) if changes else 0.0
    between = scale * math.sqrt(sum(s * (w - mean) ** 2 for s, w in levels) / seen) / mean
    return Level(watts, seconds, _noise(now), changes, between, seen)


def _mean(blocks: Sequence[Block]) -> tuple[float, float]:
    seconds = math.fsum(block.seconds for block in blocks)
    return seconds, math.fsum(block.joules for block in blocks) / seconds


def _change(blocks: Sequence[Block]) -> int | None:
    """Index of the most telling change of level in here, if any stands out."""
    total_s, total_j = math.fsum(b.seconds for b in blocks), math.fsum(b.joules for b in blocks)
    before_s = before_j = best = 0.0
    split = 0
    for i, block in enumerate(blocks[:-_LEAST], start=1):
        before_s, before_j = before_s + block.seconds, before_j + block.joules
        step = (total_j - before_j) / (total_s - before_s) - before_j / before_s
        weight = step * step * before_s * (total_s - before_s)
        if i >= _LEAST and weight > best:
            best, split = weight, i
    if not split:
        return None
    (s0, w0), (s1, w1) = _mean(blocks[:split]), _mean(blocks[split:])
    noise = max(_noise(blocks[:split]) or 0.0, _noise(blocks[split:]) or 0.0)
    big = abs(w1 - w0) > _CHANGE_SHARE * max(abs(w0), abs(w1))
    return split if big and (w1 - w0) ** 2 > _CHANGE_SIGMAS**2 * noise * (1 / s0 + 1 / s1) else None


def _noise(blocks: Sequence[Block]) -> float | None:
    """Long-run variance (W² s) of the power, the largest over batches of 1, 2, 4, … blocks.

    Successive samples of a load are correlated, so s/√n of single blocks would be too small; batches
    longer than the memory of the load show its true scatter.
    """
    if len(blocks) < _LEAST:
        return None
    worst = 0.0
    while len(blocks) >= _LEAST:
        _, mean = _mean(blocks)
        scatter = math.fsum((b.joules / b.seconds - mean) ** 2 * b.seconds for b in blocks) / (
            len(blocks) - 1
        )
        worst = max(worst, scatter)
        blocks = [
            Block(a.seconds + b.seconds, a.joules + b.joules)
            for a, b in zip(blocks[0::2], blocks[1::2], strict=False)
        ]
    return worst
