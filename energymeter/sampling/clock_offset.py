"""The offset between two clocks that nobody sets, from exchanges of messages, with a bound.

An exchange gives four times: a request leaves here, arrives there, an answer leaves there, arrives here.
Whatever the delays were, none was negative, so the other clock is ahead by at least ``left_there -
arrived_here`` and at most ``arrived_there - left_here``. This holds for any asymmetry; half the round trip is
the bound, and the exchange with the shortest one says most. (NTP's filter, RFC 5905 section 10, without its
assumption that both ways take equally long.)

Two clocks also drift apart. An exchange at another moment bounds the offset by as much less as they can have
drifted since, at most `MOST_DRIFT`.
"""

from __future__ import annotations

from energymeter.lazy import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_DRIFT = 200e-6
"""Two crystals of ±100e-6 apart."""
MOST_KEPT = 256


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
    """

    def __init__(self, drift: float = MOST_DRIFT) -> None:
        self._drift = drift
        self._exchanges: list[Exchange] = []

    def add(self, exchange: Exchange) -> bool:
        """One exchange; False: its times cannot be, and it is left out."""
        left_here, arrived_there, left_there, arrived_here = exchange
        if not (left_here <= arrived_here and arrived_there <= left_there):
            return False
        if left_there - arrived_there > (arrived_here - left_here) * (1 + 2 * self._drift) + 1_000:
            return False
        self._exchanges.append(exchange)
        if len(self._exchanges) > MOST_KEPT:  # the shortest say most, the newest is needed too
            longest = max(self._exchanges[:-1], key=lambda one: _trip_ns(one))
            self._exchanges.remove(longest)
        return True

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
        for exchange in self._exchanges:
            drifted = round(self._drift * _apart_ns(exchange, here_ns))
            low = exchange.left_there - exchange.arrived_here - drifted
            high = exchange.arrived_there - exchange.left_here + drifted
            least = low if least is None else max(least, low)
            most = high if most is None else min(most, high)
        if least is None or most is None or least > most:
            return None
        return Offset(least, most)


def _trip_ns(exchange: Exchange) -> int:
    return exchange.arrived_here - exchange.left_here - (exchange.left_there - exchange.arrived_there)


def _apart_ns(exchange: Exchange, here_ns: int) -> int:
    """From a moment to the end of an exchange that is further away."""
    return max(abs(here_ns - exchange.left_here), abs(here_ns - exchange.arrived_here))
