"""TP-Link Kasa and Tapo plugs with energy metering (HS110, KP115, KP125, EP25, HS300; P110, P115).

    kasa@192.168.1.40
    kasa@strip.lan?outlet=2

Wiring: between the wall and the power supply of what is measured; so the supply's losses are in it.
Resolution: 1 mW, 1 mV, 1 mA (first HS110: finer digits that mean nothing). Accuracy: ±1 % [from memory],
poor below 3 W; so ±1 % and ±0.3 W here. Rate: about once a second; asking faster repeats it.

Semantics: instants. Watts are the plug's own. Volts and amps are RMS: their product is
volt-amperes, not watts (a recorded HS110 shows 3.45 VA at 0.93 W).

Kasa plugs speak the old protocol of TCP port 9999 (source:
softscheck.com/en/reverse-engineering-tp-link-hs110), which needs no package. The first HS110 gives A, V, W
and kWh, its successors mA, mV, mW and Wh.

Newer firmware (KLAP: EP25 hardware 2.6, KP125M) and Tapo plugs do not speak it. They are read through
python-kasa, if you ask for it and install it yourself (GPL-3.0; Python 3.11 or later):
``kasa@192.168.1.41?backend=python-kasa&user=me@example.org&password_env=KASA_PASSWORD``.

Outlets of a strip are addressed by the ids in its ``get_sysinfo`` [from memory].

Renewal: about once a second, a mean of about that second [from memory].
Counters: the plug's own, 1 Wh (3600 J) a step, far too coarse for a curve.
Loss: none; TCP delivers whole replies or an error.
Tested on: an emulated wire, recorded frames, a stand-in for python-kasa; real hardware: none yet.
"""

from typing import TYPE_CHECKING

from energymeter.drivers.links.tcp import secret, split_host
from energymeter.drivers.protocols.kasa_tcp import PORT, OldKasa
from energymeter.errors import EnergyMeterError, SourceError, SpecError, not_open
from energymeter.reading import Band, Facts, Reading
from energymeter.source import Counters
from energymeter.units import number

if TYPE_CHECKING:
    from energymeter.drivers.protocols.kasa_lib import PythonKasa

__all__ = ["Kasa"]

_MOST_WATTS = 10e3
"""An outlet, or a strip of them."""
_WATTS = (("power_mw", 1e-3), ("power", 1.0))
_VOLTS = (("voltage_mv", 1e-3), ("voltage", 1.0))
_AMPS = (("current_ma", 1e-3), ("current", 1.0))
_JOULES = (("total_wh", 3600.0), ("total", 3.6e6))


class Kasa:
    """A Kasa plug, or one outlet of a strip.

    Args:
        address: the plug's address, with a port if it is not 9999.
        outlet: of a strip, from 0; -1: a plug that is not one.
        backend: ``tcp``, the old protocol, or ``python-kasa`` for newer plugs.
        user, password: of the maker's app, for ``python-kasa``; ``password_env`` names an environment
            variable instead.
        timeout: seconds one answer may take.

    Raises:
        SpecError: no address or outlet.
    """

    facts = Facts(
        place="wall",
        watts=Band(gain=0.01, offset=0.3, resolution=0.001),
        volts=Band(gain=0.01, resolution=0.001),
        amps=Band(gain=0.01, resolution=0.001),
        joules=Band(gain=0.01, resolution=3600.0),
        max_watts=_MOST_WATTS,
        renewal_seconds=1.0,
        smoothing_seconds=1.0,
        default_hz=1.0,
        max_hz=1.0,
    )

    def __init__(
        self,
        address: str = "",
        *,
        outlet: int = -1,
        backend: str = "tcp",
        user: str = "",
        password: str = "",
        password_env: str = "",
        timeout: float = 1.5,
    ) -> None:
        self._host, self._port = split_host(address, PORT)
        if outlet < -1 or timeout <= 0 or backend not in ("tcp", "python-kasa"):
            raise SpecError("kasa: outlet counts from 0, timeout is above 0, backend is tcp or python-kasa")
        self.name = f"kasa@{address}" + (f"?outlet={outlet}" if outlet >= 0 else "")
        self.identity = ""
        self._outlet, self._backend, self._timeout = outlet, backend, timeout
        self._user, self._password, self._password_env = user, password, password_env
        self._wire: OldKasa | PythonKasa | None = None
        self._last: dict[str, object] = {}

    def open(self) -> None:
        """Learn which plug this is, and ask once.

        Raises:
            ExtraMissing: python-kasa is asked for and not installed.
            SpecError: ``password_env`` names a variable that is not set.
            SourceMissing: nothing answers there, it has no meter, or no such outlet.
            SourceForbidden, SourceTimeout, SourceError: as the message says.
        """
        self.close()
        self._wire = self._make()
        try:
            self._wire.open()
            self.read()
        except EnergyMeterError:
            self.close()
            raise
        self.identity = self._wire.identity

    def read(self) -> Reading:
        """Ask once; a lost connection is made again.

        Raises:
            SourceError: no answer, an error code, or an answer without a power.
        """
        now = self._last = self._now()
        watts = _first(now, _WATTS)
        if watts is None:
            raise SourceError(
                f"{self.name} gives no power ({', '.join(now) or 'nothing'}); check that this model meters "
                "energy"
            )
        return Reading(volts=_first(now, _VOLTS), amps=_first(now, _AMPS), watts=watts)

    def counters(self) -> Counters:
        """The plug's own running energy counter as of the last answer."""
        return Counters(_first(self._last, _JOULES), None, joules_step=3600.0)

    def close(self) -> None:
        """Drop the connection."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def _make(self) -> "OldKasa | PythonKasa":
        if self._backend == "tcp":
            return OldKasa(self._host, self._port, name=self.name, outlet=self._outlet, timeout=self._timeout)
        from energymeter.drivers.protocols.kasa_lib import PythonKasa  # brings asyncio with it

        password = secret(self._password, self._password_env, self.name)
        return PythonKasa(
            self._host,
            name=self.name,
            outlet=self._outlet,
            user=self._user,
            password=password,
            timeout=self._timeout,
        )

    def _now(self) -> dict[str, object]:
        if self._wire is None:
            raise not_open(self.name)
        return self._wire.now()


def _first(values: dict[str, object], names: tuple[tuple[str, float], ...]) -> float | None:
    for name, scale in names:
        value = number(values.get(name))
        if value is not None:
            return value * scale
    return None
