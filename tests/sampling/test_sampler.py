"""The sampling process as its parent sees it: starts, says why not, is killed, restarted, outlived."""

import os
import signal
import subprocess
import sys
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
from energymeter.sampling import process
from energymeter.sampling.config import LogConfig, SourceConfig
from energymeter.sampling.memory import Count
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
    started().stop()
    Sampler([SourceConfig(Spec("manual", "1W", {}))]).stop()


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
    assert sum(line.startswith("#") for line in lines) == 1
    assert lines[-1].count(",") == lines[1].count(",")


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
    assert len(lines) > 2
    assert lines[-1].count(",") == lines[1].count(",")


def test_an_object_is_sampled_by_a_thread_of_this_process():
    class Here:
        name = "here"

        def __init__(self):
            from energymeter.reading import Facts

            self.facts = Facts()

        def open(self):
            pass

        def read(self):
            from energymeter.reading import Reading

            return Reading(watts=float(os.getpid()))

        def close(self):
            pass

    made = Sampler([SourceConfig(Here(), 100.0)])
    made.start()
    try:
        assert made.in_process
        assert made.channels[0].curve.last().watts == os.getpid()
    finally:
        made.stop()


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
