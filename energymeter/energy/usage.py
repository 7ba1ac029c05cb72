"""What a window of time used: joules, mAh, watts, with ±, provenance and what was missed."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from energymeter.energy.uncertainty import (
    Component,
    Difference,
    K,
    Part,
    components_of,
    expanded,
    subtracted,
)
from energymeter.energy.window import Window, finite
from energymeter.errors import NotMeasured, SpecError
from energymeter.reading import Band, Facts, Place, Provenance
from energymeter.text import duration, significant, with_uncertainty

if TYPE_CHECKING:
    from energymeter.carbon.emissions import Carbon, GridNow

_GAUGE_STEPS = 3
"""Of a battery's gauge: fewer in a window are ± 40 % and more."""
_TRUST = ("measured", "manual", "modelled", "simulated")


class Overhead(NamedTuple):
    """What the measuring itself took, since the meter was entered."""

    cpu_seconds: float
    reads: int
    moved_bytes: int


class Idle(NamedTuple):
    """A baseline: what the board draws when it does nothing, W, and its ± (k = 2)."""

    watts: float
    uncertainty: float
    components: tuple[Component, ...] = ()
    """Its causes for one second of it; without them the baseline is taken as another meter's."""


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
    """The highest sample; for several sources the sum of their peaks, which is an upper bound."""
    coverage: float
    """The share of the window that was really measured, 0…1."""
    provenance: str
    """The least trustworthy of the sources: measured, manual, modelled or simulated."""
    place: Place
    sources: tuple[str, ...]
    missed: int = 0
    """Readings that should have been taken since the meter was entered, and were not."""
    interpolated_joules: float | None = None
    """``joules`` with straight lines drawn across the gaps; None where there is no gap."""
    components: tuple[Component, ...] = ()
    """The causes of the uncertainty, one standard deviation each."""
    gap_seconds: float = 0.0
    """Not measured, by the source that missed most."""
    calibration: tuple[str, ...] = ()
    """When and against what the sources were calibrated; empty: as the data sheet promises."""
    nominal_volts: float | None = None
    """Assumed, because no voltage was measured."""
    idle: Idle | None = None
    overhead: Overhead | None = None
    notes: tuple[str, ...] = ()
    """What else the reader should know: gaps, throttling, sampling in a thread."""

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
        measured_seconds = self.seconds * self.coverage
        return finite(self.joules / measured_seconds) if measured_seconds > 0 else None

    @property
    def net_joules(self) -> float | None:
        """Energy above the idle baseline; ``None`` without one. ``joules`` is always gross."""
        if self.idle is None:
            return None
        return self.joules - self.idle.watts * self.seconds * self.coverage

    @property
    def net_uncertainty(self) -> float | None:
        """± of ``net_joules`` in J: a common gain scales the difference, a common offset cancels."""
        if self.idle is None:
            return None
        measured_seconds = self.seconds * self.coverage
        if not self.idle.components:
            return math.hypot(self.uncertainty, self.idle.uncertainty * measured_seconds)
        return expanded(subtracted(self.components, self.idle.components, measured_seconds))

    @property
    def interpolated_uncertainty(self) -> float | None:
        """± of ``interpolated_joules`` in J: in a gap, anything from nothing to the peak may have flowed."""
        if self.interpolated_joules is None:
            return None
        most = (self.peak_watts or 0.0) * self.gap_seconds
        return math.hypot(self.uncertainty, K * most / math.sqrt(12))

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
            "coverage": self.coverage,
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
        }

    def __str__(self) -> str:
        return " · ".join(self._said())

    def _said(self) -> list[str]:
        said = [with_uncertainty(self.joules, self.uncertainty, "J")]
        if self.net_joules is not None and self.net_uncertainty is not None:
            said.append(f"{with_uncertainty(self.net_joules, self.net_uncertainty, 'J')} net of idle")
        if self.mah is not None:
            volts, nominal = (
                (self.nominal_volts, " nominal") if self.coulombs is None else (self.mean_volts, "")
            )
            at = (
                "" if volts is None else f" at {volts:.2f} V" if not nominal else f" at {volts:.1f} V nominal"
            )
            said.append(f"{significant(self.mah)} mAh{at}")
        if self.mean_watts is not None:
            said.append(f"{significant(self.mean_watts)} W mean")
        said.append(duration(self.seconds))
        said.append(f"{' + '.join(self.sources)} {self.provenance}")
        said += self.calibration
        if self.coverage < 0.9995:
            said.append(f"{100 * self.coverage:.1f} % of the time measured")
        if self.missed:
            said.append(f"{self.missed} readings missed")
        return [*said, *self.notes]

    def _repr_html_(self) -> str:
        import html

        cells = "".join(f"<td>{html.escape(text)}</td>" for text in self._said())
        return f"<table><tr>{cells}</tr></table>"

    def carbon(self, grid: "GridNow | str | None" = None, **options: Any) -> "Carbon":
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
    "noise and sampling": "a longer window, or more readings a second",
    "shorter than a sample": "more readings a second, or many such windows in one",
    "window edges": "a longer window, or more readings a second",
    "temperature": "calibrate in the air you measure in, and tell its temperature",
    "time base": "calibrate the meter's clock",
    "counter resolution": "a longer window",
    "voltage resolution": "fewer readings a second, where the meter then tells it finer",
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


def combine(parts: Sequence[Part], **known: Any) -> Usage:
    """One usage of the channels that add up.

    Args:
        parts: the channels' draws of the same window.
        known: further fields of the usage.

    Raises:
        NotMeasured: a channel has no energy in the window.
        SpecError: there is nothing to add.
    """
    counted = [part for part in parts if part.facts.counted]
    if not counted:
        raise SpecError("none of these channels counts towards a total; name one of them as the source.")
    for part in counted:
        if math.isnan(part.draw.joules) or (part.draw.covered_seconds <= 0 and part.draw.seconds > 0):
            raise NotMeasured(f"{part.name} measured nothing in this window.")
        _check_steps(part)
    draws = [part.draw for part in counted]
    seconds = draws[0].seconds
    measured = min(draw.covered_seconds for draw in draws)
    bridged = sum(draw.gap_fill_joules for draw in draws)
    joules = sum(draw.joules for draw in draws)
    charge = _common_charge(counted)
    notes = (*known.pop("notes", ()), *_doubts(counted))
    return Usage(
        seconds=seconds,
        joules=joules,
        coulombs=charge,
        mean_volts=_mean_volts(draws[0]) if len(draws) == 1 or charge is not None else None,
        peak_watts=finite(sum(draw.peak_watts for draw in draws)),
        coverage=_coverage(draws),
        provenance=least_trusted(part.facts.provenance for part in counted),
        place=counted[0].facts.place,
        sources=tuple(part.name for part in counted),
        interpolated_joules=joules + bridged if bridged and not math.isnan(bridged) else None,
        components=tuple(share for part in counted for share in components_of(part)),
        gap_seconds=max(0.0, seconds - measured),
        notes=notes,
        **known,
    )


def _check_steps(part: Part) -> None:
    """Refuse a window in which a battery's gauge has hardly moved.

    Raises:
        NotMeasured: fewer steps than would mean anything.
    """
    facts, joules = part.facts, part.draw.joules
    step = facts.joules.resolution if facts.joules is not None else 0.0
    if facts.semantics == "counter" and facts.place == "cell" and abs(joules) < _GAUGE_STEPS * step:
        raise NotMeasured(
            f"{part.name} moves in steps of {significant(step)} J and showed {significant(joules)} J in this "
            "window: measure for half an hour, or take its instants where it has them (battery?by=power)."
        )


def _coverage(draws: Sequence[Window]) -> float:
    """The share of the window that was measured. Channels that saw different shares count by the energy
    they saw, so that joules over this time is the sum of their mean powers."""
    seconds = draws[0].seconds
    if seconds <= 0:
        return 1.0
    seen = [draw.covered_seconds for draw in draws]
    joules = sum(draw.joules for draw in draws)
    watts = sum(draw.joules / draw.covered_seconds for draw in draws)
    measured = joules / watts if watts else min(seen)
    return min(1.0, max(min(seen), min(max(seen), measured)) / seconds)


def _doubts(parts: Sequence[Part]) -> list[str]:
    """Whose error nobody has stated: their ± holds what the sampling adds, and nothing else."""
    vague = [part.name for part in parts if not any(_bands(part.facts))]
    return [f"± without the unknown accuracy of {' + '.join(vague)}"] if vague else []


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
    draws = [part.draw for part in parts]
    if any(part.facts.place == "wall" for part in parts):
        return None  # alternating current carries none
    if len(draws) > 1:
        volts = [_mean_volts(draw) for draw in draws]
        known = [value for value in volts if value is not None]
        if len(known) < len(draws) or max(known) > 1.1 * min(known):
            return None
    return finite(sum(draw.coulombs for draw in draws))


def _mean_volts(draw: Window) -> float | None:
    return finite(draw.volt_seconds / draw.covered_seconds) if draw.covered_seconds > 0 else None
