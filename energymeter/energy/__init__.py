"""From readings to the energy curve, its windows, and what a window says: joules, mAh, ±."""

from energymeter.lazy import face

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.energy.correction import Correction as Correction
    from energymeter.energy.integrate import Integrator as Integrator
    from energymeter.energy.integrate import Sample as Sample
    from energymeter.energy.per_unit import PerUnit as PerUnit
    from energymeter.energy.uncertainty import Component as Component
    from energymeter.energy.uncertainty import Difference as Difference
    from energymeter.energy.usage import Idle as Idle
    from energymeter.energy.usage import Overhead as Overhead
    from energymeter.energy.usage import Usage as Usage
    from energymeter.energy.usage import difference as difference
    from energymeter.energy.window import Point as Point
    from energymeter.energy.window import Window as Window

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "correction": "Correction",
        "integrate": "Integrator Sample",
        "per_unit": "PerUnit",
        "uncertainty": "Component Difference",
        "usage": "Overhead Idle Usage difference",
        "window": "Window Point",
    },
)
