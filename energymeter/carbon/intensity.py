"""Intensity over time: what a grid did, or is forecast to do, slot by slot.

Energy is multiplied by the intensity of its own half-hour (or whatever slot the source keeps).
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from typing import NamedTuple

from energymeter.errors import GridError, SpecError

HALF_HOUR = 1800.0


class Slot(NamedTuple):
    """One stretch of constant intensity; times are unix seconds."""

    start: float
    end: float
    grams_per_kwh: float
    estimated: bool = False
    """True where the source says estimate or forecast rather than measurement."""


def clock_text(epoch: float) -> str:
    """``2026-11-22 14:30Z``."""
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%d %H:%MZ")


def parse_time(text: str) -> float:
    """Unix seconds of an ISO 8601 time that names its zone.

    Raises:
        ValueError: not a time, or one without a zone, which could be off by hours.
    """
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"{text} names no time zone")
    return moment.timestamp()


class Intensities:
    """Grams of CO₂e per kWh over time, without overlaps.

    >>> day = Intensities([Slot(0, 1800, 100), Slot(1800, 3600, 300)], place="GB", said_by="an example")
    >>> day.mean(900, 3600)
    233.33...

    Args:
        slots: in any order.
        place, said_by: of whom, and the witness.
        marginal: of the plants that follow demand, not of the mix.
        relative: ± of every slot, relative, k = 2; None: not known.

    Raises:
        GridError: no slots, overlapping ones, or a value that is no intensity.
    """

    __slots__ = ("_starts", "marginal", "place", "relative", "said_by", "slots")

    def __init__(
        self,
        slots: Iterable[Slot],
        *,
        place: str | None,
        said_by: str,
        marginal: bool = False,
        relative: float | None = None,
    ) -> None:
        self.slots = sorted(slots)
        self.place, self.said_by, self.marginal, self.relative = place, said_by, marginal, relative
        self._starts = [slot.start for slot in self.slots]
        if not self.slots:
            raise GridError(f"{said_by} gave no intensities: ask for another stretch of time")
        for slot in self.slots:
            if not (slot.end > slot.start and 0 <= slot.grams_per_kwh < math.inf):
                raise GridError(
                    f"{said_by} gave {slot.grams_per_kwh} g/kWh at {clock_text(slot.start)}: not used"
                )
        for before, after in zip(self.slots, self.slots[1:], strict=False):
            if after.start < before.end:
                raise GridError(f"{said_by} gave two intensities for {clock_text(after.start)}: not used")

    @classmethod
    def half_hours(
        cls,
        start: float,
        grams_per_kwh: Iterable[float],
        *,
        place: str | None,
        said_by: str,
        relative: float | None = None,
    ) -> "Intensities":
        """One value a half-hour, the first beginning at unix time ``start``."""
        return cls(
            (
                Slot(start + i * HALF_HOUR, start + (i + 1) * HALF_HOUR, grams)
                for i, grams in enumerate(grams_per_kwh)
            ),
            place=place,
            said_by=said_by,
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
            GridError: a part of it is not covered.
        """
        if not end >= start:
            raise SpecError(f"a stretch that ends ({end}) before it starts ({start}) has no intensity")
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
                f"{self.said_by} covers {clock_text(self.start)} to {clock_text(self.end)} and "
                f"says nothing of {clock_text(here)}: fetch the intensities of the whole run"
            )

    def mean(self, start: float, end: float) -> float:
        """g/kWh of a steady draw over the stretch.

        Raises:
            GridError: a part of it is not covered.
        """
        if start == end:
            raise SpecError("a stretch of no length has no mean intensity")
        return sum((s.end - s.start) * s.grams_per_kwh for s in self.split(start, end)) / (end - start)

    def weighted_mean(self, start: float, end: float, joules: Callable[[float, float], float]) -> float:
        """g/kWh of a draw that varies: each slot weighs what was drawn in it.

        Args:
            start, end: unix seconds.
            joules: what was drawn between two unix times.

        Raises:
            GridError: a part of the stretch is not covered.
        """
        slots = list(self.split(start, end))
        drawn = [joules(slot.start, slot.end) for slot in slots]
        total = sum(drawn)
        if total == 0:
            return self.mean(start, end)
        return sum(each * slot.grams_per_kwh for each, slot in zip(drawn, slots, strict=True)) / total
