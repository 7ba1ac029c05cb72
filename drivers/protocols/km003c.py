"""What a ChargerLAB POWER-Z KM003C or KM002C says over its USB vendor interface.

Little-endian packets. Header u32: type 7 bits, extend 1, id 8, encrypted 1, attribute 15. A data answer
(type 0x41) holds blocks, each led by a u32: attribute 15 bits, next 1, chunk 6, size 10; the block of
attribute 2 holds ``chunk`` samples of ``size`` bytes, any other ``size`` bytes. The queue answers only after
the meter was shown its own hardware id (two AES-128 keys, the same in every meter; checked against the
recorded sessions).

Sources: github.com/okhsunrog/km003c-rs (MIT or Apache-2.0) and km003c-protocol-research (MIT), which
recorded the vendor's own program; the kernel's ``drivers/hwmon/powerz.c``. Thirty lines of ``struct`` stand
here instead of the PyPI package ``km003c``, which parses the same bytes but does no USB; a test holds the
two against each other where it is installed.
"""

import struct
import zlib
from typing import ClassVar, NamedTuple

from energymeter.drivers.links.usb import UsbBulk
from energymeter.drivers.links.wire import Wire, WireMeter
from energymeter.errors import ExtraMissing, SourceError, SourceTimeout
from energymeter.reading import Band, Facts, Reading
from energymeter.text import printable

USB_IDS = ((0x5FC9, 0x0063), (0x5FC9, 0x0061))
CONNECT, ACCEPT, REJECT, GET_DATA = 0x02, 0x05, 0x06, 0x0C
START_GRAPH, STOP_GRAPH, PUT_DATA = 0x0E, 0x0F, 0x41
MEMORY_READ, STREAMING_AUTH = 0x44, 0x4C
ADC, ADC_QUEUE = 1, 2
RATES_HZ = (2, 10, 50, 1000)
TICK_NS = 1_000_000
"""One count of a sample's sequence number: it runs at 1 kHz whatever the rate."""
FACTS = Facts(  # 50 V, 6 A; accuracy from memory of the maker's page, taken wide
    volts=Band(gain=0.001, offset=0.001, resolution=1e-6),
    amps=Band(gain=0.002, offset=0.001, resolution=1e-6),
    default_hz=10.0,
    max_hz=100.0,
    max_watts=50 * 6.0,
)
_ADC = struct.Struct("<6ih5H2B3H")
_SAMPLE = struct.Struct("<HHiiHHHH")
_HARDWARE_ID = (0x40010450, 12)
_MEMORY_KEY = b"Lh2yfB7n6X7d9a5Z"
_AUTH_KEY = b"Fa0b4tA25f4R038a"
_LIMIT_MICROS = 60_000_000  # neither volts nor amps of these meters go this far


class Block(NamedTuple):
    """One block of a data answer."""

    attribute: int
    chunk: int
    size: int
    payload: bytes


class Snapshot(NamedTuple):
    """The ADC block: what the display shows. SI units; the sign of ``amps`` is the direction."""

    volts: float
    amps: float
    mean_volts: float
    mean_amps: float
    celsius: float
    cc1_volts: float
    cc2_volts: float


class Sample(NamedTuple):
    """One sample of the queue. ``sequence`` counts milliseconds and wraps at 65536."""

    sequence: int
    volts: float
    amps: float


def blocks(packet: bytes) -> list[Block]:
    """The whole blocks of a data answer; none for any other packet. A cut block ends the list."""
    found: list[Block] = []
    if len(packet) < 8 or packet[0] & 0x7F != PUT_DATA:
        return found
    at, more = 4, True
    while more and at + 4 <= len(packet):
        lead = int.from_bytes(packet[at : at + 4], "little")
        attribute, chunk, size = lead & 0x7FFF, lead >> 16 & 0x3F, lead >> 22
        length = size * chunk if attribute == ADC_QUEUE else size
        payload = packet[at + 4 : at + 4 + length]
        if len(payload) < length:
            break
        found.append(Block(attribute, chunk, size, payload))
        at, more = at + 4 + length, bool(lead >> 15 & 1)
    return found


def snapshots(packet: bytes) -> list[Snapshot]:
    """The believable ADC blocks of a packet."""
    found = []
    for block in blocks(packet):
        if block.attribute == ADC and block.size == _ADC.size:
            volts, amps, mean_volts, mean_amps, _, _, celsius, cc1, cc2, *_rest = _ADC.unpack(block.payload)
            if abs(volts) <= _LIMIT_MICROS and abs(amps) <= _LIMIT_MICROS:
                micro = (volts / 1e6, amps / 1e6, mean_volts / 1e6, mean_amps / 1e6)
                found.append(Snapshot(*micro, celsius / 128, cc1 / 1e4, cc2 / 1e4))
    return found


def samples(packet: bytes) -> list[Sample]:
    """The believable queue samples of a packet, oldest first."""
    return [
        Sample(sequence, volts / 1e6, amps / 1e6)
        for block in blocks(packet)
        if block.attribute == ADC_QUEUE and block.size == _SAMPLE.size
        for sequence, _, volts, amps, *_rest in _SAMPLE.iter_unpack(block.payload)
        if abs(volts) <= _LIMIT_MICROS and abs(amps) <= _LIMIT_MICROS
    ]


class Sequence:
    """Undoes the wrap of the sequence numbers and counts exactly what is missing between them."""

    def __init__(self, step: int) -> None:
        self.lost = 0
        self._step = step
        self._last: int | None = None
        self._tick = 0
        self._heard_ns = 0

    def tick(self, sequence: int, arrival_ns: int) -> int | None:
        """Milliseconds since the first sample; None: this one was seen already.

        A pause longer than the 65.5 s wrap is bridged by the host's clock (``arrival_ns``); a step back
        without such a pause is the counter's restart, and the sample follows the one before.
        """
        if self._last is None:
            rise = 0
        else:
            rise = sequence - self._last & 0xFFFF
            if rise == 0 and arrival_ns - self._heard_ns < 32_768 * TICK_NS:
                return None
            passed = (arrival_ns - self._heard_ns) // TICK_NS
            rise += round(max(0, passed - rise) / 65_536) * 65_536
            if rise > 0x8000 and passed < 0x4000:
                rise = self._step
            self.lost += max(0, rise // self._step - 1)
        self._last, self._heard_ns = sequence, arrival_ns
        self._tick += rise
        return self._tick


class Aes128:
    """AES-128-ECB of whole blocks, by the ``cryptography`` package: the meter's choice, not ours.

    Raises:
        ExtraMissing: it is not installed.
    """

    def __init__(self) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        except ImportError as error:
            raise ExtraMissing("cryptography", "km003c", "streaming from a KM003C") from error

        def cipher(key: bytes) -> Cipher[modes.ECB]:
            return Cipher(algorithms.AES(key), modes.ECB())

        self._cipher = cipher

    def encrypt(self, key: bytes, data: bytes) -> bytes:
        return self._cipher(key).encryptor().update(data)

    def decrypt(self, key: bytes, data: bytes) -> bytes:
        return self._cipher(key).decryptor().update(data)


class Session:
    """Questions and answers over a wire, matched by their id."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._id = 0

    def ask(self, kind: int, attribute: int = 0, seconds: float = 0.5) -> bytes:
        """Send a control packet and return the answer with its id; others are stepped over.

        Raises:
            SourceTimeout: no answer.
        """
        self._id = self._id + 1 & 0xFF
        self.wire.write(struct.pack("<BBH", kind, self._id, attribute << 1))
        for _ in range(8):
            answer = self.wire.read(seconds)
            if not answer:
                break
            if len(answer) >= 4 and answer[1] == self._id and answer[0] & 0x7F in (ACCEPT, REJECT, PUT_DATA):
                return answer
        raise SourceTimeout(f"{self.wire.address} did not answer within {seconds:g} s: plug it in again")

    def command(self, kind: int, attribute: int = 0) -> None:
        """`ask`, and insist on "accepted".

        Raises:
            SourceError: the meter refused.
        """
        answer = self.ask(kind, attribute)
        if answer[0] & 0x7F != ACCEPT:
            raise SourceError(f"{self.wire.address} refused command 0x{kind:02x}: check its firmware version")

    def authorise(self, aes: Aes128, epoch: float, salt: bytes) -> None:
        """Show the meter its own hardware id, without which the queue stays empty.

        Raises:
            SourceError: the meter refused; polling (driver ``km003c``) works without.
        """
        hardware_id = self._memory(*_HARDWARE_ID, aes)
        plain = struct.pack("<Q", round(epoch * 1000)) + hardware_id + salt
        self._id = self._id + 1 & 0xFF
        self.wire.write(struct.pack("<BBH", STREAMING_AUTH, self._id, 0x0200) + aes.encrypt(_AUTH_KEY, plain))
        answer = self.wire.read(1.0)
        if len(answer) < 4 or answer[0] & 0x7F != STREAMING_AUTH or not answer[2] & 0b110:
            raise SourceError(
                f"{self.wire.address} does not let us stream: use the driver km003c, which polls"
            )

    def _memory(self, address: int, size: int, aes: Aes128) -> bytes:
        order = struct.pack("<III", address, size, 0xFFFFFFFF)
        order += struct.pack("<I", zlib.crc32(order)) + b"\xff" * 16
        self._id = self._id + 1 & 0xFF
        self.wire.write(struct.pack("<BBH", MEMORY_READ, self._id, 0x0101) + aes.encrypt(_MEMORY_KEY, order))
        receipt = self.wire.read(1.0)
        sealed = self.wire.read(1.0) if receipt[:1] == bytes([MEMORY_READ | 0x80]) else b""
        if len(sealed) < 16:
            raise SourceError(f"{self.wire.address} does not give its hardware id: use the driver km003c")
        return aes.decrypt(_MEMORY_KEY, sealed[:16])[:size]


class Km003cMeter(WireMeter):
    """What polling and streaming share: one meter, by its serial number, and the sign of its current.

    Args:
        name: of the source.
        serial: the serial number; empty: the first meter found.
        wire: instead of its USB interface.
        reverse: turn the sign of the current round.
    """

    usb_ids: ClassVar[tuple[tuple[int, int], ...]] = USB_IDS
    usb_node = "usb"

    def __init__(self, name: str, serial: str, wire: Wire | None, *, reverse: bool = False) -> None:
        self.name = name
        self.identity: str | None = None
        self._sign = -1.0 if reverse else 1.0
        self._wire = wire or UsbBulk(USB_IDS, serial, endpoint_out=0x01, endpoint_in=0x81, extra="km003c")

    def _identify(self) -> None:
        """Take the serial number of the open wire as the identity."""
        serial = getattr(self._wire, "serial", "")
        self.identity = f"KM003C {printable(serial)}" if serial else None

    def _reading(self, volts: float, amps: float, at_ns: int | None = None, fresh: bool = True) -> Reading:
        return Reading(volts=volts, amps=self._sign * amps, at_ns=at_ns, fresh=fresh)
