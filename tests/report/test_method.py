"""The method paragraphs say what the logs say, and that they do not say the rest."""

from pathlib import Path

from comparison.simulated_runs import compared, simulated
from report.recorded import record, reported

from energymeter import EnergyMeter
from energymeter.battery.battery import Battery
from energymeter.carbon.grid import Grid
from energymeter.report.method import method
from energymeter.report.report import Stated


def text(*paths: str, **options: object) -> str:
    return "\n".join(method(reported(*paths, **options)))  # type: ignore[arg-type]


def test_the_meter_its_place_rate_and_accuracy(tmp_path: Path) -> None:
    said = text(record(tmp_path / "a.csv"))
    assert "Power was measured with ina219@1:0x40 at the supply rail of the board." in said
    assert "Its 101 samples, 10.0 a second, are instants, joined by straight lines." in said
    assert "Limits of its data sheet: watts ±1.00 %." in said
    assert "No calibration card was applied." in said
    assert "Recorded on 2023-11-14 22:13 UTC." in said


def test_every_paragraph_ends_as_a_sentence(tmp_path: Path) -> None:
    comparison = compared(simulated(6, (50, 40), lambda number: 0.001 * number))
    paths = [record(tmp_path / "a.csv", gap=(4, 6)), record(tmp_path / "b.csv", provenance="modelled")]
    for options in (
        {},
        {"idle": "2", "grid": Grid("DEU"), "battery": Battery.phone(), "span": "infer", "skip": 2},
        {"window": (1.0, 3.0), "comparison": comparison, "stated": Stated(units=3)},
    ):
        for paragraph in method(reported(*paths, **options)):  # type: ignore[arg-type]
            assert paragraph.endswith("."), paragraph
            assert "  " not in paragraph


def test_what_no_log_says_is_not_guessed(tmp_path: Path) -> None:
    said = text(record(tmp_path / "a.csv"))
    assert "The log does not name the device." in said
    assert "Governor, power mode and temperature are not in the log." in said
    assert "How many units the run made is not stated" in said
    assert "whether there was one before is not in the log" in said
    assert "No idle power is given, so all energy is gross." in said
    assert "No grid is given" in said


def test_a_real_log_names_its_system_and_rate(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    with EnergyMeter("manual:5V,0.6A", out=path, rate_hz=100) as meter, meter.span("work"):
        sum(range(100_000))
    said = text(str(path), stated=Stated(hardware="a desk"))
    assert "Power was not measured but typed in as manual:5V,0.6A" in said
    assert "(100 were asked for)" in said
    assert "Operating system: Linux" in said
    assert "At its start: " in said
    assert "are not in the log" not in said
    assert "Device, as stated by the author: a desk." in said
    assert "the block that the program measured" in said


def test_what_was_left_out_is_said(tmp_path: Path) -> None:
    said = text(record(tmp_path / "a.csv", gap=(4.0, 4.5)), span="infer", skip=1)
    assert "those of 3 calls of the span 'infer'" in said
    assert "The first call of each run was left out as a warm-up." in said
    said = text(record(tmp_path / "b.csv", gap=(4.0, 6.0)))
    assert "79.6 % of the time was measured; what flowed in the other 2.0 s is not in the energy." in said


def test_runs_that_differ_are_named(tmp_path: Path) -> None:
    said = text(
        record(tmp_path / "a.csv"), record(tmp_path / "b.csv", provenance="simulated", name="sim:pi4")
    )
    assert "a.csv: power was measured with ina219@1:0x40" in said
    assert "b.csv: power was not measured but SIMULATED by sim:pi4" in said


def test_another_meter_for_the_idle_power_is_a_warning(tmp_path: Path) -> None:
    idle = record(tmp_path / "idle.csv", 2.0, name="um25c@x")
    said = text(record(tmp_path / "a.csv"), idle=idle, grid=Grid("DEU"), battery=Battery.phone())
    assert "Warning: a.csv was measured with another meter." in said
    assert "The idle power is 2.000 ± 0.02" in said
    assert "g/kWh (DEU, " in said
    assert "label 4000 mAh" in said
    assert "the value is the median of such cells, with a wide interval." in said


def test_a_comparison_brings_the_conditions_of_its_runs(tmp_path: Path) -> None:
    comparison = compared(simulated(6, (50, 40), lambda number: 0.001 * number))
    said = text(record(tmp_path / "a.csv"), comparison=comparison)
    assert "The runs of the comparison were made on pi4, governor ondemand, power mode MAXN." in said
    assert "The comparison is of 12 runs, in turns, 6 pairs." in said
