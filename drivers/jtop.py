"""jtop: a Jetson's rails through the jetson-stats service (extra ``jetson``; PyPI jetson-stats, AGPL-3.0).

For boards whose sensor files only root may read (JetPack 4). Where they are readable, ``jetson`` is
50 times cheaper a sample. The package is imported by ``open``, and only in the sampler's process:
importing it forces ``multiprocessing`` to fork.

Its traps, and what is done about them:

- ``start()`` can wait without end (it passes its time-out where ``Queue.get`` takes ``block``): it runs
  against a deadline of ours.
- The first client sets the service's pace; a faster one is declared dead without a word after three of
  its own intervals: the service's pace is adopted.
- When the input rail fails, ``tot`` silently becomes the sum of the other rails (2032 mW turn into
  446 mW): the rails that are counted are pinned by name when the source is opened.
- A hung sensor keeps repeating its last sample: only a change of the service's uptime is a new one.
- A battery or USB-C supply enters the sum: only the board's own rails are added here.

Semantics: instants. Source: rbonghi/jetson_stats, jtop/service.py and jtop/core/power.py.
Accuracy: as of ``jetson``, with the shunt taken as 5 mΩ [from memory].
Renewal: as the service reads its sensors, at most five times a second.
Counters: none.
Loss: repeats of a hung sensor are no samples; other losses are unknown.
Tested on: a stand-in for the package, its real service in a namespace; real hardware: none yet.
"""

import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any

from energymeter.drivers.links.channels import Parts, Shared, Snapshot
from energymeter.drivers.protocols.jetson import MOST_WATTS, pinned_rails
from energymeter.drivers.protocols.jtop import Attempt, Client, Rails, Session, hung
from energymeter.errors import ExtraMissing, SourceError, SourceMissing, SpecError
from energymeter.paths import below, entries, peek
from energymeter.reading import Band, Facts, Reading

__all__ = ["Jtop"]

_FLOOR_SECONDS = 0.2  # below it real sensors were lost without a word; upstream advises 0.5 (issue 414)
_RECONNECT_SECONDS = 1.8  # a read may not take longer than 2 s


class Jtop(Parts[Shared[Rails]]):
    """The board's rails as jetson-stats reports them, one channel each; those that make the board are added.

    ``interval`` (seconds, at least 0.2) is how often the service reads its sensors; by default it
    follows the sampling rate, and the service's own when another client was there before.
    """

    kind = "board"
    signs = ("/run/jtop.sock",)

    facts = Facts(max_watts=MOST_WATTS, default_hz=2.0, max_hz=1.0 / _FLOOR_SECONDS)

    @staticmethod
    def addresses(root: str = "/") -> list[str]:
        """The only address, on a Jetson or where the service runs; nobody else needs the package."""
        model = peek(below(root, "proc/device-tree/model")) or ""
        here = "NVIDIA" in model or "Jetson" in model or os.path.exists(below(root, "run/jtop.sock"))
        if not here:
            raise SourceMissing("this is no Jetson, and no jtop service runs here; use another source")
        return [""]

    def __init__(
        self,
        address: str = "",
        *,
        interval: float = 0.0,
        root: str = "/",
        timeout: float = 6.0,
        client: Callable[[float], Client] | None = None,
    ) -> None:
        """``timeout``: seconds to wait for the service. ``client`` stands for ``jtop.jtop``."""
        if address:
            raise SpecError(
                f"jtop has no address such as {address!r}: there is one service a board, so leave it out"
            )
        if interval and not interval >= _FLOOR_SECONDS:
            raise SpecError(
                f"jtop?interval={interval:g} is too fast: jetson-stats loses samples silently below "
                f"{_FLOOR_SECONDS:g} s; give a longer one"
            )
        self.name = "jtop"
        self._interval = interval or 0.5
        self._tunable = not interval
        self._root = root
        self._timeout = timeout
        self._factory = client
        self._session: Session | None = None
        self._starting: Attempt | None = None
        self._counted: frozenset[str] = frozenset()

    def tune(self, rate_hz: float) -> None:
        if self._tunable:
            self._interval = max(1.0 / rate_hz, _FLOOR_SECONDS)

    def open(self) -> None:
        if self._factory is None:
            self._factory = _imported()
        session = self._connect(self._timeout)
        if session.interval > self._interval:
            session.close()
            self._interval = session.interval
            session = self._connect(self._timeout)
        self._session = session
        rails = _rails(session.rails(), self._root)
        if not rails:
            self.close()
            raise SourceMissing(
                "the jtop service knows no power sensor on this board (Nano 2GB has none); "
                "use an external meter, such as an INA219"
            )
        try:
            self._counted = counted = pinned_rails(self._counted, rails)
        except SourceError:
            self.close()
            raise
        snapshot = Snapshot(self._take)
        self._parts = [
            Shared(
                f"jtop:{name}",
                self._facts(name in counted),
                snapshot,
                _picker(name, power_only=name in counted and len(counted) > 1),
            )
            for name in rails
        ]

    def _facts(self, counted: bool) -> Facts:
        # the INA3221 behind it: see drivers/jetson.py; the service adds whole milliunits
        return self.facts._replace(
            volts=Band(gain=0.0025, offset=0.008, resolution=0.008),
            amps=Band(gain=0.0125, offset=0.016, resolution=0.008),
            watts=Band(gain=0.015, offset=0.08, resolution=0.04),
            counted=counted,
        )

    def _connect(self, seconds: float) -> "Session":
        """A started client.

        Raises:
            SourceError: the service is absent, closed to us, of another version, or hung.
        """
        assert self._factory is not None
        if self._starting is not None and self._starting.pending:
            raise hung(seconds)  # one attempt still hangs; another would only pile up
        session = Session(self._factory(self._interval), self._interval)
        self._starting = Attempt(session.start, session.close)
        self._starting.within(seconds)
        return session

    def _take(self) -> Rails:
        if self._session is None:
            self._session = self._connect(min(self._timeout, _RECONNECT_SECONDS))
        try:
            return self._session.latest()
        except SourceError:
            self._session.close()
            self._session = None
            raise

    def close(self) -> None:
        super().close()
        if self._session is not None:
            self._session.close()
            self._session = None


def _imported() -> Callable[[float], Client]:
    try:
        factory: Callable[[float], Client] = importlib.import_module("jtop").jtop
    except ImportError as error:
        raise ExtraMissing("jetson-stats", "jetson", "reading the jtop service") from error
    return factory


def _rails(found: Mapping[str, Mapping[str, Any]], root: str) -> list[str]:
    """The board's own rails: batteries and USB-C supplies are in the kernel's list of power supplies."""
    supplies = entries(below(root, "sys/class/power_supply"))
    return [name for name, rail in found.items() if name not in supplies and "status" not in rail]


def _picker(name: str, *, power_only: bool) -> Callable[[Rails], Reading]:
    def pick(sample: Rails) -> Reading:
        rail = sample.rails.get(name)
        if rail is None:
            raise SourceError(
                f"the jtop service no longer sees the rail {name}; its sensor failed, so look into `dmesg`"
            )
        volts, amps = rail.get("volt"), rail.get("curr")
        if volts is None or amps is None:
            return Reading(watts=rail["power"] * 1e-3, at_ns=sample.at_ns)
        if power_only:
            return Reading(watts=volts * amps * 1e-6, at_ns=sample.at_ns)
        return Reading(volts=volts * 1e-3, amps=amps * 1e-3, at_ns=sample.at_ns)

    return pick
