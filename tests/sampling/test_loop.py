"""The loop that reads sources: on time, late, failing, coming back, streaming, ending."""

import itertools

import pytest

from energymeter.energy.correction import Correction
from energymeter.energy.integrate import Sample
from energymeter.energy.uncertainty import Part, components_of, expanded
from energymeter.errors import SourceEnded, SourceMissing
from energymeter.reading import Band, Facts, Reading
from energymeter.sampling.config import ChannelInfo, SourceConfig
from energymeter.sampling.curve import Curve
from energymeter.sampling.loop import Channel, SourceLoop
from energymeter.sampling.memory import ChannelMemory, Count, State, channel_bytes
from energymeter.sampling.sampler import SampledChannel
from energymeter.source import Counters

MS = 1_000_000
CAPACITY = 1024


class ScriptedPace:
    """Time that moves only when waited for, up to an end."""

    def __init__(self, end_ns):
        self.time_ns = 0
        self.end_ns = end_ns
        self.asleep_ns = 0

    def now_ns(self):
        return self.time_ns

    def wait_until(self, deadline_ns):
        self.time_ns = max(self.time_ns, min(deadline_ns, self.end_ns))
        return self.time_ns >= self.end_ns

    def suspended_ns(self):
        return self.asleep_ns

    def cpu_ns(self):
        return self.time_ns // 100


class Scripted:
    """A source that does what its script says at each reading."""

    name = "scripted"
    facts = Facts()

    def __init__(self, pace, script):
        self.pace = pace
        self.script = script
        self.opened = self.closed = 0
        self.reads = 0

    def open(self):
        self.opened += 1

    def read(self):
        self.reads += 1
        said = self.script(self.reads, self.pace)
        if isinstance(said, Exception):
            raise said
        return said

    def close(self):
        self.closed += 1


def memory():
    return ChannelMemory(memoryview(bytearray(channel_bytes(CAPACITY))), CAPACITY)


class Rig:
    def __init__(self, script, *, seconds, rate_hz=100.0, source=None, facts=None):
        self.pace = ScriptedPace(round(seconds * 1e9))
        self.source = source(self.pace) if source else Scripted(self.pace, script)
        if facts is not None:
            self.source.facts = facts
        self.memory = memory()
        channel = Channel(self.source, self.memory, rate_hz)
        self.curve = Curve(self.memory, trapezoids=self.source.facts.semantics == "instant")
        self.rows = []
        config = SourceConfig(self.source, rate_hz)
        SourceLoop(config, [channel], self.pace, lambda _, s: self.rows.append(s)).run()

    def count(self, counter):
        return self.curve.counts[counter]


def test_it_reads_every_period_and_once_more_at_the_end():
    rig = Rig(lambda n, pace: Reading(watts=2.0), seconds=1.0)
    assert sum(map(rig.count, Count.READ)) == 101
    assert rig.count(Count.MISSED) == 0
    assert rig.curve.window(0, 10**9).joules == pytest.approx(2.0)
    assert [row.at_ns for row in rig.rows] == [n * 10 * MS for n in range(101)]
    assert rig.source.closed == 1


def test_a_slow_reading_is_stamped_in_its_middle_and_the_periods_it_cost_are_counted():
    def slow_once(n, pace):
        if n == 5:
            pace.time_ns += 35 * MS
        return Reading(watts=2.0)

    rig = Rig(slow_once, seconds=1.0)
    assert rig.count(Count.MISSED) == 2, "the third, late, stands for its own period"
    assert rig.rows[4].at_ns == 40 * MS + 35 * MS // 2
    assert rig.curve.window(0, 10**9).joules == pytest.approx(2.0)


def test_one_failed_reading_is_counted_and_bridged():
    rig = Rig(lambda n, pace: SourceMissing("no answer") if n == 7 else Reading(watts=2.0), seconds=1.0)
    assert rig.count(Count.FAILED) == 1
    assert rig.curve.error == "no answer"
    assert rig.source.opened == 0, "a single failure is no reason to reopen"
    assert rig.curve.window(0, 10**9).covered_seconds == pytest.approx(1.0)


def test_a_source_that_fails_for_a_while_is_reopened_and_its_gap_is_not_invented():
    def out_for_two_seconds(n, pace):
        return SourceMissing("unplugged") if 10**9 <= pace.time_ns < 3 * 10**9 else Reading(watts=2.0)

    rig = Rig(out_for_two_seconds, seconds=5.0)
    window = rig.curve.window(0, 5 * 10**9)
    assert rig.source.opened >= 2
    assert 2.0 <= window.seconds - window.covered_seconds < 3.2
    assert window.joules == pytest.approx(2.0 * window.covered_seconds)
    assert window.gap_fill_joules == pytest.approx(2.0 * (window.seconds - window.covered_seconds))
    assert rig.count(Count.GAPS) == 1
    assert rig.count(Count.STATE) == State.RUNNING


def test_a_driver_with_a_bug_does_not_end_the_run():
    rig = Rig(lambda n, pace: KeyError("volts") if n == 3 else Reading(watts=1.0), seconds=0.5)
    assert rig.curve.error == "KeyError: 'volts'"
    assert rig.curve.window(0, 10**9 // 2).joules == pytest.approx(0.5)


@pytest.mark.parametrize(("place", "joules"), [("wall", 60 * 1.01), ("rail", 1.01 * 230 * 0.5)])
def test_a_calibrated_plug_keeps_its_own_watts(place, joules):
    reading = Reading(volts=230.0, amps=0.5, watts=60.0)
    source = Scripted(ScriptedPace(0), lambda n, pace: reading)
    source.facts = Facts(place=place)
    channel = Channel(source, memory(), 1.0, Correction(volts_gain=1.01))
    channel.take(0, reading)
    assert Sample.of(channel.take(1000 * MS, reading)).joules == pytest.approx(joules)


def test_the_end_of_a_recording_is_no_failure():
    rig = Rig(lambda n, pace: SourceEnded("over") if n > 10 else Reading(watts=1.0), seconds=5.0)
    assert rig.count(Count.STATE) == State.ENDED
    assert rig.count(Count.FAILED) == 0
    assert rig.source.closed == 1


def test_stale_readings_are_duplicates_not_samples():
    rig = Rig(lambda n, pace: Reading(watts=1.0, fresh=n % 2 == 1), seconds=0.5)
    assert rig.count(Count.DUPLICATES) == 25
    assert len(rig.rows) == 26


def test_sleep_of_the_machine_is_reported():
    def sleeps(n, pace):
        if n == 50:
            pace.asleep_ns += 30 * 10**9
        return Reading(watts=1.0)

    rig = Rig(sleeps, seconds=3.0)
    assert rig.count(Count.SUSPENDED_NS) == 30 * 10**9


@pytest.mark.parametrize("facts", [Facts(), Facts(semantics="counter"), Facts(semantics="mean")])
def test_what_the_machine_used_while_it_slept_is_not_use_of_the_run(facts):
    asleep = []

    def sleeps(n, pace):
        if n == 50:  # CLOCK_MONOTONIC stands still meanwhile; a counter does not
            pace.asleep_ns += 3600 * 10**9
            asleep.append(1000.0)
        return Reading(watts=1.0, joules=1e-9 * pace.time_ns + sum(asleep))

    rig = Rig(sleeps, seconds=3.0, facts=facts)
    window = rig.curve.window(0, 3 * 10**9)
    assert (rig.count(Count.GAPS), rig.count(Count.SUSPENDED_NS)) == (1, 3600 * 10**9)
    assert window.joules == pytest.approx(2.99, abs=0.011)
    assert window.covered_seconds == pytest.approx(2.99, abs=0.011)
    gave_joules = 1000 if facts.semantics == "counter" else 0
    assert rig.count(Count.SUSPENDED_UJ) * 1e-6 == pytest.approx(gave_joules, abs=0.02)


class Slow:
    """The part of a source that has news once a second."""

    name = "slow"
    facts = Facts(max_hz=1.0, default_hz=1.0)

    def __init__(self, pace):
        self.pace, self.times = pace, []

    def open(self): ...

    def close(self): ...

    def read(self):
        self.times.append(self.pace.time_ns)
        return Reading(watts=1.0)


def test_a_part_that_renews_slowly_is_not_read_at_the_pace_of_the_others():
    pace = ScriptedPace(4 * 10**9)
    fast, slow = Scripted(pace, lambda n, pace: Reading(watts=1.0)), Slow(pace)
    channels = [Channel(fast, memory(), 10.0), Channel(slow, memory(), 1.0)]
    SourceLoop(SourceConfig(fast, 10.0), channels, pace).run()
    assert fast.reads == 41
    assert slow.times == [n * 10**9 for n in range(5)]


@pytest.mark.parametrize("semantics", ["instant", "mean", "counter"])
def test_more_than_can_flow_is_a_failure_and_no_measurement(semantics):
    def script(n, pace):
        return Reading(watts=4294967.295 if n == 30 else 2.0, joules=2e-9 * pace.time_ns)

    rig = Rig(script, seconds=1.0, facts=Facts(semantics=semantics, max_watts=1000.0))
    assert rig.count(Count.FAILED) == 1
    assert "4294967" in rig.curve.error
    assert rig.curve.window(0, 10**9).joules == pytest.approx(2.0)


class Plug(Scripted):
    """A plug of 1 kW whose counter shows whole watt-hours, and what is added to it by ``jump``."""

    facts = Facts(watts=Band(0.01), max_watts=5000.0, default_hz=1.0, max_hz=1.0)

    def __init__(self, pace, script, *, counts=1.0, jump=lambda seconds: 0.0):
        super().__init__(pace, script)
        self.counts, self.jump = counts, jump

    def counters(self):
        seconds = self.pace.time_ns * 1e-9
        if 100 < seconds < 110:
            raise SourceMissing("it did not answer")
        return Counters(3600.0 * int(self.counts * seconds / 3.6 + self.jump(seconds)), None, 3600.0)


def plug(script, seconds=3600.0, **options):
    return Rig(None, seconds=seconds, rate_hz=1.0, source=lambda pace: Plug(pace, script, **options))


def sampled(rig):
    return SampledChannel(ChannelInfo(0, "plug", Plug.facts, 1.0, 1024, 0, "plug", False), rig.curve)


def own_counter(rig):
    return sampled(rig).own_counter()


def test_the_devices_own_counter_is_compared_from_step_to_step():
    own = own_counter(plug(lambda n, pace: Reading(watts=1000.0)))
    assert own.agrees
    assert own.counter_joules == pytest.approx(own.integral_joules, abs=1000.0 * 2), (
        "but for the time of a poll"
    )
    assert own.seconds == pytest.approx(3600, abs=10)


def test_a_counter_that_says_something_else_disagrees():
    own = own_counter(plug(lambda n, pace: Reading(watts=1000.0), counts=1.1))
    assert not own.agrees
    assert own.counter_joules == pytest.approx(1.1 * own.integral_joules, rel=0.01)


def test_bursts_that_are_missed_between_readings_are_as_large_as_the_counter_says():
    """Two seconds in seven at 3.5 kW: what the samples alone prove is less than what the counter does."""
    seen = plug(lambda n, pace: Reading(watts=3500.0 if n % 7 < 2 else 0.0))
    window = seen.curve.window(0, seen.pace.end_ns)
    alone = components_of(Part("plug", Plug.facts, window, 1.0))
    bound = components_of(Part("plug", Plug.facts, window, 1.0, own_counter=own_counter(seen)))
    assert expanded(bound) < expanded(alone)
    assert "sampling, bounded by its own counter" in [component.cause for component in bound]


@pytest.mark.parametrize("wrong", [-(10**6), 10**6])
def test_a_counter_that_was_cleared_or_switched_begins_again(wrong):
    rig = plug(lambda n, pace: Reading(watts=1000.0), jump=lambda seconds: wrong if seconds > 1000 else 0)
    own = own_counter(rig)
    assert own.agrees
    assert own.seconds == pytest.approx(2600, abs=10)


def test_what_a_counter_says_of_the_whole_is_not_said_of_a_part():
    own = own_counter(plug(lambda n, pace: Reading(watts=1000.0)))
    assert own.describes(3600.0)
    assert not own.describes(60.0)
    assert not own.describes(36000.0)


def test_a_counter_is_not_compared_over_time_that_was_not_measured():
    def out(n, pace):
        return SourceMissing("unplugged") if 1000 <= n < 1100 else Reading(watts=1000.0)

    assert own_counter(plug(out)) is None


def test_a_gauge_that_renews_slowly_is_sampled_when_it_has_renewed():
    def script(n, pace):
        return Reading(watts=5.0 + pace.time_ns // (8 * 10**9))

    rig = Rig(script, seconds=60.0, rate_hz=1.0, facts=Facts(renewal_seconds=60.0))
    assert rig.count(Count.GAPS) == 0
    assert [row.at_ns // 10**9 for row in rig.rows] == [0, 8, 16, 24, 32, 40, 48, 56, 60]


def test_what_the_sampling_costs_goes_on_where_a_killed_sampler_left_it():
    rig = Rig(lambda n, pace: Reading(watts=1.0), seconds=3.0)
    assert rig.count(Count.CPU_NS) == 3 * 10**9 // 100
    rig.curve.counts[Count.MOVED_BYTES] = 1_000
    heir = Channel(rig.source, rig.memory, 100.0)
    heir.tally(5_000_000)
    assert rig.count(Count.CPU_NS) == 35_000_000
    assert rig.count(Count.MOVED_BYTES) == 1_000


class Streamer:
    name = "streamer"
    facts = Facts(semantics="mean")
    lost, moved_bytes = 3, 64_000

    def __init__(self, pace):
        self.pace = pace
        self.opened = 0

    def open(self):
        self.opened += 1

    def read(self):
        raise AssertionError("a streaming source is not asked")

    def stream(self):
        for n in range(1000):
            if n == 500 and not self.opened:
                raise SourceMissing("unplugged")
            self.pace.wait_until(self.pace.time_ns + MS)
            yield Reading(watts=4.0, at_ns=self.pace.time_ns) if n % 10 else Reading(fresh=False)

    def close(self):
        pass


def test_a_stream_keeps_its_own_times_and_counts_and_comes_back():
    rig = Rig(None, seconds=10.0, rate_hz=1000.0, source=Streamer)
    assert rig.source.opened == 1
    assert (rig.count(Count.LOST), rig.count(Count.MOVED_BYTES)) == (3, 64_000)
    assert rig.count(Count.DUPLICATES) == 0
    assert rig.count(Count.STATE) == State.ENDED
    assert rig.curve.window(0, 10**10).joules == pytest.approx(
        4.0 * rig.curve.window(0, 10**10).covered_seconds
    )


class InBatches:
    """A hundred readings every tenth of a second, of which each takes 50 µs to work on."""

    name = "in batches"
    facts = Facts(semantics="mean")
    in_hand = False

    def __init__(self, pace):
        self.pace = pace
        self.given = 0

    def open(self):
        raise AssertionError("nothing has failed")

    def stream(self):
        while True:
            self.in_hand = False
            self.pace.wait_until(self.pace.time_ns + 100 * MS)
            yield Reading(fresh=False)
            self.in_hand = True
            for _ in range(100):
                self.given += 1
                self.pace.time_ns += MS // 20
                yield Reading(watts=4.0, at_ns=self.pace.time_ns)

    def close(self):
        pass


class OneByOne(InBatches):
    in_hand = property(lambda self: False, lambda self, value: None)


class Watched(ScriptedPace):
    """Counts how often the loop looks whether it is to stop, or whether the machine has slept."""

    looks = naps = 0

    def wait_until(self, deadline_ns):
        self.looks += deadline_ns == self.time_ns
        return super().wait_until(deadline_ns)

    def suspended_ns(self):
        self.naps += 1
        return super().suspended_ns()


def test_readings_that_come_together_are_not_looked_after_one_by_one():
    pace = Watched(9 * 105 * MS + 103 * MS)
    source, at = InBatches(pace), memory()
    SourceLoop(SourceConfig(source, 1000.0), [Channel(source, at, 1000.0)], pace).run()
    assert at.counts[Count.RING_COUNT] == source.given
    assert 0 < pace.looks < source.given / 5
    assert 0 < pace.naps < source.given / 5
    assert pace.time_ns <= pace.end_ns + MS, "a stop in the middle of them waits a millisecond at most"
    assert source.given % 100, "it was in the middle of them"


def test_a_stream_that_comes_one_by_one_is_looked_after_at_every_reading():
    pace = Watched(10**9)
    source = OneByOne(pace)
    SourceLoop(SourceConfig(source, 1000.0), [Channel(source, memory(), 1000.0)], pace).run()
    assert pace.looks >= source.given


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("semantics", ["instant", "mean", "counter"])
@pytest.mark.parametrize(
    "bad",
    [
        Reading(watts=NAN), Reading(watts=INF), Reading(watts=-INF), Reading(watts=1e308), Reading(watts="3"),
        Reading(watts=[3.0]), Reading(watts=2.0, volts=NAN), Reading(watts=2.0, joules=NAN),
        Reading(watts=2.0, seconds=NAN), Reading(watts=2.0, seconds=-5.0), Reading(watts=2.0, seconds=INF),
        Reading(watts=2.0, seconds="1"), Reading(watts=2.0, at_ns=10**15), Reading(watts=2.0, at_ns=0.5),
        None,
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_a_reading_is_a_failure_and_nothing_else(bad, semantics):
    def script(n, pace):
        return bad if n == 30 else Reading(watts=2.0, joules=2e-9 * pace.time_ns)

    rig = Rig(script, seconds=1.0, facts=Facts(semantics=semantics))
    assert rig.count(Count.FAILED) == 1
    assert sum(map(rig.count, Count.READ)) == 100
    assert rig.curve.error != ""
    window = rig.curve.window(0, 10**9)
    assert window.joules == pytest.approx(2.0)
    assert window.covered_seconds == pytest.approx(1.0)
    assert rig.source.opened == 0


def test_a_source_that_says_nothing_else_is_reopened():
    rig = Rig(lambda n, pace: Reading(watts=NAN if pace.time_ns > 10**8 else 1.0), seconds=1.0)
    assert rig.source.opened > 0
    assert "reported watts=nan" in rig.curve.error


def test_a_fault_of_the_sampling_itself_ends_its_source_and_is_reported(monkeypatch):
    def broken(self, attempts):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(SourceLoop, "_pause", broken)
    rig = Rig(lambda n, pace: SourceMissing("gone") if n > 5 else Reading(watts=1.0), seconds=1.0)
    assert rig.count(Count.STATE) == State.ENDED
    assert rig.curve.error == "ZeroDivisionError: ours"
    assert rig.source.closed == 1


def test_a_source_that_cannot_be_closed_is_reported(monkeypatch):
    def broken(self):
        raise OSError("stuck")

    monkeypatch.setattr(Scripted, "close", broken)
    rig = Rig(lambda n, pace: Reading(watts=1.0), seconds=0.1)
    assert rig.curve.error == "OSError: stuck"


def test_a_counter_that_was_opened_again_begins_with_a_gap():
    """It may count from another start by then, even from the number where it was left."""

    def script(n, pace):
        if 10**9 <= pace.time_ns < 2 * 10**9:
            return SourceMissing("on the charger")
        return Reading(joules=5.0 if pace.time_ns < 2 * 10**9 else 5.0 + (pace.time_ns - 2 * 10**9) * 2e-9)

    rig = Rig(script, seconds=4.0, facts=Facts(semantics="counter"))
    assert rig.count(Count.GAPS) == 1
    outage = rig.curve.window(10**9, 2 * 10**9)
    assert outage.covered_seconds < 0.05
    assert rig.curve.window(3 * 10**9, 4 * 10**9).joules == pytest.approx(2.0)


def test_a_counter_that_may_have_gone_round_twice_between_readings_says_so():
    facts = Facts(semantics="counter", joules_wrap=100.0, max_watts=1000.0, still_seconds=1.0)
    rig = Rig(lambda n, pace: Reading(joules=n * 7.0 % 100), seconds=3.0, rate_hz=2.0, facts=facts)
    assert rig.curve.window(0, 3 * 10**9).covered_seconds == 0
    assert "begins again after 100 J, which may have happened more than once in the 0.5 s" in rig.curve.error
    assert "read it more often" in rig.curve.error


class Faster:
    """A stream of 400 samples a second that is said to send one, and stands still for a second."""

    name = "faster"
    facts = Facts(default_hz=1.0)

    def __init__(self, pace):
        self.pace = pace

    def open(self):
        pass

    def read(self):
        raise AssertionError("a streaming source is not asked")

    def stream(self):
        for n in range(2000):
            self.pace.time_ns += 10**9 if n == 1000 else 2_500_000
            yield Reading(watts=4.0, at_ns=self.pace.time_ns)

    def close(self):
        pass


def test_the_gap_limit_of_a_stream_is_that_of_its_true_rate():
    rig = Rig(None, seconds=100.0, rate_hz=1.0, source=Faster)
    assert rig.count(Count.GAPS) == 1
    assert rig.count(Count.GAP_NS) == 10**9
    assert rig.curve.interval_seconds(1.0) == pytest.approx(0.0025)


class Starved(ScriptedPace):
    """Gives the loop a processor only now and then: a few readings in time, then none for a while."""

    def __init__(self, end_ns, waits_ms):
        super().__init__(end_ns)
        self._late = itertools.cycle(waits_ms)

    def wait_until(self, deadline_ns):
        return super().wait_until(max(deadline_ns, self.time_ns + next(self._late) * MS))


@pytest.mark.parametrize(
    "waits_ms", [[700, 1100, 900, 0, 0, 0, 0, 0], [400, 2000, 800, 1500], [0, 0, 0, 60, 60, 60, 0, 0]]
)
def test_a_loop_that_is_starved_is_no_slower_source(waits_ms):
    pace, times = Starved(60 * 10**9, waits_ms), []

    def script(n, pace):
        times.append(pace.time_ns)
        return Reading(watts=2.0)

    source, own = Scripted(pace, script), memory()
    SourceLoop(SourceConfig(source, 100.0), [Channel(source, own, 100.0)], pace).run()
    window = Curve(own, trapezoids=True).window(0, 60 * 10**9)
    waits_ns = [after - before for before, after in itertools.pairwise(times)]
    assert max(waits_ns) >= 60 * MS
    assert window.covered_seconds == pytest.approx(1e-9 * sum(ns for ns in waits_ns if ns <= 35 * MS))
    assert window.joules == pytest.approx(2.0 * window.covered_seconds)


def test_readings_slower_than_asked_for_are_covered_once_their_pace_is_known():
    def slow(n, pace):
        pace.time_ns += 60 * MS
        return Reading(watts=2.0)

    rig = Rig(slow, seconds=6.0)
    assert rig.count(Count.GAPS) == 1, "the first interval"
    assert rig.curve.window(10**9, 6 * 10**9).covered_seconds == pytest.approx(5.0, abs=0.1)


class Asked(ScriptedPace):
    """Somebody asks for a sample, between two readings."""

    def __init__(self, end_ns, counts, at_ms):
        super().__init__(end_ns)
        self.counts, self._at_ns = counts, [at * MS for at in at_ms]

    def wait_until(self, deadline_ns):
        if self._at_ns and self._at_ns[0] < deadline_ns:
            self.time_ns = max(self.time_ns, self._at_ns.pop(0))
            self.counts[Count.ASKED] += 1
            return False
        return super().wait_until(deadline_ns)


def asked(at_ms, ready=(), rate_hz=10.0):
    counts, shared = {Count.ASKED: 0, Count.READY_UNTIL_NS: 0}, memory()
    pace = Asked(10**9, counts, at_ms)

    def script(n, pace):
        counts[Count.READY_UNTIL_NS] = int(any(a * MS <= pace.time_ns < b * MS for a, b in ready))
        return Reading(watts=2.0)

    source, rows = Scripted(pace, script), []
    channel = Channel(source, shared, rate_hz)
    SourceLoop(
        SourceConfig(source, rate_hz), [channel], pace, lambda _, s: rows.append(s.at_ns // MS), asks=counts
    ).run()
    return rows, shared


def test_a_sample_is_taken_when_it_is_asked_for_and_the_pace_begins_there():
    rows, shared = asked([250, 251])
    assert rows == [0, 100, 200, 250, 251, 351, 451, 551, 651, 751, 851, 951, 1000]
    assert shared.counts[Count.MISSED] == shared.counts[Count.GAPS] == 0
    number, counts = shared.head.answered()
    assert number == 2
    assert sum(counts[count] for count in Count.READ) == 5, "the counts at the last one"


def test_while_nobody_counts_a_fast_source_is_read_less_often():
    rows, _ = asked([], ready=[(500, 1000)], rate_hz=100.0)
    assert len([at for at in rows if at < 500]) == 50
    assert len([at for at in rows if at >= 520]) <= 6
