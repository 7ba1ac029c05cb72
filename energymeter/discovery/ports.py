"""Device nodes, serial ports, packages that shadow this one, wiring for a board without a sensor."""

import os
import re
from typing import NamedTuple

from energymeter.boards import Board
from energymeter.errors import SourceMissing
from energymeter.paths import below, entries
from energymeter.text import printable

DISTRIBUTION = "edge-energymeter"

_METERS = re.compile(r"i2c-\d+|hidraw\d+|tty(USB|ACM)\d+|rfcomm\d+|nvidia\d+|vcio|dri")

NOT_SUPPORTED = {
    "amdsmi": (
        "AMD GPUs through amdsmi: not supported yet; where the kernel's amdgpu driver shows power, "
        "use hwmon@amdgpu"
    ),
    "apple": (
        "Apple chips (powermetrics, IOReport): not supported yet; powermetrics needs root and IOReport is "
        "a private interface; use a USB-C meter"
    ),
}


class Port(NamedTuple):
    """A serial port that may have a meter; nothing is sent to it."""

    path: str
    usb_id: str
    """As in ``1a86:7523``; empty if it is not a USB device."""
    product: str


def rights(path: str) -> str:
    """``readable`` to this user, ``closed`` or ``absent``."""
    return "readable" if os.access(path, os.R_OK) else "closed" if os.path.lexists(path) else "absent"


def device_nodes(root: str = "/") -> list[str]:
    """The nodes in ``/dev`` behind which a meter may be, each with this user's rights."""
    folder = below(root, "dev")
    names = [name for name in entries(folder) if _METERS.fullmatch(name)]
    return [f"/dev/{name} {rights(below(folder, name))}" for name in names]


def serial_ports() -> list[Port]:
    """USB and Bluetooth serial ports; those on the board itself are left out.

    Raises:
        SourceMissing: pyserial, which lists them, is not installed.
    """
    try:
        from serial.tools.list_ports import comports
    except ImportError as error:
        raise SourceMissing("serial ports cannot be listed without pyserial: pip install pyserial") from error

    return [
        Port(port.device, f"{port.vid:04x}:{port.pid:04x}" if port.vid else "", printable(port.product or ""))
        for port in sorted(comports())
        if port.vid or "rfcomm" in port.device
    ]


def foreign_packages() -> list[str]:
    """Other distributions on this Python with a module ``energymeter``; PyPI has two."""
    import importlib.metadata  # 20 ms that a choice need not pay

    owners = importlib.metadata.packages_distributions().get("energymeter", [])
    return sorted({owner for owner in owners if owner.lower().replace("_", "-") != DISTRIBUTION})


def how_to_wire(board: Board) -> list[str]:
    """How to wire a sensor to a board, in a few lines; no lines for a board that has one."""
    if board.sensor_rails:
        return []
    if board.i2c_bus is None:
        return ["no current sensor on this board; use a USB meter"]
    return [
        "no current sensor on this board; wire an INA219 like this, or use a USB meter:",
        "  VCC to pin 1 (3.3 V), GND to pin 6",
        f"  SDA to pin 3, SCL to pin 5 (I²C bus {board.i2c_bus}, which must be enabled)",
        "  VIN+ to the supply's plus, VIN- to the board's plus (cut the plus wire of its cable)",
        f"  the minus wire stays whole; then: energymeter log ina219@{board.i2c_bus}:0x40",
    ]
