"""Is the ± honest? Thousands of emulated INA219 with drawn errors, their energy against the true one.

Each chip draws, evenly within its data sheet's limits, the errors of its shunt, gain, bus voltage and
offsets, the speed of its oscillator, and a noise; it is calibrated against a reference with drawn errors of
its own, in air up to 10 K from that of the run. Then it measures one window of a load through the real
driver, integrator and curve, once with its card and once without. `python -m benchmarks.uncertainty
[CHIPS [SEED]]` prints, for each load and rate, how often the true energy lay within ± (93 to 97 % are
wanted, give or take what so many chips can tell) and how wrong the energies were.
"""

import itertools
import math
import random
import sys
from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

from energymeter.calibration.fitting import fit_all, model_of
from energymeter.calibration.points import Point, Reference, average
from energymeter.clock import ManualClock
from energymeter.drivers.emulated.ina219 import Ina219Chip
from energymeter.drivers.ina219 import Ina219
from energymeter.energy.correction import DRIFT_PER_KELVIN, UNKNOWN_KELVIN, Correction, Model
from energymeter.energy.uncertainty import Part, components_of, expanded
from energymeter.reading import Band
from energymeter.sampling.curve import Curve
from energymeter.sampling.loop import Channel
from energymeter.sampling.memory import ChannelMemory, channel_bytes, ring_samples

RATES = (10.0, 100.0, 900.0)
SECONDS = {10.0: 10.0, 100.0: 5.0, 900.0: 2.0}
OHMS, TOLERANCE, CHIP_GAIN = 0.1, 0.01, 0.005
OFFSETS = (100e-6, 125e-6, 150e-6, 200e-6)
NOISE_VOLTS = 20e-6
REFERENCE = Band(0.001, 2e-4, 1e-5)
AMPS = (0.0, 0.05, 0.08, 0.12, 0.18, 0.25, 0.35, 0.5, 1.0, 1.5, 2.3)


class Wave:
    """A current that is constant between given moments; the chip's ``Load``.

    Args:
        steps: (seconds to last, amps); the last lasts indefinitely.
    """

    def __init__(self, steps: list[tuple[float, float]], volts: float) -> None:
        self._volts = volts
        self._since, self._amps, self._coulombs = [0.0], [steps[0][1]], [0.0]
        for (seconds, amps), (_, following) in itertools.pairwise(steps):
            self._since.append(self._since[-1] + seconds)
            self._coulombs.append(self._coulombs[-1] + seconds * amps)
            self._amps.append(following)

    def charge(self, at_ns: int) -> float:
        at = at_ns * 1e-9
        i = max(bisect_right(self._since, at) - 1, 0)
        return self._coulombs[i] + self._amps[i] * (at - self._since[i])

    def steady(self, since_ns: int, until_ns: int) -> bool:
        return bisect_right(self._since, since_ns * 1e-9) == bisect_right(self._since, until_ns * 1e-9)

    def volts(self, at_ns: int) -> float:
        return self._volts


def steady(rng: random.Random) -> list[tuple[float, float]]:
    """About 1 A indefinitely."""
    return [(0.0, rng.uniform(0.9, 1.1))]


def bursty(rng: random.Random) -> list[tuple[float, float]]:
    """Work as it comes: 2 A for 0.2 s, 0.5 A for 0.4 s on average."""
    return [(rng.expovariate(1 / mean), amps) for _ in range(100) for mean, amps in ((0.2, 2.0), (0.4, 0.5))]


def duty_cycled(rng: random.Random) -> list[tuple[float, float]]:
    """The same job again and again, for 30 % of its time."""
    period = rng.uniform(0.3, 1.5)
    return [(rng.uniform(0, period), 0.5), *[(0.3 * period, 2.2), (0.7 * period, 0.5)] * 100]


LOADS: dict[str, Callable[[random.Random], list[tuple[float, float]]]] = {
    "steady": steady,
    "bursty": bursty,
    "duty-cycled": duty_cycled,
}


class Errors(NamedTuple):
    """What is wrong with one chip and its module."""

    gain: float
    bus_gain: float
    offsets: tuple[float, ...]
    slowness: float

    @classmethod
    def drawn(cls, rng: random.Random) -> "Errors":
        return cls(
            (1 + rng.uniform(-TOLERANCE, TOLERANCE)) * (1 + rng.uniform(-CHIP_GAIN, CHIP_GAIN)),
            1 + rng.uniform(-0.005, 0.005),
            tuple(rng.uniform(-most, most) for most in OFFSETS),
            rng.uniform(0.9, 1.1),
        )


class Bench:
    """One module on a load, with a clock of its own."""

    def __init__(self, errors: Errors, wave: Wave, rate_hz: float, rng: random.Random) -> None:
        self.clock, self.rate_hz = ManualClock(), rate_hz
        gauss = rng.gauss
        self.chip = Ina219Chip(
            wave,
            self.clock.monotonic_ns,
            shunt=OHMS * errors.gain,
            noise=lambda: gauss(0.0, NOISE_VOLTS),
            offsets=errors.offsets,
            bus_gain=errors.bus_gain,
            slowness=errors.slowness,
        )
        self.source = Ina219(shunt=OHMS, tolerance=TOLERANCE, wire=self.chip, clock=self.clock)
        self.source.tune(rate_hz)
        self.source.open()

    def run(self, seconds: float, channels: list[Channel]) -> None:
        """Read at the rate, into every channel."""
        for _ in range(round(seconds * self.rate_hz)):
            self.clock.sleep(1 / self.rate_hz)
            reading = self.source.read()
            for channel in channels:
                channel.take(self.clock.monotonic_ns(), reading)

    def channel(self, correction: Correction | None) -> tuple[Channel, Curve]:
        """Memory for what is read."""
        capacity = ring_samples(self.rate_hz)
        memory = ChannelMemory(memoryview(bytearray(channel_bytes(capacity))), capacity)
        channel = Channel(self.source, memory, self.rate_hz, correction)
        return channel, Curve(memory, trapezoids=self.source.facts.semantics == "instant")


def calibrated(errors: Errors, rng: random.Random) -> Model:
    """A card, as the script would make it, against a reference with errors of its own."""
    wrong = {
        quantity: (1 + rng.uniform(-1, 1) * REFERENCE.gain, rng.uniform(-1, 1) * REFERENCE.offset)
        for quantity in ("volts", "amps")
    }
    points = []
    for amps in AMPS:
        for point in _held(errors, amps, rng):
            gain, offset = wrong[point.channel]
            steps = round((point.reference * gain + offset) / REFERENCE.resolution)
            points.append(point._replace(reference=steps * REFERENCE.resolution))
    reference = Reference("bench multimeter", REFERENCE, REFERENCE)
    facts = Ina219(shunt=OHMS, tolerance=TOLERANCE).facts
    return model_of(fit_all(points, facts, reference))


def _held(errors: Errors, amps: float, rng: random.Random) -> list[Point]:
    """One load, held until the range has settled: what is shown and what is true."""
    volts = 3.3 + 0.8 * amps  # a bench supply is turned, so that the bus has a slope too
    bench = Bench(errors, Wave([(0.0, amps)], volts), 50.0, rng)
    bench.run(1.2, [])
    readings = []
    for _ in range(40):
        bench.clock.sleep(0.02)
        readings.append(bench.source.read())
    points = []
    facts = bench.source.facts
    for quantity, true, band in (("volts", volts, facts.volts), ("amps", amps, facts.amps)):
        step = band.resolution if band else 0.0
        mean = average([getattr(reading, quantity) for reading in readings if reading.fresh], step)
        name = bench.source.range if quantity == "amps" else ""
        points.append(Point(quantity, mean.value, true, mean.uncertainty, range=name))
    return points


class Trial(NamedTuple):
    """One chip's window: relative errors and relative ±, without and with its card."""

    plain: float
    plain_u: float
    card: float
    card_u: float


def trial(load: str, rate_hz: float, rng: random.Random) -> Trial:
    """Window a chip, calibrate it, measure a window."""
    errors = Errors.drawn(rng)
    model = calibrated(errors, rng)
    warm = 1 + rng.uniform(-1, 1) * DRIFT_PER_KELVIN * UNKNOWN_KELVIN
    volts = rng.uniform(4.8, 5.2)
    wave = Wave(LOADS[load](rng), volts)
    bench = Bench(errors._replace(gain=errors.gain * warm), wave, rate_hz, rng)
    pairs = [bench.channel(correction) for correction in (None, model.correction())]
    seconds = SECONDS[rate_hz]
    bench.run(seconds + 3.0, [channel for channel, _ in pairs])
    start_ns = round(rng.uniform(1.0, 2.0) * 1e9)
    end_ns = start_ns + round(seconds * 1e9)
    true = volts * (wave.charge(end_ns) - wave.charge(start_ns))
    figures: list[float] = []
    for (_, curve), its in zip(pairs, (None, model), strict=True):
        window = curve.window(start_ns, end_ns)
        part = Part("chip", bench.source.facts, window, 1 / rate_hz, its)
        figures += (window.joules - true) / true, expanded(components_of(part)) / true
    return Trial(*figures)


def coverage(trials: list[Trial]) -> tuple[float, float]:
    """Share of the intervals that held the true energy, without and with the card."""
    plain = sum(abs(t.plain) <= t.plain_u for t in trials) / len(trials)
    return plain, sum(abs(t.card) <= t.card_u for t in trials) / len(trials)


def typical(errors: list[float]) -> float:
    """The error that 95 % of the chips keep within."""
    return sorted(map(abs, errors))[math.ceil(0.95 * len(errors)) - 1]


def main(chips: int, seed: str) -> None:
    """Print the table."""
    import click

    reported = 2 * math.sqrt(0.95 * 0.05 / chips)
    click.echo(f"{chips} chips each, so that a share of 95 % is known to ± {reported:.1%}; seed {seed!r}")
    click.echo("errors that 95 % keep within, and the median ± printed (k = 2)")
    click.echo(
        f"{'load':12}{'Hz':>5}  {'held':>6} {'error':>7} {'±':>7}   {'held':>6} {'error':>7} {'±':>7} "
        "with card"
    )
    for load in LOADS:
        for rate_hz in RATES:
            rng = random.Random(f"{load} {rate_hz}{seed}")
            trials = [trial(load, rate_hz, rng) for _ in range(chips)]
            plain, card = coverage(trials)
            cells = [
                f"{share:6.1%} {typical(errors):7.2%} {sorted(stated)[len(stated) // 2]:7.2%}"
                for share, errors, stated in (
                    (plain, [t.plain for t in trials], [t.plain_u for t in trials]),
                    (card, [t.card for t in trials], [t.card_u for t in trials]),
                )
            ]
            click.echo(f"{load:12}{rate_hz:5.0f}  {cells[0]}   {cells[1]}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, sys.argv[2] if len(sys.argv) > 2 else "")
