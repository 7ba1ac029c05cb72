"""Every option of every command has an example that runs, or one that says it is not run."""

import os
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from energymeter.cli import cli

ROOT = Path(__file__).resolve().parents[2]
_EXAMPLES = runpy.run_path(str(ROOT / "docs" / "cli_examples.py"))
EXAMPLES, NOT_RUN = _EXAMPLES["EXAMPLES"], _EXAMPLES["NOT_RUN"]
COMMANDS = {
    " ".join(words): command
    for words, command in runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["commands"](
        cli, ("energymeter",)
    )
}
DEFAULT_OF_A_GROUP = "FILE"
"""The word that `energymeter carbon FILE` has in place of a command's name."""


def words_given_to(name, lines):
    """All words of the lines that call a command."""
    called = " ".join(word for word in name.split() if word != DEFAULT_OF_A_GROUP)
    return {word for line in lines if called in line for word in shlex.split(line)}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_has_an_example(name):
    lines = [*EXAMPLES.get(name, []), *NOT_RUN.get(name, [])]
    assert lines, f"{name} has no example in docs/cli_examples.py"
    words = words_given_to(name, lines)
    missing = [
        option.opts[-1]
        for option in COMMANDS[name].params
        if isinstance(option, click.Option) and not option.hidden and not words & {*option.opts}
    ]
    assert not missing, f"docs/cli_examples.py has no example of {name} {' '.join(missing)}"


def test_the_examples_are_of_commands_and_on_their_page():
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    for name, lines in [*EXAMPLES.items(), *NOT_RUN.items()]:
        assert name in COMMANDS
        for line in lines:
            assert f"\n{line}\n" in page, "run docs/make_reference.py"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_examples_of_a_command_run(name, tmp_path):
    """Line by line in an empty folder, with a home of their own."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "work").mkdir()
    command = tmp_path / "bin" / "energymeter"
    command.write_text(f"#!{sys.executable}\nfrom energymeter.cli import main\nmain()\n")
    command.chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ENERGYMETER_")}
    environment |= {
        "HOME": str(tmp_path),
        "PATH": os.pathsep.join([str(command.parent), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
    }
    environment |= {
        name: str(tmp_path / name) for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    }
    for line in EXAMPLES[name]:
        done = subprocess.run(
            line,
            shell=True,
            cwd=tmp_path / "work",
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
