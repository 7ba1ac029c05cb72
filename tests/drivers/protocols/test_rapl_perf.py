"""RAPL through perf events, against an emulated kernel; the system call itself on a software event."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from devices.sysfs import Sysfs

from energymeter.drivers.protocols.rapl import Counter, open_counter
from energymeter.drivers.rapl import Rapl
from energymeter.errors import SourceError, SourceForbidden, SourceMissing, SpecError

JOULES = 2.3283064365386962890625e-10
PMU = "sys/bus/event_source/devices/power"


class Kernel:
    """Hands out pipes for counters; `count` says what the next read of one gives."""

    def __init__(self) -> None:
        self.opened: list[tuple[int, int, int]] = []
        self._pens: dict[tuple[int, int], int] = {}
        self.rejection: OSError | None = None

    def open_counter(self, pmu: int, event: int, cpu: int) -> int:
        if self.rejection is not None:
            raise self.rejection
        self.opened.append((pmu, event, cpu))
        reading, writing = os.pipe()
        self._pens[(event, cpu)] = writing
        return reading

    def count(self, event: int, cpu: int, value: int) -> None:
        os.write(self._pens[(event, cpu)], struct.pack("<Q", value))

    def unplug(self) -> None:
        for pen in self._pens.values():
            os.close(pen)
        self._pens = {}


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    yield kernel
    kernel.unplug()


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    sysfs = Sysfs(tmp_path)
    sysfs.fill(PMU, {"type": 9, "cpumask": "0,18"})
    for name, number in (("cores", 1), ("pkg", 2), ("ram", 3), ("psys", 5)):
        sysfs.put(f"{PMU}/events/energy-{name}", f"event=0x0{number}")
        sysfs.put(f"{PMU}/events/energy-{name}.scale", "2.3283064365386962890625e-10")
        sysfs.put(f"{PMU}/events/energy-{name}.unit", "Joules")
    return sysfs


def rapl(sysfs: Sysfs, kernel: Kernel, place: str = "") -> Rapl:
    source = Rapl(place, backend="perf", root=sysfs.root, open_counter=kernel.open_counter)
    source.open()
    return source


def test_packages_and_memory_of_every_socket(sysfs: Sysfs, kernel: Kernel) -> None:
    source = rapl(sysfs, kernel)
    assert kernel.opened == [(9, 2, 0), (9, 3, 0), (9, 2, 18), (9, 3, 18)]
    names = [channel.name for channel in source.channels()]
    assert names == ["rapl:cpu0/pkg", "rapl:cpu0/ram", "rapl:cpu18/pkg", "rapl:cpu18/ram"]
    kernel.count(2, 18, 1 << 40)
    assert source.channels()[2].read().joules == pytest.approx((1 << 40) * JOULES)
    assert source.channels()[2].facts.joules_wrap is None
    source.close()
    source.close()


def test_one_event_alone(sysfs: Sysfs, kernel: Kernel) -> None:
    assert [channel.name for channel in rapl(sysfs, kernel, "psys").channels()] == [
        "rapl:cpu0/psys",
        "rapl:cpu18/psys",
    ]
    with pytest.raises(SpecError, match="cores, pkg, psys, ram"):
        rapl(sysfs, kernel, "gpu")


def test_a_rejection_says_how_to_get_the_rights(sysfs: Sysfs, kernel: Kernel) -> None:
    kernel.rejection = PermissionError(13, "Permission denied")
    with pytest.raises(SourceForbidden, match="perf_event_paranoid"):
        rapl(sysfs, kernel)


def test_a_counter_that_ends_is_an_error(sysfs: Sysfs, kernel: Kernel) -> None:
    source = rapl(sysfs, kernel)
    kernel.unplug()
    with pytest.raises(SourceError, match="online"):
        source.channels()[0].read()


def test_a_machine_without_the_events(tmp_path: Path, kernel: Kernel) -> None:
    with pytest.raises(SourceMissing, match="no energy events"):
        rapl(Sysfs(tmp_path), kernel)
    with pytest.raises(SpecError, match="neither"):
        Rapl(backend="msr")


def test_a_type_without_events_and_events_without_a_type_are_none(tmp_path: Path, kernel: Kernel) -> None:
    sysfs = Sysfs(tmp_path)
    folder = "sys/bus/event_source/devices/power"
    sysfs.put(f"{folder}/type", 9)
    with pytest.raises(SourceMissing, match="no energy events; try rapl without backend=perf"):
        rapl(sysfs, kernel)
    with pytest.raises(SourceMissing, match="no energy events"):
        rapl(sysfs, kernel, "pkg")
    sysfs.fill(f"{folder}/events", {"energy-cores": "event=0x01", "energy-cores.scale": "0.5"})
    with pytest.raises(SourceMissing, match="no energy events"):
        rapl(sysfs, kernel)
    sysfs.path(f"{folder}/type").unlink()
    with pytest.raises(SourceMissing, match="no energy events"):
        rapl(sysfs, kernel, "cores")


def test_the_system_call_on_a_software_event() -> None:
    """PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK: nanoseconds of CPU 0, on any kernel that allows it."""
    try:
        clock = Counter(1, 0, 0, open_counter)
    except (SourceForbidden, SourceMissing) as error:
        pytest.skip(f"perf events are not allowed here: {error}")
    first = clock.number()
    assert clock.number() > first
    clock.close()
    clock.close()
