"""Batteries: the charge on the label, what of it reaches the rail, and what the sun adds."""

from energymeter.lazy import face

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.battery.battery import Battery as Battery
    from energymeter.battery.converter import Converter as Converter
    from energymeter.battery.ocv import state_of_charge as state_of_charge
    from energymeter.battery.solar import Panel as Panel
    from energymeter.battery.solar import battery_wh as battery_wh
    from energymeter.battery.solar import outlook as outlook
    from energymeter.battery.solar import panel_watts as panel_watts

__all__, __getattr__, __dir__ = face(
    __name__,
    {
        "battery": "Battery",
        "converter": "Converter",
        "ocv": "state_of_charge",
        "solar": "Panel battery_wh outlook panel_watts",
    },
)
