"""NVIDIA GPUs against an emulated driver; not tried on a real GPU here."""

import sys
from pathlib import Path

import pytest
from devices.nvml import Driver, Gpu
from devices.sysfs import Sysfs

from energymeter.drivers.nvml import Nvml
from energymeter.errors import (
    ExtraMissing,
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


def test_a_counter_that_has_not_moved_is_no_sample() -> None:
    gpu = Gpu(millijoules=1000)
    (channel,) = opened(Driver(gpu)).channels()
    assert channel.read().fresh
    assert not channel.read().fresh
    gpu.millijoules = 1001
    assert channel.read().fresh


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
        Nvml.places(str(tmp_path))
    Sysfs(tmp_path).put("dev/nvidiactl", "")
    assert Nvml.places(str(tmp_path)) == [""]
