"""Programs that print what a sensor says: once an answer, or line after line. Every answer is bounded."""

import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector

from energymeter.errors import SourceEnded, SourceError, SourceForbidden, SourceMissing, SourceTimeout
from energymeter.text import printable

MOST_OUTPUT = 1 << 20
"""Bytes of one answer; no sensor prints so much."""

LONGEST_LINE = 1 << 16
_MOST_ERRORS = 4096
_BEAT_SECONDS = 0.5
_POLL_SECONDS = 0.05
_LAST_WORDS_SECONDS = 0.1
_CHUNK = 65536

_OF_A_FILE = (errno.EACCES, errno.ENOENT, errno.ENOTDIR, errno.ENOEXEC, errno.ELOOP, errno.ENAMETOOLONG)
"""Errors that a file or folder causes, and not a lack of processes or memory."""


def not_started(error: OSError | ValueError, program: str, missing: str) -> SourceError:
    """Our error for a program that did not start; ``missing`` says what to do where it is not installed.

    The error number does not decide it. It may come from another folder on ``PATH`` (EACCES if this user may
    not read it, ELOOP, ENAMETOOLONG), and a script whose interpreter is missing fails with ENOENT.
    """
    import shutil  # 3 ms, for those whose program did not start

    closed = isinstance(error, PermissionError)
    path = shutil.which(program, os.F_OK)
    if path is None and not (closed and "/" in program):
        return SourceMissing(f"{program} is not installed here; {missing}")
    if path is None or shutil.which(program) is None:
        return SourceForbidden(f"{program} may not be run by this user; chmod +x it, or run as one who may")
    if not isinstance(error, OSError) or error.errno not in _OF_A_FILE:
        return SourceError(
            f"{program} did not start ({getattr(error, 'strerror', None) or error}); try it in a terminal"
        )
    if _is_script(path):
        return SourceError(f"{program} is here, but not the interpreter in its first line; install that")
    return SourceError(f"{program} is no program for this machine; install the one that is")


def _is_script(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


class Command:
    """A program, run in a session of its own so that whatever it starts ends with it.

    Args:
        argv: the program and its arguments.
        missing: what to do where there is no such program.
    """

    def __init__(self, argv: Sequence[str], missing: str = "install it or give its path") -> None:
        self._argv, self._missing = list(argv), missing
        self.dropped = 0
        """Lines too long to be samples, thrown away."""
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = b""

    @property
    def program(self) -> str:
        """The program's name without its folder; arguments may hold passwords."""
        return printable(os.path.basename(self._argv[0])) if self._argv else ""

    def start(self, name: str) -> None:
        """Run it; one that still runs is ended first.

        Raises:
            SourceMissing, SourceForbidden, SourceError: it cannot be run.
        """
        self.end()
        try:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = not_started(error, self._argv[0], self._missing)
            raise type(reason)(f"{name}: {reason}") from error

    def output(self, seconds: float, name: str) -> bytes:
        """All that it prints until it ends.

        Raises:
            SourceMissing, SourceForbidden: there is no such program, or it may not be run.
            SourceTimeout: it did not end in time; it was killed with all that it started.
            SourceError: it failed, or printed more than `MOST_OUTPUT`.
        """
        self.start(name)
        deadline = time.monotonic() + seconds
        out = b""
        try:
            for chunk in self._chunks(deadline):
                out += chunk
                if len(out) > MOST_OUTPUT:
                    raise SourceError(f"{name} printed more than a megabyte; use stream=1 if it runs on")
            code = self._exit_code(deadline - time.monotonic())
            if code is None:
                raise SourceTimeout(
                    f"{name} did not answer within {seconds:g} s and was killed; try it in a terminal"
                )
            if code:
                raise self._failed(name, code, out)
        finally:
            self.end()
        return out

    def lines(self, name: str) -> Iterator[list[bytes]]:
        """The whole lines that came, at least every half second; one that is too long stays empty.

        Raises:
            SourceEnded: it ended well, or closed its output, which is as good.
            SourceError: it failed.
        """
        rest = b""
        for chunk in self._chunks():
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LONGEST_LINE:
                self.dropped, rest = self.dropped + 1, b""
            yield lines
        if rest:
            yield [rest]
        code = self._exit_code(_BEAT_SECONDS)
        if code:
            raise self._failed(name, code, b"")
        raise SourceEnded(f"{name} has ended; there are no more samples")

    def kill(self) -> None:
        """Ask the program and its children to go, then make them."""
        for signum in (signal.SIGTERM, signal.SIGKILL):
            if self._process is not None:
                with suppress(ProcessLookupError, PermissionError):  # the whole group is gone already
                    os.killpg(self._process.pid, signum)
                self._exit_code(_BEAT_SECONDS)

    def end(self) -> None:
        """Kill the program and let its output go; twice is fine."""
        self.kill()
        process, self._process = self._process, None
        for pipe in (process.stdout, process.stderr) if process is not None else ():
            if pipe is not None:
                pipe.close()

    def _chunks(self, deadline: float | None = None) -> Iterator[bytes]:
        """The output as it comes, empty after half a second of silence; the end of the errors is kept."""
        process = self._process
        if process is None or process.stdout is None or process.stderr is None:
            return
        self._errors = b""
        with DefaultSelector() as ready:
            for pipe in (process.stdout, process.stderr):
                ready.register(pipe, EVENT_READ)
            while process.stdout in ready.get_map():
                beat = _BEAT_SECONDS if deadline is None else min(deadline - time.monotonic(), _POLL_SECONDS)
                if beat <= 0:
                    return
                chunk = self._chunk(ready, process.stdout, beat)
                yield chunk
                if deadline is not None and not chunk and process.poll() is not None:
                    return  # what it left running keeps its output open
            while ready.get_map() and self._chunk(ready, process.stderr, _LAST_WORDS_SECONDS):
                pass  # why it failed may come after its output has ended

    def _chunk(self, ready: DefaultSelector, wanted: object, seconds: float) -> bytes:
        """What comes first on one of the two pipes, of which only what is wanted is returned."""
        found = b""
        for key, _ in ready.select(seconds):
            chunk = os.read(key.fd, _CHUNK)
            if not chunk:
                ready.unregister(key.fileobj)
            if key.fileobj is wanted:
                found = chunk
            if self._process is not None and key.fileobj is self._process.stderr:
                self._errors = (self._errors + chunk)[-_MOST_ERRORS:]
        return found

    def _exit_code(self, seconds: float) -> int | None:
        """None: it still runs."""
        if self._process is None:
            return None
        try:
            return self._process.wait(max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            return None

    def _failed(self, name: str, code: int, out: bytes) -> SourceError:
        text = (self._errors or out).decode("utf-8", "replace").strip()
        reason = printable(text.splitlines()[-1])[:200] if text else "it gave no reason"
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return SourceError(f"{name} {how}: {reason}; try it in a terminal")


def output(command: Sequence[str], seconds: float, missing: str) -> str:
    """What a command prints on stdout, when it ends well in time.

    Raises:
        SourceMissing: there is no such program; ``missing`` says what to do.
        SourceTimeout: it did not end within ``seconds`` and was killed.
        SourceError: it failed; its own words are in the message.
    """
    return Command(command, missing).output(seconds, f"`{' '.join(command)}`").decode("utf-8", "replace")


class Lines:
    """The newest line of a running program, stamped when it arrived by a thread that does nothing else."""

    def __init__(self, command: Sequence[str], missing: str) -> None:
        """Start the program.

        Raises:
            SourceMissing: there is no such program; ``missing`` says what to do.
            SourceError: it cannot be started.
        """
        self._command = Command(command, missing)
        self._arrived = threading.Condition()
        self._newest: tuple[int, str] | None = None
        self._ended = False
        self._command.start(command[0])
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        with suppress(SourceError):  # it has ended
            for lines in self._command.lines("it"):
                for line in lines[-1:]:
                    with self._arrived:
                        self._newest = (time.monotonic_ns(), line.decode("utf-8", "replace"))
                        self._arrived.notify_all()
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()

    @property
    def newest(self) -> tuple[int, str] | None:
        """When the newest line came (monotonic ns), and the line."""
        return self._newest

    @property
    def ended(self) -> bool:
        """True once the program has closed its output."""
        return self._ended

    def first(self, seconds: float) -> tuple[int, str] | None:
        """Wait for a first line, at most ``seconds``; None: none came."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._newest is not None or self._ended, seconds)
        return self._newest

    def close(self) -> None:
        """Stop the program and collect it."""
        self._command.kill()
        self._thread.join(1.0)  # it reads the pipes, which are closed only then
        self._command.end()
