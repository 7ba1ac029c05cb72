"""The folder of a rolling record: its files in the order in which they were begun, within a bound."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from energymeter.errors import LogError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}_(?P<number>\d{8,12})_\d{8,12}T\d{6}Z\.csv")


class RecordedFile(NamedTuple):
    """A file of the record."""

    number: int
    """Later ones have higher numbers, whatever the clock said."""
    name: str
    bytes: int


class RecordFolder:
    """Names, finishes and removes the files of one agent; no other file in the folder is touched.

    Args:
        path: the folder; made where there is none.
        most_bytes: what its files may take, those that are still written included.
        reserve_bytes: what all files that are still written may take together.
    """

    def __init__(self, path: str, most_bytes: int, reserve_bytes: int) -> None:
        self.path = path
        self.changed = threading.Event()
        """A file was finished."""
        self._most_bytes, self._reserve_bytes = most_bytes, reserve_bytes
        self.on_removed: Callable[[str], None] = lambda _: None
        """Called with the name of each file that had to go."""
        self._open: set[str] = set()
        self._lock = threading.Lock()
        self._descriptor: int | None = None

    def take(self) -> None:
        """Make it this agent's own until it is closed; again is fine.

        Raises:
            LogError: another agent has it.
            OSError: it cannot be made or opened.
        """
        if self._descriptor is not None:
            return
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as failure:
            if failure.errno == errno.EWOULDBLOCK:
                os.close(descriptor)
                raise LogError(
                    f"another agent records into {self.path}; give each a folder of its own"
                ) from None
            # a file system without locks: nobody can be asked
        self._descriptor = descriptor

    def close(self) -> None:
        """Let go of it. Twice is fine."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def files(self) -> list[RecordedFile]:
        """The files of the record, the oldest first; none where there is no folder."""
        found = []
        with contextlib.suppress(OSError), os.scandir(self.path) as entries:
            for entry in entries:
                named = _NAME.fullmatch(entry.name)
                if named is not None and entry.is_file(follow_symlinks=False):
                    size = entry.stat(follow_symlinks=False).st_size
                    found.append(RecordedFile(int(named["number"]), entry.name, size))
        return sorted(found)

    def finished(self) -> list[RecordedFile]:
        """Those that nobody writes any more, the oldest first."""
        with self._lock:
            return [file for file in self.files() if file.name not in self._open]

    def begin(self, source: str, unix_s: float) -> str:
        """The path of a new file; it counts as written until `finish`.

        Raises:
            LogError: there is no room within the bound.
            OSError: an old file cannot be removed.
        """
        with self._lock:
            self._trim()
            taken = (_NAME.fullmatch(name) for name in os.listdir(self.path))
            number = max((int(name["number"]) for name in taken if name is not None), default=0) + 1
            date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(unix_s))
            name = f"{source}_{number:08d}_{date}.csv"
            self._open.add(name)
        return os.path.join(self.path, name)

    def finish(self, path: str, *, keep: bool = True) -> None:
        """Nobody writes this file any more.

        Args:
            path: as `begin` gave it.
            keep: there is something in it.
        """
        with self._lock:
            if not keep:
                with contextlib.suppress(OSError):
                    os.unlink(path)
            self._open.discard(os.path.basename(path))
        self.changed.set()

    def _trim(self) -> None:
        """Remove the oldest files until what is left fits, with what may yet be written."""
        kept = [file for file in self.files() if file.name not in self._open]
        total = sum(file.bytes for file in kept)
        for file in kept:
            if total <= self._most_bytes - self._reserve_bytes:
                return
            os.unlink(os.path.join(self.path, file.name))
            total -= file.bytes
            self.on_removed(file.name)
