"""Two hosts as network namespaces, with a wire between them; root alone can make them."""

import os
import shutil
import subprocess
from contextlib import ExitStack
from typing import NamedTuple

import pytest


class WiredHost(NamedTuple):
    """One of two namespaces."""

    namespace: str
    device: str
    """The end of the wire there."""
    address: str


def wired(stack: ExitStack, *names: str) -> list[WiredHost]:
    """Two hosts that can reach each other and nobody else; they are gone with the stack.

    Skips the test where this user, or this system, has none.
    """
    missing = [name for name in ("ip", "unshare") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"two hosts need {', '.join(missing)}")
    tried = subprocess.run(
        ["unshare", "-n", "-u", "ip", "link", "add", "vtry0", "type", "veth", "peer", "name", "vtry1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if tried.returncode:
        pytest.skip(f"no namespaces of the network for this user: {tried.stderr.strip()}")
    number = os.getpid() % 100_000
    # addresses of the documentation's networks (RFC 5737): nobody routes there
    hosts = [
        WiredHost(f"em-{name}-{number}", f"v{name[:4]}{number}", f"192.0.2.{last}")
        for last, name in enumerate(names, 1)
    ]
    for host in hosts:
        _ip("netns", "add", host.namespace)
        stack.callback(_ip, "netns", "del", host.namespace)
    one, other = hosts
    _ip("link", "add", one.device, "netns", one.namespace, "type", "veth",
        "peer", "name", other.device, "netns", other.namespace)  # fmt: skip
    for host in hosts:
        _ip("-n", host.namespace, "addr", "add", f"{host.address}/24", "dev", host.device)
        for device in (host.device, "lo"):
            _ip("-n", host.namespace, "link", "set", device, "up")
    return hosts


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
