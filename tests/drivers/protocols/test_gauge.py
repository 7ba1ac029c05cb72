"""The kernel's battery gauge, on a made-up sysfs tree."""

from pathlib import Path

import pytest

from energymeter.battery.battery import Battery
from energymeter.errors import SourceMissing


def supply(root: Path, name: str, **attributes: str) -> None:
    (root / name).mkdir()
    for attribute, text in attributes.items():
        (root / name / attribute).write_text(text + "\n")


def test_a_pack_that_reports_energy(tmp_path: Path) -> None:
    supply(tmp_path, "AC", type="Mains", online="1")
    supply(
        tmp_path, "hid-mouse", type="Battery", scope="Device", energy_full="1000000", voltage_now="3700000"
    )
    supply(
        tmp_path,
        "BAT0",
        type="Battery",
        energy_full="45000000",
        energy_full_design="50000000",
        voltage_min_design="11550000",
    )
    battery = Battery.laptop(tmp_path)
    assert battery.wh == pytest.approx(50.0)
    assert battery.health == pytest.approx(0.9)
    assert battery.rail_joules() == pytest.approx(45 * 3600 * 0.93)


def test_a_pack_that_reports_charge(tmp_path: Path) -> None:
    supply(
        tmp_path,
        "battery",
        type="Battery",
        charge_full="3600000",
        charge_full_design="4000000",
        voltage_now="3850000",
    )
    battery = Battery.laptop(tmp_path)
    assert (battery.mah, battery.volts, battery.health) == pytest.approx((4000.0, 3.85, 0.9))


def test_no_battery_says_what_to_do(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", type="Battery", status="Unknown")
    with pytest.raises(SourceMissing, match="milliamp-hours"):
        Battery.laptop(tmp_path)
