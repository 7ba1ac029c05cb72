"""The kernel's own intel_rapl on emulated registers, and batteries whose gauges we turn."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from energymeter import EnergyMeter
from energymeter.errors import SourceError

from .conftest import as_nobody, opened
from .i2c_bus import until

ZONE = Path("/sys/class/powercap/intel-rapl:0")
MSR = Path("/sys/module/fake_rapl_msr/parameters")
BATTERIES = Path("/sys/module/fake_batteries/parameters")
WRAP_JOULES = 262_143.33
COUNTS_PER_JOULE = 2**14


def package_joules() -> float:
    return int((ZONE / "energy_uj").read_text()) * 1e-6


@pytest.fixture
def package_watts() -> Iterator[Callable[[float], None]]:
    def draw(watts: float) -> None:
        (MSR / "package_microwatts").write_text(str(round(watts * 1e6)))

    yield draw
    draw(15.0)


def test_rapl_zones_are_the_kernels_own() -> None:
    assert (ZONE / "name").read_text().strip() == "package-0"
    assert (ZONE / "energy_uj").stat().st_mode & 0o777 == 0o400
    assert int((ZONE / "max_energy_range_uj").read_text()) == pytest.approx(WRAP_JOULES * 1e6, rel=1e-6)


def test_rapl_steady(package_watts: Callable[[float], None]) -> None:
    package_watts(15.0)
    with EnergyMeter("rapl@package-0", rate_hz=20) as meter:
        time.sleep(3.0)
    assert meter.usage.mean_watts == pytest.approx(15.0, rel=0.005)


def test_rapl_across_a_true_wrap(package_watts: Callable[[float], None]) -> None:
    package_watts(15.0)
    first = int((MSR / "first_count").read_text())
    end = 2**32 - 30 * COUNTS_PER_JOULE  # two seconds before the counter's 32 bits are full
    (MSR / "first_count").write_text(str(first + end - round(package_joules() * COUNTS_PER_JOULE)))
    assert package_joules() > 1000
    with EnergyMeter("rapl@package-0", rate_hz=20) as meter:
        until(lambda: package_joules() < 1000, "wrap", 30)
        time.sleep(1.0)
    assert meter.usage.mean_watts == pytest.approx(15.0, rel=0.01)
    assert meter.usage.coverage > 0.2


def test_rapl_follows(package_watts: Callable[[float], None]) -> None:
    package_watts(10.0)
    with EnergyMeter("rapl@package-0", rate_hz=20) as meter:
        for watts in (10.0, 30.0, 5.0):
            package_watts(watts)
            with meter.span(f"{watts:g} W"):
                time.sleep(1.5)
    for watts in (10.0, 30.0, 5.0):
        assert meter.spans[f"{watts:g} W"].usage.mean_watts == pytest.approx(watts, rel=0.08)


def test_rapl_is_root_s(package_watts: Callable[[float], None]) -> None:
    said = as_nobody("rapl")
    assert said.startswith("SourceForbidden")
    assert "PLATYPUS" in said


def test_rapl_zones_vanish_and_come_back() -> None:
    with EnergyMeter("rapl@package-0", rate_hz=20) as meter:
        time.sleep(1.0)
        os.system("modprobe -r intel_rapl_msr")
        time.sleep(1.5)
        os.system("modprobe intel_rapl_msr")
        time.sleep(4.0)
    usage = meter.usage
    assert 0.05 < usage.coverage <= 1
    assert usage.joules == pytest.approx(15.0 * usage.seconds * usage.coverage, rel=0.02)


@pytest.fixture
def gauge() -> Iterator[Callable[[str, int], None]]:
    before = {file.name: file.read_text() for file in BATTERIES.iterdir()}

    def turn(name: str, value: int) -> None:
        (BATTERIES / name).write_text(str(value))

    yield turn
    for name, value in before.items():
        (BATTERIES / name).write_text(value)


def test_batteries_by_power(gauge: Callable[[str, int], None]) -> None:
    gauge("power_now", 7_300_000)
    with EnergyMeter("battery@BAT0?by=power", rate_hz=1) as meter:
        time.sleep(5.0)
    assert meter.usage.mean_watts == pytest.approx(7.3, rel=1e-3)


@pytest.mark.parametrize("sign", [1, -1])
def test_batteries_of_either_sign(gauge: Callable[[str, int], None], sign: int) -> None:
    gauge("current_now", sign * 640_000)
    source = opened("battery@BAT1?by=power")
    reading = source.read()
    source.close()
    assert reading.amps is not None
    assert abs(reading.amps) == pytest.approx(0.64)


def test_gauges_that_step(gauge: Callable[[str, int], None]) -> None:
    """Ten steps of 10 mWh, and of 1 mAh at 11.4 V: what was taken out is counted, step by step."""
    gauge("energy_now", 28_510_000)  # from its figures the driver knows the step
    with EnergyMeter("battery@BAT0,battery@BAT1", rate_hz=1) as meter:
        for step in range(1, 11):
            gauge("energy_now", 28_510_000 - step * 10_000)
            gauge("charge_now", 2_500_000 - step * 1_000)
            time.sleep(1.2)
    by_energy, by_charge = meter.usages.values()
    assert by_energy.joules == pytest.approx(10 * 0.010 * 3600, rel=0.15)
    assert by_charge.coulombs == pytest.approx(10 * 3.6, rel=0.15)
    assert by_charge.joules == pytest.approx(10 * 3.6 * 11.4, rel=0.15)


@pytest.mark.parametrize("status", [1, 2, 4], ids=["charging", "discharging", "full"])
def test_a_battery_on_the_mains_is_refused(gauge: Callable[[str, int], None], status: int) -> None:
    gauge("mains_online", 1)
    gauge("status", status)
    with pytest.raises(SourceError, match="BAT0 is on the mains"):
        opened("battery@BAT0").read()


def test_a_battery_that_charges_without_a_charger_is_refused(gauge: Callable[[str, int], None]) -> None:
    gauge("status", 1)
    with pytest.raises(SourceError, match="BAT0 is charging by its own word"):
        opened("battery@BAT0").read()


def test_a_full_battery_off_the_mains_is_drawn_from(gauge: Callable[[str, int], None]) -> None:
    """The status word lags behind; the charger knows."""
    gauge("status", 4)
    source = opened("battery@BAT0?by=power")
    assert source.read().watts is not None
    source.close()


def test_a_battery_without_a_value_cannot_tell(gauge: Callable[[str, int], None]) -> None:
    source = opened("battery@BAT0?by=power")
    gauge("power_now", -(2**31))
    with pytest.raises(SourceError):
        source.read()
    source.close()
