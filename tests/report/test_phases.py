"""Phases of a command: by the lines that it prints, and by marks that it sends to a socket."""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from devices.pages import block
from devices.terminal import in_pipe

from energymeter import EnergyMeter, Trace
from energymeter.cli import cli
from energymeter.errors import SourceMissing, SpecError
from energymeter.report.phases import (
    LONGEST_LINE,
    LONGEST_MARK,
    MARKS,
    MOST_NAMES,
    Lines,
    Phases,
    receiving,
    send,
)

ROOT = Path(__file__).parents[2]
WITH = ("run", "--source", "manual:5V,0.6A", "--rate", "100")
SECOND = 1_000_000_000


@pytest.fixture
def meter() -> Iterator[EnergyMeter]:
    with EnergyMeter("manual:5V,0.6A", rate_hz=100, linger=0) as made:
        yield made


@pytest.fixture
def phases(meter: EnergyMeter) -> Phases:
    made = Phases(meter)
    made.begin()
    return made


def lengths(meter: EnergyMeter, name: str) -> list[float]:
    return [round(usage.seconds, 4) for usage in meter.spans[name].usages]


def searched(phases: Phases, *chunks: bytes, pattern: str = r"^## (\w+)") -> list[str]:
    lines = Lines(pattern, phases)
    for chunk in chunks:
        lines.take(chunk, time.monotonic_ns())
    lines.end(time.monotonic_ns())
    return phases.names


def test_a_phase_lasts_from_its_line_to_the_next_one(meter: EnergyMeter, phases: Phases) -> None:
    time.sleep(0.02)
    start_ns = time.monotonic_ns()
    lines = Lines(r"^## (\w+)", phases)
    lines.take(b"hello\n## load\n", start_ns - 10_000_000)
    lines.take(b"nothing\n", start_ns - 8_000_000)
    lines.take(b"## infer\n", start_ns - 5_000_000)
    phases.stop_all(start_ns)
    assert phases.names == ["load", "infer"]
    assert lengths(meter, "load") == [0.005]
    assert lengths(meter, "infer") == [0.005]
    assert meter.spans["load"].usage.joules == pytest.approx(3.0 * 0.005, rel=1e-3)


@pytest.mark.parametrize(
    ("chunks", "names"),
    [
        ((b"## a\n## b\n",), ["a", "b"]),
        ((b"#", b"# lo", b"ad\n"), ["load"]),
        ((b"## end",), ["end"]),
        ((b"## a\r\n",), ["a"]),
        ((b" ## a\n", b"\xff\xfe\x00\n"), []),
        ((b"## a\n\n\n", b"## a\n"), ["a"]),
    ],
    ids=["two", "in pieces", "no end", "carriage return", "no match", "again"],
)
def test_lines_are_found_however_they_arrive(
    chunks: tuple[bytes, ...], names: list[str], phases: Phases
) -> None:
    assert searched(phases, *chunks) == names


def test_the_first_group_or_the_match_names_a_phase_and_it_can_be_shown(phases: Phases) -> None:
    assert searched(phases, b"step 7\n", pattern=r"step \d") == ["step 7"]
    assert searched(phases, b"\x1b[2Jevil\n", pattern=r".*evil")[-1] == r"\x1b[2Jevil"
    assert searched(phases, b"run\n", pattern=r"run")[-1] == "run (phase)"
    assert searched(phases, b"x" * 500 + b"\n", pattern=r"x+")[-1] == "x" * 100


def test_a_line_without_end_is_searched_in_its_first_64_kb(phases: Phases) -> None:
    lines = Lines(r"found", phases)
    for _ in range(100):
        lines.take(b"x" * 10_000, time.monotonic_ns())
        assert len(lines._begun) <= LONGEST_LINE
    lines.take(b"found\nfound\n", time.monotonic_ns())
    assert phases.names == ["found"]
    assert phases.unpaired == 0


def test_a_pattern_that_takes_too_long_is_given_up_and_the_output_passes_on() -> None:
    code = "print('a' * 60 + 'b', flush=True); print('after')"
    run = in_pipe(*WITH, "--phase-on", "^(a+)+$", "--", sys.executable, "-c", code)
    assert run.returncode == 0
    assert run.stdout == "a" * 60 + "b\nafter\n"
    assert "was given up" in run.stderr


def test_a_pattern_that_is_none_is_refused() -> None:
    run = in_pipe(*WITH, "--phase-on", "(", "--", "true")
    assert run.returncode == 2
    assert "the pattern '(' cannot be used" in run.stderr


def test_output_passes_through_unchanged_and_as_it_comes() -> None:
    code = """
import os, sys
os.write(1, bytes(range(256)) * 5000)
os.write(2, b"error\\n")
os.write(1, b"no end")
sys.exit(3)
"""
    command = [
        sys.executable,
        "-m",
        "energymeter",
        *WITH,
        "--phase-on",
        "x",
        "--",
        sys.executable,
        "-c",
        code,
    ]
    run = subprocess.run(command, capture_output=True, check=False, cwd=ROOT, timeout=60)
    assert run.returncode == 3
    assert run.stdout == bytes(range(256)) * 5000 + b"no end"
    assert run.stderr.startswith(b"error\n")


def test_the_first_line_arrives_while_the_command_still_runs() -> None:
    code = "print('ready', flush=True); input(); print('done')"
    command = [
        sys.executable,
        "-m",
        "energymeter",
        *WITH,
        "--phase-on",
        "x",
        "--",
        sys.executable,
        "-c",
        code,
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"
        run.stdin.write(b"\n")
        run.stdin.close()
        assert run.stdout.read() == b"done\n"
        assert run.wait(30) == 0


def test_a_program_that_stays_is_not_waited_for() -> None:
    start = time.monotonic()
    run = in_pipe(*WITH, "--phase-on", "x", "--", "sh", "-c", "sleep 15 2>&- & echo x")
    assert run.returncode == 0
    assert run.stdout == "x\n"
    assert time.monotonic() - start < 12


def test_a_reader_that_leaves_ends_the_command() -> None:
    line = f"{sys.executable} -m energymeter {' '.join(WITH)} --phase-on x -- yes | head -n 1"
    run = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert run.stdout == "y\n"


@pytest.mark.slow
def test_phases_of_a_run_are_in_the_result_and_in_the_log(tmp_path: Path) -> None:
    script = "echo '## a'; sleep 0.1; echo '## b'; sleep 0.1"
    log = str(tmp_path / "x.csv")
    run = in_pipe(*WITH, "--json", "--out", log, "--phase-on", r"^## (\w)", "--", "sh", "-c", script)
    said = json.loads(run.stderr)
    assert list(said["phases"]) == ["a", "b"]
    for name in ("a", "b"):
        assert said["phases"][name]["calls"] == 1
        assert said["phases"][name]["seconds"] > 0.08
        assert said["phases"][name]["mean_watts"] == pytest.approx(3.0)
    assert sum(phase["seconds"] for phase in said["phases"].values()) <= said["seconds"]
    assert set(Trace.load(log).spans) == {"run", "a", "b"}
    text = in_pipe(*WITH, "--phase-on", r"^## (\w)", "--repeat", "2", "--", "sh", "-c", script).stderr
    assert re.search(r"^phase a, 2 times: .*J ± ", text, re.MULTILINE)


# -- marks ----------------------------------------------------------------------------------------------


def test_a_mark_counts_from_the_senders_time(meter: EnergyMeter, phases: Phases) -> None:
    time.sleep(0.05)
    now = time.monotonic_ns()
    phases.mark(b"start %d load" % (now - 40_000_000))
    phases.mark(b"stop %d load" % (now - 10_000_000))
    assert lengths(meter, "load") == [0.03]
    assert phases.notes() == []


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"start",
        b"start -",
        b"begin - a",
        b"start - " + b"x" * LONGEST_MARK,
        b"\xff\xff\xff",
        b"start\n-",
    ],
)
def test_what_is_no_mark_is_left_out(message: bytes, phases: Phases) -> None:
    phases.mark(message)
    assert phases.names == []
    assert phases.left_out == 1
    assert phases.notes()[0].startswith("1 marks were left out")


def test_a_mark_has_512_bytes_at_most(phases: Phases) -> None:
    start = b"start - "
    phases.mark(start + b"x" * (512 - len(start)))
    assert (len(phases.names), phases.left_out) == (1, 0)
    phases.mark(start + b"x" * (513 - len(start)))
    assert (len(phases.names), phases.left_out) == (1, 1)


@pytest.mark.parametrize("sent", [b"0", b"99999999999999999999999", b"-5", b"abc", b"1e9", "٣".encode()])
def test_a_time_that_cannot_be_is_that_of_the_arrival(
    sent: bytes, meter: EnergyMeter, phases: Phases
) -> None:
    phases.mark(b"start " + sent + b" a")
    phases.mark(b"stop - a")
    assert phases.names == ["a"]
    assert phases.implausible == 1
    assert all(seconds < 5 for seconds in lengths(meter, "a"))


def test_starts_and_stops_without_a_partner_are_counted(meter: EnergyMeter, phases: Phases) -> None:
    for message in (b"stop - a", b"start - a", b"start - a", b"stop - a", b"stop - a"):
        phases.mark(message)
    assert phases.unpaired == 3
    assert len(meter.spans["a"]) == 1


def test_a_stop_before_its_start_is_a_phase_of_no_time(meter: EnergyMeter, phases: Phases) -> None:
    now = time.monotonic_ns()
    phases.mark(b"start %d a" % now)
    phases.mark(b"stop %d a" % (now - SECOND))
    assert len(meter.spans["a"]) == 1
    assert all(seconds == 0 for seconds in lengths(meter, "a"))


def test_names_are_as_many_as_a_log_holds(phases: Phases) -> None:
    for number in range(MOST_NAMES + 5):
        phases.mark(b"start - n%d" % number)
    assert len(phases.names) == MOST_NAMES
    assert phases.left_out == 5


def test_marks_of_a_warm_up_are_nobodys(meter: EnergyMeter) -> None:
    phases = Phases(meter)
    phases.mark(b"start - a")
    phases.mark(b"stop - a")
    assert (phases.names, phases.unpaired) == ([], 0)


def test_the_socket_is_for_this_user_alone_and_is_removed(phases: Phases) -> None:
    with receiving(phases) as (environment, _):
        path = Path(environment[MARKS])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        send("load", "start", time.monotonic_ns(), str(path))
        send("load", "stop", time.monotonic_ns(), str(path))
    assert phases.names == ["load"]
    assert phases.unpaired == 0
    assert not path.parent.exists()
    with pytest.raises(SourceMissing, match="nobody receives marks"):
        send("load", "start", 0, str(path))


def test_all_that_was_sent_before_the_end_counts(meter: EnergyMeter, phases: Phases) -> None:
    with receiving(phases) as (environment, _), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for _ in range(200):
            sender.sendto(b"start - a", environment[MARKS])
            sender.sendto(b"stop - a", environment[MARKS])
    assert len(meter.spans["a"]) == 200


def test_what_a_command_sends_last_is_not_lost(meter: EnergyMeter, phases: Phases) -> None:
    with (
        receiving(phases) as (environment, take_all),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
    ):
        for _ in range(200):
            sender.sendto(b"start - a", environment[MARKS])
            sender.sendto(b"stop - a", environment[MARKS])
            take_all()
            phases.stop_all(time.monotonic_ns())
    assert (phases.unpaired, len(meter.spans["a"])) == (0, 200)


def test_mark_from_the_command_line(tmp_path: Path) -> None:
    mark = f"{sys.executable} -m energymeter mark"
    script = f"{mark} load start; sleep 0.05; {mark} load stop; {mark} run start"
    run = in_pipe(*WITH, "--json", "--", "sh", "-c", script)
    said = json.loads(run.stderr)
    assert list(said["phases"]) == ["load", "run (phase)"]
    assert said["phases"]["load"]["seconds"] > 0.05


def test_mark_needs_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MARKS, raising=False)
    refused = CliRunner().invoke(cli, ["mark", "load", "start"])
    assert refused.exit_code == 4
    assert "start the program with `energymeter run" in refused.stderr
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceMissing, match="no socket"):
        send("load", "start", 0, str(tmp_path / "file"))
    with pytest.raises(SpecError, match="1 to 100 characters"):
        send(" ", "start", 0, str(tmp_path / "file"))


def test_the_client_of_the_page_is_ten_lines_that_old_pythons_read_and_it_marks() -> None:
    client = block("run.md", "python", "def mark")
    function = client[client.index("import os") : client.index('mark("load")')]
    assert len([line for line in function.splitlines() if line]) <= 10
    compile(client, "client", "exec", dont_inherit=True)
    assert not re.search(r'f"|:=|match |print\(.*=\)', client)  # what Python 3.6 does not know, or f-strings
    run = in_pipe(*WITH, "--json", "--", sys.executable, "-c", client)
    assert json.loads(run.stderr)["phases"]["load"]["calls"] == 1


def test_the_c_of_the_page_marks(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler is installed here")
    main = 'int main(void) { mark("start", "in C"); usleep(200000); mark("stop", "in C"); return 0; }\n'
    (tmp_path / "m.c").write_text("#define _GNU_SOURCE\n" + block("run.md", "text", "sendto") + main)
    built = subprocess.run(
        [compiler, "-Wall", "-Werror", "-o", "m", "m.c"], cwd=tmp_path, capture_output=True, check=False
    )
    assert built.returncode == 0, built.stderr
    run = in_pipe(*WITH, "--json", "--", str(tmp_path / "m"))
    assert run.stderr.startswith("{"), run.stderr
    phase = json.loads(run.stderr)["phases"]["in C"]
    assert phase["calls"] == 1
    assert phase["seconds"] >= 0.2


def test_the_rust_of_the_page_marks(tmp_path: Path) -> None:
    compiler = shutil.which("rustc")
    if (
        compiler is None
        or subprocess.run([compiler, "--version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no rustc is installed here, or none that runs")
    main = 'fn main() { mark("start", "in Rust"); mark("stop", "in Rust"); }\n'
    (tmp_path / "m.rs").write_text(block("run.md", "text", "UnixDatagram") + main)
    built = subprocess.run(
        [compiler, "--edition", "2021", "-D", "warnings", "-o", "m", "m.rs"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert built.returncode == 0, built.stderr
    run = in_pipe(*WITH, "--json", "--", str(tmp_path / "m"))
    assert run.stderr.startswith("{"), run.stderr
    assert json.loads(run.stderr)["phases"]["in Rust"]["calls"] == 1


@pytest.mark.parametrize("tool", ["nc -uU", "socat", "perl -MSocket"])
def test_the_one_liners_of_the_page(tool: str, tmp_path: Path) -> None:
    if shutil.which(tool.split()[0]) is None:
        pytest.skip(f"{tool.split()[0]} is not installed here")
    (line,) = [line for line in block("run.md", "text", "nc -uU").splitlines() if tool in line]
    run = in_pipe(*WITH, "--json", "--", "sh", "-c", line)
    assert list(json.loads(run.stderr)["phases"]) == ["load"]


def test_where_no_socket_can_be_made_the_command_is_measured(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path / "none"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "energymeter", *WITH, "--", "echo", "x"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert (run.returncode, run.stdout) == (0, "x\n")
    assert "marks are unavailable" in run.stderr
