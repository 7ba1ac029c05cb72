"""Link helper: which USB devices are plugged in, by vendor and product, from what the kernel shows."""

import os
from collections.abc import Iterable


def plugged(usb_ids: Iterable[tuple[int, int]], root: str = "/") -> list[str]:
    """The sysfs names of plugged-in devices with one of these (vendor, product) pairs."""
    folder = os.path.join(root, "sys/bus/usb/devices")
    wanted, found = set(usb_ids), []
    for entry in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        try:
            pair = tuple(_hex(os.path.join(folder, entry, name)) for name in ("idVendor", "idProduct"))
        except (OSError, ValueError):
            continue  # an interface, a hub's port
        if pair in wanted:
            found.append(entry)
    return found


def _hex(path: str) -> int:
    with open(path, encoding="ascii") as file:
        return int(file.read(), 16)
