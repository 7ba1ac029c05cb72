"""What one sample of each meter costs in processor time, decoded and stamped; no meter is needed.

Each driver runs its real ``stream`` or decoder over bytes made beforehand. The share is that of one core at
the rate of the meter itself; the targets are the plan's.
"""

import json
import struct
import time
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
from _figures import Figure

from energymeter.clock import ManualClock
from energymeter.drivers.atorch import decode as decode_atorch
from energymeter.drivers.fnirsi import Fnirsi
from energymeter.drivers.km003c_stream import Km003cStream
from energymeter.drivers.protocols.crc import crc8_fnirsi, crc16_modbus
from energymeter.drivers.protocols.ppk2 import Decoder, parse_calibration
from energymeter.drivers.protocols.text_fields import Fields, find
from energymeter.drivers.protocols.um import decode as decode_um
from energymeter.drivers.pzem import decode as decode_pzem
from energymeter.drivers.tc66c import decode as decode_tc66c
from energymeter.drivers.um25c import Um25c
from energymeter.reading import Reading


class Ready:
    """A wire that always has the next packet."""

    place = "ready"

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.moved_bytes = 0
        self._answer, self._asked = answer, b""

    def open(self) -> None: ...

    def close(self) -> None: ...

    def write(self, data: bytes) -> None:
        self._asked = data

    def read(self, seconds: float) -> bytes:
        return self._answer(self._asked)


def fnirsi(samples: int) -> Iterator[Reading]:
    body = bytes([4]) + struct.pack("<IIHHBH", 500_000, 100_000, 0, 0, 1, 300) * 4 + b"\0"
    packet = b"\xaa" + body + bytes([crc8_fnirsi(body)])
    source = Fnirsi(wire=Ready(lambda _: packet), clock=ManualClock())
    source.open()
    yield from islice(source.stream(), samples)


def km003c(samples: int) -> Iterator[Reading]:
    sequence = 0

    def answer(asked: bytes) -> bytes:
        nonlocal sequence
        if asked[0] != 0x0C:
            return bytes([5, asked[1], 0, 0])
        queue = b"".join(
            struct.pack("<HHiiHHHH", (sequence + n) & 0xFFFF, 9, 5_000_000, 1_000_000, 0, 0, 0, 0)
            for n in range(40)
        )
        sequence += 40
        return bytes([0x41, asked[1], 0, 0]) + struct.pack("<I", 2 | 40 << 16 | 20 << 22) + queue

    source = Km003cStream(wire=Ready(answer), clock=ManualClock())
    source.tune(1000)
    yield from islice(source._flow(), samples)  # the handshake is not what is timed


def ppk2(samples: int) -> None:
    decoder = Decoder(parse_calibration(""), 3.3, per_bin=1000)
    words = (np.arange(samples, dtype=np.uint32) % 64 << 18 | 3 << 14 | 8000).astype("<u4").tobytes()
    for at in range(0, len(words), 1600):  # what 4 ms bring
        decoder.feed(words[at : at + 1600])


def frames(decode: Callable[[bytes], object], frame: bytes) -> Callable[[int], None]:
    def run(samples: int) -> None:
        for _ in range(samples):
            decode(frame)

    return run


def um25c_frame() -> bytes:
    head = struct.pack(">HHHI", 0x09C9, 5000, 10_000, 5000)
    return head + bytes(118) + b"\xff\xf1"


def tc66c_plain() -> bytes:
    blocks = (b"pac%d" % number + bytes(56) for number in (1, 2, 3))
    return b"".join(block + crc16_modbus(block).to_bytes(4, "little") for block in blocks)


def plug(samples: int) -> None:
    """A Shelly's whole answer: JSON, paths and units; what the network itself costs comes on top."""
    fields = Fields({"watts": "$.apower", "volts": "$.voltage"}, {"watts": "W", "volts": "V"})
    said = {
        "id": 0,
        "apower": 8.9,
        "voltage": 237.5,
        "aenergy": {"total": 6.5, "by_minute": [45.2, 47.1, 88.4]},
    }
    answer = json.dumps(said)
    for _ in range(samples):
        document = json.loads(answer)
        fields.reading(lambda path, document=document: find(document, path), "plug")


def measure(short: bool) -> dict[str, Figure]:
    """The share of a core that each meter's decoding takes at its own rate."""
    atorch = bytes.fromhex("ff5501030001f3000000000638000003110007000a000000122e333c000000000000004e")
    pzem = bytes.fromhex("f8041408d300230000000500000002000001f500060000f8be")
    jobs: list[tuple[str, float, float | None, int, Callable[[int], object]]] = [
        ("fnirsi", 100, 0.03, 200_000, lambda n: sum(1 for _ in fnirsi(n))),
        ("km003c_stream", 1000, 0.03, 200_000, lambda n: sum(1 for _ in km003c(n))),
        ("ppk2", 100_000, 0.4, 5_000_000, ppk2),
        ("um25c", 2, None, 20_000, frames(lambda frame: decode_um(frame, Um25c.model), um25c_frame())),
        ("tc66c, deciphered", 10, None, 20_000, frames(decode_tc66c, tc66c_plain())),
        ("atorch", 1, None, 20_000, frames(decode_atorch, atorch)),
        ("pzem", 1, None, 20_000, frames(decode_pzem, pzem)),
        ("a plug's JSON", 1, None, 20_000, plug),
    ]
    figures = {}
    for name, rate_hz, limit, samples, run in jobs:
        samples //= 10 if short else 1
        start = time.process_time()
        run(samples)
        each = (time.process_time() - start) / samples
        figures[f"{name} at {rate_hz:g}/s"] = Figure(
            100 * each * rate_hz,
            "%",
            None if limit is None else 100 * limit,
            remark=f"{each * 1e6:.3g} µs a sample",
        )
    return figures
