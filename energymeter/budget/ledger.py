"""The ledger: what every run drew from every budget, in one SQLite file that survives the process.

Lines are only ever added. Joules, coulombs and seconds are kept as whole millionths, so sums are exact
in any order. Three rules make a debit count once, and only once:

* A run reports its *running total* under its run id; the ledger adds the difference to what it already
  has of that run. Reporting twice, or again after a crash, adds nothing.
* Every write is one ``BEGIN IMMEDIATE`` transaction, so writers of many processes queue up.
* A process that bills a source to a budget *claims* it; another process bills it only from where the first
  one stopped.

Each line belongs to a *charge*: the time between two resets.
"""

import os
import sqlite3
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from energymeter.budget.claims import Claims, present_charge
from energymeter.budget.ledger_file import LedgerFile, default_path
from energymeter.clock import Clock, SystemClock
from energymeter.errors import LedgerError

LIMIT = 10**18
"""Millionths: the largest amount in one line. A million of them still add up within 64 bits of joules."""


class Line(NamedTuple):
    """One line as written; amounts of an amendment, an undo or a reset are differences."""

    id: int
    kind: str
    at: float
    """Seconds since 1970 UTC."""
    run: str
    stage: str
    refers: int | None
    joules: float
    coulombs: float | None
    seconds: float
    uncertainty: float | None
    """Joules, k = 2."""
    provenance: str
    sources: str
    note: str


class SpanTotal(NamedTuple):
    """The spans of one name together."""

    measured: int
    """How many were fully measured."""
    microjoules: int
    left_out: int = 0
    """How many were not: they are in no unit cost."""


class Debit(NamedTuple):
    """The running total of one run, in millionths."""

    microjoules: int
    microcoulombs: int | None
    microseconds: int
    uncertainty_microjoules: int | None
    provenance: str
    sources: str
    note: str = ""
    spans: Mapping[str, SpanTotal] = {}
    """By name; running totals as well."""


class Stretch(NamedTuple):
    """What one debit drew: for energy through a converter and for forecasts."""

    seconds: float
    joules: float


class Totals(NamedTuple):
    """What a budget, or one stage of it, drew since the last reset."""

    battery: str
    """The budget's battery now, as JSON."""
    microjoules: int
    uncertainty_microjoules: int | None
    """k = 2; ``None``: a line has none."""
    lines: int


_MINE = "budget = :budget AND (:stage IS NULL OR stage = :stage)"
_SINCE = "charge = (SELECT coalesce(max(charge), 0) FROM lines WHERE budget = :budget)"
_COLUMNS = """id, kind, at, run, stage, refers, microjoules / 1e6, microcoulombs / 1e6, microseconds / 1e6,
              uncertainty_microjoules / 1e6, provenance, sources, note"""
_END_OF_DATES = 253_402_300_800.0
"""The year 10 000, seconds since 1970 UTC."""


def _whole(column: str) -> str:
    return f"typeof({column}) = 'integer' AND {column} BETWEEN -{LIMIT} AND {LIMIT}"


_SOUND = " AND ".join(
    [
        _whole("microjoules"),
        _whole("microseconds"),
        *(f"({name} IS NULL OR {_whole(name)})" for name in ("microcoulombs", "uncertainty_microjoules")),
        "kind IN ('debit', 'amend', 'undo', 'reset')",
        *(f"typeof({name}) = 'text'" for name in ("run", "stage", "provenance", "sources", "note")),
        f"typeof(at) = 'real' AND at >= 0 AND at < {_END_OF_DATES}",
        "(refers IS NULL OR typeof(refers) = 'integer')",
        "typeof(charge) = 'integer' AND charge BETWEEN 0 AND 1000000000",
    ]
)
"""What every line must be; a file of somebody else may hold anything."""


class Ledger:
    """One ledger file; any number of processes may hold one at the same time.

    Args:
        path: the file; None: ``ledger.sqlite3`` in the user's data directory.
        busy_seconds: how long to queue behind other writers.
    """

    def __init__(
        self, path: Path | str | None = None, *, clock: Clock | None = None, busy_seconds: float = 30.0
    ):
        self.path = Path(path) if path is not None else default_path()
        self._clock = clock or SystemClock()
        self._transaction = LedgerFile(self.path, self._clock, busy_seconds).transaction
        self.claims = Claims(self._transaction)

    # Budgets ----------------------------------------------------------------------------------

    def budget(self, name: str) -> tuple[int, str, str] | None:
        """(id, battery, shares) of a budget, the latter two as JSON."""
        with self._transaction(write=False) as db:
            row = db.execute("SELECT id, battery, shares FROM budgets WHERE name = ?", (name,)).fetchone()
        return (int(row[0]), str(row[1]), str(row[2])) if row else None

    def names(self) -> list[str]:
        """Every budget in here."""
        with self._transaction(write=False) as db:
            return [str(row[0]) for row in db.execute("SELECT name FROM budgets ORDER BY name")]

    def create(self, name: str, battery: str, shares: str) -> int:
        """A new budget's id, or that of the one another process has just made under this name."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO budgets (id, name, battery, created, shares) VALUES (?, ?, ?, ?, ?)",
                # Random: should the file be set aside meanwhile, an old id never means a new budget.
                (int.from_bytes(os.urandom(8), "big") >> 2, name, battery, self._clock.time(), shares),
            )
            return int(db.execute("SELECT id FROM budgets WHERE name = ?", (name,)).fetchone()[0])

    # Writing ----------------------------------------------------------------------------------

    def record(
        self, budget: int, run: str, stage: str, total: Debit, charge: int | None = None
    ) -> int | None:
        """Bring what ``run`` has drawn up to ``total``.

        Args:
            budget: its id.
            run: the run's id.
            stage: under which the difference is debited.
            total: everything that the run drew.
            charge: the number of the charge that gave it; None: the present one.

        Returns:
            The line's id; ``None``: nothing was missing.

        Raises:
            LedgerError: it cannot be written, or an amount is beyond what a line can hold.
        """
        with self._transaction() as db:
            self._check(db, "run = :run", {"budget": budget, "run": run})
            had = db.execute(
                f"""SELECT {_sum("microjoules")}, {_sum("microcoulombs")}, {_sum("microseconds")},
                           {_sum("uncertainty_microjoules")}, count(*)
                    FROM lines WHERE budget = ? AND run = ? AND kind = 'debit'""",
                (budget, run),
            ).fetchone()
            joules, coulombs, seconds, uncertainty = (
                _whole_sum(high, low) for high, low in zip(had[0:8:2], had[1:8:2], strict=True)
            )
            if had[-1] and total.microjoules == joules and total.microseconds == seconds:
                return None
            difference = total._replace(
                microjoules=total.microjoules - joules,
                microcoulombs=None if total.microcoulombs is None else total.microcoulombs - coulombs,
                microseconds=total.microseconds - seconds,
                # A meter's uncertainty is nearly all gain and grows with the energy: differences add up.
                uncertainty_microjoules=None
                if total.uncertainty_microjoules is None
                else max(total.uncertainty_microjoules - uncertainty, 0),
            )
            line = self._append(db, budget, "debit", run, stage, None, difference, charge)
            for name, spans in total.spans.items():
                count, microjoules, left_out = db.execute(
                    """SELECT coalesce(sum(spans.count), 0), coalesce(sum(spans.microjoules), 0),
                              coalesce(sum(spans.left_out), 0) FROM spans
                       JOIN lines ON lines.id = spans.line WHERE budget = ? AND run = ? AND name = ?""",
                    (budget, run, name),
                ).fetchone()
                more = spans.measured - count, spans.microjoules - microjoules, spans.left_out - left_out
                if any(more):
                    db.execute("INSERT INTO spans VALUES (?, ?, ?, ?, ?)", (line, name, *more))
            return line

    def amend(self, budget: int, line: int, microjoules: int | None, note: str) -> int:
        """Correct debit ``line`` (``None``: it was nothing at all); the new line's id.

        Raises:
            LedgerError: no such debit, already undone, or before the last reset.
        """
        with self._transaction() as db:
            self._check(db, "(id = :line OR refers = :line)", {"budget": budget, "line": line})
            row = db.execute(
                "SELECT run, stage, microcoulombs, microseconds, uncertainty_microjoules, provenance, sources"
                f" FROM lines WHERE budget = :budget AND id = :line AND kind = 'debit' AND {_SINCE}",
                {"budget": budget, "line": line},
            ).fetchone()
            if row is None:
                raise LedgerError(
                    f"line {line} is no debit since the last reset: see `energymeter budget list`"
                )
            high, low, undone = db.execute(
                f"SELECT {_sum('microjoules')}, max(kind = 'undo') FROM lines"
                " WHERE id = :line OR refers = :line",
                {"line": line},
            ).fetchone()
            if undone:
                raise LedgerError(f"line {line} is undone already: debit it again if that was a mistake")
            now = _whole_sum(high, low)
            run, stage, coulombs, seconds, u, provenance, sources = row
            back = Debit(
                -now,
                coulombs and -coulombs,
                -seconds,
                u and -u,
                provenance,
                sources,
                note,
            )
            change = (
                back
                if microjoules is None
                else Debit(microjoules - now, None, 0, None, "manual", "by hand", note)
            )
            return self._append(
                db, budget, "undo" if microjoules is None else "amend", run, stage, line, change, None
            )

    def reset(self, budget: int, note: str, battery: str | None = None) -> int:
        """Count from here: the battery was charged, or changed for another one."""
        with self._transaction() as db:
            if battery is not None:
                db.execute("UPDATE budgets SET battery = ? WHERE id = ?", (battery, budget))
            nothing = Debit(0, None, 0, None, "manual", "by hand", note)
            number = present_charge(db, budget).number + 1
            return self._append(db, budget, "reset", uuid.uuid4().hex, "", None, nothing, number)

    # Reading ----------------------------------------------------------------------------------

    def lines(self, budget: int) -> list[Line]:
        """Everything ever written for a budget, oldest first."""
        with self._transaction(write=False) as db:
            self._check(db, "1", {"budget": budget})
            rows = db.execute(f"SELECT {_COLUMNS} FROM lines WHERE budget = ? ORDER BY id", (budget,))
            return [Line(*row) for row in rows]

    def totals(self, budget: int, stage: str | None = None) -> Totals:
        """What was drawn since the last reset.

        Raises:
            LedgerError: the budget is no longer there, or a line is damaged.
        """
        with self._transaction(write=False) as db:
            battery = db.execute("SELECT battery FROM budgets WHERE id = ?", (budget,)).fetchone()
            if battery is None:
                raise LedgerError(
                    f"the ledger {self.path} has lost the budget: make it with `energymeter budget new`"
                )
            self._check(db, _SINCE, {"budget": budget})
            *sums, unknown, lines = db.execute(
                f"""SELECT {_sum("microjoules")}, {_sum("uncertainty_microjoules")},
                           coalesce(sum(kind = 'debit' AND uncertainty_microjoules IS NULL), 0), count(*)
                    FROM lines WHERE {_MINE} AND {_SINCE}""",
                {"budget": budget, "stage": stage},
            ).fetchone()
        uncertainty = None if unknown else _whole_sum(*sums[2:])
        return Totals(str(battery[0]), _whole_sum(*sums[:2]), uncertainty, int(lines))

    def stretches(self, budget: int, stage: str | None, latest: int = -1) -> list[Stretch]:
        """Each debit since the last reset as amended, without the undone ones, oldest first."""
        with self._transaction(write=False) as db:
            self._check(db, _SINCE, {"budget": budget})
            rows = db.execute(
                f"""SELECT microseconds / 1e6, (microjoules + (SELECT total(a.microjoules) FROM lines a
                           WHERE a.refers = lines.id)) / 1e6
                    FROM lines WHERE {_MINE} AND kind = 'debit'
                    AND NOT EXISTS (SELECT 1 FROM lines u WHERE u.refers = lines.id AND u.kind = 'undo')
                    AND {_SINCE} ORDER BY id DESC LIMIT :latest""",
                {"budget": budget, "stage": stage, "latest": latest},
            )
            return [Stretch(*row) for row in rows][::-1]

    def units(
        self, budget: int, stage: str | None, name: str | None, latest: int = 1000
    ) -> list[tuple[int, float]]:
        """(how often, joules) of a span in the latest debits; of whole runs for ``None``."""
        query = (
            f"""SELECT 1, total(microjoules) / 1e6 FROM lines WHERE {_MINE} AND {_SINCE}
                GROUP BY run HAVING total(microjoules) > 0 ORDER BY max(id) DESC LIMIT :latest"""
            if name is None
            else f"""SELECT spans.count, spans.microjoules / 1e6
                FROM spans JOIN lines ON lines.id = spans.line
                WHERE {_MINE} AND name = :name AND spans.count > 0 AND {_SOUND_SPANS}
                AND NOT EXISTS (SELECT 1 FROM lines u WHERE u.refers = spans.line AND u.kind = 'undo')
                AND {_SINCE} ORDER BY id DESC LIMIT :latest"""
        )
        with self._transaction(write=False) as db:
            self._check(db, _SINCE, {"budget": budget})
            values = {"budget": budget, "stage": stage, "name": name, "latest": latest}
            return [(int(count), float(joules)) for count, joules in db.execute(query, values)]

    def spans(self, budget: int, stage: str | None) -> dict[str, SpanTotal]:
        """The spans that were debited since the last reset, by name."""
        with self._transaction(write=False) as db:
            self._check(db, _SINCE, {"budget": budget})
            rows = db.execute(
                f"""SELECT name, total(spans.count), {_sum("spans.microjoules")}, total(spans.left_out)
                    FROM spans JOIN lines ON lines.id = spans.line
                    WHERE {_MINE} AND {_SOUND_SPANS}
                    AND NOT EXISTS (SELECT 1 FROM lines u WHERE u.refers = spans.line AND u.kind = 'undo')
                    AND {_SINCE} GROUP BY name ORDER BY name""",
                {"budget": budget, "stage": stage},
            )
            return {
                str(name): SpanTotal(int(count), _whole_sum(high, low), int(left_out))
                for name, count, high, low, left_out in rows
            }

    # Cells ------------------------------------------------------------------------------------

    def _check(self, db: sqlite3.Connection, which: str, values: Mapping[str, object]) -> None:
        """Refuse lines of ``:budget`` that this package cannot have written."""
        damaged = db.execute(
            f"SELECT id FROM lines WHERE budget = :budget AND {which} AND NOT ({_SOUND}) LIMIT 1", values
        ).fetchone()
        if damaged:
            raise LedgerError(
                f"line {damaged[0]} of the ledger {self.path} is damaged: move it away and begin a new one"
            )

    def _append(
        self,
        db: sqlite3.Connection,
        budget: int,
        kind: str,
        run: str,
        stage: str,
        refers: int | None,
        line: Debit,
        charge: int | None,
    ) -> int:
        amounts = line.microjoules, line.microcoulombs, line.microseconds, line.uncertainty_microjoules
        spans = [number for total in line.spans.values() for number in total]
        if any(abs(amount) > LIMIT for amount in (*amounts, *spans) if amount is not None):
            raise LedgerError(f"a line of the ledger holds {LIMIT / 1e6:g} J at most: check the amount")
        cursor = db.execute(
            f"INSERT INTO lines VALUES (NULL, {', '.join('?' * 14)})",
            (
                *(budget, kind, self._clock.time(), run, stage, refers),
                *line[:-1],
                present_charge(db, budget).number if charge is None else charge,
            ),
        )
        return int(cursor.lastrowid or 0)


_SOUND_SPANS = " AND ".join(f"({_whole(f'spans.{name}')})" for name in ("count", "microjoules", "left_out"))


def _sum(column: str) -> str:
    """Two sums, of whole joules and of the rest: a single one could pass 64 bits."""
    return f"coalesce(sum({column} / 1000000), 0), coalesce(sum({column} % 1000000), 0)"


def _whole_sum(high: int, low: int) -> int:
    return int(high) * 1_000_000 + int(low)
