"""Units to SI, and what counts as a number or an amount at all."""

import math
import re
from functools import lru_cache

from energymeter.errors import SpecError

UNITS = {
    "watts": {"W": 1.0, "mW": 1e-3, "uW": 1e-6, "nW": 1e-9, "kW": 1e3},
    "volts": {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "kV": 1e3},
    "amps": {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "nA": 1e-9},
    "joules": {
        "J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "nJ": 1e-9, "kJ": 1e3,
        "Wh": 3600.0, "mWh": 3.6, "uWh": 3.6e-3, "kWh": 3.6e6,
    },
    "coulombs": {"C": 1.0, "mC": 1e-3, "uC": 1e-6, "nC": 1e-9, "Ah": 3600.0, "mAh": 3.6, "uAh": 3.6e-3},
    "seconds": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0},
}  # fmt: skip
"""Quantity → unit → how many SI units one of it is. ``µ`` may stand for ``u``."""

_WORDS = {
    "watt": "W", "volt": "V", "ampere": "A", "amp": "A", "joule": "J", "coulomb": "C", "second": "s",
    "sec": "s",
    "watthour": "Wh", "amperehour": "Ah", "amphour": "Ah", "ws": "J", "wattsecond": "J", "as": "C",
    "minute": "min", "hour": "h", "hr": "h", "msec": "ms", "usec": "us", "nsec": "ns",
}  # fmt: skip
_PREFIXES = {"": "", "milli": "m", "micro": "u", "nano": "n", "kilo": "k"}
_SPELLINGS = {
    f"{prefix}{word}{plural}": f"{short}{unit}"
    for prefix, short in _PREFIXES.items()
    for word, unit in _WORDS.items()
    for plural in ("", "s")
    if any(f"{short}{unit}" in units for units in UNITS.values())
}
_FOLDED = {unit.lower(): unit for units in UNITS.values() for unit in units}
_MEGA_OR_MILLI = {"MW", "MJ", "MWH", "MWh", "Mw", "Mj"}
"""Nobody logs megavolts or megaamperes."""
_AMOUNT = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s.,:;+-][^\d\s]{0,12})?$")


@lru_cache(maxsize=4096)
def find_unit(text: str) -> tuple[str, str] | None:
    """The quantity and the unit that ``text`` names in any spelling; ``None`` where that is not certain.

    >>> find_unit("mw"), find_unit("Watts"), find_unit("µA"), find_unit("MW"), find_unit("rpm")
    (('watts', 'mW'), ('watts', 'W'), ('amps', 'uA'), None, None)
    """
    unit = text.strip().rstrip(".").replace("µ", "u").replace("μ", "u").replace("·", "").replace("*", "")
    unit = unit.replace(" ", "").replace("-", "")
    if not unit or len(unit) > 16:
        return None
    exact = next((kind for kind, units in UNITS.items() if unit in units), None)
    if exact is not None:
        return exact, unit
    if is_ambiguous(unit):
        return None
    known = _SPELLINGS.get(unit.lower()) or _FOLDED.get(unit.lower())
    return None if known is None else (quantity_of(known), known)


def is_ambiguous(unit: str) -> bool:
    """Whether a unit may mean a million or a thousandth of another: ``MW`` in a title of capitals."""
    return unit.strip() in _MEGA_OR_MILLI


@lru_cache(maxsize=4096)
def amount(text: str) -> tuple[float, str] | None:
    """A finite number and the unit written after it, which may be empty; ``None`` for everything else.

    >>> amount("45.00 W"), amount("-3mA"), amount("7"), amount("[N/A]"), amount("2026-05-04")
    ((45.0, 'W'), (-3.0, 'mA'), (7.0, ''), None, None)
    """
    found = _AMOUNT.match(text.strip())
    if found is None:
        return None
    value = float(found[1])
    return (value, found[2] or "") if math.isfinite(value) else None


def scale(quantity: str, unit: str) -> float:
    """How many SI units of ``quantity`` one ``unit`` is.

    >>> scale("watts", "mW"), scale("joules", "kWh")
    (0.001, 3600000.0)

    Raises:
        SpecError: ``quantity`` is not counted in ``unit``; case matters (``mW`` is not ``MW``).
    """
    units = UNITS[quantity]
    try:
        return units[unit.strip().replace("µ", "u").replace("μ", "u")]
    except KeyError:
        raise SpecError(f"{unit!r} is no unit of {quantity}: use one of {', '.join(units)}") from None


def quantity_of(unit: str) -> str:
    """The quantity that ``unit`` measures.

    >>> quantity_of("mA")
    'amps'

    Raises:
        SpecError: no such unit.
    """
    for quantity, units in UNITS.items():
        if unit.strip().replace("µ", "u").replace("μ", "u") in units:
            return quantity
    raise SpecError(f"{unit!r} is no unit known here: use W, mW, uW, kW, V, mV, A, mA, J, Wh, C, mAh …")


def number(value: object) -> float | None:
    """A finite number, or text that is nothing but one; ``None`` for everything else.

    >>> number(" 4.53 "), number(True), number("nan"), number("4,5"), number(None)
    (4.53, None, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        converted = float(value)
    except (ValueError, OverflowError):
        return None
    if isinstance(value, str) and "_" in value:  # Python reads 1_000 as a number; no meter writes it
        return None
    return converted if math.isfinite(converted) else None
