"""What a load draws from here on: the mean power since it last changed, with its uncertainty.

Loops of inference are steady, so the time-weighted mean since the last change point beats slopes and
gauges (handled traces: 0.1 % median on a 24 h Jetson log; a gauge's percent are off by half early on).
A change must stand out from the load's own rhythm: the noise is the long-run variance, so neither the
bursts of a duty-cycled load nor slow wander count as changes; and it is a median, so that one change does
not hide another.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from energymeter.battery.capacity import LogNormal, Spread
from energymeter.text import Estimate, duration

Z95 = 1.959964
"""Standard deviations on either side of the middle 95 % of a normal distribution."""
WIDEST = 30.0
"""Times the lower bound of an interval that still says something."""
_FAR_MORE = 1000.0
"""Times the lower bound; beyond that the upper one is no number to print."""
_TAIL = 0.025
"""Probability on either side of a 95 % interval."""
_NEVER = 1e-9
"""Probability below which a battery is not taken to be that much larger than its label."""
_BLOCKS = 128
_LEAST = 4
"""Blocks on either side of a change point, and those that show a scatter."""
_FEW = 12
"""Blocks or batches whose median step between neighbours is worth something, with two changes of level."""
_BATCHES = 16
"""Fewer than this many batches are longer than the rhythm of a load, and still show its scatter."""
_MEDIAN_STEP = 0.6744898 * math.sqrt(2)
"""Median absolute difference of two draws from a normal distribution, in standard deviations."""
_CHANGE_SIGMAS = 5.0
"""A false alarm in about 1 of 10 000 looks at 128 places."""
_CHANGE_SHARE = 0.03
"""Smaller steps are drift (a Pi 4 warming up moves by up to 2.1 %) and stay in the mean."""
_FLOOR = 0.002
"""Relative standard uncertainty no averaging gets below: blocks of 30 s on a Pi 4 bottom out at 0.2 %."""

_HALF = 0.5
_FIRST_CHANGE = 1 / math.sqrt(6) / 1.5
"""Relative step (root mean square, 0.27) expected where none was seen: between two programs that each draw
anything from idle to busy, on a board that draws twice as much busy (Pi 3B+, Pi 4, Coral: 1.9 to 2.1)."""
_EVER = 0.5
"""Probability that a load which has not changed yet is one that ever does: nothing is known of that."""
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
    """Root mean square of the steps seen, relative to the level (0 with none)."""
    seen_seconds: float
    """All that was seen, every level."""

    def sigma(self, ahead_seconds: float) -> float:
        """Relative standard uncertainty of the mean power over the next ``ahead_seconds``.

        Three parts: how well the level is known, how much the stretch to come scatters about it, and
        that it may change (again).
        """
        spans = 1 / self.seconds + 1 / max(ahead_seconds, _LEAST_AHEAD)
        scatter = SHORT_WINDOW if self.noise is None else math.sqrt(self.noise * spans) / self.watts
        steps = self.changes * self.change_share**2 + _HALF * _FIRST_CHANGE**2
        change = steps / (self.changes + _HALF) * self._changed(ahead_seconds)
        return min(math.sqrt(scatter**2 + _FLOOR**2 + change), 1.0)

    def _changed(self, ahead_seconds: float) -> float:
        """Mean square share of the time ahead that comes after the next change, by the pace of those seen.

        Changes at an unknown steady pace: with k seen in T seconds, none comes within t with
        probability (T / (T + t)) ** (k + 1/2), Jeffreys' prior. With none seen it may be a load that
        never changes.
        """
        ratio, power = ahead_seconds / self.seen_seconds, self.changes + _HALF
        places = [(i + 0.5) / 16 for i in range(16)]
        after = math.fsum(2 * (1 - s) * (1 - math.pow(1 + ratio * s, -power)) for s in places) / 16
        return after if self.changes else _EVER * after


class HoursLeft(NamedTuple):
    """The hours left, or why there are none."""

    hours: Estimate | None
    reason: str = ""
    """Why there are none, and what would help; empty where there are some."""

    @classmethod
    def of(cls, hours: Estimate, help: str) -> "HoursLeft":
        """``hours``, unless their interval is too wide to be of use: then the ``help``.

        A factor of more than 30 between the bounds says no more than "minutes or days".
        """
        if hours.high <= WIDEST * hours.low:
            return cls(hours)
        low, high = (duration(3600 * bound, rough=True) for bound in (hours.low, hours.high))
        reach = f"{low} or far more" if hours.high > _FAR_MORE * hours.low > 0 else f"from {low} to {high}"
        return cls(None, f"cannot tell yet: anything {reach}; {help}")

    def __str__(self) -> str:
        if self.hours is not None:
            return str(self.hours)
        return self.reason if self.reason.startswith("cannot tell") else f"unknown: {self.reason}"


class Forecast:
    """Takes in a load stretch by stretch, in constant memory, and computes its present level.

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
        self._starts: list[int] = []  # of the levels, as long as no block is added

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
            self._starts = []
        if len(self._blocks) >= _BLOCKS:
            self._halve()

    def level(self) -> Level | None:
        """The load now; ``None`` when nothing was seen or nothing was drawn."""
        if self._level is None and self._blocks:
            self._starts = self._starts or [0, *_changes(self._blocks, 0.0)]
            self._level = _level(self._blocks, self._starts)
        return self._level

    def _halve(self) -> None:
        """Join neighbours, so that half as many blocks have twice the width."""
        self._blocks, self._starts = _joined(self._blocks), []
        self._width = sorted(block.seconds for block in self._blocks)[len(self._blocks) // 2]


def left(
    total: float, spread: float | Spread, spent: float, unit: str = "", *, running: bool = False
) -> Estimate:
    """What is left of ``total`` without ``spent``: the value by ``total``, and the 95 % interval; 0 or more.

    ``spread`` of the real total about ``total``; a number is the relative sigma of a log-normal one.
    ``running``: something is certainly left, as a device that still runs on it shows; the value is then the
    median of all batteries that have lasted as long.
    """
    if isinstance(spread, float | int):
        spread = LogNormal(spread)
    value = max(total - spent, 0.0)
    alive = spread.survival(spent / total) if running else 1.0
    if not alive > _NEVER:  # no battery of this label holds as much
        return Estimate(value, value, value, unit)
    low, median, high = (
        max(total * spread.at_survival(p * alive) - spent, 0.0) for p in (1 - _TAIL, 0.5, _TAIL)
    )
    if running:
        return Estimate(median, low, high, unit)
    return Estimate(value, min(low, value), max(high, value), unit)


def hours_left(
    total: float,
    spread: float | Spread,
    spent: float,
    drawn_watts: float,
    level: Level,
    *,
    running: bool = False,
) -> Estimate:
    """Hours until ``total`` joules (see `left`) are gone at ``drawn_watts``, taken at ``level``.

    Each bound joins two independent distances from the value in quadrature: what an uncertain capacity
    moves it by (absolute: it stays as wide while the rest shrinks), and what an uncertain load does.
    """
    energy = left(total, spread, spent, running=running)
    seconds = energy.value / drawn_watts
    factor = math.exp(Z95 * level.sigma(max(seconds, energy.high / drawn_watts / 2)))
    high = energy.value + math.hypot(energy.high - energy.value, energy.value * (factor - 1))
    if running and energy.low:  # in the logarithm, so that the bound stays above the nothing it cannot be
        ratio = math.hypot(math.log(energy.value / energy.low), math.log(factor))
        low = energy.value * math.exp(-ratio)
    else:
        low = energy.value - math.hypot(energy.value - energy.low, energy.value * (1 - 1 / factor))
    return Estimate(energy.value, max(low, 0.0), high).scaled(1 / drawn_watts / 3600, "h")


def _level(blocks: Sequence[Block], starts: Sequence[int]) -> Level | None:
    now = blocks[starts[-1] :]
    seconds, watts = _mean(now)
    if watts <= 0:
        return None
    levels = [_mean(blocks[a:b])[1] for a, b in zip(starts, [*starts[1:], len(blocks)], strict=True)]
    changes = len(levels) - 1
    square = math.fsum((after - before) ** 2 for before, after in pairwise(levels))
    share = math.sqrt(square / changes) / watts if changes else 0.0
    return Level(watts, seconds, _noise(now), changes, share, _mean(blocks)[0])


def _mean(blocks: Sequence[Block]) -> tuple[float, float]:
    seconds = math.fsum(block.seconds for block in blocks)
    return seconds, math.fsum(block.joules for block in blocks) / seconds


def _changes(blocks: Sequence[Block], noise: float) -> list[int]:
    """Where the level changes: binary segmentation. ``noise``: of the stretch this is a part of."""
    if len(blocks) >= _FEW:
        noise = _calm_noise(blocks)
    elif not noise:
        return []
    split = _split(blocks)
    if split is None:
        return []
    left, right = blocks[:split], blocks[split:]
    (s0, w0), (s1, w1) = _mean(left), _mean(right)
    noise_here = max(noise, _calm_noise(left), _calm_noise(right))
    big = abs(w1 - w0) > _CHANGE_SHARE * max(abs(w0), abs(w1))
    if not big or (w1 - w0) ** 2 <= _CHANGE_SIGMAS**2 * noise_here * (1 / s0 + 1 / s1):
        return []
    # A block that straddles the change belongs to neither side, and is no level of its own.
    return [*_changes(left[:-1], noise), split, *(split + 1 + i for i in _changes(right[1:], noise))]


def _split(blocks: Sequence[Block]) -> int | None:
    """Index of the most telling change of level in here, be it large or small."""
    total_s, total_j = math.fsum(b.seconds for b in blocks), math.fsum(b.joules for b in blocks)
    before_s = before_j = best = 0.0
    split = None
    for i, block in enumerate(blocks[:-_LEAST], start=1):
        before_s, before_j = before_s + block.seconds, before_j + block.joules
        step = (total_j - before_j) / (total_s - before_s) - before_j / before_s
        weight = step * step * before_s * (total_s - before_s)
        if i >= _LEAST and weight > best:
            best, split = weight, i
    return split


def _calm_noise(blocks: Sequence[Block]) -> float:
    """Long-run variance (W² s) about whatever levels there are; 0 where too little was seen.

    By the median step between neighbours, the largest over batches of 1, 2, 4, … blocks: a few changes
    of level touch a few neighbours and leave the median alone, while every other batch of about half
    a period shows a rhythm, once six periods were seen.
    """
    worst = 0.0
    while len(blocks) >= _FEW:
        watts = [block.joules / block.seconds for block in blocks]
        steps = sorted(abs(after - before) for before, after in pairwise(watts))
        sigma = steps[(len(steps) - 1) // 2] / _MEDIAN_STEP
        worst = max(worst, sigma * sigma * math.fsum(b.seconds for b in blocks) / len(blocks))
        blocks = _joined(blocks)
    return worst


def _noise(blocks: Sequence[Block]) -> float | None:
    """Long-run variance (W² s) of the power, by the scatter of 8 to 15 batches, or of half as many.

    Successive samples of a load are correlated, so s/√n of single blocks would be too small, and those of
    a rhythm make up for each other, so it would be too large; batches longer than both show the true scatter.
    """
    if len(blocks) < _LEAST:
        return None
    while len(blocks) >= _BATCHES:
        blocks = _joined(blocks)
    worst = 0.0
    while len(blocks) >= _LEAST:
        _, mean = _mean(blocks)
        scatter = math.fsum((b.joules / b.seconds - mean) ** 2 * b.seconds for b in blocks) / (
            len(blocks) - 1
        )
        worst = max(worst, scatter)
        blocks = _joined(blocks)
    return worst


def _joined(blocks: Sequence[Block]) -> list[Block]:
    """Neighbours in pairs, an odd one at the end left out."""
    pairs = zip(blocks[0::2], blocks[1::2], strict=False)
    return [Block(a.seconds + b.seconds, a.joules + b.joules) for a, b in pairs]
