"""A budget: an account with a meter, so that loops, blocks and functions draw on it."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from energymeter.battery.battery import Battery
from energymeter.budget.account import Account
from energymeter.budget.balance import Balance
from energymeter.budget.forecast import Level
from energymeter.errors import SpecError
from energymeter.meter import active
from energymeter.meter import billing as billings
from energymeter.meter.active import RunningMeter
from energymeter.meter.billing import Billing
from energymeter.meter.guard import Guard, Status
from energymeter.meter.loops import Loop
from energymeter.meter.progress import Progress, total_of
from energymeter.meter.wrapped import wrapped

if TYPE_CHECKING:
    from energymeter.meter.meter import EnergyMeter

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Budget(Account):
    """One battery charge that many runs share: see `Account` for its arguments.

    What this process draws and has not debited yet is included in everything that is left.
    """

    def balance_now(self) -> Balance:
        """The ledger's balance, less what running loops drew since their last debit."""
        balance, billing = self.balance(), billings.current(self)
        if billing is None or self.stage_name not in (None, billing.stage):
            return balance
        return balance.after(*billing.pending)

    def level(self) -> Level | None:
        """The load now, by what runs in this process, else by the newest debits."""
        billing = billings.current(self)
        live = billing.load.level() if billing is not None else None
        return live if live is not None else super().level()

    def reset(self, battery: Battery | None = None, note: str = "") -> int:
        """The battery is full again (or another one): count from here, in a new line.

        What runs in this process pays first, for what it drew from the old charge.
        """
        billing = billings.current(self)
        if billing is not None:
            billing.pay_now()
        return super().reset(battery, note)

    # Loops, blocks, functions -----------------------------------------------------------------

    def track(
        self,
        items: Iterable[T],
        meter: RunningMeter | None = None,
        *,
        total: int | None = None,
        name: str = "step",
    ) -> Iterator[T]:
        """Pass ``items`` on, debit what the loop draws, and show how far the battery carries it.

        ``meter``: a running one; None: the one of the loop or of the ``with EnergyMeter()`` around this,
        or one that is started for it.
        """
        return self._loop(items, meter, total, name, None)

    def guard(
        self,
        items: Iterable[T],
        meter: RunningMeter | None = None,
        *,
        reserve: float = 0.1,
        on_low: Callable[[Status], object] | None = None,
        on_empty: Callable[[Status], object] | None = None,
        raises: bool = False,
        total: int | None = None,
        name: str = "step",
    ) -> Iterator[T]:
        """Like `track`, and end before the ``reserve`` (share of the usable charge) is touched.

        The reserve is a share of the capacity as it is best known, and covers what is not known of it: a
        known cell (10 %) is below the label by more than a reserve of 0.18 in 1 case of 40.

        ``on_low`` is called there instead, once, and the loop goes on until the battery is empty, where
        ``on_empty`` is called. ``raises``: end with `BudgetExhausted` instead of quietly.

        Raises:
            SpecError: the reserve is no share.
        """
        if not 0 <= reserve < 1:
            raise SpecError(f"a reserve is a share in [0, 1), not {reserve!r}: write 0.1 for 10 %")
        return self._loop(items, meter, total, name, Guard(reserve, on_low, on_empty, raises))

    @contextlib.contextmanager
    def drawing(self, meter: RunningMeter | None = None) -> Iterator[Billing]:
        """Debit what a block draws, as ``meter`` (None: the running one, or a new one) measures it.

        While something else in this process draws on this budget, around this or in another thread, that
        one's meter counts for both: a meter measures the whole board, so nothing is debited twice.

        Raises:
            SpecError: ``meter`` does not run.
        """
        if meter is not None and not active.has(meter):
            raise SpecError("this meter does not run: enter its `with` block first, or leave the meter out")
        billing = billings.join(self, self.stage_name, meter, _new_meter)
        try:
            yield billing
        finally:
            billing.leave(self.stage_name)

    def __call__(self, function: F) -> F:
        """As a decorator: every call draws on the budget, and counts as a span under the function's name."""
        return wrapped(function, lambda: self._counting(function.__name__))

    @contextlib.contextmanager
    def _counting(self, name: str) -> Iterator[None]:
        with self.drawing() as billing, billing.counted(name):
            yield

    def _loop(
        self,
        items: Iterable[T],
        meter: RunningMeter | None,
        total: int | None,
        name: str,
        guard: Guard | None,
    ) -> Iterator[T]:
        length = total if total is not None else total_of(items)
        with self.drawing(meter) as billing:
            progress = Progress(name, length, self.clock.monotonic_ns)
            yield from Loop(billing, name, length, progress, guard).run(items, self.clock.monotonic_ns)


def _new_meter() -> "EnergyMeter":
    from energymeter.meter.meter import EnergyMeter  # half of all imports: only for a loop without a meter

    return EnergyMeter()
