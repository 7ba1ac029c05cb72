"""The meter's own figures: when a guard ends a loop, what a stretch drew, what a machine says of itself."""

import math
import os
import sys
from collections import namedtuple
from types import SimpleNamespace

import pytest
from devices.by_hand import MS, Bench, Pen

from energymeter import Battery, EnergyMeter
from energymeter.budget.balance import Balance
from energymeter.calibration.cards import Cards
from energymeter.errors import BudgetExhausted, NotMeasured, SpecError
from energymeter.meter import active, conditions, progress, throttling
from energymeter.meter.billing import cost_of
from energymeter.meter.conditions import Conditions
from energymeter.meter.guard import Guard, Status, Watch
from energymeter.meter.life import Life
from energymeter.meter.log_header import log_header, shown_name
from energymeter.meter.run import Run
from energymeter.meter.span_resolver import Resolved, Snapshot, SpanResolver, counts_of
from energymeter.meter.spans import Statistics
from energymeter.meter.usage_delta import NOTHING, UsageDelta
from energymeter.sampling.config import SourceConfig
from energymeter.sampling.memory import Count
from energymeter.spec import Spec

SECOND = 1_000_000_000


# A guard

BATTERY = Battery(1000, volts=3.6)


def status(taken, capacity=100.0, step=7):
    return Status(Balance(BATTERY, capacity, taken, 0.05), None, None, step)


@pytest.mark.parametrize(
    ("taken", "goes_on"),
    [
        ([0.0, 79.9], [True, False]), ([0.0, 40.0, 49.9], [True, True, True]), ([89.9], [True]),
        ([90.0], [False]), ([0.0, 45.0], [True, False]), ([0.0, 44.0, 46.0], [True, True, False]),
        ([0.0, 44.9, 44.9], [True, True, True]),
    ],
)  # fmt: skip
def test_a_guard_keeps_a_tenth_and_what_the_next_step_may_take(taken, goes_on):
    """The battery holds 100 J; a step may take as much as the largest one so far."""
    watch = Watch(Guard(0.1))
    assert [watch.goes_on(status(joules)) for joules in taken] == goes_on


def test_without_a_guard_a_loop_goes_on():
    watch = Watch(None)
    assert watch.goes_on(status(500.0))


@pytest.mark.parametrize("taken", [70.0, 75.0])
def test_a_guard_that_calls_back_goes_on_until_the_battery_is_empty(taken):
    called = []

    def on_low(said):
        called.append(("low", said.step))

    def on_empty(said):
        called.append(("empty", said.step))

    watch = Watch(Guard(0.5, on_low, on_empty))
    assert watch.goes_on(status(0.0, step=1))
    assert watch.goes_on(status(30.0, step=2))
    assert watch.goes_on(status(40.0, step=3))
    assert watch.goes_on(status(50.0, step=4))
    assert called == [("low", 2)], "once"
    assert not watch.goes_on(status(taken, step=5))
    assert called == [("low", 2), ("empty", 5)]


@pytest.mark.parametrize(("reserve", "what"), [(0.1, "reserve"), (0.0, "reserve")])
def test_a_guard_that_raises_says_why(reserve, what):
    watch = Watch(Guard(reserve, raises=True))
    with pytest.raises(BudgetExhausted) as ended:
        watch.goes_on(status(100.0))
    said = str(ended.value)
    assert said.startswith(f"the battery's {what} is reached, ")
    assert said.endswith(" of the battery after step 7: charge it and reset the budget")
    with_call = Watch(Guard(reserve, lambda said: None, raises=True))
    with pytest.raises(BudgetExhausted, match="the battery's end is reached"):
        with_call.goes_on(status(100.0))


# What a stretch drew


def delta(joules=10.0, coulombs=2.0, seconds=5.0, measured=4.0, uncertainty=0.5, covered=(4.0,)):
    sources = ("a", "b")[: len(covered)]
    return UsageDelta(joules, coulombs, seconds, measured, uncertainty, "measured", sources, covered)


def test_the_difference_of_two_usages():
    later = delta(30.0, 5.0, 11.0, 9.0, 1.5, (9.0, 3.0))
    found = UsageDelta.between(delta(), later)
    assert found == UsageDelta(20.0, 3.0, 6.0, 5.0, 1.0, "measured", ("a", "b"), (5.0, 3.0))
    assert UsageDelta.between(None, later) == later
    assert UsageDelta.between(delta(), later._replace(coulombs=None)).coulombs is None
    assert UsageDelta.between(delta()._replace(coulombs=None), later).coulombs is None
    assert UsageDelta.between(delta(), later._replace(uncertainty=None)).uncertainty is None
    assert UsageDelta.between(delta(), later._replace(joules=0.0)).uncertainty is None
    gone = UsageDelta.between(later, delta())
    assert gone.covered_seconds == (-5.0, -3.0)


def test_two_stretches_in_a_row():
    both = delta() + delta(20.0, 3.0, 6.0, 5.0, 1.0, (5.0, 3.0))._replace(provenance="modelled")
    assert both == UsageDelta(30.0, 5.0, 11.0, 9.0, 1.5, "modelled", ("a", "b"), (9.0, 3.0))
    assert NOTHING + delta() == delta()
    assert (delta() + delta(uncertainty=None)).uncertainty is None
    assert (delta() + delta(coulombs=None)).coulombs is None
    assert (delta(coulombs=None) + delta()).coulombs is None


def test_a_share_of_a_stretch():
    assert delta().part(0.25) == UsageDelta(2.5, 0.5, 1.25, 1.0, 0.125, "measured", ("a",), (1.0,))
    nothing = delta(coulombs=None, uncertainty=None).part(0.5)
    assert (nothing.coulombs, nothing.uncertainty) == (None, None)


@pytest.mark.parametrize(
    ("seconds", "measured", "covered", "coverage"),
    [
        (5.0, 4.0, (4.0, 2.0), 0.4),
        (5.0, 4.0, (), 0.8),
        (4.0, 5.0, (5.0,), 1.0),
        (0.0, 0.0, (), 1.0),
        (-1.0, 0.0, (0.0,), 1.0),
    ],
)
def test_the_share_that_was_measured(seconds, measured, covered, coverage):
    assert delta(seconds=seconds, measured=measured, covered=covered).coverage == pytest.approx(coverage)


@pytest.mark.parametrize(
    ("covered", "cost"), [(4.9751, (3, 10.0, 0)), (4.9749, (0, 0.0, 3)), (5.0, (3, 10.0, 0))]
)
def test_what_spans_cost_is_counted_where_it_was_measured(covered, cost):
    """99.5 % of 5 s."""
    assert cost_of(3, NOTHING, delta(covered=(covered,))) == cost
    assert cost_of(3, None, delta(covered=(covered,))) == cost
    assert cost_of(2, None, None) == (0, 0.0, 2)


# Meters that run


def test_the_meter_that_was_entered_last_is_the_one_that_counts(monkeypatch):
    class Meter: ...

    class Open:
        def __init__(self):
            self.heard = []

        def meter_began(self, meter):
            self.heard.append(("began", meter))

        def meter_ended(self, meter):
            self.heard.append(("ended", meter))

    monkeypatch.setattr(active, "_meters", [])
    billing = Open()
    monkeypatch.setattr(active, "billings", {"a": billing})
    first, second = Meter(), Meter()
    assert active.latest() is None
    assert not active.has(None)
    active.begin(first)
    active.begin(second)
    assert active.latest() is second
    assert active.has(first)
    assert not active.has(Meter())
    active.end(second)
    assert (active.latest(), active.has(second)) == (first, False)
    assert billing.heard == [("began", first), ("began", second), ("ended", second)]
    billing.heard.clear()
    del first
    assert active.latest() is None, "nobody holds it"
    third = Meter()
    active.begin(third)
    active.end(third)
    assert active._meters == []


# The machine


def tree(root, **files):
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return str(root)


def test_the_hottest_zone_is_how_warm_a_machine_is(tmp_path):
    assert conditions.celsius(str(tmp_path)) is None
    zones = {"0": "45000", "1": "61500", "2": "-50000", "3": "200000", "4": "x", "5": "-60000"}
    root = tree(tmp_path, **{f"sys/class/thermal/thermal_zone{n}/temp": text for n, text in zones.items()})
    tree(tmp_path, **{"sys/class/thermal/cooling_device0/temp": "99000"})
    assert conditions.celsius(root) == 61.5
    cold = tree(tmp_path / "cold", **{"sys/class/thermal/thermal_zone0/temp": "-49999"})
    assert conditions.celsius(cold) == pytest.approx(-49.999)
    hot = tree(tmp_path / "hot", **{"sys/class/thermal/thermal_zone0/temp": "199999"})
    assert conditions.celsius(hot) == pytest.approx(199.999)


SUPPLY = "sys/class/power_supply"


@pytest.mark.parametrize(
    ("supplies", "mains", "battery"),
    [
        ({}, None, None), ({"AC": ("Mains", "1", "")}, True, False),
        ({"AC": ("Mains", "0", "")}, False, False),
        ({"u": ("USB", "1", ""), "AC": ("Mains", "0", "")}, True, False),
        ({"BAT0": ("Battery", "1", "")}, None, True), ({"BAT0": ("Battery", "", "Device")}, None, False),
        ({"ups": ("UPS", "", "System")}, None, True), ({"x": ("Wireless", "1", "")}, None, False),
    ],
)  # fmt: skip
def test_what_feeds_a_machine(tmp_path, supplies, mains, battery):
    root = str(tmp_path)
    for name, (kind, online, scope) in supplies.items():
        tree(
            tmp_path,
            **{
                f"{SUPPLY}/{name}/type": kind,
                f"{SUPPLY}/{name}/online": online,
                f"{SUPPLY}/{name}/scope": scope,
            },
        )
    assert (conditions._mains(root), conditions._battery(root)) == (mains, battery)


def test_the_conditions_of_a_machine(tmp_path):
    policy = "sys/devices/system/cpu/cpufreq/policy"
    root = tree(
        tmp_path,
        **{
            "proc/loadavg": "0.52 0.58 0.59 1/2 3\n", f"{policy}0/scaling_governor": "schedutil\n",
            f"{policy}4/scaling_governor": "performance\n", f"{policy}5/scaling_governor": "performance\n",
            "sys/firmware/acpi/platform_profile": "balanced\n",
        },
    )  # fmt: skip
    found = Conditions.now(root)
    assert (found.governor, found.power_mode, found.load) == ("performance schedutil", "balanced", 0.52)
    assert (found.celsius, found.mains, found.battery, found.throttled) == (None, None, None, None)
    assert found.host == os.uname().nodename
    tree(tmp_path, **{"var/lib/nvpmodel/status": "MAXN\n", "proc/loadavg": "many\n"})
    assert Conditions.now(root)[3:6] == ("MAXN", None, None)
    empty = Conditions.now(str(tmp_path / "nothing"))
    assert empty[:7] == (None,) * 7


def test_the_conditions_in_a_line():
    assert str(Conditions()) == "unknown conditions"
    full = Conditions(61.5, 0, "performance", "MAXN", True, 0.5, "Raspberry Pi 4")
    assert str(full) == "Raspberry Pi 4, 62 °C, governor performance, power mode MAXN, on mains, load 0.5"
    assert str(Conditions(mains=False, load=0.0)) == "on battery, load 0"


@pytest.mark.parametrize(
    ("changed", "fine"),
    [
        ({}, True), ({"celsius": 40}, True), ({"celsius": "40"}, False), ({"throttled": 1.5}, False),
        ({"governor": 5}, False), ({"mains": 1}, False), ({"load": 1}, True), ({"board": 1}, False),
        ({"host": None}, True), ({"battery": "yes"}, False), ({"unknown": 1}, False),
    ],
)  # fmt: skip
def test_the_conditions_in_a_header(changed, fine):
    said = {**Conditions(host="x")._asdict(), **changed}
    found = Conditions.in_header({"conditions": said})
    assert (found is not None) is fine
    assert Conditions.in_header({}) is Conditions.in_header({"conditions": []}) is None


FLAGS = [
    ("the supply sagged below 4.63 V", "use a better supply or a shorter cable"),
    ("the processor's clock was capped", "cool it or give it a better supply"),
    ("the processor was throttled", "cool it or give it a better supply"),
    ("the soft temperature limit slowed the processor", "cool it"),
]


@pytest.mark.parametrize("bit", range(4))
def test_each_flag_of_the_firmware(bit):
    happened, remedy = FLAGS[bit]
    now, ever = 1 << bit, 1 << (bit + 16)
    during = [
        f"During the run {happened}, so its figures are not those of a healthy board; {remedy}, then run "
        "again."
    ]
    earlier = [
        f"Since boot, before the run, {happened}; whether it did so again cannot be reported: reboot to "
        f"clear the flag, and {remedy}."
    ]
    assert throttling.sentences(now | ever, now | ever) == during
    assert throttling.sentences(0, now | ever) == throttling.sentences(0, ever) == during
    assert throttling.sentences(now, 0) == throttling.sentences(now | ever, ever) == during
    assert throttling.sentences(ever, ever) == earlier
    assert (
        throttling.sentences(0, 0)
        == throttling.sentences(None, ever)
        == throttling.sentences(ever, None)
        == []
    )
    assert throttling.sentences(0, 1 << 4) == throttling.sentences(0, 1 << 20) == []


def test_a_log_says_where_it_comes_from():
    configs = [SourceConfig(Spec("manual", "5W", {}), 10.0), SourceConfig(SimpleNamespace(name="mine"))]
    header = log_header(configs, 1, 1.5, Conditions(host="x"))
    system = os.uname()
    assert header["sources"] == ["manual:5W", "mine"]
    assert (header["counted_sources"], header["rate_hz"], header["started"]) == (1, [10.0, None], 1.5)
    assert header["host"] == system.nodename
    assert header["system"] == f"{system.sysname} {system.release} {system.machine}"
    assert header["python"] == ".".join(map(str, sys.version_info[:3]))
    assert header["conditions"]["host"] == "x"
    assert shown_name(Spec("manual", "fish", {})) == "manual, with options that make no sense"


# Spans


def test_the_statistics_of_calls():
    one = Statistics.of([3.0], "J")
    assert (one.n, one.total, one.mean, one.median) == (1, 3.0, 3.0, 3.0)
    assert math.isnan(one.sd)
    assert one.to_dict()["sd"] is None
    assert str(one) == "3.00 J, median 3.00 J, n = 1"
    two = Statistics.of([1.0, 4.0], "", 2)
    assert (two.median, two.sd, two.left_out) == (2.5, pytest.approx(3 / math.sqrt(2)), 2)
    assert str(two) == "2.50 ± 2.12 (sd), median 2.50, n = 2, 2 left out"
    assert Statistics.of([5.0, 1.0, 2.0]).median == 2.0
    assert Statistics.of([2.0, 2.0, 2.0]).to_dict()["sd"] == 0.0


def snapshot(*pairs):
    from array import array

    edges = array("q", [edge for pair in pairs for edge in pair])
    return Snapshot(edges, len(pairs), ())


def test_a_span_is_found_by_its_edges_also_where_threads_ended_theirs_in_disorder():
    shot = snapshot((0, 10), (5, 20), (2, 20), (30, 25), (1, 40))
    for number in range(5):
        assert shot.find(shot.edges[2 * number], shot.edges[2 * number + 1]) == number
    assert shot.find(0, 11) is None
    assert shot.find(7, 20) is None
    assert shot.last_end_ns() == 40
    assert snapshot().last_end_ns() == 0
    apart = snapshot((SECOND, 2 * SECOND), (3 * SECOND, 5 * SECOND))
    assert list(apart.edges_seconds()) == [(0.0, 1.0), (2.0, 4.0)]
    assert list(apart.seconds()) == [1.0, 2.0]
    assert list(snapshot().edges_seconds()) == []
    many = snapshot(*((n, 50) for n in range(20)), (0, 60))
    assert [many.find(n, 50) for n in (0, 7, 8, 19)] == [0, 7, 8, 19]


def test_spans_with_the_same_edges_take_their_counts_in_turn():
    resolver = SpanResolver([], SECOND, lambda: 0)
    edges = resolver.begin("a")
    for pair in ((0, 10), (0, 10), (5, 20)):
        edges.extend(pair)
    resolver.count("a", (0, 10, 1), {"images": 4.0})
    resolver.count("a", (0, 10, 2), {"images": 2.0, "bytes": 7.0})
    resolver.count("a", (0, 10, 1), {"images": 1.0})
    resolver.count("a", (90, 99, 3), {"images": 1.0})
    assert resolver.counted() == {"a": {"images": [5.0, 2.0, 0.0], "bytes": [0.0, 7.0, 0.0]}}
    assert counts_of(edges, 1, resolver.units("a")) == {"images": [5.0], "bytes": [0.0]}
    assert counts_of(edges, 3, {}) == {}
    assert resolver.units("b") == {}
    assert resolver.last_end_ns() == 20
    resolver.begin("empty")
    assert resolver.last_end_ns() == 20
    assert [resolver.next_serial(), resolver.next_serial()] == [1, 2]


@pytest.mark.parametrize(
    ("keep_ns", "due_ns"), [(5 * SECOND, 101 * SECOND), (SECOND // 2, 100 * SECOND + SECOND // 2)]
)
def test_spans_are_resolved_after_a_second_at_first(keep_ns, due_ns):
    resolver = SpanResolver([], keep_ns, lambda: 100 * SECOND)
    assert resolver.due_ns == due_ns
    resolver.resolve()
    assert resolver.due_ns == 100 * SECOND + keep_ns


@pytest.mark.parametrize(
    ("reaches", "keep"), [([0], 1000), ([8000], 1000), ([2000], 500), ([0, 2000, 400], 100)]
)
def test_edges_are_safe_for_a_quarter_of_what_the_ring_holds(reaches, keep):
    curves = [SimpleNamespace(reach_ns=lambda reach=reach: reach) for reach in reaches]
    assert SpanResolver(curves, 1000, lambda: 0)._keep_ns() == keep


def test_windows_are_kept_in_blocks_of_4096():
    bench = Bench()
    bench.pass_ms(5)
    bench.enter()
    bench.pass_ms(50)
    from array import array

    start = bench.now_ns - 40 * MS
    edges = array("q", [edge for n in range(5000) for edge in (start + n * 1000, start + n * 1000 + 500)])
    resolved = Resolved()
    sizes = []
    for closed in (10, 10, 4000, 4096, 4097, 4100, 5000):
        resolved = resolved.extended(bench.curve, edges, closed, math.inf, {})
        assert resolved.n == closed
        sizes.append([len(block.exact) // 2 for block in resolved.blocks])
    assert sizes == [[10], [10], [4000], [4096], [4096, 1], [4096, 4], [4096, 904]]
    assert resolved.extended(bench.curve, edges, 5000, math.inf, {}) is resolved
    for number in (0, 9, 10, 4095, 4096, 4999):
        window = resolved.window(number, 5e-7)
        assert window.joules == pytest.approx(2.0 * 5e-7)
        assert window.covered_seconds == pytest.approx(5e-7)
        assert window.peak_watts == 2.0
    with pytest.raises(IndexError, match="span 5000 of 5000"):
        resolved.window(5000, 0.0)
    assert len(resolved.column("joules")) == len(resolved.column("peak_watts")) == 5000
    assert resolved.column("coulombs")[0] != 0.0
    assert set(resolved.column("peak_watts")) == {2.0}
    early = Resolved().extended(bench.curve, edges, 5000, start + 1500, {})
    assert early.n == 2, "those that had ended by then"
    nothing = Resolved().extended(bench.curve, edges, 5000, start, {})
    assert (nothing.n, nothing.blocks) == (0, ())
    bench.life.end()


# A run


@pytest.fixture
def bench():
    made = Bench()
    made.pass_ms(10)
    yield made
    made.life.end()


@pytest.mark.parametrize(("rate_hz", "period_s"), [(1000.0, 0.1), (2.0, 0.5), (0.1, 2.0)])
def test_an_answer_waits_a_period_for_the_next_sample(rate_hz, period_s):
    """But 0.1 s at least, and 2 s at most."""
    bench = Bench()
    bench.pens[0].sample_at(rate_hz)
    bench.pass_ms(2)
    run = bench.enter()
    now = bench.now_ns
    bench.waited = None
    run.wait_past(now)
    assert bench.waited is None, "there is a sample"
    run.wait_past(now + 1)
    assert bench.waited == pytest.approx(period_s, abs=1e-6)
    bench.waited = None
    bench.sleep(round(period_s * SECOND))
    run.wait_past(now)
    run.wait_past(now + 0)
    bench.sleep(1)
    run.wait_past(now + 1)
    assert bench.waited is None, "the time has passed"
    bench.left_ready = True
    run.wait_past(now + 1)
    assert bench.waited is not None
    bench.life.end()


def test_up_to_when_samples_are_known(bench):
    run = bench.enter()
    bench.pass_ms(5)
    assert run.progress().known_ns == bench.now_ns
    run._stopped, bench.left_ready = True, True
    assert run.progress().known_ns == bench.now_ns
    bench.left_ready = False
    assert run.progress().known_ns == math.inf
    run._stopped, run._replayed = False, True
    assert run.progress().known_ns == math.inf
    run._replayed = False


def test_what_a_run_counts_as_missed_and_what_it_took(bench):
    run = bench.enter()
    counts = bench.curve.counts
    for count, value in ((Count.MISSED, 3), (Count.FAILED, 4), (Count.LOST, 5), (Count.GAPS, 100)):
        counts[count] = value
    counts[Count.CPU_NS], counts[Count.MOVED_BYTES], counts[Count.PRIORITY] = 2 * SECOND, 77, 2
    counts[Count.DUPLICATES] = 6
    found = run.progress()
    assert found.missed == 12
    reads = counts[Count.RING_COUNT] + 6
    assert found.overhead == (2.0, reads, 77, "nice -10")
    assert found.long_seconds == pytest.approx((2 * found.interval_seconds[0],))


def test_a_thread_each_adds_up_and_a_process_counts_once():
    pens = Pen("a"), Pen("b")
    bench = Bench(*pens)
    bench.pass_ms(3)
    run = bench.enter()
    for number, pen in enumerate(pens):
        pen.curve.counts[Count.CPU_NS] = (number + 1) * SECOND
        pen.curve.counts[Count.PRIORITY] = 3 - number
    run.counted = [
        channel._replace(info=channel.info._replace(source_index=number))
        for number, channel in enumerate(run.counted)
    ]
    assert run._overhead(run.counted)[0] == 2.0
    assert run._overhead(run.counted)[3] == "nice -10", "the lesser of both"
    bench.in_process = True
    assert run._overhead(run.counted)[0] == 3.0
    assert run.latest().watts == 4.0
    assert (run.latest().volts, run.latest().amps) == (None, None)
    bench.life.end()


def test_the_newest_reading_of_one_channel(bench):
    run = bench.enter()
    assert run.latest().watts == 2.0
    run.counted = [*run.counted, Pen("empty").channel]
    with pytest.raises(NotMeasured) as nothing:
        run.latest()
    assert str(nothing.value) == "no sample has been taken yet; ask again when the source has answered"
    run.counted.pop()


def test_a_window_that_nothing_measured_says_why(bench):
    run = bench.enter()
    bench.curve._memory.head.error = "unplugged"
    now = bench.now_ns
    with pytest.raises(NotMeasured) as nothing:
        run.usage_of(run.spans.windows(now + SECOND, now + 2 * SECOND))
    assert str(nothing.value) == "bench measured nothing in this window; check it: unplugged"
    with pytest.raises(NotMeasured) as later:
        run.usage_of(run.spans.windows(now + SECOND, now + 2 * SECOND), until_ns=now + 1)
    assert str(later.value) == f"{nothing.value}; or ask again, as the next sample has not been taken yet"
    with pytest.raises(NotMeasured) as past:
        run.usage_of(run.spans.windows(now + SECOND, now + 2 * SECOND), until_ns=now)
    assert str(past.value) == str(nothing.value)


def test_the_start_of_a_run_is_kept_before_the_ring_forgets_it(bench):
    run = bench.enter()
    run.start_ns = bench.now_ns + 1
    run._note_starts()
    assert run._starts == {}
    run.start_ns = bench.now_ns
    run._note_starts()
    assert run._starts["bench"].joules == bench.curve.at(bench.now_ns).joules
    begun = run._starts["bench"]
    bench.pass_ms(2000)
    run._note_starts()
    assert run._starts["bench"] is begun


def test_a_baseline_is_what_was_drawn_a_second(bench):
    run = bench.enter()
    bench.pass_ms(200, 3.0)
    start_ns = bench.now_ns - 100 * MS
    idle = run.baseline(start_ns, bench.now_ns)
    usage = run.usage_between(start_ns, bench.now_ns)
    assert idle.watts == pytest.approx(3.0)
    assert idle[1] == pytest.approx(usage.uncertainty / 0.1)
    assert idle[3] == (("bench", pytest.approx(3.0)),)


# A meter's arguments


@pytest.mark.parametrize(("seconds", "fine"), [(0, True), (2.0, True), (2.001, False), (-0.001, False)])
def test_how_long_a_source_may_linger(seconds, fine):
    if fine:
        EnergyMeter("manual:5W", linger=seconds)
    else:
        with pytest.raises(SpecError) as wrong:
            EnergyMeter("manual:5W", linger=seconds)
        assert str(wrong.value) == f"a source cannot linger {seconds:g} s; give 0 to 2 seconds"


@pytest.mark.parametrize("rate_hz", [0, -1.0, float("nan")])
def test_a_rate_reads_something(rate_hz):
    with pytest.raises(SpecError) as wrong:
        EnergyMeter("manual:5W", rate_hz=rate_hz)
    assert str(wrong.value) == f"a rate of {rate_hz:g} Hz reads nothing; give a positive number"


@pytest.mark.parametrize("seconds", [0, -1.0, float("inf"), float("nan")])
def test_a_baseline_takes_some_time(seconds):
    with pytest.raises(SpecError) as wrong:
        EnergyMeter("manual:5W").idle(seconds)
    assert str(wrong.value) == f"an idle time of {seconds:g} s measures nothing; give a positive number"


def test_what_stands_behind_a_bar():
    Said = namedtuple("Said", "mah joules mean_watts")

    class Shown(EnergyMeter):
        said: object = None

        @property
        def usage(self):
            if self.said is None:
                raise NotMeasured("x")
            return self.said

    meter = Shown("manual:5W")
    assert meter._progress(3) == "nothing measured yet"
    meter.said = Said(None, 12.34, 2.0)
    assert meter._progress(0) == "2.00 W · 12.3 J"
    assert meter._progress(4) == "2.00 W · 12.3 J · 3.08e+03 mJ an item"
    meter.said = Said(1.5, 0.004, None)
    assert meter._progress(4) == "0.00 W · 0.0 J · 1.50 mAh · 1 mJ an item"


def test_how_wide_a_bar_is(monkeypatch):
    monkeypatch.setattr(progress.shutil, "get_terminal_size", lambda: os.terminal_size((80, 24)))
    assert progress._size() == (79, 24)
    assert (progress._REDRAW_NS, progress._PLAIN_NS) == (SECOND // 5, 30 * SECOND)


def test_a_fork_has_a_lock_of_its_own(monkeypatch):
    life = Life(lambda: 0)
    lock = life._lock()
    assert life._lock() is lock
    monkeypatch.setattr(os, "getpid", lambda: -5)
    assert life._lock() is not lock
    with life._lock():
        life._inside = True
        with pytest.raises(
            SpecError, match="this meter is being opened; enter or leave it when that is done"
        ):
            life._lock()


def test_a_run_that_never_began_leaves_no_window(bench):
    run = Run(bench, 1, Cards(), bench.clock)
    run.release()
    assert (run.start_ns, run.end_ns, bench.stopped) == (0, 0, 1)
