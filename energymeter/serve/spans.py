"""The spans that clients of one source send: their energy comes from the agent's own ring.

What a client sends is a name and two moments. It is believed in nothing else, and can change no other
figure. A call counts once the ring holds a sample after its end, and if all of it was measured; any other
call is left out and counted as such.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from energymeter.calibration.cards import Cards
from energymeter.energy.uncertainty import components_of
from energymeter.energy.window import COVERED, long_seconds, together
from energymeter.errors import NotMeasured
from energymeter.sampling.span_message import MOST_CALLS, Allowance, SpanMessage
from energymeter.serve.snapshot import part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from energymeter.energy.window import Point, Window
    from energymeter.sampling.sampler import SampledChannel

MOST_A_SECOND = 2 * MOST_CALLS
"""Calls of all clients of a source; of more, the rest is left out."""
WAIT_NS = 10_000_000_000
_WAIT_INTERVALS = 3
"""A sample after the end of a call is waited for so long, whichever is longer."""
AHEAD_NS = 1_000_000_000
"""A call cannot end later than now, but for the bound of its clock and so much."""
LEAST_BOUNDS = 10
"""A call that is shorter than so many bounds of the client's clock says nothing of its energy."""
_MOST_PENDING = 20_000
_MOST_BEGUN = 1000
_MOST_OPEN = 200
"""Spans that clients announce as open, in a quarter of a second."""


class Doubt(NamedTuple):
    """How uncertain the energy of a call is, as one standard deviation, so that it can be added up."""

    systematic_joules: float
    """The same error in all calls: adds up as it is."""
    random_joules2: float
    """New in each call: its square adds up."""


class EndedSpan(NamedTuple):
    """One call that a client has sent, or several of which nothing is known but their number."""

    name: str
    start_ns: int = 0
    end_ns: int = 0
    joules: float | None = None
    """None: it was not measured from start to end."""
    calls: int = 1
    """How many; of more than one, neither the times nor the energy are known."""
    doubt: Doubt | None = None
    """None: nobody knows how uncertain the energy is."""
    bound_ns: int = 0
    """By how much the times may be wrong."""

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.start_ns) * 1e-9


class ClientSpans:
    """What clients send of the spans of one source.

    Args:
        counted: the channels that add up; others, once the source was opened again.
        report: called with every call once all is known of it.
        now_ns: the clock of the samples.
        cards: the calibrations that the sampler of the source applies now.
    """

    def __init__(
        self,
        counted: Callable[[], Sequence[SampledChannel]],
        report: Callable[[EndedSpan], None],
        now_ns: Callable[[], int] = time.monotonic_ns,
        cards: Callable[[], Cards] = Cards,
    ) -> None:
        self._cards = cards
        self._counted, self._report, self._now_ns = counted, report, now_ns
        self._allowance = Allowance(MOST_A_SECOND, now=lambda: now_ns() * 1e-9)
        self._lock = threading.Lock()
        self._pending: deque[EndedSpan] = deque()
        self._left_out: dict[str, int] = {}
        self._open: deque[int] = deque(maxlen=_MOST_OPEN)
        self._curves: list[object] = []
        self._begun: dict[int, list[Point]] = {}
        """Where spans began that were open when a client last sent any, by their time."""

    def take(self, raw: Mapping[str, Any]) -> int:
        """Take in a message; how many of its calls may count.

        Raises:
            SpecError: it makes no sense.
        """
        message, now_ns, taken = SpanMessage.of(raw), self._now_ns(), 0
        latest_ns, shortest_ns = now_ns + message.bound_ns + AHEAD_NS, LEAST_BOUNDS * message.bound_ns
        with self._lock:
            for name, edges in message.spans.items():
                calls = len(edges) // 2
                granted = self._allowance.take(min(calls, _MOST_PENDING - len(self._pending)))
                del edges[2 * granted :]
                for start_ns, end_ns in zip(edges[::2], edges[1::2], strict=True):
                    if start_ns <= end_ns <= latest_ns and end_ns - start_ns >= shortest_ns:
                        self._pending.append(EndedSpan(name, start_ns, end_ns, bound_ns=message.bound_ns))
                        taken += 1
                        calls -= 1
                self._leave_out(name, calls)
            for name, count in message.left_out.items():
                self._leave_out(name, count)
            self._open.extend(message.open)
        return taken

    def _leave_out(self, name: str, calls: int) -> None:
        if calls:
            known = name in self._left_out or len(self._left_out) < _MOST_BEGUN
            name = name if known else "other"
            self._left_out[name] = self._left_out.get(name, 0) + calls

    def resolve(self) -> None:
        """Report the calls of which all is known now; called four times a second."""
        with self._lock:
            pending, self._pending = self._pending, deque()
            left_out, self._left_out = self._left_out, {}
            begun = [*self._open]
            self._open.clear()
        channels = self._counted()
        self._keep_starts(channels, begun)
        known_ns = min((_known_ns(channel) for channel in channels), default=0)
        slowest_ns = max((1e9 / channel.info.rate_hz for channel in channels), default=0.0)
        given_up_ns = self._now_ns() - max(WAIT_NS, _WAIT_INTERVALS * slowest_ns)
        for name, calls in left_out.items():
            self._report(EndedSpan(name, calls=calls))
        waiting, settled = [], []
        measured: dict[str, list[_Measured]] = {}
        for span in pending:
            if span.end_ns > max(known_ns, given_up_ns):
                waiting.append(span)
                continue
            found = self._measured(channels, span) if span.end_ns <= known_ns else None
            if found is not None:
                span = span._replace(joules=math.fsum(window.joules for window in found.windows))
                measured.setdefault(span.name, []).append(found)
            settled.append(span)
        doubts = {name: self._doubt(channels, calls) for name, calls in measured.items()}
        for span in settled:
            self._report(span if span.joules is None else span._replace(doubt=doubts[span.name]))
        with self._lock:
            self._pending.extendleft(reversed(waiting))

    def _keep_starts(self, channels: Sequence[SampledChannel], begun: Sequence[int]) -> None:
        """Keep where the curves were when these spans began, before the ring forgets it."""
        curves: list[object] = [channel.curve for channel in channels]
        if curves != self._curves:
            self._curves = curves
            self._begun.clear()
        for start_ns in begun:
            if start_ns not in self._begun and _in_rings(channels, start_ns):
                self._begun[start_ns] = _at(channels, start_ns)
        while len(self._begun) > _MOST_BEGUN:
            del self._begun[next(iter(self._begun))]

    def _measured(self, channels: Sequence[SampledChannel], span: EndedSpan) -> _Measured | None:
        """What each channel measured of a call; None: not all of it, or nobody knows it well enough."""
        starts = self._begun.get(span.start_ns)
        if starts is None and _in_rings(channels, span.start_ns):
            starts = _at(channels, span.start_ns)
        if not starts or any(channel.info.facts.is_gauge for channel in channels):
            return None
        windows = []
        for channel, start in zip(channels, starts, strict=True):
            try:
                windows.append(channel.curve.window(span.start_ns, span.end_ns, start))
            except NotMeasured:
                return None
        joules = math.fsum(window.joules for window in windows)
        covered = all(window.covered_seconds >= COVERED * span.seconds for window in windows)
        return _Measured(span, windows) if covered and math.isfinite(joules) else None

    def _doubt(self, channels: Sequence[SampledChannel], calls: list[_Measured]) -> Doubt | None:
        """How uncertain each of these calls of one name is, on average; None: nobody knows."""
        first_ns = calls[0].span.start_ns
        edges = [((span.start_ns - first_ns) * 1e-9, (span.end_ns - first_ns) * 1e-9) for span, _ in calls]
        components, cards = [], self._cards()
        for place, channel in enumerate(channels):
            curve = channel.curve
            interval = curve.interval_seconds(1 / channel.info.rate_hz)
            least_seconds = long_seconds(interval, curve.late_ns() * 1e-9)
            window = together([windows[place] for _, windows in calls], edges, least_seconds, len(channels))
            components += components_of(part_of(channel, window, cards))
        systematic, random = (
            math.hypot(*(share.joules for share in components if share.systematic is lasts))
            for lasts in (True, False)
        )
        systematic += sum(_shifted_joules(channels, span) for span, _ in calls if span.bound_ns)
        doubt = Doubt(systematic / len(calls), random**2 / len(calls))
        return doubt if all(map(math.isfinite, doubt)) else None


class _Measured(NamedTuple):
    """A call and what each channel measured of it."""

    span: EndedSpan
    windows: list[Window]


def _shifted_joules(channels: Sequence[SampledChannel], span: EndedSpan) -> float:
    """One standard deviation of the energy of a call whose edges are both off by the clock of its client."""
    moved = 0.0
    for channel in channels:
        at, bound_ns = channel.curve.at, span.bound_ns
        start, end = (
            at(moment + bound_ns).joules - at(moment - bound_ns).joules
            for moment in (span.start_ns, span.end_ns)
        )
        moved += (end - start) / 2
    return abs(moved) / math.sqrt(3)


def _known_ns(channel: SampledChannel) -> int:
    """Up to when the curve of a channel will not change; 0: there is none yet."""
    return channel.curve.last_ns() - channel.curve.late_ns() if len(channel.curve) else 0


def _at(channels: Sequence[SampledChannel], at_ns: int) -> list[Point]:
    """The totals of all channels at a moment; none where they are forgotten."""
    try:
        return [channel.curve.at(at_ns) for channel in channels]
    except NotMeasured:
        return []


def _in_rings(channels: Sequence[SampledChannel], at_ns: int) -> bool:
    """Whether a moment is known at the full rate on all channels."""
    return all(
        len(channel.curve) and channel.curve.oldest_ns() <= at_ns <= channel.curve.last_ns()
        for channel in channels
    )
