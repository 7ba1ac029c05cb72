"""Does the ± of short windows hold, where a meter reports means of a second, smooths or keeps its values?

Each trial draws a load, the phase of a meter and one window of it:

* burst: one burst over rest, and the window is the burst, as when a span is around the code that works;
* loop: bursts with pauses of random length, and the window is one of them;
* random: power that steps at random moments, and the window lies anywhere.

`python -m benchmarks.short_windows [TRIALS [SEED [METER]]]` prints for each meter, load and length how many
of the intervals held the true energy, with its Wilson interval, the median ± as a share of that energy, and
what 95 % of the errors keep within. ``METER``: how the names of those wanted begin.
"""

import math
import random
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from statistics import median
from typing import NamedTuple

from benchmarks.budget_intervals import wilson
from energymeter.drivers.fnirsi import Fnirsi
from energymeter.drivers.nvml import MEANS
from energymeter.drivers.shelly import Shelly
from energymeter.drivers.tc66c import Tc66c
from energymeter.energy.gaps import gap_limit_ns, tick_wait_ns
from energymeter.energy.integrate import Integrator
from energymeter.energy.uncertainty import Part, components_of, expanded
from energymeter.reading import Facts, Reading
from energymeter.sampling.curve import Curve
from energymeter.sampling.memory import ChannelMemory, CurveWriter, channel_bytes

LENGTHS = (0.2, 0.4, 0.7, 1.0, 2.0, 5.0)
BEFORE = 6.0
"""Seconds from the first sample to the window, and from its end to the last sample."""
NOISE = 1e-3


class Meter(NamedTuple):
    """How one kind of meter makes its values of the true power."""

    name: str
    facts: Facts
    hz: float
    mean_seconds: float
    """A value is the mean of so much time, up to the moment when it was renewed."""
    renewal_seconds: float
    smoothed: bool = False
    """It averages over anything up to ``mean_seconds``; how long, it does not say."""


METERS = (
    Meter("NVML, means of 1 s", MEANS, 1.0, 1.0, 0.1),
    Meter("plug, means of 1 s", Shelly.facts, 1.0, 1.0, 1.0),
    Meter("renewed every 0.3 s", Facts(renewal_seconds=0.3), 50.0, 0.02, 0.3),
    Meter("FNIRSI, 100 Hz", Fnirsi.facts, 100.0, 0.5, 0.01, smoothed=True),
    Meter("TC66C, 5 Hz", Tc66c.facts, 5.0, 0.4, 0.1, smoothed=True),
)


class Load:
    """Power that is level between steps, with its energy known exactly."""

    def __init__(self, steps: list[tuple[float, float]]) -> None:
        """``steps``: (seconds, watts); the last one lasts."""
        self._times = [0.0, *accumulate(seconds for seconds, _ in steps)]
        self._watts = [watts for _, watts in steps]
        self._joules = [0.0, *accumulate(seconds * watts for seconds, watts in steps)]

    def joules(self, at: float) -> float:
        number = min(max(bisect_right(self._times, at) - 1, 0), len(self._watts) - 1)
        return self._joules[number] + self._watts[number] * (at - self._times[number])

    def mean(self, at: float, seconds: float) -> float:
        return (self.joules(at) - self.joules(at - seconds)) / seconds


def burst(rng: random.Random, seconds: float) -> tuple[Load, float]:
    """A burst over rest; the window begins with it."""
    rest, high = rng.uniform(0.5, 3), rng.uniform(5, 15)
    start = BEFORE + rng.random()
    return Load([(start, rest), (seconds, high), (60.0, rest)]), start


def loop(rng: random.Random, seconds: float) -> tuple[Load, float]:
    """Bursts again and again; the window is one of them."""
    rest, high = rng.uniform(0.5, 3), rng.uniform(5, 15)
    pause = seconds * rng.uniform(0.1, 2.0)
    steps, starts, at = [], [], 0.0
    while at < 2 * BEFORE + seconds:
        idle = pause * rng.uniform(0.8, 1.2)
        steps += [(idle, rest), (seconds, high)]
        starts.append(at + idle)
        at += idle + seconds
    return Load([*steps, (60.0, rest)]), next(start for start in starts if start > BEFORE)


def anywhere(rng: random.Random, seconds: float) -> tuple[Load, float]:
    """Steps at random moments, on average every 0.3 to 30 s; the window begins at none of them."""
    stay = math.exp(rng.uniform(math.log(0.3), math.log(30)))
    steps = [(rng.expovariate(1 / stay), rng.uniform(1, 15)) for _ in range(math.ceil(60 / stay) + 20)]
    return Load(steps), BEFORE + rng.random()


LOADS: dict[str, Callable[[random.Random, float], tuple[Load, float]]] = {
    "burst": burst,
    "loop": loop,
    "random": anywhere,
}


def readings(meter: Meter, load: Load, until: float, rng: random.Random) -> Iterator[tuple[float, Reading]]:
    """What the meter shows when it is read, phase and jitter drawn."""
    phase, first = rng.random() * meter.renewal_seconds, rng.random() / meter.hz
    average = rng.uniform(0.05, 1.0) * meter.mean_seconds if meter.smoothed else meter.mean_seconds
    described = meter.mean_seconds if meter.facts.semantics == "mean" else None
    for number in range(math.ceil(until * meter.hz)):
        at = first + number / meter.hz + rng.random() * 2e-3
        renewed = phase + math.floor((at - phase) / meter.renewal_seconds) * meter.renewal_seconds
        noise = 1 + NOISE * random.Random(renewed).gauss(0, 1)
        yield at, Reading(watts=load.mean(renewed, average) * noise, seconds=described)


class Trial(NamedTuple):
    """One window: its true energy, the error and the ±, in J."""

    joules: float
    error: float
    uncertainty: float


def trial(meter: Meter, load: str, seconds: float, rng: random.Random) -> Trial:
    """Measure one window as the sampler does."""
    true, start = LOADS[load](rng, seconds)
    end = start + seconds
    samples = 4096
    memory = ChannelMemory(memoryview(bytearray(channel_bytes(samples))), samples)
    writer = CurveWriter(memory)
    facts = meter.facts._replace(volts=None, amps=None, watts=None, joules=None)  # the sampling alone
    integrator = Integrator(facts, gap_limit_ns(1e9 / meter.hz), tick_wait_ns=tick_wait_ns(meter.hz))
    for at, reading in readings(meter, true, end + BEFORE, rng):
        row = integrator.extend(round(at * 1e9), *reading[:6], fresh=reading.fresh, final=False)
        if row is not None:
            writer.append(row)
    curve = Curve.of(facts, memory)
    window = curve.window(round(start * 1e9), round(end * 1e9))
    part = Part("a meter", facts, window, curve.interval_seconds(1 / meter.hz))
    joules = true.joules(end) - true.joules(start)
    return Trial(joules, window.joules - joules, expanded(components_of(part)))


def main(trials: int, seed: str, only: str) -> None:
    """Print the table of the meters whose names begin so."""
    import click

    click.echo(f"{trials} windows each; seed {seed!r}")
    click.echo(f"{'meter':22}{'load':8}{'s':>4}  {'held':>6} {'Wilson 95 %':>15}  {'±':>7} {'errors':>7}")
    for meter in [meter for meter in METERS if meter.name.startswith(only)]:
        for load in LOADS:
            for seconds in LENGTHS:
                rng = random.Random(f"{meter.name} {load} {seconds}{seed}")
                found = [trial(meter, load, seconds, rng) for _ in range(trials)]
                held = sum(abs(one.error) <= one.uncertainty for one in found)
                low, high = wilson(held, trials)
                errors = sorted(abs(one.error) / one.joules for one in found)
                needed = errors[math.ceil(0.95 * trials) - 1]
                wide = median(one.uncertainty / one.joules for one in found)
                click.echo(
                    f"{meter.name:22}{load:8}{seconds:4g}  {held / trials:6.1%} {low:7.1%}-{high:6.1%}  "
                    f"{wide:7.1%} {needed:7.1%}"
                )


if __name__ == "__main__":
    given = dict(enumerate(sys.argv))
    main(int(given.get(1, "1000")), given.get(2, ""), given.get(3, ""))
