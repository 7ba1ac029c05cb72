"""Hours left by a gauge's log: the arithmetic, charging and jitter, and recorded gauges."""

import math
import os
from datetime import datetime
from pathlib import Path

import pytest
from devices.real_recordings import recording, rows
from hypothesis import given
from hypothesis import strategies as st

from energymeter.battery.battery import Battery
from energymeter.budget.gauge_log import _FAR, _jitter, hours_from_gauge, hours_from_log
from energymeter.errors import LogError

UPS = "traces/rpi4_ups_discharge/batt_log_2021-04-28_203426.csv"
SOLAR = "traces/rpi_solar/battery_log.csv"


@given(st.floats(0.5, 50), st.integers(10, 90), st.floats(0.001, 1e6))
def test_a_straight_fall_goes_on_in_any_unit(hours: float, seen: int, unit: float) -> None:
    times = [i * hours * 36 for i in range(seen + 1)]
    estimate = hours_from_gauge(times, [(100 - i) * unit for i in range(seen + 1)])
    assert estimate is not None
    assert estimate.value == pytest.approx(hours * (100 - seen) / 100)
    assert estimate.low < estimate.value / 2
    assert estimate.high > estimate.value * 2


@pytest.mark.parametrize(
    "levels",
    [
        [],
        [80.0],
        [80.0] * 5,
        [80.0, 79.0],  # one step: it may have stood at the edge
        [math.nan] * 4,
        [50.0, 40.0, 30.0, 31.0, 32.0, 33.0],  # on the charger
        [30.0, 31.0, 32.0, 33.0, 32.0],
    ],
    ids=str,
)
def test_none_where_nothing_was_discharged(levels: list[float]) -> None:
    assert hours_from_gauge([60.0 * i for i in range(len(levels))], levels) is None


def test_only_the_fall_since_the_charger_counts_and_jitter_is_none() -> None:
    levels = [20.0, 40.0, 60.0, 80.0, *(79.0 - i for i in range(10)), 71.0, 70.0]
    times = [600.0 * i for i in range(len(levels))]
    estimate = hours_from_gauge(times, levels)
    assert estimate is not None
    assert estimate.value == pytest.approx(70 / 10 * 12 / 6, rel=0.1)
    early = hours_from_gauge(times, levels, empty=7.0)
    assert early is not None
    assert early.value == pytest.approx(estimate.value * 63 / 70, rel=0.01)


@given(st.floats(4, 30), st.floats(0.12, 0.9), st.floats(0, 1), st.sampled_from([10.0, 30.0, 60.0]))
def test_a_gauge_of_whole_percents_is_off_by_few_percent(
    hours: float, share: float, phase: float, every: float
) -> None:
    """A steady load on a gauge that counts coulombs and shows 1 % steps, from a full battery on."""
    times = [every * i for i in range(int(share * hours * 3600 / every) + 1)]
    levels = [float(round(min(100.0 + phase - at / hours / 36, 100.0))) for at in times]
    estimate = hours_from_gauge(times, levels)
    assert estimate is not None
    truth = hours * (1 + phase / 100) - times[-1] / 3600
    assert estimate.value == pytest.approx(truth, rel=0.06, abs=0.01 * hours)


def test_a_gauge_that_recovers_whenever_its_load_is_light_is_not_charged() -> None:
    """By voltage: four minutes of ten it shows 7 % less."""
    times = [60.0 * i for i in range(300)]
    estimate = hours_from_gauge(times, [round(95 - i / 6) - 7.0 * (i % 10 < 4) for i in range(300)])
    assert estimate is not None
    assert estimate.value == pytest.approx(42 / 10, rel=0.25)
    charged = [*range(40, 90, 2), *(90 - i / 6 for i in range(100))]
    since = hours_from_gauge([60.0 * i for i in range(125)], [float(round(level)) for level in charged])
    assert since is not None
    assert since.value == pytest.approx(73.5 / 10, rel=0.1)


def test_a_clock_that_goes_back_is_no_time() -> None:
    straight = hours_from_gauge([0, 60, 120, 180], [90, 89, 88, 87])
    assert hours_from_gauge([0, 60, 120, 30, 180], [90, 89, 88, 20, 87]) == straight


def log(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    "title", ["percent", "Battery level (%)", "capacity", "charge_now", "left (mAh)", "Remaining %"]
)
def test_columns_that_are_gauges(tmp_path: Path, title: str) -> None:
    table = "".join(f"{i},{90 - i}\n" for i in range(11)) + "11,\n12"
    hours = hours_from_log(log(tmp_path / "a.csv", f"time (min),{title}\n{table}"))
    assert hours.method == "slope"
    assert hours.hours is not None
    assert hours.hours.value == pytest.approx(80 / 60)


def test_power_and_a_battery_go_before_the_slope(tmp_path: Path) -> None:
    """Half a battery of 10 Wh; 1 Wh of it drawn at 2 W."""
    battery = Battery(2000, volts=5.0, basis="rail").with_(mah=2000)
    table = "".join(f"{i * 60},{50 - i // 10},2.0\n" for i in range(31))
    path = log(tmp_path / "a.csv", f"time_s,percent,power_W\n{table}")
    hours = hours_from_log(path, battery)
    assert hours.method == "energy"
    assert hours.hours is not None
    assert hours.hours.value == pytest.approx((5.0 - 1.0) / 2)
    assert hours_from_log(path).method == "slope"


def test_what_is_no_gauge_log(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="no known gauge column"):
        hours_from_log(log(tmp_path / "a.csv", "time,colour\n1,red\n"))
    with pytest.raises(LogError, match="cannot be read"):
        hours_from_log(str(tmp_path / "none.csv"))


def test_the_pi_4_ups_percent_all_the_way_down() -> None:
    """The true end lies inside the slope's interval; the value is off by up to a factor of nine."""
    table = [[float(word) for word in row] for row in rows(UPS)]
    times, percent = [row[0] for row in table], [row[3] for row in table]
    lasted = times[-1] - times[0]
    for share in (0.05, 0.10, 0.25, 0.5, 0.75, 0.9):
        seen = next(i for i, at in enumerate(times) if at - times[0] >= share * lasted)
        estimate = hours_from_gauge(times[:seen], percent[:seen], empty=0.0)
        assert estimate is not None, share
        assert estimate.low <= (times[-1] - times[seen]) / 3600 <= estimate.high


def test_the_pi_4_ups_by_its_power(tmp_path: Path) -> None:
    """What 79 % hold is 33.6 Wh: a quarter down the true end is known within 2 %."""
    table = rows(UPS)
    quarter = next(i for i, row in enumerate(table) if float(row[0]) - 78 >= 0.25 * 4.12 * 3600)
    head = "Time (s),Volts (mV),Power (mW),Remaining %\n"
    path = log(tmp_path / "ups.csv", head + "".join(",".join(row) + "\n" for row in table[:quarter]))
    battery = Battery(33.593 / 0.79 / 3.7 * 1000, volts=3.7, capacity_sigma=0.05)
    battery = battery.with_(efficiency=1.0, usable=1.0)
    hours = hours_from_log(path, battery)
    assert hours.method == "energy"
    assert hours.hours is not None
    assert hours.hours.value == pytest.approx(
        (float(table[-1][0]) - float(table[quarter][0])) / 3600, rel=0.02
    )


def test_a_night_without_sun_and_a_morning_with_it() -> None:
    """By half past six it fell 69 to 54 % in ten hours, through a gap of eight; the sun then charges it."""
    table = rows(SOLAR)
    assert hours_from_log(str(recording(SOLAR))).hours is None
    times = [datetime.fromisoformat(row[0]).timestamp() for row in table]
    percent = [float(row[1]) if row[1] else math.nan for row in table]
    night = next(i for i, row in enumerate(table) if row[0] == "2021-06-07 06:30:00")
    estimate = hours_from_gauge(times[:night], percent[:night])
    assert estimate is not None
    assert estimate.value == pytest.approx(54 / 15 * 10, rel=0.3), "it fell by 9 % within one step"
    assert hours_from_gauge(times[:17], percent[:17]) is None  # 69 to 67: one step of this gauge


@pytest.mark.parametrize("sign", [1, -1])
def test_the_gauges_own_volts_and_amps_are_of_the_cell(tmp_path: Path, sign: int) -> None:
    """Linux: µV and µA, discharging with either sign; no converter stands between."""
    table = "".join(f"{i * 60},{50 - i // 10},Discharging,4000000,{sign * 500000}\n" for i in range(31))
    path = log(tmp_path / "a.csv", f"time_s,capacity,status,voltage_now,current_now\n{table}")
    hours = hours_from_log(path, Battery(2000, volts=5.0, efficiency=0.8, usable=1.0, capacity_sigma=0.1))
    assert hours.method == "energy"
    assert hours.hours is not None
    assert hours.hours.value == pytest.approx((5.0 - 1.0) / 2)


def test_what_was_charged_is_given_back(tmp_path: Path) -> None:
    """Two of three minutes draw 3 W, one charges with as much: 1 W in the mean, of 9 Wh, for three hours."""
    table = "".join(f"{i},{90 - i // 60},{-3.0 if i % 3 else 3.0}\n" for i in range(181))
    battery = Battery(2000, volts=5.0, efficiency=1.0, usable=1.0, capacity_sigma=0.1)
    hours = hours_from_log(log(tmp_path / "a.csv", f"time (min),percent,power (W)\n{table}"), battery)
    assert hours.hours is not None
    assert hours.hours.value == pytest.approx(6.0, rel=0.02)


def test_a_recording_and_a_forecast_agree_on_what_was_measured(tmp_path: Path) -> None:
    battery = Battery(2000, volts=5.0, basis="rail")
    steady = [f"{i},2\n" for i in range(60)]
    titles = "time_s,power_W\n"
    plain = hours_from_log(log(tmp_path / "a.csv", titles + "".join(steady)), battery).hours
    turned = hours_from_log(log(tmp_path / "b.csv", titles + "".join(reversed(steady))), battery)
    assert turned.hours == plain
    assert "newest first" in turned.note
    footer = hours_from_log(log(tmp_path / "c.csv", titles + "".join(steady) + "Max,2\nMean,2\n"), battery)
    assert footer.hours == plain
    assert "2 of 62 rows left out" in footer.note
    assert footer.read_as == "CSV: time_s [s], power_W [W]"
    gap = [*steady[:30], *(f"{i + 100},2\n" for i in range(30, 60))]
    found = hours_from_log(log(tmp_path / "d.csv", titles + "".join(gap)), battery)
    assert "without readings" in found.note


@pytest.mark.parametrize("title", ["mwh", "BASE (Wh)", "Energy (mWh)"])
def test_energy_that_only_rises_was_used_and_is_no_gauge(tmp_path: Path, title: str) -> None:
    table = f"time_s,{title}\n" + "".join(f"{60 * i},{100 + i}\n" for i in range(30))
    found = hours_from_log(log(tmp_path / "a.csv", table), Battery(20000, volts=5.0, basis="rail"))
    assert found.method == "energy"
    assert hours_from_log(log(tmp_path / "b.csv", f"time_s,{title}\n" + "".join(
        f"{60 * i},{100 - i}\n" for i in range(30)))).method == "slope"  # fmt: skip


def test_of_several_batteries_one_is_chosen(tmp_path: Path) -> None:
    rows = "".join(f"{60 * i},BAT{b},{90 - 30 * b - i / 2}\n" for i in range(40) for b in (0, 1))
    path = log(tmp_path / "a.csv", "time_s,battery,percent\n" + rows)
    with pytest.raises(LogError, match=r"BAT0 and BAT1 in turn, .*a.csv\?channel=BAT0"):
        hours_from_log(path)
    one = hours_from_log(f"{path}?channel=BAT1").hours
    assert one is not None
    assert one.value == pytest.approx(40.5 / 30, rel=0.05)


def test_a_log_of_power_without_a_battery_is_answered_by_a_command(tmp_path: Path) -> None:
    path = log(tmp_path / "a.csv", "time_s,power_W\n0,2\n1,2\n")
    with pytest.raises(LogError, match=r"energymeter budget forecast --log .*a.csv --battery 4000mAh"):
        hours_from_log(path)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LogError, match="no plain file"):
        hours_from_log(str(tmp_path / "pipe"))


def test_jitter_is_far_beyond_what_a_gauge_often_rises_or_one_step() -> None:
    assert _jitter([9.0, 8.0, 7.0, 6.0], 1.0) == 1.0
    seldom = [9.0, 8.0, 8.5, 7.0]
    assert _jitter(seldom, 1.0) == 1.0
    often = [level for start in range(20, 0, -1) for level in (start, start + 1.0, start + 2.0, start - 0.5)]
    assert _jitter(often, 0.1) == pytest.approx(_FAR * 2.0)
