"""Pictures of recordings, comparisons and meters, and where everything in them stands: `drawn.json`.

    cd tests/report && PYTHONPATH=../..:.. ../../.venv/bin/python drawn.py        writes it again

Look at the pictures themselves before that.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from simulated import make_trace
from simulated_comparison import runs_of

from energymeter.calibration.second_meter import agreement
from energymeter.comparison.comparison import Comparison
from energymeter.comparison.roofline import Roofline
from energymeter.comparison.sweeping import Sweep
from energymeter.reading import Band, Facts
from energymeter.recordings.record import RecordedSpans
from energymeter.recordings.trace import Trace
from energymeter.report import plot_comparison, plot_sweep, plot_traces
from energymeter.report.agreement_plot import plot_agreement
from energymeter.report.picture import Picture
from energymeter.report.plot import plot_power

RECORD = Path(__file__).with_name("drawn.json")
VERSION = ".".join(matplotlib.__version__.split(".")[:2])


def rails(count: int = 2, rows: int = 400) -> Trace:
    """Rails of 2, 3, … W of which one makes steps, and one that the first contains."""
    time = np.linspace(0, 400, rows)
    made = [
        Trace.integrate(
            time,
            np.where((time > 100) & (number == 0), 5.0, 2.0 + number),
            facts=Facts(watts=Band(0.01 * (number + 1)), counted=number < count),
            name=f"rail {number}",
        )
        for number in range(count + 1)
    ]
    return sum(made[1:], start=made[0])


def thinned() -> Trace:
    """More samples than are drawn one by one, with a peak of a single one."""
    time = np.arange(0, 100, 0.01)
    watts = np.where(np.arange(len(time)) == 4000, 9.0, 2.0 + (time > 50))
    return Trace.integrate(time, watts, facts=Facts(watts=Band(0.02)), name="long")


def many_spans() -> Trace:
    trace = make_trace("measured")
    spans = {f"s{n}": RecordedSpans(1, ((0.5 * n, 0.5 * n + 0.3),)) for n in range(7)}
    trace.spans = {**spans, "often": RecordedSpans(21, tuple((7 + n / 10, 7.05 + n / 10) for n in range(21)))}
    return trace


def meters(lag_s: float, *, steps: bool, rate_hz: float = 50) -> tuple[Trace, Trace]:
    at = np.array([0.0, 1.3, 2.1, 3.9, 5.0, 7.2, 8.1, 9.4, 11.0, 12.7, 14.1, 16.0, 17.2, 19.1])
    time = np.arange(0, 20, 1 / rate_hz)
    found = []
    for lag, offset, band in ((0.0, 0.2, Band(0.01)), (lag_s, 0.0, Band(0.02) if steps else None)):
        level = np.where(np.searchsorted(at, time - lag, side="right") % 2, 2.0, 5.0) if steps else 3.0
        facts = Facts(watts=band, provenance="measured" if steps else "simulated")
        name = "a" if offset else "b"
        found.append(Trace.integrate(time, level + offset + np.zeros(len(time)), facts=facts, name=name))
    return found[0], found[1]


def compared(wall: str = "") -> Picture:
    """B needs less than A, C as much; an arm at the wall cannot be compared."""
    runs = runs_of({"A": 10.0, "B": 7.0, "C": 10.0})
    runs = [one._replace(place="wall") if one.arm == wall else one for one in runs]
    return plot_comparison(Comparison(runs, list("ABC")))


def swept(metric: bool, **known: Any) -> Sweep:
    energy = {"bits=4": 4.0, "bits=8": 9.0, "bits=16": 7.0}
    metrics = {"bits=4": 0.6, "bits=8": 0.75, "bits=16": 0.8}
    runs = [one._replace(metric=metrics[one.arm] if metric else None) for one in runs_of(energy)]
    return Sweep(runs, {name: dict([name.split("=")]) for name in energy}, **known)


def simulated() -> Picture:
    runs = [one._replace(provenance="simulated") for one in runs_of({"A": 10.0, "B": 30.0}, 1)]
    return plot_comparison(Comparison(runs, ["A", "B"]), title="x")


def agreed(a: Trace, b: Trace, title: str = "") -> Picture:
    return plot_agreement(a, b, agreement(a, b), title=title)


def several() -> Picture:
    traces = [make_trace("measured"), make_trace("measured", 8.0), rails(1)]
    return plot_traces(traces, budget_mah=3.0, histogram=True)


WINDOWS = [(1.0, 2.0), (2.001, 3.0), (6.0, 7.0)]
ROOF = Roofline(2e9, 1e8, 100e9, 10e9)
PICTURES: dict[str, Callable[[], Picture]] = {
    "all of one": lambda: plot_traces(make_trace("measured"), budget_mah=2.0, histogram=True),
    "far budget": lambda: plot_traces(make_trace(), title="far", budget_mah=500.0),
    "many spans": lambda: plot_traces(many_spans()),
    "several": several,
    "thinned": lambda: plot_traces(thinned()),
    "rails": lambda: plot_traces(rails()),
    "power alone": lambda: plot_power(
        make_trace("measured"), title="t", windows_s=WINDOWS, idle_watts=0.5, width_inches=5.0
    ),
    "simulated power": lambda: plot_power(make_trace(), title="t", height_inches=2.0),
    "comparison": compared,
    "refused comparison": lambda: compared("C"),
    "simulated comparison": simulated,
    "sweep by time": lambda: plot_sweep(swept(metric=False)),
    "roofline": lambda: plot_sweep(swept(metric=True, roofline=ROOF), title="roof"),
    "two meters": lambda: agreed(*meters(0.4, steps=True)),
    "no steps": lambda: agreed(*meters(0.0, steps=False, rate_hz=400), title="flat"),
}
"""One for each way of drawing."""


# What stands in a picture ---------------------------------------------------------------------------------

Cells = list[str | float | None]


def _numbers(values: Any) -> Cells:
    """A line or an outline in short: how many points, their ends, their extent and their mean."""
    array = np.asarray(values, float).ravel()
    known = array[np.isfinite(array)]
    if not len(known):
        return [len(array), len(known)]
    ends = (known[0], known[-1], known.min(), known.max(), known.mean())
    return [len(array), len(known), *(float(f"{each:.5g}") for each in ends)]


def _colour(artist: Any, *kinds: str) -> str:
    from matplotlib.colors import to_hex

    found = []
    for kind in kinds:
        value = getattr(artist, f"get_{kind}")()
        several = not isinstance(value, str) and np.ndim(value) == 2
        found += (
            [to_hex(each, keep_alpha=True) for each in value] if several else [to_hex(value, keep_alpha=True)]
        )
    return " ".join(found)


def _label(artist: Any) -> str:
    """The label that it was given, and not one that matplotlib counts."""
    text = str(artist.get_label())
    return "" if text.startswith("_") else text


def _of_artist(one: Any) -> Cells | None:
    from matplotlib import collections, lines, patches, spines, text

    if isinstance(one, spines.Spine):
        return None
    if isinstance(one, lines.Line2D):
        look = [str(one.get_marker()), _colour(one, "color", "markerfacecolor"), _label(one)]
        size = [one.get_linewidth(), one.get_markersize(), one.get_alpha(), one.get_zorder()]
        dash = [len(one._dash_pattern[1] or ()), *(one._dash_pattern[1] or ())]  # type: ignore[attr-defined]
        return [
            "line",
            *look,
            *size,
            *dash,
            *_numbers(one.get_xdata(orig=False)),
            *_numbers(one.get_ydata(orig=False)),
        ]
    if isinstance(one, text.Text):
        place = [
            *map(float, one.get_position()),
            float(one.get_fontsize()),
            one.get_alpha(),
            one.get_zorder(),
        ]
        look = [one.get_ha(), one.get_va(), _colour(one, "color"), str(one.get_weight())]
        return ["text", one.get_text(), *look, *place, float(one.get_rotation())]
    if isinstance(one, collections.Collection):
        look = [_colour(one, "facecolor", "edgecolor"), str(one.get_hatch()), _label(one)]
        size = [*map(float, np.atleast_1d(one.get_linewidth())), one.get_alpha(), one.get_zorder()]
        paths = np.concatenate([path.vertices for path in one.get_paths()] or [np.zeros((0, 2))])
        return ["area", *look, *size, *_numbers(paths[:, 0]), *_numbers(paths[:, 1])]
    if isinstance(one, patches.Patch):
        look = [_colour(one, "facecolor", "edgecolor"), str(one.get_hatch()), _label(one)]
        corners = one.get_patch_transform().transform(one.get_path().vertices)
        size = [one.get_linewidth(), one.get_alpha(), one.get_zorder()]
        return ["patch", *look, *size, *_numbers(corners[:, 0]), *_numbers(corners[:, 1])]
    return None


def described(picture: Picture) -> list[Cells]:
    """Everything that is drawn on purpose, in order; what matplotlib adds by itself is left out."""
    from matplotlib.legend import Legend

    figure = picture.figure
    found: list[Cells] = [["picture", picture.title, picture.alt, *figure.get_size_inches().tolist()]]
    found += [["figure", *each] for text in figure.texts if (each := _of_artist(text))]
    for axes in figure.axes:
        place = [float(f"{each:.5g}") for each in axes.get_position().bounds]
        look = [axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale(), axes.get_yscale()]
        marks = [label.get_text() for label in axes.get_yticklabels() if axes.get_yscale() == "linear"]
        limits = [float(f"{each:.5g}") for each in (*axes.get_xlim(), *axes.get_ylim())]
        sides = " ".join(name for name, side in axes.spines.items() if side.get_visible())
        found.append(["axes", *look, *place, *limits, ", ".join(marks), sides])
        artists = [one for one in axes.get_children() if one is not axes.patch]
        found += [each for one in artists if (each := _of_artist(one)) and each[:2] != ["text", ""]]
        found += [_of_legend(axes.get_legend())] if axes.get_legend() else []
    return found + [_of_legend(each) for each in figure.legends if isinstance(each, Legend)]


def _of_legend(legend: Any) -> Cells:
    anchor = legend.get_bbox_to_anchor().bounds
    spaces = [legend._loc, legend._ncols, legend.borderaxespad, legend.handlelength, legend.columnspacing]
    return ["legend", *(one.get_text() for one in legend.get_texts()), *spaces, *map(float, anchor)]


def record() -> dict[str, list[Cells]]:
    """What is written down, in as many digits as are compared."""
    return {
        name: [[float(f"{cell:.5g}") if isinstance(cell, float) else cell for cell in row] for row in rows]
        for name, rows in ((name, described(drawn())) for name, drawn in PICTURES.items())
    }


if __name__ == "__main__":
    lines = [f'"matplotlib": {json.dumps(VERSION)}']
    lines += [
        f"{json.dumps(name)}: [\n"
        + ",\n".join(json.dumps(each, ensure_ascii=False) for each in every)
        + "\n]"
        for name, every in record().items()
    ]
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
