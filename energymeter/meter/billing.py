"""Billing: what is drawn from a budget in this process is debited little by little.

A meter measures the whole board, so of all the blocks, loops and functions that draw on one budget at a time
only one can pay: the first opens the *billing*, the others (inside it, or in other threads) join it, and who
leaves last ends it. So every joule is debited once, under the stage that was joined last.
"""

import atexit
import contextlib
import os
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import cast

from energymeter.budget.account import Account
from energymeter.budget.balance import Balance
from energymeter.budget.forecast import Forecast
from energymeter.errors import EnergyMeterError, NotMeasured, SpecError
from energymeter.meter import active
from energymeter.meter.active import RunningMeter
from energymeter.meter.usage_delta import UsageDelta

StartMeter = Callable[[], AbstractContextManager[RunningMeter]]
"""Makes a meter for those who found none running."""

_PAY_NS = 30_000_000_000
"""Between two debits: what a power cut can cost the ledger."""


def join(
    account: Account,
    stage: str | None,
    meter: RunningMeter | None,
    start_meter: StartMeter | None = None,
    *,
    whole: bool = False,
) -> "Billing":
    """Draw on an account, to be ended with `Billing.leave`.

    Args:
        account: what pays.
        stage: under which it is debited; None: the stage of those around.
        meter: a running one, by which a new billing counts; None: the latest running one, or a new one.
        start_meter: makes that new one.
        whole: ``meter`` is billed from its own start.

    Raises:
        SpecError: ``meter`` does not run.
        LedgerError: the ledger cannot be read.
        SourceError: the new meter cannot be started.
    """
    if meter is not None and not active.has(meter):
        raise SpecError("this meter does not run: enter its `with` block first, or leave the meter out")
    billing = Billing(account, start_meter)
    try:
        while True:
            with active.lock:
                found = cast(Billing, active.billings.setdefault(account.key, billing))
            if found is billing:
                billing.begin(stage, meter, whole=whole)
                return billing
            if found.join(stage, start_meter):
                return found
    except BaseException:
        billing.end()
        raise


def current(account: Account) -> "Billing | None":
    """The billing that is open in this process for an account."""
    found = cast("Billing | None", active.billings.get(account.key))
    return found if found is not None and found.is_open else None


class Billing:
    """What one meter after the other measures of a budget's load, from the first that draws to the last."""

    def __init__(self, account: Account, start_meter: StartMeter | None) -> None:
        self.run = uuid.uuid4().hex
        """Names these debits in the ledger."""
        self.load = Forecast()
        self.drawn: UsageDelta | None = None
        """Since the beginning; ``None``: nothing is known yet."""
        self.units: dict[str, tuple[int, float]] = {}
        self._account, self._start_meter = account, start_meter
        self._own = contextlib.ExitStack()
        self._pid = os.getpid()
        self._state = threading.Condition(threading.RLock())
        self._phase = "beginning"
        self._stages: list[str | None] = []
        self._meter: RunningMeter | None = None
        self._start: UsageDelta | None = None
        self._before = self._paid = UsageDelta()
        self._due_ns = 0

    @property
    def is_open(self) -> bool:
        """Others can join."""
        return self._phase == "open"

    @property
    def stage(self) -> str | None:
        """The stage that is debited now: of those who joined with a stage, the last one's."""
        return next((stage for stage in reversed(self._stages) if stage is not None), None)

    # Who draws --------------------------------------------------------------------------------

    def begin(self, stage: str | None, meter: RunningMeter | None, *, whole: bool = False) -> None:
        """The first one draws; nothing is locked while a meter is started for it."""
        self._balance = self._account.balance()
        self._use(meter or self._found(), whole=whole)
        self._stages.append(stage)
        self._due_ns = self._now_ns() + _PAY_NS
        atexit.register(self._at_exit)  # a loop that an error ended may not be collected before the end
        self._turn("open")

    def join(self, stage: str | None, start_meter: StartMeter | None = None) -> bool:
        """One more draws; False: this billing has ended, open another."""
        with self._state:
            while self._phase in ("beginning", "ending"):
                self._state.wait()
            if self._phase == "ended":
                return False
            self._start_meter = start_meter or self._start_meter
            if stage not in (None, self.stage):
                self.poll()
                self._pay_or_warn()
            self._stages.append(stage)
            return True

    def leave(self, stage: str | None, *, strictly: bool = False) -> None:
        """One draws no more; the last one ends it.

        Raises:
            LedgerError: ``strictly``, and the last debit cannot be written.
        """
        with self._state:
            self._update()
            if len(self._stages) > 1:
                if stage is not None:
                    self._pay_or_warn()
                del self._stages[len(self._stages) - 1 - self._stages[::-1].index(stage)]
                return
            self._turn("ending")
        try:
            try:
                self._own.close()  # a meter of our own has its last sample only now
            finally:
                with self._state:
                    self._pay_at_end(strictly)
        finally:
            self.end()

    def _pay_at_end(self, strictly: bool) -> None:
        if self.drawn is None:
            warnings.warn(
                f"nothing was debited to {self._account.name}: the meter gave no sample; "
                "see `energymeter devices`, or raise the rate for short loops",
                RuntimeWarning,
                stacklevel=4,
            )
        elif strictly:
            self.pay()
        else:
            self._pay_or_warn()

    def _at_exit(self) -> None:
        with self._state:
            self._update()
            self._pay_at_end(strictly=False)

    def _turn(self, phase: str) -> None:
        with self._state:
            self._phase = phase
            self._state.notify_all()

    def end(self) -> None:
        """Others open another one from here on."""
        atexit.unregister(self._at_exit)
        self._own.close()
        with active.lock:
            if active.billings.get(self._account.key) is self:
                del active.billings[self._account.key]
        self._turn("ended")

    # What is drawn ----------------------------------------------------------------------------

    def poll(self) -> UsageDelta | None:
        """What was drawn so far; ``None`` while nothing is known. Debits when it is time to."""
        with self._state:
            if self._meter is None and self._phase == "open" and self._start_meter is not None:
                self._start_another(self._start_meter)
            self._update()
            if self._now_ns() >= self._due_ns:
                self._pay_or_warn()
            return self.drawn

    @property
    def pending(self) -> tuple[float, float]:
        """Joules and seconds drawn that are not in the ledger yet."""
        drawn = self.drawn or self._paid
        return drawn.joules - self._paid.joules, drawn.measured_seconds - self._paid.measured_seconds

    def balance(self) -> Balance:
        """With what is drawn but not yet in the ledger; others' debits are seen at our own next one."""
        return self._balance.after(*self.pending)

    def count(self, name: str, times: int, joules: float) -> None:
        """Further spans ``name``."""
        with self._state:
            had = self.units.get(name, (0, 0.0))
            self.units[name] = (had[0] + times, had[1] + joules)

    @contextlib.contextmanager
    def counted(self, name: str) -> Iterator[None]:
        """Count a block as one span ``name``."""
        start = self.poll() or UsageDelta()
        try:
            yield
        finally:
            end = self.poll() or start
            self.count(name, 1, end.joules - start.joules)

    def pay(self) -> None:
        """Bring the ledger up to what was drawn.

        Raises:
            LedgerError: it cannot be written.
        """
        with self._state:
            self._due_ns = self._now_ns() + _PAY_NS
            if self.drawn is None or os.getpid() != self._pid:  # the parent of a fork pays for both
                return
            self._account.spend(self.drawn, stage=self.stage, run=self.run, spans=dict(self.units))
            self._balance, self._paid = self._account.balance(), self.drawn

    def _pay_or_warn(self) -> None:
        """The same, but the user's work goes on if the ledger fails."""
        try:
            self.pay()
        except EnergyMeterError as error:
            warnings.warn(f"not debited yet: {error}", RuntimeWarning, stacklevel=3)

    # Which meter counts -----------------------------------------------------------------------

    def meter_began(self, meter: RunningMeter) -> None:
        """A block was entered: it counts, if the one that counted has ended."""
        with self._state:
            if self._phase == "open" and self._meter is None:
                self._use(meter)

    def meter_ended(self, meter: RunningMeter) -> None:
        """A block was left: what it used is final."""
        with self._state:
            if self._meter is meter:
                self._update()
                self._before, self._meter, self._start = self.drawn or self._before, None, None
                another = active.latest()
                if another is not None and self._phase == "open":
                    self._use(another)

    def forked(self) -> None:
        """In a forked worker: a thread that it does not have may hold the lock."""
        self._state = threading.Condition(threading.RLock())
        atexit.unregister(self._at_exit)

    def _found(self) -> RunningMeter:
        """The latest running meter, or a new one."""
        found = active.latest()
        if found is not None:
            return found
        if self._start_meter is None:
            raise SpecError("no meter runs: enter one with `with meter:`")
        return self._own.enter_context(self._start_meter())

    def _start_another(self, start_meter: StartMeter) -> None:
        try:
            self._use(self._own.enter_context(start_meter()))
        except EnergyMeterError as error:
            self._start_meter = None  # tried once
            warnings.warn(f"the rest is not debited: {error}", RuntimeWarning, stacklevel=4)

    def _use(self, meter: RunningMeter, *, whole: bool = False) -> None:
        self._meter = meter
        self._start = None if whole else self._measured()

    def _update(self) -> None:
        """Take over what the meter has measured."""
        usage = self._measured()
        if usage is None:
            return
        drawn = self._before + UsageDelta.between(self._start, usage)
        before = self.drawn or UsageDelta()
        self.load.add(drawn.measured_seconds - before.measured_seconds, drawn.joules - before.joules)
        self.drawn = drawn

    def _measured(self) -> UsageDelta | None:
        try:
            return None if self._meter is None else UsageDelta.between(None, self._meter.usage)
        except NotMeasured:
            return None

    def _now_ns(self) -> int:
        return self._account.clock.monotonic_ns()
