"""What a guard does when the battery runs low: it calls the program, or ends the loop in time."""

from collections.abc import Callable
from typing import NamedTuple

from energymeter.budget.balance import Balance, percent_text
from energymeter.budget.forecast import Level
from energymeter.errors import BudgetExhausted
from energymeter.text import Estimate, duration


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


class Watch:
    """A guard over one loop."""

    def __init__(self, guard: Guard | None) -> None:
        self._guard = guard
        self._was_low = False
        self._taken: float | None = None
        self._most = 0.0

    def goes_on(self, status: Status) -> bool:
        """Whether the loop may take another step.

        Raises:
            BudgetExhausted: it may not, and the guard raises.
        """
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
                return _ends(guard, status, "reserve")
            guard.on_low(status)
        return free > 0 or _ends(guard, status, "end")


def _ends(guard: Guard, status: Status, what: str) -> bool:
    if what == "end" and guard.on_empty is not None:
        guard.on_empty(status)
    if guard.raises:
        raise BudgetExhausted(f"the battery's {what} is reached, {status}: charge it and reset the budget")
    return False
