"""The HID link: 64-byte reports through ``/dev/hidraw*``, or through ``hidapi`` where the kernel shows none.

hidraw comes first because it needs no package and can be locked, so that a second process learns who
holds the meter. Devices are found by VID:PID in ``/sys/class/hidraw/*/device/uevent``
(``HID_ID=bus:vid:pid``, ``HID_UNIQ=serial number``; kernel ``drivers/hid/hid-core.c``), which opens nothing.
"""

import contextlib
import errno
import os
import select
from typing import Any, NamedTuple

from energymeter.drivers.links.serial import holder
from energymeter.drivers.links.wire import DeviceWire
from energymeter.errors import SourceBusy, SourceError, SourceForbidden, SourceMissing, not_open
from energymeter.paths import below, entries, peek

REPORT = 64


class HidNode(NamedTuple):
    """One HID device the kernel knows."""

    path: str
    """``/dev/hidraw0``."""
    usb_id: tuple[int, int]
    serial: str
    """Empty where the device has none."""


def find(ids: tuple[tuple[int, int], ...], sysfs: str = "/sys", dev: str = "/dev") -> list[HidNode]:
    """The devices with one of ``ids`` (VID, PID), by node name; nothing is opened."""
    root = below(sysfs, "class/hidraw")
    found = []
    for name in entries(root):
        text = peek(below(root, name, "device/uevent")) or ""
        facts = dict(line.partition("=")[::2] for line in text.splitlines())
        try:
            _, vid, pid = (int(part, 16) for part in facts["HID_ID"].split(":"))
        except (KeyError, ValueError):
            continue  # it was unplugged meanwhile, or is no HID device as the kernel writes them
        if (vid, pid) in ids:
            found.append(HidNode(f"{dev}/{name}", (vid, pid), facts.get("HID_UNIQ", "")))
    return found


class HidLine(DeviceWire):
    """One HID device as a `Wire`; every `read` is one report.

    ``address``: empty (the first with one of ``ids``), a ``/dev/hidraw`` path, or a serial number.
    After it was opened once, only the same serial number is accepted again.
    """

    def __init__(
        self, address: str, ids: tuple[tuple[int, int], ...], sysfs: str = "/sys", dev: str = "/dev"
    ) -> None:
        self.address = address or "USB"
        self.node: HidNode | None = None
        """What was opened."""
        self._address = address
        self._ids = ids
        self._roots = (sysfs, dev)
        self._handle: _Hidraw | _HidApi | None = None

    def open(self) -> None:
        """Find, open and lock the device.

        Raises:
            SourceMissing, SourceForbidden, SourceBusy: with the remedy.
        """
        self.close()
        nodes = [node for node in find(self._ids, *self._roots) if self._fits(node)]
        try:
            if nodes:
                self._handle, self.node = _Hidraw(nodes[0].path), nodes[0]
                return
            for node in _enumerate(self._ids):
                if self._fits(node):
                    self._handle, self.node = _HidApi(node.path), node
                    return
        except OSError as error:
            raise _open_error(self.address, nodes[0].path if nodes else self.address, error) from error
        wanted = f" with serial number {self.node.serial}" if self.node and self.node.serial else ""
        raise SourceMissing(
            f"no such HID meter{wanted} at {self.address}: plug it in, and look for it with: "
            "grep HID_ID /sys/class/hidraw/*/device/uevent"
        )

    def close(self) -> None:
        """Let it go; twice is fine."""
        if self._handle is not None:
            with contextlib.suppress(OSError):  # an unplugged device cannot be closed, and need not be
                self._handle.close()
            self._handle = None

    def _send(self, data: bytes) -> None:
        """Send one report; its id, which is 0, is added here."""
        self._open_handle().write(b"\0" + data)

    def _receive(self, seconds: float) -> bytes:
        return self._open_handle().read(seconds)

    def _open_handle(self) -> "_Hidraw | _HidApi":
        if self._handle is None:
            raise not_open(self.address)
        return self._handle

    def _fits(self, node: HidNode) -> bool:
        if self.node is not None and self.node.serial and node.serial != self.node.serial:
            return False
        return self._address in ("", node.path, node.serial)


class _Hidraw:
    def __init__(self, path: str) -> None:
        import fcntl

        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise

    def write(self, report: bytes) -> None:
        os.write(self._fd, report)

    def read(self, seconds: float) -> bytes:
        if not select.select([self._fd], [], [], seconds)[0]:
            return b""
        data = os.read(self._fd, REPORT)
        if not data:
            raise OSError(errno.ENODEV, "the device hung up")
        return data

    def close(self) -> None:
        os.close(self._fd)


class _HidApi:
    def __init__(self, path: str) -> None:
        import hid  # type: ignore[import-not-found,unused-ignore]

        self._device: Any = hid.device()
        self._device.open_path(path.encode())

    def write(self, report: bytes) -> None:
        if self._device.write(report) < 0:
            raise OSError(errno.EIO, self._device.error() or "write failed")

    def read(self, seconds: float) -> bytes:
        # hidapi takes 0 ms as "wait without end", and raises OSError when the device is gone
        return bytes(self._device.read(REPORT, max(1, round(seconds * 1000))))

    def close(self) -> None:
        self._device.close()


def _enumerate(ids: tuple[tuple[int, int], ...]) -> list[HidNode]:
    """What ``hidapi`` sees; nothing where it is not installed."""
    try:
        import hid
    except ImportError:
        return []
    return [
        HidNode(found["path"].decode(), (vid, pid), found["serial_number"] or "")
        for vid, pid in ids
        for found in hid.enumerate(vid, pid)
    ]


def _open_error(address: str, path: str, error: OSError) -> SourceError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return SourceForbidden(
            f'{path} is not for this user: write KERNEL=="hidraw*", TAG+="uaccess" into '
            "/etc/udev/rules.d/70-energymeter.rules, then plug the meter in again"
        )
    if error.errno in (errno.EBUSY, errno.EAGAIN):
        return SourceBusy(f"{path} is held by {holder(path)}: close that program first")
    return SourceMissing(f"{address} did not open ({error.strerror or error}): plug the meter in again")
