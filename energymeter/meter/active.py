"""The meters whose blocks run now: how a budget's loop finds the one around it.

A meter sees the whole board, so this is one list for the process: threads, tasks and the cells of a
notebook share it.
"""

from typing import Protocol

from energymeter.meter.usage_delta import Figures


class RunningMeter(Protocol):
    """What a budget's loop needs of the meter around it."""

    @property
    def usage(self) -> Figures:
        """So far; raises `NotMeasured` before the first sample."""


_meters: list[RunningMeter] = []


def begin(meter: RunningMeter) -> None:
    """Its block was entered."""
    _meters.append(meter)


def end(meter: RunningMeter) -> None:
    """Its block was left."""
    _meters.remove(meter)


def has(meter: object) -> bool:
    """Its block runs."""
    return any(running is meter for running in [*_meters])


def latest() -> RunningMeter | None:
    """The meter whose block was entered last; ``None``: none runs."""
    meters = [*_meters]
    return meters[-1] if meters else None
