"""What a program holds in its hand: blocks, decorators, spans, threads, tasks, forks, failures."""

import asyncio
import concurrent.futures
import math
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from devices.measured import measured
from devices.programs import program

from energymeter import Battery, Budget, EnergyMeter, NotMeasured, SpecError, measure
from energymeter.drivers.manual import Manual
from energymeter.errors import LedgerError, ProvenanceRefused, SourceMissing
from energymeter.reading import Facts, Reading
from energymeter.sampling import priority

FAST = {"rate_hz": 500.0}
THREE_WATTS = "manual:5V,0.6A"


def work(seconds=0.02):
    """Something that takes a while without sleeping through it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        math.factorial(200)


def is_three_watts(usage):
    """The energy is that of 3 W over the measured time; of a busy machine some may be missing."""
    assert usage.coverage > 0
    return usage.joules == pytest.approx(3.0 * usage.seconds * usage.coverage, rel=1e-6)


def test_a_block_is_measured():
    with EnergyMeter(THREE_WATTS, **FAST) as meter:
        work()
    usage = meter.usage
    assert usage.joules == pytest.approx(3.0 * usage.seconds * usage.coverage, rel=1e-3)
    assert usage.mah == pytest.approx(600 * usage.seconds * usage.coverage / 3600, rel=1e-3)
    assert usage.mean_watts == pytest.approx(3.0)
    assert usage.peak_watts == pytest.approx(3.0)
    assert usage.mean_volts == pytest.approx(5.0)
    assert 0.0 < usage.coverage <= 1.0 + 1e-9  # of a busy machine some may be missing
    assert usage.provenance == "manual"
    assert usage.sources == (THREE_WATTS,)
    assert usage.uncertainty == pytest.approx(
        usage.joules * 2 / math.sqrt(12) * math.hypot(1 / 5, 0.1 / 0.6), rel=0.02
    )
    assert usage.overhead.reads > 2
    assert usage.overhead.cpu_seconds > 0
    assert usage.overhead.priority == priority.granted()


def test_in_simulated_time_all_of_it_is_measured():
    usage = measured(Manual("5V,0.6A"), seconds=2.0, rate_hz=100.0)
    assert usage.coverage == 1.0
    assert usage.seconds == 2.0
    assert usage.joules == pytest.approx(6.0, rel=1e-9)


def test_a_block_shorter_than_a_sample_is_measured_too():
    with EnergyMeter(THREE_WATTS, rate_hz=1.0) as meter:
        work(0.001)
    assert meter.usage.joules == pytest.approx(3.0 * meter.usage.seconds * meter.usage.coverage, rel=1e-6)
    assert meter.usage.uncertainty > 0.5 * meter.usage.joules, "but nobody should believe it blindly"


def test_the_usage_is_there_while_the_block_runs():
    with EnergyMeter(THREE_WATTS, **FAST) as meter:
        work()
        first = meter.usage.joules
        work()
        assert meter.usage.joules > first > 0


def test_the_users_exception_passes_and_the_usage_stays():
    class Mine(Exception):
        pass

    mine = Mine("untouched")
    meter = EnergyMeter(THREE_WATTS, **FAST)
    with pytest.raises(Mine) as caught, meter, meter.span("part"):
        raise mine
    assert caught.value is mine
    assert is_three_watts(meter.usage)
    assert len(meter.spans["part"]) == 1


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_a_program_passes_too(stop):
    meter = EnergyMeter(THREE_WATTS, **FAST)
    with pytest.raises(stop), meter:
        raise stop
    assert is_three_watts(meter.usage)


def test_entering_again_starts_a_new_run():
    meter = EnergyMeter(THREE_WATTS, **FAST)
    for _ in range(2):
        with meter, meter.span("part"):
            work()
    assert len(meter.spans["part"]) == 1
    assert meter.usage.seconds < 10


def test_a_meter_within_itself_is_the_same_measurement():
    meter = EnergyMeter(THREE_WATTS, **FAST)
    with meter:
        with meter:
            work()
        inner = meter.usage.seconds
        work()
    assert meter.usage.seconds > inner


def test_a_failed_entry_leaves_the_meter_usable():
    meter = EnergyMeter("rapl?root=/nowhere")
    for _ in range(2):
        with pytest.raises(SourceMissing), meter:
            pass
    with pytest.raises(NotMeasured, match="measured nothing yet"):
        _ = meter.usage


def test_it_decorates_functions_and_coroutines():
    meter = EnergyMeter(THREE_WATTS, **FAST)

    @meter
    def plain(x):
        """Said here."""
        work()
        return x + 1

    @meter
    async def slow(x):
        await asyncio.sleep(0)
        return x + 2

    assert plain(1) == 2
    assert plain.__doc__ == "Said here."
    assert is_three_watts(meter.usage)
    assert asyncio.run(slow(1)) == 3


def test_it_is_an_asynchronous_context_manager():
    async def main():
        async with EnergyMeter(THREE_WATTS, **FAST) as meter:
            await asyncio.sleep(0)
        return meter.usage

    assert is_three_watts(asyncio.run(main()))


def test_measure_makes_a_function_that_knows_its_usage():
    @measure(THREE_WATTS, **FAST)
    def once(x):
        work()
        return 2 * x

    with pytest.raises(NotMeasured):
        _ = once.usage
    assert once(21) == 42
    assert once.usage.joules == pytest.approx(3.0 * once.usage.seconds * once.usage.coverage, rel=1e-3)
    assert once.__name__ == "once"


def test_measure_works_on_methods():
    class Model:
        @measure(THREE_WATTS, **FAST)
        def infer(self, x):
            return (self, x)

    model = Model()
    assert model.infer(3) == (model, 3)
    assert is_three_watts(Model.infer.usage)


# -- spans -----------------------------------------------------------------------------------------


def test_spans_tell_each_call_and_their_statistics():
    meter = EnergyMeter(THREE_WATTS, **FAST)

    @meter.span("infer")
    def infer():
        work(0.005)

    infer()  # outside of the block: not measured
    with meter:
        for _ in range(10):
            infer()
    infers = meter.spans["infer"]
    assert len(infers) == len(infers.usages) == infers.joules.n == 10
    assert infers.joules.total == pytest.approx(
        sum(3.0 * usage.seconds * usage.coverage for usage in infers.usages), rel=1e-6
    )
    assert infers.joules.mean == pytest.approx(infers.joules.total / 10)
    assert infers.joules.median == statistics.median(usage.joules for usage in infers.usages)
    assert infers.mah.total == pytest.approx(infers.joules.total / 5.0 / 3.6, rel=1e-6)
    assert infers.usage.joules == pytest.approx(infers.joules.total)
    assert infers.usage.coverage == pytest.approx(infers.joules.total / 3.0 / infers.seconds.total)
    assert "n = 10" in str(infers)


def test_a_span_knows_its_own_usage_at_once():
    with EnergyMeter(THREE_WATTS, **FAST) as meter:
        with meter.span("load") as load:
            work()
            with pytest.raises(NotMeasured, match="still open"):
                _ = load.usage
        assert load.usage.joules == pytest.approx(3.0 * load.usage.seconds * load.usage.coverage, rel=1e-6)


def test_adjoining_spans_add_up_to_the_block():
    with EnergyMeter("sim:pi4") as meter, meter.span("whole") as whole:
        for _ in range(4):
            with meter.span("part"):
                work(0.01)
    parts = meter.spans["part"].joules.total
    assert parts <= whole.usage.joules * (1 + 1e-9)
    between = whole.usage.seconds - meter.spans["part"].seconds.total
    assert whole.usage.joules - parts <= meter.usage.peak_watts * between + 1e-9


def test_nested_overlapping_and_threaded_spans_are_each_right():
    meter = EnergyMeter(THREE_WATTS, **FAST)

    def walk(depth):
        with meter.span(f"depth {depth}"):
            work(0.002)
            if depth:
                walk(depth - 1)

    with meter, concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(walk, [2] * 16))
    for depth in range(3):
        spans = meter.spans[f"depth {depth}"]
        assert len(spans) == 16
        for usage in spans.usages:
            assert usage.joules == pytest.approx(3.0 * usage.seconds * usage.coverage, rel=1e-6)


def test_spans_of_tasks_that_interleave_are_each_right():
    async def task(meter, n):
        with meter.span("task"):
            for _ in range(n):
                await asyncio.sleep(0.001)

    async def main(meter):
        await asyncio.gather(*(task(meter, n) for n in range(1, 9)))

    with EnergyMeter(THREE_WATTS, **FAST) as meter:
        asyncio.run(main(meter))
    assert len(meter.spans["task"]) == 8
    assert meter.spans["task"].joules.total == pytest.approx(
        3.0 * meter.spans["task"].seconds.total, rel=1e-6
    )


def test_decorated_recursion_generators_and_coroutines():
    meter = EnergyMeter(THREE_WATTS, **FAST)

    @meter.span("fib")
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    @meter.span("count")
    def count(n):
        yield from range(n)

    @meter.span("wait")
    async def wait():
        await asyncio.sleep(0)

    with meter:
        assert fib(6) == 8
        assert list(count(3)) == [0, 1, 2]
        asyncio.run(wait())
    assert {name: len(spans) for name, spans in meter.spans.items()} == {"fib": 25, "count": 1, "wait": 1}


def test_a_span_object_is_used_once():
    with EnergyMeter(THREE_WATTS, **FAST) as meter:
        span = meter.span("x")
        with span:
            pass
        with pytest.raises(SpecError, match="used already"), span:
            pass


class Counting:
    """A source that lives in this process."""

    name = "counting"

    def __init__(self):
        self.facts = Facts()

    def open(self):
        pass

    def read(self):
        return Reading(watts=2.0)

    def close(self):
        pass


def test_the_program_s_own_work_is_no_cost_of_the_measuring():
    with EnergyMeter(Counting()) as meter:
        end_ns = time.process_time_ns() + 200_000_000
        while time.process_time_ns() < end_ns:
            pass
    assert 0 < meter.usage.overhead.cpu_seconds < 0.1


def test_an_object_is_measured_in_a_thread_and_the_usage_says_so():
    with EnergyMeter(Counting(), rate_hz=20.0) as meter:  # slow enough for a busy machine
        work()
    assert "thread" in str(meter.usage)
    assert meter.usage.joules == pytest.approx(2.0 * meter.usage.seconds * meter.usage.coverage, rel=1e-3)


# -- loops -----------------------------------------------------------------------------------------


def test_a_device_is_waited_for_at_every_edge():
    calls = []
    with EnergyMeter(THREE_WATTS, sync=lambda: calls.append(time.monotonic_ns()), **FAST) as meter:
        assert len(calls) == 1
        with meter.span("part"):
            assert len(calls) == 2
        assert len(calls) == 3
        assert list(meter.track([1, 2], progress=False)) == [1, 2]
        assert len(calls) == 7
    assert len(calls) == 8
    assert is_three_watts(meter.usage)


def test_a_device_that_fails_at_an_edge_leaves_nothing_running():
    before = threading.active_count()
    failing = EnergyMeter(THREE_WATTS, sync=lambda: 1 / 0, **FAST)
    with pytest.raises(ZeroDivisionError), failing:
        raise AssertionError("never entered")
    broken = []
    meter = EnergyMeter(THREE_WATTS, sync=lambda: 1 / len(broken), **FAST)
    broken.append(None)

    def crash():
        with meter:
            work()
            broken.clear()

    with pytest.raises(ZeroDivisionError):
        crash()
    assert is_three_watts(meter.usage)
    assert meter._life.latest.sampler._host is None
    assert threading.active_count() <= before + 1  # a watchdog may still be on its way out


def test_a_pi_that_throttled_says_so(tmp_path, monkeypatch):
    state = tmp_path / "state"
    state.write_text("throttled=0x0")
    program(tmp_path, "vcgencmd", f'[ "$1" = get_throttled ] && cat {state}')
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with EnergyMeter(THREE_WATTS, **FAST) as meter:
        work()
        state.write_text("throttled=0x50005")
    assert [note[:45] for note in meter.usage.notes if "During the run" in note] == [
        "During the run the supply sagged below 4.63 V",
        "During the run the processor was throttled, s",
    ]
    assert "During the run the supply sagged" in str(meter.usage)
    with EnergyMeter(THREE_WATTS, **FAST) as meter:
        work()
        state.write_text("throttled=0x50000")
    assert any("sagged" in note for note in meter.usage.notes), "it was so when the run began"


def test_spans_of_a_counter_that_ticks_slower_than_it_is_read_say_so(tmp_path):
    class Ticks:
        """Three watts, reported every 40 ms."""

        name = "ticks"
        facts = Facts(semantics="counter")
        began_ns = 0

        def open(self):
            self.began_ns = time.monotonic_ns()

        def read(self):
            return Reading(joules=3.0 * 0.04 * ((time.monotonic_ns() - self.began_ns) // 40_000_000))

        def close(self):
            pass

    with EnergyMeter(Ticks(), rate_hz=200.0) as meter:
        work(0.15)
        with meter.span("short"):
            work(0.002)
        work(0.15)
    short = meter.spans["short"].usage
    assert short.uncertainty > 3.0 * 0.02, "half of a tick's energy, though the span itself is a 20th of it"
    assert meter.usage.uncertainty < 0.5 * meter.usage.joules


def test_track_passes_items_through_with_a_span_each():
    with EnergyMeter(THREE_WATTS, **FAST) as meter:
        seen = []
        for item in meter.track(iter("abc"), name="letter"):
            work(0.003)
            seen.append(item)
    assert seen == ["a", "b", "c"]
    assert len(meter.spans["letter"]) == 3


def test_leaving_a_tracked_loop_early_closes_its_span():
    with EnergyMeter(THREE_WATTS, **FAST) as meter:
        for item in meter.track(range(100)):
            if item == 2:
                break
    assert len(meter.spans["item"]) == 3


def test_a_progress_bar_shows_the_cost(capsys):
    with EnergyMeter(THREE_WATTS, **FAST) as meter:
        for _ in meter.track(range(5), name="batch", progress=True):
            work(0.002)
    shown = capsys.readouterr().err
    assert "batch" in shown
    assert "5/5" in shown
    assert "mAh" in shown


# -- sources ---------------------------------------------------------------------------------------


def test_sources_joined_by_plus_add_up_and_by_comma_are_excluded():
    with EnergyMeter("manual:5V,0.6A+manual:5V,0.4A,manual:9W", **FAST) as meter:
        work()
    assert meter.usage.mean_watts == pytest.approx(5.0)
    first, second = meter.usage.covered_seconds  # next to other work one may miss more than the other
    assert meter.usage.mah == pytest.approx(1000 * (0.6 * first + 0.4 * second) / 3600, rel=1e-6)
    assert meter.usages["manual:9W"].mean_watts == pytest.approx(9.0)


def test_charge_of_rails_at_different_voltages_is_not_added():
    with EnergyMeter("manual:5V,0.6A+manual:12V,0.5A", **FAST) as meter:
        work()
    assert meter.usage.mean_watts == pytest.approx(9.0)
    assert meter.usage.mah is None


def test_no_current_gives_no_charge_unless_a_voltage_is_assumed_and_said():
    with EnergyMeter("manual:7.2W", **FAST) as meter:
        work()
    assert meter.usage.mah is None
    with EnergyMeter("manual:7.2W", nominal_volts=5.0, **FAST) as meter:
        work()
    assert meter.usage.mah == pytest.approx(meter.usage.joules / 5 / 3.6)
    assert "at 5.0 V nominal" in str(meter.usage)


def test_a_required_provenance_refuses_lesser_sources():
    with (
        pytest.raises(ProvenanceRefused, match="manual") as error,
        EnergyMeter(THREE_WATTS, require="measured"),
    ):
        pass
    assert error.value.exit_code == 3


def test_without_a_sensor_the_model_is_used_and_said(monkeypatch):
    monkeypatch.setenv("ENERGYMETER_SOURCE", "model@pi4")
    with EnergyMeter() as meter:
        work()
    assert meter.usage.provenance == "modelled"
    assert meter.usage.uncertainty > 0.3 * meter.usage.joules


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, math.nan])
def test_a_rate_that_reads_nothing_is_refused(rate_hz):
    with pytest.raises(SpecError, match="positive"):
        EnergyMeter(THREE_WATTS, rate_hz=rate_hz)


@pytest.mark.slow
def test_a_source_that_never_reads_is_not_measured_with_its_reason():
    class Dead(Counting):
        def read(self):
            raise SourceMissing("nobody answers at 0x40")

    meter = EnergyMeter(Dead(), **FAST)
    with meter:
        work()
    with pytest.raises(NotMeasured, match=r"counting.*nobody answers at 0x40"):
        _ = meter.usage


def test_an_idle_baseline_gives_gross_and_net():
    meter = EnergyMeter("manual:3W", **FAST)
    idle = meter.idle(0.05)
    assert idle.watts == pytest.approx(3.0)
    with meter:
        work()
    usage = meter.usage
    assert usage.joules == pytest.approx(3.0 * usage.seconds * usage.coverage, rel=1e-3)
    assert usage.net_joules == pytest.approx(0.0, abs=1e-3)
    assert usage.net_uncertainty > 0
    assert "net of idle" in str(usage)


def test_traces_of_several_sources_begin_at_one_time():
    class Slow(Counting):
        name = "slow"
        asked = False

        def read(self):
            if not self.asked:
                self.asked = True
                time.sleep(0.06)
            return Reading(watts=3.0)

    meter = EnergyMeter(Counting(), **FAST)
    meter._groups = [[Counting(), Slow()]]
    with meter:
        work()
    first, second = meter.trace.parts
    assert first.time_s[0] == 0.0
    assert second.time_s[0] > 0.02, "it has its first sample later"
    assert second.time_s[-1] == pytest.approx(first.time_s[-1], abs=0.02), "and the last one at the same time"


def test_the_trace_has_numpy_columns_and_a_dataframe():
    with EnergyMeter(THREE_WATTS, **FAST) as meter:
        work()
    trace = meter.trace
    assert trace.time_s.shape == trace.watts.shape
    assert trace.joules[-1] == pytest.approx(3.0 * trace.seconds)
    assert list(trace.to_pandas().columns) == ["volts", "amps", "watts", "joules", "coulombs", "covered_s"]


# -- other processes -------------------------------------------------------------------------------


def test_a_killed_sampler_is_reported_and_costs_coverage_only():
    with EnergyMeter(THREE_WATTS, **FAST) as meter:
        work()
        os.kill(meter._life.latest.sampler._host.pid, signal.SIGKILL)
        end = time.monotonic() + 5
        while not meter._life.latest.sampler.restarts:
            assert time.monotonic() < end
            time.sleep(0.01)
        work()
    usage = meter.usage
    assert usage.coverage < 1
    assert usage.joules == pytest.approx(3.0 * usage.seconds * usage.coverage, rel=1e-6)
    assert usage.interpolated_joules == pytest.approx(3.0 * usage.seconds, rel=1e-2)
    assert "restarted" in str(usage)


@pytest.mark.slow
def test_nothing_is_left_for_the_garbage_collector(tmp_path):
    """Python's own checks, which a user may have switched on, find no file of ours that was not closed."""
    code = f"""
import os, signal, time
from energymeter import EnergyMeter, Trace
with EnergyMeter({THREE_WATTS!r}, out="run.csv", rate_hz=100) as meter:
    time.sleep(0.05)
    os.kill(meter._life.latest.sampler._host.pid, signal.SIGKILL)
    while not meter._life.latest.sampler.restarts:
        time.sleep(0.01)
    time.sleep(0.05)
print(len(Trace.load("run.csv")) > 0)"""
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_within_the_block_hurts_neither_side():
    with EnergyMeter(THREE_WATTS, **FAST) as meter:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            with meter.span("in the child") as span:
                work()
            right = math.isclose(span.usage.joules, 3.0 * span.usage.seconds, rel_tol=1e-6)
            meter.__exit__(None, None, None)
            right = right and meter.usage.joules > 0
            os.write(writer, b"y" if right else b"n")
            os._exit(0)
        work()
        os.waitpid(child, 0)
        assert os.read(reader, 1) == b"y"
        os.close(reader)
        os.close(writer)
        work()
    is_three_watts(meter.usage)


def _in_worker(_):
    with EnergyMeter(THREE_WATTS, rate_hz=20.0) as meter:  # slow enough for two cores that are busy
        work(0.3)
    return meter.usage.mean_watts


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_it_works_in_multiprocessing_workers(method):
    try:
        multiprocessing.Lock()
    except OSError as error:
        pytest.skip(f"no semaphores can be made here: {error}")
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(_in_worker, range(2)) == pytest.approx([3.0, 3.0], rel=1e-3)


@pytest.mark.slow
def test_no_thread_and_no_process_is_left_behind():
    before = threading.active_count()
    with EnergyMeter(THREE_WATTS, **FAST) as meter:
        child = meter._life.latest.sampler._host.pid
    end = time.monotonic() + 5
    while threading.active_count() > before:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert not Path(f"/proc/{child}").exists()


def test_it_works_in_an_interpreter_without_a_main_file():
    code = f"""from energymeter import EnergyMeter
with EnergyMeter({THREE_WATTS!r}) as meter:
    pass
print(meter.usage.joules > 0)"""
    done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


# -- budgets ---------------------------------------------------------------------------------------


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return Budget("lab", Battery.phone(), shares={"inference": 0.5})


def test_a_budget_pays_for_every_block_once(lab):
    meter = EnergyMeter(THREE_WATTS, budget="lab", stage="inference", **FAST)
    total = 0.0
    for _ in range(2):
        with meter, meter.span("infer"):
            work()
        total += meter.usage.joules
    assert lab.spent_joules == pytest.approx(total, abs=2e-6)
    assert {line.stage for line in lab.lines() if line.joules > 0} == {"inference"}
    assert lab.runs_left(per="infer").value > 0


def test_the_cost_of_a_span_is_that_of_covered_calls(lab):
    class Unplugged(Counting):
        plugged = True

        def read(self):
            if not self.plugged:
                raise SourceMissing("unplugged")
            return Reading(watts=2.0)

    source = Unplugged()
    with EnergyMeter(source, budget=lab, rate_hz=25.0) as meter:  # slow enough for a busy machine
        for source.plugged in (True, True, False, False, False):
            with meter.span("infer"):
                time.sleep(0.08)
    joules = meter.spans["infer"].joules
    assert len(meter.spans["infer"]) == 5
    assert 1 <= joules.n <= 2
    unit = lab._unit("infer")
    assert unit.joules == pytest.approx(joules.mean, rel=1e-3)
    assert unit.joules == pytest.approx(2.0 * meter.spans["infer"].seconds.mean, rel=1e-3)
    assert unit.joules > 0.159


def test_a_budget_that_is_not_there_is_reported_before_anything_is_measured():
    with pytest.raises(LedgerError, match="nowhere"), EnergyMeter(THREE_WATTS, budget="nowhere"):
        raise AssertionError("it must not come to this")


def test_the_users_exception_goes_before_a_ledger_that_fails(lab):
    meter = EnergyMeter("manual:3W", budget="lab", **FAST)
    with pytest.warns(RuntimeWarning, match="not debited"), pytest.raises(ZeroDivisionError), meter:
        ledger = lab._ledger.path
        ledger.unlink()
        ledger.mkdir()
        raise ZeroDivisionError
