"""Counters that never go back, whatever is measured, killed, damaged or started again."""

import json
import math
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serve.made_figures import BOARD

from energymeter.serve import totals as module
from energymeter.serve.names import JOULE_BUCKETS, MOST_SPANS, OTHER_SPANS
from energymeter.serve.totals import Histogram, Rising, Totals

KEY = BOARD.source, BOARD.channel
STEPS = st.lists(st.tuples(st.sampled_from(["more", "kill", "reopen"]), st.floats(-50, 100)), max_size=15)


def shown(totals: Totals) -> list[float]:
    """Everything that rises."""
    total = totals.channels.get(KEY)
    if total is None:
        return [0.0] * 7
    return [
        total.joules.forward, total.joules.back, total.coulombs.forward, total.coulombs.back,
        total.uncertainty_joules, total.measured_seconds, total.missed,
    ]  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_no_counter_falls_when_the_agent_is_killed_or_a_source_is_opened_again(
    steps, tmp_path_factory
) -> None:
    """Each state is saved before it is shown; a kill loses what was taken in and not shown."""
    path = str(tmp_path_factory.mktemp("totals") / "totals.json")
    totals, state, run = Totals(path), BOARD._replace(run="0"), 0
    joules = seconds = 0.0
    before = [0.0] * 7
    for what, change in steps:
        if what == "kill":
            totals = Totals(path)
        if what != "more":
            run, joules, seconds = run + 1, 0.0, 0.0
        joules, seconds = joules + change, seconds + abs(change)
        state = state._replace(
            run=str(run), joules=joules, coulombs=joules / 5, measured_seconds=seconds,
            uncertainty_joules=abs(joules) / 100, missed=int(seconds),
        )  # fmt: skip
        totals.take([state])
        totals.save()
        now = shown(totals)
        assert all(new >= old for new, old in zip(now, before, strict=True)), (before, now)
        assert shown(Totals(path)) == now, "the file holds what is shown"
        before = now


@settings(max_examples=200, deadline=None)
@given(changes=st.lists(st.floats(-20, 20), max_size=60))
def test_what_flowed_is_forward_less_back_less_what_is_owed(changes: list[float]) -> None:
    total = Rising()
    for change in changes:
        total = total.after(change)
        assert 0 <= total.owed <= 1.0
    assert total.forward - total.back - total.owed == pytest.approx(math.fsum(changes), abs=1e-9)


def test_noise_around_zero_does_not_count_up() -> None:
    """Rectified, a thousand swings of 10 mJ would be 10 J that nobody used."""
    total = Rising()
    for number in range(2000):
        total = total.after(0.01 if number % 2 else -0.01)
    assert total.forward < 0.02
    assert total.back == 0.0


def test_a_source_that_is_opened_again_begins_at_nothing_and_adds_up() -> None:
    totals = Totals()
    totals.take([BOARD._replace(joules=100.0)])
    totals.take([BOARD._replace(joules=100.0)])  # twice is fine
    totals.take([BOARD._replace(run="2", joules=40.0)])
    assert totals.channels[KEY].joules.forward == 140.0
    assert totals.channels[KEY].uncertainty_joules == 72.0, "the same error may be in both"


@pytest.mark.parametrize(
    "content",
    [
        "", "{}", "[" * 100_000, '{"channels": 3, "spans": []}', '{"channels": [["a"]], "spans": []}',
        '{"channels": [["a", "b", [NaN, 0, 0], [0, 0, 0], 0, 0, 0, true]], "spans": []}',
        '{"channels": [["a", "b", [-5, 0, 0], [0, 0, 0], 0, 0, 0, true]], "spans": []}',
        '{"channels": [], "spans": [["x", [[], [1], 0], [[], [1], 0]]]}',
    ],
)  # fmt: skip
def test_a_damaged_file_is_set_aside_with_a_warning(content: str, tmp_path: Path) -> None:
    path = tmp_path / "totals.json"
    path.write_text(content)
    with pytest.warns(RuntimeWarning, match="counters begin at 0"):
        totals = Totals(str(path))
    assert totals.channels == {}
    assert (tmp_path / "totals.json.unreadable").read_text() == content
    totals.take([BOARD])
    totals.save()
    assert Totals(str(path)).channels == totals.channels


def test_a_folder_that_cannot_be_written_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    totals = Totals(str(tmp_path / "file" / "totals.json"))
    totals.take([BOARD])
    with pytest.warns(RuntimeWarning, match="name another folder"):
        totals.save()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        totals.save()


def test_the_file_is_for_this_user_alone_and_on_the_disk_before_it_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr("os.fsync", synced.append)
    totals = Totals(str(tmp_path / "state" / "totals.json"))
    totals.take([BOARD])
    totals.save()
    path = tmp_path / "state" / "totals.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert len(synced) == 2, "the file and its folder"
    json.loads(path.read_text())


def test_spans_are_counted_in_ranges_and_their_names_are_limited() -> None:
    totals = Totals()
    for number in range(MOST_SPANS + 20):
        totals.add_span("board", f"span {number}", 1.0, 0.1)
    assert len(totals.spans) == MOST_SPANS + 1
    assert sum(totals.spans["board", OTHER_SPANS].joules.counts) == 20
    totals.add_span("board", "span 0", math.nan, 1.0)
    assert sum(totals.spans["board", "span 0"].joules.counts) == 1


@given(st.lists(st.floats(-1, 1e7), min_size=1, max_size=50))
def test_each_figure_is_in_the_first_range_that_holds_it(figures: list[float]) -> None:
    histogram = Histogram.empty(JOULE_BUCKETS)
    for figure in figures:
        histogram = histogram.after(figure)
    for place, bound in enumerate(JOULE_BUCKETS):
        assert sum(histogram.counts[: place + 1]) == sum(figure <= bound for figure in figures)
    assert histogram.sum == pytest.approx(math.fsum(figures))


def test_channels_are_limited() -> None:
    totals = Totals()
    totals.take(BOARD._replace(channel=str(number)) for number in range(1100))
    assert len(totals.channels) == module._MOST_CHANNELS
