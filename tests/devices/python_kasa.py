"""A stand-in for the python-kasa package (GPL-3.0, not installed here), with the face its 0.12 has.

Figures: the KP125M dump in python-kasa's tests/fixtures/smart, as its Energy module converts them.
"""

import sys
import types
from typing import Any

import pytest

from energymeter.drivers.kasa import Kasa


class KasaException(Exception):
    """Root of the package's errors."""


class AuthenticationError(KasaException):
    """The name in the package."""


class KasaTimeoutError(KasaException):
    """``kasa.TimeoutError``."""


class FakePackage(types.ModuleType):
    """The module ``kasa``: one plug on the network, with a login."""

    KasaException, AuthenticationError, TimeoutError = KasaException, AuthenticationError, KasaTimeoutError

    class Module:
        """Keys of a device's modules."""

        Energy = "Energy"

    def __init__(self) -> None:
        super().__init__("kasa")
        self.password, self.there, self.meters, self.fails = "s3cret", True, True, ""
        self.connected = 0
        self.energy = types.SimpleNamespace(
            current_consumption=1.003, voltage=121.215, current=0.033, consumption_total=0.971
        )
        self.Discover = types.SimpleNamespace(discover_single=self._discover_single)

    async def _discover_single(self, host: str, *, username: str, password: str) -> "FakeDevice | None":
        assert (host, username) == ("10.0.0.5", "me")
        if not self.there:
            return None
        self.connected += 1
        return FakeDevice(self, "8022F0", password)


class FakeDevice:
    """Knows nothing before its first update."""

    def __init__(self, package: FakePackage, device_id: str, password: str) -> None:
        self._package, self._password, self.device_id = package, password, device_id
        self._updated = False

    async def update(self) -> None:
        if self._package.fails:
            raise getattr(self._package, self._package.fails)(f"password {self._password} at 10.0.0.5")
        if self._password != self._package.password:
            raise self._package.AuthenticationError(f"password {self._password} refused")
        self._updated = True

    async def disconnect(self) -> None:
        self._package.connected -= 1

    @property
    def modules(self) -> dict[str, Any]:
        return {"Energy": self._package.energy} if self._package.meters else {}

    @property
    def children(self) -> list["FakeDevice"]:
        assert self._updated
        return [FakeDevice(self._package, self.device_id + "-child", self._password)]


def installed(monkeypatch: pytest.MonkeyPatch) -> FakePackage:
    """The stand-in, where the driver imports the package."""
    fake = FakePackage()
    monkeypatch.setitem(sys.modules, "kasa", fake)
    return fake


def newer(**options: Any) -> Kasa:
    """The driver of its one plug."""
    return Kasa("10.0.0.5", backend="python-kasa", user="me", password="s3cret", **options)
