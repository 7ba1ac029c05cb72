"""The file under the ledger: made, brought up to date, locked, and set aside when it is corrupt.

``synchronous=FULL``: write-ahead logging alone survives ``kill -9``, but with ``NORMAL`` the last
commits are lost when the power goes, and here the power goes as a matter of course. One ``fsync`` a
debit is cheap: a run makes one every half minute. Connections live for one operation, so nothing is
carried across a fork or between threads. The file must be on a local disk (SQLite's rule for WAL).
"""

import contextlib
import errno
import fcntl
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from energymeter.clock import Clock
from energymeter.errors import LedgerError, warn
from energymeter.paths import user_folder

MIGRATIONS = (
    """
    CREATE TABLE budgets (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, battery TEXT NOT NULL,
                          created REAL NOT NULL);
    CREATE TABLE lines (
        id INTEGER PRIMARY KEY AUTOINCREMENT, budget INTEGER NOT NULL REFERENCES budgets (id),
        kind TEXT NOT NULL CHECK (kind IN ('debit', 'amend', 'undo', 'reset')),
        at REAL NOT NULL, run TEXT NOT NULL, stage TEXT NOT NULL, refers INTEGER REFERENCES lines (id),
        microjoules INTEGER NOT NULL, microcoulombs INTEGER, microseconds INTEGER NOT NULL,
        uncertainty_microjoules INTEGER, provenance TEXT NOT NULL, sources TEXT NOT NULL, note TEXT NOT NULL);
    CREATE INDEX lines_of_run ON lines (budget, run);
    CREATE INDEX lines_referring ON lines (refers) WHERE refers IS NOT NULL;
    """,
    """
    ALTER TABLE budgets ADD COLUMN shares TEXT NOT NULL DEFAULT '{}';
    CREATE TABLE spans (line INTEGER NOT NULL REFERENCES lines (id), name TEXT NOT NULL,
                        count INTEGER NOT NULL, microjoules INTEGER NOT NULL, PRIMARY KEY (line, name));
    """,
    """
    ALTER TABLE lines ADD COLUMN charge INTEGER NOT NULL DEFAULT 0;
    UPDATE lines SET charge = (SELECT count(*) FROM lines r
                               WHERE r.budget = lines.budget AND r.kind = 'reset' AND r.id <= lines.id);
    CREATE INDEX lines_of_charge ON lines (budget, charge);
    ALTER TABLE spans ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE claims (budget INTEGER NOT NULL REFERENCES budgets (id), source TEXT NOT NULL,
                         process TEXT NOT NULL, until_ns INTEGER NOT NULL, PRIMARY KEY (budget, source));
    """,
)
"""Script k takes a file from schema k to k + 1; the file's number is in ``PRAGMA user_version``."""


class _ForkGate:
    """Lets a fork wait until no thread is inside of SQLite.

    Its mutexes are of the process: one that another thread holds at the fork stays locked in the worker
    for good, and the next connection hangs.
    """

    _PATIENCE_SECONDS = 1.0
    """A thread that queues behind another program's write holds no mutex; it is not waited for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._forking = False
        os.register_at_fork(
            before=self._close, after_in_parent=self._open, after_in_child=self._open_in_child
        )

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._forking)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def _close(self) -> None:
        self._changed.acquire()
        self._forking = True
        self._changed.wait_for(lambda: not self._inside, self._PATIENCE_SECONDS)

    def _open(self) -> None:
        self._forking = False
        self._changed.notify_all()
        self._changed.release()

    def _open_in_child(self) -> None:
        self._changed, self._inside, self._forking = threading.Condition(), 0, False


_gate = _ForkGate()

_ROOM = 1 << 20
"""Bytes: less than this is too little for a transaction."""


class LedgerFile:
    """Transactions on one file; every failure is a `LedgerError` with its remedy."""

    def __init__(self, path: Path, clock: Clock, busy_seconds: float) -> None:
        self.path = path
        self._clock = clock
        self._busy_seconds = busy_seconds
        self._ready = False

    @contextlib.contextmanager
    def transaction(self, *, write: bool = True, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """One piece of work that happens wholly or not at all.

        Args:
            write: it changes the file.
            durable: it survives a power cut once it is done, which costs a wait for the disk.

        Raises:
            LedgerError: the file cannot be used, was written by a newer version, or cannot hold a value.
        """
        try:
            with _gate.entered(), self._opened(durable=durable) as db:
                db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                try:
                    yield db
                    db.execute("COMMIT")
                except BaseException:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                    raise
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(_remedy(self.path, error)) from error
        except OverflowError as error:
            raise LedgerError("a number does not fit into the ledger's 64 bits: check it") from error
        except UnicodeEncodeError as error:
            raise LedgerError(
                f"the ledger holds no {error.object!r}: write it without lone surrogates"
            ) from error

    def _opened(self, *, durable: bool) -> "contextlib.closing[sqlite3.Connection]":
        if not self._ready:
            self._prepare()
            self._ready = True
        return contextlib.closing(self._connect(durable=durable))

    def _connect(self, *, durable: bool = True) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=self._busy_seconds, isolation_level=None)
        db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA trusted_schema = OFF")  # what somebody else's file defines calls no function
        return db

    def _prepare(self) -> None:
        """Make the file, bring it up to date, or set it aside; one process at a time."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(self.path.with_name(self.path.name + ".lock"), "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # let go by the kernel, also after kill -9
            fault = self._fault()
            if fault:
                aside = self._set_aside()
                warn(
                    f"the ledger {self.path} is corrupt ({fault}) and kept as {aside}; a new one begins: "
                    "make the budgets again with `energymeter budget new`",
                    stacklevel=2,
                )
            with contextlib.closing(self._connect()) as db:
                self._migrate(db)

    def _fault(self) -> str | None:
        """What is wrong with the file, if anything; being locked out of it is not a fault."""
        if not self.path.exists():
            return None
        try:
            with contextlib.closing(self._connect()) as db:
                answer = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
            return None if answer == "ok" else answer
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            return str(error)
        except UnicodeDecodeError:  # SQLite quotes a damaged name in its error
            return "a name in it is not text"

    def _set_aside(self) -> Path:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock.time()))
        aside = self.path.with_name(f"{self.path.name}.corrupt-{stamp}-{uuid.uuid4().hex[:6]}")
        for suffix in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        return aside

    def _migrate(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA journal_mode = WAL")
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise LedgerError(
                f"the ledger {self.path} is of a newer energymeter (schema {version}): upgrade this one"
            )
        for number in range(version, len(MIGRATIONS)):
            script = f"BEGIN IMMEDIATE; {MIGRATIONS[number]}; PRAGMA user_version = {number + 1}; COMMIT;"
            db.executescript(script)


_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


def default_path() -> Path:
    """``ledger.sqlite3`` in the user's data directory (``XDG_DATA_HOME``)."""
    return Path(user_folder("data")) / "ledger.sqlite3"


def _remedy(path: Path, error: Exception) -> str:
    text = str(error)
    code = error.errno if isinstance(error, OSError) else None
    if "locked" in text:
        return f"the ledger {path} is held by another program: end it and try again"
    if "readonly" in text or "unable to open" in text or code in _NOT_OURS:
        return f"the ledger {path} cannot be written ({text}): check its permissions, or set XDG_DATA_HOME"
    # where the shared memory of the file cannot grow, SQLite reports a disk error
    if "full" in text or code in (errno.ENOSPC, errno.EDQUOT) or ("disk I/O" in text and _is_full(path)):
        return f"no room left for the ledger {path}: free some space; no earlier line is lost"
    return f"the ledger {path} cannot be used ({text}): move it away and begin a new one"


def _is_full(path: Path) -> bool:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _ROOM
