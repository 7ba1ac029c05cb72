"""What a window of time used: joules, mAh, watts, with ±, provenance and what was missed."""

from __future__ import annotations

import math

from energymeter.energy.uncertainty import (
    Component,
    Difference,
    K,
    Part,
    components_of,
    expanded,
    subtracted,
)
from energymeter.energy.window import Window
from energymeter.errors import NotMeasured, SpecError
from energymeter.lazy import TYPE_CHECKING, NamedTuple
from energymeter.reading import Band, Facts, Place, Provenance
from energymeter.text import duration, html_table, partly_measured, percent, significant, with_uncertainty
from energymeter.units import STEP

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from energymeter.battery.battery import Battery
    from energymeter.carbon.emissions import Carbon, GridNow
    from energymeter.energy.per_unit import PerUnit

_GAUGE_STEPS = 3
"""Steps of a battery's gauge; fewer in a window are ± 40 % and more."""
_HARDLY_SEEN = 0.1
"""So small a part of the time between two samples hardly ever holds one."""
_BURST_SECONDS = 0.1
"""In a window of so many seconds a load may come and go; of a shorter one, the ± says enough."""
_TRUST = ("measured", "manual", "modelled", "simulated")


class Overhead(NamedTuple):
    """What the measuring itself took, since the meter was entered."""

    cpu_seconds: float
    reads: int
    moved_bytes: int
    priority: str
    """What the scheduler granted the sampling: ``real-time``, ``nice -10`` or ``normal``, the lowest of
    several loops; empty: nothing was asked for."""


class Idle(NamedTuple):
    """A baseline: what the board draws when it does nothing, W, and its ± (k = 2)."""

    watts: float
    uncertainty: float
    components: tuple[Component, ...] = ()
    """The components of one second of it; without them the baseline is taken as another meter's."""
    watts_by_source: tuple[tuple[str, float], ...] = ()
    """The share of each source, so that one which missed more of a window is subtracted less."""


class Usage(NamedTuple):
    """What a span or a run used.

    ``None`` means "cannot tell". Energy is that of the measured time only: compare ``coverage``.
    """

    seconds: float
    joules: float
    coulombs: float | None
    mean_volts: float | None
    """Averaged over time."""
    peak_watts: float | None
    """The highest sample, or the mean power where that is more, because power rose towards an edge; for
    several sources the sum of their peaks, which is an upper bound."""
    measured_seconds: float
    """The time in which ``joules`` flowed: over it they are the mean power. Sources that measured different
    shares of the window count by their energy."""
    provenance: str
    """The least trustworthy of the sources: measured, manual, modelled or simulated."""
    place: Place
    sources: tuple[str, ...]
    covered_seconds: tuple[float, ...]
    """How long each of the ``sources`` measured, s."""
    missed: int = 0
    """Readings that should have been taken since the meter was entered, and were not."""
    interpolated_joules: float | None = None
    """``joules`` with straight lines drawn across the gaps; None where there is no gap."""
    components: tuple[Component, ...] = ()
    """The causes of the uncertainty, one standard deviation each."""
    bounds: tuple[float, float] | None = None
    """Least and most J of the whole window, if between none and its peak flowed through each source while
    that measured nothing; ``None`` where all was measured."""
    calibration: tuple[str, ...] = ()
    """When and against what the sources were calibrated; empty: as the data sheet promises."""
    nominal_volts: float | None = None
    """Assumed, because no voltage was measured."""
    idle: Idle | None = None
    overhead: Overhead | None = None
    notes: tuple[str, ...] = ()
    """What else the reader should know: gaps, throttling, sampling in a thread."""
    units: tuple[PerUnit, ...] = ()
    """What one unit cost, of each unit that was counted: see `with_units` and ``span.units``."""

    @property
    def coverage(self) -> float:
        """The share of the window that was really measured, 0…1; of several sources the least."""
        return min(1.0, min(self.covered_seconds) / self.seconds) if self.seconds > 0 else 1.0

    @property
    def gap_seconds(self) -> float:
        """Not measured, s, by the source that missed most."""
        return max(0.0, self.seconds - min(self.covered_seconds))

    @property
    def uncertainty(self) -> float:
        """± of ``joules`` in J, coverage factor 2 (about 95 %)."""
        return expanded(self.components)

    @property
    def wh(self) -> float:
        """Watt-hours: exactly joules / 3600."""
        return self.joules / 3600

    @property
    def mah(self) -> float | None:
        """Milliamp-hours at the rail; with a nominal voltage if no current was measured, else ``None``."""
        if self.coulombs is not None:
            return self.coulombs / 3.6
        return None if self.nominal_volts is None else self.joules / self.nominal_volts / 3.6

    @property
    def mean_watts(self) -> float | None:
        """Mean power over the measured time, W."""
        return _finite(self.joules / self.measured_seconds) if self.measured_seconds > 0 else None

    @property
    def net_joules(self) -> float | None:
        """Energy above the idle baseline; ``None`` without one. ``joules`` is always gross."""
        if self.idle is None:
            return None
        covered = self._seconds_of_idle()
        if covered is None:
            return self.joules - self.idle.watts * self.measured_seconds
        return self.joules - math.fsum(watts * covered[name] for name, watts in self.idle.watts_by_source)

    @property
    def net_uncertainty(self) -> float | None:
        """± of ``net_joules`` in J: a common gain scales the difference, a common offset cancels."""
        if self.idle is None:
            return None
        if not self.idle.components:
            return math.hypot(self.uncertainty, self.idle.uncertainty * self.measured_seconds)
        covered = self._seconds_of_idle() or {}
        theirs = [
            share._replace(joules=share.joules * covered.get(share.source, self.measured_seconds))
            for share in self.idle.components
        ]
        return expanded(subtracted(self.components, theirs))

    def _seconds_of_idle(self) -> dict[str, float] | None:
        """How long each source of the baseline measured here; ``None``: it is of other sources."""
        covered = dict(zip(self.sources, self.covered_seconds, strict=True))
        known = self.idle is not None and {name for name, _ in self.idle.watts_by_source} == set(covered)
        return covered if known else None

    @property
    def interpolated_uncertainty(self) -> float | None:
        """± of ``interpolated_joules`` in J: in a gap, anything from nothing to the peak may have flowed."""
        if self.interpolated_joules is None or self.bounds is None:
            return None
        least, most = self.bounds
        return math.hypot(self.uncertainty, K * (most - least) * STEP)

    def with_units(
        self, *, grid: GridNow | str | None = None, battery: Battery | None = None, **counts: float
    ) -> Usage:
        """The same, with what one unit of each kind cost: ``usage.with_units(images=1000)``.

        Args:
            grid: a zone, such as ``"DEU"``, or a `Grid`; without it there are no grams.
            battery: for the number of units per charge; None: that of a phone.
            counts: how many of each unit; a unit of which there are none is left out.

        Raises:
            SpecError: a count is no number of units.
            GridError: there is no such zone.
        """
        from energymeter.energy.per_unit import per_unit

        each = (per_unit(self, unit, count, grid, battery) for unit, count in counts.items())
        return self._replace(units=tuple(one for one in each if one is not None))

    def per(self, unit: str) -> PerUnit:
        """What one unit cost: ``usage.per("images").joules``.

        Raises:
            NotMeasured: none was counted.
        """
        for one in self.units:
            if one.unit == unit:
                return one
        known = ", ".join(one.unit for one in self.units) or "none"
        raise NotMeasured(
            f"no {unit} were counted here, known: {known}; count them with span.units({unit}=...)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types."""
        return {
            "joules": self.joules,
            "uncertainty": self.uncertainty,
            "wh": self.wh,
            "coulombs": self.coulombs,
            "mah": self.mah,
            "nominal_volts": self.nominal_volts,
            "mean_watts": self.mean_watts,
            "peak_watts": self.peak_watts,
            "mean_volts": self.mean_volts,
            "seconds": self.seconds,
            "measured_seconds": self.measured_seconds,
            "covered_seconds": list(self.covered_seconds),
            "coverage": self.coverage,
            "bounds": None if self.bounds is None else list(self.bounds),
            "interpolated_joules": self.interpolated_joules,
            "interpolated_uncertainty": self.interpolated_uncertainty,
            "uncertainty_by_cause": {name: abs(K * share.joules) for name, share in self._named_shares()},
            "calibration": list(self.calibration),
            "missed": self.missed,
            "provenance": self.provenance,
            "place": self.place,
            "sources": list(self.sources),
            "net_joules": self.net_joules,
            "net_uncertainty": self.net_uncertainty,
            "idle_watts": None if self.idle is None else self.idle.watts,
            "overhead": None if self.overhead is None else self.overhead._asdict(),
            "notes": list(self.notes),
            "units": {one.unit: one.to_dict() for one in self.units},
        }

    def __str__(self) -> str:
        return " · ".join(self._texts())

    def _texts(self) -> list[str]:
        mah, watts, net, coverage = self.mah, self.mean_watts, self.net_joules, self.coverage
        net_uncertainty, uncertainty, bounds = self.net_uncertainty, self.uncertainty, self.bounds
        texts = [with_uncertainty(self.joules, uncertainty, "J")]
        if net is not None and net_uncertainty is not None:
            texts.append(f"{with_uncertainty(net, net_uncertainty, 'J')} net of idle")
        if mah is not None:
            if self.coulombs is None:
                at = "" if self.nominal_volts is None else f" at {self.nominal_volts:.1f} V nominal"
            else:
                at = "" if self.mean_volts is None else f" at {self.mean_volts:.2f} V"
            texts.append(f"{significant(mah)} mAh{at}")
        if watts is not None:
            texts.append(f"{significant(watts)} W mean")
        texts += [duration(self.seconds), f"{' + '.join(self.sources)} {self.provenance}", *self.calibration]
        if partly_measured(coverage):
            texts.append(f"{percent(coverage, 1)} of the time measured")
        if self.missed:
            texts.append("1 reading missed" if self.missed == 1 else f"{self.missed} readings missed")
        if partly_measured(coverage) and bounds is not None:
            texts.append(f"{significant(bounds[0])} to {significant(bounds[1])} J in the whole window")
        return [*texts, *map(str, self.units), *self.notes]

    def __repr__(self) -> str:
        return f"Usage({self})"

    def _repr_html_(self) -> str:
        return html_table([self._texts()])

    def carbon(self, grid: GridNow | str | None = None, **options: Any) -> Carbon:
        """Grams of CO₂e of this energy, with ±, zone, year and source.

        Args:
            grid: a zone, such as ``"DEU"``, or a `Grid`.
            options: of `energymeter.carbon.footprint`.

        Raises:
            GridError: no such zone, or none was given.
        """
        from energymeter.carbon.emissions import footprint

        return footprint(self, grid, **options)

    def explain(self) -> str:
        """The uncertainty by cause, the largest first, as a table, with what would reduce it.

        Causes add in squares, so the share of each is that of its square.
        """
        whole = sum(share.joules**2 for share in self.components)
        rows = [f"{'± J':>12}  {'share':>6}  {'cause':28}  what would reduce it"]
        for name, share in sorted(self._named_shares(), key=lambda named: -abs(named[1].joules)):
            size, part = significant(abs(K * share.joules)), share.joules**2 / whole
            rows.append(f"{size:>12}  {part:6.1%}  {name:28}  {_remedy(share.cause)}")
        rows.append(
            f"{significant(self.uncertainty):>12}  {'100 %':>6}  together, coverage factor 2 (about 95 %)"
        )
        if self.interpolated_joules is not None and self.interpolated_uncertainty is not None:
            bridged = with_uncertainty(self.interpolated_joules, self.interpolated_uncertainty, "J")
            rows.append(f"with {self.gap_seconds:.3g} s of gaps drawn in: {bridged}")
        return "\n".join([*rows, *self.calibration])

    def _named_shares(self) -> list[tuple[str, Component]]:
        several = len(self.sources) > 1
        return [(f"{c.source} {c.cause}" if several else c.cause, c) for c in self.components]


_REMEDIES = {
    "disagreement": "compare it with another meter",
    "own counter": "a longer window",
    "noise and sampling": "a longer window, or more readings a second",
    "shorter than a sample": "more readings a second, or many such windows in one",
    "window edges": "a longer window, or more readings a second",
    "temperature": "calibrate in the air you measure in, and state its temperature",
    "time base": "calibrate the meter's clock",
    "counter resolution": "a longer window",
    "voltage resolution": "fewer readings a second, where the meter then resolves it better",
    "resolution": "a finer range, or a larger shunt",
    "calibrated counter gain": "a better reference",
    "calibrated": "a better reference, or more points near this load",
    "offset": "take the zero: energymeter calibrate with no load",
    "gain": "energymeter calibrate, against a better meter",
}


def _remedy(cause: str) -> str:
    return next((text for key, text in _REMEDIES.items() if key in cause), "")


def difference(a: Usage, b: Usage) -> Difference:
    """Energy of ``a`` minus ``b``, with the ± that remains where one meter measured both.

    A gain error is the same in both and scales the difference; an offset weighs by time, and cancels
    between windows of equal length; noise and edges are new in each.

    >>> from energymeter import EnergyMeter
    >>> with EnergyMeter("manual:5V,0.6A") as meter:
    ...     pass
    >>> difference(meter.usage, meter.usage).joules
    0.0
    """
    return Difference(a.joules - b.joules, subtracted(a.components, b.components))


def is_silent(joules: Any, covered_seconds: Any, seconds: Any) -> Any:
    """Whether a channel has no energy in a window; floats, or arrays of one shape for many windows."""
    return (joules != joules) | ((covered_seconds <= 0) & (seconds > 0))  # NaN differs from itself


def gauge_step(gauges: Iterable[Facts]) -> float:
    """The step of the coarsest of some gauges, J; 0 where there is none."""
    return max((facts.joules.resolution for facts in gauges if facts.joules is not None), default=0.0)


def is_within_steps(joules: Any, step_joules: float) -> Any:
    """Whether so few joules are too few steps of a battery's gauge to mean anything; floats or arrays."""
    return abs(joules) < _GAUGE_STEPS * step_joules


def combine(parts: Sequence[Part], **known: Any) -> Usage:
    """One usage of the channels that add up.

    Args:
        parts: the channels' windows of the same window.
        known: further fields of the usage.

    Raises:
        NotMeasured: a channel has no energy in the window.
        SpecError: there is nothing to add.
    """
    counted = [part for part in parts if part.facts.counted]
    if not counted:
        raise SpecError("none of these channels counts towards a total; name one of them as the source")
    silent = [
        part
        for part in counted
        if is_silent(part.window.joules, part.window.covered_seconds, part.window.seconds)
    ]
    if silent:
        still = silent[0].facts.still_seconds is not None
        why = ": its counter stood still, as it does in virtual machines" if still else ""
        others = ", ".join(part.name for part in counted if part not in silent)
        cure = "name a source without it" if still else "measure longer, or see `energymeter devices`"
        cure = f"name a source without it: {others} can be measured" if others else cure
        raise NotMeasured(f"{silent[0].name} measured nothing in this window{why}; {cure}")
    if any(part.facts.place == "cell" for part in counted):
        _check_steps(counted)
    windows = [part.window for part in counted]
    bridged = sum(window.gap_fill_joules for window in windows)
    joules = sum(window.joules for window in windows)
    charge = _common_charge(counted)
    notes = (*known.pop("notes", ()), *_warnings(counted))
    return Usage(
        seconds=windows[0].seconds,
        joules=joules,
        coulombs=charge,
        mean_volts=_mean_volts(windows[0]) if len(windows) == 1 or charge is not None else None,
        peak_watts=_finite(sum(map(_peak_watts, windows))),
        measured_seconds=_measured_seconds(windows),
        provenance=least_trusted(part.facts.provenance for part in counted),
        place=counted[0].facts.place,
        sources=tuple(part.name for part in counted),
        covered_seconds=tuple(window.covered_seconds for window in windows),
        interpolated_joules=joules + bridged if bridged and not math.isnan(bridged) else None,
        components=tuple(share for part in counted for share in components_of(part)),
        bounds=_bounds(windows, joules),
        notes=notes,
        **known,
    )


def _check_steps(parts: Sequence[Part]) -> None:
    """Refuse a window in which the gauges of a machine's batteries have hardly moved.

    One of several may rest while another one gives, so it is their sum that has to move.

    Raises:
        NotMeasured: fewer steps than would mean anything.
    """
    gauges = [part for part in parts if part.facts.is_gauge]
    joules = abs(sum(part.window.joules for part in gauges))
    step = gauge_step(part.facts for part in gauges)
    if is_within_steps(joules, step):
        raise NotMeasured(
            f"{' + '.join(part.name for part in gauges)} moves in steps of {significant(step)} J and showed "
            f"{significant(joules)} J in this window: measure for half an hour, or take its instants where "
            "it has them (battery?by=power)"
        )


def _measured_seconds(windows: Sequence[Window]) -> float:
    """Joules over this time are the sum of the mean powers."""
    seen = [window.covered_seconds for window in windows]
    if min(seen) <= 0:
        return 0.0
    joules = sum(window.joules for window in windows)
    watts = sum(window.joules / window.covered_seconds for window in windows)
    return max(min(seen), min(max(seen), joules / watts)) if watts else min(seen)


def _bounds(windows: Sequence[Window], joules: float) -> tuple[float, float] | None:
    gaps = [max(0.0, window.seconds - window.covered_seconds) for window in windows]
    missed = [_peak_watts(window) * gap for window, gap in zip(windows, gaps, strict=True) if gap > 0]
    if not missed or not math.isfinite(sum(missed)):
        return None
    return joules + sum(min(0.0, one) for one in missed), joules + sum(max(0.0, one) for one in missed)


def _peak_watts(window: Window) -> float:
    """The highest sample, but not less than the mean, beyond rounding: power also flowed between samples."""
    if window.covered_seconds > 0:
        mean = window.joules / window.covered_seconds
        if mean > window.peak_watts + 1e-9 * abs(mean):
            return mean
    return window.peak_watts


def _warnings(parts: Sequence[Part]) -> list[str]:
    """Notes on channels whose accuracy is unknown, so that their ± holds only what the sampling adds; on what
    is hardly read within the window; on devices that contradict themselves."""
    counters = [(part.name, part.own_counter) for part in parts if part.own_counter is not None]
    disagreements = [
        f"the counter of {name} itself shows {significant(own.counter_joules)} J in {duration(own.seconds)}, "
        f"where its power adds up to {significant(own.integral_joules)} J"
        for name, own in counters
        if not own.agrees
    ]
    vague = [part.name for part in parts if not any(_bands(part.facts))]
    warnings = [f"± without the unknown accuracy of {' + '.join(vague)}"] if vague else []
    unseen = [
        f"{part.name} is read too seldom to know what it drew in this window; measure longer, or more often"
        for part in parts
        if part.facts.semantics == "instant"
        and _BURST_SECONDS <= part.window.seconds < _HARDLY_SEEN * part.interval_seconds
    ]
    return warnings + unseen + disagreements


def _bands(facts: Facts) -> tuple[Band | None, ...]:
    return facts.volts, facts.amps, facts.watts, facts.joules, facts.coulombs


def least_trusted(provenances: Iterable[Provenance]) -> Provenance:
    """What may be said of numbers that were made of several.

    >>> least_trusted(["measured", "simulated"])
    'simulated'
    """
    return max(provenances, key=_TRUST.index)


def _common_charge(parts: Sequence[Part]) -> float | None:
    """Charge adds only on rails of one voltage: mAh at 12 V and at 5 V are different things."""
    windows = [part.window for part in parts]
    if any(part.facts.place == "wall" for part in parts):
        return None  # alternating current carries none
    if len(windows) > 1:
        volts = [_mean_volts(window) for window in windows]
        known = [value for value in volts if value is not None]
        if len(known) < len(windows) or max(known) > 1.1 * min(known):
            return None
    return _finite(sum(window.coulombs for window in windows))


def _mean_volts(window: Window) -> float | None:
    return _finite(window.volt_seconds / window.covered_seconds) if window.covered_seconds > 0 else None


def _finite(number: float) -> float | None:
    """A figure of a window, or ``None`` where the source cannot tell."""
    return number if math.isfinite(number) else None
