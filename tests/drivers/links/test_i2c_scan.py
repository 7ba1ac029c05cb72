"""INA chips found from strangers on the same addresses, by reads that harm nobody."""

from pathlib import Path

import pytest
from devices.i2c_bus import ReadOnlyBus, Registers
from devices.sysfs import Sysfs
from hypothesis import given
from hypothesis import strategies as st

from energymeter.drivers.links.i2c import Wire
from energymeter.drivers.links.i2c_scan import buses, places_of
from energymeter.errors import SourceError, SourceForbidden, SourceMissing

TI = 0x5449
INA219_RESET = Registers({0: 0x399F, 2: 0x1F42}, other=0)
INA219_RUNS = Registers({0: 0x3FFF, 2: round(5.1 / 4e-3) << 3 | 2}, other=0)
INA219_32V_LOW_GAIN = Registers({0: 0x219F, 2: round(12.0 / 4e-3) << 3 | 2}, other=0)
PCA9685 = Registers({0: 0x1111, 2: 0xE2E2, 0xFE: 0x1E1E}, other=0)
PCA9685_STEPPING = Registers({0: 0x2104, 2: 0xE2E4, 0xFE: 0x1E00}, other=0)
SI7021 = Registers({}, other=0xFFFF, harmful=(0xFE, 0xE5, 0xE3, 0xF3, 0xF5, 0xE6))
HTU21D = Registers({}, harmful=(0xFE, 0xE6))
LM75 = Registers({0: 0x1940, 1: 0x0000, 2: 0x4B00, 3: 0x5000}, other=0x1940)
FAMILY = {
    "ina226": Registers({0: 0x4127, 0xFE: TI, 0xFF: 0x2260}),
    "ina260": Registers({0: 0x6127, 0xFE: TI, 0xFF: 0x2270}),
    "ina3221": Registers({0: 0x7127, 0xFE: TI, 0xFF: 0x3220}),
    "ina238": Registers({0: 0x0010, 0x3E: TI, 0x3F: 0x2381}),
    "ina228": Registers({0: 0x0000, 0x3E: TI, 0x3F: 0x2281}),
}


@pytest.fixture
def pi(tmp_path: Path) -> Sysfs:
    """A Raspberry Pi 4 with its header's bus switched on."""
    sysfs = Sysfs(tmp_path)
    sysfs.put("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4")
    sysfs.put("dev/i2c-1", "")
    return sysfs


def found(kind: str, sysfs: Sysfs, bus: ReadOnlyBus) -> list[str]:
    places = list(places_of(kind, sysfs.root, lambda *_: bus))
    assert bus.closed == 1
    return places


@pytest.mark.parametrize("chip", [INA219_RESET, INA219_RUNS, INA219_32V_LOW_GAIN])
def test_an_ina219_is_known_by_its_configuration(pi: Sysfs, chip: Registers) -> None:
    assert found("ina219", pi, ReadOnlyBus({0x40: chip, 0x45: chip})) == ["1:0x40", "1:0x45"]


@pytest.mark.parametrize(
    "registers",
    [
        {0: 0x7FFF, 2: 0x1F42},  # a reserved bit of the configuration
        {0: 0x3FFE, 2: 0x1F42},  # no continuous conversion
        {0: 0x3FFB, 2: 0x1F42},  # powered down
        {0: 0x3FFF, 2: 0x1F40},  # no ready flag
        {0: 0x3FFF, 2: 0x1F46},  # a reserved bit of the voltage
        {0: 0x3FFF, 2: 0x0002},  # no voltage
        {0: 0x3FFF},  # no voltage can be read
    ],
)
def test_what_differs_in_one_bit_from_an_ina219_is_none(pi: Sysfs, registers: dict[int, int]) -> None:
    with pytest.raises(SourceMissing, match="answers at 1:0x40"):
        found("ina219", pi, ReadOnlyBus({0x40: Registers(registers, other=0)}))


@pytest.mark.parametrize("kind", FAMILY)
def test_the_others_are_known_by_their_identity(pi: Sysfs, kind: str) -> None:
    bus = ReadOnlyBus({0x41: FAMILY[kind]})
    assert found(kind, pi, bus) == ["1:0x41"]
    for other in {*FAMILY, "ina219"} - {kind}:
        assert found(other, pi, ReadOnlyBus({0x41: FAMILY[kind]})) == []


@pytest.mark.parametrize("stranger", [PCA9685, PCA9685_STEPPING, SI7021, LM75])
def test_a_stranger_is_left_for_a_person_to_name(pi: Sysfs, stranger: Registers) -> None:
    with pytest.raises(SourceMissing, match="answers at 1:0x40; name it if it is an INA219: ina219@1:0x40"):
        found("ina219", pi, ReadOnlyBus({0x40: stranger}))
    for kind in FAMILY:
        assert found(kind, pi, ReadOnlyBus({0x40: stranger})) == [], "said once for the family"


def test_a_sensor_that_takes_register_numbers_for_commands_is_not_disturbed(pi: Sysfs) -> None:
    """It refuses register 0 and is asked for nothing else."""
    bus = ReadOnlyBus({0x40: HTU21D})
    assert found("ina226", pi, bus) == []
    assert bus.asked == [(0x40, 0)]


def test_a_stranger_next_to_a_meter_does_not_hide_it(pi: Sysfs) -> None:
    places = places_of("ina219", pi.root, lambda *_: ReadOnlyBus({0x40: PCA9685, 0x44: INA219_RUNS}))
    assert next(places) == "1:0x44"
    with pytest.raises(SourceMissing, match="answers at 1:0x40"):
        next(places)


def test_a_chip_of_the_kernel_is_left_alone(pi: Sysfs) -> None:
    assert found("ina219", pi, ReadOnlyBus({0x40: INA219_RESET}, busy=(0x40,))) == []


@given(
    words=st.dictionaries(st.sampled_from([0, 2, 0x3E, 0x3F, 0xFE, 0xFF]), st.integers(0, 0xFFFF)),
    other=st.none() | st.integers(0, 0xFFFF),
)
def test_whatever_answers_is_only_read(
    tmp_path_factory: pytest.TempPathFactory, words: dict[int, int], other: int | None
) -> None:
    sysfs = Sysfs(tmp_path_factory.getbasetemp())
    sysfs.put("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4")
    sysfs.put("dev/i2c-1", "")
    for kind in (*FAMILY, "ina219"):
        bus = ReadOnlyBus({0x40: Registers(words, other=other)})
        try:
            assert found(kind, sysfs, bus) in ([], ["1:0x40"])
        except SourceMissing:
            assert kind == "ina219"


def test_a_closed_bus_is_reported_once(pi: Sysfs) -> None:
    def refused(bus: int, root: str) -> Wire:
        raise SourceForbidden(f"/dev/i2c-{bus} is for root and group i2c only")

    with pytest.raises(SourceForbidden):
        list(places_of("ina219", pi.root, refused))
    assert list(places_of("ina226", pi.root, refused)) == []


def test_a_device_file_that_is_no_bus(pi: Sysfs) -> None:
    with pytest.raises(SourceError):
        list(places_of("ina219", pi.root))


def test_only_buses_that_people_wire(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    assert buses(sysfs.root) == []
    for number, name in enumerate(
        ["SMBus I801 adapter", "NVIDIA i2c adapter", "CP2112 SMBus Bridge", "i2c-tiny-usb"]
    ):
        sysfs.put(f"sys/bus/i2c/devices/i2c-{number}/name", name)
        sysfs.put(f"dev/i2c-{number}", "")
    sysfs.put("sys/bus/i2c/devices/2-0040/name", "ina226")
    assert buses(sysfs.root) == [2, 3]
    sysfs.put("proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit")
    assert buses(sysfs.root) == [2, 3]
    sysfs.put("dev/i2c-7", "")
    assert buses(sysfs.root) == [2, 3, 7]
