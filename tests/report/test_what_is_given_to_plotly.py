"""What an interactive page gives to plotly: every curve, area and shade of a recording that is known."""

import math
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from simulated import make_trace

from energymeter.recordings.record import RecordedSpans
from energymeter.recordings.trace import Trace
from energymeter.report import interactive
from energymeter.report.interactive import interactive_page
from energymeter.report.picture import BLACK, COLOURS, GREY
from energymeter.report.plot import headline


class Figure:
    """Notes what is drawn."""

    def __init__(self, **made: Any) -> None:
        self.made = made
        self.scatters: list[dict[str, Any]] = []
        self.shapes: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.axes: list[dict[str, Any]] = []
        self.layout: dict[str, Any] = {}

    def add_scatter(self, **known: Any) -> None:
        self.scatters.append(known)

    def add_shape(self, **known: Any) -> None:
        self.shapes.append(known)

    def add_annotation(self, **known: Any) -> None:
        self.annotations.append(known)

    def update_xaxes(self, **known: Any) -> None:
        self.axes.append(known)

    update_yaxes = update_xaxes

    def update_layout(self, **known: Any) -> None:
        self.layout = known

    def of(self, name: str) -> list[dict[str, Any]]:
        return [one for one in self.scatters if one.get("name", "") == name]


class Plotly:
    """What was made with plotly, and how it was written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.figures: list[Figure] = []
        self.written: dict[str, Any] = {}
        plotly, io, subplots = (ModuleType(name) for name in ("plotly", "plotly.io", "plotly.subplots"))

        def make_subplots(**made: Any) -> Figure:
            self.figures.append(Figure(**made))
            return self.figures[-1]

        def to_html(figure: Figure, **known: Any) -> str:
            self.written = known
            return "<drawing>"

        io.to_html, subplots.make_subplots = to_html, make_subplots  # type: ignore[attr-defined]
        plotly.io, plotly.subplots = io, subplots  # type: ignore[attr-defined]
        for module in (plotly, io, subplots):
            monkeypatch.setitem(sys.modules, module.__name__, module)

    def draw(self, *given: Any, **options: Any) -> Figure:
        self.page = interactive_page(given[0] if len(given) == 1 else given, **options)
        return self.figures[-1]


@pytest.fixture
def plotly(monkeypatch: pytest.MonkeyPatch) -> Plotly:
    return Plotly(monkeypatch)


def steady(watts: float = 2.0, name: str = "desk", begins: float = 0.0) -> Trace:
    """Ten samples a second for 10 s."""
    time = begins + np.arange(101) / 10
    return Trace.integrate(time, np.full(101, watts), name=name)


def test_a_page_is_two_pictures_over_one_time(plotly: Plotly) -> None:
    figure = plotly.draw(steady())
    assert figure.made == {
        "rows": 2, "shared_xaxes": True, "row_heights": [0.65, 0.35], "vertical_spacing": 0.05
    }  # fmt: skip
    assert figure.axes == [
        {"title_text": "time from the start, s", "row": 2, "col": 1},
        {"title_text": "power, W", "rangemode": "tozero", "row": 1, "col": 1},
        {"title_text": "energy, J", "rangemode": "tozero", "row": 2, "col": 1},
    ]
    assert figure.layout == {
        "template": "plotly_white", "hovermode": "x", "margin": {"t": 20, "r": 20},
        "legend": {"orientation": "h"},
    }  # fmt: skip
    assert plotly.written == {
        "include_plotlyjs": True,
        "full_html": False,
        "config": {"displaylogo": False, "responsive": True},
        "default_height": "82vh",
    }
    assert figure.annotations == []
    assert figure.shapes == []


def test_power_holds_and_energy_rises(plotly: Plotly) -> None:
    power, energy = plotly.draw(steady()).of("desk")
    assert (power["row"], power["col"], energy["row"], energy["col"]) == (1, 1, 2, 1)
    assert {*power["y"]} == {2.0}
    assert (power["x"][0], power["x"][-1]) == (0.0, 10.0)
    assert len(power["x"]) == len(power["y"]) == len(energy["x"]) == len(energy["y"])
    assert energy["y"] == pytest.approx([2.0 * second for second in energy["x"]])
    assert power["line"] == {"color": COLOURS[0], "dash": "solid", "width": 1.3, "shape": "hv"}
    assert energy["line"] == {**power["line"], "shape": "linear"}
    assert (power["showlegend"], energy["showlegend"]) == (True, False)
    assert power["legendgroup"] == energy["legendgroup"] == "0"
    assert power["hovertemplate"] == "%{y:.4g} W<extra>power</extra>"
    assert energy["hovertemplate"] == "%{y:.4g} J<extra>energy</extra>"
    assert power["mode"] == energy["mode"] == "lines"


@pytest.mark.parametrize(
    ("watts", "seconds", "units"),
    [(0.002, 1.0, ("mW", "mJ", "s")), (2000.0, 1.0, ("kW", "kJ", "s")), (2.0, 60.0, ("W", "kJ", "min"))],
)
def test_small_and_large_numbers_have_prefixes(
    plotly: Plotly, watts: float, seconds: float, units: tuple[str, str, str]
) -> None:
    time = seconds * np.arange(101) / 10
    figure = plotly.draw(Trace.integrate(time, np.full(101, watts), name="desk"))
    power, energy = figure.of("desk")
    scale = {"m": 1e3, "k": 1e-3}
    watts_scale, joules_scale = scale.get(units[0][:-1], 1.0), scale.get(units[1][:-1], 1.0)
    assert power["y"][0] == pytest.approx(watts * watts_scale)
    assert energy["y"][-1] == pytest.approx(watts * seconds * 10 * joules_scale)
    assert power["x"][-1] == pytest.approx(seconds * 10 / (60 if units[2] == "min" else 1))
    assert [axis["title_text"] for axis in figure.axes] == [
        f"time from the start, {units[2]}", f"power, {units[0]}", f"energy, {units[1]}"
    ]  # fmt: skip


def test_the_area_is_from_the_lowest_to_the_highest_and_the_band_is_the_uncertainty(plotly: Plotly) -> None:
    time = np.arange(100_001) / 10_000
    watts = np.where(np.arange(100_001) % 2, 1.0, 3.0)
    area, band = (one for one in plotly.draw(Trace.integrate(time, watts, name="desk")).scatters[:2])
    assert (min(area["y"][:-1]), max(area["y"][:-1])) == (1.0, 3.0)
    assert area["y"][-1] is None
    red, green, blue = (int(COLOURS[0][place : place + 2], 16) for place in (1, 3, 5))
    assert area["fillcolor"] == f"rgba({red},{green},{blue},0.25)"
    assert band["fillcolor"] == f"rgba({','.join(str(int(BLACK[n : n + 2], 16)) for n in (1, 3, 5))},0.25)"
    for one in (area, band):
        known = {name: value for name, value in one.items() if name not in ("x", "y", "fillcolor")}
        assert known == {
            "mode": "lines", "line_width": 0, "fill": "toself", "hoverinfo": "skip", "legendgroup": "0",
            "showlegend": False, "row": 1, "col": 1,
        }  # fmt: skip
        assert len(one["x"]) == len(one["y"])
    middle = [level for level in band["y"] if level is not None]
    assert min(middle) <= 2.0 <= max(middle)


def test_what_is_simulated_says_so_across_the_page(plotly: Plotly) -> None:
    figure = plotly.draw(make_trace())
    assert figure.annotations == [
        {
            "text": "SIMULATED", "x": 0.5, "y": 0.62, "xref": "paper", "yref": "paper", "showarrow": False,
            "textangle": -14, "opacity": 0.22, "font": {"size": 96, "color": GREY},
        }
    ]  # fmt: skip


def test_gaps_and_spans_are_shaded(plotly: Plotly) -> None:
    figure = plotly.draw(make_trace(provenance="measured"))
    shade = {
        "type": "rect", "y0": 0, "y1": 1, "xref": "x", "yref": "y domain", "line_width": 0, "layer": "below"
    }  # fmt: skip
    gap, *spans = figure.shapes
    assert (gap["x0"], gap["x1"]) == pytest.approx((4.0, 5.0), abs=0.03)
    assert (gap["fillcolor"], gap["opacity"]) == (GREY, 0.45)
    assert gap["label"] == {"text": "not measured", "textangle": -90}
    edges = [(one["x0"], one["x1"]) for one in spans]
    assert sorted(edges) == [(0.2, 0.9), (1.0, 2.0), (6.0, 7.0)]
    for one in spans:
        assert (one["opacity"], one["label"]) == (0.14, {"text": "", "textangle": -90})
    for one in figure.shapes:
        assert {name: one[name] for name in shade} == shade
    legend = [one for one in figure.scatters if one["mode"] == "markers"]
    assert [one["marker"]["color"] for one in legend] == [*COLOURS[:2]]
    assert all(one["x"] == [None] and one["y"] == [None] and one["opacity"] == 0.4 for one in legend)
    assert all(one["marker"]["size"] == 12 and one["marker"]["symbol"] == "square" for one in legend)
    assert all((one["row"], one["col"]) == (1, 1) for one in legend)


@pytest.mark.parametrize("calls", [199, 200, 201])
def test_two_hundred_calls_are_shaded(plotly: Plotly, calls: int) -> None:
    trace = steady()
    windows = tuple((n * 0.01, n * 0.01 + 0.005) for n in range(calls))
    trace.spans = {"a": RecordedSpans(calls, windows), "b": RecordedSpans(2, ((5.0, 6.0), (7.0, 8.0)))}
    figure = plotly.draw(trace)
    first, second = (sum(one["fillcolor"] == colour for one in figure.shapes) for colour in COLOURS[:2])
    assert (first, second) == (min(calls, 200), max(0, min(2, 200 - calls)))


def test_several_recordings_begin_together_and_have_a_dash_each(plotly: Plotly) -> None:
    figure = plotly.draw(steady(name="a", begins=5.0), steady(3.0, name="b", begins=7.0))
    (first, _), (second, _) = figure.of("a"), figure.of("b")
    assert (first["x"][0], second["x"][0]) == (0.0, 0.0)
    assert (first["x"][-1], second["x"][-1]) == (10.0, 10.0)
    assert (first["line"]["dash"], second["line"]["dash"]) == ("solid", "dash")
    assert (first["line"]["color"], second["line"]["color"]) == (COLOURS[0], COLOURS[1])
    assert second["legendgroup"] == "1"
    assert figure.of("b")[1]["y"][0] == 0.0
    assert "<title>a, b</title>" in plotly.page


def test_a_recording_by_itself_keeps_its_times(plotly: Plotly) -> None:
    power, energy = plotly.draw(steady(begins=5.0)).of("desk")
    assert (power["x"][0], power["x"][-1]) == (5.0, 15.0)
    assert (energy["y"][0], energy["y"][-1]) == (0.0, pytest.approx(20.0))


def test_each_channel_can_be_shown_by_itself(plotly: Plotly) -> None:
    figure = plotly.draw(steady(name="cpu") + steady(3.0, name="gpu"))
    (cpu,), (gpu,) = figure.of("cpu"), figure.of("gpu")
    for one, watts in ((cpu, 2.0), (gpu, 3.0)):
        assert one["visible"] == "legendonly"
        assert one["line"] == {"width": 1, "shape": "hv"}
        assert {*one["y"]} == {watts}
        assert len(one["x"]) == len(one["y"])
        assert (one["row"], one["col"], one["mode"]) == (1, 1, "lines")
    (power, _) = figure.of("cpu + gpu")
    assert {*power["y"]} == {5.0}


def test_the_text_around_the_drawing(plotly: Plotly) -> None:
    plotly.draw(steady(), title="lab <4>")
    page = plotly.page
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert "<title>lab &lt;4&gt;</title>" in page
    assert f"<h1>lab &lt;4&gt;</h1><p>desk: {headline(steady().usage())}</p><div " in page
    assert "<drawing></div><small>" in page
    assert page.endswith(
        "<p>Lines are means of stretches of time; shaded is from their lowest to their highest sample.</p>"
        "</small></body></html>\n"
    )
    plotly.draw(steady())
    assert "<title>desk</title>" in plotly.page


def test_the_outline_of_an_area_goes_there_and_back() -> None:
    x = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    low, high = np.array([1.0, 2.0, math.nan, 3.0]), np.array([5.0, 6.0, 7.0, 8.0])
    across, up = interactive._outline(x, low, high)
    assert across == [0, 1, 1, 2, 2, 1, 1, 0, None, 3, 4, 4, 3, None]
    assert up == [5, 5, 6, 6, 2, 2, 1, 1, None, 8, 8, 3, 3, None]
    assert interactive._outline(x, np.full(4, math.nan), high) == ([], [])


def test_numbers_have_seven_figures() -> None:
    assert interactive._levels(np.array([1 / 3, math.nan, 12345678.9, math.inf])) == [
        0.3333333, None, 12345680.0, None
    ]  # fmt: skip
