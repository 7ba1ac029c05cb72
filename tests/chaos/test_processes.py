"""Faults of processes: killed, stopped, forked, replaced, starved, left by every door there is.

The source is declared (3 W), so every joule beyond 3 x the covered seconds would be an invention.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from energymeter.recordings.reader import read

from .conftest import ROOT, Program, Verdict, leftovers, timely

WATTS = 3.0
SOURCE = "manual:5V,0.6A"


def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def check_true(usage: dict[str, Any]) -> None:
    """The energy is exactly that of the time which was measured."""
    assert usage["joules"] == pytest.approx(WATTS * usage["seconds"] * usage["coverage"], rel=1e-6)


def check_log(path: Path) -> int:
    """The file is whole and true; how many rows it has."""
    (record,) = read(str(path))
    columns = record.columns
    for joules, covered in zip(columns["joules"], columns["covered_s"], strict=True):
        assert joules == pytest.approx(WATTS * covered, abs=1e-6)
    assert all(later > earlier for earlier, later in itertools.pairwise(columns["time_s"]))
    return len(columns["time_s"])


def test_parent_killed(tmp_path: Path, right: Verdict) -> None:
    log = tmp_path / "run.csv"
    body = f"""
meter = EnergyMeter("{SOURCE}", rate_hz=100, out={str(log)!r}).__enter__()
say(pid=sampler_of(meter))
time.sleep(60)
"""
    (tmp_path / "program.py").write_text(Program.HEAD + body)
    victim = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert victim.stdout is not None
    sampler = json.loads(victim.stdout.readline())["pid"]
    until(lambda: log.stat().st_size > 2000)
    victim.kill()
    victim.wait()
    victim.stdout.close()
    killed = time.monotonic()
    until(lambda: not leftovers(sampler))
    rows = check_log(log)
    right(f"sampler gone {time.monotonic() - killed:.2f} s after, log whole with {rows} rows")


def test_sampler_killed(program: Program, tmp_path: Path, cannot_know: Verdict) -> None:
    log = tmp_path / "run.csv"
    (usage,) = program(f"""
with EnergyMeter("{SOURCE}", rate_hz=100, out={str(log)!r}) as meter:
    time.sleep(0.5)
    os.kill(sampler_of(meter), signal.SIGKILL)
    time.sleep(1.5)
report(meter)
""")
    check_true(usage)
    timely(0.4 < usage["coverage"] < 1)
    assert "restarted 1 times" in " ".join(usage["notes"])
    check_log(log)
    cannot_know(f"restarted; {100 * usage['coverage']:.0f} % measured, and it says so")


@pytest.mark.parametrize("log", [False, True], ids=["without_log", "with_log"])
def test_sampler_stopped(program: Program, tmp_path: Path, cannot_know: Verdict, log: bool) -> None:
    out = repr(str(tmp_path / "run.csv")) if log else None
    (usage,) = program(f"""
with EnergyMeter("{SOURCE}", rate_hz=100, out={out}) as meter:
    time.sleep(0.5)
    os.kill(sampler_of(meter), signal.SIGSTOP)
    time.sleep(1.0)
    leaving = time.monotonic()
report(meter, left_seconds=time.monotonic() - leaving)
""")
    check_true(usage)
    assert usage["coverage"] < 0.7
    timely(usage["left_seconds"] < 5)
    cannot_know(f"{100 * usage['coverage']:.0f} % measured; left in {usage['left_seconds']:.2f} s")


def test_program_stopped_and_continued(program: Program, right: Verdict) -> None:
    """What Ctrl-Z and fg do."""
    (usage,) = program(f"""
with EnergyMeter("{SOURCE}", rate_hz=100) as meter:
    time.sleep(0.3)
    waker = subprocess.Popen(["sh", "-c", f"sleep 1; kill -CONT {{os.getpid()}}"])
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(0.3)
    waker.wait()
report(meter)
""")
    check_true(usage)
    assert usage["seconds"] > 1.5
    timely(usage["coverage"] > 0.95, "the sampler goes on meanwhile")
    right(f"{usage['joules']:.2f} J in {usage['seconds']:.2f} s, the stop included")


def test_everything_stopped_and_continued(program: Program, tmp_path: Path, cannot_know: Verdict) -> None:
    """A virtual machine or a container that is paused while the clock runs on."""
    log = tmp_path / "run.csv"
    (usage,) = program(f"""
with EnergyMeter("{SOURCE}", rate_hz=100, out={str(log)!r}) as meter:
    time.sleep(0.3)
    both = f"{{os.getpid()}} {{sampler_of(meter)}}"
    waker = subprocess.Popen(["sh", "-c", f"sleep 0.1; kill -STOP {{both}}; sleep 1.5; kill -CONT {{both}}"])
    waker.wait()
    time.sleep(0.3)
report(meter)
""")
    check_true(usage)
    assert usage["seconds"] > 1.5
    assert usage["coverage"] < 0.8
    check_log(log)
    cannot_know(f"{100 * usage['coverage']:.0f} % of {usage['seconds']:.1f} s measured")


def test_sampler_killed_again_and_again(program: Program, cannot_know: Verdict) -> None:
    (usage,) = program(f"""
with EnergyMeter("{SOURCE}", rate_hz=100) as meter:
    for _ in range(30):
        time.sleep(0.3)
        kill_sampler(meter)
report(meter)
""")
    check_true(usage)
    assert usage["coverage"] < 0.9
    cannot_know(f"{100 * usage['coverage']:.0f} % measured; {usage['notes'][-1]}")


def test_fork_in_the_block(program: Program, tmp_path: Path, right: Verdict) -> None:
    log = tmp_path / "run.csv"
    worker, usage = program(f"""
meter = EnergyMeter("{SOURCE}", rate_hz=100, out={str(log)!r})
with meter:
    time.sleep(0.3)
    pid = os.fork()
    with meter.span("both"):
        time.sleep(0.3)
    if pid:
        assert os.waitpid(pid, 0)[1] == 0
        time.sleep(0.3)
if pid == 0:
    report(meter, spans=len(meter.spans["both"]))
    sys.exit(0)
report(meter, spans=len(meter.spans["both"]))
""")
    for reported in (worker, usage):
        check_true(reported)
        assert reported["spans"] == 1
    timely(usage["coverage"] > 0.95)
    assert usage["seconds"] > worker["seconds"]
    check_log(log)
    right("the worker leaves without stopping its parent's sampler; both know their spans")


def test_fork_while_spans_are_resolved(program: Program, right: Verdict) -> None:
    """Threads are not in the worker: whatever they were at must not be waited for."""
    (worker,) = program(f"""
meter = EnergyMeter("{SOURCE}", rate_hz=100)
with meter:
    with meter.span("before"):
        time.sleep(0.3)
    def resolve():
        while True:
            meter.spans
    for _ in range(3):
        threading.Thread(target=resolve, daemon=True).start()
    time.sleep(0.05)
    pid = os.fork()
    if pid == 0:
        with meter.span("before"):
            time.sleep(0.1)
        usage = meter.spans["before"].usage
        say(joules=usage.joules, seconds=usage.seconds, coverage=usage.coverage)
        os._exit(0)
    os.waitpid(pid, 0)
""")
    check_true(worker)
    right("a worker forked at the worst moment knows its own spans")


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_multiprocessing_in_the_block(program: Program, right: Verdict, method: str) -> None:
    (usage,) = program(f"""
import multiprocessing

def work(number):
    return number * number

if __name__ == "__main__":
    multiprocessing.set_start_method({method!r})
    with EnergyMeter("{SOURCE}", rate_hz=100) as meter:
        with multiprocessing.Pool(2) as pool:
            squares = pool.map(work, range(100))
    report(meter, squares=sum(squares))
""")
    check_true(usage)
    assert usage["squares"] == 328_350
    timely(usage["coverage"] > 0.9)
    right("the pool's work is in the parent's joules")


def test_exec_in_the_block(program: Program, tmp_path: Path, right: Verdict) -> None:
    log = tmp_path / "run.csv"
    (first, second) = program(f"""
meter = EnergyMeter("{SOURCE}", rate_hz=100, out={str(log)!r}).__enter__()
time.sleep(0.5)
say(pid=sampler_of(meter))
code = "import json, time; time.sleep(1.5); print(json.dumps(dict(alive=True)))"
os.execv(sys.executable, [sys.executable, "-c", code])
""")
    assert second["alive"]
    assert not leftovers(first["pid"])
    rows = check_log(log)
    right(f"the sampler ends with the program it measured; log whole with {rows} rows")


@pytest.mark.parametrize(
    ("leave", "returncode"),
    [
        ("raise ValueError('mine')", 1),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(5)", -signal.SIGINT),
        ("sys.exit(7)", 7),
        ("os._exit(9)", 9),
        ("os.abort()", -signal.SIGABRT),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)", -signal.SIGTERM),
    ],
    ids=["exception", "KeyboardInterrupt", "SIGINT", "sys.exit", "os._exit", "abort", "SIGTERM"],
)
def test_left_by(program: Program, tmp_path: Path, right: Verdict, leave: str, returncode: int) -> None:
    log = tmp_path / "run.csv"
    (first, *_) = program(f"""
with EnergyMeter("{SOURCE}", rate_hz=100, out={str(log)!r}) as meter:
    say(pid=sampler_of(meter))
    time.sleep(0.3)
    {leave}
""")
    assert program.returncode == returncode
    if "mine" in leave:
        assert program.stderr.rstrip().endswith("ValueError: mine")
    until(lambda: not leftovers(first["pid"]))
    check_log(log)
    right("the program ends as it would have; the sampler too; log whole")


def test_an_exception_is_not_replaced_by_ours(program: Program, right: Verdict) -> None:
    (caught,) = program(f"""
meter = EnergyMeter("{SOURCE}", rate_hz=100)
try:
    with meter:
        os.kill(sampler_of(meter), signal.SIGKILL)
        time.sleep(0.1)
        raise ValueError("mine")
except ValueError as error:
    say(error=str(error), type=type(error).__name__)
""")
    assert caught == {"error": "mine", "type": "ValueError"}
    right("the caller's own error comes through, even with the sampler dead")


def test_out_of_memory(program: Program, right: Verdict) -> None:
    (usage,) = program(f"""
import resource
caught = 0
with EnergyMeter("{SOURCE}", rate_hz=100) as meter:
    held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + 64 * 2**20, -1))
    for _ in range(5):
        try:
            hoard = bytearray(512 * 2**20)
        except MemoryError:
            caught += 1
        with meter.span("tight"):
            time.sleep(0.1)
report(meter, caught=caught, spans=len(meter.spans["tight"]))
""")
    assert (usage["caught"], usage["spans"]) == (5, 5)
    check_true(usage)
    timely(usage["coverage"] > 0.95)
    right("the program's MemoryError is its own; the numbers stay whole")


@pytest.mark.parametrize(
    "limit",
    ["RLIMIT_AS, (held + 2**20, -1)", "RLIMIT_NOFILE, (6, 4096)", "RLIMIT_NPROC, (0, 0)"],
    ids=["memory", "open_files", "processes"],
)
def test_too_little_to_start(program: Program, cannot_know: Verdict, limit: str) -> None:
    """As another user where processes are limited, since root has no such limit."""
    reported = program(f"""
import resource
meter = EnergyMeter("{SOURCE}", rate_hz=100)
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
if "NPROC" in {limit!r} and os.getuid() == 0:
    os.setuid(65534)
resource.setrlimit(resource.{limit})
try:
    with meter:
        time.sleep(0.2)
    report(meter)
except EnergyMeterError as error:
    say(error=f"{{type(error).__name__}}: {{error}}")
time.sleep(0.1)
children = open(f"/proc/self/task/{{os.getpid()}}/children").read() if "NOFILE" not in {limit!r} else ""
say(children=children)
""")
    assert program.returncode == 0, program.stderr
    assert reported[-1]["children"] == "", "a sampler was left behind"
    if "error" not in reported[0]:
        check_true(reported[0])
    cannot_know(reported[0].get("error", "enough after all")[:90])


def test_no_thread_to_be_had(program: Program, cannot_know: Verdict) -> None:
    first, second = program(f"""
import resource
meter = EnergyMeter("{SOURCE}", rate_hz=100)
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
threading.stack_size(2**30)
resource.setrlimit(resource.RLIMIT_AS, (held + 2**29, -1))
try:
    meter.__enter__()
except EnergyMeterError as error:
    say(error=f"{{type(error).__name__}}: {{error}}")
say(children=open(f"/proc/self/task/{{os.getpid()}}/children").read())
""")
    assert second["children"] == "", "a sampler was left behind"
    cannot_know(first["error"])


def test_32_threads_of_1000_spans(program: Program, right: Verdict) -> None:
    (usage,) = program(f"""
meter = EnergyMeter("{SOURCE}", rate_hz=200)
def work():
    for _ in range(1000):
        with meter.span("step"):
            pass
with meter:
    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    time.sleep(0.1)
spans = meter.spans["step"]
report(meter, spans=len(spans), span_joules=spans.joules.total, span_seconds=spans.seconds.total)
""")
    check_true(usage)
    assert usage["spans"] == 32_000
    timely(usage["coverage"] > 0.95)
    timely(usage["span_joules"] == pytest.approx(WATTS * usage["span_seconds"], rel=0.05))
    right("32 000 spans, none lost")


def test_every_child_is_waited_for(program: Program, right: Verdict) -> None:
    """A program that reaps whatever ends (``waitpid(-1)``), or ignores SIGCHLD, keeps its meter."""
    for habit in ("signal.signal(signal.SIGCHLD, signal.SIG_IGN)", "pass"):
        (usage,) = program(f"""
{habit}
with EnergyMeter("{SOURCE}", rate_hz=100) as meter:
    time.sleep(0.3)
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        pass
    time.sleep(0.3)
report(meter)
""")
        check_true(usage)
        timely(usage["coverage"] > 0.95)
    right("whole, with SIGCHLD ignored and with a reaper")


def test_workers_are_waited_for_one_by_one(program: Program, right: Verdict) -> None:
    """``os.wait()`` says of any child that ended, and the sampler is one that does not."""
    (usage,) = program(f"""
with EnergyMeter("{SOURCE}", rate_hz=100) as meter:
    workers = {{os.posix_spawn("/bin/sh", ["sh", "-c", "sleep 0.2"], os.environ) for _ in range(4)}}
    ended = {{os.wait()[0] for _ in workers}}
report(meter, own=ended == workers)
""")
    check_true(usage)
    assert usage["own"]
    timely(usage["coverage"] > 0.9)
    right("a program that waits as often as it has workers gets just those")


def for_everybody(path: str) -> bool:
    """Whether another user reaches it."""
    real = Path(path).resolve()
    return real.exists() and all(folder.stat().st_mode & 0o001 for folder in (real, *real.parents))


def test_meter_as_a_nobody_without_home(program: Program, right: Verdict) -> None:
    if os.getuid() != 0:
        pytest.skip("becoming another user needs root")
    python = next((path for path in (sys.executable, "/usr/bin/python3") if for_everybody(path)), None)
    if python is None or not for_everybody(str(ROOT / "energymeter")):
        pytest.skip("nobody may not enter the folders of this interpreter or of this project")
    body = f"""
os.setgid(65534); os.setuid(65534)
with EnergyMeter("{SOURCE}", rate_hz=100) as meter:
    time.sleep(0.3)
report(meter, uid=os.getuid())
"""
    (usage,) = program(body, python=python, env={"HOME": "/nonexistent", "TMPDIR": "/nonexistent"})
    check_true(usage)
    assert usage["uid"] == 65534
    right("needs no root, no home and no temporary folder")
