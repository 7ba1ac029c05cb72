"""The serial link: locked to one process, with errors that name the remedy."""

import doctest
import errno
import fcntl
import os
import re
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from devices.processes import without_rights
from devices.pty_meter import PtyMeter

from energymeter.drivers.links import serial
from energymeter.drivers.links.serial import SerialLine, holder, open_error
from energymeter.drivers.protocols import crc
from energymeter.errors import SourceBusy, SourceForbidden, SourceMissing

TIOCGEXCL = 0x80045440


class Echo:
    def receive(self, data: bytes) -> bytes:
        return data


def test_bytes_go_out_and_come_back(tmp_path: Path) -> None:
    with PtyMeter(Echo(), tmp_path / "tty") as meter:
        line = SerialLine(meter.address)
        line.open()
        line.write(b"\x00\xf0\r\n\x11\x13")
        got = b""
        while len(got) < 6:
            got += line.read(1.0)
        assert got == b"\x00\xf0\r\n\x11\x13"
        assert line.moved_bytes == 12
        assert line.read(0.0) == b""
        line.close()
        line.close()


def test_a_second_opener_learns_who_holds_the_port(tmp_path: Path) -> None:
    with PtyMeter(Echo(), tmp_path / "tty") as meter:
        first = SerialLine(meter.address)
        first.open()
        with pytest.raises(SourceBusy, match=f"process {os.getpid()} "):
            SerialLine(meter.address).open()
        first.close()
        again = SerialLine(meter.address)
        again.open()
        again.close()


@pytest.mark.not_emulated("another process shows the emulator's command line")
def test_two_processes_on_one_meter_and_the_second_learns_of_the_first(tmp_path: Path) -> None:
    hold = (
        "import sys\n"
        "from energymeter.drivers.links.serial import SerialLine\n"
        "line = SerialLine(sys.argv[1]); line.open(); print('held', flush=True); sys.stdin.read()"
    )
    root = str(Path(__file__).parents[3])
    with (
        PtyMeter(Echo(), tmp_path / "tty") as meter,
        subprocess.Popen(
            [sys.executable, "-c", hold, meter.address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=root,
        ) as other,
    ):
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(SourceBusy, match=rf"held by process {other.pid} \(.*python"):
            SerialLine(meter.address).open()
        other.communicate()
        line = SerialLine(meter.address)
        line.open()
        line.close()


@pytest.fixture
def port() -> Iterator[int]:
    """A terminal that stays open here, as bridges and emulators keep theirs; every user may open it."""
    far, near = os.openpty()
    os.chmod(os.ttyname(near), 0o666)
    yield near
    os.close(far)
    os.close(near)


def opened(port: int, *, then: Callable[[SerialLine], object] = SerialLine.close) -> str:
    """How opening ends, without root's rights."""

    def attempt() -> str:
        line = SerialLine(os.ttyname(port))
        try:
            line.open()
        except SourceBusy as error:
            return str(error)
        then(line)
        return "opened"

    return without_rights(attempt)


def test_a_holder_that_was_killed_leaves_the_port_free(port: int) -> None:
    assert opened(port, then=lambda line: None) == "opened", "its process ended without closing it"
    assert opened(port) == "opened"
    assert fcntl.ioctl(port, TIOCGEXCL, bytes(4)) == bytes(4)
    line = SerialLine(os.ttyname(port))
    line.open()
    assert "is held by process" in opened(port), "a live one is respected"
    line.close()
    assert opened(port) == "opened"


def test_the_mark_of_another_program_says_what_to_do(port: int) -> None:
    """An ordinary user cannot distinguish it from the mark of a program that has ended."""
    fcntl.ioctl(port, termios.TIOCEXCL)
    said = opened(port)
    assert re.search("is held by (another program|process .*): close that program first", said)
    assert "if it has ended already, plug the meter in again" in said
    fcntl.ioctl(port, termios.TIOCNXCL)
    assert opened(port) == "opened"


def test_a_live_mark_is_respected_and_a_stale_one_ignored_by_root(port: int) -> None:
    mark = "import fcntl, sys, termios; f = open(sys.argv[1], 'rb+', 0); fcntl.ioctl(f, termios.TIOCEXCL); "
    line = SerialLine(os.ttyname(port))
    with subprocess.Popen(
        [sys.executable, "-c", mark + "print('held', flush=True); sys.stdin.read()", line.address],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(SourceBusy, match=rf"held by process {other.pid} "):
            line.open()
        other.communicate()
    assert fcntl.ioctl(port, TIOCGEXCL, bytes(4)) != bytes(4), "the mark outlives its program"
    if os.geteuid():
        with pytest.raises(SourceBusy, match="plug the meter in again"):
            line.open()
    else:
        line.open()
        line.close()


@pytest.mark.not_emulated("another process shows the emulator's command line")
def test_a_holder_in_another_process_is_named_with_its_command(tmp_path: Path) -> None:
    hold = "import sys; f=open(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    target = tmp_path / "tty"
    target.touch()
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        found = holder(str(target))
        other.communicate()
    assert found.startswith(f"process {other.pid} ({sys.executable} -c import sys")


def test_without_a_readable_proc_the_holder_stays_unnamed(tmp_path: Path) -> None:
    assert holder(str(tmp_path), proc=str(tmp_path / "none")) == "another program"
    assert holder(str(tmp_path / "absent")) == "another program"


@pytest.mark.parametrize(
    ("code", "place", "kind", "remedy"),
    [
        (errno.ENOENT, "/dev/ttyUSB9", SourceMissing, "ls /dev/serial/by-id"),
        (errno.ENOENT, "/dev/rfcomm0", SourceMissing, "rfcomm bind"),
        (errno.EACCES, "/dev/ttyUSB9", SourceForbidden, "usermod -aG dialout"),
        (errno.EHOSTDOWN, "/dev/rfcomm0", SourceMissing, "power the meter on"),
        (errno.EIO, "/dev/ttyS9", SourceMissing, "did not open as a serial port"),
    ],
)
def test_every_error_names_its_remedy(code: int, place: str, kind: type[OSError], remedy: str) -> None:
    error = open_error(place, OSError(code, os.strerror(code)))
    assert type(error) is kind
    assert remedy in str(error)


def test_what_is_no_port_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="there is no port"):
        SerialLine(str(tmp_path / "none")).open()
    plain = tmp_path / "file"
    plain.touch()
    with pytest.raises(SourceMissing, match="did not open as a serial port"):
        SerialLine(str(plain)).open()
    with pytest.raises(SourceMissing, match="call open"):
        SerialLine(str(plain)).write(b"x")


def test_an_unplugged_port_says_so_and_comes_back(tmp_path: Path) -> None:
    with PtyMeter(Echo(), tmp_path / "tty") as meter:
        line = SerialLine(meter.address)
        line.open()
        meter.unplug()
        with pytest.raises(SourceMissing, match="went away"):
            line.read(1.0)
        with pytest.raises(SourceMissing, match="there is no port"):
            line.read(1.0)
        meter.plug()
        line.write(b"back")
        assert line.read(1.0)
        line.close()
        with pytest.raises(SourceMissing, match="not open"):
            line.read(0.0)


@pytest.mark.parametrize("module", [crc, serial])
def test_the_examples_in_the_docstrings_run(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
