"""Faults of devices and their wires, in real time: silent, reset, garbled, wrapped, frozen, shared."""

import contextlib
import importlib.util
import os
import random
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import TracebackType

import pytest
from devices.fnirsi import FnirsiWire
from devices.ina import Ina228
from devices.jtop_service import namespace, run_story
from devices.pty_meter import PtyMeter
from devices.sysfs import Powercap, Sysfs
from devices.um import UmDevice
from devices.waves import steady
from devices.web import Said, Web

from energymeter import EnergyMeter
from energymeter.clock import SystemClock
from energymeter.drivers.emulated.ina219 import Ina219Chip
from energymeter.drivers.fnirsi import Fnirsi
from energymeter.drivers.ina219 import Ina219
from energymeter.drivers.ina228 import Ina228 as Ina228Driver
from energymeter.energy.usage import Usage
from energymeter.errors import NotMeasured

from .conftest import Verdict, timely


def energy_of_the_time_seen(usage: Usage, watts: float, within: float = 0.01) -> bool:
    """Whether the joules are those of a steady draw over just the time that was measured."""
    return usage.joules == pytest.approx(watts * usage.seconds * usage.coverage, rel=within)


def share(usage: Usage) -> str:
    return f"{100 * usage.coverage:.0f} % measured, {usage.missed} readings missed"


def test_unplugged_and_plugged_in_again(tmp_path: Path, cannot_know: Verdict) -> None:
    with PtyMeter(UmDevice(volts=5.0, amps=0.5), tmp_path / "meter") as line:
        with EnergyMeter(f"um25c@{line.address}?timeout=0.3", rate_hz=2) as meter:
            time.sleep(2.5)
            line.unplug()
            time.sleep(1.5)
            with meter.span("unplugged"):
                time.sleep(0.1)
            line.plug()
            time.sleep(3.5)
        usage = meter.usage
        with pytest.raises(NotMeasured, match="um25c"):
            _ = meter.spans["unplugged"].usage
    assert energy_of_the_time_seen(usage, 2.5)
    timely(0.3 < usage.coverage < 0.85)
    cannot_know(share(usage))


def test_unplugged_for_good(tmp_path: Path, cannot_know: Verdict) -> None:
    with PtyMeter(UmDevice(volts=5.0, amps=0.5), tmp_path / "meter") as line:
        with EnergyMeter(f"um25c@{line.address}?timeout=0.3", rate_hz=2) as meter:
            time.sleep(2.5)
            line.unplug()
            time.sleep(3.0)
        usage = meter.usage
    assert energy_of_the_time_seen(usage, 2.5)
    assert usage.coverage < 0.6
    cannot_know(share(usage))


def chip_and_driver(amps: float = 0.5, volts: float = 5.0) -> tuple[Ina219Chip, Ina219]:
    chip = Ina219Chip(steady(amps, volts), time.monotonic_ns)
    return chip, Ina219(wire=chip)


def test_nack_storm(cannot_know: Verdict) -> None:
    chip, source = chip_and_driver()
    with EnergyMeter(source, rate_hz=100) as meter:
        time.sleep(0.7)
        chip.nacks = 10**9
        time.sleep(0.7)
        with meter.span("in the storm"):
            time.sleep(0.1)
        chip.nacks = 0
        time.sleep(1.5)
    with pytest.raises(NotMeasured, match="nobody answers"):
        _ = meter.spans["in the storm"].usage
    assert energy_of_the_time_seen(meter.usage, 2.5)
    timely(0.4 < meter.usage.coverage < 0.9)
    cannot_know(share(meter.usage))


def test_every_third_transfer_fails(right: Verdict) -> None:
    chip, source = chip_and_driver()
    with EnergyMeter(source, rate_hz=100) as meter:
        luck = random.Random(1)
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            chip.nacks = luck.random() < 0.33
            time.sleep(0.002)
        chip.nacks = 0
    assert energy_of_the_time_seen(meter.usage, 2.5)
    assert meter.usage.missed > 0
    right(share(meter.usage))


def test_brown_outs_of_an_ina219(right: Verdict) -> None:
    chip, source = chip_and_driver()
    with EnergyMeter(source, rate_hz=100) as meter:
        for _ in range(10):
            time.sleep(0.2)
            chip.brown_out()
    assert energy_of_the_time_seen(meter.usage, 2.5)
    assert source.resets > 0
    right(f"{source.resets} times set up again; {share(meter.usage)}")


def test_brown_outs_of_an_ina228(cannot_know: Verdict) -> None:
    """The counters go back to zero, and the calibration with them."""
    chip = Ina228([steady(0.5, 5.0)], time.monotonic_ns, [0.1])
    with EnergyMeter(Ina228Driver(wire=chip, shunt=0.1), rate_hz=50) as meter:
        for _ in range(4):
            time.sleep(0.5)
            chip.brown_out()
        time.sleep(0.5)
    assert energy_of_the_time_seen(meter.usage, 2.5, within=0.02)
    cannot_know(share(meter.usage))


class Noisy(UmDevice):
    """One bit in each second answer is flipped on the line."""

    luck = random.Random(3)

    def receive(self, data: bytes) -> bytes:
        answer = bytearray(super().receive(data))
        if self.luck.random() < 0.5:
            answer[self.luck.choice((self.luck.randrange(10), self.luck.randrange(130)))] ^= (
                1 << self.luck.randrange(8)
            )
        return bytes(answer)


def test_bit_flips_on_serial(tmp_path: Path, right: Verdict) -> None:
    """The UM25C has no checksum: what volts x amps against watts lets pass is within 2 %."""
    with (
        PtyMeter(Noisy(volts=5.0, amps=0.5), tmp_path / "meter") as line,
        EnergyMeter(f"um25c@{line.address}?timeout=0.2", rate_hz=2) as meter,
    ):
        time.sleep(6.0)
    usage = meter.usage
    assert energy_of_the_time_seen(usage, 2.5, within=0.02)
    peak = usage.peak_watts
    assert peak is not None
    assert peak < 2.6
    right(share(usage))


@pytest.mark.parametrize("flips", [1, 8])
def test_bit_flips_on_hid(right: Verdict, flips: int) -> None:
    luck = random.Random(4)

    def flip(_: int, report: bytes) -> bytes:
        spoiled = bytearray(report)
        if luck.random() < 0.3:
            for _ in range(flips):
                spoiled[luck.randrange(64)] ^= 1 << luck.randrange(8)
        return bytes(spoiled)

    wire = FnirsiWire(SystemClock(), lambda seconds: (5.0, 0.5))  # type: ignore[arg-type]
    wire.spoil = flip
    with EnergyMeter(Fnirsi(model="fnb58", wire=wire)) as meter:
        time.sleep(4.0)
    usage = meter.usage
    assert energy_of_the_time_seen(usage, 2.5, within=1e-6), "not one spoiled packet was taken for true"
    right(share(usage))


class Counter:
    """A processor's energy counter, moved every millisecond by what it draws."""

    def __init__(self, root: Path, watts: float = 20.0, start_joules: float = 1000.0) -> None:
        self.sysfs = Sysfs(root)
        self.file = self.sysfs.path(Powercap(self.sysfs).zone("intel-rapl:0", "package-0"))
        self.range = Powercap.RANGE_UJ * 1e-6
        self.watts, self.joules, self.frozen = watts, start_joules, False
        self.longest_step_seconds = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._count)

    def _count(self) -> None:
        with contextlib.suppress(OSError):  # hardware does not wait for its turn; root's need not either
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -15)
        last = time.monotonic()
        while not self._done.wait(0.001):
            now = time.monotonic()
            self.longest_step_seconds = max(self.longest_step_seconds, now - last)
            if not self.frozen:
                self.joules = (self.joules + self.watts * (now - last)) % self.range
                self.sysfs.rewrite(str(self.file), f"{round(self.joules * 1e6):<15}")
            last = now

    def __enter__(self) -> "Counter":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def counted(self, usage: Usage, within: float) -> bool:
        """Whether the joules are those of the time that was measured."""
        right = energy_of_the_time_seen(usage, self.watts, within)
        timely(right or self.longest_step_seconds < 0.01, "the emulated processor stood still unasked")
        return right


def rapl(root: Path, meanwhile: Callable[[], object]) -> Usage:
    with EnergyMeter(f"rapl?root={root}", rate_hz=20) as meter:
        time.sleep(0.7)
        meanwhile()
        time.sleep(0.7)
    return meter.usage


def test_counter_wraps(tmp_path: Path, right: Verdict) -> None:
    with Counter(tmp_path, start_joules=Powercap.RANGE_UJ * 1e-6 - 10) as counter:
        usage = rapl(tmp_path, lambda: None)
    assert counter.joules < 1000, "it did wrap"
    timely(usage.coverage > 0.99)
    assert counter.counted(usage, within=0.02)
    right(share(usage))


def test_counter_is_reset(tmp_path: Path, cannot_know: Verdict) -> None:
    with Counter(tmp_path) as counter:
        usage = rapl(tmp_path, lambda: setattr(counter, "joules", 0.0))
    assert usage.coverage < 1
    assert counter.counted(usage, within=0.02)
    cannot_know(share(usage))


def test_counter_freezes(tmp_path: Path, cannot_know: Verdict) -> None:
    """A fed counter moves every millisecond: one that stands still has lost what was drawn meanwhile."""

    def freeze() -> None:
        counter.frozen = True
        time.sleep(1.5)
        counter.frozen = False

    with Counter(tmp_path) as counter:
        usage = rapl(tmp_path, freeze)
    assert usage.coverage < 0.8
    assert counter.counted(usage, within=0.05)
    cannot_know(share(usage))


def test_zone_vanishes(tmp_path: Path, cannot_know: Verdict) -> None:
    with Counter(tmp_path) as counter:

        def vanish() -> None:
            counter.frozen = True
            counter.sysfs.remove("sys/class/powercap/intel-rapl:0")

        usage = rapl(tmp_path, vanish)
    assert counter.counted(usage, within=0.05)
    cannot_know(share(usage))


def test_web_service_restarts(cannot_know: Verdict) -> None:
    web = Web(lambda target, headers: Said(200, '{"watts": 2.5}'))
    with web, EnergyMeter(f"http@http://{web.address}/?watts=$.watts", rate_hz=10) as meter:
        time.sleep(1.0)
        web.vanish()
        time.sleep(1.0)
        web.start()
        time.sleep(2.5)
    assert energy_of_the_time_seen(meter.usage, 2.5)
    timely(0.3 < meter.usage.coverage < 0.9)
    cannot_know(share(meter.usage))


def test_jetson_stats_restarts(cannot_know: Verdict) -> None:
    if importlib.util.find_spec("jtop") is None or not namespace():
        pytest.skip("needs jetson-stats (pip install jetson-stats) and a private mount namespace")
    reported = run_story("orin_nano", "restarted")
    assert "sudo systemctl" in reported["lost"]
    cannot_know(str(reported["lost"])[:80])


def test_two_meters_on_one_bus(right: Verdict) -> None:
    """Two chips behind one adapter, each read by a meter of its own at the same time."""
    chips = {
        0x40: Ina219Chip(steady(0.5, 5.0), time.monotonic_ns, address=0x40),
        0x41: Ina219Chip(steady(0.2, 5.0), time.monotonic_ns, address=0x41),
    }
    lock = threading.Lock()

    class Bus:
        """One transfer at a time, as the kernel's adapter does."""

        def read_word_data(self, i2c_addr: int, register: int) -> int:
            with lock:
                return chips[i2c_addr].read_word_data(i2c_addr, register)

        def write_word_data(self, i2c_addr: int, register: int, value: int) -> None:
            with lock:
                chips[i2c_addr].write_word_data(i2c_addr, register, value)

        def i2c_rdwr(self, *messages: object) -> None:
            raise NotImplementedError

        def close(self) -> None:
            pass

    one = EnergyMeter(Ina219("1:0x40", wire=Bus()), rate_hz=100)
    other = EnergyMeter(Ina219("1:0x41", wire=Bus()), rate_hz=100)
    with one, other:
        time.sleep(1.5)
    assert energy_of_the_time_seen(one.usage, 2.5)
    assert energy_of_the_time_seen(other.usage, 1.0)
    right(f"{one.usage.joules:.2f} J and {other.usage.joules:.2f} J")


def test_two_meters_on_one_port(tmp_path: Path, cannot_know: Verdict) -> None:
    with PtyMeter(UmDevice(volts=5.0, amps=0.5), tmp_path / "meter") as line:
        with EnergyMeter(f"um25c@{line.address}", rate_hz=2) as meter:
            time.sleep(1.5)
            with pytest.raises(OSError, match="is held by process") as refused:
                EnergyMeter(f"um25c@{line.address}").__enter__()
            time.sleep(1.5)
        usage = meter.usage
    assert energy_of_the_time_seen(usage, 2.5)
    timely(usage.coverage > 0.95, "the first is not disturbed")
    cannot_know(str(refused.value).partition("(")[0].replace(str(tmp_path), "…"))


def test_device_answers_ever_more_slowly(right: Verdict) -> None:
    class Slow:
        name = "slow"
        facts = Ina219().facts._replace(semantics="instant", max_hz=1000.0)

        def __init__(self) -> None:
            self.calls = count()

        def open(self) -> None: ...

        def close(self) -> None: ...

        def read(self):  # type: ignore[no-untyped-def]
            from energymeter.reading import Reading

            time.sleep(min(next(self.calls) * 0.002, 0.12))
            return Reading(watts=2.5)

    with EnergyMeter(Slow(), rate_hz=50) as meter:  # type: ignore[arg-type]
        time.sleep(3.0)
    assert energy_of_the_time_seen(meter.usage, 2.5)
    assert meter.usage.missed > 10
    right(share(meter.usage))
