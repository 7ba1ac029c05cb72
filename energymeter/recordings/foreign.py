"""Recordings of others that are no text: EnergyRunner's traces."""

import struct
import sys
from array import array
from pathlib import Path
from typing import IO

from energymeter.errors import LogError, NotMeasured
from energymeter.reading import Facts
from energymeter.recordings.record import Record
from energymeter.text import printable

_MOST_BYTES = 32_000_000
"""A number of four bytes becomes two of eight."""


def read_energyrunner(path: str, file: IO[bytes]) -> Record:
    """Byte 0xF1, float32 rate (Hz), float32 µJ of each period (eembc/energyrunner).

    Raises:
        NotMeasured: there are no samples.
        LogError: its rate is out of range, or it is longer than fits into memory.
    """
    raw = file.read(_MOST_BYTES + 1)
    if len(raw) < 9:
        raise NotMeasured(f"{path} holds no samples; record again")
    if len(raw) > _MOST_BYTES:
        raise LogError(f"{path} holds more than {_MOST_BYTES // 4_000_000} million samples; split it")
    (rate_hz,) = struct.unpack_from("<f", raw, 1)
    microjoules = array("f")
    microjoules.frombytes(raw[5 : 5 + (len(raw) - 5) // 4 * 4])
    if sys.byteorder == "big":
        microjoules.byteswap()
    if not 1e-3 < rate_hz < 1e7:
        raise LogError(
            f"{path} is not an EnergyRunner trace: its rate must be from 0.001 to 1e7 Hz, not {rate_hz:g}"
        )
    watts = array("d", (energy * 1e-6 * rate_hz for energy in microjoules))
    times = array("d", ((i + 1) / rate_hz for i in range(len(watts))))
    return Record(_name(path), Facts(semantics="mean"), {"time_s": times, "watts": watts}, None, {})


def _name(path: str) -> str:
    return printable(Path(path).name)
