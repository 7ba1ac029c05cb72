"""TP-Link Kasa plugs with energy metering (HS110, KP115, KP125, EP25, HS300), over their old local protocol.

    kasa@192.168.1.40
    kasa@strip.lan?outlet=2

Wiring: between the wall and the power supply of what is measured; so the supply's losses are in it.
Resolution: 1 mW, 1 mV, 1 mA (first HS110: finer digits that mean nothing). Accuracy: ±1 % [M], poor below
3 W; so ±1 % and ±0.3 W here. Rate: about once a second; asking faster repeats it.

Semantics: instants. The plug's own counter (1 Wh = 3600 J a step) is far too coarse for a curve and is
there for a cross-check in `Kasa.counters`. Watts are the plug's own. Volts and amps are RMS: their product is
volt-amperes, not watts (a recorded HS110 shows 3.45 VA at 0.93 W).
Loss detection: none; TCP delivers whole replies or an error.

The protocol is TCP port 9999, a 32-bit big-endian length, and JSON enciphered byte by byte with the
previous cipher byte, beginning with 171 (softscheck.com/en/reverse-engineering-tp-link-hs110). It needs no
package. The first HS110 gives A, V, W and kWh, its successors mA, mV, mW and Wh; both are read.
Newer firmware (KLAP: EP25 hardware 2.6, KP125M) and Tapo plugs do not speak it: read them with another
program, such as python-kasa (GPL-3.0, no part of this package), through ``exec``:
``exec@"kasa --json --host ADDRESS energy"?watts=$.current`` [M: the path is from memory].
Outlets of a strip are addressed by the ids in its ``get_sysinfo`` [M].
Tested on an emulated device and recorded replies; not on real hardware.
"""

import json
import socket
import struct
import time

from energymeter.drivers._net import network_error, split_host
from energymeter.errors import SourceError, SourceMissing, SourceTimeout, SpecError
from energymeter.reading import Band, Facts, Reading
from energymeter.units import number

__all__ = ["Kasa"]

_FIRST_KEY = 171
_MAX_REPLY = 1 << 16
_WATTS = (("power_mw", 1e-3), ("power", 1.0))
_VOLTS = (("voltage_mv", 1e-3), ("voltage", 1.0))
_AMPS = (("current_ma", 1e-3), ("current", 1.0))
_JOULES = (("total_wh", 3600.0), ("total", 3.6e6))


class Kasa:
    """A Kasa plug, or one outlet of a strip.

    Args:
        place: the plug's address, with a port if it is not 9999.
        outlet: of a strip, from 0; -1: a plug that is not one.
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
        default_hz=1.0,
        max_hz=1.0,
    )

    def __init__(self, place: str, *, outlet: int = -1, timeout: float = 1.5) -> None:
        self._host, self._port = split_host(place, 9999)
        if outlet < -1 or timeout <= 0:
            raise SpecError("kasa: outlet counts from 0, timeout is above 0")
        self.name = f"kasa@{place}" + (f"?outlet={outlet}" if outlet >= 0 else "")
        self.identity = ""
        self._outlet, self._timeout = outlet, timeout
        self._context: dict[str, object] = {}
        self._socket: socket.socket | None = None
        self._opened = False

    def open(self) -> None:
        """Learn which plug this is, and ask once.

        Raises:
            SourceMissing: nothing answers there, it has no meter, or no such outlet.
            SourceTimeout, SourceError: as the message says.
        """
        self.close()
        self._opened = True
        try:
            self._learn()
            self.read()
        except SourceError:
            self.close()
            raise

    def read(self) -> Reading:
        """Ask once; a lost connection is made anew.

        Raises:
            SourceError: no answer, an error code, or an answer without a power.
        """
        now = self._realtime()
        watts = _first(now, _WATTS)
        if watts is None:
            raise SourceError(
                f"{self.name} gives no power ({', '.join(now) or 'nothing'}); it cannot be used"
            )
        return Reading(volts=_first(now, _VOLTS), amps=_first(now, _AMPS), watts=watts)

    def counters(self) -> Reading:
        """The plug's own running energy counter, to hold our integral against.

        Raises:
            SourceError: as `read`.
        """
        return Reading(joules=_first(self._realtime(), _JOULES))

    def close(self) -> None:
        """Drop the connection."""
        self._opened, self._context = False, {}
        self._drop()

    def _drop(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def _learn(self) -> None:
        info = self._ask({"system": {"get_sysinfo": {}}}).get("system", {})
        info = info.get("get_sysinfo", {}) if isinstance(info, dict) else {}
        if not isinstance(info, dict):
            info = {}
        self.identity = str(info.get("deviceId") or info.get("mac") or info.get("mic_mac") or "")
        if self._outlet < 0:
            return
        children = info.get("children")
        if not isinstance(children, list) or self._outlet >= len(children):
            count = len(children) if isinstance(children, list) else 0
            raise SourceMissing(
                f"{self.name} has {count} outlets, counted from 0; correct outlet= or leave it out"
            )
        child = str(children[self._outlet].get("id", ""))
        child = child if len(child) > 2 else f"{info.get('deviceId', '')}{child}"
        self._context = {"context": {"child_ids": [child]}}
        self.identity = child

    def _realtime(self) -> dict[str, object]:
        meter = self._ask({**self._context, "emeter": {"get_realtime": {}}}).get("emeter")
        now = meter.get("get_realtime") if isinstance(meter, dict) else None
        if not isinstance(now, dict):
            said = meter.get("err_msg", meter) if isinstance(meter, dict) else "nothing"
            raise SourceMissing(
                f"{self.name} has no energy meter ({said!s:.80}); an HS100 or a bulb has none"
            )
        if now.get("err_code", 0) != 0:
            said = f"{now.get('err_code')}: {now.get('err_msg', 'no message')!s:.80}"
            raise SourceError(f"{self.name} refuses ({said}); a strip wants outlet=")
        return now

    def _ask(self, request: dict[str, object]) -> dict[str, object]:
        if not self._opened:
            raise SourceError(f"{self.name} is not open; call open() first")
        reused = self._socket is not None
        deadline = time.monotonic() + self._timeout
        try:
            try:
                plain = self._exchange(request, deadline)
            except ConnectionError:
                self._drop()
                if not reused:  # only a kept connection may have been closed behind our back
                    raise
                plain = self._exchange(request, deadline)
        except SourceError:
            self._drop()
            raise
        except OSError as error:
            self._drop()
            raise network_error(error, self.name) from error
        try:
            reply = json.loads(plain)
        except ValueError as error:
            self._drop()
            raise SourceError(
                f"{self.name} answers no JSON; newer plugs speak another protocol, see exec"
            ) from error
        if not isinstance(reply, dict):
            raise SourceError(f"{self.name} answers no JSON object; is it a Kasa plug?")
        return reply

    def _exchange(self, request: dict[str, object], deadline: float) -> bytes:
        if self._socket is None:
            self._socket = socket.create_connection((self._host, self._port), timeout=self._timeout)
        secret = _encipher(json.dumps(request, separators=(",", ":")).encode())
        self._socket.settimeout(self._timeout)
        self._socket.sendall(struct.pack(">I", len(secret)) + secret)
        (size,) = struct.unpack(">I", self._receive(4, deadline))
        if size > _MAX_REPLY:
            raise SourceError(
                f"{self.name} does not speak the old Kasa protocol; newer plugs need exec, see its page"
            )
        return _decipher(self._receive(size, deadline))

    def _receive(self, size: int, deadline: float) -> bytes:
        assert self._socket is not None
        got = bytearray()
        while len(got) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise SourceTimeout(f"{self.name} is too slow: no whole answer within {self._timeout:g} s")
            self._socket.settimeout(left)
            chunk = self._socket.recv(size - len(got))
            if not chunk:
                raise ConnectionResetError("closed by the plug")
            got += chunk
        return bytes(got)


def _first(values: dict[str, object], names: tuple[tuple[str, float], ...]) -> float | None:
    for name, scale in names:
        value = number(values.get(name))
        if value is not None:
            return value * scale
    return None


def _encipher(plain: bytes) -> bytes:
    key, out = _FIRST_KEY, bytearray()
    for byte in plain:
        key ^= byte
        out.append(key)
    return bytes(out)


def _decipher(secret: bytes) -> bytes:
    return bytes(byte ^ key for byte, key in zip(secret, bytes([_FIRST_KEY]) + secret, strict=False))
