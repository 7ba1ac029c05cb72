"""Sources that options describe: which number is which quantity, where it is found, and in what unit."""

import json
import re
import zlib
from collections.abc import Callable
from math import isnan, nan
from typing import Any, NamedTuple

from energymeter.errors import SourceError, SpecError
from energymeter.reading import Band, Facts, Place, Reading
from energymeter.units import number, quantity_of, scale

_STEP = re.compile(r"\.(?P<key>[^.\[\]]+)|\[(?P<index>-?\d+)\]|\[(?P<quote>['\"])(?P<quoted>.*?)(?P=quote)\]")

_NOTHING = object()


class Field(NamedTuple):
    """One quantity: where it is (a JSON path or a column; empty: the number itself), and its scale."""

    quantity: str
    selector: str
    scale: float


def find(document: object, path: str) -> object:
    """The value at ``path``: ``$`` and then any of ``.key``, ``[0]``, ``[-1]`` and ``['any key']``.

    >>> find({"a": {"b": [3, 4]}}, "$.a.b[1]")
    4

    Raises:
        LookupError: there is none; the message says up to where the path leads.
    """
    here = document
    for position, step in enumerate(steps(path), 1):
        inner = here.get(step, _NOTHING) if isinstance(here, dict) and isinstance(step, str) else _NOTHING
        if isinstance(here, list) and isinstance(step, int) and -len(here) <= step < len(here):
            inner = here[step]
        if inner is _NOTHING:
            raise LookupError(f"{path} leads nowhere: step {position} is not in {_sketch(here)}")
        here = inner
    return here


def steps(path: str) -> list[str | int]:
    """A path taken apart.

    Raises:
        SpecError: it is none.
    """
    taken: list[str | int] = []
    position = 1
    while path.startswith("$") and position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            break
        taken.append(int(step["index"]) if step["index"] else step["key"] or step["quoted"])
        position = step.end()
    if position != len(path) or not path.startswith("$"):
        raise SpecError(f"{path!r} is no path: write $.a.b[0], with ['…'] around a key that holds dots")
    return taken


def _sketch(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(list(map(str, value))[:8]) + "}"
    return f"a list of {len(value)}" if isinstance(value, list) else f"{value!r:.40}"


_MOST_WATTS = 1e6
"""More than anything that is read here draws; codes for "no value" are above, as 2³² - 1."""


class Fields:
    """The quantities that a text source gives, as its options describe them.

    Args:
        selectors: quantity → path or column; empty ones are left out.
        units: quantity → unit.
        bare_unit: the unit of the only number there is, when no selector is given.

    Raises:
        SpecError: a unit that does not fit, a bare number without its unit, or no quantity at all.
    """

    def __init__(self, selectors: dict[str, str], units: dict[str, str], bare_unit: str = "") -> None:
        self.all = [Field(q, s, scale(q, units[q])) for q, s in selectors.items() if s]
        if not self.all:
            if not bare_unit:
                raise SpecError(
                    "say which number is meant, in what unit: unit=mW if it is the only one, or watts=PATH"
                )
            self.all = [Field(quantity_of(bare_unit), "", scale(quantity_of(bare_unit), bare_unit))]
        if {f.quantity for f in self.all} <= {"volts"}:
            raise SpecError("volts alone are no energy: give watts=, or amps= next to volts=, or joules=")

    def facts(self, *, accuracy: float, place: str, hz: float, max_hz: float) -> Facts:
        """Counter semantics where joules are given, instants otherwise; an accuracy of nan stays unknown.

        Raises:
            SpecError: an accuracy or place that makes no sense.
        """
        if not (isnan(accuracy) or 0 <= accuracy < 1):
            raise SpecError(f"accuracy={accuracy:g} makes no sense: give it relative, as 0.02 for ±2 %")
        places: dict[str, Place] = {"wall": "wall", "rail": "rail", "cell": "cell", "die": "die"}
        if place not in places:
            raise SpecError(f"measures={place!r} is none of wall, rail, cell, die: say where the meter sits")
        band = None if isnan(accuracy) else Band(gain=accuracy)
        quantities = {f.quantity for f in self.all}
        return Facts(
            semantics="counter" if "joules" in quantities else "instant",
            place=places[place],
            max_watts=_MOST_WATTS,
            default_hz=hz,
            max_hz=max_hz,
        )._replace(**dict.fromkeys(quantities, band))

    def reading(self, look_up: Callable[[str], object], name: str) -> Reading:
        """The reading that ``look_up`` (a selector's raw value) leads to; a null value is ``None``.

        Raises:
            SourceError: a selector leads nowhere or to no number, or nothing but nulls is there.
        """
        found: dict[str, Any] = {}
        for field in self.all:
            try:
                raw = look_up(field.selector)
            except LookupError as error:
                raise SourceError(f"{name}: {error.args[0]}; correct {field.quantity}=") from error
            value = number(raw)
            if value is not None:
                found[field.quantity] = value * field.scale
            elif raw is not None and raw != "":
                where = f" at {field.selector}" if field.selector else ""
                raise SourceError(
                    f"{name}: {raw!r:.60}{where} is no number; correct {field.quantity}= or the unit"
                )
        if not found:
            raise SourceError(f"{name}: there is no number in this answer; wait for the next one")
        return Reading(**found)


class TextSource:
    """What all sources of numbers in text share: the options that say what the numbers are.

    Args:
        name: what the source is called.
        watts, volts, amps, joules: JSON paths such as ``$.psu[0].watts``, or columns; none: there is only
            one number.
        unit: of watts, or of the one number; ``volts_unit``, ``amps_unit``, ``joules_unit``: of the others.
        accuracy: ± relative, as its maker promises; not given: unknown.
        measures: ``wall``, ``rail``, ``cell`` or ``die``.

    Raises:
        SpecError: a path, unit, accuracy or place that makes no sense, or no number at all.
    """

    default_hz = 1.0
    max_hz = 100.0

    def __init__(
        self,
        name: str,
        *,
        watts: str = "",
        volts: str = "",
        amps: str = "",
        joules: str = "",
        unit: str = "",
        volts_unit: str = "V",
        amps_unit: str = "A",
        joules_unit: str = "J",
        accuracy: float = nan,
        measures: str = "rail",
    ) -> None:
        self.name = name
        selectors = {"watts": watts, "volts": volts, "amps": amps, "joules": joules}
        units = {"watts": unit or "W", "volts": volts_unit, "amps": amps_unit, "joules": joules_unit}
        self._fields = Fields(selectors, units, unit)
        self.facts = self._fields.facts(
            accuracy=accuracy, place=measures, hz=self.default_hz, max_hz=self.max_hz
        )


class JsonSource(TextSource):
    """A source whose answer is JSON, or nothing but a number.

    Args:
        name: what may be shown of it.
        hidden: what may not, because it may hold a password: arguments of a command, the query of a URL.
            Sources that differ in it alone get names that differ in a mark of four hex digits.
    """

    def __init__(self, name: str, hidden: str, **fields: Any) -> None:
        mark = f"#{zlib.crc32(hidden.encode()) & 0xFFFF:04x}" if hidden else ""
        super().__init__(name + mark, **fields)
        for field in self._fields.all:
            if field.selector:
                steps(field.selector)

    def _reading(self, answer: bytes) -> Reading:
        """The reading in an answer.

        Raises:
            SourceError: it is no JSON, or the number is not in it.
        """
        text = answer.decode(errors="replace").strip()
        if not any(field.selector for field in self._fields.all):
            return self._fields.reading(lambda _: text, self.name)
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise SourceError(
                f"{self.name} gives no JSON but {text!r:.60}; check what it names, or its paths"
            ) from error
        return self._fields.reading(lambda path: find(document, path), self.name)
