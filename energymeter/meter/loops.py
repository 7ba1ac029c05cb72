"""Loops that draw on a budget: they show how far the battery carries them, and end in time."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from energymeter.budget.balance import Balance, Outcome, Unit, percent_text
from energymeter.budget.forecast import Forecast, Level
from energymeter.errors import BudgetExhausted
from energymeter.meter.billing import Billing, cost_of
from energymeter.meter.progress import Progress
from energymeter.meter.usage_delta import NOTHING
from energymeter.text import Estimate, duration, significant

T = TypeVar("T")

_CHECK_NS = 100_000_000
"""Between two checks of the meter; between them an iteration costs one read of the clock."""


class Status(NamedTuple):
    """The state of a loop, for its callbacks."""

    balance: Balance
    level: Level | None
    hours: Estimate | None
    step: int

    def __str__(self) -> str:
        hours = f", {duration(3600 * self.hours.value, rough=True)} left" if self.hours else ""
        return f"{percent_text(self.balance.share)} of the battery{hours} after step {self.step}"


class Guard(NamedTuple):
    """When a loop ends, and what is called.

    It ends before the reserve is touched. With ``on_low`` that is called instead, once, and the loop
    ends when the battery is empty; there ``on_empty`` is called first. ``raises``: it ends with
    `BudgetExhausted` instead of quietly.
    """

    reserve: float
    on_low: Callable[[Status], object] | None = None
    on_empty: Callable[[Status], object] | None = None
    raises: bool = False


class Loop:
    """One loop over one iterable, while a `Billing` is open."""

    def __init__(
        self, billing: Billing, name: str, total: int | None, progress: Progress, guard: Guard | None = None
    ) -> None:
        self._billing, self._name, self._total, self._guard = billing, name, total, guard
        self._progress = progress
        self._start = self._counted = billing.poll() or NOTHING
        self._done = self._measured = 0
        self._joules = 0.0
        self._cost = Forecast()
        self._was_low = False
        self._taken: float | None = None
        self._most = 0.0

    def run(self, items: Iterable[T], monotonic_ns: Callable[[], int]) -> Iterator[T]:
        """Pass the items on until they, or the battery, run out.

        Raises:
            BudgetExhausted: the guard raises.
        """
        done = 0
        try:
            if not self._goes_on(0):
                return
            due = monotonic_ns() + _CHECK_NS
            for item in items:
                yield item
                done += 1
                if monotonic_ns() >= due:
                    if not self._goes_on(done):
                        return
                    due = monotonic_ns() + _CHECK_NS
        finally:
            self._progress.close(done, self._text(self._check(done, last=True)))

    def _goes_on(self, done: int) -> bool:
        """Check the meter and ask the guard."""
        status = self._check(done)
        if self._progress.due():
            self._progress.show(done, self._text(status))
        balance, guard = status.balance, self._guard
        if self._taken is not None:
            # As much may be drawn again before the next check, and that must not touch the reserve.
            self._most = max(self._most, balance.taken_joules - self._taken)
        self._taken = balance.taken_joules
        if guard is None:
            return True
        free = balance.capacity_joules - balance.taken_joules - self._most
        if not self._was_low and free <= guard.reserve * balance.capacity_joules:
            self._was_low = True
            if guard.on_low is None:
                return self._ends(guard, status, "reserve")
            guard.on_low(status)
        return free > 0 or self._ends(guard, status, "end")

    @staticmethod
    def _ends(guard: Guard, status: Status, what: str) -> bool:
        if what == "end" and guard.on_empty is not None:
            guard.on_empty(status)
        if guard.raises:
            raise BudgetExhausted(
                f"the battery's {what} is reached, {status}: charge it and reset the budget"
            )
        return False

    def _check(self, done: int, *, last: bool = False) -> Status:
        """Read the meter and learn what a step costs: by the steps that were fully measured."""
        drawn = self._billing.poll()
        if drawn is not None and (drawn != self._counted or last):  # else there is no new sample
            measured, joules, left_out = cost_of(done - self._done, self._counted, drawn)
            # Per step instead of per second: the same estimate, with steps in the place of time.
            self._cost.add(measured, joules)
            self._billing.count(self._name, measured, joules, left_out)
            self._measured, self._joules = self._measured + measured, self._joules + joules
            self._done, self._counted = done, drawn
        balance, level = self._billing.balance(), self._billing.load.level()
        return Status(balance, level, balance.hours(level), done)

    def _outcome(self, status: Status) -> Outcome | None:
        cost = self._cost.level()
        if cost is None or self._total is None:
            return None
        ahead = max(self._total - status.step, 0)
        return status.balance.outcome(Unit(cost.watts, cost.sigma(ahead)), status.level, ahead, status.step)

    def _text(self, status: Status) -> str:
        """``38.1 mAh used · 0.0925 mAh a step · 5 h left · finishes with 31% left``."""
        drawn, outcome = self._billing.drawn, self._outcome(status)
        if drawn is None:
            return "no sample yet"
        mah = status.balance.battery.taken_joules(1.0, 0.0) / status.balance.battery.volts / 3.6
        parts = [f"{significant((drawn.joules - self._start.joules) * mah)} mAh used"]
        if self._measured:
            parts.append(f"{significant(self._joules / self._measured * mah)} mAh a step")
        if status.hours:
            parts.append(f"{duration(3600 * status.hours.value, rough=True)} left")
        return " · ".join(parts if outcome is None else [*parts, str(outcome)])
