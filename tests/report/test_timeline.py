"""`energymeter export`: files of other programs hold the joules of the log, at its times."""

import json
import math
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from report.proved_logs import FACTS, STARTED, Channel, Claim, write
from report.wild_traces import traces

from energymeter import Trace
from energymeter.cli import cli
from energymeter.errors import EnergyMeterError, LogError, SpecError
from energymeter.reading import Facts
from energymeter.recordings.record import RecordedSpans
from energymeter.report import decimation
from energymeter.report.decimation import decimated
from energymeter.report.timeline import (
    MOST_TRACE_BYTES,
    OUTSIDE,
    Shares,
    Timeline,
    export,
    steps,
    stretch_steps,
    to_chrome,
    to_firefox,
    to_perfetto,
)

PWH = 3.6e-9


def curve(gap: bool = False, semantics: str = "instant") -> Trace:
    """A wave of 3 to 5 W over 10 s."""
    times = np.arange(0.0, 10.001, 0.1)
    if gap:
        times = times[(times < 4) | (times > 6)]
    watts = 4 + np.sin(times)
    facts = Facts(semantics=semantics)  # type: ignore[arg-type]
    return Trace.integrate(times, watts, facts=facts, name="rail", epoch_s=STARTED)


def real(tmp_path: Path, claim: Claim | None = None) -> Trace:
    write(tmp_path / "log.csv", claim or Claim())
    return Trace.load(tmp_path / "log.csv")


def held(times: Any, values: Any) -> float:
    """The integral of a value that holds until the next time."""
    return math.fsum(np.diff(times) * np.asarray(values)[:-1])


@pytest.mark.parametrize("semantics", ["instant", "mean"])
@pytest.mark.parametrize("gap", [False, True])
def test_steps_hold_the_energy_and_are_zero_in_a_gap(gap: bool, semantics: str) -> None:
    trace = curve(gap, semantics)
    drawn = steps(trace)
    assert np.all(np.diff(drawn.time_s) > 0)
    assert held(*drawn) == pytest.approx(float(trace.joules[-1]), rel=1e-9)
    for start, end in trace.gaps():
        inside = drawn.watts[(drawn.time_s >= start) & (drawn.time_s < end)]
        assert len(inside)
        assert not np.any(inside)
    assert drawn.watts.max() <= 5.01


def packets(content: bytes) -> Any:
    protos = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")
    read = protos.Trace()
    read.ParseFromString(content)
    return read.packet


def perfetto_tracks(
    content: bytes,
) -> tuple[dict[str, list[tuple[int, float]]], dict[str, list[tuple[int, int]]]]:
    """Counters by name, as ns and values; slices by name, as ns and ns."""
    names: dict[int, str] = {}
    counters: dict[str, list[tuple[int, float]]] = {}
    open_ones: dict[int, list[tuple[str, int]]] = {}
    found: dict[str, list[tuple[int, int]]] = {}
    for packet in packets(content):
        if packet.HasField("track_descriptor"):
            names[packet.track_descriptor.uuid] = packet.track_descriptor.name
        elif packet.HasField("track_event"):
            event = packet.track_event
            if event.type == 4:
                counters.setdefault(names[event.track_uuid], []).append(
                    (packet.timestamp, event.double_counter_value)
                )
            elif event.type == 1:
                open_ones.setdefault(event.track_uuid, []).append((event.name, packet.timestamp))
            elif event.type == 2:
                name, start = open_ones[event.track_uuid].pop()
                found.setdefault(name, []).append((start, packet.timestamp))
    assert not any(open_ones.values())
    return counters, found


@pytest.mark.parametrize("gap", [(0, 0), (1000, 1600)])
def test_perfetto_holds_the_joules_and_the_spans(gap: tuple[int, int], tmp_path: Path) -> None:
    trace = real(tmp_path, Claim(channels=(Channel(gap=gap),)))
    counters, found = perfetto_tracks(to_perfetto(Timeline.of(trace)))
    total = float(trace.joules[-1])
    times, watts = zip(*counters["power"], strict=True)
    assert held(np.array(times) / 1e9, watts) == pytest.approx(total, rel=1e-6)
    times, joules = zip(*counters["energy"], strict=True)
    assert joules[-1] == pytest.approx(total, rel=1e-12)
    assert times == tuple(np.round(trace.time_s * 1e9).astype(int).tolist())
    expected = [(round(a * 1e9), round(b * 1e9)) for a, b in trace.spans["infer"].windows_s]
    assert found["infer"] == expected
    assert ("not measured" in found) == (gap != (0, 0))
    for start, end in expected[:3]:
        rise = np.interp([start, end], times, joules)
        measured = trace.usage(start / 1e9, end / 1e9).joules
        assert rise[1] - rise[0] == pytest.approx(measured, rel=1e-6)


def test_perfetto_says_when_it_began_and_what_it_shows(tmp_path: Path) -> None:
    trace = real(tmp_path, Claim(channels=(Channel(facts=FACTS._replace(provenance="simulated")),)))
    read = packets(to_perfetto(Timeline.of(trace)))
    clocks = {clock.clock_id: clock.timestamp for clock in read[0].clock_snapshot.clocks}
    assert clocks == {6: 0, 1: round(STARTED * 1e9)}
    assert "SIMULATED: ina226@1:0x40 (simulated)" in [p.track_descriptor.name for p in read]
    units = {p.track_descriptor.name: p.track_descriptor.counter.unit_name for p in read}
    assert (units["power"], units["energy"]) == ("W", "J")


def test_several_channels_and_their_total(tmp_path: Path) -> None:
    trace = real(tmp_path, Claim(channels=(Channel(), Channel(name="gpu", watts=2.0))))
    counters, _ = perfetto_tracks(to_perfetto(Timeline.of(trace)))
    assert counters["total energy"][-1][1] == pytest.approx(6.0 * 30, rel=1e-6)
    assert counters["gpu energy"][-1][1] == pytest.approx(2.0 * 30, rel=1e-6)
    names = [counter["name"] for counter in to_firefox(Timeline.of(trace))["counters"]]
    assert names[:3] == ["total power (W)", "total energy (J)", "ina226@1:0x40 power (W)"]


def test_the_counters_of_firefox_are_of_the_program_and_drawn_as_power_and_energy(tmp_path: Path) -> None:
    """The format's own words: Processed profile, RawCounter."""
    power, energy = to_firefox(Timeline.of(real(tmp_path)))["counters"][:2]
    for counter in (power, energy):
        assert (counter["pid"], counter["mainThreadIndex"]) == ("0", 0)
        samples = counter["samples"]
        assert samples["length"] == len(samples["time"]) == len(samples["count"])
    assert (power["category"], energy["category"]) == ("power", "energy")
    assert (power["display"]["graphType"], energy["display"]["graphType"]) == (
        "line-rate",
        "line-accumulated",
    )
    assert (power["display"]["unit"], energy["display"]["unit"]) == ("pWh", "J")
    assert power["display"]["sortWeight"] < energy["display"]["sortWeight"]
    rows = {row["source"]: row for row in power["display"]["tooltipRows"]}
    assert [source for source, row in rows.items() if row.get("requiresPreviewSelection")] == [
        "selection-total",
        "selection-rate",
    ]
    assert {source: row["format"].get("scale") for source, row in rows.items()} == {
        "count": "power",
        "selection-total": "energy",
        "selection-rate": "power",
        "committed-range-total": "energy",
    }
    assert all(row["format"]["co2"] == "per-watthour" for row in rows.values())
    assert [row["source"] for row in energy["display"]["tooltipRows"]] == ["accumulated"]


def test_calls_that_overlap_are_on_lanes_of_their_own(tmp_path: Path) -> None:
    trace = real(tmp_path, Claim(spans=(("a", 1.0, 1.5, 4), ("b", 2.0, 0.5, 2))))
    lanes: dict[int, list[tuple[float, float]]] = {}
    for one in Timeline.of(trace).slices:
        lanes.setdefault(one.lane, []).append((one.start_s, one.end_s))
    assert len(lanes) == 3
    for of_one in lanes.values():
        assert all(first[1] <= second[0] for first, second in pairwise(of_one))


def test_chrome_holds_the_same(tmp_path: Path) -> None:
    trace = real(tmp_path)
    document = json.loads(json.dumps(to_chrome(Timeline.of(trace))))
    assert document["baseTimeNanoseconds"] == round(STARTED * 1e9)
    power = [(e["ts"], e["args"]["W"]) for e in document["traceEvents"] if e["name"] == "power (W)"]
    times, watts = zip(*power, strict=True)
    assert held(np.array(times) / 1e6, watts) == pytest.approx(float(trace.joules[-1]), rel=1e-6)
    spans = [(e["ts"], e["dur"]) for e in document["traceEvents"] if e["ph"] == "X" and e["name"] == "infer"]
    windows = trace.spans["infer"].windows_s
    assert spans == [pytest.approx((a * 1e6, (b - a) * 1e6)) for a, b in windows]
    assert {e["ph"] for e in document["traceEvents"]} == {"M", "C", "X"}


@pytest.mark.parametrize("gap", [(0, 0), (1000, 1600)])
def test_a_firefox_profile_holds_the_same(gap: tuple[int, int], tmp_path: Path) -> None:
    trace = real(tmp_path, Claim(channels=(Channel(gap=gap),)))
    profile = json.loads(json.dumps(to_firefox(Timeline.of(trace))))
    power, energy = profile["counters"]
    assert (power["category"], power["display"]["unit"]) == ("power", "pWh")
    assert math.fsum(power["samples"]["count"]) * PWH == pytest.approx(float(trace.joules[-1]), rel=1e-6)
    assert math.fsum(energy["samples"]["count"]) == pytest.approx(float(trace.joules[-1]), rel=1e-6)
    for counter in profile["counters"]:
        samples = counter["samples"]
        assert len(samples["time"]) == len(samples["count"]) == samples["length"]
        assert samples["length"] == len(trace)
    assert profile["meta"]["startTime"] == STARTED * 1e3
    markers = profile["threads"][0]["markers"]
    rows = {name: column for name, column in markers.items() if name != "length"}
    assert {len(column) for column in rows.values()} == {markers["length"]}
    names = [profile["shared"]["stringArray"][number] for number in markers["name"]]
    assert names.count("infer") == 20
    assert ("not measured" in names) == (gap != (0, 0))
    assert markers["startTime"][0] == pytest.approx(1000.0)
    schemas = {schema["name"] for schema in profile["meta"]["markerSchema"]}
    assert {data["type"] for data in markers["data"]} <= schemas


def test_a_gap_of_one_channel_takes_nothing_from_the_other() -> None:
    both = curve(gap=True) + curve()
    total = steps(both)
    assert held(*total) == pytest.approx(float(both.joules[-1]), rel=1e-9)
    inside = total.watts[(total.time_s > 4.1) & (total.time_s < 5.8)]
    assert inside.min() > 2.9


@given(traces(), st.integers(1, 40))  # type: ignore[no-untyped-call]
def test_stretches_hold_the_energy_and_every_peak(trace: Trace, stretches: int) -> None:
    try:
        drawn = decimated(trace, None, stretches)
    except EnergyMeterError:
        return
    envelope = drawn.channels[0].envelope
    found = stretch_steps(envelope)
    assert np.all(np.diff(found.time_s) >= 0)
    assert held(*found) == pytest.approx(float(trace.joules[-1]), rel=1e-6, abs=1e-6)
    known = trace.watts[np.isfinite(trace.watts)]
    assert found.watts.max() <= known.max() + 1e-6
    # a sample at an edge is in the stretch on its other side for no time
    some_time = (np.diff(envelope.covered_s) > 1e-9) & (envelope.watts > envelope.lowest_watts + 1e-9)
    if some_time.any():
        assert found.watts.max() >= np.nanmax(envelope.highest_watts[some_time]) - 1e-6
    assert found.time_s[[0, -1]] == pytest.approx(envelope.edges_s[[0, -1]])


@pytest.fixture
def long_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Trace]:
    """A Parquet log that counts as long, with a gap and a peak of one sample; and its trace."""
    pytest.importorskip("pyarrow")
    dice = np.random.default_rng(3)
    times = np.delete(np.arange(200_000) * 0.001, slice(90_000, 95_000))
    watts = dice.uniform(2, 4, len(times))
    watts[123_456] = 77.0
    trace = Trace.integrate(times, watts, facts=Facts("mean"), name="rail", epoch_s=STARTED)
    trace.spans = {"infer": RecordedSpans(1, ((10.0, 10.5),))}
    trace.save(tmp_path / "long.parquet")
    monkeypatch.setattr(decimation, "MOST_ROWS", 100_000)
    return tmp_path / "long.parquet", trace


@pytest.mark.slow
@pytest.mark.parametrize("form", ["perfetto", "firefox", "chrome"])
def test_a_long_log_is_exported_as_stretches_without_losing_a_peak(
    form: str, long_log: tuple[Path, Trace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, trace = long_log
    monkeypatch.setattr("energymeter.cli.export.STRETCHES", 1000)
    monkeypatch.setattr(Trace, "load", None)
    done = run(path, "--to", form, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "195000 samples as 1000 stretches" in done.stderr
    total = float(trace.joules[-1])
    if form == "firefox":
        power, energy = json.loads((tmp_path / "out").read_text())["counters"]
        joules = math.fsum(energy["samples"]["count"])
        times, counts = np.array(power["samples"]["time"]) / 1e3, np.array(power["samples"]["count"])
        watts = counts[1:] * PWH / np.diff(times)
        integral = math.fsum(counts) * PWH
    else:
        if form == "perfetto":
            counters, found = perfetto_tracks((tmp_path / "out").read_bytes())
            rows = np.array(counters["power"]) / [1e9, 1]
            joules = counters["energy"][-1][1]
            assert found["infer"] == [(10_000_000_000, 10_500_000_000)]
        else:
            events = json.loads((tmp_path / "out").read_text())["traceEvents"]
            rows = np.array([(e["ts"] / 1e6, e["args"]["W"]) for e in events if e["name"] == "power (W)"])
            joules = [e["args"]["J"] for e in events if e["name"] == "energy (J)"][-1]
        times, watts = rows[:, 0], rows[:-1, 1]
        integral = held(times, rows[:, 1])
    assert joules == pytest.approx(total, rel=1e-9)
    assert integral == pytest.approx(total, rel=1e-6)
    assert watts.max() == pytest.approx(77.0)
    assert len(watts) < 4100
    middles = (times[1:] + times[:-1]) / 2
    assert watts[(middles > 90.2) & (middles < 94.8)].max(initial=0.0) == 0.0


def test_a_trace_in_memory_that_is_long_is_exported_as_stretches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = real(tmp_path)
    monkeypatch.setattr("energymeter.cli.export.MOST_SAMPLES", len(trace) - 1)
    monkeypatch.setattr("energymeter.cli.export.STRETCHES", 100)
    done = run(tmp_path / "log.csv", "--to", "chrome", "-o", tmp_path / "out")
    assert (done.exit_code, "samples as 100 stretches" in done.stderr) == (0, True)
    events = json.loads((tmp_path / "out").read_text())["traceEvents"]
    rows = np.array([(e["ts"] / 1e6, e["args"]["W"]) for e in events if e["name"] == "power (W)"])
    assert held(rows[:, 0], rows[:, 1]) == pytest.approx(float(trace.joules[-1]), rel=1e-6)
    assert sum(e["name"] == "infer" for e in events) == 20
    with pytest.raises(SpecError, match="csv holds every sample"):
        export(decimated(trace), str(tmp_path / "x.csv"), "csv")


@pytest.mark.parametrize("form", ["csv", "chrome"])
def test_what_is_damaged_or_joined_is_said(form: str, tmp_path: Path) -> None:
    real(tmp_path)
    lines = (tmp_path / "log.csv").read_text().splitlines(keepends=True)
    (tmp_path / "log.csv").write_text("".join(lines[: len(lines) // 2]) + "damage,damage\n")
    done = run(tmp_path / "log.csv", "--to", form, "-o", tmp_path / f"out.{form}")
    assert done.exit_code == 0, done.output
    assert "only what comes before was read" in done.stderr


def event(name: str, start_s: float, seconds: float, tid: int = 1) -> dict[str, Any]:
    return {"ph": "X", "name": name, "pid": 1, "tid": tid, "ts": start_s * 1e6, "dur": seconds * 1e6}


def test_energy_is_shared_out_to_the_innermost_slice_by_time() -> None:
    trace = Trace.integrate(np.arange(0, 10.01, 0.1), np.full(101, 2.0), name="rail")
    shares = Shares([("outer", 1, 1.0, 5.0), ("inner", 1, 2.0, 3.0), ("other thread", 2, 4.0, 6.0)])
    found = shares.joules(trace, [(0.0, 8.0)])
    joules = {name: energy for name, (energy, _) in found.items()}
    assert joules == pytest.approx({"outer": 5.0, "inner": 2.0, "other thread": 3.0, OUTSIDE: 6.0})
    assert math.fsum(joules.values()) == pytest.approx(16.0)


NAMES = st.sampled_from(["matmul", "relu", "copy"])
EDGES = st.floats(-1.0, 12.0).map(lambda second: round(second, 3))


@given(st.lists(st.tuples(NAMES, st.integers(1, 3), EDGES, EDGES), max_size=30), st.booleans())
def test_the_shares_of_any_slices_add_up_to_the_span(
    events: list[tuple[str, int, float, float]], gap: bool
) -> None:
    trace = curve(gap)
    slices_of = [(name, thread, *sorted((a, b))) for name, thread, a, b in events if a != b]
    windows = [(1.05, 3.3), (5.5, 9.0)]
    found = Shares(slices_of).joules(trace, windows)
    total = sum(float(trace.at(b) - trace.at(a)) for a, b in windows)
    assert math.fsum(joules for joules, _ in found.values()) == pytest.approx(total, rel=1e-9)
    seconds = math.fsum(seconds for _, seconds in found.values())
    assert seconds == pytest.approx(sum(b - a for a, b in windows), rel=1e-9)
    assert all(joules >= -1e-12 for joules, _ in found.values())


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["export", *map(str, arguments)])


TRACES: dict[str, dict[str, Any]] = {
    "torch.profiler": {
        "baseTimeNanoseconds": round((STARTED - 100) * 1e9),
        "traceEvents": [event("aten::mm", 101.0, 0.25), event("aten::relu", 101.25, 0.25)],
    },
    "older torch.profiler": {
        "traceEvents": [event("aten::mm", STARTED + 1.0, 0.25), event("aten::relu", STARTED + 1.25, 0.25)]
    },
    "viztracer": {
        "viztracer_metadata": {"baseTimeNanoseconds": round((STARTED - 5) * 1e9)},
        "traceEvents": [event("aten::mm", 6.0, 0.25), event("aten::relu", 6.25, 0.25)],
    },
}


@pytest.mark.parametrize("kind", TRACES)
def test_a_trace_and_a_log_are_merged_by_the_clock(kind: str, tmp_path: Path) -> None:
    real(tmp_path, Claim(spans=(("infer", 1.0, 0.5, 1),)))
    trace, out = tmp_path / "trace.json", tmp_path / "out.json"
    trace.write_text(json.dumps(TRACES[kind]))
    done = run(
        tmp_path / "log.csv", "--to", "chrome", "--into", trace, "-o", out, "--span", "infer", "--json"
    )
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    rows = {row["name"]: row["joules"] for row in said["rows"]}
    # Unix time in µs is a double: some 0.25 µs of 4 W
    assert rows["aten::mm"] == pytest.approx(1.0, abs=1e-5)
    assert rows["aten::relu"] == pytest.approx(1.0, abs=1e-5)
    assert said["joules"] == pytest.approx(2.0, rel=1e-6)
    assert said["share"] == "by time"
    merged = json.loads(out.read_text())["traceEvents"]
    (span,) = [e for e in merged if e["name"] == "infer" and e["ph"] == "X"]
    (mm,) = [e for e in merged if e["name"] == "aten::mm"]
    assert span["ts"] == pytest.approx(mm["ts"], abs=1.0)
    assert span["pid"] != mm["pid"]
    text = run(tmp_path / "log.csv", "--to", "chrome", "--into", trace, "-o", out, "--force").stdout
    assert text.startswith("energy shared out by time, measured: 116.0 J")


def test_clocks_with_nothing_in_common_are_refused_unless_an_offset_is_given(tmp_path: Path) -> None:
    real(tmp_path)
    trace, out = tmp_path / "trace.json", tmp_path / "out.json"
    trace.write_text(json.dumps({"traceEvents": [event("f", 51.0, 1.0)]}))
    refused = run(tmp_path / "log.csv", "--to", "chrome", "--into", trace, "-o", out)
    assert refused.exit_code == 2
    assert "or --offset, the time of the trace in seconds" in refused.stderr
    assert not out.exists()
    done = run(tmp_path / "log.csv", "--to", "chrome", "--into", trace, "-o", out, "--offset", 50, "--json")
    assert {row["name"]: row["joules"] for row in json.loads(done.stdout)["rows"]}["f"] == pytest.approx(4.0)


def pyspy(name: str, phase: str, at_us: int) -> dict[str, Any]:
    """An event as py-spy 0.4.3 writes it."""
    arguments = {"filename": "program.py", "line": 4}
    return {"args": arguments, "cat": "py-spy", "name": name, "ph": phase, "pid": 9, "tid": 7, "ts": at_us}


PYSPY = [
    pyspy("<module>", "B", 187_418), pyspy("warm", "B", 187_418), pyspy("warm", "E", 469_588),
    pyspy("infer", "B", 469_588), pyspy("infer", "E", 869_588), pyspy("infer", "B", 1_069_588),
    pyspy("infer", "E", 1_469_588), pyspy("<module>", "E", 1_469_588),
]  # fmt: skip


def test_a_trace_of_pyspy_is_aligned_by_a_span(tmp_path: Path) -> None:
    real(tmp_path, Claim(spans=(("infer", 1.0, 0.4, 1), ("infer again", 1.6, 0.4, 1))))
    trace, out = tmp_path / "trace.json", tmp_path / "out.json"
    trace.write_text(json.dumps(PYSPY))
    arguments = [tmp_path / "log.csv", "--to", "chrome", "--into", trace, "-o", out]
    refused = run(*arguments)
    assert (refused.exit_code, "give --align" in refused.stderr) == (2, True)
    done = run(*arguments, "--align", "infer", "--span", "infer", "--json")
    assert done.exit_code == 0, done.output
    note = "its clock is at -0.530 s when the recording begins, by infer; the last calls end 0.600 s apart"
    assert note in done.stderr
    said = json.loads(done.stdout)
    assert {row["name"]: row["joules"] for row in said["rows"]} == pytest.approx({"infer": 1.6})
    assert said["joules"] == pytest.approx(1.6)
    other = run(*arguments, "--align", "infer again=infer", "--force", "--json")
    assert "-1.130 s when the recording begins" in other.stderr
    rows = {row["name"]: row["joules"] for row in json.loads(other.stdout)["rows"]}
    assert rows["infer"] == pytest.approx(3.2)
    assert rows["<module>"] == pytest.approx(0.8)  # its own time alone
    for name, text in (("warm", "the recording has no span warm"), ("infer=x", "has no slice x")):
        refused = run(*arguments, "--align", name, "--force")
        assert (refused.exit_code, text in refused.stderr) == (2, True)
    both = run(*arguments, "--align", "infer", "--offset", "1", "--force")
    assert (both.exit_code, "leave one out" in both.stderr) == (2, True)


def test_a_speedscope_profile_is_refused_with_the_remedy(tmp_path: Path) -> None:
    real(tmp_path)
    said = {"$schema": "https://www.speedscope.app/file-format-schema.json", "profiles": [], "shared": {}}
    (tmp_path / "t.json").write_text(json.dumps(said))
    arguments = ["--to", "chrome", "--into", tmp_path / "t.json", "-o", tmp_path / "o"]
    refused = run(tmp_path / "log.csv", *arguments)
    assert (refused.exit_code, "--format chrometrace --idle" in refused.stderr) == (8, True)


PROFILED = """
import sys, time
from energymeter import EnergyMeter

def infer():
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        pass

def rest():
    time.sleep(0.3)

with EnergyMeter("sim:pi4", rate_hz=200, out=sys.argv[1]) as meter:
    for _ in range(2):
        with meter.span("infer"):
            infer()
        with meter.span("rest"):
            rest()
"""


@pytest.mark.peers
def test_pyspy_and_a_log_are_brought_together(tmp_path: Path) -> None:
    recorder = shutil.which("py-spy", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if recorder is None:
        pytest.skip("py-spy is not installed here: pip install py-spy")
    (tmp_path / "program.py").write_text(PROFILED)
    log, trace, out = tmp_path / "log.csv", tmp_path / "trace.json", tmp_path / "out.json"
    options = ["--format", "chrometrace", "--idle", "--rate", "200", "--output", str(trace)]
    command = [recorder, "record", *options, "--", sys.executable, str(tmp_path / "program.py"), str(log)]
    recorded = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if not trace.exists():
        pytest.skip(f"py-spy may not trace here: {recorded.stderr.strip()[-200:]}")
    arguments = [log, "--to", "chrome", "--into", trace, "-o", out, "--align", "infer", "--json"]
    for span, function in (("infer", "infer"), ("rest", "rest")):
        done = run(*arguments, "--span", span, "--force")
        said = json.loads(done.stdout)
        joules = {row["name"]: row["joules"] for row in said["rows"]}
        assert joules[function] > 0.85 * said["joules"], done.output
        assert said["joules"] == pytest.approx(Trace.load(log).span_usage(span).joules, rel=1e-6)
        assert math.fsum(joules.values()) == pytest.approx(said["joules"], rel=1e-9)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"traceEvents": 3}', "3", "[" * 100_000])
def test_a_file_that_is_no_trace_is_refused(text: str, tmp_path: Path) -> None:
    trace = real(tmp_path)
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(LogError):
        export(trace, str(tmp_path / "out.json"), "chrome", into=str(tmp_path / "t.json"), offset_s=0.0)
    assert not (tmp_path / "out.json").exists()


def test_a_trace_that_is_too_large_is_refused(tmp_path: Path) -> None:
    trace, large = real(tmp_path), tmp_path / "t.json"
    with large.open("wb") as file:
        file.truncate(MOST_TRACE_BYTES + 1)
    with pytest.raises(LogError, match="cannot be read"):
        export(trace, str(tmp_path / "out.json"), "chrome", into=str(large), offset_s=0.0)


@pytest.mark.parametrize("form", ["perfetto", "firefox", "chrome", "csv", "parquet"])
def test_nothing_is_overwritten_and_no_link_is_written_through(form: str, tmp_path: Path) -> None:
    if form in ("perfetto", "parquet"):
        pytest.importorskip({"perfetto": "perfetto", "parquet": "pyarrow"}[form])
    real(tmp_path)
    out, victim = tmp_path / f"out.{form}", tmp_path / f"victim.{form}"
    victim.write_bytes(b"precious")
    out.symlink_to(victim)
    refused = run(tmp_path / "log.csv", "--to", form, "-o", out)
    assert refused.exit_code == 8
    assert "exists and is not overwritten" in refused.stderr
    run(tmp_path / "log.csv", "--to", form, "-o", out, "--force")
    assert victim.read_bytes() == b"precious"
    out.unlink()
    assert run(tmp_path / "log.csv", "--to", form, "-o", out).exit_code == 0
    assert out.stat().st_size > 100


def test_tables_hold_the_joules(tmp_path: Path) -> None:
    trace = real(tmp_path)
    assert run(tmp_path / "log.csv", "--to", "csv", "-o", tmp_path / "b.csv").exit_code == 0
    again = Trace.load(tmp_path / "b.csv")
    assert again.usage().joules == trace.usage().joules
    assert again.spans == trace.spans


def test_a_lower_rate_keeps_the_energy_and_the_spans(tmp_path: Path) -> None:
    trace = real(tmp_path)
    out = tmp_path / "out.json"
    assert run(tmp_path / "log.csv", "--to", "firefox", "-o", out, "--rate", 5).exit_code == 0
    profile = json.loads(out.read_text())
    samples = profile["counters"][0]["samples"]
    assert samples["length"] == 151
    assert math.fsum(samples["count"]) * PWH == pytest.approx(float(trace.joules[-1]), rel=1e-6)
    assert profile["threads"][0]["markers"]["length"] == 20


def test_options_that_need_a_trace_say_so(tmp_path: Path) -> None:
    real(tmp_path)
    refused = run(tmp_path / "log.csv", "--to", "chrome", "-o", tmp_path / "o", "--span", "infer")
    assert (refused.exit_code, "give it with --into" in refused.stderr) == (2, True)
    with pytest.raises(SpecError, match="give --to chrome"):
        export(Trace.load(tmp_path / "log.csv"), str(tmp_path / "o"), "perfetto", into="x")


def test_viztracer_and_a_log_share_a_clock(tmp_path: Path) -> None:
    viztracer = pytest.importorskip("viztracer")
    from energymeter import EnergyMeter

    log, trace, out = tmp_path / "log.csv", tmp_path / "trace.json", tmp_path / "out.json"
    with (
        EnergyMeter("sim:pi4", rate_hz=200, out=log) as meter,
        viztracer.VizTracer(output_file=str(trace), verbose=0),
        meter.span("step"),
    ):
        _busy()
    done = run(log, "--to", "chrome", "--into", trace, "-o", out, "--span", "step", "--json")
    said = json.loads(done.stdout)
    busy = next(row for row in said["rows"] if row["name"].startswith("_busy"))
    assert busy["joules"] > 0.8 * said["joules"]
    assert said["joules"] == pytest.approx(Trace.load(log).span_usage("step").joules, rel=1e-6)


def _busy() -> None:
    total = 0
    for number in range(3_000_000):
        total += number
