"""RAPL zones: what is added, what is not, and what happens when a counter cannot be read."""

import json
from pathlib import Path

import pytest
from devices.measured import measured
from devices.real_recordings import recording
from devices.sysfs import Powercap, Sysfs

from energymeter.drivers.rapl import Rapl
from energymeter.errors import NotMeasured, SourceError, SourceForbidden, SourceMissing, SpecError


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


@pytest.fixture
def powercap(sysfs: Sysfs) -> Powercap:
    return Powercap(sysfs)


def opened(sysfs: Sysfs, place: str = "", *, parts: bool = False) -> Rapl:
    rapl = Rapl(place, parts=parts, root=sysfs.root)
    rapl.open()
    return rapl


def counted(rapl: Rapl) -> list[str]:
    return [channel.name for channel in rapl.channels() if channel.facts.counted]


def test_a_server_adds_packages_and_dram_once(sysfs: Sysfs, powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", 1_000_000)
    powercap.zone("intel-rapl:0:0", "core")
    powercap.zone("intel-rapl:0:1", "uncore")
    powercap.zone("intel-rapl:0:2", "dram", 30_000_000)
    powercap.zone("intel-rapl:1", "package-1", 500_000_000)
    powercap.zone("intel-rapl:1:0", "dram", 7_000_000_000)
    powercap.zone("intel-rapl:2", "psys")
    powercap.zone("intel-rapl-mmio:0", "package-0")
    powercap.zone("intel-rapl-mmio:0:0", "dram")
    powercap.zone("intel-rapl-tpmi:1", "package-1")
    powercap.zone("dtpm:0", "package-0")
    rapl = opened(sysfs)
    assert counted(rapl) == ["rapl:package-0", "rapl:package-0/dram", "rapl:package-1", "rapl:package-1/dram"]
    assert rapl.read().joules == pytest.approx(1 + 30 + 500 + 7000)
    assert len(rapl.channels()) == 4


def test_parts_are_shown_and_not_added(sysfs: Sysfs, powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", 1_000_000)
    powercap.zone("intel-rapl:0:0", "core", 600_000)
    powercap.zone("intel-rapl:1", "psys", 9_000_000)
    rapl = opened(sysfs, parts=True)
    assert [channel.name for channel in rapl.channels()] == [
        "rapl:package-0",
        "rapl:package-0/core",
        "rapl:psys",
    ]
    assert counted(rapl) == ["rapl:package-0"]
    assert rapl.read().joules == pytest.approx(1.0)


def test_zones_listed_only_inside_one_another_are_found(sysfs: Sysfs, powercap: Powercap) -> None:
    powercap.zone("intel-rapl/intel-rapl:0", "package-0")
    powercap.zone("intel-rapl/intel-rapl:0/intel-rapl:0:1", "dram")
    assert counted(opened(sysfs)) == ["rapl:package-0", "rapl:package-0/dram"]


def test_a_mirror_alone_is_counted(sysfs: Sysfs, powercap: Powercap) -> None:
    powercap.zone("intel-rapl-mmio:0", "package-0")
    assert counted(opened(sysfs)) == ["rapl:package-0"]


def test_psys_is_counted_only_alone_or_when_asked_for(sysfs: Sysfs, powercap: Powercap) -> None:
    powercap.zone("intel-rapl:1", "psys", 5_000_000)
    assert counted(opened(sysfs)) == ["rapl:psys"]
    powercap.zone("intel-rapl:0", "package-0")
    assert counted(opened(sysfs)) == ["rapl:package-0"]
    assert counted(opened(sysfs, "psys")) == ["rapl:psys"]
    with pytest.raises(SpecError, match="package-0, psys"):
        opened(sysfs, "package-7")


def test_dies_of_one_package_are_all_counted(sysfs: Sysfs, powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0-die-0")
    powercap.zone("intel-rapl:1", "package-0-die-1")
    assert len(counted(opened(sysfs))) == 2


def test_facts_tell_a_wrap_from_a_reset(sysfs: Sysfs, powercap: Powercap) -> None:
    energy = powercap.zone("intel-rapl:0", "package-0", Powercap.RANGE_UJ)
    (zone,) = opened(sysfs).channels()
    assert zone.facts.semantics == "counter"
    assert zone.facts.place == "die"
    assert zone.facts.max_watts == pytest.approx(4 * 95)
    last = zone.read().joules
    sysfs.rewrite(energy, 41)  # one count past the end is 0
    first = zone.read().joules
    assert last is not None
    assert first is not None
    assert zone.facts.joules_wrap is not None
    assert first - last + zone.facts.joules_wrap == pytest.approx(42e-6, abs=1e-9)


@pytest.mark.parametrize("max_power_uw", [0, "", 4_090_000_000])
def test_no_limit_gives_the_default(sysfs: Sysfs, powercap: Powercap, max_power_uw: object) -> None:
    powercap.zone("intel-rapl:0", "package-0", max_power_uw=max_power_uw)
    (zone,) = opened(sysfs).channels()
    assert zone.facts.max_watts == 1000.0


def test_without_zones_it_is_missing(sysfs: Sysfs) -> None:
    with pytest.raises(SourceMissing, match="modprobe intel_rapl_msr"):
        opened(sysfs)


def test_an_unreadable_counter_says_how_to_open_it(sysfs: Sysfs, powercap: Powercap) -> None:
    sysfs.forbid(powercap.zone("intel-rapl:0", "package-0"))
    with pytest.raises(SourceForbidden) as caught:
        opened(sysfs)
    for word in ("CVE-2020-8694", "usermod -aG rapl", "rules.d/", "udevadm trigger", 'SUBSYSTEM=="powercap"'):
        assert word in str(caught.value)


def test_a_zone_that_vanishes_is_an_error_not_zero(sysfs: Sysfs, powercap: Powercap) -> None:
    energy = powercap.zone("intel-rapl:0", "package-0", 2_000_000)
    rapl = opened(sysfs)
    (zone,) = rapl.channels()
    assert zone.read().joules == pytest.approx(2.0)
    sysfs.remove("sys/class/powercap/intel-rapl:0")
    with pytest.raises(SourceMissing, match="energy_uj"):
        zone.read()
    powercap.zone("intel-rapl:0", "package-0", 3_000_000)
    assert zone.read().joules == pytest.approx(3.0)
    sysfs.put(energy, "")
    with pytest.raises(SourceError, match="empty"):
        zone.read()
    sysfs.put(energy, "n/a")
    with pytest.raises(SourceError, match="number"):
        zone.read()
    sysfs.break_reads(energy)
    with pytest.raises(SourceError, match="Input/output error"):
        zone.read()
    rapl.close()
    rapl.close()


def test_one_broken_zone_does_not_stop_the_others(sysfs: Sysfs, powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0")
    sysfs.break_reads(powercap.zone("intel-rapl:0:0", "dram"))
    package, dram = opened(sysfs).channels()
    assert package.read().joules == pytest.approx(1.0)
    with pytest.raises(SourceError):
        dram.read()


def test_the_recorded_machine(sysfs: Sysfs) -> None:
    recorded = recording("wire/sysfs_powercap_power_supply.json")
    for name, value in json.loads(recorded.read_text()).items():
        sysfs.put(f"sys/{name}", value)
    rapl = opened(sysfs)
    assert counted(rapl) == ["rapl:package-0", "rapl:package-10"]
    assert rapl.read().joules == pytest.approx(2 * 240_422.366267)


@pytest.mark.parametrize(
    ("place", "sleepless"),
    [("package-0", True), ("package-0/dram", True), ("psys", True), ("package-0/uncore", False)],
)
def test_what_never_sleeps_has_to_move_and_what_may_sleep_need_not(
    sysfs: Sysfs, powercap: Powercap, place: str, sleepless: bool
) -> None:
    powercap.zone("intel-rapl:0", "package-0", 1_000_000)
    powercap.zone("intel-rapl:0:1", "uncore", 1_000_000)
    powercap.zone("intel-rapl:0:2", "dram", 1_000_000)
    powercap.zone("intel-rapl:1", "psys", 1_000_000)
    (zone,) = opened(sysfs, place).channels()
    assert (zone.facts.still_seconds is not None) is sleepless


def test_a_virtual_machine_whose_counters_never_move_cannot_be_measured(
    sysfs: Sysfs, powercap: Powercap
) -> None:
    powercap.zone("intel-rapl:0", "package-0", 0)
    with pytest.raises(NotMeasured, match="stood still, as it does in virtual machines"):
        measured(Rapl(root=sysfs.root))


def test_a_dead_memory_zone_is_unknown_and_the_package_alone_is_not(sysfs: Sysfs, powercap: Powercap) -> None:
    counting = powercap.zone("intel-rapl:0", "package-0", 0)
    powercap.zone("intel-rapl:0:2", "dram", 7_000_000)
    with pytest.raises(NotMeasured, match="package-0/dram measured nothing"):
        measured(Rapl(root=sysfs.root), lambda n: sysfs.rewrite(counting, 500_000 * n))
    usage = measured(Rapl("package-0", root=sysfs.root), lambda n: sysfs.rewrite(counting, 500_000 * n))
    assert usage.mean_watts == pytest.approx(5.0)


def test_a_memory_zone_that_has_counted_nothing_since_boot_is_left_out_and_said(
    sysfs: Sysfs, powercap: Powercap
) -> None:
    counting = powercap.zone("intel-rapl:0", "package-0", 500_000)
    powercap.zone("intel-rapl:0:2", "dram", 0)
    usage = measured(Rapl(root=sysfs.root), lambda n: sysfs.rewrite(counting, 500_000 * (n + 1)))
    assert usage.mean_watts == pytest.approx(5.0)
    assert "rapl:package-0/dram has never counted and is not in the total" in usage.notes


def test_a_zone_that_was_asked_for_is_in_the_name() -> None:
    assert Rapl("psys").name == "rapl@psys"
    assert Rapl().name == "rapl"


def test_without_package_or_psys_the_first_zone_alone_is_counted(sysfs: Sysfs, powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "core-something", 5_000_000)
    powercap.zone("intel-rapl:1", "other", 6_000_000)
    assert counted(opened(sysfs)) == ["rapl:core-something"]


def test_a_package_that_has_counted_nothing_since_boot_is_left_out_and_said(
    sysfs: Sysfs, powercap: Powercap
) -> None:
    powercap.zone("intel-rapl:0", "package-0")
    powercap.zone("intel-rapl:1", "package-1", energy_uj=0)
    source = Rapl(root=sysfs.root)
    source.open()
    assert [channel.name for channel in source.channels()] == ["rapl:package-0"]
    assert source.notes == ["rapl:package-1 has never counted and is not in the total"]


def test_the_platform_is_counted_where_the_packages_never_do(sysfs: Sysfs, powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", energy_uj=0)
    powercap.zone("intel-rapl:1", "psys")
    source = Rapl(root=sysfs.root)
    source.open()
    assert [channel.name for channel in source.channels()] == ["rapl:psys"]
