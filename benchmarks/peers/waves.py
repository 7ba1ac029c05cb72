"""Section 4: real recorded power as the input of every tool's sampling rule, and of our driver.

The recording is taken as steps: each row holds until the next. Each rule is given every phase against the
recording; what a tool would have to be luckier for counts as its error. Tools that only difference
hardware counters, or that look at no power at all, have no rule to try.
"""

import os
import statistics
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from venvs import ROOT

from energymeter.clock import ManualClock
from energymeter.drivers.emulated.ina219 import Ina219Chip
from energymeter.drivers.ina219 import Ina219
from energymeter.recordings.reader import Hints, read
from energymeter.sampling.config import SourceConfig
from energymeter.sampling.curve import Curve
from energymeter.sampling.memory import Count
from energymeter.sampling.session import Session

_PHASES = 10
_VOLTS = 5.0
DATA = Path(os.environ.get("ENERGYMETER_TEST_DATA", ROOT.parent / "shared" / "data")) / "traces"
RECORDINGS = {
    "MLPerf Tiny, 1 ms": ("mlperf_tiny/NUCLEO_L4R5ZI_ad/trace1-energy.bin", None),
    "Raspberry Pi 5, 35 ms": ("e2fl/power_RPi5_2025-03-28_015640.230948.csv", "W"),
    "Jetson, 11 ms": ("e2fl/power_jetson_2025-03-28_015632.827713.csv", "mW"),
}


class Wave:
    """Recorded power as steps, and its exact integral; for an emulated chip, the current at 5 V."""

    def __init__(self, times: list[float], watts: list[float]) -> None:
        self._times = [time - times[0] for time in times]
        self._watts = watts
        steps = (
            watt * (end - start) for watt, (start, end) in zip(watts, pairwise(self._times), strict=False)
        )
        self._joules = list(accumulate(steps, initial=0.0))
        self.seconds = self._times[-1]
        self.most_amps = max(watts) / _VOLTS

    def power(self, at: float) -> float:
        """Watts at a time."""
        return self._watts[max(0, bisect_right(self._times, at) - 1)]

    def energy(self, at: float) -> float:
        """Joules from the start."""
        at = min(max(at, 0.0), self.seconds)
        row = min(bisect_right(self._times, at), len(self._times)) - 1
        return self._joules[row] + self._watts[row] * (at - self._times[row])

    # what the emulated chip asks of a load

    def charge(self, at_ns: int) -> float:
        """Coulombs from the start."""
        return self.energy(at_ns * 1e-9) / _VOLTS

    def steady(self, since_ns: int, until_ns: int) -> bool:
        """Never surely."""
        return False

    def volts(self, at_ns: int) -> float:
        """Always the same."""
        return _VOLTS


# -- the peers' rules, as their source has them ----------------------------------------------------


def right_rectangles(wave: Wave, interval: float, phase: float) -> float:
    """CodeCarbon's Pi 5 back end (15 s), Zeus on a Jetson (0.1 s): a reading times the time since the last."""
    edges = [0.0, *_ticks(wave, interval, phase), wave.seconds]
    return sum(wave.power(end) * (end - start) for start, end in pairwise(edges))


def trapezoids(wave: Wave, interval: float, phase: float) -> float:
    """perun (1 s): straight lines between the readings that fell into the block."""
    ticks = _ticks(wave, interval, phase)
    return sum((wave.power(a) + wave.power(b)) / 2 * (b - a) for a, b in pairwise(ticks))


def every_other_second(wave: Wave, interval: float, phase: float) -> float:
    """carbontracker (1 s looked at, 1 s slept): the mean of what it saw times the block; its PUE left out."""
    looks = _ticks(wave, 2 * interval, phase)
    means = [(wave.energy(at + interval) - wave.energy(at)) / interval for at in looks[:-1]] or [0.0]
    return statistics.mean(means) * wave.seconds


def _ticks(wave: Wave, interval: float, phase: float) -> list[float]:
    return [phase + n * interval for n in range(int((wave.seconds - phase) / interval) + 1)]


_RULES: dict[str, tuple[Callable[[Wave, float, float], float], float]] = {
    "codecarbon (15 s)": (right_rectangles, 15.0),
    "zeus (0.1 s)": (right_rectangles, 0.1),
    "perun (1 s)": (trapezoids, 1.0),
    "carbontracker (1 s in 2)": (every_other_second, 1.0),
}


# -- ours ------------------------------------------------------------------------------------------


class _Pace(ManualClock):
    """A clock that is also a session's pace, to the end of the recording."""

    end_ns = 0

    def now_ns(self) -> int:
        return self.monotonic_ns()

    def wait_until(self, deadline_ns: int) -> bool:
        self.sleep((min(deadline_ns, self.end_ns) - self.now_ns()) * 1e-9)
        return deadline_ns >= self.end_ns

    def suspended_ns(self) -> int:
        return 0

    def cpu_ns(self) -> int:
        return 0


def measured(wave: Wave, rate_hz: float) -> tuple[float, float]:
    """Joules and mean volts that our driver, loop and curve make of the wave; time is simulated."""
    pace = _Pace()
    pace.end_ns = round(wave.seconds * 1e9)
    shunt = min(0.1, 0.3 / wave.most_amps) if wave.most_amps > 0.3 else 0.3 / wave.most_amps
    chip = Ina219Chip(wave, pace.monotonic_ns, shunt=shunt)
    meter = Ina219("1:0x40", shunt=shunt, max_amps=wave.most_amps, wire=chip, clock=pace)
    session = Session([SourceConfig(meter, rate_hz)], {})
    (info,) = session.channels
    memory = memoryview(bytearray(session.size))
    session.prepare(memory, pace)
    session.run()
    seen = Curve(info.memory_in(memory), trapezoids=meter.facts.semantics == "instant")
    assert not seen.counts[Count.FAILED], seen.error
    drawn = seen.window(0, pace.end_ns)
    whole = wave.seconds / drawn.covered_seconds
    return drawn.joules * whole, drawn.volt_seconds / drawn.covered_seconds


def run(say: Callable[[str], None]) -> dict[str, Any]:
    """By recording and rule: the median and the worst error over all phases, relative."""
    rows: dict[str, Any] = {}
    for title, (file, unit) in RECORDINGS.items():
        if not (DATA / file).exists():
            say(f"{title}: {DATA / file} is absent, skipped")
            continue
        say(f"waves: {title}")
        (record,) = read(str(DATA / file), Hints(unit=unit))
        wave = Wave(list(record.columns["time_s"]), list(record.columns["watts"]))
        true = wave.energy(wave.seconds)
        errors, volts = {}, {}
        for name, (rule, interval) in _RULES.items():
            phases = [interval * (n + 0.5) / _PHASES for n in range(_PHASES)]
            errors[name] = [rule(wave, interval, phase) / true - 1 for phase in phases]
        for rate_hz in (10.0, 100.0, 1000.0):
            ours = f"energymeter, {rate_hz:g} Hz"
            joules, volts[ours] = measured(wave, rate_hz)
            errors[ours] = [joules / true - 1]
        rows[title] = {
            "joules": true,
            "seconds": wave.seconds,
            "volts": volts,
            "errors": {
                name: {"median": statistics.median(map(abs, found)), "worst": max(map(abs, found))}
                for name, found in errors.items()
            },
        }
    return rows
