"""Link helper for numbers from text: units to SI, and what counts as a number at all."""

import math

from energymeter.errors import SpecError

UNITS = {
    "watts": {"W": 1.0, "mW": 1e-3, "uW": 1e-6, "nW": 1e-9, "kW": 1e3},
    "volts": {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "kV": 1e3},
    "amps": {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "nA": 1e-9},
    "joules": {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "kJ": 1e3, "Wh": 3600.0, "mWh": 3.6, "kWh": 3.6e6},
    "coulombs": {"C": 1.0, "mC": 1e-3, "Ah": 3600.0, "mAh": 3.6},
    "seconds": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0},
}
"""Quantity → unit → how many SI units one of it is. ``µ`` may stand for ``u``."""


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
