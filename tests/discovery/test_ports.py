"""What surrounds the sources: nodes with this user's rights, and names that cannot move the cursor."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from devices.sysfs import Sysfs

from energymeter.discovery.ports import device_nodes, serial_ports


def test_the_nodes_of_meters_and_no_others(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    for name in ("i2c-1", "i2c-10", "hidraw0", "ttyUSB0", "ttyS0", "ttyACM1", "rfcomm0", "vcio", "null"):
        sysfs.put(f"dev/{name}", "")
    sysfs.forbid("dev/hidraw0")
    assert device_nodes(sysfs.root) == [
        "/dev/hidraw0 readable" if _is_root() else "/dev/hidraw0 closed",
        "/dev/i2c-1 readable",
        "/dev/i2c-10 readable",
        "/dev/rfcomm0 readable",
        "/dev/ttyACM1 readable",
        "/dev/ttyUSB0 readable",
        "/dev/vcio readable",
    ]
    assert device_nodes(str(tmp_path / "nowhere")) == []


def _is_root() -> bool:
    import os

    return os.access("/sys/bus/cpu/uevent", os.R_OK)


def test_a_product_name_cannot_move_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    port = SimpleNamespace(device="/dev/ttyUSB0", vid=0x1A86, pid=0x7523, product="meter\x1b]0;mine\x07")
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: [port])
    (found,) = serial_ports()
    assert (found.usb_id, found.product) == ("1a86:7523", "meter\\x1b]0;mine\\x07")
