"""From readings to the energy curve, its windows, and what a window says: joules, mAh, ±."""

from energymeter.lazy import face

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.energy.correction import Correction as Correction
    from energymeter.energy.integrate import Integrator as Integrator
    from energymeter.energy.integrate import Sample as Sample
    from energymeter.energy.uncertainty import Contribution as Contribution
    from energymeter.energy.uncertainty import Difference as Difference
    from energymeter.energy.usage import Cost as Cost
    from energymeter.energy.usage import Idle as Idle
    from energymeter.energy.usage import Usage as Usage
    from energymeter.energy.usage import difference as difference
    from energymeter.energy.window import Draw as Draw
    from energymeter.energy.window import Point as Point

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "correction": "Correction",
        "integrate": "Integrator Sample",
        "uncertainty": "Contribution Difference",
        "usage": "Cost Idle Usage difference",
        "window": "Draw Point",
    },
)
