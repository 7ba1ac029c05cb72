"""An INA219 emulated register by register, behind what ``smbus2.SMBus`` offers.

It models the pointer and byte order, conversion times and averaging, the time it is blind to current while
it converts the bus voltage, clipping of every single conversion at the gain in use, the conversion-ready
flag, the arithmetic registers with their overflow, reset, brown-out and a bus on which it may not
answer. Nothing is computed before a register is read, so it costs nothing while nobody reads.

Sources: TI SBOS448G 7.5 and 8.6, SBOS448F register 02h (CNVR). The registers change when a whole cycle ends.
"""

from __future__ import annotations

import errno

from energymeter.lazy import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


RESET_CONFIG = 0x399F
_CONFIG, _SHUNT, _BUS, _POWER, _CURRENT, _CALIBRATION = range(6)

# Code -> (conversions averaged, nanoseconds of each, bits of each).
_ADC = {
    **{code: (1, ns, 9 + bits) for code, ns, bits in
       ((0, 84_000, 0), (1, 148_000, 1), (2, 276_000, 2), (3, 532_000, 3),
        (4, 84_000, 0), (5, 148_000, 1), (6, 276_000, 2), (7, 532_000, 3), (8, 532_000, 3))},
    **{8 + power: (1 << power, 532_000, 12) for power in range(1, 8)},
}  # fmt: skip


class Load(Protocol):
    """What flows through the shunt, exactly."""

    def charge(self, at_ns: int) -> float:
        """Coulombs that have flowed by then, since any fixed moment."""

    def steady(self, since_ns: int, until_ns: int) -> bool:
        """Whether the current is surely the same all that time, so that one conversion stands for all."""

    def volts(self, at_ns: int) -> float:
        """Bus voltage at the load's side of the shunt."""


class Ina219Chip:
    """One INA219 alone on its bus.

    Args:
        load: what it measures.
        clock_ns: the present, in nanoseconds.
        shunt: ohms.
        noise: volts to add to each shunt conversion, called once a conversion.
        offsets: volts at the shunt that each gain adds, /1 to /8.
        bus_gain: what it shows of the bus voltage.
        slowness: of its conversions against typical; up to 1.1 on real chips.
        status_clears: whether reading the bus register clears CNVR too (SBOS448G 8.3.1 may be read that way).
    """

    def __init__(
        self,
        load: Load,
        clock_ns: Callable[[], int],
        *,
        address: int = 0x40,
        shunt: float = 0.1,
        noise: Callable[[], float] | None = None,
        offsets: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
        bus_gain: float = 1.0,
        slowness: float = 1.0,
        status_clears: bool = False,
    ) -> None:
        self.address = address
        self.nacks = 0
        """How many of the next transfers fail with ``nack_errno``."""
        self.nack_errno = errno.EREMOTEIO
        self.writes: list[tuple[int, int]] = []
        """Every register write seen, as (register, value)."""
        self._load, self._now, self._shunt_ohms = load, clock_ns, shunt
        self._offsets, self._bus_gain = offsets, bus_gain
        self._noise, self._slowness, self._status_clears = noise, slowness, status_clears
        self._pointer = 0
        self.brown_out()

    def brown_out(self) -> None:
        """Lose power for a moment: every register goes back to its reset value."""
        self._shunt = self._bus = self._calibration = 0
        self._configure(RESET_CONFIG)

    # The registers, as the chip sees them.

    def _configure(self, value: int) -> None:
        self._config = value & 0x3FFF  # the reset bit clears itself, bit 14 does not exist
        mode = value & 7
        shunt_adc, bus_adc = value >> 3 & 15, value >> 7 & 15
        self._gain_limit = 4000 << (value >> 11 & 3)
        self._offset = self._offsets[value >> 11 & 3]
        self._bus_limit = 8000 if value >> 13 & 1 else 4000
        self._shunt_adc = self._scaled(shunt_adc) if mode & 1 and mode != 4 else None
        self._bus_adc = self._scaled(bus_adc) if mode & 2 else None
        spans = [adc[0] * adc[1] for adc in (self._shunt_adc, self._bus_adc) if adc]
        self._cycle = sum(spans)
        self._once = mode < 4
        self._began = self._now()
        self._latched = self._cleared = 0

    def _scaled(self, code: int) -> tuple[int, int, int]:
        count, ns, bits = _ADC[code]
        return count, round(ns * self._slowness), bits

    def _done(self) -> int:
        """Whole cycles since the last configuration; their results are in the registers afterwards."""
        if not self._cycle:
            return 0
        done = (self._now() - self._began) // self._cycle
        if self._once:
            done = min(done, 1)
        if done > self._latched:
            self._latched = done
            self._convert(self._began + (done - 1) * self._cycle)
        return done

    def _convert(self, start: int) -> None:
        if self._shunt_adc:
            count, span, bits = self._shunt_adc
            end = start + count * span
            looks = 1 if self._noise is None and self._load.steady(start, end) else count
            edges = [self._load.charge(start + i * span) for i in range(looks + 1)]
            self._shunt = round(sum(map(self._one_shunt, edges, edges[1:])) / looks)
            start = end
            self._shunt -= self._shunt % (1 << (12 - bits))
        if self._bus_adc:
            count, span, bits = self._bus_adc
            volts = sum(self._load.volts(start + i * span + span // 2) for i in range(count)) / count
            volts *= self._bus_gain
            step = 1 << (12 - bits)
            self._bus = min(max(round(volts / 4e-3 / step) * step, 0), self._bus_limit)

    def _one_shunt(self, before: float, after: float) -> float:
        assert self._shunt_adc is not None
        volts = (after - before) * 1e9 / self._shunt_adc[1] * self._shunt_ohms + self._offset
        if self._noise:
            volts += self._noise()
        return max(-self._gain_limit, min(self._gain_limit, volts / 10e-6))

    def _arithmetic(self) -> tuple[int, int, bool]:
        """Current and power registers, and whether they overflowed."""
        current = int(self._shunt * self._calibration / 4096)
        power = abs(current) * self._bus // 5000
        overflow = not -32768 <= current <= 32767 or power > 65535
        return current, power, overflow

    def _get(self, register: int) -> int:
        done = self._done()
        if register == _CONFIG:
            return self._config
        if register == _SHUNT:
            return self._shunt & 0xFFFF
        if register == _BUS:
            ready = done > self._cleared
            if self._status_clears:
                self._cleared = done
            return self._bus << 3 | ready << 1 | self._arithmetic()[2]
        if register == _POWER:
            self._cleared = done
            return self._arithmetic()[1] & 0xFFFF
        if register == _CURRENT:
            return self._arithmetic()[0] & 0xFFFF
        return self._calibration if register == _CALIBRATION else 0

    def _set(self, register: int, value: int) -> None:
        self.writes.append((register, value))
        self._done()
        if register == _CONFIG and value >> 15:
            self.brown_out()
        elif register == _CONFIG:
            self._configure(value)
        elif register == _CALIBRATION:
            self._calibration = value & 0xFFFE

    # The bus, as smbus2 sees it.

    def _answer(self, address: int) -> None:
        if self.nacks > 0 or address != self.address:
            self.nacks = max(0, self.nacks - 1)
            number = self.nack_errno if address == self.address else errno.EREMOTEIO
            raise OSError(number, "emulated bus error")

    def read_word_data(self, i2c_addr: int, register: int) -> int:
        """Two bytes, the first of which becomes the low one."""
        self._answer(i2c_addr)
        self._pointer = register
        value = self._get(register)
        return (value & 0xFF) << 8 | value >> 8

    def write_word_data(self, i2c_addr: int, register: int, value: int) -> None:
        """Two bytes, the low one first."""
        self._answer(i2c_addr)
        self._pointer = register
        self._set(register, (value & 0xFF) << 8 | value >> 8)

    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int) -> list[int]:
        """``length`` bytes from one register, which repeats."""
        self._answer(i2c_addr)
        self._pointer = register
        return self._bytes(length)

    def write_i2c_block_data(self, i2c_addr: int, register: int, data: list[int]) -> None:
        """Two bytes, the high one first."""
        self._answer(i2c_addr)
        self._pointer = register
        self._set(register, int.from_bytes(bytes(data[:2]), "big"))

    def i2c_rdwr(self, *i2c_msgs: Any) -> None:
        """Messages as ``smbus2.i2c_msg`` makes them: a write of a pointer (and a value), a read."""
        for message in i2c_msgs:
            self._answer(message.addr)
            if message.flags & 1:
                for index, byte in enumerate(self._bytes(message.len)):
                    message.buf[index] = bytes([byte])
                continue
            sent = list(message)
            self._pointer = sent[0]
            if len(sent) == 3:
                self._set(sent[0], sent[1] << 8 | sent[2])

    def _bytes(self, length: int) -> list[int]:
        return list((self._get(self._pointer).to_bytes(2, "big") * length)[:length])

    def close(self) -> None:
        """Nothing to let go of."""
