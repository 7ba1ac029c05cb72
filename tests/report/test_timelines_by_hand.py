"""Timelines of curves that are known: steps, lanes, merged clocks and shares, worked out by hand."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from energymeter.errors import LogError, SpecError
from energymeter.reading import Facts
from energymeter.recordings.record import RecordedSpans
from energymeter.recordings.trace import Trace
from energymeter.report.timeline import (
    OUTSIDE,
    Shares,
    Slice,
    Steps,
    Timeline,
    Track,
    _innermost,
    _Merged,
    _sum_of,
    _time,
    export,
    slices,
    steps,
    stretch_steps,
    to_chrome,
    to_firefox,
    to_perfetto,
)

STARTED = 1_767_225_600.0
LINE = Timeline(
    "desk (measured)",
    (
        Track("power", "W", np.array([0.0, 1.0, 3.0]), np.array([3.6, 7.2, 0.0])),
        Track("energy", "J", np.array([0.0, 1.0, 3.0]), np.array([0.0, 3.6, 18.0])),
    ),
    (Slice("a", 0, 0.5, 1.0), Slice("a", 0, 1.0, 2.0), Slice("b", 1, 0.5, 2.5)),
    STARTED,
)
"""3.6 W for a second and 7.2 W for two."""


# Steps ----------------------------------------------------------------------------------------------------


def test_means_hold_and_what_was_not_measured_is_at_zero() -> None:
    """Means of 2 W and 4 W, nothing from 2 to 5 s, then 6 W for a second."""
    time = np.array([0.0, 1.0, 2.0, 5.0, 6.0])
    watts = np.array([0.0, 2.0, 4.0, math.nan, 6.0])
    trace = Trace.integrate(time, np.nan_to_num(watts), facts=Facts("mean"), name="desk")
    trace.covered_s = np.array([0.0, 1.0, 2.0, 2.0, 3.0])
    trace.joules = np.array([0.0, 2.0, 6.0, 6.0, 12.0])
    found = steps(trace)
    assert found.time_s.tolist() == [0, 1, 2, 5, 6]
    assert found.watts.tolist() == [2, 4, 0, 6, 0]


def test_what_was_measured_of_an_interval_is_its_end() -> None:
    trace = Trace.integrate(np.array([0.0, 1.0, 5.0]), np.array([2.0, 2.0, 2.0]), name="desk")
    trace.covered_s, trace.joules = np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 8.0])
    found = steps(trace)
    assert found.time_s.tolist() == [0, 1, 4, 5]
    assert found.watts.tolist() == [2, 0, 6, 0]


def test_steps_that_add_up() -> None:
    one = Steps(np.array([0.0, 2.0, 4.0]), np.array([1.0, 2.0, 0.0]))
    other = Steps(np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 0.0]))
    total = _sum_of([one, other])
    assert total.time_s.tolist() == [0, 1, 2, 3, 4]
    assert total.watts.tolist() == [1, 11, 22, 2, 0]


def envelope(
    edges: list[float], watts: list[float], low: list[float], high: list[float], covered: list[float]
) -> Any:
    """What `stretch_steps` asks of an envelope."""
    known = {
        "edges_s": edges,
        "watts": watts,
        "lowest_watts": low,
        "highest_watts": high,
        "covered_s": covered,
    }
    fields = {name: np.array(values) for name, values in known.items()}
    return type("Known", (), fields)


def test_a_stretch_is_its_highest_and_then_its_lowest() -> None:
    """A mean of 2 between 1 and 5: a quarter of the time at 5, the rest at 1."""
    found = stretch_steps(envelope([0.0, 4.0], [2.0], [1.0], [5.0], [0.0, 4.0]))
    assert found.time_s.tolist() == [0, 1, 4]
    assert found.watts.tolist() == [5, 1, 0]
    level = stretch_steps(envelope([0.0, 4.0], [2.0], [2.0], [2.0], [0.0, 4.0]))
    assert (level.time_s.tolist(), level.watts.tolist()) == ([0, 4], [2, 0])


def test_a_stretch_that_was_measured_in_part_is_next_to_what_was_measured() -> None:
    nan = math.nan
    found = stretch_steps(
        envelope(
            [0.0, 4.0, 8.0, 12.0], [2.0, nan, 4.0], [2.0, nan, 4.0], [2.0, nan, 4.0], [0.0, 3.0, 3.0, 4.0]
        )
    )
    assert found.time_s.tolist() == [0, 3, 4, 8, 11, 12]
    assert found.watts.tolist() == [2, 0, 0, 0, 4, 0]


# Lanes ----------------------------------------------------------------------------------------------------


def test_calls_that_overlap_have_lanes_and_the_others_share_one() -> None:
    spans = {"a": [(2.0, 3.0), (0.0, 2.0), (1.0, 4.0)], "b": [(0.0, 9.0)]}
    assert slices(spans, [(5.0, 6.0)]) == [
        Slice("a", 0, 0.0, 2.0),
        Slice("a", 1, 1.0, 4.0),
        Slice("a", 0, 2.0, 3.0),
        Slice("b", 2, 0.0, 9.0),
        Slice("not measured", 3, 5.0, 6.0),
    ]
    assert slices({}, []) == []


def test_one_channel_has_no_name_and_several_have_a_total() -> None:
    def steady(name: str) -> Trace:
        return Trace.integrate(np.array([0.0, 1.0, 2.0]), np.full(3, 2.0), name=name)

    alone = Timeline.of(steady("cpu"))
    assert [track.name for track in alone.tracks] == ["power", "energy"]
    assert (alone.title, alone.epoch_s) == ("cpu (measured)", None)
    both = Timeline.of(steady("cpu") + steady("gpu"))
    assert [f"{track.name} {track.unit}" for track in both.tracks] == [
        "total power W", "total energy J", "cpu power W", "cpu energy J", "gpu power W", "gpu energy J"
    ]  # fmt: skip
    assert both.tracks[1].values.tolist() == [0, 4, 8]
    assert both.title == "cpu + gpu (measured)"


# Documents ------------------------------------------------------------------------------------------------


def test_all_of_a_chrome_document() -> None:
    document = to_chrome(LINE)
    assert document["displayTimeUnit"] == "ms"
    assert document["baseTimeNanoseconds"] == 1_767_225_600_000_000_000
    meta, *events = document["traceEvents"]
    assert meta == {
        "ph": "M",
        "pid": 1,
        "tid": 0,
        "name": "process_name",
        "args": {"name": "desk (measured)"},
    }
    counters = [event for event in events if event["ph"] == "C"]
    assert [(one["name"], one["ts"], one["args"]) for one in counters] == [
        ("power (W)", 0.0, {"W": 3.6}), ("power (W)", 1e6, {"W": 7.2}), ("power (W)", 3e6, {"W": 0.0}),
        ("energy (J)", 0.0, {"J": 0.0}), ("energy (J)", 1e6, {"J": 3.6}), ("energy (J)", 3e6, {"J": 18.0}),
    ]  # fmt: skip
    assert all((one["pid"], one["tid"]) == (1, 0) for one in counters)
    assert events[len(counters) :] == [
        {"ph": "M", "pid": 1, "tid": 1, "name": "thread_name", "args": {"name": "a"}},
        {"ph": "X", "pid": 1, "tid": 1, "name": "a", "cat": "energymeter", "ts": 5e5, "dur": 5e5},
        {"ph": "X", "pid": 1, "tid": 1, "name": "a", "cat": "energymeter", "ts": 1e6, "dur": 1e6},
        {"ph": "M", "pid": 1, "tid": 2, "name": "thread_name", "args": {"name": "b"}},
        {"ph": "X", "pid": 1, "tid": 2, "name": "b", "cat": "energymeter", "ts": 5e5, "dur": 2e6},
    ]
    assert "baseTimeNanoseconds" not in to_chrome(LINE._replace(epoch_s=None))


def test_the_counters_of_a_firefox_profile() -> None:
    """3.6 W for 1 s are 1e9 picowatt-hours."""
    profile = to_firefox(LINE)
    power, energy = (counter["samples"] for counter in profile["counters"])
    assert power == {
        "time": [0.0, 1e3, 3e3],
        "count": [0.0, pytest.approx(1e9), pytest.approx(4e9)],
        "length": 3,
    }
    assert energy == {"time": [0.0, 1e3, 3e3], "count": [0.0, 3.6, pytest.approx(14.4)], "length": 3}
    assert [counter["display"]["color"] for counter in profile["counters"]] == ["orange", "blue"]
    assert [counter["display"]["sortWeight"] for counter in profile["counters"]] == [30, 31]
    meta = profile["meta"]
    assert (meta["interval"], meta["startTime"], meta["version"]) == (1500.0, STARTED * 1e3, 36)
    assert (meta["preprocessedProfileVersion"], meta["processType"], meta["stackwalk"]) == (70, 0, 0)
    assert meta["symbolicated"] is True
    (thread,) = profile["threads"]
    markers = thread["markers"]
    assert markers["name"] == [0, 0, 1]
    assert profile["shared"]["stringArray"] == ["a", "b"]
    assert markers["startTime"] == [500.0, 1000.0, 500.0]
    assert markers["endTime"] == [1000.0, 2000.0, 2500.0]
    assert (markers["phase"], markers["category"], markers["length"]) == ([1, 1, 1], [0, 0, 0], 3)
    assert (thread["isMainThread"], thread["showMarkersInTimeline"]) == (True, True)
    assert (thread["processStartupTime"], thread["registerTime"], thread["tid"]) == (0, 0, 0)
    assert thread["samples"]["length"] == 0
    assert all(table["length"] == 0 for name, table in profile["shared"].items() if name != "stringArray")
    bare = to_firefox(
        LINE._replace(epoch_s=None, tracks=(Track("power", "W", np.array([0.0]), np.array([1.0])),))
    )
    assert (bare["meta"]["startTime"], bare["meta"]["interval"]) == (0, 1.0)


def test_a_perfetto_trace_begins_at_its_first_time() -> None:
    protos = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")

    def packets(timeline: Timeline) -> Any:
        read = protos.Trace()
        read.ParseFromString(to_perfetto(timeline))
        return read.packet

    early = LINE._replace(
        slices=(Slice("a", 0, -2.0, -1.0), Slice("b", 1, 0.0, 1.0), Slice("a", 0, 0.0, 1.0))
    )
    snapshot, top, *others = packets(early)
    assert [clock.timestamp for clock in snapshot.clock_snapshot.clocks] == [0, round((STARTED - 2) * 1e9)]
    assert (top.timestamp, top.track_descriptor.uuid, top.track_descriptor.name) == (0, 1, "desk (measured)")
    tracks = [one.track_descriptor for one in others if one.HasField("track_descriptor")]
    assert [(one.uuid, one.parent_uuid, one.name) for one in tracks] == [
        (2, 1, "power"), (3, 1, "energy"), (4, 1, "a"), (5, 1, "b")
    ]  # fmt: skip
    events = [(one.timestamp, one.track_event) for one in others if one.HasField("track_event")]
    assert [at for at, event in events if event.track_uuid == 2] == [2 * 10**9, 3 * 10**9, 5 * 10**9]
    assert [event.double_counter_value for _, event in events if event.track_uuid == 3] == [0.0, 3.6, 18.0]
    calls = [(at, event.type, event.name) for at, event in events if event.track_uuid == 4]
    assert calls == [(0, 1, "a"), (10**9, 2, ""), (2 * 10**9, 1, "a"), (3 * 10**9, 2, "")]
    assert {one.trusted_packet_sequence_id for one in others} == {1}
    undated = packets(LINE._replace(epoch_s=None))
    assert not undated[0].HasField("clock_snapshot")


# A trace of another profiler ------------------------------------------------------------------------------


def merged(tmp_path: Path, said: object, timeline: Timeline = LINE, **options: Any) -> _Merged:
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(said))
    return _Merged(str(path), timeline, options.get("offset_s"), options.get("align"))


def call(name: str, start_us: float, lasts_us: float, tid: object = 1, **more: Any) -> dict[str, Any]:
    return {"ph": "X", "pid": 1, "tid": tid, "name": name, "ts": start_us, "dur": lasts_us, **more}


@pytest.mark.parametrize(
    ("event", "time_us"),
    [
        ({"ts": 5}, 5.0),
        ({"ts": 0.5, "ph": "X"}, 0.5),
        ({"ts": 5, "ph": "M"}, None),
        ({"ts": True}, None),
        ({"ts": "5"}, None),
        ({"ts": math.inf}, None),
        ({}, None),
    ],
)
def test_the_time_of_an_event(event: dict[str, Any], time_us: float | None) -> None:
    assert _time(event) == time_us


def test_slices_of_each_form_on_the_clock_of_the_recording(tmp_path: Path) -> None:
    events = [
        call("x", 2e6, 1e6), call("none", 2e6, 0), call("never", 2e6, math.nan), call("wrong", 2e6, "1"),
        {"ph": "B", "pid": 1, "tid": 2, "name": "outer", "ts": 3e6},
        {"ph": "E", "pid": 1, "tid": 2, "ts": 6e6},
        {"ph": "B", "pid": 1, "tid": 2, "name": "inner", "ts": 4e6},
        {"ph": "E", "pid": 1, "tid": 2, "ts": 5e6},
        {"ph": "E", "pid": 1, "tid": 2, "ts": 7e6},
        {"ph": "B", "pid": 1, "tid": 3, "name": "no time", "ts": 4e6},
        {"ph": "E", "pid": 1, "tid": 3, "ts": 4e6},
        {"ph": "i", "pid": 1, "tid": 3, "name": "instant", "ts": 4e6},
    ]  # fmt: skip
    found = [*merged(tmp_path, events, offset_s=1.5).events()]
    assert found == [
        ("x", ("1", "1"), pytest.approx(0.5), pytest.approx(1.5)),
        ("inner", ("1", "2"), pytest.approx(2.5), pytest.approx(3.5)),
        ("outer", ("1", "2"), pytest.approx(1.5), pytest.approx(4.5)),
    ]


@pytest.mark.parametrize(
    ("said", "shift_us"),
    [
        ({"traceEvents": [call("x", 5.0, 1.0)], "baseTimeNanoseconds": int((STARTED - 3) * 1e9)}, 3e6),
        (
            {
                "traceEvents": [call("x", 5.0, 1.0)],
                "viztracer_metadata": {"baseTimeNanoseconds": int((STARTED - 4) * 1e9)},
            },
            4e6,
        ),
        ({"traceEvents": [call("x", STARTED * 1e6, 1.0)]}, STARTED * 1e6),
        ([call("x", 1e15 + 1, 1.0), {"ph": "M", "ts": 0}], STARTED * 1e6),
    ],
)
def test_clocks_meet_by_unix_time(tmp_path: Path, said: object, shift_us: float) -> None:
    assert merged(tmp_path, said)._shift_us == pytest.approx(shift_us)


@pytest.mark.parametrize(
    ("said", "timeline", "whose"),
    [
        ([call("x", 1e15, 1.0)], LINE, "{path}"),
        ([], LINE, "{path}"),
        ({"traceEvents": [], "baseTimeNanoseconds": 5}, LINE._replace(epoch_s=None), "the recording"),
    ],
)
def test_clocks_that_have_nothing_in_common(
    tmp_path: Path, said: object, timeline: Timeline, whose: str
) -> None:
    with pytest.raises(SpecError) as failure:
        merged(tmp_path, said, timeline)
    assert str(failure.value) == (
        f"{whose.format(path=tmp_path / 'trace.json')} does not say its Unix time, so the clocks have "
        "nothing in "
        "common; give --align, a span that is also a function of the trace, or --offset, the time of the "
        "trace in "
        "seconds at which the recording begins"
    )


@pytest.mark.parametrize("base", ["x", math.inf, [1]])
def test_a_base_time_that_is_no_number(tmp_path: Path, base: object) -> None:
    with pytest.raises(LogError, match="has a base time that is no number; export it again"):
        merged(tmp_path, {"traceEvents": [], "baseTimeNanoseconds": base})


def test_clocks_meet_by_a_span_that_both_have(tmp_path: Path) -> None:
    """The first call of a is at 0.5 s, its last one ends at 2 s; f lasts from 10 to 11.75 s of its trace."""
    events = [
        call("f", 11e6, 0.75e6), call("f", 10e6, 0.5e6), call("other", 10e6, 1e6, tid=2), call("g", 1e6, 1e6)
    ]  # fmt: skip
    found = merged(tmp_path, events, align="a=f")
    assert found._shift_us == pytest.approx(9.5e6)
    assert found.notes == (
        "its clock is at 9.500 s when the recording begins, by a; the last calls end 0.250 s apart; threads "
        "without f get no share",
    )
    assert {name for name, *_ in found.events()} == {"f", "g"}, "of the thread of f alone"
    same = merged(tmp_path, [call("a", 10e6, 1e6)], align="a")
    assert same._shift_us == pytest.approx(9.5e6)
    for align, text in (
        ("c", "the recording has no span c; name one that both have, or SPAN=SLICE"),
        ("a=q", f"{tmp_path / 'trace.json'} has no slice q; name one that both have, or SPAN=SLICE"),
    ):
        with pytest.raises(SpecError) as failure:
            merged(tmp_path, events, align=align)
        assert str(failure.value) == text


@pytest.mark.parametrize(
    ("taken", "pid"), [([], 1), ([1], 2), ([1, 2], 3), ([2, 3], 1), (["1"], 1), ([1, 3], 2)]
)
def test_the_recording_is_a_process_of_its_own(tmp_path: Path, taken: list[object], pid: int) -> None:
    events = [{**call("x", 1.0, 1.0), "pid": number} for number in taken]
    document = merged(tmp_path, {"traceEvents": events, "kept": 1}, offset_s=2.0).document()
    assert document["kept"] == 1
    assert document["traceEvents"][: len(events)] == events
    ours = document["traceEvents"][len(events) :]
    assert {one["pid"] for one in ours} == {pid}
    assert min(one["ts"] for one in ours if "ts" in one) == 2e6


def test_a_profile_of_speedscope_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="is a speedscope profile, which has no times"):
        merged(tmp_path, {"$schema": "https://www.speedscope.app/file-format-schema.json"}, offset_s=0.0)
    for said in ({"traceEvents": [1]}, {"traceEvents": {}}, {}, 3):
        with pytest.raises(LogError, match="has no list of traceEvents; export it as Chrome's JSON"):
            merged(tmp_path, said, offset_s=0.0)


# Shares ---------------------------------------------------------------------------------------------------


def test_the_innermost_slice_of_each_thread() -> None:
    events = [
        ("outer", 1, 0.0, 10.0), ("inner", 1, 2.0, 4.0), ("deep", 1, 3.0, 4.0), ("next", 1, 4.0, 5.0),
        ("other", 2, 1.0, 2.0), ("over", 1, 9.0, 12.0),
    ]  # fmt: skip
    assert sorted(_innermost(events), key=lambda piece: (piece[1], piece[0])) == [
        ("outer", 0.0, 2.0),
        ("other", 1.0, 2.0),
        ("inner", 2.0, 3.0),
        ("deep", 3.0, 4.0),
        ("next", 4.0, 5.0),
        ("outer", 5.0, 9.0),
        ("over", 9.0, 12.0),
    ]
    same = [("inner", 1, 0.0, 1.0), ("outer", 1, 0.0, 2.0)]
    assert [*_innermost(same)] == [("inner", 0.0, 1.0), ("outer", 1.0, 2.0)]


def steady() -> Trace:
    """2 W from 0 to 10 s."""
    return Trace.integrate(np.arange(11.0), np.full(11, 2.0), name="desk")


def test_energy_goes_to_what_is_open_in_equal_shares() -> None:
    shares = Shares([("a", 1, 1.0, 5.0), ("b", 2, 3.0, 5.0), ("a", 1, 6.0, 7.0), ("late", 1, 20.0, 30.0)])
    found = shares.joules(steady(), [(0.0, 8.0)])
    # a: 2 s alone, 2 s with b, 1 s alone; b: 2 s with a; nobody: 0 to 1, 5 to 6 and 7 to 8 s
    assert found == {
        "a": (pytest.approx(8.0), pytest.approx(4.0)),
        OUTSIDE: (pytest.approx(6.0), pytest.approx(3.0)),
        "b": (pytest.approx(2.0), pytest.approx(1.0)),
    }
    assert [*found] == ["a", OUTSIDE, "b"], "the largest first"


def test_only_the_windows_are_shared_out() -> None:
    shares = Shares([("a", 1, 0.0, 4.0), ("edge", 1, 4.0, 6.0)], ["how"])
    assert shares.notes == ("how",)
    assert shares.joules(steady(), [(1.0, 2.0), (3.0, 4.0)]) == {
        "a": (pytest.approx(4.0), pytest.approx(2.0))
    }
    assert shares.joules(steady(), []) == {}
    assert shares.joules(steady(), [(2.0, 2.0)]) == {}
    assert shares.joules(steady(), [(7.0, 8.0)]) == {OUTSIDE: (pytest.approx(2.0), pytest.approx(1.0))}
    both = shares.joules(steady(), [(3.0, 5.0)])
    assert both == {
        "a": (pytest.approx(2.0), pytest.approx(1.0)),
        "edge": (pytest.approx(2.0), pytest.approx(1.0)),
    }


# Writing --------------------------------------------------------------------------------------------------


def test_what_an_export_refuses(tmp_path: Path) -> None:
    trace, out = steady(), tmp_path / "out.json"
    for form, options, text in (
        ("svg", {}, "there is no format 'svg'; give one of perfetto, firefox, chrome, csv, parquet"),
        ("firefox", {"into": "x"}, "a trace is merged into as chrome, not as firefox; give --to chrome"),
    ):
        with pytest.raises(SpecError) as failure:
            export(trace, str(out), form, **options)
        assert str(failure.value) == text
    out.write_text("kept")
    with pytest.raises(LogError) as damage:
        export(trace, str(out), "chrome")
    assert str(damage.value) == f"{out} exists and is not overwritten; give --force, or another name"
    assert export(trace, str(out), "chrome", force=True) is None
    assert json.loads(out.read_text())["traceEvents"][0]["args"] == {"name": "desk (measured)"}
    with pytest.raises(LogError, match=r"cannot be written \(.*\); give a place that is yours"):
        export(trace, str(tmp_path / "none" / "out.json"), "chrome")
    trace.spans = {"f": RecordedSpans(1, ((1.0, 2.0),))}
    (tmp_path / "trace.json").write_text(json.dumps([call("f", 5e6, 1e6)]))
    found = export(trace, str(out), "chrome", force=True, into=str(tmp_path / "trace.json"), align="f")
    assert found is not None
    assert found.joules(trace, [(0.0, 3.0)])["f"] == (pytest.approx(2.0), pytest.approx(1.0))
