"""Reading recordings: our own logs, and those of others whose columns say what they are.

Pure standard library, so that the sampling process can replay a file (Parquet alone needs pyarrow).

=====================  ==============================================================================
what                   how it is known
=====================  ==============================================================================
our CSV, JSON lines    a first line of JSON (after ``#`` in a CSV) with ``"format": "energymeter log 1"``
our Parquet            the schema's ``energymeter`` entry; ``FILE.parquet.parts`` left by a killed run
Joulescope ``.jls``    ``jlsfmt``; needs pyjls
EnergyRunner ``.bin``  byte 0xF1, float32 rate, float32 µJ per period (MLPerf Tiny, eembc/energyrunner)
tegrastats, JSON lines  and others: their lines and blocks become the rows of a table, see `blocks`
other CSV              column names with units, ``Power (mW)`` or ``current_A``, or the columns given
=====================  ==============================================================================

Each may be gzipped. A file that was cut off, or damaged on the way, is read up to its last good row.
"""

import gzip
import io
import itertools
import os
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from energymeter.errors import LogError, NotMeasured
from energymeter.recordings.blocks import as_table
from energymeter.recordings.foreign import read_energyrunner
from energymeter.recordings.formats import battery_log_of
from energymeter.recordings.jls import JLS, read_jls
from energymeter.recordings.own import is_own, read_own
from energymeter.recordings.parquet import read_parquet
from energymeter.recordings.record import DECOMPRESSION, Hints, Lines, Record, gathered, options_in
from energymeter.recordings.table import BLOCK_CHARACTERS, head_of, plan, read_table
from energymeter.recordings.textfile import (
    BUFFER_BYTES,
    GZIP,
    most_expanded,
    open_lines,
    starts_with,
    text_of,
)
from energymeter.recordings.writer import PARTS_SUFFIX

__all__ = ["Hints", "Record", "explained", "read", "typical_interval"]

_SNIFFED_BYTES = 256


def read(path: str, hints: Hints = Hints()) -> list[Record]:  # noqa: B008 - an immutable tuple
    """Every channel of a recording.

    Raises:
        LogError: the file is missing, foreign beyond recognition, or damaged before its first whole row.
        NotMeasured: it has a header and not one sample.
        SpecError: a hint names an unknown board or a unit of something else.
        ImplausibleReading: no such board draws this power; the unit is wrong.
        ExtraMissing: Parquet without pyarrow.
    """
    path, hints = options_in(path, hints)
    parts = Path(path + PARTS_SUFFIX)
    try:
        if path.lower().endswith(".parquet") and (Path(path).exists() or parts.is_dir()):
            records = read_parquet(path)
        else:
            with open(path, "rb", buffering=BUFFER_BYTES) as file:
                records = _read_stream(path, cast(io.BufferedReader, file), hints)
    except OSError as error:
        raise LogError(f"{path} cannot be read: {error.strerror or error}; correct the path") from error
    if not any(record.columns["time_s"] for record in records):
        if records[0].damage:
            raise LogError(f"{path} holds no whole row: {records[0].damage}; restore it")
        raise NotMeasured(
            f"{path} holds no samples: the sensor that wrote it never gave a reading; check it, then record "
            "again"
        )
    return records


def explained(path: str, hints: Hints = Hints()) -> list[str]:  # noqa: B008 - an immutable tuple
    """What each column of a table of others is read as, line by line, by its first rows alone.

    Raises:
        LogError, NotMeasured, SpecError: see `read`.
    """
    path, hints = options_in(path, hints)
    if os.path.isfile(path) and starts_with(path, JLS):
        return [f"{path} is a Joulescope JLS file: each device is a channel, and its signals are known"]
    with open_lines(path) as lines:
        rest = lines.whole()
        head = head_of(rest)
        _check_start(path, head, lines)
        if head and is_own(head[0].encode()):
            return [f"{path} is a log of energymeter: its columns are known"]
        log = as_table(path, head, rest)
        layout, _ = (
            plan(path, head, hints) if log is None else plan(path, head_of(log.lines), hints, log.name)
        )
    return [f"{path} is read as {layout.said()}", *layout.explained()]


def battery_log(path: str) -> str | None:
    """The name of the log of a battery's gauge that a file is; ``None``: it is none that is known.

    Raises:
        LogError: it cannot be read, or is no text.
    """
    with open_lines(path) as lines:
        return battery_log_of(head_of(lines.whole()))


def _check_start(path: str, head: Sequence[str], lines: Lines) -> None:
    """Refuse what ends before its first line does: a line of it may be a whole disk of zeros."""
    if lines.damage and not any(line.strip() for line in head):
        raise LogError(f"{path} holds no whole row: {lines.damage}; restore it")


def typical_interval(times: "array[float]") -> float:
    """The median time between two rows, s; 1 for fewer than two."""
    steps = sorted(later - earlier for earlier, later in itertools.pairwise(times) if later > earlier)
    return steps[len(steps) // 2] if steps else 1.0


def _read_stream(path: str, file: io.BufferedReader, hints: Hints, most: int | None = None) -> list[Record]:
    """Any format but Parquet, read once from start to end: a pipe will do."""
    start = file.peek(_SNIFFED_BYTES)[:_SNIFFED_BYTES]
    if start.startswith(GZIP):
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _read_stream(path, cast(io.BufferedReader, unpacked), hints, most_expanded(file))
        except DECOMPRESSION as damage:
            raise LogError(f"{path} is damaged before its first row: {damage}; restore it") from damage
    if start.startswith(JLS):
        return read_jls(path)
    if start.startswith(b"\xf1"):
        return [read_energyrunner(path, file)]
    if is_own(start):
        return read_own(path, file, most)
    with text_of(path, file) as text:
        lines = Lines(text, most)
        head = head_of(rest := lines.whole())
        _check_start(path, head, lines)
        log = as_table(path, head, rest)
        if log is None:
            return read_table(path, head, lines.blocks(BLOCK_CHARACTERS), lines, hints)
        head = head_of(log.lines)
        return read_table(path, head, gathered(log.lines, BLOCK_CHARACTERS), lines, hints, log.name)
