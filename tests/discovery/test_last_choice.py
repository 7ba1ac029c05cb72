"""The last choice: what it is kept in, what makes it void, and what others cannot do with the file."""

import json
import os
import stat
from pathlib import Path

import pytest
from devices.sysfs import Powercap, PowerSupply, Sysfs

from energymeter.discovery.last_choice import fingerprint, recall, remember


def test_the_fingerprint_changes_with_devices_rights_and_packages(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    packages = tmp_path / "site-packages"
    packages.mkdir()
    seen = [fingerprint(["/run/jtop.sock"], sysfs.root, [str(packages)])]

    def changed() -> bool:
        seen.append(fingerprint(["/run/jtop.sock"], sysfs.root, [str(packages)]))
        return seen[-1] not in seen[:-1]

    sysfs.put("proc/sys/kernel/random/boot_id", "one")
    assert changed()
    for node in ("dev/i2c-1", "dev/hidraw0", "dev/ttyUSB0", "dev/vcio", "run/jtop.sock"):
        sysfs.put(node, "")
        assert changed(), node
    sysfs.put("dev/tty7", "")
    assert not changed()
    Powercap(sysfs).zone("intel-rapl:0", "package-0")
    assert changed()
    sysfs.remove("sys/class/powercap/intel-rapl:0/energy_uj")
    assert changed()
    PowerSupply(sysfs, "BAT0").laptop()
    assert changed()
    sysfs.put("sys/class/power_supply/BAT0/status", "Charging")
    assert changed()
    sysfs.put("sys/bus/usb/devices/1-1", "")
    assert changed()
    os.utime(packages, ns=(1, 1))
    assert changed()
    assert fingerprint(["/run/jtop.sock"], sysfs.root, [str(packages)]) == seen[-1]


@pytest.fixture
def memory(home: Path) -> Path:
    folder = home / "cache" / "energymeter"
    folder.mkdir(parents=True)
    return folder / "choice.json"


def test_it_is_kept_for_this_user_alone(memory: Path) -> None:
    remember(["rapl", "a test", False], {"/run/jtop.sock"})
    assert recall() == ["rapl", "a test", False]
    assert stat.S_IMODE(memory.stat().st_mode) == 0o600
    assert [path.name for path in memory.parent.iterdir()] == ["choice.json"]


def test_no_link_is_followed(memory: Path, tmp_path: Path) -> None:
    thesis = tmp_path / "thesis.tex"
    thesis.write_text("precious")
    memory.symlink_to(thesis)
    (memory.parent / f"choice.json.{os.getpid()}").symlink_to(thesis)
    assert recall() is None
    remember(["rapl", "a test", False], ())
    assert thesis.read_text() == "precious"
    assert not memory.is_symlink()
    elsewhere = tmp_path / "elsewhere.json"
    memory.rename(elsewhere)
    memory.symlink_to(elsewhere)
    assert recall() is None, "another user's file could lie behind a link"


@pytest.mark.parametrize("kept", [[], {}, {"signs": 5}, {"signs": ["x"] * 1_000_000}])
def test_what_makes_no_sense_is_nothing(memory: Path, kept: object) -> None:
    memory.write_text(json.dumps(kept))
    assert recall() is None


def test_a_pipe_is_not_waited_for(memory: Path) -> None:
    os.mkfifo(memory)
    assert recall() is None
