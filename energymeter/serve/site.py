"""The page, ``/metrics`` and what the page asks for: one request in, one response out, no sockets.

Who may ask:

* Without a token, the host that a browser names must be one of ours, so that a name of somebody else that
  resolves to this machine (DNS rebinding) opens nothing.
* A request that a page of another origin makes is refused.
* With a token, everything but the empty page needs it: ``Authorization: Bearer …``, or the cookie that
  ``/api/login`` gives in exchange.
* Nothing can be changed: only GET and HEAD are answered.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from energymeter.errors import EnergyMeterError, ExtraMissing, LogError
from energymeter.report.live import COLUMN_SECONDS, Bar
from energymeter.serve.http import Response
from energymeter.serve.shared_folder import Busy, SharedFolder, size_text
from energymeter.text import duration, percent, printable, significant, time_text, with_uncertainty
from energymeter.version import __version__

if TYPE_CHECKING:
    from energymeter.serve.feed import Feed, Figures
    from energymeter.serve.prometheus import Exporter
    from energymeter.serve.snapshot import BatteryState, ChannelState

LOOPBACK = ("localhost", "127.0.0.1", "::1")
COOKIE = "energymeter"
MOST_TARGET = 4096
_SAFE = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
_CLOSED = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".jsonl": "application/jsonl",
    ".parquet": "application/octet-stream",
}
_META_POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]+)"')


class _Refused(Exception):
    """An answer that is no success: a status and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Site:
    """Answers requests about one agent.

    Args:
        feed: of the agent.
        page: serve the page and what it asks for.
        metrics: makes the text of ``/metrics``; None: there is none.
        folder: whose recordings the page shows; None: none.
        hosts: names under which a browser may ask, beyond those of the loopback.
        token: who does not give it gets nothing but the empty page; None: anybody who can connect may read.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        page: bool = True,
        metrics: Exporter | None = None,
        folder: SharedFolder | None = None,
        hosts: Iterable[str] = (),
        token: str | None = None,
    ) -> None:
        self._feed, self._metrics, self._folder = feed, metrics, folder
        self._hosts = {host.lower() for host in (*LOOPBACK, *hosts)}
        self._token = token
        self._page = _assembled() if page else None
        self._agent = base64.b32encode(os.urandom(10)).decode()
        """Names this agent's life: column numbers of another one mean other times."""

    def respond(self, method: str, target: str, headers: Mapping[str, str]) -> Response:
        """The answer to a request.

        Args:
            method: as ``GET``.
            target: path and query, as they came.
            headers: by name in small letters.
        """
        try:
            response = self._answer(method, target, headers)
        except _Refused as refused:
            response = _text(refused.status, f"{refused}\n")
            if refused.status == 401:
                response = response._replace(
                    headers=(*response.headers, ("WWW-Authenticate", 'Bearer realm="energymeter"'))
                )
        except Busy as busy:
            response = _text(503, f"{busy}\n")
        except ExtraMissing as missing:
            response = _text(501, f"{printable(str(missing))}\n")
        except EnergyMeterError as error:
            response = _text(404 if isinstance(error, LogError) else 400, f"{printable(str(error))}\n")
        return response._replace(body=b"") if method == "HEAD" else response

    def _answer(self, method: str, target: str, headers: Mapping[str, str]) -> Response:
        if len(target) > MOST_TARGET:
            raise _Refused(414, "the address is too long; ask for less")
        self._check_host(headers)
        if method not in ("GET", "HEAD"):
            raise _Refused(405, "this agent can be read and not changed; use GET")
        try:
            parts = urlsplit(target)
            query = parse_qs(parts.query, max_num_fields=20)
            path = unquote(parts.path, errors="strict")
        except ValueError:
            raise _Refused(400, "the address makes no sense; open the page again") from None
        if path == "/" and self._page is not None:
            return self._page
        self._check_token(headers)
        return self._read(path, query)

    def _check_host(self, headers: Mapping[str, str]) -> None:
        host = headers.get("host", "")
        if self._token is None and _name_of(host) not in self._hosts:  # else the token, which no page knows
            raise _Refused(403, "this agent does not answer under that name; use its own address")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise _Refused(403, "a page of another origin may not read this agent; open its own page")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise _Refused(403, "a page of another origin may not read this agent; open its own page")

    def _check_token(self, headers: Mapping[str, str]) -> None:
        if self._token is None:
            return
        given = headers.get("authorization", "")
        kind, _, token = given.partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token.encode()):
            return
        cookies = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        for name, _, value in cookies:
            if name == COOKIE and hmac.compare_digest(value.encode(), self._pass().encode()):
                return
        raise _Refused(401, "this agent wants a token; give the one that it was started with")

    def _pass(self) -> str:
        """What stands for the token in the cookie: it proves it and does not contain it."""
        return hmac.new((self._token or "").encode(), b"energymeter page", hashlib.sha256).hexdigest()

    def _read(self, path: str, query: dict[str, list[str]]) -> Response:
        if path == "/metrics" and self._metrics is not None:
            return _made(200, self._metrics.content_type, self._metrics.text())
        if self._page is None:
            raise _Refused(404, "there is no such page; see `energymeter serve --help`")
        if path == "/api/login":
            value = f"{COOKIE}={self._pass()}; Path=/; HttpOnly; SameSite=Strict"
            response = _json({})
            return response._replace(headers=(*response.headers, ("Set-Cookie", value)))
        if path == "/api/live":
            return _json(self._live(query))
        if self._folder is not None:
            found = self._of_folder(self._folder, path, query)
            if found is not None:
                return found
        elif path == "/api/recordings":
            return _json({"recordings": [], "comparisons": [], "shared": False})
        raise _Refused(404, "there is no such page; open / instead")

    def _of_folder(self, folder: SharedFolder, path: str, query: dict[str, list[str]]) -> Response | None:
        if path == "/api/recordings":
            rows = {
                "recordings": [(f.name, size_text(f.bytes), f.changed_unix) for f in folder.recordings()],
                "comparisons": [(f.name, "", f.changed_unix) for f in folder.comparisons()],
            }
            return _json({**rows, "shared": True})
        if path == "/report":
            return _report(folder.report(query.get("file", [])))
        route, _, name = path[1:].rpartition("/")
        if route == "api/recordings":
            return _json(folder.plot(name))
        if route == "api/comparisons":
            return _json(folder.comparison(name))
        if route == "recordings":
            kind = _TYPES.get(os.path.splitext(name)[1], "application/octet-stream")
            response = _made(200, kind, folder.content(name))
            shown = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
            return response._replace(headers=(*response.headers, ("Content-Disposition", shown)))
        return None

    # -- what the page shows ---------------------------------------------------------------------------

    def _live(self, query: dict[str, list[str]]) -> dict[str, Any]:
        figures = self._feed.read()
        sources = [state.name for state in figures.snapshot.sources]
        asked = query.get("source", [""])[0]
        source = asked if asked in sources else (sources or [""])[0]
        channels = [state for state in figures.snapshot.channels if state.source == source]
        channel = query.get("channel", [""])[0]
        channel = channel if any(state.channel == channel for state in channels) else ""
        zoom = min(max(_whole(query, "zoom", 1), 0), len(COLUMN_SECONDS) - 1)
        columns = self._feed.columns(source, channel, zoom, max(_whole(query, "since", 0), 0))
        shown = [state for state in channels if (state.channel == channel if channel else state.counted)]
        if not shown:  # all of them are inside of another source's
            shown = channels
        return {
            "agent": self._agent,
            "version": __version__,
            "sources": [
                {"name": state.name, "up": state.up, "error": printable(state.error)}
                for state in figures.snapshot.sources
            ],
            "source": source,
            "channel": channel,
            "zoom": zoom,
            "widths": COLUMN_SECONDS,
            "power": _power_text(shown),
            "watts": _sum(state.watts for state in shown),
            "facts": _facts(shown),
            "provenance": sorted({state.provenance for state in shown}),
            "rails": [_rail(state) for state in figures.snapshot.channels],
            "spans": _spans(figures),
            "batteries": [_battery(state) for state in figures.snapshot.batteries],
            "columns": {
                "first": columns.first,
                "seconds": columns.seconds,
                "start_unix": columns.start_unix,
                "bars": [_bar(bar) for bar in columns.bars],
            },
        }


# Texts ------------------------------------------------------------------------------------------------------


def _sum(parts: Iterable[float | None]) -> float | None:
    """Unknown where a part is."""
    known = list(parts)
    return None if not known or None in known else math.fsum(part for part in known if part is not None)


def _root_sum(parts: Iterable[float | None]) -> float | None:
    """± of a sum of independent parts."""
    known = list(parts)
    return None if not known or None in known else math.hypot(*(part for part in known if part is not None))


def _quantity(value: float | None, spread: float | None, unit: str) -> str:
    if value is None:
        return "unknown"
    return with_uncertainty(value, spread, unit) if spread is not None else f"{significant(value)} {unit}"


def _power_text(states: list[ChannelState]) -> str:
    watts, spread = _sum(s.watts for s in states), _root_sum(s.watts_uncertainty for s in states)
    return _quantity(watts, spread, "W")


def _facts(states: list[ChannelState]) -> list[tuple[str, str]]:
    if not states:
        return []
    joules = _sum(state.joules for state in states)
    energy = _quantity(joules, _root_sum(state.uncertainty_joules for state in states), "J")
    facts = [("Energy", energy if joules is None else f"{energy} ({significant(joules / 3600)} Wh)")]
    if len(states) == 1:
        state = states[0]
        if state.coulombs is not None:
            facts.append(("Charge", f"{significant(state.coulombs / 3.6)} mAh"))
        if state.volts is not None:
            facts.append(("Voltage", f"{significant(state.volts)} V"))
    least = min(states, key=lambda state: state.coverage)
    facts.append(("Measured", f"{percent(least.coverage, 1)} of {duration(least.seconds)}"))
    facts.append(("Missed", f"{sum(state.missed for state in states)} readings"))
    facts.append(("Where", f"at the {' and the '.join(sorted({state.place for state in states}))}"))
    return facts


def _rail(state: ChannelState) -> dict[str, Any]:
    return {
        "source": state.source,
        "channel": state.channel,
        "counted": state.counted,
        "watts": _quantity(state.watts, state.watts_uncertainty, "W"),
        "joules": _quantity(state.joules, state.uncertainty_joules, "J"),
        "volts": "" if state.volts is None else f"{significant(state.volts)} V",
        "measured": percent(state.coverage, 1),
        "missed": state.missed,
        "place": f"{state.provenance}, {state.place}",
    }


def _spans(figures: Figures) -> list[tuple[str, int, int, str, str]]:
    several = len(figures.snapshot.sources) > 1
    rows = []
    for (source, name), total in figures.spans.items():
        calls = total.calls
        energy, time = "not measured", ""
        if calls:
            spread = None if total.uncertainty is None else total.uncertainty / calls
            energy, time = (
                _quantity(total.joules.sum / calls, spread, "J"),
                time_text(total.seconds.sum / calls),
            )
        rows.append((f"{source}: {name}" if several else name, calls, total.left_out, energy, time))
    return rows


def _battery(state: BatteryState) -> dict[str, Any]:
    share = state.share
    return {
        "name": state.name,
        "kind": "budget" if state.is_budget else "battery",
        "share": min(max(share.value, 0.0), 1.0),
        "left": f"{percent(share.value)} left ({percent(share.low)} to {percent(share.high)})",
        "hours": f"{state.hours} at this load" if state.hours is not None else state.reason or "unknown",
    }


def _bar(bar: Bar) -> list[float | None]:
    return [_rounded(bar.watts), _rounded(bar.peak_watts), _rounded(bar.coverage)]


def _rounded(number: float | None) -> float | None:
    """Five figures are more than a screen shows; JSON knows no infinity."""
    return float(f"{number:.5g}") if number is not None and math.isfinite(number) else None


def _whole(query: dict[str, list[str]], name: str, default: int) -> int:
    text = query.get(name, [""])[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else default


# Responses --------------------------------------------------------------------------------------------------


def _made(status: int, kind: str, body: bytes, policy: str = _CLOSED) -> Response:
    headers = (
        ("Content-Type", kind),
        ("Content-Security-Policy", policy),
        *_SAFE,
    )
    return Response(status, headers, body)


def _text(status: int, text: str) -> Response:
    return _made(status, "text/plain; charset=utf-8", text.encode())


def _json(content: Any) -> Response:
    body = json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return _made(200, "application/json", body.encode(errors="backslashreplace"))


def _report(page: str) -> Response:
    """A report may use its own style and pictures, as its own policy says; scripts are off in any case."""
    own = _META_POLICY.search(page)
    policy = f"{own[1] if own else _CLOSED}; frame-ancestors 'none'; sandbox"
    return _made(200, "text/html; charset=utf-8", page.encode(), policy.replace("&#39;", "'"))


def _name_of(host: str) -> str:
    """The name in a ``Host`` header, without its port.

    >>> _name_of("LOCALHOST:8080"), _name_of("[::1]:80"), _name_of("")
    ('localhost', '::1', '')
    """
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _assembled() -> Response:
    """The page: one file, whose policy allows its own style and script by their hashes and nothing else."""
    folder = os.path.join(os.path.dirname(__file__), "page")
    parts = {}
    for name in ("page.html", "page.css", "page.js"):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            parts[name] = file.read()
    style, script = parts["page.css"], parts["page.js"]
    page = parts["page.html"].replace("/* page.css */", style).replace("/* page.js */", script)
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return _made(200, "text/html; charset=utf-8", page.encode(), policy)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
