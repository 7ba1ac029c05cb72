"""The guided calibration: load by load, until the person at the bench says that it is enough."""

import math
import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from energymeter.calibration.alignment import Alignment
from energymeter.calibration.fitting import Fit
from energymeter.calibration.points import UNITS, Point
from energymeter.calibration.steady_load import Held, Holder, point_of
from energymeter.errors import CalibrationError

_OHMS = re.compile(r"^([\d.]+)\s*(?:ohms?|Ω)$", re.IGNORECASE)
PATIENCE = 60.0


class Person(Protocol):
    """Who stands at the bench, or a script that plays the part."""

    def ask(self, question: str) -> str:
        """An answer, empty for "no"."""

    def say(self, text: str) -> None:
        """Something to read."""

    def live(self, text: str) -> None:
        """Something that the next such line replaces."""


class Settings(NamedTuple):
    """How the points are taken."""

    seconds: float = 5.0
    celsius: float | None = None


def guided(
    holder: Holder, person: Person, wishes: Settings, points: list[Point], keep: Callable[[list[Point]], None]
) -> list[Point]:
    """Take points until the person has had enough.

    Args:
        holder: the open meter, and the reference beside it.
        points: taken before; the new ones are added to it.
        keep: called after each load, so that Ctrl-C loses nothing.

    Returns:
        ``points``.
    """
    load = "no load: take it off, and leave the supply on" if not points else "the next load: change it"
    aligned: Alignment | None = None
    while True:
        answer = person.ask(f"{load}; then Enter, or 'done'")
        if answer.strip().lower() in ("done", "d", "q"):
            return points
        try:
            held = holder.settle(wishes.seconds, PATIENCE, lambda held: person.live(_live(held)))
        except CalibrationError as error:
            person.say(str(error))
            continue
        taken = [
            point_of(each, reference, holder.meter.range, wishes.seconds, wishes.celsius)
            for each, reference in _references(held, person, zero=not points)
        ]
        points += taken
        keep(points)
        person.say("; ".join(_told(point) for point in taken) or "nothing was taken")
        if holder.doubt:
            person.say(f"the reference is taken to be in step with the meter: {holder.doubt}")
        elif holder.alignment is not None and holder.alignment != aligned:
            aligned = holder.alignment
            person.say(_behind(aligned))
        load = "the next load: change it"


def _references(held: list[Held], person: Person, *, zero: bool) -> list[tuple[Held, float]]:
    """What the reference says of each channel: measured beside, or typed in."""
    found: list[tuple[Held, float]] = []
    volts = next((each.shown.value for each in held if each.channel == "volts"), None)
    for each in held:
        if each.reference is not None:
            found.append((each, each.reference.value))
            continue
        unit = UNITS[each.channel]
        hint = f" (Enter: 0 {unit})" if zero and each.channel != "volts" else " (Enter: none taken)"
        ohms = ", or the resistor as 10ohm" if each.channel == "amps" and volts is not None else ""
        value = _number(person, f"the reference's reading in {unit}{ohms}{hint}", volts)
        if value is None and zero and each.channel != "volts":
            value = 0.0
        if value is not None:
            found.append((each, value))
            volts = value if each.channel == "volts" else volts
    return found


def _number(person: Person, question: str, volts: float | None) -> float | None:
    while True:
        answer = person.ask(question).strip()
        if not answer:
            return None
        resistor = _OHMS.match(answer)
        try:
            if resistor is not None and volts is not None and float(resistor[1]) > 0:
                return volts / float(resistor[1])
            return float(answer.replace(",", "."))
        except ValueError:
            person.say(f"{answer!r} is no number; type one such as 0.4873.")


def _live(held: list[Held]) -> str:
    return "   ".join(
        f"{each.shown.value:.5g} {UNITS[each.channel]} ± {2 * each.shown.uncertainty:.1g}"
        f"{'' if each.shown.settled else ', drifting'}"
        for each in held
    )


def _behind(found: Alignment) -> str:
    way = "behind" if found.offset_s >= 0 else "ahead of"
    steps = "a step" if found.steps == 1 else f"{found.steps} steps"
    return (
        f"the reference is {abs(found.offset_s):.2f} s {way} the meter, by {steps} of the load; "
        "the means are of the same time"
    )


def _told(point: Point) -> str:
    unit = UNITS[point.channel]
    where = f" in {point.range}" if point.range else ""
    return f"shown {point.shown:.5g} {unit}, reference {point.reference:.5g} {unit}{where}"


def table(fits: dict[tuple[str, str], Fit]) -> str:
    """Errors before and after, point by point, and what is doubtful."""
    rows = []
    for (channel, name), found in fits.items():
        unit, line = UNITS[channel], found.line
        rows.append(
            f"{channel}{f' {name}' if name else ''}: true = {line.gain:.6g} × shown {line.offset:+.3g} {unit}"
            f" (gain ± {200 * line.slope_uncertainty():.2g} %, k = 2)"
        )
        rows.append(f"{'reference':>12}{'before':>12}{'after':>12}{'left out':>12}  residual")
        most = max(1e-6, *(abs(after) for _, _, after in found.errors()))
        for (reference, before, after), left_out in zip(found.errors(), found.left_out, strict=True):
            told = "—" if math.isnan(left_out) else f"{-left_out:+.2g}"
            rows.append(f"{reference:12.5g}{before:+12.2g}{after:+12.2g}{told:>12}  {_bar(after / most)}")
        rows += [f"  mind: {warning}" for warning in found.warnings]
    return "\n".join(rows)


def _bar(share: float) -> str:
    """A residual between -1 and 1, as a mark on a line.

    >>> _bar(0.0), _bar(-1.0)
    ('·······|·······', '*······|·······')
    """
    cells = [*"·······|·······"]
    at = round(7 + 7 * share)
    cells[at] = "*" if at != 7 else cells[at]
    return "".join(cells)
