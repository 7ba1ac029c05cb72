"""``energymeter plot``: which file is made of what, and what is refused."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from energymeter.cli import cli
from energymeter.reading import Facts
from energymeter.recordings.trace import Trace

pytest.importorskip("matplotlib")


def plot(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["plot", *map(str, arguments)])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "run.csv"
    trace = Trace.integrate(
        [0, 1, 2, 3], [3.0] * 4, amps=[0.6] * 4, volts=[5.0] * 4, facts=Facts(), name="rail"
    )
    trace.save(path)
    return path


@pytest.mark.parametrize(
    ("ending", "begins"),
    [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"), ("html", b"<!DOCTYPE html>")],
)
def test_a_file_is_drawn_in_the_format_of_its_ending(log: Path, ending: str, begins: bytes) -> None:
    if ending == "html":
        pytest.importorskip("plotly")
    out = log.with_suffix(f".{ending}")
    done = plot(log, "-o", out)
    assert (done.exit_code, done.output) == (0, "")
    assert out.read_bytes().startswith(begins)


def test_options_are_drawn(log: Path) -> None:
    out = log.with_suffix(".svg")
    assert plot(log, log, "-o", out).exit_code == 0
    done = plot(log, "-o", out, "--histogram", "--budget-mah", "1", "--title", "lab 4", "--force")
    assert (done.exit_code, done.output) == (0, "")
    assert "<title>lab 4</title>" in out.read_text()


def test_nothing_is_replaced_without_force(log: Path) -> None:
    out = log.with_suffix(".png")
    out.write_text("mine")
    done = plot(log, "-o", out)
    assert done.exit_code == 8
    assert done.stderr == f"energymeter: {out} exists; name another file, or use --force\n"
    assert out.read_text() == "mine"
    assert plot(log, "-o", out, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-o", "x.gif"], 2, "x.gif is no picture; give a name that ends with .png, .svg, .pdf or .html"),
        (["-o", "x.png", "--channel", "gpu"], 2, "no channel gpu"),
        (["-o", "x.html", "--histogram"], 2, "--histogram and --budget-mah are for .png, .svg and .pdf"),
        (["-o", "nowhere/x.png"], 8, "cannot be written"),
        (["none.csv", "-o", "x.png"], 8, "none.csv cannot be read"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    log: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(log.parent)
    done = plot(log, *arguments)
    assert done.exit_code == code
    assert message in done.stderr
    assert done.stdout == ""
    assert sorted(path.name for path in log.parent.iterdir()) == ["run.csv"]


@pytest.mark.slow
def test_a_folder_is_drawn_as_a_picture_by_itself(log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "comparison"
    command = [sys.executable, "-c", "pass"]
    measured = CliRunner().invoke(
        cli,
        ["compare", "--source", "manual:5V,0.6A", "--runs", "6", "--min-seconds", "0.01", "--warmup", "0",
         "--idle", "0.01", "--anyway", "--out", str(folder), "--", *command, "---", *command],
    )  # fmt: skip
    assert measured.exit_code in (0, 14), measured.output
    out = tmp_path / "x.svg"
    done = plot(folder, "-o", out)
    assert (done.exit_code, done.output) == (0, "")
    assert "Energy per run of 2 arms" in out.read_text()
    for arguments, message in (
        ([folder, log, "-o", tmp_path / "y.svg"], "give one folder"),
        ([folder, "-o", tmp_path / "y.html"], "name such a file with -o"),
        ([folder, "-o", tmp_path / "y.svg", "--histogram"], "--histogram is for recordings"),
    ):
        refused = plot(*arguments)
        assert refused.exit_code == 2
        assert message in refused.stderr
