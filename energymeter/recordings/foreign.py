"""Recordings of others that are no tables: EnergyRunner's binary traces, PTDaemon's rows of pairs."""

import struct
import sys
from array import array
from datetime import datetime
from pathlib import Path
from typing import IO

from energymeter.errors import LogError, NotMeasured
from energymeter.reading import Facts
from energymeter.recordings.record import Lines, Record
from energymeter.text import printable

_QUANTITIES = ("watts", "volts", "amps")


def read_energyrunner(path: str, file: IO[bytes]) -> Record:
    """Byte 0xF1, float32 rate (Hz), float32 µJ of each period (eembc/energyrunner).

    Raises:
        NotMeasured: there are no samples.
        LogError: its rate is out of range.
    """
    raw = file.read()
    if len(raw) < 9:
        raise NotMeasured(f"{path} holds no samples; record again")
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


def read_ptdaemon(path: str, lines: Lines) -> Record:
    """Rows of name,value pairs, one a second, each the mean of its second (mlcommons/power-dev)."""
    columns = {column: array("d") for column in ("time_s", *_QUANTITIES)}
    first: float | None = None
    damage = ""
    for line in lines:
        cells = line.rstrip("\r\n").split(",")
        pairs = dict(zip(cells[::2], cells[1::2], strict=False))
        try:
            at = datetime.strptime(pairs["Time"], "%m-%d-%Y %H:%M:%S.%f").timestamp()
            values = [float(pairs[name]) for name in ("Watts", "Volts", "Amps")]
        except (KeyError, ValueError, OverflowError) as unreadable:
            damage = f"its row {len(columns['time_s']) + 1} is damaged ({unreadable})"
            break
        first = at if first is None else first
        for column, value in zip(columns.values(), (at - first, *values), strict=True):
            column.append(value)
    return Record(
        _name(path), Facts(semantics="mean", place="wall"), columns, first, {}, damage or lines.damage
    )


def _name(path: str) -> str:
    return printable(Path(path).name)
