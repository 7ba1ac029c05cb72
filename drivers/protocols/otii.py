"""The Otii 3 application's TCP server: JSON objects ended by CR LF; it speaks first.

Source: qoitech/otii-tcp-client-python (MIT), otii_connection.py and otii_exception.py.
"""

import json
import socket
import time
from typing import Any

from energymeter.drivers.links.tcp import connect, network_error
from energymeter.errors import (
    SourceBusy,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    not_open,
)
from energymeter.text import printable

PORT = 1905
_MAX_LINE = 1 << 20
_REMEDIES = {
    "Not logged in": "log in to the Otii application, or give user= and password_env=",
    "No license": "reserve an Automation licence in the Otii application, or give user= and password_env=",
    "License could not be reserved": "free an Automation licence that another computer holds",
    "Could not login": "check user= and the password",
    "Connection denied": "switch the TCP server on in the Otii application's settings",
}


class OtiiServer:
    """Questions to the application over one connection.

    Args:
        name: what to call the source in errors.
        timeout: seconds one answer may take.
    """

    def __init__(self, host: str, port: int, *, name: str, timeout: float) -> None:
        self._host, self._port, self._name, self._timeout = host, port, name, timeout
        self._socket: socket.socket | None = None
        self._rest = b""
        self._serial = 0

    def open(self) -> None:
        """Connect, and hear that it is the application.

        Raises:
            SourceMissing, SourceTimeout, SourceError: as the message says.
        """
        try:
            self._socket = connect(self._host, self._port, time.monotonic() + self._timeout)
        except ConnectionRefusedError as error:
            raise SourceMissing(
                f"{self._name}: the Otii application does not listen; start it and switch its TCP server on"
            ) from error
        except OSError as error:
            raise network_error(error, self._name) from error
        hello = self._line(time.monotonic() + self._timeout)
        if hello.get("type") == "error":
            raise self._refused(hello)
        if hello.get("info") != "connected":
            raise SourceError(
                f"{self._name}: something else than the Otii application answers; check the port"
            )

    def close(self) -> None:
        """Hang up."""
        connection, self._socket, self._rest = self._socket, None, b""
        if connection is not None:
            connection.close()

    def ask(self, command: str, data: dict[str, Any], seconds: float = 0.0) -> dict[str, Any]:
        """One request's answer, which may take ``seconds`` more than usual.

        Raises:
            SourceError: and what else fits.
        """
        if self._socket is None:
            raise not_open(self._name)
        self._serial += 1
        request = {"type": "request", "cmd": command, "trans_id": str(self._serial), "data": data}
        deadline = time.monotonic() + self._timeout + seconds
        try:
            self._socket.settimeout(self._timeout)
            self._socket.sendall(json.dumps(request).encode() + b"\r\n")
        except OSError as error:
            raise network_error(error, self._name) from error
        while True:  # news and answers to requests that timed out come in between
            answer = self._line(deadline)
            if answer.get("trans_id") == str(self._serial):
                break
            if answer.get("type") == "error" and "trans_id" not in answer:
                break
        if answer.get("type") == "error":
            raise self._refused(answer)
        found = answer.get("data")
        return found if isinstance(found, dict) else {}

    def _line(self, deadline: float) -> dict[str, Any]:
        assert self._socket is not None
        while b"\r\n" not in self._rest:
            try:
                self._socket.settimeout(max(deadline - time.monotonic(), 1e-3))
                chunk = self._socket.recv(65536)
            except TimeoutError as error:
                raise SourceTimeout(
                    f"{self._name}: the Otii application does not answer; is it busy?"
                ) from error
            except OSError as error:
                raise network_error(error, self._name) from error
            if not chunk or len(self._rest) > _MAX_LINE:
                raise SourceMissing(f"{self._name}: the Otii application hung up; start it again")
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\r\n")
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise SourceError(f"{self._name} answers no JSON; check that the Otii application listens there")
        return answer

    def _refused(self, answer: dict[str, Any]) -> SourceError:
        code = printable(str(answer.get("errorcode", "an unnamed error"))[:80])
        if code in _REMEDIES:
            return SourceForbidden(f"{self._name}: {code}; {_REMEDIES[code]}")
        if code == "Device not connected":
            return SourceMissing(f"{self._name}: the device is not connected any more; plug it in again")
        if code == "Not ready":
            return SourceBusy(f"{self._name} is not ready; wait until the application has finished")
        data = answer.get("data")
        message = printable(f"{data.get('message', '')!s:.200}") if isinstance(data, dict) else ""
        return SourceError(f"{self._name}: {code} {message}".rstrip() + "; look at the Otii application")
