"""The loop at its limits: what is a reading, when it reads again, waits, keeps house, and what it counts."""

import math
from types import SimpleNamespace

import pytest

from energymeter.errors import SourceError, SourceMissing
from energymeter.reading import Facts, Reading
from energymeter.sampling.config import READY_PERIOD_NS, SourceConfig
from energymeter.sampling.loop import Channel, SourceLoop
from energymeter.sampling.memory import Count, State
from energymeter.source import Counters
from tests.sampling.test_loop import MS, Asked, Scripted, ScriptedPace, memory

SECOND = 1_000_000_000


def channel(facts=None, rate_hz=10.0, name="scripted", **fields):
    source = Scripted(ScriptedPace(0), None)
    source.facts, source.name = facts or Facts(), name
    for key, value in fields.items():
        setattr(source, key, value)
    return Channel(source, memory(), rate_hz)


# What is a reading


@pytest.mark.parametrize("field", ["volts", "amps", "watts", "joules", "coulombs"])
@pytest.mark.parametrize(
    ("value", "fine"), [(0.99e15, True), (-0.99e15, True), (1e15, False), (-1e15, False)]
)
def test_no_reading_is_as_large(field, value, fine):
    reading = Reading(**{field: value})
    if fine:
        assert channel().take(SECOND, reading) is not None
        return
    with pytest.raises(SourceError) as refused:
        channel().take(SECOND, reading)
    assert str(refused.value) == (
        f"scripted reported {field}={value}, which cannot be; look for a fault of the device or its driver"
    )


def test_what_is_wrong_with_a_reading_is_cut_to_80_characters():
    with pytest.raises(SourceError) as refused:
        channel().take(0, Reading(math.nan, 123456789.125, 123456789.125, 123456789.125, 123456789.125))
    said = str(refused.value).removeprefix("scripted reported ").partition(", which cannot be;")[0]
    assert said == "volts=nan, amps=123456789.125, watts=123456789.125, joules=123456789.125, coulom"
    assert len(said) == 80


@pytest.mark.parametrize(
    ("reading", "fine"),
    [
        (Reading(watts=110.0), True), (Reading(watts=110.1), False), (Reading(watts=-110.1), False),
        (Reading(volts=10.0, amps=11.0), True), (Reading(volts=10.0, amps=11.1), False),
        (Reading(volts=1e6), True), (Reading(amps=1e6), True), (Reading(joules=1e6), True), (Reading(), True),
    ],
)  # fmt: skip
def test_a_reading_may_be_a_tenth_above_what_can_flow(reading, fine):
    own = channel(Facts(max_watts=100.0))
    if fine:
        own.take(SECOND, reading)
    else:
        with pytest.raises(SourceError, match="which cannot be"):
            own.take(SECOND, reading)


@pytest.mark.parametrize(
    ("seconds", "fine"), [(0, True), (0.0, True), (1e300, True), (math.inf, False), (-1e-9, False)]
)
def test_how_long_a_reading_may_describe(seconds, fine):
    own = channel(Facts(semantics="mean"))
    if fine:
        own.take(SECOND, Reading(watts=1.0, seconds=seconds))
    else:
        with pytest.raises(SourceError, match="which cannot be"):
            own.take(SECOND, Reading(watts=1.0, seconds=seconds))


@pytest.mark.parametrize(
    ("own_ns", "replayed", "fine"),
    [
        (6 * SECOND, False, True), (6 * SECOND + 1, False, False), (0, False, True),
        (60 * SECOND, True, True), (5.0, False, False), (5.0, True, False),
    ],
)  # fmt: skip
def test_a_devices_clock_may_be_ahead_by_a_second(own_ns, replayed, fine):
    own = channel(Facts(replayed=replayed))
    reading = Reading(watts=1.0, at_ns=own_ns)
    if fine:
        assert own.take(5 * SECOND, reading)[0] == own_ns
    else:
        with pytest.raises(SourceError, match="at_ns="):
            own.take(5 * SECOND, reading)


def test_a_reading_that_failed_says_why():
    own = channel()
    own.failed(SourceMissing("no answer"))
    assert own._head.error == "no answer"
    own.failed(ZeroDivisionError("ours"))
    assert own._head.error == "ZeroDivisionError: ours"
    assert own.counts[Count.FAILED] == 2


# Gaps


def gaps(own, times_ms, final=(), spent_ms=None):
    for number, at_ms in enumerate(times_ms):
        spent = None if spent_ms is None else spent_ms[number] * MS
        own.take(at_ms * MS, Reading(watts=1.0), number in final, spent)
    return own.counts[Count.GAPS], own.counts[Count.GAP_NS] // MS


def test_a_pace_that_is_slower_than_asked_for_is_known_after_one_interval():
    """100 ms were asked for: 400 ms are a gap at first, and the usual interval from then on."""
    assert gaps(channel(), [0, 400, 800, 1200]) == (1, 400)
    assert gaps(channel(), [0, 350, 700]) == (0, 0)
    assert gaps(channel(), [0, 100, 500, 900, 1300, 1700]) == (3, 1200), "later only after three in a row"


def test_a_sample_that_was_asked_for_says_nothing_of_the_pace():
    """Three samples that come early make the source no faster."""
    early = [0, 100, 120, 140, 160, 500]
    assert gaps(channel(), early, final=(2, 3, 4)) == (0, 0)
    assert gaps(channel(), early) == (1, 340)


def test_a_loop_that_waits_for_a_processor_makes_no_source_slower():
    times = [0, 400, 800, 1200, 1600]
    assert gaps(channel(), times, spent_ms=[0, 100, 200, 300, 400]) == (4, 1600)
    assert gaps(channel(), times, spent_ms=[0, 400, 800, 1200, 1600]) == (1, 400)
    own = channel()
    assert gaps(own, [0, 400], spent_ms=[1000, 1100]) == (1, 400)
    own.begin_reading()
    assert gaps(own, [800], spent_ms=[100]) == (2, 800)


def test_a_device_that_repeats_its_value_has_one_limit_for_good():
    repeats = channel(Facts(renewal_seconds=0.5))
    assert [repeats.take(at_ms * MS, Reading(watts=float(at_ms))) is None for at_ms in (0, 400, 800)] == [
        False
    ] * 3
    assert repeats.integrator.gap_limit_ns == 350 * MS


def test_gaps_go_on_where_a_killed_sampler_left_them():
    shared = memory()
    shared.counts[Count.GAPS], shared.counts[Count.GAP_NS], shared.counts[Count.SUSPENDED_UJ] = 2, 5 * MS, 70
    source = Scripted(ScriptedPace(0), None)
    own = Channel(source, shared, 10.0)
    assert gaps(own, [0, 400]) == (3, 405)
    assert shared.counts[Count.SUSPENDED_UJ] == 70
    heir = Channel(source, shared, 10.0)
    assert gaps(heir, [500]) == (4, 505), "between the two nobody measured"


def test_a_counter_that_stands_still_is_waited_for():
    """Three periods and a quarter of a second; in a recording all that is known was written down."""
    own = channel(Facts(semantics="counter"))
    own.take(0, Reading(joules=1.0))
    assert own.take(550 * MS, Reading(joules=1.0)) is None
    assert own.take(550 * MS + 1, Reading(joules=1.0)) is not None
    assert own.counts[Count.DUPLICATES] == 1
    played = channel(Facts(semantics="counter"), recorded=True)
    played.take(0, Reading(joules=1.0))
    assert played.take(1, Reading(joules=1.0)) is not None


# The device's own counter


class Counted(Scripted):
    """A source of 100 W at most that has a counter."""

    facts = Facts(max_watts=100.0)

    def counters(self):
        said = self.said
        if isinstance(said, Exception):
            raise said
        return said


def counted(*said):
    """What is compared at seconds 1, 2, 3, …; the counter steps by 10 J."""
    source = Counted(ScriptedPace(0), None)
    own = Channel(source, memory(), 10.0)
    for second, joules in enumerate(said, 1):
        is_number = isinstance(joules, float)
        source.said = Counters(joules, None, 10.0) if is_number else joules
        own.compare(second * SECOND)
    names = (
        Count.COUNTED_FROM_NS, Count.COUNTED_FROM_UJ, Count.COUNTED_TO_NS, Count.COUNTED_TO_UJ,
        Count.COUNTED_STEP_UJ,
    )  # fmt: skip
    from_ns, from_uj, to_ns, to_uj, step_uj = (own.counts[name] for name in names)
    return from_ns // SECOND, from_uj / 1e6, to_ns // SECOND, to_uj / 1e6, step_uj / 1e6


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ([5.0], (0, 0, 0, 0, 0)), ([5.0, 5.0], (0, 0, 0, 0, 0)), ([5.0, 15.0], (2, 15, 0, 0, 10)),
        ([5.0, 15.0, 15.0], (2, 15, 0, 0, 10)), ([5.0, 15.0, 25.0], (2, 15, 3, 25, 10)),
        ([5.0, 15.0, 15.0, 45.5], (2, 15, 4, 45.5, 10)),
        # 100 W and a step of 10 J: 110 J in a second may be, 110.1 J not; 210 J in two seconds may be
        ([5.0, 15.0, 125.0], (2, 15, 3, 125, 10)), ([5.0, 15.0, 125.1], (3, 125.1, 0, 125.1 * 0, 10)),
        ([5.0, 15.0, 15.0, 225.0], (2, 15, 4, 225, 10)), ([5.0, 15.0, 15.0, 225.1], (4, 225.1, 0, 0, 10)),
        ([5.0, 15.0, 25.0, 1.0], (4, 1, 0, 25, 10)), ([5.0, 15.0, 25.0, 1.0, 11.0], (4, 1, 5, 11, 10)),
        ([5.0, None, 15.0], (3, 15, 0, 0, 10)), ([SourceMissing("x"), 5.0, 15.0], (3, 15, 0, 0, 10)),
        ([5.0, 15.0, SourceMissing("x"), 25.0], (2, 15, 4, 25, 10)),
        ([Counters(None, 5.0, 1.0), 5.0, 15.0], (3, 15, 0, 0, 10)),
    ],
)  # fmt: skip
def test_a_counter_is_compared_from_its_first_step_to_its_last(said, found):
    assert counted(*said) == pytest.approx(found)


def test_without_a_limit_any_rise_may_be():
    source = Counted(ScriptedPace(0), None)
    source.facts = Facts()
    own = Channel(source, memory(), 10.0)
    for second, joules in ((1, 0.0), (2, 1.0), (3, 1e9)):
        source.said = Counters(joules, None, 1.0)
        own.compare(second * SECOND)
    assert own.counts[Count.COUNTED_TO_UJ] == 10**15
    own.begin_again()
    assert (own.counts[Count.COUNTED_FROM_NS], own.counts[Count.COUNTED_TO_NS]) == (0, 0)
    source.said = Counters(2e9, None, 1.0)
    own.compare(4 * SECOND)
    assert own.counts[Count.COUNTED_FROM_NS] == 0, "its first step is awaited"
    uncounted = channel()
    uncounted.compare(SECOND)
    assert uncounted.counts[Count.COUNTED_FROM_NS] == 0


def test_what_a_source_counts_itself_is_on_top_of_what_was_counted_before():
    shared = memory()
    for count, before in ((Count.LOST, 1), (Count.MOVED_BYTES, 20), (Count.CPU_NS, 300)):
        shared.counts[count] = before
    source = Scripted(ScriptedPace(0), None)
    own = Channel(source, shared, 10.0)
    own.tally(5)
    found = [shared.counts[count] for count in (Count.LOST, Count.MOVED_BYTES, Count.CPU_NS)]
    assert found == [1, 20, 305]
    source.lost, source.moved_bytes = 7, 8
    own.tally(6)
    found = [shared.counts[count] for count in (Count.LOST, Count.MOVED_BYTES, Count.CPU_NS)]
    assert found == [8, 28, 306]


# When it reads


class Noted(ScriptedPace):
    """Notes how long each wait would be, in ms."""

    def __init__(self, end_ns):
        super().__init__(end_ns)
        self.waits = []

    def wait_until(self, deadline_ns):
        self.waits.append((deadline_ns - self.time_ns) / MS)
        return super().wait_until(deadline_ns)


def run(script, seconds, rate_hz=100.0, pace=None, source=None, **options):
    pace = pace or Noted(round(seconds * SECOND))
    made = source or Scripted(pace, script)
    own = Channel(made, memory(), rate_hz)
    loop = SourceLoop(SourceConfig(made, rate_hz), [own], pace, **options)
    loop.run()
    return made, own, pace


def test_a_source_that_stays_away_is_tried_less_and_less_often():
    """Three readings fail in a row, 10 ms apart, before it is opened again."""
    source, own, pace = run(lambda n, pace: SourceMissing("gone"), 5.0)
    assert pace.waits[:3] == [10, 10, 100]
    assert [wait for wait in pace.waits if wait >= 100] == [100, 200, 500, 1000, 1000, 1000, 1000, 1000]
    assert own.counts[Count.STATE] == State.RETRYING
    assert source.opened >= 5


def test_once_it_was_read_a_source_is_tried_soon_again():
    def script(n, pace):
        return Reading(watts=1.0) if n in (7, 8) else SourceMissing("gone")

    *_, pace = run(script, 1.5)
    assert [wait for wait in pace.waits if wait >= 100][:4] == [100, 200, 100, 200]


def test_the_readings_that_a_pause_cost_are_counted():
    """100 ms at 100 Hz are ten readings; at 2 Hz no pause is shorter than a period."""
    _, own, pace = run(lambda n, pace: SourceMissing("gone"), 0.12)
    assert own.counts[Count.MISSED] == 10
    _, own, pace = run(lambda n, pace: SourceMissing("gone"), 1.6, rate_hz=2.0)
    assert pace.waits == [500, 500, 500, 500]
    assert own.counts[Count.MISSED] == 1


def test_two_failures_in_a_row_are_no_reason_to_open_it_again():
    fails = {3, 4, 6, 7, 9, 10, 11}
    source, *_ = run(lambda n, pace: SourceMissing("x") if n in fails else Reading(watts=1.0), 0.105)
    assert source.opened == 0
    source, *_ = run(lambda n, pace: SourceMissing("x") if n in fails else Reading(watts=1.0), 0.3)
    assert source.opened == 1


@pytest.mark.parametrize(
    ("took_ms", "missed", "read"), [(4, 0, 21), (19, 0, 20), (20, 1, 20), (29, 1, 19), (30, 2, 19)]
)
def test_a_reading_that_takes_periods_costs_these(took_ms, missed, read):
    """The one after it comes late, and the next is left out where the source has no news yet."""

    def script(n, pace):
        if n == 3:
            pace.time_ns += took_ms * MS
        return Reading(watts=1.0)

    _, own, _ = run(script, 0.2)
    assert own.counts[Count.MISSED] == missed
    assert own.counts[Count.RING_COUNT] == read


def test_the_house_is_kept_at_the_first_reading_every_second_and_at_the_end():
    kept, levels = [], []
    pace = Noted(round(2.5 * SECOND))
    priority = SimpleNamespace(
        level=2, ask=lambda: levels.append("ask"), check=lambda: levels.append("check")
    )
    _, own, _ = run(
        lambda n, pace: Reading(watts=1.0), 0, pace=pace, flush=lambda: kept.append(pace.time_ns / SECOND),
        priority=priority,
    )  # fmt: skip
    assert kept == [0.0, 1.0, 2.0, 2.5]
    assert levels == ["ask", *["check"] * 4]
    assert own.counts[Count.PRIORITY] == 2
    assert own.counts[Count.CPU_NS] == pace.time_ns // 100


@pytest.mark.parametrize(("slept_ms", "counted"), [(50, 0), (51, 51)])
def test_fifty_milliseconds_are_no_sleep(slept_ms, counted):
    def script(n, pace):
        if n == 5:
            pace.asleep_ns += slept_ms * MS
        return Reading(watts=1.0)

    _, own, _ = run(script, 0.3)
    assert own.counts[Count.SUSPENDED_NS] == counted * MS
    assert own.counts[Count.GAPS] == (1 if counted else 0)


def test_sleep_is_counted_from_where_it_was_looked_at_last():
    def script(n, pace):
        pace.asleep_ns += 30 * MS if n in (5, 7) else 0
        return Reading(watts=1.0)

    pace = Noted(round(0.3 * SECOND))
    pace.asleep_ns = 3600 * SECOND
    _, own, _ = run(script, 0, pace=pace)
    assert own.counts[Count.SUSPENDED_NS] == 60 * MS, "together they are more than scheduling"


@pytest.mark.parametrize(
    ("max_hz", "times"),
    [(1000.0, [0, 100, 111, 211]), (20.0, [0, 100, 120, 220]), (100.0, [0, 100, 111, 211])],
)
def test_what_is_asked_for_is_read_when_the_source_has_news(max_hz, times):
    """At most once in 20 ms is asked for, and no source is read sooner than it can say something new."""
    counts = {Count.ASKED: 0, Count.READY_UNTIL_NS: 0}
    pace = Asked(230 * MS, counts, [111])
    source = Scripted(pace, lambda n, pace: Reading(watts=2.0))
    source.facts = Facts(max_hz=max_hz)
    rows = []
    own = Channel(source, memory(), 10.0)
    SourceLoop(
        SourceConfig(source, 10.0), [own], pace, lambda _, s: rows.append(s.at_ns // MS), asks=counts
    ).run()
    assert rows[:4] == times
    assert own._head.answered()[0] == 1


def test_while_nobody_counts_it_is_read_ten_times_a_second():
    assert READY_PERIOD_NS == 100 * MS
    counts = {Count.ASKED: 0, Count.READY_UNTIL_NS: 1}
    fast, _, pace = run(lambda n, pace: Reading(watts=1.0), 1.0, asks=counts)
    assert fast.reads == 11
    assert set(pace.waits) == {100.0}
    slow, _, pace = run(lambda n, pace: Reading(watts=1.0), 10.0, rate_hz=2.0, asks=counts)
    assert set(pace.waits) == {500.0}
    assert slow.reads == 21


def test_a_part_is_due_half_a_period_of_the_fastest_before_its_own():
    """So it is read with the others, and not a period of theirs later for being a moment early."""
    pace = ScriptedPace(SECOND)
    sources = [Scripted(pace, lambda n, pace: Reading(watts=1.0)) for _ in range(2)]
    channels = [Channel(source, memory(), rate) for source, rate in zip(sources, (10.0, 4.0), strict=True)]
    SourceLoop(SourceConfig(sources[0], 10.0), channels, pace).run()
    assert [own.number for own in channels] == [0, 1]
    assert [own.rest_ns for own in channels] == [50 * MS, 200 * MS]
    assert [source.reads for source in sources] == [11, 6]


class Resumed(Scripted):
    """A source that looks at what may have changed when a block begins."""

    resumed = 0

    def resume(self):
        self.resumed += 1


@pytest.mark.parametrize(("ready", "resumed"), [([], 0), ([(200, 500)], 1)])
def test_a_source_is_resumed_where_a_block_begins_after_another(ready, resumed):
    """It ends with a question at 250 ms; the next one begins with one at 550 ms."""
    counts = {Count.ASKED: 0, Count.READY_UNTIL_NS: 0}
    pace = Asked(SECOND, counts, [250, 550])

    def script(n, pace):
        counts[Count.READY_UNTIL_NS] = int(any(a * MS <= pace.time_ns < b * MS for a, b in ready))
        return Reading(watts=2.0)

    source = Resumed(pace, script)
    own = Channel(source, memory(), 100.0)
    own.counts[Count.COUNTED_FROM_NS] = 5
    SourceLoop(SourceConfig(source, 100.0), [own], pace, asks=counts).run()
    assert source.resumed == resumed
    assert own.counts[Count.COUNTED_FROM_NS] == (0 if resumed else 5), "and its counter is compared again"


def test_what_was_spent_counts_from_where_a_source_was_opened_again():
    def slow(n, pace):
        pace.time_ns += 60 * MS
        return Reading(watts=2.0)

    pace = Noted(3 * SECOND)
    source = Scripted(pace, slow)
    own = Channel(source, memory(), 100.0)
    own._spent_ns = 100 * SECOND
    SourceLoop(SourceConfig(source, 100.0), [own], pace).run()
    assert own.counts[Count.GAPS] == 1, "its pace is known after one interval"


# What it records


def test_every_sample_is_recorded_with_the_number_of_its_channel():
    pace = ScriptedPace(100 * MS)
    sources = [Scripted(pace, lambda n, pace: Reading(watts=1.0, fresh=n != 2)) for _ in range(2)]
    channels = [Channel(source, memory(), 20.0) for source in sources]
    rows = []
    SourceLoop(
        SourceConfig(sources[0], 20.0), channels, pace, lambda number, s: rows.append((number, s.at_ns // MS))
    ).run()
    assert rows == [(0, 0), (1, 0), (0, 100), (1, 100)]


class Restored(Scripted):
    """A source whose parts are new objects after it was opened again."""

    def __init__(self, pace, script):
        super().__init__(pace, script)
        self.parts = []

    def channels(self):
        part = Scripted(self.pace, lambda n, pace: Reading(watts=7.0))
        self.parts.append(part)
        return [part]


def test_the_parts_of_a_source_that_came_back_are_its_new_ones():
    pace = ScriptedPace(SECOND)
    whole = Restored(pace, None)
    old = Scripted(pace, lambda n, pace: SourceMissing("gone") if n > 3 else Reading(watts=1.0))
    other = Scripted(pace, lambda n, pace: SourceMissing("gone"))
    other.name = "other"
    channels = [Channel(part, memory(), 100.0) for part in (old, other)]
    SourceLoop(SourceConfig(whole, 100.0), channels, pace).run()
    assert (channels[0].source, channels[1].source) == (whole.parts[0], other)
    assert whole.parts[0].reads > 80
    assert channels[0].counts[Count.GAPS] == 1, "what lies between is not measured"
    assert whole.opened == 1


def test_one_channel_of_two_that_answers_keeps_the_source_open():
    pace = ScriptedPace(SECOND)
    good = Scripted(pace, lambda n, pace: Reading(watts=1.0))
    bad = Scripted(pace, lambda n, pace: SourceMissing("gone"))
    channels = [Channel(part, memory(), 100.0) for part in (good, bad)]
    SourceLoop(SourceConfig(good, 100.0), channels, pace).run()
    assert good.opened == 0
    assert channels[1].counts[Count.FAILED] == 101


# Streams


class Sent(Scripted):
    """A device that sends by itself."""

    def stream(self):
        for reading in self.script:
            self.pace.time_ns += 10 * MS
            yield reading


class SentInParts(Sent):
    def stream_parts(self):
        for number, reading in enumerate(self.script):
            self.pace.time_ns += 10 * MS
            yield number % 2, reading


def test_what_a_stream_sends_is_recorded_and_counted():
    pace = ScriptedPace(60 * SECOND)
    source = Sent(
        pace, [Reading(watts=1.0), Reading(fresh=False), Reading(watts=math.nan), Reading(watts=2.0)]
    )
    own, rows = Channel(source, memory(), 100.0), []
    SourceLoop(
        SourceConfig(source, 100.0),
        [own],
        pace,
        lambda number, s: rows.append((number, s.at_ns // MS, s.watts)),
    ).run()
    assert rows == [(0, 10, 1.0), (0, 40, 2.0)]
    assert (own.counts[Count.FAILED], own.counts[Count.DUPLICATES]) == (1, 0)
    assert own.counts[Count.STATE] == State.ENDED


def test_a_stream_of_parts_goes_to_their_channels():
    pace = ScriptedPace(60 * SECOND)
    source = SentInParts(pace, [Reading(watts=float(n)) for n in range(4)])
    channels = [Channel(source, memory(), 100.0) for _ in range(2)]
    rows = []
    SourceLoop(
        SourceConfig(source, 100.0), channels, pace, lambda number, s: rows.append((number, s.watts))
    ).run()
    assert rows == [(0, 0.0), (1, 1.0), (0, 2.0), (1, 3.0)]


@pytest.mark.parametrize(
    ("many", "says"),
    [
        (2, "TypeError: scripted divides into channels that do not stream"),
        (1, "TypeError: part divides into a channel that does not stream"),
    ],
)
def test_a_stream_whose_parts_do_not_stream_is_a_fault(many, says):
    pace = ScriptedPace(SECOND)
    source = Sent(pace, [])
    part = Scripted(pace, None)
    part.name = "part"
    channels = [Channel(part, memory(), 100.0) for _ in range(many)]
    SourceLoop(SourceConfig(source, 100.0), channels, pace).run()
    assert [own._head.error for own in channels] == [says] * many


def test_a_question_to_a_stream_is_answered_with_its_next_reading():
    pace = ScriptedPace(60 * SECOND)
    source = Sent(pace, [Reading(watts=1.0), Reading(fresh=False)])
    own = Channel(source, memory(), 100.0)
    SourceLoop(SourceConfig(source, 100.0), [own], pace, asks={Count.ASKED: 3, Count.READY_UNTIL_NS: 0}).run()
    asked, counts = own._head.answered()
    assert (asked, counts[Count.RING_COUNT]) == (3, 1)


def test_a_stream_ends_where_it_is_stopped():
    pace = ScriptedPace(25 * MS)
    source = Sent(pace, [Reading(watts=1.0)] * 10)
    own = Channel(source, memory(), 100.0)
    kept = []
    SourceLoop(SourceConfig(source, 100.0), [own], pace, flush=lambda: kept.append(pace.time_ns // MS)).run()
    assert own.counts[Count.RING_COUNT] == 3
    assert own.counts[Count.STATE] == State.RUNNING
    assert kept == [10, 30]
    assert source.closed == 1
