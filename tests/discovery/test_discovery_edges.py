"""Discovery one branch at a time: nodes, wiring, what a report hides, probes, the last choice, acceptance."""

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from devices.sysfs import Powercap, Sysfs

from energymeter.boards import find_board
from energymeter.clock import ManualClock
from energymeter.discovery import bug_report, choice, last_choice
from energymeter.discovery.acceptance import Acceptance, Check, Report
from energymeter.discovery.choice import Choice, Finding, best
from energymeter.discovery.permissions import Machine, permissions
from energymeter.discovery.ports import (
    Port,
    device_nodes,
    foreign_packages,
    how_to_wire,
    rights,
    serial_ports,
)
from energymeter.discovery.probe import Candidate, candidates, probe, probe_all
from energymeter.errors import (
    EnergyMeterError,
    LogError,
    SourceMissing,
    SourceTimeout,
    SpecError,
)
from energymeter.reading import Band, Facts, Reading
from energymeter.source import Counters

# Nodes, ports, wiring


def test_what_a_user_may_read(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    assert rights(str(tmp_path / "there")) == "readable"
    assert rights(str(tmp_path / "dangling")) == "closed"
    assert rights(str(tmp_path / "nowhere")) == "absent"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("nvidia0", True),
        ("nvidiactl", False),
        ("dri", True),
        ("ttyUSB", False),
        ("ttyACM10", True),
        ("i2c-1x", False),
        ("rfcomm", False),
    ],
)
def test_which_nodes_may_be_meters(tmp_path: Path, name: str, shown: bool) -> None:
    Sysfs(tmp_path).put(f"dev/{name}", "")
    assert device_nodes(str(tmp_path)) == ([f"/dev/{name} readable"] if shown else [])


class SerialPort(NamedTuple):
    """As pyserial lists one."""

    device: str
    vid: int | None
    pid: int | None
    product: str | None


def test_ports_of_the_board_itself_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = [
        SerialPort(device, vid, pid, product)
        for device, vid, pid, product in (
            ("/dev/ttyS0", None, None, None),
            ("/dev/rfcomm0", None, None, None),
            ("/dev/ttyUSB0", 0x483, 0x5740, None),
        )
    ]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: ports[::-1])
    assert serial_ports() == [Port("/dev/rfcomm0", "", ""), Port("/dev/ttyUSB0", "0483:5740", "")]


def test_without_pyserial_no_port_can_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial.tools.list_ports", None)
    with pytest.raises(
        SourceMissing, match=r"^serial ports cannot be listed without pyserial: pip install pyserial$"
    ):
        serial_ports()


def test_our_own_package_is_not_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    owners = {"energymeter": ["Edge_EnergyMeter", "energymeter", "other", "other"]}
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: owners)
    assert foreign_packages() == ["energymeter", "other"]
    monkeypatch.setattr("importlib.metadata.packages_distributions", dict)
    assert foreign_packages() == []


def test_how_a_sensor_is_wired() -> None:
    assert how_to_wire(find_board("pi5")) == []
    assert how_to_wire(find_board("coral-usb")) == ["no current sensor on this board; use a USB meter"]
    lines = how_to_wire(find_board("agx-xavier"))
    assert len(lines) == 5
    assert "(I²C bus 8, which must be enabled)" in lines[2]
    assert lines[-1].endswith("energymeter log ina219@8:0x40")


# What a report hides


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("ada", "USER"),
        ("/home/ada/x", "~/x"),
        ("adam ada-x x-ada ada_ ada.", "adam ada-x x-ada ada_ USER."),
        ("box.lan box", "HOST HOST"),
    ],
)
def test_names_are_replaced_as_whole_words(text: str, hidden: str) -> None:
    names = bug_report._names("box.lan", {"HOME": "/home/ada", "USER": "ada", "LOGNAME": "ada"})
    assert bug_report.without_names(text, names) == hidden


def test_names_that_everybody_has_stay() -> None:
    found = bug_report._names("localhost", {"HOME": "/root", "USER": "root", "SUDO_USER": "bo"})
    assert found == {"bo": "USER"}
    assert bug_report._names("pi", {"HOME": "/"}) == {"pi": "HOST"}


def test_of_a_spec_the_drivers_alone_are_shown() -> None:
    assert bug_report.drivers_of("a@x?y=z+b,c") == "a+b,c"
    assert bug_report.drivers_of("A secret") == "something that is not a source"
    assert bug_report.names_of("manual:5W,manual:6W") == "manual:5W,manual:6W"
    assert bug_report.names_of("no-such@secret") == "no_such"


def test_the_report_shows_files_of_sensors_and_says_what_it_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sysfs = Sysfs(tmp_path)
    sysfs.put("dev/i2c-1", "")
    sysfs.fill("sys/class/hwmon/hwmon0", {"name": "ina219\0 x", "in1_input": "y" * 200, "uevent": "secret"})
    sysfs.fill("sys/bus/usb/devices/1-1", {"idVendor": "0483", "serial": "SN1"})
    sysfs.break_reads("sys/class/hwmon/hwmon0/curr1_input")
    report = {"choice": {"spec": "http@secret?password=x", "reason": "r"}, "found": 3}
    environment = {"USER": "ada", "HOME": "/home/ada"}
    text = bug_report.bundle(report, sysfs.root, environment)
    assert "secret" not in text
    assert "SN1" not in text
    assert '"spec": "http"' in text
    assert '"found": 3' in text
    for line in (
        "/dev/i2c-1 readable",
        "/sys/class/hwmon/hwmon0/name ina219 x",
        f"/sys/class/hwmon/hwmon0/in1_input {'y' * 100}",
        "/sys/class/hwmon/hwmon0/curr1_input (unreadable)",
        "/sys/bus/usb/devices/1-1/idVendor 0483",
        f"numpy {__import__('numpy').__version__}",
    ):
        assert f"\n{line}\n" in text
    assert text.startswith("energymeter ")
    assert f"Python {platform.python_version()} (cpython)" in text
    monkeypatch.setattr(bug_report, "_MOST_LINES", 3)
    assert "… and 1 more" in bug_report.bundle(report, sysfs.root, environment)
    monkeypatch.setattr(bug_report, "_MOST_LINES", 4)
    assert "more" not in bug_report.bundle(report, sysfs.root, environment)


def test_packages_that_are_missing_hide_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "numpy":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = [name for name, _ in bug_report._versions()]
    assert "numpy" not in found
    assert len(found) == len(bug_report._PACKAGES) - 1


def test_a_report_is_never_written_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    bug_report.refuse_existing(str(path))
    bug_report.write(str(path), "µ")
    assert path.read_text("utf-8") == "µ"
    for refused in (lambda: bug_report.write(str(path), "x"), lambda: bug_report.refuse_existing(str(path))):
        with pytest.raises(LogError, match=r"r\.txt exists and is not overwritten; give another name"):
            refused()
    dangling = tmp_path / "link"
    dangling.symlink_to("nowhere")
    with pytest.raises(LogError, match="exists"):
        bug_report.refuse_existing(str(dangling))
    with pytest.raises(LogError, match=r"cannot be written \(No such file or directory\); name another file"):
        bug_report.write(str(tmp_path / "no" / "r.txt"), "x")


# Probes


class Found:
    """A source of known readings."""

    kind = "meter"
    signs = ("/run/found",)
    name = "found"
    facts = Facts()
    made: list["Found"] = []  # noqa: RUF012

    def __init__(self, *address: str) -> None:
        self.address, self.closed = address, 0
        self.readings = iter([Reading(watts=2.5)])
        type(self).made = [*type(self).made, self]

    def open(self) -> None: ...

    def read(self) -> Reading:
        return next(self.readings)

    def close(self) -> None:
        self.closed += 1


def probed(driver: Callable[..., Any], address: str | None = None) -> dict[str, Any]:
    return probe(Candidate("d", "meter", address), lambda name: driver)


def test_a_probe_reads_once_and_lets_go() -> None:
    Found.made = []
    found = probed(Found, "1:0x40")
    assert found == {
        "spec": "d@1:0x40",
        "kind": "meter",
        "signs": ["/run/found"],
        "watts": 2.5,
        "channels": ["found"],
        "excluded": [],
        "facts": Facts()._asdict(),
    }
    (source,) = Found.made
    assert (source.address, source.closed) == (("1:0x40",), 1)
    assert probed(Found)["spec"] == "d"
    assert Found.made[-1].address == ()


def test_why_a_probe_failed() -> None:
    class Refuses(Found):
        def open(self) -> None:
            raise SourceMissing("plug it in")

    class Breaks(Found):
        def read(self) -> Reading:
            raise ZeroDivisionError("oops")

        def close(self) -> None:
            raise ValueError("again")

    class Sticks(Found):
        def close(self) -> None:
            raise ValueError("stuck")

    assert probed(Refuses)["error"] == "plug it in"
    assert Refuses.made[-1].closed == 1
    assert probed(Breaks)["error"].startswith("its driver failed (ZeroDivisionError: oops); please report it")
    assert probed(Sticks)["error"].startswith("its driver failed (ValueError: stuck)")


def counter(*joules: float | None, still: float | None = None) -> type[Found]:
    class Counts(Found):
        facts = Facts(semantics="counter", still_seconds=still)

        def __init__(self) -> None:
            super().__init__()
            self.readings = iter(Reading(joules=one, at_ns=n * 10**9) for n, one in enumerate(joules, 1))

    return Counts


def test_a_counter_is_read_until_it_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("energymeter.discovery.probe.time.sleep", lambda seconds: None)
    assert probed(counter(1.0, 1.0, 7.0))["watts"] == 3.0, "6 J in 2 s"
    assert probed(counter(*[1.0] * 15))["watts"] is None, "a battery's may rest for minutes"
    still = probed(counter(*[1.0] * 15, still=0.09))
    assert still["error"] == ("found stands still, as counters do in virtual machines; use an external meter")


def test_of_parts_the_counted_ones_add_up() -> None:
    def part(name: str, watts: float | None, counted: bool = True) -> Found:
        made = Found()
        made.name, made.facts = name, Facts(counted=counted)
        made.readings = iter([Reading(watts=watts)] * 15)
        return made

    class Board(Found):
        parts: tuple[Found, ...] = ()

        def channels(self) -> tuple[Found, ...]:
            return self.parts

    Board.parts = (part("a", 1.0), part("b", 2.0), part("c", 9.0, counted=False))
    found = probed(Board)
    assert (found["watts"], found["channels"], found["excluded"]) == (3.0, ["a", "b"], ["c"])
    Board.parts = (part("a", 1.0), part("b", None))
    assert probed(Board)["watts"] is None, "one of them shows no power"
    Board.parts = (part("c", 9.0, counted=False),)
    assert (probed(Board)["watts"], probed(Board)["excluded"]) == (9.0, [])


def test_a_stream_is_asked_for_its_first_powers() -> None:
    class Sends(Found):
        rates: list[float] = []  # noqa: RUF012

        def tune(self, rate_hz: float) -> None:
            self.rates.append(rate_hz)

        def stream(self) -> Any:
            yield Reading(fresh=False)
            yield Reading(watts=4.0, at_ns=10**9)

    assert probed(Sends)["watts"] == 4.0
    assert Sends.rates == [10.0]


def located(driver: object, kinds: tuple[str, ...] = ("meter",)) -> tuple[list[str], list[dict[str, Any]]]:
    reports: list[dict[str, Any]] = []

    def load(name: str) -> object:
        if isinstance(driver, Exception):
            raise driver
        return driver

    return [one.spec for one in candidates("d", load, frozenset(kinds), reports.append)], reports


def test_where_a_driver_looks() -> None:
    class Somewhere(Found):
        @staticmethod
        def addresses() -> Any:
            yield "1"
            yield ""
            raise SourceMissing("one more sleeps")

    class Broken(Found):
        @staticmethod
        def addresses() -> Any:
            raise ZeroDivisionError("oops")

    class Unkind(Found):
        kind = None  # type: ignore[assignment]

    assert located(Found) == (["d"], [])
    assert located(Found, ("board",)) == ([], [])
    assert located(Unkind) == ([], [])
    specs, (said,) = located(Somewhere)
    assert specs == ["d@1", "d"]
    assert said == {"spec": "d", "kind": "meter", "error": "one more sleeps", "signs": ["/run/found"]}
    specs, (said,) = located(Broken)
    assert (specs, said["kind"]) == ([], "meter")
    assert "ZeroDivisionError: oops" in said["error"]
    for failure in (SpecError("no such driver"), ImportError("lib")):
        specs, (said,) = located(failure)
        assert (specs, said["kind"], said["signs"]) == ([], "part", [])


def test_every_driver_is_probed_and_a_late_one_is_named() -> None:
    import threading

    gate = threading.Event()

    class Hangs(Found):
        def open(self) -> None:
            gate.wait(60)

    reports: list[dict[str, Any]] = []
    drivers = {"good": Found, "hung": Hangs}
    probe_all(["meter"], 0.2, reports.append, lambda: drivers, drivers.__getitem__)
    gate.set()
    by_spec = {one["spec"]: one for one in reports}
    assert by_spec["good"]["watts"] == 2.5
    assert by_spec["hung"] == {
        "spec": "hung",
        "kind": "meter",
        "late": True,
        "error": "did not answer within 0.2 s; if it never does, check its device and service",
    }


# The choice


def test_a_finding_of_a_probe() -> None:
    fields = {"spec": "a", "kind": "meter", "watts": 1.0, "channels": ["x"], "facts": Facts()._asdict()}
    found = choice._finding(json.loads(json.dumps(fields)))
    assert found == Finding("a", "meter", 1.0, ("x",), (), Facts())
    assert found.usable
    failed = choice._finding({"spec": "a", "kind": "part", "error": "no", "late": True, "signs": ["/s"]})
    assert failed == Finding("a", "part", error="no", late=True, signs=("/s",))
    assert not failed.usable


def test_the_reason_of_a_choice() -> None:
    meters = [Finding(name, "meter") for name in ("c", "a", "b")]
    assert best(meters) == Choice("a", "an external meter, the first of 3; name another: b, c")
    assert best(meters[:1]) == Choice("c", "an external meter")
    boards = [Finding(name, "board") for name in ("b", "a")]
    assert best(boards) == Choice("a", "the board's own sensor")
    assert best([Finding("nvml", "gpu"), Finding("battery", "gauge")]).spec == "battery", (
        "no GPU without a CPU"
    )
    assert best([]).modelled
    assert not best(boards).modelled


@pytest.mark.parametrize("text", ["[meter]\n", "[other]\nsource = x\n", ""])
def test_settings_that_name_no_source(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("ENERGYMETER_SOURCE", raising=False)
    settings = tmp_path / "energymeter" / "config.ini"
    assert choice.named() is None
    settings.parent.mkdir()
    settings.write_text(text)
    assert choice.named() is None
    settings.write_text("[meter]\nsource = http@x?a=%41\n")
    assert choice.named() == Choice("http@x?a=%41", "named by config.ini")
    settings.unlink()
    settings.mkdir()
    with pytest.raises(SpecError, match=r"cannot be read .*; make it yours, or remove it"):
        choice.named()


def test_a_choice_is_recalled_only_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert choice.recalled() is None
    made = Choice("a", "why", True)
    choice.remember(made, [Finding("a", "meter", signs=("/x",))])
    assert choice.recalled() == made
    for kept in (["a", "why"], ["a", "why", "yes"], [1, "why", True], "a"):
        last_choice.remember(kept, [])  # type: ignore[arg-type]
        assert choice.recalled() is None
    choice.remember(made, [])
    choice.remember(made, [Finding("b", "meter", error="slow", late=True)])
    assert choice.recalled() is None, "a late one may be better the next time"
    choice.remember(made, [Finding("a", "meter", signs=(str(tmp_path / "sign"),))])
    (tmp_path / "sign").touch()
    assert choice.recalled() is None, "a sign has come"


def test_what_changes_the_fingerprint_of_a_machine(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    sysfs.put("proc/sys/kernel/random/boot_id", "b1")
    sysfs.put("sys/class/power_supply/AC/online", 1)
    Powercap(sysfs).zone("intel-rapl:0", "package-0")
    packages = tmp_path / "site-packages"
    packages.mkdir()
    os.utime(packages, ns=(5, 5))

    def seen(*signs: str) -> list[str]:
        return last_choice.fingerprint(signs, sysfs.root, [str(packages), str(tmp_path), "/no/site-packages"])

    before = seen()
    assert seen() == before
    assert f"{packages} 5" in before
    assert "sys/class/powercap/intel-rapl:0/energy_uj readable" in before
    assert "sys/class/power_supply/AC 1" in before
    assert seen("/run/x")[-4:] != before[-4:] or len(seen("/run/x")) == len(before) + 1
    for change in (
        lambda: sysfs.put("proc/sys/kernel/random/boot_id", "b2"),
        lambda: sysfs.put("sys/class/power_supply/AC/online", 0),
        lambda: sysfs.put("sys/bus/usb/devices/1-1/idVendor", "0483"),
        lambda: sysfs.put("dev/ttyUSB0", ""),
        lambda: os.utime(packages, ns=(6, 6)),
    ):
        before = seen()
        change()
        assert seen() != before


# Permissions


def test_rules_of_drivers_by_the_node_they_open(tmp_path: Path) -> None:
    drivers: dict[str, Any] = {
        "hid": SimpleNamespace(usb_node="hidraw", usb_ids=((0x483, 0x3A),)),
        "bulk": SimpleNamespace(usb_node="usb", usb_ids=((0x5FC9, 0x63),)),
        "serial": SimpleNamespace(usb_ids=((1, 2),)),
    }

    def load(name: str) -> Any:
        if name == "broken":
            raise EnergyMeterError("no")
        if name == "missing":
            raise ImportError("no")
        return drivers[name]

    machine = Machine(str(tmp_path), {"i2c", "plugdev"}, {"i2c"})
    text = permissions(machine, lambda: [*drivers, "broken", "missing"], load)
    tail = 'GROUP="plugdev", MODE="0660", TAG+="uaccess"'
    assert f'SUBSYSTEM=="hidraw", ATTRS{{idVendor}}=="0483", ATTRS{{idProduct}}=="003a", {tail}\n' in text
    assert f'SUBSYSTEM=="usb", ATTR{{idVendor}}=="5fc9", ATTR{{idProduct}}=="0063", {tail}\n' in text
    assert "0001" not in text
    assert "# USB meters: none here now\n" in text
    assert "# RAPL counters: none here now\n" in text
    assert "# you are in group i2c\n" in text
    assert "sudo groupadd -f i2c" not in text
    assert "sudo groupadd -f plugdev" not in text
    assert 'sudo usermod -aG plugdev "$USER"' in text
    assert 'sudo groupadd -f rapl\nsudo usermod -aG rapl "$USER"\n' in text


@pytest.mark.parametrize(
    ("vendor", "product", "shown"),
    [("5fc9", "0063", "bulk"), ("0483", "003a", "none here now"), ("0001", "0002", "none here now")],
)
def test_of_usb_meters_those_without_a_hid_node_are_listed(
    tmp_path: Path, vendor: str, product: str, shown: str
) -> None:
    Sysfs(tmp_path).fill("sys/bus/usb/devices/1-1", {"idVendor": vendor, "idProduct": product})
    drivers = {
        "hid": SimpleNamespace(usb_node="hidraw", usb_ids=((0x483, 0x3A),)),
        "bulk": SimpleNamespace(usb_node="usb", usb_ids=((0x5FC9, 0x63),)),
    }
    text = permissions(Machine(str(tmp_path), (), ()), lambda: [*drivers], drivers.__getitem__)
    assert f"\n# USB meters: {shown}\n" in text


def test_a_driver_that_cannot_be_loaded_hides_no_rule_of_another(tmp_path: Path) -> None:
    def load(name: str) -> Any:
        if name == "broken":
            raise EnergyMeterError("no")
        return SimpleNamespace(usb_node="hidraw", usb_ids=((0x483, 0x3A),))

    text = permissions(Machine(str(tmp_path), (), ()), lambda: ["broken", "good"], load)
    assert 'ATTRS{idProduct}=="003a"' in text


def test_this_user_has_groups() -> None:
    import grp

    assert grp.getgrgid(os.getegid()).gr_name in Machine().member_of
    assert grp.getgrgid(0).gr_name in Machine().groups


def test_a_group_without_a_name_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    import grp

    names = {1: "one", 2: "two"}
    monkeypatch.setattr(os, "getegid", lambda: 0)
    monkeypatch.setattr(os, "getgroups", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(grp, "getgrgid", lambda number: SimpleNamespace(gr_name=names[number]))
    assert Machine(groups=()).member_of == {"one", "two"}


# Acceptance


class Usb:
    """A meter of known readings, with counters if they are given."""

    name = "usb"
    lost = 0

    def __init__(self, clock: ManualClock, facts: Facts, reading: Reading, counts: bool = False) -> None:
        self.clock, self.facts, self.reading = clock, facts, reading
        self.failing: tuple[float, float] = (0.0, 0.0)
        if counts:
            self.counters = self._counters

    def open(self) -> None: ...
    def close(self) -> None: ...

    def read(self) -> Reading:
        self.clock.sleep(0.001)
        if self.failing[0] <= self.clock.monotonic_ns() * 1e-9 < self.failing[1]:
            raise SourceTimeout("busy")
        return self.reading

    def _counters(self) -> Counters:
        return Counters(self.clock.monotonic_ns() * 1e-9 * 5.0, None, joules_step=0.1)


FACTS = Facts(volts=Band(0.01, 0.1), amps=Band(0.02, 0.003, 0.001), default_hz=10.0, max_hz=10.0)
DRAWS = Reading(volts=5.0, amps=1.0)


class Hands:
    """Somebody who answers the questions in turn, and does nothing else."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), []  # type: ignore[var-annotated]

    def ask(self, question: str) -> str:
        self.asked.append(question)
        return self.answers.pop(0) if self.answers else "no"

    def say(self, text: str) -> None: ...


def accepted(
    facts: Facts = FACTS, reading: Reading = DRAWS, *answers: str, counts: bool = False, failing: Any = None
) -> dict[str, Check]:
    clock = ManualClock()
    meter = Usb(clock, facts, reading, counts)
    meter.failing = failing or meter.failing
    report = Acceptance(meter, "usb", {}, clock, Hands(*answers)).run(0.2)
    return {check.name: check for check in report.checks}


@pytest.mark.parametrize(
    ("amps", "facts", "passed"),
    [
        (0.0039, FACTS, True),
        (-0.0041, FACTS, False),
        (0.5, FACTS._replace(amps=None), None),
        (None, FACTS, None),
    ],
)
def test_the_zero_is_within_offset_and_resolution(
    amps: float | None, facts: Facts, passed: bool | None
) -> None:
    found = accepted(facts, Reading(volts=5.0, amps=amps, watts=1.0), "", "")["zero"]
    assert found.passed is passed
    if amps is None:
        assert found.text == "it reports no current"
    elif passed is None:
        assert found.text == "0.500 A without load"
    else:
        assert found.text.endswith("A without load, ±0.00400 A in the data sheet")


@pytest.mark.parametrize(
    ("amps", "passed"),
    [(1.0, True), (1.062, True), (1.067, False), (0.938, True), (0.935, False)],
)
def test_a_resistor_allows_both_accuracies_and_its_own(amps: float, passed: bool) -> None:
    """5 V over 5 Ω: 2 % of the amps and 4 mA, 1 % of 5 V and 0.1 V over 5 Ω, 1 % of 1 A."""
    found = accepted(FACTS, Reading(volts=5.0, amps=amps), "no", "5")["resistor"]
    assert found.passed is passed
    assert "1.000 A by 5 ohm" in found.text
    assert f"{100 * (amps - 1):+.2f} %" in found.text


def test_a_resistor_needs_volts_and_amps() -> None:
    found = accepted(FACTS, Reading(watts=5.0), "no", "5")["resistor"]
    assert found == Check("resistor", None, "it does not report both volts and amps")
    assert accepted(FACTS, DRAWS, "no", "0")["resistor"] == Check("resistor", None, "not done")


def test_the_rate_and_what_failed() -> None:
    fine = accepted(counts=True)
    assert fine["rate"].passed
    assert fine["rate"].text.startswith("10")
    assert fine["counters against the integral"].passed
    assert "J integrated" in fine["counters against the integral"].text
    assert fine["fastest"].passed
    broken = accepted(counts=True, failing=(5.0, 5.25))
    assert broken["rate"].passed is False
    assert broken["counters against the integral"].passed is None
    assert "not judged, because" in broken["counters against the integral"].text
    assert accepted()["counters against the integral"].text == "it has no counters of its own"


def test_a_meter_slower_than_it_says_is_not_fast() -> None:
    found = accepted(FACTS._replace(max_hz=1200.0))["fastest"]
    assert found.passed is False
    assert found.text.endswith("the driver allows 1200")
    assert accepted(FACTS._replace(max_hz=1100.0))["fastest"].passed, "nine tenths of it will do"


def test_unplugging_is_noticed_and_its_return_too() -> None:
    clock = ManualClock()
    meter = Usb(clock, FACTS, DRAWS)

    class Pulls(Hands):
        def ask(self, question: str) -> str:
            now = clock.monotonic_ns() * 1e-9
            if "unplug the meter" in question:
                meter.failing = (now + 1.0, 1e9)
            if "plug it in again" in question:
                meter.failing = (0.0, now + 1.2)
            return "no" if "resistor" in question or "disconnect" in question else ""

    report = Acceptance(meter, "usb", {}, clock, Pulls()).run(1.0)
    (found,) = [check for check in report.checks if check.name == "unplug and replug"]
    assert found.passed
    assert found.text.startswith("noticed after 1.0")
    assert "read again 1.5" in found.text


def test_the_page_of_a_report() -> None:
    checks = (Check("a", True, "x|y"), Check("b", False, "z\x1b"), Check("c", None, ""))
    report = Report("usb", "measured", {"shunt": "0.1", "rate": "2"}, 10.0, checks)
    assert report.failed == ["b"]
    page = report.markdown()
    assert page.startswith("# usb, measured\n\n- energymeter ")
    assert "\n- options: shunt=0.1, rate=2\n- 10 minutes\n" in page
    assert "| a | passed | x/y |\n| b | failed | z\\x1b |\n| c | - |  |\n" in page
    assert "- options: none\n" in report._replace(options={}).markdown()


def test_who_a_meter_is() -> None:
    found = accepted()["identity"]
    assert found.text.startswith(
        "instant at the rail, measured, without a serial number of its own; volts ±(1"
    )
    assert "amps ±(2" in found.text
    assert "amps" not in accepted(FACTS._replace(amps=None))["identity"].text


def test_only_numbers_among_the_options_are_reported() -> None:
    clock = ManualClock()
    options = {"shunt": "0.1", "password": "x", "pin": "1234"}
    report = Acceptance(Usb(clock, FACTS, DRAWS), "usb", options, clock).run(0.1)
    assert report.options == {"shunt": "0.1", "pin": "1234"}
    assert report.minutes == 0.1
