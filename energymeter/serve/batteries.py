"""What is left: budgets of the ledger, and the batteries of this machine by their gauges."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from energymeter.errors import LedgerError, warn
from energymeter.paths import below, entries, peek, peek_name, peek_number
from energymeter.serve.snapshot import BatteryState
from energymeter.text import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from energymeter.clock import Clock

_FRESH_NS = 10_000_000_000
"""A budget is debited every half minute."""
_STEP = 0.005
"""Half a percent: what a gauge does not show. How wrong it may be is unknown."""


class Batteries:
    """Reads budgets and gauges, at most every ten seconds.

    Args:
        budgets: their names in the ledger.
        clock: to wait by.
        root: where the file system begins.
    """

    def __init__(self, budgets: Sequence[str], clock: Clock, root: str = "/") -> None:
        self._budgets, self._clock, self._root = tuple(budgets), clock, root
        self._known: tuple[int, tuple[BatteryState, ...]] | None = None
        self._warned: set[str] = set()

    def __call__(self) -> tuple[BatteryState, ...]:
        now_ns = self._clock.monotonic_ns()
        if self._known is None or now_ns - self._known[0] >= _FRESH_NS:
            budgets = [self._budget(name) for name in self._budgets]
            found = [*(one for one in budgets if one is not None), *by_gauge(self._root)]
            self._known = now_ns, tuple(found)
        return self._known[1]

    def _budget(self, name: str) -> BatteryState | None:
        from energymeter.budget.account import Account

        try:
            account = Account.open(name)
            left, balance = account.forecast(), account.balance_now()
            state = BatteryState(
                name,
                True,
                balance.share,
                account.remaining_joules,
                left.hours,
                left.reason,
                account.battery.mah,
            )
        except LedgerError as error:
            if name not in self._warned:
                self._warned.add(name)
                warn(f"the budget {name!r} is not shown: {error}")
            return None
        self._warned.discard(name)
        return state


def by_gauge(root: str = "/") -> list[BatteryState]:
    """The batteries of this machine, as the kernel reports their gauges."""
    folder = below(root, "sys/class/power_supply")
    found = []
    for name in entries(folder):
        path = os.path.join(folder, name)
        percent = peek_number(os.path.join(path, "capacity"))
        if peek(os.path.join(path, "type")) != "Battery" or percent is None or not 0 <= percent <= 100:
            continue
        if peek_name(os.path.join(path, "scope")) == "Device":  # of a mouse or a headset
            continue
        share = percent / 100
        interval = Estimate(share, max(share - _STEP, 0.0), min(share + _STEP, 1.0))
        unknown = Estimate(0.0, 0.0, 0.0, "J")
        found.append(BatteryState(name, False, interval, unknown, None, "make a budget to see hours left"))
    return found
