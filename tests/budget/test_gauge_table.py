"""Logs of battery gauges as phones, laptops and boards write them: each shape, its charging and its times."""

import math
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.budget.gauge_log import hours_from_log
from energymeter.budget.gauge_table import Gauge, read
from energymeter.errors import LogError

START = 1_700_000_000
"""2023-11-14 22:13:20 UTC."""
PERCENTS = [90, 91, 92, 91, 90, 89, 88, 87, 86, 85, 84, 83, 82]
"""Charging up to 92, every ten minutes; then it falls."""
STATES = ["charging"] * 3 + ["discharging"] * 10


def at(row: int) -> datetime:
    return datetime.fromtimestamp(START + 600 * row, timezone.utc)


def csv_of(head: str, line: str) -> str:
    rows = [
        line.format(t=START + 600 * i, date=at(i), p=p, s=s, cc=2 if s == "charging" else 3)
        for i, (p, s) in enumerate(zip(PERCENTS, STATES, strict=True))
    ]
    return head + "".join(row + "\n" for row in rows)


SHAPES = {
    "csv": csv_of("time,percent,status\n", "{t},{p},{s}"),
    "csv with a percent sign": csv_of(
        "Timestamp;Battery;%;State\n", "{date:%Y-%m-%d %H:%M:%S+00:00};x;{p}%;{s}"
    ),
    "percent as a float, ms": csv_of("timestamp,battery_level,is_charging\n", "{t}000,{p}.0,{s}"),
    "microseconds": csv_of("timestamp,level,status\n", "{t}000000,{p},{s}"),
    "a unit in the title": csv_of("time (ms),level,status\n", "{t}000,{p},{s}"),
    "ISO 8601 with Z and a fraction": csv_of("date,soc,status\n", "{date:%Y-%m-%dT%H:%M:%S}.5Z,{p},{s}"),
    "android numbers": csv_of(
        "time,status,level,voltage,current_now,temperature\n", "{t},{cc},{p},3900,-412000,251"
    ),
    "tabs": csv_of("time\tpercentage\tstate\n", "{t}\t{p}\t{s}"),
    "upower": csv_of("", "{t}\t{p}.000\t{s}"),
    "uevent": csv_of(
        "",
        "{t}\nPOWER_SUPPLY_NAME=BAT0\nPOWER_SUPPLY_STATUS={s}\nPOWER_SUPPLY_CURRENT_NOW=-412000\n"
        "POWER_SUPPLY_CHARGE_NOW=2100000\nPOWER_SUPPLY_CAPACITY={p}\nPOWER_SUPPLY_CAPACITY_LEVEL=Normal",
    ),
    "dumpsys battery": csv_of(
        "",
        "{date:%Y-%m-%d %H:%M:%S} +0000\nCurrent Battery Service state:\n  AC powered: false\n"
        "  status: {cc}\n"
        "  level: {p}\n  scale: 100\n  voltage: 3900\n  temperature: 251\n",
    ),
    "pmset": csv_of(
        "",
        "{date:%Y-%m-%d %H:%M:%S} +0000 IOPSNotificationCreateRunLoopSource\n"
        "Now drawing from 'Battery Power'\n"
        " -InternalBattery-0 (id=4653155)\t{p}%; {s}; 3:42 remaining present: true",
    ),
    "pmset, a line each": csv_of(
        "", "{date:%Y-%m-%d %H:%M:%S} +0000 -InternalBattery-0 (id=1)\t{p}%; {s}; (no estimate) present: true"
    ),
    "powercfg": "<?xml version='1.0'?>\n<BatteryReport xmlns='http://schemas.microsoft.com/battery/2012'>"
    + "".join(
        f'<UsageEntry Timestamp="{at(i):%Y-%m-%dT%H:%M:%SZ}" EntryType="Active" Ac="{int(s == "charging")}" '
        f'ChargeCapacity="{p * 500}" FullChargeCapacity="50000"/>\n'
        for i, (p, s) in enumerate(zip(PERCENTS, STATES, strict=True))
    )
    + "</BatteryReport>",
}


def gauge(tmp_path: Path, text: str) -> Gauge | None:
    (tmp_path / "log").write_text(text)
    return read(str(tmp_path / "log"))


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_shows_the_fall_since_it_was_charged(tmp_path: Path, shape: str) -> None:
    found = gauge(tmp_path, SHAPES[shape])
    assert found is not None
    assert found.levels == PERCENTS[3:]
    assert found.in_percent
    assert found.times_s == pytest.approx([START + 600 * i for i in range(3, 13)], abs=0.6)
    hours = hours_from_log(str(tmp_path / "log")).hours
    assert hours is not None
    assert hours.value == pytest.approx(82 / 9 * 1.5)


def test_on_the_charger_there_are_no_hours(tmp_path: Path) -> None:
    found = gauge(tmp_path, "time,percent,plugged\n" + "".join(f"{i * 60},{90 - i},2\n" for i in range(9)))
    assert found is not None
    assert found._replace(read_as="") == Gauge([], [], True, [], False)
    assert hours_from_log(str(tmp_path / "log")).hours is None


def test_a_full_mac_on_its_adapter(tmp_path: Path) -> None:
    lines = [
        "2024-01-01 10:00:00 +0100 -InternalBattery-0 (id=1)\t100%; AC attached; not charging present: true",
        "2024-01-01 10:10:00 +0100 -InternalBattery-0 (id=1)\t100%; charged; 0:00 remaining present: true",
        "2024-01-01 10:20:00 +0100 -InternalBattery-0 (id=1)\t99%; discharging; 6:10 remaining",
    ]
    found = gauge(tmp_path, "\n".join(lines))
    assert (found.times_s, found.levels, found.in_percent) == ([1704100800.0], [99.0], True)


def test_charge_and_energy_count_too(tmp_path: Path) -> None:
    rows = "".join(f"{START + 60 * i},{2_000_000 - 10_000 * i},Discharging\n" for i in range(41))
    for title in ("charge_now", "energy_now", "charge_counter (uAh)"):
        found = gauge(tmp_path, f"timestamp,{title},status\n{rows}")
        assert found is not None
        assert not found.in_percent
        hours = hours_from_log(str(tmp_path / "log")).hours
        assert hours is not None
        assert hours.value == pytest.approx(160 / 60)


def test_seconds_since_the_start_stay_seconds(tmp_path: Path) -> None:
    found = gauge(tmp_path, "t,level\n0,90\n60,89\n120,88\n")
    assert (found.times_s, found.levels, found.in_percent) == ([0.0, 60.0, 120.0], [90.0, 89.0, 88.0], True)
    assert all(math.isnan(watts) for watts in found.watts)


def test_rows_without_a_level_are_gaps(tmp_path: Path) -> None:
    found = gauge(tmp_path, "time,level\n0,90\n60,\n120,unknown\n180,89%\nlater,88\n")
    assert found is not None
    assert found.times_s == [0.0, 60.0, 120.0, 180.0]
    assert [math.isnan(level) for level in found.levels] == [False, True, True, False]


@pytest.mark.parametrize("text", ["", "\n\n", "hello\n", "time,colour\n1,red\n", "1700000000 nothing here\n"])
def test_what_is_no_gauges_log_gets_one_sentence(tmp_path: Path, text: str) -> None:
    assert gauge(tmp_path, text) is None
    with pytest.raises(LogError, match=r"write a CSV of time and percent"):
        hours_from_log(str(tmp_path / "log"))


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_no_file_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.log"
    file.write_bytes(content)
    try:
        found = read(str(file))
    except LogError:
        return
    assert found is None or len(found.times_s) == len(found.levels)
