"""Spans against a plain class with two clock reads: leaving, settling, remembering them; tracked loops."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from _figures import Figure, processor_in_turn, python

from energymeter import EnergyMeter

_MEMORY = """
from energymeter import EnergyMeter
with EnergyMeter("manual:5V,0.6A", rate_hz=100) as meter:
    span = meter.span
    for _ in range({count}):
        with span("s"):
            pass
if {count}:
    assert len(meter.spans["s"]) == {count}
    if {statistics}:
        assert meter.spans["s"].joules.n == {count}
print(1024 * int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]))
"""


class Plain:
    """The least that a span could be."""

    __slots__ = ("end_ns", "start_ns")

    def __enter__(self) -> "Plain":
        self.start_ns = time.monotonic_ns()
        return self

    def __exit__(self, *_: object) -> None:
        self.end_ns = time.monotonic_ns()


def _blocks(make: Callable[[], AbstractContextManager[object]], count: int) -> None:
    for _ in range(count):
        with make():
            pass


def _plain_items(count: int) -> Iterator[int]:
    for item in range(count):
        with Plain():
            yield item


def measure(short: bool) -> dict[str, Figure]:
    """Ratios of CPU time to the plain class's."""
    count = 20_000 if short else 100_000
    with EnergyMeter("manual:5V,0.6A", rate_hz=1000) as meter:
        took = processor_in_turn(
            {
                "plain": lambda: _blocks(Plain, count),
                "span": lambda: _blocks(lambda: meter.span("span"), count),
                "lambda": lambda: _blocks(lambda: Plain(), count),
                "items": lambda: sum(_plain_items(count)),
                "track": lambda: sum(meter.track(range(count), name="item", progress=False)),
            },
            15 if short else 7,
        )
    settled = len(meter.spans["span"])
    with EnergyMeter("manual:5V,0.6A", rate_hz=1000) as meter:
        _blocks(lambda: meter.span("span"), count)
    start = time.perf_counter()
    spans = meter.spans["span"]
    settling = time.perf_counter() - start
    start = time.perf_counter()
    assert spans.joules.n == count <= settled
    statistics = time.perf_counter() - start
    a_plain = took["plain"] / count
    many = 100_000 if short else 1_000_000
    none = _peak_bytes(0)
    return {
        "a span / plain class": Figure(
            (took["span"] - took["lambda"] + took["plain"]) / took["plain"],
            "×",
            2.2,
            remark=f"{a_plain * 1e9:.0f} ns",
        ),
        "working out a span later": Figure(settling / count * 1e6, "µs"),
        "statistics, a span": Figure(statistics / count * 1e6, "µs"),
        "a tracked item / plain class in a generator": Figure(took["track"] / took["items"], "×"),
        f"memory, {many:.0e} spans": Figure((_peak_bytes(many) - none) / 1e6, "MB", 100.0),
        f"memory, {many:.0e} spans and their statistics": Figure(
            (_peak_bytes(many, statistics=True) - none) / 1e6, "MB"
        ),
    }


def _peak_bytes(count: int, *, statistics: bool = False) -> float:
    """The most that a program of so many spans ever held."""
    return float(python("-c", _MEMORY.format(count=count, statistics=statistics)))
