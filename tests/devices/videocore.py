"""An emulated Raspberry Pi firmware: answers, and the mailbox they travel through."""

import struct

RAILS = {
    "3V7_WL_SW": (3.8, 0.0),
    "3V3_SYS": (3.306322, 0.0624595),
    "DDR_VDDQ": (0.6047613, 0.5),
    "VDD_CORE": (0.8974594, 2.0),
}


def adc(rails: dict[str, tuple[float, float]] = RAILS) -> str:
    """``pmic_read_adc``: all currents, then all voltages, with indices that do not match."""
    currents = [
        f"{name}_A current({index})={amps:.8f}A" for index, (name, (_, amps)) in enumerate(rails.items())
    ]
    volts = [
        f"{name}_V volt({index + 8})={volts:.8f}V" for index, (name, (volts, _)) in enumerate(rails.items())
    ]
    return "\n".join(f"{line:>32}" for line in [*currents, *volts, "EXT5V_V volt(24)=5.06788000V"])


class Firmware:
    """Answers questions from a script, strictly in order."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def ask(self, question: str) -> str:
        self.asked.append(question)
        return self.answers.pop(0)

    def close(self) -> None:
        pass


class Vcio:
    """The kernel's side of ``/dev/vcio``: checks every word of the message before it answers."""

    def __init__(self, answer: str, *, code: int = 0x80000000, status: int = 0) -> None:
        self.answer = answer
        self.code = code
        self.status = status
        self.question = b""

    def ioctl(self, fd: int, request: int, message: bytearray, mutate: bool) -> int:
        assert mutate
        assert request == (3 << 30) | (struct.calcsize("P") << 16) | (ord("d") << 8)
        size, code, tag, room, length, _ = struct.unpack_from("<6I", message)
        assert (size, code, tag, room, length) == (len(message), 0, 0x30080, 1024, 0)
        assert size % 4 == 0
        assert message[-4:] == b"\0\0\0\0"  # the end tag
        self.question = bytes(message[24:]).split(b"\0", 1)[0]
        text = self.answer.encode()[: room - 1] + b"\0"
        struct.pack_into("<I", message, 4, self.code)
        struct.pack_into("<I", message, 20, self.status)
        message[24 : 24 + len(text)] = text
        return 0
