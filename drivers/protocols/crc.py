"""The checksums of meters: table-driven CRCs, each named as the catalogue of parametrised CRCs names it.

Catalogue: https://reveng.sourceforge.io/crc-catalogue/
"""


def _table_reflected(polynomial: int) -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (polynomial if byte & 1 else 0)
        table.append(byte)
    return table


def _table8(polynomial: int) -> bytes:
    table = bytearray()
    for byte in range(256):
        for _ in range(8):
            byte = ((byte << 1) ^ (polynomial if byte & 0x80 else 0)) & 0xFF
        table.append(byte)
    return bytes(table)


_MODBUS = _table_reflected(0xA001)
_FNIRSI = _table8(0x39)


def crc16_modbus(data: bytes) -> int:
    """CRC-16/MODBUS (poly 0x8005 reflected, init 0xFFFF): Modbus RTU and the TC66C.

    >>> hex(crc16_modbus(b"123456789"))
    '0x4b37'
    """
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _MODBUS[(crc ^ byte) & 0xFF]
    return crc


def crc8_fnirsi(data: bytes) -> int:
    """CRC-8 with poly 0x39, init 0x42, not reflected: FNIRSI's HID reports.

    >>> hex(crc8_fnirsi(bytes([0x81]) + bytes(61)))  # github.com/baryluk/fnirsi-usb-power-data-logger
    '0x8e'
    """
    crc = 0x42
    for byte in data:
        crc = _FNIRSI[crc ^ byte]
    return crc
