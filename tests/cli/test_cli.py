"""The command line as a whole: help that loads little, errors in a sentence, exit codes as documented."""

import json
import os
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from devices.processes import every_signal_counts
from devices.terminal import environment, in_pipe

from energymeter import cli, errors
from energymeter.cli.options import Finite
from energymeter.errors import EnergyMeterError, ExtraMissing

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of ``energymeter`` with these arguments."""
    monkeypatch.setattr(sys, "argv", ["energymeter", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_ends_with_its_code(
    kind: type[EnergyMeterError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through a subcommand that does nothing but fail."""

    @click.command()
    def failing() -> None:
        raise kind("p", "e", "This") if kind is ExtraMissing else kind("what to do.")

    module = types.ModuleType("energymeter.cli.failing")
    module.failing = failing  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "energymeter.cli.failing", module)
    monkeypatch.setitem(cli._COMMANDS, "failing", "Fail.")
    assert ended(monkeypatch, "failing") == kind.exit_code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("energymeter: ")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["log", "nosuch"], 2, "there is no driver 'nosuch'"),
        (["log", "manual:5W", "--duration", "nan"], 2, "not a finite number"),
        *(
            (["budget", "forecast", option, value], 2, said)
            for option in ("--watts", "--joules", "--idle", "--hour")
            for value, said in (
                ("nan", "not a finite number"),
                ("inf", "not a finite number"),
                ("-5", "range"),
            )
        ),
        (["log", "manual:5W", "--duration", "0"], 2, "range"),
        (["log", "manual:5W", "--rate", "0"], 2, "reads nothing"),
        (["log", "manual:5W", "--rate", "1e9"], 2, "cannot be read at 1e+09 Hz"),
        (["log", "manual:5W", "--bogus"], 2, "No such option"),
        (["log", "manual:5W", "--require", "measured"], 3, "a measured source is required"),
        (["log", "ina219@97:0x40"], 4, "i2c-97"),
        (["log", "manual:5W", "--out", "run.txt"], 8, "a log ends in .csv, .jsonl or .parquet"),
        (["log", "manual:5W", "--out", "/nowhere/run.csv"], 8, "cannot be written"),
        (["show", "/nowhere/run.csv"], 8, "cannot be read (No such file"),
        (["show", "/dev/null"], 8, "is empty; record again"),
        (["run"], 2, "Missing argument"),
        (["nosuch"], 2, "No such command"),
    ],
)
def test_bad_input(
    arguments: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = said.replace("read (No such file", "read: No such file")
    assert ended(monkeypatch, *arguments) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_parquet_without_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert ended(monkeypatch, "show", str(tmp_path / "x.parquet")) == 2
    assert 'pip install "edge-energymeter[parquet]"' in capsys.readouterr().err


def test_help_names_every_command_and_loads_none() -> None:
    code = (
        "import sys; from energymeter.cli import cli; cli.main(['--help'], standalone_mode=False); "
        "print(sorted({'numpy', 'tqdm', 'energymeter.meter.meter'} & sys.modules.keys()), file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True, env=environment()
    )
    assert run.stderr == "[]\n"
    assert all(name in run.stdout for name in cli._COMMANDS)


def leaves(command: click.Command, path: str) -> list[tuple[str, click.Command]]:
    """A command's subcommands down to those that do something."""
    if not isinstance(command, click.Group):
        return [(path, command)]
    context = click.Context(command)
    below = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
    return [leaf for name, sub in below if sub is not None for leaf in leaves(sub, f"{path} {name}".strip())]


LEAVES = dict(leaves(cli.cli, ""))


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_has_help(
    path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(monkeypatch, *path.split(), "--help") == 0
    assert capsys.readouterr().out.startswith(f"Usage: energymeter {path} ")


@pytest.mark.parametrize("path", ["log", "run", "show"])
def test_measuring_commands_answer_programs(path: str) -> None:
    assert any("--json" in parameter.opts for parameter in LEAVES[path].params)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "koi8-r", "shift-jis"])
@pytest.mark.parametrize("arguments", [("--help",), ("carbon", "--help"), ("run", "--", "true")])
def test_a_terminal_that_lacks_our_signs(arguments: tuple[str, ...], encoding: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", "from energymeter.cli import main; main()", *arguments],
        env=environment(PYTHONIOENCODING=encoding, ENERGYMETER_SOURCE="manual:5V,1A"),
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert b"Traceback" not in run.stderr


@pytest.mark.parametrize("utf8", ["0", "1"])
def test_a_log_has_the_name_it_was_given_in_any_locale(utf8: str, tmp_path: Path) -> None:
    """The process that writes it is another one, whose interpreter must encode names the same way."""
    made = subprocess.run(
        ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(tmp_path / "en_US.ISO-8859-1")],
        capture_output=True, check=False,
    ) if shutil.which("localedef") else None  # fmt: skip
    if made is None or made.returncode:
        pytest.skip("no Latin-1 locale can be made here (localedef)")
    latin = {"LOCPATH": str(tmp_path), "LC_ALL": "en_US.ISO-8859-1", "PYTHONUTF8": utf8}
    log = tmp_path / "µ.csv"
    run = in_pipe("log", "manual:5W", "--duration", "0.05", "--out", os.fsencode(log), **latin)
    assert run.returncode == 0, run.stderr
    assert log.exists(), list(tmp_path.iterdir())


def test_source_from_the_environment() -> None:
    run = in_pipe("log", "--duration", "0.05", "--json", ENERGYMETER_SOURCE="manual:7W")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1])["sources"] == ["manual:7W"]


NUMBERS = [
    ("log", "manual:1W", "--duration"),
    ("log", "manual:1W", "--celsius"),
    ("check", "manual:1W", "--seconds"),
    ("carbon", "FILE", "x.csv", "--grams-per-kwh"),
    ("carbon", "FILE", "x.csv", "--efficiency"),
    ("carbon", "FILE", "x.csv", "--years"),
    ("carbon", "when", "--wh"),
    ("carbon", "when", "--wh", "1", "--hours"),
    ("calibrate", "manual:1W", "--celsius"),
    ("devices", "--seconds"),
]


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e308", "1e999", "1e-320", "x"])
@pytest.mark.parametrize("arguments", NUMBERS, ids=" ".join)
def test_numbers_are_finite(arguments: tuple[str, ...], number: str) -> None:
    result = CliRunner().invoke(cli.cli, [*arguments, number])
    assert result.exit_code == 2, result.output
    assert "Invalid value" in result.output


def test_no_command_takes_a_number_that_may_be_nan() -> None:
    def options(command: click.Command) -> Iterator[click.Parameter]:
        yield from command.params
        for below in getattr(command, "commands", {}).values():
            yield from options(below)

    for name in cli.cli.list_commands(click.Context(cli.cli)):
        command = cli.cli.get_command(click.Context(cli.cli), name)
        assert command is not None
        for option in options(command):
            assert option.type is not click.FLOAT, (name, option.name)
            assert not isinstance(option.type, click.FloatRange) or isinstance(option.type, Finite)


@pytest.mark.parametrize("module", ["click", "energymeter.cli"])
def test_ctrl_c_while_the_command_loads_ends_quietly(module: str) -> None:
    """Sent by the loading itself, so that it comes at that moment on any machine."""
    code = (
        "import builtins, os, signal, sys; real = builtins.__import__\n"
        "def load(name, *rest, **named):\n"
        f"    if name == {module!r}:\n"
        "        try: os.kill(os.getpid(), signal.SIGINT)\n"
        "        except KeyboardInterrupt: pass  # as a library may that goes on without an optional part\n"
        "    return real(name, *rest, **named)\n"
        "from energymeter.__main__ import main; builtins.__import__ = load; sys.argv = ['energymeter']; "
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=every_signal_counts,
    )
    assert (done.returncode, done.stderr) == (130, "")


def test_a_command_that_lacks_numpy_says_so() -> None:
    """As in the command as one file, which leaves numpy to the system."""
    code = "import sys; sys.modules['numpy'] = None; from energymeter.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "show", "run.csv"], capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 2
    assert done.stderr == "energymeter: this command needs numpy: apt install python3-numpy\n"
