"""PZEM-004T v3, 014 and 016 (mains), 003 and 017 (DC) energy meters over Modbus RTU.

Wiring: the meter's TTL or RS-485 side to a USB serial adapter, 9600 baud (8N1 on mains, 8N2 for the 003 and
017). The 004T answers only while mains is connected to it: **mains wiring kills; leave it to someone who
may**.

Mains: 80..260 V, 0..10 A (shunt) or 0..100 A (current transformer), steps 0.1 V, 1 mA, 0.1 W, 1 Wh; ±0.5 %;
under 0.01 A, 0.02 A or 0.4 W it reads 0. DC: 0..300 V, 10 A (003) or up to 300 A (017), steps 10 mV, 10 mA,
0.1 W, 1 Wh; ±1 %. All measure once a second. Semantics: instants; watts are the meter's own, never V·A.
Integrity: CRC-16/MODBUS.

Registers and limits: Peacefair's manuals of the 004T v3, the 014/016 and the 003/017. **Never sent**: 0x42
(clears the energy), 0x41 (calibrates), 0x06 (writes).

The 40 lines of Modbus RTU are our own: a client library would be ten times the code that the one request
needed here takes.

Renewal: about once a second, a mean of about that second [from memory].
Counters: the meter's own energy, 1 Wh (3600 J) a step.
Loss: none: there is no sequence number.
Tested on: an emulated wire, one recorded frame each of a 004T and of a DC meter; real hardware: none yet.
"""

import struct
from typing import ClassVar, NamedTuple

from energymeter.drivers.links.serial import SerialLine
from energymeter.drivers.links.wire import AskedMeter, Wire
from energymeter.drivers.protocols.crc import crc16_modbus
from energymeter.errors import SourceError, SpecError
from energymeter.reading import Band, Facts, Reading
from energymeter.source import Counters

__all__ = ["Pzem"]

ANY_ADDRESS = 0xF8
_READ_INPUT = 0x04
_MAINS, _DC = ("004t", "014", "016"), ("003", "017")
_COUNTS = dict.fromkeys(_MAINS, 10) | dict.fromkeys(_DC, 8)
"""Input registers by model."""
_JOULES_PER_WH = 3600.0
_BLIND_WATTS = 0.4
"""What the mains meters show as 0."""
_EXCEPTIONS = {1: "illegal function", 2: "illegal address", 3: "illegal value", 4: "its own failure"}


class Frame(NamedTuple):
    """One answer, decoded. SI units."""

    volts: float
    amps: float
    watts: float
    joules: float
    hertz: float | None = None
    power_factor: float | None = None


def request(address: int, count: int) -> bytes:
    """The question for input registers 0..``count`` - 1.

    The recorded one: ``f8 04 00 00 00 0a 64 64``.
    """
    body = struct.pack(">BBHH", address, _READ_INPUT, 0, count)
    return body + crc16_modbus(body).to_bytes(2, "little")


def pick(received: bytes, address: int, count: int) -> bytes | None:
    """The first whole answer or exception in ``received``, CRC checked; noise before it is stepped over."""
    for at in range(len(received) - 4):
        whole = 5 + 2 * count
        if received[at] != address and address != ANY_ADDRESS:
            continue
        if received[at + 1] == _READ_INPUT | 0x80:
            whole = 5
        elif received[at + 1] != _READ_INPUT or received[at + 2] != 2 * count:
            continue
        frame = received[at : at + whole]
        if len(frame) == whole and crc16_modbus(frame[:-2]) == int.from_bytes(frame[-2:], "little"):
            return frame
    return None


def decode(frame: bytes, model: str = "004t") -> Frame:
    """Turn one whole answer (address to CRC) into SI units. 32-bit values come low word first.

    Raises:
        SourceError: the meter answered with a Modbus exception.
        ValueError: it is no answer of ``model``.
    """
    count = _COUNTS[model]
    if pick(frame, ANY_ADDRESS, count) != frame:
        raise ValueError(f"Not a PZEM-{model} answer: {frame.hex()}.")
    if frame[1] & 0x80:
        why = _EXCEPTIONS.get(frame[2], f"code {frame[2]}")
        raise SourceError(f"the PZEM refused to be read ({why}): check model= against the meter")
    words = struct.unpack(f">{count}H", frame[3:-2])
    if model in _DC:
        volts, amps, watts_low, watts_high, wh_low, wh_high, _, _ = words
        return Frame(
            volts / 100,
            amps / 100,
            _long(watts_low, watts_high) / 10,
            _long(wh_low, wh_high) * _JOULES_PER_WH,
        )
    volts, amps_low, amps_high, watts_low, watts_high, wh_low, wh_high, hertz, factor, _ = words
    return Frame(
        volts=volts / 10,
        amps=_long(amps_low, amps_high) / 1000,
        watts=_long(watts_low, watts_high) / 10,
        joules=_long(wh_low, wh_high) * _JOULES_PER_WH,
        hertz=hertz / 10,
        power_factor=factor / 100,
    )


def _long(low: int, high: int) -> int:
    return high << 16 | low


def _facts(model: str) -> Facts:
    steps = (0.01, 0.01) if model in _DC else (0.1, 0.001)
    gain = 0.01 if model in _DC else 0.005
    return Facts(
        place="rail" if model in _DC else "wall",
        volts=Band(gain=gain, resolution=steps[0]),
        amps=Band(gain=gain, resolution=steps[1]),
        watts=Band(gain=gain, offset=0.0 if model in _DC else _BLIND_WATTS, resolution=0.1),
        joules=Band(gain=gain, resolution=_JOULES_PER_WH),
        renewal_seconds=1.0,
        smoothing_seconds=1.0,
        default_hz=1.0,
        max_hz=1.0,
        max_watts=300 * 300.0 if model in _DC else 260 * 100.0,
    )


class Pzem(AskedMeter):
    """``pzem@/dev/ttyUSB0?model=004t&address=248``.

    ``model``: ``004t``, ``014``, ``016``, ``003`` or ``017``; ``address``: 1..247, or 248 (0xF8) which a lone
    meter always answers; ``timeout``: seconds one question may take.
    """

    usb_ids: ClassVar[tuple[tuple[int, int], ...]] = ((0x1A86, 0x7523),)  # CH340 on its cable [from memory]

    def __init__(
        self,
        port: str = "/dev/ttyUSB0",
        *,
        model: str = "004t",
        address: int = ANY_ADDRESS,
        wire: Wire | None = None,
        **options: float,
    ) -> None:
        self._model = model.lower().removeprefix("pzem-")
        if self._model not in _COUNTS:
            raise SpecError(
                f"model={model} is not known: use {', '.join(_MAINS)} (mains) or {', '.join(_DC)} (DC)"
            )
        if not 1 <= address <= ANY_ADDRESS:
            raise SpecError(f"address={address} must lie between 1 and 248")
        wire = wire or SerialLine(port, 9600, stop_bits=2 if self._model in _DC else 1)
        super().__init__(f"pzem@{port}", wire, **options)
        self.facts = _facts(self._model)
        self._address = address
        self._last: Frame | None = None

    def read(self) -> Reading:
        """Ask once; watts are the meter's own (true power), never V·A.

        Raises:
            SourceTimeout: no valid answer came.
            SourceMissing: the port went away.
        """
        count = _COUNTS[self._model]
        answer = self._ask(
            request(self._address, count), lambda received: pick(received, self._address, count)
        )
        self._last = frame = decode(answer, self._model)
        return Reading(volts=frame.volts, amps=frame.amps, watts=frame.watts)

    def counters(self) -> Counters | None:
        """The meter's energy as of the last reading, in steps of 1 Wh (3600 J); None: no reading yet."""
        return Counters(self._last.joules, None, joules_step=_JOULES_PER_WH) if self._last else None
