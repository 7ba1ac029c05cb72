"""Is the interval honest, are the tests exact, and is the stated minimum effect really found?

The long forms are slow; each has a short one, whose bounds are those of so few trials.
"""

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest

from energymeter.comparison import statistics
from energymeter.comparison.statistics import (
    cliffs_delta,
    detectable,
    holm,
    mann_whitney,
    paired_shift,
    series_shift,
    t_quantile,
    unpaired_shift,
    wilcoxon,
)

SHORT_AND_LONG = [60, pytest.param(1000, marks=pytest.mark.slow)]


def bounds(share: float, trials: int) -> tuple[float, float]:
    """Where the observed share of so many trials lies 999 times in 1000."""
    spread = NormalDist().inv_cdf(0.9995) * math.sqrt(share * (1 - share) / trials)
    return share - spread, share + spread


def autoregressive(rng: np.random.Generator, rho: float, count: int) -> np.ndarray:
    noise = rng.normal(size=count) * math.sqrt(1 - rho**2)
    values = np.empty(count)
    value = rng.normal()
    for i in range(count):
        value = rho * value + noise[i]
        values[i] = value
    return values


# Exact tests ----------------------------------------------------------------------------------------------


def by_enumeration(differences: list[float]) -> float:
    """Wilcoxon's p by going through all signs."""
    values = [d for d in differences if d]
    ranks = [
        sum(abs(x) < abs(d) for x in values) + (sum(abs(x) == abs(d) for x in values) + 1) / 2 for d in values
    ]
    seen = sum(r for r, d in zip(ranks, values, strict=True) if d > 0)
    sums = [
        sum(r for r, sign in zip(ranks, signs, strict=True) if sign)
        for signs in itertools.product((False, True), repeat=len(ranks))
    ]
    return min(1.0, 2 * min(sum(s <= seen for s in sums), sum(s >= seen for s in sums)) / len(sums))


@pytest.mark.parametrize("seed", range(8))
def test_wilcoxon_is_exact_with_ties_and_zeros_too(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(0.5, 1, size=8) * 2) / 2
    assert wilcoxon(values) == pytest.approx(by_enumeration(values.tolist()))


def ranks_by_enumeration(a: list[float], b: list[float]) -> float:
    """Mann and Whitney's p by going through all ways to choose the first arm."""
    both = [*a, *b]
    ranks = [sum(x < v for x in both) + (sum(x == v for x in both) + 1) / 2 for v in both]
    seen = sum(ranks[: len(a)])
    sums = [sum(ranks[i] for i in chosen) for chosen in itertools.combinations(range(len(both)), len(a))]
    return min(1.0, 2 * min(sum(s <= seen for s in sums), sum(s >= seen for s in sums)) / len(sums))


@pytest.mark.parametrize("seed", range(8))
def test_mann_whitney_is_exact_with_ties_too(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = np.round(rng.normal(size=5) * 2), np.round(rng.normal(0.7, 1, size=6) * 2)
    assert mann_whitney(a, b) == pytest.approx(ranks_by_enumeration(a.tolist(), b.tolist()))


@pytest.mark.parametrize("count", [4, 9, 20, 32])
def test_ours_and_scipy_agree(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy.stats", reason="scipy is not installed here")
    rng = np.random.default_rng(count)
    a, b = rng.normal(size=count), rng.normal(0.4, 1, size=count)
    theirs = wilcoxon(b - a), mann_whitney(a, b)
    monkeypatch.setattr(statistics, "_scipy", lambda *_: None)
    assert (wilcoxon(b - a), mann_whitney(a, b)) == pytest.approx(theirs, rel=1e-9)


def test_quantiles_of_student() -> None:
    table = {3: 3.182, 5: 2.571, 9: 2.262, 30: 2.042}  # NIST/SEMATECH e-Handbook, 1.3.6.7.2
    for freedom, value in table.items():
        assert t_quantile(0.975, freedom) == pytest.approx(value, rel=0.01 if freedom < 5 else 1e-3)


def test_holm_and_delta() -> None:
    assert holm([0.04, 0.001, 0.02]) == [0.04, 0.003, 0.04]
    assert holm([]) == []
    assert cliffs_delta([1, 1, 2], [1, 2, 2]) == pytest.approx((6 - 1 - 0 - 1) / 9, abs=0.2)
    rng = np.random.default_rng(5)
    a, b = rng.integers(0, 5, 30), rng.integers(1, 6, 40)
    by_hand = np.sign(b[:, None] - a[None, :]).mean()
    assert cliffs_delta(a, b) == pytest.approx(by_hand)


# The interval ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("trials", SHORT_AND_LONG)
@pytest.mark.parametrize("runs", [6, 10, 30])
def test_the_interval_of_pairs_holds_the_truth(runs: int, trials: int) -> None:
    rng = np.random.default_rng(runs)
    shifts = [paired_shift(rng.normal(0.3, 0.01, size=runs)) for _ in range(trials)]
    share = np.mean([shift.low <= 0.3 <= shift.high for shift in shifts])
    assert bounds(0.94, trials)[0] <= share <= bounds(0.97, trials)[1], share


@pytest.mark.parametrize("trials", SHORT_AND_LONG)
@pytest.mark.parametrize("runs", [5, 10])
def test_the_interval_of_independent_arms_holds_the_truth(runs: int, trials: int) -> None:
    rng = np.random.default_rng(runs)
    shifts = [
        unpaired_shift(rng.normal(0, 0.01, size=runs), rng.normal(0.3, 0.02, size=2 * runs))
        for _ in range(trials)
    ]
    share = np.mean([shift.low <= 0.3 <= shift.high for shift in shifts])
    assert bounds(0.94, trials)[0] <= share <= bounds(0.97, trials)[1], share


@pytest.mark.parametrize("trials", SHORT_AND_LONG)
@pytest.mark.parametrize("rho", [0.4, 0.7])
def test_autocorrelated_samples_do_not_narrow_the_interval(rho: float, trials: int) -> None:
    """Two recordings of ten minutes at 1 Hz; the lag-1 autocorrelation of recorded ones is up to 0.41."""
    rng = np.random.default_rng(int(10 * rho))
    hits = naive = 0
    for _ in range(trials):
        a, b = (7.0 + 0.1 * autoregressive(rng, rho, 600) for _ in range(2))
        shift = series_shift(a, b)
        hits += shift.low <= 0 <= shift.high
        error = math.hypot(a.std() / a.mean(), b.std() / b.mean()) / math.sqrt(600)
        naive += abs(math.log(b.mean() / a.mean())) <= 1.96 * error
    assert bounds(0.93, trials)[0] <= hits / trials <= bounds(0.97, trials)[1], hits / trials
    assert naive / trials < 0.85, "else there was nothing to protect from"


def test_one_wild_value_moves_the_estimate_by_less_than_the_noise() -> None:
    values = np.random.default_rng(1).normal(-0.3, 0.01, size=10)
    wild = values.copy()
    wild[3] += 5.0
    assert paired_shift(wild).value == pytest.approx(paired_shift(values).value, abs=0.01)
    assert paired_shift(wild).high < 0, "the effect is found in spite of it"


def test_the_estimate_does_not_depend_on_which_arm_is_first() -> None:
    values = np.random.default_rng(2).normal(-0.3, 0.01, size=9)
    assert paired_shift(-values).value == pytest.approx(-paired_shift(values).value)
    assert paired_shift(-values).error == pytest.approx(paired_shift(values).error)


# The minimum effect ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("trials", SHORT_AND_LONG)
@pytest.mark.parametrize("runs", [4, 6, 7, 10, 20])
def test_the_stated_minimum_effect_is_found_in_four_of_five(runs: int, trials: int) -> None:
    """Stated by one comparison, searched for by the next one."""
    rng = np.random.default_rng(runs)
    found = 0
    for _ in range(trials):
        stated = paired_shift(rng.normal(0, 0.01, size=runs))
        effect = detectable(stated.error, stated.freedom)
        a = rng.normal(0, 0.01 / math.sqrt(2), size=runs)
        b = rng.normal(effect, 0.01 / math.sqrt(2), size=runs)
        shift = paired_shift(b - a)
        chance = wilcoxon(b - a) if runs >= statistics.LEAST_PAIRS else mann_whitney(a, b)
        found += chance <= 0.05 and shift.low > 0
    assert found / trials >= bounds(0.80, trials)[0], found / trials
