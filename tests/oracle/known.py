"""A source of known power: exact but for the errors, delays and failures that it was given.

The same class is an object in the measured program, a driver in the sampling process (``known@FILE.json``)
and, on a test's clock, a source in simulated time. It writes down every reading that it gives, with its time:
what of a window was measured is thereby known without asking the library.
"""

import json
import math
import os
import struct
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from energymeter.clock import Clock, SystemClock
from energymeter.errors import SourceError, SourceMissing
from energymeter.reading import Band, Facts, Reading
from energymeter.source import Source
from oracle.wave import Wave

_ROW = struct.Struct("<qqd")
_SLICE_SECONDS = 0.05
_BEAT_SECONDS = 0.4
_VOLTS = 5.0


class Trouble(NamedTuple):
    """What is wrong with a source for a while; seconds from the program's start."""

    kind: str
    """``fail``: reading raises. ``stall``: reading blocks. ``stale``: nothing new. ``odd``: one reading is
    ``value``."""
    start: float
    end: float
    value: str = ""


class Row(NamedTuple):
    """One reading that was given."""

    at_ns: int
    """What it describes, or the end of what it describes."""
    given_ns: int
    """When the sampler got it."""
    watts: float


def rows(path: str) -> list[Row]:
    """The readings of a source, in the order of their times."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return []
    whole = len(data) // _ROW.size * _ROW.size
    return sorted(Row(*fields) for fields in _ROW.iter_unpack(data[:whole]))


class Known:
    """One source, as its JSON file describes it.

    Args:
        place: the file; see `oracle.steps.SourceSpec` for its fields.
        clock: the time it lives by.
    """

    def __init__(self, place: str = "", *, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        with open(place, encoding="utf-8") as file:
            about: dict[str, Any] = json.load(file)
        self._about = about
        self._wave = Wave(about["wave"])
        self._epoch_ns = int(about["epoch_ns"])
        self._troubles = [Trouble(*trouble) for trouble in about["troubles"]]
        self.name = about["name"]
        self.shared = about.get("shared", False)
        self._log = os.path.splitext(place)[0] + ".rows"
        self._log_fd: int | None = None
        gain, offset, resolution = about["band"]
        band = Band(gain, offset, resolution)
        quantity, hz = about["quantity"], about["hz"]
        self.facts = Facts(
            semantics=about["semantics"],
            provenance=about["provenance"],
            watts=band if quantity == "watts" else None,
            volts=Band(0.0, 0.0, 0.0) if quantity == "amps" else None,
            amps=Band(gain, offset / _VOLTS, resolution / _VOLTS) if quantity == "amps" else None,
            joules=Band(gain, 0.0, resolution) if quantity == "joules" else None,
            joules_wrap=about["wrap"] or None,
            max_watts=about["max_watts"] or None,
            default_hz=about["nominal_hz"] or hz,
            max_hz=1 / about["window"] if about["window"] else 1e5,
        )
        if about["renews"] and "renewal_seconds" in Facts._fields:
            self.facts = self.facts._replace(renewal_seconds=about["renews"])
        self._before_ns: int | None = None
        self._started_ns = self._epoch_ns
        self._news_ns = 0
        self._odd = {number for number, trouble in enumerate(self._troubles) if trouble.kind == "odd"}
        if about["way"] == "stream":  # only then does the sampler find the hook
            self.stream = self._stream

    # -- the contract ------------------------------------------------------------------------------

    def open(self) -> None:
        if self._about["way"] == "missing":
            raise SourceMissing(f"{self.name} is not there; plug it in")
        self._check("fail")
        self.begin()

    def begin(self) -> None:
        """Open without checking for troubles: a rail cannot refuse this by itself."""
        if self._log_fd is None:
            self._log_fd = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        now_ns = self._clock.monotonic_ns()
        self._before_ns = now_ns - round(1e9 / self._about["hz"])
        if self._about["restarts"]:  # its counter begins again at 0
            self._started_ns = now_ns

    def read(self) -> Reading:
        if self._log_fd is None:
            raise SourceError(f"{self.name} is not open; open it first")
        self._wait(self._about["late"])
        stall = self._trouble("stall")
        if stall is not None:
            self._wait(stall.end)
        self._clock.sleep(self._about["slow"] / 2)
        self._check("fail")
        now_ns = self._clock.monotonic_ns()
        reading = self._next_odd(now_ns)
        if self._trouble("stale") is not None or now_ns < self._news_ns:
            reading = Reading(fresh=False)
        elif reading is None:
            reading = self._given(now_ns, self._renewed(now_ns))
            self._news_ns = now_ns + round(self._about["news"] * 1e9)
        self._clock.sleep(self._about["slow"] / 2)  # the value is that of the middle of the read
        return reading

    def close(self) -> None:
        if self._log_fd is not None:
            os.close(self._log_fd)
            self._log_fd = None

    def _stream(self) -> Iterator[Reading]:
        """Readings at the device's own pace; a stall holds them up or loses them."""
        period_ns = round(1e9 / self._about["hz"])
        due_ns = self._clock.monotonic_ns()
        batch: list[Reading] = []
        flush_ns = round(self._about["batch"] * 1e9)
        flushed_ns = due_ns
        while True:
            wait = (due_ns - self._clock.monotonic_ns()) * 1e-9
            if wait > 0:
                self._clock.sleep(min(wait, _SLICE_SECONDS))
                if wait > _BEAT_SECONDS:
                    yield Reading(fresh=False)
                continue
            stall = self._trouble("stall")
            if stall is not None:
                self._clock.sleep(_SLICE_SECONDS)
                yield Reading(fresh=False)
                due_ns = self._clock.monotonic_ns()
                continue
            self._check("fail")
            now_ns = self._clock.monotonic_ns()
            batch.append(self._measured(now_ns, self._renewed(now_ns))._replace(at_ns=now_ns))
            due_ns = max(due_ns + period_ns, now_ns - 10 * period_ns)
            if now_ns - flushed_ns < flush_ns:
                if len(batch) % 16 == 0:
                    yield Reading(fresh=False)
                continue
            flushed_ns = now_ns
            for reading in batch:
                assert reading.at_ns is not None
                self._write(reading.at_ns, self._level(reading))
                yield reading
            batch = []

    # -- what it says ------------------------------------------------------------------------------

    def _given(self, now_ns: int, of_ns: int) -> Reading:
        reading = self._measured(now_ns, of_ns)
        self._write(now_ns, self._level(reading))
        return reading._replace(at_ns=now_ns) if self._about["stamped"] else reading

    def _measured(self, now_ns: int, of_ns: int) -> Reading:
        """What the device shows of the true power, with its own errors."""
        quantity = self._about["quantity"]
        if quantity == "joules":
            joules = self._joules(self._started_ns, of_ns) * (1 + self._about["gain"])
            joules = self._rounded(joules, down=True)
            return Reading(joules=math.fmod(joules, self._about["wrap"]) if self._about["wrap"] else joules)
        before_ns = self._before_ns if self._before_ns is not None else now_ns - 1
        if self._about["window"]:  # a moving mean
            long_ns = round(self._about["window"] * 1e9)
            watts, seconds = self._joules(now_ns - long_ns, now_ns) / self._about["window"], None
        elif self._about["semantics"] == "mean" and now_ns > before_ns:
            watts = self._joules(before_ns, now_ns) / ((now_ns - before_ns) * 1e-9)
            seconds = (now_ns - before_ns) * 1e-9 if self._about["describes"] else None
        else:
            watts, seconds = self._wave.watts((of_ns - self._epoch_ns) * 1e-9), None
        self._before_ns = now_ns
        shown = self._rounded(watts * (1 + self._about["gain"]) + self._about["offset"])
        if quantity == "amps":
            return Reading(volts=_VOLTS, amps=shown / _VOLTS, seconds=seconds)
        return Reading(watts=shown, seconds=seconds)

    def _joules(self, start_ns: int, end_ns: int) -> float:
        return self._wave.joules((start_ns - self._epoch_ns) * 1e-9, (end_ns - self._epoch_ns) * 1e-9)

    def _rounded(self, figure: float, *, down: bool = False) -> float:
        step = self._about["band"][2]
        if not step:
            return figure
        return (math.floor(figure / step) if down else round(figure / step)) * step

    def _renewed(self, now_ns: int) -> int:
        """The moment of the value that the device shows now: it renews it only so often."""
        step_ns = round(self._about["renews"] * 1e9)
        return now_ns if not step_ns else now_ns - (now_ns - self._epoch_ns) % step_ns

    def _next_odd(self, now_ns: int) -> Reading | None:
        """The one reading that is no number, if its time has come."""
        for number in self._odd:
            trouble = self._troubles[number]
            if now_ns >= self._epoch_ns + round(trouble.start * 1e9):
                self._odd = self._odd - {number}
                return _odd_reading(trouble.value, self._about["quantity"])
        return None

    @staticmethod
    def _level(reading: Reading) -> float:
        if reading.watts is not None:
            return reading.watts
        return (
            reading.volts * reading.amps if reading.volts is not None and reading.amps is not None else -1.0
        )

    # -- troubles ----------------------------------------------------------------------------------

    def _trouble(self, kind: str) -> Trouble | None:
        seconds = (self._clock.monotonic_ns() - self._epoch_ns) * 1e-9
        return next((t for t in self._troubles if t.kind == kind and t.start <= seconds < t.end), None)

    def _check(self, kind: str) -> None:
        if self._trouble(kind) is not None:
            raise SourceError(f"{self.name} does not answer; plug it in")

    def _wait(self, until: float) -> None:
        while (wait := until - (self._clock.monotonic_ns() - self._epoch_ns) * 1e-9) > 0:
            self._clock.sleep(min(wait, _SLICE_SECONDS))

    def _write(self, at_ns: int, watts: float) -> None:
        if self._log_fd is not None:
            os.write(self._log_fd, _ROW.pack(at_ns, self._clock.monotonic_ns(), watts))


class KnownRails(Known):
    """Several of them behind one address, each with its own curve; the whole has facts of its own."""

    def __init__(self, place: str = "", *, clock: Clock | None = None) -> None:
        super().__init__(place, clock=clock)
        folder = os.path.dirname(place)
        self._rails = [Known(os.path.join(folder, rail), clock=clock) for rail in self._about["rails"]]

    def open(self) -> None:
        super().open()
        for rail in self._rails:
            rail.begin()

    def close(self) -> None:
        super().close()
        for rail in self._rails:
            rail.close()

    def channels(self) -> Sequence[Source]:
        """The rails."""
        return self._rails


def _odd_reading(value: str, quantity: str) -> Reading:
    number = {"nan": math.nan, "inf": math.inf, "huge": 1e308}.get(value, math.nan)
    if quantity == "joules":
        return Reading(joules=number)
    if quantity == "amps":
        return Reading(volts=_VOLTS, amps=number)
    if value == "seconds":
        return Reading(watts=1.0, seconds=math.nan)
    return Reading(watts=number)


def now_ns() -> int:
    """The clock that the readings are stamped by."""
    return time.monotonic_ns()
