"""What a question about a file suggests: pasted, each command line answers, with all that was typed."""

import os
import re
import shlex
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from energymeter import Trace
from energymeter.cli import cli
from energymeter.errors import LogError
from tests.recordings.odd_files import ODD


def _level(row: int) -> int:
    """Steps of a load that are like no others."""
    return 10 + 5 * (sum(row >= edge for edge in (20, 50, 65, 105, 117, 150, 158, 180)) % 2)


_UNCLEAR = "time,power_W\n" + "".join(f"{60 * i},{_level(i)}\n" for i in range(200))
"""Seconds or milliseconds?"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_zone: None) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a log.csv").write_text(_UNCLEAR)
    Path("b.csv").write_text("time_s,power_W\n" + "".join(f"{60 * i},{_level(i)}\n" for i in range(200)))
    os.environ["TZ"] = "UTC"
    time.tzset()


def suggested(output: str) -> list[str]:
    """The words of the command line in an answer."""
    found = re.search(r"as in (energymeter .*)", output)
    assert found is not None, output
    return shlex.split(found[1])[1:]


@pytest.mark.parametrize("name", ODD)
def test_what_show_suggests_answers(name: str) -> None:
    Path("odd file.csv").write_text(ODD[name].text, encoding="utf-8")
    shown = CliRunner().invoke(cli, ["show", "odd file.csv"])
    if "as in energymeter" not in shown.output:
        return  # it was read, or its remedy is another
    answered = CliRunner().invoke(cli, suggested(shown.output))
    assert answered.exit_code == 0, (shown.output, answered.output)


@pytest.mark.parametrize(
    "typed",
    [
        ["show", "a log.csv"],
        ["show", "a log.csv", "--json"],
        ["carbon", "a log.csv", "--grid", "DEU"],
        ["align", "a log.csv", "b.csv"],
        ["align", "b.csv", "a log.csv"],
        ["budget", "forecast", "--log", "a log.csv", "--battery", "4000mAh"],
        ["budget", "forecast", "--battery", "4000mAh", "--log=a log.csv"],
        ["log", 'replay@"a log.csv"?speed=max', "--duration", "60"],
        ["run", "--source", 'replay@"a log.csv"?speed=max', "--", "true"],
    ],
    ids=" ".join,
)
def test_the_suggestion_is_the_command_at_hand(typed: list[str]) -> None:
    asked = CliRunner().invoke(cli, typed)
    assert asked.exit_code == 8, asked.output
    command = suggested(asked.output)
    assert command[0] == typed[0]
    assert {word for word in typed if word.startswith("--")} - {"--json", "--log=a log.csv"} <= set(command)
    assert any("speed=max" in word for word in command) == any("speed=max" in word for word in typed)
    answered = CliRunner().invoke(cli, command)
    assert "as in" not in answered.output
    uncorrelated = 10 if typed[0] == "align" else 0  # the files were read
    assert answered.exit_code in (0, uncorrelated), answered.output


def test_a_calibration_by_its_log_is_asked_and_answered() -> None:
    Path("counted.csv").write_text("time_s,mah\n0,0\n6,1\n12,2\n")
    typed = ["calibrate", "sim:pi4", "--log", "a log.csv", "--counted", "counted.csv"]
    asked = CliRunner().invoke(cli, typed)
    answered = CliRunner().invoke(cli, suggested(asked.output))
    assert "as in" not in answered.output  # the file is read; that it holds no charge is another matter


def test_csv_and_a_library_call_are_spelled_as_such() -> None:
    with pytest.raises(LogError, match=r"Trace.load\('a log.csv', time_unit='ms'\)"):
        Trace.load("a log.csv")
    Path("live.csv").write_text(_UNCLEAR)
    asked = CliRunner().invoke(cli, ["log", "csv@live.csv", "--duration", "1"])
    assert suggested(asked.output) == ["log", "csv@live.csv?time_unit=ms", "--duration", "1"]
