"""Named stretches of the program: two clock reads now, their energy later.

Leaving a span only keeps two numbers. Its energy is *settled* when samples around both edges are
there and before the ring forgets them: by the meter's keeper thread, by a later span, or when asked.
"""

import functools
import math
import os
import threading
import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from energymeter.draw import Draw, Point
from energymeter.errors import NotMeasured, SpecError
from energymeter.figures import in_figures
from energymeter.sampling.curve import Curve

if TYPE_CHECKING:
    from energymeter.usage import Usage

F = TypeVar("F", bound=Callable[..., Any])
_now_ns = time.monotonic_ns
_TYPES = "ddffffff"
"""Of a settled draw's fields after its seconds: joules and coulombs are kept as they are, the rest, of which
nobody needs sixteen digits, in half the memory."""


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
        spread = "" if math.isnan(self.sd) else f" ± {in_figures(self.sd)} (sd)"
        return f"{in_figures(self.mean)}{spread}, median {in_figures(self.median)}, n = {self.n}"


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


class Recording(NamedTuple):
    """What spans need of a measurement."""

    curves: Sequence[Curve]
    keep_ns: int
    """How long an unsettled edge is safe in the rings."""
    wait_past: Callable[[int], None]
    """Waits until every curve has a sample at or after a moment."""
    usage: "Callable[[Sequence[Draw]], Usage]"


class SpanLog:
    """All stretches of one name, in flat arrays: 16 bytes each, and 40 a channel once settled.

    Outside of a measurement it forgets what it is given.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.opened: dict[Span, None] = {}
        self.edges = array("q")
        """Start and end of every closed span, ns, in the order of their ends."""
        self.due_ns = 0
        self._recording: Recording | None = None
        self._figures: list[list[array[float]]] = []
        """Of each curve: one column a field."""
        self._settled = 0
        self._starts: dict[int, list[Point]] = {}
        self._settling = threading.Lock()
        self._pid = os.getpid()

    def begin(self, recording: Recording) -> None:
        """Start anew, in a measurement that begins now."""
        with self._settling:
            self._recording = recording
            self.opened = {}
            self.edges = array("q")
            self.due_ns = _now_ns() + recording.keep_ns
            self._figures = [[array(kind) for kind in _TYPES] for _ in recording.curves]
            self._settled = 0
            self._starts = {}

    def settle(self) -> None:
        """Work out what the curves already know: closed spans, and where open ones begin."""
        if self._recording is None:
            del self.edges[:]
        elif self._settling.acquire(blocking=False):  # else one is at it
            try:
                self._settle(self._recording, self.known_until_ns())
            finally:
                self._settling.release()

    def settle_all(self) -> None:
        """Work out every closed span, waiting for the samples after the last one."""
        if self._recording is not None:
            self._recording.wait_past(self.edges[-1] if self.edges else 0)
            if os.getpid() != self._pid:
                self._after_fork()
            with self._settling:
                self._settle(self._recording, math.inf)

    def known_until_ns(self) -> int:
        """The moment up to which every curve has samples."""
        curves = self._recording.curves if self._recording is not None else ()
        return min((curve.last_ns() if len(curve) else 0 for curve in curves), default=0)

    def _settle(self, recording: Recording, until_ns: float) -> None:
        opened = tuple(self.opened)  # before the closed ones are counted: none may fall between
        known_ns = min(until_ns, self.known_until_ns())
        edges, first, last = self.edges, self._settled, len(self.edges) // 2
        done = first
        while done < last and edges[2 * done + 1] <= until_ns:
            draws = self._drawn(edges[2 * done], edges[2 * done + 1])
            for columns, draw in zip(self._figures, draws, strict=True):
                for column, figure in zip(columns, draw[1:], strict=True):
                    column.append(figure)
            done += 1
        self._settled = done
        starts = self._starts
        self._starts = {
            start_ns: starts.get(start_ns) or [curve.at(start_ns) for curve in recording.curves]
            for start_ns in (*(span.start_ns for span in opened), *edges[2 * done : 2 * last : 2])
            if 0 < start_ns <= known_ns
        }
        self.due_ns = _now_ns() + recording.keep_ns

    def _after_fork(self) -> None:
        """The worker has no keeper thread, but may have its lock and its half-written work."""
        self._pid, self._settling = os.getpid(), threading.Lock()
        for columns in self._figures:
            for column in columns:
                del column[self._settled :]

    def drawn(self, span: Span, end_ns: int) -> list[Draw]:
        """What every curve says of a span up to ``end_ns``."""
        return self._drawn(span.start_ns, end_ns)

    def _drawn(self, start_ns: int, end_ns: int) -> list[Draw]:
        curves = self._recording.curves if self._recording is not None else ()
        starts: Sequence[Point | None] = self._starts.get(start_ns) or [None] * len(curves)
        return [
            curve.draw(start_ns, end_ns, start) if len(curve) else _NOTHING
            for curve, start in zip(curves, starts, strict=True)
        ]

    def draws_of(self, span: Span) -> list[Draw] | None:
        """What every curve says of one closed span; ``None`` if it is not of this measurement."""
        self.settle_all()
        edges, count = self.edges, self._settled
        near = bisect_left(range(count), span.end_ns, key=lambda number: edges[2 * number + 1])
        for number in (
            *range(near, min(near + 8, count)),
            *range(count),
        ):  # threads may have come in disorder
            if edges[2 * number] == span.start_ns and edges[2 * number + 1] == span.end_ns:
                return self.draws(number)
        return None

    def draws(self, number: int) -> list[Draw]:
        """What every curve says of one settled span, by its number."""
        seconds = (self.edges[2 * number + 1] - self.edges[2 * number]) * 1e-9
        return [Draw(seconds, *(column[number] for column in columns)) for columns in self._figures]

    def settled(self) -> int:
        """How many spans are settled."""
        return self._settled

    def column(self, field: str) -> "list[array[float]]":
        """One field of `Draw` of every settled span, for every curve."""
        count = self._settled
        if field == "seconds":
            edges = self.edges
            seconds = array("d", ((edges[2 * i + 1] - edges[2 * i]) * 1e-9 for i in range(count)))
            return [seconds for _ in self._figures]
        place = Draw._fields.index(field) - 1
        return [columns[place][:count] for columns in self._figures]

    def usage_of(self, draws: Sequence[Draw] | None) -> "Usage":
        """The usage of one settled span.

        Raises:
            NotMeasured: it was not within a measurement, or nothing was read meanwhile.
        """
        if draws is None or self._recording is None:
            raise NotMeasured(f"the span {self.name!r} was outside of the meter's (last) block.")
        return self._recording.usage(draws)


_NOTHING = Draw(math.nan, math.nan, math.nan, math.nan, 0.0, 0.0, 0.0, 0.0, math.nan)


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
        sums = [[math.fsum(column) for column in self._log.column(field)] for field in Draw._fields[:-1]]
        peaks = [max(column) for column in self._log.column("peak_watts")]
        return self._log.usage_of([Draw(*figures) for figures in zip(*sums, peaks, strict=True)])

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
