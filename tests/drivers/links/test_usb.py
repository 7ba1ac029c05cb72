"""USB devices by vendor and product, from an emulated /sys."""

from pathlib import Path

from devices.sysfs import Sysfs

from energymeter.drivers.links.usb import plugged

KM003C = (0x5FC9, 0x0063)


def test_only_the_wanted_ones(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    devices = "sys/bus/usb/devices"
    sysfs.fill(f"{devices}/1-1", {"idVendor": "1d6b", "idProduct": "0002"})
    sysfs.fill(f"{devices}/1-1.4", {"idVendor": "5fc9", "idProduct": "0063"})
    sysfs.fill(f"{devices}/1-1.4:1.0", {"bInterfaceClass": "03"})
    sysfs.fill(f"{devices}/2-1", {"idVendor": "5fc9", "idProduct": "0064"})
    sysfs.fill(f"{devices}/2-2", {"idVendor": "garbage", "idProduct": ""})
    assert plugged([KM003C], sysfs.root) == ["1-1.4"]
    assert plugged([], sysfs.root) == []


def test_a_machine_without_usb(tmp_path: Path) -> None:
    assert plugged([KM003C], str(tmp_path)) == []
