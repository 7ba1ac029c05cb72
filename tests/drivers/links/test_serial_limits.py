"""A serial port whose system calls are scripted: parts of a write, silence, a line that hangs up."""

import errno
import fcntl
import os
import select
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from energymeter.drivers.links import serial as link
from energymeter.drivers.links.serial import SerialLine, _marked_exclusive, open_error
from energymeter.errors import SourceBusy, SourceMissing


class Port:
    """pyserial's open port."""

    def __init__(self, *settings: Any, **more: Any) -> None:
        self.settings, self.closed = (settings, more), 0

    def fileno(self) -> int:
        return 99

    def close(self) -> None:
        self.closed += 1
        raise OSError(errno.EIO, "unplugged")


class System:
    """What the kernel says to each call on the port, in turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waits: list[tuple[list[int], list[int], float]] = []
        self.ready, self.answers = True, []  # type: ignore[var-annotated]
        self.sent: list[bytes] = []
        self.ports: list[Port] = []
        pyserial = ModuleType("serial")
        pyserial.Serial = self._open  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "serial", pyserial)
        monkeypatch.setattr(link, "_marked_exclusive", lambda fd: False)
        monkeypatch.setattr(select, "select", self._select)
        monkeypatch.setattr(os, "write", self._write)
        monkeypatch.setattr(os, "read", self._read)

    def _open(self, *settings: Any, **more: Any) -> Port:
        self.ports.append(Port(*settings, **more))
        return self.ports[-1]

    def _select(self, read: list[int], write: list[int], odd: list[int], seconds: float) -> Any:
        assert odd == []
        self.waits.append((read, write, seconds))
        return (read, write, []) if self.ready else ([], [], [])

    def _write(self, fd: int, data: bytes) -> int:
        assert fd == 99
        taken = self.answers.pop(0)
        if isinstance(taken, OSError):
            raise taken
        self.sent.append(data[:taken])
        return int(taken)

    def _read(self, fd: int, size: int) -> bytes:
        assert (fd, size) == (99, 65536)
        found = self.answers.pop(0)
        if isinstance(found, OSError):
            raise found
        return bytes(found)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    return System(monkeypatch)


def opened(**options: int) -> SerialLine:
    line = SerialLine("/dev/ttyX0", **options)
    line.open()
    return line


def test_a_port_is_opened_locked_and_without_waiting(system: System) -> None:
    opened()
    opened(baudrate=115200, stop_bits=2)
    assert [port.settings for port in system.ports] == [
        (("/dev/ttyX0", baud), {"stopbits": bits, "timeout": 0, "exclusive": True})
        for baud, bits in ((9600, 1), (115200, 2))
    ]


def test_a_question_is_sent_whole_however_little_goes_at_a_time(system: System) -> None:
    line = opened()
    system.answers = [3, 1, 4]
    line.write(b"question")
    assert system.sent == [b"que", b"s", b"tion"]
    assert system.waits == [([], [99], 1.0)] * 3
    assert line.moved_bytes == 8
    line.write(b"")
    assert len(system.waits) == 3


def test_a_port_that_takes_nothing_for_a_second_is_gone(system: System) -> None:
    line = opened()
    system.ready = False
    with pytest.raises(
        SourceMissing,
        match=r"^/dev/ttyX0 went away \(the port takes no bytes\): plug the meter in again, or pair it",
    ):
        line.write(b"?")
    assert system.ports[0].closed == 1
    assert line.moved_bytes == 0
    system.ready, system.answers = True, [1]
    line.write(b"?")
    assert len(system.ports) == 2, "it was wanted, so it is opened again"


def test_what_arrives_is_counted_and_silence_is_nothing(system: System) -> None:
    line = opened()
    system.answers = [b"abc", BlockingIOError(errno.EAGAIN, "x")]
    assert line.read(0.25) == b"abc"
    assert line.read(0.5) == b""
    system.ready = False
    assert line.read(0.75) == b""
    assert system.waits == [([99], [], 0.25), ([99], [], 0.5), ([99], [], 0.75)]
    assert (line.moved_bytes, system.ports[0].closed) == (3, 0)


@pytest.mark.parametrize(
    ("answer", "why"),
    [(b"", "the device hung up"), (OSError(errno.EIO, "broken"), "broken"), (OSError("odd"), "odd")],
)
def test_a_line_that_hangs_up(system: System, answer: Any, why: str) -> None:
    line = opened()
    system.answers = [answer]
    with pytest.raises(SourceMissing, match=rf"^/dev/ttyX0 went away \({why}\)"):
        line.read(0.25)
    assert system.ports[0].closed == 1
    line.close()
    for question in (lambda: line.read(0), lambda: line.write(b"?")):
        with pytest.raises(SourceMissing, match="/dev/ttyX0 is not open"):
            question()


@pytest.mark.parametrize(
    ("marked", "opener", "busy"), [(True, 4242, True), (True, None, False), (False, 4242, False)]
)
def test_a_mark_counts_while_somebody_has_the_port_open(
    system: System, monkeypatch: pytest.MonkeyPatch, marked: bool, opener: int | None, busy: bool
) -> None:
    monkeypatch.setattr(link, "_marked_exclusive", lambda fd: marked)
    monkeypatch.setattr(link, "_opener", lambda target, proc: opener)
    fstat = os.fstat
    monkeypatch.setattr(os, "fstat", lambda fd: os.stat("/dev/null") if fd == 99 else fstat(fd))
    if busy:
        with pytest.raises(SourceBusy, match="if it has ended already, plug the meter in again"):
            opened()
        assert system.ports[0].closed == 1
    else:
        opened()
        assert system.ports[0].closed == 0


@pytest.mark.parametrize(
    ("answer", "marked"),
    [
        (b"\0\0\0\0", False),
        (b"\1\0\0\0", True),
        (b"\0\0\0\1", True),
        (OSError(errno.ENOTTY, "not known here"), False),
    ],
)
def test_how_the_kernel_shows_a_mark(
    monkeypatch: pytest.MonkeyPatch, answer: bytes | OSError, marked: bool
) -> None:
    def ioctl(fd: int, request: int, room: bytes) -> bytes:
        assert (fd, request, room) == (99, 0x80045440, bytes(4))  # TIOCGEXCL
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    assert _marked_exclusive(99) is marked


def test_a_busy_port_may_be_stale_and_a_locked_one_is_not() -> None:
    def said(number: int) -> str:
        return str(open_error("/dev/no-such-port", OSError(number, "x")))

    held = "/dev/no-such-port is held by another program: close that program first"
    assert said(errno.EBUSY) == f"{held} (if it has ended already, plug the meter in again)"
    assert said(errno.EAGAIN) == held


def test_a_value_that_is_no_speed_is_no_port(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(failure: Exception) -> Callable[..., Any]:
        def serial(*_: Any, **__: Any) -> Any:
            raise failure

        return serial

    for failure in (ValueError("speed"), OverflowError("speed")):
        monkeypatch.setattr(sys.modules["serial"], "Serial", refuse(failure))
        with pytest.raises(
            SourceMissing, match=r"^/dev/ttyX0 did not open as a serial port \(speed\): check that it is one$"
        ):
            opened()
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(SourceMissing, match=r"^/dev/ttyX0 needs pyserial: pip install pyserial$"):
        opened()
