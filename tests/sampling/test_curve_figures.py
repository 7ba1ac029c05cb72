"""The curve by figures worked out by hand: between two samples, around a window, as a ring goes round."""

import math

import pytest

from energymeter.energy.integrate import Sample
from energymeter.energy.window import NOTHING, Edges, Near
from energymeter.reading import Band, Facts
from energymeter.sampling.config import ChannelInfo
from energymeter.sampling.curve import Curve, Stretch
from energymeter.sampling.memory import Count, State
from energymeter.sampling.sampler import SampledChannel
from tests.sampling.test_curve import MS, Pen

SECOND = 1_000_000_000
NAN = float("nan")

# 2 W, then 4 W two seconds later at 5 V; 0.5 J of gaps lie before, the variance grows by 0.2 J²
BEFORE = Sample(1 * SECOND, 10.0, 1.0, 5.0, 1 * SECOND, 0.5, 2.0, 5.0, 0.4, 0.1)
AFTER = Sample(3 * SECOND, 16.0, 2.2, 15.0, 3 * SECOND, 0.5, 4.0, 5.0, 0.8, 0.3)


@pytest.mark.parametrize(
    ("trapezoids", "at_s", "joules", "coulombs", "volt_seconds", "covered"),
    [
        (True, 0.5, 10.0, 1.0, 5.0, 1.0), (True, 1.0, 10.0, 1.0, 5.0, 1.0),
        (True, 1.5, 11.125, 1.225, 7.5, 1.5), (True, 2.0, 12.5, 1.5, 10.0, 2.0),
        (True, 3.0, 16.0, 2.2, 15.0, 3.0), (True, 9.0, 16.0, 2.2, 15.0, 3.0),
        (False, 1.5, 11.5, 1.3, 7.5, 1.5), (False, 2.0, 13.0, 1.6, 10.0, 2.0),
        (False, 3.0, 16.0, 2.2, 15.0, 3.0),
    ],
)  # fmt: skip
def test_the_totals_between_two_samples(trapezoids, at_s, joules, coulombs, volt_seconds, covered):
    """From 2 W to 4 W in 2 s: 2.25 W on average in the first half second, 2.5 W in the first second."""
    point = Stretch(BEFORE, AFTER, trapezoids=trapezoids).at(round(at_s * SECOND))
    assert point[:5] == pytest.approx((joules, coulombs, volt_seconds, covered, 0.5))
    assert point.variance_joules2 == pytest.approx(0.1 * covered)


@pytest.mark.parametrize(
    ("trapezoids", "later", "step_watts", "edge_joules"),
    [
        (True, None, 2.0, 4 / math.sqrt(20)), (False, None, 2.0, 4 / math.sqrt(10)),
        (False, 9.0, 5.0, 10 / math.sqrt(10)), (False, 3.5, 2.0, 4 / math.sqrt(10)),
        (False, -3.0, 7.0, 14 / math.sqrt(10)), (False, NAN, 2.0, 4 / math.sqrt(10)),
    ],
)  # fmt: skip
def test_a_step_of_the_power_is_misplaced_within_an_interval_and_not_on_a_sample(
    trapezoids, later, step_watts, edge_joules
):
    next_one = None if later is None else AFTER._replace(watts=None if later != later else later)
    stretch = Stretch(BEFORE, AFTER, trapezoids=trapezoids, later=next_one)
    for at_ns in (SECOND + 1, 2 * SECOND, 3 * SECOND - 1):
        point = stretch.at(at_ns)
        assert (point.edge_joules, point.step_watts) == pytest.approx((edge_joules, step_watts))
    for at_ns in (SECOND, 3 * SECOND, 4 * SECOND):
        assert stretch.at(at_ns)[6:] == (0.0, 0.0)
    assert stretch.peak_watts == 4.0
    unknown = Stretch(BEFORE._replace(watts=None), AFTER, trapezoids=trapezoids)
    assert (unknown.at(2 * SECOND).edge_joules, unknown.peak_watts) == (0.0, 4.0)
    neither = Stretch(BEFORE._replace(watts=None), AFTER._replace(watts=None), trapezoids=trapezoids)
    assert neither.peak_watts != neither.peak_watts


def test_what_was_measured_of_an_interval_is_its_end():
    """A mean of one second, read after two: the first second is a gap that a straight line fills with 2 J."""
    after = AFTER._replace(covered_ns=2 * SECOND, gap_fill_joules=2.5)
    for trapezoids in (True, False):
        stretch = Stretch(BEFORE, after, trapezoids=trapezoids)
        found = [stretch.at(round(at_s * SECOND)) for at_s in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)]
        assert [point.joules for point in found] == pytest.approx([10, 10, 10, 10, 13, 16, 16])
        assert [point.covered_seconds for point in found] == pytest.approx([1, 1, 1, 1, 1.5, 2, 2])
        assert [point.gap_fill_joules for point in found] == pytest.approx([0.5, 0.5, 1, 1.5, 2, 2.5, 2.5])


def test_totals_that_begin_here_and_totals_that_nobody_knows():
    began = Stretch(
        BEFORE._replace(joules=None, coulombs=None), AFTER._replace(volt_seconds=None), trapezoids=True
    )
    middle = began.at(2 * SECOND)
    assert middle.joules == pytest.approx(16.0 * 2.5 / 6)
    assert middle.coulombs == pytest.approx(2.2 * 0.5 / 1.2)
    assert middle.volt_seconds != middle.volt_seconds
    one_rate = Stretch(BEFORE._replace(amps=None), AFTER, trapezoids=True).at(2 * SECOND)
    assert one_rate.coulombs == pytest.approx(1.6), "level, where one end alone is known"
    nothing = Stretch(BEFORE, BEFORE, trapezoids=True)
    assert nothing.at(2 * SECOND)[:5] == (10.0, 1.0, 5.0, 1.0, 0.5)


def test_a_window_within_two_instants():
    """Power from 2.5 W to 3.5 W in a second: 3 J; a step of 2 W is misplaced by 2 J/√6."""
    window = Stretch(BEFORE, AFTER, trapezoids=True).window(round(1.5 * SECOND), round(2.5 * SECOND))
    assert window[:4] == pytest.approx((1.0, 3.0, 0.6, 5.0))
    assert window.covered_seconds == pytest.approx(1.0)
    assert (window.gap_fill_joules, window.variance_joules2) == pytest.approx((0.0, 0.1))
    assert window.edge_joules == pytest.approx(2 / math.sqrt(6))
    assert window.start_joules == window.end_joules == pytest.approx(4 / math.sqrt(20))
    assert (window.peak_watts, window.start_shift, window.end_shift) == (4.0, 0.0, 0.0)
    half = Stretch(BEFORE, AFTER, trapezoids=True).window(round(1.5 * SECOND), 2 * SECOND)
    assert (half.seconds, half.joules) == pytest.approx((0.5, 1.375))
    assert half.edge_joules == pytest.approx(1 / math.sqrt(6))
    unknown = Stretch(BEFORE, AFTER._replace(coulombs=None), trapezoids=True)
    coulombs = unknown.window(2 * SECOND, 2 * SECOND + 1).coulombs
    assert coulombs != coulombs


# Windows of a curve


def drawn(times_s, watts=None, semantics="instant", capacity=1024, gap_s=2.5, **options):
    """A curve with these samples."""
    pen = Pen(semantics, capacity, round(gap_s * SECOND))
    levels = watts or [2.0] * len(times_s)
    pen.write(*((round(at_s * SECOND), level) for at_s, level in zip(times_s, levels, strict=True)))
    if options:
        pen.curve = Curve(pen.memory, trapezoids=semantics == "instant", **options)
    return pen


@pytest.mark.parametrize(
    ("times_s", "gap_s", "seconds"),
    [
        ([5], 2.5, 1.0), ([0, 0.5], 2.5, 1.0), ([0, 2], 2.5, 2.0), ([0, 0.5, 1, 1.5, 2], 2.5, 1.0),
        ([0, 0.5, 1, 1.5, 2, 2.5], 2.5, 0.5), ([0, 2, 4, 6, 8], 2.5, 2.0),
        ([0, 1, 2, 3, 4, 5, 105, 106], 2.5, 1.0), ([0, 3, 4, 5, 6, 7, 8], 2.5, 1.0),
    ],
)  # fmt: skip
def test_the_time_between_two_samples(times_s, gap_s, seconds):
    """Fewer than five intervals are taken to be no shorter than was asked for; gaps are left out."""
    pen = drawn(times_s, gap_s=gap_s)
    pen.memory.counts[Count.GAPS], pen.memory.counts[Count.GAP_NS] = (
        pen.integrator.gaps,
        pen.integrator.gap_ns,
    )
    assert pen.curve.interval_seconds(1.0) == pytest.approx(seconds)


def test_the_time_between_two_samples_of_a_block_is_its_own():
    pen = drawn([0, 1, 2, 3, 10, 10.5, 11, 11.5, 12, 12.5], gap_s=100)
    block = Curve(pen.memory, trapezoids=True)
    block.begin(4, pen.memory.counts.tolist())
    assert block.interval_seconds(1.0) == pytest.approx(0.5)
    block.begin(9, pen.memory.counts.tolist())
    assert block.interval_seconds(3.0) == 3.0


@pytest.mark.parametrize(("many", "reach_s"), [(1, 0.0), (2, 6.4), (3, 6.4), (200, 6.4)])
def test_how_much_time_a_full_ring_holds(many, reach_s):
    pen = drawn([0.1 * n for n in range(many)], capacity=64)
    assert pen.curve.reach_ns() == pytest.approx(reach_s * 1e9)


@pytest.mark.parametrize(
    ("many", "number", "most", "found"),
    [
        (10, 0, 100, (0, range(10))), (10, 3, 4, (3, range(3, 7))), (10, 9, 4, (9, range(9, 10))),
        (10, 10, 4, (10, ())), (10, 20, 4, (10, ())), (10, 3, 0, (3, ())), (64, 0, 3, (8, range(8, 11))),
        (200, 0, 2, (144, range(144, 146))), (200, 150, 2, (150, range(150, 152))),
    ],
)  # fmt: skip
def test_samples_from_a_number_on(many, number, most, found):
    """An eighth of a ring of 64 is left to the writer: the newest 56 are kept."""
    pen = drawn([0.1 * n for n in range(many)], capacity=64)
    first, samples = pen.curve.since(number, most)
    assert (first, [round(sample.at_ns / SECOND * 10) for sample in samples]) == (found[0], [*found[1]])


def test_a_record_that_is_not_visible_yet_ends_what_is_found():
    pen = drawn([0, 1, 2, 3])
    pen.memory.ring.bytes[2 * 104] ^= 1
    assert len(pen.curve.since(0, 10)[1]) == 2


def test_the_smallest_rise_is_looked_for_among_what_is_new():
    pen = Pen("instant", 64)
    rises = [5.0, 0.0, 3.0, 7.0, 2.0]
    assert pen.curve.smallest_rise() is None
    total, smallest = 0.0, []
    for second, rise in enumerate([0.0, *rises]):
        total += rise
        pen.writer.append((second * SECOND, total, NAN, NAN, second * SECOND, 0.0, 1.0, NAN, NAN, 0.0, 1.0))
        smallest.append(pen.curve.smallest_rise())
    assert smallest == [None, 5.0, 5.0, 3.0, 3.0, 2.0]
    for second in range(100, 300):
        total += 9.0 if second < 299 else 1.0
        pen.writer.append((second * SECOND, total, NAN, NAN, second * SECOND, 0.0, 1.0, NAN, NAN, 0.0, 1.0))
    assert pen.curve.smallest_rise() == 1.0


def test_a_block_is_complete_with_the_sample_at_its_end_or_after_it():
    pen = drawn([0, 1, 2, 3])
    for end_ns, last in (
        (2 * SECOND, 2),
        (2 * SECOND + 1, 3),
        (3 * SECOND, 3),
        (3 * SECOND + 1, None),
        (1, 1),
    ):
        block = Curve(pen.memory, trapezoids=True)
        assert (block.end_ns, block.complete()) == (0, False)
        block.end(end_ns)
        assert block.end_ns == end_ns
        assert block.complete() is (last is not None)
        assert len(block) == (4 if last is None else last + 1)
        assert block.last_ns() == (3 if last is None else last) * SECOND
    late = Curve(pen.memory, trapezoids=True)
    late.begin(3, pen.memory.counts.tolist())
    late.end(2 * SECOND)
    assert late.complete()
    assert late.last_ns() == 3 * SECOND, "the newest one before the block is its first"
    late.begin(4, pen.memory.counts.tolist())
    late._end = None
    assert not late.complete()


@pytest.mark.parametrize(("base", "now", "observed"), [(None, 7, 7), (3, 7, 4), (7, 7, 0), (9, 7, 0)])
def test_a_block_counts_its_own_part(base, now, observed):
    pen = drawn([0, 1])
    counts = pen.memory.counts
    if base is not None:
        pen.curve.count_from([base] * len(counts))
    counts[Count.MISSED] = counts[Count.STATE] = now
    assert pen.curve.observed(Count.MISSED) == observed
    assert pen.curve.observed(Count.STATE) == now, "a state is none of what rises"
    assert not pen.curve.counted
    pen.memory.head.error = "first"
    pen.curve.keep_counts(counts.tolist())
    assert pen.curve.counted
    counts[Count.MISSED], pen.memory.head.error = 100, "second"
    assert (pen.curve.observed(Count.MISSED), pen.curve.error) == (observed, "first")


def test_a_curve_without_a_sample_has_measured_nothing():
    pen = drawn([])
    assert pen.curve.window(0, SECOND) is NOTHING
    assert len(pen.curve) == 0
    assert (pen.curve.last(), pen.curve.last_ns()) == (None, 0)
    assert math.isnan(pen.curve.peak(0, SECOND))
    assert pen.curve.samples() == []


def test_a_step_that_comes_after_a_level_stretch_is_seen():
    """A mean of 2 W, and one of 9 W two samples later: the step may have come late in the stretch between."""
    levels = [2.0, 2.0, 2.0, 2.0, 2.0, 9.0]
    for semantics, step_watts in (("mean", 7.0), ("instant", 0.0)):
        pen = drawn(range(6), levels, semantics)
        assert pen.curve.at(round(3.5 * SECOND)).step_watts == step_watts
    assert drawn(range(5), levels[:5], "mean").curve.at(round(3.5 * SECOND)).step_watts == 0.0


def test_how_many_questions_were_answered():
    pen = drawn([0])
    assert pen.curve.answered() == 0
    pen.memory.head.answer(7)
    assert pen.curve.answered() == 7


# What a device shows late


@pytest.mark.parametrize(
    ("facts", "late_s"),
    [
        (Facts(), 0.0), (Facts(smoothing_seconds=0.3), 0.3), (Facts(renewal_seconds=0.5), 0.5),
        (Facts(renewal_seconds=4.0), 1.0), (Facts(renewal_seconds=0.5, smoothing_seconds=0.25), 0.75),
        (Facts(semantics="mean", max_hz=50.0), 0.0), (Facts(semantics="mean", max_hz=0.5), 1.0),
        (Facts(semantics="mean", max_hz=1.0), 0.0), (Facts(semantics="counter"), 0.0),
    ],
)  # fmt: skip
def test_how_late_a_value_may_be(facts, late_s):
    """Samples are a second apart."""
    pen = drawn(range(10))
    curve = Curve.of(facts, pen.memory)
    assert curve.late_ns() == pytest.approx(late_s * SECOND)


@pytest.mark.parametrize("watts", [None, 7.0])
def test_a_curve_knows_what_can_flow_at_most(watts):
    curve = Curve.of(Facts(max_watts=watts), drawn([0]).memory)
    assert curve._most_watts == (math.inf if watts is None else watts)


@pytest.mark.parametrize(
    ("start_s", "end_s", "seconds"),
    [(0, 10, 0.3), (9.8, 10, 0.2), (9.7, 10, 0.3), (0, 9.8, 0.1), (0, 9.7, 0.0), (0, 9.5, 0.0), (0, 12, 0.3)],
)
def test_what_the_newest_value_does_not_show_yet(start_s, end_s, seconds):
    """Power steps by 2 W each second, and a value may be 0.3 s old: a step anywhere in there, t long,
    misplaces 2 W t/√3."""
    pen = drawn(range(11), [2.0, 4.0] * 5 + [2.0])
    found = pen.curve._unseen_joules(round(start_s * SECOND), round(end_s * SECOND), 300 * MS)
    assert found == pytest.approx(2.0 * seconds / math.sqrt(3), abs=1e-9)


def test_the_newest_32_values_say_how_high_steps_are():
    """A step of 3 W is one of 30 among 32 values, the last pair being taken for a repeat."""
    for steady, seen in ((31, 3 / math.sqrt(30 * 3)), (32, 0.0)):
        pen = drawn(range(steady + 1), [5.0, *[2.0] * steady])
        assert pen.curve._unseen_joules(0, 100 * SECOND, SECOND) == pytest.approx(seen)
    assert drawn([0], [3.0]).curve._unseen_joules(-SECOND, SECOND, SECOND) == pytest.approx(3 / math.sqrt(3))


def test_where_no_power_is_known_nothing_is_known_to_be_unseen():
    pen = drawn(range(4))
    pen.writer.append((4 * SECOND, 1.0, NAN, NAN, 4 * SECOND, 0.0, NAN, NAN, NAN, 0.0, -math.inf))
    assert pen.curve._unseen_joules(0, 9 * SECOND, SECOND) == 0.0
    assert drawn([]).curve._unseen_joules(0, 9 * SECOND, SECOND) == 0.0


def test_what_is_not_shown_yet_widens_a_window_and_its_end():
    pen = drawn(range(11), [2.0, 4.0] * 5 + [2.0], age_seconds=lambda interval: 0.3)
    window = pen.curve.window(2 * SECOND, 10 * SECOND)
    edges = pen.curve._edges(2 * SECOND, 10 * SECOND, 300 * MS)
    unseen = 0.6 / math.sqrt(3)
    assert window.edge_joules == pytest.approx(math.hypot(edges.misplaced_joules(8.0), unseen))
    start, end, start_shift, end_shift = edges.alone(8.0)
    assert (window.start_joules, window.end_joules) == pytest.approx((start, end + unseen))
    assert (window.start_shift, window.end_shift) == (start_shift, end_shift)
    assert start_shift > 0
    assert end_shift > 0


# What is around a window


@pytest.mark.parametrize(
    ("semantics", "late_s", "length_s", "around"),
    [
        ("instant", 0.0, 0.5, False), ("instant", 0.1, 5.0, True), ("mean", 0.0, 1.999, True),
        ("mean", 0.0, 2.0, False), ("counter", 0.0, 1.0, True),
    ],
)  # fmt: skip
def test_short_windows_of_means_and_late_values_are_looked_around(semantics, late_s, length_s, around):
    pen = drawn(range(21), semantics="instant" if semantics == "instant" else "mean", gap_s=100)
    pen.curve.at(10 * SECOND + 1)
    end_ns = 10 * SECOND + round(length_s * SECOND)
    edges = pen.curve._edges(10 * SECOND, end_ns, round(late_s * SECOND))
    assert (edges is not None) is around


def test_the_edges_of_a_long_window_are_looked_around_apart():
    """Where it is longer than four intervals, and how late a value may be on top."""
    pen = drawn(range(41), age_seconds=lambda interval: 0.5, most_watts=9.0)
    pen.curve.at(10 * SECOND + 1)
    for length_ns, joined in ((4 * SECOND + 500 * MS, True), (4 * SECOND + 500 * MS + 1, False)):
        edges = pen.curve._edges(10 * SECOND, 10 * SECOND + length_ns, 500 * MS)
        assert isinstance(edges, Edges)
        assert (edges.start is edges.end) is joined
        assert (edges.late, edges.most_watts) == (0.5, 9.0)
    assert edges.start.times == [-2, -1, 0, 1, 2, 3]
    assert edges.end.times == [2, 3, 4, 5, 6, 7, 8]


def test_three_samples_on_either_side_are_around():
    pen = drawn(range(21), [float(n) for n in range(21)])
    near = pen.curve._samples_near(round(10.5 * SECOND), round(12.5 * SECOND), 10 * SECOND)
    assert near.times == [-2, -1, 0, 1, 2, 3, 4, 5]
    assert near.watts == [8, 9, 10, 11, 12, 13, 14, 15]
    assert near.joules == pytest.approx([n * n / 2 for n in range(8, 16)])
    assert near.straight
    assert pen.curve._samples_near(0, 0, 0).times == pytest.approx([0, 1, 2, 3])
    assert pen.curve._samples_near(-5, -5, 0).times == pytest.approx([0, 1, 2]), "before the first one"
    assert pen.curve._samples_near(20 * SECOND, 30 * SECOND, 0).times == pytest.approx([18, 19, 20])


def test_no_sample_beyond_a_gap_is_around():
    times = [0, 1, 2, 3, 4, 14, 15, 16, 17, 18]
    pen = drawn(times)
    assert pen.curve._samples_near(3 * SECOND, 3 * SECOND, 0).times == pytest.approx([1, 2, 3, 4]), (
        "a gap after it"
    )
    assert pen.curve._samples_near(15 * SECOND, 15 * SECOND, 0).times == pytest.approx(
        [14, 15, 16, 17, 18]
    ), "a gap before it"
    assert pen.curve._samples_near(9 * SECOND, 9 * SECOND, 0).times == pytest.approx([2, 3, 4])
    assert drawn([0, 10, 20]).curve._samples_near(15 * SECOND, 15 * SECOND, 0) is None
    assert drawn([0]).curve._samples_near(0, 0, 0) is None
    assert isinstance(drawn([0, 1]).curve._samples_near(0, 0, 0), Near)


def test_nothing_is_around_where_the_ring_has_forgotten_it():
    pen = drawn([0.1 * n for n in range(200)], capacity=64)
    oldest_ns = pen.curve.oldest_ns()
    assert oldest_ns == round(14.4 * SECOND)
    assert pen.curve._samples_near(oldest_ns - 1, oldest_ns, 0) is None
    assert len(pen.curve._samples_near(oldest_ns, oldest_ns, oldest_ns).times) == 4
    unknown = drawn(range(5))
    unknown.writer.append((5 * SECOND, 1.0, NAN, NAN, 5 * SECOND, 0.0, NAN, NAN, NAN, 0.0, -math.inf))
    assert unknown.curve._samples_near(3 * SECOND, 3 * SECOND, 0) is None


def test_nine_tenths_of_an_interval_are_no_gap():
    for covered, found in ((0.9, 4), (0.899, 2)):
        pen = Pen("mean")
        covered_ns = 0
        for second in range(4):
            covered_ns += round((covered if second == 2 else 1.0) * SECOND)
            pen.writer.append((second * SECOND, 1.0, NAN, NAN, covered_ns, 0.0, 1.0, NAN, NAN, 0.0, 1.0))
        near = pen.curve._samples_near(SECOND, SECOND, 0)
        assert len(near.times) == found


# A channel


def channel(pen, rate_hz=1.0, facts=None, **changed):
    facts = facts or Facts()
    return SampledChannel(ChannelInfo(0, "a", facts, rate_hz, 1024, 0, "a", False, **changed), pen.curve)


@pytest.mark.parametrize(
    ("times_s", "later_s", "silent"),
    [
        (range(10), 3.0, 0), (range(10), 3.001, 3.001), ([n / 10 for n in range(10)], 1.5, 0),
        ([n / 10 for n in range(10)], 1.501, 1.501), ([], 100.0, 0), ([0], 3.0, 0), ([0], 3.1, 3.1),
    ],
)  # fmt: skip
def test_a_source_is_silent_after_three_intervals_and_a_second_and_a_half(times_s, later_s, silent):
    pen = drawn([*times_s])
    now_ns = pen.curve.last_ns() + round(later_s * SECOND)
    assert channel(pen).silent_ns(now_ns) == pytest.approx(silent * SECOND)


def test_why_a_source_says_nothing_any_more():
    pen = drawn(range(10))
    pen.memory.head.error = "unplugged"
    assert channel(pen).lost(12 * SECOND) == ""
    assert channel(pen).lost(13 * SECOND) == "unplugged"
    assert channel(pen, rewinds=True).lost(13 * SECOND) == "", "a recording has ended"
    pen.curve.end(9 * SECOND + 1)
    assert channel(pen).lost(99 * SECOND) == "", "by the end of its block it was not silent"
    pen.curve.end(13 * SECOND)
    assert channel(pen).lost(99 * SECOND) == "unplugged"
    pen.curve.end(9 * SECOND)
    assert channel(pen).lost(99 * SECOND) == "", "all of the block was measured"


def test_a_gauge_is_as_coarse_as_it_has_shown_itself_to_be():
    gauge = Facts(semantics="counter", place="cell", joules=Band(0.01, resolution=10.0))
    pen = drawn(range(5))
    assert channel(pen, facts=gauge).facts.joules.resolution == gauge.with_rise_seen(2.0).joules.resolution
    assert channel(pen, facts=Facts()).facts == Facts()


@pytest.mark.parametrize(
    ("from_s", "to_s", "fine"), [(1, 9, True), (0, 9, False), (9, 9, False), (9, 1, False), (1, 0, False)]
)
def test_the_devices_own_counter_needs_two_steps(from_s, to_s, fine):
    pen = drawn(range(11))
    counts = pen.memory.counts
    counts[Count.COUNTED_FROM_NS], counts[Count.COUNTED_TO_NS] = from_s * SECOND, to_s * SECOND
    counts[Count.COUNTED_FROM_UJ], counts[Count.COUNTED_TO_UJ] = 5_000_000, 22_000_000
    counts[Count.COUNTED_STEP_UJ] = 1_500_000
    own = channel(pen).own_counter()
    if not fine:
        assert own is None
        return
    assert (own.seconds, own.integral_joules) == pytest.approx((8.0, 16.0))
    assert (own.counter_joules, own.step_joules) == (17.0, 1.5)


@pytest.mark.parametrize(("gap_s", "fine"), [(1.0, True), (1.1, False)])
def test_the_devices_own_counter_needs_a_curve_that_is_covered(gap_s, fine):
    """A gap of 1 s in 200 s may be missing: 0.995."""
    missing = Pen()
    times = [0, *range(1, 100), 99 + gap_s]
    times += [times[-1] + n for n in range(1, 110)]
    covered = 0
    for before, at_s in zip([0, *times], times, strict=False):
        covered += 0 if at_s == 99 + gap_s else round((at_s - before) * SECOND)
        at_ns = round(at_s * SECOND)
        missing.writer.append((at_ns, 1.0, NAN, NAN, covered, 0.0, 1.0, NAN, NAN, 0.0, 1.0))
    counts = missing.memory.counts
    counts[Count.COUNTED_FROM_NS], counts[Count.COUNTED_TO_NS] = SECOND, 201 * SECOND
    assert (channel(missing).own_counter() is not None) is fine


def test_a_state_is_not_counted():
    pen = drawn([0])
    pen.memory.counts[Count.STATE] = State.ENDED
    assert channel(pen).observed(Count.STATE) == State.ENDED
    assert channel(pen).priority == ""
    pen.memory.counts[Count.PRIORITY] = 3
    assert channel(pen).priority == "real-time"
