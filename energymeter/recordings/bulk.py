"""Reads a block of rows as whole columns, where every row of it is plain; else the caller reads row by row.

Both ways give the same numbers, to the last bit. Needs pyarrow, whose CSV reader rejects a block that holds
anything else than equally wide rows of plain numbers; without it, all rows are read one by one.
"""

import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from energymeter.recordings.arrow import plain
from energymeter.recordings.cells import CODES, MOST_SI, Column
from energymeter.recordings.layout import Layout
from energymeter.recordings.times import Counts, Dates, Elapsed, clock_of, digits_of, of_day
from energymeter.units import UNITS, amount, find_unit

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

WORTH_AN_IMPORT = 1 << 21
"""Characters; importing pyarrow takes as long as reading so many row by row."""
_DELIMITERS = {",", ";", "\t", " "}
_MISSING = [
    word
    for plain in ("", "n/a", "na", "nan", "-", "--", "none", "null", "not supported", "unknown error")
    for each in (plain, plain.upper(), plain.title(), "NaN" if plain == "nan" else plain)
    for word in (each, f"[{each}]", f" {each}", f" [{each}]")
]
"""Cells that hold no value; others that hold none are found row by row."""
_MISSING_CELLS = frozenset(_MISSING)
_COMMENT = re.compile(r'^[\s"]*#', re.MULTILINE)
_LENGTHS = 8
"""A column of times is written in so many lengths at most."""
_EXACT = 2.0**53
_ROWS_A_KEY = 10


class Block(NamedTuple):
    """The rows of a block; every array has shape (n,)."""

    times: Floats
    """s"""
    values: list[Floats]
    """Each column of the layout, SI; NaN where there is none."""
    devices: list[tuple[tuple[str, ...], npt.NDArray[np.intp] | None]]
    """The devices in the order in which they appear, and their rows; ``None``: all."""


def is_possible(layout: Layout) -> bool:
    """Whether a table of this kind may be read by whole columns."""
    return (
        importlib.util.find_spec("pyarrow") is not None
        and layout.shape.delimiter in _DELIMITERS
        and bool(layout.time_places)
        and len(layout.devices) <= 1
        and isinstance(layout.time_column, Counts | Dates | Elapsed)
    )


def is_worth_it(text: str) -> bool:
    """Whether a block is long enough for the import that it would need."""
    return "pyarrow" in sys.modules or len(text) >= WORTH_AN_IMPORT


def is_balanced(text: str) -> bool:
    """Whether every quote in a text is closed on its own line."""
    if '"' not in text:
        return True
    signs = np.frombuffer(text.encode(), np.uint8)
    quotes = np.cumsum(signs == ord('"'), dtype=np.int64)
    ends = np.flatnonzero((signs == ord("\n")) | (signs == ord("\r")))
    return not np.any(quotes[ends] & 1) and not quotes[-1] & 1


def read_block(text: str, layout: Layout) -> Block | None:
    """The rows of a block; ``None`` where one of them is not plain.

    Args:
        text: whole lines, their quotes balanced.
        layout: of the table; its column of times goes on from the block before, and is left where it was
            if the block is not read.
    """
    if "#" in text and _COMMENT.search(text):
        return None
    if layout.shape.delimiter == " " and (re.search(r"[ \t]{2}|\t|^ | $", text, re.MULTILINE)):
        return None
    table = _parsed(text, layout)
    if table is None:
        return None
    values = [_values(table[column.place], column) for column in layout.columns]
    devices = _devices(table, layout)
    known = [each for each in values if each is not None]
    if devices is None or len(known) < len(values):
        return None
    times = _times(table, layout)  # last, because it moves the column of times on
    if times is None or not np.all(np.isfinite(times)):
        return None
    return Block(times, known, devices)


def rows_without_values(block: Block) -> npt.NDArray[np.intp]:
    """The rows in which no column has a value."""
    unknown = np.ones(len(block.times), bool)
    for values in block.values:
        unknown &= np.isnan(values)
    return np.flatnonzero(unknown)


# -- cells ---------------------------------------------------------------------------------------------


def _parsed(text: str, layout: Layout) -> dict[int, Any] | None:
    """The columns that are used, by place, as arrays of pyarrow."""
    import pyarrow as pa

    shape = layout.shape
    first = shape.cells(text[: text.find("\n") + 1 or None])
    in_cells = [c.place for c in layout.columns if c.place < len(first) and amount(first[c.place]) is not None
                and _suffix(first[c.place])]  # fmt: skip
    kinds: dict[int, Any] = {column.place: pa.float64() for column in layout.columns}
    kinds.update(dict.fromkeys(in_cells, pa.string()))
    for place in layout.devices:
        kinds[place] = pa.dictionary(pa.int32(), pa.string())
    for place in layout.time_places:
        kinds[place] = pa.string()
    if len(kinds) < len(layout.columns) + len(layout.devices) + len(layout.time_places):
        return None  # one column is used twice
    if not isinstance(layout.time_column, Counts):
        return _read(text, layout, kinds)
    (place,) = layout.time_places
    whole = place < len(first) and first[place].isdigit()
    for kind in (pa.int64(), pa.float64()) if whole else (pa.float64(),):
        table = _read(text, layout, {**kinds, place: kind})
        if table is not None:
            return table
    return None


def _read(text: str, layout: Layout, kinds: dict[int, Any]) -> dict[int, Any] | None:
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    data = text.encode() if text.endswith(("\n", "\r")) else text.encode() + b"\n"
    try:
        table = pa_csv.read_csv(
            pa.py_buffer(data),
            read_options=pa_csv.ReadOptions(autogenerate_column_names=True, block_size=len(data) + 1),
            parse_options=pa_csv.ParseOptions(delimiter=layout.shape.delimiter),
            convert_options=pa_csv.ConvertOptions(
                include_columns=[f"f{place}" for place in kinds],
                column_types={f"f{place}": kind for place, kind in kinds.items()},
                null_values=_MISSING,
                decimal_point=layout.shape.decimal,
            ),
        )
    except (pa.ArrowException, KeyError):
        return None
    if not table.num_rows:
        return None
    return {place: _whole(table.column(f"f{place}")) for place in kinds}


def _whole(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _suffix(cell: str) -> str:
    """What stands behind the number in a cell."""
    number = re.match(r"[-+]?[\d.,]+(?:[eE][-+]?\d+)?", cell)
    return "" if number is None else cell[number.end() :]


def _values(cells: Any, column: Column) -> Floats | None:
    """SI numbers as `cells.cell_value` gives them."""
    import pyarrow as pa
    import pyarrow.compute

    factor = column.factor
    if cells.type == pa.string():
        suffix = _suffix(cells[0].as_py().strip())
        known = find_unit(suffix)
        bare = _without(cells, suffix) if known is not None and known[0] == column.quantity else None
        if known is None or bare is None:
            return None
        factor = UNITS[known[0]][known[1]]
        try:
            cells = pa.compute.cast(bare, pa.float64())
        except pa.ArrowException:
            return None
    if factor is None:
        return None
    numbers = plain(cells)
    with np.errstate(all="ignore"):
        beyond = np.flatnonzero(np.abs(numbers) > column.highest)
        if len(beyond):
            numbers = numbers.copy()
            numbers[beyond[np.isin(numbers[beyond], list(CODES))]] = np.nan
        values = numbers * factor
        return np.where(np.abs(values) < MOST_SI, values, np.nan)


def _without(cells: Any, suffix: str) -> Any:
    """Cells without what stands at the end of each, null where they hold no value; ``None``: they differ."""
    import pyarrow as pa

    _, offsets, data = cells.buffers()
    bounds = np.frombuffer(offsets, np.int32, len(cells) + 1, 4 * cells.offset)
    signs = np.frombuffer(data, np.uint8)
    ends = bounds[1:]
    ended = np.diff(bounds) > len(suffix.encode())
    for back, sign in enumerate(reversed(suffix.encode()), 1):
        ended &= signs[np.maximum(ends - back, 0)] == sign
    if any(cells[int(row)].as_py() not in _MISSING_CELLS for row in np.flatnonzero(~ended)):
        return None
    kept = np.ones(len(signs), bool)
    for back in range(1, len(suffix.encode()) + 1):
        kept[ends[ended] - back] = False
    begins = bounds[:-1][ended]
    kept[begins[signs[begins] == ord(" ")]] = False
    before = np.concatenate([[0], np.cumsum(kept, dtype=np.int32)]).astype(np.int32)
    valid = None if ended.all() else pa.py_buffer(np.packbits(ended, bitorder="little").tobytes())
    return pa.StringArray.from_buffers(
        len(cells), pa.py_buffer(before[bounds].tobytes()), pa.py_buffer(signs[kept].tobytes()), valid
    )


def _devices(
    table: dict[int, Any], layout: Layout
) -> list[tuple[tuple[str, ...], npt.NDArray[np.intp] | None]] | None:
    if not layout.devices:
        return [((), None)]
    column = table[layout.devices[0]]
    names = [name.strip() for name in column.dictionary.to_pylist()]
    if column.null_count or any('"' in name for name in names) or len(set(names)) < len(names):
        return None
    numbers = plain(column.indices, np.int32)
    if len(names) == 1:
        return [((names[0],), None)]
    return [((name,), np.flatnonzero(numbers == place)) for place, name in enumerate(names)]


# -- times ---------------------------------------------------------------------------------------------


def _times(table: dict[int, Any], layout: Layout) -> Floats | None:
    cells = [table[place] for place in layout.time_places]
    if any(each.null_count for each in cells):
        return None
    if isinstance(layout.time_column, Counts):
        return _counts(cells[0], layout.time_column)
    written = _written(cells)
    return None if written is None else _clocks(written, layout)


def _counts(cells: Any, column: Counts) -> Floats | None:
    import pyarrow as pa

    if cells.type == pa.int64():
        counted = plain(cells, np.int64)
        origin = column.begin(int(counted[0]))
        if origin and counted.min() < 0:
            return None
        since = counted - origin
        return None if np.abs(since).max() >= _EXACT else since.astype(np.float64) * column.factor
    numbers = plain(cells)
    with np.errstate(all="ignore"):
        if not np.all(np.abs(numbers) < _EXACT):
            return None
    return np.asarray((numbers - column.begin(int(numbers[0]))) * column.factor)


class _Written(NamedTuple):
    """Cells of times as the bytes they are written in; a date in another column is a number for each."""

    groups: list[tuple[npt.NDArray[np.intp] | None, Bytes]]
    """The rows of equally long cells, ``None`` for all, and their bytes, shape (n, length)."""
    dates: tuple[npt.NDArray[np.int32], list[str]] | None
    rows: int


def _written(cells: Sequence[Any]) -> _Written | None:
    import pyarrow.compute as compute

    dates = None
    if len(cells) == 2:
        coded = compute.dictionary_encode(cells[0])
        dates = plain(coded.indices, np.int32), coded.dictionary.to_pylist()
    clock = cells[-1]
    if clock[0].as_py() != clock[0].as_py().strip():
        clock = compute.utf8_trim_whitespace(clock)
    _, offsets, data = clock.buffers()
    bounds = np.frombuffer(offsets, np.int32, len(clock) + 1, 4 * clock.offset)
    signs = np.frombuffer(data, np.uint8)
    lengths = np.diff(bounds)
    if lengths[0] and np.all(lengths == lengths[0]):
        length = int(lengths[0])
        return _Written([(None, signs[bounds[0] : bounds[-1]].reshape(-1, length))], dates, len(clock))
    different = np.unique(lengths)
    if len(different) > _LENGTHS or not different[0]:
        return None
    groups: list[tuple[npt.NDArray[np.intp] | None, Bytes]] = []
    for length in different:
        rows = np.flatnonzero(lengths == length)
        groups.append((rows, signs[bounds[rows][:, np.newaxis] + np.arange(length)]))
    return _Written(groups, dates, len(clock))


def _clocks(written: _Written, layout: Layout) -> Floats | None:
    """Seconds of dates and times: within the hour by their digits, and of the hour by one row of it."""
    column = layout.time_column
    elapsed, apart = isinstance(column, Elapsed), written.dates is not None
    whole = np.empty(written.rows, np.int64)
    rest = np.empty(written.rows)
    hours: list[tuple[npt.NDArray[np.intp], str]] = []
    """The rows of each hour, and the first one's cell."""
    for rows, signs in written.groups:
        spans = digits_of(_text(signs[0]), column, date_apart=apart)
        if spans is None:
            return None
        numbers = [_digits(signs, spans[part]) for part in ("m", "s", "f")]
        minutes, seconds, fraction = numbers
        if minutes is None or seconds is None or fraction is None or minutes.max() > 59 or seconds.max() > 60:
            return None
        at = np.arange(written.rows) if rows is None else rows
        fraction = fraction / 10 ** (spans["f"][1] - spans["f"][0])
        # the same sums in the same order as in `times`
        whole[at] = minutes * 60 if elapsed else minutes * 60 + seconds
        rest[at] = seconds + fraction if elapsed else fraction
        others = np.ones(signs.shape[1], bool)
        for part in ("m", "s", "f"):
            others[slice(*spans[part])] = False
        changed = _changes(signs[:, others], None if written.dates is None else written.dates[0][at])
        if len(changed) > 100 + len(signs) / _ROWS_A_KEY:
            return None
        for begin, end in zip(changed, [*changed[1:], len(signs)], strict=True):
            cell = _text(signs[begin])
            if digits_of(cell, column, date_apart=apart) != spans:
                return None
            hours.append((at[begin:end], cell))
    return _with_hours(whole, rest, sorted(hours, key=lambda hour: int(hour[0][0])), written, layout)


def _with_hours(
    whole: npt.NDArray[np.int64],
    rest: Floats,
    hours: Sequence[tuple[npt.NDArray[np.intp], str]],
    written: _Written,
    layout: Layout,
) -> Floats | None:
    column = layout.time_column
    if isinstance(column, Dates) and any(column.is_repeated(cell) for _, cell in _dated(hours, written)):
        return None  # in an hour that comes twice, one row follows from the other
    begins = np.zeros(len(whole))
    row = [""] * (max(layout.time_places) + 1)
    for rows, cell in hours:
        if isinstance(column, Elapsed):
            whole[rows] += int(column.of(cell) // 3600) * 3600
            continue
        row[layout.time_places[-1]] = cell
        if written.dates is not None:
            row[layout.time_places[0]] = written.dates[1][written.dates[0][rows[0]]]
            within = of_day(cell)
        else:
            clock = clock_of(cell)
            within = None if clock is None else clock.seconds
        try:
            at = layout.time(row)
        except (ValueError, OverflowError):
            return None
        if within is None:
            return None
        whole[rows] += int(within // 3600) * 3600
        begins[rows] = round(at - within)
    times = begins + (whole + rest)
    return column.unwrapped(times) if isinstance(column, Elapsed) else times


def _dated(
    hours: Sequence[tuple[npt.NDArray[np.intp], str]], written: _Written
) -> Iterator[tuple[npt.NDArray[np.intp], str]]:
    """The hours with their dates, where these stand in another column."""
    for rows, cell in hours:
        date = "" if written.dates is None else f"{written.dates[1][written.dates[0][rows[0]]]} "
        yield rows, date + cell


def _text(signs: Bytes) -> str:
    return bytes(signs).decode("utf-8", "replace")


def _digits(signs: Bytes, span: tuple[int, int]) -> npt.NDArray[np.int64] | None:
    """The whole number in these columns of bytes; ``None`` where one of them is no digit."""
    number = np.zeros(len(signs), np.int64)
    for place in range(*span):
        digit = signs[:, place] - ord("0")  # what is below wraps around
        if digit.max() > 9:
            return None
        number = number * 10 + digit
    return number


def _changes(signs: Bytes, numbers: npt.NDArray[np.int32] | None) -> list[int]:
    """The rows that differ from the one before, and the first."""
    padded = np.zeros((len(signs), -(-signs.shape[1] // 8) * 8), np.uint8)
    padded[:, : signs.shape[1]] = signs
    words = padded.view(np.uint64)
    changed = np.zeros(len(signs), bool)
    changed[0] = True
    for word in range(words.shape[1]):
        changed[1:] |= words[1:, word] != words[:-1, word]
    if numbers is not None:
        changed[1:] |= numbers[1:] != numbers[:-1]
    return [int(place) for place in np.flatnonzero(changed)]
