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


def find(budget: str) -> "EnergyMeter | None":
    """The running meter that pays ``budget`` by itself, else the one entered last; ``None``: none runs."""
    meters = [*_meters]
    return next((m for m in reversed(meters) if m.budget == budget), meters[-1] if meters else None)
