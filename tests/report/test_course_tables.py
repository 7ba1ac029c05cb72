"""The tables that the labs ask for: filled in from what is known, and empty with a reason where it is not."""

from pathlib import Path

import pytest
from report.recorded import record, reported

from energymeter.battery.battery import Battery
from energymeter.carbon.grid import Grid
from energymeter.report.report import Report, Stated
from energymeter.report.tables import Cell, Table, tables

GRID = Grid(grams_per_kwh=360.0, source="a test, 2026", relative=0.1)


def by_title(report: Report) -> dict[str, Table]:
    return {table.title: table for table in tables(report)}


def row(table: Table, number: int = 0) -> dict[str, Cell]:
    return dict(zip(table.head, table.rows[number], strict=True))


@pytest.fixture
def full(tmp_path: Path) -> Report:
    return reported(
        record(tmp_path / "a.csv"),
        span="infer",
        skip=1,
        unit="inference",
        idle=record(tmp_path / "idle.csv", 2.0),
        grid=GRID,
        battery=Battery.phone(),
        stated=Stated("int8", 10, 4.2e6, 5.69e8, 0.7077, 10, "224x224x3", "Raspberry Pi 4"),
    )


def test_lab_2_of_2021(full: Report) -> None:
    cells = row(by_title(full)["Parameters, latency, energy"])
    assert {title: cell.text for title, cell in cells.items()} == {
        "Model": "int8",
        "Parameters": "4.2 M",
        "FLOPs": "569 M",
        "Accuracy": "70.77 %",
        "Batch": "10",
        "Latency (ms)": "100.0",
        "sd of latency (ms)": "0",
        "n": "3",
        "Mean power (W)": "5.000 ± 0.058",
        "Energy (mJ)": "500.0 ± 5.8",
    }


def test_lab_9_of_2021(full: Report) -> None:
    cells = row(by_title(full)["Idle and active draw, carbon"])
    assert cells["Idle (W)"].text == "2.000 ± 0.023"
    assert cells["Active (W)"].text == "5.000 ± 0.058"
    assert cells["Energy (mJ)"].text == "500.0 ± 5.8"
    assert cells["Net of idle (mJ)"].text == "300.0 ± 3.5"
    assert cells["Grid (g/kWh)"].text == "360.0"
    assert cells["CO₂e (µg)"].text == "57.3 ± 7.0"


def test_the_energy_labs_of_2022_and_2023(full: Report) -> None:
    cells = row(by_title(full)["Models and platforms"])
    assert cells["Hardware"].text == "Raspberry Pi 4"
    assert cells["Measurement method"].text == "ina219@1:0x40, measured at the rail, 10.0 Hz"
    assert cells["Energy (mWh)"].text == "4.167 ± 0.048"
    assert cells["Minutes"].text == "0.0500"
    assert cells["Std dev of one (µWh)"].text == "0"


def test_the_lab_of_2024(full: Report) -> None:
    cells = row(by_title(full)["One inference"])
    assert cells["Energy (kWh)"].text == "1.39e-07"
    assert cells["Carbon (kg)"].text == "5.73e-08"
    assert cells["Input size"].text == "224x224x3"
    first = by_title(full)["The first calls (s)"]
    assert [cell.text for cell in first.rows[0]] == ["int8", "1.00", "1.00", "1.00", "1.00"]
    assert "The first is left out of every other figure" in first.note


def test_what_is_not_known_is_empty_and_says_why(tmp_path: Path) -> None:
    made = by_title(reported(record(tmp_path / "a.csv")))
    assert "For one run" not in made
    assert "Carbon, water, minerals" not in made
    for title, column, reason in (
        ("Parameters, latency, energy", "Parameters", "not stated (--parameters)"),
        ("Parameters, latency, energy", "Latency (s)", "how many units the run made is not stated (--units)"),
        ("Parameters, latency, energy", "n", "the calls are not known one by one (--span)"),
        ("Idle and active draw, carbon", "Idle (W)", "no idle power is given (--idle)"),
        ("Idle and active draw, carbon", "CO₂e (g)", "no grid is given (--grid)"),
        ("Models and platforms", "Hardware", "the log does not name it, and nobody states it (--hardware)"),
        ("One inference", "Carbon (kg)", "no grid is given (--grid)"),
        ("Results", "Net of idle (J)", "no idle power is given (--idle)"),
    ):
        assert row(made[title])[column] == Cell("", reason)


def test_every_empty_cell_of_every_table_has_a_reason_with_a_letter(tmp_path: Path) -> None:
    paths = [record(tmp_path / "a.csv", gap=(4, 6)), record(tmp_path / "b.csv", place="wall")]
    for settings in ({}, {"span": "infer", "skip": 3, "grid": GRID}, {"battery": Battery.phone()}):
        for table in tables(reported(*paths, **settings)):
            letters = table.reasons
            for cells in table.rows:
                assert len(cells) == len(table.head)
                for cell in cells:
                    assert bool(cell.text) != bool(cell.reason)
                    assert not cell.reason or letters[cell.reason]
            assert len(set(letters.values())) == len(letters)


def test_rows_of_one_column_share_a_unit(tmp_path: Path) -> None:
    paths = [record(tmp_path / "a.csv", 0.002), record(tmp_path / "b.csv", 5.0)]
    table = by_title(reported(*paths, stated=Stated(units=1000)))["For one run"]
    assert table.head[1] == "Energy (mJ)"
    assert [cells[1].text for cells in table.rows] == ["0.01960 ± 0.00023", "49.00 ± 0.57"]


def test_long_names_become_numbers(tmp_path: Path) -> None:
    paths = [record(tmp_path / f"{'x' * 60}-{number}.csv") for number in (1, 2)]
    report = reported(*paths)
    assert report.numbered
    assert [cells[0].text for cells in by_title(report)["Results"].rows] == ["Run 1", "Run 2"]


def test_a_meter_without_a_known_accuracy_is_named(tmp_path: Path) -> None:
    path = tmp_path / "foreign.csv"
    path.write_text("time_s,power_W\n" + "".join(f"{second},5.0\n" for second in range(20)))
    note = by_title(reported(str(path)))["Results"].note
    assert note.endswith("The accuracy of the meter is not known and not in the ±: foreign.csv.")
