"""The offset between two clocks that nobody sets, from exchanges of messages, with a bound.

An exchange gives four times: a request leaves here, arrives there, an answer leaves there, arrives here.
Whatever the delays were, none was negative, so the other clock is ahead by at least ``left_there -
arrived_here`` and at most ``arrived_there - left_here``. This holds for any asymmetry; half the round trip is
the bound, and the exchange with the shortest one says most. (NTP's filter, RFC 5905 section 10, without its
assumption that both ways take equally long.)

Two clocks also drift apart. An exchange at another moment bounds the offset by as much less as they can have
drifted since: at most `MOST_DRIFT`, and less once two exchanges that are far enough apart bound the drift
itself, as two bounds of the offset and the time between them do. It is no constant, so it is taken to stay
within `MOST_WANDER` of one. This holds as well whatever the delays were; nothing is averaged.
"""

from __future__ import annotations

import math

from energymeter.lazy import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_DRIFT = 200e-6
"""Two crystals of ±100e-6 apart."""
MOST_WANDER = 10e-6
"""A crystal that warms up or cools down during a measurement changes by less from its mean."""
MOST_KEPT = 256
_FIT_NS = 10_000_000_000
"""Exchanges that are closer say nothing of the drift that is not known anyway."""


class Exchange(NamedTuple):
    """One request and its answer, in ns of the clock where each was noted."""

    left_here: int
    arrived_there: int
    left_there: int
    arrived_here: int

    @property
    def at_ns(self) -> int:
        """The middle of it, on the clock here."""
        return (self.left_here + self.arrived_here) // 2


class Offset(NamedTuple):
    """How far the clock there is ahead of the one here: between two limits."""

    least_ns: int
    most_ns: int

    @property
    def ns(self) -> int:
        """The middle."""
        return (self.least_ns + self.most_ns) // 2

    @property
    def bound_ns(self) -> int:
        """The truth is within so much of the middle."""
        return (self.most_ns - self.least_ns + 1) // 2


class ClockOffset:
    """Collects exchanges, and says how far the other clock is ahead at any moment.

    Args:
        drift: how fast the two clocks can drift apart, as a share of time.
        wander: how far the drift can be from its mean.
    """

    def __init__(self, drift: float = MOST_DRIFT, wander: float = MOST_WANDER) -> None:
        self._drift, self._wander = drift, wander
        self._exchanges: list[Exchange] = []
        self._least_mean, self._most_mean = -drift, drift

    def add(self, exchange: Exchange) -> bool:
        """One exchange; False: its times cannot be, and it is left out."""
        left_here, arrived_there, left_there, arrived_here = exchange
        if not (left_here <= arrived_here and arrived_there <= left_there):
            return False
        if left_there - arrived_there > (arrived_here - left_here) * (1 + 2 * self._drift) + 1_000:
            return False
        self._fit(exchange)
        self._exchanges.append(exchange)
        if len(self._exchanges) > MOST_KEPT:  # the shortest say most, the newest is needed too
            longest = max(self._exchanges[:-1], key=lambda one: _trip_ns(one))
            self._exchanges.remove(longest)
        return True

    def rates(self) -> tuple[float, float]:
        """How fast the clock there gains on the one here, as a share of time: at least, and at most."""
        return (
            max(-self._drift, self._least_mean - self._wander),
            min(self._drift, self._most_mean + self._wander),
        )

    def _fit(self, new: Exchange) -> None:
        """Bound the mean drift by this exchange and each that is far enough from it."""
        least, most = self._least_mean, self._most_mean
        new_low, new_high = self._limits(new)
        for old in self._exchanges:
            passed = new.at_ns - old.at_ns
            if passed >= _FIT_NS:
                low, high = self._limits(old)
                least = max(least, (new_low - high) / passed - self._wander)
                most = min(most, (new_high - low) / passed + self._wander)
        if least > most:  # a clock was set: that is no drift, and `at` finds the contradiction
            least, most = -self._drift, self._drift
        self._least_mean, self._most_mean = least, most

    def _limits(self, exchange: Exchange) -> tuple[float, float]:
        """The offset in the middle of an exchange: at least, and at most."""
        left_here, arrived_there, left_there, arrived_here = exchange
        during = self._drift * (arrived_here - left_here) / 2
        return left_there - arrived_here - during, arrived_there - left_here + during

    def extend(self, exchanges: Iterable[Exchange]) -> None:
        """Several exchanges."""
        for exchange in exchanges:
            self.add(exchange)

    def at(self, here_ns: int) -> Offset | None:
        """The offset at a moment of the clock here; ``None``: nothing is known, or the exchanges contradict.

        An exchange at another moment bounds it by as much more as the clocks can have drifted since. Where
        exchanges contradict each other, a clock was set in between.
        """
        least = most = None
        slowest, fastest = self.rates()
        for exchange in self._exchanges:
            passed = here_ns - exchange.at_ns
            less, more = sorted((slowest * passed, fastest * passed))
            low, high = self._limits(exchange)
            low, high = math.floor(low + less), math.ceil(high + more)
            least = low if least is None else max(least, low)
            most = high if most is None else min(most, high)
        if least is None or most is None or least > most:
            return None
        return Offset(least, most)


def _trip_ns(exchange: Exchange) -> int:
    return exchange.arrived_here - exchange.left_here - (exchange.left_there - exchange.arrived_there)
