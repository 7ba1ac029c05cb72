"""The last choice of a source, kept in the user's cache until the machine or its devices change."""

import contextlib
import json
import os
import sys
from collections.abc import Collection, Iterable

from energymeter.discovery.ports import device_nodes, rights
from energymeter.paths import below, entries, peek, replace_file, user_folder

_DEVICE_FOLDERS = (
    "sys/bus/usb/devices",
    "sys/class/powercap",
    "sys/class/hwmon",
    "sys/class/power_supply",
    "sys/bus/iio/devices",
)
MOST_BYTES = 1_000_000
_MOST_SIGNS = 100


def remember(choice: list[object], signs: Collection[str]) -> None:
    """Keep a choice until this machine is started again or a device comes or goes.

    Args:
        choice: its fields, as JSON types.
        signs: further files by which one sees a source come or go.
    """
    path = _path()
    kept = {"choice": choice, "signs": sorted(signs), "fingerprint": fingerprint(signs)}
    with contextlib.suppress(OSError):  # a read-only home: the sources are probed again next time
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        replace_file(path, json.dumps(kept))


def recall() -> object:
    """The fields that were kept, or ``None`` if there are none or something has changed."""
    try:
        descriptor = os.open(_path(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():  # in a shared folder anybody could choose
                return None
            kept = json.loads(file.read(MOST_BYTES))
        signs = [str(sign) for sign in kept["signs"]][:_MOST_SIGNS]
        return kept["choice"] if kept["fingerprint"] == fingerprint(signs) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def forget() -> None:
    """Remove what was kept, so that the sources are probed again."""
    with contextlib.suppress(OSError):
        os.unlink(_path())


def _path() -> str:
    return os.path.join(user_folder("cache"), "choice.json")


def fingerprint(signs: Iterable[str] = (), root: str = "/", path: Iterable[str] = sys.path) -> list[str]:
    """What changes if a device is plugged in or out, a right is given, or a package is installed.

    A chip that is wired to a bus that exists already changes nothing here: `energymeter devices` finds it.
    """
    who = map(str, (os.getuid(), *sorted(os.getgroups())))
    here = [peek(below(root, "proc/sys/kernel/random/boot_id")) or "", *who]
    for folder in _DEVICE_FOLDERS:
        here += [f"{folder}/{name}" for name in entries(below(root, folder))]
    zones = [f"{zone}/energy_uj" for zone in here if zone.startswith("sys/class/powercap/")]
    here += device_nodes(root)
    here += [f"{file} {rights(below(root, file.lstrip('/')))}" for file in (*zones, *sorted(signs))]
    supplies = [name for name in here if name.startswith("sys/class/power_supply/")]
    here += [
        f"{supply} {peek(below(root, supply, key))}" for supply in supplies for key in ("status", "online")
    ]
    for entry in path:
        if entry.endswith("-packages"):
            with contextlib.suppress(OSError):
                here.append(f"{entry} {os.stat(entry).st_mtime_ns}")
    return here
