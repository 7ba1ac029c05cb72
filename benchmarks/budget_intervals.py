"""Do 95 % intervals of the hours left hold the truth in 95 % of cases? Simulated batteries and loads.

Each trial draws a battery (log-normal about its label, 10 %) and a load, runs it down in steps of five
seconds and asks for the hours left at a random moment of its life. `python -m benchmarks.budget_intervals`
prints the share of intervals that held the true end, seed by seed; 93 to 97 % are wanted.
"""

import math
import random
from collections.abc import Callable, Iterator
from statistics import NormalDist

import click

from energymeter.battery.battery import Battery
from energymeter.budget.balance import Balance
from energymeter.budget.forecast import Forecast

STEP = 5.0
SIGMA = 0.10
TRIALS = 3000
SEEDS = (1, 2, 3)


def steady(rng: random.Random) -> Iterator[float]:
    """An inference loop: a level, and correlated scatter of 2 %."""
    level, wander = rng.uniform(2, 8), 0.0
    while True:
        wander = 0.9 * wander + rng.gauss(0, 0.02 * math.sqrt(1 - 0.9**2))
        yield level * (1 + wander)


def stepped(rng: random.Random) -> Iterator[float]:
    """One program after the other, each at its own level for an hour or so."""
    while True:
        level = rng.uniform(3, 6)
        for _ in range(round(rng.expovariate(1 / 3600) / STEP) + 1):
            yield level * rng.gauss(1, 0.02)


def bursty(rng: random.Random) -> Iterator[float]:
    """Work as it comes: busy for 30 s, idle for 60 s on average."""
    idle, busy = rng.uniform(1, 3), rng.uniform(5, 9)
    while True:
        for level, mean in ((busy, 30.0), (idle, 60.0)):
            for _ in range(round(rng.expovariate(1 / mean) / STEP)):
                yield level * rng.gauss(1, 0.02)


def duty_cycled(rng: random.Random) -> Iterator[float]:
    """Every five minutes a job of half a minute."""
    idle, busy = rng.uniform(0.5, 2), rng.uniform(4, 9)
    while True:
        for level, steps in ((busy, 6), (idle, 54)):
            for _ in range(steps):
                yield level * rng.gauss(1, 0.02)


LOADS: dict[str, Callable[[random.Random], Iterator[float]]] = {
    "steady": steady,
    "stepped": stepped,
    "bursty": bursty,
    "duty-cycled": duty_cycled,
}


def held(load: str, rng: random.Random, luck: float) -> bool | None:
    """One trial with a battery ``luck`` standard deviations better than its label: did the interval hold?

    ``None``: it was too wide to be given.
    """
    battery = Battery(mah=rng.uniform(1500, 4000), capacity_sigma=SIGMA)
    truth = battery.rail_joules() * math.exp(SIGMA * luck)
    watts: list[float] = []
    drawn = 0.0
    for level in LOADS[load](rng):
        if drawn + level * STEP >= truth:
            break
        drawn += level * STEP
        watts.append(level)
    ask = round(rng.uniform(0.1, 0.9) * len(watts))
    forecast = Forecast()
    for level in watts[:ask]:
        forecast.add(STEP, level * STEP)
    balance = Balance(battery, battery.joules, 0.0, SIGMA).after(sum(watts[:ask]) * STEP, ask * STEP)
    hours = balance.hours(forecast.level())
    return None if hours is None else hours.low <= (len(watts) - ask) * STEP / 3600 <= hours.high


def coverage(load: str, trials: int, seed: int = 1) -> float:
    """Share of the intervals given that held the truth; the batteries' luck is one of each rank."""
    rng = random.Random(f"{load} {seed}")
    normal = NormalDist()
    found = [held(load, rng, normal.inv_cdf((i + rng.random()) / trials)) for i in range(trials)]
    given = [one for one in found if one is not None]
    return sum(given) / len(given)


def main() -> None:
    """Print the share of each load and seed."""
    click.echo(f"{TRIALS} intervals each held the truth in, with seeds {SEEDS}:")
    for load in LOADS:
        shares = [coverage(load, TRIALS, seed) for seed in SEEDS]
        each = " ".join(f"{share:6.1%}" for share in shares)
        click.echo(f"{load:12} {each}   together {sum(shares) / len(shares):6.1%}")


if __name__ == "__main__":
    main()
