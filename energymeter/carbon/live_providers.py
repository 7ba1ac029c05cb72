"""The three live services: their requests and the form of their answers.

Shapes: Electricity Maps v3 API reference; carbonintensity.org.uk API definitions (CC BY 4.0 data);
WattTime v3 documentation. A provider is given ``get(path, query, headers)``, which returns parsed
JSON; it raises KeyError, TypeError or ValueError where an answer has another form than the documented one.
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote

from energymeter.carbon.grid_tables import GRAMS_PER_POUND
from energymeter.carbon.intensity import HALF_HOUR, Slot, clock_text, parse_time
from energymeter.errors import GridError, SpecError

Get = Callable[[str, Mapping[str, str], Mapping[str, str]], Any]


class Secret:
    """A token or password, which no `repr` and no message shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        # An HTTP library quotes the header that it refuses, with the secret in it: refuse it here, without.
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise SpecError("the token or password is empty or holds a space or a line end: copy it again")
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"


class Provider(Protocol):
    """One live service."""

    label: str
    url: str
    marginal: bool
    zone: str | None

    def latest(self, get: Get, now: float) -> Slot: ...
    def between(self, get: Get, start: float, end: float, now: float) -> list[Slot]: ...
    def forecast(self, get: Get, now: float, hours: float) -> list[Slot]: ...


def _chain(points: Sequence[tuple[float, float, bool]], last_seconds: float) -> list[Slot]:
    """Slots from (start, g/kWh, estimated) points: each ends with the next, at most ``last_seconds``."""
    ordered = sorted(points)
    ends = [start for start, _, _ in ordered[1:]] + [float("inf")]
    return [
        Slot(start, min(end, start + last_seconds), grams, estimated)
        for (start, grams, estimated), end in zip(ordered, ends, strict=False)
    ]


def _stamp(epoch: float) -> str:
    return clock_text(epoch).replace(" ", "T")


class ElectricityMaps:
    """api.electricitymaps.com: average intensity of the mix consumed in a zone, life-cycle factors."""

    label = "Electricity Maps"
    url = "https://api.electricitymaps.com/v3"
    marginal = False

    def __init__(self, zone: str | None, token: Secret | None) -> None:
        if not zone or token is None:
            raise SpecError(
                'Electricity Maps needs zone="DE" (or alike) and token=, free at electricitymaps.com'
            )
        self.zone: str | None = zone
        self._token = token

    def _get(self, get: Get, kind: str, **query: str) -> Any:
        headers = {"auth-token": self._token.reveal()}
        return get(f"/carbon-intensity/{kind}", {"zone": self.zone or "", **query}, headers)

    @staticmethod
    def _point(row: Any) -> tuple[float, float, bool]:
        return parse_time(row["datetime"]), float(row["carbonIntensity"]), bool(row.get("isEstimated", False))

    def latest(self, get: Get, now: float) -> Slot:
        start, grams, estimated = self._point(self._get(get, "latest"))
        return Slot(start, start + 3600, grams, estimated)

    def between(self, get: Get, start: float, end: float, now: float) -> list[Slot]:
        # The last 24 h are one request of the free tier; older ranges are not.
        if start >= now - 23 * 3600:
            rows = self._get(get, "history")["history"]
        else:
            rows = self._get(get, "past-range", start=_stamp(start - start % 3600), end=_stamp(end + 3600))[
                "data"
            ]
        return _chain([self._point(row) for row in rows], 3600)

    def forecast(self, get: Get, now: float, hours: float) -> list[Slot]:
        rows = self._get(get, "forecast")["forecast"]
        return [slot._replace(estimated=True) for slot in _chain([self._point(row) for row in rows], 3600)]


class CarbonIntensityGB:
    """api.carbonintensity.org.uk: Great Britain by the half-hour, no key; regional figures are forecasts."""

    label = "carbonintensity.org.uk"
    url = "https://api.carbonintensity.org.uk"
    marginal = False

    def __init__(self, zone: str | None, token: Secret | None) -> None:
        if token is not None:
            raise SpecError("carbonintensity.org.uk takes no token: leave it out")
        # The outward half is all that the service uses; the rest would name a street.
        self.zone = zone.upper().split()[0] if zone and zone.strip() else None
        if self.zone and not re.fullmatch(r"[A-Z]{1,2}[0-9][A-Z0-9]?", self.zone):
            raise SpecError(
                f'zone="{zone}" is not an outward postcode: give one like "RG10", or none for all of Britain'
            )

    def _slots(self, get: Get, national: str, regional: str) -> list[Slot]:
        if self.zone is None:
            rows = get(f"/intensity{national}", {}, {})["data"]
        else:
            data = get(f"/regional{regional}/postcode/{quote(self.zone)}", {}, {})["data"]
            # A list of one region in the answer for now, the region itself in the answer for a range.
            region = data[0] if isinstance(data, list) else data
            rows = region["data"]
        return [self._slot(row) for row in rows]

    @staticmethod
    def _slot(row: Any) -> Slot:
        intensity = row["intensity"]
        actual = intensity.get("actual")
        grams = float(intensity["forecast"] if actual is None else actual)
        return Slot(parse_time(row["from"]), parse_time(row["to"]), grams, actual is None)

    def latest(self, get: Get, now: float) -> Slot:
        return self._slots(get, "", "")[0]

    def between(self, get: Get, start: float, end: float, now: float) -> list[Slot]:
        stretch = f"/{_stamp(start)}/{_stamp(end + HALF_HOUR)}"
        return self._slots(get, stretch, f"/intensity{stretch}")

    def forecast(self, get: Get, now: float, hours: float) -> list[Slot]:
        stretch = f"/{_stamp(now)}/fw{24 if hours <= 24 else 48}h"
        return self._slots(get, stretch, f"/intensity{stretch}")


class WattTime:
    """api.watttime.org: the marginal rate (MOER) in lb/MWh, converted; CAISO_NORTH is the free preview."""

    label = "WattTime (marginal)"
    url = "https://api.watttime.org"
    marginal = True
    _token_seconds = 25 * 60
    """A login lasts 30 minutes (docs.watttime.org)."""

    def __init__(self, zone: str | None, user: Secret | None, password: Secret | None) -> None:
        if not zone or user is None or password is None:
            raise SpecError(
                'WattTime needs zone="CAISO_NORTH" (or alike), user= and password= of your registration'
            )
        self.zone: str | None = zone
        self._user, self._password = user, password
        self._bearer: tuple[Secret, float] | None = None

    def _get(self, get: Get, path: str, now: float, **query: str) -> list[Slot]:
        if self._bearer is None or now - self._bearer[1] > self._token_seconds:
            pair = f"{self._user.reveal()}:{self._password.reveal()}"
            basic = base64.b64encode(pair.encode()).decode()
            self._bearer = Secret(get("/login", {}, {"Authorization": f"Basic {basic}"})["token"]), now
        headers = {"Authorization": f"Bearer {self._bearer[0].reveal()}"}
        answer = get(path, {"region": self.zone or "", "signal_type": "co2_moer", **query}, headers)
        units = answer["meta"]["units"]
        if str(units).lower() != "lbs_co2_per_mwh":
            raise GridError(
                f"WattTime answered in {units}, not in lb/MWh: upgrade edge-energymeter, or report it"
            )
        points = [
            (
                parse_time(row["point_time"]),
                float(row["value"]) * GRAMS_PER_POUND / 1000,
                path.endswith("forecast"),
            )
            for row in answer["data"]
        ]
        return _chain(points, float(answer["meta"].get("data_point_period_seconds", 300)))

    def latest(self, get: Get, now: float) -> Slot:
        # signal-index is a percentile; the first point of the forecast is the rate itself.
        return self._get(get, "/v3/forecast", now, horizon_hours="1")[0]

    def between(self, get: Get, start: float, end: float, now: float) -> list[Slot]:
        return self._get(get, "/v3/historical", now, start=_stamp(start - 300), end=_stamp(end + 300))

    def forecast(self, get: Get, now: float, hours: float) -> list[Slot]:
        return self._get(get, "/v3/forecast", now, horizon_hours=str(min(max(int(-(-hours // 1)), 1), 72)))


def provider(
    name: str, zone: str | None, token: str | None, user: str | None, password: str | None
) -> Provider:
    """The service of that name.

    Raises:
        SpecError: no such service, or it needs other options.
    """
    if name == "watttime":
        if token is not None:
            raise SpecError("WattTime issues its own tokens: give user= and password= instead")
        return WattTime(zone, Secret(user) if user else None, Secret(password) if password else None)
    if user is not None or password is not None:
        raise SpecError(f"{name} takes no user and password: leave them out")
    known: dict[str, Callable[[str | None, Secret | None], Provider]] = {
        "electricitymaps": ElectricityMaps,
        "carbonintensity-gb": CarbonIntensityGB,
    }
    if name not in known:
        raise SpecError(f'there is no live service "{name}": choose {", ".join([*known, "watttime"])}')
    return known[name](zone, None if token is None else Secret(token))
