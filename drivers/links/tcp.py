"""Things on the network: addresses, and what their failures mean."""

import contextlib
import errno
import os
import socket
import time

from energymeter.errors import SourceError, SourceForbidden, SourceMissing, SourceTimeout, SpecError

_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EADDRNOTAVAIL)


def split_host(address: str, port: int) -> tuple[str, int]:
    """``host``, ``host:port`` or ``[v6]:port`` taken apart; ``port`` where the place names none.

    >>> split_host("plug.lan:8080", 80), split_host("[fe80::1]", 80)
    (('plug.lan', 8080), ('fe80::1', 80))

    Raises:
        SpecError: no host, or a port that is none.
    """
    host, colon, tail = address.rpartition(":")
    if not colon or address.endswith("]") or (":" in host.strip("[]") and not host.endswith("]")):
        host, tail = address, str(port)
    host = host.removeprefix("[").removesuffix("]")
    if not host or any(c in host for c in "/@ ?#"):
        raise SpecError(
            f"{address!r} is no network address: give a host name or IP, as in 192.168.1.20 or plug.lan:80"
        )
    if not (tail.isascii() and tail.isdigit() and 0 < int(tail) < 65536):
        raise SpecError(f"{tail!r} is no port: give a number from 1 to 65535, as in {host}:{port}")
    return host, int(tail)


def connect(host: str, port: int, deadline: float) -> socket.socket:
    """A connection to the first of a host's addresses that answers, by ``deadline`` on the monotonic clock.

    The name is looked up by the system's resolver, whose own time limit is in ``resolv.conf``.

    Raises:
        OSError: none answers.
    """
    failure: OSError = TimeoutError("no time is left")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        with contextlib.ExitStack() as unless_connected:
            try:
                connection = unless_connected.enter_context(socket.socket(family, kind, protocol))
                connection.settimeout(left)
                connection.connect(address)
            except OSError as error:
                failure = error
                continue
            unless_connected.pop_all()
            return connection
    raise failure


def network_error(error: OSError, name: str) -> SourceError:
    """The error to raise for ``error``, saying what to do; ``name`` never holds a password."""
    if isinstance(error, socket.gaierror):
        return SourceMissing(
            f"{name}: no host of that name is known here; check the spelling or give its IP address"
        )
    if isinstance(error, TimeoutError):
        return SourceTimeout(f"{name} does not answer; check that it has power and is on this network")
    if isinstance(error, ConnectionRefusedError):
        return SourceMissing(
            f"{name} refuses the connection; check the address and port, and that it is switched on"
        )
    if error.errno in _UNREACHABLE:
        return SourceMissing(
            f"{name} cannot be reached from here; check the address and this machine's network"
        )
    if isinstance(error, PermissionError):
        return SourceForbidden(f"{name}: this machine does not let us connect there; check its firewall")
    return SourceError(f"{name}: the connection was lost ({error}); it is tried again with the next reading")


def secret(password: str, password_env: str, name: str) -> str:
    """The password itself, or the environment variable that holds it, which keeps it out of specs and logs.

    Raises:
        SpecError: the variable is not set.
    """
    if not password_env:
        return password
    try:
        return os.environ[password_env]
    except KeyError:
        raise SpecError(
            f"{name}: the environment variable {password_env} is not set; export it with the password in it"
        ) from None
