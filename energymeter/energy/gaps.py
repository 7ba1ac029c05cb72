"""How far apart two readings may be and still be joined; what is longer is a gap."""

from math import ceil, floor

_GAP_INTERVALS = 3.5
_GAP_FLOOR_NS = 3_000_000
_GAP_CEILING_NS = 1e18
"""32 years: only times that make no sense are further apart."""
_SHORTEST_NS = 50_000
IN_A_ROW = 3


def gap_limit_ns(interval_ns: float) -> int:
    """How far apart two readings may be and still be joined: 3.5 usual intervals, and at least 3 ms.

    Two readings in a row may be lost and the third may be late by half an interval; what is longer was not
    measured. Less than 3 ms is within what Linux lets one busy program run before another one gets its turn
    (``base_slice_ns`` with eight processors or more), so it says nothing of the source.

    >>> gap_limit_ns(10e6), gap_limit_ns(1e6), gap_limit_ns(1e5)
    (35000000, 3500000, 3000000)

    Args:
        interval_ns: the usual time between two readings: the median of those observed.
    """
    return max(round(min(_GAP_INTERVALS * interval_ns, _GAP_CEILING_NS)), _GAP_FLOOR_NS)


def tick_wait_ns(rate_hz: float) -> int:
    """How long a counter that stands still is waited for: three periods and a quarter of a second.

    Its energy is not lost meanwhile, it only comes as one step.
    """
    return round(3e9 / rate_hz) + 250_000_000


class GapRule:
    """The gap limit of a channel. It follows the interval that is observed, whatever was asked for.

    The usual interval changes when three in a row are less than half or more than one and a half of it, to
    their median; the very first one is taken at its word if it is longer. One gap changes nothing, nor do the
    readings that were held back meanwhile and come together after it.

    Args:
        nominal_ns: the interval that was asked for.
    """

    def __init__(self, nominal_ns: float) -> None:
        # lines that a pipe held back and delivers together are no faster source
        self.shortest_ns = min(_SHORTEST_NS, nominal_ns / 10)
        self._unusual: list[float] = []
        self._behind_ns = 0.0
        """By how much the readings since the last usual interval came too late."""
        self.unsteady = self._first = True
        """Whether an interval from ``from_ns`` to ``to_ns`` changes anything; longer and shorter ones do."""
        self.follow(nominal_ns)

    def follow(self, usual_ns: float) -> None:
        """Take this for the usual interval from now on."""
        self.limit_ns = gap_limit_ns(usual_ns)
        self._usual_ns, self._behind_ns = usual_ns, 0.0
        # whole numbers, which compare faster with the intervals
        self.from_ns, self.to_ns = ceil(usual_ns / 2), floor(1.5 * usual_ns)
        self._unusual.clear()

    def observe(self, interval_ns: float) -> int:
        """Take one more interval into account; the limit from now on."""
        first, self._first = self._first, False
        late_ns = interval_ns - self._usual_ns
        if self.from_ns <= interval_ns <= self.to_ns:
            self._unusual.clear()
            self._behind_ns = 0.0
        elif interval_ns < self.shortest_ns:
            pass
        elif late_ns < 0 < self._behind_ns:  # it catches up
            self._behind_ns += late_ns
        else:
            self._unusual.append(interval_ns)
            self._behind_ns += max(late_ns, 0.0)
            if len(self._unusual) == IN_A_ROW:
                self.follow(sorted(self._unusual)[IN_A_ROW // 2])
            elif first and interval_ns > self.to_ns:
                self.follow(interval_ns)
        self.unsteady = bool(self._unusual)
        return self.limit_ns
