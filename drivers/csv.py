"""A table or tegrastats log that another program is writing, followed row by row as a meter.

    csv@power.csv                                                      columns by their titles
    csv@power.csv?time=Time (s)&watts=Power&unit=mW
    csv@meter.csv?time=1&time_unit=ms&volts=2&amps=3&amps_unit=mA      columns by number, from 1
    csv@smi.csv                                                        all GPUs, added
    csv@smi.csv?channel=0                                              one device of several
    csv@tegrastats.log?format=tegrastats&watts=VDD_IN

For exports of programs that have no live driver here, such as the AVHzY CT-3's and the EnergyRunner's.
Titles, units, dates and delimiters are recognised as in a recording (see docs/recordings.md). What is not
recognised is asked. What is in the file already is history and is skipped (replay it with ``replay@FILE``).
The devices of the rows that stand in the file already are channels, and add up as in a recording; one that
comes later is asked about. The file's clock spaces the samples; where columns are named without ``time=``,
their arrival does, and rows of a device that share a stamp are spread evenly up to their arrival.
Lines ``#…`` and anything above the titles are skipped; a row without its numbers is counted in
``lost``; a half-written last line waits for its end; a file that shrinks or is replaced is read from
its start. Resolution, accuracy and rate are the writer's; ``accuracy=0.02`` states ±2 %, otherwise it is
unknown.

Semantics: instants, or counters where a column of joules counts up. Source: none; see above.
Renewal: as the other program writes.
Counters: a column of joules.
Loss: rows without their numbers are counted; rows never written cannot be.
Tested on: growing files, recorded tegrastats lines; real hardware: none yet.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from energymeter.clock import Clock, SystemClock
from energymeter.drivers.links.stream import StreamingSource
from energymeter.drivers.links.timebase import Timebase
from energymeter.drivers.protocols.text_fields import TextSource
from energymeter.drivers.protocols.text_table import Row, Table, Tail, Tegrastats
from energymeter.errors import SourceError, SpecError
from energymeter.reading import Facts, Reading
from energymeter.recordings.record import Hints
from energymeter.source import Source
from energymeter.text import printable
from energymeter.units import scale

__all__ = ["Csv"]

_WAIT_SECONDS = 0.05
_BEAT_SECONDS = 0.4
"""A stream says at least every half second that it is alive."""
_UNITS = ("unit", "volts_unit", "amps_unit", "joules_unit")
_BAD_ENOUGH = 5
"""Rows without a number, and none with one: the columns are not what was thought."""


class Csv(TextSource, StreamingSource):
    """A growing file, read as power, voltage and current, or as a counter of joules.

    Further options as of ``TextSource``; for tegrastats, ``watts`` is the rail.

    Args:
        address: the file.
        watts, volts, amps, joules: column titles or numbers; none: found by their titles.
        unit, volts_unit, amps_unit, joules_unit, time_unit: over what the titles say.
        time: the column of the row's time.
        delimiter, decimal: what parts the cells, and the decimal mark; found out if not given.
        channel: the device of which rows are read, where there are several; ``all``: the sum of all.
        format: ``csv`` or ``tegrastats``.

    Raises:
        SpecError: a column without its partner, an unknown unit, format or address.
    """

    default_hz = 10.0
    max_hz = 1000.0
    patience_seconds = 1.8
    silence = "gained no row from its writer in {:g} s"

    def __init__(
        self,
        address: str = "",
        *,
        time: str = "",
        time_unit: str = "",
        delimiter: str = "",
        decimal: str = "",
        channel: str = "",
        format: str = "csv",
        clock: Clock | None = None,
        **fields: Any,
    ) -> None:
        name = f"csv@{address}"
        if not address or format not in ("csv", "tegrastats") or len(delimiter) > 1:
            raise SpecError(
                f"{name}: give a file, format csv or tegrastats, and a delimiter of one character"
            )
        self._table: Table | Tegrastats
        if format == "tegrastats":
            others = [key for key in ("volts", "amps", "joules") if fields.get(key)]
            if time or others or not fields.get("watts") or fields.get("unit", "") not in ("", "mW"):
                raise SpecError(f"{name}: of a tegrastats log give the rail alone, as in watts=VDD_IN")
            super().__init__(name, **{**fields, "unit": "W"})  # as read, whatever unit is printed
            self._table = Tegrastats(self._fields, name)
        else:
            named = {key: fields[key] for key in ("watts", "volts", "amps", "joules") if fields.get(key)}
            super().__init__(name, **(fields if named else {**fields, "watts": "by its title"}))
            if time_unit:
                scale("seconds", time_unit)
            given = {
                **named,
                **{key: value for key in _UNITS if (value := fields.get(key))},
                **{"time": time, "time_unit": time_unit},
                **{"delimiter": delimiter, "decimal": decimal, "channel": channel},
            }
            hints = Hints(**{key: value for key, value in given.items() if value})._replace(caller="csv")
            self._table = Table(os.path.expanduser(address), name, hints)
        self._clock = clock or SystemClock()
        self._tail = Tail(os.path.expanduser(address), name)
        self._parts: list[_Part] = []
        self._bad, self._good, self._first_bad = 0, 0, ""

    @property
    def lost(self) -> int:
        """Rows that held no sample."""
        return self._bad + self._tail.dropped

    @property
    def notes(self) -> tuple[str, ...]:
        """What the file was recognised as."""
        said = self._table.said if isinstance(self._table, Table) else ""
        return (f"read as {said}",) if said else ()

    def channels(self) -> Sequence[Source]:
        """The devices of the file, where its rows are of several; else the file."""
        return self._parts or [self]

    def stream_parts(self) -> Iterator[tuple[int, Reading]]:
        """As `stream`, each reading with the number of its channel."""
        return self._running(self._flow_parts)

    def _start(self) -> None:
        """Find the header, and leave out the rows that are there already."""
        self._tail.open()
        try:
            self._begin()
        except SourceError:
            self._tail.close()
            raise
        self._tail.skip()

    def _stop(self, started: bool) -> None:
        self._tail.close()

    def _flow(self) -> Iterator[Reading]:
        if self._parts:
            names = ", ".join(part.name for part in self._parts)
            raise SourceError(f"{self.name} has several channels, {names}; choose one with channel=")
        return (reading for _, reading in self._flow_parts())

    def _flow_parts(self) -> Iterator[tuple[int, Reading]]:
        """Every new row, stamped by its own time column or by its arrival."""
        base = Timebase()
        quiet = 0.0
        newest: dict[int, float] = {}
        coarse = False
        while True:
            rows = self._new_rows()
            now_ns = self._clock.monotonic_ns()
            times = [now_ns * 1e-9 if row.seconds is None else row.seconds for row in rows]
            if times:
                base.arrived(times[-1], now_ns)
            for row in rows if not coarse else ():
                coarse = coarse or (row.seconds is not None and newest.get(row.channel) == row.seconds)
                if row.seconds is not None:
                    newest[row.channel] = row.seconds
            if rows and coarse:
                stamps = base.spread_ns(times[0], len(rows), now_ns)
            else:
                stamps = [base.at_ns(seconds) for seconds in times]
            for row, at_ns in zip(rows, stamps, strict=True):
                yield row.channel, row.reading._replace(at_ns=at_ns)
            if rows:
                quiet = 0.0
                continue
            self._clock.sleep(_WAIT_SECONDS)
            quiet += _WAIT_SECONDS
            if quiet >= _BEAT_SECONDS:
                quiet = 0.0
                yield 0, Reading(fresh=False)

    def _begin(self) -> None:
        """Find the columns by what is written already."""
        self._table.begin()
        if isinstance(self._table, Table):
            self._table.learn(self._tail.lines())
            if self._table.counts_up:
                self.facts = self.facts._replace(semantics="counter")
            if not self._parts:  # they stay the same when it is opened again
                self._table.find_channels()
                self._parts = [
                    _Part(self, number, f"{self.name}/{name}", self.facts._replace(counted=counted))
                    for number, (name, counted) in enumerate(self._table.channels)
                    if len(self._table.channels) > 1
                ]

    def _new_rows(self) -> list[Row]:
        lines = self._tail.lines()
        if not lines and self._tail.restarted():
            self._table.begin()
            lines = self._tail.lines()
        rows = [row for line in lines if (row := self._parse(line)) is not None]
        self._good += len(rows)
        if self._bad >= _BAD_ENOUGH and not self._good:
            raise SourceError(
                f"{self.name} gained {self._bad} rows without a number that is known, such as "
                f"{self._first_bad!r}; correct the columns or their units"
            )
        return rows

    def _parse(self, line: str) -> Row | None:
        try:
            return self._table.row(line)
        except ValueError:
            self._bad += 1
            self._first_bad = self._first_bad or printable(line[:60])
            return None


class _Part:
    """One device of a file."""

    def __init__(self, file: Csv, number: int, name: str, facts: Facts) -> None:
        self._file, self._number = file, number
        self.name, self.facts = name, facts

    def open(self) -> None:
        """Nothing to do: the file is open."""

    def close(self) -> None:
        """Nothing to do: the file is closed."""

    def read(self) -> Reading:
        """The next fresh row of this device.

        Raises:
            SourceError: see `Csv.read`.
        """
        return next(reading for reading in self.stream() if reading.fresh)

    def stream(self) -> Iterator[Reading]:
        """The rows of this device; those of the others are passed over."""
        return (
            reading
            for number, reading in self._file.stream_parts()
            if number == self._number or not reading.fresh
        )
