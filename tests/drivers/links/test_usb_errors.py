"""A USB meter that does not open or answer: each error with its remedy, and how long is waited."""

import errno
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from energymeter.drivers.links import usb as link
from energymeter.drivers.links.usb import UsbBulk, _open_error
from energymeter.errors import (
    ExtraMissing,
    SourceBusy,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
)

IDS = ((0x05FC, 0x0063), (0x1234, 0x5678))


def test_the_rule_names_the_vendor() -> None:
    error = _open_error(None, ((0x05FC, 0x0063), (0x1234, 0x5678)), PermissionError(errno.EACCES, "denied"))
    assert isinstance(error, SourceForbidden)
    assert 'ATTR{idVendor}=="05fc", TAG+="uaccess"' in str(error)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (OSError(errno.EPERM, "x"), SourceForbidden, "the USB meter is not for this user: write SUBSYSTEM"),
        (OSError(errno.EACCES, "x"), SourceForbidden, "the USB meter is not for this user"),
        (
            OSError(errno.EBUSY, "x"),
            SourceBusy,
            "the USB meter is held by who has /dev/bus/usb/001/012: close",
        ),
        (OSError(errno.EAGAIN, "x"), SourceBusy, "the USB meter is held by who has /dev/bus/usb/001/012"),
        (
            OSError(errno.EIO, "broken"),
            SourceMissing,
            "the USB meter did not open (broken): plug it in again",
        ),
        (OSError("odd"), SourceMissing, "the USB meter did not open (odd): plug it in again"),
    ],
)
def test_why_it_did_not_open(
    error: OSError, kind: type[SourceError], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "holder", lambda path: f"who has {path}")
    found = _open_error(SimpleNamespace(bus=1, address=12), IDS, error)
    assert type(found) is kind
    assert str(found).startswith(said)


class Device:
    """A ``usb.core.Device`` in memory that says what was done to it."""

    def __init__(self, serial: str = "1", driver: bool | None = True) -> None:
        self.serial, self.driver = serial, driver
        self.done: list[Any] = []
        self.failure: Exception | None = None

    @property
    def serial_number(self) -> str:
        if isinstance(self.failure, ValueError):
            raise self.failure
        return self.serial

    def is_kernel_driver_active(self, interface: int) -> bool:
        assert interface == 0
        if self.driver is None:
            raise NotImplementedError
        return self.driver

    def detach_kernel_driver(self, interface: int) -> None:
        self.done.append(("detach", interface))

    def attach_kernel_driver(self, interface: int) -> None:
        self.done.append(("attach", interface))

    def write(self, endpoint: int, data: bytes, milliseconds: int) -> int:
        self.done.append(("write", endpoint, data, milliseconds))
        if self.failure:
            raise self.failure
        return len(data)

    def read(self, endpoint: int, size: int, milliseconds: int) -> bytearray:
        self.done.append(("read", endpoint, size, milliseconds))
        if self.failure:
            raise self.failure
        return bytearray(b"abc")


@pytest.fixture
def pyusb(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """pyusb, as far as the link uses it."""
    usb, util = ModuleType("usb"), ModuleType("usb.util")
    usb.util = util  # type: ignore[attr-defined]
    util.claim_interface = lambda device, number: device.done.append(("claim", number))  # type: ignore[attr-defined]
    util.dispose_resources = lambda device: device.done.append(("dispose",))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "usb", usb)
    monkeypatch.setitem(sys.modules, "usb.util", util)
    return usb


def bulk(*devices: Device, serial: str = "", asked: list[Any] | None = None) -> UsbBulk:
    def find(vid: int, pid: int) -> tuple[Device, ...]:
        if asked is not None:
            asked.append((vid, pid))
        return devices if (vid, pid) == IDS[1] else ()

    return UsbBulk(IDS, serial, endpoint_out=0x02, endpoint_in=0x83, extra="x", find=find)


@pytest.mark.usefixtures("pyusb")
@pytest.mark.parametrize(
    ("driver", "before", "after"),
    [(True, [("detach", 0), ("claim", 0)], [("dispose",), ("attach", 0)]), (False, [("claim", 0)], None),
     (None, [("claim", 0)], None)],
)  # fmt: skip
def test_it_is_taken_from_the_kernels_driver_and_given_back(
    driver: bool | None, before: list[Any], after: list[Any] | None
) -> None:
    asked: list[Any] = []
    device = Device(driver=driver)
    wire = bulk(device, asked=asked)
    assert wire.address == "USB"
    wire.open()
    assert asked == list(IDS), "in this order"
    assert device.done == before
    device.done.clear()
    wire.close()
    wire.close()
    assert device.done == [("dispose",), ("attach", 0)]


@pytest.mark.usefixtures("pyusb")
@pytest.mark.parametrize(
    ("seconds", "milliseconds"),
    [(0.0, 1), (0.0004, 1), (0.0016, 2), (0.25, 250), (1.0, 1000)],
)
def test_no_time_is_one_millisecond_and_not_without_end(seconds: float, milliseconds: int) -> None:
    device = Device()
    wire = bulk(device)
    wire.open()
    device.done.clear()
    assert wire.read(seconds) == b"abc"
    assert device.done == [("read", 0x83, 4096, milliseconds)]


@pytest.mark.usefixtures("pyusb")
def test_a_device_that_takes_nothing_is_waited_for_a_second() -> None:
    device = Device()
    wire = bulk(device, serial="1")
    wire.open()
    device.done.clear()
    device.failure = OSError(errno.ETIMEDOUT, "timed out")
    with pytest.raises(SourceTimeout, match=r"^USB 1 takes no bytes: plug the meter in again$"):
        wire.write(b"?")
    assert device.done == [("write", 0x02, b"?", 1000)]
    assert wire.read(0.1) == b""
    device.failure = OSError(errno.EIO, "broken")
    for question in (lambda: wire.write(b"?"), lambda: wire.read(0.1)):
        with pytest.raises(SourceMissing, match=r"^USB 1 went away \(broken\)"):
            question()
        wire.open()
    assert wire.moved_bytes == 0


@pytest.mark.usefixtures("pyusb")
def test_the_one_that_was_opened_is_the_one_that_is_opened_again() -> None:
    wire = bulk(Device("7"))
    wire.open()
    assert wire.serial == "7"
    others = bulk(Device("1"), Device("2"), serial="2")
    others.open()
    assert others.serial == "2"
    nameless = bulk(Device(""), serial="")
    nameless.open()
    assert nameless.serial == ""


@pytest.mark.usefixtures("pyusb")
def test_strings_that_may_not_be_read_are_those_of_a_forbidden_device() -> None:
    closed = Device("1")
    closed.failure = ValueError("The device has no langid")
    with pytest.raises(SourceForbidden, match="is not for this user"):
        bulk(closed).open()
    with pytest.raises(
        SourceMissing,
        match=r"^no USB device 05fc:0063 or 1234:5678 with serial number 1: plug it in, and look for it",
    ):
        bulk(closed, serial="1").open()


def test_without_pyusb_or_libusb_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usb.core", None)
    with pytest.raises(
        ExtraMissing, match=r"a meter on a USB bulk endpoint needs pyusb: .*edge-energymeter\[x\]"
    ):
        UsbBulk(IDS, endpoint_out=1, endpoint_in=2, extra="x").open()
    usb, core = ModuleType("usb"), ModuleType("usb.core")

    class NoBackendError(ValueError):
        pass

    def find(**wanted: object) -> object:
        assert wanted == {"find_all": True, "idVendor": 0x05FC, "idProduct": 0x0063}
        raise NoBackendError

    core.find, core.NoBackendError = find, NoBackendError  # type: ignore[attr-defined]
    usb.core = core  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "usb", usb)
    monkeypatch.setitem(sys.modules, "usb.core", core)
    with pytest.raises(SourceMissing, match=r"^libusb-1.0 is not installed, and pyusb needs it: sudo apt"):
        UsbBulk(IDS, endpoint_out=1, endpoint_in=2, extra="x").open()
