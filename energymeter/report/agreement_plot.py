"""One meter against another as a picture: the power of both, and what is left between them."""

from typing import Any

import numpy as np

from energymeter.calibration.second_meter import Agreement, in_common
from energymeter.energy.usage import least_trusted
from energymeter.recordings.trace import Trace
from energymeter.report.decimation import Decimated, decimated
from energymeter.report.picture import (
    BLACK,
    BLUE,
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
from energymeter.text import percent, significant

_PARTS = 200
"""The common time has so many, for the difference; what is shorter is noise."""
_LEFT, _RIGHT, _POWER, _APART = 0.62, 0.2, 1.9, 1.35


def plot_agreement(a: Trace, b: Trace, found: Agreement, *, title: str = "") -> Picture:
    """The power of two meters under one load, B moved by its lag, and A minus B with what is allowed.

    Args:
        a, b, found: what `energymeter.calibration.second_meter.agreement` compared, and what it found.
        title: of the picture; empty: the names of both.

    Raises:
        ExtraMissing: without matplotlib.
        NotMeasured: they have no time in common.
    """
    lag = 0.0 if found.alignment is None else found.alignment.offset_s
    with styled():
        common = in_common(a, b, lag, _PARTS)
        drawn = decimated(a), decimated(b)
        watts, prefix = si_scale(max(float(np.nanmax(each.highest_watts())) for each in drawn))
        times, time_unit = time_scale(float(common.edges_s[-1] - common.edges_s[0]))
        lines = _sentences(a, b, found)
        top = 0.42 + 0.155 * len(lines)
        height = top + 0.3 + _POWER + 0.4 + _APART + 0.42
        figure = new_figure(height)
        across = _LEFT / WIDTH_INCHES, (WIDTH_INCHES - _LEFT - _RIGHT) / WIDTH_INCHES
        above = 1 - (top + 0.3 + _POWER) / height
        power = figure.add_axes((across[0], above, across[1], _POWER / height))
        apart = figure.add_axes((across[0], 0.42 / height, across[1], _APART / height), sharex=power)
        _draw_power(power, drawn[0], 0.0, "A", BLUE, "solid", times, watts)
        moved = "" if found.alignment is None else f", moved by {-lag:+.3f} s"
        _draw_power(power, drawn[1], lag, f"B{moved}", RED, DASHES[1], times, watts)
        power.set_ylabel(f"power, {prefix}W")
        power.tick_params(labelbottom=False)
        power.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)
        _draw_apart(apart, common.edges_s * times, common.a_watts - common.b_watts, found)
        apart.set_xlabel(f"time from the start, {time_unit}")
        power.set_xlim(common.edges_s[0] * times, common.edges_s[-1] * times)
        figure.align_ylabels([power, apart])
        provenance = least_trusted([a.facts.provenance, b.facts.provenance])
        if provenance == "simulated":
            watermark(power)
        title = shown(title) or shown(f"{found.a} against {found.b}")
        captioned(figure, title, lines, ())
        simulated = "SIMULATED data. " if provenance == "simulated" else ""
        return Picture(figure, title, f"{simulated}Power of two meters under one load. {' '.join(lines)}")


def _sentences(a: Trace, b: Trace, found: Agreement) -> list[str]:
    """What was found, a line for the meters, the bias and the lag each."""
    meters = [
        f"{letter}: {shown(name, 48)}, {trace.facts.provenance} at the {trace.facts.place}, "
        f"{significant(watts, 4)} W, noise of a sample {significant(noise, 2)} W"
        for letter, name, trace, watts, noise in (
            ("A", found.a, a, found.a_watts, found.a_noise_watts),
            ("B", found.b, b, found.b_watts, found.b_noise_watts),
        )
    ]
    share = f" ({percent(found.bias_watts / abs(found.b_watts), 2)} of B)" if found.b_watts else ""
    verdict = "the accuracy of one meter is unknown"
    if found.allowed_watts is not None:
        within = "within" if found.agrees else "outside"
        verdict = f"{within} the ± {significant(found.allowed_watts, 2)} W of both meters"
    bias = (
        f"A minus B: {found.bias_watts:+.4f} W ± {significant(found.bias_uncertainty, 2)}{share}, {verdict}."
    )
    if found.alignment is None:
        lag = f"The lag of B is unknown: {shown(found.warning, 100)}."
    else:
        one = found.alignment
        around = 2 * one.offset_uncertainty
        lag = f"Lag of B: {one.offset_s:+.4f} s ± {around:.4f}, by {one.steps} steps of the load."
    return [*(f"{line}." for line in meters), bias, lag]


def _draw_power(
    axes: Any, each: Decimated, lag_s: float, label: str, colour: str, dash: Any, times: float, watts: float
) -> None:
    """One meter: every sample, or the means of stretches between their lowest and highest samples."""
    if len(each.counted) == 1 and each.counted[0].samples is not None:
        seconds, level = each.counted[0].samples
        axes.plot(
            (seconds - lag_s) * times, level * watts, color=colour, linestyle=dash, linewidth=0.9, label=label
        )
        return
    edges = (each.counted[0].envelope.edges_s - lag_s) * times
    mean = np.asarray(sum(channel.envelope.watts for channel in each.counted)) * watts
    low, high = (np.append(side, side[-1]) * watts for side in (each.lowest_watts(), each.highest_watts()))
    axes.fill_between(edges, low, high, step="post", color=colour, alpha=0.22, linewidth=0)
    axes.step(
        edges,
        np.append(mean, mean[-1]),
        where="post",
        color=colour,
        linestyle=dash,
        linewidth=0.9,
        label=label,
    )


def _draw_apart(axes: Any, edges: Any, apart: Any, found: Agreement) -> None:
    """A minus B in each part, the bias with its ±, and how far the accuracy of both lets them be apart."""
    most = float(np.nanmax(np.abs(apart), initial=0.0))
    allowed = found.allowed_watts
    watts, prefix = si_scale(max(most, allowed or 0.0, abs(found.bias_watts)))
    if allowed is not None:
        axes.axhspan(
            -allowed * watts, allowed * watts, facecolor="#E9E9E9", linewidth=0, label="± of both meters"
        )
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.step(
        edges,
        np.append(apart, apart[-1]) * watts,
        where="post",
        color=BLACK,
        linewidth=0.9,
        label="A minus B",
    )
    bias, around = found.bias_watts * watts, found.bias_uncertainty * watts
    axes.axhspan(bias - around, bias + around, facecolor=BLUE, alpha=0.3, linewidth=0)
    axes.axhline(bias, color=BLUE, linewidth=1.2, linestyle=DASHES[3], label="bias ±")
    axes.set_ylabel(f"difference, {prefix}W")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0.2)
