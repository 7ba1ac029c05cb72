"""What is left: budgets of the ledger, gauges of the machine."""

from pathlib import Path

import pytest

from energymeter.battery.battery import Battery
from energymeter.budget.account import Account
from energymeter.clock import ManualClock
from energymeter.serve.batteries import Batteries, by_gauge


def machine(root: Path, **batteries: dict[str, str]) -> str:
    for name, files in batteries.items():
        folder = root / "sys/class/power_supply" / name
        folder.mkdir(parents=True)
        for file, content in files.items():
            (folder / file).write_text(f"{content}\n")
    return str(root)


def test_gauges_give_the_charge_of_this_machine_alone(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        BAT0={"type": "Battery", "capacity": "61"},
        AC={"type": "Mains", "online": "1"},
        mouse={"type": "Battery", "capacity": "80", "scope": "Device"},
        BAT1={"type": "Battery"},
        BAT2={"type": "Battery", "capacity": "255"},
    )
    (state,) = by_gauge(root)
    assert (state.name, state.is_budget, state.share.value, state.hours) == ("BAT0", False, 0.61, None)


def test_a_budget_is_what_its_account_says_and_is_read_again_after_a_while(tmp_path: Path) -> None:
    account = Account("field", Battery.parse("4000mAh"))
    clock = ManualClock()
    left = Batteries(["field"], clock, str(tmp_path))
    (before,) = left()
    assert before.name == "field"
    assert before.share.value == pytest.approx(account.remaining_share.value)
    assert before.hours is None
    assert before.reason
    account.spend(Spent())
    assert left() == (before,), "as it was, for ten seconds"
    clock.sleep(11)
    (after,) = left()
    assert after.share.value < before.share.value
    assert after.hours is not None


class Spent:
    joules, coulombs, measured_seconds, uncertainty = 7200.0, 1440.0, 3600.0, 10.0
    provenance, sources = "measured", ("ina219@1:0x40",)


def test_a_budget_that_is_not_there_is_reported_once(tmp_path: Path) -> None:
    clock = ManualClock()
    left = Batteries(["nowhere"], clock, str(tmp_path))
    with pytest.warns(RuntimeWarning, match="nowhere") as warned:
        assert left() == ()
        clock.sleep(11)
        assert left() == ()
    assert len(warned) == 1
