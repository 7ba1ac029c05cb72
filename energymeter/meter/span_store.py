"""All stretches of one name: their edges at once, their energy when samples around both are there.

A stretch is *settled* before the ring forgets its edges: by the meter's keeper thread, by a later stretch, or
when asked.
"""

import math
import os
import threading
import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from energymeter.energy.window import NOTHING, Point, Window
from energymeter.errors import NotMeasured
from energymeter.sampling.curve import Curve

if TYPE_CHECKING:
    from energymeter.energy.usage import Usage
    from energymeter.meter.spans import Span

_now_ns = time.monotonic_ns
_TYPES = "ddffffff"
"""Of a settled draw's fields after its seconds: joules and coulombs are kept as they are, the rest, of which
nobody needs sixteen digits, in half the memory."""


class Recording(NamedTuple):
    """What spans need of a measurement."""

    curves: Sequence[Curve]
    keep_ns: int
    """How long an unsettled edge is safe in the rings."""
    wait_past: Callable[[int], None]
    """Waits until every curve has a sample at or after a moment."""
    usage: "Callable[[Sequence[Window]], Usage]"


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

    def drawn(self, span: "Span", end_ns: int) -> list[Window]:
        """What every curve says of a span up to ``end_ns``."""
        return self._drawn(span.start_ns, end_ns)

    def _drawn(self, start_ns: int, end_ns: int) -> list[Window]:
        curves = self._recording.curves if self._recording is not None else ()
        starts: Sequence[Point | None] = self._starts.get(start_ns) or [None] * len(curves)
        return [
            curve.draw(start_ns, end_ns, start) if len(curve) else NOTHING
            for curve, start in zip(curves, starts, strict=True)
        ]

    def draws_of(self, span: "Span") -> list[Window] | None:
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

    def draws(self, number: int) -> list[Window]:
        """What every curve says of one settled span, by its number."""
        seconds = (self.edges[2 * number + 1] - self.edges[2 * number]) * 1e-9
        return [Window(seconds, *(column[number] for column in columns)) for columns in self._figures]

    def settled(self) -> int:
        """How many spans are settled."""
        return self._settled

    def column(self, field: str) -> "list[array[float]]":
        """One field of `Window` of every settled span, for every curve."""
        count = self._settled
        if field == "seconds":
            edges = self.edges
            seconds = array("d", ((edges[2 * i + 1] - edges[2 * i]) * 1e-9 for i in range(count)))
            return [seconds for _ in self._figures]
        place = Window._fields.index(field) - 1
        return [columns[place][:count] for columns in self._figures]

    def usage_of(self, draws: Sequence[Window] | None) -> "Usage":
        """The usage of one settled span.

        Raises:
            NotMeasured: it was not within a measurement, or nothing was read meanwhile.
        """
        if draws is None or self._recording is None:
            raise NotMeasured(f"the span {self.name!r} was outside of the meter's (last) block.")
        return self._recording.usage(draws)
