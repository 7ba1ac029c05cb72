"""The sampling process as its parent sees it: starts, says why not, is killed, restarted, outlived."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from devices.processes import until

from energymeter.errors import (
    ExtraMissing,
    LogError,
    SamplerError,
    SourceMissing,
    SourceTimeout,
    SpecError,
)
from energymeter.reading import Facts, Reading
from energymeter.sampling import process
from energymeter.sampling.config import LogConfig, SourceConfig
from energymeter.sampling.memory import Count
from energymeter.sampling.priority import Level
from energymeter.sampling.sampler import Sampler
from energymeter.spec import Spec

ROOT = Path(__file__).parents[2]


@pytest.fixture
def started():
    """Start samplers; each is stopped at the end."""
    running = []

    def start(text="manual:5V,0.6A", rate_hz=200.0, **options):
        driver, _, place = text.partition(":")
        made = Sampler([SourceConfig(Spec(driver, place or None, {}), rate_hz)], **options)
        running.append(made)
        made.start()
        return made

    yield start
    for made in running:
        made.stop()


def child_of(made: Sampler) -> int:
    return made._host.pid


def test_samples_arrive_from_another_process(started):
    made = started()
    (channel,) = made.channels
    assert not made.in_process
    assert channel.info.name == "manual:5V,0.6A"
    assert channel.info.facts.provenance == "manual"
    until(lambda: len(channel.curve) > 20)
    made.stop()
    seen = channel.curve
    window = seen.window(seen.first_ns(), seen.last_ns())
    assert window.joules == pytest.approx(3.0 * window.seconds)


def test_stopping_takes_one_last_sample(started):
    made = started(rate_hz=0.5)
    now_ns = time.monotonic_ns()
    made.stop()
    assert made.channels[0].curve.last_ns() >= now_ns


def test_stopping_twice_and_without_starting_is_fine(started):
    made = started()
    made.stop()
    rows = len(made.channels[0].curve)
    made.stop()
    assert len(made.channels[0].curve) == rows
    never = Sampler([SourceConfig(Spec("manual", "1W", {}))])
    never.stop()
    assert never.channels == []


@pytest.mark.parametrize(
    ("spec", "error", "says"),
    [
        (Spec("nosuch", None, {}), SpecError, "no driver"),
        (Spec("manual", "fish", {}), SpecError, "fish"),
        (Spec("replay", "/no/such.csv", {}), LogError, "No such file"),
        (Spec("rapl", None, {"root": "/nowhere"}), SourceMissing, "/nowhere"),
    ],
)
def test_what_the_child_refuses_is_raised_here(spec, error, says):
    made = Sampler([SourceConfig(spec)])
    with pytest.raises(error, match=says):
        made.start()


def test_a_rate_beyond_the_source_is_refused():
    with pytest.raises(SpecError, match="Hz"):
        Sampler([SourceConfig(Spec("manual", "1W", {}), 1e9)]).start()


def driver_folder(tmp_path, monkeypatch, body):
    """A third party's package, found through its entry point, with one driver."""
    package = tmp_path / "site"
    info = package / "thirdparty-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[energymeter.drivers]\nthird = third:Third\n")
    (package / "third.py").write_text(body)
    monkeypatch.syspath_prepend(str(package))
    sys.path.append(str(package))  # the first entry is a script's own folder, which comes last


HEAD = "import time, os\nfrom energymeter.reading import Facts, Reading\nfrom energymeter.errors import *\n"
CLASS = HEAD + "class Third:\n    name = 'third'\n    facts = Facts()\n    def close(self): pass\n"


def test_a_third_party_driver_is_read_in_the_child(tmp_path, monkeypatch, started):
    body = CLASS + "    def open(self): pass\n    def read(self): return Reading(watts=float(os.getppid()))\n"
    driver_folder(tmp_path, monkeypatch, body)
    made = started("third")
    assert made.channels[0].curve.last().watts == os.getpid()


@pytest.fixture
def impatient(monkeypatch):
    """No time to end in."""
    monkeypatch.setattr(process, "LOOK_SECONDS", 0.0)
    for name in ("STOP_SECONDS", "FINISH_LOG_SECONDS"):
        monkeypatch.setattr(process, name, -1.0)


@pytest.mark.parametrize("name", ["run.csv", "run.parquet"])
def test_a_log_whose_process_does_not_end_in_time_is_reported_as_cut_short(
    started, tmp_path, impatient, name
):
    made = started(log=LogConfig(str(tmp_path / name), header={}))
    os.kill(made._host.pid, signal.SIGSTOP)  # or it may have ended before anybody looked
    made.stop()
    assert "cut short" in made.log_error()
    assert any("cut short" in note for note in made.notes())


def test_without_a_log_none_was_cut_short(started, impatient):
    made = started()
    made.stop()
    assert made.log_error() == ""


def test_a_source_that_hangs_while_opening_is_given_up(tmp_path, monkeypatch):
    driver_folder(
        tmp_path, monkeypatch, CLASS + "    def open(self): time.sleep(60)\n    def read(self): pass\n"
    )
    monkeypatch.setattr(process, "OPEN_SECONDS", 0.3)
    with pytest.raises(SourceTimeout, match="did not open"):
        Sampler([SourceConfig(Spec("third", None, {}))]).start()


def test_a_driver_that_breaks_while_opening_is_reported_with_its_last_words(tmp_path, monkeypatch):
    driver_folder(
        tmp_path,
        monkeypatch,
        CLASS + "    def open(self): raise KeyError('rail')\n    def read(self): pass\n",
    )
    with pytest.raises(SamplerError, match="KeyError: 'rail'"):
        Sampler([SourceConfig(Spec("third", None, {}))]).start()


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    body = (
        CLASS + "    def open(self): raise ExtraMissing('pkg', 'extra', 'This')\n    def read(self): pass\n"
    )
    driver_folder(tmp_path, monkeypatch, body)
    with pytest.raises(ExtraMissing, match=r'This needs pkg: pip install "edge-energymeter\[extra\]"'):
        Sampler([SourceConfig(Spec("third", None, {}))]).start()


def test_a_killed_child_is_replaced_and_the_gap_counts(started):
    made = started()
    (channel,) = made.channels
    until(lambda: len(channel.curve) > 20)
    os.kill(child_of(made), signal.SIGKILL)
    until(lambda: not made._host.alive())
    before, last = len(channel.curve), channel.curve.last()
    made.restart_if_dead()
    until(lambda: len(channel.curve) > before + 20)
    made.stop()
    seen = channel.curve
    window = seen.window(seen.first_ns(), seen.last_ns())
    assert made.restarts == 1
    assert channel.observed(Count.GAPS) == 1
    assert window.covered_seconds < window.seconds
    assert window.joules == pytest.approx(3.0 * window.covered_seconds)
    assert seen.at(last.at_ns).joules == last.joules, "what was measured before stays"


def test_the_log_goes_on_after_a_kill(started, tmp_path):
    path = tmp_path / "run.csv"
    made = started(log=LogConfig(str(path), start_ns=time.monotonic_ns()))
    (channel,) = made.channels
    until(lambda: len(channel.curve) > 5)
    os.kill(child_of(made), signal.SIGKILL)
    until(lambda: not made._host.alive())
    made.restart_if_dead()
    made.stop()
    lines = path.read_text().splitlines()
    assert [line.startswith("#") for line in lines].count(True) == 2, "the header and the closing record"
    assert lines[-1].startswith('# {"closed"')
    assert lines[-2].count(",") == lines[1].count(",")


ORPHAN = """
import os, sys, time
from energymeter import EnergyMeter
meter = EnergyMeter("manual:5V,0.6A", rate_hz=100, out=sys.argv[1])
meter.__enter__()
if len(sys.argv) > 2 and os.fork() == 0:
    time.sleep(60)  # a worker that holds every pipe of its parent
print(meter._life.latest.sampler._host.pid, flush=True)
time.sleep(60)
"""


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("forked", [False, True])
def test_the_child_ends_within_two_seconds_of_its_parents_sigkill_and_the_log_is_whole(tmp_path, forked):
    path = tmp_path / "run.csv"
    command = [sys.executable, "-c", ORPHAN, str(path), *(["fork"] if forked else [])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        child = int(parent.stdout.readline())
        until(lambda: path.stat().st_size > 0)
        parent.kill()
        killed = time.monotonic()
        until(lambda: gone(child))
        assert time.monotonic() - killed < 2.0
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
    lines = path.read_text().splitlines()
    assert len(lines) > 3
    assert lines[-1].startswith('# {"closed"')
    assert lines[-2].count(",") == lines[1].count(",")


class Here:
    """A source that exists only in this process, and counts what is done to it."""

    name = "here"
    facts = Facts()

    def __init__(self, error=None):
        self.error = error
        self.opened = self.closed = 0

    def open(self):
        self.opened += 1
        if self.error is not None:
            raise self.error

    def read(self):
        return Reading(watts=float(os.getpid()))

    def close(self):
        self.closed += 1


def test_an_object_is_sampled_by_a_thread_of_this_process():
    source = Here()
    made = Sampler([SourceConfig(source, 100.0)])
    made.start()
    try:
        assert made.in_process
        assert made.channels[0].curve.last().watts == os.getpid()
    finally:
        made.stop()
    assert (source.opened, source.closed) == (1, 1)


def worker():
    """A fork that does nothing but live, as a kept pool's or a data loader's."""
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    return pid


def ended(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("source", ["manual", "object"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_living_fork_does_not_keep_the_sampling_alive(tmp_path, source, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    path, here = tmp_path / f"run.{ending}", Here()
    read = SourceConfig(here if source == "object" else Spec("manual", "3W", {}), 100.0)
    made = Sampler([read], LogConfig(str(path), start_ns=time.monotonic_ns()))
    made.start()
    until(lambda: len(made.channels[0].curve) > 5)
    fork = worker()
    try:
        begun = time.monotonic()
        made.stop()
        assert time.monotonic() - begun < 5.0
    finally:
        ended(fork)
    assert made.log_error() == ""
    assert made.recorded_rows() == len(made.channels[0].curve)
    assert path.exists()
    assert here.closed == here.opened


def leftovers():
    """Descriptors, threads and children of this process."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return len(os.listdir("/proc/self/fd")), threading.active_count(), children


def failing(kind, path):
    match kind:
        case "no driver":
            return Sampler([SourceConfig(Spec("nosuch", None, {}))])
        case "too fast":
            return Sampler([SourceConfig(Spec("manual", "1W", {}), 1e9)])
        case "log in the way":
            return Sampler([SourceConfig(Spec("manual", "1W", {}))], LogConfig(str(path)))
        case "object that does not open":
            return Sampler([SourceConfig(Here(SourceMissing("gone")))])
        case "object with a bug":
            return Sampler([SourceConfig(Here(KeyError("rail")))])
        case _:
            return Sampler([SourceConfig(Here())], LogConfig(str(path)))


@pytest.mark.parametrize(
    "kind",
    [
        "no driver", "too fast", "log in the way", "object that does not open", "object with a bug",
        "object, log in the way",
    ],
)  # fmt: skip
def test_starts_that_fail_leave_nothing(tmp_path, kind):
    path = tmp_path / "there.csv"
    path.write_text("precious")
    before = leftovers()
    for _ in range(5):
        made = failing(kind, path)
        with pytest.raises((SpecError, LogError, SourceMissing, KeyError)):
            made.start()
        made.stop()
        (config,) = made.configs
        if isinstance(config.source, Here):
            assert config.source.closed == 1
    assert leftovers() == before
    assert path.read_text() == "precious"


@pytest.mark.parametrize("source", ["manual", "object"])
def test_a_start_that_is_interrupted_while_it_waits_leaves_nothing(tmp_path, monkeypatch, source):
    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Sampler, "_await_first_samples", interrupt)
    path = tmp_path / "run.csv"
    before = leftovers()
    read = SourceConfig(Here() if source == "object" else Spec("manual", "3W", {}))
    made = Sampler([read], LogConfig(str(path)))
    with pytest.raises(KeyboardInterrupt):
        made.start()
    fds, *others = leftovers()
    assert (fds <= before[0] + 1, *others) == (True, *before[1:]), "the memory of the curve is still held"
    assert not path.exists(), "no stub is in the way of the next run"


def test_a_log_that_is_refused_leaves_no_stub(started, tmp_path):
    path = tmp_path / "run.csv"
    made = started(log=LogConfig(str(path)))
    assert path.exists()
    made.stop(discard_log=True)
    assert not path.exists()


def test_a_relative_log_stays_where_it_began(started, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    made = started(log=LogConfig("run.csv", start_ns=time.monotonic_ns()))
    until(lambda: len(made.channels[0].curve) > 5)
    monkeypatch.chdir(tmp_path / "elsewhere")
    os.kill(child_of(made), signal.SIGKILL)
    until(lambda: not made._host.alive())
    made.restart_if_dead()
    made.stop()
    assert made.restarts == 1
    assert list(Path().iterdir()) == []
    assert len((tmp_path / "run.csv").read_text().splitlines()) > 2


def test_a_name_with_a_nul_is_refused():
    with pytest.raises(LogError, match="NUL"):
        Sampler([SourceConfig(Spec("manual", "1W", {}))], LogConfig("a\0b.csv")).start()


def recording(tmp_path, rows=20_000):
    path = tmp_path / "recording.csv"
    path.write_text("time_s,power_W\n" + "".join(f"{n / 100},3.0\n" for n in range(rows)))
    return str(path)


@pytest.mark.parametrize("speed", ["true", "max"])
def test_a_recording_whose_sampler_was_killed_ends_as_such(tmp_path, speed):
    spec = Spec("replay", recording(tmp_path), {"speed": speed})
    made = Sampler([SourceConfig(spec)])
    made.start()
    os.kill(child_of(made), signal.SIGKILL)
    until(lambda: not made._host.alive())
    (channel,) = made.channels
    before = len(channel.curve)
    made.restart_if_dead()
    assert made.ended()
    assert made.replays_ended()
    assert made.restarts == 0
    assert len(channel.curve) == before, "it does not begin again"
    if before < 20_000:
        assert made.notes() == [
            "read as CSV: time_s [s], power_W [W]",
            f"{channel.info.name}: it was cut short when its sampler was killed; play it again",
        ]
    made.stop()


def test_what_is_live_goes_on_next_to_a_recording_that_was_cut_short(tmp_path):
    live = SourceConfig(Spec("manual", "3W", {}), 100.0)
    made = Sampler([SourceConfig(Spec("replay", recording(tmp_path), {})), live])
    made.start()
    played, manual = made.channels
    os.kill(child_of(made), signal.SIGKILL)
    until(lambda: not made._host.alive())
    made.restart_if_dead()
    before = len(played.curve), len(manual.curve)
    until(lambda: len(manual.curve) > before[1] + 3)
    made.stop()
    assert made.restarts == 1
    assert len(played.curve) == before[0]
    assert "cut short" in made.notes()[-1]


def test_a_sampler_that_cannot_come_back_is_tried_again_later(started, monkeypatch):
    made = started()
    os.kill(child_of(made), signal.SIGKILL)
    until(lambda: not made._host.alive())

    def refuse(*arguments, **options):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as full:
        full.setattr(os, "posix_spawn", refuse)
        made.restart_if_dead()
    (channel,) = made.channels
    assert (
        "could not go on: the sampling process could not be started: Too many open files"
        in channel.curve.error
    )
    assert made.restarts == 0
    made._next_start_ns = 0
    made.restart_if_dead()
    before = len(channel.curve)
    until(lambda: len(channel.curve) > before)
    assert made.restarts == 1


def test_a_frozen_program_is_sampled_by_a_thread(started, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    children = leftovers()[2]
    made = started()
    until(lambda: len(made.channels[0].curve) > 5)
    assert made.in_process
    assert "sampled by a thread of this program" in made.notes()
    assert set(leftovers()[2]) <= set(children)


def test_a_priority_that_was_refused_is_noted_when_readings_were_missed(started):
    made = started()
    (channel,) = made.channels
    until(lambda: channel.priority)
    own = channel.curve.counts
    own[Count.MISSED] = 12
    own[Count.PRIORITY] = Level.REAL_TIME
    assert made.notes() == []
    own[Count.PRIORITY] = Level.NORMAL
    assert "refused real-time priority (it has: normal) and missed 12 readings" in made.notes()[0]
    own[Count.MISSED] = 0
    assert made.notes() == []


def test_sleep_is_no_use_and_what_the_battery_gave_meanwhile_is_said_apart(started):
    made = started()
    (channel,) = made.channels
    channel.curve.counts[Count.SUSPENDED_NS] = 3600 * 10**9
    assert made.notes() == ["the machine slept 3600.0 s, not measured"]
    channel.curve.counts[Count.SUSPENDED_UJ] = 4_104_000_000
    assert "; the battery's gauge counted 4100 J meanwhile" in made.notes()[0]


class WithNotes:
    """A source with two parts and something to say about a third."""

    name = "board"
    facts = Facts()
    notes = ("part 3 has no\x1b[31m sensor",)

    def open(self): ...

    def close(self): ...

    def read(self):
        return Reading(watts=1.0)

    def channels(self):
        return [self, self]


def test_what_a_source_says_about_itself_is_a_note_of_the_result_once():
    made = Sampler([SourceConfig(WithNotes(), 100.0)])
    made.start()
    made.stop()
    (note,) = [note for note in made.notes() if "part 3" in note]
    assert note.isprintable()


def test_several_sources_are_read_side_by_side(started):
    made = Sampler(
        [SourceConfig(Spec("manual", "2W", {}), 100.0), SourceConfig(Spec("manual", "5W", {}), 50.0)]
    )
    made.start()
    try:
        until(lambda: all(len(channel.curve) > 10 for channel in made.channels))
        assert [channel.curve.last().watts for channel in made.channels] == [2.0, 5.0]
        assert [channel.info.source_index for channel in made.channels] == [0, 1]
    finally:
        made.stop()


def test_the_child_imports_nothing_heavy(tmp_path, monkeypatch, started):
    body = CLASS + (
        "    def open(self): pass\n"
        "    def read(self):\n"
        "        import sys\n"
        "        heavy = {'numpy', 'click', 'tqdm', 'pandas', 'asyncio'} & set(sys.modules)\n"
        "        return Reading(watts=float(len(heavy)))\n"
    )
    driver_folder(tmp_path, monkeypatch, body)
    assert started("third").channels[0].curve.last().watts == 0.0


def test_a_stopped_child_does_not_keep_its_parent(started, tmp_path):
    """Not even with a log, whose end is given more time."""
    made = started(log=LogConfig(str(tmp_path / "run.csv"), start_ns=time.monotonic_ns()))
    until(lambda: len(made.channels[0].curve) > 5)
    os.kill(child_of(made), signal.SIGSTOP)
    now_ns = time.monotonic_ns()
    made.stop()
    assert made.channels[0].curve.last_ns() >= now_ns, "it took its last sample"


def test_a_sampler_killed_before_it_could_be_restarted_is_reported(started):
    made = started()
    os.kill(made._host.pid, signal.SIGKILL)
    until(lambda: not made._host.alive())
    made.stop()  # nobody has tried to restart it yet
    assert "sampling was killed and not restarted before the end" in made.notes()


def test_a_sampler_that_was_stopped_is_not_reported_as_killed(started):
    made = started()
    made.stop()
    assert not [note for note in made.notes() if "killed" in note]
