"""Phones one answer at a time: which words count, how much of a bad answer is shown, what is left open."""

import json
from pathlib import Path

import pytest
from devices.programs import program

from energymeter.drivers.adb import Adb
from energymeter.drivers.protocols.gauge import PhoneBattery
from energymeter.drivers.termux import Termux
from energymeter.errors import ImplausibleReading, SourceError

# Android's BatteryManager: 1 unknown, 2 charging, 3 discharging, 4 not charging, 5 full
STATUS = {
    1: "Unknown",
    2: "Charging",
    3: "Discharging",
    4: "Not charging",
    5: "Full",
    6: "Unknown",
    0: "Unknown",
}


def adb(folder: Path, dump: str) -> Adb:
    (folder / "dump").write_text(dump)
    return Adb(command=program(folder, "adb", f"cat {folder / 'dump'}"))


def termux(folder: Path, answer: str) -> Termux:
    (folder / "answer").write_text(answer)
    return Termux(command=program(folder, "termux-battery-status", f"cat {folder / 'answer'}"))


@pytest.mark.parametrize(("code", "word"), STATUS.items())
@pytest.mark.parametrize(("powered", "plugged"), [("", None), ("false", False), ("true", True)])
def test_what_a_dump_says(tmp_path: Path, code: int, word: str, powered: str, plugged: bool | None) -> None:
    dump = "Current Battery Service state:\n  AC powered: false\n" if powered else "state:\n"
    dump += f"  USB powered: {powered}\n" if powered else ""
    dump += f"  Charge counter: 2483000\n  status: {code}\n  level: 67\n  voltage: 3964\n  status: 2\n"
    assert adb(tmp_path, dump)._ask() == PhoneBattery(word, plugged, 67.0, 2483000.0, 3964.0)


def test_what_a_dump_leaves_out(tmp_path: Path) -> None:
    assert adb(tmp_path, "  status: 3\nlevel: 5\n  voltage: 4.1\n")._ask() == PhoneBattery(
        "Discharging", None, None, None, None
    )
    with pytest.raises(SourceError) as caught:
        adb(tmp_path, f"\n{'x' * 70}\n")._ask()
    command = f"{tmp_path / 'adb'} shell dumpsys battery"
    assert str(caught.value) == f"`{command}` printed {'x' * 60!r}; unlock the phone"


def test_which_phone_is_asked() -> None:
    assert Adb()._command == ["adb", "shell", "dumpsys", "battery"]
    assert Adb("SER1", command="/opt/adb")._command == [
        "/opt/adb",
        "-s",
        "SER1",
        "shell",
        "dumpsys",
        "battery",
    ]
    assert (Adb().name, Adb("SER1").name) == ("adb", "adb@SER1")
    assert (Termux().name, Termux("x").name) == ("termux", "termux@x")


@pytest.mark.parametrize(
    ("said", "battery"),
    [
        (
            {"status": "FULL", "plugged": "UNPLUGGED", "percentage": 80, "charge_counter": 5, "voltage": 4},
            PhoneBattery("FULL", False, 80.0, 5.0, 4.0),
        ),
        ({"plugged": "PLUGGED_AC"}, PhoneBattery("None", True, None, None, None)),
        ({"status": "DISCHARGING", "percentage": "x"}, PhoneBattery("DISCHARGING", None, None, None, None)),
    ],
)
def test_what_an_answer_says(tmp_path: Path, said: dict[str, object], battery: PhoneBattery) -> None:
    assert termux(tmp_path, json.dumps(said))._ask() == battery


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("x" * 70, f"printed {'x' * 60!r} where JSON belongs; install the app Termux:API"),
        ("[" * 100_000, f"printed {'[' * 60!r} where JSON belongs; install the app"),
        ('["' + "y" * 110 + '"]', f'failed: ["{"y" * 98}; open the app Termux:API once'),
        ('{"error": "no\\u001b"}', 'failed: {"error": "no\\u001b"}; open the app Termux:API once'),
        ("5", "failed: 5; open the app Termux:API once"),
    ],
)
def test_answers_without_a_battery(tmp_path: Path, answer: str, said: str) -> None:
    source = termux(tmp_path, answer)
    with pytest.raises(SourceError) as caught:
        source._ask()
    assert str(caught.value).startswith(f"{tmp_path / 'termux-battery-status'} {said}")


@pytest.mark.parametrize(("percent", "fits"), [(67, True), (1, True), (0, True), (None, True)])
def test_the_percentage_holds_the_counter_to_the_size_of_a_battery(
    tmp_path: Path, percent: int | None, fits: bool
) -> None:
    """2.483 Ah at 67 % are 3.7 Ah, and at 1 % 248 Ah; below 1 % nothing can be said."""
    level = "" if percent is None else f"  level: {percent}\n"
    source = adb(tmp_path, f"  Charge counter: 2483000\n  status: 3\n{level}  voltage: 3964\n")
    if percent == 1:
        with pytest.raises(ImplausibleReading, match="a battery of 248 Ah"):
            source.open()
    else:
        source.open()
        assert source.read().coulombs == 0.0
