"""`energymeter budget`, word by word."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from devices.terminal import in_pipe

from energymeter.budget.account import Account
from energymeter.cli.budget import budget as command
from energymeter.cli.budget_options import level, share
from energymeter.errors import LedgerError, SpecError
from energymeter.meter.usage_delta import UsageDelta


@pytest.fixture(autouse=True)
def _own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def say(*words: str) -> str:
    result = CliRunner().invoke(command, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_courses_table() -> None:
    text = say("forecast")
    for figure in ("2.00 h", "6.67 h", "26.67 h", "1.33 h", "4.44 h", "17.76 h", "converter"):
        assert figure in text
    assert json.loads(say("forecast", "--json"))[0]["rail_hours"] == 2.0


def test_a_board_and_a_phone() -> None:
    text = say("forecast", "--board", "jetson-nano", "--battery", "phone")
    assert "NVIDIA Jetson Nano Developer Kit, 10 W" in text
    assert "lasts 56 min (32 min to 1 h 14 min)" in text
    assert "by the label alone 1 h 15 min" in text
    assert "capacity unknown" in text
    assert "rail convention 2.00 h" in text
    assert "lasts 2 h" in say("forecast", "--board", "jetson-nano", "--basis", "rail")


def test_duty_period_sun_and_a_goal() -> None:
    assert "6.4 W for 10 % of the time, else 3.06 W: 3.39 W" in say(
        "forecast", "--board", "pi4", "--duty", "10%"
    )
    text = say("forecast", "--every", "5min", "--joules", "2.1", "--idle", "0.5", "--solar", "20W,4h")
    assert "0.507 W at the rail" in text
    assert "sustained" in text
    assert "21400 inferences of 2.1 J a charge" in text
    assert "to last 24 h: 0.520 W" in say("forecast", "--last", "24h")
    facts = json.loads(say("forecast", "--watts", "3", "--last", "1d", "--json"))
    assert facts["label_hours"] == pytest.approx(4 * 3.85 * 0.81 / 3)
    assert facts["capacity"] == "unknown"
    assert facts["hours"]["low"] < facts["hours"]["value"] < facts["label_hours"]
    known = json.loads(say("forecast", "--watts", "3", "--measured", "3600", "--json"))
    assert known["capacity"] == "known"
    assert known["hours"]["value"] == pytest.approx(3.6 * 3.85 * 0.9 / 3)
    assert facts["watts_to_last"] == pytest.approx(4 * 3.85 * 0.81 / 24)


def test_a_budgets_life() -> None:
    assert "usable 3600 mAh" in say("new", "lab4", "--share", "inference=60%")
    for _ in range(2):
        say("spend", "lab4", "--joules", "3000", "--duration", "10min", "--stage", "inference")
    text = say("status", "lab4")
    assert "spent   6000 J" in text
    assert re.search(r"lasts   1 h \d+ min \(\d+ min to 2 h \d+ min\)", text)
    assert "capacity unknown: only the label is known;" in text
    assert "inference: 78 %" in text
    assert json.loads(say("status", "lab4", "--stage", "inference", "--json"))["spent_joules"] == 6000.0
    say("new", "lab5", "--share", "inference=60%")
    say("spend", "lab5", "--joules", "100", "--duration", "1min", "--stage", "inference")
    say("spend", "lab5", "--joules", "20", "--duration", "1min")
    spent = [
        json.loads(say("status", "lab5", *only, "--json"))["spent_joules"]
        for only in ((), ("--stage", "inference"))
    ]
    assert spent == [120.0, 100.0]
    say("spend", "lab4", "--amend", "1", "--wh", "0.5", "--note", "misread")
    say("spend", "lab4", "--undo", "2")
    assert json.loads(say("status", "lab4", "--json"))["spent_joules"] == 1800.0
    assert "undo of 2" in say("list", "lab4")
    assert say("list") == "lab4\nlab5\n"
    assert "stops at step 23" in say("forecast", "lab4", "--iterations", "1000")
    lines = say("export", "lab4").splitlines()
    assert lines[0].startswith("id,kind,at,run,stage")
    assert len(lines) == 5
    assert json.loads(say("export", "lab4", "--format", "json"))[3]["kind"] == "undo"
    say("reset", "lab4", "--note", "charged")
    assert "unknown: no load was seen yet" in say("status", "lab4")
    assert len(json.loads(say("list", "lab4", "--json"))) == 5


def test_every_answer_in_json() -> None:
    made = json.loads(say("new", "lab5", "--share", "inference=60%", "--json"))
    assert made["battery"]["mah"] == 4000
    assert made["shares"] == {"inference": 0.6}
    assert made["mah"]["value"] == pytest.approx(3600)
    spent = json.loads(say("spend", "lab5", "--wh", "1.386", "--json"))
    assert spent["line"] == 1
    assert spent["mah"]["value"] == pytest.approx(3600 - 1386 / 3.85 / 0.9)
    assert json.loads(say("spend", "lab5", "--undo", "1", "--json"))["line"] == 2
    assert json.loads(say("reset", "lab5", "--json"))["mah"]["value"] == pytest.approx(3600)
    lines = json.loads(say("export", "lab5", "--json"))
    assert [line["kind"] for line in lines] == ["debit", "undo", "reset"]
    assert json.loads(say("list", "--json")) == ["lab5"]
    assert json.loads(say("forecast", "lab5", "--json"))["hours"] is None


def test_a_discharge_by_its_log(tmp_path: Path) -> None:
    file = tmp_path / "phone.csv"
    file.write_text("time,percent,power_W\n" + "".join(f"{i * 60},{90 - i // 6},2.0\n" for i in range(61)))
    assert "lasts 8 h (" in say("forecast", "--log", str(file))
    energy = json.loads(say("forecast", "--log", str(file), "--measured", "3600", "--json"))
    assert (energy["method"], energy["capacity"], energy["reason"]) == ("energy", "known", "")
    assert energy["hours"]["value"] == pytest.approx((3.6 * 3.85 * 0.9 * 0.9 - 2) / 2)
    label = json.loads(say("forecast", "--log", str(file), "--battery", "phone", "--json"))
    assert label["capacity"] == "unknown"
    assert label["hours"]["low"] < energy["hours"]["low"]
    file.write_text("time,percent\n0,90\n60,91\n")
    assert "unknown: nothing was discharged" in say("forecast", "--log", str(file))


def test_nothing_there() -> None:
    assert "energymeter budget new" in say("list")
    with pytest.raises(LedgerError, match="budget new lab9"):
        say("status", "lab9")


@pytest.mark.parametrize(
    "words",
    [
        ("spend", "lab4"),
        ("spend", "lab4", "--joules", "1", "--wh", "1"),
        ("spend", "lab4", "--joules", "-1"),
        ("new", "lab4"),
        ("new", "lab5", "--share", "inference"),
        ("new", "lab5", "--battery", "toaster"),
        ("forecast", "--watts", "3", "--duty", "10%"),
        ("forecast", "--every", "5min", "--idle", "1"),
        ("forecast", "--watts", "3", "--solar", "big"),
        ("forecast", "--solar", "10W,4h"),
    ],
    ids=" ".join,
)
def test_words_that_make_no_sense(words: tuple[str, ...]) -> None:
    say("new", "lab4")
    with pytest.raises(SpecError):
        say(*words)


@pytest.mark.parametrize(
    "words", [("--duty", "ten"), ("--duty", "110%"), ("--last", "soon"), ("--last", "0s")]
)
def test_values_click_refuses(words: tuple[str, str]) -> None:
    result = CliRunner().invoke(command, ["forecast", "--watts", "3", *words])
    assert result.exit_code == 2
    assert "write" in result.output


@pytest.mark.parametrize("filters", ["", "error", "ignore"])
def test_a_corrupt_ledger_is_reported_in_a_sentence_without_our_code(tmp_path: Path, filters: str) -> None:
    home = {"XDG_DATA_HOME": str(tmp_path), "PYTHONWARNINGS": filters}
    assert in_pipe("budget", "new", "lab", **home).returncode == 0
    (ledger,) = tmp_path.rglob("*.sqlite3")
    ledger.write_bytes(b"no ledger at all" * 512)
    status = in_pipe("budget", "status", "lab", **home)
    assert status.returncode == 11
    lines = status.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == ["energymeter", "energymeter"]
    assert "is corrupt" in lines[0]
    assert "kept as" in lines[0]
    assert any(path.read_bytes().startswith(b"no ledger") for path in tmp_path.rglob("*corrupt*"))


@pytest.mark.parametrize(
    "words",
    [
        *(
            ("forecast", option, number)
            for option in ("--watts", "--idle")
            for number in ("nan", "inf", "-inf")
        ),
        ("forecast", "--joules", "nan"),
        ("forecast", "--joules", "1e300"),
        ("forecast", "--watts", "2", "--solar", "10W,4h", "--hour", "nan"),
        ("forecast", "--last", "9" * 400 + "d"),
        ("new", "lab5", "--volts", "inf"),
        ("new", "lab5", "--volts", "0"),
        ("spend", "lab4", "--joules", "nan"),
        ("spend", "lab4", "--wh", "inf"),
        ("spend", "lab4", "--wh", "1e15"),
        ("spend", "lab4", "--undo", str(10**20)),
        ("spend", "lab4", "--joules", "1", "--amend", "nan"),
        ("spend", "lab4", "--joules", "1", "--amend", str(10**20)),
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_every_number_is_finite(words: tuple[str, ...]) -> None:
    say("new", "lab4")
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 2
    assert "Error: " in result.output


@pytest.mark.parametrize(
    "words",
    [
        ("spend", "lab4", "--joules", "1e13"),
        ("spend", "lab4", "--joules", "9e12"),
        ("spend", "lab4", "--joules", "1", "--note", "\udcff"),
        ("spend", "lab4", "--joules", "1", "--stage", "\udcff"),
        ("new", "\udcff"),
        ("status", "\udcff"),
    ],
    ids=lambda words: ascii(words)[:40],
)
def test_what_no_ledger_holds_is_refused_in_a_sentence(words: tuple[str, ...]) -> None:
    say("new", "lab4")
    with pytest.raises((SpecError, LedgerError)) as refused:
        say(*words)
    assert str(refused.value).count("\n") == 0
    assert len(json.loads(say("list", "lab4", "--json"))) == 0


def test_absurd_debits_lock_nobody_out() -> None:
    say("new", "lab4")
    for _ in range(20):
        say("spend", "lab4", "--joules", "9e11")
    assert "spent   18000000000000 J" in say("status", "lab4")
    say("spend", "lab4", "--undo", "1")
    say("reset", "lab4")
    assert "100 %" in say("status", "lab4")


@pytest.mark.parametrize("note", ["=HYPERLINK(1)", "+SUM(1)", "-SUM(1)", "@x"])
def test_an_export_holds_no_formula(note: str) -> None:
    say("new", "lab4")
    say("spend", "lab4", "--joules", "5", "--note", note)
    (row,) = csv.DictReader(io.StringIO(say("export", "lab4")))
    assert row["note"].startswith("'")
    (line,) = json.loads(say("export", "lab4", "--json"))
    assert line["note"] == note


def test_the_status_shows_what_a_span_costs_and_how_many_were_left_out() -> None:
    say("new", "lab4")
    usage = UsageDelta(10.0, seconds=4.0, measured_seconds=4.0, covered_seconds=(4.0,), sources=("wall",))
    Account.open("lab4").spend(usage, spans={"infer": (4, 8.0, 1), "load": (0, 0.0, 2)})
    text = say("status", "lab4")
    assert "infer   2.00 J each, 4 measured, 1 left out: not fully measured" in text
    assert "load    unknown, 0 measured, 2 left out" in text
    spans = json.loads(say("status", "lab4", "--json"))["spans"]
    assert spans["infer"] == {"measured": 4, "microjoules": 8_000_000, "left_out": 1}


def test_a_load_too_small_for_numbers_is_refused() -> None:
    result = CliRunner().invoke(command, ["forecast", "--watts", "1e-308"])
    assert result.exit_code == 2
    assert "1e-308 is too close to 0; give 0, or at least 1e-12" in result.output


def test_what_is_known_of_a_battery_is_said_in_every_command(tmp_path: Path) -> None:
    assert "capacity unknown: only the label is known;" in say("new", "lab8")
    assert json.loads(say("status", "lab8", "--json"))["capacity"] == "unknown"
    say("reset", "lab8", "--measured", "3400")
    known = json.loads(say("status", "lab8", "--json"))
    assert known["capacity"] == "known"
    assert known["mah"]["value"] == pytest.approx(3400)
    say("spend", "lab8", "--joules", "3000", "--duration", "10min")
    assert "capacity known within 3 %" in say("forecast", "lab8")
    say("reset", "lab8", "--celsius", "4")
    assert "(94 % health, 4 °C)" in say("status", "lab8")


def test_no_hours_have_a_reason_in_text_and_in_json(tmp_path: Path) -> None:
    file = tmp_path / "phone.csv"
    file.write_text("time,percent\n" + "".join(f"{i * 60},{90 - i // 6}\n" for i in range(25)))
    assert "cannot tell yet: anything " in say("forecast", "--log", str(file))
    early = json.loads(say("forecast", "--log", str(file), "--json"))
    assert early["hours"] is None
    assert "log " in early["reason"]
    assert "--battery" in early["reason"]
    at_empty = say("forecast", "--log", str(file), "--empty", "86%")
    assert "cannot tell: the gauge reads 86 %" in at_empty
    say("new", "lab9")
    say("spend", "lab9", "--joules", "44000", "--duration", "2h")
    status = json.loads(say("status", "lab9", "--json"))
    assert status["hours"] is None
    assert status["reason"].startswith("cannot tell yet: anything from")
    assert "--measured" in say("status", "lab9")
    refused = CliRunner().invoke(command, ["forecast", "--watts", "3", "--empty", "7%"])
    assert isinstance(refused.exception, SpecError)
    assert "--log" in str(refused.exception)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (share, "10%", 0.1), (share, "0.1", 0.1), (share, "0", 0.0), (share, "100 %", 1.0),
        (level, "7%", 7.0), (level, "150", 150.0), (level, "0", 0.0),
    ],
)  # fmt: skip
def test_shares_and_levels(read: Callable[[str], float], text: str, value: float) -> None:
    assert read(text) == pytest.approx(value)


@pytest.mark.parametrize("read", [share, level])
@pytest.mark.parametrize("text", ["", "much", "-1", "10 W", "nan", "%"])
def test_what_is_no_share_and_no_level(read: Callable[[str], float], text: str) -> None:
    with pytest.raises(click.BadParameter, match="write"):
        read(text)


@pytest.mark.parametrize("text", ["101%", "1.1"])
def test_a_share_is_at_most_all(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no share"):
        share(text)
