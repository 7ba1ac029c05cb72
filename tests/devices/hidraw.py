"""A hidraw node and its sysfs entry under a directory: a pseudo-terminal passes the reports."""

import os
import tty
from pathlib import Path


class HidrawNode:
    """``dev/hidrawN`` and ``sys/class/hidraw/hidrawN/device/uevent`` under ``root``, as in Linux."""

    def __init__(self, root: Path, number: int, vid: int, pid: int, serial: str) -> None:
        name = f"hidraw{number}"
        self.sysfs = root / "sys"
        self.dev = root / "dev"
        entry = self.sysfs / "class" / "hidraw" / name / "device"
        entry.mkdir(parents=True)
        self.dev.mkdir(exist_ok=True)
        (entry / "uevent").write_text(
            f"DRIVER=hid-generic\nHID_ID=0003:{vid:08X}:{pid:08X}\nHID_NAME=FNIRSI FNB58\n"
            f"HID_PHYS=usb-0000:00:14.0-1/input3\nHID_UNIQ={serial}\nMODALIAS=hid:b0003g0001v{vid:08X}p{pid:08X}\n"
        )
        self.entry = entry
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = self.dev / name
        self.path.symlink_to(os.ttyname(self._slave))

    def say(self, report: bytes) -> None:
        os.write(self._master, report)

    def heard(self, size: int) -> bytes:
        """What the host wrote: the kernel sees a leading report id."""
        data = b""
        while len(data) < size:
            data += os.read(self._master, size - len(data))
        return data

    def unplug(self) -> None:
        os.close(self._master)
        os.close(self._slave)
        self.path.unlink()
        (self.entry / "uevent").unlink()
