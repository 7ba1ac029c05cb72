"""An emulated FNIRSI meter: a HID device with its own crystal, from baryluk's and yeckel's loggers' wire."""

import struct
from collections import deque
from collections.abc import Callable

from energymeter.clock import ManualClock
from energymeter.errors import SourceMissing


def crc8(data: bytes) -> int:
    """Poly 0x39, init 0x42, bit by bit."""
    crc = 0x42
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ 0x39) & 0xFF if crc & 0x80 else crc << 1
    return crc


def packet(samples: list[tuple[float, float]], kind: int = 4) -> bytes:
    """A data packet with four (volts, amps)."""
    body = bytes([kind])
    for volts, amps in samples:
        body += struct.pack("<IIHHBH", round(volts * 1e5), round(amps * 1e5), 1184, 1031, 1, 305)
    body += b"\x00"
    return b"\xaa" + body + bytes([crc8(body)])


class FnirsiWire:
    """The host's end of the emulated meter, on a clock moved by hand.

    The meter makes a packet every 40 ms of its own time while it is kept alive, and the kernel's queue
    holds 64 of them; what the host does not fetch in time is gone.
    """

    def __init__(
        self, clock: ManualClock, load: Callable[[float], tuple[float, float]], model: str = "fnb58"
    ) -> None:
        self.address = "emulated"
        self.moved_bytes = 0
        self.clock = clock
        self.load = load
        self.ppm = 0.0
        self.spoil: Callable[[int, bytes], bytes | None] = lambda _, report: report
        """What becomes of packet number n on its way; None: it vanishes."""
        self.plugged = True
        self.queue: deque[bytes] = deque(maxlen=64)
        self.starts: list[int] = []
        self._old = model == "fnb48"
        self._third = 0x83 if self._old else 0x82
        self._made = 0
        self._alive_until_ns = 0
        self._next_ns = 0
        self._opened = False

    def open(self) -> None:
        if not self.plugged:
            raise SourceMissing("emulated: unplugged")
        self.starts, self._opened = [], True
        self.queue.clear()

    def close(self) -> None:
        self._opened = False

    def write(self, data: bytes) -> None:
        self._check()
        assert len(data) == 64, "a report is 64 bytes"
        assert data[0] == 0xAA
        assert data[63] == crc8(data[1:63])
        assert not any(data[2:63])
        self.moved_bytes += 64
        if len(self.starts) < 3:
            assert data[1] == (0x81, 0x82, self._third)[len(self.starts)]
            self.starts.append(data[1])
            if len(self.starts) == 3:
                self._next_ns = self.clock.monotonic_ns() + 40_000_000
        else:
            assert data[1] == 0x83, "only the keep-alive is harmless now"
        # the flow stops 100 ms (old models) or 1.5 s (new ones) after the last sign of life
        self._alive_until_ns = self.clock.monotonic_ns() + (100_000_000 if self._old else 1_500_000_000)

    def read(self, seconds: float) -> bytes:
        self._check()
        self._make()
        until = self.clock.monotonic_ns() + round(seconds * 1e9)
        while not self.queue and self.clock.monotonic_ns() < until:
            step = min(self._next_ns, until) - self.clock.monotonic_ns()
            self.clock.sleep(max(step, 1_000_000) / 1e9)
            self._make()
        if not self.queue:
            return b""
        self.moved_bytes += 64
        return self.queue.popleft()

    def _make(self) -> None:
        while len(self.starts) == 3 and self._next_ns <= min(self.clock.monotonic_ns(), self._alive_until_ns):
            tick = 4 * self._made
            report = self.spoil(self._made, packet([self.load((tick + i) * 0.01) for i in range(4)]))
            if report is not None:
                self.queue.append(report)
            self._made += 1
            self._next_ns += round(40_000_000 / (1 + self.ppm * 1e-6))

    def _check(self) -> None:
        assert self._opened, "the meter is not open"
        if not self.plugged:
            raise SourceMissing("emulated: unplugged")
