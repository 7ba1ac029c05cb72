"""Writes every sample to a file while the run goes on: CSV, JSON lines or Parquet.

All three hold the same columns. ``joules``, ``coulombs`` and ``covered_s`` are running totals, so a
gap stays a gap and the energy between any two rows is a difference. A file that loses its writer is
valid up to its last whole row (Parquet: up to its last row group, of a second at first and a minute later).

The last line of a text log is its closing record: the window that was measured, how many rows there are, and
the SHA-256 of all bytes before it. In Parquet the same stands in the schema's metadata, with a CRC-32 of each
channel's columns, and each page has a checksum of its own.
"""

import contextlib
import errno
import json
import os
import re
import stat
import time
from array import array
from collections.abc import Sequence
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, Protocol

from energymeter.energy.integrate import Sample
from energymeter.errors import ExtraMissing, LogError
from energymeter.recordings.closing import CLOSED, checksums, closing_checksum, sealed
from energymeter.recordings.header import COLUMNS, FORMAT, csv_head, jsonl_head

if TYPE_CHECKING:
    from pathlib import Path

PARTS_SUFFIX = ".parts"
PARQUET_OPTIONS: dict[str, Any] = {
    "compression": "zstd",
    "use_byte_stream_split": list(COLUMNS),
    "use_dictionary": ["source"],  # no two totals are alike: a dictionary of them costs time and room
    "write_page_checksum": True,
}
_LONGEST_ROW_BYTES = 65_536
_HASH_BYTES = 1 << 20
_OWN_PART = re.compile(r"\d{6}\.(?:parquet|unfinished)|whole\.unfinished")
_NAN = float("nan")
_HEADER_SECONDS = 1.0
"""How long the reader of a pipe has to make room for the header."""
_LOOK_SECONDS = 0.1


class Recorder(Protocol):
    """Takes samples and brings them to disk; every method may raise OSError."""

    rows: int
    """On disk."""
    waits: bool
    """It is a pipe, and its reader makes no room."""
    newest_ns: Sequence[float]
    """When the last row of each channel was taken in a resumed file; infinite where nobody can tell."""

    def row(self, channel: int, sample: Sample) -> None:
        """Keep one sample."""

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""

    def abandon(self) -> None:
        """Wait no longer for a pipe that nobody reads; the thread that writes to it gets an OSError."""

    def end_early(self) -> None:
        """Close what is there of the file after an error, without the record that says it is whole."""

    def close(
        self,
        window_ns: tuple[int, int] | None = None,
        spans: dict[str, Any] | None = None,
        end: dict[str, Any] | None = None,
    ) -> None:
        """Flush and finish the file.

        Args:
            window_ns: the monotonic times between which the run was measured, if they are known.
            spans: what the closing record says of spans, see `energymeter.recordings.closing`.
            end: ``unix_s`` and ``monotonic_ns`` of the end of the run, and ``throttled`` where it is known.
        """


def open_recorder(
    path: str, header: dict[str, Any], names: Sequence[str], start_ns: int, *, force: bool, resume: bool
) -> Recorder:
    """Create the log file that ``path``'s ending asks for.

    Args:
        path: ends in ``.csv``, ``.jsonl`` or ``.parquet``.
        header: what the file says of its origin; must be JSON.
        names: the channels' names.
        start_ns: the monotonic time that is ``time_s`` 0.
        force: replace a file that exists.
        resume: continue a file whose writer was killed.

    Raises:
        LogError: unknown ending, the file exists, or it cannot be written.
        ExtraMissing: Parquet without pyarrow.
    """
    suffix = os.path.splitext(path)[1].lower()
    kinds: dict[str, type[_Text | _Parquet]] = {".csv": _Csv, ".jsonl": _JsonLines, ".parquet": _Parquet}
    if suffix not in kinds:
        raise LogError(f"{path}: a log ends in .csv, .jsonl or .parquet, not {suffix or 'nothing'}")
    in_the_way = next((p for p in (path, path + PARTS_SUFFIX) if os.path.lexists(p)), None)
    if in_the_way is not None and not resume and not force:
        raise LogError(f"{in_the_way} exists and is not overwritten; give --force, or another name")
    link = next((p for p in (path, path + PARTS_SUFFIX) if os.path.islink(p)), None)
    if link is not None and (force or resume):
        raise LogError(f"{link} is a link, and no log is written through one; give another name")
    try:
        return kinds[suffix](path, {"format": FORMAT, **header}, names, start_ns, force=force, resume=resume)
    except OSError as error:
        raise LogError(
            f"{path} cannot be written ({reason(error)}); give a place with room that is yours"
        ) from error


def reason(failure: OSError) -> str:
    """What went wrong, for people; pyarrow's errors carry it in their text alone."""
    return failure.strerror or str(failure)


class _Text:
    """Rows of text, buffered for a second, appended whole."""

    def __init__(
        self,
        path: str,
        header: dict[str, Any],
        names: Sequence[str],
        start_ns: int,
        *,
        force: bool,
        resume: bool,
    ) -> None:
        self.rows = 0
        self._names = names
        self._start_ns = start_ns
        self._buffer: list[str] = []
        self._whole_bytes = 0
        self.newest_ns: Sequence[float] = [-inf] * len(names)
        import hashlib  # a program that writes no log does without it

        self._sha256 = hashlib.sha256()
        # O_EXCL: what somebody put there since it was looked for, a link included, is not written to
        new = 0 if resume else os.O_TRUNC if force else os.O_EXCL
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags | new, 0o644)
        opened = os.fstat(self._fd)
        self._identity = opened.st_dev, opened.st_ino
        self._is_file = stat.S_ISREG(opened.st_mode)
        self.waits = self._abandoned = False
        if not self._is_file:  # a pipe: who reads it may stop, and no write must hold us up for that
            os.set_blocking(self._fd, False)
        try:
            if resume:
                self._drop_half_row()
                self._hash_what_is_there()
            if not os.fstat(self._fd).st_size:
                self._write(self._head(header).encode(), _HEADER_SECONDS)
        except OSError:
            os.close(self._fd)
            raise

    def _head(self, header: dict[str, Any]) -> str:
        raise NotImplementedError

    def _line(self, channel: int, sample: Sample) -> str:
        raise NotImplementedError

    def _last_line(self, closing: str) -> str:
        raise NotImplementedError

    def _drop_half_row(self) -> None:
        """The writer that was killed may have been in the middle of one."""
        size = os.fstat(self._fd).st_size
        tail_at = max(0, size - _LONGEST_ROW_BYTES)
        tail = os.pread(self._fd, size - tail_at, tail_at)
        whole = tail.rfind(b"\n") + 1
        last = tail.rfind(b"\n", 0, max(whole - 1, 0)) + 1
        if tail[last:whole].startswith(self._last_line(CLOSED).rstrip().encode()):
            whole = last
        os.ftruncate(self._fd, tail_at + whole)
        self.newest_ns = self._newest_in(tail[:whole].decode("utf-8", "replace"), begins=not tail_at)

    def _newest_in(self, tail: str, *, begins: bool) -> list[float]:
        """When the last row of each channel was taken, by the end of the file, or all where it ``begins``."""
        newest: dict[str, float] = {}
        for line in tail.splitlines()[0 if begins else 1 :]:
            with contextlib.suppress(ValueError, LookupError, TypeError):  # the head of the file
                name, time_s = self._time_in(line)
                newest[name] = self._start_ns + round(time_s * 1e9)
        return [newest.get(name, -inf if begins else inf) for name in self._names]

    def _time_in(self, line: str) -> tuple[str, float]:
        """The channel and the time of a row."""
        raise NotImplementedError

    def _hash_what_is_there(self) -> None:
        at, size = 0, os.fstat(self._fd).st_size
        while at < size and (piece := os.pread(self._fd, _HASH_BYTES, at)):
            self._sha256.update(piece)
            at += len(piece)

    def row(self, channel: int, sample: Sample) -> None:
        self._buffer.append(self._line(channel, sample))

    def flush(self) -> None:
        lines, self._buffer = self._buffer, []
        self._check_file()
        self._write("".join(lines).encode())
        self.rows += len(lines)

    def _check_file(self) -> None:
        """Rows that go into a file without a name are lost, and so are those somebody cut off.

        A program that samples in a thread and closes every number it finds may have its own file there.
        """
        file = os.fstat(self._fd)
        if (file.st_dev, file.st_ino) != self._identity:
            raise OSError(errno.EBADF, "the program closed its file")
        if file.st_nlink == 0:
            raise OSError(errno.ENOENT, "its file was removed")
        if file.st_size < self._whole_bytes:
            raise OSError(errno.EIO, "another program cut its file short")

    def abandon(self) -> None:
        self._abandoned = True

    def _write(self, data: bytes, seconds: float = inf) -> None:
        written = 0
        give_up = time.monotonic() + seconds
        try:
            while written < len(data):
                try:
                    written += os.write(self._fd, data[written:])
                except BlockingIOError:
                    if self._abandoned or time.monotonic() > give_up:
                        raise OSError(errno.EAGAIN, "nobody reads it") from None
                    self._wait_for_room()
        except OSError:
            if not self._is_file:
                raise
            # a full disk may have taken half a row: the file shall end with a whole one
            whole = data.rfind(b"\n", 0, written) + 1
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - (written - whole))
            self.rows += data.count(b"\n", 0, whole)
            self._sha256.update(data[:whole])
            raise
        self._sha256.update(data)
        self._whole_bytes = os.fstat(self._fd).st_size

    def _wait_for_room(self) -> None:
        import select  # for a pipe only

        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        self.waits = not poll.poll(_LOOK_SECONDS * 1000)

    def close(
        self,
        window_ns: tuple[int, int] | None = None,
        spans: dict[str, Any] | None = None,
        end: dict[str, Any] | None = None,
    ) -> None:
        try:
            self.flush()
            closed = _closed(window_ns, self._start_ns, spans, end)
            sha256 = closing_checksum(self._sha256, closed["window_s"], spans, closed.get("end"))
            closed["sha256"] = sha256
            self._write(self._last_line(json.dumps({"closed": closed})).encode())
        finally:
            self.end_early()

    def end_early(self) -> None:
        if self._is_ours():
            os.close(self._fd)

    def _is_ours(self) -> bool:
        try:
            file = os.fstat(self._fd)
        except OSError:
            return False
        return (file.st_dev, file.st_ino) == self._identity


class _Csv(_Text):
    def _head(self, header: dict[str, Any]) -> str:
        return csv_head(header, len(self._names))

    def _line(self, channel: int, sample: Sample) -> str:
        source = f",{_quoted(self._names[channel])}" if len(self._names) > 1 else ""
        return ",".join(_text(number) for number in _numbers(sample, self._start_ns)) + source + "\n"

    def _time_in(self, line: str) -> tuple[str, float]:
        import csv

        (cells,) = csv.reader([line])
        return cells[-1] if len(self._names) > 1 else self._names[0], float(cells[0])

    def _last_line(self, closing: str) -> str:
        return f"# {closing}\n"


class _JsonLines(_Text):
    def _head(self, header: dict[str, Any]) -> str:
        return jsonl_head(header)

    def _line(self, channel: int, sample: Sample) -> str:
        row: dict[str, object] = dict(zip(COLUMNS, _numbers(sample, self._start_ns), strict=True))
        if len(self._names) > 1:
            row["source"] = self._names[channel]
        return json.dumps(row) + "\n"

    def _time_in(self, line: str) -> tuple[str, float]:
        row = json.loads(line)
        return row["source"] if len(self._names) > 1 else self._names[0], float(row["time_s"])

    def _last_line(self, closing: str) -> str:
        return f"{closing}\n"


class _Parquet:
    """Row groups, each a file of its own until the run ends: a writer that is killed loses no more than the
    last one, although a Parquet file is unreadable until its footer is written.

    The first one holds a second, each further one twice as much, up to a minute: what is lost is never more
    than what is kept, but for the first second or two.
    """

    GROUP_ROWS = 65_536
    GROUP_SECONDS = 60

    def __init__(
        self,
        path: str,
        header: dict[str, Any],
        names: Sequence[str],
        start_ns: int,
        *,
        force: bool,
        resume: bool,
    ) -> None:
        from pathlib import Path  # slow to import: the sampler does without it

        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise ExtraMissing("pyarrow", "parquet", "a Parquet log") from None
        self.rows = 0
        self.waits = False
        self._arrow = pyarrow
        self._path = path
        self._names = names
        self._start_ns = start_ns
        fields = [pyarrow.field(column, pyarrow.float64()) for column in COLUMNS]
        if len(names) > 1:
            fields.append(pyarrow.field("source", pyarrow.dictionary(pyarrow.int32(), pyarrow.string())))
        self._schema = pyarrow.schema(fields, metadata=sealed(json.dumps(header), ""))
        self._parts = Path(path + PARTS_SUFFIX)
        if force or resume:
            own = _own_parts(self._parts)
            if force and not resume:
                Path(path).unlink(missing_ok=True)
                for part in own:
                    part.unlink()
        self._parts.mkdir(exist_ok=force or resume)
        self._part = len(own_parts(path))
        self.newest_ns: Sequence[float] = [-inf] * len(names)
        if resume:
            self.newest_ns = self._newest_in(own_parts(path))
        self._clear()

    def _newest_in(self, parts: "list[Path]") -> list[float]:
        """When the last row of each channel was taken that the parts hold."""
        newest: dict[str, float] = {}
        for part in parts:
            table = _table(part)
            several = len(self._names) > 1
            sources = table["source"].to_pylist() if several else [self._names[0]] * table.num_rows
            newest.update(zip(sources, table["time_s"].to_pylist(), strict=True))
        return [
            self._start_ns + round(newest[name] * 1e9) if name in newest else -inf for name in self._names
        ]

    def _clear(self) -> None:
        self._columns = [array("d") for _ in COLUMNS]
        self._channels = array("i")

    def row(self, channel: int, sample: Sample) -> None:
        for column, number in zip(self._columns, _numbers(sample, self._start_ns), strict=True):
            column.append(_NAN if number is None else number)
        self._channels.append(channel)

    def flush(self) -> None:
        times = self._columns[0]
        seconds = min(self.GROUP_SECONDS, 1 << min(self._part, 16))
        if len(times) >= self.GROUP_ROWS or (times and times[-1] - times[0] >= seconds):
            self._write_group()

    def _write_group(self) -> None:
        from energymeter.recordings.arrow import texts

        arrow = self._arrow
        rows = len(self._channels)
        arrays = [
            arrow.Array.from_buffers(arrow.float64(), rows, [None, arrow.py_buffer(column)])
            for column in self._columns
        ]
        if len(self._names) > 1:
            indices = arrow.Array.from_buffers(arrow.int32(), rows, [None, arrow.py_buffer(self._channels)])
            arrays.append(arrow.DictionaryArray.from_arrays(indices, texts(self._names)))
        part = self._parts / f"{self._part:06d}.parquet"
        unfinished = part.with_suffix(".unfinished")
        table = arrow.Table.from_arrays(arrays, schema=self._schema)
        arrow.parquet.write_table(table, unfinished, **PARQUET_OPTIONS)
        unfinished.rename(part)
        self._part += 1
        self.rows += rows
        self._clear()

    def abandon(self) -> None:
        """It is no pipe."""

    def close(
        self,
        window_ns: tuple[int, int] | None = None,
        spans: dict[str, Any] | None = None,
        end: dict[str, Any] | None = None,
    ) -> None:
        if self._channels or not self._part:
            self._write_group()
        join_parts(self._path, _closed(window_ns, self._start_ns, spans, end))

    def end_early(self) -> None:
        """The parts stay, and are read as those of a run that was killed."""
        if self._channels:
            self._write_group()


def join_parts(path: str, closed: dict[str, Any]) -> None:
    """Make one Parquet file of the parts a run left, a row group at a time; the parts go last.

    Args:
        path: of the log.
        closed: the closing record, without its checksums.

    Raises:
        LogError: there are no parts.
    """
    import pyarrow.parquet as parquet

    parts = own_parts(path)
    if not parts:
        raise LogError(f"{path}{PARTS_SUFFIX} holds no whole part of a log; record again")
    unfinished = parts[0].parent / "whole.unfinished"  # in a folder of ours: next to it could be a link
    try:
        schema = parquet.read_schema(parts[0])
        header = (schema.metadata or {}).get(b"energymeter", b"").decode()
        sums: dict[str, dict[str, int]] = {}
        for part in parts:
            checksums(_table(part), sums)
        schema = schema.with_metadata(sealed(header, json.dumps({**closed, "crc32": sums})))
        with parquet.ParquetWriter(unfinished, schema, **PARQUET_OPTIONS) as writer:
            for part in parts:
                writer.write_table(_table(part).replace_schema_metadata(schema.metadata))
    except OSError:  # no room for both: the parts stay, and can be read
        unfinished.unlink(missing_ok=True)
        raise
    os.replace(unfinished, path)
    remove_parts(path)


def _table(part: "Path") -> Any:
    """All of a part; ``read_table`` would import pandas, which takes seconds on a busy or small machine."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(part, page_checksum_verification=True) as file:
        return file.read()


def own_parts(path: str) -> "list[Path]":
    """The whole parts that a run left of a Parquet log, in order; they are only read."""
    from pathlib import Path

    found = sorted(Path(path + PARTS_SUFFIX).glob("*.parquet"))
    return [part for part in found if _OWN_PART.fullmatch(part.name)]


def remove_parts(path: str) -> None:
    """Remove the parts of a Parquet log, and their folder if nothing of others is in it."""
    from pathlib import Path

    folder = Path(path + PARTS_SUFFIX)
    for part in _own_parts(folder):
        part.unlink()
    with contextlib.suppress(OSError):  # there is none, or others put something there
        folder.rmdir()


def _own_parts(folder: "Path") -> "list[Path]":
    """The files in a folder of parts that a log wrote, by their names; no others are ever touched.

    Raises:
        OSError: it is a link, no folder, or another user's.
    """
    try:
        found = os.lstat(folder)
    except FileNotFoundError:
        return []
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, f"{folder.name} is no folder of yours")
    return sorted(entry for entry in folder.iterdir() if _OWN_PART.fullmatch(entry.name))


def _closed(
    window_ns: tuple[int, int] | None,
    start_ns: int,
    spans: dict[str, Any] | None,
    end: dict[str, Any] | None,
) -> dict[str, Any]:
    """A closing record without its checksums."""
    closed: dict[str, Any] = {
        "window_s": None if window_ns is None else [(edge - start_ns) / 1e9 for edge in window_ns]
    }
    if spans is not None:
        closed["spans"] = spans
    if end is not None:
        time_s = (end["monotonic_ns"] - start_ns) / 1e9
        closed["end"] = {"unix_s": end["unix_s"], "time_s": time_s, "throttled": end.get("throttled")}
    return closed


def _numbers(sample: Sample, start_ns: int) -> tuple[float | None, ...]:
    return (
        (sample.at_ns - start_ns) / 1e9,  # divided, not times 1e-9: nine decimals say it exactly
        _finite(sample.volts),
        _finite(sample.amps),
        _finite(sample.watts),
        _finite(sample.joules),
        _finite(sample.coulombs),
        sample.covered_ns / 1e9,
    )


def _finite(number: float | None) -> float | None:
    return number if number is not None and isfinite(number) else None


def _text(number: float | None) -> str:
    return "" if number is None else repr(float(number))


def _quoted(name: str) -> str:
    """A channel's name as a CSV cell; names hold commas, as ``manual:5V,0.6A`` does."""
    return '"' + name.replace('"', '""') + '"' if any(sign in name for sign in ',"#\n\r') else name
