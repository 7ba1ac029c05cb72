"""Calibration: fitting a meter against a reference, and the cards that remember it."""

from energymeter.lazy import face

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.calibration.card import Card as Card
    from energymeter.calibration.fitting import fit as fit
    from energymeter.calibration.fitting import fit_all as fit_all
    from energymeter.calibration.fitting import model_of as model_of
    from energymeter.calibration.plot import Series as Series
    from energymeter.calibration.plot import chart as chart
    from energymeter.calibration.points import Point as Point
    from energymeter.calibration.points import Reference as Reference
    from energymeter.calibration.points import average as average
    from energymeter.calibration.points import band as band

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "card": "Card",
        "fitting": "fit fit_all model_of",
        "plot": "Series chart",
        "points": "Point Reference average band",
    },
)
