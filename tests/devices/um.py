"""An emulated RDTech UM24C, UM25C or UM34C, from libsigrok's and rdserialtool's description of the frame."""

IDS = {"um24c": 0x0963, "um25c": 0x09C9, "um34c": 0x0D4C}
XOR_BYTES = [
    1, 3, 7, 9, 15, 17, 19, 23, 31, 39, 41, 45, 49, 53, 55, 57,
    59, 63, 67, 69, 73, 79, 83, 89, 97, 99, 109, 111, 113, 119, 121, 127,
]  # fmt: skip


class UmDevice:
    """Answers 0xF0 only; any other byte would change a real meter's state and fails the test."""

    def __init__(self, model: str = "um25c", volts: float = 5.1, amps: float = 0.5) -> None:
        self.model = model
        self.volts, self.amps = volts, amps
        self.group = 0
        self.mah = [0] * 10
        self.mwh = [0] * 10
        self.asked = 0

    def receive(self, data: bytes) -> bytes:
        assert set(data) == {0xF0}, f"a state-changing byte reached the meter: {data.hex()}"
        self.asked += len(data)
        return self.frame()

    def frame(self) -> bytes:
        """The 130 bytes the meter would send now."""
        fine = self.model == "um25c"
        out = bytearray(130)

        def put(offset: int, size: int, number: float) -> None:
            out[offset : offset + size] = round(number).to_bytes(size, "big")

        put(0, 2, IDS[self.model])
        put(2, 2, self.volts * (1000 if fine else 100))
        put(4, 2, self.amps * (10000 if fine else 1000))
        put(6, 4, self.volts * self.amps * 1000)
        put(10, 2, 27)
        put(12, 2, 81)
        put(14, 2, self.group)
        for index in range(10):
            put(16 + 8 * index, 4, self.mah[index])
            put(20 + 8 * index, 4, self.mwh[index])
        put(96, 2, 281)
        put(98, 2, 280)
        put(102, 4, 12)
        put(106, 4, 61)
        put(110, 2, 10)
        put(112, 4, 3723)
        put(122, 4, min(self.volts / self.amps * 10, 99999) if self.amps else 99999)
        if self.model == "um34c":
            check = 0
            for offset in XOR_BYTES:
                check ^= out[offset]
            out[128:] = bytes([0xFF, check])
        else:
            out[128:] = b"\xff\xf1"
        return bytes(out)
