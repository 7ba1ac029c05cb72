"""The spans of one run: their edges immediately, their energy once there are samples around both.

A span is *resolved* before the ring forgets its edges. What is resolved is never changed in place: a pass
works on copies and puts them in place by one assignment. So threads, forked workers, signal handlers and
exceptions at any moment need no lock, and find either the old state or the new one.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import chain
from itertools import count as numbers
from operator import sub
from struct import Struct

from energymeter.energy.window import Point, Window
from energymeter.lazy import TYPE_CHECKING, NamedTuple
from energymeter.sampling.curve import Curve

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterator, Sequence

_EXACT, _ROUNDED = 2, 10
"""The fields of a window after its seconds: joules and coulombs are kept as they are; the rest, of which
nobody needs sixteen digits, in half the memory."""
_FIRST_KEEP_NS = 1_000_000_000
"""A stream may be faster than it said; after a second its rate is known."""
_counted = Struct("=qqqd")
"""When a span began and ended, its own number, and a count of its units."""
_BLOCK = 4096
"""Spans in a block that is full; a smaller one is copied when spans are added."""


class _Block(NamedTuple):
    """Some spans' windows, row by row."""

    exact: array[float]
    rounded: array[float]


class Resolved(NamedTuple):
    """What one channel measured in the first ``n`` spans of a name. It never changes."""

    n: int = 0
    blocks: tuple[_Block, ...] = ()

    def column(self, field: str) -> array[float]:
        """One field of `Window` (except seconds) of every span."""
        from array import array

        place = Window._fields.index(field) - 1
        values = array("d" if place < _EXACT else "f")
        for exact, rounded in self.blocks:
            values.extend(exact[place::_EXACT] if place < _EXACT else rounded[place - _EXACT :: _ROUNDED])
        return values

    def window(self, number: int, seconds: float) -> Window:
        """One span's window."""
        row = number
        for exact, rounded in self.blocks:
            size = len(exact) // _EXACT
            if row < size:
                return Window(
                    seconds,
                    *exact[_EXACT * row : _EXACT * (row + 1)],
                    *rounded[_ROUNDED * row : _ROUNDED * (row + 1)],
                )
            row -= size
        raise IndexError(f"span {number} of {self.n}")

    def extended(
        self, curve: Curve, edges: array[int], closed: int, until_ns: float, starts: dict[int, Point]
    ) -> Resolved:
        """With the further spans, of ``closed``, that ended by ``until_ns``."""
        done = self.n
        if done == closed:
            return self
        from array import array

        exact, rounded = array("d"), array("f")
        for start_ns, end_ns in _pairs(edges, done, closed):
            if end_ns > until_ns:
                break
            window = curve.window(start_ns, end_ns, starts.get(start_ns))
            exact.extend(window[1 : 1 + _EXACT])
            rounded.extend(window[1 + _EXACT :])
            done += 1
        if done == self.n:
            return self
        blocks = self.blocks
        if blocks and len(blocks[-1].exact) < _EXACT * _BLOCK:
            exact, rounded = blocks[-1].exact + exact, blocks[-1].rounded + rounded
            blocks = blocks[:-1]
        return Resolved(done, (*blocks, _Block(exact, rounded)))


def _pairs(edges: array[int], first: int, end: int) -> Iterator[tuple[int, int]]:
    """Start and end of some spans; a few are copied at a time, as others may be added meanwhile."""
    for number in range(first, end, _BLOCK):
        part = edges[2 * number : 2 * min(number + _BLOCK, end)]
        yield from zip(part[::2], part[1::2], strict=True)


class Snapshot(NamedTuple):
    """The spans of one name that had ended at one moment. It never changes: edges are only ever added."""

    edges: array[int]
    n: int
    channels: tuple[Resolved, ...]
    """What each counted channel measured."""

    def last_end_ns(self) -> int:
        """When the last of them ended; 0: there is none."""
        return self.edges[2 * self.n - 1] if self.n else 0

    def edges_seconds(self) -> Iterator[tuple[float, float]]:
        """Start and end of every span, s from the start of the first one."""
        first_ns = self.edges[0] if self.n else 0
        for start_ns, end_ns in _pairs(self.edges, 0, self.n):
            yield (start_ns - first_ns) * 1e-9, (end_ns - first_ns) * 1e-9

    def seconds(self) -> array[float]:
        """The duration of every span."""
        from array import array

        starts, ends = self.edges[0 : 2 * self.n : 2], self.edges[1 : 2 * self.n : 2]
        return array("d", map((1e-9).__mul__, map(sub, ends, starts)))

    def windows(self, number: int) -> list[Window]:
        """What every channel measured in one span."""
        seconds = (self.edges[2 * number + 1] - self.edges[2 * number]) * 1e-9
        return [channel.window(number, seconds) for channel in self.channels]

    def find(self, start_ns: int, end_ns: int) -> int | None:
        """The number of the span with these edges."""
        edges, count = self.edges, self.n
        near = bisect_left(range(count), end_ns, key=lambda number: edges[2 * number + 1])
        # threads may have ended theirs in another order
        number: int
        for number in chain(range(near, min(near + 8, count)), range(count)):
            if edges[2 * number] == start_ns and edges[2 * number + 1] == end_ns:
                return number
        return None


def counts_of(edges: array[int], n: int, units: dict[str, array[int]]) -> dict[str, list[float]]:
    """How many of each unit each of the first ``n`` spans counted, in their order.

    Several spans may have the same edges, and so the same energy; they take their counts in turn.
    """
    found = {unit: [0.0] * n for unit in units}
    if not found:
        return found
    spans: dict[tuple[int, int], dict[int, dict[str, float]]] = {}
    for unit, records in units.items():
        for start_ns, end_ns, serial, count in _counted.iter_unpack(records.tobytes()):
            counts = spans.setdefault((start_ns, end_ns), {}).setdefault(serial, {})
            counts[unit] = counts.get(unit, 0.0) + count
    waiting = {pair: iter(by_serial.values()) for pair, by_serial in spans.items()}
    for number, pair in enumerate(_pairs(edges, 0, n)):
        for unit, count in next(waiting.get(pair, _NONE), {}).items():
            found[unit][number] = count
    return found


_NONE: Iterator[dict[str, float]] = iter(())


class _Channel(NamedTuple):
    """How far the spans are resolved on one channel. It never changes."""

    until_ns: float = 0.0
    """When the newest sample that was known was taken, less what its device may be late."""
    starts: dict[int, Point] = {}  # noqa: RUF012 - never written to
    """Where spans begin that are not resolved yet."""
    resolved: dict[str, Resolved] = {}  # noqa: RUF012 - never written to


class SpanResolver:
    """All spans of one run by name: 16 bytes each, and 56 a channel once resolved.

    Args:
        curves: of the counted channels.
        keep_ns: how long edges are safe in the rings at the usual rate.
        now_ns: the clock of the curves and the edges.
    """

    def __init__(self, curves: Sequence[Curve], keep_ns: int, now_ns: Callable[[], int]) -> None:
        self.open: dict[object, int] = {}
        """When each open span began, by whatever stands for it."""
        self.edges: dict[str, array[int]] = {}
        """Start and end of every closed span, ns, in the order of their ends. Who ends a span adds both, and
        resolves if that is due."""
        self.counts: dict[str, dict[str, array[int]]] = {}
        """By name and unit: counts of spans that ended, as records that are only ever added."""
        self.due_ns = now_ns() + min(keep_ns, _FIRST_KEEP_NS)
        """When to resolve next, at the latest: a span that ends later does it."""
        self._curves = tuple(curves)
        self._usual_keep_ns = keep_ns
        self.now_ns = now_ns
        self._channels = tuple(_Channel() for _ in curves)
        self.next_serial = numbers(1).__next__
        """A number for a span that counts units."""

    def begin(self, name: str) -> array[int]:
        """Keep spans of this name from now on; where their edges go."""
        from array import array  # a tenth of what a block without spans imports

        return self.edges.setdefault(name, array("q"))

    def count(self, name: str, span: tuple[int, int, int], counts: dict[str, float]) -> None:
        """Add units to a span of this name that has ended: its start, its end and its own number."""
        from array import array

        of_name = self.counts.setdefault(name, {})
        for unit, count in counts.items():
            record = _counted.pack(*span, count)
            of_name.setdefault(unit, array("q")).frombytes(record)  # in one step, of any thread

    def units(self, name: str) -> dict[str, array[int]]:
        """The counts of a name by unit, as they are now: for `counts_of`."""
        return {unit: pairs[:] for unit, pairs in [*self.counts.get(name, {}).items()]}

    def counted(self) -> dict[str, dict[str, list[float]]]:
        """What the spans that ended counted, by name and unit, in their order."""
        return {
            name: counts_of(edges, len(edges) // 2, self.units(name))
            for name in [*self.counts]
            if (edges := self.edges.get(name)) is not None
        }

    def last_end_ns(self) -> int:
        """When the last span ended; 0: none has."""
        return max((edges[-1] for edges in [*self.edges.values()] if edges), default=0)

    def resolve(self, *, final: bool = False) -> None:
        """Work out what the curves know already: closed spans, and where open ones begin.

        Args:
            final: no sample will follow, so every closed span is worked out.
        """
        due_ns = self.due_ns
        # first of all: spans that end meanwhile need no pass of their own
        self.due_ns = self.now_ns() + self._keep_ns()
        try:
            opened = [*self.open.values()]  # before the closed ones are counted: none may fall between
            self._channels = tuple(
                self._advanced(curve, channel, opened, final)
                for curve, channel in zip(self._curves, self._channels, strict=True)
            )
        except BaseException:
            self.due_ns = due_ns
            raise

    def _advanced(self, curve: Curve, before: _Channel, opened: list[int], final: bool) -> _Channel:
        # what flowed in a span may show later than it ended
        known_ns = max(before.until_ns, curve.last_ns() - curve.late_ns()) if len(curve) else 0.0
        until_ns = math.inf if final else known_ns
        if until_ns == before.until_ns:
            return before
        resolved, begun = {**before.resolved}, [*opened]
        for name, edges in [*self.edges.items()]:
            closed = len(edges) // 2
            had = resolved.get(name, Resolved())
            if had.n < closed:
                has = had.extended(curve, edges, closed, until_ns, before.starts)
                if has is not had:
                    resolved[name] = has
                begun += edges[2 * has.n : 2 * closed : 2]
        starts = {
            start_ns: before.starts.get(start_ns) or curve.at(start_ns)
            for start_ns in begun
            if start_ns <= until_ns
        }
        return _Channel(until_ns, starts, resolved)

    def _keep_ns(self) -> int:
        """How long edges are safe in the rings: less than usual where a device sends faster than it said."""
        reaches = [curve.reach_ns() // 4 for curve in self._curves]
        return min([self._usual_keep_ns, *(reach for reach in reaches if reach)])

    def snapshot(self, name: str) -> Snapshot:
        """The spans of a name that have ended.

        What the curves do not know yet is worked out as far as they do, and kept nowhere else.
        """
        channels, edges = self._channels, self.edges[name]
        count = len(edges) // 2
        return Snapshot(
            edges,
            count,
            tuple(
                channel.resolved.get(name, Resolved()).extended(curve, edges, count, math.inf, channel.starts)
                for curve, channel in zip(self._curves, channels, strict=True)
            ),
        )

    def windows(self, start_ns: int, end_ns: int) -> list[Window]:
        """What every channel measured between two moments."""
        return [
            curve.window(start_ns, end_ns, channel.starts.get(start_ns))
            for curve, channel in zip(self._curves, self._channels, strict=True)
        ]
