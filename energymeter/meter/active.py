"""What runs in this process: the meters whose blocks run, and the billings that debit for them.

A meter measures the whole board, so these lists are of the process: threads, tasks and the cells of a
notebook share them. There is no other state of the process in this package.
"""

from __future__ import annotations

import os
import threading
import weakref

from energymeter.lazy import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable

    from energymeter.meter.usage_delta import SpentSoFar


class RunningMeter(Protocol):
    """What a budget needs of the meter around it."""

    @property
    def usage(self) -> SpentSoFar:
        """The usage so far; raises `NotMeasured` before the first sample."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of what it measures."""


class OpenBilling(Protocol):
    """What a billing is notified of."""

    def meter_began(self, meter: RunningMeter) -> None: ...
    def meter_ended(self, meter: RunningMeter) -> None: ...
    def forked(self) -> None: ...


_meters: list[weakref.ref[RunningMeter]] = []
"""Weak: a meter that nobody holds any more is released."""
billings: dict[Hashable, OpenBilling] = {}
"""By the key of the account."""
lock = threading.Lock()
"""For the billings; held for a moment, never while a meter starts or stops or a ledger is written."""


def begin(meter: RunningMeter) -> None:
    """Add a meter whose block was entered."""
    _meters.append(weakref.ref(meter))
    for billing in [*billings.values()]:
        billing.meter_began(meter)


def end(meter: RunningMeter) -> None:
    """Remove a meter whose block was left; its usage is final."""
    _meters[:] = [running for running in _meters if running() not in (None, meter)]
    for billing in [*billings.values()]:
        billing.meter_ended(meter)


def has(meter: object) -> bool:
    """Whether the meter's block runs."""
    return meter is not None and any(running() is meter for running in [*_meters])


def latest() -> RunningMeter | None:
    """The meter whose block was entered last; ``None``: none runs."""
    meters = [meter for running in [*_meters] if (meter := running()) is not None]
    return meters[-1] if meters else None


def _after_fork_in_child() -> None:
    """A worker measures with its parent's meters, but never pays its parent's bills."""
    global lock
    lock = threading.Lock()
    for billing in billings.values():
        billing.forked()
    billings.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
