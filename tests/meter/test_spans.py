"""Spans over a curve that a test writes by hand: shorter than a sample, longer than the ring, a million."""

import math
import os
import signal
import tracemalloc
from array import array

import pytest

from energymeter import EnergyMeter
from energymeter.energy.integrate import Integrator
from energymeter.energy.uncertainty import Part
from energymeter.energy.usage import combine
from energymeter.errors import NotMeasured
from energymeter.meter import span_store, spans
from energymeter.meter.span_store import Recording, SpanLog
from energymeter.meter.spans import Span, Spans, Statistics, open_span
from energymeter.reading import Facts, Reading
from energymeter.sampling.curve import Curve
from energymeter.sampling.memory import ChannelMemory, CurveWriter, channel_bytes

MS = 1_000_000
CAPACITY = 1024


class Bench:
    """A curve of one sample a millisecond, and spans whose clock is the curve's."""

    def __init__(self, monkeypatch):
        self.now_ns = 1
        for module in (spans, span_store):
            monkeypatch.setattr(module, "_now_ns", lambda: self.now_ns)
        memory = ChannelMemory(memoryview(bytearray(channel_bytes(CAPACITY))), CAPACITY)
        self.writer = CurveWriter(memory)
        self.integrator = Integrator(Facts(), 10**9)
        self.curve = Curve(memory, trapezoids=True)
        self.recording = Recording([self.curve], CAPACITY // 4 * MS, lambda _: None, self.usage)

    def usage(self, draws):
        return combine([Part("bench", Facts(), draw) for draw in draws])

    def log(self, name="span"):
        log = SpanLog(name)
        log.begin(self.recording)
        return log

    def pass_ms(self, count, watts=2.0):
        for _ in range(count):
            self.now_ns += MS
            self.writer.append(self.integrator.add(self.now_ns, Reading(watts=watts)))


@pytest.fixture
def bench(monkeypatch):
    made = Bench(monkeypatch)
    made.pass_ms(10)
    return made


def test_a_span_shorter_than_a_sample(bench):
    log = bench.log()
    bench.now_ns += MS // 4
    with Span(log) as span:
        bench.now_ns += MS // 4
    bench.pass_ms(2)
    assert span.usage.joules == pytest.approx(2.0 * 0.25e-3)


def test_a_span_longer_than_the_ring_is_exact_if_its_start_was_settled_in_time(bench):
    log = bench.log()
    bench.now_ns += 123_456
    with Span(log) as span:
        bench.now_ns -= 123_456
        bench.pass_ms(1)
        start = bench.curve.at(span.start_ns)
        for _ in range(40):
            bench.pass_ms(CAPACITY // 4, watts=3.0)
            log.settle()
    power = span.usage.mean_watts
    assert span.usage.seconds > 9 * CAPACITY * 1e-3
    assert power == pytest.approx(3.0, rel=1e-3)
    assert span.usage.joules == bench.curve.draw(span.start_ns, span.end_ns, start).joules


def test_a_span_whose_start_the_ring_forgot_is_found_in_the_history(bench):
    log = bench.log()
    with Span(log) as span:
        bench.pass_ms(8 * CAPACITY)
    assert span.usage.joules == pytest.approx(2.0 * span.usage.seconds, rel=1e-6)


def test_closing_a_span_settles_the_old_ones_before_the_ring_forgets_them(bench):
    log = bench.log()
    start_ns, start = bench.now_ns, bench.curve.at(bench.now_ns)
    for i in range(100):
        with Span(log):
            bench.pass_ms(CAPACITY // 16, watts=1.0 + i % 2)
    assert log.settled() > 90, "they were settled on the way"
    settled = Spans(log)
    assert [round(draw.joules / draw.seconds) for draw in settled.usages] == pytest.approx([1, 2] * 50, abs=1)
    assert settled.joules.total == pytest.approx(bench.curve.draw(start_ns, bench.now_ns, start).joules)


def test_a_span_that_began_before_it_ended_in_another_order(bench):
    log = bench.log()
    first, second = Span(log), Span(log)
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
    log = bench.log()
    count = 50_000
    tracemalloc.start()
    try:
        for i in range(count):
            with Span(log):
                bench.now_ns += 10
            if i % 100 == 0:
                bench.pass_ms(1)
                log.settle()
        log.settle_all()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(Spans(log)) == count
    assert used / count < 100


def test_outside_of_a_measurement_nothing_is_kept():
    log = SpanLog("idle")
    with Span(log) as span:
        pass
    assert not log.edges
    with pytest.raises(NotMeasured, match="outside"):
        _ = span.usage


def test_no_call_and_no_source_are_told_apart(bench):
    with pytest.raises(NotMeasured, match="has finished yet"):
        _ = Spans(bench.log()).joules
    empty = Curve(ChannelMemory(memoryview(bytearray(channel_bytes(CAPACITY))), CAPACITY), trapezoids=True)
    log = SpanLog("blind")
    log.begin(bench.recording._replace(curves=[empty]))
    with Span(log):
        bench.now_ns += 5
    with pytest.raises(NotMeasured, match="1 spans 'blind'"):
        _ = Spans(log).joules


def test_statistics_of_one_and_of_many():
    one = Statistics.of([2.0])
    assert (one.n, one.total, one.mean, one.median) == (1, 2.0, 2.0, 2.0)
    assert math.isnan(one.sd)
    many = Statistics.of([1.0, 2.0, 3.0, 10.0])
    assert (many.total, many.mean, many.median) == (16.0, 4.0, 2.5)
    assert many.sd == pytest.approx(4.0824829)


def test_a_look_at_the_spans_from_inside_an_open_one_leaves_its_energy_alone(bench):
    log = bench.log()
    bench.now_ns += MS // 2
    with Span(log) as span:
        bench.now_ns -= MS // 2
        log.settle_all()  # the newest sample is older than the span
        bench.pass_ms(10)
        bench.now_ns += MS // 2
    bench.now_ns -= MS // 2
    bench.pass_ms(2)
    assert span.usage.joules == pytest.approx(2.0 * 0.01)


def test_a_span_of_an_earlier_measurement_is_not_of_this_one(bench):
    log = bench.log()
    with Span(log) as span:
        bench.pass_ms(2)
    assert span.usage.joules > 0
    log.begin(bench.recording)
    with pytest.raises(NotMeasured, match="outside"):
        _ = span.usage


def test_spans_that_ended_in_disorder_are_still_found(bench):
    log = bench.log()
    with Span(log) as first:
        bench.pass_ms(3)
    with Span(log) as second:
        bench.pass_ms(5)
    a, b, c, d = log.edges
    log.edges[:] = array("q", [c, d, a, b])  # two threads left at the same time
    assert first.usage.joules == pytest.approx(0.006)
    assert second.usage.joules == pytest.approx(0.010)


class Accelerator:
    """Queues work and returns at once, as a GPU does; the work draws 2 W while it runs."""

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
    log = bench.log()
    device.launch(40)  # before the span: not its own
    with open_span(log, device.synchronize) as synced:
        device.launch(10)
        bench.pass_ms(1)
    device.synchronize()
    bench.pass_ms(2)
    assert synced.usage.joules == pytest.approx(2.0 * 0.011)
    assert synced.usage.seconds == pytest.approx(0.011)
    plain = bench.log()
    with open_span(plain, None) as missed:
        device.launch(10)
        bench.pass_ms(1)
    device.synchronize()
    assert type(missed) is Span, "nothing is paid for what is not used"
    assert missed.usage.joules == pytest.approx(2.0 * 0.001)


def test_synced_calls_and_failing_devices(bench):
    device = Accelerator(bench)
    log = bench.log()

    @open_span(log, device.synchronize)
    def launch():
        device.launch(5)

    launch()
    launch()
    bench.pass_ms(2)
    assert Spans(log).seconds.median == pytest.approx(0.005)
    device.synchronize = lambda: 1 / 0
    failing = open_span(log, lambda: device.synchronize())
    with pytest.raises(ZeroDivisionError), failing:
        raise AssertionError("never entered")
    good = Accelerator(bench)
    span = open_span(log, lambda: good.synchronize())

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


def test_a_forked_worker_does_not_wait_for_a_lock_of_its_parent():
    """The keeper thread, which may have held it, is not in the worker."""
    with EnergyMeter("manual:5V,0.6A", rate_hz=100) as meter:
        with meter.span("work"):
            pass
        log = meter._logs["work"]
        with log._settling:
            pid = os.fork()
            if pid == 0:
                signal.alarm(10)
                os._exit(len(meter.spans["work"]) != 1)
        assert os.waitpid(pid, 0)[1] == 0
