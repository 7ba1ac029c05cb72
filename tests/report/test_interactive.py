"""The interactive page is one file, asks nobody for anything, and is of limited size."""

import html
import json
import re

import numpy as np
import pytest
from simulated import make_trace

from energymeter.errors import ExtraMissing
from energymeter.recordings.record import RecordedSpans
from energymeter.recordings.trace import Trace
from energymeter.report import interactive_page
from energymeter.report.interactive import MOST_BYTES_PER_FILE

pytest.importorskip("plotly")


def script_size():
    from plotly.offline import get_plotlyjs

    return len(get_plotlyjs())


def data_of(page):
    """What is given to plotly."""
    start = page.index("Plotly.newPlot(")
    found, _ = json.JSONDecoder().raw_decode(page, page.index("[", start))
    return found


def without_plotly(page):
    from plotly.offline import get_plotlyjs

    return page.replace(get_plotlyjs(), "")


def test_the_page_asks_no_network():
    page = interactive_page(make_trace())
    assert "default-src 'none'" in page
    own = without_plotly(page)
    assert len(own) < len(page) - 1_000_000
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", own)
    assert "cdn" not in own.lower().replace("cdn.plot.ly/un", "")


def test_the_page_says_what_was_measured():
    trace = make_trace()
    page = html.unescape(without_plotly(interactive_page(trace, title="lab <4>")))
    assert "lab <4>" in page
    assert f"{trace.usage().joules:.2f} J ±" in page
    assert "SIMULATED" in page
    assert "90.0 % of the time measured" in page
    assert 'aria-label="SIMULATED data. Power over time of desk' in page
    assert "SIMULATED" not in without_plotly(interactive_page(make_trace(provenance="measured")))


def test_foreign_text_is_escaped():
    trace = make_trace()
    hostile = "</script><script>alert(1)</script><a href='//evil'>"
    trace.names = (hostile,)
    trace.spans = {hostile: RecordedSpans(1, ((1.0, 2.0),))}
    page = without_plotly(interactive_page(trace, title=hostile))
    assert "<script>alert" not in page
    assert "<a href" not in page
    names = " ".join(trace.get("name", "") for trace in data_of(page))
    assert "<" not in names, "plotly takes names for HTML"


def test_nothing_is_drawn_across_a_gap():
    for drawn in data_of(interactive_page(make_trace())):
        if drawn.get("yaxis") == "y2":
            continue  # the energy is level there
        x = drawn["x"]
        for a, b, left, right in zip(x, x[1:], drawn["y"], drawn["y"][1:], strict=False):
            if left is not None and right is not None and a is not None and b is not None:
                assert abs(b - a) < 0.1


@pytest.mark.slow
def test_a_long_recording_is_of_limited_size():
    rng = np.random.default_rng(1)
    time = np.arange(0, 300, 0.001)
    trace = Trace.integrate(time, rng.uniform(1, 9, len(time)), volts=rng.uniform(4, 5, len(time)))
    edges = np.linspace(0, 299, 2000)
    trace.spans = {"infer": RecordedSpans(1000, tuple(zip(edges[::2], edges[1::2], strict=True)))}
    page = interactive_page(trace)
    assert len(page.encode()) < script_size() + MOST_BYTES_PER_FILE


def test_without_plotly_the_error_names_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(ExtraMissing, match=r"edge-energymeter\[interactive\]"):
        interactive_page(make_trace())
