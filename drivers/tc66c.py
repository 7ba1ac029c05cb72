"""RDTech TC66 / TC66C USB-C power meter over its USB serial port.

Plug: between supply and load, USB-C; its micro-USB port to the host shows as ``/dev/ttyACM0``. Range 0..24 V
(30 V on some), 0..5 A; steps 0.1 mV, 10 µA, 0.1 mW; about 10 polls a second. Accuracy ±(0.05 % + 2 digits of
1 mV) volts, ±(0.1 % + 4 digits of 0.1 mA) amps: **from memory, not checked against a manual**. Semantics:
instants. Integrity: three CRC-16/MODBUS.

Wire: ``getva`` (no newline) is answered by 192 bytes, AES-256-ECB under a key that is the same in every
meter, holding three little-endian 64-byte blocks ``pac1`` ``pac2`` ``pac3`` (libsigrok
``src/hardware/rdtech-tc/protocol.c``; github.com/skgsergio/tc66c-toolkit). Resistance is in 0.1 Ω: V/I of a
real answer says so (PyPI tc66-serial 1.0.1 has it ten times smaller). **Never send** ``update`` (firmware
mode), ``rotat``, ``lastp``, ``nextp``. VID:PID 0483:5740 is ST's generic serial port [from memory], so ask
before trusting it (``query`` is answered by ``firm``).

Renewal: about ten times a second; the meter itself averages over up to 0.5 s.
Counters: two groups of mAh and mWh, added: only one counts, and which one is unknown.
Loss: none: there is no sequence number.
Tested on: an emulated wire, one recorded frame; real hardware: none yet.
"""

import struct
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from energymeter.drivers.links.serial import SerialLine
from energymeter.drivers.links.wire import AskedMeter, Wire
from energymeter.drivers.protocols.crc import crc16_modbus
from energymeter.errors import ExtraMissing, SourceMissing
from energymeter.reading import Band, Facts, Reading
from energymeter.source import Counters
from energymeter.text import printable

__all__ = ["Tc66c"]

KEY = bytes.fromhex("5821fa5601b2f02687ff1204622a4fb086f40260816f9a0ba7f106619ab87288")
LENGTH = 192
_BLOCK = 64
_AES_BLOCK = 16
_PAC1 = struct.Struct("<4x4s4sI28xIIII")
_PAC2 = struct.Struct("<4x9I")


class Frame(NamedTuple):
    """One answer, decoded. SI units."""

    model: str
    firmware: str
    serial: int
    runs: int
    volts: float
    amps: float
    watts: float
    ohms: float
    groups: tuple[Counters, Counters]
    counted: Counters
    """Both groups added: only the selected one counts [from memory], and which one that is, is unknown."""
    celsius: int
    data_plus_volts: float
    data_minus_volts: float


def fault(plain: bytes) -> str | None:
    """Why decrypted ``plain`` is not an answer; None: it is."""
    if len(plain) != LENGTH:
        return f"{len(plain)} bytes instead of {LENGTH}"
    for index in range(3):
        block = plain[index * _BLOCK : (index + 1) * _BLOCK]
        if block[:4] != b"pac%d" % (index + 1):
            return f"block {index + 1} does not begin pac{index + 1}"
        if crc16_modbus(block[:60]) != int.from_bytes(block[60:], "little"):
            return f"the CRC of pac{index + 1} is wrong"
    return None


def decode(plain: bytes) -> Frame:
    """Turn a decrypted answer into SI units.

    Raises:
        ValueError: it fails its checks.
    """
    wrong = fault(plain)
    if wrong:
        raise ValueError(f"Not a TC66C answer: {wrong}.")
    model, firmware, serial, runs, volts, amps, watts = _PAC1.unpack_from(plain)
    ohms, mah0, mwh0, mah1, mwh1, negative, celsius, plus, minus = _PAC2.unpack_from(plain, _BLOCK)
    return Frame(
        model=model.decode("ascii", "replace"),
        firmware=firmware.decode("ascii", "replace"),
        serial=serial,
        runs=runs,
        volts=volts / 1e4,
        amps=amps / 1e5,
        watts=watts / 1e4,
        ohms=ohms / 10,
        groups=(Counters.milli(mah0, mwh0), Counters.milli(mah1, mwh1)),
        counted=Counters.milli(mah0 + mah1, mwh0 + mwh1),
        celsius=-celsius if negative == 1 else celsius,
        data_plus_volts=plus / 100,
        data_minus_volts=minus / 100,
    )


def pick(received: bytes, decrypt: Callable[[bytes], bytes]) -> bytes | None:
    """The first valid answer anywhere in ``received``, decrypted: noise before it is stepped over."""
    for at in range(len(received) - LENGTH + 1):
        if decrypt(received[at : at + _AES_BLOCK])[:4] == b"pac1":
            plain = decrypt(received[at : at + LENGTH])
            if fault(plain) is None:
                return plain
    return None


def cipher() -> Callable[[bytes], bytes]:
    """The meter's decryption, by the ``cryptography`` package.

    Raises:
        ExtraMissing: it is not installed.
    """
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    except ImportError as error:
        raise ExtraMissing("cryptography", "tc66c", "the TC66C's encrypted answer") from error
    aes = Cipher(algorithms.AES(KEY), modes.ECB())  # the meter's choice of mode, not ours

    def decrypt(data: bytes) -> bytes:
        return aes.decryptor().update(data)

    return decrypt


class Tc66c(AskedMeter):
    """``tc66c@/dev/ttyACM0``; ``timeout``: seconds one question may take."""

    facts = Facts(
        volts=Band(gain=0.0005, offset=0.002, resolution=0.0001),
        amps=Band(gain=0.001, offset=0.0004, resolution=0.00001),
        watts=Band(gain=0.0015, offset=0.01, resolution=0.0001),
        default_hz=5.0,
        max_hz=10.0,
        max_watts=30 * 5.0,
        smoothing_seconds=0.5,
    )
    usb_ids: ClassVar[tuple[tuple[int, int], ...]] = ((0x0483, 0x5740),)

    def __init__(self, address: str = "/dev/ttyACM0", *, wire: Wire | None = None, **options: float) -> None:
        super().__init__(f"tc66c@{address}", wire or SerialLine(address, 115200), **options)
        self.identity: str | None = None
        self._decrypt: Callable[[bytes], bytes] | None = None
        self._last: Frame | None = None

    def open(self) -> None:
        """Open the port, take one reading and learn the meter's serial number (`identity`).

        Raises:
            ExtraMissing: ``cryptography`` is not installed.
            SourceError: no port, no permission, held by another program, or no TC66C answers.
        """
        self._decrypt = cipher()
        super().open()

    def read(self) -> Reading:
        """Ask once.

        Raises:
            SourceTimeout: no valid answer came.
            SourceMissing: the port went away, or another meter came back on it.
        """
        decrypt = self._decrypt or cipher()
        plain = self._ask(b"getva", lambda received: pick(received, decrypt))
        frame = decode(plain)
        identity = printable(f"{frame.model} {frame.serial}")
        if self.identity not in (None, identity):
            raise SourceMissing(f"{self.name} is now {identity}, not {self.identity}: plug that one in again")
        self._last, self.identity = frame, identity
        return Reading(volts=frame.volts, amps=frame.amps, watts=frame.watts)

    def counters(self) -> Counters | None:
        """Both groups added, as of the last reading, in steps of 1 mAh and 1 mWh; None: no reading yet."""
        return self._last.counted if self._last else None
