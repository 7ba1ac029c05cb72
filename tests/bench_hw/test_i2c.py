"""Our INA drivers over a true /dev/i2c-N: the whole family, and what goes wrong on a bus."""

import os
import time

import pytest
from devices.ina import Device as InaDevice
from devices.ina import Ina226
from devices.waves import steady

from energymeter import EnergyMeter
from energymeter.drivers.emulated.ina219 import Ina219Chip
from energymeter.energy.usage import Usage
from energymeter.errors import SourceBusy, SourceMissing

from .conftest import as_nobody
from .i2c_bus import CHIPS, Bus, Plug, measured, module, now, until

SHUNTS = {"ina260": ""}
"""Options; the INA260's shunt is inside."""


@pytest.mark.parametrize("driver", CHIPS)
def test_the_family_over_i2c_dev(plug: Plug, driver: str) -> None:
    bus = Bus(plug, {0x40: CHIPS[driver]()})
    watts = measured(f"{driver}@{bus.number}:0x40{SHUNTS.get(driver, '?shunt=0.1')}")
    rails = 3 if driver == "ina3221" else 1
    late = (
        0.04 if driver == "ina228" else 0.01
    )  # of a counter, a reading held up by a busy machine is reported late
    assert watts == pytest.approx(2.5 * rails, rel=late)


@pytest.mark.parametrize(
    ("kernels", "driver"), [("ina2xx", "ina219"), ("ina3221", "ina3221"), ("ina238", "ina238")]
)
def test_a_chip_the_kernel_holds_is_busy_and_its_driver_is_named(
    plug: Plug, kernels: str, driver: str
) -> None:
    bus = Bus(plug, {0x40: CHIPS[driver]()})
    with module(kernels):
        bus.bind(driver)
        with (
            pytest.raises(SourceBusy, match=rf"kernel driver {kernels}.*hwmon.*unbind"),
            EnergyMeter(f"{driver}@{bus.number}:0x40"),
        ):
            pass
        bus.release()
    assert measured(f"{driver}@{bus.number}:0x40") > 0, "let go, it is ours again"


def test_nobody_at_an_address(ina219: tuple[Bus, Ina219Chip]) -> None:
    bus, _ = ina219
    with pytest.raises(SourceMissing, match="nobody answers"), EnergyMeter(f"ina219@{bus.number}:0x45"):
        pass


def gap(usage: Usage) -> None:
    """Some of the time is known exactly, the rest is reported to be unknown."""
    assert 0.2 < usage.coverage < 0.95
    assert usage.gap_seconds > 0.3
    assert usage.joules == pytest.approx(2.5 * usage.seconds * usage.coverage, rel=0.02)


def test_a_nack_storm_is_a_gap(ina219: tuple[Bus, Ina219Chip]) -> None:
    bus, chip = ina219
    with EnergyMeter(f"ina219@{bus.number}:0x40?shunt=0.1", rate_hz=20) as meter:
        time.sleep(1.0)
        chip.nacks = 10**9
        time.sleep(1.0)
        chip.nacks = 0
        time.sleep(2.0)
    gap(meter.usage)


def test_a_hung_bus_is_a_gap_and_comes_back(ina219: tuple[Bus, Ina219Chip]) -> None:
    bus, _ = ina219
    with EnergyMeter(f"ina219@{bus.number}:0x40?shunt=0.1", rate_hz=20) as meter:
        time.sleep(1.0)
        bus.adapter.hung.set()
        time.sleep(1.0)
        bus.adapter.hung.clear()
        time.sleep(2.0)
    gap(meter.usage)


def test_an_unplugged_adapter_is_a_gap(ina219: tuple[Bus, Ina219Chip]) -> None:
    bus, _ = ina219
    with EnergyMeter(f"ina219@{bus.number}:0x40?shunt=0.1", rate_hz=20) as meter:
        time.sleep(1.5)
        bus.plugged.unplug()
        time.sleep(1.0)
    gap(meter.usage)


def test_an_adapter_unplugged_and_plugged_in_again(plug: Plug, ina219: tuple[Bus, Ina219Chip]) -> None:
    bus, chip = ina219
    with EnergyMeter(f"ina219@{bus.number}:0x40?shunt=0.1", rate_hz=20) as meter:
        time.sleep(1.5)
        bus.plugged.unplug()
        until(lambda: not os.path.exists(bus.node), "vanished node")
        time.sleep(1.0)
        again = Bus(plug, {0x40: chip})
        assert again.number == bus.number
        time.sleep(4.0)
    gap(meter.usage)
    assert meter.trace.time_s[-1] > 5.0, "it was found again"


def test_a_bus_that_is_not_ours(ina219: tuple[Bus, Ina219Chip]) -> None:
    bus, _ = ina219
    os.chmod(bus.node, 0o600)
    said = as_nobody(f"ina219@{bus.number}:0x40")
    assert said.startswith("SourceForbidden")
    assert "usermod -aG i2c" in said


def test_two_processes_on_one_chip(ina219: tuple[Bus, Ina219Chip]) -> None:
    bus, _ = ina219
    with (
        EnergyMeter(f"ina219@{bus.number}:0x40?shunt=0.1"),
        pytest.raises(SourceBusy, match="being read by process"),
        EnergyMeter(f"ina219@{bus.number}:0x40?shunt=0.1"),
    ):
        pass


def test_two_chips_of_one_bus_at_once(plug: Plug) -> None:
    chips: dict[int, InaDevice | Ina219Chip] = {
        0x40: Ina219Chip(steady(0.5, 5.0), now, address=0x40),
        0x41: Ina226([steady(0.2, 5.0)], now, [0.1], 0x41),
    }
    bus = Bus(plug, dict(chips))
    watts = measured(f"ina219@{bus.number}:0x40?shunt=0.1+ina226@{bus.number}:0x41?shunt=0.1")
    assert watts == pytest.approx(3.5, rel=0.01)
