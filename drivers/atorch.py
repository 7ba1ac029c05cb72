"""Atorch meters and loads (UD18, J7-C, A3-B, DL24, AT24, S1…) over serial, Bluetooth serial or Bluetooth LE.

Plug: pair the ``*-SPP`` device and bind it (``sudo rfcomm bind 0 AA:BB:CC:DD:EE:FF``), or give a Bluetooth LE
address as ``atorch@ble:AA:BB:CC:DD:EE:FF`` (extra ``ble``; not tested on hardware), or a 9600 8N1 UART.
The meter pushes one report a second by itself; this driver never writes a byte: every command it knows
(reset counters, press a key) changes its state.

Its clock shows whole seconds, which neither begin nor step with the reports, and stands still on some models
while no current flows; so a report is stamped by its arrival. What Bluetooth holds back comes as a heap, and
is spread over the seconds before.

Steps, USB meters: 10 mV, 10 mA; DC: 0.1 V, 1 mA; AC: 0.1 V, 1 mA, 0.1 W. The maker states no accuracy that
could be found: none is claimed beyond the steps. Rate: one report a second. Semantics: instants. Integrity:
sum XOR 0x44.

Layout: github.com/NiceLabs/atorch-console ``docs/protocol-design.md`` (MIT). Two traps there: the USB charge
is in mAh (its own test has it ten times too big), and the energy of AC and DC meters is in 0.01 kWh and the
DC charge in 0.01 Ah (read as Wh and W they contradict the voltage on the recorded frames).

Renewal: the meter sends a report each second.
Counters: USB 1 mAh and 10 mWh; DC 10 mAh and 10 Wh; AC 10 Wh.
Loss: no sequence number; seconds without a report that the meter's own clock has counted too are lost.
Tested on: an emulated wire, recorded frames; real hardware: none yet.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from energymeter.clock import Clock, SystemClock
from energymeter.drivers.links.serial import SerialLine
from energymeter.drivers.links.stream import StreamingSource
from energymeter.drivers.links.wire import Wire, WireMeter
from energymeter.errors import SourceTimeout
from energymeter.reading import Band, Facts, Reading
from energymeter.source import Counters

__all__ = ["Atorch"]

LENGTH = 36
_MAGIC = b"\xff\x55"
_REPORT = 1
_TICK_NS = 1_000_000_000
_SILENCE_S = 3.0
_AC, _DC, _USB = 1, 2, 3
_JOULES_PER_10_WH = 36000.0
_EACH_SECOND: dict[str, Any] = {"renewal_seconds": 1.0, "default_hz": 1.0, "max_hz": 1.0}
_FACTS = {
    _AC: Facts(
        place="wall",
        volts=Band(resolution=0.1),
        amps=Band(resolution=0.001),
        watts=Band(resolution=0.1),
        max_watts=30e3,
        **_EACH_SECOND,
    ),
    _DC: Facts(volts=Band(resolution=0.1), amps=Band(resolution=0.001), max_watts=10e3, **_EACH_SECOND),
    _USB: Facts(volts=Band(resolution=0.01), amps=Band(resolution=0.01), max_watts=300.0, **_EACH_SECOND),
}


class Report(NamedTuple):
    """One report, decoded. SI units."""

    kind: int
    """1: AC, 2: DC, 3: USB."""
    volts: float
    amps: float
    watts: float | None
    """Only AC meters measure power; elsewhere it is volts times amps."""
    counters: Counters
    celsius: int
    clock_seconds: int
    """The meter's own stop-watch."""


def fault(frame: bytes) -> str | None:
    """Why ``frame`` is not a report; None: it is."""
    if len(frame) != LENGTH or frame[:2] != _MAGIC:
        return "it does not begin ff55 or is not 36 bytes long"
    if frame[2] != _REPORT or frame[3] not in _FACTS:
        return f"it is message {frame[2]} of device type {frame[3]}"
    if (sum(frame[2:-1]) & 0xFF) ^ 0x44 != frame[-1]:
        return "its checksum is wrong"
    return None


def decode(frame: bytes) -> Report:
    """Turn one report into SI units.

    Raises:
        ValueError: the frame fails its checks.
    """
    wrong = fault(frame)
    if wrong:
        raise ValueError(f"Not an Atorch report: {wrong}.")
    kind = frame[3]
    volts, amps, third = (int.from_bytes(frame[at : at + 3], "big") for at in (4, 7, 10))
    energy = int.from_bytes(frame[13:17], "big")
    at = 21 if kind == _USB else 24
    celsius, hours = int.from_bytes(frame[at : at + 2], "big"), int.from_bytes(frame[at + 2 : at + 4], "big")
    clock = hours * 3600 + frame[at + 4] * 60 + frame[at + 5]
    if kind == _USB:
        counters = Counters(energy * 36.0, third * 3.6, joules_step=36.0, coulombs_step=3.6)
        return Report(kind, volts / 100, amps / 100, None, counters, celsius, clock)
    joules = energy * _JOULES_PER_10_WH
    if kind == _DC:
        counters = Counters(joules, third * 36.0, joules_step=_JOULES_PER_10_WH, coulombs_step=36.0)
        return Report(kind, volts / 10, amps / 1000, None, counters, celsius, clock)
    counters = Counters(joules, None, joules_step=_JOULES_PER_10_WH)
    return Report(kind, volts / 10, amps / 1000, third / 10, counters, celsius, clock)


def split(received: bytes) -> tuple[list[bytes], bytes, int]:
    """The valid reports in ``received``, the rest to keep, and how many broken ones were dropped."""
    frames, dropped, at = [], 0, received.find(_MAGIC)
    while 0 <= at <= len(received) - LENGTH:
        frame = received[at : at + LENGTH]
        if fault(frame) is None:
            frames.append(frame)
            at = received.find(_MAGIC, at + LENGTH)
        else:
            dropped += frame[2] == _REPORT
            at = received.find(_MAGIC, at + 1)
    rest = received[at:] if at >= 0 else received[-1:] if received.endswith(_MAGIC[:1]) else b""
    return frames, rest, dropped


class Atorch(WireMeter, StreamingSource):
    """``atorch@/dev/rfcomm0`` or ``atorch@ble:AA:BB:CC:DD:EE:FF``."""

    usb_ids: ClassVar[tuple[tuple[int, int], ...]] = ()  # Bluetooth: no USB identity

    def __init__(
        self, address: str = "/dev/rfcomm0", *, wire: Wire | None = None, clock: Clock | None = None
    ) -> None:
        self.name = f"atorch@{address}"
        self.facts = _FACTS[_USB]
        self.lost = 0
        self.dropped = 0
        """Reports with a wrong checksum; the seconds they stood for are in `lost`."""
        self._wire = wire or _wire_for(address)
        self._clock = clock or SystemClock()
        self._last: Report | None = None
        self._last_ns = 0
        self._rest = b""

    def _start(self) -> None:
        """Open the port; the first report says what kind of meter it is and refines `facts`."""
        self._wire.open()
        self._rest, self._last = b"", None

    def _flow(self) -> Iterator[Reading]:
        """The reports as they come, one a second, stamped by their arrival; a repeated one is no sample."""
        heard_ns = self._clock.monotonic_ns()
        while True:
            data = self._wire.read(0.25)
            now_ns = self._clock.monotonic_ns()
            frames, self._rest, dropped = split(self._rest + data)
            self.dropped += dropped
            if frames:
                heard_ns = now_ns
            elif now_ns - heard_ns > _SILENCE_S * 1e9:
                raise SourceTimeout(
                    f"{self.name} has sent no valid report for {_SILENCE_S:g} s: check its power, "
                    "its pairing, and that it is an Atorch meter"
                )
            else:
                yield Reading(fresh=False)
            reports = [decode(frame) for frame in frames]
            for number, report in enumerate(reports, 1):
                counted = reports[-1].clock_seconds - report.clock_seconds
                yield self._reading(report, now_ns - max(counted, len(reports) - number) * _TICK_NS)

    def counters(self) -> Counters | None:
        """The meter's own counters as of the last report; None: no report yet."""
        return self._last.counters if self._last else None

    def _stop(self, started: bool) -> None:
        self._wire.close()

    def _reading(self, report: Report, at_ns: int) -> Reading:
        last, last_ns = self._last, self._last_ns
        if last is not None and at_ns - last_ns < _TICK_NS // 2:
            if report == last:  # sent twice
                return Reading(fresh=False)
            at_ns = max(at_ns, last_ns + 1)
        self._last, self._last_ns = report, at_ns
        self.facts = _FACTS[report.kind]
        if last is not None:
            silent = round((at_ns - last_ns) / _TICK_NS) - 1
            self.lost += max(0, min(silent, report.clock_seconds - last.clock_seconds - 1))
        return Reading(volts=report.volts, amps=report.amps, watts=report.watts, at_ns=at_ns)


def _wire_for(address: str) -> Wire:
    if address.startswith("ble:"):
        from energymeter.drivers.links.ble import BleLine

        return BleLine(address[4:], notify="FFE1")
    return SerialLine(address, 9600)
