"""The head of our own logs: what is known of each channel that follows, as JSON, and the titles of a CSV."""

import json
from array import array
from typing import Any

from energymeter.errors import LogError
from energymeter.reading import PLACES, PROVENANCES, SEMANTICS, Band, Facts
from energymeter.recordings.record import Record
from energymeter.text import printable
from energymeter.units import number_in

COLUMNS = ("time_s", "volts", "amps", "watts", "joules", "coulombs", "covered_s")
"""SI units; ``time_s`` from the start of the run. A file of several channels has ``source`` as its last."""
FORMAT = "energymeter log 1"


def csv_head(header: dict[str, Any], channels: int) -> str:
    """The first two lines of a CSV: the header as a comment, and the titles of the columns."""
    columns = (*COLUMNS, "source") if channels > 1 else COLUMNS
    return f"# {json.dumps(header)}\n{','.join(columns)}\n"


def jsonl_head(header: dict[str, Any]) -> str:
    """The first line of a log in JSON lines."""
    return json.dumps(header) + "\n"


def parse_header(path: str, line: str) -> dict[str, Any]:
    """Raises `LogError` where it is none of this version's."""
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise LogError(
            f"{path} is no log of this version of energymeter, by its first line; read it with the version "
            "that wrote it"
        )
    return header


def empty_records(path: str, header: dict[str, Any]) -> list[Record]:
    """A record for each channel, its columns still empty.

    Raises:
        LogError: the header is damaged.
    """
    channels = header.get("channels")
    if not isinstance(channels, list) or not channels:
        raise LogError(f"{path} is no log of energymeter: its header names no channel; give another file")
    try:
        if len(channels) > _MOST_CHANNELS:
            raise ValueError(f"it has more than {_MOST_CHANNELS} channels")
        records = [
            Record(
                _name(channel["name"]),
                _facts(channel, header.get("counted_sources")),
                {column: array("d") for column in COLUMNS},
                _started(header.get("started")),
                header,
                calibration=channel.get("calibration"),
                period_s=_period_s(channel.get("rate_hz")),
                notes=_notes(header.get("notes", [])),
                read_as=f"{FORMAT}: {_counted(len(channels))}",
            )
            for channel in channels
        ]
        if len({record.name for record in records}) < len(records):
            raise ValueError("two channels have one name")
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as damage:
        raise LogError(f"{path} has a damaged header ({damage}); restore its first line") from damage
    return records


def _counted(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"


def _period_s(rate_hz: Any) -> float:
    return 0.0 if rate_hz is None else 1 / number_in(rate_hz, 1e-9, 1e9, "rate_hz")


def _notes(said: Any) -> tuple[str, ...]:
    """What the reader of the file that was saved was to know; see `Trace.save`."""
    if not isinstance(said, list) or len(said) > _MOST_NOTES:
        raise ValueError(f"its notes are no list of at most {_MOST_NOTES}")
    for note in said:
        if not isinstance(note, str) or len(note) > _MOST_CHARACTERS:
            raise ValueError("a note is not a short text")
    return tuple(map(printable, said))


def _name(said: Any) -> str:
    if not isinstance(said, str) or not 0 < len(said) <= _MOST_CHARACTERS:
        raise ValueError("a channel's name is not a short text")
    if not said.isprintable():  # ours are: see `energymeter.text`
        raise ValueError("a channel's name has control characters")
    return said


def _facts(channel: dict[str, Any], counted_sources: Any) -> Facts:
    """What the header says of a channel; one that was excluded from the total does not count.

    Raises:
        KeyError, TypeError, ValueError: it makes no sense.
    """
    fields = channel["facts"]
    if not isinstance(fields, dict):
        raise TypeError("the facts of a channel are no object")
    fields = {_NAMES_OF_0_1_0.get(name, name): value for name, value in fields.items()}
    unknown = set(fields) - set(Facts._fields)
    if unknown:
        raise ValueError(f"{printable(str(sorted(unknown)[0]))!r} is not known of a channel")
    facts = Facts(**{name: _field(name, value) for name, value in fields.items()})
    if counted_sources is not None:
        number = channel["source"]
        for what in (counted_sources, number):
            if not isinstance(what, int) or isinstance(what, bool) or not 0 <= what <= _MOST_CHANNELS:
                raise TypeError("the number of a source is no count")
        facts = facts._replace(counted=facts.counted and number < counted_sources)
    return facts


def _field(name: str, value: Any) -> Any:
    """One of the facts, by its type and range.

    Raises:
        TypeError, ValueError: it cannot be.
    """
    words = {"semantics": SEMANTICS, "provenance": PROVENANCES, "place": PLACES}.get(name)
    if words is not None:
        if value not in words:
            raise ValueError(f"{printable(str(value)[:40])!r} is none of {', '.join(words)}")
        return value
    if name in ("counted", "replayed"):
        if not isinstance(value, bool):
            raise TypeError(f"{name} is neither true nor false")
        return value
    if name in _BANDS:
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != len(Band._fields):
            raise TypeError(f"the accuracy of {name} is not three numbers")
        return Band(*(number_in(figure, 0.0, _MOST, f"the accuracy of {name}") for figure in value))
    if value is None and name in _OPTIONAL:
        return None
    low, high = _RANGES[name]
    return number_in(value, low, high, name)


_NAMES_OF_0_1_0 = {"own_time": "replayed", "seen": "duty", "lag": "latency"}
"""Names in logs of version 0.1.0, and what these facts are called now."""
_MOST = 1e12
_MOST_CHARACTERS = 1000
_MOST_CHANNELS = 1024
_MOST_NOTES = 100
_BANDS = ("volts", "amps", "watts", "joules", "coulombs")
_RANGES = {
    "default_hz": (1e-9, 1e9),
    "max_hz": (1e-9, 1e9),
    "joules_wrap": (1e-9, 1e18),
    "coulombs_wrap": (1e-9, 1e18),
    "max_watts": (0.0, _MOST),
    "clock": (0.0, 1.0),
    "duty": (0.0, 1.0),
    "latency": (0.0, 1e3),
    "renewal_seconds": (0.0, 1e6),
    "smoothing_seconds": (0.0, 1e6),
    "still_seconds": (0.0, 1e6),
}
_OPTIONAL = ("joules_wrap", "coulombs_wrap", "max_watts", "still_seconds")


def _started(value: Any) -> float | None:
    """Unix time, or none."""
    return None if value is None else number_in(value, -_MOST, _MOST, "the start")
