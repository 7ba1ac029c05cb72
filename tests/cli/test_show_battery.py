"""Logs of battery gauges: ``show`` says how far the battery fell, others name the command that forecasts."""
# ruff: noqa: E501 - tools write lines as long as they like

import json
import shlex
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from energymeter import Trace
from energymeter.cli import cli
from energymeter.errors import LogError

_START = datetime(2026, 5, 4, 10, tzinfo=timezone.utc)


def lines(line: str) -> str:
    """Twelve readings, ten minutes apart, of a battery that falls from 90 to 79 percent."""
    said = []
    for i in range(12):
        now = _START + timedelta(minutes=10 * i)
        said.append(
            line.format(t=int(now.timestamp()), date=now, p=90 - i, at=f"{i // 6}h{i % 6 * 10:02}m00s000ms")
        )
    return "".join(each + "\n" for each in said)


LOGS = {
    "acpi log": lines(
        "{date:%Y-%m-%d %H:%M:%S}+00:00 Battery 0: Discharging, {p}%, 03:42:11 remaining"
    ),
    "upower log": lines(
        "{date:%Y-%m-%d %H:%M:%S}+00:00\n  native-path:          BAT0\n  battery\n    state:               discharging\n"
        "    energy-rate:         8.1 W\n    percentage:          {p}%"
    ),
    "upower history": lines("{t}\t{p}.000\tdischarging"),
    "uevent log": lines("{t}\nPOWER_SUPPLY_NAME=BAT0\nPOWER_SUPPLY_STATUS=Discharging\nPOWER_SUPPLY_CAPACITY={p}"),
    "Windows battery report": "<?xml version='1.0'?>\n<BatteryReport>\n"
    + lines(
        '<UsageEntry Timestamp="{date:%Y-%m-%dT%H:%M:%SZ}" EntryType="Active" Ac="0" ChargeCapacity="{p}000" '
        'FullChargeCapacity="100000"/>'
    )
    + "</BatteryReport>\n",
    "Android dumpsys battery log": lines(
        "{date:%Y-%m-%d %H:%M:%S} +0000\nCurrent Battery Service state:\n  AC powered: false\n  status: 3\n"
        "  level: {p}\n  scale: 100"
    ),
    "Android battery history": "Battery History (2% used, 12KB used of 4096KB, 60 strings using 4KB):\n"
    "                    0 (9) RESET:TIME: 2026-05-04-10-00-00\n"
    "                    0 (2) 095 80100002 status=charging health=good plug=usb temp=290 volt=4123\n"
    + lines("          +{at} (2) 0{p} c0100020 status=discharging health=good plug=none temp=290 volt=4123 +running"),
    "pmset log": lines(
        "{date:%Y-%m-%d %H:%M:%S} +0000 Assertions          \tPID 123(app) Created NoIdle Using Batt (Charge: {p})"
    ),
    "pmset rawlog": lines(
        "{date:%m/%d/%Y %H:%M:%S}\n No AC; Not Charging; {p}%; Cap=4500: FCC=5000; Design=5088; Time=3:20; -900mA; "
        "Cycles=160/1000; Location=0;"
    ),
}  # fmt: skip


def written(folder: Path, name: str) -> str:
    path = folder / "a battery.log"
    path.write_text(LOGS[name])
    return str(path)


@pytest.mark.parametrize("name", LOGS)
def test_show_says_how_far_the_battery_fell(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    shown = CliRunner().invoke(cli, ["show", path])
    assert shown.exit_code == 0, shown.output
    assert f"read as {name}" in shown.output
    assert "battery from 90 % to 79 % in 1 h 50 min, no energy" in shown.output
    answer = json.loads(CliRunner().invoke(cli, ["show", "--json", path]).stdout)
    assert (answer["joules"], answer["seconds"], answer["levels"]) == (None, 6600.0, [90.0, 79.0])


@pytest.mark.parametrize("name", LOGS)
def test_who_wants_an_energy_gets_the_command_that_answers(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    with pytest.raises(LogError, match=f"recognised as {name}") as refused:
        Trace.load(path)
    command = shlex.split(str(refused.value).rpartition("run energymeter ")[2])
    answered = CliRunner().invoke(cli, command)
    assert answered.exit_code == 0, answered.output
    assert "lasts" in answered.output
