"""Serial and HID meters as true ttyACM0, ttyUSB0 and hidraw0: read, unplugged, held, forbidden."""

import os
import subprocess
import sys
import time

import pytest
from devices.um import UmDevice

from energymeter import EnergyMeter
from energymeter.drivers.links.hid import find
from energymeter.errors import SourceBusy, SourceForbidden

from .conftest import as_nobody
from .i2c_bus import Plug, nodes, until
from .usb_devices import AcmPort, FnirsiHid, FtdiPort
from .usbip import Plugged

PORTS = {"ttyACM": AcmPort, "ttyUSB": FtdiPort}
each_port = pytest.mark.parametrize("node", PORTS)


def node_of(pattern: str) -> str:
    return str(until(lambda: nodes(pattern), f"/dev/{pattern}*")[0])


def serial_meter(plug: Plug, node: str) -> tuple[Plugged, str]:
    plugged = plug(PORTS[node](UmDevice(volts=5.0, amps=0.5)))
    return plugged, node_of(node)


@each_port
def test_a_serial_meter(plug: Plug, node: str) -> None:
    _, path = serial_meter(plug, node)
    with EnergyMeter(f"um25c@{path}", rate_hz=2) as meter:
        time.sleep(3.0)
    assert meter.usage.mean_watts == pytest.approx(2.5, rel=0.001)
    assert meter.usage.coverage > 0.2


@each_port
def test_a_serial_meter_unplugged_and_plugged_in_again(plug: Plug, node: str) -> None:
    plugged, path = serial_meter(plug, node)
    with EnergyMeter(f"um25c@{path}", rate_hz=2) as meter:
        time.sleep(2.0)
        plugged.unplug()
        until(lambda: not os.path.exists(path), "vanished node")
        time.sleep(1.5)
        serial_meter(plug, node)
        time.sleep(6.0)
    usage = meter.usage
    assert usage.joules == pytest.approx(2.5 * usage.seconds * usage.coverage, rel=0.001)
    assert 0.05 < usage.coverage < 0.95
    assert meter.trace.time_s[-1] > 6.0, "it was found again"


HOLDER = """
import serial, sys, time
port = serial.Serial(sys.argv[1], exclusive=True)
print("held", flush=True)
time.sleep(120)
"""


@each_port
def test_a_serial_meter_held_by_another_process(plug: Plug, node: str) -> None:
    _, path = serial_meter(plug, node)
    other = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(SourceBusy, match=f"process {other.pid}"), EnergyMeter(f"um25c@{path}"):
            pass
    finally:
        other.kill()
        other.wait()


def test_a_serial_port_that_is_not_ours(plug: Plug) -> None:
    _, path = serial_meter(plug, "ttyACM")
    os.chmod(path, 0o600)
    assert as_nobody(f"um25c@{path}").startswith("SourceForbidden")


def test_a_hid_meter(plug: Plug) -> None:
    plug(FnirsiHid(volts=5.0, amps=0.5))
    path = node_of("hidraw")
    with EnergyMeter(f"fnirsi@{path}") as meter:
        time.sleep(4.0)
    usage = meter.usage
    assert usage.mean_watts == pytest.approx(2.5, rel=1e-6)
    assert usage.coverage > 0.2
    assert usage.overhead is not None


def test_a_hid_meter_is_found_by_what_it_is(plug: Plug) -> None:
    plug(FnirsiHid(volts=5.0, amps=0.5))
    node_of("hidraw")
    with EnergyMeter("fnirsi") as meter:
        time.sleep(1.0)
    assert meter.usage.mean_watts == pytest.approx(2.5, rel=1e-6)


def test_a_hid_meter_unplugged_and_plugged_in_again(plug: Plug) -> None:
    plugged = plug(FnirsiHid(volts=5.0, amps=0.5))
    node_of("hidraw")
    with EnergyMeter("fnirsi") as meter:
        time.sleep(2.0)
        plugged.unplug()
        time.sleep(1.5)
        plug(FnirsiHid(volts=5.0, amps=0.5))
        time.sleep(6.0)
    usage = meter.usage
    assert usage.joules == pytest.approx(2.5 * usage.seconds * usage.coverage, rel=0.001)
    assert 0.05 < usage.coverage < 0.95
    assert meter.trace.time_s[-1] > 6.0, "it was found again"


def test_a_hid_meter_is_one_process_s(plug: Plug) -> None:
    plug(FnirsiHid(volts=5.0, amps=0.5))
    node_of("hidraw")
    held = pytest.raises(SourceBusy, match="is held by process")
    with EnergyMeter("fnirsi"), held, EnergyMeter("fnirsi"):
        pass


def test_a_hid_meter_that_is_not_ours(plug: Plug) -> None:
    plug(FnirsiHid(volts=5.0, amps=0.5))
    os.chmod(node_of("hidraw"), 0o600)
    said = as_nobody("fnirsi")
    assert said.startswith(SourceForbidden.__name__)
    assert "udev" in said


def test_a_hid_meter_through_hidapi(plug: Plug) -> None:
    """As where the kernel shows no hidraw: hidapi opens it through libusb, in the sampling process."""
    pytest.importorskip("hid", reason="hidapi is not installed here")
    plug(FnirsiHid(volts=5.0, amps=0.5))
    node_of("hidraw")
    with EnergyMeter("fnirsi?sysfs=/nowhere") as meter:
        time.sleep(3.0)
    assert meter.usage.mean_watts == pytest.approx(2.5, rel=1e-6)
    assert meter.usage.coverage > 0.2


def test_hidapi_sees_the_same_device_as_we_do(plug: Plug) -> None:
    hidraw = pytest.importorskip("hidraw", reason="hidapi is not installed here")
    plug(FnirsiHid(volts=5.0, amps=0.5))
    path = node_of("hidraw")
    (theirs,) = hidraw.enumerate(0x2E3C, 0x5558)
    (ours,) = find(((0x2E3C, 0x5558),))
    assert (theirs["path"].decode(), theirs["serial_number"]) == (path, "SN58") == (ours.path, ours.serial)
