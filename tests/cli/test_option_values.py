"""What an option takes and what it is by default: on the page of commands, or else in the tables here."""

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from energymeter.cli import cli

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")


def commands() -> dict[str, click.Command]:
    """Every command by the words that call it, but for the first."""
    found = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["commands"](cli, ("energymeter",))
    return {" ".join(words[1:]): command for words, command in found}


COMMANDS = commands()


def parameters() -> Iterator[tuple[str, click.Parameter]]:
    for name, command in COMMANDS.items():
        for parameter in command.params:
            yield f"{name} {parameter.opts[0]}", parameter


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_says_what_help_says(name: str) -> None:
    """With types, limits and defaults; but for where a line ends."""
    context = click.Context(COMMANDS[name], info_name=f"energymeter {name}", terminal_width=100)
    found = re.search(rf"^## energymeter {re.escape(name)}\n\n```text\n(.*?)^```$", PAGE, re.M | re.S)
    assert found is not None
    said, written = ("".join(text.split()) for text in (COMMANDS[name].get_help(context), found[1]))
    assert said == written, "run docs/make_reference.py cli"


MUST_EXIST = {
    "log --calibration", "live --calibration", "run --calibration", "compare --calibration",
    "compare --baseline",
    "sweep --calibration", "calibrate --points", "calibrate --counted", "report --comparison",
    "export --into",
    "push --report", "lake fleet --intensities", "carbon when --forecast",
}  # fmt: skip
AGAIN = {
    "serve --budget", "compare --per", "compare --name", "compare --span", "sweep --over", "sweep --board",
    "report --name", "report --units", "report --parameters", "report --flops", "report --accuracy",
    "report --batch", "report --input-size", "report --hardware", "lake battery --include",
    "lake class --include",
    "lake coverage --include", "lake fleet --include", "lake per-unit --include", "lake power --include",
    "lake ranking --include", "lake regressions --include", "budget new --share",
}  # fmt: skip
SILENT_DEFAULTS = {
    "run --warmup": 0, "compare --cooldown": 0.0, "sweep --cooldown": 0.0, "sweep --per": 1.0,
    "report --skip": 0,
    "push --clock-offset": 0.0,
}  # fmt: skip
SEVERAL = {
    "run command", "serve sources", "compare words", "sweep words", "plot files", "report runs",
    "verify logs",
    "push runs",
}  # fmt: skip
LEFT_OUT = {
    "log source", "live source", "serve sources", "push runs", "budget forecast name", "budget list name",
    "carbon grids search",
}  # fmt: skip


def test_what_help_does_not_say() -> None:
    """Files that must exist, options given again, silent defaults, arguments in any number or none."""
    every = dict(parameters())
    options = {name: each for name, each in every.items() if isinstance(each, click.Option)}
    arguments = {name: each for name, each in every.items() if isinstance(each, click.Argument)}
    files = {name: each.type for name, each in every.items() if isinstance(each.type, click.Path)}
    assert {name for name, kind in files.items() if kind.exists} == MUST_EXIST
    assert {name for name, each in options.items() if each.multiple} == AGAIN
    assert {name for name, each in arguments.items() if each.nargs == -1} == SEVERAL
    assert {name for name, each in arguments.items() if not each.required} == LEFT_OUT
    assert all(each.nargs == 1 for name, each in every.items() if name not in SEVERAL)
    assert not any(each.hidden for each in options.values())
    silent = {
        name: each.default
        for name, each in options.items()
        if isinstance(each.default, (int, float)) and not each.show_default and not each.is_flag
    }
    assert silent == SILENT_DEFAULTS


def test_an_output_is_a_file_and_a_run_may_be_a_folder() -> None:
    assert {
        name: (each.type.file_okay, each.type.dir_okay)
        for name, each in parameters()
        if isinstance(each.type, click.Path) and each.type.dir_okay
    } == {
        "serve --recordings": (False, True), "serve --record": (False, True), "compare --out": (False, True),
        "sweep --out": (False, True), "report --comparison": (False, True), "show file": (True, True),
        "plot files": (True, True), "carbon FILE file": (True, True),
    }  # fmt: skip
