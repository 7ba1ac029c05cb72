"""The energy curve's rules: steady power gives P·T, gaps stay gaps, counters wrap and reset."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymeter.energy.correction import Correction
from energymeter.energy.gaps import GapRule, gap_limit_ns
from energymeter.energy.integrate import Integrator, Sample
from energymeter.reading import Facts, Reading

SECOND = 1_000_000_000
steps_ns = st.lists(st.integers(1_000, 100_000_000), min_size=1, max_size=50)
watts = st.floats(0.001, 1e4)


def run(facts: Facts, readings: list[tuple[int, Reading]], gap_ns: int = SECOND) -> list[Sample]:
    integrator = Integrator(facts, gap_ns)
    return [sample for at, reading in readings if (sample := integrator.add(at, reading))]


def moments(steps: list[int]) -> list[int]:
    times = [5]
    for step in steps:
        times.append(times[-1] + step)
    return times


@given(watts, steps_ns, st.sampled_from(["instant", "mean"]))
def test_steady_power_over_any_sampling_is_power_times_time(power, steps, semantics):
    times = moments(steps)
    last = run(Facts(semantics=semantics), [(t, Reading(watts=power)) for t in times])[-1]
    assert last.joules == pytest.approx(power * sum(steps) * 1e-9, rel=1e-12)
    assert last.covered_ns == sum(steps)


@given(watts, steps_ns)
def test_a_counter_of_steady_power_is_power_times_time(power, steps):
    times = moments(steps)
    last = run(Facts(semantics="counter"), [(t, Reading(joules=power * t * 1e-9)) for t in times])[-1]
    assert last.joules == pytest.approx(power * sum(steps) * 1e-9, rel=1e-6)


@given(st.lists(st.tuples(st.integers(1, 10**8), watts), min_size=2, max_size=30), st.floats(0.1, 10))
def test_energy_is_linear_in_power(rows, factor):
    times = moments([step for step, _ in rows])[1:]
    once = run(Facts(), [(t, Reading(watts=p)) for t, (_, p) in zip(times, rows, strict=True)])[-1]
    scaled = run(Facts(), [(t, Reading(watts=factor * p)) for t, (_, p) in zip(times, rows, strict=True)])[-1]
    assert scaled.joules == pytest.approx(factor * once.joules, rel=1e-9)


def test_volts_and_amps_make_watts_charge_and_volt_seconds():
    last = run(Facts(), [(0, Reading(volts=5.0, amps=0.6)), (SECOND, Reading(volts=5.0, amps=0.6))])[-1]
    assert (last.joules, last.coulombs, last.volt_seconds) == pytest.approx((3.0, 0.6, 5.0))


def test_current_alone_gives_charge_and_no_energy():
    last = run(Facts(), [(0, Reading(amps=0.5)), (SECOND, Reading(amps=0.5))])[-1]
    assert (last.joules, last.coulombs, last.covered_ns) == (None, pytest.approx(0.5), SECOND)


def test_instants_far_apart_are_a_gap_whose_straight_line_is_kept_apart():
    readings = [(0, Reading(watts=2.0)), (SECOND, Reading(watts=2.0)), (4 * SECOND, Reading(watts=4.0))]
    integrator = Integrator(Facts(), SECOND)
    last = [integrator.add(at, reading) for at, reading in readings][-1]
    assert (last.joules, last.covered_ns) == (2.0, SECOND)
    assert last.gap_fill_joules == pytest.approx(9.0)
    assert (integrator.gaps, integrator.gap_ns) == (1, 3 * SECOND)


def test_a_mean_that_describes_less_than_its_interval_covers_only_that():
    readings = [(0, Reading(watts=1.0)), (SECOND, Reading(watts=3.0, seconds=0.25))]
    last = run(Facts(semantics="mean"), readings, gap_ns=100_000_000)[-1]
    assert (last.joules, last.covered_ns) == (pytest.approx(0.75), SECOND // 4)


def test_unknown_power_is_a_gap_not_zero():
    last = run(Facts(), [(0, Reading(watts=2.0)), (SECOND, Reading()), (2 * SECOND, Reading(watts=2.0))])[-1]
    assert (last.joules, last.covered_ns) == (0.0, 0)


RAPL = Facts(semantics="counter", joules_wrap=262_143.32885, max_watts=500.0)


@given(st.floats(0, 262_143.3), st.floats(0.1, 400), st.integers(SECOND // 100, 60 * SECOND))
def test_a_counter_is_followed_round_its_wrap(start, power, step):
    raw = [(start + power * i * step * 1e-9) % RAPL.joules_wrap for i in range(4)]
    last = run(RAPL, [(i * step, Reading(joules=joules)) for i, joules in enumerate(raw)])[-1]
    assert last.joules == pytest.approx(3 * power * step * 1e-9, rel=1e-6, abs=1e-6)
    assert last.covered_ns == 3 * step


@given(st.lists(st.floats(0, 262_143), min_size=2, max_size=20), st.booleans())
def test_whatever_a_counter_says_energy_never_falls(raw, wraps):
    facts = RAPL if wraps else Facts(semantics="counter")
    samples = run(facts, [(i * SECOND, Reading(joules=joules)) for i, joules in enumerate(raw)])
    totals = [sample.joules for sample in samples]
    assert totals == sorted(totals)


def test_a_reset_is_a_gap():
    samples = run(
        RAPL, [(0, Reading(joules=1000.0)), (SECOND, Reading(joules=5.0)), (2 * SECOND, Reading(joules=15.0))]
    )
    assert samples[-1].joules == pytest.approx(10.0)
    assert samples[-1].covered_ns == SECOND


def test_a_time_in_which_it_may_have_gone_round_twice_is_a_gap():
    hours = 3600 * SECOND
    samples = run(RAPL, [(0, Reading(joules=10.0)), (hours, Reading(joules=20.0))])
    assert (samples[-1].joules, samples[-1].covered_ns) == (0.0, 0)


def test_a_reading_held_up_on_its_way_is_no_reset():
    """20 ms of 50 W that seem to flow within 1 ms, on a processor that may draw 200 W."""
    facts = RAPL._replace(max_watts=200.0)
    ms = SECOND // 1000
    readings = [(0, Reading(joules=10.0)), (ms, Reading(joules=10.05)), (2 * ms, Reading(joules=11.05))]
    assert run(facts, readings)[-1].joules == pytest.approx(1.05)


@pytest.mark.parametrize(
    ("at_ns", "raw", "why"),
    [
        (600_000_000_000, 200.0, "begins again after 262143 J, which may have happened more than once"),
        (1_000_000_000, 50.0, "fell, as after a reset"),
        (1_000_000_000, 200_000.0, "rose by 199900 J in 1 s, more than can flow"),
    ],
)
def test_a_rise_that_is_not_counted_says_why(at_ns, raw, why):
    facts = RAPL if "fell" not in why else Facts(semantics="counter")
    integrator = Integrator(facts, 10**12)
    integrator.add(0, Reading(joules=100.0))
    sample = integrator.add(at_ns, Reading(joules=raw))
    assert sample.covered_ns == 0
    assert why in integrator.rise_error


def test_an_unknown_maximum_believes_a_wrap_only_near_the_ends():
    facts = Facts(semantics="counter", joules_wrap=1000.0)
    near = run(facts, [(0, Reading(joules=990.0)), (SECOND, Reading(joules=10.0))])[-1]
    far = run(facts, [(0, Reading(joules=600.0)), (SECOND, Reading(joules=10.0))])[-1]
    assert (near.joules, near.covered_ns) == (pytest.approx(20.0), SECOND)
    assert (far.joules, far.covered_ns) == (0.0, 0)


def test_a_charge_counter_runs_both_ways():
    facts = Facts(semantics="counter", coulombs_wrap=100.0)
    readings = [Reading(joules=float(i), coulombs=c) for i, c in enumerate([0.0, -3.0, 49.0, -49.0])]
    last = run(facts, [(i * SECOND, reading) for i, reading in enumerate(readings)])[-1]
    assert last.coulombs == pytest.approx(-3.0 + (52.0 - 100.0) + 2.0)


def test_a_counter_that_has_not_ticked_is_waited_for_but_not_at_the_end():
    integrator = Integrator(Facts(semantics="counter"), SECOND)
    assert integrator.add(0, Reading(joules=7.0)) is not None
    assert integrator.add(SECOND // 2, Reading(joules=7.0)) is None
    ticked = integrator.add(SECOND, Reading(joules=9.0))
    assert ticked.joules == 2.0
    held = integrator.add(SECOND * 3 // 2, Reading(joules=9.0), final=True)
    assert (held.joules, held.covered_ns) == (2.0, SECOND * 3 // 2)


def test_stale_readings_say_nothing_until_the_last_one_which_holds_the_value():
    integrator = Integrator(Facts(semantics="mean"), SECOND)
    integrator.add(0, Reading(volts=5.0, amps=1.0))
    assert integrator.add(SECOND // 2, Reading(fresh=False)) is None
    last = integrator.add(SECOND, Reading(fresh=False), final=True)
    assert (last.joules, last.coulombs) == (pytest.approx(5.0), pytest.approx(1.0))


def test_a_counter_without_a_newer_value_at_the_end_says_nothing_of_the_time_since():
    integrator = Integrator(Facts(semantics="counter"), SECOND)
    integrator.add(0, Reading(joules=7.0))
    assert integrator.add(SECOND, Reading(joules=9.0)).joules == 2.0
    assert integrator.add(SECOND * 5 // 4, Reading(fresh=False), final=True) is None
    assert integrator.add(SECOND * 30, Reading(fresh=False), final=True) is None


@pytest.mark.parametrize("semantics", ["instant", "mean"])
def test_a_value_is_not_held_to_the_end_across_a_gap(semantics):
    integrator = Integrator(Facts(semantics=semantics), SECOND)
    integrator.add(0, Reading(watts=1.0))
    assert integrator.add(SECOND + 1, Reading(fresh=False), final=True) is None
    assert integrator.add(SECOND, Reading(fresh=False), final=True).joules == pytest.approx(1.0)


def test_time_that_does_not_go_forward_is_ignored():
    integrator = Integrator(Facts(), SECOND)
    integrator.add(100, Reading(watts=1.0))
    assert integrator.add(100, Reading(watts=1.0)) is None
    assert integrator.add(50, Reading(watts=1.0)) is None


@pytest.mark.parametrize("semantics", ["instant", "mean", "counter"])
def test_a_continued_curve_goes_on_after_a_gap(semantics):
    facts = Facts(semantics=semantics)
    before = run(facts, [(i * SECOND, Reading(watts=2.0, joules=2.0 * i)) for i in range(3)])[-1]
    integrator = Integrator(facts, 10 * SECOND, resume=before)
    first = integrator.add(3 * SECOND, Reading(watts=2.0, joules=6.0))
    second = integrator.add(4 * SECOND, Reading(watts=2.0, joules=8.0))
    assert (first.joules, first.covered_ns) == (before.joules, before.covered_ns)
    assert second.joules == pytest.approx(before.joules + 2.0)
    assert integrator.gaps == 1


@pytest.mark.slow
def test_a_million_small_terms_lose_nothing():
    integrator = Integrator(Facts(), SECOND)
    for i in range(1_000_001):
        last = integrator.add(i * 1_000_000, Reading(watts=0.1))
    assert last.joules == pytest.approx(100.0, rel=1e-13)


def test_a_correction_works_on_each_channel_apart():
    corrected = Correction(1.01, 0.02, 0.98, -0.001).of(Reading(volts=5.0, amps=0.5, watts=99.0))
    assert (corrected.volts, corrected.amps) == pytest.approx((5.07, 0.489))
    assert corrected.watts is None, "power follows volts and amps"
    plug = Correction(1.01, 0.0, 0.98, alternating=True).of(Reading(volts=230.0, amps=0.5, watts=60.0))
    assert plug.watts == pytest.approx(60 * 1.01 * 0.98), "of 115 VA only 60 W are power"
    assert Correction(1.01, 0.02, 0.98, -0.001).of(Reading(watts=2.0)).watts == pytest.approx(2 * 1.01 * 0.98)
    assert not math.isnan(Correction().of(Reading(joules=3.0)).joules)


MS = 1_000_000


@pytest.mark.parametrize("hole_ms", [4, 10, 63, 250])
def test_a_hole_in_a_recording_of_a_kilohertz_is_a_gap(hole_ms):
    assert gap_limit_ns(1 * MS) < hole_ms * MS


@given(st.floats(1e-6, 1e13))
def test_two_lost_readings_and_half_an_interval_of_jitter_are_no_gap(interval_ns):
    assert 3.5 * interval_ns <= gap_limit_ns(interval_ns) + 1
    assert gap_limit_ns(interval_ns) <= max(3.5 * interval_ns + 1, 3 * MS)


def test_the_limit_follows_the_interval_that_is_observed():
    rule = GapRule(1000 * MS)
    assert rule.limit_ns == 3500 * MS
    assert [rule.observe(10 * MS) for _ in range(3)] == [3500 * MS, 3500 * MS, 35 * MS]
    assert rule.observe(2500 * MS) == 35 * MS, "one gap is no new interval"
    assert rule.observe(10 * MS) == 35 * MS
    assert [rule.observe(100 * MS) for _ in range(3)] == [35 * MS, 35 * MS, 350 * MS]


def test_a_source_that_is_slower_than_asked_for_loses_one_interval():
    rule = GapRule(10 * MS)
    assert rule.observe(60 * MS) == 210 * MS
    assert GapRule(1000 * MS).observe(10 * MS) == 3500 * MS, "one that is faster must show it"


@given(st.lists(st.floats(0.5, 1.5), max_size=60))
def test_jitter_changes_nothing(intervals):
    rule = GapRule(10 * MS)
    assert all(rule.observe(interval * 10 * MS) == 35 * MS for interval in intervals)


@given(st.lists(st.integers(50 * MS, 10**10), min_size=1))
def test_single_gaps_between_regular_readings_change_nothing(gaps):
    rule = GapRule(10 * MS)
    rule.observe(10 * MS)
    for gap in gaps:
        assert rule.observe(gap) == 35 * MS
        assert rule.observe(10 * MS) == 35 * MS


def test_readings_that_were_held_back_and_come_together_are_no_faster_source():
    """Those of a thread that had to wait for its turn: late by six intervals, then all within 0.4 ms."""
    rule = GapRule(10 * MS)
    assert [rule.observe(10 * MS) for _ in range(3)] == [35 * MS] * 3
    assert rule.observe(68 * MS) == 35 * MS
    assert [rule.observe(MS // 15) for _ in range(6)] == [35 * MS] * 6
    assert [rule.observe(10 * MS) for _ in range(3)] == [35 * MS] * 3


def test_a_source_that_is_faster_after_a_gap_must_have_caught_up_first():
    rule = GapRule(10 * MS)
    rule.observe(10 * MS)
    rule.observe(28 * MS)  # 18 ms late, of which each that follows makes good 9
    assert [rule.observe(1 * MS) for _ in range(5)] == [35 * MS] * 3 + [3500_000] * 2


def test_one_usual_interval_ends_the_catching_up():
    rule = GapRule(10 * MS)
    rule.observe(10 * MS)
    for interval in (500 * MS, 10 * MS):
        rule.observe(interval)
    assert [rule.observe(1 * MS) for _ in range(3)] == [35 * MS, 35 * MS, 3500_000]


def test_lines_that_a_pipe_held_back_are_no_faster_source():
    rule = GapRule(100 * MS)
    for _ in range(10):
        rule.observe(100 * MS)
        for _ in range(50):
            rule.observe(1)
    assert rule.limit_ns == 350 * MS
    assert GapRule(10_000).observe(10_000) == 3 * MS, "of a source that is this fast they are intervals"
