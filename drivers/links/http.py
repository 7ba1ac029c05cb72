"""Link helper for meters that speak HTTP: GET over one connection that is kept, logged in where asked to."""

import json
import time
from typing import TYPE_CHECKING, NamedTuple

from energymeter.drivers.links.login import Basic, Digest, login
from energymeter.drivers.links.tcp import network_error, secret
from energymeter.errors import SourceError, SourceForbidden, SourceTimeout

if TYPE_CHECKING:
    from http.client import HTTPConnection

_MAX_BODY = 1 << 20
"""No meter's status comes near; a wrong address may answer with anything."""


class Answer(NamedTuple):
    """What the server said."""

    status: int
    body: bytes


class HttpClient:
    """GET requests to one server, each done within ``timeout`` seconds, over a connection that is kept.

    Args:
        host, port: where.
        name: what to call the source in errors; the request's path, which may hold a password, never is.
        password_env: the environment variable that holds the password, if ``password`` does not.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        name: str,
        tls: bool = False,
        user: str = "",
        password: str = "",
        password_env: str = "",
        timeout: float = 1.5,
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._name, self._timeout = name, timeout
        self._user, self._given = user, (password, password_env)
        self.password = ""
        """As ``open`` found it."""
        self._opened = False
        self._connection: HTTPConnection | None = None
        self._login: Basic | Digest | None = None

    def open(self) -> None:
        """Learn the password; the first ``get`` connects.

        Raises:
            SpecError: ``password_env`` names a variable that is not set.
        """
        self.close()
        self.password = secret(*self._given, self._name)
        self._opened = True

    def close(self) -> None:
        """Hang up, and answer no more until opened again."""
        self._opened, self._login = False, None
        self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def get(self, target: str) -> Answer:
        """One answer, logged in if asked to; any status but 401.

        Raises:
            SourceMissing, SourceTimeout, SourceForbidden, SourceError: as the message says.
        """
        from http.client import HTTPException

        if not self._opened:
            raise SourceError(f"{self._name} is not open; call open() first")
        try:
            return self._get(target, time.monotonic() + self._timeout)
        except SourceError:
            self._drop()
            raise
        except OSError as error:
            self._drop()
            raise network_error(error, self._name) from error
        except HTTPException as error:
            self._drop()
            raise SourceError(
                f"{self._name} does not speak HTTP ({type(error).__name__}); check the address and port"
            ) from error

    def get_json(self, target: str) -> object:
        """The decoded body of a 200.

        Raises:
            SourceError: another status, or no JSON; and as `get`.
        """
        answer = self.get(target)
        if answer.status != 200:
            raise SourceError(
                f"{self._name} answers with HTTP status {answer.status}; is it the right device?"
            )
        return self.decode(answer)

    def decode(self, answer: Answer) -> object:
        """The body as JSON."""
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise SourceError(
                f"{self._name} answers with something else than JSON; check the address"
            ) from error

    def _get(self, target: str, deadline: float) -> Answer:
        fresh = False
        while True:
            answer, asked = self._exchange(target, deadline)
            if answer.status != 401:
                return answer
            if not self.password:
                raise SourceForbidden(f"{self._name} asks for a password; give password= or password_env=")
            offered = login(asked, self._user, self.password)
            if not asked:
                raise SourceForbidden(f"{self._name} refuses the user name or password; check both")
            if offered is None:
                raise SourceForbidden(f"{self._name} asks for a kind of login that is not spoken here")
            if fresh and not offered.stale:
                raise SourceForbidden(f"{self._name} refuses the user name or password; check both")
            self._login, fresh = offered, True

    def _exchange(self, target: str, deadline: float) -> tuple[Answer, list[str]]:
        reused = self._connection is not None
        try:
            return self._round_trip(target, deadline)
        except ConnectionError:
            self._drop()
            if not reused:  # only a kept connection may have been closed behind our back
                raise
            return self._round_trip(target, deadline)

    def _round_trip(self, target: str, deadline: float) -> tuple[Answer, list[str]]:
        connection = self._connection or self._connect()
        self._connection = connection
        connection.timeout = self._left(deadline)
        if connection.sock is not None:
            connection.sock.settimeout(connection.timeout)
        headers = {"Accept": "application/json"}
        if self._login is not None:
            headers["Authorization"] = self._login.header(target)
        connection.request("GET", target, headers=headers)
        sock = connection.sock
        response = connection.getresponse()
        body = bytearray()
        while chunk := response.read1(65536):
            body += chunk
            if len(body) > _MAX_BODY:
                raise SourceError(f"{self._name} answers with more than a megabyte; check the address")
            sock.settimeout(self._left(deadline))
        response.close()  # of the answer, not of the connection
        promised = response.headers.get("Content-Length", "")
        if promised.isdigit() and len(body) < int(promised):
            raise ConnectionResetError("the answer is cut short")
        if response.will_close:
            self._drop()
        return Answer(response.status, bytes(body)), response.headers.get_all("WWW-Authenticate") or []

    def _left(self, deadline: float) -> float:
        left = deadline - time.monotonic()
        if left <= 0:
            raise SourceTimeout(f"{self._name} is too slow: no whole answer within {self._timeout:g} s")
        return left

    def _connect(self) -> "HTTPConnection":
        from http.client import HTTPConnection, HTTPSConnection

        return (HTTPSConnection if self._tls else HTTPConnection)(
            self._host, self._port, timeout=self._timeout
        )
