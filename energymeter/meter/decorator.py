"""`measure`: a function that is measured at every call."""

import functools
import types
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast

from energymeter.energy.usage import Usage
from energymeter.meter.meter import EnergyMeter
from energymeter.source import Source

P = ParamSpec("P")
T = TypeVar("T")


def measure(
    source: "str | Source | None" = None, **options: Any
) -> "Callable[[Callable[P, T]], Measured[P, T]]":
    """Measure a function on its own: after every call, ``function.usage`` is what it used.

    Args:
        source: as for `EnergyMeter`, like the options.

    >>> @measure("manual:7.2W")
    ... def once():
    ...     return 42
    >>> once(), once.usage.provenance
    (42, 'manual')
    """
    meter = EnergyMeter(source, **options)

    def decorate(function: Callable[P, T]) -> Measured[P, T]:
        return Measured(meter, function)

    return decorate


class Measured(Generic[P, T]):
    """A function that is measured at every call."""

    def __init__(self, meter: EnergyMeter, function: Callable[P, T]) -> None:
        self._meter = meter
        self._call = meter(function)
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._call(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> "Measured[..., T]":
        # a bound method answers for the attributes of its function, such as `usage`
        return self if instance is None else cast("Measured[..., T]", types.MethodType(self, instance))

    @property
    def usage(self) -> "Usage":
        """What the last call used.

        Raises:
            NotMeasured: it was never called, or nothing was read meanwhile.
        """
        return self._meter.usage
