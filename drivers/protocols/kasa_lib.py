"""Newer Kasa and Tapo plugs (KLAP firmware) through python-kasa, which the user installs.

python-kasa is GPL-3.0 and no part of this package: it is imported when a spec asks for it, and never else.
"""

import asyncio
from collections.abc import Coroutine
from importlib import import_module
from typing import Any, TypeVar

from energymeter.errors import (
    ExtraMissing,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
)
from energymeter.text import printable

_T = TypeVar("_T")

_FIRST_SECONDS = 10.0
"""Finding out which dialect a plug speaks takes several tries."""


class PythonKasa:
    """One plug, or one outlet of a strip, as python-kasa's Energy module sees it.

    Args:
        name: what to call the source in errors.
        outlet: of a strip, from 0; -1: a plug that is not one.
        timeout: seconds one answer may take.
    """

    def __init__(
        self, host: str, *, name: str, outlet: int, user: str, password: str, timeout: float
    ) -> None:
        self._host, self._name, self._outlet, self._timeout = host, name, outlet, timeout
        self._user, self._password = user, password
        self._loop: asyncio.AbstractEventLoop | None = None
        self._device: Any = None
        self._part: Any = None
        self.identity = ""

    def open(self) -> None:
        """Find the plug and log in.

        Raises:
            ExtraMissing: python-kasa is not installed.
            SourceMissing, SourceForbidden, SourceTimeout, SourceError: as the message says.
        """
        try:
            self._kasa = import_module("kasa")
        except ImportError as error:
            raise ExtraMissing("python-kasa", "kasa", "a newer Kasa or Tapo plug") from error
        self._loop = asyncio.new_event_loop()
        login = {"username": self._user, "password": self._password} if self._user else {}
        self._device = self._run(self._kasa.Discover.discover_single(self._host, **login), _FIRST_SECONDS)
        if self._device is None:
            raise SourceMissing(f"{self._name}: no Kasa or Tapo plug answers there; check the address")
        self._run(self._device.update(), _FIRST_SECONDS)
        self._part = self._device
        if self._outlet >= 0:
            outlets = self._device.children
            if self._outlet >= len(outlets):
                raise SourceMissing(
                    f"{self._name} has {len(outlets)} outlets, counted from 0; correct outlet="
                )
            self._part = outlets[self._outlet]
        self.identity = printable(str(self._part.device_id))
        if self._kasa.Module.Energy not in self._part.modules:
            raise SourceMissing(f"{self._name} has no energy meter; use a model that has one")

    def now(self) -> dict[str, object]:
        """Volts, amps, watts and kilowatt-hours, named as the first HS110 names them.

        Raises:
            SourceError: and what else fits.
        """
        self._run(self._device.update(), self._timeout)
        energy = self._part.modules[self._kasa.Module.Energy]
        return {
            "power": energy.current_consumption,
            "voltage": energy.voltage,
            "current": energy.current,
            "total": energy.consumption_total,
        }

    def close(self) -> None:
        """Hang up."""
        loop, device = self._loop, self._device
        try:
            if loop is not None and device is not None:
                self._run(device.disconnect(), self._timeout)
        except SourceError:
            self._part = None  # it was unplugged: there is nothing left to hang up
        finally:
            self._loop = self._device = self._part = None
            if loop is not None:
                loop.close()

    def _run(self, work: Coroutine[Any, Any, _T], seconds: float) -> _T:
        """Do it now; python-kasa's own words, which may hold a password, are not repeated."""
        assert self._loop is not None
        try:
            return self._loop.run_until_complete(asyncio.wait_for(work, seconds))
        except self._kasa.AuthenticationError as error:
            raise SourceForbidden(f"{self._name} refuses the log-in; give the account of its app") from error
        except (self._kasa.TimeoutError, asyncio.TimeoutError) as error:
            raise SourceTimeout(
                f"{self._name} does not answer; check that it has power and is on this network"
            ) from error
        except self._kasa.KasaException as error:
            raise SourceError(
                f"{self._name} cannot be read ({type(error).__name__}); check address and log-in"
            ) from error
