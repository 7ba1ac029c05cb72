"""Rules and groups for this machine: what is printed is what a shell and udev accept."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from devices.sysfs import Powercap, Sysfs

from energymeter.discovery.permissions import Machine, permissions
from energymeter.drivers.fnirsi import Fnirsi
from energymeter.drivers.joulescope import Joulescope
from energymeter.drivers.km003c import Km003c

DEBIAN = {"root", "dialout", "plugdev", "video"}
RULE = re.compile(
    r'(ACTION|SUBSYSTEM|KERNEL|ATTRS?\{\w+\}|GROUP|MODE|TAG|RUN)(==|=|\+=)"[^"]*"(, ?(\\\n)?|$)'
)


def machine(tmp_path: Path, groups: set[str] = DEBIAN, member_of: set[str] = frozenset()) -> Machine:  # type: ignore[assignment]
    return Machine(str(tmp_path), groups, member_of)


def rules(text: str) -> str:
    return text.partition("<<'EOF'\n")[2].partition("\nEOF\n")[0]


def test_every_driver_of_a_usb_node_has_a_rule(tmp_path: Path) -> None:
    text = rules(permissions(machine(tmp_path)))
    for driver, subsystem in ((Fnirsi, "hidraw"), (Km003c, "usb"), (Joulescope, "usb")):
        for vendor, product in driver.usb_ids:
            lines = [
                line
                for line in text.split("\n")
                if f'=="{vendor:04x}"' in line and f'=="{product:04x}"' in line
            ]
            assert len(lines) == 1
            assert f'SUBSYSTEM=="{subsystem}"' in lines[0]
            assert 'MODE="0660"' in lines[0]
    assert "0666" not in text, "for everybody is too much"


def test_every_rule_is_one_that_udev_takes(tmp_path: Path) -> None:
    for rule in rules(permissions(machine(tmp_path))).replace("\\\n", "").split("\n"):
        if not rule.startswith("#"):
            assert "".join(match[0] for match in RULE.finditer(rule)) == rule, rule


def test_a_shell_takes_it(tmp_path: Path) -> None:
    shell = shutil.which("sh")
    assert shell is not None
    subprocess.run([shell, "-n", "-c", permissions(machine(tmp_path))], check=True)


def test_the_state_of_this_machine_is_shown(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    for node in ("dev/i2c-1", "dev/ttyUSB0", "dev/hidraw3", "dev/tty1"):
        sysfs.put(node, "")
    sysfs.put("sys/bus/usb/devices/1-1/idVendor", "5fc9")
    sysfs.put("sys/bus/usb/devices/1-1/idProduct", "0063")
    Powercap(sysfs).zone("intel-rapl:0", "package-0")
    text = permissions(machine(tmp_path))
    for line in (
        "# I²C buses: /dev/i2c-1 readable",
        "# serial ports: /dev/ttyUSB0 readable",
        "# HID meters: /dev/hidraw3 readable",
        "# RAPL counters: intel-rapl:0 readable",
    ):
        assert f"{line}\n" in text
    assert re.search("# USB meters: .*km003c", text)
    assert "tty1" not in text


@pytest.mark.parametrize(("groups", "serial"), [(DEBIAN, "dialout"), ({"uucp"}, "uucp"), (set(), "dialout")])
def test_groups_have_the_distributions_names_and_are_made_where_there_are_none(
    tmp_path: Path, groups: set[str], serial: str
) -> None:
    text = permissions(machine(tmp_path, groups))
    assert f'sudo usermod -aG {serial} "$USER"' in text
    assert f'GROUP="{serial}"' in text
    assert ("sudo groupadd -f dialout" in text) == (not groups)
    assert "sudo groupadd -f rapl" in text


def test_nothing_is_asked_for_that_is_given_already(tmp_path: Path) -> None:
    text = permissions(machine(tmp_path, DEBIAN, {"dialout"}))
    assert "# you are in group dialout" in text
    assert "-aG dialout" not in text
