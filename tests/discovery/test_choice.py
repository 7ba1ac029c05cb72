"""What is taken when no source is named: the order, the memory, what overrides it, what has vanished."""

import stat
import time
from pathlib import Path

import pytest
from devices.plugin import Plugins
from hypothesis import given
from hypothesis import strategies as st

from energymeter import EnergyMeter
from energymeter.discovery.choice import KINDS, Choice, Finding, best, choose, find
from energymeter.discovery.last_choice import forget
from energymeter.errors import SourceMissing, SpecError

ALL = [
    Finding("ina219@1:0x40", "meter"),
    Finding("jetson", "board"),
    Finding("jtop", "board"),
    Finding("rapl", "package"),
    Finding("battery", "gauge"),
    Finding("nvml", "gpu"),
    Finding("hwmon", "part"),
]


def without(*specs: str) -> list[Finding]:
    return [finding for finding in ALL if finding.spec not in specs]


@pytest.mark.parametrize(
    ("findings", "spec", "reason"),
    [
        (ALL, "ina219@1:0x40", "an external meter"),
        (without("ina219@1:0x40"), "jetson", "the board's own sensor"),
        (without("ina219@1:0x40", "jetson"), "jtop", "the board's own sensor"),
        (ALL[3:], "rapl+nvml", "the processor's own counters and the GPUs'"),
        ([ALL[3]], "rapl", "the processor's own counters"),
        (ALL[4:], "battery", "the battery's gauge"),
        (ALL[5:], "model", "not a measurement"),
        ([], "model", "not a measurement"),
    ],
)
def test_the_order_of_choice(findings: list[Finding], spec: str, reason: str) -> None:
    choice = best(findings)
    assert choice.spec == spec
    assert reason in choice.reason


@given(st.permutations(ALL))
def test_the_order_of_findings_does_not_matter(findings: list[Finding]) -> None:
    assert best(findings) == best(ALL)


@given(st.sets(st.sampled_from([finding.spec for finding in ALL])))
def test_what_cannot_be_read_is_never_chosen(broken: set[str]) -> None:
    findings = [f._replace(error="broken") if f.spec in broken else f for f in ALL]
    assert not broken & set(best(findings).spec.split("+"))


def test_the_other_meters_are_named() -> None:
    choice = best([Finding("ina219@1:0x41", "meter"), *ALL])
    assert choice.spec == "ina219@1:0x40"
    assert "ina219@1:0x41" in choice.reason


def test_a_late_one_is_better_than_the_model_but_not_than_one_that_answers() -> None:
    late = Finding("jtop", "board", error="did not answer", late=True)
    assert best([late]).spec == "jtop"
    assert best([late, Finding("battery", "gauge")]).spec == "battery"


def test_named_sources_win(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = home / "config" / "energymeter" / "config.ini"
    settings.parent.mkdir(parents=True)
    settings.write_text("[meter]\nsource = manual:5V,0.6A\n")
    assert choose() == Choice("manual:5V,0.6A", "named by config.ini")
    monkeypatch.setenv("ENERGYMETER_SOURCE", "sim:pi4")
    assert choose() == Choice("sim:pi4", "named by $ENERGYMETER_SOURCE")
    with EnergyMeter() as meter:
        time.monotonic()
    assert meter.choice == choose()
    assert meter.usage.provenance == "simulated"


@pytest.mark.parametrize("text", [b"source = 5", b"[meter]\nsource = 1\nsource = 2", b"\xff\xfe[meter]"])
def test_settings_that_make_no_sense(home: Path, text: bytes) -> None:
    settings = home / "config" / "energymeter" / "config.ini"
    settings.parent.mkdir(parents=True)
    settings.write_bytes(text)
    with pytest.raises(SpecError, match=r"config\.ini cannot be understood"):
        choose()


def test_a_meter_that_is_found_is_remembered(plugins: Plugins, home: Path) -> None:
    plugins.meter("usbwatt", "meter", watts=7.0)
    with EnergyMeter() as meter:
        time.monotonic()
    assert meter.choice == Choice("usbwatt", "an external meter")
    assert meter.usage.mean_watts == pytest.approx(7.0)
    memory = home / "cache" / "energymeter" / "choice.json"
    assert stat.S_IMODE(memory.parent.stat().st_mode) == 0o700
    memory.write_text(memory.read_text().replace("an external meter", "as I remember"))
    assert choose().reason == "as I remember"
    forget()
    assert choose().reason == "an external meter"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"choice": 5}', "\0", '{"choice": ["a"], "here": []}'])
def test_a_memory_that_makes_no_sense_is_no_memory(plugins: Plugins, home: Path, text: str) -> None:
    plugins.meter("usbwatt", "meter")
    memory = home / "cache" / "energymeter" / "choice.json"
    memory.parent.mkdir(parents=True)
    memory.write_text(text)
    assert choose().spec == "usbwatt"


def test_a_meter_that_vanished_is_noticed_and_another_taken(plugins: Plugins) -> None:
    meter_switch = plugins.meter("usbwatt", "meter")
    plugins.meter("onboard", "board")
    assert choose().spec == "usbwatt"
    meter_switch.unlink()
    assert choose().spec == "usbwatt", "nothing shows it before it is opened"
    with EnergyMeter() as meter:
        time.monotonic()
    assert meter.choice == Choice("onboard", "the board's own sensor")
    assert choose() == meter.choice


def test_a_named_source_that_is_absent_is_an_error_and_nothing_else_is_taken(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins.meter("usbwatt", "meter").unlink()
    plugins.meter("onboard", "board")
    monkeypatch.setenv("ENERGYMETER_SOURCE", "usbwatt")
    with pytest.raises(SourceMissing, match="plug it in"), EnergyMeter():
        pass


def test_a_home_that_cannot_be_written(plugins: Plugins, home: Path) -> None:
    plugins.meter("usbwatt", "meter")
    (home / "cache").write_text("a file where a folder should be")  # root may write to read-only folders
    assert choose().spec == "usbwatt"
    forget()


def test_a_driver_that_hangs_is_late_and_hides_nothing(plugins: Plugins) -> None:
    plugins.meter("stuck", "board", opening="time.sleep(3600)")
    plugins.meter("broken", "meter", opening="1 / 0")
    plugins.module("unloadable", "import nothing_of_that_name", "Unloadable")
    plugins.meter("onboard", "gauge")
    found = {finding.spec: finding for finding in find(0.3)}
    assert found["stuck"].late
    assert "did not answer within 0.3 s" in (found["stuck"].error or "")
    assert "ZeroDivisionError" in (found["broken"].error or "")
    assert "nothing_of_that_name" in (found["unloadable"].error or "")
    assert found["onboard"].usable
    assert found["onboard"].watts == 5.0
    assert [f.usable for f in found.values()] == sorted((f.usable for f in found.values()), reverse=True)
    gauges = {finding.spec for finding in find(0.3, ["gauge"])}
    assert "onboard" in gauges
    assert not {"stuck", "broken", "hwmon"} & gauges


def test_who_could_not_be_asked_in_time_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    """As on a Pi Zero that is busy; what is chosen without them is not kept."""
    monkeypatch.setattr("energymeter.discovery.choice._START_SECONDS", 0.0)
    (unasked,) = find(0.0)
    assert (unasked.late, unasked.usable) == (True, False)
    assert "too busy" in str(unasked.error)
    assert best([unasked]).spec == "model"


@pytest.mark.slow
def test_a_choice_that_was_made_while_one_was_late_is_not_kept(plugins: Plugins, home: Path) -> None:
    plugins.meter("stuck", "board", opening="time.sleep(3600)")
    plugins.meter("onboard", "gauge")
    assert choose().spec == "onboard"
    assert not (home / "cache" / "energymeter" / "choice.json").exists()


def test_kinds_are_ordered() -> None:
    assert KINDS == ("meter", "board", "package", "gauge", "gpu", "part")


def test_settings_are_of_limited_size(home: Path) -> None:
    settings = home / "config" / "energymeter" / "config.ini"
    settings.parent.mkdir(parents=True)
    settings.write_text("; " + "x" * 70_000 + "\n[meter]\nsource = manual:1W\n")
    with pytest.raises(SpecError, match=r"config\.ini cannot be read \(it is larger than"):
        choose()
