"""The three intensity services on 127.0.0.1, as strict about a request as the real ones.

Shapes: Electricity Maps v3 API reference; carbon-intensity/api-definitions; docs.watttime.org v3.
"""

import base64
import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

_Server = TypeVar("_Server", bound="Server")
Answer = tuple[int, dict[str, str], bytes]


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%MZ")


def ok(document: Any) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()


def error_status(status: int, **headers: str) -> Answer:
    return status, headers, json.dumps({"error": "no", "echo": "s3cret-token"}).encode()


class Server:
    """Answers ``respond(path, query, headers)``; ``trouble``, if set, comes instead."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.trouble: Answer | str | None = None
        """An answer; or ``"silence"``, ``"cut"`` (half an answer), ``"nonsense"`` (not HTTP)."""
        self._stop = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self: _Server) -> _Server:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def respond(self, path: str, query: dict[str, str], headers: Callable[[str], str | None]) -> Answer:
        raise NotImplementedError

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        self.asked.append(handler.path)
        if self.trouble == "silence":
            self._stop.wait(10)
            return
        if self.trouble == "nonsense":
            handler.wfile.write(b"220 mail.example ESMTP\r\n")
            return
        query = {
            name: values[0]
            for name, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()
        }
        answer = self.trouble or self.respond(parts.path, query, handler.headers.get)
        if isinstance(answer, str):
            answer = 200, {"Content-Length": "1000"}, b'{"data": ['
        status, headers, body = answer
        handler.send_response(status)
        for name, text in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), text)
        handler.end_headers()
        handler.wfile.write(body)


class ElectricityMapsServer(Server):
    token = "s3cret-token"
    now = datetime(2026, 11, 22, 10, 20, tzinfo=timezone.utc)

    def _row(self, moment: datetime) -> dict[str, Any]:
        return {
            "zone": "DE",
            "carbonIntensity": 300 + moment.hour,
            "datetime": moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "updatedAt": stamp(self.now),
            "emissionFactorType": "lifecycle",
            "isEstimated": moment.hour % 2 == 0,
            "estimationMethod": None,
        }

    def respond(self, path: str, query: dict[str, str], headers: Callable[[str], str | None]) -> Answer:
        if headers("auth-token") != self.token:
            return error_status(401)
        if query.get("zone") != "DE":
            return error_status(404)
        hour = self.now.replace(minute=0)
        if path == "/carbon-intensity/latest":
            return ok({**self._row(hour), "temporalGranularity": "hourly"})
        if path == "/carbon-intensity/history":
            return ok(
                {"zone": "DE", "history": [self._row(hour - timedelta(hours=23 - i)) for i in range(24)]}
            )
        if path == "/carbon-intensity/forecast":
            return ok({"zone": "DE", "forecast": [self._row(hour + timedelta(hours=i)) for i in range(25)]})
        if path == "/carbon-intensity/past-range":
            start = datetime.strptime(query["start"], "%Y-%m-%dT%H:%MZ").replace(tzinfo=timezone.utc)
            end = datetime.strptime(query["end"], "%Y-%m-%dT%H:%MZ").replace(tzinfo=timezone.utc)
            hours = int((end - start).total_seconds() // 3600)
            return ok({"zone": "DE", "data": [self._row(start + timedelta(hours=i)) for i in range(hours)]})
        return error_status(404)


class BritishServer(Server):
    """A list for now, the region itself for a stretch; ``actual`` is null in what is to come."""

    now = datetime(2026, 11, 22, 10, 20, tzinfo=timezone.utc)

    def _row(self, moment: datetime, national: bool) -> dict[str, Any]:
        forecast = 100 + 2 * moment.hour + moment.minute // 30
        intensity: dict[str, Any] = {"forecast": forecast, "index": "moderate"}
        if national:
            intensity["actual"] = forecast - 5 if moment + timedelta(minutes=30) <= self.now else None
        return {"from": stamp(moment), "to": stamp(moment + timedelta(minutes=30)), "intensity": intensity}

    def respond(self, path: str, query: dict[str, str], headers: Callable[[str], str | None]) -> Answer:
        parts = path.strip("/").split("/")
        regional = parts[0] == "regional"
        if regional:
            if parts[-2:] != ["postcode", "RG10"]:
                return error_status(400)
            parts = parts[1:-2]
        here = self.now.replace(minute=self.now.minute // 30 * 30)
        if parts in ([], ["intensity"]):
            rows = [self._row(here, not regional)]
            return ok({"data": [{"regionid": 12, "postcode": "RG10", "data": rows}] if regional else rows})
        start = datetime.strptime(parts[1], "%Y-%m-%dT%H:%MZ").replace(tzinfo=timezone.utc)
        start = start.replace(minute=start.minute // 30 * 30)
        if parts[2] in ("fw24h", "fw48h"):
            end = start + timedelta(hours=int(parts[2][2:4]))
        else:
            end = datetime.strptime(parts[2], "%Y-%m-%dT%H:%MZ").replace(tzinfo=timezone.utc)
        # The real service begins with the half-hour that ends at the start.
        moment, rows = start - timedelta(minutes=30), []
        while moment < end:
            rows.append(self._row(moment, not regional))
            moment += timedelta(minutes=30)
        return ok({"data": {"regionid": 12, "postcode": "RG10", "data": rows} if regional else rows})


class WattTimeServer(Server):
    user, password, token = "student", "pa55word", "jwt.of.the.day"
    now = datetime(2026, 11, 22, 10, 20, tzinfo=timezone.utc)
    units = "lbs_co2_per_mwh"

    def respond(self, path: str, query: dict[str, str], headers: Callable[[str], str | None]) -> Answer:
        if path == "/login":
            basic = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            known = headers("Authorization") == f"Basic {basic}"
            return ok({"token": self.token}) if known else error_status(401)
        if headers("Authorization") != f"Bearer {self.token}":
            return error_status(401)
        if query.get("region") != "CAISO_NORTH" or query.get("signal_type") != "co2_moer":
            return error_status(403)
        if path == "/v3/forecast":
            start, points = self.now, int(query["horizon_hours"]) * 12
        elif path == "/v3/historical":
            start = datetime.strptime(query["start"], "%Y-%m-%dT%H:%MZ").replace(tzinfo=timezone.utc)
            end = datetime.strptime(query["end"], "%Y-%m-%dT%H:%MZ").replace(tzinfo=timezone.utc)
            points = int((end - start).total_seconds() // 300)
        else:
            return error_status(404)
        rows = [
            {"point_time": (start + timedelta(minutes=5 * i)).isoformat(), "value": 1000.0 - i}
            for i in range(points)
        ]
        meta = {
            "data_point_period_seconds": 300,
            "region": "CAISO_NORTH",
            "units": self.units,
            "warnings": [],
        }
        return ok({"data": rows, "meta": {**meta, "signal_type": "co2_moer"}})
