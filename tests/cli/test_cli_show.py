"""``energymeter show``: totals, channels, gaps and damage of a file, for people and for programs."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from energymeter.cli import cli
from energymeter.reading import Band, Facts
from energymeter.recordings.trace import Trace

FACTS = Facts(watts=Band(0.01))


def show(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["show", *map(str, arguments)])


def refuse(text: str) -> None:
    raise AssertionError(f"{text} is not JSON")


def test_totals_and_gaps(tmp_path: Path) -> None:
    trace = Trace.integrate([0, 1, 2, 62, 63], [3.0] * 5, facts=FACTS, name="rail", epoch_s=1_700_000_000.0)
    trace.save(tmp_path / "x.csv")
    shown = show(tmp_path / "x.csv")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == [
        str(trace.usage()),
        "5 samples from 2023-11-14 22:13:20 UTC, 0.0635 a second",
        "gap of 60.0 s at 2.0 s",
    ]
    assert "4.8 % of the time measured" in shown.stdout


def test_many_gaps_are_not_all_listed(tmp_path: Path) -> None:
    times = [second for gap in range(15) for second in (100 * gap, 100 * gap + 1, 100 * gap + 2)]
    Trace.integrate(times, [3.0] * 45, facts=FACTS).save(tmp_path / "x.csv")
    lines = show(tmp_path / "x.csv").stdout.splitlines()
    assert sum(line.startswith("gap of 1.6 min") or line.startswith("gap of 98.0 s") for line in lines) == 10
    assert lines[-1] == "… and 4 more gaps"


def test_json_is_strict(tmp_path: Path) -> None:
    one = Trace.integrate([0, 1, 2], [1.0] * 3, facts=FACTS, name="a")
    other = Trace.integrate([0, 1, 2], [2.0] * 3, facts=FACTS, name="b")
    (one + other).save(tmp_path / "x.jsonl")
    shown = json.loads(show(tmp_path / "x.jsonl", "--json").stdout, parse_constant=refuse)
    assert (shown["samples"], shown["joules"], shown["gaps"], shown["unfinished"]) == (3, 6.0, [], False)
    assert {name: usage["joules"] for name, usage in shown["channels"].items()} == {"a": 2.0, "b": 4.0}
    assert shown["started"] is None


def test_channels_one_by_one(tmp_path: Path) -> None:
    one = Trace.integrate([0, 1, 2], [1.0] * 3, facts=FACTS, name="a")
    other = Trace.integrate([0, 1, 2], [2.0] * 3, facts=FACTS, name="b")
    (one + other).save(tmp_path / "x.csv")
    total, a, b, samples = show(tmp_path / "x.csv").stdout.splitlines()
    assert total.startswith("6.000 J ± ")
    assert a.strip().endswith("a measured")
    assert b.strip().endswith("b measured")
    assert samples == "3 samples, 1.00 a second"
    assert show(tmp_path / "x.csv", "--channel", "b").stdout.startswith("4.000 J ±")
    assert show(tmp_path / "x.csv", "--channel", "c").exit_code == 2


def test_cut_off_file(tmp_path: Path) -> None:
    Trace.integrate([0, 1, 2, 3], [3.0] * 4, facts=FACTS).save(tmp_path / "x.csv")
    whole = (tmp_path / "x.csv").read_bytes()
    end = whole.rindex(b"# {")
    (tmp_path / "x.csv").write_bytes(whole[: end - 3])
    shown = show(tmp_path / "x.csv")
    assert shown.exit_code == 0
    assert "its last row is cut off: only what comes before was read" in shown.stdout
    assert "3 samples" in shown.stdout


def test_parts_of_a_killed_run(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    parts = tmp_path / "x.parquet.parts"
    parts.mkdir()
    nothing = show(tmp_path / "x.parquet")
    assert nothing.exit_code == 3
    assert "nothing is left" in nothing.output
    Trace.integrate([0, 1, 2], [3.0] * 3, facts=FACTS).save(tmp_path / "whole.parquet")
    (tmp_path / "whole.parquet").rename(parts / "000000.parquet")
    shown = show(tmp_path / "x.parquet")
    assert shown.stdout.startswith("6.000 J ± ")
    assert shown.stdout.endswith("its run was killed: shown is what was whole\n")
    assert json.loads(show(tmp_path / "x.parquet", "--json").stdout)["unfinished"] is True


def test_somebody_elses_csv(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("when,P,U (V)\n0,1500,5\n1000,1500,5\n")
    refused = show(tmp_path / "x.csv")
    assert refused.exit_code == 8
    assert "it has, parted by comma: when, P, U (V); say what is meant, as in" in refused.output
    known = "--time=when", "--watts=P", "--time-unit=s"
    shown = show(tmp_path / "x.csv", *known, "--unit=mW", "--semantics=mean", "--json")
    assert json.loads(shown.stdout)["joules"] == pytest.approx(1500.0)
    implausible = show(tmp_path / "x.csv", *known, "--board=pi4")
    assert implausible.exit_code == 7
    assert "say unit=mW" in implausible.output


def test_single_sample(tmp_path: Path) -> None:
    Trace.integrate([0], [3.0], facts=FACTS).save(tmp_path / "x.csv")
    shown = show(tmp_path / "x.csv")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[-1] == "1 sample"
