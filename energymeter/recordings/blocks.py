"""Logs of other tools that are no tables, read as tables: a block or a line of words becomes a row.

====================  =======================================================================================
log                   what a row is made of
====================  =======================================================================================
``tegrastats``        the stamp (JetPack 5 and later) and the present power of the rail of the whole board
``powermetrics``      a block's stamp and length, and the power of all processors, the mean of the block
``spl.txt``           the time, watts, volts and amps of PTDaemon (MLPerf power, mlcommons/power-dev)
``perf stat -I``      the time, and the joules of an event over the time since its last row, as a mean power
JSON lines            the values of one object, and of the objects in it as ``outer.inner``
line protocol         the fields, the tags that tell series apart, and the time (InfluxDB, Telegraf)
``key=value`` lines   the values, and the stamp that may stand before them
====================  =======================================================================================

What these lines hold is then found as in any table: by titles and units, and by asking.
"""

import csv
import io
import itertools
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from energymeter.errors import LogError
from energymeter.recordings.formats import battery_log_of
from energymeter.recordings.tegrastats import counted_rails, printed_rails
from energymeter.recordings.titles import DEVICES, device_key
from energymeter.text import printable

_STAMP = re.compile(r"\s*(\d\d)-(\d\d)-(\d{4}) (\d\d:\d\d:\d\d)\s")
_US_STAMP = re.compile(r"(\d\d)-(\d\d)-(\d{4}) (\d\d:\d\d:\d\d(?:\.\d+)?)$")
_BLOCK = re.compile(r"\*+ Sampled system activity \(([^)]*)\) \(([\d.]+)ms elapsed\)")
_PACKAGE = re.compile(
    r"(?:Combined Power \(CPU \+ GPU(?: \+ ANE)?\)|Intel energy model derived package power \([^)]*\)): "
    r"*([\d.]+) ?(m?W)"
)
_PERF = re.compile(
    r"\s*(\d+\.\d+)(?:\s*[,;]\s*|\s+)(<not counted>|<not supported>|\d+(?:[.,]\d+)?)(?:\s*[,;]\s*|\s+)"
    r"Joules(?:\s*[,;]\s*|\s+)power/energy-(\w+)/"
)
_SERIES = re.compile(
    r"(?P<name>(?:[^\s,\\]|\\.)+)(?P<tags>(?:,(?:[^\s,=\\]|\\.)+=(?:[^\s,=\\]|\\.)+)*) "
    r"(?P<fields>\S(?:.*\S)?) (?P<at>\d{9,19})\s*$"
)
_FIELD = re.compile(r'((?:[^\s,=\\]|\\.)+)=("(?:[^"\\]|\\.)*"|[^\s,="]+)(?:,|$)')
_TAG = re.compile(r"((?:[^\s,=\\]|\\.)+)=((?:[^\s,=\\]|\\.)+)(?:,|$)")
"""As in `_SERIES`: a sign of space, comma or quotation is part of a tag, escaped or not."""
_QUOTED = re.compile(r'"[^"]*"')
_KEY = re.compile(r"[A-Za-z_][^\s,;=\"]*$")
_BEFORE_KEYS = re.compile(
    r"\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?|\d+(?:\.\d+)?)\]?(?:[:\s].*)?$"
)
_FIRST_LINES = 50
_MOST_NESTED = 8
_MOST_ALIKE = 0.8
"""The share of the first lines that must be of one kind."""
_SLACK_S = 2.0
"""Stamps are whole seconds: where they differ by less from the sum of the lengths, nothing was left out."""


class Log(NamedTuple):
    """One kind of log, and how it becomes a table."""

    name: str
    recognised: Callable[[str], bool]
    rows: Callable[[str, Iterator[str]], Iterator[str]]


def tegrastats(path: str, lines: Iterator[str]) -> Iterator[str]:
    """The power of the whole board now, by line.

    Raises:
        LogError: no line has a stamp, or no rail is the whole board's.
    """
    yield "tegrastats time,power [W]\n"
    for line in lines:
        rails = printed_rails(line)
        if not rails:
            yield line
            continue
        stamp = _STAMP.match(line)
        if stamp is None:
            raise LogError(
                f"{path} is a log of tegrastats without times: JetPack 5 and later write them; "
                "record again with energymeter log tegrastats"
            )
        counted = counted_rails(rails)
        if len(counted) > 1:
            raise LogError(
                f"{path} is a log of tegrastats, and none of its rails is the whole board's: "
                f"{', '.join(rails)}; record again with energymeter log tegrastats, which knows your board"
            )
        month, day, year, clock = stamp.groups()
        yield f"{year}-{month}-{day} {clock},{rails[min(counted)]:.6g}\n"


def powermetrics(path: str, lines: Iterator[str]) -> Iterator[str]:
    """The mean power of all processors, W, by block."""
    yield "powermetrics time,package power [mW]\n"
    at: float | None = None
    for line in lines:
        if block := _BLOCK.match(line):
            seconds = float(block[2]) / 1000
            stamp = _epoch(block[1])
            if stamp is None:
                yield line
                continue
            if at is None:
                yield f"{stamp - seconds:.6f},\n"
            at = stamp if at is None or abs(stamp - at - seconds) > _SLACK_S else at + seconds
        elif at is not None and (power := _PACKAGE.match(line)):
            yield f"{at:.6f},{float(power[1]) * (1000 if power[2] == 'W' else 1):g}\n"


def ptdaemon(path: str, lines: Iterator[str]) -> Iterator[str]:
    """The figures of each row of ``name,value`` pairs, each the mean of its second."""
    yield "ptdaemon time,power [W],voltage [V],current [A]\n"
    for line in lines:
        cells = line.strip().split(",")
        pairs = dict(zip(cells[::2], cells[1::2], strict=False))
        stamp = _US_STAMP.match(pairs.get("Time", ""))
        values = [pairs.get(name, "") for name in ("Watts", "Volts", "Amps")]
        if stamp is None or not line.endswith(("\n", "\r")):  # it may be cut off
            yield _cells([line.strip()[:60], *values])  # it is counted as left out
            continue
        yield _cells([f"{stamp[3]}-{stamp[1]}-{stamp[2]} {stamp[4]}", *values])


def _epoch(text: str) -> float | None:
    try:
        return datetime.strptime(text, "%a %b %d %H:%M:%S %Y %z").timestamp()
    except ValueError:
        return None


def perf(path: str, lines: Iterator[str]) -> Iterator[str]:
    """The mean power of each event, W, over the time since its row before, which counts from 0."""
    yield "perf time [s],power [W],rail\n"
    before: dict[str, float] = {}
    for line in lines:
        found = _PERF.match(line)
        if found is None:
            continue  # another event, or a comment
        at, event = float(found[1]), found[3]
        joules = "" if found[2].startswith("<") else found[2].replace(",", ".")
        seconds = at - before.get(event, 0.0)
        watts = f"{float(joules) / seconds:.9g}" if joules and seconds > 0 else ""
        if event not in before:
            yield f"0,{watts},{event}\n"
        before[event] = at
        yield f"{found[1]},{watts},{event}\n"


def json_lines(path: str, lines: Iterator[str]) -> Iterator[str]:
    """The values of each object, under their keys in the first lines."""
    return _by_keys(lines, _object, lambda line: line.strip() in ("", "[", "]"))


def line_protocol(path: str, lines: Iterator[str]) -> Iterator[str]:
    """The fields of one measurement, with its tags.

    Raises:
        LogError: there are several measurements.
    """
    first = list(itertools.islice(lines, _FIRST_LINES))
    series = [found for line in first if (found := _SERIES.match(line))]
    name = series[0]["name"]
    tags = list(dict.fromkeys(tag for found in series for tag in _tags(found)))
    devices = [tag for tag in tags if device_key(tag) in DEVICES]
    fields = list(dict.fromkeys(field for found in series for field in _fields(found["fields"])))
    shown = [_plain(name) if field == "value" else field for field in fields]
    yield _cells(["timestamp", *shown, *devices, *(["channel"] if len(devices) < len(tags) else [])])
    for line in itertools.chain(first, lines):
        found = _SERIES.match(line)
        if found is None:
            if line.strip() and not line.startswith("#"):
                yield _cells([line.strip()])
            continue
        if found["name"] != name:
            both = f"{printable(_plain(name))} and {printable(_plain(found['name']))}"
            kept = shlex.quote(f"^{name}[, ]")
            raise LogError(
                f"{path} is line protocol of several measurements, {both}; keep one, as in "
                f"grep {kept} {shlex.quote(path)} > one.lp"
            )
        own, values = _tags(found), _fields(found["fields"])
        other = " ".join(f"{tag}={value}" for tag, value in own.items() if tag not in devices)
        row = [found["at"], *(values.get(field, "") for field in fields), *(own.get(d, "") for d in devices)]
        yield _cells([*row, other] if len(devices) < len(tags) else row)


def key_values(path: str, lines: Iterator[str]) -> Iterator[str]:
    """The values of each line, under the keys of the first lines."""
    return _by_keys(lines, _pairs, lambda line: not line.strip() or line.startswith("#"))


def _by_keys(
    lines: Iterator[str], parsed: Callable[[str], dict[str, str] | None], is_empty: Callable[[str], bool]
) -> Iterator[str]:
    """The values of each line that has some, under the keys of the first lines."""
    first = list(itertools.islice(lines, _FIRST_LINES))
    known = [row for line in first if (row := parsed(line)) is not None]
    titles = list(dict.fromkeys(key for row in known for key in row))
    yield _cells(titles)
    for line in itertools.chain(first, lines):
        row = parsed(line)
        if row is not None:
            yield _cells([row.get(title, "") for title in titles])
        elif not is_empty(line):
            yield _cells([line.strip()])  # it is counted as left out


def _cells(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([cell.replace("\n", " ") for cell in cells])
    return line.getvalue()


def _object(line: str) -> dict[str, str] | None:
    """The values of an object on one line, as they are written; ``None``: it is none."""
    text = line.strip().removeprefix("[").removesuffix(",").strip()
    if not text.startswith("{"):
        return None
    text = text if text.endswith("}") else text.removesuffix("]").strip()
    try:
        found = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    row: dict[str, str] = {}
    return row if isinstance(found, dict) and _flatten(found, "", row, 0) else None


def _flatten(found: Mapping[str, Any], above: str, row: dict[str, str], depth: int) -> bool:
    """Put the values of an object into a row; whether it is nested no deeper than logs are."""
    if depth > _MOST_NESTED:
        return False
    for key, value in found.items():
        if isinstance(value, dict):
            if not _flatten(value, f"{above}{key}.", row, depth + 1):
                return False
        elif not isinstance(value, list):
            row[above + key] = "" if value is None else str(value)
    return True


def _plain(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name)


def _tags(found: "re.Match[str]") -> dict[str, str]:
    return {_plain(key): _plain(value) for key, value in _TAG.findall(found["tags"][1:])}


def _fields(text: str) -> dict[str, str]:
    """The fields by name; an ``i`` behind a number only says that it is whole."""
    return {
        _plain(key): value.strip('"') if value.startswith('"') else re.sub(r"(?<=\d)[iu]$", "", value)
        for key, value in _FIELD.findall(text)
    }


def _pairs(line: str) -> dict[str, str] | None:
    """The values of a line of ``key=value``, and its stamp; ``None``: it is no such line."""
    if "=" not in line or line.startswith("#"):
        return None
    hidden = _QUOTED.sub(lambda quoted: quoted[0].replace("=", "\0"), line.strip())
    *parts, last = re.split(r"\s*=\s*", hidden)
    row: dict[str, str] = {}
    key = ""
    for part in parts:
        found = _KEY.search(part)
        if found is None or found[0] in row:
            return None
        before = part[: found.start()].strip()
        if key:
            row[key] = _value(before)
        elif before:
            stamp = _BEFORE_KEYS.match(before)
            if stamp is None:
                return None
            row["timestamp"] = stamp[1].replace(",", ".")
        key = found[0]
    row[key] = _value(last)
    return row if len(row) > 1 else None


def _value(text: str) -> str:
    return text.strip().rstrip(",;|").strip().strip('"').replace("\0", "=")


def _alike(is_one: Callable[[str], bool]) -> Callable[[str], bool]:
    """Whether most of the first lines are of a kind."""

    def recognised(text: str) -> bool:
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        return bool(lines) and sum(map(is_one, lines)) >= _MOST_ALIKE * len(lines)

    return recognised


def _is_json_row(line: str) -> bool:
    return line.strip() in ("[", "]") or bool(_object(line))


def _is_series(line: str) -> bool:
    found = _SERIES.match(line)
    return found is not None and bool(_fields(found["fields"]))


def _is_key_values(text: str) -> bool:
    return battery_log_of([text]) is None and _alike(lambda line: _pairs(line) is not None)(text)


LOGS: Sequence[Log] = (
    Log(
        "tegrastats log",
        lambda text: "RAM " in text and bool(printed_rails(text)) and ("EMC" in text or "GR3D" in text),
        tegrastats,
    ),
    Log("powermetrics text", lambda text: bool(_BLOCK.search(text)), powermetrics),
    Log("MLPerf power log", lambda text: bool(re.match(r"Time,[^,\n]*,Watts,", text)), ptdaemon),
    Log("perf stat", lambda text: any(map(_PERF.match, text.splitlines())), perf),
    Log("JSON lines", _alike(_is_json_row), json_lines),
    Log("line protocol", _alike(_is_series), line_protocol),
    Log("key=value lines", _is_key_values, key_values),
)


class LogTable(NamedTuple):
    """A log as a table."""

    name: str
    lines: Iterator[str]


def as_table(path: str, head: Sequence[str], rest: Iterator[str]) -> LogTable | None:
    """The table of what such a log says; ``None`` where it is none that is known."""
    first = "".join(head[:_FIRST_LINES])
    log = next((log for log in LOGS if log.recognised(first)), None)
    if log is None:
        return None

    def lines() -> Iterator[str]:
        yield from head
        yield from rest

    return LogTable(log.name, log.rows(path, lines()))
