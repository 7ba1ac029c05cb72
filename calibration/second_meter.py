"""One meter held against another under the same load: bias, noise and lag, aligned by the load's steps."""

import math
from typing import Any, NamedTuple

import numpy as np

from energymeter.calibration.alignment import Alignment, align
from energymeter.calibration.line_fit import Floats
from energymeter.errors import CalibrationError, NotMeasured
from energymeter.recordings.trace import Trace
from energymeter.text import duration, percent, significant

_BLOCKS = 20
"""Parts of the common time, for the scatter of the bias."""
_FEWEST = 20
_K = 2.0
_MAD_TO_SIGMA = 1.4826
_LARGEST_DRIFT = 0.01
"""Clocks of one machine differ by some 100 ppm; more is an alignment of short, poor steps."""


class Agreement(NamedTuple):
    """How source A differs from source B over the time that both measured."""

    a: str
    b: str
    seconds: float
    a_watts: float
    """Mean power by A."""
    b_watts: float
    bias_watts: float
    """A minus B, of the mean power."""
    bias_uncertainty: float
    """± of the bias from its scatter over the run (k = 2); the accuracy of the meters is not in it."""
    allowed_watts: float | None
    """What the ± of both meters (k = 2) allows the bias to be; None: the accuracy of one is unknown."""
    a_noise_watts: float
    """Standard deviation of one sample, from the typical difference between neighbours."""
    b_noise_watts: float
    alignment: Alignment | None
    """The lag of B against A; None: the load had no steps in common."""
    warning: str = ""
    """Why there is no alignment."""

    @property
    def agrees(self) -> bool | None:
        """Whether the bias is within the ± of both meters, its own scatter included."""
        if self.allowed_watts is None:
            return None
        return abs(self.bias_watts) <= math.hypot(self.allowed_watts, self.bias_uncertainty)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON types."""
        alignment = None if self.alignment is None else self.alignment._asdict()
        return {**self._asdict(), "alignment": alignment, "agrees": self.agrees}

    def __str__(self) -> str:
        bias = f"{self.bias_watts:+.4f} W ± {significant(self.bias_uncertainty, 2)}"
        if self.b_watts:
            bias += f", {percent(self.bias_watts / abs(self.b_watts), 2)} of B"
        if self.allowed_watts is None:
            verdict = "cannot tell: the accuracy of one meter is unknown"
        else:
            verdict = "within" if self.agrees else "outside"
            verdict += f" the ± {significant(self.allowed_watts, 2)} W of both meters"
        rows = [
            ("A", f"{self.a}: {significant(self.a_watts, 4)} W"),
            ("B", f"{self.b}: {significant(self.b_watts, 4)} W"),
            ("common time", duration(self.seconds)),
            ("bias, A minus B", bias),
            ("agreement", verdict),
            (
                "noise of a sample",
                f"A {significant(self.a_noise_watts, 2)} W, B {significant(self.b_noise_watts, 2)} W",
            ),
        ]
        if self.alignment is None:
            rows.append(("lag of B", f"unknown: {self.warning}"))
        else:
            found = self.alignment
            text = f"{found.offset_s:+.4f} s ± {2 * found.offset_uncertainty:.4f}"
            rows.append(("lag of B", f"{text}, by {found.steps} load steps (likeness {found.likeness:.2f})"))
        return "\n".join(f"  {name:20}{text}" for name, text in rows)


def agreement(a: Trace, b: Trace) -> Agreement:
    """Compare two recordings of one load whose times count from the same moment.

    Args:
        a, b: what each source measured.

    Raises:
        NotMeasured: they have too few samples, or no time in common.
    """
    for trace in (a, b):
        if int(np.sum(~np.isnan(trace.watts))) < _FEWEST:
            name = " + ".join(trace.names)
            raise NotMeasured(
                f"{name} gave fewer than {_FEWEST} samples; check for longer, or at a higher rate"
            )
    found, warning = _aligned(a, b)
    lag = 0.0 if found is None else found.offset_s
    edges, a_watts, b_watts = in_common(a, b, lag)
    start, end = edges[0], edges[-1]
    known = ~np.isnan(a_watts) & ~np.isnan(b_watts)
    if int(known.sum()) < 2:
        raise NotMeasured("the two sources measured at no time together; check for longer")
    apart = a_watts[known] - b_watts[known]
    scatter = _K * float(apart.std(ddof=1)) / math.sqrt(len(apart))
    return Agreement(
        a=" + ".join(a.names),
        b=" + ".join(b.names),
        seconds=float(end - start) * float(known.mean()),
        a_watts=float(a_watts[known].mean()),
        b_watts=float(b_watts[known].mean()),
        bias_watts=float(apart.mean()),
        bias_uncertainty=scatter,
        allowed_watts=_allowed(a, b, float(start), float(end), lag),
        a_noise_watts=_noise(a.watts),
        b_noise_watts=_noise(b.watts),
        alignment=found,
        warning=warning,
    )


class InCommon(NamedTuple):
    """The time that two sources both measured, in equal parts."""

    edges_s: Floats
    """Shape (n + 1,), on the clock of A, s."""
    a_watts: Floats
    """Shape (n,): mean power of each part; NaN where less than half of it was measured."""
    b_watts: Floats


def in_common(a: Trace, b: Trace, lag_s: float, parts: int = _BLOCKS) -> InCommon:
    """What both sources measured, once B is moved by its lag.

    Raises:
        NotMeasured: they have no time in common.
    """
    start = max(a.time_s[0], b.time_s[0] - lag_s)
    end = min(a.time_s[-1], b.time_s[-1] - lag_s)
    if not end > start:
        raise NotMeasured("the two sources have no time in common; check for longer")
    edges = np.linspace(start, end, parts + 1)
    return InCommon(edges, _means(a, edges), _means(b, edges + lag_s))


def _aligned(a: Trace, b: Trace) -> tuple[Alignment | None, str]:
    try:
        found = align(a.time_s, a.watts, b.time_s, b.watts)
    except CalibrationError as reason:
        return None, str(reason)
    if found.drift is not None and abs(found.drift) > _LARGEST_DRIFT:
        return (
            None,
            f"the steps found give a drift of {percent(found.drift, 1)}; make a few clear, irregular steps",
        )
    return found, ""


def _means(trace: Trace, edges: Floats) -> Floats:
    """Mean power between edges; NaN where less than half was measured."""
    covered = np.diff(trace.at(edges, "covered_s"))
    joules = np.diff(trace.at(edges))
    enough = covered > 0.5 * np.diff(edges)
    return np.asarray(np.where(enough, joules / np.where(enough, covered, 1.0), np.nan))


def _noise(watts: Floats) -> float:
    """Robust: half of the differences may be steps of the load."""
    jumps = np.abs(np.diff(watts[~np.isnan(watts)]))
    return float(_MAD_TO_SIGMA * np.median(jumps) / math.sqrt(2))


def _allowed(a: Trace, b: Trace, start: float, end: float, lag: float) -> float | None:
    if not all(part.calibration or _has_accuracy(part) for trace in (a, b) for part in trace.parts):
        return None
    usages = a.usage(start, end), b.usage(start + lag, end + lag)
    return math.hypot(*(usage.uncertainty for usage in usages)) / (end - start)


def _has_accuracy(trace: Trace) -> bool:
    facts = trace.facts
    both = facts.volts is not None and facts.amps is not None
    return facts.watts is not None or facts.joules is not None or both
