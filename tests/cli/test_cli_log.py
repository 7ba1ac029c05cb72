"""``energymeter log``: what it shows and records, and every way to end it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from devices.processes import PATIENCE_SECONDS, until
from devices.terminal import Terminal, environment, in_pipe, started

from energymeter import EnergyMeter
from energymeter.errors import LogError, NotMeasured
from energymeter.recordings.reader import read

SOURCE = "manual:5V,0.6A"


def rows(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_plain_text_in_a_pipe(tmp_path: Path) -> None:
    out = tmp_path / "run.csv"
    run = in_pipe("log", SOURCE, "--duration", "0.3", "--rate", "50", "--out", str(out))
    assert run.returncode == 0
    assert "\x1b" not in run.stdout
    live, result = run.stdout.splitlines()
    assert re.match(r"   3\.000 W    0\.6000 A     5\.000 V .* mAh .* J .* m?s  manual$", live)
    assert re.search(r"J ± .* mAh at 5\.00 V · 3\.00 W mean · .* · manual:5V,0\.6A manual", result)
    (record,) = read(str(out))
    assert run.stderr == f"{len(record.columns['time_s'])} rows in {out}\n"
    assert len(record.columns["time_s"]) > 5


def test_json_lines() -> None:
    run = in_pipe("log", SOURCE, "--duration", "0.1", "--json")
    *live, result = [json.loads(line) for line in run.stdout.splitlines()]
    assert all("so_far" in line for line in live)
    assert result["mean_watts"] == pytest.approx(3.0)


def test_live_line_on_a_terminal_and_ctrl_c(tmp_path: Path) -> None:
    terminal = Terminal("log", SOURCE, "--out", str(tmp_path / "run.csv"))
    terminal.wait_for(r"3\.000 W .*manual")
    terminal.type(b"\x03")
    assert terminal.end() == 0
    assert "3.00 W mean" in terminal.written
    assert "rows in" in terminal.written
    assert "Traceback" not in terminal.written
    assert read(str(tmp_path / "run.csv"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "run.jsonl"
    process = started("log", SOURCE, "--out", str(out))
    assert process.stdout is not None
    assert "3.000 W" in process.stdout.readline()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert "3.00 W mean" in stdout
    assert stderr == f"{len(read(str(out))[0].columns['time_s'])} rows in {out}\n"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["log", "live"])
def test_reader_that_goes_away(command: str) -> None:
    process = started(command, SOURCE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(PATIENCE_SECONDS) == 1
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


def test_recording_ends_by_itself(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("time_s,power_W\n" + "".join(f"{second},2\n" for second in range(101)))
    run = in_pipe("log", f"replay@{tmp_path}/x.csv?speed=max", "--json", "--out", str(tmp_path / "y.csv"))
    assert json.loads(run.stdout.splitlines()[-1])["joules"] == pytest.approx(200.0)
    assert run.stderr.startswith("101 rows")


def test_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "run.csv"
    out.write_text("precious")
    refused = in_pipe("log", SOURCE, "--duration", "0.1", "--out", str(out))
    assert refused.returncode == 8
    assert "exists and is not overwritten; give --force" in refused.stderr
    assert out.read_text() == "precious"
    assert in_pipe("log", SOURCE, "--duration", "0.1", "--out", str(out), "--force").returncode == 0
    assert read(str(out))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_program_killed_leaves_a_whole_file(tmp_path: Path, suffix: str) -> None:
    """The sampling process notices, finishes the file and ends."""
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    out = tmp_path / f"run.{suffix}"
    process = started("log", SOURCE, "--rate", "100", "--out", str(out))
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.kill()
    process.wait(PATIENCE_SECONDS)
    assert process.stderr.read() == ""
    process.stdout.close()
    process.stderr.close()

    def whole() -> bool:
        try:
            (record,) = read(str(out))
        except (LogError, NotMeasured):
            return False  # the sampling process has not ended yet
        return record.damage == "" and len(record.columns["time_s"]) >= 2

    until(whole)


@pytest.mark.slow
def test_sampler_killed_goes_on_in_the_same_file(tmp_path: Path) -> None:
    out = tmp_path / "run.csv"
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    if not children.exists():
        pytest.skip("this kernel does not list child processes")
    before = set(children.read_text().split())  # of earlier tests
    with EnergyMeter(SOURCE, rate_hz=100, out=out) as meter:
        until(lambda: rows(out) > 10)
        (sampler,) = map(int, set(children.read_text().split()) - before)
        written = rows(out)
        os.kill(sampler, signal.SIGKILL)
        until(lambda: rows(out) > written + 5)
    usage = meter.usage
    assert usage.coverage < 1
    assert any("killed and restarted" in note for note in usage.notes)
    (record,) = read(str(out))
    assert record.damage == ""
    assert len(record.columns["time_s"]) == meter.recording.rows == rows(out) - 3, "header, titles, end"
    assert record.columns["joules"][-1] == pytest.approx(3 * record.columns["covered_s"][-1])
    gap = max(b - a for a, b in zip(record.columns["time_s"], record.columns["time_s"][1:], strict=False))
    assert record.columns["covered_s"][-1] <= usage.seconds - gap / 2


def test_full_disk_shows_what_was_measured(tmp_path: Path) -> None:
    """The recording ends, the usage is shown, the exit code says so; on a disk of this test alone."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = f'mount -t tmpfs -o size=16k none "{folder}" || exit 99; "$@"; code=$?; '
    keep = f'cat "{folder}/run.csv" > "{tmp_path}/kept.csv"; exit $code'
    run = subprocess.run(
        ["unshare", "-m", "sh", "-c", mount + keep, "sh", sys.executable, "-c",
         "from energymeter.cli import main; main()", "log", SOURCE, "--rate", "1000",
         "--out", str(folder / "run.csv"), "--json"],
        capture_output=True, text=True, check=False, env=environment(), timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    if run.returncode == 99 or "unshare" in run.stderr:
        pytest.skip(f"no file system may be mounted here: {run.stderr.strip()}")
    assert run.returncode == 8
    shown = json.loads(run.stdout.splitlines()[-1])
    assert shown["mean_watts"] == pytest.approx(3.0)
    (record,) = read(str(tmp_path / "kept.csv"))
    count = len(record.columns["time_s"])
    assert record.damage == ""
    assert count > 50
    assert f"the log stopped after {count} rows: No space left on device" in run.stderr


def test_an_error_text_of_a_command_cannot_move_the_cursor(tmp_path: Path) -> None:
    script = tmp_path / "m.sh"
    script.write_text("#!/bin/sh\nprintf '\\033]0;PWNED\\007bad\\n' >&2\nexit 3\n")
    script.chmod(0o755)
    run = in_pipe("log", f"exec@{script}?unit=W", "--duration", "0.3")
    assert "PWNED" in run.stdout + run.stderr
    assert "\x1b" not in run.stdout + run.stderr
