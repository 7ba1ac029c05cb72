"""An account: one battery charge that many runs share, kept in a ledger. It knows no meter."""

import copy
import json
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from energymeter.battery.battery import Battery
from energymeter.battery.solar import Outlook, outlook
from energymeter.budget.balance import Balance, Outcome, Unit, percent_text
from energymeter.budget.claims import Claim
from energymeter.budget.forecast import Forecast, HoursLeft, Level
from energymeter.budget.ledger import LIMIT, Debit, Ledger, Line, SpanTotal
from energymeter.clock import Clock, SystemClock
from energymeter.errors import EnergyMeterError, LedgerError, SpecError
from energymeter.text import Estimate, html_table

A = TypeVar("A", bound="Account")

_RECENT = 512
"""The newest debits, from which the present load is taken."""


class Spent(Protocol):
    """What an account needs of a usage; a `Usage` has all of it."""

    @property
    def joules(self) -> float: ...
    @property
    def coulombs(self) -> float | None: ...
    @property
    def measured_seconds(self) -> float:
        """The time in which the joules flowed, without the gaps, s."""

    @property
    def uncertainty(self) -> float | None: ...
    @property
    def provenance(self) -> str: ...
    @property
    def sources(self) -> tuple[str, ...]: ...


class Account:
    """What is left of a battery; every process that opens the same name draws on the same charge.

    Args:
        name: of the budget in the ledger.
        battery: what it starts with. None: the budget exists already.
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
        self.clock: Clock = clock or SystemClock()
        self._ledger = ledger or Ledger(clock=self.clock)
        self.stage_name: str | None = None
        """The stage that this view draws on; ``None``: the whole budget."""
        self.key = str(self._ledger.path.resolve()), name
        """The same for every object that draws on this charge."""
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
        self._stored = stored
        self.battery, self.shares = _read(self._ledger, name, stored, stored_shares)
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
    def open(cls: type[A], name: str) -> A:
        """The budget of this name in the user's ledger.

        Raises:
            LedgerError: there is none, or the ledger cannot be used.
        """
        return cls(name)

    def stage(self: A, name: str) -> A:
        """The same budget seen from one stage: its own debits, and its share of the battery if it has one."""
        view = copy.copy(self)
        view.stage_name = name
        return view

    # What is left -----------------------------------------------------------------------------

    def balance(self) -> Balance:
        """What the ledger has now; nothing that is drawn but not yet debited."""
        whole = self._balance(None, 1.0)
        if self.stage_name is None:
            return whole
        part = self._balance(self.stage_name, self.shares.get(self.stage_name, 1.0))
        # A stage cannot have more than the whole has left.
        over = (part.capacity_joules - part.taken_joules) - (whole.capacity_joules - whole.taken_joules)
        return part._replace(taken_joules=part.taken_joules + max(over, 0.0))

    def balance_now(self) -> Balance:
        """The balance at this moment."""
        return self.balance()

    def level(self) -> Level | None:
        """The load since it last changed, by the newest debits; ``None`` when no load was seen."""
        load = Forecast()
        for seconds, joules in self._ledger.stretches(self._id, self.stage_name, _RECENT):
            load.add(seconds, joules)
        return load.level()

    @property
    def spent_joules(self) -> float:
        """Joules drawn at the rail since the last reset, exact to the microjoule."""
        return self._ledger.totals(self._id, self.stage_name).microjoules / 1e6

    @property
    def remaining_joules(self) -> Estimate:
        """Joules that the rail can still get."""
        return self.balance_now().rail_joules(self.level())

    @property
    def remaining_mah(self) -> Estimate:
        """Usable milliamp-hours left where the battery counts them: at the cell or at the rail."""
        return self.balance_now().mah

    @property
    def remaining_share(self) -> Estimate:
        """The part of the usable charge that is left, 0 to 1."""
        return self.balance_now().share

    @property
    def remaining_hours(self) -> Estimate | None:
        """Hours left at the load since it last changed; ``None`` where `forecast` says why not."""
        return self.forecast().hours

    def forecast(self) -> HoursLeft:
        """The hours left, or the reason why there are none, and what would help."""
        return self.balance_now().forecast(self.level())

    def outlook(self, hour: float | None = None) -> Outlook | None:
        """How long it lasts at this load while `Battery.input` charges it; ``None``: no load was seen.

        ``hour`` of the day now; None: by the local clock.

        Raises:
            SpecError: it was opened with a battery that has no input.
        """
        level = self.level()
        if level is None:
            return None
        if hour is None:
            now = time.localtime(self.clock.time())
            hour = now.tm_hour + now.tm_min / 60
        return outlook(self.battery, level.watts, share=self.remaining_share.value, hour=hour)

    def runs_left(self, per: str | None = None) -> Estimate | None:
        """How many more spans ``per`` (None: runs) there is energy for; ``None``: none was debited."""
        return self.balance_now().units_left(self._unit(per), self.level(), per or "runs")

    def will_finish(self, iterations: int, per: str | None = None) -> Outcome | None:
        """Whether so many more spans ``per`` (None: runs) get through; ``None``: none was debited."""
        return self.balance_now().outcome(self._unit(per), self.level(), iterations)

    # The ledger -------------------------------------------------------------------------------

    def spend(
        self,
        usage: Spent,
        *,
        stage: str | None = None,
        note: str = "",
        run: str | None = None,
        spans: Mapping[str, tuple[int, float] | tuple[int, float, int]] | None = None,
        charge: int | None = None,
    ) -> int | None:
        """Debit a usage; the ledger line's id, or ``None`` when it was debited before.

        ``usage`` and ``spans`` are the running totals of ``run``: what the ledger has of that run already
        is not counted again, so calling this twice, every minute, or again after a crash is safe. Without
        ``run`` each call is a run of its own.

        Args:
            usage: what was used.
            stage: the stage that pays.
            note: for people.
            run: the id of the run.
            spans: by name how many spans were fully measured, their joules together, and, if there are any,
                how many were left out because they were not.
            charge: the number of the charge that gave it, see `claim`; None: the present one.

        Raises:
            SpecError: joules or seconds are negative or no numbers.
            LedgerError: the ledger cannot be written.
        """
        if not (0 <= usage.joules < math.inf and 0 <= usage.measured_seconds < math.inf):
            raise SpecError(
                f"a usage of {usage.joules!r} J in {usage.measured_seconds!r} s cannot be debited; "
                "measure again"
            )
        debit = Debit(
            _micro(usage.joules),
            None if usage.coulombs is None else _micro(usage.coulombs),
            _micro(usage.measured_seconds),
            None if usage.uncertainty is None else _micro(usage.uncertainty),
            usage.provenance,
            ",".join(usage.sources),
            note,
            {
                name: SpanTotal(count, _micro(joules), *left_out)
                for name, (count, joules, *left_out) in (spans or {}).items()
            },
        )
        run, stage = run or uuid.uuid4().hex, stage or self.stage_name or ""
        return self._ledger.record(self._id, run, stage, debit, charge)

    def claim(self, sources: Sequence[str]) -> Claim:
        """Bill sources to this budget, unless another process does; to be renewed every 30 s."""
        return self._ledger.claims.take(self._id, sources, self.clock.monotonic_ns())

    def release(self, sources: Sequence[str]) -> None:
        """Bill them no more, so that other processes can."""
        self._ledger.claims.release(self._id, sources, self.clock.monotonic_ns())

    def amend(self, line: int, joules: float, note: str = "") -> int:
        """Correct debit ``line`` to ``joules``, in a new line.

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
        stored = self._stored if battery is None else battery.to_json()
        line = self._ledger.reset(self._id, note, battery and stored)
        self.battery, self._stored = battery or self.battery, stored
        return line

    def lines(self) -> list[Line]:
        """Everything ever written for this budget, oldest first."""
        return self._ledger.lines(self._id)

    # Representations --------------------------------------------------------------------------

    def __repr__(self) -> str:
        """``<Budget 'lab4': 31 % (24 % to 38 %) left, 1120 mAh (870 to 1370) at the cell>``."""
        return f"<{type(self).__name__} {self._title()!r}: {', '.join(self._facts())}>"

    def _repr_html_(self) -> str:
        return html_table([(self._title(), *self._facts())])

    def _title(self) -> str:
        return self.name if self.stage_name is None else f"{self.name} · {self.stage_name}"

    def _facts(self) -> list[str]:
        try:
            balance = self.balance_now()
            hours = balance.hours(self.level())
        except EnergyMeterError as error:  # a view never fails
            return [f"unavailable: {error}"]
        facts = [f"{percent_text(balance.share)} left", f"{balance.mah} at the {self.battery.basis}"]
        return facts if hours is None else [*facts, str(hours)]

    def spans(self) -> dict[str, SpanTotal]:
        """The spans debited since the last reset, by name: how many, their energy, how many were left out."""
        return self._ledger.spans(self._id, self.stage_name)

    def _unit(self, per: str | None) -> Unit | None:
        return Unit.of(self._ledger.units(self._id, self.stage_name, per))

    def _balance(self, stage: str | None, share: float) -> Balance:
        totals = self._ledger.totals(self._id, stage)
        if totals.battery != self._stored:  # another process has changed the battery
            self.battery, _ = _read(self._ledger, self.name, totals.battery, "{}")
            self._stored = totals.battery
        battery, joules = self.battery, totals.microjoules / 1e6
        if battery.spends_evenly:
            taken = battery.taken_joules(joules, 0.0)
        else:
            stretches = self._ledger.stretches(self._id, stage)
            taken = math.fsum(battery.taken_joules(joules, seconds) for seconds, joules in stretches)
        # few joules with a large uncertainty, as of a moment's run, say nothing of a gain beyond "unknown"
        uncertainty = totals.uncertainty_microjoules
        gain = (
            min(abs(uncertainty) / 2 / totals.microjoules, 1.0)
            if uncertainty and totals.microjoules > 0
            else 0.0
        )
        return Balance(battery, battery.joules * share, taken, None, gain)


def _micro(amount: float) -> int:
    """Millionths.

    Raises:
        SpecError: no number, or more than the ledger holds.
    """
    if not abs(amount) <= LIMIT / 1e6:
        raise SpecError(f"an amount is a number up to {LIMIT / 1e6:g}, not {amount!r}: check it")
    return round(amount * 1e6)


def _read(ledger: Ledger, name: str, battery: str, shares: str) -> tuple[Battery, dict[str, float]]:
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
