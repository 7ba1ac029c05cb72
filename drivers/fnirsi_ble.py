"""FNIRSI FNB58 over Bluetooth LE: ten readings a second and the meter's own energy and charge counters.

Needs the extra ``ble`` (bleak) and the meter's address (``bluetoothctl scan on``). Steps 0.1 mV, 0.1 mA,
0.1 mW; accuracy as over USB (see ``fnirsi.py``). Semantics: instants. Integrity: the low byte of
CRC-16/XMODEM. Readings are stamped on arrival, which Bluetooth delays by 10..200 ms.

Wire (github.com/osnwt/ha-fnirsi-fnb58): service FFE0, notifications FFE4, writes FFE9; frames AA, kind,
length, payload, check byte, possibly several in a notification or cut by it. Kind 04: volts, amps, watts;
07: volts and amps in 1 mV and 1 mA, taken from a meter that sends no 04; 08: the counters; 03: model and
serial number; others are ignored. Sent are AA 81 00 F4 and AA 82 00 A7, which start the flow.

Renewal: ten reports a second; the meter itself averages over up to 0.5 s.
Counters: the meter's own, in steps of 1e-5 Wh and 1e-5 Ah (0.036 J, 0.036 C).
Loss: unknown: there is no sequence number.
Tested on: an emulated wire (frames without the radio), one recorded notification; real hardware: none yet.
"""

import binascii
import struct
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from energymeter.clock import Clock, SystemClock
from energymeter.drivers.links.ble import BleLine
from energymeter.drivers.links.stream import StreamingSource
from energymeter.drivers.links.wire import Wire, WireMeter
from energymeter.errors import SourceTimeout, SpecError
from energymeter.reading import Band, Facts, Reading
from energymeter.source import Counters

__all__ = ["FnirsiBle"]

START = (bytes.fromhex("aa8100f4"), bytes.fromhex("aa8200a7"))
_INFO, _POWER, _COARSE, _COUNTERS = 0x03, 0x04, 0x07, 0x08
_LENGTHS = {0x03: 14, 0x04: 12, 0x05: 7, 0x06: 6, 0x07: 4, 0x08: 17}
_STEP = 0.036  # 1e-5 Wh in joules, 1e-5 Ah in coulombs
_MAX_VOLTS, _MAX_AMPS = 60.0, 10.0
_SILENCE_S = 3.0


class Frame(NamedTuple):
    """One frame that passed its check."""

    kind: int
    payload: bytes


def split(received: bytes) -> tuple[list[Frame], bytes, int]:
    """The valid frames in ``received``, the rest to keep, and how many broken ones were dropped."""
    frames, dropped, at = [], 0, received.find(0xAA)
    while 0 <= at < len(received):
        head = received[at + 1 : at + 3]
        if len(head) < 2:
            break
        if _LENGTHS.get(head[0]) != head[1]:
            at = received.find(0xAA, at + 1)
            continue
        end = at + 3 + head[1]
        if end >= len(received):
            break
        if binascii.crc_hqx(received[at:end], 0) & 0xFF == received[end]:
            frames.append(Frame(head[0], received[at + 3 : end]))
            at = received.find(0xAA, end + 1)
        else:
            dropped += 1
            at = received.find(0xAA, at + 1)
    return frames, received[at:] if at >= 0 else b"", dropped


def decode_power(payload: bytes) -> Reading | None:
    """Kind 04 or 07, known by its length; None where no FNB58 can see such values."""
    watts: float | None = None
    if len(payload) == _LENGTHS[_POWER]:
        volts, amps, watts = (number / 1e4 for number in struct.unpack("<3I", payload))
    else:
        volts, amps = (number / 1e3 for number in struct.unpack("<2H", payload))
    if volts > _MAX_VOLTS or amps > _MAX_AMPS:
        return None
    return Reading(volts=volts, amps=amps, watts=watts)


def decode_counters(payload: bytes) -> Counters:
    """Kind 08: group, watt-hours and amp-hours in 1e-5, seconds recorded, seconds since switched on."""
    _, energy, charge, _, _ = struct.unpack("<B4I", payload)
    return Counters(energy * _STEP, charge * _STEP, joules_step=_STEP, coulombs_step=_STEP)


class FnirsiBle(WireMeter, StreamingSource):
    """``fnirsi_ble@AA:BB:CC:DD:EE:FF``."""

    facts = Facts(
        volts=Band(gain=0.002, offset=0.0002, resolution=0.0001),
        amps=Band(gain=0.005, offset=0.0002, resolution=0.0001),
        watts=Band(gain=0.0054, resolution=0.0001),
        default_hz=10.0,
        max_hz=10.0,
        max_watts=28 * 7.0,
        smoothing_seconds=0.5,
    )
    usb_ids: ClassVar[tuple[tuple[int, int], ...]] = ()  # Bluetooth: no USB identity

    def __init__(self, address: str = "", *, wire: Wire | None = None, clock: Clock | None = None) -> None:
        if not address and wire is None:
            raise SpecError("fnirsi_ble needs the meter's address: fnirsi_ble@AA:BB:CC:DD:EE:FF")
        self.name = f"fnirsi_ble@{address}"
        self.identity: str | None = None
        self.dropped = 0
        """Frames with a wrong check byte or impossible values."""
        self._wire = wire or BleLine(address, notify="FFE4", write="FFE9")
        self._clock = clock or SystemClock()
        self._counters: Counters | None = None
        self._fine = False
        """Whether it sends kind 04; then 07 says nothing more."""

    def _start(self) -> None:
        self._wire.open()

    def _flow(self) -> Iterator[Reading]:
        for command in START:
            self._wire.write(command)
        rest = b""
        heard_ns = self._clock.monotonic_ns()
        while True:
            data = self._wire.read(0.25)
            now_ns = self._clock.monotonic_ns()
            frames, rest, dropped = split(rest + data)
            self.dropped += dropped
            readings = [reading for frame in frames if (reading := self._learn(frame)) is not None]
            if readings:
                heard_ns = now_ns
            elif now_ns - heard_ns > _SILENCE_S * 1e9:
                raise SourceTimeout(f"{self.name} sends nothing valid: bring it nearer, or switch it on")
            else:
                yield Reading(fresh=False)
            for reading in readings[-1:]:  # what came together is one moment: the newest stands for it
                yield reading._replace(at_ns=now_ns)

    def counters(self) -> Counters | None:
        """The meter's own counters as last reported; None: not yet."""
        return self._counters

    def _stop(self, started: bool) -> None:
        self._wire.close()

    def _learn(self, frame: Frame) -> Reading | None:
        if frame.kind == _INFO:
            self.identity = f"fnb58 {int.from_bytes(frame.payload[4:8], 'little')}"
        elif frame.kind == _COUNTERS:
            self._counters = decode_counters(frame.payload)
        elif frame.kind == _POWER or (frame.kind == _COARSE and not self._fine):
            self._fine = frame.kind == _POWER
            reading = decode_power(frame.payload)
            self.dropped += reading is None
            return reading
        return None
