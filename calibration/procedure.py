"""The guided calibration: one load after the other, until the person has taken enough points."""

import math
import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from energymeter.calibration.alignment import Alignment
from energymeter.calibration.fitting import Fit
from energymeter.calibration.points import UNITS, Point
from energymeter.calibration.steady_load import SteadyLoad, SteadyReading, point_of
from energymeter.errors import CalibrationError

_OHMS = re.compile(r"^([\d.]+)\s*(?:ohms?|Ω)$", re.IGNORECASE)
PATIENCE = 60.0


class Person(Protocol):
    """The person at the bench, or a script in a test."""

    def ask(self, question: str) -> str:
        """An answer, empty for "no"."""

    def say(self, text: str) -> None:
        """Show a line."""

    def live(self, text: str) -> None:
        """Show a line that the next such line replaces."""


class Settings(NamedTuple):
    """How the points are taken."""

    seconds: float = 5.0
    celsius: float | None = None


def guided(
    load: SteadyLoad,
    person: Person,
    settings: Settings,
    points: list[Point],
    keep: Callable[[list[Point]], None],
) -> list[Point]:
    """Take points until the person answers "done".

    Args:
        load: the open meter and reference.
        points: points so far; the new ones are added to this list.
        keep: called after each load, so that Ctrl-C loses nothing.

    Returns:
        ``points``.
    """
    task = "disconnect the load and leave the supply on" if not points else "change to the next load"
    aligned: Alignment | None = None
    while True:
        answer = person.ask(f"{task}; then Enter, or 'done'")
        if answer.strip().lower() in ("done", "d", "q"):
            return points
        try:
            readings = load.means(settings.seconds, PATIENCE, lambda means: person.live(_live(means)))
        except CalibrationError as error:
            person.say(str(error))
            continue
        taken = [
            point_of(each, reference, load.meter.range, settings.seconds, settings.celsius)
            for each, reference in _references(readings, person, zero=not points)
        ]
        points += taken
        keep(points)
        person.say("; ".join(_point_text(point) for point in taken) or "no point was taken")
        if load.warning:
            person.say(f"warning: the reference may come later than the meter: {load.warning}")
        elif load.alignment is not None and load.alignment != aligned:
            aligned = load.alignment
            person.say(_delay_text(aligned))
        task = "change to the next load"


def _references(
    readings: list[SteadyReading], person: Person, *, zero: bool
) -> list[tuple[SteadyReading, float]]:
    """The reference's value of each quantity: measured, or typed in."""
    found: list[tuple[SteadyReading, float]] = []
    volts = next((each.shown.value for each in readings if each.channel == "volts"), None)
    for each in readings:
        if each.reference is not None:
            found.append((each, each.reference.value))
            continue
        unit = UNITS[each.channel]
        hint = f" (Enter: 0 {unit})" if zero and each.channel != "volts" else " (Enter: take none)"
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
            person.say(f"{answer!r} is not a number; type one such as 0.4873")


def _live(readings: list[SteadyReading]) -> str:
    return "   ".join(
        f"{each.shown.value:.5g} {UNITS[each.channel]} ± {2 * each.shown.uncertainty:.1g}"
        f"{'' if each.shown.steady else ', drifting'}"
        for each in readings
    )


def _delay_text(found: Alignment) -> str:
    way = "behind" if found.offset_s >= 0 else "ahead of"
    steps = "a step" if found.steps == 1 else f"{found.steps} steps"
    return (
        f"the reference is {abs(found.offset_s):.2f} s {way} the meter, by {steps} of the load; "
        "both means are taken over the same time"
    )


def _point_text(point: Point) -> str:
    unit = UNITS[point.channel]
    where = f" in {point.range}" if point.range else ""
    return f"shown {point.shown:.5g} {unit}, reference {point.reference:.5g} {unit}{where}"


def table(fits: dict[tuple[str, str], Fit]) -> str:
    """Errors before and after, point by point, with the warnings."""
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
            predicted = "—" if math.isnan(left_out) else f"{-left_out:+.2g}"
            rows.append(
                f"{reference:12.5g}{before:+12.2g}{after:+12.2g}{predicted:>12}  {_bar(after / most)}"
            )
        rows += [f"  warning: {warning}" for warning in found.warnings]
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
