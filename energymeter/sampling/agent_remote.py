"""What the agent of another computer sampled, over one HTTP connection, on the clock here.

The clock there is never set. Exchanges before and during the stream bound its offset (`clock_offset`); a
value may be late by anything up to twice that bound, and the ± of a window's edges holds it. After a cut
the stream goes on from the agent's ring, and what that has forgotten is counted.
"""

from __future__ import annotations

import time
from functools import partial

from energymeter.energy.integrate import Sample
from energymeter.errors import (
    SamplerError,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    SpecError,
)
from energymeter.lazy import TYPE_CHECKING, made, suppress
from energymeter.reading import Reading
from energymeter.sampling.agent import PROTOCOL, Address, channels_of
from energymeter.sampling.agent_feed import Joint, readings_of
from energymeter.sampling.clock_offset import ClockOffset, Exchange, Offset
from energymeter.sampling.memory import ORDERS, unpacked
from energymeter.text import printable

if TYPE_CHECKING:
    import queue
    from collections.abc import Iterator
    from http.client import HTTPConnection, HTTPResponse
    from typing import Any, TypeGuard

    from energymeter.energy.integrate import Row
    from energymeter.sampling.config import ChannelInfo

TOKEN_VARIABLE = "ENERGYMETER_TOKEN"
LONGEST_LINE = 1 << 22
_CONNECT_SECONDS = 5.0
_OPEN_SECONDS = 20.0
_SILENT_SECONDS = 0.25
_GONE_SECONDS = 5.0
_EXCHANGES, _EXCHANGES_LATER, _EXCHANGE_EVERY_NS = 12, 6, 2_000_000_000
_MARGIN_NS = 5_000_000
"""How much worse the offset may be known later than at the beginning, or as much again."""
_MOST_COUNT = (1 << 62) - 1
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class RemoteFeed:
    """A source of the agent of another computer.

    Args:
        address: where, and which source.
        pin: the SHA-256 of the agent's certificate in hex; empty: the system's authorities vouch for it.
        token: what the agent asks for; empty: nothing.

    Raises:
        SpecError: the pin makes no sense.
    """

    def __init__(self, address: Address, pin: str = "", token: str = "") -> None:
        self._address, self._token = address, token
        self._pin = pin.lower().replace(":", "").removeprefix("sha256")
        if self._pin and (len(self._pin) != 64 or set(self._pin) - set("0123456789abcdef")):
            raise SpecError(
                "pin is the SHA-256 of the agent's certificate, 64 hex digits; copy it from the agent"
            )
        self.infos: list[ChannelInfo] = []
        self.lost = 0
        self.in_hand = False
        """Readings follow that are here already."""
        self.lag_seconds = 0.0
        """How late a value may be at most because of the clocks."""
        self._clock = ClockOffset()
        self._offset_ns = 0
        self._joints: list[Joint] = []
        self._began = 0
        self._order = ""
        self._last_ns: list[int] = []
        self._stream: HTTPConnection | None = None
        self._questions: HTTPConnection | None = None

    @property
    def notes(self) -> list[str]:
        """What a reader of the results should know."""
        known_ms = self.lag_seconds * 500
        return [f"read from the agent at {self._address.host}, whose clock is known to ±{known_ms:.1f} ms"]

    # -- connecting ------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect, measure the clock, and begin the stream where it stopped.

        Raises:
            SourceError, SamplerError: why not.
        """
        self.connect()
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def connect(self) -> None:
        """Connect and measure the clock, without any samples.

        Raises:
            SourceError: why not.
        """
        self.close()
        try:
            self._questions = self._connected()
            self._measure(_EXCHANGES)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Twice is fine."""
        for link in (self._stream, self._questions):
            if link is not None:
                with suppress(OSError):
                    if link.sock is not None:
                        link.sock.shutdown(2)
                link.close()
        self._stream = self._questions = None

    def _connected(self) -> HTTPConnection:
        import http.client
        import ssl

        host, port, _ = self._address
        link: HTTPConnection
        if host in _LOOPBACK and not self._pin:  # as through a tunnel of ssh
            link = http.client.HTTPConnection(host, port, timeout=_CONNECT_SECONDS)
        else:
            context = ssl.create_default_context()
            if self._pin:  # of this certificate it is known, whoever has signed it
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            link = http.client.HTTPSConnection(host, port, timeout=_CONNECT_SECONDS, context=context)
        try:
            link.connect()
        except ssl.SSLError as failure:
            raise SourceForbidden(
                f"the agent at {host}:{port} cannot be trusted ({failure.reason}); give its pin="
            ) from failure
        except OSError as failure:
            raise SourceMissing(
                f"no agent answers at {host}:{port} ({failure.strerror or failure}); check that it listens "
                "there"
            ) from failure
        if self._pin:
            import hashlib
            import hmac

            certificate = (
                link.sock.getpeercert(True) if isinstance(link.sock, ssl.SSLSocket) else None
            ) or b""
            if not hmac.compare_digest(hashlib.sha256(certificate).hexdigest(), self._pin):
                link.close()
                raise SourceForbidden(
                    f"the agent at {host}:{port} has another certificate than is pinned; check who answers"
                )
        return link

    def _get(self, link: HTTPConnection, target: str, body: bytes | None = None) -> Any:
        import http.client

        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        host, port, _ = self._address
        try:
            link.request("GET" if body is None else "POST", target, body, headers)
            answer = link.getresponse()
        except (OSError, http.client.HTTPException) as failure:
            raise SourceMissing(
                f"the agent at {host}:{port} does not answer ({type(failure).__name__}); check that it "
                "listens there"
            ) from failure
        if answer.status == 200:
            return answer
        answer.close()
        if body is not None and answer.status != 401:
            raise SourceForbidden(
                f"the agent at {host}:{port} takes no spans (HTTP status {answer.status}); start it with "
                "--token-file, and with --web, --metrics or --record"
            )
        if answer.status in (401, 403):
            raise SourceForbidden(
                f"the agent at {host}:{port} refuses the token; set ${TOKEN_VARIABLE} to that of the agent"
            )
        raise SourceMissing(
            f"the agent at {host}:{port} answers with HTTP status {answer.status}; check the name of the "
            "source"
        )

    def _read(self, answer: HTTPResponse, most: int) -> bytes:
        import http.client

        try:
            return answer.read(most)
        except (OSError, ValueError, http.client.HTTPException) as failure:
            raise SourceMissing(
                f"the agent at {self._address.host} ended its answer early; check the network"
            ) from failure

    # -- spans -----------------------------------------------------------------------------------------

    def offset(self) -> Offset:
        """How far the clock of the agent is ahead now.

        Raises:
            SourceError: nobody knows.
        """
        known = self._clock.at(time.monotonic_ns())
        if known is None:
            raise SourceError("the clock of the agent's computer jumped; its offset is measured again")
        return known

    def measure_again(self) -> None:
        """Exchange times again.

        Raises:
            SourceError: its clock cannot be bounded as was stated.
        """
        self._measure(_EXCHANGES_LATER)

    def send_spans(self, message: dict[str, Any]) -> None:
        """Send calls of spans.

        Raises:
            SourceError: the agent does not answer, or takes none.
        """
        import json

        assert self._questions is not None
        source = self._address.source or self._first_source()
        answer = self._get(self._questions, f"/v1/spans/{source}", json.dumps(message).encode())
        self._read(answer, 1024)

    def _measure(self, many: int) -> None:
        """Exchange times with the agent.

        Raises:
            SourceError: its clock cannot be bounded as was stated.
        """
        import json

        assert self._questions is not None
        for _ in range(many):
            left_here = time.monotonic_ns()
            raw = self._read(self._get(self._questions, "/v1/clock"), 1024)
            arrived_here = time.monotonic_ns()
            try:
                times = json.loads(raw)
                there = times["arrived_ns"], times["left_ns"]
                if not all(_is_count(moment) for moment in there):
                    raise ValueError("no times")
                exchange = Exchange(left_here, *there, arrived_here)
            except (ValueError, KeyError, TypeError, RecursionError):
                raise SourceMissing("what answers there is no agent; check the address") from None
            self._clock.add(exchange)
        self._bend()

    def _bend(self) -> None:
        """Keep the offset that is used within what is known of it."""
        known = self._clock.at(time.monotonic_ns())
        if known is None:  # its clock began again, as at a start of that computer
            self._clock, self._offset_ns = ClockOffset(), 0
            raise SourceError("the clock of the agent's computer jumped; the stream begins again")
        if not self._offset_ns:
            self._offset_ns = known.ns
        if not self.lag_seconds:
            self.lag_seconds = 2e-9 * (known.bound_ns + max(_MARGIN_NS, known.bound_ns))
        self._offset_ns = min(max(self._offset_ns, known.least_ns), known.most_ns)
        if known.bound_ns > self.lag_seconds * 0.5e9:
            raise SourceError(
                f"the clock of the agent's computer is known to {known.bound_ns * 1e-6:.1f} ms only; use a "
                "link with steadier delays"
            )

    def _begin(self) -> None:
        import http.client
        import json

        first = ",".join(str(joint.number) for joint in self._joints)
        resumed = f"?from={first}&began={self._began}" if self._joints else ""
        self._stream = self._connected()
        self._stream.sock.settimeout(_GONE_SECONDS)
        source = self._address.source or self._first_source()
        self._lines = self._get(self._stream, f"/v1/stream/{source}{resumed}")
        give_up = time.monotonic() + _OPEN_SECONDS
        head: dict[str, Any] = {}
        while "channels" not in head:
            try:
                head = json.loads(self._lines.readline(LONGEST_LINE) or b"{}")
                why = printable(f"{head.get('error', 'it is silent')!s:.200}")
            except (
                OSError,
                ValueError,
                AttributeError,
                RecursionError,
                http.client.HTTPException,
            ) as failure:
                raise SourceMissing("the agent ended the stream; look for the reason in its log") from failure
            if "error" in head or time.monotonic() > give_up or not head:
                raise SourceMissing(f"the agent cannot read its source ({why}); check it there")
        self.infos = channels_of({**head, "protocol": PROTOCOL})
        if not _is_count(began := head.get("began")) or head.get("order") not in [*ORDERS]:
            raise SamplerError(
                "the agent does not say when it began, or how it packs samples; install the same version on "
                "both sides"
            )
        self._order = head["order"]
        if began != self._began or len(self._joints) != len(self.infos):
            self._began = began
            self._joints = [Joint(-1, None) for _ in self.infos]
            self._last_ns = [0] * len(self.infos)

    def _first_source(self) -> str:
        import json

        assert self._questions is not None
        try:
            raw = self._read(self._get(self._questions, "/v1/sources"), LONGEST_LINE)
            return str(json.loads(raw)["sources"][0]["name"])
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            raise SourceMissing("what answers there is no agent; check the address") from None

    # -- reading ---------------------------------------------------------------------------------------

    def readings(self) -> Iterator[tuple[int, Reading]]:
        """Every new sample with the number of its channel, and one that is not fresh while there is none.

        Raises:
            SourceError: the agent has gone, or is silent.
        """
        import queue
        import threading

        lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        thread = threading.Thread(target=self._receive, args=(lines,), name="energymeter-agent", daemon=True)
        thread.start()
        self.in_hand = False
        heard = time.monotonic()
        measure_ns = time.monotonic_ns() + _EXCHANGE_EVERY_NS
        while True:
            try:
                line = lines.get(timeout=_SILENT_SECONDS)
            except queue.Empty:
                if time.monotonic() > heard + _GONE_SECONDS:
                    raise SourceTimeout("the agent is silent; check the network") from None
                yield 0, Reading(fresh=False)
                continue
            if line is None:
                raise SourceMissing("the connection to the agent has ended; check the network")
            heard = time.monotonic()
            self.in_hand = True
            yield from self._taken(line)
            self.in_hand = False
            yield 0, Reading(fresh=False)
            if time.monotonic_ns() >= measure_ns:
                self._measure(_EXCHANGES_LATER)
                measure_ns = time.monotonic_ns() + _EXCHANGE_EVERY_NS

    def _receive(self, lines: queue.SimpleQueue[bytes | None]) -> None:
        import http.client

        try:
            while line := self._lines.readline(LONGEST_LINE):
                lines.put(line)
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            return  # it was closed meanwhile, in whatever state
        finally:
            lines.put(None)

    def _taken(self, line: bytes) -> Iterator[tuple[int, Reading]]:
        import binascii
        import json
        import struct

        try:
            for place, number, text in json.loads(line).get("samples", ()):
                if not (_is_count(place) and _is_count(number)):
                    raise ValueError("no number of a sample")
                yield from self._rows(place, number, unpacked(binascii.a2b_base64(text), self._order))
        except (ValueError, TypeError, IndexError, AttributeError, RecursionError, struct.error) as failure:
            raise SamplerError(
                f"the agent cannot be understood ({printable(str(failure))}); install the same version on "
                "both sides"
            ) from failure

    def _rows(self, place: int, number: int, rows: Iterator[Row]) -> Iterator[tuple[int, Reading]]:
        """Rows of one channel as readings.

        Raises:
            ValueError: a moment is none.
        """
        semantics, (due, before) = self.infos[place].facts.semantics, self._joints[place]
        if number > due >= 0:
            self.lost = min(self.lost + number - due, _MOST_COUNT)
            before = None
        here = partial(self._here, place)
        for due, row in enumerate(rows, number + 1):
            sample = Sample.of(row)
            if not (0 <= sample.at_ns <= _MOST_COUNT and 0 <= sample.covered_ns <= _MOST_COUNT):
                raise ValueError("no time of a sample")
            for reading in readings_of(semantics, before, sample, here):
                yield place, reading
            before = sample
            self._joints[place] = made(Joint, (due, sample))

    def _here(self, place: int, there_ns: int) -> int:
        """A moment on the clock here; late rather than early, as `lag_seconds` says."""
        here_ns = there_ns - self._offset_ns + round(self.lag_seconds * 0.5e9)
        self._last_ns[place] = here_ns = max(here_ns, self._last_ns[place] + 1)
        return here_ns


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= _MOST_COUNT
