"""How certain a ratio is: interval, exact tests, effect size, the smallest effect that would be found.

Everything works on logarithms of joules per unit, where a ratio is a difference and a common gain of the
meter cancels. Long series are first cut into at most `MOST_CELLS` blocks of neighbours, whose means are
nearly independent even where neighbours are not (batch means), so that autocorrelation does not narrow an
interval.

The estimate is that of Hodges and Lehmann, which one wild value does not move. Its standard error comes from
a bootstrap of pairs, blocks or arms with a fixed seed, and the interval is Student's, so that few values give
a wide one (Hesterberg, "What Teachers Should Know about the Bootstrap", 2015).
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MOST_CELLS = 32
"""Blocks that a long series is cut into."""
SERIES_BLOCKS = 12
"""The same of the samples of one recording, whose neighbours depend on each other more."""
LEAST_RUNS, LEAST_PAIRS = 4, 6
"""The least numbers at which an exact two-sided test can go below 5 %: 0.029 and 0.031."""
LEVEL = 0.05
_RESAMPLES = 2000
_SEED = 20180301
_POWER = 0.80
_MIRRORED = math.sqrt(1 + 1 / 8)
"""The two pairs of a block ABBA share up to an eighth of their variance, if neighbouring runs depend on each
other with a correlation ρ that falls with each step: ρ (1 - ρ) / 2."""
_ONE_SIGMA = (0.158655, 0.841345)


class Shift(NamedTuple):
    """A difference of logarithms, B minus A."""

    value: float
    error: float
    """Standard error."""
    freedom: float
    """Degrees of freedom of the standard error."""

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.value - t_quantile(1 - LEVEL / 2, self.freedom) * self.error

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.value + t_quantile(1 - LEVEL / 2, self.freedom) * self.error


def cells(values: npt.ArrayLike, most: int = MOST_CELLS) -> Floats:
    """A series as at most ``most`` means of equally many neighbours; a short one as it is.

    >>> cells([1.0, 2.0, 4.0]).tolist(), len(cells(range(1000)))
    ([1.0, 2.0, 4.0], 32)
    """
    series = np.asarray(values, dtype=np.float64)
    if len(series) <= most:
        return series
    edges = np.linspace(0, len(series), most + 1).astype(np.intp)
    return np.asarray(np.add.reduceat(series, edges[:-1]) / np.diff(edges))


def paired_shift(differences: npt.ArrayLike) -> Shift:
    """The shift of pairs: the median of all means of two differences.

    Args:
        differences: shape (n,), n ≥ 2: log B minus log A of each pair, in the order of their times.
    """
    values = cells(differences)
    first, second = np.triu_indices(len(values))
    drawn = values[_rng().integers(len(values), size=(_RESAMPLES, len(values)))]
    medians = np.median((drawn[:, first] + drawn[:, second]) / 2, axis=1)
    centre = float(np.median((values[first] + values[second]) / 2))
    freedom = len(values) - 1
    return Shift(centre, _error(medians) * _MIRRORED, freedom)


def unpaired_shift(a: npt.ArrayLike, b: npt.ArrayLike) -> Shift:
    """The shift of two independent arms: the median of all differences.

    Args:
        a, b: shapes (n,) and (m,), each ≥ 2: logarithms, in the order of their times.
    """
    first, second = cells(a), cells(b)
    rng = _rng()
    some = first[rng.integers(len(first), size=(_RESAMPLES, len(first)))]
    others = second[rng.integers(len(second), size=(_RESAMPLES, len(second)))]
    differences = others[:, :, None] - some[:, None, :]
    medians = np.median(differences.reshape(_RESAMPLES, -1), axis=1)
    centre = float(np.median(second[:, None] - first[None, :]))
    return Shift(centre, _error(medians), _welch(first, second))


def blocks(series: npt.ArrayLike) -> Floats:
    """A long autocorrelated series as `SERIES_BLOCKS` means; see `series_shift`."""
    return cells(series, SERIES_BLOCKS)


def series_shift(a: npt.ArrayLike, b: npt.ArrayLike) -> Shift:
    """The shift between the means of two long series of samples, by their blocks' means.

    Args:
        a, b: shapes (n,) and (m,), each ≥ 2: power at equal steps of time.
    """
    means = [blocks(series) for series in (a, b)]
    relative = [float(np.std(x, ddof=1) / math.sqrt(len(x)) / np.mean(x)) for x in means]
    value = math.log(np.mean(means[1]) / np.mean(means[0]))
    return Shift(value, math.hypot(*relative), _welch(*(x / np.mean(x) for x in means)))


def _rng() -> np.random.Generator:
    return np.random.default_rng(_SEED)


def _error(estimates: Floats) -> float:
    """The standard deviation of resampled estimates by their middle two thirds, because resamples that drew
    one wild value several times follow it."""
    low, high = np.quantile(estimates, _ONE_SIGMA)
    return float(high - low) / 2


def _welch(a: Floats, b: Floats) -> float:
    """Degrees of freedom of a difference of two means (Welch and Satterthwaite)."""
    parts = [float(np.var(x, ddof=1)) / len(x) for x in (a, b)]
    if not sum(parts) > 0:
        return len(a) + len(b) - 2.0
    return float(sum(parts) ** 2 / sum(part**2 / (len(x) - 1) for part, x in zip(parts, (a, b), strict=True)))


def t_quantile(share: float, freedom: float) -> float:
    """Student's t by the expansion of Abramowitz and Stegun 26.7.5, within 0.1 % from 5 degrees of freedom.

    >>> round(t_quantile(0.975, 9), 3), round(t_quantile(0.8, 19), 3)
    (2.262, 0.861)
    """
    z = NormalDist().inv_cdf(share)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))


# Exact tests ----------------------------------------------------------------------------------------------


def wilcoxon(differences: npt.ArrayLike) -> float:
    """Two-sided p of the signed-rank test that pairs do not differ; exact, with ties by their mean ranks.

    Args:
        differences: shape (n,); those that are 0 say nothing and are left out (Wilcoxon 1945).

    >>> wilcoxon([1, 2, 3, 4, 5, 6])
    0.03125
    """
    values = cells(differences)
    values = values[values != 0]
    if not len(values):
        return 1.0
    ranks = _double_ranks(np.abs(values))
    found = _scipy("wilcoxon", values) if _no_ties(ranks) else None
    if found is not None:
        return found
    ways = np.ones(1)
    for rank in ranks:  # of each sign with the same chance
        ways = (np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))) / 2
    return _two_sided(ways, int(ranks[values > 0].sum()))


def mann_whitney(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Two-sided p of the rank-sum test that two arms do not differ; exact, with ties by their mean ranks.

    Args:
        a, b: shapes (n,) and (m,).

    >>> round(mann_whitney([1, 2, 3, 4], [5, 6, 7, 8]), 4)
    0.0286
    """
    first, second = cells(a), cells(b)
    ranks = _double_ranks(np.concatenate([first, second]))
    found = _scipy("mannwhitneyu", first, second) if _no_ties(ranks) else None
    if found is not None:
        return found
    ways = np.zeros((len(first) + 1, int(ranks.sum()) + 1))
    ways[0, 0] = 1.0
    for rank in ranks:
        ways[1:, rank:] += ways[:-1, : ways.shape[1] - rank].copy()
    possible = ways[-1]
    return _two_sided(possible / possible.sum(), int(ranks[: len(first)].sum()))


def _double_ranks(values: Floats) -> npt.NDArray[np.intp]:
    """Twice the mean ranks, which are whole numbers."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((2 * last - count + 1)[place], dtype=np.intp)


def _no_ties(ranks: npt.NDArray[np.intp]) -> bool:
    return len(np.unique(ranks)) == len(ranks)


def _two_sided(chances: Floats, seen: int) -> float:
    """The chance of what is as far from the middle as what was seen, or farther."""
    return float(min(1.0, 2 * min(chances[: seen + 1].sum(), chances[seen:].sum())))


def _scipy(test: str, *samples: Floats) -> float | None:
    """The exact test of scipy, where it is installed."""
    try:
        import scipy.stats as stats
    except ImportError:
        return None
    return float(getattr(stats, test)(*samples, method="exact").pvalue)


def holm(chances: Sequence[float]) -> list[float]:
    """Adjusted p of several comparisons, in their order (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, largest = [0.0] * len(chances), 0.0
    for rank, number in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        largest = max(largest, min(1.0, (len(chances) - rank) * chances[number]))
        adjusted[number] = largest
    return adjusted


def cliffs_delta(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """How often a value of B is above one of A, minus how often it is below; -1 to 1.

    >>> cliffs_delta([1, 2, 3], [4, 5, 6]), cliffs_delta([1, 2], [1, 2])
    (1.0, 0.0)
    """
    first, second = np.sort(np.asarray(a, np.float64)), np.asarray(b, np.float64)
    below = np.searchsorted(first, second, side="left").sum(dtype=np.float64)
    not_above = np.searchsorted(first, second, side="right").sum(dtype=np.float64)
    return float((below + not_above) / (len(first) * len(second)) - 1)


# How many runs --------------------------------------------------------------------------------------------


def least_runs(comparisons: int = 1, *, paired: bool = True) -> int:
    """The least runs per arm at which the exact test can go below 5 %, also after Holm's correction.

    >>> least_runs(), least_runs(2), least_runs(paired=False)
    (4, 5, 4)
    """
    runs = LEAST_RUNS
    while _least_chance(runs, paired) * comparisons > LEVEL:
        runs += 1
    return runs


def _least_chance(runs: int, paired: bool) -> float:
    if paired and runs >= LEAST_PAIRS:
        return 2.0 ** (1 - runs)
    return 2 / math.comb(2 * runs, runs)


def detectable(error: float, freedom: float) -> float:
    """The smallest shift that is found in 80 % of comparisons like this one.

    The usual (t₀.₉₇₅ + t₀.₈₀) standard errors, and `_EXTRA` for what exact tests of few runs cost, and an
    error that is itself estimated.
    """
    t: float = t_quantile(1 - LEVEL / 2, freedom) + t_quantile(_POWER, freedom)
    return float(t * error * (1 + _EXTRA / freedom**1.5))


_EXTRA = 6.0
"""By simulation: see tests/comparison/test_statistics.py."""


def runs_to_detect(shift: float, error: float, runs: int) -> int:
    """How many runs per arm would find a shift, if ``runs`` of them gave this error; at most 10 000.

    >>> runs_to_detect(0.05, 0.01, 10), runs_to_detect(0.05, 0.05, 10)
    (8, 82)
    """
    low, high = LEAST_RUNS, 10_000
    while low < high:
        middle = (low + high) // 2
        if detectable(error * math.sqrt(runs / middle), middle - 1) <= shift:
            high = middle
        else:
            low = middle + 1
    return low
