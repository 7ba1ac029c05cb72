"""``energymeter devices``: what it says for people, for programs and for bug reports."""

import json
import os
import platform
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from devices.plugin import Plugins
from devices.sysfs import JetsonBoard, PowerSupply, Sysfs

from energymeter.boards import find_board
from energymeter.cli.devices import _lines, devices
from energymeter.discovery import choice
from energymeter.discovery.bug_report import bundle, drivers_of
from energymeter.discovery.choice import Choice, Finding
from energymeter.discovery.ports import Port, foreign_packages, how_to_wire
from energymeter.errors import LogError, SpecError
from energymeter.reading import Facts

MODEL = Choice("model", "no sensor was found")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(devices, ["--seconds", "2", *arguments])


def test_what_is_found_and_what_is_missing(plugins: Plugins) -> None:
    plugins.meter("usbwatt", "meter", watts=3.14159)
    plugins.meter("onboard", "board").unlink()
    result = run()
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "chosen: usbwatt, an external meter" in lines
    (found,) = [line for line in lines if line.startswith("  usbwatt")]
    assert found.split("  ")[1:] == ["usbwatt", "3.14 W", "measured at the rail", "external meter", "usbwatt"]
    assert "  onboard: it is unplugged; plug it in" in lines
    assert any(line.startswith("  rapl: ") or line.startswith("  rapl ") for line in lines)
    assert "\x1b" not in result.output
    assert max(map(len, lines)) <= 100
    assert "amdsmi: not supported yet" in result.output
    assert "use a USB-C meter" in result.output


def test_json_says_the_same(plugins: Plugins) -> None:
    plugins.meter("usbwatt", "meter", watts=3.14159)
    plugins.meter("onboard", "board").unlink()
    report = json.loads(run("--json").output)
    assert report["choice"] == {"spec": "usbwatt", "reason": "an external meter", "modelled": False}
    (found,) = [one for one in report["found"] if one["spec"] == "usbwatt"]
    assert (found["watts"], found["provenance"], found["place"]) == (3.14159, "measured", "rail")
    assert {
        "spec": "onboard",
        "kind": "board",
        "error": "it is unplugged; plug it in",
        "late": False,
    } in report["missing"]
    assert set(report["not_supported"]) == {"amdsmi", "apple"}


def test_the_command_renews_the_last_choice(plugins: Plugins) -> None:
    """A chip that was wired to a bus which was there before changes nothing else that could be noticed."""
    switch = plugins.meter("chip", "meter")
    switch.unlink()
    plugins.meter("onboard", "board")
    assert choice.choose().spec == "onboard"
    switch.touch()
    assert choice.choose().spec == "onboard"
    assert run().exit_code == 0
    assert choice.choose().spec == "chip"


def test_a_named_source_is_said_to_be_named(plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENERGYMETER_SOURCE", "sim:pi4")
    assert "chosen: sim:pi4, named by $ENERGYMETER_SOURCE" in run().output


@pytest.mark.parametrize(("granted", "says"), [(True, "real-time"), (False, "normal; real-time was refused")])
def test_the_sampling_priority_that_is_granted_is_shown(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch, granted: bool, says: str
) -> None:
    def ask(*_: object) -> None:
        if not granted:
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", ask)
    monkeypatch.setattr(os, "setpriority", ask)
    assert f"sampling priority: {says}" in run().output
    assert json.loads(run("--json").output)["sampling_priority"] == says.split(";")[0]


def test_settings_that_make_no_sense_end_it(home: Path) -> None:
    settings = home / "config" / "energymeter" / "config.ini"
    settings.parent.mkdir(parents=True)
    settings.write_text("source")
    assert isinstance(run().exception, SpecError)


def test_a_board_without_a_sensor_comes_with_the_wiring_how_to_wire_one() -> None:
    lines = list(_lines(MODEL, [Finding("rapl", "package", error="absent")], find_board("pi4"), [], []))
    assert lines[:2] == [
        "board: Raspberry Pi 4 Model B",
        "  no current sensor on this board; wire an INA219 like this, or use a USB meter:",
    ]
    assert "SDA to pin 3, SCL to pin 5" in lines[3]
    meter = Finding("ina219@1:0x40", "meter", watts=3.0, channels=("ina219@1:0x40",), facts=Facts())
    text = "\n".join(_lines(MODEL, [meter], find_board("pi4"), [], []))
    assert "no current sensor" not in text, "one is wired already"


def test_only_boards_without_a_sensor_are() -> None:
    assert how_to_wire(find_board("pi5")) == []
    assert how_to_wire(find_board("coral-mini")) == ["no current sensor on this board; use a USB meter"]
    assert "I²C bus 8" in "\n".join(how_to_wire(find_board("agx-xavier")))


def test_ports_and_packages_that_shadow_ours() -> None:
    ports = [Port("/dev/ttyUSB0", "1a86:7523", "USB Serial")]
    text = "\n".join(_lines(MODEL, [], None, ports, ["ai-energymeter"]))
    assert "  /dev/ttyUSB0  1a86:7523  USB Serial" in text
    assert "warning: ai-energymeter on this Python" in text
    assert "pip uninstall ai-energymeter" in text


@pytest.mark.parametrize("owner", ["energymeter", "ai-energymeter"])
def test_a_foreign_distribution_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = foreign_packages()
    for name in (owner, "edge_energymeter"):
        about = tmp_path / f"{name.replace('-', '_')}-9.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9\n")
        (about / "top_level.txt").write_text("energymeter\n")
    assert foreign_packages() == sorted({*before, owner})


def test_a_remedy_of_several_lines_keeps_them() -> None:
    cure = "only root may read it; type:\n  sudo first\n  sudo second"
    lines = list(_lines(MODEL, [Finding("rapl", "package", error=cure)], None, [], []))
    at = lines.index("  rapl: only root may read it; type:")
    assert lines[at + 1 : at + 3] == ["      sudo first", "      sudo second"]


def test_the_bundle_holds_what_was_seen_and_nothing_private(
    plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "lovelace")
    monkeypatch.setenv("HOME", "/home/lovelace")
    monkeypatch.setenv("ENERGYMETER_SOURCE", 'http@"http://lovelace:geheim@plug.lan/"?watts=$.p')
    sysfs = Sysfs(tmp_path / "machine")
    JetsonBoard(sysfs, "nano")
    PowerSupply(sysfs, "BAT0").laptop()
    sysfs.put("sys/class/power_supply/BAT0/serial_number", "SN12345678")
    sysfs.fill("sys/class/hwmon/hwmon3", {"name": "ina226", "curr1_input": 610})
    sysfs.put("dev/i2c-1", "")
    report = json.loads(run("--json").output)
    report["missing"].append(
        {"spec": "x", "error": f"/home/lovelace/.config on {platform.node()} is lovelace's"}
    )
    text = bundle(report, sysfs.root)
    for private in ("lovelace", "geheim", "plug.lan", "SN12345678"):
        assert private not in text
    assert not re.search(rf"\b{re.escape(platform.node())}\b", text)
    assert "~/.config on HOST is USER's" in text
    assert '"spec": "http"' in text
    assert "/sys/class/hwmon/hwmon3/curr1_input 610" in text
    assert "/sys/class/power_supply/BAT0/status Discharging" in text
    assert "/dev/i2c-1 readable" in text


@pytest.mark.slow
def test_the_bundle_is_written_with_the_answer_and_never_over_a_file(
    plugins: Plugins, tmp_path: Path
) -> None:
    file = tmp_path / "seen.txt"
    result = run("--bundle", str(file))
    assert result.exit_code == 0
    assert file.read_text().startswith("energymeter ")
    assert isinstance(run("--bundle", str(file)).exception, LogError)
    assert isinstance(run("--bundle", str(tmp_path / "none" / "seen.txt")).exception, LogError)
    assert os.path.getsize(file) > 500


def test_sources_that_cannot_be_parsed_show_nothing() -> None:
    assert drivers_of("secret words") == "something that is not a source"


def test_a_product_name_cannot_move_the_cursor(plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port("/dev/ttyUSB0", "1a86:7523", "Meter\x1b]0;PWNED\x07\x1b[2J")
    monkeypatch.setattr("energymeter.cli.devices.serial_ports", lambda: [port])
    for arguments in ((), ("--json",)):
        output = run(*arguments).output
        assert "PWNED" in output
        assert "\x1b" not in output


def test_a_named_source_is_shown_without_its_secrets(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = 'http@"http://lovelace:geheim@plug.lan/x?token=1234567"?watts=$.p&password=hunter2'
    monkeypatch.setenv("ENERGYMETER_SOURCE", spec)
    for arguments in ((), ("--json",)):
        output = run(*arguments).output
        assert "http@http://plug.lan/x" in output
        assert not [secret for secret in ("lovelace", "geheim", "1234567", "hunter2") if secret in output]


def test_permissions_are_printed_and_nothing_is_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("energymeter.cli.devices.find", lambda seconds: pytest.fail("nothing is probed"))
    result = run("--permissions")
    assert result.exit_code == 0
    assert "sudo udevadm control --reload" in result.output


def test_an_acceptance_is_written_once(tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    arguments = ("--acceptance", "manual:5V,0.6A", "--minutes", "0.01", "--report", str(report))
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert report.read_text(encoding="utf-8").startswith("# manual, manual\n")
    assert "zero" in result.output
    assert isinstance(run(*arguments).exception, LogError)
    assert json.loads(run(*arguments[:-1], str(tmp_path / "two.md"), "--json").stdout)["driver"] == "manual"


def test_an_acceptance_is_of_one_source() -> None:
    assert isinstance(run("--acceptance", "manual:5W,manual:3W").exception, SpecError)


def test_without_pyserial_everything_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial", None)
    monkeypatch.setitem(sys.modules, "serial.tools", None)
    monkeypatch.setitem(sys.modules, "serial.tools.list_ports", None)
    result = CliRunner().invoke(devices, [], catch_exceptions=False)
    assert result.exit_code == 0
    assert "warning: serial ports cannot be listed without pyserial: pip install pyserial" in result.stderr
    assert result.stdout
