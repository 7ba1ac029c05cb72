"""What is drawn of a recording has every peak, and exactly its energy."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.wild_traces import made, traces

from energymeter.errors import LogError, NotMeasured, SpecError
from energymeter.reading import Band, Facts
from energymeter.recordings.record import RecordedSpans
from energymeter.recordings.trace import Trace
from energymeter.report import decimation
from energymeter.report.decimation import STRETCHES, Decimator, decimated

COLUMNS = ("time_s", "watts", "volts", "joules", "coulombs", "covered_s")


def columns_of(trace, rows=slice(None)):
    return {name: getattr(trace, name)[rows] for name in COLUMNS}


@given(traces(), st.integers(1, 40), st.lists(st.integers(1, 59), max_size=4))
def test_no_peak_is_lost_and_the_energy_is_that_of_the_recording(trace, stretches, cuts):
    edges = np.linspace(trace.time_s[0], trace.time_s[-1], stretches + 1)
    decimator = Decimator(edges, trace.facts)
    bounds = [0, *sorted({cut for cut in cuts if cut < len(trace)}), len(trace)]
    for start, end in itertools.pairwise(bounds):
        decimator.take(columns_of(trace, slice(start, end)))
    envelope = decimator.finished()

    known = trace.watts[np.isfinite(trace.watts)]
    if len(known):
        assert np.nanmax(envelope.highest_watts) == known.max()
        assert np.nanmin(envelope.lowest_watts) == known.min()
    covered = np.diff(envelope.covered_s)
    drawn = np.nansum(envelope.watts * covered)
    if np.isfinite(trace.joules).any():
        assert drawn == pytest.approx(trace.joules[-1] - trace.joules[0], rel=1e-9, abs=1e-9)
    assert covered.sum() == pytest.approx(trace.covered_s[-1], abs=1e-9)
    # the mean lies between what is shaded, so that the integrals of both bound the energy
    mean = envelope.watts
    inside = np.isfinite(mean) & (covered > 1e-9)
    assert np.all(mean[inside] >= envelope.lowest_watts[inside] - 1e-6)
    assert np.all(mean[inside] <= envelope.highest_watts[inside] + 1e-6)
    assert envelope.samples == len(trace)


@given(traces(), st.integers(1, 40), st.integers(1, 59))
def test_blocks_make_no_difference(trace, stretches, cut):
    edges = np.linspace(trace.time_s[0], trace.time_s[-1], stretches + 1)
    whole, parted = Decimator(edges, trace.facts), Decimator(edges, trace.facts)
    whole.take(columns_of(trace))
    parted.take(columns_of(trace, slice(0, cut)))
    parted.take(columns_of(trace, slice(cut, None)))
    for one, other in zip(whole.finished()[:7], parted.finished()[:7], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("semantics", ["instant", "mean"])
def test_a_gap_has_no_power_and_is_listed(semantics):
    time = np.concatenate([np.arange(0, 5, 0.01), np.arange(7, 10, 0.01)])
    trace = Trace.integrate(time, np.full(len(time), 3.0), facts=Facts(semantics=semantics))
    drawn = decimated(trace)
    (channel,) = drawn.channels
    edges = channel.envelope.edges_s
    within = (edges[:-1] > 5.01) & (edges[1:] < 6.98)
    assert np.isnan(channel.envelope.watts[within]).all()
    assert np.isnan(channel.envelope.highest_watts[within]).all()
    ((start, end),) = channel.envelope.gaps_s
    assert (start, end) == pytest.approx(trace.gaps()[0])
    times, watts = channel.samples
    across = [
        (a, b) for a, b, left, right in zip(times, times[1:], watts, watts[1:], strict=False)
        if np.isfinite(left) and np.isfinite(right)
    ]  # fmt: skip
    assert max(b - a for a, b in across) < 0.02, "no line crosses the gap"


def test_all_samples_are_drawn_where_they_are_few():
    trace = made([1, 2, 9, 2], [1, 1, 1], "instant")
    times, watts = decimated(trace).channels[0].samples
    assert times.tolist() == [0, 1, 2, 3]
    assert watts.tolist() == [1, 2, 9, 2]
    times, watts = decimated(made([1, 2, 9, 2], [1, 1, 1], "mean")).channels[0].samples
    area = np.nansum(np.diff(times) * (watts[1:] + watts[:-1]) / 2)
    assert area == 13


def test_the_energy_of_a_span_is_that_of_the_recording():
    rng = np.random.default_rng(1)
    trace = made(rng.uniform(1, 5, 50_000), np.full(49_999, 0.001), "mean")
    trace.spans = {"infer": RecordedSpans(3, ((1.23456, 1.3), (7.0, 7.00123)))}
    drawn = decimated(trace)
    (span,) = drawn.spans
    assert (span.name, span.calls, len(span.windows_s)) == ("infer", 3, 2)
    assert span.usage.joules == trace.span_usage("infer").joules
    at = drawn.total.at([1.23456, 1.3])
    assert at[1] - at[0] == pytest.approx(float(trace.energy(1.23456, 1.3)), rel=1e-9)


@given(traces())
def test_the_histogram_has_all_measured_time(trace):
    if not np.isfinite(trace.joules).any() or trace.covered_s[-1] == 0:
        return
    drawn = decimated(trace)
    edges, seconds = drawn.histogram()
    assert seconds.sum() == pytest.approx(trace.covered_s[-1], abs=1e-9)
    energy = (seconds * (edges[1:] + edges[:-1]) / 2).sum()
    half = (edges[1] - edges[0]) / 2
    assert abs(energy - trace.joules[-1]) <= half * seconds.sum() + 1e-6


def test_the_uncertainty_of_power_is_that_of_the_meter():
    facts = Facts(semantics="mean", watts=Band(gain=0.02, offset=0.1))
    drawn = decimated(Trace.integrate([0, 1, 2, 3], [5.0, 5, 10, 10], facts=facts))
    found = drawn.channels[0].uncertainty_watts(np.array([5.0, 10.0]))
    expected = [2 * np.hypot(0.02 * p, 0.1) / np.sqrt(3) for p in (5.0, 10.0)]
    assert found == pytest.approx(expected, rel=1e-3)
    unknown = decimated(Trace.integrate([0, 1, 2], [5.0, 5, 5], facts=Facts()))
    assert unknown.channels[0].uncertainty_watts(np.array([5.0])).tolist() == [0.0]


@pytest.fixture
def two_rails(tmp_path):
    """A log with a channel that counts and one that is contained in it."""
    time = np.arange(0, 3, 0.05)
    whole = Trace.integrate(time, 4 + np.sin(time), facts=Facts(semantics="mean"), name="board")
    part = Trace.integrate(time, 1 + 0 * time, facts=Facts(semantics="mean"), name="gpu")
    path = tmp_path / "rails.jsonl"
    (whole + part).save(path)
    lines = path.read_text().splitlines()
    head = json.loads(lines[0])
    head["channels"][1]["facts"]["counted"] = False
    path.write_text("\n".join([json.dumps(head), *lines[1:-1]]) + "\n")
    return path


def test_what_does_not_count_is_drawn_and_not_added(two_rails):
    drawn = decimated(two_rails)
    assert [channel.name for channel in drawn.channels] == ["board", "gpu"]
    assert [channel.name for channel in drawn.counted] == ["board"]
    assert drawn.usage.joules == Trace.load(two_rails).usage().joules
    alone = decimated(two_rails, "gpu")
    assert [channel.name for channel in alone.counted] == ["gpu"]
    both = decimated(f"{two_rails}?channel=all")
    assert both.usage.joules == pytest.approx(drawn.usage.joules + alone.usage.joules)
    assert np.nanmax(both.highest_watts()) == pytest.approx(6.0, abs=0.01)
    with pytest.raises(SpecError, match="no channel cpu"):
        decimated(two_rails, "cpu")


@pytest.fixture
def long_log(tmp_path, monkeypatch):
    """A Parquet log that counts as long, and its trace."""
    pytest.importorskip("pyarrow")
    rng = np.random.default_rng(2)
    time = np.delete(np.arange(200_000) * 0.001, slice(90_000, 95_000))
    watts = rng.uniform(2, 4, len(time))
    watts[123_456] = 77.0
    facts = Facts(semantics="mean", watts=Band(0.01, 0.01))
    trace = Trace.integrate(time, watts, volts=np.full(len(time), 5.0), amps=watts / 5, facts=facts)
    trace.spans = {"infer": RecordedSpans(1, ((10.0, 10.5),))}
    trace.window_s = (1.0, 199.0)
    path = tmp_path / "long.parquet"
    trace.save(path)
    monkeypatch.setattr(decimation, "MOST_ROWS", 100_000)
    return path, trace


@pytest.mark.slow
def test_a_long_log_is_read_by_its_row_groups(long_log, monkeypatch):
    path, trace = long_log
    monkeypatch.setattr(Trace, "load", None)
    monkeypatch.setattr(Trace, "load_channels", None)
    drawn = decimated(path)
    (channel,) = drawn.channels
    assert channel.envelope.samples == len(trace)
    assert len(channel.envelope.edges_s) <= STRETCHES + 8
    assert drawn.usage.peak_watts == 77.0
    expected = trace.usage()
    assert drawn.usage.joules == pytest.approx(expected.joules, rel=1e-9)
    assert drawn.usage.mah == pytest.approx(expected.mah, rel=1e-9)
    assert drawn.usage.coverage == pytest.approx(expected.coverage, abs=1e-6)
    assert drawn.usage.uncertainty == pytest.approx(expected.uncertainty, rel=0.05)
    assert drawn.spans[0].usage.joules == pytest.approx(trace.span_usage("infer").joules, rel=1e-9)
    assert channel.envelope.gaps_s[0] == pytest.approx(trace.gaps()[0], abs=1e-6)
    edges, seconds = drawn.histogram()
    assert seconds.sum() == pytest.approx(float(trace.covered_s[-1]))
    assert edges[-1] == 77.0


@pytest.mark.slow
def test_the_damaged_part_of_a_long_log_is_left_out_with_a_note(long_log):
    path, _ = long_log
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(content)
    drawn = decimated(path)
    assert any("only what comes before is drawn" in note for note in drawn.usage.notes)
    assert 0 < drawn.channels[0].envelope.samples < 195_000


def test_what_cannot_be_drawn_says_why(tmp_path):
    with pytest.raises(LogError, match="correct the path"):
        decimated(tmp_path / "none.csv")
    with pytest.raises(NotMeasured, match="no samples to draw"):
        decimated(Trace({"time_s": np.zeros(0), "covered_s": np.zeros(0)}, ["empty"], Facts()))
    charge = Trace.integrate([0, 1, 2], amps=[1.0, 1, 1])
    with pytest.raises(NotMeasured, match="give the voltage"):
        decimated(charge)
