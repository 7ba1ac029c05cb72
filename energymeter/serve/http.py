"""The agent over HTTP: samples for other computers, and the pages and metrics of others under one port.

``GET /v1/sources``
    What is served.
``GET /v1/clock``
    When the question arrived and when its answer left, in ns of this computer's monotonic clock.
``GET /v1/stream/NAME``
    New samples in lines of JSON, from the newest on; ``?from=N,…&began=…`` goes on where a reader stopped.
    The first line has the channels and the byte order of this computer. In every other one, ``samples`` has
    for each channel with news its place, the number of the first sample, and the rows of
    `energymeter.sampling.memory` in Base64.
``POST /v1/spans/NAME``
    Calls of spans that a program has ended (`energymeter.sampling.span_message`); only with a token.

Every other path is that of a `Site`. Nothing listens beyond this computer without a token and TLS.
"""

import asyncio
import binascii
import hmac
import ipaddress
import json
import os
import socket
import stat
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from energymeter.errors import EnergyMeterError, ExtraMissing, SourceForbidden, SourceMissing, SpecError
from energymeter.paths import read_file
from energymeter.sampling.sampler import SampledChannel
from energymeter.sampling.span_message import SPANS_BYTES
from energymeter.serve.agent import Agent, ServedSource
from energymeter.serve.rejections import Rejections

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response as Answer

DEFAULT_LISTEN = "127.0.0.1:9736"
LEAST_TOKEN = 16
"""Characters; fewer can be guessed."""
MOST_TOKEN = 1024
MOST_CONNECTIONS = 512
MOST_STREAMS = 64
HEADER_BYTES = 16_384
REQUEST_SECONDS = 10.0
"""A connection that has sent no request by then is closed."""
STUCK_SECONDS = 10.0
"""One that has read nothing for so long, while its answers pile up, is closed too."""
_STEP_SECONDS = 0.05
_ALIVE_SECONDS = 0.25
_MOST_ROWS = 2000
"""In a line, of all channels together; more are sent in the next one, without a pause."""
_OPEN_SECONDS = 20.0


class Response(NamedTuple):
    """What a `Site` answers."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Site(Protocol):
    """What answers the paths that are not the agent's own."""

    def respond(self, method: str, target: str, headers: Mapping[str, str]) -> Response:
        """The answer to a GET or HEAD; called in a thread, so it may take its time.

        Args:
            method: ``GET`` or ``HEAD``.
            target: path and query.
            headers: by their names in lower case.
        """


def read_token(path: str) -> str:
    """The token in a file that nobody but its owner can read.

    Raises:
        SpecError: it cannot be read, others can read it, or it is too short.
    """
    try:
        text = read_file(path, MOST_TOKEN).decode("ascii").strip()
        others = stat.S_IMODE(os.stat(path).st_mode) & 0o077
    except (OSError, UnicodeDecodeError) as failure:
        raise SpecError(
            f"the token in {path} cannot be read; write one with `openssl rand -hex 32`"
        ) from failure
    if others:
        raise SpecError(f"others can read the token in {path}; protect it with `chmod 600`")
    if len(text) < LEAST_TOKEN or not text.isprintable() or " " in text:
        raise SpecError(
            f"the token in {path} has fewer than {LEAST_TOKEN} characters; write one with "
            "`openssl rand -hex 32`"
        )
    return text


def accepted(headers: Mapping[str, str], token: str | None) -> bool:
    """Whether a request has the token; in constant time.

    Args:
        headers: by their names in lower case.
        token: ``None``: none is needed.
    """
    if token is None:
        return True
    kind, _, given = headers.get("authorization", "").partition(" ")
    return hmac.compare_digest(given.strip().encode(), token.encode()) and kind.lower() == "bearer"


class Listen(NamedTuple):
    """Where and how it listens."""

    host: str
    port: int
    token: str | None = None
    certificate: str | None = None
    key: str | None = None

    @classmethod
    def of(
        cls, text: str, token: str | None = None, certificate: str | None = None, key: str | None = None
    ) -> "Listen":
        """``HOST:PORT``; what is not of this computer alone needs a token and TLS.

        Raises:
            SpecError: it is no address, or it is open to others without both.
        """
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not (host and port.isascii() and port.isdigit() and int(port) < 65_536):
            raise SpecError(f"{text!r} is no address to listen at; write it as in --listen {DEFAULT_LISTEN}")
        if (certificate is None) != (key is None):
            raise SpecError("TLS needs a certificate and its key; give --certificate and --key")
        listen = cls(host, int(port), token, certificate, key)
        if not listen.is_local and (token is None or certificate is None):
            raise SpecError(
                f"{host} can be reached from other computers; give --token-file, --certificate and --key, or "
                "listen at 127.0.0.1"
            )
        return listen

    @property
    def is_local(self) -> bool:
        """Whether only this computer can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False  # a name may come to mean another address

    @property
    def hosts(self) -> tuple[str, ...]:
        """What a request may call this computer where no token protects it from other sites' pages."""
        return ("localhost", "127.0.0.1", "[::1]", self.host)


class _Streams:
    """The samples of a source as lines."""

    def __init__(self, source: ServedSource) -> None:
        self._source = source

    async def lines(self, first: list[int] | None, began: int) -> AsyncIterator[bytes]:
        """What is new, every 50 ms; a line without rows every quarter of a second."""
        source = self._source
        with Listening(source):
            give_up = time.monotonic() + _OPEN_SECONDS
            while source.state != "running":
                if time.monotonic() > give_up:
                    yield _line({"error": source.error or "the source did not open in time"})
                    return
                await asyncio.sleep(_STEP_SECONDS)
                yield _line({"now": time.monotonic_ns()})
            channels, started = source.channels, source.started_ns
            numbers = (
                [max(0, number) for number in first]
                if first is not None and began == started and len(first) == len(channels)
                else [max(0, len(channel.curve) - 1) for channel in channels]
            )
            infos = [channel.info.to_json() for channel in channels]
            yield _line(
                {
                    "channels": infos, "began": started, "order": sys.byteorder, "now": time.monotonic_ns()
                }
            )  # fmt: skip
            heard, most = time.monotonic(), max(1, _MOST_ROWS // len(channels))
            while source.state == "running" and source.started_ns == started:
                samples, more = self._new(channels, numbers, most)
                if samples or time.monotonic() > heard + _ALIVE_SECONDS:
                    heard = time.monotonic()
                    yield _line({"samples": samples, "now": time.monotonic_ns()})
                await asyncio.sleep(0 if more else _STEP_SECONDS)

    @staticmethod
    def _new(
        channels: list[SampledChannel], numbers: list[int], most: int
    ) -> tuple[list[tuple[int, int, str]], bool]:
        """What is new of each channel, and whether there is more."""
        found, more = [], False
        for place, channel in enumerate(channels):
            first, rows = channel.curve.packed_since(numbers[place], most)
            numbers[place] = first + len(rows)
            if rows:
                packed = binascii.b2a_base64(b"".join(rows), newline=False)
                found.append((place, first, packed.decode("ascii")))
                more |= len(rows) == most
        return found, more


class Listening:
    """A listener as a context."""

    def __init__(self, source: ServedSource) -> None:
        self._source = source

    def __enter__(self) -> None:
        self._source.count(1)

    def __exit__(self, *_: object) -> None:
        self._source.count(-1)


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


async def _body(request: "Request") -> bytes:
    """The body of a request.

    Raises:
        ValueError: it is longer than a message of spans.
    """
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > SPANS_BYTES:
            raise ValueError(f"the message has more than {SPANS_BYTES} bytes")
    return body


def application(
    agent: Agent, listen: Listen, site: Site | None = None, rejections: Rejections | None = None
) -> "Starlette":
    """The ASGI application.

    Args:
        agent: whose sources.
        listen: its token, and what it may be called.
        site: what answers the other paths.
        rejections: where what is refused is counted.

    Raises:
        ExtraMissing: without starlette.
    """
    try:
        from starlette.applications import Starlette
        from starlette.concurrency import run_in_threadpool
        from starlette.requests import ClientDisconnect
        from starlette.responses import JSONResponse, StreamingResponse
        from starlette.responses import Response as Raw
        from starlette.routing import Route
    except ImportError:
        raise ExtraMissing("starlette", "serve", "an agent that listens on a network") from None
    rejections = rejections or Rejections()
    open_streams = 0

    def guarded(answer: "Callable[[Request], Awaitable[Answer]]") -> "Callable[[Request], Awaitable[Answer]]":
        async def guard(request: "Request") -> "Answer":
            client = request.client.host if request.client is not None else "?"
            headers = request.headers
            host = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
            if listen.token is None and (host.lower() not in listen.hosts or "origin" in headers):
                rejections.note(f"host {client}", f"a page of another site asked from {client}")
                return JSONResponse({"error": "SourceForbidden", "message": "this host name is refused"}, 403)
            if not accepted(headers, listen.token):
                rejections.note(f"token {client}", f"{client} is refused: it has no token, or a wrong one")
                return JSONResponse(
                    {"error": "SourceForbidden", "message": "the token is missing or wrong"},
                    401,
                    {"WWW-Authenticate": "Bearer"},
                )
            return await answer(request)

        return guard

    async def sources(request: "Request") -> "Answer":
        return JSONResponse(
            {
                "sources": [
                    {"name": one.name, "title": one.title, "state": one.state} for one in agent.sources()
                ]
            }
        )

    async def clock(request: "Request") -> "Answer":
        arrived = time.monotonic_ns()
        return JSONResponse({"arrived_ns": arrived, "left_ns": time.monotonic_ns()})

    async def stream(request: "Request") -> "Answer":
        nonlocal open_streams
        try:
            source = agent.source(request.path_params["name"])
            first = [int(number) for number in filter(None, request.query_params.get("from", "").split(","))]
            began = int(request.query_params.get("began", "0"))
        except EnergyMeterError as failure:
            return JSONResponse({"error": type(failure).__name__, "message": str(failure)}, 404)
        except ValueError:
            return JSONResponse({"error": "SpecError", "message": "from and began are numbers"}, 400)
        if open_streams >= MOST_STREAMS:
            rejections.note("streams", f"more than {MOST_STREAMS} streams were asked for")
            return JSONResponse({"error": "SourceBusy", "message": "too many streams are open"}, 503)

        async def counted() -> AsyncIterator[bytes]:
            nonlocal open_streams
            open_streams += 1
            try:
                async for line in _Streams(source).lines(first or None, began):
                    yield line
            finally:
                open_streams -= 1

        return StreamingResponse(counted(), media_type="application/x-ndjson")

    async def spans(request: "Request") -> "Answer":
        if listen.token is None:  # who may only read cannot write
            message = "spans are taken only with a token; start the agent with --token-file"
            return JSONResponse({"error": "SourceForbidden", "message": message}, 403)
        try:
            body = await asyncio.wait_for(_body(request), REQUEST_SECONDS)
            content = json.loads(body)
            if not isinstance(content, dict):
                raise ValueError("no object")
            taken = agent.add_spans(request.path_params["name"], content)
        except (asyncio.TimeoutError, ClientDisconnect):
            return JSONResponse(
                {"error": "SpecError", "message": "the request was not complete in time"}, 408
            )
        except SourceMissing as failure:
            return JSONResponse({"error": "SourceMissing", "message": str(failure)}, 404)
        except (EnergyMeterError, ValueError, RecursionError) as failure:
            client = request.client.host if request.client is not None else "?"
            rejections.note(f"spans {client}", f"spans of {client} are refused: {failure}")
            return JSONResponse({"error": "SpecError", "message": f"{failure!s:.200}"}, 400)
        return JSONResponse({"taken": taken})

    async def others(request: "Request") -> "Answer":
        if site is None:
            return JSONResponse({"error": "SourceMissing", "message": "there is no such page"}, 404)
        query = request.url.query
        target = request.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        said = await run_in_threadpool(site.respond, request.method, target, dict(request.headers))
        raw = Raw(said.body, said.status)
        for name, value in said.headers:
            raw.headers.append(name, value)
        return raw

    app = Starlette(
        routes=[
            Route("/v1/sources", guarded(sources)),
            Route("/v1/clock", guarded(clock)),
            Route("/v1/stream/{name}", guarded(stream)),
            Route("/v1/spans/{name}", guarded(spans), methods=["POST"]),
            Route("/{path:path}", others, methods=["GET"]),
        ]
    )
    app.router.redirect_slashes = False  # it would answer before the guard, with the host of the request
    return app


class HttpServer:
    """Listens, in a thread of its own, until it is closed.

    Args:
        agent: whose sources.
        listen: where.
        site: what answers the other paths.

    Raises:
        ExtraMissing: without starlette and uvicorn.
        SourceForbidden: it cannot listen there.
        SpecError: the certificate or its key cannot be used.
    """

    def __init__(self, agent: Agent, listen: Listen, site: Site | None = None) -> None:
        try:
            from uvicorn.config import Config
            from uvicorn.protocols.http.h11_impl import H11Protocol
            from uvicorn.server import Server
        except ImportError:
            raise ExtraMissing("uvicorn", "serve", "an agent that listens on a network") from None

        rejections = Rejections()

        class Impatient(H11Protocol):
            """Closes a connection that does not send a request, or does not read what it asked for."""

            stuck: asyncio.TimerHandle | None = None

            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                self.first = self.loop.call_later(REQUEST_SECONDS, self.close_silent)

            def close_silent(self) -> None:
                if self.cycle is None and not self.transport.is_closing():
                    self.note("idle", "asked for nothing")
                    self.transport.close()

            def pause_writing(self) -> None:
                super().pause_writing()
                self.stuck = self.loop.call_later(STUCK_SECONDS, self.abort_stuck)

            def resume_writing(self) -> None:
                super().resume_writing()
                self.go_on()

            def go_on(self) -> None:
                if self.stuck is not None:
                    self.stuck.cancel()
                self.stuck = None

            def abort_stuck(self) -> None:
                self.note("slow", "does not read its answers")
                self.transport.abort()  # what it has not read would keep a mere end waiting

            def note(self, cause: str, what: str) -> None:
                host = self.client[0] if self.client is not None else "?"
                rejections.note(f"{cause} {host}", f"a client at {host} {what}")

            def connection_lost(self, exc: Exception | None) -> None:
                self.first.cancel()
                super().connection_lost(exc)
                self.go_on()

        config = Config(
            application(agent, listen, site, rejections),
            http=Impatient,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ssl_certfile=listen.certificate,
            ssl_keyfile=listen.key,
            limit_concurrency=MOST_CONNECTIONS,
            h11_max_incomplete_event_size=HEADER_BYTES,
            timeout_keep_alive=int(REQUEST_SECONDS),
            timeout_graceful_shutdown=1,
        )
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            config.load()
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
            self._socket.bind((listen.host, listen.port))
            self._socket.listen()
        except OSError as failure:
            self._socket.close()
            raise SourceForbidden(
                f"the agent cannot listen at {listen.host}:{listen.port} ({failure.strerror}); choose "
                "another port, or check the certificate and its key"
            ) from failure
        self.port: int = self._socket.getsockname()[1]
        self._server = Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="energymeter-http", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening. Twice is fine."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
