"""The meters whose blocks run now: how a budget's loop finds the one around it.

A meter sees the whole board, so this is one list for the process: threads, tasks and the cells of a
notebook share it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from energymeter.meter import EnergyMeter

_meters: "list[EnergyMeter]" = []


def begin(meter: "EnergyMeter") -> None:
    """Its block was entered."""
    _meters.append(meter)


def end(meter: "EnergyMeter") -> None:
    """Its block was left."""
    _meters.remove(meter)


def has(meter: object) -> bool:
    """Its block runs."""
    return any(running is meter for running in [*_meters])


def latest() -> "EnergyMeter | None":
    """The meter whose block was entered last; ``None``: none runs."""
    meters = [*_meters]
    return meters[-1] if meters else None
