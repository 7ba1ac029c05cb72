"""A strict little web server on 127.0.0.1 for emulated plugs, with the digest login of RFC 7616."""

import base64
import contextlib
import hashlib
import re
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Said(NamedTuple):
    """An answer."""

    status: int
    body: str | bytes
    headers: tuple[tuple[str, str], ...] = ()


Route = Callable[[str, dict[str, str]], Said]


class Web:
    """Serves ``route(target, headers)``; a context manager that can vanish and come back on its port."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.requests: list[str] = []
        self.connections = 0
        self.port = 0
        self._open: set[socket.socket] = set()
        self._server: ThreadingHTTPServer | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> "Web":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.vanish()

    def start(self) -> None:
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                web.connections += 1
                web._open.add(self.connection)

            def finish(self) -> None:
                web._open.discard(self.connection)
                super().finish()

            def do_GET(self) -> None:
                web.requests.append(self.path)
                said = web.route(self.path, {k.lower(): v for k, v in self.headers.items()})
                body = said.body.encode() if isinstance(said.body, str) else said.body
                self.send_response(said.status)
                for key, value in said.headers:
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True).start()

    def hang_up(self) -> None:
        """Close every connection, but go on listening, as a plug does after idle time."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):  # the other side was first
                connection.shutdown(socket.SHUT_RDWR)

    def vanish(self) -> None:
        """Pull the plug."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            self.hang_up()


def response(
    hash_name: str, user: str, realm: str, password: str, uri: str, nonce: str, nc: str, cnonce: str
) -> str:
    """RFC 7616 §3.4.1 with qop=auth."""

    def h(text: str) -> str:
        return hashlib.new(hash_name, text.encode()).hexdigest()

    secret = h(":".join((user, realm, password)))
    return h(":".join((secret, nonce, nc, cnonce, "auth", h("GET:" + uri))))


class DigestLogin:
    """Lets a route's requests through when they answer its challenge, and checks all that they say.

    Args:
        uses: how many requests a nonce is good for.
        say_stale: whether a worn-out nonce is called stale; some devices just send a new one.
    """

    def __init__(
        self,
        route: Route,
        password: str,
        *,
        user: str = "admin",
        algorithm: str = "SHA-256",
        uses: int = 1000,
        say_stale: bool = True,
        also: str = "",
    ) -> None:
        self._route, self._user, self._password = route, user, password
        self._algorithm, self._uses, self._say_stale, self._also = algorithm, uses, say_stale, also
        self._nonce, self._seen = 0, 0
        self.refused: list[str] = []
        self.counts: list[int] = []

    def __call__(self, target: str, headers: dict[str, str]) -> Said:
        why = self._why_not(target, headers.get("authorization", ""))
        if not why:
            return self._route(target, headers)
        self.refused.append(why)
        stale = why == "stale" and self._say_stale
        self._nonce, self._seen = self._nonce + 1, 0
        challenge = (
            f'Digest qop="auth", realm="plug-{self._user}", nonce="{self._nonce:x}", '
            f'algorithm={self._algorithm}, opaque="xyz"{", stale=true" if stale else ""}'
        )
        return Said(401, "", (("WWW-Authenticate", f"{self._also}{challenge}"),))

    def _why_not(self, target: str, authorization: str) -> str:
        if not authorization.startswith("Digest "):
            return "no answer"
        said = {
            m[1]: m[2] if m[2] is not None else m[3]
            for m in re.finditer(r'(\w+)=(?:"([^"]*)"|([^",\s]+))', authorization)
        }
        if said["nonce"] != f"{self._nonce:x}":
            return "stale"
        count = int(said["nc"], 16)
        if len(said["nc"]) != 8 or count != self._seen + 1:
            return f"replayed or skipped: {said['nc']} after {self._seen}"
        if count > self._uses:
            return "stale"
        name = {"SHA-256": "sha256", "MD5": "md5"}[said["algorithm"]]
        asked = (said["username"], said["uri"], said["qop"], said["opaque"], said["algorithm"], said["realm"])
        if asked != (self._user, target, "auth", "xyz", self._algorithm, f"plug-{self._user}"):
            return f"garbled {asked}"
        right = response(
            name, self._user, said["realm"], self._password, target, said["nonce"], said["nc"], said["cnonce"]
        )
        if said["response"] != right:
            return "wrong"
        self._seen = count
        self.counts.append(count)
        return ""


def basic(user: str, password: str) -> str:
    """The header of RFC 7617."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
