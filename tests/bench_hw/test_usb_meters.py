"""Serial and HID meters as true ttyACM0, ttyUSB0 and hidraw0: read, unplugged, held, forbidden."""

import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from devices.um import UmDevice

from energymeter import EnergyMeter
from energymeter.errors import SourceBusy, SourceForbidden

from .conftest import nodes, opened, until
from .usb_devices import AcmPort, FnirsiHid, FtdiPort
from .usbip import Device, Plugged

Plug = Callable[[Device], Plugged]
PORTS = {"ttyACM": AcmPort, "ttyUSB": FtdiPort}
each_port = pytest.mark.parametrize("node", PORTS)


def node_of(pattern: str) -> str:
    return str(until(lambda: nodes(pattern), f"/dev/{pattern}*")[0])


def serial_meter(plug: Plug, node: str) -> tuple[Plugged, str]:
    plugged = plug(PORTS[node](UmDevice(volts=5.0, amps=0.5)))
    return plugged, node_of(node)


@each_port
def test_a_serial_meter(plug: Plug, node: str, rate: Callable[[str, float], None]) -> None:
    _, path = serial_meter(plug, node)
    with EnergyMeter(f"um25c@{path}", rate_hz=5) as meter:
        time.sleep(3.0)
    assert meter.usage.mean_watts == pytest.approx(2.5, rel=0.001)
    assert meter.usage.coverage > 0.2
    source = opened(f"um25c@{path}")
    reads, began = 0, time.monotonic()
    while time.monotonic() - began < 2:
        source.read()
        reads += 1
    source.close()
    rate(f"um25c ({node})", reads / 2)


@each_port
def test_a_serial_meter_unplugged_and_plugged_in_again(plug: Plug, node: str) -> None:
    plugged, path = serial_meter(plug, node)
    with EnergyMeter(f"um25c@{path}", rate_hz=5) as meter:
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
        with pytest.raises(SourceBusy, match=f"process {other.pid}"):
            EnergyMeter(f"um25c@{path}").__enter__()
    finally:
        other.kill()
        other.wait()


def as_nobody(spec: str) -> str:
    """What a user without rights is told; in this process's child, since modules are root's to read."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        try:
            opened(spec)
            text = "opened"
        except BaseException as error:  # noqa: BLE001 - told to the parent
            text = f"{type(error).__name__}: {error}"
        os.write(write, text.encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as pipe:
        return pipe.read()


def test_a_serial_port_that_is_not_ours(plug: Plug) -> None:
    _, path = serial_meter(plug, "ttyACM")
    os.chmod(path, 0o600)
    assert as_nobody(f"um25c@{path}").startswith("SourceForbidden")


def test_a_hid_meter(plug: Plug, rate: Callable[[str, float], None]) -> None:
    plug(FnirsiHid(volts=5.0, amps=0.5))
    path = node_of("hidraw")
    with EnergyMeter(f"fnirsi@{path}") as meter:
        time.sleep(4.0)
    usage = meter.usage
    assert usage.mean_watts == pytest.approx(2.5, rel=1e-6)
    assert usage.coverage > 0.2
    assert usage.cost is not None
    rate("fnirsi (hidraw)", len(meter.trace.time_s) / usage.seconds)


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
    with EnergyMeter("fnirsi"), pytest.raises(SourceBusy, match="is held by process"):
        EnergyMeter("fnirsi").__enter__()


def test_a_hid_meter_that_is_not_ours(plug: Plug) -> None:
    plug(FnirsiHid(volts=5.0, amps=0.5))
    os.chmod(node_of("hidraw"), 0o600)
    said = as_nobody("fnirsi")
    assert said.startswith(SourceForbidden.__name__)
    assert "udev" in said


def test_a_hid_meter_through_hidapi(plug: Plug) -> None:
    hid = pytest.importorskip("hidraw", reason="hidapi is not installed here")
    plug(FnirsiHid(volts=5.0, amps=0.5))
    path = node_of("hidraw")
    assert [found["path"].decode() for found in hid.enumerate(0x2E3C, 0x5558)] == [path]
