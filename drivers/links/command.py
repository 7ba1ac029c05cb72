"""Link helper: programs that print what a sensor says, once or line after line."""

import errno
import os
import subprocess
import threading
import time
from collections.abc import Sequence

from energymeter.errors import SourceError, SourceForbidden, SourceMissing, SourceTimeout

_OF_A_FILE = (errno.EACCES, errno.ENOENT, errno.ENOTDIR, errno.ENOEXEC, errno.ELOOP, errno.ENAMETOOLONG)
"""Errors that a file or folder causes, and not a lack of processes or memory."""


def not_started(error: OSError, program: str, missing: str) -> SourceError:
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
    if error.errno not in _OF_A_FILE:
        return SourceError(f"{program} did not start ({error.strerror or error}); try it in a terminal")
    if _is_script(path):
        return SourceError(f"{program} is here, but not the interpreter in its first line; install that")
    return SourceError(f"{program} is no program for this machine; install the one that is")


def _is_script(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def output(command: Sequence[str], seconds: float, missing: str) -> str:
    """What a command prints on stdout, when it ends well in time.

    Raises:
        SourceMissing: there is no such program; ``missing`` says what to do.
        SourceForbidden: this user may not run it.
        SourceTimeout: it did not end within ``seconds`` and was stopped.
        SourceError: it did not start, or failed; its own words are in the message.
    """
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise SourceTimeout(
            f"`{' '.join(command)}` did not answer within {seconds:g} s; try it by hand"
        ) from None
    except OSError as error:
        raise not_started(error, command[0], missing) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip() or "no reason given"
        raise SourceError(f"`{' '.join(command)}` ended with code {done.returncode}: {said[:200]}")
    return done.stdout.decode("utf-8", "replace")


class Lines:
    """The newest line of a running program, stamped when it arrived by a thread that does nothing else."""

    def __init__(self, command: Sequence[str], missing: str) -> None:
        """Start the program.

        Raises:
            SourceMissing: there is no such program; ``missing`` says what to do.
            SourceForbidden: this user may not run it.
            SourceError: it did not start.
        """
        self._arrived = threading.Condition()
        self._newest: tuple[int, str] | None = None
        try:
            self._program = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise not_started(error, command[0], missing) from error
        self._ended = False
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        assert self._program.stdout is not None
        with self._program.stdout as lines:
            for line in lines:
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
        self._program.terminate()
        try:
            self._program.wait(1.0)
        except subprocess.TimeoutExpired:
            self._program.kill()
            self._program.wait()
