"""Processes as the ledger names them, so that one can see whether another still bills a source."""

import os
from typing import NamedTuple

_STALE_NS = 90_000_000_000
"""Claims are renewed every 30 s; after three times as long without, others may bill."""


class Process(NamedTuple):
    """One process of one boot of one machine; a pid alone is used again."""

    boot: str
    namespace: str
    """Of the pid: containers that share a ledger do not share pids."""
    pid: int
    started: str
    """In clock ticks since boot; empty: it has ended."""

    @classmethod
    def here(cls) -> "Process":
        """This process."""
        try:
            namespace = str(os.stat("/proc/self/ns/pid").st_ino)
        except OSError:
            namespace = ""
        boot = _text("/proc/sys/kernel/random/boot_id").strip()
        return cls(boot, namespace, os.getpid(), _started(os.getpid()))

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
        if not self.started or silent_ns > _STALE_NS:
            return False
        return self.namespace != other.namespace or _started(self.pid) == self.started


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
