"""The network link: addresses, error words, secrets."""

import errno
import socket

import pytest

from energymeter.drivers.links.tcp import network_error, secret, split_host
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
