"""The last choice of a source, kept in the user's cache until the machine or its devices change."""

import contextlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Collection, Iterable

from energymeter.paths import user_folder

_METERS = re.compile(r"i2c-\d|hidraw\d|tty(USB|ACM)\d|rfcomm\d|nvidia\d|vcio$")
_DEVICE_FOLDERS = (
    "/sys/bus/usb/devices",
    "/sys/class/powercap",
    "/sys/class/hwmon",
    "/sys/class/power_supply",
    "/sys/bus/iio/devices",
)
_MOST_BYTES = 1_000_000
_MOST_SIGNS = 100


def remember(choice: list[object], signs: Collection[str]) -> None:
    """Keep a choice until this machine is started again or a device comes or goes.

    Args:
        choice: its fields, as JSON types.
        signs: further files by which one sees a source come or go.
    """
    path = _path()
    kept = {"choice": choice, "signs": sorted(signs), "fingerprint": fingerprint(signs)}
    unfinished = ""
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        # a new file with a name that nobody can foresee: no link that lies there is followed
        descriptor, unfinished = tempfile.mkstemp(prefix="choice.", dir=os.path.dirname(path))
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(kept, file)
        os.replace(unfinished, path)
    except OSError:  # a read-only home: the sources are probed again next time
        with contextlib.suppress(OSError):
            os.unlink(unfinished)


def recall() -> object:
    """The fields that were kept, or ``None`` if there are none or something has changed."""
    try:
        descriptor = os.open(_path(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():  # in a shared folder anybody could choose
                return None
            kept = json.loads(file.read(_MOST_BYTES))
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
    rights = (os.getuid(), *sorted(os.getgroups()))
    here = [_text(root, "/proc/sys/kernel/random/boot_id"), *map(str, rights)]
    for folder in _DEVICE_FOLDERS:
        here += [f"{folder}/{name}" for name in _names(root, folder)]
    nodes = [f"/dev/{name}" for name in _names(root, "/dev") if _METERS.match(name)]
    zones = [f"{zone}/energy_uj" for zone in here if zone.startswith("/sys/class/powercap/")]
    here += [f"{file} {_access(root, file)}" for file in (*nodes, *zones, *sorted(signs))]
    supplies = [name for name in here if name.startswith("/sys/class/power_supply/")]
    here += [f"{supply} {_text(root, f'{supply}/status')}" for supply in supplies]
    for entry in path:
        if entry.endswith("-packages"):
            with contextlib.suppress(OSError):
                here.append(f"{entry} {os.stat(entry).st_mtime_ns}")
    return here


def _text(root: str, path: str) -> str:
    try:
        with open(os.path.join(root, path[1:]), encoding="utf-8", errors="replace") as file:
            return file.read(256).strip()
    except OSError:
        return ""


def _names(root: str, folder: str) -> list[str]:
    try:
        return sorted(os.listdir(os.path.join(root, folder[1:])))
    except OSError:
        return []


def _access(root: str, path: str) -> str:
    here = os.path.join(root, path.lstrip("/"))
    return "r" if os.access(here, os.R_OK) else "closed" if os.path.lexists(here) else "absent"
