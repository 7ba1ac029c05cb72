"""What the live view shows: columns of power in bounded memory, figures, and the lines of the screen."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from devices.processes import until
from devices.programs import program
from devices.rows import row_of
from hypothesis import given, settings
from hypothesis import strategies as st

from energymeter import EnergyMeter
from energymeter.battery.battery import Battery
from energymeter.carbon.grid import Grid
from energymeter.energy.integrate import Integrator
from energymeter.reading import Facts, Reading
from energymeter.report.live import COLUMN_SECONDS, KEPT, Bar, Column, Course, Live, Pace, added, scale
from energymeter.sampling.curve import Curve
from energymeter.sampling.memory import ChannelMemory, CurveWriter, channel_bytes

SECOND = 1_000_000_000


class Pen:
    """A curve that is fed with readings, and its course."""

    def __init__(self, capacity: int = 1024) -> None:
        memory = ChannelMemory(memoryview(bytearray(channel_bytes(capacity))), capacity)
        self._writer, self._integrator = CurveWriter(memory), Integrator(Facts(), 2 * SECOND)
        self.curve = Curve(memory, trapezoids=True)
        self.course = Course(self.curve, 0)

    def write(self, second: float, watts: float) -> None:
        sample = self._integrator.add(round(second * SECOND), Reading(watts=watts))
        self._writer.append(row_of(sample))


@contextmanager
def replayed(tmp_path: Path, rows: str, **options: object) -> Iterator[Live]:
    """The view of a whole recording, played as fast as it can be read."""
    (tmp_path / "run.csv").write_text("time_s,power_W\n" + rows)
    with EnergyMeter(f"replay@{tmp_path}/run.csv?speed=max") as meter:
        until(lambda: meter.recording.ended)
        view = Live(meter, **options)  # type: ignore[arg-type]
        view.update()
        yield view


def text(view: Live, width: int = 100, height: int = 30) -> str:
    return "\n".join("".join(part for part, _ in line) for line in view.lines(width, height))


# -- columns ---------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=30, max_size=400), st.integers(1, 9))
def test_the_columns_of_every_width_hold_the_energy_of_the_curve(watts: list[float], at_a_time: int) -> None:
    pen = Pen()
    for number, power in enumerate(watts):
        pen.write(0.25 * number, power)
        if number % at_a_time == 0:
            pen.course.update()
    pen.course.update()
    joules = pen.curve.at(pen.curve.last_ns()).joules
    for zoom, seconds in enumerate(COLUMN_SECONDS):
        count = int(0.25 * (len(watts) - 1) / seconds) + 1
        if count > KEPT:
            continue
        columns = [pen.course.column(zoom, number) for number in range(count)]
        known = [column for column in columns if column is not None]
        assert math.fsum(column.joules for column in known) == pytest.approx(joules, abs=1e-6)
        assert max(column.peak_watts for column in known) == max(watts), "no peak is lost"


def test_memory_is_bounded_and_a_long_silence_takes_a_moment() -> None:
    pen = Pen()
    pen.write(0, 1.0)
    pen.write(1, 1.0)
    pen.course.update()
    asked = []
    window = pen.curve.window
    pen.curve.window = lambda *edges: (asked.append(edges), window(*edges))[1]  # type: ignore[method-assign, assignment, return-value]
    pen.write(1e6, 1.0)  # after eleven days
    pen.write(1e6 + 1, 1.0)
    pen.course.update()
    assert len(asked) <= KEPT * len(COLUMN_SECONDS)
    assert all(len(kept) <= KEPT for kept in pen.course._kept)
    newest = round(1e6 / 300)
    column = pen.course.column(COLUMN_SECONDS.index(300.0), newest - 1)
    assert column is not None
    assert column.covered_seconds == 0


def test_columns_that_are_forgotten_or_to_come_are_not_known() -> None:
    pen = Pen()
    for number in range(200):
        pen.write(number, 2.0)
    pen.course.update()
    assert pen.course.column(0, 0) is None, "512 columns of 0.1 s go back 51 s"
    assert pen.course.column(0, 5000) is None
    assert pen.course.column(2, 0) == Column(2.0, 1.0, 1.0, 2.0)


def test_channels_add_up_only_where_all_of_them_measured() -> None:
    one, other = Column(4.0, 2.0, 2.0, 3.0), Column(1.0, 1.0, 2.0, 1.5)
    assert added([one, other]) == Bar(3.0, 4.5, 0.5)
    assert added([one, Column(0.0, 0.0, 2.0, math.nan)]).watts is None
    assert added([one, None]).watts is None
    assert added([]).watts is None


@given(st.floats(1e-7, 1e7))
def test_the_axis_holds_the_highest_and_wastes_little(highest: float) -> None:
    top, watts, unit = scale(highest)
    assert highest <= top <= 2 * highest * (1 + 1e-9)
    assert unit.endswith("W")
    assert watts <= top or unit == "µW"


def test_the_pace_keeps_the_processor_below_its_share() -> None:
    pace, now, cpu = Pace(), 0.0, 0.0
    seconds = pace.next_seconds(cpu, now)
    for _ in range(2000):  # each picture takes 20 ms: ten a second would be 20 %
        now, cpu = now + seconds, cpu + 0.020
        seconds = pace.next_seconds(cpu, now)
    assert 0.020 / seconds < 0.05
    for _ in range(2000):
        now, cpu = now + seconds, cpu + 0.001
        seconds = pace.next_seconds(cpu, now)
    assert seconds == Pace.LEAST_SECONDS


# -- the view --------------------------------------------------------------------------------------


def test_the_figures_of_a_recording(tmp_path: Path) -> None:
    rows = "".join(f"{second},{3 if second != 50 else 9}\n" for second in range(101))
    with replayed(tmp_path, rows, battery=Battery.parse("4000mAh"), grid=Grid("DEU")) as view:
        usage = view.usage
        assert usage is not None
        figures = dict(view.figures)
        assert figures["energy"].startswith("306")
        assert "DEU" in figures["emissions"]
        assert "g CO2e" in figures["emissions"]
        assert "h" in figures["battery"]
        assert "if 4000 mAh were full at the start" in figures["battery"]
        assert figures["measured"].startswith("100.0 % of 1")
        assert "the recording is over" in text(view)
        assert view.line().count("\n") == 0


def test_a_gap_looks_like_a_gap_and_coverage_says_so(tmp_path: Path) -> None:
    rows = "".join(f"{second},3\n" for second in [*range(20), *range(40, 60)])
    with replayed(tmp_path, rows) as view:
        view.zoom = COLUMN_SECONDS.index(1.0)
        bars = view.bars(60)
        watts = [bar.watts for bar in bars if bar is not None]
        assert watts.count(None) == 21
        assert all(power == pytest.approx(3.0) for power in watts if power is not None)
        assert "░" in text(view)
        assert view.usage is not None
        assert view.usage.coverage == pytest.approx(39 / 59, abs=0.02)
        assert f"{100 * view.usage.coverage:.1f} %" in text(view)


def test_a_peak_is_in_the_graph_at_every_zoom(tmp_path: Path) -> None:
    rows = "".join(f"{second / 10},{1 if second != 333 else 40}\n" for second in range(400))
    with replayed(tmp_path, rows) as view:
        for zoom in range(1, len(COLUMN_SECONDS)):
            view.zoom = zoom
            bars = [bar for bar in view.bars(100) if bar is not None]
            assert max(bar.peak_watts or 0.0 for bar in bars) == 40.0


def test_the_axis_begins_at_0_and_has_a_unit() -> None:
    with EnergyMeter("manual:5V,0.6A") as meter:
        view = Live(meter)
        until(lambda: meter.usage.joules > 0)
        view.update()
        rows = text(view).splitlines()
        assert any("0 W└" in row.replace(" ", "", 0) for row in rows)
        assert any("3.00 W│" in row for row in rows)
        assert " M A N U A L" in text(view)


@pytest.mark.parametrize(
    ("width", "height"), [(80, 24), (120, 40), (40, 10), (20, 5), (9, 3), (1, 1), (600, 100)]
)
def test_the_screen_is_exactly_so_large(tmp_path: Path, width: int, height: int) -> None:
    rows = "".join(f"{second},{second % 5}\n" for second in range(200))
    with replayed(tmp_path, rows, battery=Battery.phone(), grid=Grid("world")) as view:
        for view.help in (False, True):
            lines = view.lines(width, height)
            assert len(lines) == height
            assert {sum(len(part) for part, _ in line) for line in lines} == {width}


def test_simulated_is_written_across_the_screen_and_measured_is_not() -> None:
    with EnergyMeter("sim:pi4", rate_hz=200) as meter:
        view = Live(meter)
        view.update()
        assert "S I M U L A T E D" in text(view)
        assert "simulated at the rail" in view.line()


def test_rails_are_filtered_and_only_those_that_count_are_added() -> None:
    with EnergyMeter("manual:5V,0.6A+manual:5V,0.2A,manual:5V,0.1A", rate_hz=100) as meter:
        view = Live(meter)
        until(lambda: meter.usage.joules > 0)
        view.update()
        assert [rail.counted for rail in view.rails] == [True, True, False]
        assert view.watts == pytest.approx(4.0)

        def newest() -> float | None:
            known = [bar.watts for bar in view.bars(5) if bar is not None]
            return known[-1]

        assert newest() == pytest.approx(4.0)
        assert "not in the total" in text(view)
        view.filter = "0.2a"
        assert newest() == pytest.approx(1.0)
        assert "graph: manual:5V,0.2A" in text(view)
        assert "not in the total" not in text(view)
        view.filter = "0.1A"
        assert newest() == pytest.approx(0.5), "a rail that does not count is shown by itself"
        view.filter = "no such rail"
        assert view.bars(5) == [None] * 5


def test_a_pause_holds_the_picture_while_sampling_goes_on() -> None:
    with EnergyMeter("manual:5V,0.6A", rate_hz=100) as meter:
        view = Live(meter)
        until(lambda: meter.usage.joules > 0)
        view.update()
        view.pause()
        held, joules = view.figures, meter.usage.joules
        newest = view._edge_ns(view._shown())
        until(lambda: meter.usage.joules > joules)
        view.update()
        assert view.paused
        assert view.figures == held
        assert view._edge_ns(view._shown()) == newest
        assert "HELD" in text(view)
        view.pause()
        view.update()
        assert view.figures != held


def test_spans_are_shown_as_they_pass() -> None:
    with EnergyMeter("manual:5V,0.6A", rate_hz=100) as meter:
        view = Live(meter)
        with meter.span("load"):
            until(lambda: meter.usage.joules > 0.1)
        view.update()
        assert view.spans[0].startswith("load: ")
        assert "load: " in text(view)
        assert "load: " in view.line()


@pytest.mark.slow
def test_a_source_that_is_pulled_out_is_reported_and_comes_back(tmp_path: Path) -> None:
    plugged = tmp_path / "plugged"
    plugged.touch()
    body = f"while [ -e {plugged} ]; do echo 2.5; sleep 0.02; done; echo gone; exit 1"
    command = program(tmp_path, "stream", body)
    with EnergyMeter(f'exec@"{command}"?stream=1&unit=W', rate_hz=50) as meter:
        view = Live(meter)
        until(lambda: meter.usage.joules > 0)
        view.update()
        assert view.alerts() == []
        plugged.unlink()
        until(view.alerts)
        (alert,) = view.alerts()
        assert "exec@stream does not answer" in alert
        until(lambda: view.watts is None)
        assert "unknown" in text(view)
        until(lambda: any(bar is not None and bar.watts is None for bar in view.bars(3)))
        plugged.touch()
        until(lambda: not view.alerts())
        assert view.watts == 2.5


def test_hours_are_those_of_the_budget_that_pays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from energymeter import Budget

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    Budget("lab", Battery.parse("4000mAh"))
    with EnergyMeter("manual:5V,0.6A", rate_hz=100, budget="lab") as meter:
        view = Live(meter)
        until(lambda: meter.usage.joules > 0)
        view.update()
        assert "of the budget left" in dict(view.figures)["battery"]
        assert meter.balance is not None
    assert meter.balance is None


def test_what_a_device_says_cannot_move_the_cursor(tmp_path: Path) -> None:
    with EnergyMeter("manual:5V,0.6A") as meter:
        view = Live(meter)
        view.update()
        view.notices.append("evil \x1b[2J\n\x07")
        view.filter = "\x1b]0;x"
        assert all(sign.isprintable() for sign in text(view).replace("\n", ""))
        assert view.line().isprintable()
