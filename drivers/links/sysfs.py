"""Link helper: the text files in which the kernel shows its sensors (/sys, /proc), read again and again."""

import errno
import os
from collections.abc import Mapping
from typing import Protocol

from energymeter.errors import SourceBusy, SourceError, SourceForbidden, SourceMissing, SourceTimeout
from energymeter.reading import Facts, Reading
from energymeter.units import number

_MOST = 4096  # sysfs never shows more than one page
_MISSING = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR)
_FORBIDDEN = (errno.EACCES, errno.EPERM)


def below(root: str, *parts: str) -> str:
    """The path of ``parts`` under a file-system root that may not be ``/``.

    >>> below("/", "sys/class/hwmon")
    '/sys/class/hwmon'
    """
    return os.path.join(root, *parts)


def entries(folder: str) -> list[str]:
    """Names in a folder, ``hwmon2`` before ``hwmon10``; none when it is absent."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(names, key=_counted)


def _counted(name: str) -> list[tuple[bool, int, str]]:
    parts: list[tuple[bool, int, str]] = []
    digits = ""
    for char in name + "\0":
        if char.isdigit():
            digits += char
            continue
        if digits:
            parts.append((False, int(digits), ""))
            digits = ""
        parts.append((True, 0, char))
    return parts


def peek(path: str) -> str | None:
    """What a file says now, stripped; None when it cannot be read, for whatever reason."""
    try:
        with open(path, "rb") as file:
            return file.read(_MOST).decode("utf-8", "replace").strip(" \t\r\n\0")
    except OSError:
        return None


def peek_number(path: str) -> float | None:
    """The number a file holds now; None when there is none."""
    return number(peek(path))


def translated(error: OSError, where: str, forbidden: str = "") -> SourceError:
    """Our error for an ``OSError`` met at ``where``; ``forbidden`` is the cure for EACCES."""
    if error.errno in _FORBIDDEN:
        return SourceForbidden(f"{where}: permission denied; {forbidden or 'run as a user who may read it'}")
    if error.errno in _MISSING:
        return SourceMissing(f"{where} is not there; was the device unplugged or its driver unloaded?")
    if error.errno == errno.EBUSY:
        return SourceBusy(f"{where} is busy; end the program that holds it")
    if error.errno == errno.ETIMEDOUT:
        return SourceTimeout(f"{where} does not answer; check the wiring")
    why = error.strerror or str(error)
    return SourceError(f"{where}: {why}; the kernel driver could not read the chip, so look into `dmesg`")


class SysFile:
    """One attribute file. Its descriptor stays open between reads, at a fifth of the cost.

    The kernel composes the text anew for every read at offset 0. A file that was deleted or
    replaced is noticed by its link count and looked up again, so a vanished zone is an error and
    never a counter that stands still.
    """

    def __init__(self, path: str, forbidden: str = "") -> None:
        self.path = path
        self._forbidden = forbidden
        self._fd = -1

    def text(self) -> str:
        """What the file says now, stripped.

        Raises:
            SourceError: it cannot be read, or says nothing.
        """
        try:
            if self._fd >= 0 and os.fstat(self._fd).st_nlink == 0:
                self.close()
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            said = os.pread(self._fd, _MOST, 0)
        except OSError as error:
            self.close()
            raise translated(error, self.path, self._forbidden) from error
        text = said.decode("utf-8", "replace").strip(" \t\r\n\0")
        if not text:
            raise SourceError(f"{self.path} is empty; the kernel driver has no value for it now")
        return text

    def number(self) -> float:
        """The number in the file.

        Raises:
            SourceError: it cannot be read, or holds no number.
        """
        text = self.text()
        value = number(text)
        if value is None:
            raise SourceError(f"{self.path} says {text[:40]!r} where a number belongs; look into `dmesg`")
        return value

    def close(self) -> None:
        """Let go of the descriptor; the next read opens the file again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Numeric(Protocol):
    """Whatever gives a number when asked; a `SysFile`, or one behind an offset."""

    def number(self) -> float: ...
    def close(self) -> None: ...


class Rail:
    """One place of a board whose quantities are attribute files; a source in itself, and a channel."""

    def __init__(
        self, name: str, facts: Facts, files: Mapping[str, tuple[Numeric, float]], *, power_only: bool = False
    ) -> None:
        """``files``: ``volts``, ``amps``, ``watts`` or ``joules`` to its file and what a 1 in it means.

        ``power_only``: multiply volts and amps here, because the current is not the whole board's
        and nobody shall add it to that of a rail with another voltage.
        """
        self.name = name
        self.facts = facts
        self._files = files
        self._power_only = power_only

    def open(self) -> None:
        """Nothing to do: the files are opened by the first read."""

    def check(self) -> None:
        """Read once, so that a user who may not is told before the run; other failures are gaps.

        Raises:
            SourceForbidden: the files are there, but not for this user.
        """
        try:
            self.read()
        except SourceForbidden:
            raise
        except SourceError:
            return

    def read(self) -> Reading:
        """What the files say; one that fails is left out, unless no energy can be told without it."""
        values: dict[str, float] = {}
        failure: SourceError | None = None
        for quantity, (file, unit) in self._files.items():
            try:
                values[quantity] = file.number() * unit
            except SourceError as error:
                failure = error
        if failure is not None and not values.keys() & {"watts", "joules"} and len(values) < 2:
            raise failure
        if self._power_only and "watts" not in values:
            values["watts"] = values["volts"] * values["amps"]
        if self._power_only:
            return Reading(watts=values["watts"])
        return Reading(
            values.get("volts"), values.get("amps"), values.get("watts"), joules=values.get("joules")
        )

    def close(self) -> None:
        for file, _ in self._files.values():
            file.close()
