"""Windows of a recording: the same joules whether it is read whole or only where windows begin and end."""

import math

import numpy as np
import pytest

from energymeter.energy.integrate import Integrator
from energymeter.errors import LogError, NotMeasured, SpecError
from energymeter.reading import Band, Facts, Reading
from energymeter.recordings.trace import Trace
from energymeter.recordings.window_energy import window_joules
from energymeter.recordings.writer import PARTS_SUFFIX, _Parquet, open_recorder

pyarrow = pytest.importorskip("pyarrow")
import pyarrow.parquet as parquet  # noqa: E402

ROWS = 1_000


def write(path, names=("a",), facts=Facts(), rows=10 * ROWS, keep_parts=False, silent=()):  # noqa: B008
    """A log of one row a millisecond and channel, in groups of a thousand rows.

    Of a channel ``c`` there are none while ``start <= n < end``, for every ``(c, start, end)`` of ``silent``.
    """
    channels = [{"name": name, "facts": facts._asdict(), "rate_hz": 1000.0} for name in names]
    recorder = open_recorder(path, {"channels": channels}, names, 0, force=True, resume=False)
    growing = [Integrator(facts, 100_000_000) for _ in names]
    dice = np.random.default_rng(1)
    counted = 0.0
    for n in range(rows):
        for channel, integrator in enumerate(growing):
            described = 0.001 if facts.semantics == "mean" else None
            reading = Reading(watts=float(dice.uniform(0, 5)), seconds=described)
            if facts.semantics == "counter":  # a tick of 1 to 4 J every tenth of a second
                counted += int(dice.integers(1, 5)) if n % 100 == 0 else 0
                reading = Reading(joules=counted)
            if any(channel == quiet and start <= n < end for quiet, start, end in silent):
                continue
            sample = integrator.add(n * 1_000_000, reading)
            if sample is not None:
                recorder.row(channel, sample)
        recorder.flush()
    if not keep_parts:
        recorder.close()


@pytest.fixture(autouse=True)
def _small_groups(monkeypatch):
    monkeypatch.setattr(_Parquet, "GROUP_ROWS", ROWS)


def windows(count, seconds, seed=2):
    edges = np.sort(np.random.default_rng(seed).uniform(-0.1, seconds + 0.1, (count, 2)))
    return edges[:, 0], edges[:, 1]


def approx(joules):
    return pytest.approx(joules, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("semantics", ["instant", "mean"])
def test_windows_are_those_of_the_whole_recording(tmp_path, semantics):
    path = str(tmp_path / "run.parquet")
    write(path, facts=Facts(semantics=semantics))
    assert parquet.ParquetFile(path).num_row_groups == 10
    starts, ends = windows(500, 10.0)
    assert window_joules(path, starts, ends) == approx(Trace.load(path).energy(starts, ends))


def test_an_edge_between_two_groups_is_drawn_between_their_rows(tmp_path):
    path = str(tmp_path / "run.parquet")
    write(path)
    group = parquet.ParquetFile(path).metadata.row_group(0).column(0).statistics
    starts, ends = np.array([group.max + 0.0003]), np.array([group.max + 0.0007])
    assert window_joules(path, starts, ends) == approx(Trace.load(path).energy(starts, ends))
    assert window_joules(path, starts, ends)[0] > 0


def test_channels_that_count_are_added(tmp_path):
    path = str(tmp_path / "run.parquet")
    write(path, names=("a", "b"), rows=3 * ROWS)
    starts, ends = windows(200, 3.0)
    assert window_joules(path, starts, ends) == approx(Trace.load(path).energy(starts, ends))


def test_channels_need_not_answer_in_the_order_of_their_times(tmp_path):
    path = str(tmp_path / "run.parquet")
    facts = Facts()
    channels = [{"name": name, "facts": facts._asdict(), "rate_hz": 1000.0} for name in "ab"]
    recorder = open_recorder(path, {"channels": channels}, ("a", "b"), 0, force=True, resume=False)
    growing = [Integrator(facts, 100_000_000) for _ in "ab"]
    for n in range(2 * ROWS):
        for channel, late_ns in ((0, 0), (1, 5_500_000)):  # what b says is older than what a has said
            at_ns = 10_000_000 + n * 1_000_000 - late_ns
            recorder.row(channel, growing[channel].add(at_ns, Reading(watts=1.0 + channel)))
        recorder.flush()
    recorder.close()
    assert parquet.ParquetFile(path).num_row_groups == 4
    starts, ends = windows(200, 2.0)
    assert window_joules(path, starts, ends) == approx(Trace.load(path).energy(starts, ends))
    assert window_joules(path, 0.5, 1.5) == pytest.approx(3.0)


@pytest.mark.parametrize("semantics", ["instant", "mean"])
def test_the_energy_in_a_gap_is_unknown_wherever_it_lies(tmp_path, semantics):
    path = str(tmp_path / "run.parquet")
    facts = Facts(semantics=semantics)
    write(path, facts=facts, rows=4 * ROWS, silent=[(0, 500, 1_300), (0, 3_150, 3_950)])
    starts, ends = np.array([0.4, 0.6, 0.9, 0.45, 3.2]), np.array([0.7, 0.8, 1.35, 1.2985, 3.9493])
    whole = Trace.load(path).energy(starts, ends)
    assert window_joules(path, starts, ends) == approx(whole)
    unknown = [1, 4] if semantics == "instant" else [1]
    assert np.flatnonzero(np.isnan(whole)).tolist() == unknown


@pytest.mark.parametrize("silent", [(1, 1_500, 6_000), (1, 1_500, 8_000), (1, 0, 4_000)])
def test_a_channel_may_say_nothing_for_many_groups(tmp_path, silent):
    path = str(tmp_path / "run.parquet")
    write(path, names=("a", "b"), rows=8 * ROWS, silent=[silent])
    starts, ends = windows(300, 8.0)
    each = [Trace.load(path, channel=name).energy(starts, ends) for name in "ab"]
    assert window_joules(path, starts, ends) == approx(sum(each))


@pytest.mark.parametrize("name", ["run.parquet", "run.csv", "run.jsonl"])
@pytest.mark.parametrize("kind", ["ended", "gauge"])
def test_where_usage_refuses_there_are_no_joules(tmp_path, name, kind):
    """One rule for one window and for many, in every format; what is measured in part has its part."""
    path = str(tmp_path / name)
    if kind == "ended":
        write(path, names=("a", "b"), rows=2 * ROWS, silent=[(1, 1_000, 2_000)])
    else:  # steps of 1 to 4 J, although it says 50 J
        band = Band(0.05, resolution=50.0)
        write(path, facts=Facts(semantics="counter", place="cell", joules=band), rows=2 * ROWS)
    trace = Trace.load(path)
    starts = np.array([-2.0, 0.0, 0.1, 0.5, 1.2, 1.85, 0.5, 0.2])
    ends = np.array([-1.0, 2.0, 0.1001, 1.5, 1.8, 9.0, 0.5, 1.9])
    refused = []
    for start, end in zip(starts, ends, strict=True):
        try:
            refused.append(trace.usage(start, end).joules)
        except NotMeasured:
            refused.append(math.nan)
    assert any(np.isnan(refused))
    assert not all(np.isnan(refused))
    assert trace.energy(starts, ends) == approx(np.array(refused))
    assert window_joules(path, starts, ends) == approx(np.array(refused))


def test_an_empty_log_is_reported(tmp_path):
    path = str(tmp_path / "run.parquet")
    write(path, rows=0)
    with pytest.raises(NotMeasured, match="no sample"):
        window_joules(path, [0.0], [1.0])
    write(path, names=("a", "b"), rows=10, silent=[(1, 0, 10)])
    with pytest.raises(NotMeasured, match="no sample of b"):
        window_joules(path, [0.0], [1.0])
    write(path, facts=Facts(counted=False), rows=10)
    with pytest.raises(SpecError, match="no channel that counts"):
        window_joules(path, [0.0], [1.0])


def test_damage_is_reported_with_its_time(tmp_path):
    path = tmp_path / "run.parquet"
    write(str(path), rows=3 * ROWS)
    at = parquet.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[at : at + 200] = bytes(200)
    path.write_bytes(data)
    assert window_joules(str(path), 0.1, 0.2) > 0
    with pytest.raises(LogError, match="from 1 s on"):
        window_joules(str(path), 0.1, 1.2)


def test_only_groups_that_hold_an_edge_are_read(tmp_path, monkeypatch):
    path = str(tmp_path / "run.parquet")
    write(path)
    read = []
    real = parquet.ParquetFile.read_row_group
    monkeypatch.setattr(
        parquet.ParquetFile,
        "read_row_group",
        lambda self, number, **options: read.append(number) or real(self, number, **options),
    )
    window_joules(path, [0.2, 0.3], [8.5, 8.6])
    assert read == [0, 8]


def test_the_parts_of_a_killed_run_and_other_formats_are_read_too(tmp_path):
    path = str(tmp_path / "killed.parquet")
    write(path, keep_parts=True)
    assert not (tmp_path / "killed.parquet").exists()
    assert (tmp_path / f"killed.parquet{PARTS_SUFFIX}").is_dir()
    starts, ends = windows(50, 9.0)
    assert window_joules(path, starts, ends) == approx(Trace.load(path).energy(starts, ends))
    write(str(tmp_path / "run.csv"), rows=100)
    assert window_joules(str(tmp_path / "run.csv"), 0.0, 0.099) == pytest.approx(0.099 * 2.5, rel=0.3)


def test_the_answer_has_the_shape_of_the_question(tmp_path):
    path = str(tmp_path / "run.parquet")
    write(path, rows=2 * ROWS)
    assert window_joules(path, 0.5, 1.0).shape == ()
    assert window_joules(path, np.zeros((2, 3)), 1.0).shape == (2, 3)
    assert window_joules(path, [1.0], [0.5]) == pytest.approx(-window_joules(path, [0.5], [1.0]))


def test_a_missing_log_is_reported(tmp_path):
    with pytest.raises(NotMeasured, match="nothing is left"):
        window_joules(str(tmp_path / "absent.parquet"), [0.0], [1.0])
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(LogError, match="no whole Parquet"):
        window_joules(str(tmp_path / "x.parquet"), [0.0], [1.0])
