"""URLs as meters, against a local server."""

import hashlib
import json
import socket
from typing import Any

import pytest
from devices.measured import measured
from devices.opened import open_for_test
from devices.web import DigestLogin, Said, Web, basic

from energymeter.drivers.http import Http
from energymeter.drivers.links.http import Digest
from energymeter.errors import NotMeasured, SourceError, SourceForbidden, SourceMissing, SpecError
from energymeter.testing import check_source, check_unplugged


def page(target: str, headers: dict[str, str]) -> Said:
    if target == "/bare":
        return Said(200, "  4530\n")
    if target == "/api?id=3&watts=no":
        return Said(200, json.dumps({"meters": [{"power": 10.66, "u": 232.1, "total": 5.3}]}))
    return Said(404, "{}")


def test_json_conforms_and_keeps_the_urls_own_query() -> None:
    with Web(page) as web:
        url = f"http://{web.address}/api?id=3&watts=no"
        readings = check_source(
            lambda: Http(
                url, watts="$.meters[0].power", volts="$.meters[0].u", accuracy=0.01, measures="wall"
            )
        )
        assert readings[0][:3] == (232.1, None, 10.66)
        assert web.connections == 2, "one an open"


def test_a_bare_number_in_its_unit() -> None:
    with Web(page) as web:
        source = Http(f"http://{web.address}/bare", unit="mW")
        open_for_test(source)
        assert source.read().watts == 4.53


def test_a_counter_in_watt_minutes_needs_saying() -> None:
    with Web(page) as web:
        source = Http(f"http://{web.address}/api?id=3&watts=no", joules="$.meters[0].total", joules_unit="Wh")
        open_for_test(source)
        assert source.facts.semantics == "counter"
        assert source.read().joules == pytest.approx(5.3 * 3600)


def test_logins_and_that_nothing_of_them_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def guarded(target: str, headers: dict[str, str]) -> Said:
        if headers.get("authorization") == basic("me", "p@ss"):
            return Said(200, "1")
        return Said(401, "", (("WWW-Authenticate", 'Basic realm="hub"'),))

    with Web(guarded) as web:
        source = Http(f"http://me:p%40ss@{web.address}/x?token=tok3n", unit="W")
        open_for_test(source)
        assert source.read().watts == 1
        assert source.name.startswith(f"http@http://{web.address}/x#")
        assert "tok" not in source.name.partition("#")[2]
        wrong = Http(f"http://{web.address}/x?token=tok3n", unit="W", user="me", password="gue55")
        with pytest.raises(SourceForbidden) as caught:
            open_for_test(wrong)
        assert "gue55" not in repr(caught.value)
        assert "tok3n" not in repr(caught.value)
    monkeypatch.setenv("HUB", "p@ss")
    with Web(DigestLogin(lambda t, h: Said(200, "2"), "p@ss", user="me")) as web:
        source = Http(f"http://{web.address}/", unit="W", user="me", password_env="HUB")
        open_for_test(source)
        assert source.read().watts == 2


@pytest.mark.parametrize(
    ("path", "options", "match"),
    [
        ("/none", {"watts": "$.p"}, "HTTP status 404"),
        ("/none", {"unit": "W"}, "HTTP status 404"),
        ("/bare", {"watts": "$.p"}, "leads nowhere"),
        ("/api?id=3&watts=no", {"unit": "W"}, "is no number"),
        ("/api?id=3&watts=no", {"watts": "$.meters"}, "is no number"),
    ],
)
def test_answers_without_the_number(path: str, options: dict[str, Any], match: str) -> None:
    with Web(page) as web, pytest.raises(SourceError, match=match):
        Http(f"http://{web.address}{path}", **options).open()


def test_gone_and_back() -> None:
    with Web(page) as web:
        source = Http(f"http://{web.address}/bare", unit="mW")
        open_for_test(source)
        web.vanish()
        with pytest.raises(SourceMissing):
            source.read()
        web.start()
        assert source.read().watts == 4.53


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    check_unplugged(lambda: Http(f"http://127.0.0.1:{port}/", unit="W"))


@pytest.mark.parametrize("url", ["", "plug.lan", "ftp://x/", "http://", "http://x:port/", "http://[::1/"])
def test_no_urls(url: str) -> None:
    with pytest.raises(SpecError):
        Http(url, unit="W")


@pytest.mark.parametrize("options", [{}, {"watts": "p"}, {"unit": "mX"}, {"unit": "W", "timeout": 0.0}])
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        Http("http://x/", **options)


@pytest.mark.parametrize("watts", [2**32 - 1, 2**31 - 1, -(2**31)])
def test_a_code_for_no_value_is_no_power(watts: int) -> None:
    with Web(lambda *_: Said(200, f'{{"p": {watts}}}')) as web, pytest.raises(NotMeasured):
        measured(Http(f"http://{web.address}/", watts="$.p"))


def test_a_login_that_asks_for_it_hides_the_user() -> None:
    """RFC 7616, section 3.4.4: the user's name as a hash, and a word that says so."""
    challenge = {"realm": "plugs", "nonce": "n", "qop": "auth", "algorithm": "SHA-256", "userhash": "true"}
    hidden = Digest(challenge, "me", "secret").header("/")
    assert f'username="{hashlib.sha256(b"me:plugs").hexdigest()}"' in hidden
    assert "userhash=true" in hidden
    shown = Digest({**challenge, "userhash": "false"}, "me", "secret").header("/")
    assert 'username="me"' in shown
    assert "userhash" not in shown
