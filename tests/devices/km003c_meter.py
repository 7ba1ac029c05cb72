"""An emulated KM003C behind its vendor endpoints, from km003c-protocol-research's notes; strict."""

import binascii
import struct
from collections import deque
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from energymeter.clock import ManualClock
from energymeter.errors import SourceMissing

HARDWARE_ID = b"071KBP\r\xff\x11\n\xff\xff"
STEPS = (500, 100, 20, 1)


def _aes(key: bytes) -> Cipher[modes.ECB]:
    return Cipher(algorithms.AES(key), modes.ECB())


def adc_block(volts: float, amps: float, more: bool = False) -> bytes:
    """Attribute 1, 44 bytes, with its leading header."""
    micro = (round(volts * 1e6), round(amps * 1e6))
    body = struct.pack(
        "<6ih5H2B3H", *micro, *micro, *micro, 25 * 128, 16604, 273, 17, 21, 32379, 128, 0, 0, 0, 0
    )
    return struct.pack("<I", 1 | more << 15 | 44 << 22) + body


def queue_block(samples: list[tuple[int, float, float]]) -> bytes:
    """Attribute 2, 20 bytes a sample: (sequence, volts, amps)."""
    body = b"".join(
        struct.pack(
            "<HHiiHHHH", sequence & 0xFFFF, 9, round(volts * 1e6), round(amps * 1e6), 1660, 27, 83, 592
        )
        for sequence, volts, amps in samples
    )
    return struct.pack("<I", 2 | len(samples) << 16 | 20 << 22) + body


class Km003cWire:
    """The host's end of the bulk pipes, on a clock moved by hand."""

    def __init__(self, clock: ManualClock, load: Callable[[float], tuple[float, float]]) -> None:
        self.address = "emulated"
        self.serial = "007965"
        self.moved_bytes = 0
        self.clock, self.load = clock, load
        self.plugged = True
        self.locked = False
        """True: refuses StreamingAuth."""
        self.skip: set[int] = set()
        """Samples (by number since the start) that the meter loses."""
        self.first_sequence = 65_000
        self._answers: deque[bytes] = deque()
        self._opened = self._connected = self._authorised = False
        self._rate: int | None = None
        self._start_ns = self._given = 0

    @property
    def streaming(self) -> bool:
        return self._rate is not None

    def open(self) -> None:
        if not self.plugged:
            raise SourceMissing("emulated: unplugged")
        self._opened, self._connected, self._authorised, self._rate = True, False, False, None
        self._answers.clear()

    def close(self) -> None:
        self._opened = False

    def write(self, data: bytes) -> None:
        self._check()
        self.moved_bytes += len(data)
        kind, number, attribute = struct.unpack_from("<BBH", data)
        if kind == 0x0C:
            assert len(data) == 4
            self._get(number, attribute >> 1)
        elif kind == 0x02:
            self._connected = True
            self._accept(number)
        elif kind == 0x44:
            self._memory(number, attribute, data[4:])
        elif kind == 0x4C:
            self._auth(number, attribute, data[4:])
        elif kind == 0x0E:
            assert self._authorised
            self._rate, self._given = attribute >> 1, 0
            self._start_ns = self.clock.monotonic_ns()
            self._accept(number)
        elif kind == 0x0F:
            self._rate = None
            self._accept(number)
        else:
            raise AssertionError(f"command {kind:#x} is not for a meter that only measures")

    def read(self, seconds: float) -> bytes:
        self._check()
        if not self._answers:
            self.clock.sleep(seconds)
            return b""
        answer = self._answers.popleft()
        self.moved_bytes += len(answer)
        return answer

    def _accept(self, number: int) -> None:
        self._answers.append(bytes([0x05, number, 0, 0]))

    def _get(self, number: int, attribute: int) -> None:
        head = struct.pack("<BBH", 0x41, number, 0)
        passed = (self.clock.monotonic_ns() - self._start_ns) / 1e9
        if attribute == 1:
            self._answers.append(head + adc_block(*self.load(passed)))
            return
        assert attribute == 2
        if self._rate is None:
            self._answers.append(head)
            return
        step = STEPS[self._rate]
        due = int(passed * 1000 / step)
        numbers = [n for n in range(self._given, min(due, self._given + 63)) if n not in self.skip]
        self._given = min(due, self._given + 63)
        samples = [(self.first_sequence + n * step, *self.load(n * step / 1000)) for n in numbers]
        self._answers.append(head + queue_block(samples) if samples else head)

    def _memory(self, number: int, attribute: int, sealed: bytes) -> None:
        assert self._connected
        assert attribute == 0x0101
        plain = _aes(b"Lh2yfB7n6X7d9a5Z").decryptor().update(sealed)
        assert plain[8:12] == b"\xff" * 4
        assert binascii.crc32(plain[:12]) == int.from_bytes(plain[12:16], "little")
        assert plain[:8] == struct.pack("<II", 0x40010450, 12), "only the hardware id is read"
        self._answers.append(bytes([0xC4, number, 1, 1]) + plain[:16])
        self._answers.append(_aes(b"Lh2yfB7n6X7d9a5Z").encryptor().update(HARDWARE_ID + bytes(4)))

    def _auth(self, _number: int, attribute: int, sealed: bytes) -> None:
        assert attribute == 0x0200
        plain = _aes(b"Fa0b4tA25f4R038a").decryptor().update(sealed)
        assert len(plain) == 32
        self._authorised = plain[8:20] == HARDWARE_ID and not self.locked
        result = 0x0203 if self._authorised else 0x0201
        answer = _aes(b"FX0b4tA25f4R038a").encryptor().update(plain)
        self._answers.append(struct.pack("<BBH", 0x4C, 0, result) + answer)

    def _check(self) -> None:
        assert self._opened, "the pipes are not open"
        if not self.plugged:
            raise SourceMissing("emulated: unplugged")
