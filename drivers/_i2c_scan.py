"""Link helper: which chips of the INA family answer on the header's bus, told by reads alone.

Only buses that a person wires are looked at: the header's of a known board, and USB adapters; the others of
a computer lead to memory modules, monitors and power stages. 0x40 is also the address of the PCA9685
servo driver, and an INA219 has no identity register: it is recognised by its reset configuration, or
by a running configuration with a plausible voltage; anything else is left for a person to name.
"""

import os
import re
from collections.abc import Callable

from energymeter.boards import detect_board
from energymeter.drivers._i2c import Chip, Wire
from energymeter.drivers._ina import DIES, TI
from energymeter.errors import SourceError, SourceMissing

ADDRESSES = range(0x40, 0x50)
_ADAPTERS = re.compile(r"usb|mcp2221|cp2112|ch341|ft232h", re.IGNORECASE)
_RESET_CONFIG = 0x399F
_BUS_VOLTS = (2.5, 26.0)


def places_of(kind: str, root: str = "/", wire: Callable[[int], Wire | None] = lambda _: None) -> list[str]:
    """Where chips of this kind answer, as ``bus:address``.

    Args:
        kind: the driver's name.
        root: where ``/dev``, ``/sys`` and ``/proc`` are looked up.
        wire: an open bus by its number, for tests.

    Raises:
        SourceMissing: for ``ina219``: something answers that nobody can name but its owner.
    """
    answering = [
        (f"{bus}:0x{at:02x}", who) for bus in buses(root) for at, who in _answering(bus, root, wire(bus))
    ]
    places = [place for place, who in answering if who == kind]
    strangers = [place for place, who in answering if who is None]
    if kind == "ina219" and strangers and not places:
        raise SourceMissing(
            f"something answers at {', '.join(strangers)}; name it if it is an INA219: ina219@{strangers[0]}"
        )
    return places


def buses(root: str) -> list[int]:
    """Numbers of the I²C buses that people wire meters to."""
    board = detect_board(root)
    found = set() if board is None or board.i2c_bus is None else {board.i2c_bus}
    adapters = os.path.join(root, "sys/bus/i2c/devices")
    for entry in os.listdir(adapters) if os.path.isdir(adapters) else ():
        if match := re.fullmatch(r"i2c-(\d+)", entry):
            with open(os.path.join(adapters, entry, "name"), encoding="utf-8", errors="replace") as file:
                if _ADAPTERS.search(file.read()):
                    found.add(int(match[1]))
    return sorted(bus for bus in found if os.path.exists(os.path.join(root, f"dev/i2c-{bus}")))


def _answering(bus: int, root: str, wire: Wire | None) -> list[tuple[int, str | None]]:
    """Addresses at which something answers, and which chip it is if it can be told."""
    found = []
    for address in ADDRESSES:
        chip = Chip(f"{bus}:0x{address:02x}", wire, root)
        try:
            chip.open()
            found.append((address, _name(chip)))
        except SourceError:
            continue  # nobody there, or a kernel driver or another process has it
        finally:
            chip.close()
    return found


def _name(chip: Chip) -> str | None:
    config = chip.word(0)
    for register in (0xFE, 0x3E):
        if chip.word(register) == TI:
            return DIES.get(chip.word(register + 1) >> 4)
    bus = chip.word(2)
    low, high = _BUS_VOLTS
    # continuous conversion, no reserved bit set, a ready flag and a voltage that such a chip can see
    runs = config & 0xC007 == 0x0007 and bus & 0b110 == 0b010 and low <= (bus >> 3) * 4e-3 <= high
    return "ina219" if config == _RESET_CONFIG or runs else None
