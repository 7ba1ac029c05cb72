"""One usage of the channels that add up: what may be added, and what must be said beside it."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from energymeter.draw import Draw, finite
from energymeter.errors import NotMeasured, SpecError
from energymeter.figures import in_figures
from energymeter.reading import Band, Facts, Provenance
from energymeter.uncertainty import Part, contributions
from energymeter.usage import Usage

_GAUGE_STEPS = 3
"""Of a battery's gauge: fewer in a window are ± 40 % and more."""
_TRUST = ("measured", "manual", "modelled", "simulated")


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
    bridged = sum(draw.bridged_joules for draw in draws)
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
        shares=tuple(share for part in counted for share in contributions(part)),
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
            f"{part.name} moves in steps of {in_figures(step)} J and showed {in_figures(joules)} J in this "
            "window: measure for half an hour, or take its instants where it has them (battery?by=power)."
        )


def _coverage(draws: Sequence[Draw]) -> float:
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


def _mean_volts(draw: Draw) -> float | None:
    return finite(draw.volt_seconds / draw.covered_seconds) if draw.covered_seconds > 0 else None
