"""Intensity over time: that of the past, or a forecast, slot by slot.

Energy is multiplied by the intensity of its own half-hour, or of the slots that the source has.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from typing import NamedTuple

from energymeter.carbon.grid_tables import MOST_GRAMS_PER_KWH
from energymeter.errors import GridError, SpecError

HALF_HOUR = 1800.0


class Slot(NamedTuple):
    """One stretch of constant intensity; times are Unix seconds."""

    start: float
    end: float
    grams_per_kwh: float
    estimated: bool = False
    """True for an estimate or a forecast, False for a measurement."""


def clock_text(epoch: float) -> str:
    """``2026-11-22 14:30Z``."""
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%d %H:%MZ")


def parse_time(text: str) -> float:
    """Unix seconds of an ISO 8601 time that has a time zone.

    Raises:
        ValueError: not a time, or one without a time zone, which could be off by hours.
    """
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"{text} names no time zone")
    return moment.timestamp()


class Intensities:
    """Grams of CO₂e per kWh over time, without overlaps.

    >>> day = Intensities([Slot(0, 1800, 100), Slot(1800, 3600, 300)], zone="GB", source="an example")
    >>> day.mean(900, 3600)
    233.33...

    Args:
        slots: in any order.
        zone: the country or region.
        source: where the intensities come from.
        marginal: the intensity of the plants that follow demand, not of the mix.
        relative: ± of every slot, relative, k = 2; None: not known.

    Raises:
        GridError: no slots, overlapping slots, or an impossible intensity.
    """

    __slots__ = ("_starts", "marginal", "relative", "slots", "source", "zone")

    def __init__(
        self,
        slots: Iterable[Slot],
        *,
        zone: str | None,
        source: str,
        marginal: bool = False,
        relative: float | None = None,
    ) -> None:
        self.slots = sorted(slots)
        self.zone, self.source, self.marginal, self.relative = zone, source, marginal, relative
        self._starts = [slot.start for slot in self.slots]
        if not self.slots:
            raise GridError(f"{source} gave no intensities: ask for another stretch of time")
        for slot in self.slots:
            if not (slot.end > slot.start and 0 <= slot.grams_per_kwh <= MOST_GRAMS_PER_KWH):
                when = clock_text(slot.start)
                raise GridError(f"{source} gave {slot.grams_per_kwh} g/kWh at {when}: correct or remove it")
        for before, after in zip(self.slots, self.slots[1:], strict=False):
            if after.start < before.end:
                raise GridError(f"{source} gave two intensities for {clock_text(after.start)}: remove one")

    @classmethod
    def half_hours(
        cls,
        start: float,
        grams_per_kwh: Iterable[float],
        *,
        zone: str | None,
        source: str,
        relative: float | None = None,
    ) -> "Intensities":
        """One value per half-hour; the first half-hour begins at Unix time ``start``."""
        return cls(
            (
                Slot(start + i * HALF_HOUR, start + (i + 1) * HALF_HOUR, grams)
                for i, grams in enumerate(grams_per_kwh)
            ),
            zone=zone,
            source=source,
            relative=relative,
        )

    @property
    def start(self) -> float:
        return self.slots[0].start

    @property
    def end(self) -> float:
        return self.slots[-1].end

    def split(self, start: float, end: float) -> Iterator[Slot]:
        """The slots that cover ``start``…``end``, cut at both ends.

        Raises:
            GridError: a part of the stretch is not covered.
        """
        if not end >= start:
            raise SpecError(f"the stretch from {start} to {end} ends before it starts: give a later end")
        here = start
        for slot in self.slots[max(bisect_right(self._starts, start) - 1, 0) :]:
            if slot.end <= here:
                continue
            if slot.start > here or here >= end:
                break
            yield slot._replace(start=here, end=min(slot.end, end))
            here = slot.end
        if here < end:
            raise GridError(
                f"{self.source} covers {clock_text(self.start)} to {clock_text(self.end)} and "
                f"has no value for {clock_text(here)}: get the intensities of the whole run"
            )

    def mean(self, start: float, end: float) -> float:
        """Mean g/kWh of a steady load over the stretch.

        Raises:
            GridError: a part of the stretch is not covered.
        """
        if start == end:
            raise SpecError("a stretch without length has no mean intensity: give an end after the start")
        return sum((s.end - s.start) * s.grams_per_kwh for s in self.split(start, end)) / (end - start)

    def weighted_mean(self, start: float, end: float, joules: Callable[[float, float], float]) -> float:
        """Mean g/kWh of a load that varies: each slot is weighted by the energy used in it.

        Args:
            start, end: Unix seconds.
            joules: the energy used between two Unix times.

        Raises:
            GridError: a part of the stretch is not covered.
        """
        slots = list(self.split(start, end))
        drawn = [joules(slot.start, slot.end) for slot in slots]
        total = sum(drawn)
        if total == 0:
            return self.mean(start, end)
        return sum(each * slot.grams_per_kwh for each, slot in zip(drawn, slots, strict=True)) / total
