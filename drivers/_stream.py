"""What streaming meters share: a device's clock laid on the host's, and ``read`` made out of ``stream``."""

import time
from collections.abc import Callable, Iterator

from energymeter.errors import SourceTimeout
from energymeter.reading import Reading

_WINDOW_NS = 3_000_000_000  # longer than the 64 reports (2.6 s at 25/s) that the kernel queues for hidraw
_MAX_DRIFT = 500e-6  # crystals are within ±100e-6; more is no drift
_LOSS_NS = 20_000_000  # later than this for a whole window is neither drift nor the host being busy
_PATIENCE_S = 2.0


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


class Pull:
    """The ``read`` of a source that streams: its next fresh reading."""

    def __init__(self, name: str, stream: Callable[[], Iterator[Reading]]) -> None:
        self._name = name
        self._stream = stream
        self._readings: Iterator[Reading] | None = None

    def read(self) -> Reading:
        """The next fresh reading, waiting up to two seconds.

        Raises:
            SourceTimeout: none came.
            SourceError: whatever the stream raised; the next call starts a new stream.
        """
        if self._readings is None:
            self._readings = self._stream()
        deadline = time.monotonic() + _PATIENCE_S
        try:
            for reading in self._readings:
                if reading.fresh:
                    return reading
                if time.monotonic() > deadline:
                    break
        except BaseException:
            self._readings = None  # a generator that raised is spent
            raise
        raise SourceTimeout(
            f"{self._name} sent nothing valid within {_PATIENCE_S:g} s: check that the meter is on."
        )

    def reset(self) -> None:
        """Forget the running stream."""
        self._readings = None
