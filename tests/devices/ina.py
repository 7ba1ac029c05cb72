"""Emulated INA226, 260, 3221, 238 and 228: registers on a bus, after their datasheets.

Each converts shunt and bus of its channels in turn, as long as its configuration says, and averages. A
register that does not exist is not answered. Shared by all: pointer, byte order, identity, the ready
flag.
"""

import errno
from collections.abc import Callable, Sequence
from typing import Any

from devices.waves import Steps

_ALATCH = 1 << 15
_AVERAGES = (1, 4, 16, 64, 128, 256, 512, 1024)


class Device:
    """What the chips have in common; a subclass has its own registers."""

    reset_config = 0
    config_at = 0
    ready_at, ready_bit = 0, 0
    times_us: tuple[int, ...] = ()

    def __init__(
        self,
        loads: Sequence[Steps],
        clock_ns: Callable[[], int],
        shunts: Sequence[float],
        address: int = 0x40,
    ) -> None:
        self.loads, self.shunts, self.now, self.address = loads, shunts, clock_ns, address
        self.nacks = 0
        self.writes: list[tuple[int, int]] = []
        self.identity: dict[int, int] = {}
        self.oscillator = 1.0
        self.brown_out()

    def brown_out(self) -> None:
        self.configure(self.reset_config)

    def configure(self, value: int) -> None:
        self.config, self.began, self.taken = value, self.now(), 0

    def times(self) -> tuple[int, int, int]:
        """How many averages, and nanoseconds of one shunt and one bus conversion."""
        c = self.config
        return _AVERAGES[c >> 9 & 7], self.times_us[c >> 3 & 7] * 1000, self.times_us[c >> 6 & 7] * 1000

    def enabled(self) -> list[int]:
        return [0]

    def cycle(self) -> int:
        count, look, bus = self.times()
        return count * len(self.enabled()) * (look + bus)

    def done(self) -> int:
        return (self.now() - self.began) // self.cycle()

    def end(self) -> int:
        """When the latest results were ready."""
        return self.began + self.done() * self.cycle()

    def shunt_volts(self, channel: int = 0) -> float:
        """Mean over the shunt conversions of the latest cycle."""
        if not self.done():
            return 0.0
        count, look, bus = self.times()
        position = self.enabled().index(channel)
        pair, start, coulombs = look + bus, self.end() - self.cycle(), 0.0
        for i in range(count):
            at = start + (i * len(self.enabled()) + position) * pair
            coulombs += self.loads[channel].charge(at + look) - self.loads[channel].charge(at)
        return coulombs * 1e9 / (count * look) * self.shunts[channel]

    def bus_volts(self, channel: int = 0) -> float:
        return self.loads[channel].volts(self.end()) if self.done() else 0.0

    def read(self, register: int) -> tuple[int, int]:
        """Value and size in bytes."""
        if register in self.identity:
            return self.identity[register], 2
        if register == self.config_at:
            return self.config, 2
        if register == self.ready_at:
            fresh = self.done() > self.taken
            self.taken = self.done()
            return fresh << self.ready_bit, 2
        raise OSError(errno.EREMOTEIO, f"no register 0x{register:02x}")

    def write(self, register: int, value: int) -> None:
        if register != self.config_at:
            raise OSError(errno.EREMOTEIO, f"register 0x{register:02x} cannot be written")
        self.configure(value)

    # The bus.

    def _answer(self, address: int) -> None:
        if self.nacks or address != self.address:
            self.nacks = max(0, self.nacks - 1)
            raise OSError(errno.EREMOTEIO, "no acknowledge")

    def _bytes(self, register: int) -> bytes:
        value, size = self.read(register)
        return (value % (1 << 8 * size)).to_bytes(size, "big")

    def read_word_data(self, i2c_addr: int, register: int) -> int:
        self._answer(i2c_addr)
        return int.from_bytes(self._bytes(register)[:2], "little")

    def write_word_data(self, i2c_addr: int, register: int, value: int) -> None:
        self._answer(i2c_addr)
        word = int.from_bytes(value.to_bytes(2, "little"), "big")
        self.writes.append((register, word))
        self.write(register, word)

    def i2c_rdwr(self, *i2c_msgs: Any) -> None:
        pointer, answer = i2c_msgs
        self._answer(pointer.addr)
        assert (pointer.flags, pointer.len, answer.flags) == (0, 1, 1)
        data = self._bytes(bytes(pointer)[0])
        assert answer.len == len(data), "a register is read as a whole"
        for index, byte in enumerate(data):
            answer.buf[index] = bytes([byte])

    def close(self) -> None:
        pass


def saturate(value: float, bits: int) -> int:
    """A two's complement converter's output."""
    return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, round(value)))


class Ina226(Device):
    reset_config, ready_at, ready_bit = 0x4127, 6, 3
    times_us = (140, 204, 332, 588, 1100, 2116, 4156, 8244)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.identity = {0xFE: 0x5449, 0xFF: 0x2260}

    def read(self, register: int) -> tuple[int, int]:
        if register == 1:
            return saturate(self.shunt_volts() / 2.5e-6, 16), 2
        if register == 2:
            return round(self.bus_volts() / 1.25e-3), 2
        return super().read(register)


class Ina260(Ina226):
    """The shunt of 2 mΩ is inside; register 1 is amps."""

    reset_config = 0x6127

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.identity = {0xFE: 0x5449, 0xFF: 0x2270}

    def read(self, register: int) -> tuple[int, int]:
        if register == 1:
            amps = self.shunt_volts() / self.shunts[0]
            return max(-12000, min(12000, round(amps / 1.25e-3))), 2
        return super().read(register)


class Ina3221(Device):
    reset_config, ready_at, ready_bit = 0x7127, 0x0F, 0
    times_us = (140, 204, 332, 588, 1100, 2116, 4156, 8244)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.identity = {0xFE: 0x5449, 0xFF: 0x3220}

    def enabled(self) -> list[int]:
        return [channel for channel in range(3) if self.config & 0x4000 >> channel]

    def read(self, register: int) -> tuple[int, int]:
        if 1 <= register <= 6:
            channel = (register - 1) // 2
            if channel not in self.enabled():
                return 0, 2
            if register % 2:
                return saturate(self.shunt_volts(channel) / 40e-6, 13) << 3, 2
            return saturate(self.bus_volts(channel) / 8e-3, 13) << 3, 2
        return super().read(register)


class Ina238(Device):
    reset_config, config_at, ready_at, ready_bit = 0xFB68, 1, 0x0B, 1
    times_us = (50, 84, 150, 280, 540, 1052, 2074, 4120)
    wide, bits, shift, size, bus_step = 5e-6, 16, 0, 2, 3.125e-3

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.identity = {0x3E: 0x5449, 0x3F: 0x2381}

    def brown_out(self) -> None:
        self.range, self.alert = 0, 0x0001
        super().brown_out()

    def times(self) -> tuple[int, int, int]:
        c = self.config
        return _AVERAGES[c & 7], self.times_us[c >> 6 & 7] * 1000, self.times_us[c >> 9 & 7] * 1000

    def step(self) -> float:
        return self.wide / 4 if self.range & 0x10 else self.wide

    def read(self, register: int) -> tuple[int, int]:
        if register == 0:
            return self.range, 2
        if register == self.ready_at:
            flags, size = super().read(register)
            # unlatched, the flag is gone again before anybody looks (TI E2E thread 1391284)
            return self.alert | (flags if self.alert & _ALATCH else 0), size
        if register == 4:
            return saturate(self.shunt_volts() / self.step(), self.bits) << self.shift, self.size
        if register == 5:
            return saturate(self.bus_volts() / self.bus_step, self.bits) << self.shift, self.size
        return super().read(register)

    def write(self, register: int, value: int) -> None:
        if register == 0:
            assert value & ~0x10 == 0
            self.range = value
        elif register == self.ready_at:
            self.alert = value & 0xF000 | 0x0001
        else:
            super().write(register, value)


class Ina228(Ina238):
    """Counters run while converting; their steps follow from the calibration register, as on the chip."""

    wide, bits, shift, size, bus_step = 312.5e-9, 20, 4, 3, 195.3125e-6

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.identity = {0x3E: 0x5449, 0x3F: 0x2281}

    def brown_out(self) -> None:
        self.calibration = 0x1000
        self.counting_since = self.now()
        self.preset = {9: 0, 10: 0}
        super().brown_out()

    def amps_step(self) -> float:
        return self.calibration / (13107.2e6 * self.shunts[0] * (4 if self.range & 0x10 else 1))

    def read(self, register: int) -> tuple[int, int]:
        if register == 2:
            return self.calibration, 2
        if register in (9, 10):
            load = self.loads[0]
            coulombs = (load.charge(self.end()) - load.charge(self.counting_since)) * self.oscillator
            if register == 10:
                return self.preset[10] + round(coulombs / self.amps_step()), 5
            joules = abs(coulombs) * load.volts(0)
            return self.preset[9] + round(joules / (16 * 3.2 * self.amps_step())), 5
        return super().read(register)

    def write(self, register: int, value: int) -> None:
        if register == 2:
            self.calibration = value & 0x7FFF
        else:
            super().write(register, value)
