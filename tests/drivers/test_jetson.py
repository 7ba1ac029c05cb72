"""Jetson rails from sysfs: both layouts, what is added, and chips that fail."""

from pathlib import Path

import pytest
from devices.sysfs import JetsonBoard, Sysfs

from energymeter.drivers.jetson import Jetson
from energymeter.errors import SourceError, SourceForbidden, SourceMissing, SpecError


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


def opened(sysfs: Sysfs, place: str = "") -> Jetson:
    jetson = Jetson(place, root=sysfs.root)
    jetson.open()
    return jetson


@pytest.mark.parametrize("listing", ["devices", "drivers/ina3221"])
@pytest.mark.parametrize(
    ("board", "total", "volts", "amps", "rails"),
    [
        ("nano", "POM_5V_IN", 5.08, 0.4, 3),
        ("xavier_nx", "VDD_IN", 5.0, 0.72, 3),
        ("orin_nano", "VDD_IN", 4.984, 0.864, 3),
    ],
)
def test_a_total_rail_stands_alone(
    sysfs: Sysfs, listing: str, board: str, total: str, volts: float, amps: float, rails: int
) -> None:
    JetsonBoard(sysfs, board, listing)
    jetson = opened(sysfs)
    assert [channel.name for channel in jetson.channels() if channel.facts.counted] == [f"jetson:{total}"]
    assert len(jetson.channels()) == rails
    reading = jetson.read()
    assert reading.volts == pytest.approx(volts)
    assert reading.amps == pytest.approx(amps)


def test_agx_orin_adds_three_rails_and_invents_no_current(sysfs: Sysfs) -> None:
    JetsonBoard(sysfs, "agx_orin")
    jetson = opened(sysfs)
    counted = [channel.name for channel in jetson.channels() if channel.facts.counted]
    assert counted == ["jetson:VDD_GPU_SOC", "jetson:VDD_CPU_CV", "jetson:VIN_SYS_5V0"]
    assert [channel.name for channel in jetson.channels()] == [*counted, "jetson:VDDQ_VDD2_1V8AO"]
    reading = jetson.read()
    assert reading.watts == pytest.approx(12.008 * 0.28 + 12.008 * 0.04 + 4.968 * 0.98)
    assert reading.amps is None
    assert reading.volts is None


def test_thor_takes_vin_from_its_ina238(sysfs: Sysfs) -> None:
    ina3221 = "sys/bus/i2c/devices/2-0040/hwmon/hwmon1"
    sysfs.put("sys/bus/i2c/devices/2-0040/name", "ina3221")
    sysfs.fill(
        ina3221, {"in1_label": "VDD_GPU", "in1_input": 12040, "curr1_input": 640, "shunt1_resistor": 2000}
    )
    sysfs.put("sys/bus/i2c/devices/2-0044/name", "ina238")
    sysfs.fill(
        "sys/bus/i2c/devices/2-0044/hwmon/hwmon2",
        {"in0_input": 3, "in1_input": 20000, "curr1_input": 1150, "power1_input": 23_000_000},
    )
    jetson = opened(sysfs)
    assert [channel.name for channel in jetson.channels() if channel.facts.counted] == ["jetson:VIN"]
    assert jetson.read().watts == pytest.approx(23.0)
    gpu = next(channel for channel in jetson.channels() if channel.name == "jetson:VDD_GPU")
    assert gpu.facts.amps is not None
    assert gpu.facts.amps.resolution == pytest.approx(0.02)


def test_one_rail_alone(sysfs: Sysfs) -> None:
    JetsonBoard(sysfs, "orin_nano")
    assert opened(sysfs, "VDD_SOC").read().amps == pytest.approx(0.272)
    with pytest.raises(SpecError, match="VDD_IN, VDD_CPU_GPU_CV, VDD_SOC"):
        opened(sysfs, "VDD_GPU")


def test_a_failing_total_is_a_gap_and_never_the_sum_of_the_rest(sysfs: Sysfs) -> None:
    board = JetsonBoard(sysfs, "nano")
    jetson = opened(sysfs)
    volts, amps = board.files("POM_5V_IN")
    sysfs.break_reads(amps)
    with pytest.raises(SourceError, match="Input/output error"):
        jetson.read()
    sysfs.remove(amps)
    with pytest.raises(SourceMissing):
        jetson.read()
    board.set("POM_5V_IN", 5080, 1000)
    assert jetson.read().amps == pytest.approx(1.0)
    sysfs.put(volts, "")
    with pytest.raises(SourceError, match="empty"):
        jetson.read()
    jetson.close()
    jetson.close()


def test_opened_again_it_counts_the_same_rails(sysfs: Sysfs) -> None:
    board = JetsonBoard(sysfs, "nano")
    jetson = opened(sysfs)
    label = "sys/bus/i2c/devices/6-0040/iio:device0/rail_name_0"
    sysfs.remove(label)
    with pytest.raises(SourceError, match="POM_5V_IN is gone"):
        jetson.open()
    sysfs.put(label, "POM_5V_IN")
    board.set("POM_5V_IN", 5000, 500)
    jetson.open()
    assert jetson.read().amps == pytest.approx(0.5)


def test_a_failing_part_leaves_the_board_alone(sysfs: Sysfs) -> None:
    board = JetsonBoard(sysfs, "orin_nano")
    sysfs.break_reads(board.files("VDD_SOC")[1])
    jetson = opened(sysfs)
    assert jetson.read().amps == pytest.approx(0.864)
    soc = next(channel for channel in jetson.channels() if channel.name == "jetson:VDD_SOC")
    with pytest.raises(SourceError):
        soc.read()


def test_negative_current_is_said_as_it_is(sysfs: Sysfs) -> None:
    board = JetsonBoard(sysfs, "agx_orin")
    board.set("VDD_CPU_CV", 12008, -8)
    board.set("VDDQ_VDD2_1V8AO", 4968, -8)
    channels = opened(sysfs).channels()
    assert channels[1].read().watts == pytest.approx(-0.096064)
    assert channels[3].read().amps == pytest.approx(-0.008)


def test_root_only_files_point_to_jtop(sysfs: Sysfs) -> None:
    board = JetsonBoard(sysfs, "nano")
    for name in board.files("POM_5V_IN"):
        sysfs.forbid(name)
    with pytest.raises(SourceForbidden, match="jtop"):
        opened(sysfs)


def test_a_board_without_a_monitor_is_missing(sysfs: Sysfs) -> None:
    sysfs.put("sys/bus/i2c/devices/1-0050/name", "24c02")
    with pytest.raises(SourceMissing, match="Nano 2GB"):
        opened(sysfs)
