"""What reading a recording gives, what may be told of it beforehand, and its lines up to the damage."""

import gzip
import zlib
from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple, TextIO

from energymeter.reading import Facts, Semantics

DECOMPRESSION = (EOFError, zlib.error, gzip.BadGzipFile)
"""What a damaged gzip file raises."""


class Record(NamedTuple):
    """One channel of a recording: equally long columns of floats, SI units, NaN for "cannot tell"."""

    name: str
    facts: Facts
    columns: dict[str, "array[float]"]
    """``time_s`` from the start, some of ``watts volts amps``; in our own files also the running
    totals ``joules coulombs covered_s``."""
    epoch_s: float | None
    """Unix time of ``time_s`` 0, where the recording tells."""
    header: dict[str, Any]
    damage: str = ""
    """What could not be read, if the file is not whole."""
    calibration: Any = None
    """Of our own logs, what `energymeter.energy.correction.Applied` reads; None: as the data sheet says."""


class Hints(NamedTuple):
    """What the reader must be told of a foreign file: columns by name, units, and whose it is."""

    time: str | None = None
    watts: str | None = None
    volts: str | None = None
    amps: str | None = None
    unit: str | None = None
    """Of the power column, over what its name says."""
    semantics: Semantics = "instant"
    board: str | None = None
    """Checks that the power is plausible for it; else guessed from the file's name."""


class Lines:
    """The lines that were written to their end, and why there are no more."""

    MOST = 1 << 20
    """Characters; a longer line is none of a log's, and may be a whole disk of zeros."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.half = ""
        """What a killed writer left of its last line."""
        self.damage = ""

    def __iter__(self) -> Iterator[str]:
        try:
            while line := self._file.readline(self.MOST):
                if len(line) == self.MOST:
                    self.damage = "a row of it has no end"
                    return
                if not line.endswith("\n"):
                    self.half, self.damage = line, "its last row is cut off"
                    return
                yield line
        except DECOMPRESSION as damage:
            self.damage = f"it cannot be decompressed to its end ({damage})"
