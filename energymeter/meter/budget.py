"""A budget: one battery charge that many runs share, kept in a ledger until it is spent."""

import contextlib
import copy
import functools
import json
import math
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sized
from typing import Any, TypeVar, cast

from energymeter.battery.battery import Battery
from energymeter.battery.solar import Outlook, outlook
from energymeter.budget.balance import Balance, Outcome, Unit
from energymeter.budget.forecast import Forecast, Level
from energymeter.budget.ledger import Debit, Ledger, Line
from energymeter.clock import Clock, SystemClock
from energymeter.errors import LedgerError, SpecError
from energymeter.meter import active
from energymeter.meter import billing as tabs
from energymeter.meter.active import RunningMeter
from energymeter.meter.billing import Tab
from energymeter.meter.loops import Guard, Loop, Status
from energymeter.meter.statusline import StatusLine
from energymeter.meter.usage_delta import Figures
from energymeter.text import Estimate

T = TypeVar("T")

_RECENT = 512
"""Debits that tell the present load."""


class Budget:
    """What is left of a battery; every process that opens the same name draws on the same charge.

    Args:
        name: of the budget in the ledger.
        battery: what it starts with. None: the budget is there already.
        shares: of the battery for each stage, such as ``{"inference": 0.7, "training": 0.3}``; together
            at most 1. A stage without one draws on the whole.
        ledger: None: the user's own.

    Raises:
        LedgerError: no such budget, another battery or shares under this name, or an unusable ledger.
        SpecError: shares that make no sense.
    """

    def __init__(
        self,
        name: str,
        battery: Battery | None = None,
        *,
        shares: Mapping[str, float] | None = None,
        ledger: Ledger | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self._clock: Clock = clock or SystemClock()
        self._ledger = ledger or Ledger(clock=self._clock)
        self._stage: str | None = None
        self._key = str(self._ledger.path.resolve()), name
        self._line: StatusLine | None = None
        _check(name, shares or {})
        found = self._ledger.budget(name)
        if found is None:
            if battery is None:
                known = ", ".join(self._ledger.names()) or "none yet"
                raise LedgerError(
                    f"no budget {name!r} (there: {known}): make it with `energymeter budget new {name}`"
                )
            self._ledger.create(name, battery.to_json(), json.dumps(shares or {}))
            found = self._ledger.budget(name) or (0, "", "")
        self._id, stored, stored_shares = found
        self.battery, self.shares = _stored(self._ledger, name, stored, stored_shares)
        if battery is not None:
            if battery.to_json() != stored:
                raise LedgerError(
                    f"budget {name!r} has another battery: reset it with this one, or choose another name"
                )
            self.battery = battery  # with its input, which no ledger can keep
        if shares is not None and dict(shares) != self.shares:
            raise LedgerError(
                f"budget {name!r} has the shares {self.shares}: leave them out, or choose another name"
            )

    @classmethod
    def open(cls, name: str) -> "Budget":
        """The budget of this name in the user's ledger.

        Raises:
            LedgerError: there is none, or the ledger cannot be used.
        """
        return cls(name)

    def stage(self, name: str) -> "Budget":
        """The same budget seen from one stage: its own debits, and its share of the battery if it has one."""
        view = copy.copy(self)
        view._stage = name
        return view

    # What is left -----------------------------------------------------------------------------

    def balance(self) -> Balance:
        """What the ledger says now; nothing that is drawn but not yet debited."""
        whole = self._balance(None, 1.0)
        if self._stage is None:
            return whole
        part = self._balance(self._stage, self.shares.get(self._stage, 1.0))
        # A stage cannot have more than the whole has left.
        over = (part.capacity_joules - part.taken_joules) - (whole.capacity_joules - whole.taken_joules)
        return part._replace(taken_joules=part.taken_joules + max(over, 0.0))

    @property
    def spent_joules(self) -> float:
        """Joules drawn at the rail since the last reset, exact to the microjoule."""
        return self._ledger.microjoules(self._id, self._stage)[0] / 1e6

    @property
    def remaining_joules(self) -> Estimate:
        """Joules the rail can still have."""
        return self._now().rail_joules(self._level())

    @property
    def remaining_mah(self) -> Estimate:
        """Usable milliamp-hours left where the battery counts them: at the cell or at the rail."""
        return self._now().mah

    @property
    def remaining_share(self) -> Estimate:
        """Left of the usable charge, 0 to 1."""
        return self._now().share

    @property
    def remaining_hours(self) -> Estimate | None:
        """Hours left at the load since it last changed; ``None`` when no load was seen."""
        return self._now().hours(self._level())

    def outlook(self, hour: float | None = None) -> Outlook | None:
        """How long it lasts at this load while `Battery.input` charges it; ``None``: no load was seen.

        ``hour`` of the day now; None: by the local clock.

        Raises:
            SpecError: it was opened with a battery that has no input.
        """
        level = self._level()
        if level is None:
            return None
        if hour is None:
            now = time.localtime(self._clock.time())
            hour = now.tm_hour + now.tm_min / 60
        return outlook(self.battery, level.watts, share=self.remaining_share.value, hour=hour)

    def runs_left(self, per: str | None = None) -> Estimate | None:
        """How many more spans ``per`` (None: runs) there is energy for; ``None``: none was debited."""
        return self._now().units_left(self._unit(per), self._level(), per or "runs")

    def will_finish(self, iterations: int, per: str | None = None) -> Outcome | None:
        """Whether so many more spans ``per`` (None: runs) get through; ``None``: none was debited."""
        return self._now().outcome(self._unit(per), self._level(), iterations)

    # The ledger -------------------------------------------------------------------------------

    def spend(
        self,
        usage: Figures,
        *,
        stage: str | None = None,
        note: str = "",
        run: str | None = None,
        spans: Mapping[str, tuple[int, float]] | None = None,
    ) -> int | None:
        """Debit a usage; the ledger line's id, or ``None`` when it was debited before.

        ``usage`` (and ``spans``: how often, joules together) is the running total of ``run``: what the
        ledger has of that run already is not counted again, so calling this twice, every minute, or
        again after a crash is safe. Without ``run`` each call is a run of its own.

        Raises:
            SpecError: joules or seconds are negative or no numbers.
            LedgerError: the ledger cannot be written.
        """
        if not (0 <= usage.joules < math.inf and 0 <= usage.seconds < math.inf):
            raise SpecError(
                f"a usage of {usage.joules!r} J in {usage.seconds!r} s cannot be debited: measure again"
            )
        debit = Debit(
            _micro(usage.joules),
            None if usage.coulombs is None else _micro(usage.coulombs),
            _micro(usage.seconds * usage.coverage),
            None if usage.uncertainty is None else _micro(usage.uncertainty),
            usage.provenance,
            ",".join(usage.sources),
            note,
            {name: (count, _micro(joules)) for name, (count, joules) in (spans or {}).items()},
        )
        return self._ledger.settle(self._id, run or uuid.uuid4().hex, stage or self._stage or "", debit)

    def amend(self, line: int, joules: float, note: str = "") -> int:
        """Say what debit ``line`` truly was, in a new line.

        Raises:
            LedgerError: no such debit since the last reset, or undone already.
        """
        return self._ledger.amend(self._id, line, _micro(joules), note)

    def undo(self, line: int, note: str = "") -> int:
        """Take debit ``line`` back, in a new line.

        Raises:
            LedgerError: no such debit since the last reset, or undone already.
        """
        return self._ledger.amend(self._id, line, None, note)

    def reset(self, battery: Battery | None = None, note: str = "") -> int:
        """The battery is full again (or another one): count from here, in a new line."""
        line = self._ledger.reset(self._id, note, battery.to_json() if battery else None)
        self.battery = battery or self.battery
        return line

    def lines(self) -> list[Line]:
        """Everything ever written for this budget, oldest first."""
        return self._ledger.lines(self._id)

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
    def drawing(self, meter: RunningMeter | None = None) -> Iterator[Tab]:
        """Debit what a block draws, as ``meter`` (None: the running one, else one started for it) sees it.

        While something else in this process draws on this budget, be it around this or in another thread,
        that one's meter tells for both: a meter sees the whole board, so nothing is debited twice.
        """
        tab = tabs.join(self._key, self._stage, lambda: self._tab(meter))
        try:
            yield tab
        finally:
            tabs.leave(self._key, tab, self._stage)

    def open_tab(self, meter: RunningMeter, stage: str | None) -> Tab:
        """For a meter that pays for its own block: billed from the meter's start, until `close_tab`."""
        return tabs.join(self._key, stage, lambda: self._tab(meter, whole=True))

    def close_tab(self, tab: Tab, stage: str | None, *, strictly: bool = False) -> None:
        """The end of `open_tab`.

        Raises:
            LedgerError: ``strictly``, and the last debit cannot be written.
        """
        tabs.leave(self._key, tab, stage, strictly=strictly)

    def _tab(self, meter: RunningMeter | None, *, whole: bool = False) -> Tab:
        return Tab(self, meter, _meter_here, self._clock.monotonic_ns, whole=whole)

    def __call__(self, function: Callable[..., T]) -> Callable[..., T]:
        """As a decorator: every call draws on the budget, and counts as a span under the function's name."""
        from inspect import iscoroutinefunction

        name = function.__name__

        @functools.wraps(function)
        def drawing(*args: Any, **kwargs: Any) -> T:
            with self.drawing() as tab, tab.counted(name):
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def awaiting(*args: Any, **kwargs: Any) -> Any:
            with self.drawing() as tab, tab.counted(name):
                return await cast(Callable[..., Awaitable[Any]], function)(*args, **kwargs)

        return cast(Callable[..., T], awaiting) if iscoroutinefunction(function) else drawing

    def _loop(
        self,
        items: Iterable[T],
        meter: RunningMeter | None,
        total: int | None,
        name: str,
        guard: Guard | None,
    ) -> Iterator[T]:
        monotonic_ns = self._clock.monotonic_ns
        length = total if total is not None else len(items) if isinstance(items, Sized) else None
        with self.drawing(meter) as tab:
            if tab.line is None:
                tab.line = StatusLine(monotonic_ns)
            yield from Loop(tab, name, length, tab.line, guard).run(items, monotonic_ns)

    def _now(self) -> Balance:
        """The ledger's word, and what running loops drew since their last debit."""
        balance = self.balance()
        tab = tabs.current(self._key)
        return balance.after(*tab.pending) if tab and self._stage in (None, tab.stage) else balance

    def _level(self) -> Level | None:
        tab = tabs.current(self._key)
        live = tab.load.level() if tab else None
        if live is not None:
            return live
        load = Forecast()
        for seconds, joules in self._ledger.stretches(self._id, self._stage, _RECENT):
            load.add(seconds, joules)
        return load.level()

    def _unit(self, per: str | None) -> Unit | None:
        return Unit.of(self._ledger.units(self._id, self._stage, per))

    def _balance(self, stage: str | None, share: float) -> Balance:
        battery = self.battery
        micro, doubt, _ = self._ledger.microjoules(self._id, stage)
        if battery.spends_evenly:
            taken = battery.taken_joules(micro / 1e6, 0.0)
        else:
            stretches = self._ledger.stretches(self._id, stage)
            taken = math.fsum(battery.taken_joules(joules, seconds) for seconds, joules in stretches)
        # little joules with a large doubt, as of a moment's run, say nothing of a gain beyond "unknown"
        gain = min(abs(doubt) / 2 / micro, 1.0) if doubt and micro > 0 else 0.0
        return Balance(battery, battery.joules * share, taken, math.hypot(battery.capacity_sigma, gain))


def _meter_here(own: contextlib.ExitStack) -> RunningMeter:
    """The meter that runs, or a new one, ended with ``own``."""
    found = active.latest()
    if found is None:
        from energymeter.meter.meter import EnergyMeter

        found = own.enter_context(EnergyMeter())
    return found


def _micro(amount: float) -> int:
    return round(amount * 1e6)


def _stored(ledger: Ledger, name: str, battery: str, shares: str) -> tuple[Battery, dict[str, float]]:
    try:
        found: dict[str, float] = json.loads(shares)
        _check(name, found)
        return Battery.from_json(battery), found
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as damage:
        raise LedgerError(
            f"the ledger {ledger.path} holds no whole budget {name!r} ({damage}): move it away and begin a "
            "new one"
        ) from damage


def _check(name: str, shares: Mapping[str, float]) -> None:
    if not name.strip():
        raise SpecError("a budget needs a name")
    if any(not 0 < share <= 1 for share in shares.values()) or math.fsum(shares.values()) > 1 + 1e-9:
        raise SpecError(f"stages' shares are above 0 and together at most 1, not {dict(shares)!r}")
