"""Plugs with Tasmota firmware (Sonoff, Nous, Gosund, Athom, …), over its HTTP commands.

    tasmota@192.168.1.30
    tasmota@plug.lan?channel=2&password_env=TASMOTA_PASSWORD

Wiring: between the wall and the power supply of what is measured; so the supply's losses are in it.
Resolution: whole watts and volts as the firmware comes; then a note of the result says how to get more
(``PowerRes 3``, ``VoltRes 3`` in the console), and the ± counts the coarse step. Accuracy: the usual
CSE7766 and BL0937 chips after calibration ±2 % [from memory]; loads below about 3 W read 0, so ±3 W is
counted. Rate: the chip reports about once a second; asking faster repeats it.

Semantics: instants.
Watts are the plug's ``Power``. Volts and amps are RMS: their product is volt-amperes, not watts.
Channels of one device are added unless ``channel=`` picks one. A list is one value a channel only if
``Power`` is such a list; that of an energy may be the total and its tariffs.

Sources: tasmota.github.io/docs: Commands (Status, PowerRes, VoltRes, WebPassword), JSON-Status-Responses.

Renewal: about once a second, a mean of about that second [from memory].
Counters: the firmware's own energy (``Total``), 0.001 kWh (3600 J) a step, far too coarse for a curve.
Loss: none; TCP delivers whole replies or an error.
Tested on: an emulated wire, recorded frames; real hardware: none yet.
"""

from typing import Any
from urllib.parse import quote

from energymeter.drivers.links.http import MOST_WATTS, HttpMeter
from energymeter.errors import SourceError, SourceForbidden, SourceMissing, SpecError
from energymeter.reading import Band, Facts, Reading
from energymeter.source import Counters
from energymeter.units import number

__all__ = ["Tasmota"]

_JOULES_PER_KWH = 3.6e6
_BLIND_WATTS = 3.0
_HALF_STEP = 0.0005
"""kWh: totals come in thousandths."""
_QUERIES = ("Status 8", "Status 10")
"""The sensors: 8 of every firmware so far, kept for compatibility with 10."""


class Tasmota(HttpMeter):
    """The energy sensor of a Tasmota device.

    Args:
        address: the device's address, with a port if it is not 80.
        channel: from 1; 0: all of them added.
        user: of the web console.
        login: further options as of ``HttpMeter``.

    Raises:
        SpecError: no address or channel.
    """

    facts = Facts(
        place="wall",
        watts=Band(gain=0.02, offset=_BLIND_WATTS, resolution=1.0),
        volts=Band(gain=0.02, resolution=1.0),
        amps=Band(gain=0.02, resolution=0.001),
        joules=Band(gain=0.02, resolution=3600.0),
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
        channel: int = 0,
        user: str = "admin",
        **login: Any,
    ) -> None:
        if channel < 0:
            raise SpecError("tasmota: give channel from 1, or 0 for all")
        super().__init__(
            address, f"tasmota@{address}" + (f"?channel={channel}" if channel else ""), user, **login
        )
        self.notes: list[str] = []
        self._channel, self._user = channel, user
        self._login, self._query = "", _QUERIES[0]
        self._last: dict[str, object] = {}

    def read(self) -> Reading:
        """Ask once; a lost connection is made again.

        Raises:
            SourceError: no answer, an error object, or an answer without a power.
        """
        energy = self._last = self._energy()
        watts = self._sum(energy, "Power")
        if watts is None:
            raise SourceError(
                f"{self.name} gives no Power; it meters energy only from outside, so use another driver"
            )
        return Reading(volts=self._mean(energy, "Voltage"), amps=self._sum(energy, "Current"), watts=watts)

    def counters(self) -> Counters:
        """The firmware's own running energy counter as of the last answer."""
        kwh = self._sum(self._last, "Total")
        return Counters(None if kwh is None else kwh * _JOULES_PER_KWH, None, joules_step=3600.0)

    def _energy(self) -> dict[str, object]:
        for query in sorted(_QUERIES, key=lambda query: query != self._query):
            reply = self._command(query)
            sensors = reply.get("StatusSNS", reply)
            energy = sensors.get("ENERGY") if isinstance(sensors, dict) else None
            if isinstance(energy, dict):
                self._query = query
                return energy
        raise SourceMissing(
            f"{self.name} has no energy sensor; if the plug does, set its template in the Tasmota console"
        )

    def _command(self, command: str) -> dict[str, object]:
        answer = self._client.get(f"/cm?{self._login}cmnd={quote(command)}")
        if answer.status == 404:
            raise SourceMissing(
                f"{self.name} is no Tasmota device, or its web server is off; check the address"
            )
        reply = self._client.decode(answer)
        if isinstance(reply, dict) and "WARNING" in reply:  # says 200 even so before 8.2.3
            raise SourceForbidden(
                f"{self.name} wants the console's password: give password= or password_env="
            )
        if answer.status != 200 or not isinstance(reply, dict):
            raise SourceError(
                f"{self.name} answers {command} with status {answer.status} and no object; is it Tasmota?"
            )
        return reply

    def _values(self, energy: dict[str, object], key: str) -> list[float | None]:
        """One number a channel. What is no list holds for the whole device: a voltage for each channel too,
        a sum (``Total`` is one unless ``SetOption129`` splits it) for none of several.
        """
        raw, power = energy.get(key), energy.get("Power")
        values = [number(v) for v in raw] if isinstance(raw, list) else [number(raw)]
        channels = len(power) if isinstance(power, list) else 1
        if key == "Total" and isinstance(raw, list):
            values = _split(values, channels)
        if not self._channel:
            return values
        if self._channel > channels:
            raise SourceMissing(f"{self.name} has {channels} channels; give channel=1 to {channels}, or none")
        if isinstance(raw, list) and len(values) == channels:
            return values[self._channel - 1 : self._channel] or [None]
        return values if channels == 1 or key == "Voltage" else [None]

    def _sum(self, energy: dict[str, object], key: str) -> float | None:
        values = self._values(energy, key)
        known = [v for v in values if v is not None]
        return sum(known) if known and len(known) == len(values) else None

    def _mean(self, energy: dict[str, object], key: str) -> float | None:
        """Channels of one device hang on one mains, or on phases of it: their mean voltage."""
        total = self._sum(energy, key)
        return None if total is None else total / len(self._values(energy, key))

    def _learn(self) -> None:
        """How to log in, and the steps in use: whole numbers are written without a decimal point."""
        user, password = quote(self._user, safe=""), quote(self._client.password, safe="")
        self._login = f"user={user}&password={password}&" if password else ""
        energy = self._last = self._energy()
        power, voltage = _step(energy.get("Power")), _step(energy.get("Voltage"))
        facts = type(self).facts
        assert facts.watts is not None
        assert facts.volts is not None
        self.facts = facts._replace(
            watts=facts.watts._replace(resolution=power), volts=facts.volts._replace(resolution=voltage)
        )
        finer = "type PowerRes 3 and VoltRes 3 in its console for finer ones"
        self.notes = [f"{self.name} reports whole watts: {finer}"] if power == 1.0 else []

    def _identify(self) -> str:
        """The MAC address from ``Status 5``."""
        network = self._command("Status 5").get("StatusNET")
        return str(network.get("Mac", "")) if isinstance(network, dict) else ""


def _split(values: list[float | None], channels: int) -> list[float | None]:
    """An energy's list: one value a channel; or the total and its tariffs, of which the total is taken.

    >>> _split([0.74, 0.74, 0.0], 1), _split([0.5, 0.25], 1), _split([1.5, 2.25], 2)
    ([0.74], [0.5, 0.25], [1.5, 2.25])
    """
    known = [value for value in values if value is not None]
    rest = sum(known[1:])
    if len(known) < len(values) or not rest > 0 or abs(known[0] - rest) > _HALF_STEP * len(known):
        return values if channels in (1, len(values)) else [None]
    # of as many phases as there are values, one may well be as much as the others
    return [None] if channels == len(values) else [known[0]]


def _step(raw: object) -> float:
    """One step of a number as it was written: 1 for an integer, 0.1 for 12.3.

    Trailing zeros are dropped in the decoding, so a lone 12.0 of ``PowerRes 3`` looks like 0.1.
    """
    values = raw if isinstance(raw, list) else [raw]
    places = [len(repr(v).partition(".")[2]) for v in values if isinstance(v, float)]
    return 10.0 ** -max(places, default=0)
