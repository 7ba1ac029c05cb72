"""NVIDIA GPUs against an emulated driver; not tried on a real GPU here."""

import sys
from pathlib import Path

import pytest
from devices.measured import measured
from devices.nvml import Driver, Gpu
from devices.sysfs import Sysfs

from energymeter.drivers.nvml import Nvml
from energymeter.errors import (
    ExtraMissing,
    NotMeasured,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    SpecError,
)

INSTANT, AVERAGE = 186, 185


def opened(driver: Driver, place: str = "", by: str = "") -> Nvml:
    source = Nvml(place, by=by, library=driver)
    source.open()
    return source


def test_the_energy_counter_is_preferred() -> None:
    gpu = Gpu(millijoules=5_000_000, usage=300_000, fields={INSTANT: 310_000})
    source = opened(Driver(gpu))
    (channel,) = source.channels()
    assert channel.facts.semantics == "counter"
    assert channel.facts.max_watts == pytest.approx(1400.0)
    assert channel.read().joules == pytest.approx(5000.0)
    gpu.millijoules = 5_300_123
    assert channel.read().joules == pytest.approx(5300.123)


def test_a_counter_that_moves_now_and_then_is_measured_and_one_that_never_does_is_not() -> None:
    gpu = Gpu(millijoules=0)

    def slowly(n: int) -> None:
        gpu.millijoules = 30_000 * (n // 3)  # 100 W, shown every 0.3 s

    assert measured(Nvml(library=Driver(gpu)), slowly, seconds=6).mean_watts == pytest.approx(100.0, rel=0.01)
    with pytest.raises(NotMeasured, match="stood still"):
        measured(Nvml(library=Driver(Gpu(millijoules=5))), seconds=6)


def test_without_a_counter_instants_are_joined() -> None:
    (channel,) = opened(Driver(Gpu(usage=300_000, fields={INSTANT: 310_500, AVERAGE: 300_000}))).channels()
    assert channel.facts.semantics == "instant"
    reading = channel.read()
    assert reading.watts == pytest.approx(310.5)
    assert reading.seconds is None


@pytest.mark.parametrize(
    ("architecture", "name", "semantics"),
    [
        (9, "NVIDIA H100", "mean"),
        (8, "NVIDIA GeForce RTX 4090", "mean"),
        (7, "NVIDIA GeForce RTX 3090", "mean"),
        (7, "NVIDIA A100-SXM4-40GB", "instant"),
        (5, "Tesla V100", "instant"),
    ],
)
def test_what_power_means_depends_on_the_chip(architecture: int, name: str, semantics: str) -> None:
    (channel,) = opened(Driver(Gpu(usage=200_000, architecture=architecture, name=name))).channels()
    assert channel.facts.semantics == semantics
    assert channel.read().seconds == (1.0 if semantics == "mean" else None)
    assert channel.facts.max_hz == (1.0 if semantics == "mean" else 50.0)
    assert channel.facts.renewal_seconds == 0.1


def test_a_second_of_full_power_is_within_what_means_of_a_second_can_tell() -> None:
    """Read at most once a second, and possibly a second old, whatever rate was asked for."""
    gpu = Gpu(usage=50_000, name="NVIDIA RTX A4000")

    def burst(n: int) -> None:
        gpu.usage = 300_000 if 40 < n <= 50 else 50_000  # read at 10 Hz: the mean of 3.0 s to 4.0 s, aged

    usage = measured(Nvml(by="usage", library=Driver(gpu)), burst, seconds=8, rate_hz=10.0)
    assert gpu.reads == 10, "one at opening"
    assert abs(usage.joules - 650.0) <= usage.uncertainty


@pytest.mark.parametrize("by", ["instant", "usage"])
def test_a_code_for_no_value_is_no_power(by: str) -> None:
    gpu = Gpu(usage=0xFFFFFFFF, fields={INSTANT: 0xFFFFFFFF}, architecture=5)
    with pytest.raises(NotMeasured):
        measured(Nvml(by=by, library=Driver(gpu)), seconds=0.5)


def test_a_way_may_be_named() -> None:
    gpu = Gpu(millijoules=1000, usage=200_000, fields={INSTANT: 210_000, AVERAGE: 205_000})
    (channel,) = opened(Driver(gpu), by="average").channels()
    reading = channel.read()
    assert reading.watts == pytest.approx(205.0)
    assert reading.seconds == 1.0
    with pytest.raises(SpecError, match="energy, instant"):
        Nvml(by="guess")


def test_several_gpus_are_channels() -> None:
    driver = Driver(Gpu(millijoules=1000), Gpu(millijoules=2000))
    assert [channel.name for channel in opened(driver).channels()] == ["nvml:0", "nvml:1"]
    assert opened(driver).read().joules == pytest.approx(3.0)
    assert opened(driver, "1").read().joules == pytest.approx(2.0)
    assert opened(driver, "GPU-0").read().joules == pytest.approx(1.0)
    for place in ("2", "GPU-7"):
        with pytest.raises(SourceMissing, match="nvidia-smi -L"):
            opened(driver, place)


def test_a_gpu_without_a_sensor_is_left_out_and_said() -> None:
    source = opened(Driver(Gpu(millijoules=1000), Gpu(), Gpu(millijoules=3000)))
    assert [channel.name for channel in source.channels()] == ["nvml:0", "nvml:2"]
    assert source.notes == ["GPU 1 has no power sensor for NVML and is not in the total"]
    with pytest.raises(SourceMissing, match="GPU 1 has no power sensor"):
        opened(Driver(Gpu(millijoules=1000), Gpu()), "1")


def test_a_gpu_that_is_lost_does_not_hide_that_another_one_works() -> None:
    lost = Gpu(millijoules=1000)
    lost.fails = 15
    with pytest.raises(SourceError, match="name one of the others: nvml@0, nvml@2"):
        opened(Driver(Gpu(millijoules=1000), lost, Gpu(millijoules=3000)))


class Asleep:
    """A laptop whose NVIDIA GPU the kernel has put to sleep."""

    folder = "sys/bus/pci/devices/0000:01:00.0"

    def __init__(self, tmp_path: Path) -> None:
        self.sysfs = Sysfs(tmp_path)
        self.sysfs.put("dev/nvidiactl", "")
        self.sysfs.fill(self.folder, {"vendor": "0x10de", "class": "0x030200"})
        self.sysfs.fill("sys/bus/pci/devices/0000:01:00.1", {"vendor": "0x10de", "class": "0x040300"})
        self.sysfs.put("sys/bus/pci/devices/0000:01:00.1/power/runtime_status", "suspended")  # its sound
        self.runtime("suspended")

    def runtime(self, status: str) -> None:
        self.sysfs.put(f"{self.folder}/power/runtime_status", status)


def test_a_sleeping_gpu_is_not_woken_by_looking_for_it(tmp_path: Path) -> None:
    laptop, driver = Asleep(tmp_path), Driver(Gpu(millijoules=1000))
    driver.nvmlInit = lambda: pytest.fail("NVML wakes every GPU")  # type: ignore[method-assign]
    for look in (
        lambda: Nvml.addresses(laptop.sysfs.root),
        Nvml(library=driver, root=laptop.sysfs.root).open,
    ):
        with pytest.raises(SourceMissing, match=r"0000:01:00\.0 sleeps.*wake=true"):
            look()


@pytest.mark.parametrize("bus", ["00000000:01:00.0", b"00000000:01:00.0"])
def test_a_gpu_that_falls_asleep_is_not_read_until_it_is_awake(tmp_path: Path, bus: str | bytes) -> None:
    laptop, gpu = Asleep(tmp_path), Gpu(millijoules=1000, bus=bus)
    laptop.runtime("active")
    assert Nvml.addresses(laptop.sysfs.root) == [""]
    source = Nvml(library=Driver(gpu), root=laptop.sysfs.root)
    source.open()
    reads = gpu.reads
    laptop.runtime("suspended")
    with pytest.raises(SourceError, match="sleeps"):
        source.read()
    assert gpu.reads == reads
    laptop.runtime("active")
    assert source.read().joules == pytest.approx(1.0)


def test_a_sleeping_gpu_is_woken_on_demand(tmp_path: Path) -> None:
    laptop = Asleep(tmp_path)
    source = Nvml(library=Driver(Gpu(millijoules=1000)), root=laptop.sysfs.root, wake=True)
    source.open()
    assert source.read().joules == pytest.approx(1.0)


def test_a_jetson_has_no_sensor_here_and_not_zero_watts() -> None:
    driver = Driver(Gpu(limit=None, name="Orin"))
    with pytest.raises(SourceMissing, match="Jetson"):
        opened(driver)
    assert driver.users == 0


@pytest.mark.parametrize(
    ("code", "error"),
    [(15, SourceError), (4, SourceForbidden), (10, SourceTimeout), (9, SourceMissing)],
)
def test_a_gpu_that_fails_is_a_gap(code: int, error: type[SourceError]) -> None:
    gpu = Gpu(millijoules=1000)
    (channel,) = opened(Driver(gpu)).channels()
    gpu.fails = code
    with pytest.raises(error):
        channel.read()
    gpu.fails = 0
    assert channel.read().joules == pytest.approx(1.0)


def test_without_driver_gpu_or_package() -> None:
    for code in (9, 12):
        with pytest.raises(SourceMissing, match="no NVIDIA driver"):
            opened(Driver(rejection=code))
    with pytest.raises(SourceMissing, match="no GPU"):
        opened(Driver())


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(ExtraMissing, match=r"edge-energymeter\[nvidia\]"):
        Nvml().open()


def test_closing_is_forgiving() -> None:
    driver = Driver(Gpu(millijoules=1000))
    source = opened(driver)
    source.close()
    source.close()
    assert driver.users == 0
    Nvml().close()


def test_it_is_looked_for_where_a_driver_is(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="no NVIDIA driver"):
        Nvml.addresses(str(tmp_path))
    Sysfs(tmp_path).put("dev/nvidiactl", "")
    assert Nvml.addresses(str(tmp_path)) == [""]


def test_a_counter_that_never_counted_gives_way_to_the_power() -> None:
    gpu = Gpu(millijoules=0, usage=100_000, architecture=5)
    assert measured(Nvml(library=Driver(gpu))).mean_watts == pytest.approx(100.0)


@pytest.mark.parametrize("by", ["instant", "average", "usage"])
def test_a_driver_that_counts_in_watts_is_reported(by: str) -> None:
    gpu = Gpu(usage=285, fields={INSTANT: 285, AVERAGE: 285})
    (note,) = measured(
        Nvml(by=by, library=Driver(gpu, Gpu(usage=9_000, fields={INSTANT: 9_000, AVERAGE: 9_000})))
    ).notes
    assert note.startswith("nvml:0 shows 285 mW, which no GPU draws: its driver may count in watts")


def test_no_watts_at_all_are_no_power() -> None:
    gpu = Gpu(usage=0, architecture=5)
    with pytest.raises(SourceError, match="which no GPU draws"):
        opened(Driver(gpu), by="usage")
    gpu.usage = 100_000

    def lost(n: int) -> None:
        gpu.usage = 0 if n > 8 else 100_000

    usage = measured(Nvml(by="usage", library=Driver(gpu)), lost, seconds=2.0)
    assert usage.coverage < 0.8
    assert usage.mean_watts == pytest.approx(100.0)
