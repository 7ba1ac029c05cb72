"""Loops that draw on a budget: they learn what a step costs and show how far the battery carries them."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from energymeter.budget.balance import Outcome, Unit
from energymeter.budget.forecast import Forecast
from energymeter.meter.billing import Billing, cost_of
from energymeter.meter.guard import Guard, Status, Watch
from energymeter.meter.progress import Progress
from energymeter.meter.usage_delta import NOTHING
from energymeter.text import duration, significant

T = TypeVar("T")

_CHECK_NS = 100_000_000
"""Between two checks of the meter; between them an iteration costs one read of the clock."""


class Loop:
    """One loop over one iterable, while a `Billing` is open."""

    def __init__(
        self, billing: Billing, name: str, total: int | None, progress: Progress, guard: Guard | None = None
    ) -> None:
        self._billing, self._name, self._total = billing, name, total
        self._progress = progress
        self._start = self._counted = billing.poll() or NOTHING
        self._done = self._measured = 0
        self._joules = 0.0
        self._cost = Forecast()
        self._watch = Watch(guard)

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
        """Check the meter, show how far it is, and ask the guard."""
        status = self._check(done)
        if self._progress.due():
            self._progress.show(done, self._text(status))
        return self._watch.goes_on(status)

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
