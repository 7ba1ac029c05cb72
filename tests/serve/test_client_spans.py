"""The spans that clients send, by what the agent makes of them; see `test_spans_on_the_wire` for the wire.

=================================================  ====================================================
the client says how many joules a call took        test_the_energy_is_that_of_the_agents_ring
a call is counted before all of it was measured    test_a_call_waits_for_the_sample_after_its_end
a gap counts as energy, or as a call of 0 J        test_a_call_that_was_not_measured_is_left_out
times in the future, reversed, of another boot     test_times_that_cannot_be_are_left_out
the begin of a long call is guessed                test_a_long_call_counts_if_its_begin_was_announced
a clock that is off moves energy between calls     test_a_call_shorter_than_ten_bounds_is_left_out
± is absent, or that of a program's own meter      test_calls_are_as_uncertain_as_in_the_program
± shrinks where all calls have the same error      test_the_same_error_in_all_calls_does_not_average_out
± leaves out the clock of another computer         test_a_clock_that_is_off_is_part_of_the_uncertainty
± of some calls passes for that of all             test_what_is_unknown_of_one_call_is_unknown_of_all
a battery's gauge gives a call its step            test_a_gauge_says_nothing_of_a_call
a closed source keeps calls without end            test_a_call_whose_sample_never_comes_is_given_up
calls from before a restart are read on            test_a_call_from_before_the_source_was_opened_again
a flood fills the memory or the processor          test_a_flood_is_cut_and_counted
names are long, many, or control a terminal        test_names_are_cut..., test_many_names_are_counted_as_other
another source's figures change                    test_each_source_has_its_own
what makes no sense is taken in part               test_a_message_that_makes_no_sense
the record loses or repeats calls                  test_the_record_...
=================================================  ====================================================
"""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from drawn_source import SECOND, DrawnSource
from hypothesis import given, settings
from hypothesis import strategies as st

from energymeter.calibration.cards import Cards
from energymeter.clock import ManualClock
from energymeter.energy.uncertainty import components_of, expanded
from energymeter.errors import SpecError
from energymeter.reading import Band, Facts
from energymeter.recordings.trace import Trace
from energymeter.sampling.span_message import (
    MOST_CALLS,
    MOST_CHARACTERS,
    SPANS_BYTES,
    Allowance,
    SpanMessage,
    short,
)
from energymeter.serve.feed import Feed
from energymeter.serve.names import MOST_SPANS, OTHER_SPANS
from energymeter.serve.record import RecordSettings, RollingRecord
from energymeter.serve.site import Site
from energymeter.serve.snapshot import part_of
from energymeter.serve.spans import LEAST_BOUNDS, MOST_A_SECOND, WAIT_NS, ClientSpans, Doubt, EndedSpan
from energymeter.serve.totals import SpanTotal, Totals

START = 1000 * SECOND


class Board:
    """A source that draws 3 W and then 6 W, and what became of its clients' spans."""

    def __init__(self, *facts: Facts, capacity: int = 4096) -> None:
        self.clock = ManualClock(START, epoch=1_795_860_000.0)
        self.source = DrawnSource("board", self.clock, *facts)
        self.source.open(capacity)
        self.found: list[EndedSpan] = []
        self.spans = ClientSpans(self.source.counted, self.found.append, self.clock.monotonic_ns)

    def take(self, **message: Any) -> int:
        return self.spans.take(message)

    def at(self, seconds: float) -> int:
        return START + round(seconds * SECOND)

    def joules(self) -> list[float | None]:
        """The energy of all calls that are settled now."""
        self.spans.resolve()
        found = [span.joules for span in self.found]
        self.found.clear()
        return found


@pytest.fixture
def board() -> Board:
    return Board()


def test_the_energy_is_that_of_the_agents_ring(board: Board) -> None:
    board.source.run(2, 3.0)
    board.source.run(2, 6.0)
    assert board.take(spans={"a": [board.at(0.5), board.at(1.5)], "b": [board.at(2.5), board.at(3.0)]}) == 2
    assert board.joules() == pytest.approx([3.0, 3.0])
    with pytest.raises(SpecError):
        board.take(spans={"a": [board.at(0.5), board.at(1.5)]}, joules=[7.0])


def settled(board: Board) -> SpanTotal:
    """The calls of "a" that are settled now, together."""
    totals = Totals()
    feed = Feed(list, totals)
    board.spans.resolve()
    for span in board.found:
        feed.add_span("board", span)
    return totals.spans["board", "a"]


@pytest.mark.parametrize("facts", [Facts(volts=Band(0.005), amps=Band(0.01)), Facts(watts=Band(0.0, 0.1))])
def test_calls_are_as_uncertain_as_in_the_program(facts: Facts) -> None:
    board = Board(facts)
    board.source.run(4, 3.0)
    board.take(spans={"a": [board.at(0.5), board.at(1.5)]})
    (channel,) = board.source.counted()
    part = part_of(channel, channel.curve.window(board.at(0.5), board.at(1.5)), Cards())
    total = settled(board)
    assert total.uncertainty == pytest.approx(expanded(components_of(part)))
    assert total.uncertainty is not None
    assert total.uncertainty > 0.0


def test_the_same_error_in_all_calls_does_not_average_out(board: Board) -> None:
    board.source.run(12, 3.0)
    for number in range(10):  # in two messages that are settled apart
        board.take(spans={"a": [board.at(number + 0.5), board.at(number + 1.5)]})
        if number == 4:
            board.spans.resolve()
    total = settled(board)
    assert total.calls == 10
    assert total.joules.sum == pytest.approx(30.0)
    gain = 2 * 30.0 * math.hypot(0.005, 0.01) / math.sqrt(3)
    assert total.uncertainty == pytest.approx(gain, rel=0.1)


def test_a_clock_that_is_off_is_part_of_the_uncertainty() -> None:
    """It moves both edges alike: of a steady load that is nothing, and where the power differs it is much."""
    spread = []
    for powers, bound_ns in (
        ((3.0, 3.0), 0),
        ((3.0, 3.0), SECOND // 20),
        ((3.0, 9.0), 0),
        ((3.0, 9.0), SECOND // 20),
    ):
        board = Board(Facts(watts=Band(0.0, 0.001)))
        for power in powers:
            board.source.run(2, power)
        board.take(spans={"a": [board.at(1.0), board.at(3.0)]}, bound_ns=bound_ns)
        spread.append(settled(board).uncertainty)
    steady, still_steady, rising, uncertain = spread
    assert still_steady == pytest.approx(steady)
    assert uncertain == pytest.approx(math.hypot(rising or 0.0, 2 * 6.0 * 0.05 / math.sqrt(3)), rel=0.2)


def test_what_is_unknown_of_one_call_is_unknown_of_all(tmp_path: Path) -> None:
    path = str(tmp_path / "totals.json")
    totals = Totals(path)
    totals.add_span("board", "a", 1.0, 0.1, Doubt(0.1, 0.04))
    totals.add_span("board", "a", 1.0, 0.1, Doubt(0.2, 0.05))
    totals.add_span("board", "b", 1.0, 0.1, Doubt(0.1, 0.04))
    totals.add_span("board", "b", 1.0, 0.1)
    totals.add_span("board", "b", 1.0, 0.1, Doubt(0.1, 0.04))
    totals.save()
    for known in (totals, Totals(path)):
        assert known.spans["board", "a"].uncertainty == pytest.approx(2 * math.hypot(0.3, 0.3))
        assert known.spans["board", "b"].uncertainty is None
    content = json.loads(Path(path).read_text())
    content["spans"] = [row[:5] for row in content["spans"]]  # of an earlier version
    Path(path).write_text(json.dumps(content))
    earlier = Totals(path).spans["board", "a"]
    assert (earlier.calls, earlier.joules.sum, earlier.uncertainty) == (2, 2.0, None)


def test_a_call_waits_for_the_sample_after_its_end(board: Board) -> None:
    board.source.run(1, 3.0)
    board.take(spans={"a": [board.at(0.5), board.at(1.04)]})
    assert board.joules() == []
    board.source.run(1, 3.0)
    assert board.joules() == pytest.approx([3.0 * 0.54])
    assert board.joules() == [], "once"


def test_a_call_that_was_not_measured_is_left_out(board: Board) -> None:
    board.source.run(2, 3.0)
    board.source.run(10, None)
    board.source.run(2, 3.0)
    board.take(spans={"in the gap": [board.at(4), board.at(5)], "into it": [board.at(1), board.at(3)]})
    board.take(spans={"across": [board.at(1), board.at(13)], "before": [board.at(-5), board.at(1)]})
    assert board.joules() == [None] * 4


@pytest.mark.parametrize(
    ("start_s", "end_s"), [(2.0, 1.0), (1.0, 10.0), (1.0, 1e6), (5e8, 5e8 + 1), (-900.0, -899.0)]
)
def test_times_that_cannot_be_are_left_out(board: Board, start_s: float, end_s: float) -> None:
    board.source.run(4, 3.0)
    board.take(spans={"a": [board.at(start_s), board.at(end_s)]})
    assert board.joules() == [None]
    assert board.source.counted()[0].curve.last_ns() == board.at(4), "and nothing else has changed"


def test_a_long_call_counts_if_its_begin_was_announced() -> None:
    board = Board(capacity=64)
    begun = board.at(5)
    board.source.run(3, 3.0)
    board.source.run(3, 6.0)
    board.take(spans={}, open=[begun])
    assert board.joules() == []
    board.source.run(500, 6.0)
    ended = board.at(505)
    board.take(spans={"epoch": [begun, ended], "nobody announced": [begun + 1, ended]})
    assert board.joules() == [pytest.approx(6.0 * 500), None]


def test_announcements_are_bounded(board: Board) -> None:
    board.source.run(3, 3.0)
    for number in range(50):
        board.take(spans={}, open=[board.at(1) + 100 * number + place for place in range(100)])
        board.joules()
    assert len(board.spans._begun) == 1000


def test_a_call_shorter_than_ten_bounds_is_left_out(board: Board) -> None:
    board.source.run(4, 3.0)
    bound_ns = 10_000_000
    start = board.at(1)
    edges = [start, start + LEAST_BOUNDS * bound_ns - 1, start, start + LEAST_BOUNDS * bound_ns]
    assert board.take(spans={"a": edges}, bound_ns=bound_ns) == 1
    assert sorted(board.joules(), key=str) == [pytest.approx(0.3), None]


def test_a_gauge_says_nothing_of_a_call() -> None:
    board = Board()
    gauge = Facts(semantics="counter", place="cell", joules=Band(0.01, resolution=100.0))
    (channel,) = board.source.channels
    board.source.channels = [channel._replace(info=channel.info._replace(facts=gauge))]
    board.source.run(4, 3.0)
    board.take(spans={"a": [board.at(1), board.at(2)]})
    assert board.joules() == [None]


def test_a_call_whose_sample_never_comes_is_given_up(board: Board) -> None:
    board.source.run(2, 3.0)
    board.take(spans={"a": [board.at(1), board.at(2.5)]})
    board.source.run(9, None)
    assert board.joules() == []
    board.clock.sleep(WAIT_NS * 1e-9)
    assert board.joules() == [None]
    assert not board.spans._pending


def test_a_call_from_before_the_source_was_opened_again(board: Board) -> None:
    board.source.run(10, 3.0)
    board.take(spans={}, open=[board.at(2)])
    board.joules()
    board.source.open()
    board.source.run(4, 3.0)
    board.take(spans={"before": [board.at(5), board.at(6)], "across": [board.at(2), board.at(12)]})
    board.take(spans={"after": [board.at(11), board.at(12)]})
    assert board.joules() == [None, None, pytest.approx(3.0)]


def test_no_sample_at_all_is_no_energy(board: Board) -> None:
    board.take(spans={"a": [board.at(0), board.at(0)]}, open=[board.at(0)])
    board.clock.sleep(WAIT_NS * 1e-9 + 1)
    assert board.joules() == [None]


def test_a_flood_is_cut_and_counted(board: Board) -> None:
    board.source.run(4, 3.0)
    edges = [board.at(1), board.at(2)] * MOST_CALLS
    taken = sum(board.take(spans={"a": edges}) for _ in range(50))
    assert taken == 5 * MOST_A_SECOND
    board.spans.resolve()
    assert sum(span.calls for span in board.found if span.joules is None) == 50 * MOST_CALLS - taken
    assert len(board.found) == taken + 1
    board.clock.sleep(1)
    assert sum(board.take(spans={"a": edges}) for _ in range(50)) == MOST_A_SECOND


def test_names_are_cut_and_have_no_control_characters() -> None:
    assert short("a\x1b[2J\n\u202e") == "a\\x1b[2J\\n\\u202e"
    assert short("\ud800") == "\\ud800"
    assert short("") == "unnamed"
    assert short("x" * MOST_CHARACTERS) == "x" * MOST_CHARACTERS
    assert short("x" * 101) == "x" * 99 + "…"
    assert len(short("\x00" * 100)) == MOST_CHARACTERS


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_any_name(name: str) -> None:
    shown = short(name)
    assert shown.isprintable()
    assert 0 < len(shown) <= MOST_CHARACTERS
    assert short(shown) == shown


def test_names_that_become_one_are_counted_together(board: Board) -> None:
    board.source.run(4, 3.0)
    board.take(spans={"x" * 200: [board.at(1), board.at(2)], "x" * 300: [board.at(2), board.at(3)]})
    assert board.joules() == pytest.approx([3.0, 3.0])


@pytest.mark.parametrize(
    "message",
    [
        {}, {"spans": []}, {"spans": {"a": [1]}}, {"spans": {"a": [1, 2.0]}}, {"spans": {"a": [1, True]}},
        {"spans": {"a": [-1, 2]}}, {"spans": {"a": [1, 1 << 62]}}, {"spans": {"a": "12"}},
        {"spans": {"a": 1}},
        {"spans": {"a": [1, 2] * (MOST_CALLS + 1)}}, {"spans": {str(n): [] for n in range(101)}},
        {"spans": {"a": [1, 2] * 600, "b": [1, 2] * 600}}, {"spans": {}, "open": [None]},
        {"spans": {}, "open": [1] * 101}, {"spans": {}, "left_out": {"a": -1}},
        {"spans": {}, "left_out": [1]}, {"spans": {}, "left_out": {"a": 1 << 40}},
        {"spans": {}, "bound_ns": None}, {"spans": {}, "spec": "x"},
        {"spans": {}, "bound_ns": math.nan},
    ],
)  # fmt: skip
def test_a_message_that_makes_no_sense(board: Board, message: dict[str, Any]) -> None:
    board.source.run(1, 3.0)
    with pytest.raises(SpecError, match="docs/serve"):
        board.spans.take(message)
    assert board.joules() == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
FIELDS = st.sampled_from(["spans", "open", "left_out", "bound_ns", "other"])


@given(st.dictionaries(FIELDS, JSON, max_size=5))
@settings(max_examples=200)
def test_any_message_is_taken_or_refused(message: dict[str, Any]) -> None:
    board = Board()
    board.source.run(1, 3.0)
    try:
        board.spans.take(json.loads(json.dumps(message)))
    except SpecError:
        return
    board.clock.sleep(1e3)
    board.spans.resolve()
    assert all(span.joules is None or math.isfinite(span.joules) for span in board.found)


def test_the_allowance_saves_five_seconds() -> None:
    clock = ManualClock(0)
    allowance = Allowance(10, now=lambda: clock.monotonic_ns() * 1e-9)
    assert [allowance.take(30), allowance.take(30), allowance.take(1)] == [30, 20, 0]
    clock.sleep(0.55)
    assert allowance.take(100) == 5
    clock.sleep(1000)
    assert allowance.take(100) == 50


# What shows them -------------------------------------------------------------------------------------


def test_each_source_has_its_own() -> None:
    totals = Totals()
    feed = Feed(list, totals)
    feed.add_span("board", EndedSpan("infer", 0, SECOND, 3.0))
    feed.add_span("wall", EndedSpan("infer", 0, SECOND, 7.0))
    feed.add_span("board", EndedSpan("infer", calls=5))
    found = feed.read().spans
    assert [found["board", "infer"].joules.sum, found["wall", "infer"].joules.sum] == [3.0, 7.0]
    assert [found["board", "infer"].left_out, found["board", "infer"].calls] == [5, 1]


def test_many_names_are_counted_as_other(tmp_path: Path) -> None:
    path = str(tmp_path / "totals.json")
    totals = Totals(path)
    for number in range(MOST_SPANS + 20):
        totals.leave_out("board", f"span {number}", 2)
    totals.add_span("wall", "infer", 1.0, 0.1)
    assert len(totals.spans) == MOST_SPANS + 2
    assert totals.spans["board", OTHER_SPANS].left_out == 40
    totals.save()
    assert Totals(path).spans == totals.spans


def test_the_page_shows_names_as_text_and_what_is_left_out() -> None:
    clock, totals = ManualClock(START), Totals()
    sources = [DrawnSource("board", clock), DrawnSource("cpu", clock)]
    totals.add_span("board", "<img src=x onerror=alert(1)>", 3.0, 0.5)
    totals.leave_out("cpu", "epoch", 7)
    totals.add_span("cpu", "batch", 3.0, 0.5, Doubt(0.03, 0.0))
    totals.add_span("cpu", "batch", 5.0, 0.5, Doubt(0.05, 0.0))
    site = Site(Feed(lambda: sources, totals, clock=clock))
    response = site.respond("GET", "/api/live", {"host": "localhost"})
    assert dict(response.headers)["Content-Type"] == "application/json"
    rows = json.loads(response.body)["spans"]
    assert ["board: <img src=x onerror=alert(1)>", 1, 0, "3.00 J", "500 ms"] in rows
    assert ["cpu: epoch", 0, 7, "not measured", ""] in rows
    assert ["cpu: batch", 2, 0, "4.000 J ± 0.080", "500 ms"] in rows


def recorded(folder: Path) -> list[Trace]:
    return [Trace.load(str(path)) for path in sorted(folder.glob("*.csv"))]


def test_the_record_holds_the_calls_with_their_energy(board: Board, tmp_path: Path) -> None:
    record = RollingRecord([board.source], RecordSettings(str(tmp_path), 10_000_000, 60.0), clock=board.clock)
    board.source.run(10, 3.0)
    record.step()
    record.add_span("board", EndedSpan("infer", board.at(2), board.at(3), 3.0))
    record.add_span("board", EndedSpan("infer", calls=9))
    record.add_span("another", EndedSpan("infer", board.at(2), board.at(3), 3.0))
    record.close()
    (trace,) = recorded(tmp_path)
    assert trace.spans["infer"].n == 10
    assert trace.span_usage("infer").joules == pytest.approx(3.0)
    assert trace.span_usage("infer").coverage == 1.0


def test_a_call_across_two_files_of_the_record_is_in_the_later_one(board: Board, tmp_path: Path) -> None:
    record = RollingRecord([board.source], RecordSettings(str(tmp_path), 10_000_000, 60.0), clock=board.clock)
    board.source.run(70, 3.0)
    record.step()
    record.add_span("board", EndedSpan("epoch", board.at(55), board.at(65), 30.0))
    record.add_span("board", EndedSpan("late", board.at(55), board.at(56), 3.0))
    record.close()
    first, second = recorded(tmp_path)
    assert first.spans == {}
    assert second.span_usage("epoch").joules == pytest.approx(15.0, rel=0.05), "as far as it goes back"
    assert second.span_usage("epoch").coverage == pytest.approx(0.5, abs=0.03)
    assert (second.spans["late"].n, second.spans["late"].windows_s) == (1, ())


def test_a_flood_does_not_fill_the_record(board: Board, tmp_path: Path) -> None:
    record = RollingRecord([board.source], RecordSettings(str(tmp_path), 10_000_000, 60.0), clock=board.clock)
    board.source.run(10, 3.0)
    record.step()
    for number in range(30_000):
        record.add_span("board", EndedSpan(f"span {number % 150}", board.at(2), board.at(3), 3.0))
    kept = record._sources[0].spans._edges
    assert sum(len(edges) for edges in kept.values()) == 20_000
    record.close()
    (trace,) = recorded(tmp_path)
    assert trace.spans["span 7"].n == 200
    assert 100 < sum(len(spans.windows_s) for spans in trace.spans.values()) <= 1000
    assert not any("not whole" in note for note in trace.notes)


def test_a_full_message_of_the_client_fits() -> None:
    edges = [(1 << 62) - 1] * 2 * 300
    name = "\U0001f600" * 79
    message = {"spans": {f"{name}{number}": edges[:30] for number in range(20)}, "open": [1 << 61] * 100}
    message["left_out"] = {f"{name}{number}": 1 << 32 for number in range(20)}
    SpanMessage.of({**message, "bound_ns": 1 << 61})
    assert len(json.dumps({"add_spans": message, "source": "x" * 64, "protocol": 1})) < SPANS_BYTES
