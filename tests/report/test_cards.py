"""Cards for other tools: they validate, they parse, they name what is missing, simulated energy says so."""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.boamps_schema import REPORT
from report.recorded import record, reported

from energymeter import EnergyMeter
from energymeter.carbon.grid import Grid
from energymeter.errors import SpecError
from energymeter.report.cards import FORMATS, Task, _decimal, card
from energymeter.report.report import Report, Stated

TASK = Task("inference", "image classification", "image", "onPremise")
GRID = Grid("DEU")


def full(tmp_path: Path, **known: object) -> Report:
    return reported(
        record(tmp_path / "a.csv", **known),  # type: ignore[arg-type]
        stated=Stated("int8", 49, 4.2e6, 5.69e8, 0.7077, 10, "224x224x3", 'Raspberry Pi 4: "B"'),
        grid=GRID,
        workload="ImageNet",
        idle="2.0",
    )


def validate(text: str) -> dict[str, object]:
    jsonschema = pytest.importorskip("jsonschema")
    fields: dict[str, object] = json.loads(text)
    jsonschema.validate(fields, REPORT)
    return fields


def test_a_boamps_report_validates(tmp_path: Path) -> None:
    fields = json.loads(json.dumps(validate(card(full(tmp_path), "boamps", TASK))))
    assert fields["measures"][0]["powerConsumption"] == pytest.approx(49 / 3.6e6)
    assert fields["measures"][0]["measurementMethod"] == "measured with ina219@1:0x40 at the rail"
    assert fields["measures"][0]["measurementDateTime"] == "2023-11-14 22:13:20"
    assert fields["task"]["nbRequest"] == 49
    assert fields["task"]["algorithms"] == [{"algorithmName": "int8", "parametersNumber": 0.0042}]
    assert fields["environment"] == {"country": "DEU", "powerSourceCarbonIntensity": GRID.grams_per_kwh}
    assert fields["quality"] == "high"


def test_the_schema_notices_what_is_wrong(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    fields = json.loads(card(full(tmp_path), "boamps", TASK))
    for path, wrong in (
        (("measures",), []),
        (("task", "dataset", 0, "dataType"), "picture"),
        (("measures", 0, "powerConsumption"), "much"),
        (("infrastructure", "infraType"), "desk"),
        (("task", "taskstage"), "inference"),
    ):
        damaged = json.loads(json.dumps(fields))
        place = damaged
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = wrong
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(damaged, REPORT)


def test_a_boamps_report_of_a_real_log_names_the_system_and_the_idle_run(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    with EnergyMeter("manual:5V,0.6A", out=path, rate_hz=100):
        sum(range(100_000))
    report = reported(str(path), idle=record(tmp_path / "idle.csv", 2.0))
    fields = json.loads(json.dumps(validate(card(report, "boamps", TASK))))
    assert fields["system"] == {"os": "Linux"}
    assert fields["measures"][0]["powerCalibrationMeasurement"] == pytest.approx(2 * 9.8 / 3.6e6)
    assert fields["measures"][0]["measurementMethod"].startswith("MANUAL with")
    assert "quality" not in fields
    assert "nbRequest" not in fields["task"]


def test_a_hugging_face_card_parses(tmp_path: Path) -> None:
    text = card(full(tmp_path), "huggingface", TASK._replace(stage="training"))
    assert text.startswith("---\nco2_eq_emissions:\n")
    assert text.endswith("\n---\n")
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(text).data.to_dict()["co2_eq_emissions"]
    run = full_run_of(tmp_path)
    assert data["emissions"] == pytest.approx(run)
    assert data["training_type"] == "pre-training"
    assert data["geographical_location"] == "DEU"
    assert data["hardware_used"] == 'Raspberry Pi 4: "B"'
    assert "measured with ina219@1:0x40 at the rail" in data["source"]


def full_run_of(tmp_path: Path) -> float:
    (tmp_path / "again").mkdir()
    carbon = full(tmp_path / "again").runs[0].carbon
    assert carbon is not None
    return carbon.grams


def test_the_lines_of_a_hugging_face_card_are_json_scalars(tmp_path: Path) -> None:
    lines = card(full(tmp_path), "huggingface", TASK).splitlines()[2:-1]
    for line in lines:
        found = re.fullmatch(r"  (\w+): (.*)", line)
        assert found is not None
        json.loads(found[2])


def test_spdx_has_a_decimal_of_kilowatt_hours_in_the_stage(tmp_path: Path) -> None:
    fields = json.loads(card(full(tmp_path), "spdx", TASK))
    (consumption,) = fields["ai_energyConsumption"]["ai_inferenceEnergyConsumption"]
    assert fields["ai_energyConsumption"]["type"] == "ai_EnergyConsumption"
    assert consumption["type"] == "ai_EnergyConsumptionDescription"
    assert consumption["ai_energyUnit"] == "kilowattHour"
    assert re.fullmatch(r"\d+\.\d+", consumption["ai_energyQuantity"])
    assert float(consumption["ai_energyQuantity"]) == pytest.approx(49 / 3.6e6)
    assert "for 49 × run" in fields["comment"]


@pytest.mark.parametrize("form", FORMATS)
def test_simulated_energy_says_so(tmp_path: Path, form: str) -> None:
    assert "SIMULATED" in card(full(tmp_path, provenance="simulated"), form, TASK)


@pytest.mark.parametrize(
    ("form", "missing"),
    [
        ("boamps", "give --stage, --task, --data-type, --infrastructure"),
        ("huggingface", "give --stage, --grid, --hardware"),
        ("spdx", "give --stage"),
    ],
)
def test_what_is_required_and_not_stated_is_named(tmp_path: Path, form: str, missing: str) -> None:
    with pytest.raises(SpecError, match=missing):
        card(reported(record(tmp_path / "a.csv")), form, Task())


def test_a_card_is_of_one_run_that_drew_energy(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="one run, not 2"):
        card(reported(record(tmp_path / "a.csv"), record(tmp_path / "b.csv")), "spdx", TASK)
    with pytest.raises(SpecError, match="drew no energy"):
        card(reported(record(tmp_path / "c.csv", -5.0)), "spdx", TASK)


@given(st.floats(min_value=1e-15, max_value=1e15))
def test_a_decimal_has_no_exponent_and_loses_nothing(number: float) -> None:
    text = _decimal(number)
    assert "e" not in text.lower()
    assert Decimal(text) == Decimal(repr(number))
