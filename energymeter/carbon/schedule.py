"""When a job of known energy emits least, by a forecast of the intensity."""

import math
from typing import NamedTuple

from energymeter.carbon.intensity import Intensities
from energymeter.errors import GridError, SpecError


class PlannedRun(NamedTuple):
    """When the job would run, in Unix seconds, and what it would emit then."""

    start: float
    end: float
    grams: float
    grams_per_kwh: float


class Advice(NamedTuple):
    """The job at the cleanest time, now, and at the worst time."""

    best: PlannedRun
    immediate: PlannedRun
    worst: PlannedRun

    @property
    def saved_grams(self) -> float:
        """What waiting saves against starting immediately."""
        return self.immediate.grams - self.best.grams


def cleanest(
    forecast: Intensities,
    *,
    watt_hours: float,
    hours: float,
    after: float | None = None,
    before: float | None = None,
) -> Advice:
    """When a job that draws ``watt_hours`` evenly over ``hours`` emits least.

    Args:
        forecast: the intensity that is expected.
        watt_hours: at the socket.
        hours: the duration of the job, without a pause.
        after: Unix time of the earliest start; the forecast's own start if None.
        before: Unix time by which it must be done; the forecast's end if None.

    Returns:
        The earliest of equally clean times.

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
    runs = []
    for start in sorted(start for start in starts if first <= start <= last):
        grams_per_kwh = forecast.mean(start, start + seconds)
        runs.append(PlannedRun(start, start + seconds, watt_hours / 1000 * grams_per_kwh, grams_per_kwh))
    return Advice(
        best=min(runs, key=lambda each: (each.grams, each.start)),
        immediate=runs[0],
        worst=max(runs, key=lambda each: (each.grams, -each.start)),
    )
