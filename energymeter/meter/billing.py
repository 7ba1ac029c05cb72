"""What is drawn from a budget in this process, billed little by little.

A meter sees the whole board, so of all the blocks, loops and functions that draw on one budget at a time
only one can pay: the first opens the *tab*, the others (inside it, or in other threads) join it, and who
leaves last closes it. So every joule is debited once, under the stage that was joined last.
"""

import atexit
import contextlib
import os
import threading
import uuid
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Protocol

from energymeter.budget.balance import Balance
from energymeter.budget.forecast import Forecast
from energymeter.errors import EnergyMeterError, NotMeasured
from energymeter.meter import active
from energymeter.meter.active import RunningMeter
from energymeter.meter.statusline import StatusLine
from energymeter.meter.usage_delta import Figures, UsageDelta

_SETTLE_NS = 30_000_000_000
"""Between two debits of a running loop: what a power cut can cost the ledger."""


class Account(Protocol):
    """What a tab needs of a budget."""

    name: str

    def balance(self) -> Balance: ...
    def spend(
        self,
        usage: Figures,
        *,
        stage: str | None = None,
        note: str = "",
        run: str | None = None,
        spans: Mapping[str, tuple[int, float]] | None = None,
    ) -> int | None: ...


_open: "dict[Hashable, Tab]" = {}
_opening = threading.RLock()


def join(key: Hashable, stage: str | None, opened: "Callable[[], Tab]") -> "Tab":
    """The tab of this process under ``key``, or the one now ``opened``; to be left with `leave`."""
    with _opening:
        tab = _open.get(key)
        if tab is None:
            tab = _open[key] = opened()
        tab.enter(stage)
        return tab


def leave(key: Hashable, tab: "Tab", stage: str | None, *, strictly: bool = False) -> None:
    """The last one closes it; nobody can open another before that is done.

    Raises:
        LedgerError: ``strictly``, and the last debit cannot be written.
    """
    with _opening:
        if tab.exit(stage):
            del _open[key]
            tab.finish(strictly)


def current(key: Hashable) -> "Tab | None":
    """The tab that is open in this process under ``key``."""
    return _open.get(key)


class Tab:
    """What one meter after the other sees of a budget's load, from the first that draws to the last.

    Args:
        account: the budget.
        meter: a running one; None: what ``find`` finds.
        find: a running meter, or one that is started, and ended with the stack given.
        whole: ``meter`` is billed from its own start.
    """

    def __init__(
        self,
        account: Account,
        meter: RunningMeter | None,
        find: Callable[[contextlib.ExitStack], RunningMeter],
        monotonic_ns: Callable[[], int],
        *,
        whole: bool = False,
    ) -> None:
        self.load = Forecast()
        self.units: dict[str, tuple[int, float]] = {}
        self.drawn: UsageDelta | None = None
        self.line: StatusLine | None = None
        self.run = uuid.uuid4().hex
        self._account, self._find, self._monotonic_ns = account, find, monotonic_ns
        self._own = contextlib.ExitStack()
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._stages: list[str | None] = []
        self._before = UsageDelta()
        self._settled = UsageDelta()
        self.meter: RunningMeter | None = None
        self._use(meter or find(self._own), whole=whole)
        self._due = monotonic_ns() + _SETTLE_NS
        self._balance = account.balance()
        atexit.register(self.settle)  # a loop that an error ended early may not be collected before the end

    # Who draws --------------------------------------------------------------------------------

    @property
    def stage(self) -> str | None:
        """Under which is billed now: of those who joined with a stage, the last one's."""
        return next((stage for stage in reversed(self._stages) if stage is not None), None)

    def enter(self, stage: str | None) -> None:
        """Somebody draws from here on."""
        with self._lock:
            if stage not in (None, self.stage) and self._stages:
                self.poll()
                self.settle()
            self._stages.append(stage)

    def exit(self, stage: str | None) -> bool:
        """Somebody draws no more; whether that was the last one."""
        with self._lock:
            if len(self._stages) == 1:
                return True
            self._look()
            if stage is not None:
                self.settle()
            del self._stages[len(self._stages) - 1 - self._stages[::-1].index(stage)]
            return False

    # What is drawn ----------------------------------------------------------------------------

    def poll(self) -> UsageDelta | None:
        """What was drawn so far; ``None`` while nothing is known. Debits when it is time to."""
        with self._lock:
            self._look()
            if self._listed and not active.has(self.meter):
                self._change_meter()
            if self._monotonic_ns() >= self._due:
                self.settle()
            return self.drawn

    @property
    def pending(self) -> tuple[float, float]:
        """Joules and seconds drawn that are not in the ledger yet."""
        drawn = self.drawn or self._settled
        return drawn.joules - self._settled.joules, drawn.seconds - self._settled.seconds

    def balance(self) -> Balance:
        """With what is drawn but not yet in the ledger; others' debits show up with our own next one."""
        return self._balance.after(*self.pending)

    def count(self, name: str, times: int, joules: float) -> None:
        """Further spans ``name``."""
        with self._lock:
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
        with self._lock:
            self._due = self._monotonic_ns() + _SETTLE_NS
            if self.drawn is None or os.getpid() != self._pid:  # a fork's parent pays, and goes on doing so
                return
            self._account.spend(self.drawn, stage=self.stage, run=self.run, spans=dict(self.units))
            self._balance, self._settled = self._account.balance(), self.drawn

    def settle(self) -> None:
        """The same; but a ledger that fails is told, and the user's work goes on."""
        try:
            self.pay()
        except EnergyMeterError as error:
            warnings.warn(f"not debited yet: {error}", RuntimeWarning, stacklevel=2)

    def finish(self, strictly: bool = False) -> None:
        """The last debit."""
        atexit.unregister(self.settle)
        self._own.close()  # a meter of our own has its last sample only now
        with self._lock:
            self._look()
        if strictly:
            self.pay()
        else:
            self.settle()
        if self.drawn is None:
            warnings.warn(
                f"nothing was debited to {self._account.name}: the meter gave no sample; "
                "see `energymeter devices`, or raise the rate for short loops",
                RuntimeWarning,
                stacklevel=2,
            )

    # Which meter tells ------------------------------------------------------------------------

    def _change_meter(self) -> None:
        """This one has ended while the load goes on: so does the tab, with another."""
        self._look()
        self._before = self.drawn or self._before
        try:
            self._use(self._find(self._own))
        except EnergyMeterError as error:
            self.meter, self._listed = None, False
            warnings.warn(f"the rest is not debited: {error}", RuntimeWarning, stacklevel=2)

    def _use(self, meter: RunningMeter, *, whole: bool = False) -> None:
        self.meter = meter
        self._listed = active.has(meter)
        self._start = self._latest = None
        if not whole:
            self._start = self._latest = self._usage()

    def _look(self) -> None:
        usage = self._usage()
        if usage is None:
            return
        if self._latest is not None and usage.seconds < self._latest.seconds:  # the meter was entered anew
            self._before, self._start = self.drawn or self._before, None
        self._latest = usage
        drawn = UsageDelta.between(self._start, usage)
        drawn = self._before + drawn if self._before.seconds else drawn
        before = self.drawn or UsageDelta()
        self.load.add(drawn.seconds - before.seconds, drawn.joules - before.joules)
        self.drawn = drawn

    def _usage(self) -> Figures | None:
        try:
            return None if self.meter is None else self.meter.usage
        except NotMeasured:
            return None
