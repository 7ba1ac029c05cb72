"""What a feed gives of curves: energy, coverage, nested places, gaps, restarts."""

from pathlib import Path

import pytest
from drawn_source import SECOND, DrawnSource

from energymeter.clock import ManualClock
from energymeter.reading import Facts
from energymeter.report.live import COLUMN_SECONDS
from energymeter.serve.feed import Feed
from energymeter.serve.totals import Totals

ONE_SECOND = COLUMN_SECONDS.index(1.0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000 * SECOND)


def test_a_steady_load_is_its_power_its_energy_and_its_charge(clock: ManualClock) -> None:
    source = DrawnSource("board", clock)
    feed = Feed(lambda: [source], clock=clock)
    source.run(60, 3.0)
    figures = feed.read()
    (state,) = figures.snapshot.channels
    assert state.watts == pytest.approx(3.0)
    assert state.joules == pytest.approx(3.0 * 59.9)
    assert state.coulombs == pytest.approx(0.6 * 59.9)
    assert state.coverage == 1.0
    assert state.watts_uncertainty == pytest.approx(2 * 3.0 * (0.005**2 + 0.01**2) ** 0.5 / 3**0.5, rel=0.01)
    assert figures.totals["board", "board:0"].joules.forward == state.joules
    assert figures.snapshot.sources[0].up


def test_the_rate_of_the_counter_is_the_power(clock: ManualClock) -> None:
    source = DrawnSource("board", clock)
    feed = Feed(lambda: [source], clock=clock)
    source.run(30, 3.0)
    before = feed.counters().totals["board", "board:0"]
    source.run(15, 2.0)
    after = feed.counters().totals["board", "board:0"]
    assert (after.joules.forward - before.joules.forward) / 15 == pytest.approx(2.0, rel=0.01)
    assert after.measured_seconds - before.measured_seconds == pytest.approx(15.0)


def test_a_silence_is_no_power_no_energy_and_no_measured_time(clock: ManualClock) -> None:
    source = DrawnSource("board", clock)
    feed = Feed(lambda: [source], clock=clock)
    source.run(30, 3.0)
    before = feed.counters().totals["board", "board:0"]
    source.run(30, None)
    figures = feed.counters()
    (state,) = figures.snapshot.channels
    assert state.watts is None
    assert state.volts is None
    assert not figures.snapshot.sources[0].up
    assert figures.totals["board", "board:0"] == before
    assert state.coverage == pytest.approx(0.5, abs=0.01)
    columns = feed.columns("board", "", ONE_SECOND, 0)
    assert [bar.watts for bar in columns.bars[5:25]] == pytest.approx([3.0] * 20)
    assert {bar.watts for bar in columns.bars[40:]} == {None}, "a gap is a gap"


def test_a_source_that_is_closed_keeps_its_totals_and_shows_no_power(clock: ManualClock) -> None:
    source = DrawnSource("board", clock)
    serving = [source]
    feed = Feed(lambda: serving, clock=clock)
    source.run(10, 3.0)
    joules = feed.counters().totals["board", "board:0"].joules.forward
    closed = DrawnSource("board", clock)
    closed.channels = []
    serving[0] = closed
    clock.sleep(5)
    figures = feed.counters()
    assert figures.snapshot.channels[0].watts is None
    assert figures.totals["board", "board:0"].joules.forward == joules
    serving[0] = DrawnSource("board", clock)  # opened again: its curve begins at nothing
    serving[0].run(10, 3.0)
    again = feed.counters().totals["board", "board:0"].joules.forward
    assert again == pytest.approx(joules + 3.0 * 9.9)


def test_counters_go_on_where_the_last_agent_ended(clock: ManualClock, tmp_path: Path) -> None:
    path = str(tmp_path / "totals.json")
    shown = []
    for _ in range(3):
        source = DrawnSource("board", clock)
        feed = Feed(lambda: [source], Totals(path), clock=clock)  # noqa: B023 - it is of this turn
        source.run(10, 3.0)
        shown.append(feed.counters().totals["board", "board:0"].joules.forward)
        source.run(3, 3.0)  # and is killed: nothing of this was shown
    assert shown == pytest.approx([29.7, 59.4, 89.1])


def test_reading_a_page_writes_no_file(clock: ManualClock, tmp_path: Path) -> None:
    source = DrawnSource("board", clock)
    feed = Feed(lambda: [source], Totals(str(tmp_path / "totals.json")), clock=clock)
    source.run(10, 3.0)
    feed.read()
    assert not (tmp_path / "totals.json").exists(), "it would wear out the card"
    feed.counters()
    saved = (tmp_path / "totals.json").stat().st_ino
    feed.counters()
    assert (tmp_path / "totals.json").stat().st_ino == saved, "once for many readers"


def test_only_the_outermost_place_counts_also_while_it_is_unplugged(clock: ManualClock) -> None:
    wall = DrawnSource("plug", clock, Facts(place="wall"))
    die = DrawnSource("cpu", clock, Facts(place="die", semantics="instant"))
    serving = [wall, die]
    feed = Feed(lambda: serving, clock=clock)
    wall.run(5, 6.0)
    die.run(5, 2.0)
    assert [state.counted for state in feed.read().snapshot.channels] == [True, False]
    wall.channels = []
    die.run(5, 2.0)
    assert [state.counted for state in feed.read().snapshot.channels] == [True, False]


def test_rails_that_add_up_are_added_and_those_within_are_not(clock: ManualClock) -> None:
    source = DrawnSource("board", clock, Facts(), Facts(), Facts(counted=False))
    feed = Feed(lambda: [source], clock=clock)
    source.run(10, 1.0, 2.0, 0.5)
    columns = feed.columns("board", "", ONE_SECOND, 0)
    assert columns.bars[5].watts == pytest.approx(3.0)
    alone = feed.columns("board", "board:2", ONE_SECOND, 0)
    assert alone.bars[5].watts == pytest.approx(0.5)
    assert feed.columns("nowhere", "", ONE_SECOND, 0).bars[0].watts is None


def test_a_reader_asks_only_for_what_is_new(clock: ManualClock) -> None:
    source = DrawnSource("board", clock)
    feed = Feed(lambda: [source], clock=clock)
    source.run(30, 3.0)
    columns = feed.columns("board", "", ONE_SECOND, 25)
    assert columns.first == 25
    assert len(columns.bars) in (5, 6)
    assert columns.start_unix + 30 == pytest.approx(clock.time())


def test_energy_that_flows_back_is_a_counter_of_its_own(clock: ManualClock) -> None:
    source = DrawnSource("board", clock)
    feed = Feed(lambda: [source], clock=clock)
    source.run(10, 3.0)
    forward = feed.counters().totals["board", "board:0"].joules.forward
    source.run(10, -2.0)
    total = feed.counters().totals["board", "board:0"].joules
    assert total.forward == pytest.approx(forward, abs=0.2)
    assert total.back == pytest.approx(20.0, abs=1.5)
