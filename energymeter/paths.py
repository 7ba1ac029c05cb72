"""Where files are: this user's own (configuration, data, cache), and the kernel's small text files."""

import errno
import math
import os
import stat
import sys

from energymeter.text import printable

_XDG = {
    "config": ("XDG_CONFIG_HOME", ".config"),
    "data": ("XDG_DATA_HOME", ".local/share"),
    "cache": ("XDG_CACHE_HOME", ".cache"),
}

PAGE = 4096
"""Bytes; the kernel never shows more than one page in an attribute file."""


def user_folder(kind: str) -> str:
    """The folder for our files of a kind: ``config``, ``data`` or ``cache``. It may not exist yet.

    On Linux by the XDG base directory specification, in two lines, because entering a meter must not
    cost the 10 ms that platformdirs takes to load; elsewhere platformdirs knows.
    """
    if sys.platform == "linux":
        variable, usual = _XDG[kind]
        base = os.environ.get(variable, "")
        return os.path.join(base if os.path.isabs(base) else os.path.join(_home(), usual), "energymeter")
    import platformdirs

    return str(getattr(platformdirs, f"user_{kind}_dir")("energymeter"))


def _home() -> str:
    """The user's home; one in which nothing is and can be, for a user who has none.

    Never a relative one: what lies in the folder in which somebody works does not configure us.
    """
    home = os.environ.get("HOME", "")
    if os.path.isabs(home):
        return home
    import pwd

    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a container that runs as any number
        home = ""
    return home if os.path.isabs(home) else "/dev/null"


def cards_folder() -> str:
    """Where calibration cards are kept; no `Path`, which the first block would wait 3 ms for."""
    return os.path.join(user_folder("config"), "calibration")


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
    return sorted(names, key=_natural)


def _natural(name: str) -> list[tuple[float, str]]:
    parts: list[tuple[float, str]] = []
    digits = ""
    for char in name + "\0":
        if "0" <= char <= "9":
            digits += char
            continue
        if digits:
            parts.append((int(digits), ""))
            digits = ""
        parts.append((math.inf, char))  # after any number
    return parts


def peek(path: str) -> str | None:
    """The content of a file now, stripped; None when it cannot be read, for whatever reason."""
    try:
        with open(path, "rb") as file:
            return file.read(PAGE).decode("utf-8", "replace").strip(" \t\r\n\0")
    except OSError:
        return None


def peek_name(path: str) -> str:
    """The name in a file, with what does not show written as an escape; empty if there is none."""
    return printable(peek(path) or "")


def peek_number(path: str) -> float | None:
    """The number a file holds now; None when there is none."""
    from energymeter.units import number

    return number(peek(path))


def replace_file(path: str, content: str | bytes, *, durable: bool = False) -> None:
    """Write a file, for this user alone, that is whole or as it was before; a link in its place is replaced.

    Args:
        durable: wait until a loss of power cannot undo it.

    Raises:
        OSError: it cannot be written; or a device, a pipe or a folder is in its place, also behind a link.
    """
    import contextlib
    import errno
    import stat
    import tempfile  # slow to import, and seldom needed

    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(path).st_mode):  # as root, /dev/null would be a file from now on
            raise OSError(errno.EINVAL, "what is there is no regular file", path)
    # a new file with a name that nobody can foresee: no link that lies there is followed
    descriptor, unfinished = tempfile.mkstemp(prefix=".unfinished.", dir=os.path.dirname(path) or ".")
    try:
        with open(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(unfinished, path)
        if durable:
            _sync_folder(os.path.dirname(path) or ".")
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        raise


def _sync_folder(path: str) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_file(path: str, most_bytes: int) -> bytes:
    """The content of a regular file of limited size; no device, pipe or folder is waited for.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        opened = os.fstat(file.fileno())
        if not stat.S_ISREG(opened.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        too_large = opened.st_size > most_bytes  # one that grows meanwhile is found out below
        content = b"" if too_large else file.read(most_bytes + 1)
    if too_large or len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {most_bytes / 1e6:g} MB")
    return content
