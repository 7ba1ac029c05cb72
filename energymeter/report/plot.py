"""Recordings as pictures: power over time with spans and gaps, what was used, and a histogram."""

import math
import os
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from energymeter.energy.usage import Usage
from energymeter.errors import NotMeasured, SpecError
from energymeter.recordings.arrays import Floats
from energymeter.recordings.trace import Trace
from energymeter.report.decimation import Channel, Decimated, SpanRow, decimated
from energymeter.report.picture import (
    BLACK,
    BLUE,
    COLOURS,
    DASHES,
    GREY,
    RED,
    WIDTH_INCHES,
    Picture,
    captioned,
    new_figure,
    shown,
    si_scale,
    styled,
    time_scale,
    watermark,
)
from energymeter.text import duration, partly_measured, percent, significant, with_uncertainty

MOST_FILES = len(COLOURS)
MOST_SPANS = 8
_MOST_NOTES = 4
_LEFT, _RIGHT = 0.62, 0.62
"""Margins, inches."""
_FEWEST_STRETCHES = 200
_STRETCHES_AN_INCH = 110
_SIGNS_AN_INCH = 17
"""So many letters of a name of a span fit in."""
_LINE, _LANE, _POWER, _TOTALS, _SPACE = 0.155, 0.25, 2.35, 1.35, 0.14
"""Heights of a line of text, a span and the two panels, and what is between these, inches."""
_HATCHES = ("", "////", "||||", "\\\\\\\\", "xxxx", "----", "++++")
_BUDGET_SHOWN = 4.0
"""A budget of more than so many times what was used would flatten the curve."""
_BAND_MARKS = 48
_TOTAL_STEP = 3
"""Running totals have no peaks: every third edge is enough for their line."""


def plot_traces(
    sources: "str | os.PathLike[str] | Trace | Sequence[str | os.PathLike[str] | Trace]",
    *,
    title: str = "",
    channel: str | None = None,
    budget_mah: float | None = None,
    histogram: bool = False,
) -> Picture:
    """Power over time with what was used, of one recording; of several, one over the other from their starts.

    Args:
        sources: traces, or paths of any files that `Trace.load` reads.
        title: of the picture; empty: the names of the recordings.
        channel: of files, this one alone.
        budget_mah: a line across the charge, mAh.
        histogram: also how long each power lasted.

    Raises:
        ExtraMissing: without matplotlib.
        SpecError: no recordings, or more than there are kinds of lines; or a budget that is none.
        LogError, NotMeasured, ImplausibleReading: as for `Trace.load`.
    """
    if budget_mah is not None and not 0 < budget_mah < math.inf:
        raise SpecError(f"a budget of {budget_mah} mAh is none; give a positive number, or leave it out")
    with styled():
        recordings = decimated_all(sources, channel)
        return _Drawing(recordings, title, budget_mah, histogram).picture()


def plot_power(
    source: "str | os.PathLike[str] | Trace",
    *,
    title: str,
    windows_s: Sequence[tuple[float, float]] = (),
    idle_watts: float | None = None,
    width_inches: float = WIDTH_INCHES,
    height_inches: float = 1.2,
) -> Picture:
    """Power over time alone, with spans and gaps: for a page that has the figures next to it.

    Args:
        source: a trace, or the path of any file that `Trace.load` reads.
        title: of the picture, which is not written into it.
        windows_s: times that are shaded: those that the figures are of, s.
        idle_watts: a line across the power, W.
        height_inches: of the power alone; spans and axes come on top.

    Raises:
        ExtraMissing: without matplotlib.
        LogError, NotMeasured, SpecError, ImplausibleReading: as for `Trace.load`.
    """
    stretches = max(_FEWEST_STRETCHES, round(width_inches * _STRETCHES_AN_INCH))
    with styled():
        recording = decimated(source, None, stretches)._replace(name=title)
        drawing = _Drawing([recording], title, None, False, width_inches)
        return drawing.power_alone(windows_s, idle_watts, height_inches)


def decimated_all(
    sources: "str | os.PathLike[str] | Trace | Sequence[str | os.PathLike[str] | Trace]", channel: str | None
) -> list[Decimated]:
    """Each recording, small enough to draw; raises as `plot_traces`."""
    each = [sources] if isinstance(sources, str | os.PathLike | Trace) else list(sources)
    if not 0 < len(each) <= MOST_FILES:
        raise SpecError(f"a picture shows from 1 to {MOST_FILES} recordings, not {len(each)}; give fewer")
    return [decimated(source, channel) for source in each]


def headline(usage: Usage) -> str:
    """What a recording used, in a line."""
    mah, watts = usage.mah, usage.mean_watts
    texts = [f"{shown(' + '.join(usage.sources), 48)}, {usage.provenance} at the {usage.place}"]
    texts.append(with_uncertainty(usage.joules, usage.uncertainty, "J"))
    if mah is not None:
        at = "" if usage.mean_volts is None else f" at {usage.mean_volts:.2f} V"
        texts.append(f"{significant(mah)} mAh{at}")
    if watts is not None:
        texts.append(f"{significant(watts)} W mean")
    texts.append(duration(usage.seconds))
    if partly_measured(usage.coverage):
        texts.append(f"{percent(usage.coverage, 1)} of the time measured")
    return " · ".join(texts)


def _in_short(usage: Usage) -> str:
    """What one of several recordings used, in half a line."""
    mah = "" if usage.mah is None else f", {significant(usage.mah)} mAh"
    part = f", {percent(usage.coverage, 1)} measured" if partly_measured(usage.coverage) else ""
    energy = with_uncertainty(usage.joules, usage.uncertainty, "J")
    return f"{energy}{mah} in {duration(usage.seconds)}{part}, {usage.provenance}"


def span_label(span: SpanRow) -> str:
    """A span with its calls and its energy."""
    calls = "1 call" if span.calls == 1 else f"{span.calls} calls"
    some = f", {len(span.windows_s)} of them in the log" if len(span.windows_s) < span.calls else ""
    energy = "not measured"
    if span.usage is not None:
        energy = with_uncertainty(span.usage.joules, span.usage.uncertainty, "J")
    return f"{shown(span.name, 40)}: {energy}, {calls}{some}"


def alternative(recordings: Sequence[Decimated]) -> str:
    """The picture in words."""
    texts = [
        f"Power over time of {shown(each.name)}: {headline(each.usage)}; "
        f"highest power {significant(each.usage.peak_watts or 0.0)} W."
        for each in recordings
    ]
    if len(recordings) == 1:
        texts += [f"Span {span_label(span)}." for span in recordings[0].spans[:MOST_SPANS]]
    if any(each.is_simulated for each in recordings):
        texts.insert(0, "SIMULATED data.")
    return " ".join(texts)


class _Drawing:
    """One figure while it is drawn."""

    def __init__(
        self,
        recordings: Sequence[Decimated],
        title: str,
        budget_mah: float | None,
        histogram: bool,
        width_inches: float = WIDTH_INCHES,
    ) -> None:
        self._recordings = recordings
        self._width = width_inches
        self._lone = recordings[0] if len(recordings) == 1 else None
        self._budget_mah, self._histogram = budget_mah, histogram
        self._title = shown(title) if title else shown(", ".join(each.name for each in recordings))
        self._starts = [0.0 if self._lone else each.window_s[0] for each in recordings]
        ends = [
            max(each.window_s[1], float(each.total.time_s[-1])) - start
            for each, start in zip(recordings, self._starts, strict=True)
        ]
        firsts = [
            min(each.window_s[0], float(each.total.time_s[0])) - start
            for each, start in zip(recordings, self._starts, strict=True)
        ]
        self._first_s, self._last_s = min(firsts), max(ends)
        self._times, self._time_unit = time_scale(self._last_s - self._first_s)
        highest = max(float(np.nanmax(each.highest_watts(), initial=0.0)) for each in recordings)
        self._watts, self._prefix = si_scale(highest)
        spans = self._lone.spans if self._lone else ()
        by_energy = sorted(spans, key=lambda span: -(span.usage.joules if span.usage else 0.0))
        kept = {span.name for span in by_energy[:MOST_SPANS]}
        self._spans = [span for span in spans if span.name in kept]
        self._notes = self._written_notes(len(spans) - len(self._spans))

    # Layout -------------------------------------------------------------------------------------------

    def picture(self) -> Picture:
        figure = new_figure(5.0)
        power = figure.add_axes((0, 0, 1, 1))
        totals = figure.add_axes((0, 0, 1, 0.5), sharex=power)
        lanes = figure.add_axes((0, 0, 1, 0.1), sharex=power) if self._spans else None
        shares = figure.add_axes((0, 0, 0.1, 1), sharey=power) if self._histogram else None
        if lanes is not None:
            self._draw_lanes(lanes)
        self._draw_power(power)
        charge = self._draw_totals(totals)
        if shares is not None:
            self._draw_histogram(shares)
        power.tick_params(labelbottom=False)
        totals.set_xlabel(f"time from the start, {self._time_unit}")
        power.set_xlim(self._first_s * self._times, self._last_s * self._times)
        self._lay_out(figure, power, totals, charge, lanes, shares)
        return Picture(figure, self._title, alternative(self._recordings))

    def power_alone(
        self, windows_s: Sequence[tuple[float, float]], idle_watts: float | None, power_inches: float
    ) -> Picture:
        """The panel of the power without the totals; see `plot_power`."""
        figure = new_figure(5.0, self._width)
        power = figure.add_axes((0, 0, 1, 1))
        lanes = figure.add_axes((0, 0, 1, 0.1), sharex=power) if self._spans else None
        least = (self._last_s - self._first_s) / 1500
        for start, end in _apart(sorted(windows_s), least):
            edges = np.clip(np.array([start, end]), self._first_s, self._last_s) * self._times
            power.axvspan(*edges, facecolor="#E9E9E9", linewidth=0, zorder=0.3)
        if idle_watts is not None:
            power.axhline(
                idle_watts * self._watts, color=BLACK, linewidth=0.9, linestyle=DASHES[1], label="idle"
            )
        if lanes is not None:
            self._draw_lanes(lanes)
        self._draw_power(power)
        power.set_xlabel(f"time from the start, {self._time_unit}")
        power.set_xlim(self._first_s * self._times, self._last_s * self._times)
        self._lay_out(figure, power, None, None, lanes, None, power_inches)
        return Picture(figure, self._title, alternative(self._recordings))

    def _lay_out(
        self,
        figure: Any,
        power: Any,
        totals: Any,
        charge: Any,
        lanes: Any,
        shares: Any,
        power_inches: float = _POWER,
    ) -> None:
        """Place the panels below each other, in inches: the picture is as high as its content.

        Without totals there is no text above or below the panels either.
        """
        width, alone = self._width, totals is None
        lines = [] if alone else self._headlines()
        notes = [] if alone else [line for note in self._notes for line in textwrap.wrap(note, 138)]
        handles, labels = power.get_legend_handles_labels()
        right = width - (_RIGHT if charge is not None or shares is not None else 0.2)
        main = right - (1.35 if shares is not None else 0.0)
        columns = _columns(labels, main - _LEFT)
        legend = 0.165 * -(-len(labels) // columns) + 0.05
        first = 0.02 if alone else 0.33 + _LINE * len(lines) + 0.03
        start = first + _LANE * len(self._spans) + 0.04 + max(legend, 0.22 if shares is not None else 0.0)
        below = 0.4 if alone else _SPACE + _TOTALS + 0.45 + 0.13 * len(notes)
        height = start + power_inches + below
        figure.set_size_inches(width, height)

        def place(axes: Any, above: float, size: float, left: float, end: float) -> None:
            across = left / width, (end - left) / width
            axes.set_position((across[0], 1 - (above + size) / height, across[1], size / height))

        place(power, start, power_inches, _LEFT, main)
        for axes in (totals, charge):
            if axes is not None:
                place(axes, start + _POWER + _SPACE, _TOTALS, _LEFT, main)
        if lanes is not None:
            place(lanes, first, _LANE * len(self._spans), _LEFT, main)
        if shares is not None:
            place(shares, start, _POWER, main + 0.12, right + 0.3)
        figure.legend(
            handles,
            labels,
            loc="lower left",
            ncols=columns,
            borderaxespad=0.0,
            handlelength=2.2,
            columnspacing=1.4,
            bbox_to_anchor=(_LEFT / width, 1 - (start - 0.04) / height),
        )
        if any(each.is_simulated for each in self._recordings):
            watermark(power)
        if alone:
            return
        figure.align_ylabels([power, totals])
        captioned(figure, self._title, lines, notes, _LEFT)

    def _headlines(self) -> list[str]:
        if self._lone is None:
            return []
        return textwrap.wrap(headline(self._lone.usage), 122)

    def _written_notes(self, spans_left: int) -> list[str]:
        notes = [
            shown(note, 260)
            for each in self._recordings
            for note in (*each.usage.calibration, *each.usage.notes)
        ]
        if self._lone is None:
            notes = [
                "; ".join(
                    f"{shown(r.name, 30)}: {shown(' + '.join(r.usage.sources), 60)}" for r in self._recordings
                ),
                *notes,
            ]
        notes = list(dict.fromkeys(notes))
        if len(notes) > _MOST_NOTES:
            notes = [*notes[:_MOST_NOTES], f"… and {len(notes) - _MOST_NOTES} more notes: energymeter show"]
        if spans_left > 0:
            notes.append(f"… and spans of {spans_left} more names, with less energy")
        if any(_is_thinned(each) for each in self._recordings):
            notes.append(
                "Lines are means of stretches of time; shaded is from their lowest to their highest sample."
            )
        return notes

    # Panels -------------------------------------------------------------------------------------------

    def _draw_lanes(self, axes: Any) -> None:
        """Each span as bars in a row of its own, below its name."""
        count = len(self._spans)
        axes.set_ylim(count, 0)
        axes.grid(False)
        for side in ("left", "right", "bottom"):
            axes.spines[side].set_visible(False)
        axes.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
        for row, span in enumerate(self._spans):
            colour, hatch = _look(row)
            bars = self._bars(span)
            axes.broken_barh(
                bars,
                (row + 0.6, 0.32),
                facecolor=colour,
                edgecolor="white" if hatch else colour,
                hatch=hatch,
                linewidth=0.3,
            )
            axes.text(
                0.0,
                row + 0.3,
                shown(span_label(span), round(self._width * _SIGNS_AN_INCH)),
                transform=axes.get_yaxis_transform(),
                fontsize=7,
                va="center",
                ha="left",
                color="#222222",
            )

    def _bars(self, span: SpanRow) -> list[tuple[float, float]]:
        least = (self._last_s - self._first_s) / 1500
        return [(start * self._times, max(end - start, least) * self._times) for start, end in span.windows_s]

    def _draw_power(self, axes: Any) -> None:
        axes.set_ylabel(f"power, {self._prefix}W")
        for row, span in enumerate(self._spans):
            bars = self._bars(span)
            axes.broken_barh(
                bars,
                (0, 1),
                transform=axes.get_xaxis_transform(),
                facecolor=_look(row)[0],
                alpha=0.13,
                linewidth=0,
                zorder=0.5,
            )
            if len(bars) <= 40:
                edges = [edge for start, width in bars for edge in (start, start + width)]
                axes.vlines(
                    edges,
                    0,
                    1,
                    transform=axes.get_xaxis_transform(),
                    color=_look(row)[0],
                    linewidth=0.5,
                    alpha=0.7,
                    zorder=0.6,
                )
        if self._lone is None:
            for number, each in enumerate(self._recordings):
                self._draw_line(axes, each, number)
            self._hatch_gaps(axes, self._recordings)
        else:
            if len(self._lone.counted) > 1:
                self._stack(axes, self._lone)
            else:
                self._draw_line(axes, self._lone, 0)
            excluded = [channel for channel in self._lone.channels if not channel.facts.counted]
            for number, channel in enumerate(excluded[: len(DASHES) - 1], 1):
                self._draw_excluded(axes, channel, number)
            self._hatch_gaps(axes, [self._lone])
        low, high = axes.get_ylim()
        negative = min(float(np.nanmin(each.lowest_watts())) for each in self._recordings) < 0
        axes.set_ylim(low if negative else 0.0, high * 1.02)

    def _x(self, times: Floats, number: int) -> Floats:
        return (times - self._starts[number]) * self._times

    def _draw_line(self, axes: Any, each: Decimated, number: int) -> None:
        """One recording: its mean power with ±, and what lies between its lowest and highest samples."""
        colour, dash = COLOURS[number], DASHES[number]
        channels = each.counted
        x = self._x(channels[0].envelope.edges_s, number)
        level = np.asarray(sum(channel.envelope.watts for channel in channels))
        label = "power"
        if self._lone is None:
            label = f"{shown(each.name, 30)}: {_in_short(each.usage)}"
        samples = channels[0].samples if len(channels) == 1 else None
        if samples is not None:
            times, watts = samples
            around = channels[0].uncertainty_watts(watts)
            across = self._x(times, number)
            axes.plot(across, watts * self._watts, color=colour, linestyle=dash, linewidth=0.9, label=label)
            self._band(axes, across, watts, around, colour, step=None)
            return
        low, high = each.lowest_watts(), each.highest_watts()
        axes.fill_between(
            x,
            *_stepped(low * self._watts, high * self._watts),
            step="post",
            color=colour,
            alpha=0.25,
            linewidth=0.6,  # a peak of one sample in a day is narrower than a pixel
            label="lowest to highest sample" if self._lone else None,
            zorder=1.5,
        )
        axes.step(
            x,
            *_stepped(level * self._watts),
            where="post",
            color=colour,
            linestyle=dash,
            linewidth=0.9,
            label=label if self._lone is None else "mean power",
        )
        self._band(axes, x, level, around_watts(channels), colour, step="post")

    def _band(self, axes: Any, x: Floats, watts: Floats, around: Floats, colour: str, step: Any) -> None:
        if not np.any(around > 0):
            return
        low, high = (watts - around) * self._watts, (watts + around) * self._watts
        if step is not None:
            low, high = _stepped(low, high)
        axes.fill_between(
            x,
            low,
            high,
            step=step,
            facecolor=BLACK if self._lone else colour,
            alpha=0.3,
            linewidth=0,
            zorder=1.8,
            label="± of the meter (95 %)" if self._lone else None,
        )

    def _stack(self, axes: Any, each: Decimated) -> None:
        """The channels that add up, one on top of the other."""
        x = self._x(each.total.time_s, 0)
        below = np.zeros(len(x) - 1)
        for number, channel in enumerate(each.counted):
            level = np.nan_to_num(channel.envelope.watts)
            known = np.isfinite(channel.envelope.watts)
            bottom, top = below * self._watts, (below + level) * self._watts
            colour, hatch = _look(number)
            axes.fill_between(
                x,
                *_stepped(np.where(known, bottom, np.nan), np.where(known, top, np.nan)),
                step="post",
                facecolor=colour,
                alpha=0.55,
                edgecolor="white",
                hatch=hatch,
                linewidth=0.0,
                label=shown(channel.name, 28),
                zorder=1.5,
            )
            below = below + level
        total = np.asarray(sum(channel.envelope.watts for channel in each.counted))
        axes.step(x, *_stepped(total * self._watts), where="post", color=BLACK, linewidth=0.8, label="sum")
        around = around_watts(each.counted)
        self._band(axes, x, total, around, BLACK, "post")
        highest = each.highest_watts()
        if np.nanmax(highest) > 1.02 * np.nanmax(total):
            axes.step(
                x,
                *_stepped(highest * self._watts),
                where="post",
                color=GREY,
                linewidth=0.5,
                linestyle=DASHES[2],
                label="highest at most",
            )

    def _draw_excluded(self, axes: Any, channel: Channel, number: int) -> None:
        """A channel that a counted one contains already."""
        x = self._x(channel.envelope.edges_s, 0)
        axes.step(
            x,
            *_stepped(channel.envelope.watts * self._watts),
            where="post",
            color=BLACK,
            linestyle=DASHES[number],
            linewidth=0.9,
            label=f"{shown(channel.name, 28)} (not added)",
        )

    def _hatch_gaps(self, axes: Any, recordings: Sequence[Decimated]) -> None:
        """What was not measured: across the panel; of several recordings in a strip at its foot."""
        label: str | None = "not measured"
        least = (self._last_s - self._first_s) / 700
        for number, each in enumerate(recordings):
            foot, top = (0.0, 1.0) if self._lone else (0.01 + 0.045 * number, 0.05 + 0.045 * number)
            gaps = sorted({gap for channel in each.counted for gap in channel.envelope.gaps_s})
            for start, end in _apart(gaps, least):
                edges = self._x(np.array([start, max(end, start + least)]), number)
                axes.axvspan(
                    *edges,
                    foot,
                    top,
                    facecolor="white",
                    edgecolor=GREY if self._lone else COLOURS[number],
                    hatch="//////",
                    linewidth=0.0,
                    zorder=2.5,
                    label=label,
                )
                label = None

    def _draw_totals(self, axes: Any) -> Any:
        """Energy with ± and charge until then; returns the axes of the charge, if there is any to show."""
        most = max(float(np.nanmax(each.total.joules, initial=0.0)) for each in self._recordings)
        scale, prefix = si_scale(most)
        with_charge = [each for each in self._recordings if each.usage.coulombs is not None]
        if self._budget_mah is not None and not with_charge:
            raise SpecError("no current was measured, so there is no charge; leave out --budget-mah")
        charge = axes.twinx() if with_charge and (self._lone or self._budget_mah) else None
        for number, each in enumerate(self._recordings):
            colour = COLOURS[number]
            start, end = each.window_s
            marks = np.unique(np.clip(np.append(each.total.time_s[::_TOTAL_STEP], end), start, end))
            joules = each.total.at(marks) - each.total.at(start)
            x = self._x(marks, number)
            around = _grown(each, marks)
            axes.plot(
                x,
                joules * scale,
                color=colour,
                linestyle=DASHES[number] if self._lone is None else "solid",
                linewidth=1.3,
                label="energy",
            )
            axes.fill_between(
                x, (joules - around) * scale, (joules + around) * scale, color=colour, alpha=0.3, linewidth=0
            )
            if charge is not None and each.usage.coulombs is not None:
                mah = (each.total.at(marks, "coulombs") - each.total.at(start, "coulombs")) / 3.6
                charge.plot(
                    x,
                    mah,
                    color=RED if self._lone else colour,
                    linestyle=(0, (4, 2.5)),
                    linewidth=1.1,
                    label="charge",
                )
        axes.set_ylabel(f"energy, {prefix}J", color=BLUE if self._lone else BLACK)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]) if most <= 0 else 0.0)
        if charge is not None:
            self._finish_charge(axes, charge, with_charge)
        return charge

    def _finish_charge(self, axes: Any, charge: Any, with_charge: Sequence[Decimated]) -> None:
        budget = self._budget_mah
        charge.grid(False)
        charge.spines["left"].set_visible(False)
        charge.set_ylabel("charge, mAh", color=RED if self._lone else BLACK)
        charge.set_ylim(bottom=0.0)
        used = max(float(each.usage.mah or 0.0) for each in with_charge)
        if budget is not None:
            share = f"{percent(used / budget, 1)} used"
            if budget <= _BUDGET_SHOWN * used:
                charge.axhline(budget, color=BLACK, linewidth=1.0, linestyle=DASHES[3])
                charge.set_ylim(0.0, max(charge.get_ylim()[1], 1.15 * budget))
                axes.set_ylim(0.0, axes.get_ylim()[1] * charge.get_ylim()[1] / max(used * 1.05, 1e-12))
                charge.annotate(
                    f"budget {significant(budget)} mAh, {share}",
                    (0.01, budget),
                    va="bottom",
                    fontsize=7.5,
                    xycoords=("axes fraction", "data"),
                    xytext=(0, 2),
                    textcoords="offset points",
                )
            else:
                charge.text(
                    0.01,
                    0.93,
                    f"budget {significant(budget)} mAh (beyond this picture), {share}",
                    transform=charge.transAxes,
                    va="top",
                    fontsize=7.5,
                )
        if self._lone:
            lines = [*axes.get_lines()[:1], *charge.get_lines()[:1]]
            axes.legend(lines, ["energy ±", "charge"], loc="lower right", ncols=2)

    def _draw_histogram(self, axes: Any) -> None:
        axes.grid(False, axis="y")
        axes.tick_params(labelleft=False, left=False)
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.set_xlabel("share of the time, %", fontsize=7.5, labelpad=3)
        axes.spines["top"].set_visible(True)
        axes.spines["bottom"].set_visible(False)
        for number, each in enumerate(self._recordings):
            edges, seconds = each.histogram()
            shares = 100 * seconds / max(seconds.sum(), 1e-300)
            if self._lone:
                axes.stairs(
                    shares, edges * self._watts, orientation="horizontal", fill=True, color=BLUE, alpha=0.35
                )
            axes.stairs(
                shares,
                edges * self._watts,
                orientation="horizontal",
                color=COLOURS[number],
                linestyle=DASHES[number],
                linewidth=0.9,
            )
        axes.set_xlim(left=0.0)
        axes.locator_params(axis="x", nbins=4)


def _grown(each: Decimated, marks: Floats) -> Floats:
    """± of the energy up to each of these times, J."""
    start, end = each.window_s
    some = np.linspace(start, end, _BAND_MARKS)
    known_s, known = [start], [0.0]
    for mark in some[1:]:
        try:
            known.append(each.total.usage(start, float(mark)).uncertainty)
        except NotMeasured:
            continue
        known_s.append(float(mark))
    scale = each.usage.uncertainty / known[-1] if known[-1] > 0 else 0.0  # stretches know less than samples
    return np.asarray(np.interp(marks, known_s, known) * scale)


def _columns(labels: Sequence[str], width_inches: float) -> int:
    """Into how many columns a legend is set, so that it is no wider than this."""
    for columns in range(min(4, len(labels)), 1, -1):
        longest = [max(map(len, column)) for column in np.array_split(np.array(labels, object), columns)]
        if sum(0.58 + 0.056 * length for length in longest) <= width_inches:
            return columns
    return 1


def _is_thinned(each: Decimated) -> bool:
    return len(each.counted) == 1 and each.counted[0].samples is None


def _look(number: int) -> tuple[str, str]:
    """The colour and the hatching of a span or a rail."""
    return COLOURS[number % len(COLOURS)], _HATCHES[number % len(_HATCHES)]


def around_watts(channels: Sequence[Channel]) -> Floats:
    """± of the sum of the channels in each stretch, W: different meters err independently of each other."""
    squares = [channel.uncertainty_watts(channel.envelope.watts) ** 2 for channel in channels]
    return np.asarray(np.sqrt(sum(squares)))


def _stepped(*levels: Floats) -> list[Floats]:
    """Values of stretches at their edges, for steps that go on to the next edge."""
    return [np.append(values, values[-1]) for values in levels]


def _apart(gaps: Sequence[tuple[float, float]], least: float) -> list[tuple[float, float]]:
    """Gaps, joined where the picture cannot show them apart."""
    found: list[tuple[float, float]] = []
    for start, end in gaps:
        if found and start - found[-1][1] <= least:
            start, end = found[-1][0], max(end, found.pop()[1])
        found.append((start, end))
    return found
