"""Comparison points a reader can picture, each with its witness."""

from typing import NamedTuple

from energymeter.carbon.emissions import Carbon


class Comparison(NamedTuple):
    """``amount`` of something known."""

    amount: float
    what: str
    said_by: str

    def __str__(self) -> str:
        return f"{self.amount:.3g} {self.what} ({self.said_by})"


PHONE_CHARGE_WATT_HOURS = 14.46 - 22 * 0.13
"""11.6 Wh at the socket: the EPA's 24-hour energy of a charger less 22 h of keeping the battery full
(Greenhouse Gas Equivalencies Calculator, calculations and references, edition of 8.22 g a charge)."""

LED_WATTS = 9.0
"""An 800 lm LED bulb, as bright as a 60 W incandescent (central.coop/lighting-efficiency; the NRDC's guide
says 10 W)."""

CAR_GRAMS_PER_METRE = 0.1075
"""107.5 g/km: new cars in the EU in 2020, type approval, fuel only (EEA, eea.europa.eu/ims/
co2-performance-of-new-passenger, via carbontracker's co2eq.csv). Real driving emits more."""


def comparisons(carbon: Carbon) -> tuple[Comparison, ...]:
    """The usage in phone charges and LED hours (by its energy) and metres by car (by its grams)."""
    watt_hours = carbon.socket_kwh * 1000
    return (
        Comparison(watt_hours / PHONE_CHARGE_WATT_HOURS, "phone charges", "11.6 Wh each, US EPA"),
        Comparison(watt_hours / LED_WATTS, "hours of an LED bulb", "9 W, 800 lm"),
        Comparison(carbon.grams / CAR_GRAMS_PER_METRE, "metres by car", "107.5 g/km, new EU car 2020, EEA"),
    )
