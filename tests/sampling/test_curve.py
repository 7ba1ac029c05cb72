"""The curve in memory: exact on samples, interpolated in between, of constant size, safe while written."""

import math
import random
import threading

import pytest
from devices.rows import row_of
from hypothesis import given, settings
from hypothesis import strategies as st

from energymeter.energy.integrate import Integrator
from energymeter.energy.uncertainty import Part
from energymeter.energy.usage import combine
from energymeter.errors import NotMeasured
from energymeter.reading import Facts, Reading
from energymeter.sampling import memory as memory_module
from energymeter.sampling.curve import Curve
from energymeter.sampling.memory import (
    HEAD_BYTES,
    HISTORY_SAMPLES,
    ChannelMemory,
    Count,
    CurveWriter,
    channel_bytes,
    ring_samples,
)

MS = 1_000_000


class Pen:
    """A curve and its writer over the same memory, fed with readings."""

    def __init__(self, semantics="instant", capacity=1024, gap_ns=10**9):
        self.shared = memoryview(bytearray(channel_bytes(capacity)))
        self.memory = ChannelMemory(self.shared, capacity)
        self.writer = CurveWriter(self.memory)
        self.curve = Curve(self.memory, trapezoids=semantics == "instant")
        self.integrator = Integrator(Facts(semantics=semantics), gap_ns)

    def write(self, *rows):
        for at_ns, watts in rows:
            sample = self.integrator.add(at_ns, Reading(watts=watts, volts=5.0, amps=watts / 5.0))
            self.writer.append(row_of(sample))


def test_totals_are_exact_on_samples_and_drawn_in_between():
    pen = Pen()
    pen.write((0, 1.0), (1000 * MS, 3.0))
    assert pen.curve.at(1000 * MS).joules == pytest.approx(2.0)
    # the line from 1 W to 3 W is at 2 W in the middle: (1+2)/2 * 0.5
    assert pen.curve.at(500 * MS).joules == pytest.approx(0.75)
    assert pen.curve.at(500 * MS).coulombs == pytest.approx(0.15)
    assert pen.curve.at(500 * MS).volt_seconds == pytest.approx(2.5)


@given(
    st.lists(st.tuples(st.integers(1, 40), st.floats(0, 1e3)), min_size=2, max_size=30),
    st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 60)), min_size=1, max_size=20),
    st.booleans(),
)
def test_what_was_searched_before_changes_no_window(rows, windows, trapezoids):
    pen, at_ns = Pen("instant" if trapezoids else "mean", gap_ns=25 * MS), 0
    for step, watts in rows:
        at_ns += step * MS
        pen.write((at_ns, watts))
    # sorted, many of them follow one another between the same two samples
    for start, length in sorted(windows):
        edges = start * MS, (start + length) * MS + length
        fresh = Curve(pen.memory, trapezoids=trapezoids).window(*edges)
        assert repr(pen.curve.window(*edges)) == repr(fresh)
        assert repr(pen.curve.window(*edges)) == repr(fresh)


def test_a_mean_is_level_within_its_interval():
    pen = Pen("mean")
    pen.write((0, 1.0), (1000 * MS, 3.0))
    assert pen.curve.at(500 * MS).joules == pytest.approx(1.5)


def test_outside_the_curve_nothing_is_invented():
    pen = Pen()
    pen.write((1000 * MS, 2.0), (2000 * MS, 2.0))
    window = pen.curve.window(0, 5000 * MS)
    assert (window.joules, window.covered_seconds, window.seconds) == (
        pytest.approx(2.0),
        pytest.approx(1.0),
        5.0,
    )


def test_a_gap_is_level_and_its_bridge_is_shared_by_time():
    pen = Pen(gap_ns=100 * MS)
    pen.write((0, 2.0), (1000 * MS, 2.0), (1050 * MS, 2.0))
    window = pen.curve.window(250 * MS, 750 * MS)
    assert (window.joules, window.covered_seconds) == (0.0, 0.0)
    assert window.gap_fill_joules == pytest.approx(1.0)


rows = st.lists(st.tuples(st.integers(1, 400 * MS), st.floats(0, 100)), min_size=2, max_size=60)


@given(rows, st.sampled_from(["instant", "mean"]), st.lists(st.floats(-0.1, 1.1), min_size=3, max_size=3))
def test_adjoining_windows_add_up_and_energy_never_falls(rows, semantics, places):
    pen = Pen(semantics)
    times = [1]
    for step, watts in rows:
        times.append(times[-1] + step)
        pen.write((times[-1], watts))
    a, b, c = sorted(round(place * times[-1]) for place in places)
    whole, left, right = pen.curve.window(a, c), pen.curve.window(a, b), pen.curve.window(b, c)
    assert left.joules + right.joules == pytest.approx(whole.joules, rel=1e-9, abs=1e-9)
    assert left.covered_seconds + right.covered_seconds == pytest.approx(whole.covered_seconds, abs=1e-9)
    assert left.joules >= -1e-9
    assert whole.covered_seconds <= whole.seconds + 1e-9


@given(st.floats(0.01, 100), st.lists(st.integers(0, 10_000), min_size=2, max_size=2, unique=True))
def test_steady_power_in_any_window_is_power_times_time(watts, edges):
    pen = Pen()
    pen.write(*((i * 7 * MS, watts) for i in range(2000)))
    start, end = (edge * MS for edge in sorted(edges))
    assert pen.curve.window(start, end).joules == pytest.approx(watts * (end - start) * 1e-9, rel=1e-9)


def test_the_total_of_a_run_much_longer_than_the_ring_is_exact():
    pen = Pen(capacity=1024)
    pen.write(*((i * MS, 1.0 + i % 2) for i in range(50_001)))
    whole = pen.curve.window(pen.curve.first_ns(), pen.curve.last_ns())
    assert (whole.joules, whole.covered_seconds) == (pytest.approx(75.0, rel=1e-12), pytest.approx(50.0))
    assert whole.peak_watts == 2.0


def test_the_history_keeps_the_whole_run_in_constant_memory():
    pen = Pen(capacity=1024)
    pen.write(*((i * MS, 9.0 if i == 12_345 else 1.0) for i in range(40_000)))
    samples = pen.curve.samples()
    assert len(samples) <= HISTORY_SAMPLES + 1024
    assert samples[0].at_ns == 0
    assert samples[-1].at_ns == 39_999 * MS
    times = [sample.at_ns for sample in samples]
    assert times == sorted(set(times))
    assert pen.curve.peak(0, 39_999 * MS) == 9.0, "a peak outlives its sample"
    assert pen.curve.peak(20_000 * MS, 30_000 * MS) == 1.0


@pytest.fixture
def short_history(monkeypatch):
    """A history of 16 samples, so that its stride soon is longer than the ring."""
    monkeypatch.setattr(memory_module, "HISTORY_SAMPLES", 16)


@pytest.mark.parametrize("killed", [False, True])
def test_a_peak_that_the_ring_has_forgotten_and_the_history_does_not_have_yet_is_known(short_history, killed):
    """Records of the history are 2048 samples apart here: the last one may be older than the ring."""
    pen = Pen(capacity=1024)
    count = 16 * 2048 + 1900
    spike = count - 1000
    rows = [(i * MS, 9.0 if i == spike else 2.0) for i in range(count)]
    pen.write(*rows[: spike + 100])
    if killed:  # the next sampler knows only what is in the memory
        pen.writer = CurveWriter(pen.memory)
    pen.write(*rows[spike + 100 :])
    assert pen.memory.counts[Count.STRIDE] > 1024
    remembered_ns = pen.memory.history.times[pen.memory.counts[Count.HISTORY_COUNT] - 1]
    assert pen.curve.oldest_ns() > spike * MS > remembered_ns
    assert pen.curve.peak(0, (count - 1) * MS) == 9.0
    assert pen.curve.peak((spike - 1) * MS, (spike + 1) * MS) == 9.0
    assert pen.curve.peak((count - 100) * MS, (count - 1) * MS) == 2.0
    pen.write(*((i * MS, 2.0) for i in range(count, count + 2048)))
    assert pen.curve.peak(0, count * MS) == 9.0, "also when the history has it"


def test_an_edge_older_than_the_ring_is_found_in_the_history():
    pen = Pen(capacity=1024)
    pen.write(*((i * MS, 2.0) for i in range(20_000)))
    assert pen.curve.window(3_333 * MS + 500, 4_444 * MS).joules == pytest.approx(2.0 * 1.1109995, rel=1e-6)


def test_a_writer_killed_while_thinning_leaves_a_readable_curve():
    pen = Pen(capacity=1024)
    pen.write(*((i * MS, 2.0) for i in range(5_000)))
    pen.memory.counts[Count.GENERATION] += 1  # as if it had died between the two counts
    heir = CurveWriter(pen.memory)
    heir.append(row_of(pen.integrator.add(5_000 * MS, Reading(watts=2.0))))
    assert pen.curve.window(0, 5_000 * MS).joules == pytest.approx(10.0)
    assert pen.curve.at(2_000 * MS).joules == pytest.approx(4.0, rel=1e-3)


@pytest.mark.parametrize("moved", [1, 700, HISTORY_SAMPLES // 2 - 1])
def test_a_history_that_was_left_half_thinned_is_read_all_the_same(moved):
    """The sampler was killed at it and not started again."""
    pen = Pen(capacity=1024)
    pen.write(*((i * MS, 9.0 if i == 1500 else 2.0) for i in range(HISTORY_SAMPLES)))
    pen.memory.counts[Count.GENERATION] += 1
    peaks = pen.memory.history.peaks
    for kept in range(1, moved + 1):
        pen.memory.history.move(2 * kept, kept, max(peaks[2 * kept - 1], peaks[2 * kept]))
    assert pen.curve.window(10 * MS, 1000 * MS).joules == pytest.approx(2.0 * 0.99)
    assert pen.curve.window(0, 4000 * MS).joules == pytest.approx(8.007)
    assert pen.curve.peak(0, 4000 * MS) == 9.0
    assert pen.curve.peak(0, 1000 * MS) == 2.0
    times = [sample.at_ns for sample in pen.curve.samples()]
    assert times == sorted(set(times))
    assert (times[0], times[-1]) == (0, (HISTORY_SAMPLES - 1) * MS)


def test_reading_while_another_thread_writes_is_always_consistent():
    pen = Pen(capacity=1024)
    pen.write((0, 3.0))
    wrong = []
    done = threading.Event()

    def read():
        while not done.is_set():
            now = pen.curve.last_ns()
            window = pen.curve.window(max(0, now - 700 * MS), now)
            if not math.isclose(window.joules, 3.0 * window.seconds, rel_tol=1e-9, abs_tol=1e-9):
                wrong.append(window)

    reader = threading.Thread(target=read)
    reader.start()
    pen.write(*((i * MS, 3.0) for i in range(1, 60_000)))
    done.set()
    reader.join()
    assert not wrong


@given(st.integers(0, 2**13 - 1), st.sampled_from([1, 2, 1023, 1024, 1500]))
@settings(deadline=None)
def test_a_record_of_which_some_words_are_still_the_old_ones_is_not_read(fresh_words, index):
    """Stores may become visible in any order: here every word by itself is old or new."""
    pen = Pen(capacity=1024)
    steady = [(i * 10 * MS, 2.0) for i in range(index + 1)]  # all rates are the same in both
    pen.write(*steady[:-1])
    record_bytes = 13 * 8
    start = HEAD_BYTES + index % 1024 * record_bytes
    slot = slice(start, start + record_bytes)
    old = bytes(pen.shared[slot])
    pen.write(steady[-1])
    new = bytes(pen.shared[slot])
    words = [(new if fresh_words >> i & 1 else old)[8 * i : 8 * i + 8] for i in range(13)]
    pen.shared[slot] = b"".join(words)
    assert (pen.memory.sample(index) is None) == (b"".join(words) != new)
    pen.shared[slot] = new
    assert pen.memory.sample(index).at_ns == index * 10 * MS


def test_a_ring_holds_a_minute_within_bounds():
    assert ring_samples(1e-320) == ring_samples(1 / 300) == ring_samples(0.1) == 1024
    assert ring_samples(100) >= 6000
    assert ring_samples(1000) == 65_536


def test_the_last_complaint_is_cut_at_a_whole_character():
    pen = Pen()
    pen.memory.head.error = "ü" * 500
    assert set(pen.curve.error) == {"ü"}
    pen.memory.head.error = "short"
    assert pen.curve.error == "short"


def test_the_peak_of_any_window_is_that_of_its_samples_also_where_the_ring_has_wrapped():
    rng = random.Random(20_000)
    watts = [rng.uniform(0.0, 9.0) for _ in range(20_000)]
    pen = Pen(capacity=1024)
    pen.write(*((n * MS, level) for n, level in enumerate(watts)))
    oldest = pen.curve.oldest_ns() // MS
    for _ in range(600):
        first, last = sorted(rng.randrange(oldest, 20_000) for _ in range(2))
        start_ns, end_ns = first * MS + rng.randrange(MS), last * MS + rng.randrange(MS)
        if start_ns > end_ns:
            continue
        # the newest sample not later than the start belongs to it: its neighbour
        assert pen.curve.peak(start_ns, end_ns) == max(watts[first : last + 1])


def test_a_peak_is_known_though_the_writer_overwrites_slots_while_they_are_searched():
    pen = Pen(capacity=1024)
    pen.write(*((i * MS, 5.0) for i in range(2048)))

    class Slow(int):
        """A moment that takes so long to compare that the writer overwrites most of the ring."""

        def __lt__(self, other):
            if len(pen.curve) == 2048:
                pen.write(*((i * MS, 5.0) for i in range(2048, 2898)))
            return int(self) < other

    assert pen.curve.peak(2046 * MS, Slow(2047 * MS)) == 5.0


@pytest.mark.parametrize("semantics", ["instant", "mean"])
def test_a_window_that_ends_in_a_gap_allows_for_the_power_on_its_other_side(semantics):
    """The load stepped while nothing came: the power before the gap is no limit to what flowed in it."""
    pen = Pen(semantics, gap_ns=200 * MS)
    pen.write((0, 2.0), (100 * MS, 2.0), (200 * MS, 2.0), (2200 * MS, 10.0), (2300 * MS, 10.0))
    window = pen.curve.window(0, 1200 * MS)
    assert window.covered_seconds == pytest.approx(0.2)
    assert window.peak_watts == 10.0
    usage = combine([Part("stalled", Facts(semantics=semantics), window, 0.1)])
    assert usage.bounds == pytest.approx((0.4, 10.4))
    assert abs(usage.interpolated_joules - 8.4) <= 2.5 * usage.interpolated_uncertainty
    assert pen.curve.window(0, 200 * MS).peak_watts == 2.0
    assert pen.curve.window(0, 100 * MS).peak_watts == 2.0


def test_a_spike_is_found_in_the_ring_and_in_the_history_and_nowhere_else():
    watts = [1.0] * 20_000
    watts[5_000], watts[19_700] = 7.0, 8.0
    pen = Pen(capacity=1024)
    pen.write(*((n * MS, level) for n, level in enumerate(watts)))
    assert pen.curve.peak(19_650 * MS, 19_800 * MS) == 8.0
    assert pen.curve.peak(19_701 * MS, 19_999 * MS) == 1.0
    assert pen.curve.peak(19_100 * MS, 19_600 * MS) == 1.0
    assert pen.curve.peak(4_900 * MS, 5_100 * MS) == 7.0, "wholly in the history"
    assert pen.curve.peak(10_000 * MS, 12_000 * MS) == 1.0
    assert pen.curve.peak(4_900 * MS, 19_999 * MS) == 8.0
    assert pen.curve.peak(0, 19_600 * MS) == 7.0


def test_the_peak_of_a_window_between_two_samples_is_that_of_the_larger():
    pen = Pen(capacity=1024)
    pen.write((0, 1.0), (10 * MS, 2.0), (20 * MS, 9.0), (30 * MS, 1.0))
    assert pen.curve.peak(12 * MS, 18 * MS) == 9.0
    assert pen.curve.peak(22 * MS, 28 * MS) == 9.0
    assert pen.curve.peak(2 * MS, 8 * MS) == 2.0
    assert pen.curve.peak(10 * MS, 12 * MS) == 2.0, "it holds a sample"


def test_a_block_ends_with_the_sample_that_follows_and_keeps_what_a_later_one_overwrites():
    pen = Pen(capacity=64)
    pen.write(*((n * MS, 2.0) for n in range(1, 11)))
    pen.memory.counts[Count.FAILED] = 3
    block = Curve(pen.memory, trapezoids=True)
    block.begin(9, pen.memory.counts.tolist())
    pen.write(*((n * MS, 4.0) for n in range(11, 21)))
    pen.memory.counts[Count.FAILED] = 5
    block.end(20 * MS - 1)
    assert block.observed(Count.FAILED) == 2
    block.keep_counts(pen.memory.counts.tolist())
    assert (len(block), block.first_ns(), block.last_ns()) == (20, 10 * MS, 20 * MS)
    window, samples = block.window(10 * MS, 20 * MS), block.samples()
    pen.write(*((n * MS, 8.0) for n in range(21, 41)))
    pen.memory.counts[Count.FAILED] = 9
    assert block.complete()
    assert block.last().at_ns == 20 * MS
    assert [sample.at_ns for sample in samples] == [n * MS for n in range(10, 21)]
    block.detach()
    pen.write(*((n * MS, 8.0) for n in range(41, 400)))
    assert block.window(10 * MS, 20 * MS) == window
    assert block.samples() == samples
    assert block.observed(Count.FAILED) == 2
    assert block.interval_seconds(1.0) == pytest.approx(1e-3)
    assert block.at(30 * MS) == block.at(20 * MS), "what came later is another block's"


def test_a_block_that_was_overwritten_refuses_to_answer():
    pen = Pen(capacity=64)
    pen.write(*((n * MS, 2.0) for n in range(1, 11)))
    block = Curve(pen.memory, trapezoids=True)
    block.begin(4, pen.memory.counts.tolist())
    block.end(10 * MS)
    assert block.complete()
    pen.write(*((n * MS, 8.0) for n in range(11, 200)))
    with pytest.raises(NotMeasured, match="overwritten"):
        block.window(6 * MS, 9 * MS)
