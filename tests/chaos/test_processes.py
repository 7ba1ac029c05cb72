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
    assert any("sampling was killed" in note for note in usage["notes"])
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


# Leaving a block: at most 0.2 s, whatever lives on


LEAVING_SECONDS = 0.2


@pytest.mark.parametrize(
    ("source", "keep"),
    [
        (f'"{SOURCE}"', "fork()"),
        (f'"{SOURCE}"', "multiprocessing.get_context('fork').Pool(2)"),
        ("Const()", "fork()"),
        ("Const()", "multiprocessing.get_context('fork').Pool(2)"),
    ],
    ids=["fork", "pool", "fork_object", "pool_object"],
)
@pytest.mark.parametrize("log", [False, True], ids=["without_log", "with_log"])
def test_worker_lives_on(
    program: Program, tmp_path: Path, right: Verdict, source: str, keep: str, log: bool
) -> None:
    """A kept pool, persistent workers of a data loader: they hold whatever the program had open."""
    path = tmp_path / "run.csv"
    (usage,) = program(f"""
import multiprocessing
from energymeter.reading import Facts, Reading
class Const:
    name, facts, closed, reads = "const", Facts(), 0, 0
    def open(self): pass
    def read(self):
        self.reads += 1
        return Reading(watts=3.0)
    def close(self): self.closed += 1
def fork():
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    return pid
source = {source}
with EnergyMeter(source, rate_hz=100, out={str(path) if log else None!r}) as meter:
    time.sleep(0.3)
    kept = {keep}
    time.sleep(0.3)
    leaving = time.monotonic()
left_seconds = time.monotonic() - leaving
threads = [thread.name for thread in threading.enumerate() if "energymeter" in thread.name]
report(meter, left_seconds=left_seconds, threads=threads, closed=getattr(source, "closed", 1))
kept.terminate() if hasattr(kept, "terminate") else os.kill(kept, signal.SIGKILL)
""")
    check_true(usage)
    assert usage["closed"] == 1
    if log:
        assert check_log(path) > 20
        (record,) = read(str(path))
        times = record.columns["time_s"]  # they begin before the block, while the sources open
        assert times[-1] - times[0] < usage["seconds"] + 0.5, "the log ends with the block"
    timely(usage["threads"] == [] or usage["threads"] == ["energymeter-watchdog"])
    timely(usage["left_seconds"] < LEAVING_SECONDS)
    right(f"left in {usage['left_seconds']:.3f} s; the log ends with the block")


def test_log_whose_reader_stopped(program: Program, tmp_path: Path, cannot_know: Verdict) -> None:
    """A pipe that nobody empties; a disk that stalls looks the same."""
    (usage,) = program(f"""
os.mkfifo("{tmp_path}/run.csv")
with EnergyMeter("{SOURCE}", rate_hz=500, out="{tmp_path}/run.csv", force=True) as meter:
    time.sleep(4)
    leaving = time.monotonic()
report(meter, left_seconds=time.monotonic() - leaving)
""")
    check_true(usage)
    timely(usage["coverage"] > 0.99, "the sampling is not held up")
    (note,) = [note for note in usage["notes"] if "log" in note]
    assert "its disk is slow or its reader has stopped" in note
    timely(usage["left_seconds"] < 2 * LEAVING_SECONDS)
    cannot_know(f"left in {usage['left_seconds']:.2f} s: {note}")


def test_everything_closed_in_the_block(program: Program, tmp_path: Path, right: Verdict) -> None:
    """A program that becomes a daemon closes every number; the next files that it opens have ours."""
    (usage,) = program(f"""
meter = EnergyMeter("{SOURCE}", rate_hz=100)
with meter:
    time.sleep(0.3)
    os.closerange(3, 256)
    mine = [open(f"{tmp_path}/{{n}}", "w") for n in range(12)]
    time.sleep(0.5)
    leaving = time.monotonic()
left_seconds = time.monotonic() - leaving
facts = meter.usage.to_dict()
with meter: pass
del meter
whole = 0
for file in mine:
    file.write("x")
    file.flush()
    whole += 1
say(**facts, left_seconds=left_seconds, whole=whole)
""")
    check_true(usage)
    assert usage["whole"] == 12
    timely(usage["coverage"] > 0.95)
    timely(usage["left_seconds"] < LEAVING_SECONDS)
    right(f"measured on, left in {usage['left_seconds']:.3f} s, none of the program's files closed")


def test_rights_dropped_in_the_block(program: Program, right: Verdict) -> None:
    if os.getuid() != 0:
        pytest.skip("giving up rights needs some")
    (usage,) = program(f"""
with EnergyMeter("{SOURCE}", rate_hz=100) as meter:
    time.sleep(0.3)
    os.setgid(65534); os.setuid(65534)
    time.sleep(0.3)
    leaving = time.monotonic()
report(meter, left_seconds=time.monotonic() - leaving)
""")
    check_true(usage)
    timely(usage["left_seconds"] < LEAVING_SECONDS)
    right(f"left in {usage['left_seconds']:.3f} s without a right to signal the sampler")


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_standard_streams_closed(program: Program, tmp_path: Path, right: Verdict, closed: str) -> None:
    (tmp_path / "answer").touch()
    body = f"""
sys.stdout = open("{tmp_path}/answer", "w")
with EnergyMeter("{SOURCE}", rate_hz=100) as meter:
    time.sleep(0.3)
report(meter)
"""
    script = tmp_path / "program.py"
    script.write_text(Program.HEAD + body)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        ["sh", "-c", f'exec "$0" "$1" {closed}', sys.executable, str(script)],
        env=environment, timeout=60, check=True,
    )  # fmt: skip
    usage = json.loads((tmp_path / "answer").read_text())
    check_true(usage)
    timely(usage["coverage"] > 0.9)
    right("measured as if they were open")


def test_more_files_than_select_can_watch(program: Program, right: Verdict) -> None:
    usages = program(f"""
import resource
from energymeter.reading import Facts, Reading
class Const:
    name, facts = "const", Facts()
    def open(self): pass
    def read(self): return Reading(watts=3.0)
    def close(self): pass
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
held = [open("/dev/null") for _ in range(1100)]
for source in ("{SOURCE}", Const()):
    with EnergyMeter(source, rate_hz=100) as meter:
        time.sleep(0.4)
        leaving = time.monotonic()
    report(meter, left_seconds=time.monotonic() - leaving)
with EnergyMeter() as meter:
    time.sleep(0.1)
say(seconds=meter.usage.seconds)
""")
    for usage in usages[:2]:
        check_true(usage)
        timely(usage["coverage"] > 0.9)
        timely(usage["left_seconds"] < LEAVING_SECONDS)
    assert usages[2]["seconds"] > 0
    right("spec, object and search with 1100 files open")


def test_frozen_program(program: Program, tmp_path: Path, right: Verdict) -> None:
    """There ``sys.executable`` is the program itself: as an interpreter it would start itself again."""
    app = tmp_path / "app"
    app.write_text(f"#!/bin/sh\necho again >>{tmp_path}/started\n")
    app.chmod(0o755)
    usage, refused = program(
        f"""
sys.frozen, sys.executable = True, "{app}"
with EnergyMeter("{SOURCE}", rate_hz=100) as meter:
    time.sleep(0.3)
report(meter)
os.environ.pop("ENERGYMETER_SOURCE", None)
try:
    with EnergyMeter() as meter: pass
    say(error="")
except EnergyMeterError as error:
    say(error=str(error))
""",
        env={"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)},
    )
    check_true(usage)
    assert "sampled by a thread of this program" in usage["notes"]
    assert not (tmp_path / "started").exists(), "it was started again"
    assert "name the source" in refused["error"]
    right("sampled by a thread; without a source it is refused in one sentence")


def test_recording_whose_sampler_cannot_come_back(
    program: Program, tmp_path: Path, cannot_know: Verdict
) -> None:
    recording = tmp_path / "recording.csv"
    recording.write_text("time_s,power_W\n" + "".join(f"{n / 100},3.0\n" for n in range(400_000)))
    (usage,) = program(f"""
with EnergyMeter("replay@{recording}?speed=max") as meter:
    time.sleep(0.5)
    os.unlink("{recording}")
    killed = time.monotonic()
    kill_sampler(meter)
report(meter, took=time.monotonic() - killed)
""")
    assert usage["joules"] <= 3.0 * 4000
    check_true(usage)
    assert usage["took"] < 5
    assert "cut short" in " ".join(usage["notes"])
    cannot_know(f"ends after {usage['took']:.1f} s: cut short when its sampler was killed")


def test_no_descriptor_when_the_sampler_must_be_restarted(program: Program, cannot_know: Verdict) -> None:
    (usage,) = program(f"""
import resource
with EnergyMeter("{SOURCE}", rate_hz=100) as meter:
    time.sleep(0.3)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 3, 4096))
    held = []
    try:
        while True: held.append(open("/dev/null"))
    except OSError: pass
    kill_sampler(meter)
    time.sleep(0.8)
    for file in held: file.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    time.sleep(2.5)
report(meter)
""")
    check_true(usage)
    assert "restarted 1 times" in " ".join(usage["notes"])
    timely(0.3 < usage["coverage"] < 0.95)
    cannot_know(f"goes on once there is one; {100 * usage['coverage']:.0f} % measured")


def test_a_thousand_failed_starts(program: Program, tmp_path: Path, right: Verdict) -> None:
    (counts,) = program(f"""
import gc
from energymeter.reading import Facts, Reading
class Bad:
    name, facts = "bad", Facts()
    def open(self): raise EnergyMeterError("gone")
    def read(self): return Reading(watts=3.0)
    def close(self): pass
class Good(Bad):
    def open(self): pass
open("{tmp_path}/there.csv", "w").close()
kinds = [
    lambda: EnergyMeter(Bad()), lambda: EnergyMeter(Good(), out="{tmp_path}/there.csv"),
    lambda: EnergyMeter(Good(), require="simulated", out="{tmp_path}/new.csv"),
    lambda: EnergyMeter("nosuch"), lambda: EnergyMeter("manual:1W", rate_hz=1e9),
    lambda: EnergyMeter("manual:1W", out="{tmp_path}/there.csv"),
    lambda: EnergyMeter("manual:1W", require="measured", out="{tmp_path}/new.jsonl"),
]
def state():
    gc.collect()
    children = open(f"/proc/self/task/{{os.getpid()}}/children").read().split()
    fds = len(os.listdir("/proc/self/fd"))
    return dict(fds=fds, threads=threading.active_count(), children=len(children))
def fail(kind):
    try:
        with kind(): raise SystemExit("it started")
    except EnergyMeterError: pass
for kind in kinds: fail(kind)
time.sleep(0.3)
before = state()
for _ in range(270): [fail(kind) for kind in kinds[:3]]
for _ in range(48): [fail(kind) for kind in kinds[3:]]
time.sleep(0.5)
say(before=before, after=state(), files=sorted(os.listdir("{tmp_path}")))
""")
    assert counts["after"] == counts["before"]
    assert counts["files"] == ["program.py", "there.csv"]
    right(f"1 002 starts of seven kinds leave {counts['after']['fds'] - counts['before']['fds']} descriptors")


@pytest.mark.parametrize("source", [f'"{SOURCE}"', "Const()"], ids=["process", "object"])
def test_starts_interrupted_anywhere(program: Program, right: Verdict, source: str) -> None:
    """Ctrl-C at 150 random moments of entering, measuring and leaving, caught by a program that goes on."""
    before, after, usage = program(
        f"""
import gc, random
from energymeter.reading import Facts, Reading
class Const:
    name, facts, opened, closed = "const", Facts(), 0, 0
    def open(self): self.opened += 1
    def read(self): return Reading(watts=3.0)
    def close(self): self.closed += 1
def state():
    gc.collect()
    children = open(f"/proc/self/task/{{os.getpid()}}/children").read().split()
    mine = [os.readlink(f"/proc/self/fd/{{fd}}") for fd in os.listdir("/proc/self/fd")[:-1]
            if os.path.exists(f"/proc/self/fd/{{fd}}")]
    # the curve of the last run is kept for its results
    fds = len([path for path in mine if "memfd:energymeter" not in path])
    return dict(fds=fds, threads=threading.active_count(), children=len(children))
chance, source = random.Random(1), {source}
meter = EnergyMeter(source, rate_hz=100)
with meter: pass
before = state()
say(**before)
hits = 0
for _ in range(150):
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0005, 0.05))
            with meter:
                time.sleep(0.03)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        hits += 1
end = time.monotonic() + 10
while state() != before and time.monotonic() < end: time.sleep(0.1)
say(**state(), hits=hits, opened=getattr(source, "opened", 0), closed=getattr(source, "closed", 0))
with meter: time.sleep(0.3)
report(meter)
""".replace(
            "import gc, random",
            "import gc, random\nsignal.signal(signal.SIGALRM, signal.default_int_handler)",
        )
    )
    assert {name: after[name] for name in before} == before
    assert after["hits"] > 50
    assert after["opened"] <= after["closed"], "an interrupted open is closed, too"
    check_true(usage)
    right(f"{after['hits']} interrupts leave nothing; the meter measures on")


def test_load_of_ten(program: Program, right: Verdict) -> None:
    """Ten busy programs; the sampler has real-time priority where that is granted, and says so where not."""
    (usage,) = program(f"""
busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(10)]
try:
    with EnergyMeter("{SOURCE}", rate_hz=100) as meter:
        time.sleep(4)
    channel = meter._life.latest.sampler.channels[0]
    report(meter, priority=channel.priority, cpu=meter.usage.overhead.cpu_seconds / meter.usage.seconds)
finally:
    for process in busy: process.kill()
""")
    check_true(usage)
    notes = " ".join(usage["notes"])
    if usage["priority"] == "real-time":
        timely(usage["missed"] <= 2, f"{usage['missed']} missed")
        assert usage["cpu"] < 0.04, "its start included"
    elif usage["missed"]:
        assert "refused real-time priority" in notes
    right(
        f"{usage['priority']}: {usage['missed']} of 400 readings missed, {100 * usage['cpu']:.1f} % of a core"
    )
