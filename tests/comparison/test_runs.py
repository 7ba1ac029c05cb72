"""Runs as files: whole or not there, never of another comparison, and damage is named."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from comparison.simulated_runs import HERE, run

from energymeter.comparison.commands import command, pattern
from energymeter.comparison.runs import Folder, Run, load_baseline, save_baseline
from energymeter.energy.uncertainty import Component
from energymeter.errors import LogError, SpecError
from energymeter.meter.conditions import Conditions

ONE = run("A", 3, 50.0, started=1.7e9, components=(Component("power gain", 0.1, "ina219", True),), metric=0.9)


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    Folder(tmp_path / "one", {"unit": "run"}).keep(7, ONE)
    assert Folder(tmp_path / "one", {"unit": "run"}).runs() == {7: ONE}


def test_idle_power_is_kept_with_the_run_that_follows(tmp_path: Path) -> None:
    Folder(tmp_path, {}).keep_idle(4, 2.5)
    assert Folder(tmp_path, {}).idle() == {4: 2.5}


def test_another_comparison_is_refused(tmp_path: Path) -> None:
    Folder(tmp_path, {"unit": "run", "arms": ["a"]})
    with pytest.raises(LogError, match="comparison with other arms; name a new folder"):
        Folder(tmp_path, {"unit": "run", "arms": ["b"]})


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(LogError, match="other files"):
        Folder(tmp_path, {})
    assert os.listdir(tmp_path) == ["thesis.tex"]


DAMAGE: dict[str, dict[str, Any]] = {
    "no energy": {"joules": None},
    "negative": {"seconds": -1.0},
    "infinite": {"joules": 1e999},
    "true": {"units": True},
    "a place": {"place": "moon"},
    "a field": {"extra": 1},
    "a component": {"components": [["gain", 1.0]]},
    "a condition": {"before": {"celsius": "hot"}},
    "a pair": {"pair": -1},
    "coverage": {"coverage": 1.5},
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_run_is_named(what: str, tmp_path: Path) -> None:
    folder = Folder(tmp_path, {})
    (tmp_path / "run-000000.json").write_text(json.dumps(ONE.to_dict() | DAMAGE[what]))
    with pytest.raises(LogError, match=r"run-000000.json holds a damaged run .*; remove it"):
        folder.runs()


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null", "7"])
def test_what_is_no_run_is_named(text: str, tmp_path: Path) -> None:
    folder = Folder(tmp_path, {})
    (tmp_path / "run-000000.json").write_text(text)
    with pytest.raises(LogError, match=r"run-000000\.json"):
        folder.runs()


def test_a_baseline_is_read_as_it_was_written_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    save_baseline(path, [ONE])
    assert list(load_baseline(path)) == [ONE]
    with pytest.raises(LogError, match="exists; name another file, or use --force"):
        save_baseline(path, [])
    save_baseline(path, [ONE, ONE], force=True)
    assert len(load_baseline(path)) == 2


@pytest.mark.parametrize("content", [{}, {"format": "energymeter comparison 1", "runs": []}, [], 3])
def test_what_is_no_baseline_is_refused(content: object, tmp_path: Path) -> None:
    (tmp_path / "base.json").write_text(json.dumps(content))
    with pytest.raises(LogError, match="--save-baseline"):
        load_baseline(tmp_path / "base.json")


def test_a_full_disk_leaves_no_half_run(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "gone", {})
    os.unlink(tmp_path / "gone" / "plan.json")
    os.rmdir(tmp_path / "gone")
    with pytest.raises(LogError, match="cannot be written"):
        folder.keep(0, ONE)


def test_conditions_of_a_board(tmp_path: Path) -> None:
    for name, text in {
        "proc/loadavg": "0.52 0.58 0.59 1/100 99",
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        "sys/class/thermal/thermal_zone0/temp": "48312",
        "sys/class/thermal/thermal_zone1/temp": "-274000",
        "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "ondemand",
        "sys/class/power_supply/ac/type": "Mains",
        "sys/class/power_supply/ac/online": "1",
        "var/lib/nvpmodel/status": "pmode:0002",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    now = Conditions.now(str(tmp_path))
    assert now._replace(host="") == Conditions(
        48.312, None, "ondemand", "pmode:0002", True, 0.52, "pi4", battery=False
    )
    assert Conditions.from_dict(now._asdict()) == now
    assert str(now) == "pi4, 48 °C, governor ondemand, power mode pmode:0002, on mains, load 0.52"


def test_conditions_of_a_machine_that_says_nothing(tmp_path: Path) -> None:
    assert Conditions.now(str(tmp_path))._replace(host="") == Conditions()
    assert Run.from_dict(run("A", 0, 1.0, before=HERE, after=Conditions()).to_dict()).before == HERE


def test_files_are_the_users_own_and_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("of somebody")
    folder = Folder(tmp_path / "f", {})
    os.symlink(tmp_path / "other", tmp_path / "f" / "run-000000.json")
    folder.keep(0, ONE)
    os.symlink(tmp_path / "other", tmp_path / "base.json")
    save_baseline(tmp_path / "base.json", [ONE], force=True)
    assert (tmp_path / "other").read_text() == "of somebody"
    assert os.stat(tmp_path / "f").st_mode & 0o777 == 0o700
    for file in (tmp_path / "f" / "run-000000.json", tmp_path / "base.json"):
        assert os.lstat(file).st_mode & 0o777 == 0o600


def test_what_is_too_large_or_no_regular_file_is_refused(tmp_path: Path) -> None:
    folder = Folder(tmp_path, {})
    with open(tmp_path / "run-000000.json", "wb") as file:
        file.truncate((1 << 20) + 1)
    with pytest.raises(LogError, match="larger than"):
        folder.runs()
    os.unlink(tmp_path / "run-000000.json")
    os.mkfifo(tmp_path / "run-000000.json")
    with pytest.raises(LogError, match="no regular file"):
        folder.runs()


def test_of_the_output_of_a_command_the_end_is_searched() -> None:
    flood = "import sys; sys.stdout.write('9 tokens\\n' + 'x' * (2 << 20) + '\\n7 tokens\\n')"
    found = command([sys.executable, "-c", flood], units=pattern(r"^(\d+) tokens", "--units-regex"))()
    assert found.units == 7
    first = "import sys; sys.stdout.write('9 tokens\\n' + 'x' * (2 << 20))"
    with pytest.raises(SpecError, match="has no number"):
        command([sys.executable, "-c", first], units=pattern(r"^(\d+) tokens", "--units-regex"))()
