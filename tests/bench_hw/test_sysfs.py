"""The kernel's own intel_rapl on emulated registers, batteries whose gauges we turn, time that stops."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from energymeter import EnergyMeter
from energymeter.errors import SourceError

from .conftest import OUT, opened, until
from .test_usb_meters import as_nobody

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


def test_rapl_steady(package_watts: Callable[[float], None], rate: Callable[[str, float], None]) -> None:
    package_watts(15.0)
    with EnergyMeter("rapl@package-0", rate_hz=20) as meter:
        time.sleep(3.0)
    assert meter.usage.mean_watts == pytest.approx(15.0, rel=0.005)
    source = opened("rapl@package-0")
    (zone,) = source.channels()  # type: ignore[attr-defined]
    reads, began = 0, time.monotonic()
    while time.monotonic() - began < 2:
        zone.read()
        reads += 1
    source.close()
    rate("rapl", reads / 2)


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


def test_batteries_by_power(gauge: Callable[[str, int], None], rate: Callable[[str, float], None]) -> None:
    gauge("power_now", 7_300_000)
    with EnergyMeter("battery@BAT0?by=power", rate_hz=1) as meter:
        time.sleep(5.0)
    assert meter.usage.mean_watts == pytest.approx(7.3, rel=1e-3)
    source = opened("battery@BAT0?by=power")
    reads, began = 0, time.monotonic()
    while time.monotonic() - began < 1:
        source.read()
        reads += 1
    source.close()
    rate("battery", reads)


@pytest.mark.parametrize("sign", [1, -1])
def test_batteries_of_either_sign(gauge: Callable[[str, int], None], sign: int) -> None:
    gauge("current_now", sign * 640_000)
    source = opened("battery@BAT1?by=power")
    reading = source.read()
    source.close()
    assert reading.amps is not None
    assert abs(reading.amps) == pytest.approx(0.64)


@pytest.mark.parametrize("battery", ["BAT0", "BAT1"])
def test_a_gauge_that_steps(gauge: Callable[[str, int], None], battery: str) -> None:
    """Ten steps of 100 mWh (or of 1 mAh at 11.4 V): what went out is counted, less one at either edge."""
    with EnergyMeter(f"battery@{battery}", rate_hz=1) as meter:
        for step in range(11):
            gauge("energy_now", 28_500_000 - step * 100_000)
            gauge("charge_now", 2_500_000 - step * 1_000)
            time.sleep(1.5)
    expected = 10 * 0.100 * 3600 if battery == "BAT0" else 10 * 0.001 * 3600 * 11.4
    assert meter.usage.joules == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize("status", [1, 4], ids=["charging", "full"])
def test_a_battery_that_is_not_drawn_from_is_refused(gauge: Callable[[str, int], None], status: int) -> None:
    gauge("status", status)
    with pytest.raises(SourceError, match="BAT0"):
        opened("battery@BAT0").read()


def test_a_battery_without_a_value_cannot_tell(gauge: Callable[[str, int], None]) -> None:
    source = opened("battery@BAT0?by=power")
    gauge("power_now", -(2**31))
    with pytest.raises(SourceError):
        source.read()
    source.close()


def test_the_machine_is_stopped_for_a_while() -> None:
    """Its clocks stop with it: for the guest no time passes, and no energy is made of it."""
    assert OUT is not None
    wish = Path(OUT) / "stop-me"
    with EnergyMeter("rapl@package-0", rate_hz=20) as meter:
        time.sleep(1.0)
        wish.write_text("4")
        until(lambda: not wish.exists(), "answer of the host", 30)
        time.sleep(1.0)
    usage = meter.usage
    assert usage.joules == pytest.approx(15.0 * usage.seconds * usage.coverage, rel=0.02)


@pytest.mark.parametrize("hours", [-2, 72])
def test_the_wall_clock_is_stepped(hours: int) -> None:
    before = time.time()
    with EnergyMeter("rapl@package-0", rate_hz=20) as meter:
        time.sleep(1.0)
        time.clock_settime(time.CLOCK_REALTIME, before + hours * 3600)
        time.sleep(1.0)
    usage = meter.usage
    time.clock_settime(time.CLOCK_REALTIME, time.time() - hours * 3600)
    assert usage.joules == pytest.approx(15.0 * usage.seconds * usage.coverage, rel=0.02)
    assert usage.coverage > 0.2
