"""A bus with chips on it that may only be read: whoever writes a register, or asks what would harm, fails."""

import errno
from collections.abc import Mapping
from typing import Any


class Registers:
    """A chip by its register contents; ``harmful`` numbers are commands to it, and reading them acts."""

    def __init__(
        self, words: Mapping[int, int], *, other: int | None = None, harmful: tuple[int, ...] = ()
    ) -> None:
        self.words = words
        self.other = other
        self.harmful = harmful

    def read(self, register: int) -> int:
        assert register not in self.harmful, f"asking for 0x{register:02x} does something to this chip"
        word = self.words.get(register, self.other)
        if word is None:
            raise OSError(errno.EREMOTEIO, "no acknowledge")
        return word


class ReadOnlyBus:
    """Chips by address; ``busy`` ones belong to a kernel driver."""

    def __init__(self, chips: Mapping[int, Registers], busy: tuple[int, ...] = ()) -> None:
        self.chips = chips
        self.busy = busy
        self.asked: list[tuple[int, int]] = []
        self.closed = 0

    def read_word_data(self, i2c_addr: int, register: int) -> int:
        if i2c_addr in self.busy:
            raise OSError(errno.EBUSY, "a kernel driver has it")
        if i2c_addr not in self.chips:
            raise OSError(errno.EREMOTEIO, "no acknowledge")
        self.asked.append((i2c_addr, register))
        word = self.chips[i2c_addr].read(register)
        return (word & 0xFF) << 8 | word >> 8  # SMBus words come low byte first

    def write_word_data(self, i2c_addr: int, register: int, value: int) -> None:
        raise AssertionError(f"0x{value:04x} was written to 0x{i2c_addr:02x} while looking")

    def i2c_rdwr(self, *_: Any) -> None:
        raise AssertionError("a plain transfer was made while looking")

    def close(self) -> None:
        self.closed += 1
