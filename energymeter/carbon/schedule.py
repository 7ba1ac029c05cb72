"""When in a forecast a job of so many watt-hours is cleanest."""

import math
from typing import NamedTuple

from energymeter.carbon.intensity import Intensities
from energymeter.errors import GridError, SpecError


class Window(NamedTuple):
    """A stretch of time and what the job would cost in it; times are unix seconds."""

    start: float
    end: float
    grams: float
    grams_per_kwh: float


class Advice(NamedTuple):
    """The cleanest window, and what starting at once and starting at the worst time would cost."""

    best: Window
    at_once: Window
    worst: Window

    @property
    def saved_grams(self) -> float:
        """What waiting saves against starting at once."""
        return self.at_once.grams - self.best.grams


def cleanest(
    forecast: Intensities,
    *,
    watt_hours: float,
    hours: float,
    after: float | None = None,
    before: float | None = None,
) -> Advice:
    """Where a job that draws ``watt_hours`` evenly over ``hours`` emits least.

    Args:
        forecast: what the grid is expected to do.
        watt_hours: at the socket.
        hours: how long the job takes without a pause.
        after: unix time of the earliest start; the forecast's own start if None.
        before: unix time by which it must be done; the forecast's end if None.

    Returns:
        The earliest of equally clean windows.

    Raises:
        SpecError: energy or duration is not positive.
        GridError: the job does not fit into the forecast.
    """
    if not (0 < watt_hours < math.inf and 0 < hours < math.inf):
        raise SpecError(f"a job needs watt-hours and hours above zero, not {watt_hours} Wh in {hours} h")
    seconds = hours * 3600
    first = max(forecast.start, forecast.start if after is None else after)
    last = min(forecast.end, forecast.end if before is None else before) - seconds
    if last < first:
        raise GridError(
            f"a job of {hours:g} h does not fit between the earliest start and the end of the forecast: "
            "allow more time or ask for a longer forecast"
        )
    # The sum is piecewise linear in the start: its extremes lie where either end meets a slot's edge.
    edges = {slot.start for slot in forecast.slots}
    starts = {first, last} | edges | {edge - seconds for edge in edges}
    windows = []
    for start in sorted(start for start in starts if first <= start <= last):
        grams_per_kwh = forecast.mean(start, start + seconds)
        windows.append(Window(start, start + seconds, watt_hours / 1000 * grams_per_kwh, grams_per_kwh))
    return Advice(
        best=min(windows, key=lambda each: (each.grams, each.start)),
        at_once=windows[0],
        worst=max(windows, key=lambda each: (each.grams, -each.start)),
    )
