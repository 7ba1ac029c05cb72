"""Carbon of a recorded curve: the energy of each half-hour times the intensity of that half-hour."""

from typing import Any, Protocol

from energymeter.carbon import Carbon, Energy, footprint
from energymeter.errors import GridError
from energymeter.grid import Grid
from energymeter.intensity import Column, Intensities, clock_text


class Curve(Protocol):
    """What a :class:`~energymeter.trace.Trace` has that this is reckoned from."""

    @property
    def time_s(self) -> Column: ...
    @property
    def epoch_s(self) -> float | None: ...
    @property
    def joules(self) -> Column: ...
    def usage(self) -> Energy: ...


def footprint_over_time(trace: Curve, intensities: Intensities, **options: Any) -> Carbon:
    """What a recorded run emitted, by the half-hour.

    Args:
        trace: samples with a running total of joules and the date of the first.
        intensities: what the grid did meanwhile, as ``Grid.live(...).between(start, end)`` tells.
        options: as for :func:`energymeter.carbon.footprint`.

    Raises:
        GridError: the recording has no date, or a part of it is not covered.
    """
    return footprint(trace.usage(), mean_grid(trace, intensities), **options)


def span_of(trace: Curve) -> tuple[float, float]:
    """Unix seconds of the first and last sample.

    Raises:
        GridError: the recording has no date.
    """
    if trace.epoch_s is None or len(trace.time_s) == 0:
        raise GridError("the recording tells no date, so its half-hours are unknown: use a yearly grid")
    return trace.epoch_s, trace.epoch_s + float(trace.time_s[-1]) - float(trace.time_s[0])


def mean_grid(trace: Curve, intensities: Intensities) -> Grid:
    """The grid a recording met: each slot weighs what was drawn in it.

    Raises:
        GridError: the recording has no date, or a part of it is not covered.
    """
    start, _ = span_of(trace)
    mean = intensities.weighted_mean(start - float(trace.time_s[0]), trace.time_s, trace.joules)
    return Grid(
        intensities.place,
        grams_per_kwh=mean,
        said_by=f"{intensities.said_by}, each stretch by its own intensity",
        year=int(clock_text(start)[:4]),
        relative=intensities.relative,
        marginal=intensities.marginal,
        checked=True,
    )
