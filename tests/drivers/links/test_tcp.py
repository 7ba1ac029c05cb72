"""The network link: addresses, error words, secrets."""

import errno
import socket
import time

import pytest

from energymeter.drivers.links.tcp import connect, network_error, secret, split_host
from energymeter.errors import SourceError, SourceForbidden, SourceMissing, SourceTimeout, SpecError


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("10.0.0.5", ("10.0.0.5", 80)),
        ("plug.lan:8080", ("plug.lan", 8080)),
        ("[fe80::1]", ("fe80::1", 80)),
        ("[fe80::1]:81", ("fe80::1", 81)),
        ("fe80::1", ("fe80::1", 80)),
    ],
)
def test_addresses(place: str, expected: tuple[str, int]) -> None:
    assert split_host(place, 80) == expected


@pytest.mark.parametrize(
    "place", ["", ":80", "http://plug", "a b", "plug:0", "plug:99999", "plug:x", "me@plug", "plug:-1"]
)
def test_no_addresses(place: str) -> None:
    with pytest.raises(SpecError):
        split_host(place, 80)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (socket.gaierror(-2, "Name or service not known"), SourceMissing),
        (TimeoutError("timed out"), SourceTimeout),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), SourceMissing),
        (OSError(errno.EHOSTUNREACH, "no route"), SourceMissing),
        (PermissionError(errno.EPERM, "filtered"), SourceForbidden),
        (ConnectionResetError(errno.ECONNRESET, "reset"), SourceError),
    ],
)
def test_errors_name_the_source_and_a_remedy(error: OSError, kind: type[SourceError]) -> None:
    found = network_error(error, "shelly@plug")
    assert type(found) is kind
    assert str(found).startswith("shelly@plug")


def test_secrets_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUG_PASSWORD", "from-env")
    assert secret("", "PLUG_PASSWORD", "x") == "from-env"
    assert secret("given", "", "x") == "given"
    with pytest.raises(SpecError, match="NO_SUCH"):
        secret("", "NO_SUCH", "x")


def test_every_address_shares_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two addresses that never answer take one time limit together, not one each."""
    silent = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("192.0.2.1", 9))] * 2
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: silent)
    waits: list[float] = []

    class Silent(socket.socket):
        def connect(self, address: object) -> None:
            waits.append(self.gettimeout() or 0.0)
            time.sleep(0.03)
            raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "socket", Silent)
    with pytest.raises(TimeoutError):
        connect("plug", 80, time.monotonic() + 0.05)
    assert len(waits) == 2
    assert 0.03 < waits[0] <= 0.05
    assert waits[1] <= 0.03
