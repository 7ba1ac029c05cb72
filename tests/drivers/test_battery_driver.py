"""Battery gauges: which way they count, steps, chargers, and files that fail."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from devices.measured import measured
from devices.real_recordings import recording
from devices.sysfs import PowerSupply, Sysfs, check_faults
from hypothesis import given
from hypothesis import strategies as st

from energymeter.drivers.battery import Battery
from energymeter.drivers.protocols.gauge import Gauge
from energymeter.errors import ImplausibleReading, NotMeasured, SourceError, SourceMissing, SpecError
from energymeter.reading import Reading


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


def opened(sysfs: Sysfs, place: str = "", by: str = "gauge") -> Battery:
    battery = Battery(place, by=by, root=sysfs.root)
    battery.open()
    return battery


def test_what_leaves_an_energy_gauge_is_counted_upwards(sysfs: Sysfs) -> None:
    supply = PowerSupply(sysfs).laptop(49_450_000)
    (cell,) = opened(sysfs).channels()
    assert cell.read().joules == 0.0
    supply.set("energy_now", 49_440_000)
    assert cell.read().joules == pytest.approx(36.0)
    supply.set("energy_now", 49_400_000)
    reading = cell.read()
    assert reading.joules == pytest.approx(180.0)
    assert reading.volts == pytest.approx(12.229)
    assert reading.coulombs is None


def test_what_leaves_a_charge_gauge_is_counted_at_the_mean_voltage(sysfs: Sysfs) -> None:
    supply = PowerSupply(sysfs, "battery").phone(2_345_000)
    (cell,) = opened(sysfs).channels()
    cell.read()
    supply.set("voltage_now", 12_029_000)
    supply.set("charge_now", 2_245_000)
    reading = cell.read()
    assert reading.coulombs == pytest.approx(360.0)
    assert reading.joules == pytest.approx(360.0 * 12.129)


def test_the_granularity_is_in_the_band(sysfs: Sysfs) -> None:
    PowerSupply(sysfs, "BAT0").laptop()
    PowerSupply(sysfs, "BAT1").phone()
    laptop, phone = opened(sysfs).channels()
    assert laptop.facts.semantics == "counter"
    assert laptop.facts.place == "cell"
    assert laptop.facts.joules is not None
    assert laptop.facts.joules.resolution == pytest.approx(36.0)  # 10 mWh
    assert phone.facts.coulombs is not None
    assert phone.facts.coulombs.resolution == pytest.approx(3.6)  # 1 mAh


def test_a_gauge_that_stands_still_gives_no_sample_and_not_zero(sysfs: Sysfs) -> None:
    """Ten minutes between steps: 600 looks, one sample."""
    supply = PowerSupply(sysfs).laptop(49_450_000)
    (cell,) = opened(sysfs).channels()
    assert cell.read().fresh
    assert not any(cell.read().fresh for _ in range(600))
    supply.set("energy_now", 49_350_000)
    assert cell.read().joules == pytest.approx(360.0)


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging"])
@pytest.mark.parametrize("by", ["gauge", "power"])
def test_a_battery_on_its_charger_is_an_error_and_not_zero(sysfs: Sysfs, status: str, by: str) -> None:
    supply = PowerSupply(sysfs).laptop(status=status)
    with pytest.raises(SourceError, match="unplug the charger"):
        opened(sysfs, by=by)
    supply.set("status", "Discharging")
    (cell,) = opened(sysfs, by=by).channels()
    cell.read()
    supply.set("status", status)
    with pytest.raises(SourceError, match=status.lower()):
        cell.read()


@pytest.mark.parametrize("microamps", [166_000, -166_000])
def test_instants_take_their_direction_from_status(sysfs: Sysfs, microamps: int) -> None:
    supply = PowerSupply(sysfs).phone()
    supply.set("current_now", microamps)
    (cell,) = opened(sysfs, by="power").channels()
    assert cell.facts.semantics == "instant"
    reading = cell.read()
    assert reading.volts == pytest.approx(12.229)
    assert reading.amps == pytest.approx(0.166)
    supply.set("status", "Unknown")
    with pytest.raises(SourceError, match="by=gauge"):
        cell.read()


def test_power_now_where_there_is_one(sysfs: Sysfs) -> None:
    PowerSupply(sysfs).laptop()
    assert opened(sysfs, by="power").read().watts == pytest.approx(4.83)


def test_a_gauge_that_is_recalibrated_is_a_gap(sysfs: Sysfs) -> None:
    supply = PowerSupply(sysfs).laptop(40_000_000)
    (cell,) = opened(sysfs).channels()
    cell.read()
    supply.set("energy_now", 45_000_000)
    with pytest.raises(SourceError, match="jumped up"):
        cell.read()
    supply.set("energy_now", 44_990_000)
    assert cell.read().joules == pytest.approx(36.0)


@given(
    st.integers(1_000, 4_000),
    st.lists(st.integers(-3, 12), min_size=1, max_size=60),
)
def test_jitter_is_never_consumption(start: int, falls: list[int]) -> None:
    """Whatever small steps up there are, the count never falls and never exceeds the deepest point."""
    gauge = Gauge("x")
    left = start
    lowest = start
    seen = [0.0]
    gauge.by_energy(float(start), None)
    for fall in falls:
        left -= fall
        lowest = min(lowest, left)
        reading = gauge.by_energy(float(left), None)
        if reading.fresh:
            assert reading.joules is not None
            seen.append(reading.joules)
            assert reading.joules == start - lowest
    assert all(early < late for early, late in pairwise(seen[1:]))


def test_several_batteries_are_channels_and_others_are_not_ours(sysfs: Sysfs) -> None:
    PowerSupply(sysfs, "BAT0").laptop()
    PowerSupply(sysfs, "BAT1").laptop()
    PowerSupply(sysfs, "hidpp_battery_0").laptop().set("scope", "Device")
    sysfs.fill("sys/class/power_supply/AC", {"type": "Mains", "online": 0})
    sysfs.fill(
        "sys/class/power_supply/ucsi-source-psy-1", {"type": "USB", "voltage_now": 5, "current_now": 3}
    )
    assert [cell.name for cell in opened(sysfs).channels()] == ["battery:BAT0", "battery:BAT1"]
    assert [cell.name for cell in opened(sysfs, "BAT1").channels()] == ["battery:BAT1"]
    with pytest.raises(SourceMissing, match="BAT7"):
        opened(sysfs, "BAT7")


@pytest.mark.parametrize("resting", ["Unknown", "Not charging", "Full"])
def test_two_batteries_take_turns(sysfs: Sysfs, resting: str) -> None:
    """A ThinkPad's (cbatticon issues 16 and 25, laptop-mode-tools issue 94)."""
    first = PowerSupply(sysfs, "BAT0").laptop(20_000_000)
    second = PowerSupply(sysfs, "BAT1").laptop(23_000_000, status=resting)
    second.set("power_now", 0)
    assert opened(sysfs, by="power").read().watts == pytest.approx(4.83)
    bat0, bat1 = opened(sysfs).channels()
    assert (bat0.read().joules, bat1.read().joules) == (0.0, 0.0)
    first.set("energy_now", 19_990_000)
    assert bat0.read().joules == pytest.approx(36.0)
    assert bat1.read() == Reading(volts=12.229, joules=0.0), "at rest: it gives nothing"
    first.set("status", resting)
    second.set("status", "Discharging")
    second.set("energy_now", 22_970_000)
    assert bat0.read().joules == pytest.approx(36.0)
    assert bat1.read().joules == pytest.approx(108.0)
    second.set("status", "Charging")
    with pytest.raises(SourceError, match="unplug the charger"):
        bat1.read()


@pytest.mark.parametrize("by", ["gauge", "power"])
def test_the_sum_of_two_batteries_one_at_rest(sysfs: Sysfs, by: str) -> None:
    sysfs.fill("sys/class/power_supply/AC", {"type": "Mains", "online": 0})
    rests = PowerSupply(sysfs, "BAT0").laptop(1_410_000, status="Unknown")
    rests.set("power_now", 0)
    gives = PowerSupply(sysfs, "BAT1").laptop(20_000_000)
    gives.set("power_now", 100_000_000)

    def discharge(n: int) -> None:
        gives.set("energy_now", 20_000_000 - 10_000 * int(n * 100 / 36))  # 100 W in steps of 36 J

    usage = measured(Battery(by=by, root=sysfs.root), discharge, seconds=60)
    assert usage.mean_watts == pytest.approx(100.0, rel=0.01)
    assert usage.coverage == pytest.approx(1.0)


def test_a_battery_that_nobody_built_in_is_none(sysfs: Sysfs) -> None:
    PowerSupply(sysfs, "BAT0").laptop()
    phantom = PowerSupply(sysfs, "BAT1").laptop(0, status="Unknown")
    for key in ("energy_full", "energy_full_design"):
        phantom.set(key, 0)
    assert [cell.name for cell in opened(sysfs).channels()] == ["battery:BAT0"]


def test_a_battery_without_a_gauge_is_left_out_and_said(sysfs: Sysfs) -> None:
    sysfs.fill("sys/class/power_supply/BAT0", {"type": "Battery", "status": "Discharging", "capacity": 80})
    PowerSupply(sysfs, "BAT1").laptop()
    battery = opened(sysfs)
    assert [cell.name for cell in battery.channels()] == ["battery:BAT1"]
    assert "battery:BAT0 is not in the total" in battery.notes[0]


@pytest.mark.parametrize("status", ["Discharging", "Unknown", "Not charging", "Full"])
@pytest.mark.parametrize("kind", ["Mains", "USB", "Wireless"])
def test_whether_a_charger_is_connected_counts_for_more_than_the_status(
    sysfs: Sysfs, status: str, kind: str
) -> None:
    PowerSupply(sysfs).laptop(status=status)
    sysfs.fill("sys/class/power_supply/AC", {"type": kind, "online": 0})
    sysfs.fill("sys/class/power_supply/USB2", {"type": "USB", "online": 0})
    assert opened(sysfs).read().joules == 0.0
    assert opened(sysfs, by="power").read().watts == pytest.approx(4.83)
    sysfs.put("sys/class/power_supply/AC/online", 1)
    for by in ("gauge", "power"):
        with pytest.raises(SourceError, match=r"is on the mains.*unplug the charger"):
            opened(sysfs, by=by)


def test_the_charger_of_a_mouse_feeds_nobody(sysfs: Sysfs) -> None:
    PowerSupply(sysfs).laptop()
    sysfs.fill("sys/class/power_supply/mouse_charger", {"type": "USB", "online": 1, "scope": "Device"})
    assert opened(sysfs).read().joules == 0.0


def test_a_status_that_lags_behind_the_charger_is_waited_for(sysfs: Sysfs) -> None:
    PowerSupply(sysfs).laptop(status="Charging")
    sysfs.fill("sys/class/power_supply/AC", {"type": "Mains", "online": 0})
    with pytest.raises(SourceError, match="no charger connected; wait"):
        opened(sysfs)


@pytest.mark.parametrize("by", ["gauge", "power"])
@pytest.mark.parametrize("seconds", [1, 2, 30])
def test_what_was_used_on_the_charger_is_unknown(sysfs: Sysfs, by: str, seconds: int) -> None:
    """However short it was, and whether the gauge has moved meanwhile or not."""
    supply = PowerSupply(sysfs).laptop()
    sysfs.fill("sys/class/power_supply/AC", {"type": "Mains", "online": 0})

    def charge(n: int) -> None:
        sysfs.put("sys/class/power_supply/AC/online", int(20 <= n < 20 + seconds))
        supply.set("energy_now", 49_000_000 - 50_000 * (n if n < 20 else max(n - seconds, 20)))
        supply.set("power_now", 280_000_000 if 20 <= n < 20 + seconds else 20_000_000 + n)

    usage = measured(Battery(by=by, root=sysfs.root), charge, seconds=80)
    gap_seconds = usage.seconds * (1 - usage.coverage)
    assert seconds <= gap_seconds <= seconds + 5
    assert usage.mean_watts == pytest.approx(180.0 if by == "gauge" else 20.0, rel=0.05)


@pytest.mark.parametrize("energy_now", [4 * 50_060_000, -5_000_000])
def test_more_than_a_battery_holds_is_refused(sysfs: Sysfs, energy_now: int) -> None:
    supply = PowerSupply(sysfs).laptop()
    (cell,) = opened(sysfs).channels()
    cell.read()
    supply.set("energy_now", energy_now)
    with pytest.raises(SourceError, match="no battery holds"):
        cell.read()
    supply.set("energy_now", 49_440_000)
    assert cell.read().joules == pytest.approx(36.0)


def test_a_charge_without_a_voltage_is_no_energy(sysfs: Sysfs) -> None:
    supply = PowerSupply(sysfs).phone()
    (cell,) = opened(sysfs).channels()
    supply.set("voltage_now", 0)
    with pytest.raises(SourceError, match="shows 0 V"):
        cell.read()


def test_without_a_voltage_yet_a_step_of_charge_is_one_of_a_lithium_cell(sysfs: Sysfs) -> None:
    supply = PowerSupply(sysfs).phone()
    (cell,) = opened(sysfs).channels()
    assert cell.facts.joules is not None
    assert cell.facts.joules.resolution == pytest.approx(3.6 * 12.229, rel=0.02)
    supply.set("voltage_now", 0)
    (cell,) = opened(sysfs).channels()
    assert cell.facts.joules is not None
    assert cell.facts.joules.resolution == pytest.approx(3.6 * 3.7)


def test_a_code_for_no_value_is_no_power(sysfs: Sysfs) -> None:
    supply = PowerSupply(sysfs).laptop()
    for value in (2**32 - 1, 10**12):
        supply.set("power_now", value)
        with pytest.raises(NotMeasured):
            measured(Battery(by="power", root=sysfs.root))


def test_a_power_that_the_gauge_renews_every_eight_seconds(sysfs: Sysfs) -> None:
    """Six seconds at 20 W in the middle of 5 W: what is known of them is known that well."""
    supply = PowerSupply(sysfs).laptop()
    burst = range(43, 49)

    def renew(n: int) -> None:
        if n % 8 == 0:  # the mean of the eight seconds before
            watts = sum(20 if second in burst else 5 for second in range(n - 8, n)) / 8
            supply.set("power_now", int(watts * 1e6) + n)

    usage = measured(Battery(by="power", root=sysfs.root), renew, seconds=100)
    assert usage.missed == 0
    assert usage.coverage == pytest.approx(1.0)
    assert abs(usage.joules - (500 + 90)) < usage.uncertainty


def test_a_mouse_that_discharges_relieves_nobody(sysfs: Sysfs) -> None:
    PowerSupply(sysfs, "BAT0").laptop(status="Full")
    PowerSupply(sysfs, "hidpp_battery_0").laptop().set("scope", "Device")
    with pytest.raises(SourceError, match="full"):
        opened(sysfs)


def test_an_empty_bay_is_no_battery(sysfs: Sysfs) -> None:
    PowerSupply(sysfs, "BAT0").laptop()
    PowerSupply(sysfs, "BAT1").laptop(status="Unknown").set("present", 0)
    assert [cell.name for cell in opened(sysfs).channels()] == ["battery:BAT0"]


def test_a_power_chip_without_a_gauge_comes_with_another_way(sysfs: Sysfs) -> None:
    # axp20x-battery and others measure volts and amps, and count nothing
    sysfs.fill(
        "sys/class/power_supply/axp20x-battery",
        {"type": "Battery", "status": "Discharging", "voltage_now": 3_912_000, "current_now": 412_000},
    )
    with pytest.raises(SourceMissing, match=r"battery\?by=power"):
        opened(sysfs)
    reading = opened(sysfs, by="power").read()
    assert (reading.volts, reading.amps) == (pytest.approx(3.912), pytest.approx(0.412))  # type: ignore[comparison-overlap]


def test_what_a_battery_may_lack(sysfs: Sysfs) -> None:
    with pytest.raises(SourceMissing, match="no battery"):
        opened(sysfs)
    sysfs.fill("sys/class/power_supply/BAT0", {"type": "Battery", "status": "Discharging", "capacity": 80})
    with pytest.raises(SourceMissing, match="percentage"):
        opened(sysfs)
    with pytest.raises(SourceMissing, match="by=gauge"):
        opened(sysfs, by="power")
    with pytest.raises(SpecError, match="neither"):
        Battery(by="magic")


@pytest.mark.parametrize(("by", "joules", "watts"), [("gauge", 36.0, None), ("power", None, 4.83)])
def test_energy_is_counted_without_a_voltage(
    sysfs: Sysfs, by: str, joules: float | None, watts: float | None
) -> None:
    """ACPI firmware that does not know it makes the kernel answer ENODEV."""
    supply = PowerSupply(sysfs).laptop(49_450_000)
    (cell,) = opened(sysfs, by=by).channels()
    assert cell.read().volts == pytest.approx(12.229)
    supply.set("energy_now", 49_440_000)
    sysfs.break_reads(f"{supply.folder}/voltage_now")
    reading = cell.read()
    assert (reading.joules, reading.watts) == (joules and pytest.approx(joules), watts)
    assert reading.volts is None


def test_files_that_fail_are_gaps(sysfs: Sysfs) -> None:
    supply = PowerSupply(sysfs).laptop()
    battery = opened(sysfs)
    battery.read()
    check_faults(sysfs, battery, f"{supply.folder}/energy_now", supply.folder)


def test_the_recorded_laptop(sysfs: Sysfs) -> None:
    recorded = recording("wire/sysfs_powercap_power_supply.json")
    for name, value in json.loads(recorded.read_text()).items():
        sysfs.put(f"sys/{name}", value)
    assert opened(sysfs).read().joules == 0.0
    assert opened(sysfs, by="power").read().watts == pytest.approx(4.83)


@pytest.mark.parametrize("key", ["power_now", "current_now"])
def test_a_battery_that_feeds_the_machine_and_shows_nothing_has_not_measured_yet(
    sysfs: Sysfs, key: str
) -> None:
    sysfs.fill("sys/class/power_supply/AC", {"type": "Mains", "online": 0})
    bay = {"type": "Battery", "present": 1, "status": "Discharging", "voltage_now": 12_000_000}
    sysfs.fill("sys/class/power_supply/BAT0", {**bay, key: 0})
    with pytest.raises(NotMeasured):
        measured(Battery(by="power", root=sysfs.root))
    sysfs.fill("sys/class/power_supply/BAT1", {**bay, key: 1_000_000})
    assert measured(Battery(by="power", root=sysfs.root)).mean_watts in (
        pytest.approx(1.0),
        pytest.approx(12.0),
    )


def test_one_of_two_batteries_that_cannot_be_read_names_the_other(sysfs: Sysfs) -> None:
    sysfs.fill("sys/class/power_supply/AC", {"type": "Mains", "online": 0})
    bay = {"type": "Battery", "present": 1, "status": "Discharging", "voltage_now": 12_000_000}
    for name in ("BAT0", "BAT1"):
        sysfs.fill(f"sys/class/power_supply/{name}", {**bay, "power_now": 9_000_000})
    sysfs.break_reads("sys/class/power_supply/BAT1/power_now")
    with pytest.raises(NotMeasured, match="battery:BAT0 can be measured"):
        measured(Battery(by="power", root=sysfs.root))
    assert measured(Battery("BAT0", by="power", root=sysfs.root)).mean_watts == pytest.approx(9.0)


@pytest.mark.parametrize(
    ("key", "value"), [("energy_full", 50_060), ("charge_full", 4_000), ("voltage_now", 12_229)]
)
@pytest.mark.parametrize("by", ["gauge", "power"])
def test_a_driver_that_counts_in_thousandths_is_refused(sysfs: Sysfs, by: str, key: str, value: int) -> None:
    """In mWh, mAh or mV where the kernel's interface has µWh, µAh and µV."""
    PowerSupply(sysfs).laptop().set(key, value)
    with pytest.raises(ImplausibleReading, match=f"says {value} in {key}.*its unit is another"):
        opened(sysfs, by=by)


def test_a_battery_in_another_unit_does_not_refuse_the_rest(sysfs: Sysfs) -> None:
    PowerSupply(sysfs, "BAT0").laptop().set("energy_full", 50_060)
    PowerSupply(sysfs, "BAT1").laptop()
    battery = opened(sysfs)
    assert [cell.name for cell in battery.channels()] == ["battery:BAT1"]
    assert "battery:BAT0 is not in the total" in battery.notes[0]


@pytest.mark.parametrize(("key", "value"), [("power_now", 15_000), ("current_now", 166)])
def test_a_power_too_small_for_a_computer_that_is_awake_is_no_power(
    sysfs: Sysfs, key: str, value: int
) -> None:
    """In mW or mA, or left over from the charger."""
    supply = PowerSupply(sysfs)
    (supply.laptop() if key == "power_now" else supply.phone()).set(key, value)
    with pytest.raises(NotMeasured):
        measured(Battery(by="power", root=sysfs.root))


@pytest.mark.parametrize(("watts", "start"), [(20, 3), (33, 17), (40, 39)])
def test_a_gauge_of_whole_percents_is_as_coarse_as_it_moves(sysfs: Sysfs, watts: int, start: int) -> None:
    """40 mAh a step, though its figures end on more zeros or fewer: the interval holds all the same."""
    supply = PowerSupply(sysfs).phone(4_000_000)
    for key, value in (("charge_full", 4_000_000), ("voltage_now", 3_700_000)):
        supply.set(key, value)
    shown = 0

    def renew(n: int) -> None:
        nonlocal shown
        left = int((3961 + start - watts / 3.7 * n / 3.6) // 40)
        if left != shown:
            supply.set("charge_now", left * 40_000)
            shown = left

    usage = measured(Battery(root=sysfs.root), renew, seconds=1800)
    assert usage.joules is not None
    assert usage.uncertainty is not None
    assert abs(usage.joules - watts * 1800 * usage.coverage) <= usage.uncertainty


@pytest.mark.parametrize("by", ["gauge", "power"])
def test_one_battery_gives_one_is_full_and_one_was_never_built_in(sysfs: Sysfs, by: str) -> None:
    sysfs.fill("sys/class/power_supply/AC", {"type": "Mains", "online": 0})
    gives = PowerSupply(sysfs, "BAT0").laptop(20_000_000)
    gives.set("power_now", 20_000_000)
    PowerSupply(sysfs, "BAT1").laptop(50_060_000, status="Full").set("power_now", 0)
    phantom = PowerSupply(sysfs, "BAT2").laptop(0, status="Unknown")
    for key in ("energy_full", "energy_full_design"):
        phantom.set(key, 0)

    def discharge(n: int) -> None:
        gives.set("energy_now", 20_000_000 - 10_000 * int(n * 20 / 36))

    usage = measured(Battery(by=by, root=sysfs.root), discharge, seconds=120)
    assert usage.mean_watts == pytest.approx(20.0, rel=0.01)
    assert usage.coverage > 0.98


def test_round_figures_hide_the_step_until_the_gauge_moves(sysfs: Sysfs) -> None:
    """50 of 60 Wh may be steps of 10 Wh; ticks of 20 mWh show that they are not."""
    supply = PowerSupply(sysfs).laptop(50_000_000)
    for key in ("energy_full", "energy_full_design"):
        supply.set(key, 60_000_000)
    with pytest.raises(NotMeasured, match="measured nothing"):
        measured(Battery(root=sysfs.root), seconds=10.0)

    def tick(number: int) -> None:
        supply.set("energy_now", 50_000_000 - 20_000 * (number // 2))

    usage = measured(Battery(root=sysfs.root), tick, seconds=10.0)
    assert usage.joules == pytest.approx(5 * 72.0)
    (step,) = (share for share in usage.components if share.cause == "counter resolution")
    assert step.joules == pytest.approx(72.0 / 6**0.5)
