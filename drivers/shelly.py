"""Shelly plugs and meters of the second generation and later (Plus, Pro, Gen3, Gen4), over their HTTP RPC.

    shelly@192.168.1.20                                   the first metered channel
    shelly@plug.lan?id=1&password_env=SHELLY_PASSWORD     the second one, behind a login

Wiring: between the wall and the power supply of what is measured; so the supply's losses are in it.
Resolution: 0.1 W, 0.1 V, 1 mA as the replies show. Accuracy: ±1 % stated by resellers [from memory], poor
below 3 W; so ±1 % and ±0.3 W here. Rate: the plug renews its values about once a second; asking faster
repeats them.

Semantics: instants. The plug's own counter is not made the curve, because no source says how often it
ticks: over seconds, a counter that ticks once a minute would show 0 W and then a peak.
Watts are the plug's ``apower``. Volts and amps are RMS: their product is volt-amperes, not watts.

A first-generation Shelly has no RPC and is read with the ``http`` driver, which shows how.

Sources: shelly-api-docs.shelly.cloud/gen2: ComponentsAndServices (Switch, PM1, EM, EM1, Cover, EM1Data,
EMData), General/Authentication (digest, SHA-256, RFC 7616, user ``admin``); replies in home-assistant/core
tests/components/shelly/fixtures.

Renewal: about once a second, a mean of about that second [from memory].
Counters: the plug's own energy (``aenergy.total``), 0.001 Wh (3.6 J) a step.
Loss: none; TCP delivers whole replies or an error.
Tested on: an emulated wire, recorded frames; real hardware: none yet.
"""

import time
from typing import Any, NamedTuple

from energymeter.drivers.links.http import MOST_WATTS, HttpMeter
from energymeter.errors import SourceError, SourceMissing, SpecError, not_open
from energymeter.reading import Band, Facts, Reading
from energymeter.source import Counters
from energymeter.text import printable
from energymeter.units import number

__all__ = ["Shelly"]

_JOULES_PER_WH = 3600.0


class _Component(NamedTuple):
    """Where a kind of meter keeps its numbers."""

    name: str
    watts: str
    volts: str
    amps: str
    energy: str
    """``key.key`` of the watt-hours in the same reply, or ``Component:key`` in another one."""


_COUNTER_SECONDS = 60.0
_ERRORS = ("errors", "a_errors", "b_errors", "c_errors")
_NO_POWER = ("power_meter_failure", "out_of_range:active_power")
"""What EM says of a phase whose power is not in its total (shelly-api-docs, EM)."""
_COMPONENTS = (
    _Component("Switch", "apower", "voltage", "current", "aenergy.total"),
    _Component("PM1", "apower", "voltage", "current", "aenergy.total"),
    _Component("EM1", "act_power", "voltage", "current", "EM1Data:total_act_energy"),
    _Component("EM", "total_act_power", "", "total_current", "EMData:total_act"),
    _Component("Cover", "apower", "voltage", "current", "aenergy.total"),
)
"""EM is three phases: their volts have no sum, so there are none."""


class Shelly(HttpMeter):
    """One metered channel of a Shelly device.

    Args:
        address: the device's address, with a port if it is not 80.
        id: the channel, from 0.
        component: ``switch``, ``pm1``, ``em1``, ``em`` or ``cover``; empty: the first of these it has.
        login: further options as of ``HttpMeter``; the user is ``admin``.

    Raises:
        SpecError: no address, channel or component.
    """

    facts = Facts(
        place="wall",
        watts=Band(gain=0.01, offset=0.3, resolution=0.1),
        volts=Band(gain=0.01, resolution=0.1),
        amps=Band(gain=0.01, resolution=0.001),
        joules=Band(gain=0.01, resolution=3.6),
        max_watts=MOST_WATTS,
        renewal_seconds=1.0,
        smoothing_seconds=1.0,
        default_hz=1.0,
        max_hz=1.0,
    )

    def __init__(
        self,
        address: str = "",
        *,
        id: int = 0,
        component: str = "",
        **login: Any,
    ) -> None:
        self._components = [c for c in _COMPONENTS if component.lower() in ("", c.name.lower())]
        if id < 0 or not self._components:
            raise SpecError("shelly: give id from 0, and component switch, pm1, em1, em or cover")
        super().__init__(address, f"shelly@{address}" + (f"?id={id}" if id else ""), "admin", **login)
        self._id = id
        self._component: _Component | None = None
        self._status: dict[str, object] = {}
        self._counted: dict[str, object] = {}
        self._counted_until = 0.0

    def read(self) -> Reading:
        """Ask once; a lost connection is made again.

        Raises:
            SourceError: no answer, an error object, or an answer without a power.
        """
        part = self._channel()
        status = self._status = self._call(f"{part.name}.GetStatus")
        watts = number(status.get(part.watts))
        if watts is None or _phase_fails(status):
            raise SourceError(
                f"{self.name} {self._why_no_watts(part)}; look at the device, or try another id= or "
                "component="
            )
        return Reading(volts=number(status.get(part.volts)), amps=number(status.get(part.amps)), watts=watts)

    def counters(self) -> Counters:
        """The device's own running energy counter, as of the last answer.

        Where the counter has an answer of its own it is asked for, once a minute.

        Raises:
            SourceError: as `read`.
        """
        part = self._channel()
        other, colon, key = part.energy.rpartition(":")
        if colon and time.monotonic() >= self._counted_until:
            self._counted = self._call(f"{other}.GetStatus")
            self._counted_until = time.monotonic() + _COUNTER_SECONDS
        found: object = self._counted if colon else self._status
        for step in key.split("."):
            found = found.get(step) if isinstance(found, dict) else None
        wh = number(found)
        return Counters(None if wh is None else wh * _JOULES_PER_WH, None, joules_step=3.6)

    def close(self) -> None:
        """Drop the connection."""
        self._component = None
        super().close()

    def _channel(self) -> _Component:
        if self._component is None:
            raise not_open(self.name)
        return self._component

    def _learn(self) -> None:
        self._component = self._find()

    def _find(self) -> _Component:
        first_error: SourceError | None = None
        for part in self._components:
            try:
                status = self._call(f"{part.name}.GetStatus")
            except SourceMissing as error:
                first_error = first_error or error
                continue
            if part.watts in status or len(self._components) == 1:
                self._status = status
                return part
        raise first_error or SourceMissing(
            f"{self.name} meters nothing on channel {self._id}; try another id="
        )

    def _call(self, method: str) -> dict[str, object]:
        """One component's status.

        Raises:
            SourceMissing: the device knows no such method or channel.
        """
        answer = self._client.get(f"/rpc/{method}?id={self._id}")
        if answer.status == 404 and not answer.body.lstrip().startswith(b"{"):
            raise SourceMissing(
                f"{self.name} has no RPC, so it is no Shelly of generation 2 or later; "
                "read a first-generation one with http@http://ADDRESS/status?watts=$.meters[0].power"
            )
        status = self._client.decode(answer)
        if not isinstance(status, dict):
            raise SourceError(f"{self.name} answers {method} with no JSON object; is it a Shelly?")
        if answer.status != 200 or ("code" in status and "id" not in status):
            said = printable(
                f"{status.get('code', answer.status)}: {status.get('message', 'no message')!s:.120}"
            )
            if answer.status == 404 or status.get("code") in (404, -105):
                raise SourceMissing(f"{self.name} has no such channel ({said}); check id= and component=")
            raise SourceError(
                f"{self.name} refuses {method} ({said}); it is asked again with the next reading"
            )
        return status

    def _why_no_watts(self, part: _Component) -> str:
        if errors := _errors(self._status):
            return f"reports {printable(', '.join(map(str, errors))[:200])}"
        return f"gives no {part.watts}, so this channel has no power meter"

    def _identify(self) -> str:
        """The device's id, such as ``shellyplusplugs-d4d4da000000``."""
        info = self._client.get_json("/rpc/Shelly.GetDeviceInfo")
        return str(info.get("id", "")) if isinstance(info, dict) else ""


def _errors(status: dict[str, object]) -> list[object]:
    """What a component reports of itself and of its phases."""
    return [error for key in _ERRORS if isinstance(said := status.get(key), list) for error in said]


def _phase_fails(status: dict[str, object]) -> bool:
    """Whether a total of phases lacks one."""
    return any(error in _NO_POWER for error in _errors(status))
