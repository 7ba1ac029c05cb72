"""Every option of every command has an example that runs, or one that says it is not run."""

import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.core import ParameterSource

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
_WORD = re.compile(r"""(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s;&|<>()'"\\])+|[;&|()]+|[<>]+""")
_ABSENT = re.compile(r"(?:File|Directory|Path) '(.+)' does not exist")


def calls_in(line):
    """The words of each call of `energymeter` in a line of a shell, without the first."""
    calls, into = [[]], False
    for word in _WORD.findall(line):
        if word[0] in ";&|()":
            calls.append([])
        elif not into and word[0] not in "<>":
            calls[-1] += shlex.split(word)
        into = word[0] in "<>"
    calls = [words[1:] if words[:1] == ["sudo"] else words for words in calls]
    return [words[1:] for words in calls if words[:1] == ["energymeter"]]


def parsed(words, command=cli, name="energymeter", parent=None):
    """The context of the command that is called, as it parses its words; nothing runs.

    Raises:
        click.UsageError: it refuses them.
    """
    context = command.make_context(name, [*words], parent=parent)
    if not isinstance(command, click.Group):
        return context
    with context:
        name, inner, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    return parsed(rest, inner, name, context)


def parsed_with_files(words, before):
    """The same in this folder, with the files that the lines before have written.

    Args:
        words: of the call.
        before: all lines up to this one.
    """
    for word in words:
        if before and re.fullmatch(r"\w+\.csv", word):
            Path(word).touch()
    while True:
        try:
            return parsed(words)
        except click.BadParameter as error:
            absent = _ABSENT.search(error.message)
            if absent is None or absent[1] not in before or Path(absent[1]).exists():
                raise
            made = Path(absent[1])
            made.touch() if made.suffix else made.mkdir()


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_has_an_example_that_its_command_accepts(name, tmp_path, monkeypatch):
    lines = [*EXAMPLES.get(name, []), *NOT_RUN.get(name, [])]
    assert lines, f"{name} has no example in docs/cli_examples.py"
    monkeypatch.chdir(tmp_path)
    given = set()
    for number, line in enumerate(lines):
        for words in calls_in(line):
            context = parsed_with_files(words, before="\n".join(lines[: number + 1]))
            if context.command is COMMANDS[name]:
                sources = {
                    option: context.get_parameter_source(option.name) for option in context.command.params
                }
                given |= {
                    option for option, source in sources.items() if source is ParameterSource.COMMANDLINE
                }
    options = [option for option in COMMANDS[name].params if isinstance(option, click.Option)]
    missing = [option.opts[-1] for option in options if not option.hidden and option not in given]
    assert not missing, f"docs/cli_examples.py has no example of {name} {' '.join(missing)}"


@pytest.mark.parametrize(
    "line",
    [
        "energymeter log sim:pi4 --rate fast --out run.csv",
        "true; sudo energymeter lake fleet lake --no-such-option",
        "energymeter no-such-command",
        "energymeter budget spend lab --joules",
        "energymeter calibrate sim:pi4 --points none.csv",
        "energymeter show meter.csv --delimiter ';' --unit",
    ],
)
def test_an_example_that_its_command_refuses_is_found(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (words,) = calls_in(line)
    with pytest.raises(click.UsageError):
        parsed_with_files(words, before="")


def test_the_words_of_a_line_are_those_of_the_shell():
    line = """energymeter export 'a b' --to "c;d" > out.csv && echo '; energymeter' | energymeter show x"""
    assert calls_in(line) == [["export", "a b", "--to", "c;d"], ["show", "x"]]


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
