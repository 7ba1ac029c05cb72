"""Phases of a program whose code is not changed: by the lines that it prints, or by marks that it sends."""

import contextlib
import os
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from energymeter.errors import SourceMissing, SpecError
from energymeter.meter.meter import EnergyMeter
from energymeter.meter.span import Span
from energymeter.text import printable

MARKS = "ENERGYMETER_MARKS"
"""The variable that names the socket of the running ``energymeter run``."""
LONGEST_LINE = 1 << 16
"""Bytes of a line that are searched; what follows passes through unsearched."""
LONGEST_MARK = 512
MOST_NAMES = 100
"""Names of phases, as many as a log holds; marks and lines of more are counted and left out."""
MOST_SECONDS = 0.5
"""A pattern that needs longer for what was read in one go is given up."""
_LONGEST_NAME = 100
_OLDEST_NS = 5_000_000_000
_AHEAD_NS = 1_000_000
"""A sender's time may be so much older than its arrival, or newer; else the arrival counts."""
_POLL_MS = 50
_CHUNK_BYTES = 1 << 16
_OWN = "run"
"""The span of the whole command."""


class Phases:
    """Phases of a run, as spans of its meter.

    Args:
        meter: that measures the command.
        now_ns: the monotonic clock.
    """

    def __init__(self, meter: EnergyMeter, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._meter, self._now_ns = meter, now_ns
        self._lock = threading.Lock()
        self._measured = False
        self._open: dict[str, Span] = {}
        self.names: list[str] = []
        """In the order of their first start."""
        self.left_out = 0
        """Starts of further names."""
        self.unpaired = 0
        """Starts of a phase that was open, and stops of one that was not."""
        self.implausible = 0
        """Marks whose time could not be, and which count from their arrival."""

    def begin(self) -> None:
        """The measurement began; phases before it, of warm-up runs, are nobody's."""
        with self._lock:
            self._measured = True

    def start(self, name: str, at_ns: int) -> None:
        """A phase began."""
        name = _name(name)
        with self._lock:
            if not self._measured:
                return
            if name in self._open:
                self.unpaired += 1
                return
            if name not in self.names:
                if len(self.names) >= MOST_NAMES:
                    self.left_out += 1
                    return
                self.names.append(name)
            self._open[name] = span = self._meter.span(name)
            span.begin_at(at_ns)

    def stop(self, name: str, at_ns: int) -> None:
        """A phase ended."""
        with self._lock:
            span = self._open.pop(_name(name), None)
            if not self._measured:
                return
            if span is None:
                self.unpaired += 1
            else:
                span.end_at(at_ns)

    def next(self, name: str, at_ns: int) -> None:
        """The phases that are open end, and this one begins."""
        self.stop_all(at_ns)
        self.start(name, at_ns)

    def stop_all(self, at_ns: int) -> None:
        """The command ended."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].end_at(at_ns)

    def mark(self, message: bytes) -> None:
        """One mark, as it came: ``start 123456789 name`` or ``stop - name``; anything else is left out."""
        arrived_ns = self._now_ns()
        words = message.decode("utf-8", "replace").strip().split(None, 2)
        if len(message) > LONGEST_MARK or len(words) != 3 or words[0] not in ("start", "stop"):
            self.left_out += 1
            return
        at_ns = arrived_ns
        if words[1] != "-":
            sent_ns = int(words[1]) if words[1].isascii() and words[1].isdigit() else -1
            if arrived_ns - _OLDEST_NS <= sent_ns <= arrived_ns + _AHEAD_NS:
                at_ns = min(sent_ns, arrived_ns)
            else:
                self.implausible += 1
        (self.start if words[0] == "start" else self.stop)(words[2], at_ns)

    def notes(self) -> list[str]:
        """What the reader of the result should know, one sentence each."""
        counted = (
            (self.left_out, f"were left out: they make no sense, or are of more than {MOST_NAMES} names"),
            (self.unpaired, "were left out: the phase was open already, or was not open"),
            (self.implausible, "had a time that cannot be; they count from their arrival"),
        )
        return [f"{count} marks {what}" for count, what in counted if count]


def _name(name: str) -> str:
    short = printable(name.strip())[:_LONGEST_NAME] or "phase"
    return f"{short} (phase)" if short == _OWN else short


# -- marks ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def receiving(phases: Phases) -> Iterator[tuple[dict[str, str], Callable[[], None]]]:
    """Receive marks at a socket of this user alone.

    Yields what the environment of a command must hold, and what waits for all marks that were sent.

    Raises:
        OSError: there is no place for the socket.
    """
    folder = tempfile.mkdtemp(prefix="energymeter-", dir=os.environ.get("XDG_RUNTIME_DIR") or None)  # 0700
    try:
        path = os.path.join(folder, "marks")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            before = os.umask(0o177)
            try:
                receiver.bind(path)
            finally:
                os.umask(before)
            receiver.setblocking(False)
            lock = threading.Lock()

            def take_all() -> None:
                with lock, contextlib.suppress(BlockingIOError):
                    for _ in range(_CHUNK_BYTES):  # who sends without end does not keep us
                        phases.mark(receiver.recv(LONGEST_MARK + 1))

            stop_reader, stop_writer = os.pipe()
            thread = threading.Thread(
                target=_receive, args=(receiver, stop_reader, take_all), name="energymeter-marks", daemon=True
            )
            thread.start()
            try:
                yield {MARKS: path}, take_all
            finally:
                os.close(stop_writer)
                thread.join()
                os.close(stop_reader)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _receive(receiver: socket.socket, stop: int, take_all: Callable[[], None]) -> None:
    """Marks until it is asked to stop, and those that have arrived by then."""
    poll = select.poll()
    for readable in (receiver.fileno(), stop):
        poll.register(readable, select.POLLIN)
    stopping = False
    while not stopping:
        stopping = any(ready == stop for ready, _ in poll.poll())
        take_all()


def send(name: str, what: str, at_ns: int, path: str | None = None) -> None:
    """Send one mark to the ``energymeter run`` that started this program.

    Raises:
        SpecError: the name is empty or too long.
        SourceMissing: no such program has started this one, or it has ended.
    """
    path = os.environ.get(MARKS, "") if path is None else path
    if not path:
        raise SourceMissing(f"${MARKS} is not set: start the program with `energymeter run -- …`")
    message = f"{what} {at_ns} {name}".encode(errors="backslashreplace")
    if not name.strip() or len(message) > LONGEST_MARK:
        raise SpecError(f"a phase has a name of 1 to {_LONGEST_NAME} characters; give another one")
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise SourceMissing(f"{path} is no socket; start the program with `energymeter run -- …`")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(1.0)
            sender.sendto(message, path)
    except SourceMissing:
        raise
    except OSError as failure:
        raise SourceMissing(
            f"nobody receives marks at {path} ({failure.strerror}); start the program with "
            "`energymeter run -- …`"
        ) from failure


# -- lines ----------------------------------------------------------------------------------------------


class Lines:
    """Looks for a pattern in the lines of a program.

    Args:
        pattern: of ``re``; a group names the phase, else the text that matches does.
        phases: where a phase begins.

    Raises:
        SpecError: it is no pattern.
    """

    def __init__(self, pattern: str, phases: Phases) -> None:
        try:
            self._pattern = re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as damage:
            raise SpecError(f"the pattern {pattern!r} cannot be used ({damage}); give another one") from None
        self._phases = phases
        self._begun = b""
        self.given_up = False
        """The pattern took too long for a line, and lines are no longer searched."""

    def take(self, data: bytes, at_ns: int) -> None:
        """What was read at this moment; a line counts when its end was read."""
        *whole, rest = data.split(b"\n")
        if not whole:
            self._begun = (self._begun + rest)[:LONGEST_LINE]
            return
        lines = [self._begun + whole[0], *whole[1:]]
        self._begun = rest[:LONGEST_LINE]
        if self.given_up:
            return
        try:
            with _limited(MOST_SECONDS):
                for line in lines:
                    self._search(line[:LONGEST_LINE], at_ns)
        except _TooSlowError:
            self.given_up = True

    def end(self, at_ns: int) -> None:
        """The output ended; its last line need not have an end."""
        if self._begun:
            self.take(b"\n", at_ns)

    def notes(self) -> list[str]:
        """What the reader of the result should know."""
        if not self.given_up:
            return []
        return [
            f"the pattern of --phase-on took longer than {MOST_SECONDS:g} s for a few lines and was given "
            "up; use one without a repetition inside a repetition"
        ]

    def _search(self, line: bytes, at_ns: int) -> None:
        found = self._pattern.search(line.decode("utf-8", "replace").rstrip("\r"))
        if found is not None:
            named = next((group for group in found.groups() if group), found[0])
            self._phases.next(named, at_ns)


class _TooSlowError(Exception):
    pass


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """End a search that takes longer: `re` holds Python's lock, but lets signals of the main thread in."""

    def give_up(*_: object) -> None:
        raise _TooSlowError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def pass_through(process: "subprocess.Popen[Any]", lines: Lines, out: int) -> None:
    """Write the output of a command as it comes, and search its lines, until the command ends.

    A program that the command leaves running, and which holds its output open, is not waited for.

    Args:
        process: whose ``stdout`` is a pipe.
        lines: what is searched.
        out: where the output goes, a file descriptor.
    """
    assert process.stdout is not None
    source = process.stdout.fileno()
    poll = select.poll()
    poll.register(source, select.POLLIN | select.POLLHUP)
    ended = False
    while True:
        ended = ended or process.poll() is not None
        if not poll.poll(0 if ended else _POLL_MS):
            if ended:
                break
            continue
        data = os.read(source, _CHUNK_BYTES)
        at_ns = time.monotonic_ns()
        if not data:
            break
        try:
            _write(out, data)
        except BrokenPipeError:  # as if the command had written there itself
            process.stdout.close()
            return
        lines.take(data, at_ns)
    lines.end(time.monotonic_ns())


def _write(out: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(out, view) :]
        except BlockingIOError:  # a terminal or pipe that somebody made non-blocking
            select.select([], [out], [])
