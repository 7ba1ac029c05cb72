"""Both sides of every limit of the live view: columns, scales, cells, lines, and what they say."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
from report.test_live import SECOND, Pen

from energymeter.battery.battery import Battery
from energymeter.carbon.grid import Grid
from energymeter.clock import ManualClock
from energymeter.energy.usage import Overhead, Usage
from energymeter.errors import NotMeasured
from energymeter.reading import Facts
from energymeter.report import live
from energymeter.report.live import (
    COLUMN_SECONDS,
    Bar,
    Column,
    Live,
    Pace,
    Rail,
    added,
    scale,
)
from energymeter.sampling.memory import Count, State

USAGE = Usage(10.0, 36.0, 7.2, 5.0, 6.5, 9.0, "measured", "rail", ("desk",), (9.0,))
"""36 J in 10 s, of which 9 s were measured."""


# Columns and bars -----------------------------------------------------------------------------------------


def test_each_width_is_a_multiple_of_the_one_before() -> None:
    assert COLUMN_SECONDS[0] == 0.1
    for narrow, wide in zip(live._WIDTHS_NS, live._WIDTHS_NS[1:], strict=False):
        assert wide % narrow == 0


def test_columns_are_known_up_to_the_newest_sample() -> None:
    pen = Pen()
    assert pen.course.column(2, 0) is None, "nothing was written"
    pen.course.update()
    for tenth in range(26):
        pen.write(tenth / 10, 2.0)
        pen.course.update()
    assert pen.course.column(2, 0) == Column(pytest.approx(2.0), pytest.approx(1.0), 1.0, 2.0)
    assert pen.course.column(2, 1) == Column(pytest.approx(2.0), pytest.approx(1.0), 1.0, 2.0)
    newest = pen.course.column(2, 2)
    assert newest == Column(pytest.approx(1.0), pytest.approx(0.5), pytest.approx(0.5), 2.0)
    assert pen.course.column(2, 3) is None
    assert pen.course.column(0, 25) is None, "it begins with the newest sample"
    assert pen.course.column(0, 24) is not None


def test_a_wide_column_is_made_of_narrow_ones_or_of_the_curve() -> None:
    pen = Pen()
    for second in range(0, 61):
        pen.write(second, float(second))
    pen.course.update()
    # of a ramp with a sample a second: the trapezoids of 0 to 5 s are 12.5 J, of 55 to 60 s 287.5 J
    assert pen.course.column(3, 0) == Column(pytest.approx(12.5), pytest.approx(5.0), 5.0, 5.0)
    assert pen.course.column(3, 11) == Column(pytest.approx(287.5), pytest.approx(5.0), 5.0, 60.0)
    assert pen.course.column(5, 0) == Column(pytest.approx(1800.0), pytest.approx(60.0), 60.0, 60.0)


@pytest.mark.parametrize(
    ("columns", "bar"),
    [
        ([], Bar(None, None, 0.0)),
        ([Column(2.0, 1.0, 2.0, 3.0)], Bar(2.0, 3.0, 0.5)),
        ([Column(2.0, 1.0, 1.0, 3.0), Column(1.0, 0.5, 2.0, 2.0)], Bar(4.0, 5.0, 0.25)),
        ([Column(2.0, 1.5, 1.0, 3.0)], Bar(pytest.approx(4 / 3), 3.0, 1.0)),
        ([Column(2.0, 1.0, 1.0, math.nan)], Bar(2.0, None, 1.0)),
        ([Column(2.0, 1.0, 1.0, 3.0), None], Bar(None, None, 0.0)),
        ([Column(math.nan, 1.0, 1.0, 3.0)], Bar(None, None, 0.0)),
        ([Column(0.0, 0.0, 1.0, 3.0)], Bar(None, None, 0.0)),
        ([Column(0.0, 1e-9, 1.0, 0.0)], Bar(0.0, 0.0, 1e-9)),
    ],
)
def test_channels_that_add_up(columns: list[Column | None], bar: Bar) -> None:
    assert added(columns) == bar


@pytest.mark.parametrize(
    ("highest", "top", "unit"),
    [
        (0.0, 1.0, "W"),
        (-1.0, 1.0, "W"),
        (math.inf, 1.0, "W"),
        (math.nan, 1.0, "W"),
        *((number, number, "W") for number in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)),
        (1.01, 1.5, "W"),
        (1.6, 2.0, "W"),
        (6.1, 8.0, "W"),
        (8.1, 10.0, "W"),
        (999.0, 1000.0, "kW"),
        (801.0, 1000.0, "kW"),
        (799.0, 800.0, "W"),
        (0.99, 1.0, "W"),
        (0.79, 0.8, "mW"),
        (0.00099, 0.001, "mW"),
        (0.00079, 0.0008, "µW"),
        (1e-9, 1e-9, "µW"),
    ],
)
def test_the_top_of_the_axis(highest: float, top: float, unit: str) -> None:
    found, watts, name = scale(highest)
    assert (found, name) == (pytest.approx(top), unit)
    assert watts == {"kW": 1e3, "W": 1.0, "mW": 1e-3, "µW": 1e-6}[unit]


@pytest.mark.parametrize(
    ("bar", "cells"),
    [
        (None, "    "),
        (Bar(None, None, 0.0), "░░░░"),
        (Bar(0.0, None, 1.0), "    "),
        (Bar(0.0, 0.0, 1.0), "    "),
        (Bar(8.0, 8.0, 1.0), "████"),
        (Bar(4.0, None, 1.0), "  ██"),
        (Bar(4.0, 8.0, 1.0), "▔ ██"),
        (Bar(4.0, 4.1, 1.0), " ▔██"),
        (Bar(4.0, 4.0, 1.0), "  ██"),
        (Bar(4.5, 4.6, 1.0), " ▂██"),
        (Bar(0.25, 0.25, 1.0), "   ▁"),
        (Bar(0.12, 0.12, 1.0), "   ▔"),
        (Bar(1.0, 9.0, 1.0), "▔  ▄"),
        (Bar(9.0, 9.0, 1.0), "████"),
        (Bar(-1.0, -1.0, 1.0), "    "),
        (Bar(7.75, 8.0, 1.0), "▇███"),
    ],
)
def test_a_column_of_four_rows_of_two_watts(bar: Bar | None, cells: str) -> None:
    assert live._cells(bar, 8.0, 4) == cells


@pytest.mark.parametrize(
    ("text", "width", "fitted"),
    [
        ("abc", 3, "abc"),
        ("abc", 5, "abc  "),
        ("abcd", 3, "ab…"),
        ("abcd", 1, "…"),
        ("abcd", 0, ""),
        ("", 0, ""),
    ],
)
def test_a_text_is_exactly_so_wide(text: str, width: int, fitted: str) -> None:
    assert live._fitted(text, width) == fitted


def test_a_rail_says_what_is_not_known() -> None:
    assert live._rail_cells(Rail("a", True, 1.5, 36.0, 0.9)) == ["a", "1.50", "36.00", "90.0 %", ""]
    assert live._rail_cells(Rail("a", False, None, None, None)) == [
        "a",
        "unknown",
        "unknown",
        "",
        "not in the total",
    ]


# The pace -------------------------------------------------------------------------------------------------


def test_the_pace_is_looked_at_once_a_second() -> None:
    pace = Pace()
    assert pace.next_seconds(5.0, 10.0) == 0.1
    assert pace.next_seconds(6.0, 10.99) == 0.1, "not yet"
    assert pace.next_seconds(6.0, 11.0) == 0.2, "twice as long at most"
    assert pace.next_seconds(6.0, 11.5) == 0.2
    assert pace.next_seconds(6.035, 12.0) == pytest.approx(0.2), "just its share"
    assert pace.next_seconds(6.0875, 13.0) == pytest.approx(0.3)
    assert pace.next_seconds(6.0875, 14.0) == pytest.approx(0.24), "a fifth shorter at most"
    for second in range(20):
        last = pace.next_seconds(6.0875, 15.0 + second)
    assert last == 0.1
    for second in range(20):
        last = pace.next_seconds(7.0 + second, 40.0 + second)
    assert last == 1.0


# A view of a meter that is moved by hand -------------------------------------------------------------------


class Channel:
    """A channel whose curve a test writes."""

    def __init__(self, name: str = "desk", counted: bool = True, replayed: bool = False) -> None:
        self.pen = Pen()
        self.curve: Any = self.pen.curve
        facts = Facts(counted=counted, replayed=replayed)
        self.info = SimpleNamespace(name=name, facts=facts)
        self.state, self.silent, self.error = State.RUNNING, 0, ""

    def observed(self, count: Count) -> int:
        assert count == Count.STATE
        return self.state

    def silent_ns(self, now_ns: int) -> int:
        return self.silent


class Meter:
    """What the view asks of a meter."""

    def __init__(self, *channels: Channel) -> None:
        self.channels = list(channels)
        self.sources = [channel.info.name for channel in channels if channel.info.facts.counted]
        self.recording = SimpleNamespace(ended=False, error="")
        self.spans: dict[str, str] = {}
        self.balance = self.budget = None
        self.asked = 0
        self.now: Usage | None = USAGE
        self.latest = SimpleNamespace(watts=3.0)

    @property
    def usage(self) -> Usage:
        self.asked += 1
        if self.now is None:
            raise NotMeasured("nothing came")
        return self.now


def view_of(*channels: Channel, **options: Any) -> tuple[Live, Meter, ManualClock]:
    meter, clock = Meter(*channels), ManualClock()
    return Live(meter, clock=clock, **options), meter, clock  # type: ignore[arg-type]


def fed(channel: Channel, seconds: float = 10.0, watts: float = 2.0) -> Channel:
    for tenth in range(round(10 * seconds) + 1):
        channel.pen.write(tenth / 10, watts)
    return channel


def screen(view: Live, width: int = 100, height: int = 30) -> list[str]:
    return ["".join(text for text, _ in line) for line in view.lines(width, height)]


def test_figures_are_computed_twice_a_second() -> None:
    view, meter, clock = view_of(fed(Channel()))
    asked = []
    for step_s in (0.0, 0.4, 0.0999, 0.0001, 0.5, 0.4):
        clock.sleep(step_s)
        view.update()
        asked.append(meter.asked)
    assert asked == [1, 1, 1, 2, 3, 3]
    clock.sleep(0.5)
    view.pause()
    view.update()
    assert meter.asked == 3, "the picture is held"
    view.pause()
    view.update()
    assert meter.asked == 4


def figures(usage: Usage = USAGE, **options: Any) -> dict[str, str]:
    view, meter, _ = view_of(fed(Channel()), **options)
    meter.now = usage
    view.update()
    return dict(view.figures)


def test_the_figures_of_a_known_usage() -> None:
    overhead = Overhead._make([0] * len(Overhead._fields))._replace(reads=90)
    assert figures(USAGE._replace(missed=7, overhead=overhead)) == {
        "energy": "36.000 J  (0.0100 Wh)",
        "charge": "2.00 mAh",
        "measured": "90.0 % of 10.0 s, 90 readings, 7 missed",
        "source": "desk: measured at the rail",
    }
    assert figures()["measured"] == "90.0 % of 10.0 s, 0 missed"
    assert figures(USAGE._replace(seconds=0.0, overhead=overhead))["measured"].endswith(", 0 missed")
    assert "readings" not in figures(USAGE._replace(seconds=0.0, overhead=overhead))["measured"]
    assumed = figures(USAGE._replace(coulombs=None, nominal_volts=5.0))
    assert assumed["charge"] == "2.00 mAh at 5.0 V nominal"
    assert "charge" not in figures(USAGE._replace(coulombs=None))
    card = figures(USAGE._replace(calibration=("in May", "in June")))
    assert card["source"] == "desk: measured at the rail · in May · in June"


def test_grams_of_the_view() -> None:
    grid = Grid("DEU", grams_per_kwh=500.0, source="x")
    socket = 36.0 / 3.6e6 / 0.873 * 500
    assert figures(grid=grid)["emissions"] == f"{socket:.5f} g CO2e ± unknown  (DEU, 500 g/kWh)"
    known = Grid("DEU", grams_per_kwh=500.0, source="x", relative=0.1)
    assert figures(USAGE, grid=known)["emissions"].endswith("  (DEU, 500 g/kWh)")
    assert " ± " in figures(USAGE, grid=known)["emissions"]
    assert "unknown" not in figures(USAGE, grid=known)["emissions"]


def test_a_battery_that_was_full_at_the_start() -> None:
    """1000 mAh at 5 V are 18 kJ, of which 36 J were drawn: 4491 s at 4 W."""
    text = figures(battery=Battery(1000.0, basis="rail"))["battery"]
    assert text == "1 h 15 min (48 min to 1 h 52 min), if 1000 mAh were full at the start"
    assert "battery" not in figures()


def test_a_source_that_says_nothing_is_said_with_its_time() -> None:
    view, meter, _ = view_of(fed(Channel()), fed(Channel("gpu")))
    meter.channels[1].silent = 5 * SECOND
    view.update()
    assert dict(view.figures)["measured"].endswith(", nothing for 5.0 s since")
    assert view.watts is None
    meter.recording.ended = True
    assert view.watts == 3.0
    meter.channels[1].silent = 0
    meter.recording.ended = False
    assert view.watts == 3.0


def test_what_is_wrong_is_said_channel_by_channel() -> None:
    view, meter, clock = view_of(fed(Channel()), Channel("gpu"))
    clock.sleep(12.0)
    assert view.alerts() == ["gpu does not answer for 0 s, trying again"]
    meter.channels[0].state = State.RETRYING
    meter.channels[1] = fed(Channel("gpu"))
    view._channels = meter.channels
    assert view.alerts() == ["desk does not answer for 2.0 s, trying again"]
    meter.channels[0].state = State.RUNNING
    meter.recording.error = "the disk is full"
    meter.recording.ended = True
    view.notices = ["first", "second", "third"]
    assert view.alerts() == ["the disk is full", "the recording is over; q ends", "second", "third"]


def test_rails_of_a_view() -> None:
    view, meter, _ = view_of(fed(Channel(), watts=2.0), Channel("gpu", counted=False))
    view.update()
    assert view.rails == [
        Rail("desk", True, 2.0, pytest.approx(20.0), 1.0),
        Rail("gpu", False, None, None, None),
    ]
    meter.sources = []
    view._due_ns = 0
    view.update()
    assert not view.rails[0].counted
    meter.channels[0].silent = 1
    view._due_ns = 0
    view.update()
    assert view.rails[0].watts is None


def test_the_last_eight_spans_are_shown() -> None:
    view, meter, _ = view_of(fed(Channel()))
    meter.spans = {f"s{number}": f"span {number}" for number in range(9)}
    view.update()
    assert view.spans == [f"span {number}" for number in range(1, 9)]


def test_the_graph_shows_what_matches_and_counts() -> None:
    view, _, _ = view_of(fed(Channel("CPU")), fed(Channel("gpu")), fed(Channel("ram", counted=False)))
    for text, shown in (("", [0, 1]), ("pu", [0, 1]), ("cpu", [0]), ("RAM", [2]), ("none", [])):
        view.filter = text
        assert view._shown() == shown
    assert view.bars(3) == [None, None, None]


def test_bars_end_at_the_newest_sample() -> None:
    view, _, clock = view_of(fed(Channel(), seconds=3.0), fed(Channel("gpu"), seconds=2.5, watts=1.0))
    assert view.bars(2) == [None, None], "nothing was taken in"
    clock.sleep(3.0)
    view.update()
    view.zoom = 2
    found = view.bars(5)
    assert found[:2] == [None, None]
    assert [bar and bar.watts for bar in found[2:]] == [pytest.approx(3.0)] * 3
    assert found[2].coverage == pytest.approx(1.0)
    assert view._edge_ns([0, 1]) == 2.5 * SECOND
    assert view._edge_ns([0]) == 3 * SECOND
    assert view._edge_ns([]) == 3 * SECOND


def test_the_zoom_has_its_ends() -> None:
    view, _, _ = view_of(fed(Channel()))
    assert view.zoom == 1
    view.zoom_by(-1)
    view.zoom_by(-1)
    assert view.zoom == 0
    view.zoom_by(100)
    assert view.zoom == 7
    view.zoom_by(1)
    assert view.zoom == 7


def test_one_line_for_what_is_no_terminal() -> None:
    view, meter, clock = view_of(fed(Channel()))
    assert view.line() == "nothing measured: no sample yet"
    meter.now = None
    view.update()
    assert view.line() == "nothing measured: nothing came"
    meter.now = USAGE
    clock.sleep(0.5)
    view.update()
    usual = (
        "     3.000 W · mean 4.00 W · peak 6.50 W · 36.000 J  (0.0100 Wh) · 2.00 mAh · "
        "90.0 % of 10.0 s, 0 missed · desk: measured at the rail"
    )
    assert view.line() == usual
    meter.now = USAGE._replace(peak_watts=None, measured_seconds=0.0, notes=("hot",))
    clock.sleep(0.5)
    view.update()
    meter.channels[0].silent = SECOND
    line = view.line()
    assert line.startswith("     unknown · mean 0 W · 36.000 J")
    assert " · hot · desk does not answer" in line


def test_the_screen_of_a_known_usage() -> None:
    view, _, _ = view_of(fed(Channel()))
    view.update()
    view.zoom = 2
    lines = screen(view, 60, 16)
    assert lines == [
        " energymeter live  desk                              10.0 s ",
        " 3.000 W   mean 4.00 W   peak 6.50 W".ljust(60),
        *(
            f"{label:>8}│{'█' * 10:>51}"
            for label in ("2.00 W", "", "1.50 W", "", "1.00 W", "", "0.500 W", "")
        ),
        f"     0 W└{'─' * 10:>51}",
        " energy    36.000 J  (0.0100 Wh)".ljust(60),
        " charge    2.00 mAh".ljust(60),
        " measured  90.0 % of 10.0 s, 0 missed".ljust(60),
        " source    desk: measured at the rail".ljust(60),
        " q quit  p pause  + - zoom  / rails  h help".ljust(60),
    ]
    view.help = True
    assert any(line.startswith(" q, Ctrl-C   quit") for line in screen(view))
    view.help, view.typing, view.filter = False, True, "de"
    assert screen(view, 60, 16)[-1] == " rails: de▏  Enter keeps it, Escape shows all" + " " * 15
    view.typing = False
    assert "   only rails with 'de'" in screen(view, 80, 16)[-1]
    assert "   graph: desk" in screen(view, 80, 16)[1]
    view.filter = "none"
    assert "   graph: no rail" in screen(view, 80, 16)[1]


@pytest.mark.parametrize(("height", "width"), [(1, 60), (2, 19), (9, 20), (30, 200)])
def test_a_graph_is_as_large_as_it_may_be(height: int, width: int) -> None:
    view, _, _ = view_of(fed(Channel()))
    view.update()
    graph = view._graph(width, height)
    assert len(graph) == height
    assert {sum(len(text) for text, _ in line) for line in graph} == {width}
    drawn = any("│" in text for line in graph for text, _ in line)
    assert drawn == (height >= 2 and width >= 20)


@pytest.mark.parametrize(
    ("height", "labels"),
    [
        (9, ["2.00 W", "", "1.50 W", "", "1.00 W", "", "0.500 W", ""]),
        (8, ["2.00 W", "", "", "1.00 W", "", "", ""]),  # the middle of seven rows
        (3, ["2.00 W", "1.00 W"]),
    ],
)
def test_the_labels_of_the_axis_are_at_the_nearest_rows(height: int, labels: list[str]) -> None:
    view, _, _ = view_of(fed(Channel()))
    view.update()
    view.zoom = 2
    found = [line[0][0] for line in view._graph(40, height)]
    assert found == [*(f"{label:>8}│" for label in labels), "     0 W└"]


def test_the_axis_of_time_has_a_legend_where_there_is_room() -> None:
    view, _, _ = view_of(fed(Channel()))
    view.update()
    view.zoom = 2
    bars: list[Bar | None] = [None, Bar(1.0, 1.0, 0.995), Bar(1.0, 1.0, 0.9949), Bar(None, None, 0.0)]
    assert "".join(text for text, _ in view._time_axis(bars, 9, "W")) == "     0 W└ ─╌╌"

    def axis(count: int) -> str:
        return view._time_axis([Bar(1.0, 1.0, 1.0)] * count, 9, "W")[1][0]

    legend = " 64.0 s ago, 1.0 s a column; █ mean ▔ peak ░ not measured "
    assert axis(63) == "─" * 63
    assert axis(64) == f"{legend}─ now "
    assert len(axis(64)) == 64
    assert axis(120) == f"{legend.replace('64.0 s', '2 min')}{'─' * 58} now "
    view.zoom = 0
    assert axis(120).startswith(" 12.0 s ago, 100 ms a column; █ mean")


def test_what_does_not_fit_is_counted() -> None:
    view, meter, _ = view_of(fed(Channel()))
    meter.now = USAGE._replace(notes=tuple(f"note {number}" for number in range(20)))
    view.update()
    lines = screen(view, 60, 16)
    # of 16: title, power, five of graph, footer; eight are left for 4 figures and 20 notes
    assert lines[-2].startswith(" … 17 more lines: enlarge the terminal")
    assert lines[-3].startswith(" note      note 2")
    assert len(lines) == 16
    tall = screen(view, 60, 40)
    assert not any("more lines" in line for line in tall)
    assert tall[-2].startswith(" note      note 19")


def test_an_alert_is_wrapped_and_a_provenance_is_written_across() -> None:
    view, meter, _ = view_of(fed(Channel()))
    meter.recording.error = " ".join(["word"] * 60)
    meter.now = USAGE._replace(provenance="simulated")
    view.update()
    lines = screen(view, 40, 30)
    alert = [line for line in lines if "word" in line]
    assert len(alert) == 3
    assert alert[-1].rstrip().endswith("…")
    assert "S I M U L A T E D".center(40) in lines
    meter.now = USAGE
    view._due_ns = 0
    view.update()
    assert not any("S I M" in line or "M E A S" in line for line in screen(view, 40, 30))
