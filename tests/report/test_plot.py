"""Pictures say what they show: units, provenance, coverage, ± and gaps; and they are files like any other."""

import io
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from simulated import make_trace

from energymeter.errors import ExtraMissing, LogError, SpecError
from energymeter.reading import Facts
from energymeter.recordings.record import RecordedSpans
from energymeter.recordings.trace import Trace
from energymeter.report import plot_traces
from energymeter.report.picture import shown

pytest.importorskip("matplotlib")


@pytest.mark.slow
def test_a_trace_draws_itself_with_nothing_else_imported():
    code = """
import sys
from energymeter import Trace
trace = Trace.integrate([0, 1, 2], [3.0, 3.0, 3.0], volts=[5.0] * 3, amps=[0.6] * 3)
assert not [name for name in sys.modules if name.startswith(("energymeter.report", "matplotlib"))]
picture = trace.plot(title="three", budget_mah=1, histogram=True)
assert picture.title == "three" and "6.000 J" in picture.alt, picture.alt
assert picture.to_bytes(".png").startswith(b"\\x89PNG")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def texts(picture):
    """Everything that is written on a figure."""
    from matplotlib.text import Text

    return [
        text.get_text() for text in picture.figure.findobj(Text) if text.get_text() and text.get_visible()
    ]


def written(picture):
    return "\n".join(texts(picture))


def axes(picture, label):
    return next(one for one in picture.figure.axes if label in one.get_ylabel())


def test_a_picture_says_what_was_measured():
    trace = make_trace(provenance="measured")
    picture = plot_traces(trace, title="lab 4")
    text = written(picture)
    usage = trace.usage()
    assert "lab 4" in text
    assert f"desk, measured at the rail · {usage.joules:.2f} J ± {usage.uncertainty:.2f}" in text
    assert f"{usage.mah:.3g} mAh at 5.00 V" in text
    assert "90.0 % of the time measured" in text
    assert "SIMULATED" not in text
    assert "load: " in text
    assert "infer: " in text
    assert "2 calls" in text
    assert axes(picture, "power").get_ylabel() == "power, W"
    assert axes(picture, "energy").get_xlabel() == "time from the start, s"
    assert usage.provenance in picture.alt


def test_simulated_data_say_so_across_the_picture():
    picture = plot_traces([make_trace(provenance="measured"), make_trace(provenance="simulated")])
    assert "SIMULATED" in texts(picture)
    assert picture.alt.startswith("SIMULATED data.")


def test_a_gap_is_hatched_and_no_line_crosses_it():
    picture = plot_traces(make_trace())
    power = axes(picture, "power")
    hatched = [patch for patch in power.patches if patch.get_hatch()]
    assert len(hatched) == 1
    corners = hatched[0].get_extents().transformed(power.transData.inverted())
    assert (corners.x0, corners.x1) == pytest.approx((4.0, 5.0), abs=0.02)
    (line,) = [line for line in power.get_lines() if len(line.get_xdata()) > 10]
    x, y = line.get_data()
    for a, b, left, right in zip(x, x[1:], y, y[1:], strict=False):
        assert b - a < 0.1 or not np.isfinite(left + right)


def test_the_peak_of_many_samples_is_in_the_picture():
    time = np.arange(0, 100, 0.001)
    watts = np.full(len(time), 2.0)
    watts[54_321] = 40.0
    power = axes(plot_traces(Trace.integrate(time, watts)), "power")
    shaded = [area for area in power.collections if "lowest to highest" in str(area.get_label())]
    assert max(path.vertices[:, 1].max() for area in shaded for path in area.get_paths()) == 40.0
    assert power.get_ylim()[1] >= 40.0


def test_small_powers_have_small_units():
    picture = plot_traces(Trace.integrate([0, 0.1, 0.2], [0.002, 0.003, 0.002]))
    assert axes(picture, "power").get_ylabel() == "power, mW"
    assert axes(picture, "energy").get_ylabel() == "energy, µJ"
    assert axes(picture, "energy").get_xlabel() == "time from the start, ms"


def test_rails_that_add_up_are_stacked_to_the_sum():
    time = np.arange(0, 10, 0.1)
    rails = [
        Trace.integrate(time, np.full(100, watts), facts=Facts(semantics="mean"), name=name)
        for name, watts in (("cpu", 3.0), ("gpu", 2.0))
    ]
    power = axes(plot_traces(rails[0] + rails[1]), "power")
    tops = {
        str(area.get_label()): max(path.vertices[:, 1].max() for path in area.get_paths())
        for area in power.collections
        if area.get_label() in ("cpu", "gpu")
    }
    assert tops == pytest.approx({"cpu": 3.0, "gpu": 5.0})


def test_recordings_are_overlaid_from_their_starts():
    late = Trace.integrate([100, 101, 102], [2.0, 2, 2])
    picture = plot_traces([Trace.integrate([0, 1, 2], [1.0, 1, 1]), late])
    power = axes(picture, "power")
    starts = [np.nanmin(line.get_xdata()) for line in power.get_lines()]
    assert starts == [0, 0]
    styles = {line.get_linestyle() for line in power.get_lines()}
    assert len(styles) == 2


@pytest.mark.parametrize("budget_mah", [0, -1, float("nan"), float("inf")])
def test_a_budget_that_is_none_is_refused(budget_mah):
    with pytest.raises(SpecError, match="give a positive number, or leave it out"):
        make_trace().plot(budget_mah=budget_mah)


def test_a_budget_is_a_line_or_a_sentence():
    trace = make_trace()
    mah = trace.usage().mah
    near = plot_traces(trace, budget_mah=2 * mah)
    assert "50.0 % used" in written(near)
    charge = axes(near, "charge")
    assert any(np.allclose(line.get_ydata(), 2 * mah) for line in charge.get_lines())
    assert charge.get_ylim()[1] > 2 * mah
    assert "beyond this picture" in written(plot_traces(trace, budget_mah=1000 * mah))
    with pytest.raises(SpecError, match="no current was measured"):
        plot_traces(Trace.integrate([0, 1, 2], [1.0, 1, 1]), budget_mah=5)


def test_energy_and_charge_share_the_height_of_the_panel():
    """Where the budget raises the charge's axis, the energy's is raised with it."""
    picture = plot_traces(make_trace(), budget_mah=3 * make_trace().usage().mah)
    energy, charge = axes(picture, "energy"), axes(picture, "charge")
    share = [one.get_lines()[0].get_ydata()[-1] / one.get_ylim()[1] for one in (energy, charge)]
    assert share[0] == pytest.approx(share[1], rel=0.1)


def test_a_histogram_adds_up_to_all_of_the_time():
    picture = plot_traces(make_trace(), histogram=True)
    (panel,) = [one for one in picture.figure.axes if one.get_xlabel() == "share of the time, %"]
    assert sum(panel.patches[0].get_data().values) == pytest.approx(100)


def test_the_band_of_the_energy_ends_with_its_uncertainty():
    trace = make_trace()
    usage = trace.usage()
    energy = axes(plot_traces(trace), "energy")
    vertices = energy.collections[0].get_paths()[0].vertices
    last = vertices[vertices[:, 0] == vertices[:, 0].max(), 1]
    assert (last.max() - last.min()) / 2 == pytest.approx(usage.uncertainty, rel=1e-6)


def test_foreign_names_are_text_and_nothing_else():
    hostile = "$\\frac{1}{0}$ <script>alert(1)</script> \x1b[2J"
    trace = make_trace()
    trace.names = (hostile,)
    trace.spans = {hostile: RecordedSpans(1, ((1.0, 2.0),))}
    picture = plot_traces(trace, title=hostile)
    svg = picture.to_bytes(".svg").decode()
    assert "<script>" not in svg
    assert "\x1b" not in svg
    root = ElementTree.fromstring(svg)
    assert root.find("{*}title").text == shown(hostile)
    assert picture.to_bytes(".png")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "begins"), [("x.png", b"\x89PNG"), ("x.svg", b"<?xml"), ("x.PDF", b"%PDF")])
def test_a_picture_is_a_file_that_replaces_nothing(tmp_path, name, begins):
    picture = plot_traces(make_trace())
    path = tmp_path / name
    picture.save(path)
    assert path.read_bytes().startswith(begins)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    with pytest.raises(LogError, match="exists; name another file, or use --force"):
        picture.save(path)
    picture.save(path, force=True)
    assert path.read_bytes() == before, "the same content is the same file"
    target = tmp_path / "target"
    target.write_text("mine")
    link = tmp_path / f"link{path.suffix}"
    link.symlink_to(target)
    with pytest.raises(LogError, match="exists"):
        picture.save(link)
    picture.save(link, force=True)
    assert target.read_text() == "mine"
    assert [entry for entry in tmp_path.iterdir() if entry.name.startswith(".unfinished")] == []


def test_pictures_have_a_title_and_a_text_in_their_place():
    picture = plot_traces(make_trace())
    root = ElementTree.fromstring(picture.to_bytes(".svg"))
    assert root.get("role") == "img"
    assert root.find("{*}title").text == "desk"
    assert root.find("{*}desc").text == picture.alt
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(picture.to_bytes(".png")))
    assert image.text["Description"] == picture.alt
    assert image.width == pytest.approx(7.48 * 200, abs=1), "as wide as A4 within its margins"


def test_a_figure_in_grey_has_no_two_lines_alike():
    traces = [Trace.integrate([0, 1, 2], [n + 1.0] * 3) for n in range(7)]
    power = axes(plot_traces(traces), "power")
    assert len({str(line._dash_pattern) for line in power.get_lines()}) == 7
    with pytest.raises(SpecError, match="from 1 to 7 recordings, not 8; give fewer"):
        plot_traces([*traces, traces[0]])


def test_the_style_of_the_program_is_left_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    plot_traces(make_trace()).to_bytes(".png")
    assert dict(matplotlib.rcParams) == before


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ExtraMissing, match=r"edge-energymeter\[plot\]"):
        plot_traces(make_trace())
