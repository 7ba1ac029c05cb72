"""What exporters and the page read of a running agent: figures of one moment, and power over time.

It asks the curves and never a device, so it never waits for one.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from energymeter.calibration.cards import Cards
from energymeter.clock import Clock, SystemClock
from energymeter.report.live import COLUMN_SECONDS, KEPT, Bar, Course, added
from energymeter.serve.snapshot import (
    BatteryState,
    ChannelState,
    PushState,
    Served,
    Snapshot,
    SourceState,
    channel_states,
    without_nested,
)
from energymeter.serve.totals import ChannelTotal, SpanTotal, Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from energymeter.sampling.curve import Curve
    from energymeter.sampling.sampler import SampledChannel
    from energymeter.serve.spans import EndedSpan

_FRESH_NS = 500_000_000
"""Figures so young are given again: many readers cost as much as one."""


class Figures(NamedTuple):
    """What all exporters show: the state now, and totals that never go back."""

    snapshot: Snapshot
    totals: dict[tuple[str, str], ChannelTotal]
    """By source and channel."""
    spans: dict[tuple[str, str], SpanTotal]
    """By source and name."""


class Columns(NamedTuple):
    """The power of a source or a channel in columns of equal width."""

    first: int
    """The number of the first one; column 0 begins at ``start_unix``."""
    bars: list[Bar]
    seconds: float
    """The width of one."""
    start_unix: float


class Feed:
    """Figures and history of an agent.

    Args:
        sources: what the agent serves now.
        totals: where counters are kept.
        batteries: what is left of each battery and budget now.
        cards: the calibrations that the samplers apply.
        clock: of the samples.
        push: how far the record is pushed.
    """

    def __init__(
        self,
        sources: Callable[[], Sequence[Served]],
        totals: Totals | None = None,
        batteries: Callable[[], Sequence[BatteryState]] = tuple,
        cards: Cards | None = None,
        clock: Clock | None = None,
        push: Callable[[], PushState | None] = lambda: None,
    ) -> None:
        self._push = push
        self._sources, self._batteries = sources, batteries
        self._cards = cards or Cards()
        self._totals = totals or Totals()
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._span_lock = threading.Lock()
        self._known: dict[str, list[ChannelState]] = {}
        """The channels of each source as they were last seen, also of one that is unplugged now."""
        self._figures: tuple[int, Figures] | None = None
        self._saved: Figures | None = None
        self._start_ns = self._clock.monotonic_ns()
        self._courses: dict[tuple[str, str], tuple[Curve, Course]] = {}

    def read(self) -> Figures:
        """The figures now, or of half a second ago."""
        with self._lock:
            return self._read()

    def counters(self) -> Figures:
        """The figures whose totals are on the disk: what is shown as a counter never goes back."""
        with self._lock:
            figures = self._read()
            if figures is not self._saved:
                self._totals.save()
                self._saved = figures
            return figures

    def take(self) -> None:
        """Take in what was measured until now, and keep it; for an agent that is about to end."""
        with self._lock:
            self._figures = None
            self._read()
            self._totals.save()

    def add_span(self, source: str, span: EndedSpan) -> None:
        """Take in a call of a span that a client of a source has sent; waits for no disk."""
        with self._span_lock:
            if span.joules is None:
                self._totals.leave_out(source, span.name, span.calls)
            else:
                self._totals.add_span(source, span.name, span.joules, span.seconds, span.doubt)

    def _read(self) -> Figures:
        now_ns = self._clock.monotonic_ns()
        if self._figures is None or now_ns - self._figures[0] >= _FRESH_NS:
            self._figures = now_ns, self._taken(now_ns)
        return self._figures[1]

    def _taken(self, now_ns: int) -> Figures:
        states = []
        for served in self._sources():
            fresh = channel_states(served, self._cards, now_ns)
            seen = {state.channel for state in fresh}
            old = self._known.get(served.name, [])
            # not open: what was known of it, without what it draws now
            absent = [
                one._replace(watts=None, watts_uncertainty=None, volts=None)
                for one in old
                if one.channel not in seen
            ]
            known = self._known[served.name] = [*fresh, *absent]
            shown = [state for state in known if state.counted] or known
            up = bool(shown) and all(state.watts is not None for state in shown)
            states.append(SourceState(served.name, up, served.error))
        channels = without_nested([one for state in states for one in self._known[state.name]])
        self._totals.take(state for state in channels if state.joules is not None)
        snapshot = Snapshot(tuple(states), tuple(channels), tuple(self._batteries()), self._push())
        return Figures(snapshot, dict(self._totals.channels), dict(self._totals.spans))

    def columns(self, source: str, channel: str, zoom: int, since: int) -> Columns:
        """The newest columns of a source, or of one of its channels.

        Args:
            source: by its name in the agent.
            channel: by its name; an empty text: those that count, added.
            zoom: an index of `energymeter.report.live.COLUMN_SECONDS`.
            since: the number of the first column that is asked for; the newest `KEPT` are known.
        """
        width_ns = round(COLUMN_SECONDS[zoom] * 1e9)
        start_unix = self._clock.time() - (self._clock.monotonic_ns() - self._start_ns) * 1e-9
        with self._lock:
            courses, last_ns = self._updated(source, channel)
            end = (last_ns - self._start_ns) // width_ns + 1
            first = max(since, end - KEPT, 0)
            bars = [
                added([course.column(zoom, number) for course in courses]) for number in range(first, end)
            ]
        return Columns(first, bars, COLUMN_SECONDS[zoom], start_unix)

    def _updated(self, source: str, channel: str) -> tuple[list[Course], int]:
        """The courses that are asked for, and where the newest column ends."""
        now_ns = self._clock.monotonic_ns()
        found: list[Course] = []
        last_ns = 0
        for served in self._sources():
            if served.name != source:
                continue
            counted = {sampled.info.name for sampled in served.counted()}
            for sampled in served.channels:
                course = self._course(served, sampled)
                course.update()
                name = sampled.info.name
                if name == channel or (not channel and name in counted):
                    found.append(course)
                    silent = not len(sampled.curve) or sampled.silent_ns(now_ns)
                    known_ns = now_ns if silent else sampled.curve.last_ns()
                    last_ns = min(last_ns or known_ns, known_ns)
        return found, last_ns or now_ns

    def _course(self, served: Served, channel: SampledChannel) -> Course:
        key = served.name, channel.info.name
        known = self._courses.get(key)
        if known is None or known[0] is not channel.curve:
            known = self._courses[key] = channel.curve, Course(channel.curve, self._start_ns)
        return known[1]
