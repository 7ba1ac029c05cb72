"""USB: which devices are plugged in, and a pair of bulk endpoints, through ``pyusb`` and libusb-1.0."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterable
from typing import Any

from energymeter.drivers.links.serial import holder
from energymeter.drivers.links.wire import DeviceWire
from energymeter.errors import (
    ExtraMissing,
    SourceBusy,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    not_open,
)
from energymeter.paths import below, entries, peek

_PACKET = 4096
_WRITE_MS = 1000

Find = Callable[[int, int], Iterable[Any]]


def plugged(usb_ids: Iterable[tuple[int, int]], root: str = "/") -> list[str]:
    """The sysfs names of plugged-in devices with one of these (vendor, product) pairs."""
    folder = below(root, "sys/bus/usb/devices")
    wanted = {(f"{vendor:04x}", f"{product:04x}") for vendor, product in usb_ids}
    return [
        entry
        for entry in entries(folder)
        if tuple(peek(os.path.join(folder, entry, name)) for name in ("idVendor", "idProduct")) in wanted
    ]


class UsbBulk(DeviceWire):
    """Interface 0 of the first device with one of ``ids`` as a `Wire`; every `read` is one transfer.

    ``serial``: only the device with this serial number; after the first `open`, only that one again.
    ``find``: what lists ``usb.core.Device`` objects by VID and PID; pyusb's own unless given.
    """

    def __init__(
        self,
        ids: tuple[tuple[int, int], ...],
        serial: str = "",
        *,
        endpoint_out: int,
        endpoint_in: int,
        extra: str,
        find: Find | None = None,
    ) -> None:
        self.address = f"USB {serial}".rstrip()
        self.serial = serial
        self._ids = ids
        self._endpoints = (endpoint_out, endpoint_in)
        self._extra = extra
        self._find = find
        self._device: Any = None

    def open(self) -> None:
        """Find the device, take interface 0 from the kernel's driver if it has one, and claim it.

        Raises:
            ExtraMissing: pyusb is not installed.
            SourceMissing, SourceForbidden, SourceBusy: with the remedy.
        """
        self.close()
        find = self._find or _pyusb_find(self._extra)
        device = next((one for ids in self._ids for one in find(*ids) if self._fits(one)), None)
        if device is None:
            wanted = f" with serial number {self.serial}" if self.serial else ""
            ids = " or ".join(f"{vid:04x}:{pid:04x}" for vid, pid in self._ids)
            raise SourceMissing(f"no USB device {ids}{wanted}: plug it in, and look for it with: lsusb")
        try:
            with contextlib.suppress(NotImplementedError):  # not on every system
                if device.is_kernel_driver_active(0):
                    device.detach_kernel_driver(0)
            import usb.util  # type: ignore[import-untyped,import-not-found,unused-ignore]

            usb.util.claim_interface(device, 0)
            self.serial = device.serial_number or self.serial
        except OSError as error:  # USBError is one
            raise _open_error(device, self._ids, error) from error
        except ValueError as error:  # pyusb: the strings of a device that may not be opened
            raise _open_error(device, self._ids, OSError(errno.EACCES, str(error))) from error
        self._device = device

    def close(self) -> None:
        """Let it go and give it back to the kernel's driver; twice is fine."""
        device, self._device = self._device, None
        if device is not None:
            import usb.util  # type: ignore[import-untyped,import-not-found,unused-ignore]

            with contextlib.suppress(OSError, NotImplementedError):  # unplugged, or no driver wants it
                usb.util.dispose_resources(device)
                device.attach_kernel_driver(0)

    def _send(self, data: bytes) -> None:
        try:
            self._claimed().write(self._endpoints[0], data, _WRITE_MS)
        except OSError as error:
            if error.errno == errno.ETIMEDOUT:
                raise SourceTimeout(f"{self.address} takes no bytes: plug the meter in again") from error
            raise

    def _receive(self, seconds: float) -> bytes:
        milliseconds = max(1, round(seconds * 1000))  # libusb takes 0 ms as "wait without end"
        try:
            return bytes(self._claimed().read(self._endpoints[1], _PACKET, milliseconds))
        except OSError as error:
            if error.errno == errno.ETIMEDOUT:
                return b""
            raise

    def _claimed(self) -> Any:
        if self._device is None:
            raise not_open(self.address)
        return self._device

    def _fits(self, device: Any) -> bool:
        if not self.serial:
            return True
        try:
            return bool(device.serial_number == self.serial)
        except (OSError, ValueError):
            return False  # another device, which this user may not open


def _pyusb_find(extra: str) -> Find:
    try:
        import usb.core  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError as error:
        raise ExtraMissing("pyusb", extra, "a meter on a USB bulk endpoint") from error

    def find(vid: int, pid: int) -> list[Any]:
        try:
            return list(usb.core.find(find_all=True, idVendor=vid, idProduct=pid))
        except usb.core.NoBackendError as error:
            raise SourceMissing(
                "libusb-1.0 is not installed, and pyusb needs it: sudo apt install libusb-1.0-0"
            ) from error

    return find


def _open_error(device: Any, ids: tuple[tuple[int, int], ...], error: OSError) -> SourceError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return SourceForbidden(
            'the USB meter is not for this user: write SUBSYSTEM=="usb", '
            f'ATTR{{idVendor}}=="{ids[0][0]:04x}", TAG+="uaccess" into '
            "/etc/udev/rules.d/70-energymeter.rules, then plug it in again"
        )
    if error.errno in (errno.EBUSY, errno.EAGAIN):
        # where the kernel shows USB devices to programs: Documentation/driver-api/usb/usb.rst
        path = f"/dev/bus/usb/{device.bus:03d}/{device.address:03d}"
        return SourceBusy(f"the USB meter is held by {holder(path)}: close that program first")
    return SourceMissing(f"the USB meter did not open ({error.strerror or error}): plug it in again")
