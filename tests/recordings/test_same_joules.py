"""`log`, `show`, `Trace.usage` and `window_joules` of one run give the same joules for the same window."""

import json
import math
from pathlib import Path

import pytest
from devices.terminal import in_process

from energymeter import EnergyMeter, Trace
from energymeter.recordings import window_joules

INSTANTS = 'exec@"echo 3"?unit=W'
MEANS = "sim:pi4"
TOTALS = "replay@totals.csv"


@pytest.fixture(autouse=True)
def _recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = (f"{n / 50},{100 + 0.06 * n + 0.01 * (n % 3)}\n" for n in range(200))
    Path("totals.csv").write_text("time_s,energy_J\n" + "".join(rows))


def assert_agree(path: str, joules: float, seconds: float) -> None:
    trace = Trace.load(path)
    usage = trace.usage()
    assert usage.joules == pytest.approx(joules, rel=1e-9)
    assert usage.seconds == pytest.approx(seconds, abs=2e-9)
    assert trace.window_s is not None
    assert float(window_joules(path, *trace.window_s)) == pytest.approx(joules, rel=1e-9)
    shown = in_process("show", path, "--json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["joules"] == pytest.approx(joules, rel=1e-9)
    assert str(usage).partition(" ±")[0] in in_process("show", path).stdout


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("source", "semantics"),
    [(INSTANTS, "instant"), (MEANS, "mean"), (TOTALS, "counter")],
    ids=["instants", "means", "counters"],
)
def test_what_log_prints_is_what_the_file_shows(source: str, semantics: str, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    path = f"run.{suffix}"
    done = in_process("log", source, "--rate", "50", "--duration", "0.3", "--out", path, "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout.splitlines()[-1])
    assert Trace.load(path).facts.semantics == semantics
    assert printed["joules"] > 0.5
    assert_agree(path, printed["joules"], printed["seconds"])


@pytest.mark.parametrize("source", [MEANS, TOTALS], ids=["means", "counters"])
def test_the_usage_of_a_meter_is_that_of_its_log(source: str) -> None:
    with EnergyMeter(source, out="run.csv", rate_hz=50) as meter:
        sum(math.sqrt(n) for n in range(1_000_000))
    assert_agree("run.csv", meter.usage.joules, meter.usage.seconds)


@pytest.mark.slow
def test_a_recording_that_ends_before_the_run_has_the_window_of_the_run() -> None:
    rows = (f"{n / 50},{100 + 0.06 * n}\n" for n in range(11))
    Path("short.csv").write_text("time_s,energy_J\n" + "".join(rows))
    done = in_process("log", "replay@short.csv", "--duration", "2", "--out", "run.csv", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout.splitlines()[-1])
    assert_agree("run.csv", printed["joules"], printed["seconds"])
