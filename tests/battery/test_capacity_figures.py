"""The prior of a battery that is known by its label: against a million draws of its causes, and by hand."""

import math
import random
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from energymeter.battery.capacity import (
    Factor,
    LogNormal,
    Tabled,
    Unknown,
    loss,
    triangular,
    unknown,
    updated,
)

NOTHING_GIVEN = Unknown(False, None, False, False, False)
ALL_GIVEN = Unknown(True, 20.0, True, True, False)
DRAWS = 200_000

Drawn = Callable[[np.random.Generator], np.ndarray]


def of_health(rng: np.random.Generator) -> np.ndarray:
    return rng.triangular(0.7, 1.0, 1.1, DRAWS)


def of_ageing(rng: np.random.Generator) -> np.ndarray:
    return 1 - 0.5 * rng.random(DRAWS) ** 3


def of_resistance(rate: float, grown: float = 1.0) -> Drawn:
    return lambda rng: np.maximum(1 - (0.02 + 0.21 * rng.random(DRAWS) ** 3) * rate * grown, 0.05)


def of_rate(rate: float) -> Drawn:
    return lambda rng: max(5 * rate, 1.0) ** (1 - rng.triangular(1.0, 1.02, 1.10, DRAWS))


def of_cold(either: float) -> Drawn:
    return lambda rng: rng.triangular(1 - either, 1.0, 1 + either, DRAWS)


def of_cut_off(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0.8, 1.0, DRAWS) / 0.9


def of_a_room(rng: np.random.Generator) -> np.ndarray:
    return 1 - 0.2 * rng.random(DRAWS) ** 3


def of_converter(rng: np.random.Generator) -> np.ndarray:
    return rng.triangular(0.80, 0.90, 0.93, DRAWS) / 0.90


@pytest.mark.parametrize(
    ("what", "rate", "gain", "causes"),
    [
        (NOTHING_GIVEN, 1.0, 0.0, [of_ageing, of_a_room, of_resistance(1.0), of_rate(1.0), of_cut_off]),
        (NOTHING_GIVEN, 0.1, 0.0, [of_ageing, of_a_room, of_resistance(0.1), of_cut_off]),
        (
            NOTHING_GIVEN._replace(converter=True),
            0.1,
            0.05,
            [of_ageing, of_a_room, of_resistance(0.1), of_cut_off, of_converter],
        ),
        (ALL_GIVEN, 0.5, 0.0, [of_health, of_resistance(0.5)]),
        (ALL_GIVEN._replace(celsius=0.0), 0.5, 0.0, [of_health, of_cold(0.06), of_resistance(0.5, 2.0)]),
        (ALL_GIVEN._replace(celsius=10.0), 0.5, 0.0, [of_health, of_cold(0.03), of_resistance(0.5, 2**0.5)]),
        (ALL_GIVEN._replace(celsius=-20.0), 0.5, 0.0, [of_health, of_cold(0.17), of_resistance(0.5, 4.0)]),
        (ALL_GIVEN._replace(celsius=-60.0), 0.1, 0.0, [of_health, of_cold(0.3), of_resistance(0.1, 16.0)]),
        (ALL_GIVEN._replace(celsius=45.0), 0.5, 0.0, [of_health, of_resistance(0.5)]),
    ],
)
def test_the_prior_is_the_product_of_its_causes(
    what: Unknown, rate: float, gain: float, causes: list[Drawn]
) -> None:
    rng = np.random.default_rng(7)
    drawn = np.exp(rng.normal(0.0, math.hypot(0.04, gain), DRAWS))
    for cause in causes:
        drawn *= cause(rng)
    prior = unknown(what, rate, gain)
    for share in (0.03, 0.25, 0.5, 0.75, 0.97):
        # the rate is rounded to 5 %, the grid is 1 % wide
        assert prior.at_survival(1 - share) == pytest.approx(np.quantile(drawn, share), rel=0.012)


def test_rates_beyond_the_table_count_as_its_ends() -> None:
    assert unknown(ALL_GIVEN, 0.0) == unknown(ALL_GIVEN, 0.01)
    assert unknown(ALL_GIVEN, 1e9) == unknown(ALL_GIVEN, 50.0)
    assert unknown(ALL_GIVEN, 49.0) != unknown(ALL_GIVEN, 40.0)
    assert unknown(ALL_GIVEN, 1.0, gain=0.0101) == unknown(ALL_GIVEN, 1.0, gain=0.015)  # rounded up
    assert unknown(ALL_GIVEN, 1.0, gain=0.0101) != unknown(ALL_GIVEN, 1.0, gain=0.01)


def test_a_triangle_has_its_quantiles() -> None:
    low = triangular(1.0, 2.0, 5.0)
    # a quarter of its area lies below the mode; below x, (x - 1)² / 4
    assert [low(p) for p in (0.0, 0.0625, 0.25)] == pytest.approx([1.0, 1.5, 2.0])
    assert [low(p) for p in (1.0, 1 - 1 / 12, 0.25 + 1e-12)] == pytest.approx([5.0, 4.0, 2.0])


def test_half_lose_little() -> None:
    assert [loss(0.5, 3)(p) for p in (0.0, 0.5, 1.0)] == [1.0, 1 - 0.5 / 8, 0.5]


def test_a_factor_s_weights_lie_where_its_logarithm_does() -> None:
    first, weights = Factor(lambda p: math.exp(0.01 * (5 if p < 0.25 else 7))).weights()
    assert (first, weights) == (5, pytest.approx([0.25, 0.0, 0.75]))


def test_a_known_spread_at_its_ends() -> None:
    assert LogNormal(0.1).survival(0.0) == LogNormal(0.1).survival(-1.0) == 1.0
    assert LogNormal(0.1).survival(1.0) == 0.5
    assert (LogNormal(0.0).survival(0.999), LogNormal(0.0).survival(1.0)) == (1.0, 0.0)
    for probability in (0.01, 0.4, 0.99):
        spread = LogNormal(0.2)
        assert spread.survival(spread.at_survival(probability)) == pytest.approx(probability)


def test_a_table_runs_straight_between_its_steps() -> None:
    table = Tabled.of(0.0, [1.0, 3.0])
    assert table.survivals == (1.0, 0.75, 0.0)
    assert [
        table.survival(math.exp(place)) for place in (0.0, 0.005, 0.01, 0.015, 0.02, 0.5)
    ] == pytest.approx([1.0, 0.875, 0.75, 0.375, 0.0, 0.0])
    assert table.survival(0.0) == table.survival(0.5) == 1.0
    for probability in (0.999, 0.8, 0.75, 0.3, 0.001):
        assert table.survival(table.at_survival(probability)) == pytest.approx(probability)
    assert Tabled(0.0, (1.0, 1.0, 0.5, 0.5, 0.0)).at_survival(0.5) == pytest.approx(math.exp(0.02))


def test_what_was_seen_moves_the_prior() -> None:
    seen = updated(LogNormal(0.1), lambda ratio: 1.0 if ratio > 1 else 0.0)
    assert seen.survival(1.0) == pytest.approx(1.0, abs=0.04)
    # the upper half: its median lies at the upper quarter
    assert seen.at_survival(0.5) == pytest.approx(LogNormal(0.1).at_survival(0.25), rel=0.005)
    alike = updated(LogNormal(0.1), lambda ratio: 3.0)
    nothing = updated(LogNormal(0.1), lambda ratio: 0.0)  # it fits no battery: the prior stays
    rng = random.Random(1)
    for ratio in [rng.uniform(0.7, 1.4) for _ in range(20)]:
        assert alike.survival(ratio) == pytest.approx(LogNormal(0.1).survival(ratio), abs=1e-3)
        assert nothing.survival(ratio) == pytest.approx(LogNormal(0.1).survival(ratio), abs=1e-3)
    assert all(before >= after for before, after in pairwise(seen.survivals))
