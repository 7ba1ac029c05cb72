"""Hours at 1 kHz in simulated time: totals to 1e-9, memory flat, microseconds a sample."""

import math
import time
import tracemalloc

from _figures import Figure

from energymeter.reading import Facts, Reading
from energymeter.sampling.config import SourceConfig
from energymeter.sampling.curve import Curve
from energymeter.sampling.loop import Channel, SourceLoop
from energymeter.sampling.memory import ChannelMemory, channel_bytes, ring_samples

_RATE_HZ = 1000.0
_PERIOD_NS = 1_000_000


class Simulated:
    """Time that jumps from one deadline to the next, for ``seconds``; a loop's pace."""

    def __init__(self, seconds: float) -> None:
        self.at_ns = 0
        self.end_ns = round(seconds * 1e9)

    def now_ns(self) -> int:
        return self.at_ns

    def wait_until(self, deadline_ns: int) -> bool:
        self.at_ns = max(self.at_ns, deadline_ns)
        return self.at_ns >= self.end_ns

    def suspended_ns(self) -> int:
        return 0

    def cpu_ns(self) -> int:
        return 0


class Sine:
    """2 W and a sine of 1 W, once a minute: its integral is known in closed form."""

    name = "sine"
    facts = Facts()

    def __init__(self, pace: Simulated) -> None:
        self._pace = pace
        self._readings = [
            Reading(volts=5.0, watts=2.0 + math.sin(2 * math.pi * n / 60_000)) for n in range(60_000)
        ]

    def open(self) -> None:
        pass

    def read(self) -> Reading:
        return self._readings[self._pace.at_ns // _PERIOD_NS % 60_000]

    def close(self) -> None:
        pass


def measure(short: bool, hours: float | None = None) -> dict[str, Figure]:
    """An hour, or ten minutes in the short form; ``hours`` says otherwise."""
    seconds = 3600 * hours if hours else 600.0 if short else 3600.0
    start = time.process_time()
    joules = total(seconds)
    took = time.process_time() - start
    # over whole minutes the sine is nothing, for trapezoids too
    return {
        "error of the total at 1 kHz": Figure(
            abs(joules / (2.0 * seconds) - 1), "", 1e-9, remark=f"{seconds / 3600:.3g} h simulated"
        ),
        "peak memory, five minutes over one": Figure(peak_bytes(300.0) / peak_bytes(60.0), "×", 1.001),
        "a sample": Figure(1e6 * took / (seconds * _RATE_HZ), "µs"),
    }


def total(seconds: float, rate_hz: float = _RATE_HZ) -> float:
    """Joules of a run in simulated time."""
    pace, capacity = Simulated(seconds), ring_samples(rate_hz)
    memory = ChannelMemory(memoryview(bytearray(channel_bytes(capacity))), capacity)
    source = Sine(pace)
    channel = Channel(source, memory, rate_hz)
    SourceLoop(SourceConfig(source, rate_hz), [channel], pace).run()
    return Curve(memory, trapezoids=True).window(0, pace.end_ns).joules


def peak_bytes(seconds: float) -> int:
    tracemalloc.start()
    total(seconds)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak
