"""Live grids against local servers that answer, refuse and misbehave as the real ones do."""

import contextlib
import json
import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from devices.grid_servers import (
    Answer,
    BritishServer,
    ElectricityMapsServer,
    Server,
    WattTimeServer,
    error_status,
    ok,
)
from devices.tcp import Tcp

from energymeter.carbon.grid import Grid
from energymeter.carbon.live_grid import LiveGrid
from energymeter.clock import ManualClock
from energymeter.errors import GridError, SpecError

NOW = ElectricityMapsServer.now.timestamp()
HOUR = 3600.0


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(epoch=NOW)


@pytest.fixture
def maps() -> Iterator[ElectricityMapsServer]:
    with ElectricityMapsServer() as server:
        yield server


@pytest.fixture
def britain() -> Iterator[BritishServer]:
    with BritishServer() as server:
        yield server


@pytest.fixture
def watttime() -> Iterator[WattTimeServer]:
    with WattTimeServer() as server:
        yield server


def german(server: Server, clock: ManualClock, **options: Any) -> LiveGrid:
    settings = {
        "zone": "DE",
        "token": "s3cret-token",
        "url": server.url,
        "clock": clock,
        "timeout_seconds": 2.0,
    }
    return LiveGrid("electricitymaps", **(settings | options))


def test_nothing_is_asked_before_it_is_wanted(maps: ElectricityMapsServer, clock: ManualClock) -> None:
    live = german(maps, clock)
    assert maps.asked == []
    live.now()
    assert maps.asked == ["/carbon-intensity/latest?zone=DE"]


def test_electricity_maps_now_names_time_and_age_and_that_it_is_an_estimate(
    maps: ElectricityMapsServer, clock: ManualClock
) -> None:
    live = german(maps, clock)
    first = live.now()
    assert first.grams_per_kwh == 310
    assert (first.zone, first.year, first.marginal, first.relative) == ("DE", 2026, False, None)
    assert first.as_of == NOW - 20 * 60
    assert first.source == "Electricity Maps, estimated 2026-11-22 10:00Z, fetched 0 s ago"
    clock.sleep(90)
    assert live.now().source.endswith("fetched 90 s ago")
    assert len(maps.asked) == 1
    clock.sleep(300)
    assert live.now().source.endswith("fetched 0 s ago")
    assert len(maps.asked) == live.requests == 2


def test_electricity_maps_last_day_and_longer_ago(maps: ElectricityMapsServer, clock: ManualClock) -> None:
    live = german(maps, clock)
    today = live.between(NOW - 2 * HOUR, NOW - HOUR)
    assert today.mean(NOW - 2 * HOUR, NOW - HOUR) == pytest.approx(308 * 40 / 60 + 309 * 20 / 60)
    old = live.between(NOW - 50 * HOUR, NOW - 48 * HOUR)
    assert old.mean(NOW - 48.5 * HOUR, NOW - 48.4 * HOUR) == 309
    assert maps.asked[1].startswith("/carbon-intensity/past-range?zone=DE&start=2026-11-20T08%3A00Z")


@pytest.mark.parametrize(("hours", "kind"), [(22.5, "history"), (23.0, "history"), (23.5, "past-range")])
def test_electricity_maps_last_day_is_the_free_request(
    maps: ElectricityMapsServer, clock: ManualClock, hours: float, kind: str
) -> None:
    german(maps, clock).between(NOW - hours * HOUR, NOW - (hours - 1) * HOUR)
    assert maps.asked[0].startswith(f"/carbon-intensity/{kind}?zone=DE")


def test_what_is_over_is_asked_once(maps: ElectricityMapsServer, clock: ManualClock) -> None:
    live = german(maps, clock)
    for _ in range(2):
        live.between(NOW - 50 * HOUR, NOW - 48 * HOUR)
        clock.sleep(100_000)
    assert len(maps.asked) == 1


def test_electricity_maps_forecast(maps: ElectricityMapsServer, clock: ManualClock) -> None:
    forecast = german(maps, clock).forecast()
    assert len(forecast.slots) == 25
    assert all(slot.estimated for slot in forecast.slots)
    assert forecast.mean(NOW + HOUR, NOW + HOUR + 60) == 311


@pytest.mark.parametrize("zone", [None, "rg10 9aa"])
def test_british_now_list_or_region(britain: BritishServer, clock: ManualClock, zone: str | None) -> None:
    grid = LiveGrid("carbonintensity-gb", zone=zone, url=britain.url, clock=clock).now()
    assert grid.grams_per_kwh == 120
    assert grid.zone == ("RG10" if zone else "GBR")
    assert "9AA" not in "".join(britain.asked).upper()


@pytest.mark.parametrize(("zone", "at_nine"), [(None, 113.0), ("RG10", 118.0)])
def test_british_past_prefers_what_was_measured(
    britain: BritishServer, clock: ManualClock, zone: str | None, at_nine: float
) -> None:
    live = LiveGrid("carbonintensity-gb", zone=zone, url=britain.url, clock=clock)
    past = live.between(NOW - 80 * 60, NOW - 20 * 60)
    assert past.mean(NOW - 80 * 60, NOW - 50 * 60) == at_nine
    assert past.slots[1].estimated is (zone is not None)


def test_british_forecast_of_two_days(britain: BritishServer, clock: ManualClock) -> None:
    live = LiveGrid("carbonintensity-gb", zone="RG10", url=britain.url, clock=clock)
    assert live.forecast(30).end >= NOW + 47 * HOUR
    assert britain.asked == ["/regional/intensity/2026-11-22T10:20Z/fw48h/postcode/RG10"]


def american(server: Server, clock: ManualClock, **options: Any) -> LiveGrid:
    settings = {
        "zone": "CAISO_NORTH",
        "user": "student",
        "password": "pa55word",
        "url": server.url,
        "clock": clock,
    }
    return LiveGrid("watttime", **(settings | options))


def test_watttime_is_marginal_and_converted_from_pounds(watttime: WattTimeServer, clock: ManualClock) -> None:
    grid = american(watttime, clock).now()
    assert grid.grams_per_kwh == pytest.approx(453.59237)
    assert grid.marginal
    assert "marginal" in repr(grid)
    assert "marginal" in grid.source


def test_watttime_logs_in_again_when_its_token_ages(watttime: WattTimeServer, clock: ManualClock) -> None:
    live = american(watttime, clock)
    live.now()
    clock.sleep(600)
    live.now()
    clock.sleep(1800)
    live.now()
    assert [path.split("?")[0] for path in watttime.asked] == [
        "/login", "/v3/forecast", "/v3/forecast", "/login", "/v3/forecast"
    ]  # fmt: skip


def test_watttime_past_and_forecast(watttime: WattTimeServer, clock: ManualClock) -> None:
    live = american(watttime, clock)
    past = live.between(NOW - HOUR, NOW)
    assert past.mean(NOW - HOUR, NOW) == pytest.approx(0.45359237 * sum(999.0 - i for i in range(12)) / 12)
    assert len(live.forecast(4.5).slots) == 60


def test_watttime_in_other_units_is_not_taken(watttime: WattTimeServer, clock: ManualClock) -> None:
    watttime.units = "kg_co2_per_mwh"
    with pytest.raises(GridError, match="kg_co2_per_mwh, not in lb/MWh"):
        american(watttime, clock).now()


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (error_status(401), "refused the credentials (HTTP 401)"),
        (error_status(403), "refused the credentials (HTTP 403)"),
        (error_status(404), "has no such zone"),
        (error_status(429), "quota is used up (HTTP 429): wait an hour"),
        (error_status(429, Retry_After="120"), "wait 120 s"),
        (error_status(500), "an error of its own (HTTP 500)"),
        (
            error_status(302, Location="https://elsewhere.example/"),
            "redirects to another address (HTTP 302), which gets no token",
        ),
        ((200, {}, b"<html>maintenance</html>"), "not JSON"),
        ((200, {}, b"[" * 100_000), "not JSON"),
        ((200, {}, b"\xff\xfe\x00"), "not JSON"),
        (error_status(400), "did not accept the request"),
        ("cut", "broke off"),
        ("nonsense", "broke off"),
        (ok({}), "in another form than the documented one"),
        (ok([]), "in another form"),
        (ok(None), "in another form"),
        (ok({"datetime": "2026-11-22T10:00:00Z", "carbonIntensity": None}), "in another form"),
        (ok({"datetime": "yesterday", "carbonIntensity": 300}), "in another form"),
        (ok({"datetime": "2026-11-22T10:00:00", "carbonIntensity": 300}), "in another form"),
        (ok({"datetime": "2026-11-22T10:00:00Z", "carbonIntensity": float("nan")}), "in another form"),
        (ok({"datetime": "2026-11-22T10:00:00Z", "carbonIntensity": -3}), "in another form"),
        (ok({"datetime": "2026-11-22T10:00:00Z", "carbonIntensity": 10**400}), "in another form"),
        (ok({"datetime": "9999-12-31T23:59:00Z", "carbonIntensity": 300}), "in another form"),
        (ok({"datetime": "2026-11-22T10:00:00Z", "carbonIntensity": 300_000}), "in another form"),
    ],
)
def test_problem_is_one_sentence_or_a_fallback_that_says_so(
    maps: ElectricityMapsServer, clock: ManualClock, trouble: Any, says: str
) -> None:
    maps.trouble = trouble
    with pytest.raises(GridError) as caught:
        german(maps, clock).now()
    assert says in str(caught.value)
    assert "s3cret" not in repr(caught.value)
    assert caught.value.__cause__ is None
    stand_in = german(maps, clock, fallback=Grid("DEU")).now()
    assert stand_in.grams_per_kwh == Grid("DEU").grams_per_kwh
    assert (stand_in.year, stand_in.relative) == (2023, Grid("DEU").relative)
    assert f"(fallback: {caught.value})" in stand_in.source


def test_an_endless_answer_is_cut(maps: ElectricityMapsServer, clock: ManualClock) -> None:
    # It would be a whole answer if reading went on forever.
    maps.trouble = (
        200,
        {},
        b" " * (9 * 1024 * 1024) + ok({"datetime": "2026-11-22T10:00Z", "carbonIntensity": 3})[2],
    )
    with pytest.raises(GridError, match="not JSON"):
        german(maps, clock).now()


def test_silence_ends_with_the_timeout(maps: ElectricityMapsServer, clock: ManualClock) -> None:
    maps.trouble = "silence"
    with pytest.raises(GridError, match=r"Electricity Maps did not answer within 0\.1 s"):
        german(maps, clock, timeout_seconds=0.1).now()


class Dripping(Tcp):
    """Sends its header byte by byte, for as long as somebody listens."""

    def talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while connection.send(b"x") != 0:
                time.sleep(0.01)


class BadLength(Tcp):
    """A length and a time to wait that look like digits."""

    def talk(self, connection: socket.socket) -> None:
        connection.recv(4096)
        head = "HTTP/1.1 429 Wait\r\nRetry-After: ²\r\nContent-Length: ²\r\n\r\n"
        connection.sendall(head.encode("latin-1"))


def test_a_dripping_header_ends_with_the_timeout(clock: ManualClock) -> None:
    with Dripping() as server:
        began = time.monotonic()
        with pytest.raises(GridError, match=r"did not answer within 0\.2 s"):
            LiveGrid(
                "carbonintensity-gb", url=f"http://{server.address}", timeout_seconds=0.2, clock=clock
            ).now()
        assert time.monotonic() - began < 2.0


def test_digits_that_are_no_number_are_one_error(clock: ManualClock) -> None:
    with BadLength() as server, pytest.raises(GridError, match="carbonintensity"):
        LiveGrid("carbonintensity-gb", url=f"http://{server.address}", timeout_seconds=2, clock=clock).now()


def test_nobody_there(clock: ManualClock) -> None:
    with ElectricityMapsServer() as server:
        url = server.url
    with pytest.raises(GridError, match=r"cannot be reached .* check the network"):
        LiveGrid("electricitymaps", zone="DE", token="t", url=url, clock=clock).now()


def test_the_last_answer_stands_in_for_an_hour_and_says_so(
    maps: ElectricityMapsServer, clock: ManualClock
) -> None:
    live = german(maps, clock, fallback=Grid("DEU"))
    live.now()
    maps.trouble = error_status(500)
    clock.sleep(1000)
    stale = live.now()
    assert stale.grams_per_kwh == 310
    assert "fetched 1000 s ago; stale: Electricity Maps reports an error of its own" in stale.source
    clock.sleep(2700)
    assert "fallback" in live.now().source


def test_after_an_error_it_waits_longer_each_time(maps: ElectricityMapsServer, clock: ManualClock) -> None:
    maps.trouble = error_status(500)
    live = german(maps, clock, fallback=Grid("DEU"))
    asked = []
    for _ in range(20):
        live.now()
        asked.append(len(maps.asked))
        clock.sleep(10)
    # At 0 s, after 30 s, after 60 s more, after 120 s more (not reached).
    assert (asked[0], asked[2], asked[3], asked[8], asked[9], asked[19]) == (1, 1, 2, 2, 3, 3)
    assert "next request in" in live.now().source
    maps.trouble = None
    clock.sleep(200)
    assert live.now().grams_per_kwh == 310


def test_retry_after_is_obeyed(maps: ElectricityMapsServer, clock: ManualClock) -> None:
    maps.trouble = error_status(429, Retry_After="600")
    live = german(maps, clock, fallback=Grid("DEU"))
    live.now()
    clock.sleep(599)
    live.now()
    assert len(maps.asked) == 1
    clock.sleep(2)
    live.now()
    assert len(maps.asked) == 2


def test_our_own_ceiling(maps: ElectricityMapsServer, clock: ManualClock) -> None:
    live = german(maps, clock, requests_per_hour=3, cache_seconds=0.0, stale_seconds=0.0)
    for _ in range(3):
        live.now()
        clock.sleep(1)
    with pytest.raises(GridError, match="3 requests went to Electricity Maps within the hour"):
        live.now()
    clock.sleep(HOUR)
    live.now()
    assert len(maps.asked) == 4


def test_an_unavailable_past_falls_back_and_a_forecast_does_not(
    maps: ElectricityMapsServer, clock: ManualClock
) -> None:
    maps.trouble = error_status(403)
    flat = german(maps, clock, fallback=Grid("DEU")).between(NOW - HOUR, NOW)
    assert flat.mean(NOW - HOUR, NOW) == Grid("DEU").grams_per_kwh
    assert "fallback" in flat.source
    with pytest.raises(GridError, match="credentials"):
        german(maps, clock, fallback=Grid("DEU")).forecast()


def test_no_rows_is_an_error(maps: ElectricityMapsServer, clock: ManualClock) -> None:
    maps.trouble = ok({"zone": "DE", "forecast": []})
    with pytest.raises(GridError, match="nothing for that stretch"):
        german(maps, clock).forecast()


def test_secrets_show_nowhere(maps: ElectricityMapsServer, clock: ManualClock) -> None:
    live = german(maps, clock)
    assert repr(live) == "LiveGrid(Electricity Maps, DE)"
    live.now()
    assert "s3cret" not in f"{vars(live)} {vars(live._provider)} {maps.asked}"
    for token in ("s3cret\ntoken", "s3cret token", "", "s3crét"):
        with pytest.raises(SpecError) as caught:
            german(maps, clock, token=token)
        assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize(
    ("provider", "options", "says"),
    [
        ("electricitymaps", {"zone": "DE"}, "needs zone"),
        ("electricitymaps", {"token": "t"}, "needs zone"),
        ("electricitymaps", {"zone": "DE", "token": "t", "user": "u"}, "takes no user"),
        ("watttime", {"zone": "CAISO_NORTH", "user": "u"}, "needs zone"),
        ("watttime", {"zone": "CAISO_NORTH", "token": "t"}, "issues its own tokens"),
        ("carbonintensity-gb", {"zone": "Reading"}, "not an outward postcode"),
        ("carbonintensity-gb", {"token": "t"}, "takes no token"),
        ("ipinfo", {}, "no live service"),
        ("carbonintensity-gb", {"url": "http://example.org"}, "neither https"),
        ("carbonintensity-gb", {"timeout_seconds": 0.0}, "is impossible"),
    ],
)
def test_a_wrong_request_is_refused_before_the_network(provider: str, options: Any, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        LiveGrid(provider, **options)


ODD: list[Any] = [None, True, -1, 10**400, float("nan"), float("inf"), "", "2026-11-22T10:00Z", "12", [], {}]


def spoilt(document: Any, chance: random.Random) -> Any:
    """The document with one value in it, at any depth, replaced or left out."""
    if not isinstance(document, (dict, list)) or not document or chance.random() < 0.15:
        return chance.choice(ODD)
    if isinstance(document, list):
        at = chance.randrange(min(len(document), 3))
        return [*document[:at], spoilt(document[at], chance), *document[at + 1 :]]
    key = chance.choice(sorted(document))
    if chance.random() < 0.8:
        return {**document, key: spoilt(document[key], chance)}
    return {name: value for name, value in document.items() if name != key}


def ask(live: LiveGrid, question: int) -> str:
    """The source of an answer, or the one error."""
    try:
        if question == 0:
            return live.now().source
        return (live.between(NOW - HOUR, NOW) if question == 1 else live.forecast(2.0)).source
    except GridError as why:
        return str(why)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ElectricityMapsServer, BritishServer, WattTimeServer])
def test_a_spoilt_answer_is_intensities_or_one_error(
    kind: type[Server], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, chance = kind.respond, random.Random(7)

    def respond(server: Server, path: str, *request: Any) -> Answer:
        status, headers, body = honest(server, path, *request)
        spare = status != 200 or (path == "/login" and chance.random() < 0.9)
        return (status, headers, body) if spare else ok(spoilt(json.loads(body), chance))

    monkeypatch.setattr(kind, "respond", respond)
    with kind() as server:
        said = []
        for i in range(150):
            if kind is BritishServer:
                live = LiveGrid("carbonintensity-gb", url=server.url, clock=clock)
            else:
                live = (german if kind is ElectricityMapsServer else american)(server, clock)
            said.append(ask(live, i % 3))
    assert not any("broke off" in each for each in said)
    assert sum("in another form" in each for each in said) > 20
    assert sum("fetched 0 s ago" in each for each in said) > 10


def test_an_answer_ends_the_growing_of_the_wait(maps: ElectricityMapsServer, clock: ManualClock) -> None:
    live = german(maps, clock, fallback=Grid("DEU"), cache_seconds=0.0, stale_seconds=0.0)
    for trouble in (error_status(500), error_status(500), None, error_status(500)):
        maps.trouble = trouble
        live.now()
        clock.sleep(61)
    assert len(maps.asked) == 4
    # Had the wait gone on growing, 61 s would not be enough by now.
    live.now()
    assert len(maps.asked) == 5
