"""The energy of a training: its steps, epochs, evaluations and checkpoints, each by itself; and its guard."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from energymeter.clock import SystemClock
from energymeter.errors import NotMeasured, SpecError
from energymeter.integrations.devices import sync_of_devices
from energymeter.meter import active
from energymeter.meter.guard import Guard, Status, Watch
from energymeter.meter.meter import EnergyMeter
from energymeter.text import html_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeVar

    from energymeter.energy.usage import Usage
    from energymeter.meter.span import Span
    from energymeter.meter.spans import Spans
    from energymeter.source import Source

    T = TypeVar("T")

_CHECK_NS = 100_000_000
"""Between two checks of the budget; between them a step costs one read of the clock."""
WARM_UP = "warm-up step"
PARTS = {"step": "steps", "epoch": "epochs", "evaluation": "evaluations", "checkpoint": "checkpoints"}
"""What a training consists of, by the name of its span, and the unit that it counts."""


class TrainingEnergy:
    """What one training uses, part by part; the callbacks of all frameworks report to one of these.

    The parts are spans of the meter: ``step``, ``epoch``, ``evaluation``, ``checkpoint``. The first steps,
    which compile, allocate and fill caches, are spans ``warm-up step`` and in no step's cost. An evaluation
    or checkpoint ends the span of its epoch, which goes on with the next step, so it is in no epoch's energy.

    Args:
        meter: what measures; None: the best sensor here. One that does not run yet is entered when the
            training begins and left when it ends. Put it in a ``with`` block of your own, so that it is also
            left where the training fails in a framework that does not report that.
        warmup_steps: so many first steps are left out of the cost of a step.
        reserve: the share of the usable charge at which the training ends, after it was saved; None: it goes
            on. The meter needs a budget.

    While CUDA is in use, every edge waits for it, unless the meter has a ``sync`` of its own.

    Raises:
        SpecError: a share, a number of steps or a meter makes no sense.
    """

    def __init__(
        self,
        meter: EnergyMeter | str | Source | None = None,
        *,
        warmup_steps: int = 1,
        reserve: float | None = None,
    ) -> None:
        if reserve is not None and not 0 <= reserve < 1:
            raise SpecError(f"a reserve is a share in [0, 1), not {reserve!r}: write 0.1 for 10 %")
        if warmup_steps < 0:
            raise SpecError(f"{warmup_steps} steps of warm-up cannot be left out; give 0 or more")
        self.meter = meter if isinstance(meter, EnergyMeter) else EnergyMeter(meter)
        if reserve is not None and self.meter.budget is None:
            raise SpecError("a reserve needs a budget: give EnergyMeter(budget=...)")
        self.reports = True
        """Whether this process measures."""
        self.stopped = ""
        """Why the guard ended the training; empty: it did not."""
        self.steps = 0
        """Steps that have ended, the warm-up included."""
        self._warmup_steps = warmup_steps
        self._reserve = reserve
        self._watch = None if reserve is None else Watch(Guard(reserve))
        self._open: dict[str, Span] = {}
        self._last_epoch: Span | None = None
        self._in_epoch = self._entered = False
        self._dearest = (0.0, 0.0)
        self._clock = SystemClock()
        self._due_ns = 0

    # What adapters report ---------------------------------------------------------------------

    def begin_run(self, *, reports: bool = True, processes: int = 1) -> None:
        """The training begins.

        Args:
            reports: False: this process measures nothing, as all of a machine do but one: a meter sees the
                board.
            processes: how many train together.

        Raises:
            SpecError: a reserve would end one of several processes, and leave the others waiting.
            SourceError, LedgerError: from the meter.
        """
        if processes > 1 and self._reserve is not None:
            raise SpecError(f"a reserve can end a training of one process, not of {processes}; leave it out")
        self.reports = reports
        if not reports:
            return
        self.end_run()  # of a training that failed
        self.steps, self.stopped = 0, ""
        self._watch = None if self._reserve is None else Watch(Guard(self._reserve))
        self.meter.sync = self.meter.sync or sync_of_devices
        if not active.has(self.meter):
            self.meter.__enter__()
            self._entered = True

    def end_run(self) -> None:
        """The training is over, or has failed; twice is fine."""
        for part in [*self._open]:
            self.end(part)
        self._in_epoch = False
        if self._entered:
            self._entered = False
            self.meter.__exit__()

    def begin(self, part: str) -> None:
        """A part begins: step, epoch, evaluation or checkpoint."""
        if not self.reports:
            return
        self.end(part)  # one that failed
        if part == "epoch":
            self._in_epoch = True
        elif part == "step":
            if self._in_epoch and "epoch" not in self._open:
                self._begin_span("epoch", "epoch")
        else:
            self._end_span("epoch")
        warm = part != "step" or self.steps >= self._warmup_steps
        self._begin_span(part, part if warm else WARM_UP)

    def end(self, part: str, **units: float) -> None:
        """A part is over, and was about these units: images, tokens."""
        span = self._open.get(part)
        if part == "epoch" and self._in_epoch:
            self._in_epoch = False
            if span is None and self._last_epoch is not None:  # an evaluation ended it
                self._last_epoch.units(epochs=1)
        if span is None:
            return
        self._end_span(part)
        span.units(**({PARTS[part]: 1.0} | units))
        if part == "step":
            self.steps += 1
        elif part == "checkpoint" and self._watch is not None:
            with contextlib.suppress(NotMeasured):  # it was shorter than the distance of two samples
                usage = span.usage
                self._dearest = max(self._dearest, (usage.joules, usage.seconds))

    def is_open(self, part: str) -> bool:
        """Whether a part has begun and is not over."""
        return part in self._open

    def now_ns(self) -> int:
        """The clock of the meter, for `record`."""
        return self._clock.monotonic_ns()

    def record(self, part: str, start_ns: int) -> None:
        """A part that nobody announced began at this time, and is over now."""
        if self.reports:
            span = self.meter.span(part)
            span.begin_at(start_ns)
            span.end_at(self.now_ns())
            span.units(**{PARTS[part]: 1.0})

    def _begin_span(self, part: str, name: str) -> None:
        span = self.meter.span(name)
        self._open[part] = span
        span.__enter__()

    def _end_span(self, part: str) -> None:
        span = self._open.pop(part, None)
        if span is not None:
            span.__exit__()
            if part == "epoch":
                self._last_epoch = span

    def must_stop(self) -> bool:
        """Whether the battery's reserve is near: save, and end the training. True from then on.

        What the dearest checkpoint used is kept free, and what was drawn between two checks at most.
        """
        if self._watch is None or self.stopped or not self.reports:
            return bool(self.stopped)
        now_ns = self.now_ns()
        if now_ns < self._due_ns:
            return False
        self._due_ns = now_ns + _CHECK_NS
        balance = self.meter.balance
        if balance is None:
            return False
        status = Status(balance.after(*self._dearest), None, None, self.steps)
        if not self._watch.goes_on(status):
            self.stopped = f"the battery's reserve is reached, {status}"
        return bool(self.stopped)

    @contextlib.contextmanager
    def part(self, part: str, **units: float) -> Iterator[None]:
        """A part as a block: ``with energy.part("evaluation"):``."""
        self.begin(part)
        try:
            yield
        finally:
            self.end(part, **units)

    # Loops of one's own -----------------------------------------------------------------------

    def track(self, items: Iterable[T]) -> Iterator[T]:
        """Pass the items of one epoch on, with a step around what the loop does with each.

        It ends early at the reserve: save then, and leave the training.
        """
        with self.part("epoch"):
            for item in items:
                with self.part("step"):
                    yield item
                if self.must_stop():
                    return

    def __enter__(self) -> TrainingEnergy:
        self.begin_run()
        return self

    def __exit__(self, *_: object) -> None:
        self.end_run()

    @contextlib.contextmanager
    def run(self, *, reports: bool = True, processes: int = 1) -> Iterator[TrainingEnergy]:
        """The training as a block; see `begin_run` for the arguments."""
        self.begin_run(reports=reports, processes=processes)
        try:
            yield self
        finally:
            self.end_run()

    # Results ----------------------------------------------------------------------------------

    @property
    def usage(self) -> Usage:
        """What the meter has measured since it was entered.

        Raises:
            NotMeasured: no sample was taken.
        """
        return self.meter.usage

    def to_dict(self) -> dict[str, Any]:
        """The run and its parts as plain JSON types; None: a part was too short to be measured.

        Raises:
            NotMeasured: no sample was taken.
        """
        return {
            "run": self.usage.to_dict(),
            "parts": {name: _known(spans) for name, spans in self.meter.spans.items()},
            "stopped": self.stopped,
        }

    def _texts(self) -> list[str]:
        if not self.reports:
            return ["another process of this machine reports"]
        try:
            texts = [f"run: {self.usage}"]
        except NotMeasured as reason:
            return [f"run: not measured: {reason}"]
        for name, spans in self.meter.spans.items():
            left_out = ", in no step's cost" if name == WARM_UP else ""
            texts.append(f"{spans}{left_out}")
        return [*texts, self.stopped] if self.stopped else texts

    def __str__(self) -> str:
        return "\n".join(self._texts())

    def __repr__(self) -> str:
        return f"TrainingEnergy({'; '.join(self._texts())})"

    def _repr_html_(self) -> str:
        return html_table([text] for text in self._texts())


def _known(spans: Spans) -> dict[str, Any] | None:
    try:
        return spans.usage.to_dict()
    except NotMeasured:
        return None
