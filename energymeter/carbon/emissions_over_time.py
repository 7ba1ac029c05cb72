"""Carbon of a recorded curve: the energy of each half-hour times the intensity of that half-hour."""

from typing import Any, Protocol

from energymeter.carbon.emissions import Carbon, footprint
from energymeter.carbon.energy import Energy
from energymeter.carbon.grid import Grid
from energymeter.carbon.intensity import Intensities, clock_text
from energymeter.errors import GridError


class Curve(Protocol):
    """What a :class:`~energymeter.recordings.trace.Trace` has that this is reckoned from."""

    @property
    def time_s(self) -> Any: ...
    @property
    def epoch_s(self) -> float | None: ...
    def energy(self, starts_s: float, ends_s: float, /) -> Any: ...
    def usage(self) -> Energy: ...


def footprint_over_time(trace: Curve, intensities: Intensities, **options: Any) -> Carbon:
    """What a recorded run emitted, by the half-hour.

    Args:
        trace: a Trace that knows its date.
        intensities: what the grid did meanwhile, as ``Grid.live(...).between(start, end)`` tells.
        options: as for :func:`energymeter.carbon.footprint`.

    Raises:
        GridError: the recording has no date, or a part of it is not covered.
    """
    return footprint(trace.usage(), mean_grid(trace, intensities), **options)


def span_of(trace: Curve) -> tuple[float, float]:
    """Unix seconds of the first and last sample.

    Raises:
        GridError: the recording has no date, or is a single moment.
    """
    if trace.epoch_s is None:
        raise GridError("the recording tells no date, so its half-hours are unknown: use a yearly grid")
    start, end = (trace.epoch_s + float(trace.time_s[i]) for i in (0, -1))
    if not start < end:
        raise GridError("the recording is a single moment: use a yearly grid")
    return start, end


def mean_grid(trace: Curve, intensities: Intensities) -> Grid:
    """The grid a recording met: each slot weighs what was drawn in it.

    Raises:
        GridError: the recording has no date, or a part of it is not covered.
    """
    start, end = span_of(trace)
    epoch = trace.epoch_s or 0.0
    mean = intensities.weighted_mean(start, end, lambda a, b: float(trace.energy(a - epoch, b - epoch)))
    return Grid(
        intensities.place,
        grams_per_kwh=mean,
        said_by=f"{intensities.said_by}, each stretch by its own intensity",
        year=int(clock_text(start)[:4]),
        relative=intensities.relative,
        marginal=intensities.marginal,
        checked=True,
    )
