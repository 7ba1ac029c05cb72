"""RDTech's UM family: one question byte, one 130-byte answer, three scales.

Wire: Bluetooth serial (``rfcomm``, PIN 1234) or any UART at 9600 8N1. The byte 0xF0 asks for everything.
**Every other byte is a command that changes the meter** (0xF1..0xF3 press its keys, 0xF4 clears the
group, 0xA0..0xA9 select one, 0xB0.., 0xD0.., 0xE0.. set threshold, brightness, timeout): none is ever sent.

Layout and checks: libsigrok ``src/hardware/rdtech-um/protocol.c``, github.com/rfinnie/rdserialtool
(UM24C, UM25C, UM34C), github.com/sebastianha/um34c. The current carries no direction. There is no
sequence number: a repeated reading and a steady load look the same.
"""

import struct
from typing import ClassVar, NamedTuple

from energymeter.drivers.links.serial import SerialLine
from energymeter.drivers.links.wire import AskedMeter, Wire
from energymeter.errors import SourceTimeout
from energymeter.reading import Facts, Reading
from energymeter.source import Counters

QUESTION = b"\xf0"
LENGTH = 130
TRAILER = b"\xff\xf1"
NAMES = {0x0963: "um24c", 0x09C9: "um25c", 0x0D4C: "um34c"}
_CAPACITY = 16  # offset of ten groups of u32 mAh, u32 mWh
_FIELDS = struct.Struct(">HHHIHHH")  # id, volts, amps, mW, deg C, deg F, selected group
_TAIL = struct.Struct(">HHHIIHIHHHIH")  # D+, D-, mode, record..., load, screen
_XOR_OF = (
    *(1, 3, 7, 9, 15, 17, 19, 23, 31, 39, 41, 45, 49, 53, 55, 57),
    *(59, 63, 67, 69, 73, 79, 83, 89, 97, 99, 109, 111, 113, 119, 121, 127),
)


class Model(NamedTuple):
    """What sets one of the family apart."""

    name: str
    id: int
    volts_step: float
    amps_step: float
    xor_trailer: bool
    facts: Facts


class Frame(NamedTuple):
    """One answer, decoded. SI units."""

    volts: float
    amps: float
    watts: float
    celsius: int
    group: int
    """The selected data group, 0..9: the one that counts."""
    groups: tuple[Counters, ...]
    data_plus_volts: float
    data_minus_volts: float
    record: Counters
    record_seconds: int
    load_ohms: float | None
    """None: no load (the meter shows 9999.9)."""


def fault(frame: bytes, model: Model) -> str | None:
    """Why ``frame`` is not an answer of ``model``; None: it is."""
    if len(frame) != LENGTH:
        return f"{len(frame)} bytes instead of {LENGTH}"
    if int.from_bytes(frame[:2], "big") != model.id:
        return f"its id is {frame[:2].hex()}, not {model.id:04x}"
    if model.xor_trailer:
        xor = 0
        for offset in _XOR_OF:
            xor ^= frame[offset]
        if xor != frame[129]:
            return "its check byte is wrong"
    elif frame[128:] != TRAILER:
        return "its trailer is not fff1"
    _, volts, amps, milliwatts, *_rest = _FIELDS.unpack_from(frame)
    volts, amps, watts = volts * model.volts_step, amps * model.amps_step, milliwatts / 1000
    if volts > 30 or amps > 6:
        return f"{volts:g} V, {amps:g} A cannot flow through it"
    slack = 0.002 + 0.02 * watts + 2 * (volts * model.amps_step + amps * model.volts_step)
    if abs(volts * amps - watts) > slack:
        return f"{volts:g} V times {amps:g} A is not {watts:g} W"
    return None


def decode(frame: bytes, model: Model) -> Frame:
    """Turn one answer into SI units.

    Raises:
        ValueError: the frame fails its checks.
    """
    wrong = fault(frame, model)
    if wrong:
        raise ValueError(f"Not a {model.name} frame: {wrong}.")
    _, volts, amps, milliwatts, celsius, _, group = _FIELDS.unpack_from(frame)
    counted = struct.unpack_from(">20I", frame, _CAPACITY)
    plus, minus, _, mah, mwh, _, seconds, _, _, _, decohms, _ = _TAIL.unpack_from(frame, 96)
    return Frame(
        volts=volts * model.volts_step,
        amps=amps * model.amps_step,
        watts=milliwatts / 1000,
        celsius=celsius,
        group=group,
        groups=tuple(Counters.milli(*pair) for pair in zip(counted[::2], counted[1::2], strict=True)),
        data_plus_volts=plus / 100,
        data_minus_volts=minus / 100,
        record=Counters.milli(mah, mwh),
        record_seconds=seconds,
        load_ohms=None if decohms >= 99999 else decohms / 10,
    )


def pick(received: bytes, model: Model) -> bytes | None:
    """The first valid frame anywhere in ``received``: noise before it and cut frames are stepped over."""
    mark = model.id.to_bytes(2, "big")
    at = received.find(mark)
    while 0 <= at <= len(received) - LENGTH:
        frame = received[at : at + LENGTH]
        if fault(frame, model) is None:
            return frame
        at = received.find(mark, at + 1)
    return None


class UmMeter(AskedMeter):
    """What the three models share; each driver file names its model."""

    model: ClassVar[Model]
    usb_ids: ClassVar[tuple[tuple[int, int], ...]] = ()  # Bluetooth: no USB identity

    def __init__(self, address: str = "/dev/rfcomm0", *, wire: Wire | None = None, **options: float) -> None:
        super().__init__(f"{self.model.name}@{address}", wire or SerialLine(address), **options)
        self.facts = self.model.facts
        self._last: Frame | None = None

    def read(self) -> Reading:
        """Ask once; volts, amps and watts as the meter shows them (it refreshes twice a second).

        Raises:
            SourceTimeout: no valid frame came.
            SourceMissing: the port went away.
        """
        seen = bytearray()

        def valid(received: bytes) -> bytes | None:
            seen[:] = received
            return pick(received, self.model)

        try:
            frame = self._ask(QUESTION, valid)
        except SourceTimeout as error:
            other = NAMES.get(int.from_bytes(seen[:2], "big"), self.model.name)
            if other != self.model.name and len(seen) >= LENGTH:
                raise SourceTimeout(f"{self.name} is a {other}: use {other}@{self._wire.address}") from error
            raise
        self._last = decode(frame, self.model)
        return Reading(volts=self._last.volts, amps=self._last.amps, watts=self._last.watts)

    def counters(self) -> Counters | None:
        """What the selected group had counted at the last reading (1 mAh, 1 mWh steps); None: none yet."""
        if self._last is None or self._last.group >= len(self._last.groups):
            return None
        return self._last.groups[self._last.group]
