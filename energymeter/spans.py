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
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeVar, cast

from energymeter.curve import Curve, Draw, Point
from energymeter.errors import NotMeasured, SpecError
from energymeter.usage import Usage, in_figures

F = TypeVar("F", bound=Callable[..., Any])
_now_ns = time.monotonic_ns
_FIGURES = 6  # of a draw, beside its seconds


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
        import statistics  # 3 ms that a measurement without a look at its spans need not pay

        return cls(
            len(numbers),
            math.fsum(numbers),
            math.fsum(numbers) / len(numbers),
            statistics.stdev(numbers) if len(numbers) > 1 else math.nan,
            statistics.median(numbers),
        )

    def __str__(self) -> str:
        spread = "" if math.isnan(self.sd) else f" ± {in_figures(self.sd)} (sd)"
        return f"{in_figures(self.mean)}{spread}, median {in_figures(self.median)}, n = {self.n}"


class Span:
    """One stretch: a ``with`` block, or a decorator that opens a stretch at every call."""

    __slots__ = ("_log", "draws", "end_ns", "start_ns", "start_points")

    def __init__(self, log: "SpanLog") -> None:
        self._log = log
        self.start_ns = 0
        self.end_ns = 0
        self.start_points: list[Point] | None = None
        self.draws: list[Draw] | None = None

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
        log.closed.append(self)
        if end_ns > log.due_ns:
            log.settle()

    def __call__(self, function: F) -> F:
        log = self._log
        return wrapped(function, lambda: Span(log))

    @property
    def usage(self) -> Usage:
        """What this stretch used.

        Raises:
            NotMeasured: it is still open, was outside of the meter's block, or nothing was read.
        """
        if not self.end_ns:
            raise NotMeasured(f"the span {self._log.name!r} is still open.")
        if self.draws is None:
            self._log.settle_all()
        return self._log.usage_of(self.draws)


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
    usage: Callable[[Sequence[Draw]], Usage]


class SpanLog:
    """All stretches of one name: settled figures in flat arrays, 16 + 48 bytes a stretch and channel.

    Outside of a measurement it forgets what it is given.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.opened: dict[Span, None] = {}
        self.closed: deque[Span] = deque(maxlen=0)
        self.due_ns = math.inf
        self._recording: Recording | None = None
        self._edges = array("q")
        self._figures: list[array[float]] = []
        self._settling = threading.Lock()
        self._pid = os.getpid()

    def begin(self, recording: Recording) -> None:
        """Start anew, in a measurement that begins now."""
        self._recording = recording
        self.opened = {}
        self.closed = deque()
        self.due_ns = _now_ns() + recording.keep_ns
        self._edges = array("q")
        self._figures = [array("d") for _ in recording.curves]

    def settle(self) -> None:
        """Work out what the curves already know: closed spans, and where open ones begin."""
        if self._recording is not None and self._settling.acquire(blocking=False):  # else one is at it
            try:
                self._settle(self._recording, self.known_until_ns())
            finally:
                self._settling.release()

    def settle_all(self) -> None:
        """Work out every closed span, waiting for the samples after the last one."""
        if self._recording is not None:
            last_ns = max((span.end_ns for span in tuple(self.closed)), default=0)
            self._recording.wait_past(last_ns)
            if os.getpid() != self._pid:
                self._after_fork()
            with self._settling:
                self._settle(self._recording, math.inf)

    def known_until_ns(self) -> int:
        """The moment up to which every curve has samples."""
        curves = self._recording.curves if self._recording is not None else ()
        return min((curve.last_ns() if len(curve) else 0 for curve in curves), default=0)

    def _settle(self, recording: Recording, until_ns: float) -> None:
        for span in tuple(self.opened):
            if span.start_points is None and 0 < span.start_ns <= until_ns:
                span.start_points = [curve.at(span.start_ns) for curve in recording.curves]
        for _ in range(len(self.closed)):
            span = self.closed.popleft()
            if span.end_ns > until_ns:
                self.closed.append(span)
                continue
            span.draws = self.drawn(span, span.end_ns)
            for figures, draw in zip(self._figures, span.draws, strict=True):
                figures.extend(draw[1:])
            self._edges.extend((span.start_ns, span.end_ns))  # last: what a stretch is counted by
        self.due_ns = _now_ns() + recording.keep_ns

    def _after_fork(self) -> None:
        """The worker has no keeper thread, but may have its lock and its half-written work."""
        self._pid, self._settling = os.getpid(), threading.Lock()
        for figures in self._figures:
            del figures[_FIGURES * (len(self._edges) // 2) :]

    def drawn(self, span: Span, end_ns: int) -> list[Draw]:
        """What every curve says of a span up to ``end_ns``."""
        curves = self._recording.curves if self._recording is not None else ()
        starts: Sequence[Point | None] = span.start_points or [None] * len(curves)
        return [
            curve.draw(span.start_ns, end_ns, start) if len(curve) else _NOTHING
            for curve, start in zip(curves, starts, strict=True)
        ]

    def usage_of(self, draws: Sequence[Draw] | None) -> Usage:
        """The usage of one settled span.

        Raises:
            NotMeasured: it was not within a measurement, or nothing was read meanwhile.
        """
        if draws is None or self._recording is None:
            raise NotMeasured(f"the span {self.name!r} was outside of the meter's block.")
        return self._recording.usage(draws)

    def draws(self) -> Iterator[list[Draw]]:
        """The settled draws, one list of channels a stretch."""
        for i in range(len(self._edges) // 2):
            seconds = (self._edges[2 * i + 1] - self._edges[2 * i]) * 1e-9
            yield [Draw(seconds, *figures[_FIGURES * i : _FIGURES * (i + 1)]) for figures in self._figures]


_NOTHING = Draw(math.nan, math.nan, math.nan, math.nan, 0.0, 0.0, math.nan)


class Spans:
    """What ``meter.spans[name]`` answers: every call, and their statistics.

    ``len(spans)`` is the number of finished calls.
    """

    def __init__(self, log: SpanLog) -> None:
        log.settle_all()
        self.name = log.name
        self._log = log
        self._draws = list(log.draws())

    def __len__(self) -> int:
        return len(self._draws)

    @property
    def usages(self) -> list[Usage]:
        """The usage of each call, in the order of their ends.

        Raises:
            NotMeasured: a call ran where no source was read.
        """
        return [self._log.usage_of(draws) for draws in self._draws]

    @property
    def usage(self) -> Usage:
        """All calls together; overlapping calls count their common time twice.

        Raises:
            NotMeasured: there was none, or no source was read.
        """
        self._check()
        together = []
        for draws in zip(*self._draws, strict=True):
            sums = [math.fsum(figure) for figure in zip(*(draw[:-1] for draw in draws), strict=True)]
            together.append(Draw._make([*sums, max(draw.peak_watts for draw in draws)]))
        return self._log.usage_of(together)

    @property
    def joules(self) -> Statistics:
        """Energy of one call, J."""
        self._check()
        return Statistics.of([sum(draw.joules for draw in draws) for draws in self._draws])

    @property
    def seconds(self) -> Statistics:
        """Duration of one call, s."""
        self._check()
        return Statistics.of([draws[0].seconds for draws in self._draws])

    @property
    def mah(self) -> Statistics | None:
        """Charge of one call at the rail, mAh; ``None`` where no current is known."""
        charges = [usage.mah for usage in self.usages]
        known = [charge for charge in charges if charge is not None]
        return Statistics.of(known) if known and len(known) == len(charges) else None

    def _check(self) -> None:
        if not self._draws:
            raise NotMeasured(f"no span {self.name!r} has finished yet.")
        unknown = sum(math.isnan(draw.joules) for draws in self._draws for draw in draws)
        if unknown:
            raise NotMeasured(f"{unknown} spans {self.name!r} ran where no source was read.")

    def __str__(self) -> str:
        return f"{self.name}: {self.joules} J a call"
