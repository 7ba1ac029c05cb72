"""A KM003C's questions one at a time: silence, an empty block, and what it is shown before it streams."""

import struct
import zlib

import pytest

pytest.importorskip("cryptography", reason="the KM003C's queue needs it (extra km003c)")

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from energymeter.drivers.protocols import km003c
from energymeter.errors import SourceError, SourceTimeout


class Answers:
    """A wire that gives its answers in turn; then it is silent."""

    address = "wire"
    moved_bytes = 0

    def __init__(self, *answers: bytes) -> None:
        self.answers, self.sent, self.waits = list(answers), [], []  # type: ignore[var-annotated]

    def open(self) -> None: ...
    def close(self) -> None: ...

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def read(self, seconds: float) -> bytes:
        self.waits.append(seconds)
        return self.answers.pop(0) if self.answers else b""


def test_a_meter_that_is_silent_is_not_waited_for_again_and_again() -> None:
    wire = Answers()
    with pytest.raises(SourceTimeout):
        km003c.Session(wire).ask(0x0C, seconds=0.25)
    assert wire.waits == [0.25]


def test_a_block_may_be_empty_and_end_the_packet() -> None:
    bare = struct.pack("<II", km003c.PUT_DATA, 1)
    assert km003c.blocks(bare) == [km003c.Block(1, 0, 0, b"")]
    assert km003c.blocks(bare[:-1]) == []


HARDWARE_ID = b"071KBP\r\xff\x11\n\xff\xff"


def allowed(*, receipt: int = 0xC4, sealed: int = 16, kind: int = 0x4C, flags: int = 0x0202) -> list[bytes]:
    """What a meter answers: its hardware id under AES, and whether it lets us stream."""
    plain = HARDWARE_ID + bytes(4)
    secret = Cipher(algorithms.AES(b"Lh2yfB7n6X7d9a5Z"), modes.ECB()).encryptor().update(plain)
    return [bytes([receipt, 1, 1, 2]), secret[:sealed], struct.pack("<BBH", kind, 2, flags)]


def test_who_asks_to_stream_shows_the_meter_its_own_number() -> None:
    wire = Answers(*allowed())
    km003c.Session(wire).authorise(km003c.Aes128(), 1_700_000_000.1234, b"twelve bytes")
    order, shown = wire.sent
    assert order[:4] == bytes([0x44, 1, 0x01, 0x01])
    asked = Cipher(algorithms.AES(b"Lh2yfB7n6X7d9a5Z"), modes.ECB()).decryptor().update(order[4:])
    where = struct.pack("<III", 0x40010450, 12, 0xFFFFFFFF)
    assert asked == where + struct.pack("<I", zlib.crc32(where)) + b"\xff" * 16
    assert shown[:4] == bytes([0x4C, 2, 0x00, 0x02])
    said = Cipher(algorithms.AES(b"Fa0b4tA25f4R038a"), modes.ECB()).decryptor().update(shown[4:])
    assert said == struct.pack("<Q", 1_700_000_000_123) + HARDWARE_ID + b"twelve bytes"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (allowed(flags=0x0202), ""),
        (allowed(flags=0x0204), ""),
        (allowed(flags=0x0201), "does not let us stream: use the driver km003c, which polls"),
        (allowed(kind=0x4B), "does not let us stream"),
        ([*allowed()[:2], b"\x4c\x02\x02"], "does not let us stream"),
        (allowed()[:2], "does not let us stream"),
        (allowed(receipt=0x44), "does not give its hardware id: use the driver km003c"),
        (allowed(sealed=15), "does not give its hardware id"),
        ([], "does not give its hardware id"),
    ],
)
def test_a_meter_that_does_not_let_us_stream(answers: list[bytes], said: str) -> None:
    session = km003c.Session(Answers(*answers))
    if not said:
        session.authorise(km003c.Aes128(), 0.0, bytes(12))
        return
    with pytest.raises(SourceError, match=f"^wire {said}"):
        session.authorise(km003c.Aes128(), 0.0, bytes(12))
