"""Link helper that follows a growing text file: its new whole lines, across rotation and truncation."""

import os
from typing import BinaryIO

from energymeter.errors import SourceError, SourceForbidden, SourceMissing

LONGEST_LINE = 1 << 16
_BLOCK = 1 << 20


class Tail:
    """A file's new lines.

    Args:
        path: the file.
        name: what to call the source in errors.
    """

    def __init__(self, path: str, name: str) -> None:
        self._path, self._name = path, name
        self._file: BinaryIO | None = None
        self._rest = b""
        self.dropped = 0
        """Lines too long to be rows, thrown away."""

    def open(self) -> None:
        """Start at the top.

        Raises:
            SourceMissing, SourceForbidden, SourceError: as the message says.
        """
        self.close()
        try:
            self._file = open(self._path, "rb", buffering=0)  # noqa: SIM115
        except FileNotFoundError as error:
            raise SourceMissing(
                f"{self._name}: there is no such file; start its writer first, or correct the path"
            ) from error
        except PermissionError as error:
            raise SourceForbidden(f"{self._name}: this user may not read the file; chmod a+r it") from error
        except OSError as error:
            raise SourceError(f"{self._name} cannot be read ({error.strerror}); give a plain file") from error

    def close(self) -> None:
        """Let the file go."""
        file, self._file, self._rest = self._file, None, b""
        if file is not None:
            file.close()

    def lines(self) -> list[str]:
        """The whole lines since last time, a megabyte at most; a half-written one waits for its end."""
        if self._file is None:
            return []
        try:
            *lines, self._rest = (self._rest + self._file.read(_BLOCK)).split(b"\n")
        except OSError as error:
            raise SourceError(
                f"{self._name} cannot be read any more ({error.strerror}); give a plain file"
            ) from error
        if len(self._rest) > LONGEST_LINE:
            self.dropped, self._rest = self.dropped + 1, b""
        return [line.decode("utf-8-sig", errors="replace").rstrip("\r") for line in lines]

    def skip(self) -> None:
        """Leave out everything up to the start of the last, perhaps half-written, line."""
        if self._file is None:
            return
        end = self._file.seek(0, os.SEEK_END)
        start = self._file.seek(max(0, end - LONGEST_LINE))
        last = self._file.read(LONGEST_LINE).rfind(b"\n")
        self._file.seek(end if last < 0 and start else start + last + 1)
        self._rest = b""

    def restarted(self) -> bool:
        """Whether the file shrank or another took its name; then it has been begun again from the top.

        A name that is gone for the moment is waited for: a rotation is two steps.
        """
        try:
            now = os.stat(self._path)
        except FileNotFoundError:
            return False
        if self._file is not None:
            held = os.fstat(self._file.fileno())
            same = (held.st_dev, held.st_ino) == (now.st_dev, now.st_ino)
            if same and now.st_size >= self._file.tell():
                return False
        self.open()
        return True
