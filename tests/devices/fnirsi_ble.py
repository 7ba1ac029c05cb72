"""Frames as a FNIRSI tester sends them over Bluetooth."""


def xmodem(data: bytes) -> int:
    """CRC-16/XMODEM, bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1
    return crc


def frame(kind: int, payload: bytes) -> bytes:
    out = bytes([0xAA, kind, len(payload)]) + payload
    return out + bytes([xmodem(out) & 0xFF])
