"""Totals that never go back: what counters show, kept in a file across restarts.

What is shown is saved first. An agent that is killed, or that loses power, therefore continues from a value
that is at least as high as any that was ever shown. What flowed while nothing was measured is in no total.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple

from energymeter.energy.uncertainty import K
from energymeter.errors import warn
from energymeter.paths import read_file, replace_file
from energymeter.serve.names import JOULE_BUCKETS, MOST_SOURCES, MOST_SPANS, OTHER_SPANS, SECOND_BUCKETS
from energymeter.text import printable
from energymeter.units import number_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from energymeter.serve.snapshot import ChannelState
    from energymeter.serve.spans import Doubt

_FORMAT = 1
_MOST_BYTES = 4_000_000
_MOST = 1e15
_MOST_CHANNELS = 1000
_BACK = 1.0
"""J and C: what flows back counts as noise around 0 until it is so much."""


class Rising(NamedTuple):
    """A total split by direction, so that neither part ever falls.

    >>> total = Rising().after(5.0).after(-0.2).after(0.3)
    >>> round(total.forward, 6), total.back
    (5.1, 0.0)
    >>> Rising(forward=5.0).after(-3.0)
    Rising(forward=5.0, back=3.0, owed=0.0)
    """

    forward: float = 0.0
    back: float = 0.0
    owed: float = 0.0
    """What has flowed back and is not in ``back`` yet; at most `_BACK`."""

    def after(self, change: float) -> Rising:
        """Once so much more has flowed; less than 0: back."""
        net = change - self.owed
        if net >= 0:
            return Rising(self.forward + net, self.back, 0.0)
        return Rising(self.forward, self.back - net, 0.0) if net < -_BACK else self._replace(owed=-net)


class ChannelTotal(NamedTuple):
    """What a channel has counted since the file was made."""

    joules: Rising = Rising()
    coulombs: Rising = Rising()
    uncertainty_joules: float = 0.0
    """That of every run of the source, added up: the same error may be in all of them."""
    measured_seconds: float = 0.0
    missed: int = 0
    has_charge: bool = False


class Histogram(NamedTuple):
    """How often a figure was in each of some ranges; the last count is of what is above the last bound."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float = 0.0

    @classmethod
    def empty(cls, bounds: tuple[float, ...]) -> Histogram:
        """Nothing counted yet."""
        return cls(bounds, (0,) * (len(bounds) + 1))

    def after(self, figure: float) -> Histogram:
        """With one more figure; one that equals a bound is not above it."""
        place = bisect_left(self.bounds, figure)
        counts = (*self.counts[:place], self.counts[place] + 1, *self.counts[place + 1 :])
        return Histogram(self.bounds, counts, self.sum + figure)


class SpanTotal(NamedTuple):
    """The calls of the spans of one name."""

    joules: Histogram = Histogram.empty(JOULE_BUCKETS)
    seconds: Histogram = Histogram.empty(SECOND_BUCKETS)
    left_out: int = 0
    """Calls that are in neither, because not all of them was measured."""
    systematic_joules: float | None = 0.0
    """One standard deviation of what is the same error in all calls; ``None``: unknown of some."""
    random_joules2: float = 0.0
    """The variance of what is new in each."""

    @property
    def uncertainty(self) -> float | None:
        """± of the sum of ``joules`` in J, coverage factor 2; None: unknown."""
        known = self.systematic_joules
        return None if known is None else K * math.hypot(known, math.sqrt(self.random_joules2))

    @property
    def calls(self) -> int:
        """How many were measured."""
        return sum(self.joules.counts)


class _Seen(NamedTuple):
    """The figures of a run of a source when they were last taken in."""

    run: str
    joules: float
    coulombs: float
    uncertainty_joules: float
    measured_seconds: float
    missed: int


class Totals:
    """The totals of channels and spans.

    Args:
        path: of the file; None: they begin at 0 in every process.
    """

    def __init__(self, path: str | None = None) -> None:
        self.channels: dict[tuple[str, str], ChannelTotal] = {}
        """By source and channel."""
        self.spans: dict[tuple[str, str], SpanTotal] = {}
        """By source and name."""
        self._path = path
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._warned = False
        if path is not None and os.path.lexists(path):
            self._load(path)

    def take(self, states: Iterable[ChannelState]) -> None:
        """Take in what channels have measured by now; twice is fine."""
        for state in states:
            key = state.source, state.channel
            if key not in self.channels and len(self.channels) >= _MOST_CHANNELS:
                continue
            now = _Seen(
                state.run,
                state.joules or 0.0,
                state.coulombs or 0.0,
                state.uncertainty_joules or 0.0,
                state.measured_seconds,
                state.missed,
            )
            before = self._seen.get(key)
            if before is None or before.run != now.run:
                before = _Seen(now.run, 0.0, 0.0, 0.0, 0.0, 0)
            total = self.channels.get(key, ChannelTotal())
            self.channels[key] = ChannelTotal(
                total.joules.after(now.joules - before.joules),
                total.coulombs.after(now.coulombs - before.coulombs),
                total.uncertainty_joules + max(0.0, now.uncertainty_joules - before.uncertainty_joules),
                total.measured_seconds + max(0.0, now.measured_seconds - before.measured_seconds),
                total.missed + max(0, now.missed - before.missed),
                total.has_charge or state.coulombs is not None,
            )
            self._seen[key] = now._replace(
                uncertainty_joules=max(now.uncertainty_joules, before.uncertainty_joules),
                measured_seconds=max(now.measured_seconds, before.measured_seconds),
                missed=max(now.missed, before.missed),
            )

    def add_span(
        self, source: str, name: str, joules: float, seconds: float, doubt: Doubt | None = None
    ) -> None:
        """Take in one call of a span that was measured from start to end.

        Args:
            source: whose.
            name: of the span.
            joules: of the call.
            seconds: how long it took.
            doubt: how uncertain its energy is; None: nobody knows.
        """
        if not (math.isfinite(joules) and math.isfinite(seconds)):
            return
        key = self._span(source, name)
        total = self.spans.get(key, SpanTotal())
        systematic, random = None, total.random_joules2
        if doubt is not None and total.systematic_joules is not None:
            systematic = total.systematic_joules + doubt.systematic_joules
            random += doubt.random_joules2
        self.spans[key] = total._replace(
            joules=total.joules.after(joules),
            seconds=total.seconds.after(seconds),
            systematic_joules=systematic,
            random_joules2=random,
        )

    def leave_out(self, source: str, name: str, calls: int) -> None:
        """Count calls of a span that were not measured from start to end."""
        key = self._span(source, name)
        total = self.spans.get(key, SpanTotal())
        self.spans[key] = total._replace(left_out=total.left_out + calls)

    def _span(self, source: str, name: str) -> tuple[str, str]:
        """Under which name a span counts."""
        key = source, printable(name)
        return key if key in self.spans or len(self.spans) < MOST_SPANS else (source, OTHER_SPANS)

    def save(self) -> None:
        """Keep them. Where that fails, a warning says so, and they begin again in the next process."""
        if self._path is None:
            return
        content = {
            "format": _FORMAT,
            "channels": [[*key, *_plain(total)] for key, total in self.channels.items()],
            "spans": [[*key, *_plain(total)] for key, total in [*self.spans.items()]],
        }
        try:
            os.makedirs(os.path.dirname(self._path) or ".", mode=0o700, exist_ok=True)
            replace_file(self._path, json.dumps(content, allow_nan=False), durable=True)
        except OSError as failure:
            if not self._warned:
                self._warned = True
                warn(
                    f"{self._path} cannot be written ({failure.strerror}): counters begin at 0 when the "
                    "agent starts again; name another folder"
                )

    def _load(self, path: str) -> None:
        try:
            content = json.loads(read_file(path, _MOST_BYTES))
            self.channels = {
                (str(source), str(channel)): _channel_total(figures)
                for source, channel, *figures in content["channels"][:_MOST_CHANNELS]
            }
            self.spans = {
                (str(source), str(name)): SpanTotal(
                    _histogram(joules, JOULE_BUCKETS),
                    _histogram(seconds, SECOND_BUCKETS),
                    int(number_in(left_out, 0, _MOST, "a count")),
                    *_doubt(doubt),
                )
                for source, name, joules, seconds, left_out, *doubt in content["spans"][
                    : MOST_SPANS + MOST_SOURCES
                ]
            }
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as failure:
            self.channels, self.spans = {}, {}
            aside = f"{path}.unreadable"
            with contextlib.suppress(OSError):
                os.replace(path, aside)
            warn(f"{path} cannot be read ({failure}): counters begin at 0; see {aside}")


def _plain(value: Any) -> Any:
    """Named tuples as lists, which are half as long as objects."""
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _channel_total(figures: Sequence[Any]) -> ChannelTotal:
    joules, coulombs, uncertainty, seconds, missed, has_charge = figures
    return ChannelTotal(
        Rising(*_numbers(joules, 3)),
        Rising(*_numbers(coulombs, 3)),
        number_in(uncertainty, 0.0, _MOST, "a total"),
        number_in(seconds, 0.0, _MOST, "a total"),
        int(number_in(missed, 0, _MOST, "a count")),
        bool(has_charge),
    )


def _histogram(row: Sequence[Any], bounds: tuple[float, ...]) -> Histogram:
    _, counts, total = row
    if len(counts) != len(bounds) + 1:
        raise ValueError("its histograms are those of another version")
    return Histogram(
        bounds,
        tuple(int(number_in(count, 0, _MOST, "a count")) for count in counts),
        number_in(total, -_MOST, _MOST, "a sum"),
    )


def _doubt(row: Sequence[Any]) -> tuple[float | None, float]:
    """What is known of how uncertain spans are; a file of an earlier version says nothing of it."""
    if not row or row[0] is None:
        return None, 0.0
    systematic, random = row
    return number_in(systematic, 0.0, _MOST, "a total"), number_in(random, 0.0, _MOST, "a total")


def _numbers(row: Sequence[Any], length: int) -> list[float]:
    if len(row) != length:
        raise ValueError("a row has another length")
    return [number_in(one, 0.0, _MOST, "a total") for one in row]
