"""Claims: which process bills a source to a budget, so that several on one board bill it once.

Whoever begins first claims the source, renews the claim with every debit and releases it at the end. The
others bill nothing meanwhile, and go on from where the first one stopped, also if it was killed.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

_STALE_NS = 90_000_000_000
"""Claims are renewed every 30 s; after three times as long without, others may bill."""


class Process(NamedTuple):
    """One process of one boot of one machine; a pid alone is used again."""

    boot: str
    namespace: str
    """The pid's: containers that share a ledger do not share pids."""
    pid: int
    started: str
    """In clock ticks since boot; empty: it has ended."""

    @classmethod
    def here(cls) -> "Process":
        """This process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> "Process":
        """A process of this boot and this namespace."""
        try:
            namespace = str(os.stat("/proc/self/ns/pid").st_ino)
        except OSError:
            namespace = ""
        boot = _text("/proc/sys/kernel/random/boot_id").strip()
        return cls(boot, namespace, pid, _started(pid))

    @classmethod
    def parse(cls, text: str) -> "Process":
        """The inverse of ``str``; whatever else stands there is a process that has ended."""
        parts = text.split("/")
        if len(parts) != len(cls._fields) or not (parts[2].isascii() and parts[2].isdigit()):
            return cls("", "", 0, "")
        return cls(parts[0], parts[1], int(parts[2][:9]), parts[3])

    def __str__(self) -> str:
        return "/".join(map(str, self))

    def ended(self) -> "Process":
        """The same, after it has ended."""
        return self._replace(started="")

    def bills(self, other: "Process", silent_ns: int) -> bool:
        """Whether it still bills, as ``other`` can tell; ``silent_ns``: since it last renewed its claim."""
        if not self.started or self.boot != other.boot or silent_ns > _STALE_NS:
            return False
        return self.namespace != other.namespace or _started(self.pid) == self.started


class Charge(NamedTuple):
    """The present charge of a battery."""

    number: int
    """How many resets there were."""
    began: float
    """The time of the last reset, seconds since 1970 UTC; 0 if there was none."""


class Claim(NamedTuple):
    """Whether this process bills a source."""

    ours: bool
    charge: Charge
    """The charge that is drawn on now."""
    billed_until_ns: int | None
    """Until when another process has billed it, by this boot's monotonic clock; ``None``: none has."""
    pid: int = 0
    """The process that bills it, if not this one."""
    sources: tuple[str, ...] = ()
    """The sources of ours that it bills."""


class Claims:
    """The claims in one ledger."""

    def __init__(self, transaction: Callable[..., AbstractContextManager[sqlite3.Connection]]) -> None:
        self._transaction = transaction

    def take(self, budget: int, sources: Sequence[str], now_ns: int, process: Process | None = None) -> Claim:
        """Bill ``sources`` up to ``now_ns``, unless another living process does.

        To be called again every 30 s: a claim that is not renewed is given to others.

        Args:
            budget: its id.
            sources: the names of what is measured.
            now_ns: on the monotonic clock.
            process: who asks; None: this one.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        process = process or Process.here()
        marks, known = (
            ", ".join("?" * len(sources)),
            "typeof(process) = 'text' AND typeof(until_ns) = 'integer'",
        )
        with self._transaction(durable=False) as db:
            rows = db.execute(
                f"SELECT source, process, until_ns FROM claims"
                f" WHERE budget = ? AND source IN ({marks}) AND process <> ? AND {known}",
                (budget, *sources, str(process)),
            )
            others = [(str(source), Process.parse(owner), int(until)) for source, owner, until in rows]
            here = [claim for claim in others if claim[1].boot == process.boot]
            until_ns = max((until for _, _, until in here), default=None)
            alive = [claim for claim in here if claim[1].bills(process, now_ns - claim[2])]
            charge = present_charge(db, budget)
            if alive:
                theirs = tuple(source for source, _, _ in alive)
                return Claim(False, charge, until_ns, alive[0][1].pid, theirs)
            db.executemany(
                "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)",
                [(budget, source, str(process), now_ns) for source in sources],
            )
            return Claim(True, charge, until_ns)

    def release(
        self, budget: int, sources: Sequence[str], now_ns: int, process: Process | None = None
    ) -> None:
        """Bill them no more; others go on from ``now_ns``."""
        process = process or Process.here()
        with self._transaction(durable=False) as db:
            db.executemany(
                "UPDATE claims SET process = ?, until_ns = ? WHERE budget = ? AND source = ? AND process = ?",
                [(str(process.ended()), now_ns, budget, source, str(process)) for source in sources],
            )


def present_charge(db: sqlite3.Connection, budget: int) -> Charge:
    """The charge of the newest reset."""
    number, began = db.execute(
        """SELECT charge, max(CASE WHEN kind = 'reset' AND typeof(at) = 'real' THEN at ELSE 0.0 END)
           FROM lines WHERE budget = ? AND typeof(charge) = 'integer'
           GROUP BY charge ORDER BY charge DESC LIMIT 1""",
        (budget,),
    ).fetchone() or (0, 0.0)
    return Charge(int(number), float(began))


def _started(pid: int) -> str:
    """When a process was started; empty when there is none, or when it is a zombie."""
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return "" if len(fields) < 20 or fields[0] in ("Z", "X") else fields[19]


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(4096)
    except OSError:
        return ""
