"""A meter made of plain figures, on a clock that a test moves by hand."""

from typing import NamedTuple

from energymeter.clock import ManualClock
from energymeter.errors import NotMeasured
from energymeter.meter import active


class Figures(NamedTuple):
    """What an account needs of a usage."""

    joules: float
    seconds: float = 1.0
    coulombs: float | None = None
    coverage: float = 1.0
    uncertainty: float | None = None
    provenance: str = "measured"
    sources: tuple[str, ...] = ("ina219@1:0x40",)

    @property
    def measured_seconds(self) -> float:
        return self.seconds * self.coverage

    @property
    def covered_seconds(self) -> tuple[float, ...]:
        return (self.measured_seconds,) * len(self.sources)


class SteadyMeter:
    """Runs from the beginning and draws ``watts`` at 5 V for as long as the clock goes on."""

    sources = ("ina219@1:0x40",)

    def __init__(self, clock: ManualClock, watts: float, samples: bool = True) -> None:
        self._clock, self._watts, self._samples = clock, watts, samples
        self._start, self._end = clock.monotonic_ns(), 0
        active.begin(self)

    def leave(self) -> None:
        """End the block."""
        self._end = self._clock.monotonic_ns()
        active.end(self)

    def enter(self) -> None:
        """Enter the block again."""
        self._start, self._end = self._clock.monotonic_ns(), 0
        active.begin(self)

    @property
    def usage(self) -> Figures:
        if not self._samples:
            raise NotMeasured("no sample yet")
        seconds = ((self._end or self._clock.monotonic_ns()) - self._start) / 1e9
        joules = self._watts * seconds
        return Figures(joules, seconds, joules / 5, uncertainty=0.02 * joules)
