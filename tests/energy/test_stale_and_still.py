"""Values older than their reading, and counters that stand still: what they can tell, and how well."""

import math
import random
from bisect import bisect_right
from itertools import pairwise

import pytest
from devices.rows import row_of

from energymeter.drivers.joulescope import Joulescope
from energymeter.drivers.otii import Otii
from energymeter.drivers.pzem import Pzem
from energymeter.drivers.shelly import Shelly
from energymeter.energy.gaps import gap_limit_ns, tick_wait_ns
from energymeter.energy.integrate import Integrator
from energymeter.energy.uncertainty import OwnCounter, Part, components_of, expanded
from energymeter.energy.usage import combine
from energymeter.errors import NotMeasured
from energymeter.reading import Band, Facts, Reading
from energymeter.recordings.trace import Trace
from energymeter.sampling.curve import Curve
from energymeter.sampling.memory import ChannelMemory, CurveWriter, channel_bytes

SECOND = 1_000_000_000
GAUGE = Facts(renewal_seconds=60.0, default_hz=1.0, max_hz=2.0)
SECOND_MEANS = Facts(semantics="mean", duty=1.0, renewal_seconds=1.0)
COUNTER = Facts(semantics="counter", joules=Band(resolution=1e-6), still_seconds=0.5)


def curve_of(facts, rows, rate_hz=1.0):
    """The curve of (seconds, reading) rows, as the sampler makes it."""
    memory = ChannelMemory(memoryview(bytearray(channel_bytes(1024))), 1024)
    writer = CurveWriter(memory)
    integrator = Integrator(facts, gap_limit_ns(1e9 / rate_hz), tick_wait_ns=tick_wait_ns(rate_hz))
    for number, (seconds, reading) in enumerate(rows):
        sample = integrator.add(round(seconds * 1e9), reading, final=number == len(rows) - 1)
        if sample is not None:
            writer.append(row_of(sample))
    return Curve.of(facts, memory), integrator


def window_of(facts, rows, start, end, rate_hz=1.0):
    curve, integrator = curve_of(facts, rows, rate_hz)
    return curve.window(round(start * 1e9), round(end * 1e9)), integrator


def usage_of(facts, window, name="a source"):
    return combine([Part(name, facts, window, 0.01)])


def test_a_value_that_repeats_is_not_a_second_measurement():
    rows = [(t, Reading(volts=12.0, amps=1.0 + t // 8)) for t in range(33)]
    curve, _ = curve_of(GAUGE, rows)
    assert [sample.at_ns // SECOND for sample in curve.samples()] == [0, 8, 16, 24, 32]


PLUG = Facts(renewal_seconds=0.3, default_hz=50.0)


def test_a_repeat_within_the_renewal_is_stale_unless_the_device_is_read_in_step_with_it():
    fast, _ = curve_of(PLUG, [(t / 50, Reading(watts=5.0)) for t in range(41)], 50.0)
    assert [round(sample.at_ns / SECOND, 2) for sample in fast.samples()] == [0.0, 0.3, 0.6, 0.8]
    in_step, _ = curve_of(PLUG, [(t * 0.29, Reading(watts=5.0)) for t in range(4)], 1 / 0.3)
    assert [round(sample.at_ns / SECOND, 2) for sample in in_step.samples()] == [0.0, 0.29, 0.58, 0.87]


@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_step_that_the_device_has_not_shown_yet_is_within_the_interval(before):
    """The power falls right after the newest value, and the window ends before the next one."""
    renewals = [2.0, 3.5, 5.5][2 - before :]
    rows = [(t / 50, Reading(watts=renewals[t // 15])) for t in range(15 * (before + 1))]
    end = rows[-1][0]
    window, _ = window_of(PLUG, rows, 0.3 * before, end, 50.0)
    true = 5.5 * 0.02 + 0.6 * (end - 0.3 * before - 0.02)
    width = usage_of(PLUG, window).uncertainty
    assert abs(window.joules - true) <= 1.45 * width  # a step this large is rare
    assert width < 2.5 * window.joules


def test_a_device_that_has_shown_steady_power_for_a_while_is_trusted():
    rows = [(t / 50, Reading(watts=5.0)) for t in range(200)]
    curve, _ = curve_of(PLUG, rows, 50.0)
    for start, end in ((0.0, 3.98), (3.7, 3.98)):
        assert curve.window(round(start * SECOND), round(end * SECOND)).edge_joules == pytest.approx(0.0)


def test_a_recording_is_as_uncertain_as_the_run_that_it_is_of():
    rows = [(t / 50, Reading(watts=[1.0, 4.0, 2.0, 8.0][t // 15 % 4])) for t in range(101)]
    curve, _ = curve_of(PLUG, rows, 50.0)
    trace = Trace.from_samples(curve.samples(), "plug", PLUG)
    for start, end in ((0.0, 2.0), (0.4, 1.1), (1.75, 2.0), (1.85, 1.95)):
        live = curve.window(round(start * SECOND), round(end * SECOND))
        (part,) = [one._part(start, end) for one in trace.parts]
        assert part.window.joules == pytest.approx(live.joules)
        assert part.window.edge_joules == pytest.approx(live.edge_joules, rel=0.25)


def test_a_device_that_repeats_itself_for_a_while_is_not_a_gap():
    window, integrator = window_of(GAUGE, [(t, Reading(watts=5.0)) for t in range(300)], 0, 299)
    assert (window.joules, window.covered_seconds, integrator.gaps) == (pytest.approx(1495.0), 299.0, 0)


def test_a_device_that_says_nothing_for_a_while_is_a_gap_however_slowly_it_renews():
    rows = [(t, Reading(watts=5.0)) for t in (*range(10), *range(30, 40))]
    window, integrator = window_of(GAUGE, rows, 0, 39)
    assert (integrator.gaps, window.covered_seconds) == (1, pytest.approx(39 - 21, abs=9))


def test_values_that_are_all_measured_are_all_taken_even_if_they_repeat():
    curve, _ = curve_of(Facts(), [(t / 10, Reading(watts=5.0)) for t in range(11)], 10.0)
    assert len(curve) == 11


@pytest.mark.parametrize("when", ["from its start", "in the middle"])
def test_a_counter_that_has_to_move_and_stands_still_is_unknown_and_not_nothing(when):
    before = [] if when == "from its start" else [(t / 10 - 2, Reading(joules=t * 1.0)) for t in range(20)]
    rows = [*before, *[(t / 10, Reading(joules=19.0)) for t in range(30)]]
    window, _ = window_of(COUNTER, rows, 0.5, 2.5, 10.0)
    assert window.covered_seconds == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(NotMeasured, match="stood still"):
        usage_of(COUNTER, window)


def test_a_counter_that_never_moved_is_unknown_in_a_short_window_too():
    window, _ = window_of(COUNTER, [(0.0, Reading(joules=1.0)), (0.2, Reading(joules=1.0))], 0.0, 0.2, 10.0)
    assert window.covered_seconds == 0.0


def test_what_a_counter_shows_after_it_stood_still_belongs_to_no_measured_time():
    rows = [(t / 10, Reading(joules=t * 1.0)) for t in range(10)]
    rows += [(t / 10, Reading(joules=9.0)) for t in range(10, 30)]
    rows += [(t / 10, Reading(joules=500.0 + t)) for t in range(30, 40)]
    window, _ = window_of(COUNTER, rows, 0.0, 3.9, 10.0)
    assert window.joules == pytest.approx(9.0 + 9.0)
    assert window.covered_seconds == pytest.approx(0.9 + 0.9)


@pytest.mark.parametrize("driver", [Joulescope, Otii])
@pytest.mark.parametrize(("watts", "measured"), [(900.0, True), (1500.0, False)])
def test_more_than_a_kilowatt_is_no_power_of_an_instrument_for_boards(driver, watts, measured):
    rows = [(float(t), Reading(joules=watts * t)) for t in range(10)]
    window, _ = window_of(driver.facts, rows, 0.0, 9.0)
    assert window.covered_seconds == pytest.approx(9.0 if measured else 0.0)
    assert window.joules == pytest.approx(9 * watts if measured else 0.0, nan_ok=True)


def test_a_counter_that_may_rest_counts_nothing_while_it_rests():
    resting = COUNTER._replace(still_seconds=None)
    window, _ = window_of(resting, [(t / 10, Reading(joules=19.0)) for t in range(30)], 0.0, 2.9, 10.0)
    assert (window.joules, window.covered_seconds) == (0.0, pytest.approx(2.9))


def test_a_counter_that_has_news_between_two_readings_only_now_and_then_keeps_measuring():
    rows = [(t / 10, Reading(joules=float(t // 4))) for t in range(40)]
    window, integrator = window_of(COUNTER, rows, 0.0, 3.6, 10.0)
    assert (integrator.gaps, window.joules) == (0, pytest.approx(9.0))


@pytest.mark.parametrize("semantics", ["instant", "mean", "counter"])
def test_time_asleep_is_a_gap_whatever_is_integrated(semantics):
    facts = Facts(semantics=semantics)
    integrator = Integrator(facts, 10**15)
    for t in range(10):
        integrator.add(t * SECOND, Reading(watts=5.0, joules=5.0 * t))
    integrator.interrupt()
    integrator.add(100 * SECOND, Reading(watts=5.0, joules=1e6))
    last = integrator.add(101 * SECOND, Reading(watts=5.0, joules=1e6 + 5.0))
    assert (last.joules, last.covered_ns, integrator.gap_ns) == (50.0, 10 * SECOND, 91 * SECOND)


def test_one_of_two_batteries_may_rest():
    facts = Facts(semantics="counter", place="cell", joules=Band(resolution=36.0), default_hz=1.0, max_hz=2.0)
    gives, _ = window_of(facts, [(60 * t, Reading(joules=36.0 * 10 * t)) for t in range(31)], 0, 1800, 1 / 60)
    rests, _ = window_of(facts, [(60 * t, Reading(joules=0.0)) for t in range(31)], 0, 1800, 1 / 60)
    parts = [Part("BAT0", facts, gives, 60.0), Part("BAT1", facts, rests, 60.0)]
    assert combine(parts).joules == pytest.approx(10800.0)
    with pytest.raises(NotMeasured, match="BAT1 moves in steps"):
        combine(parts[1:])


class Load:
    """Power that steps at random moments, with its energy known exactly."""

    def __init__(self, rng, stay_seconds, until=700.0):
        self.times, self.watts = [0.0], []
        while self.times[-1] < until:
            self.watts.append(rng.choice([5.0, 20.0, rng.uniform(5, 20)]))
            self.times.append(self.times[-1] + rng.expovariate(1 / stay_seconds))
        self.joules = [0.0]
        for (start, end), watts in zip(pairwise(self.times), self.watts, strict=True):
            self.joules.append(self.joules[-1] + watts * (end - start))

    def energy(self, at):
        number = max(bisect_right(self.times, at) - 1, 0)
        return self.joules[number] + self.watts[number] * (at - self.times[number])

    def mean(self, at, seconds):
        return (self.energy(at) - self.energy(at - seconds)) / seconds


def renewed(at, phase, seconds):
    return phase + math.floor((at - phase) / seconds) * seconds if seconds else at


AGED = [
    pytest.param(GAUGE, 2.0, 2.0, 0.0, 1.0, id="gauge that renews every 2 s"),
    pytest.param(GAUGE, 8.0, 8.0, 0.0, 1.0, id="gauge that renews every 8 s"),
    pytest.param(GAUGE, 30.0, 30.0, 0.0, 1.0, id="gauge that renews every 30 s"),
    pytest.param(Facts(renewal_seconds=1.0), 1.0, 0.2, 0.0, 1.0, id="plug"),
    pytest.param(SECOND_MEANS, 1.0, 1.0, 0.0, 1.0, id="one-second means"),
    pytest.param(Facts(smoothing_seconds=0.5), 0.0, 0.01, 0.5, 10.0, id="a meter that smooths"),
]


@pytest.mark.parametrize(
    ("trials", "widest"),  # the error of so few windows is known to a sixth only
    [(30, 4.0), pytest.param(120, 3.0, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("stay_seconds", [5.0, 40.0])
@pytest.mark.parametrize("window_seconds", [3.0, 30.0])
@pytest.mark.parametrize(("facts", "renewal", "average", "lag", "rate_hz"), AGED)
def test_the_interval_holds_what_an_aged_value_misplaced(
    facts, renewal, average, lag, rate_hz, window_seconds, stay_seconds, trials, widest
):
    rng = random.Random(7)
    errors, widths, inside = [], [], 0
    for _ in range(trials):
        load, phase, late = Load(rng, stay_seconds), rng.random() * max(renewal, 1e-9), rng.uniform(0, lag)
        times = [40 + n / rate_hz + rng.uniform(0, 0.02) for n in range(round(140 * rate_hz))]
        noise = 1e-6 if renewal else 1e-3  # a renewed value never repeats to the last digit
        rows = []
        for at in times:
            updated = renewed(at, phase, renewal)
            jitter = random.Random(updated).gauss(0, noise)
            rows.append((at, Reading(watts=load.mean(updated - late, average) + jitter)))
        curve, _ = curve_of(facts, rows, rate_hz)
        for _ in range(3):
            start = rng.uniform(75, 175 - window_seconds)
            window = curve.window(round(start * 1e9), round((start + window_seconds) * 1e9))
            part = Part("a source", facts, window, curve.interval_seconds(1 / rate_hz))
            error = window.joules - (load.energy(start + window_seconds) - load.energy(start))
            width = expanded(components_of(part))
            errors.append(error)
            widths.append(width)
            inside += abs(error) <= width + 1e-2  # a window of steady power has no width, but noise
    share = inside / len(errors)
    error, width = (math.sqrt(sum(x * x for x in values) / len(values)) for values in (errors, widths))
    assert share >= 0.86, f"{share:.3f} inside"
    # of what is shorter than the renewal only the energy around it is known
    most = 2 * widest * error + 1e-2 if window_seconds > renewal else 20.0 * (window_seconds + renewal)
    assert width <= most, f"± {width:.2f} J for errors of {error:.2f} J"


@pytest.mark.parametrize("way", ["curve", "trace"])
def test_a_mean_that_is_read_early_reaches_further_back_than_its_sample(way):
    """A block of a tenth of a second next to a sensor of half-second means: its last sample is asked for."""
    facts = Facts(semantics="mean", default_hz=2.0, max_hz=2.0)
    rng, inside, trials = random.Random(5), 0, 200
    for _ in range(trials):
        load = Load(rng, 0.4)
        start = 50 + rng.random()
        times = [start, start + rng.uniform(0.02, 0.1), start + rng.uniform(0.12, 0.3)]
        rows = [(at, Reading(watts=load.mean(at, 0.5))) for at in times]
        if way == "curve":
            curve, _ = curve_of(facts, rows, 2.0)
            usage = usage_of(facts, curve.window(round(times[0] * 1e9), round(times[-1] * 1e9)))
        else:
            usage = Trace.integrate(times, [reading.watts for _, reading in rows], facts=facts).usage()
        inside += abs(usage.joules - load.energy(times[-1]) + load.energy(times[0])) <= usage.uncertainty
    assert inside / trials > 0.9
    assert facts.age_seconds(0.5) == facts.age_seconds(2.0) == 0.0, "as often as it has news"


def test_the_offset_of_a_plugs_watts_stays_whatever_its_counter_says():
    facts = Shelly.facts
    rows = [(600 * t, Reading(watts=5.0 + 1e-9 * t)) for t in range(145)]
    window, _ = window_of(facts, rows, 0, 86400, 1 / 600)
    usage = usage_of(facts, window)
    assert usage.uncertainty / usage.joules == pytest.approx(0.07, abs=0.01)


def test_the_step_of_a_counter_that_was_not_integrated_does_not_widen_a_short_window():
    facts = Pzem().facts
    window, _ = window_of(facts, [(t, Reading(watts=3000.0 + t * 1e-6)) for t in range(11)], 0, 10)
    usage = usage_of(facts, window)
    assert usage.uncertainty / usage.joules == pytest.approx(0.006, abs=0.001)


@pytest.mark.parametrize(("counted", "doubted"), [(18e6, False), (18.3e6, False), (20e6, True), (15e6, True)])
def test_a_device_that_contradicts_itself_is_reported_and_held_by_the_interval(counted, doubted):
    window, _ = window_of(Facts(), [(t, Reading(watts=5000.0 + t * 1e-6)) for t in range(3601)], 0, 3600)
    own = OwnCounter(3550.0, 17.75e6, counted * 3550 / 3600, 3600.0)
    usage = combine([Part("plug", Shelly.facts, window, 1.0, own_counter=own)])
    assert any("the counter of plug itself shows" in note for note in usage.notes) is doubted
    assert ("disagreement with its own counter" in usage.explain()) is doubted
    if doubted:
        assert abs(counted - usage.joules) <= usage.uncertainty
        assert "compare it with another meter" in usage.explain()
