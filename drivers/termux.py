"""termux: the battery of the Android phone this runs on, through the app Termux:API.

``termux-battery-status`` prints JSON: ``status``, ``plugged``, ``voltage`` (mV; newer versions), ``current``
(µA by the rules of Android, mA on some phones), ``charge_counter`` (µAh). A call takes a good part of a
second.
Fields: termux/termux-api, BatteryStatusAPI.java.

Semantics: a counter.
Accuracy: ±5 %, our own word: fuel gauges promise none [from memory]; steps of 1 mAh.
Renewal: the phone's gauge moves every few seconds to minutes; one that has not moved is no sample.
Counters: the battery's own charge counter is the curve.
Loss: unknown; a gauge that has not moved is no sample.
Tested on: an emulated command; real hardware: none yet.
"""

import json

from energymeter.drivers.links.command import output
from energymeter.drivers.protocols.gauge import PHONE_SECONDS, PhoneBattery, PhoneGauge
from energymeter.errors import SourceError
from energymeter.text import printable
from energymeter.units import number

__all__ = ["Termux"]

_MISSING = "in Termux type `pkg install termux-api`, and install the app Termux:API as well"


class Termux(PhoneGauge):
    """The phone's gauge, in steps of about 1 mAh: for runs of half an hour."""

    kind = "gauge"
    remedy = "update Termux:API, or use an external meter"

    def __init__(self, address: str = "", *, command: str = "termux-battery-status") -> None:
        self.name = f"termux@{address}" if address else "termux"
        self._command = command

    def _ask(self) -> PhoneBattery:
        answer = output([self._command], PHONE_SECONDS, _MISSING)
        shown = answer.strip()[:100]
        try:
            found = json.loads(answer)
        except (ValueError, RecursionError):
            raise SourceError(
                f"{self._command} printed {shown[:60]!r} where JSON belongs; install the app Termux:API"
            ) from None
        if not isinstance(found, dict) or "error" in found:
            raise SourceError(f"{self._command} failed: {printable(shown)}; open the app Termux:API once")
        return PhoneBattery(
            str(found.get("status")),
            None if "plugged" not in found else found["plugged"] != "UNPLUGGED",
            number(found.get("percentage")),
            number(found.get("charge_counter")),
            number(found.get("voltage")),
        )
