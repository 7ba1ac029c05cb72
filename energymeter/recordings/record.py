"""What reading a recording gives, what the user may say of it beforehand, and its lines up to the damage."""

import gzip
import io
import math
import os
import zlib
from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple, TextIO
from urllib.parse import unquote

from energymeter.errors import SpecError
from energymeter.reading import Facts, Semantics

ARRIVAL = "(arrival)"
"""Stands for the title of the time where rows are stamped as they come."""
EXPANDED = "it is compressed far more than recordings are"
DECOMPRESSION = (EOFError, zlib.error, gzip.BadGzipFile)
"""What a damaged gzip file raises."""


_CHUNK_BYTES = 1 << 20
"""Decoded in one go; 8 KiB, as is usual, take twice as long."""


class RecordedSpans(NamedTuple):
    """What a log says of the spans of one name."""

    n: int
    """Calls in the run."""
    windows_s: tuple[tuple[float, float], ...]
    """Start and end of each, s from the start of the log; of many calls the first ones."""
    units: dict[str, tuple[float, ...]] = {}  # noqa: RUF012 - never written to
    """How many of each unit, such as images, each of these calls counted."""

    def counted(self, skip: int = 0) -> dict[str, float]:
        """How many of each unit they counted together, without the first ``skip`` calls."""
        return {unit: math.fsum(counts[skip:]) for unit, counts in self.units.items()}


class RunEnd(NamedTuple):
    """What a log says of the moment at which its run ended."""

    unix_s: float
    time_s: float
    """The same moment on the clock of the samples, s from the start of the log."""
    throttled: int | None = None
    """The bits of a Raspberry Pi's firmware; see `energymeter.meter.throttling`. None: it does not say."""


class Record(NamedTuple):
    """One channel of a recording: equally long columns of floats, SI units, NaN for "cannot tell"."""

    name: str
    facts: Facts
    columns: dict[str, "array[float]"]
    """``time_s`` from the start, some of ``watts volts amps``; in our own files also the running totals
    ``joules coulombs covered_s``; in others' the meter's own counters ``raw_joules raw_coulombs``."""
    epoch_s: float | None
    """Unix time of ``time_s`` 0, where the recording says."""
    header: dict[str, Any]
    damage: str = ""
    """What could not be read, if the file is not whole."""
    calibration: Any = None
    """As `energymeter.energy.correction.Applied` reads it, from our own logs; None: the data sheet."""
    start_s: float = 0.0
    """What the first row's own clock says, where it counts from a start."""
    read_as: str = ""
    """What was recognised: ``nvidia-smi CSV: timestamp [local], power.draw [W], 2 channels``."""
    window_s: tuple[float, float] | None = None
    """What the run measured, which began after the first sample and ended before the last."""
    notes: tuple[str, ...] = ()
    """What was left out, put in order or concluded, for the user to see."""
    spans: dict[str, RecordedSpans] = {}  # noqa: RUF012 - never written to
    """The spans of its run, by name, from our own logs."""
    period_s: float = 0.0
    """How often it was to be read, from our own logs; 0: unknown."""
    end: RunEnd | None = None
    """The end of its run, from our own logs."""


class Hints(NamedTuple):
    """What the user says of a foreign file: columns by title or number, units, and whose power it is."""

    time: str | None = None
    watts: str | None = None
    volts: str | None = None
    """Also a constant voltage, such as ``3.7V`` or ``3.7``."""
    amps: str | None = None
    unit: str | None = None
    """The unit of the power column; it overrides the unit in the title."""
    semantics: Semantics | None = None
    """``instant`` or ``mean``; ``None``: as the file says, else instants. Of a column of energy alone,
    ``mean`` says that each row holds its own, and ``instant`` that it counts up."""
    board: str | None = None
    """Checks that the power is plausible for it; else guessed from the file's name."""
    joules: str | None = None
    """A column of energy that counts up."""
    time_unit: str | None = None
    volts_unit: str | None = None
    amps_unit: str | None = None
    joules_unit: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    """The decimal mark, ``.`` or ``,``."""
    channel: str | None = None
    """The one that will be used, so that nothing need be asked of the others."""
    caller: str = "load"
    """Which command reads, so that an error names the remedy in its spelling."""

    @property
    def named(self) -> bool:
        """Whether a column of values was named."""
        return any((self.watts, self.amps, self.joules)) or bool(self.volts and constant_volts(self) is None)


def constant_volts(hints: Hints) -> float | None:
    """The voltage that was given in place of a column.

    >>> constant_volts(Hints(volts="3.7V")), constant_volts(Hints(volts="bus (V)"))
    (3.7, None)
    """
    text = (hints.volts or "").strip()
    try:
        volts = float(text.removesuffix("V").removesuffix("v"))
    except ValueError:
        return None
    return volts if 0 < volts < 1e6 else None


def options_in(path: str, hints: Hints) -> tuple[str, Hints]:
    """A path and the hints that follow it, as in ``log.csv?watts=P&unit=mW``, which every command takes.

    >>> options_in("log.csv?watts=P&unit=mW", Hints(unit="W"))[1].unit
    'mW'

    Raises:
        SpecError: there is no such hint.
    """
    name, mark, text = path.partition("?")
    if not mark or os.path.lexists(path):
        return path, hints
    given = {key: unquote(value) for key, _, value in (pair.partition("=") for pair in text.split("&"))}
    known = Hints._fields[:-1]
    wrong = next((key for key in given if key not in known), None)
    if wrong is not None:
        raise SpecError(f"{path} has no option {wrong!r}: give some of {', '.join(known)}")
    return name, Hints(**{**hints._asdict(), **given})


class Lines:
    """The lines that were written to their end, and why there are no more."""

    MOST = 1 << 20
    """Characters; a longer line is none of a log's, and may be a whole disk of zeros."""

    def __init__(self, file: TextIO, most: int | None = None) -> None:
        self._file: TextIO | _Chained = file
        self._text = file
        self._room = math.inf if most is None else most
        self.half = ""
        """What a killed writer left of its last line."""
        self.damage = ""

    def __iter__(self) -> Iterator[str]:
        try:
            while line := self._file.readline(self.MOST):
                self._room -= len(line)
                if len(line) == self.MOST or self._room < 0:
                    self.damage = "a row of it has no end" if self._room >= 0 else EXPANDED
                    return
                if not line.endswith(("\n", "\r")):
                    self.half, self.damage = line, "its last row is cut off"
                    return
                yield line
        except DECOMPRESSION as damage:
            self.damage = f"it cannot be decompressed to its end ({damage})"

    def blocks(self, size: int) -> Iterator[str]:
        """What `whole` gives, in pieces of many lines: about so many characters."""
        if self._room == math.inf and isinstance(self._text, io.TextIOWrapper):  # it is not compressed
            self._text._CHUNK_SIZE = _CHUNK_BYTES  # type: ignore[attr-defined]
        while self._room == math.inf and (text := self._text.read(size)):
            if not text.endswith(("\n", "\r")):
                text += self._text.readline(self.MOST)
            if not text.endswith(("\n", "\r")) or _has_long_line(text, self.MOST):
                self._file = _Chained(io.StringIO(text, newline=""), self._text)
                break
            yield text
        yield from gathered(self.whole(), size)

    def whole(self) -> Iterator[str]:
        """The lines of somebody else's file, whose last one need not have an end."""
        yield from self
        if self.half:
            half, self.half, self.damage = self.half, "", ""
            yield half


def gathered(lines: Iterator[str], size: int) -> Iterator[str]:
    """Lines in pieces of many: about so many characters."""
    kept: list[str] = []
    count = 0
    for line in lines:
        kept.append(line)
        count += len(line)
        if count >= size:
            yield "".join(kept)
            kept, count = [], 0
    if kept:
        yield "".join(kept)


class _Chained:
    """What was read of a file already, and the file."""

    def __init__(self, text: TextIO, file: TextIO) -> None:
        self._text, self._file = text, file

    def readline(self, most: int) -> str:
        """The next line, or so much of it."""
        return self._text.readline(most) or self._file.readline(most)


def _has_long_line(text: str, most: int) -> bool:
    """Whether a line may be longer than this."""
    half = most // 2
    return any(
        text.find("\n", start, start + half) < 0 and text.find("\r", start, start + half) < 0
        for start in range(0, len(text) - half, half)
    )
