"""An emulated TC66C: builds and encrypts its three blocks as libsigrok's rdtech-tc describes them."""

import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from devices.modbus import modbus_crc

_KEY = bytes([
    0x58, 0x21, 0xFA, 0x56, 0x01, 0xB2, 0xF0, 0x26, 0x87, 0xFF, 0x12, 0x04, 0x62, 0x2A, 0x4F, 0xB0,
    0x86, 0xF4, 0x02, 0x60, 0x81, 0x6F, 0x9A, 0x0B, 0xA7, 0xF1, 0x06, 0x61, 0x9A, 0xB8, 0x72, 0x88,
])  # fmt: skip


def encrypt(plain: bytes) -> bytes:
    return Cipher(algorithms.AES(_KEY), modes.ECB()).encryptor().update(plain)


class Tc66cDevice:
    """Answers ``getva``; anything else fails the test."""

    def __init__(self, volts: float = 5.0, amps: float = 0.5, celsius: int = 27) -> None:
        self.volts, self.amps, self.celsius = volts, amps, celsius
        self.serial = 48724
        self.mah, self.mwh = 0, 0
        self.heard = b""

    def receive(self, data: bytes) -> bytes:
        self.heard += data
        assert b"getva".startswith(self.heard[:5]), f"the meter does not know {self.heard!r}"
        if len(self.heard) < 5:
            return b""
        self.heard = self.heard[5:]
        return encrypt(self.plain())

    def plain(self) -> bytes:
        one = bytearray(b"pac1TC661.18" + struct.pack("<I28xI", self.serial, 40) + bytes(16))
        one[48:60] = struct.pack(
            "<III", round(self.volts * 1e4), round(self.amps * 1e5), round(self.volts * self.amps * 1e4)
        )
        two = bytearray(b"pac2" + bytes(60))
        ohms = round(self.volts / self.amps * 10)
        two[4:40] = struct.pack(
            "<9I", ohms, self.mah, self.mwh, 0, 0, int(self.celsius < 0), abs(self.celsius), 281, 280
        )
        three = bytearray(b"pac3" + bytes(60))
        for block in (one, two, three):
            block[60:] = struct.pack("<I", modbus_crc(bytes(block[:60])))
        return bytes(one + two + three)
