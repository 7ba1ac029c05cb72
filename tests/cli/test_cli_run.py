"""``energymeter run``: output, signals and exit code of the command pass through; the result is next to."""

import json
import signal
import sys
import time
from pathlib import Path

import pytest
from devices.terminal import PATIENCE_SECONDS, Terminal, in_pipe, started

from energymeter.recordings.reader import read

WITH = ("run", "--source", "manual:5V,0.6A")
COUNT_INTERRUPTS = """
import signal, sys, time
seen = []
signal.signal(signal.SIGINT, lambda *_: seen.append(1))
print("ready", flush=True)
while not seen:
    time.sleep(0.01)
time.sleep(0.2)
sys.exit(len(seen))
"""


def test_output_and_result_stay_apart() -> None:
    run = in_pipe(*WITH, "--", "sh", "-c", "echo out; echo err >&2")
    assert run.returncode == 0
    assert run.stdout == "out\n"
    first, result = run.stderr.splitlines()
    assert first == "err"
    assert result.endswith("manual:5V,0.6A manual")


@pytest.mark.parametrize(
    ("script", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("exit 0", 0)]
)
def test_exit_code_passes_through(script: str, code: int) -> None:
    run = in_pipe(*WITH, "--json", "--", "sh", "-c", script)
    assert run.returncode == code
    assert json.loads(run.stderr)["mean_watts"] == pytest.approx(3.0)


def test_command_that_is_not_there() -> None:
    run = in_pipe(*WITH, "--", "no-such-command", "--json")
    assert run.returncode == 127
    assert run.stderr == "energymeter: there is no command 'no-such-command'; check its name\n"


def test_command_that_cannot_be_executed(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    for path in (tmp_path / "text", tmp_path / "text" / "below"):
        run = in_pipe(*WITH, "--", str(path))
        assert run.returncode == 126
        assert "cannot be executed" in run.stderr
        assert "Traceback" not in run.stderr


def test_options_after_the_command_are_its_own() -> None:
    run = in_pipe(*WITH, sys.executable, "-c", "import sys; print(sys.argv[1:])", "--json", "--force", "-x")
    assert run.stdout == "['--json', '--force', '-x']\n"
    assert "J ±" in run.stderr


def test_repeats_and_warmup() -> None:
    run = in_pipe(*WITH, "--repeat", "3", "--warmup", "2", "--", "echo", "x")
    assert run.stdout == "x\n" * 5
    each, seconds, together = run.stderr.splitlines()
    assert each.startswith("each run: ")
    assert each.endswith("n = 3")
    assert " s ± " in seconds
    assert seconds.endswith("n = 3")
    assert "manual" in together


def test_repeats_end_at_the_first_failure() -> None:
    run = in_pipe(*WITH, "--repeat", "3", "--json", "--", "sh", "-c", "echo x; exit 4")
    assert run.returncode == 4
    assert run.stdout == "x\n"
    shown = json.loads(run.stderr, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert shown["joules"]["n"] == len(shown["runs"]) == 1
    assert shown["joules"]["sd"] is None


def test_failing_warmup_measures_nothing() -> None:
    run = in_pipe(*WITH, "--warmup", "1", "--", "sh", "-c", "echo x; exit 4")
    assert (run.returncode, run.stdout, run.stderr) == (4, "x\n", "")


@pytest.mark.slow
def test_idle_is_reported_next_to_and_not_recorded(tmp_path: Path) -> None:
    out = tmp_path / "run.csv"
    began = time.monotonic()
    run = in_pipe(*WITH, "--idle", "0.6", "--out", str(out), "--json", "--", "sleep", "0.1")
    lasted = time.monotonic() - began
    assert run.returncode == 0, run.stderr
    shown = json.loads(run.stderr)
    assert shown["idle_watts"] == pytest.approx(3.0)
    assert shown["net_joules"] == pytest.approx(0.0, abs=1e-6)
    assert shown["joules"] == pytest.approx(3.0 * shown["seconds"] * shown["coverage"])
    (record,) = read(str(out))
    assert record.columns["time_s"][-1] < lasted - 0.6, "the idle time is not in it"


@pytest.mark.parametrize("seconds", ["0", "-1", "nan"])
def test_idle_that_makes_no_sense(seconds: str) -> None:
    run = in_pipe(*WITH, "--idle", seconds, "--", "true")
    assert run.returncode == 2
    assert "--idle" in run.stderr


def test_file_in_the_way_stops_before_the_command(tmp_path: Path) -> None:
    out = tmp_path / "run.csv"
    out.touch()
    run = in_pipe(*WITH, "--out", str(out), "--", "echo", "x")
    assert (run.returncode, run.stdout) == (8, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_pass_to_the_command(number: signal.Signals) -> None:
    script = f"trap 'echo got; exit 5' {number.name[3:]}; echo ready; while :; do sleep 0.01; done"
    process = started(*WITH, "--", "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, stdout) == (5, "got\n")
    assert "manual" in stderr


def test_interrupt_without_a_terminal_passes_once() -> None:
    process = started(*WITH, "--", sys.executable, "-c", COUNT_INTERRUPTS)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert "manual" in stderr


def test_ctrl_c_on_a_terminal_reaches_the_command_once() -> None:
    terminal = Terminal(*WITH, "--", sys.executable, "-c", COUNT_INTERRUPTS)
    terminal.wait_for("ready")
    terminal.type(b"\x03")
    assert terminal.end() == 1
    assert "manual:5V,0.6A manual" in terminal.written
    assert "Traceback" not in terminal.written
