"""Sampling in a process of its own: the child that reads at a steady pace, and the curve both sides share."""

from energymeter.lazy import face

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.sampling.curve import Curve as Curve
    from energymeter.sampling.sampler import Sampler as Sampler

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "curve": "Curve",
        "sampler": "Sampler",
    },
)
