"""What a running meter draws from a budget, billed little by little."""

import atexit
import contextlib
import uuid
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, runtime_checkable

from energymeter.budget.balance import Balance
from energymeter.budget.forecast import Forecast
from energymeter.errors import EnergyMeterError, NotMeasured
from energymeter.statusline import StatusLine

_SETTLE_NS = 30_000_000_000
"""Between two debits of a running loop: what a power cut can cost the ledger."""


class Figures(Protocol):
    """What the ledger needs of a usage."""

    @property
    def joules(self) -> float: ...
    @property
    def coulombs(self) -> float | None: ...
    @property
    def seconds(self) -> float: ...
    @property
    def coverage(self) -> float: ...
    @property
    def uncertainty(self) -> float | None: ...
    @property
    def provenance(self) -> str: ...
    @property
    def sources(self) -> tuple[str, ...]: ...


class Meter(Protocol):
    """What a loop needs of a running meter."""

    @property
    def usage(self) -> Figures:
        """So far; raises `NotMeasured` before the first sample."""


@runtime_checkable
class Debiting(Protocol):
    """A meter that debits a budget by itself."""

    @property
    def budget(self) -> str | None:
        """The budget's name, if any."""

    @property
    def run_id(self) -> str:
        """Under which it debits; a new one each time it is entered."""


class Account(Protocol):
    """What a loop needs of a budget."""

    name: str

    def balance(self) -> Balance: ...
    def spend(
        self,
        usage: Figures,
        *,
        stage: str | None = None,
        note: str = "",
        run: str | None = None,
        spans: dict[str, tuple[int, float]] | None = None,
    ) -> int | None: ...


class Drawn(NamedTuple):
    """What a stretch of a running meter drew."""

    joules: float = 0.0
    coulombs: float | None = None
    seconds: float = 0.0
    """That were measured: gaps add neither joules nor seconds."""
    coverage: float = 1.0
    uncertainty: float | None = None
    provenance: str = "measured"
    sources: tuple[str, ...] = ()

    @classmethod
    def between(cls, start: "Figures | None", end: Figures) -> "Drawn":
        """The difference of two usages of one meter; its relative doubt is taken to be all gain."""
        measured = end.seconds * end.coverage
        if start is None:
            return cls(
                end.joules, end.coulombs, measured, 1.0, end.uncertainty, end.provenance, tuple(end.sources)
            )
        joules = end.joules - start.joules
        both = None if end.coulombs is None or start.coulombs is None else end.coulombs - start.coulombs
        doubt = None if end.uncertainty is None or not end.joules else end.uncertainty * joules / end.joules
        seconds = measured - start.seconds * start.coverage
        return cls(joules, both, seconds, 1.0, doubt, end.provenance, tuple(end.sources))


class Tab:
    """A stretch of a running meter that is billed to a budget, little by little.

    A meter that debits this budget by itself is billed under its own run id and from its own start, so
    both report the same running total and it counts once.
    """

    def __init__(
        self, account: Account, meter: Meter, stage: str | None, monotonic_ns: Callable[[], int]
    ) -> None:
        self.meter = meter
        self.load = Forecast()
        self.units: dict[str, tuple[int, float]] = {}
        self.drawn: Drawn | None = None
        self.line: StatusLine | None = None
        self.stage = stage
        self._account, self._monotonic_ns = account, monotonic_ns
        own = isinstance(meter, Debiting) and meter.budget == account.name
        self._run = meter.run_id if isinstance(meter, Debiting) and own else uuid.uuid4().hex
        self._start = None if own else self._usage()
        self._settled = Drawn() if not own else (Drawn.between(None, self._usage() or Drawn()))
        self._due = monotonic_ns() + _SETTLE_NS
        self._balance = account.balance()
        atexit.register(self.settle)  # a loop that an error ended early may not be collected before the end

    def poll(self) -> Drawn | None:
        """What was drawn so far; ``None`` while nothing is known. Debits when it is time to."""
        usage = self._usage()
        if usage is not None:
            drawn = Drawn.between(self._start, usage)
            before = self.drawn or Drawn()
            self.load.add(drawn.seconds - before.seconds, drawn.joules - before.joules)
            self.drawn = drawn
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

    @contextlib.contextmanager
    def counted(self, name: str) -> Iterator[None]:
        """Count a block as one span ``name``."""
        start = self.poll() or Drawn()
        try:
            yield
        finally:
            end = self.poll() or start
            count, joules = self.units.get(name, (0, 0.0))
            self.units[name] = (count + 1, joules + end.joules - start.joules)

    def settle(self) -> None:
        """Bring the ledger up to what was drawn. A ledger that fails is told, and the user's work goes on."""
        self._due = self._monotonic_ns() + _SETTLE_NS
        if self.drawn is None:
            return
        try:
            self._account.spend(self.drawn, stage=self.stage, run=self._run, spans=dict(self.units))
            self._balance, self._settled = self._account.balance(), self.drawn
        except EnergyMeterError as error:
            warnings.warn(f"not debited yet: {error}", RuntimeWarning, stacklevel=2)

    def finish(self) -> None:
        """The last debit."""
        atexit.unregister(self.settle)
        self.poll()
        self.settle()
        if self.drawn is None:
            warnings.warn(
                f"nothing was debited to {self._account.name}: the meter gave no sample; "
                "see `energymeter devices`, or raise the rate for short loops",
                RuntimeWarning,
                stacklevel=2,
            )

    def _usage(self) -> Figures | None:
        try:
            return self.meter.usage
        except NotMeasured:
            return None
