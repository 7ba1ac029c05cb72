"""Reading recordings: our own logs, and those of others whose columns say what they are.

Pure standard library, so that the sampling process can replay a file (Parquet alone needs pyarrow).

=====================  ==============================================================================
what                   how it is known
=====================  ==============================================================================
our CSV, JSON lines    a first line of JSON (after ``#`` in a CSV) with ``"format": "energymeter log 1"``
our Parquet            the schema's ``energymeter`` entry; ``FILE.parquet.parts`` left by a killed run
EnergyRunner ``.bin``  byte 0xF1, float32 rate, float32 µJ per period (MLPerf Tiny, eembc/energyrunner)
PTDaemon ``spl.txt``   ``Time,…,Watts,…,Volts,…,Amps,…`` rows (MLPerf power, mlcommons/power-dev)
other CSV              column names with units, ``Power (mW)`` or ``current_A``, or the columns given
=====================  ==============================================================================

Each may be gzipped. A file that was cut off, or damaged on the way, is read up to its last good row.
"""

import codecs
import csv
import gzip
import importlib.util
import io
import itertools
import json
import math
import re
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any, NamedTuple, cast, get_args

from energymeter.boards import BOARDS, Board, find_board
from energymeter.errors import ExtraMissing, ImplausibleReading, LogError, NotMeasured
from energymeter.reading import Band, Facts, Place, Provenance, Semantics
from energymeter.recorder import COLUMNS, FORMAT, PARTS_SUFFIX
from energymeter.units import UNITS, number, scale

_UNIT = re.compile(r"^(?P<name>.*?)\s*(?:\((?P<in>[^()]+)\)|\[(?P<square>[^\[\]]+)\]|_(?P<tail>[A-Za-zµ]+))$")
_TIME = re.compile(r"(time|timestamp|date|datetime|elapsed|seconds|t)(?![a-z])", re.IGNORECASE)
_QUANTITIES = ("watts", "volts", "amps")
_NAN = float("nan")
_DECOMPRESSION = (EOFError, zlib.error, gzip.BadGzipFile)
_GZIP = b"\x1f\x8b"
_SNIFFED_BYTES = 256


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


def read(path: str, hints: Hints = Hints()) -> list[Record]:  # noqa: B008 - an immutable tuple
    """Every channel of a recording.

    Raises:
        LogError: the file is missing, foreign beyond recognition, or damaged before its first whole row.
        NotMeasured: it has a header and not one sample.
        SpecError: a hint names an unknown board or a unit of something else.
        ImplausibleReading: no such board draws this power; the unit is wrong.
        ExtraMissing: Parquet without pyarrow.
    """
    parts = Path(path + PARTS_SUFFIX)
    try:
        if path.endswith(".parquet") and (Path(path).exists() or parts.is_dir()):
            records = _read_parquet(path)
        else:
            with open(path, "rb") as file:
                records = _read_stream(path, file, hints)
    except OSError as refusal:
        raise LogError(f"{path} cannot be read: {refusal.strerror or refusal}.") from refusal
    if not any(record.columns["time_s"] for record in records):
        if records[0].damage:
            raise LogError(f"{path} holds no whole row: {records[0].damage}.")
        raise NotMeasured(f"{path} holds no samples: the sensor that wrote it never gave a reading.")
    return records


def typical_interval(times: "array[float]") -> float:
    """The median time between two rows, s; 1 for fewer than two."""
    steps = sorted(later - earlier for earlier, later in itertools.pairwise(times) if later > earlier)
    return steps[len(steps) // 2] if steps else 1.0


def _read_stream(path: str, file: io.BufferedReader, hints: Hints) -> list[Record]:
    """Any format but Parquet, read once from start to end: a pipe will do."""
    start = file.peek(_SNIFFED_BYTES)[:_SNIFFED_BYTES]
    if start.startswith(_GZIP):
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _read_stream(path, cast(io.BufferedReader, unpacked), hints)
        except _DECOMPRESSION as damage:
            raise LogError(f"{path} is damaged before its first row: {damage}.") from damage
    if start.startswith(b"\xf1"):
        return [_read_energyrunner(path, file)]
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError as refusal:
        raise LogError(f"{path} is no log: it is not text.") from refusal
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
    lines = _Lines(text)
    if start.startswith((b"# {", b"{")):
        header = _header(path, text.readline().removeprefix("# "))
        in_csv = start.startswith(b"#")
        return _read_own(
            path, header, csv.DictReader(lines, restval="") if in_csv else _json_rows(lines), lines
        )
    if start.startswith(b"Time,") and b",Watts," in start:
        return [_read_ptdaemon(path, lines)]
    return [_read_foreign(path, lines, hints)]


class _Lines:
    """The lines that were written to their end, and why there are no more."""

    def __init__(self, file: Iterable[str]) -> None:
        self._file = file
        self.half = ""
        """What a killed writer left of its last line."""
        self.damage = ""

    def __iter__(self) -> Iterator[str]:
        try:
            for line in self._file:
                if not line.endswith("\n"):
                    self.half, self.damage = line, "its last row is cut off"
                    return
                yield line
        except _DECOMPRESSION as damage:
            self.damage = f"it cannot be decompressed to its end ({damage})"


def _header(path: str, line: str) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise LogError(f"{path} is no log of this version of energymeter; its first line says otherwise.")
    return header


def _json_rows(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError("a row is no object")
        yield row


def _read_own(
    path: str, header: dict[str, Any], rows: Iterable[dict[str, Any]], lines: _Lines
) -> list[Record]:
    records = _empty_records(path, header)
    by_name = {record.name: record.columns for record in records}
    only = records[0].columns if len(records) == 1 else None
    damage = ""
    try:
        for row in rows:
            columns = only if only is not None else by_name[row["source"]]
            numbers = [_cell(row[column]) for column in COLUMNS]
            times = columns["time_s"]
            if None in row or not (numbers[0] > times[-1] if times else numbers[0] == numbers[0]):
                raise ValueError("it does not go forward in time")
            for column, value in zip(COLUMNS, numbers, strict=True):
                columns[column].append(value)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError, csv.Error) as unreadable:
        damage = f"its row {sum(len(r.columns['time_s']) for r in records) + 1} is damaged ({unreadable})"
    return [record._replace(damage=damage or lines.damage) for record in records]


def _cell(value: Any) -> float:
    """One number of our own files; NaN where it is empty.

    Raises:
        TypeError, ValueError: it is no number.
    """
    if value == "" or value is None:
        return _NAN
    converted = float(value)
    return converted if math.isfinite(converted) else _NAN


def _empty_records(path: str, header: dict[str, Any]) -> list[Record]:
    channels = header.get("channels")
    if not isinstance(channels, list) or not channels:
        raise LogError(f"{path} is no log of energymeter: its header names no channel.")
    try:
        return [
            Record(
                str(channel["name"]),
                _facts(channel, header.get("counted_sources")),
                {column: array("d") for column in COLUMNS},
                number(header.get("started")),
                header,
            )
            for channel in channels
        ]
    except (KeyError, TypeError, ValueError) as damage:
        raise LogError(f"{path} has a damaged header ({damage}); restore its first line.") from damage


def _facts(channel: dict[str, Any], counted_sources: int | None) -> Facts:
    """What the header says of a channel; one that stood beside the first sources does not count.

    Raises:
        KeyError, TypeError, ValueError: it makes no sense.
    """
    facts = Facts.from_json(channel["facts"])
    for said, known in ((facts.semantics, Semantics), (facts.provenance, Provenance), (facts.place, Place)):
        if said not in get_args(known):
            raise ValueError(f"{said!r} is none of {', '.join(get_args(known))}")
    bands = [figure for field in facts if isinstance(field, Band) for figure in field]
    plain = [field for field in facts[3:] if field is not None and not isinstance(field, Band)]
    if not all(isinstance(figure, int | float) for figure in bands + plain):
        raise TypeError("its accuracy is no number")
    beside = counted_sources is not None and channel["source"] >= counted_sources
    return facts._replace(counted=facts.counted and not beside)


def described(path: str, header: str) -> list[Record]:
    """The channels that a log's header names, without their samples.

    Raises:
        LogError: it is not the header of a log.
    """
    return _empty_records(path, _header(path, header))


def parquet_files(path: str) -> list[Path]:
    """The files of a Parquet log: itself, or the parts that a killed run left.

    Raises:
        ExtraMissing: there is no pyarrow to read them with.
        NotMeasured: the run left none.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise ExtraMissing("pyarrow", "parquet", "A Parquet log")
    files = [Path(path)] if Path(path).exists() else sorted(Path(path + PARTS_SUFFIX).glob("*.parquet"))
    if not files:
        raise NotMeasured(f"{path} lost its first minute before it was whole; nothing is left.")
    return files


def _read_parquet(path: str) -> list[Record]:
    files = parquet_files(path)
    import pyarrow
    import pyarrow.parquet as parquet

    records: list[Record] = []
    try:
        for file in files:
            source = parquet.ParquetFile(file)
            if not records:
                metadata = source.schema_arrow.metadata or {}
                records = described(path, metadata.get(b"energymeter", b"").decode())
            for group in range(source.num_row_groups):
                _append(records, source.read_row_group(group))
    except (OSError, ValueError, KeyError, pyarrow.ArrowException) as damage:
        if not any(record.columns["time_s"] for record in records):
            raise LogError(f"{path} is no whole Parquet file: {damage}") from damage
        return [record._replace(damage=f"a part of it is damaged ({damage})") for record in records]
    return records


def _append(records: Sequence[Record], rows: Any) -> None:
    """Add a row group; one at a time, a day's file need not be in memory twice."""
    for record in records:
        own = rows
        if "source" in rows.column_names:
            own = rows.filter(rows["source"].to_numpy() == record.name)
        for column in COLUMNS:
            record.columns[column].frombytes(memoryview(own[column].to_numpy()).cast("B"))


def _read_energyrunner(path: str, file: IO[bytes]) -> Record:
    raw = file.read()
    if len(raw) < 9:
        raise NotMeasured(f"{path} holds no samples.")
    (rate_hz,) = struct.unpack_from("<f", raw, 1)
    microjoules = array("f")
    microjoules.frombytes(raw[5 : 5 + (len(raw) - 5) // 4 * 4])
    if sys.byteorder == "big":
        microjoules.byteswap()
    if not 1e-3 < rate_hz < 1e7:
        raise LogError(f"{path} is no EnergyRunner trace: a rate of {rate_hz:g} Hz makes no sense.")
    watts = array("d", (energy * 1e-6 * rate_hz for energy in microjoules))
    times = array("d", ((i + 1) / rate_hz for i in range(len(watts))))
    return Record(Path(path).name, Facts(semantics="mean"), {"time_s": times, "watts": watts}, None, {})


def _read_ptdaemon(path: str, lines: _Lines) -> Record:
    """Rows of name,value pairs, one a second, each the mean of its second."""
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
        Path(path).name, Facts(semantics="mean", place="wall"), columns, first, {}, damage or lines.damage
    )


def _read_foreign(path: str, lines: _Lines, hints: Hints) -> Record:
    rows = _cells(lines)
    titles = [title.strip() for title in next(rows, [])]
    places = _places(path, titles, hints)
    columns = {column: array("d") for column in places}
    first: float | None = None
    epoch: float | None = None
    unread = ""
    for row in rows:
        try:
            at, is_date = _moment(row[places["time_s"][0]])
        except (IndexError, ValueError, OverflowError):
            unread = unread or ",".join(row)
            continue  # half a row at the end, a repeated header
        if first is None:
            first, epoch = at, at if is_date else None
        columns["time_s"].append((at - first) * (1.0 if is_date else places["time_s"][1]))
        for column, (place, factor) in places.items():
            if column != "time_s":
                value = number(row[place]) if place < len(row) else None
                columns[column].append(_NAN if value is None else value * factor)
    if unread and first is None:
        raise LogError(f"{path} has no row whose time can be read; its first is {unread[:80]!r}.")
    record = Record(Path(path).name, Facts(semantics=hints.semantics), columns, epoch, {}, lines.damage)
    board = find_board(hints.board) if hints.board else _board_in_name(path)
    if board is not None and "watts" in columns and columns["watts"]:
        _check_plausible(path, columns["watts"], board, places["watts"][1])
    return record


def _cells(lines: _Lines) -> Iterator[list[str]]:
    """The rows of somebody else's CSV, whose last line need not have an end."""
    whole = (line for line in itertools.chain(lines, _rest(lines)))
    rows = csv.reader(line for line in whole if line.strip() and not line.startswith("#"))
    try:
        yield from rows
    except csv.Error as damage:
        lines.damage = f"it is no CSV from row {rows.line_num} on ({damage})"


def _rest(lines: _Lines) -> Iterator[str]:
    if lines.half:
        lines.damage = ""
        yield lines.half


def _places(path: str, titles: list[str], hints: Hints) -> dict[str, tuple[int, float]]:
    """Column by column: where it stands and its factor to SI."""
    found: dict[str, tuple[int, float]] = {}
    for quantity, title in zip(("time_s", *_QUANTITIES), hints[:4], strict=True):
        if title is not None:
            if title not in titles:
                raise LogError(f"{path} has no column {title!r}; it has: {', '.join(titles)}.")
            kind = "seconds" if quantity == "time_s" else quantity
            found[quantity] = titles.index(title), _factor(kind, title, hints)
    for place, title in enumerate(titles):
        unit = _unit_of(title)
        matched = next((kind for kind, units in UNITS.items() if unit in units), None)
        if "time_s" not in found and _TIME.match(title) and matched in (None, "seconds"):
            found["time_s"] = place, _factor("seconds", title, hints)
        elif (
            matched in _QUANTITIES
            and matched not in found
            and not any(getattr(hints, q) for q in _QUANTITIES)
        ):
            found[matched] = place, _factor(matched, title, hints)
    if "time_s" not in found or len(found) == 1:
        raise LogError(
            f"{path} does not tell its time and power; name the columns, as in "
            f"?time=TIME&watts=POWER&unit=mW. It has: {', '.join(titles) or 'none'}."
        )
    return found


def _unit_of(title: str) -> str | None:
    match = _UNIT.match(title)
    unit = None if match is None else match["in"] or match["square"] or match["tail"]
    return None if unit is None else unit.strip().replace("µ", "u").replace("μ", "u")


def _factor(quantity: str, title: str, hints: Hints) -> float:
    """To SI, by the unit that was given or that the title names; a title without one is taken as SI.

    Raises:
        SpecError: the unit is one of something else.
    """
    if quantity == "watts" and hints.unit:
        return scale(quantity, hints.unit)
    unit = _unit_of(title)
    return scale(quantity, unit) if unit is not None and any(unit in u for u in UNITS.values()) else 1.0


def _moment(text: str) -> tuple[float, bool]:
    """A time in its own unit, and whether it was a date (then in Unix seconds)."""
    value = number(text)
    if value is not None:
        return value, False
    return datetime.fromisoformat(text.strip().replace("Z", "+00:00")).timestamp(), True


def _board_in_name(path: str) -> Board | None:
    """The board whose name stands in the file's name, the longest match first."""
    name = re.sub(r"[^a-z0-9]", "", Path(path).name.lower()).replace("raspberrypi", "pi").replace("rpi", "pi")
    names = [(re.sub(r"[^a-z0-9]", "", n), board) for board in BOARDS for n in (board.name, *board.aliases)]
    return next((board for alias, board in sorted(names, key=lambda n: -len(n[0])) if alias in name), None)


def _check_plausible(path: str, watts: "array[float]", board: Board, factor: float) -> None:
    known = [value for value in watts if value == value]
    low, high = board.watts_range
    mean = sum(known) / len(known) if known else 0.0
    if not known or low <= mean <= high:
        return
    better = [unit for unit, other in UNITS["watts"].items() if low <= mean / factor * other <= high]
    remedy = f"; its numbers look like {better[0]}: say unit={better[0]}" if better else ""
    raise ImplausibleReading(
        f"{path} would mean {mean:.3g} W, and a {board.title} draws {low:.2g} to {high:.3g} W{remedy}."
    )
