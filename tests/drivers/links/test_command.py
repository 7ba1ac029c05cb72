"""Programs that do not start: absent, or not for this user; whatever else is on PATH."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from devices.processes import without_rights
from devices.programs import program
from devices.terminal import in_pipe

from energymeter.drivers.exec import Exec
from energymeter.drivers.links.command import Lines, output
from energymeter.errors import SourceError, SourceForbidden, SourceMissing

STARTS: dict[str, Callable[[str], object]] = {
    "once": lambda name: output([name], 5.0, "install it"),
    "line after line": lambda name: Lines([name], "install it").close(),
    "exec": lambda name: Exec(name, unit="W").open(),
}


def attempted(start: str, name: str) -> str:
    """The error's type and sentence, as somebody without root's rights gets them."""

    def attempt() -> str:
        try:
            STARTS[start](name)
        except SourceError as error:
            return f"{type(error).__name__}: {error}"
        return "started"

    return without_rights(attempt)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("folder", ["closed", "absent", "a file", "a circle", "too long", "relative", ""])
def test_what_is_on_path_does_not_change_what_is_not_installed(
    folder: str, start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "a file").touch()
    (tmp_path / "a circle").symlink_to("a circle")
    path = {"too long": "/" + "x" * 300, "relative": "relative", "": ""}.get(folder, str(tmp_path / folder))
    monkeypatch.setenv("PATH", os.pathsep.join([path, os.environ["PATH"], path]))
    assert "SourceMissing: " in (said := attempted(start, "vcgencmd-of-nobody"))
    assert "vcgencmd-of-nobody is not installed here" in said


@pytest.mark.parametrize("start", STARTS)
def test_a_path_into_a_closed_folder_is_not_for_this_user(start: str, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    assert attempted(start, str(tmp_path / "closed" / "meter")).startswith("SourceForbidden: ")


@pytest.mark.parametrize("start", STARTS)
def test_a_folder_of_that_name_is_no_program(
    start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meter").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(SourceMissing, match="meter is not installed here"):
        STARTS[start]("meter")


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("first", ["circle", "closed"])
@pytest.mark.parametrize(
    ("content", "mode", "kind", "remedy"),
    [
        ("#!/bin/sh\n", 0o644, SourceForbidden, r"chmod \+x"),
        ("#!/no/such/interpreter\n", 0o755, SourceError, "interpreter"),
        ("\x7fELF but of another processor", 0o755, SourceError, "no program for this machine"),
    ],
)
def test_an_installed_program_that_cannot_run_is_not_called_absent(
    start: str, first: str, content: str, mode: int, kind: type[Exception], remedy: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Whatever folder comes first on PATH."""
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "closed").mkdir(mode=0)
    Path(program(tmp_path, "meter", "")).write_text(content)
    (tmp_path / "meter").chmod(mode)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / first), str(tmp_path), os.environ["PATH"]]))
    with pytest.raises(kind, match=f"meter .*{remedy}") as caught:
        STARTS[start]("meter")
    assert not isinstance(caught.value, SourceMissing)


def test_run_ends_with_127_for_a_command_that_is_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "circle").symlink_to("circle")  # fails with ELOOP, which root meets as well
    path = f"{tmp_path / 'circle'}{os.pathsep}{os.environ['PATH']}"
    with pytest.raises(OSError, match="symbolic links"):
        subprocess.Popen(["no-such-command"], env={"PATH": path})
    run = in_pipe("run", "--source", "manual:5V,1A", "--", "no-such-command", PATH=path)
    assert run.returncode == 127
    assert "there is no command 'no-such-command'" in run.stderr
