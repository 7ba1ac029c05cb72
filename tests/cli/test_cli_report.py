"""``energymeter report``: formats by name, nothing replaced unasked, options once or for each run."""

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from comparison.simulated_runs import run
from report.recorded import record

from energymeter.cli import cli
from energymeter.comparison.runs import Folder


def report(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["report", *map(str, arguments)])


@pytest.mark.parametrize(
    ("name", "start"),
    [("x.html", "<!DOCTYPE html>"), ("x.HTM", "<!DOCTYPE"), ("x.md", "# "), ("x.tex", "% pdf")],
)
def test_the_name_of_the_output_is_its_format(tmp_path: Path, name: str, start: str) -> None:
    made = report(record(tmp_path / "a.csv"), "-o", tmp_path / name)
    assert made.exit_code == 0, made.output
    assert made.stdout == ""
    assert made.stderr == f"written: {tmp_path / name}\n"
    assert (tmp_path / name).read_text().startswith(start)


def test_all_that_can_be_stated(tmp_path: Path) -> None:
    made = report(
        record(tmp_path / "a.csv"), record(tmp_path / "b.csv", 4.0), "--format", "json",
        "--title", "Lab 2", "--name", "float", "--name", "int8", "--units", 49, "--unit", "inference",
        "--parameters", "4.2M", "--flops", "0.569G", "--accuracy", "71.7%", "--accuracy", 0.7077,
        "--batch", 1, "--input-size", "224x224", "--hardware", "Pi 4", "--idle", "2W", "--grid", "DEU",
        "--board", "pi-4", "--years", 5, "--litres-per-kwh", 1.8, "--battery", "powerbank:10000",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    said = json.loads(made.stdout)
    first, second = said["runs"]
    assert (first["name"], second["name"]) == ("float", "int8")
    assert first["stated"]["parameters"] == second["stated"]["parameters"] == 4.2e6
    accuracies = [each["stated"]["accuracy"] for each in (first, second)]
    assert accuracies == pytest.approx([0.717, 0.7077])
    assert first["joules_per_unit"] == pytest.approx(1.0)
    assert second["joules_per_unit"] == pytest.approx(0.8)
    assert first["carbon"]["litres"] > 0
    assert first["sci_grams_per_unit"] > first["operational_grams_per_unit"]
    assert first["units_per_charge"]["value"] > 0
    assert said["unit"] == "inference"


def test_a_span_by_name_and_a_time(tmp_path: Path) -> None:
    path = record(tmp_path / "a.csv")
    by_name = json.loads(report(path, "--format", "json", "--span", "infer", "--skip", 1).stdout)
    assert by_name["runs"][0]["joules_per_unit"] == pytest.approx(5.0)
    assert by_name["unit"] == "call of infer"
    by_time = json.loads(report(path, "--format", "json", "--span", "2:4").stdout)
    assert by_time["runs"][0]["usage"]["joules"] == pytest.approx(10.0)


def test_a_foreign_file_with_options(tmp_path: Path) -> None:
    path = tmp_path / "foreign.csv"
    path.write_text("t,P\n" + "".join(f"{second},5000\n" for second in range(11)))
    made = report(f"{path}?time=t&time_unit=s&watts=P&unit=mW", "--format", "json")
    assert made.exit_code == 0, made.output
    (shown,) = json.loads(made.stdout)["runs"]
    assert shown["usage"]["joules"] == pytest.approx(50.0)
    assert shown["file"]["name"] == "foreign.csv"
    assert shown["file"]["sha256"] is not None


def test_a_question_about_a_file_names_this_command(tmp_path: Path) -> None:
    path = tmp_path / "foreign.csv"
    path.write_text("t,P\n" + "".join(f"{second},5000\n" for second in range(11)))
    made = report(path, "--format", "json")
    assert made.exit_code == 8
    assert "energymeter report" in made.stderr


def test_nothing_is_replaced_unasked_and_no_link_is_followed(tmp_path: Path) -> None:
    path, output = record(tmp_path / "a.csv"), tmp_path / "x.html"
    precious = tmp_path / "thesis.tex"
    precious.write_text("years of work")
    output.symlink_to(precious)
    assert report(path, "-o", output).exit_code == 8
    assert report(path, "-o", output, "--force").exit_code == 0
    assert precious.read_text() == "years of work"
    assert not output.is_symlink()
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "thesis.tex", "x.html"]


def test_a_recording_is_never_replaced(tmp_path: Path) -> None:
    path = record(tmp_path / "a.csv")
    before = Path(path).read_bytes()
    (tmp_path / "link.html").symlink_to(path)
    made = report(path, "-o", tmp_path / "link.html", "--force")
    assert made.exit_code == 2
    assert "is a recording of this report; name another output" in made.stderr
    assert Path(path).read_bytes() == before


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 2, "say what to write"),
        (("-o", "x.docx"), 2, "does not end in '.docx'"),
        (("--format", "pdf"), 2, "name its file with -o report.pdf"),
        (("--format", "json", "--units", 1, "--units", 2), 2, "--units is given 2 times for 1 runs"),
        (("--format", "json", "--parameters", "many"), 2, "write 4200000 or 4.2M"),
        (("--format", "json", "--accuracy", "120%"), 2, "is no share"),
        (("--format", "json", "--title", "x" * 501), 2, "give 500 at most"),
        (("--format", "json", "--grid", "Atlantis"), 13, "Atlantis"),
        (("--format", "json", "--grams-per-kwh", 400), 2, "needs its source"),
        (("--format", "json", "--board", "abacus"), 2, "is not known"),
        (("--format", "json", "--span", "nothing"), 2, "has no span 'nothing'"),
        (("--format", "spdx"), 2, "give --stage"),
        (("--format", "html", "-o", "/nowhere/x.html"), 8, "cannot be written"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, options: tuple[object, ...], code: int, said: str) -> None:
    made = report(record(tmp_path / "a.csv"), *options)
    assert made.exit_code == code, made.output
    assert said in made.stderr
    assert "Traceback" not in made.output


def test_one_name_for_several_runs_is_a_mistake(tmp_path: Path) -> None:
    made = report(record(tmp_path / "a.csv"), record(tmp_path / "b.csv"), "--format", "json", "--name", "x")
    assert "--name is given 1 times for 2 runs; give it for each" in made.stderr


def test_the_folder_of_a_comparison(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "runs", {"unit": "inference", "arms": [["A", "./A", 1], ["B", "./B", 1]]})
    for number in range(12):
        arm = "AB"[(number + number // 2) % 2]
        folder.keep(number, run(arm, number // 2, (50.0 if arm == "A" else 40.0) * (1 + 0.001 * number)))
    folder.keep_idle(0, 2.0)
    made = report(record(tmp_path / "a.csv"), "--format", "md", "--comparison", tmp_path / "runs")
    assert made.exit_code == 0, made.output
    assert "less energy per inference than A" in made.stdout
    assert "### Comparison" in made.stdout
    (tmp_path / "empty").mkdir()
    made = report(record(tmp_path / "b.csv"), "--format", "md", "--comparison", tmp_path / "empty")
    assert made.exit_code == 8
    assert not os.listdir(tmp_path / "empty")


def test_a_card_goes_to_standard_output(tmp_path: Path) -> None:
    made = report(record(tmp_path / "a.csv"), "--format", "spdx", "--stage", "training")
    assert made.exit_code == 0
    assert "ai_trainingEnergyConsumption" in json.loads(made.stdout)["ai_energyConsumption"]
