"""A trace's energy is that of its samples: the physics, the same as the live curve, saved and loaded."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from devices.rows import row_of
from hypothesis import given
from hypothesis import strategies as st

from energymeter.energy.gaps import GapRule
from energymeter.energy.integrate import Integrator, Sample
from energymeter.errors import LogError, NotMeasured, SpecError
from energymeter.reading import Band, Facts, Reading, Semantics
from energymeter.recordings.arrays import _gaps
from energymeter.recordings.trace import Trace
from energymeter.sampling.curve import Curve
from energymeter.sampling.memory import ChannelMemory, CurveWriter, channel_bytes

SEMANTICS: tuple[Semantics, ...] = ("instant", "mean")
steps_ms = st.lists(st.integers(10, 30), min_size=2, max_size=60)
semantics = st.sampled_from(SEMANTICS)
powers = st.floats(0, 1000, allow_subnormal=False)


def times_of(steps: list[int]) -> np.ndarray:
    """Milliseconds to seconds, on the nanosecond grid; no step is a gap: none is three times another."""
    return np.concatenate([[0], np.cumsum(steps)]) / 1e3


@st.composite
def recordings(draw: st.DrawFn) -> Trace:
    times = times_of(draw(steps_ms))
    watts = draw(st.lists(powers, min_size=len(times), max_size=len(times)))
    return Trace.integrate(times, watts, facts=Facts(semantics=draw(semantics)))


@given(steps_ms, powers, semantics, st.floats(0, 1), st.floats(0, 1))
def test_steady_power_is_power_times_time(
    steps: list[int], watts: float, kind: Semantics, one: float, other: float
) -> None:
    times = times_of(steps)
    trace = Trace.integrate(times, np.full(len(times), watts), facts=Facts(semantics=kind))
    start, end = sorted((one * trace.seconds, other * trace.seconds))
    assert float(trace.energy(start, end)) == pytest.approx(watts * (end - start), rel=1e-9, abs=1e-12)


@given(recordings(), st.floats(-10, 10))
def test_energy_is_linear_in_power(trace: Trace, factor: float) -> None:
    scaled = Trace.integrate(trace.time_s, factor * trace.watts, facts=trace.facts)
    np.testing.assert_allclose(scaled.joules, factor * trace.joules, rtol=1e-9, atol=1e-9)
    middle = trace.seconds * 0.37
    assert float(scaled.at(middle)) == pytest.approx(factor * float(trace.at(middle)), rel=1e-6, abs=1e-9)


@given(recordings(), st.lists(st.floats(-0.2, 1.2), min_size=3, max_size=3))
def test_adjoining_windows_add_up(trace: Trace, components: list[float]) -> None:
    a, b, c = sorted(share * trace.seconds for share in components)
    parts, whole = float(trace.energy(a, b)) + float(trace.energy(b, c)), float(trace.energy(a, c))
    if math.isnan(parts):
        seen = np.diff(trace.at([a, b, c], "covered_s"))
        assert np.any(seen == 0), "one of them was not measured at all"
    else:
        assert parts == pytest.approx(whole, rel=1e-12, abs=1e-12)


@given(recordings(), st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_curve_of_positive_power_never_falls(trace: Trace, components: list[float]) -> None:
    joules = trace.at(np.sort(components) * trace.seconds)
    assert np.all(np.diff(joules) >= -1e-9 * max(1.0, float(joules.max())))
    assert np.all((joules >= -1e-12) & (joules <= trace.joules[-1] * (1 + 1e-12)))


@given(recordings(), st.floats(0.5, 3000))
def test_resampling_keeps_energy_and_time(trace: Trace, rate_hz: float) -> None:
    coarse = trace.resample(rate_hz)
    assert coarse.seconds == pytest.approx(trace.seconds, rel=1e-12)
    assert coarse.usage().joules == pytest.approx(trace.usage().joules, rel=1e-9, abs=1e-12)
    again = Trace.integrate(coarse.time_s, coarse.watts, facts=Facts(semantics="mean"))
    if float(np.max(np.diff(coarse.time_s))) < 3 * float(np.median(np.diff(coarse.time_s))):
        assert again.joules[-1] == pytest.approx(trace.joules[-1], rel=1e-9, abs=1e-9)


@given(recordings(), st.data())
def test_slicing_at_samples_keeps_energy(trace: Trace, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(trace) - 1))
    last = data.draw(st.integers(first, len(trace) - 1))
    start, end = float(trace.time_s[first]), float(trace.time_s[last])
    piece = trace.slice(start, end)
    assert len(piece) == last - first + 1
    spent = float(piece.joules[-1] - piece.joules[0])
    assert spent == pytest.approx(float(trace.energy(start, end)), rel=1e-12, abs=1e-30)


@st.composite
def readings(draw: st.DrawFn) -> tuple[list[int], list[Reading]]:
    """Volts and amps at uneven times, some of them unknown, some long after the one before."""
    steps = draw(st.lists(st.sampled_from([1, 2, 3, 5, 10, 400]), min_size=1, max_size=40))
    at_ns = [1_000_000 * moment for moment in np.concatenate([[0], np.cumsum(steps)]).tolist()]
    known = st.tuples(st.floats(0, 20), st.floats(-3, 3))
    values = draw(st.lists(st.none() | known, min_size=len(at_ns), max_size=len(at_ns)))
    return at_ns, [Reading() if v is None else Reading(volts=v[0], amps=v[1]) for v in values]


@given(readings(), semantics, st.data())
def test_same_joules_as_the_live_curve(
    given_readings: tuple[list[int], list[Reading]], kind: Semantics, data: st.DataObject
) -> None:
    """numpy over columns and the sampler's integrator over shared memory: one energy curve."""
    at_ns, said = given_readings
    facts = Facts(semantics=kind)
    times = np.array(at_ns) / 1e9
    columns = {
        q: [math.nan if getattr(r, q) is None else getattr(r, q) for r in said] for q in ("volts", "amps")
    }
    trace = Trace.integrate(times, **columns, facts=facts)  # type: ignore[arg-type]
    memory = ChannelMemory(memoryview(bytearray(channel_bytes(1024))), 1024)
    writer = CurveWriter(memory)
    rule = GapRule(float(np.median(np.diff(times))) * 1e9)
    integrator = Integrator(facts, rule.limit_ns)
    samples = []
    for moment, reading in zip(at_ns, said, strict=True):
        samples.append(integrator.add(moment, reading))
        if len(samples) > 1:
            integrator.gap_limit_ns = rule.observe(moment - at_ns[len(samples) - 2])
    for sample in samples:
        assert sample is not None
        writer.append(row_of(sample))
    curve = Curve(memory, trapezoids=kind == "instant")
    start, end = sorted(data.draw(st.tuples(*2 * [st.integers(-1_000_000, at_ns[-1] + 1_000_000)])))
    live = curve.window(start, end)
    if math.isnan(live.joules):  # nothing was known up to the window's end
        assert float(trace.at(end / 1e9, "covered_s")) == 0
        return
    ends = [start / 1e9, end / 1e9]
    energy = float(trace.energy(*ends))
    assert math.isnan(energy) == bool(start < end and float(np.diff(trace.at(ends, "covered_s"))[0]) <= 0)
    assert math.isnan(energy) or energy == pytest.approx(live.joules, rel=1e-6, abs=1e-9)
    for total, live_total in (
        ("coulombs", live.coulombs), ("volt_seconds", live.volt_seconds), ("covered_s", live.covered_seconds)
    ):  # fmt: skip
        before, after = trace.at(ends, total)
        assert float(after - before) == pytest.approx(live_total, rel=1e-6, abs=1e-9)
    reread = Trace.from_samples([s for s in samples if s is not None], "live", facts)
    if not math.isnan(energy):
        np.testing.assert_allclose(np.diff(reread.at(ends)), live.joules, rtol=1e-6, atol=1e-9)


_STEPS = st.one_of(
    st.integers(1, 300_000_000), st.sampled_from([1_000, 100_000, 1_000_000, 10_000_000, 68_000_000])
)


@given(st.lists(st.tuples(_STEPS, st.integers(1, 40)), min_size=1, max_size=30))
def test_the_gaps_of_a_recording_are_those_of_the_rule(runs: list[tuple[int, int]]) -> None:
    """Regular stretches, rows that come together, and anything else: by blocks as one by one."""
    steps_ns = [step for step, count in runs for _ in range(count)]
    rule = GapRule(float(np.median(steps_ns)))
    expected = []
    for step in steps_ns:
        expected.append(step > rule.limit_ns)
        rule.observe(step)
    assert _gaps(np.array(steps_ns) * 1e-9).tolist() == expected


def test_gap_is_not_invented() -> None:
    trace = Trace.integrate([0, 1, 2, 12, 13], [2.0, 2.0, 2.0, 4.0, 4.0])
    usage = trace.usage()
    assert usage.joules == 8.0
    assert usage.coverage == pytest.approx(3 / 13)
    assert usage.interpolated_joules == pytest.approx(8 + 30)
    assert trace.gaps() == [(2.0, 12.0)]
    assert "23.1 % of the time measured" in str(usage)


@pytest.mark.parametrize(("window", "joules"), [((0.0, 7.0), 44.0), ((7.0, 13.0), 60.0)])
def test_a_window_with_an_edge_in_a_gap_allows_for_the_power_on_its_other_side(
    window: tuple[float, float], joules: float
) -> None:
    """Stepped from 2 to 10 W early in the gap: neither side alone says what flowed in it."""
    trace = Trace.integrate([0, 1, 2, 12, 13], [2.0, 2.0, 2.0, 10.0, 10.0])
    usage = trace.usage(*window)
    assert usage.peak_watts == 10.0
    assert usage.interpolated_joules is not None
    assert usage.interpolated_uncertainty is not None
    assert abs(usage.interpolated_joules - joules) <= usage.interpolated_uncertainty
    assert trace.usage(0.0, 2.0).peak_watts == 2.0


def test_unknown_rows_make_one_gap() -> None:
    trace = Trace.integrate([0, 1, 2, 3, 4], [2.0, 2.0, math.nan, math.inf, 2.0])
    assert trace.gaps() == [(1.0, 4.0)]
    assert trace.usage().joules == 2.0
    assert trace.usage().interpolated_joules == pytest.approx(8.0)


def test_rows_that_go_back_or_have_no_time_are_left_out() -> None:
    trace = Trace.integrate([math.nan, 0, 1, 0.5, 1, math.inf, 2], [9, 3, 3, 9, 9, 9, 3])
    assert trace.time_s.tolist() == [0, 1, 2]
    assert trace.usage().joules == 6.0


def test_current_without_voltage_is_charge_alone() -> None:
    trace = Trace.integrate([0, 1, 2], amps=[1.0, 1.0, 1.0])
    assert trace.coulombs[-1] == 2.0
    with pytest.raises(NotMeasured):
        trace.usage()


def test_unknown_current_is_not_zero() -> None:
    usage = Trace.integrate([0, 1, 2], [3.0] * 3, amps=[math.nan] * 3, volts=[math.nan] * 3).usage()
    assert usage.joules == 6.0
    assert usage.coulombs is None
    assert usage.mean_volts is None


def test_mean_voltage_is_over_time_not_over_rows() -> None:
    trace = Trace.integrate([0, 1, 2, 2.1, 2.2], volts=[4, 4, 4, 6, 6], amps=[1] * 5)
    assert trace.usage().mean_volts == pytest.approx((8 + 0.5 + 0.6) / 2.2)


@pytest.mark.parametrize("columns", [([0, 1], [1.0]), ([[0, 1]], [[1.0, 2.0]])])
def test_uneven_columns_are_refused(columns: tuple[list[float], list[float]]) -> None:
    with pytest.raises(SpecError, match="equally long"):
        Trace.integrate(*columns)


def test_nothing_is_not_zero() -> None:
    empty = Trace.integrate([], [])
    assert (len(empty), empty.seconds, empty.gaps()) == (0, 0.0, [])
    for ask in (empty.usage, lambda: empty.resample(1.0)):
        with pytest.raises(NotMeasured):
            ask()
    assert np.isnan(empty.at(1.0))


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, math.nan, math.inf])
def test_resampling_rate_must_make_sense(rate_hz: float) -> None:
    with pytest.raises(SpecError, match="positive"):
        Trace.integrate([0, 1], [1, 1]).resample(rate_hz)


def two_channels() -> Trace:
    """A measured rail of 3 W, and another whose current is simulated, sampled elsewhere."""
    first = Trace.integrate(
        [0, 1, 2], volts=[5] * 3, amps=[0.6] * 3, facts=Facts(volts=Band(0.01), amps=Band(0.02)), name="a,b"
    )
    second = Trace.integrate(
        [0, 0.5, 1.5, 2], volts=[5.1] * 4, amps=[1.0] * 4, facts=Facts(provenance="simulated"), name="c#"
    )
    return first + second


def test_sum_is_as_good_as_its_worst_channel() -> None:
    usage = two_channels().usage()
    assert usage.joules == pytest.approx(6 + 10.2)
    assert usage.provenance == "simulated"
    assert usage.sources == ("a,b", "c#")
    assert usage.coulombs == pytest.approx(1.2 + 2)
    assert any(share.source == "a,b" for share in usage.components)
    assert "  a,b " in usage.explain()
    assert any("unknown accuracy of c#" in note for note in usage.notes)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_saved_and_loaded_is_the_same(tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    trace = two_channels()
    path = tmp_path / f"run.{suffix}"
    trace.save(path)
    loaded = Trace.load(path)
    assert loaded.usage() == trace.usage()
    for one, other in zip(loaded.parts, trace.parts, strict=True):
        for column in ("time_s", "watts", "volts", "amps", "joules", "coulombs", "covered_s"):
            np.testing.assert_array_equal(getattr(one, column), getattr(other, column))
    assert Trace.load(path, channel="c#").usage().joules == pytest.approx(10.2)
    with pytest.raises(LogError, match="exists"):
        trace.save(path)
    trace.save(path, force=True)
    assert Trace.load(path).usage() == trace.usage()


@given(trace=recordings())
def test_any_trace_survives_a_csv(tmp_path_factory: pytest.TempPathFactory, trace: Trace) -> None:
    path = tmp_path_factory.mktemp("trace") / "run.csv"
    trace.save(path)
    loaded = Trace.load(path)
    np.testing.assert_array_equal(loaded.time_s, trace.time_s)
    np.testing.assert_array_equal(loaded.watts, trace.watts)
    np.testing.assert_array_equal(loaded.joules, trace.joules)


def test_unknown_channel_is_named(tmp_path: Path) -> None:
    two_channels().save(tmp_path / "run.csv")
    with pytest.raises(SpecError, match="name one of: a,b, c#"):
        Trace.load(tmp_path / "run.csv", channel="d")


def test_slices_and_means_of_a_sum_keep_its_channels() -> None:
    trace = two_channels()
    assert trace.slice(0, 2).usage() == trace.usage()
    assert trace.resample(4).usage().joules == pytest.approx(trace.usage().joules)
    assert trace.resample(4).usage().sources == trace.usage().sources


def test_slices_and_means_keep_the_window_and_what_is_known_of_the_run() -> None:
    trace = Trace.integrate(np.arange(11.0), np.full(11, 2.0), name="pi")
    trace.window_s, trace.read_as, trace.header = (1.0, 9.0), "energymeter log 1: 1 channel", {"run": "a"}
    even = trace.resample(4)
    assert even.window_s == (1.0, 9.0)
    assert even.usage().joules == pytest.approx(trace.usage().joules) == pytest.approx(16)
    assert (even.read_as, even.header) == (trace.read_as, trace.header)
    assert trace.slice(0, 5).window_s == (1.0, 5.0)
    assert trace.slice(0, 5).usage().joules == pytest.approx(8)
    assert trace.slice(9.5, 10).window_s is None, "nothing of what its run measured is in it"


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_notes_are_saved(tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    time_s = np.arange(3.0)
    columns = {"time_s": time_s, "watts": np.full(3, 2.0), "joules": 2 * time_s, "covered_s": time_s}
    trace = Trace(columns, ("pi",), Facts(), notes=("3 rows were dropped",))
    trace.save(tmp_path / f"run.{suffix}")
    loaded = Trace.load(tmp_path / f"run.{suffix}")
    assert loaded.notes == ("3 rows were dropped",)
    assert loaded.usage().notes == trace.usage().notes


@pytest.mark.parametrize("notes", ["text", ["a"] * 101, [1], ["long" * 1000], {"a": 1}])
def test_hostile_notes_are_a_damaged_header(tmp_path: Path, notes: object) -> None:
    path = tmp_path / "run.jsonl"
    Trace.integrate([0, 1], [2.0, 2.0], name="pi").save(path)
    head, rest = path.read_text().split("\n", 1)
    path.write_text(json.dumps({**json.loads(head), "notes": notes}) + "\n" + rest)
    with pytest.raises(LogError, match="damaged header"):
        Trace.load(path)


def test_means_that_were_read_early_say_little_of_where_their_energy_flowed() -> None:
    facts = Facts(semantics="mean", default_hz=2.0, max_hz=2.0)
    trace = Trace.integrate([0.0, 0.03], [3.1, 3.2], facts=facts, name="rail")
    trace.period_s = 0.5
    usage = trace.usage()
    assert usage.uncertainty is not None
    assert 0.2 * usage.joules < usage.uncertainty < 2 * usage.joules, "each reaches back for half a second"


def test_to_pandas() -> None:
    pytest.importorskip("pandas")
    frame = two_channels().to_pandas()
    assert frame.index.name == "time_s"
    assert frame.index.tolist() == [0, 0.5, 1, 1.5, 2], "the times of both"
    assert frame["watts"].tolist() == pytest.approx([8.1] * 5)


def test_views_show_the_channel_the_samples_and_the_energy() -> None:
    trace = Trace.integrate([0, 1, 2], [3.0, 3.0, 3.0], name="<pi>")
    assert repr(trace).startswith("Trace(<pi>: 3 samples in 2.0 s · 6.000 J · 3.00 W mean · 2.0 s")
    assert trace._repr_html_().startswith(
        "<table><tr><td>&lt;pi&gt;</td><td>3 samples in 2.0 s</td><td>6.000 J"
    )


def test_a_view_of_a_trace_without_energy_says_why() -> None:
    assert repr(Trace.integrate([], [], name="pi")) == (
        "Trace(pi: 0 samples in 0 s · this trace holds no samples; measure again)"
    )
    charge = Trace.integrate([0, 1], amps=[1.0, 1.0], name="pi")
    assert "give the voltage" in repr(charge)


def test_a_trace_of_two_samples_knows_how_seldom_they_were_to_come(tmp_path: Path) -> None:
    """Two instants of a meter that is read every 20 s say little of the 3 s between them."""
    samples = [Sample(at, 3.7 * at / 1e9, None, None, at, 0.0, 3.7, None, None) for at in (0, 3_000_000_000)]
    facts = Facts(watts=Band(0.01))
    seldom = Trace.from_samples(samples, "rail", facts, period_s=20.0)
    seldom.save(tmp_path / "seldom.csv")
    for trace in (seldom, Trace.load(tmp_path / "seldom.csv"), seldom.slice(0.0, 3.0)):
        assert trace.usage().uncertainty > 5.0
    assert Trace.from_samples(samples, "rail", facts, period_s=3.0).usage().uncertainty < 0.3
    assert Trace.from_samples(samples, "rail", facts).usage().uncertainty < 0.3
