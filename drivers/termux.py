"""termux: the battery of the Android phone this runs on, through the app Termux:API.

``termux-battery-status`` prints JSON: ``status``, ``voltage`` (mV; newer versions), ``current`` (µA by
the rules of Android, mA on some phones), ``charge_counter`` (µAh). A call takes a good part of a second.
Fields: termux/termux-api, BatteryStatusAPI.java.

Semantics: a counter.
Accuracy: ±5 %, our own word: fuel gauges promise none [from memory]; steps of 1 mAh.
Counters: the battery's own charge counter is the curve.
Loss: none told; a gauge that has not moved is no sample.
Tested on: an emulated command; real hardware: none yet.
"""

import json
from typing import Any

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

__all__ = ["Termux"]

_MISSING = "in Termux type `pkg install termux-api`, and install the app Termux:API as well"


class Termux:
    """What the phone's gauge says was taken out, in steps of about 1 mAh: for runs of half an hour."""

    kind = "gauge"

    facts = gauge_facts(coulomb_step=3.6, joule_step=3.6 * 3.85)

    def __init__(self, place: str = "", *, command: str = "termux-battery-status") -> None:
        self.name = f"termux@{place}" if place else "termux"
        self._command = command
        self._gauge: Gauge | None = None

    def open(self) -> None:
        said = self._ask()
        left, millivolts = number(said.get("charge_counter")), number(said.get("voltage"))
        if not left or not millivolts:
            raise SourceMissing(
                "this phone's battery tells no charge_counter or no voltage, only a percentage, which is "
                "too coarse; update Termux:API, or use an external meter"
            )
        plausible_phone(left, number(said.get("percentage")), millivolts * 1e-3, self.name)
        must_discharge(str(said.get("status")), "the phone's battery")
        self._gauge = Gauge("the phone's battery")

    def _ask(self) -> dict[str, Any]:
        answer = output([self._command], 1.9, _MISSING)
        try:
            said: dict[str, Any] = json.loads(answer)
        except ValueError:
            raise SourceError(
                f"{self._command} said {answer.strip()[:60]!r} where JSON belongs; "
                "is the app Termux:API installed?"
            ) from None
        if not isinstance(said, dict) or "error" in said:
            raise SourceError(f"{self._command} failed: {answer.strip()[:100]}; open the app Termux:API once")
        return said

    def read(self) -> Reading:
        if self._gauge is None:
            raise SourceError("termux is not open; call open() first")
        said = self._ask()
        must_discharge(str(said.get("status")), "the phone's battery")
        left, volts = number(said.get("charge_counter")), number(said.get("voltage"))
        if left is None or volts is None:
            raise SourceError(
                f"{self._command} left out charge_counter or voltage this time; it is asked again"
            )
        return self._gauge.by_charge(left * COULOMBS_PER_UAH, volts * 1e-3)

    def close(self) -> None:
        self._gauge = None
