"""Meters that speak HTTP: GET over one connection that is kept, logged in where asked to.

Logins are Basic (RFC 7617) and Digest (RFC 7616). urllib's digest handler knows MD5 and SHA-1 only
(``urllib.request.AbstractDigestAuthHandler``), while Shelly Gen2+ insists on SHA-256; so RFC 7616 is done
here, with the standard library alone.
"""

import base64
import hashlib
import io
import json
import os
import re
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from energymeter.drivers.links.tcp import connect, network_error, secret, split_host
from energymeter.errors import (
    EnergyMeterError,
    SourceError,
    SourceForbidden,
    SourceTimeout,
    SpecError,
    not_open,
)
from energymeter.reading import Reading
from energymeter.text import printable

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

MOST_BYTES = 1 << 20
"""No meter's status comes near; a wrong address may answer with anything."""

MOST_WATTS = 100e3
"""Three phases of 120 A, the largest meter for a house."""

_PART = re.compile(
    r'(?:(?P<scheme>[A-Za-z][\w-]*)\s+)?(?P<key>[\w-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))'
)
_HASHES = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}
"""RFC 7616 §6.1, strongest first; SHA-512-256 is left out: OpenSSL builds without it are common."""


class Answer(NamedTuple):
    """What the server said."""

    status: int
    body: bytes


class HttpClient:
    """GET requests to one server over a connection that is kept.

    ``timeout`` seconds are the limit of all of it: connecting, logging in, headers, interim answers, body.

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
        self._deadline = 0.0

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
            raise not_open(self._name)
        try:
            self._deadline = time.monotonic() + self._timeout
            return self._get(target)
        except SourceError:
            self._drop()
            raise
        except OSError as error:
            self._drop()
            raise network_error(error, self._name) from error
        except (HTTPException, ValueError) as error:
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

    def _get(self, target: str) -> Answer:
        fresh = False
        while True:
            answer, asked = self._exchange(target)
            if answer.status != 401:
                return answer
            if not self.password:
                raise SourceForbidden(f"{self._name} asks for a password; give password= or password_env=")
            offered = login(asked, self._user, self.password)
            if not asked:
                raise SourceForbidden(f"{self._name} refuses the user name or password; check both")
            if offered is None:
                raise SourceForbidden(
                    f"{self._name} asks for a kind of login that is not supported here; set it to Basic or "
                    "Digest"
                )
            if fresh and not offered.stale:
                raise SourceForbidden(f"{self._name} refuses the user name or password; check both")
            self._login, fresh = offered, True

    def _exchange(self, target: str) -> tuple[Answer, list[str]]:
        reused = self._connection is not None
        try:
            return self._round_trip(target)
        except ConnectionError:
            self._drop()
            if not reused:  # only a kept connection may have been closed behind our back
                raise
            return self._round_trip(target)

    def _round_trip(self, target: str) -> tuple[Answer, list[str]]:
        connection = self._connection or self._connect()
        self._connection = connection
        connection.sock.settimeout(self._left())
        headers = {"Accept": "application/json"}
        if self._login is not None:
            headers["Authorization"] = self._login.header(target)
        connection.request("GET", target, headers=headers)
        with connection.getresponse() as response:  # closes the answer, not the connection
            body = bytearray()
            while chunk := response.read1(65536):
                body += chunk
                if len(body) > MOST_BYTES:
                    raise SourceError(f"{self._name} answers with more than a megabyte; check the address")
        promised = response.headers.get("Content-Length", "")
        if re.fullmatch("[0-9]{1,18}", promised) and len(body) < int(promised):
            raise ConnectionResetError("the answer is cut short")
        if response.will_close:
            self._drop()
        return Answer(response.status, bytes(body)), response.headers.get_all("WWW-Authenticate") or []

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise SourceTimeout(
                f"{self._name} is too slow: no whole answer within {self._timeout:g} s; increase timeout="
            )
        return left

    def _connect(self) -> "HTTPConnection":
        from http.client import HTTPConnection

        connection = HTTPConnection(self._host, self._port)
        sock = connect(self._host, self._port, self._deadline)
        if self._tls:
            import ssl  # 10 ms for those who need it

            try:
                sock.settimeout(self._left())
                sock = ssl.create_default_context().wrap_socket(sock, server_hostname=self._host)
            except BaseException:
                sock.close()
                raise
        connection.sock = sock
        response: Any = self._response
        connection.response_class = response
        return connection

    def _response(self, sock: socket.socket, *args: Any, **options: Any) -> "HTTPResponse":
        """What http.client makes of an answer, every single read of which keeps to the deadline."""
        from http.client import HTTPResponse

        limited: Any = _Limited(sock, self._left)
        return HTTPResponse(limited, *args, **options)


class _Limited(io.RawIOBase):
    """A socket as http.client reads it: each read may take what is left of the time, and no more."""

    def __init__(self, sock: socket.socket, left: Callable[[], float]) -> None:
        self._sock, self._left = sock, left
        self._file = sock.makefile("rb", buffering=0)  # keeps it open when http.client has done with it

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._left())
        return self._file.readinto(buffer) or 0

    def close(self) -> None:
        self._file.close()
        super().close()


def challenges(headers: list[str]) -> list[tuple[str, dict[str, str]]]:
    """Every challenge in the ``WWW-Authenticate`` headers: its scheme in lower case, its parameters.

    >>> challenges(['Basic realm="a", Digest realm="b, c", qop="auth"'])
    [('basic', {'realm': 'a'}), ('digest', {'realm': 'b, c', 'qop': 'auth'})]
    """
    found: list[tuple[str, dict[str, str]]] = []
    for part in _PART.finditer(", ".join(headers)):
        if part["scheme"]:
            found.append((part["scheme"].lower(), {}))
        if found:
            value = part["plain"] if part["quoted"] is None else re.sub(r"\\(.)", r"\1", part["quoted"])
            found[-1][1][part["key"].lower()] = value
    return found


class Basic:
    """RFC 7617: name and password, all but in the clear."""

    stale = False

    def __init__(self, user: str, password: str) -> None:
        self._token = base64.b64encode(f"{user}:{password}".encode()).decode()

    def header(self, uri: str) -> str:
        return f"Basic {self._token}"


class Digest:
    """RFC 7616: a nonce's worth of answers, counted so that none can be replayed.

    Raises:
        ValueError: an algorithm or quality of protection that is not spoken here.
    """

    def __init__(self, challenge: dict[str, str], user: str, password: str) -> None:
        self.stale = challenge.get("stale", "").lower() == "true"
        self._challenge = challenge
        self._user, self._password = user, password
        self._count = 0
        algorithm = challenge.get("algorithm", "MD5").upper()
        self._session = algorithm.endswith("-SESS")
        self._hash = _HASHES.get(algorithm.removesuffix("-SESS"))
        offered = {q.strip().lower() for q in challenge.get("qop", "").split(",")} - {""}
        if self._hash is None or (offered and "auth" not in offered):
            raise ValueError(f"{algorithm} {challenge.get('qop', '')}")
        self.strength = -list(_HASHES).index(algorithm.removesuffix("-SESS"))
        self._qop = bool(offered)

    def _h(self, text: str) -> str:
        assert self._hash is not None
        return self._hash(text.encode(), usedforsecurity=False).hexdigest()

    def header(self, uri: str) -> str:
        """The ``Authorization`` value of the next GET of ``uri``."""
        realm, nonce = self._challenge.get("realm", ""), self._challenge.get("nonce", "")
        self._count += 1
        nc, cnonce = f"{self._count:08x}", os.urandom(8).hex()
        ha1 = self._h(f"{self._user}:{realm}:{self._password}")
        if self._session:
            ha1 = self._h(f"{ha1}:{nonce}:{cnonce}")
        ha2 = self._h(f"GET:{uri}")
        middle = f"{nonce}:{nc}:{cnonce}:auth" if self._qop else nonce
        hashed = self._challenge.get("userhash", "").lower() == "true"
        user = self._h(f"{self._user}:{realm}") if hashed else self._user
        quoted = {
            "username": user,
            "realm": realm,
            "nonce": nonce,
            "uri": uri,
            "response": self._h(f"{ha1}:{middle}:{ha2}"),
        }
        if "opaque" in self._challenge:
            quoted["opaque"] = self._challenge["opaque"]
        bare = {"algorithm": self._challenge["algorithm"]} if "algorithm" in self._challenge else {}
        if self._qop:
            bare |= {"qop": "auth", "nc": nc}
        if self._qop or self._session:
            quoted["cnonce"] = cnonce
        if hashed:
            bare["userhash"] = "true"
        parts = [f'{k}="{_escape(v)}"' for k, v in quoted.items()] + [f"{k}={v}" for k, v in bare.items()]
        return "Digest " + ", ".join(parts)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def login(headers: list[str], user: str, password: str) -> Basic | Digest | None:
    """The strongest way in that both sides know; ``None`` if there is none."""
    digests: list[Digest] = []
    basic = False
    for scheme, challenge in challenges(headers):
        basic = basic or scheme == "basic"
        if scheme == "digest":
            try:
                digests.append(Digest(challenge, user, password))
            except ValueError:
                continue  # a stronger algorithm than ours is offered with one that we know, or alone
    if digests:
        return max(digests, key=lambda digest: digest.strength)
    return Basic(user, password) if basic else None


class HttpMeter:
    """A meter on the network that is asked over HTTP, behind a login if it has one; a driver adds ``read``.

    Args:
        address: its address, with a port if it is not 80.
        name: of the source.
        user: for the login.
        password: for the login; ``password_env`` names an environment variable instead.
        timeout: seconds one answer may take.

    Raises:
        SpecError: no address, or a timeout that is none.
    """

    def __init__(
        self,
        address: str,
        name: str,
        user: str,
        *,
        password: str = "",
        password_env: str = "",
        timeout: float = 1.5,
    ) -> None:
        if not timeout > 0:
            raise SpecError(f"{name}: timeout={timeout:g} is out of range: give more than 0 s")
        self.name = name
        self.identity = ""
        """Which device it is, as it says itself; empty where it does not."""
        self._client = HttpClient(
            *split_host(address, 80),
            name=name,
            user=user,
            password=password,
            password_env=password_env,
            timeout=timeout,
        )

    def open(self) -> None:
        """Ask once, and learn which device this is.

        Raises:
            SpecError: ``password_env`` names a variable that is not set.
            SourceMissing: nothing answers there, or a device that meters nothing.
            SourceForbidden: it wants another password.
            SourceTimeout, SourceError: as the message says.
        """
        self.close()
        self._client.open()
        try:
            self._learn()
            self.read()
            self.identity = self._who()
        except EnergyMeterError:
            self.close()
            raise

    def read(self) -> Reading:
        """Ask once; a lost connection is made again.

        Raises:
            SourceError: no answer, an error object, or an answer without a power.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def _learn(self) -> None:
        """What has to be known before the first reading."""

    def _identify(self) -> str:
        """Which device it is; empty if it does not say.

        Raises:
            SourceError: it does not answer.
        """
        raise NotImplementedError

    def _who(self) -> str:
        try:
            return printable(self._identify())
        except SourceForbidden:
            raise
        except SourceError:
            return ""
