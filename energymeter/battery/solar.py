"""What charges a battery while it is in use, how long that lasts, and how large panel and battery must be."""

import math
from typing import NamedTuple

from energymeter.battery.battery import Battery
from energymeter.errors import ExtraMissing, NotMeasured, SpecError
from energymeter.source import Source
from energymeter.text import duration, percent

_STEPS = 288
"""A day in steps of five minutes."""
_YEARS = 10
_ALIKE = 1e-9
"""Two days that begin with the same charge, but for this share of the usable charge, are alike."""


class Steady(NamedTuple):
    """A charger, or a panel with constant power."""

    watts: float

    def watts_at(self, hour: float) -> float:
        return self.watts

    @classmethod
    def read(cls, source: Source) -> "Steady":
        """The power that a source at the charger or panel reports now, taken as constant.

        Raises:
            SourceError: it cannot be read.
            NotMeasured: it reports no power.
        """
        try:
            source.open()
            reading = source.read()
        finally:
            source.close()
        watts = reading.power
        if watts is None:
            raise NotMeasured(f"{source.name} reports no power: use a source that reads volts and amps")
        return cls(watts)


class Profile(NamedTuple):
    """Watts over a day in equal steps from midnight, repeated daily: 24 numbers are hours."""

    watts: tuple[float, ...]

    def watts_at(self, hour: float) -> float:
        return self.watts[int(hour % 24 / 24 * len(self.watts))]


class Panel(NamedTuple):
    """A panel in the sun; its power is half a sine from sunrise to sunset.

    ``sun_hours`` are peak sun hours: kWh/m² a day on the panel's plane (Chicago: 2.5 in winter, 4.0 over
    the year; wiki.meshamerica.com/books/solar-power-systems). ``derate``: charger, dirt, heat and wire,
    0.75 to 0.85 there.
    """

    watts: float
    """Rated (peak) watts."""
    sun_hours: float
    derate: float = 0.8
    sunrise: float = 6.0
    sunset: float = 18.0

    def watts_at(self, hour: float) -> float:
        day, since = self.sunset - self.sunrise, hour % 24 - self.sunrise
        if not 0 < since < day:
            return 0.0
        top = self.watts * self.sun_hours * self.derate * math.pi / (2 * day)
        return top * math.sin(math.pi * since / day)

    @classmethod
    def parse(cls, text: str) -> "Panel":
        """From ``10W,4h``: rated watts and peak sun hours.

        Raises:
            SpecError: it is something else.
        """
        try:
            watts, hours = (float(part.strip().rstrip("WwHh ")) for part in text.split(","))
        except ValueError:
            raise SpecError(
                f"a panel is its watts and the day's peak sun hours, as in 10W,4h, not {text!r}"
            ) from None
        if watts <= 0 or not 0 <= hours <= 24:
            raise SpecError(f"a panel has watts above 0 and 0 to 24 peak sun hours, not {text!r}")
        return cls(watts, hours)


def clear_sky(
    watts: float, latitude: float, longitude: float, day: str, *, tilt: float = 30.0, derate: float = 0.8
) -> Profile:
    """A panel of ``watts`` under a cloudless sky, facing the equator, every five minutes UTC (pvlib).

    ``day`` is a date such as ``2025-06-21``; degrees, north and east positive. An upper
    bound: real days have clouds.

    Raises:
        ExtraMissing: pvlib is not installed.
    """
    try:
        import pandas
        import pvlib  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ExtraMissing("pvlib", "solar", "a clear-sky model") from error
    times = pandas.date_range(day, periods=_STEPS, freq="5min", tz="UTC")
    place = pvlib.location.Location(latitude, longitude)
    sun, sky = place.get_solarposition(times), place.get_clearsky(times)
    plane = pvlib.irradiance.get_total_irradiance(
        tilt,
        180.0 if latitude >= 0 else 0.0,
        sun["apparent_zenith"],
        sun["azimuth"],
        sky["dni"],
        sky["ghi"],
        sky["dhi"],
    )["poa_global"]
    return Profile(tuple(float(w) * watts * derate / 1000 for w in plane.fillna(0.0).clip(lower=0.0)))


class Outlook(NamedTuple):
    """How long a battery with an input lasts under a steady load."""

    hours: float | None
    """Hours until it is empty; ``None``: it lasts, because each day recharges it."""
    margin: float
    """Energy in over energy out per day, minus 1: 0.2 is 20 % too much, -0.2 is 20 % too little."""
    lowest_share: float
    """The lowest charge, as a share of the usable charge."""

    @property
    def sustained(self) -> bool:
        return self.hours is None

    def __str__(self) -> str:
        margin = f"{100 * self.margin:+.0f} %"
        if self.hours is not None:
            left = duration(3600 * self.hours, rough=True)
            return f"{left} left (the day's balance is {margin})"
        return f"sustained, margin {margin}, down to {percent(self.lowest_share)} before sunrise"


def outlook(battery: Battery, watts: float, *, share: float = 1.0, hour: float = 12.0) -> Outlook | None:
    """How long ``battery`` supplies ``watts`` at the rail from ``hour`` (of the day) on, with its input.

    ``share`` is its present charge as a share of the usable charge. Computed in steps of five minutes, with
    equal days; ``None`` if nothing is drawn.

    Raises:
        SpecError: the battery has no input.
    """
    if battery.input is None:
        raise SpecError(
            "this battery has no input: Battery(..., input=Panel(10, sun_hours=4)), or use hours() without "
            "one"
        )
    drawn = battery.drawn_watts(watts)
    if drawn <= 0:
        return None
    seconds = 86400 / _STEPS
    at = [hour + (i + 0.5) * 24 / _STEPS for i in range(_STEPS)]
    income = [battery.input.watts_at(h) for h in at]
    margin = sum(income) / (drawn * _STEPS) - 1
    left = lowest = share * battery.joules
    before = -1.0
    for day in range(365 * _YEARS):
        if margin >= 0:
            if abs(left - before) <= _ALIKE * battery.joules:
                break  # the day repeats itself without emptying the battery
            lowest = before = left  # the day before was not typical: it began fuller, or emptier
        for i, watts_in in enumerate(income):
            net = drawn - watts_in
            if net > 0 and left <= net * seconds:
                return Outlook(day * 24 + i * 24 / _STEPS + left / net / 3600, margin, 0.0)
            left = min(left - net * seconds, battery.joules)
            lowest = min(lowest, left)
    return Outlook(None, margin, lowest / battery.joules)


def panel_watts(load_watts: float, sun_hours: float, derate: float = 0.8) -> float:
    """Rated watts of the panel that supplies ``load_watts`` day and night in a month of ``sun_hours``.

    >>> panel_watts(3.0, sun_hours=2.5)
    36.0
    """
    return load_watts * 24 / (sun_hours * derate)


def battery_wh(load_watts: float, days: float, usable: float = 0.8) -> float:
    """Watt-hours on the label for so many days without sun; 0.8 is gentle to a lithium cell.

    >>> battery_wh(3.0, days=2)
    180.0
    """
    return load_watts * 24 * days / usable
