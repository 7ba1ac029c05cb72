"""How wrong a number may be: causes and sizes, after the GUM (JCGM 100:2008).

Limits promised as "±a at most" count as rectangular distributions, a/√3 (GUM 4.3.7); a converter's
step as step/√12. Gain, offset, clock and resolution do not average down along a run: they are the same
error in every sample. Where a calibration card belongs to the meter, its covariance takes the place of
the data sheet's gain and offset. Everything printed uses the coverage factor `K`, about 95 %.
"""

from __future__ import annotations

import math

from energymeter.energy.correction import Line, Model
from energymeter.energy.window import Window
from energymeter.lazy import TYPE_CHECKING, NamedTuple
from energymeter.reading import Band, Facts
from energymeter.units import RECTANGLE, STEP

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


K = 2.0
_COUNTER_GAIN = 0.02


class Component(NamedTuple):
    """One cause's share of the uncertainty."""

    cause: str
    joules: float
    """What one standard deviation of the cause does to the energy, with its sign."""
    source: str = ""
    """The source with this error."""
    systematic: bool = False
    """The same error in every window of this source, so that in differences it (partly) cancels."""


class OwnCounter(NamedTuple):
    """What a device counted itself while its power was integrated."""

    seconds: float
    """From its first step to its last one."""
    integral_joules: float
    counter_joules: float
    step_joules: float

    def describes(self, seconds: float) -> bool:
        """Whether it ran for about the time of a window of so many seconds; it says nothing of a part."""
        return seconds / 2 <= self.seconds <= seconds + 1.0

    @property
    def agrees(self) -> bool:
        """Whether both say the same, but for a step and 2 %: one sensor feeds them, by two ways of adding."""
        most = self.step_joules + _COUNTER_GAIN * abs(self.counter_joules)
        return abs(self.integral_joules - self.counter_joules) <= most

    def misplaced_joules(self, seconds: float) -> float:
        """What the sampling has misplaced in so much time as the counter sees it, one standard deviation."""
        difference = self.integral_joules - self.counter_joules
        return math.hypot(difference, self.step_joules * STEP * math.sqrt(2)) * seconds / self.seconds


class Part(NamedTuple):
    """What one channel says of the window."""

    name: str
    facts: Facts
    window: Window
    interval_seconds: float = 0.0
    """From one sample to the next."""
    model: Model | None = None
    """The calibration, already applied to the window."""
    kelvin: float | None = None
    """How much warmer the air is than at the calibration; None: unknown."""
    own_counter: OwnCounter | None = None
    """The device's own counter over (nearly) the same time."""


class Difference(NamedTuple):
    """Energy of one window minus that of another, in J."""

    joules: float
    components: tuple[Component, ...]

    @property
    def uncertainty(self) -> float:
        """± of ``joules`` in J, coverage factor 2 (about 95 %)."""
        return expanded(self.components)


def components_of(part: Part) -> list[Component]:
    """Why the energy of one channel in one window may be wrong, cause by cause; it must be known."""
    found = [
        *_clock(part),
        *(_of_counter(part) if _counts(part.facts) else _of_rates(part)),
        *_of_sampling(part),
    ]
    return [share._replace(source=part.name) for share in found if share.joules]


def expanded(components: Iterable[Component]) -> float:
    """± of the whole, in J: independent causes add in squares, times `K`."""
    return K * math.sqrt(sum(share.joules**2 for share in components))


def subtracted(
    components: Sequence[Component], others: Sequence[Component], scale: float = 1.0
) -> tuple[Component, ...]:
    """The causes of ``a - scale * b``: an error that lasts works on both alike, all others add.

    >>> systematic = Component("current offset", 2.0, "ina219", systematic=True)
    >>> expanded(subtracted([systematic], [systematic]))
    0.0
    """
    systematic: dict[tuple[str, str], float] = {}
    passing = []
    for factor, its in ((1.0, components), (-scale, others)):
        for share in its:
            if share.systematic:
                key = (share.source, share.cause)
                systematic[key] = systematic.get(key, 0.0) + factor * share.joules
            else:
                passing.append(share._replace(joules=factor * share.joules))
    together = [Component(cause, joules, source, True) for (source, cause), joules in systematic.items()]
    return (*together, *passing)


def _of_sampling(part: Part) -> list[Component]:
    """What happened between samples; no more than the device's own counter allows, where it has one."""
    window, counter = part.window, part.own_counter
    found = [
        Component("noise and sampling", math.sqrt(max(window.variance_joules2, 0.0))),
        Component("window edges", window.edge_joules),
        Component("shorter than a sample", _unseen(part)),
    ]
    if counter is None:
        return found
    misplaced = counter.misplaced_joules(window.seconds)
    if not counter.agrees:
        return [*found, Component("disagreement with its own counter", misplaced * RECTANGLE)]
    sampled = math.hypot(*(share.joules for share in found))
    return found if sampled <= misplaced else [Component("sampling, bounded by its own counter", misplaced)]


def _unseen(part: Part) -> float:
    """A window that ends before the next instant knows only its surroundings. The whole of a counter's tick
    may have flowed within a window that is shorter. Of means, the edges say that."""
    window, interval, semantics = part.window, part.interval_seconds, part.facts.semantics
    share = 1 - window.seconds / interval if interval > 0 else 0.0
    if share <= 0 or semantics == "mean":
        return 0.0
    whole = semantics == "counter" and window.covered_seconds > 0
    return abs(window.joules) * (interval / window.covered_seconds if whole else 1.0) * share * RECTANGLE


def _counts(facts: Facts) -> bool:
    """Whether a counter was integrated; a device may have one and be integrated by its power all the same."""
    only_joules = facts.joules is not None and facts.watts is None and facts.amps is None
    return facts.semantics == "counter" or only_joules


def _clock(part: Part) -> list[Component]:
    known = part.model.clock_uncertainty if part.model is not None else 0.0
    return [_systematic("time base", part.window.joules * (known or part.facts.clock * RECTANGLE))]


def _of_counter(part: Part) -> list[Component]:
    band, joules = part.facts.joules or Band(), part.window.joules
    # a difference of two readings, each good to one step
    steps = Component("counter resolution", band.resolution * STEP * math.sqrt(2))
    lines = _power_lines(part)
    if not lines:
        return [_systematic("counter gain", joules * band.gain * RECTANGLE), steps]
    gain = math.hypot(*(line.slope_uncertainty() / line.gain for line in lines))
    return [_systematic("calibrated counter gain", joules * gain), steps, *_drift(lines, part)]


def _of_rates(part: Part) -> list[Component]:
    """The offset of what is integrated; its weight is ∂E/∂offset, such as V·s for a current."""
    facts, window = part.facts, part.window
    lines = _power_lines(part)
    if facts.watts is not None or (part.model is not None and part.model.watts is not None):
        line = part.model.watts if part.model is not None else None
        return [
            *_of_rate("power", facts.watts, line, window.joules, window.covered_seconds),
            *_drift(lines, part),
        ]
    volts = part.model.volts if part.model is not None else None
    charge, volt_seconds = (0.0 if math.isnan(x) else x for x in (window.coulombs, window.volt_seconds))
    return [
        *_of_rate("voltage", facts.volts, volts, window.joules, charge),
        *_of_rate("current", facts.amps, _amps_line(part), window.joules, volt_seconds),
        *_drift(lines, part),
    ]


def _of_rate(
    quantity: str, band: Band | None, line: Line | None, joules: float, weight: float
) -> list[Component]:
    steps = Component(f"{quantity} resolution", weight * (band.resolution if band else 0.0) * STEP)
    if line is None:
        if band is None:
            return []
        return [
            _systematic(f"{quantity} gain", joules * band.gain * RECTANGLE),
            _systematic(f"{quantity} offset", weight * band.offset * RECTANGLE),
            steps,
        ]
    # about its pivot a line's level and slope are independent of each other
    pivot = line.pivot()
    shown = (joules - line.offset * weight) / line.gain
    return [
        _systematic(f"calibrated {quantity} gain", (shown - pivot * weight) * line.slope_uncertainty()),
        _systematic(f"calibrated {quantity} level", weight * line.uncertainty(pivot)),
        steps,
    ]


def _drift(lines: Sequence[Line], part: Part) -> list[Component]:
    """The gain's drift with the air's temperature since the calibration; the data sheet's limits hold it."""
    return [
        _systematic(
            "temperature", part.window.joules * max((line.drift(part.kelvin) for line in lines), default=0.0)
        )
    ]


def _power_lines(part: Part) -> list[Line]:
    if part.model is None:
        return []
    if part.model.watts is not None:
        return [part.model.watts]
    return [line for line in (part.model.volts, _amps_line(part)) if line is not None]


def _amps_line(part: Part) -> Line | None:
    window = part.window
    if part.model is None:
        return None
    known = window.covered_seconds > 0 and not math.isnan(window.coulombs)
    return part.model.amps_line(window.coulombs / window.covered_seconds if known else 0.0)


def _systematic(cause: str, joules: float) -> Component:
    return Component(cause, joules, systematic=True)
