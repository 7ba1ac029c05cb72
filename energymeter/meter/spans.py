"""Named stretches of the program: two clock reads now, their energy later.

Leaving a span only keeps two numbers, in its `SpanLog`.
"""

import functools
import math
import time
from array import array
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from energymeter.energy.window import Window
from energymeter.errors import NotMeasured, SpecError
from energymeter.meter.span_store import SpanLog
from energymeter.text import significant

if TYPE_CHECKING:
    from energymeter.energy.usage import Usage

F = TypeVar("F", bound=Callable[..., Any])
_now_ns = time.monotonic_ns


class Statistics(NamedTuple):
    """One figure over all calls of a span."""

    n: int
    total: float
    mean: float
    sd: float
    """Of one call, not of the mean; NaN for a single call."""
    median: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Statistics":
        """The statistics of at least one number."""
        n, total = len(numbers), math.fsum(numbers)
        mean = total / n
        squares = math.fsum((number - mean) ** 2 for number in numbers)
        ordered = sorted(numbers)
        return cls(
            n,
            total,
            mean,
            math.sqrt(squares / (n - 1)) if n > 1 else math.nan,
            (ordered[(n - 1) // 2] + ordered[n // 2]) / 2,
        )

    def __str__(self) -> str:
        spread = "" if math.isnan(self.sd) else f" ± {significant(self.sd)} (sd)"
        return f"{significant(self.mean)}{spread}, median {significant(self.median)}, n = {self.n}"


class Span:
    """One stretch: a ``with`` block, or a decorator that opens a stretch at every call."""

    __slots__ = ("_log", "end_ns", "start_ns")

    def __init__(self, log: "SpanLog") -> None:
        self._log = log
        self.start_ns = 0
        self.end_ns = 0

    def __enter__(self) -> "Span":
        if self.start_ns:
            raise SpecError("this span was used already; open a new one with meter.span(name).")
        self._log.opened[self] = None
        self.start_ns = _now_ns()
        return self

    def __exit__(self, *_: object) -> None:
        self.end_ns = end_ns = _now_ns()
        log = self._log
        log.opened.pop(self, None)
        log.edges.extend((self.start_ns, end_ns))
        if end_ns > log.due_ns:
            log.settle()

    def __call__(self, function: F) -> F:
        log = self._log
        return wrapped(function, lambda: Span(log))

    @property
    def usage(self) -> "Usage":
        """What this stretch used.

        Raises:
            NotMeasured: it is still open, was outside of the meter's block, or nothing was read.
        """
        if not self.end_ns:
            raise NotMeasured(f"the span {self._log.name!r} is still open.")
        return self._log.usage_of(self._log.draws_of(self))


class SyncedSpan(Span):
    """A stretch whose edges wait for a device: kernels that are still queued belong to who queued them."""

    __slots__ = ("_sync",)

    def __init__(self, log: "SpanLog", sync: Callable[[], object]) -> None:
        super().__init__(log)
        self._sync = sync

    def __enter__(self) -> Span:
        self._sync()
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        try:
            self._sync()
        finally:
            super().__exit__()

    def __call__(self, function: F) -> F:
        log, sync = self._log, self._sync
        return wrapped(function, lambda: SyncedSpan(log, sync))


def open_span(log: "SpanLog", sync: Callable[[], object] | None) -> Span:
    """A stretch to be entered; ``sync`` is called before the clock is read at either end."""
    return Span(log) if sync is None else SyncedSpan(log, sync)


def wrapped(function: F, block: Callable[[], AbstractContextManager[object]]) -> F:
    """The function, with a fresh ``block()`` around every call; coroutines and generators included."""
    import inspect  # 4 ms, for decorators only

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def measured(*args: Any, **kwargs: Any) -> Any:
            with block():
                return await function(*args, **kwargs)

    elif inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            with block():
                return (yield from function(*args, **kwargs))

    else:

        @functools.wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            with block():
                return function(*args, **kwargs)

    return cast(F, measured)


class Spans:
    """What ``meter.spans[name]`` answers: every call, and their statistics.

    ``len(spans)`` is the number of finished calls.
    """

    def __init__(self, log: SpanLog) -> None:
        log.settle_all()
        self.name = log.name
        self._log = log

    def __len__(self) -> int:
        return self._log.settled()

    @property
    def usages(self) -> "list[Usage]":
        """The usage of each call, in the order of their ends.

        Raises:
            NotMeasured: a call ran where no source was read.
        """
        return [self._log.usage_of(self._log.draws(number)) for number in range(len(self))]

    @property
    def usage(self) -> "Usage":
        """All calls together; overlapping calls count their common time twice.

        Raises:
            NotMeasured: there was none, or no source was read.
        """
        self._check()
        sums = [[math.fsum(column) for column in self._log.column(field)] for field in Window._fields[:-1]]
        peaks = [max(column) for column in self._log.column("peak_watts")]
        return self._log.usage_of([Window(*figures) for figures in zip(*sums, peaks, strict=True)])

    @property
    def joules(self) -> Statistics:
        """Energy of one call, J."""
        self._check()
        columns = self._log.column("joules")
        if len(columns) == 1:
            return Statistics.of(columns[0])
        return Statistics.of(array("d", map(math.fsum, zip(*columns, strict=True))))

    @property
    def seconds(self) -> Statistics:
        """Duration of one call, s."""
        self._check()
        return Statistics.of(self._log.column("seconds")[0])

    @property
    def mah(self) -> Statistics | None:
        """Charge of one call at the rail, mAh; ``None`` where no current is known."""
        charges = [usage.mah for usage in self.usages]
        known = [charge for charge in charges if charge is not None]
        return Statistics.of(known) if known and len(known) == len(charges) else None

    def _check(self) -> None:
        if not len(self):
            raise NotMeasured(f"no span {self.name!r} has finished yet.")
        unknown = sum(sum(map(math.isnan, column)) for column in self._log.column("joules"))
        if unknown:
            raise NotMeasured(f"{unknown} spans {self.name!r} ran where no source was read.")

    def __str__(self) -> str:
        return f"{self.name}: {self.joules} J a call"
