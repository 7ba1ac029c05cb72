"""The ledger: what every run drew from every budget, in one SQLite file that survives the process.

Lines are only ever added. Joules, coulombs and seconds are kept as whole millionths, so sums are exact
in any order. Two rules make a debit count once, and only once:

* A run reports its *running total* under its run id; the ledger adds the difference to what it already
  has of that run. Reporting twice, or again after a crash, adds nothing.
* Every write is one ``BEGIN IMMEDIATE`` transaction, so writers of many processes queue up.
"""

import os
import sqlite3
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from energymeter.budget.ledger_file import LedgerFile, default_path
from energymeter.clock import Clock, SystemClock
from energymeter.errors import LedgerError


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


class Debit(NamedTuple):
    """The running total of one run, in millionths."""

    microjoules: int
    microcoulombs: int | None
    microseconds: int
    uncertainty_microjoules: int | None
    provenance: str
    sources: str
    note: str = ""
    spans: Mapping[str, tuple[int, int]] = {}
    """Name: (how often, microjoules together); running totals as well."""


class Stretch(NamedTuple):
    """What was drawn by lines that tell a load: for energy through a converter and for its forecast."""

    seconds: float
    joules: float


_MINE = "budget = :budget AND (:stage IS NULL OR stage = :stage)"
_SINCE = "id > (SELECT coalesce(max(id), 0) FROM lines WHERE budget = :budget AND kind = 'reset')"
_COLUMNS = """id, kind, at, run, stage, refers, microjoules / 1e6, microcoulombs / 1e6, microseconds / 1e6,
              uncertainty_microjoules / 1e6, provenance, sources, note"""


_END_OF_DATES = 253_402_300_800.0
"""The year 10 000, seconds since 1970 UTC."""


class Ledger:
    """One ledger file; any number of processes may hold one at once.

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
                # By lot: should the file be set aside meanwhile, an old id never means a new budget.
                (int.from_bytes(os.urandom(8), "big") >> 2, name, battery, self._clock.time(), shares),
            )
            return int(db.execute("SELECT id FROM budgets WHERE name = ?", (name,)).fetchone()[0])

    def record(self, budget: int, run: str, stage: str, total: Debit) -> int | None:
        """Bring what ``run`` has drawn up to ``total``; the line's id, ``None``: nothing was missing."""
        with self._transaction() as db:
            joules, coulombs, seconds, doubt, counted = db.execute(
                """SELECT coalesce(sum(microjoules), 0), coalesce(sum(microcoulombs), 0),
                          coalesce(sum(microseconds), 0), coalesce(sum(uncertainty_microjoules), 0), count(*)
                   FROM lines WHERE budget = ? AND run = ? AND kind = 'debit'""",
                (budget, run),
            ).fetchone()
            if counted and total.microjoules == joules and total.microseconds == seconds:
                return None
            line = self._append(
                db,
                budget,
                "debit",
                run,
                stage,
                None,
                total._replace(
                    microjoules=total.microjoules - joules,
                    microcoulombs=None if total.microcoulombs is None else total.microcoulombs - coulombs,
                    microseconds=total.microseconds - seconds,
                    # A meter's doubt is nearly all gain and grows with the energy: differences add up.
                    uncertainty_microjoules=None
                    if total.uncertainty_microjoules is None
                    else max(total.uncertainty_microjoules - doubt, 0),
                ),
            )
            for name, (count, microjoules) in total.spans.items():
                had = db.execute(
                    """SELECT coalesce(sum(spans.count), 0), coalesce(sum(spans.microjoules), 0) FROM spans
                       JOIN lines ON lines.id = spans.line WHERE budget = ? AND run = ? AND name = ?""",
                    (budget, run, name),
                ).fetchone()
                db.execute(
                    "INSERT INTO spans VALUES (?, ?, ?, ?)",
                    (line, name, count - had[0], microjoules - had[1]),
                )
            return line

    def amend(self, budget: int, line: int, microjoules: int | None, note: str) -> int:
        """Say what debit ``line`` truly was (``None``: it was nothing at all); the new line's id.

        Raises:
            LedgerError: no such debit, already undone, or before the last reset.
        """
        with self._transaction() as db:
            row = db.execute(
                "SELECT run, stage, microcoulombs, microseconds, uncertainty_microjoules, provenance, sources"
                f" FROM lines WHERE budget = :budget AND id = :line AND kind = 'debit' AND {_SINCE}",
                {"budget": budget, "line": line},
            ).fetchone()
            if row is None:
                raise LedgerError(
                    f"line {line} is no debit since the last reset: see `energymeter budget list`"
                )
            now, undone = db.execute(
                "SELECT sum(microjoules), max(kind = 'undo') FROM lines WHERE id = :line OR refers = :line",
                {"line": line},
            ).fetchone()
            if undone:
                raise LedgerError(f"line {line} is undone already: debit it anew if that was a mistake")
            run, stage, coulombs, seconds, doubt, provenance, sources = row
            back = Debit(-now, coulombs and -coulombs, -seconds, doubt and -doubt, provenance, sources, note)
            change = (
                back
                if microjoules is None
                else Debit(microjoules - now, None, 0, None, "manual", "by hand", note)
            )
            return self._append(
                db, budget, "undo" if microjoules is None else "amend", run, stage, line, change
            )

    def reset(self, budget: int, note: str, battery: str | None = None) -> int:
        """Count from here: the battery was charged, or changed for another one."""
        with self._transaction() as db:
            if battery is not None:
                db.execute("UPDATE budgets SET battery = ? WHERE id = ?", (battery, budget))
            nothing = Debit(0, None, 0, None, "manual", "by hand", note)
            return self._append(db, budget, "reset", uuid.uuid4().hex, "", None, nothing)

    def lines(self, budget: int) -> list[Line]:
        """Everything ever written for a budget, oldest first."""
        with self._transaction(write=False) as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM lines WHERE budget = ? ORDER BY id", (budget,))
            lines = [Line(*row) for row in rows]
        for line in lines:
            self._check(line)
        return lines

    def _check(self, line: Line) -> None:
        texts = (line.kind, line.run, line.stage, line.provenance, line.sources, line.note)
        if not (
            all(isinstance(text, str) for text in texts)
            and isinstance(line.at, float)
            and 0 <= line.at < _END_OF_DATES
            and isinstance(line.refers, int | None)
        ):
            raise LedgerError(
                f"line {line.id} of the ledger {self.path} is damaged: move it away and begin a new one"
            )

    def microjoules(self, budget: int, stage: str | None = None) -> tuple[int, int | None, int]:
        """(microjoules, k = 2 doubt, lines) since the last reset; ``None``: a line without its doubt."""
        with self._transaction(write=False) as db:
            spent, doubt, unknown, lines = db.execute(
                f"""SELECT coalesce(sum(microjoules), 0), coalesce(sum(uncertainty_microjoules), 0),
                           coalesce(sum(kind = 'debit' AND uncertainty_microjoules IS NULL), 0), count(*)
                    FROM lines WHERE {_MINE} AND {_SINCE}""",
                {"budget": budget, "stage": stage},
            ).fetchone()
        return int(spent), None if unknown else int(doubt), int(lines)

    def stretches(self, budget: int, stage: str | None, latest: int = -1) -> list[Stretch]:
        """Each debit since the last reset as amended, without the undone ones, oldest first."""
        with self._transaction(write=False) as db:
            rows = db.execute(
                f"""SELECT microseconds / 1e6, (microjoules + coalesce((SELECT sum(a.microjoules) FROM lines a
                           WHERE a.refers = lines.id), 0)) / 1e6
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
            f"""SELECT 1, sum(microjoules) / 1e6 FROM lines WHERE {_MINE} AND {_SINCE}
                GROUP BY run HAVING sum(microjoules) > 0 ORDER BY max(id) DESC LIMIT :latest"""
            if name is None
            else f"""SELECT spans.count, spans.microjoules / 1e6
                FROM spans JOIN lines ON lines.id = spans.line
                WHERE {_MINE} AND name = :name AND spans.count > 0
                AND NOT EXISTS (SELECT 1 FROM lines u WHERE u.refers = spans.line AND u.kind = 'undo')
                AND {_SINCE} ORDER BY id DESC LIMIT :latest"""
        )
        with self._transaction(write=False) as db:
            values = {"budget": budget, "stage": stage, "name": name, "latest": latest}
            return [(int(count), float(joules)) for count, joules in db.execute(query, values)]

    def _append(
        self,
        db: sqlite3.Connection,
        budget: int,
        kind: str,
        run: str,
        stage: str,
        refers: int | None,
        line: Debit,
    ) -> int:
        cursor = db.execute(
            f"INSERT INTO lines VALUES (NULL, {', '.join('?' * 13)})",
            (budget, kind, self._clock.time(), run, stage, refers, *line[:-1]),
        )
        return int(cursor.lastrowid or 0)
