"""Link helper for devices with a clock of their own: their seconds on this machine's monotonic clock."""


class Timebase:
    """Maps a device's seconds to ``time.monotonic_ns``.

    Values arrive late, never early; so the shortest delay seen so far is the best guess of the true
    one, and the device's own spacing is kept whatever the transport does. A device clock that steps
    back starts anew. Stamps always increase.

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
        stepped = seconds < self._last_seconds
        self._last_seconds = seconds
        self._offset_ns = offset if stepped or self._offset_ns is None else min(self._offset_ns, offset)

    def at_ns(self, seconds: float) -> int:
        """When ``seconds`` was here; after at least one `arrived`."""
        stamp = round(seconds * 1e9) + (self._offset_ns or 0)
        self._last_ns = max(self._last_ns + 1, stamp)
        return self._last_ns
