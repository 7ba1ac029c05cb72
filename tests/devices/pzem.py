"""An emulated PZEM of any model: a strict Modbus RTU slave with the manual's input registers."""

import struct

from devices.modbus import modbus_crc


class PzemDevice:
    """Answers function 4 at its address (and 0xF8); a write, a reset or a bad CRC fails the test."""

    def __init__(self, model: str = "004t", address: int = 1) -> None:
        self.model, self.address = model, address
        self.volts, self.amps, self.watts, self.wh = 230.0, 70.0, 15000.0, 70000

    def receive(self, data: bytes) -> bytes:
        assert len(data) == 8, data.hex()
        assert modbus_crc(data[:6]) == int.from_bytes(data[6:], "little")
        address, function, first, count = struct.unpack(">BBHH", data[:6])
        assert function == 4, "only reading is allowed"
        if address not in (self.address, 0xF8):
            return b""
        registers = self.registers()
        if first + count > len(registers):
            return self._close(bytes([address, 0x84, 2]))
        body = struct.pack(f">{count}H", *registers[first : first + count])
        return self._close(bytes([address, 4, len(body)]) + body)

    def registers(self) -> list[int]:
        watts = round(self.watts * 10)
        if self.model in ("003", "017"):
            amps = round(self.amps * 100)
            return [round(self.volts * 100), amps, *self._low_first(watts), *self._low_first(self.wh), 0, 0]
        amps = round(self.amps * 1000)
        return [
            round(self.volts * 10),
            *self._low_first(amps),
            *self._low_first(watts),
            *self._low_first(self.wh),
            500,
            93,
            0,
        ]

    @staticmethod
    def _low_first(number: int) -> tuple[int, int]:
        return number & 0xFFFF, number >> 16

    @staticmethod
    def _close(body: bytes) -> bytes:
        return body + modbus_crc(body).to_bytes(2, "little")
