"""What is left of a battery at one instant, and what a load makes of it: arithmetic only, no ledger."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from energymeter.battery.battery import Battery
from energymeter.battery.capacity import LogNormal, Spread, updated
from energymeter.budget.forecast import SHORT_WINDOW, Z95, HoursLeft, Level, hours_left, left
from energymeter.budget.voltage import Sag
from energymeter.text import Estimate, html_table, percent, significant


class Unit(NamedTuple):
    """What one step, call or run costs at the rail."""

    joules: float
    sigma: float
    """Relative standard uncertainty of that mean."""

    @classmethod
    def of(cls, counted: Sequence[tuple[int, float]]) -> "Unit | None":
        """From (how many, joules together) of several stretches; ``None`` when there is nothing to go by."""
        count, joules = sum(n for n, _ in counted), math.fsum(j for _, j in counted)
        if count <= 0 or joules <= 0:
            return None
        mean = joules / count
        if len(counted) < 2:
            return cls(mean, SHORT_WINDOW)
        scatter = math.fsum(n * (j / n - mean) ** 2 for n, j in counted) / (len(counted) - 1)
        return cls(mean, math.sqrt(scatter / count) / mean)


class Outcome(NamedTuple):
    """Whether a loop gets through. True in a condition when it does, by the best estimate."""

    finishes: bool
    share_left: Estimate
    """The part of the battery's usable energy that is left; below 0: that much is missing."""
    stops_at: Estimate
    """The last step the battery carries, were there no end."""

    def __bool__(self) -> bool:
        return self.finishes

    @property
    def sure(self) -> bool:
        """The 95 % interval leaves no doubt."""
        return (self.share_left.low >= 0) == (self.share_left.high >= 0)

    def __str__(self) -> str:
        word = "" if self.sure else "probably "
        if self.finishes:
            return f"{word}finishes with {percent(self.share_left.value)} left"
        return f"{word}stops at step {self.stops_at.value:.0f}"


class Balance(NamedTuple):
    """A battery, or a stage's share of it, and what was taken. Joules are on the battery's own side."""

    battery: Battery
    capacity_joules: float
    taken_joules: float
    sigma: float | None
    """Relative standard uncertainty of the capacity as this meter counts it: a gain error of the meter
    moves what was taken and what will be drawn alike, which is the same as a wrong capacity. ``None``: the
    battery's own `Battery.spread`, with the ``gain``."""
    gain: float = 0.0
    """Relative standard uncertainty of the meter, where ``sigma`` does not contain it."""
    running: bool = False
    """The device that draws on it is known to run, so that something is left in any case."""
    sag: Sag | None = None
    """What the voltage shows, of a cell known only by its label."""

    def after(self, joules: float, seconds: float) -> "Balance":
        """Once ``joules`` more were drawn at the rail within ``seconds``."""
        return self._replace(taken_joules=self.taken_joules + self.battery.taken_joules(joules, seconds))

    @property
    def share(self) -> Estimate:
        """Left of what a full battery (or the stage's share of it) gives, 0 to 1."""
        return self._left().scaled(1 / self.capacity_joules, "")

    @property
    def mah(self) -> Estimate:
        """Usable milliamp-hours left, at the battery's own volts."""
        return self._left().scaled(1 / self.battery.volts / 3.6, "mAh")

    def rail_joules(self, level: Level | None) -> Estimate:
        """What the rail can still have; a converter curve is taken at the load's level."""
        return self._left(level.watts if level else None).scaled(self._rail_share(level), "J")

    def hours(self, level: Level | None) -> Estimate | None:
        """How long it lasts at ``level``; ``None`` without a load, or where the interval says nothing."""
        return self.forecast(level).hours

    def forecast(self, level: Level | None, help: str = "") -> HoursLeft:
        """How long it lasts at ``level``, or why there is no answer, and what would help.

        The value is by the nominal capacity of a known cell. Of an unknown one it is the median, which is
        less: labels promise more than cells give. ``help``: what would narrow an interval that is too
        wide, if that is known better than here.
        """
        if level is None:
            return HoursLeft(None, "no load was seen yet")
        drawn, spread = self.battery.drawn_watts(level.watts), self._spread(level.watts)
        left_over = self.taken_joules < self.capacity_joules
        if not left_over and not self.running:
            return HoursLeft(None, "it is used up by its label; charge it and reset the budget")
        hours = hours_left(
            self.capacity_joules,
            spread,
            self.taken_joules,
            drawn,
            level,
            running=self.running or not isinstance(spread, LogNormal),  # half of them would be empty else
        )
        if not hours.high:
            return HoursLeft(
                None,
                f"cannot tell: {self.battery.mah:g} mAh cannot give so much; check its size and the units",
            )
        return HoursLeft.of(hours, help or self._help())

    def _help(self) -> str:
        """What would make the interval narrower."""
        if self.sigma is None and not self.battery.known:
            return (
                "the cell is known only by its label: measure a full discharge and give its mAh (--measured)"
            )
        return "what is left is less than the uncertainty of the capacity: charge the battery"

    def units_left(self, unit: Unit | None, level: Level | None, name: str) -> Estimate | None:
        """How many more units there is energy for, were nothing else drawn."""
        if unit is None:
            return None
        rail = self.rail_joules(level)
        low, high = self._joined(rail, unit.sigma)
        return Estimate(rail.value, low, high).scaled(1 / unit.joules, name)

    def outcome(self, unit: Unit | None, level: Level | None, steps: int, done: int = 0) -> Outcome | None:
        """Whether ``steps`` more units get through after ``done``; ``None``: a unit's cost is unknown."""
        if unit is None:
            return None
        rail, need = self.rail_joules(level), steps * unit.joules
        full = self.capacity_joules * self._rail_share(level)
        spread = need * unit.sigma * Z95
        low = rail.value - need - math.hypot(rail.value - rail.low, spread)
        high = rail.value - need + math.hypot(rail.high - rail.value, spread)
        share = Estimate(rail.value - need, low, high).scaled(1 / full, "")
        low, high = self._joined(rail, unit.sigma)
        last = [float(math.floor(done + bound / unit.joules)) for bound in (rail.value, low, high)]
        stops = Estimate(last[0], last[1], last[2])
        return Outcome(rail.value >= need, share, stops)

    def __str__(self) -> str:
        return f"{percent_text(self.share)} left, {self.mah}"

    def __repr__(self) -> str:
        return f"<Balance: {self} at the {self.battery.basis}>"

    def _repr_html_(self) -> str:
        return html_table([(f"{percent_text(self.share)} left", self.mah)])

    def _spread(self, watts: float | None) -> Spread:
        if self.sigma is not None:
            return LogNormal(self.sigma)
        spread = self.battery.spread(watts, self.gain)
        if self.sag is None or self.battery.known:
            return spread
        return updated(spread, self.sag.of_ratio(self.taken_joules / self.capacity_joules))

    def _left(self, watts: float | None = None) -> Estimate:
        return left(self.capacity_joules, self._spread(watts), self.taken_joules)

    def _rail_share(self, level: Level | None) -> float:
        return self.battery.rail_share(level.watts if level else None)

    @staticmethod
    def _joined(rail: Estimate, sigma: float) -> tuple[float, float]:
        spread = rail.value * sigma * Z95
        low = rail.value - math.hypot(rail.value - rail.low, spread)
        return max(low, 0.0), rail.value + math.hypot(rail.high - rail.value, spread)


def percent_text(share: Estimate) -> str:
    """``31 % (24 % to 38 %)``."""
    return "{} % ({} % to {} %)".format(*(significant(bound * 100, 2) for bound in share[:3]))
