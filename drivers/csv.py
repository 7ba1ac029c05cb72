"""A CSV or tegrastats log that another program is writing, followed row by row as a meter.

    csv@power.csv?time=Time (s)&watts=Power&unit=mW
    csv@meter.csv?time=1&time_unit=ms&volts=2&amps=3&amps_unit=mA      columns by number, from 1
    csv@tegrastats.log?format=tegrastats&watts=VDD_IN

For exports of programs that have no live driver here, such as the AVHzY CT-3's and the EnergyRunner's:
no public source describes their columns, so give the column names and units that the file's header shows.
What the file holds already is history and is skipped (replay it with ``replay@FILE``); rows count
from now on. With ``time=`` the file's clock spaces the samples, without it their arrival does.
Lines ``#…`` and anything above the header are skipped; a row without its numbers is counted in
``lost``; a half-written last line waits for its end; a file that shrinks or is replaced is read from
its start. Resolution, accuracy and rate are the writer's; ``accuracy=0.02`` states ±2 %, not given it is
unknown.

Semantics: instants, or counters where a column of joules is named. Source: none; see above.
Counters: a column of joules, if named.
Loss: rows without their numbers are counted; rows never written cannot be.
Tested on: growing files, recorded tegrastats lines; real hardware: none yet.
"""

import os
from collections.abc import Iterator
from typing import Any

from energymeter.clock import Clock, SystemClock
from energymeter.drivers.links.stream import StreamingSource
from energymeter.drivers.links.timebase import Timebase
from energymeter.drivers.protocols.text_fields import TextSource
from energymeter.drivers.protocols.text_table import Row, Table, Tail, Tegrastats
from energymeter.errors import SourceError, SpecError
from energymeter.reading import Reading
from energymeter.units import scale

__all__ = ["Csv"]

_WAIT_SECONDS = 0.05
_BEAT_SECONDS = 0.4
"""A stream says at least every half second that it is alive."""


class Csv(TextSource, StreamingSource):
    """A growing file, read as power, voltage and current, or as a counter of joules.

    Further options as of ``TextSource``; for tegrastats, ``watts`` is the rail.

    Args:
        place: the file.
        time: the column of the row's time: a number, or ISO 8601; ``time_unit``: of a number.
        delimiter: found out if not given; decimal commas are read where it is not the comma.
        format: ``csv`` or ``tegrastats``.

    Raises:
        SpecError: no column, an unknown unit, format or place.
    """

    default_hz = 10.0
    max_hz = 1000.0
    patience_seconds = 1.8
    silence = "gained no row from its writer in {:g} s"

    def __init__(
        self,
        place: str = "",
        *,
        time: str = "",
        time_unit: str = "s",
        delimiter: str = "",
        format: str = "csv",
        clock: Clock | None = None,
        **fields: Any,
    ) -> None:
        name = f"csv@{place}"
        if not place or format not in ("csv", "tegrastats") or len(delimiter) > 1:
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
            super().__init__(name, **fields)
            second = scale("seconds", time_unit)
            self._table = Table(self._fields, name, time=time, second=second, delimiter=delimiter)
        self._clock = clock or SystemClock()
        self._tail = Tail(os.path.expanduser(place), name)
        self._bad = 0

    @property
    def lost(self) -> int:
        """Rows that held no sample."""
        return self._bad + self._tail.dropped

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
        """Every new row, stamped by its own time column or by its arrival."""
        base = Timebase()
        quiet = 0.0
        while True:
            rows = self._new_rows()
            now_ns = self._clock.monotonic_ns()
            times = [now_ns * 1e-9 if row.seconds is None else row.seconds for row in rows]
            for newest in times[-1:]:
                base.arrived(newest, now_ns)
            for row, seconds in zip(rows, times, strict=True):
                yield row.reading._replace(at_ns=base.at_ns(seconds))
            if rows:
                quiet = 0.0
                continue
            self._clock.sleep(_WAIT_SECONDS)
            quiet += _WAIT_SECONDS
            if quiet >= _BEAT_SECONDS:
                quiet = 0.0
                yield Reading(fresh=False)

    def _begin(self) -> None:
        """Read as far as the header, if it is written already."""
        self._table.begin()
        while not self._table.known and (lines := self._tail.lines()):
            for line in lines:
                if not self._table.known:
                    self._parse(line)
        self._bad = 0

    def _new_rows(self) -> list[Row]:
        lines = self._tail.lines()
        if not lines and self._tail.restarted():
            self._table.begin()
            lines = self._tail.lines()
        return [row for line in lines if (row := self._parse(line)) is not None]

    def _parse(self, line: str) -> Row | None:
        try:
            return self._table.row(line)
        except ValueError:
            self._bad += 1
            return None
