"""The kernel's hardware monitoring: chips found by name, what is added, and the shunt trap."""

from pathlib import Path

import pytest
from devices.measured import measured
from devices.real_recordings import recording
from devices.sysfs import Sysfs, check_faults

from energymeter.drivers.hwmon import Hwmon
from energymeter.errors import NotMeasured, SourceError, SourceForbidden, SourceMissing, SpecError
from energymeter.reading import Band, Reading

INA219 = {
    "in0_input": -4,
    "in1_input": 4228,
    "curr1_input": -40,
    "power1_input": 176_000,
    "shunt_resistor": 100_000,
}


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


def chip(sysfs: Sysfs, number: int, name: str, **files: object) -> str:
    folder = f"sys/class/hwmon/hwmon{number}"
    sysfs.fill(folder, {"name": name, **files})
    return folder


def opened(sysfs: Sysfs, place: str = "", shunt: float = 0.0) -> Hwmon:
    hwmon = Hwmon(place, shunt=shunt, root=sysfs.root)
    hwmon.open()
    return hwmon


def test_volts_and_amps_are_preferred_to_the_unsigned_power(sysfs: Sysfs) -> None:
    chip(sysfs, 0, "cpu_thermal", temp1_input=40000)
    chip(sysfs, 7, "ina219", **INA219)
    for place in ("", "ina219", "hwmon7"):
        reading = opened(sysfs, place).read()
        assert reading.volts == pytest.approx(4.228)
        assert reading.amps == pytest.approx(-0.040)
        assert reading.watts is None


def test_of_a_chip_one_bound_is_said_for_many(sysfs: Sysfs) -> None:
    """Steps are those of the kernel: 1 mV and 1 mA."""
    chip(sysfs, 0, "ina219", in1_input=5000, curr1_input=1000, power1_input=5_000_000)
    (channel,) = opened(sysfs).channels()
    facts = channel.facts
    assert (facts.volts, facts.amps) == (Band(0.01, 0.0, 1e-3), Band(0.02, 0.0, 1e-3))
    assert (facts.watts, facts.joules) == (Band(0.02), Band(0.02))


def test_the_true_shunt_scales_the_current(sysfs: Sysfs) -> None:
    folder = chip(sysfs, 0, "ina219", **{**INA219, "shunt_resistor": 10_000, "curr1_input": 5000})
    assert opened(sysfs, shunt=0.1).read().amps == pytest.approx(0.5)
    assert opened(sysfs).read().amps == pytest.approx(5.0)
    sysfs.remove(f"{folder}/shunt_resistor")
    with pytest.raises(SpecError, match="shunt_resistor"):
        opened(sysfs, shunt=0.1)
    for ohms in (-0.1, float("nan")):
        with pytest.raises(SpecError, match="ohms"):
            Hwmon(shunt=ohms)


def test_a_power_z_measures_vbus(sysfs: Sysfs) -> None:
    chip(
        sysfs,
        0,
        "powerz",
        in0_input=5102,
        in0_label="VBUS",
        in1_input=430,
        in1_label="VCC1",
        curr1_input=873,
        curr1_label="IBUS",
    )
    reading = opened(sysfs, "powerz").read()
    assert (reading.volts, reading.amps) == (5.102, 0.873)


def test_rails_of_one_chip_are_channels(sysfs: Sysfs) -> None:
    chip(
        sysfs,
        0,
        "ina3221",
        in1_label="CPU",
        in1_input=5000,
        curr1_input=1000,
        in2_label="GPU",
        in2_input=3300,
        curr2_input=500,
        in3_label="NC",
        in3_input=0,
        curr3_input=0,
        in7_label="sum of shunt voltages",
        in7_input=9,
        curr4_input=1500,
    )
    hwmon = opened(sysfs)
    assert [channel.name for channel in hwmon.channels()] == ["hwmon:ina3221:CPU", "hwmon:ina3221:GPU"]
    reading = hwmon.read()
    assert reading.watts == pytest.approx(5.0 + 1.65)
    assert reading.amps is None


def test_sockets_contain_their_cores(sysfs: Sysfs) -> None:
    chip(
        sysfs,
        0,
        "amd_energy",
        energy1_label="Ecore000",
        energy1_input=1_000_000,
        energy2_label="Ecore001",
        energy2_input=2_000_000,
        energy3_label="Esocket0",
        energy3_input=50_000_000,
    )
    hwmon = opened(sysfs)
    assert hwmon.read().joules == pytest.approx(50.0)
    assert [channel.facts.counted for channel in hwmon.channels()] == [False, False, True]
    assert hwmon.channels()[2].facts.semantics == "counter"


def test_an_unlabelled_ina3221_has_three_rails_and_not_its_own_sum(sysfs: Sysfs) -> None:
    # ina3221.c: in4 to in6 are shunts in µV, curr4 and in7 sums, all of them there without a devicetree label
    folder = chip(sysfs, 3, "ina3221", in7_label="sum of shunt voltages", in7_input=9400, curr4_input=1880)
    for number, (millivolts, milliamps) in enumerate([(5000, 800), (3304, 600), (5000, 480)], 1):
        sysfs.put(f"{folder}/in{number}_input", millivolts)
        sysfs.put(f"{folder}/curr{number}_input", milliamps)
        sysfs.put(f"{folder}/in{number + 3}_input", milliamps * 5)
    hwmon = opened(sysfs)
    assert [channel.name for channel in hwmon.channels()] == [f"hwmon:ina3221:{n}" for n in (1, 2, 3)]
    assert hwmon.read().watts == pytest.approx(4.0 + 1.9824 + 2.4)


def test_a_corsair_supply_is_its_total_power(sysfs: Sysfs) -> None:
    # corsair-psu.rst: curr1 is the sum of all and curr2 of 12 V, but in1 is 12 V and in2 5 V
    labels = {"in0": "v_in", "in1": "v_out +12v", "in2": "v_out +5v", "in3": "v_out +3.3v"}
    labels |= {"curr1": "curr in", "curr2": "curr +12v", "curr3": "curr +5v", "curr4": "curr +3.3v"}
    labels |= {"power1": "power total", "power2": "power +12v", "power3": "power +5v"}
    labels |= {"power4": "power +3.3v"}
    values = {"in0": 230000, "in1": 12090, "in2": 5000, "in3": 3310}
    values |= {"curr1": 480, "curr2": 6500, "curr3": 1750, "curr4": 1200}
    values |= {"power1": 90_000_000, "power2": 77_000_000, "power3": 8_750_000, "power4": 4_000_000}
    folder = chip(sysfs, 0, "corsairpsu")
    for name, value in values.items():
        sysfs.put(f"{folder}/{name}_input", value)
        sysfs.put(f"{folder}/{name}_label", labels[name])
    hwmon = opened(sysfs)
    assert hwmon.read() == Reading(watts=pytest.approx(90.0))
    assert sum(channel.facts.counted for channel in hwmon.channels()) == 1
    assert {channel.name: channel.read().watts for channel in hwmon.channels()}[
        "hwmon:corsairpsu:power +3.3v"
    ] == pytest.approx(4.0)


def test_a_converters_output_is_inside_its_input(sysfs: Sysfs) -> None:
    # labels as of pmbus.rst
    folder = chip(sysfs, 0, "pfe1100", in1_label="vin", in2_label="vout1", curr1_label="iin")
    sysfs.fill(folder, {"in1_input": 231000, "in2_input": 12100, "curr1_input": 500, "curr2_input": 8400})
    sysfs.fill(folder, {"curr2_label": "iout1", "power1_label": "pin", "power2_label": "pout1"})
    sysfs.fill(folder, {"power1_input": 112_000_000, "power2_input": 101_600_000})
    assert opened(sysfs).read().watts == pytest.approx(112.0)


def test_equal_numbers_alone_pair_nothing(sysfs: Sysfs) -> None:
    # iio-hwmon numbers every kind by itself
    folder = chip(sysfs, 0, "iio_hwmon", in1_input=1200, curr1_input=300)
    with pytest.raises(SourceMissing, match="external meter"):
        opened(sysfs)
    sysfs.fill(folder, {"in1_label": "vdd_npu", "curr1_label": "vdd_npu"})
    reading = opened(sysfs).read()
    assert (reading.volts, reading.amps) == (1.2, 0.3)


@pytest.mark.parametrize(
    ("name", "labels", "watts"),
    [
        ("amdgpu", {"power1": "slowPPT", "power2": "fastPPT"}, 5.0),  # Van Gogh (Steam Deck): one sensor
        ("p9_sbe_occ", {"power1": "vdd", "power2": "system"}, 6.0),
        ("zenpower", {"power1": "SVI2_P_Core", "power2": "SVI2_P_SoC"}, 11.0),
    ],
)
def test_what_contains_another_is_not_added_to_it(
    sysfs: Sysfs, name: str, labels: dict[str, str], watts: float
) -> None:
    folder = chip(sysfs, 0, name, power1_input=5_000_000, power2_input=6_000_000)
    sysfs.fill(folder, {f"{power}_label": label for power, label in labels.items()})
    assert opened(sysfs).read().watts == pytest.approx(watts)


def test_the_package_is_inside_the_card(sysfs: Sysfs) -> None:
    # sysfs-driver-intel-xe-hwmon: energy1 of the card, energy2 of the package
    folder = chip(sysfs, 0, "xe", energy1_input=70_000_000, energy2_input=50_000_000, in1_input=900)
    sysfs.fill(folder, {"energy1_label": "card", "energy2_label": "pkg"})
    assert opened(sysfs).read().joules == pytest.approx(70.0)


def test_an_average_is_a_mean(sysfs: Sysfs) -> None:
    chip(sysfs, 0, "power_meter", power1_average=210_000_000, power1_average_interval=2000)
    (channel,) = opened(sysfs).channels()
    assert channel.facts.semantics == "mean"
    assert channel.facts.max_hz == pytest.approx(0.5)
    assert channel.read().watts == pytest.approx(210.0)


def test_attributes_are_found_where_older_drivers_have_them(sysfs: Sysfs) -> None:
    # acpi_power_meter.c: everything but the name is the ACPI device's
    folder = "sys/class/hwmon/hwmon1"
    sysfs.put(f"{folder}/name", "power_meter")
    sysfs.fill(
        f"{folder}/device",
        {"power1_average": 182_000_000, "power1_average_interval": 1000, "power1_accuracy": "99.0%"},
    )
    sysfs.put(f"{folder}/device/power1_oem_info", "CPU Power Socket 0")
    (channel,) = opened(sysfs).channels()
    assert channel.name == "hwmon:power_meter:CPU Power Socket 0"
    assert channel.facts.watts.gain == pytest.approx(0.01)
    assert channel.facts.renewal_seconds == 1.0
    assert measured(opened(sysfs)).mean_watts == pytest.approx(182.0)


def test_a_chip_whose_name_is_with_its_attributes(sysfs: Sysfs) -> None:
    sysfs.fill("sys/class/hwmon/hwmon0/device", {"name": "ina209", "power1_input": 4_000_000})
    assert opened(sysfs, "ina209").read().watts == pytest.approx(4.0)


@pytest.mark.parametrize("microwatts", [4294967295000, 4294967295, 2**31 - 1, 2**64 - 1, 10**12])
def test_a_code_for_no_value_and_megawatts_are_no_power(sysfs: Sysfs, microwatts: int) -> None:
    chip(sysfs, 1, "power_meter", power1_average=microwatts, power1_average_interval=1000)
    with pytest.raises(NotMeasured):
        measured(opened(sysfs))


@pytest.mark.parametrize("name", ["zenergy", "amd_energy", "another"])
@pytest.mark.parametrize(
    ("cores", "socket"), [("Ecore{:03}", "Esocket0"), ("Core {}", "Package id 0"), ("core{}", "socket")]
)
def test_cores_are_inside_their_socket_whatever_the_driver_is_called(
    sysfs: Sysfs, name: str, cores: str, socket: str
) -> None:
    folder = chip(sysfs, 3, name)
    labels = [cores.format(0), cores.format(1), socket, "uncore"]
    for n, (label, joules) in enumerate(zip(labels, (1, 2, 5, 7), strict=True), 1):
        sysfs.fill(folder, {f"energy{n}_label": label, f"energy{n}_input": joules * 10**6})
    hwmon = opened(sysfs)
    assert [channel.facts.counted for channel in hwmon.channels()] == [False, False, True, True]
    assert hwmon.read().joules == pytest.approx(12.0)


def test_cores_without_a_socket_are_added(sysfs: Sysfs) -> None:
    folder = chip(sysfs, 3, "zenergy", energy1_input=10**6, energy2_input=2 * 10**6)
    sysfs.fill(folder, {"energy1_label": "Ecore000", "energy2_label": "Ecore001"})
    assert opened(sysfs).read().joules == pytest.approx(3.0)


def test_two_sensors_of_one_label_are_both_counted(sysfs: Sysfs) -> None:
    folder = chip(sysfs, 3, "occ", power1_input=10**6, power2_input=2 * 10**6)
    sysfs.fill(folder, {"power1_label": "PROC", "power2_label": "PROC"})
    assert opened(sysfs).read().watts == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("files", "expected", "semantics"),
    [
        ({"power1_input": 7_000_000, "power1_average": 9_000_000}, Reading(watts=7.0), "instant"),
        ({"power1_average": 9_000_000}, Reading(watts=9.0), "mean"),
        ({"power3_input": 7_000_000}, Reading(watts=7.0), "instant"),
        ({"energy1_input": 7_000_000, "power1_input": 1}, Reading(joules=7.0), "counter"),
        (
            {"in4_input": 12_000, "in4_label": "VDD", "curr1_input": 500, "curr1_label": "VDD"},
            Reading(volts=12.0, amps=0.5),
            "instant",
        ),
        (
            {"in1_average": 12_000, "in1_label": "VDD", "curr1_average": 500, "curr1_label": "VDD"},
            Reading(volts=12.0, amps=0.5),
            "mean",
        ),
        ({"power1_input": 5, "power1_enable": 0, "power2_input": 3_000_000}, Reading(watts=3.0), "instant"),
    ],
)
def test_every_documented_attribute_is_read(
    sysfs: Sysfs, files: dict[str, object], expected: Reading, semantics: str
) -> None:
    chip(sysfs, 0, "a_chip", **files)
    hwmon = opened(sysfs)
    (channel,) = hwmon.channels()
    assert channel.facts.semantics == semantics
    assert hwmon.read() == expected


def test_a_rail_that_cannot_be_read_is_left_out_and_said(sysfs: Sysfs) -> None:
    folder = chip(sysfs, 0, "a_chip", power1_input=5_000_000, power2_input=6_000_000)
    sysfs.break_reads(f"{folder}/power2_input")
    usage = measured(opened(sysfs))
    assert usage.mean_watts == pytest.approx(5.0)
    assert "hwmon:a_chip:2 cannot be read and is not in the total" in usage.notes


def test_a_chip_is_not_read_faster_than_it_renews(sysfs: Sysfs) -> None:
    chip(sysfs, 0, "ina226", **INA219, update_interval=140)
    (channel,) = opened(sysfs).channels()
    assert channel.facts.renewal_seconds == pytest.approx(0.14)
    assert channel.facts.default_hz == channel.facts.max_hz == pytest.approx(1 / 0.14)


@pytest.fixture
def sleeper(sysfs: Sysfs) -> str:
    """A graphics card that sleeps; where its status is."""
    chip(sysfs, 2, "amdgpu", power1_input=34_110_000)
    sysfs.put("sys/devices/0000:03:00.0/class", "0x030000")
    sysfs.put("sys/devices/0000:03:00.0/power/runtime_status", "suspended")
    sysfs.path("sys/class/hwmon/hwmon2/device").symlink_to(sysfs.path("sys/devices/0000:03:00.0"))
    return "sys/devices/0000:03:00.0/power/runtime_status"


def test_a_sleeping_graphics_card_is_not_woken(sysfs: Sysfs, sleeper: str) -> None:
    sysfs.forbid("sys/class/hwmon/hwmon2/power1_input")  # who touches it would fail in another way
    chip(sysfs, 3, "ina219", **INA219)
    places = Hwmon.addresses(sysfs.root)
    assert next(places) == "hwmon3"
    with pytest.raises(SourceMissing, match=r"amdgpu sleeps.*hwmon@0000:03:00\.0\?wake=true"):
        next(places)
    with pytest.raises(SourceMissing, match="sleeps"):
        opened(sysfs, "amdgpu")


def test_a_graphics_card_that_falls_asleep_is_read_again_when_it_is_awake(sysfs: Sysfs, sleeper: str) -> None:
    sysfs.put(sleeper, "active")
    hwmon = opened(sysfs, "amdgpu")
    sysfs.put(sleeper, "suspended")
    with pytest.raises(SourceError, match="sleeps"):
        hwmon.read()
    sysfs.put(sleeper, "active")
    assert hwmon.read().watts == pytest.approx(34.11)


def test_a_sleeping_graphics_card_is_woken_on_demand(sysfs: Sysfs, sleeper: str) -> None:
    hwmon = Hwmon("amdgpu", wake=True, root=sysfs.root)
    hwmon.open()
    assert hwmon.read().watts == pytest.approx(34.11)


def test_two_chips_must_be_distinguished(sysfs: Sysfs) -> None:
    for number, address in ((1, "1-0040"), (2, "1-0041")):
        folder = chip(sysfs, number, "ina219", **INA219)
        device = sysfs.path(f"sys/devices/i2c-1/{address}")
        device.mkdir(parents=True)
        (sysfs.path(folder) / "device").symlink_to(device)
    with pytest.raises(SpecError, match=r"hwmon@1-0040 \(ina219\), hwmon@1-0041"):
        opened(sysfs)
    with pytest.raises(SpecError):
        opened(sysfs, "ina219")
    assert opened(sysfs, "1-0041").read().volts == pytest.approx(4.228)
    with pytest.raises(SourceMissing, match="no 'ina226'"):
        opened(sysfs, "ina226")


def test_batteries_and_usb_ports_are_not_ours(sysfs: Sysfs) -> None:
    sysfs.put("sys/class/power_supply/BAT0/type", "Battery")
    sysfs.put("sys/class/power_supply/ucsi-source-psy-USBC000:001/type", "USB")
    chip(sysfs, 0, "BAT0", in0_input=12000, power1_input=5_000_000)
    chip(sysfs, 1, "ucsi_source_psy_USBC000:001", in0_input=15000, in1_input=1, curr1_input=3000)
    with pytest.raises(SourceMissing, match="external meter"):
        opened(sysfs)


def test_files_that_fail_are_gaps(sysfs: Sysfs) -> None:
    folder = chip(sysfs, 0, "ina219", **INA219)
    check_faults(sysfs, opened(sysfs), f"{folder}/curr1_input", folder)


def test_a_counter_nobody_may_read(sysfs: Sysfs) -> None:
    folder = chip(sysfs, 0, "amd_energy", energy1_label="Esocket0", energy1_input=1)
    sysfs.forbid(f"{folder}/energy1_input")
    with pytest.raises(SourceForbidden):
        opened(sysfs)


def test_the_recorded_ups_hat(sysfs: Sysfs) -> None:
    recorded = recording("wire/sysfs_hwmon_ina219_battery.txt")
    command, *values = recorded.read_text().splitlines()
    names = command[command.index("{") + 1 : command.index("}")].split(",")
    chip(sysfs, 2, "ina219", **dict(zip(names, values, strict=True)))
    reading = opened(sysfs).read()
    assert (reading.volts, reading.amps) == (pytest.approx(4.228), pytest.approx(-0.040))  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    ("name", "milliamps", "clips"),
    [
        ("ina3221", 32_760, True),
        ("ina3221", -32_760, True),
        ("ina3221", 32_750, False),
        ("ina219", 64_000, True),
        ("ina226", 16_384, True),
        ("ina226", 16_000, False),
        ("ltc4151", 90_000, False),
        ("ina260", 40_960, True),
        ("ina260", 40_000, False),
    ],
)
def test_a_current_at_full_scale_is_no_current(sysfs: Sysfs, name: str, milliamps: int, clips: bool) -> None:
    folder = chip(sysfs, 0, name, in1_input=5000, curr1_input=1000, shunt1_resistor=5000)
    hwmon = opened(sysfs)
    assert hwmon.read().amps == 1.0
    sysfs.put(f"{folder}/curr1_input", milliamps)
    if clips:
        with pytest.raises(SourceError, match="full scale of its chip"):
            hwmon.read()
    else:
        assert hwmon.read().amps == pytest.approx(milliamps / 1000)


def test_a_driver_that_counts_in_watts_is_reported_and_can_be_read(sysfs: Sysfs) -> None:
    chip(sysfs, 0, "a_chip", power1_input=45)
    usage = measured(opened(sysfs))
    assert usage.notes == (
        "hwmon:a_chip:1 shows 45 µW: if its driver counts in watts, read it as hwmon@hwmon0?power_unit=W",
    )
    in_watts = Hwmon("hwmon0", power_unit="W", root=sysfs.root)
    usage = measured(in_watts)
    assert (usage.mean_watts, usage.notes) == (pytest.approx(45.0), ())
    with pytest.raises(SpecError, match="no unit of watts"):
        Hwmon(power_unit="V")


@pytest.mark.parametrize("code", [-1, -5, -22, -61, -110])
def test_the_error_of_a_driver_in_the_place_of_a_value_is_no_power(sysfs: Sysfs, code: int) -> None:
    chip(sysfs, 0, "a_chip", power1_input=code)
    with pytest.raises(NotMeasured):
        measured(opened(sysfs))


def test_power_that_flows_back_is_measured(sysfs: Sysfs) -> None:
    chip(sysfs, 0, "a_chip", power1_input=-4_000_000)
    assert measured(opened(sysfs)).mean_watts == pytest.approx(-4.0)


def test_an_energy_counter_that_never_counted_gives_way_to_the_power_next_to_it(sysfs: Sysfs) -> None:
    chip(sysfs, 0, "a_chip", energy1_input=0, power1_input=30_000_000)
    assert measured(opened(sysfs)).mean_watts == pytest.approx(30.0)


@pytest.mark.parametrize("label", ["card", "Esocket0", "pkg"])
def test_a_counter_that_must_move_and_does_not_is_unknown(sysfs: Sysfs, label: str) -> None:
    chip(sysfs, 0, "xe", energy1_input=5_000_000, energy1_label=label)
    with pytest.raises(NotMeasured, match="stood still"):
        measured(opened(sysfs), seconds=5.0)


def test_a_rail_may_rest(sysfs: Sysfs) -> None:
    chip(sysfs, 0, "ina238", energy1_input=5_000_000)
    assert measured(opened(sysfs), seconds=5.0).joules == 0.0


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("power_meter", {"power1_average": 182_000}),
        ("corsairpsu", {"power1_input": 182_000, "power1_label": "power total"}),
        ("a_driver", {"power1_input": 182_000, "power1_label": "Package id 0"}),
    ],
)
def test_a_machine_of_milliwatts_is_reported_and_can_be_read(
    sysfs: Sysfs, name: str, files: dict[str, object]
) -> None:
    chip(sysfs, 0, name, **files)
    (note,) = measured(opened(sysfs)).notes
    assert (
        "shows 182000 µW: if its driver counts in milliwatts, read it as hwmon@hwmon0?power_unit=mW" in note
    )
    in_milliwatts = measured(Hwmon("hwmon0", power_unit="mW", root=sysfs.root))
    assert (in_milliwatts.mean_watts, in_milliwatts.notes) == (pytest.approx(182.0), ())


def test_a_rail_of_milliwatts_is_not_doubted(sysfs: Sysfs) -> None:
    chip(sysfs, 0, "a_chip", power1_input=182_000)
    assert measured(opened(sysfs)).notes == ()


@pytest.mark.parametrize(
    ("name", "label"), [("power_meter", ""), ("occ", "system"), ("xe", "card"), ("a_driver", "Package id 0")]
)
def test_no_watts_of_what_always_draws_some_are_no_power(sysfs: Sysfs, name: str, label: str) -> None:
    folder = chip(sysfs, 0, name, power1_input=0)
    if label:
        sysfs.put(f"{folder}/power1_label", label)
    with pytest.raises(NotMeasured):
        measured(opened(sysfs))


def test_no_watts_of_a_rail_are_a_rest(sysfs: Sysfs) -> None:
    chip(sysfs, 0, "a_chip", power1_input=0)
    assert measured(opened(sysfs)).joules == 0.0


@pytest.mark.parametrize("input_fails", [True, False])
def test_an_average_takes_the_place_of_an_input_that_shows_nothing(sysfs: Sysfs, input_fails: bool) -> None:
    folder = chip(sysfs, 0, "amdgpu", power1_input=0, power1_average=30_000_000, power1_label="PPT")
    if input_fails:
        sysfs.break_reads(f"{folder}/power1_input")
    usage = measured(opened(sysfs), seconds=5.0)
    assert usage.mean_watts == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("files", "key"),
    [
        ({"in1_input": 5000, "curr1_input": 1000}, "in1_fault"),
        ({"in1_input": 5000, "curr1_input": 1000}, "curr1_fault"),
        ({"power1_input": 5_000_000}, "power1_fault"),
        ({"power1_input": 5_000_000}, "power1_enable"),
    ],
)
def test_what_a_sensor_shows_that_failed_or_is_switched_off_is_no_value(
    sysfs: Sysfs, files: dict[str, object], key: str
) -> None:
    fine, spoilt = (0, 1) if key.endswith("fault") else (1, 0)
    folder = chip(sysfs, 0, "ina226", **files, **{key: fine})

    def fail(n: int) -> None:
        if 10 <= n < 30:
            sysfs.put(f"{folder}/{key}", spoilt)
            sysfs.put(f"{folder}/{'power1' if 'power1_input' in files else 'curr1'}_input", 0)
        elif n >= 30:
            sysfs.fill(folder, {key: fine, **files})

    usage = measured(opened(sysfs), fail, seconds=20.0)
    assert usage.mean_watts == pytest.approx(5.0)
    assert 0.6 < usage.coverage <= 0.91


def test_an_energy_counter_that_stands_while_power_flows_is_unknown(sysfs: Sysfs) -> None:
    folder = chip(sysfs, 0, "a_chip", energy1_input=5_000_000, power1_input=30_000_000)
    with pytest.raises(NotMeasured):
        measured(opened(sysfs), seconds=10.0)

    def die(n: int) -> None:
        sysfs.put(f"{folder}/energy1_input", 5_000_000 + 3_000_000 * min(n, 50))

    usage = measured(opened(sysfs), die, seconds=10.0)
    assert usage.mean_watts == pytest.approx(30.0)
    assert usage.coverage == pytest.approx(0.5, abs=0.02)


def test_a_counter_that_moves_once_a_second_misses_nothing_while_power_flows(sysfs: Sysfs) -> None:
    folder = chip(sysfs, 0, "a_chip", energy1_input=0, power1_input=30_000_000)

    def renew(n: int) -> None:
        sysfs.put(f"{folder}/energy1_input", 5_000_000 + 30_000_000 * (n // 10))

    usage = measured(opened(sysfs), renew, seconds=20.0)
    assert usage.mean_watts == pytest.approx(30.0)
    assert usage.coverage == pytest.approx(1.0)
    assert usage.missed == 0


def test_a_counter_that_stands_where_no_power_flows_is_a_rest(sysfs: Sysfs) -> None:
    folder = chip(sysfs, 0, "a_chip", energy1_input=5_000_000, power1_input=30_000_000)

    def rest(n: int) -> None:
        sysfs.put(f"{folder}/energy1_input", 5_000_000 + 3_000_000 * min(n, 50))
        sysfs.put(f"{folder}/power1_input", 30_000_000 if n < 50 else 0)

    usage = measured(opened(sysfs), rest, seconds=10.0)
    assert (usage.joules, usage.coverage) == (pytest.approx(150.0), pytest.approx(1.0))
