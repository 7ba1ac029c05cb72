"""A table or tegrastats log that another program is writing, followed row by row as a meter.

    csv@power.csv                                                      columns by their titles
    csv@power.csv?time=Time (s)&watts=Power&unit=mW
    csv@meter.csv?time=1&time_unit=ms&volts=2&amps=3&amps_unit=mA      columns by number, from 1
    csv@smi.csv?channel=0                                              one device of several
    csv@tegrastats.log?format=tegrastats&watts=VDD_IN

For exports of programs that have no live driver here, such as the AVHzY CT-3's and the EnergyRunner's.
Titles, units, dates and delimiters are recognised as in a recording (see docs/recordings.md). What is not
recognised is asked. What is in the file already is history and is skipped (replay it with ``replay@FILE``).
The file's clock spaces the samples; where columns are named without ``time=``, their arrival does.
Lines ``#…`` and anything above the titles are skipped; a row without its numbers is counted in
``lost``; a half-written last line waits for its end; a file that shrinks or is replaced is read from
its start. Resolution, accuracy and rate are the writer's; ``accuracy=0.02`` states ±2 %, otherwise it is
unknown.

Semantics: instants, or counters where a column of joules counts up. Source: none; see above.
Counters: a column of joules.
Loss: rows without their numbers are counted; rows never written cannot be.
Tested on: growing files, recorded tegrastats lines; real hardware: none yet.
"""

import os
from collections.abc import Iterator
from math import nan

from energymeter.clock import Clock, SystemClock
from energymeter.drivers.links.tail import Tail
from energymeter.drivers.links.timebase import Timebase
from energymeter.drivers.protocols.text_fields import Fields
from energymeter.drivers.protocols.text_table import Row, Table, Tegrastats
from energymeter.errors import SourceError, SourceTimeout, SpecError
from energymeter.reading import Reading
from energymeter.recordings.record import Hints
from energymeter.units import scale

__all__ = ["Csv"]

_LOOK_SECONDS = 0.05
_BEAT_SECONDS = 0.4
"""A stream says at least every half second that it is alive."""

_PATIENCE_SECONDS = 1.8
_BAD_ENOUGH = 5
"""Rows without a number, and none with one: the columns are not what was thought."""
_SI = {"watts": "W", "volts": "V", "amps": "A", "joules": "J"}


class Csv:
    """A growing file, read as power, voltage and current, or as a counter of joules.

    Args:
        place: the file.
        watts, volts, amps, joules: column titles or numbers; for tegrastats, ``watts`` is the rail. Without
            any, the columns are found by their titles.
        unit: of watts; ``volts_unit``, ``amps_unit``, ``joules_unit``, ``time_unit``: of the others.
        time: the column of the row's time.
        delimiter: found out if not given, as the decimal mark is.
        channel: the device of which rows are read, where there are several.
        format: ``csv`` or ``tegrastats``.
        accuracy: ± relative, as its maker promises; without it, unknown.
        measures: ``wall``, ``rail``, ``cell`` or ``die``.

    Raises:
        SpecError: a column without its partner, an unknown unit, format or place.
    """

    def __init__(
        self,
        place: str = "",
        *,
        watts: str = "",
        volts: str = "",
        amps: str = "",
        joules: str = "",
        unit: str = "",
        volts_unit: str = "",
        amps_unit: str = "",
        joules_unit: str = "",
        time: str = "",
        time_unit: str = "",
        delimiter: str = "",
        channel: str = "",
        format: str = "csv",
        accuracy: float = nan,
        measures: str = "rail",
        clock: Clock | None = None,
    ) -> None:
        self.name = f"csv@{place}"
        selectors = {"watts": watts, "volts": volts, "amps": amps, "joules": joules}
        if not place or format not in ("csv", "tegrastats") or len(delimiter) > 1:
            raise SpecError(
                f"{self.name}: give a file, format csv or tegrastats, and a delimiter of one character"
            )
        if format == "tegrastats" and (
            unit not in ("", "mW") or not watts or volts or amps or joules or time
        ):
            raise SpecError(f"{self.name}: of a tegrastats log give the rail alone, as in watts=VDD_IN")
        units = {
            "watts": unit,
            "volts": volts_unit,
            "amps": amps_unit,
            "joules": joules_unit,
            "seconds": time_unit,
        }
        for quantity, said in units.items():
            if said:
                scale(quantity, said)
        path = os.path.expanduser(place)
        self._table: Table | Tegrastats
        if format == "tegrastats":
            # as the lines are read, whatever unit they are printed in
            fields = Fields(selectors, {"watts": "W"})
            self._table = Tegrastats(fields, self.name)
        else:
            if any(selectors.values()):
                fields = Fields(selectors, {q: units[q] or si for q, si in _SI.items()})
            else:
                fields = Fields({"watts": "by title"}, {"watts": "W"})
            hints = Hints(
                time or None, watts or None, volts or None, amps or None, unit or None,
                joules=joules or None, time_unit=time_unit or None, volts_unit=volts_unit or None,
                amps_unit=amps_unit or None, joules_unit=joules_unit or None, delimiter=delimiter or None,
                channel=channel or None, caller="csv",
            )  # fmt: skip
            self._table = Table(path, self.name, hints, channel)
        self.facts = fields.facts(accuracy=accuracy, place=measures, hz=10.0, max_hz=1000.0)
        self._clock: Clock = clock or SystemClock()
        self._tail = Tail(path, self.name)
        self._rows: Iterator[Reading] | None = None
        self._bad, self._good, self._first_bad = 0, 0, ""

    @property
    def lost(self) -> int:
        """Rows that held no sample."""
        return self._bad + self._tail.dropped

    def open(self) -> None:
        """Find the header, and leave out the rows that are there already.

        Raises:
            SourceMissing, SourceForbidden: no such file, or not for this user.
            SourceError: its header does not name the columns.
        """
        self.close()
        self._tail.open()
        try:
            self._begin()
        except SourceError:
            self.close()
            raise
        self._tail.skip()
        self._rows = self.stream()

    def close(self) -> None:
        """Let the file go."""
        self._rows = None
        self._tail.close()

    def read(self) -> Reading:
        """Wait for the next row.

        Raises:
            SourceTimeout: none came; the writer has stopped or writes seldom.
            SourceError: a replaced file names other columns.
        """
        if self._rows is None:
            raise SourceError(f"{self.name} is not open; call open() first")
        until_ns = self._clock.monotonic_ns() + round(_PATIENCE_SECONDS * 1e9)
        for reading in self._rows:
            if reading.fresh:
                return reading
            if self._clock.monotonic_ns() >= until_ns:
                break
        raise SourceTimeout(
            f"{self.name} gained no row in {_PATIENCE_SECONDS:g} s; is its writer still running?"
        )

    def stream(self) -> Iterator[Reading]:
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
            self._clock.sleep(_LOOK_SECONDS)
            quiet += _LOOK_SECONDS
            if quiet >= _BEAT_SECONDS:
                quiet = 0.0
                yield Reading(fresh=False)

    def _begin(self) -> None:
        """Read as far as the header, if it is written already."""
        self._table.begin()
        if isinstance(self._table, Table):
            self._table.learn(self._tail.lines())
            self._refine()

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
            self._first_bad = self._first_bad or line[:60]
            return None

    def _refine(self) -> None:
        """What the columns say of the facts."""
        layout = self._table.layout if isinstance(self._table, Table) else None
        if layout is not None and any(c.quantity == "joules" and not c.kind for c in layout.columns):
            self.facts = self.facts._replace(semantics="counter")
