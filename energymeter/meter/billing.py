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
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import cast

from energymeter.budget.account import Account
from energymeter.budget.balance import Balance
from energymeter.budget.claims import Charge, Claim
from energymeter.budget.forecast import Forecast
from energymeter.energy.window import COVERED
from energymeter.errors import EnergyMeterError, LedgerError, NotMeasured, SpecError, warn
from energymeter.meter import active
from energymeter.meter.active import RunningMeter
from energymeter.meter.usage_delta import NOTHING, UsageDelta

StartMeter = Callable[[], AbstractContextManager[RunningMeter]]
"""Makes a meter for those who found none running."""

_PAY_NS = 29_000_000_000
"""Between two debits, with a second for the poll: what a power cut can cost the ledger."""
_POLL_SECONDS = 1.0
_APART_NS = 500_000_000
_REMEMBERED = 480
"""Polls that are remembered, half a second apart or more: twice as long as a claim takes to lapse."""


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
        LedgerError: the ledger cannot be read.
        SourceError: the new meter cannot be started.
    """
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
    """What one meter after the other measures of a budget's load, from the first that draws to the last.

    A thread of its own polls it every second, so that a run pays on its way and what was drawn is known
    for each moment of the last minutes: where the battery is charged meanwhile, or another process stops
    billing the same source, the ledger gets exactly what came after.
    """

    def __init__(self, account: Account, start_meter: StartMeter | None) -> None:
        self.run = uuid.uuid4().hex
        """Names these debits in the ledger."""
        self.load = Forecast()
        self.drawn: UsageDelta | None = None
        """Since the beginning; ``None``: nothing is known yet."""
        self.units: dict[str, tuple[int, float, int]] = {}
        self._account, self._start_meter = account, start_meter
        self._own = contextlib.ExitStack()
        self._pid = os.getpid()
        self._state = threading.Condition(threading.RLock())
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._phase = "beginning"
        self._stages: list[str | None] = []
        self._meter: RunningMeter | None = None
        self._start: UsageDelta | None = None
        self._before = NOTHING
        self._history: deque[tuple[int, UsageDelta]] = deque(maxlen=_REMEMBERED)
        self._newest = 0, NOTHING
        self._in_ledger = NOTHING
        """Up to here everything is in the ledger, as a debit of ours or of another process."""
        self._skipped = NOTHING
        """The part of it that another process has debited."""
        self._claimed: set[str] = set()
        self._warned = False
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
        meter = meter or self._found()
        self._use(meter, whole=whole)
        self._charge = self._claim(meter.sources).charge
        self._stages.append(stage)
        self._due_ns = self._now_ns() + _PAY_NS
        atexit.register(self._at_exit)  # a block that nobody leaves is paid for when the program ends
        self._turn("open")
        with contextlib.suppress(RuntimeError):  # no thread can be started: it pays when it is polled
            thread = threading.Thread(target=self._run, name="energymeter-billing", daemon=True)
            thread.start()
            self._thread = thread

    def join(self, stage: str | None, start_meter: StartMeter | None = None) -> bool:
        """One more draws; False: this billing has ended, open another."""
        with self._state:
            while self._phase in ("beginning", "ending"):
                self._state.wait()
            if self._phase == "ended":
                return False
            self._start_meter = start_meter or self._start_meter
            if stage not in (None, self.stage):
                self.pay_now()
            self._stages.append(stage)
            return True

    def leave(self, stage: str | None, *, strictly: bool = False) -> None:
        """One draws no more; the last one ends it.

        Raises:
            LedgerError: ``strictly``, and the last debit cannot be written.
        """
        try:
            with self._state:
                self._update()
                if len(self._stages) > 1:
                    if stage is not None:
                        self._pay_or_warn()
                    del self._stages[len(self._stages) - 1 - self._stages[::-1].index(stage)]
                    return
                self._turn("ending")
            self._over.set()
            try:
                self._own.close()  # a meter of our own has its last sample only now
            finally:
                self._pay_at_end(strictly)
        finally:
            if self._phase == "ending":  # also if it is interrupted: others wait for the end
                self.end()

    def _pay_at_end(self, strictly: bool) -> None:
        with self._state:
            if self._nothing_measured():
                if os.getpid() == self._pid:
                    warn(
                        f"nothing was debited to {self._account.name}: the meter gave no sample; "
                        "see `energymeter devices`, or raise the rate for short loops",
                        stacklevel=4,
                    )
                return
            try:
                self.pay(last=True)
            except EnergyMeterError as error:
                joules = f"{self.pending[0]:.6g}"
                text = (
                    f"{error}; {joules} J are not debited: "
                    f"`energymeter budget spend {self._account.name} --joules {joules}`"
                )
                if strictly:
                    raise LedgerError(text) from error
                warn(text, stacklevel=4)

    def _at_exit(self) -> None:
        if os.getpid() == self._pid:
            self._over.set()
            if self._thread is not None:
                self._thread.join()  # it would be stopped where it is, and might hold the lock
            with self._state:
                self._update()
                self._pay_at_end(strictly=False)
                self._release()

    def _turn(self, phase: str) -> None:
        with self._state:
            self._phase = phase
            self._state.notify_all()

    def end(self) -> None:
        """Others open another one from here on."""
        atexit.unregister(self._at_exit)
        self._over.set()
        self._own.close()
        with self._state:
            self._release()
        with active.lock:
            if active.billings.get(self._account.key) is self:
                del active.billings[self._account.key]
        self._turn("ended")

    def _run(self) -> None:
        while not self._over.wait(_POLL_SECONDS):
            with contextlib.suppress(
                RuntimeWarning
            ):  # warnings may be errors here; the last debit warns again
                self.poll(start=False)

    # What is drawn ----------------------------------------------------------------------------

    def poll(self, *, start: bool = True) -> UsageDelta | None:
        """What was drawn so far; ``None`` while nothing is known. Debits when it is time to.

        ``start``: a new meter may be started where the one that counted has ended.
        """
        with self._state:
            if start and self._meter is None and self._phase == "open" and self._start_meter is not None:
                self._start_another(self._start_meter)
            if self._phase in ("open", "ending"):
                self._update()
                if self._now_ns() >= self._due_ns:
                    self._pay_or_warn()
            return self.drawn

    @property
    def pending(self) -> tuple[float, float]:
        """Joules and seconds drawn that are not in the ledger yet."""
        drawn, paid = self.drawn or self._in_ledger, self._in_ledger
        return drawn.joules - paid.joules, drawn.measured_seconds - paid.measured_seconds

    def balance(self) -> Balance:
        """With what is drawn but not yet in the ledger; others' debits are seen at our own next one."""
        return self._balance.after(*self.pending)

    def count(self, name: str, measured: int, joules: float, left_out: int = 0) -> None:
        """Further spans ``name``: those that were fully measured, their energy, and those that were not."""
        with self._state:
            had = self.units.get(name, (0, 0.0, 0))
            self.units[name] = had[0] + measured, had[1] + joules, had[2] + left_out

    @contextlib.contextmanager
    def counted(self, name: str) -> Iterator[None]:
        """Count a block as one span ``name``."""
        start = self.poll()
        try:
            yield
        finally:
            self.count(name, *cost_of(1, start, self.poll()))

    # Paying -----------------------------------------------------------------------------------

    def _nothing_measured(self) -> bool:
        """No sample, or a first one alone that was asked for while time went by."""
        return self.drawn is None or (not self.drawn.seconds and self._now_ns() > self._history[0][0])

    def pay(self, *, last: bool = False) -> None:
        """Bring the ledger up to what was drawn.

        Raises:
            LedgerError: it cannot be written.
        """
        with self._state:
            self._due_ns = self._now_ns() + _PAY_NS
            drawn = self.drawn
            if drawn is None or os.getpid() != self._pid:  # the parent of a fork pays for both
                return
            claim = self._claim(drawn.sources if self._meter is None else self._meter.sources)
            if claim.billed_until_ns is not None:
                self._skip_to(self._drawn_at(claim.billed_until_ns))
            if claim.ours:
                if claim.charge.number != self._charge.number:
                    self._debit_old_charge(claim.charge)
                self._debit(drawn)
            elif last and self._skipped == self._in_ledger:
                self._account.spend(
                    drawn.part(0.0),
                    stage=self.stage,
                    run=self.run,
                    spans=dict(self.units),
                    note=f"billed by process {claim.pid}",
                )
            self._balance = self._account.balance()

    def pay_now(self) -> None:
        """Debit what was drawn up to this moment, or warn."""
        with self._state:
            self._update()
            self._pay_or_warn()

    def _debit_old_charge(self, charge: Charge) -> None:
        """The battery was charged meanwhile: what was drawn before is of the old charge."""
        ago_ns = max(0, round((self._account.clock.time() - charge.began) * 1e9))
        at_reset = self._drawn_at(self._now_ns() - ago_ns)
        if at_reset.joules > self._in_ledger.joules:
            self._debit(at_reset, self._charge.number)
        self._charge = charge

    def _debit(self, drawn: UsageDelta, charge: int | None = None) -> None:
        billed, spans = UsageDelta.between(self._skipped, drawn), dict(self.units)
        self._account.spend(billed, stage=self.stage, run=self.run, spans=spans, charge=charge)
        self._in_ledger = drawn

    def _skip_to(self, drawn: UsageDelta) -> None:
        """Another process has billed everything up to here."""
        if drawn.seconds > self._in_ledger.seconds:
            self._skipped += UsageDelta.between(self._in_ledger, drawn)
            self._in_ledger = drawn

    def _drawn_at(self, at_ns: int) -> UsageDelta:
        """What was drawn at a moment of the last minutes, by a straight line between two polls."""
        history = [*self._history, self._newest]
        after = next((number for number, (ns, _) in enumerate(history) if ns > at_ns), len(history))
        if after == 0:
            return NOTHING
        start_ns, start = history[after - 1]
        if after == len(history):
            return start
        end_ns, end = history[after]
        return start + UsageDelta.between(start, end).part((at_ns - start_ns) / (end_ns - start_ns))

    def _claim(self, sources: Sequence[str]) -> Claim:
        claim = self._account.claim(sources)
        if claim.ours:
            self._claimed |= {*sources}
        elif {*claim.sources} < {*sources} and not self._warned:
            self._warned = True
            theirs, rest = " + ".join(claim.sources), " + ".join({*sources} - {*claim.sources})
            warn(
                f"{rest} is not debited to {self._account.name} while process {claim.pid} bills {theirs}: "
                "measure them in one process",
                stacklevel=5,
            )
        return claim

    def _release(self) -> None:
        if self._claimed and os.getpid() == self._pid:
            with contextlib.suppress(EnergyMeterError):  # claims that are not renewed lapse by themselves
                self._account.release([*self._claimed])
            self._claimed = set()

    def _pay_or_warn(self) -> None:
        """The same, but the user's work goes on if the ledger fails."""
        try:
            self.pay()
        except EnergyMeterError as error:
            warn(f"not debited yet: {error}", stacklevel=3)

    # Which meter counts -----------------------------------------------------------------------

    def meter_began(self, meter: RunningMeter) -> None:
        """A block was entered: it counts, if the one that counted has ended."""
        with self._state:
            if self._phase == "open" and self._meter is None:
                self._use_another(meter)

    def meter_ended(self, meter: RunningMeter) -> None:
        """A block was left: what it used is final."""
        with self._state:
            if self._meter is meter:
                self._update()
                self._before, self._meter, self._start = self.drawn or self._before, None, None
                if self._phase == "open":
                    self._pay_or_warn()
                    self._release()
                    another = active.latest()
                    if another is not None:
                        self._use_another(another)

    def forked(self) -> None:
        """In a forked worker: a thread that it does not have may hold the locks."""
        self._state = threading.Condition(threading.RLock())
        self._over = threading.Event()
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
            self._use_another(self._own.enter_context(start_meter()))
        except EnergyMeterError as error:
            self._start_meter = None  # tried once
            warn(f"the rest is not debited: {error}", stacklevel=4)

    def _use(self, meter: RunningMeter, *, whole: bool = False) -> None:
        self._meter = meter
        self._start = None if whole else self._measured()
        self._newest = self._now_ns(), self.drawn or NOTHING
        self._history.append(self._newest)

    def _use_another(self, meter: RunningMeter) -> None:
        self._use(meter)
        with contextlib.suppress(EnergyMeterError):  # the debits report it
            self._claim(meter.sources)

    def _update(self) -> None:
        """Take over what the meter has measured."""
        usage = self._measured()
        if usage is None:
            return
        drawn = self._before + UsageDelta.between(self._start, usage)
        before = self.drawn or NOTHING
        self.load.add(drawn.measured_seconds - before.measured_seconds, drawn.joules - before.joules)
        self.drawn = drawn
        self._newest = self._now_ns(), drawn
        if self._newest[0] - self._history[-1][0] >= _APART_NS:
            self._history.append(self._newest)

    def _measured(self) -> UsageDelta | None:
        try:
            return None if self._meter is None else UsageDelta.between(None, self._meter.usage)
        except NotMeasured:
            return None

    def _now_ns(self) -> int:
        return self._account.clock.monotonic_ns()


def cost_of(times: int, start: UsageDelta | None, end: UsageDelta | None) -> tuple[int, float, int]:
    """What so many spans between two polls cost: (those that were measured, their joules, those left out)."""
    if end is None:
        return 0, 0.0, times
    drawn = UsageDelta.between(start, end)
    return (times, drawn.joules, 0) if drawn.coverage >= COVERED else (0, 0.0, times)
