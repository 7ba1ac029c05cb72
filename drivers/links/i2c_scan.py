"""Which chips of the INA family answer on the header's bus, found out by reads alone.

Only buses that a person wires are searched: the header's of a known board, and USB adapters; the others of
a computer lead to memory modules, monitors and power stages. 0x40 is also the address of the PCA9685
servo driver, and an INA219 has no identity register: it is recognised by its reset configuration, or
by a running configuration with a plausible voltage; anything else is left for a person to name.

A read sends the register's number first, which a few chips take for a command: 0xFE resets an HTU21D or
Si7021 humidity sensor, which also sits at 0x40. So the identity is asked for only where the configuration
has the bits that are fixed in the chips that have it (INA226 SBOS547 7.6.2, INA260 SBOS656, INA3221 SBOS576,
INA228 SLYS021: configuration registers).
"""

from __future__ import annotations

import os

from energymeter.boards import detect_board
from energymeter.drivers.links.i2c import Chip, Wire
from energymeter.drivers.protocols.ina import DIES, TI
from energymeter.errors import SourceError, SourceMissing
from energymeter.lazy import TYPE_CHECKING
from energymeter.paths import below, entries, peek

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    OpenBus = Callable[[int, str], Wire]


ADDRESSES = range(0x40, 0x50)
_ADAPTERS = ("usb", "mcp2221", "cp2112", "ch341", "ft232h")
_RESET_CONFIG = 0x399F
_BUS_VOLTS = (2.5, 26.0)


def open_bus(bus: int, root: str) -> Wire:
    """``/dev/i2c-N``.

    Raises:
        SourceError: it cannot be opened, with the remedy.
    """
    return Chip(f"{bus}:0x{ADDRESSES[0]:02x}", root=root).open_bus()


def places_of(kind: str, root: str = "/", opened: OpenBus = open_bus) -> Iterator[str]:
    """Where chips of this kind answer, as ``bus:address``.

    Args:
        kind: the driver's name.
        root: where ``/dev``, ``/sys`` and ``/proc`` are looked up.
        opened: opens a bus by its number, for tests.

    Raises:
        SourceError: for ``ina219``, after the addresses: a bus is closed to us, or something answers that
            nobody can name but its owner.
    """
    strangers, closed = [], None
    for bus in buses(root):
        try:
            wire = opened(bus, root)
        except SourceError as error:
            closed = error
            continue
        try:
            for address, name in _answering(bus, wire):
                if name == kind:
                    yield f"{bus}:0x{address:02x}"
                elif name is None:
                    strangers.append(f"{bus}:0x{address:02x}")
        finally:
            wire.close()
    if kind != "ina219":
        return  # reported once for the family
    if strangers:
        raise SourceMissing(
            f"something answers at {', '.join(strangers)}; name it if it is an INA219: ina219@{strangers[0]}"
        )
    if closed is not None:
        raise closed


def buses(root: str) -> list[int]:
    """Numbers of the I²C buses that people wire meters to."""
    board = detect_board(root)
    found = set() if board is None or board.i2c_bus is None else {board.i2c_bus}
    adapters = below(root, "sys/bus/i2c/devices")
    for entry in entries(adapters):
        number = entry.removeprefix("i2c-")
        title = (peek(below(adapters, entry, "name")) or "").lower()
        if number != entry and number.isdecimal() and any(adapter in title for adapter in _ADAPTERS):
            found.add(int(number))
    return sorted(bus for bus in found if os.path.exists(os.path.join(root, f"dev/i2c-{bus}")))


def _answering(bus: int, wire: Wire) -> Iterator[tuple[int, str | None]]:
    """Addresses at which something answers, and which chip it is if that is clear."""
    for address in ADDRESSES:
        chip = Chip(f"{bus}:0x{address:02x}", wire)
        chip.open()
        config = _word(chip, 0)
        if config is not None:  # else nobody is there, or a kernel driver has it
            yield address, _name(chip, config)


def _name(chip: Chip, config: int) -> str | None:
    """Which chip it is, from its configuration on; None: that is not clear."""
    # INA228, 237, 238: reset and four low bits are 0. INA226: 100 on top, INA260: 110; INA3221: its channels
    no_reset = config & 0x8000 == 0
    for maker, fits in ((0x3E, config & 0xF == 0), (0xFE, config & 0x7000 != 0)):
        if no_reset and fits and _word(chip, maker) == TI:
            die = _word(chip, maker + 1)
            return None if die is None else DIES.get(die >> 4)
    bus = _word(chip, 2)
    low, high = _BUS_VOLTS
    # continuous conversion, no reserved bit set, a ready flag and a voltage that such a chip can see
    runs = (
        config & 0xC007 == 0x0007
        and bus is not None
        and bus & 0b110 == 0b010
        and low <= (bus >> 3) * 4e-3 <= high
    )
    return "ina219" if config == _RESET_CONFIG or runs else None


def _word(chip: Chip, register: int) -> int | None:
    """A register's content; None where there is no answer."""
    try:
        return chip.word(register)
    except SourceError:
        return None
