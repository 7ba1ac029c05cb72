"""What is asked for of exporters: by options, by a file, and what makes no sense."""

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from devices.processes import until

from energymeter.cli import cli
from energymeter.cli.serve_options import exporter_options
from energymeter.errors import SpecError
from energymeter.serve.agent import Agent
from energymeter.serve.config import Config, SourceEntry
from energymeter.serve.exporters import ExporterSettings, begin, check_section
from energymeter.serve.record import RecordSettings


def given(*arguments: str, **sections: dict[str, str]) -> ExporterSettings:
    """The settings of a command line."""
    found: list[ExporterSettings] = []

    @click.command()
    @exporter_options
    def command(**options: object) -> None:
        found.append(ExporterSettings.of(sections, options))

    command.main([*arguments], standalone_mode=False)
    return found[0]


@pytest.mark.parametrize(
    ("section", "keys", "why"),
    [
        ("mqtt", "url = http://host", "no address of a broker"),
        ("mqtt", "url = mqtt://pi:secret@host", "a password"),
        ("otlp", "url = host:4318", "no endpoint of OTLP"),
        (
            "otlp",
            "url = http://host:4318\nhost = other",
            "host names no source of this agent; give one of: board",
        ),
        ("record", "folder = x\nmegabytes = much", "megabytes"),
        ("record", "megabytes = 20\nminutes = 0", "1 to 1440 minutes"),
    ],
)
def test_a_bad_value_of_a_file_names_the_file_and_the_section(
    tmp_path: Path, section: str, keys: str, why: str
) -> None:
    file = tmp_path / "agent.ini"
    file.write_text(f"[{section}]\n{keys}\n[source board]\nspec = manual:5V,1A\n")
    with pytest.raises(SpecError, match=re.escape(why)) as caught:
        Config.load(str(file), check_section)
    assert str(caught.value).startswith(f"{file}: [{section}]: ")


def test_the_command_names_them_too(tmp_path: Path) -> None:
    file = tmp_path / "agent.ini"
    file.write_text("[mqtt]\nurl = http://host\n[source board]\nspec = manual:5V,1A\n")
    command = [sys.executable, "-m", "energymeter", "serve", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode
    assert "agent.ini: [mqtt]: " in done.stderr


def test_nothing_reads_the_agent_unless_it_is_asked_for() -> None:
    assert not given().any
    assert given("--web").site
    assert given("--mqtt", "mqtt://host").any
    assert not given("--mqtt", "mqtt://host").site


def test_a_file_says_the_same_as_the_options_which_come_first(tmp_path: Path) -> None:
    file = tmp_path / "agent.ini"
    file.write_text(
        "[source board]\nspec = sim:pi4\n[web]\nrecordings = /srv/energy\n[metrics]\n"
        "[mqtt]\nurl = mqtt://host\ntitle = Field Pi\n[otlp]\nurl = http://host:4318\nhost = board\n"
        "[budgets]\nnames = a b\n[record]\nfolder = /srv/record\nmegabytes = 20\nminutes = 5\n"
        "[push]\nto = s3://class/lake\nendpoint = http://host:9000\n"
    )
    sections = {title: dict(keys) for title, keys in Config.load(str(file)).sections.items()}
    assert given(**sections) == ExporterSettings(
        True,
        True,
        "/srv/energy",
        "mqtt://host",
        "Field Pi",
        "homeassistant",
        "http://host:4318",
        "board",
        ("a", "b"),
        RecordSettings("/srv/record", 20_000_000, 300.0),
        "s3://class/lake",
        "http://host:9000",
    )
    assert given("--record-minutes", "10", **sections).record == RecordSettings(
        "/srv/record", 20_000_000, 600.0
    )
    assert given("--mqtt-title", "Desk", **sections).mqtt_title == "Desk"


@pytest.mark.parametrize(
    "arguments", [["--recordings", "x"], ["--otlp-host", "x"], ["--record-megabytes", "5"]]
)
def test_an_option_without_the_one_that_it_belongs_to_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SpecError, match="give --"):
        given(*arguments)


def test_rules_and_dashboard_are_printed() -> None:
    rules = CliRunner().invoke(cli, ["serve", "--print", "rules"])
    assert "EnergySourceLost" in rules.output
    board = CliRunner().invoke(cli, ["serve", "--print", "dashboard"])
    assert json.loads(board.output)["title"] == "energymeter"


def test_a_unit_holds_the_options_of_the_exporters() -> None:
    options = [
        "--web", "--metrics", "--recordings", "logs", "--mqtt", "mqtt://host", "--mqtt-title", "Field Pi",
        "--otlp", "http://host:4318", "--otlp-host", "sim", "--budget", "a", "--budget", "b",
    ]  # fmt: skip
    printed = CliRunner().invoke(cli, ["serve", "sim:pi4", "--unit", "user", *options])
    (line,) = [line for line in printed.output.splitlines() if line.startswith("ExecStart=")]
    words = shlex.split(line.partition("serve ")[2])
    assert words[0] == "sim:pi4"
    place = words.index("--recordings") + 1
    assert os.path.isabs(words[place])
    assert [*words[1:place], "logs", *words[place + 1 :]] == options


def test_a_unit_may_write_the_record_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "record"
    printed = CliRunner().invoke(
        cli, ["serve", "sim:pi4", "--unit", "system", "--record", str(folder), "--record-megabytes", "50"]
    )
    assert f'ReadWritePaths="{folder}"\n' in printed.output
    (line,) = [line for line in printed.output.splitlines() if line.startswith("ExecStart=")]
    assert shlex.split(line)[-4:] == ["--record", str(folder), "--record-megabytes", "50"]


def test_the_page_shows_the_record_where_no_other_folder_is_named(tmp_path: Path) -> None:
    agent = Agent(Config((SourceEntry.of("board", "manual:5V,0.6A"),)))
    settings = given("--web", "--record", str(tmp_path / "record"))
    with contextlib.ExitStack() as stack:
        stack.callback(agent.close)
        site = begin(agent, settings, stack)
        assert site is not None

        def listed() -> list[list[str]]:
            answer = site.respond("GET", "/api/recordings", {"host": "127.0.0.1"})
            return json.loads(answer.body)["recordings"]

        until(listed)
        assert listed()[0][0].startswith("board_00000001_")
