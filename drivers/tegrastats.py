"""tegrastats: the rail powers that NVIDIA's command prints on every Jetson, one line a sample.

A rail is a name and two or three numbers, ``NAME now/average`` in mW, with or without the unit::

    RAM 534/3964MB … GR3D_FREQ 0%@76 PMIC@100C POM_5V_IN 1022/1022 POM_5V_GPU 0/0      L4T 28 to 32
    11-15-2024 08:38:09 RAM … tj@53.968C VDD_IN 12479mW/12479mW VDD_SOC 2817mW/2817mW  JetPack 5, 6
    … VDD_GPU -392mW/-392mW/-392mW VIN 26686mW/26686mW/26686mW                         JetPack 7

Memory (``RAM 534/3964MB``, ``IRAM 0/252kB``) looks alike and is distinguished by its unit. The average
is the one since the command was started, and is not used. No volts and no amps are printed.

Semantics: instants.
Accuracy: ±1.5 % of the board's INA3221 and shunts [from memory]. Source of the lines: recorded on the boards.
Renewal: a line an interval, as asked: every 0.1 to 60 s.
Counters: none.
Loss: unknown; the newest line counts.
Tested on: an emulated command, recorded lines of real boards; real hardware: none yet.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from energymeter.drivers.links.channels import Parts, Shared, Snapshot
from energymeter.drivers.links.command import Lines
from energymeter.drivers.links.sysfs import translated
from energymeter.drivers.protocols.jetson import MOST_WATTS, pinned_rails
from energymeter.errors import SourceEnded, SourceError, SourceMissing, SourceTimeout, SpecError
from energymeter.reading import Band, Facts, Reading
from energymeter.recordings.tegrastats import printed_rails

__all__ = ["Tegrastats"]

_MISSING = "it comes with NVIDIA's L4T on Jetson boards; elsewhere use another source"


class _Line(NamedTuple):
    watts: dict[str, float]
    at_ns: int | None = None


class _Recorded:
    """Lines of a file, one after the other."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._file = open(path, encoding="utf-8", errors="replace")  # noqa: SIM115 (closed by close)
        except OSError as error:
            raise translated(error, path) from error

    def first(self) -> dict[str, float]:
        """The rails of the first line that has any; playing begins with that line."""
        start = self._file.tell()
        while line := self._file.readline():
            if found := printed_rails(line):
                self._file.seek(start)
                return found
            start = self._file.tell()
        return {}

    def take(self) -> _Line:
        while line := self._file.readline():
            if line.strip():
                return _Line(printed_rails(line))
        raise SourceEnded(f"{self._path} has no more lines")

    def close(self) -> None:
        self._file.close()


class _Running:
    """The newest line of the command, which is started again when it has ended."""

    def __init__(self, command: Sequence[str], interval: float) -> None:
        self._command = command
        self._patience = max(3.0 * interval, 2.0)
        self._start()

    def _start(self) -> None:
        self._heard_ns = time.monotonic_ns()
        self._lines = Lines(self._command, _MISSING)

    def first(self) -> dict[str, float]:
        newest = self._lines.first(self._patience)
        if newest is None and not self._lines.ended:
            self.close()
            raise SourceTimeout(
                f"tegrastats printed nothing for {self._patience:g} s; run it by hand to see why"
            )
        self._line = _Line(printed_rails(newest[1]), newest[0]) if newest else _Line({})
        return self._line.watts

    def take(self) -> _Line:
        newest = self._lines.newest
        if newest is not None and newest[0] > self._heard_ns:
            self._heard_ns = newest[0]
            self._line = _Line(printed_rails(newest[1]), newest[0])
            return self._line
        if self._lines.ended:
            self._lines.close()
            self._start()
            raise SourceError(
                "tegrastats ended by itself and was started again; check whether another program ran "
                "tegrastats --stop"
            )
        if time.monotonic_ns() - self._heard_ns > self._patience * 1e9:
            raise SourceTimeout(
                f"tegrastats has printed nothing for {self._patience:g} s; is the board hung?"
            )
        return self._line

    def close(self) -> None:
        self._lines.close()


def _picker(rail: str) -> Callable[[_Line], Reading]:
    def pick(line: _Line) -> Reading:
        if rail not in line.watts:
            raise SourceError(f"tegrastats no longer prints the rail {rail}; did its sensor fail?")
        return Reading(watts=line.watts[rail], at_ns=line.at_ns)

    return pick


class Tegrastats(Parts[Shared[_Line]]):
    """The rails of a Jetson, one channel each; only those that make the whole board are added.

    ``tegrastats`` runs the command; ``tegrastats@FILE`` plays recorded lines, one a read, so read them
    at the pace at which they were written. ``interval`` (seconds) is the time between lines; by
    default it follows the sampling rate.
    """

    facts = Facts(watts=Band(gain=0.015, resolution=0.001), max_watts=MOST_WATTS, default_hz=2.0, max_hz=10.0)

    def __init__(self, address: str = "", *, interval: float = 0.0, command: str = "tegrastats") -> None:
        if interval and not 0.1 <= interval <= 60.0:
            raise SpecError(f"tegrastats prints every 0.1 to 60 s, not every {interval:g} s")
        self.name = f"tegrastats@{address}" if address else "tegrastats"
        self._recording = address
        self._interval = interval or 0.5
        self._tunable = not interval
        self._command = command
        self._lines: _Recorded | _Running | None = None
        self._counted: frozenset[str] = frozenset()

    def tune(self, rate_hz: float) -> None:
        if self._tunable:
            self._interval = min(max(1.0 / rate_hz, 0.1), 60.0)

    def open(self) -> None:
        self.close()
        if self._recording:
            self._lines = _Recorded(self._recording)
        else:
            milliseconds = str(round(self._interval * 1e3))
            self._lines = _Running([self._command, "--interval", milliseconds], self._interval)
        found = self._lines.first()
        if not found:
            self.close()
            raise SourceMissing(
                f"{self.name} shows no rail power (a Nano 2GB has no sensor; on some boards the command must "
                "run as root); use an external meter, such as an INA219"
            )
        try:
            self._counted = counted = pinned_rails(self._counted, found)
        except SourceError:
            self.close()
            raise
        snapshot = Snapshot(self._lines.take)
        self._parts = [
            Shared(
                f"tegrastats:{name}", self.facts._replace(counted=name in counted), snapshot, _picker(name)
            )
            for name in found
        ]

    def close(self) -> None:
        super().close()
        if self._lines is not None:
            self._lines.close()
            self._lines = None
