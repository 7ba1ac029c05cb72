"""Time that stands still, sleeps or jumps while a meter runs."""

import time
from pathlib import Path

import pytest

from energymeter import EnergyMeter

from .conftest import wish
from .i2c_bus import module

SUSPEND = Path("/sys/module/suspend/parameters/pm_test_delay")


def test_the_machine_is_stopped_for_a_while() -> None:
    """The guest's clocks stop with it, so no time passes and no energy may be added."""
    with EnergyMeter("rapl@package-0", rate_hz=20) as meter:
        time.sleep(1.0)
        began = time.monotonic()
        wish((0, "stop"), (4, "cont"))
        time.sleep(1.0)
        lasted = time.monotonic() - began
    usage = meter.usage
    assert usage.joules == pytest.approx(15.0 * usage.seconds * usage.coverage, rel=0.02)
    assert usage.seconds == pytest.approx(1.0 + lasted, abs=1.5), "as the guest's clock has it"


def test_the_machine_sleeps_for_a_while() -> None:
    """Suspended by its kernel: all but the last step, which is the firmware's. The clock that meters go by
    stands still, the one of the mainboard goes on; what flowed meanwhile is unknown, and reported."""
    Path("/sys/power/pm_test").write_text("core")
    SUSPEND.write_text("3")
    with module("virtio_stays_awake"), EnergyMeter("rapl@package-0", rate_hz=20) as meter:
        time.sleep(2.0)
        slept = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
        Path("/sys/power/state").write_text("mem")
        slept = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic() - slept
        time.sleep(2.0)
    usage = meter.usage
    assert slept > 1
    assert f"the machine slept {slept:.1f} s, not measured" in usage.notes
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
