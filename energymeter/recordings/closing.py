"""The closing record of our logs: the measured window, its spans, and the checksum of all before it."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from energymeter.recordings.header import COLUMNS
from energymeter.recordings.record import RecordedSpans, RunEnd
from energymeter.units import number_in

if TYPE_CHECKING:
    import hashlib

CLOSED = '{"closed": '
"""How a closing record begins; in a CSV it stands behind ``# ``."""
MOST_SPANS = 1000
"""Calls in one record, of all names together. Of more, the first calls of each name are kept."""
SPANS_BYTES = 1 << 15
"""Their JSON takes less: a closing record is a row like any other, and no row is longer than 64 KiB."""
_MOST_NAMES = 100
_MOST_CHARACTERS = 100
_NAMES_BYTES = SPANS_BYTES // 4
_MOST_SECONDS = 1e12
_MOST_CALLS = 1e15
_MOST_UNITS = 20


def window_of(closed: Any) -> tuple[float, float] | None:
    """The window in a closing record.

    Raises:
        KeyError, TypeError, ValueError: it makes no sense.
    """
    window = closed["window_s"]
    if window is None:
        return None
    start, end = (number_in(edge, -_MOST_SECONDS, _MOST_SECONDS, "the window") for edge in window)
    if not start <= end:
        raise ValueError("the window ends before it begins")
    return start, end


def ended_spans(
    edges_ns: Mapping[str, Sequence[int]],
    start_ns: int,
    counts: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
) -> dict[str, RecordedSpans]:
    """The spans of a run that ended, as many as a log may keep.

    Args:
        edges_ns: start, end, start, end, … of each name.
        start_ns: second 0 of the log.
        counts: by name and unit, how many each of these spans counted, in the same order.
    """
    counts = counts or {}
    return {
        name: RecordedSpans(
            len(edges) // 2,
            tuple(_windows(edges[: 2 * MOST_SPANS], start_ns)),
            {
                unit: _padded(each, min(len(edges) // 2, MOST_SPANS))
                for unit, each in counts.get(name, {}).items()
                if _is_name(unit)
            },
        )
        for name, edges in [*edges_ns.items()]  # another thread may begin a name meanwhile
        if len(edges) > 1
    }


def _padded(counts: Sequence[float], calls: int) -> tuple[float, ...]:
    """So many; a call that ended after they were collected counted nothing."""
    return (*counts[:calls], *[0.0] * (calls - len(counts)))


def _windows(edges_ns: Sequence[int], start_ns: int) -> list[tuple[float, float]]:
    seconds = [(edge - start_ns) / 1e9 for edge in edges_ns]
    return list(zip(seconds[::2], seconds[1::2], strict=False))


def spans_to_json(spans: Mapping[str, RecordedSpans]) -> dict[str, Any] | None:
    """What a closing record says of spans, in less than `SPANS_BYTES`; ``None``: there are none."""
    room = _NAMES_BYTES
    names: list[str] = []
    for name in spans:
        room -= len(json.dumps(name)) if _is_name(name) else 0
        if _is_name(name) and room >= 0 and len(names) < _MOST_NAMES:
            names.append(name)
    most = MOST_SPANS
    while spans:
        kept, left = {}, most
        for place, name in enumerate(sorted(names, key=lambda name: len(spans[name].windows_s))):
            kept[name] = spans[name].windows_s[
                : left // (len(names) - place)
            ]  # rare names keep all they have
            left -= len(kept[name])
        named = {name: _to_json(spans[name], kept[name]) for name in names}
        said = {"named": named, "left_out": len(spans) - len(names)}
        if len(json.dumps(said)) < SPANS_BYTES:
            return said
        most = most * 3 // 4
    return None


def _to_json(spans: RecordedSpans, windows_s: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """The windows that are kept, and their units: one number where all calls counted as many."""
    said: dict[str, Any] = {"n": spans.n, "windows_s": windows_s}
    units = {unit: counts[: len(windows_s)] for unit, counts in [*spans.units.items()][:_MOST_UNITS]}
    if units and windows_s:
        said["units"] = {unit: counts[0] if len({*counts}) == 1 else counts for unit, counts in units.items()}
    return said


def _is_name(text: Any) -> bool:
    return isinstance(text, str) and text.isprintable() and len(text) <= _MOST_CHARACTERS


def spans_of(closed: Any) -> tuple[dict[str, RecordedSpans], tuple[str, ...]]:
    """The spans in a closing record, and a note where names are missing.

    Raises:
        KeyError, TypeError, ValueError: they make no sense.
    """
    if "spans" not in closed:
        return {}, ()
    named, left_out = closed["spans"]["named"], _count(closed["spans"]["left_out"])
    if not isinstance(named, dict) or len(named) > _MOST_NAMES or not all(map(_is_name, named)):
        raise ValueError("the names of the spans are not what is written")
    spans = {name: _spans(said) for name, said in named.items()}
    if sum(len(one.windows_s) for one in spans.values()) > MOST_SPANS:
        raise ValueError(f"there are more than {MOST_SPANS} spans")
    return spans, (f"spans of {left_out} more names are not in the log",) if left_out else ()


def _spans(said: Any) -> RecordedSpans:
    windows = tuple(window_of({"window_s": window}) for window in said["windows_s"][: MOST_SPANS + 1])
    known = tuple(window for window in windows if window is not None)
    n = _count(said["n"])
    if len(known) < len(windows) or n < len(known):
        raise ValueError("a span has no window")
    return RecordedSpans(n, known, _units(said.get("units", {}), len(known)))


def _units(said: Any, calls: int) -> dict[str, tuple[float, ...]]:
    if not isinstance(said, dict) or len(said) > _MOST_UNITS or not all(map(_is_name, said)):
        raise ValueError("the units of a span are not what is written")
    units = {}
    for unit, counts in said.items():
        each = counts if isinstance(counts, list) else [counts] * calls
        if len(each) != calls:
            raise ValueError("a span has units of other calls")
        units[unit] = tuple(number_in(count, 0, _MOST_CALLS, unit) for count in each)
    return units


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_CALLS:
        raise ValueError("a number of spans is no count")
    return value


def run_end_of(closed: Any) -> RunEnd | None:
    """What a closing record says of the moment at which it was written.

    Raises:
        KeyError, TypeError, ValueError: it makes no sense.
    """
    if "end" not in closed:
        return None
    unix_s, time_s = (
        number_in(closed["end"][name], -_MOST_SECONDS, _MOST_SECONDS, name) for name in ("unix_s", "time_s")
    )
    throttled = closed["end"].get("throttled")
    return RunEnd(unix_s, time_s, None if throttled is None else _count(throttled))


def closing_checksum(before: "hashlib._Hash", window_s: Any, spans: Any = None, end: Any = None) -> str:
    """The checksum of a closing record: of all bytes before it, and of its window, spans and end."""
    seal = before.copy()
    seal.update(json.dumps(window_s).encode())
    for known in (spans, end):
        if known is not None:
            seal.update(json.dumps(known).encode())
    return seal.hexdigest()


def sealed(header: str, closed: str) -> dict[str, str]:
    """The metadata of a Parquet log's schema: its header, its closing record, and their checksum."""
    import hashlib

    seal = hashlib.sha256(f"{header}\n{closed}".encode()).hexdigest()
    return {"energymeter": header, "energymeter_closed": closed, "energymeter_sha256": seal}


def checksums(table: Any, sums: dict[str, dict[str, int]]) -> None:
    """Continue the CRC-32 of each channel's columns with the rows of a table; "" is an only channel."""
    from zlib import crc32

    from energymeter.recordings.arrow import are, plain

    several = "source" in table.schema.names
    for rows in table.to_batches():
        for name in rows["source"].dictionary.to_pylist() if several else [""]:
            own = are(rows["source"], name) if several else slice(None)
            column_sums = sums.setdefault(name, dict.fromkeys(COLUMNS, 0))
            for column in COLUMNS:
                column_sums[column] = crc32(plain(rows[column])[own].tobytes(), column_sums[column])
