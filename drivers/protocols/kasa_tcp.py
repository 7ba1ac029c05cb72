"""The old Kasa protocol: TCP port 9999, a length, and JSON under a cipher that hides nothing.

A 32-bit big-endian length, then every byte XORed with the cipher byte before it, the first one with 171
(softscheck.com/en/reverse-engineering-tp-link-hs110).
"""

import json
import socket
import struct
import time

from energymeter.drivers.links.tcp import connect, network_error
from energymeter.errors import SourceError, SourceMissing, SourceTimeout
from energymeter.text import printable

PORT = 9999
_FIRST_KEY = 171
_MAX_REPLY = 1 << 16


class OldKasa:
    """Questions to one plug over a connection that is kept while the plug keeps it.

    Args:
        name: what to call the source in errors.
        outlet: of a strip, from 0; -1: a plug that is not one.
        timeout: seconds one answer may take.
    """

    def __init__(self, host: str, port: int, *, name: str, outlet: int, timeout: float) -> None:
        self._host, self._port, self._name = host, port, name
        self._outlet, self._timeout = outlet, timeout
        self._context: dict[str, object] = {}
        self._socket: socket.socket | None = None
        self.identity = ""

    def open(self) -> None:
        """Learn which plug or outlet this is; one that will not say stays nameless.

        Raises:
            SourceMissing, SourceTimeout, SourceError: as the message says.
        """
        info = self.ask({"system": {"get_sysinfo": {}}}).get("system", {})
        info = info.get("get_sysinfo", {}) if isinstance(info, dict) else {}
        if not isinstance(info, dict):
            info = {}
        self.identity = printable(str(info.get("deviceId") or info.get("mac") or info.get("mic_mac") or ""))
        if self._outlet < 0:
            return
        children = info.get("children")
        outlets = [c for c in children if isinstance(c, dict)] if isinstance(children, list) else []
        if self._outlet >= len(outlets):
            raise SourceMissing(
                f"{self._name} has {len(outlets)} outlets, counted from 0; correct outlet= or leave it out"
            )
        child = str(outlets[self._outlet].get("id", ""))
        child = child if len(child) > 2 else f"{info.get('deviceId', '')}{child}"
        self._context = {"context": {"child_ids": [child]}}
        self.identity = printable(child)

    def now(self) -> dict[str, object]:
        """The meter's values, under the names that this plug gives them.

        Raises:
            SourceMissing, SourceTimeout, SourceError: as the message says.
        """
        meter = self.ask({**self._context, "emeter": {"get_realtime": {}}}).get("emeter")
        now = meter.get("get_realtime") if isinstance(meter, dict) else None
        if not isinstance(now, dict):
            said = meter.get("err_msg", meter) if isinstance(meter, dict) else "nothing"
            raise SourceMissing(
                f"{self._name} has no energy meter ({printable(f'{said!s:.80}')}); use a model that has one "
                "(an HS100 or a "
                "bulb has none)"
            )
        if now.get("err_code", 0) != 0:
            said = printable(f"{now.get('err_code')}: {now.get('err_msg', 'no message')!s:.80}")
            raise SourceError(f"{self._name} refuses ({said}); a strip wants outlet=")
        return now

    def close(self) -> None:
        """Drop the connection; the next question makes a new one."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def ask(self, request: dict[str, object]) -> dict[str, object]:
        """The plug's answer.

        Raises:
            SourceMissing, SourceTimeout, SourceError: as the message says.
        """
        reused = self._socket is not None
        deadline = time.monotonic() + self._timeout
        try:
            try:
                plain = self._exchange(request, deadline)
            except ConnectionError:
                self.close()
                if not reused:  # only a kept connection may have been closed behind our back
                    raise
                plain = self._exchange(request, deadline)
        except SourceError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise network_error(error, self._name) from error
        try:
            reply = json.loads(plain)
        except (ValueError, RecursionError) as error:
            self.close()
            raise SourceError(
                f"{self._name} answers no JSON; newer plugs speak another protocol, see exec"
            ) from error
        if not isinstance(reply, dict):
            raise SourceError(f"{self._name} answers no JSON object; is it a Kasa plug?")
        return reply

    def _exchange(self, request: dict[str, object], deadline: float) -> bytes:
        if self._socket is None:
            self._socket = connect(self._host, self._port, deadline)
        secret = encipher(json.dumps(request, separators=(",", ":")).encode())
        self._socket.settimeout(self._timeout)
        self._socket.sendall(struct.pack(">I", len(secret)) + secret)
        (size,) = struct.unpack(">I", self._receive(4, deadline))
        if size > _MAX_REPLY:
            raise SourceError(
                f"{self._name} does not speak the old Kasa protocol; newer plugs need exec, see its page"
            )
        return decipher(self._receive(size, deadline))

    def _receive(self, size: int, deadline: float) -> bytes:
        assert self._socket is not None
        got = bytearray()
        while len(got) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise SourceTimeout(
                    f"{self._name} is too slow: no answer within {self._timeout:g} s; increase timeout="
                )
            self._socket.settimeout(left)
            chunk = self._socket.recv(size - len(got))
            if not chunk:
                raise ConnectionResetError("closed by the plug")
            got += chunk
        return bytes(got)


def encipher(plain: bytes) -> bytes:
    key, out = _FIRST_KEY, bytearray()
    for byte in plain:
        key ^= byte
        out.append(key)
    return bytes(out)


def decipher(secret: bytes) -> bytes:
    return bytes(byte ^ key for byte, key in zip(secret, bytes([_FIRST_KEY]) + secret, strict=False))
