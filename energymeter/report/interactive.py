"""Recordings as a page that can be zoomed: one HTML file that asks no network for anything. Needs plotly."""

import html
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from energymeter.errors import ExtraMissing
from energymeter.recordings.arrays import Floats
from energymeter.recordings.trace import Trace
from energymeter.report.decimation import Decimated
from energymeter.report.picture import BLACK, COLOURS, GREY, shown, si_scale, time_scale
from energymeter.report.plot import alternative, around_watts, decimated_all, headline, span_label

MOST_BYTES_PER_FILE = 1_000_000
"""For a recording of one channel, next to the 5 MB of plotly: 2000 stretches, as many edges of spans."""
_MOST_SHADED = 200
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "5px,2px")
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""The browser asks nobody for anything, whatever is in the page."""


def interactive_page(
    sources: "str | os.PathLike[str] | Trace | Sequence[str | os.PathLike[str] | Trace]",
    *,
    title: str = "",
    channel: str | None = None,
) -> str:
    """The HTML of a page with power over time, and energy until then, to zoom in and to point at.

    Args:
        sources: as for `plot_traces`.
        title: of the page; empty: the names of the recordings.
        channel: of files, this one alone.

    Raises:
        ExtraMissing: without plotly.
        LogError, NotMeasured, SpecError, ImplausibleReading: as for `plot_traces`.
    """
    try:
        from plotly import io, subplots
    except ImportError:
        raise ExtraMissing("plotly", "interactive", "an interactive page") from None
    recordings = decimated_all(sources, channel)
    title = shown(title) or shown(", ".join(each.name for each in recordings))
    figure = subplots.make_subplots(
        rows=2, shared_xaxes=True, row_heights=[0.65, 0.35], vertical_spacing=0.05
    )
    lone = len(recordings) == 1
    starts = [0.0 if lone else each.window_s[0] for each in recordings]
    longest = max(
        float(each.total.time_s[-1]) - start for each, start in zip(recordings, starts, strict=True)
    )
    times, time_unit = time_scale(longest)
    watts, prefix = si_scale(max(float(np.nanmax(each.highest_watts())) for each in recordings))
    joules, joule_prefix = si_scale(max(float(each.total.joules[-1]) for each in recordings))
    for number, (each, start) in enumerate(zip(recordings, starts, strict=True)):
        x = (each.total.time_s - start) * times
        _add_power(figure, each, number, x, watts, prefix)
        energy = (each.total.joules - each.total.at(each.window_s[0])) * joules
        _line(figure, each, number, x, _levels(energy), "energy", f"{joule_prefix}J", row=2)
        for channel_ in each.counted:
            for begin, end in channel_.envelope.gaps_s[:_MOST_SHADED]:
                _shade(figure, begin - start, end - start, times, GREY, "not measured")
    if lone:
        _add_spans(figure, recordings[0], times)
    simulated = any(each.is_simulated for each in recordings)
    if simulated:
        figure.add_annotation(
            text="SIMULATED",
            x=0.5,
            y=0.62,
            xref="paper",
            yref="paper",
            showarrow=False,
            textangle=-14,
            opacity=0.22,
            font={"size": 96, "color": GREY},
        )
    figure.update_xaxes(title_text=f"time from the start, {time_unit}", row=2, col=1)
    figure.update_yaxes(title_text=f"power, {prefix}W", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text=f"energy, {joule_prefix}J", rangemode="tozero", row=2, col=1)
    figure.update_layout(
        template="plotly_white", hovermode="x", margin={"t": 20, "r": 20}, legend={"orientation": "h"}
    )
    drawing = io.to_html(
        figure,
        include_plotlyjs=True,
        full_html=False,
        config={"displaylogo": False, "responsive": True},
        default_height="82vh",
    )
    return _page(title, recordings, drawing)


def _page(title: str, recordings: Sequence[Decimated], drawing: str) -> str:
    lines = [f"{shown(each.name)}: {headline(each.usage)}" for each in recordings]
    notes = list(dict.fromkeys(shown(note, 260) for each in recordings for note in each.usage.notes))
    notes.append("Lines are means of stretches of time; shaded is from their lowest to their highest sample.")

    def paragraphs(texts: Sequence[str]) -> str:
        return "".join(f"<p>{html.escape(text)}</p>" for text in texts)

    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{html.escape(title)}</title>"
        "<style>body{font:14px sans-serif;margin:1em 2em}h1{font-size:1.3em;margin:0 0 .3em}p{margin:.15em 0}"
        "small{color:#555}</style></head><body>"
        f"<h1>{html.escape(title)}</h1>{paragraphs(lines)}"
        f'<div role="img" aria-label="{html.escape(alternative(recordings))}">{drawing}</div>'
        f"<small>{paragraphs(notes)}</small></body></html>\n"
    )


def _add_power(figure: Any, each: Decimated, number: int, x: Floats, watts: float, prefix: str) -> None:
    """The mean power with its ±, between the lowest and the highest sample of each stretch."""
    mean = np.asarray(sum(channel.envelope.watts for channel in each.counted))
    around = around_watts(each.counted)
    for low, high, colour in (
        (each.lowest_watts(), each.highest_watts(), COLOURS[number]),
        (mean - around, mean + around, BLACK),
    ):
        across, up = _outline(x, low * watts, high * watts)
        red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
        figure.add_scatter(
            x=across,
            y=up,
            mode="lines",
            line_width=0,
            fill="toself",
            fillcolor=f"rgba({red},{green},{blue},0.25)",
            hoverinfo="skip",
            legendgroup=str(number),
            showlegend=False,
            row=1,
            col=1,
        )
    _line(figure, each, number, x, _levels(np.append(mean, mean[-1]) * watts), "power", f"{prefix}W", row=1)
    for channel in each.channels if len(each.channels) > 1 else ():
        level = channel.envelope.watts * watts
        part = "" if channel.facts.counted else " (not added)"
        figure.add_scatter(
            x=_levels(x),
            y=_levels(np.append(level, level[-1])),
            mode="lines",
            line={"width": 1, "shape": "hv"},
            name=html.escape(shown(channel.name, 40)) + part,
            visible="legendonly",
            row=1,
            col=1,
        )


def _line(
    figure: Any,
    each: Decimated,
    number: int,
    x: Floats,
    y: list[float | None],
    what: str,
    unit: str,
    *,
    row: int,
) -> None:
    figure.add_scatter(
        x=_levels(x),
        y=y,
        mode="lines",
        legendgroup=str(number),
        showlegend=row == 1,
        name=html.escape(shown(each.name, 40)),
        line={
            "color": COLOURS[number],
            "dash": _DASHES[number],
            "width": 1.3,
            "shape": "hv" if row == 1 else "linear",
        },
        hovertemplate=f"%{{y:.4g}} {unit}<extra>{what}</extra>",
        row=row,
        col=1,
    )


def _add_spans(figure: Any, each: Decimated, times: float) -> None:
    left = _MOST_SHADED
    for number, span in enumerate(each.spans):
        colour = COLOURS[number % len(COLOURS)]
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            marker={"size": 12, "symbol": "square", "color": colour},
            opacity=0.4,
            name=html.escape(span_label(span)),
            row=1,
            col=1,
        )
        for begin, end in span.windows_s[: max(left, 0)]:
            _shade(figure, begin, end, times, colour, None)
        left -= len(span.windows_s)


def _shade(figure: Any, begin: float, end: float, times: float, colour: str, text: str | None) -> None:
    """A stretch of time across the power; a gap has a pattern in the printed formats and a name here."""
    figure.add_shape(
        type="rect",
        x0=begin * times,
        x1=end * times,
        y0=0,
        y1=1,
        xref="x",
        yref="y domain",
        line_width=0,
        fillcolor=colour,
        opacity=0.45 if text else 0.14,
        layer="below",
        label={"text": text or "", "textangle": -90},
    )


def _outline(x: Floats, low: Floats, high: Floats) -> tuple[list[float | None], list[float | None]]:
    """The outlines of the areas between two levels, one for each row of stretches without a gap."""
    known = np.isfinite(low) & np.isfinite(high)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    across: list[float | None] = []
    up: list[float | None] = []
    for first, end in edges.reshape(-1, 2):
        corners = np.repeat(x[first : end + 1], 2)[1:-1]
        across += [*_levels(corners), *_levels(corners[::-1]), None]
        up += [*_levels(np.repeat(high[first:end], 2)), *_levels(np.repeat(low[first:end], 2)[::-1]), None]
    return across, up


def _levels(values: Floats) -> list[float | None]:
    """Numbers with five digits or more of what they show; None where nothing is known."""
    return [float(f"{value:.7g}") if np.isfinite(value) else None for value in values]
