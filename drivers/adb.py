"""adb: the battery of an Android phone on the other end of ``adb``, through ``dumpsys battery``.

Connect over Wi-Fi (``adb tcpip 5555``, then ``adb connect HOST``): over USB the phone charges, and a
battery that charges does not show what is consumed. ``USB powered: true`` and the like say that something is
plugged in, whatever ``status`` says. ``Charge counter`` is in µAh, ``voltage`` in mV;
``status`` 2 charging, 3 discharging, 4 not charging, 5 full (android.os.BatteryManager).

Semantics: a counter. Source: that class of Android's.
Accuracy: ±5 %, our own word: fuel gauges promise none [from memory]; steps of 1 mAh.
Renewal: the phone's gauge moves every few seconds to minutes; one that has not moved is no sample.
Counters: the battery's own charge counter is the curve.
Loss: unknown; a gauge that has not moved is no sample.
Tested on: an emulated command; real hardware: none yet.
"""

import re

from energymeter.drivers.links.command import output
from energymeter.drivers.protocols.gauge import PHONE_SECONDS, PhoneBattery, PhoneGauge
from energymeter.errors import SourceError
from energymeter.units import number

__all__ = ["Adb"]

_STATUS = {1: "Unknown", 2: "Charging", 3: "Discharging", 4: "Not charging", 5: "Full"}
_MISSING = "install the Android platform tools (`sudo apt install adb`)"


class Adb(PhoneGauge):
    """The phone's gauge, in steps of about 1 mAh: for runs of half an hour.

    ``adb@SERIAL`` names the phone when several are connected; ``adb devices`` lists them.
    """

    def __init__(self, address: str = "", *, command: str = "adb") -> None:
        self.name = f"adb@{address}" if address else "adb"
        phone = ["-s", address] if address else []
        self._command = [command, *phone, "shell", "dumpsys", "battery"]

    def _ask(self) -> PhoneBattery:
        answer = output(self._command, PHONE_SECONDS, _MISSING)
        found: dict[str, float | None] = {}
        for key, text in re.findall(r"^\s+([A-Za-z ]+): (-?\d+)\s*$", answer, re.MULTILINE):
            found.setdefault(key.lower(), number(text))  # later sections repeat keys as a log
        status = found.get("status")
        if status is None:
            raise SourceError(
                f"`{' '.join(self._command)}` printed {answer.strip()[:60]!r}; unlock the phone"
            )
        powered = re.findall(r"^\s+[A-Za-z]+ powered: (true|false)\s*$", answer, re.MULTILINE)
        return PhoneBattery(
            _STATUS.get(int(status), "Unknown"),
            "true" in powered if powered else None,
            found.get("level"),
            found.get("charge counter"),
            found.get("voltage"),
        )
