"""Who reads the same chip sees the same: our driver, the kernel's two, pi-ina219, a recording.

One after the other, because only one may hold an address: the others are reported EBUSY (see test_i2c.py).
"""

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from devices.real_recordings import recording
from devices.waves import Square, steady

from benchmarks.waveform import WINDOW, Recorded
from energymeter import EnergyMeter
from energymeter.drivers.emulated.ina219 import Ina219Chip

from .i2c_bus import Bus, Plug, WholeIna238, WholeIna3221, measured, module, now, until
from .usb_devices import Chip

Ina219 = tuple[Bus, Ina219Chip]


@pytest.fixture
def ours(ina219: Ina219) -> float:
    """Watts, as our driver reads them."""
    watts = measured(f"ina219@{ina219[0].number}:0x40?shunt=0.1")
    assert watts == pytest.approx(2.5, rel=0.005)
    return watts


def test_the_kernels_hwmon_driver_agrees(ina219: Ina219, ours: float) -> None:
    """Shunt 10 mΩ is what ina2xx assumes: the true resistor is reported with ?shunt=."""
    bus, _ = ina219
    with module("ina2xx"):
        device = bus.bind("ina219")
        until(lambda: list(device.glob("hwmon/hwmon*")), "hwmon device")
        theirs = measured("hwmon@ina219?shunt=0.1")
        bus.release()
    assert theirs == pytest.approx(ours, rel=0.01)


def test_the_kernels_iio_driver_agrees(ina219: Ina219, ours: float) -> None:
    bus, _ = ina219
    with module("ina2xx-adc"):
        bus.bind("ina219")
        until(lambda: list(Path("/sys/bus/iio/devices").glob("iio:device*")), "IIO device")
        theirs = measured("iio?shunt=0.1")
        bus.release()
    assert theirs == pytest.approx(ours, rel=0.01)


def test_pi_ina219_agrees(ina219: Ina219, ours: float) -> None:
    pytest.importorskip("ina219", reason="pi-ina219 is not installed here: not compared")
    theirs = measured(f"ina219@{ina219[0].number}:0x40?shunt=0.1&backend=pi-ina219")
    assert theirs == pytest.approx(ours, rel=0.01)


KERNELS_OWN: dict[str, Callable[[], Chip]] = {
    "ina3221": lambda: WholeIna3221([steady(0.5, 5.0), steady(0.2, 12.0), steady(0.0, 3.3)], now, [0.01] * 3),
    "ina238": lambda: WholeIna238([steady(0.98, 5.0)], now, [0.01]),
}
"""Chips at 4.9 W, with the shunt that the kernel's drivers assume."""


@pytest.mark.parametrize("chip", KERNELS_OWN)
def test_the_kernels_drivers_of_the_family_agree(plug: Plug, chip: str) -> None:
    bus = Bus(plug, {0x40: KERNELS_OWN[chip]()})
    ours = measured(f"{chip}@{bus.number}:0x40?shunt=0.01")
    with module(chip):
        device = bus.bind(chip)
        until(lambda: list(device.glob("hwmon/hwmon*")), "hwmon device")
        theirs = measured(f"hwmon@{chip}", rate_hz=10)
        bus.release()
    assert ours == pytest.approx(4.9, rel=0.01)
    assert theirs == pytest.approx(ours, rel=0.02)


def measured_and_true(
    meter: EnergyMeter, play: Callable[[int], int], charge: Callable[[int], float], volts: float
) -> tuple[float, float]:
    """Joules that the meter counted, and what truly flowed while it looked: a busy machine leaves gaps.

    Args:
        play: the load's own time at a time of this machine.
        charge: the load's coulombs until then.
    """
    measurement = meter._life.latest
    assert measurement is not None
    (samples,) = measurement.samples().values()
    coulombs = 0.0
    for before, sample in pairwise(samples):
        seen_ns = sample.covered_ns - before.covered_ns
        coulombs += charge(play(sample.at_ns)) - charge(play(sample.at_ns - seen_ns))
    assert samples[-1].joules is not None
    assert samples[0].joules is not None
    return samples[-1].joules - samples[0].joules, volts * coulombs


def test_bursts_known_exactly(plug: Plug) -> None:
    wave = Square(period=4.0, high=1.2, low=0.3, volts=5.0)
    bus = Bus(plug, {0x40: Ina219Chip(wave, now)})
    with EnergyMeter(f"ina219@{bus.number}:0x40?shunt=0.1", rate_hz=50) as meter:
        time.sleep(8.0)
    seen, true = measured_and_true(meter, lambda at_ns: at_ns, wave.charge, 5.0)
    print(f"{seen:.4f} J seen of {true:.4f} J, {meter.usage.coverage:.1%} of the time")
    assert seen == pytest.approx(true, rel=0.03)  # each edge is unsure by a busy machine's delay


def test_a_recorded_current_played_through_the_chip(plug: Plug) -> None:
    """A microcontroller's inferences, at 1 kHz; what the meter says is what the recording adds up to."""
    load = Recorded(recording("traces/mlperf_tiny/NUCLEO_L4R5ZI_ad/trace1-energy.bin"))
    began_ns = now()

    def play(at_ns: int) -> int:
        return at_ns - began_ns + round(WINDOW[0] * 1e9)

    bus = Bus(plug, {0x40: Ina219Chip(load, lambda: play(now()))})
    with EnergyMeter(f"ina219@{bus.number}:0x40?shunt=0.1", rate_hz=50) as meter:
        time.sleep(8.0)
    seen, true = measured_and_true(meter, play, load.charge, load.volts(0))
    print(f"{seen:.4f} J seen of {true:.4f} J, {meter.usage.coverage:.1%} of the time")
    assert seen == pytest.approx(true, rel=0.02)
