"""The serial link: a port held by one process only, and errors that say what to do.

pyserial opens and sets up the port (speed, raw mode, modem lines); bytes then move through its file
descriptor. ``flock`` (pyserial's ``exclusive``) keeps a second process out, and ends with the process that
holds it.

Some programs mark the port with ``TIOCEXCL`` (tty_ioctl(2)). The kernel then refuses it to all but root. This
link respects the mark, also as root, but never sets it: the mark outlives a killed process if another one
keeps the port open, and only root could then open the port.
"""

import contextlib
import errno
import os
import select
from typing import TYPE_CHECKING

from energymeter.errors import SourceBusy, SourceError, SourceForbidden, SourceMissing, not_open

if TYPE_CHECKING:
    import serial

_CHUNK = 65536
_TIOCGEXCL = 0x80045440
"""Whether the port is marked exclusive (asm-generic/ioctls.h); Python's ``termios`` does not name it."""


class SerialLine:
    """A serial port as a `Wire`: 8 data bits, no parity, no flow control."""

    def __init__(self, port: str, baudrate: int = 9600, *, stop_bits: int = 1) -> None:
        self.address = port
        self.moved_bytes = 0
        self._baudrate = baudrate
        self._stop_bits = stop_bits
        self._port: serial.Serial | None = None
        self._wanted = False

    def open(self) -> None:
        """Open and lock the port.

        Raises:
            SourceMissing, SourceForbidden, SourceBusy: with the remedy.
        """
        self._drop()
        try:
            import serial
        except ImportError as error:
            raise SourceMissing(f"{self.address} needs pyserial: pip install pyserial") from error
        try:
            self._port = serial.Serial(
                self.address, self._baudrate, stopbits=self._stop_bits, timeout=0, exclusive=True
            )
        except OSError as error:  # SerialException is one
            self._drop()
            raise open_error(self.address, error) from error
        except (ValueError, OverflowError) as error:
            raise SourceMissing(
                f"{self.address} did not open as a serial port ({error}): check that it is one"
            ) from error
        if _marked_exclusive(self._port.fileno()) and _opener(os.fstat(self._port.fileno()), "/proc"):
            self._drop()  # only root gets here; without a process that has the port open, the mark is stale
            raise open_error(self.address, OSError(errno.EBUSY, os.strerror(errno.EBUSY)))
        self._wanted = True

    def close(self) -> None:
        """Let the port go; twice is fine."""
        self._wanted = False
        self._drop()

    def write(self, data: bytes) -> None:
        """Send all of ``data``.

        Raises:
            SourceMissing: the port went away.
        """
        fd = self._fd()
        try:
            sent = 0
            while sent < len(data):
                if not select.select([], [fd], [], 1.0)[1]:
                    raise OSError(errno.ETIMEDOUT, "the port takes no bytes")
                sent += os.write(fd, data[sent:])
        except OSError as error:
            raise self._gone(error) from error
        self.moved_bytes += len(data)

    def read(self, seconds: float) -> bytes:
        """Whatever arrives first; ``b""`` after ``seconds`` of silence.

        Raises:
            SourceMissing: the port went away.
        """
        fd = self._fd()
        try:
            if not select.select([fd], [], [], seconds)[0]:
                return b""
            data = os.read(fd, _CHUNK)
            if not data:
                raise OSError(errno.ENODEV, "the device hung up")
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(error) from error
        self.moved_bytes += len(data)
        return data

    def _fd(self) -> int:
        if self._port is None:
            if not self._wanted:
                raise not_open(self.address)
            self.open()
        assert self._port is not None
        return int(self._port.fileno())

    def _gone(self, error: OSError) -> SourceMissing:
        self._drop()
        return SourceMissing(
            f"{self.address} went away ({error.strerror or error}): plug the meter in again, or pair it again"
        )

    def _drop(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(OSError):  # it was unplugged
                port.close()


def _marked_exclusive(fd: int) -> bool:
    import fcntl

    try:
        return fcntl.ioctl(fd, _TIOCGEXCL, b"\0" * 4) != b"\0" * 4
    except OSError:  # a kernel before 3.8, or one that numbers it differently
        return False


def open_error(address: str, error: OSError) -> SourceError:
    """The sentence for a port that did not open."""
    code = error.errno
    if code in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        hint = "plug the meter in, and look for it with: ls /dev/serial/by-id"
        if "rfcomm" in address:
            hint = "pair the meter (PIN 1234), then: sudo rfcomm bind 0 AA:BB:CC:DD:EE:FF"
        return SourceMissing(f"there is no port {address}; {hint}")
    if code in (errno.EACCES, errno.EPERM):
        return SourceForbidden(
            f"{address} is not for this user: sudo usermod -aG dialout $USER, then log in again"
        )
    if code in (errno.EBUSY, errno.EAGAIN):
        stale = " (if it has ended already, plug the meter in again)" if code == errno.EBUSY else ""
        return SourceBusy(f"{address} is held by {holder(address)}: close that program first{stale}")
    if code in (errno.EHOSTDOWN, errno.ECONNREFUSED, errno.ETIMEDOUT, errno.EHOSTUNREACH):
        return SourceMissing(
            f"{address} got no Bluetooth answer: power the meter on, within 5 m, with no phone connected "
            "to it"
        )
    return SourceMissing(f"{address} did not open as a serial port ({error}): check that it is one")


def holder(path: str, proc: str = "/proc") -> str:
    """Who has ``path`` open, as ``process 4242 (minicom -D /dev/ttyACM0)``.

    ``/proc/locks`` (proc_locks(5)) shows every user the holder of a flock; the open files of another
    user's process are not readable, and then the answer is "another program".
    """
    try:
        target = os.stat(path)
    except OSError:
        return "another program"
    mark = f"{os.major(target.st_dev):02x}:{os.minor(target.st_dev):02x}:{target.st_ino}"
    pid = _locker(mark, proc) or _opener(target, proc)
    if pid is None:
        return "another program"
    try:
        with open(f"{proc}/{pid}/cmdline", "rb") as file:
            command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        command = ""
    return f"process {pid} ({command[:80]})" if command else f"process {pid}"


def _locker(mark: str, proc: str) -> int | None:
    try:
        with open(f"{proc}/locks") as file:
            for line in file:
                fields = line.split()
                if "FLOCK" in fields and mark in fields and "->" not in fields:
                    return int(fields[4])
    except (OSError, ValueError, IndexError):
        pass  # no /proc/locks here: the caller searches open files instead
    return None


def _opener(target: os.stat_result, proc: str) -> int | None:
    for pid in filter(str.isdigit, os.listdir(proc) if os.path.isdir(proc) else ()):
        if int(pid) == os.getpid():
            continue
        try:
            for fd in os.listdir(f"{proc}/{pid}/fd"):
                held = os.stat(f"{proc}/{pid}/fd/{fd}")
                if (held.st_dev, held.st_ino) == (target.st_dev, target.st_ino):
                    return int(pid)
        except OSError:
            continue  # not our user's process, or it just ended
    return None
