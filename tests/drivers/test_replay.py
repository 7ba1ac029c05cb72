"""A recording played as a source: at its own times, whole, or refused with a reason."""

import math
import time
from pathlib import Path

import numpy as np
import pytest

from energymeter import EnergyMeter, Usage
from energymeter.calibration.card import Reference, make_card, save
from energymeter.clock import ManualClock
from energymeter.drivers.replay import Replay
from energymeter.energy.correction import Line, Model
from energymeter.errors import (
    ImplausibleReading,
    LogError,
    NotMeasured,
    SourceEnded,
    SourceMissing,
    SpecError,
)
from energymeter.reading import Facts, Semantics
from energymeter.recordings.trace import Trace
from energymeter.testing import check_source, check_unplugged

CSV = "time_s,voltage_V,current_A\n10,5,1\n10.5,5,2\n13,5,\n13.5,5,1\n"


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "run.csv"
    path.write_text(CSV)
    return str(path)


def two_channels(folder: Path) -> str:
    one = Trace.integrate([0, 1, 2], [1.0, 1.0, 1.0], name="a")
    other = Trace.integrate([0, 1, 2], [2.0, 2.0, 2.0], name="b", facts=Facts(provenance="manual"))
    (one + other).save(folder / "two.csv")
    return str(folder / "two.csv")


@pytest.mark.parametrize("speed", ["true", "max"])
def test_keeps_the_drivers_contract(file: str, speed: str) -> None:
    clock = ManualClock()
    check_source(lambda: Replay(file, speed=speed, clock=clock), reads=2, accuracy_known=False)
    check_unplugged(lambda: Replay(f"{file}.gone"))


def test_each_sample_comes_at_its_time(file: str) -> None:
    clock = ManualClock(start_ns=7_000_000_000)
    source = Replay(file, clock=clock)
    source.open()
    seen = []
    for reading in source.stream():
        if reading.fresh:
            assert reading.at_ns == clock.monotonic_ns()
            seen.append(((clock.monotonic_ns() - 7_000_000_000) / 1e9, reading.volts, reading.amps))
    assert seen == [(0.0, 5, 1), (0.5, 5, 2), (3.0, 5, None), (3.5, 5, 1)]
    source.close()
    source.close()


def test_a_long_wait_can_be_broken_off(file: str) -> None:
    """At least twice a second it yields, so that the sampler can stop."""
    clock = ManualClock()
    source = Replay(file, clock=clock)
    source.open()
    before_ns = clock.monotonic_ns()
    for _ in source.stream():
        assert clock.monotonic_ns() - before_ns <= 500_000_000
        before_ns = clock.monotonic_ns()


def test_at_full_speed_no_time_passes(file: str) -> None:
    clock = ManualClock()
    source = Replay(file, speed="max", clock=clock)
    assert source.facts.replayed
    source.open()
    at_ns = [reading.at_ns for reading in source.stream()]
    assert at_ns == [0, 500_000_000, 3_000_000_000, 3_500_000_000]
    assert clock.monotonic_ns() == 0


def test_window_is_the_recording(file: str) -> None:
    with EnergyMeter(f"replay@{file}?speed=max") as meter:
        pass
    usage = meter.usage
    assert usage.seconds == pytest.approx(3.5)
    assert usage.joules == pytest.approx(7.5 * 0.5)
    assert usage.coverage == pytest.approx(0.5 / 3.5)
    assert usage.joules == pytest.approx(Trace.load(file).usage().joules)


@pytest.mark.parametrize(("channel", "joules"), [(None, 6.0), ("a", 2.0), ("b", 4.0), ("all", 6.0)])
def test_one_channel_of_several(tmp_path: Path, channel: str | None, joules: float) -> None:
    option = "" if channel is None else f"&channel={channel}"
    with EnergyMeter(f"replay@{two_channels(tmp_path)}?speed=max{option}") as meter:
        pass
    assert meter.usage.joules == pytest.approx(joules)
    assert meter.usage.provenance == ("measured" if channel == "a" else "manual")


def test_channels_are_named_where_there_are_several(file: str, tmp_path: Path) -> None:
    def names(path: str, **options: str) -> list[str]:
        source = Replay(path, **options)
        source.open()
        return [part.name for part in source.channels()]

    assert names(file) == ["replay@run.csv"]
    path = two_channels(tmp_path)
    assert names(path) == names(path, channel="all") == ["replay@two.csv/a", "replay@two.csv/b"]
    assert names(path, channel="b") == ["replay@two.csv"]


def test_channel_that_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(SpecError, match="no channel 'c'; choose one of a, b"),
        EnergyMeter(f"replay@{two_channels(tmp_path)}?channel=c"),
    ):
        pass


def test_means_with_holes_play_as_they_were(tmp_path: Path) -> None:
    """A mean that describes only part of its interval keeps doing so."""
    columns = {
        "time_s": np.array([0.0, 1.0, 2.0]), "watts": np.array([math.nan, 4.0, 4.0]),
        "joules": np.array([0.0, 4.0, 6.0]), "covered_s": np.array([0.0, 1.0, 1.5]),
    }  # fmt: skip
    trace = Trace(columns, ["m"], Facts(semantics="mean"))
    trace.save(tmp_path / "m.csv")
    with EnergyMeter(f"replay@{tmp_path}/m.csv?speed=max") as meter:
        pass
    assert meter.usage.joules == pytest.approx(6.0)
    assert meter.usage.coverage == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("text", "kind"),
    [(None, LogError), ("time_s,power_W\n", NotMeasured), ("a,b\n1,2\n", LogError), ("", LogError)],
)
def test_bad_file_is_an_error_on_entering(tmp_path: Path, text: str | None, kind: type[Exception]) -> None:
    if text is not None:
        (tmp_path / "x.csv").write_text(text)
    with pytest.raises(kind), EnergyMeter(f"replay@{tmp_path}/x.csv"):
        pass


def test_board_guards_the_unit(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("time_s,P\n0,4500\n1,4500\n")
    spec = f"replay@{tmp_path}/x.csv?watts=P&board=pi5&speed=max"
    with pytest.raises(ImplausibleReading, match="say unit=mW"), EnergyMeter(spec):
        pass
    with EnergyMeter(spec + "&unit=mW") as meter:
        pass
    assert meter.usage.joules == pytest.approx(4.5)


@pytest.mark.parametrize("spec", ["replay", "replay@x?speed=2", "replay@x?semantics=counter"])
def test_options_that_make_no_sense(spec: str) -> None:
    with pytest.raises(SpecError), EnergyMeter(spec):
        pass


def test_closed_it_plays_nothing() -> None:
    with pytest.raises(SourceMissing):
        next(Replay("x").stream())
    with pytest.raises(SourceEnded):
        Replay("x").read()


def test_unknown_unit_board_are_errors(file: str) -> None:
    for option, said in (("board=pi99", "pi99"), ("watts=voltage_V&unit=furlong", "furlong")):
        with pytest.raises((SpecError, LogError), match=said), EnergyMeter(f"replay@{file}?{option}"):
            pass


def saved(folder: Path, trace: Trace, name: str = "run.csv") -> str:
    trace.save(folder / name)
    return str(folder / name)


def played(path: str, options: str = "") -> Usage:
    with EnergyMeter(f"replay@{path}?speed=max{options}") as meter:
        pass
    return meter.usage


@pytest.mark.parametrize("counted", [True, False])
def test_channels_add_up_only_if_they_are_counted(tmp_path: Path, counted: bool) -> None:
    whole = Trace.integrate([0, 1, 2, 3], [3.0] * 4, name="VDD_IN")
    part = Trace.integrate([0, 0.5, 1, 2.5], [1.0] * 4, name="VDD_SOC", facts=Facts(counted=counted))
    path = saved(tmp_path, whole + part)
    assert played(path).joules == pytest.approx(Trace.load(path).usage().joules)
    assert played(path).joules == pytest.approx(9.0 + 2.5 * counted)
    assert played(path, "&channel=VDD_SOC").joules == pytest.approx(2.5)


def test_a_channel_that_ends_early_is_not_measured_after_that(tmp_path: Path) -> None:
    """10 J of the first in 10 s, 100 J of the other in 20 s: half of one of them was not measured."""
    short = Trace.integrate(range(11), [1.0] * 11, name="a")
    long = Trace.integrate(np.arange(2001) / 100, [5.0] * 2001, name="b")
    path = saved(tmp_path, short + long)
    shown = Trace.load(path).usage()
    assert (shown.joules, shown.seconds) == (pytest.approx(110), pytest.approx(20))
    assert shown.coverage < 1
    again = played(path)
    assert (again.joules, again.seconds) == (pytest.approx(110), pytest.approx(20))
    assert again.coverage == pytest.approx(shown.coverage)


@pytest.mark.parametrize("semantics", ["instant", "mean"])
@pytest.mark.parametrize("window", [(0.0, 3.0), (0.3, 2.6), (0.3, 0.9), (1.0, 2.0), (1.2, 1.3)])
def test_the_measured_window_is_played(
    tmp_path: Path, semantics: Semantics, window: tuple[float, float]
) -> None:
    trace = Trace.integrate(
        np.arange(31) / 10, np.arange(31.0) ** 2, facts=Facts(semantics=semantics), name="rail"
    )
    trace.window_s = window
    path = saved(tmp_path, trace)
    shown = Trace.load(path).usage()
    assert shown.seconds == pytest.approx(window[1] - window[0])
    assert played(path).joules == pytest.approx(shown.joules, rel=1e-6)
    assert played(path).seconds == pytest.approx(shown.seconds)


@pytest.mark.slow
def test_log_show_and_replay_say_the_same_joules(tmp_path: Path) -> None:
    """Samples before and after the block are in the log, and not in any of the totals."""
    for ending in ("csv", "jsonl"):
        path = tmp_path / f"run.{ending}"
        with EnergyMeter("sim:pi4+manual:5V,0.6A", rate_hz=100, out=path) as meter:
            time.sleep(0.35)
        shown = Trace.load(path).usage()
        assert shown.joules == pytest.approx(meter.usage.joules, rel=1e-9)
        assert shown.seconds == pytest.approx(meter.usage.seconds, rel=1e-9)
        assert played(str(path)).joules == pytest.approx(meter.usage.joules, rel=1e-6)


def test_rows_that_repeat_are_played_however_slowly_their_device_renews(tmp_path: Path) -> None:
    """The last row of a log repeats the one before: the power was held to the end."""
    facts = Facts(renewal_seconds=0.2)
    trace = Trace.integrate([0.0, 0.2, 0.4, 0.48], [5.0, 5.0, 5.0, 5.0], facts=facts, name="plug")
    trace.save(tmp_path / "run.csv")
    with EnergyMeter(f"replay@{tmp_path}/run.csv?speed=max") as meter:
        pass
    assert meter.usage.joules == pytest.approx(5.0 * 0.48)


def test_a_calibrated_recording_is_not_corrected_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a card bears the replay's own name."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    half = Model(watts=Line(0.5, 0.0, ((1e-6, 0.0), (0.0, 1e-6)), 0.0, 10.0, 0.0))
    path, meter_name = tmp_path / "run.csv", "manual:6W"
    save(make_card(meter_name, Reference("other meter"), [], half, made=time.time()))
    with EnergyMeter(meter_name, rate_hz=50, out=path) as meter:
        time.sleep(0.1)
    assert meter.usage.mean_watts == pytest.approx(3.0)
    save(make_card("replay@run.csv", Reference("other meter"), [], half, made=time.time()))
    with EnergyMeter(f"replay@{path}?speed=max") as replay:
        pass
    assert replay.usage.mean_watts == pytest.approx(3.0)
    assert replay.usage.calibration == ()
    (note,) = (note for note in replay.usage.notes if "card" in note)
    assert note == "the card of replay@run.csv is not applied: the recording was calibrated"


def test_a_counter_that_stands_still_at_an_end_of_its_recording_is_played_to_that_end(tmp_path: Path) -> None:
    rows = "".join(f"{i},{10.0 * max(0, min(i - 10, 10))}\n" for i in range(23))
    (tmp_path / "run.csv").write_text("time_s,energy_J\n" + rows)
    with EnergyMeter(f"replay@{tmp_path / 'run.csv'}?speed=max") as meter:
        pass
    shown = Trace.load(tmp_path / "run.csv").usage()
    assert (meter.usage.joules, meter.usage.seconds) == pytest.approx((100.0, 22.0))
    assert (shown.joules, shown.seconds) == pytest.approx((100.0, 22.0))


@pytest.mark.parametrize(
    ("window", "readings"),
    [
        ((0.0, 2.0), [(0.0, None), (1.0, 0.5), (2.0, 0.5)]),
        ((0.0, 1.8), [(0.0, None), (1.0, 0.5), (1.8, 0.3)]),
        ((0.0, 1.2), [(0.0, None), (1.0, 0.5), (1.2, 0.0)]),
        ((0.8, 2.0), [(0.0, None), (0.2, 0.2), (1.2, 0.5)]),
    ],
)
def test_a_mean_at_an_edge_stands_for_what_it_describes_there(
    tmp_path: Path, window: tuple[float, float], readings: list[tuple[float, float | None]]
) -> None:
    """Each describes the second half of its second."""
    columns = {
        "time_s": np.array([0.0, 1.0, 2.0]), "watts": np.array([math.nan, 4.0, 4.0]),
        "joules": np.array([0.0, 2.0, 4.0]), "covered_s": np.array([0.0, 0.5, 1.0]),
    }  # fmt: skip
    trace = Trace(columns, ["m"], Facts(semantics="mean"))
    trace.window_s = window
    source = Replay(saved(tmp_path, trace), speed="max", clock=ManualClock())
    source.open()
    found = [((reading.at_ns or 0) * 1e-9, reading.seconds) for reading in source.stream()]
    assert [at for at, _ in found] == pytest.approx([at for at, _ in readings])
    for (_, seconds), (_, wanted) in zip(found, readings, strict=True):
        assert seconds == (wanted if wanted is None else pytest.approx(wanted))
