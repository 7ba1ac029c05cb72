"""Intensity over time: what a grid did, or is forecast to do, slot by slot.

Energy is multiplied by the intensity of its own half-hour (or whatever slot the source keeps).
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple, Protocol

from energymeter.errors import GridError, SpecError

HALF_HOUR = 1800.0


class Column(Protocol):
    """Numbers by index: a list or a numpy array."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


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
        cls, start: float, grams_per_kwh: Iterable[float], *, place: str | None, said_by: str
    ) -> "Intensities":
        """One value a half-hour, the first beginning at unix time ``start``."""
        return cls(
            (
                Slot(start + i * HALF_HOUR, start + (i + 1) * HALF_HOUR, grams)
                for i, grams in enumerate(grams_per_kwh)
            ),
            place=place,
            said_by=said_by,
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
        if here < end or start < self.start:
            raise GridError(
                f"{self.said_by} covers {clock_text(self.start)} to {clock_text(self.end)} and "
                f"says nothing of {clock_text(max(here, start))}: fetch the intensities of the whole run"
            )

    def mean(self, start: float, end: float) -> float:
        """g/kWh of a steady draw over the stretch.

        Raises:
            GridError: a part of it is not covered.
        """
        if start == end:
            raise SpecError("a stretch of no length has no mean intensity")
        return sum((s.end - s.start) * s.grams_per_kwh for s in self.split(start, end)) / (end - start)

    def weighted_mean(self, epoch_s: float, time_s: Column, joules: Column) -> float:
        """g/kWh of a load curve: each slot weighs what was drawn in it.

        Args:
            epoch_s: unix time at which ``time_s`` is 0.
            time_s: seconds, rising.
            joules: running total at each time.

        Raises:
            GridError: a part of the curve is not covered.
        """
        first, last = float(time_s[0]), float(time_s[-1])
        total = float(joules[-1]) - float(joules[0])
        if last <= first or total == 0:
            return next(self.split(epoch_s + first, epoch_s + first + 1e-3)).grams_per_kwh
        grams = 0.0
        for slot in self.split(epoch_s + first, epoch_s + last):
            drawn = _at(slot.end - epoch_s, time_s, joules) - _at(slot.start - epoch_s, time_s, joules)
            grams += drawn * slot.grams_per_kwh
        return grams / total


def _at(when: float, time_s: Column, joules: Column) -> float:
    """The running total at ``when``, on the straight line between its neighbours."""
    after = bisect_right(time_s, when)
    if after == 0:
        return float(joules[0])
    if after == len(time_s):
        return float(joules[-1])
    t0, t1 = float(time_s[after - 1]), float(time_s[after])
    e0, e1 = float(joules[after - 1]), float(joules[after])
    return e0 + (e1 - e0) * (when - t0) / (t1 - t0)
