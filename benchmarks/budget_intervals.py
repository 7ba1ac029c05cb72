"""Do 95 % intervals of the hours left hold the truth in 95 % of cases? Simulated and recorded discharges.

`python -m benchmarks.budget_intervals` simulates

* known cells (log-normal about their label, 10 %) under four kinds of load, asked at a random moment;
* cells known only by their label, drawn from the prior, without and with a logged voltage, asked when 10, 25,
  50 and 75 % of the run are over;
* gauges of whole percents, by their slope alone, at the same moments: one counts the charge, under a steady
  load, a bursty one and a user's, and one slips by up to 20 % when the load comes on.

`python -m benchmarks.budget_intervals FOLDER …` asks recorded discharges at the same moments. A folder
has the discharges of one load, one CSV each, from full to the end: ``time_s``, ``voltage_V``, ``current_A``;
``--battery`` says what is on the label.

Each row has how many intervals were given (the others were "cannot tell yet"), the share that held the truth
with its Wilson interval, their median width as a factor, and how much of that width the spread of the errors
needs: an interval that is as wide as the middle 95 % of the errors, in the logarithm.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import NormalDist, median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click

from energymeter.battery import ocv
from energymeter.battery.battery import Battery
from energymeter.battery.capacity import LABEL_SIGMA, Unknown
from energymeter.budget.balance import Balance
from energymeter.budget.forecast import Z95, Forecast
from energymeter.budget.gauge_log import hours_from_gauge, hours_from_log
from energymeter.budget.voltage import MODEL_SHARE, MODEL_VOLTS, Sag
from energymeter.text import Estimate

MOMENTS = (0.10, 0.25, 0.50, 0.75)
SHORTEST = 600.0
"""Seconds; shorter discharges are of cells that died under their load."""
LEAST_AMPS = 0.2
"""Less is the cell at rest, before and after its discharge."""
STEP = 5.0
SIGMA = 0.10
TRIALS = 3000
GAUGE_TRIALS = 300
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


def user(rng: random.Random) -> Iterator[float]:
    """A phone in use: every half hour another program, or none."""
    while True:
        level = rng.choice((0.4, 0.8, 1.5, 2.5, 4.0))
        for _ in range(round(1800 / STEP)):
            yield level * rng.gauss(1, 0.02)


GAUGED: dict[str, tuple[Callable[[random.Random], Iterator[float]], float]] = {
    "counts, steady": (steady, 0.0),
    "counts, bursty": (bursty, 0.0),
    "counts, user": (user, 0.0),
    "slips, steady": (steady, 0.2),
}
"""Loads, and the most by which the gauge slips within the first tenth of the run."""


def gauged(name: str, moment: float, trials: int, seed: int = 1) -> list["Asked"]:
    """Forecasts by the slope of a gauge of whole percents, of a phone's 50 kJ."""
    rng = random.Random(f"{name} {moment} {seed}")
    return [_gauged(*GAUGED[name], moment, rng) for _ in range(trials)]


def _gauged(
    load: Callable[[random.Random], Iterator[float]], most: float, moment: float, rng: random.Random
) -> "Asked":
    used, total = [0.0], rng.uniform(30e3, 60e3)
    for watts in load(rng):
        used.append(used[-1] + watts * STEP)
        if used[-1] >= total:
            break
    ask, slip = round(moment * (len(used) - 1)), rng.uniform(0, most)
    shares = [joules / total for joules in used[: ask + 1 : 12]]
    levels = [
        round(100 * (1 - share - slip * (1 - share) * min(share / 0.1, 1.0) * (share < 1)))
        for share in shares
    ]
    hours = hours_from_gauge([12 * STEP * i for i in range(len(levels))], levels)
    return Asked(hours, (len(used) - 1 - 12 * (len(levels) - 1)) * STEP / 3600)


class Asked(NamedTuple):
    """One forecast and what came of it."""

    hours: Estimate | None
    truth: float
    """Hours."""

    @property
    def held(self) -> bool:
        return self.hours is not None and self.hours.low <= self.truth <= self.hours.high


def label_only(
    moment: float, trials: int, *, voltage: bool, seed: int = 1, sigma: float | None = None
) -> list[Asked]:
    """Cells drawn cause by cause from the prior; with ``voltage`` each sags about as one of the tables.

    ``sigma`` takes them for known cells instead, which they are not.
    """
    rng = random.Random(f"{moment} {voltage} {seed}")
    return [_label_only(moment, rng, voltage, sigma) for _ in range(trials)]


def _label_only(moment: float, rng: random.Random, voltage: bool, sigma: float | None) -> Asked:
    battery = Battery(mah=rng.uniform(1500, 4000), efficiency=1.0, capacity_sigma=sigma)
    watts = battery.wh * math.exp(rng.uniform(math.log(0.1), math.log(1.0)))
    causes = Unknown(False, None, False, False, False).factors(watts / battery.wh)
    ratio = math.exp(rng.gauss(0, LABEL_SIGMA))
    for factor in causes.values():
        ratio *= factor.quantile(rng.random())
    seconds = battery.joules * ratio / watts
    seen, load = moment * seconds, Forecast()
    for _ in range(60):
        load.add(seen / 60, watts * rng.gauss(1, 0.01) * seen / 60)
    sag = None
    if voltage:
        expected = ocv.sagged(rng.choice(list(ocv.TABLES)), moment)
        sag = Sag(max(rng.gauss(expected, math.hypot(MODEL_VOLTS, MODEL_SHARE * expected)), 0.0))
    balance = Balance(battery, battery.joules, 0.0, None, running=True, sag=sag).after(watts * seen, seen)
    return Asked(balance.hours(load.level()), (seconds - seen) / 3600)


def recorded(path: Path, battery: Battery, folder: Path) -> dict[float, Asked]:
    """One recorded discharge, cut off at each moment; nothing where it ends within ten minutes."""
    title, *lines = path.read_text().splitlines()
    loaded = [i for i, line in enumerate(lines) if abs(float(line.split(",")[2])) > LEAST_AMPS]
    drawn = lines[loaded[0] : loaded[-1] + 1] if loaded else []
    times = [float(line.split(",")[0]) for line in drawn]
    if not times or times[-1] - times[0] < SHORTEST:
        return {}
    found = {}
    for moment in MOMENTS:
        at = times[0] + moment * (times[-1] - times[0])
        seen = [line for line, time in zip(drawn, times, strict=True) if time <= at]
        part = folder / "discharge.csv"
        part.write_text("\n".join([title, *seen]) + "\n")
        truth = (times[-1] - float(seen[-1].split(",")[0])) / 3600
        found[moment] = Asked(hours_from_log(str(part), battery).hours, truth)
    return found


def wilson(held: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share of which ``held`` of ``of`` were seen."""
    share, square = held / of, Z95 * Z95 / of
    reach = Z95 * math.sqrt(share * (1 - share) / of + square / of / 4)
    return (share + square / 2 - reach) / (1 + square), (share + square / 2 + reach) / (1 + square)


def widths(asked: Sequence[Asked]) -> tuple[float, float]:
    """Median width of the intervals given, in the logarithm, and the width that their errors need."""
    given = [(one.hours, one.truth) for one in asked if one.hours is not None]
    errors = sorted(math.log(truth / hours.value) for hours, truth in given)
    needed = errors[round(0.975 * (len(errors) - 1))] - errors[round(0.025 * (len(errors) - 1))]
    return median(math.log(hours.high / hours.low) for hours, _ in given), needed


def row(name: str, asked: Sequence[Asked]) -> str:
    """A row of the table for people."""
    given = [one for one in asked if one.hours is not None]
    if not given:
        return f"| {name} | 0 of {len(asked)} | | | |"
    held = sum(one.held for one in given)
    low, high = wilson(held, len(given))
    width, needed = widths(given)
    return (
        f"| {name} | {len(given)} of {len(asked)} | {held / len(given):.1%} ({low:.1%} to {high:.1%}) "
        f"| {math.exp(width):.1f} | {width / needed if needed else math.inf:.2f} |"
    )


def by_load(found: Mapping[str, Sequence[dict[float, Asked]]]) -> str:
    """A table with a row for each folder and a column for each moment: the share held, and of how many."""
    lines = ["| load | " + " | ".join(f"{moment:.0%}" for moment in MOMENTS) + " |", "|---" * 5 + "|"]
    for name, runs in found.items():
        cells = []
        for moment in MOMENTS:
            given = [run[moment] for run in runs if run and run[moment].hours is not None]
            share = sum(one.held for one in given) / len(given) if given else math.nan
            cells.append(f"{share:.1%} of {len(given)}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


@click.command()
@click.argument("folders", nargs=-1)
@click.option("--battery", default="2000mAh", show_default=True, help="The label of the recorded cells.")
@click.option("--celsius", type=float, help="Their temperature, if it is to be known.")
def main(folders: tuple[str, ...], battery: str, celsius: float | None) -> None:
    """Print how many of the intervals hold the truth."""
    head = "| asked at | given | held | width, factor | width over needed |\n|---|---|---|---|---|"
    if folders:
        label = Battery.parse(battery).with_(efficiency=1.0)
        label = label if celsius is None else label.with_(celsius=celsius)
        with TemporaryDirectory() as parts:
            found = {
                Path(folder).name: [
                    recorded(path, label, Path(parts)) for path in sorted(Path(folder).glob("*.csv"))
                ]
                for folder in folders
            }
        click.echo(f"{by_load(found)}\n\n{head}")
        for moment in MOMENTS:
            asked = [run[moment] for runs in found.values() for run in runs if run]
            click.echo(row(f"{moment:.0%} of the run", asked))
        return
    click.echo(f"{TRIALS} intervals each held the truth in, with seeds {SEEDS}:")
    for load in LOADS:
        shares = [coverage(load, TRIALS, seed) for seed in SEEDS]
        each = " ".join(f"{share:6.1%}" for share in shares)
        click.echo(f"{load:12} {each}   together {sum(shares) / len(shares):6.1%}")
    for voltage in (False, True):
        word = "with" if voltage else "without"
        click.echo(f"\nknown only by the label, {word} a logged voltage:\n\n{head}")
        for moment in MOMENTS:
            click.echo(row(f"{moment:.0%} of the run", label_only(moment, TRIALS, voltage=voltage)))
    click.echo(f"\nby the slope of a gauge:\n\n{head.replace('asked at', 'gauge')}")
    for name in GAUGED:
        for moment in MOMENTS:
            click.echo(row(f"{name}, {moment:.0%}", gauged(name, moment, GAUGE_TRIALS)))


if __name__ == "__main__":
    main()
