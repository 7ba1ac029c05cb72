"""File descriptors of ours in somebody else's program, which may close them, fork, or have none left."""

from __future__ import annotations

import errno
import fcntl
import os
import weakref

from energymeter.lazy import TYPE_CHECKING, suppress

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOWEST = 3
"""0 to 2 are the standard streams, even while the program has them closed."""

_open: weakref.WeakSet[Descriptor] = weakref.WeakSet()


class Descriptor:
    """A descriptor that is closed at most once, in forked workers by itself, and only while it is still ours.

    A program that becomes a daemon closes every number it finds; the next file that it opens may get ours.

    Args:
        fd: just opened; it is moved out of the way of the standard streams.
    """

    def __init__(self, fd: int) -> None:
        if fd < _LOWEST:
            try:
                moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _LOWEST)
            finally:
                os.close(fd)
            fd = moved
        self.fd = fd
        self._identity = _identity(fd)
        _open.add(self)

    def ours(self) -> bool:
        """Whether the number still stands for what was opened."""
        return self.is_also(self.fd)

    def is_also(self, fd: int) -> bool:
        """Whether another number stands for what was opened."""
        try:
            return fd >= 0 and _identity(fd) == self._identity
        except OSError:
            return False

    def close(self) -> None:
        """Twice is fine."""
        fd = self.fd if self.ours() else -1
        self.fd = -1
        _open.discard(self)
        if fd >= 0:
            with suppress(OSError):
                os.close(fd)


def pipe() -> tuple[Descriptor, Descriptor]:
    """The reading and the writing end of a pipe."""
    reading, writing = os.pipe()
    try:
        return Descriptor(reading), Descriptor(writing)
    except OSError:
        for fd in (reading, writing):
            with suppress(OSError):
                os.close(fd)
        raise


def close(descriptors: Iterable[Descriptor]) -> None:
    """Close all of them."""
    for descriptor in descriptors:
        descriptor.close()


def anonymous_file(name: str, *, sealable: bool = False) -> Descriptor:
    """A file without a name: memory where the system has it, else a temporary file.

    Args:
        name: what the system shows it as.
        sealable: it is going to be sealed, which only memory can be.

    Raises:
        OSError: there is neither.
    """
    if sealable:
        try:
            return Descriptor(os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
        except AttributeError:
            raise OSError(errno.ENOSYS, "this system has no memory that can be sealed") from None
    with suppress(AttributeError, OSError):  # an old kernel, or a filter of system calls
        return Descriptor(os.memfd_create(name))
    import tempfile

    with tempfile.TemporaryFile() as file:
        return Descriptor(os.dup(file.fileno()))


F_SEAL_FUTURE_WRITE = 0x10
"""Linux 5.1: no new mapping may write, those that exist may (uapi/linux/fcntl.h)."""


def sealed(file: Descriptor) -> Descriptor:
    """A descriptor of shared memory for others: read-only, of a size that nobody can change.

    Whoever has mapped it to write goes on; nobody can map it so again. A kernel without `F_SEAL_FUTURE_WRITE`
    leaves it to its permissions, which let only its owner and root open it again to write.

    Args:
        file: made with ``sealable``.

    Raises:
        OSError: it cannot be sealed, or not opened again.
    """
    reading = Descriptor(os.open(f"/proc/self/fd/{file.fd}", os.O_RDONLY | os.O_CLOEXEC))
    try:
        os.fchmod(file.fd, 0o444)
        kept = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
        fcntl.fcntl(file.fd, fcntl.F_ADD_SEALS, kept)
        with suppress(OSError):
            fcntl.fcntl(file.fd, fcntl.F_ADD_SEALS, F_SEAL_FUTURE_WRITE)
        fcntl.fcntl(file.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL)
    except BaseException:
        reading.close()
        raise
    return reading


def write_sealed(file: Descriptor) -> bool:
    """Whether nobody can map it to write any more, its owner included."""
    return bool(fcntl.fcntl(file.fd, fcntl.F_GET_SEALS) & F_SEAL_FUTURE_WRITE)


def remedy(failure: OSError) -> str:
    """What to do where the system has no room for another file, process or stretch of memory."""
    if failure.errno == errno.EFBIG:  # shared memory is a file to the system
        return "raise the limit on the size of files (ulimit -f)"
    if failure.errno == errno.ENOSPC:
        return "free some space for temporary files"
    if failure.errno == errno.ENOMEM:
        return "free some memory, or raise the limit (ulimit -v)"
    return "close files or end processes, or raise the limit (ulimit -n, ulimit -u)"


def _identity(fd: int) -> tuple[int, int]:
    file = os.fstat(fd)
    return file.st_dev, file.st_ino


def _forked() -> None:
    for descriptor in list(_open):
        descriptor.close()


os.register_at_fork(after_in_child=_forked)
