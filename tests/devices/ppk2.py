"""An emulated PPK2 on a clock moved by hand: its calibration text and 100 000 words a second."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from energymeter.clock import ManualClock
from energymeter.errors import SourceMissing

R = (1003.3506, 101.5865, 10.3027, 0.9636, 0.0564)
OFFSET = (112.789, 80.1, 70.5, 60.25, 50.0)
GAIN = (1.01, 0.99, 1.002, 0.998, 1.0)
BASE = (1e-7, -2e-7, 0.0, 1e-6, 2e-6)
TOP_AMPS = (50e-6, 500e-6, 5e-3, 60e-3, 1.0)


def metadata(mode: int = 2) -> str:
    lines = ["Calibrated: 1"]
    for key, values in (
        ("R", R),
        ("GS", (0,) * 5),
        ("GI", GAIN),
        ("O", OFFSET),
        ("S", (0,) * 5),
        ("I", BASE),
    ):
        lines += [f"{key}{index}: {value:.10f}" for index, value in enumerate(values)]
    lines += [f"UG{index}: 1.00" for index in range(5)]
    return "\n".join([*lines, "HW: 9173", f"mode: {mode}", "IA: 56", "VDD: 3700", "END\n"])


def words(amps: "NDArray[np.float64]", first_counter: int = 0) -> "NDArray[np.uint32]":
    """What the instrument would send for these currents: smallest range that fits, nearest ADC code."""
    reach = np.searchsorted(np.array(TOP_AMPS), np.abs(amps)).clip(0, 4)
    ratio = (amps - np.array(BASE)[reach]) / np.array(GAIN)[reach]
    adc = np.round((ratio * np.array(R)[reach] * 163840 / 1.8 + np.array(OFFSET)[reach]) / 4).clip(0, 0x3FFF)
    counters = (first_counter + np.arange(len(amps))) % 64
    out: NDArray[np.uint32] = (
        adc.astype(np.uint32) | reach.astype(np.uint32) << 14 | counters.astype(np.uint32) << 18
    )
    return out


class Ppk2Wire:
    """The host's end of the data port; strict about commands."""

    def __init__(
        self, clock: ManualClock, load: Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]
    ) -> None:
        self.address = "emulated"
        self.moved_bytes = 0
        self.clock, self.load = clock, load
        self.plugged, self.mute = True, False
        self.lose: list[tuple[int, int]] = []
        """(first, how many) samples that never reach the host."""
        self.commands: list[bytes] = []
        self.running = False
        self.chunk = 1000
        """Samples handed over at a time."""
        self.mode = 2
        self._opened = False
        self._waiting = b""
        self._start_ns = self._sent = 0

    def open(self) -> None:
        if not self.plugged:
            raise SourceMissing("emulated: unplugged")
        self._opened = True

    def close(self) -> None:
        self._opened = False

    def write(self, data: bytes) -> None:
        self._check()
        self.moved_bytes += len(data)
        while data:
            size = {0x06: 1, 0x07: 1, 0x19: 1, 0x11: 2, 0x0C: 2, 0x0D: 3}[data[0]]
            command, data = data[:size], data[size:]
            assert len(command) == size
            self.commands.append(command)
            if command[0] == 0x06:
                self.running, self._start_ns, self._sent = True, self.clock.monotonic_ns(), 0
            elif command[0] == 0x07:
                self.running = False
            elif command[0] == 0x19:
                assert not self.running, "the text would drown in samples"
                self._waiting += metadata(self.mode).encode()

    def read(self, seconds: float) -> bytes:
        self._check()
        if self._waiting:
            data, self._waiting = self._waiting[:100], self._waiting[100:]
        elif self.running and not self.mute:
            data = self._samples(seconds)
        else:
            self.clock.sleep(seconds)
            data = b""
        self.moved_bytes += len(data)
        return data

    def _samples(self, seconds: float) -> bytes:
        due_ns = self._start_ns + (self._sent + self.chunk) * 10_000
        if due_ns > self.clock.monotonic_ns() + seconds * 1e9:
            self.clock.sleep(seconds)
            return b""
        self.clock.sleep((due_ns - self.clock.monotonic_ns()) / 1e9)
        numbers = np.arange(self._sent, self._sent + self.chunk)
        self._sent += self.chunk
        kept = np.ones(self.chunk, bool)
        for first, count in self.lose:
            kept &= (numbers < first) | (numbers >= first + count)
        out = words(self.load(numbers / 1e5), int(numbers[0]))
        return out[kept].astype("<u4").tobytes()

    def _check(self) -> None:
        assert self._opened, "the port is not open"
        if not self.plugged:
            raise SourceMissing("emulated: unplugged")
