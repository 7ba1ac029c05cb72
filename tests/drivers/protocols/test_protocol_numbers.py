"""Frames, sequences, counters, ports and what failures mean: each check of a protocol by itself."""

import errno
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from devices.km003c_meter import adc_block, queue_block
from devices.ppk2 import metadata
from devices.sysfs import Powercap, Sysfs

from energymeter.clock import ManualClock
from energymeter.drivers.csv import Csv
from energymeter.drivers.jtop import Jtop
from energymeter.drivers.kasa import Kasa
from energymeter.drivers.km003c import Km003c
from energymeter.drivers.links import hid, serial
from energymeter.drivers.links.i2c import Chip, parse_address
from energymeter.drivers.links.i2c_scan import buses, places_of
from energymeter.drivers.ppk2 import Ppk2
from energymeter.drivers.protocols import km003c, rapl
from energymeter.drivers.protocols.jtop import Attempt, Rails, Session, explained
from energymeter.drivers.protocols.ppk2 import parse_calibration
from energymeter.drivers.rapl import Rapl
from energymeter.drivers.shelly import Shelly
from energymeter.drivers.tasmota import Tasmota
from energymeter.errors import (
    SourceBusy,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    SpecError,
)
from energymeter.reading import Band, Reading
from energymeter.source import Counters

MS = 1_000_000

# KM003C


def packet(*blocks: bytes, kind: int = km003c.PUT_DATA) -> bytes:
    """Blocks in one answer; all but the last say that more follow."""
    marked = [
        struct.pack("<I", int.from_bytes(one[:4], "little") | (number < len(blocks)) << 15) + one[4:]
        for number, one in enumerate(blocks, 1)
    ]
    return struct.pack("<I", kind) + b"".join(marked)


def test_blocks_follow_each_other_until_the_last() -> None:
    adc, queue = adc_block(5.0, 1.0), queue_block([(1, 5.0, 1.0), (2, 6.0, 2.0)])
    both = packet(adc, queue)
    assert [block.attribute for block in km003c.blocks(both)] == [km003c.ADC, km003c.ADC_QUEUE]
    assert len(km003c.snapshots(both)) == 1
    assert km003c.samples(both) == [km003c.Sample(1, 5.0, 1.0), km003c.Sample(2, 6.0, 2.0)]
    assert len(km003c.blocks(packet(adc) + queue)) == 1, "what follows the last block is none"
    assert km003c.blocks(both[:-1]) == km003c.blocks(packet(adc)), "a block that was cut off"
    assert km003c.blocks(packet(adc, kind=km003c.ACCEPT)) == []
    assert km003c.blocks(packet(adc, kind=km003c.PUT_DATA | 0x80)) != [], (
        "the highest bit is none of the kind"
    )
    assert km003c.blocks(b"") == km003c.blocks(packet(adc)[:7]) == []


def test_a_snapshot_has_its_means_and_its_temperature() -> None:
    (found,) = km003c.snapshots(packet(adc_block(5.0, -1.5)))
    assert (found.volts, found.amps) == (5.0, -1.5)


@pytest.mark.parametrize(
    ("sequence", "after_ms", "tick", "lost"),
    [
        (12, 2, 2, 0),
        (14, 4, 4, 1),
        (20, 10, 10, 4),
        (10, 32_767, None, 0),
        (10, 65_536, 65_536, 32_767),
        (8, 2, 2, 0),  # a step back without a pause: it began again
        (12, 2 + 65_536, 2 + 65_536, 32_768),
        (0x8000 + 10, 0x8000, 0x8000, 0x3FFF),
        (0x8001 + 10, 0x3FFF, 2, 0),
        (0x8001 + 10, 0x4000, 0x8001, 0x3FFF),
    ],
)
def test_sequence_numbers_wrap_repeat_and_begin_again(
    sequence: int, after_ms: int, tick: int | None, lost: int
) -> None:
    counted = km003c.Sequence(2)
    assert counted.tick(10, 0) == 0
    assert counted.tick(sequence, after_ms * MS) == tick
    assert counted.lost == lost


class Answers:
    """A wire that gives its answers in turn."""

    address = "wire"
    moved_bytes = 0

    def __init__(self, *answers: bytes) -> None:
        self.answers, self.sent = list(answers), []  # type: ignore[var-annotated]

    def open(self) -> None: ...
    def close(self) -> None: ...

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def read(self, seconds: float) -> bytes:
        return self.answers.pop(0) if self.answers else b""


def reply(kind: int, number: int, rest: bytes = b"\0\0") -> bytes:
    return bytes([kind, number]) + rest


def test_an_answer_is_known_by_its_number_and_kind() -> None:
    right = reply(km003c.ACCEPT, 1)
    wire = Answers(
        reply(km003c.ACCEPT, 0), reply(km003c.ACCEPT, 2), reply(0x11, 1), right[:3], right, reply(0, 0)
    )
    session = km003c.Session(wire)
    assert session.ask(0x0C, 3) == right
    assert wire.sent == [struct.pack("<BBH", 0x0C, 1, 6)]
    late = km003c.Session(Answers(*[reply(km003c.ACCEPT, 9)] * 8, right))
    with pytest.raises(SourceTimeout, match=r"^wire did not answer within 0.5 s: plug it in again$"):
        late.ask(0x0C)
    seventh = km003c.Session(Answers(*[reply(km003c.ACCEPT, 9)] * 7, right))
    assert seventh.ask(0x0C) == right
    with pytest.raises(SourceTimeout):
        km003c.Session(Answers()).ask(0x0C)


def test_numbers_of_questions_wrap_and_a_meter_may_refuse() -> None:
    session = km003c.Session(Answers(reply(km003c.ACCEPT, 0)))
    session._id = 255
    session.command(0x0E)
    assert session._id == 0
    session = km003c.Session(Answers(reply(km003c.REJECT, 1)))
    with pytest.raises(SourceError, match="wire refused command 0x0e: check its firmware version"):
        session.command(0x0E)


def test_the_sign_of_a_current_may_be_turned() -> None:
    for reverse, amps in ((False, 1.0), (True, -1.0)):
        source = Km003c(wire=Answers(), reverse=reverse)
        assert source._reading(5.0, 1.0) == Reading(volts=5.0, amps=amps)


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (errno.ENODEV, SourceMissing, "km003c went away: plug the meter in again"),
        (
            errno.ETIMEDOUT,
            SourceTimeout,
            r"the kernel got no answer \(Connection timed out\); plug it in again",
        ),
    ],
)
def test_failures_of_the_kernels_own_driver(
    number: int, kind: type[SourceError], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sysfs = Sysfs(tmp_path)
    sysfs.fill("class/hwmon/hwmon1", {"name": "powerz", "in0_input": 5000, "curr1_input": -1500})
    source = Km003c(sysfs=sysfs.root)
    source.open()
    assert source.read() == Reading(volts=5.0, amps=-1.5)

    def fails(*_: object, **__: object) -> object:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("builtins.open", fails)
    with pytest.raises(SourceError, match=said) as caught:
        source.read()
    monkeypatch.undo()
    assert type(caught.value) is kind


def test_a_kernel_without_the_meter_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="the kernel has no powerz sensor"):
        Km003c("hwmon", sysfs=str(tmp_path)).open()


# RAPL


def test_zones_are_folders_of_intel_rapl_and_nothing_else(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    power = Powercap(sysfs)
    power.zone("intel-rapl:0", "package-0")
    power.zone("intel-rapl:0/intel-rapl:0:0", "dram")
    sysfs.put("sys/class/powercap/intel-rapl-notes", "a file")
    sysfs.put("sys/class/powercap/dtpm/energy_uj", 5)
    sysfs.put("sys/class/powercap/intel-rapl:1/name", "package-1")  # without a counter
    found = rapl.zones(str(sysfs.path("sys/class/powercap")))
    assert [(zone.name, zone.kind) for zone in found] == [
        ("package-0", "package"),
        ("package-0/dram", "dram"),
    ]
    source = Rapl(root=sysfs.root)
    source.open()
    assert [(part.name, part.facts.joules) for part in source.channels()] == [
        ("rapl:package-0", Band(gain=0.05, resolution=61e-6)),
        ("rapl:package-0/dram", Band(gain=0.2, resolution=61e-6)),
    ]
    assert source.channels()[0].facts.joules_wrap == pytest.approx((Powercap.RANGE_UJ + 1) * 1e-6)
    assert source.channels()[0].facts.still_seconds == 0.09


@pytest.mark.parametrize(
    ("limits", "watts"),
    [
        ((), None),
        ((95_000_000,), 95.0),
        ((1_000_000,), None),
        ((1_000_001, 0), 1.000001),
        ((4_090_000_000,), None),
    ],
)
def test_limits_that_can_be_meant(tmp_path: Path, limits: tuple[int, ...], watts: float | None) -> None:
    sysfs = Sysfs(tmp_path)
    for number, limit in enumerate(limits):
        sysfs.put(f"constraint_{number}_max_power_uw", limit)
    sysfs.put("constraint_7_name", "77000000")
    sysfs.put("other_max_power_uw", 77_000_000)
    unknown = rapl.max_watts(str(tmp_path / "none"))
    assert rapl.max_watts(sysfs.root) == (pytest.approx(rapl._HEADROOM * watts) if watts else unknown)
    sysfs.put("constraint_8_power_limit_uw", unknown * 1e6 - 1)
    assert rapl.max_watts(sysfs.root) == unknown, "never more than that"


def test_lists_of_processors_and_events(tmp_path: Path) -> None:
    assert rapl.cpus("") == []
    assert rapl.cpus("3,5-6") == [3, 5, 6]
    sysfs = Sysfs(tmp_path)
    sysfs.fill(
        "events",
        {
            "energy-pkg": "event=0x02",
            "energy-pkg.scale": "0.5",
            "energy-ram": "event=3",
            "x": "event=1",
            "x.scale": "1.0",
            "energy-pkg.unit": "Joules",
            "energy-pkg.unit.scale": "1.0",
        },
    )
    assert rapl.events(sysfs.root) == {"pkg": (2, 0.5)}, "one without a scale says nothing"


# jtop


class Service:
    """The client of jetson-stats."""

    uptime, interval = 0.0, 0.5

    def __init__(self, alive: bool = True) -> None:
        self.alive, self.power = alive, {}  # type: ignore[var-annotated]

    def attach(self, arrived: Callable[[Any], None]) -> None:
        self.arrived = arrived

    def start(self) -> None: ...
    def close(self) -> None: ...

    def ok(self, spin: bool) -> bool:
        if isinstance(self.alive, Exception):
            raise self.alive
        return self.alive

    def say(self, uptime: float, **rails: int) -> None:
        self.uptime, self.power = uptime, {"rail": {name: {"power": mw} for name, mw in rails.items()}}
        self.arrived(self)


def session_of(service: Service) -> Session:
    session = Session(service, 0.5)
    session.start()
    return session


def test_only_a_new_uptime_is_a_new_sample() -> None:
    service = Service()
    session = session_of(service)
    assert session.rails() == {}
    with pytest.raises(SourceTimeout, match="the jtop service sent no sample"):
        session.latest()
    service.say(1.0, VDD=100)
    first = session.latest()
    service.say(1.0, VDD=999)
    assert session.latest() is first
    assert session.rails() == {"VDD": {"power": 100}}
    service.say(0.5, VDD=200)
    assert session.latest().rails == {"VDD": {"power": 200}}, "it was started again"
    service.alive = False
    with pytest.raises(SourceTimeout, match="sent nothing new for a while"):
        session.latest()
    service.alive = EOFError()  # type: ignore[assignment]
    with pytest.raises(SourceError, match="the jtop service went away"):
        session.latest()


@pytest.mark.parametrize(("silent_seconds", "fails"), [(1.49, False), (1.51, True)])
def test_a_service_may_be_silent_for_three_of_its_intervals(
    silent_seconds: float, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service()
    session = session_of(service)
    now = [10**9]
    monkeypatch.setattr("energymeter.drivers.protocols.jtop.time.monotonic_ns", lambda: now[0])
    service.say(1.0, VDD=100)
    session.latest()
    now[0] += round(silent_seconds * 1e9)
    if fails:
        with pytest.raises(SourceTimeout, match="hangs or its sensor does"):
            session.latest()
    else:
        session.latest()
    service.interval = 2.0
    now[0] = 10**9 + round(5.9e9)
    session.latest()


@pytest.mark.parametrize(
    ("failure", "kind", "said"),
    [
        (RuntimeError("The jtop.service is not active"), SourceMissing, "enable --now jtop"),
        (RuntimeError("I can't access to jtop.service"), SourceForbidden, "usermod -aG jtop"),
        (PermissionError("x"), SourceForbidden, "usermod -aG jtop"),
        (
            RuntimeError("Mismatch version jtop service: [4.2.1] and client: [4.3.0]"),
            SourceError,
            "is version 4.2.1 and the package here 4.3.0; .*jetson-stats==4.2.1",
        ),
        (RuntimeError("Mismatch of Python versions"), SourceError, "does not understand this client"),
        (RuntimeError("Authentication failed"), SourceError, "does not understand this client"),
        (EOFError(), SourceError, "the jtop service went away"),
        (RuntimeError("Lost connection with jtop server"), SourceError, "the jtop service went away"),
        (RuntimeError("Error connection"), SourceTimeout, "cannot keep this pace"),
        (RuntimeError(""), SourceError, "failed with RuntimeError: no reason given; restart"),
        (RuntimeError("y" * 300), SourceError, f"failed with RuntimeError: {'y' * 200}; restart"),
    ],
)
def test_what_failures_of_jetson_stats_mean(failure: Exception, kind: type[SourceError], said: str) -> None:
    with pytest.raises(SourceError, match=said) as caught:
        raise explained(failure)
    assert type(caught.value) is kind


def test_a_call_that_comes_back_too_late_is_undone() -> None:
    gate, undone = threading.Event(), threading.Event()
    late = Attempt(lambda: gate.wait(30) and None, undone.set)
    with pytest.raises(SourceTimeout, match=r"did not answer within 0.01 s"):
        late.within(0.01)
    assert late.pending
    assert late._thread.daemon, "it does not keep the program from ending"
    gate.set()
    assert undone.wait(30)
    done = Attempt(lambda: None, undone.set)
    undone.clear()
    done.within(30)
    assert not done.pending
    assert not undone.is_set()

    def fails() -> None:
        raise RuntimeError("Error connection")

    with pytest.raises(SourceTimeout, match="cannot keep this pace"):
        Attempt(fails, undone.set).within(30)


def test_the_bands_of_a_jetsons_rails() -> None:
    facts = Jtop()._facts(False)
    assert (facts.volts, facts.amps) == (Band(0.0025, 0.008, 0.008), Band(0.0125, 0.016, 0.008))
    assert (facts.watts, facts.counted) == (Band(0.015, 0.08, 0.04), False)


@pytest.mark.parametrize(
    ("rail", "power_only", "reading"),
    [
        ({"volt": 5000, "curr": 200, "power": 999}, False, Reading(volts=5.0, amps=0.2, at_ns=7)),
        ({"volt": 5000, "curr": 200, "power": 999}, True, Reading(watts=1.0, at_ns=7)),
        ({"volt": 5000, "power": 999}, False, Reading(watts=0.999, at_ns=7)),
        ({"curr": 200, "power": 999}, True, Reading(watts=0.999, at_ns=7)),
    ],
)
def test_what_a_rail_of_the_service_says(rail: dict[str, int], power_only: bool, reading: Reading) -> None:
    from energymeter.drivers.jtop import _picker

    pick = _picker("VDD", power_only=power_only)
    found = pick(Rails({"VDD": rail}, 7))
    assert found == pytest.approx(reading)
    with pytest.raises(SourceError, match="no longer sees the rail VDD"):
        pick(Rails({}, 7))


# I²C


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0x41", (1, 0x41)),
        ("7:64", (7, 64)),
        ("0:0x08", (0, 8)),
        ("1:0x77", (1, 0x77)),
        ("1:0x07", "is outside I²C's range"),
        ("1:0x78", "is outside I²C's range"),
        ("-1:0x40", "is outside I²C's range"),
        ("0x1:0x40", "is not an I²C address: write bus:address"),
        (":0x40", "is not an I²C address"),
        ("x", "is not an I²C address"),
    ],
)
def test_addresses_of_chips(text: str, found: tuple[int, int] | str) -> None:
    if isinstance(found, tuple):
        assert parse_address(text) == found
        assert str(Chip(text)) == f"{found[0]}:0x{found[1]:02x}"
    else:
        with pytest.raises(SpecError, match=found):
            parse_address(text)


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (errno.EREMOTEIO, SourceMissing, r"nobody answers at 3:0x40 \(errno 121\): .*i2cdetect -y 3 shows"),
        (errno.ENOENT, SourceMissing, "nor any other I²C bus: enable I2C"),
        (errno.EACCES, SourceForbidden, r"usermod -aG i2c \$USER"),
        (errno.EPERM, SourceForbidden, r"usermod -aG i2c \$USER"),
        (errno.EBUSY, SourceBusy, "belongs to the kernel driver unknown: .*echo 3-0040"),
        (errno.ETIMEDOUT, SourceTimeout, "bus 3 stalled while talking to 3:0x40"),
        (errno.EAGAIN, SourceTimeout, "bus 3 stalled"),
        (errno.EOPNOTSUPP, SourceError, "speaks SMBus words only"),
        (errno.ENOTTY, SourceMissing, "is not an I²C bus: name another one"),
        (errno.EINVAL, SourceError, "reading 3:0x40 failed"),
    ],
)
def test_what_a_bus_says_with_its_errno(
    number: int, kind: type[SourceError], said: str, tmp_path: Path
) -> None:
    found = Chip("3:0x40", root=str(tmp_path)).explain(OSError(number, "x"))
    assert type(found) is kind
    with pytest.raises(SourceError, match=said):
        raise found
    ours = SourceTimeout("ours")
    assert Chip("3:0x40").explain(ours) is ours


def test_the_buses_there_are_and_the_driver_that_has_a_chip(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    for name in ("i2c-10", "i2c-2", "i2c-x", "null"):
        sysfs.put(f"dev/{name}", "")
    chip = Chip("3:0x40", root=sysfs.root)
    with pytest.raises(SourceMissing, match="use bus 2, 10, or enable I2C for bus 3"):
        raise chip.explain(OSError(errno.ENOENT, "x"))
    device = sysfs.path("sys/bus/i2c/devices/3-0040")
    device.mkdir(parents=True)
    (device / "driver").symlink_to("/sys/bus/i2c/drivers/ina2xx")
    with pytest.raises(SourceBusy, match="3:0x40 belongs to the kernel driver ina2xx"):
        raise chip.explain(OSError(errno.EBUSY, "x"))


def test_a_chip_that_is_not_open_is_not_asked() -> None:
    chip = Chip("1:0x40")
    for ask_it in (lambda: chip.word(0), lambda: chip.write(0, 1), lambda: chip.wide(0, 3)):
        with pytest.raises(SourceMissing, match="the chip at 1:0x40 is not open"):
            ask_it()
    chip.close()


def test_buses_to_which_people_wire_meters(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    for number, title in (
        (1, "bcm2835"),
        (5, "MCP2221 usb-i2c bridge"),
        (6, "CP2112 SMBus"),
        (7, "i915 gmbus"),
    ):
        sysfs.put(f"dev/i2c-{number}", "")
        sysfs.put(f"sys/bus/i2c/devices/i2c-{number}/name", title)
    sysfs.put("sys/bus/i2c/devices/i2c-8/name", "usb")  # without a node
    sysfs.put("sys/bus/i2c/devices/1-0040/name", "usb")
    assert buses(sysfs.root) == [5, 6]
    sysfs.put("proc/device-tree/model", "Raspberry Pi 4 Model B")
    assert buses(sysfs.root) == [1, 5, 6]

    def closed(bus: int, root: str) -> Any:
        raise SourceForbidden(f"bus {bus}")

    assert list(places_of("ina226", sysfs.root, closed)) == []
    with pytest.raises(SourceForbidden, match="bus 6"):
        list(places_of("ina219", sysfs.root, closed))


# Ports


@pytest.mark.parametrize(
    ("number", "address", "kind", "said"),
    [
        (errno.ENOENT, "/dev/ttyUSB9", SourceMissing, "there is no port /dev/ttyUSB9; plug the meter in"),
        (errno.ENXIO, "/dev/rfcomm9", SourceMissing, "there is no port /dev/rfcomm9; pair the meter"),
        (errno.EACCES, "/dev/ttyUSB9", SourceForbidden, r"usermod -aG dialout \$USER"),
        (errno.EPERM, "/dev/ttyUSB9", SourceForbidden, "is not for this user"),
        (
            errno.EBUSY,
            "/dev/ttyUSB9",
            SourceBusy,
            r"is held by another program: close that program first \(if it has ended already, plug",
        ),
        (errno.EAGAIN, "/dev/ttyUSB9", SourceBusy, "is held by another program: close that program first$"),
        (errno.EHOSTDOWN, "/dev/rfcomm0", SourceMissing, "got no Bluetooth answer"),
        (errno.ECONNREFUSED, "/dev/rfcomm0", SourceMissing, "got no Bluetooth answer"),
        (errno.EHOSTUNREACH, "/dev/rfcomm0", SourceMissing, "got no Bluetooth answer"),
        (errno.ETIMEDOUT, "/dev/rfcomm0", SourceMissing, "got no Bluetooth answer"),
        (errno.EINVAL, "/dev/null", SourceMissing, "/dev/null did not open as a serial port"),
    ],
)
def test_why_a_port_did_not_open(number: int, address: str, kind: type[SourceError], said: str) -> None:
    found = serial.open_error(address, OSError(number, "x"))
    assert type(found) is kind
    with pytest.raises(SourceError, match=said):
        raise found


def test_who_holds_a_port(tmp_path: Path) -> None:
    port = tmp_path / "port"
    port.touch()
    proc = Sysfs(tmp_path / "proc")
    assert serial.holder(str(tmp_path / "none"), proc.root) == "another program"
    assert serial.holder(str(port), proc.root) == "another program"
    held = port.stat()
    mark = f"{os.major(held.st_dev):02x}:{os.minor(held.st_dev):02x}:{held.st_ino}"
    lines = f"1: -> FLOCK ADVISORY WRITE 41 {mark} 0 EOF\n2: POSIX ADVISORY WRITE 42 {mark} 0 EOF\n"
    proc.put("locks", lines + f"3: FLOCK ADVISORY WRITE 4242 {mark} 0 EOF")
    assert serial.holder(str(port), proc.root) == "process 4242"
    proc.path("4242").mkdir()
    proc.path("4242/cmdline").write_bytes(b"minicom\0-D\0" + b"x" * 100 + b"\0")
    assert serial.holder(str(port), proc.root) == f"process 4242 (minicom -D {'x' * 69})"
    proc.put("locks", lines)
    proc.path("77/fd").mkdir(parents=True)
    proc.path("77/fd/3").symlink_to(port)
    proc.path("78/fd").mkdir(parents=True)
    proc.path("78/fd/3").symlink_to(tmp_path / "none")
    assert serial.holder(str(port), proc.root) == "process 77"
    proc.put("locks", "garbage FLOCK")
    assert serial.holder(str(port), proc.root) == "process 77"


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (OSError(errno.EACCES, "x"), SourceForbidden, "/dev/hidraw9 is not for this user"),
        (OSError(errno.EPERM, "x"), SourceForbidden, "/dev/hidraw9 is not for this user"),
        (OSError(errno.EBUSY, "x"), SourceBusy, "/dev/hidraw9 is held by another program"),
        (OSError(errno.EAGAIN, "x"), SourceBusy, "/dev/hidraw9 is held by another program"),
        (
            OSError(errno.EIO, "broken"),
            SourceMissing,
            r"^USB did not open \(broken\): plug the meter in again$",
        ),
        (OSError("odd"), SourceMissing, r"^USB did not open \(odd\)"),
    ],
)
def test_why_a_hid_meter_did_not_open(error: OSError, kind: type[SourceError], said: str) -> None:
    found = hid._open_error("USB", "/dev/hidraw9", error)
    assert type(found) is kind
    with pytest.raises(SourceError, match=said):
        raise found


# A PPK2 that takes its time


class Hesitates:
    """Says nothing for so long after it was asked for its calibration."""

    address = "wire"
    moved_bytes = 0

    def __init__(self, clock: ManualClock, silent_reads: int) -> None:
        self.clock, self.silent, self.asked = clock, silent_reads, False
        self.text = metadata().encode()

    def open(self) -> None: ...
    def close(self) -> None: ...

    def write(self, data: bytes) -> None:
        self.asked = self.asked or data == b"\x19"

    def read(self, seconds: float) -> bytes:
        if not self.asked or self.silent:
            self.silent -= self.asked
            self.clock.sleep(seconds)
            return b""
        piece, self.text = self.text[:50], self.text[50:]
        return piece


@pytest.mark.parametrize(("silent_reads", "learns"), [(3, True), (4, False)])
def test_a_calibration_may_take_a_second_to_come(silent_reads: int, learns: bool) -> None:
    clock = ManualClock(start_ns=10**9 - 5)
    source = Ppk2(wire=Hesitates(clock, silent_reads), clock=clock)
    if learns:
        source.open()
        assert source.calibration is not None
    else:
        with pytest.raises(
            SourceTimeout, match="did not give its calibration: take the other one of its two"
        ):
            source.open()


def test_a_number_without_meaning_is_no_calibration() -> None:
    usual = parse_calibration("END").constants["R"][0]
    for text, kept in (("9.9e11", 9.9e11), ("1e12", usual), ("-1e12", usual), ("inf", usual), ("0", 0.0)):
        assert parse_calibration(f"R0: {text}\nEND").constants["R"][0] == kept


# Counters of plugs, and a file that is silent


def test_steps_of_the_counters_of_plugs() -> None:
    assert Kasa("plug").counters() == Counters(None, None, 3600.0)
    assert Tasmota("plug").counters() == Counters(None, None, 3600.0)
    shelly = Shelly("plug", component="switch")
    shelly._component, shelly._status = shelly._components[0], {"aenergy": {"total": 2.0}}
    assert shelly.counters() == Counters(7200.0, None, 3.6)
    shelly._status = {"aenergy": 5}
    assert shelly.counters() == Counters(None, None, 3.6)


def test_a_silent_file_says_that_it_is_alive_of_its_first_channel(tmp_path: Path) -> None:
    path, clock = tmp_path / "p.csv", ManualClock()
    path.write_text("time_s,power_W\n0,1\n")
    source = Csv(str(path), clock=clock)
    source.open()
    parts = source.stream_parts()
    began = clock.monotonic_ns()
    assert next(parts) == (0, Reading(fresh=False))
    assert 0.4 <= (clock.monotonic_ns() - began) * 1e-9 <= 0.5
    assert next(parts) == (0, Reading(fresh=False))
    source.close()
