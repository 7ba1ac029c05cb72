"""What a piece of code costs in joules, milliamp-hours, grams of CO₂e and hours of battery left.

>>> from energymeter import EnergyMeter
>>> with EnergyMeter("manual:5V,0.6A") as meter:
...     answer = sum(range(100_000))
>>> meter.usage.provenance
'manual'
"""

from energymeter.lazy import face
from energymeter.version import __version__ as __version__

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.battery import Battery as Battery
    from energymeter.carbon import Grid as Grid
    from energymeter.comparison import compare as compare
    from energymeter.comparison import sweep as sweep
    from energymeter.energy import Usage as Usage
    from energymeter.errors import EnergyMeterError as EnergyMeterError
    from energymeter.errors import NotMeasured as NotMeasured
    from energymeter.errors import SourceError as SourceError
    from energymeter.errors import SpecError as SpecError
    from energymeter.meter import Budget as Budget
    from energymeter.meter import EnergyMeter as EnergyMeter
    from energymeter.meter import measure as measure
    from energymeter.reading import Reading as Reading
    from energymeter.recordings import Trace as Trace
    from energymeter.source import Source as Source

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "battery": "Battery",
        "carbon": "Grid",
        "comparison": "compare sweep",
        "energy": "Usage",
        "errors": "EnergyMeterError NotMeasured SourceError SpecError",
        "meter": "Budget EnergyMeter measure",
        "reading": "Reading",
        "recordings": "Trace",
        "source": "Source",
    },
)
