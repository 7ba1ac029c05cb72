"""A battery's fuel gauge, turned into a counter of what has been taken out.

A gauge goes down while the battery is used; the core wants cumulative consumption. It moves in steps
(10 mWh on many laptops, 1 mAh on a bq27xxx) every 1 to 60 s, some only every ten minutes. A reading in which
it has not moved is no sample (``fresh=False``), so that the curve runs straight from step to step; the
step itself is the resolution in the facts, and no window is known better than that.
"""

from collections.abc import Iterable
from typing import NamedTuple

from energymeter.errors import ImplausibleReading, SourceError, SourceMissing, not_open
from energymeter.reading import Band, Facts, Reading

_JUMP = 0.02  # a gauge that rises by this share of what is left was recalibrated or charged, not jittering
_OVERFULL = 1.5  # new cells hold some percent more than they are labelled with, never half as much again
_GAIN = 0.05  # fuel gauges promise no accuracy; ±5 % is our own word [from memory]

MAX_WATTS = 300.0
"""More than the battery of a laptop gives."""
COULOMBS_PER_UAH = 3.6e-3
JOULES_PER_UWH = 3.6e-3


def gauge_facts(*, coulomb_step: float = 0.0, joule_step: float) -> Facts:
    """A counter at the cell that is worth reading once a second, in steps of so many C and J."""
    return Facts(
        semantics="counter",
        place="cell",
        coulombs=Band(gain=_GAIN, resolution=coulomb_step) if coulomb_step else None,
        joules=Band(gain=_GAIN, resolution=joule_step),
        volts=Band(gain=0.02),
        max_watts=MAX_WATTS,
        default_hz=1.0,
        max_hz=1.0,
    )


def step(values: Iterable[float]) -> float:
    """The granularity of a gauge, in its own micro-unit: the power of ten that divides all its figures.

    >>> step([49450000, 50060000, 47520000])
    10000.0
    """
    whole = [round(value) for value in values if value]
    size = 1
    while whole and all(value % (size * 10) == 0 for value in whole):
        size *= 10
    return float(size)


def must_discharge(status: str, plugged: bool | None, name: str) -> None:
    """Refuse a battery that is not being used.

    Whether a charger is connected counts for more than the word of the gauge, which may call a battery full
    or "not charging" on the mains and off them, and lags behind.

    Args:
        status: what the gauge says.
        plugged: whether power comes from outside; None: nothing here knows.
        name: of the battery.

    Raises:
        SourceError: it charges, or the mains carry the load; its gauge does not say what is consumed.
    """
    word = status.lower().replace("_", " ")
    if plugged is False and word == "charging":
        raise SourceError(
            f"{name} is charging by its own word, with no charger connected; wait until it agrees"
        )
    if plugged or (plugged is None and word not in ("discharging", "unknown")):
        state = "on the mains" if plugged else word
        raise SourceError(
            f"{name} is {state}, so it does not show what is consumed; unplug the charger, "
            "or measure at the wall"
        )


def must_fit(left: float, full: float | None, name: str) -> None:
    """Refuse a gauge that shows more than the battery holds, or less than nothing.

    Args:
        left: what it shows.
        full: what the battery holds, in the same unit; None or 0: unknown.
        name: of the battery.

    Raises:
        SourceError: it does not fit.
    """
    if left < 0 or (full and left > _OVERFULL * full):
        raise SourceError(
            f"{name} shows {left:g} of {full or 0:g}, which no battery holds; let its gauge learn again by a "
            "full cycle, or use an external meter"
        )


class Discharging:
    """Holds a battery to being used, and notices when it is used again."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._charged = False

    def resumed(self, status: str, plugged: bool | None) -> bool:
        """Whether it has been charged since the last reading, which its gauge then does not continue.

        Raises:
            SourceError: as `must_discharge`.
        """
        charged, self._charged = self._charged, True
        must_discharge(status, plugged, self._name)
        self._charged = False
        return charged


class Gauge:
    """The consumption since the first reading, from what is left."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._left: float | None = None
        self._volts: float | None = None
        self._coulombs = 0.0
        self._joules = 0.0
        self._owed = 0.0

    def by_charge(self, left_coulombs: float, volts: float) -> Reading:
        """Read a gauge of charge: a step is worth its coulombs times the mean voltage since the last."""
        taken = self._taken(left_coulombs)
        if taken is None:
            return Reading(volts=volts, coulombs=self._coulombs, joules=self._joules, fresh=False)
        mean_volts = volts if self._volts is None else (self._volts + volts) / 2
        self._volts = volts
        self._coulombs += taken
        self._joules += taken * mean_volts
        return Reading(volts=volts, coulombs=self._coulombs, joules=self._joules)

    def by_energy(self, left_joules: float, volts: float | None) -> Reading:
        """Read a gauge of energy."""
        taken = self._taken(left_joules)
        if taken is None:
            return Reading(volts=volts, joules=self._joules, fresh=False)
        self._joules += taken
        return Reading(volts=volts, joules=self._joules)

    def _taken(self, left: float) -> float | None:
        """What was taken since the last step; None while the gauge stands still or jitters upwards.

        Raises:
            SourceError: it jumped up: it was recalibrated, or charged between two readings.
        """
        before, self._left = self._left, left
        if before is None:
            return 0.0
        fallen = before - left
        if fallen < -_JUMP * max(before, left):
            self._owed = 0.0
            raise SourceError(
                f"the gauge of {self._name} jumped up: the battery was charged or its gauge recalibrated, "
                "and what was used meanwhile is not known; measure again, off the charger"
            )
        fallen -= self._owed  # a small step up is given back before anything counts as taken
        if fallen <= 0:
            self._owed = -fallen
            return None
        self._owed = 0.0
        return fallen


def plausible_phone(left_uah: float, percent: float | None, volts: float, name: str) -> None:
    """Refuse a gauge whose units cannot be Android's µAh and mV; phones exist that say V.

    Raises:
        ImplausibleReading: the voltage is no battery's, or what is left and the percentage make a battery of
            under 0.1 or over 50 Ah.
    """
    if not 2 <= volts <= 20:
        raise ImplausibleReading(
            f"{name} says {volts * 1e3:g} mV, which no battery has: its unit is another, "
            "so use an external meter"
        )
    if percent is None or percent < 1:
        return
    amp_hours = left_uah * 1e-6 / (percent / 100)
    if not 0.1 <= amp_hours <= 50:
        raise ImplausibleReading(
            f"{name} says {left_uah:g} µAh at {percent:g} %, a battery of {amp_hours:.3g} Ah: "
            "its unit is another or its gauge a dummy, so use an external meter"
        )


_PHONE = "the phone's battery"


PHONE_SECONDS = 1.9
"""A phone is waited for so long: a read may take 2 s."""


class PhoneBattery(NamedTuple):
    """The battery of an Android phone as a command prints it; None: not in the answer."""

    status: str
    plugged: bool | None
    percent: float | None
    left_uah: float | None
    millivolts: float | None


class PhoneGauge:
    """A base for phones, whose gauge reports what was taken out; a driver asks the phone.

    It moves in steps of about 1 mAh, so it suits runs of half an hour.
    """

    name: str
    remedy = "use an external meter"
    """Where there is no counter of charge."""

    facts = gauge_facts(coulomb_step=3.6, joule_step=3.6 * 3.85)

    _gauge: Gauge | None = None
    _discharging = Discharging(_PHONE)

    def _ask(self) -> PhoneBattery:
        """Ask the phone.

        Raises:
            SourceError: it does not answer, or not in the expected form.
        """
        raise NotImplementedError

    def open(self) -> None:
        """Ask once.

        Raises:
            SourceMissing: no command, or a battery without a counter of charge.
            ImplausibleReading: its units are not Android's.
            SourceError: the phone charges, or does not answer.
        """
        battery = self._ask()
        if not battery.left_uah or not battery.millivolts:
            raise SourceMissing(
                "this phone's battery has no charge counter or no voltage, only a percentage, which is too "
                f"coarse; {self.remedy}"
            )
        plausible_phone(battery.left_uah, battery.percent, battery.millivolts * 1e-3, self.name)
        must_discharge(battery.status, battery.plugged, _PHONE)
        self._gauge, self._discharging = Gauge(_PHONE), Discharging(_PHONE)

    def read(self) -> Reading:
        """Ask once more.

        Raises:
            SourceError: it is not open, charges, does not answer, or leaves something out.
        """
        if self._gauge is None:
            raise not_open(self.name)
        battery = self._ask()
        if self._discharging.resumed(battery.status, battery.plugged):
            self._gauge = Gauge(_PHONE)
            return Reading()
        if battery.left_uah is None or battery.millivolts is None:
            raise SourceError(
                f"{self.name} left out the charge counter or the voltage this time; wait for the next reading"
            )
        return self._gauge.by_charge(battery.left_uah * COULOMBS_PER_UAH, battery.millivolts * 1e-3)

    def close(self) -> None:
        """Nothing is held; twice is fine."""
        self._gauge = None
