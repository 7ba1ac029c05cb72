"""Spans over a curve that a test writes by hand: shorter than a sample, longer than the ring, a million."""

import gc
import json
import math
import os
import signal
import sys
import threading
import time
import tracemalloc
from array import array

import pytest
from devices.by_hand import CAPACITY, MS, Bench, Pen

from energymeter import EnergyMeter
from energymeter.errors import NotMeasured, SpecError
from energymeter.meter.span import Span, SyncedSpan
from energymeter.meter.spans import SpansByName, Statistics
from energymeter.reading import Band, Facts, Reading
from energymeter.sampling.memory import Count
from energymeter.testing import ScriptedSource


@pytest.fixture
def bench():
    made = Bench()
    made.pass_ms(10)
    made.enter()
    yield made
    made.life.end()


def test_a_span_shorter_than_a_sample(bench):
    bench.sleep(MS // 4)
    with bench.span() as span:
        bench.sleep(MS // 4)
    bench.pass_ms(2)
    assert span.usage.joules == pytest.approx(2.0 * 0.25e-3)


def test_a_span_longer_than_the_ring_is_exact_if_its_start_was_resolved_in_time(bench):
    bench.pass_ms(1)
    bench.sleep(123_456)
    with bench.span() as span:
        bench.pass_ms(2)
        start = bench.curve.at(span.start_ns)
        for _ in range(40):
            bench.pass_ms(CAPACITY // 4, watts=3.0)
            bench.life.running.spans.resolve()
    assert span.usage.seconds > 9 * CAPACITY * 1e-3
    assert span.usage.mean_watts == pytest.approx(3.0, rel=1e-3)
    assert span.usage.joules == bench.curve.window(span.start_ns, span.end_ns, start).joules


def test_a_span_whose_start_the_ring_forgot_is_found_in_the_history(bench):
    with bench.span() as span:
        bench.pass_ms(8 * CAPACITY)
    assert span.usage.joules == pytest.approx(2.0 * span.usage.seconds, rel=1e-6)


def test_ending_a_span_resolves_the_old_ones_before_the_ring_forgets_them(bench):
    start_ns, start = bench.now_ns, bench.curve.at(bench.now_ns)
    for i in range(100):
        with bench.span():
            bench.pass_ms(CAPACITY // 16, watts=1.0 + i % 2)
    (channel,) = bench.life.running.spans._channels
    assert channel.resolved["span"].n > 90, "they were resolved on the way"
    spans = bench.spans()
    rounded = [round(usage.joules / usage.seconds) for usage in spans.usages]
    assert rounded == pytest.approx([1, 2] * 50, abs=1)
    assert spans.joules.total == pytest.approx(bench.curve.window(start_ns, bench.now_ns, start).joules)


def test_spans_that_end_while_others_are_resolved_start_no_pass_of_their_own(bench, monkeypatch):
    resolver, passes = bench.life.running.spans, []
    advanced = resolver._advanced

    def ends_meanwhile(*arguments):
        passes.append(1)
        if len(passes) < 5:
            with bench.span():
                pass
        return advanced(*arguments)

    monkeypatch.setattr(resolver, "_advanced", ends_meanwhile)
    bench.pass_ms(1)
    resolver.due_ns = bench.now_ns - 1
    with bench.span():
        pass
    assert len(passes) == 1


def test_an_interrupted_pass_is_due_again(bench, monkeypatch):
    resolver = bench.life.running.spans
    due_ns = resolver.due_ns
    monkeypatch.setattr(bench.curve, "late_ns", lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        resolver.resolve()
    assert resolver.due_ns == due_ns


def test_a_device_that_sends_faster_than_it_said_is_resolved_in_time():
    bench = Bench()
    bench.pens[0].sample_at(1.0)  # and sends 1000 a second
    bench.pass_ms(10)
    run = bench.enter()
    for i in range(100):
        with bench.span():
            bench.pass_ms(CAPACITY // 16, watts=1.0 + i % 2)
        if i == 0:
            run.spans.resolve()  # the watchdog's first pass, which meets the true rate
    (channel,) = run.spans._channels
    assert channel.resolved["span"].n > 90
    bench.leave()


def test_a_span_that_began_before_it_ended_in_another_order(bench):
    first, second = bench.span(), bench.span()
    first.__enter__()
    bench.pass_ms(5)
    second.__enter__()
    bench.pass_ms(5)
    first.__exit__()
    bench.pass_ms(5)
    second.__exit__()
    assert first.usage.joules == pytest.approx(0.02)
    assert second.usage.joules == pytest.approx(0.02)


def test_many_spans_take_less_than_a_hundred_bytes_each(bench):
    count = 10_000
    tracemalloc.start()
    try:
        for i in range(count):
            with bench.span():
                bench.sleep(10)
            if i % 100 == 0:
                bench.pass_ms(1)
        bench.leave()
        spans = bench.spans()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(spans) == count
    assert used / count < 100


def test_spans_of_each_name_are_kept_once_and_only_while_their_run_is():
    bench = Bench()
    bench.pass_ms(10)
    bench.enter()
    tracemalloc.start()
    try:
        for i in range(2_000):
            with bench.span(f"request {i}"):
                bench.sleep(10)
        bench.pass_ms(1)
        bench.leave()
        bench.life.latest.resolve_spans()
        a_name = tracemalloc.get_traced_memory()[0] / 2_000
        bench.enter()
        bench.leave()
        gc.collect()
        left = tracemalloc.get_traced_memory()[0] / 2_000
    finally:
        tracemalloc.stop()
    assert a_name < 1_100
    assert left < 50, "another block does not know the names of the one before"
    assert not bench.life.latest.spans.edges


def test_outside_of_a_block_nothing_is_kept(bench):
    bench.leave()
    with bench.span() as span:
        bench.pass_ms(1)
    assert not bench.life.latest.spans.edges
    with pytest.raises(NotMeasured, match="outside"):
        _ = span.usage


def test_calls_after_the_block_do_not_thin_the_mean(bench):
    for _ in range(3):
        with bench.span():
            bench.pass_ms(10)
    bench.leave()
    bench.pass_ms(1)
    before = repr(bench.spans())
    for _ in range(7):
        with bench.span():
            bench.pass_ms(10)
    assert repr(bench.spans()) == before
    assert (bench.spans().joules.n, bench.spans().joules.mean) == (3, pytest.approx(0.02))


def test_a_span_that_outlives_the_block_is_left_out_and_reports_its_coverage(bench):
    with bench.span():
        bench.pass_ms(10)
    span = bench.span().__enter__()
    bench.pass_ms(2)
    bench.leave()
    bench.sleep(8 * MS)
    span.__exit__()
    assert span.usage.coverage == pytest.approx(0.2)
    assert span.usage.bounds == pytest.approx((0.004, 0.02)), "what was measured, and the peak in the gap"
    assert (len(bench.spans()), bench.spans().joules.n, bench.spans().joules.left_out) == (2, 1, 1)
    assert bench.spans().joules.mean == pytest.approx(0.02)
    assert bench.spans().seconds.mean == pytest.approx(0.01), "of the same calls"
    assert len(bench.spans().usages) == 2


def test_a_span_entered_before_the_block_is_outside_of_it():
    bench = Bench()
    bench.pass_ms(10)
    span = bench.span().__enter__()
    bench.enter()
    bench.pass_ms(10)
    bench.leave()
    span.__exit__()
    with pytest.raises(NotMeasured, match="outside"):
        _ = span.usage


def test_a_span_of_an_earlier_run_keeps_its_usage(bench):
    with bench.span() as span:
        bench.pass_ms(2)
    bench.leave()
    before = span.usage
    bench.enter()
    bench.pass_ms(2)
    # the bench has one memory for both runs, whose readings are counted on
    assert span.usage._replace(overhead=None) == before._replace(overhead=None)


def test_no_call_and_no_source_are_different_reasons(bench):
    bench.span().__enter__()
    with pytest.raises(NotMeasured, match="has finished yet"):
        _ = bench.spans().joules
    blind = Bench()
    blind.enter()
    with blind.span() as span:
        blind.sleep(5)
    with pytest.raises(NotMeasured, match=r"none of 1 spans 'span' was measured .* so ask again"):
        _ = blind.spans().joules
    with pytest.raises(NotMeasured, match="or ask again, as the next sample has not been taken yet"):
        _ = span.usage
    blind.leave()
    with pytest.raises(NotMeasured, match=r"none of 1 spans 'span' was measured .* or raise the rate"):
        _ = blind.spans().joules
    with pytest.raises(NotMeasured):
        _ = blind.spans().usage
    assert blind.spans().usages == []
    assert repr(blind.spans()) == "Spans(span: not measured, n = 0, 1 left out)"


def test_spans_in_a_gap_are_left_out_and_counted(bench):
    for _ in range(4):
        with bench.span():
            bench.pass_ms(10)
    bench.sleep(1500 * MS)  # longer than the limit of a gap
    for _ in range(4):
        with bench.span():
            bench.sleep(10 * MS)
    bench.pass_ms(1)
    joules = bench.spans().joules
    assert (joules.n, joules.left_out) == (4, 4)
    assert joules.mean == pytest.approx(0.02)
    assert joules.median == pytest.approx(0.02)
    assert str(joules).endswith("n = 4, 4 left out")
    assert json.loads(json.dumps(joules.to_dict()))["left_out"] == 4
    assert bench.spans().usage.coverage == pytest.approx(0.5, abs=1e-3), "all together report what was missed"
    assert len(bench.spans().usages) == 4


def test_every_channel_must_have_measured_a_span():
    one, other = Pen("one"), Pen("other")
    bench = Bench(one, other)
    bench.pass_ms(10)
    bench.enter()
    with bench.span():
        bench.pass_ms(10)
    with bench.span():
        for _ in range(10):
            bench.sleep(MS)
            one.write(bench.now_ns, 2.0)
    bench.leave()
    joules = bench.spans().joules
    assert (joules.n, joules.left_out, joules.mean) == (1, 1, pytest.approx(0.04))


def test_a_channel_that_stands_still_does_not_hold_up_the_others():
    alive, dead = Pen("alive"), Pen("dead")
    bench = Bench(alive, dead)
    bench.pass_ms(10)
    run = bench.enter()
    for i in range(100):
        with bench.span():
            for _ in range(CAPACITY // 16):
                bench.sleep(MS)
                alive.write(bench.now_ns, 1.0 + i % 2)
    assert run.spans._channels[0].resolved["span"].n > 90
    assert "span" not in run.spans._channels[1].resolved
    bench.leave()


def test_asking_early_resolves_nothing_for_good(bench):
    """A source whose samples come late, all together, with times of their own."""
    times = []
    for i in range(20):
        with bench.span():
            for _ in range(10):
                bench.sleep(MS)
                times.append(bench.now_ns)
        if i == 12:
            early = bench.spans()
            with pytest.raises(NotMeasured, match="none of 13"):
                _ = early.joules
    for at_ns in times:
        bench.pens[0].write(at_ns, 2.0)
    joules = bench.spans().joules
    assert (joules.n, joules.left_out, joules.total) == (20, 0, pytest.approx(0.4))
    assert len(early) == 13, "and what was given stays as it was"
    with pytest.raises(NotMeasured, match="none of 13"):
        _ = early.joules


def test_what_was_given_never_changes(bench):
    with bench.span():
        bench.pass_ms(10)
    given = bench.spans()
    before = given.joules, given.seconds, given.usage, len(given), repr(given)
    for _ in range(5000):
        with bench.span():
            bench.pass_ms(1)
    bench.leave()
    bench.enter()
    with bench.span():
        bench.pass_ms(3)
    assert (given.joules, given.seconds, given.usage, len(given), repr(given)) == before


def test_a_name_from_somewhere_else_brings_no_escapes_to_the_terminal(bench):
    with bench.span("\x1b[31mred"):
        bench.pass_ms(10)
    spans = bench.spans("\x1b[31mred")
    assert spans.name == "\x1b[31mred"
    assert "\x1b" not in f"{spans} {spans!r} {SpansByName({spans.name: spans})!r}"


def test_what_a_device_counts_later_changes_no_span_that_was_given(bench):
    with bench.span():
        bench.pass_ms(100)
    bench.pass_ms(5)
    given = bench.spans()
    before = given.usage
    counts = bench.curve.counts  # its own counter steps, and says three times as much
    counts[Count.COUNTED_FROM_NS], counts[Count.COUNTED_TO_NS] = 15 * MS, 105 * MS
    counts[Count.COUNTED_TO_UJ] = 3 * round(before.joules * 1e6)
    assert given.usage == before
    causes = [component.cause for component in bench.spans().usage.components]
    assert "disagreement with its own counter" in causes, "what is given now knows it"


@pytest.mark.parametrize(("rate_hz", "seconds"), [(1000.0, 0.1), (4.0, 0.25), (0.01, 2.0)])
def test_an_answer_waits_for_one_more_sample_at_most(rate_hz, seconds):
    bench = Bench()
    bench.pens[0].sample_at(rate_hz)
    bench.pass_ms(3)
    bench.enter()
    with bench.span():
        bench.sleep(MS)
    bench.spans()
    assert bench.waited == pytest.approx(seconds)
    del bench.waited
    bench.sleep(2_100 * MS)
    bench.spans()
    assert not hasattr(bench, "waited"), "that sample is overdue: nothing is waited for"
    bench.leave()


def test_statistics_of_one_and_of_many():
    one = Statistics.of([2.0], "J")
    assert (one.n, one.total, one.mean, one.median) == (1, 2.0, 2.0, 2.0)
    assert math.isnan(one.sd)
    assert one.to_dict()["sd"] is None
    assert str(one) == "2.00 J, median 2.00 J, n = 1"
    many = Statistics.of([1.0, 2.0, 3.0, 10.0])
    assert (many.total, many.mean, many.median) == (16.0, 4.0, 2.5)
    assert many.sd == pytest.approx(4.0824829)


def test_asking_from_inside_an_open_span_leaves_its_energy_alone(bench):
    bench.sleep(MS // 2)
    with bench.span() as span:
        bench.spans()  # the newest sample is older than the span
        bench.pass_ms(10)
    bench.pass_ms(2)
    assert span.usage.joules == pytest.approx(2.0 * 0.01)


def test_spans_that_ended_in_disorder_are_still_found(bench):
    with bench.span() as first:
        bench.pass_ms(3)
    with bench.span() as second:
        bench.pass_ms(5)
    edges = bench.life.running.spans.edges["span"]
    a, b, c, d = edges
    edges[:] = array("q", [c, d, a, b])  # two threads left at the same time
    assert first.usage.joules == pytest.approx(0.006)
    assert second.usage.joules == pytest.approx(0.010)


def test_what_is_shown_has_units(bench):
    with bench.span("load") as span:
        bench.pass_ms(10)
    with bench.span("<script>"):
        bench.pass_ms(10)
    bench.pass_ms(1)
    assert repr(span).startswith("Span(load: 20.")
    assert repr(bench.span("new")) == "Span(new: not entered yet)"
    assert repr(bench.span("open").__enter__()) == "Span(open: open)"
    spans = bench.spans("load")
    assert repr(spans) == "Spans(load: 0.0200 J, median 0.0200 J, n = 1)"
    assert repr(spans.joules) == "Statistics(0.0200 J, median 0.0200 J, n = 1)"
    shown = SpansByName({"load": spans, "<script>": bench.spans("<script>")})
    assert " at 0x" not in repr(shown)
    assert "<td>0.0200</td>" in shown._repr_html_()
    assert "&lt;script&gt;" in shown._repr_html_()


# -- whatever happens meanwhile -----------------------------------------------------------------------


class Alarm(Exception):
    """What a signal handler raises."""


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_an_exception_at_any_line_of_resolving_leaves_nothing_half_written(step):
    def resolve_interrupted_at(bench, line):
        """Raise at the so many-th line of our own code; whether it was reached."""
        passed = 0

        def trace(frame, event, _):
            nonlocal passed
            if "/energymeter/" not in frame.f_code.co_filename:
                return None
            passed += event == "line"
            if passed == line:
                sys.settrace(None)
                raise Alarm
            return trace

        sys.settrace(trace)
        try:
            bench.life.running.spans.resolve()
        except Alarm:
            return True
        finally:
            sys.settrace(None)
        return False

    line, interrupted = 1, True
    while interrupted:
        bench = Bench(Pen("one"), Pen("other"))
        bench.pass_ms(10)
        bench.enter()
        for i in range(4):
            with bench.span("ab"[i % 2]):
                bench.pass_ms(1 + i, watts=1.0 + i)
            bench.pass_ms(1)
        interrupted = resolve_interrupted_at(bench, line)
        bench.pass_ms(2)
        for first, name in enumerate("ab"):
            snapshot = bench.life.latest.spans.snapshot(name)
            for number, i in enumerate(range(first, 4, 2)):
                for window in snapshot.windows(number):
                    assert window.seconds == pytest.approx(1e-3 * (1 + i)), line
                    # a span begins on the way from the 2 W before it to its own power
                    joules = 1e-3 * ((2.0 + 1.0 + i) / 2 + i * (1.0 + i))
                    assert window.joules == pytest.approx(joules), line
        bench.leave()
        line += step
    assert line > 200, "it was interrupted at many lines"


def test_a_signal_handler_that_asks_while_spans_are_resolved_gets_an_answer(bench):
    for _ in range(100):
        with bench.span():
            bench.pass_ms(1)
    bench.pass_ms(1)
    seen = []

    def trace(frame, event, _):
        if event == "call" and frame.f_code.co_name == "extended" and len(seen) < 50:
            sys.settrace(None)
            seen.append(bench.spans().joules.total)
            sys.settrace(trace)
        return

    sys.settrace(trace)
    try:
        total = bench.spans().joules.total
    finally:
        sys.settrace(None)
    assert seen
    assert [*seen, total] == pytest.approx([0.2] * (len(seen) + 1))


def test_threads_that_ask_and_end_spans_at_the_same_time(bench):
    wrong = []
    done = threading.Event()

    def ask():
        while not done.is_set():
            for name in [*bench.life.running.spans.edges]:
                spans = bench.spans(name)
                if (
                    len(spans)
                    and abs(spans.usage.joules - 2.0 * spans.usage.seconds * spans.usage.coverage) > 1e-9
                ):
                    wrong.append(spans)
                bench.life.running.spans.resolve()

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(400):
        with bench.span("ab"[i % 2]):
            bench.pass_ms(3)
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    bench.leave()
    assert bench.spans("a").joules.n + bench.spans("b").joules.n == 400
    assert bench.spans("a").joules.total + bench.spans("b").joules.total == pytest.approx(2.4)


def test_a_forked_worker_at_the_worst_moment_knows_its_spans():
    """Threads of the parent that were resolving do not exist in the worker."""
    with EnergyMeter("manual:5V,0.6A", rate_hz=100) as meter:
        stop = threading.Event()

        def resolve():
            while not stop.is_set():
                meter.spans  # noqa: B018

        threading.Thread(target=resolve, daemon=True).start()
        for _ in range(5):
            with meter.span("work"):
                pass
            pid = os.fork()
            if pid == 0:
                signal.alarm(10)
                os._exit(not len(meter.spans["work"]))
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()


# -- devices that queue ------------------------------------------------------------------------------


class Accelerator:
    """Queues work and returns immediately, as a GPU does; the work draws 2 W while it runs."""

    def __init__(self, bench):
        self.bench = bench
        self.queued_ms = 0

    def launch(self, milliseconds):
        self.queued_ms += milliseconds

    def synchronize(self):
        milliseconds, self.queued_ms = self.queued_ms, 0
        self.bench.pass_ms(milliseconds)


def test_queued_work_is_charged_to_the_span_that_launched_it(bench):
    device = Accelerator(bench)
    device.launch(40)  # before the span: not its own
    with SyncedSpan(bench.life, "synced", device.synchronize) as synced:
        device.launch(10)
        bench.pass_ms(1)
    device.synchronize()
    bench.pass_ms(2)
    assert synced.usage.joules == pytest.approx(2.0 * 0.011)
    assert synced.usage.seconds == pytest.approx(0.011)
    with bench.span("plain") as missed:
        device.launch(10)
        bench.pass_ms(1)
    device.synchronize()
    assert missed.usage.joules == pytest.approx(2.0 * 0.001)
    assert type(EnergyMeter("manual:3W").span("x")) is Span, "nothing is paid for what is not used"


def test_synced_calls_and_failing_devices(bench):
    device = Accelerator(bench)

    @SyncedSpan(bench.life, "launch", device.synchronize)
    def launch():
        device.launch(5)

    launch()
    launch()
    bench.pass_ms(2)
    assert bench.spans("launch").seconds.median == pytest.approx(0.005)
    device.synchronize = lambda: 1 / 0
    failing = SyncedSpan(bench.life, "failing", lambda: device.synchronize())
    with pytest.raises(ZeroDivisionError), failing:
        raise AssertionError("never entered")
    good = Accelerator(bench)
    span = SyncedSpan(bench.life, "good", lambda: good.synchronize())

    def crash():
        with span:
            bench.pass_ms(3)
            good.synchronize = lambda: 1 / 0
            raise KeyError("the program's own")

    with pytest.raises(ZeroDivisionError) as caught:
        crash()
    assert isinstance(caught.value.__context__, KeyError)
    bench.pass_ms(2)
    assert span.usage.seconds == pytest.approx(0.003), "the span is closed all the same"


def test_a_span_is_used_once(bench):
    with bench.span() as span:
        pass
    with pytest.raises(SpecError, match="used already"), span:
        pass


def test_calls_in_which_a_gauge_hardly_moved_have_no_statistics():
    facts = Facts(
        semantics="counter", place="cell", joules=Band(0.0, 0.0, 3600.0), default_hz=200, max_hz=200
    )
    source = ScriptedSource(
        lambda n: Reading(joules=3600.0 * min(n // 5, 2)), name="gauge", facts=facts._replace(max_watts=1e9)
    )
    with EnergyMeter(source) as meter, meter.span("call"):
        while source.reads < 20:
            time.sleep(0.005)
    spans = meter.spans["call"]
    assert len(spans) == 1
    for ask in (lambda: spans.usage, lambda: spans.joules):
        with pytest.raises(NotMeasured, match="moves in steps of 3600 J"):
            ask()
