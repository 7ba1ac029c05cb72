"""adb: the battery of an Android phone on the other end of ``adb``, through ``dumpsys battery``.

Connect over Wi-Fi (``adb tcpip 5555``, then ``adb connect HOST``): over USB the phone charges, and a
battery that charges does not show what is consumed. ``Charge counter`` is in µAh, ``voltage`` in mV;
``status`` 2 charging, 3 discharging, 4 not charging, 5 full (android.os.BatteryManager).

Semantics: a counter. Source: that class of Android's.
Accuracy: ±5 %, our own word: fuel gauges promise none [from memory]; steps of 1 mAh.
Counters: the battery's own charge counter is the curve.
Loss: none told; a gauge that has not moved is no sample.
Tested on: an emulated command; real hardware: none yet.
"""

import re

from energymeter.drivers.links.command import output
from energymeter.drivers.protocols.gauge import (
    COULOMBS_PER_UAH,
    Gauge,
    gauge_facts,
    must_discharge,
    plausible_phone,
)
from energymeter.errors import SourceError, SourceMissing
from energymeter.reading import Reading
from energymeter.units import number

__all__ = ["Adb"]

_STATUS = {1: "Unknown", 2: "Charging", 3: "Discharging", 4: "Not charging", 5: "Full"}
_MISSING = "install the Android platform tools (`sudo apt install adb`)"


class Adb:
    """What the phone's gauge says was taken out, in steps of about 1 mAh: for runs of half an hour.

    ``adb@SERIAL`` names the phone when several are connected; ``adb devices`` lists them.
    """

    facts = gauge_facts(coulomb_step=3.6, joule_step=3.6 * 3.85)

    def __init__(self, place: str = "", *, command: str = "adb") -> None:
        self.name = f"adb@{place}" if place else "adb"
        phone = ["-s", place] if place else []
        self._command = [command, *phone, "shell", "dumpsys", "battery"]
        self._gauge: Gauge | None = None

    def open(self) -> None:
        said = self._ask()
        if not said.get("charge counter") or not said.get("voltage"):
            raise SourceMissing(
                "this phone's battery tells no charge counter, only a percentage, which is too coarse; "
                "use an external meter"
            )
        plausible_phone(said["charge counter"], said.get("level"), said["voltage"] * 1e-3, self.name)
        self._must_discharge(said)
        self._gauge = Gauge("the phone's battery")

    def _ask(self) -> dict[str, float]:
        answer = output(self._command, 1.9, _MISSING)
        found = re.findall(r"^\s+([A-Za-z ]+): (-?\d+)\s*$", answer, re.MULTILINE)
        said: dict[str, float] = {}
        for key, text in found:
            value = number(text)
            if value is not None:
                said.setdefault(key.lower(), value)  # later sections repeat keys as a log
        if "status" not in said:
            raise SourceError(
                f"`{' '.join(self._command)}` said {answer.strip()[:60]!r}; is the phone unlocked?"
            )
        return said

    def _must_discharge(self, said: dict[str, float]) -> None:
        must_discharge(_STATUS.get(int(said["status"]), "Unknown"), "the phone's battery")

    def read(self) -> Reading:
        if self._gauge is None:
            raise SourceError("adb is not open; call open() first")
        said = self._ask()
        self._must_discharge(said)
        if "charge counter" not in said or "voltage" not in said:
            raise SourceError("the phone left out its charge counter or voltage this time; it is asked again")
        return self._gauge.by_charge(said["charge counter"] * COULOMBS_PER_UAH, said["voltage"] * 1e-3)

    def close(self) -> None:
        self._gauge = None
