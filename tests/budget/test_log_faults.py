"""Ways in which a log could lead to a wrong number of hours, and what is said instead.

==============================  ========================================================================
a log with                      what counts
==============================  ========================================================================
volts and amps                  their product, of either sign, in any unit
no load                         no hours: nothing was discharged
charging, then discharging      what followed the last charging; without a gauge, no hours
charging now and then           is given back; a full battery takes no more
a gap (sleep, a dead logger)    half the mean load, and as much more uncertainty
a gauge that stands at 100 %    what was drawn meanwhile counts
a state of charge from 0 to 1   is taken as such
a gauge in mAh                  its share of the label
percent above 100               is refused
several channels                are asked for
a step of the load              the load since then
a clock that goes back          rows without time count nothing
more drawn than the label       a larger battery, or no hours
``empty``                       what is above it; at or below it, no hours
==============================  ========================================================================
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from energymeter.battery.battery import Battery
from energymeter.budget.gauge_log import GaugeHours, hours_from_gauge, hours_from_log, left_by_gauge
from energymeter.errors import LogError

KNOWN = Battery(2000, efficiency=1.0, capacity_sigma=0.05)
"""6.93 Wh at the cell."""
WH = 2 * 3.85 * 0.9
MINUTE = 60

Log = Callable[..., GaugeHours]


@pytest.fixture
def forecast(tmp_path: Path) -> Log:
    """The hours of a log with a row a minute."""

    def of(
        head: str,
        row: Callable[[int], str],
        minutes: int = 120,
        battery: Battery | None = KNOWN,
        empty: float = 0.0,
    ) -> GaugeHours:
        path = tmp_path / "log.csv"
        path.write_text(head + "\n" + "".join(row(i) + "\n" for i in range(minutes + 1)))
        return hours_from_log(str(path), battery, empty=empty)

    return of


def value(found: GaugeHours) -> float:
    assert found.hours is not None, found.reason
    assert found.hours.low < found.hours.value < found.hours.high
    return found.hours.value


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("head", "volts", "amps"),
    [
        ("time_s,voltage_V,current_A", 3.8, 0.5),
        ("time_s,volts,amps", 3.8, 0.5),
        ("time_s,Voltage (mV),Current (mA)", 3800, 500),
        ("time_s,voltage_now,current_now", 3_800_000, 500_000),
    ],
)
def test_volts_times_amps_count_of_either_sign(
    forecast: Log, head: str, volts: float, amps: float, sign: int
) -> None:
    found = forecast(head, lambda i: f"{i * MINUTE},{volts},{sign * amps}")
    assert value(found) == pytest.approx((WH - 3.8) / 1.9, rel=0.001)
    assert "counted at the cell" in found.note
    assert "from a full battery" in found.note


def test_volts_at_the_rail_are_behind_the_converter(forecast: Log) -> None:
    battery = KNOWN.with_(efficiency=0.8)
    found = forecast("time_s,voltage_V,current_A", lambda i: f"{i * MINUTE},5.0,0.38", 60, battery)
    assert value(found) == pytest.approx((WH * 0.8 - 1.9) / 1.9, rel=0.001)
    assert "cell" not in found.note


@pytest.mark.parametrize("idle", [0, 80])
def test_negative_power_counts_also_after_a_rest(forecast: Log, idle: int) -> None:
    found = forecast("time_s,power_W", lambda i: f"{i * MINUTE},{0 if i < idle else -1.9}", idle + 60)
    assert value(found) == pytest.approx((WH - 1.9) / 1.9, rel=0.02)


@pytest.mark.parametrize("row", ["{},0", "{},-0.0"])
def test_no_load_has_no_hours(forecast: Log, row: str) -> None:
    found = forecast("time_s,power_W", lambda i: row.format(i * MINUTE))
    assert found.hours is None
    assert found.reason.startswith("nothing was discharged")


def test_only_what_followed_the_last_charging_counts(forecast: Log) -> None:
    """Most of the rows charge: the sign of those after the top means drawing."""

    def row(i: int) -> str:
        percent = 20 + 0.7 * i if i < 100 else 90 - (i - 100) * 0.45
        return f"{i * MINUTE},{percent:.0f},{-5.0 if i < 100 else 1.9}"

    assert value(forecast("time_s,percent,power_W", row, 160)) == pytest.approx(
        (WH * 0.9 - 1.9) / 1.9, rel=0.03
    )
    bare = forecast("time_s,power_W", lambda i: f"{i * MINUTE},{-5.0 if i < 100 else 1.9}", 160)
    assert bare.hours is None


def test_a_full_battery_takes_no_more(forecast: Log) -> None:
    """Forty minutes on a charger of 3 W before an hour and a half at 1.9 W."""
    found = forecast("time_s,power_W", lambda i: f"{i * MINUTE},{-3.0 if i < 40 else 1.9}", 130)
    assert found.hours is None or found.hours.value < WH / 1.9 - 1.4


def test_a_gap_may_be_sleep_or_use(forecast: Log) -> None:
    """One of two hours is missing: the truth lies between nothing and all of it."""
    head = "time_s,power_W"
    whole = forecast(head, lambda i: f"{i * MINUTE},1.9")
    gap = forecast(head, lambda i: f"{(i if i <= 30 else i + 60) * MINUTE},1.9", 60)
    blank = forecast(head, lambda i: f"{i * MINUTE},{1.9 if i <= 30 or i >= 90 else ''}", 120)
    assert value(gap) == pytest.approx(value(whole) + 0.5, rel=0.01)
    assert value(blank) == pytest.approx(value(gap), rel=0.02)
    assert gap.hours is not None
    assert whole.hours is not None
    assert gap.hours.low < value(whole) < value(whole) + 1 < gap.hours.high
    assert "1 h 1 min without readings" in gap.note
    assert whole.note == "from a full battery"


def test_a_gauge_that_stands_at_100_percent(forecast: Log) -> None:
    def row(i: int) -> str:
        return f"{i * MINUTE},{100 if i < 60 else 100 - (i - 60) * 0.45:.0f},1.9"

    assert value(forecast("time_s,percent,power_W", row)) == pytest.approx((WH - 3.8) / 1.9, rel=0.001)


def test_units_of_the_gauge(forecast: Log) -> None:
    fraction = forecast("time_s,soc,power_W", lambda i: f"{i * MINUTE},{0.9 - i * 0.004:.3f},1.9", 60)
    assert value(fraction) == pytest.approx((0.9 * WH - 1.9) / 1.9, rel=0.001)
    mah = forecast("time_s,left (mAh),power_W", lambda i: f"{i * MINUTE},{1500 - i * 8},1.9", 60)
    assert value(mah) == pytest.approx((0.75 * WH - 1.9) / 1.9, rel=0.001)
    kernel = forecast("time_s,charge_now,power_W", lambda i: f"{i * MINUTE},{1_500_000 - i * 8000},1.9", 60)
    assert value(kernel) == pytest.approx(value(mah), rel=0.001)
    with pytest.raises(LogError, match="how full"):
        forecast("time_s,remaining,power_W", lambda i: f"{i * MINUTE},{1500 - i * 8},1.9")
    with pytest.raises(LogError, match="250 %"):
        forecast("time_s,percent,power_W", lambda i: f"{i * MINUTE},{250 - i},1.9")


def test_channels_that_count_are_added(forecast: Log, tmp_path: Path) -> None:
    both = forecast("time_s,device,power_W", lambda i: f"{i // 2 * MINUTE},{'ab'[i % 2]},1.9")
    assert value(both) == pytest.approx((WH - 3.8) / 3.8, rel=0.03)
    one = hours_from_log(f"{tmp_path / 'log.csv'}?channel=a", KNOWN)
    assert value(one) == pytest.approx((WH - 1.9) / 1.9, rel=0.001)


def test_of_channels_inside_each_other_only_the_total_counts(forecast: Log) -> None:
    nested = forecast("time_s,rail,power_W", lambda i: f"{i // 2 * MINUTE},{['total', 'cpu'][i % 2]},1.9")
    assert value(nested) == pytest.approx((WH - 1.9) / 1.9, rel=0.001)
    with pytest.raises(LogError, match=r"energymeter budget forecast --log '.*\?channel=cpu'"):
        forecast("time_s,rail,power_W", lambda i: f"{i // 2 * MINUTE},{['cpu', 'gpu'][i % 2]},1.9")


def test_the_load_since_it_last_changed(forecast: Log) -> None:
    found = forecast("time_s,power_W", lambda i: f"{i * MINUTE},{1.0 if i < 80 else 3.0}", 140)
    assert value(found) == pytest.approx((WH - 80 / 60 - 3) / 3, rel=0.03)


def test_a_clock_that_goes_back_is_no_time(forecast: Log) -> None:
    found = forecast("time_s,power_W", lambda i: f"{(i if i < 60 else i - 30) * MINUTE},1.9")
    assert value(found) == pytest.approx((WH - 3.8) / 1.9, rel=0.02)


def test_a_cell_larger_than_its_label(forecast: Log) -> None:
    label = KNOWN.with_(capacity_sigma=None)
    spent = forecast("time_s,power_W", lambda i: f"{i * MINUTE},1.9", 230, label)
    assert spent.reason.startswith("cannot tell yet: anything from")
    assert "known only by its label" in spent.reason
    never = forecast("time_s,power_W", lambda i: f"{i * MINUTE},1.9", 900, label)
    assert never.reason.startswith("cannot tell: 2000 mAh cannot give so much")


def test_only_what_is_above_empty_counts(forecast: Log) -> None:
    def row(i: int) -> str:
        return f"{i * MINUTE},{90 - i * 0.45:.0f},1.9"

    found = forecast("time_s,percent,power_W", row, 60, empty=7.0)
    assert value(found) == pytest.approx((0.83 * WH - 1.9) / 1.9, rel=0.001)
    with pytest.raises(LogError, match="--empty"):
        forecast("time_s,power_W", lambda i: f"{i * MINUTE},1.9", empty=7.0)


@pytest.mark.parametrize("battery", [KNOWN, None])
@pytest.mark.parametrize(("start", "empty"), [(60, 7.0), (53, 0.0)])
def test_at_or_below_empty_and_running_there_are_no_hours(
    forecast: Log, battery: Battery | None, start: float, empty: float
) -> None:
    found = forecast(
        "time_s,percent,power_W",
        lambda i: f"{i * MINUTE},{max(start - i * 0.45, 0):.0f},1.9",
        120,
        battery,
        empty,
    )
    assert found.hours is None
    assert found.reason.startswith("cannot tell: the gauge reads")
    assert "--empty" in found.reason


def test_the_slip_is_of_what_is_left_above_empty() -> None:
    times = [60.0 * i for i in range(31)]
    levels = [60.0 - i / 2 for i in range(31)]
    all_of_it, above = hours_from_gauge(times, levels), hours_from_gauge(times, levels, empty=40.0)
    assert all_of_it is not None
    assert above is not None
    assert above.value == pytest.approx(all_of_it.value / 9, rel=0.01)
    assert above.high / above.value < 0.85 * all_of_it.high / all_of_it.value, "5 % above empty slip little"
    assert above.value / above.low == pytest.approx(all_of_it.value / all_of_it.low), "a slip makes it longer"


def test_a_fall_of_a_few_percent_says_how_long_to_wait() -> None:
    def left(minutes: int) -> tuple[str, bool]:
        found = left_by_gauge(
            [60.0 * i for i in range(minutes + 1)], [100 - i * 0.5 for i in range(minutes + 1)], unit=" %"
        )
        return found.reason, found.hours is not None

    reason, given = left(5)
    assert not given
    assert reason.startswith("cannot tell yet: anything 1 h 12 min or far more; ")
    assert "the gauge fell by 2.5 % only: log 14 min more" in reason
    assert "--battery" in reason
    assert not left(5 + 11)[1]
    assert left(5 + 15)[1], "as was promised"
