"""Carbon of a recorded curve: the energy of each half-hour times the intensity of that half-hour."""

from typing import Any, Protocol

from energymeter.carbon.amount import Energy
from energymeter.carbon.emissions import Carbon, footprint
from energymeter.carbon.grid import Grid
from energymeter.carbon.intensity import Intensities, clock_text
from energymeter.errors import GridError


class Recorded(Protocol):
    """What is needed of a :class:`~energymeter.recordings.trace.Trace`."""

    @property
    def time_s(self) -> Any: ...
    @property
    def epoch_s(self) -> float | None: ...
    def at(self, time_s: float, /) -> Any: ...
    def usage(self) -> Energy: ...


def footprint_over_time(trace: Recorded, intensities: Intensities, **options: Any) -> Carbon:
    """The emissions of a recorded run, by the half-hour.

    Args:
        trace: a Trace with a date.
        intensities: those of the grid meanwhile, as ``LiveGrid(...).between(start, end)`` gives them.
        options: as for :func:`energymeter.carbon.footprint`.

    Raises:
        GridError: the recording has no date, or a part of it is not covered.
    """
    return footprint(trace.usage(), mean_grid(trace, intensities), **options)


def span_of(trace: Recorded) -> tuple[float, float]:
    """Unix seconds of the first and last sample.

    Raises:
        GridError: the recording has no date, or is a single moment.
    """
    if trace.epoch_s is None:
        raise GridError("the recording has no date, so its half-hours are unknown: use a yearly grid")
    start, end = (trace.epoch_s + float(trace.time_s[i]) for i in (0, -1))
    if not start < end:
        raise GridError("the recording is a single moment: use a yearly grid")
    return start, end


def mean_grid(trace: Recorded, intensities: Intensities) -> Grid:
    """The mean grid of a recording: each slot is weighted by the energy used in it.

    Raises:
        GridError: the recording has no date, or a part of it is not covered.
    """
    start, end = span_of(trace)
    epoch = trace.epoch_s or 0.0
    mean = intensities.weighted_mean(
        start, end, lambda a, b: float(trace.at(b - epoch)) - float(trace.at(a - epoch))
    )
    return Grid(
        intensities.zone,
        grams_per_kwh=mean,
        source=f"{intensities.source}, each stretch by its own intensity",
        year=int(clock_text(start)[:4]),
        relative=intensities.relative,
        marginal=intensities.marginal,
        checked=True,
    )
