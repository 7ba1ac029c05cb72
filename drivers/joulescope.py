"""Joulescope JS110 and JS220 energy analysers, by the charge and energy that the instrument itself adds up.

    joulescope                     the only one plugged in
    joulescope@js220/001234        by model and serial number, or by the number alone

Plug: USB; the measured supply runs through IN and OUT. Needs the maker's package
(``pip install "edge-energymeter[joulescope]"``: pyjoulescope_driver, Apache-2.0) and, on Linux, its
udev rules.

Semantics: counters. JS220 at 1 MS/s and JS110 at 2 MS/s integrate in the instrument; every block of
statistics carries its accumulated joules and coulombs, and energy is the last minus the first. Nothing
between two blocks is lost or interpolated. Blocks come 2 to 100 times a second as the sampler asks (JS110
with its on-instrument statistics: always 2), with the instrument's own sample clock as the time base.
Accuracy: ±0.5 % here, a cautious figure from memory of the data sheets [from memory]; resolution below a
microjoule. No emulator of the instrument exists.

Sources: jetperch/joulescope_driver (pyjoulescope_driver/entry_points/statistics.py for the topics,
binding.pyx for the values and the error codes).

Renewal: statistics 2 to 100 times a second, as asked (JS110: twice).
Counters: the instrument's own joules and coulombs are the curve.
Loss: blocks name the samples they cover, so missing ones are counted; their energy is not lost.
Tested on: a stand-in for the package's ``Driver``, statistics shaped as its binding makes them; real
    hardware: none yet.
"""

import queue
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from math import isfinite
from typing import Any, Protocol

from energymeter.clock import Clock, SystemClock
from energymeter.drivers.links.stream import StreamingSource
from energymeter.drivers.links.timebase import Timebase
from energymeter.drivers.links.usb import plugged
from energymeter.errors import (
    ExtraMissing,
    SourceBusy,
    SourceError,
    SourceForbidden,
    SourceMissing,
    SourceTimeout,
    SpecError,
)
from energymeter.reading import Band, Facts, Reading
from energymeter.units import number

__all__ = ["Joulescope"]

_BEAT_SECONDS = 0.4
_SILENCE_SECONDS = 3.0
"""The slowest statistics come twice a second."""

_SAMPLES_PER_SECOND = 1_000_000  # of the JS220
_JS110_HZ = 2.0
_CODE = re.compile(r"failed (\d+)")
_PERMISSIONS, _BUSY, _IN_USE = 18, 19, 21  # binding.pyx ErrorCode


class JsDriver(Protocol):
    """What is used of ``pyjoulescope_driver.Driver``."""

    def device_paths(self) -> list[str]: ...
    def open(self, path: str) -> object: ...
    def close(self, path: str) -> object: ...
    def publish(self, topic: str, value: object) -> object: ...
    def subscribe(self, topic: str, flags: str, fn: Callable[[str, Any], None]) -> object: ...
    def unsubscribe(self, topic: str, fn: Callable[[str, Any], None]) -> object: ...
    def finalize(self) -> object: ...


class Joulescope(StreamingSource):
    """A Joulescope's accumulators.

    Args:
        address: ``js220/001234``, ``001234``, or nothing if only one is plugged in.
        driver, clock: make the ``Driver``, tell the time; for tests.

    Raises:
        SpecError: an address that is no model and number.
    """

    kind = "meter"
    usb_ids = ((0x16D0, 0x0E88), (0x16D0, 0x10BA))  # 99-joulescope.rules; 1359 is a trace adapter
    usb_node = "usb"

    facts = Facts(
        semantics="counter",
        joules=Band(gain=0.005),
        coulombs=Band(gain=0.005),
        watts=Band(gain=0.005),
        volts=Band(gain=0.005),
        amps=Band(gain=0.005),
        max_watts=1e3,  # far above what any model carries
        default_hz=10.0,
        max_hz=100.0,
        clock=50e-6,
    )

    @classmethod
    def addresses(cls) -> list[str]:
        """The default address, if one is plugged in."""
        return [""] if plugged(cls.usb_ids) else []

    def __init__(
        self, address: str = "", *, driver: Callable[[], JsDriver] | None = None, clock: Clock | None = None
    ) -> None:
        if address and not re.fullmatch(r"(u/)?(js\d{3}/)?[\w-]+", address, re.IGNORECASE):
            raise SpecError(
                f"joulescope@{address}: give model and serial number, as in joulescope@js220/001234"
            )
        self.name = f"joulescope@{address}" if address else "joulescope"
        self.identity = ""
        self.lost = 0
        self._address = address.lower().removeprefix("u/")
        self._make = driver
        self._clock = clock or SystemClock()
        self._driver: JsDriver | None = None
        self._path = ""
        self._topic = ""
        self._hz = self.facts.default_hz
        self._values: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._base = Timebase()
        self._next_sample: int | None = None

    def tune(self, rate_hz: float) -> None:
        """Statistics come this often, from 2 to 100 times a second."""
        self._hz = min(max(rate_hz, 2.0), self.facts.max_hz)

    def _start(self) -> None:
        """Find the instrument, take it, and let it send statistics."""
        self._release()
        make = self._make or _package()
        try:
            self._driver = make()
            self._path = self._choose(self._driver.device_paths())
            self._driver.open(self._path)
            self._subscribe(self._driver)
        except (RuntimeError, TimeoutError) as error:
            self._release()
            raise self._explain(error) from error
        except SourceError:
            self._release()
            raise
        self.identity = self._path.removeprefix("u/")

    def _flow(self) -> Iterator[Reading]:
        """Every block of statistics, at the instrument's own time."""
        last_ns = self._clock.monotonic_ns()
        while self._driver is not None:
            try:
                value, now_ns = self._values.get(timeout=_BEAT_SECONDS)
            except queue.Empty:
                if self._clock.monotonic_ns() - last_ns > _SILENCE_SECONDS * 1e9:
                    raise SourceTimeout(f"{self.name} went silent; plug it in again") from None
                yield Reading(fresh=False)
                continue
            last_ns = now_ns
            try:
                reading = self._decode(value, now_ns)
            except (LookupError, TypeError, ValueError, ArithmeticError):
                self.lost += 1  # another version of the package may say it otherwise
                reading = Reading(fresh=False)
            yield reading

    def _stop(self, started: bool) -> None:
        self._release()

    def _release(self) -> None:
        """Let go of the instrument, if it is held; it stops by itself."""
        driver, self._driver = self._driver, None
        if driver is None:
            return
        try:
            if self._topic:
                driver.unsubscribe(self._topic, self._on_value)
                driver.close(self._path)
        except (RuntimeError, TimeoutError):
            self._path = ""  # it was pulled out: there is nothing left to stop
        finally:
            self._topic = ""
            driver.finalize()

    def _choose(self, paths: list[str]) -> str:
        found = [p for p in paths if re.search(r"js(110|220)/", p, re.IGNORECASE)]
        chosen = [p for p in found if not self._address or p.lower().endswith("/" + self._address)]
        if not chosen:
            others = f"; there is {', '.join(found)}" if found else " and that the udev rules are installed"
            raise SourceMissing(f"{self.name}: no such JS110 or JS220 is plugged in; check the cable{others}")
        if len(chosen) > 1:
            raise SourceError(
                f"{self.name}: there are {', '.join(chosen)}; name one, as in joulescope@{chosen[0]}"
            )
        return chosen[0]

    def _subscribe(self, driver: JsDriver) -> None:
        self._values = queue.SimpleQueue()
        self._base, self._next_sample = Timebase(), None
        if "js110" in self._path.lower():
            driver.publish(f"{self._path}/s/i/range/select", "auto")
            topic = f"{self._path}/s/sstats/value"
            self.facts = type(self).facts._replace(default_hz=_JS110_HZ, max_hz=_JS110_HZ)
        else:
            driver.publish(f"{self._path}/s/i/range/mode", "auto")
            driver.publish(f"{self._path}/s/stats/scnt", round(_SAMPLES_PER_SECOND / self._hz))
            driver.publish(f"{self._path}/s/stats/ctrl", 1)
            topic = f"{self._path}/s/stats/value"
            self.facts = type(self).facts
        driver.subscribe(topic, "pub", self._on_value)
        self._topic = topic

    def _on_value(self, topic: str, value: Any) -> None:
        """Called on the package's own thread: only hand over."""
        self._values.put((value, self._clock.monotonic_ns()))

    def _decode(self, value: Any, now_ns: int) -> Reading:
        start, end = value["time"]["samples"]["value"]
        seconds = float(value["time"]["range"]["value"][1])
        joules = float(value["accumulators"]["energy"]["value"])
        if not (isfinite(seconds) and isfinite(joules)):
            raise ValueError("no numbers")
        if self._next_sample is not None and start > self._next_sample and end > start:
            self.lost += round((start - self._next_sample) / (end - start))
        self._next_sample = end
        self._base.arrived(seconds, now_ns)
        signals = value["signals"]
        return Reading(
            volts=number(signals["voltage"]["avg"]["value"]),
            amps=number(signals["current"]["avg"]["value"]),
            watts=number(signals["power"]["avg"]["value"]),
            joules=joules,
            coulombs=number(value["accumulators"]["charge"]["value"]),
            seconds=number(value["time"]["delta"]["value"]),
            at_ns=self._base.at_ns(seconds),
        )

    def _explain(self, error: Exception) -> SourceError:
        found = _CODE.search(str(error))
        code = int(found[1]) if found else 0
        if code == _PERMISSIONS:
            return SourceForbidden(
                f"{self.name} may not be used by this user; install the package's udev rules"
            )
        if code in (_BUSY, _IN_USE):
            return SourceBusy(f"{self.name} is held by another program; close the Joulescope UI")
        if isinstance(error, TimeoutError):
            return SourceTimeout(
                f"{self.name} does not answer; plug it in again, and close the Joulescope UI"
            )
        return SourceError(f"{self.name} cannot be used ({error}); plug it in again")


def _package() -> Callable[[], JsDriver]:
    try:
        driver: Callable[[], JsDriver] = import_module("pyjoulescope_driver").Driver
    except ImportError as error:
        raise ExtraMissing("pyjoulescope_driver", "joulescope", "a Joulescope") from error
    return driver
