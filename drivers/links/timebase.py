"""A device's own time put on the host's clock: counted ticks, or times that it writes."""

_MAX_DRIFT = 500e-6  # crystals are within ±100e-6; more is no drift
_CREEP = 200e-6  # two crystals of ±100e-6 apart
_WINDOW_NS = 3_000_000_000  # longer than the 64 reports (2.6 s at 25/s) that the kernel queues for hidraw
_LOSS_NS = 20_000_000  # later than this for a whole window is neither drift nor the host being busy


class DeviceClock:
    """Puts the device's ticks on ``time.monotonic_ns()``.

    Samples are stamped by counting, never by arrival: packets queue up and come in bursts. The first packet
    anchors the count. Afterwards the *earliest* packet of every three seconds (the one that waited least)
    says how far the two clocks have come apart, and the pace of the next stamps is bent by at most
    500 parts per million to follow; within the first three seconds the device's count is taken as exact.
    """

    def __init__(self, tick_ns: int) -> None:
        self._tick_ns = tick_ns
        self._pace = self._pace_before = float(tick_ns)
        self._base_tick: int | None = None
        self._base_ns = 0
        self._window_from_ns = 0
        self._least_late_ns: int | None = None

    def at(self, tick: int) -> int:
        """When ``tick`` happened, in ``time.monotonic_ns()``; only after `heard` was called once."""
        ahead = tick - (self._base_tick or 0)
        return self._base_ns + round(ahead * (self._pace if ahead > 0 else self._pace_before))

    def heard(self, tick: int, arrival_ns: int, packet_ticks: int = 0) -> int:
        """A packet whose newest sample is ``tick`` arrived; returns how many ticks were lost unseen.

        That is always 0 unless ``packet_ticks`` (the ticks that vanish together, unseen) is given, for meters
        without a full sequence number: being 20 ms late for a whole window means loss.
        """
        if self._base_tick is None:
            self._base_tick, self._base_ns, self._window_from_ns = tick, arrival_ns, arrival_ns
            return 0
        late_ns = arrival_ns - self.at(tick)
        least = late_ns if self._least_late_ns is None else min(self._least_late_ns, late_ns)
        self._least_late_ns = least
        if arrival_ns - self._window_from_ns < _WINDOW_NS:
            return 0
        self._window_from_ns, self._least_late_ns = arrival_ns, None
        if packet_ticks and least >= _LOSS_NS:
            return max(1, round(least / self._tick_ns / packet_ticks)) * packet_ticks
        self._base_ns, self._base_tick = self.at(tick), tick
        self._pace_before = self._pace
        drift = least / _WINDOW_NS
        self._pace = self._tick_ns * (1 + max(-_MAX_DRIFT, min(drift, _MAX_DRIFT)))
        return 0


class Timebase:
    """Puts the times that a device or a file writes with its values on ``time.monotonic_ns()``.

    Values arrive late, never early; so the shortest delay seen is the best guess of the true one, and
    the device's own spacing is kept whatever the transport does. The guess may grow by 200 parts per million
    of the time that passes, so that a device whose clock runs slow does not fall behind over hours. A device
    clock that steps back starts again. Stamps always increase.

    >>> base = Timebase()
    >>> base.arrived(10.0, 1_000_000_000), base.at_ns(9.5), base.at_ns(10.0)
    (None, 500000000, 1000000000)
    """

    def __init__(self) -> None:
        self._offset_ns: int | None = None
        self._last_seconds = float("-inf")
        self._last_ns = -(1 << 62)

    def arrived(self, seconds: float, now_ns: int) -> None:
        """The value of device time ``seconds``, the newest of its batch, was here at ``now_ns``."""
        offset = now_ns - round(seconds * 1e9)
        passed = seconds - self._last_seconds
        self._last_seconds = seconds
        if self._offset_ns is None or passed < 0:
            self._offset_ns = offset
        else:
            self._offset_ns = min(self._offset_ns + round(passed * 1e9 * _CREEP), offset)

    def at_ns(self, seconds: float) -> int:
        """When ``seconds`` was here; after at least one `arrived`."""
        stamp = round(seconds * 1e9) + (self._offset_ns or 0)
        self._last_ns = max(self._last_ns + 1, stamp)
        return self._last_ns

    def spread_ns(self, seconds: float, count: int, now_ns: int) -> list[int]:
        """When each of so many rows was here whose stamps are coarser than they come: evenly until now.

        Args:
            seconds: the first one's stamp, before which none of them was taken.

        >>> base = Timebase()
        >>> base.arrived(10.0, 1_000_000_000), base.at_ns(10.0), base.spread_ns(10.0, 2, 1_400_000_000)
        (None, 1000000000, [1200000000, 1400000000])
        """
        begin = max(self._last_ns, round(seconds * 1e9) + (self._offset_ns or 0))
        span = max(now_ns - begin, count)
        stamps = [begin + span * number // count for number in range(1, count + 1)]
        self._last_ns = stamps[-1]
        return stamps
