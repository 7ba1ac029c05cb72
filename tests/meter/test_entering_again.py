"""Entering again: the sampler stays ready for a while, and every block is measured as if it were alone."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest
from devices.plugin import Plugins
from devices.processes import until

from energymeter import Battery, Budget, EnergyMeter
from energymeter.errors import SourceMissing, SpecError
from energymeter.sampling import ready
from energymeter.sampling.config import SourceConfig
from energymeter.spec import Spec

ROOT = Path(__file__).parents[2]
STEADY = "manual:5V,0.6A"
WATTS = 3.0


@pytest.fixture(autouse=True)
def _nothing_before():
    ready.release_all()
    yield
    ready.release_all()


def block(meter, seconds=0.0):
    """Measure a while; the process that did it."""
    with meter:
        pid = meter._life.latest.sampler._host.pid
        time.sleep(seconds)
    return pid


def is_measured(usage):
    """From its start to its end, but for what a busy machine has held up, which is reported."""
    assert 0.0 < usage.coverage <= 1.0 + 1e-9
    assert usage.joules > 0.0


def left_no_more(before):
    """Wait until there is no more than before."""
    children, threads, files = before

    def reached():
        now = leftovers()
        return set(now[0]) <= set(children) and now[1] <= threads and now[2] <= files

    until(reached)


def ready_ones():
    return [reusable.host.pid for reusable in ready._ready.values()]


def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def leftovers():
    """Children, threads and descriptors of this process, without the curves that are kept for results."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    files = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    own = [os.readlink(file) for file in files if os.path.exists(file) or os.path.islink(file)]
    return children, threading.active_count(), len([f for f in own if "memfd:energymeter" not in f])


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    sys.path.append(str(folder))  # the first entry is a script's own folder, which comes last
    yield Plugins(folder)
    sys.path.remove(str(folder))


def device(plugins, driver, body="return Reading(watts=3.0)", facts="Facts()", shared=True, opening="pass"):
    """A driver of its own: what it reads, and whether others may use its device."""
    plugins.module(
        driver,
        f"""
import os, time
from energymeter.errors import *
from energymeter.reading import Facts, Reading
class Device:
    facts = {facts}
    shared = {shared}
    count = 0
    def __init__(self, place: str = "") -> None:
        self.name = {driver!r}
    def open(self) -> None:
        {opening}
    def read(self) -> Reading:
        self.count += 1
        {body}
    def close(self) -> None:
        pass
""",
        "Device",
    )


# -- the same process, another block -------------------------------------------------------------------


@pytest.mark.parametrize("spec", [STEADY, "sim:pi4", "sim:pi4?volts=5"])
@pytest.mark.parametrize("rate_hz", [None, 2.0, 1000.0])
def test_the_next_block_has_the_same_process_and_its_own_energy(spec, rate_hz):
    meter = EnergyMeter(spec, rate_hz=rate_hz)
    pids, usages = set(), []
    for seconds in (0.03, 0.0, 0.06, 0.001):
        pids.add(block(meter, seconds))
        usages.append(meter.usage)
    assert len(pids) == 1
    for usage, seconds in zip(usages, (0.03, 0.0, 0.06, 0.001), strict=True):
        assert usage.seconds >= seconds
        is_measured(usage)
        if spec == STEADY:
            assert usage.joules == pytest.approx(WATTS * usage.seconds * usage.coverage, rel=1e-6)


def test_another_meter_of_the_same_source_uses_it_too():
    assert block(EnergyMeter(STEADY)) == block(EnergyMeter(STEADY))


def test_many_blocks_within_one_interval_are_each_exact():
    meter = EnergyMeter(STEADY, rate_hz=1.0)
    for _ in range(20):
        block(meter, 0.002)
        usage = meter.usage
        is_measured(usage)
        assert usage.joules == pytest.approx(WATTS * usage.seconds * usage.coverage, rel=1e-6)
    assert len(ready_ones()) == 1


def test_what_is_asked_for_immediately_waits_for_the_last_sample():
    meter = EnergyMeter(STEADY, rate_hz=0.2)
    block(meter)
    begun = time.monotonic()
    block(meter, 0.01)
    is_measured(meter.usage)
    assert time.monotonic() - begun < 4.0, "it waited for the next period"


@pytest.mark.slow
def test_a_slow_source_does_not_hold_up_leaving(plugins):
    device(plugins, "slow", "if self.count > 1: time.sleep(0.4)\n        return Reading(watts=3.0)")
    meter = EnergyMeter("slow", rate_hz=1.0)
    block(meter)
    for _ in range(2):
        begun = time.monotonic()
        block(meter, 0.01)
        assert time.monotonic() - begun < 0.35
        usage = meter.usage
        is_measured(usage)
        assert usage.joules == pytest.approx(WATTS * usage.seconds * usage.coverage, rel=1e-6)


@pytest.mark.slow
def test_a_block_counts_its_own_readings_only():
    meter = EnergyMeter(STEADY, rate_hz=20.0)
    block(meter, 0.3)
    first = meter.usage
    time.sleep(0.4)
    block(meter)
    assert meter.usage.overhead.reads <= 3
    assert meter.usage.overhead.cpu_seconds < first.overhead.cpu_seconds, "without the start"
    time.sleep(0.3)
    assert meter.usage == meter.usage


def test_failures_while_nobody_counts_are_nobodys(plugins, tmp_path):
    switch = tmp_path / "fails"
    body = f"if os.path.exists({str(switch)!r}): raise SourceError('away')\n        return Reading(watts=3.0)"
    device(plugins, "flaky", body, "Facts(default_hz=15.0)")
    meter = EnergyMeter("flaky")
    pid = block(meter, 0.05)
    switch.touch()
    time.sleep(0.1)
    switch.unlink()
    counts = ready._ready[next(iter(ready._ready))].memories[0].counts
    until(lambda: counts[0] and not switch.exists())
    time.sleep(0.1)
    again = block(meter, 0.05)
    if again == pid:
        assert meter.usage.missed == 0


def test_what_a_block_gave_never_changes():
    first, second = EnergyMeter(STEADY, rate_hz=50.0), EnergyMeter(STEADY, rate_hz=50.0)
    with first, first.span("work"):
        time.sleep(0.1)
    usage, trace, latest = first.usage, first.trace, first.latest
    spans = first.spans["work"].joules
    for _ in range(3):
        block(second, 0.15)
    assert first.usage == usage
    assert len(first.trace) == len(trace)
    assert first.latest == latest
    assert first.spans["work"].joules == spans
    assert trace.seconds < 0.2, "it ends with the block"


@pytest.mark.slow
def test_a_block_that_nobody_asked_keeps_its_samples_while_others_go_on():
    first, second = EnergyMeter(STEADY, rate_hz=100.0), EnergyMeter(STEADY, rate_hz=100.0)
    with first, first.span("work"):
        time.sleep(0.1)
    block(second, 0.7)  # the watchdog has looked by then
    curve = first._life.latest.sampler.channels[0].curve
    assert curve._memory is not second._life.latest.sampler.channels[0].curve._memory
    assert first.usage.joules == pytest.approx(WATTS * first.usage.seconds * first.usage.coverage, rel=1e-6)
    assert first.spans["work"].joules.total == pytest.approx(WATTS * 0.1, rel=0.2)


@pytest.mark.slow
def test_a_counter_that_wraps_while_nobody_counts(plugins):
    body = "return Reading(joules=(3.0 * time.monotonic()) % 1.0)"  # three times a second
    device(plugins, "wrapping", body, "Facts(semantics='counter', joules_wrap=1.0, max_watts=5.0)")
    meter = EnergyMeter("wrapping", rate_hz=20.0)
    block(meter, 0.1)
    time.sleep(1.1)
    block(meter, 0.2)
    is_measured(meter.usage)
    assert meter.usage.joules == pytest.approx(WATTS * meter.usage.seconds * meter.usage.coverage, rel=0.05)


def test_two_threads_want_the_same_process():
    before = set(leftovers()[0])
    block(EnergyMeter(STEADY))
    meters = [EnergyMeter(STEADY) for _ in range(4)]
    barrier = threading.Barrier(4)

    def work(meter):
        barrier.wait()
        for _ in range(5):
            block(meter, 0.005)

    threads = [threading.Thread(target=work, args=(meter,)) for meter in meters]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for meter in meters:
        assert meter.usage.joules == pytest.approx(
            WATTS * meter.usage.seconds * meter.usage.coverage, rel=1e-6
        )
    assert len(ready_ones()) == 1
    ready.release_all()
    until(lambda: set(leftovers()[0]) <= before)


@pytest.mark.slow
def test_a_budget_does_not_pay_for_the_time_between(home):
    lab = Budget("again", Battery.phone())
    full = lab.balance().taken_joules
    meter = EnergyMeter(STEADY, budget=lab)
    block(meter, 0.05)
    first, paid = meter.usage.joules, lab.balance().taken_joules - full
    time.sleep(1.0)
    block(meter, 0.05)
    both = lab.balance().taken_joules - full
    assert paid >= first > 0
    assert both / paid == pytest.approx((first + meter.usage.joules) / first, rel=1e-4)


def test_a_baseline_and_the_block_after_it():
    meter = EnergyMeter(STEADY, rate_hz=50.0)
    meter.idle(0.1)
    block(meter, 0.1)
    assert meter.usage.net_joules == pytest.approx(0.0, abs=0.05)


# -- when another process is needed --------------------------------------------------------------------


def test_a_log_begins_with_its_own_block(tmp_path):
    pid = block(EnergyMeter(STEADY, rate_hz=50.0))
    logged = EnergyMeter(STEADY, rate_hz=50.0, out=tmp_path / "run.csv")
    other = block(logged, 0.1)
    assert other != pid
    assert not alive(other)
    rows = [row for row in (tmp_path / "run.csv").read_text().splitlines() if row[:1].isdigit()]
    assert len(rows) >= 3


def test_a_calibration_that_changed_on_disk_counts_from_the_next_block(home):
    from energymeter.energy.correction import Correction

    spec, wanted = SourceConfig(Spec("manual", "3W", {}), None), []
    for gain in (1.0, 1.0, 1.1):
        wanted.append(ready.key([spec], {"manual:3W": Correction(gain)}))
    assert wanted[0] == wanted[1] != wanted[2]
    assert len({*wanted}) == 2


@pytest.mark.parametrize("what", ["environment", "folder", "import path", "rate", "place"])
def test_what_has_changed_starts_another_process(what, tmp_path, monkeypatch):
    pid = block(EnergyMeter(STEADY))
    meter = EnergyMeter(STEADY)
    match what:
        case "environment":
            monkeypatch.setenv("SOMETHING", "else")
        case "folder":
            monkeypatch.chdir(tmp_path)
        case "import path":
            monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
        case "rate":
            meter = EnergyMeter(STEADY, rate_hz=20.0)
        case "place":
            meter = EnergyMeter("manual:5V,0.7A")
    assert block(meter) != pid
    assert not alive(pid), "the device is opened by one at a time"


def test_a_source_that_others_may_not_use_is_released_at_the_end(plugins):
    device(plugins, "exclusive", shared=False)
    meter = EnergyMeter("exclusive")
    assert not alive(block(meter))
    assert "killed" not in str(meter.usage)
    assert ready_ones() == []
    lingers = EnergyMeter("exclusive", linger=1.0)
    pid = block(lingers)
    assert alive(pid)
    assert block(lingers) == pid
    other = block(EnergyMeter("exclusive:other"))
    assert not alive(pid), "before the device is opened by another"
    assert not alive(other)


@pytest.mark.slow
@pytest.mark.parametrize("rate_hz", [None, 200.0])
def test_a_device_that_went_away_meanwhile_is_refused_as_ever(plugins, rate_hz):
    switch = plugins.meter("gone", "part")
    text = (plugins.folder / "gone_plugin.py").read_text()
    gone = f"if not os.path.exists({str(switch)!r}): raise SourceMissing('gone')\n        return Reading"
    text = text.replace("    kind =", "    shared = True\n    kind =").replace("return Reading", gone)
    (plugins.folder / "gone_plugin.py").write_text(text)
    meter = EnergyMeter("gone", rate_hz=rate_hz)
    block(meter)
    switch.unlink()
    time.sleep(0.6)
    with pytest.raises(SourceMissing):
        block(meter)
    switch.touch()
    block(meter, 0.01)
    is_measured(meter.usage)


def test_one_that_was_killed_is_replaced():
    meter = EnergyMeter(STEADY)
    pid = block(meter)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid))
    assert block(meter) != pid
    is_measured(meter.usage)
    assert not [note for note in meter.usage.notes if "killed" in note]


def test_one_that_was_halted_goes_on():
    meter = EnergyMeter(STEADY)
    pid = block(meter)
    os.kill(pid, signal.SIGSTOP)
    block(meter, 0.02)
    is_measured(meter.usage)


def test_one_that_is_killed_before_the_last_sample_says_so():
    meter = EnergyMeter(STEADY, rate_hz=10.0)
    pid = block(meter)
    with meter:
        begun_ns = time.monotonic_ns()
        until(lambda: meter._life.latest.sampler.channels[0].curve.last_ns() > begun_ns)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.05)
        host = meter._life.latest.sampler._host
        host.wake = lambda: None  # so that it stays halted
    os.kill(pid, signal.SIGKILL)
    usage = meter.usage
    assert usage.coverage < 1.0
    assert [note for note in usage.notes if "killed" in note]


def test_without_its_descriptors_another_process_is_started(tmp_path):
    meter = EnergyMeter(STEADY)
    pid = block(meter)
    child = ready._ready[next(iter(ready._ready))].host._child
    for descriptor in (*child._wake, child._answer):
        os.close(descriptor.fd)
    files = [(tmp_path / f"{number}").open("w") for number in range(6)]
    until(lambda: not alive(pid))  # the end of its pipe ends it: it stays ready for nobody
    assert block(meter, 0.01) != pid
    is_measured(meter.usage)
    for file in files:
        file.write("still mine")
        file.close()


# -- its end -------------------------------------------------------------------------------------------


def test_it_ends_after_its_time():
    before = leftovers()
    meter = EnergyMeter(STEADY, linger=0.3)
    pid = block(meter)
    begun = time.monotonic()
    until(lambda: not alive(pid))
    assert time.monotonic() - begun < 2.5
    left_no_more(before)
    assert ready_ones() == []


def test_close_ends_it_now():
    before = leftovers()
    meter = EnergyMeter(STEADY)
    meter.close()  # it was never entered
    block(meter, 0.01)
    assert leftovers()[0] != before[0]
    meter.close()
    meter.close()
    assert leftovers()[0] == before[0]
    left_no_more(before)
    assert meter.usage.joules == pytest.approx(WATTS * meter.usage.seconds * meter.usage.coverage, rel=1e-6)


def test_close_within_a_block_releases_with_it():
    before = leftovers()[0]
    meter = EnergyMeter(STEADY)
    block(meter)
    with meter:
        meter.close()
        time.sleep(0.05)
    assert leftovers()[0] == before
    is_measured(meter.usage)


def test_no_lingering_at_all():
    before = leftovers()[0]
    meter = EnergyMeter(STEADY, linger=0)
    block(meter)
    assert leftovers()[0] == before


@pytest.mark.parametrize("seconds", [-1.0, 2.1, float("nan"), float("inf")])
def test_a_time_that_is_too_long_is_refused(seconds):
    with pytest.raises(SpecError, match="linger"):
        EnergyMeter(STEADY, linger=seconds)


def test_a_worker_finds_no_other_child_and_starts_its_own():
    meter = EnergyMeter(STEADY)
    pid = block(meter)
    worker = os.fork()
    if worker == 0:
        code = 1
        try:
            own = block(meter, 0.01)
            code = 0 if own != pid and meter.usage.coverage > 0.999 else 2
            ready.release_all()
        finally:
            os._exit(code)
    assert os.wait() == (worker, 0), "the sampler has ended before the fork"
    is_measured(meter.usage)


def script(body, *options):
    head = (
        "import os, signal, subprocess, sys, time\nfrom energymeter import EnergyMeter\n"
        f"meter = EnergyMeter({STEADY!r})\n"
        "with meter: pid = meter._life.latest.sampler._host.pid\nprint(pid, flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *options, "-c", head + body],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.mark.parametrize(
    "end",
    [
        "",
        "raise SystemExit(3)",
        "1 / 0",
        "import threading; threading.Thread(target=time.sleep, args=(0.1,)).start()",
    ],
)
def test_nothing_is_left_when_the_interpreter_ends(end):
    program = script(end, "-W", "error")
    said, errors = program.communicate(timeout=30)
    assert not alive(int(said)), "it has ended before the program has"
    assert "Warning" not in errors
    assert ("ZeroDivisionError" in errors) == (end == "1 / 0")


@pytest.mark.parametrize(
    "end",
    ["os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)", "os.execv('/bin/sleep', ['sleep', '3'])"],
)
def test_nothing_is_left_when_the_program_ends_otherwise(end):
    program = script(end)
    pid = int(program.stdout.readline())
    begun = time.monotonic()
    until(lambda: not alive(pid))
    assert time.monotonic() - begun < 1.5, "sooner than it would end by itself"
    program.kill()
    program.communicate()


@pytest.mark.slow
def test_a_program_that_is_halted_keeps_none_ready():
    program = script("time.sleep(30)")
    pid = int(program.stdout.readline())
    os.kill(program.pid, signal.SIGSTOP)
    begun = time.monotonic()
    until(lambda: not alive(pid))
    assert 1.0 < time.monotonic() - begun < 6.0
    program.kill()
    program.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop its rights")
def test_a_program_that_dropped_its_rights_does_not_use_what_it_had_opened_before():
    program = script(
        "os.setgid(65534); os.setuid(65534)\n"
        "with meter: other = meter._life.latest.sampler._host.pid\n"
        "print(other, round(meter.usage.coverage, 6), os.path.exists(f'/proc/{pid}'))\n"
    )
    said, errors = program.communicate(timeout=60)
    pid, other = said.splitlines()
    assert other.split()[0] != pid, errors
    assert other.split()[1:] == ["1.0", "False"]


def test_without_any_descriptor_left_below_1024():
    program = script(
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))\n"
        "meter.close()\n"
        "files = [open(os.devnull) for _ in range(1100)]\n"
        "with meter: pass\n"
        "with meter: time.sleep(0.02)\n"
        "print(round(meter.usage.coverage, 6))\n"
    )
    said, errors = program.communicate(timeout=60)
    assert said.split()[1:] == ["1.0"], errors


@pytest.mark.slow
def test_an_exception_at_any_line_of_entering_and_leaving_leaves_nothing_behind():
    """What a signal handler raises, in blocks of a process that is ready."""
    before = leftovers()
    meter = EnergyMeter(STEADY)
    block(meter)

    class Interrupted(BaseException):
        pass

    lines = 0

    def run(at):
        nonlocal lines
        lines = 0

        def trace(frame, event, _):
            nonlocal lines
            if "/energymeter/" not in frame.f_code.co_filename or frame.f_code.co_name == "__del__":
                return None  # what is raised in the latter is shown and goes no further
            if event == "line":
                lines += 1
                if lines == at:
                    raise Interrupted
            return trace

        sys.settrace(trace)
        try:
            with meter:
                pass
        finally:
            sys.settrace(None)

    run(-1)
    never_left, total = 0, lines
    for at in range(1, total + 20, 17):
        with contextlib.suppress(Interrupted):
            run(at)
        if meter._life.running is not None:  # before the first line of leaving: nobody has left
            never_left += 1
            meter.__exit__()
    assert total > 100
    assert never_left <= 1
    block(meter, 0.01)
    is_measured(meter.usage)
    assert meter.usage.joules == pytest.approx(WATTS * meter.usage.seconds * meter.usage.coverage, rel=1e-6)
    meter.close()
    ready.release_all()
    left_no_more(before)


def test_no_warning_is_shown():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        meter = EnergyMeter(STEADY)
        for _ in range(3):
            block(meter)
        meter.close()
