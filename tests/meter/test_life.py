"""One life for a meter: new, open, running, closed; whoever enters, forgets, forks or interrupts it."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from devices.by_hand import MS, Bench
from devices.processes import until

from energymeter import EnergyMeter, NotMeasured, SpecError
from energymeter.meter import active
from energymeter.reading import Facts, Reading

THREE_WATTS = "manual:5V,0.6A"


class Counting:
    """A source in this process that counts how often it is opened and closed."""

    name = "counting"
    facts = Facts()

    def __init__(self):
        self.opened = self.closed = 0

    def open(self):
        self.opened += 1

    def read(self):
        return Reading(watts=2.0)

    def close(self):
        self.closed += 1


def left_behind():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("energymeter")]


def gone(names=lambda: left_behind(), seconds=5.0):
    end = time.monotonic() + seconds
    while names() and time.monotonic() < end:
        time.sleep(0.005)
    return not names()


@pytest.fixture
def bench():
    made = Bench()
    made.pass_ms(10)
    return made


def test_one_exit_too_many_is_refused_and_harms_nothing(bench):
    with pytest.raises(SpecError, match="left more often than entered"):
        bench.leave()
    for milliseconds in (10, 20):
        bench.enter()
        bench.pass_ms(milliseconds)
        bench.leave()
        with pytest.raises(SpecError, match="left more often than entered"):
            bench.leave()
        assert bench.life.latest.usage().seconds == pytest.approx(milliseconds * 1e-3)
        assert bench.life.latest.usage().joules == pytest.approx(milliseconds * 2e-3)


def test_the_meter_itself_refuses_an_exit_too_many():
    meter = EnergyMeter(Counting(), rate_hz=20)  # slow enough for a busy machine
    with meter:
        pass
    with pytest.raises(SpecError, match="left more often"):
        meter.__exit__(None, None, None)
    begun = time.monotonic()
    with meter:
        time.sleep(0.03)
    assert 0.03 <= meter.usage.seconds <= time.monotonic() - begun


def test_threads_that_enter_at_the_same_time_share_one_run():
    source = Counting()
    meter = EnergyMeter(source, rate_hz=200)
    together = threading.Barrier(8)
    wrong = []

    @meter
    def handle():
        if meter._life.running is None or len(active._meters) != 1:
            wrong.append("not one run")

    def work():
        together.wait()
        for _ in range(5):
            handle()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert source.opened == source.closed >= 1
    assert not active._meters
    assert gone()


def test_who_enters_while_another_thread_closes_waits_and_measures_a_run_of_its_own(bench):
    closing, goes_on = threading.Event(), threading.Event()
    first = bench.enter()

    def slowly(run):
        closing.set()
        assert goes_on.wait(5)
        run.finish()

    def close():
        bench.life.leave(slowly, [])

    closer = threading.Thread(target=close)
    closer.start()
    assert closing.wait(5)
    assert bench.life.running is None, "what begins now is not of the closing run"
    runs = []
    enterer = threading.Thread(target=lambda: runs.append(bench.enter()))
    enterer.start()
    enterer.join(0.05)
    assert enterer.is_alive()
    assert bench.life.latest is first, "and no lock keeps others from asking"
    goes_on.set()
    enterer.join(5)
    closer.join(5)
    assert runs
    assert runs[0] is not first
    assert bench.stopped == 1, "the second run is not stopped by the end of the first"
    bench.leave()


def test_a_signal_handler_cannot_enter_a_meter_that_is_being_opened(bench):
    def started():
        with pytest.raises(SpecError, match="is being opened"):
            bench.enter()
        raise KeyError("the start goes wrong, too")

    with pytest.raises(KeyError):
        bench.life.enter(started, [])
    bench.enter()
    bench.leave()
    assert bench.life.running is None


def test_a_failed_start_changes_nothing(bench):
    run = bench.enter()
    bench.pass_ms(5)
    bench.leave()

    def fails():
        raise KeyError

    entered = []
    with pytest.raises(KeyError):
        bench.life.enter(fails, entered)
    assert entered == []
    assert bench.life.latest is run
    assert run.usage().joules == pytest.approx(0.01)


def lines_of(work, stop_at=None):
    """Run ``work`` and count its lines of our code; raise KeyboardInterrupt at one of them."""
    count, where = 0, None

    def trace(frame, event, _):
        nonlocal count, where
        if "/energymeter/meter/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            count += 1
            if count == stop_at:
                where = frame.f_code.co_name, frame.f_lineno
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return count, where


def test_an_interruption_at_any_line_of_entering_and_leaving_leaves_nothing_open():
    def block(bench):
        bench.enter()
        bench.leave()

    def fresh():
        made = Bench()
        made.pass_ms(10)
        return made

    bench = fresh()
    lines, _ = lines_of(lambda: block(bench))
    assert lines > 50
    for line in range(1, lines + 1):
        bench = fresh()
        with pytest.raises(KeyboardInterrupt):
            lines_of(lambda: block(bench), line)  # noqa: B023 - called here
        if bench.life.running is not None:  # before leaving had begun: it is the caller's to leave
            bench.leave()
        bench.enter()
        bench.pass_ms(3)
        bench.leave()
        assert bench.life.running is None, line
        assert bench.life.latest.usage().seconds == pytest.approx(0.003), line
    assert gone(), left_behind()


def test_a_meter_interrupted_on_the_way_out_has_stopped_its_source():
    source = Counting()
    meter = EnergyMeter(source, rate_hz=500, sync=lambda: None)
    lines, _ = lines_of(lambda: meter.__enter__().__exit__())
    tried = 0
    for line in range(1, lines + 1, 7):
        source = Counting()
        meter = EnergyMeter(source, rate_hz=500, sync=lambda: None)
        meter.__enter__()
        try:
            lines_of(meter.__exit__, line)
        except KeyboardInterrupt:
            tried += 1
            if line > 4:  # before that nothing of ours has run
                assert (source.opened, source.closed) == (1, 1), line
                assert not active._meters, line
        if meter._life.running is not None:
            meter.__exit__()
    assert tried > 5


def test_a_forgotten_meter_is_released():
    source = Counting()
    meter = EnergyMeter(source, rate_hz=200)
    meter.__enter__()
    span = meter.span("kept")
    del meter
    gc.collect()
    assert source.closed == 1
    assert gone()
    assert active.latest() is None
    with span:
        pass
    with pytest.raises(NotMeasured, match="outside"):
        _ = span.usage


def test_the_baseline_within_a_running_block_is_that_of_its_own_seconds():
    class Steps(Counting):
        watts = 10.0
        reads = 0

        def read(self):
            self.reads += 1
            return Reading(watts=self.watts)

        def reads_again(self):
            before = self.reads
            until(lambda: self.reads >= before + 2)

    source = Steps()
    meter = EnergyMeter(source, rate_hz=50)
    with meter:
        time.sleep(0.1)
        source.reads_again()
        source.watts = 2.0
        source.reads_again()
        idle = meter.idle(0.05)
    assert idle.watts == pytest.approx(2.0)
    assert meter.usage.mean_watts > 2.2, "the block itself is measured on"
    with meter:
        time.sleep(0.05)
    assert meter.usage.net_joules == pytest.approx(0.0, abs=1e-9)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_worker_leaves_its_parent_s_run_alone():
    with EnergyMeter(THREE_WATTS, rate_hz=200) as meter:
        sampler = meter._life.running.sampler._host.pid
        holding = threading.Event()

        def hold():
            with meter._life._changed:
                holding.set()
                time.sleep(1.0)

        threading.Thread(target=hold, daemon=True).start()
        holding.wait()
        pid = os.fork()
        if pid == 0:
            signal.alarm(10)
            meter.__exit__()  # although a thread that is not here holds the lock
            os._exit(meter._life.running is not None)
        assert os.waitpid(pid, 0)[1] == 0
        os.kill(sampler, 0)
        assert meter._life.running is not None
        time.sleep(0.02)
    assert meter.usage.joules == pytest.approx(3.0 * meter.usage.seconds * meter.usage.coverage, rel=1e-6)


def test_a_worker_forked_from_a_meter_on_an_object_measures_nothing_and_says_so():
    """The thread that samples an object does not exist in the worker."""
    with EnergyMeter(Counting(), rate_hz=500) as meter:
        time.sleep(0.02)
        pid = os.fork()
        if pid == 0:
            signal.alarm(10)
            with meter.span("in the worker"):
                time.sleep(0.03)
            try:
                _ = meter.spans["in the worker"].joules
            except NotMeasured:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0


def test_what_a_meter_shows_of_itself():
    meter = EnergyMeter('http@"http://ann:secret@10.0.0.9/p?key=1"?watts=$.p,manual:3W')
    assert repr(meter).startswith("EnergyMeter(http@http://10.0.0.9/p")
    assert repr(meter).endswith(",manual:3W: not entered yet)")
    assert not any(secret in repr(meter) for secret in ("ann", "secret", "key"))
    meter = EnergyMeter(Counting(), rate_hz=500)
    with meter:
        time.sleep(0.01)
        assert repr(meter).startswith("EnergyMeter(counting: running, ")
    assert repr(meter).startswith("EnergyMeter(counting: closed, ")
    assert " W mean" in repr(meter)
    assert repr(EnergyMeter()) == "EnergyMeter(the best sensor here: not entered yet)"


def test_the_recording_reports_how_it_goes(tmp_path):
    meter = EnergyMeter("manual:3W", rate_hz=200, out=tmp_path / "run.csv")
    with pytest.raises(NotMeasured, match="measured nothing yet"):
        _ = meter.recording
    with meter:
        time.sleep(0.05)
    assert meter.recording.rows > 5
    assert (meter.recording.error, meter.recording.ended) == ("", False)


def test_entering_a_second_time_does_not_wait_for_the_first_answer(bench):
    """Results of a run stay what they were, whatever its meter does next."""
    run = bench.enter()
    bench.pass_ms(4)
    bench.leave()
    first = run.usage()
    bench.enter()
    bench.sleep(100 * MS)
    bench.pass_ms(1)
    bench.leave()
    assert run.usage() == first


def test_the_first_question_in_a_block_imports_nothing():
    """A signal handler that asks while the first question still imports a module would get half of it."""
    code = (
        "import sys\n"
        "from energymeter import EnergyMeter\n"
        "meter = EnergyMeter('manual:5V,0.6A', rate_hz=100)\n"
        "with meter:\n"
        "    with meter.span('one'): pass\n"
        "    before = set(sys.modules)\n"
        "    meter.spans['one'], meter.usage\n"
        "    print(sorted(name for name in set(sys.modules) - before if name.startswith('energymeter')))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


@pytest.mark.slow
def test_an_interruption_of_leaving_is_too_early_at_its_first_line_alone():
    """Nothing can guard the line that begins the guard; every later one leaves the meter closed."""
    code = EnergyMeter.__exit__.__code__

    def leave(meter, stop_at):
        count = 0

        def trace(frame, event, _):
            nonlocal count
            if frame.f_code is not code:
                return None
            if event == "line":
                count += 1
                if count == stop_at:
                    raise KeyboardInterrupt
            return trace

        sys.settrace(trace)
        try:
            meter.__exit__()
        finally:
            sys.settrace(None)
        return count

    lines = leave(EnergyMeter(THREE_WATTS).__enter__(), -1)
    assert lines >= 3
    still_entered = []
    for line in range(1, lines + 1):
        meter = EnergyMeter(THREE_WATTS).__enter__()
        with pytest.raises(KeyboardInterrupt):
            leave(meter, line)
        if meter._life.running is not None:
            still_entered.append(line)
            meter.__exit__()
        with meter:
            time.sleep(0.01)
        assert 0.01 <= meter.usage.seconds < 1.0
        meter.close()
    assert still_entered == [1]
    assert gone(), left_behind()
