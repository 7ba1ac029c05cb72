"""Industrial I/O power monitors: scales, offsets, accumulators, and the shunt trap."""

from pathlib import Path

import pytest
from devices.measured import measured
from devices.sysfs import Sysfs, check_faults

from energymeter.drivers.iio import Iio
from energymeter.errors import NotMeasured, SourceError, SourceForbidden, SourceMissing, SpecError

INA219 = {  # ina2xx-adc: shunt, bus, power, current; LSBs of an INA219 that believes in 10 mΩ
    "name": "ina219",
    "in_voltage0_raw": 500,
    "in_voltage0_scale": "0.010000",
    "in_voltage1_raw": 1255,
    "in_voltage1_scale": "4.000000",
    "in_power2_raw": 1255,
    "in_power2_scale": "20.000000",
    "in_current3_raw": 5000,
    "in_current3_scale": "1.000000",
    "in_shunt_resistor": "0.010000000",
}


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


def device(sysfs: Sysfs, number: int, files: dict[str, object]) -> str:
    folder = f"sys/bus/iio/devices/iio:device{number}"
    sysfs.fill(folder, files)
    return folder


def opened(sysfs: Sysfs, place: str = "", shunt: float = 0.0) -> Iio:
    iio = Iio(place, shunt=shunt, root=sysfs.root)
    iio.open()
    return iio


def test_bus_voltage_and_current_of_an_ina219(sysfs: Sysfs) -> None:
    device(sysfs, 0, {"name": "adc", "in_voltage0_raw": 1})
    device(sysfs, 1, {**INA219})
    for place in ("", "ina219", "iio:device1"):
        reading = opened(sysfs, place).read()
        assert reading.volts == pytest.approx(5.02)
        assert reading.amps == pytest.approx(5.0)


def test_the_true_shunt_scales_the_current(sysfs: Sysfs) -> None:
    folder = device(sysfs, 0, {**INA219})
    reading = opened(sysfs, shunt=0.1).read()
    assert reading.volts == pytest.approx(5.02)
    assert reading.amps == pytest.approx(0.5)
    sysfs.remove(f"{folder}/in_shunt_resistor")
    with pytest.raises(SpecError, match="in_shunt_resistor"):
        opened(sysfs, "ina219", shunt=0.1)
    with pytest.raises(SpecError, match="ohms"):
        Iio(shunt=-1.0)


def test_offsets_and_shared_scales(sysfs: Sysfs) -> None:
    device(
        sysfs,
        0,
        {
            "name": "pac1921",
            "in_voltage1_raw": 100,
            "in_voltage_scale": "2.5",
            "in_voltage1_offset": -20,
            "in_current1_input": 750,
        },
    )
    reading = opened(sysfs).read()
    assert reading.volts == pytest.approx(0.2)
    assert reading.amps == pytest.approx(0.75)


def test_accumulators_are_preferred(sysfs: Sysfs) -> None:
    files: dict[str, object] = {"name": "ina780"}
    for number, raw in ((1, 4000), (2, 8000)):
        files |= {
            f"in_energy{number}_raw": raw,
            f"in_energy{number}_scale": "0.001",
            f"in_voltage{number}_raw": 1,
            f"in_current{number}_raw": 1,
        }
    device(sysfs, 0, files)
    iio = opened(sysfs)
    assert [channel.facts.semantics for channel in iio.channels()] == ["counter", "counter"]
    assert [channel.read().joules for channel in iio.channels()] == pytest.approx([4.0, 8.0])
    sysfs.put(
        "sys/bus/iio/devices/iio:device0/in_energy1_raw", 3
    )  # a counter that was reset is said as it is
    assert iio.channels()[0].read().joules == pytest.approx(0.003)


def test_an_accumulator_that_is_off_is_not_read_as_no_energy(sysfs: Sysfs) -> None:
    files = {"name": "ina780", "in_energy1_raw": 0, "in_energy1_scale": "0.001", "in_energy1_en": 0}
    folder = device(sysfs, 0, {**files, "in_voltage1_input": 5000, "in_current1_input": 300})
    reading = opened(sysfs).read()
    assert (reading.volts, reading.amps, reading.joules) == (5.0, 0.3, None)
    sysfs.put(f"{folder}/in_energy1_en", 1)
    assert opened(sysfs).read().joules == 0.0


def test_a_pac1934_is_read_by_volts_and_amps(sysfs: Sysfs) -> None:
    """Scales as pac1934.c gives them for 10 mΩ: 32 V and 10 A in 16 bit, 320 W in 28 bit.

    At 5 V and 1 A power and energy come out as 5 000 000: micro-units, where the ABI has mW and J.
    """
    files: dict[str, object] = {"name": "pac1934", "in_shunt_resistor1": 10000}
    files |= {"in_voltage1_raw": 10240, "in_voltage1_scale": "0.488281250"}
    files |= {"in_current1_raw": 6557, "in_current1_scale": "0.152500000"}
    files |= {"in_power1_raw": 4194304, "in_power1_scale": "1.192100000"}
    files |= {"in_energy1_raw": 4194304, "in_energy1_scale": "1.192100000", "in_energy1_en": 1}
    device(sysfs, 0, files)
    iio = opened(sysfs)
    reading = iio.read()
    assert (reading.volts, reading.watts, reading.joules) == (pytest.approx(5.0), None, None)
    assert reading.amps == pytest.approx(1.0, rel=1e-4)
    assert iio.channels()[0].facts.semantics == "instant"


def test_equal_numbers_alone_pair_nothing(sysfs: Sysfs) -> None:
    # axp20x_adc.c: of an AXP209 voltage 3 is a pin's, and current 3 discharges the battery
    device(sysfs, 0, {"name": "axp20x-adc", "in_voltage3_input": 1200, "in_current3_input": 480})
    with pytest.raises(SourceMissing, match="external meter"):
        opened(sysfs)


def test_power_where_there_is_nothing_else(sysfs: Sysfs) -> None:
    device(sysfs, 0, {"name": "meter", "in_power0_input": 2500, "in_voltage0_raw": 7})
    assert opened(sysfs).read().watts == pytest.approx(2.5)


def test_several_rails_give_power_only(sysfs: Sysfs) -> None:
    files: dict[str, object] = {"name": "three"}
    for number, label in enumerate(("CORE", "IO")):
        files |= {
            f"in_voltage{number}_input": 1000 * (number + 1),
            f"in_current{number}_input": 500,
            f"in_voltage{number}_label": label,
            f"in_current{number}_label": label,
        }
    device(sysfs, 0, files)
    iio = opened(sysfs)
    assert [channel.name for channel in iio.channels()] == ["iio:three:CORE", "iio:three:IO"]
    assert iio.read().watts == pytest.approx(1.5)
    assert iio.channels()[0].read().amps is None


def test_devices_are_distinguished(sysfs: Sysfs) -> None:
    with pytest.raises(SourceMissing, match="external meter"):
        opened(sysfs)
    device(sysfs, 0, {**INA219})
    device(sysfs, 1, {**INA219, "name": "ina226"})
    with pytest.raises(SpecError, match=r"iio@iio:device0 \(ina219\), iio@iio:device1"):
        opened(sysfs)
    assert opened(sysfs, "ina226").read().volts == pytest.approx(5.02)
    with pytest.raises(SourceMissing, match="use one of"):
        opened(sysfs, "pac1934")


def test_files_that_fail_are_gaps(sysfs: Sysfs) -> None:
    folder = device(sysfs, 0, {**INA219})
    check_faults(sysfs, opened(sysfs), f"{folder}/in_current3_raw", folder)


def test_files_nobody_may_read(sysfs: Sysfs) -> None:
    folder = device(sysfs, 0, {**INA219})
    sysfs.forbid(f"{folder}/in_current3_raw")
    with pytest.raises(SourceForbidden):
        opened(sysfs)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("in_power0_scale", "nan"),
        ("in_power0_scale", "0"),
        ("in_power_scale", "none"),
        ("in_power0_offset", "none"),
    ],
)
def test_a_power_in_an_unknown_unit_is_no_power(sysfs: Sysfs, key: str, said: str) -> None:
    folder = device(sysfs, 0, {"name": "adc", "in_power0_raw": 1000, key: said})
    with pytest.raises(SourceMissing, match="measures power"):
        opened(sysfs)
    sysfs.put(f"{folder}/{key}", "2")
    assert opened(sysfs).read().watts == pytest.approx(1.002 if key.endswith("offset") else 2.0)


def test_the_error_of_a_driver_in_the_place_of_a_value_is_no_power(sysfs: Sysfs) -> None:
    device(sysfs, 0, {"name": "a_chip", "in_power0_input": -22})
    with pytest.raises(NotMeasured):
        measured(opened(sysfs))


@pytest.mark.parametrize(
    ("chip", "count", "clips"),
    [
        ("ina219", 32_000, True),
        ("ina219", -32_000, True),
        ("ina219", 31_999, False),
        ("ina226", 32_767, True),
        ("ina226", 32_000, False),
    ],
)
def test_a_current_at_full_scale_is_no_current(sysfs: Sysfs, chip: str, count: int, clips: bool) -> None:
    folder = device(sysfs, 0, {**INA219, "name": chip})
    iio = opened(sysfs)
    iio.read()
    sysfs.put(f"{folder}/in_current3_raw", count)
    if clips:
        with pytest.raises(SourceError, match="full scale of its chip"):
            iio.read()
    else:
        assert iio.read().amps == pytest.approx(count / 1000)


def test_an_accumulator_that_stands_while_power_flows_is_unknown(sysfs: Sysfs) -> None:
    folder = device(sysfs, 0, {"name": "pac1944", "in_energy0_input": 5, "in_power0_input": 3000})
    with pytest.raises(NotMeasured):
        measured(opened(sysfs), seconds=10.0)
    sysfs.put(f"{folder}/in_power0_input", 0)
    assert measured(opened(sysfs), seconds=10.0).joules == 0.0
