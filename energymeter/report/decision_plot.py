"""Comparisons as intervals, and sweeps as energy against time or metric, or under the board's roofline."""

import math
import os
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from energymeter.comparison.comparison import Comparison, Verdict, percents
from energymeter.comparison.runs import Run, load_folder
from energymeter.comparison.sweeping import Setting, Sweep
from energymeter.energy.usage import least_trusted
from energymeter.errors import LogError, SpecError
from energymeter.report.picture import (
    BLACK,
    BLUE,
    COLOURS,
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
from energymeter.text import significant

_LEFT, _RIGHT, _ROW = 1.5, 0.25, 0.5
_MARKS = ("o", "s", "^", "D", "v", "P", "X")
_MOST_NAMED = 12


def plot_folder(path: "str | os.PathLike[str]", *, title: str = "") -> Picture:
    """The comparison or the sweep whose runs are in a folder.

    Raises:
        LogError: it is neither, or damaged.
        SpecError: it has runs of one arm alone.
        ExtraMissing: without matplotlib.
    """
    path = os.fspath(path)
    title = title or os.path.basename(os.path.abspath(path))
    try:
        return plot_sweep(Sweep.load(path), title=title)
    except LogError:
        kept = load_folder(path)
    return plot_comparison(Comparison(kept.runs, kept.arms, idle=kept.idle), title=title)


def plot_comparison(comparison: Comparison, *, title: str = "") -> Picture:
    """The energy of every run, and each arm over the first with its 95 % interval.

    Raises:
        ExtraMissing: without matplotlib.
    """
    with styled():
        arms, runs = list(comparison.arms), [run for part in comparison.arms.values() for run in part]
        unit = runs[0].unit
        notes = [shown(note, 260) for note in comparison.notes]
        lines = _wrapped([_sentence(verdict) for verdict in comparison.verdicts], 122)
        if any(verdict.change is None for verdict in comparison.verdicts):
            notes.append("A hollow mark: no difference is shown.")
        foot = _wrapped(notes, 138)
        top = 0.42 + 0.155 * (len(lines) + 1)
        size = _ROW * len(arms) + 0.15
        height = top + size + 0.55 + 0.13 * len(foot)
        figure = new_figure(height)
        middle = _LEFT + (WIDTH_INCHES - _LEFT - _RIGHT) * 0.52
        bottom = (height - top - size) / height
        left = figure.add_axes(
            (_LEFT / WIDTH_INCHES, bottom, (middle - 0.15 - _LEFT) / WIDTH_INCHES, size / height)
        )
        right = figure.add_axes(
            (
                (middle + 0.15) / WIDTH_INCHES,
                bottom,
                (WIDTH_INCHES - _RIGHT - middle - 0.15) / WIDTH_INCHES,
                size / height,
            ),
            sharey=left,
        )
        _draw_runs(left, comparison, unit)
        _draw_changes(right, comparison)
        for axes in (left, right):
            axes.set_ylim(len(arms) - 0.45, -0.55)
            axes.grid(False, axis="y")
        left.set_yticks(range(len(arms)), [shown(name, 22) for name in arms])
        right.tick_params(labelleft=False, left=False)
        title = shown(title) or " or ".join(shown(name, 22) for name in arms)
        captioned(figure, title, [_about(runs), *lines], foot)
        if _is_simulated(runs):
            watermark(left)
        alt = f"Energy per {unit} of {len(arms)} arms, {_about(runs)}. {' '.join(lines)}"
        return Picture(figure, title, _alt(alt, runs))


def _draw_runs(axes: Any, comparison: Comparison, unit: str) -> None:
    """Every run as a point, and the mean of each arm."""
    each = {name: [run.joules_per_unit for run in runs] for name, runs in comparison.arms.items()}
    scale, prefix = si_scale(max(max(values) for values in each.values()))
    for row, values in enumerate(each.values()):
        points = np.array(values) * scale
        spread = np.linspace(-0.2, 0.2, len(points)) if len(points) > 1 else np.zeros(1)
        colour = COLOURS[row % len(COLOURS)]
        axes.plot(
            points,
            row + spread,
            _MARKS[row % len(_MARKS)],
            color=colour,
            markersize=3.6,
            alpha=0.75,
            markeredgewidth=0,
        )
        axes.plot([points.mean()] * 2, [row - 0.32, row + 0.32], color=BLACK, linewidth=1.6)
    axes.set_xlabel(f"{prefix}J per {shown(unit, 24)}: every run, and the mean")
    axes.margins(x=0.08)


def _draw_changes(axes: Any, comparison: Comparison) -> None:
    axes.axvline(0.0, color=BLACK, linewidth=0.9)
    axes.text(0.5, 0, "reference", transform=axes.get_yaxis_transform(), ha="center", va="center", color=GREY)
    reach = 1.0
    for row, verdict in enumerate(comparison.verdicts, 1):
        ratio = verdict.ratio
        if ratio is None or verdict.refused or not math.isfinite(ratio.high):
            axes.text(
                0.5,
                row,
                _why_none(verdict),
                transform=axes.get_yaxis_transform(),
                ha="center",
                va="center",
                color=GREY,
                backgroundcolor="white",
            )
            continue
        value, low, high = (100 * (number - 1) for number in ratio[:3])
        colour = COLOURS[row % len(COLOURS)]
        axes.errorbar(
            value,
            row,
            xerr=[[value - low], [high - value]],
            fmt=_MARKS[row % len(_MARKS)],
            color=colour,
            markersize=5,
            capsize=4,
            capthick=1.4,
            elinewidth=1.6,
            markerfacecolor=colour if verdict.change is not None else "white",
        )
        axes.text(value, row - 0.27, percents(ratio), ha="center", va="bottom", fontsize=7)
        reach = max(reach, abs(low), abs(high), abs(value) * 1.3)
    axes.set_xlim(-1.25 * reach, 1.25 * reach)
    axes.set_xlabel("change of the energy, %, with its 95 % interval")


def _sentence(verdict: Verdict) -> str:
    """The verdict, which may name its arm or not."""
    text = str(verdict)
    return text if text.startswith(verdict.b) else f"{verdict.b}: {text}"


def _why_none(verdict: Verdict) -> str:
    return "refused: see above" if verdict.refused else "not enough runs"


def plot_sweep(sweep: Sweep, *, title: str = "") -> Picture:
    """Energy against the metric, or against time, with the settings worth having; and the roofline, if known.

    Raises:
        ExtraMissing: without matplotlib.
    """
    with styled():
        roofline = sweep.roofline if sweep.roofline is not None and sweep.roofline.flop_per_byte else None
        top, size = 0.62, 2.9
        foot = ["Bars: ± one standard deviation of a run."]
        foot += [] if sweep.complete else ["The sweep did not measure every setting."]
        height = top + size + 0.5 + 0.13 * len(foot)
        figure = new_figure(height)
        bottom = (height - top - size) / height
        end = 0.55 if roofline is not None else (WIDTH_INCHES - 0.3) / WIDTH_INCHES
        axes = figure.add_axes((0.65 / WIDTH_INCHES, bottom, end - 0.65 / WIDTH_INCHES, size / height))
        _draw_front(axes, sweep)
        if roofline is not None:
            left = end + 0.1
            roof = figure.add_axes((left, bottom, 0.97 - left, size / height))
            _draw_roofline(roof, sweep)
        title = shown(title) or "sweep"
        captioned(figure, title, [_about(sweep.runs)], foot)
        if _is_simulated(sweep.runs):
            watermark(axes)
        worth = "; ".join(
            f"{_named(one)}: {significant(one.joules_per_unit)} J per {sweep.unit}" for one in sweep.front
        )
        return Picture(
            figure,
            title,
            _alt(f"Energy of {len(sweep.settings)} settings. Worth having: {worth}.", sweep.runs),
        )


def _draw_front(axes: Any, sweep: Sweep) -> None:
    by_metric = all(one.metric is not None for one in sweep.settings)
    joules, prefix = si_scale(max(one.joules_per_unit for one in sweep.settings))
    seconds, unit = time_scale(max(one.seconds_per_unit for one in sweep.settings))

    def place(one: Setting) -> tuple[float, float]:
        across = one.metric if by_metric and one.metric is not None else one.seconds_per_unit * seconds
        return across, one.joules_per_unit * joules

    front = sorted((place(one), one) for one in sweep.front)
    steps = np.array([where for where, _ in front])
    axes.step(
        steps[:, 0],
        steps[:, 1],
        where="pre" if by_metric else "post",
        color=BLUE,
        linewidth=1.2,
        marker="o",
        markersize=5,
        label="worth having",
    )
    for one in sweep.settings:
        x, y = place(one)
        spread = 0.0 if one.spread is None else one.spread * y
        axes.errorbar(
            x,
            y,
            yerr=spread or None,
            fmt="o" if one.worth else "s",
            color=BLUE if one.worth else GREY,
            markerfacecolor=BLUE if one.worth else "white",
            markersize=5,
            elinewidth=0.8,
            capsize=2,
        )
    named = sweep.front if len(sweep.settings) > _MOST_NAMED else sweep.settings
    for one in named:
        axes.annotate(
            _named(one),
            place(one),
            xytext=(6, 0) if one.worth else (-6, 0),
            ha="left" if one.worth else "right",
            va="center",
            textcoords="offset points",
            fontsize=6.5,
            color=BLACK if one.worth else GREY,
        )
    axes.set_xlabel("metric" if by_metric else f"time per {shown(sweep.unit, 30)}, {unit}")
    axes.set_ylabel(f"energy per {shown(sweep.unit, 30)}, {prefix}J")
    axes.set_ylim(bottom=0.0)
    axes.margins(x=0.3)
    axes.legend(loc="best")


def _draw_roofline(axes: Any, sweep: Sweep) -> None:
    """FLOP/s against FLOP/B, below what arithmetic and memory allow."""
    roofline = sweep.roofline
    if roofline is None or roofline.flop_per_byte is None:
        raise SpecError("a roofline needs the memory traffic of one unit; give --bytes")
    intensity, peak, carried = (
        roofline.flop_per_byte,
        roofline.peak_flops_per_second,
        roofline.peak_bytes_per_second,
    )
    rates = [one.flop_per_second for one in sweep.settings if one.flop_per_second]
    if peak is not None and carried is not None:
        ridge = peak / carried
        across = np.geomspace(min(intensity, ridge) / 10, max(intensity, ridge) * 10, 100)
        axes.plot(across, np.minimum(peak, across * carried) / 1e9, color=RED, linewidth=1.4, label="roof")
        axes.axvline(ridge, color=RED, linewidth=0.6, linestyle=(0, (2, 2)))
    axes.plot(
        [intensity] * len(rates), np.array(rates) / 1e9, "o", color=BLUE, markersize=5, label="settings"
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda number, _: f"{number:g}")
        axis.set_minor_formatter(lambda number, _: "")
    axes.set_xlabel("operational intensity, FLOP/B")
    axes.set_ylabel("speed, GFLOP/s")
    axes.margins(y=0.15)
    axes.legend(loc="lower right")


# Text -----------------------------------------------------------------------------------------------------


def _named(one: Setting) -> str:
    return shown(" ".join(f"{name}={value}" for name, value in one.values.items()), 40)


def _about(runs: Sequence[Run]) -> str:
    first = runs[0]
    return (
        f"{shown(' + '.join(first.sources), 60)}, {_provenance(runs)} at the {first.place}, {len(runs)} runs"
    )


def _provenance(runs: Sequence[Run]) -> str:
    return least_trusted(run.provenance for run in runs)


def _is_simulated(runs: Sequence[Run]) -> bool:
    return _provenance(runs) == "simulated"


def _alt(text: str, runs: Sequence[Run]) -> str:
    return f"SIMULATED data. {text}" if _is_simulated(runs) else text


def _wrapped(texts: Sequence[str], width: int) -> list[str]:
    return [line for text in texts for line in textwrap.wrap(shown(text, 400), width)]
