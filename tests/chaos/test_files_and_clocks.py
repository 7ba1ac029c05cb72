"""Faults of disks and clocks: full, read-only, taken away; stepped, slewed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import Program, Verdict, timely
from .test_processes import SOURCE, WATTS, check_log, check_true


def private_mounts() -> list[str]:
    """The command that opens a mount namespace of our own, so that nothing is mounted on this machine."""
    command = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-U", "-r", "-m"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*command, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no private mount namespace may be opened here (unshare -m)")
    return command


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_disk_full(program: Program, tmp_path: Path, cannot_know: Verdict, ending: str) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    small, kept = tmp_path / "small", tmp_path / f"kept.{ending}"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=32k tmpfs {small} && "
    (usage,) = program(
        f"""
import shutil
with EnergyMeter("{SOURCE}", rate_hz=500, out="{small}/run.{ending}") as meter:
    time.sleep(3.0)
report(meter, log_error=meter.recording.error, rows=meter.recording.rows)
if os.path.exists("{small}/run.{ending}"):
    shutil.copy("{small}/run.{ending}", "{kept}")
if os.path.exists("{small}/run.{ending}.parts"):  # there was no room to join them
    shutil.copytree("{small}/run.{ending}.parts", "{kept}.parts")
""",
        before=[*private_mounts(), "sh", "-c", mount + 'exec "$0" "$@"'],
    )
    check_true(usage)
    timely(usage["coverage"] > 0.95, "the measurement itself goes on")
    assert "No space left" in usage["log_error"]
    assert usage["log_error"] in usage["notes"]
    if usage["rows"]:
        assert check_log(kept) == usage["rows"]
    else:
        assert not kept.exists()
    cannot_know(usage["log_error"])


def read_only(folder: Path) -> list[str]:
    """The command that runs another one where ``folder`` cannot be written."""
    folder.mkdir()
    return [*private_mounts(), "sh", "-c", f'mount -t tmpfs -o ro tmpfs {folder} && exec "$0" "$@"']


def test_read_only_home(program: Program, tmp_path: Path, right: Verdict) -> None:
    home = tmp_path / "home"
    body = f"""
with EnergyMeter("{SOURCE}", rate_hz=100) as meter:
    with meter.span("a"):
        time.sleep(0.3)
try:
    open(os.path.expanduser("~/x"), "w")
except OSError as error:
    report(meter, refused=error.strerror)
"""
    (usage,) = program(body, before=read_only(home), env={"HOME": str(home)})
    check_true(usage)
    assert usage["refused"] == "Read-only file system"
    right("measuring needs no place to write to")


def test_log_in_a_read_only_place(program: Program, tmp_path: Path, cannot_know: Verdict) -> None:
    home = tmp_path / "home"
    body = f"""
try:
    with EnergyMeter("{SOURCE}", rate_hz=100, out="{home}/run.csv"):
        pass
except EnergyMeterError as error:
    say(error=str(error), kind=type(error).__name__)
"""
    (reported,) = program(body, before=read_only(home))
    assert reported["kind"] == "LogError"
    cannot_know(reported["error"].replace(str(tmp_path), "…"))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_log_removed_under_us(program: Program, tmp_path: Path, cannot_know: Verdict, ending: str) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    log = tmp_path / f"run.{ending}"
    gone = f"{log}.parts" if ending == "parquet" else str(log)
    (usage,) = program(f"""
import shutil
with EnergyMeter("{SOURCE}", rate_hz=100, out={str(log)!r}) as meter:
    time.sleep(0.5)
    shutil.rmtree({gone!r}) if os.path.isdir({gone!r}) else os.unlink({gone!r})
    time.sleep(1.5)
report(meter, log_error=meter.recording.error, rows=meter.recording.rows)
""")
    check_true(usage)
    timely(usage["coverage"] > 0.95)
    assert usage["log_error"], "the record is gone and nobody says so"
    assert usage["log_error"] in usage["notes"]
    cannot_know(usage["log_error"])


def test_log_renamed_under_us(program: Program, tmp_path: Path, right: Verdict) -> None:
    log, renamed = tmp_path / "run.csv", tmp_path / "run.1.csv"
    (usage,) = program(f"""
with EnergyMeter("{SOURCE}", rate_hz=100, out={str(log)!r}) as meter:
    time.sleep(0.5)
    os.rename({str(log)!r}, {str(renamed)!r})
    time.sleep(1.5)
report(meter, log_error=meter.recording.error, rows=meter.recording.rows)
""")
    check_true(usage)
    assert check_log(renamed) == usage["rows"]
    right("the record goes on in the renamed file")


def test_log_truncated_under_us(program: Program, tmp_path: Path, cannot_know: Verdict) -> None:
    """What ``> run.csv`` in a shell does."""
    log = tmp_path / "run.csv"
    (usage,) = program(f"""
with EnergyMeter("{SOURCE}", rate_hz=100, out={str(log)!r}) as meter:
    time.sleep(1.5)
    open({str(log)!r}, "w").close()
    time.sleep(1.5)
report(meter, log_error=meter.recording.error)
""")
    check_true(usage)
    assert log.read_bytes().count(b"\0") == 0, "a hole of zeros"
    assert usage["log_error"]
    cannot_know(usage["log_error"])


def other_clock(tmp_path: Path, rate: str = "1") -> dict[str, str]:
    """The environment in which the wall clock can be stepped, and monotonic clocks run at another rate."""
    compiler = shutil.which("cc") or shutil.which("gcc-12")
    if compiler is None:
        pytest.skip("needs a C compiler for the library that fakes the clocks")
    library = tmp_path / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return {
        "LD_PRELOAD": str(library),
        "CLOCK_STEP_FILE": str(tmp_path / "step"),
        "CLOCK_SLEPT_FILE": str(tmp_path / "slept"),
        "CLOCK_RATE": rate,
    }


@pytest.mark.parametrize("step", [-7200, 259_200], ids=["back", "ahead"])
def test_clock_stepped(program: Program, tmp_path: Path, right: Verdict, step: int) -> None:
    log = tmp_path / "run.csv"
    (usage,) = program(
        f"""
with EnergyMeter("{SOURCE}", rate_hz=100, out={str(log)!r}) as meter:
    before = time.time()
    time.sleep(0.5)
    open("{tmp_path}/step", "w").write("{step}")
    time.sleep(0.5)
report(meter, stepped=time.time() - before)
""",
        env=other_clock(tmp_path),
    )
    assert usage["stepped"] == pytest.approx(step, abs=30), "the clock was stepped"
    check_true(usage)
    timely(usage["coverage"] > 0.95)
    timely(0.9 < usage["seconds"] < 10)
    check_log(log)
    right(f"{usage['joules']:.2f} J in {usage['seconds']:.2f} s across a step of {step} s")


def test_clock_slewed(program: Program, tmp_path: Path, right: Verdict) -> None:
    """Time itself runs 5 % fast, a hundred times what NTP may slew: energy is watts times that time."""
    (usage,) = program(
        f"""
with EnergyMeter("{SOURCE}", rate_hz=100) as meter:
    began = time.time()
    time.sleep(1.0)
    lasted = time.time() - began
report(meter, lasted=lasted)
""",
        env=other_clock(tmp_path, rate="1.05"),
    )
    check_true(usage)
    assert usage["seconds"] > 1.03 * usage["lasted"], "the clock was slewed"
    timely(usage["joules"] == pytest.approx(WATTS * usage["seconds"], rel=0.05))
    right(f"{usage['joules']:.2f} J in {usage['seconds']:.2f} s of the slewed clock")


def test_machine_suspended(program: Program, tmp_path: Path, cannot_know: Verdict) -> None:
    """As its clocks say it: the lid was closed for an hour, and nobody measured meanwhile."""
    log = tmp_path / "run.csv"
    (usage,) = program(
        f"""
with EnergyMeter("{SOURCE}", rate_hz=100, out={str(log)!r}) as meter:
    time.sleep(0.5)
    open("{tmp_path}/slept", "w").write("3600")
    time.sleep(1.5)
report(meter)
""",
        env=other_clock(tmp_path),
    )
    check_true(usage)
    assert usage["seconds"] < 60, "an hour of 3 W that nobody saw"
    (note,) = [note for note in usage["notes"] if "slept" in note]
    assert re.search(r"slept 3[56]\d\d\.\d s, not measured", note)
    check_log(log)
    cannot_know(note)
