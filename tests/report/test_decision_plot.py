"""Comparisons and sweeps as pictures: the interval of the verdict, the front, the roof."""

import numpy as np
import pytest
from simulated_comparison import folder_of, runs_of
from test_plot import texts, written

from energymeter.comparison.comparison import Comparison
from energymeter.comparison.roofline import Roofline
from energymeter.comparison.runs import load_folder
from energymeter.comparison.sweeping import Sweep
from energymeter.errors import LogError
from energymeter.report import plot_comparison, plot_sweep
from energymeter.report.decision_plot import plot_folder

pytest.importorskip("matplotlib")


def test_a_comparison_is_drawn_as_its_interval():
    comparison = Comparison(runs_of({"A": 10.0, "B": 7.0}), ["A", "B"])
    picture = plot_comparison(comparison)
    ratio = comparison.verdict.ratio
    changes = picture.figure.axes[1]
    (bar,) = [one for one in changes.containers if hasattr(one, "has_xerr")]
    (segment,) = bar.lines[2][0].get_segments()
    assert segment[:, 0] == pytest.approx([100 * (ratio.low - 1), 100 * (ratio.high - 1)])
    assert str(comparison.verdict) in written(picture)
    runs = picture.figure.axes[0]
    points = [len(line.get_xdata()) for line in runs.get_lines() if line.get_marker() not in ("None", "")]
    assert points == [8, 8]
    assert "mJ per inference" in runs.get_xlabel()
    assert "SIMULATED" not in texts(picture)


def test_what_is_not_shown_is_hollow_and_what_is_refused_has_no_interval():
    same = plot_comparison(Comparison(runs_of({"A": 10.0, "B": 10.0}), ["A", "B"]))
    (bar,) = same.figure.axes[1].containers
    assert bar.lines[0].get_markerfacecolor() == "white"
    assert "hollow" in written(same)
    other = [run._replace(place="wall") if run.arm == "B" else run for run in runs_of({"A": 10.0, "B": 7.0})]
    refused = plot_comparison(Comparison(other, ["A", "B"]))
    assert not refused.figure.axes[1].containers
    assert "refused: " in written(refused)


def test_simulated_runs_say_so():
    runs = [run._replace(provenance="simulated") for run in runs_of({"A": 10.0, "B": 7.0})]
    picture = plot_comparison(Comparison(runs, ["A", "B"]))
    assert "SIMULATED" in texts(picture)
    assert picture.alt.startswith("SIMULATED")


def test_the_folder_of_a_comparison_is_read_again(tmp_path):
    runs = runs_of({"A": 10.0, "B": 7.0})
    folder = folder_of(tmp_path / "lab", runs, ["A", "B"])
    kept = load_folder(folder)
    assert kept.arms == ("A", "B")
    assert kept.runs == tuple(runs)
    picture = plot_folder(folder)
    assert picture.title == "lab"
    assert str(Comparison(runs, ["A", "B"]).verdict) in written(picture)


SETTINGS = {"bits=4 threads=1": 4.0, "bits=8 threads=1": 9.0, "bits=8 threads=2": 7.0}
METRICS = {"bits=4 threads=1": 0.6, "bits=8 threads=1": 0.8, "bits=8 threads=2": 0.8}


def sweep_runs():
    return [run._replace(metric=METRICS[run.arm]) for run in runs_of(SETTINGS)]


def test_the_folder_of_a_sweep_is_drawn_with_its_front(tmp_path):
    folder = folder_of(tmp_path / "sweep", sweep_runs(), list(SETTINGS))
    found = Sweep.load(folder)
    assert [one.values for one in found.front] == [
        {"bits": "4", "threads": "1"},
        {"bits": "8", "threads": "2"},
    ]
    picture = plot_folder(folder)
    (front,) = [line for line in picture.figure.axes[0].get_lines() if line.get_label() == "worth having"]
    assert front.get_xdata().tolist() == pytest.approx([0.6, 0.8])
    assert front.get_ydata().tolist() == pytest.approx([one.joules_per_unit * 1e3 for one in found.front])
    assert picture.figure.axes[0].get_xlabel() == "metric"
    assert "bits=8 threads=2" in written(picture)


def test_without_a_metric_it_is_time():
    settings = {label: dict(pair.split("=") for pair in label.split()) for label in SETTINGS}
    picture = plot_sweep(Sweep(runs_of(SETTINGS), settings))
    assert picture.figure.axes[0].get_xlabel() == "time per inference, ms"


def test_a_roofline_is_below_what_the_board_allows():
    settings = {label: dict(pair.split("=") for pair in label.split()) for label in SETTINGS}
    roofline = Roofline(2e9, 1e8, 100e9, 10e9)
    picture = plot_sweep(Sweep(sweep_runs(), settings, roofline=roofline))
    panel = picture.figure.axes[1]
    (roof,) = [line for line in panel.get_lines() if line.get_label() == "roof"]
    x, y = (np.asarray(values) for values in roof.get_data())
    assert y == pytest.approx(np.minimum(100, 10 * x))
    (points,) = [line for line in panel.get_lines() if line.get_label() == "settings"]
    assert set(points.get_xdata()) == {20.0}
    assert panel.get_xlabel() == "operational intensity, FLOP/B"
    picture.to_bytes(".png")
    assert not any("$" in text for text in texts(picture)), "labels are numbers, not formulas"


@pytest.mark.parametrize("content", ["", "{}", '{"format": "energymeter comparison 1", "arms": 3}', "[]"])
def test_what_is_no_comparison_is_refused(tmp_path, content):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(LogError):
        plot_folder(tmp_path)


def test_an_empty_folder_is_refused_and_left_empty(tmp_path):
    with pytest.raises(LogError):
        plot_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []
