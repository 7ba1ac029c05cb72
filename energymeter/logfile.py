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
"""

import csv
import itertools
import json
import re
import struct
from array import array
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from energymeter.boards import BOARDS, Board, find_board
from energymeter.errors import ExtraMissing, ImplausibleReading, LogError, NotMeasured
from energymeter.reading import Facts, Semantics
from energymeter.recorder import COLUMNS, FORMAT, PARTS_SUFFIX
from energymeter.units import UNITS, number, scale

_UNIT = re.compile(r"^(?P<name>.*?)\s*(?:\((?P<in>[^()]+)\)|\[(?P<square>[^\[\]]+)\]|_(?P<tail>[A-Za-zµ]+))$")
_TIME = re.compile(r"time|timestamp|date|seconds|t", re.IGNORECASE)
_QUANTITIES = ("watts", "volts", "amps")
_NAN = float("nan")


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
        LogError: the file is missing, foreign beyond recognition, or damaged before its first row.
        NotMeasured: it has a header and not one sample.
        ImplausibleReading: no such board draws this power; the unit is wrong.
        ExtraMissing: Parquet without pyarrow.
    """
    parts = Path(path + PARTS_SUFFIX)
    try:
        if path.endswith(".parquet") and (Path(path).exists() or parts.is_dir()):
            records = _read_parquet(path, parts)
        else:
            with open(path, "rb") as file:
                start = file.read(256)
            records = _read_text(path, start, hints) if start[:1] != b"\xf1" else [_read_energyrunner(path)]
    except OSError as refusal:
        raise LogError(f"{path} cannot be read: {refusal.strerror}.") from refusal
    except UnicodeDecodeError as refusal:
        raise LogError(f"{path} is no log: it is not text.") from refusal
    if not any(record.columns["time_s"] for record in records):
        raise NotMeasured(f"{path} holds no samples: the sensor that wrote it never gave a reading.")
    return records


def typical_interval(times: "array[float]") -> float:
    """The median time between two rows, s; 1 for fewer than two."""
    steps = sorted(later - earlier for earlier, later in itertools.pairwise(times) if later > earlier)
    return steps[len(steps) // 2] if steps else 1.0


def _read_text(path: str, start: bytes, hints: Hints) -> list[Record]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        if start.startswith(b"# {"):
            return _read_own(path, _header(path, file.readline()[2:]), csv.DictReader(_whole(file)))
        if start.startswith(b"{"):
            return _read_own(path, _header(path, file.readline()), _json_rows(_whole(file)))
        if start.startswith(b"Time,") and b",Watts," in start:
            return [_read_ptdaemon(path, file)]
        return [_read_foreign(path, file, hints)]


def _whole(lines: Iterable[str]) -> Iterator[str]:
    """The lines that were written to their end; a killed writer may leave half of the last."""
    return (line for line in lines if line.endswith("\n"))


def _header(path: str, line: str) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except ValueError:
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


def _read_own(path: str, header: dict[str, Any], rows: Iterable[dict[str, Any]]) -> list[Record]:
    records = _empty_records(path, header)
    only = records[0]
    by_name = {record.name: record for record in records}
    try:
        for row in rows:
            columns = by_name.get(row.get("source", only.name), only).columns
            for column in COLUMNS:
                value = row[column]
                columns[column].append(_NAN if value in ("", None) else float(value))
    except (KeyError, TypeError, ValueError) as damage:
        at = len(only.columns["time_s"])
        raise LogError(
            f"{path} is damaged after sample {at}: {damage!r}; delete the lines from there."
        ) from damage
    return records


def _empty_records(path: str, header: dict[str, Any]) -> list[Record]:
    channels = header.get("channels")
    if not isinstance(channels, list) or not channels:
        raise LogError(f"{path} is no log of energymeter: its header names no channel.")
    try:
        return [
            Record(
                str(channel["name"]),
                Facts.from_json(channel["facts"]),
                {column: array("d") for column in COLUMNS},
                header.get("started"),
                header,
            )
            for channel in channels
        ]
    except (KeyError, TypeError) as damage:
        raise LogError(f"{path} is no log of energymeter: its header lacks {damage}.") from damage


def _read_parquet(path: str, parts: Path) -> list[Record]:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise ExtraMissing("pyarrow", "parquet", "A Parquet log") from None
    files = [Path(path)] if Path(path).exists() else sorted(parts.glob("*.parquet"))
    if not files:
        raise NotMeasured(f"{path} lost its first minute before it was whole; nothing is left.")
    try:
        table = parquet.read_table(files)
    except (ValueError, OSError) as damage:
        raise LogError(f"{path} is no whole Parquet file: {damage}") from damage
    header = _header(path, (table.schema.metadata or {}).get(b"energymeter", b"").decode())
    records = _empty_records(path, header)
    for record in records:
        own = table
        if "source" in table.column_names:
            own = table.filter(table["source"].to_numpy() == record.name)
        for column in COLUMNS:
            record.columns[column].frombytes(own[column].to_numpy().tobytes())
    return records


def _read_energyrunner(path: str) -> Record:
    raw = Path(path).read_bytes()
    if len(raw) < 5:
        raise NotMeasured(f"{path} holds no samples.")
    (rate_hz,) = struct.unpack_from("<f", raw, 1)
    microjoules = array("f")
    microjoules.frombytes(raw[5 : 5 + (len(raw) - 5) // 4 * 4])
    if not 0 < rate_hz < 1e7:
        raise LogError(f"{path} is no EnergyRunner trace: a rate of {rate_hz:g} Hz makes no sense.")
    watts = array("d", (energy * 1e-6 * rate_hz for energy in microjoules))
    times = array("d", ((i + 1) / rate_hz for i in range(len(watts))))
    return Record(Path(path).name, Facts(semantics="mean"), {"time_s": times, "watts": watts}, None, {})


def _read_ptdaemon(path: str, lines: Iterable[str]) -> Record:
    """Rows of name,value pairs, one a second, each the mean of its second."""
    columns = {column: array("d") for column in ("time_s", *_QUANTITIES)}
    first: float | None = None
    for line in _whole(lines):
        cells = line.rstrip("\r\n").split(",")
        pairs = dict(zip(cells[::2], cells[1::2], strict=False))
        try:
            at = datetime.strptime(pairs["Time"], "%m-%d-%Y %H:%M:%S.%f").timestamp()
            values = [float(pairs[name]) for name in ("Watts", "Volts", "Amps")]
        except (KeyError, ValueError) as damage:
            raise LogError(f"{path} is no power log of PTDaemon: {damage}.") from damage
        first = at if first is None else first
        for column, value in zip(columns.values(), (at - first, *values), strict=True):
            column.append(value)
    return Record(Path(path).name, Facts(semantics="mean", place="wall"), columns, first, {})


def _read_foreign(path: str, lines: Iterable[str], hints: Hints) -> Record:
    rows = csv.reader(line for line in lines if line.strip() and not line.startswith("#"))
    titles = [title.strip() for title in next(rows, [])]
    places = _places(path, titles, hints)
    columns = {column: array("d") for column in places}
    first: float | None = None
    epoch: float | None = None
    for row in rows:
        try:
            at, is_date = _moment(row[places["time_s"][0]])
        except (IndexError, ValueError):
            continue  # half a row at the end, a repeated header
        if first is None:
            first, epoch = at, at if is_date else None
        columns["time_s"].append((at - first) * (1.0 if is_date else places["time_s"][1]))
        for column, (place, factor) in places.items():
            if column != "time_s":
                value = number(row[place]) if place < len(row) else None
                columns[column].append(_NAN if value is None else value * factor)
    record = Record(Path(path).name, Facts(semantics=hints.semantics), columns, epoch, {})
    board = find_board(hints.board) if hints.board else _board_in_name(path)
    if board is not None and "watts" in columns and columns["watts"]:
        _check_plausible(path, columns["watts"], board, places["watts"][1])
    return record


def _places(path: str, titles: list[str], hints: Hints) -> dict[str, tuple[int, float]]:
    """Column by column: where it stands and its factor to SI."""
    found: dict[str, tuple[int, float]] = {}
    for quantity, title in zip(("time_s", *_QUANTITIES), hints[:4], strict=True):
        if title is not None:
            if title not in titles:
                raise LogError(f"{path} has no column {title!r}; it has: {', '.join(titles)}.")
            unit = hints.unit if quantity == "watts" and hints.unit else _unit_of(title)
            kind = "seconds" if quantity == "time_s" else quantity
            found[quantity] = titles.index(title), _factor(kind, unit)
    for place, title in enumerate(titles):
        unit = _unit_of(title)
        matched = next((kind for kind, units in UNITS.items() if unit in units), None)
        if "time_s" not in found and _TIME.match(title) and matched in (None, "seconds"):
            found["time_s"] = place, _factor("seconds", unit)
        elif (
            matched in _QUANTITIES
            and matched not in found
            and not any(getattr(hints, q) for q in _QUANTITIES)
        ):
            named = hints.unit if matched == "watts" and hints.unit else unit
            found[matched] = place, _factor(matched, named)
    if "time_s" not in found or len(found) == 1:
        raise LogError(
            f"{path} does not tell its time and power; name the columns, as in "
            f"?time=TIME&watts=POWER&unit=mW. It has: {', '.join(titles) or 'none'}."
        )
    return found


def _unit_of(title: str) -> str | None:
    match = _UNIT.match(title)
    return None if match is None else match["in"] or match["square"] or match["tail"]


def _factor(quantity: str, unit: str | None) -> float:
    return scale(quantity, unit) if unit in UNITS[quantity] else 1.0


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
