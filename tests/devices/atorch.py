"""An emulated Atorch meter: it pushes reports as atorch-console's protocol notes lay them out."""


def report(
    kind: int, volts_raw: int, amps_raw: int, third_raw: int, energy_raw: int, seconds: int, celsius: int = 25
) -> bytes:
    """One report; kind 1 is AC, 2 DC, 3 USB; raw numbers are in the meter's own steps."""
    out = bytearray(36)
    out[:4] = bytes([0xFF, 0x55, 1, kind])
    out[4:7] = volts_raw.to_bytes(3, "big")
    out[7:10] = amps_raw.to_bytes(3, "big")
    out[10:13] = third_raw.to_bytes(3, "big")
    out[13:17] = energy_raw.to_bytes(4, "big")
    clock = 23 if kind == 3 else 26
    out[clock - 2 : clock] = celsius.to_bytes(2, "big")
    out[clock : clock + 2] = (seconds // 3600).to_bytes(2, "big")
    out[clock + 2] = seconds // 60 % 60
    out[clock + 3] = seconds % 60
    out[clock + 4] = 0x3C
    total = 0
    for byte in out[2:35]:
        total = (total + byte) % 256
    out[35] = total ^ 0x44
    return bytes(out)


class MuteListener:
    """The host's side must stay silent: every command changes an Atorch meter."""

    def receive(self, data: bytes) -> bytes:
        raise AssertionError(f"a byte was sent to the meter: {data.hex()}")
