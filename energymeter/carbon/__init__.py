"""Grams of CO₂e: grids and their sources, the footprint of a usage, what making a board emitted."""

from energymeter.lazy import face

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.carbon.amount import Known as Known
    from energymeter.carbon.amount import Supply as Supply
    from energymeter.carbon.embodied import Embodied as Embodied
    from energymeter.carbon.embodied import Range as Range
    from energymeter.carbon.embodied import break_even as break_even
    from energymeter.carbon.embodied import sci as sci
    from energymeter.carbon.emissions import Carbon as Carbon
    from energymeter.carbon.emissions import equivalents as equivalents
    from energymeter.carbon.emissions import footprint as footprint
    from energymeter.carbon.emissions_over_time import footprint_over_time as footprint_over_time
    from energymeter.carbon.grid import Grid as Grid
    from energymeter.carbon.intensity import Intensities as Intensities
    from energymeter.carbon.intensity import Slot as Slot
    from energymeter.carbon.jobs import Job as Job
    from energymeter.carbon.jobs import estimate as estimate
    from energymeter.carbon.live_grid import LiveGrid as LiveGrid
    from energymeter.carbon.schedule import cleanest as cleanest

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "amount": "Known Supply",
        "embodied": "Embodied Range break_even sci",
        "emissions": "Carbon equivalents footprint",
        "emissions_over_time": "footprint_over_time",
        "grid": "Grid",
        "intensity": "Intensities Slot",
        "jobs": "Job estimate",
        "live_grid": "LiveGrid",
        "schedule": "cleanest",
    },
)
