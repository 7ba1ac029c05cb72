"""What a piece of code costs in joules, milliamp-hours, grams of CO₂e and hours of battery left.

>>> from energymeter import EnergyMeter
>>> with EnergyMeter("manual:5V,0.6A") as meter:
...     answer = sum(range(100_000))
>>> meter.usage.provenance
'manual'
"""

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.battery.battery import Battery as Battery
    from energymeter.budget.budget import Budget as Budget
    from energymeter.carbon.grid import Grid as Grid
    from energymeter.measured import measure as measure
    from energymeter.meter import EnergyMeter as EnergyMeter
    from energymeter.reading import Reading as Reading
    from energymeter.source import Source as Source
    from energymeter.trace import Trace as Trace
    from energymeter.usage import Usage as Usage

__version__ = "0.1.0"

_HOMES = {
    "Battery": "battery",
    "Budget": "budget",
    "Grid": "carbon.grid",
    "EnergyMeter": "meter",
    "measure": "measured",
    "Reading": "reading",
    "Source": "source",
    "Trace": "trace",
    "Usage": "usage",
    **dict.fromkeys(("EnergyMeterError", "NotMeasured", "SourceError", "SpecError"), "errors"),
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Load a name's module when it is first used: importing this package costs next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
